//! `pg_language`: functions are built in.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::ids::SUPERUSER;

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_language.oid` of what every function is written in.
pub(super) const INTERNAL: u32 = 12;

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "lanname", "lanowner"]);
    rows.push([INTERNAL.into(), "internal".into(), SUPERUSER.0.into()]);
    rows.finish()
}
