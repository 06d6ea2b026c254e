//! What the standard counts: `EXCEPT ALL` and `INTERSECT ALL` take each row as often as it comes, and `FETCH … WITH TIES`
//! takes rows that are equal to the last one (<https://www.postgresql.org/docs/15/queries-union.html>,
//! <https://www.postgresql.org/docs/15/sql-select.html#SQL-LIMIT>).

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{NullEquality, Result, exec_err};
use datafusion::functions_window::rank::rank_udwf;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, Filter, Join, JoinType, Limit, LogicalPlan, LogicalPlanBuilder, Operator,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Sort, Volatility, WindowFunctionDefinition, binary_expr,
    cast, ident,
};

/// Rewrites a plan fresh from the planner.
pub(super) fn counted(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| match node {
        // Before the optimiser, only set operations are such joins; without ALL the left side is distinct.
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
                && join.null_equality == NullEquality::NullEqualsNull
                && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_)) =>
        {
            numbered(&join).map(Transformed::yes)
        }
        LogicalPlan::Limit(limit) => with_ties(limit),
        other => Ok(Transformed::no(other)),
    });
    done.map(|t| t.data)
}

/// The name of the column that numbers equal rows.
const NUMBER: &str = "__number";

/// The n-th of equal rows on the left goes with the n-th of them on the right.
fn numbered(join: &Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns();
    let number = |side: &LogicalPlan| -> Result<LogicalPlan> {
        let all = side.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
        let call = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), vec![]));
        let call = call.partition_by(all).build()?.alias(NUMBER);
        window(side.clone(), call)
    };
    let (left, right) = (number(&join.left)?, number(&join.right)?);
    let (left_keys, right_keys) = (left.schema().columns(), right.schema().columns());
    let joined = LogicalPlanBuilder::from(left)
        .join_detailed(right, join.join_type, (left_keys, right_keys), None, NullEquality::NullEqualsNull)?
        .build()?;
    LogicalPlanBuilder::from(joined).project(columns.into_iter().map(Expr::Column))?.build()
}

/// The plan with one more column, that of a window function with an alias.
fn window(input: LogicalPlan, call: Expr) -> Result<LogicalPlan> {
    let Expr::Alias(alias) = call else { return exec_err!("a window function without an alias") };
    let columns = input.schema().columns();
    let made = alias.expr.schema_name().to_string();
    let plan = LogicalPlanBuilder::from(input).window([*alias.expr])?.build()?;
    let exprs = columns.into_iter().map(Expr::Column).chain([ident(made).alias(alias.name)]);
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The function that marks the number of rows of a LIMIT as one with ties.
pub(super) const WITH_TIES: &str = "__with_ties";

/// A limit with ties takes the rows whose rank is within it.
fn with_ties(limit: Limit) -> Result<Transformed<LogicalPlan>> {
    let count = match limit.fetch.as_deref() {
        Some(Expr::ScalarFunction(call)) if call.func.name() == WITH_TIES => call.args[0].clone(),
        _ => return Ok(Transformed::no(LogicalPlan::Limit(limit))),
    };
    let last = match &limit.skip {
        Some(skip) => binary_expr(cast(count, DataType::Int64), Operator::Plus, cast(*skip.clone(), DataType::Int64)),
        None => cast(count, DataType::Int64),
    };
    let input = ranked(Arc::unwrap_or_clone(limit.input), &last)?;
    Ok(Transformed::yes(match limit.skip {
        Some(skip) => LogicalPlan::Limit(Limit { skip: Some(skip), fetch: None, input: Arc::new(input) }),
        None => input,
    }))
}

fn ranked(plan: LogicalPlan, last: &Expr) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = ranked(projection.input.as_ref().clone(), last)?;
            LogicalPlanBuilder::from(input).project(projection.expr)?.build()
        }
        LogicalPlan::Sort(sort) => {
            let columns = sort.input.schema().columns();
            let call = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(rank_udwf()), vec![]));
            let call = call.order_by(sort.expr.clone()).build()?.alias(NUMBER);
            let input = window(sort.input.as_ref().clone(), call)?;
            let within = binary_expr(cast(ident(NUMBER), DataType::Int64), Operator::LtEq, last.clone());
            let input = LogicalPlan::Filter(Filter::try_new(within, Arc::new(input))?);
            let input = LogicalPlanBuilder::from(input).project(columns.into_iter().map(Expr::Column))?.build()?;
            Ok(LogicalPlan::Sort(Sort { expr: sort.expr, input: Arc::new(input), fetch: None }))
        }
        other => Ok(other),
    }
}

/// What [`WITH_TIES`] names.
pub(super) fn with_ties_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(WithTies { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithTies {
    signature: Signature,
}

impl ScalarUDFImpl for WithTies {
    fn name(&self) -> &'static str {
        WITH_TIES
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a mark of the planner was run")
    }
}
