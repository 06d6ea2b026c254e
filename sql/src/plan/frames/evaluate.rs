//! The frames of one partition's rows, and what is computed over them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, UInt64Array, new_empty_array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{partition, take};
use arrow::datatypes::{FieldRef, Int64Type, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, PartitionEvaluator};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, SqlState};

use super::keys::{Keys, counts};
use super::{Bound, Exclude, Frame, Framed, Keyed, Units, What};
use crate::error::to_datafusion;

/// Computes one window function for one partition at a time.
#[derive(Debug)]
pub(super) struct Evaluator {
    function: Framed,
    /// The function's own arguments, as its accumulator wants to know them.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
    schema: Schema,
}

/// After so many rows a function looks whether its statement was stopped.
const CHECKED_ROWS: usize = 64;
/// The most bytes of the values of one partition.
const BYTES_MAX: usize = 1 << 30;

impl Evaluator {
    pub(super) fn new(function: Framed, exprs: &[Arc<dyn PhysicalExpr>], fields: &[FieldRef]) -> Result<Evaluator> {
        let named = |(n, f): (usize, &FieldRef)| f.as_ref().clone().with_name(format!("c{n}"));
        let schema = Schema::new(fields.iter().enumerate().map(named).collect::<Vec<_>>());
        let exprs = exprs.iter().enumerate().map(|(n, e)| match e.downcast_ref::<Literal>() {
            Some(_) => e.clone(),
            None => Arc::new(Column::new(&format!("c{n}"), n)) as Arc<dyn PhysicalExpr>,
        });
        Ok(Evaluator { function, exprs: exprs.collect(), fields: fields.to_vec(), schema })
    }
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], count: usize) -> Result<ArrayRef> {
        let Framed { what, frame, args, filter, order, keyed, .. } = &self.function;
        let (own, rest) = values.split_at(*args);
        let (filter, rest) = rest.split_at(usize::from(*filter));
        let (columns, rest) = rest.split_at(order.len());
        if count == 0 {
            let ty = match (what, self.fields.first()) {
                (What::Aggregate(f), _) => f.return_field(&self.fields)?.data_type().clone(),
                (What::Ntile, _) | (_, None) => arrow::datatypes::DataType::Int32,
                (_, Some(field)) => field.data_type().clone(),
            };
            return Ok(new_empty_array(&ty));
        }
        let numbers = |n: usize| own[n].as_primitive::<Int64Type>();
        match what {
            What::Lag => shifted(own, -1),
            What::Lead => shifted(own, 1),
            What::Ntile => ntile(numbers(0), count),
            What::First | What::Last | What::Nth => {
                let held = self.function.means.memory();
                held.try_grow(count * Frames::ROW_BYTES)?;
                let frames = Frames::new(frame, *keyed, order, columns, rest, count)?;
                let found = frames.pieces().enumerate().map(|(row, pieces)| match what {
                    What::Last => Ok(pieces.last()),
                    What::Nth if numbers(1).is_null(row) => Ok(None),
                    What::Nth => nth(&pieces, numbers(1).value(row)),
                    _ => Ok(pieces.nth(0)),
                });
                let found = found.map(|f| f.map(|f| f.map(|n| n as u64))).collect::<Result<Vec<_>>>()?;
                Ok(take(&own[0], &UInt64Array::from(found), None)?)
            }
            What::Aggregate(_) => {
                let held = self.function.means.memory();
                held.try_grow(count * (Frames::ROW_BYTES + size_of::<ScalarValue>()))?;
                let frames = Frames::new(frame, *keyed, order, columns, rest, count)?;
                self.aggregated(own, filter.first(), &frames, count, &held)
            }
        }
    }
}

