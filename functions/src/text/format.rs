//! `format(template, …)`: `%s`, `%I`, `%L` with positions and widths, like C's `sprintf`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::concat::elements;
use super::quote::{quote_ident, quote_literal};
use crate::error::{FunctionError, refuse};
use crate::udf::{Call, Form, Function, Returns, Type, check_text};

pub(super) const FUNCTION: Function = Function::new(
    "format",
    "Formats arguments by a template with %s, %I (identifier) and %L (literal).",
    &[Form { args: &[Type::Text, Type::Shown], variadic: true, returns: Returns::Type(Type::Text), call: format }],
);

/// The planner calls it where the last argument is `VARIADIC` an array.
pub(super) const ARRAY: Function = Function::new(
    "format_variadic",
    "Formats the elements of an array by a template.",
    &[Form::new(&[Type::Text, Type::ShownArray], Type::Text, format_array)],
);

fn format_array(call: &Call) -> Result<ArrayRef> {
    let (templates, lists) = (call.text(0), call.args[1].as_list::<i32>());
    let one = |row| {
        if templates.is_null(row) {
            return Ok(None);
        }
        let values = if lists.is_null(row) { vec![] } else { elements(&lists.value(row)) };
        let values = values.iter().map(Option::as_deref).collect::<Vec<_>>();
        print(templates.value(row), &values).map(Some)
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<StringViewArray>>()?))
}

fn format(call: &Call) -> Result<ArrayRef> {
    let templates = call.text(0);
    let args = call.args[1..].iter().map(shown).collect::<Vec<_>>();
    let one = |row| {
        if templates.is_null(row) {
            return Ok(None);
        }
        let values = args.iter().map(|a| (!a.is_null(row)).then(|| a.as_string_view().value(row))).collect::<Vec<_>>();
        print(templates.value(row), &values).map(Some)
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<StringViewArray>>()?))
}

/// Values as text; booleans as PostgreSQL shows them.
pub(crate) fn shown(array: &ArrayRef) -> Arc<dyn Array> {
    if let DataType::Boolean = array.data_type() {
        let text = array.as_boolean().iter().map(|v| v.map(|v| if v { "t" } else { "f" }));
        return Arc::new(text.collect::<StringViewArray>());
    }
    array.clone()
}

/// The template with its arguments put in.
fn print(template: &str, args: &[Option<&str>]) -> Result<String> {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let mut spec = String::new();
        let kind = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || matches!(c, '$' | '-' | '*') => spec.push(c),
                Some(c) => break c,
                None => {
                    return Err(FunctionError::new("22023", "unterminated format() type specifier")
                        .hint("For a single \"%\" use \"%%\".")
                        .into());
                }
            }
        };
        let spec = Spec::parse(&spec, args, &mut next)?;
        let text = match (kind, spec.value) {
            ('s', value) => value.unwrap_or_default().to_string(),
            ('I', Some(value)) => quote_ident(value).into_owned(),
            ('I', None) => return refuse("22004", "null values cannot be formatted as an SQL identifier"),
            ('L', Some(value)) => quote_literal(value),
            ('L', None) => "NULL".to_string(),
            (other, _) => {
                return Err(FunctionError::new("22023", format!("unrecognized format() type specifier \"{other}\""))
                    .hint("For a single \"%\" use \"%%\".")
                    .into());
            }
        };
        spec.pad(&text, &mut out);
    }
    Ok(out)
}

/// What stands between `%` and the letter.
struct Spec<'a> {
    value: Option<&'a str>,
    width: usize,
    left: bool,
}

impl<'a> Spec<'a> {
    /// `[n$][-][width | * | *n$]`.
    fn parse(text: &str, args: &[Option<&'a str>], next: &mut usize) -> Result<Spec<'a>> {
        let (position, mut rest) = match text.split_once('$') {
            Some((n, rest)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => (Some(n), rest),
            _ => (None, text),
        };
        let mut left = false;
        while let Some(after) = rest.strip_prefix('-') {
            left = true;
            rest = after;
        }
        let mut width = 0;
        if let Some(star) = rest.strip_prefix('*') {
            let given = match star.strip_suffix('$') {
                Some(n) => take(args, Some(n), next)?,
                None => take(args, None, next)?,
            };
            let given = given.unwrap_or("0").parse::<i64>().unwrap_or(0);
            left |= given < 0;
            width = usize::try_from(given.unsigned_abs()).unwrap_or(usize::MAX);
        } else if rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() {
            width = rest.parse().unwrap_or(usize::MAX);
        }
        if i32::try_from(width).is_err() {
            return refuse("22003", "number is out of range");
        }
        check_text(width)?;
        Ok(Spec { value: take(args, position, next)?, width, left })
    }

    fn pad(&self, text: &str, out: &mut String) {
        let blanks = self.width.saturating_sub(text.chars().count());
        if !self.left {
            out.extend(std::iter::repeat_n(' ', blanks));
        }
        out.push_str(text);
        if self.left {
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
}

/// The argument at a position, or the next one.
fn take<'a>(args: &[Option<&'a str>], position: Option<&str>, next: &mut usize) -> Result<Option<&'a str>> {
    let index = match position {
        Some(n) => match n.parse::<usize>() {
            Ok(0) => return refuse("22023", "format specifies argument 0, but arguments are numbered from 1"),
            Ok(n) => n - 1,
            Err(_) => return refuse("22003", "number is out of range"),
        },
        None => *next,
    };
    *next = index + 1;
    match args.get(index) {
        Some(value) => Ok(*value),
        None => refuse("22023", "too few arguments for format()"),
    }
}

#[cfg(test)]
mod tests {
    use super::print;

    #[test]
    fn templates_are_filled_as_postgresql_does() {
        let args = [Some("World"), None, Some("my table")];
        let cases = [
            ("Hello %s", "Hello World"),
            ("%s|%s", "World|"),
            ("%3$I %1$L %2$L", "\"my table\" 'World' NULL"),
            ("|%10s|", "|     World|"),
            ("|%-10s|", "|World     |"),
            ("%1$s %s", "World "),
            ("100%%", "100%"),
        ];
        for (template, expected) in cases {
            assert_eq!(print(template, &args).expect(template), expected, "{template}");
        }
        for wrong in ["%", "%y", "%4$s", "%2$I", "%0$s"] {
            assert!(print(wrong, &args).is_err(), "{wrong}");
        }
    }
}
