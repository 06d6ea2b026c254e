//! `pg_enum`: the labels of enums. `enumsortorder` counts from 1, as in PostgreSQL for labels that came with the type.

use arrow::array::RecordBatch;
use sightline_storage::catalog::TypeBody;
use sightline_storage::error::Result;

use crate::catalog::objects::derived_oid;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "enumtypid", "enumsortorder", "enumlabel"]);
    for def in ctx.snapshot.catalog.types.values() {
        let TypeBody::Enum(labels) = &def.body else { continue };
        for (position, (number, label)) in (1u32..).zip(labels) {
            let oid = derived_oid("enum", def.id.0, &number.to_string());
            rows.push([oid.into(), def.id.0.into(), Value::Float(position.into()), label.clone().into()]);
        }
    }
    rows.finish()
}
