//! Strings.

mod chr;
mod concat;
mod encode;
mod escape;
mod format;
mod keywords;
mod parse_ident;
pub mod pattern;
pub mod quote;
mod regexp;
mod regexp_split_to_array;
mod replace;
mod split_part;
mod string_to_array;
mod substring;
mod to_hex;
mod unistr;

use crate::udf::Function;

pub(crate) const FUNCTIONS: &[Function] = &[
    chr::FUNCTION,
    concat::CONCAT,
    concat::CONCAT_WS,
    encode::DECODE,
    encode::ENCODE,
    escape::LIKE_ESCAPE,
    escape::SIMILAR_TO_ESCAPE,
    format::FUNCTION,
    parse_ident::FUNCTION,
    quote::QUOTE_IDENT,
    quote::QUOTE_LITERAL,
    quote::QUOTE_NULLABLE,
    regexp::COUNT,
    regexp::INSTR,
    regexp::LIKE,
    regexp::MATCH,
    regexp::MATCHES,
    regexp::REPLACE,
    regexp::SUBSTR,
    regexp_split_to_array::FUNCTION,
    regexp_split_to_array::TO_TABLE,
    replace::FUNCTION,
    split_part::FUNCTION,
    string_to_array::FUNCTION,
    string_to_array::TO_TABLE,
    substring::SUBSTR,
    substring::SUBSTRING,
    to_hex::FUNCTION,
    unistr::FUNCTION,
];
