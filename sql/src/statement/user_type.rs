//! Types that users make: CREATE TYPE and DOMAIN, ALTER, RENAME, DROP, COMMENT.

pub(super) mod domain;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::user_type::{first_numbers, number_between};
use sightline_storage::catalog::{ColumnDef, TableDef, TypeBody, TypeDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::TypeId;
use sightline_storage::types::SqlType;

use super::{done, names, table};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::parser::definition::{CommentOn, Drop, Kind, Rename, RenameTo};
use crate::parser::user_type::{AlterType, CreateType, NewType, TypeAction};
use crate::plan::{QueryContext, resolve_creation, resolve_temporary, sql_type_in, user_type};
use crate::session::Session;

/// The most bytes of a label, as in PostgreSQL.
const LABEL_BYTES_MAX: usize = 63;

pub(super) fn create(session: &mut Session, create: &CreateType) -> Result<Answer> {
    let body = match &create.body {
        NewType::Enum(labels) => TypeBody::Enum(new_labels(labels)?),
        NewType::Composite(fields) => {
            let ctx = session.context()?;
            let mut made: Vec<(String, SqlType)> = Vec::with_capacity(fields.len());
            for (name, ty) in fields {
                if made.iter().any(|(other, _)| other == name) {
                    let text = format!("column \"{name}\" specified more than once");
                    return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
                }
                made.push((names::new_name(name)?, table::column_type(&ctx, ty)?));
            }
            TypeBody::Composite(made)
        }
        NewType::Other(message) => return Err(Error::unsupported(*message)),
    };
    let (allowed, def) = new_type(session, &create.name, body)?;
    session.apply(allowed, vec![Op::CreateType(def)])?;
    Ok(done("CREATE TYPE"))
}

fn new_labels(labels: &[String]) -> Result<Vec<(i32, String)>> {
    for (n, label) in labels.iter().enumerate() {
        check_label(label)?;
        if labels[..n].contains(label) {
            let text = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
            return Err(Error::new(SqlState::new("23505"), text));
        }
    }
    let numbered = first_numbers(labels.len()).zip(labels.iter().cloned()).collect::<Vec<_>>();
    if numbered.len() < labels.len() {
        return Err(no_room());
    }
    Ok(numbered)
}

fn check_label(label: &str) -> Result<()> {
    if label.len() <= LABEL_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(SqlState::new("42602"), format!("invalid enum label \"{label}\""))
        .detail(format!("Labels must be {LABEL_BYTES_MAX} bytes or less.")))
}

fn no_room() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the enum has no room for another label at this place")
}

/// The definition of a new type of this name, if it may be made.
fn new_type(session: &mut Session, name: &ast::ObjectName, body: TypeBody) -> Result<(Allowed, TypeDef)> {
    let mut ctx = session.context()?;
    let (schema, name) = match resolve_temporary(&ctx, name, false)? {
        Some(name) => {
            let schema = session.temporary_schema()?;
            ctx = session.context()?;
            (schema, name)
        }
        None => resolve_creation(&ctx, name)?,
    };
    let name = names::new_name(&name)?;
    let allowed = authorize(&ctx.identity, Action::CreateIn(&*names::schema_by_id(&ctx, schema)?))?;
    let catalog = &ctx.snapshot.catalog;
    let key = (schema, name);
    let relation = catalog.has_relation(key.0, &key.1);
    if relation && matches!(body, TypeBody::Composite(_)) {
        let text = format!("relation \"{}\" already exists", key.1);
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    // A relation has a row type of its name.
    if relation || catalog.types.contains_key(&key) {
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("type \"{}\" already exists", key.1)));
    }
    let owner = ctx.identity.role;
    Ok((allowed, TypeDef { id: TypeId(0), array: TypeId(0), schema, name: key.1, owner, comment: None, body }))
}

pub(super) fn alter(session: &mut Session, alter: &AlterType) -> Result<Answer> {
    let ctx = session.context()?;
    let old = named(&ctx, &alter.name, Kind::Type)?;
    let allowed = authorize(&ctx.identity, Action::ChangeType(&old))?;
    let mut def = (*old).clone();
    for action in &alter.actions {
        match action {
            TypeAction::AddValue { label, if_not_exists, next_to } => {
                let labels = labels_of(&ctx, &mut def)?;
                check_label(label)?;
                if labels.iter().any(|(_, l)| l == label) {
                    let text = format!("enum label \"{label}\" already exists");
                    if !*if_not_exists {
                        return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
                    }
                    session.notice(Notice::new(SqlState::DUPLICATE_OBJECT, format!("{text}, skipping")));
                    return Ok(done("ALTER TYPE"));
                }
                add_label(labels, label, next_to.as_ref().map(|(after, label)| (*after, label.as_str())))?;
            }
            TypeAction::RenameValue(from, to) => {
                let labels = labels_of(&ctx, &mut def)?;
                check_label(to)?;
                let at = labels.iter().position(|(_, l)| l == from).ok_or_else(|| no_label(from))?;
                if labels.iter().any(|(_, l)| l == to) {
                    let text = format!("enum label \"{to}\" already exists");
                    return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
                }
                labels[at].1.clone_from(to);
            }
            attribute => alter_attribute(session, &ctx, &mut def, attribute)?,
        }
    }
    session.apply(allowed, vec![Op::PutType(def)])?;
    Ok(done("ALTER TYPE"))
}

