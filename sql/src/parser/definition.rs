//! CREATE, ALTER and DROP of relations and schemas (of types: `user_type.rs`), COMMENT ON, TRUNCATE.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::key::KeyClause;
use super::sequence::ColumnAction;
use super::tokens::{cascade, expect, is_word, name, object, objects, one_of, options, query, string, words};
use super::{Body, unsupported};

/// CREATE TABLE, CREATE TABLE AS and SELECT INTO.
#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: ast::ObjectName,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub columns: Vec<ast::ColumnDef>,
    pub constraints: Vec<ast::TableConstraint>,
    /// Keys of columns and of the table.
    pub keys: Vec<KeyClause>,
    /// The clause PARTITION BY.
    pub partition_by: Option<Vec<ast::Expr>>,
    /// The clause CLUSTER BY (or ORDER BY).
    pub cluster_by: Option<Vec<ast::Expr>>,
    /// The clause WITH: names and values.
    pub options: Vec<(String, Option<String>)>,
    /// AS query.
    pub query: Option<Box<ast::Query>>,
    /// AS EXECUTE: a prepared statement's name, and its arguments.
    pub execute: Option<(String, Vec<ast::Expr>)>,
    /// Names of the columns in CREATE TABLE t (a, b) AS.
    pub column_names: Vec<ast::Ident>,
    /// False with WITH NO DATA.
    pub with_data: bool,
    /// What COMMIT does with a temporary table, if it was said.
    pub on_commit: Option<OnCommit>,
    /// What was said that we don't have, e.g. INHERITS.
    pub unsupported: Option<String>,
    /// `SELECT INTO` answers as `SELECT n`, and so does CREATE TABLE AS.
    pub select_into: bool,
}

impl CreateTable {
    fn new(name: ast::ObjectName) -> CreateTable {
        CreateTable {
            name,
            if_not_exists: false,
            temporary: false,
            columns: Vec::new(),
            constraints: Vec::new(),
            keys: Vec::new(),
            partition_by: None,
            cluster_by: None,
            options: Vec::new(),
            query: None,
            execute: None,
            column_names: Vec::new(),
            with_data: true,
            on_commit: None,
            unsupported: None,
            select_into: false,
        }
    }

    /// What `SELECT … INTO t` means; `query` is without the INTO.
    pub(super) fn select_into(into: ast::SelectInto, query: Box<ast::Query>) -> CreateTable {
        let mut table = CreateTable::new(into.name);
        table.temporary = into.temporary;
        table.query = Some(query);
        table.select_into = true;
        table
    }
}

/// What COMMIT does with a temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// CREATE VIEW.
#[derive(Clone, Debug)]
pub struct CreateView {
    pub name: ast::ObjectName,
    pub or_replace: bool,
    pub temporary: bool,
    pub columns: Vec<ast::Ident>,
    pub query: Box<ast::Query>,
}

