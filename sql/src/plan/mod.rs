//! From a parsed query to a plan that runs: names, PostgreSQL's meaning, DataFusion's planner and optimizer.
//! Skeleton: signatures are the contract; the lead owns this folder.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{MetaCatalog, TableDef, ViewDef};
use sightline_storage::engine::TenantSnapshot;
use sightline_storage::error::Result;
use sightline_storage::ids::SchemaId;
use sightline_storage::types::SqlType;

use crate::answer::{Column, RowStream};
use crate::database::Database;
use crate::session::Identity;
use crate::settings::Settings;

/// All that a statement sees while it is planned and run: one snapshot, one identity, the settings as of its start.
pub struct QueryContext {
    pub database: Arc<Database>,
    /// The tenant's state, a transaction's own writes included.
    pub snapshot: Arc<TenantSnapshot>,
    pub meta: Arc<MetaCatalog>,
    pub identity: Identity,
    pub settings: Arc<Settings>,
    /// The session's process id.
    pub pid: i32,
    /// `now()`: the start of the transaction, microseconds since 1970.
    pub now_us: i64,
    /// Stops the statement.
    pub cancel: tokio_util::sync::CancellationToken,
}

/// A planned query.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Placeholders `$1` … still inside.
    pub plan: LogicalPlan,
    pub columns: Arc<[Column]>,
    pub parameters: Vec<SqlType>,
}

/// What a name in FROM can be.
#[derive(Clone, Debug)]
pub enum Relation {
    Table(Arc<TableDef>),
    View(Arc<ViewDef>),
    /// A relation of `pg_catalog`, `information_schema` or `sys`: schema and name.
    System(&'static str, String),
}

/// Plans a query (SELECT, VALUES, WITH …). `declared` are parameter types the client gave.
pub fn plan_query(_ctx: &Arc<QueryContext>, _query: &ast::Query, _declared: &[Option<SqlType>]) -> Result<Planned> {
    unimplemented!()
}

/// Plans one expression over the columns of `schema`, e.g. a DEFAULT (empty schema) or a CHECK.
pub fn plan_expr(_ctx: &Arc<QueryContext>, _expr: &ast::Expr, _schema: &DFSchema) -> Result<Expr> {
    unimplemented!()
}

/// Runs a plan: optimises, makes it physical, and streams. Rows come as `columns` say (see `Answer::Rows`). It checks
/// cancel and deadline (`statement_timeout`) before every batch and while waiting.
pub async fn run(
    _ctx: &Arc<QueryContext>,
    _plan: LogicalPlan,
    _columns: &Arc<[Column]>,
    _parameters: Vec<ScalarValue>,
) -> Result<RowStream> {
    unimplemented!()
}

/// Evaluates a constant expression (a DEFAULT, a SET value) to one value cast to `ty`.
pub fn evaluate(_ctx: &Arc<QueryContext>, _expr: &ast::Expr, _ty: &SqlType) -> Result<ScalarValue> {
    unimplemented!()
}

/// A cast as an assignment makes it (INSERT, COPY, DEFAULT): rejects what does not fit (22003, 22001), pads char(n).
/// `from` may be any Arrow type that has such a cast.
pub fn assignment_cast(_expr: Expr, _from: &SqlType, _to: &SqlType, _column: &str) -> Result<Expr> {
    unimplemented!()
}

/// Finds a relation by its name as written, through `search_path`. 42P01 if there is none, 3F000 for a schema.
pub fn resolve_relation(_ctx: &QueryContext, _name: &ast::ObjectName) -> Result<Relation> {
    unimplemented!()
}

/// Where CREATE puts a relation: the named schema, or the first of `search_path` that exists.
pub fn resolve_creation(_ctx: &QueryContext, _name: &ast::ObjectName) -> Result<(SchemaId, String)> {
    unimplemented!()
}

/// A type as written, with its modifiers. 42704 for an unknown one.
pub fn sql_type(_ty: &ast::DataType) -> Result<SqlType> {
    unimplemented!()
}

/// An identifier as PostgreSQL folds it: lower case unless quoted.
pub fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
