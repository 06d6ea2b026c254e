//! Bind: the values of a portal's parameters, and the formats of its columns.

use sightline_sql::codec::input::ScalarValue;
use sightline_sql::codec::{Style, binary_texts, from_encoding, input};
use sightline_sql::parser::Body;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::connection::Parsed;
use super::message::Bind;
use super::rows::{is_binary, result_formats};

/// Binds parameters to a statement: their values, and which result columns are binary.
///
/// # Errors
/// 08P01 for the wrong number of parameters or format codes; those of the parameters' types.
pub(super) fn bound(statement: &Parsed, bind: &Bind, style: &Style) -> Result<(Vec<ScalarValue>, Vec<bool>)> {
    let (types, columns) = match statement {
        Parsed::Empty => (&[][..], 0),
        Parsed::Ready(p) => (p.parameters.as_slice(), p.columns.as_ref().map_or(0, |c| c.len())),
    };
    check_counts(bind, types.len())?;
    let formats = if columns == 0 { Vec::new() } else { result_formats(&bind.result_formats, columns)? };
    let inserts = matches!(statement, Parsed::Ready(p) if matches!(p.statement.body, Body::Insert(_)));
    Ok((parameters(bind, types, inserts, style)?, formats))
}

fn check_counts(bind: &Bind, needed: usize) -> Result<()> {
    let (formats, given) = (bind.parameter_formats.len(), bind.parameters.len());
    let violation = |message: String| Err(Error::new(SqlState::PROTOCOL_VIOLATION, message));
    if formats > 1 && formats != given {
        return violation(format!("bind message has {formats} parameter formats but {given} parameters"));
    }
    if given != needed {
        return violation(format!(
            "bind message supplies {given} parameters, but prepared statement \"{}\" requires {needed}",
            bind.statement
        ));
    }
    Ok(())
}

fn parameters(bind: &Bind, types: &[SqlType], inserts: bool, style: &Style) -> Result<Vec<ScalarValue>> {
    let format = |i: usize| match bind.parameter_formats.as_slice() {
        [] => 0,
        [one] => *one,
        each => each[i],
    };
    let value = |(i, ty): (usize, &SqlType)| {
        let named = !matches!(ty, SqlType::Unknown | SqlType::Void);
        let ty = if inserts && named { ty.clone() } else { unlimited(ty) };
        let in_bind = |quoted: bool| move |e: Error| in_parameter(e, &bind.portal, i + 1, quoted);
        let binary = is_binary(format(i)).map_err(in_bind(false))?;
        let Some(data) = &bind.parameters[i] else { return input::null(&ty) };
        if binary {
            let text = binary_texts(std::iter::once(&ty), style.encoding).map_err(in_bind(false))?[0];
            let data = if text {
                from_encoding(style.encoding, data).map(|t| t.into_owned().into())
            } else {
                Ok(data.clone())
            };
            return data.and_then(|data| input::parse_binary(&ty, &data)).map_err(in_bind(false));
        }
        let text = from_encoding(style.encoding, data).map_err(in_bind(false))?;
        input::parse_text_styled(&ty, &text, style).map_err(in_bind(true))
    };
    types.iter().enumerate().map(value).collect()
}

/// What a parameter may hold where its type was found at a cast: that cuts and pads by itself. In an INSERT it is the
/// column's, and nothing but the value's input looks at its length.
fn unlimited(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::Unknown | SqlType::Void | SqlType::Char(_) => SqlType::Text,
        SqlType::Varchar(_) => SqlType::Varchar(None),
        other => other.plain(),
    }
}

/// An error of a parameter's value, with PostgreSQL's words for where it is; `quoted` if its text was read.
fn in_parameter(e: Error, portal: &str, number: usize, quoted: bool) -> Error {
    // PostgreSQL fits a number to its column when the statement runs.
    if e.message() == "numeric field overflow" {
        return e;
    }
    let name = if portal.is_empty() { "unnamed portal".to_string() } else { format!("portal \"{portal}\"") };
    let mut context = format!("{name} parameter ${number}{}", if quoted { " = '...'" } else { "" });
    if let Some(inner) = e.get_context() {
        context = format!("{inner}\n{context}");
    }
    if e.message() == input::INCORRECT_BINARY {
        return Error::new(e.code(), format!("{} in bind parameter {number}", e.message())).context(context);
    }
    e.context(context)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn bind(formats: &[i16], values: &[Option<&'static [u8]>]) -> Bind {
        Bind {
            portal: String::new(),
            statement: "s".into(),
            parameter_formats: formats.to_vec(),
            parameters: values.iter().map(|v| v.map(Bytes::from_static)).collect(),
            result_formats: Vec::new(),
        }
    }

    #[test]
    fn values() {
        let types = [SqlType::Integer, SqlType::Unknown, SqlType::Integer];
        let b = bind(&[0, 0, 1], &[Some(b"42"), Some(b"x"), Some(&[0, 0, 0, 9])]);
        let values = parameters(&b, &types, false, &Style::default()).unwrap();
        assert_eq!(values[0], ScalarValue::Int32(Some(42)));
        assert_eq!(values[1], ScalarValue::Utf8View(Some("x".into())));
        assert_eq!(values[2], ScalarValue::Int32(Some(9)));
        let nulls = parameters(&bind(&[], &[None]), &[SqlType::Date], false, &Style::default()).unwrap();
        assert!(nulls[0].is_null());
        assert!(parameters(&bind(&[1], &[Some(b"42")]), &[SqlType::Integer], false, &Style::default()).is_err());
    }

    #[test]
    fn counts() {
        let message = |b: &Bind, n| check_counts(b, n).unwrap_err().message().to_string();
        assert_eq!(
            message(&bind(&[], &[None, None]), 0),
            "bind message supplies 2 parameters, but prepared statement \"s\" requires 0"
        );
        assert_eq!(message(&bind(&[0, 0], &[None]), 1), "bind message has 2 parameter formats but 1 parameters");
        assert!(check_counts(&bind(&[1], &[None, None]), 2).is_ok());
    }

    #[test]
    fn an_empty_statement_binds() {
        let (parameters, formats) = bound(&Parsed::Empty, &bind(&[], &[]), &Style::default()).unwrap();
        assert!(parameters.is_empty() && formats.is_empty());
        assert!(bound(&Parsed::Empty, &bind(&[], &[None]), &Style::default()).is_err());
    }
}
