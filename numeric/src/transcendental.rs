//! Exponentials, logarithms and powers, computed with digits to spare and rounded to the scale PostgreSQL shows.

use num_bigint::{BigInt, Sign};

use crate::integer::{Int, power_of_ten};
use crate::value::{Decimal, Numeric};
use crate::{DISPLAY_SCALE_MAX, NumericError, RESULT_SCALE_MAX, Result, SIGNIFICANT_MIN, WHOLE_DIGITS_MAX};
use Numeric::{Finite, Infinity, NaN, NegativeInfinity};

const LOG10_E: f64 = std::f64::consts::LOG10_E;
/// Digits computed beyond those asked for.
const GUARD: i32 = 10;

fn scale_for(digits_before: i32, least: i32) -> i32 {
    (SIGNIFICANT_MIN - digits_before).max(least).clamp(0, DISPLAY_SCALE_MAX)
}

/// The first digits as a double, and the power of ten they are to be multiplied with.
fn leading(d: &Decimal) -> (f64, i32) {
    let count = d.int.digit_count() as i32;
    let drop = (count - 17).max(0);
    let (head, _, _) = d.int.lowered(drop.unsigned_abs());
    let head = if let Int::Small(v) = head { v as f64 } else { 0.0 };
    (head, drop - d.scale())
}

/// The number as a double, however large or small it is.
fn rough(d: &Decimal) -> f64 {
    let (head, power) = leading(d);
    head * 10_f64.powi(power)
}

/// The power of ten of the logarithm's first digit, as PostgreSQL guesses it to choose a scale.
fn logarithm_weight(d: &Decimal) -> i32 {
    let value = rough(d);
    let near = |v: f64| Numeric::of_f64(v);
    let own = Finite(d.clone());
    if own.compare(&near(0.9)).is_ge() && own.compare(&near(1.1)).is_le() {
        let one = Decimal::new(1, 0);
        let (a, b, scale) = d.aligned(&one);
        let rest = Decimal::of(a.minus(&b), scale);
        if rest.is_zero() {
            return 0;
        }
        return rest.exponent();
    }
    let (head, power) = leading(d);
    let ln = if value.is_finite() && value != 0.0 {
        value.ln()
    } else {
        head.ln() + f64::from(power) * std::f64::consts::LN_10
    };
    ln.abs().log10() as i32
}

/// A number times 10^digits, cut.
fn fixed(d: &Decimal, digits: i32) -> BigInt {
    let shift = digits - d.scale();
    if shift >= 0 { d.int.raised(shift.unsigned_abs()).big() } else { d.int.lowered(shift.unsigned_abs()).0.big() }
}

/// The number that [`fixed`] made, rounded to `scale` digits.
fn rounded(v: BigInt, digits: i32, scale: i32) -> Decimal {
    Decimal::of(Int::of(v), 0).rescaled_from(digits, scale)
}

/// e^x to `scale` digits.
fn exponential(d: &Decimal, scale: i32) -> Result<Decimal> {
    let value = rough(d);
    if value.abs() >= f64::from(RESULT_SCALE_MAX * 3) {
        if value > 0.0 {
            return Err(NumericError::overflow());
        }
        return Ok(Decimal::of(Int::ZERO, scale));
    }
    let before = (value.abs() * LOG10_E) as i32 + 1;
    // e^x = (e^(x / 2^halvings))^(2^halvings): the smaller number's series is short.
    let halvings = 8 + (value.abs().max(1.0).log2() as u32 + 1);
    let digits = scale.max(0) + before + GUARD + halvings as i32 / 3;
    let one = power_of_ten(digits.unsigned_abs());
    let x = BigInt::from(fixed(d, digits).magnitude().clone()) >> halvings;
    let (mut sum, mut term, mut n) = (&one + &x, x.clone(), 2_u32);
    while term.sign() != Sign::NoSign {
        term = &term * &x / &one / n;
        sum += &term;
        n += 1;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &one;
    }
    if d.sign() < 0 {
        sum = &one * &one / sum;
    }
    Ok(rounded(sum, digits, scale))
}

/// ln(x) to `scale` digits, of a positive number.
fn logarithm(d: &Decimal, scale: i32) -> Decimal {
    let digits = scale.max(0) + GUARD + 10;
    let exponent = d.exponent();
    // x = m * 10^exponent, m between 1 and 10.
    let shift = digits - d.scale() - exponent;
    let mantissa =
        if shift >= 0 { d.int.raised(shift.unsigned_abs()).big() } else { d.int.lowered(shift.unsigned_abs()).0.big() };
    let mut ln = logarithm_of_mantissa(mantissa, digits);
    if exponent != 0 {
        ln += logarithm_of_mantissa(power_of_ten(digits.unsigned_abs() + 1), digits) * exponent;
    }
    rounded(ln, digits, scale)
}

