//! VALUES without a planner: literals, parameters and DEFAULT, value by value.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::{check_width, placeholder};
use crate::codec::{Style, input};
use crate::error::from_datafusion;
use crate::exec::write::{Shape, TableWriter, Written, append};
use crate::parser;
use crate::plan::{QueryContext, column_default, evaluate, is_row};
use crate::sequence;

/// More rows than this go through the writer, which knows what to do with large amounts, so many at a time.
pub(super) const ROWS_MAX: usize = 8192;

/// `INSERT … DEFAULT VALUES`.
pub(super) fn defaults(ctx: &Arc<QueryContext>, table: &Arc<TableDef>) -> Result<Written> {
    let row =
        (0..table.columns.len()).map(|column| default_values(ctx, table, column, 1)).collect::<Result<Vec<_>>>()?;
    build(ctx, table, row)
}

/// The rows, or none if they need a query to be worked out.
pub(super) async fn direct(
    ctx: &Arc<QueryContext>,
    table: &Arc<TableDef>,
    targets: &[usize],
    named: bool,
    rows: &[ast::Parens<Vec<ast::Expr>>],
    parameters: &[ScalarValue],
) -> Result<Option<Written>> {
    let width = rows.first().map_or(0, |r| r.content.len());
    check_width(width, targets, named)?;
    if rows.iter().any(|row| row.content.len() != width) {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length"));
    }
    if rows.iter().flat_map(|row| &row.content).any(is_row) {
        return Ok(None);
    }
    if rows.len() <= ROWS_MAX {
        let values = values(ctx, table, targets, rows, parameters)?;
        return values.map(|values| build(ctx, table, values)).transpose();
    }
    let mut writer = TableWriter::new(ctx, table, (0..table.columns.len()).collect())?;
    let fields = table.columns.iter().map(|c| c.ty.field(&c.name, true)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    for chunk in rows.chunks(ROWS_MAX) {
        let Some(values) = values(ctx, table, targets, chunk, parameters)? else { return Ok(None) };
        writer.write(RecordBatch::try_new(schema.clone(), arrays(table, values)?)?).await?;
    }
    writer.finish().await.map(Some)
}

/// The values by column of the table, or none if one needs a query.
fn values(
    ctx: &Arc<QueryContext>,
    table: &TableDef,
    targets: &[usize],
    rows: &[ast::Parens<Vec<ast::Expr>>],
    parameters: &[ScalarValue],
) -> Result<Option<Vec<Vec<ScalarValue>>>> {
    let mut columns = vec![Vec::with_capacity(rows.len()); table.columns.len()];
    let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
    for row in rows {
        for (item, position) in row.content.iter().zip(targets) {
            let value = if is_default(item) {
                default_value(ctx, table, *position)?
            } else {
                match value(ctx, item, &table.columns[*position], parameters, &style)? {
                    Some(value) => value,
                    None => return Ok(None),
                }
            };
            columns[*position].push(value);
        }
    }
    for (position, values) in columns.iter_mut().enumerate() {
        if values.is_empty() {
            *values = default_values(ctx, table, position, rows.len())?;
        }
    }
    Ok(Some(columns))
}

fn build(ctx: &Arc<QueryContext>, table: &Arc<TableDef>, columns: Vec<Vec<ScalarValue>>) -> Result<Written> {
    let rows = columns.first().map_or(0, Vec::len);
    let shape = Shape::new(ctx, table, (0..table.columns.len()).collect())?;
    append(ctx, table, shape.checked(arrays(table, columns)?, rows)?)
}

fn arrays(table: &TableDef, columns: Vec<Vec<ScalarValue>>) -> Result<Vec<ArrayRef>> {
    let array = |(values, column): (Vec<ScalarValue>, &ColumnDef)| {
        let array = ScalarValue::iter_to_array(values).map_err(from_datafusion)?;
        let ty = column.ty.arrow();
        if *array.data_type() == ty { Ok(array) } else { Ok(arrow::compute::cast(&array, &ty)?) }
    };
    columns.into_iter().zip(&table.columns).map(array).collect()
}

/// What fills a column in so many rows.
fn default_values(ctx: &Arc<QueryContext>, table: &TableDef, position: usize, rows: usize) -> Result<Vec<ScalarValue>> {
    let column = &table.columns[position];
    let Some(id) = sequence::filling(ctx, column)? else {
        return (0..rows).map(|_| default_value(ctx, table, position)).collect();
    };
    let numbers = sequence::column(ctx, id, rows, &column.ty)?;
    (0..rows).map(|row| ScalarValue::try_from_array(&numbers, row).map_err(from_datafusion)).collect()
}

fn default_value(ctx: &Arc<QueryContext>, table: &TableDef, position: usize) -> Result<ScalarValue> {
    let column = &table.columns[position];
    if let Some(id) = sequence::filling(ctx, column)? {
        let number = sequence::column(ctx, id, 1, &column.ty)?;
        return ScalarValue::try_from_array(&number, 0).map_err(from_datafusion);
    }
    match column_default(ctx, column) {
        Some(text) => evaluate(ctx, &parser::parse_expr(&text)?, &column.ty),
        None => input::null(&column.ty),
    }
}

/// True for the word DEFAULT.
pub(crate) fn is_default(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(i) if i.quote_style.is_none() && i.value.eq_ignore_ascii_case("default"))
}

/// True for a bare string.
pub(crate) fn is_text_literal(expr: &ast::Expr) -> bool {
    text_literal(expr).is_some()
}

