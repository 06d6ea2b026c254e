//! `parse_ident(name)`: a qualified name taken apart, folded as SQL folds it.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{ArrayRef, BooleanArray, ListBuilder, StringViewBuilder};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "parse_ident",
    "Splits a qualified identifier into its parts; unless strict is false, nothing may follow it.",
    &[
        Form::new(&[Type::Text], Type::TextArray, |call| parse(call, None)),
        Form::new(&[Type::Text, Type::Bool], Type::TextArray, |call| parse(call, Some(call.args[1].as_boolean()))),
    ],
);

fn parse(call: &Call, strict: Option<&BooleanArray>) -> Result<ArrayRef> {
    let names = call.text(0);
    let mut parts = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if call.has_null(row) {
            parts.append_null();
            continue;
        }
        let strict = strict.is_none_or(|s| s.value(row));
        for part in split(names.value(row), strict)? {
            parts.values().append_value(part);
        }
        parts.append(true);
    }
    Ok(Arc::new(parts.finish()))
}

fn split(text: &str, strict: bool) -> Result<Vec<String>> {
    let wrong = || refuse("22023", format!("string is not a valid identifier: \"{text}\""));
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next() {
                    Some((_, '"')) if chars.peek().is_some_and(|c| c.1 == '"') => {
                        chars.next();
                        part.push('"');
                    }
                    Some((at, '"')) => break at,
                    Some((_, c)) => part.push(c),
                    None => return wrong(),
                }
            };
            if part.is_empty() {
                return wrong();
            }
            parts.push(part);
            rest = &quoted[end + 1..];
        } else {
            let inner = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
            let end = rest.find(|c| !inner(c)).unwrap_or(rest.len());
            let starts = rest.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_' || !c.is_ascii());
            if end == 0 || !starts {
                return wrong();
            }
            parts.push(rest[..end].to_lowercase());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() || !strict => return Ok(parts),
            None => return wrong(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_are_split() {
        assert_eq!(split("\"SomeSchema\".someTable", true).expect("a name"), ["SomeSchema", "sometable"]);
        assert_eq!(split("foo.boo[]", false).expect("a name"), ["foo", "boo"]);
        assert!(split("foo.boo[]", true).is_err());
        assert!(split("a..b", true).is_err());
        assert!(split("1a", true).is_err());
    }
}
