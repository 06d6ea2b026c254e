//! Subscripts, `ANY (array)` and array literals of several dimensions, as calls and types that the planner knows
//! (<https://www.postgresql.org/docs/15/arrays.html>).

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Subscript, Value,
};
use sightline_functions::array::any_all::over_array;

use super::calls::call;
use super::composites;
use super::literals::integer;

/// What such an expression is; none if it stays.
pub(super) fn plain(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::CompoundFieldAccess { root, access_chain } => subscripted(root, access_chain),
        Expr::Cast { expr: inner, data_type: DataType::Array(_), .. } => array_cast(expr, inner),
        Expr::AnyOp { left, compare_op, right, .. } => over(left, compare_op, right, true),
        Expr::AllOp { left, compare_op, right } => over(left, compare_op, right, false),
        _ => None,
    }
}

fn over(left: &Expr, operator: &BinaryOperator, right: &Expr, any: bool) -> Option<Expr> {
    if let Expr::Subquery(_) = right {
        return None;
    }
    let mut written = operator.to_string();
    if let BinaryOperator::PGCustomBinaryOperator(parts) = operator {
        written = parts.last()?.clone();
    }
    let written = if written == "!=" { "<>".to_string() } else { written };
    let name = over_array(&written, any)?;
    Some(call(&name, vec![left.clone(), right.clone()]))
}

/// `x[1][2]`, `x[1:2]`, `t.x[1]`: text subscripts are those of jsonb, and stay.
fn subscripted(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let dots = chain.iter().take_while(|a| matches!(a, AccessExpr::Dot(_))).count();
    let (path, subscripts) = chain.split_at(dots);
    let subscripts = subscripts
        .iter()
        .map(|a| match a {
            AccessExpr::Subscript(s) => Some(s),
            AccessExpr::Dot(_) => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let textual = |s: &&Subscript| matches!(s, Subscript::Index { index: Expr::Value(v) } if matches!(v.value, Value::SingleQuotedString(_)));
    let strided = |s: &&Subscript| matches!(s, Subscript::Slice { stride: Some(_), .. });
    if subscripts.is_empty() || subscripts.iter().any(textual) || subscripts.iter().any(strided) {
        return None;
    }
    let mut arguments = vec![rooted(root, path)?];
    let slices = subscripts.iter().any(|s| matches!(s, Subscript::Slice { .. }));
    let bound = |n: i32| integer(Expr::value(Value::Number(n.to_string(), false)));
    for subscript in subscripts {
        match subscript {
            Subscript::Index { index } => {
                // Among slices a single subscript is an upper bound.
                if slices {
                    arguments.push(bound(1));
                }
                arguments.push(index.clone());
            }
            Subscript::Slice { lower_bound, upper_bound, .. } => {
                arguments.push(lower_bound.clone().unwrap_or_else(|| bound(1)));
                arguments.push(upper_bound.clone().unwrap_or_else(|| bound(i32::MAX)));
            }
        }
    }
    Some(call(if slices { "array_section" } else { "array_subscript" }, arguments))
}

/// The column that `t.x` names, the field that `(v).x` is, or the expression itself.
fn rooted(root: &Expr, path: &[AccessExpr]) -> Option<Expr> {
    if path.is_empty() {
        return Some(root.clone());
    }
    if let Some(field) = composites::field_access(root, path) {
        return Some(field);
    }
    let mut parts = match root {
        Expr::Identifier(ident) => vec![ident.clone()],
        Expr::CompoundIdentifier(parts) => parts.clone(),
        _ => return None,
    };
    for step in path {
        match step {
            AccessExpr::Dot(Expr::Identifier(ident)) => parts.push(ident.clone()),
            _ => return None,
        }
    }
    Some(Expr::CompoundIdentifier(parts))
}

/// `'{{1,2},{3,4}}'::int[]` is cast to a list of lists, and `ARRAY[]::int[]` is an empty literal.
fn array_cast(cast: &Expr, inner: &Expr) -> Option<Expr> {
    let mut cast = cast.clone();
    let Expr::Cast { expr, data_type, .. } = &mut cast else { return None };
    match inner {
        Expr::Value(v) => {
            let Value::SingleQuotedString(text) = &v.value else { return None };
            let mut item = data_type.clone();
            while let DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)) = item {
                item = *of;
            }
            let dimensions = dimensions(text);
            if dimensions < 2 || matches!(item, DataType::Array(_)) {
                return None;
            }
            *data_type =
                (0..dimensions).fold(item, |ty, _| DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(ty))));
        }
        Expr::Array(array) if array.elem.is_empty() => {
            **expr = Expr::value(Value::SingleQuotedString("{}".to_string()));
        }
        Expr::Array(_) => {
            let mut item = data_type.clone();
            while let DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)) = item {
                item = *of;
            }
            if matches!(item, DataType::Array(_)) || !cast_elements(expr, &item) {
                return None;
            }
        }
        _ => return None,
    }
    Some(cast)
}

