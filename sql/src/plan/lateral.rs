//! Lateral joins: `FROM t, LATERAL (SELECT … t.x …)` and functions in FROM over columns of what stands before them
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-LATERAL>).
//!
//! A function over the columns becomes a projection of the left side that is unnested: it runs batch by batch. Any other
//! query runs once for each distinct combination of the values it takes ([`Dependent`](super::dependent)), as a list of
//! its rows that is unnested. What DataFusion joins by itself, a filter by equality, it may.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, NullEquality, NullHandling, Result, TableReference, UnnestOptions};
use datafusion::functions_nested::make_array::make_array;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    EmptyRelation, Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery,
    SubqueryAlias, Values, binary_expr, ident,
};
use sightline_storage::error::{Error, SqlState};

use super::QueryContext;
use super::dependent::{Dependent, equalities};
use super::kernel::{Body, Kernel};
use super::outer::{free, replaced};
use crate::error::{from_datafusion, to_datafusion};

/// Puts plans that run in the place of lateral joins.
pub(super) fn rewrite(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> sightline_storage::error::Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => joined(ctx, join),
        LogicalPlan::Values(values) if asks(&values)? => {
            let one = Arc::new(LogicalPlanBuilder::empty(true).build()?);
            let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
            Ok(Transformed::yes(listed(&values, &one, &options)?))
        }
        other => Ok(Transformed::no(other)),
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
}

fn joined(ctx: &Arc<QueryContext>, join: Join) -> Result<Transformed<LogicalPlan>> {
    let left = join.left.schema();
    let takes = free(&join.right)?.into_iter().any(|(_, column)| left.has_column(&column));
    if !takes || decorrelates(&join)? {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        let text = "invalid reference to FROM-clause entry: the combining JOIN type must be INNER or LEFT for a LATERAL reference";
        return Err(to_datafusion(Error::new(SqlState::new("42P10"), text)));
    }
    let on = join.on.into_iter().map(|(l, r)| binary_expr(l, Operator::Eq, r)).chain(join.filter);
    let condition = conjunction(on.collect::<Vec<_>>());
    let options = UnnestOptions::new().with_null_handling(match join.join_type {
        JoinType::Left => NullHandling::PreserveAndExpandEmpty,
        _ => NullHandling::Drop,
    });
    let columns = join.left.schema().columns();
    if (join.join_type == JoinType::Inner || condition.as_ref().is_none_or(is_true))
        && let Some(plan) = grafted(&join.right, &join.left, &columns, &options)?
    {
        return Ok(Transformed::yes(filtered(plan, condition)?));
    }
    // `a, (b JOIN LATERAL f(a))` is `(a JOIN LATERAL f(a)) JOIN b`: f need not run once for each row of b.
    if join.join_type == JoinType::Inner
        && let LogicalPlan::Join(below) = join.right.as_ref()
        && below.join_type == JoinType::Inner
        && below.null_equality == NullEquality::NullEqualsNothing
        && free(&below.left)?.is_empty()
        && free(&below.right)?.iter().all(|(_, column)| !below.left.schema().has_column(column))
        && let Some(first) = grafted(&below.right, &join.left, &columns, &options)?
    {
        let order = join.left.schema().columns().into_iter().chain(join.right.schema().columns());
        let on = below.on.iter().cloned().map(|(l, r)| binary_expr(l, Operator::Eq, r)).chain(below.filter.clone());
        let all = on.chain(condition).collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::from(first)
            .join_on(below.left.as_ref().clone(), JoinType::Inner, all)?
            .project(order.map(Expr::Column))?
            .build()?;
        return Ok(Transformed::yes(plan));
    }
    // The condition of an outer join decides which rows are joined, so it goes inside.
    let (inside, above) = match join.join_type {
        JoinType::Left => (condition, None),
        _ => (None, condition),
    };
    let right = unwrapped(&join.right)?;
    let right = match inside.filter(|c| !is_true(c)) {
        None => right,
        Some(condition) => {
            let left = join.left.schema();
            let outside = condition.transform_up(|e| match e {
                Expr::Column(column) if !right.schema().has_column(&column) => {
                    let field = left.field_from_column(&column)?.clone();
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            LogicalPlan::Filter(Filter::try_new(outside.data, Arc::new(right))?)
        }
    };
    let plan = rows(ctx, &join.left, right, columns, options)?;
    Ok(Transformed::yes(filtered(plan, above)?))
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(datafusion::scalar::ScalarValue::Boolean(Some(true)), _))
}

fn filtered(plan: LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
    match condition {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

/// Whether DataFusion makes an ordinary join of it: filters by equality over relations.
fn decorrelates(join: &Join) -> Result<bool> {
    let inner = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
        other => other,
    };
    let LogicalPlan::Subquery(Subquery { subquery, .. }) = inner else { return Ok(false) };
    let mut simple = join.join_type == JoinType::Inner && equalities(subquery);
    let left = join.left.schema();
    simple &= free(subquery)?.iter().all(|(_, column)| left.has_column(column));
    subquery.apply(|node| {
        simple &= matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
        );
        let mut subqueries = false;
        node.apply_expressions(|e| {
            subqueries |=
                e.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        simple &= !subqueries;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(simple)
}

/// The plan without the marks of lateral subqueries.
fn unwrapped(plan: &LogicalPlan) -> Result<LogicalPlan> {
    replaced(plan.clone(), |_| None)
}

/// A function in FROM on top of the left side instead of one empty row: the left side's columns, then its own. None if
/// the plan is something else.
fn grafted(
    plan: &LogicalPlan,
    left: &Arc<LogicalPlan>,
    columns: &[Column],
    options: &UnnestOptions,
) -> Result<Option<LogicalPlan>> {
    let kept = || columns.iter().cloned().map(Expr::Column);
    Ok(match plan {
        LogicalPlan::Subquery(lateral) => grafted(&lateral.subquery, left, columns, options)?,
        LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) => Some(left.as_ref().clone()),
        LogicalPlan::Projection(projection) => grafted_projection(projection, left, columns, options, None)?,
        LogicalPlan::Values(values) => Some(listed(values, left, options)?),
        LogicalPlan::Unnest(unnest) => match grafted(&unnest.input, left, columns, options)? {
            Some(input) => {
                let options = unnest.options.clone().with_null_handling(options.null_handling);
                let columns = unnest.exec_columns.clone();
                Some(LogicalPlanBuilder::from(input).unnest_columns_with_options(columns, options)?.build()?)
            }
            None => None,
        },
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, schema, .. }) => {
            // A column of the left side under its own name must not stand beside it without a qualifier.
            if let Some(own) = over_nothing(input, left)? {
                let named = |(e, field): (Expr, &FieldRef)| e.alias_qualified(Some(alias.clone()), field.name());
                let exprs = kept().chain(own.into_iter().map(|(_, e)| e).zip(schema.fields()).map(named)).collect();
                return Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, left.clone())?)));
            }
            let mut inner = input.as_ref();
            while let LogicalPlan::Subquery(lateral) = inner {
                inner = &lateral.subquery;
            }
            if let LogicalPlan::Projection(projection) = inner {
                let named = |n: usize| (Some(alias.clone()), schema.field(n).name().clone());
                return grafted_projection(projection, left, columns, options, Some(&named));
            }
            let Some(plan) = grafted(input, left, columns, options)? else { return Ok(None) };
            let own = input
                .schema()
                .columns()
                .into_iter()
                .zip(schema.fields())
                .map(|(column, field)| Expr::Column(column).alias_qualified(Some(alias.clone()), field.name()));
            let exprs = kept().chain(own).collect::<Vec<_>>();
            Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
        }
        _ => None,
    })
}

