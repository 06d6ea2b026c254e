//! The bytes that a column holds a numeric in: in the order of bytes they have the order of the values, and but for the
//! last two, the display scale, equal values have equal bytes.
//!
//! A byte tells the sign and, where it is small, the exponent to base 100 (three more bytes tell a large one), then come
//! the digits to base 100, each plus one, and a zero; all of these are inverted in a negative number. This form is on
//! disk: it may never change.

use num_bigint::{BigInt, BigUint, Sign};

use crate::integer::{Int, small_power};
use crate::value::{Decimal, Numeric};

const NEGATIVE_INFINITY: u8 = 0x00;
const NEGATIVE_LARGE: u8 = 0x04;
const NEGATIVE_MIDDLE: u8 = 58;
const NEGATIVE_SMALL: u8 = 0x70;
const ZERO: u8 = 0x80;
const POSITIVE_SMALL: u8 = 0x8b;
const POSITIVE_MIDDLE: u8 = 194;
const POSITIVE_LARGE: u8 = 0xf8;
const INFINITY: u8 = 0xfd;
const NAN: u8 = 0xfe;
/// Exponents up to this are part of the first byte.
const EXPONENT_NEAR: i32 = 50;
const EXPONENT_BIAS: i32 = 1 << 23;
/// Bytes of the display scale at the end.
pub const SCALE_BYTES: usize = 2;

/// The bytes without the scale: equal for equal values.
pub fn key(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().saturating_sub(SCALE_BYTES)]
}

/// Appends the bytes of a value.
pub fn encode(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NegativeInfinity => out.extend_from_slice(&[NEGATIVE_INFINITY, 0, 0]),
        Numeric::Infinity => out.extend_from_slice(&[INFINITY, 0, 0]),
        Numeric::NaN => out.extend_from_slice(&[NAN, 0, 0]),
        Numeric::Finite(d) => match &d.int {
            Int::Small(v) => encode_small(*v, d.scale, out),
            Int::Big(v) => encode_big(v, d.scale, out),
        },
    }
}

/// Appends the bytes of `int / 10^scale`.
pub fn encode_small(int: i128, scale: u16, out: &mut Vec<u8>) {
    if int == 0 {
        out.push(ZERO);
        out.extend_from_slice(&scale.to_be_bytes());
        return;
    }
    let mut rest = int.unsigned_abs();
    let mut pairs = [0_u8; 20];
    let mut at = pairs.len();
    let mut low = 0;
    if scale % 2 == 1 {
        // The point must fall between two pairs.
        low = (rest % 10) as u8 * 10;
        rest /= 10;
        at -= 1;
        pairs[at] = low;
    }
    while rest > u128::from(u64::MAX) {
        at -= 1;
        pairs[at] = (rest % 100) as u8;
        rest /= 100;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        at -= 1;
        pairs[at] = (rest % 100) as u8;
        rest /= 100;
    }
    debug_assert!(low < 100);
    let mut at_digit = at;
    while pairs[at_digit] == 0 {
        at_digit += 1;
    }
    let exponent = (pairs.len() - at_digit) as i32 - i32::from(scale.div_ceil(2));
    encode_pairs(int < 0, exponent, &pairs[at_digit..], scale, out);
}

fn encode_big(int: &BigInt, scale: u16, out: &mut Vec<u8>) {
    let magnitude = int.magnitude();
    let pairs = if scale % 2 == 1 { (magnitude * 10_u32).to_radix_be(100) } else { magnitude.to_radix_be(100) };
    let exponent = pairs.len() as i32 - i32::from(scale.div_ceil(2));
    encode_pairs(int.sign() == Sign::Minus, exponent, &pairs, scale, out);
}

