//! Types that users make (<https://www.postgresql.org/docs/15/sql-createtype.html>): enums, domains, composite types.
//!
//! A type here is *whole*, with its name and labels as of one state of the catalog, or *bare*: its OID and what tells how it
//! is held. Bare types are what is stored (in definitions, and in the metadata of columns at rest), because names and labels
//! change and rows do not; apply makes them whole again from the catalog
//! ([`TenantCatalog::whole`](crate::catalog::TenantCatalog::whole)). Two types are equal if they are the same type, bare or
//! not.

use std::sync::Arc;

use arrow::datatypes::Fields;

use super::SqlType;

/// `record`, `record[]`: rows of no named type.
const RECORD: (u32, u32) = (2249, 2287);

/// Added to the OID of a relation, it makes that of the type of its rows, and with the second that of their arrays: the
/// catalog counts from 2^20 and is far from these.
const ROW_TYPE: u32 = 1 << 31;
const ROW_ARRAY: u32 = 1 << 30;

/// What user-defined types have in common.
#[derive(Clone, Debug, Default)]
pub struct TypeName {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typarray`.
    pub array: u32,
    /// Empty in a bare type.
    pub schema: String,
    /// Empty in a bare type.
    pub name: String,
}

impl TypeName {
    /// The relation of whose rows this is the type, and whether it is that of their arrays.
    pub fn relation_of_rows(oid: u32) -> Option<(u32, bool)> {
        (oid & ROW_TYPE != 0).then_some((oid & !(ROW_TYPE | ROW_ARRAY), oid & ROW_ARRAY != 0))
    }

    /// Whether the name is known, and all that goes with it.
    pub fn is_whole(&self) -> bool {
        !self.name.is_empty()
    }
}

impl std::fmt::Display for TypeName {
    /// As messages call it: with its schema unless that is `public`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.is_whole() {
            return write!(f, "type with OID {}", self.oid);
        }
        if self.schema != "public" && !self.schema.starts_with("pg_temp") {
            write_quoted(f, &self.schema)?;
            f.write_str(".")?;
        }
        write_quoted(f, &self.name)
    }
}

/// A name in quotes if it needs them.
fn write_quoted(f: &mut std::fmt::Formatter<'_>, name: &str) -> std::fmt::Result {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let simple = name.chars().all(plain) && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if simple { f.write_str(name) } else { write!(f, "\"{}\"", name.replace('"', "\"\"")) }
}

/// An enum. A value is held as its label's number, and numbers are in the declared order: comparing values compares numbers.
#[derive(Clone, Debug, Default)]
pub struct EnumType {
    pub id: TypeName,
    /// Numbers and labels, by number.
    pub labels: Vec<(i32, String)>,
}

impl EnumType {
    /// The label of a value.
    pub fn label(&self, number: i32) -> Option<&str> {
        let at = self.labels.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(&self.labels[at].1)
    }

    /// The value with a label.
    pub fn number(&self, label: &str) -> Option<i32> {
        self.labels.iter().find(|(_, l)| l == label).map(|(n, _)| *n)
    }
}

/// A domain: another type, with conditions on its values, which are the catalog's.
#[derive(Clone, Debug)]
pub struct DomainType {
    pub id: TypeName,
    pub base: SqlType,
}

/// A composite type: named fields, held as a struct.
#[derive(Clone, Debug, Default)]
pub struct CompositeType {
    pub id: TypeName,
    pub fields: Vec<(String, SqlType)>,
}

macro_rules! same_type {
    ($($name:ident),*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                self.id.oid == other.id.oid
            }
        }

        impl Eq for $name {}

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.id.oid.hash(state);
            }
        }
    )*};
}

same_type!(EnumType, DomainType, CompositeType);

impl TypeName {
    /// The type of a relation's rows (<https://www.postgresql.org/docs/15/rowtypes.html#ROWTYPES-DECLARING>), which is no
    /// entry of the catalog.
    pub fn of_rows(relation: u32, schema: &str, name: &str) -> TypeName {
        let oid = relation | ROW_TYPE;
        TypeName { oid, array: oid | ROW_ARRAY, schema: schema.to_string(), name: name.to_string() }
    }
}

impl SqlType {
    /// A `record` with these fields, and the type of what a struct without more holds.
    pub fn record(fields: &Fields) -> SqlType {
        let (oid, array) = RECORD;
        let id = TypeName { oid, array, schema: "public".to_string(), name: "record".to_string() };
        let fields = fields.iter().map(|f| (f.name().clone(), SqlType::of_field(f))).collect();
        SqlType::Composite(Arc::new(CompositeType { id, fields }))
    }

    /// Whether it is a `record`, of which no column can be.
    pub fn is_record(&self) -> bool {
        match self {
            SqlType::Array(item) => item.is_record(),
            other => other.user().is_some_and(|id| id.oid == RECORD.0),
        }
    }

    /// Whether it is the type of a relation's rows, or an array of it.
    pub fn is_of_rows(&self) -> bool {
        match self {
            SqlType::Array(item) => item.is_of_rows(),
            other => other.user().is_some_and(|id| id.oid & ROW_TYPE != 0),
        }
    }

    /// Name and OIDs of a type that a user has made.
    pub fn user(&self) -> Option<&TypeName> {
        match self {
            SqlType::Enum(e) => Some(&e.id),
            SqlType::Domain(d) => Some(&d.id),
            SqlType::Composite(c) => Some(&c.id),
            _ => None,
        }
    }

    /// The OIDs of the users' types in it: its own, its elements', its fields', its base's.
    pub fn users(&self) -> Vec<u32> {
        let own = self.user().map(|id| id.oid);
        let inner = match self {
            SqlType::Array(item) => item.users(),
            SqlType::Domain(d) => d.base.users(),
            SqlType::Composite(c) => c.fields.iter().flat_map(|(_, t)| t.users()).collect(),
            _ => Vec::new(),
        };
        own.into_iter().chain(inner).collect()
    }

    /// Whether the user's type of this OID is in it.
    pub fn uses(&self, oid: u32) -> bool {
        self.users().contains(&oid)
    }

    /// The type under all domains.
    pub fn base(&self) -> &SqlType {
        match self {
            SqlType::Domain(d) => d.base.base(),
            other => other,
        }
    }

    /// Without what may change while rows stay as they are.
    pub fn bare(&self) -> SqlType {
        let id = |id: &TypeName| TypeName { oid: id.oid, ..TypeName::default() };
        match self {
            SqlType::Enum(e) => SqlType::Enum(Arc::new(EnumType { id: id(&e.id), labels: Vec::new() })),
            SqlType::Domain(d) => SqlType::Domain(Arc::new(DomainType { id: id(&d.id), base: d.base.bare() })),
            SqlType::Composite(c) => SqlType::Composite(Arc::new(CompositeType {
                id: id(&c.id),
                fields: c.fields.iter().map(|(name, ty)| (name.clone(), ty.bare())).collect(),
            })),
            SqlType::Array(item) => SqlType::Array(Box::new(item.bare())),
            other => other.clone(),
        }
    }

    /// The form that [`parse`](SqlType::parse) reads: the name of a built-in type, all that is known of a user's.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        self.write_encoded(&mut text);
        text
    }

    fn write_encoded(&self, out: &mut String) {
        let head = |out: &mut String, kind: &str, id: &TypeName| {
            out.push('{');
            word(out, kind);
            word(out, &id.oid.to_string());
            word(out, &id.array.to_string());
            word(out, &id.schema);
            word(out, &id.name);
        };
        match self {
            SqlType::Enum(e) => {
                head(out, "enum", &e.id);
                for (number, label) in &e.labels {
                    word(out, &number.to_string());
                    word(out, label);
                }
                out.push('}');
            }
            SqlType::Domain(d) => {
                head(out, "domain", &d.id);
                word(out, &d.base.encode());
                out.push('}');
            }
            SqlType::Composite(c) => {
                head(out, "composite", &c.id);
                for (name, ty) in &c.fields {
                    word(out, name);
                    word(out, &ty.encode());
                }
                out.push('}');
            }
            SqlType::Array(item) if item.is_users() => {
                item.write_encoded(out);
                out.push_str("[]");
            }
            other => out.push_str(&other.to_string()),
        }
    }

    fn is_users(&self) -> bool {
        match self {
            SqlType::Array(item) => item.is_users(),
            other => other.user().is_some(),
        }
    }

    /// Reads the encoded form of a type that a user has made.
    pub(super) fn parse_user(text: &str) -> Option<SqlType> {
        let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
        let mut words = Vec::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_once(':')?;
            let length = length.parse::<usize>().ok()?;
            words.push(tail.get(..length)?);
            rest = &tail[length..];
        }
        let [kind, oid, array, schema, name, more @ ..] = words.as_slice() else { return None };
        let id = TypeName {
            oid: oid.parse().ok()?,
            array: array.parse().ok()?,
            schema: (*schema).to_string(),
            name: (*name).to_string(),
        };
        Some(match *kind {
            "enum" => {
                let label = |pair: &[&str]| Some((pair[0].parse().ok()?, pair[1].to_string()));
                let labels = more.as_chunks::<2>().0.iter().map(|p| label(p)).collect::<Option<_>>()?;
                SqlType::Enum(Arc::new(EnumType { id, labels }))
            }
            "domain" => SqlType::Domain(Arc::new(DomainType { id, base: SqlType::parse(more.first()?)? })),
            "composite" => {
                let field = |pair: &[&str]| Some((pair[0].to_string(), SqlType::parse(pair[1])?));
                let fields = more.as_chunks::<2>().0.iter().map(|p| field(p)).collect::<Option<_>>()?;
                SqlType::Composite(Arc::new(CompositeType { id, fields }))
            }
            _ => return None,
        })
    }
}

/// A text with its length before it, so that it may hold anything.
fn word(out: &mut String, text: &str) {
    out.push_str(&text.len().to_string());
    out.push(':');
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mood(labels: &[(i32, &str)]) -> SqlType {
        let id = TypeName { oid: 1_048_577, array: 1_048_578, schema: "s".to_string(), name: "my mood".to_string() };
        let labels = labels.iter().map(|(n, l)| (*n, l.to_string())).collect();
        SqlType::Enum(Arc::new(EnumType { id, labels }))
    }

    #[test]
    fn what_is_encoded_is_read_again() {
        let mood = mood(&[(-5, "sad}[]"), (7, "4:ok"), (9, "")]);
        let composite = SqlType::Composite(Arc::new(CompositeType {
            id: TypeName { oid: 5, ..TypeName::default() },
            fields: vec![
                ("a".to_string(), SqlType::Integer),
                ("b".to_string(), SqlType::Array(Box::new(mood.clone()))),
            ],
        }));
        let domain = SqlType::Domain(Arc::new(DomainType { id: TypeName::default(), base: composite.clone() }));
        for ty in [mood.clone(), SqlType::Array(Box::new(mood.clone())), composite, domain, mood.bare()] {
            let read = SqlType::parse(&ty.encode()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{ty:?}"));
        }
        assert_eq!(mood.to_string(), "s.\"my mood\"");
        assert_eq!(mood.bare(), mood);
    }
}
