//! Elements of arrays that are of types which Arrow does not tell: users' types, `jsonb`, `character(n)`. The field of the
//! elements says what they are; DataFusion loses it where an array is unnested or made by `array_agg`, so that it is said
//! anew here. Also what computes each element of an array ([`elementwise`]).

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, Unnest};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::PhysicalExpr;
use sightline_storage::types::SqlType;

use super::kernel::{Body, Kernel};

/// Whether a type must be said, because what holds it looks like another type, with a meaning of its own.
pub(super) fn is_marked(ty: &SqlType) -> bool {
    match ty {
        SqlType::Enum(_) | SqlType::Composite(_) | SqlType::Json | SqlType::Jsonb | SqlType::Char(_) => true,
        SqlType::Array(item) => is_marked(item),
        _ => false,
    }
}

/// The expression with its type said.
pub(super) fn said(expr: Expr, ty: &SqlType) -> Expr {
    let body: Body = Arc::new(|arrays| Ok(arrays[0].clone()));
    Kernel::call(&format!("{SAID}{ty}"), ty.field_ref(""), vec![expr], body)
}

/// An array or a row without what is said of the types within: an aggregate gives it back without that.
pub(super) fn unsaid(expr: Expr, field: &Field) -> Expr {
    let bare = stripped(field.data_type());
    if bare == *field.data_type() {
        return expr;
    }
    let to = bare.clone();
    let body: Body = Arc::new(move |arrays| Ok(arrow::compute::cast(&arrays[0], &to)?));
    Kernel::call(&format!("as {bare}"), Arc::new(Field::new("", bare, true)), vec![expr], body)
}

fn stripped(ty: &DataType) -> DataType {
    match ty {
        DataType::List(item) => DataType::new_list(stripped(item.data_type()), true),
        DataType::Struct(fields) => {
            let bare = |f: &FieldRef| Field::new(f.name(), stripped(f.data_type()), true);
            DataType::Struct(fields.iter().map(bare).collect())
        }
        other => other.clone(),
    }
}

const SAID: &str = "the type ";

fn is_said(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_said(&alias.expr),
        Expr::ScalarFunction(call) => call.func.name().starts_with(SAID),
        _ => false,
    }
}

/// Says the types of what is taken from arrays and of what `array_agg` makes, in a plan fresh from the planner. What is
/// said already stays.
pub(super) fn told(plan: LogicalPlan) -> Result<LogicalPlan> {
    // What stands above columns that have a type now may have another, too.
    let stale = Cell::new(false);
    plan.transform_up_with_subqueries(|node| {
        let done = match &node {
            LogicalPlan::Projection(projection) => projection.expr.iter().any(is_said),
            _ => false,
        };
        if done {
            return if stale.get() { node.recompute_schema().map(Transformed::yes) } else { Ok(Transformed::no(node)) };
        }
        let changed = node.map_children(|child| match child {
            LogicalPlan::Unnest(unnest) => unnested(unnest),
            LogicalPlan::Aggregate(aggregate) => gathered(aggregate),
            other => Ok(Transformed::no(other)),
        })?;
        if changed.transformed {
            stale.set(true);
        }
        if stale.get() { changed.data.recompute_schema().map(Transformed::yes) } else { Ok(changed) }
    })
    .map(|t| t.data)
}

/// `array_agg` of such values is an array of them.
fn gathered(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = aggregate.input.schema().clone();
    let types = aggregate.aggr_expr.iter().map(|e| list_type(e, &input)).collect::<Vec<_>>();
    if types.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let columns = aggregate.schema.columns();
    let first = columns.len() - types.len();
    let types = (0..columns.len()).map(|n| n.checked_sub(first).and_then(|n| types[n].clone())).collect();
    with_types(LogicalPlan::Aggregate(aggregate), columns, types)
}

