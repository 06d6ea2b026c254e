//! From a query string to statements: ours and those that sqlparser does not know by hand, the rest by sqlparser.
//!
//! 1. [`split`] cuts the string at its semicolons, as psql does.
//! 2. Each piece is tokenised by sqlparser's PostgreSQL dialect, and [`depth`] refuses what would nest too deep.
//! 3. The leading words choose a rule of [`definition`], [`utility`], [`copy`] or [`tenant`]; all of them read the tokens
//!    through sqlparser's own `Parser`, so expressions, names and queries are parsed in one way only.
//! 4. Errors are put in PostgreSQL's words, with the position in characters.
//!
//! Nothing here looks at a catalog: whether a name or an option exists is decided when the statement runs.

mod calls;
pub mod change;
pub mod copy;
pub mod cursor;
pub mod definition;
mod depth;
mod fields;
pub(crate) mod frames;
mod grammar;
pub(crate) mod grouping;
pub mod index;
mod inherited;
pub(crate) mod joins;
pub mod key;
pub(crate) mod marks;
pub mod overriding;
mod precedence;
mod search;
pub mod sequence;
mod spelling;
mod split;
mod subqueries;
pub mod tenant;
#[cfg(test)]
mod tests;
mod tokens;
mod unicode;
pub mod user_type;
pub mod utility;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use sightline_storage::error::{Error, Result, SqlState};

pub(crate) use self::calls::VARIADIC;
pub(crate) use self::depth::{SET_OPERATORS_MAX, bush, too_deep};
pub(crate) use self::fields::starred;
pub(crate) use self::frames::EXCLUDE;
pub(crate) use self::joins::ALIAS as JOIN_ALIAS;
pub(crate) use self::search::{Clauses, clauses};

use self::change::Change;
use self::copy::Copy;
use self::cursor::{Declare, Fetch};
use self::definition::{AlterTable, CommentOn, CreateTable, CreateView, Drop, Rename, SchemaStatement, Truncate};
use self::index::IndexStatement;
use self::sequence::{AlterSequence, CreateSequence};
use self::tenant::{GrantStatement, RoleStatement, TenantStatement};
use self::user_type::{AlterDomain, AlterType, CreateDomain, CreateType};
use self::utility::{Explain, Set, Transaction};
use crate::statement::load::Load;
use tokens::peek_word;

/// How deep expressions and queries may nest. Deep enough for what programs write, shallow enough for the stack.
const NESTING_MAX: usize = 128;

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its text as sent, without the semicolon, and without a password.
    pub text: String,
    /// Characters of the query string before `text`: error positions count from there.
    pub offset: usize,
    /// What stood before `text` where both were parsed as one: the places of the tree count from its start.
    pub before: String,
    /// The whole query string it came in, as `pg_cursors` and `pg_prepared_statements` show it.
    pub source: Arc<str>,
    pub body: Body,
}

