//! What a statement's parameters and columns are, found before it runs.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::{FirstPlan, Prepared, Session};
use crate::analysis;
use crate::answer::{Answer, Column};
use crate::parser::copy::CopySource;
use crate::parser::index::IndexStatement;
use crate::parser::{Body, Statement};
use crate::plan::{Relation, plan_query, resolve_relation};
use crate::statement;

/// Types of parameters, and the columns if there are any.
pub(crate) type Described = (Vec<SqlType>, Option<Arc<[Column]>>);

/// A statement kept under a name.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub prepared: Prepared,
    /// The query string it came in.
    pub source: Arc<str>,
    /// By PREPARE, not by the protocol's Parse.
    pub from_sql: bool,
    /// When, microseconds since 1970.
    pub prepared_us: i64,
    /// How often it was executed.
    pub runs: i64,
}

/// Checks that a statement still answers what it was described to.
///
/// # Errors
/// 0A000, after which clients prepare it again.
pub(crate) fn check_unchanged(described: &Prepared, now: &[Column]) -> Result<()> {
    let same = described
        .columns
        .as_ref()
        .is_none_or(|then| then.len() == now.len() && then.iter().zip(now).all(|(a, b)| a.ty.oid() == b.ty.oid()));
    if same { Ok(()) } else { Err(Error::unsupported("cached plan must not change result type")) }
}

