//! Zone maps of hot chunks: computed when first asked for, remembered as long as the chunk lives.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use parking_lot::Mutex;

/// Up to so many hot rows strings get bounds for the planner, too: more would make planning slow the first time.
pub(super) const TEXT_ROWS_MAX: usize = 64 * 1024;
/// Longer strings are no bounds: the cache is for small things.
const BOUND_BYTES_MAX: usize = 256;
/// Arrays the cache holds before it first looks for dead ones.
const CACHE_MIN: usize = 4096;

/// What is known of the order of an array's values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Zone {
    /// There are no values but NULLs.
    Empty,
    /// No bounds: the type has no order, a NaN is among the values, or nobody looked.
    Unknown,
    Values {
        min: ScalarValue,
        max: ScalarValue,
    },
}

impl Zone {
    fn of(array: &ArrayRef) -> Result<Zone> {
        if array.null_count() == array.len() {
            return Ok(Zone::Empty);
        }
        if !has_order(array.data_type()) {
            return Ok(Zone::Unknown);
        }
        let mut min = MinAccumulator::try_new(array.data_type())?;
        let mut max = MaxAccumulator::try_new(array.data_type())?;
        min.update_batch(std::slice::from_ref(array))?;
        max.update_batch(std::slice::from_ref(array))?;
        let (min, max) = (min.evaluate()?, max.evaluate()?);
        if !is_bound(&min) || !is_bound(&max) {
            return Ok(Zone::Unknown);
        }
        // Zero has two signs that SQL takes for equal and Arrow does not: bounds include both.
        let min = if is_zero(&min) { signed_zero(&min, true) } else { min };
        let max = if is_zero(&max) { signed_zero(&max, false) } else { max };
        Ok(Zone::Values { min, max })
    }

    pub(super) fn min(&self) -> Option<&ScalarValue> {
        if let Zone::Values { min, .. } = self { Some(min) } else { None }
    }

    pub(super) fn max(&self) -> Option<&ScalarValue> {
        if let Zone::Values { max, .. } = self { Some(max) } else { None }
    }
}

/// Whether Arrow's order of the type is PostgreSQL's.
pub(super) fn has_order(t: &DataType) -> bool {
    !t.is_nested() && !matches!(t, DataType::Interval(_) | DataType::Null)
}

/// Whether bounds cost next to nothing to compute.
pub(super) fn is_cheap(t: &DataType) -> bool {
    t.primitive_width().is_some() || *t == DataType::Boolean
}

fn is_bound(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float32(Some(v)) => !v.is_nan(),
        ScalarValue::Float64(Some(v)) => !v.is_nan(),
        ScalarValue::Utf8View(Some(v)) | ScalarValue::Utf8(Some(v)) => v.len() <= BOUND_BYTES_MAX,
        ScalarValue::Binary(Some(v)) | ScalarValue::LargeBinary(Some(v)) => v.len() <= BOUND_BYTES_MAX,
        other => !other.is_null(),
    }
}

/// Whether the value is a floating-point zero, whose sign as a bound says nothing about the values.
pub(super) fn is_zero(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float32(Some(v)) => *v == 0.0,
        ScalarValue::Float64(Some(v)) => *v == 0.0,
        _ => false,
    }
}

fn signed_zero(zero: &ScalarValue, negative: bool) -> ScalarValue {
    match zero {
        ScalarValue::Float32(_) => ScalarValue::Float32(Some(if negative { -0.0 } else { 0.0 })),
        _ => ScalarValue::Float64(Some(if negative { -0.0 } else { 0.0 })),
    }
}

/// Zones by array. One for a node: arrays of hot chunks are shared by all snapshots that show them.
#[derive(Debug, Default)]
pub struct ZoneCache {
    zones: Mutex<Zones>,
}

#[derive(Debug, Default)]
struct Zones {
    /// By address. The weak reference keeps the address from being used again while the entry stands.
    known: HashMap<usize, (Weak<dyn Array>, Zone)>,
    /// How many entries there may be before the next look for dead ones.
    limit: usize,
}

