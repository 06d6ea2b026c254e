//! Evaluates `PARTITION BY`: which part a row belongs to, as a printed value like `month=2001-01/origin=SEA`.
//!
//! The value names a directory of the object store, so it holds only letters, digits, `-`, `_`, `.`, `=`, `/` and `%XX`
//! escapes of UTF-8 bytes; NULL is `__null__`. Times are cut in UTC. `hash=` is [`hash_bytes`] of the value's canonical
//! bytes modulo the number of buckets: it is on disk, so neither may ever change.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sightline_numeric::bytes;

use crate::catalog::{PartitionExpr, TableDef};
use crate::error::{Error, Result, SqlState};
use crate::ids::ColumnId;
use crate::types::SqlType;

/// How many partitions the rows of one statement may fall into: each is a file of its own.
pub const PARTITIONS_MAX: usize = 1000;

const NULL: &str = "__null__";
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// Tells the partition of rows, and numbers the partitions met so far from 0.
#[derive(Debug)]
pub struct Partitioner {
    table: String,
    exprs: Vec<Expr>,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    partitions_max: usize,
}

/// The partitions of a batch's rows.
#[derive(Debug, PartialEq)]
pub enum Codes {
    /// All rows are in this one.
    Same(u32),
    /// One for each row.
    Each(Vec<u32>),
}

#[derive(Debug)]
struct Expr {
    /// The column's stored name.
    column: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Printed as `name=value`.
    Value(String, SqlType),
    Time(Unit),
    Hash(u32),
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Hour,
    Day,
    Month,
    Year,
}

impl Partitioner {
    /// For rows of `def` under stored names, from one statement.
    ///
    /// # Errors
    /// XX000 if `partition_by` names a column that is gone or a time unit of what is no time.
    pub fn new(def: &TableDef) -> Result<Partitioner> {
        let exprs = def.partition_by.iter().map(|e| Expr::new(def, e)).collect::<Result<Vec<_>>>()?;
        let partitions_max = PARTITIONS_MAX;
        Ok(Partitioner { table: def.name.clone(), exprs, names: Vec::new(), numbers: HashMap::new(), partitions_max })
    }

    /// For rows of many statements, which were accepted already: a flush may not fail for their number.
    ///
    /// # Errors
    /// As for [`new`](Partitioner::new).
    pub fn unlimited(def: &TableDef) -> Result<Partitioner> {
        Ok(Partitioner { partitions_max: usize::MAX, ..Partitioner::new(def)? })
    }

    /// The printed value of a partition met so far; empty for a table without partitions.
    pub fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// How many partitions were met so far.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The partition of each row.
    ///
    /// # Errors
    /// 54000 if the rows so far fall into more than [`PARTITIONS_MAX`] partitions.
    pub fn assign(&mut self, rows: &RecordBatch) -> Result<Codes> {
        let mut tuples = Labels { codes: Codes::Same(0), labels: vec![String::new()] };
        for (position, expr) in self.exprs.iter().enumerate() {
            let Some(column) = rows.column_by_name(&expr.column) else {
                return Err(Error::internal(format!("column \"{}\" is missing in rows to partition", expr.column)));
            };
            let labels = expr.labels(column)?;
            tuples = if position == 0 { labels } else { tuples.and(&labels) };
        }
        let numbers = tuples.labels.iter().map(|l| self.number(l)).collect::<Result<Vec<_>>>()?;
        Ok(match tuples.codes {
            Codes::Same(code) => Codes::Same(numbers[code as usize]),
            Codes::Each(mut codes) => {
                codes.iter_mut().for_each(|c| *c = numbers[*c as usize]);
                Codes::Each(codes)
            }
        })
    }

    fn number(&mut self, name: &str) -> Result<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        if self.names.len() >= self.partitions_max {
            return Err(self.too_many());
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_string());
        self.numbers.insert(name.to_string(), number);
        Ok(number)
    }

    fn too_many(&self) -> Error {
        let message = format!("a write to table \"{}\" may touch at most {PARTITIONS_MAX} partitions", self.table);
        Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Choose a coarser partition_by, or write the rows in several statements of fewer partitions each.")
    }
}

