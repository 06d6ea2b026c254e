//! Statements about the session: transactions, settings, prepared statements, EXPLAIN, and what does nothing here.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::tokens::{expect, is_word, name, one_of, peek_word, plain_value, string, words};
use super::{Body, Statement, change, cursor, not_yet, unsupported};

/// BEGIN and its kin.
#[derive(Clone, Debug, PartialEq)]
pub enum Transaction {
    /// BEGIN, or START TRANSACTION: the command tag tells which.
    Begin {
        tag: &'static str,
        modes: Modes,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// SET TRANSACTION.
    Set(Modes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetSession(Modes),
}

/// Modes of a transaction, where they are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modes {
    /// `read committed` …
    pub isolation: Option<&'static str>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

/// SET.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    pub name: String,
    /// The values as plain text, to be joined by commas; none for DEFAULT.
    pub values: Option<Vec<String>>,
    /// SET LOCAL.
    pub local: bool,
}

/// SET or RESET of what the sessions of a role or a tenant begin with.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Set(Set),
    /// A name, or all.
    Reset(Option<String>),
}

/// DISCARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temporary,
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    /// Other options as written, e.g. `format` `json`.
    pub options: Vec<(String, Option<String>)>,
    pub statement: Arc<Statement>,
}

/// Statements that begin with `first`.
pub(super) fn utility(p: &mut Parser, first: &str) -> Result<Body, ParserError> {
    match first {
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => transaction(p, first),
        "SET" => set(p),
        "SHOW" => show(p),
        "RESET" => reset(p),
        "DISCARD" => discard(p),
        "EXECUTE" => execute(p),
        "DEALLOCATE" => deallocate(p),
        "UPDATE" | "DELETE" if change::current_of(p) => {
            Ok(unsupported(p, "WHERE CURRENT OF is not supported", Some("Name the row by its key.")))
        }
        "UPDATE" | "DELETE" => change::change(p),
        "MERGE" => {
            super::skip(p);
            Ok(not_yet(&format!("{first} statements")))
        }
        "ANALYZE" | "ANALYSE" => nothing(p, "ANALYZE"),
        "CHECKPOINT" => nothing(p, "CHECKPOINT"),
        "VACUUM" => nothing(p, "VACUUM"),
        "UNLISTEN" => nothing(p, "UNLISTEN"),
        "DECLARE" => cursor::declare(p),
        "FETCH" | "MOVE" => cursor::fetch(p),
        "CLOSE" => cursor::close(p),
        "LISTEN" | "NOTIFY" => Ok(unsupported(p, format!("{first} is not supported"), None)),
        "LOCK" => Ok(unsupported(
            p,
            "LOCK TABLE is not supported",
            Some(
                "A statement sees one snapshot; a transaction that loses a race fails with 40001 and can be repeated.",
            ),
        )),
        "REINDEX" => super::index::reindex(p),
        "CLUSTER" => super::index::cluster(p),
        "DO" | "CALL" | "REFRESH" | "SECURITY" | "REASSIGN" | "LOAD" | "IMPORT" => {
            Ok(unsupported(p, format!("{first} is not supported"), None))
        }
        _ => p.expected("a statement", p.peek_token()),
    }
}

fn nothing(p: &mut Parser, tag: &'static str) -> Result<Body, ParserError> {
    super::skip(p);
    Ok(Body::Nothing(tag))
}

fn transaction(p: &mut Parser, first: &str) -> Result<Body, ParserError> {
    p.advance_token();
    Ok(Body::Transaction(match first {
        "BEGIN" => {
            one_of(p, &["WORK", "TRANSACTION"]);
            Transaction::Begin { tag: "BEGIN", modes: modes(p)? }
        }
        "START" => {
            expect(p, "TRANSACTION")?;
            Transaction::Begin { tag: "START TRANSACTION", modes: modes(p)? }
        }
        "COMMIT" | "END" => {
            if is_word(p, 0, "PREPARED") {
                return Ok(unsupported(p, "COMMIT PREPARED is not supported", None));
            }
            one_of(p, &["WORK", "TRANSACTION"]);
            Transaction::Commit { chain: chain(p)? }
        }
        "SAVEPOINT" => Transaction::Savepoint(name(p)?),
        "RELEASE" => {
            words(p, &["SAVEPOINT"]);
            Transaction::Release(name(p)?)
        }
        _ => {
            if is_word(p, 0, "PREPARED") {
                return Ok(unsupported(p, "ROLLBACK PREPARED is not supported", None));
            }
            one_of(p, &["WORK", "TRANSACTION"]);
            if words(p, &["TO"]) {
                words(p, &["SAVEPOINT"]);
                Transaction::RollbackTo(name(p)?)
            } else {
                Transaction::Rollback { chain: chain(p)? }
            }
        }
    }))
}

