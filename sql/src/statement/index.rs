//! Indexes: CREATE, ALTER, DROP, REINDEX, CLUSTER, comments on them and on constraints.
//!
//! An index is a definition and a promise (of UNIQUE), not a file: parts carry statistics of every column, so that a search needs
//! no tree beside them.

mod create;
pub(crate) mod method;
mod unique;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::index::INDEX_COLUMNS_MAX;
use sightline_storage::catalog::{IndexDef, IndexKey, TableDef, TypeBody};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::IndexId;
use sightline_storage::types::SqlType;

use super::{done, names, no_block, table};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::parser::index::{AlterIndex, DropIndex, IndexStatement, Reindex};
use crate::plan::{QueryContext, Relation, find_index, resolve_relation, user_type};
use crate::session::Session;

pub(crate) use create::part_names;
pub(super) use unique::check as check_unique;

pub(super) async fn run(session: &mut Session, statement: &IndexStatement) -> Result<Answer> {
    match statement {
        IndexStatement::Create(create) => return create::run(session, create).await,
        IndexStatement::Drop(drop) => self::drop(session, drop)?,
        IndexStatement::Alter { name, if_exists, action } => alter(session, name, *if_exists, action)?,
        IndexStatement::Reindex(reindex) => self::reindex(session, reindex)?,
        IndexStatement::Cluster { table, index } => cluster(session, table.as_ref(), index.as_deref())?,
        IndexStatement::Comment { name, text } => {
            let ctx = session.write_context()?;
            let (def, id) = find(&ctx, name)?;
            change(session, &ctx, &def, |table| {
                index_mut(table, id)?.comment = text.clone();
                Ok(())
            })?;
        }
        IndexStatement::CommentConstraint { name, on, domain: false, text } => comment(session, name, on, text)?,
        IndexStatement::CommentConstraint { name, on, text, .. } => comment_on_domain(session, name, on, text)?,
    }
    Ok(done(statement.command()))
}

/// Changes what is only told of a table.
fn change(
    session: &mut Session,
    ctx: &QueryContext,
    old: &TableDef,
    change: impl FnOnce(&mut TableDef) -> Result<()>,
) -> Result<()> {
    let allowed = authorize(&ctx.identity, Action::ChangeTable(old))?;
    let mut table = old.clone();
    change(&mut table)?;
    session.apply(allowed, vec![Op::PutTable(table)])
}

fn index_mut(table: &mut TableDef, id: IndexId) -> Result<&mut IndexDef> {
    table.indexes.iter_mut().find(|i| i.id == id).ok_or_else(|| Error::internal("an index is missing in its table"))
}

fn index_of(table: &TableDef, id: IndexId) -> Result<&IndexDef> {
    table.indexes.iter().find(|i| i.id == id).ok_or_else(|| Error::internal("an index is missing in its table"))
}

/// The index of this name, and its table.
///
/// # Errors
/// 42P01, 3F000; 42809 for another relation.
fn find(ctx: &QueryContext, name: &ast::ObjectName) -> Result<(Arc<TableDef>, IndexId)> {
    if let Some(found) = find_index(ctx, name)? {
        return Ok(found);
    }
    let other = match resolve_relation(ctx, name).map_err(|e| table::in_schema(ctx, name, e))? {
        Relation::Table(table) => table.name.clone(),
        Relation::View(view) => view.name.clone(),
        Relation::Sequence(sequence) => sequence.name.clone(),
        Relation::System(_, name) => name,
    };
    Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{other}\" is not an index")))
}

/// 42P01 as DROP INDEX says it.
fn no_index(ctx: &QueryContext, name: &ast::ObjectName, e: Error) -> Error {
    let last = names::last(name);
    match e.code() {
        SqlState::UNDEFINED_TABLE => Error::new(SqlState::UNDEFINED_OBJECT, format!("index \"{last}\" does not exist")),
        SqlState::WRONG_OBJECT_TYPE => match resolve_relation(ctx, name) {
            Ok(Relation::View(_)) => e.hint("Use DROP VIEW to remove a view."),
            Ok(Relation::Sequence(_)) => e.hint("Use DROP SEQUENCE to remove a sequence."),
            _ => e.hint("Use DROP TABLE to remove a table."),
        },
        _ => e,
    }
}

