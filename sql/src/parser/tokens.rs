//! Small readers over sqlparser's `Parser`, for words it has no keyword for.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::plan::fold;

/// The `n`th token from here in upper case, if it is an unquoted word.
pub(super) fn peek_word(p: &Parser, n: usize) -> Option<String> {
    match &p.peek_nth_token_ref(n).token {
        Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_uppercase()),
        _ => None,
    }
}

/// True if the word follows.
pub(super) fn is_word(p: &Parser, n: usize, word: &str) -> bool {
    match &p.peek_nth_token_ref(n).token {
        Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
        _ => false,
    }
}

/// Consumes all of the words, or none.
pub(super) fn words(p: &mut Parser, expected: &[&str]) -> bool {
    let all = expected.iter().enumerate().all(|(n, w)| is_word(p, n, w));
    if all {
        expected.iter().for_each(|_| p.advance_token());
    }
    all
}

/// Consumes the token if it is there.
pub(super) fn optional(p: &mut Parser, token: &Token) {
    if p.peek_token_ref().token == *token {
        p.advance_token();
    }
}

/// Consumes the word, or fails.
pub(super) fn expect(p: &mut Parser, word: &str) -> Result<(), ParserError> {
    if words(p, &[word]) { Ok(()) } else { p.expected(word, p.peek_token()) }
}

/// Consumes one of the words and tells which, in upper case.
pub(super) fn one_of(p: &mut Parser, options: &[&'static str]) -> Option<&'static str> {
    let found = options.iter().find(|w| is_word(p, 0, w))?;
    p.advance_token();
    Some(found)
}

/// An identifier, folded.
pub(super) fn name(p: &mut Parser) -> Result<String, ParserError> {
    Ok(fold(&p.parse_identifier()?))
}

/// A possibly qualified name. Words that PostgreSQL reserves are none.
pub(super) fn object(p: &mut Parser) -> Result<ast::ObjectName, ParserError> {
    not_reserved(p)?;
    p.parse_object_name(false)
}

/// As [`name`], but none of the words that PostgreSQL reserves.
pub(super) fn own_name(p: &mut Parser) -> Result<String, ParserError> {
    not_reserved(p)?;
    name(p)
}

fn not_reserved(p: &Parser) -> Result<(), ParserError> {
    match &p.peek_token_ref().token {
        Token::Word(w) if w.quote_style.is_some() || !RESERVED.contains(&w.keyword) => Ok(()),
        _ => p.expected("a name", p.peek_token()),
    }
}

/// Words that PostgreSQL takes for a name only in quotes.
const RESERVED: [Keyword; 60] = [
    Keyword::ALL,
    Keyword::ANALYZE,
    Keyword::AND,
    Keyword::ANY,
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::ASC,
    Keyword::BOTH,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CHECK,
    Keyword::COLLATE,
    Keyword::COLUMN,
    Keyword::CONSTRAINT,
    Keyword::CREATE,
    Keyword::CURRENT_DATE,
    Keyword::CURRENT_TIME,
    Keyword::CURRENT_TIMESTAMP,
    Keyword::DEFAULT,
    Keyword::DEFERRABLE,
    Keyword::DESC,
    Keyword::DISTINCT,
    Keyword::DO,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FALSE,
    Keyword::FETCH,
    Keyword::FOR,
    Keyword::FOREIGN,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LATERAL,
    Keyword::LEADING,
    Keyword::LIMIT,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ONLY,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::PRIMARY,
    Keyword::REFERENCES,
    Keyword::SELECT,
    Keyword::TABLE,
    Keyword::THEN,
    Keyword::TO,
    Keyword::TRAILING,
    Keyword::TRUE,
    Keyword::UNION,
    Keyword::UNIQUE,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WITH,
];

/// Possibly qualified names with commas.
pub(super) fn objects(p: &mut Parser) -> Result<Vec<ast::ObjectName>, ParserError> {
    p.parse_comma_separated(object)
}

/// A string literal of any kind.
pub(super) fn string(p: &mut Parser) -> Result<String, ParserError> {
    let token = p.next_token();
    match token.token {
        Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) | Token::UnicodeStringLiteral(s) => Ok(s),
        Token::DollarQuotedString(s) => Ok(s.value),
        _ => p.expected("a string", token),
    }
}

/// A number, string, word or `on`/`off` as the text it stands for; a quoted or unquoted word keeps its case.
pub(super) fn plain_value(p: &mut Parser) -> Result<String, ParserError> {
    let token = p.next_token();
    match token.token {
        Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) | Token::UnicodeStringLiteral(s) => Ok(s),
        Token::DollarQuotedString(s) => Ok(s.value),
        Token::Word(w) => Ok(w.value),
        Token::Number(n, _) => Ok(n),
        Token::Plus => plain_value(p),
        Token::Minus => Ok(format!("-{}", plain_value(p)?)),
        _ => p.expected("a value", token),
    }
}

/// CASCADE or RESTRICT, if it is there: true for CASCADE.
pub(super) fn cascade(p: &mut Parser) -> bool {
    one_of(p, &["CASCADE", "RESTRICT"]) == Some("CASCADE")
}

/// A query.
pub(super) fn query(p: &mut Parser) -> Result<Box<ast::Query>, ParserError> {
    let mut query = p.parse_query()?;
    super::precedence::mended(query.as_mut());
    super::depth::balance(query.as_mut());
    table_as_select(&mut query);
    Ok(query)
}

/// `WITH … TABLE t` is `WITH … SELECT * FROM t`.
fn table_as_select(query: &mut ast::Query) {
    let ast::SetExpr::Table(table) = query.body.as_ref() else { return };
    let names = table.schema_name.iter().chain(&table.table_name);
    let name = ast::ObjectName::from(names.map(|n| ast::Ident::with_quote('"', n)).collect::<Vec<_>>());
    if let Ok(select) = super::query(&format!("SELECT * FROM {name}")) {
        query.body = select.body;
    }
}

/// `(name = value, …)`: values as plain text, none where there is only a name.
pub(super) fn options(p: &mut Parser) -> Result<Vec<(String, Option<String>)>, ParserError> {
    p.expect_token(&Token::LParen)?;
    let options = p.parse_comma_separated(option)?;
    p.expect_token(&Token::RParen)?;
    Ok(options)
}

fn option(p: &mut Parser) -> Result<(String, Option<String>), ParserError> {
    let mut key = name(p)?;
    while p.consume_token(&Token::Period) {
        key = format!("{key}.{}", name(p)?);
    }
    let value = if p.consume_token(&Token::Eq) { Some(option_value(p)?) } else { None };
    Ok((key, value))
}

/// A value, or `INTERVAL '…'`, which stands for its string.
fn option_value(p: &mut Parser) -> Result<String, ParserError> {
    words(p, &["INTERVAL"]);
    plain_value(p)
}
