//! The words of a `jsonpath` (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-PATH>).

use crate::error::FunctionError;
use crate::json::lexer::Result;
use crate::json::number::Decimal;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A name or a word of the language.
    Name(String),
    /// In double quotes.
    Text(String),
    /// `$name`.
    Variable(String),
    /// As `numeric` shows it, and whether it was written as a whole number.
    Number(String, bool),
    /// One of the signs, e.g. `**` or `==`.
    Sign(&'static str),
}

/// Longer ones stand before those they begin with.
const SIGNS: [&str; 31] = [
    "**", "&&", "||", "==", "!=", "<>", "<=", ">=", "<", ">", "!", "&", "|", "=", "?", "%", "$", ".", "[", "]", "{",
    "}", "(", ")", "@", "#", ",", "*", ":", "-", "+",
];

/// What stands for an end of a name.
fn is_special(c: char) -> bool {
    "?%$.[]{}()|&!=<>@#,*:-+/".contains(c) || c == '"' || c.is_ascii_whitespace()
}

/// 42601 at a word.
pub(super) fn fault(what: &str, near: &str) -> Box<FunctionError> {
    let place = if near.is_empty() { "at end".to_string() } else { format!("at or near \"{near}\"") };
    Box::new(FunctionError::new("42601", format!("{what} {place} of jsonpath input")))
}

/// Cuts a text into words, each with how it was written.
///
/// # Errors
/// 42601 for what is no word.
pub(super) fn words(text: &str) -> Result<Vec<(Word, String)>> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let Some(first) = rest.chars().next() else { return Ok(out) };
        let before = rest;
        if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| fault("unexpected end of comment", ""))?;
            rest = &comment[end + 2..];
            continue;
        }
        let word = if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            number(&mut rest)?
        } else if first == '"' {
            rest = &rest[1..];
            Word::Text(quoted(&mut rest)?)
        } else if first == '$' && rest[1..].starts_with('"') {
            rest = &rest[2..];
            Word::Variable(quoted(&mut rest)?)
        } else if first == '$' && rest[1..].starts_with(|c: char| !is_special(c)) {
            rest = &rest[1..];
            Word::Variable(name(&mut rest)?)
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            rest = &rest[sign.len()..];
            Word::Sign(sign)
        } else if first == '/' {
            rest = &rest[1..];
            Word::Sign("/")
        } else {
            Word::Name(name(&mut rest)?)
        };
        out.push((word, before[..before.len() - rest.len()].to_string()));
    }
}

fn number(rest: &mut &str) -> Result<Word> {
    let text = *rest;
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    let mut whole = true;
    if text[end..].starts_with('.') && !(end > 0 && text[end + 1..].starts_with('*')) {
        whole = false;
        end += 1 + digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent == 0 {
            return Err(fault("invalid numeric literal", &text[..end + 1 + sign]));
        }
        whole = false;
        end += 1 + sign + exponent;
    }
    if let Some(junk) = text[end..].chars().next().filter(|c| !is_special(*c)) {
        return Err(fault("trailing junk after numeric literal", &text[..end + junk.len_utf8()]));
    }
    let zeros = text[..end].len() > 1 && text.starts_with('0') && text[1..].starts_with(|c: char| c.is_ascii_digit());
    if zeros {
        return Err(fault("trailing junk after numeric literal", &text[..2]));
    }
    let mut written = text[..end].trim_end_matches('.').to_string();
    if written.starts_with('.') {
        written.insert(0, '0');
    }
    let written = written.replace(".e", "e").replace(".E", "E");
    *rest = &text[end..];
    Ok(Word::Number(Decimal::parse(&written)?.shown(), whole))
}

fn name(rest: &mut &str) -> Result<String> {
    let mut out = String::new();
    while let Some(c) = rest.chars().next().filter(|c| !is_special(*c)) {
        *rest = &rest[c.len_utf8()..];
        if c == '\\' { escape(rest, &mut out)? } else { out.push(c) }
    }
    Ok(out)
}

fn quoted(rest: &mut &str) -> Result<String> {
    let mut out = String::new();
    loop {
        let Some(c) = rest.chars().next() else { return Err(fault("unexpected end of quoted string", "")) };
        *rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Ok(out),
            '\\' => escape(rest, &mut out)?,
            c => out.push(c),
        }
    }
}

/// Reads what stands behind a backslash.
fn escape(rest: &mut &str, out: &mut String) -> Result<()> {
    let Some(c) = rest.chars().next() else { return Err(fault("unexpected end after backslash", "")) };
    *rest = &rest[c.len_utf8()..];
    match c {
        'b' => out.push('\u{8}'),
        'f' => out.push('\u{c}'),
        'n' => out.push('\n'),
        'r' => out.push('\r'),
        't' => out.push('\t'),
        'v' => out.push('\u{b}'),
        'x' => out.push(code(take_hexadecimal(rest, 2, "invalid hexadecimal character sequence")?)?),
        'u' => {
            let high = unit(rest)?;
            if (0xd800..0xdc00).contains(&high) {
                let low = match rest.strip_prefix("\\u") {
                    Some(after) => {
                        *rest = after;
                        unit(rest)?
                    }
                    None => 0,
                };
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(surrogate("Unicode low surrogate must follow a high surrogate."));
                }
                out.push(code(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?);
            } else {
                out.push(code(high)?);
            }
        }
        other => out.push(other),
    }
    Ok(())
}

fn surrogate(detail: &str) -> Box<FunctionError> {
    Box::new(FunctionError::new("22P02", "invalid input syntax for type jsonpath").detail(detail))
}

fn code(code: u32) -> Result<char> {
    match char::from_u32(code) {
        Some('\0') => Err(Box::new(
            FunctionError::new("22P05", "unsupported Unicode escape sequence")
                .detail("\\u0000 cannot be converted to text."),
        )),
        Some(c) => Ok(c),
        None => Err(surrogate("Unicode low surrogate must follow a high surrogate.")),
    }
}

/// The code unit of `\u1234` or `\u{1f600}`.
fn unit(rest: &mut &str) -> Result<u32> {
    let Some(braced) = rest.strip_prefix('{') else {
        return take_hexadecimal(rest, 4, "invalid Unicode escape sequence");
    };
    let length = braced.bytes().take_while(u8::is_ascii_hexdigit).count();
    if !(1..=6).contains(&length) || !braced[length..].starts_with('}') {
        return Err(fault("invalid Unicode escape sequence", ""));
    }
    *rest = &braced[length + 1..];
    u32::from_str_radix(&braced[..length], 16).map_err(|_| fault("invalid Unicode escape sequence", ""))
}

fn take_hexadecimal(rest: &mut &str, length: usize, what: &str) -> Result<u32> {
    let digits = rest.get(..length).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(|| fault(what, ""))?;
    *rest = &rest[length..];
    Ok(code)
}