fn drop(session: &mut Session, drop: &DropIndex) -> Result<()> {
    if drop.concurrently {
        if drop.names.len() > 1 {
            return Err(Error::unsupported("DROP INDEX CONCURRENTLY does not support dropping multiple objects"));
        }
        if drop.cascade {
            return Err(Error::unsupported("DROP INDEX CONCURRENTLY does not support CASCADE"));
        }
        no_block(session, "DROP INDEX CONCURRENTLY")?;
    }
    let ctx = session.context()?;
    let mut found: Vec<(Arc<TableDef>, IndexId)> = Vec::new();
    for name in &drop.names {
        match find(&ctx, name) {
            Ok(one) if found.iter().any(|(_, id)| *id == one.1) => {}
            Ok(one) => found.push(one),
            Err(e)
                if drop.if_exists && matches!(e.code(), SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME) =>
            {
                let text = match e.code() {
                    SqlState::INVALID_SCHEMA_NAME => format!("{}, skipping", e.message()),
                    _ => format!("index \"{}\" does not exist, skipping", names::last(name)),
                };
                session.notice(Notice::new(SqlState::new("00000"), text));
            }
            Err(e) => return Err(no_index(&ctx, name, e)),
        }
    }
    for (def, id) in found {
        let index = index_of(&def, id)?;
        authorize(&ctx.identity, Action::ChangeTable(&def)).map_err(|_| {
            Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of index {}", index.name))
        })?;
        let (name, of) = (names::quoted(&index.name), names::quoted(&def.name));
        if index.constraint.is_some() {
            let text = format!("cannot drop index {name} because constraint {} on table {of} requires it", index.name);
            let hint = format!("You can drop constraint {} on table {of} instead.", index.name);
            return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text).hint(hint));
        }
        let ctx = session.context()?;
        let allowed = authorize(&ctx.identity, Action::ChangeTable(&def))?;
        let old = ctx.snapshot.catalog.table(def.id).ok_or_else(|| Error::internal("a table is missing"))?;
        let mut table = TableDef { version: old.version + 1, ..(**old).clone() };
        table.indexes.retain(|i| i.id != id);
        let what = format!("index {name}");
        table::drop_broken(session, &ctx, &mut table, &what, &what, drop.cascade)?;
        session.apply(allowed, vec![Op::PutTable(table)])?;
    }
    Ok(())
}

fn alter(session: &mut Session, name: &ast::ObjectName, if_exists: bool, action: &AlterIndex) -> Result<()> {
    let ctx = session.context()?;
    let (def, id) = match find(&ctx, name) {
        Ok(found) => found,
        Err(e) if if_exists && e.code() == SqlState::UNDEFINED_TABLE => {
            let text = format!("{}, skipping", e.message());
            session.notice(Notice::new(SqlState::new("00000"), text));
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let index = index_of(&def, id)?.clone();
    match action {
        AlterIndex::Rename(new) => {
            let new = names::new_name(new)?;
            if table::exists(&ctx, def.schema, &new) {
                return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{new}\" already exists")));
            }
            if index.constraint.is_some() && def.has_constraint(&new) {
                let text = format!("constraint \"{new}\" for relation \"{}\" already exists", def.name);
                return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
            }
            change(session, &ctx, &def, |table| {
                index_mut(table, id)?.name = new;
                Ok(())
            })
        }
        AlterIndex::Set(given) => {
            let set = options(given, &index.method)?;
            change(session, &ctx, &def, |table| {
                let index = index_mut(table, id)?;
                index.options.retain(|(name, _)| set.iter().all(|(new, _)| new != name));
                index.options.extend(set);
                Ok(())
            })
        }
        AlterIndex::Reset(names) => {
            let names = names.iter().map(|n| n.to_lowercase()).collect::<Vec<_>>();
            change(session, &ctx, &def, |table| {
                index_mut(table, id)?.options.retain(|(name, _)| !names.contains(name));
                Ok(())
            })
        }
        AlterIndex::Tablespace(name) => tablespace(Some(name)),
        AlterIndex::Attach(other) => {
            find(&ctx, other)?;
            let text = format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{}\"", index.name);
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).detail("This operation is not supported for indexes."))
        }
        AlterIndex::Statistics(number) => statistics(&def, &index, *number),
    }
}

