//! `regexp_count`, `regexp_instr`, `regexp_like`, `regexp_match`, `regexp_replace`, `regexp_substr`.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;
use regex::{CaptureLocations, Regex};

use super::pattern::{Found, Pattern, Patterns, compile};
use crate::error::{FunctionError, refuse};
use crate::udf::{Call, Form, Function, Type, check_text};

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

/// The flags of a function that takes only one match.
///
/// # Errors
/// 22023 for `g`.
fn single<'a>(call: &'a Call, arg: Option<usize>, row: usize, function: &str) -> Result<&'a str> {
    let flags = flags(call, arg, row);
    if flags.contains('g') {
        return refuse("22023", format!("{function}() does not support the \"global\" option"));
    }
    Ok(flags)
}

/// The byte where the position starts, counted in characters from 1; none behind the end.
fn start_byte(text: &str, start: i32) -> Result<Option<usize>> {
    let Some(skip) = usize::try_from(start).ok().and_then(|s| s.checked_sub(1)) else {
        return refuse("22023", format!("invalid value for parameter \"start\": {start}"));
    };
    Ok(text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skip))
}

fn count(call: &Call, start: Option<usize>, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let counts = call.map::<Int32Type>(|row| {
        let text = call.text(0).value(row);
        let at = start_byte(text, int(call, start, row, 1))?;
        let regex = patterns.get(call.text(1).value(row), single(call, flag, row, "regexp_count")?)?;
        let Some(at) = at else { return Ok(Some(0)) };
        let mut found = 0;
        for one in regex.matches(text, at) {
            one?;
            found += 1;
        }
        Ok(Some(found))
    })?;
    Ok(Arc::new(counts))
}

fn like(call: &Call, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let one = |row| {
        if call.has_null(row) {
            return Ok(None);
        }
        let regex = patterns.get(call.text(1).value(row), single(call, flag, row, "regexp_like")?)?;
        Ok(Some(regex.is_match(call.text(0).value(row))?))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<Result<BooleanArray>>()?))
}

/// Whether each text matches its expression, as the operators `~` and `~*` tell.
pub(crate) fn regex_matches(texts: &ArrayRef, expressions: &ArrayRef, insensitive: bool) -> Result<BooleanArray> {
    let (texts, expressions, patterns) = (texts.as_string_view(), expressions.as_string_view(), Patterns::default());
    let flags = if insensitive { "i" } else { "" };
    let one = |(text, expression): (Option<&str>, Option<&str>)| {
        let (Some(text), Some(expression)) = (text, expression) else { return Ok(None) };
        Ok(Some(patterns.get(expression, flags)?.is_match(text)?))
    };
    texts.iter().zip(expressions).map(one).collect()
}

/// Which match is meant, counted from 1.
fn which(n: i32) -> Result<usize> {
    match usize::try_from(n).ok().and_then(|n| n.checked_sub(1)) {
        Some(skip) => Ok(skip),
        None => refuse("22023", format!("invalid value for parameter \"n\": {n}")),
    }
}

fn group_number(group: i32) -> Result<usize> {
    match usize::try_from(group) {
        Ok(group) => Ok(group),
        Err(_) => refuse("22023", format!("invalid value for parameter \"subexpr\": {group}")),
    }
}

/// Where a group of the match after `skip` others from a byte on is.
fn nth(regex: &Pattern, text: &str, at: Option<usize>, skip: usize, group: usize) -> Result<Option<Range<usize>>> {
    let Some(at) = at else { return Ok(None) };
    let found: Option<Found> = regex.matches(text, at).nth(skip).transpose()?;
    Ok(found.and_then(|f| f.group(group)))
}

fn instr(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    let places = call.map::<Int32Type>(|row| {
        let text = call.text(0).value(row);
        let at = start_byte(text, int(call, Some(2), row, 1))?;
        let skip = which(int(call, Some(3), row, 1))?;
        let end = int(call, Some(4), row, 0);
        if end != 0 && end != 1 {
            return refuse("22023", format!("invalid value for parameter \"endoption\": {end}"));
        }
        let group = group_number(int(call, Some(6), row, 0))?;
        let regex = patterns.get(call.text(1).value(row), single(call, Some(5), row, "regexp_instr")?)?;
        let Some(found) = nth(&regex, text, at, skip, group)? else { return Ok(Some(0)) };
        let at = if end == 0 { found.start } else { found.end };
        Ok(Some(i32::try_from(text[..at].chars().count() + 1).unwrap_or(i32::MAX)))
    })?;
    Ok(Arc::new(places))
}

fn substr(call: &Call) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    call.map_text(|row| {
        let text = call.text(0).value(row);
        let at = start_byte(text, int(call, Some(2), row, 1))?;
        let skip = which(int(call, Some(3), row, 1))?;
        let group = group_number(int(call, Some(5), row, 0))?;
        let regex = patterns.get(call.text(1).value(row), single(call, Some(4), row, "regexp_substr")?)?;
        Ok(nth(&regex, text, at, skip, group)?.map(|m| text[m].to_string()))
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
            let message = "regexp_match() does not support the \"global\" option";
            return Err(FunctionError::new("22023", message).hint("Use the regexp_matches function instead.").into());
        }
        let regex = patterns.get(call.text(1).value(row), flags)?;
        let text = call.text(0).value(row);
        match regex.find(text, 0)? {
            None => lists.append_null(),
            Some(found) => {
                found.parts(text).for_each(|part| lists.values().append_option(part));
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
            let text = call.text(0).value(row);
            for found in regex.matches(text, 0).take(most) {
                found?.parts(text).for_each(|part| rows.values().values().append_option(part));
                rows.values().append(true);
            }
        }
        rows.append(true);
    }
    Ok(Arc::new(rows.finish()))
}