fn encode_pairs(negative: bool, exponent: i32, pairs: &[u8], scale: u16, out: &mut Vec<u8>) {
    let end = pairs.iter().rposition(|p| *p != 0).map_or(0, |last| last + 1);
    let flip = if negative { 0xff } else { 0 };
    if exponent.abs() <= EXPONENT_NEAR {
        let near = exponent as i8;
        out.push(if negative {
            NEGATIVE_MIDDLE.wrapping_sub(near as u8)
        } else {
            POSITIVE_MIDDLE.wrapping_add(near as u8)
        });
    } else {
        out.push(match (negative, exponent > 0) {
            (true, true) => NEGATIVE_LARGE,
            (true, false) => NEGATIVE_SMALL,
            (false, false) => POSITIVE_SMALL,
            (false, true) => POSITIVE_LARGE,
        });
        let biased = (exponent + EXPONENT_BIAS).to_be_bytes();
        out.extend(biased[1..].iter().map(|b| b ^ flip));
    }
    out.extend(pairs[..end].iter().map(|p| (p + 1) ^ flip));
    out.push(flip);
    out.extend_from_slice(&scale.to_be_bytes());
}

/// Reads the bytes of a value; bytes that [`encode`] did not make are NaN.
pub fn decode(bytes: &[u8]) -> Numeric {
    let Some((body, scale)) = bytes.split_last_chunk::<SCALE_BYTES>() else { return Numeric::NaN };
    let scale = u16::from_be_bytes(*scale);
    let Some((head, rest)) = body.split_first() else { return Numeric::NaN };
    let large = |rest: &[u8], flip: u8| {
        let word = rest.first_chunk::<3>().copied().unwrap_or_default().map(|b| b ^ flip);
        i32::from_be_bytes([0, word[0], word[1], word[2]]) - EXPONENT_BIAS
    };
    let skip = |rest: &'_ [u8]| rest.get(3..).map_or(0, |_| 3);
    let (negative, exponent, skipped) = match *head {
        NEGATIVE_INFINITY => return Numeric::NegativeInfinity,
        INFINITY => return Numeric::Infinity,
        NAN => return Numeric::NaN,
        ZERO => return Numeric::new(0, scale),
        NEGATIVE_LARGE | NEGATIVE_SMALL => (true, large(rest, 0xff), skip(rest)),
        POSITIVE_LARGE | POSITIVE_SMALL => (false, large(rest, 0), skip(rest)),
        near if near < ZERO => (true, i32::from(NEGATIVE_MIDDLE) - i32::from(near), 0),
        near => (false, i32::from(near) - i32::from(POSITIVE_MIDDLE), 0),
    };
    let pairs = &rest[skipped..];
    let pairs = &pairs[..pairs.len().saturating_sub(1)];
    Numeric::Finite(Decimal { int: decode_int(negative, exponent, pairs, scale), scale })
}

/// The whole number that the scale divides.
fn decode_int(negative: bool, exponent: i32, pairs: &[u8], scale: u16) -> Int {
    let flip = if negative { 0xff } else { 0 };
    let pair = |b: u8| (b ^ flip).saturating_sub(1);
    // So many digits follow the last pair, or, if negative, are too many.
    let missing = i32::from(scale) - 2 * (pairs.len() as i32 - exponent);
    if pairs.len() <= 18 {
        let v = pairs.iter().fold(0_i128, |v, b| v * 100 + i128::from(pair(*b)));
        let v = if negative { -v } else { v };
        let small = match u32::try_from(missing) {
            Ok(up) => small_power(up).and_then(|p| v.checked_mul(p)),
            Err(_) => small_power(missing.unsigned_abs()).map(|p| v / p),
        };
        return match small {
            Some(v) => Int::Small(v),
            None => Int::Small(v).raised(missing.max(0).unsigned_abs()),
        };
    }
    let digits = pairs.iter().map(|b| pair(*b)).collect::<Vec<_>>();
    let magnitude = BigUint::from_radix_be(&digits, 100).unwrap_or_default();
    let v = Int::of(BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude));
    match u32::try_from(missing) {
        Ok(up) => v.raised(up),
        Err(_) => v.lowered(missing.unsigned_abs()).0,
    }
}
