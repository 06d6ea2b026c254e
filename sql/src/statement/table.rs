//! Tables: CREATE, CREATE AS, ALTER, RENAME, DROP, TRUNCATE.

mod alter;
mod constraints;
mod create;
mod dependents;
mod filled;
mod filling;
mod foreign_keys;
mod generated;
mod keys;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;
use std::sync::Arc;

use super::{done, names, sequence};
use crate::answer::{Answer, Column, Notice};
use crate::authorize::{Action, authorize};
use crate::parser::definition::{Drop, Kind, Truncate};
use crate::plan::{QueryContext, Relation, find_index, fold, resolve_relation};
use crate::session::Session;

pub(super) use alter::{alter, any_row, drop_column, new_schema, no_new_rows, rename};
pub(super) use constraints::{cluster_on, drop_broken};
pub(super) use create::{column_type, create, create_as, default_text, exists, is_system_column};
pub(crate) use dependents::{check_views, dependent_views};
pub(crate) use filled::serial;
pub(super) use keys::{free_name, joined};

/// TRUNCATE. RESTART IDENTITY sets the sequences that columns own to their start, as part of the transaction.
pub(super) fn truncate(session: &mut Session, truncate: &Truncate) -> Result<Answer> {
    let ctx = session.write_context()?;
    for name in &truncate.names {
        let table = names::table(&ctx, name)?;
        let allowed = authorize(&ctx.identity, Action::Truncate(&table))?;
        let mut ops = vec![Op::Truncate(table.id)];
        for owned in sequence::owned(&ctx, table.id).filter(|_| truncate.restart) {
            authorize(&ctx.identity, Action::ChangeSequence(owned))?;
            ctx.drawn.forget_cached(owned.id);
            ops.push(Op::SetSequence { sequence: owned.id, last: owned.start, is_called: false });
        }
        session.apply(allowed, ops)?;
    }
    Ok(done("TRUNCATE TABLE"))
}

/// DROP TABLE, DROP VIEW and DROP SEQUENCE.
pub(super) fn drop(session: &mut Session, drop: &Drop) -> Result<Answer> {
    let ctx = session.context()?;
    let kind = kind_word(drop.kind);
    let tag = match drop.kind {
        Kind::Table => "DROP TABLE",
        Kind::Sequence => "DROP SEQUENCE",
        _ => "DROP VIEW",
    };
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

/// What a kind of relation is called in messages.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "table",
        Kind::Sequence => "sequence",
        _ => "view",
    }
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
        let text = format!("\"{index}\" is not a {}", kind_word(kind));
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).hint("Use DROP INDEX to remove an index."));
    }
    match (resolve_relation(ctx, name)?, kind) {
        (Relation::Table(table), Kind::Table) => Ok(table.id.0),
        (Relation::View(view), Kind::View) => Ok(view.id.0),
        (Relation::Sequence(sequence), Kind::Sequence) => Ok(sequence.id.0),
        (Relation::Table(table), _) => Err(wrong(&table.name, kind_word(kind), "TABLE")),
        (Relation::View(view), _) => Err(wrong(&view.name, kind_word(kind), "VIEW")),
        (Relation::Sequence(sequence), _) => Err(wrong(&sequence.name, kind_word(kind), "SEQUENCE")),
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
    let (sequences, owned) = dependents::sequences(ctx, oids)?;
    let gone = oids.iter().copied().chain(owned.iter().map(|id| id.0)).collect::<Vec<_>>();
    let dependents = dependent_views(ctx, &gone);
    let defaults = dependents::defaults(ctx, oids, &[sequences.clone(), owned].concat());
    dependents::refuse_or_tell(session, ctx, oids, &defaults, &dependents, cascade)?;
    drops.extend(dependents::without_defaults(&defaults).into_iter().map(Op::PutTable));
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
    for def in catalog.sequences.values().filter(|s| sequences.contains(&s.id)) {
        allowed = authorize(&ctx.identity, Action::ChangeSequence(def))?;
        drops.push(Op::DropSequence(def.id));
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
