//! What is computed: PostgreSQL's functions that DataFusion lacks or does otherwise. Pure: arrays in, arrays out. One file
//! a function, one folder a family; each family lists its functions, and [`register_all`] is their sum.
//!
//! What a function answers is PostgreSQL's answer, to the letter; what it refuses is a [`error::FunctionError`] with
//! PostgreSQL's SQLSTATE. Functions that need the session or the catalog are in `sql/src/catalog/functions`.

pub mod aggregate;
pub mod array;
pub mod error;
mod explicit;
pub mod math;
pub mod postgres;
pub mod text;
pub mod time;
mod udf;
pub use time::zone;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::{AggregateUDF, ScalarUDF};

use array::polymorphic::ArrayFunction;
use udf::Function;

fn all() -> impl Iterator<Item = &'static Function> {
    [array::FUNCTIONS, math::FUNCTIONS, postgres::FUNCTIONS, text::FUNCTIONS, time::FUNCTIONS].into_iter().flatten()
}

/// All scalar functions, to be registered over DataFusion's own of the same names.
pub fn register_all() -> Vec<Arc<ScalarUDF>> {
    let typed = all().map(Function::udf);
    let arrays = array::POLYMORPHIC.iter().map(ArrayFunction::udf);
    typed.chain(arrays).chain(array::any_all::all()).chain([explicit::explicit()]).map(Arc::new).collect()
}

/// A scalar function by its name, for a planner that writes a call itself.
pub fn scalar(name: &str) -> Option<Arc<ScalarUDF>> {
    static KNOWN: LazyLock<HashMap<String, Arc<ScalarUDF>>> =
        LazyLock::new(|| register_all().into_iter().map(|f| (f.name().to_string(), f)).collect());
    KNOWN.get(name).cloned()
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
    all().map(Function::documentation).chain(array::POLYMORPHIC.iter().map(ArrayFunction::documentation)).collect()
}
