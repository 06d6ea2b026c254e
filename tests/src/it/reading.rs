//! What a query need not read it does not: partitions and zone maps leave out parts, statistics and bloom filters row groups,
//! the page index pages, filters while decoding rows. EXPLAIN ANALYZE tells all of it.

use libtest_mimic::Trial;

use crate::pg_client::{Answer, Client};
use crate::server::Server;
use crate::support::{Outcome, ensure, ensure_eq, trial};
use crate::wire::single;

/// The trials of this file.
pub(crate) fn trials(trials: &mut Vec<Trial>) {
    trials.push(trial("reading::parts_by_partition_and_zone_map", parts));
    trials.push(trial("reading::row_groups_and_pages", row_groups));
    trials.push(trial("reading::bloom_filters", bloom_filters));
    trials.push(trial("reading::filters_while_decoding", filters));
}

/// The plan's text, as it ran.
async fn analyzed(client: &mut Client, sql: &str) -> Outcome<String> {
    match client.simple(&format!("EXPLAIN ANALYZE {sql}")).await?.pop() {
        Some(Answer::Rows { rows, .. }) => {
            Ok(rows.into_iter().flatten().map(Option::unwrap_or_default).collect::<Vec<_>>().join("\n"))
        }
        other => Err(format!("{sql}: {other:?}").into()),
    }
}

/// The number behind `name=`, and the one behind `→` if there is one.
fn metric(plan: &str, name: &str) -> Outcome<(String, String)> {
    let at = plan.find(&format!("{name}=")).ok_or_else(|| format!("no {name} in {plan}"))?;
    let text = plan[at + name.len() + 1..].split([',', ']']).next().unwrap_or_default();
    let words = text.split(' ').collect::<Vec<_>>();
    let total = words.first().copied().unwrap_or_default().to_string();
    Ok(match words.iter().position(|w| *w == "→") {
        Some(arrow) => (total, words.get(arrow + 1).copied().unwrap_or_default().to_string()),
        None => (total, String::new()),
    })
}

fn pair(total: &str, left: &str) -> (String, String) {
    (total.to_string(), left.to_string())
}

async fn parts() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE t (id bigint, day date, v integer) WITH (partition_by = 'year(day)')").await?;
    let rows = "INSERT INTO t SELECT i, date '2020-01-01' + i / 300, i % 7 FROM generate_series(1, 300000) g(i)";
    client.simple(rows).await?;
    client.simple("INSERT INTO t VALUES (1000000, '2030-01-01', 1)").await?;
    let plan = analyzed(&mut client, "SELECT sum(v) FROM t WHERE day >= '2021-03-01' AND day < '2021-04-01'").await?;
    ensure!(plan.contains("parts=1/3"), "by partition: {plan}");
    ensure_eq!(metric(&plan, "parts_pruned")?.0, "2", "by partition");
    ensure_eq!(metric(&plan, "hot_chunks_pruned")?.0, "1", "hot rows have zone maps as well");
    ensure_eq!((metric(&plan, "cold_rows")?.0, metric(&plan, "hot_rows")?.0), ("109.5".into(), "1".into()), "rows");
    let plan = analyzed(&mut client, "SELECT sum(v) FROM t WHERE id = 77777").await?;
    ensure!(plan.contains("parts=1/3"), "by zone map: {plan}");
    let bounds = "SELECT string_agg(min_value || ' to ' || max_value, ', ' ORDER BY min_value) FROM sys.part_columns \
                  WHERE table_name = 't' AND column_name = 'day' AND null_count = 0 AND is_exact";
    let wanted = "2020-01-01 to 2020-12-31, 2021-01-01 to 2021-12-31, 2022-01-01 to 2022-09-27";
    ensure_eq!(single(&mut client, bounds).await?, wanted, "sys.part_columns");
    let sql = "SELECT count(*) FROM t WHERE id = 77777 OR id = 1000000";
    ensure_eq!(single(&mut client, sql).await?, "2", "rows of both tiers");
    Ok(())
}

async fn row_groups() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE t (id bigint, v bigint) WITH (cluster_by = 'id')").await?;
    client.simple("INSERT INTO t SELECT i, i % 1000 FROM generate_series(1, 700000) g(i)").await?;
    let plan = analyzed(&mut client, "SELECT sum(v) FROM t WHERE id BETWEEN 600000 AND 600100").await?;
    ensure!(plan.contains("parts=1/1"), "one part: {plan}");
    ensure_eq!(metric(&plan, "row_groups_pruned_statistics")?, pair("3", "1"), "of {plan}");
    let (total, left) = metric(&plan, "page_index_pages_pruned")?;
    ensure!(!total.starts_with('0') && left.parse::<u64>()? <= 4, "pages: {total}, {left} left");
    let all = analyzed(&mut client, "SELECT sum(v), sum(id) FROM t").await?;
    let (read, all) = (bytes(&plan, "bytes_scanned")?, bytes(&all, "bytes_scanned")?);
    ensure!(read * 5 < all, "{read} bytes were read of {all}");
    ensure_eq!(single(&mut client, "SELECT sum(v) FROM t WHERE id BETWEEN 600000 AND 600100").await?, "5050", "rows");
    Ok(())
}

