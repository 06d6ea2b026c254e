//! `regexp_count`, `regexp_instr`, `regexp_like`, `regexp_match`, `regexp_replace`, `regexp_substr`.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;
use regex::{Captures, Match, Regex};

use super::pattern::Patterns;
use crate::error::refuse;
use crate::udf::{Call, Form, Function, Type};

const T: Type = Type::Text;
const I: Type = Type::Int4;

pub(super) const COUNT: Function = Function::new(
    "regexp_count",
    "How often a regular expression matches: text, pattern, start, flags.",
    &[
        Form::new(&[T, T], I, |call| count(call, None, None)),
        Form::new(&[T, T, I], I, |call| count(call, Some(2), None)),
        Form::new(&[T, T, I, T], I, |call| count(call, Some(2), Some(3))),
    ],
);
pub(super) const INSTR: Function = Function::new(
    "regexp_instr",
    "Where a match begins or ends: text, pattern, start, which, 0 or 1 for its end, flags, group.",
    &[
        Form::new(&[T, T], I, instr),
        Form::new(&[T, T, I], I, instr),
        Form::new(&[T, T, I, I], I, instr),
        Form::new(&[T, T, I, I, I], I, instr),
        Form::new(&[T, T, I, I, I, T], I, instr),
        Form::new(&[T, T, I, I, I, T, I], I, instr),
    ],
);
pub(super) const LIKE: Function = Function::new(
    "regexp_like",
    "Whether a regular expression matches.",
    &[
        Form::new(&[T, T], Type::Bool, |call| like(call, None)),
        Form::new(&[T, T, T], Type::Bool, |call| like(call, Some(2))),
    ],
);
pub(super) const MATCH: Function = Function::new(
    "regexp_match",
    "The groups of the first match, or all of it if there are no groups.",
    &[
        Form::new(&[T, T], Type::TextArray, |call| first(call, None)),
        Form::new(&[T, T, T], Type::TextArray, |call| first(call, Some(2))),
    ],
);
/// The planner unnests it.
pub(super) const MATCHES: Function = Function::new(
    "regexp_matches",
    "The groups of the first match, or with flag g of each, one row a match.",
    &[
        Form::new(&[T, T], Type::TextArrays, |call| matches(call, None)),
        Form::new(&[T, T, T], Type::TextArrays, |call| matches(call, Some(2))),
    ],
);
pub(super) const REPLACE: Function = Function::new(
    "regexp_replace",
    "Replaces the first match, or with flag g all; \\1 stands for a group and \\& for the match.",
    &[
        Form::new(&[T, T, T], T, |call| replace(call, None, None, None)),
        Form::new(&[T, T, T, T], T, |call| replace(call, None, None, Some(3))),
        Form::new(&[T, T, T, I], T, |call| replace(call, Some(3), None, None)),
        Form::new(&[T, T, T, I, I], T, |call| replace(call, Some(3), Some(4), None)),
        Form::new(&[T, T, T, I, I, T], T, |call| replace(call, Some(3), Some(4), Some(5))),
    ],
);
pub(super) const SUBSTR: Function = Function::new(
    "regexp_substr",
    "The text of a match: text, pattern, start, which, flags, group.",
    &[
        Form::new(&[T, T], T, substr),
        Form::new(&[T, T, I], T, substr),
        Form::new(&[T, T, I, I], T, substr),
        Form::new(&[T, T, I, I, T], T, substr),
        Form::new(&[T, T, I, I, T, I], T, substr),
    ],
);

fn int(call: &Call, arg: Option<usize>, row: usize, default: i32) -> i32 {
    arg.filter(|n| *n < call.args.len()).map_or(default, |n| call.primitive::<Int32Type>(n).value(row))
}

fn flags(call: &Call, arg: Option<usize>, row: usize) -> &str {
    arg.filter(|n| *n < call.args.len()).map_or("", |n| call.text(n).value(row))
}

/// The text from a position on, counted in characters from 1.
fn from<'a>(text: &'a str, start: i32, name: &str) -> Result<&'a str> {
    let Some(skip) = usize::try_from(start).ok().and_then(|s| s.checked_sub(1)) else {
        return refuse("22023", format!("invalid value for parameter \"{name}\": {start}"));
    };
    let at = text.char_indices().nth(skip).map_or(text.len(), |(i, _)| i);
    Ok(&text[at..])
}

fn count(call: &Call, start: Option<usize>, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let counts = call.map::<Int32Type>(|row| {
        let text = from(call.text(0).value(row), int(call, start, row, 1), "start")?;
        let regex = patterns.get(call.text(1).value(row), flags(call, flag, row))?;
        Ok(Some(i32::try_from(regex.find_iter(text).count()).unwrap_or(i32::MAX)))
    })?;
    Ok(Arc::new(counts))
}

fn like(call: &Call, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let regex = patterns.get(call.text(1).value(row), flags(call, flag, row))?;
        Ok(Some(regex.is_match(call.text(0).value(row))))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

/// The n-th match from 1, and its group.
fn nth<'a>(regex: &Regex, text: &'a str, n: i32, group: i32) -> Result<Option<Match<'a>>> {
    let Some(skip) = usize::try_from(n).ok().and_then(|n| n.checked_sub(1)) else {
        return refuse("22023", format!("invalid value for parameter \"n\": {n}"));
    };
    let Ok(group) = usize::try_from(group) else {
        return refuse("22023", format!("invalid value for parameter \"subexpr\": {group}"));
    };
    let found: Option<Captures<'a>> = regex.captures_iter(text).nth(skip);
    Ok(found.and_then(|c| c.get(group)))
}

