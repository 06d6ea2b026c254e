//! `/metrics`: what the node counts, in Prometheus' text format, by tenant. Storage and sessions count for themselves;
//! the statements of the listeners are counted here.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sightline_sql::database::Database;
use sightline_storage::budget::Holder;
use sightline_storage::ids::TenantId;
use sightline_storage::metrics::TenantMetrics;

use crate::http::health::Phase;

/// What the listeners did, by tenant. A tenant that was dropped is no longer shown.
#[derive(Debug, Default)]
pub struct Statements(Mutex<BTreeMap<TenantId, Arc<TenantStatements>>>);

/// What one tenant's clients did since the start.
#[derive(Debug, Default)]
pub struct TenantStatements {
    run: AtomicU64,
    failed: AtomicU64,
}

impl Statements {
    /// The counters of a tenant, for a connection to keep.
    pub fn of(&self, tenant: TenantId) -> Arc<TenantStatements> {
        Arc::clone(self.0.lock().entry(tenant).or_default())
    }
}

impl TenantStatements {
    /// Counts a simple query or an Execute message.
    pub fn count_run(&self) {
        self.run.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an error that a client is sent.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The metrics page. There is no database while the node starts.
pub fn render(phase: Phase, statements: &Statements, database: Option<&Arc<Database>>) -> String {
    let mut page = Page::default();
    page.family("sightline_build_info", "gauge", "Always 1; the version is a label.");
    page.sample("sightline_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("sightline_ready", "gauge", "1 while clients are served.");
    page.sample("sightline_ready", &[], u8::from(phase == Phase::Serving));
    process(&mut page);
    if let Some(database) = database {
        let meta = database.engine.meta();
        let names = meta.tenants.iter().map(|(name, tenant)| (tenant.id, name.as_str())).collect();
        sessions(&mut page, database);
        statements_run(&mut page, statements, &names);
        storage(&mut page, database, &names);
        memory(&mut page, database);
    }
    page.0
}

/// What the kernel says of this process.
fn process(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident_bytes(&status) {
        page.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
        page.sample("process_resident_memory_bytes", &[], bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        page.family("process_open_fds", "gauge", "Number of open file descriptors.");
        page.sample("process_open_fds", &[], open.count());
    }
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn sessions(page: &mut Page, database: &Arc<Database>) {
    page.family("sightline_connections_max", "gauge", "The most client connections, of all tenants together.");
    page.sample("sightline_connections_max", &[], database.options.max_connections);
    let mut by_tenant: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for session in database.activity() {
        let (connected, active) = by_tenant.entry(session.info.tenant_name).or_default();
        *connected += 1;
        *active += usize::from(session.state == "active");
    }
    page.family("sightline_connections", "gauge", "Client connections.");
    for (tenant, (connected, _)) in &by_tenant {
        page.sample("sightline_connections", &[("tenant", tenant)], connected);
    }
    page.family("sightline_statements_running", "gauge", "Statements that run now.");
    for (tenant, (_, active)) in &by_tenant {
        page.sample("sightline_statements_running", &[("tenant", tenant)], active);
    }
}

/// The names of tenants. One that was dropped meanwhile has none any more.
type Names<'a> = BTreeMap<TenantId, &'a str>;

/// A value that each tenant has: its name, what it is, and where it stands.
type Gauge = (&'static str, &'static str, fn(&TenantMetrics) -> u64);

fn statements_run(page: &mut Page, statements: &Statements, names: &Names<'_>) {
    let counted = {
        let mut counted = statements.0.lock();
        // What a dropped tenant counted is forgotten; connections that still have it keep their own.
        counted.retain(|id, _| names.contains_key(id));
        counted.clone()
    };
    let mut family = |name, help, counter: fn(&TenantStatements) -> &AtomicU64| {
        page.family(name, "counter", help);
        for (tenant, label) in counted.iter().filter_map(|(id, tenant)| Some((tenant, *names.get(id)?))) {
            page.sample(name, &[("tenant", label)], counter(tenant).load(Ordering::Relaxed));
        }
    };
    family("sightline_statements_total", "Simple queries and Execute messages.", |tenant| &tenant.run);
    family("sightline_statement_errors_total", "Errors that clients were sent.", |tenant| &tenant.failed);
}

fn storage(page: &mut Page, database: &Arc<Database>, names: &Names<'_>) {
    let metrics = database.engine.metrics();
    let counters = [
        ("sightline_log_entries_total", "Entries written to the log.", metrics.log_entries),
        ("sightline_log_syncs_total", "Writes of the log, each with one sync.", metrics.log_syncs),
        ("sightline_log_bytes_total", "Bytes written to the log.", metrics.log_bytes),
        ("sightline_commands_total", "Commands applied or refused.", metrics.commands),
        ("sightline_flushes_total", "Tables written out to parts.", metrics.flushes),
        ("sightline_flush_errors_total", "Flushes that failed and are tried again.", metrics.flush_errors),
        ("sightline_write_waits_total", "Writes that waited for a flush.", metrics.waits),
    ];
    for (name, help, value) in counters {
        page.family(name, "counter", help);
        page.sample(name, &[], value);
    }
    objects(page, database);
    page.family("sightline_writable", "gauge", "0 once the log has failed: nothing can be written until a restart.");
    page.sample("sightline_writable", &[], u8::from(database.engine.is_writable()));
    let gauges: [Gauge; 4] = [
        ("sightline_hot_rows", "Rows that are not in parts yet.", |tenant| tenant.hot_rows),
        ("sightline_hot_bytes", "Memory that those rows hold.", |tenant| tenant.hot_bytes),
        ("sightline_parts", "Parquet parts.", |tenant| tenant.parts),
        ("sightline_part_bytes", "Bytes of those parts.", |tenant| tenant.cold_bytes),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", help);
        for (tenant, label) in metrics.tenants.iter().filter_map(|t| Some((t, *names.get(&t.tenant)?))) {
            page.sample(name, &[("tenant", label)], value(tenant));
        }
    }
}

fn memory(page: &mut Page, database: &Arc<Database>) {
    let budget = database.engine.memory();
    page.family("sightline_memory_limit_bytes", "gauge", "The setting memory_limit.");
    page.sample("sightline_memory_limit_bytes", &[], budget.limit());
    page.family(
        "sightline_memory_bytes",
        "gauge",
        "Memory that is counted against memory_limit, by what it is held for.",
    );
    for holder in Holder::ALL {
        page.sample("sightline_memory_bytes", &[("holder", holder.name())], budget.held(holder));
    }
    page.family("sightline_memory_refused_total", "counter", "Requests for memory that were refused.");
    page.sample("sightline_memory_refused_total", &[], budget.refused());
    page.family("sightline_spilled_bytes", "gauge", "Bytes of the temporary files of running statements.");
    page.sample("sightline_spilled_bytes", &[], database.spilled_bytes());
}

/// The bucket that parts lie in, if they lie in one.
fn objects(page: &mut Page, database: &Arc<Database>) {
    let Some(traffic) = database.engine.traffic() else { return };
    let cache = database.engine.part_cache().unwrap_or_default();
    let away = traffic.away.map_or(0, |away| away.as_secs().max(1));
    let families = [
        (
            "sightline_objects_requests_total",
            "counter",
            "Requests to object storage, repeats included.",
            traffic.requests,
        ),
        (
            "sightline_objects_errors_total",
            "counter",
            "Requests without an answer, or with 5xx, 408 or 429.",
            traffic.errors,
        ),
        (
            "sightline_objects_repeats_total",
            "counter",
            "Requests that were sent again after an error.",
            traffic.repeats,
        ),
        ("sightline_objects_sent_bytes_total", "counter", "Bytes sent to object storage.", traffic.bytes_sent),
        (
            "sightline_objects_received_bytes_total",
            "counter",
            "Bytes that object storage sent.",
            traffic.bytes_received,
        ),
        ("sightline_objects_away_seconds", "gauge", "How long object storage has not answered; 0 while it does.", away),
        ("sightline_part_cache_hits_total", "counter", "Blocks of parts read from the local disk.", cache.hits),
        ("sightline_part_cache_misses_total", "counter", "Blocks of parts that had to be fetched.", cache.misses),
        ("sightline_part_cache_bytes", "gauge", "Bytes of blocks on the local disk.", cache.bytes),
        ("sightline_part_cache_max_bytes", "gauge", "The limit of those bytes.", cache.bytes_max),
    ];
    for (name, kind, help, value) in families {
        page.family(name, kind, help);
        page.sample(name, &[], value);
    }
}

/// The text of a page as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Opens a family of samples; `kind` is `counter` or `gauge`.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a String cannot fail");
    }
}

/// A label's value as the format wants it: a tenant's name may hold anything.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("x", &[("tenant", "a\"b\\c\n"), ("k", "v")], 7);
        assert_eq!(page.0, "x{tenant=\"a\\\"b\\\\c\\n\",k=\"v\"} 7\n");
    }

    #[test]
    fn every_sample_has_a_family() {
        let text = render(Phase::Starting, &Statements::default(), None);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
        assert!(text.contains("sightline_ready 0\n"));
    }

    #[test]
    fn resident_bytes_of_status() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
    }
}
