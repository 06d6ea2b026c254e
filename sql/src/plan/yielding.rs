//! Plans that can be stopped while they compute.
//!
//! A statement is cancelled by whoever polls its stream, between two polls; so every operator must give way now and then.
//! DataFusion makes its leaves give way, one step a batch they read. A join that makes thousands of batches of one of its
//! input never gets there: without the wrappers made here `SELECT count(*)` over a large join holds a thread until it is
//! done, deaf to CancelRequest and `statement_timeout`, and a few of them hold the server.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use sightline_storage::error::Result;

use crate::error::from_datafusion;

/// Makes the operators that multiply rows give way.
///
/// # Errors
/// Those of rebuilding a plan, which there are none of.
pub(super) fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let done = plan.transform_up(|node| match multiplies_rows(node.name()) {
        true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as _)),
        false => Ok(Transformed::no(node)),
    });
    Ok(done.map_err(from_datafusion)?.data)
}

/// By name, since each join is a type of its own.
fn multiplies_rows(operator: &str) -> bool {
    operator.contains("Join") || operator == "UnnestExec"
}
