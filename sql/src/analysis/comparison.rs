//! Comparisons of rows, and with lists, arrays and subqueries
//! (<https://www.postgresql.org/docs/15/functions-comparisons.html>, `functions-subquery`).

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Result, SqlState};

use super::Analysis;
use super::expression::{Value, bare};
use super::overload::{Found, choose_operator};
use super::types::{BOOL, Context, OPEN, RECORD, Ty, UNKNOWN, array_of, can_cast, common_type, element, shown};

/// The items of `(a, b)` and `ROW(a, b)`.
pub(super) fn row_items(expr: &Expr) -> Option<Vec<&Expr>> {
    use ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    match bare(expr) {
        Expr::Tuple(items) => Some(items.iter().collect()),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("row") => match &f.args {
            FunctionArguments::List(list) => list
                .args
                .iter()
                .map(|a| match a {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Analysis<'a> {
    /// An operator between two expressions, or item by item between two rows.
    pub(super) fn compared(
        &mut self,
        name: &str,
        left: &'a Expr,
        right: &'a Expr,
        place: impl Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        if let (Some(l), Some(r)) = (row_items(left), row_items(right)) {
            let l = l.into_iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
            let r = r.into_iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
            return self.rows_compared(name, &l, &r, place);
        }
        let (l, r) = (self.expression(left)?, self.expression(right)?);
        self.operated(name, Some(l), r, place)
    }

    pub(super) fn rows_compared(
        &self,
        name: &str,
        left: &[Value<'a>],
        right: &[Value<'a>],
        place: impl Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, place(self)));
        }
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, place(self)));
        }
        for (l, r) in left.iter().zip(right) {
            let ty = self.operated(name, Some(*l), *r, &place)?;
            if ty != BOOL && ty != OPEN {
                let message = format!("row comparison operator must yield type boolean, not type {}", shown(ty));
                return Err(self.error(SqlState::DATATYPE_MISMATCH, message, place(self)));
            }
        }
        Ok(BOOL)
    }

    pub(super) fn in_list(&mut self, expr: &'a Expr, list: &'a [Expr], negated: bool) -> Result<Ty> {
        let name = if negated { "<>" } else { "=" };
        let Some(first) = list.first() else { return Ok(BOOL) };
        let place = |a: &Analysis<'a>| a.places.operator(a.places.start(first));
        if row_items(expr).is_some() || list.iter().any(|e| row_items(e).is_some()) {
            for item in list {
                self.compared(name, expr, item, place)?;
            }
            return Ok(BOOL);
        }
        let value = self.expression(expr)?;
        let items = list.iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
        let (constants, columns): (Vec<Value<'a>>, Vec<_>) = items.iter().partition(|i| !self.has_column(i));
        let mut rest = columns;
        if constants.len() > 1 {
            let types = std::iter::once(value.ty).chain(constants.iter().map(|v| v.ty)).collect::<Vec<_>>();
            let common = common_type(&types).ok();
            let all = common.filter(|c| types.iter().all(|t| can_cast(*t, *c, Context::Implicit)));
            match all {
                Some(OPEN) => {}
                Some(common) if array_of(common).is_some() => {
                    for item in &constants {
                        self.give(item, common)?;
                    }
                    self.operated(name, Some(value), Value { ty: common, expr: None }, place)?;
                }
                _ => rest = items,
            }
        } else {
            rest = items;
        }
        for item in rest {
            self.operated(name, Some(value), item, place)?;
        }
        Ok(BOOL)
    }

    /// Whether a column of this query is in it.
    fn has_column(&self, value: &Value<'a>) -> bool {
        let Some(expr) = value.expr else { return true };
        let mut found = false;
        let _ = ast::visit_expressions(expr, |e| {
            found |= matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            std::ops::ControlFlow::<()>::Continue(())
        });
        found
    }

    pub(super) fn in_subquery(
        &mut self,
        expr: &'a Expr,
        name: &str,
        subquery: &'a ast::Query,
        place: &dyn Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        let values = match row_items(expr) {
            Some(items) => items.into_iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?,
            None => vec![self.expression(expr)?],
        };
        let Some(columns) = self.query(subquery)? else { return Ok(BOOL) };
        if values.len() == 1 && matches!(values[0].ty, RECORD | OPEN) && columns.len() != 1 {
            return Ok(BOOL);
        }
        let misfit = match values.len().cmp(&columns.len()) {
            std::cmp::Ordering::Less => Some("subquery has too many columns"),
            std::cmp::Ordering::Greater => Some("subquery has too few columns"),
            std::cmp::Ordering::Equal => None,
        };
        if let Some(message) = misfit {
            return Err(self.error(SqlState::SYNTAX_ERROR, message, place(self)));
        }
        for (value, column) in values.into_iter().zip(columns) {
            self.operated(name, Some(value), Value { ty: column.ty, expr: None }, place)?;
        }
        Ok(BOOL)
    }

    /// `x op ANY (…)`.
    pub(super) fn over_array(&mut self, left: &'a Expr, op: &'a BinaryOperator, right: &'a Expr) -> Result<Ty> {
        let name = match op {
            BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
            other => other.to_string(),
        };
        let mut right = right;
        while let Expr::Nested(inner) = right {
            right = inner;
        }
        if let Expr::Subquery(query) = right {
            let place = |a: &Analysis<'a>| a.places.operator(a.places.subquery(query));
            return self.in_subquery(left, &name, query, &place);
        }
        let (value, array) = (self.expression(left)?, self.expression(right)?);
        let place = |a: &Analysis<'a>| a.places.operator(a.at(&array));
        let item = match array.ty {
            OPEN | RECORD => return Ok(BOOL),
            UNKNOWN => UNKNOWN,
            ty => match element(ty) {
                Some(item) => item,
                None => {
                    let message = "op ANY/ALL (array) requires array on right side";
                    return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, place(self)));
                }
            },
        };
        let result = self.operated(&name, Some(value), Value { ty: item, expr: None }, place)?;
        if result != BOOL && result != OPEN {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, place(self)));
        }
        if item == UNKNOWN
            && let Found::One((types, _)) = choose_operator(&name, Some(value.ty), UNKNOWN)
            && let Some(ty) = types.get(1).and_then(|t| array_of(*t))
        {
            self.give(&array, ty)?;
        }
        Ok(BOOL)
    }
}
