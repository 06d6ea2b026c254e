//! `x = ANY (array)`, `x > ALL (array)` and the like, with PostgreSQL's NULLs: what would need a NULL's value is unknown
//! (<https://www.postgresql.org/docs/15/functions-comparisons.html#id-1.5.8.30.16>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::kernels::cmp;
use arrow::compute::kernels::comparison::{ilike, like, nilike, nlike};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::elements::Elements;
use super::polymorphic::{base, common, item, list_of, unknown, with_base};
use crate::comparable::{comparable_values, is_plain};
use crate::error::FunctionError;
use crate::numeric::left_open;
use crate::text::regex_matches;
use crate::udf::shown;

/// A comparison that goes over an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Comparison {
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Like,
    ILike,
    NotLike,
    NotILike,
    Regex { insensitive: bool, negated: bool },
}

use Comparison::{Eq as Equal, Greater, GreaterEq, ILike, Less, LessEq, Like, NotEq, NotILike, NotLike, Regex};

const fn regex(insensitive: bool, negated: bool) -> Comparison {
    Regex { insensitive, negated }
}

/// The operators, and what the functions for them are called behind `any_` and `all_`.
const COMPARISONS: [(&str, &str, Comparison); 14] = [
    ("=", "eq", Equal),
    ("<>", "ne", NotEq),
    ("<", "lt", Less),
    ("<=", "le", LessEq),
    (">", "gt", Greater),
    (">=", "ge", GreaterEq),
    ("~~", "like", Like),
    ("~~*", "ilike", ILike),
    ("!~~", "not_like", NotLike),
    ("!~~*", "not_ilike", NotILike),
    ("~", "regex", regex(false, false)),
    ("~*", "iregex", regex(true, false)),
    ("!~", "not_regex", regex(false, true)),
    ("!~*", "not_iregex", regex(true, true)),
];

/// The name of the function for an operator over an array: any of its elements, or all.
pub fn over_array(operator: &str, any: bool) -> Option<String> {
    let (_, name, _) = COMPARISONS.iter().find(|(o, _, _)| *o == operator)?;
    Some(format!("{}_{name}", if any { "any" } else { "all" }))
}

/// The functions for all operators.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    COMPARISONS.iter().flat_map(|(operator, name, comparison)| {
        [true, false].map(|any| {
            ScalarUDF::new_from_impl(OverArray {
                name: format!("{}_{name}", if any { "any" } else { "all" }),
                operator,
                comparison: *comparison,
                any,
                signature: Signature::user_defined(Volatility::Immutable),
            })
        })
    })
}

/// The types that the arguments of a call are to have, if the function is one of these.
pub(super) fn wanted(function: &ScalarUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    function.inner().downcast_ref::<OverArray>()?.wanted(given).ok()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverArray {
    name: String,
    operator: &'static str,
    comparison: Comparison,
    any: bool,
    signature: Signature,
}

impl ScalarUDFImpl for OverArray {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(left_open(self.wanted(given)?, given))
    }

    /// `x = ANY` of a constant list is `x IN (…)`, which prunes.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let negated = match (self.comparison, self.any) {
            (Equal, true) => false,
            (NotEq, false) => true,
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let [x, Expr::Literal(ScalarValue::List(list), _)] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        if list.is_null(0) || list.value_length(0) == 0 {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let items = list.value(0);
        // A list is compared by the bytes of its items.
        if item(items.data_type()).is_some() || !by_bytes(&items) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let values = (0..items.len())
            .map(|n| Ok(Expr::Literal(ScalarValue::try_from_array(&items, n)?, None)))
            .collect::<Result<Vec<_>>>()?;
        let list = InList { expr: Box::new(x.clone()), list: values, negated };
        Ok(ExprSimplifyResult::Simplified(Expr::InList(list)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let (x, list) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let answers: ArrayRef = Arc::new(self.answers(&x, &list, rows)?);
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?));
        }
        Ok(ColumnarValue::Array(answers))
    }
}

