//! DECLARE, FETCH, MOVE and CLOSE (<https://www.postgresql.org/docs/15/sql-declare.html>, `sql-fetch`).

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Body;
use super::tokens::{expect, is_word, name, one_of, query, words};

/// DECLARE name … CURSOR FOR query.
#[derive(Clone, Debug)]
pub struct Declare {
    pub name: String,
    pub binary: bool,
    pub scroll: bool,
    pub no_scroll: bool,
    pub insensitive: bool,
    pub asensitive: bool,
    /// WITH HOLD.
    pub hold: bool,
    pub query: Box<ast::Query>,
}

/// FETCH or MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// MOVE: the rows are passed over.
    pub moves: bool,
    pub name: String,
    pub direction: Direction,
}

/// Where FETCH goes. [`ALL`] stands for all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward(i64),
    Backward(i64),
    Absolute(i64),
    Relative(i64),
}

/// The count of FETCH ALL.
pub const ALL: i64 = i64::MAX;

/// DECLARE.
pub(super) fn declare(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "DECLARE")?;
    let name = name(p)?;
    let (mut binary, mut scroll, mut no_scroll, mut insensitive, mut asensitive) = (false, false, false, false, false);
    loop {
        if words(p, &["NO"]) {
            expect(p, "SCROLL")?;
            no_scroll = true;
            continue;
        }
        match one_of(p, &["SCROLL", "BINARY", "INSENSITIVE", "ASENSITIVE"]) {
            Some("SCROLL") => scroll = true,
            Some("BINARY") => binary = true,
            Some("INSENSITIVE") => insensitive = true,
            Some(_) => asensitive = true,
            None => break,
        }
    }
    expect(p, "CURSOR")?;
    let mut hold = false;
    if let Some(word) = one_of(p, &["WITH", "WITHOUT"]) {
        expect(p, "HOLD")?;
        hold = word == "WITH";
    }
    expect(p, "FOR")?;
    if !["SELECT", "VALUES", "WITH"].iter().any(|w| is_word(p, 0, w)) && p.peek_token_ref().token != Token::LParen {
        return p.expected("a query", p.peek_token());
    }
    let query = query(p)?;
    let declare = Declare { name, binary, scroll, no_scroll, insensitive, asensitive, hold, query };
    Ok(Body::Declare(Box::new(declare)))
}

/// FETCH and MOVE.
pub(super) fn fetch(p: &mut Parser) -> Result<Body, ParserError> {
    let moves = one_of(p, &["FETCH", "MOVE"]) == Some("MOVE");
    let direction = direction(p)?;
    one_of(p, &["FROM", "IN"]);
    let name = name(p)?;
    Ok(Body::Fetch(Fetch { moves, name, direction }))
}

/// CLOSE name, or ALL.
pub(super) fn close(p: &mut Parser) -> Result<Body, ParserError> {
    expect(p, "CLOSE")?;
    Ok(Body::Close(if words(p, &["ALL"]) { None } else { Some(name(p)?) }))
}

fn direction(p: &mut Parser) -> Result<Direction, ParserError> {
    // A word that ends the statement is the cursor's name.
    if matches!(p.peek_nth_token_ref(1).token, Token::EOF) {
        return Ok(Direction::Forward(1));
    }
    if let Some(count) = signed(p)? {
        return Ok(Direction::Forward(count));
    }
    let word = one_of(p, &["NEXT", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "ALL", "FORWARD", "BACKWARD"]);
    Ok(match word {
        Some("PRIOR") => Direction::Backward(1),
        Some("FIRST") => Direction::Absolute(1),
        Some("LAST") => Direction::Absolute(-1),
        Some("ABSOLUTE") => Direction::Absolute(needed(p)?),
        Some("RELATIVE") => Direction::Relative(needed(p)?),
        Some("ALL") => Direction::Forward(ALL),
        Some("FORWARD") => Direction::Forward(count(p)?),
        Some("BACKWARD") => Direction::Backward(count(p)?),
        _ => Direction::Forward(1),
    })
}

/// What may stand behind FORWARD and BACKWARD.
fn count(p: &mut Parser) -> Result<i64, ParserError> {
    if is_word(p, 0, "ALL") && !matches!(p.peek_nth_token_ref(1).token, Token::EOF) {
        p.advance_token();
        return Ok(ALL);
    }
    Ok(signed(p)?.unwrap_or(1))
}

fn needed(p: &mut Parser) -> Result<i64, ParserError> {
    match signed(p)? {
        Some(count) => Ok(count),
        None => p.expected("a count", p.peek_token()),
    }
}

/// A whole number of 32 bits, with a sign or without.
fn signed(p: &mut Parser) -> Result<Option<i64>, ParserError> {
    let (sign, at) = match p.peek_token_ref().token {
        Token::Minus => (-1, 1),
        Token::Plus => (1, 1),
        _ => (1, 0),
    };
    let Token::Number(digits, _) = &p.peek_nth_token_ref(at).token else {
        return if at == 0 { Ok(None) } else { p.expected("a count", p.peek_nth_token(at)) };
    };
    let Some(number) = digits.parse::<i32>().ok() else { return p.expected("a count", p.peek_nth_token(at)) };
    (0..=at).for_each(|_| p.advance_token());
    Ok(Some(sign * i64::from(number)))
}
