//! CREATE TABLE and CREATE TABLE AS.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use sightline_storage::catalog::table::COLUMNS_MAX;
use sightline_storage::catalog::{CheckDef, ColumnDef, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{ColumnId, SchemaId, TableId};
use sightline_storage::types::SqlType;

use super::super::{done, insert, layout, names, query};
use super::filled::{Clauses, NewSequences, serial};
use super::{generated, keys};
use crate::answer::{Answer, Column, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::codec::Style;
use crate::codec::datetime::{write_date, write_timestamp};
use crate::codec::input::parse_text_styled;
use crate::error::from_datafusion;
use crate::exec::write::TableWriter;
use crate::parser::definition::CreateTable;
use crate::parser::sequence::identity_options;
use crate::plan::{
    QueryContext, assignment_cast, evaluate, fold, needs_type, plan_expr, resolve_creation, resolve_temporary,
    run as run_plan, sql_type_in,
};
use crate::sequence::reference;
use crate::session::Session;

/// Columns that every table of PostgreSQL has.
const SYSTEM_COLUMNS: [&str; 7] = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax", "_row"];

/// Whether PostgreSQL gives every table a column of this name.
pub(in crate::statement) fn is_system_column(name: &str) -> bool {
    SYSTEM_COLUMNS[..6].contains(&name)
}

pub(in crate::statement) fn create(session: &mut Session, create: &CreateTable) -> Result<Answer> {
    let mut ctx = session.write_context()?;
    supported(create)?;
    let Some((allowed, mut table)) = begin(session, &mut ctx, create)? else { return Ok(done("CREATE TABLE")) };
    if create.columns.is_empty() {
        return Err(Error::unsupported("tables without columns are not supported"));
    }
    let mut checks = Vec::new();
    let mut made = NewSequences::default();
    for column in &create.columns {
        let (def, its_checks) = column_def(&ctx, &table, column, true, &mut made)?;
        add_column(&mut table, def)?;
        checks.extend(its_checks);
    }
    generated::check(&ctx, &table)?;
    for constraint in &create.constraints {
        checks.push(check_constraint(constraint)?);
    }
    for (name, expr, column) in checks {
        add_check(&ctx, &mut table, name, &expr, column.as_deref())?;
    }
    keys::add(session, &ctx, &mut table, &create.keys.iter().collect::<Vec<_>>())?;
    set_layout(&mut table, create)?;
    at_commit(session, create, &table);
    session.apply(allowed, made.with_table(&ctx, table)?)?;
    Ok(done("CREATE TABLE"))
}

pub(in crate::statement) async fn create_as(
    session: &mut Session,
    create: &CreateTable,
    types: &[SqlType],
    parameters: Vec<ScalarValue>,
) -> Result<Answer> {
    let mut ctx = session.context()?;
    supported(create)?;
    let Some((allowed, mut table)) = begin(session, &mut ctx, create)? else { return Ok(done("CREATE TABLE AS")) };
    let source = create.query.as_ref().ok_or_else(|| Error::internal("CREATE TABLE AS without a query"))?;
    let planned = query::plan(&ctx, source, types)?;
    if create.column_names.len() > planned.columns.len() {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "too many column names were specified"));
    }
    for (n, column) in planned.columns.iter().enumerate() {
        let name = create.column_names.get(n).map_or_else(|| column.name.clone(), fold);
        let id = ColumnId(table.next_column);
        let ty = stored_type(column);
        names::no_row(&name, &ty)?;
        let stored_name = stored_name(&name, id, true);
        add_column(
            &mut table,
            ColumnDef {
                id,
                stored_name,
                name,
                ty,
                not_null: false,
                default: None,
                missing: None,
                comment: None,
                identity: None,
                generated: None,
            },
        )?;
    }
    set_layout(&mut table, create)?;
    let name = (table.schema, table.name.clone());
    at_commit(session, create, &table);
    session.apply(allowed, vec![Op::CreateTable(table)])?;
    if !create.with_data {
        return Ok(done("CREATE TABLE AS"));
    }
    // The table as the transaction sees it, with its id.
    let made = session.context()?;
    let table = made.snapshot.catalog.tables.get(&name).cloned();
    let table = table.ok_or_else(|| Error::internal("a table that was just made is missing"))?;
    let columns = planned.columns.clone();
    let mut writer = TableWriter::new(&made, &table, (0..table.columns.len()).collect())?;
    let mut rows = run_plan(&ctx, planned, parameters).await?;
    while let Some(batch) = rows.try_next().await? {
        writer.write(super::typed(batch, &columns)?).await?;
    }
    let written = writer.finish().await?;
    let rows = written.rows;
    insert::finish(session, allowed, written).await?;
    Ok(done(format!("SELECT {rows}")))
}

