//! Intervals in order, in groups and in aggregates: `1 day` and `24 hours` are equal to PostgreSQL
//! (<https://www.postgresql.org/docs/15/functions-datetime.html>), while Arrow compares months, then days, then the rest.
//! Also the literals that mean the time of the transaction, such as `'now'`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::functions_aggregate::first_last::first_value;
use datafusion::logical_expr::expr::{AggregateFunction, Between, InList, InSubquery, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Accumulator, Aggregate, AggregateUDF, AggregateUDFImpl, Cast, Distinct, Expr, ExprSchemable, LogicalPlan,
    LogicalPlanBuilder, Projection, Signature, SortExpr, Volatility, WindowFunctionDefinition, cast,
};
use sightline_functions::aggregate::interval_aggregate;
use sightline_storage::types::SqlType;

use super::arithmetic::comparable;
use super::elements::{said, unsaid};
use super::temporal::is_temporal;
use super::{json, keys};
use crate::codec::{Style, input};
use crate::error::to_datafusion;

/// An aggregate that also takes intervals, for the time of planning: [`resolved`] puts the right one in its place.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Widened {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

/// The aggregate under a name that has a form for intervals, which the planner is to accept.
pub(super) fn widened(inner: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    if interval_aggregate(inner.name()).is_none() {
        return inner;
    }
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Widened { inner, signature }))
}

fn is_interval(ty: &DataType) -> bool {
    matches!(ty, DataType::Interval(_))
}

impl AggregateUDFImpl for Widened {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.iter().all(is_interval) {
            return Ok(types.to_vec());
        }
        let field = |ty: &DataType| Arc::new(Field::new("", ty.clone(), true));
        let fields = types.iter().map(field).collect::<Vec<_>>();
        Ok(fields_with_udf(&fields, self.inner.as_ref())?.iter().map(|f| f.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [interval] if is_interval(interval) => Ok(interval.clone()),
            types => self.inner.return_type(&self.coerce_types(types)?),
        }
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }
}

/// The plan with the right aggregates, and with what `'now'` and `'today'` mean in it.
pub(super) fn resolved(plan: LogicalPlan, style: &Style) -> Result<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                any |= match e {
                    Expr::AggregateFunction(call) => {
                        of_widened(&call.func).is_some() || counts_intervals(call, &schema)?
                    }
                    Expr::Between(between) => is_interval(&between.expr.get_type(&schema)?),
                    Expr::InList(list) => is_interval(&list.expr.get_type(&schema)?),
                    Expr::InSubquery(query) => is_interval(&query.expr.get_type(&schema)?),
                    Expr::WindowFunction(call) => {
                        let widened = match &call.fun {
                            WindowFunctionDefinition::AggregateUDF(f) => of_widened(f).is_some(),
                            WindowFunctionDefinition::WindowUDF(_) => false,
                        };
                        widened || by_intervals(call, &schema)?
                    }
                    Expr::Cast(cast) => says_now(cast),
                    _ => false,
                };
                Ok(if any { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    if !any {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| resolve(e, &schema, style))?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
    })
    .map(|t| t.data)
}

/// The same for an expression outside a plan.
pub(super) fn resolved_in(expr: Expr, schema: &DFSchema, style: &Style) -> Result<Expr> {
    expr.transform_up(|e| resolve(e, schema, style)).map(|t| t.data)
}

fn of_widened(udaf: &AggregateUDF) -> Option<&Arc<AggregateUDF>> {
    let inner: &dyn std::any::Any = udaf.inner().as_ref();
    inner.downcast_ref::<Widened>().map(|w| &w.inner)
}

/// The aggregate itself, or its form for intervals.
fn chosen(inner: &Arc<AggregateUDF>, args: &[Expr], schema: &DFSchema) -> Result<Arc<AggregateUDF>> {
    let of_interval = matches!(args, [arg] if is_interval(&arg.get_type(schema)?));
    Ok(if of_interval { interval_aggregate(inner.name()).unwrap_or_else(|| inner.clone()) } else { inner.clone() })
}

