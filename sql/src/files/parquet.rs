//! Parquet files: their columns as PostgreSQL's types, their rows batch by batch, read on a thread of their own.
//!
//! Arrow's types hold more than PostgreSQL's: text with zero bytes, and times beyond its years. Such values are refused as
//! COPY refuses them.

use std::ops::RangeInclusive;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options, max, min};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Field, SchemaRef, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use memchr::memchr;
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
/// The days that a date can have, from 24 November 4714 BC to the year 5874897.
const DATES: RangeInclusive<i32> = -2_440_588..=2_145_042_905;
/// The microseconds of a day.
const TIMES: RangeInclusive<i64> = 0..=86_400_000_000;
/// The microseconds that a timestamp can have, from the same day on.
const TIMESTAMPS: RangeInclusive<i64> = -210_866_803_200_000_000..=i64::MAX;

/// The columns of a file.
///
/// # Errors
/// 22P04 for what is no Parquet.
pub(super) fn detect(file: Opened, name: &str) -> Result<Vec<Found>> {
    let faults = file.faults();
    let broken = |e: &ParquetError| faults.or(broken(name, e));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    let fields = builder.schema().fields();
    let names = unique(fields.iter().map(|f| f.name().clone()));
    let column = |(field, column): (&std::sync::Arc<Field>, String)| {
        let ty = sql_type(field.data_type());
        let refused = ty
            .is_none()
            .then(|| format!("column \"{}\" of file \"{name}\" has the type {}", field.name(), field.data_type()));
        let samples = vec![field.data_type().to_string()];
        Found { samples, refused, ..Found::told(&column, &ty.unwrap_or(SqlType::Text)) }
    };
    Ok(fields.iter().zip(names).map(column).collect())
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
        let column = |(place, field): (&Option<usize>, &std::sync::Arc<Field>)| -> Result<ArrayRef> {
            match place.and_then(|n| wanted.binary_search(&n).ok()) {
                Some(n) => converted(batch.column(n), field, &options)
                    .map_err(|e| e.context(format!("file \"{name}\", column {}", field.name()))),
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

/// A column in the type that it is to have.
///
/// # Errors
/// 22021 for text with a zero byte; 22008 and 22003 for what the type does not reach to.
fn converted(from: &ArrayRef, field: &Field, options: &CastOptions<'_>) -> Result<ArrayRef> {
    if has_zero_byte(from) {
        let text = "invalid byte sequence for encoding \"UTF8\": 0x00";
        return Err(Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, text));
    }
    let past = |what: &str| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"));
    let what = match field.data_type() {
        DataType::Date32 => "date",
        DataType::Time64(_) => "time",
        DataType::Timestamp(..) => "timestamp",
        _ => "",
    };
    let to = cast_with_options(from, field.data_type(), options).map_err(|e| match e {
        ArrowError::CastError(_) | ArrowError::ArithmeticOverflow(_) if !what.is_empty() => past(what),
        ArrowError::CastError(text) | ArrowError::ArithmeticOverflow(text) => {
            Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range").detail(format!("{text}."))
        }
        other => other.into(),
    })?;
    let inside = match to.data_type() {
        DataType::Date32 => lies_in::<Date32Type>(&to, DATES),
        DataType::Time64(_) => lies_in::<Time64MicrosecondType>(&to, TIMES),
        DataType::Timestamp(..) => lies_in::<TimestampMicrosecondType>(&to, TIMESTAMPS),
        _ => true,
    };
    if inside { Ok(to) } else { Err(past(what)) }
}

/// Whether all values of a column lie in a range.
fn lies_in<T: ArrowNumericType>(column: &ArrayRef, range: RangeInclusive<T::Native>) -> bool {
    let Some(column) = column.as_primitive_opt::<T>() else { return true };
    [min(column), max(column)].iter().flatten().all(|value| range.contains(value))
}

/// Whether a zero byte stands in a column of texts, or of lists of them. What lies between the values is looked at too: it is
/// of rows that are not there.
fn has_zero_byte(column: &ArrayRef) -> bool {
    let any = |bytes: &[u8]| memchr(0, bytes).is_some();
    match column.data_type() {
        DataType::Utf8 => any(column.as_string::<i32>().value_data()),
        DataType::LargeUtf8 => any(column.as_string::<i64>().value_data()),
        DataType::Utf8View => column.as_string_view().iter().flatten().any(|text| any(text.as_bytes())),
        DataType::Dictionary(..) => has_zero_byte(column.as_any_dictionary().values()),
        DataType::List(_) => has_zero_byte(column.as_list::<i32>().values()),
        DataType::LargeList(_) => has_zero_byte(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => has_zero_byte(column.as_fixed_size_list().values()),
        _ => false,
    }
}

fn broken(name: &str, e: &ParquetError) -> Error {
    let text = e.to_string();
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, format!("file \"{name}\" is no valid Parquet file"))
        .detail(format!("{}.", text.lines().next().unwrap_or_default()))
}
