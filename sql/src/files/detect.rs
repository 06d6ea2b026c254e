//! What a text file holds: how its fields stand apart, whether its first line names them, and of what types they are, all
//! found out from its beginning.
//!
//! A type is chosen only if every value looked at has it. What would change a value is not chosen: `007` is text, since a
//! number would lose its zeros, and a number of more than 15 digits is `numeric`, since `double precision` would round it.

use std::borrow::Cow;

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::codec::Style;
use crate::codec::input::parse_text_styled;

/// Rows that tell how fields stand apart.
const ROWS_LOOKED_AT: usize = 500;
/// Values that a preview shows of a column.
const SAMPLES: usize = 5;
/// Digits that `double precision` keeps.
const DOUBLE_DIGITS: usize = 15;
/// Bytes of a column's name, as in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;

/// How rows and fields stand apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Any number of blanks is one delimiter, which is a tab once [`super::bytes::BlankRuns`] has read them.
    pub(crate) blanks: bool,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    pub(crate) null: String,
    pub(crate) header: bool,
    /// Lines end by a carriage return alone.
    pub(crate) only_cr: bool,
}

/// What a user says of a file, as far as they do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) delimiter: Option<u8>,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) null: Option<String>,
    pub(crate) header: Option<bool>,
}

/// A column that was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) samples: Vec<String>,
}

/// Finds out all of it from the beginning of a file; `whole` says that nothing follows.
///
/// # Errors
/// 22P04 for a file without rows; 22021 for text that is none.
pub(crate) fn csv(start: &[u8], whole: bool, name: &str, told: &Told, style: &Style) -> Result<(Dialect, Vec<Found>)> {
    if start.iter().all(u8::is_ascii_whitespace) {
        let text = format!("file \"{name}\" is empty: its columns cannot be told");
        return Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text));
    }
    let dialect = Dialect {
        delimiter: b',',
        blanks: false,
        quote: told.quote.unwrap_or(b'"'),
        escape: told.escape.or(told.quote).unwrap_or(b'"'),
        null: told.null.clone().unwrap_or_default(),
        header: false,
        only_cr: !start.contains(&b'\n') && start.contains(&b'\r'),
    };
    let mut dialect = match told.delimiter {
        Some(delimiter) => Dialect { delimiter, ..dialect },
        None => delimited(start, whole, dialect),
    };
    let mut head: Vec<(String, bool)> = Vec::new();
    let mut columns: Vec<Evidence> = Vec::new();
    let mut rows = Rows::new(start, whole, &dialect);
    while let Some(row) = rows.next() {
        let texts = row.iter().map(|(cell, quoted)| utf8(cell, name).map(|cell| (cell, *quoted)));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        if head.is_empty() {
            head = texts.into_iter().map(|(cell, quoted)| (cell.into_owned(), quoted)).collect();
            columns = head.iter().map(|(name, _)| Evidence::of_column(name)).collect();
            continue;
        }
        for (column, (cell, quoted)) in columns.iter_mut().zip(texts) {
            if quoted || cell != dialect.null {
                column.add(&cell, style);
            }
        }
    }
    dialect.header = told.header.unwrap_or_else(|| names_columns(&head, &columns, style));
    if !dialect.header {
        for (column, (cell, quoted)) in columns.iter_mut().zip(&head) {
            if *quoted || *cell != dialect.null {
                column.first(cell, style);
            }
        }
        head.iter_mut().for_each(|(name, _)| name.clear());
    }
    let names = unique(head.into_iter().map(|(name, _)| name));
    let found = names.into_iter().zip(columns).map(|(name, c)| Found { name, ty: c.ty(), samples: c.samples });
    Ok((dialect, found.collect()))
}

fn utf8<'a>(cell: &'a Cow<'a, [u8]>, name: &str) -> Result<Cow<'a, str>> {
    std::str::from_utf8(cell).map(Cow::Borrowed).map_err(|_| {
        Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, format!("file \"{name}\" is not valid UTF-8"))
            .hint("Name its encoding, as in encoding => 'gb18030'.")
    })
}

/// Names for columns: what is missing is numbered, what is there twice gets a number too.
pub(crate) fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (n, name) in names.enumerate() {
        let name = name.trim();
        let end = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|n| name.is_char_boundary(*n)).unwrap_or(0);
        let plain = if name.is_empty() { format!("column{}", n + 1) } else { name[..end].to_string() };
        let mut unique = plain.clone();
        let mut again = 1;
        while all.contains(&unique) {
            again += 1;
            unique = format!("{plain}_{again}");
        }
        all.push(unique);
    }
    all
}

