//! Tables: CREATE, CREATE AS, ALTER, RENAME, DROP, TRUNCATE.

mod alter;
mod constraints;
mod create;
mod dependents;
mod foreign_keys;
mod keys;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;
use std::sync::Arc;

use super::{done, names};
use crate::answer::{Answer, Column, Notice};
use crate::authorize::{Action, authorize};
use crate::parser::definition::{Drop, Kind};
use crate::plan::{QueryContext, Relation, find_index, fold, resolve_relation};
use crate::session::Session;

pub(super) use alter::{alter, any_row, drop_column, new_schema, no_new_rows, rename};
pub(super) use constraints::{cluster_on, drop_broken};
pub(super) use create::{column_type, create, create_as, default_text, exists};
pub(crate) use dependents::{check_views, dependent_views};
pub(super) use keys::{free_name, joined};

pub(super) fn truncate(session: &mut Session, tables: &[ast::ObjectName]) -> Result<Answer> {
    let ctx = session.write_context()?;
    for name in tables {
        let table = names::table(&ctx, name)?;
        let allowed = authorize(&ctx.identity, Action::Truncate(&table))?;
        session.apply(allowed, vec![Op::Truncate(table.id)])?;
    }
    Ok(done("TRUNCATE TABLE"))
}

/// DROP TABLE and DROP VIEW.
pub(super) fn drop(session: &mut Session, drop: &Drop) -> Result<Answer> {
    let ctx = session.context()?;
    let (kind, tag) = if drop.kind == Kind::Table { ("table", "DROP TABLE") } else { ("view", "DROP VIEW") };
    let mut oids = Vec::new();
    for name in &drop.names {
        match find(&ctx, name, drop.kind).map_err(|e| in_schema(&ctx, name, e)) {
            Ok(oid) if oids.contains(&oid) => {}
            Ok(oid) => oids.push(oid),
            Err(e)
                if drop.if_exists && matches!(e.code(), SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME) =>
            {
                let text = if e.code() == SqlState::INVALID_SCHEMA_NAME {
                    format!("{}, skipping", e.message())
                } else {
                    format!("{kind} \"{}\" does not exist, skipping", names::last(name))
                };
                session.notice(Notice::new(SqlState::new("00000"), text));
            }
            Err(e) if e.code() == SqlState::UNDEFINED_TABLE => {
                let text = e.message().replacen("relation", kind, 1);
                return Err(Error::new(SqlState::UNDEFINED_TABLE, text));
            }
            Err(e) => return Err(e),
        }
    }
    drop_relations(session, &ctx, &oids, drop.cascade)?;
    Ok(done(tag))
}

/// The error of a missing relation, if what is missing is its schema.
pub(super) fn in_schema(ctx: &QueryContext, name: &ast::ObjectName, e: Error) -> Error {
    let schema = name.0.iter().rev().nth(1).and_then(|part| part.as_ident()).map(fold);
    match schema {
        Some(schema) if e.code() == SqlState::UNDEFINED_TABLE => names::schema(ctx, &schema).err().unwrap_or(e),
        _ => e,
    }
}

/// The OID of a relation of this kind.
fn find(ctx: &QueryContext, name: &ast::ObjectName, kind: Kind) -> Result<u32> {
    let wrong = |name: &str, kind: &str, hint: &str| {
        Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a {kind}"))
            .hint(format!("Use DROP {hint} to remove a {}.", hint.to_lowercase()))
    };
    if let Ok(Some((table, id))) = find_index(ctx, name) {
        let index = table.indexes.iter().find(|i| i.id == id).map(|i| i.name.as_str()).unwrap_or_default();
        let text = format!("\"{index}\" is not a {}", if kind == Kind::Table { "table" } else { "view" });
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Use DROP INDEX to remove an index."));
    }
    match (resolve_relation(ctx, name)?, kind) {
        (Relation::Table(table), Kind::Table) => Ok(table.id.0),
        (Relation::View(view), Kind::View) => Ok(view.id.0),
        (Relation::Table(table), _) => Err(wrong(&table.name, "view", "TABLE")),
        (Relation::View(view), _) => Err(wrong(&view.name, "table", "VIEW")),
        (Relation::System(_, name), _) => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{name}\" is a system catalog"),
        )),
    }
}

/// Drops relations and, with `cascade`, the views that read them; views first.
///
/// # Errors
/// 2BP01 without `cascade` if there are such views; 42501.
pub(super) fn drop_relations(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    oids: &[u32],
    cascade: bool,
) -> Result<()> {
    let catalog = &ctx.snapshot.catalog;
    let mut drops = Vec::new();
    let mut allowed = authorize(&ctx.identity, Action::OwnSession)?;
    let dependents = dependent_views(ctx, oids);
    dependents::refuse_or_tell(session, ctx, oids, &dependents, cascade)?;
    for view in dependents.iter().rev() {
        drops.push(Op::DropView(view.id));
    }
    // Views that were named themselves may depend on each other as well.
    let named = catalog.views.values().filter(|v| oids.contains(&v.id.0)).collect::<Vec<_>>();
    for view in dependents::readers_first(&named) {
        allowed = authorize(&ctx.identity, Action::ChangeView(view))?;
        drops.push(Op::DropView(view.id));
    }
    for table in catalog.tables.values().filter(|t| oids.contains(&t.id.0)) {
        allowed = authorize(&ctx.identity, Action::ChangeTable(table))?;
        drops.push(Op::DropTable(table.id));
    }
    session.apply(allowed, drops)
}

/// A batch whose fields say the types that the planner found.
pub(super) fn typed(batch: RecordBatch, columns: &[Column]) -> Result<RecordBatch> {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(columns).map(|(field, column)| {
        let field = Field::new(field.name(), field.data_type().clone(), true);
        let ty = match &column.ty {
            // Shown as names.
            SqlType::Reg(_) => SqlType::Text,
            ty => ty.clone(),
        };
        let kind = [(sightline_storage::types::PG_TYPE.to_string(), ty.encode())];
        field.with_metadata(kind.into_iter().collect())
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}
