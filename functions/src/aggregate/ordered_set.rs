//! `mode`, `percentile_disc`, `percentile_cont`: aggregates of the sorted rows of a group
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html#FUNCTIONS-ORDEREDSET-TABLE>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::compute::{cast, partition, take};
use arrow::datatypes::{DataType, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::collected::{Collected, sort_options, sorted, state_fields, without_nulls};
use crate::array::polymorphic::{base, item, with_base};
use crate::error::refuse;
use crate::numeric::{NUMERIC, left_open};
use crate::udf::no_such_function;

/// All of them, under the names that the planner gives calls with WITHIN GROUP.
pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    [Kind::Mode, Kind::Discrete, Kind::Continuous].into_iter().map(|kind| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(OrderedSet { kind, signature }))
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Mode,
    Discrete,
    Continuous,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderedSet {
    kind: Kind,
    signature: Signature,
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl OrderedSet {
    /// The spec, and the fraction of a percentile.
    fn direct(&self) -> usize {
        if self.kind == Kind::Mode { 1 } else { 2 }
    }
}

impl AggregateUDFImpl for OrderedSet {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Mode => "ordered_mode",
            Kind::Discrete => "ordered_percentile_disc",
            Kind::Continuous => "ordered_percentile_cont",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match (self.kind, self.wanted(given)?.as_slice()) {
            (Kind::Mode, [_, value]) => value.clone(),
            (_, [_, fraction, value]) => with_base(fraction, value),
            _ => DataType::Null,
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(left_open(self.wanted(given)?, given))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let rows = Collected::new(&types, self.direct())?;
        Ok(Box::new(Rows { kind: self.kind, rows, result: args.return_field.data_type().clone() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&args, self.direct()))
    }
}

impl OrderedSet {
    /// The types of the spec, the fraction and the values.
    fn wanted(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let shown = self.name().trim_start_matches("ordered_");
        let plain = |t: &DataType| if *t == DataType::Utf8 { DataType::Utf8View } else { t.clone() };
        let number = |t: &DataType| t.is_numeric() || *t == NUMERIC;
        match (self.kind, given) {
            (Kind::Mode, [spec, value]) => Ok(vec![spec.clone(), plain(value)]),
            (Kind::Discrete | Kind::Continuous, [spec, fraction, value]) => {
                let (of, _) = base(fraction);
                let value = match self.kind {
                    Kind::Discrete => Some(plain(value)),
                    _ if number(value) || value.is_null() => Some(DataType::Float64),
                    _ => matches!(value, DataType::Interval(_)).then_some(INTERVAL),
                };
                match value {
                    Some(value) if number(of) || matches!(of, DataType::Null | DataType::Utf8) => {
                        Ok(vec![spec.clone(), with_base(fraction, &DataType::Float64), value])
                    }
                    _ => Err(no_such_function(shown, &given[1..])),
                }
            }
            _ => Err(no_such_function(shown, given.get(1..).unwrap_or_default())),
        }
    }
}

/// The types that the arguments of a call are to have, if it is one of these aggregates.
pub(super) fn wanted(function: &AggregateUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    function.inner().downcast_ref::<OrderedSet>()?.wanted(given).ok()
}

#[derive(Debug)]
struct Rows {
    kind: Kind,
    rows: Collected,
    result: DataType,
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows.add(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let columns = without_nulls(self.rows.columns()?, 0)?;
        let values = sorted(&columns, &columns, &sort_options(self.rows.spec()))?.remove(0);
        if values.is_empty() {
            return ScalarValue::try_from(&self.result);
        }
        match self.kind {
            Kind::Mode => mode(&values),
            Kind::Discrete | Kind::Continuous => {
                let fractions = self.rows.direct[1].to_array()?;
                let answer = self.percentiles(&fractions, &values)?;
                ScalarValue::try_from_array(&answer, 0)
            }
        }
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

/// The first of the values that are most frequent.
fn mode(values: &ArrayRef) -> Result<ScalarValue> {
    let runs = partition(std::slice::from_ref(values))?.ranges();
    let longest = runs.into_iter().reduce(|best, run| if run.len() > best.len() { run } else { best });
    ScalarValue::try_from_array(values, longest.map_or(0, |run| run.start))
}

impl Rows {
    /// The percentiles of sorted values, in arrays where the fractions are.
    fn percentiles(&self, fractions: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
        if item(fractions.data_type()).is_some() {
            let list = fractions.as_list::<i32>();
            let items = self.percentiles(list.values(), values)?;
            let field = Arc::new(arrow::datatypes::Field::new_list_field(items.data_type().clone(), true));
            let done = arrow::array::ListArray::try_new(field, list.offsets().clone(), items, list.nulls().cloned())?;
            return Ok(Arc::new(done));
        }
        let fractions = fractions.as_primitive::<Float64Type>();
        for fraction in fractions.iter().flatten() {
            if !(0.0..=1.0).contains(&fraction) {
                return refuse("22003", format!("percentile value {fraction} is not between 0 and 1"));
            }
        }
        match self.kind {
            Kind::Continuous => continuous(fractions, values),
            _ => {
                let count = values.len() as f64;
                let at = |fraction: f64| ((fraction * count).ceil() - 1.0).max(0.0) as u32;
                let indices = fractions.iter().map(|f| f.map(at)).collect::<UInt32Array>();
                Ok(take(values, &indices, None)?)
            }
        }
    }
}

/// Between two values as far as the fraction says.
fn continuous(fractions: &Float64Array, values: &ArrayRef) -> Result<ArrayRef> {
    let last = values.len() as f64 - 1.0;
    let place = |fraction: f64| {
        let at = fraction * last;
        (at.floor() as usize, at.ceil() as usize, at - at.floor())
    };
    if let DataType::Interval(_) = values.data_type() {
        let values = values.as_primitive::<IntervalMonthDayNanoType>();
        let one = |fraction: f64| {
            let (low, high, part) = place(fraction);
            between(values.value(low), values.value(high), part)
        };
        let out = fractions.iter().map(|f| f.map(one)).collect::<arrow::array::IntervalMonthDayNanoArray>();
        return Ok(Arc::new(out));
    }
    let values = cast(values, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let one = |fraction: f64| {
        let (low, high, part) = place(fraction);
        let (low, high) = (values.value(low), values.value(high));
        if part == 0.0 { low } else { low + part * (high - low) }
    };
    Ok(Arc::new(fractions.iter().map(|f| f.map(one)).collect::<Float64Array>()))
}

const DAY_US: f64 = 86_400_000_000.0;

/// `low + (high - low) * part`; parts of months go to days of 30, those of days to time.
fn between(low: IntervalMonthDayNano, high: IntervalMonthDayNano, part: f64) -> IntervalMonthDayNano {
    let months = f64::from(high.months - low.months) * part;
    let days = f64::from(high.days - low.days) * part;
    let us = ((high.nanoseconds - low.nanoseconds) / 1000) as f64 * part;
    let of_months = (months.fract() * 30.0 * 1e6).round() / 1e6;
    let of_days = ((days.fract() + of_months.fract()) * DAY_US).round();
    IntervalMonthDayNano::new(
        low.months + months.trunc() as i32,
        low.days + (days.trunc() + of_months.trunc()) as i32,
        low.nanoseconds + (us + of_days).round() as i64 * 1000,
    )
}