/// The delimiter that cuts most lines into the same number of fields.
fn delimited(start: &[u8], whole: bool, dialect: Dialect) -> Dialect {
    let mut best = (0.0, dialect.clone());
    for delimiter in [b',', b'\t', b';', b'|'] {
        let tried = Dialect { delimiter, ..dialect.clone() };
        let score = evenness(start, whole, &tried);
        if score > best.0 {
            best = (score, tried);
        }
    }
    if best.0 == 0.0 {
        let tried = Dialect { delimiter: b'\t', blanks: true, ..dialect };
        // Words of prose stand apart by blanks too: every line must have as many.
        if evenness(start, whole, &tried) >= 2.0 {
            return tried;
        }
    }
    best.1
}

/// How well a delimiter fits: the share of rows that have as many fields as most have, and a little for more fields; none
/// where they have one.
fn evenness(start: &[u8], whole: bool, dialect: &Dialect) -> f64 {
    let mut rows = Rows::new(start, whole, dialect);
    let mut counts: Vec<(usize, usize)> = Vec::new();
    let mut total = 0;
    while let Some(row) = rows.next().filter(|_| total < ROWS_LOOKED_AT) {
        total += 1;
        match counts.iter_mut().find(|(fields, _)| *fields == row.len()) {
            Some((_, times)) => *times += 1,
            None => counts.push((row.len(), 1)),
        }
    }
    let Some((fields, times)) = counts.into_iter().max_by_key(|(_, times)| *times) else { return 0.0 };
    let share = times as f64 / total as f64;
    if fields < 2 || share < 0.5 { 0.0 } else { share * 2.0 + fields.min(100) as f64 / 1000.0 }
}

/// The rows of the beginning of a file, without the last one if it may be cut.
struct Rows<'a> {
    data: Cow<'a, [u8]>,
    at: usize,
    whole: bool,
    dialect: &'a Dialect,
}

type Cells = Vec<(Cow<'static, [u8]>, bool)>;

impl<'a> Rows<'a> {
    fn new(start: &'a [u8], whole: bool, dialect: &'a Dialect) -> Rows<'a> {
        let data = if dialect.blanks {
            let mut plain = Vec::new();
            let read = std::io::Read::read_to_end(&mut super::bytes::BlankRuns::new(start), &mut plain);
            // Bytes in memory are read without fault.
            read.map_or(Cow::Borrowed(start), |_| Cow::Owned(plain))
        } else {
            Cow::Borrowed(start)
        };
        Rows { data, at: 0, whole, dialect }
    }

    /// The next row: its cells, and which have quotes.
    fn next(&mut self) -> Option<Cells> {
        let Dialect { delimiter, quote, escape, only_cr, .. } = *self.dialect;
        loop {
            let mut cells: Cells = Vec::new();
            let (mut cell, mut quoted, mut inside) = (Vec::new(), false, false);
            let mut at = self.at;
            if at >= self.data.len() {
                return None;
            }
            let mut ended = false;
            while let Some(b) = self.data.get(at).copied() {
                at += 1;
                let next = self.data.get(at).copied();
                if inside
                    && b == escape
                    && next.is_some_and(|n| n == quote || n == escape)
                    && (escape != quote || next == Some(quote))
                {
                    cell.extend(next);
                    at += 1;
                } else if b == quote {
                    (inside, quoted) = (!inside, true);
                } else if inside {
                    cell.push(b);
                } else if b == delimiter {
                    cells.push((Cow::Owned(std::mem::take(&mut cell)), std::mem::take(&mut quoted)));
                } else if b == if only_cr { b'\r' } else { b'\n' } {
                    if !only_cr && cell.last() == Some(&b'\r') {
                        cell.pop();
                    }
                    ended = true;
                    break;
                } else {
                    cell.push(b);
                }
            }
            let first = self.at == 0;
            self.at = at;
            if !ended && !self.whole && !first {
                return None;
            }
            if !ended && cell.last() == Some(&b'\r') && !inside {
                cell.pop();
            }
            if cells.is_empty() && cell.is_empty() && !quoted {
                continue;
            }
            cells.push((Cow::Owned(cell), quoted));
            return Some(cells);
        }
    }
}

/// Whether the first row names the columns: it differs in kind from what follows, or nothing speaks against it.
fn names_columns(head: &[(String, bool)], columns: &[Evidence], style: &Style) -> bool {
    let differs = head.iter().zip(columns).any(|((cell, _), column)| {
        let ty = column.ty();
        ty != SqlType::Text && !cell.trim().is_empty() && {
            let mut with = column.clone();
            with.add(cell, style);
            with.ty() == SqlType::Text
        }
    });
    if differs {
        return true;
    }
    let plain = |(cell, _): &(String, bool)| {
        let mut alone = Evidence::of_column("");
        alone.add(cell, style);
        !cell.trim().is_empty() && alone.ty() == SqlType::Text
    };
    let texts = columns.iter().all(|c| c.ty() == SqlType::Text);
    let distinct = head.iter().enumerate().all(|(n, (cell, _))| head[..n].iter().all(|(other, _)| other != cell));
    texts && distinct && head.iter().all(plain)
}