fn replace(call: &Call, start: Option<usize>, which: Option<usize>, flag: Option<usize>) -> Result<ArrayRef> {
    let patterns = Patterns::default();
    // Most calls have one expression and one replacement for all rows.
    let mut last = None::<Replacer>;
    call.map_text(|row| {
        let flags = flags(call, flag, row);
        // The form with flags fourth: digits there were meant as a start.
        if start.is_none() && flags.starts_with(|c: char| c.is_ascii_digit()) {
            let first = &flags[..1];
            let hint = "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer \
                        explicitly.";
            let message = format!("invalid regular expression option: \"{first}\"");
            return Err(FunctionError::new("22023", message).hint(hint).into());
        }
        let text = call.text(0).value(row);
        let at = start_byte(text, int(call, start, row, 1))?;
        let all = flags.contains('g');
        let n = int(call, which, row, if all { 0 } else { 1 });
        let Ok(n) = usize::try_from(n) else {
            return refuse("22023", format!("invalid value for parameter \"n\": {n}"));
        };
        let (pattern, with) = (call.text(1).value(row), call.text(2).value(row));
        let replacer = match last.take() {
            Some(known) if known.is_of(pattern, flags, with) => known,
            _ => Replacer::new(&patterns, pattern, flags, with)?,
        };
        let replacer = last.insert(replacer);
        let Some(at) = at else { return Ok(Some(text.to_string())) };
        if let (0, 1, Some(short)) = (at, n, &mut replacer.short) {
            return Ok(Some(short.replaced(text).to_string()));
        }
        replaced(&replacer.regex, text, at, with, n).map(Some)
    })
}

/// An expression and its replacement, kept from row to row.
struct Replacer {
    pattern: String,
    flags: String,
    with: String,
    regex: Rc<Pattern>,
    short: Option<Short>,
}

impl Replacer {
    fn new(patterns: &Patterns, pattern: &str, flags: &str, with: &str) -> Result<Replacer> {
        let regex = patterns.get(pattern, &flags.replace('g', ""))?;
        let short = if flags.is_empty() { Short::of(pattern, with) } else { None };
        let [pattern, flags, with] = [pattern, flags, with].map(str::to_string);
        Ok(Replacer { pattern, flags, with, regex, short })
    }

    fn is_of(&self, pattern: &str, flags: &str, with: &str) -> bool {
        self.pattern == pattern && self.flags == flags && self.with == with
    }
}

/// `^….*$` replaced by one of its groups, as people take a text apart: what is left of a text that matches is the group, and
/// the rest of it need not be looked at.
struct Short {
    regex: Regex,
    found: CaptureLocations,
    group: usize,
}

impl Short {
    fn of(pattern: &str, with: &str) -> Option<Short> {
        let group = with.strip_prefix('\\').filter(|d| d.len() == 1)?.parse().ok().filter(|n| *n > 0)?;
        let front = pattern.strip_suffix(".*$").or_else(|| pattern.strip_suffix(".*"))?;
        // An escaped dot is no dot, and of alternatives the end may be another's.
        if !front.starts_with('^') || front.ends_with('\\') || front.contains('|') {
            return None;
        }
        match compile(front, "").ok()? {
            Pattern::Plain(regex) => Some(Short { found: regex.capture_locations(), regex, group }),
            Pattern::Backtracking(_) => None,
        }
    }

    fn replaced<'a>(&mut self, text: &'a str) -> &'a str {
        match self.regex.captures_read(&mut self.found, text) {
            Some(_) => self.found.get(self.group).map_or("", |(from, to)| &text[from..to]),
            None => text,
        }
    }
}

/// The text with the n-th match from a byte on replaced, or all if `n` is 0.
fn replaced(regex: &Pattern, text: &str, from: usize, with: &str, n: usize) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for (seen, found) in (1..).zip(regex.matches(text, from)) {
        let found = found?;
        if n != 0 && seen != n {
            continue;
        }
        let range = found.range();
        out.push_str(&text[kept..range.start]);
        fill(&mut out, text, with, &found);
        kept = range.end;
        check_text(out.len())?;
        if n != 0 {
            break;
        }
    }
    out.push_str(&text[kept..]);
    Ok(out)
}

/// Appends the replacement with its groups put in.
fn fill(out: &mut String, text: &str, with: &str, found: &Found) {
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(&text[found.range()]),
            Some(d) if d.is_ascii_digit() && d != '0' => {
                let group = d.to_digit(10).and_then(|d| found.group(d as usize));
                out.push_str(group.map_or("", |g| &text[g]));
            }
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;
    use crate::text::pattern::compile;

    #[test]
    fn matches_are_replaced_as_postgresql_does() {
        let done = |text: &str, pattern, with, n| {
            replaced(&compile(pattern, "").expect("a pattern"), text, 0, with, n).expect("a short text")
        };
        assert_eq!(done("hello", "l", "L", 1), "heLlo");
        assert_eq!(done("hello", "l", "L", 0), "heLLo");
        assert_eq!(done("hello", "l", "L", 2), "helLo");
        assert_eq!(done("abc123", r"(\d+)", r"<\1>", 1), "abc<123>");
        assert_eq!(done("abc", "b", r"[\&]", 1), "a[b]c");
        assert_eq!(done("abc", "b*", "X", 0), "XaXXcX");
        assert_eq!(done("foobar", r"(.)\1", r"X\&Y", 0), "fXooYbar");
    }
}
