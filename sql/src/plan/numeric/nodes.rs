//! Nodes of a plan whose columns are numerics: sorts, joins, groups, DISTINCT, unions, VALUES.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::logical_expr::expr::{InSubquery, Sort as SortExpr};
use datafusion::logical_expr::{
    Aggregate, Cast, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union, Values,
};

use super::{aggregate, as_float, is_exact, is_numeric, key, unify};

/// A node whose inputs and expressions are done.
///
/// # Errors
/// Those of DataFusion for a plan that is none, and of literals.
pub(in crate::plan) fn rewrite(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Sort(mut sort) => {
            let schema = sort.input.schema().clone();
            sort.expr = sort.expr.into_iter().map(|e| ordered(e, &schema)).collect();
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Join(mut join) => {
            let (left, right) = (join.left.schema().clone(), join.right.schema().clone());
            for (l, r) in &mut join.on {
                let (Ok(lt), Ok(rt)) = (l.get_type(&left), r.get_type(&right)) else { continue };
                let number = |t: &DataType| is_exact(t) || t.is_integer();
                if (is_numeric(&lt) || is_numeric(&rt)) && number(&lt) && number(&rt) {
                    (*l, *r) = (key(std::mem::take(l), &lt), key(std::mem::take(r), &rt));
                }
            }
            Ok(LogicalPlan::Join(join))
        }
        LogicalPlan::Aggregate(node) => aggregate::expanded(node),
        LogicalPlan::Window(node) => aggregate::expanded_windows(node),
        LogicalPlan::Distinct(Distinct::All(input)) => distinct(input),
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = on.input.schema().clone();
            on.on_expr = on.on_expr.into_iter().map(|e| keyed(e, &schema)).collect();
            on.sort_expr = on.sort_expr.map(|exprs| exprs.into_iter().map(|e| ordered(e, &schema)).collect());
            Ok(LogicalPlan::Distinct(Distinct::On(on)))
        }
        LogicalPlan::Union(node) => union(node),
        LogicalPlan::Values(values) => rows(values),
        other => Ok(other),
    }
}

/// The key of a numeric; other expressions as they are.
pub(super) fn keyed(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(t) if is_numeric(&t) => key(expr, &t),
        _ => expr,
    }
}

/// Equal values of several scales are one to what is ordered behind them.
pub(super) fn ordered(sort: SortExpr, schema: &DFSchema) -> SortExpr {
    SortExpr { expr: keyed(sort.expr, schema), ..sort }
}

/// `x IN (SELECT …)` by keys.
fn in_subquery(node: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, mut subquery, negated } = node;
    let inner = subquery.subquery.schema().clone();
    let (Ok(ty), Some(field)) = (expr.get_type(schema), inner.fields().first()) else {
        return Ok(Expr::InSubquery(InSubquery { expr, subquery, negated }));
    };
    let items = field.data_type().clone();
    let number = |t: &DataType| is_exact(t) || t.is_integer();
    // Beside a float a numeric is one, too.
    let of_floats = ty.is_floating() && is_exact(&items) || items.is_floating() && is_exact(&ty);
    let compared = match (of_floats, is_numeric(&ty) || is_numeric(&items)) {
        (true, _) => as_float,
        (false, true) if number(&ty) && number(&items) => key,
        _ => return Ok(Expr::InSubquery(InSubquery { expr, subquery, negated })),
    };
    let column = Expr::Column(Column::from(inner.qualified_field(0)));
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .project(vec![compared(column, &items).alias(field.name())])?
        .build()?;
    subquery.subquery = Arc::new(plan);
    Ok(Expr::InSubquery(InSubquery { expr: Box::new(compared(*expr, &ty)), subquery, negated }))
}

/// DISTINCT over numerics as groups of their keys.
fn distinct(input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let schema = input.schema().clone();
    if !schema.fields().iter().any(|f| is_numeric(f.data_type())) {
        return Ok(LogicalPlan::Distinct(Distinct::All(input)));
    }
    let columns = schema.columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    aggregate::expanded(Aggregate::try_new(input, columns, vec![])?)
}

/// A column under the name and the qualifier it had.
pub(super) fn renamed(expr: Expr, (qualifier, field): (Option<&TableReference>, &Arc<Field>)) -> Expr {
    match &expr {
        Expr::Column(c) if c.name == *field.name() && c.relation.as_ref() == qualifier => expr,
        _ => expr.alias_qualified(qualifier.cloned(), field.name()),
    }
}

fn union(node: Union) -> Result<LogicalPlan> {
    let width = node.schema.fields().len();
    let of = |n: usize| node.inputs.iter().map(|i| i.schema().field(n).data_type().clone()).collect::<Vec<_>>();
    let common = (0..width).map(|n| unify::common(&of(n))).collect::<Vec<_>>();
    let differs = |n: usize| common[n].as_ref().is_some_and(|to| of(n).iter().any(|t| t != to));
    if !(0..width).any(differs) {
        return Ok(LogicalPlan::Union(node));
    }
    let convert = |input: Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let schema = input.schema().clone();
        let mut exprs = Vec::with_capacity(width);
        for (n, to) in common.iter().enumerate() {
            let (qualifier, field) = schema.qualified_field(n);
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            exprs.push(match to {
                Some(to) => renamed(unify::converted(column, field.data_type(), to)?, (qualifier, field)),
                None => column,
            });
        }
        Ok(Arc::new(LogicalPlanBuilder::from(input.as_ref().clone()).project(exprs)?.build()?))
    };
    let inputs = node.inputs.into_iter().map(convert).collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

/// Expressions of a node, once its other parts are done: subqueries.
///
/// # Errors
/// Those of DataFusion.
pub(in crate::plan) fn rewrite_subquery(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::InSubquery(node) => in_subquery(node, schema),
        other => Ok(other),
    }
}

/// The planner has cast the rows of VALUES to one decimal, which shows zeros that were not written.
fn rows(node: Values) -> Result<LogicalPlan> {
    let Values { schema, mut values } = node;
    let none = DFSchema::empty();
    let mut fields = schema.fields().iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>();
    let mut changed = false;
    for (n, field) in fields.iter_mut().enumerate() {
        if !is_exact(field.data_type()) {
            continue;
        }
        let bare = values.iter().map(|row| uncast(&row[n])).collect::<Vec<_>>();
        let types = bare.iter().map(|e| e.get_type(&none)).collect::<Result<Vec<_>>>()?;
        let Some(to) = unify::common(&types) else { continue };
        let converted = bare.into_iter().zip(&types).map(|(e, from)| unify::converted(e.clone(), from, &to));
        let converted = converted.collect::<Result<Vec<_>>>()?;
        for (row, expr) in values.iter_mut().zip(converted) {
            row[n] = expr;
        }
        *field = Field::new(field.name(), to, true);
        changed = true;
    }
    if !changed {
        return Ok(LogicalPlan::Values(Values { schema, values }));
    }
    let qualified = schema.iter().map(|(q, _)| q.cloned()).zip(fields.into_iter().map(Arc::new)).collect();
    let schema = DFSchema::new_with_metadata(qualified, schema.metadata().clone())?;
    Ok(LogicalPlan::Values(Values { schema: Arc::new(schema), values }))
}

/// What the planner put a cast around.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr: inner, field }) if field.metadata().is_empty() && field.data_type().is_decimal() => {
            match inner.as_ref() {
                Expr::Literal(..) | Expr::Cast(_) | Expr::Negative(_) | Expr::BinaryExpr(_) => inner,
                Expr::ScalarFunction(_) | Expr::Case(_) => inner,
                _ => expr,
            }
        }
        _ => expr,
    }
}