/// ALTER TABLE with one or several actions.
#[derive(Clone, Debug)]
pub struct AlterTable {
    pub name: ast::ObjectName,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

impl AlterTable {
    /// Whether it adds a column, of which the type may be none.
    pub fn adds_column(&self) -> bool {
        let adds = |a: &AlterAction| matches!(a, AlterAction::Standard(o) if matches!(o.as_ref(), ast::AlterTableOperation::AddColumn { .. }));
        self.actions.iter().any(adds)
    }
}

/// One action of ALTER TABLE.
#[derive(Clone, Debug)]
pub enum AlterAction {
    /// One that sqlparser knows.
    Standard(Box<ast::AlterTableOperation>),
    SetOptions(Vec<(String, Option<String>)>),
    ResetOptions(Vec<String>),
    AddKey(KeyClause),
    /// A key of a column that is added; with true only if the column was not there.
    AddColumnKey(KeyClause, bool),
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    ValidateConstraint(String),
    /// ALTER CONSTRAINT: name and attributes.
    AlterConstraint(KeyClause),
    /// CLUSTER ON an index; none for SET WITHOUT CLUSTER.
    ClusterOn(Option<String>),
    /// Understood but not done.
    Unsupported(&'static str),
    /// How a column gets its values.
    Column(String, ColumnAction),
}

/// Which kind of thing is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table,
    View,
    Sequence,
    Schema,
    Type,
    Domain,
    Column,
    Database,
    Role,
}

/// RENAME TO, OWNER TO or SET SCHEMA of a relation or schema.
#[derive(Clone, Debug)]
pub struct Rename {
    pub kind: Kind,
    pub if_exists: bool,
    pub name: ast::ObjectName,
    pub to: RenameTo,
}

/// What [`Rename`] changes.
#[derive(Clone, Debug)]
pub enum RenameTo {
    Name(String),
    Owner(String),
    Schema(String),
    /// ALTER TABLE or VIEW … RENAME COLUMN from TO to.
    Column(String, String),
}

/// DROP TABLE, VIEW, SCHEMA, TYPE or DOMAIN.
#[derive(Clone, Debug)]
pub struct Drop {
    pub kind: Kind,
    pub if_exists: bool,
    pub names: Vec<ast::ObjectName>,
    pub cascade: bool,
}

/// TRUNCATE.
#[derive(Clone, Debug)]
pub struct Truncate {
    pub names: Vec<ast::ObjectName>,
    /// RESTART IDENTITY.
    pub restart: bool,
    pub cascade: bool,
}

/// CREATE SCHEMA.
#[derive(Clone, Debug)]
pub struct SchemaStatement {
    pub if_not_exists: bool,
    /// None: named as its owner.
    pub name: Option<String>,
    pub owner: Option<String>,
}

/// COMMENT ON.
#[derive(Clone, Debug)]
pub struct CommentOn {
    pub kind: Kind,
    pub name: ast::ObjectName,
    pub text: Option<String>,
}

pub(super) fn create(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "CREATE")?;
    let or_replace = words(p, &["OR", "REPLACE"]);
    let global = one_of(p, &["GLOBAL", "LOCAL"]).is_some();
    let temporary = one_of(p, &["TEMPORARY", "TEMP"]).is_some();
    words(p, &["UNLOGGED"]);
    if !or_replace && words(p, &["TABLE"]) {
        return create_table(p, temporary || global);
    }
    if words(p, &["RECURSIVE", "VIEW"]) {
        return recursive_view(p, or_replace, temporary);
    }
    if is_word(p, 0, "MATERIALIZED") {
        return Ok(unsupported(p, "only plain views are supported", Some("Use CREATE VIEW or CREATE TABLE … AS.")));
    }
    if words(p, &["VIEW"]) {
        return create_view(p, or_replace, temporary);
    }
    if !or_replace && words(p, &["SCHEMA"]) {
        return create_schema(p);
    }
    if !or_replace && words(p, &["TYPE"]) {
        return super::user_type::create_type(p);
    }
    if !or_replace && words(p, &["DOMAIN"]) {
        return super::user_type::create_domain(p);
    }
    if !or_replace && words(p, &["SEQUENCE"]) {
        return super::sequence::create(p, temporary || global);
    }
    if !or_replace && words(p, &["UNIQUE", "INDEX"]) {
        return super::index::create(p, true);
    }
    if !or_replace && words(p, &["INDEX"]) {
        return super::index::create(p, false);
    }
    other(p, "CREATE")
}

