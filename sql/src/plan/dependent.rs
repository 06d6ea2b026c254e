//! Subqueries that DataFusion can't turn into a join, or turns into one that forgets NULLs.
//!
//! DataFusion joins a correlated subquery to its outer query only if it is one aggregate under equalities. Any other is
//! run here once for each distinct combination of the outer values: right for every query, and meant for small ones, as
//! clients ask of the system catalog.
//!
//! `x IN (SELECT …)` that is a condition of WHERE by itself becomes a join that knows NULLs. Anywhere else, below OR or IS
//! NULL or in a select list, it would be true or false and never unknown: there it is looked up in a set of the
//! subquery's values ([`Membership`]).

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, exec_err};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::expr::{InSubquery, Placeholder};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, Filter, LogicalPlan, Operator, Projection, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDFImpl, Signature, Subquery, Volatility, lit,
};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use sightline_storage::error::{Error, SqlState};

use super::QueryContext;
use super::membership::Membership;
use crate::error::{from_datafusion, to_datafusion};

/// Puts functions in the place of such subqueries.
pub(super) fn rewrite(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> sightline_storage::error::Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            if !has_subquery(&filter.predicate)? {
                // A long chain of conditions stays the bush that the parser has made of it.
                return Ok(Transformed::no(LogicalPlan::Filter(filter)));
            }
            let mut changed = false;
            let mut conditions = Vec::new();
            for condition in split_conjunction_owned(filter.predicate) {
                let kept = becomes_join(&condition);
                let done = condition.transform_up(|e| if kept { scalar(ctx, e) } else { any(ctx, e) })?;
                changed |= done.transformed;
                conditions.push(done.data);
            }
            let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
            let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
            return Ok(Transformed::new_transformed(filter, changed));
        }
        // What stands above names the expressions by their old form.
        let names = NamePreserver::new(&node);
        let aggregates = matches!(node, LogicalPlan::Aggregate(_));
        let mut calls = Vec::new();
        let node = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| match e {
                // Neither a join nor an asynchronous function can stand in an aggregate: it moves below.
                e if aggregates => below(ctx, e, &mut calls),
                e => any(ctx, e),
            })?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        node.map_data(|node| with_calls(node, calls))
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|e| Ok(matches!(e, Expr::InSubquery(_) | Expr::ScalarSubquery(_))))
}

/// Takes a subquery out of an aggregate's expressions, and leaves the name of the column that it becomes.
fn below(ctx: &Arc<QueryContext>, expr: Expr, calls: &mut Vec<Expr>) -> Result<Transformed<Expr>> {
    let call = match expr {
        Expr::ScalarSubquery(subquery) => Dependent::call(ctx, subquery)?,
        Expr::InSubquery(_) => any(ctx, expr)?.data,
        other => return Ok(Transformed::no(other)),
    };
    let name = format!("__subquery_{}", calls.len());
    calls.push(call.alias(&name));
    Ok(Transformed::yes(Expr::Column(Column::from_name(name))))
}

/// The aggregate over its input with these columns added.
fn with_calls(node: LogicalPlan, calls: Vec<Expr>) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Aggregate(aggregate) if !calls.is_empty() => {
            let mut columns = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
            columns.extend(calls);
            let input = Projection::try_new(columns, aggregate.input)?;
            let input = Arc::new(LogicalPlan::Projection(input));
            Ok(LogicalPlan::Aggregate(Aggregate::try_new(input, aggregate.group_expr, aggregate.aggr_expr)?))
        }
        other => Ok(other),
    }
}

/// Whether DataFusion makes a join of the condition that is right: `x IN (SELECT …)` by itself, if x is no constant.
fn becomes_join(condition: &Expr) -> bool {
    match condition {
        Expr::InSubquery(found) => !found.expr.column_refs().is_empty(),
        Expr::Not(inner) => becomes_join(inner),
        _ => false,
    }
}

fn scalar(ctx: &Arc<QueryContext>, expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarSubquery(subquery) if !joinable(&subquery) => Ok(Transformed::yes(Dependent::call(ctx, subquery)?)),
        other => Ok(Transformed::no(other)),
    }
}

fn any(ctx: &Arc<QueryContext>, expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let found = Membership::call(ctx, *expr, subquery)?;
            Ok(Transformed::yes(if negated { Expr::Not(Box::new(found)) } else { found }))
        }
        other => scalar(ctx, other),
    }
}

/// Whether DataFusion can join it: not correlated, or one aggregate with correlation by equality only.
fn joinable(subquery: &Subquery) -> bool {
    subquery.outer_ref_columns.is_empty() || (aggregates(&subquery.subquery) && equalities(&subquery.subquery))
}

fn aggregates(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(p) => aggregates(&p.input),
        LogicalPlan::SubqueryAlias(a) => aggregates(&a.input),
        LogicalPlan::Aggregate(a) => a.group_expr.is_empty(),
        _ => false,
    }
}

