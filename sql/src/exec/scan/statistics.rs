//! Statistics of a scan from the manifest and from hot chunks: exact wherever they are, so that `count(*)`, `min` and
//! `max` are answered without reading a row, and for pruning parts.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, Result, ScalarValue, Statistics};
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::numeric;
use sightline_storage::parts::Part;
use sightline_storage::table::{ColumnStats, PartMeta};

use super::adapter::StoredColumns;
use super::memory::HotRun;
use super::zones::{Zone, bounds_array, has_order, is_cheap, is_zero};

/// What a value of variable length is taken to hold besides its 16 bytes of view or offsets: about a name or a short line.
const TEXT_BYTES: u64 = 16;

/// Bytes of a row in memory, estimated from its types.
#[derive(Clone, Debug)]
pub(super) struct RowWidth {
    columns: Vec<u64>,
}

impl RowWidth {
    pub(super) fn new(schema: &SchemaRef) -> RowWidth {
        let width = |t: &DataType| t.primitive_width().map_or(16 + TEXT_BYTES, |w| w as u64);
        RowWidth { columns: schema.fields().iter().map(|f| width(f.data_type())).collect() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.columns.iter().sum()
    }

    /// Of the column at this place.
    pub(super) fn column(&self, place: usize) -> u64 {
        self.columns.get(place).copied().unwrap_or_default()
    }
}

/// What is known of one column in some rows.
#[derive(Clone, Debug, PartialEq)]
struct Summary {
    nulls: u64,
    bounds: Zone,
    /// Whether the bounds are values of the column.
    exact: bool,
    /// Whether so many are NULL, and not fewer.
    whole: bool,
}

/// What is known of some rows. Columns nobody asked for have no summary.
#[derive(Clone, Debug)]
pub(super) struct Summaries {
    rows: u64,
    columns: Vec<Option<Summary>>,
}

impl Summaries {
    /// Of no rows at all, for so many columns.
    pub(super) fn none(columns: usize) -> Summaries {
        Summaries { rows: 0, columns: vec![Some(Summary::NONE); columns] }
    }

    /// Of a part, for the wanted columns.
    pub(super) fn of_part(def: &TableDef, columns: &StoredColumns, part: &Part, wanted: &[bool]) -> Summaries {
        let summary = |(column, wanted): (&ColumnDef, &bool)| {
            let mut summary = wanted.then(|| Summary::of_part(column, columns, &part.meta))?;
            // The bounds, and what is NULL, may be of rows that are deleted.
            summary.exact &= part.deletion.is_none();
            summary.whole &= part.deletion.is_none();
            Some(summary)
        };
        let known = def.columns.iter().zip(wanted).map(summary);
        // Of hidden columns nothing is known.
        let hidden = (def.columns.len()..wanted.len()).map(|_| None);
        Summaries { rows: part.rows(), columns: known.chain(hidden).collect() }
    }

    /// Of hot chunks, for the wanted columns; bounds of strings only if `texts` says so.
    ///
    /// # Errors
    /// Those of computing bounds.
    pub(super) fn of_run(run: &HotRun, wanted: &[bool], texts: bool) -> Result<Summaries> {
        let mut columns = Vec::with_capacity(wanted.len());
        for (position, wanted) in wanted.iter().enumerate() {
            columns.push(if *wanted { Some(Summary::of_run(run, position, texts)?) } else { None });
        }
        Ok(Summaries { rows: run.rows() as u64, columns })
    }

    /// Adds other rows.
    pub(super) fn merge(&mut self, other: &Summaries) {
        self.rows += other.rows;
        for (mine, other) in self.columns.iter_mut().zip(&other.columns) {
            match (mine.as_mut(), other) {
                (Some(mine), Some(other)) => mine.merge(other),
                _ => *mine = None,
            }
        }
    }

    /// As DataFusion wants them.
    pub(super) fn into_statistics(self, width: &RowWidth) -> Statistics {
        let rows = self.rows as usize;
        let mut bytes = 0;
        let mut column_statistics = Vec::with_capacity(self.columns.len());
        for (summary, width) in self.columns.into_iter().zip(&width.columns) {
            column_statistics.push(match summary {
                Some(summary) => {
                    bytes += rows * *width as usize;
                    summary.into_statistics(rows * *width as usize)
                }
                None => ColumnStatistics::new_unknown(),
            });
        }
        Statistics { num_rows: Precision::Exact(rows), total_byte_size: Precision::Inexact(bytes), column_statistics }
    }
}

impl Summary {
    const NONE: Summary = Summary { nulls: 0, bounds: Zone::Empty, exact: true, whole: true };

    fn of_part(column: &ColumnDef, columns: &StoredColumns, part: &PartMeta) -> Summary {
        let Some(stats) = part.columns.iter().find(|s| s.column == column.id) else {
            return match columns.missing(column) {
                Some(value) if !value.is_null() => Summary::constant(value),
                _ => Summary { nulls: part.rows, bounds: Zone::Empty, exact: true, whole: true },
            };
        };
        let bounds = match part_bounds(stats, &column.ty.arrow()) {
            Some((min, max)) => Zone::Values { min, max },
            None if stats.nulls == part.rows => Zone::Empty,
            None => Zone::Unknown,
        };
        Summary { nulls: stats.nulls, bounds, exact: stats.exact, whole: true }
    }

