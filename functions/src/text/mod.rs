//! Strings.

mod format;
mod keywords;
mod parse_ident;
pub mod quote;
mod regexp_split_to_array;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    format::FUNCTION,
    parse_ident::FUNCTION,
    quote::QUOTE_IDENT,
    quote::QUOTE_LITERAL,
    quote::QUOTE_NULLABLE,
    regexp_split_to_array::FUNCTION,
];
