//! `bytealike(bytea, bytea)`: LIKE of binary strings, where `_` is a byte
//! (<https://www.postgresql.org/docs/15/functions-matching.html#FUNCTIONS-LIKE>). The planner calls it.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "bytealike",
    "Whether a binary string matches a LIKE pattern.",
    &[Form::new(&[Type::Bytea, Type::Bytea], Type::Bool, like)],
);

fn like(call: &Call) -> Result<ArrayRef> {
    let (values, patterns) = (call.bytes(0), call.bytes(1));
    let one = |row| match call.has_null(row) {
        true => Ok(None),
        false => matches(values.value(row), patterns.value(row)).map(Some),
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

/// Goes on behind the last `%` where it does not fit, each time one byte further.
fn matches(value: &[u8], pattern: &[u8]) -> Result<bool> {
    let (mut v, mut p) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    loop {
        let fits = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                again = Some((v, p));
                continue;
            }
            Some(b'_') => (v < value.len()).then_some(1),
            Some(b'\\') => match pattern.get(p + 1) {
                Some(byte) => (value.get(v) == Some(byte)).then_some(2),
                None if v < value.len() => return refuse("22025", "LIKE pattern must not end with escape character"),
                None => None,
            },
            Some(byte) => (value.get(v) == Some(byte)).then_some(1),
            None if v == value.len() => return Ok(true),
            None => None,
        };
        match (fits, again) {
            (Some(width), _) => (v, p) = (v + 1, p + width),
            (None, Some((from, behind))) if from < value.len() => {
                (v, p) = (from + 1, behind);
                again = Some((from + 1, behind));
            }
            (None, _) => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn bytes_match() {
        for (value, pattern, wanted) in [
            ("abc", "_b_", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abcabd", "%ab_", true),
            ("abc", "ab", false),
            ("a%", "a\\%", true),
            ("", "%", true),
            ("", "_", false),
        ] {
            assert_eq!(matches(value.as_bytes(), pattern.as_bytes()).expect("a pattern"), wanted, "{value} {pattern}");
        }
        assert!(matches(b"ab", b"a\\").is_err());
    }
}
