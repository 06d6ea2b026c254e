//! Regular expressions as PostgreSQL writes them, made for the `regex` crate. What differs: `\m`, `\M`, `\y`, `\Y`, `\Z`
//! and the words of errors. What has back references or looks around goes to [`super::backtrack`]. Of alternatives the first that matches is taken, where PostgreSQL takes the longest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::backtrack::{Fault, Program};
use crate::error::FunctionError;

/// Compiled expressions kept at a time: each may take megabytes.
const KEPT_MAX: usize = 32;

/// Compiled expressions of one batch.
#[derive(Default)]
pub(crate) struct Patterns {
    known: RefCell<HashMap<(String, String), Rc<Pattern>>>,
}

impl Patterns {
    /// The compiled expression; flags are those of the functions, without `g`.
    pub(crate) fn get(&self, pattern: &str, flags: &str) -> Result<Rc<Pattern>, FunctionError> {
        let key = (pattern.to_string(), flags.to_string());
        if let Some(found) = self.known.borrow().get(&key) {
            return Ok(found.clone());
        }
        let regex = Rc::new(compile(pattern, flags)?);
        let mut known = self.known.borrow_mut();
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(key, regex.clone());
        Ok(regex)
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Plain(Regex),
    /// One that refers back or looks around.
    Backtracking(Box<Program>),
}

/// Where a match and its groups are, in bytes; the match itself is group 0.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    groups: Vec<Option<Range<usize>>>,
}

impl Found {
    /// The whole match.
    pub(crate) fn range(&self) -> Range<usize> {
        self.groups.first().cloned().flatten().unwrap_or(0..0)
    }

    /// A group's range.
    pub(crate) fn group(&self, n: usize) -> Option<Range<usize>> {
        self.groups.get(n).cloned().flatten()
    }

    /// The text of the groups, or of the match if there are none.
    pub(crate) fn parts<'a>(&self, text: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        self.groups.iter().skip(usize::from(self.groups.len() > 1)).map(|g| g.clone().map(|g| &text[g]))
    }
}

impl Pattern {
    /// Whether it matches anywhere.
    ///
    /// # Errors
    /// 2201B if looking for it takes too many steps.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, FunctionError> {
        match self {
            Pattern::Plain(regex) => Ok(regex.is_match(text)),
            Pattern::Backtracking(program) => Ok(program.find(text, 0).map_err(fault)?.is_some()),
        }
    }

    /// The first match from a byte on.
    ///
    /// # Errors
    /// As [`Pattern::is_match`].
    pub(crate) fn find(&self, text: &str, from: usize) -> Result<Option<Found>, FunctionError> {
        let groups = match self {
            Pattern::Plain(regex) => regex
                .captures_at(text, from)
                .map(|c| c.iter().map(|group| group.map(|g| g.range())).collect::<Vec<_>>()),
            Pattern::Backtracking(program) => program.find(text, from).map_err(fault)?,
        };
        Ok(groups.map(|groups| Found { groups }))
    }

    /// The matches from a byte on. An empty one may follow right behind another, as in PostgreSQL.
    pub(crate) fn matches<'a>(&'a self, text: &'a str, from: usize) -> Matches<'a> {
        Matches { pattern: self, text, next: Some(from) }
    }
}

/// The matches of an expression in a text.
pub(crate) struct Matches<'a> {
    pattern: &'a Pattern,
    text: &'a str,
    /// Where to look next.
    next: Option<usize>,
}

impl Iterator for Matches<'_> {
    type Item = Result<Found, FunctionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.pattern.find(self.text, self.next?) {
            Ok(found) => found?,
            Err(e) => {
                self.next = None;
                return Some(Err(e));
            }
        };
        let range = found.range();
        self.next = match range.is_empty() {
            true => self.text[range.end..].chars().next().map(|c| range.end + c.len_utf8()),
            false => Some(range.end),
        };
        Some(Ok(found))
    }
}

fn fault(fault: Fault) -> FunctionError {
    let why = match fault {
        Fault::Syntax(why) => why,
        Fault::TooManySteps => "regular expression is too complex",
    };
    FunctionError::new("2201B", format!("invalid regular expression: {why}"))
}

/// Compiles an expression with flags.
///
/// # Errors
/// 2201B for what is no expression, 22023 for an unknown flag.
pub(crate) fn compile(pattern: &str, flags: &str) -> Result<Pattern, FunctionError> {
    let mut options = Options::default();
    for flag in flags.chars() {
        if !options.set(flag) {
            return Err(FunctionError::new("22023", format!("invalid regular expression option: \"{flag}\"")));
        }
    }
    let literal = options.literal || pattern.starts_with("***=");
    let (embedded, rest) = embedded(pattern);
    for flag in embedded.chars() {
        if !options.set(flag) {
            return Err(FunctionError::new("2201B", "invalid regular expression: invalid embedded option"));
        }
    }
    let text = match pattern.strip_prefix("***=") {
        Some(rest) => regex::escape(rest),
        None if literal || options.literal => regex::escape(rest),
        None => translate(rest),
    };
    let mut builder = RegexBuilder::new(&text);
    // Without newline-sensitive matching a dot matches line ends, and ^ and $ only the ends of the text.
    builder
        .case_insensitive(options.insensitive)
        .ignore_whitespace(options.verbose)
        .multi_line(options.anchors)
        .dot_matches_new_line(!options.dots);
    match builder.build() {
        Ok(regex) => Ok(Pattern::Plain(regex)),
        Err(e) if needs_backtracking(&e) => {
            Ok(Pattern::Backtracking(Box::new(Program::new(rest, &options).map_err(fault)?)))
        }
        Err(e) => Err(FunctionError::new("2201B", format!("invalid regular expression: {}", reason(rest, &e)))),
    }
}