/// A dictionary encoding of printed values.
struct Labels {
    codes: Codes,
    labels: Vec<String>,
}

impl Labels {
    /// Pairs of values that occur together, joined by `/`.
    fn and(&self, other: &Labels) -> Labels {
        let pair = |a: u32, b: u32| (u64::from(a) << 32) | u64::from(b);
        let print = |p: u64| format!("{}/{}", self.labels[(p >> 32) as usize], other.labels[(p as u32) as usize]);
        let mut distinct = Distinct::default();
        let codes = match (&self.codes, &other.codes) {
            (Codes::Same(a), Codes::Same(b)) => Codes::Same(distinct.code(pair(*a, *b))),
            (Codes::Each(a), Codes::Same(b)) => distinct.codes(a.iter().map(|a| pair(*a, *b))),
            (Codes::Same(a), Codes::Each(b)) => distinct.codes(b.iter().map(|b| pair(*a, *b))),
            (Codes::Each(a), Codes::Each(b)) => distinct.codes(a.iter().zip(b).map(|(a, b)| pair(*a, *b))),
        };
        Labels { codes, labels: distinct.keys.into_iter().map(print).collect() }
    }
}

/// Numbers keys in order of first sight.
struct Distinct<K> {
    numbers: HashMap<K, u32>,
    keys: Vec<K>,
    last: Option<(K, u32)>,
}

impl<K> Default for Distinct<K> {
    fn default() -> Distinct<K> {
        Distinct { numbers: HashMap::new(), keys: Vec::new(), last: None }
    }
}

impl<K: Copy + Eq + std::hash::Hash> Distinct<K> {
    fn code(&mut self, key: K) -> u32 {
        if let Some((last, code)) = self.last
            && last == key
        {
            return code;
        }
        let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let code = *self.numbers.entry(key).or_insert(next);
        if code == next {
            self.keys.push(key);
        }
        self.last = Some((key, code));
        code
    }

    fn codes(&mut self, keys: impl Iterator<Item = K>) -> Codes {
        let codes = keys.map(|k| self.code(k)).collect::<Vec<_>>();
        if self.keys.len() == 1 { Codes::Same(0) } else { Codes::Each(codes) }
    }
}

impl Expr {
    fn new(def: &TableDef, expr: &PartitionExpr) -> Result<Expr> {
        let (id, unit) = match expr {
            PartitionExpr::Value(id) | PartitionExpr::Hash(id, _) => (*id, None),
            PartitionExpr::Hour(id) => (*id, Some(Unit::Hour)),
            PartitionExpr::Day(id) => (*id, Some(Unit::Day)),
            PartitionExpr::Month(id) => (*id, Some(Unit::Month)),
            PartitionExpr::Year(id) => (*id, Some(Unit::Year)),
        };
        let gone = |id: ColumnId| Error::internal(format!("partition_by names column {id}, which does not exist"));
        let column = def.column_by_id(id).ok_or_else(|| gone(id))?;
        let kind = match (expr, unit) {
            (_, Some(unit))
                if matches!(column.ty.plain(), SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz) =>
            {
                Kind::Time(unit)
            }
            (_, Some(_)) => return Err(Error::internal(format!("cannot cut type {} into partitions", column.ty))),
            (PartitionExpr::Hash(_, buckets), None) => Kind::Hash((*buckets).max(1)),
            (_, None) => Kind::Value(escaped(&column.stored_name), column.ty.clone()),
        };
        Ok(Expr { column: column.stored_name.clone(), kind })
    }

    fn labels(&self, column: &ArrayRef) -> Result<Labels> {
        match &self.kind {
            Kind::Time(unit) => {
                let buckets = times(column)?.into_iter().map(|t| t.map(|t| unit.bucket(t)));
                Ok(integer_labels(buckets, |bucket| unit.print(bucket)))
            }
            Kind::Hash(buckets) => {
                let bucket = |row: usize| -> Result<Option<i64>> {
                    let hash = canonical_bytes(column, row)?.map(|b| hash_bytes(&b));
                    Ok(hash.map(|h| (h % u64::from(*buckets)) as i64))
                };
                let keys = (0..column.len()).map(bucket).collect::<Result<Vec<_>>>()?;
                let print = |b: Option<i64>| format!("hash={}", b.map_or(NULL.to_string(), |b| b.to_string()));
                Ok(integer_labels(keys.into_iter(), print))
            }
            Kind::Value(name, ty) => value_labels(column, name, ty),
        }
    }
}