/// ln(m) for m from 1 to 10: roots bring it near 1, where the series of the area tangent is short.
fn logarithm_of_mantissa(mut m: BigInt, digits: i32) -> BigInt {
    let one = power_of_ten(digits.unsigned_abs());
    let near = &one + &one / 256;
    let mut roots = 0_u32;
    while m > near {
        m = BigInt::from((&m * &one).magnitude().sqrt());
        roots += 1;
    }
    let z = (&m - &one) * &one / (&m + &one);
    let square = &z * &z / &one;
    let (mut sum, mut power, mut n) = (z.clone(), z, 3_u32);
    loop {
        power = &power * &square / &one;
        if power.sign() == Sign::NoSign {
            break;
        }
        sum += &power / n;
        n += 2;
    }
    sum << (roots + 1)
}

/// The parameter of a logarithm, if it has one.
fn positive(x: &Numeric) -> Result<()> {
    match x.signum() {
        _ if x.is_nan() => Ok(()),
        0 => Err(NumericError::new("2201E", "cannot take logarithm of zero")),
        -1 => Err(NumericError::new("2201E", "cannot take logarithm of a negative number")),
        _ => Ok(()),
    }
}

impl Numeric {
    /// `exp(x)`.
    ///
    /// # Errors
    /// 22003.
    pub fn exp(&self) -> Result<Numeric> {
        match self {
            NegativeInfinity => Ok(Numeric::ZERO),
            NaN | Infinity => Ok(self.clone()),
            Finite(d) => {
                let weight = (rough(d) * LOG10_E).clamp(-f64::from(RESULT_SCALE_MAX), f64::from(RESULT_SCALE_MAX));
                exponential(d, scale_for(weight as i32, d.scale()))?.checked().map(Finite)
            }
        }
    }

    /// `ln(x)`.
    ///
    /// # Errors
    /// 2201E.
    pub fn ln(&self) -> Result<Numeric> {
        positive(self)?;
        match self {
            Finite(d) => Ok(Finite(logarithm(d, scale_for(logarithm_weight(d), d.scale())))),
            other => Ok(other.clone()),
        }
    }

    /// `log(base, x)`.
    ///
    /// # Errors
    /// 2201E; 22012 for base 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(NaN);
        }
        for x in [base, self] {
            if x.signum() < 0 {
                positive(x)?;
            }
        }
        positive(base)?;
        positive(self)?;
        let (Finite(b), Finite(x)) = (base, self) else {
            return Ok(match (base, self) {
                (Infinity, Infinity) => NaN,
                (Infinity, _) => Numeric::ZERO,
                _ => Infinity,
            });
        };
        let (weight_b, weight_x) = (logarithm_weight(b), logarithm_weight(x));
        let weight = weight_x - weight_b;
        let scale = scale_for(weight, b.scale().max(x.scale()));
        let inner = |own: i32| (scale + weight.max(0) - own + GUARD).max(0);
        let (ln_b, ln_x) = (logarithm(b, inner(weight_b) + GUARD), logarithm(x, inner(weight_x) + GUARD));
        if ln_b.is_zero() {
            return Err(NumericError::division_by_zero());
        }
        Ok(Finite(ln_x.divided(&ln_b, scale)))
    }

    /// `power(x, y)`.
    ///
    /// # Errors
    /// 2201F, 22003.
    pub fn power(&self, y: &Numeric) -> Result<Numeric> {
        let is_one = |x: &Numeric| x.compare(&Numeric::ONE).is_eq();
        match (self, y) {
            (NaN, y) => return Ok(if y.signum() == 0 && !y.is_nan() { Numeric::ONE } else { NaN }),
            (x, NaN) => return Ok(if is_one(x) { Numeric::ONE } else { NaN }),
            _ => {}
        }
        if self.signum() == 0 && y.signum() < 0 {
            return Err(NumericError::new("2201F", "zero raised to a negative power is undefined"));
        }
        let whole = y.decimal().is_none_or(Decimal::is_whole);
        if self.signum() < 0 && !whole {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(NumericError::new("2201F", message));
        }
        match (self, y) {
            (Finite(a), Finite(b)) => power(a, b)?.checked().map(Finite),
            _ if is_one(self) || y.signum() == 0 => Ok(Numeric::ONE),
            _ if self.signum() == 0 => Ok(Numeric::ZERO),
            (x, Infinity | NegativeInfinity) => {
                let above = match x.abs().compare(&Numeric::ONE) {
                    std::cmp::Ordering::Equal => return Ok(Numeric::ONE),
                    order => order.is_gt(),
                };
                Ok(if above == (y.signum() > 0) { Infinity } else { Numeric::ZERO })
            }
            _ if y.signum() < 0 => Ok(Numeric::ZERO),
            (NegativeInfinity, Finite(b)) if is_odd(b) => Ok(NegativeInfinity),
            _ => Ok(Infinity),
        }
    }
}

