//! Keeps trees shallow enough for the stack. sqlparser counts nested parentheses itself, but chains like `a OR b OR c …`
//! and `… UNION ALL … UNION ALL …` lean to the left without nesting: [`check`] refuses the longest, and [`balance`] makes
//! bushes of what programs write most, long chains of AND and OR.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, VisitMut, VisitorMut};

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use sightline_storage::error::{Error, Result, SqlState};

/// Operators one after another in one expression, AND and OR aside.
const OPERATORS_MAX: usize = 300;
/// ANDs and ORs one after another.
const LOGICAL_MAX: usize = 20_000;
/// Shorter chains stay as they are. A bush of the longest chain has a shorter left edge, so none is made twice.
const CHAIN_MIN: usize = 32;
/// UNIONs and joins one after another.
pub(crate) const SET_OPERATORS_MAX: usize = 200;

/// PostgreSQL's error for a statement that is too complex.
pub(crate) fn too_deep() -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("Simplify the statement: split long chains of operators, or put the values in an IN list or a table.")
}

#[derive(Clone, Copy, Default)]
struct Level {
    operators: usize,
    logical: usize,
    sets: usize,
    /// Between FROM and what follows: commas join.
    from: bool,
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
            Token::Comma | Token::SemiColon => {
                level.sets += usize::from(level.from);
                (level.operators, level.logical) = (0, 0);
            }
            Token::Word(w) => match w.keyword {
                Keyword::FROM => level.from = true,
                Keyword::GROUP | Keyword::ORDER | Keyword::WINDOW | Keyword::LIMIT => level.from = false,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => level.sets += 1,
                Keyword::SELECT | Keyword::WHERE | Keyword::HAVING => {
                    level.operators = 0;
                    level.logical = 0;
                    level.from = false;
                }
                Keyword::ON | Keyword::WHEN | Keyword::THEN => {
                    level.operators = 0;
                    level.logical = 0;
                }
                Keyword::AND | Keyword::OR if w.quote_style.is_none() => {
                    level.operators = 0;
                    level.logical += 1;
                }
                Keyword::NOT | Keyword::IS | Keyword::LIKE | Keyword::ILIKE if w.quote_style.is_none() => {
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
        if level.operators > OPERATORS_MAX || level.logical > LOGICAL_MAX || level.sets > SET_OPERATORS_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

/// Makes balanced trees of all chains of AND and OR inside: they mean the same, and are as deep as their logarithm.
pub(super) fn balance(tree: &mut impl VisitMut) {
    let _: ControlFlow<()> = tree.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        for op in [ast::BinaryOperator::And, ast::BinaryOperator::Or] {
            if chain_length(expr, &op) >= CHAIN_MIN {
                let whole = std::mem::replace(expr, ast::Expr::value(ast::Value::Null));
                *expr = bush(operands(whole, &op), &op);
                break;
            }
        }
        ControlFlow::Continue(())
    }
}

/// How many operators of this kind lean to the left from here, counted up to [`CHAIN_MIN`].
fn chain_length(expr: &ast::Expr, wanted: &ast::BinaryOperator) -> usize {
    let mut length = 0;
    let mut at = expr;
    while let ast::Expr::BinaryOp { left, op, .. } = at
        && op == wanted
        && length < CHAIN_MIN
    {
        length += 1;
        at = left;
    }
    length
}

/// The operands of a chain, in order.
fn operands(mut expr: ast::Expr, wanted: &ast::BinaryOperator) -> Vec<ast::Expr> {
    let mut operands = Vec::new();
    loop {
        match expr {
            ast::Expr::BinaryOp { left, op, right } if op == *wanted => {
                operands.push(*right);
                expr = *left;
            }
            first => {
                operands.push(first);
                operands.reverse();
                return operands;
            }
        }
    }
}

/// A balanced tree of the operands.
pub(crate) fn bush(mut operands: Vec<ast::Expr>, op: &ast::BinaryOperator) -> ast::Expr {
    if operands.len() < 2 {
        return operands.pop().unwrap_or_else(|| ast::Expr::value(ast::Value::Null));
    }
    let right = operands.split_off(operands.len() / 2);
    ast::Expr::BinaryOp { left: Box::new(bush(operands, op)), op: op.clone(), right: Box::new(bush(right, op)) }
}
