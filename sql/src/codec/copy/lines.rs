//! The ends of lines in COPY's text and csv, in data cut anywhere.
//!
//! The first line's end decides how all lines end: by newline, carriage return, or both, as in PostgreSQL. What is kept
//! between two pushes is how far the unfinished line was looked at, so a byte is scanned once however the data is cut.

use memchr::{memchr, memchr2, memchr3};
use sightline_storage::error::{Error, Result, SqlState};

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Lf,
    CrLf,
    Cr,
    /// By newline, carriage return, or both, each line as it likes.
    Loose,
}

/// Finds the ends of lines.
pub(super) struct Lines {
    csv: bool,
    quote: u8,
    escape: u8,
    line_end: LineEnd,
    /// Bytes of the pending line already looked at.
    scanned: usize,
    pub(super) in_quotes: bool,
    /// Newlines within quotes of this line. As in PostgreSQL those of the first line do not count.
    pub(super) embedded: u64,
    first: bool,
}

/// What stands where the scan stopped.
enum Found {
    /// The line ends there; the next one starts there.
    Line(usize, usize),
    More,
}

impl Lines {
    pub(super) fn new(csv: bool, quote: u8, escape: u8) -> Lines {
        Lines { csv, quote, escape, line_end: LineEnd::Unknown, scanned: 0, in_quotes: false, embedded: 0, first: true }
    }

    /// Lets each line end as it likes, or with `only_cr` all by a carriage return.
    pub(super) fn loose(self, only_cr: bool) -> Lines {
        Lines { line_end: if only_cr { LineEnd::Cr } else { LineEnd::Loose }, ..self }
    }

    /// Where the line that starts at `start` ends, and where the next one starts; none if it is not complete. With `last`
    /// no more bytes will come.
    ///
    /// # Errors
    /// 22P04 for another line end than the first line had.
    pub(super) fn end(&mut self, buffer: &[u8], start: usize, last: bool) -> Result<Option<(usize, usize)>> {
        let mut at = start + self.scanned;
        let found = loop {
            let Some(i) = buffer.get(at..).and_then(|rest| self.special(rest)) else {
                self.scanned = buffer.len() - start;
                break Found::More;
            };
            at += i;
            let byte = buffer[at];
            if !self.csv && byte == b'\\' {
                // A backslash takes the special meaning from what follows, also from a newline.
                if at + 1 >= buffer.len() {
                    self.scanned = at - start;
                    break Found::More;
                }
                at += 2;
                continue;
            }
            if !matches!(byte, b'\n' | b'\r') {
                if byte == self.escape && self.escape != self.quote {
                    if self.in_quotes && at + 1 >= buffer.len() && !last {
                        self.scanned = at - start;
                        break Found::More;
                    }
                    let next = buffer.get(at + 1);
                    let escapes = self.in_quotes && next.is_some_and(|n| *n == self.quote || *n == self.escape);
                    at += usize::from(escapes);
                } else {
                    self.in_quotes = !self.in_quotes;
                }
                at += 1;
                continue;
            }
            if self.in_quotes {
                let counts = byte == if self.line_end == LineEnd::Cr { b'\r' } else { b'\n' };
                self.embedded += u64::from(counts && !self.first);
                at += 1;
                continue;
            }
            if byte == b'\r'
                && matches!(self.line_end, LineEnd::Unknown | LineEnd::Loose)
                && at + 1 >= buffer.len()
                && !last
            {
                self.scanned = at - start;
                break Found::More;
            }
            break self.line(buffer, start, at)?;
        };
        match found {
            Found::More => Ok(None),
            Found::Line(end, next) => {
                self.check(&buffer[start..end])?;
                self.scanned = 0;
                self.first = false;
                Ok(Some((end, next)))
            }
        }
    }

    /// The next byte that means something here.
    fn special(&self, rest: &[u8]) -> Option<usize> {
        let (quote, escape) = (self.quote, self.escape);
        match (self.line_end, self.csv) {
            (LineEnd::Unknown, false) => memchr3(b'\n', b'\r', b'\\', rest),
            (LineEnd::Cr, false) => memchr2(b'\r', b'\\', rest),
            (_, false) => memchr2(b'\n', b'\\', rest),
            (LineEnd::Loose, true) if quote == escape => memchr3(b'\n', b'\r', quote, rest),
            (LineEnd::Unknown | LineEnd::Loose, true) => {
                rest.iter().position(|b| matches!(*b, b'\n' | b'\r') || *b == quote || *b == escape)
            }
            (LineEnd::Cr, true) => memchr3(b'\r', quote, escape, rest),
            (_, true) => memchr3(b'\n', quote, escape, rest),
        }
    }

    /// The line whose end was found at `at`.
    fn line(&mut self, buffer: &[u8], start: usize, at: usize) -> Result<Found> {
        if self.line_end == LineEnd::Unknown {
            self.line_end = match (buffer[at], buffer.get(at + 1)) {
                (b'\n', _) => LineEnd::Lf,
                (_, Some(b'\n')) => LineEnd::CrLf,
                _ => LineEnd::Cr,
            };
            let wide = self.line_end == LineEnd::CrLf;
            return Ok(Found::Line(at, at + 1 + usize::from(wide)));
        }
        if self.line_end == LineEnd::Loose {
            let wide = buffer[at] == b'\r' && buffer.get(at + 1) == Some(&b'\n');
            return Ok(Found::Line(at, at + 1 + usize::from(wide)));
        }
        if self.line_end != LineEnd::CrLf {
            return Ok(Found::Line(at, at + 1));
        }
        match at.checked_sub(1).filter(|before| *before >= start && buffer[*before] == b'\r') {
            Some(before) => Ok(Found::Line(before, at + 1)),
            None => Err(self.stray(b'\n')),
        }
    }

    /// Refuses the other kind of line end within a line.
    pub(super) fn check(&self, line: &[u8]) -> Result<()> {
        let other = match self.line_end {
            LineEnd::Unknown | LineEnd::Loose => return Ok(()),
            LineEnd::Lf | LineEnd::CrLf => b'\r',
            LineEnd::Cr => b'\n',
        };
        if memchr(other, line).is_none() || !self.has_bare(line, other) {
            return Ok(());
        }
        Err(self.stray(other))
    }

    /// Whether the byte stands there without quotes or backslash.
    fn has_bare(&self, line: &[u8], wanted: u8) -> bool {
        let (mut at, mut in_quotes) = (0, false);
        while at < line.len() {
            let b = line[at];
            if !self.csv && b == b'\\' {
                at += 1;
            } else if self.csv && in_quotes && b == self.escape && self.escape != self.quote {
                at += usize::from(line.get(at + 1).is_some_and(|n| *n == self.quote || *n == self.escape));
            } else if self.csv && b == self.quote {
                in_quotes = !in_quotes;
            } else if b == wanted && !in_quotes {
                return true;
            }
            at += 1;
        }
        false
    }

    fn stray(&self, byte: u8) -> Error {
        let (name, sign) = if byte == b'\n' { ("newline", "\\n") } else { ("carriage return", "\\r") };
        let (how, hint) = if self.csv {
            ("unquoted", format!("Use quoted CSV field to represent {name}."))
        } else {
            ("literal", format!("Use \"{sign}\" to represent {name}."))
        };
        Error::new(SqlState::BAD_COPY_FILE_FORMAT, format!("{how} {name} found in data")).hint(hint)
    }
}
