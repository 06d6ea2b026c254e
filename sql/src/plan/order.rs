//! `SELECT json_agg(s) FROM (SELECT … ORDER BY y) s` takes the rows in the order of the subquery, as in PostgreSQL, whose
//! manual promises it (<https://www.postgresql.org/docs/15/functions-aggregate.html>). DataFusion's aggregates take rows as
//! they come, and then nobody asks for the sort any more: so they get its keys as an ORDER BY of their own.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection, SortExpr};

use super::enums::bare;
use super::pass::over_expressions;

/// Aggregates whose answer hangs on the order of their rows.
const SENSITIVE: [&str; 2] = ["array_agg", "string_agg"];

/// How the columns that carry a key up are called; no user can write it.
const KEY: &str = "\u{1}order";

/// The plan with the order of subqueries in such aggregates.
pub(super) fn inherited(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(hangs_on_order) => ordered(aggregate),
        other => Ok(Transformed::no(other)),
    })
    .map(|t| t.data)
}

fn hangs_on_order(expr: &Expr) -> bool {
    expr.exists(|e| Ok(is_sensitive(e))).is_ok_and(|found| found)
}

fn is_sensitive(expr: &Expr) -> bool {
    let Expr::AggregateFunction(call) = expr else { return false };
    call.params.order_by.is_empty() && !call.params.distinct && SENSITIVE.contains(&bare(&call.func).name())
}

fn ordered(mut aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Some((input, keys)) = carried(&aggregate.input)? else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    aggregate.input = Arc::new(input);
    over_expressions(LogicalPlan::Aggregate(aggregate), |expr, _| {
        expr.transform_up(|e| match e {
            Expr::AggregateFunction(mut call) if is_sensitive(&Expr::AggregateFunction(call.clone())) => {
                call.params.order_by.clone_from(&keys);
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        })
    })?
    .map_data(LogicalPlan::recompute_schema)
}

/// The plan with the keys of the sort below it as its last columns, if its rows come in that order.
fn carried(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Vec<SortExpr>)>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) if !sort.expr.iter().any(|key| key.expr.is_volatile()) => {
            let own = plan.schema().columns().into_iter().map(Expr::Column);
            let keys = sort.expr.iter().enumerate();
            let keys = keys.map(|(n, key)| key.expr.clone().alias(format!("{KEY} {n}")));
            let columns = own.chain(keys).collect();
            let with = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan.clone()))?);
            let key = |(n, key): (usize, &SortExpr)| {
                let column = Expr::Column(Column::from_name(format!("{KEY} {n}")));
                SortExpr::new(column, key.asc, key.nulls_first)
            };
            let keys = sort.expr.iter().enumerate().map(key).collect();
            Some((with, keys))
        }
        LogicalPlan::Projection(projection) => match carried(&projection.input)? {
            Some((input, keys)) => {
                let columns = projection.expr.iter().cloned().chain(keys.iter().map(|k| k.expr.clone())).collect();
                Some((LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?), keys))
            }
            None => None,
        },
        LogicalPlan::SubqueryAlias(alias) => match carried(&alias.input)? {
            Some((input, keys)) => {
                let plan = LogicalPlanBuilder::from(input).alias(alias.alias.clone())?.build()?;
                let columns = plan.schema().columns();
                let own = columns.len() - keys.len();
                let key = |(n, key): (usize, SortExpr)| {
                    SortExpr::new(Expr::Column(columns[own + n].clone()), key.asc, key.nulls_first)
                };
                let keys = keys.into_iter().enumerate().map(key).collect();
                Some((plan, keys))
            }
            None => None,
        },
        LogicalPlan::Filter(_) | LogicalPlan::Limit(_) => match carried(plan.inputs()[0])? {
            Some((input, keys)) => Some((plan.with_new_exprs(plan.expressions(), vec![input])?, keys)),
            None => None,
        },
        _ => None,
    })
}
