//! Calls about time that are other calls, or casts, to the planner.

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, TimezoneInfo,
    Value,
};

use super::calls::call;

fn arguments(f: &mut Function) -> Option<&mut Vec<FunctionArg>> {
    match &mut f.args {
        FunctionArguments::List(list) => Some(&mut list.args),
        FunctionArguments::None | FunctionArguments::Subquery(_) => None,
    }
}

fn plain(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// `current_timestamp(2)` is rounded, `age(t)` counts from midnight today, and `make_interval(days => 3)` names what it
/// gives.
pub(super) fn function(f: &mut Function) -> Option<Expr> {
    let name = f.name.to_string().to_lowercase();
    let digits = |p: u64| match name.as_str() {
        "current_timestamp" => Some(DataType::Timestamp(Some(p), TimezoneInfo::WithTimeZone)),
        "localtimestamp" => Some(DataType::Timestamp(Some(p), TimezoneInfo::None)),
        "current_time" | "localtime" => Some(DataType::Time(Some(p), TimezoneInfo::None)),
        _ => None,
    };
    let args = arguments(f)?;
    if name == "make_interval" {
        by_position(args, &["years", "months", "weeks", "days", "hours", "mins", "secs"]);
        return None;
    }
    if let [date, time] = args.as_slice()
        && let Some(data_type @ DataType::Timestamp(..)) = named_type(&name)
    {
        let (left, right) = (Box::new(plain(date)?.clone()), Box::new(plain(time)?.clone()));
        let sum = Expr::BinaryOp { left, op: BinaryOperator::Plus, right };
        return Some(cast(Expr::Nested(Box::new(sum)), data_type));
    }
    let [arg] = args.as_slice() else { return None };
    let arg = plain(arg)?;
    if let Some(data_type) = named_type(&name) {
        return Some(cast(arg.clone(), data_type));
    }
    if name == "age" {
        return Some(call("age", vec![call("current_date", vec![]), arg.clone()]));
    }
    Some(cast(call(&name, vec![]), digits(number(arg)?)?))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: ast::CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// The type that a function is named after: `date(x)` is a cast.
fn named_type(name: &str) -> Option<DataType> {
    Some(match name {
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        "time" => DataType::Time(None, TimezoneInfo::None),
        "interval" => DataType::Interval { fields: None, precision: None },
        _ => return None,
    })
}

/// A number as written, below the cast that the pass has put on it.
fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Cast { expr, .. } => number(expr),
        Expr::Value(v) => match &v.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// An argument's name, if it has one, and its value: `a => 1`, or `a := 1`, which is an operator to the parser.
fn given(arg: &FunctionArg) -> Option<(Option<&ast::Ident>, &Expr)> {
    match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(expr), .. } => {
            Some((Some(name), expr))
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op: BinaryOperator::Assignment, right })) => {
            match left.as_ref() {
                Expr::Identifier(name) => Some((Some(name), right)),
                _ => None,
            }
        }
        other => plain(other).map(|expr| (None, expr)),
    }
}

/// Puts named arguments where they belong, with 0 for what lies between.
fn by_position(args: &mut Vec<FunctionArg>, names: &[&str]) {
    if !args.iter().any(|a| given(a).is_some_and(|(name, _)| name.is_some())) {
        return;
    }
    let zero = || super::literals::integer(Expr::value(Value::Number("0".to_string(), false)));
    let mut placed: Vec<Expr> = Vec::new();
    for arg in args.iter() {
        match given(arg) {
            Some((None, expr)) => placed.push(expr.clone()),
            Some((Some(name), expr)) => {
                let Some(at) = names.iter().position(|n| *n == crate::plan::fold(name)) else { return };
                while placed.len() <= at {
                    placed.push(zero());
                }
                placed[at] = expr.clone();
            }
            None => return,
        }
    }
    *args = placed.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
}

/// `(a, b) OVERLAPS (c, d)`.
pub(super) fn overlaps(left: &Expr, right: &Expr) -> Option<Expr> {
    let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else { return None };
    let pairs = left.len() == 2 && right.len() == 2;
    pairs.then(|| call("overlaps", left.iter().chain(right).cloned().collect()))
}
