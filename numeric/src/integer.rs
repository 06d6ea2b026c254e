//! Whole numbers of any size: `i128` as long as that holds them.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};

/// The digits that every `i128` power of ten up to 10^38 has.
const SMALL_DIGITS_MAX: u32 = 38;

/// A whole number.
#[derive(Clone, Debug)]
pub(crate) enum Int {
    Small(i128),
    Big(BigInt),
}

/// 10^n, if an `i128` holds it.
pub(crate) fn small_power(n: u32) -> Option<i128> {
    if n <= SMALL_DIGITS_MAX { Some(10_i128.pow(n)) } else { None }
}

/// 10^n.
pub(crate) fn power_of_ten(n: u32) -> BigInt {
    match small_power(n) {
        Some(p) => BigInt::from(p),
        None => BigInt::from(10).pow(n),
    }
}

impl Int {
    pub(crate) const ZERO: Int = Int::Small(0);

    /// A big one that an `i128` may hold after all.
    pub(crate) fn of(big: BigInt) -> Int {
        match i128::try_from(&big) {
            Ok(small) => Int::Small(small),
            Err(_) => Int::Big(big),
        }
    }

    pub(crate) fn big(&self) -> BigInt {
        match self {
            Int::Small(v) => BigInt::from(*v),
            Int::Big(v) => v.clone(),
        }
    }

    pub(crate) fn sign(&self) -> i32 {
        match self {
            Int::Small(v) => v.signum() as i32,
            Int::Big(v) => match v.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    pub(crate) fn negated(self) -> Int {
        match self {
            Int::Small(v) => match v.checked_neg() {
                Some(v) => Int::Small(v),
                None => Int::Big(-BigInt::from(v)),
            },
            Int::Big(v) => Int::of(-v),
        }
    }

    pub(crate) fn magnitude(&self) -> BigUint {
        match self {
            Int::Small(v) => BigUint::from(v.unsigned_abs()),
            Int::Big(v) => v.magnitude().clone(),
        }
    }

    fn both(&self, other: &Int, small: fn(i128, i128) -> Option<i128>, big: fn(BigInt, BigInt) -> BigInt) -> Int {
        if let (Int::Small(a), Int::Small(b)) = (self, other)
            && let Some(v) = small(*a, *b)
        {
            return Int::Small(v);
        }
        Int::of(big(self.big(), other.big()))
    }

    pub(crate) fn plus(&self, other: &Int) -> Int {
        self.both(other, i128::checked_add, |a, b| a + b)
    }

    pub(crate) fn minus(&self, other: &Int) -> Int {
        self.both(other, i128::checked_sub, |a, b| a - b)
    }

    pub(crate) fn times(&self, other: &Int) -> Int {
        self.both(other, i128::checked_mul, |a, b| a * b)
    }

    /// The quotient cut towards zero; `other` is not zero.
    pub(crate) fn quotient(&self, other: &Int) -> Int {
        self.both(other, i128::checked_div, |a, b| a / b)
    }

    /// What the division leaves, with the sign of `self`; `other` is not zero.
    pub(crate) fn remainder(&self, other: &Int) -> Int {
        self.both(other, |a, b| Some(a.wrapping_rem(b)), |a, b| a % b)
    }

    /// Times 10^n.
    pub(crate) fn raised(&self, n: u32) -> Int {
        if n == 0 || self.sign() == 0 {
            return self.clone();
        }
        if let Int::Small(v) = self
            && let Some(v) = small_power(n).and_then(|p| v.checked_mul(p))
        {
            return Int::Small(v);
        }
        Int::of(self.big() * power_of_ten(n))
    }

    /// Divided by 10^n, cut towards zero, and whether what is cut is at least half.
    pub(crate) fn lowered(&self, n: u32) -> (Int, bool, bool) {
        if n == 0 {
            return (self.clone(), false, false);
        }
        match self {
            Int::Small(v) => match small_power(n) {
                Some(p) => {
                    let rest = v % p;
                    let half = rest.unsigned_abs() >= p.unsigned_abs().div_ceil(2);
                    (Int::Small(v / p), half, rest != 0)
                }
                None => (Int::ZERO, false, *v != 0),
            },
            Int::Big(v) => {
                let p = power_of_ten(n);
                let (cut, rest) = (v / &p, v % &p);
                let half = rest.magnitude() * 2_u32 >= *p.magnitude();
                (Int::of(cut), half, rest.sign() != Sign::NoSign)
            }
        }
    }

    pub(crate) fn compared(&self, other: &Int) -> Ordering {
        match (self, other) {
            (Int::Small(a), Int::Small(b)) => a.cmp(b),
            _ => self.big().cmp(&other.big()),
        }
    }

    /// The digits of the magnitude, 0 to 9, without zeros in front; of zero none.
    pub(crate) fn digits(&self) -> Vec<u8> {
        match self {
            Int::Small(v) => {
                let mut rest = v.unsigned_abs();
                let mut digits = Vec::with_capacity(40);
                while rest > u128::from(u64::MAX) {
                    digits.push((rest % 10) as u8);
                    rest /= 10;
                }
                let mut rest = rest as u64;
                while rest > 0 {
                    digits.push((rest % 10) as u8);
                    rest /= 10;
                }
                digits.reverse();
                digits
            }
            Int::Big(v) => v.magnitude().to_radix_be(10),
        }
    }

    /// How many digits the magnitude has; of zero none.
    pub(crate) fn digit_count(&self) -> u32 {
        match self {
            Int::Small(0) => 0,
            Int::Small(v) => v.unsigned_abs().ilog10() + 1,
            Int::Big(v) => {
                // A guess by the bits, at most one too small.
                let guess = ((v.bits() - 1) as f64 * std::f64::consts::LOG10_2) as u32;
                let guess = guess.max(1);
                let mut n = guess;
                while *v.magnitude() >= *power_of_ten(n).magnitude() {
                    n += 1;
                }
                n
            }
        }
    }

    /// From digits 0 to 9.
    pub(crate) fn of_digits(negative: bool, digits: &[u8]) -> Int {
        let zeros = digits.iter().take_while(|d| **d == 0).count();
        let digits = &digits[zeros..];
        if digits.len() <= SMALL_DIGITS_MAX as usize {
            let v = digits.iter().fold(0_i128, |v, d| v * 10 + i128::from(*d));
            return Int::Small(if negative { -v } else { v });
        }
        let magnitude = BigUint::from_radix_be(digits, 10).unwrap_or_default();
        Int::of(BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude))
    }
}