fn chain(p: &mut Parser) -> Result<bool, ParserError> {
    if !words(p, &["AND"]) {
        return Ok(false);
    }
    let no = words(p, &["NO"]);
    expect(p, "CHAIN")?;
    Ok(!no)
}

fn modes(p: &mut Parser) -> Result<Modes, ParserError> {
    let mut modes = Modes::default();
    loop {
        if words(p, &["ISOLATION", "LEVEL"]) {
            modes.isolation = Some(isolation(p)?);
        } else if words(p, &["READ"]) {
            modes.read_only = match one_of(p, &["ONLY", "WRITE"]) {
                Some(word) => Some(word == "ONLY"),
                None => return p.expected("ONLY or WRITE", p.peek_token()),
            };
        } else if words(p, &["NOT", "DEFERRABLE"]) {
            modes.deferrable = Some(false);
        } else if words(p, &["DEFERRABLE"]) {
            modes.deferrable = Some(true);
        } else {
            return Ok(modes);
        }
        super::tokens::optional(p, &Token::Comma);
    }
}

fn isolation(p: &mut Parser) -> Result<&'static str, ParserError> {
    for (spelled, level) in [
        (&["READ", "COMMITTED"] as &[&str], "read committed"),
        (&["READ", "UNCOMMITTED"], "read uncommitted"),
        (&["REPEATABLE", "READ"], "repeatable read"),
        (&["SERIALIZABLE"], "serializable"),
    ] {
        if words(p, spelled) {
            return Ok(level);
        }
    }
    p.expected("an isolation level", p.peek_token())
}

fn set(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "SET")?;
    if words(p, &["TRANSACTION"]) {
        if words(p, &["SNAPSHOT"]) {
            return Ok(unsupported(p, "SET TRANSACTION SNAPSHOT is not supported", None));
        }
        return Ok(Body::Transaction(Transaction::Set(modes(p)?)));
    }
    if words(p, &["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"]) {
        return Ok(Body::Transaction(Transaction::SetSession(modes(p)?)));
    }
    if is_word(p, 0, "CONSTRAINTS") {
        return nothing(p, "SET CONSTRAINTS");
    }
    let after_scope = |p: &Parser| !matches!(p.peek_nth_token_ref(1).token, Token::Eq) && !is_word(p, 1, "TO");
    let mut local = false;
    if is_word(p, 0, "LOCAL") && after_scope(p) {
        p.advance_token();
        local = true;
    } else if is_word(p, 0, "SESSION") && after_scope(p) && !is_word(p, 1, "AUTHORIZATION") {
        p.advance_token();
    }
    let of = |name: &str, values| Ok(Body::Set(Set { name: name.to_string(), values, local }));
    if words(p, &["TIME", "ZONE"]) {
        return of("timezone", time_zone(p)?);
    }
    if words(p, &["NAMES"]) {
        let default = matches!(p.peek_token_ref().token, Token::EOF) || words(p, &["DEFAULT"]);
        return of("client_encoding", if default { None } else { Some(vec![plain_value(p)?]) });
    }
    if words(p, &["SCHEMA"]) {
        return of("search_path", Some(vec![string(p)?]));
    }
    if words(p, &["ROLE"]) {
        let none = words(p, &["NONE"]) || words(p, &["DEFAULT"]);
        return of("role", if none { None } else { Some(vec![plain_value(p)?]) });
    }
    if words(p, &["SESSION", "AUTHORIZATION"]) {
        let none = words(p, &["DEFAULT"]);
        return of("session_authorization", if none { None } else { Some(vec![plain_value(p)?]) });
    }
    let name = setting_name(p)?;
    if !p.consume_token(&Token::Eq) {
        expect(p, "TO")?;
    }
    let values = if words(p, &["DEFAULT"]) { None } else { Some(p.parse_comma_separated(set_value)?) };
    of(&name, values)
}

