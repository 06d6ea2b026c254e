//! CREATE, ALTER and DROP INDEX, REINDEX, CLUSTER, and comments on indexes and constraints.
//! <https://www.postgresql.org/docs/15/sql-createindex.html>

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::{cascade, expect, is_word, name, object, objects, one_of, options, own_name, string, words};
use super::{Body, depth, key, precedence, unsupported};

/// A statement about indexes.
#[derive(Clone, Debug)]
pub enum IndexStatement {
    Create(Box<CreateIndex>),
    Drop(DropIndex),
    Alter {
        name: ast::ObjectName,
        if_exists: bool,
        action: AlterIndex,
    },
    Reindex(Reindex),
    /// CLUSTER: of all tables, of one, by an index.
    Cluster {
        table: Option<ast::ObjectName>,
        index: Option<String>,
    },
    /// COMMENT ON INDEX.
    Comment {
        name: ast::ObjectName,
        text: Option<String>,
    },
    /// COMMENT ON CONSTRAINT name ON table, or ON DOMAIN type.
    CommentConstraint {
        name: String,
        on: ast::ObjectName,
        domain: bool,
        text: Option<String>,
    },
}

impl IndexStatement {
    /// What PostgreSQL calls it.
    pub fn command(&self) -> &'static str {
        match self {
            IndexStatement::Create(_) => "CREATE INDEX",
            IndexStatement::Drop(_) => "DROP INDEX",
            IndexStatement::Alter { .. } => "ALTER INDEX",
            IndexStatement::Reindex(_) => "REINDEX",
            IndexStatement::Cluster { .. } => "CLUSTER",
            IndexStatement::Comment { .. } | IndexStatement::CommentConstraint { .. } => "COMMENT",
        }
    }
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// None: PostgreSQL makes one up.
    pub name: Option<String>,
    pub if_not_exists: bool,
    pub unique: bool,
    pub concurrently: bool,
    pub table: ast::ObjectName,
    pub method: Option<String>,
    pub columns: Vec<IndexPart>,
    pub include: Vec<IndexPart>,
    pub nulls_not_distinct: bool,
    pub options: Vec<(String, Option<String>)>,
    pub tablespace: Option<String>,
    pub predicate: Option<ast::Expr>,
}

/// One part of an index.
#[derive(Clone, Debug)]
pub struct IndexPart {
    pub of: PartOf,
    pub collation: Option<String>,
    pub opclass: Option<String>,
    pub descending: Option<bool>,
    pub nulls_first: Option<bool>,
}

/// What is indexed.
#[derive(Clone, Debug)]
pub enum PartOf {
    Column(String),
    Expr(Box<ast::Expr>),
}

/// DROP INDEX.
#[derive(Clone, Debug)]
pub struct DropIndex {
    pub concurrently: bool,
    pub if_exists: bool,
    pub names: Vec<ast::ObjectName>,
    pub cascade: bool,
}

/// What ALTER INDEX does.
#[derive(Clone, Debug)]
pub enum AlterIndex {
    Rename(String),
    Set(Vec<(String, Option<String>)>),
    Reset(Vec<String>),
    Tablespace(String),
    Attach(ast::ObjectName),
    /// ALTER COLUMN n SET STATISTICS.
    Statistics(u16),
}

/// REINDEX.
#[derive(Clone, Debug)]
pub struct Reindex {
    /// `INDEX`, `TABLE`, `SCHEMA`, `DATABASE` or `SYSTEM`.
    pub kind: &'static str,
    pub concurrently: bool,
    pub name: ast::ObjectName,
}

fn body(statement: IndexStatement) -> Body {
    Body::Index(Box::new(statement))
}

