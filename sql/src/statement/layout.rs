//! Where rows lie: PARTITION BY, CLUSTER BY and retention, said as clauses or as options of WITH.

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{PartitionExpr, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::ColumnId;
use sightline_storage::types::SqlType;

use crate::codec::{Style, input};
use crate::parser::definition::parse_exprs;
use crate::plan::fold;

/// The options of a table, for the error that lists them.
const OPTIONS: [&str; 3] = ["partition_by", "cluster_by", "retention"];
/// The most buckets of `hash(column, n)`: each is a file of its own in every part of time.
const BUCKETS_MAX: u32 = 1024;

/// Takes the options of WITH and SET into the definition.
///
/// # Errors
/// 22023 for an unknown option or a value it does not take; 42703.
pub(super) fn set_options(table: &mut TableDef, options: &[(String, Option<String>)], altering: bool) -> Result<()> {
    for (n, (name, value)) in options.iter().enumerate() {
        if options[..n].iter().any(|(other, _)| other == name) {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")));
        }
        let value =
            || value.as_deref().ok_or_else(|| invalid(format!("parameter \"{name}\" needs a value")).hint(usage(name)));
        match name.as_str() {
            "partition_by" | "cluster_by" if altering => {
                return Err(Error::unsupported(format!("{name} of a table cannot be changed"))
                    .hint("Make a new table with CREATE TABLE … AS SELECT, and rename it."));
            }
            "partition_by" => set_partition_by(table, &parse_exprs(value()?)?)?,
            "cluster_by" => set_cluster_by(table, &parse_exprs(value()?)?)?,
            "retention" => set_retention(table, value()?)?,
            _ => return Err(unknown(name)),
        }
    }
    Ok(())
}

/// Takes options away.
///
/// # Errors
/// As [`set_options`].
pub(super) fn reset_options(table: &mut TableDef, names: &[String]) -> Result<()> {
    for name in names {
        match name.as_str() {
            "retention" => table.retention_us = None,
            "partition_by" | "cluster_by" => {
                return Err(Error::unsupported(format!("{name} of a table cannot be changed"))
                    .hint("Make a new table with CREATE TABLE … AS SELECT, and rename it."));
            }
            _ => return Err(unknown(name)),
        }
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unknown(name: &str) -> Error {
    invalid(format!("unrecognized parameter \"{name}\"")).hint(format!("Valid parameters are: {}.", OPTIONS.join(", ")))
}

fn usage(name: &str) -> String {
    match name {
        "retention" => "For example: retention = '30 days'.".to_string(),
        "cluster_by" => "For example: cluster_by = 'customer, time'.".to_string(),
        _ => "For example: partition_by = 'day(time), region'.".to_string(),
    }
}

/// PARTITION BY: `hour`, `day`, `month` or `year` of a time, `hash(column, buckets)`, or a column itself.
///
/// # Errors
/// 42703, 42804, 22023, 0A000.
pub(super) fn set_partition_by(table: &mut TableDef, exprs: &[ast::Expr]) -> Result<()> {
    if !table.partition_by.is_empty() {
        return Err(invalid("partition_by specified more than once".to_string()));
    }
    table.partition_by = exprs.iter().map(|e| partition_expr(table, e)).collect::<Result<_>>()?;
    Ok(())
}

fn partition_expr(table: &TableDef, expr: &ast::Expr) -> Result<PartitionExpr> {
    match expr {
        ast::Expr::Nested(inner) => partition_expr(table, inner),
        ast::Expr::Identifier(ident) => {
            let (id, ty) = column(table, ident)?;
            match ty.plain() {
                SqlType::Array(_) | SqlType::Json | SqlType::Jsonb | SqlType::Interval => {
                    Err(Error::unsupported(format!("cannot partition by a column of type {ty}")))
                }
                _ => Ok(PartitionExpr::Value(id)),
            }
        }
        ast::Expr::Function(function) => partition_function(table, function),
        _ => Err(not_supported(expr)),
    }
}

fn not_supported(expr: &ast::Expr) -> Error {
    Error::unsupported(format!("cannot partition by {expr}"))
        .hint("Use a column, hour(c), day(c), month(c), year(c), date_trunc('month', c) or hash(c, buckets).")
}

fn partition_function(table: &TableDef, function: &ast::Function) -> Result<PartitionExpr> {
    let whole = || not_supported(&ast::Expr::Function(function.clone()));
    let ast::FunctionArguments::List(list) = &function.args else { return Err(whole()) };
    let arguments = list.args.iter().map(|a| match a {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e)) => Ok(e),
        _ => Err(whole()),
    });
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    let name = function.name.to_string().to_lowercase();
    match (name.as_str(), arguments.as_slice()) {
        ("hour" | "day" | "month" | "year", [ast::Expr::Identifier(c)]) => {
            time_unit(table, &name, c).ok_or_else(whole)?
        }
        ("date_trunc", [unit, ast::Expr::Identifier(c)]) => {
            let unit = literal(unit).unwrap_or_default().to_lowercase();
            time_unit(table, &unit, c).ok_or_else(whole)?
        }
        ("hash", [ast::Expr::Identifier(c), count]) => {
            let (id, ty) = column(table, c)?;
            if matches!(ty, SqlType::Array(_)) {
                return Err(Error::unsupported(format!("cannot partition by the hash of type {ty}")));
            }
            let count = literal(count).and_then(|t| t.parse().ok()).filter(|n| (1..=BUCKETS_MAX).contains(n));
            match count {
                Some(count) => Ok(PartitionExpr::Hash(id, count)),
                None => Err(invalid(format!("the number of buckets must be between 1 and {BUCKETS_MAX}"))),
            }
        }
        _ => Err(whole()),
    }
}

/// The expression for a unit of time, or none if it is not one.
fn time_unit(table: &TableDef, unit: &str, ident: &ast::Ident) -> Option<Result<PartitionExpr>> {
    let make = match unit {
        "hour" => PartitionExpr::Hour,
        "day" => PartitionExpr::Day,
        "month" => PartitionExpr::Month,
        "year" => PartitionExpr::Year,
        _ => return None,
    };
    Some(column(table, ident).and_then(|(id, ty)| match ty.plain() {
        SqlType::Date if unit != "hour" => Ok(make(id)),
        SqlType::Timestamp | SqlType::TimestampTz => Ok(make(id)),
        _ => Err(Error::new(SqlState::DATATYPE_MISMATCH, format!("cannot take the {unit} of a column of type {ty}"))),
    }))
}

fn literal(expr: &ast::Expr) -> Option<String> {
    let ast::Expr::Value(value) = expr else { return None };
    match &value.value {
        ast::Value::SingleQuotedString(s) => Some(s.clone()),
        ast::Value::Number(n, _) => Some(n.clone()),
        _ => None,
    }
}

fn column<'a>(table: &'a TableDef, ident: &ast::Ident) -> Result<(ColumnId, &'a SqlType)> {
    let name = fold(ident);
    match table.column(&name) {
        Some(column) => Ok((column.id, &column.ty)),
        None => Err(Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))),
    }
}

