//! INSERT: VALUES, SELECT and DEFAULT VALUES.
//!
//! VALUES of literals and parameters, which is what applications send one by one, never see a planner: each becomes a
//! value of its column directly. Everything else is planned as a query whose rows go through a
//! [`TableWriter`].

mod filled;
mod values;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use sightline_storage::catalog::TableDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

pub(crate) use self::values::{is_default, is_text_literal};
use super::returning::Returning;
use super::{done, names, query};
use crate::analysis;
use crate::answer::{Answer, Column};
use crate::authorize::{Action, authorize};
use crate::exec::write::{TableWriter, Written, abandon, unique};
use crate::parser;
use crate::plan::{
    Planned, QueryContext, Relation, cast_to, column_default, fold, is_row, plan_query, resolve_relation,
    run as run_plan,
};
use crate::session::{Prepared, Session};

pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    insert: &ast::Insert,
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    supported(insert)?;
    let ctx = session.write_context()?;
    let keyed = resolve_table(&ctx, insert).filter(|t| t.unique_indexes().next().is_some());
    if let Some(table) = &keyed {
        session.take_turn(table.id).await;
    }
    // Keys are held against all rows, the transaction's own included.
    let ctx = if keyed.is_some() || reads(insert) { session.context()? } else { session.write_context()? };
    let types = &prepared.parameters;
    // With parameters it has been looked at when it was prepared.
    let plain = is_plain(insert);
    if !plain && types.is_empty() {
        analysis::check_insert(&ctx, &prepared.statement, insert, &[])?;
    }
    let done = insert_rows(session, &ctx, insert, types, parameters).await;
    match done {
        // Values alone are not analysed, until one is wrong: then its place is found.
        Err(e) if plain && types.is_empty() && e.get_position().is_none() => {
            analysis::check_insert(&ctx, &prepared.statement, insert, &[])?;
            Err(e)
        }
        done => done,
    }
}

/// True for VALUES of literals and parameters only, which fit or are refused one by one.
pub(crate) fn is_plain(insert: &ast::Insert) -> bool {
    fn plain(item: &ast::Expr) -> bool {
        match item {
            ast::Expr::Value(_) => true,
            ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => plain(expr),
            other => is_default(other),
        }
    }
    match rows_of(insert) {
        _ if insert.returning.is_some() => false,
        Rows::Defaults => true,
        Rows::Values(rows) => rows.iter().flat_map(|row| &row.content).all(plain),
        Rows::Query => false,
    }
}

async fn insert_rows(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    insert: &ast::Insert,
    types: &[SqlType],
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    let table = target(ctx, insert)?;
    let allowed = authorize(&ctx.identity, Action::Insert(&table))?;
    let targets = targets(&table, insert)?;
    let filled = filled::Filled::of(&table, &targets, insert)?;
    let replaced = filled.replaced(insert);
    let insert = replaced.as_ref().unwrap_or(insert);
    let mut returning = returning(ctx, insert, &table)?;
    let named = !insert.columns.is_empty();
    let direct = match rows_of(insert) {
        Rows::Defaults => Some(values::defaults(ctx, &table)?),
        // More rows than are written at once are not at hand afterwards.
        Rows::Values(rows) if returning.is_none() || rows.len() <= values::ROWS_MAX => {
            values::direct(ctx, &table, &targets, named, rows, &parameters).await?
        }
        Rows::Values(_) | Rows::Query => None,
    };
    let written = match direct {
        Some(mut written) => {
            if let Some(returning) = &mut returning {
                returning.take_appended(&written)?;
            }
            // What a writer wrote was held against the keys already.
            if !matches!(written.arrived.0.first(), Some(Op::NoNewRows { .. })) {
                written.arrived.0 = unique::guarded(ctx, &table, written.arrived.0).await?;
            }
            written
        }
        None => from_query(ctx, &table, (targets, &filled), insert, types, parameters, returning.as_mut()).await?,
    };
    let rows = written.rows;
    finish(session, allowed, written).await?;
    Ok(match returning {
        Some(returning) => returning.finish().answer("INSERT 0"),
        None => done(format!("INSERT 0 {rows}")),
    })
}

/// What it returns of the rows it writes.
fn returning(ctx: &Arc<QueryContext>, insert: &ast::Insert, table: &TableDef) -> Result<Option<Returning>> {
    let Some(items) = &insert.returning else { return Ok(None) };
    let name = insert.table_alias.as_ref().map_or_else(|| table.name.clone(), |a| fold(&a.alias));
    Returning::plan(ctx, items, table, &name, &[]).map(Some)
}

