//! Views: CREATE [OR REPLACE], and what ALTER VIEW changes.

use std::sync::Arc;

use sightline_storage::catalog::ViewDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::ViewId;
use sightline_storage::types::SqlType;

use super::{done, names, query, table};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::parser::definition::{CreateView, RenameTo};
use crate::plan::{QueryContext, fold, plan_query, resolve_creation, resolve_temporary, types_of};
use crate::session::Session;

pub(super) fn create(session: &mut Session, create: &CreateView) -> Result<Answer> {
    let mut ctx = session.context()?;
    let mut reads = query::relations_of(&ctx, &create.query);
    reads.extend(types_of(&ctx, &create.query));
    // What reads a temporary relation is one itself.
    let temporary = create.temporary || {
        let relation = |oid: u32| ctx.snapshot.catalog.tables.values().find(|t| t.id.0 == oid).map(|t| t.schema);
        let view = |oid: u32| ctx.snapshot.catalog.views.values().find(|v| v.id.0 == oid).map(|v| v.schema);
        let own = ctx.snapshot.catalog.schemas.get(&ctx.temporary_name()).map(|s| s.id);
        own.is_some() && reads.iter().any(|oid| relation(*oid).or_else(|| view(*oid)) == own)
    };
    if temporary && !create.temporary {
        let text = format!("view \"{}\" will be a temporary view", names::last(&create.name));
        session.notice(Notice::new(SqlState::new("00000"), text));
    }
    let (schema, name) = match resolve_temporary(&ctx, &create.name, temporary)? {
        Some(name) => {
            let schema = session.temporary_schema()?;
            ctx = session.context()?;
            (schema, name)
        }
        None => resolve_creation(&ctx, &create.name)?,
    };
    let name = names::new_name(&name)?;
    let mut allowed = authorize(&ctx.identity, Action::CreateIn(&*names::schema_by_id(&ctx, schema)?))?;
    let planned = plan_query(&ctx, &create.query, &[])?;
    if !planned.parameters.is_empty() {
        return Err(Error::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
    }
    if create.columns.len() > planned.columns.len() {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "CREATE VIEW specifies more column names than columns"));
    }
    let mut columns: Vec<(String, SqlType)> = Vec::with_capacity(planned.columns.len());
    for (n, column) in planned.columns.iter().enumerate() {
        let name = create.columns.get(n).map_or_else(|| column.name.clone(), fold);
        if columns.iter().any(|(other, _)| *other == name) {
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        let ty = if column.ty == SqlType::Unknown { SqlType::Text } else { column.ty.clone() };
        names::no_row(&name, &ty)?;
        columns.push((name, ty));
    }
    let mut view = ViewDef {
        id: ViewId(0),
        schema,
        name: name.clone(),
        owner: ctx.identity.role,
        query: create.query.to_string(),
        search_path: if temporary { ctx.relation_path() } else { ctx.search_path() },
        columns,
        depends_on: reads,
        comment: None,
        column_comments: Vec::new(),
    };
    let key = (schema, name);
    let catalog = &ctx.snapshot.catalog;
    if let (true, Some(old)) = (create.or_replace, catalog.views.get(&key)) {
        allowed = authorize(&ctx.identity, Action::ChangeView(old))?;
        replaces(old, &view)?;
        if view.depends_on.contains(&old.id.0) || reads_itself(&ctx, old, &view) {
            let text = format!("infinite recursion detected in rules for relation \"{}\"", old.name);
            return Err(Error::new(SqlState::new("42P17"), text));
        }
        view.id = old.id;
        view.owner = old.owner;
        view.comment = old.comment.clone();
        view.column_comments = old.column_comments.clone();
        session.apply(allowed, vec![Op::PutView(view)])?;
        return Ok(done("CREATE VIEW"));
    }
    let other = catalog.tables.contains_key(&key) || catalog.sequences.contains_key(&key);
    if other && create.or_replace {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a view", key.1)));
    }
    if catalog.has_relation(key.0, &key.1) {
        return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{}\" already exists", key.1)));
    }
    session.apply(allowed, vec![Op::CreateView(view)])?;
    Ok(done("CREATE VIEW"))
}

/// True if something that the new definition reads reads the view.
fn reads_itself(ctx: &QueryContext, old: &ViewDef, new: &ViewDef) -> bool {
    table::dependent_views(ctx, &[old.id.0]).iter().any(|v| new.depends_on.contains(&v.id.0))
}

/// A replacement keeps the columns that there are: others may read them.
fn replaces(old: &ViewDef, new: &ViewDef) -> Result<()> {
    let refuse = |text: String| Error::new(SqlState::INVALID_TABLE_DEFINITION, text);
    if new.columns.len() < old.columns.len() {
        return Err(refuse("cannot drop columns from view".to_string()));
    }
    for ((old_name, old_type), (new_name, new_type)) in old.columns.iter().zip(&new.columns) {
        if old_name != new_name {
            return Err(refuse(format!("cannot change name of view column \"{old_name}\" to \"{new_name}\""))
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if old_type != new_type {
            let text = format!("cannot change data type of view column \"{old_name}\" from {old_type} to {new_type}");
            return Err(refuse(text));
        }
    }
    Ok(())
}

/// RENAME TO, RENAME COLUMN, OWNER TO, SET SCHEMA.
pub(super) fn rename(session: &mut Session, ctx: &Arc<QueryContext>, old: &Arc<ViewDef>, to: &RenameTo) -> Result<()> {
    let allowed = authorize(&ctx.identity, Action::ChangeView(old))?;
    let mut view = (**old).clone();
    match to {
        RenameTo::Name(name) => {
            view.name = names::new_name(name)?;
            if ctx.snapshot.catalog.has_relation(view.schema, &view.name) {
                let text = format!("relation \"{}\" already exists", view.name);
                return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
            }
        }
        RenameTo::Owner(role) => {
            view.owner = names::owner(ctx, role)?;
            authorize(&ctx.identity, Action::GiveTo(view.owner))?;
        }
        RenameTo::Schema(name) => view.schema = table::new_schema(ctx, old.schema, name, &view.name)?,
        RenameTo::Column(from, to) => {
            if view.columns.iter().any(|(name, _)| name == to) {
                let text = format!("column \"{to}\" of relation \"{}\" already exists", view.name);
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
            }
            match view.columns.iter_mut().find(|(name, _)| name == from) {
                Some((name, _)) => *name = names::new_name(to)?,
                None => {
                    let text = format!("column \"{from}\" does not exist");
                    return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
                }
            }
        }
    }
    session.apply(allowed, vec![Op::PutView(view)])?;
    let changed = session.context()?;
    table::check_views(&changed, &[old.id.0], |reader| {
        Error::unsupported(format!("cannot rename in view {} because view {} depends on it", old.name, reader.name))
            .hint("Drop that view first, and create it again afterwards.")
    })
}
