//! Numbers of `jsonb`: decimal digits of any length, by the rules of `numeric`
//! (<https://www.postgresql.org/docs/15/datatype-numeric.html>).

use std::borrow::Cow;
use std::cmp::Ordering;

use super::lexer::Result;
use crate::error::FunctionError;

/// The most digits before and after the point.
pub(super) const WHOLE_MAX: usize = 131_072;
pub(super) const SCALE_MAX: usize = 16_383;

/// A number: `0.digits` times ten to the number of whole digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(super) negative: bool,
    /// Most significant first; without zeros in front of the point.
    pub(super) digits: Vec<u8>,
    /// How many of the digits stand behind the point.
    pub(super) scale: usize,
}

pub(super) fn overflow() -> Box<FunctionError> {
    Box::new(FunctionError::new("22003", "value overflows numeric format"))
}

/// The number as `numeric` shows it.
///
/// # Errors
/// 22003 beyond the digits that `numeric` has.
pub(crate) fn canonical(word: &str) -> Result<Cow<'_, str>> {
    let plain = word.len() < SCALE_MAX && !word.starts_with("-0") && !word.contains(['e', 'E']);
    if plain { Ok(Cow::Borrowed(word)) } else { Decimal::parse(word).map(|d| Cow::Owned(d.shown())) }
}

/// Compares two numbers that [`canonical`] made.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        _ => a.cmp(b),
    }
}

impl Decimal {
    /// Reads a number as JSON writes it.
    ///
    /// # Errors
    /// 22003 beyond the digits that `numeric` has.
    pub(crate) fn parse(word: &str) -> Result<Decimal> {
        let (negative, rest) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            None => (rest, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| overflow())?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = whole.bytes().chain(fraction.bytes()).map(|b| b.wrapping_sub(b'0')).collect::<Vec<u8>>();
        let behind = i64::try_from(fraction.len()).map_err(|_| overflow())?.saturating_sub(exponent);
        if behind < 0 {
            let zeros = usize::try_from(-behind).map_err(|_| overflow())?;
            let zero = digits.iter().all(|d| *d == 0);
            if !zero && zeros > WHOLE_MAX {
                return Err(overflow());
            }
            digits.extend(std::iter::repeat_n(0, if zero { 0 } else { zeros }));
        }
        let scale = usize::try_from(behind.max(0)).map_err(|_| overflow())?;
        let mut number = Decimal { negative, digits, scale };
        number.trim();
        if scale > SCALE_MAX || number.whole() > WHOLE_MAX {
            return Err(overflow());
        }
        Ok(number)
    }

    /// Takes zeros off the front.
    pub(super) fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|d| **d == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self.negative = false;
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many digits stand before the point, less the zeros right behind it.
    pub(super) fn weight(&self) -> i64 {
        self.digits.len() as i64 - self.scale as i64
    }

    pub(super) fn whole(&self) -> usize {
        self.digits.len().saturating_sub(self.scale)
    }

    /// As `numeric` shows it.
    pub(crate) fn shown(&self) -> String {
        let mut out = String::with_capacity(self.digits.len() + 3);
        if self.negative {
            out.push('-');
        }
        let whole = self.whole();
        if whole == 0 {
            out.push('0');
        }
        out.extend(self.digits[..whole].iter().map(|d| char::from(b'0' + d)));
        if self.scale > 0 {
            out.push('.');
            let digits = &self.digits[whole..];
            out.extend(std::iter::repeat_n('0', self.scale - digits.len()));
            out.extend(digits.iter().map(|d| char::from(b'0' + d)));
        }
        out
    }

    pub(crate) fn compare(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }

    fn compare_magnitude(&self, other: &Decimal) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        self.weight().cmp(&other.weight()).then_with(|| {
            let length = self.digits.len().max(other.digits.len());
            let digit = |n: &Decimal, i: usize| n.digits.get(i).copied().unwrap_or(0);
            (0..length).map(|i| digit(self, i).cmp(&digit(other, i))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        })
    }

    /// Appends bytes whose order is the number's, and which no other number's begin with.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        let sign = if self.is_zero() { 1 } else { 2 * u8::from(!self.negative) };
        out.push(sign);
        if self.is_zero() {
            return;
        }
        let flip = |b: u8| if self.negative { !b } else { b };
        out.extend((self.weight() + (1 << 32)).to_be_bytes().map(flip));
        let zeros = self.digits.iter().rev().take_while(|d| **d == 0).count();
        out.extend(self.digits[..self.digits.len() - zeros].iter().map(|d| flip(d + 1)));
        out.push(flip(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_numeric() {
        for (text, shown) in [
            ("1e2", "100"),
            ("1.10", "1.10"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("1.5e-3", "0.0015"),
            ("12e-1", "1.2"),
            ("0e5", "0"),
            ("1.25e1", "12.5"),
        ] {
            assert_eq!(canonical(text).expect(text), shown);
        }
        assert_eq!(canonical("1e131072").expect_err("too long").code, "22003");
    }

    #[test]
    fn compared_by_value() {
        assert_eq!(compare("1.0", "1"), Ordering::Equal);
        assert_eq!(compare("0.01", "0.1"), Ordering::Less);
        assert_eq!(compare("-10", "-9"), Ordering::Less);
    }
}
