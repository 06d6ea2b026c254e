//! What a text file holds: how its fields stand apart, whether its first line names them, and of what types they are, all
//! found out from its beginning.
//!
//! A type is chosen only if every value looked at has it, and comes back from it as it was ([`faithful`]): `007` is text, since
//! a number would lose its zeros, and numbers are `numeric` where `double precision` would round them or lose zeros. Values
//! further down are held to the same ([`Evidence::rule`]).
//!
//! [`faithful`]: crate::codec::faithful

use std::borrow::Cow;

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::codec::Style;
use crate::codec::faithful::{Faithful, Form, Fractions, Number, Shape};
use crate::codec::input::parse_text_styled;

/// Rows that tell how fields stand apart.
const ROWS_LOOKED_AT: usize = 500;
/// Values that a preview shows of a column.
const SAMPLES: usize = 5;
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
    /// By which the type was found out, if it was.
    pub(crate) evidence: Option<Evidence>,
    /// Why its values cannot be read.
    pub(crate) refused: Option<String>,
}

impl Found {
    /// A column of a type that is said.
    pub(crate) fn told(name: &str, ty: &SqlType) -> Found {
        Found { name: name.to_string(), ty: ty.clone(), samples: Vec::new(), evidence: None, refused: None }
    }

    /// A column of the type that its values have.
    pub(crate) fn of(name: String, mut evidence: Evidence) -> Found {
        let samples = std::mem::take(&mut evidence.samples);
        Found { name, ty: evidence.ty(), samples, evidence: Some(evidence), refused: None }
    }
}

/// Finds out all of it from the beginning of a file; `whole` says that nothing follows. There are no columns in a file without
/// rows.
///
/// # Errors
/// 22021 for text that is none; 22023 for signs that stand for each other.
pub(crate) fn csv(start: &[u8], whole: bool, name: &str, told: &Told, style: &Style) -> Result<(Dialect, Vec<Found>)> {
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
    apart(&dialect)?;
    if start.iter().all(u8::is_ascii_whitespace) {
        return Ok((dialect, Vec::new()));
    }
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
    Ok((dialect, names.into_iter().zip(columns).map(|(name, evidence)| Found::of(name, evidence)).collect()))
}

/// The signs must not stand for each other.
fn apart(dialect: &Dialect) -> Result<()> {
    let has = |sign: u8| dialect.null.as_bytes().contains(&sign);
    let text = if dialect.delimiter == dialect.quote {
        "delimiter and quote must be different"
    } else if has(dialect.delimiter) {
        "the delimiter must not appear in nullstr"
    } else if has(dialect.quote) {
        "the quote must not appear in nullstr"
    } else {
        return Ok(());
    };
    Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text))
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
                } else if b == b'\r' || b == b'\n' && !only_cr {
                    at += usize::from(b == b'\r' && next == Some(b'\n') && !only_cr);
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
        // Digits without a letter are a value, though it may be text: `007`, `01/02/2024`.
        let named = cell.chars().any(char::is_alphabetic) || !cell.bytes().any(|b| b.is_ascii_digit());
        named && !cell.trim().is_empty() && alone.ty() == SqlType::Text
    };
    let texts = columns.iter().all(|c| c.ty() == SqlType::Text);
    let distinct = head.iter().enumerate().all(|(n, (cell, _))| head[..n].iter().all(|(other, _)| other != cell));
    texts && distinct && head.iter().all(plain)
}

