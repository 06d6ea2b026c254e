//! `sum` of numerics: exact, with the scale of the value that shows most digits.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use sightline_numeric::{Numeric, bytes};

use super::{NUMERIC, Numbers};
use crate::error::refused;

/// The aggregate.
pub fn numeric_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(NumericSum { signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NumericSum {
    signature: Signature,
}

impl AggregateUDFImpl for NumericSum {
    fn name(&self) -> &str {
        "numeric_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(NUMERIC)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sum { distinct: args.is_distinct.then(BTreeMap::new), ..Sum::default() }))
    }

    fn create_sliding_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sum { scales: Some(BTreeMap::new()), ..Sum::default() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            let list = DataType::new_list(NUMERIC, true);
            return Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), list, true))]);
        }
        let number = |what: &str| Arc::new(Field::new(format!("{}[{what}]", args.name), DataType::UInt64, false));
        Ok(vec![
            Arc::new(Field::new(format!("{}[sum]", args.name), NUMERIC, true)),
            number("finite"),
            number("nan"),
            number("infinity"),
            number("negative infinity"),
        ])
    }
}

/// The finite values' sum, and how many there were of each kind.
#[derive(Debug)]
struct Sum {
    sum: Numeric,
    finite: u64,
    nan: u64,
    infinity: u64,
    negative_infinity: u64,
    /// How many values had which scale, where values leave again.
    scales: Option<BTreeMap<i32, u64>>,
    /// The values seen, by their keys, of a DISTINCT sum.
    distinct: Option<BTreeMap<Vec<u8>, Numeric>>,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum { sum: Numeric::ZERO, finite: 0, nan: 0, infinity: 0, negative_infinity: 0, scales: None, distinct: None }
    }
}

impl Sum {
    fn add(&mut self, value: &Numeric) -> Result<()> {
        match value {
            Numeric::NaN => self.nan += 1,
            Numeric::Infinity => self.infinity += 1,
            Numeric::NegativeInfinity => self.negative_infinity += 1,
            Numeric::Finite(d) => {
                self.finite += 1;
                self.sum = self.sum.add(value).map_err(refused)?;
                if let Some(scales) = &mut self.scales {
                    *scales.entry(d.scale()).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, value: &Numeric) -> Result<()> {
        match value {
            Numeric::NaN => self.nan -= 1,
            Numeric::Infinity => self.infinity -= 1,
            Numeric::NegativeInfinity => self.negative_infinity -= 1,
            Numeric::Finite(d) => {
                self.finite -= 1;
                self.sum = self.sum.subtract(value).map_err(refused)?;
                let scale = d.scale();
                if let Some(scales) = &mut self.scales
                    && let Some(count) = scales.get_mut(&scale)
                {
                    *count -= 1;
                    if *count == 0 {
                        scales.remove(&scale);
                        let most = scales.last_key_value().map_or(0, |(scale, _)| *scale);
                        if most < scale {
                            self.sum = self.sum.round(most).map_err(refused)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn total(&self) -> Option<Numeric> {
        Some(match (self.nan, self.infinity, self.negative_infinity) {
            (0, 0, 0) if self.finite == 0 => return None,
            (0, 0, 0) => self.sum.clone(),
            (0, _, 0) => Numeric::Infinity,
            (0, 0, _) => Numeric::NegativeInfinity,
            _ => Numeric::NaN,
        })
    }

    fn each(&mut self, values: &[ArrayRef], f: fn(&mut Sum, &Numeric) -> Result<()>) -> Result<()> {
        let array = &values[0];
        let numbers = Numbers::new(array)?;
        for row in 0..array.len() {
            if array.is_null(row) || *array.data_type() == DataType::Null {
                continue;
            }
            let value = numbers.value(row);
            match &mut self.distinct {
                Some(seen) => {
                    let key = encoded(&value);
                    seen.entry(bytes::key(&key).to_vec()).or_insert(value);
                }
                None => f(self, &value)?,
            }
        }
        Ok(())
    }
}

fn encoded(value: &Numeric) -> Vec<u8> {
    let mut out = Vec::new();
    bytes::encode(value, &mut out);
    out
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, Sum::add)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, Sum::remove)
    }

    fn supports_retract_batch(&self) -> bool {
        self.scales.is_some()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if let Some(seen) = self.distinct.take() {
            for value in seen.values() {
                self.add(value)?;
            }
            self.distinct = Some(seen);
        }
        let total = self.total();
        if self.distinct.is_some() {
            *self = Sum { distinct: self.distinct.take(), ..Sum::default() };
        }
        Ok(ScalarValue::LargeBinary(total.map(|v| encoded(&v))))
    }

    fn size(&self) -> usize {
        let seen = self.distinct.as_ref().map_or(0, |seen| seen.len() * 96);
        size_of_val(self) + 64 + seen
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        if let Some(seen) = &self.distinct {
            let values = seen.values().map(|v| ScalarValue::LargeBinary(Some(encoded(v)))).collect::<Vec<_>>();
            return Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &NUMERIC, true))]);
        }
        let count = |n: u64| ScalarValue::UInt64(Some(n));
        Ok(vec![
            ScalarValue::LargeBinary(Some(encoded(&self.sum))),
            count(self.finite),
            count(self.nan),
            count(self.infinity),
            count(self.negative_infinity),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if self.distinct.is_some() {
            let lists = states[0].as_list::<i32>();
            for list in lists.iter().flatten() {
                self.each(&[list], Sum::add)?;
            }
            return Ok(());
        }
        let sums = states[0].as_binary::<i64>();
        let count = |n: usize| -> &UInt64Array { states[n].as_primitive::<UInt64Type>() };
        for row in 0..sums.len() {
            self.finite += count(1).value(row);
            self.nan += count(2).value(row);
            self.infinity += count(3).value(row);
            self.negative_infinity += count(4).value(row);
            if sums.is_valid(row) {
                self.sum = self.sum.add(&bytes::decode(sums.value(row))).map_err(refused)?;
            }
        }
        Ok(())
    }
}