/// What follows CREATE [UNIQUE] INDEX.
pub(super) fn create(p: &mut Parser, unique: bool) -> Result<Body, ParserError> {
    let concurrently = words(p, &["CONCURRENTLY"]);
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let given = match is_word(p, 0, "ON") {
        true if if_not_exists => return p.expected("a name", p.peek_token()),
        true => None,
        false => Some(own_name(p)?),
    };
    expect(p, "ON")?;
    words(p, &["ONLY"]);
    let table = object(p)?;
    let method = if words(p, &["USING"]) { Some(name(p)?) } else { None };
    let columns = parts(p)?;
    let include = if words(p, &["INCLUDE"]) { parts(p)? } else { Vec::new() };
    let nulls_not_distinct = key::nulls_not_distinct(p);
    let options = if words(p, &["WITH"]) { options(p)? } else { Vec::new() };
    let tablespace = if words(p, &["TABLESPACE"]) { Some(name(p)?) } else { None };
    let predicate = if words(p, &["WHERE"]) { Some(expr(p)?) } else { None };
    Ok(body(IndexStatement::Create(Box::new(CreateIndex {
        name: given,
        if_not_exists,
        unique,
        concurrently,
        table,
        method,
        columns,
        include,
        nulls_not_distinct,
        options,
        tablespace,
        predicate,
    }))))
}

fn mended(mut expr: ast::Expr) -> ast::Expr {
    precedence::mended(&mut expr);
    depth::balance(&mut expr);
    expr
}

fn expr(p: &mut Parser) -> Result<ast::Expr, ParserError> {
    Ok(mended(p.parse_expr()?))
}

fn parts(p: &mut Parser) -> Result<Vec<IndexPart>, ParserError> {
    p.expect_token(&Token::LParen)?;
    let parts = p.parse_comma_separated(part)?;
    p.expect_token(&Token::RParen)?;
    Ok(parts)
}

/// `a`, `f(a)` or `(expression)`, and what is said of it.
fn part(p: &mut Parser) -> Result<IndexPart, ParserError> {
    let mut collation = None;
    let call = matches!(p.peek_nth_token_ref(1).token, Token::LParen | Token::Period);
    let of = if p.consume_token(&Token::LParen) {
        if ["SELECT", "VALUES", "WITH", "TABLE"].iter().any(|w| is_word(p, 0, w)) {
            return p.expected("an expression", p.peek_token());
        }
        let expr = expr(p)?;
        p.expect_token(&Token::RParen)?;
        PartOf::Expr(Box::new(expr))
    } else if call {
        match mended(p.parse_prefix()?) {
            ast::Expr::Collate { expr, collation: named } => {
                collation = Some(named.to_string());
                PartOf::Expr(expr)
            }
            expr => PartOf::Expr(Box::new(expr)),
        }
    } else {
        PartOf::Column(own_name(p)?)
    };
    if words(p, &["COLLATE"]) {
        collation = Some(object(p)?.to_string());
    }
    let ends = |p: &Parser| {
        matches!(p.peek_token_ref().token, Token::Comma | Token::RParen)
            || ["ASC", "DESC", "NULLS"].iter().any(|w| is_word(p, 0, w))
    };
    let mut opclass = None;
    if !ends(p) {
        opclass = Some(object(p)?.to_string());
        if matches!(p.peek_token_ref().token, Token::LParen) {
            options(p)?;
        }
    }
    let descending = one_of(p, &["ASC", "DESC"]).map(|w| w == "DESC");
    let nulls_first = if words(p, &["NULLS", "FIRST"]) {
        Some(true)
    } else if words(p, &["NULLS", "LAST"]) {
        Some(false)
    } else {
        None
    };
    Ok(IndexPart { of, collation, opclass, descending, nulls_first })
}

/// What follows DROP INDEX.
pub(super) fn drop(p: &mut Parser) -> Result<Body, ParserError> {
    let concurrently = words(p, &["CONCURRENTLY"]);
    let if_exists = words(p, &["IF", "EXISTS"]);
    let names = objects(p)?;
    Ok(body(IndexStatement::Drop(DropIndex { concurrently, if_exists, names, cascade: cascade(p) })))
}

