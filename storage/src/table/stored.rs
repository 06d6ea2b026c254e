//! The layout of rows at rest. Hot batches and parts name their columns by [`ColumnDef::stored_name`], and may be older
//! than the table's present columns; [`Alignment`] brings such rows to the columns asked for.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::catalog::{ColumnDef, TableDef};
use crate::error::{Error, Result, SqlState};
use crate::numeric;

/// The hidden column that identifies a row for ever: a non-null `UInt64`, always the last one.
pub const ROW_COLUMN: &str = "_row";

/// The columns of hot batches and parts written for `def`: stored names, each field with its SQL type and its column's
/// id (`PARQUET:field_id`). A reader of parts that asks for exactly these fields gets them without a cast.
pub fn stored_schema(def: &TableDef, with_row: bool) -> SchemaRef {
    let mut fields = def.columns.iter().map(stored_field).collect::<Vec<_>>();
    if with_row {
        fields.push(Field::new(ROW_COLUMN, DataType::UInt64, false));
    }
    Arc::new(Schema::new(fields))
}

fn stored_field(column: &ColumnDef) -> Field {
    // Labels may change while rows stay: the type at rest is a bare one.
    let mut field = column.ty.bare().field(&column.stored_name, !column.not_null);
    field.metadata_mut().insert(PARQUET_FIELD_ID_META_KEY.to_string(), column.id.to_string());
    field
}

/// Rows in `def.arrow_schema()` as they are stored: the same arrays under stored names. Columns are found by name, so
/// their order may differ; strings in another Arrow form are converted.
///
/// # Errors
/// XX000 if a column is missing; the errors of a cast.
pub fn to_stored(def: &TableDef, batch: &RecordBatch) -> Result<RecordBatch> {
    let given = batch.schema_ref();
    let mut columns = Vec::with_capacity(def.columns.len());
    for (position, column) in def.columns.iter().enumerate() {
        let at_home = given.fields().get(position).is_some_and(|f| *f.name() == column.name);
        let found = if at_home { Some(position) } else { given.column_with_name(&column.name).map(|(i, _)| i) };
        let Some(found) = found else {
            return Err(Error::internal(format!("column \"{}\" is missing in rows to store", column.name)));
        };
        columns.push(converted(batch.column(found), &column.ty.arrow())?);
    }
    assembled(stored_schema(def, false), columns, batch.num_rows())
}

/// Where each column of a target layout comes from, worked out once for a source schema.
pub(super) struct Alignment {
    target: SchemaRef,
    sources: Vec<Source>,
}

enum Source {
    Column(usize),
    /// The column is younger than the rows: one row to repeat.
    Missing(ArrayRef),
}

impl Alignment {
    /// From rows stored as `source` to `def.arrow_schema()`.
    pub(super) fn to_table(def: &TableDef, source: &Schema) -> Result<Alignment> {
        Alignment::new(def, source, def.arrow_schema())
    }

    /// From rows stored as `source` to `stored_schema(def)`, with `_row` if the source has it.
    pub(super) fn to_stored(def: &TableDef, source: &Schema) -> Result<Alignment> {
        let row = source.column_with_name(ROW_COLUMN);
        let mut alignment = Alignment::new(def, source, stored_schema(def, row.is_some()))?;
        if let Some((position, _)) = row {
            alignment.sources.push(Source::Column(position));
        }
        Ok(alignment)
    }

    fn new(def: &TableDef, source: &Schema, target: SchemaRef) -> Result<Alignment> {
        let mut sources = Vec::with_capacity(def.columns.len() + 1);
        for column in &def.columns {
            sources.push(match source.column_with_name(&column.stored_name) {
                Some((position, _)) => Source::Column(position),
                None => Source::Missing(missing_value(column)?),
            });
        }
        Ok(Alignment { target, sources })
    }

    /// The rows in the target layout; arrays are shared where nothing has to change.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.sources.len());
        for (source, field) in self.sources.iter().zip(self.target.fields()) {
            columns.push(match source {
                Source::Column(position) => converted(batch.column(*position), field.data_type())?,
                Source::Missing(value) => repeated(value, batch.num_rows())?,
            });
        }
        assembled(self.target.clone(), columns, batch.num_rows())
    }
}

/// A batch that may have no columns at all, as PostgreSQL's tables may.
fn assembled(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

fn converted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if let Some(numerics) = numeric::of_stored(array, to) {
        return numerics;
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|e| {
        let message = format!("cannot read a stored column of type {} as {to}", array.data_type());
        Error::new(SqlState::DATATYPE_MISMATCH, message).source(e)
    })
}

/// What rows written before the column existed hold, as one row.
pub fn missing_value(column: &ColumnDef) -> Result<ArrayRef> {
    let Some(ipc) = &column.missing else { return Ok(new_null_array(&column.ty.arrow(), 1)) };
    let damaged = || Error::new(SqlState::DATA_CORRUPTED, format!("default of column \"{}\" is damaged", column.name));
    let mut batches = StreamReader::try_new(Cursor::new(ipc), None).map_err(|e| damaged().source(e))?;
    let batch = batches.next().ok_or_else(damaged)?.map_err(|e| damaged().source(e))?;
    if batch.num_rows() != 1 || batch.num_columns() != 1 {
        return Err(damaged());
    }
    converted(batch.column(0), &column.ty.arrow())
}

fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?)
}