fn list_type(expr: &Expr, schema: &DFSchema) -> Option<SqlType> {
    match expr {
        Expr::Alias(alias) => list_type(&alias.expr, schema),
        Expr::AggregateFunction(call) if call.func.name() == "array_agg" => {
            let (_, field) = call.params.args.first()?.to_field(schema).ok()?;
            let item = SqlType::of_field(&field);
            (is_marked(&item) && !matches!(item, SqlType::Array(_))).then(|| SqlType::Array(Box::new(item)))
        }
        _ => None,
    }
}

/// The elements of an array of such values.
fn unnested(unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
    let input = unnest.input.schema().clone();
    let fields = unnest.schema.fields().clone();
    let item = |(n, at): (usize, &usize)| match SqlType::of_field(input.fields().get(*at)?) {
        SqlType::Array(item) => Some(*item).filter(|i| is_marked(i) && i.arrow() == *fields[n].data_type()),
        _ => None,
    };
    let types = unnest.dependency_indices.iter().enumerate().map(item).collect::<Vec<_>>();
    if types.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Unnest(unnest)));
    }
    let columns = unnest.schema.columns();
    with_types(LogicalPlan::Unnest(unnest), columns, types)
}

/// The plan under a projection that says the types of its columns.
fn with_types(
    plan: LogicalPlan,
    columns: Vec<Column>,
    types: Vec<Option<SqlType>>,
) -> Result<Transformed<LogicalPlan>> {
    let exprs = columns.into_iter().zip(types).map(|(column, ty)| match ty {
        Some(ty) => {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            said(Expr::Column(column), &ty).alias_qualified(relation, name)
        }
        None => Expr::Column(column),
    });
    let projection = Projection::try_new(exprs.collect(), Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// An array with each of its elements computed anew, in however many dimensions: `make` is given the element as a column.
/// The result is of the type of `whole`, if that is given.
pub(super) fn elementwise(
    name: &str,
    list: Expr,
    given: &Field,
    to: &FieldRef,
    whole: Option<&FieldRef>,
    make: impl FnOnce(Expr, &DFSchema) -> Result<Expr>,
) -> Result<Expr> {
    let Some(of) = item_field(given.data_type()) else { return Ok(list) };
    let element = Arc::new(of.as_ref().clone().with_name("element").with_nullable(true));
    let elements = DFSchema::try_from(Schema::new(vec![element]))?;
    let made = make(Expr::Column(Column::from_name("element")), &elements)?;
    let physical = create_physical_expr(&made, &elements, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    let schema = Arc::clone(elements.inner());
    let wanted = nested_like(given.data_type(), to);
    let field = match whole {
        Some(whole) => Arc::new(whole.as_ref().clone().with_data_type(wanted.clone())),
        None => Arc::new(Field::new("", wanted.clone(), true)),
    };
    let body: Body = Arc::new(move |arrays| over_elements(&arrays[0], &wanted, &schema, &physical));
    Ok(Kernel::call(name, field, vec![list], body))
}

/// The field of the elements in the innermost dimension.
pub(super) fn item_field(list: &DataType) -> Option<FieldRef> {
    match list {
        DataType::List(item) => Some(item_field(item.data_type()).unwrap_or_else(|| item.clone())),
        _ => None,
    }
}

/// A list of as many dimensions, of other elements.
fn nested_like(list: &DataType, of: &FieldRef) -> DataType {
    match list {
        DataType::List(item) if matches!(item.data_type(), DataType::List(_)) => {
            DataType::new_list(nested_like(item.data_type(), of), true)
        }
        _ => DataType::List(of.clone()),
    }
}

/// Computes an expression over the elements of arrays.
fn over_elements(
    array: &ArrayRef,
    wanted: &DataType,
    schema: &SchemaRef,
    compute: &Arc<dyn PhysicalExpr>,
) -> Result<ArrayRef> {
    let DataType::List(item) = wanted else {
        let batch = RecordBatch::try_new(schema.clone(), vec![array.clone()])?;
        return compute.evaluate(&batch)?.into_array(array.len());
    };
    let list = array.as_list::<i32>();
    let values = over_elements(list.values(), item.data_type(), schema, compute)?;
    let done = ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())?;
    Ok(Arc::new(done))
}
