//! `pg_attribute`: the columns of every relation, the system's included.

use arrow::array::RecordBatch;
use sightline_storage::catalog::{IndexKey, TableDef};
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::pg_type;
use crate::catalog::relation::{self, Relation};
use crate::catalog::rows::{Rows, Value};
use crate::catalog::{deparse, objects};
use crate::plan::{QueryContext, SEQUENCE_COLUMNS};

const COLUMNS: [&str; 20] = [
    "attrelid",
    "attname",
    "atttypid",
    "attstattarget",
    "attlen",
    "attnum",
    "attndims",
    "attcacheoff",
    "atttypmod",
    "attbyval",
    "attalign",
    "attstorage",
    "attcompression",
    "attnotnull",
    "atthasdef",
    "attidentity",
    "attgenerated",
    "attisdropped",
    "attislocal",
    "attcollation",
];

/// One column, whatever it is a column of.
struct Attribute<'a> {
    relation: u32,
    name: &'a str,
    ty: &'a SqlType,
    number: u16,
    not_null: bool,
    has_default: bool,
    identity: &'static str,
    generated: &'static str,
}

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, COLUMNS);
    for table in objects::tables(ctx) {
        for column in &table.columns {
            rows.push(values(&Attribute {
                relation: table.id.0,
                name: &column.name,
                ty: &column.ty,
                number: column.id.0,
                not_null: column.not_null,
                has_default: column.generated.is_some() || deparse::default(ctx, column).is_some(),
                identity: column.identity.map_or("", |i| if i.always { "a" } else { "d" }),
                generated: if column.generated.is_some() { "s" } else { "" },
            }));
        }
    }
    for view in objects::views(ctx) {
        for (number, (name, ty)) in (1..).zip(&view.columns) {
            rows.push(values(&Attribute {
                relation: view.id.0,
                name,
                ty,
                number,
                not_null: false,
                has_default: false,
                identity: "",
                generated: "",
            }));
        }
    }
    for sequence in objects::sequences(ctx) {
        for (number, (name, ty)) in (1..).zip(&SEQUENCE_COLUMNS) {
            rows.push(values(&Attribute {
                relation: sequence.id.0,
                name,
                ty,
                number,
                not_null: true,
                has_default: false,
                identity: "",
                generated: "",
            }));
        }
    }
    for (table, index) in objects::indexes(ctx) {
        let types = index.columns.iter().map(|c| key_type(table, &c.key));
        let types = types.chain(index.include.iter().map(|id| table.column_by_id(*id).map(|c| &c.ty)));
        let parts = crate::statement::index::part_names(table, index);
        for ((number, name), ty) in (1..).zip(&parts).zip(types) {
            let Some(ty) = ty else { continue };
            rows.push(values(&Attribute {
                relation: index.id.0,
                name,
                ty,
                number,
                not_null: false,
                has_default: false,
                identity: "",
                generated: "",
            }));
        }
    }
    for system in relation::all() {
        for (number, column) in (1..).zip(&system.columns) {
            rows.push(values(&Attribute {
                relation: system.oid,
                name: column.name,
                ty: &column.ty,
                number,
                not_null: column.not_null,
                has_default: false,
                identity: "",
                generated: "",
            }));
        }
    }
    rows.finish()
}

fn key_type<'a>(table: &'a TableDef, key: &'a IndexKey) -> Option<&'a SqlType> {
    match key {
        IndexKey::Column(id) => table.column_by_id(*id).map(|c| &c.ty),
        IndexKey::Expression { ty, .. } => Some(ty),
    }
}

fn values(a: &Attribute<'_>) -> [Value; COLUMNS.len()] {
    let ty = pg_type::by_oid(a.ty.oid());
    [
        a.relation.into(),
        a.name.to_string().into(),
        a.ty.oid().into(),
        (-1).into(),
        a.ty.typlen().into(),
        a.number.into(),
        i32::from(matches!(a.ty, SqlType::Array(_))).into(),
        (-1).into(),
        a.ty.typmod().into(),
        ty.is_some_and(|t| t.by_value).into(),
        ty.map_or("i", |t| t.align).into(),
        ty.map_or("x", |t| t.storage).into(),
        "".into(),
        a.not_null.into(),
        a.has_default.into(),
        a.identity.into(),
        a.generated.into(),
        false.into(),
        true.into(),
        ty.map_or(0, |t| t.collation).into(),
    ]
}
