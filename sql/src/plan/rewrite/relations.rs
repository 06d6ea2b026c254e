//! Relations that PostgreSQL knows and DataFusion does not: functions in FROM, sets in a select list, `tableoid`.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, TableFactor, Value, VisitMut, VisitorMut,
};

use sightline_functions::json::{AS_JSON, AS_JSONB};
use sightline_storage::types::SqlType;

use super::SET_RETURNING;
use super::calls::{call, quoted_call, strip_schema};
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

/// A function in FROM is a lateral subquery: `f(t.x) AS g(a)` is `LATERAL (SELECT f(t.x)) AS g(a)`, and one row for each
/// value where the function returns sets (<https://www.postgresql.org/docs/15/queries-table-expressions.html>).
pub(super) fn function_factor(factor: &mut TableFactor) {
    let (name, args, alias, ordinality) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (name.clone(), args.args.clone(), alias.clone(), *with_ordinality)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            (name.clone(), args.clone(), alias.clone(), *with_ordinality)
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
            array_exprs.iter_mut().for_each(super::arrays::flat);
            let args = array_exprs.iter().cloned().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
            (ObjectName::from(vec![Ident::new("unnest")]), args, alias.clone(), *with_ordinality)
        }
        _ => return,
    };
    let mut name = name;
    strip_schema(&mut name);
    let Some(function) = name.0.last().and_then(|p| p.as_ident()).map(fold).filter(|_| name.0.len() == 1) else {
        return;
    };
    let exprs = args.into_iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
        _ => None,
    });
    let Some(exprs) = exprs.collect::<Option<Vec<_>>>() else { return };
    // A series of plain numbers is a relation of its own, which streams.
    let whole = |e: &Expr| is_number(e) && !e.to_string().contains('.');
    if function == "generate_series" && !ordinality && exprs.iter().all(whole) {
        if let TableFactor::Function { .. } = factor {
            let args = exprs.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
            *factor = TableFactor::Table {
                name,
                alias,
                args: Some(ast::TableFunctionArgs { args, settings: None }),
                with_hints: vec![],
                version: None,
                with_ordinality: false,
                partitions: vec![],
                json_path: None,
                sample: None,
                index_hints: vec![],
            };
        }
        return;
    }
    let set = sightline_functions::set_function(&function);
    let sets = set.is_some() || SET_RETURNING.contains(&function.as_str());
    // The sets side by side; `unnest` of several arrays is several of them, and so are the columns of a set.
    let values = match (function.as_str(), set) {
        ("unnest", _) => exprs,
        (_, Some(set)) => (0..set.columns().len()).map(|n| quoted_call(&set.list_name(n), exprs.clone())).collect(),
        _ => vec![call(&function, exprs)],
    };
    let types = set.map_or_else(Vec::new, |set| set.columns().iter().map(SqlType::of_field).collect());
    // A column that is not called after the function keeps its name.
    let own = set.map_or_else(Vec::new, |set| set.columns().iter().map(|c| c.name().clone()).collect());
    let mut alias = alias.unwrap_or_else(|| table_alias(&function));
    let table = fold(&alias.name);
    let several = values.len() > 1;
    let column = |n: usize| {
        let named = alias.columns.get(n).map(|c| fold(&c.name));
        named
            .or_else(|| own.get(n).filter(|name| **name != function).cloned())
            .unwrap_or_else(|| if several { function.clone() } else { table.clone() })
    };
    let mut names = (0..values.len()).map(column).collect::<Vec<_>>();
    if ordinality {
        names.push(alias.columns.get(values.len()).map_or_else(|| "ordinality".to_string(), |c| fold(&c.name)));
    }
    let unnests = sets || function == "unnest";
    let Some(query) = set_query(values, &types, &names, unnests, ordinality) else { return };
    // Two columns may have one name, but not as aliases of one select list.
    alias.columns = names.iter().map(ast::TableAliasColumnDef::from_name).collect();
    *factor = TableFactor::Derived { lateral: true, subquery: Box::new(query), alias: Some(alias), sample: None };
}

/// `SELECT unnest(a) AS _1, unnest(b) AS _2`, with `ordinality` numbered.
fn set_query(values: Vec<Expr>, types: &[SqlType], names: &[String], unnests: bool, ordinality: bool) -> Option<Query> {
    let plain = |n: usize| Ident::with_quote('"', format!("_{}", n + 1));
    let item = |n: usize, expr: Expr| SelectItem::ExprWithAlias { expr, alias: plain(n) };
    let set = |n: usize, expr: Expr| match unnests {
        true => typed(call("unnest", vec![expr]), types.get(n)),
        false => expr,
    };
    let mut query = crate::parser::query("SELECT 1").ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    if !ordinality {
        select.projection = values.into_iter().enumerate().map(|(n, v)| item(n, set(n, v))).collect();
        return Some(query);
    }
    let mut lists = crate::parser::query("SELECT 1").ok()?;
    let SetExpr::Select(listing) = lists.body.as_mut() else { return None };
    listing.projection = values.into_iter().enumerate().map(|(n, v)| item(n, v)).collect();
    let count = names.len() - 1;
    let number = |digits: &str| Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::value(Value::Number(digits.to_string(), false))),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    };
    let length = |n: usize| Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(call("cardinality", vec![Expr::Identifier(plain(n))])),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    };
    let numbers = if unnests {
        let last = call("greatest", (0..count).map(length).collect());
        call("unnest", vec![call("generate_series", vec![number("1"), last])])
    } else {
        number("1")
    };
    select.projection =
        (0..count).map(|n| item(n, set(n, Expr::Identifier(plain(n))))).chain([item(count, numbers)]).collect();
    let relation = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(lists),
        alias: Some(table_alias("lists")),
        sample: None,
    };
    select.from = vec![ast::TableWithJoins { relation, joins: vec![] }];
    Some(query)
}

