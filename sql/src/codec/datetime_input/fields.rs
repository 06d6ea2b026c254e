//! The text of a date or time cut into fields, as the manual's appendix B.1 describes it
//! (<https://www.postgresql.org/docs/15/datetime-input-rules.html>).

use super::words::{Word, word};
use super::{Fault, Parsed};

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum Kind {
    /// Digits, perhaps with a fraction.
    Number,
    /// `2024-01-31`, `31.1.2024`, `jan-31`, also `america/new_york`.
    Date,
    /// `10:30`.
    Time,
    /// `+02`, `-7:30`; in an interval any number with a sign.
    Signed,
    /// A word.
    Word,
    /// A word with a sign, as `-infinity`.
    SignedWord,
}

/// A field, its letters small.
#[derive(Clone, Debug)]
pub(in crate::codec) struct Field {
    pub kind: Kind,
    pub text: String,
}

/// PostgreSQL's limits on what it reads.
const FIELDS_MAX: usize = 25;
const BYTES_MAX: usize = 153;

/// The text under way.
struct Input<'a> {
    rest: &'a [u8],
    /// The field under way.
    field: String,
}

impl Input<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn take(&mut self) {
        self.field.push(self.peek().to_ascii_lowercase() as char);
        self.rest = &self.rest[1..];
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while !self.rest.is_empty() && wanted(self.peek()) {
            self.take();
        }
    }

    fn digits(&mut self) {
        self.take_while(|b| b.is_ascii_digit());
    }

    /// A field that starts with a digit.
    fn number(&mut self) -> Kind {
        self.digits();
        match self.peek() {
            b':' => {
                self.take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
                Kind::Time
            }
            separator @ (b'-' | b'/' | b'.') => {
                self.take();
                if !self.peek().is_ascii_digit() {
                    self.take_while(|b| b.is_ascii_alphanumeric() || b == separator);
                    return Kind::Date;
                }
                self.digits();
                if self.peek() == separator {
                    self.take_while(|b| b.is_ascii_digit() || b == separator);
                    return Kind::Date;
                }
                if separator == b'.' { Kind::Number } else { Kind::Date }
            }
            _ => Kind::Number,
        }
    }

    /// A field that starts with a letter: a word, or a date or the name of a zone with punctuation in it.
    fn letters(&mut self) -> Kind {
        self.take_while(|b| b.is_ascii_alphabetic());
        let compound = match self.peek() {
            b'-' | b'/' | b'.' => true,
            b'+' => word(&self.field) == Word::Unknown,
            b if b.is_ascii_digit() => word(&self.field) == Word::Unknown,
            _ => false,
        };
        if !compound {
            return Kind::Word;
        }
        self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':'));
        Kind::Date
    }

    fn signed(&mut self) -> Parsed<Kind> {
        self.take();
        while self.peek().is_ascii_whitespace() {
            self.rest = &self.rest[1..];
        }
        match self.peek() {
            b if b.is_ascii_digit() => {
                self.take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-'));
                Ok(Kind::Signed)
            }
            b if b.is_ascii_alphabetic() => {
                self.take_while(|b| b.is_ascii_alphabetic());
                Ok(Kind::SignedWord)
            }
            _ => Err(Fault::Syntax),
        }
    }
}

/// Cuts a text into fields.
pub(in crate::codec) fn split(text: &str) -> Parsed<Vec<Field>> {
    if text.trim().len() > BYTES_MAX {
        return Err(Fault::Syntax);
    }
    let mut input = Input { rest: text.as_bytes(), field: String::new() };
    let mut fields = Vec::with_capacity(4);
    while !input.rest.is_empty() {
        let kind = match input.peek() {
            b if b.is_ascii_whitespace() || b == 0x0b => {
                input.rest = &input.rest[1..];
                continue;
            }
            b if b.is_ascii_digit() => input.number(),
            b'.' => {
                input.take();
                input.digits();
                Kind::Number
            }
            b if b.is_ascii_alphabetic() => input.letters(),
            b'+' | b'-' => input.signed()?,
            b if b.is_ascii_punctuation() => {
                input.rest = &input.rest[1..];
                continue;
            }
            _ => return Err(Fault::Syntax),
        };
        if fields.len() >= FIELDS_MAX {
            return Err(Fault::Syntax);
        }
        fields.push(Field { kind, text: std::mem::take(&mut input.field) });
    }
    Ok(fields)
}
