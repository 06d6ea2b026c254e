//! Rows of a relation of the system, written as values by column name and held as Arrow.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use sightline_storage::error::{Error, Result};
use sightline_storage::types::SqlType;

use super::relation::Relation;

/// One value of a catalog column or of an argument of a system function.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Any integer type, OIDs included; microseconds for times.
    Int(i64),
    Float(f64),
    Text(Cow<'static, str>),
    List(Vec<Value>),
}

impl Value {
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Value::Int(v) => Some(*v),
            _ => None,
        }
    }

    pub(super) fn oid(&self) -> Option<u32> {
        self.int().and_then(|v| u32::try_from(v).ok())
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(v) => Some(v),
            _ => None,
        }
    }

    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Value::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// The value of row `i` of an argument.
    pub(super) fn of(array: &dyn Array, i: usize) -> Value {
        if array.is_null(i) {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Boolean => Value::Bool(array.as_boolean().value(i)),
            DataType::Int8 => Value::Int(array.as_primitive::<Int8Type>().value(i).into()),
            DataType::Int16 => Value::Int(array.as_primitive::<Int16Type>().value(i).into()),
            DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(i).into()),
            DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(i)),
            DataType::UInt8 => Value::Int(array.as_primitive::<UInt8Type>().value(i).into()),
            DataType::UInt16 => Value::Int(array.as_primitive::<UInt16Type>().value(i).into()),
            DataType::UInt32 => Value::Int(array.as_primitive::<UInt32Type>().value(i).into()),
            DataType::UInt64 => {
                i64::try_from(array.as_primitive::<UInt64Type>().value(i)).map_or(Value::Null, Value::Int)
            }
            DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(i).into()),
            DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(i)),
            DataType::Utf8 => array.as_string::<i32>().value(i).to_string().into(),
            DataType::LargeUtf8 => array.as_string::<i64>().value(i).to_string().into(),
            DataType::Utf8View => array.as_string_view().value(i).to_string().into(),
            DataType::Timestamp(_, _) => {
                array.as_primitive_opt::<TimestampMicrosecondType>().map_or(Value::Null, |a| Value::Int(a.value(i)))
            }
            DataType::List(_) => {
                let items = array.as_list::<i32>().value(i);
                Value::List((0..items.len()).map(|j| Value::of(&items, j)).collect())
            }
            _ => Value::Null,
        }
    }

    /// What a NOT NULL column holds where a builder says nothing.
    fn zero(ty: &SqlType) -> Value {
        match ty {
            SqlType::Boolean => Value::Bool(false),
            SqlType::Real | SqlType::Double => Value::Float(0.0),
            SqlType::Array(_) => Value::List(Vec::new()),
            SqlType::SmallInt | SqlType::Integer | SqlType::BigInt | SqlType::Oid | SqlType::Reg(_) => Value::Int(0),
            _ => Value::Text(Cow::Borrowed("")),
        }
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Value {
        Value::Bool(v)
    }
}

impl From<&'static str> for Value {
    fn from(v: &'static str) -> Value {
        Value::Text(Cow::Borrowed(v))
    }
}

impl From<String> for Value {
    fn from(v: String) -> Value {
        Value::Text(Cow::Owned(v))
    }
}

impl From<&String> for Value {
    fn from(v: &String) -> Value {
        Value::Text(Cow::Owned(v.clone()))
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => { $(impl From<$t> for Value {
        fn from(v: $t) -> Value {
            Value::Int(i64::from(v))
        }
    })* };
}
from_integer!(i16, i32, i64, u16, u32);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Value {
        v.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(v: Vec<T>) -> Value {
        Value::List(v.into_iter().map(Into::into).collect())
    }
}

/// Collects the rows of a relation. `N` columns are given row by row; the others are NULL, or zero where NOT NULL.
pub(super) struct Rows<const N: usize> {
    relation: &'static Relation,
    names: [&'static str; N],
    columns: [Vec<Value>; N],
}

impl<const N: usize> Rows<N> {
    /// Rows that give these columns.
    pub(super) fn new(relation: &'static Relation, names: [&'static str; N]) -> Rows<N> {
        debug_assert!(
            names.iter().all(|n| relation.columns.iter().any(|c| c.name == *n)),
            "{} has all of {names:?}",
            relation.name
        );
        Rows { relation, names, columns: std::array::from_fn(|_| Vec::new()) }
    }

    /// Adds a row: one value for each name.
    pub(super) fn push(&mut self, values: [Value; N]) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }

    /// All rows in the columns of the relation.
    pub(super) fn finish(self) -> Result<RecordBatch> {
        let count = self.columns.first().map_or(0, Vec::len);
        let arrays =
            self.relation.columns.iter().map(|column| match self.names.iter().position(|n| *n == column.name) {
                Some(i) => array(&column.ty, &self.columns[i]),
                None if column.not_null => array(&column.ty, &vec![Value::zero(&column.ty); count]),
                None => Ok(new_null_array(&column.ty.arrow(), count)),
            });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.relation.arrow.clone(), arrays)?)
    }
}

/// The values as an array of [`SqlType::arrow`]. A value of another kind is a fault of the builder.
pub(super) fn array(ty: &SqlType, values: &[Value]) -> Result<ArrayRef> {
    if values.iter().all(|v| *v == Value::Null) {
        return Ok(new_null_array(&ty.arrow(), values.len()));
    }
    let ints = || values.iter().map(Value::int);
    let narrow = |v: i64| i32::try_from(v).ok();
    Ok(match ty {
        SqlType::Boolean => Arc::new(values.iter().map(Value::bool).collect::<BooleanArray>()),
        SqlType::SmallInt => Arc::new(ints().map(|v| v.and_then(|v| i16::try_from(v).ok())).collect::<Int16Array>()),
        SqlType::Integer => Arc::new(ints().map(|v| v.and_then(narrow)).collect::<Int32Array>()),
        SqlType::BigInt => Arc::new(ints().collect::<Int64Array>()),
        SqlType::Oid | SqlType::Reg(_) => Arc::new(values.iter().map(Value::oid).collect::<UInt32Array>()),
        SqlType::Real => Arc::new(floats(values).map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
        SqlType::Double => Arc::new(floats(values).collect::<Float64Array>()),
        SqlType::TimestampTz => Arc::new(ints().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Char(_)
        | SqlType::Name
        | SqlType::InternalChar
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Unknown => Arc::new(values.iter().map(Value::text).collect::<StringViewArray>()),
        SqlType::Array(item) => list(item, values)?,
        other => return Err(Error::internal(format!("no catalog column has type {other}"))),
    })
}

fn floats(values: &[Value]) -> impl Iterator<Item = Option<f64>> {
    values.iter().map(|v| match v {
        Value::Float(f) => Some(*f),
        _ => None,
    })
}

fn list(item: &SqlType, values: &[Value]) -> Result<ArrayRef> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(values.len());
    let mut valid = Vec::with_capacity(values.len());
    for value in values {
        let list = match value {
            Value::List(list) => list.as_slice(),
            _ => &[],
        };
        items.extend_from_slice(list);
        lengths.push(list.len());
        valid.push(matches!(value, Value::List(_)));
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let field = Arc::new(item.field("item", true));
    Ok(Arc::new(ListArray::try_new(field, offsets, array(item, &items)?, Some(NullBuffer::from(valid)))?))
}
