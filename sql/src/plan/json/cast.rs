//! Casts from and to `json` and `jsonb`. Arrow holds both as strings, so that a cast to a string or from one looks to
//! DataFusion as if there were nothing to do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use sightline_functions::json::{Scalar, scalar};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use crate::codec::Style;
use crate::codec::build::ColumnBuilder;
use crate::error::{from_function, to_datafusion};
use crate::plan::kernel::{Body, Kernel};

/// The cast as a function of ours, or as a cast of a number that such a function makes, if one of both types is `json` or
/// `jsonb`; else the expression again.
///
/// # Errors
/// 42846 for types between which there is no cast.
pub(in crate::plan) fn json_cast(
    expr: Expr,
    from: &SqlType,
    field: &FieldRef,
) -> Result<std::result::Result<Expr, Expr>> {
    let to = SqlType::of_field(field);
    let json = |t: &SqlType| matches!(t, SqlType::Json | SqlType::Jsonb);
    let text = |t: &SqlType| {
        matches!(t, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name | SqlType::InternalChar)
    };
    match (from, &to) {
        (SqlType::Unknown, _) => Ok(Err(expr)),
        (SqlType::Jsonb, SqlType::Json) | (SqlType::Json | SqlType::Jsonb, SqlType::Text | SqlType::Varchar(None)) => {
            Ok(Ok(Kernel::call(&format!("{to}"), field.clone(), vec![expr], same())))
        }
        (SqlType::Json, SqlType::Json) | (SqlType::Jsonb, SqlType::Jsonb) => Ok(Err(expr)),
        (SqlType::Json, SqlType::Jsonb) => {
            Ok(Ok(Kernel::call("jsonb_in", field.clone(), vec![expr], text_in(to.clone()))))
        }
        (from, SqlType::Json | SqlType::Jsonb) if text(from) => {
            Ok(Ok(Kernel::call(&format!("{to}_in"), field.clone(), vec![expr], text_in(to.clone()))))
        }
        (SqlType::Jsonb, SqlType::Boolean) => Ok(Ok(Kernel::call("jsonb_bool", field.clone(), vec![expr], boolean()))),
        (SqlType::Jsonb, SqlType::Numeric(_) | SqlType::Real | SqlType::Double) => {
            Ok(Ok(Kernel::call(&format!("jsonb_{to}"), field.clone(), vec![expr], number(to.clone(), &to))))
        }
        (SqlType::Jsonb, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt) => {
            let numeric = SqlType::Numeric(None);
            let name = format!("jsonb_{to}");
            let inner = Kernel::call(&name, numeric.field_ref(""), vec![expr], number(numeric, &to));
            Ok(Ok(Expr::Cast(datafusion::logical_expr::Cast { expr: Box::new(inner), field: field.clone() })))
        }
        (SqlType::Json | SqlType::Jsonb, to) if text(to) => Ok(Err(expr)),
        (from, to) if json(from) || (json(to) && !matches!(from, SqlType::Void)) => {
            let message = format!("cannot cast type {from} to {to}");
            Err(to_datafusion(Error::new(SqlState::CANNOT_COERCE, message)))
        }
        _ => Ok(Err(expr)),
    }
}

fn same() -> Body {
    Arc::new(|arrays| Ok(cast(&arrays[0], &DataType::Utf8View)?))
}

/// Reads each string as the type's input function does.
fn text_in(ty: SqlType) -> Body {
    Arc::new(move |arrays| {
        let strings = cast(&arrays[0], &DataType::Utf8View)?;
        let style = Style::default();
        let mut column = ColumnBuilder::new(&ty);
        for value in strings.as_string_view() {
            match value {
                Some(text) => column.append_text(text, &style).map_err(to_datafusion)?,
                None => column.append_null(),
            }
        }
        column.finish().map_err(to_datafusion)
    })
}

/// 22023: a value of another kind than is wanted.
fn unfit(found: &str, ty: &SqlType) -> datafusion::error::DataFusionError {
    let ty = match ty {
        SqlType::Numeric(_) => "numeric".to_string(),
        other => other.to_string(),
    };
    to_datafusion(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot cast jsonb {found} to type {ty}")))
}

fn read(text: &str) -> Result<Scalar> {
    scalar(text).map_err(|e| to_datafusion(from_function(&e)))
}

fn boolean() -> Body {
    Arc::new(|arrays| {
        let strings = cast(&arrays[0], &DataType::Utf8View)?;
        let one = |text: Option<&str>| match text.map(read).transpose()? {
            None => Ok(None),
            Some(Scalar::Bool(b)) => Ok(Some(b)),
            Some(other) => Err(unfit(other.name(), &SqlType::Boolean)),
        };
        Ok(Arc::new(strings.as_string_view().iter().map(one).collect::<Result<BooleanArray>>()?) as ArrayRef)
    })
}

/// The numbers as values of `held`; an error names the type that was `wanted`.
fn number(held: SqlType, wanted: &SqlType) -> Body {
    let wanted = wanted.clone();
    Arc::new(move |arrays| {
        let strings = cast(&arrays[0], &DataType::Utf8View)?;
        let style = Style::default();
        let mut column = ColumnBuilder::new(&held);
        for row in 0..strings.len() {
            if strings.is_null(row) {
                column.append_null();
                continue;
            }
            match read(strings.as_string_view().value(row))? {
                Scalar::Number(text) => column.append_text(&text, &style).map_err(to_datafusion)?,
                other => return Err(unfit(other.name(), &wanted)),
            }
        }
        column.finish().map_err(to_datafusion)
    })
}
