//! Variances, covariances and regressions of floats by PostgreSQL's method, that of Youngs and Cramer, whose digits differ
//! from those of DataFusion's (<https://www.postgresql.org/docs/15/functions-aggregate.html#FUNCTIONS-AGGREGATE-STATISTICS-TABLE>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::error::refuse;
use crate::udf::no_such_function;

/// What comes of the sums; none is NULL.
type Final = fn(&Sums) -> Option<f64>;

/// Aggregates of one number, and what they answer.
const SINGLE: [(&str, Final); 6] = [
    ("var_pop", |s| s.of(1.0, s.sxx / s.n)),
    ("var_samp", |s| s.of(2.0, s.sxx / (s.n - 1.0))),
    ("variance", |s| s.of(2.0, s.sxx / (s.n - 1.0))),
    ("stddev_pop", |s| s.of(1.0, (s.sxx / s.n).sqrt())),
    ("stddev_samp", |s| s.of(2.0, (s.sxx / (s.n - 1.0)).sqrt())),
    ("stddev", |s| s.of(2.0, (s.sxx / (s.n - 1.0)).sqrt())),
];
/// Aggregates of two numbers: the dependent one first.
const DOUBLE: [(&str, Final); 12] = [
    ("covar_pop", |s| s.of(1.0, s.sxy / s.n)),
    ("covar_samp", |s| s.of(2.0, s.sxy / (s.n - 1.0))),
    ("corr", |s| if s.sxx == 0.0 || s.syy == 0.0 { None } else { s.of(1.0, s.sxy / (s.sxx * s.syy).sqrt()) }),
    ("regr_avgx", |s| s.of(1.0, s.sx / s.n)),
    ("regr_avgy", |s| s.of(1.0, s.sy / s.n)),
    ("regr_sxx", |s| s.of(1.0, s.sxx)),
    ("regr_syy", |s| s.of(1.0, s.syy)),
    ("regr_sxy", |s| s.of(1.0, s.sxy)),
    ("regr_slope", |s| if s.sxx == 0.0 { None } else { s.of(1.0, s.sxy / s.sxx) }),
    ("regr_intercept", |s| if s.sxx == 0.0 { None } else { s.of(1.0, (s.sy - s.sx * s.sxy / s.sxx) / s.n) }),
    ("regr_r2", |s| {
        if s.sxx == 0.0 {
            None
        } else if s.syy == 0.0 {
            s.of(1.0, 1.0)
        } else {
            s.of(1.0, s.sxy * s.sxy / (s.sxx * s.syy))
        }
    }),
    ("regr_count", |s| Some(s.n)),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    let made = |name, last, pair| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Statistic { name, last: Finish(last), pair, signature }))
    };
    let single = SINGLE.into_iter().map(move |(name, last)| made(name, last, false));
    single.chain(DOUBLE.into_iter().map(move |(name, last)| made(name, last, true)))
}

/// The last step of an aggregate, which its name stands for.
#[derive(Clone, Copy)]
struct Finish(Final);

impl std::fmt::Debug for Finish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Finish")
    }
}

impl PartialEq for Finish {
    fn eq(&self, _: &Finish) -> bool {
        true
    }
}

impl Eq for Finish {}

impl std::hash::Hash for Finish {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Statistic {
    name: &'static str,
    last: Finish,
    /// Whether it is of two numbers.
    pair: bool,
    signature: Signature,
}

impl AggregateUDFImpl for Statistic {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.name == "regr_count" { DataType::Int64 } else { DataType::Float64 })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let fits = |t: &DataType| t.is_numeric() || matches!(t, DataType::Null | DataType::Utf8);
        if given.len() != 1 + usize::from(self.pair) || !given.iter().all(fits) {
            return Err(no_such_function(self.name, given));
        }
        Ok(vec![DataType::Float64; given.len()])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sums { last: Some(self.last), counts: self.name == "regr_count", ..Sums::default() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part| Arc::new(Field::new(format!("{}[{part}]", args.name), DataType::Float64, false));
        Ok(["n", "sx", "sxx", "sy", "syy", "sxy"].into_iter().map(field).collect())
    }
}

