//! Domains: CREATE and ALTER (<https://www.postgresql.org/docs/15/sql-createdomain.html>,
//! <https://www.postgresql.org/docs/15/sql-alterdomain.html>).

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{CheckDef, DomainDef, TableDef, TypeBody, TypeDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::{named, new_type};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, authorize};
use crate::error::from_datafusion;
use crate::parser::definition::Kind;
use crate::parser::parse_expr;
use crate::parser::user_type::{AlterDomain, CreateDomain, DomainAction, DomainOption};
use crate::plan::{QueryContext, VALUE, fold, plan_expr};
use crate::session::Session;
use crate::statement::{done, names, table};

pub(in crate::statement) fn create(session: &mut Session, create: &CreateDomain) -> Result<Answer> {
    let ctx = session.context()?;
    let base = table::column_type(&ctx, &create.ty)?;
    let inherited = match &base {
        SqlType::Domain(d) => match ctx.snapshot.catalog.types.values().find(|t| t.id.0 == d.id.oid).map(|t| &t.body) {
            Some(TypeBody::Domain(def)) => def.default.clone(),
            _ => None,
        },
        _ => None,
    };
    let mut def = DomainDef { base, not_null: false, default: None, checks: Vec::new() };
    let domain = names::last(&create.name);
    let (mut default, mut nullable) = (None, None);
    for option in &create.options {
        match option {
            DomainOption::Default(_) if default.is_some() => {
                return Err(Error::new(SqlState::SYNTAX_ERROR, "multiple default expressions"));
            }
            DomainOption::Default(expr) => default = Some(expr),
            DomainOption::Null | DomainOption::NotNull => {
                let not_null = matches!(option, DomainOption::NotNull);
                if nullable.is_some_and(|n| n != not_null) {
                    return Err(Error::new(SqlState::SYNTAX_ERROR, "conflicting NULL/NOT NULL constraints"));
                }
                nullable = Some(not_null);
            }
            DomainOption::Check(..) => {}
            DomainOption::Refused(message) => return Err(Error::new(SqlState::SYNTAX_ERROR, *message)),
        }
    }
    def.not_null = nullable.unwrap_or_default();
    def.default = match default {
        Some(expr) => table::default_text(&ctx, expr, &def.base, &domain)?,
        None => inherited,
    };
    for option in &create.options {
        if let DomainOption::Check(name, expr) = option {
            add_check(&ctx, &domain, &mut def, name.as_deref(), expr)?;
        }
    }
    let (allowed, def) = new_type(session, &create.name, TypeBody::Domain(def))?;
    session.apply(allowed, vec![Op::CreateType(def)])?;
    Ok(done("CREATE DOMAIN"))
}

/// Adds a condition, named as PostgreSQL names it if it has no name.
fn add_check(
    ctx: &Arc<QueryContext>,
    domain: &str,
    def: &mut DomainDef,
    name: Option<&str>,
    expr: &ast::Expr,
) -> Result<()> {
    let schema = Schema::new(vec![def.base.field(VALUE, true)]);
    let schema = DFSchema::try_from(schema).map_err(from_datafusion)?;
    let planned = plan_expr(ctx, expr, &schema).map_err(|e| match e.message() {
        "cannot use subquery in this expression" => Error::unsupported("cannot use subquery in check constraint"),
        _ => e,
    })?;
    let (_, field) = planned.to_field(&schema).map_err(from_datafusion)?;
    let ty = SqlType::of_field(&field);
    if ty != SqlType::Boolean && !matches!(planned, Expr::Literal(ScalarValue::Null, _)) {
        let text = format!("argument of CHECK must be type boolean, not type {ty}");
        return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
    }
    let taken = |name: &str| def.checks.iter().any(|c| c.name == name);
    let name = match name {
        Some(name) => names::new_name(name)?,
        None => {
            let base = format!("{domain}_check");
            let numbered = (1..).map(|n| format!("{base}{n}"));
            std::iter::once(base.clone()).chain(numbered).find(|n| !taken(n)).unwrap_or_default()
        }
    };
    if taken(&name) {
        let text = format!("constraint \"{name}\" for domain \"{domain}\" already exists");
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
    }
    def.checks.push(CheckDef { name, expr: expr.to_string(), comment: None });
    Ok(())
}