/// CLUSTER BY: the order of rows inside parts.
///
/// # Errors
/// 42703, 42701, 0A000.
pub(super) fn set_cluster_by(table: &mut TableDef, exprs: &[ast::Expr]) -> Result<()> {
    if !table.cluster_by.is_empty() {
        return Err(invalid("cluster_by specified more than once".to_string()));
    }
    let mut ids = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let ast::Expr::Identifier(ident) = expr else {
            return Err(
                Error::unsupported(format!("cannot cluster by {expr}")).hint("CLUSTER BY takes names of columns.")
            );
        };
        let (id, ty) = column(table, ident)?;
        if matches!(ty, SqlType::Array(_)) {
            return Err(Error::unsupported(format!("cannot cluster by a column of type {ty}")));
        }
        if ids.contains(&id) {
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, format!("column {ident} appears twice in CLUSTER BY")));
        }
        ids.push(id);
    }
    table.cluster_by = ids;
    Ok(())
}

fn set_retention(table: &mut TableDef, text: &str) -> Result<()> {
    let bad = || invalid(format!("invalid value for parameter \"retention\": \"{text}\"")).hint(usage("retention"));
    let value = input::parse_text_styled(&SqlType::Interval, text, &Style::default()).map_err(|_| bad())?;
    let datafusion::scalar::ScalarValue::IntervalMonthDayNano(Some(interval)) = value else { return Err(bad()) };
    const DAY_US: i64 = 86_400_000_000;
    let days = i64::from(interval.months) * 30 + i64::from(interval.days);
    let us = days * DAY_US + interval.nanoseconds / 1000;
    if us <= 0 {
        return Err(bad());
    }
    table.retention_us = Some(us);
    Ok(())
}

/// Retention counts by the first time column of PARTITION BY: without one nothing could ever be dropped.
///
/// # Errors
/// 22023.
pub(super) fn check(table: &TableDef) -> Result<()> {
    let by_time = table.partition_by.iter().any(|e| {
        matches!(e, PartitionExpr::Hour(_) | PartitionExpr::Day(_) | PartitionExpr::Month(_) | PartitionExpr::Year(_))
    });
    if table.retention_us.is_some() && !by_time {
        return Err(invalid("retention needs a time in partition_by".to_string())
            .hint("For example: PARTITION BY (day(time)) WITH (retention = '30 days')."));
    }
    Ok(())
}
