//! `concat(…)`, `concat_ws(separator, …)`: values one after the other, NULLs left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use datafusion_common::Result;

use super::format::shown;
use crate::udf::{Call, Form, Function, Returns, Type, check_text};

pub(super) const CONCAT: Function = Function::new(
    "concat",
    "Concatenates the text of all arguments; NULLs are left out.",
    &[Form { args: &[Type::Shown, Type::Shown], variadic: true, returns: Returns::Type(Type::Text), call: concat }],
);
pub(super) const CONCAT_WS: Function = Function::new(
    "concat_ws",
    "Concatenates the text of all arguments but the first, which separates them; NULLs are left out.",
    &[Form {
        args: &[Type::Text, Type::Shown, Type::Shown],
        variadic: true,
        returns: Returns::Type(Type::Text),
        call: concat_ws,
    }],
);

fn concat(call: &Call) -> Result<ArrayRef> {
    let args = call.args.iter().map(shown).collect::<Vec<_>>();
    let mut buffer = String::new();
    let mut rows = StringViewBuilder::with_capacity(call.rows);
    let mut bytes = 0;
    for row in 0..call.rows {
        buffer.clear();
        for arg in args.iter().filter(|a| !a.is_null(row)) {
            let value = arg.as_string_view().value(row);
            bytes += value.len();
            check_text(bytes)?;
            buffer.push_str(value);
        }
        rows.append_value(&buffer);
    }
    Ok(Arc::new(rows.finish()))
}

fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.text(0);
    let args = call.args[1..].iter().map(shown).collect::<Vec<_>>();
    let mut rows = StringViewBuilder::with_capacity(call.rows);
    let mut bytes = 0;
    for row in 0..call.rows {
        if separators.is_null(row) {
            rows.append_null();
            continue;
        }
        let values = args.iter().filter(|a| !a.is_null(row)).map(|a| a.as_string_view().value(row));
        let values = values.collect::<Vec<_>>();
        bytes += values.iter().map(|v| v.len() + separators.value(row).len()).sum::<usize>();
        check_text(bytes)?;
        rows.append_value(values.join(separators.value(row)));
    }
    Ok(Arc::new(rows.finish()))
}