/// Checks the name and the leave to make it; none if it exists and IF NOT EXISTS was said.
fn begin(
    session: &mut Session,
    ctx: &mut Arc<QueryContext>,
    create: &CreateTable,
) -> Result<Option<(Allowed, TableDef)>> {
    let (schema, name) = match resolve_temporary(ctx, &create.name, create.temporary)? {
        Some(name) => {
            let schema = session.temporary_schema()?;
            *ctx = session.context()?;
            (schema, name)
        }
        None if create.on_commit.is_some() => {
            let text = "ON COMMIT can only be used on temporary tables";
            return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
        }
        None => resolve_creation(ctx, &create.name)?,
    };
    let name = names::new_name(&name)?;
    let allowed = authorize(&ctx.identity, Action::CreateIn(&*names::schema_by_id(ctx, schema)?))?;
    if exists(ctx, schema, &name) {
        let text = format!("relation \"{name}\" already exists");
        if create.if_not_exists {
            session.notice(Notice::new(SqlState::DUPLICATE_TABLE, format!("{text}, skipping")));
            return Ok(None);
        }
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    let table = TableDef {
        id: TableId(0),
        schema,
        name,
        owner: ctx.identity.role,
        version: 1,
        columns: Vec::new(),
        next_column: 1,
        checks: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        partition_by: Vec::new(),
        cluster_by: Vec::new(),
        retention_us: None,
        comment: None,
        created_at: ctx.now_us,
    };
    Ok(Some((allowed, table)))
}

/// Notes what COMMIT does with the table, if it is a temporary one.
fn at_commit(session: &mut Session, create: &CreateTable, table: &TableDef) {
    if let Some(what) = create.on_commit {
        session.on_commit(table.name.clone(), what);
    }
}

/// True if the schema has a relation of this name.
pub(in crate::statement) fn exists(ctx: &QueryContext, schema: SchemaId, name: &str) -> bool {
    exists_beside(ctx, schema, name, TableId(0))
}

/// As [`exists`], without the indexes of the table `own`.
pub(super) fn exists_beside(ctx: &QueryContext, schema: SchemaId, name: &str, own: TableId) -> bool {
    let key = (schema, name.to_string());
    let catalog = &ctx.snapshot.catalog;
    catalog.tables.contains_key(&key)
        || catalog.views.contains_key(&key)
        || catalog.sequences.contains_key(&key)
        || catalog.index_named(schema, name).is_some_and(|(table, _)| table.id != own)
}

fn supported(create: &CreateTable) -> Result<()> {
    if let Some(what) = &create.unsupported {
        let error = Error::unsupported(format!("CREATE TABLE … {what} is not supported"));
        return Err(if what.starts_with("PARTITION") {
            error.hint(
                "Name what rows of one part have in common, e.g. PARTITION BY (month(time)); parts come by themselves.",
            )
        } else {
            error
        });
    }
    Ok(())
}

fn set_layout(table: &mut TableDef, create: &CreateTable) -> Result<()> {
    if let Some(exprs) = &create.partition_by {
        layout::set_partition_by(table, exprs)?;
    }
    if let Some(exprs) = &create.cluster_by {
        layout::set_cluster_by(table, exprs)?;
    }
    layout::set_options(table, &create.options, false)?;
    layout::check(table)
}

/// The type that a column of a query gets in a table.
fn stored_type(column: &Column) -> SqlType {
    match &column.ty {
        SqlType::Unknown | SqlType::InternalChar | SqlType::Reg(_) | SqlType::Void => SqlType::Text,
        SqlType::Oid => SqlType::BigInt,
        ty => ty.clone(),
    }
}

/// The name inside parts, unique in the table for ever: a plain name belongs to the column that came with the table.
pub(super) fn stored_name(name: &str, id: ColumnId, first: bool) -> String {
    if first && !name.contains('#') && !name.starts_with('_') { name.to_string() } else { format!("{name}#{id}") }
}

/// Adds a column to the definition.
///
/// # Errors
/// 42701, 54011.
pub(super) fn add_column(table: &mut TableDef, column: ColumnDef) -> Result<()> {
    if table.column(&column.name).is_some() {
        let text = if table.id == TableId(0) {
            format!("column \"{}\" specified more than once", column.name)
        } else {
            format!("column \"{}\" of relation \"{}\" already exists", column.name, table.name)
        };
        return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
    }
    if SYSTEM_COLUMNS.contains(&column.name.as_str()) {
        let text = format!("column name \"{}\" conflicts with a system column name", column.name);
        return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
    }
    if usize::from(table.next_column) > COLUMNS_MAX {
        let text = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(Error::new(SqlState::TOO_MANY_COLUMNS, text));
    }
    table.next_column += 1;
    table.columns.push(column);
    Ok(())
}

/// A CHECK to be added: its name if given, its expression, the column it was written at.
pub(super) type NewCheck = (Option<String>, ast::Expr, Option<String>);

/// A column as written, and its CHECKs. `first`: it comes with the table.
///
/// # Errors
/// 42704, 42601, 42804, 0A000.
pub(super) fn column_def(
    ctx: &Arc<QueryContext>,
    table: &TableDef,
    column: &ast::ColumnDef,
    first: bool,
    made: &mut NewSequences,
) -> Result<(ColumnDef, Vec<NewCheck>)> {
    let name = names::new_name(&fold(&column.name))?;
    let clauses = Clauses::of(table, column)?;
    let serial = serial(&column.data_type)?;
    let ty = match &serial {
        Some(ty) => ty.clone(),
        None => column_type(ctx, &column.data_type)?,
    };
    let id = ColumnId(table.next_column);
    // What draws from a sequence is never NULL.
    let mut nullable = (serial.is_some() || clauses.identity.is_some()).then_some(false);
    let mut def = ColumnDef {
        id,
        stored_name: stored_name(&name, id, first),
        name,
        ty,
        not_null: nullable == Some(false),
        default: None,
        missing: None,
        comment: None,
        identity: None,
        generated: None,
    };
    if serial.is_some() {
        made.serial(ctx, table, &mut def)?;
    }
    let mut defaults = usize::from(serial.is_some());
    let mut checks = Vec::new();
    for option in &column.options {
        match &option.option {
            ast::ColumnOption::Null | ast::ColumnOption::NotNull => {
                let not_null = matches!(option.option, ast::ColumnOption::NotNull);
                if nullable.is_some_and(|n| n == not_null) {
                    let text = format!(
                        "conflicting NULL/NOT NULL declarations for column \"{}\" of table \"{}\"",
                        def.name, table.name
                    );
                    return Err(Error::new(SqlState::SYNTAX_ERROR, text));
                }
                nullable = Some(!not_null);
                def.not_null = not_null;
            }
            ast::ColumnOption::Default(expr) => {
                defaults += 1;
                if defaults > 1 {
                    let text = format!(
                        "multiple default values specified for column \"{}\" of table \"{}\"",
                        def.name, table.name
                    );
                    return Err(Error::new(SqlState::SYNTAX_ERROR, text));
                }
                def.default = default_text(ctx, expr, &def.ty, &def.name)?;
            }
            ast::ColumnOption::Check(check) => {
                let given = check.name.as_ref().or(option.name.as_ref()).map(fold);
                checks.push((given, (*check.expr).clone(), Some(def.name.clone())));
            }
            ast::ColumnOption::Generated { .. } => {}
            ast::ColumnOption::Comment(text) if identity_options(text).is_some() => {}
            other => return Err(unsupported_option(other)),
        }
    }
    clauses.check(table, &def, defaults > 0)?;
    if let Some((always, options)) = &clauses.identity {
        made.identity(ctx, table, &mut def, *always, options)?;
    }
    // Looked at when all columns are known.
    def.generated = clauses.expression.map(ToString::to_string);
    Ok((def, checks))
}

/// Whether there is an interval inside of a composite type, where parts cannot hold one.
fn holds_interval(ty: &SqlType, inside: bool) -> bool {
    match ty.base() {
        SqlType::Array(item) => holds_interval(item, inside),
        SqlType::Composite(of) => of.fields.iter().any(|(_, ty)| holds_interval(ty, true)),
        other => inside && other.plain() == SqlType::Interval,
    }
}

/// A type that a column of a table may have.
///
/// # Errors
/// 42704, 0A000.
pub(in crate::statement) fn column_type(ctx: &QueryContext, ty: &ast::DataType) -> Result<SqlType> {
    let ty = sql_type_in(ctx, ty)?;
    if holds_interval(&ty, false) {
        return Err(Error::unsupported(format!("columns of type {ty} are not supported: it has an interval in it")));
    }
    let inner = match &ty {
        SqlType::Array(item) => item.as_ref(),
        ty => ty,
    };
    match inner {
        SqlType::Oid | SqlType::Reg(_) | SqlType::InternalChar | SqlType::Unknown | SqlType::Void => {
            Err(Error::unsupported(format!("columns of type {ty} are not supported")))
        }
        _ => Ok(ty),
    }
}

fn unsupported_option(option: &ast::ColumnOption) -> Error {
    match option {
        ast::ColumnOption::Collation(name) => Error::unsupported(format!("COLLATE {name} is not supported")),
        other => Error::unsupported(format!("the column option {other} is not supported")),
    }
}

/// A DEFAULT as text, checked against its column; DEFAULT NULL is none.
///
/// # Errors
/// 42804 and what evaluation finds; 0A000 for a column in it.
pub(in crate::statement) fn default_text(
    ctx: &Arc<QueryContext>,
    expr: &ast::Expr,
    ty: &SqlType,
    column: &str,
) -> Result<Option<String>> {
    if matches!(expr, ast::Expr::Value(v) if v.value == ast::Value::Null) {
        // It takes the place of a domain's own.
        return Ok(matches!(ty, SqlType::Domain(_)).then(|| "NULL".to_string()));
    }
    let mut columns = false;
    let _: ControlFlow<()> = ast::visit_expressions(expr, |e| {
        columns |= matches!(e, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_));
        ControlFlow::Continue(())
    });
    if columns {
        return Err(Error::unsupported("cannot use column reference in DEFAULT expression"));
    }
    let schema = DFSchema::empty();
    let planned = plan_expr(ctx, expr, &schema).map_err(|e| placed(e, "DEFAULT expression", "DEFAULT expressions"))?;
    let literal = matches!(&planned, Expr::Literal(value, _) if value.data_type().is_string());
    // What hangs on the clock is read now, once for all rows to come.
    if let (true, Some(now)) = (literal, time_now(ctx, expr, ty)?) {
        return Ok(Some(now));
    }
    // Only a bare string is read now; whether a number fits is seen when a row needs it, as in PostgreSQL.
    let checked = if !literal {
        let from = SqlType::of_field(&planned.to_field(&schema).map_err(from_datafusion)?.1);
        assignment_cast(planned, &from, ty, column).map(|_| ())
    } else {
        evaluate(ctx, expr, ty).map(|_| ())
    };
    checked.map_err(|e| default_error(e, ty, column))?;
    let mut resolved = expr.clone();
    reference::resolve(ctx, &mut resolved)?;
    // One that only draws is known by its text.
    let text = resolved.to_string();
    Ok(Some(match reference::named(&ctx.snapshot.catalog, &text).as_slice() {
        [id] if text.eq_ignore_ascii_case(&reference::written(*id)) => reference::written(*id),
        _ => text,
    }))
}

