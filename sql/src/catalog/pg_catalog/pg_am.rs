//! `pg_am`: access methods. Tables are `heap` to clients; those of indexes are what their definitions say.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// `pg_am.oid` of the access method of every table.
pub(super) const HEAP: u32 = 2;

/// OID, name and handler of the access methods of indexes.
const METHODS: [(u32, &str, u32); 6] = [
    (403, "btree", 330),
    (405, "hash", 331),
    (783, "gist", 332),
    (2742, "gin", 333),
    (4000, "spgist", 334),
    (3580, "brin", 335),
];

/// `pg_am.oid` of an index's access method.
pub(super) fn of_method(name: &str) -> u32 {
    METHODS.iter().find(|(_, known, _)| *known == name).map_or(0, |(oid, _, _)| *oid)
}

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "amname", "amhandler", "amtype"]);
    rows.push([HEAP.into(), "heap".into(), 3_u32.into(), "t".into()]);
    for (oid, name, handler) in METHODS {
        rows.push([oid.into(), name.into(), handler.into(), "i".into()]);
    }
    rows.finish()
}
