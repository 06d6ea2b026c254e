//! Runs a plan and streams its rows, under cancel and deadline.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, TryStreamExt};
use sightline_storage::error::{Error, Result};
use sightline_storage::types::{RegKind, SqlType};

use super::yielding::yielding;
use super::{Planned, QueryContext, rewrite, shared};
use crate::answer::{Column, RowStream};
use crate::catalog::table::Table;
use crate::error::from_datafusion;
use crate::session::Limits;

/// Runs a plan: optimises, makes it physical, and streams. Rows come as `columns` say (see `Answer::Rows`).
///
/// # Errors
/// 57014 once the statement is cancelled or `statement_timeout` is over, also from the stream.
pub async fn run(ctx: &Arc<QueryContext>, planned: Planned, parameters: Vec<ScalarValue>) -> Result<RowStream> {
    let Planned { plan, columns, allowed: _, parameters: _ } = planned;
    let (physical, task) = ctx.limits.race(physical(ctx, plan, parameters)).await??;
    let rows = execute_stream(physical, task).map_err(from_datafusion)?;
    Ok(stream(rows, columns, ctx.limits.clone()))
}

/// The optimised plan, and the physical one as DataFusion displays it, for EXPLAIN; with `analyze` it has been run, and
/// has its metrics.
///
/// # Errors
/// As [`run`].
pub async fn explain(
    ctx: &Arc<QueryContext>,
    planned: Planned,
    parameters: Vec<ScalarValue>,
    analyze: bool,
) -> Result<(LogicalPlan, Arc<dyn ExecutionPlan>)> {
    let (optimized, physical, task) = ctx.limits.race(optimized(ctx, planned.plan, parameters)).await??;
    if analyze {
        let mut rows = execute_stream(yielding(physical.clone())?, task).map_err(from_datafusion)?;
        while ctx.limits.race(rows.try_next()).await?.map_err(from_datafusion)?.is_some() {}
    }
    Ok((optimized, physical))
}

async fn optimized(
    ctx: &Arc<QueryContext>,
    plan: LogicalPlan,
    parameters: Vec<ScalarValue>,
) -> Result<(LogicalPlan, Arc<dyn ExecutionPlan>, Arc<datafusion::execution::TaskContext>)> {
    let ready = ctx.database.plan.ready(&ctx.settings, is_small(&plan));
    let plan = with_parameters(shown_names(ctx, plan)?, parameters)?;
    let optimized = super::aside(ctx.long, || ready.state.optimize(&plan)).map_err(from_datafusion)?;
    let physical =
        ready.state.query_planner().create_physical_plan(&optimized, &ready.state).await.map_err(from_datafusion)?;
    let task = ready.task(&ctx.memory, ctx.database.plan.runtime())?;
    Ok((optimized, physical, task))
}

async fn physical(
    ctx: &Arc<QueryContext>,
    plan: LogicalPlan,
    parameters: Vec<ScalarValue>,
) -> Result<(Arc<dyn ExecutionPlan>, Arc<datafusion::execution::TaskContext>)> {
    let (_, physical, task) = Box::pin(optimized(ctx, plan, parameters)).await?;
    Ok((yielding(physical)?, task))
}

fn with_parameters(plan: LogicalPlan, parameters: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if parameters.is_empty() {
        return Ok(plan);
    }
    let values = parameters.into_iter().map(|value| ScalarAndMetadata { value, metadata: None }).collect();
    super::ctes::with_parameters(plan, &ParamValues::List(values)).map_err(from_datafusion)
}

/// Columns of a `reg*` type leave as names, vectors as their items.
fn shown_names(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = plan.schema().clone();
    let types = || schema.fields().iter().map(|f| SqlType::of_field(f));
    if !types().any(|ty| printer(&ty).is_some() || is_numbers(&ty)) {
        return Ok(plan);
    }
    let origins = super::columns::origins(ctx, &plan);
    let exprs = schema
        .columns()
        .into_iter()
        .zip(schema.fields())
        .enumerate()
        .map(|(n, (column, field))| match printed_by(origins.get(n).copied().flatten(), &SqlType::of_field(field)) {
            Some(name) => match crate::catalog::system_function(ctx, &name) {
                Some(function) => Ok(function.call(vec![Expr::Column(column)]).alias(field.name())),
                None => Err(Error::internal(format!("function {name} is missing"))),
            },
            None => Ok(Expr::Column(column)),
        })
        .collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(exprs).and_then(|b| b.build()).map_err(from_datafusion)
}