fn equalities(plan: &LogicalPlan) -> bool {
    let mut only = true;
    let walked = plan.apply(|node| {
        for expr in node.expressions() {
            if !expr.contains_outer() {
                continue;
            }
            only &= matches!(node, LogicalPlan::Filter(_)) && split_conjunction(&expr).into_iter().all(equality);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && only
}

fn equality(expr: &Expr) -> bool {
    if !expr.contains_outer() {
        return true;
    }
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            (left.contains_outer() && !right.contains_outer() && !right.column_refs().is_empty())
                || (right.contains_outer() && !left.contains_outer() && !left.column_refs().is_empty())
        }
        _ => false,
    }
}

/// What a subquery takes from outside: columns of the outer query, and parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outer {
    Column(Column),
    Parameter(Placeholder),
}

impl Outer {
    /// All that the subquery takes.
    pub(super) fn of(subquery: &Subquery) -> Result<Vec<Outer>> {
        let mut all = Vec::new();
        let mut take = |outer: Outer| {
            if !all.contains(&outer) {
                all.push(outer);
            }
        };
        for expr in &subquery.outer_ref_columns {
            if let Expr::OuterReferenceColumn(_, column) = expr {
                take(Outer::Column(column.clone()));
            }
        }
        subquery.subquery.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|e| {
                    if let Expr::Placeholder(parameter) = e {
                        take(Outer::Parameter(parameter.clone()));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(all)
    }

    /// It, in the outer query.
    pub(super) fn expr(&self) -> Expr {
        match self {
            Outer::Column(column) => Expr::Column(column.clone()),
            Outer::Parameter(parameter) => Expr::Placeholder(parameter.clone()),
        }
    }

    /// Whether the expression, in the subquery, is it.
    fn is(&self, expr: &Expr) -> bool {
        match (self, expr) {
            (Outer::Column(mine), Expr::OuterReferenceColumn(_, column)) => mine == column,
            (Outer::Parameter(mine), Expr::Placeholder(parameter)) => mine.id == parameter.id,
            _ => false,
        }
    }
}

/// The subquery with values in the place of what it takes from outside.
pub(super) fn bound(plan: &LogicalPlan, outer: &[Outer], values: &[ScalarValue]) -> Result<LogicalPlan> {
    let bound = plan.clone().transform_down_with_subqueries(|node| {
        // A function in FROM over outer columns; with values in their place it hangs on nothing.
        let node = match node {
            LogicalPlan::Subquery(lateral) => lateral.subquery.as_ref().clone(),
            other => other,
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| match outer.iter().position(|o| o.is(&e)) {
                Some(n) => Ok(Transformed::yes(Expr::Literal(values[n].clone(), None))),
                None => Ok(Transformed::no(e)),
            })?;
            Ok(done.update_data(|e| saved.restore(e)))
        })
    });
    bound.map(|t| t.data)
}

/// One such subquery, as a function of what it takes from outside.
struct Dependent {
    ctx: Arc<QueryContext>,
    plan: Arc<LogicalPlan>,
    outer: Vec<Outer>,
    field: FieldRef,
    signature: Signature,
}

impl Dependent {
    fn call(ctx: &Arc<QueryContext>, subquery: Subquery) -> Result<Expr> {
        let outer = Outer::of(&subquery)?;
        let args = outer.iter().map(Outer::expr).collect::<Vec<_>>();
        let field = subquery.subquery.schema().field(0).as_ref().clone();
        let function = Dependent {
            ctx: ctx.clone(),
            plan: subquery.subquery,
            outer,
            field: Arc::new(field.with_nullable(true)),
            signature: match args.len() {
                0 => Signature::nullary(Volatility::Stable),
                n => Signature::any(n, Volatility::Stable),
            },
        };
        Ok(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf().call(args))
    }

    /// The subquery's value for one row of the outer query.
    async fn value(&self, outer: &[ScalarValue]) -> Result<ScalarValue> {
        let plan = bound(&self.plan, &self.outer, outer)?;
        let mut rows = super::run::raw(&self.ctx, plan).await.map_err(to_datafusion)?;
        let mut found = None;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            if found.is_some() || batch.num_rows() > 1 {
                let message = "more than one row returned by a subquery used as an expression";
                return Err(to_datafusion(Error::new(SqlState::CARDINALITY_VIOLATION, message)));
            }
            found = Some(ScalarValue::try_from_array(batch.column(0), 0)?);
        }
        match found {
            Some(value) => value.cast_to(self.field.data_type()),
            None => ScalarValue::try_new_null(self.field.data_type()),
        }
    }
}

impl fmt::Debug for Dependent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependent").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl PartialEq for Dependent {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Dependent {}

impl Hash for Dependent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.plan).hash(state);
    }
}

impl ScalarUDFImpl for Dependent {
    fn name(&self) -> &str {
        "subquery"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a dependent subquery runs asynchronously")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Dependent {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut known: HashMap<Vec<ScalarValue>, ScalarValue> = HashMap::new();
        let arrays: Vec<ArrayRef> =
            args.args.into_iter().map(|a| a.into_array(args.number_rows)).collect::<Result<_>>()?;
        let mut values = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let key = arrays.iter().map(|a| ScalarValue::try_from_array(a, row)).collect::<Result<Vec<_>>>()?;
            let value = match known.get(&key) {
                Some(value) => value.clone(),
                None => {
                    let value = self.value(&key).await?;
                    known.insert(key, value.clone());
                    value
                }
            };
            values.push(value);
        }
        if values.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(self.field.data_type())));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}