fn is_odd(d: &Decimal) -> bool {
    d.cut(0).int.remainder(&Int::Small(2)).sign() != 0
}

fn power(a: &Decimal, b: &Decimal) -> Result<Decimal> {
    if b.is_whole()
        && let Some(n) = b.cut(0).small().and_then(|n| i32::try_from(n).ok())
    {
        return whole_power(a, n, a.scale().clamp(SIGNIFICANT_MIN, DISPLAY_SCALE_MAX));
    }
    if a.is_zero() {
        return Ok(Decimal::of(Int::ZERO, SIGNIFICANT_MIN));
    }
    let negative = a.sign() < 0 && is_odd(b);
    let base = Decimal { int: if a.sign() < 0 { a.int.clone().negated() } else { a.int.clone() }, scale: a.scale };
    let rough_ln = rough(&logarithm(&base, (8 - logarithm_weight(&base)).max(0))) * rough(b);
    // Not a number: of a base next to 1 and an exponent that no double holds.
    if rough_ln.is_nan() {
        return Err(NumericError::overflow());
    }
    if rough_ln.abs() > f64::from(RESULT_SCALE_MAX) * 3.01 {
        if rough_ln > 0.0 {
            return Err(NumericError::overflow());
        }
        return Ok(Decimal::of(Int::ZERO, DISPLAY_SCALE_MAX));
    }
    let weight = rough_ln * LOG10_E;
    let scale = scale_for(weight as i32, a.scale().max(b.scale()));
    let inner = scale + weight.max(0.0) as i32 + b.exponent().max(0) + GUARD;
    let ln = logarithm(&base, inner);
    let product = Decimal::of(ln.int.times(&b.int), 0).rescaled_from(ln.scale() + b.scale(), inner);
    let result = exponential(&product, scale)?;
    Ok(if negative { Decimal { int: result.int.negated(), scale: result.scale } } else { result })
}

/// x^n to `scale` digits, by squaring numbers of as many digits as the result needs.
fn whole_power(a: &Decimal, n: i32, scale: i32) -> Result<Decimal> {
    match n {
        0 => return Ok(Decimal::of(Int::Small(1), 0).rescaled(scale)),
        1 => return Ok(a.rescaled(scale)),
        -1 => {
            if a.is_zero() {
                return Err(NumericError::division_by_zero());
            }
            return Ok(Decimal::new(1, 0).divided(a, scale));
        }
        _ => {}
    }
    if a.is_zero() {
        return if n < 0 { Err(NumericError::division_by_zero()) } else { Ok(Decimal::of(Int::ZERO, scale)) };
    }
    let (head, shift) = leading(a);
    let weight = f64::from(n) * (head.abs().log10() + f64::from(shift));
    if weight > WHOLE_DIGITS_MAX as f64 + 1.0 {
        return Err(NumericError::overflow());
    }
    if weight + 1.0 < f64::from(-scale) {
        return Ok(Decimal::of(Int::ZERO, scale));
    }
    let digits = (weight as i32 + scale).max(0) as u32 + n.unsigned_abs().ilog10() + 16;
    let (mut result, mut power_of_result) = (BigInt::from(1), 0_i64);
    let (mut square, mut power_of_square) = trimmed(a.int.big(), -i64::from(a.scale), digits);
    let mut rest = n.unsigned_abs();
    loop {
        if rest & 1 == 1 {
            (result, power_of_result) = trimmed(&result * &square, power_of_result + power_of_square, digits);
        }
        rest >>= 1;
        if rest == 0 {
            break;
        }
        (square, power_of_square) = trimmed(&square * &square, power_of_square * 2, digits);
    }
    if n < 0 {
        let own = Int::of(result.clone()).digit_count();
        result = power_of_ten(digits + own) / result;
        power_of_result = -power_of_result - i64::from(digits + own);
    }
    let int = Int::of(result);
    if power_of_result >= 0 {
        let up = u32::try_from(power_of_result).map_err(|_| NumericError::overflow())?;
        return Ok(Decimal::of(int.raised(up), 0).rescaled(scale));
    }
    let from = i32::try_from(-power_of_result).map_err(|_| NumericError::overflow())?;
    Ok(Decimal::of(int, 0).rescaled_from(from, scale))
}

/// The number with its last digits cut beyond so many.
fn trimmed(v: BigInt, power: i64, digits: u32) -> (BigInt, i64) {
    let int = Int::Big(v);
    let count = int.digit_count();
    if count <= digits {
        return (int.big(), power);
    }
    let (cut, _, _) = int.lowered(count - digits);
    (cut.big(), power + i64::from(count - digits))
}
