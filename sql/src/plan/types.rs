//! Types as written in SQL, to [`SqlType`] and to DataFusion's fields.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, TimezoneInfo};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::{IntervalFields, Precise, RegKind, SqlType};

/// The longest `varchar(n)` and `char(n)`, as in PostgreSQL.
const LENGTH_MAX: u64 = 10_485_760;

/// A type as written, with its modifiers.
///
/// # Errors
/// 42704 for an unknown one, 22023 for a modifier out of range, 0A000 for a type we do not have.
pub fn sql_type(ty: &ast::DataType) -> Result<SqlType> {
    use ast::DataType as T;
    Ok(match ty {
        T::Boolean | T::Bool => SqlType::Boolean,
        T::SmallInt(_) | T::Int2(_) => SqlType::SmallInt,
        T::Int(_) | T::Int4(_) | T::Integer(_) => SqlType::Integer,
        T::BigInt(_) | T::Int8(_) => SqlType::BigInt,
        T::Real | T::Float4 => SqlType::Real,
        T::Float(info) => float(info)?,
        T::DoublePrecision | T::Float8 => SqlType::Double,
        T::Numeric(info) | T::Decimal(info) | T::Dec(info) => numeric(info)?,
        T::Text => SqlType::Text,
        T::Varchar(n) | T::CharacterVarying(n) | T::CharVarying(n) => SqlType::Varchar(length("varchar", n)?),
        T::Char(n) | T::Character(n) => SqlType::Char(length("char", n)?.unwrap_or(1)),
        T::Bytea => SqlType::Bytea,
        T::Date => SqlType::Date,
        T::Time(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => precise(SqlType::Time, *p, Precise::Time),
        T::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            precise(SqlType::Timestamp, *p, Precise::Timestamp)
        }
        T::Timestamp(p, _) => precise(SqlType::TimestampTz, *p, Precise::TimestampTz),
        T::Interval { fields, precision } => interval(fields.as_ref(), *precision),
        T::Uuid => SqlType::Uuid,
        T::JSON => SqlType::Json,
        T::JSONB => SqlType::Jsonb,
        T::Regclass => SqlType::Reg(RegKind::Class),
        // An array literal of several dimensions: see `rewrite/arrays.rs`.
        T::Array(ArrayElemTypeDef::AngleBracket(item)) => SqlType::Array(Box::new(sql_type(item)?)),
        T::Array(ArrayElemTypeDef::SquareBracket(item, _)) | T::Array(ArrayElemTypeDef::Parenthesis(item)) => {
            match sql_type(item)? {
                nested @ SqlType::Array(_) => nested,
                item => SqlType::Array(Box::new(item)),
            }
        }
        T::Custom(name, modifiers) => custom(name, modifiers)?,
        other => return Err(unknown(&other.to_string().to_lowercase())),
    })
}

/// A type of seconds with their digits, if written. More than six are taken as six, as PostgreSQL says in a warning.
fn precise(plain: SqlType, digits: Option<u64>, make: fn(u8) -> Precise) -> SqlType {
    digits.map_or(plain, |p| SqlType::Precise(make(p.min(6) as u8)))
}

fn interval(fields: Option<&ast::IntervalFields>, digits: Option<u64>) -> SqlType {
    use ast::IntervalFields as F;
    let fields = match fields {
        None => IntervalFields::All,
        Some(F::Year) => IntervalFields::Year,
        Some(F::Month) => IntervalFields::Month,
        Some(F::Day) => IntervalFields::Day,
        Some(F::Hour) => IntervalFields::Hour,
        Some(F::Minute) => IntervalFields::Minute,
        Some(F::Second) => IntervalFields::Second,
        Some(F::YearToMonth) => IntervalFields::YearToMonth,
        Some(F::DayToHour) => IntervalFields::DayToHour,
        Some(F::DayToMinute) => IntervalFields::DayToMinute,
        Some(F::DayToSecond) => IntervalFields::DayToSecond,
        Some(F::HourToMinute) => IntervalFields::HourToMinute,
        Some(F::HourToSecond) => IntervalFields::HourToSecond,
        Some(F::MinuteToSecond) => IntervalFields::MinuteToSecond,
    };
    match digits {
        None if fields == IntervalFields::All => SqlType::Interval,
        digits => SqlType::Precise(Precise::Interval(fields, digits.map(|p| p.min(6) as u8))),
    }
}

fn unknown(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn float(info: &ExactNumberInfo) -> Result<SqlType> {
    match info {
        ExactNumberInfo::None => Ok(SqlType::Double),
        ExactNumberInfo::Precision(0) => {
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "precision for type float must be at least 1 bit"))
        }
        ExactNumberInfo::Precision(p) if *p <= 24 => Ok(SqlType::Real),
        ExactNumberInfo::Precision(p) if *p <= 53 => Ok(SqlType::Double),
        _ => Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "precision for type float must be less than 54 bits")),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<SqlType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(SqlType::Numeric(None)),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    if precision == 0 || precision > 1000 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {precision} must be between 1 and 1000"),
        ));
    }
    let modifier = u16::try_from(precision).ok().zip(i16::try_from(scale).ok().filter(|s| (-1000..=1000).contains(s)));
    let Some(modifier) = modifier else {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC scale {scale} must be between -1000 and 1000"),
        ));
    };
    Ok(SqlType::Numeric(Some(modifier)))
}

