//! CREATE and ALTER SEQUENCE, and the options of sequences wherever they stand
//! (<https://www.postgresql.org/docs/15/sql-createsequence.html>).
//!
//! sqlparser reads the options of an identity column in one order only: [`plain`] puts them, as text, into a string behind the
//! column, which [`identity_options`] reads again.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};
use sightline_storage::error::Result;

use super::Body;
use super::tokens::{expect, is_word, name, object, one_of, words};

/// What the string with an identity column's options begins with.
const MARK: &str = "options of identity: ";

/// CREATE SEQUENCE.
#[derive(Clone, Debug)]
pub struct CreateSequence {
    pub name: ast::ObjectName,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub options: Vec<SequenceOption>,
}

/// ALTER SEQUENCE with options.
#[derive(Clone, Debug)]
pub struct AlterSequence {
    pub name: ast::ObjectName,
    pub if_exists: bool,
    pub options: Vec<SequenceOption>,
}

/// One option, and where it begins.
#[derive(Clone, Debug)]
pub struct SequenceOption {
    pub what: Setting,
    pub at: Location,
}

/// What an option sets. Numbers are as written: they may be too large.
#[derive(Clone, Debug)]
pub enum Setting {
    As(ast::DataType),
    Increment(String),
    /// NO MINVALUE has no number.
    Min(Option<String>),
    Max(Option<String>),
    Start(String),
    /// Without a number: where it started first.
    Restart(Option<String>),
    Cache(String),
    Cycle(bool),
    /// `OWNED BY NONE` is a name, too.
    OwnedBy(ast::ObjectName),
    /// Of an identity column only.
    Name(ast::ObjectName),
}

/// An action of ALTER TABLE on how a column gets its values.
#[derive(Clone, Debug)]
pub enum ColumnAction {
    AddIdentity { always: bool, options: Vec<SequenceOption> },
    SetIdentity { always: Option<bool>, options: Vec<SequenceOption> },
    DropIdentity { if_exists: bool },
    DropExpression { if_exists: bool },
}

pub(super) fn create(p: &mut Parser, temporary: bool) -> Result<Body, ParserError> {
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let name = object(p)?;
    let options = options(p)?;
    Ok(Body::CreateSequence(Box::new(CreateSequence { name, if_not_exists, temporary, options })))
}

pub(super) fn alter(p: &mut Parser, name: ast::ObjectName, if_exists: bool) -> Result<Body, ParserError> {
    if words(p, &["SET", "LOGGED"]) || words(p, &["SET", "UNLOGGED"]) {
        return Ok(Body::Unsupported("ALTER SEQUENCE … SET LOGGED is not supported".to_string(), None));
    }
    let options = options(p)?;
    if options.is_empty() {
        return p.expected("an option", p.peek_token());
    }
    Ok(Body::AlterSequence(Box::new(AlterSequence { name, if_exists, options })))
}

/// As many options as follow.
fn options(p: &mut Parser) -> Result<Vec<SequenceOption>, ParserError> {
    let mut options = Vec::new();
    while let Some(option) = option(p)? {
        options.push(option);
    }
    Ok(options)
}

fn option(p: &mut Parser) -> Result<Option<SequenceOption>, ParserError> {
    const WORDS: [&str; 11] =
        ["AS", "INCREMENT", "MINVALUE", "MAXVALUE", "NO", "START", "RESTART", "CACHE", "CYCLE", "OWNED", "SEQUENCE"];
    let at = p.peek_token_ref().span.start;
    let Some(word) = one_of(p, &WORDS) else { return Ok(None) };
    let what = match word {
        "AS" => Setting::As(p.parse_data_type()?),
        "INCREMENT" => {
            words(p, &["BY"]);
            Setting::Increment(number(p)?)
        }
        "MINVALUE" => Setting::Min(Some(number(p)?)),
        "MAXVALUE" => Setting::Max(Some(number(p)?)),
        "NO" => match one_of(p, &["MINVALUE", "MAXVALUE", "CYCLE"]) {
            Some("MINVALUE") => Setting::Min(None),
            Some("MAXVALUE") => Setting::Max(None),
            Some(_) => Setting::Cycle(false),
            None => return p.expected("MINVALUE, MAXVALUE or CYCLE", p.peek_token()),
        },
        "START" => {
            words(p, &["WITH"]);
            Setting::Start(number(p)?)
        }
        "RESTART" => {
            let with = words(p, &["WITH"]);
            let follows = matches!(p.peek_token_ref().token, Token::Number(..) | Token::Minus | Token::Plus);
            Setting::Restart(if with || follows { Some(number(p)?) } else { None })
        }
        "CACHE" => Setting::Cache(number(p)?),
        "CYCLE" => Setting::Cycle(true),
        "OWNED" => {
            expect(p, "BY")?;
            Setting::OwnedBy(object(p)?)
        }
        _ => {
            expect(p, "NAME")?;
            Setting::Name(object(p)?)
        }
    };
    Ok(Some(SequenceOption { what, at }))
}

