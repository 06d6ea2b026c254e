//! Array text: `{a,"b c",NULL,{nested}}`.

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::input::INCORRECT_BINARY;

/// An element of an array's text.
#[derive(Debug, PartialEq, Eq)]
pub enum Element {
    Null,
    Value(String),
    Nested(Vec<Element>),
}

/// Reads array text; bounds in front (`[1:3]=`) are accepted and forgotten.
///
/// # Errors
/// 22P02 `malformed array literal` with PostgreSQL's detail.
pub fn parse(text: &str) -> Result<Vec<Element>> {
    let malformed = |detail: &str| {
        Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\"")).detail(detail)
    };
    let mut t = text.trim();
    if t.starts_with('[') {
        t = t
            .split_once('=')
            .map(|(_, rest)| rest.trim())
            .ok_or_else(|| malformed("Missing \"]\" after array dimensions."))?;
    }
    if !t.starts_with('{') {
        return Err(malformed("Array value must start with \"{\" or dimension information."));
    }
    let mut parser = Parser { rest: &t[1..], depth: 1 };
    let elements = parser.elements().map_err(malformed)?;
    if !parser.rest.trim().is_empty() {
        return Err(malformed("Junk after closing right brace."));
    }
    if !is_rectangle(&elements) {
        return Err(malformed("Multidimensional arrays must have sub-arrays with matching dimensions."));
    }
    Ok(elements)
}

/// Whether all elements are values, or all are arrays of the same lengths.
fn is_rectangle(elements: &[Element]) -> bool {
    fn shape(elements: &[Element]) -> Option<Vec<usize>> {
        let mut lengths = vec![elements.len()];
        let mut inner = elements.iter().map(|e| match e {
            Element::Nested(inner) => shape(inner),
            Element::Null | Element::Value(_) => Some(vec![]),
        });
        let first = inner.next().unwrap_or(Some(vec![]))?;
        if inner.any(|other| other.as_ref() != Some(&first)) {
            return None;
        }
        lengths.extend(first);
        Some(lengths)
    }
    shape(elements).is_some()
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    }

    /// What stands between an opening brace, already read, and its closing one.
    fn elements(&mut self) -> std::result::Result<Vec<Element>, &'static str> {
        let mut elements = Vec::new();
        self.skip_blanks();
        if let Some(rest) = self.rest.strip_prefix('}') {
            if self.depth > 1 {
                return Err("Unexpected \"}\" character.");
            }
            self.rest = rest;
            return Ok(elements);
        }
        loop {
            self.skip_blanks();
            elements.push(self.element()?);
            self.skip_blanks();
            let mut chars = self.rest.chars();
            let next = chars.next();
            self.rest = chars.as_str();
            match next {
                Some(',') => {}
                Some('}') => return Ok(elements),
                None => return Err("Unexpected end of input."),
                Some(_) => return Err("Unexpected array element."),
            }
        }
    }

    fn element(&mut self) -> std::result::Result<Element, &'static str> {
        match self.rest.as_bytes().first() {
            None => Err("Unexpected end of input."),
            Some(b'{') if self.depth >= 6 => Err("Too many array dimensions."),
            Some(b'{') => {
                self.rest = &self.rest[1..];
                self.depth += 1;
                let nested = self.elements()?;
                self.depth -= 1;
                Ok(Element::Nested(nested))
            }
            Some(b'"') => self.quoted(),
            Some(b',') => Err("Unexpected \",\" character."),
            Some(b'}') => Err("Unexpected \"}\" character."),
            Some(_) => self.bare(),
        }
    }

    fn quoted(&mut self) -> std::result::Result<Element, &'static str> {
        let mut value = String::new();
        let mut chars = self.rest[1..].chars();
        loop {
            match chars.next().ok_or("Unexpected end of input.")? {
                '"' => break,
                '\\' => value.push(chars.next().ok_or("Unexpected end of input.")?),
                c => value.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(Element::Value(value))
    }

    fn bare(&mut self) -> std::result::Result<Element, &'static str> {
        let mut value = String::new();
        let (mut escaped, mut kept) = (false, 0);
        let mut chars = self.rest.chars();
        loop {
            let before = chars.as_str();
            match chars.next() {
                None | Some(',' | '}') => {
                    self.rest = before;
                    break;
                }
                Some('{') => return Err("Unexpected \"{\" character."),
                Some('"') => return Err("Unexpected array element."),
                Some('\\') => {
                    value.push(chars.next().ok_or("Unexpected end of input.")?);
                    escaped = true;
                    kept = value.len();
                }
                Some(c) => value.push(c),
            }
        }
        let end = value.trim_end_matches(|c: char| c.is_ascii_whitespace()).len().max(kept);
        value.truncate(end);
        if !escaped && value.eq_ignore_ascii_case("null") {
            return Ok(Element::Null);
        }
        Ok(Element::Value(value))
    }
}