fn labels_of<'a>(ctx: &QueryContext, def: &'a mut TypeDef) -> Result<&'a mut Vec<(i32, String)>> {
    let shown = ctx.snapshot.catalog.sql_type(def).to_string();
    match &mut def.body {
        TypeBody::Enum(labels) => Ok(labels),
        TypeBody::Domain(_) | TypeBody::Composite(_) => {
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("{shown} is not an enum")))
        }
    }
}

fn no_label(label: &str) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("\"{label}\" is not an existing enum label"))
}

/// Puts a label behind all others, or before or after one.
fn add_label(labels: &mut Vec<(i32, String)>, label: &str, next_to: Option<(bool, &str)>) -> Result<()> {
    let (at, after) = match next_to {
        Some((after, neighbour)) => {
            let found = labels.iter().position(|(_, l)| l == neighbour).ok_or_else(|| no_label(neighbour))?;
            (found + usize::from(after), after)
        }
        None => (labels.len(), true),
    };
    let number = |at: Option<usize>| at.and_then(|at| labels.get(at)).map(|(n, _)| *n);
    let made = number_between(number(at.checked_sub(1)), number(Some(at)), after).ok_or_else(no_room)?;
    labels.insert(at, (made, label.to_string()));
    Ok(())
}

/// What ALTER TYPE does with a composite type's fields, as long as no column holds values of it.
fn alter_attribute(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    def: &mut TypeDef,
    action: &TypeAction,
) -> Result<()> {
    let shown = ctx.snapshot.catalog.sql_type(def).to_string();
    let id = def.id.0;
    // Only composite types are relations.
    let TypeBody::Composite(fields) = &mut def.body else {
        return Err(Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist")));
    };
    let at = |fields: &[(String, SqlType)], name: &str| fields.iter().position(|(n, _)| n == name);
    let missing = |name: &str| {
        let text = format!("column \"{name}\" of relation \"{shown}\" does not exist");
        Error::new(SqlState::UNDEFINED_COLUMN, text)
    };
    // Also to rename an attribute: parts know the fields of their rows by name.
    let tables = ctx.snapshot.catalog.tables.values();
    let used = tables.flat_map(|t| t.columns.iter().map(move |c| (t, c))).find(|(_, c)| c.ty.users().contains(&id));
    if let Some((table, column)) = used {
        let text = format!(
            "cannot alter type \"{shown}\" because column \"{}.{}\" uses it",
            names::quoted(&table.name),
            names::quoted(&column.name)
        );
        return Err(Error::unsupported(text));
    }
    match action {
        TypeAction::RenameAttribute(from, to) => {
            let unknown = || Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{from}\" does not exist"));
            let found = at(fields, from).ok_or_else(unknown)?;
            if at(fields, to).is_some() {
                let text = format!("column \"{to}\" of relation \"{shown}\" already exists");
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
            }
            fields[found].0 = names::new_name(to)?;
        }
        TypeAction::AddAttribute(name, ty) => {
            if at(fields, name).is_some() {
                let text = format!("column \"{name}\" of relation \"{shown}\" already exists");
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
            }
            let ty = table::column_type(ctx, ty)?;
            if ty.users().contains(&id) {
                let text = format!("composite type {shown} cannot be made a member of itself");
                return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
            }
            fields.push((names::new_name(name)?, ty));
        }
        TypeAction::DropAttribute { name, if_exists } => match at(fields, name) {
            Some(found) => drop_field(fields, found),
            None if *if_exists => {
                let text = format!("column \"{name}\" of relation \"{shown}\" does not exist, skipping");
                session.notice(Notice::new(SqlState::new("00000"), text));
            }
            None => return Err(missing(name)),
        },
        TypeAction::AlterAttribute(name, ty) => {
            let found = at(fields, name).ok_or_else(|| missing(name))?;
            let ty = table::column_type(ctx, ty)?;
            if ty.users().contains(&id) {
                let text = format!("composite type {shown} cannot be made a member of itself");
                return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
            }
            fields[found].1 = ty;
        }
        TypeAction::AddValue { .. } | TypeAction::RenameValue(..) => {}
    }
    Ok(())
}

