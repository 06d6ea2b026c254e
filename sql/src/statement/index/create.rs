//! CREATE INDEX (<https://www.postgresql.org/docs/15/sql-createindex.html>).

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::index::INDEX_COLUMNS_MAX;
use sightline_storage::catalog::{ColumnDef, IndexColumn, IndexDef, IndexKey, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::super::{done, names, no_block, table};
use super::method::{self, Method};
use super::{check_unique, options, tablespace, too_many};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::error::from_datafusion;
use crate::parser::index::{CreateIndex, IndexPart, PartOf};
use crate::plan::{QueryContext, Relation, column_name, fold, plan_expr, resolve_relation};
use crate::session::Session;

pub(super) async fn run(session: &mut Session, create: &CreateIndex) -> Result<Answer> {
    if create.concurrently {
        no_block(session, "CREATE INDEX CONCURRENTLY")?;
    }
    let ctx = session.context()?;
    let old = found(&ctx, &create.table)?;
    let allowed = authorize(&ctx.identity, Action::ChangeTable(&old))?;
    let name = create.name.as_deref().map(names::new_name).transpose()?;
    if let Some(name) = name.as_ref().filter(|n| table::exists(&ctx, old.schema, n)) {
        let text = format!("relation \"{name}\" already exists");
        if create.if_not_exists {
            session.notice(Notice::new(SqlState::DUPLICATE_TABLE, format!("{text}, skipping")));
            return Ok(done("CREATE INDEX"));
        }
        // What else is wrong is told before.
        define(session, &ctx, &old, create)?;
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    let mut index = define(session, &ctx, &old, create)?;
    index.name = match name {
        Some(name) => name,
        None => {
            let columns = table::joined(part_names(&old, &index).iter().map(String::as_str));
            table::free_name(&ctx, &old, Some(&columns), "idx", (true, false))
        }
    };
    let mut table = (*old).clone();
    table.version += 1;
    let (name, unique) = (index.name.clone(), index.unique);
    table.indexes.push(index);
    session.apply(allowed, vec![Op::PutTable(table)])?;
    if unique {
        let changed = session.context()?;
        session.apply(allowed, table::no_new_rows(&changed, old.id))?;
        let made = changed.snapshot.catalog.table(old.id).and_then(|t| t.index(&name)).cloned();
        let made = made.ok_or_else(|| Error::internal("an index that was just made is missing"))?;
        check_unique(&ctx, &old, &made).await?;
    }
    Ok(done("CREATE INDEX"))
}

/// The table to index.
fn found(ctx: &QueryContext, name: &ast::ObjectName) -> Result<Arc<TableDef>> {
    if let Ok(Relation::View(view)) = resolve_relation(ctx, name) {
        let text = format!("cannot create index on relation \"{}\"", view.name);
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).detail("This operation is not supported for views."));
    }
    names::table(ctx, name)
}

/// What the statement says, without a name.
fn define(session: &mut Session, ctx: &Arc<QueryContext>, table: &TableDef, create: &CreateIndex) -> Result<IndexDef> {
    let schema = DFSchema::try_from(table.arrow_schema().as_ref().clone()).map_err(from_datafusion)?;
    let expressions = create.columns.iter().map(|part| key(ctx, table, &schema, part)).collect::<Vec<_>>();
    let predicate = create.predicate.as_ref().map(|expr| predicate(ctx, &schema, expr)).transpose()?;
    if create.columns.len() + create.include.len() > INDEX_COLUMNS_MAX {
        return Err(too_many());
    }
    let named = create.method.as_deref().unwrap_or("btree");
    if named == "rtree" {
        let text = "substituting access method \"gist\" for obsolete method \"rtree\"";
        session.notice(Notice::new(SqlState::new("00000"), text));
    }
    let method = method::find(if named == "rtree" { "gist" } else { named })?;
    let lacks = |what: &str| Error::unsupported(format!("access method \"{}\" does not support {what}", method.name));
    if create.unique && !method.unique {
        return Err(lacks("unique indexes"));
    }
    if !create.include.is_empty() && !method.include {
        return Err(lacks("included columns"));
    }
    if create.columns.len() > 1 && !method.several {
        return Err(lacks("multicolumn indexes"));
    }
    tablespace(create.tablespace.as_deref())?;
    let options = options(&create.options, method.name)?;
    let mut index = IndexDef {
        unique: create.unique,
        nulls_not_distinct: create.nulls_not_distinct,
        method: method.name.to_string(),
        options,
        predicate,
        ..IndexDef::new("")
    };
    for (part, made) in create.columns.iter().zip(expressions) {
        let (key, ty) = made?;
        index.columns.push(column(method, part, key, &ty)?);
    }
    for part in &create.include {
        index.include.push(included(table, part)?.id);
    }
    Ok(index)
}

