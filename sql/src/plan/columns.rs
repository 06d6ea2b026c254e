//! The names PostgreSQL gives to columns without an alias (`FigureColname` in its parse_target.c).

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{self as logical, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr};
use sightline_storage::types::SqlType;

use super::names::fold;
use super::{QueryContext, Relation};

/// Divides a column's name from a mark that makes it unique inside DataFusion, which refuses duplicates at places where
/// PostgreSQL does not. It never reaches a client.
const HIDDEN: char = '\u{1}';

/// The name with a mark that makes it unique.
pub(super) fn hide(name: &str, n: usize) -> String {
    format!("{name}{HIDDEN}{n}")
}

/// The name without its mark.
pub(super) fn unhide(name: &str) -> &str {
    name.split(HIDDEN).next().unwrap_or(name)
}

/// What an expression is called.
#[derive(Debug, PartialEq)]
pub(super) enum Named {
    /// By a column or function.
    Strong(String),
    /// By its type or form only: an outer cast names it anew.
    Weak(String),
    None,
}

/// The column name of an expression without an alias.
pub(crate) fn column_name(expr: &Expr) -> String {
    match figure(expr) {
        Named::Strong(name) | Named::Weak(name) => name,
        Named::None => "?column?".to_string(),
    }
}

fn strong(name: &str) -> Named {
    Named::Strong(name.to_string())
}

fn figure(expr: &Expr) -> Named {
    match expr {
        Expr::Identifier(ident) => Named::Strong(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map_or(Named::None, |p| Named::Strong(fold(p))),
        Expr::QualifiedWildcard(name, _) => {
            name.0.last().and_then(|p| p.as_ident()).map_or(Named::None, |p| Named::Strong(fold(p)))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                ast::AccessExpr::Dot(Expr::Identifier(ident)) => Some(fold(ident)),
                _ => None,
            });
            field.map_or_else(|| figure(root), Named::Strong)
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(f) => f.name.0.last().and_then(|p| p.as_ident()).map_or(Named::None, |i| {
            let name = fold(i);
            Named::Strong(name)
        }),
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Named::Strong(name) => Named::Strong(name),
            Named::Weak(_) | Named::None => Named::Weak(match super::types::sql_type(data_type) {
                Ok(ty) => type_name(element(&ty)),
                Err(_) => data_type.to_string().to_lowercase(),
            }),
        },
        Expr::TypedString(t) => Named::Weak(match super::types::sql_type(&t.data_type) {
            Ok(ty) => type_name(&ty),
            Err(_) => t.data_type.to_string().to_lowercase(),
        }),
        Expr::Interval(_) => Named::Weak("interval".to_string()),
        Expr::Value(v) if matches!(v.value, ast::Value::Boolean(_)) => Named::Weak("bool".to_string()),
        Expr::Case { else_result, .. } => match else_result.as_deref().map(figure) {
            Some(Named::Strong(name)) => Named::Strong(name),
            _ => Named::Weak("case".to_string()),
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { shorthand: true, .. } => strong("substr"),
        Expr::Substring { .. } => strong("substring"),
        Expr::IsNormalized { .. } => strong("is_normalized"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            Some(ast::TrimWhereField::Both) | None => "btrim",
        }),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Subquery(query) => first_column(query),
        _ => Named::None,
    }
}

fn first_column(query: &ast::Query) -> Named {
    first_of(&query.body)
}

fn first_of(body: &SetExpr) -> Named {
    match body {
        SetExpr::Select(select) => match select.projection.first() {
            Some(SelectItem::ExprWithAlias { alias, .. }) => Named::Strong(unhide(&fold(alias)).to_string()),
            Some(SelectItem::UnnamedExpr(expr)) => figure(expr),
            Some(SelectItem::Wildcard(_)) => match select.from.as_slice() {
                [ast::TableWithJoins { relation: ast::TableFactor::Derived { subquery, .. }, joins }]
                    if joins.is_empty() =>
                {
                    first_column(subquery)
                }
                _ => Named::None,
            },
            _ => Named::None,
        },
        SetExpr::Query(inner) => first_column(inner),
        SetExpr::SetOperation { left, .. } => first_of(left),
        SetExpr::Values(_) => strong("column1"),
        _ => Named::None,
    }
}

/// The type that an array is written with, in however many dimensions.
fn element(ty: &SqlType) -> &SqlType {
    match ty {
        SqlType::Array(item) => element(item),
        other => other,
    }
}

/// `pg_type.typname`, which is not the name that `format_type` shows.
pub fn type_name(ty: &SqlType) -> String {
    match ty {
        SqlType::Boolean => "bool".to_string(),
        SqlType::SmallInt => "int2".to_string(),
        SqlType::Integer => "int4".to_string(),
        SqlType::BigInt => "int8".to_string(),
        SqlType::Real => "float4".to_string(),
        SqlType::Double => "float8".to_string(),
        SqlType::Numeric(_) => "numeric".to_string(),
        SqlType::Varchar(_) => "varchar".to_string(),
        SqlType::Char(_) => "bpchar".to_string(),
        SqlType::Time => "time".to_string(),
        SqlType::Timestamp => "timestamp".to_string(),
        SqlType::TimestampTz => "timestamptz".to_string(),
        SqlType::Precise(precise) => type_name(&precise.plain()),
        SqlType::InternalChar => "char".to_string(),
        SqlType::Array(item) => format!("_{}", type_name(element(item))),
        other => other.user().map_or_else(|| other.to_string(), |id| id.name.clone()),
    }
}

/// For each output column the table's OID and the column's number, where it is a table's column as it stands.
pub(super) fn origins(ctx: &QueryContext, plan: &LogicalPlan) -> Vec<Option<(u32, i16)>> {
    let names = match plan {
        LogicalPlan::Sort(s) => return origins(ctx, &s.input),
        LogicalPlan::Limit(l) => return origins(ctx, &l.input),
        LogicalPlan::Distinct(datafusion::logical_expr::Distinct::All(input)) => return origins(ctx, input),
        LogicalPlan::Projection(p) => p.expr.iter().map(plain_column).collect::<Vec<_>>(),
        _ => return vec![],
    };
    let mut tables = Vec::new();
    let walked = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.push((scan.table_name.clone(), scan.table_name.clone()));
        }
        if let LogicalPlan::SubqueryAlias(alias) = node
            && let LogicalPlan::TableScan(scan) = alias.input.as_ref()
        {
            tables.push((alias.alias.clone(), scan.table_name.clone()));
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_err() {
        return vec![];
    }
    names.iter().map(|column| column.as_ref().and_then(|c| origin(ctx, c, &tables))).collect()
}

fn plain_column(expr: &logical::Expr) -> Option<Column> {
    match expr {
        logical::Expr::Column(c) => Some(c.clone()),
        logical::Expr::Alias(alias) => plain_column(&alias.expr),
        _ => None,
    }
}

fn origin(ctx: &QueryContext, column: &Column, tables: &[(TableReference, TableReference)]) -> Option<(u32, i16)> {
    let (_, table) = tables.iter().find(|(name, _)| column.relation.as_ref() == Some(name))?;
    let parts = table.to_vec();
    match super::names::find_relation(ctx, &ctx.relation_path(), &parts).ok()? {
        Relation::Table(def) => {
            let found = def.column(&column.name)?;
            Some((def.id.0, i16::try_from(found.id.0).ok()?))
        }
        Relation::System(schema, name) => crate::catalog::column_origin(schema, &name, &column.name),
        Relation::View(_) | Relation::Sequence(_) => None,
    }
}
