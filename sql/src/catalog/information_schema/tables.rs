//! `information_schema.tables`.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::relations;
use crate::catalog::objects::{self, Object};
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        ["table_catalog", "table_schema", "table_name", "table_type", "is_insertable_into", "is_typed"],
    );
    for object in relations(ctx) {
        if matches!(object, Object::Sequence(_)) {
            continue;
        }
        let view = match &object {
            Object::Table(_) | Object::Sequence(_) => false,
            Object::View(_) => true,
            Object::Index(..) => continue,
            Object::System(r) => r.kind == "v",
        };
        rows.push([
            Value::from(&ctx.identity.tenant_name),
            objects::schema_name(ctx, object.schema().0).map(str::to_string).into(),
            object.name().to_string().into(),
            (if view { "VIEW" } else { "BASE TABLE" }).into(),
            (if matches!(object, Object::Table(_)) { "YES" } else { "NO" }).into(),
            "NO".into(),
        ]);
    }
    rows.finish()
}