/// A size as EXPLAIN shows it, in bytes.
fn bytes(plan: &str, name: &str) -> Outcome<u64> {
    let at = plan.find(&format!("{name}=")).ok_or_else(|| format!("no {name} in {plan}"))?;
    let text = plan[at + name.len() + 1..].split([',', ']']).next().unwrap_or_default();
    let mut words = text.split(' ');
    let number = words.next().unwrap_or_default().parse::<f64>()?;
    let unit = match words.next() {
        Some("KB" | "K") => 1024.0,
        Some("MB" | "M") => 1024.0 * 1024.0,
        _ => 1.0,
    };
    Ok((number * unit) as u64)
}

async fn bloom_filters() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    client.simple("CREATE TABLE t (id bigint, u uuid, h text, short text, n bigint)").await?;
    let rows = "INSERT INTO t SELECT i, md5(i::text)::uuid, md5('x' || i), 's' || i, i::bigint * 7919 % 300007 FROM \
                generate_series(1, 300000) g(i)";
    client.simple(rows).await?;
    let size = "SELECT sum(bytes) FROM sys.parts WHERE table_name = 't'";
    let with: u64 = single(&mut client, size).await?.parse()?;
    for (column, absent, present) in
        [("u", "md5('none')::uuid", "md5('4711')::uuid"), ("h", "md5('none')", "md5('x4711')")]
    {
        let value = single(&mut client, &format!("SELECT {absent}")).await?;
        let plan = analyzed(&mut client, &format!("SELECT id FROM t WHERE {column} = '{value}'")).await?;
        ensure_eq!(metric(&plan, "row_groups_pruned_statistics")?.1, "2", "bounds do not help {column}: {plan}");
        ensure_eq!(metric(&plan, "row_groups_pruned_bloom_filter")?, pair("2", "0"), "{column}: {plan}");
        let value = single(&mut client, &format!("SELECT {present}")).await?;
        let found = format!("SELECT id FROM t WHERE {column} = '{value}'");
        ensure_eq!(single(&mut client, &found).await?, "4711", "{column} that is there");
    }
    // 16 bytes of uuid, 32 of text and the rest make some 25 MB; two filters of 6 bits a row are half a megabyte.
    ensure!(with < 30_000_000, "the part has {with} bytes");
    let plan = analyzed(&mut client, "SELECT id FROM t WHERE short = 'none'").await?;
    ensure!(!plan.contains("row_groups_pruned_bloom_filter=2 total → 0"), "short text has no filter: {plan}");
    Ok(())
}

async fn filters() -> Outcome {
    let server = Server::fresh()?;
    let mut client = server.connect().await?;
    let columns = (0..20).map(|c| format!("c{c} text")).collect::<Vec<_>>().join(", ");
    client.simple(&format!("CREATE TABLE w (id bigint, k bigint, {columns})")).await?;
    let values = (0..20).map(|c| format!("'value {c} of ' || i")).collect::<Vec<_>>().join(", ");
    let rows =
        format!("INSERT INTO w SELECT i, i::bigint * 7919 % 150001, {values} FROM generate_series(1, 150000) g(i)");
    client.simple(&rows).await?;
    let plan = analyzed(&mut client, "SELECT * FROM w WHERE k = 7919").await?;
    ensure!(!plan.contains("FilterExec"), "much beside the filter: {plan}");
    ensure_eq!(metric(&plan, "pushdown_rows_matched")?.0, "1", "rows that passed: {plan}");
    ensure_eq!(single(&mut client, "SELECT c7 FROM w WHERE k = 7919").await?, "value 7 of 1", "a row");
    let plan = analyzed(&mut client, "SELECT count(*) FROM w WHERE c3 LIKE '%9999%'").await?;
    ensure!(plan.contains("FilterExec"), "nothing beside the filter: {plan}");
    // Both tiers filter then.
    client.simple("INSERT INTO w (id, k, c7) VALUES (1, 7919, 'hot'), (2, 5, 'other')").await?;
    let both = "SELECT string_agg(c7, ',' ORDER BY c7) FROM (SELECT * FROM w WHERE k = 7919) x";
    ensure_eq!(single(&mut client, both).await?, "hot,value 7 of 1", "rows of both tiers");
    Ok(())
}
