//! `ARRAY[[1, 2], [3, 4]]` is a rectangle: the planner puts this check around what is made of other arrays
//! (<https://www.postgresql.org/docs/15/sql-expressions.html#SQL-SYNTAX-ARRAY-CONSTRUCTORS>).

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;

use super::elements::Elements;
use super::polymorphic::ArrayFunction;
use crate::error::refuse;
use crate::udf::Call;

pub(super) const FUNCTION: ArrayFunction = ArrayFunction {
    name: "array_rectangle",
    syntax: "array_rectangle(anyarray)",
    description: "The array, if all of its parts have the same lengths.",
    coerce: |given| match given {
        [list @ DataType::List(_)] => Ok(Some(vec![list.clone()])),
        _ => Ok(None),
    },
    returns: |types| types[0].clone(),
    call: check,
};

fn check(call: &Call) -> Result<ArrayRef> {
    let elements = Elements::new(&call.args[0])?;
    for row in 0..call.rows {
        let shape = elements.shape(row);
        let mut lists = row..row + 1;
        for dimension in 0..elements.dimensions() {
            let wanted = shape.get(dimension).copied().unwrap_or(0);
            if lists.clone().any(|at| elements.items(dimension, at).len() != wanted) {
                let message = "multidimensional arrays must have array expressions with matching dimensions";
                return refuse("2202E", message);
            }
            if lists.is_empty() {
                break;
            }
            lists = elements.items(dimension, lists.start).start..elements.items(dimension, lists.end - 1).end;
        }
    }
    Ok(call.args[0].clone())
}
