//! Casts between dates, times and intervals as PostgreSQL makes them: infinities stay infinite, what one type has and the
//! other cannot hold is an error, and between a moment and a wall clock stands the session's time zone
//! (<https://www.postgresql.org/docs/15/datatype-datetime.html>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use datafusion::common::Result;
use datafusion::logical_expr::{Cast, Expr};
use sightline_functions::zone::Zone;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::kernel::Body;
use crate::codec::datetime::{END_DAY_OF_TIMESTAMP, FIRST_DAY, US_PER_DAY};
use crate::codec::{Format, Style, precise};
use crate::error::to_datafusion;

/// 22008.
pub(super) fn overflow(message: &str) -> datafusion::error::DataFusionError {
    to_datafusion(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, message))
}

/// Whether a moment or local time is in PostgreSQL's range.
pub(super) fn in_range(us: i64) -> bool {
    (FIRST_DAY..END_DAY_OF_TIMESTAMP).contains(&us.div_euclid(US_PER_DAY))
}

/// True for `infinity` and `-infinity`.
pub(super) fn infinite(us: i64) -> bool {
    us == i64::MAX || us == i64::MIN
}

/// Whether a type is one of dates, times and intervals.
pub(super) fn is_temporal(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Interval(_))
}

/// Applies `f` to each value that is not NULL.
pub(super) fn map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(A::Native) -> Result<Option<B::Native>>,
) -> Result<PrimitiveArray<B>> {
    let array = array.as_primitive::<A>();
    array.iter().map(|v| v.map_or(Ok(None), &f)).collect()
}

/// The same, with two arguments.
pub(super) fn zip<A: ArrowPrimitiveType, B: ArrowPrimitiveType, C: ArrowPrimitiveType>(
    left: &ArrayRef,
    right: &ArrayRef,
    f: impl Fn(A::Native, B::Native) -> Result<C::Native>,
) -> Result<PrimitiveArray<C>> {
    let (left, right) = (left.as_primitive::<A>(), right.as_primitive::<B>());
    let both = |pair| match pair {
        (Some(l), Some(r)) => f(l, r).map(Some),
        _ => Ok(None),
    };
    left.iter().zip(right).map(both).collect()
}

/// Midnight of a date, microseconds since 1970.
pub(super) fn midnight(days: i32) -> Result<i64> {
    match days {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        days if i64::from(days) >= END_DAY_OF_TIMESTAMP => Err(overflow("date out of range for timestamp")),
        days => Ok(i64::from(days) * US_PER_DAY),
    }
}

/// The day of a local time.
fn day(us: i64) -> i32 {
    match us {
        i64::MAX => i32::MAX,
        i64::MIN => i32::MIN,
        us => us.div_euclid(US_PER_DAY) as i32,
    }
}

fn to_utc(zone: Zone, local: i64) -> Result<i64> {
    zone.to_utc(local).filter(|us| infinite(*us) || in_range(*us)).ok_or_else(|| overflow("timestamp out of range"))
}

fn to_local(zone: Zone, utc: i64) -> Result<i64> {
    zone.to_local(utc).ok_or_else(|| overflow("timestamp out of range"))
}

type Date = Date32Type;
type Time = Time64MicrosecondType;
type Stamp = TimestampMicrosecondType;
type Interval = IntervalMonthDayNanoType;