/// A statement for a kind of object that PostgreSQL has and we have not; anything else is a syntax error.
fn other(p: &mut Parser, verb: &str) -> Result<Body, ParserError> {
    const KINDS: [&str; 29] = [
        "ACCESS",
        "AGGREGATE",
        "CAST",
        "COLLATION",
        "CONVERSION",
        "EVENT",
        "EXTENSION",
        "FOREIGN",
        "FUNCTION",
        "LANGUAGE",
        "MATERIALIZED",
        "OPERATOR",
        "OWNED",
        "POLICY",
        "PROCEDURE",
        "PUBLICATION",
        "ROUTINE",
        "RULE",
        "SERVER",
        "STATISTICS",
        "SUBSCRIPTION",
        "SYSTEM",
        "TABLESPACE",
        "TEXT",
        "TRANSFORM",
        "TRIGGER",
        "DEFAULT",
        "LARGE",
        "CONSTRAINT",
    ];
    match one_of(p, &KINDS) {
        Some(kind) => Ok(unsupported(p, format!("{verb} {kind} is not supported"), None)),
        None => p.expected("a kind of object", p.peek_token()),
    }
}

fn create_table(p: &mut Parser, temporary: bool) -> Result<Body, ParserError> {
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let mut table = CreateTable::new(object(p)?);
    table.if_not_exists = if_not_exists;
    table.temporary = temporary;
    if is_word(p, 0, "PARTITION") && is_word(p, 1, "OF") {
        super::skip(p);
        table.unsupported = Some("PARTITION OF".to_string());
        return Ok(Body::CreateTable(Box::new(table)));
    }
    if words(p, &["OF"]) {
        super::skip(p);
        table.unsupported = Some("OF a composite type".to_string());
        return Ok(Body::CreateTable(Box::new(table)));
    }
    let list = matches!(p.peek_token_ref().token, Token::LParen);
    if list {
        columns(p, &mut table)?;
    }
    while clause(p, &mut table)? {}
    if words(p, &["AS"]) {
        if is_word(p, 0, "EXECUTE") {
            table.execute = Some(super::utility::execution(p)?);
        } else {
            table.query = Some(query(p)?);
        }
        if words(p, &["WITH", "NO", "DATA"]) {
            table.with_data = false;
        } else {
            words(p, &["WITH", "DATA"]);
        }
        // Clauses may stand behind the query as well, as far as the query leaves them to us.
        while clause(p, &mut table)? {}
    }
    let nothing = table.query.is_none() && table.execute.is_none() && table.unsupported.is_none();
    if nothing && (!list || !table.column_names.is_empty()) {
        return p.expected("AS", p.peek_token());
    }
    Ok(Body::CreateTable(Box::new(table)))
}

/// `(a int, …)`, or the names of `(a, b) AS query`.
fn columns(p: &mut Parser, table: &mut CreateTable) -> Result<(), ParserError> {
    let names = |p: &mut Parser| {
        p.expect_token(&Token::LParen)?;
        let names = p.parse_comma_separated(|p| p.parse_identifier())?;
        p.expect_token(&Token::RParen)?;
        Ok(names)
    };
    if let Some(names) = p.maybe_parse(names)? {
        table.column_names = names;
        return Ok(());
    }
    let all = super::key::elements(p)?;
    (table.columns, table.constraints, table.keys) = (all.columns, all.checks, all.keys);
    table.unsupported = all.unsupported;
    Ok(())
}

