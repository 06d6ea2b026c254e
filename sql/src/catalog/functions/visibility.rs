//! Whether a bare name finds an object: `pg_table_is_visible` and its kin.

use sightline_storage::error::Result;

use super::{Arg, Function, null, returns};
use crate::catalog::objects;
use crate::catalog::pg_catalog::{pg_proc, pg_type};
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_table_is_visible", &[Arg::Oid], returns::bool, table),
    Function::new("pg_type_is_visible", &[Arg::Oid], returns::bool, ty),
    Function::new("pg_function_is_visible", &[Arg::Oid], returns::bool, |_, a| {
        known(&a[0], |o| pg_proc::by_oid(o).is_some())
    }),
    Function::new("pg_collation_is_visible", &[Arg::Oid], returns::bool, |_, a| known(&a[0], |_| true)),
    // Of these we have none, so that no OID stands for one.
    Function::new("pg_operator_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_opclass_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_opfamily_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_conversion_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_statistics_obj_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_ts_config_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_ts_dict_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_ts_parser_is_visible", &[Arg::Oid], returns::bool, null),
    Function::new("pg_ts_template_is_visible", &[Arg::Oid], returns::bool, null),
];

fn table(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let object = args[0].oid().and_then(|oid| objects::relation(ctx, oid));
    Ok(object.map(|o| objects::is_visible(ctx, o.schema().0, o.name())).into())
}

fn ty(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let user = args[0].oid().and_then(|o| ctx.snapshot.catalog.types.values().find(|t| t.id.0 == o || t.array.0 == o));
    match user {
        Some(def) => Ok(pg_type::is_visible(ctx, def).into()),
        None => known(&args[0], |o| pg_type::by_oid(o).is_some()),
    }
}

/// What lies in `pg_catalog` is always visible; NULL for what does not exist.
fn known(arg: &Value, exists: impl Fn(u32) -> bool) -> Result<Value> {
    Ok(arg.oid().filter(|oid| exists(*oid)).map(|_| true).into())
}
