//! `concat(…)`, `concat_ws(separator, …)`: values one after the other, NULLs left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use datafusion_common::Result;

use super::format::shown;
use crate::udf::{Call, Form, Function, Returns, Type};

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
    let mut rows = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        buffer.clear();
        for arg in args.iter().filter(|a| !a.is_null(row)) {
            buffer.push_str(arg.as_string_view().value(row));
        }
        rows.push(buffer.clone());
    }
    Ok(Arc::new(StringViewArray::from_iter_values(rows)))
}

fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.text(0);
    let args = call.args[1..].iter().map(shown).collect::<Vec<_>>();
    let one = |row: usize| {
        if separators.is_null(row) {
            return None;
        }
        let values = args.iter().filter(|a| !a.is_null(row)).map(|a| a.as_string_view().value(row));
        Some(values.collect::<Vec<_>>().join(separators.value(row)))
    };
    Ok(Arc::new((0..call.rows).map(one).collect::<StringViewArray>()))
}
