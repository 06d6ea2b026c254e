//! Literals and their casts: `integer` numbers, exact floats, intervals, `reg*` types.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, LimitClause, OrderByKind, Query, SelectItem, SetExpr, Value, Visit, Visitor,
    visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_numeric::Numeric;
use sightline_storage::types::{RegKind, SqlType};

use super::calls::call;
use crate::plan::types::sql_type;
use crate::plan::user_types::said;

pub(super) fn integer(literal: Expr) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(literal),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    }
}

/// A literal of more bytes is no date and no `uuid`.
const TYPED_MAX: usize = 100;

/// Whether a literal has a type that the planner would not find out: a `uuid`, and what hangs on the clock.
pub(crate) fn needs_type(text: &str) -> bool {
    // Neither is longer, and a text may have megabytes.
    if text.len() > TYPED_MAX {
        return false;
    }
    let hex = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'-' | b'{' | b'}');
    (text.len() >= 32 && text.bytes().all(hex))
        || [&b"now"[..], b"today", b"tomorrow", b"yesterday"]
            .iter()
            .any(|word| text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// Whether a query has such literals.
pub(super) fn may_have(query: &Query) -> bool {
    let found = visit_expressions(query, |e| match e {
        Expr::Value(v)
            if let Value::SingleQuotedString(text) = &v.value
                && needs_type(text) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break() || query.visit(&mut Arms).is_break()
}

/// Looks for set operations with a literal among their columns.
struct Arms;

impl Visitor for Arms {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        match query.body.as_ref() {
            body @ SetExpr::SetOperation { .. } if has_literal(body) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn has_literal(arm: &SetExpr) -> bool {
    let item = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_)))
        }
        _ => false,
    };
    match arm {
        SetExpr::SetOperation { left, right, .. } => has_literal(left) || has_literal(right),
        SetExpr::Select(select) => select.projection.iter().any(item),
        _ => false,
    }
}

/// Casts literals to the types that were found for them.
pub(super) fn typed(query: &mut Query, types: &HashMap<Location, SqlType>) {
    if types.is_empty() {
        return;
    }
    let _: ControlFlow<()> = visit_expressions_mut(query, |e| {
        if let Expr::Value(v) = e
            && let Value::SingleQuotedString(_) = v.value
            && let Some(ty) = types.get(&v.span.start)
        {
            *e = Expr::Cast {
                kind: ast::CastKind::Cast,
                expr: Box::new(e.clone()),
                data_type: said(ty),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    });
}

/// Takes back what [`integer`] did where the planner wants a bare literal.
pub(super) fn bare(expr: &mut Expr) {
    if let Expr::Cast { expr: inner, data_type: DataType::Integer(None), .. } = expr
        && let Expr::Value(v) = inner.as_ref()
        && matches!(v.value, Value::Number(_, _))
    {
        *expr = (**inner).clone();
    }
    if let Expr::UnaryOp { expr: inner, .. } = expr {
        bare(inner);
    }
}

pub(super) fn bare_positions(query: &mut Query) {
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(exprs) = &mut order_by.kind
    {
        exprs.iter_mut().for_each(|e| bare(&mut e.expr));
    }
    if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
        limit.iter_mut().for_each(bare);
        offset.iter_mut().for_each(|o| bare(&mut o.value));
    }
    if let Some(fetch) = &mut query.fetch {
        fetch.quantity.iter_mut().for_each(bare);
    }
}

/// A string literal for a LIMIT is a number; what is none has been refused.
pub(super) fn whole_number(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::Number(text, _) = &mut value.value
        && text.contains(['.', 'e', 'E'])
        && let Ok(number) = Numeric::parse(text).and_then(|n| n.round(0))
    {
        // As a cast to bigint does it.
        *text = number.to_string();
    }
    if let Expr::Value(value) = expr
        && let Value::SingleQuotedString(text) = &value.value
        && let Ok(number) = text.trim().parse::<i64>()
    {
        value.value = Value::Number(number.to_string(), false);
    }
}

/// A string literal for a condition is a boolean.
pub(super) fn condition(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::SingleQuotedString(_) = value.value
    {
        *expr = Expr::Cast {
            kind: ast::CastKind::Cast,
            expr: Box::new(expr.clone()),
            data_type: DataType::Boolean,
            array: false,
            format: None,
        };
    }
}

/// The name of a `reg*` type's input function; its output function ends in `_out`.
pub(in crate::plan) fn reg_type(kind: RegKind) -> &'static str {
    match kind {
        RegKind::Class => "regclass",
        RegKind::Type => "regtype",
        RegKind::Proc => "regproc",
        RegKind::Namespace => "regnamespace",
        RegKind::Role => "regrole",
    }
}

