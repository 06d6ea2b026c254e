//! Cells in PostgreSQL's binary form, as `*send` functions of PostgreSQL 15 make it.

use arrow::datatypes::IntervalMonthDayNano;
use sightline_numeric::{Numeric, bytes, wire};
use sightline_storage::types::SqlType;

use super::cells::Values;
use super::datetime::{PG_EPOCH_DAYS, PG_EPOCH_US};
use super::{Cells, Style, numeric};

impl Cells {
    /// Appends the cell's bytes; of a NULL nothing.
    pub fn write_binary(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.values {
            Values::Bool(a) => out.push(u8::from(a.value(row))),
            Values::Int16(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Int32(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Int64(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::UInt32(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Float32(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Float64(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Decimal128(a, scale) => {
                wire::write(&Numeric::new(a.value(row), u16::try_from(*scale).unwrap_or(0)), out);
            }
            Values::Decimal256(a, scale) => wire::write(&numeric::of_scaled(a.value(row), *scale), out),
            Values::Numeric(a) => wire::write(&bytes::decode(a.value(row)), out),
            Values::Utf8(a) => self.write_string(a.value(row), out),
            Values::Utf8View(a) => self.write_string(a.value(row), out),
            Values::Bytes(a) => out.extend_from_slice(a.value(row)),
            Values::Date(a) => out.extend_from_slice(&date(a.value(row)).to_be_bytes()),
            Values::Time(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Timestamp(a) | Values::TimestampTz(a) => {
                out.extend_from_slice(&timestamp(a.value(row)).to_be_bytes());
            }
            Values::Interval(a) => write_interval(a.value(row), out),
            Values::Uuid(a) => out.extend_from_slice(a.value(row)),
            Values::List(offsets, items) => {
                write_list(offsets[row] as usize..offsets[row + 1] as usize, items, out);
            }
            Values::Enum(..) => self.write_text(row, &Style::default(), out),
            Values::Struct(_, fields) if matches!(self.ty, SqlType::Composite(_)) => write_record(fields, row, out),
            // Shown as text, so its binary form is that text.
            Values::Struct(..) => self.write_text(row, &Style::default(), out),
            Values::Void => {}
        }
    }

    /// Text is itself; `jsonb` has a version in front, and a `reg*` shown as its number is that oid.
    fn write_string(&self, text: &str, out: &mut Vec<u8>) {
        match self.ty {
            SqlType::Jsonb => {
                out.push(1);
                out.extend_from_slice(text.as_bytes());
            }
            SqlType::Reg(_) => out.extend_from_slice(&text.parse().unwrap_or(0u32).to_be_bytes()),
            SqlType::InternalChar => out.push(text.as_bytes().first().copied().unwrap_or(0)),
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// The number of fields, and of each its type, its length and its bytes.
fn write_record(fields: &[Cells], row: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(fields.len() as i32).to_be_bytes());
    for field in fields {
        out.extend_from_slice(&field.shown_oid().to_be_bytes());
        if field.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
        } else {
            with_length(out, |out| field.write_binary(row, out));
        }
    }
}

/// Days since 2000; the infinities stay the extremes.
fn date(days: i32) -> i32 {
    match days {
        i32::MAX | i32::MIN => days,
        _ => days - PG_EPOCH_DAYS,
    }
}

/// Microseconds since 2000; the infinities stay the extremes.
fn timestamp(us: i64) -> i64 {
    match us {
        i64::MAX | i64::MIN => us,
        _ => us.saturating_sub(PG_EPOCH_US),
    }
}

fn write_interval(v: IntervalMonthDayNano, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v.nanoseconds / 1000).to_be_bytes());
    out.extend_from_slice(&v.days.to_be_bytes());
    out.extend_from_slice(&v.months.to_be_bytes());
}

/// Dimensions, whether there are NULLs, the element's oid, then the elements in row-major order.
fn write_list(range: std::ops::Range<usize>, items: &Cells, out: &mut Vec<u8>) {
    let mut lengths = Vec::new();
    let mut elements = Vec::new();
    let has_null = collect(range, items, 0, &mut lengths, &mut elements);
    if lengths.contains(&0) {
        lengths.clear();
        elements.clear();
    }
    let mut leaf = items;
    while let Values::List(_, inner) = &leaf.values {
        leaf = inner;
    }
    out.extend_from_slice(&(lengths.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&leaf.ty.oid().to_be_bytes());
    for n in &lengths {
        out.extend_from_slice(&n.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    out.extend_from_slice(&elements);
}

/// Gathers the lengths of the dimensions and the elements; whether there was a NULL.
fn collect(
    range: std::ops::Range<usize>,
    items: &Cells,
    depth: usize,
    lengths: &mut Vec<i32>,
    out: &mut Vec<u8>,
) -> bool {
    if lengths.len() == depth {
        lengths.push(range.len() as i32);
    }
    let mut has_null = false;
    for i in range {
        match &items.values {
            Values::List(offsets, inner) if !items.is_null(i) => {
                let nested = offsets[i] as usize..offsets[i + 1] as usize;
                has_null |= collect(nested, inner, depth + 1, lengths, out);
            }
            _ if items.is_null(i) => {
                has_null = true;
                out.extend_from_slice(&(-1i32).to_be_bytes());
            }
            _ => with_length(out, |out| items.write_binary(i, out)),
        }
    }
    has_null
}

/// Writes something with its length in front, as values stand in DataRow, arrays and binary COPY.
pub fn with_length<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = write(out);
    let length = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    written
}
