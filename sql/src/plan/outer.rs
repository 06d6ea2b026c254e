//! What a subquery takes from outside of it: columns of the queries around it, and parameters.

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, Placeholder};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use datafusion::scalar::ScalarValue;

/// One thing that a subquery takes from outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outer {
    Column(FieldRef, Column),
    Parameter(Placeholder),
}

impl Outer {
    /// All that the subquery takes.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Vec<Outer>> {
        let mut all = free(plan)?.into_iter().map(|(field, column)| Outer::Column(field, column)).collect::<Vec<_>>();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|e| {
                    if let Expr::Placeholder(parameter) = e {
                        let parameter = Outer::Parameter(parameter.clone());
                        if !all.contains(&parameter) {
                            all.push(parameter);
                        }
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(all)
    }

    /// It, in the query around: a column of its own if its input has it, else one of a query further out.
    pub(super) fn expr(&self, around: &DFSchema) -> Expr {
        match self {
            Outer::Column(_, column) if around.has_column(column) => Expr::Column(column.clone()),
            Outer::Column(field, column) => Expr::OuterReferenceColumn(field.clone(), column.clone()),
            Outer::Parameter(parameter) => Expr::Placeholder(parameter.clone()),
        }
    }

    /// Whether the expression, in the subquery, is it.
    fn is(&self, expr: &Expr) -> bool {
        match (self, expr) {
            (Outer::Column(_, mine), Expr::OuterReferenceColumn(_, column)) => mine == column,
            (Outer::Parameter(mine), Expr::Placeholder(parameter)) => mine.id == parameter.id,
            _ => false,
        }
    }
}

/// The columns of queries around it that a plan reads, each once, those of subqueries inside of it among them unless
/// the plan itself has them.
pub(super) fn free(plan: &LogicalPlan) -> Result<Vec<(FieldRef, Column)>> {
    let mut all: Vec<(FieldRef, Column)> = Vec::new();
    let mut take = |found: (FieldRef, Column)| {
        if !all.iter().any(|(_, column)| *column == found.1) {
            all.push(found);
        }
    };
    plan.apply(|node| {
        let mut around = None;
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                match e {
                    Expr::OuterReferenceColumn(field, column) => take((field.clone(), column.clone())),
                    Expr::ScalarSubquery(subquery)
                    | Expr::InSubquery(InSubquery { subquery, .. })
                    | Expr::Exists(Exists { subquery, .. }) => {
                        let around = around.get_or_insert_with(|| merge_schema(&node.inputs()));
                        for found in free(&subquery.subquery)? {
                            if !around.has_column(&found.1) {
                                take(found);
                            }
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        // What the left side of a join has is not free in its right side.
        if let LogicalPlan::Join(join) = node {
            free(&join.left)?.into_iter().for_each(&mut take);
            let mine = |(_, column): &(FieldRef, Column)| join.left.schema().has_column(column);
            free(&join.right)?.into_iter().filter(|found| !mine(found)).for_each(&mut take);
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

/// The subquery with values in the place of what it takes from outside.
pub(super) fn bound(plan: &LogicalPlan, outer: &[Outer], values: &[ScalarValue]) -> Result<LogicalPlan> {
    replaced(plan.clone(), |e| outer.iter().position(|o| o.is(e)).map(|n| Expr::Literal(values[n].clone(), None)))
}

/// The plan with its outer columns that `by` knows replaced, its subqueries included; and without the marks of lateral
/// subqueries, which hang on nothing then.
pub(super) fn replaced(plan: LogicalPlan, by: impl Fn(&Expr) -> Option<Expr>) -> Result<LogicalPlan> {
    let bound = plan.transform_down_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Subquery(lateral) => lateral.subquery.as_ref().clone(),
            other => other,
        };
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| match by(&e) {
                Some(value) => Ok(Transformed::yes(value)),
                None => Ok(Transformed::no(e)),
            })?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        // What a subquery was said to take from outside it no longer takes.
        node.map_data(|node| {
            node.map_expressions(|e| e.transform_up(|e| Ok(Transformed::no(told(e)?)))).map(|t| t.data)
        })
    })?;
    Ok(bound.data)
}

/// A subquery's expression with the list of what it takes from outside as it is now.
fn told(expr: Expr) -> Result<Expr> {
    let again = |subquery: Subquery| -> Result<Subquery> {
        let outer = free(&subquery.subquery)?;
        let outer_ref_columns = outer.into_iter().map(|(f, c)| Expr::OuterReferenceColumn(f, c)).collect();
        Ok(Subquery { outer_ref_columns, ..subquery })
    };
    Ok(match expr {
        Expr::ScalarSubquery(subquery) => Expr::ScalarSubquery(again(subquery)?),
        Expr::Exists(exists) => Expr::Exists(Exists { subquery: again(exists.subquery)?, ..exists }),
        Expr::InSubquery(found) => Expr::InSubquery(InSubquery { subquery: again(found.subquery)?, ..found }),
        other => other,
    })
}
