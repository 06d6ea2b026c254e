//! Single values and casts of writes: a DEFAULT, a SET value, what INSERT and COPY put into a column.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Cast, ColumnarValue, Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::kernel::{Body, Kernel};
use super::{QueryContext, meaning, plan_expr};
use crate::codec::input::only_scalar;
use crate::error::{from_datafusion, to_datafusion};

/// Evaluates a constant expression to one value cast to `ty`, as an assignment casts.
///
/// # Errors
/// As [`plan_expr`] and [`assignment_cast`].
pub fn evaluate(ctx: &Arc<QueryContext>, expr: &ast::Expr, ty: &SqlType) -> Result<ScalarValue> {
    let schema = DFSchema::empty();
    let planned = plan_expr(ctx, expr, &schema)?;
    let from = source_type(&planned, &schema)?;
    let expr = assignment_cast(planned, &from, ty, "value")?;
    let value = constant(ctx, expr, &schema)?;
    if value.data_type() == ty.arrow() { Ok(value) } else { value.cast_to(&ty.arrow()).map_err(from_datafusion) }
}

/// The type of a constant expression, if an assignment does not cast it to `ty`.
///
/// # Errors
/// As [`plan_expr`].
pub fn unassignable(ctx: &Arc<QueryContext>, expr: &ast::Expr, ty: &SqlType) -> Result<Option<SqlType>> {
    let schema = DFSchema::empty();
    let from = source_type(&plan_expr(ctx, expr, &schema)?, &schema)?;
    Ok((!assignable(&from, ty)).then_some(from))
}

fn source_type(expr: &Expr, schema: &DFSchema) -> Result<SqlType> {
    if let Expr::Literal(value, _) = expr
        && (value.is_null() || matches!(value, ScalarValue::Utf8(_)))
    {
        return Ok(SqlType::Unknown);
    }
    let (_, field) = expr.to_field(schema).map_err(from_datafusion)?;
    Ok(SqlType::of_field(&field))
}

fn constant(ctx: &QueryContext, expr: Expr, schema: &DFSchema) -> Result<ScalarValue> {
    let ready = ctx.database.plan.ready(&ctx.settings, true);
    let props = ready.state.execution_props();
    let simplifier = ExprSimplifier::new(
        datafusion::logical_expr::simplify::SimplifyContext::builder()
            .with_config_options(Arc::clone(ready.state.config_options()))
            .with_schema(Arc::new(schema.clone()))
            .build(),
    );
    let coerced = simplifier.coerce(expr, schema).map_err(from_datafusion)?;
    let meant = meaning::with_meaning(coerced, schema, &ctx.settings.format()).map_err(from_datafusion)?;
    // DataFusion knows coalesce as what the optimizer makes a CASE of.
    let simplified = |e: &Expr| matches!(e, Expr::ScalarFunction(f) if f.func.name() == "coalesce");
    let meant = match meant.exists(|e| Ok(simplified(e))).map_err(from_datafusion)? {
        true => simplifier.simplify(meant).map_err(from_datafusion)?,
        false => meant,
    };
    if let Expr::Literal(value, _) = meant {
        return Ok(value);
    }
    let physical =
        create_physical_expr(&meant, schema, props, &PhysicalPlanningContext::default()).map_err(from_datafusion)?;
    let one_row = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        vec![],
        &RecordBatchOptions::new().with_row_count(Some(1)),
    )?;
    match physical.evaluate(&one_row).map_err(from_datafusion)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(array) => only_scalar(&array).map_err(from_datafusion),
    }
}

/// An expression over the columns of `schema` made ready to be evaluated on batches: coerced, and with PostgreSQL's
/// meaning, as a query would have it.
///
/// # Errors
/// 42804 and other errors of types.
pub fn compile(ctx: &QueryContext, expr: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let ready = ctx.database.plan.ready(&ctx.settings, true);
    let simplifier = ExprSimplifier::new(
        datafusion::logical_expr::simplify::SimplifyContext::builder()
            .with_config_options(Arc::clone(ready.state.config_options()))
            .build(),
    );
    let coerced = simplifier.coerce(expr, schema).map_err(from_datafusion)?;
    let meant = meaning::with_meaning(coerced, schema, &ctx.settings.format()).map_err(from_datafusion)?;
    create_physical_expr(&meant, schema, ready.state.execution_props(), &PhysicalPlanningContext::default())
        .map_err(from_datafusion)
}

