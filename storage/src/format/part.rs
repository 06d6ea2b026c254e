//! The persisted form of a part's entry in the manifest. The bounds of all its columns are one Arrow batch of two rows.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::{narrow, required};
use crate::error::Result;
use crate::ids::{ColumnId, Index};
use crate::kv::damaged;
use crate::table::{ColumnStats, PartMeta};

/// One part.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartMessage {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(uint32, tag = "3")]
    crc32: u32,
    #[prost(uint64, tag = "4")]
    rows: u64,
    #[prost(uint64, repeated, tag = "5")]
    row_groups: Vec<u64>,
    #[prost(uint32, tag = "6")]
    table_version: u32,
    #[prost(string, tag = "7")]
    partition: String,
    #[prost(uint64, tag = "8")]
    first: u64,
    #[prost(uint64, tag = "9")]
    last: u64,
    #[prost(uint64, optional, tag = "10")]
    row_base: Option<u64>,
    #[prost(message, repeated, tag = "11")]
    columns: Vec<ColumnMessage>,
    /// An Arrow IPC stream: one batch of two rows, least and greatest, a column for each with `bounded`.
    #[prost(bytes = "vec", tag = "12")]
    bounds: Vec<u8>,
    #[prost(sint64, tag = "13")]
    created_at: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ColumnMessage {
    #[prost(uint32, tag = "1")]
    column: u32,
    #[prost(uint64, tag = "2")]
    nulls: u64,
    #[prost(bool, tag = "3")]
    bounded: bool,
    #[prost(bool, tag = "4")]
    exact: bool,
}

impl PartMessage {
    pub(crate) fn new(part: &PartMeta) -> Result<PartMessage> {
        let column = |c: &ColumnStats| ColumnMessage {
            column: u32::from(c.column.0),
            nulls: c.nulls,
            bounded: c.bounds.is_some(),
            exact: c.exact,
        };
        Ok(PartMessage {
            path: part.path.clone(),
            size: part.size,
            crc32: part.crc32,
            rows: part.rows,
            row_groups: part.row_groups.clone(),
            table_version: part.table_version,
            partition: part.partition.clone(),
            first: part.first.0,
            last: part.last.0,
            row_base: part.row_base,
            columns: part.columns.iter().map(column).collect(),
            bounds: encode_bounds(&part.columns)?,
            created_at: part.created_at,
        })
    }

    pub(crate) fn into_meta(self) -> Result<PartMeta> {
        let mut bounds = decode_bounds(&self.bounds)?.into_iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for c in &self.columns {
            let bounds = if c.bounded { Some(required(bounds.next(), "the bounds of a part")?) } else { None };
            let column = ColumnId(narrow(c.column, "a part")?);
            columns.push(ColumnStats { column, nulls: c.nulls, bounds, exact: c.exact });
        }
        Ok(PartMeta {
            path: self.path,
            size: self.size,
            crc32: self.crc32,
            rows: self.rows,
            row_groups: self.row_groups,
            table_version: self.table_version,
            partition: self.partition,
            first: Index(self.first),
            last: Index(self.last),
            row_base: self.row_base,
            columns,
            created_at: self.created_at,
        })
    }
}

fn encode_bounds(columns: &[ColumnStats]) -> Result<Vec<u8>> {
    let bounds = columns.iter().filter_map(|c| c.bounds.clone()).collect::<Vec<_>>();
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    let fields = bounds.iter().map(|b| Field::new("", b.data_type().clone(), true)).collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), bounds)?;
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn decode_bounds(bytes: &[u8]) -> Result<Vec<ArrayRef>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut batches = StreamReader::try_new(Cursor::new(bytes), None)?;
    let batch = required(batches.next(), "the bounds of a part")??;
    if batch.num_rows() != 2 {
        return Err(damaged("the bounds of a part"));
    }
    Ok(batch.columns().to_vec())
}
