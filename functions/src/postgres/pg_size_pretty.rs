//! `pg_size_pretty(bytes)`: a size with a unit that people read.

use arrow::array::Array;
use arrow::datatypes::Int64Type;

use crate::udf::{Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "pg_size_pretty",
    "Converts a size in bytes to a text with a unit: bytes, kB, MB, GB, TB or PB.",
    &[Form::new(&[Type::Int8], Type::Text, |call| {
        let sizes = call.primitive::<Int64Type>(0);
        call.map_text(|row| Ok((!sizes.is_null(row)).then(|| pretty(sizes.value(row)))))
    })],
);

/// Each unit, from what size on the next is taken, and whether the value has a bit too many to be rounded with.
const UNITS: [(&str, i128, bool); 6] = [
    ("bytes", 10 * 1024, false),
    ("kB", 20 * 1024 - 1, true),
    ("MB", 20 * 1024 - 1, true),
    ("GB", 20 * 1024 - 1, true),
    ("TB", 20 * 1024 - 1, true),
    ("PB", 20 * 1024 - 1, true),
];

fn pretty(bytes: i64) -> String {
    let mut size = i128::from(bytes);
    for (i, (unit, limit, halved)) in UNITS.into_iter().enumerate() {
        let last = i + 1 == UNITS.len();
        if last || size.abs() < limit {
            if halved {
                // Half away from zero.
                size = (size + size.signum()) / 2;
            }
            return format!("{size} {unit}");
        }
        // One bit stays behind to round with.
        let bits = if halved { 10 } else { 9 };
        size /= 1 << bits;
    }
    unreachable!("the last unit takes all")
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn sizes_are_postgresqls() {
        let cases = [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (-10240, "-10 kB"),
            (1_000_000, "977 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (1_000_000_000, "954 MB"),
            (1_000_000_000_000, "931 GB"),
            (i64::MAX, "8192 PB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(pretty(bytes), expected, "{bytes}");
        }
    }
}