/// `lag` and `lead`: the value so many rows before or behind, or the default.
fn shifted(args: &[ArrayRef], sign: i64) -> Result<ArrayRef> {
    let count = args[0].len();
    let offsets = args.get(1).map(|a| a.as_primitive::<Int64Type>());
    let mut from = Vec::with_capacity(count);
    let mut outside = Vec::with_capacity(count);
    for row in 0..count {
        let offset = match offsets {
            Some(offsets) if offsets.is_null(row) => None,
            Some(offsets) => Some(offsets.value(row)),
            None => Some(1),
        };
        let at = offset.map(|o| i128::from(sign) * i128::from(o) + row as i128);
        let found = at.and_then(|at| u64::try_from(at).ok()).filter(|at| *at < count as u64);
        outside.push(offset.is_some() && found.is_none());
        from.push(found);
    }
    let values = take(&args[0], &UInt64Array::from(from), None)?;
    Ok(match args.get(2) {
        Some(default) => zip(&arrow::array::BooleanArray::from(outside), default, &values)?,
        None => values,
    })
}

/// Which of so many buckets of equal size each row is in; the first ones take what is over.
fn ntile(buckets: &arrow::array::Int64Array, count: usize) -> Result<ArrayRef> {
    if buckets.is_null(0) {
        return Ok(Arc::new(Int32Array::new_null(count)));
    }
    let Some(buckets) = usize::try_from(buckets.value(0)).ok().filter(|b| *b > 0) else {
        let message = "argument of ntile must be greater than zero";
        return Err(to_datafusion(Error::new(SqlState::new("22014"), message)));
    };
    let (size, over) = (count / buckets, count % buckets);
    let large = over * (size + 1);
    let bucket = |row: usize| if row < large { row / (size + 1) } else { over + (row - large) / size.max(1) };
    let numbers = (0..count).map(|row| i32::try_from(bucket(row) + 1).unwrap_or(i32::MAX));
    Ok(Arc::new(numbers.collect::<Int32Array>()))
}

fn nth(pieces: &Pieces, wanted: i64) -> Result<Option<usize>> {
    match usize::try_from(wanted) {
        Ok(n) if n > 0 => Ok(pieces.nth(n - 1)),
        _ => {
            let message = "argument of nth_value must be greater than zero";
            Err(to_datafusion(Error::new(SqlState::new("22016"), message)))
        }
    }
}

/// The rows of a frame: up to three runs, since what is excluded lies in the middle.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pieces([Range<usize>; 3]);

impl Pieces {
    fn nth(&self, mut n: usize) -> Option<usize> {
        for piece in &self.0 {
            if n < piece.len() {
                return Some(piece.start + n);
            }
            n -= piece.len();
        }
        None
    }

    fn last(&self) -> Option<usize> {
        self.0.iter().rev().find(|p| !p.is_empty()).map(|p| p.end - 1)
    }
}

/// The frames of a partition.
struct Frames {
    frame: Frame,
    /// Of each row, the first of the frame and the one behind it.
    bounds: Vec<Range<usize>>,
    /// Of each row, the rows that are equal to it in the order.
    peers: Vec<Range<usize>>,
}

impl Frames {
    /// What it holds of each row.
    const ROW_BYTES: usize = 2 * size_of::<Range<usize>>();

    fn new(
        frame: &Frame,
        keyed: Keyed,
        order: &[arrow::compute::SortOptions],
        columns: &[ArrayRef],
        rest: &[ArrayRef],
        count: usize,
    ) -> Result<Frames> {
        let groups =
            if columns.is_empty() { std::iter::once(0..count).collect() } else { partition(columns)?.ranges() };
        let peers = groups.iter().flat_map(|g| std::iter::repeat_n(g.clone(), g.len())).collect::<Vec<_>>();
        let bounds = match frame.units {
            Units::Rows => {
                let (start, end) = counts(frame, rest)?;
                (0..count).map(|row| cut(ends(frame, row as i128, start, end), count)).collect()
            }
            Units::Groups => {
                let (start, end) = counts(frame, rest)?;
                let numbers = groups.iter().enumerate().flat_map(|(n, g)| std::iter::repeat_n(n, g.len()));
                let first = |n: usize| groups.get(n).map_or(count, |g| g.start);
                let rows = |n: usize| {
                    let range = cut(ends(frame, n as i128, start, end), groups.len());
                    first(range.start)..first(range.end)
                };
                numbers.map(rows).collect()
            }
            Units::Range => ranges(frame, keyed, order, rest, &peers)?,
        };
        Ok(Frames { frame: *frame, bounds, peers })
    }

