//! Access methods and operator classes, as far as definitions are held against them
//! (<https://www.postgresql.org/docs/15/indexes-types.html>, <https://www.postgresql.org/docs/15/indexes-opclass.html>).

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::plain;

/// What an access method can.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) unique: bool,
    pub(super) include: bool,
    pub(super) several: bool,
    /// ASC, DESC, NULLS FIRST and NULLS LAST.
    pub(super) order: bool,
}

const METHODS: [Method; 6] = [
    Method { name: "btree", unique: true, include: true, several: true, order: true },
    Method { name: "hash", unique: false, include: false, several: false, order: false },
    Method { name: "gist", unique: false, include: true, several: true, order: false },
    Method { name: "gin", unique: false, include: false, several: true, order: false },
    Method { name: "spgist", unique: false, include: true, several: false, order: false },
    Method { name: "brin", unique: false, include: false, several: true, order: false },
];

/// The access method of this name.
///
/// # Errors
/// 42704.
pub(super) fn find(name: &str) -> Result<&'static Method> {
    METHODS
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("access method \"{name}\" does not exist")))
}

/// Which values a class is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bpchar,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Jsonb,
    Array,
    Enum,
    Record,
    Name,
    /// Without classes, as json.
    None,
}

fn kind(ty: &SqlType) -> For {
    match plain(ty) {
        SqlType::Boolean => For::Bool,
        SqlType::SmallInt => For::Int2,
        SqlType::Integer => For::Int4,
        SqlType::BigInt => For::Int8,
        SqlType::Real => For::Float4,
        SqlType::Double => For::Float8,
        SqlType::Numeric(_) => For::Numeric,
        SqlType::Text | SqlType::Varchar(_) => For::Text,
        SqlType::Char(_) => For::Bpchar,
        SqlType::Bytea => For::Bytea,
        SqlType::Date => For::Date,
        SqlType::Time => For::Time,
        SqlType::Timestamp => For::Timestamp,
        SqlType::TimestampTz => For::TimestampTz,
        SqlType::Interval => For::Interval,
        SqlType::Uuid => For::Uuid,
        SqlType::Jsonb => For::Jsonb,
        SqlType::Array(_) => For::Array,
        SqlType::Enum(_) => For::Enum,
        SqlType::Composite(_) => For::Record,
        SqlType::Name => For::Name,
        _ => For::None,
    }
}

/// The default class of a type is named for it: `int4_ops`.
const CLASSES: [(&str, For); 23] = [
    ("name_ops", For::Name),
    ("bool_ops", For::Bool),
    ("int2_ops", For::Int2),
    ("int4_ops", For::Int4),
    ("int8_ops", For::Int8),
    ("float4_ops", For::Float4),
    ("float8_ops", For::Float8),
    ("numeric_ops", For::Numeric),
    ("text_ops", For::Text),
    ("varchar_ops", For::Text),
    ("bpchar_ops", For::Bpchar),
    ("bytea_ops", For::Bytea),
    ("date_ops", For::Date),
    ("time_ops", For::Time),
    ("timestamp_ops", For::Timestamp),
    ("timestamptz_ops", For::TimestampTz),
    ("interval_ops", For::Interval),
    ("uuid_ops", For::Uuid),
    ("jsonb_ops", For::Jsonb),
    ("array_ops", For::Array),
    ("enum_ops", For::Enum),
    ("record_ops", For::Record),
    ("record_image_ops", For::Record),
];

/// Classes that are no type's default.
const OTHERS: [(&str, &str, For); 10] = [
    ("btree", "text_pattern_ops", For::Text),
    ("btree", "varchar_pattern_ops", For::Text),
    ("btree", "bpchar_pattern_ops", For::Bpchar),
    ("hash", "text_pattern_ops", For::Text),
    ("hash", "varchar_pattern_ops", For::Text),
    ("hash", "bpchar_pattern_ops", For::Bpchar),
    ("gin", "jsonb_path_ops", For::Jsonb),
    ("brin", "int4_bloom_ops", For::Int4),
    ("brin", "int8_bloom_ops", For::Int8),
    ("brin", "text_bloom_ops", For::Text),
];

/// Whether the method has a default class for the type.
fn has_default(method: &str, kind: For) -> bool {
    match method {
        "btree" | "hash" => kind != For::None,
        "gin" => matches!(kind, For::Array | For::Jsonb),
        "brin" => !matches!(kind, For::None | For::Bool | For::Jsonb | For::Array | For::Enum | For::Record),
        "spgist" => kind == For::Text,
        _ => false,
    }
}

/// Refuses a type that the method has no operator class for, or for which the given one is not.
///
/// # Errors
/// 42704, 42804.
pub(in crate::statement) fn check_type(method: &str, ty: &SqlType, class: Option<&str>) -> Result<()> {
    let kind = kind(ty);
    let Some(class) = class else {
        if has_default(method, kind) {
            return Ok(());
        }
        let text = format!("data type {} has no default operator class for access method \"{method}\"", shown(ty));
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, text).hint(
            "You must specify an operator class for the index or define a default operator class for the data type.",
        ));
    };
    let bare = class.strip_prefix("pg_catalog.").unwrap_or(class);
    let of = CLASSES.iter().find(|(name, of)| *name == bare && has_default(method, *of)).map(|(_, of)| *of);
    let of = of.or_else(|| OTHERS.iter().find(|(m, name, _)| *m == method && *name == bare).map(|(_, _, of)| *of));
    match of {
        None => {
            let text = format!("operator class \"{class}\" does not exist for access method \"{method}\"");
            Err(Error::new(SqlState::UNDEFINED_OBJECT, text))
        }
        Some(of) if of == kind => Ok(()),
        Some(_) => {
            let text = format!("operator class \"{class}\" does not accept data type {}", shown(ty));
            Err(Error::new(SqlState::DATATYPE_MISMATCH, text))
        }
    }
}

/// Whether the class is what the type has without one being said.
pub(crate) fn is_default(class: &str, ty: &SqlType) -> bool {
    let kind = kind(ty);
    CLASSES.iter().any(|(name, of)| *name == class && *of == kind && *name != "record_image_ops")
}

/// A type without its modifier.
fn shown(ty: &SqlType) -> String {
    match ty {
        SqlType::Varchar(_) => "character varying".to_string(),
        SqlType::Char(_) => "character".to_string(),
        SqlType::Numeric(_) => "numeric".to_string(),
        SqlType::Precise(precise) => precise.plain().to_string(),
        other => other.to_string(),
    }
}
