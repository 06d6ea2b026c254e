//! Literals without a type beside what has one: they take its type
//! (<https://www.postgresql.org/docs/15/typeconv-oper.html>, <https://www.postgresql.org/docs/15/typeconv-union-case.html>).
//! Here are the places that DataFusion would read as text, or refuse: IS DISTINCT FROM, VALUES, the two sides of EXCEPT
//! and INTERSECT, elements of arrays, the defaults of `lag` and `lead`. CASE, `coalesce`, IN and UNION are in
//! [`agreement`](super::agreement), and what `jsonb` and `character(n)` mean by equality in [`json`](super::json) and
//! [`blanks`](super::blanks).
//!
//! A pass over a plan fresh from the planner, behind [`enums`](super::enums), which knows what enums are made of.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result, exec_err};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Projection, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, WindowFunctionDefinition,
};
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::agreement::{is_literal_column, shown};
use super::elements::is_marked;
use super::pass::over_node;
use crate::error::to_datafusion;

/// Rewrites a plan fresh from the planner.
///
/// # Errors
/// 42804 for columns of EXCEPT and INTERSECT whose types cannot be matched.
pub(super) fn typed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_set_operation(&join) => set_operation(join, &|ty| matches!(ty, SqlType::Enum(_))),
        other => over_node(other, |e, schema| Ok(rewrite(e, schema))),
    })
    .map(|t| t.data)
}

/// Rewrites an expression fresh from the planner.
pub(super) fn typed_in(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|e| Ok(rewrite(e, schema))).map(|t| t.data)
}

/// A literal without a type, NULL included.
fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None))
}

/// The field of what has a type.
fn field_of(expr: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    match expr {
        expr if is_literal(expr) => None,
        Expr::Placeholder(_) => None,
        // What is cast may have left a mark on the field of the cast.
        Expr::Cast(cast) => Some(SqlType::of_field(&cast.field).field_ref("")),
        Expr::Alias(alias) => field_of(&alias.expr, schema),
        other => other.to_field(schema).ok().map(|(_, field)| field),
    }
}

/// Whether a literal is a text anyway beside this type.
fn is_text(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Varchar(_) | SqlType::Name | SqlType::InternalChar | SqlType::Unknown)
}

fn is_number(ty: &SqlType) -> bool {
    matches!(
        ty,
        SqlType::SmallInt
            | SqlType::Integer
            | SqlType::BigInt
            | SqlType::Real
            | SqlType::Double
            | SqlType::Numeric(_)
            | SqlType::Oid
            | SqlType::Reg(_)
    )
}

fn cast_to(expr: Expr, ty: &SqlType) -> Expr {
    Expr::Cast(Cast { expr: Box::new(expr), field: ty.field_ref("") })
}

fn give(expr: &mut Expr, ty: &SqlType) -> bool {
    let open = is_literal(expr);
    if open {
        *expr = cast_to(std::mem::take(expr), ty);
    }
    open
}

fn rewrite(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let changed = match &mut expr {
        Expr::ScalarFunction(call) if call.func.name() == BESIDE && call.args.len() == 2 => {
            let ty = field_of(&call.args[0], schema).map_or(SqlType::Text, |f| SqlType::of_field(&f).plain());
            let literal = std::mem::take(&mut call.args[1]);
            expr = match ty {
                // A name of an object is looked up by its own function.
                SqlType::Reg(_) => literal,
                SqlType::Numeric(_) => cast_to(literal, &SqlType::Numeric(None)),
                SqlType::Char(n) => {
                    let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                    let longer = literal.as_literal().and_then(|v| v.try_as_str().flatten()).map_or(n, length);
                    cast_to(literal, &SqlType::Char(n.max(longer)))
                }
                ty if is_text(&ty) => cast_to(literal, &SqlType::Text),
                ty => cast_to(literal, &ty),
            };
            true
        }
        Expr::ScalarFunction(call) => over_array(call.func.name(), &mut call.args, schema),
        Expr::WindowFunction(call) => {
            let shifts =
                matches!(&call.fun, WindowFunctionDefinition::WindowUDF(f) if matches!(f.name(), "lag" | "lead"));
            match call.params.args.as_mut_slice() {
                [value, _, default] if shifts => match field_of(value, schema).map(|f| SqlType::of_field(&f)) {
                    Some(ty) if !is_text(&ty) && !is_number(&ty) => give(default, &ty),
                    _ => false,
                },
                _ => false,
            }
        }
        _ => false,
    };
    Transformed::new_transformed(expr, changed)
}

/// The function that marks a literal, its second argument, which takes the type of the first: where the planner wants to
/// know types before anything else can be looked at, in the columns of VALUES and beside IS DISTINCT FROM.
pub(super) const BESIDE: &str = "literal beside";

/// What [`BESIDE`] names.
pub(super) fn beside_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Beside { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Beside {
    signature: Signature,
}

impl ScalarUDFImpl for Beside {
    fn name(&self) -> &'static str {
        BESIDE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(args.arg_fields[0].clone())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a mark of the planner was run")
    }
}

/// What an argument of a function of arrays is: an array, an element, or neither.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Array,
    Element,
    Other,
}

