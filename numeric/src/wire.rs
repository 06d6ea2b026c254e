//! PostgreSQL's binary form: a count of groups of four digits, the power of 10000 of the first, a sign, the display scale,
//! and the groups (`numeric_send` in its numeric.c).

use crate::integer::Int;
use crate::value::{Decimal, Numeric};
use crate::{NumericError, Result, SCALE_MAX};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// Appends the binary form.
pub fn write(value: &Numeric, out: &mut Vec<u8>) {
    let special = |sign: u16, out: &mut Vec<u8>| {
        for word in [0, 0, sign, 0] {
            out.extend_from_slice(&u16::to_be_bytes(word));
        }
    };
    match value {
        Numeric::NaN => special(NAN, out),
        Numeric::Infinity => special(INFINITY, out),
        Numeric::NegativeInfinity => special(NEGATIVE_INFINITY, out),
        Numeric::Finite(Decimal { int: Int::Small(v), scale }) => write_scaled(*v, *scale, out),
        Numeric::Finite(d) => write_decimal(d, out),
    }
}

/// Writes `v × 10^-scale` in binary, digit groups straight from the number: what streams of decimals are made of.
pub fn write_scaled(v: i128, scale: u16, out: &mut Vec<u8>) {
    // The groups from the last to the first; 38 digits and a shift are at most eleven.
    let mut groups = [0_u16; 12];
    let mut count = 0;
    let mut rest = v.unsigned_abs();
    let behind = u32::from(scale % 4);
    if behind > 0 {
        let unit = 10_u128.pow(behind);
        groups[0] = ((rest % unit) as u16) * 10_u16.pow(4 - behind);
        rest /= unit;
        count = 1;
    }
    while rest > u128::from(u64::MAX) {
        groups[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    let mut small = rest as u64;
    while small > 0 {
        groups[count] = (small % 10_000) as u16;
        small /= 10_000;
        count += 1;
    }
    while count > 0 && groups[count - 1] == 0 {
        count -= 1;
    }
    let skipped = groups[..count].iter().take_while(|g| **g == 0).count();
    let weight = if count == 0 { 0 } else { count as i16 - scale.div_ceil(4) as i16 - 1 };
    let sign = if v < 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&((count - skipped) as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for group in groups[skipped..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn write_decimal(d: &Decimal, out: &mut Vec<u8>) {
    let mut digits = d.digits();
    let scale = usize::from(d.scale);
    // Groups are aligned to the point.
    let fill = (4 - scale % 4) % 4;
    digits.resize(digits.len() + fill, 0);
    let lead = (4 - digits.len() % 4) % 4;
    let padded = std::iter::repeat_n(0, lead).chain(digits).collect::<Vec<u8>>();
    let groups = padded.chunks(4).map(|c| c.iter().fold(0_u16, |g, d| g * 10 + u16::from(*d))).collect::<Vec<_>>();
    let weight = groups.len() as i32 - scale.div_ceil(4) as i32 - 1;
    let first = groups.iter().position(|g| *g != 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|g| *g != 0).map_or(first, |last| last + 1);
    let groups = &groups[first..last];
    let weight = if groups.is_empty() { 0 } else { weight - first as i32 };
    let sign = if d.sign() < 0 { NEGATIVE } else { 0 };
    for word in [groups.len() as u16, weight as i16 as u16, sign, d.scale] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Reads the binary form.
///
/// # Errors
/// 22P03.
pub fn read(data: &[u8]) -> Result<Numeric> {
    let broken = |what: &str| NumericError::new("22P03", format!("invalid {what} in external \"numeric\" value"));
    let short = || NumericError::new("08P01", "insufficient data left in message");
    let word = |i: usize| data.get(2 * i..2 * i + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or_else(short);
    let (count, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
    match sign {
        NAN => return Ok(Numeric::NaN),
        INFINITY => return Ok(Numeric::Infinity),
        NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
        0 | NEGATIVE => {}
        _ => return Err(broken("sign")),
    }
    if i32::from(scale) > SCALE_MAX {
        return Err(broken("scale"));
    }
    let count = usize::from(count);
    if data.len() > 8 + 2 * count {
        return Err(NumericError::new("22P03", "incorrect binary data format"));
    }
    let mut digits = Vec::with_capacity(4 * count);
    for i in 0..count {
        let group = word(4 + i)?;
        if group > 9999 {
            return Err(broken("digit"));
        }
        digits.extend([group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| d as u8));
    }
    // So many digits stand behind the point; those beyond the scale are cut.
    let behind = 4 * (count as i32 - 1 - i32::from(weight));
    let whole = Decimal::of_digits(sign == NEGATIVE, &digits, 0);
    let scale = i32::from(scale);
    let int = if behind > scale {
        whole.int.lowered((behind - scale).unsigned_abs()).0
    } else {
        whole.int.raised((scale - behind).unsigned_abs())
    };
    Decimal::of(int, scale).checked().map(Numeric::Finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_written_as_long_ones() {
        let mut seed = 7_u128;
        for scale in 0..=76_u16 {
            for n in 0..500_u32 {
                seed = seed.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(99_991);
                let v = ((seed << 3) as i128) >> (n % 127);
                let v = if n % 7 == 0 { v / 10_000 * 10_000 } else { v };
                let (mut short, mut long) = (Vec::new(), Vec::new());
                write_scaled(v, scale, &mut short);
                write_decimal(&Decimal::new(v, scale), &mut long);
                assert_eq!(short, long, "{v} {scale}");
            }
        }
    }
}
