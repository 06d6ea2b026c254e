//! `VALUES ('2024-01-01'::date), ('2024-02-01')`: a literal without a type takes that of its column, which the other rows
//! tell (<https://www.postgresql.org/docs/15/typeconv-union-case.html>).

use datafusion::sql::sqlparser::ast::{self, CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value};

use sightline_storage::types::{Precise, SqlType};

use super::arrays;
use super::calls::call;
use crate::plan::beside::BESIDE;
use crate::plan::types::sql_type;
use crate::plan::user_types::said;

/// Casts the literals of each column whose type other rows show.
pub(super) fn typed(values: &mut ast::Values) {
    let width = values.rows.iter().map(|row| row.len()).min().unwrap_or(0);
    if values.rows.len() < 2 {
        return;
    }
    for column in 0..width {
        without_modifiers(values, column);
        let cells = || values.rows.iter().map(|row| &row[column]);
        let Some(mut ty) = column_type(cells()) else {
            beside(values, column);
            continue;
        };
        // Beside a numeric an integer is one, too, with a scale of its own.
        let numeric = is_numeric(&ty) && cells().filter_map(shown_type).any(|t| is_numeric(&t));
        if numeric {
            ty = DataType::Numeric(ExactNumberInfo::None);
        }
        // A NULL without the mark of its column would be of another type to the planner.
        let marked = !numeric && sql_type(&ty).is_ok_and(|t| !t.field("", true).metadata().is_empty());
        for row in &mut values.rows {
            let literal = &mut row[column];
            let null = matches!(literal, Expr::Value(v) if matches!(v.value, Value::Null));
            if (is_untyped(literal) && (marked || !null)) || (numeric && is_number(literal)) {
                let cast = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(literal.clone()),
                    data_type: ty.clone(),
                    array: false,
                    format: None,
                };
                *literal = arrays::plain(&cast).unwrap_or(cast);
            }
        }
    }
}

/// Cells of one type with different modifiers, or some with none, are of the type without one.
fn without_modifiers(values: &mut ast::Values, column: usize) {
    let types = values.rows.iter().filter_map(|row| shown_type(&row[column]).and_then(|t| sql_type(&t).ok()));
    let types = types.collect::<Vec<_>>();
    let Some(first) = types.first() else { return };
    let plain = match first {
        SqlType::Varchar(_) => DataType::Varchar(None),
        SqlType::Numeric(_) => DataType::Numeric(ExactNumberInfo::None),
        // All digits: a cast to the type without a modifier would be taken for none.
        SqlType::Precise(Precise::Time(_)) => said(&SqlType::Precise(Precise::Time(6))),
        SqlType::Precise(Precise::Timestamp(_)) => said(&SqlType::Precise(Precise::Timestamp(6))),
        SqlType::Precise(Precise::TimestampTz(_)) => said(&SqlType::Precise(Precise::TimestampTz(6))),
        SqlType::Precise(precise) => said(&precise.plain()),
        SqlType::Char(_) => match longest(values, column, &types) {
            Some(n) => said(&SqlType::Char(n)),
            None => return,
        },
        _ => return,
    };
    let alike = |t: &SqlType| std::mem::discriminant(t) == std::mem::discriminant(first);
    let all = types.len() == values.rows.len() && types.iter().all(|t| t == first);
    if !types.iter().all(alike) || all {
        return;
    }
    for row in &mut values.rows {
        if shown_type(&row[column]).is_some() {
            let expr = Box::new(row[column].clone());
            row[column] =
                Expr::Cast { kind: CastKind::Cast, expr, data_type: plain.clone(), array: false, format: None };
        }
    }
}

/// How long the values of a column of `character` may be, the literals among them.
fn longest(values: &ast::Values, column: usize, types: &[SqlType]) -> Option<u32> {
    let of_types = types.iter().map(|t| if let SqlType::Char(n) = t { *n } else { 0 });
    let of_literals = values.rows.iter().filter_map(|row| match &row[column] {
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(text) => u32::try_from(text.chars().count()).ok(),
            _ => None,
        },
        _ => None,
    });
    of_types.chain(of_literals).max().filter(|n| *n > 0)
}

/// Marks the literals of a column whose type a cell tells that is no literal: an expression over columns, a call.
fn beside(values: &mut ast::Values, column: usize) {
    let tells = |e: &&Expr| !is_untyped(e) && !is_fraction(e) && !is_parameter(e);
    let Some(known) = values.rows.iter().map(|row| &row[column]).find(tells).cloned() else { return };
    for row in &mut values.rows {
        if is_untyped(&row[column]) {
            row[column] = call(BESIDE, vec![known.clone(), row[column].clone()]);
        }
    }
}

/// Marks a literal beside IS DISTINCT FROM, which takes the type of the other side.
pub(super) fn distinct(left: &mut Expr, right: &mut Expr) {
    match (is_untyped(left), is_untyped(right)) {
        (true, false) => *left = call(BESIDE, vec![right.clone(), left.clone()]),
        (false, true) => *right = call(BESIDE, vec![left.clone(), right.clone()]),
        _ => {}
    }
}

/// A string or NULL as written.
fn is_untyped(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_) | Value::Null))
}

fn is_parameter(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(v) if matches!(v.value, Value::Placeholder(_)))
}

/// The type that the typed cells of a column show: integers give way to any other.
fn column_type<'a>(cells: impl Iterator<Item = &'a Expr> + Clone) -> Option<DataType> {
    let shown = cells.clone().filter_map(shown_type).collect::<Vec<_>>();
    let fraction = cells.clone().any(is_fraction);
    match shown.iter().find(|t| !matches!(t, DataType::Integer(None))) {
        Some(ty) => Some(ty.clone()),
        None if fraction => Some(DataType::Numeric(ExactNumberInfo::None)),
        None => shown.into_iter().next(),
    }
}

fn shown_type(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Cast { data_type, .. } => Some(data_type.clone()),
        Expr::TypedString(typed) => Some(typed.data_type.clone()),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => shown_type(inner),
        Expr::Value(v) if matches!(v.value, Value::Boolean(_)) => Some(DataType::Boolean),
        _ => None,
    }
}

fn is_fraction(expr: &Expr) -> bool {
    match expr {
        Expr::Value(v) => matches!(v.value, Value::Number(..)),
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => is_fraction(inner),
        _ => false,
    }
}

fn is_numeric(ty: &DataType) -> bool {
    matches!(ty, DataType::Numeric(_) | DataType::Decimal(_))
}

fn is_number(expr: &Expr) -> bool {
    is_fraction(expr) || matches!(expr, Expr::Cast { data_type: DataType::Integer(None), expr, .. } if is_number(expr))
}