/// What comes out of a list has lost the type that Arrow does not know.
fn typed(expr: Expr, ty: Option<&SqlType>) -> Expr {
    match ty {
        Some(SqlType::Json) => quoted_call(AS_JSON, vec![expr]),
        Some(SqlType::Jsonb) => quoted_call(AS_JSONB, vec![expr]),
        _ => expr,
    }
}

/// `SELECT x FROM json_array_elements(j) AS x`: the name of a set of one column stands for that column.
pub(super) fn name_single_sets(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let factors =
        select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    let known = factors.filter_map(single_set).collect::<Vec<_>>();
    if known.is_empty() {
        return;
    }
    let quoted = |name: &str| Ident::with_quote('"', name);
    let mut change = |expr: &mut Expr| {
        if let Expr::Identifier(ident) = expr
            && let Some((alias, column)) = known.iter().find(|(alias, _)| *alias == fold(ident))
        {
            *expr = Expr::CompoundIdentifier(vec![quoted(alias), quoted(column)]);
        }
        ControlFlow::<()>::Continue(())
    };
    let _: ControlFlow<()> = ast::visit_expressions_mut(select, &mut change);
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut query.order_by, &mut change);
}

/// The alias of a set of one column, and what the column is called, where the two differ.
fn single_set(factor: &TableFactor) -> Option<(String, String)> {
    let (TableFactor::Table { name, alias: Some(alias), args: Some(_), .. }
    | TableFactor::Function { name, alias: Some(alias), .. }) = factor
    else {
        return None;
    };
    let function = fold(name.0.last()?.as_ident()?);
    let columns = sightline_functions::set_function(&function)?.columns();
    let [column] = columns.as_slice() else { return None };
    let shown = fold(&alias.name);
    let differs = alias.columns.is_empty() && *column.name() != function && *column.name() != shown;
    differs.then(|| (shown, column.name().clone()))
}

/// `a JOIN b USING (c)` gets parentheses, so that it is planned by itself: its merged columns come first, and their values
/// from the side that has them.
pub(super) fn nest_merging_joins(table: &mut ast::TableWithJoins) {
    nest_factor(&mut table.relation);
    table.joins.iter_mut().for_each(|j| nest_factor(&mut j.relation));
    while let Some(at) = table.joins.iter().position(merges) {
        let rest = table.joins.split_off(at + 1);
        let mut before = std::mem::replace(&mut table.joins, rest);
        let last = before.split_off(at);
        let relation = std::mem::replace(&mut table.relation, empty_factor());
        let left = if before.is_empty() { relation } else { nested(relation, before) };
        table.relation = nested(left, last);
    }
}

fn nest_factor(factor: &mut TableFactor) {
    let TableFactor::NestedJoin { table_with_joins, alias } = factor else { return };
    match table_with_joins.joins.as_mut_slice() {
        [only] if merges(only) && alias.is_none() => {
            nest_factor(&mut only.relation);
            nest_factor(&mut table_with_joins.relation);
        }
        _ => nest_merging_joins(table_with_joins),
    }
}

fn merges(join: &ast::Join) -> bool {
    use ast::{JoinConstraint as C, JoinOperator as J};
    // What is lateral wants to see its left side, and has it merged by the planner.
    let lateral = matches!(join.relation, TableFactor::Derived { lateral: true, .. });
    let merging = match &join.join_operator {
        J::Join(c) | J::Inner(c) | J::Left(c) | J::LeftOuter(c) | J::Right(c) | J::RightOuter(c) | J::FullOuter(c) => {
            matches!(c, C::Using(_) | C::Natural)
        }
        _ => false,
    };
    merging && !lateral
}

fn nested(relation: TableFactor, joins: Vec<ast::Join>) -> TableFactor {
    let table_with_joins = Box::new(ast::TableWithJoins { relation, joins });
    TableFactor::NestedJoin { table_with_joins, alias: None }
}

fn empty_factor() -> TableFactor {
    TableFactor::UNNEST {
        alias: None,
        array_exprs: vec![],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
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

/// Functions in a select list that return sets: `SELECT 1 + generate_series(1, 3)` is three rows.
pub(super) fn set_returning(expr: &mut Expr) {
    let _: ControlFlow<()> = expr.visit(&mut Sets { depth: 0 });
}

/// Finds them, but not those of subqueries.
struct Sets {
    depth: usize,
}

impl VisitorMut for Sets {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(f) = expr
            && f.over.is_none()
            && let Some(name) = f.name.0.last().and_then(|p| p.as_ident()).map(fold)
        {
            if SET_RETURNING.contains(&name.as_str()) {
                *expr = call("unnest", vec![expr.clone()]);
            } else if let Some(set) = sightline_functions::set_function(&name)
                && let [column] = set.columns().as_slice()
            {
                *expr = typed(call("unnest", vec![expr.clone()]), Some(&SqlType::of_field(column)));
            }
        }
        ControlFlow::Continue(())
    }
}
