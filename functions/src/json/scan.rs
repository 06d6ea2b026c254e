//! Members and items of a JSON text, as slices of it: nothing is copied that is not asked for.

use std::borrow::Cow;

use super::lexer::{Lexer, Result, Token, unescape};

/// What a text holds at its top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    List,
    Text,
    Number,
    Bool,
    Null,
}

impl Kind {
    /// `json_typeof`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::List => "array",
            Kind::Text => "string",
            Kind::Number => "number",
            Kind::Bool => "boolean",
            Kind::Null => "null",
        }
    }
}

/// What the text is, by its first word.
///
/// # Errors
/// 22P02 for no JSON.
pub(crate) fn kind(text: &str) -> Result<Kind> {
    let lexer = Lexer::new(text, false)?;
    Ok(match lexer.token {
        Token::ObjectStart => Kind::Object,
        Token::ListStart => Kind::List,
        Token::Text => Kind::Text,
        Token::Number => Kind::Number,
        Token::True | Token::False => Kind::Bool,
        Token::Null => Kind::Null,
        _ => return Err(lexer.expected("JSON value")),
    })
}

/// The members of an object, in the order written.
pub(crate) struct Members<'a> {
    lexer: Lexer<'a>,
    first: bool,
}

impl<'a> Members<'a> {
    /// None for a text that is no object.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn of(text: &'a str) -> Result<Option<Members<'a>>> {
        let mut lexer = Lexer::new(text, false)?;
        if lexer.token != Token::ObjectStart {
            return Ok(None);
        }
        lexer.advance()?;
        Ok(Some(Members { lexer, first: true }))
    }

    /// The next key in its quotes, and its value.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn next(&mut self) -> Result<Option<(&'a str, &'a str)>> {
        if self.lexer.token == Token::ObjectEnd {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            if self.lexer.token != Token::Comma {
                return Err(self.lexer.expected("\",\" or \"}\""));
            }
            self.lexer.advance()?;
        }
        let key = self.lexer.key("string")?;
        let (from, to) = self.lexer.skip_value()?;
        Ok(Some((key, self.lexer.slice(from, to))))
    }

    /// Checks that nothing follows the object, whose members have all been taken.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.lexer.advance()?;
        self.lexer.finish()
    }
}

/// The items of a list.
pub(crate) struct Items<'a> {
    lexer: Lexer<'a>,
    first: bool,
}

impl<'a> Items<'a> {
    /// None for a text that is no list.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn of(text: &'a str) -> Result<Option<Items<'a>>> {
        let mut lexer = Lexer::new(text, false)?;
        if lexer.token != Token::ListStart {
            return Ok(None);
        }
        lexer.advance()?;
        Ok(Some(Items { lexer, first: true }))
    }

    /// The next item.
    ///
    /// # Errors
    /// 22P02.
    pub(crate) fn next(&mut self) -> Result<Option<&'a str>> {
        if self.lexer.token == Token::ListEnd {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            if self.lexer.token != Token::Comma {
                return Err(self.lexer.expected("\",\" or \"]\""));
            }
            self.lexer.advance()?;
        }
        let (from, to) = self.lexer.skip_value()?;
        Ok(Some(self.lexer.slice(from, to)))
    }
}

/// Whether a key in quotes is this one.
pub(crate) fn is_key(word: &str, key: &str) -> Result<bool> {
    if word.contains('\\') {
        return Ok(unescape(word)? == key);
    }
    Ok(word.len() == key.len() + 2 && word.get(1..word.len() - 1) == Some(key))
}

/// The member of this name, the last of several.
///
/// # Errors
/// 22P02.
pub(crate) fn member<'a>(text: &'a str, key: &str) -> Result<Option<&'a str>> {
    let Some(mut members) = Members::of(text)? else { return Ok(None) };
    let mut found = None;
    while let Some((word, value)) = members.next()? {
        if is_key(word, key)? {
            found = Some(value);
        }
    }
    Ok(found)
}

/// The item at this place, from the end if negative.
///
/// # Errors
/// 22P02.
pub(crate) fn item(text: &str, place: i64) -> Result<Option<&str>> {
    let Some(mut items) = Items::of(text)? else { return Ok(None) };
    if place >= 0 {
        let mut at = 0;
        while let Some(value) = items.next()? {
            if at == place {
                return Ok(Some(value));
            }
            at += 1;
        }
        return Ok(None);
    }
    let mut all = Vec::new();
    while let Some(value) = items.next()? {
        all.push(value);
    }
    let from_start = i64::try_from(all.len()).unwrap_or(i64::MAX).saturating_add(place);
    Ok(usize::try_from(from_start).ok().and_then(|n| all.get(n)).copied())
}

/// The value at the end of a path of keys and places.
///
/// # Errors
/// 22P02.
pub(crate) fn at_path<'a, 'p>(text: &'a str, path: impl Iterator<Item = Option<&'p str>>) -> Result<Option<&'a str>> {
    let mut here = text;
    for step in path {
        let Some(step) = step else { return Ok(None) };
        let next = match kind(here)? {
            Kind::Object => member(here, step)?,
            Kind::List => match place(step) {
                Some(place) => item(here, place)?,
                None => None,
            },
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here.trim_matches([' ', '\t', '\n', '\r'])))
}

/// A place in a list as C's `strtoint` reads it.
pub(crate) fn place(step: &str) -> Option<i64> {
    let step = step.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    step.parse::<i32>().ok().map(i64::from)
}

/// What `->>` answers of a value: a string bare, nothing for null.
///
/// # Errors
/// 22P02 for an escape that stands for nothing.
pub(crate) fn bare(value: &str) -> Result<Option<Cow<'_, str>>> {
    let value = value.trim_matches([' ', '\t', '\n', '\r']);
    match value.as_bytes().first() {
        Some(b'"') => unescape(value).map(Some),
        Some(b'n') => Ok(None),
        _ => Ok(Some(Cow::Borrowed(value))),
    }
}