/// What the values of a column have all been so far.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    any: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    /// A number has more digits than `double precision` keeps.
    long: bool,
    date: bool,
    timestamp: bool,
    timestamptz: bool,
    time: bool,
    uuid: bool,
    /// Eight digits may be a day: the column's name says so.
    days: bool,
    samples: Vec<String>,
}

impl Evidence {
    /// Of a column of this name, before any value.
    pub(crate) fn of_column(name: &str) -> Evidence {
        let name = name.to_lowercase();
        let days = ["date", "day", "日期"].iter().any(|word| name.contains(word));
        Evidence {
            any: false,
            boolean: true,
            integer: true,
            number: true,
            long: false,
            date: true,
            timestamp: true,
            timestamptz: true,
            time: true,
            uuid: true,
            days,
            samples: Vec::new(),
        }
    }

    /// Strings only: what looks like a number is none.
    pub(crate) fn of_strings() -> Evidence {
        Evidence { boolean: false, integer: false, number: false, ..Evidence::of_column("") }
    }

    /// The value of a row in front of those seen before.
    fn first(&mut self, cell: &str, style: &Style) {
        self.add(cell, style);
        if self.samples.len() > 1
            && let Some(last) = self.samples.pop()
        {
            self.samples.insert(0, last);
        } else if !self.samples.iter().any(|s| s == cell) {
            self.samples.insert(0, cell.to_string());
        }
    }

    /// Takes a value into account.
    pub(crate) fn add(&mut self, cell: &str, style: &Style) {
        if self.samples.len() < SAMPLES && !self.samples.iter().any(|s| s == cell) {
            self.samples.push(cell.chars().take(100).collect());
        }
        self.any = true;
        let cell = cell.trim();
        self.boolean = self.boolean && (cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false"));
        if self.number {
            match digits(cell) {
                Some((whole, digits)) => {
                    self.integer = self.integer && whole && cell.parse::<i64>().is_ok();
                    self.long |= digits > DOUBLE_DIGITS;
                }
                None => (self.number, self.integer) = (false, false),
            }
        }
        let shape =
            if self.date || self.timestamp || self.timestamptz || self.time { shape(cell) } else { Shape::Other };
        let is = |ty: &SqlType| parse_text_styled(ty, cell, style).is_ok();
        let day = match shape {
            Shape::Date => is(&SqlType::Date),
            Shape::Digits => self.days && is(&SqlType::Date),
            _ => false,
        };
        self.date = self.date && day;
        self.time = self.time && shape == Shape::Time && is(&SqlType::Time);
        self.timestamp = self.timestamp && (day || shape == Shape::Timestamp && is(&SqlType::Timestamp));
        self.timestamptz = self.timestamptz && shape == Shape::TimestampTz && is(&SqlType::TimestampTz);
        self.uuid = self.uuid && cell.len() == 36 && is(&SqlType::Uuid);
    }

    /// The type that all values have.
    pub(crate) fn ty(&self) -> SqlType {
        match self {
            Evidence { any: false, .. } => SqlType::Text,
            Evidence { boolean: true, .. } => SqlType::Boolean,
            Evidence { date: true, .. } => SqlType::Date,
            Evidence { integer: true, .. } => SqlType::BigInt,
            Evidence { number: true, long: true, .. } => SqlType::Numeric(None),
            Evidence { number: true, .. } => SqlType::Double,
            Evidence { timestamp: true, .. } => SqlType::Timestamp,
            Evidence { timestamptz: true, .. } => SqlType::TimestampTz,
            Evidence { time: true, .. } => SqlType::Time,
            Evidence { uuid: true, .. } => SqlType::Uuid,
            _ => SqlType::Text,
        }
    }

    /// Values to show.
    pub(crate) fn samples(self) -> Vec<String> {
        self.samples
    }
}

/// Whether a number is whole, and how many digits it has; none for what is no plain number, or would lose zeros.
fn digits(cell: &str) -> Option<(bool, usize)> {
    let unsigned = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && plain(digits) && e.parse::<i32>().is_ok_and(|e| e.abs() <= 300)
    });
    let fraction_digits = fraction.unwrap_or_default();
    let some = whole.len() + fraction_digits.len() > 0;
    let loses = whole.len() > 1 && whole.starts_with('0');
    let fits = some && plain(whole) && plain(fraction_digits) && exponent_fits && !loses;
    let significant = format!("{whole}{fraction_digits}").trim_start_matches('0').len();
    fits.then_some((fraction.is_none() && exponent.is_none(), significant))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Date,
    /// Eight digits.
    Digits,
    Time,
    Timestamp,
    TimestampTz,
    Other,
}

