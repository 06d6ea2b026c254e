//! Sequences: CREATE, ALTER, and who they belong to (<https://www.postgresql.org/docs/15/sql-altersequence.html>).

mod options;
mod owner;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{SequenceDef, SequenceState, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{RoleId, SchemaId, SequenceId};
use sightline_storage::types::SqlType;

use super::{done, names, table};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::parser::definition::{CommentOn, Rename, RenameTo};
use crate::parser::sequence::{AlterSequence, CreateSequence};
use crate::plan::{QueryContext, Relation, resolve_creation, resolve_relation, resolve_temporary};
use crate::sequence;
use crate::session::Session;

pub(super) use options::{Options, bounds};
pub(super) use owner::{cannot_drop_identity, defaults_of, follow, free_name, owned, widened};

/// A sequence of the usual kind, still without a number.
pub(super) fn blank(schema: SchemaId, name: String, owner: RoleId, ty: SqlType) -> SequenceDef {
    SequenceDef {
        id: SequenceId(0),
        schema,
        name,
        owner,
        ty,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owned_by: None,
        comment: None,
    }
}

pub(super) fn create(session: &mut Session, text: &str, create: &CreateSequence) -> Result<Answer> {
    let mut ctx = session.write_context()?;
    let (schema, name) = match resolve_temporary(&ctx, &create.name, create.temporary)? {
        Some(name) => {
            let schema = session.temporary_schema()?;
            ctx = session.context()?;
            (schema, name)
        }
        None => resolve_creation(&ctx, &create.name)?,
    };
    let name = names::new_name(&name)?;
    let allowed = authorize(&ctx.identity, Action::CreateIn(&*names::schema_by_id(&ctx, schema)?))?;
    if ctx.snapshot.catalog.has_relation(schema, &name) {
        let text = format!("relation \"{name}\" already exists");
        if create.if_not_exists {
            session.notice(Notice::new(SqlState::DUPLICATE_TABLE, format!("{text}, skipping")));
            return Ok(done("CREATE SEQUENCE"));
        }
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    let options = Options::of(&create.options, Some(text))?;
    let mut def = blank(schema, name, ctx.identity.role, SqlType::BigInt);
    let mut state = def.fresh();
    options.apply(&ctx, &mut def, &mut state, true, false)?;
    if let Some(name) = options.owned_by {
        def.owned_by = owner::of_column(&ctx, &def, name)?;
    }
    def.id = next_id(&ctx, 0)?;
    let ops = made(def, state);
    session.apply(allowed, ops)?;
    Ok(done("CREATE SEQUENCE"))
}

/// The OID that the catalog gives out after so many others.
pub(super) fn next_id(ctx: &QueryContext, after: u32) -> Result<SequenceId> {
    let full = || Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has given out all OIDs");
    ctx.snapshot.catalog.next_oid.checked_add(after).map(SequenceId).ok_or_else(full)
}

/// What makes a sequence that has its OID, and puts it where it is to stand.
pub(super) fn made(def: SequenceDef, state: SequenceState) -> Vec<Op> {
    let (sequence, fresh) = (def.id, def.fresh());
    let mut ops = vec![Op::CreateSequence(def)];
    if (state.last, state.is_called) != (fresh.last, fresh.is_called) {
        ops.push(Op::SetSequence { sequence, last: state.last, is_called: state.is_called });
    }
    ops
}

/// The sequence to be changed, or none with a notice if it is missing and may be.
fn found(
    session: &mut Session,
    ctx: &QueryContext,
    name: &ast::ObjectName,
    if_exists: bool,
) -> Result<Option<Arc<SequenceDef>>> {
    match names::sequence(ctx, name) {
        Ok(def) => Ok(Some(def)),
        Err(e) if if_exists && e.code() == SqlState::UNDEFINED_TABLE => {
            session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

pub(super) fn alter(session: &mut Session, text: &str, alter: &AlterSequence) -> Result<Answer> {
    let ctx = session.write_context()?;
    let Some(old) = found(session, &ctx, &alter.name, alter.if_exists)? else { return Ok(done("ALTER SEQUENCE")) };
    let allowed = authorize(&ctx.identity, Action::ChangeSequence(&old))?;
    let options = Options::of(&alter.options, Some(text))?;
    change(session, &ctx, allowed, &old, &options)?;
    Ok(done("ALTER SEQUENCE"))
}

/// Changes a sequence by options, also that of an identity column.
pub(super) fn change(
    session: &mut Session,
    ctx: &QueryContext,
    allowed: Allowed,
    old: &SequenceDef,
    options: &Options,
) -> Result<()> {
    let mut def = old.clone();
    let mut ops = Vec::new();
    if options.changes_numbers() {
        // Read only where it has to be: what is reserved is given back, and nobody else may draw before COMMIT.
        let held = sequence::hold(ctx, old.id)?;
        let (last, is_called) = match held.first() {
            Some(Op::AdvanceSequence { last, is_called, .. }) => (*last, *is_called),
            _ => (old.start, false),
        };
        let mut state = SequenceState { last, is_called, version: 0 };
        let identity = old.owned_by.is_some_and(|o| o.identity);
        let restarted = options.apply(ctx, &mut def, &mut state, false, identity)?;
        if restarted {
            ops.push(Op::SetSequence { sequence: old.id, last: state.last, is_called: state.is_called });
        } else {
            ops.extend(held);
        }
        ctx.drawn.forget_cached(old.id);
    }
    if let Some(name) = options.owned_by {
        owner::refuse_identity(ctx, old, "cannot change ownership of identity sequence")?;
        def.owned_by = owner::of_column(ctx, &def, name)?;
    }
    if def != *old {
        ops.push(Op::PutSequence(def));
    }
    session.apply(allowed, ops)
}

/// RENAME TO, OWNER TO, SET SCHEMA.
pub(super) fn rename(session: &mut Session, rename: &Rename) -> Result<Answer> {
    let ctx = session.context()?;
    let Some(old) = found(session, &ctx, &rename.name, rename.if_exists)? else { return Ok(done("ALTER SEQUENCE")) };
    rename_to(session, &ctx, &old, &rename.to)?;
    Ok(done("ALTER SEQUENCE"))
}

pub(super) fn rename_to(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    old: &SequenceDef,
    to: &RenameTo,
) -> Result<()> {
    let allowed = authorize(&ctx.identity, Action::ChangeSequence(old))?;
    let mut def = old.clone();
    match to {
        RenameTo::Name(name) => {
            def.name = names::new_name(name)?;
            if ctx.snapshot.catalog.has_relation(def.schema, &def.name) {
                let text = format!("relation \"{}\" already exists", def.name);
                return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
            }
        }
        RenameTo::Owner(role) if names::owner(ctx, role)? == old.owner => return Ok(()),
        RenameTo::Owner(role) => {
            owner::refuse_owned(ctx, old, &format!("cannot change owner of sequence \"{}\"", old.name))?;
            def.owner = names::owner(ctx, role)?;
            authorize(&ctx.identity, Action::GiveTo(def.owner))?;
        }
        RenameTo::Schema(name) => {
            owner::refuse_owned(ctx, old, "cannot move an owned sequence into another schema")?;
            def.schema = table::new_schema(ctx, old.schema, name, &def.name)?;
        }
        RenameTo::Column(..) => {
            let text = format!("cannot rename columns of relation \"{}\"", old.name);
            return Err(
                Error::new(SqlState::WRONG_OBJECT_TYPE, text).detail("This operation is not supported for sequences.")
            );
        }
    }
    session.apply(allowed, vec![Op::PutSequence(def)])?;
    let changed = session.context()?;
    table::check_views(&changed, &[old.id.0], |view| {
        Error::unsupported(format!("cannot rename sequence {} because view {} depends on it", old.name, view.name))
            .hint("Drop the view first, and create it again afterwards.")
    })
}

pub(super) fn comment(session: &mut Session, ctx: &QueryContext, on: &CommentOn) -> Result<()> {
    let old = names::sequence(ctx, &on.name)?;
    let allowed = authorize(&ctx.identity, Action::ChangeSequence(&old))?;
    session.apply(allowed, vec![Op::PutSequence(SequenceDef { comment: on.text.clone(), ..(*old).clone() })])
}

/// The relation that OWNED BY names.
fn table_of(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Arc<TableDef>> {
    let refused = |name: &str, kind: &str| {
        let text = format!("sequence cannot be owned by relation \"{name}\"");
        Error::new(SqlState::WRONG_OBJECT_TYPE, text).detail(format!("This operation is not supported for {kind}."))
    };
    match resolve_relation(ctx, name)? {
        Relation::Table(table) => Ok(table),
        Relation::View(view) => Err(refused(&view.name, "views")),
        Relation::Sequence(sequence) => Err(refused(&sequence.name, "sequences")),
        Relation::System(_, name) => Err(refused(&name, "system catalogs")),
    }
}
