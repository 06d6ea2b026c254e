//! Where the numbers of sequences come from (<https://www.postgresql.org/docs/15/functions-sequence.html>).
//!
//! A number is drawn outside of any transaction and never twice, also not after a crash. What is durable is how far
//! numbers are *reserved* ([`SequenceState`]): a node reserves a range by one command of the log, and gives the numbers
//! in it out of memory ([`Sequences`]). Ranges grow with the demand, so that neither a million rows nor many clients pay a
//! sync for each number, and what a crash leaves unused is what was asked for within [`SOON`] or PostgreSQL's 32.
//!
//! A sequence that the session's own transaction has made or set anew is nobody else's before COMMIT: its numbers are
//! counted by the session ([`Drawn`]), and COMMIT writes where they stand.

mod place;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::{CastOptions, cast_with_options};
use parking_lot::Mutex;
use sightline_storage::catalog::{ColumnDef, SequenceDef, SequenceState};
use sightline_storage::command::{Command, Op, Outcome};
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{SequenceId, TenantId};
use sightline_storage::types::SqlType;

use crate::plan::{QueryContext, aside, may_draw};

pub(crate) use place::{Place, RESERVED, Run};

/// A range that is used up within this time was too short: the next one is twice as long.
const SOON: Duration = Duration::from_millis(200);
/// The longest range that is reserved for more than what is asked for now.
const RESERVED_MAX: u64 = 1 << 16;
/// From so many sequences on, those that are gone are looked for and forgotten.
const KEPT_MIN: usize = 1024;

/// The ranges that this node has reserved.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    ranges: Mutex<HashMap<(TenantId, SequenceId), SharedRange>>,
}

type SharedRange = Arc<Mutex<Range>>;

/// What is reserved of one sequence.
#[derive(Debug)]
struct Range {
    /// The version of the durable state that it belongs to; 0 for none.
    version: u64,
    place: Place,
    /// How many numbers behind `place` are reserved; they go on without a limit between.
    left: u64,
    /// How many were reserved last, and when.
    asked: u64,
    asked_at: Instant,
}

/// What a session has drawn.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    inner: Mutex<DrawnInner>,
}

#[derive(Debug, Default)]
struct DrawnInner {
    /// The last number of each sequence, which `currval` answers.
    last: HashMap<SequenceId, i64>,
    /// The sequence that `nextval` was last asked for.
    latest: Option<SequenceId>,
    /// Numbers that `CACHE` has the session draw ahead, with the definition they were drawn under.
    cached: HashMap<SequenceId, (Arc<SequenceDef>, Run)>,
    /// Where sequences of the session's own transaction stand, by the version of the state they began from.
    own: BTreeMap<(SequenceId, u64), Place>,
}

/// The sequence as the statement finds it: its own transaction's, or the newest that everybody sees.
fn definition(ctx: &QueryContext, id: SequenceId) -> Result<Arc<SequenceDef>> {
    let gone = || Error::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {id}"));
    let seen = ctx.snapshot.catalog.sequence(id).cloned();
    if is_own(ctx, id) {
        return seen.ok_or_else(gone);
    }
    let now = ctx.database.engine.snapshot(ctx.identity.tenant)?;
    let seen = seen.filter(|_| now.catalog.version == ctx.snapshot.catalog.version);
    seen.or_else(|| now.catalog.sequence(id).cloned()).ok_or_else(gone)
}

/// Whether the statement's transaction has made the sequence or set it.
fn is_own(ctx: &QueryContext, id: SequenceId) -> bool {
    ctx.snapshot.own_sequences.contains(&id)
}

fn own_state(ctx: &QueryContext, id: SequenceId) -> Result<SequenceState> {
    let missing = || Error::internal(format!("sequence {id} has no state"));
    ctx.snapshot.sequences.get(&id).copied().ok_or_else(missing)
}

