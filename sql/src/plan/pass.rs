//! A pass over the expressions of a plan, with the columns that each stands over.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The node with each of its expressions rewritten, under their old names: what stands above names them by those. Its
/// schema is not made anew.
pub(super) fn over_expressions(
    node: LogicalPlan,
    rule: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        let saved = names.save(&expr);
        Ok(rule(expr, &schema)?.update_data(|e| saved.restore(e)))
    })
}

/// The node with each of its expressions rewritten from the leaves up.
pub(super) fn over_node(
    node: LogicalPlan,
    rule: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let changed = over_expressions(node, |expr, schema| expr.transform_up(|e| rule(e, schema)))?;
    if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
}

/// The plan with the expressions of all its nodes rewritten, those of subqueries included.
pub(super) fn over_plan(
    plan: LogicalPlan,
    rule: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| over_node(node, &rule)).map(|t| t.data)
}
