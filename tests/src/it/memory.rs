//! A large result streams: it does not grow the server, however slowly the client reads; nor do idle connections.

use libtest_mimic::Trial;

use crate::pg_client::{Client, bind, execute, fields, parse, query, sync};
use crate::server::{DATABASE, Server, USER};
use crate::support::{Outcome, ensure, ensure_eq, sized, trial};
use crate::wire::single;

/// The most a server may grow while it sends a result.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("memory::large_result_simple", || large_result(false)));
    trials.push(trial("memory::large_result_extended", || large_result(true)));
    trials.push(trial("memory::large_table_by_copy", large_copy));
    trials.push(trial("memory::idle_connections", idle_connections));
}

async fn large_result(extended: bool) -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_MEMORY_LIMIT", "512MiB")])?;
    let mut client = server.connect().await?;
    let bytes_wanted: u64 = sized(200_000_000, 1_000_000_000);
    let rows = bytes_wanted / 1000;
    let sql = |rows| format!("SELECT i, repeat('x', 1000) FROM generate_series(1, {rows}) AS g(i)");
    // A first, small run: what a first query loads is not growth.
    stream(&mut client, &sql(5000), extended, &server).await?;
    let before = server.resident_bytes()?;
    let (received, highest) = stream(&mut client, &sql(rows), extended, &server).await?;
    ensure!(received >= bytes_wanted, "received {received} bytes");
    let growth = highest.saturating_sub(before);
    ensure!(growth < GROWTH_BYTES_MAX, "the server grew by {} MiB for {} MB", growth >> 20, received / 1_000_000);
    Ok(())
}

/// Reads a whole result; answers its bytes and the highest resident size of the server meanwhile.
async fn stream(client: &mut Client, sql: &str, extended: bool, server: &Server) -> Outcome<(u64, u64)> {
    let out = if extended {
        [parse("", sql, &[]), bind("", "", &[], 0), execute("", 0), sync()].concat()
    } else {
        query(sql)
    };
    client.send(&out).await?;
    let (mut received, mut rows, mut highest) = (0, 0_u64, 0);
    loop {
        let frame = client.read().await?;
        match frame.tag {
            b'D' => {
                received += frame.body.len() as u64;
                rows += 1;
                if rows % 5000 == 0 {
                    highest = highest.max(server.resident_bytes()?);
                }
            }
            b'E' => return Err(fields(&frame.body).message().to_string().into()),
            b'Z' => return Ok((received, highest)),
            _ => {}
        }
    }
}

async fn large_copy() -> Outcome {
    let server = Server::fresh_with(&[("SIGHTLINE_MEMORY_LIMIT", "512MiB")])?;
    let mut client = server.connect().await?;
    let rows: u64 = sized(200_000, 1_000_000);
    client.simple("CREATE TABLE t (id bigint, filler text)").await?;
    let sql = format!("INSERT INTO t SELECT i, repeat('y', 200) FROM generate_series(1, {rows}) AS g(i)");
    client.simple(&sql).await?;
    ensure_eq!(single(&mut client, "SELECT count(*) FROM t").await?, rows.to_string(), "rows");
    client.send(&query("COPY t TO STDOUT")).await?;
    let (mut bytes, before, mut highest, mut frames) = (0_u64, server.resident_bytes()?, 0, 0_u64);
    loop {
        let frame = client.read().await?;
        match frame.tag {
            b'd' => bytes += frame.body.len() as u64,
            b'E' => return Err(fields(&frame.body).message().to_string().into()),
            b'Z' => break,
            _ => {}
        }
        frames += 1;
        if frames % 1000 == 0 {
            highest = highest.max(server.resident_bytes()?);
        }
    }
    ensure!(bytes > rows * 200, "{bytes} bytes");
    let growth = highest.saturating_sub(before);
    ensure!(growth < 2 * GROWTH_BYTES_MAX, "the server grew by {} MiB", growth >> 20);
    Ok(())
}

async fn idle_connections() -> Outcome {
    let server = Server::fresh()?;
    let before = server.resident_bytes()?;
    let mut clients = Vec::new();
    for n in 0..1000 {
        // Some by the driver, most by hand, all alive until the end.
        if n % 10 == 0 {
            let driver = server.driver(DATABASE).await?;
            ensure_eq!(driver.query_one("SELECT 1", &[]).await?.get::<_, i32>(0), 1, "connection {n}");
            clients.push(Idle::Driver(driver));
        } else {
            clients.push(Idle::Raw(Client::connect(server.port, USER, DATABASE).await?));
        }
    }
    let growth = server.resident_bytes()?.saturating_sub(before);
    ensure!(growth < 256 << 20, "1,000 idle connections take {} MiB", growth >> 20);
    let mut one = server.connect().await?;
    let active = single(&mut one, "SELECT count(*) FROM pg_stat_activity").await?;
    ensure!(active.parse::<u64>()? >= 1001, "pg_stat_activity shows {active}");
    for (n, client) in clients.iter_mut().enumerate() {
        match client {
            Idle::Driver(client) => {
                client.query_one("SELECT 2", &[]).await?;
            }
            Idle::Raw(client) => {
                ensure_eq!(single(client, "SELECT 2").await?, "2", "connection {n} after a while");
            }
        }
    }
    Ok(())
}

enum Idle {
    Raw(Client),
    Driver(tokio_postgres::Client),
}