    fn pieces(&self) -> impl Iterator<Item = Pieces> + '_ {
        self.bounds.iter().zip(&self.peers).enumerate().map(|(row, (frame, peers))| {
            let none = 0..0;
            let before = |at: usize| frame.start..frame.end.min(at).max(frame.start);
            let behind = |at: usize| frame.start.max(at).min(frame.end)..frame.end;
            Pieces(match self.frame.exclude {
                Exclude::Nothing => [frame.clone(), none.clone(), none],
                Exclude::Current => [before(row), none, behind(row + 1)],
                Exclude::Group => [before(peers.start), none, behind(peers.end)],
                Exclude::Ties => {
                    let own = if frame.contains(&row) { row..row + 1 } else { none };
                    [before(peers.start), own, behind(peers.end)]
                }
            })
        })
    }
}

/// The ends of a frame in whatever it counts, `at` being the current one.
fn ends(frame: &Frame, at: i128, start: i64, end: i64) -> (i128, i128) {
    let (start, end) = (i128::from(start), i128::from(end));
    let first = match frame.start {
        Bound::Unbounded => 0,
        Bound::Preceding => at - start,
        Bound::Current => at,
        Bound::Following => at + start,
    };
    let behind = match frame.end {
        Bound::Unbounded => i128::MAX,
        Bound::Preceding => at - end + 1,
        Bound::Current => at + 1,
        Bound::Following => at + end + 1,
    };
    (first, behind)
}

/// What of it there is.
fn cut((first, behind): (i128, i128), count: usize) -> Range<usize> {
    let within = |n: i128| usize::try_from(n.clamp(0, count as i128)).unwrap_or(count);
    let (first, behind) = (within(first), within(behind));
    first..behind.max(first)
}

/// The frames of a RANGE: by the order's column where there are offsets, else by what is equal in the order.
fn ranges(
    frame: &Frame,
    keyed: Keyed,
    order: &[arrow::compute::SortOptions],
    rest: &[ArrayRef],
    peers: &[Range<usize>],
) -> Result<Vec<Range<usize>>> {
    let keys = match (keyed, order.first()) {
        (Keyed::No, _) => None,
        (keyed, Some(order)) => Some(Keys::new(frame, keyed, *order, rest)?),
        (_, None) => return exec_err!("a RANGE lacks its order"),
    };
    let (mut first, mut behind) = (0, 0);
    let mut bounds = Vec::with_capacity(peers.len());
    for (row, peers_of) in peers.iter().enumerate() {
        first = match (frame.start, &keys) {
            (bound @ (Bound::Preceding | Bound::Following), Some(keys)) => keys.start(bound, row, first),
            (Bound::Current, _) => peers_of.start,
            _ => 0,
        };
        behind = match (frame.end, &keys) {
            (bound @ (Bound::Preceding | Bound::Following), Some(keys)) => keys.end(bound, row, behind),
            (Bound::Current, _) => peers_of.end,
            _ => peers.len(),
        };
        bounds.push(first..behind.max(first));
    }
    Ok(bounds)
}

/// What an accumulator holds.
struct Running {
    accumulator: Box<dyn Accumulator>,
    held: Pieces,
}

impl Evaluator {
    fn accumulator(&self, sliding: bool) -> Result<Box<dyn Accumulator>> {
        let What::Aggregate(f) = &self.function.what else { return exec_err!("no aggregate") };
        let args = AccumulatorArgs {
            return_field: f.return_field(&self.fields)?,
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: f.name(),
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.fields,
        };
        if sliding { f.create_sliding_accumulator(args) } else { f.accumulator(args) }
    }

