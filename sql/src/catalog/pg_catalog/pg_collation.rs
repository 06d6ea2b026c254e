//! `pg_collation`: text is ordered by its bytes, by whatever name.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::ids::{PG_CATALOG, SUPERUSER};

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "oid",
            "collname",
            "collnamespace",
            "collowner",
            "collprovider",
            "collisdeterministic",
            "collencoding",
            "collcollate",
            "collctype",
        ],
    );
    let locale = |l: Option<&'static str>| Value::from(l);
    for (oid, name, provider, own) in
        [(100_u32, "default", "d", None), (950, "C", "c", Some("C")), (951, "POSIX", "c", Some("POSIX"))]
    {
        rows.push([
            oid.into(),
            name.into(),
            PG_CATALOG.0.into(),
            SUPERUSER.0.into(),
            provider.into(),
            true.into(),
            (-1).into(),
            locale(own),
            locale(own),
        ]);
    }
    rows.finish()
}
