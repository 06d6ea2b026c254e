//! SQL types and how each is held in Arrow, for ever (`storage-and-cluster.md` §0.10, now `ARCHITECTURE.md`).
//!
//! A field of a table carries its PostgreSQL type in its metadata under [`PG_TYPE`], because several SQL types share an
//! Arrow type (`text`, `varchar(n)` and `json` are all strings). The metadata tells all of a type that a user has made, its
//! labels too, so that whoever has a field needs no catalog. What has no such metadata, the result of an
//! expression, is read back by [`SqlType::from_arrow`].

mod precise;
mod user;

use std::sync::Arc;

pub use self::precise::{IntervalFields, Precise};
pub use self::user::{CompositeType, DomainType, EnumType, TypeName};

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};

/// The key of the field metadata that holds a [`SqlType`]'s form by [`SqlType::encode`].
pub const PG_TYPE: &str = "pg.type";
/// How `numeric` without precision was held at first: decimal(38,10), printed without trailing zeros. Old parts and hot
/// rows have it still.
pub const NUMERIC_ONCE: DataType = DataType::Decimal128(38, 10);
/// The most digits of a `numeric(p,s)` that is held as an Arrow decimal; with more it is held as bytes.
pub const DECIMAL_PRECISION_MAX: u8 = 76;

/// A type as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    Double,
    /// Precision and scale, or none as typed.
    Numeric(Option<(u16, i16)>),
    Text,
    /// The most characters, if limited.
    Varchar(Option<u32>),
    /// Exactly so many characters, blank padded.
    Char(u32),
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    /// One of the last four with a modifier.
    Precise(Precise),
    Uuid,
    Json,
    Jsonb,
    Array(Box<SqlType>),
    Enum(Arc<EnumType>),
    /// Of definitions and casts only: the values of a domain are those of its base everywhere else.
    Domain(Arc<DomainType>),
    Composite(Arc<CompositeType>),
    /// `oid` and its `reg*` kin; of the system catalog, not for users' columns.
    Oid,
    /// An `oid` shown as the name of a relation, type …: the PostgreSQL type name, e.g. `regclass`.
    Reg(RegKind),
    /// `name`, of the system catalog.
    Name,
    /// `"char"`, of the system catalog.
    InternalChar,
    /// The type of a bare NULL or an untyped literal.
    Unknown,
    /// What a function that returns nothing returns.
    Void,
}

/// Which `reg*` type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegKind {
    Class,
    Type,
    Proc,
    Namespace,
    Role,
}

/// Precision and scale of a `numeric(p,s)` that an Arrow decimal holds.
fn decimal((precision, scale): (u16, i16)) -> Option<(u8, i8)> {
    let precision = u8::try_from(precision).ok().filter(|p| *p <= DECIMAL_PRECISION_MAX)?;
    let scale = i8::try_from(scale).ok().filter(|s| *s >= 0 && s.unsigned_abs() <= precision)?;
    Some((precision, scale))
}

fn utc() -> Arc<str> {
    Arc::from("UTC")
}

