//! What aggregates share that need all rows of a group, in an order: the rows, sorted when the group ends.
//!
//! The planner writes `f(d) WITHIN GROUP (ORDER BY x DESC)` as `f(spec, d, x)`: the first argument says how each of the
//! last ones is ordered, so that DataFusion need not sort its input.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::utils::SingleRowListArrayBuilder;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::StateFieldsArgs;

/// How the columns of an order are sorted, as the planner writes it: for each two letters, `a` or `d` for the direction,
/// `f` or `l` for NULLs first or last, with commas between.
pub fn order_spec(columns: impl IntoIterator<Item = SortOptions>) -> String {
    let one =
        |o: SortOptions| format!("{}{}", if o.descending { 'd' } else { 'a' }, if o.nulls_first { 'f' } else { 'l' });
    columns.into_iter().map(one).collect::<Vec<_>>().join(",")
}

/// Reads what [`order_spec`] wrote.
pub(super) fn sort_options(spec: &str) -> Vec<SortOptions> {
    let columns = spec.split(',').filter(|c| !c.is_empty());
    columns.map(|c| SortOptions { descending: c.starts_with('d'), nulls_first: c.ends_with('f') }).collect()
}

/// The rows of a group: some columns of which the first row counts, and some that are collected.
#[derive(Debug)]
pub(super) struct Collected {
    types: Vec<DataType>,
    chunks: Vec<Vec<ArrayRef>>,
    /// The spec and the direct arguments.
    pub(super) direct: Vec<ScalarValue>,
    seen: bool,
    /// What the chunks hold. They are slices of batches that all groups share, so each counts its rows only.
    bytes: usize,
}

impl Collected {
    /// Of arguments of these types, the first `direct` ones are the same for the whole group.
    pub(super) fn new(types: &[DataType], direct: usize) -> Result<Collected> {
        let (first, rest) = types.split_at(direct);
        let chunks = vec![Vec::new(); rest.len()];
        let direct = first.iter().map(ScalarValue::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Collected { types: rest.to_vec(), chunks, direct, seen: false, bytes: 0 })
    }

    pub(super) fn add(&mut self, values: &[ArrayRef]) -> Result<()> {
        if values.first().is_none_or(|v| v.is_empty()) {
            return Ok(());
        }
        let (direct, rest) = values.split_at(self.direct.len());
        if !self.seen {
            self.direct = direct.iter().map(|v| ScalarValue::try_from_array(v, 0)).collect::<Result<_>>()?;
            self.seen = true;
        }
        for (chunks, column) in self.chunks.iter_mut().zip(rest) {
            self.bytes += bytes_of(column);
            chunks.push(column.clone());
        }
        Ok(())
    }

    /// The collected columns, each in one piece.
    pub(super) fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        for (chunks, ty) in self.chunks.iter_mut().zip(&self.types) {
            let whole = match chunks.as_slice() {
                [] => new_empty_array(ty),
                [one] => one.clone(),
                many => concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
            };
            *chunks = vec![whole];
        }
        Ok(self.chunks.iter().map(|chunks| chunks[0].clone()).collect())
    }

    /// The spec of the order; empty if there was no row.
    pub(super) fn spec(&self) -> &str {
        match self.direct.first() {
            Some(ScalarValue::Utf8(Some(spec)) | ScalarValue::Utf8View(Some(spec))) => spec,
            _ => "",
        }
    }

    pub(super) fn size(&self) -> usize {
        let places = self.chunks.iter().map(|c| c.capacity() * size_of::<ArrayRef>()).sum::<usize>();
        size_of_val(self) + self.bytes + places + self.direct.iter().map(ScalarValue::size).sum::<usize>()
    }

    pub(super) fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.columns()?;
        let lists = columns.into_iter().map(|c| SingleRowListArrayBuilder::new(c).build_list_scalar());
        Ok(self.direct.iter().cloned().chain(lists).collect())
    }

    pub(super) fn merge(&mut self, states: &[ArrayRef]) -> Result<()> {
        let direct = self.direct.len();
        for row in 0..states.first().map_or(0, |s| s.len()) {
            let lists = states[direct..].iter().map(|s| s.as_list::<i32>().value(row)).collect::<Vec<_>>();
            let rows = lists.first().map_or(0, |l| l.len());
            if rows == 0 {
                continue;
            }
            let first = states[..direct].iter().map(|s| ScalarValue::try_from_array(s, row)?.to_array_of_size(rows));
            let values = first.chain(lists.into_iter().map(Ok)).collect::<Result<Vec<_>>>()?;
            self.add(&values)?;
        }
        Ok(())
    }
}

/// The bytes of an array's own rows, without what else lies in its buffers.
fn bytes_of(array: &ArrayRef) -> usize {
    /// What a row of a view takes, and up to which length its text is in there.
    const VIEW: usize = 16;
    const INLINE: u32 = 12;
    let outside = |lengths: &mut dyn Iterator<Item = u32>| {
        lengths.filter(|n| *n > INLINE).map(|n| n as usize).sum::<usize>() + VIEW * array.len()
    };
    match array.data_type() {
        DataType::Utf8View => outside(&mut array.as_string_view().lengths()),
        DataType::BinaryView => outside(&mut array.as_binary_view().lengths()),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// The state's fields: direct arguments as they are, collected ones as lists.
pub(super) fn state_fields(args: &StateFieldsArgs, direct: usize) -> Vec<FieldRef> {
    let field = |(n, input): (usize, &FieldRef)| {
        let ty = match n < direct {
            true => input.data_type().clone(),
            false => DataType::List(Arc::new(Field::new_list_field(input.data_type().clone(), true))),
        };
        Arc::new(Field::new(format!("{}[{n}]", args.name), ty, true))
    };
    args.input_fields.iter().enumerate().map(field).collect()
}

/// The columns sorted by some of themselves.
pub(super) fn sorted(columns: &[ArrayRef], keys: &[ArrayRef], options: &[SortOptions]) -> Result<Vec<ArrayRef>> {
    let sort = keys.iter().zip(options).map(|(values, o)| SortColumn { values: values.clone(), options: Some(*o) });
    let sort = sort.collect::<Vec<_>>();
    if sort.is_empty() {
        return Ok(columns.to_vec());
    }
    let indices = lexsort_to_indices(&sort, None)?;
    columns.iter().map(|c| Ok(take(c, &indices, None)?)).collect()
}

/// The rows where none of the columns is NULL.
pub(super) fn without_nulls(columns: Vec<ArrayRef>, checked: usize) -> Result<Vec<ArrayRef>> {
    let Some(nulls) = columns.get(checked).and_then(|c| c.logical_nulls()).filter(|n| n.null_count() > 0) else {
        return Ok(columns);
    };
    let keep = arrow::array::BooleanArray::new(nulls.into_inner(), None);
    columns.iter().map(|c| Ok(arrow::compute::filter(c, &keep)?)).collect()
}
