//! New values out of old ones: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `json_strip_nulls`, `jsonb_pretty`
//! (<https://www.postgresql.org/docs/15/functions-json.html>).

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use super::access::Texts;
use super::lexer::{self, Lexer, Token};
use super::scan;
use super::value::{Value, key_order, normalize, write_text};
use crate::error::{FunctionError, refuse};
use crate::udf::Call;

fn fault<T>(code: &'static str, message: impl Into<String>) -> lexer::Result<T> {
    Err(Box::new(FunctionError::new(code, message)))
}

fn parsed(text: &str) -> Result<Value> {
    Ok(Value::parse(text).map_err(|e| *e)?)
}

/// One value a row of a `jsonb`; NULL where an argument is.
fn map(call: &Call, f: impl Fn(usize, Value) -> lexer::Result<Value>) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| Ok(Some(f(row, parsed(texts.value(row))?).map_err(|e| *e)?.shown())))
}

pub(super) fn concat(call: &Call) -> Result<ArrayRef> {
    let right = call.text(1);
    map(call, |row, left| {
        let right = Value::parse(right.value(row))?;
        let items = |v: Value| match v {
            Value::List(items) => items,
            other => vec![other],
        };
        Ok(match (left, right) {
            (Value::Object(mut a), Value::Object(b)) => {
                a.extend(b);
                normalize(&mut a);
                Value::Object(a)
            }
            (a, b) => Value::List(items(a).into_iter().chain(items(b)).collect()),
        })
    })
}

fn without(value: Value, gone: impl Fn(&str) -> bool) -> lexer::Result<Value> {
    match value {
        Value::Object(mut members) => {
            members.retain(|(key, _)| !gone(key));
            Ok(Value::Object(members))
        }
        Value::List(mut items) => {
            items.retain(|item| !matches!(item, Value::Text(t) if gone(t)));
            Ok(Value::List(items))
        }
        _ => fault("22023", "cannot delete from scalar"),
    }
}

pub(super) fn delete_key(call: &Call) -> Result<ArrayRef> {
    let keys = call.text(1);
    map(call, |row, value| without(value, |key| key == keys.value(row)))
}

pub(super) fn delete_keys(call: &Call) -> Result<ArrayRef> {
    let keys = Texts::of(call, 1);
    map(call, |row, value| {
        let keys = keys.row(row).flatten().collect::<Vec<_>>();
        without(value, |key| keys.contains(&key))
    })
}

/// The place counted from the start, which may be outside.
fn from_start(place: i64, length: usize) -> i64 {
    if place < 0 { place + length as i64 } else { place }
}

pub(super) fn delete_place(call: &Call) -> Result<ArrayRef> {
    let places = call.primitive::<Int32Type>(1);
    map(call, |row, value| match value {
        Value::List(mut items) => {
            let place = from_start(places.value(row).into(), items.len());
            if let Ok(place) = usize::try_from(place)
                && place < items.len()
            {
                items.remove(place);
            }
            Ok(Value::List(items))
        }
        Value::Object(_) => fault("22023", "cannot delete from object using integer index"),
        _ => fault("22023", "cannot delete from scalar"),
    })
}