/// One clause behind the columns, in any order. False if there is none.
fn clause(p: &mut Parser, table: &mut CreateTable) -> Result<bool, ParserError> {
    if is_word(p, 0, "PARTITION") && is_word(p, 1, "BY") {
        once(p, table.partition_by.is_some())?;
        words(p, &["PARTITION", "BY"]);
        if let Some(method) = one_of(p, &["RANGE", "LIST", "HASH"]) {
            // `PARTITION BY hash(c, 8)` is ours; PostgreSQL's methods have partitions of their own.
            if method != "HASH" || !hash_with_count(p) {
                super::skip(p);
                table.unsupported = Some(format!("PARTITION BY {method}"));
                return Ok(true);
            }
            p.prev_token();
        }
        table.partition_by = Some(exprs(p)?);
        return Ok(true);
    }
    if (is_word(p, 0, "CLUSTER") || is_word(p, 0, "ORDER")) && is_word(p, 1, "BY") {
        once(p, table.cluster_by.is_some())?;
        p.advance_token();
        p.advance_token();
        table.cluster_by = Some(exprs(p)?);
        return Ok(true);
    }
    if is_word(p, 0, "WITH") && matches!(p.peek_nth_token_ref(1).token, Token::LParen) {
        once(p, !table.options.is_empty())?;
        p.advance_token();
        table.options = options(p)?;
        return Ok(true);
    }
    if words(p, &["WITHOUT", "OIDS"]) {
        return Ok(true);
    }
    if is_word(p, 0, "INHERITS") || is_word(p, 0, "TABLESPACE") || is_word(p, 0, "USING") {
        table.unsupported = Some(p.peek_token_ref().token.to_string().to_uppercase());
        super::skip(p);
        return Ok(true);
    }
    if words(p, &["ON", "COMMIT"]) {
        table.on_commit = Some(match one_of(p, &["PRESERVE", "DELETE", "DROP"]) {
            Some("PRESERVE") => OnCommit::PreserveRows,
            Some("DELETE") => OnCommit::DeleteRows,
            Some(_) => OnCommit::Drop,
            None => return p.expected("PRESERVE ROWS, DELETE ROWS or DROP", p.peek_token()),
        });
        if table.on_commit != Some(OnCommit::Drop) {
            expect(p, "ROWS")?;
        }
        return Ok(true);
    }
    Ok(false)
}

fn once(p: &mut Parser, seen: bool) -> Result<(), ParserError> {
    if seen { p.expected("each clause once", p.peek_token()) } else { Ok(()) }
}

/// True for `(expr, number)`: looks ahead only.
fn hash_with_count(p: &Parser) -> bool {
    let mut depth = 0;
    for n in 0.. {
        match &p.peek_nth_token_ref(n).token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return false,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 1 => return matches!(p.peek_nth_token_ref(n + 1).token, Token::Number(..)),
            Token::EOF => return false,
            _ => {}
        }
    }
    false
}

/// `(expr, …)`, or one expression without parentheses such as `month(ts)`.
fn exprs(p: &mut Parser) -> Result<Vec<ast::Expr>, ParserError> {
    if p.consume_token(&Token::LParen) {
        if p.consume_token(&Token::RParen) {
            return Ok(Vec::new());
        }
        let list = p.parse_comma_separated(|p| p.parse_expr())?;
        p.expect_token(&Token::RParen)?;
        return Ok(list);
    }
    Ok(vec![p.parse_expr()?])
}

/// Parses the text of the options `partition_by` and `cluster_by`: expressions with commas, perhaps in parentheses.
///
/// # Errors
/// 42601.
pub fn parse_exprs(text: &str) -> sightline_storage::error::Result<Vec<ast::Expr>> {
    super::with_parser(text, 0, |p| {
        if matches!(p.peek_token_ref().token, Token::EOF) {
            return Ok(Vec::new());
        }
        let list = p.maybe_parse(|p| {
            let list = exprs(p)?;
            if matches!(p.peek_token_ref().token, Token::EOF) { Ok(list) } else { p.expected("end", p.peek_token()) }
        })?;
        match list {
            Some(list) => Ok(list),
            None => p.parse_comma_separated(|p| p.parse_expr()),
        }
    })
}

fn create_view(p: &mut Parser, or_replace: bool, temporary: bool) -> Result<Body, ParserError> {
    if is_word(p, 0, "IF") && is_word(p, 1, "NOT") {
        return p.expected("a name", p.peek_token());
    }
    let name = object(p)?;
    let mut columns = Vec::new();
    if p.consume_token(&Token::LParen) {
        columns = p.parse_comma_separated(|p| p.parse_identifier())?;
        p.expect_token(&Token::RParen)?;
    }
    if words(p, &["WITH"]) {
        super::skip(p);
        return Ok(Body::Unsupported("options of views are not supported".to_string(), None));
    }
    expect(p, "AS")?;
    let query = query(p)?;
    if is_word(p, 0, "WITH") {
        return Ok(unsupported(p, "WITH CHECK OPTION is not supported", Some("Views are read only.")));
    }
    Ok(Body::CreateView(Box::new(CreateView { name, or_replace, temporary, columns, query })))
}

