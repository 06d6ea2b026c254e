//! DECLARE, FETCH, MOVE and CLOSE (<https://www.postgresql.org/docs/15/sql-declare.html>, `sql-fetch`, `sql-move`).

use arrow::array::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use sightline_storage::error::{Error, Result, SqlState};

use super::done;
use crate::answer::{Answer, RowStream};
use crate::parser::cursor::{self, Declare, Direction, Fetch};
use crate::plan::run as run_plan;
use crate::session::scan::{self, ALL, Back, Scan};
use crate::session::{Declared, Opened, Prepared, Session};

/// Up to so many rows are read before FETCH answers; more are read as they are sent.
const FETCHED_AT_ONCE: u64 = 8192;

/// Refuses options that exclude each other.
///
/// # Errors
/// 42P11.
pub(crate) fn check(declare: &Declare) -> Result<()> {
    let refused = |a, b| {
        let text = format!("cannot specify both {a} and {b}");
        Err(Error::new(SqlState::new("42P11"), text))
    };
    if declare.scroll && declare.no_scroll {
        return refused("SCROLL", "NO SCROLL");
    }
    if declare.insensitive && declare.asensitive {
        return refused("ASENSITIVE", "INSENSITIVE");
    }
    if let ast::SetExpr::Select(select) = declare.query.body.as_ref()
        && select.into.is_some()
    {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "SELECT ... INTO is not allowed here"));
    }
    Ok(())
}

pub(super) async fn declare(
    session: &mut Session,
    prepared: &Prepared,
    declare: &Declare,
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    check(declare)?;
    let ctx = session.context()?;
    let planned = match session.first_plan(prepared, &ctx) {
        Some(planned) => planned,
        None => super::query::plan(&ctx, &declare.query, &prepared.parameters)?,
    };
    if declare.name.is_empty() {
        return Err(Error::new(SqlState::INVALID_CURSOR_NAME, "invalid cursor name: must not be empty"));
    }
    if !declare.hold && !session.shares_transaction() {
        let text = "DECLARE CURSOR can only be used in transaction blocks";
        return Err(Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, text));
    }
    let back = match (declare.scroll, declare.no_scroll) {
        (true, _) => Back::All,
        (_, true) => Back::Refused,
        _ if goes_back(&planned.plan) => Back::Window,
        _ => Back::Refused,
    };
    let columns = planned.columns.clone();
    let rows = run_plan(&ctx, planned, parameters).await?;
    session.declare_portal(Declared {
        name: declare.name.clone(),
        source: prepared.statement.source.clone(),
        columns,
        rows,
        back,
        hold: declare.hold,
        binary: declare.binary,
    })?;
    Ok(done("DECLARE CURSOR"))
}

/// Whether PostgreSQL's executor could run such a plan backward, which makes a cursor scrollable that says nothing of it.
fn goes_back(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) => true,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_) => plan.inputs().into_iter().all(goes_back),
        _ => false,
    }
}

/// FETCH and MOVE. A cursor that one of them fails on cannot be run again.
pub(super) async fn fetch(session: &mut Session, fetch: &Fetch) -> Result<Answer> {
    let opened = session.open_portal(&fetch.name).await?;
    let done = move_or_read(&opened, fetch).await;
    if done.is_err() {
        opened.scan.lock().await.fail();
    }
    done
}

async fn move_or_read(opened: &Opened, fetch: &Fetch) -> Result<Answer> {
    let mut scan = opened.scan.lock().await;
    let last = approach(&mut scan, fetch.direction, fetch.moves).await?;
    if fetch.moves {
        let count = match last {
            Last::Counted(count) => count,
            Last::Run { forward: true, count } => scan.skip(count).await?,
            Last::Run { forward: false, count } => scan.skip_back(count)?,
        };
        return Ok(done(format!("MOVE {count}")));
    }
    drop(scan);
    let rows = read(opened, last).await?;
    Ok(Answer::Fetched { columns: opened.columns.clone(), rows, binary: opened.binary })
}

/// What is left of a FETCH once the cursor stands where its rows begin.
enum Last {
    /// Up to so many rows.
    Run { forward: bool, count: u64 },
    /// No rows, but they count.
    Counted(u64),
}

/// Goes to where the wanted rows begin, the way PostgreSQL goes, so that a cursor without SCROLL takes what it takes there.
async fn approach(scan: &mut Scan, direction: Direction, moves: bool) -> Result<Last> {
    let run = |forward, count| Ok(Last::Run { forward, count });
    let number = |n: i64| if n == cursor::ALL { ALL } else { n.unsigned_abs() };
    let (forward, count) = match direction {
        Direction::Forward(n) => (n >= 0, number(n)),
        Direction::Backward(n) => (n < 0, number(n)),
        Direction::Absolute(0) => {
            scan.rewind()?;
            return run(true, 0);
        }
        Direction::Absolute(n) if n > 0 => {
            ahead_of(scan, n.unsigned_abs()).await?;
            return run(true, 1);
        }
        Direction::Absolute(n) => {
            scan.skip(ALL).await?;
            if n < -1 {
                scan.skip_back(n.unsigned_abs() - 1)?;
            }
            return run(false, 1);
        }
        Direction::Relative(0) => (true, 0),
        Direction::Relative(n) if n > 0 => {
            scan.skip(n.unsigned_abs() - 1).await?;
            return run(true, 1);
        }
        Direction::Relative(n) => {
            if n < -1 {
                scan.skip_back(n.unsigned_abs() - 1)?;
            }
            return run(false, 1);
        }
    };
    if count == 0 {
        let on_row = scan.on_row();
        if moves {
            return Ok(Last::Counted(on_row.into()));
        }
        // The row it stands on is fetched again.
        if on_row {
            scan.skip_back(1)?;
        }
        return run(true, on_row.into());
    }
    if moves && !forward && count == ALL {
        let (position, _, at_end) = scan.place();
        scan.rewind()?;
        return Ok(Last::Counted(if at_end { position } else { position.saturating_sub(1) }));
    }
    run(forward, count)
}

/// Goes in front of row `n`, from 1.
async fn ahead_of(scan: &mut Scan, n: u64) -> Result<()> {
    let (position, _, at_end) = scan.place();
    if n - 1 <= position / 2 {
        scan.rewind()?;
        scan.skip(n - 1).await?;
        return Ok(());
    }
    let next = position + u64::from(at_end);
    if n <= next {
        scan.skip_back(next - n + 1)?;
    } else if n > next + 1 {
        scan.skip(n - next - 1).await?;
    }
    Ok(())
}

async fn read(opened: &Opened, last: Last) -> Result<RowStream> {
    let (forward, count) = match last {
        Last::Run { forward, count } => (forward, count),
        Last::Counted(_) => (true, 0),
    };
    if !forward {
        opened.scan.lock().await.may_go_back()?;
    }
    let rows = scan::rows(opened.scan.clone(), count, forward);
    if count > FETCHED_AT_ONCE {
        return Ok(rows);
    }
    let read: Vec<RecordBatch> = rows.try_collect().await?;
    Ok(Box::pin(futures::stream::iter(read.into_iter().map(Ok))))
}

pub(super) fn close(session: &mut Session, name: Option<&str>) -> Result<Answer> {
    match name {
        None => {
            session.close_portals(true);
            Ok(done("CLOSE CURSOR ALL"))
        }
        Some(name) if session.close_portal(name) => Ok(done("CLOSE CURSOR")),
        Some(name) => Err(Error::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))),
    }
}
