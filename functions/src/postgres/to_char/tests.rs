//! Against PostgreSQL 15's answers: `numbers.tsv` and `times.tsv` hold value, template and what it answered, made by
//! `SELECT v, t, to_char(v::numeric, t)` over all pairs.

use chrono::NaiveDateTime;

use super::datetime::{self, Time};
use super::number::{self, Input};
use crate::postgres::template;

/// The rows that differ, as text.
fn differences(file: &str, answer: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in file.lines() {
        let mut fields = line.splitn(3, '\t');
        let (value, format) = (fields.next().expect("a value"), fields.next().expect("a template"));
        let expected = fields.next().expect("an answer");
        let found = answer(value, format);
        if found != expected {
            wrong.push(format!("to_char({value}, {format:?}): expected {expected:?}, found {found:?}"));
        }
    }
    wrong
}

#[test]
fn numbers_are_postgresqls() {
    let wrong = differences(include_str!("numbers.tsv"), |value, format| {
        number::to_char(&Input::Exact(value), format).unwrap_or_else(|e| e.to_string())
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn times_are_postgresqls() {
    let wrong = differences(include_str!("times.tsv"), |value, format| {
        let (text, bc) = value.strip_suffix(" BC").map_or((value, false), |t| (t, true));
        let (year, rest) = text.split_once('-').expect("a year");
        let year = year.parse::<i32>().expect("digits");
        let year = if bc { 1 - year } else { year };
        let text = format!(
            "{}{:04}-{rest}",
            if year < 0 {
                "-"
            } else if year > 9999 {
                "+"
            } else {
                ""
            },
            year.abs()
        );
        let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").expect("a time");
        let us = time.and_utc().timestamp_micros();
        let time = Time::of_timestamp(us, None);
        datetime::print(&time, &template::parse(format)).map_or_else(|e| e.to_string(), Option::unwrap_or_default)
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