/// The most dimensions an array has.
const DIMENSIONS_MAX: i32 = 6;
/// The most elements an array has, as PostgreSQL counts.
const ELEMENTS_MAX: i32 = 134_217_727;

fn broken(message: String) -> Error {
    Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

/// Checks the first word of an array's binary form.
///
/// # Errors
/// Those of PostgreSQL's `array_recv`.
pub(super) fn check_dimensions(dimensions: i32) -> Result<()> {
    match dimensions {
        ..0 => Err(broken(format!("invalid number of dimensions: {dimensions}"))),
        0..=DIMENSIONS_MAX => Ok(()),
        _ => {
            let message =
                format!("number of array dimensions ({dimensions}) exceeds the maximum allowed ({DIMENSIONS_MAX})");
            Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
        }
    }
}

/// Checks the second and third word: whether there are NULLs, and the elements' type.
///
/// # Errors
/// As [`check_dimensions`].
pub(super) fn check_elements(flags: i32, element: u32, item: &SqlType) -> Result<()> {
    if !matches!(flags, 0 | 1) {
        return Err(broken("invalid array flags".to_string()));
    }
    // Strings are alike to us: `bpchar` without a length is a text.
    let string = |oid| matches!(oid, 19 | 25 | 1042 | 1043);
    if element == item.oid() || (string(element) && string(item.oid())) {
        return Ok(());
    }
    let name = |oid| match SqlType::from_oid(oid) {
        Some(ty) => ty.to_string(),
        None if oid == 0 => "-".to_string(),
        None => "???".to_string(),
    };
    let (given, wanted) = (name(element), name(item.oid()));
    let message =
        format!("binary data has array element type {element} ({given}) instead of expected {} ({wanted})", item.oid());
    Err(Error::new(SqlState::DATATYPE_MISMATCH, message))
}

/// The number of elements with one dimension more.
///
/// # Errors
/// 54000 for too many, and for a dimension that ends beyond the largest subscript.
pub(super) fn check_bounds(count: i32, length: i32, lower: i32) -> Result<i32> {
    let limit = |message: String| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    let all = count.checked_mul(length).filter(|all| length >= 0 && *all <= ELEMENTS_MAX);
    let all = all.ok_or_else(|| limit(format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})")))?;
    if lower.checked_add(length).is_none() {
        return Err(limit(format!("array lower bound is too large: {lower}")));
    }
    Ok(all)
}

/// 22P03 for an element that is longer than what is left.
pub(super) fn cut() -> Error {
    Error::new(SqlState::INVALID_BINARY_REPRESENTATION, "insufficient data left in message")
}

/// An element's error, which for bytes too many names the element.
pub(super) fn in_element(e: Error, number: i32) -> Error {
    if e.message() == INCORRECT_BINARY {
        return Error::new(e.code(), format!("improper binary format in array element {number}"));
    }
    e
}

/// Writes an element, quoted where it must be.
pub fn write_element(out: &mut Vec<u8>, text: &[u8]) {
    if !needs_quotes(text) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for b in text {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*b);
    }
    out.push(b'"');
}

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 11 | 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let v = |s: &str| Element::Value(s.into());
        assert_eq!(parse("{}").unwrap(), []);
        assert_eq!(
            parse(r#" { a , "b, \"c" , NULL, "NULL", d\ e } "#).unwrap(),
            [v("a"), v("b, \"c"), Element::Null, v("NULL"), v("d e")]
        );
        assert_eq!(parse("[1:2]={1,2}").unwrap(), [v("1"), v("2")]);
        assert_eq!(parse("{{1},{2}}").unwrap().len(), 2);
        for t in ["", "1,2", "{1", "{1,}", "{,}", "{1}x", "{\"a}", "{a\"b\"}", "{{{{{{{1}}}}}}}"] {
            assert_eq!(parse(t).unwrap_err().code(), SqlState::INVALID_TEXT_REPRESENTATION, "{t}");
        }
    }

    #[test]
    fn quoting_reads_back() {
        for t in ["", "a", "null", "a b", "a,b", "\"", "\\", "{", "ä"] {
            let mut out = vec![b'{'];
            write_element(&mut out, t.as_bytes());
            out.push(b'}');
            assert_eq!(parse(std::str::from_utf8(&out).unwrap()).unwrap(), [Element::Value(t.into())]);
        }
    }
}
