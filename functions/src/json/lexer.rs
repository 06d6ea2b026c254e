//! The words of JSON, and what PostgreSQL says of a text that is none (RFC 8259;
//! <https://www.postgresql.org/docs/15/datatype-json.html>).
//!
//! One token of look-ahead, and no recursion: texts nested as deep as [`DEPTH_MAX`] are checked on a stack of brackets.

use std::borrow::Cow;

use crate::error::FunctionError;

/// How deep values may nest before PostgreSQL's own stack would be full.
pub(crate) const DEPTH_MAX: usize = 6_000;
/// About how much of the line an error shows.
const CONTEXT_BYTES: usize = 50;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ListStart,
    ListEnd,
    Comma,
    Colon,
    Text,
    Number,
    True,
    False,
    Null,
    End,
}

/// Reads a text word by word.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// The word here.
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
    line: usize,
    line_start: usize,
    /// Whether strings must have a decoded form: `json` as such keeps escapes as they are.
    decodes: bool,
}

pub(crate) type Result<T, E = Box<FunctionError>> = std::result::Result<T, E>;

impl<'a> Lexer<'a> {
    /// Starts at the first word.
    ///
    /// # Errors
    /// 22P02 if there is no such word in JSON.
    pub(crate) fn new(text: &'a str, decodes: bool) -> Result<Lexer<'a>> {
        let mut lexer = Lexer { text, token: Token::End, start: 0, end: 0, line: 1, line_start: 0, decodes };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The word here as written.
    pub(crate) fn word(&self) -> &'a str {
        &self.text[self.start..self.end]
    }

    /// The text between two places.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    /// The decoded string here.
    ///
    /// # Errors
    /// As [`unescape`].
    pub(crate) fn string(&self) -> Result<Cow<'a, str>> {
        unescape(self.word())
    }

    /// Goes on to the next word.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.end;
        while let Some(b @ (b' ' | b'\t' | b'\n' | b'\r')) = bytes.get(at) {
            at += 1;
            if *b == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        let Some(first) = bytes.get(at) else {
            self.end = at;
            self.token = Token::End;
            return Ok(());
        };
        self.end = at + 1;
        self.token = match first {
            b'{' => Token::ObjectStart,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ListStart,
            b']' => Token::ListEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => return self.lex_string(),
            b'-' | b'0'..=b'9' => return self.lex_number(),
            _ => {
                let length = bytes[at..].iter().take_while(|b| continues(**b)).count();
                if length == 0 {
                    self.end = at + self.text[at..].chars().next().map_or(1, char::len_utf8);
                } else {
                    self.end = at + length;
                }
                match self.word() {
                    "true" => Token::True,
                    "false" => Token::False,
                    "null" => Token::Null,
                    _ => return Err(self.invalid_token()),
                }
            }
        };
        Ok(())
    }

    fn lex_number(&mut self) -> Result<()> {
        let rest = &self.text.as_bytes()[self.start..];
        let (length, valid) = number_length(rest);
        let garbage = rest[length..].iter().take_while(|b| continues(**b)).count();
        self.end = self.start + length + garbage;
        self.token = Token::Number;
        if valid && garbage == 0 { Ok(()) } else { Err(self.invalid_token()) }
    }

    fn lex_string(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        self.token = Token::Text;
        let mut at = self.start + 1;
        let mut high = false;
        loop {
            let Some(b) = bytes.get(at) else {
                self.end = at;
                return Err(self.invalid_token());
            };
            match b {
                b'"' | b'\\' | 0..0x20 => {}
                _ if high => return Err(self.fault(LOW_SURROGATE)),
                _ => {
                    at += 1;
                    continue;
                }
            }
            match b {
                b'"' if high => return Err(self.fault(LOW_SURROGATE)),
                b'"' => {
                    self.end = at + 1;
                    return Ok(());
                }
                b'\\' if bytes.get(at + 1) == Some(&b'u') => {
                    let unit = self.hexadecimal(at + 2)?;
                    at += 6;
                    if self.decodes {
                        high = self.surrogate(unit, high)?;
                    }
                }
                b'\\' => {
                    if high {
                        return Err(self.fault(LOW_SURROGATE));
                    }
                    let Some(c) = self.text[at + 1..].chars().next() else {
                        self.end = at + 1;
                        return Err(self.invalid_token());
                    };
                    if !matches!(c, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') {
                        self.end = at + 1 + c.len_utf8();
                        return Err(self.fault(format!("Escape sequence \"\\{c}\" is invalid.")));
                    }
                    at += 2;
                }
                control => {
                    self.end = at;
                    return Err(self.fault(format!("Character with value 0x{control:02x} must be escaped.")));
                }
            }
        }
    }

