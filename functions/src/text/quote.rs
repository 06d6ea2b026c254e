//! `quote_ident`, `quote_literal`, `quote_nullable`: text as SQL would have it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use datafusion_common::Result;

use super::format::shown;
use super::keywords::RESERVED;
use crate::udf::{Call, Form, Function, Type};

pub(super) const QUOTE_IDENT: Function = Function::new(
    "quote_ident",
    "Quotes a text to be used as an identifier, if that is needed.",
    &[Form::new(&[Type::Text], Type::Text, |call| {
        let texts = call.text(0);
        call.map_text(|row| Ok(Some(quote_ident(texts.value(row)).into_owned())))
    })],
);
pub(super) const QUOTE_LITERAL: Function = Function::new(
    "quote_literal",
    "Quotes a text to be used as a string literal; NULL stays NULL.",
    &[Form::new(&[Type::Text], Type::Text, quoted), Form::new(&[Type::Shown], Type::Text, quoted)],
);
pub(super) const QUOTE_NULLABLE: Function = Function::new(
    "quote_nullable",
    "Quotes a text to be used as a string literal, and writes NULL for NULL.",
    &[Form::new(&[Type::Text], Type::Text, quote_nullable), Form::new(&[Type::Shown], Type::Text, quote_nullable)],
);

/// The name as SQL must write it: in double quotes if it has anything but lower-case letters, digits and `_`, or is a
/// keyword.
pub fn quote_ident(name: &str) -> Cow<'_, str> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if first && rest && RESERVED.binary_search(&name).is_err() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// The text as a string literal; with a backslash in it an `E` literal.
pub(super) fn quote_literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    if text.contains('\\') { format!("E'{escaped}'") } else { format!("'{escaped}'") }
}

fn quoted(call: &Call) -> Result<ArrayRef> {
    let texts = shown(&call.args[0]);
    let texts = texts.as_string_view();
    call.map_text(|row| Ok(Some(quote_literal(texts.value(row)))))
}

fn quote_nullable(call: &Call) -> Result<ArrayRef> {
    let texts = shown(&call.args[0]);
    let texts = texts.as_string_view();
    let one = |row| if texts.is_null(row) { "NULL".to_string() } else { quote_literal(texts.value(row)) };
    Ok(Arc::new((0..call.rows).map(one).map(Some).collect::<StringViewArray>()))
}

#[cfg(test)]
mod tests {
    use super::{RESERVED, quote_ident, quote_literal};

    #[test]
    fn identifiers_are_quoted_when_needed() {
        let cases = [
            ("foo", "foo"),
            ("Foo", "\"Foo\""),
            ("foo bar", "\"foo bar\""),
            ("select", "\"select\""),
            ("name", "name"),
            ("int", "\"int\""),
            ("1a", "\"1a\""),
            ("", "\"\""),
            ("a\"b", "\"a\"\"b\""),
            ("_x9", "_x9"),
            ("ä", "\"ä\""),
        ];
        for (name, expected) in cases {
            assert_eq!(quote_ident(name), expected);
        }
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn literals_double_quotes_and_backslashes() {
        assert_eq!(quote_literal("O'Reilly"), "'O''Reilly'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }
}