/// What a statement says.
#[derive(Clone, Debug)]
pub enum Body {
    /// SELECT, VALUES, TABLE, WITH.
    Query(Box<ast::Query>),
    Insert(Box<ast::Insert>),
    /// UPDATE, DELETE.
    Change(Box<Change>),
    Copy(Box<Copy>),
    /// An uploaded file; no text says it.
    Load(Box<Load>),
    Truncate(Truncate),
    CreateTable(Box<CreateTable>),
    CreateView(Box<CreateView>),
    AlterTable(Box<AlterTable>),
    /// ALTER TABLE, VIEW or SCHEMA … RENAME TO, OWNER TO, SET SCHEMA.
    Rename(Box<Rename>),
    Drop(Drop),
    CreateSequence(Box<CreateSequence>),
    AlterSequence(Box<AlterSequence>),
    CreateType(Box<CreateType>),
    AlterType(Box<AlterType>),
    CreateDomain(Box<CreateDomain>),
    AlterDomain(Box<AlterDomain>),
    Schema(SchemaStatement),
    Index(Box<IndexStatement>),
    Comment(Box<CommentOn>),
    Tenant(TenantStatement),
    Role(Box<RoleStatement>),
    Grant(GrantStatement),
    Set(Set),
    /// SHOW: the setting's name as written, or `all`.
    Show(String),
    /// RESET: a name, or all.
    Reset(Option<String>),
    /// DISCARD ALL and its parts.
    Discard(utility::Discard),
    Prepare {
        name: String,
        types: Vec<ast::DataType>,
        statement: Arc<Statement>,
    },
    Execute {
        name: String,
        arguments: Vec<ast::Expr>,
    },
    /// DEALLOCATE: a name, or all.
    Deallocate(Option<String>),
    Explain(Explain),
    /// DECLARE … CURSOR.
    Declare(Box<Declare>),
    /// FETCH or MOVE.
    Fetch(Fetch),
    /// CLOSE: a name, or all.
    Close(Option<String>),
    Transaction(Transaction),
    /// Accepted, does nothing: the command tag and what it would be in PostgreSQL.
    Nothing(&'static str),
    /// Understood but not done (0A000): message and hint.
    Unsupported(String, Option<&'static str>),
}

impl Body {
    /// What kind of statement it is, as PostgreSQL names it in messages.
    pub fn command(&self) -> &'static str {
        match self {
            Body::Query(_) => "SELECT",
            Body::Insert(_) => "INSERT",
            Body::Change(change) => change.command(),
            Body::Copy(copy) if copy.from => "COPY FROM",
            Body::Load(_) => "COPY FROM",
            Body::Copy(_) => "COPY TO",
            Body::Truncate(_) => "TRUNCATE TABLE",
            Body::CreateTable(table) if table.select_into => "SELECT INTO",
            Body::CreateTable(table) if table.query.is_some() => "CREATE TABLE AS",
            Body::CreateTable(_) => "CREATE TABLE",
            Body::CreateView(_) => "CREATE VIEW",
            Body::AlterTable(_) => "ALTER TABLE",
            Body::Rename(rename) => match rename.kind {
                definition::Kind::View => "ALTER VIEW",
                definition::Kind::Sequence => "ALTER SEQUENCE",
                definition::Kind::Schema => "ALTER SCHEMA",
                definition::Kind::Type => "ALTER TYPE",
                definition::Kind::Domain => "ALTER DOMAIN",
                _ => "ALTER TABLE",
            },
            Body::Drop(drop) => match drop.kind {
                definition::Kind::View => "DROP VIEW",
                definition::Kind::Sequence => "DROP SEQUENCE",
                definition::Kind::Schema => "DROP SCHEMA",
                definition::Kind::Type => "DROP TYPE",
                definition::Kind::Domain => "DROP DOMAIN",
                _ => "DROP TABLE",
            },
            Body::CreateSequence(_) => "CREATE SEQUENCE",
            Body::AlterSequence(_) => "ALTER SEQUENCE",
            Body::CreateType(_) => "CREATE TYPE",
            Body::AlterType(_) => "ALTER TYPE",
            Body::CreateDomain(_) => "CREATE DOMAIN",
            Body::AlterDomain(_) => "ALTER DOMAIN",
            Body::Schema(_) => "CREATE SCHEMA",
            Body::Index(statement) => statement.command(),
            Body::Comment(_) => "COMMENT",
            Body::Tenant(statement) => statement.command(),
            Body::Role(statement) => statement.command(),
            Body::Grant(grant) => {
                if grant.grant {
                    "GRANT"
                } else {
                    "REVOKE"
                }
            }
            Body::Set(_) => "SET",
            Body::Show(_) => "SHOW",
            Body::Reset(_) => "RESET",
            Body::Discard(_) => "DISCARD",
            Body::Prepare { .. } => "PREPARE",
            Body::Execute { .. } => "EXECUTE",
            Body::Deallocate(_) => "DEALLOCATE",
            Body::Explain(_) => "EXPLAIN",
            Body::Declare(_) => "DECLARE CURSOR",
            Body::Fetch(fetch) if fetch.moves => "MOVE",
            Body::Fetch(_) => "FETCH",
            Body::Close(_) => "CLOSE CURSOR",
            Body::Transaction(_) => "BEGIN",
            Body::Nothing(tag) => tag,
            Body::Unsupported(..) => "this statement",
        }
    }
}

/// Splits and parses a query string.
///
/// # Errors
/// 42601 for a syntax error anywhere in it, 54001 if it nests too deep.
pub fn parse(sql: &str) -> Result<Vec<Arc<Statement>>> {
    let mut statements = Vec::new();
    let mut offset = 0;
    let mut counted = 0;
    for piece in split::split(sql)? {
        offset += sql[counted..piece.start].chars().count();
        counted = piece.start;
        statements.push(parse_one(&sql[piece], offset)?);
    }
    // A password is not shown again, wherever it stood.
    let secret = statements.iter().any(|s: &Statement| matches!(s.body, Body::Role(_)));
    let source: Arc<str> = sql.trim_start().into();
    let sourced = |mut s: Statement| {
        s.source = if secret { s.text.as_str().into() } else { source.clone() };
        Arc::new(s)
    };
    Ok(statements.into_iter().map(sourced).collect())
}

/// Parses an expression, such as a stored DEFAULT or CHECK.
///
/// # Errors
/// 42601, 54001.
pub fn parse_expr(text: &str) -> Result<ast::Expr> {
    let mut expr = with_parser(text, 0, |p| p.parse_expr())?;
    precedence::mended(&mut expr);
    depth::balance(&mut expr);
    Ok(expr)
}

/// Parses a query, such as that of a view.
///
/// # Errors
/// 42601, 54001.
pub fn query(text: &str) -> Result<ast::Query> {
    with_parser(text, 0, tokens::query).map(|query| *query)
}

/// Parses one statement whose text starts after `offset` characters of the query string.
fn parse_one(text: &str, offset: usize) -> Result<Statement> {
    let mut body = with_parser(text, offset, |p| body(p, text, offset))?;
    key::find_places(&mut body, text);
    let redacted = if let Body::Role(statement) = &body { statement.redacted() } else { None };
    let text = redacted.unwrap_or_else(|| text.to_string());
    Ok(Statement { text, offset, before: String::new(), source: Arc::default(), body })
}

/// Runs a rule over the whole text.
fn with_parser<T>(text: &str, offset: usize, rule: impl FnOnce(&mut Parser) -> Result<T, ParserError>) -> Result<T> {
    let dialect = PostgreSqlDialect {};
    let text = &*unicode::plain(text, offset)?;
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|e| {
        let position = offset + char_position(text, e.location.line, e.location.column);
        let at = text.chars().skip(position - 1 - offset).take(20).collect::<String>();
        Error::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{at}\"")).position(position).source(e)
    })?;
    depth::check(&tokens)?;
    if let Some(fault) = grammar::check(&tokens) {
        return Err(grammar_error(&fault, &tokens, text, offset));
    }
    let tokens = sequence::plain(overriding::plain(calls::plain_calls(spelling::respelled(tokens))));
    let empty =
        |t: &&TokenWithSpan| matches!(&t.token, Token::Word(w) if w.quote_style.is_some() && w.value.is_empty());
    if let Some(token) = tokens.iter().find(empty) {
        let start = char_position(text, token.span.start.line, token.span.start.column);
        let message = "zero-length delimited identifier at or near \"\"\"\"";
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).position(offset + start));
    }
    if let Some(token) = refused_token(&tokens) {
        let start = char_position(text, token.span.start.line, token.span.start.column);
        let message = format!("syntax error at or near \"{}\"", token.token);
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).position(offset + start));
    }
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let parsed = rule(&mut parser).and_then(|body| match parser.peek_token_ref().token {
        Token::EOF => Ok(body),
        _ => parser.expected("end of statement", parser.peek_token()),
    });
    parsed.map_err(|e| syntax_error(e, parser, text, offset))
}

