//! `pg_index` and the view `pg_indexes`. `indexprs` and `indpred` hold the SQL text; operator classes have no OIDs here.

use arrow::array::RecordBatch;
use sightline_storage::catalog::{IndexDef, IndexKey, TableDef};
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::pg_type;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::catalog::{indexdef, objects};
use crate::plan::QueryContext;

/// `pg_collation.oid` of `C` and of `POSIX`.
const C: [(&str, u32); 2] = [("C", 950), ("POSIX", 951)];

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "indexrelid",
            "indrelid",
            "indnatts",
            "indnkeyatts",
            "indisunique",
            "indnullsnotdistinct",
            "indisprimary",
            "indimmediate",
            "indisclustered",
            "indisvalid",
            "indisready",
            "indislive",
            "indkey",
            "indcollation",
            "indclass",
            "indoption",
            "indexprs",
            "indpred",
        ],
    );
    for (table, index) in objects::indexes(ctx) {
        let keys = index.columns.len();
        rows.push([
            index.id.0.into(),
            table.id.0.into(),
            number(keys + index.include.len()),
            number(keys),
            index.unique.into(),
            index.nulls_not_distinct.into(),
            index.is_primary().into(),
            true.into(),
            index.clustered.into(),
            true.into(),
            true.into(),
            true.into(),
            columns(index).into(),
            collations(table, index).into(),
            vec![0_u32; keys].into(),
            options(index).into(),
            expressions(table, index).into(),
            index.predicate.as_ref().map(|p| indexdef::expression(table, p, false)).into(),
        ]);
    }
    rows.finish()
}

fn number(n: usize) -> Value {
    i64::try_from(n).unwrap_or_default().into()
}

/// `attnum` of each column; 0 for an expression.
fn columns(index: &IndexDef) -> Vec<u16> {
    let keys = index.columns.iter().map(|c| c.column().map_or(0, |id| id.0));
    keys.chain(index.include.iter().map(|id| id.0)).collect()
}

fn collations(table: &TableDef, index: &IndexDef) -> Vec<u32> {
    let of = |ty: &SqlType| pg_type::by_oid(ty.oid()).map_or(0, |t| t.collation);
    let collation = |c: &sightline_storage::catalog::IndexColumn| {
        let named = c.collation.as_deref().map(|name| name.trim_start_matches("pg_catalog.").trim_matches('"'));
        if let Some((_, oid)) = named.and_then(|name| C.iter().find(|(known, _)| *known == name)) {
            return *oid;
        }
        match &c.key {
            IndexKey::Column(id) => table.column_by_id(*id).map_or(0, |c| of(&c.ty)),
            IndexKey::Expression { ty, .. } => of(ty),
        }
    };
    index.columns.iter().map(collation).collect()
}

/// 1 for DESC, 2 for NULLS FIRST.
fn options(index: &IndexDef) -> Vec<u16> {
    index.columns.iter().map(|c| u16::from(c.descending) | (u16::from(c.nulls_first) << 1)).collect()
}

fn expressions(table: &TableDef, index: &IndexDef) -> Option<String> {
    let texts = index.columns.iter().filter_map(|c| match &c.key {
        IndexKey::Expression { sql, .. } => Some(indexdef::expression(table, sql, false)),
        IndexKey::Column(_) => None,
    });
    let texts = texts.collect::<Vec<_>>();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// `pg_indexes`.
pub(super) fn build_view(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["schemaname", "tablename", "indexname", "indexdef"]);
    for (table, index) in objects::indexes(ctx) {
        rows.push([
            objects::schema_name(ctx, table.schema.0).map(str::to_string).into(),
            (&table.name).into(),
            (&index.name).into(),
            indexdef::definition(ctx, table, index, false).into(),
        ]);
    }
    rows.finish()
}
