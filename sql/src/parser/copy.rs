//! COPY, in its present form and the one before PostgreSQL 9, which psql's `\copy` passes on.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Body;
use super::tokens::{expect, is_word, name, object, one_of, plain_value, query, string, words};

/// COPY as written.
#[derive(Clone, Debug)]
pub struct Copy {
    pub source: CopySource,
    /// True for FROM.
    pub from: bool,
    pub endpoint: Endpoint,
    /// Options in the words of the present form: `format`, `delimiter` … with their values.
    pub options: Vec<(String, Value)>,
    /// COPY … FROM … WHERE.
    pub filter: Option<Box<ast::Expr>>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Text(String),
    /// `*`
    All,
    Names(Vec<String>),
}

/// What is copied.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// A table and the named columns; none are all.
    Table(ast::ObjectName, Vec<ast::Ident>),
    Query(Box<ast::Query>),
    /// INSERT, UPDATE or DELETE … RETURNING.
    Write,
}

/// The other end.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// STDIN or STDOUT.
    Client,
    File(String),
    Program(String),
}

pub(super) fn copy(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "COPY")?;
    let mut options = Vec::new();
    if is_word(p, 0, "BINARY") && !is_word(p, 1, "FROM") && !is_word(p, 1, "TO") {
        p.advance_token();
        options.push(("format".to_string(), Value::Text("binary".to_string())));
    }
    let source = source(p)?;
    let from = match one_of(p, &["FROM", "TO"]) {
        Some("FROM") if matches!(source, CopySource::Query(_) | CopySource::Write) => {
            p.prev_token();
            return p.expected("TO", p.peek_token());
        }
        Some(word) => word == "FROM",
        None => return p.expected("FROM or TO", p.peek_token()),
    };
    let endpoint = if one_of(p, &["STDIN", "STDOUT"]).is_some() {
        Endpoint::Client
    } else if words(p, &["PROGRAM"]) {
        Endpoint::Program(string(p)?)
    } else {
        Endpoint::File(string(p)?)
    };
    if words(p, &["USING"]) {
        expect(p, "DELIMITERS")?;
        options.push(("delimiter".to_string(), Value::Text(string(p)?)));
    }
    words(p, &["WITH"]);
    if p.consume_token(&Token::LParen) {
        options.extend(p.parse_comma_separated(option)?);
        p.expect_token(&Token::RParen)?;
    } else {
        while let Some(option) = old_option(p)? {
            options.push(option);
        }
    }
    let filter = if words(p, &["WHERE"]) { Some(Box::new(p.parse_expr()?)) } else { None };
    Ok(Body::Copy(Box::new(Copy { source, from, endpoint, options, filter })))
}

fn source(p: &mut Parser) -> Result<CopySource, ParserError> {
    if p.consume_token(&Token::LParen) {
        if is_word(p, 0, "INSERT") || is_word(p, 0, "UPDATE") || is_word(p, 0, "DELETE") {
            let mut depth = 1;
            while depth > 0 {
                match p.next_token().token {
                    Token::LParen => depth += 1,
                    Token::RParen => depth -= 1,
                    Token::EOF => return p.expected(")", p.peek_token()),
                    _ => {}
                }
            }
            return Ok(CopySource::Write);
        }
        let query = query(p)?;
        p.expect_token(&Token::RParen)?;
        return Ok(CopySource::Query(query));
    }
    let table = object(p)?;
    let mut columns = Vec::new();
    if p.consume_token(&Token::LParen) {
        columns = p.parse_comma_separated(|p| p.parse_identifier())?;
        p.expect_token(&Token::RParen)?;
    }
    Ok(CopySource::Table(table, columns))
}

/// `DELIMITER ';'`, `HEADER`, `FORCE_QUOTE (a, b)`, `FORCE_NULL *`.
fn option(p: &mut Parser) -> Result<(String, Value), ParserError> {
    let key = name(p)?;
    if matches!(p.peek_token_ref().token, Token::Comma | Token::RParen) {
        return Ok((key, Value::None));
    }
    if p.consume_token(&Token::Mul) {
        return Ok((key, Value::All));
    }
    if p.consume_token(&Token::LParen) {
        let names = p.parse_comma_separated(name)?;
        p.expect_token(&Token::RParen)?;
        return Ok((key, Value::Names(names)));
    }
    // A word without quotes is folded, as names are: `FORMAT BINARY`.
    let word = matches!(&p.peek_token_ref().token, Token::Word(w) if w.quote_style.is_none());
    let value = plain_value(p)?;
    Ok((key, Value::Text(if word { value.to_ascii_lowercase() } else { value })))
}

fn old_option(p: &mut Parser) -> Result<Option<(String, Value)>, ParserError> {
    let word = one_of(
        p,
        &[
            "BINARY",
            "CSV",
            "HEADER",
            "FREEZE",
            "DELIMITER",
            "DELIMITERS",
            "NULL",
            "QUOTE",
            "ESCAPE",
            "ENCODING",
            "FORCE",
        ],
    );
    let pair = |key: &str, value: Value| Ok(Some((key.to_string(), value)));
    match word {
        None => Ok(None),
        Some("BINARY") => pair("format", Value::Text("binary".to_string())),
        Some("CSV") => pair("format", Value::Text("csv".to_string())),
        Some("HEADER") => pair("header", Value::None),
        Some("FREEZE") => pair("freeze", Value::None),
        Some("FORCE") => {
            let key = if words(p, &["QUOTE"]) {
                "force_quote"
            } else if words(p, &["NOT", "NULL"]) {
                "force_not_null"
            } else {
                expect(p, "NULL")?;
                "force_null"
            };
            if p.consume_token(&Token::Mul) {
                return pair(key, Value::All);
            }
            pair(key, Value::Names(p.parse_comma_separated(name)?))
        }
        Some(word) => {
            words(p, &["AS"]);
            let key = if word == "DELIMITERS" { "delimiter".to_string() } else { word.to_lowercase() };
            Ok(Some((key, Value::Text(string(p)?))))
        }
    }
}
