//! PostgreSQL's formatting functions: values to text and back by a template.

mod pg_size_pretty;
mod template;
mod to_char;
mod to_number;
mod to_timestamp;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    pg_size_pretty::FUNCTION,
    to_char::FUNCTION,
    to_number::FUNCTION,
    to_timestamp::TO_DATE,
    to_timestamp::TO_TIMESTAMP,
];