/// The sums so far: of x and y, and of the squares of their distances from the mean.
#[derive(Debug, Default)]
struct Sums {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
    last: Option<Finish>,
    /// The answer is a `bigint`.
    counts: bool,
}

fn overflow<T>() -> Result<T> {
    refuse("22003", "value out of range: overflow")
}

impl Sums {
    /// The value, if there were as many rows.
    fn of(&self, least: f64, value: f64) -> Option<f64> {
        (self.n >= least).then_some(value)
    }

    fn add(&mut self, y: f64, x: f64) -> Result<()> {
        let before = self.n;
        let finite = self.sx.is_finite() && self.sy.is_finite() && x.is_finite() && y.is_finite();
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if before == 0.0 {
            if !x.is_finite() {
                (self.sxx, self.sxy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.syy, self.sxy) = (f64::NAN, f64::NAN);
            }
            return Ok(());
        }
        let (dx, dy) = (x * self.n - self.sx, y * self.n - self.sy);
        let scale = 1.0 / (self.n * before);
        self.sxx += dx * dx * scale;
        self.syy += dy * dy * scale;
        self.sxy += dx * dy * scale;
        let sums = [self.sx, self.sxx, self.sy, self.syy, self.sxy];
        if sums.iter().any(|s| s.is_infinite()) {
            if finite {
                return overflow();
            }
            for sum in [&mut self.sxx, &mut self.syy, &mut self.sxy] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
        }
        Ok(())
    }

    /// One number only: as PostgreSQL computes it, which rounds otherwise than for two.
    fn add_one(&mut self, x: f64) -> Result<()> {
        let before = (self.n, self.sx);
        self.n += 1.0;
        self.sx += x;
        if before.0 == 0.0 {
            if !x.is_finite() {
                self.sxx = f64::NAN;
            }
            return Ok(());
        }
        let distance = x * self.n - self.sx;
        self.sxx += distance * distance / (self.n * before.0);
        if self.sx.is_infinite() || self.sxx.is_infinite() {
            if before.1.is_finite() && x.is_finite() {
                return overflow();
            }
            self.sxx = f64::NAN;
        }
        Ok(())
    }

    fn merge(&mut self, other: [f64; 6]) {
        let [n, sx, sxx, sy, syy, sxy] = other;
        if n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            (self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy) = (n, sx, sxx, sy, syy, sxy);
            return;
        }
        let total = self.n + n;
        let (dx, dy) = (self.sx / self.n - sx / n, self.sy / self.n - sy / n);
        self.sxx += sxx + self.n * n * dx * dx / total;
        self.syy += syy + self.n * n * dy * dy / total;
        self.sxy += sxy + self.n * n * dx * dy / total;
        self.sx += sx;
        self.sy += sy;
        self.n = total;
    }
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values {
            [x] => x.as_primitive::<Float64Type>().iter().flatten().try_for_each(|x| self.add_one(x)),
            [y, x] => {
                let pairs = y.as_primitive::<Float64Type>().iter().zip(x.as_primitive::<Float64Type>());
                pairs.filter_map(|(y, x)| Some((y?, x?))).try_for_each(|(y, x)| self.add(y, x))
            }
            _ => datafusion_common::internal_err!("a statistic of {} columns", values.len()),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.last.and_then(|last| last.0(self));
        if self.counts {
            return Ok(ScalarValue::Int64(Some(self.n as i64)));
        }
        Ok(ScalarValue::Float64(value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sums = [self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy];
        Ok(sums.into_iter().map(|s| ScalarValue::Float64(Some(s))).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns = states.iter().map(|s| s.as_primitive::<Float64Type>()).collect::<Vec<_>>();
        for row in 0..columns.first().map_or(0, |c| c.len()) {
            let mut sums = [0.0; 6];
            for (sum, column) in sums.iter_mut().zip(&columns) {
                *sum = column.value(row);
            }
            self.merge(sums);
        }
        Ok(())
    }
}
