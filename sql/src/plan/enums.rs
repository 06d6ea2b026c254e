//! Enums in expressions (<https://www.postgresql.org/docs/15/datatype-enum.html>). A value is held as an integer that
//! orders as it does; this module sees to it that it is one nowhere else: a literal beside an enum is one of its labels, an
//! enum and a number have no operator, and what chooses among enums is an enum.
//!
//! Operators are looked at while they are planned ([`binary`]), the rest in a plan fresh from the planner ([`typed`]).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_nested::make_array::make_array;
use datafusion::logical_expr::expr::{Between, InList, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, merge_schema};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Cast, Expr, ExprSchemable, GroupsAccumulator, LogicalPlan, Operator,
    Projection, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, Union,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use sightline_functions::array::any_all::over_array;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::elements::said;
use crate::error::to_datafusion;

/// Aggregates whose result is one of the values.
const CHOOSING: [&str; 7] =
    ["min", "max", "first_value", "last_value", "nth_value", "ordered_mode", "ordered_percentile_disc"];

/// Functions that take values of any type and show them as text.
const SHOWING: [&str; 15] = [
    "concat",
    "concat_ws",
    "format",
    "quote_literal",
    "quote_nullable",
    "to_json",
    "to_jsonb",
    "json_build_object",
    "jsonb_build_object",
    "json_build_array",
    "jsonb_build_array",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
];

/// Functions that choose one of their arguments.
const ALTERNATIVES: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

/// The enum, or the array of one, that an expression is.
fn enum_of(expr: &Expr, schema: &DFSchema) -> Option<SqlType> {
    match expr {
        Expr::Alias(alias) => enum_of(&alias.expr, schema),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(case.else_expr.as_deref());
            results.into_iter().find_map(|e| enum_of(e, schema))
        }
        Expr::ScalarFunction(call) if ALTERNATIVES.contains(&call.func.name()) => {
            call.args.iter().find_map(|e| enum_of(e, schema))
        }
        other => {
            let (_, field) = other.to_field(schema).ok()?;
            enum_field(&field)
        }
    }
}

/// The enum of a field, or the array of one.
fn enum_field(field: &Field) -> Option<SqlType> {
    if field.metadata().is_empty() && !matches!(field.data_type(), DataType::List(_)) {
        return None;
    }
    Some(SqlType::of_field(field)).filter(is_enum)
}

fn is_enum(ty: &SqlType) -> bool {
    match ty {
        SqlType::Enum(_) => true,
        SqlType::Array(item) => is_enum(item),
        _ => false,
    }
}

/// The type of an expression as messages name it.
fn shown(expr: &Expr, schema: &DFSchema) -> String {
    if is_literal(expr) {
        return SqlType::Unknown.to_string();
    }
    match enum_of(expr, schema) {
        Some(ty) => ty.to_string(),
        None => expr
            .to_field(schema)
            .map_or_else(|_| "unknown".to_string(), |(_, f)| SqlType::of_field(&f).plain().to_string()),
    }
}

/// A string or NULL that has no type yet.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, None) => value.is_null() || matches!(value, ScalarValue::Utf8(_)),
        _ => false,
    }
}

/// The same for the type of what stands beside it, if it has none itself.
fn as_type(expr: Expr, ty: &SqlType) -> Expr {
    match expr {
        expr if is_literal(&expr) => Expr::Cast(Cast { expr: Box::new(expr), field: ty.field_ref("") }),
        Expr::Placeholder(mut parameter) if parameter.field.is_none() => {
            parameter.field = Some(ty.field_ref(""));
            Expr::Placeholder(parameter)
        }
        other => other,
    }
}

fn open(expr: &Expr) -> bool {
    is_literal(expr) || matches!(expr, Expr::Placeholder(p) if p.field.is_none())
}

