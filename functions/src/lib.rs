//! What is computed: PostgreSQL's functions that DataFusion lacks or does otherwise. Pure: arrays in, arrays out. One file
//! a function, one folder a family; each family lists its functions, and [`register_all`] is their sum.
//!
//! What a function answers is PostgreSQL's answer, to the letter; what it refuses is a [`error::FunctionError`] with
//! PostgreSQL's SQLSTATE. Functions that need the session or the catalog are in `sql/src/catalog/functions`.

pub mod aggregate;
pub mod array;
pub mod error;
pub mod math;
pub mod postgres;
pub mod text;
pub mod time;
mod udf;
pub use time::{civil, interval, shift, zone};

use std::sync::Arc;

use datafusion_expr::{AggregateUDF, ScalarUDF};

use udf::Function;

fn all() -> impl Iterator<Item = &'static Function> {
    [array::FUNCTIONS, math::FUNCTIONS, postgres::FUNCTIONS, text::FUNCTIONS, time::FUNCTIONS].into_iter().flatten()
}

/// All scalar functions, to be registered over DataFusion's own of the same names.
pub fn register_all() -> Vec<Arc<ScalarUDF>> {
    all().map(|f| Arc::new(f.udf())).collect()
}

/// All aggregate functions.
pub fn register_all_aggregates() -> Vec<Arc<AggregateUDF>> {
    aggregate::all()
}

/// What one function does, for the docs and for SHOW FUNCTIONS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documentation {
    pub name: &'static str,
    /// e.g. `to_char(timestamp, text)`, one for each form.
    pub syntax: Vec<String>,
    /// One sentence.
    pub description: &'static str,
}

/// What all scalar functions do.
pub fn documentation() -> Vec<Documentation> {
    all().map(Function::documentation).collect()
}
