//! SQL/JSON paths: `jsonb_path_query` and its kin (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-PATH>).

mod datetime;
mod eval;
mod lexer;
mod parse;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringViewArray};
use datafusion_common::Result;

use self::eval::{Evaluation, Fault, Item};
use self::parse::{Path, parse};
use super::sets::Rows;
use super::value::Value;
use crate::error::FunctionError;
use crate::set::{SetFunction, SetRows};
use crate::udf::{Call, Form, Function, Type};

use Type::{Bool, Jsonb, Text};

const ARGUMENTS: [&[Type]; 3] = [&[Jsonb, Text], &[Jsonb, Text, Jsonb], &[Jsonb, Text, Jsonb, Bool]];

macro_rules! forms {
    ($returns:expr, $call:expr) => {
        &[
            Form::new(ARGUMENTS[0], $returns, $call),
            Form::new(ARGUMENTS[1], $returns, $call),
            Form::new(ARGUMENTS[2], $returns, $call),
        ]
    };
}

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new("jsonb_path_exists", "Whether a path finds anything.", forms!(Bool, |c| exists(c, false))),
    Function::new(
        "jsonb_path_exists_tz",
        "Whether a path finds anything; times by the session's zone.",
        forms!(Bool, |c| exists(c, true)),
    )
    .stable(),
    Function::new("jsonb_path_match", "The truth of a path's predicate.", forms!(Bool, |c| matches(c, false))),
    Function::new(
        "jsonb_path_match_tz",
        "The truth of a path's predicate; times by the session's zone.",
        forms!(Bool, |c| matches(c, true)),
    )
    .stable(),
    Function::new("jsonb_path_query_array", "What a path finds, as an array.", forms!(Jsonb, |c| array(c, false))),
    Function::new(
        "jsonb_path_query_array_tz",
        "What a path finds, as an array; times by the session's zone.",
        forms!(Jsonb, |c| array(c, true)),
    )
    .stable(),
    Function::new("jsonb_path_query_first", "The first that a path finds.", forms!(Jsonb, |c| first(c, false))),
    Function::new(
        "jsonb_path_query_first_tz",
        "The first that a path finds; times by the session's zone.",
        forms!(Jsonb, |c| first(c, true)),
    )
    .stable(),
    Function::new(
        "jsonb_path_exists_opr",
        "Whether a path finds anything: @?.",
        &[Form::new(&[Jsonb, Text], Bool, exists_silent)],
    ),
    Function::new(
        "jsonb_path_match_opr",
        "The truth of a path's predicate: @@.",
        &[Form::new(&[Jsonb, Text], Bool, matches_silent)],
    ),
];

pub(crate) const SETS: [SetFunction; 2] = [
    SetFunction::new("jsonb_path_query", ARGUMENTS[2], &[("jsonb_path_query", Jsonb)], |c| query(c, false)).least(2),
    SetFunction::new("jsonb_path_query_tz", ARGUMENTS[2], &[("jsonb_path_query_tz", Jsonb)], |c| query(c, true))
        .least(2),
];

/// The paths of a batch: mostly one.
#[derive(Default)]
struct Paths(HashMap<String, Rc<Path>>);

/// Paths kept at a time.
const KEPT_MAX: usize = 64;

impl Paths {
    fn get(&mut self, text: &str) -> Result<Rc<Path>> {
        if let Some(found) = self.0.get(text) {
            return Ok(found.clone());
        }
        let path = Rc::new(parse(text).map_err(|e| *e)?);
        if self.0.len() >= KEPT_MAX {
            self.0.clear();
        }
        self.0.insert(text.to_string(), path.clone());
        Ok(path)
    }
}

/// Whether a path's functions may use the session's zone, and are quiet about errors in the data.
#[derive(Clone, Copy)]
struct Manner {
    zoned: bool,
    silent: bool,
}