/// A fault of [`grammar`] in PostgreSQL's words.
fn grammar_error(fault: &grammar::Fault, tokens: &[TokenWithSpan], text: &str, offset: usize) -> Error {
    let Some(at) = fault.at else {
        return Error::new(SqlState::SYNTAX_ERROR, "syntax error at end of input")
            .position(offset + text.chars().count() + 1);
    };
    let start = char_position(text, at.line, at.column);
    let message = fault.message.clone().unwrap_or_else(|| {
        let end = tokens.iter().find(|t| t.span.start == at).map_or(at, |t| t.span.end);
        let length = char_position(text, end.line, end.column).saturating_sub(start).max(1);
        let near = text.chars().skip(start - 1).take(length).collect::<String>();
        format!("syntax error at or near \"{near}\"")
    });
    let error = Error::new(SqlState::SYNTAX_ERROR, message).position(offset + start);
    match fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What sqlparser takes and PostgreSQL does not: two strings on one line, the WHERE of `SELECT * FROM WHERE a = 1` for a table, `?` and `:a` for
/// parameters.
fn refused_token(tokens: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    let (mut after_from, mut after_string) = (false, false);
    for token in tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))) {
        let (mut from, mut string) = (false, false);
        match &token.token {
            // It would be an alias.
            Token::SingleQuotedString(_) if after_string => return Some(token),
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::Number(..) => string = true,
            Token::Word(w) if w.quote_style.is_none() => match w.keyword {
                Keyword::FROM if !after_from => from = true,
                Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::HAVING | Keyword::LIMIT
                    if after_from =>
                {
                    return Some(token);
                }
                _ => {}
            },
            Token::Placeholder(text) => {
                let number = text.strip_prefix('$').is_some_and(|n| n.parse::<u16>().is_ok_and(|n| n > 0));
                if !number {
                    return Some(token);
                }
            }
            _ => {}
        }
        (after_from, after_string) = (from, string);
    }
    None
}

