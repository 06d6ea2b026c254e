//! What goes wrong on the way to an S3 server: a proxy for HTTP that answers 503, is slow, cuts connections in the middle
//! of what is sent or answered, or is gone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Chance, Outcome};

/// What the proxy does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Answers 503 itself.
    Busy,
    /// Waits first.
    Slow,
    /// Passes half of the request's body on and closes both sides.
    CutRequest,
    /// Passes everything on, and half of the answer back.
    CutAnswer,
    /// Closes at once.
    Gone,
}

/// The rule for the requests to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The fault, or any of them if there is none.
    pub(crate) fault: Option<Fault>,
    /// For so many of a hundred requests.
    pub(crate) percent: u64,
}

/// No faults.
pub(crate) const FINE: Rule = Rule { fault: Some(Fault::None), percent: 0 };
/// Nobody there.
pub(crate) const GONE: Rule = Rule { fault: Some(Fault::Gone), percent: 100 };

/// How long a slow request waits.
const SLOW: Duration = Duration::from_millis(700);
const MIXED: [Fault; 4] = [Fault::Busy, Fault::Slow, Fault::CutRequest, Fault::CutAnswer];

/// A proxy before a server on this machine.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    rule: Mutex<Rule>,
    chance: Mutex<Chance>,
    /// Rises with each rule: what was begun under another one is cut when nobody is there any more.
    epoch: AtomicU32,
    requests: AtomicU64,
    faults: AtomicU64,
    cut_pieces: AtomicU64,
}

impl Proxy {
    /// Starts one.
    pub(crate) async fn start(upstream: u16, seed: u64) -> Outcome<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream,
            rule: Mutex::new(FINE),
            chance: Mutex::new(Chance(seed)),
            epoch: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            cut_pieces: AtomicU64::new(0),
        });
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = served.clone();
                // A connection that breaks is what this is for.
                tokio::spawn(async move { drop(one(&shared, socket).await) });
            }
        });
        Ok(Proxy { port, shared })
    }

    /// From now on this rule holds.
    pub(crate) fn set(&self, rule: Rule) {
        *self.shared.rule.lock().expect("no holder panics") = rule;
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Requests so far, those with faults, and pieces of uploads that were cut.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (get(&self.shared.requests), get(&self.shared.faults), get(&self.shared.cut_pieces))
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        let rule = *self.rule.lock().expect("no holder panics");
        let mut chance = self.chance.lock().expect("no holder panics");
        if chance.below(100) >= rule.percent {
            return Fault::None;
        }
        rule.fault.unwrap_or_else(|| MIXED[chance.below(MIXED.len() as u64) as usize])
    }

    /// Waits until nobody is there any more.
    async fn gone(&self) {
        loop {
            if self.rule.lock().expect("no holder panics").fault == Some(Fault::Gone) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One request, after which the connection is closed.
async fn one(shared: &Shared, mut client: TcpStream) -> std::io::Result<()> {
    let fault = shared.fault();
    shared.requests.fetch_add(1, Ordering::SeqCst);
    shared.faults.fetch_add(u64::from(fault != Fault::None), Ordering::SeqCst);
    if fault == Fault::Gone {
        return Ok(());
    }
    tokio::select! {
        passed = pass(shared, &mut client, fault) => passed,
        () = shared.gone() => Ok(()),
    }
}

async fn pass(shared: &Shared, client: &mut TcpStream, fault: Fault) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        let mut piece = [0; 4096];
        let read = client.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&piece[..read]);
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).into_owned();
    let length = text
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse().ok()));
    let length: usize = length.unwrap_or(0);
    let mut body = head[end..].to_vec();
    if fault == Fault::Slow {
        tokio::time::sleep(SLOW).await;
    }
    let keep = if fault == Fault::CutRequest { length / 2 } else { length };
    while body.len() < keep {
        let mut piece = vec![0; 64 << 10];
        let read = client.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        body.extend_from_slice(&piece[..read]);
    }
    if fault == Fault::Busy {
        let xml = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        let answer =
            format!("HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{xml}", xml.len());
        return client.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", shared.upstream)).await?;
    let (line, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    server.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).await?;
    server.write_all(&body[..body.len().min(keep)]).await?;
    if fault == Fault::CutRequest {
        shared.cut_pieces.fetch_add(u64::from(line.contains("partNumber=")), Ordering::SeqCst);
        return Ok(());
    }
    let mut answer = Vec::new();
    if fault == Fault::CutAnswer {
        server.read_to_end(&mut answer).await?;
        client.write_all(&answer[..answer.len() / 2]).await?;
        return Ok(());
    }
    tokio::io::copy(&mut server, client).await.map(drop)
}
