//! Values of composite types (<https://www.postgresql.org/docs/15/rowtypes.html>): `ROW(1, 'x')::t`, `(v).a`, and
//! `json_populate_record` in FROM, in terms of calls that `plan/composites.rs` knows.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Value,
};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::{CompositeType, SqlType};

use super::calls::{call, plain_name};
use super::records;
use crate::plan::composites::{FIELD_OF, ROW_OF};
use crate::plan::domains::unchecked;
use crate::plan::names::fold;
use crate::plan::types::sql_type;
use crate::plan::user_types::{cast_to, said};

/// The values of `ROW(a, b)` or `(a, b)`.
fn values(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Nested(inner) => values(inner),
        Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("row") => {
            let FunctionArguments::List(list) = &f.args else { return None };
            let value = |arg: &FunctionArg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
                _ => None,
            };
            list.args.iter().map(value).collect()
        }
        _ => None,
    }
}

/// Whether an expression is a row as written.
pub(crate) fn is_row(expr: &Expr) -> bool {
    values(expr).is_some()
}

/// The composite type that a type is; of a domain its base.
fn composite(ty: &SqlType) -> Option<&CompositeType> {
    match ty.base() {
        SqlType::Composite(c) => Some(c),
        _ => None,
    }
}

/// `ROW(a, b)::t` with its values cast to the fields of t; `(v).a` as a call.
///
/// # Errors
/// 42846 for another number of values.
pub(super) fn plain(expr: &Expr) -> Result<Option<Expr>> {
    match expr {
        Expr::Cast { expr: inner, data_type, kind: CastKind::Cast | CastKind::DoubleColon, .. } => {
            let Some(given) = values(inner) else { return Ok(None) };
            let Ok(ty) = sql_type(data_type) else { return Ok(None) };
            let Some(of) = composite(&ty) else { return Ok(None) };
            let made = row_of(of, given)?;
            // A domain checks what was made, and the cast tells others the type.
            Ok(Some(cast_to(made, &ty)))
        }
        Expr::CompoundFieldAccess { root, access_chain } => Ok(field_access(root, access_chain)),
        Expr::Function(f) => Ok(populated(f)),
        _ => Ok(None),
    }
}

/// `json_populate_record(base, j)` as a value, if a cast tells the type of `base`: a row of the members of j.
fn populated(f: &Function) -> Option<Expr> {
    let function = plain_name(f);
    if !matches!(function.as_str(), "json_populate_record" | "jsonb_populate_record") {
        return None;
    }
    let FunctionArguments::List(list) = &f.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(base)), FunctionArg::Unnamed(FunctionArgExpr::Expr(object))] =
        list.args.as_slice()
    else {
        return None;
    };
    let Expr::Cast { data_type, .. } = unchecked(base) else { return None };
    let ty = sql_type(data_type).ok()?;
    let of = composite(&ty)?;
    let member = |(name, ty): &(String, SqlType)| {
        let read = records::member(object, name, &said(ty), &function);
        or_base(base, object, name, cast_to(read, ty))
    };
    let made = call(&format!("{ROW_OF}{}", of.id.oid), of.fields.iter().map(member).collect());
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: Expr::IsNull(Box::new(object.clone())), result: base.clone() }],
        else_result: Some(Box::new(made)),
    })
}

fn row_of(of: &CompositeType, given: Vec<Expr>) -> Result<Expr> {
    if given.len() != of.fields.len() {
        let much = if given.len() > of.fields.len() { "many" } else { "few" };
        return Err(Error::new(SqlState::new("42846"), format!("cannot cast type record to {}", of.id))
            .detail(format!("Input has too {much} columns.")));
    }
    let fields = given.into_iter().zip(&of.fields).map(|(value, (_, ty))| cast_to(value, ty)).collect();
    Ok(call(&format!("{ROW_OF}{}", of.id.oid), fields))
}

/// `(v).a.b`, where v is no name of a relation.
pub(super) fn field_access(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    if !matches!(root, Expr::Nested(_) | Expr::Function(_) | Expr::Cast { .. } | Expr::Subquery(_)) {
        return None;
    }
    let fields = chain.iter().map(|step| match step {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(fold(name)),
        _ => None,
    });
    let fields = fields.collect::<Option<Vec<_>>>()?;
    Some(fields.into_iter().fold(root.clone(), |of, name| field_of(of, &name)))
}

fn field_of(of: Expr, name: &str) -> Expr {
    call(FIELD_OF, vec![of, text(name)])
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_string()))
}

/// The columns that `json_populate_record(base, …)` answers, if the type of `base` is told by a cast.
pub(super) fn columns_of(base: &Expr) -> Option<Vec<(Ident, DataType)>> {
    let Expr::Cast { data_type, .. } = unchecked(base) else { return None };
    let ty = sql_type(data_type).ok()?;
    let of = composite(&ty)?;
    Some(of.fields.iter().map(|(name, ty)| (Ident::with_quote('"', name), said(ty))).collect())
}

/// A field's value out of an object, or where the object has no such member that of `base`.
pub(super) fn or_base(base: &Expr, object: &Expr, name: &str, value: Expr) -> Expr {
    let nothing = matches!(unchecked(base), Expr::Cast { expr, .. } if matches!(expr.as_ref(), Expr::Value(v) if v.value == Value::Null));
    if nothing {
        return value;
    }
    let member = call("jsonb_exists", vec![cast_to(object.clone(), &SqlType::Jsonb), text(name)]);
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: member, result: value }],
        else_result: Some(Box::new(field_of(base.clone(), name))),
    }
}
