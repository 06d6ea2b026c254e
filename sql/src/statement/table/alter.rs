//! ALTER TABLE, and renaming of relations.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use sightline_storage::catalog::{IndexDef, PartitionExpr, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{ColumnId, TableId};
use sightline_storage::types::SqlType;

use super::super::index::check_unique;
use super::super::{done, layout, names, sequence};
use super::check_views;
use super::constraints;
use super::create::{add_check, add_column, check_constraint, column_def, column_type, default_text, exists};
use super::filled::NewSequences;
use super::{filling, generated, keys};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::error::from_datafusion;
use crate::parser;
use crate::parser::definition::{AlterAction, AlterTable, Kind, Rename, RenameTo};
use crate::plan::{QueryContext, Relation, evaluate, fold, plan_expr, plan_query, resolve_relation, run as run_plan};
use crate::sequence::reference;
use crate::session::Session;

/// Rows that must not exist for an ALTER to be right.
struct MustBeEmpty {
    /// A condition on rows of the table.
    condition: String,
    /// It is asked of the table as it was: as it will be, the planner would take the answer for granted.
    before: bool,
    error: Error,
}

pub(in crate::statement) async fn alter(session: &mut Session, alter: &AlterTable) -> Result<Answer> {
    let ctx = session.context()?;
    let Some(old) = found(session, &ctx, &alter.name, alter.if_exists)? else { return Ok(done("ALTER TABLE")) };
    let Relation::Table(old) = old else {
        let text = format!("\"{}\" is not a table", names::last(&alter.name));
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
    };
    let allowed = authorize(&ctx.identity, Action::ChangeTable(&old))?;
    let mut table = (*old).clone();
    let mut scans = Vec::new();
    let mut added = Vec::new();
    let (mut made, mut more) = (NewSequences::default(), Vec::new());
    for action in &alter.actions {
        match action {
            // Once all columns are there.
            AlterAction::AddKey(key) => added.push(key),
            AlterAction::AddColumnKey(key, if_not_exists) => {
                let there = key.columns.iter().any(|c| old.column(c).is_some());
                added.extend((!*if_not_exists || !there).then_some(key));
            }
            AlterAction::DropConstraint { name, if_exists, cascade } => {
                constraints::drop(session, &ctx, &mut table, name, *if_exists, *cascade)?;
            }
            AlterAction::ValidateConstraint(name) => constraints::validate(&mut table, name)?,
            AlterAction::AlterConstraint(key) => constraints::alter(&mut table, key)?,
            AlterAction::ClusterOn(index) => constraints::cluster_on(&mut table, index.as_deref())?,
            AlterAction::Unsupported(text) => return Err(Error::unsupported(*text)),
            AlterAction::SetOptions(options) => layout::set_options(&mut table, options, true)?,
            AlterAction::ResetOptions(names) => layout::reset_options(&mut table, names)?,
            AlterAction::Column(name, action) => {
                let what = (name.as_str(), action);
                more.extend(filling::apply(session, &ctx, allowed, &mut table, what, &mut made)?);
            }
            AlterAction::Standard(operation) => {
                apply(session, &ctx, &mut table, operation, &mut scans, &mut made, &mut more)?
            }
        }
    }
    let asked = keys::add(session, &ctx, &mut table, &added)?;
    scans.extend(asked.not_null.iter().filter_map(|column| new_nulls(&old, &table, column)));
    layout::check(&table)?;
    if table == *old {
        return Ok(done("ALTER TABLE"));
    }
    table.version = old.version + 1;
    let mut ops = made.ops(table.id);
    ops.push(Op::PutTable(table.clone()));
    ops.extend(more);
    session.apply(allowed, ops)?;
    let changed = session.context()?;
    check_views(&changed, &[table.id.0], |view| {
        Error::unsupported(format!("cannot alter table {} because view {} depends on it", table.name, view.name))
            .hint("Drop the view first, and create it again afterwards.")
    })?;
    if !scans.is_empty() || !asked.unique.is_empty() {
        session.apply(allowed, no_new_rows(&changed, table.id))?;
    }
    let now = changed.snapshot.catalog.table(table.id).cloned().unwrap_or_else(|| old.clone());
    let unique = asked.unique.iter().filter_map(|name| now.index(name)).collect::<Vec<_>>();
    // As it was, if it had the columns: as it will be, the planner may take the answer for granted.
    let had = |i: &IndexDef| i.key_columns().is_some_and(|ids| ids.iter().all(|id| old.column_by_id(*id).is_some()));
    for index in unique.iter().filter(|i| had(i)) {
        check_unique(&ctx, &old, index).await?;
    }
    for scan in scans {
        let (ctx, table) = if scan.before { (&ctx, &*old) } else { (&changed, &table) };
        if any_row(ctx, table, &scan.condition).await? {
            return Err(scan.error);
        }
    }
    for index in unique.iter().filter(|i| !had(i)) {
        check_unique(&changed, &now, index).await?;
    }
    Ok(done("ALTER TABLE"))
}

