//! Rows on their way through the log: one Arrow IPC message without a schema, lz4 if large, strings as `Utf8`. What the columns are
//! follows from the table's definition of that version; a fingerprint of names and types guards against rows that were
//! made for another one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow::ipc::{CompressionType, MetadataVersion, root_as_message};
use bytes::Bytes;

use crate::catalog::TableDef;
use crate::error::{Error, Result};
use crate::kv::damaged;
use crate::numeric;
use crate::table::stored_schema;
use crate::types::NUMERIC_ONCE;

/// To how many bytes buffers are padded: with the usual 64 one row would be mostly padding.
const ALIGNMENT: usize = 8;
/// Smaller batches are not compressed: each buffer is compressed by itself, and a few bytes do not get fewer.
const COMPRESSED_BYTES: usize = 16 << 10;

/// How the rows of one version of a table are laid out.
#[derive(Debug)]
pub(crate) struct Layout {
    /// In memory and in parts: stored names, `_row` last.
    stored: SchemaRef,
    /// In the log.
    wire: SchemaRef,
    fingerprint: u32,
    /// Of rows logged when `numeric` was a decimal, if the table has such a column.
    once: Option<Arc<Layout>>,
}

impl Layout {
    pub(crate) fn new(def: &TableDef) -> Layout {
        let schema = def.arrow_schema();
        let stored = stored_schema(def, true);
        let has_numeric = schema.fields().iter().any(|f| once_type(f.data_type()) != *f.data_type());
        let once = has_numeric.then(|| {
            let field = |f: &Arc<Field>| f.as_ref().clone().with_data_type(once_type(f.data_type()));
            let wire = wire_schema(&Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()));
            Arc::new(Layout { stored: stored.clone(), fingerprint: fingerprint(&wire), wire, once: None })
        });
        let wire = wire_schema(&schema);
        Layout { stored, fingerprint: fingerprint(&wire), wire, once }
    }

    /// The layout of rows with this fingerprint; none if they are not of this table.
    pub(crate) fn of(self: &Arc<Layout>, fingerprint: u32) -> Option<Arc<Layout>> {
        let known = [Some(self), self.once.as_ref()].into_iter().flatten();
        known.into_iter().find(|layout| layout.fingerprint == fingerprint).cloned()
    }

    /// Reads a batch of the log.
    ///
    /// # Errors
    /// XX001 if it is damaged.
    pub(crate) fn decode(&self, ipc: &Bytes) -> Result<RecordBatch> {
        decode(ipc, &self.wire).map_err(|e| damaged("a batch of rows").source(e))
    }

    /// Rows of the log as rows of the table; the first one gets `row_base` as its `_row`.
    pub(crate) fn stored_rows(&self, wire: &RecordBatch, row_base: u64) -> Result<RecordBatch> {
        let rows = wire.num_rows() as u64;
        let mut columns = Vec::with_capacity(wire.num_columns() + 1);
        for (column, field) in wire.columns().iter().zip(self.stored.fields()) {
            columns.push(cast(column, field.data_type())?);
        }
        columns.push(Arc::new(UInt64Array::from_iter_values(row_base..row_base + rows)) as ArrayRef);
        Ok(RecordBatch::try_new(self.stored.clone(), columns)?)
    }
}

/// Rows in a table's columns as the log wants them.
pub(crate) fn to_wire(rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = wire_schema(rows.schema_ref());
    let columns = rows.columns().iter().zip(schema.fields()).map(|(c, f)| cast(c, f.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_>>()?, &options)?)
}

/// Tells layouts apart: equal for equal column names and types, in order.
pub(crate) fn fingerprint(wire: &Schema) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for field in wire.fields() {
        hasher.update(field.name().as_bytes());
        hasher.update(&[0]);
        hasher.update(type_name(field.data_type()).as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize()
}

/// One Arrow IPC message of rows as [`to_wire`] makes them.
pub(crate) fn encode(wire: &RecordBatch) -> Result<Bytes> {
    let mut options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    if wire.get_array_memory_size() >= COMPRESSED_BYTES {
        options = options.try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    }
    let mut dictionaries = DictionaryTracker::new(false);
    let (_, batch) = IpcDataGenerator::default().encode(wire, &mut dictionaries, &options, &mut Default::default())?;
    let mut bytes = Vec::with_capacity(batch.ipc_message.len() + batch.arrow_data.len() + 16);
    write_message(&mut bytes, batch, &options)?;
    Ok(bytes.into())
}

fn decode(ipc: &Bytes, schema: &SchemaRef) -> Result<RecordBatch> {
    let bad = || Error::internal("not an Arrow message");
    // A message begins with four bytes 0xff and the length of its metadata.
    let length = ipc.get(4..8).and_then(|b| Some(u32::from_le_bytes(b.try_into().ok()?))).ok_or_else(bad)?;
    let metadata = ipc.get(8..8 + length as usize).ok_or_else(bad)?;
    let message = root_as_message(metadata).map_err(|e| bad().source(e.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(bad)?;
    let body = Buffer::from(ipc.slice(8 + length as usize..));
    let none = Default::default();
    Ok(RecordBatchDecoder::try_new(&body, batch, schema.clone(), &none, &message.version())?
        .with_require_alignment(false)
        .read_record_batch()?)
}

fn wire_schema(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| Field::new(f.name(), wire_type(f.data_type()), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn wire_type(t: &DataType) -> DataType {
    match t {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => wire_type(value),
        DataType::List(item) => DataType::List(Arc::new(Field::new("item", wire_type(item.data_type()), true))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| Field::new(f.name(), wire_type(f.data_type()), true)).collect())
        }
        other => other.clone(),
    }
}

/// How a column of this type was held before a numeric without precision was held as bytes.
fn once_type(t: &DataType) -> DataType {
    match t {
        DataType::LargeBinary => NUMERIC_ONCE,
        DataType::List(item) => {
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(once_type(item.data_type()))))
        }
        other => other.clone(),
    }
}

/// A name of the type for [`fingerprint`]; it is on disk, so it does not depend on how arrow prints nested types.
fn type_name(t: &DataType) -> String {
    match t {
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|f| type_name(f.data_type())).collect::<Vec<_>>();
            format!("({})", fields.join(","))
        }
        DataType::Decimal128(p, s) => format!("decimal128({p},{s})"),
        DataType::Decimal256(p, s) => format!("decimal256({p},{s})"),
        DataType::FixedSizeBinary(n) => format!("fixed({n})"),
        DataType::Timestamp(_, None) => "timestamp".to_string(),
        DataType::Timestamp(_, Some(zone)) => format!("timestamp({zone})"),
        DataType::Time64(_) => "time".to_string(),
        DataType::Interval(_) => "interval".to_string(),
        other => other.to_string(),
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if let Some(numerics) = numeric::of_stored(array, to) {
        return numerics;
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, to, &options)?)
}