/// The rule for a statement, chosen by its leading words.
fn body(p: &mut Parser, text: &str, offset: usize) -> Result<Body, ParserError> {
    let first = peek_word(p, 0).unwrap_or_default();
    let second = peek_word(p, 1).unwrap_or_default();
    match (first.as_str(), second.as_str()) {
        ("SELECT" | "VALUES" | "WITH" | "TABLE" | "", _) => query_or_write(p),
        ("INSERT", _) => insert(p),
        ("COPY", _) => copy::copy(p),
        ("TRUNCATE", _) => definition::truncate(p),
        ("CREATE" | "ALTER" | "DROP", "TENANT" | "DATABASE") => tenant::tenant(p),
        ("CREATE" | "ALTER" | "DROP", "ROLE" | "USER" | "GROUP") => tenant::role(p),
        ("GRANT" | "REVOKE", _) => tenant::grant(p),
        ("CREATE", _) => definition::create(p),
        ("ALTER", _) => definition::alter(p),
        ("DROP", _) => definition::drop(p),
        ("COMMENT", _) => definition::comment(p),
        ("EXPLAIN", _) => utility::explain(p, text, offset),
        ("PREPARE", "TRANSACTION") => Ok(unsupported(p, "PREPARE TRANSACTION is not supported", None)),
        ("PREPARE", _) => utility::prepare(p, text, offset),
        _ => utility::utility(p, &first),
    }
}

/// A query; or with `INTO`, what makes a table of it; or an UPDATE, DELETE or INSERT behind WITH.
fn query_or_write(p: &mut Parser) -> Result<Body, ParserError> {
    if let Token::EOF = p.peek_token_ref().token {
        return p.expected("a statement", p.peek_token());
    }
    if !matches!(peek_word(p, 0).as_deref(), Some("SELECT" | "VALUES" | "WITH" | "TABLE"))
        && !matches!(p.peek_token_ref().token, Token::LParen)
    {
        return p.expected("a statement", p.peek_token());
    }
    let mut query = tokens::query(p)?;
    match query.body.as_mut() {
        ast::SetExpr::Select(select) if select.into.is_some() => {
            let into = select.into.take().expect("checked by the guard");
            Ok(Body::CreateTable(Box::new(CreateTable::select_into(into, query))))
        }
        ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) => {
            let with = query.with.take();
            match *query.body {
                ast::SetExpr::Update(statement) | ast::SetExpr::Delete(statement) => {
                    change::of_statement(statement, with, p)
                }
                _ => p.expected("a statement", p.peek_token()),
            }
        }
        ast::SetExpr::Merge(_) => Ok(not_yet("MERGE statements")),
        ast::SetExpr::Insert(ast::Statement::Insert(insert)) => {
            let mut insert = insert.clone();
            overriding::taken(&mut insert);
            let (Some(with), Some(source)) = (query.with.take(), insert.source.as_mut()) else {
                return p.expected("a statement", p.peek_token());
            };
            source.with = Some(match source.with.take() {
                Some(own) => match with_both(with, own) {
                    Some(both) => both,
                    None => {
                        let text = "WITH before INSERT is not supported with a recursive one behind it, or one of the same names";
                        return Ok(Body::Unsupported(text.to_string(), None));
                    }
                },
                None => with,
            });
            depth::balance(&mut insert);
            Ok(Body::Insert(Box::new(insert)))
        }
        _ => Ok(Body::Query(query)),
    }
}

/// The queries of a WITH before INSERT, and of one behind it, which sees the former. None if the latter hides some, or if
/// some can name what follows: the former must not see the latter.
fn with_both(mut outer: ast::With, inner: ast::With) -> Option<ast::With> {
    let name = |cte: &ast::Cte| match &cte.alias.name {
        quoted if quoted.quote_style.is_some() => quoted.value.clone(),
        bare => bare.value.to_lowercase(),
    };
    let hidden = |cte: &ast::Cte| inner.cte_tables.iter().any(|own| name(own) == name(cte));
    if outer.recursive || inner.recursive || outer.cte_tables.iter().any(hidden) {
        return None;
    }
    outer.cte_tables.extend(inner.cte_tables);
    Some(outer)
}

