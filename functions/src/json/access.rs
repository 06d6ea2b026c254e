//! What is inside a value: `->`, `->>`, `#>`, `#>>`, `?` and the functions that they stand for, lengths and types
//! (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericListArray, StringViewArray};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use super::lexer;
use super::scan::{self, Kind};
use super::value::Value;
use crate::error::refuse;
use crate::udf::Call;

/// The texts of a row of `text[]`.
pub(super) struct Texts<'a> {
    list: &'a GenericListArray<i32>,
    values: &'a StringViewArray,
}

impl<'a> Texts<'a> {
    pub(super) fn of(call: &'a Call, n: usize) -> Texts<'a> {
        let list = call.args[n].as_list::<i32>();
        Texts { list, values: list.values().as_string_view() }
    }

    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        let values = self.values;
        let offsets = self.list.value_offsets();
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        range.map(move |i| values.is_valid(i).then(|| values.value(i)))
    }
}

/// One text a row of a JSON text; NULL where an argument is.
fn map<'a>(call: &'a Call, f: impl Fn(usize, &'a str) -> lexer::Result<Option<String>>) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| Ok(f(row, texts.value(row)).map_err(|e| *e)?))
}

fn trimmed(text: &str) -> String {
    text.trim_matches([' ', '\t', '\n', '\r']).to_string()
}

pub(super) fn field(call: &Call) -> Result<ArrayRef> {
    let keys = call.text(1);
    map(call, |row, text| Ok(scan::member(text, keys.value(row))?.map(trimmed)))
}

pub(super) fn field_text(call: &Call) -> Result<ArrayRef> {
    let keys = call.text(1);
    map(call, |row, text| match scan::member(text, keys.value(row))? {
        Some(value) => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        None => Ok(None),
    })
}

pub(super) fn element(call: &Call) -> Result<ArrayRef> {
    let places = call.primitive::<Int32Type>(1);
    map(call, |row, text| Ok(scan::item(text, places.value(row).into())?.map(trimmed)))
}

pub(super) fn element_text(call: &Call) -> Result<ArrayRef> {
    let places = call.primitive::<Int32Type>(1);
    map(call, |row, text| match scan::item(text, places.value(row).into())? {
        Some(value) => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        None => Ok(None),
    })
}

/// The item of a `jsonb`, whose scalars stand for arrays of one.
fn item_b(text: &str, place: i32) -> lexer::Result<Option<&str>> {
    match scan::kind(text)? {
        Kind::Object => Ok(None),
        Kind::List => scan::item(text, place.into()),
        _ => Ok(matches!(place, 0 | -1).then_some(text)),
    }
}

pub(super) fn element_b(call: &Call) -> Result<ArrayRef> {
    let places = call.primitive::<Int32Type>(1);
    map(call, |row, text| Ok(item_b(text, places.value(row))?.map(trimmed)))
}

pub(super) fn element_b_text(call: &Call) -> Result<ArrayRef> {
    let places = call.primitive::<Int32Type>(1);
    map(call, |row, text| match item_b(text, places.value(row))? {
        Some(value) => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        None => Ok(None),
    })
}

/// A path given as an array.
pub(super) fn path(call: &Call) -> Result<ArrayRef> {
    let steps = Texts::of(call, 1);
    map(call, |row, text| Ok(scan::at_path(text, steps.row(row))?.map(trimmed)))
}

pub(super) fn path_text(call: &Call) -> Result<ArrayRef> {
    let steps = Texts::of(call, 1);
    map(call, |row, text| match scan::at_path(text, steps.row(row))? {
        Some(value) => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        None => Ok(None),
    })
}

/// A path given as single arguments.
pub(super) fn extract(call: &Call) -> Result<ArrayRef> {
    let steps = (1..call.args.len()).map(|n| call.text(n)).collect::<Vec<_>>();
    map(call, |row, text| {
        let path = steps.iter().map(|s| Some(s.value(row)));
        Ok(scan::at_path(text, path)?.map(trimmed))
    })
}

pub(super) fn extract_text(call: &Call) -> Result<ArrayRef> {
    let steps = (1..call.args.len()).map(|n| call.text(n)).collect::<Vec<_>>();
    map(call, |row, text| match scan::at_path(text, steps.iter().map(|s| Some(s.value(row))))? {
        Some(value) => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        None => Ok(None),
    })
}

pub(super) fn array_length(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    let lengths = call.map::<Int32Type>(|row| {
        let text = texts.value(row);
        let items = match scan::Items::of(text).map_err(|e| *e)? {
            Some(items) => Some(items),
            None if scan::kind(text).map_err(|e| *e)? == Kind::Object => {
                return refuse("22023", "cannot get array length of a non-array");
            }
            None => None,
        };
        let Some(mut items) = items else { return refuse("22023", "cannot get array length of a scalar") };
        let mut length = 0;
        while items.next().map_err(|e| *e)?.is_some() {
            length += 1;
        }
        Ok(Some(length))
    })?;
    Ok(Arc::new(lengths))
}

pub(super) fn type_of(call: &Call) -> Result<ArrayRef> {
    map(call, |_, text| Ok(Some(scan::kind(text)?.name().to_string())))
}

/// One answer a row of two `jsonb` values.
fn truth(call: &Call, f: impl Fn(&Value, &Value) -> bool) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let left = Value::parse(left.value(row)).map_err(|e| *e)?;
        let right = Value::parse(right.value(row)).map_err(|e| *e)?;
        Ok(Some(f(&left, &right)))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

pub(super) fn contains(call: &Call) -> Result<ArrayRef> {
    truth(call, Value::contains)
}

pub(super) fn contained(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| b.contains(a))
}

pub(super) fn eq(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_eq())
}

pub(super) fn ne(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_ne())
}

pub(super) fn lt(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_lt())
}

pub(super) fn le(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_le())
}

pub(super) fn gt(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_gt())
}

pub(super) fn ge(call: &Call) -> Result<ArrayRef> {
    truth(call, |a, b| a.compare(b).is_ge())
}

pub(super) fn cmp(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    let orders = call.map::<Int32Type>(|row| {
        let left = Value::parse(left.value(row)).map_err(|e| *e)?;
        let right = Value::parse(right.value(row)).map_err(|e| *e)?;
        Ok(Some(left.compare(&right) as i32))
    })?;
    Ok(Arc::new(orders))
}

/// Text that sorts as the values do: bytes in hexadecimal, since windows know no order of bytes.
pub(super) fn sort_key(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| {
        let mut key = Vec::new();
        Value::parse(texts.value(row)).map_err(|e| *e)?.write_key(&mut key);
        let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'a' + n - 10 });
        Ok(Some(key.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()))
    })
}

/// Whether a value has keys that `wanted` asks for.
fn exists(call: &Call, wanted: impl Fn(usize, &Value) -> bool) -> Result<ArrayRef> {
    let texts = call.text(0);
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let value = Value::parse(texts.value(row)).map_err(|e| *e)?;
        Ok(Some(wanted(row, &value)))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

pub(super) fn exists_one(call: &Call) -> Result<ArrayRef> {
    let keys = call.text(1);
    exists(call, |row, value| value.has(keys.value(row)))
}

pub(super) fn exists_any(call: &Call) -> Result<ArrayRef> {
    let keys = Texts::of(call, 1);
    exists(call, |row, value| keys.row(row).flatten().any(|k| value.has(k)))
}

pub(super) fn exists_all(call: &Call) -> Result<ArrayRef> {
    let keys = Texts::of(call, 1);
    exists(call, |row, value| keys.row(row).flatten().all(|k| value.has(k)))
}