/// What a value looks like; PostgreSQL's readers of dates take much that no file means as a date.
fn shape(cell: &str) -> Shape {
    if cell.len() == 8 && cell.bytes().all(|b| b.is_ascii_digit()) {
        return if (b"19"..=b"20").contains(&&[cell.as_bytes()[0], cell.as_bytes()[1]]) {
            Shape::Digits
        } else {
            Shape::Other
        };
    }
    if is_date(cell) {
        return Shape::Date;
    }
    if is_time(cell) {
        return Shape::Time;
    }
    let Some((date, time)) = cell.split_once([' ', 'T']) else { return Shape::Other };
    if !is_date(date) {
        return Shape::Other;
    }
    if is_time(time) {
        return Shape::Timestamp;
    }
    let zone = time.strip_suffix('Z').or_else(|| {
        let at = time.rfind(['+', '-'])?;
        let zone = &time[at + 1..];
        (!zone.is_empty() && zone.len() <= 5 && zone.bytes().all(|b| b.is_ascii_digit() || b == b':'))
            .then(|| &time[..at])
    });
    if zone.is_some_and(|time| is_time(time.trim_end())) { Shape::TimestampTz } else { Shape::Other }
}

fn is_date(text: &str) -> bool {
    let Some(separator) = text.bytes().find(|b| !b.is_ascii_digit()).filter(|b| matches!(b, b'-' | b'/' | b'.')) else {
        return false;
    };
    let parts = text.split(char::from(separator)).collect::<Vec<_>>();
    let number = |part: &&str, least: usize, most: usize| {
        (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    match parts.as_slice() {
        [a, b, c] => number(b, 1, 2) && (number(a, 4, 4) && number(c, 1, 2) || number(a, 1, 2) && number(c, 4, 4)),
        _ => false,
    }
}

fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts = clock.split(':').collect::<Vec<_>>();
    let number = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let whole = fraction.is_none_or(|f| parts.len() == 3 && !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()));
    (2..=3).contains(&parts.len()) && parts.iter().all(number) && whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Dialect, Vec<(String, String)>) {
        let (dialect, columns) = csv(text.as_bytes(), true, "f", &Told::default(), &Style::default()).unwrap();
        (dialect, columns.into_iter().map(|c| (c.name, c.ty.to_string())).collect())
    }

    fn types(values: &str) -> String {
        let (_, columns) = found(&format!("x;\n{}", values.replace(' ', ";\n") + ";\n"));
        columns[0].1.clone()
    }

    #[test]
    fn types_that_change_no_value() {
        for (values, ty) in [
            ("1 -2 +3", "bigint"),
            ("007 1", "text"),
            ("0 10", "bigint"),
            ("0.5 1", "double precision"),
            ("1e5 2", "double precision"),
            ("9223372036854775808 1", "numeric"),
            ("1234567890.1234567 1", "numeric"),
            ("true FALSE", "boolean"),
            ("2024-01-31 1/2/2024", "date"),
            ("2024-02-30 2024-01-01", "text"),
            ("2024-01-31T10:00:00 2024-01-31", "timestamp without time zone"),
            ("2024-01-31T10:00:00Z 2024-01-31T10:00:00+08:00", "timestamp with time zone"),
            ("10:00 23:59:59.5", "time without time zone"),
            ("20240131 20240201", "bigint"),
            ("now today", "text"),
            ("- 1", "text"),
        ] {
            assert_eq!(types(values), ty, "{values}");
        }
        assert_eq!(found("a,flight date\n1,20240131\n").1[1].1, "date");
    }

    #[test]
    fn delimiters_and_headers() {
        let (dialect, columns) = found("a;b\n1;x,y\n2;\"z\nw\"\n");
        assert!(dialect.header && dialect.delimiter == b';' && columns.len() == 2, "{dialect:?} {columns:?}");
        let (dialect, columns) = found("1,2\n3,4\n");
        assert!(!dialect.header && columns[0].0 == "column1" && columns[0].1 == "bigint", "{dialect:?} {columns:?}");
        let (dialect, columns) = found(" id  day   n\r\n 00001 19970101  1\r\n 00002 19970112  1\r\n");
        assert!(dialect.blanks && dialect.header && columns.len() == 3, "{dialect:?} {columns:?}");
        assert_eq!(columns[1].1, "date");
        let (_, columns) = found("a,a,,b\n1,2,3,4\n");
        assert_eq!(columns.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(), ["a", "a_2", "column3", "b"]);
        let (dialect, _) = found("城市,人口\n北京,21\n");
        assert!(dialect.header);
        let (dialect, columns) = found("a\rb\r");
        assert!(dialect.only_cr && columns.len() == 1);
    }
}
