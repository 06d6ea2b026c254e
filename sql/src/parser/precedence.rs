//! `a IS DISTINCT FROM b AND c`: sqlparser reads `b AND c` as the right side. AND and OR bind less than IS does, and what
//! stands in parentheses is marked as such, so that the tree tells what was written
//! (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-PRECEDENCE>).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut};

/// Mends all expressions in it.
pub(super) fn mended(node: &mut impl VisitMut) {
    let _: ControlFlow<()> = node.visit(&mut Pass { found: false });
}

struct Pass {
    /// Whether anything was mended: only then an OR below an AND is not what was written.
    found: bool,
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

/// The operator and both sides of an AND or OR without parentheses.
fn chain(expr: &mut Expr) -> Option<(BinaryOperator, Expr, Expr)> {
    match expr {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            Some((op.clone(), taken(left), taken(right)))
        }
        _ => None,
    }
}

fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// Puts `around` around the first of a chain's operands.
fn first(mut of: Expr, around: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    match chain(&mut of) {
        Some((op, left, right)) => joined(first(left, around), op, right),
        None => around(of),
    }
}

/// `left AND right` where an OR without parentheses stands on the right: that is the outer one.
fn and(left: Expr, right: Expr) -> Expr {
    match right {
        Expr::BinaryOp { left: middle, op: BinaryOperator::Or, right } => {
            joined(and(left, *middle), BinaryOperator::Or, *right)
        }
        right => joined(left, BinaryOperator::And, right),
    }
}

impl VisitorMut for Pass {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_chain = |e: &Expr| matches!(e, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. });
        match expr {
            Expr::IsDistinctFrom(left, right) if is_chain(right) => {
                let (mut left, right) = (Some(taken(left)), taken(right));
                *expr = first(right, &mut |b| match left.take() {
                    Some(left) => Expr::IsDistinctFrom(Box::new(left), Box::new(b)),
                    None => b,
                });
                self.found = true;
            }
            Expr::IsNotDistinctFrom(left, right) if is_chain(right) => {
                let (mut left, right) = (Some(taken(left)), taken(right));
                *expr = first(right, &mut |b| match left.take() {
                    Some(left) => Expr::IsNotDistinctFrom(Box::new(left), Box::new(b)),
                    None => b,
                });
                self.found = true;
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if self.found && is_chain(inner) => {
                let inner = taken(inner);
                *expr = first(inner, &mut |e| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(e) });
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } if self.found => {
                let (left, right) = (taken(left), taken(right));
                *expr = and(left, right);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