/// What an `int2vector` or `oidvector` is held as.
fn is_numbers(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Array(item) if matches!(**item, SqlType::SmallInt | SqlType::Oid))
}

/// The function that prints a column, which is of the catalog if `origin` says so.
fn printed_by(origin: Option<(u32, i16)>, ty: &SqlType) -> Option<String> {
    let vector = origin.is_some_and(|(table, number)| crate::catalog::is_vector(table, number));
    if vector && is_numbers(ty) { Some("vector_out".to_string()) } else { printer(ty) }
}

/// The function that prints a type whose values are numbers and leave as names.
fn printer(ty: &SqlType) -> Option<String> {
    match ty {
        SqlType::Reg(kind) => Some(format!("{}_out", rewrite::reg_type(*kind))),
        SqlType::Array(item) if **item == SqlType::Reg(RegKind::Type) => Some("regtypes_out".to_string()),
        _ => None,
    }
}

/// Whether the plan reads so few rows that one partition is faster.
fn is_small(plan: &LogicalPlan) -> bool {
    read_rows(plan, &mut HashSet::new()).is_ok_and(|rows| rows < shared::SMALL_ROWS as u64)
}

/// How many rows its tables have; a query that is read several times counts once.
fn read_rows(plan: &LogicalPlan, seen: &mut HashSet<usize>) -> datafusion::common::Result<u64> {
    let mut rows = 0_u64;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
        {
            if let Some(table) = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<Table>() {
                rows += table.snapshot().rows();
            } else if let Some(inner) = super::ctes::inside(provider.as_ref())
                && seen.insert(std::ptr::from_ref(inner) as usize)
            {
                rows += read_rows(inner, seen)?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(rows)
}

fn stream(rows: SendableRecordBatchStream, columns: Arc<[Column]>, limits: Limits) -> RowStream {
    Box::pin(futures::stream::unfold(Some((rows, limits)), move |state| {
        let columns = columns.clone();
        async move {
            let (mut rows, limits) = state?;
            let next = match limits.race(rows.next()).await {
                Ok(Some(Ok(batch))) => conform(&batch, &columns),
                Ok(Some(Err(e))) => Err(from_datafusion(e)),
                Ok(None) => return None,
                Err(e) => Err(e),
            };
            let rest = next.is_ok().then_some((rows, limits));
            Some((next, rest))
        }
    }))
}

/// The batch in its columns' own Arrow types.
pub(crate) fn conform(batch: &RecordBatch, columns: &[Column]) -> Result<RecordBatch> {
    let arrays =
        batch.columns().iter().zip(columns).map(|(a, c)| conform_array(a, &c.ty)).collect::<Result<Vec<_>>>()?;
    let fields = arrays
        .iter()
        .zip(columns)
        .map(|(a, c)| c.ty.field(&c.name, true).with_data_type(a.data_type().clone()))
        .collect::<Vec<_>>();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

fn conform_array(array: &ArrayRef, ty: &SqlType) -> Result<ArrayRef> {
    if let DataType::Dictionary(_, values) = array.data_type() {
        return conform_array(&cast(array, values)?, ty);
    }
    let wanted = ty.arrow();
    let keep = match ty {
        SqlType::Numeric(_) => array.data_type().is_decimal() || *array.data_type() == wanted,
        SqlType::Reg(_) | SqlType::Void => true,
        // Rows are shown as they are, by what their fields say.
        SqlType::Composite(_) | SqlType::Text if matches!(array.data_type(), DataType::Struct(_)) => true,
        SqlType::Array(_) if printer(ty).is_some() => true,
        _ => *array.data_type() == wanted,
    };
    if keep {
        return Ok(array.clone());
    }
    if let (DataType::List(_), DataType::List(item)) = (array.data_type(), &wanted)
        && let Some(body) = super::numeric::cast_body(array.data_type(), &ty.field("", true).into())
        && *item.data_type() == sightline_functions::numeric::NUMERIC
    {
        return body(std::slice::from_ref(array)).map_err(from_datafusion);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, &wanted, &strict)?)
}

/// Runs a plan inside another statement: rows as DataFusion makes them, under the other's limits.
pub(super) async fn raw(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
    let (physical, task) = physical(ctx, plan, vec![]).await?;
    execute_stream(physical, task).map_err(from_datafusion)
}