/// `x::regclass` is `regclass_in(x)`; a cast of that to text is `regclass_out(…)`.
pub(super) fn reg_cast(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    let Ok(ty) = sql_type(data_type) else { return };
    match ty {
        SqlType::Reg(kind) => *expr = call(&format!("{}_in", reg_type(kind)), vec![(**inner).clone()]),
        SqlType::Text | SqlType::Varchar(_) | SqlType::Name => {
            let Expr::Function(f) = inner.as_ref() else { return };
            let Some(name) = f.name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone()) else { return };
            let reg = match name.as_str() {
                "pg_typeof" => Some("regtype"),
                other => other.strip_suffix("_in").filter(|n| n.starts_with("reg")),
            };
            if let Some(reg) = reg {
                *expr = call(&format!("{reg}_out"), vec![(**inner).clone()]);
            }
        }
        _ => {}
    }
}

/// `INTERVAL '1 day 02:03'` and `INTERVAL '3' DAY` read their text as PostgreSQL does, not as DataFusion.
pub(super) fn interval_cast(interval: &ast::Interval) -> Option<Expr> {
    use ast::{DateTimeField as D, IntervalFields as F};
    let Expr::Value(value) = interval.value.as_ref() else { return None };
    let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = &value.value else { return None };
    let fields = match (&interval.leading_field, &interval.last_field) {
        (None, _) => None,
        (Some(D::Year | D::Years), None) => Some(F::Year),
        (Some(D::Month | D::Months), None) => Some(F::Month),
        (Some(D::Day | D::Days), None) => Some(F::Day),
        (Some(D::Hour | D::Hours), None) => Some(F::Hour),
        (Some(D::Minute | D::Minutes), None) => Some(F::Minute),
        (Some(D::Second | D::Seconds), None) => Some(F::Second),
        (Some(D::Year), Some(D::Month)) => Some(F::YearToMonth),
        (Some(D::Day), Some(D::Hour)) => Some(F::DayToHour),
        (Some(D::Day), Some(D::Minute)) => Some(F::DayToMinute),
        (Some(D::Day), Some(D::Second)) => Some(F::DayToSecond),
        (Some(D::Hour), Some(D::Minute)) => Some(F::HourToMinute),
        (Some(D::Hour), Some(D::Second)) => Some(F::HourToSecond),
        (Some(D::Minute), Some(D::Second)) => Some(F::MinuteToSecond),
        _ => return None,
    };
    let precision = interval.fractional_seconds_precision.or(interval.leading_precision);
    let literal = ast::ValueWithSpan { value: Value::SingleQuotedString(text.clone()), span: value.span };
    Some(Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::Value(literal)),
        data_type: DataType::Interval { fields, precision },
        array: false,
        format: None,
    })
}

/// The most digits that the planner reads as a decimal.
const DIGITS_MAX: usize = 38;

/// Whether a number has an exponent, or more digits than a decimal of the planner.
pub(super) fn is_long(digits: &str) -> bool {
    // Between the ends of `bigint` and of 64 bits the planner would make what no type of PostgreSQL is.
    let unsigned = digits.parse::<i64>().is_err() && digits.parse::<u64>().is_ok();
    unsigned || digits.contains(['e', 'E']) || digits.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX
}

/// Such a number, as a numeric that is read from text.
pub(super) fn long_number(digits: &str) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(digits.to_string()))),
        data_type: DataType::Numeric(ast::ExactNumberInfo::None),
        array: false,
        format: None,
    }
}

/// `1e100::float8` reads the digits as a float at once: by way of a decimal it would not be exact.
pub(super) fn exact_float(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    let float = matches!(sql_type(data_type), Ok(SqlType::Real | SqlType::Double));
    if let Expr::Cast { expr: digits, data_type: DataType::Numeric(ast::ExactNumberInfo::None), .. } = inner.as_ref()
        && float
        && let Expr::Value(v) = digits.as_ref()
        && let Value::SingleQuotedString(text) = &v.value
        && is_long(text)
    {
        **inner = (**digits).clone();
    }
    if let Expr::Value(v) = inner.as_mut()
        && let Value::Number(digits, _) = &v.value
        && float
    {
        v.value = Value::SingleQuotedString(digits.clone());
    }
}
