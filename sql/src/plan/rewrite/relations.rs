//! Relations that PostgreSQL knows and DataFusion does not: functions in FROM, sets in a select list, `tableoid`.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, TableFactor, Value,
};

use super::SET_RETURNING;
use super::calls::{call, strip_schema};
use crate::plan::names::fold;

pub(super) fn table_alias(name: &str) -> ast::TableAlias {
    ast::TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: vec![], at: None }
}

/// Whether the expression is a whole number as written.
pub(super) fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, data_type: DataType::Integer(None), .. } | Expr::UnaryOp { expr, .. } => is_number(expr),
        Expr::Value(v) => matches!(v.value, Value::Number(_, _)),
        _ => false,
    }
}

/// `pg_catalog.unnest(a) x` is `UNNEST(a) AS x(x)`.
pub(super) fn unnest_factor(factor: &mut TableFactor) {
    if let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor {
        strip_schema(name);
        let exprs = args.args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
            _ => None,
        });
        let function = name.to_string().to_lowercase();
        let exprs = exprs.collect::<Option<Vec<_>>>();
        // Only a series of plain numbers is a relation of its own; any other is the list that the function answers.
        let series = SET_RETURNING.contains(&function.as_str())
            && exprs.as_ref().is_some_and(|e| function != "generate_series" || !e.iter().all(is_number));
        let exprs = match exprs {
            Some(exprs) if series => {
                alias.get_or_insert_with(|| table_alias(&function));
                Some(vec![call(&function, exprs)])
            }
            Some(exprs) if function == "unnest" => Some(exprs),
            _ => None,
        };
        if let Some(array_exprs) = exprs {
            *factor = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
    }
    if let TableFactor::UNNEST { alias: Some(alias), array_exprs, with_ordinality: false, .. } = factor
        && array_exprs.len() == 1
        && alias.columns.is_empty()
    {
        alias.columns.push(ast::TableAliasColumnDef::from_name(fold(&alias.name)));
    }
}

/// `c.tableoid` of a relation of the system is its OID.
pub(super) fn table_oids(select: &mut Select) {
    let mut known = HashMap::new();
    let factors =
        select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    for factor in factors {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { continue };
        let parts = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect::<Vec<_>>();
        let (schema, relation) = match parts.as_slice() {
            [relation] => ("pg_catalog", relation),
            [schema, relation] => (schema.as_str(), relation),
            _ => continue,
        };
        if let Some(oid) = crate::catalog::relation_oid(schema, relation) {
            known.insert(alias.as_ref().map_or_else(|| relation.clone(), |a| fold(&a.name)), oid);
        }
    }
    if known.is_empty() {
        return;
    }
    let _: ControlFlow<()> = ast::visit_expressions_mut(select, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, column] = parts.as_slice()
            && fold(column) == "tableoid"
            && let Some(oid) = known.get(&fold(table))
        {
            *expr = Expr::Cast {
                kind: ast::CastKind::Cast,
                expr: Box::new(Expr::value(Value::Number(oid.to_string(), false))),
                data_type: DataType::Custom(ObjectName(vec![ObjectNamePart::Identifier(Ident::new("oid"))]), vec![]),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    });
}

/// `generate_series(1, 3) AS g` has one column `g`, as has `generate_series(1, 3)` one `generate_series`.
pub(super) fn name_table_function(name: &mut ObjectName, alias: &mut Option<ast::TableAlias>) {
    strip_schema(name);
    let Some(function) = name.0.last().and_then(|p| p.as_ident()).map(fold) else { return };
    if !SET_RETURNING.contains(&function.as_str()) {
        return;
    }
    let alias = alias.get_or_insert_with(|| table_alias(&function));
    if alias.columns.is_empty() {
        alias.columns.push(ast::TableAliasColumnDef::from_name(fold(&alias.name)));
    }
}

/// A series between whole numbers as written is one of `integer`, where DataFusion's is of `bigint`.
pub(super) fn integer_series(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias: Some(alias), args: Some(args), .. } = factor else { return };
    let small = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => is_number(e) && e.to_string().parse::<i32>().is_ok(),
        _ => false,
    };
    if name.to_string() != "generate_series" || !args.args.iter().all(small) {
        return;
    }
    let Some(column) = alias.columns.first().map(|c| c.name.clone()) else { return };
    let outer = alias.clone();
    let cast = Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::Identifier(column.clone())),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    };
    let Some(mut query) = series_query(factor.clone()) else { return };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias { expr: cast, alias: column }];
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(outer), sample: None };
}

/// `SELECT * FROM` the factor.
pub(super) fn series_query(factor: TableFactor) -> Option<Query> {
    let mut query = crate::parser::query("SELECT * FROM x").ok()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from.first_mut()?.relation = factor;
    }
    Some(query)
}

/// `SELECT generate_series(1, 3)` is three rows.
pub(super) fn set_returning(expr: &mut Expr) {
    if let Expr::Function(f) = expr
        && f.over.is_none()
        && let Some(name) = f.name.0.last().and_then(|p| p.as_ident()).map(fold)
        && SET_RETURNING.contains(&name.as_str())
    {
        *expr = call("unnest", vec![expr.clone()]);
    }
}
