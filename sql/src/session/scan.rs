//! How far a portal has read its query, and the rows it can go back to.
//!
//! Rows are pulled from the running plan as they are asked for. A portal that only goes forward keeps none of them; one
//! that may go back keeps what it has read: all of it if SCROLL was said, else the last few megabytes. What is kept counts
//! in the node's memory pool. Positions are PostgreSQL's: before the first row, on a row, or behind the last one
//! (<https://www.postgresql.org/docs/15/sql-fetch.html>).

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::TryStreamExt;
use sightline_storage::error::{Error, Result, SqlState};
use tokio::sync::Mutex;

use crate::answer::RowStream;

/// What a portal keeps of the rows behind it when it was not declared SCROLL.
const WINDOW_BYTES: usize = 4 << 20;

/// All rows that are left.
pub(crate) const ALL: u64 = u64::MAX;

/// Which rows a portal can go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    /// None: 55000.
    Refused,
    /// The last ones.
    Window,
    /// All.
    All,
}

/// A query that is read bit by bit.
pub(crate) struct Scan {
    /// The rows not read yet; none once they have come to an end.
    rest: Option<RowStream>,
    /// Rows read: the number of the first one of each batch, from 0, and the batch.
    kept: VecDeque<(u64, RecordBatch)>,
    /// How many rows were read from the plan.
    read: u64,
    back: Back,
    bytes: usize,
    reservation: MemoryReservation,
    /// The row it is on, from 1; the last one's number when it is behind it.
    position: u64,
    at_start: bool,
    at_end: bool,
    failed: bool,
}

impl Scan {
    pub(crate) fn new(rows: RowStream, back: Back, reservation: MemoryReservation) -> Scan {
        Scan {
            rest: Some(rows),
            kept: VecDeque::new(),
            read: 0,
            back,
            bytes: 0,
            reservation,
            position: 0,
            at_start: true,
            at_end: false,
            failed: false,
        }
    }

    /// True if an error ended it: it cannot be run again.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// From now on it cannot be run.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    /// True if it stands on a row.
    pub(crate) fn on_row(&self) -> bool {
        !self.at_start && !self.at_end
    }

    /// Where a plan for ABSOLUTE and RELATIVE starts from.
    pub(crate) fn place(&self) -> (u64, bool, bool) {
        (self.position, self.at_start, self.at_end)
    }

    /// Passes over up to `count` rows; how many there were.
    ///
    /// # Errors
    /// Those of the query; 53200.
    pub(crate) async fn skip(&mut self, count: u64) -> Result<u64> {
        let mut passed = 0;
        while passed < count
            && let Some(rows) = self.forward(count - passed).await?
        {
            passed += rows.num_rows() as u64;
        }
        Ok(passed)
    }

    /// As [`skip`](Scan::skip), towards the beginning.
    ///
    /// # Errors
    /// 55000 if it can only go forward.
    pub(crate) fn skip_back(&mut self, count: u64) -> Result<u64> {
        self.may_go_back()?;
        let mut passed = 0;
        while passed < count
            && let Some(rows) = self.backward(count - passed)?
        {
            passed += rows.num_rows() as u64;
        }
        Ok(passed)
    }

