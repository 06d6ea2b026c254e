//! `array_agg(anyarray)`: arrays as the parts of one of one more dimension, which must be a rectangle
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html>).
//!
//! The keys of an ORDER BY come behind the argument, as DataFusion hands them to whoever is sensitive to an order; the
//! rows are sorted when the group ends, so that they may come from several partitions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::utils::SingleRowListArrayBuilder;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::collected::{Collected, sorted, state_fields};
use crate::array::polymorphic::list_of;
use crate::error::refuse;

/// The aggregate, which the planner puts in place of `array_agg` of an array.
pub fn array_agg_of_arrays() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(ArrayAgg { signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayAgg {
    signature: Signature,
}

impl AggregateUDFImpl for ArrayAgg {
    fn name(&self) -> &str {
        "array_agg_of_arrays"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(list_of(&given[0]))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        for key in args.order_bys {
            types.push(key.expr.data_type(args.schema)?);
        }
        let order = args.order_bys.iter().map(|key| key.options).collect();
        let rows = Collected::new(&types, 0)?;
        Ok(Box::new(Rows { rows, order, result: args.return_field.data_type().clone() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |ty: &DataType| DataType::List(Arc::new(Field::new_list_field(ty.clone(), true)));
        let key = |(n, key): (usize, &FieldRef)| {
            Arc::new(Field::new(format!("{}[key {n}]", args.name), list(key.data_type()), true))
        };
        let keys = args.ordering_fields.iter().enumerate().map(key);
        Ok(state_fields(&args, 0).into_iter().chain(keys).collect())
    }

    /// That the keys come is enough: nobody need sort the input.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Beneficial
    }

    fn with_beneficial_ordering(self: Arc<Self>, _: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }
}

#[derive(Debug)]
struct Rows {
    rows: Collected,
    order: Vec<SortOptions>,
    result: DataType,
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let lists = values[0].as_list::<i32>();
        if lists.null_count() > 0 {
            return refuse("22004", "cannot accumulate null arrays");
        }
        if (0..lists.len()).any(|row| lists.value_length(row) == 0) {
            return refuse("2202E", "cannot accumulate empty arrays");
        }
        self.rows.add(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let columns = self.rows.columns()?;
        let lists = sorted(&columns[..1], &columns[1..], &self.order)?.remove(0);
        if lists.is_empty() {
            return ScalarValue::try_from(&self.result);
        }
        let length = |row: usize| lists.as_list::<i32>().value_length(row);
        if (1..lists.len()).any(|row| length(row) != length(0)) {
            return refuse("2202E", "cannot accumulate arrays of different dimensionality");
        }
        Ok(SingleRowListArrayBuilder::new(lists).build_list_scalar())
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
