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

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef};
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, exec_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, Filter, Join, LogicalPlan, Operator, Projection, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDFImpl, Signature, Sort, Subquery, Volatility, Window, lit,
};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use sightline_storage::error::{Error, SqlState};

use super::QueryContext;
use super::membership::Membership;
use super::outer::{Outer, bound, free};
use crate::error::{from_datafusion, to_datafusion};

/// Puts functions in the place of such subqueries.
pub(super) fn rewrite(ctx: &Arc<QueryContext>, plan: LogicalPlan) -> sightline_storage::error::Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Filter(filter) => return filtered(ctx, filter),
            LogicalPlan::Join(join) => LogicalPlan::Join(with_filters(ctx, join)?),
            other => other,
        };
        // What stands above names the expressions by their old form.
        let names = NamePreserver::new(&node);
        let aggregates = matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        let schema = merge_schema(&node.inputs());
        let mut calls = Vec::new();
        let node = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let expr = if aggregates { expr } else { guarded(ctx, expr, &schema)?.data };
            let done = expr.transform_up(|e| match e {
                // Neither a join nor an asynchronous function can stand in these: it moves below.
                e if aggregates => below(ctx, e, &schema, &mut calls),
                e => any(ctx, e, &schema, false),
            })?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        node.map_data(|node| with_calls(node, calls))
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
}

fn filtered(ctx: &Arc<QueryContext>, filter: Filter) -> Result<Transformed<LogicalPlan>> {
    if !has_subquery(&filter.predicate)? {
        // A long chain of conditions stays the bush that the parser has made of it.
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let schema = filter.input.schema().clone();
    let mut changed = false;
    let mut conditions = Vec::new();
    for condition in split_conjunction_owned(filter.predicate) {
        let kept = becomes_join(&condition, &schema, false)?;
        let condition = guarded(ctx, condition, &schema)?.data;
        let done = condition
            .transform_up(|e| if kept { scalar(ctx, e, &schema, true) } else { any(ctx, e, &schema, true) })?;
        changed |= done.transformed;
        conditions.push(done.data);
    }
    let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
    let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
    Ok(Transformed::new_transformed(filter, changed))
}

/// A condition of a join with a subquery that asks for one side only is a filter of that side, which can become a join,
/// unless rows of that side are kept without regard to it.
fn with_filters(ctx: &Arc<QueryContext>, mut join: Join) -> Result<Join> {
    let Some(filter) = join.filter.take_if(|f| has_subquery(f).unwrap_or(false)) else { return Ok(join) };
    let (mut left, mut right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for condition in split_conjunction_owned(filter) {
        let names = named_by(&condition)?;
        let of = |side: &LogicalPlan| !names.is_empty() && names.iter().all(|c| side.schema().has_column(c));
        if !has_subquery(&condition)? {
            rest.push(condition);
        } else if matches!(join.join_type, JoinType::Inner | JoinType::Left) && of(&join.right) {
            right.push(condition);
        } else if matches!(join.join_type, JoinType::Inner | JoinType::Right) && of(&join.left) {
            left.push(condition);
        } else {
            rest.push(condition);
        }
    }
    let side = |input: &Arc<LogicalPlan>, conditions: Vec<Expr>| -> Result<Arc<LogicalPlan>> {
        match conjunction(conditions) {
            None => Ok(input.clone()),
            Some(predicate) => Ok(Arc::new(filtered(ctx, Filter::try_new(predicate, input.clone())?)?.data)),
        }
    };
    join.left = side(&join.left, left)?;
    join.right = side(&join.right, right)?;
    join.filter = conjunction(rest);
    Ok(join)
}

/// The columns that a condition asks for, those of its subqueries from outside of them among them.
fn named_by(condition: &Expr) -> Result<Vec<Column>> {
    let mut all = condition.column_refs().into_iter().cloned().collect::<Vec<_>>();
    condition.apply(|e| {
        if let Expr::ScalarSubquery(subquery)
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::Exists(Exists { subquery, .. }) = e
        {
            all.extend(free(&subquery.subquery)?.into_iter().map(|(_, column)| column));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|e| Ok(matches!(e, Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::Exists(_))))
}

/// Takes a subquery out of an aggregate's expressions, and leaves the name of the column that it becomes.
fn below(ctx: &Arc<QueryContext>, expr: Expr, schema: &DFSchema, calls: &mut Vec<Expr>) -> Result<Transformed<Expr>> {
    let call = match expr {
        Expr::ScalarSubquery(subquery) => Dependent::value_of(ctx, subquery, schema)?,
        Expr::Exists(exists) => Dependent::exists(ctx, exists, schema)?,
        Expr::InSubquery(_) => any(ctx, expr, schema, false)?.data,
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
        LogicalPlan::Sort(sort) if !calls.is_empty() => {
            let shown = sort.input.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
            let columns = shown.iter().cloned().chain(calls).collect();
            let input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns, sort.input)?));
            let sorted = LogicalPlan::Sort(Sort { expr: sort.expr, input, fetch: sort.fetch });
            Ok(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(sorted))?))
        }
        LogicalPlan::Window(window) if !calls.is_empty() => {
            let columns = window.input.schema().columns();
            let above = window.schema.columns().split_off(columns.len());
            let shown = columns.into_iter().chain(above).map(Expr::Column).collect::<Vec<_>>();
            let below = window.input.schema().columns().into_iter().map(Expr::Column).chain(calls).collect();
            let input = Arc::new(LogicalPlan::Projection(Projection::try_new(below, window.input)?));
            let windows = LogicalPlan::Window(Window::try_new(window.window_expr, input)?);
            Ok(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(windows))?))
        }
        other => Ok(other),
    }
}

