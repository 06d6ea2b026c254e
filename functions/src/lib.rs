//! What is computed: PostgreSQL's functions that DataFusion lacks or does otherwise. Pure: arrays in, arrays out. One file
//! a function, one folder a family; each family lists its functions, and [`register_all`] is their sum.
//!
//! What a function answers is PostgreSQL's answer, to the letter; what it refuses is a [`error::FunctionError`] with
//! PostgreSQL's SQLSTATE. Functions that need the session or the catalog are in `sql/src/catalog/functions`.

pub mod aggregate;
pub mod array;
pub mod comparable;
pub mod encoding;
pub mod error;
mod explicit;
pub mod json;
pub mod math;
pub mod numeric;
pub mod postgres;
pub mod set;
pub mod text;
pub mod time;
mod udf;
pub use time::{civil, interval, shift, zone};
pub use udf::{check_batch, share_memory};

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion_expr::{AggregateUDF, ScalarUDF};

use array::polymorphic::ArrayFunction;
use udf::Function;

fn all() -> impl Iterator<Item = &'static Function> {
    [
        array::FUNCTIONS,
        json::FUNCTIONS,
        json::path::FUNCTIONS,
        math::FUNCTIONS,
        postgres::FUNCTIONS,
        text::FUNCTIONS,
        time::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Under which key a field's metadata names its SQL type, where Arrow's type does not tell: `storage::types` says the same.
pub const PG_TYPE: &str = "pg.type";

pub(crate) fn set_functions() -> impl Iterator<Item = &'static set::SetFunction> {
    json::SETS.iter().chain(&json::path::SETS)
}

/// The function of this name that returns a set.
pub fn set_function(name: &str) -> Option<&'static set::SetFunction> {
    set_functions().find(|f| f.name == name)
}

/// Which arguments of a call are `json` or `jsonb`, by that name: what a literal without a type is read as.
pub fn json_arguments(name: &str, given: &[DataType]) -> Vec<Option<&'static str>> {
    let set = name.split(' ').next().and_then(set_function).and_then(|f| f.arguments(given).ok());
    let fields = match (set, all().find(|f| f.name == name)) {
        (Some(fields), _) => fields,
        (None, Some(function)) => function.arguments(given),
        (None, None) => vec![],
    };
    let named = |field: &FieldRef| match field.metadata().get(PG_TYPE).map(String::as_str) {
        Some("json") => Some("json"),
        Some("jsonb") => Some("jsonb"),
        _ => None,
    };
    fields.iter().map(named).collect()
}

/// The scalar function of this name.
pub fn scalar_function(name: &str) -> Option<Arc<ScalarUDF>> {
    all().find(|f| f.name == name).map(|f| Arc::new(f.udf()))
}

/// All scalar functions, to be registered over DataFusion's own of the same names.
pub fn register_all() -> Vec<Arc<ScalarUDF>> {
    let typed = all().map(Function::udf);
    let arrays = array::POLYMORPHIC.iter().map(ArrayFunction::udf);
    typed
        .chain(arrays)
        .chain(array::any_all::all())
        .chain([explicit::explicit()])
        .chain(set::list_functions())
        .map(Arc::new)
        .collect()
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
