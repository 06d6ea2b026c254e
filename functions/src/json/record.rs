//! What `json_to_record` and its kin put into the columns of a list: the planner makes a call of one of these functions
//! for each column, and casts the text that it answers (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING>).

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::lexer;
use super::scan::{self, Items, Kind};
use crate::error::{FunctionError, refuse};
use crate::udf::Call;

/// The member's text for a scalar type: a string bare, anything else as written, nothing for null.
pub(super) fn field(call: &Call) -> Result<ArrayRef> {
    members(call, |value, _| Ok(scan::bare(value)?.map(|t| t.into_owned())))
}

/// The member as JSON; nothing for null.
pub(super) fn json_field(call: &Call) -> Result<ArrayRef> {
    members(call, |value, _| match scan::kind(value)? {
        Kind::Null => Ok(None),
        _ => Ok(Some(value.trim().to_string())),
    })
}

/// The member as the text of an array: of a JSON array its items, a string bare.
pub(super) fn array_field(call: &Call) -> Result<ArrayRef> {
    members(call, |value, key| match scan::kind(value)? {
        Kind::Null => Ok(None),
        Kind::Text => Ok(scan::bare(value)?.map(|t| t.into_owned())),
        Kind::List => {
            let mut out = String::new();
            write_array(value, &mut out)?;
            Ok(Some(out))
        }
        _ => Err(Box::new(
            FunctionError::new("22P02", "expected JSON array").detail(format!("See the value of key \"{key}\".")),
        )),
    })
}

fn write_array(list: &str, out: &mut String) -> lexer::Result<()> {
    out.push('{');
    let Some(mut items) = Items::of(list)? else { return Ok(()) };
    let mut first = true;
    while let Some(item) = items.next()? {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        match scan::kind(item)? {
            Kind::List => write_array(item, out)?,
            _ => match scan::bare(item)? {
                None => out.push_str("NULL"),
                Some(text) => {
                    out.push('"');
                    for c in text.chars() {
                        if matches!(c, '"' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                    out.push('"');
                }
            },
        }
    }
    out.push('}');
    Ok(())
}

/// Arguments: the object, the key, and the name of the function that the user called.
fn members(call: &Call, f: impl Fn(&str, &str) -> lexer::Result<Option<String>>) -> Result<ArrayRef> {
    let (texts, keys, callers) = (call.text(0), call.text(1), call.text(2));
    call.map_text(|row| {
        let (text, key) = (texts.value(row), keys.value(row));
        let kind = scan::kind(text).map_err(|e| *e)?;
        if kind != Kind::Object {
            let caller = callers.value(row);
            if caller.ends_with("set") {
                return refuse("22023", format!("argument of {caller} must be an array of objects"));
            }
            let what = if kind == Kind::List { "an array" } else { "a scalar" };
            return refuse("22023", format!("cannot call populate_composite on {what}"));
        }
        match scan::member(text, key).map_err(|e| *e)? {
            Some(value) => Ok(f(value, key).map_err(|e| *e)?),
            None => Ok(None),
        }
    })
}

/// The argument, if it is an array: what `json_to_recordset` takes.
pub(super) fn checked_set(call: &Call) -> Result<ArrayRef> {
    let (texts, callers) = (call.text(0), call.text(1));
    call.map_text(|row| {
        let what = match scan::kind(texts.value(row)).map_err(|e| *e)? {
            Kind::List => return Ok(Some(texts.value(row).to_string())),
            Kind::Object => "an object",
            _ => "a scalar",
        };
        refuse("22023", format!("cannot call {} on {what}", callers.value(row)))
    })
}
