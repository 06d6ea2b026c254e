//! Order, text, wire form and arithmetic, with answers of PostgreSQL 15.

use crate::{Numeric, bytes, wire};

fn n(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

fn all() -> Vec<Numeric> {
    let mut texts = vec!["-Infinity".to_string()];
    for magnitude in [
        "1e3000",
        "1e120",
        "1e101",
        "1e40",
        "123456.789",
        "100.00",
        "99.5",
        "10",
        "9.99",
        "1.5",
        "1",
        "0.99",
        "0.1",
        "0.01",
        "0.001",
        "1e-100",
        "1e-101",
        "1e-102",
        "1e-4000",
    ] {
        texts.push(format!("-{magnitude}"));
    }
    texts.push("0".into());
    let positive = texts[1..texts.len() - 1].iter().rev().map(|t| t[1..].to_string()).collect::<Vec<_>>();
    texts.extend(positive);
    texts.push("Infinity".into());
    texts.push("NaN".into());
    texts.iter().map(|t| n(t)).collect()
}

fn encoded(v: &Numeric) -> Vec<u8> {
    let mut out = Vec::new();
    bytes::encode(v, &mut out);
    out
}

#[test]
fn bytes_have_the_order_of_the_values() {
    let all = all();
    for (i, a) in all.iter().enumerate() {
        assert_eq!(bytes::decode(&encoded(a)).to_string(), a.to_string());
        for (j, b) in all.iter().enumerate() {
            assert_eq!(encoded(a).cmp(&encoded(b)), i.cmp(&j), "{a} {b}");
            assert_eq!(a.compare(b), i.cmp(&j), "{a} {b}");
        }
    }
    assert_eq!(bytes::key(&encoded(&n("1.00"))), bytes::key(&encoded(&n("1"))));
    assert_eq!(bytes::key(&encoded(&n("-10.10"))), bytes::key(&encoded(&n("-10.1"))));
}

#[test]
fn what_is_written_is_read() {
    let mut seed = 7_u64;
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let int = i128::from(seed as i64) * i128::from((seed >> 20) as i32 >> (seed % 30));
        let v = Numeric::new(int, (seed >> 33) as u16 & 31);
        let big = n(&format!("{v}{}", if v.to_string().contains('.') { "123456789012345678901234567890" } else { "" }));
        for v in [v, big] {
            assert_eq!(n(&v.to_string()).to_string(), v.to_string());
            assert_eq!(bytes::decode(&encoded(&v)).to_string(), v.to_string());
            let mut sent = Vec::new();
            wire::write(&v, &mut sent);
            assert_eq!(wire::read(&sent).unwrap().to_string(), v.to_string());
        }
    }
}

/// `select encode(numeric_send(v), 'hex')`
#[test]
fn binary_of_postgresql() {
    for (text, hex) in [
        ("0", "0000000000000000"),
        ("1", "00010000000000000001"),
        ("-12345.6789", "0003000140000004000109291a85"),
        ("0.0001", "0001ffff000000040001"),
        ("0.5", "0001ffff000000011388"),
        ("100000000", "00010002000000000001"),
        ("NaN", "00000000c0000000"),
    ] {
        let mut sent = Vec::new();
        wire::write(&n(text), &mut sent);
        assert_eq!(sent.iter().map(|b| format!("{b:02x}")).collect::<String>(), hex, "{text}");
    }
}

/// Answers of PostgreSQL 15.
#[test]
fn computed() {
    let check = |v: crate::Result<Numeric>, expected: &str| assert_eq!(v.unwrap().to_string(), expected);
    check(n("1").divide(&n("3")), "0.33333333333333333333");
    check(n("10").divide(&n("4")), "2.5000000000000000");
    check(n("1").divide(&n("7000000")), "0.000000142857142857142857");
    check(n("-7.5").modulo(&n("2")), "-1.5");
    check(n("-7.5").quotient(&n("2")), "-3");
    check(n("2").sqrt(), "1.414213562373095");
    check(n("0").sqrt(), "0.000000000000000");
    check(n("1").exp(), "2.7182818284590452");
    check(n("2").ln(), "0.6931471805599453");
    check(n("100").log(&n("10")), "2.0000000000000000");
    check(n("2").power(&n("3")), "8.0000000000000000");
    check(n("2").power(&n("0.5")), "1.4142135623730950");
    check(n("2.5").round(0), "3");
    check(n("-2.5").round(0), "-3");
    check(n("1234.5").round(-2), "1200");
    check(n("1.5").round(3), "1.500");
    check(Ok(n("-1.5").ceil()), "-1");
    check(Ok(n("-1.5").floor()), "-2");
    check(n("999.995").fit(6, 2), "1000.00");
    assert_eq!(n("999.995").fit(5, 2).unwrap_err().message, "numeric field overflow");
    assert_eq!(Numeric::of_f64(0.1).to_string(), "0.1");
    assert_eq!(Numeric::of_f64(1e20).to_string(), "100000000000000000000");
}
