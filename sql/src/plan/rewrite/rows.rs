//! Row values, and comparisons with all values of a subquery, in terms of comparisons of single values
//! (<https://www.postgresql.org/docs/15/functions-comparisons.html>, <https://www.postgresql.org/docs/15/functions-subquery.html>).

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, SelectItem,
    SetExpr, TableFactor, UnaryOperator, Value,
};
use sightline_storage::error::{Error, Result, SqlState};

use super::operators::not;
use super::relations::table_alias;

/// The values of `(a, b)` or `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Nested(inner) => row(inner),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("row") => {
            let FunctionArguments::List(list) = &f.args else { return None };
            let value = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
                _ => None,
            };
            list.args.iter().map(value).collect()
        }
        _ => None,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn joined(parts: Vec<Expr>, op: &BinaryOperator) -> Expr {
    let mut parts = parts.into_iter().map(nested);
    let first = parts.next().unwrap_or_else(|| Expr::value(Value::Boolean(true)));
    nested(parts.fold(first, |all, part| binary(all, op.clone(), part)))
}

/// What stands for an expression with row values, if it has some.
///
/// # Errors
/// 42601 for rows of different lengths.
pub(super) fn without_rows(expr: &Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::BinaryOp { left, op, right } => match (row(left), row(right)) {
            (Some(left), Some(right)) => compared(&left, op, &right)?,
            (Some(left), None) => match right.as_ref() {
                Expr::Subquery(query) => Some(subquery(query, left.len(), |columns| {
                    compared(&left, op, &columns).map(|c| c.unwrap_or_else(unknown))
                })?),
                _ => None,
            },
            _ => None,
        },
        Expr::IsDistinctFrom(left, right) => distinct(left, right)?,
        Expr::IsNotDistinctFrom(left, right) => distinct(left, right)?.map(not),
        // A row in a row is not NULL, whatever is in it.
        Expr::IsNull(inner) => row(inner).map(|r| {
            let one = |e: Expr| if row(&e).is_some() { constant(false) } else { Expr::IsNull(Box::new(e)) };
            joined(r.into_iter().map(one).collect(), &BinaryOperator::And)
        }),
        Expr::IsNotNull(inner) => row(inner).map(|r| {
            let one = |e: Expr| if row(&e).is_some() { constant(true) } else { Expr::IsNotNull(Box::new(e)) };
            joined(r.into_iter().map(one).collect(), &BinaryOperator::And)
        }),
        Expr::InList { expr, list, negated } => match row(expr) {
            Some(left) => {
                let one = |item: &Expr| match row(item) {
                    Some(right) => compared(&left, &BinaryOperator::Eq, &right)?.ok_or_else(lengths),
                    None => Err(lengths()),
                };
                let any = joined(list.iter().map(one).collect::<Result<Vec<_>>>()?, &BinaryOperator::Or);
                Some(if *negated { not(any) } else { any })
            }
            None => None,
        },
        Expr::InSubquery { expr, subquery: query, negated } => match row(expr) {
            Some(left) => {
                let any = subquery(query, left.len(), |columns| {
                    compared(&left, &BinaryOperator::Eq, &columns)?.ok_or_else(lengths)
                })?;
                Some(if *negated { not(any) } else { any })
            }
            None => None,
        },
        Expr::AnyOp { left, compare_op, right, .. } => match right.as_ref() {
            Expr::Subquery(query) => quantified(left, compare_op, query)?,
            _ => None,
        },
        // For all: not for any the contrary.
        Expr::AllOp { left, compare_op, right } => match right.as_ref() {
            Expr::Subquery(query) => match contrary(compare_op) {
                Some(contrary) => quantified(left, &contrary, query)?.map(not),
                None => None,
            },
            _ => None,
        },
        Expr::Between { expr, negated, low, high } => {
            let Some(low) = unmarked(low) else {
                // A literal without a type takes one from each bound.
                let open = matches!(expr.as_ref(), Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_)));
                let side = |op: BinaryOperator, bound: &Expr| Expr::BinaryOp {
                    left: expr.clone(),
                    op,
                    right: Box::new(bound.clone()),
                };
                let within = [side(BinaryOperator::GtEq, low), side(BinaryOperator::LtEq, high)];
                return Ok(open.then(|| {
                    let both = joined(within.to_vec(), &BinaryOperator::And);
                    if *negated { not(both) } else { both }
                }));
            };
            let within = |low: &Expr, high: &Expr| Expr::Between {
                expr: expr.clone(),
                negated: false,
                low: Box::new(low.clone()),
                high: Box::new(high.clone()),
            };
            let either = joined(vec![within(&low, high), within(high, &low)], &BinaryOperator::Or);
            Some(if *negated { not(either) } else { either })
        }
        _ => None,
    })
}

fn constant(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

fn unknown() -> Expr {
    Expr::value(Value::Null)
}

fn lengths() -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions")
}

/// Two rows: equal if all pairs are, and in the order of the first pair that differs. None for another operator.
fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Result<Option<Expr>> {
    use BinaryOperator as Op;
    if left.len() != right.len() {
        return Err(lengths());
    }
    let pairs = || left.iter().cloned().zip(right.iter().cloned());
    Ok(Some(match op {
        Op::Eq => joined(pairs().map(|(l, r)| binary(l, Op::Eq, r)).collect(), &Op::And),
        Op::NotEq => joined(pairs().map(|(l, r)| binary(l, Op::NotEq, r)).collect(), &Op::Or),
        Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
            let strict = if matches!(op, Op::Lt | Op::LtEq) { Op::Lt } else { Op::Gt };
            let mut all = pairs().rev();
            let Some((l, r)) = all.next() else { return Err(lengths()) };
            let last = binary(l, op.clone(), r);
            all.fold(last, |rest, (l, r)| {
                let before = nested(binary(l.clone(), strict.clone(), r.clone()));
                let equal = nested(binary(l, Op::Eq, r));
                nested(binary(before, Op::Or, nested(binary(equal, Op::And, nested(rest)))))
            })
        }
        _ => return Ok(None),
    }))
}