/// `SET name = value` or `RESET name` behind ALTER ROLE and ALTER DATABASE; none if something else follows.
pub(super) fn change(p: &mut Parser) -> Result<Option<Change>, ParserError> {
    let body = match peek_word(p, 0).as_deref() {
        Some("SET") => set(p)?,
        Some("RESET") => reset(p)?,
        _ => return Ok(None),
    };
    match body {
        Body::Set(set) => Ok(Some(Change::Set(set))),
        Body::Reset(name) => Ok(Some(Change::Reset(name))),
        _ => p.expected("a setting", p.peek_token()),
    }
}

fn set_value(p: &mut Parser) -> Result<String, ParserError> {
    match &p.peek_token_ref().token {
        // Unquoted words fold, as everywhere.
        Token::Word(w) if w.quote_style.is_none() => {
            let folded = w.value.to_lowercase();
            p.advance_token();
            Ok(folded)
        }
        _ => plain_value(p),
    }
}

fn time_zone(p: &mut Parser) -> Result<Option<Vec<String>>, ParserError> {
    if words(p, &["LOCAL"]) || words(p, &["DEFAULT"]) {
        return Ok(None);
    }
    let interval = words(p, &["INTERVAL"]);
    let value = plain_value(p)?;
    if interval && words(p, &["HOUR"]) {
        words(p, &["TO", "MINUTE"]);
    }
    // As PostgreSQL hands it to the setting.
    Ok(Some(vec![if interval { format!("INTERVAL '{value}'") } else { value }]))
}

/// `name` or `extension.name`.
fn setting_name(p: &mut Parser) -> Result<String, ParserError> {
    let mut whole = name(p)?;
    while p.consume_token(&Token::Period) {
        whole = format!("{whole}.{}", name(p)?);
    }
    Ok(whole)
}

fn show(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "SHOW")?;
    if words(p, &["TRANSACTION", "ISOLATION", "LEVEL"]) {
        return Ok(Body::Show("transaction_isolation".to_string()));
    }
    if words(p, &["SESSION", "AUTHORIZATION"]) {
        return Ok(Body::Show("session_authorization".to_string()));
    }
    if words(p, &["TIME", "ZONE"]) {
        return Ok(Body::Show("TimeZone".to_string()));
    }
    Ok(Body::Show(setting_name(p)?))
}

fn reset(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "RESET")?;
    if words(p, &["ALL"]) {
        return Ok(Body::Reset(None));
    }
    if words(p, &["SESSION", "AUTHORIZATION"]) {
        return Ok(Body::Reset(Some("session_authorization".to_string())));
    }
    if words(p, &["TIME", "ZONE"]) {
        return Ok(Body::Reset(Some("timezone".to_string())));
    }
    if words(p, &["TRANSACTION", "ISOLATION", "LEVEL"]) {
        return Ok(Body::Reset(Some("transaction_isolation".to_string())));
    }
    Ok(Body::Reset(Some(setting_name(p)?)))
}

fn discard(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "DISCARD")?;
    Ok(Body::Discard(match one_of(p, &["ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"]) {
        Some("ALL") => Discard::All,
        Some("PLANS") => Discard::Plans,
        Some("SEQUENCES") => Discard::Sequences,
        Some(_) => Discard::Temporary,
        None => return p.expected("ALL, PLANS, SEQUENCES or TEMP", p.peek_token()),
    }))
}

fn execute(p: &mut Parser) -> Result<Body, ParserError> {
    let (name, arguments) = execution(p)?;
    Ok(Body::Execute { name, arguments })
}

