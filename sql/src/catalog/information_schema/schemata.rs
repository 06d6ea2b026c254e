//! `information_schema.schemata`, and the two relations of one row that say where we are.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use super::shown;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["catalog_name", "schema_name", "schema_owner"]);
    for schema in objects::schemas(ctx).filter(|s| shown(ctx, s.owner)) {
        rows.push([
            Value::from(&ctx.identity.tenant_name),
            schema.name.to_string().into(),
            objects::role_name(ctx, schema.owner.0).into_owned().into(),
        ]);
    }
    rows.finish()
}

pub(super) fn build_catalog_name(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["catalog_name"]);
    rows.push([Value::from(&ctx.identity.tenant_name)]);
    rows.finish()
}

pub(super) fn build_character_sets(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows =
        Rows::new(relation, ["character_set_name", "character_repertoire", "form_of_use", "default_collate_catalog"]);
    rows.push(["UTF8".into(), "UCS".into(), "UTF8".into(), Value::from(&ctx.identity.tenant_name)]);
    rows.finish()
}