fn needs_backtracking(e: &regex::Error) -> bool {
    let text = e.to_string();
    text.contains("backreference") || text.contains("look-around")
}

/// The options of PostgreSQL's expressions, as flags or in front of them
/// (<https://www.postgresql.org/docs/15/functions-matching.html#POSIX-EMBEDDED-OPTIONS-TABLE>).
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) insensitive: bool,
    pub(super) verbose: bool,
    literal: bool,
    /// `^` and `$` match at line ends.
    pub(super) anchors: bool,
    /// Dots do not match line ends.
    pub(super) dots: bool,
}

impl Options {
    /// False for a flag that there is not.
    fn set(&mut self, flag: char) -> bool {
        match flag {
            'i' => self.insensitive = true,
            'c' => self.insensitive = false,
            'n' | 'm' => (self.anchors, self.dots) = (true, true),
            's' => (self.anchors, self.dots) = (false, false),
            'p' => (self.anchors, self.dots) = (false, true),
            'w' => (self.anchors, self.dots) = (true, false),
            'x' => self.verbose = true,
            't' => self.verbose = false,
            'q' => self.literal = true,
            'e' | 'b' => {}
            _ => return false,
        }
        true
    }
}

/// `(?flags)` at the start, and the rest.
fn embedded(pattern: &str) -> (&str, &str) {
    let body = pattern.strip_prefix("***:").unwrap_or(pattern);
    match body.strip_prefix("(?").and_then(|r| r.split_once(')')) {
        Some((flags, rest)) if !flags.is_empty() && flags.bytes().all(|b| b.is_ascii_lowercase()) => (flags, rest),
        _ => ("", body),
    }
}

/// The expression in the words of the `regex` crate.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('m') if !in_class => out.push_str(r"\b{start}"),
                Some('M') if !in_class => out.push_str(r"\b{end}"),
                Some('y') if !in_class => out.push_str(r"\b"),
                Some('Y') if !in_class => out.push_str(r"\B"),
                Some('b') => out.push_str(r"\x08"),
                Some('Z') if !in_class => out.push_str(r"\z"),
                // An escape that stands for a letter of no meaning is that letter.
                Some(e) if e.is_ascii_alphabetic() && !"adDsSwWntrfvxABpPuU".contains(e) => out.push(e),
                Some(e) if !e.is_ascii() => out.push(e),
                Some(e) => {
                    out.push('\\');
                    out.push(e);
                }
                None => out.push('\\'),
            },
            '[' if in_class && !matches!(chars.peek(), Some(':' | '.' | '=')) => out.push_str(r"\["),
            '[' if in_class => {
                let mut name = String::from("[");
                for inner in chars.by_ref() {
                    name.push(inner);
                    if inner == ']' && name.len() > 2 {
                        break;
                    }
                }
                out.push_str(named_class(&name));
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str(r"\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// A class by name, of all of Unicode's characters where C's functions know them.
fn named_class(name: &str) -> &str {
    match name {
        "[:alpha:]" => r"\p{Alphabetic}",
        "[:alnum:]" => r"\p{Alphabetic}\p{Nd}",
        "[:lower:]" => r"\p{Lowercase}",
        "[:upper:]" => r"\p{Uppercase}",
        "[:space:]" => r"\s",
        other => other,
    }
}

/// Why it can't be compiled, in PostgreSQL's words.
fn reason(pattern: &str, e: &regex::Error) -> String {
    let text = e.to_string();
    let has = |words: &str| text.contains(words);
    if has("unclosed group") || has("unopened group") {
        "parentheses () not balanced".to_string()
    } else if has("unclosed character class") {
        "brackets [] not balanced".to_string()
    } else if has("repetition operator missing expression") {
        "quantifier operand invalid".to_string()
    } else if has("repetition count range") || has("repetition quantifier") || has("unclosed counted repetition") {
        "invalid repetition count(s)".to_string()
    } else if has("invalid character class range") {
        "invalid character range".to_string()
    } else if has("incomplete escape") || has("unrecognized escape") {
        "invalid escape \\ sequence".to_string()
    } else if has("size limit") {
        "regular expression is too complex".to_string()
    } else {
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("{last} in \"{pattern}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn postgresqls_escapes_work() {
        let found = |pattern, text| compile(pattern, "").expect(pattern).is_match(text).expect("few steps");
        assert!(found(r"\mbar\M", "foo bar"));
        assert!(!found(r"\mba\M", "foo bar"));
        assert!(found(r"\yfoo\y", "a foo b"));
        assert!(found("[]a]", "]"));
        assert!(found("[[:digit:]]+", "12"));
        assert!(found("(?i)ABC", "abc"));
        assert!(found("a.b", "a\nb"));
        assert!(found("^[a-z&&]$", "&"));
        assert!(found(r"(.)\1", "abb"));
        assert!(found("a(?!b)", "ac"));
        for (pattern, reason) in [
            ("(", "parentheses () not balanced"),
            ("[", "brackets [] not balanced"),
            ("*a", "quantifier operand invalid"),
        ] {
            let e = compile(pattern, "").expect_err(pattern);
            assert_eq!((e.code, e.message), ("2201B", format!("invalid regular expression: {reason}")));
        }
    }
}
