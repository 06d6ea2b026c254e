//! `WHERE x <> 0 AND 10 / x > 3` as people mean it: the second condition is computed for the rows that fulfil the first.
//!
//! PostgreSQL promises no order, but keeps that of the text; DataFusion computes both for all rows of a batch. Conditions
//! that may fail are made conditional here, after the optimizer has pushed down what it wants to push down.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

/// The rule.
#[derive(Debug)]
pub(super) struct Guards;

impl PhysicalOptimizerRule for Guards {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            match guarded(filter.predicate())? {
                Some(predicate) => {
                    let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
                    Ok(Transformed::yes(Arc::new(filter) as _))
                }
                None => Ok(Transformed::no(node)),
            }
        })
        .map(|t| t.data)
    }

    fn name(&self) -> &'static str {
        "guards"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The condition with its parts behind the first made conditional, if one of them may fail.
fn guarded(predicate: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(and) = predicate.downcast_ref::<BinaryExpr>() else { return Ok(None) };
    if *and.op() != Operator::And {
        return Ok(None);
    }
    let left = guarded(and.left())?;
    if left.is_none() && !may_fail(and.right())? {
        return Ok(None);
    }
    let left = left.unwrap_or_else(|| and.left().clone());
    let never = Arc::new(Literal::new(ScalarValue::Boolean(Some(false))));
    // In a WHERE unknown is as good as false.
    Ok(Some(Arc::new(CaseExpr::try_new(None, vec![(left, and.right().clone())], Some(never))?)))
}

/// Whether it divides, or reads a value from text.
fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let mut found = false;
    expr.apply(|e| {
        let divides =
            e.downcast_ref::<BinaryExpr>().is_some_and(|b| matches!(b.op(), Operator::Divide | Operator::Modulo));
        let reads = e.downcast_ref::<ScalarFunctionExpr>().is_some_and(|f| {
            let name = f.fun().name();
            name.ends_with("_in") || name.ends_with(" /") || matches!(name, "div" | "mod")
        });
        found |= divides || reads;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
