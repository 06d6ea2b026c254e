//! Cuts a query string at its semicolons: not those in strings, quoted names, dollar quotes and comments.

use std::ops::Range;

use sightline_storage::error::{Error, Result, SqlState};

/// The byte ranges of the statements, without blanks and comments around them and without empty ones.
///
/// # Errors
/// 42601 for a string, name or comment without end.
pub(super) fn split(sql: &str) -> Result<Vec<Range<usize>>> {
    let bytes = sql.as_bytes();
    let mut pieces = Vec::new();
    // Where the statement starts and where its last token ends.
    let mut piece: Option<Range<usize>> = None;
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b';' => {
                pieces.extend(piece.take());
                at += 1;
                continue;
            }
            b if b.is_ascii_whitespace() || b == 0x0b => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = line_end(bytes, at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = comment_end(bytes, at).ok_or_else(|| unterminated(sql, start, "/* comment"))?;
                continue;
            }
            b'\'' => {
                let escapes = piece.is_some() && is_escape_string(bytes, at);
                at = quoted_end(bytes, at, escapes).ok_or_else(|| unterminated(sql, start, "quoted string"))?;
            }
            b'"' => {
                at = quoted_end(bytes, at, false).ok_or_else(|| unterminated(sql, start, "quoted identifier"))?;
            }
            b'$' if !(at > 0 && is_word(bytes[at - 1])) => match dollar_tag(bytes, at) {
                Some(tag) => {
                    let rest = at + tag;
                    let close = find(&bytes[rest..], &bytes[at..rest]);
                    at = rest + tag + close.ok_or_else(|| unterminated(sql, start, "dollar-quoted string"))?;
                }
                None => at += 1,
            },
            _ => at += 1,
        }
        piece.get_or_insert(start..at).end = at;
    }
    pieces.extend(piece);
    Ok(pieces)
}

fn unterminated(sql: &str, start: usize, what: &str) -> Error {
    let near = sql[start..].chars().take(64).collect::<String>();
    Error::new(SqlState::SYNTAX_ERROR, format!("unterminated {what} at or near \"{near}\""))
        .position(sql[..start].chars().count() + 1)
}

pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

/// True for the quote of `E'…'`.
pub(super) fn is_escape_string(bytes: &[u8], quote: usize) -> bool {
    quote > 0 && matches!(bytes[quote - 1], b'e' | b'E') && !(quote > 1 && is_word(bytes[quote - 2]))
}

pub(super) fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n' || *b == b'\r').map_or(bytes.len(), |n| at + n)
}

/// The end of a comment, which may nest.
pub(super) fn comment_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The end of what starts with the quote at `at`; a doubled quote stands for itself.
pub(super) fn quoted_end(bytes: &[u8], at: usize, escapes: bool) -> Option<usize> {
    let quote = bytes[at];
    let mut i = at + 1;
    loop {
        match *bytes.get(i)? {
            b'\\' if escapes => i += 2,
            b if b == quote && bytes.get(i + 1) == Some(&quote) => i += 2,
            b if b == quote => return Some(i + 1),
            _ => i += 1,
        }
    }
}

/// The length of a dollar quote's tag, `$$` or `$tag$`.
pub(super) fn dollar_tag(bytes: &[u8], at: usize) -> Option<usize> {
    let name = bytes[at + 1..].iter().take_while(|b| is_word(**b) && **b != b'$').count();
    let starts_with_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    (bytes.get(at + 1 + name) == Some(&b'$') && !starts_with_digit).then_some(name + 2)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
