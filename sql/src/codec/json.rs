//! JSON: the check that `json` makes, and the form that `jsonb` keeps (keys sorted by length and bytes, the last of equal
//! keys, one blank after `:` and `,`).

use std::collections::BTreeMap;

use sightline_storage::error::{Error, Result, SqlState};

/// How deep values may nest; a guard of the stack.
const DEPTH_MAX: usize = 512;

enum Value<'a> {
    /// `null`, `true`, `false` or a number, as written.
    Word(&'a str),
    /// A string without its quotes, escapes decoded.
    Text(String),
    List(Vec<Value<'a>>),
    /// Keys by length, then bytes.
    Object(BTreeMap<(usize, String), Value<'a>>),
}

/// Why a text is no JSON: PostgreSQL's DETAIL.
type Fault = String;

/// Checks that `text` is JSON.
///
/// # Errors
/// 22P02 `invalid input syntax for type json`.
pub fn check(text: &str) -> Result<()> {
    parse(text).map(|_| ())
}

/// The text as `jsonb` shows it.
///
/// # Errors
/// As [`check`]; 22P05 for `\u0000`.
pub fn normalize(text: &str) -> Result<String> {
    let value = parse(text)?;
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    write(&mut out, &value);
    if out.contains('\0') {
        return Err(Error::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
            .detail("\\u0000 cannot be converted to text."));
    }
    Ok(out)
}

fn parse(text: &str) -> Result<Value<'_>> {
    let mut p = Parser { text, at: 0 };
    let parsed = p.value(0).and_then(|v| {
        p.skip_blanks();
        match p.at == text.len() {
            true => Ok(v),
            false => Err(format!("Expected end of input, but found \"{}\".", p.token())),
        }
    });
    parsed.map_err(|detail| {
        let line_start = text[..p.at.min(text.len())].rfind('\n').map_or(0, |i| i + 1);
        let line = text[..line_start].matches('\n').count() + 1;
        let end = (p.at + p.token().len()).min(text.len());
        Error::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .detail(detail)
            .context(format!("JSON data, line {line}: {}", &text[line_start..end]))
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.as_bytes().get(self.at).copied()
    }

    /// The word or character here, for messages.
    fn token(&self) -> &'a str {
        let rest = &self.text[self.at.min(self.text.len())..];
        let word =
            rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '+' | '-' | '.')).unwrap_or(rest.len());
        match word {
            0 => &rest[..rest.chars().next().map_or(0, char::len_utf8)],
            n => &rest[..n],
        }
    }

    fn expected(&mut self, what: &str) -> Fault {
        match self.peek() {
            None => "The input string ended unexpectedly.".into(),
            Some(b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b'0'..=b'9' | b'-') => {
                format!("Expected {what}, but found \"{}\".", self.token())
            }
            Some(_) => format!("Token \"{}\" is invalid.", self.token()),
        }
    }

    fn value(&mut self, depth: usize) -> std::result::Result<Value<'a>, Fault> {
        if depth > DEPTH_MAX {
            return Err(format!("Values nest deeper than {DEPTH_MAX}."));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n' | b't' | b'f') if matches!(self.token(), "null" | "true" | "false") => {
                let word = self.token();
                self.at += word.len();
                Ok(Value::Word(word))
            }
            _ => Err(self.expected("JSON value")),
        }
    }

    fn object(&mut self, depth: usize) -> std::result::Result<Value<'a>, Fault> {
        let mut fields = BTreeMap::new();
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                let what = if fields.is_empty() { "string or \"}\"" } else { "string" };
                return Err(self.expected(what));
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return Err(self.expected("\":\""));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            fields.insert((key.len(), key), value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                _ => return Err(self.expected("\",\" or \"}\"")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> std::result::Result<Value<'a>, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(items));
                }
                _ => return Err(self.expected("\",\" or \"]\"")),
            }
        }
    }

    fn number(&mut self) -> std::result::Result<Value<'a>, Fault> {
        let word = self.token();
        if !is_number(word.as_bytes()) {
            return Err(format!("Token \"{word}\" is invalid."));
        }
        self.at += word.len();
        Ok(Value::Word(word))
    }

    fn string(&mut self) -> std::result::Result<String, Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut out = String::new();
        let mut from = start;
        let mut i = start;
        loop {
            match bytes.get(i) {
                None => {
                    let shown = &self.text[self.at..];
                    return Err(format!("Token \"{shown}\" is invalid."));
                }
                Some(b'"') => {
                    out.push_str(&self.text[from..i]);
                    self.at = i + 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[from..i]);
                    i = self.escape(i + 1, &mut out)?;
                    from = i;
                }
                Some(c) if *c < 0x20 => return Err(format!("Character with value 0x{c:02x} must be escaped.")),
                Some(_) => i += 1,
            }
        }
    }

    /// Decodes the escape whose letter is at `i`; where the string goes on.
    fn escape(&self, i: usize, out: &mut String) -> std::result::Result<usize, Fault> {
        let plain = match self.text.as_bytes().get(i) {
            None => return Err("The input string ended unexpectedly.".into()),
            Some(b'u') => return self.unicode(i + 1, out),
            Some(c @ (b'"' | b'\\' | b'/')) => *c as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => {
                let c = self.text[i..].chars().next().unwrap_or('?');
                return Err(format!("Escape sequence \"\\{c}\" is invalid."));
            }
        };
        out.push(plain);
        Ok(i + 1)
    }

    fn unicode(&self, i: usize, out: &mut String) -> std::result::Result<usize, Fault> {
        let unit = |i: usize| {
            let hex = self.text.get(i..i + 4).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
            hex.and_then(|h| u32::from_str_radix(h, 16).ok())
                .ok_or_else(|| "\"\\u\" must be followed by four hexadecimal digits.".to_string())
        };
        let high = unit(i)?;
        if let Some(c) = char::from_u32(high) {
            out.push(c);
            return Ok(i + 4);
        }
        if high >= 0xdc00 {
            return Err("Unicode low surrogate must follow a high surrogate.".into());
        }
        let low = if self.text[i + 4..].starts_with("\\u") { unit(i + 6)? } else { 0 };
        if !(0xdc00..0xe000).contains(&low) {
            return Err("Unicode high surrogate must not follow a high surrogate.".into());
        }
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        out.push(char::from_u32(code).ok_or("Unicode low surrogate must follow a high surrogate.")?);
        Ok(i + 10)
    }
}

