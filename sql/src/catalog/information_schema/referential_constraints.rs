//! `information_schema.referential_constraints`: foreign keys, and the keys that they refer to.

use arrow::array::RecordBatch;
use sightline_storage::catalog::{ForeignKeyAction, TableDef};
use sightline_storage::error::Result;

use super::shown;
use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ],
    );
    for (_, table, key) in objects::foreign_keys(ctx).filter(|(_, t, _)| shown(ctx, t.owner)) {
        let catalog = || Value::from(&ctx.identity.tenant_name);
        let schema = |t: &TableDef| Value::from(objects::schema_name(ctx, t.schema.0).map(str::to_string));
        let to = ctx.snapshot.catalog.table(key.references);
        // A unique index that is no constraint has no name there.
        let constraint = to.and_then(|t| Some((t, t.referable(&key.referenced)?)));
        let constraint = constraint.filter(|(_, i)| i.constraint.is_some());
        rows.push([
            catalog(),
            schema(table),
            (&key.name).into(),
            constraint.map(|_| catalog()).unwrap_or(Value::Null),
            constraint.map(|(t, _)| schema(t)).unwrap_or(Value::Null),
            constraint.map(|(_, i)| i.name.clone()).into(),
            (if key.match_full { "FULL" } else { "NONE" }).into(),
            rule(key.on_update).into(),
            rule(key.on_delete).into(),
        ]);
    }
    rows.finish()
}

fn rule(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "NO ACTION",
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
    }
}
