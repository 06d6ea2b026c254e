//! Columns made of cells: one builder a column, which appends text or binary without an allocation a cell.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, LargeBinaryBuilder, ListArray, NullArray, NullBufferBuilder, StringViewBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use sightline_numeric::{Numeric, bytes, wire};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::{EnumType, SqlType};

use super::array::Element;
use super::datetime::{PG_EPOCH_DAYS, PG_EPOCH_US};
use super::input::INCORRECT_BINARY;
use super::record::RecordBuilder;
use super::{Style, array, datetime_input, float, interval_input, json, numeric, precise, scalar};

/// A growing column of one type.
pub struct ColumnBuilder {
    ty: SqlType,
    values: Builder,
}

enum Builder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Enum(Int32Builder, Labels),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    /// With precision and scale if it has them, and room to encode in.
    Numeric(LargeBinaryBuilder, Option<(u16, i16)>, Vec<u8>),
    Text(StringViewBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampTz(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Uuid(FixedSizeBinaryBuilder),
    List(Box<ListBuilder>),
    Record(Box<RecordBuilder>),
    /// Only counts.
    Void(usize),
}

struct ListBuilder {
    items: ColumnBuilder,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    /// Elements so far.
    length: i32,
}

/// The labels of an enum, to be looked up.
struct Labels {
    of: Arc<EnumType>,
    numbers: HashMap<String, i32>,
}

impl Labels {
    fn new(of: &Arc<EnumType>) -> Labels {
        Labels { of: of.clone(), numbers: of.labels.iter().map(|(n, label)| (label.clone(), *n)).collect() }
    }

    fn number(&self, label: &str) -> Result<i32> {
        self.numbers.get(label).copied().ok_or_else(|| {
            let message = format!("invalid input value for enum {}: \"{label}\"", self.of.id);
            Error::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })
    }
}

/// 22P03 for bytes that are too many, or no such value.
fn broken_binary() -> Error {
    Error::new(SqlState::INVALID_BINARY_REPRESENTATION, INCORRECT_BINARY)
}

/// 08P01 for too few bytes.
fn too_short() -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

/// The same where not even one is there.
fn no_data() -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, "no data left in message")
}

fn fixed<const N: usize>(data: &[u8]) -> Result<[u8; N]> {
    if data.len() < N {
        return Err(too_short());
    }
    data.try_into().map_err(|_| broken_binary())
}

impl ColumnBuilder {
    /// An empty column of a type.
    pub fn new(ty: &SqlType) -> ColumnBuilder {
        let ty = ty.base();
        let values = match (ty, ty.arrow()) {
            (_, DataType::Decimal128(p, s)) => {
                Builder::Decimal128(Decimal128Builder::new().with_data_type(ty.arrow()), p, s)
            }
            (_, DataType::Decimal256(p, s)) => {
                Builder::Decimal256(Decimal256Builder::new().with_data_type(ty.arrow()), p, s)
            }
            (SqlType::Numeric(modifier), _) => Builder::Numeric(LargeBinaryBuilder::new(), *modifier, Vec::new()),
            (SqlType::Array(item), _) => Builder::List(Box::new(ListBuilder {
                items: ColumnBuilder::new(item),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                length: 0,
            })),
            (SqlType::Enum(of), _) => Builder::Enum(Int32Builder::new(), Labels::new(of)),
            (SqlType::Composite(of), _) => Builder::Record(Box::new(RecordBuilder::new(of))),
            (_, DataType::Boolean) => Builder::Bool(BooleanBuilder::new()),
            (_, DataType::Int16) => Builder::Int16(Int16Builder::new()),
            (_, DataType::Int32) => Builder::Int32(Int32Builder::new()),
            (_, DataType::Int64) => Builder::Int64(Int64Builder::new()),
            (_, DataType::UInt32) => Builder::UInt32(UInt32Builder::new()),
            (_, DataType::Float32) => Builder::Float32(Float32Builder::new()),
            (_, DataType::Float64) => Builder::Float64(Float64Builder::new()),
            (_, DataType::Binary) => Builder::Bytes(BinaryBuilder::new()),
            (_, DataType::Date32) => Builder::Date(Date32Builder::new()),
            (_, DataType::Time64(_)) => Builder::Time(Time64MicrosecondBuilder::new()),
            (_, DataType::Timestamp(_, None)) => Builder::Timestamp(TimestampMicrosecondBuilder::new()),
            (_, DataType::Timestamp(..)) => {
                Builder::TimestampTz(TimestampMicrosecondBuilder::new().with_data_type(ty.arrow()))
            }
            (_, DataType::Interval(_)) => Builder::Interval(IntervalMonthDayNanoBuilder::new()),
            (_, DataType::FixedSizeBinary(n)) => Builder::Uuid(FixedSizeBinaryBuilder::new(n)),
            (_, DataType::Null) => Builder::Void(0),
            _ => Builder::Text(StringViewBuilder::new()),
        };
        ColumnBuilder { ty: ty.clone(), values }
    }

