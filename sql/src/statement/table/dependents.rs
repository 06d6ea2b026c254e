//! Views and what they read.

use std::sync::Arc;

use sightline_storage::catalog::{ColumnDef, SequenceDef, TableDef, ViewDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{SequenceId, TableId};

use super::constraints::{still_needed, tell};
use crate::catalog::relation_shown;
use crate::parser;
use crate::plan::{QueryContext, plan_query};
use crate::session::Session;
use crate::statement::names::quoted;
use crate::statement::sequence::{cannot_drop_identity, defaults_of};

/// Views that read any of these relations, directly or through other views, without those named; in an order in which
/// each comes after what it reads.
pub(crate) fn dependent_views(ctx: &QueryContext, oids: &[u32]) -> Vec<Arc<ViewDef>> {
    let mut found: Vec<Arc<ViewDef>> = Vec::new();
    let mut reached = oids.to_vec();
    loop {
        let next = ctx
            .snapshot
            .catalog
            .views
            .values()
            .find(|v| !reached.contains(&v.id.0) && v.depends_on.iter().any(|d| reached.contains(d)));
        match next {
            Some(view) => {
                reached.push(view.id.0);
                found.push(view.clone());
            }
            None => return found,
        }
    }
}

/// Those views in an order in which a view comes before what it reads.
pub(super) fn readers_first<'a>(views: &[&'a Arc<ViewDef>]) -> Vec<&'a Arc<ViewDef>> {
    let mut rest = views.to_vec();
    let mut ordered = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let free = rest.iter().position(|v| !rest.iter().any(|other| other.depends_on.contains(&v.id.0)));
        ordered.push(rest.remove(free.unwrap_or_default()));
    }
    ordered
}

/// The sequences among these relations that do not go with a table among them, and those that do go with one.
///
/// # Errors
/// 2BP01 for that of an identity column which stays.
pub(super) fn sequences(ctx: &QueryContext, oids: &[u32]) -> Result<(Vec<SequenceId>, Vec<SequenceId>)> {
    let with_table = |s: &SequenceDef| s.owned_by.is_some_and(|o| oids.contains(&o.table.0));
    let (mut alone, mut owned) = (Vec::new(), Vec::new());
    for sequence in ctx.snapshot.catalog.sequences.values() {
        if with_table(sequence) {
            owned.push(sequence.id);
        } else if oids.contains(&sequence.id.0) {
            if let Some(e) = cannot_drop_identity(ctx, sequence.id) {
                return Err(e);
            }
            alone.push(sequence.id);
        }
    }
    Ok((alone, owned))
}

/// A DEFAULT of a table that stays, and the sequence that goes.
pub(super) type DefaultOf<'a> = (&'a Arc<TableDef>, &'a ColumnDef, SequenceId);

/// Defaults that draw from the sequences, of tables that stay.
pub(super) fn defaults<'a>(ctx: &'a QueryContext, oids: &[u32], sequences: &[SequenceId]) -> Vec<DefaultOf<'a>> {
    let all = defaults_of(ctx, sequences).into_iter();
    all.filter(|(table, ..)| !oids.contains(&table.id.0)).collect()
}

/// The tables without those defaults.
pub(super) fn without_defaults(defaults: &[DefaultOf<'_>]) -> Vec<TableDef> {
    let mut changed: Vec<TableDef> = Vec::new();
    for (table, column, _) in defaults {
        let at = changed.iter().position(|t| t.id == table.id).unwrap_or_else(|| {
            changed.push(TableDef { version: table.version + 1, ..(***table).clone() });
            changed.len() - 1
        });
        changed[at].columns.iter_mut().filter(|c| c.id == column.id).for_each(|c| c.default = None);
    }
    changed
}

/// How a relation is called in a message.
fn shown(ctx: &QueryContext, oid: u32) -> String {
    let catalog = &ctx.snapshot.catalog;
    if catalog.sequence(SequenceId(oid)).is_some() {
        return format!("sequence {}", relation_shown(ctx, oid));
    }
    let table = catalog.tables.values().find(|t| t.id.0 == oid).map(|t| format!("table {}", quoted(&t.name)));
    let view = || catalog.views.values().find(|v| v.id.0 == oid).map(|v| format!("view {}", quoted(&v.name)));
    table.or_else(view).unwrap_or_default()
}

/// With `cascade` tells which views go too; without it refuses.
pub(super) fn refuse_or_tell(
    session: &mut Session,
    ctx: &QueryContext,
    oids: &[u32],
    defaults: &[DefaultOf<'_>],
    dependents: &[Arc<ViewDef>],
    cascade: bool,
) -> Result<()> {
    let keys = referring(ctx, oids);
    if dependents.is_empty() && keys.is_empty() && defaults.is_empty() {
        return Ok(());
    }
    let default = |(table, column, _): &DefaultOf<'_>| {
        format!("default value for column {} of table {}", quoted(&column.name), relation_shown(ctx, table.id.0))
    };
    if cascade {
        let views = dependents.iter().map(|v| format!("view {}", quoted(&v.name)));
        let keys = keys.iter().map(|(key, _)| key.clone());
        tell(session, &defaults.iter().map(default).chain(keys).chain(views).collect::<Vec<_>>());
        return Ok(());
    }
    let mut lines = keys.iter().map(|(key, on)| format!("{key} depends on {}", shown(ctx, *on))).collect::<Vec<_>>();
    lines.extend(defaults.iter().map(|d| format!("{} depends on {}", default(d), shown(ctx, d.2.0))));
    for view in dependents {
        for read in &view.depends_on {
            let reached = oids.contains(read) || dependents.iter().any(|d| d.id.0 == *read);
            if reached {
                lines.push(format!("view {} depends on {}", quoted(&view.name), shown(ctx, *read)));
            }
        }
    }
    if let [one] = oids {
        return Err(still_needed(&shown(ctx, *one), &lines));
    }
    let message = "cannot drop desired object(s) because other objects depend on them";
    Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .detail(lines.join("\n"))
        .hint("Use DROP ... CASCADE to drop the dependent objects too."))
}

/// The foreign keys of other tables that refer to these, and to which.
fn referring(ctx: &QueryContext, oids: &[u32]) -> Vec<(String, u32)> {
    let catalog = &ctx.snapshot.catalog;
    let keys = oids.iter().flat_map(|oid| catalog.referring(TableId(*oid)).map(move |found| (found, *oid)));
    let keys = keys.filter(|((table, _), _)| !oids.contains(&table.id.0));
    keys.map(|((table, key), oid)| (format!("constraint {} on table {}", key.name, quoted(&table.name)), oid)).collect()
}

/// Checks that the views that read these relations still plan, with the columns they had. `refused` makes the error of a
/// view that does not.
///
/// # Errors
/// What `refused` says.
pub(crate) fn check_views(ctx: &Arc<QueryContext>, oids: &[u32], refused: impl Fn(&ViewDef) -> Error) -> Result<()> {
    for view in dependent_views(ctx, oids) {
        let query = parser::query(&view.query)?;
        let ctx = Arc::new(ctx.of_view(&view)?);
        let planned = plan_query(&ctx, &query, &[]).map_err(|e| refused(&view).source(e))?;
        let same = planned.columns.len() >= view.columns.len()
            && view.columns.iter().zip(planned.columns.iter()).all(|((_, ty), column)| *ty == column.ty);
        if !same {
            return Err(refused(&view));
        }
    }
    Ok(())
}
