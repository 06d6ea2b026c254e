//! `to_number(text, template)`: the digits of a text where the template has digits.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Decimal128Type;
use datafusion_common::Result;

use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "to_number",
    "Converts text to a number by a template.",
    &[Form::new(&[Type::Text, Type::Text], Type::Numeric, to_number)],
);

/// The scale of `numeric` without one.
const SCALE: usize = 10;

fn to_number(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    let numbers = call.map::<Decimal128Type>(|row| {
        let read = read(texts.value(row), templates.value(row));
        if read.is_empty() {
            return Ok(None);
        }
        scaled(&read).map(Some)
    })?;
    Ok(Arc::new(numbers.with_precision_and_scale(38, 10)?))
}

/// Sign, digits and point of the text, as far as the template has room for them.
fn read(text: &str, template: &str) -> String {
    let upper = template.to_uppercase();
    let point = upper.find(['.', 'D']).unwrap_or(upper.len());
    let digits = |t: &str| t.bytes().filter(|b| matches!(b, b'9' | b'0')).count();
    let (before, after) = (digits(&upper[..point]), digits(&upper[point..]));
    let negative = text.contains('-') || (upper.contains("PR") && text.contains('<'));
    let (mut whole, mut fraction, mut seen_point) = (String::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '.' if point < upper.len() => seen_point = true,
            '.' => break,
            d if d.is_ascii_digit() && !seen_point && whole.len() < before => whole.push(d),
            d if d.is_ascii_digit() && seen_point && fraction.len() < after => fraction.push(d),
            _ => {}
        }
    }
    if whole.is_empty() && fraction.is_empty() {
        return String::new();
    }
    format!("{}{whole}.{fraction}", if negative { "-" } else { "" })
}

fn scaled(text: &str) -> Result<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |d| (-1, d));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<SCALE$}");
    match format!("{whole}{}", &fraction[..SCALE]).parse::<i128>() {
        Ok(n) => Ok(sign * n),
        Err(_) => refuse("22003", "numeric field overflow"),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn digits_are_taken_by_the_template() {
        assert_eq!(read("12,454.8-", "99G999D9S"), "-12454.8");
        assert_eq!(read("-34,338,492", "99G999G999"), "-34338492.");
        assert_eq!(read("485", "9"), "4.");
        assert_eq!(read("0.00001-", "9.999999S"), "-0.00001");
    }
}