fn distinct(left: &Expr, right: &Expr) -> Result<Option<Expr>> {
    let (Some(left), Some(right)) = (row(left), row(right)) else { return Ok(None) };
    if left.len() != right.len() {
        return Err(lengths());
    }
    let pairs = left.into_iter().zip(right).map(|(l, r)| Expr::IsDistinctFrom(Box::new(l), Box::new(r)));
    Ok(Some(joined(pairs.collect(), &BinaryOperator::Or)))
}

fn contrary(op: &BinaryOperator) -> Option<BinaryOperator> {
    use BinaryOperator as Op;
    Some(match op {
        Op::Eq => Op::NotEq,
        Op::NotEq => Op::Eq,
        Op::Lt => Op::GtEq,
        Op::LtEq => Op::Gt,
        Op::Gt => Op::LtEq,
        Op::GtEq => Op::Lt,
        Op::PGLikeMatch => Op::PGNotLikeMatch,
        Op::PGNotLikeMatch => Op::PGLikeMatch,
        Op::PGRegexMatch => Op::PGRegexNotMatch,
        Op::PGRegexNotMatch => Op::PGRegexMatch,
        _ => return None,
    })
}

/// `x op ANY (SELECT …)`; equality of single values stays what it is, a lookup in a set.
fn quantified(left: &Expr, op: &BinaryOperator, query: &Query) -> Result<Option<Expr>> {
    if let Some(left) = row(left) {
        let any = subquery(query, left.len(), |columns| compared(&left, op, &columns)?.ok_or_else(lengths))?;
        return Ok(Some(any));
    }
    if *op == BinaryOperator::Eq {
        return Ok(None);
    }
    let one = |columns: Vec<Expr>| {
        let value = columns.into_iter().next().ok_or_else(lengths)?;
        Ok(binary(nested(left.clone()), op.clone(), value))
    };
    Ok(Some(subquery(query, 1, one)?))
}

/// Whether a condition on the columns holds for a row of the query: true, unknown if it is unknown for one, false.
fn subquery(query: &Query, width: usize, condition: impl Fn(Vec<Expr>) -> Result<Expr>) -> Result<Expr> {
    const TABLE: &str = "__row";
    let name = |n: usize| Ident::with_quote('"', format!("_{}", n + 1));
    let columns = (0..width).map(|n| Expr::CompoundIdentifier(vec![Ident::with_quote('"', TABLE), name(n)]));
    let holds = condition(columns.collect())?;
    let mut alias = table_alias(TABLE);
    alias.columns = (0..width).map(|n| ast::TableAliasColumnDef { name: name(n), data_type: None }).collect();
    let exists = |selection: Expr| -> Result<Expr> {
        let mut outer = crate::parser::query("SELECT 1")?;
        if let SetExpr::Select(select) = outer.body.as_mut() {
            let relation = TableFactor::Derived {
                lateral: false,
                subquery: Box::new(query.clone()),
                alias: Some(alias.clone()),
                sample: None,
            };
            select.from = vec![ast::TableWithJoins { relation, joins: vec![] }];
            select.selection = Some(selection);
            select.projection = vec![SelectItem::ExprWithAlias {
                expr: Expr::value(Value::Boolean(true)),
                alias: Ident::with_quote('"', "one"),
            }];
        }
        Ok(Expr::Exists { subquery: Box::new(outer), negated: false })
    };
    let case = |condition: Expr, result: Value| CaseWhen { condition, result: Expr::value(result) };
    Ok(Expr::Case {
        case_token: ast::helpers::attached_token::AttachedToken::empty(),
        end_token: ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: vec![
            case(exists(holds.clone())?, Value::Boolean(true)),
            case(exists(Expr::IsNull(Box::new(nested(holds))))?, Value::Null),
        ],
        else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
    })
}

/// In WHERE a row that is unknown is out as one that is not: `CASE WHEN EXISTS (…) THEN true …` is `EXISTS (…)` there,
/// which becomes a join.
pub(super) fn certain(condition: &mut Expr) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            certain(left);
            certain(right);
        }
        Expr::Nested(inner) => certain(inner),
        Expr::Case { operand: None, conditions, else_result: Some(otherwise), .. } => {
            let literal = |e: &Expr, value: &Value| matches!(e, Expr::Value(v) if v.value == *value);
            if let [holds, unknown] = conditions.as_slice()
                && let Expr::Exists { .. } = &holds.condition
                && literal(&holds.result, &Value::Boolean(true))
                && literal(&unknown.result, &Value::Null)
                && literal(otherwise, &Value::Boolean(false))
            {
                *condition = holds.condition.clone();
            }
        }
        _ => {}
    }
}

/// The lower bound of BETWEEN without the mark for SYMMETRIC at its left end, which `spelling` has put there; none if
/// there is no mark.
fn unmarked(low: &Expr) -> Option<Expr> {
    match low {
        Expr::UnaryOp { op: UnaryOperator::PGPrefixFactorial, expr } => Some(expr.as_ref().clone()),
        Expr::BinaryOp { left, op, right } => {
            Some(Expr::BinaryOp { left: Box::new(unmarked(left)?), op: op.clone(), right: right.clone() })
        }
        Expr::Cast { kind, expr, data_type, array, format } => Some(Expr::Cast {
            kind: kind.clone(),
            expr: Box::new(unmarked(expr)?),
            data_type: data_type.clone(),
            array: *array,
            format: format.clone(),
        }),
        _ => None,
    }
}