fn no_operator(left: &str, op: &str, right: &str) -> datafusion::error::DataFusionError {
    let text = format!("operator does not exist: {left} {op} {right}");
    to_datafusion(
        Error::new(SqlState::UNDEFINED_FUNCTION, text)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts."),
    )
}

/// An operator with an enum on a side: the literal on the other side is one of its labels.
///
/// # Errors
/// 42883 for another type there, and for operators that enums have not.
pub(super) fn binary(mut expr: RawBinaryExpr, schema: &DFSchema) -> Result<RawBinaryExpr> {
    let (left, right) = (enum_of(&expr.left, schema), enum_of(&expr.right, schema));
    let Some(ty) = left.as_ref().or(right.as_ref()).cloned() else { return Ok(expr) };
    // Arrays have operators of their own, which look at their elements.
    if matches!(ty, SqlType::Array(_)) {
        return Ok(expr);
    }
    let array = |e: &Expr| matches!(e.get_type(schema), Ok(DataType::List(_)));
    if array(&expr.left) || array(&expr.right) {
        return Ok(expr);
    }
    let compares = matches!(
        expr.op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    );
    if expr.op == BinaryOperator::StringConcat {
        let text = |e: Expr, of: &Option<SqlType>| match of {
            Some(_) => Expr::Cast(Cast { expr: Box::new(e), field: Arc::new(SqlType::Text.field("text", true)) }),
            None => e,
        };
        if left.is_none() || right.is_none() {
            expr.left = text(expr.left, &left);
            expr.right = text(expr.right, &right);
            return Ok(expr);
        }
    }
    let fits = |e: &Expr, of: &Option<SqlType>| open(e) || of.as_ref() == Some(&ty);
    if compares && fits(&expr.left, &left) && fits(&expr.right, &right) {
        expr.left = as_type(expr.left, &ty);
        expr.right = as_type(expr.right, &ty);
        return Ok(expr);
    }
    let op = if expr.op == BinaryOperator::NotEq { "<>".to_string() } else { expr.op.to_string() };
    Err(no_operator(&shown(&expr.left, schema), &op, &shown(&expr.right, schema)))
}

/// `ARRAY[…]` with an enum in it: literals beside it are labels.
///
/// # Errors
/// 42804 for elements of other types.
pub(super) fn array(elements: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let Some(ty @ SqlType::Enum(_)) = elements.iter().find_map(|e| enum_of(e, schema)) else { return Ok(None) };
    let mut typed = Vec::with_capacity(elements.len());
    for element in elements {
        unmatched("ARRAY", element, &ty, schema)?;
        typed.push(as_type(element.clone(), &ty));
    }
    Ok(Some(said(make_array(typed), &SqlType::Array(Box::new(ty)))))
}

/// Rewrites a plan fresh from the planner.
///
/// # Errors
/// 42883, 42804, 42846, 22P02.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let done = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let done = expr.transform_up(|e| rewrite(e, &schema))?;
            Ok(done.update_data(|e| saved.restore(e)))
        })?;
        let node = node.map_data(LogicalPlan::recompute_schema)?;
        match node.data {
            LogicalPlan::Union(union) => united(union),
            other => Ok(Transformed::new_transformed(other, node.transformed)),
        }
    });
    done.map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
