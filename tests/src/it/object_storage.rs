//! Parts in a bucket of a real S3 server, and what goes wrong on the way to it: refused starts, 503, slow answers, cut
//! connections, and a server that is gone for a while. Whatever happens, what was acknowledged is there once, what was not
//! is there once or not at all, and no object and no upload is left that nobody lists.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::files::{ask, script};
use crate::pg_client::Client;
use crate::proxy::{FINE, Fault, GONE, Proxy, Rule};
use crate::server::Server;
use crate::support::{Chance, Outcome, ensure, ensure_eq, explained, seed, sized, trial};
use crate::weed::{ACCESS_KEY, SECRET_KEY, Weed, http};

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("object_storage::life_of_parts", life));
    trials.push(trial("object_storage::refused_starts", refused_starts));
    trials.push(trial("object_storage::away_and_back", away));
    trials.push(trial("object_storage::faults_on_the_way", faults));
    trials.push(trial("object_storage::files_in_buckets", files));
}

/// Rows that go to parts at once.
const BULK: &str = "SELECT g AS id, 'name ' || g AS name FROM generate_series(1, 150000) g";

/// Text of a number that no encoder makes smaller.
const TEXT: &str = "md5(g || 'a') || md5(g || 'b') || md5(g || 'c') || md5(g || 'd') || md5(g || 'e') || md5(g || 'f')";

/// The settings of a server with its parts below a prefix of the bucket `data`.
struct Settings(Vec<(String, String)>);

impl Settings {
    fn new(port: u16, prefix: &str) -> Settings {
        let all = [
            ("PARTS_URL", format!("s3://data/{prefix}")),
            ("S3_ENDPOINT", format!("http://127.0.0.1:{port}")),
            ("S3_ALLOW_HTTP", "true".to_string()),
            ("S3_ACCESS_KEY", ACCESS_KEY.to_string()),
            ("S3_SECRET_KEY", SECRET_KEY.to_string()),
            ("S3_TIMEOUT", "3s".to_string()),
        ];
        Settings(all.into_iter().map(|(key, value)| (format!("SIGHTLINE_{key}"), value)).collect())
    }

    /// With another value.
    fn but(&self, key: &str, value: &str) -> Settings {
        let key = format!("SIGHTLINE_{key}");
        let mut all = self.0.iter().filter(|(k, _)| *k != key).cloned().collect::<Vec<_>>();
        all.push((key, value.to_string()));
        Settings(all)
    }

    fn start(&self, data: &Path) -> Outcome<Server> {
        let all = self.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
        Server::start(data, &all)
    }
}

/// What a server says that does not start.
fn refused(settings: &Settings, data: &Path) -> Outcome<String> {
    match settings.start(data) {
        Ok(_) => Err("the server started".into()),
        Err(e) => Ok(e.message().unwrap_or_default().to_string()),
    }
}

/// The parts that the manifests list, as paths in the bucket.
async fn listed(client: &mut Client, prefix: &str) -> Outcome<BTreeSet<String>> {
    let paths = ask(client, "SELECT path FROM sys.parts WHERE tier = 'cold' ORDER BY path").await?;
    Ok(paths.split(';').filter(|p| !p.is_empty()).map(|p| format!("data/{prefix}/{p}")).collect())
}

