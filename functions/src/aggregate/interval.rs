//! `sum`, `avg`, `min` and `max` of intervals. The planner puts them in the place of the aggregates of these names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::error::refuse;
use crate::time::interval::{added, comparable, scaled};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Avg,
    Min,
    Max,
}

/// The aggregate that this one is for intervals.
pub fn interval_aggregate(name: &str) -> Option<Arc<AggregateUDF>> {
    let (kind, name) = match name {
        "sum" => (Kind::Sum, "interval_sum"),
        "avg" => (Kind::Avg, "interval_avg"),
        "min" => (Kind::Min, "interval_smaller"),
        "max" => (Kind::Max, "interval_larger"),
        _ => return None,
    };
    let signature = Signature::exact(vec![INTERVAL], Volatility::Immutable);
    Some(Arc::new(AggregateUDF::new_from_impl(OfIntervals { kind, name, signature })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfIntervals {
    kind: Kind,
    name: &'static str,
    signature: Signature,
}

impl AggregateUDFImpl for OfIntervals {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Intervals { kind: self.kind, value: None, rows: 0 }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new(format!("{}[value]", args.name), INTERVAL, true)),
            Arc::new(Field::new(format!("{}[rows]", args.name), DataType::Int64, false)),
        ])
    }
}

/// What the rows so far make, and how many there were.
#[derive(Debug)]
struct Intervals {
    kind: Kind,
    value: Option<IntervalMonthDayNano>,
    rows: i64,
}

impl Intervals {
    fn add(&mut self, more: IntervalMonthDayNano) -> Result<()> {
        let Some(value) = self.value else {
            self.value = Some(more);
            return Ok(());
        };
        self.value = match self.kind {
            Kind::Sum | Kind::Avg => match added(value, more, false) {
                None => return refuse("22008", "interval out of range"),
                sum => sum,
            },
            Kind::Min => Some(if comparable(more) < comparable(value) { more } else { value }),
            Kind::Max => Some(if comparable(more) > comparable(value) { more } else { value }),
        };
        Ok(())
    }
}

impl Accumulator for Intervals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.add(value)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.rows -= 1;
            self.value = match self.value {
                Some(sum) if self.rows > 0 => added(sum, value, true),
                _ => None,
            };
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        matches!(self.kind, Kind::Sum | Kind::Avg)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match (self.value, self.kind) {
            (Some(sum), Kind::Avg) => Some(scaled(sum, true, self.rows as f64)?),
            (value, _) => value,
        };
        Ok(ScalarValue::IntervalMonthDayNano(value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::IntervalMonthDayNano(self.value), ScalarValue::Int64(Some(self.rows))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, rows) =
            (states[0].as_primitive::<IntervalMonthDayNanoType>(), states[1].as_primitive::<Int64Type>());
        for row in 0..values.len() {
            if values.is_valid(row) {
                self.add(values.value(row))?;
            }
            self.rows += rows.value(row);
        }
        Ok(())
    }
}