    /// One that takes rows back, where that is exact.
    fn sliding(&self) -> Result<Option<Box<dyn Accumulator>>> {
        if self.fields.iter().any(|f| f.data_type().is_floating()) {
            return Ok(None);
        }
        let made = self.accumulator(true)?;
        Ok(made.supports_retract_batch().then_some(made))
    }

    fn aggregated(
        &self,
        args: &[ArrayRef],
        filter: Option<&ArrayRef>,
        frames: &Frames,
        count: usize,
        held: &MemoryReservation,
    ) -> Result<ArrayRef> {
        let (args, places) = match filter {
            None => (args.to_vec(), None),
            Some(filter) => {
                let (args, places) = filtered(args, filter)?;
                (args, Some(places))
            }
        };
        let place = |n: usize| places.as_ref().map_or(n, |p| p[n]);
        let sliding = self.sliding()?;
        let slides = sliding.is_some();
        let fresh = |made: Option<Box<dyn Accumulator>>| -> Result<Running> {
            let accumulator = match made {
                Some(made) => made,
                None => self.accumulator(slides)?,
            };
            Ok(Running { accumulator, held: Pieces::default() })
        };
        let mut running = fresh(sliding)?;
        let mut values: Vec<ScalarValue> = Vec::with_capacity(count);
        let mut bytes = 0;
        for (n, pieces) in frames.pieces().enumerate() {
            if n % CHECKED_ROWS == 0 {
                self.function.means.check()?;
            }
            let wanted = Pieces(pieces.0.map(|p| place(p.start)..place(p.end)));
            if let Some(last) = values.last()
                && wanted == running.held
            {
                values.push(last.clone());
                continue;
            }
            if !running.moved(&wanted, &args, slides)? {
                running = fresh(None)?;
                for piece in wanted.0.iter().filter(|p| !p.is_empty()) {
                    running.accumulator.update_batch(&slices(&args, piece))?;
                }
                running.held = wanted;
            }
            let value = running.accumulator.evaluate()?;
            let more = value.size() - size_of::<ScalarValue>();
            bytes += more;
            held.try_grow(more)?;
            if bytes > BYTES_MAX {
                return Err(to_datafusion(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")));
            }
            values.push(value);
        }
        ScalarValue::iter_to_array(values)
    }
}

fn slices(args: &[ArrayRef], range: &Range<usize>) -> Vec<ArrayRef> {
    args.iter().map(|a| a.slice(range.start, range.len())).collect()
}

/// The rows that pass, and for each row and the end how many passed before it.
fn filtered(args: &[ArrayRef], filter: &ArrayRef) -> Result<(Vec<ArrayRef>, Vec<usize>)> {
    let passes = filter.as_boolean();
    let kept = args.iter().map(|a| Ok(arrow::compute::filter(a, passes)?)).collect::<Result<Vec<_>>>()?;
    let mut places = Vec::with_capacity(passes.len() + 1);
    let mut before = 0;
    places.push(before);
    for row in 0..passes.len() {
        before += usize::from(passes.is_valid(row) && passes.value(row));
        places.push(before);
    }
    Ok((kept, places))
}

impl Running {
    /// Goes on from the frame before to this one, if it need not start anew.
    fn moved(&mut self, wanted: &Pieces, args: &[ArrayRef], slides: bool) -> Result<bool> {
        let ([held, second, third], [next, other, last]) = (&self.held.0, &wanted.0);
        if [second, third, other, last].iter().any(|p| !p.is_empty()) {
            return Ok(false);
        }
        let grows = next.start == held.start && next.end >= held.end;
        let slid = slides && next.start >= held.start && next.start <= held.end && next.end >= held.end;
        if !(grows || slid) {
            return Ok(false);
        }
        if next.end > held.end {
            self.accumulator.update_batch(&slices(args, &(held.end..next.end)))?;
        }
        if next.start > held.start {
            self.accumulator.retract_batch(&slices(args, &(held.start..next.start)))?;
        }
        self.held = wanted.clone();
        Ok(true)
    }
}
