//! Arrays: PostgreSQL's numbers of them are `integer`, where DataFusion's are unsigned 64-bit ones.

mod bounds;
mod sets;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    bounds::ARRAY_LENGTH,
    bounds::ARRAY_LOWER,
    bounds::ARRAY_NDIMS,
    bounds::ARRAY_UPPER,
    bounds::CARDINALITY,
    sets::GENERATE_SUBSCRIPTS,
];
