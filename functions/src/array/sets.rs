//! A function that returns a set, as a list: the planner unnests it. `generate_subscripts`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Builder, ListBuilder};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;

use super::bounds::shape;
use crate::udf::{Call, Form, Function, Returns, Type};

pub(super) const GENERATE_SUBSCRIPTS: Function = Function::new(
    "generate_subscripts",
    "The subscripts of a dimension of an array; with a third argument true, backwards.",
    &[
        Form {
            args: &[Type::Array, Type::Int4],
            variadic: false,
            returns: Returns::Type(Type::Int4Array),
            call: subscripts,
        },
        Form {
            args: &[Type::Array, Type::Int4, Type::Bool],
            variadic: false,
            returns: Returns::Type(Type::Int4Array),
            call: subscripts,
        },
    ],
);

fn subscripts(call: &Call) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(Int32Builder::new());
    for row in 0..call.rows {
        if !call.has_null(row) {
            let dimension =
                usize::try_from(call.primitive::<Int32Type>(1).value(row)).ok().and_then(|d| d.checked_sub(1));
            let length = dimension.and_then(|d| shape(call.args[0].as_list(), row).get(d).copied()).unwrap_or(0);
            let backwards = call.args.len() > 2 && call.args[2].as_boolean().value(row);
            for i in 1..=length {
                lists.values().append_value(if backwards { length + 1 - i } else { i });
            }
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}