/// The elements of `ARRAY[…]::int[]` are cast, not only the array. False if they are already.
fn cast_elements(array: &mut Expr, to: &DataType) -> bool {
    let Expr::Array(elements) = array else { return false };
    let mut changed = false;
    for element in &mut elements.elem {
        match element {
            Expr::Array(_) => changed |= cast_elements(element, to),
            Expr::Cast { data_type, .. } if data_type == to => {}
            other => {
                *other = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(other.clone()),
                    data_type: to.clone(),
                    array: false,
                    format: None,
                };
                changed = true;
            }
        }
    }
    changed
}

/// `unnest` of an array of several dimensions takes it apart to its elements.
pub(super) fn flattened(f: &mut Function) {
    if !f.name.to_string().eq_ignore_ascii_case("unnest") {
        return;
    }
    let FunctionArguments::List(list) = &mut f.args else { return };
    for arg in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(array)) = arg {
            flat(array);
        }
    }
}

/// The array of all elements.
pub(super) fn flat(array: &mut Expr) {
    for _ in 1..depth(array) {
        *array = call("flatten", vec![array.clone()]);
    }
}

/// The dimensions of an array, as its text shows them.
fn depth(array: &Expr) -> usize {
    match array {
        Expr::Nested(inner) => depth(inner),
        Expr::Array(array) => 1 + array.elem.first().map_or(0, |e| if let Expr::Array(_) = e { depth(e) } else { 0 }),
        Expr::Cast { data_type, expr, .. } => {
            let (mut ty, mut count) = (data_type, 0);
            while let DataType::Array(ArrayElemTypeDef::AngleBracket(item) | ArrayElemTypeDef::SquareBracket(item, _)) =
                ty
            {
                (ty, count) = (item.as_ref(), count + 1);
            }
            if let Expr::Array(_) = expr.as_ref() { depth(expr) } else { count }
        }
        _ => 1,
    }
}

/// How many braces an array literal opens with, behind its bounds.
fn dimensions(text: &str) -> usize {
    let text = text.trim_start();
    let text = if text.starts_with('[') { text.split_once('=').map_or(text, |(_, rest)| rest) } else { text };
    text.chars().filter(|c| !c.is_ascii_whitespace()).take_while(|c| *c == '{').count()
}

/// `width_bucket(x, thresholds)` is a function of its own; `array_fill(x, ARRAY[2, 3])` makes an array of as many
/// dimensions as there are lengths.
pub(super) fn named_by_arguments(f: &mut Function) {
    if f.name.to_string().eq_ignore_ascii_case("width_bucket")
        && matches!(&f.args, FunctionArguments::List(list) if list.args.len() == 2)
    {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("width_bucket_array"))]);
    }
    if !f.name.to_string().eq_ignore_ascii_case("array_fill") {
        return;
    }
    let FunctionArguments::List(list) = &f.args else { return };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(lengths))) = list.args.get(1) else { return };
    let mut lengths = lengths;
    while let Expr::Nested(inner) | Expr::Cast { expr: inner, .. } = lengths {
        lengths = inner;
    }
    let count = match lengths {
        Expr::Array(array) => array.elem.len(),
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(text) => text.split(',').count(),
            _ => 1,
        },
        _ => 1,
    };
    if (2..=3).contains(&count) {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(format!("array_fill_{count}")))]);
    }
}
