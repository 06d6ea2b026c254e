//! RETURNING (<https://www.postgresql.org/docs/15/dml-returning.html>): what a statement tells of the rows it wrote.
//!
//! The rows are kept until the statement is done with, since it may run again if it loses a race. A DELETE's are made by its
//! own query; those of an INSERT or UPDATE are worked out from the rows as they are written, so that what they
//! tell is what is stored.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{DFSchema, TableReference};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::ExprSchemable;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SelectItemQualifiedWildcardKind};
use sightline_storage::catalog::TableDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::answer::{Answer, Column, RowsTag};
use crate::error::from_datafusion;
use crate::exec::write::Written;
use crate::plan::{QueryContext, column_name, compile, conform, fold, plan_expr};

/// A relation's name, if it has one, and one of its columns.
pub(super) type Other = (Option<TableReference>, FieldRef);

/// Rows to return.
pub(super) struct Returned {
    columns: Arc<[Column]>,
    batches: Vec<RecordBatch>,
    reservation: MemoryReservation,
}

impl Returned {
    pub(super) fn new(ctx: &QueryContext, columns: Arc<[Column]>) -> Returned {
        let reservation = MemoryConsumer::new("returning").register(&ctx.memory.loads());
        Returned { columns, batches: Vec::new(), reservation }
    }

    /// Keeps rows in the columns' types.
    ///
    /// # Errors
    /// 53200 without memory.
    pub(super) fn push(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.reservation.try_grow(rows.get_array_memory_size()).map_err(from_datafusion)?;
        self.batches.push(rows);
        Ok(())
    }

    /// The answer with a command tag that ends in the number of rows.
    pub(super) fn answer(self, tag: &'static str) -> Answer {
        let Returned { columns, batches, reservation } = self;
        let rows = futures::stream::unfold((batches.into_iter(), reservation), async |(mut batches, reservation)| {
            let next = batches.next()?;
            Some((Ok(next), (batches, reservation)))
        });
        Answer::Rows { columns, rows: Box::pin(rows), tag: RowsTag::Counted(tag) }
    }
}

/// How rows are returned that are being written.
pub(super) struct Returning {
    schema: Arc<Schema>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    returned: Returned,
}

impl Returning {
    /// Plans the list over a table's columns, and those of other relations. `name` is what the table goes by.
    ///
    /// # Errors
    /// As a select list; 0A000 for subqueries.
    pub(super) fn plan(
        ctx: &Arc<QueryContext>,
        items: &[SelectItem],
        table: &TableDef,
        name: &str,
        others: &[Other],
    ) -> Result<Returning> {
        let own = TableReference::bare(name.to_string());
        let own = table.arrow_schema().fields().iter().map(|f| (Some(own.clone()), f.clone())).collect::<Vec<_>>();
        let all = own.iter().chain(others).cloned().collect::<Vec<_>>();
        let schema = DFSchema::new_with_metadata(all.clone(), Default::default()).map_err(from_datafusion)?;
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for (shown, expr) in listed(items, &all)? {
            let planned = plan_expr(ctx, &expr, &schema)?;
            let ty = SqlType::of_field(&planned.to_field(&schema).map_err(from_datafusion)?.1);
            let number = own_column(&expr, table, name);
            columns.push(Column {
                name: shown,
                ty,
                table: number.map_or(0, |_| table.id.0),
                number: number.unwrap_or(0),
            });
            exprs.push(compile(ctx, planned, &schema)?);
        }
        let returned = Returned::new(ctx, columns.into());
        Ok(Returning { schema: schema.inner().clone(), exprs, returned })
    }

    /// What it returns.
    pub(super) fn columns(&self) -> &Arc<[Column]> {
        &self.returned.columns
    }

    /// Works it out for rows of the table, and the columns of the other relations beside them.
    ///
    /// # Errors
    /// Those of the expressions; 53200 without memory.
    pub(super) fn take(&mut self, rows: &RecordBatch, others: &[ArrayRef]) -> Result<()> {
        let columns = rows.columns().iter().chain(others).cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let whole = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let value = |expr: &Arc<dyn PhysicalExpr>| {
            let value = expr.evaluate(&whole).map_err(from_datafusion)?;
            value.into_array(whole.num_rows()).map_err(from_datafusion)
        };
        let arrays = self.exprs.iter().map(value).collect::<Result<Vec<_>>>()?;
        let fields = arrays.iter().zip(self.returned.columns.iter());
        let fields = fields.map(|(a, c)| c.ty.field(&c.name, true).with_data_type(a.data_type().clone()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let made = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        self.returned.push(conform(&made, &self.returned.columns)?)
    }

    /// As [`take`](Returning::take), for the rows of one operation.
    ///
    /// # Errors
    /// As for [`take`](Returning::take).
    pub(super) fn take_appended(&mut self, written: &Written) -> Result<()> {
        for op in &written.arrived.0 {
            match op {
                Op::Append { rows, .. } => self.take(rows, &[])?,
                Op::NoNewRows { .. } => {}
                _ => return Err(Error::internal("rows to return are not at hand")),
            }
        }
        Ok(())
    }

    /// What was returned.
    pub(super) fn finish(self) -> Returned {
        self.returned
    }
}

/// The items by name, `*` written out.
fn listed(items: &[SelectItem], all: &[Other]) -> Result<Vec<(String, Expr)>> {
    let column = |(qualifier, field): &Other| {
        let ident = |name: &str| Ident::with_quote('"', name);
        let expr = match qualifier {
            Some(relation) => Expr::CompoundIdentifier(vec![ident(relation.table()), ident(field.name())]),
            None => Expr::Identifier(ident(field.name())),
        };
        (crate::plan::column_shown(field.name()).to_string(), expr)
    };
    let mut listed = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) => listed.push((column_name(expr), expr.clone())),
            SelectItem::ExprWithAlias { expr, alias } => listed.push((fold(alias), expr.clone())),
            SelectItem::Wildcard(_) => listed.extend(all.iter().map(column)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let wanted = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let before = listed.len();
                let of = |(qualifier, _): &&Other| qualifier.as_ref().is_some_and(|q| q.table() == wanted);
                listed.extend(all.iter().filter(of).map(column));
                if listed.len() == before {
                    let text = format!("missing FROM-clause entry for table \"{wanted}\"");
                    return Err(Error::new(SqlState::UNDEFINED_TABLE, text));
                }
            }
            other => return Err(Error::unsupported(format!("{other} is not supported in RETURNING"))),
        }
    }
    Ok(listed)
}

/// The number of the table's column that an expression is.
fn own_column(expr: &Expr, table: &TableDef, name: &str) -> Option<i16> {
    let column = match expr {
        Expr::Identifier(column) => column,
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [relation, column] if fold(relation) == name => column,
            _ => return None,
        },
        _ => return None,
    };
    let number = table.column(&fold(column))?.id.0;
    i16::try_from(number).ok()
}
