//! Scalar subqueries that hang on each row of the outer query in a way that DataFusion can't turn into a join.
//!
//! DataFusion joins a correlated subquery to its outer query only if it is one aggregate under equalities. Any other is
//! run here once for each distinct combination of the outer values: right for every query, and meant for small ones, as
//! clients ask of the system catalog.

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
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl,
    Signature, Subquery, Volatility,
};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use sightline_storage::error::{Error, SqlState};

use super::QueryContext;
use crate::error::{from_datafusion, to_datafusion};

/// Puts functions in the place of such subqueries.
pub(super) fn rewrite(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> sightline_storage::error::Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        // What stands above names the expressions by their old form.
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| match e {
                Expr::ScalarSubquery(subquery) if !joinable(&subquery) => {
                    Ok(Transformed::yes(Dependent::call(ctx, subquery)?))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(done.update_data(|e| saved.restore(e)))
        })
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
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

/// One such subquery, as a function of the outer columns it names.
struct Dependent {
    ctx: Arc<QueryContext>,
    plan: Arc<LogicalPlan>,
    outer: Vec<Column>,
    field: FieldRef,
    signature: Signature,
}

impl Dependent {
    fn call(ctx: &Arc<QueryContext>, subquery: Subquery) -> Result<Expr> {
        let mut outer = Vec::new();
        for expr in &subquery.outer_ref_columns {
            if let Expr::OuterReferenceColumn(_, column) = expr
                && !outer.contains(column)
            {
                outer.push(column.clone());
            }
        }
        let args = outer.iter().cloned().map(Expr::Column).collect::<Vec<_>>();
        let field = subquery.subquery.schema().field(0).as_ref().clone();
        let function = Dependent {
            ctx: ctx.clone(),
            plan: subquery.subquery,
            outer,
            field: Arc::new(field.with_nullable(true)),
            signature: Signature::any(args.len(), Volatility::Stable),
        };
        Ok(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf().call(args))
    }

    /// The subquery's value for one row of the outer query.
    async fn value(&self, outer: &[ScalarValue]) -> Result<ScalarValue> {
        let plan = self.plan.as_ref().clone().transform_down_with_subqueries(|node| {
            // A function in FROM over outer columns; with values in their place it hangs on nothing.
            let node = match node {
                LogicalPlan::Subquery(lateral) => lateral.subquery.as_ref().clone(),
                other => other,
            };
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let saved = names.save(&expr);
                let done = expr.transform_up(|e| match &e {
                    Expr::OuterReferenceColumn(_, column) => match self.outer.iter().position(|c| c == column) {
                        Some(n) => Ok(Transformed::yes(Expr::Literal(outer[n].clone(), None))),
                        None => Ok(Transformed::no(e)),
                    },
                    _ => Ok(Transformed::no(e)),
                })?;
                Ok(done.update_data(|e| saved.restore(e)))
            })
        })?;
        let mut rows = super::run::raw(&self.ctx, plan.data).await.map_err(to_datafusion)?;
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
