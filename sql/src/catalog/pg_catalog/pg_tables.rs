//! `pg_tables`.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        ["schemaname", "tablename", "tableowner", "hasindexes", "hasrules", "hastriggers", "rowsecurity"],
    );
    for object in objects::relations(ctx) {
        if matches!(object, objects::Object::View(_) | objects::Object::Sequence(_)) || is_system_view(&object) {
            continue;
        }
        let has_indexes = matches!(&object, objects::Object::Table(t) if !t.indexes.is_empty());
        rows.push([
            objects::schema_name(ctx, object.schema().0).map(str::to_string).into(),
            object.name().to_string().into(),
            objects::role_name(ctx, object.owner().0).into_owned().into(),
            has_indexes.into(),
            false.into(),
            false.into(),
            false.into(),
        ]);
    }
    rows.finish()
}

fn is_system_view(object: &objects::Object<'_>) -> bool {
    matches!(object, objects::Object::System(r) if r.kind == "v")
}