fn instr(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let places = call.map::<Int32Type>(|row| {
        let start = int(call, Some(2), row, 1);
        let text = from(call.text(0).value(row), start, "start")?;
        let regex = patterns.get(call.text(1).value(row), flags(call, Some(5), row))?;
        let found = nth(&regex, text, int(call, Some(3), row, 1), int(call, Some(6), row, 0))?;
        let Some(found) = found else { return Ok(Some(0)) };
        let at = if int(call, Some(4), row, 0) == 0 { found.start() } else { found.end() };
        let place = i32::try_from(text[..at].chars().count()).unwrap_or(i32::MAX);
        Ok(Some(place.saturating_add(start)))
    })?;
    Ok(Arc::new(places))
}

fn substr(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let text = from(call.text(0).value(row), int(call, Some(2), row, 1), "start")?;
        let regex = patterns.get(call.text(1).value(row), flags(call, Some(4), row))?;
        let found = nth(&regex, text, int(call, Some(3), row, 1), int(call, Some(5), row, 0))?;
        Ok(found.map(|m| m.as_str().to_string()))
    })
}

fn first(call: &Call, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if call.has_null(row) {
            lists.append_null();
            continue;
        }
        let flags = flags(call, flag, row);
        if flags.contains('g') {
            return Err(crate::error::FunctionError::new(
                "22023",
                "regexp_match() does not support the \"global\" option",
            )
            .hint("Use the regexp_matches function instead.")
            .into());
        }
        let regex = patterns.get(call.text(1).value(row), flags)?;
        match regex.captures(call.text(0).value(row)) {
            None => lists.append_null(),
            Some(found) => {
                let skip = usize::from(found.len() > 1);
                for group in found.iter().skip(skip) {
                    lists.values().append_option(group.map(|g| g.as_str()));
                }
                lists.append(true);
            }
        }
    }
    Ok(Arc::new(lists.finish()))
}

fn matches(call: &Call, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let mut rows = ListBuilder::new(ListBuilder::new(StringViewBuilder::new()));
    for row in 0..call.rows {
        if !call.has_null(row) {
            let flags = flags(call, flag, row);
            let regex = patterns.get(call.text(1).value(row), &flags.replace('g', ""))?;
            let most = if flags.contains('g') { usize::MAX } else { 1 };
            for found in regex.captures_iter(call.text(0).value(row)).take(most) {
                let skip = usize::from(found.len() > 1);
                for group in found.iter().skip(skip) {
                    rows.values().values().append_option(group.map(|g| g.as_str()));
                }
                rows.values().append(true);
            }
        }
        rows.append(true);
    }
    Ok(Arc::new(rows.finish()))
}

fn replace(call: &Call, start: Option<usize>, which: Option<usize>, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let flags = flags(call, flag, row);
        let all = flags.contains('g');
        let regex = patterns.get(call.text(1).value(row), &flags.replace('g', ""))?;
        let text = call.text(0).value(row);
        let rest = from(text, int(call, start, row, 1), "start")?;
        let head = &text[..text.len() - rest.len()];
        let n = int(call, which, row, if all { 0 } else { 1 });
        let Ok(n) = usize::try_from(n) else {
            return refuse("22023", format!("invalid value for parameter \"n\": {n}"));
        };
        let with = call.text(2).value(row);
        Ok(Some(format!("{head}{}", replaced(&regex, rest, with, n))))
    })
}

/// The text with the n-th match replaced, or all if `n` is 0.
fn replaced<'a>(regex: &Regex, text: &'a str, with: &str, n: usize) -> Cow<'a, str> {
    let mut seen = 0;
    let mut put = |found: &Captures<'_>| {
        seen += 1;
        if n != 0 && seen != n {
            return found[0].to_string();
        }
        filled(with, found)
    };
    regex.replacen(text, n, &mut put as &mut dyn FnMut(&Captures<'_>) -> String)
}

/// The replacement with its groups put in.
fn filled(with: &str, found: &Captures<'_>) -> String {
    let mut out = String::with_capacity(with.len());
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(&found[0]),
            Some(d) if d.is_ascii_digit() && d != '0' => {
                let group = d.to_digit(10).and_then(|d| found.get(d as usize));
                out.push_str(group.map_or("", |g| g.as_str()));
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::replaced;
    use crate::text::pattern::compile;

    #[test]
    fn matches_are_replaced_as_postgresql_does() {
        let done = |text: &str, pattern, with, n| {
            replaced(&compile(pattern, "").expect("a pattern"), text, with, n).into_owned()
        };
        assert_eq!(done("hello", "l", "L", 1), "heLlo");
        assert_eq!(done("hello", "l", "L", 0), "heLLo");
        assert_eq!(done("hello", "l", "L", 2), "helLo");
        assert_eq!(done("abc123", r"(\d+)", r"<\1>", 1), "abc<123>");
        assert_eq!(done("abc", "b", r"[\&]", 1), "a[b]c");
    }
}