/// What to do at the end of a path.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// Put the value there; if nothing is there, only with the flag.
    Set(&'a Value, bool),
    /// Put the value before, or with the flag behind, what is there; into an object only if nothing is.
    Insert(&'a Value, bool),
    Delete,
}

/// The place that a step of a path names.
fn place(step: &str, level: usize) -> lexer::Result<i64> {
    scan::place(step).map_or_else(
        || fault("22P02", format!("path element at position {} is not an integer: \"{step}\"", level + 1)),
        Ok,
    )
}

fn change(value: &mut Value, path: &[Option<&str>], level: usize, change_to: Change<'_>) -> lexer::Result<()> {
    let Some(step) = path.get(level) else { return Ok(()) };
    let last = level + 1 == path.len();
    match value {
        Value::Object(members) => {
            let Some(key) = step else {
                return fault("22004", format!("path element at position {} is null", level + 1));
            };
            change_member(members, key, path, level, last, change_to)
        }
        Value::List(items) => {
            let Some(step) = step else {
                return fault("22004", format!("path element at position {} is null", level + 1));
            };
            let place = place(step, level)?;
            change_item(items, place, path, level, last, change_to)
        }
        _ => Ok(()),
    }
}

fn change_member(
    members: &mut Vec<(String, Value)>,
    key: &str,
    path: &[Option<&str>],
    level: usize,
    last: bool,
    change_to: Change<'_>,
) -> lexer::Result<()> {
    match members.binary_search_by(|(k, _)| key_order(k, key)) {
        Ok(at) if last => match change_to {
            Change::Set(new, _) => members[at].1 = new.clone(),
            Change::Delete => {
                members.remove(at);
            }
            Change::Insert(_, _) => {
                return Err(Box::new(
                    FunctionError::new("22023", "cannot replace existing key")
                        .hint("Try using the function jsonb_set to replace key value."),
                ));
            }
        },
        Ok(at) => change(&mut members[at].1, path, level + 1, change_to)?,
        Err(at) => match change_to {
            Change::Set(new, true) | Change::Insert(new, _) if last => {
                members.insert(at, (key.to_string(), new.clone()))
            }
            Change::Set(_, _) | Change::Insert(_, _) | Change::Delete => {}
        },
    }
    Ok(())
}

fn change_item(
    items: &mut Vec<Value>,
    place: i64,
    path: &[Option<&str>],
    level: usize,
    last: bool,
    change_to: Change<'_>,
) -> lexer::Result<()> {
    let at = from_start(place, items.len());
    match usize::try_from(at).ok().filter(|at| *at < items.len()) {
        Some(at) if last => match change_to {
            Change::Set(new, _) => items[at] = new.clone(),
            Change::Insert(new, after) => items.insert(at + usize::from(after), new.clone()),
            Change::Delete => {
                items.remove(at);
            }
        },
        Some(at) => change(&mut items[at], path, level + 1, change_to)?,
        None if last => match change_to {
            Change::Set(new, true) | Change::Insert(new, _) => {
                let at = if at < 0 { 0 } else { items.len() };
                items.insert(at, new.clone());
            }
            Change::Set(_, false) | Change::Delete => {}
        },
        None => {}
    }
    Ok(())
}

pub(super) fn delete_path(call: &Call) -> Result<ArrayRef> {
    let paths = Texts::of(call, 1);
    map(call, |row, mut value| {
        if value.is_scalar() {
            return fault("22023", "cannot delete path in scalar");
        }
        if matches!(&value, Value::List(items) if items.is_empty()) {
            return Ok(value);
        }
        let path = paths.row(row).collect::<Vec<_>>();
        change(&mut value, &path, 0, Change::Delete)?;
        Ok(value)
    })
}

fn flag(call: &Call, n: usize, row: usize, otherwise: bool) -> bool {
    call.args.get(n).map_or(otherwise, |a| a.as_boolean().value(row))
}

fn set_at(value: &mut Value, path: &[Option<&str>], new: &Value, create: bool) -> lexer::Result<()> {
    if value.is_scalar() {
        return fault("22023", "cannot set path in scalar");
    }
    let empty = match value {
        Value::Object(members) => members.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    };
    if empty && !create {
        return Ok(());
    }
    change(value, path, 0, Change::Set(new, create))
}

pub(super) fn set(call: &Call) -> Result<ArrayRef> {
    let (paths, news) = (Texts::of(call, 1), call.text(2));
    map(call, |row, mut value| {
        let path = paths.row(row).collect::<Vec<_>>();
        let new = Value::parse(news.value(row))?;
        set_at(&mut value, &path, &new, flag(call, 3, row, true))?;
        Ok(value)
    })
}

/// `jsonb_set_lax`: what a NULL means is an argument of its own.
pub(super) fn set_lax(call: &Call) -> Result<ArrayRef> {
    let (texts, paths, news) = (call.text(0), Texts::of(call, 1), call.text(2));
    let given = |n: usize, row: usize| call.args.get(n).is_none_or(|a| a.is_valid(row));
    let one = |row: usize| -> Result<Option<String>> {
        if texts.is_null(row) || call.args[1].is_null(row) || !given(3, row) {
            return Ok(None);
        }
        let mut value = parsed(texts.value(row))?;
        let path = paths.row(row).collect::<Vec<_>>();
        if news.is_valid(row) {
            let new = parsed(news.value(row))?;
            set_at(&mut value, &path, &new, flag(call, 3, row, true)).map_err(|e| *e)?;
            return Ok(Some(value.shown()));
        }
        if !given(4, row) {
            return refuse(
                "22023",
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            );
        }
        match call.args.get(4).map_or("use_json_null", |a| a.as_string_view().value(row)) {
            "raise_exception" => Err(FunctionError::new("22004", "JSON value must not be null")
                .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
                .hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")
                .into()),
            "use_json_null" => {
                set_at(&mut value, &path, &Value::Null, flag(call, 3, row, true)).map_err(|e| *e)?;
                Ok(Some(value.shown()))
            }
            "delete_key" => {
                if value.is_scalar() {
                    return refuse("22023", "cannot delete path in scalar");
                }
                change(&mut value, &path, 0, Change::Delete).map_err(|e| *e)?;
                Ok(Some(value.shown()))
            }
            "return_target" => Ok(Some(value.shown())),
            _ => refuse(
                "22023",
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            ),
        }
    };
    let out = (0..call.rows).map(one).collect::<Result<arrow::array::StringViewArray>>()?;
    Ok(std::sync::Arc::new(out))
}

pub(super) fn insert(call: &Call) -> Result<ArrayRef> {
    let (paths, news) = (Texts::of(call, 1), call.text(2));
    map(call, |row, mut value| {
        if value.is_scalar() {
            return fault("22023", "cannot set path in scalar");
        }
        let path = paths.row(row).collect::<Vec<_>>();
        let new = Value::parse(news.value(row))?;
        change(&mut value, &path, 0, Change::Insert(&new, flag(call, 3, row, false)))?;
        Ok(value)
    })
}

pub(super) fn pretty(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| {
        let mut out = String::new();
        parsed(texts.value(row))?.write_pretty(&mut out, 0);
        Ok(Some(out))
    })
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|(_, v)| *v != Value::Null);
            members.iter_mut().for_each(|(_, v)| strip(v));
        }
        Value::List(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// `jsonb_strip_nulls`.
pub(super) fn strip_nulls(call: &Call) -> Result<ArrayRef> {
    map(call, |_, mut value| {
        strip(&mut value);
        Ok(value)
    })
}

/// `json_strip_nulls`: without blanks, and the rest as written.
pub(super) fn strip_nulls_text(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.map_text(|row| {
        let mut out = String::new();
        let mut lexer = Lexer::new(texts.value(row), true).map_err(|e| *e)?;
        write_stripped(&mut lexer, &mut out).map_err(|e| *e)?;
        Ok(Some(out))
    })
}

fn write_stripped(lexer: &mut Lexer<'_>, out: &mut String) -> lexer::Result<()> {
    // One bracket a level: where its text began to have members.
    let mut open: Vec<bool> = Vec::new();
    let mut comma = false;
    loop {
        match lexer.token {
            Token::End => return lexer.finish(),
            Token::ObjectEnd | Token::ListEnd => {
                out.push_str(lexer.word());
                open.pop();
                comma = true;
                lexer.advance()?;
            }
            Token::Comma => lexer.advance()?,
            token => {
                if open.last() == Some(&true) {
                    let key = lexer.key("string")?;
                    if lexer.token == Token::Null {
                        lexer.advance()?;
                        continue;
                    }
                    out.push_str(if comma { "," } else { "" });
                    write_text(out, &lexer::unescape(key)?);
                    out.push(':');
                } else if comma {
                    out.push(',');
                }
                let token = if open.last() == Some(&true) { lexer.token } else { token };
                comma = !matches!(token, Token::ObjectStart | Token::ListStart);
                if !comma {
                    open.push(token == Token::ObjectStart);
                }
                match token {
                    Token::Text => write_text(out, &lexer.string()?),
                    _ => out.push_str(lexer.word()),
                }
                lexer.advance()?;
            }
        }
    }
}

/// `json_object` of one list of keys and values in turn.
pub(super) fn object(call: &Call) -> Result<ArrayRef> {
    object_of(call, |row| {
        let texts = Texts::of(call, 0).row(row).collect::<Vec<_>>();
        if !texts.len().is_multiple_of(2) {
            return refuse("2202E", "array must have even number of elements");
        }
        Ok(texts.chunks(2).map(|pair| (pair[0], pair[1])).collect())
    })
}

/// `json_object` of a list of keys and one of values.
pub(super) fn object_of_two(call: &Call) -> Result<ArrayRef> {
    object_of(call, |row| {
        let (keys, values) = (Texts::of(call, 0).row(row), Texts::of(call, 1).row(row));
        let (keys, values) = (keys.collect::<Vec<_>>(), values.collect::<Vec<_>>());
        if keys.len() != values.len() {
            return refuse("2202E", "mismatched array dimensions");
        }
        Ok(keys.into_iter().zip(values).collect())
    })
}

/// `json_object` of a list of pairs.
pub(super) fn object_of_pairs(call: &Call) -> Result<ArrayRef> {
    object_of(call, |row| {
        let pairs = call.args[0].as_list::<i32>().value(row);
        let pairs = pairs.as_list::<i32>();
        let values = pairs.values().as_string_view();
        let text = |i: usize| values.is_valid(i).then(|| values.value(i).to_string());
        let mut out = Vec::new();
        for range in pairs.value_offsets().windows(2) {
            if range[1] - range[0] != 2 {
                return refuse("2202E", "array must have two columns");
            }
            let at = range[0] as usize;
            out.push((text(at).map(Cow::Owned), text(at + 1).map(Cow::Owned)));
        }
        Ok(out)
    })
}

fn object_of<'a, T: AsRef<str> + 'a>(
    call: &'a Call,
    pairs: impl Fn(usize) -> Result<Vec<(Option<T>, Option<T>)>>,
) -> Result<ArrayRef> {
    call.map_text(|row| {
        let mut out = String::from("{");
        for (n, (key, value)) in pairs(row)?.into_iter().enumerate() {
            let Some(key) = key else { return refuse("22004", "null value not allowed for object key") };
            out.push_str(if n > 0 { ", " } else { "" });
            write_text(&mut out, key.as_ref());
            out.push_str(" : ");
            match value {
                Some(value) => write_text(&mut out, value.as_ref()),
                None => out.push_str("null"),
            }
        }
        out.push('}');
        Ok(Some(out))
    })
}

/// The text of `jsonb` of what another function made as `json`.
pub(super) fn normalized(array: &ArrayRef) -> Result<ArrayRef> {
    let one = |text: Option<&str>| text.map(super::value::normalized).transpose().map_err(|e| (*e).into());
    Ok(std::sync::Arc::new(array.as_string_view().iter().map(one).collect::<Result<arrow::array::StringViewArray>>()?))
}
