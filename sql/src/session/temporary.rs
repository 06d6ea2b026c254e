//! Temporary tables and views (<https://www.postgresql.org/docs/15/sql-createtable.html>): relations of a schema that
//! belongs to one session, `pg_temp_<process id>`, and that goes when the session ends.
//!
//! They are durable like any other relation, so that nothing but the log changes state; what a crash leaves behind is
//! dropped at the next start ([`Database::drop_leftovers`]), or when a later session takes the same number.

use std::sync::Arc;

use sightline_storage::catalog::{SchemaDef, TenantCatalog};
use sightline_storage::command::{Command, Op, Outcome};
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, Result};
use sightline_storage::ids::{SchemaId, TenantId};

use super::Session;
use crate::authorize::{Action, authorize};
use crate::database::Database;
use crate::parser::definition::OnCommit;
use crate::plan::TEMPORARY;

/// How often the dropping of a session's relations is tried against others who change the same catalog.
const TRIES_MAX: usize = 100;

/// What a session knows of its temporary relations.
#[derive(Debug, Default)]
pub(super) struct Temporary {
    /// It has made some: its schema is its own and no leftover.
    used: bool,
    /// Tables that COMMIT empties or drops, by name.
    on_commit: Vec<(String, OnCommit)>,
}

impl Session {
    /// The session's own schema, made with its first temporary relation.
    ///
    /// # Errors
    /// Those of [`Session::apply`].
    pub(crate) fn temporary_schema(&mut self) -> Result<SchemaId> {
        let ctx = self.context()?;
        let name = ctx.temporary_name();
        let found = ctx.snapshot.catalog.schemas.get(&name).cloned();
        if let Some(schema) = found.as_ref().filter(|_| self.temporary.used) {
            return Ok(schema.id);
        }
        let allowed = authorize(&ctx.identity, Action::OwnSession)?;
        let mut ops = found.map(|s| drops(&ctx.snapshot.catalog, &s)).unwrap_or_default();
        ops.push(Op::CreateSchema(SchemaDef {
            id: SchemaId(0),
            name: name.clone(),
            owner: ctx.identity.role,
            comment: None,
        }));
        self.apply(allowed, ops)?;
        self.temporary.used = true;
        let made = self.context()?;
        let schema = made.snapshot.catalog.schemas.get(&name);
        schema.map(|s| s.id).ok_or_else(|| Error::internal("the schema for temporary tables is missing"))
    }

    /// Notes what COMMIT does with a temporary table that was just made.
    pub(crate) fn on_commit(&mut self, table: String, what: OnCommit) {
        self.temporary.on_commit.retain(|(name, _)| *name != table);
        if what != OnCommit::PreserveRows {
            self.temporary.on_commit.push((table, what));
        }
    }

    /// Adds to the transaction what its end does with temporary tables.
    pub(super) fn temporary_at_commit(&mut self) -> Result<()> {
        if self.temporary.on_commit.is_empty() || !self.transaction.as_ref().is_some_and(|t| t.has_ops()) {
            return Ok(());
        }
        let ctx = self.context()?;
        let catalog = &ctx.snapshot.catalog;
        let schema = catalog.schemas.get(&ctx.temporary_name()).map(|s| s.id);
        let allowed = authorize(&ctx.identity, Action::OwnSession)?;
        for (name, what) in self.temporary.on_commit.clone() {
            let Some(table) = schema.and_then(|s| catalog.tables.get(&(s, name.clone()))) else { continue };
            match what {
                OnCommit::Drop => self.apply(allowed, vec![Op::DropTable(table.id)])?,
                OnCommit::DeleteRows if self.transaction().writes(table.id) => {
                    self.apply(allowed, vec![Op::Truncate(table.id)])?;
                }
                OnCommit::DeleteRows | OnCommit::PreserveRows => {}
            }
        }
        Ok(())
    }

    /// DISCARD TEMP.
    pub(crate) fn discard_temporary(&mut self) -> Result<()> {
        if !self.temporary.used {
            return Ok(());
        }
        let ctx = self.context()?;
        let Some(schema) = ctx.snapshot.catalog.schemas.get(&ctx.temporary_name()) else { return Ok(()) };
        let allowed = authorize(&ctx.identity, Action::OwnSession)?;
        self.temporary.on_commit.clear();
        self.apply(allowed, drops(&ctx.snapshot.catalog, schema))
    }

    /// Drops what the session has made, in the background.
    pub(super) fn leave_temporary(&self) {
        if !self.temporary.used {
            return;
        }
        let (engine, tenant) = (self.database.engine.clone(), self.identity.tenant);
        let name = format!("{TEMPORARY}_{}", self.registered.pid);
        // Without a runtime the node is on its way down: the next start drops it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { drop_schemas(&engine, tenant, |schema| schema == name).await }));
        }
    }
}

impl Database {
    /// Drops the temporary relations that a crash has left behind. To be called before the first session.
    pub async fn drop_leftovers(&self) {
        let tenants = self.engine.meta().tenants.values().map(|t| t.id).collect::<Vec<_>>();
        for tenant in tenants {
            drop_schemas(&self.engine, tenant, is_temporary).await;
        }
    }
}

/// Whether a schema holds the temporary relations of some session.
pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.strip_prefix(TEMPORARY).is_some_and(|rest| rest.starts_with('_'))
}

/// Drops these schemas with all they hold. What fails is told in the log and left to the next start.
async fn drop_schemas(engine: &Arc<Engine>, tenant: TenantId, chosen: impl Fn(&str) -> bool) {
    for _ in 0..TRIES_MAX {
        let Ok(snapshot) = engine.snapshot(tenant) else { return };
        let catalog = &snapshot.catalog;
        let schemas = catalog.schemas.values().filter(|s| chosen(&s.name));
        let ops = schemas.flat_map(|s| drops(catalog, s)).collect::<Vec<_>>();
        if ops.is_empty() {
            return;
        }
        let mut command = Command::new(Some(tenant), engine.clock().now_us(), snapshot.index, ops);
        command.catalog_version = Some(catalog.version);
        match engine.propose(command).await {
            Ok(Outcome::Applied(_)) => return,
            Ok(Outcome::Conflict | Outcome::Moved | Outcome::Stale) => {}
            Err(e) => {
                tracing::warn!(error = %e, %tenant, "temporary tables of an ended session stay until the next start");
                return;
            }
        }
    }
    tracing::warn!(%tenant, "temporary tables of an ended session stay until the next start: the catalog is busy");
}

/// What drops a schema with all it holds.
fn drops(catalog: &TenantCatalog, schema: &SchemaDef) -> Vec<Op> {
    let views = catalog.views.values().filter(|v| v.schema == schema.id).map(|v| Op::DropView(v.id));
    let tables = catalog.tables.values().filter(|t| t.schema == schema.id).map(|t| Op::DropTable(t.id));
    // Those that columns own go with their tables.
    let sequences = catalog.sequences.values().filter(|s| s.schema == schema.id && s.owned_by.is_none());
    let sequences = sequences.map(|s| Op::DropSequence(s.id));
    // A type comes before those it is made of: it is younger, and has a greater number.
    let mut types = catalog.types.values().filter(|t| t.schema == schema.id).map(|t| t.id).collect::<Vec<_>>();
    types.sort_unstable_by(|a, b| b.cmp(a));
    views
        .chain(tables)
        .chain(sequences)
        .chain(types.into_iter().map(Op::DropType))
        .chain([Op::DropSchema(schema.id)])
        .collect()
}
