//! Where in a statement's text an error of planning is: DataFusion does not carry positions, so the name that the
//! message gives is looked up among the words of the text.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use regex::Regex;
use sightline_storage::error::{Error, SqlState};

use crate::parser::{Body, Statement};

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^(?:relation|column|column reference|function|type|schema|missing FROM-clause entry for table) "#,
        r#""?([^"\s(]+)"?(?:$|\(| does not exist$| is ambiguous$| must appear| of relation)"#
    ))
    .expect("a constant pattern")
});

static PARAMETER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^there is no parameter (\$\d+)$").expect("a constant pattern"));

/// The codes whose message names a word of the statement.
const CODES: [SqlState; 7] = [
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::AMBIGUOUS_COLUMN,
    SqlState::GROUPING_ERROR,
    SqlState::UNDEFINED_OBJECT,
];

/// The error with its position in the statement, if it names a word that stands there. Of commands that are no queries
/// PostgreSQL tells no place.
pub fn positioned(e: Error, statement: &Statement) -> Error {
    let text = &statement.text;
    let places = matches!(
        statement.body,
        Body::Query(_)
            | Body::Insert(_)
            | Body::CreateTable(_)
            | Body::CreateView(_)
            | Body::AlterTable(_)
            | Body::Execute { .. }
            | Body::Explain(_)
            | Body::Prepare { .. }
            | Body::Declare(_)
    );
    let without_place = match &statement.body {
        // A schema for something new has a place only in CREATE TABLE.
        Body::CreateView(_) => e.code() == SqlState::INVALID_SCHEMA_NAME,
        Body::CreateTable(table) if table.query.is_some() => e.code() == SqlState::INVALID_SCHEMA_NAME,
        // Of REFERENCES.
        Body::CreateTable(_) => e.code() == SqlState::UNDEFINED_TABLE,
        Body::AlterTable(alter) => e.code() != SqlState::UNDEFINED_OBJECT || !alter.adds_column(),
        _ => false,
    };
    if !places || without_place || e.get_position().is_some() {
        return e;
    }
    if let Some(found) = PARAMETER.captures(e.message()) {
        return match text.find(&found[1]) {
            Some(at) => e.position(text[..at].chars().count() + 1),
            None => e,
        };
    }
    if let Some(found) = LITERAL.captures(e.message()) {
        return match literal(text, &found[1]) {
            Some(position) => e.position(position),
            None => e,
        };
    }
    if !CODES.contains(&e.code()) || names_by_itself(text) {
        return e;
    }
    let found = NAMED.captures(e.message()).and_then(|f| find(text, &f[1]).or_else(|| literal(text, &f[1])));
    match found {
        Some(position) => e.position(position),
        None => e,
    }
}

/// Statements whose own object is missing: PostgreSQL tells no position then.
fn names_by_itself(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
    let (first, second) = (words.next(), words.next());
    matches!(
        (first.as_deref(), second.as_deref()),
        (Some("DROP"), _) | (Some("ALTER"), Some("TYPE" | "DOMAIN")) | (Some("COMMENT"), Some("ON"))
    )
}

/// Messages about a literal that its type does not take.
static LITERAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)^(?:invalid input syntax for type [\w ]+|invalid input value for enum [^:]+|malformed array literal): "(.*)"$"#)
        .expect("a constant pattern")
});

/// The character position, from 1, of a string literal, if there is one like that.
fn literal(text: &str, wanted: &str) -> Option<usize> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().ok()?;
    let mut found = tokens
        .iter()
        .filter(|t| matches!(&t.token, Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) if s == wanted));
    match (found.next(), found.next()) {
        (Some(token), None) => offset(text, token.span.start),
        _ => None,
    }
}

/// The character position, from 1, where the possibly qualified name first stands.
fn find(text: &str, name: &str) -> Option<usize> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().ok()?;
    let wanted = name.split('.').collect::<Vec<_>>();
    let word = |n: usize| match tokens.get(n).map(|t| &t.token) {
        Some(Token::Word(w)) => Some(if w.quote_style.is_some() { w.value.clone() } else { w.value.to_lowercase() }),
        _ => None,
    };
    let stands = |start: usize| {
        wanted.iter().enumerate().all(|(n, part)| {
            let dotted = n == 0 || matches!(tokens.get(start + 2 * n - 1).map(|t| &t.token), Some(Token::Period));
            dotted && word(start + 2 * n).as_deref() == Some(*part)
        })
    };
    let at = (0..tokens.len()).find(|start| stands(*start))?;
    offset(text, tokens[at].span.start)
}

fn offset(text: &str, at: Location) -> Option<usize> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(at.column).ok()?;
    let before = text.split_inclusive('\n').take(line).map(|l| l.chars().count()).sum::<usize>();
    Some(before + column)
}
