//! `json_to_record(j) AS x(a integer, b text)`: a column list in FROM says what is read out of a JSON object
//! (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING>).

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, SelectItem, SetExpr, TableFactor, Value,
};
use sightline_functions::json::{ARRAY_FIELD, CHECKED_SET, FIELD, JSON_FIELD};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use super::calls::{call, quoted_call};
use super::composites;
use super::relations::table_alias;
use crate::plan::domains::check_cast;
use crate::plan::names::fold;
use crate::plan::types::sql_type;

/// The name that the object has inside.
const OBJECT: &str = "object";

/// A lateral subquery in place of the function; nothing for any other relation.
///
/// # Errors
/// 42601 without a column list.
pub(super) fn record_factor(factor: &TableFactor) -> Result<Option<TableFactor>> {
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => (name, &args.args, alias),
        TableFactor::Function { name, args, alias, .. } => (name, args, alias),
        _ => return Ok(None),
    };
    let Some(function) = name.0.last().and_then(|p| p.as_ident()).map(fold) else { return Ok(None) };
    let set = match function.as_str() {
        "json_to_record" | "jsonb_to_record" => false,
        "json_to_recordset" | "jsonb_to_recordset" => true,
        "json_populate_record" | "jsonb_populate_record" => false,
        "json_populate_recordset" | "jsonb_populate_recordset" => true,
        _ => return Ok(None),
    };
    // What a member is missing in is taken from the first argument, which tells the columns.
    let (base, argument) = match args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if function.contains("_to_") => (None, argument),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(base)), FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))]
            if function.contains("_populate_") =>
        {
            (Some(base), argument)
        }
        _ => return Ok(None),
    };
    let missing = || {
        let message = "a column definition list is required for functions returning \"record\"";
        Error::new(SqlState::SYNTAX_ERROR, message)
    };
    let (mut alias, columns) = match base {
        Some(base) => match composites::columns_of(base) {
            Some(columns) => (alias.clone().unwrap_or_else(|| table_alias(&function)), columns),
            None => return Ok(None),
        },
        None => {
            let alias = alias.clone().ok_or_else(missing)?;
            let columns = alias.columns.iter().map(|c| c.data_type.clone().map(|t| (c.name.clone(), t)));
            let columns = columns.collect::<Option<Vec<_>>>().filter(|c| !c.is_empty()).ok_or_else(missing)?;
            (alias, columns)
        }
    };
    let Ok(mut query) = crate::parser::query("SELECT 1") else { return Ok(None) };
    let Ok(mut inner) = crate::parser::query("SELECT 1") else { return Ok(None) };
    let text = |text: &str| Expr::value(Value::SingleQuotedString(text.to_string()));
    let object = if set {
        let rows = quoted_call(CHECKED_SET, vec![argument.clone(), text(&function)]);
        call("unnest", vec![call("json_array_elements", vec![rows])])
    } else {
        argument.clone()
    };
    if let SetExpr::Select(select) = inner.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias { expr: object, alias: Ident::with_quote('"', OBJECT) }];
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = columns
            .iter()
            .map(|(name, ty)| {
                let of = Expr::Identifier(Ident::with_quote('"', OBJECT));
                let mut value = cast(member(&of, &fold(name), ty, &function), ty);
                if let Some(base) = base {
                    let object = Expr::Identifier(Ident::with_quote('"', OBJECT));
                    value = composites::or_base(base, &object, &fold(name), value);
                }
                SelectItem::ExprWithAlias { expr: value, alias: Ident::with_quote('"', fold(name)) }
            })
            .collect();
        let relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(table_alias(OBJECT)),
            sample: None,
        };
        select.from = vec![ast::TableWithJoins { relation, joins: vec![] }];
    }
    for column in &mut alias.columns {
        column.data_type = None;
    }
    Ok(Some(TableFactor::Derived { lateral: true, subquery: Box::new(query), alias: Some(alias), sample: None }))
}

/// The text of a member of an object, for a column of this type.
pub(super) fn member(object: &Expr, name: &str, ty: &DataType, function: &str) -> Expr {
    let text = |text: &str| Expr::value(Value::SingleQuotedString(text.to_string()));
    quoted_call(reader(ty), vec![object.clone(), text(name), text(function)])
}

/// The function that reads a member for a column of this type.
fn reader(ty: &DataType) -> &'static str {
    match sql_type(ty) {
        Ok(SqlType::Json | SqlType::Jsonb) => JSON_FIELD,
        Ok(SqlType::Array(_)) => ARRAY_FIELD,
        _ => FIELD,
    }
}

fn cast(expr: Expr, ty: &DataType) -> Expr {
    let kind = ast::CastKind::Cast;
    let mut cast = Expr::Cast { kind, expr: Box::new(expr), data_type: ty.clone(), array: false, format: None };
    check_cast(&mut cast);
    cast
}