fn integer_labels(keys: impl Iterator<Item = Option<i64>>, print: impl Fn(Option<i64>) -> String) -> Labels {
    let mut distinct = Distinct::default();
    let codes = distinct.codes(keys);
    Labels { codes, labels: distinct.keys.into_iter().map(print).collect() }
}

fn value_labels(column: &ArrayRef, name: &str, ty: &SqlType) -> Result<Labels> {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(column))?;
    let mut distinct = Distinct::default();
    let codes = distinct.codes(rows.iter().map(|r| r.data()));
    let count = distinct.keys.len();
    let mut first = vec![None; count];
    match &codes {
        Codes::Same(_) => first.fill(Some(0)),
        Codes::Each(codes) => {
            for (row, code) in codes.iter().enumerate() {
                first[*code as usize].get_or_insert(row);
            }
        }
    }
    let rows = first.into_iter().flatten();
    let labels = rows.map(|row| Ok(format!("{name}={}", printed(column, row, ty)?))).collect::<Result<Vec<_>>>()?;
    Ok(Labels { codes, labels })
}

/// One value as it stands in a partition's name.
fn printed(column: &ArrayRef, row: usize, ty: &SqlType) -> Result<String> {
    if column.is_null(row) {
        return Ok(NULL.to_string());
    }
    let text = match (ty, column.data_type()) {
        (SqlType::Uuid, DataType::FixedSizeBinary(16)) => {
            uuid::Uuid::from_slice(column.as_fixed_size_binary().value(row)).unwrap_or_default().to_string()
        }
        (_, DataType::LargeBinary) => bytes::decode(column.as_binary::<i64>().value(row)).trim_scale().to_string(),
        _ => ArrayFormatter::try_new(column, &FormatOptions::new())?.value(row).to_string(),
    };
    let text = escaped(&text);
    // A string that spells our NULL is told apart by its first letter.
    Ok(if text == NULL { format!("%5F{}", &text[1..]) } else { text })
}

/// Percent-encodes everything but letters, digits, `-`, `_` and `.`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Dates and timestamps as microseconds since 1970.
fn times(column: &ArrayRef) -> Result<Vec<Option<i64>>> {
    Ok(match column.data_type() {
        DataType::Date32 => {
            column.as_primitive::<Date32Type>().iter().map(|d| d.map(|d| i64::from(d).saturating_mul(DAY_US))).collect()
        }
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().iter().collect()
        }
        other => return Err(Error::internal(format!("cannot cut Arrow type {other} into partitions"))),
    })
}

impl Unit {
    /// The number of the unit since 1970.
    fn bucket(self, us: i64) -> i64 {
        match self {
            Unit::Hour => us.div_euclid(HOUR_US),
            Unit::Day => us.div_euclid(DAY_US),
            Unit::Month => {
                let (year, month, _) = civil(us.div_euclid(DAY_US));
                (year - 1970) * 12 + month - 1
            }
            Unit::Year => civil(us.div_euclid(DAY_US)).0 - 1970,
        }
    }

    fn print(self, bucket: Option<i64>) -> String {
        let name = match self {
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Month => "month",
            Unit::Year => "year",
        };
        let Some(bucket) = bucket else { return format!("{name}={NULL}") };
        match self {
            Unit::Hour => {
                let (y, m, d) = civil(bucket.div_euclid(24));
                format!("{name}={y:04}-{m:02}-{d:02}T{:02}", bucket.rem_euclid(24))
            }
            Unit::Day => {
                let (y, m, d) = civil(bucket);
                format!("{name}={y:04}-{m:02}-{d:02}")
            }
            Unit::Month => format!("{name}={:04}-{:02}", bucket.div_euclid(12) + 1970, bucket.rem_euclid(12) + 1),
            Unit::Year => format!("{name}={:04}", bucket + 1970),
        }
    }
}