/// Whether DataFusion makes a join of the condition that is right: `x IN (SELECT …)` by itself, if x is no constant. One
/// that is correlated must be so in filters only, and not be denied: a join that knows NULLs has one column.
fn becomes_join(condition: &Expr, schema: &DFSchema, denied: bool) -> Result<bool> {
    Ok(match condition {
        Expr::InSubquery(found) => {
            let plan = &found.subquery.subquery;
            !found.expr.column_refs().is_empty()
                && !runs_aside_within(plan)
                && (free(plan)?.is_empty() || (denied == found.negated && filters_only(plan, schema)?))
        }
        Expr::Not(inner) => becomes_join(inner, schema, !denied)?,
        _ => false,
    })
}

/// Whether what a plan takes from outside goes to what runs asynchronously.
fn runs_aside_within(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply(|node| {
        found |= node.expressions().iter().any(|e| e.contains_outer() && runs_aside(e));
        Ok(TreeNodeRecursion::Continue)
    });
    found || walked.is_err()
}

/// `filters`: the expression is a condition, of which DataFusion makes joins.
fn scalar(ctx: &Arc<QueryContext>, expr: Expr, schema: &DFSchema, filters: bool) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarSubquery(subquery) if !joinable(&subquery, schema)? => {
            Ok(Transformed::yes(Dependent::value_of(ctx, subquery, schema)?))
        }
        Expr::Exists(exists) if !filters || !filters_only(&exists.subquery.subquery, schema)? => {
            Ok(Transformed::yes(Dependent::exists(ctx, exists, schema)?))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn any(ctx: &Arc<QueryContext>, expr: Expr, schema: &DFSchema, filters: bool) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let found = Membership::call(ctx, *expr, subquery, schema)?;
            Ok(Transformed::yes(if negated { Expr::Not(Box::new(found)) } else { found }))
        }
        other => scalar(ctx, other, schema, filters),
    }
}

/// A subquery behind a condition of CASE runs only for rows where that holds: asyncpg asks so of all types what few have.
fn guarded(ctx: &Arc<QueryContext>, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|e| {
        let Expr::Case(mut case) = e else { return Ok(Transformed::no(e)) };
        let mut changed = false;
        if case.expr.is_none() {
            for (when, then) in &mut case.when_then_expr {
                if has_subquery(when)? {
                    continue;
                }
                let done = std::mem::take(then.as_mut()).transform_down(|e| where_it_holds(ctx, e, schema, when))?;
                changed |= done.transformed;
                **then = done.data;
            }
        }
        Ok(Transformed::new_transformed(Expr::Case(case), changed))
    })
}