/// Waits until the bucket holds the parts that are listed and nothing else, and no upload.
async fn settled(weed: &Weed, client: &mut Client, prefix: &str) -> Outcome {
    let begun = Instant::now();
    loop {
        let wanted = listed(client, prefix).await?;
        let found = weed.list(&format!("data/{prefix}/cold")).await?.into_iter().collect::<BTreeSet<_>>();
        let uploads = weed.uploads("data").await?;
        if wanted == found && uploads == 0 {
            return Ok(());
        }
        let late = begun.elapsed() > Duration::from_secs(60);
        ensure!(!late, "{uploads} uploads; listed {wanted:?}, in the bucket {found:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn life() -> Outcome {
    let weed = Weed::start(&["data"]).await?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let settings = Settings::new(weed.port, "deep/one");
    let mut server = settings.start(&data)?;
    let mut client = server.connect().await?;
    let sums = "150000,11250075000";
    script(
        &mut client,
        &[
            ("CREATE TABLE t (id bigint, name text)", "CREATE TABLE"),
            (&format!("INSERT INTO t {BULK}"), "INSERT 0 150000"),
            ("SELECT count(*), sum(id) FROM t", sums),
            ("SELECT tier, rows FROM sys.parts", "cold,150000"),
            ("SELECT url, state FROM sys.object_storage", "s3://data/deep/one,ok"),
            ("SELECT count(*), sum(id) FROM t WHERE name LIKE '%7'", "15000,1125030000"),
            ("SELECT cache_hits > 0, cache_misses > 0, cache_bytes > 0 FROM sys.object_storage", "t,t,t"),
        ],
    )
    .await?;
    settled(&weed, &mut client, "deep/one").await?;
    let marker = weed.get("data/deep/one/SIGHTLINE").await?;
    ensure_eq!(marker, std::fs::read_to_string(data.join("PARTS"))?.replace("s3://data/deep/one\n", ""), "the marker");
    // A large part goes up in pieces.
    let wide = format!("SELECT g, {TEXT} FROM generate_series(1, 110000) g");
    script(
        &mut client,
        &[
            ("CREATE TABLE wide (id bigint, text text)", "CREATE TABLE"),
            (&format!("INSERT INTO wide {wide}"), "INSERT 0 110000"),
            ("SELECT count(*), count(DISTINCT text), min(length(text)) FROM wide", "110000,110000,192"),
        ],
    )
    .await?;
    settled(&weed, &mut client, "deep/one").await?;
    // What a crash leaves is swept, what is somebody else's is not.
    for stray in ["data/deep/one/cold/1/2/all/stray.parquet", "data/deep/two/cold/other.parquet"] {
        weed.put(stray, b"stray").await?;
    }
    server.kill();
    let mut server = settings.start(&data)?;
    let mut client = server.connect().await?;
    settled(&weed, &mut client, "deep/one").await?;
    ensure_eq!(weed.list("data/deep/two").await?.len(), 1, "objects of the other prefix");
    script(&mut client, &[("SELECT count(*), sum(id) FROM t", sums)]).await?;
    script(&mut client, &[("DROP TABLE wide", "DROP TABLE"), ("TRUNCATE t", "TRUNCATE TABLE")]).await?;
    settled(&weed, &mut client, "deep/one").await?;
    ensure_eq!(weed.list("data/deep/one/cold").await?, Vec::<String>::new(), "objects of dropped tables");
    let metrics = http(server.http_port, "GET", "/metrics", b"").await?.1;
    ensure!(
        metrics.contains("\nsightline_objects_requests_total ")
            && metrics.contains("\nsightline_part_cache_hits_total "),
        "{metrics}"
    );
    ensure!(!server.logged()?.contains(SECRET_KEY), "the secret is in the log");
    server.kill();
    Ok(())
}

async fn refused_starts() -> Outcome {
    let weed = Weed::start(&["data", "other"]).await?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let fresh = folder.path().join("fresh");
    let settings = Settings::new(weed.port, "one").but("S3_TIMEOUT", "500ms");
    let server = settings.start(&data)?;
    let mut client = server.connect().await?;
    script(&mut client, &[(&format!("CREATE TABLE t AS {BULK}"), "SELECT 150000")]).await?;
    ensure!(server.stop()?.success(), "the server did not stop");
    for (settings, data, wanted) in [
        (settings.but("PARTS_URL", "s3://data/two"), &data, "lie in s3://data/one, not in s3://data/two"),
        (settings.but("PARTS_URL", ""), &data, "lie in s3://data/one, not in the data directory"),
        (settings.but("PARTS_URL", "s3://data/one"), &fresh, "s3://data/one holds the parts of another data directory"),
        (settings.but("PARTS_URL", "s3://nobucket/one"), &fresh, "NoSuchBucket"),
        (settings.but("S3_SECRET_KEY", "wrongsecret"), &data, "SignatureDoesNotMatch"),
        (settings.but("S3_ACCESS_KEY", "wrongkey"), &data, "InvalidAccessKeyId"),
        (settings.but("S3_ENDPOINT", "http://127.0.0.1:9"), &data, "at http://127.0.0.1:9: Connection refused"),
        (settings.but("S3_ALLOW_HTTP", "false"), &data, "is not encrypted"),
        (settings.but("S3_SECRET_KEY", ""), &data, "s3_access_key and s3_secret_key go together"),
        (settings.but("PARTS_URL", "file:///tmp"), &data, "invalid value for \"parts_url\""),
    ] {
        let said = refused(&settings, data)?;
        ensure!(said.contains(wanted), "got {said}, wanted {wanted}");
        ensure!(!said.contains(SECRET_KEY) && !said.contains("wrongsecret"), "a secret is shown: {said}");
    }
    let server = settings.start(&data)?;
    let mut client = server.connect().await?;
    script(&mut client, &[("SELECT count(*) FROM t", "150000")]).await?;
    // Without any parts a data directory may go elsewhere.
    script(&mut client, &[("DROP TABLE t", "DROP TABLE")]).await?;
    ensure!(server.stop()?.success(), "the server did not stop");
    drop(settings.but("PARTS_URL", "s3://other").start(&data)?);
    ensure!(settings.but("PARTS_URL", "").start(&data).is_ok(), "an empty data directory could not go home");
    Ok(())
}

async fn away() -> Outcome {
    let weed = Weed::start(&["data"]).await?;
    let proxy = Proxy::start(weed.port, 1).await?;
    let folder = tempfile::tempdir()?;
    let settings = Settings::new(proxy.port, "one").but("PART_CACHE_SIZE", "0").but("FLUSH_BYTES", "1MiB");
    let server = settings.start(&folder.path().join("data"))?;
    let mut client = server.connect().await?;
    script(
        &mut client,
        &[
            (&format!("CREATE TABLE cold AS {BULK}"), "SELECT 150000"),
            ("CREATE TABLE hot (id bigint, name text)", "CREATE TABLE"),
            ("INSERT INTO hot VALUES (1, 'one')", "INSERT 0 1"),
            ("CREATE TABLE flushed (id bigint, name text)", "CREATE TABLE"),
        ],
    )
    .await?;
    let flush_errors = async || -> Outcome<u64> {
        let metrics = http(server.http_port, "GET", "/metrics", b"").await?.1;
        let line = metrics.lines().find(|l| l.starts_with("sightline_flush_errors_total ")).ok_or("no such metric")?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    proxy.set(GONE);
    let begun = Instant::now();
    let lost = "58030 object storage cannot be reached";
    script(
        &mut client,
        &[
            // Recent rows are served, and writes are taken.
            ("SELECT * FROM hot", "1,one"),
            ("INSERT INTO hot VALUES (2, 'two')", "INSERT 0 1"),
            ("SELECT count(*) FROM hot", "2"),
            // What lies in the bucket is not.
            ("SELECT sum(id) FROM cold", lost),
            ("SELECT count(*) FROM cold c JOIN hot h ON h.id = c.id AND h.name < c.name", lost),
            // A cancel does not wait for it.
            ("SET statement_timeout = '300ms'", "SET"),
        ],
    )
    .await?;
    let asked = Instant::now();
    script(&mut client, &[("SELECT sum(id) FROM cold", "57014 "), ("RESET statement_timeout", "RESET")]).await?;
    ensure!(asked.elapsed() < Duration::from_secs(2), "the cancel took {:?}", asked.elapsed());
    // Loads that go to the bucket fail, and nothing of them is there.
    script(
        &mut client,
        &[
            (&format!("INSERT INTO hot {BULK}"), lost),
            (&format!("CREATE TABLE never AS {BULK}"), lost),
            ("SELECT count(*) FROM hot", "2"),
            ("SELECT state FROM sys.object_storage", "away"),
        ],
    )
    .await?;
    let (status, text) = http(server.http_port, "GET", "/ready", b"").await?;
    ensure!(status == 200 && text.starts_with("ready, but object storage has not answered"), "{status} {text}");
    // A flush that is due fails and is tried again.
    let mut rows = 0;
    while rows < 30_000 || begun.elapsed() < sized(Duration::from_secs(4), Duration::from_secs(60)) {
        let insert = format!("INSERT INTO flushed SELECT g, '{}' FROM generate_series(1, 5000) g", "x".repeat(60));
        script(&mut client, &[(&insert, "INSERT 0 5000")]).await?;
        rows += 5000;
        tokio::time::sleep(sized(Duration::from_millis(100), Duration::from_secs(2))).await;
    }
    let begun = Instant::now();
    while flush_errors().await? == 0 {
        ensure!(begun.elapsed() < Duration::from_secs(30), "no flush has failed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    script(&mut client, &[("SELECT count(*) FROM flushed", &rows.to_string())]).await?;
    // Back: all is as if nothing had been.
    proxy.set(FINE);
    let begun = Instant::now();
    while ask(&mut client, "SELECT count(*) FROM sys.parts WHERE table_name = 'flushed' AND tier = 'cold'").await?
        == "0"
    {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the flush does not go on: {}", server.logged()?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    script(
        &mut client,
        &[
            ("SELECT sum(id) FROM cold", "11250075000"),
            ("SELECT count(*) FROM flushed", &rows.to_string()),
            (&format!("INSERT INTO hot {BULK}"), "INSERT 0 150000"),
            ("SELECT count(*) FROM hot", "150002"),
            ("SELECT state, errors > 0, repeats > 0 FROM sys.object_storage", "ok,t,t"),
        ],
    )
    .await?;
    ensure_eq!(http(server.http_port, "GET", "/ready", b"").await?.1, "ready\n", "/ready");
    settled(&weed, &mut client, "one").await
}

async fn faults() -> Outcome {
    let mut chance = Chance(seed());
    let seed = chance.0;
    let ran = faulty(&mut chance).await;
    ran.map_err(|e| explained(format!("SIGHTLINE_TEST_SEED={seed}"), &e))
}

/// Loads, small writes that are flushed, and queries, under faults of all kinds.
async fn faulty(chance: &mut Chance) -> Outcome {
    let weed = Weed::start(&["data"]).await?;
    let proxy = Proxy::start(weed.port, chance.below(u64::MAX)).await?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let settings = Settings::new(proxy.port, "one")
        .but("FLUSH_BYTES", "256KiB")
        .but("PART_CACHE_SIZE", "2MiB")
        .but("S3_TIMEOUT", "2s");
    let mut server = settings.start(&data)?;
    let mut client = server.connect().await?;
    script(
        &mut client,
        &[
            ("CREATE TABLE wide (batch integer, n integer, text text)", "CREATE TABLE"),
            ("CREATE TABLE small (batch integer, n integer)", "CREATE TABLE"),
        ],
    )
    .await?;
    let (mut wide, mut small, mut failed) = (0_u64, 0_u64, 0);
    let rounds = sized(5, 80);
    for round in 0..rounds {
        let fault = [Some(Fault::CutRequest), None, Some(Fault::Busy), Some(Fault::CutAnswer)][round % 4];
        proxy.set(Rule { fault, percent: if fault == Some(Fault::CutRequest) { 60 } else { 30 } });
        // Parts of 30 MB: some go up in pieces, of which one is cut.
        let load = format!("INSERT INTO wide SELECT {round}, g, {TEXT} FROM generate_series(1, 110000) g");
        match ask(&mut client, &load).await?.as_str() {
            "INSERT 0 110000" => wide += 1,
            refused if refused.starts_with("58030 ") => failed += 1,
            other => return Err(format!("round {round}: {other}").into()),
        }
        for batch in 0..4 {
            let insert = format!("INSERT INTO small SELECT {batch}, g FROM generate_series(1, 8000) g");
            script(&mut client, &[(&insert, "INSERT 0 8000")]).await?;
            small += 8000;
        }
        let all = [
            ("SELECT count(*), count(DISTINCT batch) FROM wide".to_string(), format!("{},{wide}", wide * 110_000)),
            ("SELECT sum(length(text)) FROM wide".to_string(), (wide * 110_000 * 192).to_string()),
            ("SELECT count(*), sum(n) FROM small".to_string(), format!("{small},{}", small / 8000 * 32_004_000)),
        ];
        for (sql, wanted) in all {
            let got = ask(&mut client, &sql).await?;
            let right = got == wanted || wide == 0 && sql.contains("length") && got == "NULL";
            ensure!(right || got.starts_with("58030 "), "round {round}: {sql}: got {got}, wanted {wanted}");
        }
        if round + 1 == rounds / 2 {
            server.kill();
            proxy.set(FINE);
            server = settings.start(&data)?;
            client = server.connect().await?;
        }
    }
    let (_, faults, cut) = proxy.counts();
    proxy.set(FINE);
    ensure!(faults > 10 && cut > 0, "{faults} faults, {cut} pieces cut");
    ensure!(wide > 0, "no load went through, {failed} failed");
    let numbers = format!("{},{wide}", wide * 110_000);
    script(&mut client, &[("SELECT count(*), count(DISTINCT batch) FROM wide", &numbers)]).await?;
    // Each load is there once.
    let twice = "SELECT count(*) FROM (SELECT count(*) AS c, sum(n) AS s FROM wide GROUP BY batch) x \
                 WHERE c <> 110000 OR s <> 6050055000";
    script(&mut client, &[(twice, "0")]).await?;
    script(&mut client, &[("SELECT count(*) FROM small", &small.to_string())]).await?;
    server.kill();
    let server = settings.start(&data)?;
    let mut client = server.connect().await?;
    script(&mut client, &[("SELECT count(*), count(DISTINCT batch) FROM wide", &numbers)]).await?;
    script(&mut client, &[("SELECT count(*) FROM small", &small.to_string())]).await?;
    let cached = data.join("cache");
    let bytes = std::fs::read_dir(&cached)?.map(|f| Ok(f?.metadata()?.len())).sum::<std::io::Result<u64>>()?;
    ensure!(bytes <= 2 << 20, "the cache holds {bytes} bytes");
    settled(&weed, &mut client, "one").await
}

async fn files() -> Outcome {
    let weed = Weed::start(&["data", "secret"]).await?;
    let proxy = Proxy::start(weed.port, 7).await?;
    let folder = tempfile::tempdir()?;
    let settings = Settings::new(proxy.port, "one").but("PARTS_URL", "");
    let server = settings.start(&folder.path().join("none"))?;
    let mut client = server.connect().await?;
    let unset = "55000 objects of S3 cannot be used: s3_files is not set";
    script(
        &mut client,
        &[
            ("CREATE TABLE t (id integer, name text)", "CREATE TABLE"),
            ("COPY t FROM 's3://data/in/a.csv'", unset),
            ("COPY t TO 's3://data/out/a.csv'", unset),
            ("SELECT * FROM read_csv('s3://data/in/*.csv')", unset),
        ],
    )
    .await?;
    drop(server);
    let settings = settings.but("S3_FILES", "s3://data/in, s3://data/out/");
    let server = settings.start(&folder.path().join("data"))?;
    let mut client = server.connect().await?;
    weed.put("data/in/a.csv", b"id,name\n1,one\n2,two\n").await?;
    weed.put("data/in/b.csv", b"name,id\nthree,3\n").await?;
    weed.put("data/in/deep/c.csv", b"id,name\n4,four\n").await?;
    weed.put("data/in/bad.csv", b"id,name\n1,one\nx,two\n").await?;
    weed.put("data/in/n.json", b"{\"a\":1}\n{\"a\":2}\n").await?;
    weed.put("data/inner.csv", b"id\n1\n").await?;
    weed.put("secret/a.csv", b"id\n1\n").await?;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"id,name\n7,seven\n")?;
    weed.put("data/in/z.csv.gz", &packed.finish()?).await?;
    let outside = |name: &str| format!("42501 \"s3://{name}\" is outside of s3_files");
    let large =
        "SELECT g AS id, md5(g || 'a') || md5(g || 'b') || md5(g || 'c') AS name FROM generate_series(1, 120000) g";
    script(
        &mut client,
        &[
            ("CREATE TABLE t (id integer, name text)", "CREATE TABLE"),
            ("COPY t FROM 's3://data/in/a.csv' (FORMAT csv, HEADER)", "COPY 2"),
            ("SELECT * FROM t ORDER BY id", "1,one;2,two"),
            ("SELECT id, name FROM read_csv('s3://data/in/[ab].csv') ORDER BY id", "1,one;2,two;3,three"),
            ("SELECT count(*) FROM read_csv('s3://data/in/**/c.csv')", "1"),
            ("SELECT * FROM read_csv('s3://data/in/z.csv.gz')", "7,seven"),
            ("SELECT sum(a) FROM read_json('s3://data/in/n.json')", "3"),
            ("SELECT column_name, data_type FROM sys.detect('s3://data/in/a.csv')", "id,bigint;name,text"),
            ("CREATE TABLE made AS SELECT * FROM read_csv('s3://data/in/b.csv')", "SELECT 1"),
            // Nothing but what is allowed.
            ("SELECT * FROM read_csv('s3://data/inner.csv')", &outside("data/inner.csv")),
            ("SELECT * FROM read_csv('s3://secret/a.csv')", &outside("secret/a.csv")),
            ("SELECT * FROM read_csv('s3://data/*/a.csv')", &outside("data/*/a.csv")),
            ("SELECT * FROM read_csv('s3://data/in/../inner.csv')", &outside("data/in/../inner.csv")),
            ("COPY t TO 's3://data/in2/a.csv'", &outside("data/in2/a.csv")),
            (
                "COPY t FROM 's3://data/in/none.csv'",
                "58P01 could not open file \"s3://data/in/none.csv\" for reading: No such object",
            ),
            ("SELECT * FROM read_csv('s3://data/in/none*.csv')", "58P01 no file matches \"s3://data/in/none*.csv\""),
            ("COPY t FROM 's3://data/in/'", "42602 \"s3://data/in/\" is no name of an object"),
            (
                "COPY t FROM 's3://data/in/bad.csv' (FORMAT csv, HEADER)",
                "22P02 invalid input syntax for type integer: \"x\"",
            ),
            ("SELECT count(*) FROM t", "2"),
            // Out, in pieces, and in again.
            ("COPY t TO 's3://data/out/small.csv' (FORMAT csv, HEADER)", "COPY 2"),
            (&format!("COPY ({large}) TO 's3://data/out/large.csv' (FORMAT csv)"), "COPY 120000"),
            (
                "SELECT count(*), sum(column1), count(DISTINCT column2) FROM read_csv('s3://data/out/large.csv')",
                "120000,7200060000,120000",
            ),
            ("COPY t FROM 's3://data/out/large.csv' (FORMAT csv)", "COPY 120000"),
        ],
    )
    .await?;
    ensure_eq!(weed.get("data/out/small.csv").await?, "id,name\n1,one\n2,two\n", "the small file");
    // Who may.
    script(&mut client, &[("CREATE ROLE plain LOGIN", "CREATE ROLE")]).await?;
    let mut plain = Client::connect(server.port, "plain", crate::server::DATABASE).await?;
    script(
        &mut plain,
        &[
            ("SELECT * FROM read_csv('s3://data/in/a.csv')", "42501 "),
            ("COPY (SELECT 1) TO 's3://data/out/x'", "42501 "),
        ],
    )
    .await?;
    // A query that fails, a cancel, and a store that goes away leave what was there.
    let divided = format!("COPY (SELECT 1 / (120000 - id), name FROM ({large}) x) TO 's3://data/out/small.csv'");
    script(&mut client, &[(&divided, "22012 division by zero")]).await?;
    proxy.set(Rule { fault: Some(Fault::CutRequest), percent: 100 });
    // In one request: an upload in pieces whose beginning is cut off is begun all the same, and nobody knows its number.
    let small = "COPY (SELECT 3, 'three') TO 's3://data/out/small.csv'";
    script(&mut client, &[(small, "58030 could not write to file \"s3://data/out/small.csv\": ")]).await?;
    proxy.set(GONE);
    script(
        &mut client,
        &[
            (small, "58030 could not write to file \"s3://data/out/small.csv\": object storage cannot be reached: "),
            ("COPY t FROM 's3://data/in/a.csv'", "58030 could not open file \"s3://data/in/a.csv\" for reading: "),
            (
                "SELECT * FROM read_csv('s3://data/in/*.csv')",
                "58030 could not list file \"s3://data/in/*.csv\" for reading: ",
            ),
            ("SET statement_timeout = '300ms'", "SET"),
            ("COPY t FROM 's3://data/in/a.csv'", "57014 "),
            ("SELECT * FROM read_csv('s3://data/in/a.csv')", "57014 "),
            (small, "57014 "),
            ("RESET statement_timeout", "RESET"),
        ],
    )
    .await?;
    // Half way through a file.
    proxy.set(FINE);
    proxy.set(Rule { fault: Some(Fault::CutAnswer), percent: 30 });
    let all = ask(&mut client, "COPY t FROM 's3://data/out/large.csv' (FORMAT csv)").await?;
    ensure!(all == "COPY 120000" || all.starts_with("58030 "), "{all}");
    proxy.set(FINE);
    let rows = if all.starts_with("COPY") { "240002" } else { "120002" };
    script(&mut client, &[("SELECT count(*) FROM t", rows)]).await?;
    // The old one or the new one, as after any request whose answer is lost; never half of one.
    let left = weed.get("data/out/small.csv").await?;
    ensure!(left == "id,name\n1,one\n2,two\n" || left == "3\tthree\n", "the small file: {left}");
    ensure_eq!(weed.list("data/out").await?, ["data/out/large.csv", "data/out/small.csv"], "files");
    let begun = Instant::now();
    while weed.uploads("data").await? > 0 {
        ensure!(begun.elapsed() < Duration::from_secs(90), "uploads are left");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ensure!(!server.logged()?.contains(SECRET_KEY), "the secret is in the log");
    Ok(())
}
