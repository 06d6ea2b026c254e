//! The order of `jsonb` values, and which contains which
//! (<https://www.postgresql.org/docs/15/datatype-json.html#JSON-INDEXING>): Object > Array > Boolean > Number > String >
//! Null; more members or items before fewer.

use std::cmp::Ordering;

use super::number;
use super::value::Value;

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Text(_) => 1,
            Value::Number(_) => 2,
            Value::Bool(_) => 3,
            Value::List(_) => 4,
            Value::Object(_) => 5,
        }
    }

    /// The order of a btree. An empty list at the top goes before all else, as it always has.
    pub(crate) fn compare(&self, other: &Value) -> Ordering {
        let empty = |v: &Value| matches!(v, Value::List(items) if items.is_empty());
        match (empty(self), empty(other)) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare_inner(other),
        }
    }

    fn compare_inner(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Number(a), Value::Number(b)) => number::compare(a, b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.iter().zip(b).map(|(a, b)| a.compare_inner(b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }),
            (Value::Object(a), Value::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let member = |((ka, a), (kb, b)): (&(String, Value), &(String, Value))| {
                    ka.as_bytes().cmp(kb.as_bytes()).then_with(|| a.compare_inner(b))
                };
                a.iter().zip(b).map(member).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Whether they are the same value: 1 is 1.0.
    pub(crate) fn same(&self, other: &Value) -> bool {
        self.compare_inner(other).is_eq()
    }

    /// `@>`: a list may contain a scalar, at the top only.
    pub(crate) fn contains(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::List(items), scalar) if scalar.is_scalar() => items.iter().any(|i| i.same(scalar)),
            _ => self.contains_inner(other),
        }
    }

    fn contains_inner(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Object(_), Value::Object(members)) => members.iter().all(|(key, wanted)| {
                self.member(key).is_some_and(|found| match wanted {
                    Value::List(_) | Value::Object(_) => found.contains_inner(wanted),
                    scalar => found.same(scalar),
                })
            }),
            (Value::List(items), Value::List(wanted)) => wanted.iter().all(|wanted| match wanted {
                Value::List(_) | Value::Object(_) => items.iter().any(|i| i.contains_inner(wanted)),
                scalar => items.iter().any(|i| i.same(scalar)),
            }),
            (a, b) => a.is_scalar() && a.same(b),
        }
    }

    /// `?`: a key of an object, a string of a list, or the string itself.
    pub(crate) fn has(&self, key: &str) -> bool {
        match self {
            Value::Object(_) => self.member(key).is_some(),
            Value::List(items) => items.iter().any(|i| matches!(i, Value::Text(t) if t == key)),
            Value::Text(text) => text == key,
            _ => false,
        }
    }

    /// Appends bytes whose order is the value's: what sorts sort by.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        if matches!(self, Value::List(items) if items.is_empty()) {
            return out.push(0);
        }
        self.write_key_inner(out);
    }

    fn write_key_inner(&self, out: &mut Vec<u8>) {
        out.push(self.rank() + 1);
        match self {
            Value::Null => {}
            Value::Text(text) => write_bytes(text.as_bytes(), out),
            Value::Number(n) => {
                if let Ok(n) = number::Decimal::parse(n) {
                    n.write_key(out);
                }
            }
            Value::Bool(b) => out.push(u8::from(*b)),
            Value::List(items) => {
                out.extend_from_slice(&(items.len() as u64).to_be_bytes());
                items.iter().for_each(|i| i.write_key_inner(out));
            }
            Value::Object(members) => {
                out.extend_from_slice(&(members.len() as u64).to_be_bytes());
                for (key, value) in members {
                    write_bytes(key.as_bytes(), out);
                    value.write_key_inner(out);
                }
            }
        }
    }
}

/// Bytes that end, so that a beginning goes before the whole.
fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for b in bytes {
        out.push(*b);
        if *b == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From PostgreSQL 15: `SELECT j FROM t ORDER BY j`.
    #[test]
    fn ordered_as_jsonb() {
        let texts = [
            "[]",
            "null",
            "\"\"",
            "\"a\"",
            "\"aa\"",
            "\"b\"",
            "-10",
            "-9.5",
            "-0.01",
            "0",
            "0.01",
            "0.1",
            "2",
            "10",
            "false",
            "true",
            "[1]",
            "[2]",
            "[1, 1]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
            "{\"b\": 0}",
            "{\"a\": 1, \"b\": 1}",
        ];
        let values = texts.map(|t| Value::parse(t).expect(t));
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                let (mut ka, mut kb) = (vec![], vec![]);
                a.write_key(&mut ka);
                b.write_key(&mut kb);
                assert_eq!(a.compare(b), i.cmp(&j), "{} {}", texts[i], texts[j]);
                assert_eq!(ka.cmp(&kb), i.cmp(&j), "{} {}", texts[i], texts[j]);
            }
        }
    }
}