/// Families of types between which PostgreSQL casts on assignment.
fn assignable(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as T;
    let (from, to) = (&from.base().plain(), &to.base().plain());
    let number = |t: &T| {
        matches!(t, T::SmallInt | T::Integer | T::BigInt | T::Real | T::Double | T::Numeric(_) | T::Oid | T::Reg(_))
    };
    let string = |t: &T| matches!(t, T::Text | T::Varchar(_) | T::Char(_) | T::Name | T::InternalChar);
    let time = |t: &T| matches!(t, T::Date | T::Timestamp | T::TimestampTz);
    if matches!(from, T::Unknown) || string(to) {
        return true;
    }
    match (from, to) {
        (T::Array(from), T::Array(to)) => assignable(from, to),
        (T::Json, T::Jsonb) | (T::Jsonb, T::Json) | (T::Interval, T::Time) | (T::Time, T::Interval) => true,
        (T::Timestamp | T::TimestampTz, T::Time) => true,
        _ => from == to || (number(from) && number(to)) || (time(from) && time(to)),
    }
}

/// A type's name without its length or precision.
fn unmodified(ty: &SqlType) -> String {
    let text = ty.to_string();
    match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &text[..open], &text[close + 1..]),
        _ => text,
    }
}

/// A cast as an assignment makes it: refuses other families of types (42804) and what does not fit (22003, 22001), and
/// pads char(n).
///
/// # Errors
/// 42804 as PostgreSQL says it.
pub fn assignment_cast(expr: Expr, from: &SqlType, to: &SqlType, column: &str) -> Result<Expr> {
    if !assignable(from, to) {
        return Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!("column \"{column}\" is of type {} but expression is of type {}", unmodified(to), unmodified(from)),
        )
        .hint("You will need to rewrite or cast the expression."));
    }
    let to = to.base();
    let field = Arc::new(to.field(column, true));
    let limit = match to {
        SqlType::Varchar(Some(n)) => Some((*n, false)),
        SqlType::Char(n) => Some((*n, true)),
        _ => None,
    };
    if let Some((n, pad)) = limit {
        let text = Expr::Cast(Cast { expr: Box::new(expr), field: Arc::new(SqlType::Text.field(column, true)) });
        return Ok(Kernel::call(&format!("assign {to}"), field, vec![text], fit(to.clone(), n, pad)));
    }
    if from == to && !matches!(to, SqlType::Numeric(_)) {
        return Ok(expr);
    }
    Ok(Expr::Cast(Cast { expr: Box::new(expr), field }))
}

/// 22001 for more than `n` characters, blanks at the end aside.
fn fit(ty: SqlType, n: u32, pad: bool) -> Body {
    let n = n as usize;
    Arc::new(move |arrays| {
        let strings = arrow::compute::cast(&arrays[0], &DataType::Utf8View)?;
        let fitted = |text: &str| -> datafusion::common::Result<String> {
            let length = text.chars().count();
            if length <= n {
                let blanks = if pad { n - length } else { 0 };
                return Ok(format!("{text}{}", " ".repeat(blanks)));
            }
            if text.chars().skip(n).all(|c| c == ' ') {
                return Ok(text.chars().take(n).collect());
            }
            let message = format!("value too long for type {ty}");
            Err(to_datafusion(Error::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, message)))
        };
        let out = strings
            .as_string_view()
            .iter()
            .map(|v| v.map(fitted).transpose())
            .collect::<datafusion::common::Result<arrow::array::StringViewArray>>()?;
        Ok(Arc::new(out) as ArrayRef)
    })
}
