//! The arithmetic of sequences: pure, and the same for numbers of all and of one transaction.

use sightline_storage::catalog::{SequenceDef, SequenceState};
use sightline_storage::error::{Error, Result, SqlState};

/// How many numbers PostgreSQL logs ahead, and we reserve at least.
pub(crate) const RESERVED: u64 = 32;

/// Where a sequence stands: what `SELECT * FROM sequence` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) last: i64,
    pub(crate) is_called: bool,
    /// `log_cnt`: how many numbers PostgreSQL could still give without writing to its log.
    pub(crate) logged: u64,
}

/// Numbers of equal distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: i64,
    pub(crate) increment: i64,
    pub(crate) count: u64,
}

impl Run {
    /// All numbers from `first` on, up to the limit.
    pub(crate) fn to_limit(def: &SequenceDef, first: i64) -> Run {
        let (first_wide, step) = (i128::from(first), i128::from(def.increment));
        let limit = i128::from(if step > 0 { def.max } else { def.min });
        let count = u64::try_from((limit - first_wide) / step + 1).unwrap_or(u64::MAX);
        Run { first, increment: def.increment, count }
    }

    fn at(&self, n: u64) -> i64 {
        let number = i128::from(self.first) + i128::from(self.increment) * i128::from(n);
        i64::try_from(number).unwrap_or(if self.increment > 0 { i64::MAX } else { i64::MIN })
    }

    /// The last number of a run that is not empty.
    pub(crate) fn last(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// Takes up to `count` numbers from the front.
    pub(crate) fn take(&mut self, count: usize) -> Run {
        let taken = Run { count: self.count.min(count as u64), ..*self };
        self.first = self.at(taken.count);
        self.count -= taken.count;
        taken
    }

    /// The numbers themselves.
    pub(crate) fn numbers(self, into: &mut Vec<i64>) {
        into.extend((0..self.count).map(|n| self.at(n)));
    }
}

impl Place {
    /// Where a durable state stands, of which nothing is reserved.
    pub(crate) fn of(state: &SequenceState) -> Place {
        Place { last: state.last, is_called: state.is_called, logged: 0 }
    }

    /// The number that comes next.
    ///
    /// # Errors
    /// 2200H at the limit of a sequence without CYCLE.
    pub(crate) fn next(&self, def: &SequenceDef) -> Result<i64> {
        if !self.is_called {
            return Ok(self.last);
        }
        let next = i128::from(self.last) + i128::from(def.increment);
        let up = def.increment > 0;
        let within = if up { next <= i128::from(def.max) } else { next >= i128::from(def.min) };
        match i64::try_from(next) {
            Ok(number) if within => Ok(number),
            _ if def.cycle => Ok(if up { def.min } else { def.max }),
            _ => {
                let (end, limit) = if up { ("maximum", def.max) } else { ("minimum", def.min) };
                let text = format!("nextval: reached {end} value of sequence \"{}\" ({limit})", def.name);
                Err(Error::new(SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED, text))
            }
        }
    }

    /// Draws `needed` numbers, and up to `wanted` as far as no limit comes between; of `reserved` ones.
    ///
    /// # Errors
    /// As [`next`](Place::next).
    pub(crate) fn draw(
        &mut self,
        def: &SequenceDef,
        needed: u64,
        wanted: u64,
        reserved: u64,
        runs: &mut Vec<Run>,
    ) -> Result<()> {
        let mut drawn = 0;
        while drawn < needed {
            let first = self.next(def)?;
            let whole = Run::to_limit(def, first);
            let run = Run { count: whole.count.min(wanted - drawn).min(reserved - drawn), ..whole };
            self.pass(def, &run, whole.count);
            drawn += run.count;
            runs.push(run);
        }
        Ok(())
    }

    /// Goes over a run, of `left` numbers up to the limit.
    fn pass(&mut self, def: &SequenceDef, run: &Run, left: u64) {
        let cache = def.cache.unsigned_abs().max(1);
        let mut passed = 0;
        while passed < run.count {
            let block = cache.min(run.count - passed);
            passed += block;
            self.logged = match self.logged.checked_sub(block).filter(|_| self.is_called) {
                Some(logged) => logged,
                None => RESERVED.min(left - passed),
            };
            self.is_called = true;
        }
        self.last = run.last();
    }
}
