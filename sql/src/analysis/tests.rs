//! The tables of PostgreSQL's catalog can be read, and choose as PostgreSQL does.

use super::overload::{Found, choose, choose_operator, functions};
use super::types::{BOOL, Context, INTEGER, NUMERIC, TEXT, UNKNOWN, can_cast, shown};

fn chosen(name: &str, given: &[u32]) -> Option<u32> {
    match choose(name, given) {
        Found::One(chosen) => Some(chosen.result),
        Found::None | Found::Several => None,
    }
}

#[test]
fn functions_are_chosen() {
    assert!(!functions("lower").is_empty(), "functions.tsv");
    assert_eq!(chosen("lower", &[UNKNOWN]), Some(TEXT));
    assert_eq!(chosen("lower", &[INTEGER]), None);
    assert_eq!(chosen("round", &[INTEGER]), Some(701), "the preferred type");
    assert_eq!(chosen("coalesce_not", &[INTEGER]), None);
    assert_eq!(chosen("array_append", &[1007, UNKNOWN]), Some(1007));
    assert_eq!(chosen("concat", &[INTEGER, TEXT, BOOL]), Some(TEXT));
}

#[test]
fn operators_are_chosen() {
    let result = |name, left, right| match choose_operator(name, left, right) {
        Found::One((_, result)) => Ok(result),
        Found::None => Err("none"),
        Found::Several => Err("several"),
    };
    assert_eq!(result("+", Some(INTEGER), NUMERIC), Ok(NUMERIC));
    assert_eq!(result("||", Some(INTEGER), UNKNOWN), Ok(TEXT));
    assert_eq!(result("||", Some(INTEGER), INTEGER), Err("none"));
    assert_eq!(result("=", Some(TEXT), INTEGER), Err("none"));
    assert_eq!(result("-", None, UNKNOWN), Err("several"));
    assert_eq!(result("!=", Some(INTEGER), UNKNOWN), Ok(BOOL));
}

#[test]
fn casts_have_a_context() {
    assert!(can_cast(INTEGER, NUMERIC, Context::Implicit));
    assert!(!can_cast(NUMERIC, INTEGER, Context::Implicit));
    assert!(can_cast(NUMERIC, INTEGER, Context::Assignment));
    assert!(!can_cast(1082, INTEGER, Context::Explicit), "a date is no number");
    assert!(can_cast(1082, TEXT, Context::Assignment), "everything is text");
    assert_eq!(shown(1007), "integer[]");
}
