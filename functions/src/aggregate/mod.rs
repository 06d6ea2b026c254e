//! Aggregates that PostgreSQL has and DataFusion has not.

mod every;
mod interval;
mod single_value;

use std::sync::Arc;

use datafusion_expr::AggregateUDF;

pub use interval::interval_aggregate;
pub use single_value::single_value;

pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    vec![every::every(), single_value()]
}