/// What the arguments of a function are, as far as literals among them need a type that Arrow does not tell.
fn roles(name: &str) -> &'static [Role] {
    use Role::{Array, Element, Other};
    match name {
        "array_append" | "array_remove" | "array_positions" => &[Array, Element],
        "array_position" => &[Array, Element, Other],
        "array_prepend" => &[Element, Array],
        "array_replace" => &[Array, Element, Element],
        "array_cat" | "arraycontains" | "arraycontained" | "arrayoverlap" | "btarraycmp" => &[Array, Array],
        name if name.starts_with("any_") || name.starts_with("all_") => &[Element, Array],
        _ => &[],
    }
}

/// Gives the literals among the arguments the type of the elements, or of an array of them.
fn over_array(name: &str, args: &mut [Expr], schema: &DFSchema) -> bool {
    let roles = roles(name);
    if roles.is_empty() || !args.iter().any(is_literal) {
        return false;
    }
    let known = args.iter().zip(roles).find_map(|(arg, role)| {
        match (role, SqlType::of_field(field_of(arg, schema)?.as_ref())) {
            (Role::Array, SqlType::Array(item)) => Some(*item),
            (Role::Element, item) => Some(item),
            _ => None,
        }
    });
    // A text is no array of these to the functions' signatures.
    let strange = |item: &SqlType| is_marked(item) || matches!(item, SqlType::Uuid | SqlType::Numeric(_));
    let Some(item) =
        known.filter(strange).map(|i| if let SqlType::Numeric(_) = i { SqlType::Numeric(None) } else { i })
    else {
        return false;
    };
    // Beside a `character(n)` a literal keeps the characters it has.
    let of_char = matches!(item, SqlType::Char(_));
    let item = if of_char { SqlType::Text } else { item };
    let mut changed = false;
    for (arg, role) in args.iter_mut().zip(roles) {
        changed |= match role {
            Role::Array => give(arg, &SqlType::Array(Box::new(item.clone()))),
            Role::Element if !of_char => give(arg, &item),
            Role::Element | Role::Other => false,
        };
    }
    changed
}

/// Before the optimiser, only EXCEPT and INTERSECT are such joins.
pub(super) fn is_set_operation(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
        && join.null_equality == NullEquality::NullEqualsNull
}

/// EXCEPT or INTERSECT with literals in the type of the other side. Types that Arrow does not tell from others, and that
/// are `known` by now, must be the same on both sides.
///
/// # Errors
/// 42804.
pub(super) fn set_operation(mut join: Join, known: &dyn Fn(&SqlType) -> bool) -> Result<Transformed<LogicalPlan>> {
    let what = if join.join_type == JoinType::LeftAnti { "EXCEPT" } else { "INTERSECT" };
    let mut changed = false;
    for (l, r) in join.on.clone() {
        let (Expr::Column(l), Expr::Column(r)) = (l, r) else { continue };
        let (Some(i), Some(j)) = (place(&join.left, &l), place(&join.right, &r)) else { continue };
        let (left, right) = (join.left.schema().field(i), join.right.schema().field(j));
        match (is_literal_column(&join.left, i), is_literal_column(&join.right, j)) {
            (true, true) => {}
            (true, false) => {
                let Some(ty) = taken(right) else { continue };
                join.left = Arc::new(with_column(Arc::unwrap_or_clone(join.left), i, &ty)?);
                changed = true;
            }
            (false, true) => {
                let Some(ty) = taken(left) else { continue };
                join.right = Arc::new(with_column(Arc::unwrap_or_clone(join.right), j, &ty)?);
                changed = true;
            }
            (false, false) => matched(what, left, right, known)?,
        }
    }
    let plan = LogicalPlan::Join(join);
    if changed { plan.recompute_schema().map(Transformed::yes) } else { Ok(Transformed::no(plan)) }
}

fn place(plan: &LogicalPlan, column: &Column) -> Option<usize> {
    plan.schema().maybe_index_of_column(column)
}

/// The type that a column of literals takes beside this one; none beside texts.
fn taken(field: &Field) -> Option<SqlType> {
    match SqlType::of_field(field).plain() {
        SqlType::Char(_) => None,
        ty if is_text(&ty) => None,
        SqlType::Numeric(_) => Some(SqlType::Numeric(None)),
        ty => Some(ty),
    }
}

/// Refuses to match a type that is `known` with another.
///
/// # Errors
/// 42804.
pub(super) fn matched(what: &str, left: &Field, right: &Field, known: &dyn Fn(&SqlType) -> bool) -> Result<()> {
    let (l, r) = (SqlType::of_field(left), SqlType::of_field(right));
    if l == r || !(known(&l) || known(&r)) {
        return Ok(());
    }
    let text = format!("{what} types {} and {} cannot be matched", shown(left), shown(right));
    Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, text)))
}

/// The plan with one of its columns cast. DISTINCT stays above, where [`multisets`](super::multisets) looks for it.
pub(super) fn with_column(plan: LogicalPlan, n: usize, ty: &SqlType) -> Result<LogicalPlan> {
    if let LogicalPlan::Distinct(Distinct::All(input)) = plan {
        let input = with_column(Arc::unwrap_or_clone(input), n, ty)?;
        return Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(input))));
    }
    let columns = plan.schema().columns().into_iter().enumerate().map(|(m, column)| {
        if m != n {
            return Expr::Column(column);
        }
        let (relation, name) = (column.relation.clone(), column.name.clone());
        cast_to(Expr::Column(column), ty).alias_qualified(relation, name)
    });
    Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), Arc::new(plan))?))
}
