//! `interval`: months, days and a time, out in the four IntervalStyles. In:
//! [`interval_input`](super::interval_input).

use std::io::Write;

use arrow::datatypes::IntervalMonthDayNano;

use super::IntervalStyle;
use super::datetime::{US_PER_SECOND, push_fraction, push_padded};

/// An interval in its parts as they are shown.
struct Parts {
    years: i32,
    months: i32,
    days: i32,
    /// Microseconds.
    time: i64,
}

impl Parts {
    fn of(v: IntervalMonthDayNano) -> Parts {
        Parts { years: v.months / 12, months: v.months % 12, days: v.days, time: v.nanoseconds / 1000 }
    }
}

/// Writes an interval.
pub fn write(out: &mut Vec<u8>, v: IntervalMonthDayNano, style: IntervalStyle) {
    let parts = Parts::of(v);
    match style {
        IntervalStyle::Postgres => write_postgres(out, &parts),
        IntervalStyle::PostgresVerbose => write_verbose(out, &parts),
        IntervalStyle::SqlStandard => write_sql(out, &parts),
        IntervalStyle::Iso8601 => write_iso(out, &parts),
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec does not fail");
}

/// `04:05:06.789` of a time that is not negative.
fn push_clock(out: &mut Vec<u8>, us: u64, hour_width: usize) {
    let second = US_PER_SECOND as u64;
    push_padded(out, us / (3600 * second), hour_width);
    out.push(b':');
    push_padded(out, us / (60 * second) % 60, 2);
    out.push(b':');
    push_padded(out, us / second % 60, 2);
    push_fraction(out, (us % second) as u32);
}

/// `1 year 2 mons -3 days +04:05:06`: a plus follows a minus, to be clear.
fn write_postgres(out: &mut Vec<u8>, p: &Parts) {
    let (mut first, mut after_minus) = (true, false);
    for (n, unit) in [(p.years, "year"), (p.months, "mon"), (p.days, "day")] {
        if n == 0 {
            continue;
        }
        let blank = if first { "" } else { " " };
        let plus = if after_minus && n > 0 { "+" } else { "" };
        push(out, format_args!("{blank}{plus}{n} {unit}{}", if n == 1 { "" } else { "s" }));
        after_minus = n < 0;
        first = false;
    }
    if first || p.time != 0 {
        let sign = if p.time < 0 { "-" } else { if after_minus { "+" } else { "" } };
        push(out, format_args!("{}{sign}", if first { "" } else { " " }));
        push_clock(out, p.time.unsigned_abs(), 2);
    }
}

/// `@ 1 year 2 mons 4 hours 5.5 secs ago`.
fn write_verbose(out: &mut Vec<u8>, p: &Parts) {
    let mut negative = None;
    out.push(b'@');
    let seconds = p.time / US_PER_SECOND;
    let units = [
        (i64::from(p.years), "year"),
        (i64::from(p.months), "mon"),
        (i64::from(p.days), "day"),
        (seconds / 3600, "hour"),
        (seconds / 60 % 60, "min"),
    ];
    for (n, unit) in units {
        if n != 0 {
            let flip = *negative.get_or_insert(n < 0);
            let n = if flip { -n } else { n };
            push(out, format_args!(" {n} {unit}{}", if n == 1 { "" } else { "s" }));
        }
    }
    let rest = p.time % (60 * US_PER_SECOND);
    if rest != 0 {
        let flip = *negative.get_or_insert(rest < 0);
        out.push(b' ');
        if (rest < 0) != flip {
            out.push(b'-');
        }
        push_seconds(out, rest.unsigned_abs());
        out.extend_from_slice(if rest.abs() == US_PER_SECOND { b" sec" } else { b" secs" });
    }
    match negative {
        None => out.extend_from_slice(b" 0"),
        Some(true) => out.extend_from_slice(b" ago"),
        Some(false) => {}
    }
}

fn push_seconds(out: &mut Vec<u8>, us: u64) {
    push_padded(out, us / US_PER_SECOND as u64, 1);
    push_fraction(out, (us % US_PER_SECOND as u64) as u32);
}

/// `1-2`, `3 4:05:06`, or with everything and signs `+1-2 +3 +4:05:06`.
fn write_sql(out: &mut Vec<u8>, p: &Parts) {
    let signs = [i64::from(p.years), i64::from(p.months), i64::from(p.days), p.time];
    let (minus, plus) = (signs.iter().any(|n| *n < 0), signs.iter().any(|n| *n > 0));
    let (year_month, day_time) = (p.years != 0 || p.months != 0, p.days != 0 || p.time != 0);
    let clock = |out: &mut Vec<u8>| push_clock(out, p.time.unsigned_abs(), 1);
    if !minus && !plus {
        out.push(b'0');
    } else if (minus && plus) || (year_month && day_time) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let (years, months) = (p.years.unsigned_abs(), p.months.unsigned_abs());
        push(out, format_args!("{}{years}-{months} ", sign(p.years < 0 || p.months < 0)));
        push(out, format_args!("{}{} {}", sign(p.days < 0), p.days.unsigned_abs(), sign(p.time < 0)));
        clock(out);
    } else {
        if minus {
            out.push(b'-');
        }
        if year_month {
            push(out, format_args!("{}-{}", p.years.unsigned_abs(), p.months.unsigned_abs()));
        } else {
            if p.days != 0 {
                push(out, format_args!("{} ", p.days.unsigned_abs()));
            }
            clock(out);
        }
    }
}

/// `P1Y2M3DT4H5M6.5S`.
fn write_iso(out: &mut Vec<u8>, p: &Parts) {
    out.push(b'P');
    let start = out.len();
    for (n, unit) in [(p.years, 'Y'), (p.months, 'M'), (p.days, 'D')] {
        if n != 0 {
            push(out, format_args!("{n}{unit}"));
        }
    }
    if p.time != 0 || out.len() == start {
        out.push(b'T');
    }
    let seconds = p.time / US_PER_SECOND;
    for (n, unit) in [(seconds / 3600, 'H'), (seconds / 60 % 60, 'M')] {
        if n != 0 {
            push(out, format_args!("{n}{unit}"));
        }
    }
    let rest = p.time % (60 * US_PER_SECOND);
    if rest != 0 || out.len() == start + usize::from(p.time == 0) {
        if rest < 0 {
            out.push(b'-');
        }
        push_seconds(out, rest.unsigned_abs());
        out.push(b'S');
    }
}