/// `CREATE RECURSIVE VIEW v (a) AS query` is `CREATE VIEW v (a) AS WITH RECURSIVE v (a) AS (query) SELECT a FROM v`
/// (<https://www.postgresql.org/docs/15/sql-createview.html>).
fn recursive_view(p: &mut Parser, or_replace: bool, temporary: bool) -> Result<Body, ParserError> {
    let name = object(p)?;
    p.expect_token(&Token::LParen)?;
    let columns = p.parse_comma_separated(|p| p.parse_identifier())?;
    p.expect_token(&Token::RParen)?;
    expect(p, "AS")?;
    let term = query(p)?;
    if is_word(p, 0, "WITH") {
        return p.expected("end of statement", p.peek_token());
    }
    let Some(own) = name.0.last().and_then(|part| part.as_ident()).cloned() else {
        return p.expected("a name", p.peek_token());
    };
    let list = columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = format!("WITH RECURSIVE {own} ({list}) AS ({term}) SELECT {list} FROM {own}");
    let query = super::query(&text).map_err(|e| ParserError::ParserError(e.message().to_string()))?;
    Ok(Body::CreateView(Box::new(CreateView { name, or_replace, temporary, columns, query: Box::new(query) })))
}

fn create_schema(p: &mut Parser) -> Result<Body, ParserError> {
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let schema = if is_word(p, 0, "AUTHORIZATION") { None } else { Some(name(p)?) };
    let owner = if words(p, &["AUTHORIZATION"]) { Some(name(p)?) } else { None };
    if is_word(p, 0, "CREATE") || is_word(p, 0, "GRANT") {
        return Ok(unsupported(p, "elements in CREATE SCHEMA are not supported", Some("Create them one by one.")));
    }
    Ok(Body::Schema(SchemaStatement { if_not_exists, name: schema, owner }))
}

fn relation_kind(p: &mut Parser) -> Option<Kind> {
    match one_of(p, &["TABLE", "VIEW", "SEQUENCE", "SCHEMA", "TYPE", "DOMAIN"])? {
        "TABLE" => Some(Kind::Table),
        "SEQUENCE" => Some(Kind::Sequence),
        "VIEW" => Some(Kind::View),
        "TYPE" => Some(Kind::Type),
        "DOMAIN" => Some(Kind::Domain),
        _ => Some(Kind::Schema),
    }
}

pub(super) fn alter(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "ALTER")?;
    if words(p, &["INDEX"]) {
        return super::index::alter(p);
    }
    let Some(kind) = relation_kind(p) else { return other(p, "ALTER") };
    let if_exists = words(p, &["IF", "EXISTS"]);
    words(p, &["ONLY"]);
    let name = object(p)?;
    super::tokens::optional(p, &Token::Mul);
    let to = if words(p, &["RENAME", "TO"]) {
        Some(RenameTo::Name(super::tokens::name(p)?))
    } else if words(p, &["OWNER", "TO"]) {
        Some(RenameTo::Owner(super::tokens::name(p)?))
    } else if words(p, &["SET", "SCHEMA"]) {
        Some(RenameTo::Schema(super::tokens::name(p)?))
    } else if is_word(p, 0, "RENAME") && !is_word(p, 1, "CONSTRAINT") && matches!(kind, Kind::Table | Kind::View) {
        words(p, &["RENAME"]);
        words(p, &["COLUMN"]);
        let from = super::tokens::name(p)?;
        expect(p, "TO")?;
        Some(RenameTo::Column(from, super::tokens::name(p)?))
    } else {
        None
    };
    if let Some(to) = to {
        return Ok(Body::Rename(Box::new(Rename { kind, if_exists, name, to })));
    }
    match kind {
        Kind::Type => return super::user_type::alter_type(p, name),
        Kind::Domain => return super::user_type::alter_domain(p, name),
        Kind::Sequence => return super::sequence::alter(p, name, if_exists),
        _ => {}
    }
    if kind != Kind::Table {
        return Ok(unsupported(p, "only RENAME TO, OWNER TO and SET SCHEMA are supported here", None));
    }
    let actions = p.parse_comma_separated(alter_action)?.into_iter().flatten().collect();
    Ok(Body::AlterTable(Box::new(AlterTable { name, if_exists, actions })))
}

