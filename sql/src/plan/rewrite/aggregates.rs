//! Aggregates with WITHIN GROUP, and `string_agg` with an order, as functions of all they need: DataFusion sorts for one
//! order at a time only (<https://www.postgresql.org/docs/15/sql-expressions.html#SYNTAX-AGGREGATES>).

use arrow::compute::SortOptions;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, OrderByExpr, Value,
};
use sightline_functions::aggregate::collected::order_spec;
use sightline_functions::aggregate::string_agg::DISTINCT;
use sightline_storage::error::{Error, Result, SqlState};

use super::calls::call;

/// Aggregates that need WITHIN GROUP, and how many direct arguments they have.
const ORDERED: [(&str, usize); 3] = [("mode", 0), ("percentile_cont", 1), ("percentile_disc", 1)];
/// Window functions that are hypothetical-set aggregates, too.
const HYPOTHETICAL: [&str; 4] = ["cume_dist", "dense_rank", "percent_rank", "rank"];
/// Other window functions.
const WINDOW: [&str; 7] = ["first_value", "lag", "last_value", "lead", "nth_value", "ntile", "row_number"];

/// Aggregates that are often asked of one column in several types.
const OF_CASTS: [&str; 12] = [
    "array_agg",
    "avg",
    "count",
    "max",
    "min",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Makes a cast in an aggregate part of the name that DataFusion gives it.
pub(super) fn name_cast(f: &mut Function) {
    let FunctionArguments::List(list) = &mut f.args else { return };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))] = list.args.as_mut_slice() else { return };
    let Expr::Cast { data_type, .. } = arg else { return };
    if !OF_CASTS.contains(&f.name.to_string().to_lowercase().as_str()) {
        return;
    }
    let ty = Expr::value(Value::SingleQuotedString(data_type.to_string()));
    *arg = call("explicit", vec![arg.clone(), ty]);
}

/// Rewrites such a call.
///
/// # Errors
/// 42809 where WITHIN GROUP or OVER is missing, 42P10 for an order that DISTINCT has no values for.
pub(super) fn ordered(f: &mut Function) -> Result<()> {
    let name = f.name.to_string().to_lowercase();
    let direct = ORDERED.iter().find(|(n, _)| *n == name).map(|(_, direct)| *direct);
    let hypothetical = HYPOTHETICAL.contains(&name.as_str());
    let wrong = |message: String| Err(Error::new(SqlState::new("42809"), message));
    if f.within_group.is_empty() {
        let FunctionArguments::List(list) = &f.args else { return Ok(()) };
        if let Some(direct) = direct
            && f.over.is_none()
            && list.args.len() != direct.max(1)
        {
            return wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}"));
        }
        if direct == Some(0) {
            return wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}"));
        }
        if f.over.is_none() && (hypothetical || WINDOW.contains(&name.as_str())) {
            return wrong(format!("window function {name} requires an OVER clause"));
        }
        return if name == "string_agg" && f.over.is_none() { string_agg(f) } else { Ok(()) };
    }
    if direct.is_none() && !hypothetical {
        return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist")).hint(
            "No function matches the given name and argument types. You might need to add explicit type casts.",
        ));
    }
    if f.over.is_some() {
        return Err(Error::unsupported(format!("OVER is not supported for ordered-set aggregate {name}")));
    }
    let order = std::mem::take(&mut f.within_group);
    let FunctionArguments::List(list) = &mut f.args else { return Ok(()) };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "cannot use DISTINCT with WITHIN GROUP"));
    }
    collect(f, &name, String::new(), order);
    Ok(())
}

/// `name(…, order)` as `ordered_name(spec, …, order)`.
fn collect(f: &mut Function, name: &str, prefix: String, order: Vec<OrderByExpr>) {
    let FunctionArguments::List(list) = &mut f.args else { return };
    let options = order.iter().map(|o| {
        let descending = o.options.asc == Some(false);
        SortOptions { descending, nulls_first: o.options.nulls_first.unwrap_or(descending) }
    });
    let spec = Expr::value(Value::SingleQuotedString(format!("{prefix}{}", order_spec(options))));
    let unnamed = |e: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(e));
    list.args.insert(0, unnamed(spec));
    list.args.extend(order.into_iter().map(|o| unnamed(o.expr)));
    f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(format!("ordered_{name}")))]);
}

fn string_agg(f: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut f.args else { return Ok(()) };
    let distinct = list.duplicate_treatment.take() == Some(DuplicateTreatment::Distinct);
    let mut order = Vec::new();
    list.clauses.retain(|clause| match clause {
        FunctionArgumentClause::OrderBy(exprs) => {
            order = exprs.clone();
            false
        }
        _ => true,
    });
    if !distinct && order.is_empty() {
        return Ok(());
    }
    let given =
        |e: &Expr| list.args.iter().any(|a| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Expr(g)) if g == e));
    if distinct && !order.iter().all(|o| given(&o.expr)) {
        let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
        return Err(Error::new(SqlState::new("42P10"), message));
    }
    collect(f, "string_agg", if distinct { DISTINCT.to_string() } else { String::new() }, order);
    Ok(())
}
