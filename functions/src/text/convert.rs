//! `convert`, `convert_from`, `convert_to`: texts in other encodings
//! (<https://www.postgresql.org/docs/15/functions-binarystring.html>).

use datafusion_common::Result;

use crate::encoding::{Encoding, Named};
use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const CONVERT: Function = Function::new(
    "convert",
    "Bytes of one encoding as those of another.",
    &[Form::new(&[Type::Bytea, Type::Text, Type::Text], Type::Bytea, |call| {
        let (values, from, to) = (call.bytes(0), call.text(1), call.text(2));
        call.map_bytes(|row| {
            let from = parse(from.value(row), "source")?;
            let to = parse(to.value(row), "destination")?;
            if !from.is_utf8() && !to.is_utf8() && from != to {
                // As PostgreSQL, which has conversions from and to UTF8 only (and a few others that nobody needs).
                let (from, to) = (from.name, to.name);
                let text = format!("default conversion function for encoding \"{from}\" to \"{to}\" does not exist");
                return refuse("42883", text);
            }
            Ok(to.encode(&from.decode(values.value(row))?)?.into_owned())
        })
    })],
);
pub(super) const CONVERT_FROM: Function = Function::new(
    "convert_from",
    "Bytes of an encoding as text.",
    &[Form::new(&[Type::Bytea, Type::Text], Type::Text, |call| {
        let (values, from) = (call.bytes(0), call.text(1));
        call.map_text(|row| {
            let text = parse(from.value(row), "source")?.decode(values.value(row))?.into_owned();
            Ok(Some(text))
        })
    })],
);
pub(super) const CONVERT_TO: Function = Function::new(
    "convert_to",
    "Text as bytes of an encoding.",
    &[Form::new(&[Type::Text, Type::Text], Type::Bytea, |call| {
        let (texts, to) = (call.text(0), call.text(1));
        call.map_bytes(|row| Ok(parse(to.value(row), "destination")?.encode(texts.value(row))?.into_owned()))
    })],
);

/// An encoding by its name; `role` is source or destination.
///
/// # Errors
/// 22023 for a name that is none, 42883 for one without a table.
pub(super) fn parse(name: &str, role: &str) -> Result<Encoding> {
    match Encoding::named(name) {
        Named::There(encoding) => Ok(encoding),
        Named::Missing => {
            let text = format!("default conversion function for encoding \"UTF8\" and \"{name}\" does not exist");
            refuse("42883", text)
        }
        Named::Unknown => refuse("22023", format!("invalid {role} encoding name \"{name}\"")),
    }
}