    /// The type of the column.
    pub fn ty(&self) -> &SqlType {
        &self.ty
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        match &mut self.values {
            Builder::Bool(b) => b.append_null(),
            Builder::Int16(b) => b.append_null(),
            Builder::Int32(b) | Builder::Enum(b, _) => b.append_null(),
            Builder::Int64(b) => b.append_null(),
            Builder::UInt32(b) => b.append_null(),
            Builder::Float32(b) => b.append_null(),
            Builder::Float64(b) => b.append_null(),
            Builder::Decimal128(b, ..) => b.append_null(),
            Builder::Decimal256(b, ..) => b.append_null(),
            Builder::Numeric(b, ..) => b.append_null(),
            Builder::Text(b) => b.append_null(),
            Builder::Bytes(b) => b.append_null(),
            Builder::Date(b) => b.append_null(),
            Builder::Time(b) => b.append_null(),
            Builder::Timestamp(b) | Builder::TimestampTz(b) => b.append_null(),
            Builder::Interval(b) => b.append_null(),
            Builder::Uuid(b) => b.append_null(),
            Builder::List(b) => b.close(false),
            Builder::Record(b) => b.append_null(),
            Builder::Void(n) => *n += 1,
        }
    }

    /// Appends a cell from its text, as the type's input function of PostgreSQL reads it.
    ///
    /// # Errors
    /// PostgreSQL's; the builder is of no use then.
    pub fn append_text(&mut self, text: &str, style: &Style) -> Result<()> {
        let int = |least: i64, most: i64, ty: &str| scalar::parse_int(text, least, most, ty);
        match &mut self.values {
            Builder::Bool(b) => b.append_value(scalar::parse_bool(text)?),
            Builder::Int16(b) => b.append_value(int(i16::MIN.into(), i16::MAX.into(), "smallint")? as i16),
            Builder::Int32(b) => b.append_value(int(i32::MIN.into(), i32::MAX.into(), "integer")? as i32),
            Builder::Enum(b, labels) => b.append_value(labels.number(text)?),
            Builder::Int64(b) => b.append_value(int(i64::MIN, i64::MAX, "bigint")?),
            Builder::UInt32(b) => b.append_value(scalar::parse_oid(text)?),
            Builder::Float32(b) => b.append_value(float::parse_f32(text)?),
            Builder::Float64(b) => b.append_value(float::parse_f64(text)?),
            Builder::Decimal128(b, p, s) => b.append_value(numeric::parse_i128(text, *p, *s)?),
            Builder::Decimal256(b, p, s) => b.append_value(numeric::parse_i256(text, *p, *s)?),
            Builder::Numeric(b, modifier, room) => append_numeric(b, *modifier, room, Numeric::parse(text)?)?,
            Builder::Text(b) => append_string(b, &self.ty, text)?,
            Builder::Bytes(b) => b.append_value(scalar::parse_bytea(text)?),
            Builder::Date(b) => b.append_value(datetime_input::parse_date(text, style)?),
            Builder::Time(b) => b.append_value(precise::time(&self.ty, datetime_input::parse_time(text, style)?)),
            Builder::Timestamp(b) => {
                b.append_value(precise::timestamp(&self.ty, datetime_input::parse_timestamp(text, style)?));
            }
            Builder::TimestampTz(b) => {
                b.append_value(precise::timestamp(&self.ty, datetime_input::parse_timestamptz(text, style)?));
            }
            Builder::Interval(b) => {
                let read = interval_input::parse(text, style, precise::fields(&self.ty))?;
                b.append_value(precise::interval(&self.ty, read));
            }
            Builder::Uuid(b) => b.append_value(scalar::parse_uuid(text)?)?,
            Builder::List(b) => b.append_text(text, style)?,
            Builder::Record(b) => b.append_text(text, style)?,
            Builder::Void(n) => *n += 1,
        }
        Ok(())
    }

