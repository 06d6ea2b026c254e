//! Cells as PostgreSQL's text.

use sightline_numeric::bytes;

use super::cells::Values;
use super::{Cells, Style, array, datetime, float, interval, numeric, scalar};

impl Cells {
    /// Appends the cell's text; of a NULL nothing.
    pub fn write_text(&self, row: usize, style: &Style, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.values {
            Values::Bool(a) => out.push(if a.value(row) { b't' } else { b'f' }),
            Values::Int16(a) => scalar::write_int(out, a.value(row).into()),
            Values::Int32(a) => scalar::write_int(out, a.value(row).into()),
            Values::Int64(a) => scalar::write_int(out, a.value(row)),
            Values::UInt32(a) => scalar::write_int(out, a.value(row).into()),
            Values::Float32(a) => float::write_f32(out, a.value(row), style.extra_float_digits),
            Values::Float64(a) => float::write_f64(out, a.value(row), style.extra_float_digits),
            Values::Decimal128(a, scale) => numeric::write_i128(out, a.value(row), *scale),
            Values::Decimal256(a, scale) => numeric::write_i256(out, a.value(row), *scale),
            Values::Numeric(a) => bytes::decode(a.value(row)).write(out),
            Values::Utf8(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Values::Utf8View(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Values::Bytes(a) => scalar::write_bytea(out, a.value(row), style.bytea_hex),
            Values::Date(a) => datetime::write_date(out, a.value(row), style),
            Values::Time(a) => datetime::write_time(out, a.value(row)),
            Values::Timestamp(a) => datetime::write_timestamp(out, a.value(row), false, style),
            Values::TimestampTz(a) => datetime::write_timestamp(out, a.value(row), true, style),
            Values::Interval(a) => interval::write(out, a.value(row), style.interval),
            Values::Uuid(a) => scalar::write_uuid(out, a.value(row)),
            Values::List(offsets, items) => {
                write_list(offsets[row] as usize..offsets[row + 1] as usize, items, style, out)
            }
            Values::Enum(a, of) => out.extend_from_slice(of.label(a.value(row)).unwrap_or_default().as_bytes()),
            Values::Struct(_, fields) => write_struct(fields, row, style, out),
            Values::Void => {}
        }
    }
}

fn write_list(range: std::ops::Range<usize>, items: &Cells, style: &Style, out: &mut Vec<u8>) {
    let mut element = Vec::new();
    out.push(b'{');
    for (n, i) in range.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        if items.is_null(i) {
            out.extend_from_slice(b"NULL");
        } else if matches!(items.values, Values::List(..)) {
            items.write_text(i, style, out);
        } else {
            element.clear();
            items.write_text(i, style, &mut element);
            array::write_element(out, &element);
        }
    }
    out.push(b'}');
}

/// `(1,"a b",)`: quotes are doubled within quotes, NULL is nothing.
fn write_struct(fields: &[Cells], row: usize, style: &Style, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    out.push(b'(');
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        if field.is_null(row) {
            continue;
        }
        text.clear();
        field.write_text(row, style, &mut text);
        let special = |b: &u8| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || b.is_ascii_whitespace();
        if !text.is_empty() && !text.iter().any(special) {
            out.extend_from_slice(&text);
            continue;
        }
        out.push(b'"');
        for b in &text {
            if matches!(b, b'"' | b'\\') {
                out.push(*b);
            }
            out.push(*b);
        }
        out.push(b'"');
    }
    out.push(b')');
}
