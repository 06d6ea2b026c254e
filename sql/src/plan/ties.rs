//! Rows that are equal in an ORDER BY come in PostgreSQL's order, while there are few of them.
//!
//! SQL promises nothing here, but people read results: the rows of a window without an ORDER BY outside, `first_value` over
//! equal rows, the first page of a report. PostgreSQL sorts with the quicksort of Bentley and McIlroy ("Engineering a Sort
//! Function", 1993), which is not stable but always the same; so this does for up to [`ROWS_MAX`] rows what it does.
//! Larger inputs go to DataFusion's sort, which runs in batches and spills.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::row::{RowConverter, SortField};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;

/// More rows are sorted by DataFusion.
const ROWS_MAX: usize = 10_000;
/// And so are more bytes, which it can spill; three times the rows'.
const BYTES_MAX: usize = 48 << 20;

/// The rule.
#[derive(Debug)]
pub(super) struct Ties;

impl PhysicalOptimizerRule for Ties {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match node.downcast_ref::<SortExec>() {
            Some(sort) if sort.fetch().is_none() && sort.input().output_partitioning().partition_count() == 1 => {
                Ok(Transformed::yes(Arc::new(SmallSort { sort: sort.clone() }) as _))
            }
            _ => Ok(Transformed::no(node)),
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &'static str {
        "ties"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A sort that knows what to do with few rows.
#[derive(Debug)]
struct SmallSort {
    sort: SortExec,
}

impl DisplayAs for SmallSort {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sort.fmt_as(t, f)
    }
}

impl ExecutionPlan for SmallSort {
    fn name(&self) -> &str {
        self.sort.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.sort.properties()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.sort.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.sort.apply_expressions(f)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| datafusion::error::DataFusionError::Internal("a sort has one input".to_string()))?;
        Ok(Arc::new(SmallSort { sort: SortExec::new(self.sort.expr().clone(), input) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.sort.input().execute(partition, context.clone())?;
        let (order, schema) = (self.sort.expr().clone(), self.schema());
        let rows = futures::stream::once(sorted(input, order, context)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Reads the rows, and goes on to DataFusion's sort with them once they are too many.
async fn sorted(
    mut input: SendableRecordBatchStream,
    order: LexOrdering,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let schema = input.schema();
    let reservation = MemoryConsumer::new("sort").register(context.memory_pool());
    let (mut batches, mut count) = (Vec::new(), 0);
    while let Some(batch) = input.next().await.transpose()? {
        count += batch.num_rows();
        // The rows are copied twice below.
        let room = reservation.try_grow(3 * batch.get_array_memory_size()).is_ok();
        batches.push(batch);
        if count > ROWS_MAX || !room || reservation.size() > BYTES_MAX {
            drop(reservation);
            let all = futures::stream::iter(batches.into_iter().map(Ok)).chain(input);
            let rest = Rest { schema: schema.clone(), rows: Mutex::new(Some(all.boxed())) };
            let leaf = StreamingTableExec::try_new(schema, vec![Arc::new(rest)], None, [], false, None)?;
            return SortExec::new(order, Arc::new(leaf)).execute(0, context);
        }
    }
    let all = concat_batches(&schema, &batches)?;
    let done = in_order(&all, &order)?;
    let size = context.session_config().batch_size();
    let parts = (0..done.num_rows()).step_by(size.max(1));
    let parts = parts.map(|at| Ok(done.slice(at, size.min(done.num_rows() - at)))).collect::<Vec<_>>();
    let stream = futures::stream::iter(parts).inspect(move |_| {
        let _held = &reservation;
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
}

/// The rows read so far and those that follow, for one reader.
struct Rest {
    schema: arrow::datatypes::SchemaRef,
    rows: Mutex<Option<futures::stream::BoxStream<'static, Result<RecordBatch>>>>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl PartitionStream for Rest {
    fn schema(&self) -> &arrow::datatypes::SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().take();
        let rows = rows.unwrap_or_else(|| futures::stream::once(async { exec_err!("rows were read twice") }).boxed());
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

fn in_order(batch: &RecordBatch, order: &LexOrdering) -> Result<RecordBatch> {
    let columns = order.iter().map(|e| e.evaluate_to_sort_column(batch)).collect::<Result<Vec<_>>>()?;
    let fields = columns
        .iter()
        .map(|c| SortField::new_with_options(c.values.data_type().clone(), c.options.unwrap_or_default()));
    let converter = RowConverter::new(fields.collect())?;
    let values = columns.into_iter().map(|c| c.values).collect::<Vec<_>>();
    let rows = converter.convert_columns(&values)?;
    let mut places = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect::<Vec<_>>();
    quicksort(&mut places, &|a, b| rows.row(a as usize).cmp(&rows.row(b as usize)));
    Ok(take_record_batch(batch, &UInt32Array::from(places))?)
}

/// Below this many elements insertion is faster.
const FEW: usize = 7;
/// Above this many the pivot is a median of nine.
const MANY: usize = 40;

/// Sorts as Bentley and McIlroy do: what equals the pivot is gathered at both ends and swapped to the middle.
pub(super) fn quicksort<T: Copy>(mut a: &mut [T], compare: &impl Fn(T, T) -> Ordering) {
    loop {
        if a.is_sorted_by(|x, y| compare(*x, *y) != Ordering::Greater) {
            return;
        }
        let n = a.len();
        if n < FEW {
            for end in 1..n {
                let mut at = end;
                while at > 0 && compare(a[at - 1], a[at]) == Ordering::Greater {
                    a.swap(at - 1, at);
                    at -= 1;
                }
            }
            return;
        }
        a.swap(0, pivot(a, compare));
        let (less, greater) = parted(a, compare);
        let (first, last) = (less, n - greater);
        // The smaller side first, so that the stack stays small.
        let (low, rest) = a.split_at_mut(first);
        let high = &mut rest[last - first..];
        if low.len() <= high.len() {
            quicksort(low, compare);
            a = high;
        } else {
            quicksort(high, compare);
            a = low;
        }
    }
}

fn pivot<T: Copy>(a: &[T], compare: &impl Fn(T, T) -> Ordering) -> usize {
    let n = a.len();
    let median = |x: usize, y: usize, z: usize| {
        let is = |p: usize, q: usize, o: Ordering| compare(a[p], a[q]) == o;
        if is(x, y, Ordering::Less) {
            if is(y, z, Ordering::Less) {
                y
            } else if is(x, z, Ordering::Less) {
                z
            } else {
                x
            }
        } else if is(y, z, Ordering::Greater) {
            y
        } else if is(x, z, Ordering::Less) {
            x
        } else {
            z
        }
    };
    let (mut low, mut middle, mut high) = (0, n / 2, n - 1);
    if n == FEW {
        return middle;
    }
    if n > MANY {
        let step = n / 8;
        low = median(low, low + step, low + 2 * step);
        middle = median(middle - step, middle, middle + step);
        high = median(high - 2 * step, high - step, high);
    }
    median(low, middle, high)
}

/// Parts the elements by the first one: how many are less, and how many greater.
fn parted<T: Copy>(a: &mut [T], compare: &impl Fn(T, T) -> Ordering) -> (usize, usize) {
    let n = a.len();
    // Equal ones end at `pa` and begin behind `pd`; `pb` and `pc` are where the two sides look. Counted from 1, since the
    // right one may leave the slice.
    let (mut pa, mut pb, mut pc, mut pd) = (1, 1, n, n);
    loop {
        while pb < pc {
            match compare(a[pb], a[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    a.swap(pa, pb);
                    pa += 1;
                }
                Ordering::Less => {}
            }
            pb += 1;
        }
        while pb < pc {
            match compare(a[pc - 1], a[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    a.swap(pc - 1, pd - 1);
                    pd -= 1;
                }
                Ordering::Greater => {}
            }
            pc -= 1;
        }
        if pb >= pc {
            break;
        }
        a.swap(pb, pc - 1);
        pb += 1;
        pc -= 1;
    }
    let (less, greater) = (pb - pa, pd - pc);
    let front = pa.min(less);
    for k in 0..front {
        a.swap(k, pb - front + k);
    }
    let back = greater.min(n - pd);
    for k in 0..back {
        a.swap(pb + k, n - back + k);
    }
    (less, greater)
}
