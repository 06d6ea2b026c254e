//! Arithmetic of the numbers in `jsonb`, as `numeric` computes
//! (<https://www.postgresql.org/docs/15/functions-math.html>).

use std::cmp::Ordering;

use super::lexer::Result;
use super::number::{Decimal, SCALE_MAX, WHOLE_MAX, overflow};
use crate::error::FunctionError;

/// How many digits a quotient has at least.
const QUOTIENT_DIGITS: i64 = 16;
const QUOTIENT_SCALE_MAX: i64 = 1_000;

impl Decimal {
    /// A whole number.
    pub(crate) fn of(n: i64) -> Decimal {
        let digits = n.unsigned_abs().to_string().bytes().map(|b| b - b'0').collect();
        let mut number = Decimal { negative: n < 0, digits, scale: 0 };
        number.trim();
        number
    }

    /// The digits with `scale` of them behind the point, which are not fewer than there are.
    fn at_scale(&self, scale: usize) -> Vec<u8> {
        let mut digits = self.digits.clone();
        digits.extend(std::iter::repeat_n(0, if self.digits.is_empty() { 0 } else { scale - self.scale }));
        digits
    }

    pub(crate) fn negated(mut self) -> Decimal {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    pub(crate) fn abs(mut self) -> Decimal {
        self.negative = false;
        self
    }

    pub(crate) fn add(&self, other: &Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.at_scale(scale), other.at_scale(scale));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add_digits(&a, &b))
        } else if compare_digits(&a, &b).is_ge() {
            (self.negative, subtract_digits(&a, &b))
        } else {
            (other.negative, subtract_digits(&b, &a))
        };
        let mut sum = Decimal { negative, digits, scale };
        sum.trim();
        sum
    }

    pub(crate) fn subtract(&self, other: &Decimal) -> Decimal {
        self.add(&other.clone().negated())
    }

    pub(crate) fn multiply(&self, other: &Decimal) -> Result<Decimal> {
        let mut sums = vec![0_u32; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().rev().enumerate() {
            let mut carry = 0;
            for (j, b) in other.digits.iter().rev().enumerate() {
                let n = sums[i + j] + u32::from(*a) * u32::from(*b) + carry;
                sums[i + j] = n % 10;
                carry = n / 10;
            }
            sums[i + other.digits.len()] += carry;
        }
        let digits = sums.iter().rev().map(|n| u8::try_from(*n).unwrap_or(0)).collect();
        let negative = self.negative != other.negative;
        let mut product = Decimal { negative, digits, scale: self.scale + other.scale };
        product.trim();
        if product.whole() > WHOLE_MAX || product.scale > SCALE_MAX {
            return Err(overflow());
        }
        Ok(product)
    }

    /// The first digits in PostgreSQL's base of 10000, and how many such groups follow before the point.
    fn leading(&self) -> (i64, i64) {
        let weight = self.weight();
        let Some(_) = self.digits.first() else { return (0, 0) };
        let groups = (weight - 1).div_euclid(4);
        let length = usize::try_from(weight - groups * 4).unwrap_or(4);
        let digit = |i: usize| i64::from(self.digits.get(i).copied().unwrap_or(0));
        ((0..length).fold(0, |n, i| n * 10 + digit(i)), groups)
    }

    /// A quotient rounded to the scale that PostgreSQL chooses: of 16 digits or more.
    ///
    /// # Errors
    /// 22012.
    pub(crate) fn divide(&self, other: &Decimal) -> Result<Decimal> {
        if other.is_zero() {
            return Err(Box::new(FunctionError::new("22012", "division by zero")));
        }
        let ((first, weight), (by_first, by_weight)) = (self.leading(), other.leading());
        let quotient_weight = weight - by_weight - i64::from(first <= by_first);
        let scale = (QUOTIENT_DIGITS - quotient_weight * 4).max(self.scale as i64).max(other.scale as i64);
        let scale = usize::try_from(scale.clamp(0, QUOTIENT_SCALE_MAX)).unwrap_or(0);
        // One digit more, to round by.
        let zeros = (scale + 1 + other.scale).saturating_sub(self.scale);
        let mut dividend = self.digits.clone();
        dividend.extend(std::iter::repeat_n(0, zeros));
        let (mut digits, _) = divide_digits(&dividend, &other.digits);
        let behind = self.scale + zeros - other.scale;
        digits.truncate(digits.len().saturating_sub(behind - scale - 1));
        let last = digits.pop().unwrap_or(0);
        if last >= 5 {
            digits = add_digits(&digits, &[1]);
        }
        let mut quotient = Decimal { negative: self.negative != other.negative, digits, scale };
        quotient.trim();
        Ok(quotient)
    }

    /// What division to a whole number leaves, with the sign of the dividend.
    ///
    /// # Errors
    /// 22012.
    pub(crate) fn modulo(&self, other: &Decimal) -> Result<Decimal> {
        if other.is_zero() {
            return Err(Box::new(FunctionError::new("22012", "division by zero")));
        }
        let scale = self.scale.max(other.scale);
        let (_, rest) = divide_digits(&self.at_scale(scale), &other.at_scale(scale));
        let mut rest = Decimal { negative: self.negative, digits: rest, scale };
        rest.trim();
        Ok(rest)
    }

    /// The whole part, and whether anything was behind it.
    fn whole_part(&self) -> (Decimal, bool) {
        let whole = self.whole();
        let rest = self.digits[whole..].iter().any(|d| *d != 0);
        let mut part = Decimal { negative: self.negative, digits: self.digits[..whole].to_vec(), scale: 0 };
        part.trim();
        (part, rest)
    }

    /// The whole part: what an array subscript counts.
    pub(crate) fn truncated(&self) -> Decimal {
        self.whole_part().0
    }

    pub(crate) fn ceiling(&self) -> Decimal {
        let (part, rest) = self.whole_part();
        if rest && !self.negative { part.add(&Decimal::of(1)) } else { part }
    }

    pub(crate) fn floor(&self) -> Decimal {
        let (part, rest) = self.whole_part();
        if rest && self.negative { part.subtract(&Decimal::of(1)) } else { part }
    }

    /// The number as an `integer`, if it is one.
    pub(crate) fn to_i32(&self) -> Option<i32> {
        self.truncated().shown().parse().ok()
    }
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let zeros = |d: &[u8]| d.iter().take_while(|d| **d == 0).count();
    let (a, b) = (&a[zeros(a)..], &b[zeros(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn add_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    let (mut a, mut b) = (a.iter().rev(), b.iter().rev());
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() && carry == 0 {
            break;
        }
        let n = x.unwrap_or(&0) + y.unwrap_or(&0) + carry;
        sum.push(n % 10);
        carry = n / 10;
    }
    sum.reverse();
    sum
}

/// `a` is not less than `b`.
fn subtract_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(a.len());
    let mut borrow = 0;
    let mut b = b.iter().rev();
    for x in a.iter().rev() {
        let less = b.next().unwrap_or(&0) + borrow;
        borrow = u8::from(*x < less);
        rest.push(x + borrow * 10 - less);
    }
    rest.reverse();
    rest
}

/// Quotient and rest of whole numbers.
fn divide_digits(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut quotient = Vec::with_capacity(a.len());
    let mut rest: Vec<u8> = Vec::with_capacity(b.len() + 1);
    for digit in a {
        if !rest.is_empty() || *digit != 0 {
            rest.push(*digit);
        }
        let mut times = 0;
        while compare_digits(&rest, b).is_ge() {
            rest = subtract_digits(&rest, b);
            let zeros = rest.iter().take_while(|d| **d == 0).count();
            rest.drain(..zeros);
            times += 1;
        }
        quotient.push(times);
    }
    (quotient, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn computed_as_numeric() {
        assert_eq!(number("1").divide(&number("3")).expect("a quotient").shown(), "0.33333333333333333333");
        assert_eq!(number("10").divide(&number("4")).expect("a quotient").shown(), "2.5000000000000000");
        assert_eq!(number("-7.5").modulo(&number("2")).expect("a rest").shown(), "-1.5");
        assert_eq!(number("1.10").add(&number("-2")).shown(), "-0.90");
        assert_eq!(number("99.9").multiply(&number("-2.0")).expect("a product").shown(), "-199.80");
        assert_eq!(number("-1.5").floor().shown(), "-2");
        assert_eq!(number("-1.5").ceiling().shown(), "-1");
    }
}