fn drop_field(fields: &mut Vec<(String, SqlType)>, at: usize) {
    fields.remove(at);
}

/// The type that a statement names; of a domain if it is about domains.
///
/// # Errors
/// 42704, 3F000, 42809.
fn named(ctx: &QueryContext, name: &ast::ObjectName, kind: Kind) -> Result<Arc<TypeDef>> {
    let def = user_type(ctx, name).map_err(|e| built_in(ctx, name).unwrap_or(e))?;
    if kind == Kind::Domain && !matches!(def.body, TypeBody::Domain(_)) {
        let text = format!("\"{}\" is not a domain", def.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
    }
    Ok(def)
}

/// The error of a statement about a type that is built in.
fn built_in(ctx: &QueryContext, name: &ast::ObjectName) -> Option<Error> {
    let ty = sql_type_in(ctx, &ast::DataType::Custom(name.clone(), Vec::new())).ok()?;
    Some(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of type {ty}")))
}

pub(super) fn rename(session: &mut Session, rename: &Rename) -> Result<Answer> {
    let ctx = session.context()?;
    let old = named(&ctx, &rename.name, rename.kind)?;
    let allowed = authorize(&ctx.identity, Action::ChangeType(&old))?;
    let mut def = (*old).clone();
    let catalog = &ctx.snapshot.catalog;
    match &rename.to {
        RenameTo::Name(name) => def.name = names::new_name(name)?,
        RenameTo::Owner(role) => {
            def.owner = names::owner(&ctx, role)?;
            authorize(&ctx.identity, Action::GiveTo(def.owner))?;
        }
        RenameTo::Schema(name) => {
            let schema = names::schema(&ctx, name)?;
            authorize(&ctx.identity, Action::CreateIn(&schema))?;
            def.schema = schema.id;
        }
        RenameTo::Column(..) => return Err(Error::new(SqlState::SYNTAX_ERROR, "a type has no columns")),
    }
    let key = (def.schema, def.name.clone());
    let taken = catalog.types.contains_key(&key) || catalog.has_relation(key.0, &key.1);
    if taken && (old.schema, &old.name) != (def.schema, &def.name) {
        let text = match &rename.to {
            RenameTo::Schema(schema) => format!("type \"{}\" already exists in schema \"{schema}\"", def.name),
            _ => format!("type \"{}\" already exists", def.name),
        };
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
    }
    session.apply(allowed, vec![Op::PutType(def)])?;
    let changed = session.context()?;
    table::check_views(&changed, &[old.id.0], |view| {
        Error::unsupported(format!("cannot rename type {} because view {} names it", old.name, view.name))
            .hint("Drop the view first, and create it again afterwards.")
    })?;
    Ok(done(if rename.kind == Kind::Domain { "ALTER DOMAIN" } else { "ALTER TYPE" }))
}

pub(super) fn comment(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    on: &CommentOn,
    text: Option<String>,
) -> Result<()> {
    let old = named(ctx, &on.name, on.kind)?;
    let allowed = authorize(&ctx.identity, Action::ChangeType(&old))?;
    let def = TypeDef { comment: text, ..(*old).clone() };
    session.apply(allowed, vec![Op::PutType(def)])
}

/// DROP TYPE and DROP DOMAIN.
pub(super) fn drop(session: &mut Session, drop: &Drop) -> Result<Answer> {
    let ctx = session.context()?;
    let mut types: Vec<Arc<TypeDef>> = Vec::new();
    for name in &drop.names {
        match named(&ctx, name, drop.kind) {
            Ok(def) if types.iter().any(|t| t.id == def.id) => {}
            Ok(def) => types.push(def),
            Err(e)
                if drop.if_exists && matches!(e.code(), SqlState::UNDEFINED_OBJECT | SqlState::INVALID_SCHEMA_NAME) =>
            {
                session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
            }
            Err(e) if e.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                let ty = e.message().rsplit("type ").next().unwrap_or_default();
                let text = format!("cannot drop type {ty} because it is required by the database system");
                return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text));
            }
            Err(e) => return Err(e),
        }
    }
    drop_types(session, &ctx, &types, drop.cascade)?;
    Ok(done(if drop.kind == Kind::Domain { "DROP DOMAIN" } else { "DROP TYPE" }))
}

