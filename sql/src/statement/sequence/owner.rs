//! The column that a sequence goes with, and the defaults that draw from it.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, SequenceDef, SequenceOwner, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{SchemaId, SequenceId, TableId};
use sightline_storage::types::SqlType;

use super::{bounds, names};
use crate::plan::{QueryContext, fold};
use crate::sequence::reference;

/// The most bytes of a name that PostgreSQL makes up of others.
const NAME_BYTES_MAX: usize = 63;

/// What OWNED BY says; none for NONE.
///
/// # Errors
/// 42601, 42P01, 42809, 42703, 55000.
pub(super) fn of_column(
    ctx: &QueryContext,
    def: &SequenceDef,
    name: &ast::ObjectName,
) -> Result<Option<SequenceOwner>> {
    let [.., _] = name.0.as_slice() else { return Ok(None) };
    if let [only] = name.0.as_slice() {
        if only.as_ident().is_some_and(|i| fold(i) == "none") {
            return Ok(None);
        }
        return Err(Error::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
            .hint("Specify OWNED BY table.column or OWNED BY NONE."));
    }
    let mut relation = name.clone();
    relation.0.pop();
    let table = super::table_of(ctx, &relation)?;
    let refused = |text: &str| Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text);
    if table.owner != def.owner {
        return Err(refused("sequence must have same owner as table it is linked to"));
    }
    if table.schema != def.schema {
        return Err(refused("sequence must be in same schema as table it is linked to"));
    }
    let column = names::last(name);
    let Some(found) = table.column(&column) else {
        let text = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
        return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
    };
    Ok(Some(SequenceOwner { table: table.id, column: found.id, identity: false }))
}

/// The sequences that a table's columns own.
pub(in crate::statement) fn owned(ctx: &QueryContext, table: TableId) -> impl Iterator<Item = &Arc<SequenceDef>> {
    ctx.snapshot.catalog.sequences.values().filter(move |s| s.owned_by.is_some_and(|o| o.table == table))
}

fn owner<'a>(ctx: &'a QueryContext, def: &SequenceDef) -> Option<(&'a Arc<TableDef>, SequenceOwner)> {
    let owner = def.owned_by?;
    Some((ctx.snapshot.catalog.table(owner.table)?, owner))
}

fn refuse(def: &SequenceDef, table: &TableDef, message: &str) -> Error {
    Error::unsupported(message).detail(format!("Sequence \"{}\" is linked to table \"{}\".", def.name, table.name))
}

/// Refuses what an identity column's sequence cannot do.
pub(super) fn refuse_identity(ctx: &QueryContext, def: &SequenceDef, message: &str) -> Result<()> {
    match owner(ctx, def) {
        Some((table, owner)) if owner.identity => Err(refuse(def, table, message)),
        _ => Ok(()),
    }
}

/// Refuses what a sequence that belongs to a column cannot do.
pub(super) fn refuse_owned(ctx: &QueryContext, def: &SequenceDef, message: &str) -> Result<()> {
    match owner(ctx, def) {
        Some((table, _)) => Err(refuse(def, table, message)),
        None => Ok(()),
    }
}

/// The refusal to drop the sequence of an identity column by itself; none if it is none.
pub(in crate::statement) fn cannot_drop_identity(ctx: &QueryContext, id: SequenceId) -> Option<Error> {
    let def = ctx.snapshot.catalog.sequence(id)?;
    let (table, owner) = owner(ctx, def).filter(|(_, owner)| owner.identity)?;
    let column = table.column_by_id(owner.column).map(|c| c.name.as_str()).unwrap_or_default();
    let what = format!("column {} of table {}", names::quoted(column), names::quoted(&table.name));
    let text = format!("cannot drop sequence {} because {what} requires it", names::quoted(&def.name));
    let e = Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text);
    Some(e.hint(format!("You can drop {what} instead.")))
}

/// Columns whose DEFAULT draws from one of the sequences, with that sequence.
pub(in crate::statement) fn defaults_of<'a>(
    ctx: &'a QueryContext,
    sequences: &[SequenceId],
) -> Vec<(&'a Arc<TableDef>, &'a ColumnDef, SequenceId)> {
    let catalog = &ctx.snapshot.catalog;
    let mut found = Vec::new();
    if sequences.is_empty() {
        return found;
    }
    for table in catalog.tables.values() {
        for column in &table.columns {
            let Some(text) = &column.default else { continue };
            let named = reference::named(catalog, text);
            found.extend(named.into_iter().filter(|id| sequences.contains(id)).map(|id| (table, column, id)));
        }
    }
    found
}

/// Sequences go where their table goes, and to its owner.
pub(in crate::statement) fn follow(ctx: &QueryContext, table: &TableDef) -> Vec<Op> {
    let moved = owned(ctx, table.id).filter(|s| (s.schema, s.owner) != (table.schema, table.owner));
    moved.map(|s| Op::PutSequence(SequenceDef { schema: table.schema, owner: table.owner, ..(**s).clone() })).collect()
}

/// The sequence of an identity column whose type has grown: it goes with it, and so does a limit that was the type's.
pub(in crate::statement) fn widened(ctx: &QueryContext, id: SequenceId, ty: &SqlType) -> Option<Op> {
    let old = ctx.snapshot.catalog.sequence(id)?;
    let (before, after) = (bounds(&old.ty), bounds(ty));
    let mut def = SequenceDef { ty: ty.clone(), ..(**old).clone() };
    if def.max == before.1 {
        def.max = after.1;
    }
    if def.min == before.0 {
        def.min = after.0;
    }
    Some(Op::PutSequence(def))
}

/// The name that PostgreSQL makes of a table's and a column's: `t_c_seq`, cut to what fits, and numbered if it is taken.
pub(in crate::statement) fn free_name(
    ctx: &QueryContext,
    schema: SchemaId,
    table: &str,
    column: &str,
    taken: &[String],
) -> String {
    let is_free = |name: &str| !ctx.snapshot.catalog.has_relation(schema, name) && !taken.iter().any(|t| t == name);
    let labels = std::iter::once("seq".to_string()).chain((1..).map(|n| format!("seq{n}")));
    labels.map(|label| made_name(table, column, &label)).find(|name| is_free(name)).unwrap_or_default()
}

/// Both names are cut until they fit, the longer one first.
fn made_name(table: &str, column: &str, label: &str) -> String {
    let room = NAME_BYTES_MAX.saturating_sub(label.len() + 2);
    let (mut first, mut second) = (table.len(), column.len());
    while first + second > room {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let cut = |text: &str, to: usize| {
        let end = (0..=to).rev().find(|n| text.is_char_boundary(*n)).unwrap_or_default();
        text[..end].to_string()
    };
    format!("{}_{}_{label}", cut(table, first), cut(column, second))
}