    /// Goes in front of the first row.
    ///
    /// # Errors
    /// 55000 if it can only go forward.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        if self.at_start && !self.at_end {
            return Ok(());
        }
        self.may_go_back()?;
        if self.first_kept() > 0 {
            return Err(forward_only());
        }
        (self.position, self.at_start, self.at_end) = (0, true, false);
        Ok(())
    }

    /// # Errors
    /// 55000 if it can only go forward.
    pub(crate) fn may_go_back(&self) -> Result<()> {
        if self.back == Back::Refused { Err(forward_only()) } else { Ok(()) }
    }

    /// Reads the plan to its end, for WITH HOLD at COMMIT; the position stays.
    ///
    /// # Errors
    /// Those of the query; 53200 if the rows do not fit into memory.
    pub(crate) async fn materialize(&mut self) -> Result<()> {
        while !self.failed && self.pull(true).await? {}
        Ok(())
    }

    /// The next rows, at most so many; none behind the last one.
    pub(crate) async fn forward(&mut self, most: u64) -> Result<Option<RecordBatch>> {
        if self.at_end || most == 0 {
            return Ok(None);
        }
        while self.position >= self.read {
            if !self.pull(false).await? {
                self.at_end = true;
                return Ok(None);
            }
        }
        let (start, batch) = self.batch_of(self.position).ok_or_else(forward_only)?;
        let offset = (self.position - start) as usize;
        let rows = (batch.num_rows() - offset).min(usize::try_from(most).unwrap_or(usize::MAX));
        let slice = batch.slice(offset, rows);
        self.position += rows as u64;
        self.at_start = false;
        self.forget();
        Ok(Some(slice))
    }

    /// The rows before, nearest first, at most so many; none in front of the first one.
    pub(crate) fn backward(&mut self, most: u64) -> Result<Option<RecordBatch>> {
        if self.at_start || most == 0 {
            return Ok(None);
        }
        let behind = if self.at_end { self.position } else { self.position - 1 };
        if behind == 0 {
            (self.at_start, self.position) = (true, 0);
            return Ok(None);
        }
        let (start, batch) = self.batch_of(behind - 1).ok_or_else(forward_only)?;
        let within = (behind - start) as usize;
        let rows = within.min(usize::try_from(most).unwrap_or(usize::MAX));
        let order = ((within - rows)..within).rev().map(|i| i as u32).collect::<Vec<_>>();
        let reversed = take_record_batch(batch, &UInt32Array::from(order))?;
        self.position = behind + 1 - rows as u64;
        self.at_end = false;
        Ok(Some(reversed))
    }

    /// Reads a batch of the plan; false at its end.
    async fn pull(&mut self, holds: bool) -> Result<bool> {
        let Some(rest) = &mut self.rest else { return Ok(false) };
        let next = rest.try_next().await;
        let batch = match next {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.rest = None;
                return Ok(false);
            }
            Err(e) => {
                self.failed = true;
                self.rest = None;
                return Err(e);
            }
        };
        let bytes = batch.get_array_memory_size();
        if holds || self.back == Back::All {
            self.reserve(bytes)?;
        } else if self.back == Back::Window && self.reservation.try_grow(bytes).is_err() {
            // Nothing is left to go back to, but what is ahead can be read.
            while self.pop_front() {}
        }
        self.bytes += bytes;
        let rows = batch.num_rows() as u64;
        if rows > 0 {
            self.kept.push_back((self.read, batch));
            self.read += rows;
        }
        Ok(true)
    }

    fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.reservation.try_grow(bytes).map_err(|e| {
            self.failed = true;
            Error::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .detail(format!("Failed on request of {bytes} bytes for the rows that a cursor keeps."))
                .hint("Declare the cursor with NO SCROLL and without HOLD: then it keeps none.")
                .source(e)
        })
    }

    /// Lets go of rows that nothing can go back to.
    fn forget(&mut self) {
        let most = match self.back {
            Back::All => return,
            Back::Window => WINDOW_BYTES,
            Back::Refused => 0,
        };
        while self.bytes > most && self.pop_front() {}
    }

    /// Lets go of the first batch, if all of it lies behind.
    fn pop_front(&mut self) -> bool {
        let passed = |(start, batch): &(u64, RecordBatch)| start + batch.num_rows() as u64 <= self.position;
        if !self.kept.front().is_some_and(passed) {
            return false;
        }
        if let Some((_, batch)) = self.kept.pop_front() {
            let bytes = batch.get_array_memory_size().min(self.bytes);
            self.bytes -= bytes;
            self.reservation.shrink(bytes.min(self.reservation.size()));
        }
        true
    }

    fn first_kept(&self) -> u64 {
        self.kept.front().map_or(self.read, |(start, _)| *start)
    }

    fn batch_of(&self, row: u64) -> Option<(u64, &RecordBatch)> {
        let after = self.kept.partition_point(|(start, _)| *start <= row);
        let (start, batch) = self.kept.get(after.checked_sub(1)?)?;
        (row < start + batch.num_rows() as u64).then_some((*start, batch))
    }
}

/// PostgreSQL's words for a step back that cannot be made.
fn forward_only() -> Error {
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .hint("Declare it with SCROLL option to enable backward scan.")
}

/// Up to `count` rows as a stream, which moves the scan as it is read.
pub(crate) fn rows(scan: Arc<Mutex<Scan>>, count: u64, forward: bool) -> RowStream {
    Box::pin(futures::stream::try_unfold((scan, count), move |(scan, left)| async move {
        let mut held = scan.lock().await;
        let next = if forward { held.forward(left).await? } else { held.backward(left)? };
        drop(held);
        Ok(next.map(|rows| {
            let left = if left == ALL { ALL } else { left - rows.num_rows() as u64 };
            (rows, (scan, left))
        }))
    }))
}