///
/// # Errors
/// As [`typed`].
pub(super) fn typed_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| rewrite(e, schema)).map(|t| t.data)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(mut distinct)
            if matches!(distinct.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
        {
            let sides = [&distinct.left, &distinct.right];
            let Some(ty) = sides.into_iter().find_map(|e| enum_of(e, schema)) else {
                return Ok(Transformed::no(Expr::BinaryExpr(distinct)));
            };
            same(&distinct.left, &ty, "=", &distinct.right, schema)?;
            same(&distinct.right, &ty, "=", &distinct.left, schema)?;
            *distinct.left = as_type(*distinct.left, &ty);
            *distinct.right = as_type(*distinct.right, &ty);
            Ok(Transformed::yes(Expr::BinaryExpr(distinct)))
        }
        Expr::InList(list) => {
            let Some(ty) = enum_of(&list.expr, schema).or_else(|| list.list.iter().find_map(|e| enum_of(e, schema)))
            else {
                return Ok(Transformed::no(Expr::InList(list)));
            };
            let InList { expr, list, negated } = list;
            for item in std::iter::once(expr.as_ref()).chain(&list) {
                same(item, &ty, "=", &expr, schema)?;
            }
            let list = list.into_iter().map(|e| as_type(e, &ty)).collect();
            let expr = Box::new(as_type(*expr, &ty));
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        Expr::Between(between) => {
            let Some(ty) = enum_of(&between.expr, schema) else { return Ok(Transformed::no(Expr::Between(between))) };
            let Between { expr, negated, low, high } = between;
            same(&low, &ty, ">=", &expr, schema)?;
            same(&high, &ty, "<=", &expr, schema)?;
            let [low, high] = [low, high].map(|e| Box::new(as_type(*e, &ty)));
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low, high })))
        }
        Expr::Like(like) => no_pattern(&like, schema).map(|()| Transformed::no(Expr::Like(like))),
        Expr::Case(_) => case_of(expr, schema),
        Expr::ScalarFunction(call) => function(call, schema),
        Expr::AggregateFunction(mut call) => {
            let name = call.func.name().to_string();
            let mut args = std::mem::take(&mut call.params.args);
            let changed = arguments(&name, &mut args, schema)?;
            call.params.args = args;
            Ok(Transformed::new_transformed(Expr::AggregateFunction(call), changed))
        }
        Expr::WindowFunction(mut call) => {
            let name = call.fun.name().to_string();
            let mut args = std::mem::take(&mut call.params.args);
            let changed = arguments(&name, &mut args, schema)?;
            call.params.args = args;
            Ok(Transformed::new_transformed(Expr::WindowFunction(call), changed))
        }
        Expr::Cast(ref cast) => {
            convertible(&cast.expr, &cast.field, schema)?;
            Ok(Transformed::no(expr))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Refuses what is compared with an enum and is none.
fn same(item: &Expr, ty: &SqlType, op: &str, with: &Expr, schema: &DFSchema) -> Result<()> {
    if open(item) || enum_of(item, schema).as_ref() == Some(ty) {
        return Ok(());
    }
    Err(no_operator(&shown(with, schema), op, &shown(item, schema)))
}

fn no_pattern(like: &Like, schema: &DFSchema) -> Result<()> {
    if enum_of(&like.expr, schema).is_none() && enum_of(&like.pattern, schema).is_none() {
        return Ok(());
    }
    let op = match (like.case_insensitive, like.negated) {
        (false, false) => "~~",
        (false, true) => "!~~",
        (true, false) => "~~*",
        (true, true) => "!~~*",
    };
    Err(no_operator(&shown(&like.expr, schema), op, &shown(&like.pattern, schema)))
}

/// An enum is cast to text, and text to it; an array of one likewise.
fn convertible(expr: &Expr, to: &FieldRef, schema: &DFSchema) -> Result<()> {
    let Ok((_, field)) = expr.to_field(schema) else { return Ok(()) };
    let (from, into) = (enum_of(expr, schema), enum_field(to));
    if (from.is_none() && into.is_none()) || from == into || is_literal(expr) {
        return Ok(());
    }
    let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
    let lists = |a: &DataType, b: &DataType| match (a, b) {
        (DataType::List(item), DataType::List(_)) => text(item.data_type()) || item.data_type().is_null(),
        _ => false,
    };
    let fits = match (&from, &into) {
        (Some(_), None) => text(to.data_type()) || lists(to.data_type(), field.data_type()),
        (None, Some(_)) => text(field.data_type()) || lists(field.data_type(), to.data_type()),
        _ => false,
    };
    if fits || matches!(expr, Expr::Placeholder(_)) {
        return Ok(());
    }
    let name = |ty: Option<SqlType>, field: &Field| ty.unwrap_or_else(|| SqlType::of_field(field).plain()).to_string();
    let text = format!("cannot cast type {} to {}", name(from, &field), name(into, to));
    Err(to_datafusion(Error::new(SqlState::new("42846"), text)))
}

/// A CASE of enums is one; its operand may be one as well.
fn case_of(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let result = enum_of(&expr, schema);
    let Expr::Case(mut case) = expr else { return Ok(Transformed::no(expr)) };
    let mut changed = false;
    if let Some(operand) = &case.expr
        && let Some(ty) = enum_of(operand, schema)
    {
        for (when, _) in &mut case.when_then_expr {
            same(when, &ty, "=", operand, schema)?;
            **when = as_type(std::mem::take(when), &ty);
        }
        changed = true;
    }
    let Some(ty) = result else { return Ok(Transformed::new_transformed(Expr::Case(case), changed)) };
    let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    for then in results.chain(case.else_expr.iter_mut().map(AsMut::as_mut)) {
        unmatched("CASE", then, &ty, schema)?;
        *then = as_type(std::mem::take(then), &ty);
    }
    Ok(Transformed::yes(said(Expr::Case(case), &ty)))
}

/// Refuses a result of another type.
fn unmatched(what: &str, expr: &Expr, ty: &SqlType, schema: &DFSchema) -> Result<()> {
    if open(expr) || enum_of(expr, schema).as_ref() == Some(ty) {
        return Ok(());
    }
    let text = format!("{what} types {ty} and {} cannot be matched", shown(expr, schema));
    Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text)))
}

