//! `pg_cast`: which types of ours convert to which, all without a function.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::objects::derived_oid;
use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

/// Source, target and context (`i` implicit, `a` in assignment, `e` explicit) as PostgreSQL has them.
const CASTS: &[(u32, u32, &str)] = &[
    (16, 23, "e"),
    (16, 25, "a"),
    (18, 25, "i"),
    (19, 25, "i"),
    (20, 21, "a"),
    (20, 23, "a"),
    (20, 26, "i"),
    (20, 700, "i"),
    (20, 701, "i"),
    (20, 1700, "i"),
    (21, 20, "i"),
    (21, 23, "i"),
    (21, 26, "i"),
    (21, 700, "i"),
    (21, 701, "i"),
    (21, 1700, "i"),
    (23, 16, "e"),
    (23, 20, "i"),
    (23, 21, "a"),
    (23, 26, "i"),
    (23, 700, "i"),
    (23, 701, "i"),
    (23, 1700, "i"),
    (25, 18, "a"),
    (25, 19, "i"),
    (25, 1042, "i"),
    (25, 1043, "i"),
    (25, 2205, "i"),
    (26, 20, "a"),
    (26, 23, "a"),
    (26, 2205, "i"),
    (114, 3802, "a"),
    (700, 20, "a"),
    (700, 21, "a"),
    (700, 23, "a"),
    (700, 701, "i"),
    (700, 1700, "a"),
    (701, 20, "a"),
    (701, 21, "a"),
    (701, 23, "a"),
    (701, 700, "a"),
    (701, 1700, "a"),
    (1042, 25, "i"),
    (1042, 1043, "i"),
    (1043, 25, "i"),
    (1043, 1042, "i"),
    (1082, 1114, "i"),
    (1082, 1184, "i"),
    (1083, 1186, "i"),
    (1114, 1082, "a"),
    (1114, 1083, "a"),
    (1114, 1184, "i"),
    (1184, 1082, "a"),
    (1184, 1083, "a"),
    (1184, 1114, "a"),
    (1186, 1083, "a"),
    (1700, 20, "a"),
    (1700, 21, "a"),
    (1700, 23, "a"),
    (1700, 700, "i"),
    (1700, 701, "i"),
    (2205, 26, "i"),
    (2206, 26, "i"),
    (3802, 114, "a"),
];

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(relation, ["oid", "castsource", "casttarget", "castcontext", "castmethod"]);
    for (source, target, context) in CASTS {
        let oid = derived_oid("cast", *source, &target.to_string());
        rows.push([oid.into(), (*source).into(), (*target).into(), (*context).into(), "i".into()]);
    }
    rows.finish()
}
