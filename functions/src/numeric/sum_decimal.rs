//! `sum` of decimals that may have more digits than they have room for: an error where DataFusion's would wrap around.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use crate::error::refuse;

/// The most digits of a `Decimal128`.
const DIGITS: u8 = 38;

/// The aggregate, which the planner puts in place of `sum`; without DISTINCT.
pub fn decimal_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(DecimalSum { signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalSum {
    signature: Signature,
}

impl AggregateUDFImpl for DecimalSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Decimal128(_, scale)] => Ok(DataType::Decimal128(DIGITS, *scale)),
            _ => datafusion_common::internal_err!("a sum of decimals of {types:?}"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sum { sum: None, values: 0, result: args.return_field.data_type().clone() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let add = move |sum: &mut i128, value: i128| match sum.checked_add(value) {
            Some(more) => *sum = more,
            None => seen.store(true, Ordering::Relaxed),
        };
        let sums = PrimitiveGroupsAccumulator::<Decimal128Type, _>::new(args.return_field.data_type(), add);
        Ok(Box::new(Checked { sums, over }))
    }
}

fn overflow<T>() -> Result<T> {
    refuse("22003", "value out of range: overflow")
}

/// Groups whose sums are looked at after each batch.
struct Checked<G> {
    sums: G,
    over: Arc<AtomicBool>,
}

impl<G> Checked<G> {
    fn check(&self) -> Result<()> {
        if self.over.load(Ordering::Relaxed) { overflow() } else { Ok(()) }
    }
}

impl<G: GroupsAccumulator> GroupsAccumulator for Checked<G> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.sums.update_batch(values, groups, filter, count)?;
        self.check()
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.sums.evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.sums.state(emit)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.sums.merge_batch(values, groups, count)?;
        self.check()
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.sums.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.sums.size()
    }
}

/// One group, from which values may leave again.
#[derive(Debug)]
struct Sum {
    sum: Option<i128>,
    values: u64,
    result: DataType,
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            match self.sum.unwrap_or(0).checked_add(value) {
                Some(more) => self.sum = Some(more),
                None => return overflow(),
            }
            self.values += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            match self.sum.unwrap_or(0).checked_sub(value) {
                Some(less) => self.sum = Some(less),
                None => return overflow(),
            }
            self.values -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = if self.values == 0 { None } else { self.sum };
        let DataType::Decimal128(precision, scale) = self.result else {
            return datafusion_common::internal_err!("a sum of decimals that is {}", self.result);
        };
        Ok(ScalarValue::Decimal128(sum, precision, scale))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
