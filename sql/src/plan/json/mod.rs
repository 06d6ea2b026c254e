//! What the planner must know of `json` and `jsonb`, which DataFusion takes for strings: their operators
//! ([`operators`]), casts ([`cast`]), and how values of other types become JSON.

mod build;
mod cast;
mod equality;
mod operators;
mod subscripts;
mod types;

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::scalar::ScalarValue;
use sightline_storage::types::SqlType;

pub(super) use self::build::{aggregate_halves, functions};
pub(super) use self::cast::json_cast;
pub(super) use self::equality::key;
pub(super) use self::operators::JsonOperators;
pub(super) use self::subscripts::function as subscripts;
pub(super) use self::types::{array, typed, typed_in};
use super::functions::undefined;
use crate::error::to_datafusion;

/// The SQL type of an expression; `unknown` for literals and parameters without one.
fn type_of(expr: &Expr, schema: &DFSchema) -> SqlType {
    match expr {
        Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None)
        | Expr::Placeholder(Placeholder { field: None, .. }) => SqlType::Unknown,
        Expr::Alias(alias) => type_of(&alias.expr, schema),
        // What is cast may have left a mark on the field of the cast.
        Expr::Cast(cast) => SqlType::of_field(&cast.field),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            results.map(|e| type_of(e, schema)).find(|t| *t != SqlType::Unknown).unwrap_or(SqlType::Unknown)
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "coalesce" | "nullif" | "greatest" | "least") => {
            call.args.iter().map(|e| type_of(e, schema)).find(|t| *t != SqlType::Unknown).unwrap_or(SqlType::Unknown)
        }
        other => other.to_field(schema).map_or(SqlType::Unknown, |(_, field)| SqlType::of_field(&field)),
    }
}

fn is_json(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Json | SqlType::Jsonb)
}

/// The expression as a type, where it is not of that type already.
fn as_type(expr: Expr, from: &SqlType, to: &SqlType) -> Expr {
    if from == to {
        return expr;
    }
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            Expr::Placeholder(Placeholder { id, field: Some(to.field_ref("")) })
        }
        expr => Expr::Cast(Cast { expr: Box::new(expr), field: to.field_ref("") }),
    }
}

/// A call of a function of ours.
fn function(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    match sightline_functions::scalar_function(name) {
        Some(function) => Ok(function.call(arguments)),
        None => Err(to_datafusion(undefined(name))),
    }
}
