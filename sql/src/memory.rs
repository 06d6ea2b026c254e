//! Who may hold how much memory: the node's [`Budget`], of it each tenant's part, of that each statement's.
//!
//! A statement has one [`StatementMemory`]. DataFusion's operators and our own ask its pool before they hold much; the pool asks
//! three limits: `statement_memory_limit`, the tenant's `tenant_memory_limit`, and the node's `memory_limit`. Refused, an
//! operator that can spill does so ([`spill`]), another fails with 53200. Those that can spill have to leave a quarter to those that
//! cannot, unless their statement holds less than its fair share: else the first large sort would starve the others.

mod spill;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::Mutex;
use sightline_storage::budget::{Budget, Holder};
use sightline_storage::catalog::MetaCatalog;
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::ids::TenantId;

pub(crate) use self::spill::SPILL_LIMIT;
use self::spill::{SpillSpace, Spills};
use crate::settings::{self, Settings};

/// A statement that holds more is listed, and counts when memory is shared out.
const LISTED_BYTES: u64 = 1 << 20;
/// A line of data may be one part in so many of the memory that its statement may have …
const LINE_FRACTION: u64 = 16;
/// … but this much in any case …
const LINE_BYTES_MIN: usize = 1 << 20;
/// … and no more than this: the client forgot a quote, or the newlines.
const LINE_BYTES_MAX: usize = 256 << 20;
/// A sort keeps one part in so many of the memory it may have for merging …
const SORT_RESERVE_FRACTION: u64 = 64;
/// … and no more than DataFusion would.
const SORT_RESERVE_MAX: usize = 10 << 20;
/// An operator that holds less spills only if what is counted leaves no room.
const SPILLED_MIN: usize = 4 << 20;
/// So many tenants are remembered before those without statements are forgotten.
const TENANTS_MIN: usize = 1024;

/// The memory of a node as statements see it.
pub(crate) struct Memory {
    budget: Arc<Budget>,
    space: Arc<SpillSpace>,
    tenants: Mutex<HashMap<TenantId, Arc<TenantMemory>>>,
    /// Statements that hold much.
    statements: Mutex<BTreeMap<u64, Arc<Usage>>>,
    /// How many these are.
    many: AtomicUsize,
    next: AtomicU64,
}

/// What the statements of one tenant hold together.
#[derive(Debug, Default)]
struct TenantMemory {
    held: AtomicU64,
    limit: AtomicU64,
}

/// Whose statement it is, and what it may hold.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) pid: i32,
    pub(crate) tenant: TenantId,
    /// Bytes; none for no limit but those around it.
    pub(crate) statement_limit: Option<u64>,
    pub(crate) tenant_limit: Option<u64>,
    pub(crate) spill_limit: Option<u64>,
}

impl Owner {
    /// What belongs to no statement.
    pub(crate) fn node() -> Owner {
        Owner { pid: 0, tenant: TenantId(0), statement_limit: None, tenant_limit: None, spill_limit: None }
    }

    /// A statement of a session. The tenant's limit is what an operator has set for it (`ALTER DATABASE … SET`).
    pub(crate) fn statement(pid: i32, tenant: TenantId, meta: &MetaCatalog, settings: &Settings) -> Owner {
        let set = meta.tenant(tenant).and_then(|t| t.settings.iter().find(|(name, _)| name == TENANT));
        let tenant_limit = set.and_then(|(_, value)| settings::kilobytes(value));
        let (statement_limit, spill_limit) = (settings.statement_memory(), settings.temp_files());
        Owner { pid, tenant, statement_limit, tenant_limit, spill_limit }
    }
}

/// What one statement holds.
#[derive(Debug)]
pub(crate) struct Usage {
    number: u64,
    pub(crate) owner: Owner,
    held: AtomicU64,
    peak: AtomicU64,
    spilled: AtomicU64,
    listed: AtomicBool,
    tenant: Arc<TenantMemory>,
}

impl Usage {
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes in files.
    pub(crate) fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }
}

impl Memory {
    pub(crate) fn new(engine: &Arc<Engine>) -> Arc<Memory> {
        Arc::new(Memory {
            budget: engine.memory().clone(),
            space: Arc::new(SpillSpace::new(engine.clone())),
            tenants: Mutex::default(),
            statements: Mutex::default(),
            many: AtomicUsize::new(0),
            next: AtomicU64::new(0),
        })
    }

    /// The node's budget.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Bytes of temporary files.
    pub(crate) fn spilled(&self) -> u64 {
        self.space.held()
    }

    /// Memory for one statement.
    pub(crate) fn statement(self: &Arc<Memory>, owner: Owner) -> Arc<StatementMemory> {
        let tenant = self.tenant(owner.tenant);
        tenant.limit.store(owner.tenant_limit.unwrap_or(u64::MAX), Ordering::Relaxed);
        let usage = Arc::new(Usage {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            owner,
            held: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            tenant,
        });
        let pool = |holder, asks| Arc::new(Pool { memory: self.clone(), usage: usage.clone(), holder, asks });
        Arc::new(StatementMemory {
            queries: pool(Holder::Queries, true),
            loads: pool(Holder::Loads, true),
            writes: pool(Holder::Loads, false),
            runtime: OnceLock::new(),
        })
    }