impl SqlType {
    /// How values are held in memory. Parquet and the hot tier store the same, strings as `Utf8`.
    pub fn arrow(&self) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::SmallInt => DataType::Int16,
            SqlType::Integer => DataType::Int32,
            SqlType::BigInt => DataType::Int64,
            SqlType::Real => DataType::Float32,
            SqlType::Double => DataType::Float64,
            SqlType::Numeric(modifier) => match modifier.and_then(decimal) {
                Some((precision @ ..=38, scale)) => DataType::Decimal128(precision, scale),
                Some((precision, scale)) => DataType::Decimal256(precision, scale),
                // The bytes of `sightline_numeric::bytes`; no other type is held as `LargeBinary`.
                None => DataType::LargeBinary,
            },
            SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Char(_)
            | SqlType::Json
            | SqlType::Jsonb
            | SqlType::Name
            | SqlType::InternalChar
            | SqlType::Unknown => DataType::Utf8View,
            SqlType::Bytea => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time => DataType::Time64(TimeUnit::Microsecond),
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(utc())),
            SqlType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            SqlType::Precise(p) => p.plain().arrow(),
            SqlType::Uuid => DataType::FixedSizeBinary(16),
            SqlType::Array(item) => DataType::List(Arc::new(item.field("item", true))),
            SqlType::Oid | SqlType::Reg(_) => DataType::UInt32,
            SqlType::Void => DataType::Null,
            SqlType::Enum(_) => DataType::Int32,
            SqlType::Domain(d) => d.base.arrow(),
            SqlType::Composite(c) => DataType::Struct(c.fields.iter().map(|(name, ty)| ty.field(name, true)).collect()),
        }
    }

    /// A field of this type that remembers it: by metadata only where the Arrow type alone does not tell, because
    /// DataFusion refuses to unite columns whose metadata differs.
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        if let SqlType::Domain(d) = self {
            return d.base.field(name, nullable);
        }
        let field = Field::new(name, self.arrow(), nullable);
        if SqlType::from_arrow(field.data_type()) == *self {
            return field;
        }
        field.with_metadata([(PG_TYPE.to_string(), self.encode())].into())
    }

    /// The type a field says it has, or else what its Arrow type stands for.
    pub fn of_field(field: &Field) -> SqlType {
        match field.metadata().get(PG_TYPE).and_then(|t| SqlType::parse(t)) {
            Some(named) if named.held_as(field.data_type()) => named,
            _ => SqlType::from_arrow(field.data_type()),
        }
    }

    /// Whether an array of this Arrow type can hold this type: metadata may survive a cast it does not describe.
    fn held_as(&self, held: &DataType) -> bool {
        let own = self.arrow();
        let string = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        own == *held
            || (string(&own) && string(held))
            || (held.is_decimal() && matches!(self, SqlType::Numeric(None)))
            || matches!((&own, held), (DataType::List(_), DataType::List(_)))
            || matches!((&own, held), (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len())
    }

    /// What an Arrow type without metadata stands for, e.g. in the result of an expression.
    pub fn from_arrow(t: &DataType) -> SqlType {
        match t {
            DataType::Null => SqlType::Text,
            DataType::Boolean => SqlType::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => SqlType::SmallInt,
            DataType::Int32 | DataType::UInt16 => SqlType::Integer,
            DataType::Int64 => SqlType::BigInt,
            // Nothing else is held so.
            DataType::UInt32 => SqlType::Oid,
            DataType::UInt64 => SqlType::BigInt,
            DataType::Float16 | DataType::Float32 => SqlType::Real,
            DataType::Float64 => SqlType::Double,
            DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _)
            | DataType::LargeBinary => SqlType::Numeric(None),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SqlType::Text,
            DataType::Binary | DataType::BinaryView => SqlType::Bytea,
            DataType::FixedSizeBinary(16) => SqlType::Uuid,
            DataType::FixedSizeBinary(_) => SqlType::Bytea,
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
            DataType::Timestamp(_, None) => SqlType::Timestamp,
            DataType::Timestamp(_, Some(_)) => SqlType::TimestampTz,
            DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval,
            DataType::List(f)
            | DataType::LargeList(f)
            | DataType::FixedSizeList(f, _)
            | DataType::ListView(f)
            | DataType::LargeListView(f) => SqlType::Array(Box::new(SqlType::of_field(f))),
            DataType::Dictionary(_, v) => SqlType::from_arrow(v),
            DataType::RunEndEncoded(_, v) => SqlType::of_field(v),
            DataType::Struct(fields) => SqlType::record(fields),
            DataType::Map(_, _) | DataType::Union(_, _) => SqlType::Text,
        }
    }

    /// PostgreSQL's OID of the type (`pg_type.oid`).
    pub fn oid(&self) -> u32 {
        match self {
            SqlType::Boolean => 16,
            SqlType::Bytea => 17,
            SqlType::InternalChar => 18,
            SqlType::Name => 19,
            SqlType::BigInt => 20,
            SqlType::SmallInt => 21,
            SqlType::Integer => 23,
            SqlType::Text => 25,
            SqlType::Oid => 26,
            SqlType::Json => 114,
            SqlType::Real => 700,
            SqlType::Double => 701,
            SqlType::Unknown => 705,
            SqlType::Char(_) => 1042,
            SqlType::Varchar(_) => 1043,
            SqlType::Date => 1082,
            SqlType::Time => 1083,
            SqlType::Timestamp => 1114,
            SqlType::TimestampTz => 1184,
            SqlType::Interval => 1186,
            SqlType::Precise(p) => p.plain().oid(),
            SqlType::Numeric(_) => 1700,
            SqlType::Reg(RegKind::Proc) => 24,
            SqlType::Reg(RegKind::Class) => 2205,
            SqlType::Reg(RegKind::Type) => 2206,
            SqlType::Reg(RegKind::Role) => 4096,
            SqlType::Reg(RegKind::Namespace) => 4089,
            SqlType::Void => 2278,
            SqlType::Uuid => 2950,
            SqlType::Jsonb => 3802,
            SqlType::Array(item) => item.array_oid(),
            SqlType::Enum(e) => e.id.oid,
            SqlType::Domain(d) => d.id.oid,
            SqlType::Composite(c) => c.id.oid,
        }
    }

    /// PostgreSQL's OID of the array over this type. An array of arrays is the same type as the array.
    pub fn array_oid(&self) -> u32 {
        match self {
            SqlType::Boolean => 1000,
            SqlType::Bytea => 1001,
            SqlType::InternalChar => 1002,
            SqlType::Name => 1003,
            SqlType::BigInt => 1016,
            SqlType::SmallInt => 1005,
            SqlType::Integer => 1007,
            SqlType::Text | SqlType::Unknown | SqlType::Void => 1009,
            SqlType::Oid => 1028,
            SqlType::Json => 199,
            SqlType::Real => 1021,
            SqlType::Double => 1022,
            SqlType::Char(_) => 1014,
            SqlType::Varchar(_) => 1015,
            SqlType::Date => 1182,
            SqlType::Time => 1183,
            SqlType::Timestamp => 1115,
            SqlType::TimestampTz => 1185,
            SqlType::Interval => 1187,
            SqlType::Precise(p) => p.plain().array_oid(),
            SqlType::Numeric(_) => 1231,
            SqlType::Reg(RegKind::Proc) => 1008,
            SqlType::Reg(RegKind::Class) => 2210,
            SqlType::Reg(RegKind::Type) => 2211,
            SqlType::Reg(RegKind::Role) => 4097,
            SqlType::Reg(RegKind::Namespace) => 4090,
            SqlType::Uuid => 2951,
            SqlType::Jsonb => 3807,
            SqlType::Array(_) => self.oid(),
            SqlType::Enum(e) => e.id.array,
            SqlType::Domain(d) => d.id.array,
            SqlType::Composite(c) => c.id.array,
        }
    }

    /// The built-in type with this OID, without modifier, or none if we do not have it.
    pub fn from_oid(oid: u32) -> Option<SqlType> {
        let scalars = [
            SqlType::Boolean,
            SqlType::Bytea,
            SqlType::InternalChar,
            SqlType::Name,
            SqlType::BigInt,
            SqlType::SmallInt,
            SqlType::Integer,
            SqlType::Text,
            SqlType::Oid,
            SqlType::Json,
            SqlType::Real,
            SqlType::Double,
            SqlType::Char(1),
            SqlType::Varchar(None),
            SqlType::Date,
            SqlType::Time,
            SqlType::Timestamp,
            SqlType::TimestampTz,
            SqlType::Interval,
            SqlType::Numeric(None),
            SqlType::Reg(RegKind::Class),
            SqlType::Reg(RegKind::Type),
            SqlType::Reg(RegKind::Proc),
            SqlType::Reg(RegKind::Namespace),
            SqlType::Reg(RegKind::Role),
            SqlType::Uuid,
            SqlType::Jsonb,
            SqlType::Unknown,
            SqlType::Void,
        ];
        for s in scalars {
            if s.oid() == oid {
                return Some(s);
            }
            if s.array_oid() == oid {
                return Some(SqlType::Array(Box::new(s)));
            }
        }
        None
    }

    /// `pg_attribute.atttypmod`: -1 where the type has no modifier.
    pub fn typmod(&self) -> i32 {
        match self {
            SqlType::Numeric(Some((p, s))) => ((i32::from(*p) << 16) | (i32::from(*s) & 0x7ff)) + 4,
            SqlType::Varchar(Some(n)) | SqlType::Char(n) => i32::try_from(*n).unwrap_or(i32::MAX - 4) + 4,
            SqlType::Array(item) => item.typmod(),
            SqlType::Domain(d) => d.base.typmod(),
            SqlType::Precise(p) => p.typmod(),
            _ => -1,
        }
    }

    /// `pg_type.typlen`: bytes of a fixed-length type, -1 for the others.
    pub fn typlen(&self) -> i16 {
        match self {
            SqlType::Boolean | SqlType::InternalChar => 1,
            SqlType::SmallInt => 2,
            SqlType::Integer | SqlType::Real | SqlType::Date | SqlType::Oid | SqlType::Reg(_) | SqlType::Void => 4,
            SqlType::Enum(_) => 4,
            SqlType::Domain(d) => d.base.typlen(),
            SqlType::BigInt | SqlType::Double | SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz => 8,
            SqlType::Interval | SqlType::Uuid => 16,
            SqlType::Precise(p) => p.plain().typlen(),
            SqlType::Name => 64,
            SqlType::Unknown => -2,
            _ => -1,
        }
    }

    /// Reads what [`encode`](SqlType::encode) wrote: the form of `format_type` for built-in types.
    pub fn parse(text: &str) -> Option<SqlType> {
        if let Some(item) = text.strip_suffix("[]") {
            return SqlType::parse(item).map(|t| SqlType::Array(Box::new(t)));
        }
        if text.starts_with('{') {
            return SqlType::parse_user(text);
        }
        if let Some(precise) = Precise::parse(text) {
            return Some(SqlType::Precise(precise));
        }
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
            None => (text, None),
        };
        Some(match (name, arguments) {
            ("boolean", None) => SqlType::Boolean,
            ("smallint", None) => SqlType::SmallInt,
            ("integer", None) => SqlType::Integer,
            ("bigint", None) => SqlType::BigInt,
            ("real", None) => SqlType::Real,
            ("double precision", None) => SqlType::Double,
            ("numeric", None) => SqlType::Numeric(None),
            ("numeric", Some(a)) => {
                let (p, s) = a.split_once(',')?;
                SqlType::Numeric(Some((p.parse().ok()?, s.parse().ok()?)))
            }
            ("text", None) => SqlType::Text,
            ("character varying", None) => SqlType::Varchar(None),
            ("character varying", Some(n)) => SqlType::Varchar(Some(n.parse().ok()?)),
            ("character", Some(n)) => SqlType::Char(n.parse().ok()?),
            ("bytea", None) => SqlType::Bytea,
            ("date", None) => SqlType::Date,
            ("time without time zone", None) => SqlType::Time,
            ("timestamp without time zone", None) => SqlType::Timestamp,
            ("timestamp with time zone", None) => SqlType::TimestampTz,
            ("interval", None) => SqlType::Interval,
            ("uuid", None) => SqlType::Uuid,
            ("json", None) => SqlType::Json,
            ("jsonb", None) => SqlType::Jsonb,
            ("oid", None) => SqlType::Oid,
            ("regclass", None) => SqlType::Reg(RegKind::Class),
            ("regtype", None) => SqlType::Reg(RegKind::Type),
            ("regproc", None) => SqlType::Reg(RegKind::Proc),
            ("regnamespace", None) => SqlType::Reg(RegKind::Namespace),
            ("regrole", None) => SqlType::Reg(RegKind::Role),
            ("name", None) => SqlType::Name,
            ("\"char\"", None) => SqlType::InternalChar,
            ("unknown", None) => SqlType::Unknown,
            ("void", None) => SqlType::Void,
            _ => return None,
        })
    }

    /// The type without the modifier of a date or time type.
    pub fn plain(&self) -> SqlType {
        match self {
            SqlType::Precise(p) => p.plain(),
            other => other.clone(),
        }
    }

    /// A nullable field named `name`, shared.
    pub fn field_ref(&self, name: &str) -> FieldRef {
        Arc::new(self.field(name, true))
    }
}