/// The same of a subquery by itself; a CASE within has conditions of its own.
fn where_it_holds(ctx: &Arc<QueryContext>, expr: Expr, schema: &DFSchema, guard: &Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Case(_) => Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump)),
        Expr::ScalarSubquery(subquery) if !joinable(&subquery, schema)? => {
            Ok(Transformed::yes(Dependent::value_where(ctx, subquery, schema, guard.clone())?))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether DataFusion can join it: not correlated, or one aggregate with correlation by equality only.
fn joinable(subquery: &Subquery, schema: &DFSchema) -> Result<bool> {
    let free = free(&subquery.subquery)?;
    let near = free.iter().all(|(_, column)| schema.has_column(column));
    let plan = &subquery.subquery;
    Ok(free.is_empty() || (near && aggregates(plan) && equalities(plan) && !enclosed(plan)?))
}

/// Whether what the plan takes from outside stands below something that a filter cannot be drawn through, the aggregate
/// that the plan itself is aside.
fn enclosed(plan: &LogicalPlan) -> Result<bool> {
    let mut aggregates = 0;
    plan.exists(|node| {
        let closed = match node {
            LogicalPlan::Aggregate(_) => {
                aggregates += 1;
                aggregates > 1
            }
            LogicalPlan::Limit(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::SubqueryAlias(_) => true,
            _ => false,
        };
        Ok(closed && !free(node)?.is_empty())
    })
}

/// Whether DataFusion can make a semi join of it: correlated in filters only, with the query just around it.
fn filters_only(plan: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    let taken = free(plan)?;
    let near = taken.iter().all(|(_, column)| schema.has_column(column));
    let mut plain = true;
    plan.apply(|node| {
        if free(node)?.is_empty() {
            return Ok(TreeNodeRecursion::Jump);
        }
        let outer = node.expressions().iter().any(Expr::contains_outer);
        plain &= !outer || matches!(node, LogicalPlan::Filter(_));
        // A join's condition is no place for what runs asynchronously.
        plain &= !node.expressions().iter().any(|e| e.contains_outer() && runs_aside(e));
        plain &= matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::EmptyRelation(_)
        );
        // A filter cannot be drawn out of the side whose rows a join leaves out or makes up.
        if let LogicalPlan::Join(join) = node {
            let (left, right) = (free(&join.left)?.is_empty(), free(&join.right)?.is_empty());
            plain &= match join.join_type {
                JoinType::Inner => true,
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => right,
                JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => left,
                JoinType::Full => left && right,
            };
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(taken.is_empty() || (near && plain))
}

fn aggregates(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(p) => aggregates(&p.input),
        LogicalPlan::SubqueryAlias(a) => aggregates(&a.input),
        LogicalPlan::Aggregate(a) => a.group_expr.is_empty(),
        _ => false,
    }
}

/// Whether the plan takes from outside in filters by equality only.
pub(super) fn equalities(plan: &LogicalPlan) -> bool {
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

/// Whether the expression calls a subquery that [`Dependent`] or [`Membership`] runs.
fn runs_aside(expr: &Expr) -> bool {
    let aside = |e: &Expr| Ok(matches!(e, Expr::ScalarFunction(call) if call.func.as_async().is_some()));
    expr.exists(aside).is_ok_and(|found| found)
}

fn equality(expr: &Expr) -> bool {
    if !expr.contains_outer() {
        return true;
    }
    if runs_aside(expr) {
        return false;
    }
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            (left.contains_outer() && !right.contains_outer() && !right.column_refs().is_empty())
                || (right.contains_outer() && !left.contains_outer() && !left.column_refs().is_empty())
        }
        _ => false,
    }
}

/// What a dependent subquery answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    /// The value of its only row, or NULL.
    Value,
    /// Whether it has a row.
    Exists,
    /// A list of its rows, as structs.
    Rows,
}

/// One such subquery, as a function of what it takes from outside.
pub(super) struct Dependent {
    ctx: Arc<QueryContext>,
    plan: Arc<LogicalPlan>,
    outer: Vec<Outer>,
    answer: Answer,
    /// The last argument says for which rows it is asked.
    guards: bool,
    field: FieldRef,
    signature: Signature,
}

impl Dependent {
    fn value_of(ctx: &Arc<QueryContext>, subquery: Subquery, around: &DFSchema) -> Result<Expr> {
        let field = subquery.subquery.schema().field(0).as_ref().clone();
        Self::call(ctx, subquery.subquery, around, Answer::Value, field, None)
    }

    /// The value where the condition holds, else NULL.
    fn value_where(ctx: &Arc<QueryContext>, subquery: Subquery, around: &DFSchema, guard: Expr) -> Result<Expr> {
        let field = subquery.subquery.schema().field(0).as_ref().clone();
        Self::call(ctx, subquery.subquery, around, Answer::Value, field, Some(guard))
    }

    fn exists(ctx: &Arc<QueryContext>, exists: Exists, around: &DFSchema) -> Result<Expr> {
        let field = Field::new("exists", DataType::Boolean, true);
        let call = Self::call(ctx, exists.subquery.subquery, around, Answer::Exists, field, None)?;
        Ok(if exists.negated { Expr::Not(Box::new(call)) } else { call })
    }

    /// The rows of a plan as a list of structs.
    pub(super) fn rows(ctx: &Arc<QueryContext>, plan: LogicalPlan, around: &DFSchema) -> Result<Expr> {
        let fields = plan.schema().fields().iter().enumerate();
        // Columns of one name are no fields of one struct.
        let fields = fields.map(|(n, f)| f.as_ref().clone().with_name(format!("c{n}")).with_nullable(true));
        let row = DataType::Struct(fields.collect());
        let field = Field::new("rows", DataType::new_list(row, true), true);
        Self::call(ctx, Arc::new(plan), around, Answer::Rows, field, None)
    }

    fn call(
        ctx: &Arc<QueryContext>,
        plan: Arc<LogicalPlan>,
        around: &DFSchema,
        answer: Answer,
        field: Field,
        guard: Option<Expr>,
    ) -> Result<Expr> {
        let outer = Outer::of(&plan)?;
        let guards = guard.is_some();
        let args = outer.iter().map(|o| o.expr(around)).chain(guard).collect::<Vec<_>>();
        let function = Dependent {
            ctx: ctx.clone(),
            plan,
            outer,
            answer,
            guards,
            field: Arc::new(field.with_nullable(true)),
            signature: match args.len() {
                0 => Signature::nullary(Volatility::Stable),
                n => Signature::any(n, Volatility::Stable),
            },
        };
        Ok(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf().call(args))
    }

    /// The subquery's answer for one row of the outer query.
    async fn value(&self, outer: &[ScalarValue]) -> Result<ScalarValue> {
        let plan = bound(&self.plan, &self.outer, outer)?;
        // What hung on two queries around it may hang on the nearer one alone now.
        let plan =
            super::lateral::rewrite(&self.ctx, plan).and_then(|p| rewrite(&self.ctx, p)).map_err(to_datafusion)?;
        let mut rows = super::run::raw(&self.ctx, plan).await.map_err(to_datafusion)?;
        match self.answer {
            Answer::Value => self.only(&mut rows).await,
            Answer::Exists => {
                while let Some(batch) = rows.next().await {
                    if batch?.num_rows() > 0 {
                        return Ok(ScalarValue::Boolean(Some(true)));
                    }
                }
                Ok(ScalarValue::Boolean(Some(false)))
            }
            Answer::Rows => self.list(&mut rows).await,
        }
    }

    async fn only(&self, rows: &mut SendableRecordBatchStream) -> Result<ScalarValue> {
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

    async fn list(&self, rows: &mut SendableRecordBatchStream) -> Result<ScalarValue> {
        let DataType::List(item) = self.field.data_type() else { return exec_err!("rows are no list") };
        let DataType::Struct(fields) = item.data_type() else { return exec_err!("a row is no struct") };
        let reservation = MemoryConsumer::new("lateral subquery").register(&self.ctx.memory.pool());
        let mut structs = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            reservation.try_grow(batch.get_array_memory_size())?;
            let columns = batch.columns().iter().zip(fields);
            let columns = columns.map(|(c, f)| Ok(cast(c, f.data_type())?)).collect::<Result<Vec<_>>>()?;
            let made = StructArray::try_new_with_length(fields.clone(), columns, None, batch.num_rows())?;
            structs.push(Arc::new(made) as ArrayRef);
        }
        let parts = structs.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        let values = if parts.is_empty() { new_empty_array(item.data_type()) } else { concat(&parts)? };
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        Ok(ScalarValue::List(Arc::new(ListArray::try_new(item.clone(), offsets, values, None)?)))
    }
}

impl fmt::Debug for Dependent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependent").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl PartialEq for Dependent {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan) && self.answer == other.answer && self.guards == other.guards
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
        let mut arrays: Vec<ArrayRef> =
            args.args.into_iter().map(|a| a.into_array(args.number_rows)).collect::<Result<_>>()?;
        let guard = if self.guards { arrays.pop() } else { None };
        let guard = guard.as_ref().and_then(|g| g.as_boolean_opt());
        let nothing = ScalarValue::try_new_null(self.field.data_type())?;
        let mut values = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            if guard.is_some_and(|g| g.is_null(row) || !g.value(row)) {
                values.push(nothing.clone());
                continue;
            }
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
            return Ok(ColumnarValue::Array(new_empty_array(self.field.data_type())));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}
