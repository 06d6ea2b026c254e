//! `like_escape`, `similar_to_escape`: patterns of LIKE and SIMILAR TO in the form that needs no ESCAPE: a backslash for
//! LIKE, a regular expression for SIMILAR TO. The planner puts them into such expressions.

use datafusion_common::Result;

use crate::error::FunctionError;
use crate::udf::{Call, Form, Function, Type};

pub(super) const LIKE_ESCAPE: Function = Function::new(
    "like_escape",
    "A LIKE pattern with its escape character made a backslash.",
    &[
        Form::new(&[Type::Text, Type::Text], Type::Text, |call| {
            let (patterns, escapes) = (call.text(0), call.text(1));
            call.map_text(|row| like(patterns.value(row), one(escapes.value(row))?).map(Some))
        }),
        Form::new(&[Type::Bytea, Type::Bytea], Type::Bytea, |call| {
            let (patterns, escapes) = (call.bytes(0), call.bytes(1));
            call.map_bytes(|row| like_bytes(patterns.value(row), escapes.value(row)))
        }),
    ],
);
pub(super) const SIMILAR_TO_ESCAPE: Function = Function::new(
    "similar_to_escape",
    "A SIMILAR TO pattern as a regular expression.",
    &[
        Form::new(&[Type::Text], Type::Text, |call| similar_to(call, |_| Ok(Some('\\')))),
        Form::new(&[Type::Text, Type::Text], Type::Text, |call| similar_to(call, |row| one(call.text(1).value(row)))),
    ],
);

/// The escape character; none if the text is empty.
pub(super) fn one(escape: &str) -> Result<Option<char>> {
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => invalid_escape(),
    }
}

fn invalid_escape<T>() -> Result<T> {
    let hint = "Escape string must be empty or one character.";
    Err(FunctionError::new("22025", "invalid escape string").hint(hint).into())
}

fn like(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for c in pattern.chars() {
        if Some(c) == escape && !escaped {
            out.push('\\');
            escaped = true;
            continue;
        }
        if c == '\\' && escape != Some('\\') && !escaped {
            out.push('\\');
        }
        out.push(c);
        escaped = false;
    }
    Ok(out)
}

fn like_bytes(pattern: &[u8], escape: &[u8]) -> Result<Vec<u8>> {
    let escape = match escape {
        [] => None,
        [one] => Some(*one),
        _ => return invalid_escape(),
    };
    let mut out = Vec::with_capacity(pattern.len());
    let mut escaped = false;
    for byte in pattern {
        if Some(*byte) == escape && !escaped {
            out.push(b'\\');
            escaped = true;
            continue;
        }
        if *byte == b'\\' && escape != Some(b'\\') && !escaped {
            out.push(b'\\');
        }
        out.push(*byte);
        escaped = false;
    }
    Ok(out)
}

fn similar_to(call: &Call, escape: impl Fn(usize) -> Result<Option<char>>) -> Result<arrow::array::ArrayRef> {
    let patterns = call.text(0);
    call.map_text(|row| similar(patterns.value(row), escape(row)?).map(Some))
}

/// The regular expression. An escaped quote divides the pattern in two or three parts: what matches the first takes as
/// little as it can, and what matches the second is the expression's only group.
///
/// # Errors
/// 2200C for more than two such quotes.
pub(super) fn similar(pattern: &str, escape: Option<char>) -> Result<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut escaped, mut in_class) = (false, false);
    for c in pattern.chars() {
        if escaped {
            escaped = false;
            if c == '"' && !in_class {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            if !c.is_alphanumeric() {
                part.push('\\');
            }
            part.push(c);
        } else if Some(c) == escape {
            escaped = true;
        } else if in_class {
            if c == '\\' {
                part.push('\\');
            }
            part.push(c);
            in_class = c != ']';
        } else {
            match c {
                '[' => {
                    in_class = true;
                    part.push('[');
                }
                '%' => part.push_str(".*"),
                '_' => part.push('.'),
                '(' => part.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    part.push('\\');
                    part.push(c);
                }
                other => part.push(other),
            }
        }
    }
    parts.push(part);
    match parts.as_slice() {
        [all] => Ok(format!("^(?:{all})$")),
        [first, second] => Ok(format!("^(?U:{first})({second})$")),
        [first, second, third] => Ok(format!("^(?U:{first})({second})(?:{third})$")),
        _ => crate::error::refuse(
            "2200C",
            "SQL regular expression may not contain more than two escape-double-quote separators",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{like, one, similar};

    #[test]
    fn patterns_lose_their_escapes() {
        assert_eq!(like("50!%", Some('!')).expect("a pattern"), "50\\%");
        assert_eq!(like("a\\b", Some('!')).expect("a pattern"), "a\\\\b");
        assert_eq!(like("a\\%", Some('\\')).expect("a pattern"), "a\\%");
        assert_eq!(like("a\\%", None).expect("a pattern"), "a\\\\%");
        let similar = |pattern, escape| similar(pattern, escape).expect("a pattern");
        assert_eq!(similar("%(b|d)%", Some('\\')), "^(?:.*(?:b|d).*)$");
        assert_eq!(similar("a#\"%#\"g", Some('#')), "^(?U:a)(.*)(?:g)$");
        assert_eq!(similar("a.c[%]", Some('\\')), "^(?:a\\.c[%])$");
        assert!(one("ab").is_err());
    }
}
