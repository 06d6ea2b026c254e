//! `like_escape`, `similar_to_escape`: patterns of LIKE and SIMILAR TO in the form that needs no ESCAPE: a backslash for
//! LIKE, a regular expression for SIMILAR TO. The planner puts them into such expressions.

use datafusion_common::Result;

use crate::error::FunctionError;
use crate::udf::{Call, Form, Function, Type};

pub(super) const LIKE_ESCAPE: Function = Function::new(
    "like_escape",
    "A LIKE pattern with its escape character made a backslash.",
    &[Form::new(&[Type::Text, Type::Text], Type::Text, |call| {
        let (patterns, escapes) = (call.text(0), call.text(1));
        call.map_text(|row| like(patterns.value(row), one(escapes.value(row))?).map(Some))
    })],
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
fn one(escape: &str) -> Result<Option<char>> {
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(FunctionError::new("22025", "invalid escape string")
            .hint("Escape string must be empty or one character.")
            .into()),
    }
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

fn similar_to(call: &Call, escape: impl Fn(usize) -> Result<Option<char>>) -> Result<arrow::array::ArrayRef> {
    let patterns = call.text(0);
    call.map_text(|row| Ok(Some(similar(patterns.value(row), escape(row)?))))
}

fn similar(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let (mut escaped, mut in_class) = (false, false);
    for c in pattern.chars() {
        if escaped {
            out.push('\\');
            out.push(c);
            escaped = false;
        } else if Some(c) == escape {
            escaped = true;
        } else if in_class {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_class = c != ']';
        } else {
            match c {
                '[' => {
                    in_class = true;
                    out.push('[');
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                other => out.push(other),
            }
        }
    }
    out.push_str(")$");
    out
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
        assert_eq!(similar("%(b|d)%", Some('\\')), "^(?:.*(?:b|d).*)$");
        assert_eq!(similar("a.c[%]", Some('\\')), "^(?:a\\.c[%])$");
        assert!(one("ab").is_err());
    }
}
