//! `rank`, `dense_rank`, `percent_rank`, `cume_dist` of a row that is not there: where it would stand in the group
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html#FUNCTIONS-HYPOTHETICAL-TABLE>).

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::collected::{Collected, sort_options, state_fields};
use crate::array::polymorphic::{common, unknown};
use crate::error::FunctionError;
use crate::udf::shown;

/// All of them, under the names that the planner gives calls with WITHIN GROUP.
pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    ["rank", "dense_rank", "percent_rank", "cume_dist"].into_iter().map(|name| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Hypothetical { name: format!("ordered_{name}"), signature }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hypothetical {
    name: String,
    signature: Signature,
}

/// The spec and the values of the hypothetical row, of so many arguments.
fn direct(arguments: usize) -> usize {
    1 + (arguments - 1) / 2
}

impl AggregateUDFImpl for Hypothetical {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.name.ends_with("e_rank") || self.name == "ordered_rank" {
            DataType::Int64
        } else {
            DataType::Float64
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.trim_start_matches("ordered_");
        let types = given.get(1..).unwrap_or_default();
        let half = types.len() / 2;
        let missing = || {
            let types = types.iter().map(shown).collect::<Vec<_>>().join(", ");
            FunctionError::new("42883", format!("function {name}({types}) does not exist"))
        };
        if types.is_empty() || !types.len().is_multiple_of(2) {
            return Err(missing()
                .hint(
                    "To use a hypothetical-set aggregate, the number of hypothetical direct arguments must match the \
                     number of ordering columns.",
                )
                .into());
        }
        let both = |n: usize| {
            let (row, column) = (&types[n], &types[half + n]);
            match (unknown(row), unknown(column)) {
                (true, true) => Some(DataType::Utf8View),
                (true, false) => Some(column.clone()),
                (false, true) => Some(row.clone()),
                (false, false) => common(row, column),
            }
        };
        let types = (0..half).map(both).collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        Ok(std::iter::once(given[0].clone()).chain(types.clone()).chain(types).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let rows = Collected::new(&types, direct(types.len()))?;
        Ok(Box::new(Rows { name: self.name.clone(), rows, types }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let direct = direct(args.input_fields.len());
        Ok(state_fields(&args, direct))
    }
}

#[derive(Debug)]
struct Rows {
    name: String,
    rows: Collected,
    types: Vec<DataType>,
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.add(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let columns = self.rows.columns()?;
        let count = columns.first().map_or(0, |c| c.len());
        let (mut before, mut upto, mut distinct) = (0_usize, 0_usize, HashSet::new());
        if count > 0 {
            let options = sort_options(self.rows.spec());
            let types = &self.types[direct(self.types.len())..];
            let fields = types.iter().zip(options).map(|(t, o)| SortField::new_with_options(t.clone(), o));
            let converter = RowConverter::new(fields.collect())?;
            let row = self.rows.direct[1..].iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
            let row = converter.convert_columns(&row)?;
            let rows = converter.convert_columns(&columns)?;
            for other in &rows {
                upto += usize::from(other <= row.row(0));
                if other < row.row(0) {
                    before += 1;
                    distinct.insert(other.data().to_vec());
                }
            }
        }
        let whole = |n: usize| ScalarValue::Int64(Some(i64::try_from(n).unwrap_or(i64::MAX)));
        Ok(match self.name.as_str() {
            "ordered_rank" => whole(before + 1),
            "ordered_dense_rank" => whole(distinct.len() + 1),
            "ordered_percent_rank" => {
                ScalarValue::Float64(Some(if count == 0 { 0.0 } else { before as f64 / count as f64 }))
            }
            _ => ScalarValue::Float64(Some((upto + 1) as f64 / (count + 1) as f64)),
        })
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
