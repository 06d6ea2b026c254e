//! UPDATE and DELETE.
//!
//! 1. [`target`] makes a query of the statement: the places of the rows to change, and the values that they get.
//! 2. The query runs like any other, on the snapshot that the statement sees, hot rows and parts alike.
//! 3. What it finds becomes operations: rows to delete by their places, and for UPDATE the new rows, which go the way of
//!    all rows that are written ([`TableWriter`]). A row that a join finds more than once is changed once.
//!
//! Nothing is locked. If somebody else has changed one of the rows when the operations are proposed, the statement runs
//! again on a new snapshot, or in a block its COMMIT fails with 40001.

mod target;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::SelectItem;
use futures::TryStreamExt;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result};
use sightline_storage::types::SqlType;

use self::target::Target;
use super::returning::{Returned, Returning};
use super::{done, insert, query, table};
use crate::analysis;
use crate::answer::{Answer, Column};
use crate::authorize::{Action, authorize};
use crate::error::from_datafusion;
use crate::exec::scan::Places;
use crate::exec::write::{TableWriter, Written};
use crate::parser::change::Change;
use crate::plan::{Planned, QueryContext, plan_query, run as run_plan};
use crate::session::{Described, Prepared, Session};

/// Operations, and rows to return.
type Changed = (Written, Option<Returned>);

/// The columns of the query in front of the values: the places.
const PLACES: usize = 2;

pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    change: &Change,
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    session.writable()?;
    let ctx = session.write_context()?;
    session.take_turn(Target::find(&ctx, change)?.table.id).await;
    let ctx = session.context()?;
    let target = Target::find(&ctx, change)?;
    if prepared.parameters.is_empty() {
        analysis::check_change(&ctx, &prepared.statement, change, &[])?;
    }
    let action =
        if change.assignments.is_some() { Action::Update(&target.table) } else { Action::Delete(&target.table) };
    let allowed = authorize(&ctx.identity, action)?;
    let planned = query::plan(&ctx, &target.query(&ctx)?, &prepared.parameters)?;
    let (written, returned) = match change.assignments {
        Some(_) => update(&ctx, &target, planned, parameters).await?,
        None => delete(&ctx, &target, planned, parameters).await?,
    };
    let rows = written.rows;
    insert::finish(session, allowed, written).await?;
    Ok(match returned {
        Some(returned) => returned.answer(change.command()),
        None => done(format!("{} {rows}", change.command())),
    })
}

/// The types of its parameters, and of its columns if it returns some.
pub(crate) fn describe(ctx: &Arc<QueryContext>, change: &Change, declared: &[Option<SqlType>]) -> Result<Described> {
    let target = Target::find(ctx, change)?;
    let planned = plan_query(ctx, &target.query(ctx)?, declared)?;
    let columns = match (&change.returning, &change.assignments) {
        (None, _) => None,
        (Some(_), None) => Some(planned.columns[PLACES..].into()),
        (Some(items), Some(_)) => Some(returning(ctx, &target, items, &planned)?.columns().clone()),
    };
    Ok((planned.parameters, columns))
}

async fn delete(
    ctx: &Arc<QueryContext>,
    target: &Target<'_>,
    planned: Planned,
    parameters: Vec<ScalarValue>,
) -> Result<Changed> {
    let columns: Arc<[Column]> = planned.columns[PLACES..].into();
    let mut returned = target.change.returning.as_ref().map(|_| Returned::new(ctx, columns));
    let mut places = target.places(ctx)?;
    let mut rows = run_plan(ctx, planned, parameters).await?;
    while let Some(batch) = rows.try_next().await? {
        let new = places.take(batch.column(0), batch.column(1)).map_err(from_datafusion)?;
        if let Some(returned) = &mut returned {
            returned.push(values(&batch, &new)?)?;
        }
    }
    let (rows, deletes, bytes) = deleted(target, places)?;
    Ok((Written { rows, arrived: (deletes, bytes, None) }, returned))
}

async fn update(
    ctx: &Arc<QueryContext>,
    target: &Target<'_>,
    planned: Planned,
    parameters: Vec<ScalarValue>,
) -> Result<Changed> {
    let table = &target.table;
    let mut returning = match &target.change.returning {
        Some(items) => Some(returning(ctx, target, items, &planned)?),
        None => None,
    };
    let columns = insert::source_columns(&planned);
    let width = table.columns.len();
    let mut writer = TableWriter::new(ctx, table, (0..width).collect())?;
    let mut places = target.places(ctx)?;
    let mut rows = run_plan(ctx, planned, parameters).await?;
    while let Some(batch) = rows.try_next().await? {
        let new = places.take(batch.column(0), batch.column(1)).map_err(from_datafusion)?;
        let values = values(&batch, &new)?;
        let others = values.columns()[width..].to_vec();
        let values = values.project(&(0..width).collect::<Vec<_>>())?;
        let rows = writer.shaped(table::typed(values, &columns[PLACES..PLACES + width])?)?;
        if let Some(returning) = &mut returning {
            returning.take(&rows, &others)?;
        }
        writer.write_shaped(rows).await?;
    }
    let (rows, deletes, held) = deleted(target, places)?;
    let mut written = writer.finish_after(deletes).await?;
    if written.rows != rows {
        return Err(Error::internal(format!("{rows} rows were replaced by {}", written.rows)));
    }
    written.arrived.1 += held;
    Ok((written, returning.map(Returning::finish)))
}

/// RETURNING of an UPDATE: over the new rows, and what the query says of the other relations.
fn returning(
    ctx: &Arc<QueryContext>,
    target: &Target<'_>,
    items: &[SelectItem],
    planned: &Planned,
) -> Result<Returning> {
    let schema = planned.plan.schema();
    let others = schema.iter().skip(PLACES + target.table.columns.len());
    let others = others.map(|(qualifier, field)| (qualifier.cloned(), field.clone())).collect::<Vec<_>>();
    Returning::plan(ctx, items, &target.table, target.name(), &others)
}

/// The rows that were not there before, without the places.
fn values(batch: &RecordBatch, new: &BooleanArray) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = batch.columns()[PLACES..].to_vec();
    let schema = Arc::new(Schema::new(batch.schema().fields()[PLACES..].to_vec()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let all = RecordBatch::try_new_with_options(schema, columns, &options)?;
    if new.true_count() == new.len() { Ok(all) } else { Ok(filter_record_batch(&all, new)?) }
}

/// How many rows are deleted, by which operations, and their bytes.
fn deleted(target: &Target<'_>, places: Places) -> Result<(u64, Vec<Op>, u64)> {
    let rows = places.finish().map_err(from_datafusion)?;
    let (count, bytes) = (rows.rows(), rows.bytes());
    let delete = Op::Delete { table: target.table.id, rows };
    Ok((count, if count > 0 { vec![delete] } else { Vec::new() }, bytes))
}
