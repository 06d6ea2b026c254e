//! `pg_views`.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["schemaname", "viewname", "viewowner", "definition"]);
    for view in objects::views(ctx) {
        rows.push([
            objects::schema_name(ctx, view.schema.0).map(str::to_string).into(),
            (&view.name).into(),
            objects::role_name(ctx, view.owner.0).into_owned().into(),
            view_definition(view).into(),
        ]);
    }
    rows.finish()
}

/// The query as PostgreSQL shows it: one blank before, a semicolon behind.
pub(in crate::catalog) fn view_definition(view: &sightline_storage::catalog::ViewDef) -> String {
    format!(" {};", crate::parser::marks::shown(view.query.trim().trim_end_matches(';')))
}
