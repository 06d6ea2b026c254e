//! `VALUES ('2024-01-01'::date), ('2024-02-01')`: a literal without a type takes that of its column, which the other rows
//! tell (<https://www.postgresql.org/docs/15/typeconv-union-case.html>).

use datafusion::sql::sqlparser::ast::{self, CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value};

use super::arrays;

/// Casts the literals of each column whose type other rows show.
pub(super) fn typed(values: &mut ast::Values) {
    let width = values.rows.iter().map(|row| row.len()).min().unwrap_or(0);
    if values.rows.len() < 2 {
        return;
    }
    for column in 0..width {
        let cells = || values.rows.iter().map(|row| &row[column]);
        let Some(mut ty) = column_type(cells()) else { continue };
        // Beside a numeric an integer is one, too, with a scale of its own.
        let numeric = is_numeric(&ty) && cells().filter_map(shown_type).any(|t| is_numeric(&t));
        if numeric {
            ty = DataType::Numeric(ExactNumberInfo::None);
        }
        for row in &mut values.rows {
            let literal = &mut row[column];
            let text = matches!(literal, Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_)));
            if text || (numeric && is_number(literal)) {
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