    fn constant(value: &ScalarValue) -> Summary {
        if !has_order(&value.data_type()) {
            return Summary { nulls: 0, bounds: Zone::Unknown, exact: true, whole: true };
        }
        Summary { nulls: 0, bounds: Zone::Values { min: value.clone(), max: value.clone() }, exact: true, whole: true }
    }

    fn of_run(run: &HotRun, position: usize, texts: bool) -> Result<Summary> {
        let arrays = run.chunks.iter().map(|c| c.column(position));
        let nulls = arrays.clone().map(|a| a.null_count() as u64).sum();
        let mut summary = Summary { nulls, ..Summary::NONE };
        let cheap = arrays.clone().next().is_none_or(|a| is_cheap(a.data_type()));
        if !cheap && !texts {
            summary.bounds = Zone::Unknown;
            return Ok(summary);
        }
        for zone in run.zones.zones(arrays)? {
            summary.add_bounds(&zone);
        }
        Ok(summary)
    }

    fn merge(&mut self, other: &Summary) {
        self.nulls += other.nulls;
        self.exact &= other.exact;
        self.whole &= other.whole;
        self.add_bounds(&other.bounds);
    }

    fn add_bounds(&mut self, other: &Zone) {
        match (&mut self.bounds, other) {
            (_, Zone::Empty) | (Zone::Unknown, _) => {}
            (mine, Zone::Unknown) => *mine = Zone::Unknown,
            (mine @ Zone::Empty, other) => *mine = other.clone(),
            (Zone::Values { min, max }, Zone::Values { min: other_min, max: other_max }) => {
                if (*other_min).partial_cmp(min).is_some_and(|o| o.is_lt()) {
                    *min = other_min.clone();
                }
                if (*other_max).partial_cmp(max).is_some_and(|o| o.is_gt()) {
                    *max = other_max.clone();
                }
            }
        }
    }

    fn into_statistics(self, bytes: usize) -> ColumnStatistics {
        let bound = |value: ScalarValue| {
            if self.exact && !is_zero(&value) { Precision::Exact(value) } else { Precision::Inexact(value) }
        };
        let (min_value, max_value) = match self.bounds {
            Zone::Values { min, max } => (bound(min), bound(max)),
            Zone::Empty | Zone::Unknown => (Precision::Absent, Precision::Absent),
        };
        ColumnStatistics {
            null_count: match self.whole {
                true => Precision::Exact(self.nulls as usize),
                false => Precision::Inexact(self.nulls as usize),
            },
            min_value,
            max_value,
            byte_size: Precision::Inexact(bytes),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// The bounds of a part's column in the column's present type, if that has the same order.
fn part_bounds(stats: &ColumnStats, to: &DataType) -> Option<(ScalarValue, ScalarValue)> {
    let bounds = in_type(stats.bounds.as_ref()?, to)?;
    let value = |row| ScalarValue::try_from_array(&bounds, row).ok().filter(|v| !v.is_null());
    Some((value(0)?, value(1)?))
}

fn in_type(bounds: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    if bounds.data_type() == to {
        return Some(bounds.clone());
    }
    if let Some(numerics) = numeric::of_stored(bounds, to) {
        return numerics.ok();
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if keeps_order(bounds.data_type(), to) { cast_with_options(bounds, to, &strict).ok() } else { None }
}

/// Whether a cast never makes a smaller value the larger one.
fn keeps_order(from: &DataType, to: &DataType) -> bool {
    let number = |t: &DataType| {
        t.is_integer() || t.is_floating() || matches!(t, DataType::Decimal128(_, _) | DataType::Decimal256(_, _))
    };
    let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    (number(from) && number(to)) || (text(from) && text(to))
}

/// The parts of a table as containers to prune.
pub(super) struct PartZones<'a> {
    def: &'a TableDef,
    columns: &'a StoredColumns,
    parts: &'a [Arc<Part>],
}

impl<'a> PartZones<'a> {
    pub(super) fn new(def: &'a TableDef, columns: &'a StoredColumns, parts: &'a [Arc<Part>]) -> PartZones<'a> {
        PartZones { def, columns, parts }
    }

    fn summaries(&self, column: &Column) -> Option<(&ColumnDef, Vec<Summary>)> {
        let column = self.def.column(column.name())?;
        Some((column, self.parts.iter().map(|p| Summary::of_part(column, self.columns, &p.meta)).collect()))
    }

    fn bounds(&self, column: &Column, bound: impl Fn(&Zone) -> Option<&ScalarValue>) -> Option<ArrayRef> {
        let (column, summaries) = self.summaries(column)?;
        bounds_array(summaries.iter().map(|s| bound(&s.bounds)), &column.ty.arrow())
    }
}

impl PruningStatistics for PartZones<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Zone::min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Zone::max)
    }

    fn num_containers(&self) -> usize {
        self.parts.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (_, summaries) = self.summaries(column)?;
        Some(Arc::new(UInt64Array::from_iter_values(summaries.iter().map(|s| s.nulls))))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.parts.iter().map(|p| p.meta.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
