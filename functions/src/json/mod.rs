//! `json` and `jsonb`: reading, taking apart and changing values (<https://www.postgresql.org/docs/15/functions-json.html>).
//!
//! Both are held as text: `json` as it came, `jsonb` in the one form that PostgreSQL shows. So a part of a value is a
//! slice of its text, and only what compares or changes values takes them apart ([`value::Value`]).

mod access;
mod arithmetic;
mod change;
mod compare;
mod lexer;
mod number;
pub(crate) mod path;
mod record;
mod scan;
mod sets;
mod value;

pub(crate) use self::sets::SETS;
pub use self::value::write_text;

use std::borrow::Cow;

use crate::error::FunctionError;
use crate::udf::{Form, Function, Returns, Type};

use Type::{Bool, Int4, Json, Jsonb, Text, TextArray, TextArrays};

/// Checks that a text is JSON.
///
/// # Errors
/// 22P02, 54001.
pub fn check(text: &str) -> Result<(), Box<FunctionError>> {
    lexer::check(text)
}

/// The text as `jsonb` keeps it.
///
/// # Errors
/// As [`check`]; 22P05 for `\u0000`, 22003 for a number beyond `numeric`.
pub fn normalized(text: &str) -> Result<String, Box<FunctionError>> {
    value::normalized(text)
}

/// A key without quotes, and a value as written.
pub type Member<'a> = (Cow<'a, str>, &'a str);

/// The members of an object. None for what is no object.
///
/// # Errors
/// 22P02, 22P05.
pub fn members(text: &str) -> Result<Option<Vec<Member<'_>>>, Box<FunctionError>> {
    let Some(mut members) = scan::Members::of(text)? else { return Ok(None) };
    let mut all = Vec::new();
    while let Some((key, value)) = members.next()? {
        all.push((lexer::unescape(key)?, value));
    }
    members.finish()?;
    Ok(Some(all))
}

/// What `->>` answers of a value: a string bare, nothing for null.
///
/// # Errors
/// 22P02, 22P05.
pub fn bare(value: &str) -> Result<Option<Cow<'_, str>>, Box<FunctionError>> {
    scan::bare(value)
}

