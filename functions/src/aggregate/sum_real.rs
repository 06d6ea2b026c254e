//! `sum(real)`, which is a `real` in PostgreSQL, added up as such
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html>).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::error::refuse;

/// The aggregate, which the planner puts in place of `sum`.
pub fn sum_real() -> Arc<AggregateUDF> {
    let signature = Signature::exact(vec![DataType::Float32], Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(SumReal { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SumReal {
    signature: Signature,
}

impl AggregateUDFImpl for SumReal {
    fn name(&self) -> &str {
        "sum_real"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float32)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sum(None)))
    }
}

#[derive(Debug)]
struct Sum(Option<f32>);

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Float32Type>().iter().flatten() {
            let before = self.0.unwrap_or(0.0);
            let sum = before + value;
            if sum.is_infinite() && before.is_finite() && value.is_finite() {
                return refuse("22003", "value out of range: overflow");
            }
            self.0 = Some(sum);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float32(self.0))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Float32(self.0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