/// A projection of the kind that [`grafted`] takes. Its own columns take the names that are given, with their relation at
/// once: without one they could not stand beside a column of that name of the left side.
fn grafted_projection(
    projection: &Projection,
    left: &Arc<LogicalPlan>,
    columns: &[Column],
    options: &UnnestOptions,
    named: Option<&dyn Fn(usize) -> (Option<TableReference>, String)>,
) -> Result<Option<LogicalPlan>> {
    // A column of the row that stands for none must be NULL, which a computed one need not be.
    let expands = options.null_handling == NullHandling::PreserveAndExpandEmpty;
    let over_unnest = matches!(projection.input.as_ref(), LogicalPlan::Unnest(_));
    let computes = projection.expr.iter().any(|e| !matches!(e.clone().unalias_nested().data, Expr::Column(_)));
    if expands && over_unnest && computes {
        return Ok(None);
    }
    let Some(input) = grafted(&projection.input, left, columns, options)? else { return Ok(None) };
    let own = projection.expr.iter().enumerate().map(|(n, expr)| {
        let name = expr.schema_name().to_string();
        let outer = |e: Expr| match e {
            Expr::OuterReferenceColumn(_, column) if left.schema().has_column(&column) => {
                Ok(Transformed::yes(Expr::Column(column)))
            }
            other => Ok(Transformed::no(other)),
        };
        let done = expr.clone().transform_up(outer)?;
        Ok(match named {
            Some(named) => {
                let (relation, name) = named(n);
                done.data.unalias().alias_qualified(relation, name)
            }
            None if done.transformed && !matches!(expr, Expr::Alias(_)) => done.data.alias(name),
            None => done.data,
        })
    });
    let exprs = columns.iter().cloned().map(Expr::Column).map(Ok).chain(own).collect::<Result<Vec<_>>>()?;
    if exprs.iter().any(|e| matches!(e, Expr::Column(c) if !input.schema().has_column(c))) {
        return Ok(None);
    }
    Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)))
}