    /// Statements that hold much, oldest first.
    pub(crate) fn statements(&self) -> Vec<Arc<Usage>> {
        self.statements.lock().values().cloned().collect()
    }

    /// What a tenant's statements hold, and its limit in bytes, if it ever ran one.
    pub(crate) fn tenant_use(&self, tenant: TenantId) -> Option<(u64, Option<u64>)> {
        let tenants = self.tenants.lock();
        let found = tenants.get(&tenant)?;
        let limit = found.limit.load(Ordering::Relaxed);
        Some((found.held.load(Ordering::Relaxed), (limit != u64::MAX).then_some(limit)))
    }

    fn tenant(&self, tenant: TenantId) -> Arc<TenantMemory> {
        let mut tenants = self.tenants.lock();
        if tenants.len() >= TENANTS_MIN && !tenants.contains_key(&tenant) {
            tenants.retain(|_, t| Arc::strong_count(t) > 1);
        }
        tenants.entry(tenant).or_default().clone()
    }

    /// How far the node may be filled by somebody who can spill, with so many bytes in the statement.
    fn most_for_spilling(&self, held: u64) -> u64 {
        let limit = self.budget.limit();
        let fixed = self.budget.held(Holder::Store) + self.budget.held(Holder::Caches);
        let room = limit.saturating_sub(fixed);
        let for_spilling = room / 4 * 3;
        let statements = self.many.load(Ordering::Relaxed) as u64;
        if held <= for_spilling / statements.max(1) { limit } else { fixed + for_spilling }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("budget", &self.budget).finish_non_exhaustive()
    }
}

/// The memory of one statement.
#[derive(Debug)]
pub struct StatementMemory {
    queries: Arc<Pool>,
    loads: Arc<Pool>,
    writes: Arc<Pool>,
    runtime: OnceLock<Arc<RuntimeEnv>>,
}

impl StatementMemory {
    /// For what a query computes.
    pub(crate) fn pool(&self) -> Arc<dyn MemoryPool> {
        self.queries.clone()
    }

    /// What a sort keeps for merging its files, in bytes.
    pub(crate) fn sort_reserve(&self) -> usize {
        let limit = self.queries.usage.owner.statement_limit.unwrap_or(u64::MAX);
        let limit = limit.min(self.queries.memory.budget.limit());
        usize::try_from(limit / SORT_RESERVE_FRACTION).unwrap_or(usize::MAX).min(SORT_RESERVE_MAX)
    }

    /// Bytes that one line of a file or of COPY's data may have. While it is read there is room that doubles as it grows,
    /// and where it is refused and kept there are six of it.
    pub(crate) fn line_max(&self) -> usize {
        let limit = self.queries.usage.owner.statement_limit.unwrap_or(u64::MAX);
        let limit = limit.min(self.queries.memory.budget.limit());
        usize::try_from(limit / LINE_FRACTION).unwrap_or(usize::MAX).clamp(LINE_BYTES_MIN, LINE_BYTES_MAX)
    }

    /// For rows on their way into a table.
    pub(crate) fn loads(&self) -> Arc<dyn MemoryPool> {
        self.loads.clone()
    }

    /// As [`loads`](StatementMemory::loads), for what is small or leads to less being held: only what is counted matters, not
    /// what the system says.
    pub(crate) fn writes(&self) -> Arc<dyn MemoryPool> {
        self.writes.clone()
    }

    /// What the node's statements share, with this statement's memory and files. Made once: a statement may run many plans.
    pub(crate) fn runtime(&self, shared: &RuntimeEnv) -> Result<Arc<RuntimeEnv>> {
        if let Some(made) = self.runtime.get() {
            return Ok(made.clone());
        }
        let spills = Spills::new(self.queries.memory.space.clone(), self.queries.usage.clone());
        let disk = DiskManager::builder().with_temp_file_factory(Arc::new(spills)).build()?;
        let made = RuntimeEnv { memory_pool: self.pool(), disk_manager: Arc::new(disk), ..shared.clone() };
        Ok(self.runtime.get_or_init(|| Arc::new(made)).clone())
    }
}

/// The pool of no statement.
pub(crate) fn none() -> Weak<dyn MemoryPool> {
    Weak::<Pool>::new()
}

/// One statement's memory of one kind, as DataFusion asks for it.
#[derive(Debug)]
struct Pool {
    memory: Arc<Memory>,
    usage: Arc<Usage>,
    holder: Holder,
    /// What the system says matters as well.
    asks: bool,
}

