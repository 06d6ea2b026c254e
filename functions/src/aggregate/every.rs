//! `every(boolean)`: whether all are true; NULLs don't count.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::bool_and;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

pub(super) fn every() -> Arc<AggregateUDF> {
    let signature = Signature::exact(vec![DataType::Boolean], Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Every { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Every {
    signature: Signature,
}

impl AggregateUDFImpl for Every {
    fn name(&self) -> &str {
        "every"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(All(None)))
    }
}

#[derive(Debug)]
struct All(Option<bool>);

impl Accumulator for All {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(all) = values.first().and_then(|v| bool_and(v.as_boolean())) {
            self.0 = Some(self.0.unwrap_or(true) && all);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Boolean(self.0))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Boolean(self.0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
