//! Functions that tell of sequences; those that draw from them are in `plan/sequences.rs`.

use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::{Arg, Function, returns};
use crate::catalog::names;
use crate::catalog::objects::{self, Object};
use crate::catalog::pg_catalog::pg_sequence::last_value;
use crate::catalog::rows::Value;
use crate::plan::QueryContext;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("pg_get_serial_sequence", &[Arg::Text, Arg::Text], returns::text, serial_sequence),
    Function::new("pg_sequence_last_value", &[Arg::Named], returns::int8, |ctx, args| {
        let oid = super::definition::class(ctx, &args[0])?.unwrap_or_default();
        last_value(ctx, oid)
    }),
];

/// The sequence that a column owns; the relation is a name as SQL writes it, the column one as it is.
fn serial_sequence(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let (Some(table), Some(column)) = (args[0].text(), args[1].text()) else { return Ok(Value::Null) };
    let (_, oid) = objects::find(ctx, &names::split(table)?)?;
    let found = objects::relation(ctx, oid);
    let number = match &found {
        Some(Object::Table(t)) => t.column(column).map(|c| c.id),
        Some(Object::View(v)) if v.columns.iter().any(|(name, _): &(String, SqlType)| name == column) => {
            return Ok(Value::Null);
        }
        _ => None,
    };
    let Some(number) = number else {
        let relation = found.as_ref().map(Object::name).unwrap_or_default();
        let text = format!("column \"{column}\" of relation \"{relation}\" does not exist");
        return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
    };
    let owned = objects::sequences(ctx).find(|s| s.owned_by.is_some_and(|o| o.table.0 == oid && o.column == number));
    let Some(sequence) = owned else { return Ok(Value::Null) };
    let quote = sightline_functions::text::quote::quote_ident;
    let schema = objects::schema_name(ctx, sequence.schema.0).unwrap_or_default();
    Ok(format!("{}.{}", quote(schema), quote(&sequence.name)).into())
}