impl Session {
    /// Keeps a statement under a name, for the wire layer's named statements and for PREPARE (with the query string it
    /// came in), which share the names.
    ///
    /// # Errors
    /// 42P05 if the name is taken.
    pub fn keep_prepared(&mut self, name: &str, prepared: Prepared, from_sql: Option<&Arc<str>>) -> Result<()> {
        let mut shown = self.registered.shown.lock();
        if shown.prepared.contains_key(name) {
            let text = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_PREPARED_STATEMENT, text));
        }
        let source = from_sql.unwrap_or(&prepared.statement.source).clone();
        let prepared_us = self.database.engine.clock().now_us();
        let kept = Kept { prepared, source, from_sql: from_sql.is_some(), prepared_us, runs: 0 };
        shown.prepared.insert(name.to_string(), kept);
        Ok(())
    }

    /// The statement kept under this name.
    ///
    /// # Errors
    /// 26000 if there is none.
    pub fn find_prepared(&self, name: &str) -> Result<Prepared> {
        let shown = self.registered.shown.lock();
        shown.prepared.get(name).map(|kept| kept.prepared.clone()).ok_or_else(|| {
            Error::new(SqlState::INVALID_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist"))
        })
    }

    /// Counts an execution, for `pg_prepared_statements`.
    pub fn count_run(&self, name: &str) {
        if let Some(kept) = self.registered.shown.lock().prepared.get_mut(name) {
            kept.runs += 1;
        }
    }

    /// Forgets the statement of this name, if there is one.
    pub fn forget_prepared(&mut self, name: &str) {
        self.registered.shown.lock().prepared.remove(name);
    }

    /// Forgets all kept statements.
    pub(crate) fn forget_all_prepared(&mut self) {
        self.registered.shown.lock().prepared.clear();
    }

    /// Finds out the types of parameters and columns. `declared` are the types the client gave (None: find out).
    ///
    /// # Errors
    /// Whatever analysis finds wrong; 25P02 in a failed block; 26000 for EXECUTE of an unknown name.
    pub async fn prepare(&mut self, statement: Arc<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
        self.text_bytes = statement.text.len();
        let prepared = self.look_at(&statement, declared).await;
        if prepared.is_err() {
            // It was begun, and it will not be executed.
            self.end_statement();
        }
        prepared.map_err(|e| crate::plan::positioned(e, &statement).moved(statement.offset))
    }

    async fn look_at(&mut self, statement: &Arc<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
        self.refuse_in_failed_block(&statement.body)?;
        self.collect_arrived().await?;
        let idle = self.transaction.is_none();
        if !idle {
            self.settle().await?;
        }
        let described = self.describe(statement, declared);
        if described.is_err() {
            self.fail_transaction();
        }
        // Looking at it began a transaction; it has done nothing, and the next statement begins its own.
        if idle && self.transaction.as_ref().is_some_and(|t| !t.explicit) {
            self.drop_transaction().await;
        }
        described
    }

    /// Runs all statements of a query string one after another, as the simple protocol does, and answers what each
    /// answered. For tests and internal use; rows of earlier answers must be read before their streams are dropped.
    ///
    /// # Errors
    /// That of the first statement that fails; what ran before it in the same string is undone.
    pub async fn run_simple(&mut self, sql: &str) -> Result<Vec<Answer>> {
        let statements = self.parse(sql)?;
        let implicit = statements.len() > 1;
        if implicit {
            self.begin_implicit(true);
        }
        let mut answers = Vec::with_capacity(statements.len());
        for statement in statements {
            match self.prepare_and_execute(statement).await {
                Ok(answer) => answers.push(answer),
                Err(e) => {
                    self.end_implicit(true).await?;
                    return Err(e);
                }
            }
        }
        if implicit {
            self.end_implicit(false).await?;
        }
        Ok(answers)
    }

    async fn prepare_and_execute(&mut self, statement: Arc<Statement>) -> Result<Answer> {
        let prepared = self.prepare(statement, &[]).await?;
        self.execute(&prepared, Vec::<ScalarValue>::new()).await
    }

    fn describe(&mut self, statement: &Arc<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
        let (parameters, columns) = self.types(statement, &statement.body, declared)?;
        Ok(Prepared { statement: statement.clone(), parameters, columns })
    }

    /// Types of parameters and, if it answers rows, of columns.
    fn types(&mut self, statement: &Arc<Statement>, body: &Body, declared: &[Option<SqlType>]) -> Result<Described> {
        let as_declared = || declared.iter().map(|t| t.clone().unwrap_or(SqlType::Text)).collect::<Vec<_>>();
        match body {
            Body::Query(query) => {
                let ctx = self.context()?;
                analysis::check_query(&ctx, statement, query, declared)?;
                let planned = plan_query(&ctx, query, declared)?;
                let types = (planned.parameters.clone(), Some(planned.columns.clone()));
                self.first_plan = Some(FirstPlan { statement: statement.clone(), ctx, planned });
                Ok(types)
            }
            Body::Insert(insert) => {
                if insert.returning.is_none() && declared.is_empty() && statement::insert::without_parameters(insert) {
                    return Ok((Vec::new(), None));
                }
                let ctx = self.write_context()?;
                if !statement::insert::is_plain(insert) {
                    analysis::check_insert(&ctx, statement, insert, declared)?;
                }
                let columns = statement::insert::columns_returned(&ctx, insert)?;
                Ok((statement::insert::parameters(&ctx, insert, declared)?, columns))
            }
            Body::Change(change) => {
                let ctx = self.context()?;
                analysis::check_change(&ctx, statement, change, declared)?;
                statement::change::describe(&ctx, change, declared)
            }
            Body::Explain(explain) => {
                let (parameters, _) = self.types(statement, &explain.statement.body, declared)?;
                Ok((parameters, Some(statement::explain::columns())))
            }
            Body::CreateTable(table) => match &table.query {
                Some(query) => {
                    let ctx = self.context()?;
                    analysis::check_query(&ctx, statement, query, declared)?;
                    if declared.is_empty() {
                        return Ok((Vec::new(), None));
                    }
                    Ok((plan_query(&ctx, query, declared)?.parameters, None))
                }
                None if table.execute.is_none() && table.unsupported.is_none() => {
                    let ctx = self.write_context()?;
                    analysis::check_table(&ctx, statement, table)?;
                    Ok((as_declared(), None))
                }
                None => Ok((as_declared(), None)),
            },
            Body::Index(index) => {
                if let IndexStatement::Create(create) = index.as_ref() {
                    let ctx = self.write_context()?;
                    if let Ok(Relation::Table(table)) = resolve_relation(&ctx, &create.table) {
                        analysis::check_index(&ctx, statement, create, &table)?;
                    }
                }
                Ok((as_declared(), None))
            }
            Body::Copy(copy) => {
                if let CopySource::Query(query) = &copy.source {
                    let ctx = self.context()?;
                    analysis::check_query(&ctx, statement, query, declared)?;
                }
                Ok((as_declared(), None))
            }
            Body::CreateView(view) => {
                let ctx = self.context()?;
                analysis::check_query(&ctx, statement, &view.query, declared)?;
                Ok((as_declared(), None))
            }
            Body::Show(name) => Ok((as_declared(), Some(statement::set::show_columns(&self.settings, name)?))),
            Body::Execute { name, .. } => Ok((as_declared(), self.find_prepared(name)?.columns)),
            Body::Declare(declare) => {
                statement::cursor::check(declare)?;
                let ctx = self.context()?;
                analysis::check_query(&ctx, statement, &declare.query, declared)?;
                let planned = plan_query(&ctx, &declare.query, declared)?;
                let parameters = planned.parameters.clone();
                self.first_plan = Some(FirstPlan { statement: statement.clone(), ctx, planned });
                Ok((parameters, None))
            }
            // PostgreSQL leaves it to the execution to say that there is no such cursor.
            Body::Fetch(fetch) if fetch.moves => Ok((as_declared(), None)),
            Body::Fetch(fetch) => Ok((as_declared(), self.portal_columns(&fetch.name))),
            _ => Ok((as_declared(), None)),
        }
    }
}
