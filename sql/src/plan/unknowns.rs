//! Literals without a type in CASE: they take the type of the other results, or of what they are compared with
//! (<https://www.postgresql.org/docs/15/typeconv-union-case.html>).

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, cast};
use datafusion::scalar::ScalarValue;

fn is_unknown(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), None))
}

fn is_string(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

/// A CASE whose untyped literals are typed.
pub(super) fn resolved(mut case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    if let Some(Ok(ty)) = case.expr.as_ref().map(|e| e.get_type(schema))
        && !is_string(&ty)
    {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
        changed |= typed(whens, &ty);
    }
    let results = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let known = results().filter(|e| !is_unknown(e)).filter_map(|e| e.get_type(schema).ok());
    let known = known.filter(|t| !t.is_null()).collect::<Vec<_>>();
    if let Some(common) = type_union_resolution(&known)
        && !is_string(&common)
    {
        let thens = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
        changed |= typed(thens.chain(case.else_expr.iter_mut().map(AsMut::as_mut)), &common);
    }
    Transformed::new_transformed(Expr::Case(case), changed)
}

fn typed<'a>(exprs: impl Iterator<Item = &'a mut Expr>, ty: &DataType) -> bool {
    let mut changed = false;
    for expr in exprs.filter(|e| is_unknown(e)) {
        *expr = cast(std::mem::take(expr), ty.clone());
        changed = true;
    }
    changed
}