/// Drops types and, with `cascade`, the columns that have them and the types made of them.
///
/// # Errors
/// 2BP01 without `cascade` if there are such; 42501.
pub(super) fn drop_types(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    types: &[Arc<TypeDef>],
    cascade: bool,
) -> Result<()> {
    let mut allowed = authorize(&ctx.identity, Action::OwnSession)?;
    for def in types {
        allowed = authorize(&ctx.identity, Action::ChangeType(def))?;
    }
    let catalog = &ctx.snapshot.catalog;
    let mut going = types.to_vec();
    let mut lines = Vec::new();
    let mut n = 0;
    while let Some(def) = going.get(n).cloned() {
        n += 1;
        let shown = |ty: &SqlType| format!("type {ty}");
        let own = catalog.sql_type(&def);
        let columns = catalog.tables.values().flat_map(|t| t.columns.iter().map(move |c| (t, c)));
        let columns = columns.filter(|(_, c)| c.ty.users().first() == Some(&def.id.0));
        let (arrays, plain): (Vec<_>, Vec<_>) = columns.partition(|(_, c)| matches!(c.ty, SqlType::Array(_)));
        let column = |(table, column): (&Arc<TableDef>, &ColumnDef)| {
            let what = format!("column {} of table {}", names::quoted(&column.name), names::quoted(&table.name));
            (what, shown(&column.ty))
        };
        lines.extend(arrays.into_iter().map(column));
        for other in catalog.types.values().filter(|t| t.uses().contains(&def.id.0)) {
            if going.iter().any(|t| t.id == other.id) {
                continue;
            }
            let name = names::quoted(&other.name);
            match &other.body {
                TypeBody::Composite(fields) => {
                    for (field, ty) in fields.iter().filter(|(_, ty)| ty.users().contains(&def.id.0)) {
                        let column = format!("column {} of composite type {name}", names::quoted(field));
                        lines.push((column, shown(ty)));
                    }
                }
                _ => lines.push((format!("type {name}"), shown(&own))),
            }
            going.push(other.clone());
        }
        lines.extend(plain.into_iter().map(column));
        for view in catalog.views.values().filter(|v| v.depends_on.contains(&def.id.0)) {
            lines.push((format!("view {}", names::quoted(&view.name)), shown(&own)));
        }
    }
    if lines.is_empty() {
        return session.apply(allowed, types.iter().map(|t| Op::DropType(t.id)).collect());
    }
    if !cascade {
        let text = match types {
            [one] => {
                let name = catalog.sql_type(one);
                format!("cannot drop type {name} because other objects depend on it")
            }
            _ => "cannot drop desired object(s) because other objects depend on them".to_string(),
        };
        let lines = lines.iter().map(|(what, on)| format!("{what} depends on {on}")).collect::<Vec<_>>();
        return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    let lines = lines.iter().map(|(what, _)| format!("drop cascades to {what}")).collect::<Vec<_>>();
    session.notice(match lines.as_slice() {
        [one] => Notice::new(SqlState::new("00000"), one.clone()),
        many => Notice::new(SqlState::new("00000"), format!("drop cascades to {} other objects", many.len()))
            .detail(many.join("\n")),
    });
    drop_users(session, ctx, &going)
}

/// Drops what uses types, and the types.
fn drop_users(session: &mut Session, ctx: &Arc<QueryContext>, types: &[Arc<TypeDef>]) -> Result<()> {
    let allowed = authorize(&ctx.identity, Action::OwnSession)?;
    let catalog = &ctx.snapshot.catalog;
    let ids = types.iter().map(|t| t.id.0).collect::<Vec<_>>();
    let uses = |ty: &SqlType| ty.users().iter().any(|oid| ids.contains(oid));
    let tables = catalog.tables.values().filter(|t| t.columns.iter().any(|c| uses(&c.ty))).collect::<Vec<_>>();
    let mut oids = tables.iter().map(|t| t.id.0).collect::<Vec<_>>();
    oids.extend(&ids);
    let views = table::dependent_views(ctx, &oids);
    let mut ops = views.iter().rev().map(|v| Op::DropView(v.id)).collect::<Vec<_>>();
    for old in tables {
        let mut def = (**old).clone();
        let columns = old.columns.iter().filter(|c| uses(&c.ty));
        for column in columns {
            table::drop_column(session, ctx, &mut def, &column.name, (false, true))?;
        }
        def.version = old.version + 1;
        ops.push(Op::PutTable(def));
    }
    // What is made of others was found after them.
    ops.extend(types.iter().rev().map(|t| Op::DropType(t.id)));
    session.apply(allowed, ops)
}