/// `'today'` and the like, for a column of dates or times, as the literal that they are now.
fn time_now(ctx: &Arc<QueryContext>, expr: &ast::Expr, ty: &SqlType) -> Result<Option<String>> {
    let ast::Expr::Value(value) = expr else { return Ok(None) };
    let ast::Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
    let plain = match ty.base() {
        SqlType::Precise(precise) => precise.plain(),
        other => other.clone(),
    };
    if !needs_type(text) || !matches!(plain, SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz) {
        return Ok(None);
    }
    let style = Style { now_us: Some(ctx.now_us), ..ctx.settings.style().clone() };
    let mut shown = Vec::new();
    // As ISO shows it, with the zone, so that other settings read the same.
    let iso = Style::default();
    match parse_text_styled(&plain, text, &style)? {
        ScalarValue::Date32(Some(day)) => write_date(&mut shown, day, &iso),
        ScalarValue::TimestampMicrosecond(Some(us), zone) => write_timestamp(&mut shown, us, zone.is_some(), &iso),
        _ => return Ok(None),
    }
    Ok(Some(format!("'{}'::{plain}", String::from_utf8_lossy(&shown))))
}

/// Where an expression stands that has a subquery or an aggregate in it.
pub(super) fn placed(e: Error, one: &str, many: &str) -> Error {
    match e.message() {
        "cannot use subquery in this expression" => Error::unsupported(format!("cannot use subquery in {one}")),
        "aggregate functions are not allowed in this expression" => {
            Error::new(SqlState::GROUPING_ERROR, format!("aggregate functions are not allowed in {many}"))
        }
        _ => e,
    }
}