fn function(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let name = call.func.name().to_string();
    if ALTERNATIVES.contains(&name.as_str()) || name == "make_array" {
        let Some(ty) = call.args.iter().find_map(|e| enum_of(e, schema)) else {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        };
        let what = if name == "make_array" { "ARRAY".to_string() } else { name.to_uppercase() };
        for arg in &mut call.args {
            unmatched(&what, arg, &ty, schema)?;
            *arg = as_type(std::mem::take(arg), &ty);
        }
        let ty = if name == "make_array" { SqlType::Array(Box::new(ty)) } else { ty };
        return Ok(Transformed::yes(said(Expr::ScalarFunction(call), &ty)));
    }
    if name.starts_with("enum_")
        && let Some(ty) = call.args.iter().find_map(|a| enum_of(a, schema))
    {
        call.args = call.args.into_iter().map(|a| as_type(a, &ty)).collect();
        return Ok(Transformed::yes(Expr::ScalarFunction(call)));
    }
    let changed = arguments(&name, &mut call.args, schema)?;
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}

/// Arguments that are enums: shown as text where the function takes anything, refused where it takes what they are not.
fn arguments(name: &str, args: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let enums = args.iter().map(|a| enum_of(a, schema)).collect::<Vec<_>>();
    if enums.iter().all(Option::is_none) {
        return Ok(false);
    }
    if SHOWING.contains(&name) {
        for (arg, _) in args.iter_mut().zip(&enums).filter(|(_, ty)| matches!(ty, Some(SqlType::Enum(_)))) {
            let text = Arc::new(SqlType::Text.field("text", true));
            *arg = Expr::Cast(Cast { expr: Box::new(std::mem::take(arg)), field: text });
        }
        return Ok(true);
    }
    // `m = ANY ('{a,b}')`
    if name.starts_with("any_") || name.starts_with("all_") {
        if let ([_, array], [Some(ty @ SqlType::Enum(_)), None]) = (&mut *args, enums.as_slice()) {
            *array = as_type(std::mem::take(array), &SqlType::Array(Box::new(ty.clone())));
            return Ok(true);
        }
        if let ([item, _], [None, Some(SqlType::Array(of))]) = (&*args, enums.as_slice())
            && !open(item)
        {
            return Err(no_operator(&shown(item, schema), over_arrays(name), &of.to_string()));
        }
        return Ok(false);
    }
    let of_values = enums.iter().any(|ty| matches!(ty, Some(SqlType::Enum(_))));
    if of_values && takes_other_types(name) {
        let shown = args.iter().map(|a| shown(a, schema)).collect::<Vec<_>>().join(", ");
        let text = format!("function {name}({shown}) does not exist");
        let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
        return Err(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint)));
    }
    Ok(false)
}

