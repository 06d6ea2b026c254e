//! Regular expressions as PostgreSQL writes them, made for the `regex` crate. What differs: `\m`, `\M`, `\y`, `\Y`, `\Z`
//! and the words of errors. Back references and look-around are not supported.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use crate::error::FunctionError;

/// Compiled expressions kept at a time: each may take megabytes.
const KEPT_MAX: usize = 32;

/// Compiled expressions of one batch.
#[derive(Default)]
pub(crate) struct Patterns {
    known: RefCell<HashMap<(String, String), Rc<Regex>>>,
}

impl Patterns {
    /// The compiled expression; flags are those of the functions, without `g`.
    pub(crate) fn get(&self, pattern: &str, flags: &str) -> Result<Rc<Regex>, FunctionError> {
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

/// Compiles an expression with flags.
///
/// # Errors
/// 2201B for what is no expression, 22023 for an unknown flag.
pub fn compile(pattern: &str, flags: &str) -> Result<Regex, FunctionError> {
    let mut newline = false;
    let (mut insensitive, mut verbose, mut literal) = (false, false, false);
    for flag in flags.chars() {
        match flag {
            'i' => insensitive = true,
            'c' => insensitive = false,
            'n' | 'm' => newline = true,
            's' => newline = false,
            'x' => verbose = true,
            't' => verbose = false,
            'q' => literal = true,
            'e' | 'b' => {}
            other => {
                return Err(FunctionError::new("22023", format!("invalid regular expression option: \"{other}\"")));
            }
        }
    }
    let (embedded, rest) = embedded(pattern);
    for flag in embedded.chars() {
        match flag {
            'i' => insensitive = true,
            'c' => insensitive = false,
            'n' | 'm' => newline = true,
            'x' => verbose = true,
            _ => {}
        }
    }
    let text = if literal { regex::escape(rest) } else { translate(rest) };
    let mut builder = RegexBuilder::new(&text);
    // Without newline-sensitive matching a dot matches line ends, and ^ and $ only the ends of the text.
    builder.case_insensitive(insensitive).ignore_whitespace(verbose).multi_line(newline).dot_matches_new_line(!newline);
    builder
        .build()
        .map_err(|e| FunctionError::new("2201B", format!("invalid regular expression: {}", reason(rest, &e))))
}

/// `(?flags)` at the start, and the rest.
fn embedded(pattern: &str) -> (&str, &str) {
    let body = pattern.strip_prefix("***:").unwrap_or(pattern);
    match body.strip_prefix("(?").and_then(|r| r.split_once(')')) {
        Some((flags, rest)) if !flags.is_empty() && flags.bytes().all(|b| b.is_ascii_lowercase()) => (flags, rest),
        _ => ("", body),
    }
}

fn translate(pattern: &str) -> String {
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
                // A class by name, as it is.
                out.push('[');
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
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
    } else if has("repetition quantifier") || has("unclosed counted repetition") {
        "invalid repetition count(s)".to_string()
    } else if has("backreference") {
        "back references are not supported".to_string()
    } else if has("look-around") {
        "look-around is not supported".to_string()
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
        let found = |pattern, text| compile(pattern, "").expect(pattern).is_match(text);
        assert!(found(r"\mbar\M", "foo bar"));
        assert!(!found(r"\mba\M", "foo bar"));
        assert!(found(r"\yfoo\y", "a foo b"));
        assert!(found("[]a]", "]"));
        assert!(found("[[:digit:]]+", "12"));
        assert!(found("(?i)ABC", "abc"));
        assert!(found("a.b", "a\nb"));
        assert!(found("^[a-z&&]$", "&"));
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