impl ZoneCache {
    /// The zones of some arrays, from memory or computed now.
    ///
    /// # Errors
    /// Those of computing a minimum, for a type that has none.
    pub(super) fn zones<'a>(&self, arrays: impl Iterator<Item = &'a ArrayRef> + Clone) -> Result<Vec<Zone>> {
        let known = self.known(arrays.clone());
        let mut fresh = Vec::new();
        let mut result = Vec::with_capacity(known.len());
        for (array, zone) in arrays.zip(known) {
            result.push(match zone {
                Some(zone) => zone,
                None => {
                    let zone = Zone::of(array)?;
                    fresh.push((array, zone.clone()));
                    zone
                }
            });
        }
        if !fresh.is_empty() {
            self.remember(fresh);
        }
        Ok(result)
    }

    fn known<'a>(&self, arrays: impl Iterator<Item = &'a ArrayRef>) -> Vec<Option<Zone>> {
        let zones = self.zones.lock();
        arrays.map(|a| zones.known.get(&address(a)).map(|(_, zone)| zone.clone())).collect()
    }

    fn remember(&self, fresh: Vec<(&ArrayRef, Zone)>) {
        let mut zones = self.zones.lock();
        for (array, zone) in fresh {
            zones.known.insert(address(array), (Arc::downgrade(array), zone));
        }
        if zones.known.len() >= zones.limit {
            zones.known.retain(|_, (array, _)| array.strong_count() > 0);
            zones.limit = (zones.known.len() * 2).max(CACHE_MIN);
        }
    }
}

fn address(array: &ArrayRef) -> usize {
    Arc::as_ptr(array).cast::<()>() as usize
}

/// For each container whether it may have rows for which the predicate is true; none if the predicate cannot tell.
/// What goes wrong only means that nothing is left out.
pub(super) fn prune(
    predicate: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
    containers: &impl PruningStatistics,
) -> Option<Vec<bool>> {
    let predicate = PruningPredicateBuilder::new().with_file_schema(schema.clone()).build(predicate.clone())?;
    match predicate.prune(containers) {
        Ok(keep) => Some(keep),
        Err(e) => {
            tracing::debug!(error = %e, "could not prune");
            None
        }
    }
}

/// Some hot chunks as containers to prune.
pub(super) struct RunZones<'a> {
    pub(super) chunks: &'a [RecordBatch],
    pub(super) cache: &'a ZoneCache,
    pub(super) schema: &'a Schema,
}

impl RunZones<'_> {
    fn bounds(&self, column: &Column, bound: impl Fn(&Zone) -> Option<&ScalarValue>) -> Option<ArrayRef> {
        let (position, field) = self.schema.column_with_name(column.name())?;
        let zones = self.cache.zones(self.chunks.iter().map(|c| c.column(position))).ok()?;
        bounds_array(zones.iter().map(bound), field.data_type())
    }
}

impl PruningStatistics for RunZones<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Zone::min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Zone::max)
    }

    fn num_containers(&self) -> usize {
        self.chunks.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (position, _) = self.schema.column_with_name(column.name())?;
        let nulls = self.chunks.iter().map(|c| c.column(position).null_count() as u64);
        Some(Arc::new(UInt64Array::from_iter_values(nulls)))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.chunks.iter().map(|c| c.num_rows() as u64))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Bounds of containers as an array, NULL where there is none.
pub(super) fn bounds_array<'a>(
    bounds: impl ExactSizeIterator<Item = Option<&'a ScalarValue>>,
    t: &DataType,
) -> Option<ArrayRef> {
    let null = ScalarValue::try_new_null(t).ok()?;
    let count = bounds.len();
    let mut known = false;
    let values = bounds.map(|b| b.inspect(|_| known = true).unwrap_or(&null).clone()).collect::<Vec<_>>();
    if !known {
        return Some(new_null_array(t, count));
    }
    ScalarValue::iter_to_array(values).ok()
}