impl Pool {
    fn grown(&self, held: u64) {
        self.usage.peak.fetch_max(held, Ordering::Relaxed);
        if held >= LISTED_BYTES && !self.usage.listed.swap(true, Ordering::Relaxed) {
            let mut statements = self.memory.statements.lock();
            statements.insert(self.usage.number, self.usage.clone());
            self.memory.many.store(statements.len(), Ordering::Relaxed);
        }
    }

    fn refused(&self, bytes: u64, reservation: &MemoryReservation, whose: &str) -> DataFusionError {
        let name = reservation.consumer().name();
        let held = shown(self.usage.held());
        tracing::debug!(pid = self.usage.owner.pid, consumer = name, bytes, whose, "memory refused");
        // Operators know by the kind of the error that they may spill; `explained` finds out the rest from the text.
        DataFusionError::ResourcesExhausted(format!(
            "Failed on request of {} for {name}: the statement holds {held}, {whose}.",
            shown(bytes)
        ))
    }
}

/// Adds to a counter with a limit; the error is what it holds.
fn add(counter: &AtomicU64, bytes: u64, limit: u64) -> Result<u64, u64> {
    let more = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= limit);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(|held| held + bytes)
}

impl MemoryPool for Pool {
    fn name(&self) -> &'static str {
        "statement"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        let bytes = additional as u64;
        let held = self.usage.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.usage.tenant.held.fetch_add(bytes, Ordering::Relaxed);
        self.memory.budget.take(self.holder, bytes);
        self.grown(held);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        let bytes = shrink as u64;
        self.usage.held.fetch_sub(bytes, Ordering::Relaxed);
        self.usage.tenant.held.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.budget.give(self.holder, bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let (usage, bytes) = (&self.usage, additional as u64);
        if bytes == 0 {
            return Ok(());
        }
        let limit = usage.owner.statement_limit.unwrap_or(u64::MAX);
        let Ok(held) = add(&usage.held, bytes, limit) else {
            return Err(self.refused(bytes, reservation, &format!("{STATEMENT} = {}", shown(limit))));
        };
        let tenant_limit = usage.tenant.limit.load(Ordering::Relaxed);
        if let Err(all) = add(&usage.tenant.held, bytes, tenant_limit) {
            usage.held.fetch_sub(bytes, Ordering::Relaxed);
            let whose = format!("its database {} of {TENANT} = {}", shown(all), shown(tenant_limit));
            return Err(self.refused(bytes, reservation, &whose));
        }
        let budget = &self.memory.budget;
        let can_spill = reservation.consumer().can_spill();
        let most = if can_spill { self.memory.most_for_spilling(held) } else { u64::MAX };
        let taken = match self.asks {
            // What it holds beside what is counted is let go with it.
            true if can_spill && reservation.size() >= SPILLED_MIN && budget.is_crowded() => Err(0),
            true => budget.try_take(self.holder, bytes, most),
            false => budget.try_take_counted(self.holder, bytes, most),
        };
        if taken.is_err() {
            usage.held.fetch_sub(bytes, Ordering::Relaxed);
            usage.tenant.held.fetch_sub(bytes, Ordering::Relaxed);
            let (all, limit) = (self.memory.budget.real(), self.memory.budget.limit());
            let whose = format!("the server {} of {NODE} = {}", shown(all), shown(limit));
            return Err(self.refused(bytes, reservation, &whose));
        }
        self.grown(held);
        Ok(())
    }

    fn reserved(&self) -> usize {
        usize::try_from(self.usage.held()).unwrap_or(usize::MAX)
    }

    fn memory_limit(&self) -> MemoryLimit {
        let limit = self.usage.owner.statement_limit.unwrap_or(u64::MAX).min(self.memory.budget.limit());
        MemoryLimit::Finite(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement(held: {})", shown(self.usage.held()))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.usage.listed.load(Ordering::Relaxed) && self.usage.held() == 0 {
            let mut statements = self.memory.statements.lock();
            statements.remove(&self.usage.number);
            self.memory.many.store(statements.len(), Ordering::Relaxed);
        }
    }
}

const STATEMENT: &str = "statement_memory_limit";
pub(crate) const TENANT: &str = "tenant_memory_limit";
const NODE: &str = "memory_limit";

/// The error of a statement that was refused memory and could not do without. `text` is DataFusion's, or that of a pool.
pub(crate) fn explained(text: &str) -> Error {
    let hint = if text.contains(STATEMENT) {
        "Raise statement_memory_limit, or make the statement smaller."
    } else if text.contains(TENANT) {
        "Make the statement smaller, run fewer at once, or ask an operator to raise tenant_memory_limit."
    } else {
        "Raise memory_limit, make the statement smaller, or run fewer statements at once."
    };
    let detail = text.find("Failed on request").map_or(text, |at| &text[at..]);
    Error::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(detail.lines().next().unwrap_or_default()).hint(hint)
}

/// A size for people.
pub(crate) fn shown(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} kB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    }
}