/// Year, month and day of a day number since 1970, in the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The hash of `PARTITION BY hash(…)`: FNV-1a of 64 bits, then MurmurHash3's final mix, as the low bits of FNV alone are
/// too regular for a modulo.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// What is hashed of a value, so that equal values of related types fall together: integers, dates and times as 8 bytes
/// little endian; floats as a double, with one zero and one NaN; numeric as 32 bytes little endian without trailing
/// zeros, then the scale; intervals as 16 bytes of nanoseconds, a month of 30 days; strings, bytea and uuid as they are.
/// None for NULL.
fn canonical_bytes(column: &ArrayRef, row: usize) -> Result<Option<Vec<u8>>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let integer = |v: i64| v.to_le_bytes().to_vec();
    Ok(Some(match column.data_type() {
        DataType::Boolean => vec![u8::from(column.as_boolean().value(row))],
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
            let one = cast(&column.slice(row, 1), &DataType::Int64)?;
            integer(one.as_primitive::<Int64Type>().value(0))
        }
        DataType::Float32 | DataType::Float64 => {
            let one = cast(&column.slice(row, 1), &DataType::Float64)?;
            let value = one.as_primitive::<Float64Type>().value(0);
            let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
            if value.is_nan() { 0x7ff8_0000_0000_0000_u64.to_le_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
        }
        DataType::Date32 => integer(i64::from(column.as_primitive::<Date32Type>().value(row))),
        DataType::Time64(_) => integer(column.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(_, _) => integer(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Decimal128(_, scale) => {
            decimal_bytes(i256::from_i128(column.as_primitive::<Decimal128Type>().value(row)), *scale)
        }
        DataType::Decimal256(_, scale) => decimal_bytes(column.as_primitive::<Decimal256Type>().value(row), *scale),
        DataType::Interval(_) => {
            let v = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let days = i128::from(v.months) * 30 + i128::from(v.days);
            (days * 86_400_000_000_000 + i128::from(v.nanoseconds)).to_le_bytes().to_vec()
        }
        DataType::Utf8View => column.as_string_view().value(row).as_bytes().to_vec(),
        DataType::LargeBinary => numeric_bytes(column.as_binary::<i64>().value(row)),
        DataType::Binary => column.as_binary::<i32>().value(row).to_vec(),
        DataType::FixedSizeBinary(_) => column.as_fixed_size_binary().value(row).to_vec(),
        other => return Err(Error::unsupported(format!("cannot partition by the hash of Arrow type {other}"))),
    }))
}

/// As [`decimal_bytes`] where an `i256` holds the digits, so that one value falls into one partition whatever held it.
fn numeric_bytes(encoded: &[u8]) -> Vec<u8> {
    let value = bytes::decode(encoded).trim_scale();
    let small = value.decimal().and_then(|d| {
        let digits = d.digits().iter().map(|d| char::from(b'0' + d)).collect::<String>();
        let whole = if digits.is_empty() { Some(i256::ZERO) } else { i256::from_string(&digits) }?;
        let scale = i8::try_from(d.scale()).ok()?;
        Some((if d.sign() < 0 { whole.checked_neg()? } else { whole }, scale))
    });
    match small {
        Some((whole, scale)) => decimal_bytes(whole, scale),
        None => bytes::key(encoded).to_vec(),
    }
}

fn decimal_bytes(mut value: i256, mut scale: i8) -> Vec<u8> {
    let ten = i256::from_i128(10);
    while value != i256::ZERO && value.checked_rem(ten) == Some(i256::ZERO) {
        value = value.checked_div(ten).unwrap_or(value);
        scale = scale.saturating_sub(1);
    }
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.push(if value == i256::ZERO { 0 } else { scale.to_le_bytes()[0] });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_days() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(-719_468), (0, 3, 1));
    }

    /// These values are on disk: a failure here means that old tables would be read wrongly.
    #[test]
    fn hash_is_what_it_always_was() {
        assert_eq!(hash_bytes(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash_bytes("海".as_bytes()), hash_bytes(&[0xe6, 0xb5, 0xb7]));
        assert_eq!(decimal_bytes(i256::from_i128(1200), 3), decimal_bytes(i256::from_i128(12), 1));
    }
}
