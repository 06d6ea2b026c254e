//! Parquet files: their columns as PostgreSQL's types, their rows batch by batch, read on a thread of their own.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;
use tokio::sync::mpsc;

use super::Opened;
use super::detect::{Found, unique};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Batches that wait to be taken.
const AHEAD: usize = 2;

/// The columns of a file.
///
/// # Errors
/// 22P04 for what is no Parquet; 0A000 for a column of a nested type.
pub(super) fn detect(file: Opened, name: &str) -> Result<Vec<Found>> {
    let faults = file.faults();
    let broken = |e: &ParquetError| faults.or(broken(name, e));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    let fields = builder.schema().fields();
    let names = unique(fields.iter().map(|f| f.name().clone()));
    let column = |(field, column): (&std::sync::Arc<arrow::datatypes::Field>, String)| match sql_type(field.data_type())
    {
        Some(ty) => Ok(Found { name: column, ty, samples: vec![field.data_type().to_string()] }),
        None => Err(Error::unsupported(format!(
            "column \"{}\" of file \"{name}\" has a nested type, which is not supported",
            field.name()
        ))),
    };
    fields.iter().zip(names).map(column).collect()
}

/// What a column of Arrow's is here.
fn sql_type(ty: &DataType) -> Option<SqlType> {
    use DataType as D;
    Some(match ty {
        D::Boolean => SqlType::Boolean,
        D::Int8 | D::Int16 | D::UInt8 => SqlType::SmallInt,
        D::Int32 | D::UInt16 => SqlType::Integer,
        D::Int64 | D::UInt32 => SqlType::BigInt,
        D::UInt64 => SqlType::Numeric(Some((20, 0))),
        D::Float16 | D::Float32 => SqlType::Real,
        D::Float64 => SqlType::Double,
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => {
            SqlType::Numeric(Some((u16::from(*p), i16::from(*s))))
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Null => SqlType::Text,
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => SqlType::Bytea,
        D::Date32 | D::Date64 => SqlType::Date,
        D::Time32(_) | D::Time64(_) => SqlType::Time,
        D::Timestamp(_, None) => SqlType::Timestamp,
        D::Timestamp(..) => SqlType::TimestampTz,
        D::Dictionary(_, values) => sql_type(values)?,
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => match sql_type(item.data_type())? {
            SqlType::Array(_) => return None,
            item => SqlType::Array(Box::new(item)),
        },
        _ => return None,
    })
}

/// The rows of the columns at these places, none for NULL, in the types of a schema.
pub(super) fn start(
    open: impl FnOnce() -> Result<Opened> + Send + 'static,
    name: String,
    places: Vec<Option<usize>>,
    schema: SchemaRef,
) -> mpsc::Receiver<Result<RecordBatch>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    drop(tokio::task::spawn_blocking(move || {
        if let Err(e) = send_all(open, &name, &places, &schema, &sender) {
            // Nobody to be told: the statement is over.
            drop(sender.blocking_send(Err(e)));
        }
    }));
    receiver
}

fn send_all(
    open: impl FnOnce() -> Result<Opened>,
    name: &str,
    places: &[Option<usize>],
    schema: &SchemaRef,
    sender: &mpsc::Sender<Result<RecordBatch>>,
) -> Result<()> {
    let file = open()?;
    let faults = file.faults();
    let broken = |e: &ParquetError| faults.or(broken(name, e));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    let mut wanted = places.iter().flatten().copied().collect::<Vec<_>>();
    wanted.sort_unstable();
    wanted.dedup();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|e| broken(&e))?;
    let options = CastOptions { safe: false, ..CastOptions::default() };
    for batch in reader {
        let batch = batch.map_err(|e| broken(&ParquetError::ArrowError(e.to_string())))?;
        let column = |(place, field): (&Option<usize>, &std::sync::Arc<arrow::datatypes::Field>)| -> Result<ArrayRef> {
            match place.and_then(|n| wanted.binary_search(&n).ok()) {
                Some(n) => Ok(cast_with_options(batch.column(n), field.data_type(), &options)?),
                None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
            }
        };
        let columns = places.iter().zip(schema.fields()).map(column).collect::<Result<Vec<_>>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &rows)?;
        if sender.blocking_send(Ok(batch)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn broken(name: &str, e: &ParquetError) -> Error {
    let text = e.to_string();
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, format!("file \"{name}\" is no valid Parquet file"))
        .detail(format!("{}.", text.lines().next().unwrap_or_default()))
}