/// A number with its sign.
fn number(p: &mut Parser) -> Result<String, ParserError> {
    let minus = p.consume_token(&Token::Minus);
    if !minus {
        super::tokens::optional(p, &Token::Plus);
    }
    let token = p.next_token();
    match token.token {
        Token::Number(digits, _) => Ok(if minus { format!("-{digits}") } else { digits }),
        _ => p.expected("a number", token),
    }
}

/// ALTER [COLUMN] name ADD GENERATED, SET GENERATED, RESTART …, DROP IDENTITY, DROP EXPRESSION; none if it is another action.
pub(super) fn column_action(p: &mut Parser) -> Result<Option<(String, ColumnAction)>, ParserError> {
    if !is_word(p, 0, "ALTER") {
        return Ok(None);
    }
    let column = usize::from(is_word(p, 1, "COLUMN"));
    let (verb, what) = (column + 2, column + 3);
    const SET: [&str; 10] =
        ["GENERATED", "INCREMENT", "MINVALUE", "MAXVALUE", "START", "CACHE", "CYCLE", "NO", "RESTART", "SEQUENCE"];
    let adds = is_word(p, verb, "ADD") && is_word(p, what, "GENERATED");
    let sets = is_word(p, verb, "SET") && SET.iter().any(|w| is_word(p, what, w));
    let restarts = is_word(p, verb, "RESTART");
    let drops = is_word(p, verb, "DROP") && (is_word(p, what, "IDENTITY") || is_word(p, what, "EXPRESSION"));
    if !(adds || sets || restarts || drops) {
        return Ok(None);
    }
    words(p, &["ALTER"]);
    words(p, &["COLUMN"]);
    let column = name(p)?;
    let action = if adds {
        words(p, &["ADD", "GENERATED"]);
        let always = always(p)?;
        expect(p, "AS")?;
        expect(p, "IDENTITY")?;
        ColumnAction::AddIdentity { always, options: marked(p)? }
    } else if drops {
        words(p, &["DROP"]);
        let identity = one_of(p, &["IDENTITY", "EXPRESSION"]) == Some("IDENTITY");
        let if_exists = words(p, &["IF", "EXISTS"]);
        match identity {
            true => ColumnAction::DropIdentity { if_exists },
            false => ColumnAction::DropExpression { if_exists },
        }
    } else {
        let (mut generated, mut options) = (None, Vec::new());
        loop {
            if words(p, &["SET", "GENERATED"]) {
                generated = Some(always(p)?);
                continue;
            }
            let set = words(p, &["SET"]);
            match option(p)? {
                Some(option) => options.push(option),
                None if set => return p.expected("an option", p.peek_token()),
                None => break,
            }
        }
        ColumnAction::SetIdentity { always: generated, options }
    };
    Ok(Some((column, action)))
}

fn always(p: &mut Parser) -> Result<bool, ParserError> {
    if words(p, &["ALWAYS"]) {
        return Ok(true);
    }
    expect(p, "BY")?;
    expect(p, "DEFAULT")?;
    Ok(false)
}

/// What [`plain`] has made of options in parentheses.
fn marked(p: &mut Parser) -> Result<Vec<SequenceOption>, ParserError> {
    if !words(p, &["COMMENT"]) {
        return Ok(Vec::new());
    }
    let text = super::tokens::string(p)?;
    match identity_options(&text) {
        Some(options) => options.map_err(|e| ParserError::ParserError(e.message().to_string())),
        None => p.expected("options of a sequence", p.peek_token()),
    }
}

/// The options that [`plain`] has put into a string; none if it is another string.
///
/// # Errors
/// 42601.
pub fn identity_options(text: &str) -> Option<Result<Vec<SequenceOption>>> {
    let text = text.strip_prefix(MARK)?;
    Some(super::with_parser(text, 0, options))
}

/// `AS IDENTITY (…)` as `AS IDENTITY COMMENT '…'`.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let identity = |t: &TokenWithSpan| matches!(&t.token, Token::Word(w) if w.keyword == Keyword::IDENTITY && w.quote_style.is_none());
    if !tokens.iter().any(identity) {
        return tokens;
    }
    let mut plain: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    let mut behind = false;
    while let Some(token) = tokens.next() {
        if matches!(token.token, Token::Whitespace(_)) {
            plain.push(token);
            continue;
        }
        if !behind || token.token != Token::LParen {
            let as_before = plain.iter().rev().find(|t| !matches!(t.token, Token::Whitespace(_)));
            let as_before = as_before.is_some_and(|t| matches!(&t.token, Token::Word(w) if w.keyword == Keyword::AS));
            behind = identity(&token) && as_before;
            plain.push(token);
            continue;
        }
        behind = false;
        let mut text = MARK.to_string();
        for inner in tokens.by_ref().take_while(|t| t.token != Token::RParen) {
            text.push_str(&inner.token.to_string());
        }
        let comment = Token::Word(Word { value: "COMMENT".to_string(), quote_style: None, keyword: Keyword::COMMENT });
        plain.push(TokenWithSpan::new(comment, token.span));
        plain.push(TokenWithSpan::new(Token::SingleQuotedString(text), token.span));
    }
    plain
}