/// The columns of what it returns; none if it returns nothing.
pub(crate) fn columns_returned(ctx: &Arc<QueryContext>, insert: &ast::Insert) -> Result<Option<Arc<[Column]>>> {
    if insert.returning.is_none() {
        return Ok(None);
    }
    let table = target(ctx, insert)?;
    Ok(returning(ctx, insert, &table)?.map(|r| r.columns().clone()))
}

/// Hands what was written to the transaction.
pub(super) async fn finish(session: &mut Session, allowed: crate::authorize::Allowed, written: Written) -> Result<()> {
    let parts = written.arrived.0.clone();
    let taken = session.apply_rows(allowed, written.arrived);
    if taken.is_err() {
        let engine = session.database.engine.clone();
        abandon(&engine, &Written { rows: 0, arrived: (parts, 0, None) }).await;
    }
    taken
}

enum Rows<'a> {
    Defaults,
    Values(&'a [ast::Parens<Vec<ast::Expr>>]),
    Query,
}

/// What an INSERT inserts; VALUES with ORDER BY, LIMIT or WITH is a query.
fn rows_of(insert: &ast::Insert) -> Rows<'_> {
    let Some(source) = &insert.source else { return Rows::Defaults };
    let plain = source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none();
    match source.body.as_ref() {
        ast::SetExpr::Values(values) if plain && source.fetch.is_none() => Rows::Values(&values.rows),
        _ => Rows::Query,
    }
}

/// True if it may read rows, its own transaction's included.
fn reads(insert: &ast::Insert) -> bool {
    let Some(source) = &insert.source else { return false };
    let mut reads = false;
    let _: ControlFlow<()> = ast::visit_relations(source.as_ref(), |_| {
        reads = true;
        ControlFlow::Break(())
    });
    reads
}

/// True if there is no `$1` in it.
pub(crate) fn without_parameters(insert: &ast::Insert) -> bool {
    let Some(source) = &insert.source else { return true };
    let mut found = false;
    let _: ControlFlow<()> = ast::visit_expressions(source.as_ref(), |e| {
        found |= placeholder(e).is_some();
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    !found
}

/// The number of a parameter, from 0.
pub(crate) fn placeholder(expr: &ast::Expr) -> Option<usize> {
    match expr {
        ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Placeholder(text), .. }) => {
            text.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
        }
        _ => None,
    }
}

/// The types of an INSERT's parameters: that of the column where one stands alone.
pub(crate) fn parameters(
    ctx: &Arc<QueryContext>,
    insert: &ast::Insert,
    declared: &[Option<SqlType>],
) -> Result<Vec<SqlType>> {
    supported(insert)?;
    let table = target(ctx, insert)?;
    let targets = targets(&table, insert)?;
    filled::Filled::of(&table, &targets, insert)?;
    let Some(source) = &insert.source else { return Ok(Vec::new()) };
    let mut known = declared.to_vec();
    let mut learn = |n: usize, position: Option<&usize>| {
        if let Some(column) = position {
            if known.len() <= n {
                known.resize(n + 1, None);
            }
            known[n].get_or_insert_with(|| table.columns[*column].ty.clone());
        }
    };
    let mut only_alone = true;
    if let Rows::Values(rows) = rows_of(insert) {
        for row in rows {
            for (n, item) in row.content.iter().enumerate() {
                match placeholder(item) {
                    Some(parameter) => learn(parameter, targets.get(n)),
                    None => only_alone &= !has_parameter(item),
                }
            }
        }
    } else if let ast::SetExpr::Select(select) = source.body.as_ref() {
        only_alone = false;
        for (n, item) in select.projection.iter().enumerate() {
            if let ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } = item
                && let Some(parameter) = placeholder(expr)
            {
                learn(parameter, targets.get(n));
            }
        }
    } else {
        only_alone = false;
    }
    if only_alone && known.iter().all(Option::is_some) {
        return Ok(known.into_iter().flatten().collect());
    }
    let query = without_defaults(ctx, source, &table, &targets)?;
    Ok(plan_query(ctx, &query, &known)?.parameters)
}

fn has_parameter(expr: &ast::Expr) -> bool {
    let mut found = false;
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        found |= placeholder(e).is_some();
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}

