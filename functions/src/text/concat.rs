//! `concat(…)`, `concat_ws(separator, …)`: values one after the other, NULLs left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use datafusion_common::Result;

use super::format::shown;
use crate::udf::{Call, Form, Function, Returns, Type, check_batch};

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

/// The planner calls these where the last argument is `VARIADIC` an array.
pub(super) const CONCAT_ARRAY: Function = Function::new(
    "concat_variadic",
    "Concatenates the text of all elements of an array.",
    &[Form::new(&[Type::ShownArray], Type::Text, concat_array)],
);
pub(super) const CONCAT_WS_ARRAY: Function = Function::new(
    "concat_ws_variadic",
    "Concatenates the text of all elements of an array, separated by the first argument.",
    &[Form::new(&[Type::Text, Type::ShownArray], Type::Text, concat_ws_array)],
);

fn concat_array(call: &Call) -> Result<ArrayRef> {
    let lists = call.args[0].as_list::<i32>();
    call.map_text(|row| Ok(Some(elements(&lists.value(row)).into_iter().flatten().collect::<String>())))
}

fn concat_ws_array(call: &Call) -> Result<ArrayRef> {
    let (separators, lists) = (call.text(0), call.args[1].as_list::<i32>());
    call.map_text(|row| {
        let parts = elements(&lists.value(row)).into_iter().flatten().collect::<Vec<_>>();
        Ok(Some(parts.join(separators.value(row))))
    })
}

/// The elements of a list as a client sees them.
pub(super) fn elements(list: &ArrayRef) -> Vec<Option<String>> {
    let list = shown(list);
    (0..list.len()).map(|n| (!list.is_null(n)).then(|| list.as_string_view().value(n).to_string())).collect()
}

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
            check_batch(bytes)?;
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
        check_batch(bytes)?;
        rows.append_value(values.join(separators.value(row)));
    }
    Ok(Arc::new(rows.finish()))
}
