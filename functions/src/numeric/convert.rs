//! Arguments that Arrow cannot cast: numerics to floats, decimals and integers to numerics, and lists of them.
//!
//! DataFusion asks for the types that arguments are cast to, and refuses a cast that Arrow has not. So a function says
//! that it takes them as they are, and the planner, which has kernels for these casts, makes them beforehand.

use arrow::datatypes::DataType;
use datafusion_expr::ScalarUDF;

use super::NUMERIC;
use crate::array::wanted as wanted_of_array;
use crate::udf::wanted as wanted_of_function;

/// Whether a cast between these types is a kernel of ours.
pub fn is_ours(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => is_ours(from.data_type(), to.data_type()),
        (from, to) if from == to => false,
        (from, to) if *to == NUMERIC => from.is_numeric(),
        (from, to) => *from == NUMERIC && to.is_numeric(),
    }
}

/// The types that a function wants, with those that only the planner can cast to left as they are given.
pub(crate) fn left_open(wanted: Vec<DataType>, given: &[DataType]) -> Vec<DataType> {
    let open = |(to, from): (DataType, &DataType)| if is_ours(from, &to) { from.clone() } else { to };
    wanted.into_iter().zip(given).map(open).collect()
}

/// The types that a function of ours wants of arguments of these types; none if it is not ours, or has no such form.
pub fn targets(function: &ScalarUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    wanted_of_function(function, given).or_else(|| wanted_of_array(function, given))
}