fn resolve(expr: Expr, schema: &DFSchema, style: &Style) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::AggregateFunction(mut call) if counts_intervals(&call, schema)? => {
            let args = std::mem::take(&mut call.params.args);
            call.params.args = args.into_iter().map(|a| compared(a, schema)).collect::<Result<_>>()?;
            Transformed::yes(Expr::AggregateFunction(call))
        }
        expr @ (Expr::Between(_) | Expr::InList(_) | Expr::InSubquery(_)) => within(expr, schema)?,
        Expr::AggregateFunction(call) => match of_widened(&call.func) {
            Some(inner) => {
                let func = chosen(inner, &call.params.args, schema)?;
                Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params: call.params }))
            }
            None => Transformed::no(Expr::AggregateFunction(call)),
        },
        Expr::WindowFunction(mut call) => {
            let found = match &call.fun {
                WindowFunctionDefinition::AggregateUDF(f) => of_widened(f).cloned(),
                WindowFunctionDefinition::WindowUDF(_) => None,
            };
            let widened = found.is_some();
            if let Some(inner) = found {
                call.fun = WindowFunctionDefinition::AggregateUDF(chosen(&inner, &call.params.args, schema)?);
            }
            let mut done = window(call, schema)?;
            done.transformed |= widened;
            done
        }
        Expr::Cast(cast) if says_now(&cast) => {
            let Cast { expr, field } = cast;
            let Some(text) = text_of(&expr) else { return Ok(Transformed::no(Expr::Cast(Cast { expr, field }))) };
            let value = input::parse_text_styled(&SqlType::of_field(&field), text, style).map_err(to_datafusion)?;
            Transformed::yes(Expr::Cast(Cast { expr: Box::new(Expr::Literal(value, None)), field }))
        }
        other => Transformed::no(other),
    })
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}

/// Whether it is a literal of a date or time whose meaning hangs on the clock.
fn says_now(cast: &Cast) -> bool {
    let Some(text) = text_of(&cast.expr) else { return false };
    let time = is_temporal(cast.field.data_type()) && !is_interval(cast.field.data_type());
    time && {
        let lower = text.to_ascii_lowercase();
        ["now", "today", "tomorrow", "yesterday"].iter().any(|word| lower.contains(word))
    }
}

fn compared(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(if is_interval(&expr.get_type(schema)?) { comparable(expr) } else { expr })
}

/// Whether it is `count(DISTINCT interval)`.
fn counts_intervals(call: &AggregateFunction, schema: &DFSchema) -> Result<bool> {
    let distinct = call.params.distinct && call.func.name() == "count";
    Ok(distinct && matches!(call.params.args.as_slice(), [arg] if is_interval(&arg.get_type(schema)?)))
}

/// BETWEEN and IN of intervals, lists and subqueries, by what compares them.
fn within(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let typed = |e: Expr| match text_of(&e) {
        Some(_) => cast(e, SqlType::Interval.arrow()),
        None => e,
    };
    let one = |e: Box<Expr>| compared(typed(*e), schema).map(Box::new);
    Ok(match expr {
        Expr::Between(between) if is_interval(&between.expr.get_type(schema)?) => {
            let Between { expr, negated, low, high } = between;
            Transformed::yes(Expr::Between(Between::new(one(expr)?, negated, one(low)?, one(high)?)))
        }
        Expr::InList(list) if is_interval(&list.expr.get_type(schema)?) => {
            let items = list.list.into_iter().map(|e| compared(typed(e), schema)).collect::<Result<_>>()?;
            Transformed::yes(Expr::InList(InList::new(one(list.expr)?, items, list.negated)))
        }
        Expr::InSubquery(InSubquery { expr, mut subquery, negated }) => {
            let inner = subquery.subquery.schema().clone();
            let intervals = is_interval(&expr.get_type(schema)?) && is_interval(inner.field(0).data_type());
            if !intervals {
                return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
            }
            let (column, name) = (Column::from(inner.qualified_field(0)), inner.field(0).name());
            let items = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .project(vec![comparable(Expr::Column(column)).alias(name)])?;
            subquery.subquery = Arc::new(items.build()?);
            Transformed::yes(Expr::InSubquery(InSubquery { expr: one(expr)?, subquery, negated }))
        }
        other => Transformed::no(other),
    })
}

fn ordered(order: Vec<SortExpr>, schema: &DFSchema) -> Result<Vec<SortExpr>> {
    order.into_iter().map(|s| Ok(SortExpr { expr: compared(s.expr, schema)?, ..s })).collect()
}

