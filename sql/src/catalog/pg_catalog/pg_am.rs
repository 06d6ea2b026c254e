//! `pg_am`: access methods. Tables are `heap` to clients; `btree` is there because drivers look it up.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_am.oid` of the access method of every table.
pub(super) const HEAP: u32 = 2;

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "amname", "amhandler", "amtype"]);
    rows.push([HEAP.into(), "heap".into(), 3_u32.into(), "t".into()]);
    rows.push([403_u32.into(), "btree".into(), 330_u32.into(), "i".into()]);
    rows.finish()
}