/// Calls `f` with each row's path and its evaluation; `none` stands for a row with a NULL, or one with an error that is
/// kept quiet about.
fn each<T>(
    call: &Call,
    manner: Manner,
    none: impl Fn() -> T,
    mut f: impl FnMut(usize, &Path, &mut Evaluation<'_>) -> std::result::Result<T, Fault>,
) -> Result<Vec<T>> {
    let (texts, paths) = (call.text(0), call.text(1));
    let mut known = Paths::default();
    let mut out = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.has_null(row) {
            out.push(none());
            continue;
        }
        let path = known.get(paths.value(row))?;
        let root = Value::parse(texts.value(row)).map_err(|e| *e)?;
        let vars = match call.args.get(2) {
            Some(vars) => Some(Value::parse(vars.as_string_view().value(row)).map_err(|e| *e)?),
            None => None,
        };
        if vars.as_ref().is_some_and(|v| !matches!(v, Value::Object(_))) {
            return Err(FunctionError::new("22023", "\"vars\" argument is not an object")
                .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
                .into());
        }
        let silent = manner.silent || call.args.get(3).is_some_and(|a| a.as_boolean().value(row));
        let mut evaluation = Evaluation::new(&path, &root, vars.as_ref(), manner.zoned.then(|| call.zone()));
        out.push(match f(row, &path, &mut evaluation) {
            Ok(value) => value,
            Err(Fault::Data(_)) if silent => none(),
            Err(Fault::Data(e) | Fault::Other(e)) => return Err((*e).into()),
        });
    }
    Ok(out)
}

fn exists_as(call: &Call, manner: Manner) -> Result<ArrayRef> {
    let found = each(call, manner, || None, |_, path, evaluation| evaluation.exists(path).map(Some))?;
    Ok(Arc::new(BooleanArray::from(found)))
}

fn exists(call: &Call, zoned: bool) -> Result<ArrayRef> {
    exists_as(call, Manner { zoned, silent: false })
}

fn exists_silent(call: &Call) -> Result<ArrayRef> {
    exists_as(call, Manner { zoned: false, silent: true })
}

fn matches_as(call: &Call, manner: Manner) -> Result<ArrayRef> {
    let found = each(
        call,
        manner,
        || None,
        |_, path, evaluation| {
            let mut found = Vec::new();
            evaluation.collect(path, &mut found)?;
            if let [Item::Value(value)] = found.as_slice() {
                match value.as_ref() {
                    Value::Bool(b) => return Ok(Some(*b)),
                    Value::Null => return Ok(None),
                    _ => {}
                }
            }
            Err(Fault::Data(Box::new(FunctionError::new("22038", "single boolean result is expected"))))
        },
    )?;
    Ok(Arc::new(BooleanArray::from(found)))
}

fn matches(call: &Call, zoned: bool) -> Result<ArrayRef> {
    matches_as(call, Manner { zoned, silent: false })
}

fn matches_silent(call: &Call) -> Result<ArrayRef> {
    matches_as(call, Manner { zoned: false, silent: true })
}

/// All that each row's path finds; with `silent` what it found before an error. None for a row with a NULL.
fn found(call: &Call, zoned: bool) -> Result<Vec<Option<Vec<Value>>>> {
    let manner = Manner { zoned, silent: false };
    each(
        call,
        manner,
        || None,
        |row, path, evaluation| {
            let mut items = Vec::new();
            match evaluation.collect(path, &mut items) {
                Err(Fault::Data(_)) if is_silent(call, row) => {}
                other => other?,
            }
            Ok(Some(items.into_iter().map(Item::into_value).collect()))
        },
    )
}

fn is_silent(call: &Call, row: usize) -> bool {
    call.args.get(3).is_some_and(|a| a.as_boolean().value(row))
}

fn array(call: &Call, zoned: bool) -> Result<ArrayRef> {
    let lists = found(call, zoned)?.into_iter().map(|found| found.map(|items| Value::List(items).shown()));
    Ok(Arc::new(lists.collect::<StringViewArray>()))
}

fn first(call: &Call, zoned: bool) -> Result<ArrayRef> {
    let firsts = found(call, zoned)?.into_iter().map(|found| found?.first().map(Value::shown));
    Ok(Arc::new(firsts.collect::<StringViewArray>()))
}

fn query(call: &Call, zoned: bool) -> Result<SetRows> {
    let mut rows = Rows::new(1);
    for (row, values) in found(call, zoned)?.iter().enumerate() {
        for value in values.iter().flatten() {
            rows.push(row, &[Some(&value.shown())])?;
        }
    }
    Ok(rows.finish())
}
