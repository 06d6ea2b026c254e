//! `U&'d\0061ta'`, `U&"d\0061ta"` and their UESCAPE, said as plain literals: sqlparser knows neither the names nor
//! UESCAPE (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-UESCAPE>). Also finds what is
//! wrong with the Unicode escapes of `E'…'`, which sqlparser refuses without a reason.

use std::borrow::Cow;

use sightline_storage::error::{Error, Result, SqlState};

use super::split::{comment_end, dollar_tag, is_escape_string, is_word, line_end, quoted_end};

/// The text with such literals replaced by plain ones, each followed by blanks so that positions stay.
///
/// # Errors
/// 42601, 22025 for wrong escapes.
pub(super) fn plain(text: &str, offset: usize) -> Result<Cow<'_, str>> {
    let bytes = text.as_bytes();
    if !bytes.windows(2).any(|w| matches!(w, b"&'" | b"&\"" | b"\\u" | b"\\U")) {
        return Ok(text.into());
    }
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = comment_end(bytes, at).unwrap_or(bytes.len()),
            b'$' if !(at > 0 && is_word(bytes[at - 1])) => {
                at += dollar_tag(bytes, at).map_or(1, |tag| {
                    let (opening, rest) = text[at..].split_at(tag);
                    tag + rest.find(opening).map_or(rest.len(), |close| close + tag)
                });
            }
            quote @ (b'\'' | b'"') => {
                let escapes = quote == b'\'' && is_escape_string(bytes, at);
                let end = quoted_end(bytes, at, escapes).unwrap_or(bytes.len());
                let error = |e: Wrong| e.error(text, offset);
                if escapes {
                    if let Some(written) = check_escapes(&text[at..end], at).map_err(error)? {
                        out.push_str(&text[kept..at]);
                        out.push_str(&written);
                        let missing = text[at..end].chars().count().saturating_sub(written.chars().count());
                        out.extend(std::iter::repeat_n(' ', missing));
                        kept = end;
                    }
                } else if is_unicode(bytes, at) {
                    let literal = Literal { text, quote: at, end, name: quote == b'"' };
                    let (written, after) = literal.plain().map_err(error)?;
                    out.push_str(&text[kept..at - 2]);
                    out.push_str(&written);
                    let missing = text[at - 2..after].chars().count().saturating_sub(written.chars().count());
                    out.extend(std::iter::repeat_n(' ', missing));
                    (kept, at) = (after, after);
                    continue;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[kept..]);
    Ok(out.into())
}

/// True for the quote of `U&'…'`.
fn is_unicode(bytes: &[u8], quote: usize) -> bool {
    quote > 1 && matches!(&bytes[quote - 2..quote], b"u&" | b"U&") && !(quote > 2 && is_word(bytes[quote - 3]))
}

/// What is wrong at a byte of the text.
struct Wrong {
    at: usize,
    code: SqlState,
    message: String,
    hint: Option<&'static str>,
}

impl Wrong {
    fn new(at: usize, message: impl Into<String>) -> Wrong {
        Wrong { at, code: SqlState::SYNTAX_ERROR, message: message.into(), hint: None }
    }

    fn error(self, text: &str, offset: usize) -> Error {
        let position = text[..self.at.min(text.len())].chars().count() + 1;
        let error = Error::new(self.code, self.message).position(offset + position);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Halves of characters beyond 16 bits, put together.
#[derive(Default)]
struct Halves {
    high: Option<u32>,
}

/// What a code point is, alone or with the one before.
enum Put {
    Char(char),
    Half,
    Pair,
    Value,
}

impl Halves {
    fn put(&mut self, code: u32) -> Put {
        match (self.high.take(), code) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(code);
                Put::Half
            }
            (Some(high), 0xdc00..=0xdfff) => {
                char::from_u32(0x1_0000 + ((high & 0x3ff) << 10) + (code & 0x3ff)).map_or(Put::Pair, Put::Char)
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => Put::Pair,
            (None, 0) => Put::Value,
            (None, code) => char::from_u32(code).map_or(Put::Value, Put::Char),
        }
    }
}

/// Looks at the `\u` and `\U` of `E'…'`, whose quote is at byte `from` of the text. If it has characters in two halves,
/// which sqlparser does not know, the literal is written anew.
fn check_escapes(literal: &str, from: usize) -> std::result::Result<Option<String>, Wrong> {
    let mut halves = Halves::default();
    let (mut written, mut kept, mut half) = (String::new(), 0, 0);
    let mut at = 1;
    while let Some(found) = literal.get(at..).and_then(|rest| rest.find('\\')) {
        if found > 0 && halves.high.is_some() {
            return Err(Wrong::new(from + at, "invalid Unicode surrogate pair"));
        }
        at += found;
        let width = match literal.as_bytes().get(at + 1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                at += 2;
                continue;
            }
        };
        let digits = literal.get(at + 2..at + 2 + width).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
            return Err(Wrong {
                code: SqlState::new("22025"),
                hint: Some("Unicode escapes must be \\uXXXX or \\UXXXXXXXX."),
                ..Wrong::new(from + at, "invalid Unicode escape")
            });
        };
        let near = &literal[at..at + 2 + width];
        let pair = halves.high.is_some();
        match halves.put(code) {
            Put::Char(c) if pair => {
                written.push_str(&literal[kept..half]);
                written.push(c);
                kept = at + 2 + width;
            }
            Put::Char(_) => {}
            Put::Half => half = at,
            Put::Pair => {
                return Err(Wrong::new(from + at, format!("invalid Unicode surrogate pair at or near \"{near}\"")));
            }
            Put::Value => {
                return Err(Wrong::new(from + at, format!("invalid Unicode escape value at or near \"{near}\"")));
            }
        }
        at += 2 + width;
    }
    match halves.high {
        Some(_) => {
            Err(Wrong::new(from + literal.len().saturating_sub(1), "invalid Unicode surrogate pair at or near \"'\""))
        }
        None if kept > 0 => Ok(Some(written + &literal[kept..])),
        None => Ok(None),
    }
}

