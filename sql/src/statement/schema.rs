//! Schemas: CREATE, ALTER, DROP.

use sightline_storage::catalog::SchemaDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::SchemaId;

use super::{done, names, table, user_type};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::parser::definition::{Drop, Rename, RenameTo, SchemaStatement};
use crate::plan::QueryContext;
use crate::session::Session;

/// Names that PostgreSQL keeps for itself, and ours.
fn reserved(name: &str) -> bool {
    name.starts_with("pg_") || matches!(name, "information_schema" | "sys")
}

pub(super) fn create(session: &mut Session, create: &SchemaStatement) -> Result<Answer> {
    let ctx = session.write_context()?;
    let mut allowed = authorize(&ctx.identity, Action::CreateSchema)?;
    let owner = match &create.owner {
        Some(role) => names::owner(&ctx, role)?,
        None => ctx.identity.role,
    };
    if owner != ctx.identity.role {
        allowed = authorize(&ctx.identity, Action::GiveTo(owner))?;
    }
    let name = create.name.as_ref().or(create.owner.as_ref()).cloned().unwrap_or_default();
    let name = new_name(&name)?;
    if ctx.snapshot.catalog.schemas.contains_key(&name) {
        let text = format!("schema \"{name}\" already exists");
        if create.if_not_exists {
            session.notice(Notice::new(SqlState::DUPLICATE_SCHEMA, format!("{text}, skipping")));
            return Ok(done("CREATE SCHEMA"));
        }
        return Err(Error::new(SqlState::DUPLICATE_SCHEMA, text));
    }
    session.apply(allowed, vec![Op::CreateSchema(SchemaDef { id: SchemaId(0), name, owner, comment: None })])?;
    Ok(done("CREATE SCHEMA"))
}

fn new_name(name: &str) -> Result<String> {
    let name = names::new_name(name)?;
    if reserved(&name) {
        return Err(Error::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
            .detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    Ok(name)
}

pub(super) fn rename(session: &mut Session, rename: &Rename) -> Result<Answer> {
    let ctx = session.context()?;
    let old = names::schema(&ctx, &names::single(&rename.name, &ctx.identity)?)?;
    let allowed = authorize(&ctx.identity, Action::ChangeSchema(&old))?;
    let mut schema = (*old).clone();
    match &rename.to {
        RenameTo::Name(name) => {
            schema.name = new_name(name)?;
            if ctx.snapshot.catalog.schemas.contains_key(&schema.name) {
                let text = format!("schema \"{}\" already exists", schema.name);
                return Err(Error::new(SqlState::DUPLICATE_SCHEMA, text));
            }
        }
        RenameTo::Owner(role) => {
            schema.owner = names::owner(&ctx, role)?;
            authorize(&ctx.identity, Action::GiveTo(schema.owner))?;
        }
        RenameTo::Schema(_) | RenameTo::Column(..) => {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "a schema has no schema and no columns"));
        }
    }
    session.apply(allowed, vec![Op::PutSchema(schema)])?;
    let changed = session.context()?;
    let inside = relations(&ctx, old.id);
    table::check_views(&changed, &inside, |view| {
        Error::unsupported(format!("cannot rename schema {} because view {} names it", old.name, view.name))
            .hint("Drop the view first, and create it again afterwards.")
    })?;
    Ok(done("ALTER SCHEMA"))
}

/// The OIDs of what is in a schema.
fn relations(ctx: &QueryContext, schema: SchemaId) -> Vec<u32> {
    let catalog = &ctx.snapshot.catalog;
    let tables = catalog.tables.values().filter(|t| t.schema == schema).map(|t| t.id.0);
    let sequences = catalog.sequences.values().filter(|s| s.schema == schema).map(|s| s.id.0);
    let views = catalog.views.values().filter(|v| v.schema == schema).map(|v| v.id.0);
    tables.chain(views).chain(sequences).collect()
}

pub(super) fn drop(session: &mut Session, drop: &Drop) -> Result<Answer> {
    for name in &drop.names {
        let ctx = session.context()?;
        let name = names::single(name, &ctx.identity)?;
        let schema = match names::schema(&ctx, &name) {
            Ok(schema) => schema,
            Err(_) if reserved(&name) => {
                let text = format!("cannot drop schema {name} because it is required by the database system");
                return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text));
            }
            Err(e) if drop.if_exists => {
                session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
                continue;
            }
            Err(e) => return Err(e),
        };
        let allowed = authorize(&ctx.identity, Action::ChangeSchema(&schema))?;
        let inside = relations(&ctx, schema.id);
        let types = ctx.snapshot.catalog.types.values().filter(|t| t.schema == schema.id).cloned().collect::<Vec<_>>();
        let empty = inside.is_empty() && types.is_empty();
        if !empty && !drop.cascade {
            return Err(not_empty(&ctx, &schema));
        }
        if !empty {
            let lines = described(&ctx, &schema).map(|d| format!("drop cascades to {d}")).collect::<Vec<_>>();
            session.notice(match lines.as_slice() {
                [one] => Notice::new(SqlState::new("00000"), one.clone()),
                many => Notice::new(SqlState::new("00000"), format!("drop cascades to {} other objects", many.len()))
                    .detail(many.join("\n")),
            });
            table::drop_relations(session, &ctx, &inside, true)?;
            if !types.is_empty() {
                let ctx = session.context()?;
                user_type::drop_types(session, &ctx, &types, true)?;
            }
        }
        session.apply(allowed, vec![Op::DropSchema(schema.id)])?;
    }
    Ok(done("DROP SCHEMA"))
}

/// `table t`, `view v` of a schema, as messages call them.
fn described(ctx: &QueryContext, schema: &SchemaDef) -> impl Iterator<Item = String> {
    let catalog = &ctx.snapshot.catalog;
    let (id, prefix) = (schema.id, format!("{}.", names::quoted(&schema.name)));
    let prefix = if schema.name == "public" { String::new() } else { prefix };
    let tables = catalog.tables.values().filter(move |t| t.schema == id);
    let views = catalog.views.values().filter(move |v| v.schema == id);
    let types = catalog.types.values().filter(move |t| t.schema == id);
    // One that a column owns goes without a word.
    let sequences = catalog.sequences.values().filter(move |s| s.schema == id && s.owned_by.is_none());
    let (view_prefix, type_prefix, sequence_prefix) = (prefix.clone(), prefix.clone(), prefix.clone());
    tables
        .map(move |t| format!("table {prefix}{}", names::quoted(&t.name)))
        .chain(views.map(move |v| format!("view {view_prefix}{}", names::quoted(&v.name))))
        .chain(sequences.map(move |s| format!("sequence {sequence_prefix}{}", names::quoted(&s.name))))
        .chain(types.map(move |t| format!("type {type_prefix}{}", names::quoted(&t.name))))
}

fn not_empty(ctx: &QueryContext, schema: &SchemaDef) -> Error {
    let lines = described(ctx, schema)
        .map(|d| format!("{d} depends on schema {}", names::quoted(&schema.name)))
        .collect::<Vec<_>>();
    let text = format!("cannot drop schema {} because other objects depend on it", names::quoted(&schema.name));
    Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text)
        .detail(lines.join("\n"))
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}