/// Statistics of expressions are not gathered; a column that cannot have them is refused.
fn statistics(table: &TableDef, index: &IndexDef, number: u16) -> Result<()> {
    let at = usize::from(number);
    if at == 0 || at > index.columns.len() + index.include.len() {
        let text = format!("column number {number} of relation \"{}\" does not exist", index.name);
        return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
    }
    match index.columns.get(at - 1).map(|c| &c.key) {
        Some(IndexKey::Expression { .. }) => Ok(()),
        Some(IndexKey::Column(id)) => {
            let name = table.column_by_id(*id).map(|c| c.name.as_str()).unwrap_or_default();
            let text =
                format!("cannot alter statistics on non-expression column \"{name}\" of index \"{}\"", index.name);
            Err(Error::unsupported(text).hint("Alter statistics on table column instead."))
        }
        None => {
            let name = index.include.get(at - 1 - index.columns.len()).and_then(|id| table.column_by_id(*id));
            let name = name.map(|c| c.name.as_str()).unwrap_or_default();
            let text = format!("cannot alter statistics on included column \"{name}\" of index \"{}\"", index.name);
            Err(Error::unsupported(text))
        }
    }
}

/// There is nothing to make anew: it is seen to that the thing is there.
fn reindex(session: &mut Session, reindex: &Reindex) -> Result<()> {
    let ctx = session.context()?;
    match reindex.kind {
        "INDEX" => {
            let (def, _) = find(&ctx, &reindex.name)?;
            authorize(&ctx.identity, Action::ChangeTable(&def))?;
        }
        "TABLE" => {
            let def = names::table(&ctx, &reindex.name).map_err(|e| not_a_table(&ctx, &reindex.name, e))?;
            authorize(&ctx.identity, Action::ChangeTable(&def))?;
            if def.indexes.is_empty() {
                let text = format!("table \"{}\" has no indexes to reindex", def.name);
                session.notice(Notice::new(SqlState::new("00000"), text));
            }
        }
        "SCHEMA" => {
            let def = names::schema(&ctx, &names::single(&reindex.name, &ctx.identity)?)?;
            authorize(&ctx.identity, Action::ChangeSchema(&def))?;
        }
        _ => {
            if names::single(&reindex.name, &ctx.identity)? != ctx.identity.tenant_name {
                return Err(Error::unsupported("can only reindex the currently open database"));
            }
        }
    }
    if reindex.concurrently || matches!(reindex.kind, "SCHEMA" | "DATABASE" | "SYSTEM") {
        let tail = if reindex.concurrently { " CONCURRENTLY" } else { "" };
        no_block(
            session,
            &if tail.is_empty() { format!("REINDEX {}", reindex.kind) } else { format!("REINDEX{tail}") },
        )?;
    }
    Ok(())
}

fn not_a_table(ctx: &QueryContext, name: &ast::ObjectName, e: Error) -> Error {
    match resolve_relation(ctx, name) {
        Ok(Relation::View(view)) => {
            Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table or materialized view", view.name))
        }
        _ => e,
    }
}

/// CLUSTER notes by which index; where rows lie is said by CLUSTER BY of the table.
fn cluster(session: &mut Session, name: Option<&ast::ObjectName>, index: Option<&str>) -> Result<()> {
    let Some(name) = name else { return no_block(session, "CLUSTER") };
    let ctx = session.context()?;
    let def = names::table(&ctx, name)?;
    let Some(index) = index else {
        authorize(&ctx.identity, Action::ChangeTable(&def))?;
        if def.indexes.iter().any(|i| i.clustered) {
            return Ok(());
        }
        let text = format!("there is no previously clustered index for table \"{}\"", def.name);
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, text));
    };
    change(session, &ctx, &def, |table| table::cluster_on(table, Some(index)))
}