/// What the values of a column have all been so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Evidence {
    any: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    /// A number has digits that `double precision` does not keep.
    long: bool,
    fractions: Fractions,
    date: bool,
    timestamp: bool,
    timestamptz: bool,
    time: bool,
    /// Of some dates it cannot be told which part is the month …
    open: bool,
    /// … and some others settle it.
    settled: bool,
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
            fractions: Fractions::default(),
            date: true,
            timestamp: true,
            timestamptz: true,
            time: true,
            open: false,
            settled: false,
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
        // Its reader knows no blanks.
        self.uuid = self.uuid && cell.len() == 36 && parse_text_styled(&SqlType::Uuid, cell, style).is_ok();
        let cell = cell.trim();
        self.boolean = self.boolean && (cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false"));
        if self.number {
            match Number::of(cell) {
                Some(number) => {
                    self.integer = self.integer && number.whole && cell.parse::<i64>().is_ok();
                    self.long |= !number.fits_double(cell);
                    self.fractions.add(number);
                }
                None => (self.number, self.integer) = (false, false),
            }
        }
        self.add_time(cell, style);
    }

    fn add_time(&mut self, cell: &str, style: &Style) {
        if !(self.date || self.timestamp || self.timestamptz || self.time) {
            return;
        }
        let is = |ty: &SqlType| parse_text_styled(ty, cell, style).is_ok();
        let shape = Shape::of(cell);
        let day = match shape {
            Shape::Date(_) => is(&SqlType::Date),
            Shape::Digits => self.days && is(&SqlType::Date),
            _ => false,
        };
        self.date = self.date && day;
        self.time = self.time && shape == Shape::Time && is(&SqlType::Time);
        self.timestamp = self.timestamp && (day || matches!(shape, Shape::Timestamp(_)) && is(&SqlType::Timestamp));
        self.timestamptz = self.timestamptz && matches!(shape, Shape::TimestampTz(_)) && is(&SqlType::TimestampTz);
        if let Shape::Date(form) | Shape::Timestamp(form) | Shape::TimestampTz(form) = shape {
            self.open |= form == Form::Open;
            self.settled |= form == Form::Settled;
        }
    }

    /// That of the values of both.
    pub(crate) fn with(&self, other: &Evidence) -> Evidence {
        Evidence {
            any: self.any || other.any,
            boolean: self.boolean && other.boolean,
            integer: self.integer && other.integer,
            number: self.number && other.number,
            long: self.long || other.long,
            fractions: self.fractions.with(other.fractions),
            date: self.date && other.date,
            timestamp: self.timestamp && other.timestamp,
            timestamptz: self.timestamptz && other.timestamptz,
            time: self.time && other.time,
            open: self.open || other.open,
            settled: self.settled || other.settled,
            uuid: self.uuid && other.uuid,
            days: self.days && other.days,
            samples: Vec::new(),
        }
    }

    /// The type that all values have.
    pub(crate) fn ty(&self) -> SqlType {
        let dated = self.settled || !self.open;
        let rounds = self.long || !self.fractions.are_even();
        match self {
            Evidence { any: false, .. } => SqlType::Text,
            Evidence { boolean: true, .. } => SqlType::Boolean,
            Evidence { date: true, .. } if dated => SqlType::Date,
            Evidence { integer: true, .. } => SqlType::BigInt,
            Evidence { number: true, .. } if rounds => SqlType::Numeric(None),
            Evidence { number: true, .. } => SqlType::Double,
            Evidence { timestamp: true, .. } if dated => SqlType::Timestamp,
            Evidence { timestamptz: true, .. } if dated => SqlType::TimestampTz,
            Evidence { time: true, .. } => SqlType::Time,
            Evidence { uuid: true, .. } => SqlType::Uuid,
            _ => SqlType::Text,
        }
    }

    /// What further values must be like where this type was chosen.
    pub(crate) fn rule(&self, ty: &SqlType) -> Faithful {
        Faithful { ty: ty.clone(), settled: self.settled, days: self.days }
    }
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
            ("1 -2 3", "bigint"),
            ("1 +2", "text"),
            ("+8613800138000", "text"),
            ("1 -0", "double precision"),
            ("1.10 1.20 3", "double precision"),
            ("1.0 2 0.25", "double precision"),
            ("1.10 1.9 1.20", "numeric"),
            ("0.30000000000000004 1", "double precision"),
            ("007 1", "text"),
            ("0 10", "bigint"),
            ("0.5 1", "double precision"),
            ("1e5 2", "double precision"),
            ("9223372036854775808 1", "numeric"),
            ("1234567890.12345678 1", "numeric"),
            ("true FALSE", "boolean"),
            ("2024-01-31 1/31/2024", "date"),
            ("1/2/2024 1/31/2024", "date"),
            ("1/2/2024 3/4/2024", "text"),
            ("31/1/2024 3/4/2024", "text"),
            ("2024-02-30 2024-01-01", "text"),
            ("2024-01-31T10:00:00 2024-01-31", "timestamp without time zone"),
            ("2024-01-31T10:00:00Z 2024-01-31T10:00:00+08:00", "timestamp with time zone"),
            ("2024-01-31T10:00:00.1234567", "text"),
            ("2024-01-31T10:00:00.123456000", "timestamp without time zone"),
            ("10:00 23:59:59.5", "time without time zone"),
            ("01:02:03.1234567", "text"),
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
        for (text, header) in [
            ("城市,人口\n北京,21\n", true),
            ("day,page\n01/02/2024,home\n", true),
            ("01/02/2024,home\n03/04/2024,away\n", false),
            ("+8613800138000,a\n007,b\n", false),
        ] {
            assert_eq!(found(text).0.header, header, "{text}");
        }
        let (dialect, columns) = found("a\rb\r");
        assert!(dialect.only_cr && columns.len() == 1);
        let (_, columns) = found("a,b\r\n1,2\n3,4\r5,6\r\n");
        assert_eq!(columns.iter().map(|c| c.1.as_str()).collect::<Vec<_>>(), ["bigint", "bigint"]);
    }
}