/// What would show that a primary key's column holds NULLs.
fn new_nulls(old: &TableDef, table: &TableDef, column: &str) -> Option<MustBeEmpty> {
    let def = table.column(column)?;
    match old.column_by_id(def.id) {
        Some(_) => Some(nulls(table, column)),
        None if def.missing.is_none() => Some(MustBeEmpty { condition: "true".to_string(), ..nulls(table, column) }),
        None => None,
    }
}

/// The relation, or none with a notice if it is missing and may be.
fn found(
    session: &mut Session,
    ctx: &QueryContext,
    name: &ast::ObjectName,
    if_exists: bool,
) -> Result<Option<Relation>> {
    match resolve_relation(ctx, name) {
        Ok(Relation::System(_, name)) => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{name}\" is a system catalog"),
        )),
        Ok(relation) => Ok(Some(relation)),
        Err(e) if if_exists && e.code() == SqlState::UNDEFINED_TABLE => {
            let text = format!("{}, skipping", e.message());
            session.notice(Notice::new(SqlState::new("00000"), text));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

pub(super) fn no_column(table: &TableDef, name: &str) -> Error {
    let text = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
    Error::new(SqlState::UNDEFINED_COLUMN, text)
}

/// One action on the definition.
fn apply(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    operation: &ast::AlterTableOperation,
    scans: &mut Vec<MustBeEmpty>,
    made: &mut NewSequences,
    more: &mut Vec<Op>,
) -> Result<()> {
    use ast::AlterTableOperation as Alter;
    match operation {
        Alter::AddColumn { if_not_exists, column_def, .. } => {
            add(session, ctx, table, column_def, *if_not_exists, scans, made)
        }
        Alter::DropColumn { column_names, if_exists, drop_behavior, .. } => {
            let cascade = *drop_behavior == Some(ast::DropBehavior::Cascade);
            let mut drop = |name| drop_column(session, ctx, table, &fold(name), (*if_exists, cascade));
            column_names.iter().try_for_each(&mut drop)
        }
        Alter::AlterColumn { column_name, op } => alter_column(ctx, table, &fold(column_name), op, scans, more),
        Alter::AddConstraint { constraint, not_valid } => {
            if *not_valid {
                return Err(Error::unsupported("NOT VALID constraints are not supported"));
            }
            let (name, expr, column) = check_constraint(constraint)?;
            add_checked(ctx, table, name, &expr, column.as_deref(), scans)
        }
        Alter::RenameConstraint { old_name, new_name } => {
            constraints::rename(ctx, table, &fold(old_name), &fold(new_name))
        }
        other => Err(Error::unsupported(format!("ALTER TABLE … {other} is not supported"))),
    }
}

/// Adds a CHECK, and what would show that present rows break it.
fn add_checked(
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    name: Option<String>,
    expr: &ast::Expr,
    column: Option<&str>,
    scans: &mut Vec<MustBeEmpty>,
) -> Result<()> {
    let name = add_check(ctx, table, name, expr, column)?;
    let text = format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", table.name);
    let error = Error::new(SqlState::new("23514"), text);
    scans.push(MustBeEmpty { condition: format!("NOT ({expr})"), before: false, error });
    Ok(())
}

fn nulls(table: &TableDef, column: &str) -> MustBeEmpty {
    let text = format!("column \"{column}\" of relation \"{}\" contains null values", table.name);
    MustBeEmpty {
        condition: format!("{} IS NULL", quoted(column)),
        before: true,
        error: Error::new(SqlState::NOT_NULL_VIOLATION, text),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn add(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    column: &ast::ColumnDef,
    if_not_exists: bool,
    scans: &mut Vec<MustBeEmpty>,
    made: &mut NewSequences,
) -> Result<()> {
    if if_not_exists && table.column(&fold(&column.name)).is_some() {
        let text = format!("column \"{}\" of relation \"{}\" already exists, skipping", fold(&column.name), table.name);
        session.notice(Notice::new(SqlState::DUPLICATE_COLUMN, text));
        return Ok(());
    }
    let (mut def, checks) = column_def(ctx, table, column, false, made)?;
    let differs = || {
        Error::unsupported("a column that is added cannot have a default that differs from row to row")
            .hint("Add the column first, then use ALTER COLUMN … SET DEFAULT for rows to come.")
    };
    if def.identity.is_some() || def.generated.is_some() {
        scans.push(MustBeEmpty { condition: "true".to_string(), before: true, error: differs() });
    } else if let Some(text) = &def.default {
        let expr = parser::parse_expr(text)?;
        if reference::only(text).is_some() || plan_expr(ctx, &expr, &DFSchema::empty())?.is_volatile() {
            // Rows that are there would have to be written again.
            scans.push(MustBeEmpty { condition: "true".to_string(), before: true, error: differs() });
        } else {
            def.missing = Some(one_value(&evaluate(ctx, &expr, &def.ty)?, &def.ty)?);
        }
    }
    let computed = def.generated.is_some();
    let (name, empty_only) = (def.name.clone(), def.not_null && def.missing.is_none());
    add_column(table, def)?;
    if computed {
        generated::check(ctx, table)?;
    }
    if empty_only {
        scans.push(MustBeEmpty { condition: "true".to_string(), ..nulls(table, &name) });
    }
    for (given, expr, column) in checks {
        add_checked(ctx, table, given, &expr, column.as_deref(), scans)?;
    }
    Ok(())
}

/// A value as an Arrow IPC stream of one row and one column.
fn one_value(value: &datafusion::scalar::ScalarValue, ty: &SqlType) -> Result<Vec<u8>> {
    let array = value.to_array().map_err(from_datafusion)?;
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![ty.field("value", true)])), vec![array])?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// Takes a column out of the definition, and what rests on it.
///
/// # Errors
/// 42703, 42P16 for a column that decides where rows lie, 0A000 for the last one; 2BP01 without `cascade` if a generated
/// column is computed of it.
pub(in crate::statement) fn drop_column(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    name: &str,
    (if_exists, cascade): (bool, bool),
) -> Result<()> {
    let Some(column) = table.column(name) else {
        let e = no_column(table, name);
        if !if_exists {
            return Err(e);
        }
        session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
        return Ok(());
    };
    let id = column.id;
    if in_layout(table, id) {
        let text = format!("cannot drop column \"{name}\" named in partition or cluster key");
        return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
    }
    let depending = generated::depending(table, name)?.into_iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    drop_depending(session, ctx, table, (name, id), &depending, cascade)?;
    // As in PostgreSQL, the constraints on a column go with it.
    let schema = DFSchema::try_from(table.arrow_schema().as_ref().clone()).map_err(from_datafusion)?;
    let mut kept = Vec::with_capacity(table.checks.len());
    for check in std::mem::take(&mut table.checks) {
        let planned = plan_expr(ctx, &parser::parse_expr(&check.expr)?, &schema)?;
        if !planned.column_refs().iter().any(|c| c.name == name) {
            kept.push(check);
        }
    }
    table.checks = kept;
    table.columns.retain(|c| c.id != id);
    if table.columns.is_empty() {
        return Err(Error::unsupported("tables without columns are not supported"));
    }
    constraints::without_column(session, ctx, table, (id, name), cascade)
}

/// Drops generated columns that a column is computed into, with `cascade`; and refuses to drop a sequence that others use.
fn drop_depending(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    (name, id): (&str, ColumnId),
    depending: &[String],
    cascade: bool,
) -> Result<()> {
    let shown = |column: &str| format!("column {} of table {}", names::quoted(column), names::quoted(&table.name));
    let owned = sequence::owned(ctx, table.id).filter(|s| s.owned_by.is_some_and(|o| o.column == id));
    let owned = owned.map(|s| s.id).collect::<Vec<_>>();
    let mut lines =
        depending.iter().map(|other| format!("{} depends on {}", shown(other), shown(name))).collect::<Vec<_>>();
    for (other, column, _) in sequence::defaults_of(ctx, &owned) {
        if (other.id, column.id) != (table.id, id) {
            lines.push(format!(
                "default value for column {} of table {} depends on {}",
                names::quoted(&column.name),
                names::quoted(&other.name),
                shown(name)
            ));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    if !cascade || lines.len() > depending.len() {
        let text = format!("cannot drop {} because other objects depend on it", shown(name));
        return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    let cascades = depending.iter().map(|other| format!("drop cascades to {}", shown(other))).collect::<Vec<_>>();
    session.notice(match cascades.as_slice() {
        [one] => Notice::new(SqlState::new("00000"), one.clone()),
        many => Notice::new(SqlState::new("00000"), format!("drop cascades to {} other objects", many.len()))
            .detail(many.join("\n")),
    });
    depending.iter().try_for_each(|other| drop_column(session, ctx, table, other, (false, true)))
}

/// True if the column decides where rows lie.
fn in_layout(table: &TableDef, id: ColumnId) -> bool {
    let of = |e: &PartitionExpr| match e {
        PartitionExpr::Value(id)
        | PartitionExpr::Hour(id)
        | PartitionExpr::Day(id)
        | PartitionExpr::Month(id)
        | PartitionExpr::Year(id)
        | PartitionExpr::Hash(id, _) => *id,
    };
    table.cluster_by.contains(&id) || table.partition_by.iter().any(|e| of(e) == id)
}

fn alter_column(
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    name: &str,
    op: &ast::AlterColumnOperation,
    scans: &mut Vec<MustBeEmpty>,
    widened: &mut Vec<Op>,
) -> Result<()> {
    use ast::AlterColumnOperation as Alter;
    let Some(at) = table.columns.iter().position(|c| c.name == name) else { return Err(no_column(table, name)) };
    match op {
        Alter::SetNotNull => {
            table.columns[at].not_null = true;
            scans.push(nulls(table, name));
        }
        Alter::DropNotNull if table.columns[at].identity.is_some() => {
            let text = format!("column \"{name}\" of relation \"{}\" is an identity column", table.name);
            return Err(Error::new(SqlState::SYNTAX_ERROR, text));
        }
        Alter::DropNotNull => {
            if table.primary_key().is_some_and(|k| k.has_column(table.columns[at].id)) {
                let text = format!("column \"{name}\" is in a primary key");
                return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, text));
            }
            table.columns[at].not_null = false;
        }
        Alter::SetDefault { value } => {
            filling::refuse_default(table, at, false)?;
            table.columns[at].default = default_text(ctx, value, &table.columns[at].ty, name)?;
        }
        Alter::DropDefault => {
            filling::refuse_default(table, at, true)?;
            table.columns[at].default = None;
        }
        Alter::SetDataType { data_type, using, .. } => {
            let (old, new) = (table.columns[at].ty.clone(), column_type(ctx, data_type)?);
            if let Some(other) = generated::depending(table, name)?.first() {
                let text = "cannot alter type of a column used by a generated column";
                let detail = format!("Column \"{name}\" is used by generated column \"{}\".", other.name);
                return Err(Error::unsupported(text).detail(detail));
            }
            if let Some(identity) = table.columns[at].identity.filter(|_| old != new) {
                widened.extend(sequence::widened(ctx, identity.sequence, &new));
            }
            if using.is_some() || !widens(&old, &new) || in_layout(table, table.columns[at].id) {
                return Err(Error::unsupported(format!(
                    "cannot alter the type of column \"{name}\" from {old} to {new}"
                ))
                .hint(
                    "Types can only grow in place. Make a new table with CREATE TABLE … AS SELECT for other changes.",
                ));
            }
            if let Some(text) = table.columns[at].default.clone() {
                default_text(ctx, &parser::parse_expr(&text)?, &new, name)?;
            }
            table.columns[at].ty = new;
        }
        Alter::AddGenerated { .. } => return Err(Error::unsupported("generated columns are not supported")),
    }
    Ok(())
}

/// True if every stored value of `old` is one of `new` as it is.
fn widens(old: &SqlType, new: &SqlType) -> bool {
    use SqlType as T;
    match (old, new) {
        _ if old == new => true,
        (T::SmallInt, T::Integer | T::BigInt) | (T::Integer, T::BigInt) | (T::Real, T::Double) => true,
        (T::Varchar(Some(old)), T::Varchar(Some(new))) => new >= old,
        (T::Varchar(_) | T::Text, T::Varchar(None) | T::Text) => true,
        (T::Numeric(Some((old, scale))), T::Numeric(Some((new, new_scale)))) => new >= old && scale == new_scale,
        _ => false,
    }
}

/// True if the table has a row that fulfils the condition.
///
/// # Errors
/// Those of planning and running it.
pub(in crate::statement) async fn any_row(ctx: &Arc<QueryContext>, table: &TableDef, condition: &str) -> Result<bool> {
    let schema = names::schema_by_id(ctx, table.schema)?;
    let text = format!("SELECT 1 FROM {}.{} WHERE {condition} LIMIT 1", quoted(&schema.name), quoted(&table.name));
    let planned = plan_query(ctx, &parser::query(&text)?, &[])?;
    let mut rows = run_plan(ctx, planned, Vec::new()).await?;
    while let Some(batch) = rows.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a definition is proposed with that was held against the rows of this snapshot: rows that came meanwhile make it
/// be worked out again.
pub(in crate::statement) fn no_new_rows(ctx: &QueryContext, table: TableId) -> Vec<Op> {
    let snapshot = ctx.snapshot.tables.get(&table);
    snapshot.map(|t| Op::NoNewRows { table, next_row: t.next_row() }).into_iter().collect()
}

/// RENAME TO, RENAME COLUMN, OWNER TO and SET SCHEMA of tables and views.
pub(in crate::statement) fn rename(session: &mut Session, rename: &Rename) -> Result<Answer> {
    let tag = if rename.kind == Kind::View { "ALTER VIEW" } else { "ALTER TABLE" };
    let ctx = session.context()?;
    match found(session, &ctx, &rename.name, rename.if_exists)? {
        None => {}
        Some(Relation::Table(table)) if rename.kind == Kind::Table => rename_table(session, &ctx, &table, &rename.to)?,
        Some(Relation::Table(table)) => {
            let text = format!("\"{}\" is not a view", table.name);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        Some(Relation::View(view)) => super::super::view::rename(session, &ctx, &view, &rename.to)?,
        Some(Relation::Sequence(def)) if rename.kind == Kind::Table => {
            sequence::rename_to(session, &ctx, &def, &rename.to)?;
        }
        Some(Relation::Sequence(def)) => {
            let text = format!("\"{}\" is not a view", def.name);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        Some(Relation::System(..)) => {}
    }
    Ok(done(tag))
}

fn rename_table(session: &mut Session, ctx: &Arc<QueryContext>, old: &Arc<TableDef>, to: &RenameTo) -> Result<()> {
    let allowed = authorize(&ctx.identity, Action::ChangeTable(old))?;
    let mut table = (**old).clone();
    match to {
        RenameTo::Name(name) => {
            table.name = names::new_name(name)?;
            if exists(ctx, table.schema, &table.name) {
                let text = format!("relation \"{}\" already exists", table.name);
                return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
            }
        }
        RenameTo::Owner(role) => {
            table.owner = names::owner(ctx, role)?;
            authorize(&ctx.identity, Action::GiveTo(table.owner))?;
        }
        RenameTo::Schema(name) => table.schema = new_schema(ctx, old.schema, name, &table.name)?,
        RenameTo::Column(from, to) => rename_column(&mut table, from, to)?,
    }
    if matches!(to, RenameTo::Column(..)) {
        table.version += 1;
    }
    let mut ops = sequence::follow(ctx, &table);
    ops.insert(0, Op::PutTable(table));
    session.apply(allowed, ops)?;
    let changed = session.context()?;
    check_views(&changed, &[old.id.0], |view| {
        Error::unsupported(format!("cannot rename in table {} because view {} depends on it", old.name, view.name))
            .hint("Drop the view first, and create it again afterwards.")
    })
}

/// The schema that a relation moves to.
///
/// # Errors
/// 3F000, 42P07, 42501.
pub(in crate::statement) fn new_schema(
    ctx: &QueryContext,
    old: sightline_storage::ids::SchemaId,
    name: &str,
    relation: &str,
) -> Result<sightline_storage::ids::SchemaId> {
    let schema = names::schema(ctx, name)?;
    authorize(&ctx.identity, Action::CreateIn(&schema))?;
    if schema.id != old && exists(ctx, schema.id, relation) {
        let text = format!("relation \"{relation}\" already exists in schema \"{name}\"");
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    Ok(schema.id)
}

fn rename_column(table: &mut TableDef, from: &str, to: &str) -> Result<()> {
    let to = names::new_name(to)?;
    if table.column(&to).is_some() {
        let text = format!("column \"{to}\" of relation \"{}\" already exists", table.name);
        return Err(Error::new(SqlState::DUPLICATE_COLUMN, text));
    }
    let Some(column) = table.columns.iter_mut().find(|c| c.name == from) else {
        return Err(Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{from}\" does not exist")));
    };
    column.name = to.clone();
    let checks = table.checks.iter_mut().map(|c| &mut c.expr);
    let generated = table.columns.iter_mut().filter_map(|c| c.generated.as_mut());
    for text in checks.chain(generated) {
        *text = constraints::renamed(text, from, &to)?;
    }
    constraints::rename_in_indexes(table, from, &to)
}