/// Draws so many numbers: nextval.
///
/// # Errors
/// 2200H at a limit, 42P01 if the sequence is gone, those of the log.
pub(crate) fn draw(ctx: &QueryContext, id: SequenceId, count: usize) -> Result<Vec<i64>> {
    let def = definition(ctx, id)?;
    let mut numbers = Vec::with_capacity(count);
    let mut drawn = ctx.drawn.inner.lock();
    if let Some((of, run)) = drawn.cached.get_mut(&id) {
        if Arc::ptr_eq(of, &def) {
            run.take(count).numbers(&mut numbers);
        } else {
            run.count = 0;
        }
    }
    let missing = (count - numbers.len()) as u64;
    if missing > 0 {
        let cache = def.cache.unsigned_abs().max(1);
        let wanted = missing.div_ceil(cache).saturating_mul(cache);
        let mut runs = if is_own(ctx, id) {
            let state = own_state(ctx, id)?;
            let place = drawn.own.entry((id, state.version)).or_insert_with(|| Place::of(&state));
            let mut runs = Vec::new();
            place.draw(&def, missing, wanted, u64::MAX, &mut runs)?;
            runs
        } else {
            // Others may draw meanwhile; what the session caches is its own all the same.
            drop(drawn);
            let runs = ctx.database.sequences.draw(ctx, &def, missing, wanted)?;
            drawn = ctx.drawn.inner.lock();
            runs
        };
        for run in &mut runs {
            let left = count - numbers.len();
            run.take(left).numbers(&mut numbers);
        }
        if let Some(rest) = runs.pop().filter(|r| r.count > 0) {
            drawn.cached.insert(id, (def, rest));
        }
    }
    if let Some(last) = numbers.last() {
        drawn.last.insert(id, *last);
        drawn.latest = Some(id);
    }
    Ok(numbers)
}

/// Draws so many numbers for a column of an integer type.
///
/// # Errors
/// As [`draw`]; 22003 for a number that the type cannot hold.
pub(crate) fn column(ctx: &QueryContext, id: SequenceId, count: usize, ty: &SqlType) -> Result<ArrayRef> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(draw(ctx, id, count)?));
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let out_of_range = |e| Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range")).source(e);
    cast_with_options(&numbers, &ty.arrow(), &strict).map_err(out_of_range)
}

/// The sequence that fills a column which no value is given for, if it is of an integer type and nothing else is to do.
///
/// # Errors
/// 42501 if the session may not use it; an identity column asks for nothing.
pub(crate) fn filling(ctx: &QueryContext, column: &ColumnDef) -> Result<Option<SequenceId>> {
    if let Some(identity) = column.identity {
        return Ok(Some(identity.sequence));
    }
    if !matches!(column.ty, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt) {
        return Ok(None);
    }
    let Some(id) = column.default.as_deref().and_then(reference::only) else { return Ok(None) };
    match ctx.snapshot.catalog.sequence(id) {
        Some(def) => may_draw(ctx, def, "nextval").map(|()| Some(id)),
        None => Ok(None),
    }
}

/// Sets where a sequence stands, at once: setval.
///
/// # Errors
/// 22003 for a number that is out of its bounds, those of the log.
pub(crate) fn set(ctx: &QueryContext, id: SequenceId, last: i64, is_called: bool) -> Result<()> {
    let def = definition(ctx, id)?;
    if last < def.min || last > def.max {
        let text =
            format!("setval: value {last} is out of bounds for sequence \"{}\" ({}..{})", def.name, def.min, def.max);
        return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, text));
    }
    if is_own(ctx, id) {
        let version = own_state(ctx, id)?.version;
        ctx.drawn.inner.lock().own.insert((id, version), Place { last, is_called, logged: 0 });
    } else {
        ctx.database.sequences.set(ctx, id, last, is_called)?;
    }
    let mut drawn = ctx.drawn.inner.lock();
    drawn.cached.remove(&id);
    if is_called {
        drawn.last.insert(id, last);
    }
    Ok(())
}

/// Where a sequence stands, as `SELECT * FROM` it shows.
///
/// # Errors
/// 42P01 if it is gone.
pub(crate) fn place(ctx: &QueryContext, id: SequenceId) -> Result<Place> {
    if is_own(ctx, id) {
        let state = own_state(ctx, id)?;
        let drawn = ctx.drawn.inner.lock();
        return Ok(drawn.own.get(&(id, state.version)).copied().unwrap_or_else(|| Place::of(&state)));
    }
    ctx.database.sequences.place(&ctx.database.engine, ctx.identity.tenant, id)
}

