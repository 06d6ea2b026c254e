//! A value of `jsonb` in memory, and its text: keys once each, by length and then by bytes; one blank after `:` and `,`
//! (<https://www.postgresql.org/docs/15/datatype-json.html>).

use std::cmp::Ordering;

use super::lexer::{Lexer, Result, Token, check_depth};
use super::number;

/// How deep a value may nest that is taken apart: a guard of the stack.
pub(crate) const DEPTH_MAX: usize = 512;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As `numeric` shows it: no exponent, with the zeros typed.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// Keys by length, then bytes.
    Object(Vec<(String, Value)>),
}

/// The order that keys are kept in.
pub(crate) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Sorts members as `jsonb` keeps them; of equal keys the last stays.
pub(crate) fn normalize(members: &mut Vec<(String, Value)>) {
    if members.is_sorted_by(|a, b| key_order(&a.0, &b.0) == Ordering::Less) {
        return;
    }
    members.reverse();
    members.sort_by(|a, b| key_order(&a.0, &b.0));
    members.dedup_by(|later, kept| later.0 == kept.0);
}

impl Value {
    /// Reads a text.
    ///
    /// # Errors
    /// 22P02, 22P05 for `\u0000`, 22003 for a number beyond `numeric`, 54001 for one nested too deep.
    pub(crate) fn parse(text: &str) -> Result<Value> {
        let mut lexer = Lexer::new(text, true)?;
        let value = Value::read(&mut lexer, 0)?;
        lexer.finish()?;
        Ok(value)
    }

    fn read(lexer: &mut Lexer<'_>, depth: usize) -> Result<Value> {
        check_depth(depth, DEPTH_MAX)?;
        let value = match lexer.token {
            Token::ObjectStart => return Value::read_object(lexer, depth),
            Token::ListStart => return Value::read_list(lexer, depth),
            Token::Text => Value::Text(lexer.string()?.into_owned()),
            Token::Number => Value::Number(number::canonical(lexer.word())?.into_owned()),
            Token::True => Value::Bool(true),
            Token::False => Value::Bool(false),
            Token::Null => Value::Null,
            _ => return Err(lexer.expected("JSON value")),
        };
        lexer.advance()?;
        Ok(value)
    }

    fn read_object(lexer: &mut Lexer<'_>, depth: usize) -> Result<Value> {
        let mut members = Vec::new();
        lexer.advance()?;
        if lexer.token != Token::ObjectEnd {
            let mut what = "string or \"}\"";
            loop {
                let key = lexer.key(what)?;
                let key = super::lexer::unescape(key)?.into_owned();
                members.push((key, Value::read(lexer, depth + 1)?));
                match lexer.token {
                    Token::Comma => lexer.advance()?,
                    Token::ObjectEnd => break,
                    _ => return Err(lexer.expected("\",\" or \"}\"")),
                }
                what = "string";
            }
        }
        lexer.advance()?;
        normalize(&mut members);
        Ok(Value::Object(members))
    }

    fn read_list(lexer: &mut Lexer<'_>, depth: usize) -> Result<Value> {
        let mut items = Vec::new();
        lexer.advance()?;
        if lexer.token != Token::ListEnd {
            loop {
                items.push(Value::read(lexer, depth + 1)?);
                match lexer.token {
                    Token::Comma => lexer.advance()?,
                    Token::ListEnd => break,
                    _ => return Err(lexer.expected("\",\" or \"]\"")),
                }
            }
        }
        lexer.advance()?;
        Ok(Value::List(items))
    }

    /// The member of this name.
    pub(crate) fn member(&self, key: &str) -> Option<&Value> {
        let Value::Object(members) = self else { return None };
        members.binary_search_by(|(k, _)| key_order(k, key)).ok().map(|n| &members[n].1)
    }

    /// Appends the text of `jsonb`.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => out.push_str(n),
            Value::Text(text) => write_text(out, text),
            Value::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (i, (key, item)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    write_text(out, key);
                    out.push_str(": ");
                    item.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The text with a line for each item, indented by four blanks a level.
    pub(crate) fn write_pretty(&self, out: &mut String, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', depth * 4));
        };
        match self {
            Value::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    line(out, depth + 1);
                    item.write_pretty(out, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (i, (key, item)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    line(out, depth + 1);
                    write_text(out, key);
                    out.push_str(": ");
                    item.write_pretty(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
            scalar => scalar.write(out),
        }
    }

    /// The text of `jsonb`.
    pub(crate) fn shown(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// `jsonb_typeof`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Whether it is no list and no object.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Value::List(_) | Value::Object(_))
    }
}

/// Appends a string in quotes, as PostgreSQL escapes it.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, b) in text.bytes().enumerate() {
        let short = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            8 => "\\b",
            12 => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        from = at + 1;
        if short.is_empty() {
            out.push_str(&format!("\\u{b:04x}"));
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// The text as `jsonb` keeps it.
///
/// # Errors
/// As [`Value::parse`].
pub(crate) fn normalized(text: &str) -> Result<String> {
    Value::parse(text).map(|v| v.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_as_jsonb() {
        for (text, jsonb) in [
            (" null ", "null"),
            ("[1,2 ,\"x\"]", "[1, 2, \"x\"]"),
            ("{\"bb\":1,\"a\":{\"c\":[]},\"bb\":2}", "{\"a\": {\"c\": []}, \"bb\": 2}"),
            ("1.50", "1.50"),
            ("1e3", "1000"),
            ("1.5e-3", "0.0015"),
            ("-0", "0"),
            ("\"\\u00e4\\n\\/\"", "\"ä\\n/\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
        ] {
            assert_eq!(normalized(text).expect(text), jsonb);
        }
        assert_eq!(normalized("\"\\u0000\"").expect_err("no character").code, "22P05");
    }
}