    fn hexadecimal(&mut self, at: usize) -> Result<u32> {
        let bytes = self.text.as_bytes();
        let mut unit = 0;
        for i in at..at + 4 {
            let Some(b) = bytes.get(i) else {
                self.end = bytes.len();
                return Err(self.invalid_token());
            };
            let Some(digit) = char::from(*b).to_digit(16) else {
                self.end = i + self.text[i..].chars().next().map_or(1, char::len_utf8);
                return Err(self.fault("\"\\u\" must be followed by four hexadecimal digits."));
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    /// Whether a high surrogate waits for its low one after this unit.
    fn surrogate(&self, unit: u32, high: bool) -> Result<bool> {
        match unit {
            0xd800..0xdc00 if high => Err(self.fault("Unicode high surrogate must not follow a high surrogate.")),
            0xd800..0xdc00 => Ok(true),
            0xdc00..0xe000 if high => Ok(false),
            _ if high => Err(self.fault(LOW_SURROGATE)),
            0xdc00..0xe000 => Err(self.fault(LOW_SURROGATE)),
            0 => Err(Box::new(
                FunctionError::new("22P05", "unsupported Unicode escape sequence")
                    .detail("\\u0000 cannot be converted to text.")
                    .context(self.context()),
            )),
            _ => Ok(false),
        }
    }

    fn invalid_token(&self) -> Box<FunctionError> {
        self.fault(format!("Token \"{}\" is invalid.", self.word()))
    }

    /// 22P02 with what was expected here.
    pub(crate) fn expected(&self, what: &str) -> Box<FunctionError> {
        match self.token {
            Token::End => self.fault("The input string ended unexpectedly."),
            _ => self.fault(format!("Expected {what}, but found \"{}\".", self.word())),
        }
    }

    fn fault(&self, detail: impl Into<String>) -> Box<FunctionError> {
        let error = FunctionError::new("22P02", "invalid input syntax for type json");
        Box::new(error.detail(detail).context(self.context()))
    }

    /// The line up to here, shortened in front.
    fn context(&self) -> String {
        let line = &self.text[self.line_start..self.end.max(self.line_start)];
        let mut from = 0;
        for (at, c) in line.char_indices() {
            if line.len() - at < CONTEXT_BYTES {
                break;
            }
            from = at + c.len_utf8();
        }
        if from <= 3 {
            from = 0;
        }
        let more =
            self.token != Token::End && !matches!(self.text.as_bytes().get(self.end), None | Some(b'\n' | b'\r'));
        let (before, after) = (if from > 0 { "..." } else { "" }, if more { "..." } else { "" });
        format!("JSON data, line {}: {before}{}{after}", self.line, &line[from..])
    }

    /// Skips the value here; where it was.
    ///
    /// # Errors
    /// 22P02, and 54001 for a value nested too deep.
    pub(crate) fn skip_value(&mut self) -> Result<(usize, usize)> {
        let from = self.start;
        // The brackets around: whether each is an object's.
        let mut open: Vec<bool> = Vec::new();
        loop {
            let mut to = self.end;
            match self.token {
                Token::ObjectStart | Token::ListStart => {
                    let object = self.token == Token::ObjectStart;
                    open.push(object);
                    check_depth(open.len(), DEPTH_MAX)?;
                    self.advance()?;
                    if self.token != if object { Token::ObjectEnd } else { Token::ListEnd } {
                        if object {
                            self.key("string or \"}\"")?;
                        }
                        continue;
                    }
                    to = self.end;
                    open.pop();
                    self.advance()?;
                }
                Token::Text | Token::Number | Token::True | Token::False | Token::Null => self.advance()?,
                _ => return Err(self.expected("JSON value")),
            }
            // A value has ended: with it may end those around.
            loop {
                match (open.last(), self.token) {
                    (None, _) => return Ok((from, to)),
                    (Some(object), Token::Comma) => {
                        let object = *object;
                        self.advance()?;
                        if object {
                            self.key("string")?;
                        }
                        break;
                    }
                    (Some(true), Token::ObjectEnd) | (Some(false), Token::ListEnd) => {
                        to = self.end;
                        open.pop();
                        self.advance()?;
                    }
                    (Some(true), _) => return Err(self.expected("\",\" or \"}\"")),
                    (Some(false), _) => return Err(self.expected("\",\" or \"]\"")),
                }
            }
        }
    }

    /// Reads a key and its colon; the key as written.
    ///
    /// # Errors
    /// 22P02, with `what` was expected instead.
    pub(crate) fn key(&mut self, what: &str) -> Result<&'a str> {
        if self.token != Token::Text {
            return Err(self.expected(what));
        }
        let key = self.word();
        self.advance()?;
        if self.token != Token::Colon {
            return Err(self.expected("\":\""));
        }
        self.advance()?;
        Ok(key)
    }

    /// Checks that nothing more comes.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.token == Token::End { Ok(()) } else { Err(self.expected("end of input")) }
    }
}

const LOW_SURROGATE: &str = "Unicode low surrogate must follow a high surrogate.";

/// 54001 beyond a depth.
pub(crate) fn check_depth(depth: usize, most: usize) -> Result<()> {
    if depth <= most {
        return Ok(());
    }
    Err(Box::new(FunctionError::new("54001", "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after ensuring the platform's \
         stack depth limit is adequate.",
    )))
}

/// Whether a byte goes on with a word.
fn continues(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

/// How far a number goes, and whether it is one of JSON's.
fn number_length(text: &[u8]) -> (usize, bool) {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let mut valid = true;
    match text.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at += digits(at),
        _ => valid = false,
    }
    if text.get(at) == Some(&b'.') {
        let n = digits(at + 1);
        valid &= n > 0;
        at += 1 + n;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = text.get(at) {
            at += 1;
        }
        let n = digits(at);
        valid &= n > 0;
        at += n;
    }
    (at, valid)
}

/// Checks that a text is JSON.
///
/// # Errors
/// 22P02, 54001.
pub(crate) fn check(text: &str) -> Result<()> {
    let mut lexer = Lexer::new(text, false)?;
    lexer.skip_value()?;
    lexer.finish()
}

/// What a string in quotes stands for.
///
/// # Errors
/// 22P02 for escapes that stand for nothing, 22P05 for `\u0000`.
pub(crate) fn unescape(word: &str) -> Result<Cow<'_, str>> {
    let inner = word.get(1..word.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    // A string of `json` may have escapes that stand for nothing: the lexer tells.
    Lexer::new(word, true)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    let mut high = 0;
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let unit = chars.by_ref().take(4).fold(0, |n, c| n * 16 + c.to_digit(16).unwrap_or(0));
                match unit {
                    0xd800..0xdc00 => high = unit,
                    0xdc00..0xe000 => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    _ => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused() {
        for (text, detail) in [
            ("", "The input string ended unexpectedly."),
            ("{\"a\":", "The input string ended unexpectedly."),
            ("x", "Token \"x\" is invalid."),
            ("{a:1}", "Token \"a\" is invalid."),
            ("[1,]", "Expected JSON value, but found \"]\"."),
            ("{\"a\" 1}", "Expected \":\", but found \"1\"."),
            ("{1:1}", "Expected string or \"}\", but found \"1\"."),
            ("{\"a\":1,}", "Expected string, but found \"}\"."),
            ("01", "Token \"01\" is invalid."),
            ("1f2", "Token \"1f2\" is invalid."),
            ("1 2", "Expected end of input, but found \"2\"."),
            ("\"a", "Token \"\"a\" is invalid."),
            ("\"\\v\"", "Escape sequence \"\\v\" is invalid."),
        ] {
            let e = check(text).expect_err(text);
            assert_eq!((e.code, e.detail.as_deref()), ("22P02", Some(detail)), "{text}");
        }
        assert_eq!(check(&"[".repeat(100_000)).expect_err("too deep").code, "54001");
        assert!(check("\"\\ud83d\"").is_ok() && unescape("\"\\ud83d\"").is_err());
        assert_eq!(unescape("\"\\ud83d\\ude00\\n\"").expect("a string"), "😀\n");
    }
}