/// The cast between two of these types; none where PostgreSQL has none, or nothing is to do.
pub(super) fn cast_body(from: &DataType, to: &Field, format: &Format) -> Option<Body> {
    use DataType as T;
    let zone = Style::new(format).zone;
    // A time that only is to be compared may lie beyond the other type's range.
    let clamps = to.name() == COMPARED;
    let to = to.data_type();
    let midnight = move |days: i32| match midnight(days) {
        Err(_) if clamps => Ok(i64::MAX - 1),
        midnight => midnight,
    };
    let to_utc = move |local: i64| match to_utc(zone, local) {
        Err(_) if clamps => Ok(if local > 0 { i64::MAX - 1 } else { i64::MIN + 1 }),
        utc => utc,
    };
    let of_day = |us: i64| (!infinite(us)).then(|| us.rem_euclid(US_PER_DAY));
    let utc = |array: PrimitiveArray<Stamp>| -> Result<ArrayRef> { Ok(Arc::new(array.with_timezone("UTC"))) };
    // Only these units are PostgreSQL's; DataFusion's own functions may use others.
    let micros = |t: &T| !matches!(t, T::Timestamp(unit, _) if *unit != arrow::datatypes::TimeUnit::Microsecond);
    if !micros(from) || !micros(to) {
        return None;
    }
    Some(match (from, to) {
        (T::Date32, T::Timestamp(_, None)) => {
            Arc::new(move |a| Ok(Arc::new(map::<Date, Stamp>(&a[0], |d| midnight(d).map(Some))?) as ArrayRef))
        }
        (T::Date32, T::Timestamp(_, Some(_))) => {
            Arc::new(move |a| utc(map::<Date, Stamp>(&a[0], |d| to_utc(midnight(d)?).map(Some))?))
        }
        (T::Timestamp(_, None), T::Date32) => {
            Arc::new(|a| Ok(Arc::new(map::<Stamp, Date>(&a[0], |us| Ok(Some(day(us))))?) as ArrayRef))
        }
        (T::Timestamp(_, Some(_)), T::Date32) => Arc::new(move |a| {
            Ok(Arc::new(map::<Stamp, Date>(&a[0], |us| Ok(Some(day(to_local(zone, us)?))))?) as ArrayRef)
        }),
        (T::Timestamp(_, None), T::Timestamp(_, Some(_))) => {
            Arc::new(move |a| utc(map::<Stamp, Stamp>(&a[0], |us| to_utc(us).map(Some))?))
        }
        (T::Timestamp(_, Some(_)), T::Timestamp(_, None)) => {
            Arc::new(move |a| Ok(Arc::new(map::<Stamp, Stamp>(&a[0], |us| to_local(zone, us).map(Some))?) as ArrayRef))
        }
        (T::Timestamp(_, None), T::Time64(_)) => {
            Arc::new(move |a| Ok(Arc::new(map::<Stamp, Time>(&a[0], |us| Ok(of_day(us)))?) as ArrayRef))
        }
        (T::Timestamp(_, Some(_)), T::Time64(_)) => {
            Arc::new(
                move |a| Ok(Arc::new(map::<Stamp, Time>(&a[0], |us| Ok(of_day(to_local(zone, us)?)))?) as ArrayRef),
            )
        }
        (T::Interval(_), T::Time64(_)) => Arc::new(|a| {
            let time = |v: IntervalMonthDayNano| Ok(Some((v.nanoseconds / 1000).rem_euclid(US_PER_DAY)));
            Ok(Arc::new(map::<Interval, Time>(&a[0], time)?) as ArrayRef)
        }),
        (T::Time64(_), T::Interval(_)) => Arc::new(|a| {
            let interval = |us: i64| Ok(Some(IntervalMonthDayNano::new(0, 0, us * 1000)));
            Ok(Arc::new(map::<Time, Interval>(&a[0], interval)?) as ArrayRef)
        }),
        _ => return None,
    })
}

/// The name of a cast that [`compared`] made.
const COMPARED: &str = "compared";

/// A date or timestamp as another type of them, to be compared with one: what is beyond its range is less or greater than
/// all in it.
pub(super) fn compared(expr: Expr, from: &DataType, to: &SqlType) -> Expr {
    if *from == to.arrow() { expr } else { Expr::Cast(Cast { expr: Box::new(expr), field: to.field_ref(COMPARED) }) }
}

/// 42846 for a cast that PostgreSQL does not have between one of these types and another.
pub(super) fn refused(from: &DataType, to: &DataType) -> Option<datafusion::error::DataFusionError> {
    use DataType as T;
    let other = |t: &T| {
        t.is_integer()
            || t.is_floating()
            || t.is_decimal()
            || matches!(t, T::Boolean | T::Binary | T::FixedSizeBinary(_))
    };
    let none = match (from, to) {
        (T::Date32, T::Time64(_) | T::Interval(_)) | (T::Interval(_), T::Date32 | T::Timestamp(..)) => true,
        (T::Time64(_), T::Date32 | T::Timestamp(..)) | (T::Timestamp(..), T::Interval(_)) => true,
        (from, to) => (is_temporal(from) && other(to)) || (other(from) && is_temporal(to)),
    };
    let message = || format!("cannot cast type {} to {}", SqlType::from_arrow(from), SqlType::from_arrow(to));
    none.then(|| to_datafusion(Error::new(SqlState::CANNOT_COERCE, message())))
}

/// Cuts values to the modifier of their type.
pub(super) fn cut(ty: SqlType) -> Body {
    Arc::new(move |arrays| {
        let array = cast(&arrays[0], &ty.arrow())?;
        Ok(match array.data_type() {
            DataType::Time64(_) => {
                Arc::new(map::<Time, Time>(&array, |us| Ok(Some(precise::time(&ty, us))))?) as ArrayRef
            }
            DataType::Timestamp(_, zone) => {
                let cut = map::<Stamp, Stamp>(&array, |us| Ok(Some(precise::timestamp(&ty, us))))?;
                Arc::new(cut.with_timezone_opt(zone.clone()))
            }
            DataType::Interval(_) => {
                Arc::new(map::<Interval, Interval>(&array, |v| Ok(Some(precise::interval(&ty, v))))?)
            }
            _ => array.clone(),
        })
    })
}