fn by_intervals(call: &WindowFunction, schema: &DFSchema) -> Result<bool> {
    let params = &call.params;
    for expr in params.partition_by.iter().chain(params.order_by.iter().map(|s| &s.expr)) {
        if is_interval(&expr.get_type(schema)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A window's order and partitions by intervals, put as what compares them; before types are coerced, since frames want
/// types that they know.
fn window(mut call: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !by_intervals(&call, schema)? {
        return Ok(Transformed::no(Expr::WindowFunction(call)));
    }
    let params = &mut call.params;
    params.order_by = ordered(std::mem::take(&mut params.order_by), schema)?;
    let partitions = std::mem::take(&mut params.partition_by);
    params.partition_by = partitions.into_iter().map(|e| compared(e, schema)).collect::<Result<_>>()?;
    Ok(Transformed::yes(Expr::WindowFunction(call)))
}

/// Sorts, groups and joins of intervals go by what compares them; groups and joins of `jsonb`, arrays and rows, too.
pub(super) fn sorted_and_grouped(node: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match node {
        LogicalPlan::Sort(mut sort) => {
            sort.expr = ordered(sort.expr, sort.input.schema())?;
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Distinct(Distinct::All(input)) if input.schema().fields().iter().any(|f| by_key(f)) => {
            let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
            grouped(Aggregate::try_new(input, columns, vec![])?)?
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate)?,
        LogicalPlan::Join(mut join) => {
            for (l, r) in &mut join.on {
                let (left, right) = (l.to_field(join.left.schema())?.1, r.to_field(join.right.schema())?.1);
                // The filter that a join makes while it runs takes -0 for less than 0.
                if left.data_type().is_floating() && right.data_type().is_floating() {
                    *l = keys::one_zero(std::mem::take(l), &left);
                    *r = keys::one_zero(std::mem::take(r), &right);
                } else if by_key(&left) && by_key(&right) {
                    *l = key(std::mem::take(l), &left)?;
                    *r = key(std::mem::take(r), &right)?;
                }
            }
            LogicalPlan::Join(join)
        }
        other => other,
    })
}

/// Whether values of the type are equal that look otherwise.
fn by_key(field: &Field) -> bool {
    is_interval(field.data_type()) || SqlType::of_field(field) == SqlType::Jsonb || keys::needed(field)
}

/// What is equal where the values are.
fn key(expr: Expr, field: &FieldRef) -> Result<Expr> {
    match field.data_type() {
        t if is_interval(t) => Ok(comparable(expr)),
        _ if keys::needed(field) => Ok(keys::bytes(expr, field)),
        _ => json::key(expr),
    }
}

/// Groups by what compares the values, and shows of each group the first.
fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = aggregate.input.schema().clone();
    let sets = aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)));
    let mut keyed = Vec::new();
    for (n, expr) in aggregate.group_expr.iter().enumerate() {
        let (_, field) = expr.to_field(&schema)?;
        if !sets && by_key(&field) {
            keyed.push((n, field));
        }
    }
    if keyed.is_empty() {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let shown = aggregate.schema.clone();
    let (mut groups, mut firsts) = (aggregate.group_expr.clone(), Vec::new());
    for (n, field) in &keyed {
        let bare = groups[*n].clone().unalias();
        groups[*n] = key(bare.clone(), field)?.alias(format!("__key_{n}"));
        firsts.push(first_value(unsaid(bare, field), vec![]).alias(format!("__first_{n}")));
    }
    let width = groups.len();
    let calls = aggregate.aggr_expr.iter().cloned().chain(firsts).collect();
    let inner = Aggregate::try_new(aggregate.input, groups, calls)?;
    let at = |n: usize| match keyed.iter().position(|(i, _)| *i == n) {
        Some(first) => width + aggregate.aggr_expr.len() + first,
        None => n,
    };
    let columns = inner.schema.columns();
    let exprs = (0..shown.fields().len())
        .map(|n| {
            let (qualifier, field) = shown.qualified_field(n);
            let column = Expr::Column(columns[at(n)].clone());
            let ty = SqlType::of_field(field);
            let shown =
                if (ty == SqlType::Jsonb || keys::needed(field)) && at(n) != n { said(column, &ty) } else { column };
            shown.alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(LogicalPlan::Aggregate(inner)))?))
}
