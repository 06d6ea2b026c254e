//! `string_agg(value, delimiter)`, of texts and binary strings; each value but the first follows its row's delimiter
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html>).
//!
//! With DISTINCT or ORDER BY the planner writes it as `ordered_string_agg(spec, value, delimiter, …)`: see [`collected`].
//!
//! [`collected`]: super::collected

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortOptions, partition};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::collected::{Collected, sort_options, sorted, state_fields, without_nulls};
use crate::udf::{check_text, no_such_function};

/// Both forms.
pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    [false, true].into_iter().map(|ordered| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(StringAgg { ordered, signature }))
    })
}

/// What the planner puts in front of the order's spec where DISTINCT stands.
pub const DISTINCT: &str = "distinct;";

#[derive(Debug, PartialEq, Eq, Hash)]
struct StringAgg {
    ordered: bool,
    signature: Signature,
}

impl AggregateUDFImpl for StringAgg {
    fn name(&self) -> &str {
        if self.ordered { "ordered_string_agg" } else { "string_agg" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given[usize::from(self.ordered)].clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let skip = usize::from(self.ordered);
        let text =
            |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
        let bytes = |t: &DataType| matches!(t, DataType::Binary | DataType::BinaryView);
        let open = |t: &DataType| matches!(t, DataType::Utf8 | DataType::Null);
        let of = match given.get(skip..) {
            Some([value, delimiter, rest @ ..]) if self.ordered || rest.is_empty() => {
                if text(value) && text(delimiter) {
                    Some(DataType::Utf8View)
                } else if (bytes(value) || open(value)) && (bytes(delimiter) || open(delimiter)) {
                    Some(DataType::Binary)
                } else {
                    None
                }
            }
            _ => None,
        };
        let Some(of) = of else {
            let shown = given.iter().skip(skip).take(2).cloned().collect::<Vec<_>>();
            return Err(no_such_function("string_agg", &shown));
        };
        let order = given.iter().skip(skip + 2).cloned();
        Ok(given.iter().take(skip).cloned().chain([of.clone(), of]).chain(order).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let rows = Collected::new(&types, usize::from(self.ordered))?;
        Ok(Box::new(Rows { rows, result: args.return_field.data_type().clone() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, usize::from(self.ordered)))
    }
}

#[derive(Debug)]
struct Rows {
    rows: Collected,
    result: DataType,
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.add(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut columns = without_nulls(self.rows.columns()?, 0)?;
        let spec = self.rows.spec();
        let (distinct, spec) = match spec.strip_prefix(DISTINCT) {
            Some(rest) => (true, rest),
            None => (false, spec),
        };
        let mut keys = columns[2..].to_vec();
        let mut options = sort_options(spec);
        if distinct {
            // What the order leaves open is sorted, too, so that equal values are neighbours.
            keys.extend(columns[..2].iter().cloned());
            options.resize(keys.len(), SortOptions { descending: false, nulls_first: false });
        }
        columns = sorted(&columns, &keys, &options)?;
        let kept = match distinct && !columns[0].is_empty() {
            true => partition(&columns[..2])?.ranges().into_iter().map(|run| run.start).collect(),
            false => (0..columns[0].len()).collect::<Vec<_>>(),
        };
        self.joined(&columns[0], &columns[1], &kept)
    }

    fn size(&self) -> usize {
        self.rows.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.rows.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.rows.merge(states)
    }
}

impl Rows {
    fn joined(&self, values: &ArrayRef, delimiters: &ArrayRef, rows: &[usize]) -> Result<ScalarValue> {
        if rows.is_empty() {
            return ScalarValue::try_from(&self.result);
        }
        if let DataType::Binary = self.result {
            let (values, delimiters) = (values.as_binary::<i32>(), delimiters.as_binary::<i32>());
            let mut out = Vec::new();
            for (n, row) in rows.iter().enumerate() {
                if n > 0 && delimiters.is_valid(*row) {
                    out.extend_from_slice(delimiters.value(*row));
                }
                out.extend_from_slice(values.value(*row));
                check_text(out.len())?;
            }
            return Ok(ScalarValue::Binary(Some(out)));
        }
        let (values, delimiters) = (values.as_string_view(), delimiters.as_string_view());
        let mut out = String::new();
        for (n, row) in rows.iter().enumerate() {
            if n > 0 && delimiters.is_valid(*row) {
                out.push_str(delimiters.value(*row));
            }
            out.push_str(values.value(*row));
            check_text(out.len())?;
        }
        Ok(ScalarValue::Utf8View(Some(out)))
    }
}
