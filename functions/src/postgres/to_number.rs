//! `to_number(text, template)`: the digits of a text where the template has digits.

use arrow::array::ArrayRef;
use datafusion_common::Result;
use sightline_numeric::Numeric;

use crate::error::{refuse, refused};
use crate::numeric::map;
use crate::udf::{Call, Form, Function, Type};

pub(super) const FUNCTION: Function = Function::new(
    "to_number",
    "Converts text to a number by a template.",
    &[Form::new(&[Type::Text, Type::Text], Type::Numeric, to_number)],
);

fn to_number(call: &Call) -> Result<ArrayRef> {
    let (texts, templates) = (call.text(0), call.text(1));
    map(&call.args, call.rows, |row| {
        let (read, places) = read(texts.value(row), templates.value(row));
        if templates.value(row).is_empty() {
            return Ok(None);
        }
        if read.is_empty() {
            // PostgreSQL reads what it has put together: a blank and no digit.
            return refuse("22P02", "invalid input syntax for type numeric: \" \"");
        }
        Numeric::parse(&read).and_then(|v| v.round(places)).map(Some).map_err(refused)
    })
}

/// Sign, digits and point of the text, as far as the template has room for them, and how many are behind the point.
fn read(text: &str, template: &str) -> (String, i32) {
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
        return (String::new(), 0);
    }
    let read = format!("{}{whole}.{fraction}", if negative { "-" } else { "" });
    (read, i32::try_from(fraction.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn digits_are_taken_by_the_template() {
        assert_eq!(read("12,454.8-", "99G999D9S").0, "-12454.8");
        assert_eq!(read("-34,338,492", "99G999G999").0, "-34338492.");
        assert_eq!(read("485", "9").0, "4.");
        assert_eq!(read("0.00001-", "9.999999S"), ("-0.00001".to_string(), 5));
    }
}