pub(in crate::statement) async fn alter(session: &mut Session, alter: &AlterDomain) -> Result<Answer> {
    let ctx = session.context()?;
    let old = named(&ctx, &alter.name, Kind::Domain)?;
    let allowed = authorize(&ctx.identity, Action::ChangeType(&old))?;
    let TypeBody::Domain(body) = &old.body else {
        return Err(Error::internal("a domain is none"));
    };
    let mut body = body.clone();
    let missing = |name: &str| format!("constraint \"{name}\" of domain \"{}\" does not exist", old.name);
    // Values that were looked at before have to be looked at again.
    let tightens = matches!(alter.action, DomainAction::AddCheck { .. } | DomainAction::NotNull(true));
    // What no value that there is may fulfil, and how it is said of a column.
    let mut forbidden: Option<(ast::Expr, SqlState, &str)> = None;
    match &alter.action {
        DomainAction::Default(None) => body.default = None,
        DomainAction::Default(Some(expr)) => body.default = table::default_text(&ctx, expr, &body.base, &old.name)?,
        DomainAction::NotNull(not_null) => {
            if *not_null && !body.not_null {
                let text = "contains null values";
                forbidden = Some((parse_expr("VALUE IS NULL")?, SqlState::NOT_NULL_VIOLATION, text));
            }
            body.not_null = *not_null;
        }
        DomainAction::AddCheck { name, expr, valid } => {
            add_check(&ctx, &old.name, &mut body, name.as_deref(), expr)?;
            if *valid {
                let text = "contains values that violate the new constraint";
                let not = parse_expr(&format!("NOT ({expr})"))?;
                forbidden = Some((not, SqlState::CHECK_VIOLATION, text));
            }
        }
        DomainAction::DropConstraint { name, if_exists } => {
            let before = body.checks.len();
            body.checks.retain(|c| c.name != *name);
            if body.checks.len() == before {
                if !*if_exists {
                    return Err(Error::new(SqlState::UNDEFINED_OBJECT, missing(name)));
                }
                session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", missing(name))));
            }
        }
        DomainAction::RenameConstraint(from, to) => {
            if body.checks.iter().any(|c| c.name == *to) {
                let text = format!("constraint \"{to}\" for domain {} already exists", old.name);
                return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
            }
            let found = body.checks.iter_mut().find(|c| c.name == *from);
            let text = || format!("constraint \"{from}\" for domain {} does not exist", old.name);
            found.ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, text()))?.name = names::new_name(to)?;
        }
        DomainAction::Validate(name) => {
            let found = body.checks.iter().find(|c| c.name == *name);
            let check = found.ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, missing(name)))?;
            let not = parse_expr(&format!("NOT ({})", check.expr))?;
            let text = "contains values that violate the new constraint";
            forbidden = Some((not, SqlState::CHECK_VIOLATION, text));
        }
    }
    let id = old.id;
    let users = || ctx.snapshot.catalog.tables.values().filter(move |t| t.columns.iter().any(|c| c.ty.uses(id.0)));
    let mut ops = Vec::new();
    if let Some((condition, code, text)) = forbidden {
        look_through(&ctx, &old, &condition, code, text).await?;
        ops.extend(users().flat_map(|t| table::no_new_rows(&ctx, t.id)));
    }
    ops.push(Op::PutType(TypeDef { body: TypeBody::Domain(body), ..(*old).clone() }));
    if tightens {
        // Rows on their way were held against the old conditions: those of an older version of the table are refused.
        ops.extend(users().map(|t| Op::PutTable(TableDef { version: t.version + 1, ..(**t).clone() })));
    }
    session.apply(allowed, ops)?;
    Ok(done("ALTER DOMAIN"))
}

/// Refuses a change that values in tables stand against.
async fn look_through(
    ctx: &Arc<QueryContext>,
    domain: &TypeDef,
    condition: &ast::Expr,
    code: SqlState,
    what: &str,
) -> Result<()> {
    let tables = || ctx.snapshot.catalog.tables.values();
    let columns = || tables().flat_map(|t| t.columns.iter().map(move |c| (t, c)));
    let inside = |ty: &SqlType| ty.uses(domain.id.0) && !of_domain(ty, domain.id.0);
    if let Some((table, column)) = columns().find(|(_, c)| inside(&c.ty)) {
        let (table, column) = (names::quoted(&table.name), names::quoted(&column.name));
        let text = format!("cannot alter type \"{}\" because column \"{table}.{column}\" uses it", domain.name);
        return Err(Error::unsupported(text));
    }
    for def in tables() {
        for column in &def.columns {
            if !of_domain(&column.ty, domain.id.0) {
                continue;
            }
            let mut condition = condition.clone();
            let _: ControlFlow<()> = ast::visit_expressions_mut(&mut condition, |expr| {
                if let ast::Expr::Identifier(ident) = expr
                    && fold(ident) == VALUE
                {
                    *expr = ast::Expr::Identifier(ast::Ident::with_quote('"', &column.name));
                }
                ControlFlow::Continue(())
            });
            if table::any_row(ctx, def, &condition.to_string()).await? {
                let text = format!("column \"{}\" of table \"{}\" {what}", column.name, def.name);
                return Err(Error::new(code, text));
            }
        }
    }
    Ok(())
}

/// Whether a type is the domain, or one made of it.
fn of_domain(ty: &SqlType, oid: u32) -> bool {
    match ty {
        SqlType::Domain(d) => d.id.oid == oid || of_domain(&d.base, oid),
        _ => false,
    }
}