/// Whether values are equal to these only if they look the same: also of floats, if none is a zero or NaN.
fn by_bytes(items: &ArrayRef) -> bool {
    let odd = |v: f64| v == 0.0 || v.is_nan();
    match items.data_type() {
        DataType::Float64 => !items.as_primitive::<Float64Type>().iter().flatten().any(odd),
        DataType::Float32 => !items.as_primitive::<Float32Type>().iter().flatten().any(|v| odd(v.into())),
        other => is_plain(&Field::new("", other.clone(), true)),
    }
}

impl OverArray {
    /// The types of a value and a list that are compared.
    fn wanted(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [x, list] = given else {
            return Err(FunctionError::new("42883", format!("function {} does not exist", self.name)).into());
        };
        let list = match list {
            DataType::LargeList(f) | DataType::FixedSizeList(f, _) => DataType::List(f.clone()),
            other => other.clone(),
        };
        if item(&list).is_none() {
            if !unknown(&list) {
                return Err(FunctionError::new("42809", "op ANY/ALL (array) requires array on right side").into());
            }
            // No text can be cast to an array of these here: the planner reads the literal before it gets to that.
            if let DataType::FixedSizeBinary(_) = x {
                return Ok(given.to_vec());
            }
            let x = if unknown(x) { DataType::Utf8View } else { x.clone() };
            return Ok(vec![x.clone(), list_of(&x)]);
        }
        let (of, _) = base(&list);
        if unknown(x) || *x == *of {
            return Ok(vec![of.clone(), list.clone()]);
        }
        if of.is_null() {
            return Ok(vec![x.clone(), with_base(&list, x)]);
        }
        match common(x, of) {
            Some(both) => Ok(vec![both.clone(), with_base(&list, &both)]),
            None => {
                let message = format!("operator does not exist: {} {} {}", shown(x), self.operator, shown(of));
                Err(FunctionError::new("42883", message)
                    .hint(
                        "No operator matches the given name and argument types. You might need to add explicit type \
                         casts.",
                    )
                    .into())
            }
        }
    }
    /// Compares each row's value with each of its elements at once, and then sums a row up.
    fn answers(&self, x: &ArrayRef, list: &ArrayRef, rows: usize) -> Result<BooleanArray> {
        let elements = Elements::new(list)?;
        let ranges = (0..rows).map(|row| if elements.is_null(row) { 0..0 } else { elements.range(row) });
        let ranges = ranges.collect::<Vec<_>>();
        let repeated = (0..).zip(&ranges).flat_map(|(row, range)| std::iter::repeat_n(row, range.len()));
        let left = take(x, &repeated.collect::<UInt32Array>(), None)?;
        let places = ranges.iter().flat_map(Clone::clone).filter_map(|at| u32::try_from(at).ok());
        let right = take(&elements.values, &places.collect::<UInt32Array>(), None)?;
        let compared = self.compare(&left, &right)?;
        let mut from = 0;
        let one = |(row, range): (usize, &std::ops::Range<usize>)| {
            let part = compared.slice(from, range.len());
            from += range.len();
            if elements.is_null(row) {
                return None;
            }
            if part.iter().any(|v| v == Some(self.any)) {
                return Some(self.any);
            }
            if part.null_count() > 0 { None } else { Some(!self.any) }
        };
        Ok(ranges.iter().enumerate().map(one).collect())
    }

    fn compare(&self, left: &ArrayRef, right: &ArrayRef) -> Result<BooleanArray> {
        let (left, right) = (&comparable_values(left)?, &comparable_values(right)?);
        Ok(match self.comparison {
            Equal => cmp::eq(left, right)?,
            NotEq => cmp::neq(left, right)?,
            Less => cmp::lt(left, right)?,
            LessEq => cmp::lt_eq(left, right)?,
            Greater => cmp::gt(left, right)?,
            GreaterEq => cmp::gt_eq(left, right)?,
            Like => like(left, right)?,
            ILike => ilike(left, right)?,
            NotLike => nlike(left, right)?,
            NotILike => nilike(left, right)?,
            Regex { insensitive, negated } => {
                let found = regex_matches(left, right, insensitive)?;
                if negated { arrow::compute::not(&found)? } else { found }
            }
        })
    }
}
