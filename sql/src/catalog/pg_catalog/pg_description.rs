//! `pg_description`: comments on relations, their columns, constraints, types, and schemas.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects::{self, Object};
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

/// `pg_class.oid` of `pg_class`.
pub(in crate::catalog) const PG_CLASS: u32 = 1259;
/// `pg_class.oid` of `pg_type`.
const PG_TYPE: u32 = 1247;
/// `pg_class.oid` of `pg_constraint`.
pub(in crate::catalog) const PG_CONSTRAINT: u32 = 2606;
/// `pg_class.oid` of `pg_namespace`.
pub(in crate::catalog) const PG_NAMESPACE: u32 = 2615;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["objoid", "classoid", "objsubid", "description"]);
    let mut push = |object: u32, class: u32, column: u16, text: &str| {
        rows.push([object.into(), class.into(), column.into(), Value::from(text.to_string())]);
    };
    for object in objects::relations(ctx) {
        if let Some(comment) = object.comment() {
            push(object.oid(), PG_CLASS, 0, comment);
        }
        match object {
            Object::Table(t) => {
                for column in &t.columns {
                    if let Some(comment) = &column.comment {
                        push(t.id.0, PG_CLASS, column.id.0, comment);
                    }
                }
            }
            Object::View(v) => {
                for (number, comment) in &v.column_comments {
                    push(v.id.0, PG_CLASS, *number, comment);
                }
            }
            Object::Index(..) | Object::Sequence(_) | Object::System(_) => {}
        }
    }
    for (_, index) in objects::indexes(ctx) {
        if let Some(comment) = &index.comment {
            push(index.id.0, PG_CLASS, 0, comment);
        }
    }
    let checks = objects::checks(ctx).map(|(oid, _, check)| (oid, &check.comment));
    let domains = objects::domain_checks(ctx).map(|(oid, _, check)| (oid, &check.comment));
    let keys = objects::keys(ctx).map(|(oid, _, index)| (oid, &index.constraint_comment));
    let foreign = objects::foreign_keys(ctx).map(|(oid, _, key)| (oid, &key.comment));
    for (oid, comment) in checks.chain(domains).chain(keys).chain(foreign) {
        if let Some(comment) = comment {
            push(oid, PG_CONSTRAINT, 0, comment);
        }
    }
    for def in ctx.snapshot.catalog.types.values() {
        if let Some(comment) = &def.comment {
            push(def.id.0, PG_TYPE, 0, comment);
        }
    }
    for schema in objects::schemas(ctx) {
        if let Some(comment) = schema.comment {
            push(schema.oid, PG_NAMESPACE, 0, comment);
        }
    }
    rows.finish()
}