/// Operations that make a change of a definition go on where the sequence stands, and fail if somebody draws meanwhile.
///
/// # Errors
/// Those of the log.
pub(crate) fn hold(ctx: &QueryContext, id: SequenceId) -> Result<Vec<Op>> {
    if is_own(ctx, id) {
        let state = own_state(ctx, id)?;
        let place = place(ctx, id)?;
        // Its numbers are counted from the new state on.
        return Ok(vec![Op::AdvanceSequence {
            sequence: id,
            seen: state.version,
            last: place.last,
            is_called: place.is_called,
        }]);
    }
    let state = ctx.database.sequences.settle(&ctx.database.engine, ctx.identity.tenant, id)?;
    let (last, is_called) = (state.last, state.is_called);
    Ok(vec![Op::AdvanceSequence { sequence: id, seen: state.version, last, is_called }])
}

impl Sequences {
    fn range(&self, engine: &Engine, tenant: TenantId, id: SequenceId) -> SharedRange {
        let mut ranges = self.ranges.lock();
        if ranges.len() >= KEPT_MIN && ranges.len().is_power_of_two() && !ranges.contains_key(&(tenant, id)) {
            let known = |tenant: &TenantId, id: &SequenceId| {
                engine.snapshot(*tenant).is_ok_and(|s| s.sequences.contains_key(id))
            };
            ranges.retain(|(tenant, id), _| known(tenant, id));
        }
        let place = Place { last: 0, is_called: false, logged: 0 };
        let range = || Range { version: 0, place, left: 0, asked: 0, asked_at: Instant::now() };
        ranges.entry((tenant, id)).or_insert_with(|| Arc::new(Mutex::new(range()))).clone()
    }

    /// Draws at least `needed` numbers, and up to `wanted` as far as they go on without a limit between.
    fn draw(&self, ctx: &QueryContext, def: &SequenceDef, needed: u64, wanted: u64) -> Result<Vec<Run>> {
        let (engine, tenant) = (&ctx.database.engine, ctx.identity.tenant);
        let range = self.range(engine, tenant, def.id);
        let mut range = range.lock();
        let mut runs = Vec::new();
        let mut drawn = 0;
        while drawn < needed {
            range.refresh(engine, tenant, def.id)?;
            if range.left == 0 && !range.reserve(engine, tenant, def, wanted - drawn)? {
                ctx.limits.check()?;
                continue;
            }
            let (left, mut place) = (range.left, range.place);
            let before = runs.len();
            place.draw(def, left.min(needed - drawn), left.min(wanted - drawn), left, &mut runs)?;
            let taken = runs[before..].iter().map(|r| r.count).sum::<u64>();
            (range.place, range.left) = (place, left - taken.min(left));
            drawn += taken;
        }
        Ok(runs)
    }

    fn set(&self, ctx: &QueryContext, id: SequenceId, last: i64, is_called: bool) -> Result<()> {
        let (engine, tenant) = (&ctx.database.engine, ctx.identity.tenant);
        let range = self.range(engine, tenant, id);
        let mut range = range.lock();
        range.version = 0;
        range.left = 0;
        if propose(engine, tenant, Op::SetSequence { sequence: id, last, is_called })? {
            return Ok(());
        }
        Err(Error::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {id}")))
    }

    fn place(&self, engine: &Engine, tenant: TenantId, id: SequenceId) -> Result<Place> {
        let range = self.ranges.lock().get(&(tenant, id)).cloned();
        let Some(range) = range else { return Ok(Place::of(&state(engine, tenant, id)?)) };
        let mut range = range.lock();
        range.refresh(engine, tenant, id)?;
        Ok(range.place)
    }

    /// Gives back what is reserved and not drawn, and answers the state that is durable then.
    fn settle(&self, engine: &Engine, tenant: TenantId, id: SequenceId) -> Result<SequenceState> {
        let range = self.range(engine, tenant, id);
        let mut range = range.lock();
        loop {
            range.refresh(engine, tenant, id)?;
            if range.left == 0 {
                return state(engine, tenant, id);
            }
            let Place { last, is_called, .. } = range.place;
            let seen = range.version;
            if propose(engine, tenant, Op::AdvanceSequence { sequence: id, seen, last, is_called })? {
                (range.version, range.left) = (seen + 1, 0);
            }
        }
    }

    /// Gives back all that is reserved, so that the next start goes on without a gap.
    pub(crate) fn settle_all(&self, engine: &Engine) {
        let known = self.ranges.lock().keys().copied().collect::<Vec<_>>();
        for (tenant, id) in known {
            // One that is gone has nothing to give back.
            drop(self.settle(engine, tenant, id));
        }
    }
}

impl Range {
    /// Forgets what is reserved if somebody has changed the sequence since.
    fn refresh(&mut self, engine: &Engine, tenant: TenantId, id: SequenceId) -> Result<()> {
        let state = state(engine, tenant, id)?;
        if state.version != self.version {
            self.version = state.version;
            self.place = Place::of(&state);
            self.left = 0;
        }
        Ok(())
    }