/// What follows ALTER INDEX.
pub(super) fn alter(p: &mut Parser) -> Result<Body, ParserError> {
    if words(p, &["ALL", "IN", "TABLESPACE"]) {
        return Ok(unsupported(p, "ALTER INDEX ALL IN TABLESPACE is not supported", None));
    }
    let if_exists = words(p, &["IF", "EXISTS"]);
    let index = object(p)?;
    let action = if words(p, &["RENAME", "TO"]) {
        AlterIndex::Rename(name(p)?)
    } else if words(p, &["SET", "TABLESPACE"]) {
        let tablespace = name(p)?;
        words(p, &["NOWAIT"]);
        AlterIndex::Tablespace(tablespace)
    } else if words(p, &["SET"]) {
        AlterIndex::Set(options(p)?)
    } else if words(p, &["RESET"]) {
        AlterIndex::Reset(options(p)?.into_iter().map(|(name, _)| name).collect())
    } else if words(p, &["ATTACH", "PARTITION"]) {
        AlterIndex::Attach(object(p)?)
    } else if words(p, &["ALTER"]) {
        words(p, &["COLUMN"]);
        let number = p.parse_literal_uint()?;
        expect(p, "SET")?;
        expect(p, "STATISTICS")?;
        super::tokens::plain_value(p)?;
        AlterIndex::Statistics(u16::try_from(number).unwrap_or(u16::MAX))
    } else if is_word(p, 0, "DEPENDS") || is_word(p, 0, "NO") {
        return Ok(unsupported(p, "ALTER INDEX … DEPENDS ON EXTENSION is not supported", None));
    } else {
        return p.expected("RENAME, SET, RESET, ALTER or ATTACH", p.peek_token());
    };
    Ok(body(IndexStatement::Alter { name: index, if_exists, action }))
}

/// REINDEX.
pub(super) fn reindex(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "REINDEX")?;
    if matches!(p.peek_token_ref().token, Token::LParen) {
        utility_options(p)?;
    }
    let Some(kind) = one_of(p, &["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"]) else {
        return p.expected("INDEX, TABLE, SCHEMA, DATABASE or SYSTEM", p.peek_token());
    };
    let concurrently = words(p, &["CONCURRENTLY"]);
    Ok(body(IndexStatement::Reindex(Reindex { kind, concurrently, name: object(p)? })))
}

/// `(VERBOSE, TABLESPACE t, CONCURRENTLY false)`: taken, and nothing done with it.
fn utility_options(p: &mut Parser) -> Result<(), ParserError> {
    p.expect_token(&Token::LParen)?;
    p.parse_comma_separated(|p| {
        name(p)?;
        if !matches!(p.peek_token_ref().token, Token::Comma | Token::RParen) {
            super::tokens::plain_value(p)?;
        }
        Ok(())
    })?;
    p.expect_token(&Token::RParen)?;
    Ok(())
}

/// CLUSTER.
pub(super) fn cluster(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "CLUSTER")?;
    words(p, &["VERBOSE"]);
    if matches!(p.peek_token_ref().token, Token::LParen) {
        utility_options(p)?;
    }
    if matches!(p.peek_token_ref().token, Token::EOF) {
        return Ok(body(IndexStatement::Cluster { table: None, index: None }));
    }
    if is_word(p, 1, "ON") {
        let index = Some(name(p)?);
        expect(p, "ON")?;
        return Ok(body(IndexStatement::Cluster { table: Some(object(p)?), index }));
    }
    let table = Some(object(p)?);
    let index = if words(p, &["USING"]) { Some(name(p)?) } else { None };
    Ok(body(IndexStatement::Cluster { table, index }))
}

/// What follows COMMENT ON INDEX or COMMENT ON CONSTRAINT.
pub(super) fn comment(p: &mut Parser, constraint: bool) -> Result<Body, ParserError> {
    let text = |p: &mut Parser| -> Result<Option<String>, ParserError> {
        expect(p, "IS")?;
        Ok(if words(p, &["NULL"]) { None } else { Some(string(p)?).filter(|s| !s.is_empty()) })
    };
    if !constraint {
        let name = object(p)?;
        return Ok(body(IndexStatement::Comment { name, text: text(p)? }));
    }
    let name = name(p)?;
    expect(p, "ON")?;
    let domain = words(p, &["DOMAIN"]);
    let on = object(p)?;
    Ok(body(IndexStatement::CommentConstraint { name, on, domain, text: text(p)? }))
}
