//! `pg_class`: tables, views, indexes and the relations of the system.

use arrow::array::RecordBatch;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::Result;
use sightline_storage::ids::TableId;

use super::pg_am;
use crate::catalog::objects::{self, Object};
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::{QueryContext, SEQUENCE_COLUMNS};
use crate::session::temporary::is_temporary;

/// The page size that clients multiply `relpages` by.
const PAGE_BYTES: u64 = 8192;

const COLUMNS: [&str; 18] = [
    "oid",
    "relname",
    "relnamespace",
    "relowner",
    "relam",
    "relpages",
    "reltuples",
    "relpersistence",
    "relkind",
    "relnatts",
    "relchecks",
    "relhasrules",
    "relispopulated",
    "relreplident",
    "relallvisible",
    "reloptions",
    "relhasindex",
    "relhastriggers",
];

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, COLUMNS);
    for object in objects::relations(ctx) {
        rows.push(values(ctx, &object));
    }
    for (table, index) in objects::indexes(ctx) {
        rows.push(values(ctx, &Object::Index(table, index)));
    }
    rows.finish()
}

fn values(ctx: &QueryContext, object: &Object<'_>) -> [Value; COLUMNS.len()] {
    let (kind, columns, checks) = match object {
        Object::Table(t) => ("r", t.columns.len(), t.checks.len()),
        Object::View(v) => ("v", v.columns.len(), 0),
        Object::Index(_, i) => ("i", i.columns.len() + i.include.len(), 0),
        Object::Sequence(_) => ("S", SEQUENCE_COLUMNS.len(), 0),
        Object::System(r) => (r.kind, r.columns.len(), 0),
    };
    let (rows, bytes) = size(ctx, object);
    let (table, view) = (kind == "r", kind == "v");
    [
        object.oid().into(),
        object.name().to_string().into(),
        object.schema().0.into(),
        object.owner().0.into(),
        (match object {
            Object::Index(_, i) => pg_am::of_method(&i.method),
            _ if table => pg_am::HEAP,
            _ => 0,
        })
        .into(),
        i64::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(i64::from(i32::MAX)).into(),
        Value::Float(rows),
        persistence(ctx, object).into(),
        kind.into(),
        i64::try_from(columns).unwrap_or_default().into(),
        i64::try_from(checks).unwrap_or_default().into(),
        view.into(),
        true.into(),
        (if table { "d" } else { "n" }).into(),
        0.into(),
        options(object).into(),
        matches!(object, Object::Table(t) if !t.indexes.is_empty()).into(),
        matches!(object, Object::Table(t) if has_triggers(ctx, t)).into(),
    ]
}

/// In PostgreSQL triggers hold foreign keys, at both ends; psql asks for foreign keys only where there are some.
fn has_triggers(ctx: &QueryContext, table: &TableDef) -> bool {
    !table.foreign_keys.is_empty() || ctx.snapshot.catalog.referring(table.id).next().is_some()
}

/// `t` for temporary relations, `p` for all others.
fn persistence(ctx: &QueryContext, object: &Object<'_>) -> &'static str {
    match objects::schema_name(ctx, object.schema().0) {
        Some(schema) if is_temporary(schema) => "t",
        _ => "p",
    }
}

/// Rows and bytes: exact for tables, unknown (-1) for what is computed.
fn size(ctx: &QueryContext, object: &Object<'_>) -> (f64, u64) {
    let table = match object {
        Object::Table(table) => table,
        Object::Index(table, _) => return (size(ctx, &Object::Table(table)).0, 0),
        // A page with one row.
        Object::Sequence(_) => return (1.0, PAGE_BYTES),
        Object::View(_) | Object::System(_) => return (-1.0, 0),
    };
    match ctx.snapshot.tables.get(&TableId(table.id.0)) {
        Some(snapshot) => (snapshot.rows() as f64, crate::catalog::system::table_bytes(snapshot)),
        None => (0.0, 0),
    }
}

/// `WITH (…)` of a table, as `name=value`.
fn options(object: &Object<'_>) -> Option<Vec<String>> {
    let options = match object {
        Object::Table(table) => crate::catalog::system::table_options(table),
        Object::Index(_, index) => index.options.iter().map(|(n, v)| (n.as_str(), v.clone())).collect(),
        Object::View(_) | Object::Sequence(_) | Object::System(_) => return None,
    };
    if options.is_empty() {
        return None;
    }
    Some(options.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}