const fn variadic(args: &'static [Type], returns: Type, call: crate::udf::Kernel) -> Form {
    Form { args, variadic: true, returns: Returns::Type(returns), call }
}

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new(
        "json_object_field",
        "The member of this name: ->.",
        &[Form::new(&[Json, Text], Json, access::field)],
    ),
    Function::new(
        "jsonb_object_field",
        "The member of this name: ->.",
        &[Form::new(&[Jsonb, Text], Jsonb, access::field)],
    ),
    Function::new(
        "json_object_field_text",
        "The member of this name as text: ->>.",
        &[Form::new(&[Json, Text], Text, access::field_text)],
    ),
    Function::new(
        "jsonb_object_field_text",
        "The member of this name as text: ->>.",
        &[Form::new(&[Jsonb, Text], Text, access::field_text)],
    ),
    Function::new(
        "json_array_element",
        "The item at this place: ->.",
        &[Form::new(&[Json, Int4], Json, access::element)],
    ),
    Function::new(
        "jsonb_array_element",
        "The item at this place: ->.",
        &[Form::new(&[Jsonb, Int4], Jsonb, access::element_b)],
    ),
    Function::new(
        "json_array_element_text",
        "The item at this place as text: ->>.",
        &[Form::new(&[Json, Int4], Text, access::element_text)],
    ),
    Function::new(
        "jsonb_array_element_text",
        "The item at this place as text: ->>.",
        &[Form::new(&[Jsonb, Int4], Text, access::element_b_text)],
    ),
    Function::new(
        "json_extract_path",
        "The value at the end of a path: #>.",
        &[Form::new(&[Json, TextArray], Json, access::path), variadic(&[Json, Text], Json, access::extract)],
    ),
    Function::new(
        "jsonb_extract_path",
        "The value at the end of a path: #>.",
        &[Form::new(&[Jsonb, TextArray], Jsonb, access::path), variadic(&[Jsonb, Text], Jsonb, access::extract)],
    ),
    Function::new(
        "json_extract_path_text",
        "The value at the end of a path as text: #>>.",
        &[Form::new(&[Json, TextArray], Text, access::path_text), variadic(&[Json, Text], Text, access::extract_text)],
    ),
    Function::new(
        "jsonb_extract_path_text",
        "The value at the end of a path as text: #>>.",
        &[
            Form::new(&[Jsonb, TextArray], Text, access::path_text),
            variadic(&[Jsonb, Text], Text, access::extract_text),
        ],
    ),
    Function::new(
        "json_array_length",
        "How many items an array has.",
        &[Form::new(&[Json], Int4, access::array_length)],
    ),
    Function::new(
        "jsonb_array_length",
        "How many items an array has.",
        &[Form::new(&[Jsonb], Int4, access::array_length)],
    ),
    Function::new("json_typeof", "The type of the value at the top.", &[Form::new(&[Json], Text, access::type_of)]),
    Function::new("jsonb_typeof", "The type of the value at the top.", &[Form::new(&[Jsonb], Text, access::type_of)]),
    Function::new(
        "jsonb_contains",
        "Whether the first contains the second: @>.",
        &[Form::new(&[Jsonb, Jsonb], Bool, access::contains)],
    ),
    Function::new(
        "jsonb_contained",
        "Whether the second contains the first: <@.",
        &[Form::new(&[Jsonb, Jsonb], Bool, access::contained)],
    ),
    Function::new(
        "jsonb_exists",
        "Whether there is this key or string: ?.",
        &[Form::new(&[Jsonb, Text], Bool, access::exists_one)],
    ),
    Function::new(
        "jsonb_exists_any",
        "Whether there is any of these keys: ?|.",
        &[Form::new(&[Jsonb, TextArray], Bool, access::exists_any)],
    ),
    Function::new(
        "jsonb_exists_all",
        "Whether there are all of these keys: ?&.",
        &[Form::new(&[Jsonb, TextArray], Bool, access::exists_all)],
    ),
    Function::new("jsonb_eq", "Whether two values are equal.", &[Form::new(&[Jsonb, Jsonb], Bool, access::eq)]),
    Function::new("jsonb_ne", "Whether two values differ.", &[Form::new(&[Jsonb, Jsonb], Bool, access::ne)]),
    Function::new("jsonb_lt", "Whether the first goes before.", &[Form::new(&[Jsonb, Jsonb], Bool, access::lt)]),
    Function::new(
        "jsonb_le",
        "Whether the second does not go before.",
        &[Form::new(&[Jsonb, Jsonb], Bool, access::le)],
    ),
    Function::new("jsonb_gt", "Whether the second goes before.", &[Form::new(&[Jsonb, Jsonb], Bool, access::gt)]),
    Function::new("jsonb_ge", "Whether the first does not go before.", &[Form::new(&[Jsonb, Jsonb], Bool, access::ge)]),
    Function::new(
        "jsonb_cmp",
        "-1, 0 or 1 as the first goes before, with or after the second.",
        &[Form::new(&[Jsonb, Jsonb], Int4, access::cmp)],
    ),
    Function::new(FIELD, "A member as text, for a column.", &[Form::new(&[Json, Text, Text], Text, record::field)]),
    Function::new(
        JSON_FIELD,
        "A member as JSON, for a column.",
        &[Form::new(&[Json, Text, Text], Text, record::json_field)],
    ),
    Function::new(
        ARRAY_FIELD,
        "A member as an array's text, for a column.",
        &[Form::new(&[Json, Text, Text], Text, record::array_field)],
    ),
    Function::new(CHECKED_SET, "An array of rows.", &[Form::new(&[Json, Text], Json, record::checked_set)]),
    Function::new(AS_JSON, "The value, said to be json.", &[Form::new(&[Json], Json, |c| Ok(c.args[0].clone()))]),
    Function::new(AS_JSONB, "The value, said to be jsonb.", &[Form::new(&[Jsonb], Jsonb, |c| Ok(c.args[0].clone()))]),
    Function::new(SORT_KEY, "Text that sorts as the values do.", &[Form::new(&[Jsonb], Text, access::sort_key)]),
    Function::new("jsonb_concat", "Both values in one: ||.", &[Form::new(&[Jsonb, Jsonb], Jsonb, change::concat)]),
    Function::new(
        "jsonb_delete",
        "The value without a key or item: -.",
        &[
            Form::new(&[Jsonb, Text], Jsonb, change::delete_key),
            Form::new(&[Jsonb, Int4], Jsonb, change::delete_place),
            Form::new(&[Jsonb, TextArray], Jsonb, change::delete_keys),
        ],
    ),
    Function::new(
        "jsonb_delete_path",
        "The value without what is at the end of a path: #-.",
        &[Form::new(&[Jsonb, TextArray], Jsonb, change::delete_path)],
    ),
    Function::new(
        "jsonb_set",
        "The value with another at the end of a path.",
        &[
            Form::new(&[Jsonb, TextArray, Jsonb], Jsonb, change::set),
            Form::new(&[Jsonb, TextArray, Jsonb, Bool], Jsonb, change::set),
        ],
    ),
    Function::new(
        "jsonb_set_lax",
        "The value with another at the end of a path; the last argument says what NULL does.",
        &[
            Form::new(&[Jsonb, TextArray, Jsonb], Jsonb, change::set_lax),
            Form::new(&[Jsonb, TextArray, Jsonb, Bool], Jsonb, change::set_lax),
            Form::new(&[Jsonb, TextArray, Jsonb, Bool, Text], Jsonb, change::set_lax),
        ],
    ),
    Function::new(
        "jsonb_insert",
        "The value with another put in at the end of a path.",
        &[
            Form::new(&[Jsonb, TextArray, Jsonb], Jsonb, change::insert),
            Form::new(&[Jsonb, TextArray, Jsonb, Bool], Jsonb, change::insert),
        ],
    ),
    Function::new("jsonb_pretty", "The value as indented text.", &[Form::new(&[Jsonb], Text, change::pretty)]),
    Function::new(
        "json_strip_nulls",
        "The value without members that are null.",
        &[Form::new(&[Json], Json, change::strip_nulls_text)],
    ),
    Function::new(
        "jsonb_strip_nulls",
        "The value without members that are null.",
        &[Form::new(&[Jsonb], Jsonb, change::strip_nulls)],
    ),
    Function::new(
        "json_object",
        "An object of keys and values.",
        &[
            Form::new(&[TextArrays], Json, change::object_of_pairs),
            Form::new(&[TextArray], Json, change::object),
            Form::new(&[TextArray, TextArray], Json, change::object_of_two),
        ],
    ),
    Function::new(
        "jsonb_object",
        "An object of keys and values.",
        &[
            Form::new(&[TextArrays], Jsonb, |c| change::normalized(&change::object_of_pairs(c)?)),
            Form::new(&[TextArray], Jsonb, |c| change::normalized(&change::object(c)?)),
            Form::new(&[TextArray, TextArray], Jsonb, |c| change::normalized(&change::object_of_two(c)?)),
        ],
    ),
];

