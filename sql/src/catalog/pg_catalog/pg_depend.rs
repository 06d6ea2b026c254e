//! `pg_depend`: views depend on the relations they read, sequences on the columns that own them, defaults on their columns
//! and on the sequences they draw from.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;
use crate::sequence::reference;

/// `pg_class.oid` of `pg_class` itself.
const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;
const PG_ATTRDEF: u32 = 2604;

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["classid", "objid", "refclassid", "refobjid", "refobjsubid", "deptype"]);
    for view in objects::views(ctx) {
        for on in &view.depends_on {
            rows.push([PG_CLASS.into(), view.id.0.into(), PG_CLASS.into(), (*on).into(), 0.into(), "n".into()]);
        }
    }
    for s in objects::sequences(ctx) {
        let schema = s.schema.0.into();
        rows.push([PG_CLASS.into(), s.id.0.into(), PG_NAMESPACE.into(), schema, 0.into(), "n".into()]);
        if let Some(owner) = s.owned_by {
            let kind = if owner.identity { "i" } else { "a" };
            let (table, column) = (owner.table.0.into(), owner.column.0.into());
            rows.push([PG_CLASS.into(), s.id.0.into(), PG_CLASS.into(), table, column, kind.into()]);
        }
    }
    for (oid, table, column, _) in objects::defaults(ctx) {
        let (of, number) = (table.id.0.into(), column.id.0.into());
        rows.push([PG_ATTRDEF.into(), oid.into(), PG_CLASS.into(), of, number, "a".into()]);
        let text = column.default.as_deref().unwrap_or_default();
        for sequence in reference::named(&ctx.snapshot.catalog, text) {
            let of = sequence.0.into();
            rows.push([PG_ATTRDEF.into(), oid.into(), PG_CLASS.into(), of, 0.into(), "n".into()]);
        }
    }
    rows.finish()
}