    /// Appends a cell from its binary form.
    ///
    /// # Errors
    /// 22P03 for bytes that are no such value, 22021 for text that is no UTF-8.
    pub fn append_binary(&mut self, data: &[u8]) -> Result<()> {
        let ty = &self.ty;
        match &mut self.values {
            Builder::Bool(b) => match data {
                [] => return Err(no_data()),
                data => b.append_value(fixed::<1>(data)? != [0]),
            },
            Builder::Int16(b) => b.append_value(i16::from_be_bytes(fixed(data)?)),
            Builder::Int32(b) => b.append_value(i32::from_be_bytes(fixed(data)?)),
            Builder::Enum(b, labels) => b.append_value(labels.number(scalar::text_of(data)?)?),
            Builder::Int64(b) => b.append_value(i64::from_be_bytes(fixed(data)?)),
            Builder::UInt32(b) => b.append_value(u32::from_be_bytes(fixed(data)?)),
            Builder::Float32(b) => b.append_value(f32::from_be_bytes(fixed(data)?)),
            Builder::Float64(b) => b.append_value(f64::from_be_bytes(fixed(data)?)),
            Builder::Decimal128(b, p, s) => {
                let v = numeric::to_scaled(&wire::read(data)?, *p, *s)?;
                b.append_value(v.to_i128().ok_or_else(|| numeric::overflow(*p, *s))?);
            }
            Builder::Decimal256(b, p, s) => b.append_value(numeric::to_scaled(&wire::read(data)?, *p, *s)?),
            Builder::Numeric(b, modifier, room) => append_numeric(b, *modifier, room, wire::read(data)?)?,
            Builder::Text(b) => match (ty, data) {
                (SqlType::Jsonb, [1, rest @ ..]) => append_string(b, ty, scalar::text_of(rest)?)?,
                (SqlType::Jsonb, []) => return Err(too_short()),
                (SqlType::Jsonb, [version, ..]) => {
                    let message = format!("unsupported jsonb version number {version}");
                    return Err(Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message));
                }
                _ => append_string(b, ty, scalar::text_of(data)?)?,
            },
            Builder::Bytes(b) => b.append_value(data),
            Builder::Date(b) => {
                let days = i32::from_be_bytes(fixed(data)?);
                b.append_value(from_pg_date(days)?);
            }
            Builder::Time(b) => {
                let us = i64::from_be_bytes(fixed(data)?);
                if !(0..=86_400_000_000).contains(&us) {
                    return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"));
                }
                b.append_value(precise::time(ty, us));
            }
            Builder::Timestamp(b) | Builder::TimestampTz(b) => {
                b.append_value(precise::timestamp(ty, from_pg_timestamp(i64::from_be_bytes(fixed(data)?))?));
            }
            Builder::Interval(b) => b.append_value(precise::interval(ty, from_pg_interval(fixed(data)?)?)),
            Builder::Uuid(b) => b.append_value(fixed::<16>(data)?)?,
            Builder::List(b) => b.append_binary(data)?,
            Builder::Record(b) => b.append_binary(data)?,
            Builder::Void(n) => *n += 1,
        }
        Ok(())
    }

    /// The column so far; the builder starts again.
    ///
    /// # Errors
    /// XX000 if a list's elements do not fit its offsets, which cannot happen.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.values {
            Builder::Bool(b) => Arc::new(b.finish()),
            Builder::Int16(b) => Arc::new(b.finish()),
            Builder::Int32(b) | Builder::Enum(b, _) => Arc::new(b.finish()),
            Builder::Int64(b) => Arc::new(b.finish()),
            Builder::UInt32(b) => Arc::new(b.finish()),
            Builder::Float32(b) => Arc::new(b.finish()),
            Builder::Float64(b) => Arc::new(b.finish()),
            Builder::Decimal128(b, ..) => Arc::new(b.finish()),
            Builder::Decimal256(b, ..) => Arc::new(b.finish()),
            Builder::Numeric(b, ..) => Arc::new(b.finish()),
            // A new builder begins with small blocks again: thousands of columns could not all have large ones.
            Builder::Text(b) => Arc::new(std::mem::take(b).finish()),
            Builder::Bytes(b) => Arc::new(b.finish()),
            Builder::Date(b) => Arc::new(b.finish()),
            Builder::Time(b) => Arc::new(b.finish()),
            Builder::Timestamp(b) | Builder::TimestampTz(b) => Arc::new(b.finish()),
            Builder::Interval(b) => Arc::new(b.finish()),
            Builder::Uuid(b) => Arc::new(b.finish()),
            Builder::List(b) => b.finish(&self.ty)?,
            Builder::Record(b) => b.finish(&self.ty)?,
            Builder::Void(n) => Arc::new(NullArray::new(std::mem::take(n))),
        })
    }
}

/// Appends a number, fitted to precision and scale.
fn append_numeric(
    builder: &mut LargeBinaryBuilder,
    modifier: Option<(u16, i16)>,
    room: &mut Vec<u8>,
    value: Numeric,
) -> Result<()> {
    let value = match modifier {
        Some((precision, scale)) => value.fit(precision.into(), scale.into())?,
        None => value,
    };
    room.clear();
    bytes::encode(&value, room);
    builder.append_value(room.as_slice());
    Ok(())
}