/// Refuses what comes with keyed tables, and what only other systems have.
fn supported(insert: &ast::Insert) -> Result<()> {
    let refuse = |what: &str| Err(Error::unsupported(format!("{what} is not supported")));
    if insert.on.is_some() {
        return Err(Error::unsupported("INSERT … ON CONFLICT is not supported")
            .hint("Insert what is not there: INSERT … SELECT … WHERE NOT EXISTS (…)."));
    }
    if insert.overwrite || insert.replace_into || insert.partitioned.is_some() {
        return refuse("this form of INSERT");
    }
    Ok(())
}

/// The table, if it is one.
fn resolve_table(ctx: &QueryContext, insert: &ast::Insert) -> Option<Arc<TableDef>> {
    let ast::TableObject::TableName(name) = &insert.table else { return None };
    match resolve_relation(ctx, name) {
        Ok(Relation::Table(table)) => Some(table),
        _ => None,
    }
}

fn target(ctx: &QueryContext, insert: &ast::Insert) -> Result<Arc<TableDef>> {
    let ast::TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT into a function or query is not supported"));
    };
    let relation = resolve_relation(ctx, name)?;
    if let Relation::Sequence(sequence) = &relation {
        let text = format!("cannot change sequence \"{}\"", sequence.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
    }
    if let Relation::View(view) = relation {
        return Err(Error::unsupported(format!("cannot insert into view \"{}\"", view.name))
            .hint("Insert into the table that it reads."));
    }
    names::table(ctx, name)
}

/// The positions of the columns that the values go to, in order.
fn targets(table: &TableDef, insert: &ast::Insert) -> Result<Vec<usize>> {
    let names = insert.columns.iter().chain([]).map(names::last);
    columns(table, names)
}

/// The positions of the named columns; all of them if none is named.
///
/// # Errors
/// 42703, 42701.
pub(super) fn columns(table: &TableDef, names: impl Iterator<Item = String>) -> Result<Vec<usize>> {
    let mut positions = Vec::with_capacity(table.columns.len());
    for name in names {
        let Some(position) = table.columns.iter().position(|c| c.name == name) else {
            let text = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(Error::new(SqlState::UNDEFINED_COLUMN, text));
        };
        if positions.contains(&position) {
            let text = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
        }
        positions.push(position);
    }
    if positions.is_empty() {
        positions = (0..table.columns.len()).collect();
    }
    Ok(positions)
}

/// Refuses rows with more values than columns, or fewer than the columns that are named.
fn check_width(width: usize, targets: &[usize], named: bool) -> Result<()> {
    if width > targets.len() {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns"));
    }
    if width < targets.len() && named {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "INSERT has more target columns than expressions"));
    }
    Ok(())
}

/// Runs the source as a query.
async fn from_query(
    ctx: &Arc<QueryContext>,
    table: &Arc<TableDef>,
    (mut targets, filled): (Vec<usize>, &filled::Filled),
    insert: &ast::Insert,
    types: &[SqlType],
    parameters: Vec<ScalarValue>,
    mut returning: Option<&mut Returning>,
) -> Result<Written> {
    let source = insert.source.as_ref().ok_or_else(|| Error::internal("an INSERT without rows"))?;
    let mut source = without_defaults(ctx, source, table, &targets)?;
    values_as_selects(&mut source)?;
    let planned = query::plan(ctx, &source, types)?;
    let columns = source_columns(&planned);
    check_width(planned.columns.len(), &targets, !insert.columns.is_empty())?;
    targets.truncate(planned.columns.len());
    filled.leave_out(&mut targets);
    let mut writer = TableWriter::new(ctx, table, targets)?;
    let mut rows = run_plan(ctx, planned, parameters).await?;
    while let Some(batch) = rows.try_next().await? {
        let rows = writer.shaped(super::table::typed(batch, &columns)?)?;
        if let Some(returning) = &mut returning {
            returning.take(&rows, &[])?;
        }
        writer.write_shaped(rows).await?;
    }
    writer.finish().await
}

/// The columns of the source; a bare string or NULL has no type of its own yet and takes that of its target.
pub(super) fn source_columns(planned: &Planned) -> Vec<Column> {
    let exprs = outputs(&planned.plan);
    let untyped = |n: usize| {
        exprs.get(n).is_some_and(|expr| {
            let expr = (*expr).clone().unalias_nested().data;
            matches!(&expr, Expr::Literal(value, _) if value.data_type().is_string() || value.data_type().is_null())
        })
    };
    let columns = planned.columns.iter().cloned().enumerate();
    columns.map(|(n, c)| if untyped(n) { Column { ty: SqlType::Unknown, ..c } } else { c }).collect()
}