/// PostgreSQL says what a DEFAULT of another type is a little differently from a value.
pub(super) fn default_error(e: Error, ty: &SqlType, column: &str) -> Error {
    match e.message().split_once("but expression is of type ") {
        Some((_, from)) if e.code() == SqlState::DATATYPE_MISMATCH => Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!("column \"{column}\" is of type {ty} but default expression is of type {from}"),
        )
        .hint("You will need to rewrite or cast the expression."),
        _ => e,
    }
}

/// A constraint of the table.
///
/// # Errors
/// 0A000 for all but CHECK.
pub(super) fn check_constraint(constraint: &ast::TableConstraint) -> Result<NewCheck> {
    match constraint {
        ast::TableConstraint::Check(check) => Ok((check.name.as_ref().map(fold), (*check.expr).clone(), None)),
        other => Err(Error::unsupported(format!("the constraint {other} is not supported"))),
    }
}

/// Adds a CHECK to the definition, named as PostgreSQL names it if it has no name, and answers its name.
///
/// # Errors
/// 42804, 42710, 42703.
pub(super) fn add_check(
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    name: Option<String>,
    expr: &ast::Expr,
    column: Option<&str>,
) -> Result<String> {
    let schema = DFSchema::try_from(table.arrow_schema().as_ref().clone()).map_err(from_datafusion)?;
    let planned = plan_expr(ctx, expr, &schema).map_err(|e| placed(e, "check constraint", "check constraints"))?;
    let (_, field) = planned.to_field(&schema).map_err(from_datafusion)?;
    let ty = SqlType::of_field(&field);
    if ty != SqlType::Boolean && !matches!(planned, Expr::Literal(ScalarValue::Null, _)) {
        let text = format!("argument of CHECK must be type boolean, not type {ty}");
        return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
    }
    let taken = |table: &TableDef, name: &str| table.has_constraint(name);
    let name = match name {
        Some(name) => names::new_name(&name)?,
        None => {
            let refs = planned.column_refs();
            let mut columns = refs.iter().map(|c| c.name.as_str());
            let only = columns.next().filter(|_| refs.len() == 1);
            let base = match column.or(only) {
                Some(column) => format!("{}_{column}_check", table.name),
                None => format!("{}_check", table.name),
            };
            let numbered = (1..).map(|n| format!("{base}{n}"));
            std::iter::once(base.clone()).chain(numbered).find(|n| !taken(table, n)).unwrap_or_default()
        }
    };
    if taken(table, &name) {
        let text = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
    }
    table.checks.push(CheckDef { name: name.clone(), expr: expr.to_string(), comment: None });
    Ok(name)
}