fn comment(session: &mut Session, name: &str, on: &ast::ObjectName, text: &Option<String>) -> Result<()> {
    let ctx = session.write_context()?;
    let def = names::table(&ctx, on)?;
    change(session, &ctx, &def, |table| {
        let check = table.checks.iter_mut().find(|c| c.name == name).map(|c| &mut c.comment);
        let key = table.foreign_keys.iter_mut().find(|f| f.name == name).map(|f| &mut f.comment);
        let index = table.indexes.iter_mut().find(|i| i.constraint.is_some() && i.name == name);
        match check.or(key).or(index.map(|i| &mut i.constraint_comment)) {
            Some(comment) => {
                *comment = text.clone();
                Ok(())
            }
            None => {
                let text = format!("constraint \"{name}\" for table \"{}\" does not exist", def.name);
                Err(Error::new(SqlState::UNDEFINED_OBJECT, text))
            }
        }
    })
}

fn comment_on_domain(session: &mut Session, name: &str, on: &ast::ObjectName, text: &Option<String>) -> Result<()> {
    let ctx = session.write_context()?;
    let mut def = (*user_type(&ctx, on)?).clone();
    let allowed = authorize(&ctx.identity, Action::ChangeType(&def))?;
    let TypeBody::Domain(domain) = &mut def.body else {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a domain", def.name)));
    };
    let Some(check) = domain.checks.iter_mut().find(|c| c.name == name) else {
        let text = format!("constraint \"{name}\" for domain {} does not exist", names::quoted(&def.name));
        return Err(Error::new(SqlState::UNDEFINED_OBJECT, text));
    };
    check.comment = text.clone();
    session.apply(allowed, vec![Op::PutType(def)])
}

/// The storage parameters of an index: kept and shown, for nothing is stored that they could bear on.
///
/// # Errors
/// 22023.
pub(super) fn options(given: &[(String, Option<String>)], method: &str) -> Result<Vec<(String, String)>> {
    let mut kept: Vec<(String, String)> = Vec::new();
    let refused = |text: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, text);
    for (name, value) in given {
        let known = match name.as_str() {
            "fillfactor" => matches!(method, "btree" | "hash" | "gist" | "spgist"),
            "deduplicate_items" => method == "btree",
            "buffering" => method == "gist",
            "fastupdate" | "gin_pending_list_limit" => method == "gin",
            "pages_per_range" | "autosummarize" => method == "brin",
            _ => false,
        };
        if !known {
            return Err(refused(format!("unrecognized parameter \"{name}\"")));
        }
        if kept.iter().any(|(other, _)| other == name) {
            return Err(refused(format!("parameter \"{name}\" specified more than once")));
        }
        let value = value.clone().unwrap_or_else(|| "true".to_string());
        let range = match name.as_str() {
            "fillfactor" => Some((10, 100)),
            "gin_pending_list_limit" => Some((64, i32::MAX)),
            "pages_per_range" => Some((1, 131_072)),
            _ => None,
        };
        if let Some((low, high)) = range {
            let number = value
                .parse::<i32>()
                .map_err(|e| refused(format!("invalid value for integer option \"{name}\": {value}")).source(e))?;
            if !(low..=high).contains(&number) {
                return Err(refused(format!("value {value} out of bounds for option \"{name}\""))
                    .detail(format!("Valid values are between \"{low}\" and \"{high}\".")));
            }
        } else if name == "buffering" {
            if !matches!(value.as_str(), "on" | "off" | "auto") {
                return Err(refused(format!("invalid value for enum option \"{name}\": {value}"))
                    .detail("Valid values are \"on\", \"off\", and \"auto\"."));
            }
        } else if !matches!(value.to_lowercase().as_str(), "on" | "off" | "true" | "false" | "yes" | "no" | "1" | "0") {
            return Err(refused(format!("invalid value for boolean option \"{name}\": {value}")));
        }
        kept.push((name.clone(), value));
    }
    Ok(kept)
}

/// All lies in one place: the tablespaces are those that every cluster has.
fn tablespace(name: Option<&str>) -> Result<()> {
    match name {
        None | Some("pg_default") => Ok(()),
        Some("pg_global") => {
            let text = "only shared relations can be placed in pg_global tablespace";
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text))
        }
        Some(name) => Err(Error::new(SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist"))),
    }
}

/// 54011.
pub(super) fn too_many() -> Error {
    let text = format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index");
    Error::new(SqlState::TOO_MANY_COLUMNS, text)
}

/// A type as comparisons see it: without domain and precision.
pub(super) fn plain(ty: &SqlType) -> SqlType {
    match ty.base() {
        SqlType::Precise(precise) => precise.plain(),
        other => other.clone(),
    }
}
