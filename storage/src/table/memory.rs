//! How much memory arrays really hold: slices and string views share buffers, and a small slice may keep a large buffer.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;

use crate::error::Result;

/// Rows are copied together if they keep more than this many times their own size in memory …
const WASTE_FACTOR: u64 = 2;
/// … and this much more (bytes): below it a copy is not worth its time.
const WASTE_MIN: u64 = 4096;

/// Bytes of all buffers that the batch keeps in memory, each counted once.
pub(super) fn held_bytes(batch: &RecordBatch) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for column in batch.columns() {
        add_held(&column.to_data(), &mut seen, &mut bytes);
    }
    bytes
}

fn add_held(data: &ArrayData, seen: &mut HashSet<usize>, bytes: &mut u64) {
    let mut add = |b: &Buffer| {
        if seen.insert(b.data_ptr().as_ptr() as usize) {
            *bytes += b.capacity().max(b.len()) as u64;
        }
    };
    data.buffers().iter().for_each(&mut add);
    if let Some(nulls) = data.nulls() {
        add(nulls.buffer());
    }
    for child in data.child_data() {
        add_held(child, seen, bytes);
    }
}

/// Bytes the rows would hold if copied.
fn used_bytes(array: &dyn Array) -> u64 {
    let views = array.len() as u64 * 16;
    match array.data_type() {
        DataType::Utf8View => views + array.as_string_view().total_buffer_bytes_used() as u64,
        DataType::BinaryView => views + array.as_binary_view().total_buffer_bytes_used() as u64,
        DataType::List(_) => views / 4 + used_bytes(&list_values(array.as_list::<i32>())),
        _ => array.to_data().get_slice_memory_size().unwrap_or_default() as u64,
    }
}

/// The batch itself, or a copy of its rows if it keeps much more in memory than they need.
pub(super) fn compacted(batch: RecordBatch) -> Result<RecordBatch> {
    let used = batch.columns().iter().map(|c| used_bytes(c)).sum::<u64>();
    if held_bytes(&batch) <= used * WASTE_FACTOR + WASTE_MIN {
        return Ok(batch);
    }
    let all = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    let copy = |c: &ArrayRef| Ok(with_own_views(&take(c, &all, None)?));
    rebuilt(&batch, copy)
}

/// The batch with its strings copied together, for one that was made by concatenating batches with buffers of their own.
pub(super) fn with_joined_views(batch: &RecordBatch) -> Result<RecordBatch> {
    rebuilt(batch, |c| Ok(with_own_views(c)))
}

fn rebuilt(batch: &RecordBatch, f: impl Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(f).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

fn with_own_views(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View if !array.as_string_view().data_buffers().is_empty() => {
            Arc::new(array.as_string_view().gc())
        }
        DataType::BinaryView if !array.as_binary_view().data_buffers().is_empty() => {
            Arc::new(array.as_binary_view().gc())
        }
        DataType::List(field) if field.data_type().is_nested() || *field.data_type() == DataType::Utf8View => {
            let list = array.as_list::<i32>();
            let values = with_own_views(&list_values(list));
            let offsets = OffsetBuffer::from_lengths(list.offsets().lengths());
            Arc::new(ListArray::new(field.clone(), offsets, values, list.nulls().cloned()))
        }
        _ => array.clone(),
    }
}

/// The values between the first and the last offset of a list array, which may be a slice.
fn list_values(list: &ListArray) -> ArrayRef {
    let (first, last) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
    list.values().slice(first as usize, (last - first) as usize)
}
