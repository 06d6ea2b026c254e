//! Single values from text and binary: parameters of statements and typed literals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
pub use datafusion::scalar::ScalarValue;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::build::ColumnBuilder;
use super::{Format, Style};

/// What is said of bytes that are more than the value has.
pub const INCORRECT_BINARY: &str = "incorrect binary data format";

/// A value of `ty` from its text.
///
/// # Errors
/// PostgreSQL's of the type's input function, e.g. 22P02 `invalid input syntax for type integer: "x"`.
pub fn parse_text(ty: &SqlType, text: &str, format: &Format) -> Result<ScalarValue> {
    parse_text_styled(ty, text, &Style::new(format))
}

/// As [`parse_text`], with the format already resolved, and `now` if the style has it.
///
/// # Errors
/// As [`parse_text`].
pub fn parse_text_styled(ty: &SqlType, text: &str, style: &Style) -> Result<ScalarValue> {
    let mut column = ColumnBuilder::new(ty);
    column.append_text(text, style)?;
    only_value(&mut column)
}

/// A value of `ty` from its binary form.
///
/// # Errors
/// 22P03 and those of the type.
pub fn parse_binary(ty: &SqlType, data: &[u8]) -> Result<ScalarValue> {
    let mut column = ColumnBuilder::new(ty);
    column.append_binary(data)?;
    only_value(&mut column)
}

/// NULL of a type.
///
/// # Errors
/// XX000 for a type without one, which there is not.
pub fn null(ty: &SqlType) -> Result<ScalarValue> {
    ScalarValue::try_from(&ty.arrow()).map_err(crate_error)
}

fn only_value(column: &mut ColumnBuilder) -> Result<ScalarValue> {
    only_scalar(&column.finish()?).map_err(crate_error)
}

/// The value of an array of one. DataFusion's own way forgets what SQL type the elements of a list have.
///
/// # Errors
/// For an array that has no scalar form.
pub fn only_scalar(array: &ArrayRef) -> datafusion::error::Result<ScalarValue> {
    match array.as_list_opt::<i32>() {
        Some(list) if list.len() == 1 => Ok(ScalarValue::List(Arc::new(list.clone()))),
        _ => ScalarValue::try_from_array(array, 0),
    }
}

fn crate_error(e: datafusion::error::DataFusionError) -> sightline_storage::error::Error {
    sightline_storage::error::Error::internal("a value has no scalar form").source(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Cells;

    fn types() -> Vec<(SqlType, Vec<&'static str>)> {
        vec![
            (SqlType::Boolean, vec!["t", "f"]),
            (SqlType::SmallInt, vec!["-32768", "7"]),
            (SqlType::Integer, vec!["2147483647"]),
            (SqlType::BigInt, vec!["-9223372036854775808"]),
            (SqlType::Real, vec!["1.5", "-Infinity", "3.4028235e+38"]),
            (SqlType::Double, vec!["0.1", "NaN", "1e-320"]),
            (SqlType::Numeric(Some((10, 3))), vec!["-1234567.890"]),
            (SqlType::Numeric(Some((60, 20))), vec!["1234567890123456789012345678901234567890.12345678901234567890"]),
            (
                SqlType::Numeric(None),
                vec![
                    "1.5",
                    "0",
                    "-100",
                    "1.500",
                    "NaN",
                    "-Infinity",
                    "1234567890123456789012345678901234567890.123456789",
                ],
            ),
            (SqlType::Numeric(Some((210, 10))), vec!["1.5000000000", "NaN"]),
            (SqlType::Array(Box::new(SqlType::Numeric(None))), vec!["{1.5,NULL,1.50,NaN}"]),
            (SqlType::Text, vec!["", "a long text with ünïcödé"]),
            (SqlType::Varchar(Some(3)), vec!["abc"]),
            (SqlType::Char(3), vec!["a  "]),
            (SqlType::Bytea, vec!["\\x", "\\x00ff"]),
            (SqlType::Date, vec!["2024-02-29", "0044-03-15 BC", "infinity"]),
            (SqlType::Time, vec!["23:59:59.999999", "24:00:00"]),
            (SqlType::Timestamp, vec!["1969-12-31 23:59:59.5", "-infinity"]),
            (SqlType::TimestampTz, vec!["2024-01-01 00:00:00+00"]),
            (SqlType::Interval, vec!["1 year 2 mons -3 days +04:05:06.789"]),
            (SqlType::Uuid, vec!["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
            (SqlType::Json, vec!["{\"a\":1}"]),
            (SqlType::Jsonb, vec!["{\"a\": 1}"]),
            (SqlType::Oid, vec!["4294967295"]),
            (SqlType::Name, vec!["pg_class"]),
            (SqlType::InternalChar, vec!["r"]),
            (SqlType::Array(Box::new(SqlType::Integer)), vec!["{}", "{1,NULL,3}"]),
            (SqlType::Array(Box::new(SqlType::Text)), vec!["{a,\"b c\",NULL,\"NULL\",\"\"}"]),
        ]
    }

    /// Every type reads back what it wrote, as text and as binary.
    #[test]
    fn round_trips() {
        let style = Style::default();
        for (ty, texts) in types() {
            for text in texts {
                let value = parse_text(&ty, text, &Format::default()).unwrap();
                let array = value.to_array().unwrap();
                let cells = Cells::new(&array, &ty).unwrap();
                let (mut shown, mut bytes) = (Vec::new(), Vec::new());
                cells.write_text(0, &style, &mut shown);
                assert_eq!(String::from_utf8(shown).unwrap(), text, "{ty}");
                cells.write_binary(0, &mut bytes);
                let again = parse_binary(&ty, &bytes).unwrap();
                match &value {
                    ScalarValue::Float64(Some(v)) if v.is_nan() => {}
                    _ => assert_eq!(again, value, "{ty} {text}"),
                }
            }
        }
    }

    /// `select encode(array_send('{1,NULL}'::int[]), 'hex')` and the like, from PostgreSQL 15.
    #[test]
    fn binary_of_postgresql() {
        for (ty, text, hex) in [
            (
                SqlType::Array(Box::new(SqlType::Integer)),
                "{1,NULL}",
                "000000010000000100000017000000020000000100000004 00000001ffffffff",
            ),
            (SqlType::Array(Box::new(SqlType::Integer)), "{}", "000000000000000000000017"),
            (SqlType::Date, "2000-01-02", "00000001"),
            (SqlType::Timestamp, "2000-01-01 00:00:01", "00000000000f4240"),
            (SqlType::Interval, "1 mon 2 days 00:00:01", "00000000000f42400000000200000001"),
            (SqlType::Jsonb, "{\"a\": 1}", "017b2261223a20317d"),
        ] {
            let array = parse_text(&ty, text, &Format::default()).unwrap().to_array().unwrap();
            let mut bytes = Vec::new();
            Cells::new(&array, &ty).unwrap().write_binary(0, &mut bytes);
            let shown: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(shown, hex.replace(' ', ""), "{ty} {text}");
        }
    }

    #[test]
    fn broken_binary_is_refused() {
        for (ty, _) in types() {
            for data in [&[][..], &[0], &[255; 3], &[255; 9], &[127; 40]] {
                drop(parse_binary(&ty, data));
            }
        }
        let e = parse_binary(&SqlType::Integer, &[1, 2]).unwrap_err();
        assert_eq!((e.code().as_str(), e.message()), ("08P01", "insufficient data left in message"));
        let e = parse_binary(&SqlType::Integer, &[1, 2, 3, 4, 5]).unwrap_err();
        assert_eq!((e.code().as_str(), e.message()), ("22P03", "incorrect binary data format"));
    }
}
