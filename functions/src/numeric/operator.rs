//! `+ - * / % ^` and the sign, over arrays.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use datafusion_common::Result;
use sightline_numeric::Numeric;

use super::{Numbers, map};
use crate::error::refused;

/// What is done with two numbers, or, for [`Negate`](Operator::Negate), with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Negate,
}

impl Operator {
    /// The name of PostgreSQL's function.
    pub fn name(self) -> &'static str {
        match self {
            Operator::Add => "numeric_add",
            Operator::Subtract => "numeric_sub",
            Operator::Multiply => "numeric_mul",
            Operator::Divide => "numeric /",
            Operator::Modulo => "numeric_mod",
            Operator::Power => "numeric_power",
            Operator::Negate => "numeric_uminus",
        }
    }
}

/// The results, row by row.
///
/// # Errors
/// 22003, 22012, 2201F.
pub fn operate(operator: Operator, args: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = args[0].len();
    let x = Numbers::new(&args[0])?;
    if operator == Operator::Negate {
        return map(args, rows, |row| Ok(Some(x.value(row).negate())));
    }
    let y = Numbers::new(&args[1])?;
    let f = match operator {
        Operator::Add => Numeric::add,
        Operator::Subtract => Numeric::subtract,
        Operator::Multiply => Numeric::multiply,
        Operator::Divide => Numeric::divide,
        Operator::Modulo => Numeric::modulo,
        Operator::Power | Operator::Negate => Numeric::power,
    };
    map(args, rows, |row| f(&x.value(row), &y.value(row)).map(Some).map_err(refused))
}

/// The variance, or with `root` the standard deviation, from counts, sums and sums of squares.
///
/// # Errors
/// 22003.
pub fn spread(args: &[ArrayRef], sample: bool, root: bool) -> Result<ArrayRef> {
    let counts = args[0].as_primitive::<Int64Type>();
    let (sums, squares) = (Numbers::new(&args[1])?, Numbers::new(&args[2])?);
    map(args, args[0].len(), |row| {
        let count = counts.value(row);
        if count < 1 + i64::from(sample) {
            return Ok(None);
        }
        Numeric::spread(count, &sums.value(row), &squares.value(row), sample, root).map(Some).map_err(refused)
    })
}