impl std::fmt::Display for SqlType {
    /// The form of PostgreSQL's `format_type`, e.g. `character varying(20)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SqlType::Boolean => f.write_str("boolean"),
            SqlType::SmallInt => f.write_str("smallint"),
            SqlType::Integer => f.write_str("integer"),
            SqlType::BigInt => f.write_str("bigint"),
            SqlType::Real => f.write_str("real"),
            SqlType::Double => f.write_str("double precision"),
            SqlType::Numeric(None) => f.write_str("numeric"),
            SqlType::Numeric(Some((p, s))) => write!(f, "numeric({p},{s})"),
            SqlType::Text => f.write_str("text"),
            SqlType::Varchar(None) => f.write_str("character varying"),
            SqlType::Varchar(Some(n)) => write!(f, "character varying({n})"),
            SqlType::Char(n) => write!(f, "character({n})"),
            SqlType::Bytea => f.write_str("bytea"),
            SqlType::Date => f.write_str("date"),
            SqlType::Time => f.write_str("time without time zone"),
            SqlType::Timestamp => f.write_str("timestamp without time zone"),
            SqlType::TimestampTz => f.write_str("timestamp with time zone"),
            SqlType::Interval => f.write_str("interval"),
            SqlType::Precise(p) => p.fmt(f),
            SqlType::Uuid => f.write_str("uuid"),
            SqlType::Json => f.write_str("json"),
            SqlType::Jsonb => f.write_str("jsonb"),
            SqlType::Array(item) => write!(f, "{item}[]"),
            SqlType::Enum(e) => e.id.fmt(f),
            SqlType::Domain(d) => d.id.fmt(f),
            SqlType::Composite(c) => c.id.fmt(f),
            SqlType::Oid => f.write_str("oid"),
            SqlType::Reg(RegKind::Class) => f.write_str("regclass"),
            SqlType::Reg(RegKind::Type) => f.write_str("regtype"),
            SqlType::Reg(RegKind::Proc) => f.write_str("regproc"),
            SqlType::Reg(RegKind::Namespace) => f.write_str("regnamespace"),
            SqlType::Reg(RegKind::Role) => f.write_str("regrole"),
            SqlType::Name => f.write_str("name"),
            SqlType::InternalChar => f.write_str("\"char\""),
            SqlType::Unknown => f.write_str("unknown"),
            SqlType::Void => f.write_str("void"),
        }
    }
}
