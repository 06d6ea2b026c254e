//! Aggregates that PostgreSQL has and DataFusion has not, or computes otherwise.

mod array_agg;
pub mod collected;
mod every;
mod hypothetical;
mod interval;
mod ordered_set;
mod single_value;
mod statistics;
pub mod string_agg;
mod sum_real;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::AggregateUDF;

pub use array_agg::array_agg_of_arrays;
pub use interval::interval_aggregate;
pub use single_value::single_value;
pub use sum_real::sum_real;

/// The types that an aggregate of ours wants of arguments of these types, where the planner has to cast numerics.
pub fn targets(function: &AggregateUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    ordered_set::wanted(function, given)
}

pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    let mut all = vec![every::every(), array_agg_of_arrays(), single_value(), sum_real()];
    all.extend(statistics::all());
    all.extend(ordered_set::all());
    all.extend(hypothetical::all());
    all.extend(string_agg::all());
    all
}