fn is_number(b: &[u8]) -> bool {
    let digits = |b: &[u8]| b.iter().take_while(|c| c.is_ascii_digit()).count();
    let mut rest = b.strip_prefix(b"-").unwrap_or(b);
    match digits(rest) {
        0 => return false,
        n if n > 1 && rest[0] == b'0' => return false,
        n => rest = &rest[n..],
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        match digits(fraction) {
            0 => return false,
            n => rest = &fraction[n..],
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

fn write(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Word(word) => write_word(out, word),
        Value::Text(text) => write_text(out, text),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (i, ((_, key), item)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_text(out, key);
                out.push_str(": ");
                write(out, item);
            }
            out.push('}');
        }
    }
}

/// A number as `numeric` shows it: without an exponent, with the zeros typed.
fn write_word(out: &mut String, word: &str) {
    if !word.contains(['e', 'E']) {
        return out.push_str(if word == "-0" { "0" } else { word });
    }
    let Ok(d) = super::numeric::parse(word) else { return out.push_str(word) };
    if d.point.abs() > 2_000 {
        return out.push_str(word);
    }
    if d.negative && !d.digits.is_empty() {
        out.push('-');
    }
    let digit = |i: i32| char::from(b'0' + usize::try_from(i).ok().and_then(|i| d.digits.get(i)).copied().unwrap_or(0));
    match d.point {
        p if p > 0 && !d.digits.is_empty() => out.extend((0..p).map(digit)),
        _ => out.push('0'),
    }
    if d.scale > 0 {
        out.push('.');
        out.extend((d.point..d.point + d.scale).map(digit));
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' && c != '\0' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
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
            assert_eq!(normalize(text).unwrap(), jsonb);
        }
        assert_eq!(normalize("\"\\u0000\"").unwrap_err().code(), SqlState::UNTRANSLATABLE_CHARACTER);
    }

    #[test]
    fn refused() {
        for (text, detail) in [
            ("", "The input string ended unexpectedly."),
            ("{\"a\":", "The input string ended unexpectedly."),
            ("x", "Token \"x\" is invalid."),
            ("{a:1}", "Token \"a\" is invalid."),
            ("[1,]", "Expected JSON value, but found \"]\"."),
            ("{\"a\" 1}", "Expected \":\", but found \"1\"."),
            ("01", "Token \"01\" is invalid."),
            ("1 2", "Expected end of input, but found \"2\"."),
        ] {
            let e = check(text).unwrap_err();
            assert_eq!((e.code().as_str(), e.get_detail().unwrap()), ("22P02", detail), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(check(&deep).is_err());
    }
}
