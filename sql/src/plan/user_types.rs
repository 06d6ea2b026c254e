//! Names of types that users have made, looked up before a query is planned: what is written `mood` becomes a type that says
//! all of itself, which [`sql_type`](super::types::sql_type) reads without a catalog.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, DataType, Expr, Ident, ObjectName, ObjectNamePart, ObjectNamePartFunction, TableFactor,
    VisitMut, VisitorMut,
};
use sightline_storage::catalog::TypeDef;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::QueryContext;
use super::names::{SYSTEM_SCHEMAS, TEMPORARY, find_relation, parts};
use super::types::sql_type;

/// The type of this name through `path`. None for one that is built in, or that nobody made.
pub(super) fn find(ctx: &QueryContext, path: &[String], name: &[String]) -> Option<Arc<TypeDef>> {
    let catalog = &ctx.snapshot.catalog;
    let schema = |name: &str| {
        let name = if name == TEMPORARY { ctx.temporary_name() } else { name.to_string() };
        catalog.schemas.get(&name).map(|s| s.id)
    };
    let of = |in_schema: &str, name: &String| catalog.types.get(&(schema(in_schema)?, name.clone())).cloned();
    match name {
        [name] => path.iter().find_map(|s| of(s, name)),
        [schema, name] => of(schema, name),
        [tenant, schema, name] if *tenant == ctx.identity.tenant_name => of(schema, name),
        _ => None,
    }
}

/// A type as written, built in or made by a user.
///
/// # Errors
/// As [`sql_type`]; 3F000 for a schema that does not exist.
pub fn sql_type_in(ctx: &QueryContext, ty: &DataType) -> Result<SqlType> {
    let path = ctx.relation_path();
    let mut ty = ty.clone();
    Resolver { ctx, path: &path, used: Vec::new(), relations: false }.resolve(&mut ty);
    sql_type(&ty).map_err(|e| match innermost(&ty) {
        DataType::Custom(name, _) if e.code() == SqlState::UNDEFINED_OBJECT => no_schema(ctx, name).unwrap_or(e),
        _ => e,
    })
}

fn innermost(ty: &DataType) -> &DataType {
    match ty {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) => innermost(item),
        other => other,
    }
}

/// The error of a type's name whose schema is missing.
fn no_schema(ctx: &QueryContext, name: &ObjectName) -> Option<Error> {
    let parts = parts(name).ok()?;
    let [.., schema, _] = parts.as_slice() else { return None };
    let known = SYSTEM_SCHEMAS.contains(&schema.as_str()) || ctx.snapshot.catalog.schemas.contains_key(schema);
    let message = || format!("schema \"{schema}\" does not exist");
    (!known).then(|| Error::new(SqlState::INVALID_SCHEMA_NAME, message()))
}

/// The definition that a name stands for in a statement about types.
///
/// # Errors
/// 42704, 3F000.
pub fn user_type(ctx: &QueryContext, name: &ObjectName) -> Result<Arc<TypeDef>> {
    let parts = parts(name)?;
    find(ctx, &ctx.relation_path(), &parts).ok_or_else(|| {
        no_schema(ctx, name).unwrap_or_else(|| {
            Error::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", parts.join(".")))
        })
    })
}

/// Puts types that users have made into a query or an expression. Answers the OIDs of those it found.
pub(super) fn resolve(ctx: &QueryContext, path: &[String], tree: &mut impl VisitMut) -> Vec<u32> {
    let mut resolver = Resolver { ctx, path, used: Vec::new(), relations: true };
    let _: ControlFlow<()> = tree.visit(&mut resolver);
    resolver.used.sort_unstable();
    resolver.used.dedup();
    resolver.used
}

/// The OIDs of the users' types that a query names.
pub fn types_of(ctx: &QueryContext, query: &ast::Query) -> Vec<u32> {
    resolve(ctx, &ctx.relation_path(), &mut query.clone())
}

struct Resolver<'a> {
    ctx: &'a QueryContext,
    path: &'a [String],
    used: Vec<u32>,
    /// Names of relations are types as well, those of their rows.
    relations: bool,
}

impl Resolver<'_> {
    fn resolve(&mut self, ty: &mut DataType) {
        match ty {
            DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) => self.resolve(item),
            DataType::Custom(name, _) if sql_type(&DataType::Custom(name.clone(), Vec::new())).is_err() => {
                let Ok(parts) = parts(name) else { return };
                if let Some(found) = self.found(&parts) {
                    *ty = said(&found);
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, name: &[String]) -> Option<SqlType> {
        if let Some(def) = find(self.ctx, self.path, name) {
            self.used.push(def.id.0);
            return Some(self.ctx.snapshot.catalog.sql_type(&def));
        }
        if self.relations
            && let Ok(found) = find_relation(self.ctx, self.path, name)
        {
            return super::records::row_type(self.ctx, &found);
        }
        // `pg_type.typname` of an array.
        let (last, schema) = name.split_last()?;
        let item = last.strip_prefix('_')?.to_string();
        let name = schema.iter().cloned().chain([item]).collect::<Vec<_>>();
        let def = find(self.ctx, self.path, &name)?;
        self.used.push(def.id.0);
        Some(SqlType::Array(Box::new(self.ctx.snapshot.catalog.sql_type(&def))))
    }
}

/// A type as a name that nobody can write: all of it.
pub(super) fn said(ty: &SqlType) -> DataType {
    let part = ObjectNamePartFunction { name: Ident::new(ty.encode()), args: Vec::new() };
    DataType::Custom(ObjectName(vec![ObjectNamePart::Function(part)]), Vec::new())
}

/// A cast to a type, whatever its name and the search path.
pub fn cast_to(expr: Expr, ty: &SqlType) -> Expr {
    let (expr, data_type) = (Box::new(expr), said(ty));
    Expr::Cast { kind: ast::CastKind::Cast, expr, data_type, array: false, format: None }
}

/// What [`said`] wrote.
pub(super) fn heard(name: &ObjectName) -> Option<SqlType> {
    match name.0.as_slice() {
        [ObjectNamePart::Function(part)] => SqlType::parse(&part.name.value),
        _ => None,
    }
}

impl VisitorMut for Resolver<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => self.resolve(data_type),
            Expr::TypedString(typed) => self.resolve(&mut typed.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Derived { alias, .. } => alias.as_mut(),
            _ => None,
        };
        let types = alias.into_iter().flat_map(|a| &mut a.columns).filter_map(|c| c.data_type.as_mut());
        types.for_each(|ty| self.resolve(ty));
        ControlFlow::Continue(())
    }
}