/// The operator of a function like `any_eq`.
fn over_arrays(name: &str) -> &'static str {
    let is_it = |op: &&str| [true, false].map(|any| over_array(op, any)).iter().flatten().any(|n| n == name);
    ["=", "<>", "<", "<=", ">", ">="].into_iter().find(is_it).unwrap_or("=")
}

/// Whether a function is one of those for numbers, texts or times.
fn takes_other_types(name: &str) -> bool {
    const AGGREGATES: [&str; 12] = [
        "sum",
        "avg",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "variance",
        "var_pop",
        "var_samp",
        "bit_and",
        "bit_or",
        "bit_xor",
        "string_agg",
    ];
    const ANY: [&str; 3] = ["num_nulls", "num_nonnulls", "pg_typeof"];
    AGGREGATES.contains(&name) || (sightline_functions::scalar_function(name).is_some() && !ANY.contains(&name))
}

/// Literals beside enums in the same column of a UNION.
fn united(mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for n in 0..union.schema.fields().len() {
        let found = union.inputs.iter().find_map(|i| i.schema().fields().get(n).and_then(|f| enum_field(f)));
        let Some(ty) = found else { continue };
        for input in &mut union.inputs {
            let Some(field) = input.schema().fields().get(n).cloned() else { continue };
            if enum_field(&field).as_ref() == Some(&ty) {
                continue;
            }
            if !super::agreement::is_literal_column(input, n) {
                let text = format!("UNION types {ty} and {} cannot be matched", SqlType::of_field(&field).plain());
                return Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text)));
            }
            let columns = input.schema().columns().into_iter().enumerate().map(|(m, column)| {
                let name = column.name.clone();
                let expr = Expr::Column(column);
                match m == n {
                    true => Expr::Cast(Cast { expr: Box::new(expr), field: ty.field_ref("") }).alias(name),
                    false => expr,
                }
            });
            *input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns.collect(), input.clone())?));
            changed = true;
        }
    }
    let plan = if changed { Union::try_new_with_loose_types(union.inputs)? } else { union };
    Ok(Transformed::new_transformed(LogicalPlan::Union(plan), changed))
}

/// An aggregate whose result is one of its argument's values, of the same type: DataFusion's own forget it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Keeping {
    inner: Arc<AggregateUDF>,
}

/// The aggregate, keeping the type of its argument if it chooses among its values.
pub(super) fn keeping(inner: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    if !CHOOSING.contains(&inner.name()) {
        return inner;
    }
    Arc::new(AggregateUDF::new_from_impl(Keeping { inner }))
}

/// The aggregate that [`keeping`] was given.
pub(super) fn bare(function: &AggregateUDF) -> &AggregateUDF {
    function.inner().downcast_ref::<Keeping>().map_or(function, |kept| kept.inner.as_ref())
}

impl AggregateUDFImpl for Keeping {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(fields)?;
        match fields.iter().find_map(|f| enum_field(f)) {
            Some(ty) if ty.arrow() == *field.data_type() => {
                Ok(Arc::new(field.as_ref().clone().with_metadata(ty.field("", true).metadata().clone())))
            }
            _ => Ok(field),
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

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = AggregateUDF::clone(&self.inner).with_beneficial_ordering(beneficial)?;
        Ok(inner.map(|inner| Arc::new(Keeping { inner: Arc::new(inner) }) as Arc<dyn AggregateUDFImpl>))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => ReversedUDAF::Reversed(keeping(inner)),
            other => other,
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(ty)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(ty)
    }
}