/// One literal, from its quote to its end.
struct Literal<'a> {
    text: &'a str,
    quote: usize,
    end: usize,
    name: bool,
}

impl Literal<'_> {
    /// As a plain literal, and where it ends with its UESCAPE.
    fn plain(&self) -> std::result::Result<(String, usize), Wrong> {
        let (escape, after) = self.escape()?;
        let quote = if self.name { '"' } else { '\'' };
        let mut decoded = String::new();
        let mut halves = Halves::default();
        let content = self.text.get(self.quote + 1..self.end - 1).unwrap_or_default();
        let mut at = 0;
        while let Some(c) = content[at..].chars().next() {
            let place = self.quote + 1 + at;
            if c != escape {
                if halves.high.is_some() {
                    return Err(Wrong::new(place, "invalid Unicode surrogate pair"));
                }
                decoded.push(c);
                at += c.len_utf8();
                // A doubled quote stands for one.
                at += usize::from(c == quote);
                continue;
            }
            let rest = &content[at + escape.len_utf8()..];
            if rest.starts_with(escape) && halves.high.is_none() {
                decoded.push(escape);
                at += 2 * escape.len_utf8();
                continue;
            }
            let (skip, width) = if rest.starts_with('+') { (1, 6) } else { (0, 4) };
            let digits = rest.get(skip..skip + width).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(code) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
                return Err(Wrong {
                    hint: Some("Unicode escapes must be \\XXXX or \\+XXXXXX."),
                    ..Wrong::new(place, "invalid Unicode escape")
                });
            };
            match halves.put(code) {
                Put::Char(c) => decoded.push(c),
                Put::Half => {}
                Put::Pair => return Err(Wrong::new(place, "invalid Unicode surrogate pair")),
                Put::Value => return Err(Wrong::new(place, "invalid Unicode escape value")),
            }
            at += escape.len_utf8() + skip + width;
        }
        if halves.high.is_some() {
            return Err(Wrong::new(self.end - 1, "invalid Unicode surrogate pair"));
        }
        Ok((self.written(&decoded), after))
    }

    fn written(&self, decoded: &str) -> String {
        if self.name {
            return format!("\"{}\"", decoded.replace('"', "\"\""));
        }
        if !decoded.contains(['\n', '\r']) {
            return format!("'{}'", decoded.replace('\'', "''"));
        }
        // On one line, so that the lines behind keep their numbers.
        let escaped = decoded.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n").replace('\r', "\\r");
        format!("E'{escaped}'")
    }

    /// The escape character, and where the literal ends with its UESCAPE.
    fn escape(&self) -> std::result::Result<(char, usize), Wrong> {
        let rest = &self.text[self.end..];
        let trimmed = rest.trim_start();
        let word = trimmed.get(..7).is_some_and(|w| w.eq_ignore_ascii_case("UESCAPE"));
        if !word || trimmed.as_bytes().get(7).is_some_and(|b| is_word(*b)) {
            return Ok(('\\', self.end));
        }
        let given = trimmed[7..].trim_start();
        let start = self.text.len() - given.len();
        let mut chars = given.strip_prefix('\'').unwrap_or_default().chars();
        let (Some(c), Some('\'')) = (chars.next(), chars.next()) else {
            return Err(Wrong::new(start, "UESCAPE must be followed by a simple string literal"));
        };
        if c.is_ascii_hexdigit() || c.is_whitespace() || matches!(c, '+' | '\'' | '"') {
            return Err(Wrong::new(start, format!("invalid Unicode escape character at or near \"'{c}'\"")));
        }
        Ok((c, start + 2 + c.len_utf8()))
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn literals_are_said_plainly() {
        for (given, wanted) in [
            (r"SELECT U&'d\0061t\+000061'", "SELECT 'data'"),
            (r#"SELECT 1 AS U&"d*0061ta" UESCAPE '*' , 2"#, r#"SELECT 1 AS "data" , 2"#),
            (r"SELECT U&'it''s \\'", r"SELECT 'it''s \'"),
            (r"SELECT 'U&''\0061', $$U&'\0061'$$ -- U&'\0061'", r"SELECT 'U&''\0061', $$U&'\0061'$$ -- U&'\0061'"),
            (r"SELECT E'\u0061\\u'", r"SELECT E'\u0061\\u'"),
        ] {
            let said = plain(given, 0).expect(given);
            assert_eq!(said.split_whitespace().collect::<Vec<_>>(), wanted.split_whitespace().collect::<Vec<_>>());
            // What stands behind keeps its place.
            assert_eq!(said.chars().count(), given.chars().count());
        }
        for wrong in [r"U&'\006'", r"U&'\d83d'", r"U&'a' UESCAPE '+'", r"E'\u061'", r"E'\ud83d'", r"U&'\0000'"] {
            assert!(plain(wrong, 0).is_err(), "{wrong}");
        }
    }
}
