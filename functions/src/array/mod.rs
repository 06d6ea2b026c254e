//! Arrays. A column's arrays have one dimension; those of an expression may have more, and are lists of lists then. Every
//! array starts at 1 (<https://www.postgresql.org/docs/15/functions-array.html>).

pub mod any_all;
mod bounds;
mod change;
mod elements;
mod empty;
mod fill;
pub(crate) mod polymorphic;
mod rectangle;
mod search;
mod sets;
mod subscript;
mod text;
mod threshold;

use arrow::datatypes::DataType;
use datafusion_expr::ScalarUDF;
use polymorphic::ArrayFunction;

use crate::udf::Function;

/// The types that the arguments of a call are to have, if it is one of these functions.
pub(crate) fn wanted(function: &ScalarUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    polymorphic::wanted(function, given).or_else(|| any_all::wanted(function, given))
}

pub(crate) const FUNCTIONS: &[Function] = &[
    bounds::ARRAY_LENGTH,
    bounds::ARRAY_LOWER,
    bounds::ARRAY_NDIMS,
    bounds::ARRAY_UPPER,
    bounds::CARDINALITY,
    sets::GENERATE_SUBSCRIPTS,
    text::DIMS,
    text::TO_STRING,
];

/// Those whose types hang together.
pub(crate) const POLYMORPHIC: &[ArrayFunction] = &[
    change::APPEND,
    change::CAT,
    change::PREPEND,
    change::REMOVE,
    change::REPLACE,
    change::TRIM,
    empty::FUNCTION,
    fill::FILL,
    fill::FILL_2,
    fill::FILL_3,
    rectangle::FUNCTION,
    search::COMPARE,
    search::CONTAINED,
    search::CONTAINS,
    search::OVERLAP,
    search::POSITION,
    search::POSITIONS,
    subscript::SECTION,
    subscript::SUBSCRIPT,
    threshold::FUNCTION,
];
