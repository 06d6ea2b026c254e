//! A column ready to be written: its type resolved once, so that a cell costs one match.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    LargeBinaryArray, StringArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use sightline_storage::error::Result;
use sightline_storage::types::{EnumType, SqlType};

/// A column of a batch with the PostgreSQL type it is shown as.
#[derive(Debug)]
pub struct Cells {
    pub(super) values: Values,
    nulls: Option<NullBuffer>,
    pub(super) ty: SqlType,
}

/// The arrays that the writers know.
#[derive(Debug)]
pub(super) enum Values {
    Bool(BooleanArray),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    UInt32(UInt32Array),
    Float32(Float32Array),
    Float64(Float64Array),
    /// With the scale.
    Decimal128(Decimal128Array, i8),
    Decimal256(Decimal256Array, i8),
    Numeric(LargeBinaryArray),
    Utf8(StringArray),
    Utf8View(StringViewArray),
    Bytes(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    TimestampTz(TimestampMicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    Uuid(FixedSizeBinaryArray),
    List(OffsetBuffer<i32>, Box<Cells>),
    /// Shown as its label.
    Enum(Int32Array, Arc<EnumType>),
    /// A row `(a,b)`, with the names of its fields.
    Struct(Vec<String>, Vec<Cells>),
    /// What a function without a result returns: not NULL, and nothing.
    Void,
}

impl Cells {
    /// Prepares `array` to be shown as `ty`. Arrow types other than [`SqlType::arrow`] are cast.
    ///
    /// # Errors
    /// XX000 if the array cannot be cast: a plan whose columns are not what they say.
    pub fn new(array: &ArrayRef, ty: &SqlType) -> Result<Cells> {
        let ty = ty.base();
        let array = expected(array, ty)?;
        let nulls = if *ty == SqlType::Void { None } else { array.logical_nulls() };
        Ok(Cells { nulls, values: Values::new(&array, ty)?, ty: ty.clone() })
    }

    /// `pg_type.oid` of the cells.
    pub(super) fn shown_oid(&self) -> u32 {
        self.ty.oid()
    }

    /// Whether the cell is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }
}

/// Casts what an expression may have made of another Arrow type.
fn expected(array: &ArrayRef, ty: &SqlType) -> Result<ArrayRef> {
    let wanted = match (ty, array.data_type()) {
        (SqlType::Numeric(_), DataType::Decimal128(_, _) | DataType::Decimal256(_, _) | DataType::LargeBinary) => {
            return Ok(array.clone());
        }
        (SqlType::Numeric(_), DataType::Decimal32(p, s) | DataType::Decimal64(p, s)) => DataType::Decimal128(*p, *s),
        (SqlType::Numeric(_), t) if t.is_integer() => DataType::Decimal128(20, 0),
        (SqlType::Array(_), DataType::List(_)) | (SqlType::Void, _) => return Ok(array.clone()),
        (
            SqlType::Array(_),
            DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::ListView(f) | DataType::LargeListView(f),
        ) => DataType::List(Arc::new(Field::new("item", f.data_type().clone(), true))),
        (_, DataType::Struct(_)) => return Ok(array.clone()),
        (SqlType::Reg(_), DataType::UInt32) => return Ok(array.clone()),
        (t, DataType::Utf8 | DataType::Utf8View) if is_text(t) => return Ok(array.clone()),
        (t, _) if is_text(t) => DataType::Utf8View,
        _ => ty.arrow(),
    };
    if *array.data_type() == wanted {
        return Ok(array.clone());
    }
    Ok(cast(array, &wanted)?)
}

/// Types that are shown as the string they are held in.
fn is_text(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Reg(_)) || ty.arrow() == DataType::Utf8View
}

impl Values {
    fn new(array: &ArrayRef, ty: &SqlType) -> Result<Values> {
        use arrow::datatypes::*;
        if let (SqlType::Enum(of), DataType::Int32) = (ty, array.data_type()) {
            return Ok(Values::Enum(array.as_primitive::<Int32Type>().clone(), of.clone()));
        }
        Ok(match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            DataType::Int16 => Values::Int16(array.as_primitive::<Int16Type>().clone()),
            DataType::Int32 => Values::Int32(array.as_primitive::<Int32Type>().clone()),
            DataType::Int64 => Values::Int64(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt32 => Values::UInt32(array.as_primitive::<UInt32Type>().clone()),
            DataType::Float32 => Values::Float32(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Values::Float64(array.as_primitive::<Float64Type>().clone()),
            DataType::Decimal128(_, s) => Values::Decimal128(array.as_primitive::<Decimal128Type>().clone(), *s),
            DataType::Decimal256(_, s) => Values::Decimal256(array.as_primitive::<Decimal256Type>().clone(), *s),
            DataType::LargeBinary => Values::Numeric(array.as_binary::<i64>().clone()),
            DataType::Utf8 => Values::Utf8(array.as_string::<i32>().clone()),
            DataType::Utf8View => Values::Utf8View(array.as_string_view().clone()),
            DataType::Binary => Values::Bytes(array.as_binary::<i32>().clone()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().clone()),
            DataType::Time64(_) => Values::Time(array.as_primitive::<Time64MicrosecondType>().clone()),
            DataType::Timestamp(_, zone) => {
                let values = array.as_primitive::<TimestampMicrosecondType>().clone();
                if zone.is_some() { Values::TimestampTz(values) } else { Values::Timestamp(values) }
            }
            DataType::Interval(_) => Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone()),
            DataType::FixedSizeBinary(_) => Values::Uuid(array.as_fixed_size_binary().clone()),
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let item = match ty {
                    SqlType::Array(item) if !matches!(field.data_type(), DataType::List(_)) => (**item).clone(),
                    _ => SqlType::of_field(field),
                };
                Values::List(list.offsets().clone(), Box::new(Cells::new(list.values(), &item)?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().zip(fields);
                let names = fields.iter().map(|f| f.name().clone()).collect();
                let own = |n: usize| match ty {
                    SqlType::Composite(of) => of.fields.get(n).map(|(_, ty)| ty.clone()),
                    _ => None,
                };
                let columns = columns.enumerate().map(|(n, (column, field))| {
                    let ty = own(n).unwrap_or_else(|| SqlType::of_field(field));
                    Cells::new(column, &ty)
                });
                Values::Struct(names, columns.collect::<Result<_>>()?)
            }
            _ => Values::Void,
        })
    }
}