fn insert(p: &mut Parser) -> Result<Body, ParserError> {
    if !tokens::is_word(p, 1, "INTO") {
        return p.expected("INTO", p.peek_nth_token(1));
    }
    match p.parse_statement()? {
        ast::Statement::Insert(mut insert) => {
            overriding::taken(&mut insert);
            precedence::mended(&mut insert);
            depth::balance(&mut insert);
            Ok(Body::Insert(Box::new(insert)))
        }
        other => Ok(Body::Unsupported(format!("{} is not supported", leading(&other.to_string())), None)),
    }
}

/// What changes rows, which comes with a later step.
fn not_yet(what: &str) -> Body {
    Body::Unsupported(
        format!("{what} are not supported yet"),
        Some(
            "Tables take INSERT, COPY and TRUNCATE. Keep the newest row of a key in a view, or load into a new table.",
        ),
    )
}

/// Skips the rest of the statement.
fn unsupported(p: &mut Parser, message: impl Into<String>, hint: Option<&'static str>) -> Body {
    skip(p);
    Body::Unsupported(message.into(), hint)
}

fn skip(p: &mut Parser) {
    while p.next_token().token != Token::EOF {}
    // `next_token` moved past the end: the check for the end looks at it again.
}

fn leading(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// A parser's error in PostgreSQL's words.
fn syntax_error(e: ParserError, parser: Parser, text: &str, offset: usize) -> Error {
    let message = match e {
        ParserError::RecursionLimitExceeded => return too_deep(),
        ParserError::TokenizerError(m) | ParserError::ParserError(m) => m,
    };
    let current = parser.get_current_index();
    let tokens = parser.into_tokens();
    let found = location(&message)
        .and_then(|(line, column)| tokens.iter().find(|t| t.span.start.line == line && t.span.start.column == column));
    let whole = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_) | Token::EOF);
    let at_end = message.contains("found: EOF") || unfinished(&tokens);
    let found = found.or_else(|| tokens.get(current)).filter(whole).filter(|_| !at_end);
    let source = ParserError::ParserError(message);
    match found {
        Some(token) => {
            let start = char_position(text, token.span.start.line, token.span.start.column);
            let end = char_position(text, token.span.end.line, token.span.end.column);
            let near = text.chars().skip(start - 1).take(end.saturating_sub(start).max(1)).collect::<String>();
            Error::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{near}\""))
                .position(offset + start)
                .source(source)
        }
        None => Error::new(SqlState::SYNTAX_ERROR, "syntax error at end of input")
            .position(offset + text.chars().count() + 1)
            .source(source),
    }
}

/// True if the text ends in the middle of something. sqlparser tries several ways to read a parenthesis or CASE, and
/// complains about the last one.
fn unfinished(tokens: &[TokenWithSpan]) -> bool {
    let (mut parentheses, mut cases) = (0, 0);
    let mut last = Keyword::NoKeyword;
    for token in tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)) {
        last = Keyword::NoKeyword;
        match &token.token {
            Token::LParen => parentheses += 1,
            Token::RParen => parentheses -= 1,
            Token::Word(w) if w.quote_style.is_none() => {
                last = w.keyword;
                cases += i32::from(last == Keyword::CASE) - i32::from(last == Keyword::END);
            }
            _ => {}
        }
    }
    parentheses > 0 || cases > 0 || matches!(last, Keyword::GROUP | Keyword::ORDER | Keyword::BY | Keyword::WHERE)
}

/// The ` at Line: 1, Column: 5` at the end of a message of sqlparser.
fn location(message: &str) -> Option<(u64, u64)> {
    let at = message.rfind(" at Line: ")?;
    let (line, column) = message[at + 10..].split_once(", Column: ")?;
    Some((line.parse().ok()?, column.trim().parse().ok()?))
}

/// A line and column, both from 1, as a character position from 1.
pub fn char_position(text: &str, line: u64, column: u64) -> usize {
    let mut position = 0;
    for (number, content) in (1..).zip(text.split('\n')) {
        if number == line {
            break;
        }
        position += content.chars().count() + 1;
    }
    position + usize::try_from(column.max(1)).unwrap_or(1)
}