/// What a subquery without FROM computes of the left side's columns, each with its name. None if the plan is something else.
fn over_nothing(plan: &LogicalPlan, left: &Arc<LogicalPlan>) -> Result<Option<Vec<(String, Expr)>>> {
    let projection = match plan {
        LogicalPlan::Subquery(lateral) => return over_nothing(&lateral.subquery, left),
        LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) => return Ok(Some(Vec::new())),
        LogicalPlan::Projection(projection) => projection,
        _ => return Ok(None),
    };
    let Some(below) = over_nothing(&projection.input, left)? else { return Ok(None) };
    let mut all = Vec::with_capacity(projection.expr.len());
    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
        let mut strange = false;
        let done = expr.clone().unalias_nested().data.transform_up(|e| match e {
            Expr::OuterReferenceColumn(_, column) if left.schema().has_column(&column) => {
                Ok(Transformed::yes(Expr::Column(column)))
            }
            Expr::Column(column) => match below.iter().find(|(name, _)| *name == column.name) {
                Some((_, value)) => Ok(Transformed::yes(value.clone())),
                None => {
                    strange = true;
                    Ok(Transformed::no(Expr::Column(column)))
                }
            },
            other => Ok(Transformed::no(other)),
        })?;
        if strange {
            return Ok(None);
        }
        all.push((field.name().clone(), done.data));
    }
    Ok(Some(all))
}

/// A VALUES over the columns of the left side: each column a list over the rows, the lists unnested side by side.
fn listed(values: &Values, left: &Arc<LogicalPlan>, options: &UnnestOptions) -> Result<LogicalPlan> {
    let outer = |e: Expr| match e {
        Expr::OuterReferenceColumn(_, column) if left.schema().has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    };
    let names = values.schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let lists = names.iter().enumerate().map(|(n, name)| {
        let items = values.values.iter().map(|row| row[n].clone().transform_up(outer).map(|t| t.data));
        Ok(make_array(items.collect::<Result<Vec<_>>>()?).alias(name))
    });
    let kept = left.schema().columns().into_iter().map(Expr::Column);
    let exprs = kept.map(Ok).chain(lists).collect::<Result<Vec<_>>>()?;
    let listed = LogicalPlan::Projection(Projection::try_new(exprs, left.clone())?);
    let lists = names.into_iter().map(Column::from_name).collect();
    LogicalPlanBuilder::from(listed).unnest_columns_with_options(lists, options.clone())?.build()
}

/// Whether an expression of a VALUES is a subquery, which DataFusion does not run there.
fn asks(values: &Values) -> Result<bool> {
    for expr in values.values.iter().flatten() {
        let subquery = |e: &Expr| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)));
        if expr.exists(subquery)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The name of the column that holds the rows of the right side.
const ROWS: &str = "__lateral";

/// The left side's columns and those of the right side's rows for them.
fn rows(
    ctx: &Arc<QueryContext>,
    left: &Arc<LogicalPlan>,
    right: LogicalPlan,
    columns: Vec<Column>,
    options: UnnestOptions,
) -> Result<LogicalPlan> {
    let schema = right.schema().clone();
    let list = Dependent::rows(ctx, right, left.schema())?;
    let kept = || columns.iter().cloned().map(Expr::Column);
    let listed = Projection::try_new(kept().chain([list.alias(ROWS)]).collect(), left.clone())?;
    let unnested = LogicalPlanBuilder::from(LogicalPlan::Projection(listed))
        .unnest_columns_with_options(vec![Column::from_name(ROWS)], options)?
        .build()?;
    let own = schema.iter().enumerate().map(|(n, (qualifier, field))| {
        let column = Arc::new(field.as_ref().clone().with_nullable(true));
        Kernel::call(&format!("field_{n}"), column, vec![ident(ROWS)], field_of(n))
            .alias_qualified(qualifier.cloned(), field.name())
    });
    let exprs = kept().chain(own).collect::<Vec<_>>();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(unnested))?))
}

/// The n-th field of a struct, NULL where the struct is.
fn field_of(n: usize) -> Body {
    Arc::new(move |arrays| {
        let rows = arrays[0].as_struct();
        let field: &ArrayRef = rows.column(n);
        let nulls = NullBuffer::union(rows.nulls(), field.nulls());
        let data = field.to_data().into_builder().nulls(nulls).build()?;
        Ok(arrow::array::make_array(data))
    })
}