fn length(type_name: &str, n: &Option<CharacterLength>) -> Result<Option<u32>> {
    let n = match n {
        None | Some(CharacterLength::Max) => return Ok(None),
        Some(CharacterLength::IntegerLength { length, .. }) => *length,
    };
    if n == 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {type_name} must be at least 1"),
        ));
    }
    if n > LENGTH_MAX {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {type_name} cannot exceed {LENGTH_MAX}"),
        ));
    }
    Ok(Some(u32::try_from(n).expect("at most LENGTH_MAX")))
}

/// The digits in `pg_catalog.timestamp(3)`.
fn written_digits(modifiers: &[String]) -> Option<u64> {
    modifiers.first().and_then(|m| m.trim().parse().ok())
}

/// The length in `bpchar(3)`, whose modifiers the parser keeps as text.
fn written_length(modifiers: &[String]) -> Option<CharacterLength> {
    let length = modifiers.first()?.parse().ok()?;
    Some(CharacterLength::IntegerLength { length, unit: None })
}

/// Precision and scale in `pg_catalog.numeric(10, 2)`.
fn written_precision(modifiers: &[String]) -> ExactNumberInfo {
    let number = |n: usize| modifiers.get(n).and_then(|m| m.trim().parse::<i64>().ok());
    match (number(0).and_then(|p| u64::try_from(p).ok()), number(1)) {
        (Some(precision), Some(scale)) => ExactNumberInfo::PrecisionAndScale(precision, scale),
        (Some(precision), None) => ExactNumberInfo::Precision(precision),
        (None, _) => ExactNumberInfo::None,
    }
}

/// Types that the parser knows by name only.
fn custom(name: &ast::ObjectName, modifiers: &[String]) -> Result<SqlType> {
    if let Some(ty) = super::user_types::heard(name) {
        return Ok(ty);
    }
    let mut parts = super::names::parts(name)?;
    if parts.len() > 1 && parts[0] == "pg_catalog" {
        parts.remove(0);
    }
    let quoted = name.0.last().and_then(|p| p.as_ident()).is_some_and(|i| i.quote_style.is_some());
    let [name] = parts.as_slice() else { return Err(unknown(&parts.join("."))) };
    Ok(match name.as_str() {
        "char" if quoted => SqlType::InternalChar,
        "bool" => SqlType::Boolean,
        "int2" => SqlType::SmallInt,
        "int4" | "integer" | "int" => SqlType::Integer,
        "int8" | "bigint" => SqlType::BigInt,
        "float4" => SqlType::Real,
        "float8" => SqlType::Double,
        "numeric" | "decimal" => numeric(&written_precision(modifiers))?,
        "text" => SqlType::Text,
        "varchar" => SqlType::Varchar(length("varchar", &written_length(modifiers))?),
        // Without a length it is a text of any length; `char` alone is one character.
        "bpchar" => length("char", &written_length(modifiers))?.map_or(SqlType::Text, SqlType::Char),
        "timestamptz" => precise(SqlType::TimestampTz, written_digits(modifiers), Precise::TimestampTz),
        "timestamp" => precise(SqlType::Timestamp, written_digits(modifiers), Precise::Timestamp),
        "date" => SqlType::Date,
        "time" => precise(SqlType::Time, written_digits(modifiers), Precise::Time),
        "interval" => interval(None, written_digits(modifiers)),
        "bytea" => SqlType::Bytea,
        "uuid" => SqlType::Uuid,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "oid" | "xid" | "cid" => SqlType::Oid,
        "name" => SqlType::Name,
        "regclass" => SqlType::Reg(RegKind::Class),
        "regtype" => SqlType::Reg(RegKind::Type),
        "regproc" | "regprocedure" => SqlType::Reg(RegKind::Proc),
        "regnamespace" => SqlType::Reg(RegKind::Namespace),
        "regrole" => SqlType::Reg(RegKind::Role),
        other => match other.strip_prefix('_') {
            // `pg_type.typname` of an array.
            Some(item) if !item.starts_with('_') => {
                let name = ast::ObjectName(vec![ast::ObjectNamePart::Identifier(ast::Ident::new(item))]);
                return custom(&name, &[]).map(|item| SqlType::Array(Box::new(item))).map_err(|_| unknown(other));
            }
            _ => return Err(unknown(other)),
        },
    })
}

/// Gives DataFusion's planner our types, each field carrying the SQL type.
#[derive(Debug)]
pub(super) struct PgTypePlanner;

impl TypePlanner for PgTypePlanner {
    fn plan_type_field(&self, ty: &ast::DataType) -> datafusion::common::Result<Option<FieldRef>> {
        match sql_type(ty) {
            // A cast to a nameless field without metadata would keep that of what is cast: `regclass::oid`.
            Ok(t @ SqlType::Oid) => Ok(Some(Arc::new(t.field("oid", true)))),
            // A cast to a nameless field without metadata would keep that of what is cast: `json::text` would be `json`.
            Ok(t @ SqlType::Text) => Ok(Some(Arc::new(t.field("text", true)))),
            Ok(t) => Ok(Some(Arc::new(t.field("", true)))),
            Err(e) => Err(crate::error::to_datafusion(e)),
        }
    }
}