/// Appends text as the string type keeps it.
fn append_string(builder: &mut StringViewBuilder, ty: &SqlType, text: &str) -> Result<()> {
    match ty {
        SqlType::Varchar(Some(n)) => builder.append_value(scalar::fit_varchar(text, *n)?),
        SqlType::Char(n) => builder.append_value(scalar::fit_char(text, *n)?),
        SqlType::Json => {
            json::check(text)?;
            builder.append_value(text);
        }
        SqlType::Jsonb => builder.append_value(json::normalize(text)?),
        SqlType::InternalChar => {
            let first = text.chars().next().map_or(0, char::len_utf8);
            builder.append_value(&text[..first]);
        }
        SqlType::Name => {
            let end = (0..=text.len().min(63)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            builder.append_value(&text[..end]);
        }
        _ => builder.append_value(text),
    }
    Ok(())
}

/// The days since 2000 that a date can have: from 24 November 4714 BC to the year 5874897.
const PG_DAYS: std::ops::Range<i32> = -2_451_545..2_145_031_949;
/// The microseconds since 2000 that a timestamp can have, to the year 294276.
const PG_MOMENTS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

fn from_pg_date(days: i32) -> Result<i32> {
    match days {
        i32::MAX | i32::MIN => Ok(days),
        _ if PG_DAYS.contains(&days) => Ok(days + PG_EPOCH_DAYS),
        _ => Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")),
    }
}

fn from_pg_timestamp(us: i64) -> Result<i64> {
    match us {
        i64::MAX | i64::MIN => Ok(us),
        _ => Some(us)
            .filter(|us| PG_MOMENTS.contains(us))
            .and_then(|us| us.checked_add(PG_EPOCH_US))
            .ok_or_else(|| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")),
    }
}

fn from_pg_interval(data: [u8; 16]) -> Result<IntervalMonthDayNano> {
    let word = |at: usize| i32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    let us = (i64::from(word(0)) << 32) | (i64::from(word(4)) & 0xffff_ffff);
    let nanoseconds =
        us.checked_mul(1000).ok_or_else(|| Error::new(SqlState::INTERVAL_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(IntervalMonthDayNano::new(word(12), word(8), nanoseconds))
}

impl ListBuilder {
    /// Ends a list of what was appended to the items since the last.
    fn close(&mut self, valid: bool) {
        self.offsets.push(self.length);
        self.nulls.append(valid);
    }

    fn append_text(&mut self, text: &str, style: &Style) -> Result<()> {
        self.append_elements(&array::parse(text)?, style)
    }

    fn append_elements(&mut self, elements: &[Element], style: &Style) -> Result<()> {
        for element in elements {
            self.append_element(element, style)?;
            self.length += 1;
        }
        self.close(true);
        Ok(())
    }

    fn append_element(&mut self, element: &Element, style: &Style) -> Result<()> {
        match element {
            Element::Null => self.items.append_null(),
            Element::Value(text) => self.items.append_text(text, style)?,
            Element::Nested(inner) => match &mut self.items.values {
                Builder::List(list) => list.append_elements(inner, style)?,
                _ => return Err(one_dimension(&self.items.ty)),
            },
        }
        Ok(())
    }

    /// Dimensions, whether there are NULLs, the elements' type; length and lower bound of each dimension; the elements.
    fn append_binary(&mut self, data: &[u8]) -> Result<()> {
        let mut rest = data;
        let mut word = || -> Result<i32> {
            let (head, tail) = rest.split_at_checked(4).ok_or_else(too_short)?;
            rest = tail;
            Ok(i32::from_be_bytes(fixed(head)?))
        };
        let dimensions = word()?;
        array::check_dimensions(dimensions)?;
        array::check_elements(word()?, word()? as u32, &self.items.ty)?;
        let mut count = i32::from(dimensions > 0);
        for _ in 0..dimensions {
            count = array::check_bounds(count, word()?, word()?)?;
        }
        if dimensions > 1 {
            return Err(one_dimension(&self.items.ty));
        }
        for n in 1..=count {
            let (head, tail) = rest.split_at_checked(4).ok_or_else(too_short)?;
            rest = tail;
            match i32::from_be_bytes(fixed(head)?) {
                -1 => self.items.append_null(),
                length => {
                    let value = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
                    let (value, tail) = value.ok_or_else(array::cut)?;
                    rest = tail;
                    self.items.append_binary(value).map_err(|e| array::in_element(e, n))?;
                }
            }
            self.length += 1;
        }
        if !rest.is_empty() {
            return Err(broken_binary());
        }
        self.close(true);
        Ok(())
    }

    fn finish(&mut self, ty: &SqlType) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        self.length = 0;
        let DataType::List(field) = ty.arrow() else {
            return Err(Error::internal(format!("{ty} is no list")));
        };
        Ok(Arc::new(ListArray::try_new(field, offsets, self.items.finish()?, self.nulls.finish())?))
    }
}

fn one_dimension(item: &SqlType) -> Error {
    Error::unsupported(format!("an array of more than one dimension is not supported for type {item}[]"))
}