/// One part of the key.
fn column(method: &Method, part: &IndexPart, key: IndexKey, ty: &SqlType) -> Result<IndexColumn> {
    let lacks = |what: &str| Error::unsupported(format!("access method \"{}\" does not support {what}", method.name));
    let text = matches!(super::plain(ty), SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_));
    if let Some(collation) = &part.collation {
        let bare = collation.trim_start_matches("pg_catalog.").trim_matches('"');
        if !crate::catalog::is_collation(bare) {
            let text = format!("collation \"{bare}\" for encoding \"UTF8\" does not exist");
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, text));
        }
        if !text {
            let text = format!("collations are not supported by type {ty}");
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
        }
    }
    method::check_type(method.name, ty, part.opclass.as_deref())?;
    if part.descending == Some(true) && !method.order {
        return Err(lacks("ASC/DESC options"));
    }
    if part.nulls_first.is_some() && !method.order {
        return Err(lacks("NULLS FIRST/LAST options"));
    }
    let descending = part.descending.unwrap_or(false);
    Ok(IndexColumn {
        key,
        descending,
        nulls_first: part.nulls_first.unwrap_or(descending),
        opclass: part.opclass.clone(),
        collation: part.collation.clone(),
    })
}

fn table_column<'a>(table: &'a TableDef, name: &str) -> Result<&'a ColumnDef> {
    if table.column(name).is_none() && table::is_system_column(name) {
        return Err(Error::unsupported("index creation on system columns is not supported"));
    }
    table
        .column(name)
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")))
}

/// A column of INCLUDE.
fn included<'a>(table: &'a TableDef, part: &IndexPart) -> Result<&'a ColumnDef> {
    let refused =
        |what: &str| Err(Error::new(SqlState::new("42P17"), format!("including column does not support {what}")));
    let PartOf::Column(name) = &part.of else {
        return Err(Error::unsupported("expressions are not supported in included columns"));
    };
    if part.collation.is_some() {
        return refused("a collation");
    }
    if part.opclass.is_some() {
        return refused("an operator class");
    }
    if part.descending.is_some() {
        return refused("ASC/DESC options");
    }
    if part.nulls_first.is_some() {
        return refused("NULLS FIRST/LAST options");
    }
    table_column(table, name)
}

/// What a part of the key stands for, and its type.
fn key(ctx: &Arc<QueryContext>, table: &TableDef, schema: &DFSchema, part: &IndexPart) -> Result<(IndexKey, SqlType)> {
    let expr = match &part.of {
        PartOf::Column(name) => {
            let column = table_column(table, name)?;
            return Ok((IndexKey::Column(column.id), column.ty.clone()));
        }
        // A column in brackets is a column.
        PartOf::Expr(expr) => match inner(expr) {
            ast::Expr::Identifier(ident) if table.column(&fold(ident)).is_some() => {
                let column = table_column(table, &fold(ident))?;
                return Ok((IndexKey::Column(column.id), column.ty.clone()));
            }
            _ => expr,
        },
    };
    let planned = planned(ctx, expr, schema, "index expression")?;
    let (_, field) = planned.to_field(schema).map_err(from_datafusion)?;
    let name = match column_name(expr) {
        name if name == "?column?" => "expr".to_string(),
        name => names::new_name(&name)?,
    };
    let ty = SqlType::of_field(&field);
    names::no_row(&name, &ty)?;
    Ok((IndexKey::Expression { sql: expr.to_string(), name, ty: ty.clone() }, ty))
}

fn inner(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(nested) => inner(nested),
        other => other,
    }
}

/// WHERE of a partial index, as text.
fn predicate(ctx: &Arc<QueryContext>, schema: &DFSchema, expr: &ast::Expr) -> Result<String> {
    let planned = planned(ctx, expr, schema, "index predicate")?;
    let (_, field) = planned.to_field(schema).map_err(from_datafusion)?;
    let ty = SqlType::of_field(&field);
    if ty != SqlType::Boolean && !matches!(planned, Expr::Literal(ScalarValue::Null, _)) {
        let text = format!("argument of WHERE must be type boolean, not type {ty}");
        return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
    }
    Ok(expr.to_string())
}

/// Plans an expression of an index, `place` being where it stands; its value must hang on nothing but the row.
fn planned(ctx: &Arc<QueryContext>, expr: &ast::Expr, schema: &DFSchema, place: &str) -> Result<Expr> {
    let planned = plan_expr(ctx, expr, schema).map_err(|e| match e.message() {
        "cannot use subquery in this expression" => Error::unsupported(format!("cannot use subquery in {place}")),
        "aggregate functions are not allowed in this expression" => {
            Error::new(SqlState::GROUPING_ERROR, format!("aggregate functions are not allowed in {place}s"))
        }
        _ => e,
    })?;
    let mut steady = true;
    TreeNode::apply(&planned, |e: &Expr| {
        if let Expr::ScalarFunction(call) = e {
            steady &= call.func.signature().volatility == Volatility::Immutable;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    if steady {
        return Ok(planned);
    }
    Err(Error::new(SqlState::new("42P17"), format!("functions in {place} must be marked IMMUTABLE")))
}

/// The names of an index's own columns: no two alike.
pub(crate) fn part_names(table: &TableDef, index: &IndexDef) -> Vec<String> {
    let column = |id| table.column_by_id(id).map(|c| c.name.clone()).unwrap_or_default();
    let keys = index.columns.iter().map(|c| match &c.key {
        IndexKey::Column(id) => column(*id),
        IndexKey::Expression { name, .. } => name.clone(),
    });
    let mut names: Vec<String> = Vec::new();
    for name in keys.chain(index.include.iter().map(|id| column(*id))) {
        let numbered = (1..).map(|n| format!("{name}{n}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|n| !names.contains(n));
        names.extend(free);
    }
    names
}