/// What `json_to_record` calls for a column of a scalar type, of `json`, and of an array; no names that SQL can say.
pub const FIELD: &str = "json field";
pub const JSON_FIELD: &str = "json field as json";
pub const ARRAY_FIELD: &str = "json field as array";
/// What `json_to_recordset` calls for its argument.
pub const CHECKED_SET: &str = "json rows";
/// What tells the type of a text that has lost it, as one that comes out of a list; no names that SQL can say.
pub const AS_JSON: &str = "as json";
pub const AS_JSONB: &str = "as jsonb";
/// The function that a sort of `jsonb` values sorts by; no name that SQL can say.
pub const SORT_KEY: &str = "jsonb sort key";

/// Writes bytes that are equal for equal values of `jsonb`, and in their order.
///
/// # Errors
/// 22P02.
pub(crate) fn write_keys(text: &str, out: &mut Vec<u8>) -> Result<(), Box<FunctionError>> {
    value::Value::parse(text)?.write_key(out);
    Ok(())
}

/// The value at the top of a text, as casts take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    Bool(bool),
    /// As `numeric` shows it.
    Number(String),
    /// What it is instead.
    Other(&'static str),
}

impl Scalar {
    /// How messages call it.
    pub fn name(&self) -> &'static str {
        match self {
            Scalar::Bool(_) => "boolean",
            Scalar::Number(_) => "numeric",
            Scalar::Other(name) => name,
        }
    }
}

/// Reads the value at the top of a text.
///
/// # Errors
/// 22P02.
pub fn scalar(text: &str) -> Result<Scalar, Box<FunctionError>> {
    let word = text.trim();
    Ok(match scan::kind(text)? {
        scan::Kind::Bool => Scalar::Bool(word == "true"),
        scan::Kind::Number => Scalar::Number(number::canonical(word)?.into_owned()),
        other => Scalar::Other(other.name()),
    })
}
