//! Grouping sets over computed columns: what is computed moves below, since later passes may not touch what a set says
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-GROUPING-SETS>).

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, Projection};

/// Rewrites a plan fresh from the planner.
pub(super) fn projected(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => rewritten(aggregate),
        other => Ok(Transformed::no(other)),
    })
    .map(|t| t.data)
}

fn rewritten(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] = aggregate.group_expr.as_slice() else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    let mut computed: Vec<(Expr, Column)> = Vec::new();
    let mut named = |expr: &Expr| match expr {
        Expr::Column(_) => expr.clone(),
        other => {
            // The name that the planner gives it, by which the rest of the plan knows it.
            let name = other.schema_name().to_string();
            let known = computed.iter().find(|(e, _)| e == other).map(|(_, column)| column.clone());
            let column = known.unwrap_or_else(|| {
                let column = Column::from_name(name);
                computed.push((other.clone(), column.clone()));
                column
            });
            Expr::Column(column)
        }
    };
    let sets = sets.iter().map(|set| set.iter().map(&mut named).collect()).collect::<Vec<Vec<_>>>();
    if computed.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    // What `grouping(…)` asks for is found by these names, too.
    let calls = aggregate.aggr_expr.iter().map(|call| asked(call, &computed)).collect::<Result<Vec<_>>>()?;
    let columns = aggregate.input.schema().columns().into_iter().map(Expr::Column);
    let extra = computed.into_iter().map(|(e, column)| e.alias(column.name));
    let input = Projection::try_new(columns.chain(extra).collect(), aggregate.input)?;
    let group = vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets))];
    let plan = Aggregate::try_new(Arc::new(LogicalPlan::Projection(input)), group, calls)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(plan)))
}

/// A call of `grouping` with the columns in the place of what they are computed from, under its old name.
fn asked(call: &Expr, computed: &[(Expr, Column)]) -> Result<Expr> {
    let name = call.schema_name().to_string();
    let done = call.clone().transform_down(|e| match e {
        Expr::AggregateFunction(mut f) if f.func.name() == "grouping" => {
            let mut changed = false;
            for arg in &mut f.params.args {
                if let Some((_, column)) = computed.iter().find(|(e, _)| e == arg) {
                    *arg = Expr::Column(column.clone());
                    changed = true;
                }
            }
            Ok(Transformed::new_transformed(Expr::AggregateFunction(f), changed))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(if done.transformed { done.data.alias(name) } else { done.data })
}
