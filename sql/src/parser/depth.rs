//! Refuses statements that would make a tree too deep for the stack. sqlparser counts nested parentheses itself, but
//! chains like `a OR b OR c …` and `… UNION ALL … UNION ALL …` lean to the left without nesting: we count those here.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use sightline_storage::error::{Error, Result, SqlState};

/// Operators one after another in one expression.
const OPERATORS_MAX: usize = 5_000;
/// UNIONs and JOINs one after another.
const SET_OPERATORS_MAX: usize = 500;

/// PostgreSQL's error for a statement that is too complex.
pub(super) fn too_deep() -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("Simplify the statement: split long chains of operators, or put the values in an IN list or a table.")
}

#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    sets: usize,
}

/// Counts chains in one statement.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => {
                outer.push(level);
                level = Level::default();
            }
            Token::RParen | Token::RBracket => level = outer.pop().unwrap_or_default(),
            Token::Comma | Token::SemiColon => level.operators = 0,
            Token::Word(w) => match w.keyword {
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => level.sets += 1,
                Keyword::SELECT | Keyword::WHERE | Keyword::ON | Keyword::HAVING | Keyword::WHEN | Keyword::THEN => {
                    level.operators = 0;
                }
                Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::LIKE | Keyword::ILIKE
                    if w.quote_style.is_none() =>
                {
                    level.operators += 1;
                }
                _ => {}
            },
            Token::Whitespace(_)
            | Token::Period
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Placeholder(_)
            | Token::EOF => {}
            _ => level.operators += 1,
        }
        if level.operators > OPERATORS_MAX || level.sets > SET_OPERATORS_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}