fn alter_action(p: &mut Parser) -> Result<Vec<AlterAction>, ParserError> {
    if let Some(actions) = super::key::alter_action(p)? {
        return Ok(actions);
    }
    if is_word(p, 0, "SET") && matches!(p.peek_nth_token_ref(1).token, Token::LParen) {
        p.advance_token();
        return Ok(vec![AlterAction::SetOptions(options(p)?)]);
    }
    if is_word(p, 0, "RESET") {
        p.advance_token();
        return Ok(vec![AlterAction::ResetOptions(options(p)?.into_iter().map(|(k, _)| k).collect())]);
    }
    if let Some((column, action)) = super::sequence::column_action(p)? {
        return Ok(vec![AlterAction::Column(column, action)]);
    }
    Ok(vec![AlterAction::Standard(Box::new(p.parse_alter_table_operation()?))])
}

pub(super) fn drop(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "DROP")?;
    if words(p, &["INDEX"]) {
        return super::index::drop(p);
    }
    let Some(kind) = relation_kind(p) else { return other(p, "DROP") };
    let if_exists = words(p, &["IF", "EXISTS"]);
    let names = objects(p)?;
    Ok(Body::Drop(Drop { kind, if_exists, names, cascade: cascade(p) }))
}

pub(super) fn truncate(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "TRUNCATE")?;
    words(p, &["TABLE"]);
    let names = p.parse_comma_separated(|p| {
        words(p, &["ONLY"]);
        let name = object(p)?;
        super::tokens::optional(p, &Token::Mul);
        Ok(name)
    })?;
    let restart = words(p, &["RESTART", "IDENTITY"]);
    if !restart {
        words(p, &["CONTINUE", "IDENTITY"]);
    }
    let cascade = cascade(p);
    Ok(Body::Truncate(Truncate { names, restart, cascade }))
}

pub(super) fn comment(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "COMMENT")?;
    expect(p, "ON")?;
    if let Some(kind) = one_of(p, &["INDEX", "CONSTRAINT"]) {
        return super::index::comment(p, kind == "CONSTRAINT");
    }
    let kind = match one_of(
        p,
        &["TABLE", "COLUMN", "VIEW", "SEQUENCE", "SCHEMA", "TYPE", "DOMAIN", "DATABASE", "TENANT", "ROLE", "USER"],
    ) {
        Some("TABLE") => Kind::Table,
        Some("SEQUENCE") => Kind::Sequence,
        Some("COLUMN") => Kind::Column,
        Some("VIEW") => Kind::View,
        Some("SCHEMA") => Kind::Schema,
        Some("TYPE") => Kind::Type,
        Some("DOMAIN") => Kind::Domain,
        Some("DATABASE" | "TENANT") => Kind::Database,
        Some(_) => Kind::Role,
        None => return other(p, "COMMENT ON"),
    };
    let name = object(p)?;
    expect(p, "IS")?;
    let text = if words(p, &["NULL"]) { None } else { Some(string(p)?).filter(|s| !s.is_empty()) };
    Ok(Body::Comment(Box::new(CommentOn { kind, name, text })))
}
