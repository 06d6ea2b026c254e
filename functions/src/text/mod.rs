//! Strings.

mod backtrack;
mod bytes;
mod case;
mod chr;
mod concat;
mod convert;
mod encode;
mod escape;
mod format;
mod hash;
mod keywords;
mod length;
mod like_bytes;
mod normalize;
mod overlay;
mod pad;
mod parse_ident;
pub(crate) mod pattern;
mod position;
pub mod quote;
mod regexp;
mod regexp_split_to_array;
mod replace;
mod split_part;
mod string_to_array;
mod substring;
mod to_hex;
mod translate;
mod trim;
mod unistr;

use crate::udf::Function;

pub(crate) use self::format::shown;
pub(crate) use self::regexp::regex_matches;

pub(crate) const FUNCTIONS: &[Function] = &[
    bytes::GET_BIT,
    bytes::GET_BYTE,
    bytes::SET_BIT,
    bytes::SET_BYTE,
    case::INITCAP,
    case::LOWER,
    case::UPPER,
    chr::FUNCTION,
    concat::CONCAT,
    concat::CONCAT_ARRAY,
    concat::CONCAT_WS,
    concat::CONCAT_WS_ARRAY,
    convert::CONVERT,
    convert::CONVERT_FROM,
    convert::CONVERT_TO,
    encode::DECODE,
    encode::ENCODE,
    escape::LIKE_ESCAPE,
    escape::SIMILAR_TO_ESCAPE,
    format::ARRAY,
    format::FUNCTION,
    hash::MD5,
    hash::SHA224,
    hash::SHA256,
    hash::SHA384,
    hash::SHA512,
    length::BIT_LENGTH,
    length::CHARACTER_LENGTH,
    length::CHAR_LENGTH,
    length::LENGTH,
    length::OCTET_LENGTH,
    like_bytes::FUNCTION,
    normalize::IS_NORMALIZED,
    normalize::NORMALIZE,
    overlay::FUNCTION,
    pad::LEFT,
    pad::LPAD,
    pad::REPEAT,
    pad::REVERSE,
    pad::RIGHT,
    pad::RPAD,
    parse_ident::FUNCTION,
    position::POSITION,
    position::STARTS_WITH,
    position::STRPOS,
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
    translate::ASCII,
    translate::TO_ASCII,
    translate::TRANSLATE,
    trim::BTRIM,
    trim::LTRIM,
    trim::RTRIM,
    unistr::FUNCTION,
];