    /// Reserves more; false if somebody else was faster.
    fn reserve(&mut self, engine: &Engine, tenant: TenantId, def: &SequenceDef, wanted: u64) -> Result<bool> {
        let first = self.place.next(def)?;
        let soon = self.asked > 0 && self.asked_at.elapsed() < SOON;
        let ahead = if soon { (self.asked * 2).min(RESERVED_MAX) } else { RESERVED };
        let count = wanted.saturating_add(ahead).min(Run::to_limit(def, first).count);
        let last = Run { first, increment: def.increment, count }.last();
        let seen = self.version;
        let advance = Op::AdvanceSequence { sequence: def.id, seen, last, is_called: true };
        if !propose(engine, tenant, advance)? {
            return Ok(false);
        }
        (self.version, self.left) = (seen + 1, count);
        (self.asked, self.asked_at) = (ahead, Instant::now());
        Ok(true)
    }
}

fn state(engine: &Engine, tenant: TenantId, id: SequenceId) -> Result<SequenceState> {
    let gone = || Error::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {id}"));
    engine.snapshot(tenant)?.sequences.get(&id).copied().ok_or_else(gone)
}

/// Proposes one operation and waits for it, on this thread: the log is written by a thread of its own. False if a race was
/// lost.
fn propose(engine: &Engine, tenant: TenantId, op: Op) -> Result<bool> {
    let snapshot = engine.snapshot(tenant)?;
    let command = Command::new(Some(tenant), engine.clock().now_us(), snapshot.index, vec![op]);
    #[expect(
        clippy::disallowed_methods,
        reason = "the thread was given leave to wait, and numbers are asked for in kernels"
    )]
    let wait = || futures::executor::block_on(Box::pin(engine.propose(command)));
    let outcome = aside(true, wait)?;
    Ok(matches!(outcome, Outcome::Applied(_)))
}

impl Drawn {
    /// `currval`; none if this session has not drawn from it.
    pub(crate) fn current(&self, id: SequenceId) -> Option<i64> {
        self.inner.lock().last.get(&id).copied()
    }

    /// `lastval`: the sequence that was drawn from last, and its number.
    pub(crate) fn latest(&self) -> Option<(SequenceId, i64)> {
        let inner = self.inner.lock();
        let id = inner.latest?;
        Some((id, *inner.last.get(&id)?))
    }

    /// DISCARD SEQUENCES: what the session remembers; not what its transaction still has to write.
    pub(crate) fn discard(&self) {
        let mut inner = self.inner.lock();
        inner.last.clear();
        inner.cached.clear();
        inner.latest = None;
    }

    /// Forgets numbers drawn ahead of a sequence that was changed.
    pub(crate) fn forget_cached(&self, id: SequenceId) {
        self.inner.lock().cached.remove(&id);
    }

    /// What COMMIT writes of sequences that stand in `states` as the transaction has put them.
    pub(crate) fn ops(&self, states: &BTreeMap<SequenceId, SequenceState>) -> Vec<Op> {
        let inner = self.inner.lock();
        let present =
            inner.own.iter().filter(|((id, version), _)| states.get(id).is_some_and(|state| state.version == *version));
        present
            .map(|((id, _), place)| Op::SetSequence { sequence: *id, last: place.last, is_called: place.is_called })
            .collect()
    }

    /// Whether the transaction has drawn from sequences of its own.
    pub(crate) fn has_own(&self) -> bool {
        !self.inner.lock().own.is_empty()
    }

    /// The transaction went back to a state where only these sequences are its own.
    pub(crate) fn roll_back_to(&self, kept: impl Fn(SequenceId, u64) -> bool) {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let gone = inner.own.keys().filter(|(id, version)| !kept(*id, *version)).copied().collect::<Vec<_>>();
        for key in gone {
            inner.own.remove(&key);
            // Its number may be given to another sequence.
            if key.1 == 1 {
                inner.last.remove(&key.0);
                inner.cached.remove(&key.0);
            }
        }
    }

    /// The transaction is over.
    pub(crate) fn end(&self, committed: bool) {
        if committed { self.inner.lock().own.clear() } else { self.roll_back_to(|_, _| false) }
    }
}