/// `EXECUTE name (argument, …)`.
pub(super) fn execution(p: &mut Parser) -> Result<(String, Vec<ast::Expr>), ParserError> {
    expect(p, "EXECUTE")?;
    let name = name(p)?;
    let mut arguments = Vec::new();
    if p.consume_token(&Token::LParen) {
        arguments = p.parse_comma_separated(|p| p.parse_expr())?;
        p.expect_token(&Token::RParen)?;
    }
    Ok((name, arguments))
}

fn deallocate(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "DEALLOCATE")?;
    if is_word(p, 0, "PREPARE") && !matches!(p.peek_nth_token_ref(1).token, Token::EOF) {
        p.advance_token();
    }
    if words(p, &["ALL"]) { Ok(Body::Deallocate(None)) } else { Ok(Body::Deallocate(Some(name(p)?))) }
}

/// PREPARE name [(type, …)] AS statement.
pub(super) fn prepare(p: &mut Parser, text: &str, offset: usize) -> Result<Body, ParserError> {
    expect(p, "PREPARE")?;
    let name = name(p)?;
    let mut types: Vec<ast::DataType> = Vec::new();
    if p.consume_token(&Token::LParen) {
        types = p.parse_comma_separated(|p| p.parse_data_type())?;
        p.expect_token(&Token::RParen)?;
    }
    expect(p, "AS")?;
    const PREPARED: [&str; 8] = ["SELECT", "VALUES", "WITH", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"];
    let word = peek_word(p, 0);
    if word.is_none_or(|w| !PREPARED.contains(&w.as_str())) && !matches!(p.peek_token_ref().token, Token::LParen) {
        return p.expected("a query", p.peek_token());
    }
    let statement = inner(p, text, offset)?;
    Ok(Body::Prepare { name, types, statement })
}

/// EXPLAIN [ANALYZE] [VERBOSE] statement, or EXPLAIN (option, …) statement.
pub(super) fn explain(p: &mut Parser, text: &str, offset: usize) -> Result<Body, ParserError> {
    expect(p, "EXPLAIN")?;
    let (mut analyze, mut verbose, mut options) = (false, false, Vec::new());
    let list = matches!(p.peek_token_ref().token, Token::LParen)
        && !matches!(peek_word(p, 1).as_deref(), None | Some("SELECT" | "VALUES" | "WITH" | "TABLE"));
    if list {
        p.expect_token(&Token::LParen)?;
        for (key, value) in p.parse_comma_separated(explain_option)? {
            let on = !matches!(value.as_deref(), Some("false" | "off" | "0"));
            match key.as_str() {
                "analyze" | "analyse" => analyze = on,
                "verbose" => verbose = on,
                _ => options.push((key, value)),
            }
        }
        p.expect_token(&Token::RParen)?;
    } else {
        analyze = one_of(p, &["ANALYZE", "ANALYSE"]).is_some();
        verbose = words(p, &["VERBOSE"]);
    }
    const EXPLAINED: [&str; 11] =
        ["SELECT", "VALUES", "WITH", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "EXECUTE", "CREATE", "DECLARE"];
    let word = peek_word(p, 0);
    if word.is_none_or(|w| !EXPLAINED.contains(&w.as_str())) && !matches!(p.peek_token_ref().token, Token::LParen) {
        return p.expected("a query", p.peek_token());
    }
    let statement = inner(p, text, offset)?;
    Ok(Body::Explain(Explain { analyze, verbose, options, statement }))
}

fn explain_option(p: &mut Parser) -> Result<(String, Option<String>), ParserError> {
    let key = name(p)?;
    let ends = matches!(p.peek_token_ref().token, Token::Comma | Token::RParen);
    let value = if ends { None } else { Some(plain_value(p)?.to_lowercase()) };
    Ok((key, value))
}

/// The statement inside another one.
fn inner(p: &mut Parser, text: &str, offset: usize) -> Result<Arc<Statement>, ParserError> {
    let start = p.peek_token_ref().span.start;
    let skipped = super::char_position(text, start.line, start.column) - 1;
    let body = super::body(p, text, offset)?;
    let before = text.chars().take(skipped).collect::<String>();
    let text = text.chars().skip(skipped).collect::<String>();
    Ok(Arc::new(Statement { source: text.as_str().into(), text, offset: offset + skipped, before, body }))
}
