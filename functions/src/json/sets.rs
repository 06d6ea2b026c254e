//! Functions that answer a set of rows for each value: members, items, keys
//! (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING>).

use std::sync::Arc;

use arrow::array::{Array, StringViewBuilder};
use datafusion_common::Result;

use super::lexer;
use super::scan::{self, Items, Kind, Members};
use crate::error::refuse;
use crate::set::{SetFunction, SetRows};
use crate::udf::{Call, Type, check_batch};

pub(crate) const SETS: &[SetFunction] = &[
    SetFunction::new("json_array_elements", &[Type::Json], &[("value", Type::Json)], |c| elements(c, false, JSON)),
    SetFunction::new("jsonb_array_elements", &[Type::Jsonb], &[("value", Type::Jsonb)], |c| elements(c, false, JSONB)),
    SetFunction::new("json_array_elements_text", &[Type::Json], &[("value", Type::Text)], |c| elements(c, true, JSON)),
    SetFunction::new("jsonb_array_elements_text", &[Type::Jsonb], &[("value", Type::Text)], |c| {
        elements(c, true, JSONB)
    }),
    SetFunction::new("json_each", &[Type::Json], &[("key", Type::Text), ("value", Type::Json)], |c| {
        each(c, false, JSON, "json_each")
    }),
    SetFunction::new("jsonb_each", &[Type::Jsonb], &[("key", Type::Text), ("value", Type::Jsonb)], |c| {
        each(c, false, JSONB, "jsonb_each")
    }),
    SetFunction::new("json_each_text", &[Type::Json], &[("key", Type::Text), ("value", Type::Text)], |c| {
        each(c, true, JSON, "json_each_text")
    }),
    SetFunction::new("jsonb_each_text", &[Type::Jsonb], &[("key", Type::Text), ("value", Type::Text)], |c| {
        each(c, true, JSONB, "jsonb_each_text")
    }),
    SetFunction::new("json_object_keys", &[Type::Json], &[("json_object_keys", Type::Text)], |c| keys(c, "json")),
    SetFunction::new("jsonb_object_keys", &[Type::Jsonb], &[("jsonb_object_keys", Type::Text)], |c| keys(c, "jsonb")),
];

/// Whether the function is one of `jsonb`: the two word their errors differently.
const JSON: bool = false;
const JSONB: bool = true;

/// Columns of text that grow row by row, up to what a batch may hold.
pub(super) struct Rows {
    origins: Vec<u32>,
    columns: Vec<StringViewBuilder>,
    bytes: usize,
}

impl Rows {
    pub(super) fn new(columns: usize) -> Rows {
        Rows { origins: vec![], columns: (0..columns).map(|_| StringViewBuilder::new()).collect(), bytes: 0 }
    }

    pub(super) fn push(&mut self, origin: usize, values: &[Option<&str>]) -> Result<()> {
        self.origins.push(u32::try_from(origin).unwrap_or(u32::MAX));
        for (column, value) in self.columns.iter_mut().zip(values) {
            // A view costs 16 bytes itself.
            self.bytes += 16 + value.map_or(0, str::len);
            column.append_option(*value);
        }
        check_batch(self.bytes)
    }

    pub(super) fn finish(mut self) -> SetRows {
        let columns = self.columns.iter_mut().map(|c| Arc::new(c.finish()) as _).collect();
        SetRows { origins: self.origins, columns }
    }
}

/// Calls `f` with each row's text that is not NULL.
fn rows(call: &Call, columns: usize, f: impl Fn(usize, &str, &mut Rows) -> Result<()>) -> Result<SetRows> {
    let texts = call.text(0);
    let mut out = Rows::new(columns);
    for row in 0..call.rows {
        if texts.is_valid(row) {
            f(row, texts.value(row), &mut out)?;
        }
    }
    Ok(out.finish())
}

fn unboxed<T>(result: lexer::Result<T>) -> Result<T> {
    result.map_err(|e| (*e).into())
}

fn elements(call: &Call, bare: bool, jsonb: bool) -> Result<SetRows> {
    rows(call, 1, |row, text, out| {
        let Some(mut items) = unboxed(Items::of(text))? else {
            let object = unboxed(scan::kind(text))? == Kind::Object;
            let name = if bare { "json_array_elements_text" } else { "json_array_elements" };
            return match (jsonb, object) {
                (true, true) => refuse("22023", "cannot extract elements from an object"),
                (true, false) => refuse("22023", "cannot extract elements from a scalar"),
                (false, true) => refuse("22023", format!("cannot call {name} on a non-array")),
                (false, false) => refuse("22023", format!("cannot call {name} on a scalar")),
            };
        };
        while let Some(item) = unboxed(items.next())? {
            if bare {
                out.push(row, &[unboxed(scan::bare(item))?.as_deref()])?;
            } else {
                out.push(row, &[Some(item)])?;
            }
        }
        Ok(())
    })
}

fn each(call: &Call, bare: bool, jsonb: bool, name: &str) -> Result<SetRows> {
    rows(call, 2, |row, text, out| {
        let Some(mut members) = unboxed(Members::of(text))? else {
            let list = unboxed(scan::kind(text))? == Kind::List;
            return match (jsonb, list) {
                (true, _) => refuse("22023", format!("cannot call {name} on a non-object")),
                (false, true) => refuse("22023", "cannot deconstruct an array as an object"),
                (false, false) => refuse("22023", "cannot deconstruct a scalar"),
            };
        };
        while let Some((key, value)) = unboxed(members.next())? {
            let key = unboxed(lexer::unescape(key))?;
            if bare {
                out.push(row, &[Some(&key), unboxed(scan::bare(value))?.as_deref()])?;
            } else {
                out.push(row, &[Some(&key), Some(value)])?;
            }
        }
        Ok(())
    })
}

fn keys(call: &Call, ty: &str) -> Result<SetRows> {
    rows(call, 1, |row, text, out| {
        let Some(mut members) = unboxed(Members::of(text))? else {
            let what = if unboxed(scan::kind(text))? == Kind::List { "an array" } else { "a scalar" };
            return refuse("22023", format!("cannot call {ty}_object_keys on {what}"));
        };
        while let Some((key, _)) = unboxed(members.next())? {
            out.push(row, &[Some(&unboxed(lexer::unescape(key))?)])?;
        }
        Ok(())
    })
}
