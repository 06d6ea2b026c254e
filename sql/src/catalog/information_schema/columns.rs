//! `information_schema.columns`: positions from 1, and types in the standard's words with PostgreSQL's in `udt_name`.

use arrow::array::RecordBatch;
use sightline_storage::catalog::SequenceDef;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::relations;
use crate::catalog::deparse;
use crate::catalog::objects::{self, Object};
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::{QueryContext, type_name};

const COLUMNS: [&str; 31] = [
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "column_default",
    "is_nullable",
    "data_type",
    "character_maximum_length",
    "character_octet_length",
    "numeric_precision",
    "numeric_precision_radix",
    "numeric_scale",
    "datetime_precision",
    "udt_catalog",
    "udt_schema",
    "udt_name",
    "dtd_identifier",
    "is_self_referencing",
    "is_identity",
    "identity_generation",
    "identity_start",
    "identity_increment",
    "identity_maximum",
    "identity_minimum",
    "identity_cycle",
    "is_generated",
    "generation_expression",
    "is_updatable",
    "collation_name",
    "collation_schema",
];

/// One column of any relation.
struct Column<'a> {
    name: &'a str,
    position: u16,
    ty: &'a SqlType,
    not_null: bool,
    default: Option<String>,
    updatable: bool,
    identity: Option<(bool, &'a SequenceDef)>,
    generated: Option<String>,
}

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, COLUMNS);
    for object in relations(ctx) {
        for column in columns(ctx, &object) {
            rows.push(values(ctx, &object, &column));
        }
    }
    rows.finish()
}

fn columns<'a>(ctx: &'a QueryContext, object: &Object<'a>) -> Vec<Column<'a>> {
    let plain = |name, position, ty, not_null| Column {
        name,
        position,
        ty,
        not_null,
        default: None,
        updatable: false,
        identity: None,
        generated: None,
    };
    match object {
        Object::Table(t) => {
            let column = |c: &'a sightline_storage::catalog::ColumnDef| Column {
                default: deparse::default(ctx, c),
                updatable: c.generated.is_none(),
                generated: deparse::generated(c),
                identity: c.identity.and_then(|i| {
                    let sequence = ctx.snapshot.catalog.sequence(i.sequence)?;
                    Some((i.always, sequence.as_ref()))
                }),
                ..plain(&c.name, c.id.0, &c.ty, c.not_null)
            };
            t.columns.iter().map(column).collect()
        }
        Object::View(v) => (1..).zip(&v.columns).map(|(n, (name, ty))| plain(name, n, ty, false)).collect(),
        Object::Index(..) | Object::Sequence(_) => Vec::new(),
        Object::System(r) => (1..).zip(&r.columns).map(|(n, c)| plain(c.name, n, &c.ty, c.not_null)).collect(),
    }
}

fn values(ctx: &QueryContext, object: &Object<'_>, c: &Column<'_>) -> [Value; COLUMNS.len()] {
    let catalog = || Value::from(&ctx.identity.tenant_name);
    let number = numbers(c.ty);
    let length = match c.ty {
        SqlType::Varchar(Some(n)) | SqlType::Char(n) => Some(i64::from(*n)),
        _ => None,
    };
    let octets = match c.ty {
        SqlType::Varchar(Some(n)) | SqlType::Char(n) => Some(i64::from(*n) * 4),
        SqlType::Text | SqlType::Varchar(None) => Some(1 << 30),
        _ => None,
    };
    // Types whose collation is not the database's own name it.
    let collation = matches!(c.ty, SqlType::Name).then_some("C");
    [
        catalog(),
        objects::schema_name(ctx, object.schema().0).map(str::to_string).into(),
        object.name().to_string().into(),
        c.name.to_string().into(),
        c.position.into(),
        c.default.clone().into(),
        (if c.not_null { "NO" } else { "YES" }).into(),
        data_type(c.ty).into(),
        length.into(),
        octets.into(),
        number.map(|n| n.0).into(),
        number.map(|n| n.1).into(),
        number.and_then(|n| n.2).into(),
        datetime_precision(c.ty).into(),
        catalog(),
        udt_schema(c.ty).into(),
        type_name(c.ty).into(),
        c.position.to_string().into(),
        "NO".into(),
        (if c.identity.is_some() { "YES" } else { "NO" }).into(),
        c.identity.map(|(always, _)| if always { "ALWAYS" } else { "BY DEFAULT" }).into(),
        c.identity.map(|(_, s)| s.start.to_string()).into(),
        c.identity.map(|(_, s)| s.increment.to_string()).into(),
        c.identity.map(|(_, s)| s.max.to_string()).into(),
        c.identity.map(|(_, s)| s.min.to_string()).into(),
        (if c.identity.is_some_and(|(_, s)| s.cycle) { "YES" } else { "NO" }).into(),
        (if c.generated.is_some() { "ALWAYS" } else { "NEVER" }).into(),
        c.generated.clone().into(),
        (if c.updatable { "YES" } else { "NO" }).into(),
        collation.into(),
        collation.map(|_| "pg_catalog").into(),
    ]
}

fn data_type(ty: &SqlType) -> String {
    match ty {
        SqlType::Array(_) => "ARRAY".to_string(),
        SqlType::Numeric(_) => "numeric".to_string(),
        SqlType::Precise(precise) => precise.plain().to_string(),
        SqlType::Varchar(_) => "character varying".to_string(),
        SqlType::Char(_) => "character".to_string(),
        SqlType::Domain(d) => data_type(&d.base),
        SqlType::Enum(_) | SqlType::Composite(_) => "USER-DEFINED".to_string(),
        other => other.to_string(),
    }
}

/// Where the type is; of a domain its base.
fn udt_schema(ty: &SqlType) -> String {
    let item = match ty.base() {
        SqlType::Array(item) => item.as_ref(),
        other => other,
    };
    item.user().map_or_else(|| "pg_catalog".to_string(), |id| id.schema.clone())
}

/// Precision, its radix, and scale.
fn numbers(ty: &SqlType) -> Option<(Option<i32>, i32, Option<i32>)> {
    Some(match ty {
        SqlType::SmallInt => (Some(16), 2, Some(0)),
        SqlType::Integer => (Some(32), 2, Some(0)),
        SqlType::BigInt => (Some(64), 2, Some(0)),
        SqlType::Real => (Some(24), 2, None),
        SqlType::Double => (Some(53), 2, None),
        SqlType::Numeric(Some((precision, scale))) => (Some((*precision).into()), 10, Some((*scale).into())),
        // Of no precision: the radix alone is known.
        SqlType::Numeric(None) => (None, 10, None),
        _ => return None,
    })
}

fn datetime_precision(ty: &SqlType) -> Option<i32> {
    match ty {
        SqlType::Date => Some(0),
        SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz | SqlType::Interval => Some(6),
        SqlType::Precise(precise) => Some(precise.digits().unwrap_or(6).into()),
        _ => None,
    }
}
