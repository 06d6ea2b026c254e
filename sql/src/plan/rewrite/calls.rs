//! Function calls.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, TimezoneInfo, Value,
};
use sightline_storage::error::{Error, Result, SqlState};

use crate::plan::names::fold;

pub(super) fn strip_schema(name: &mut ObjectName) {
    let system = name.0.first().and_then(|p| p.as_ident()).is_some_and(|i| fold(i) == "pg_catalog");
    if name.0.len() == 2 && system {
        name.0.remove(0);
    }
}

/// The name of a function, if it is one of the system's.
pub(super) fn plain_name(f: &Function) -> String {
    let mut name = f.name.clone();
    strip_schema(&mut name);
    match name.0.as_slice() {
        [part] => part.as_ident().map(fold).unwrap_or_default(),
        _ => String::new(),
    }
}

pub(super) fn function(f: &mut Function) {
    strip_schema(&mut f.name);
}

/// A literal that a function waits for is read as the type of its argument.
pub(super) fn awaited(f: &mut Function) {
    let Some(ty) = crate::plan::sleep::argument(&f.name.to_string().to_lowercase()) else { return };
    let FunctionArguments::List(list) = &mut f.args else { return };
    if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_mut_slice()
        && matches!(value, Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_) | Value::Null))
    {
        *value = crate::plan::user_types::cast_to(value.clone(), &ty);
    }
}

/// `float8(x)` is `x::float8`, and `gen_random_uuid()` a text's cast (<https://www.postgresql.org/docs/15/sql-expressions.html#SQL-SYNTAX-TYPE-CASTS>).
pub(super) fn cast_by_name(f: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &f.args else { return None };
    if list.args.is_empty() && f.name.to_string().eq_ignore_ascii_case("gen_random_uuid") {
        // DataFusion's makes a text of it.
        let expr = Box::new(call("uuid", vec![]));
        return Some(Expr::Cast { kind: CastKind::Cast, expr, data_type: DataType::Uuid, array: false, format: None });
    }
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else { return None };
    if f.over.is_some() || f.filter.is_some() || !list.clauses.is_empty() || list.duplicate_treatment.is_some() {
        return None;
    }
    let data_type = match f.name.to_string().to_lowercase().as_str() {
        "int2" => DataType::Int2(None),
        "int4" => DataType::Int4(None),
        "int8" => DataType::Int8(None),
        "float4" => DataType::Float4,
        "float8" => DataType::Float8,
        "numeric" => DataType::Numeric(ExactNumberInfo::None),
        "text" => DataType::Text,
        "varchar" => DataType::Varchar(None),
        "bool" => DataType::Bool,
        "date" => DataType::Date,
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        "uuid" => DataType::Uuid,
        "bytea" => DataType::Bytea,
        name @ ("name" | "oid" | "regclass" | "regtype") => {
            DataType::Custom(ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]), vec![])
        }
        _ => return None,
    };
    Some(Expr::Cast { kind: CastKind::Cast, expr: Box::new(value.clone()), data_type, array: false, format: None })
}

/// `json_agg(x …)` is a function of `array_agg(f(x) …)`, which has ORDER BY, FILTER, DISTINCT and OVER.
pub(super) fn json_aggregate(f: &Function) -> Option<Expr> {
    let (piece, whole) = crate::plan::json::aggregate_halves(&f.name.to_string().to_lowercase())?;
    let mut inner = f.clone();
    let FunctionArguments::List(list) = &mut inner.args else { return None };
    let arguments = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    });
    let made = quoted_call(piece, arguments.collect::<Option<Vec<_>>>()?);
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(made))];
    inner.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("array_agg"))]);
    Some(quoted_call(whole, vec![Expr::Function(inner)]))
}

/// A call of a function whose name is no word.
pub(super) fn quoted_call(name: &str, arguments: Vec<Expr>) -> Expr {
    let mut made = call(name, arguments);
    if let Expr::Function(f) = &mut made {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', name))]);
    }
    made
}

/// Functions that take their last arguments as `VARIADIC` an array, under the name for that.
const VARIADIC_FUNCTIONS: [&str; 5] = ["concat", "concat_ws", "format", "num_nonnulls", "num_nulls"];

/// `concat(VARIADIC a)` is a function of its own here, since the planner counts arguments.
///
/// # Errors
/// 42883 where the function takes no such argument.
pub(super) fn variadic(f: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut f.args else { return Ok(()) };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))) = list.args.last() else {
        return Ok(());
    };
    if inner.name.to_string() != crate::parser::VARIADIC {
        return Ok(());
    }
    let FunctionArguments::List(array) = inner.args.clone() else { return Ok(()) };
    list.args.pop();
    list.args.extend(array.args);
    let name = f.name.to_string().to_lowercase();
    if VARIADIC_FUNCTIONS.contains(&name.as_str()) {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(format!("{name}_variadic")))]);
        return Ok(());
    }
    // These take an array as it is.
    if name.starts_with("json_extract_path") || name.starts_with("jsonb_extract_path") {
        if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(path))) = list.args.last_mut()
            && matches!(path, Expr::Value(v) if matches!(v.value, Value::SingleQuotedString(_)))
        {
            *path = texts(path.clone());
        }
        return Ok(());
    }
    if name.starts_with("json_build_") || name.starts_with("jsonb_build_") {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(format!("{name}_variadic")))]);
        return Ok(());
    }
    Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts."))
}

/// A literal that is an array of texts.
fn texts(literal: Expr) -> Expr {
    let text = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(literal),
        data_type: DataType::Array(text),
        array: false,
        format: None,
    }
}

/// A call of a function that no user can write, by its name.
pub(in crate::plan) fn named_call(name: &str, argument: Expr) -> Expr {
    call(name, vec![argument])
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}