fn text_literal(expr: &ast::Expr) -> Option<&str> {
    let ast::Expr::Value(value) = expr else { return None };
    match &value.value {
        ast::Value::SingleQuotedString(s) | ast::Value::EscapedStringLiteral(s) => Some(s),
        ast::Value::DollarQuotedString(s) => Some(&s.value),
        _ => None,
    }
}

/// One item as a value of its column, or none if only a query can tell.
fn value(
    ctx: &Arc<QueryContext>,
    item: &ast::Expr,
    column: &ColumnDef,
    parameters: &[ScalarValue],
    style: &Style,
) -> Result<Option<ScalarValue>> {
    let ty = &column.ty;
    if let Some(n) = placeholder(item) {
        let given = parameters.get(n).filter(|v| fits(v, ty));
        return Ok(given.cloned());
    }
    if let Some(text) = text_literal(item) {
        return input_value(text, ty, style).map(Some);
    }
    match item {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Null => return input::null(ty).map(Some),
            ast::Value::Boolean(b) if *ty == SqlType::Boolean => return Ok(Some(ScalarValue::Boolean(Some(*b)))),
            ast::Value::Number(digits, _) => {
                if let Some(number) = number(digits, false, ty) {
                    return Ok(Some(number));
                }
                in_range(digits, ty)?;
            }
            _ => {}
        },
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => {
            if let ast::Expr::Value(value) = expr.as_ref()
                && let ast::Value::Number(digits, _) = &value.value
            {
                if let Some(number) = number(digits, true, ty) {
                    return Ok(Some(number));
                }
                in_range(digits, ty)?;
            }
        }
        _ => {}
    }
    if is_constant(item) { evaluate(ctx, item, ty).map(Some).map_err(|e| named(e, &column.name)) } else { Ok(None) }
}

/// A string as its column's type reads it; too long a one is refused by an assignment, blanks aside.
fn input_value(text: &str, ty: &SqlType, style: &Style) -> Result<ScalarValue> {
    input::parse_text_styled(ty, text, style)
}

/// True for a parameter that is already as its column wants it.
fn fits(value: &ScalarValue, ty: &SqlType) -> bool {
    if value.data_type() != ty.arrow() {
        return false;
    }
    match (ty, value) {
        (SqlType::Varchar(Some(n)), ScalarValue::Utf8View(Some(text))) => text.chars().count() <= *n as usize,
        (SqlType::Char(n), ScalarValue::Utf8View(Some(text))) => text.chars().count() == *n as usize,
        (SqlType::Json | SqlType::Jsonb, _) => value.is_null(),
        _ => true,
    }
}

/// A number written as it is, in the type of its column; none if that takes rounding.
fn number(digits: &str, negative: bool, ty: &SqlType) -> Option<ScalarValue> {
    let signed = || if negative { format!("-{digits}") } else { digits.to_string() };
    Some(match ty {
        SqlType::SmallInt => ScalarValue::Int16(Some(signed().parse().ok()?)),
        SqlType::Integer => ScalarValue::Int32(Some(signed().parse().ok()?)),
        SqlType::BigInt => ScalarValue::Int64(Some(signed().parse().ok()?)),
        SqlType::Double => ScalarValue::Float64(Some(signed().parse().ok().filter(|f: &f64| f.is_finite())?)),
        SqlType::Real => ScalarValue::Float32(Some(signed().parse().ok().filter(|f: &f32| f.is_finite())?)),
        SqlType::Numeric(Some(_)) => match ty.arrow() {
            arrow::datatypes::DataType::Decimal128(precision, scale) => decimal(digits, negative, precision, scale)?,
            _ => return None,
        },
        _ => return None,
    })
}

/// Refuses a whole number that its column cannot hold.
fn in_range(digits: &str, ty: &SqlType) -> Result<()> {
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole && matches!(ty, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt) {
        return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range")));
    }
    Ok(())
}

/// A plain decimal number that fits without rounding.
fn decimal(digits: &str, negative: bool, precision: u8, scale: i8) -> Option<ScalarValue> {
    let scale_digits = usize::try_from(scale).ok()?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > scale_digits {
        return None;
    }
    let joined = format!("{whole}{fraction}{}", "0".repeat(scale_digits - fraction.len()));
    let significant = joined.trim_start_matches('0');
    if significant.len() > usize::from(precision) || !joined.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    Some(ScalarValue::Decimal128(Some(if negative { -value } else { value }), precision, scale))
}

/// True if the expression has the same value wherever it stands: no columns, subqueries, parameters or calls that need a
/// query around them.
fn is_constant(expr: &ast::Expr) -> bool {
    let mut constant = true;
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        constant &= !matches!(
            e,
            ast::Expr::Subquery(_)
                | ast::Expr::Exists { .. }
                | ast::Expr::InSubquery { .. }
                | ast::Expr::Identifier(_)
                | ast::Expr::CompoundIdentifier(_)
        ) && placeholder(e).is_none();
        if constant { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    constant
}

/// `evaluate` does not know the column: its message about types names "value" instead.
fn named(e: Error, column: &str) -> Error {
    if e.code() != SqlState::DATATYPE_MISMATCH {
        return e;
    }
    let text = e.message().replacen("column \"value\"", &format!("column \"{column}\""), 1);
    Error::new(SqlState::DATATYPE_MISMATCH, text).hint("You will need to rewrite or cast the expression.")
}
