//! `pg_tablespace`: there is one place.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::ids::SUPERUSER;

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_tablespace.oid` of `pg_default`.
pub(super) const DEFAULT: u32 = 1663;

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "spcname", "spcowner"]);
    rows.push([DEFAULT.into(), "pg_default".into(), SUPERUSER.0.into()]);
    rows.finish()
}