/// The expressions of a plan's columns, if it ends in a projection.
fn outputs(plan: &LogicalPlan) -> &[Expr] {
    match plan {
        LogicalPlan::Projection(projection) => &projection.expr,
        LogicalPlan::Sort(sort) => outputs(&sort.input),
        LogicalPlan::Limit(limit) => outputs(&limit.input),
        _ => &[],
    }
}

/// VALUES with subqueries in them as SELECTs, which DataFusion can run.
fn values_as_selects(query: &mut ast::Query) -> Result<()> {
    let ast::SetExpr::Values(values) = query.body.as_mut() else { return Ok(()) };
    let has_subquery = |item: &ast::Expr| {
        let mut found = false;
        let _: ControlFlow<()> = ast::visit_expressions(item, |e| {
            found |= matches!(e, ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. });
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    };
    if !values.rows.iter().flat_map(|row| &row.content).any(has_subquery) {
        return Ok(());
    }
    if values.rows.len() > parser::SET_OPERATORS_MAX {
        return Err(parser::too_deep());
    }
    let mut selects = None;
    for row in std::mem::take(&mut values.rows) {
        let mut one = parser::query("SELECT 1")?;
        if let ast::SetExpr::Select(select) = one.body.as_mut() {
            select.projection = row.content.into_iter().map(ast::SelectItem::UnnamedExpr).collect();
        }
        selects = Some(match selects {
            None => one.body,
            Some(left) => Box::new(ast::SetExpr::SetOperation {
                left,
                op: ast::SetOperator::Union,
                set_quantifier: ast::SetQuantifier::All,
                right: one.body,
            }),
        });
    }
    if let Some(selects) = selects {
        query.body = selects;
    }
    Ok(())
}

/// The query with the DEFAULT expressions in place of the word DEFAULT in VALUES.
fn without_defaults(
    ctx: &QueryContext,
    source: &ast::Query,
    table: &TableDef,
    targets: &[usize],
) -> Result<ast::Query> {
    let mut query = source.clone();
    if let ast::SetExpr::Select(select) = query.body.as_mut() {
        times_of_columns(select, table, targets);
    }
    if let ast::SetExpr::Values(values) = query.body.as_mut() {
        for row in &mut values.rows {
            check_width(row.content.len(), targets, false)?;
            for (item, position) in row.content.iter_mut().zip(targets) {
                let column = &table.columns[*position];
                if is_default(item) {
                    *item = match column_default(ctx, column) {
                        Some(text) => parser::parse_expr(&text)?,
                        None => ast::Expr::value(ast::Value::Null),
                    };
                } else if !column.ty.users().is_empty() && (is_row(item) || is_null(item)) {
                    let row = std::mem::replace(item, ast::Expr::value(ast::Value::Null));
                    *item = cast_to(row, &column.ty);
                } else if is_text_literal(item) {
                    // Like PostgreSQL: a bare string takes the type of its column, row by row.
                    let literal = std::mem::replace(item, ast::Expr::value(ast::Value::Null));
                    *item = cast_to(literal, &column.ty);
                }
            }
        }
    }
    Ok(query)
}

/// `INSERT … SELECT 'today'`: a bare literal in the list is of its column's type, and `now` a time of the transaction.
fn times_of_columns(select: &mut ast::Select, table: &TableDef, targets: &[usize]) {
    let plain = |item: &ast::SelectItem| {
        matches!(item, ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. })
    };
    if select.distinct.is_some() || !select.projection.iter().all(plain) {
        return;
    }
    for (item, position) in select.projection.iter_mut().zip(targets) {
        let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let ty = &table.columns[*position].ty;
        let timed = matches!(ty.plain(), SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz);
        if timed && is_text_literal(expr) {
            let literal = std::mem::replace(expr, ast::Expr::value(ast::Value::Null));
            *expr = cast_to(literal, ty);
        }
    }
}

/// Names of the columns an INSERT or COPY lists.
pub(super) fn folded(columns: &[ast::Ident]) -> impl Iterator<Item = String> {
    columns.iter().map(fold)
}

/// A bare NULL, which has no type yet.
pub(crate) fn is_null(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Value(v) if v.value == ast::Value::Null)
}
