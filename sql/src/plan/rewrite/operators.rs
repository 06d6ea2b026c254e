//! Operators that are functions, or other operators, to DataFusion.

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, Value};

use super::calls::call;
use super::literals::{integer, long_number};

/// The sign of what is no literal is a function of ours, which knows numerics; that of a long number is part of it.
fn negative(inner: &Expr) -> Option<Expr> {
    let mut bare = inner;
    while let Expr::Nested(nested) = bare {
        bare = nested;
    }
    match bare {
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            Expr::Value(value) => {
                if matches!(data_type, ast::DataType::Integer(None)) {
                    return None;
                }
                let Value::SingleQuotedString(digits) = &value.value else {
                    return Some(call("pg_uminus", vec![inner.clone()]));
                };
                let number = matches!(data_type, ast::DataType::Numeric(ast::ExactNumberInfo::None));
                if format!("-{digits}").parse::<i64>().is_ok() && number {
                    return Some(smallest(digits));
                }
                if !number || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                    return Some(call("pg_uminus", vec![inner.clone()]));
                }
                Some(long_number(&format!("-{digits}")))
            }
            _ => Some(call("pg_uminus", vec![inner.clone()])),
        },
        // The smallest integer is written with a sign.
        Expr::Value(value) if let Value::Number(digits, _) = &value.value => {
            let signed = format!("-{digits}");
            signed.parse::<i32>().ok().map(|_| integer(Expr::value(Value::Number(signed, false))))
        }
        Expr::Value(_) | Expr::Interval(_) | Expr::UnaryOp { .. } => None,
        _ => Some(call("pg_uminus", vec![inner.clone()])),
    }
}

/// The smallest `bigint`, whose digits alone are none.
fn smallest(digits: &str) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(format!("-{digits}")))),
        data_type: ast::DataType::BigInt(None),
        array: false,
        format: None,
    }
}

fn double(expr: &Expr) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(expr.clone()),
        data_type: ast::DataType::DoublePrecision,
        array: false,
        format: None,
    }
}

/// `@ x`, `|/ x`, `||/ x` and `~ x` are functions to DataFusion.
pub(super) fn unary(op: ast::UnaryOperator, inner: &Expr) -> Option<Expr> {
    use ast::UnaryOperator as U;
    Some(match op {
        U::Minus => return negative(inner),
        U::PGAbs => call("abs", vec![inner.clone()]),
        // These two are of doubles only.
        U::PGSquareRoot => call("sqrt", vec![double(inner)]),
        U::PGCubeRoot => call("cbrt", vec![double(inner)]),
        U::BitwiseNot => Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(inner.clone()),
            op: BinaryOperator::PGBitwiseXor,
            right: Box::new(integer(Expr::value(Value::Number("-1".to_string(), false)))),
        })),
        _ => return None,
    })
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: ast::UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// Operators that are functions to DataFusion.
pub(super) fn operator_call(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op, right } = expr else { return None };
    let name = match op {
        BinaryOperator::PGStartsWith => "starts_with",
        _ => return None,
    };
    Some(call(name, vec![(**left).clone(), (**right).clone()]))
}

/// `a ~ b` is a function of ours, which knows PostgreSQL's expressions.
pub(super) fn regex_match(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op, right } = expr else { return None };
    let (negated, insensitive) = match op {
        BinaryOperator::PGRegexMatch => (false, false),
        BinaryOperator::PGRegexIMatch => (false, true),
        BinaryOperator::PGRegexNotMatch => (true, false),
        BinaryOperator::PGRegexNotIMatch => (true, true),
        _ => return None,
    };
    let mut arguments = vec![(**left).clone(), (**right).clone()];
    if insensitive {
        arguments.push(Expr::value(Value::SingleQuotedString("i".to_string())));
    }
    let found = call("regexp_like", arguments);
    Some(if negated { not(found) } else { found })
}

/// `x LIKE p ESCAPE '$'::bytea` casts the escape character, where sqlparser casts the whole.
pub(super) fn escape_cast(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Cast { expr: inner, data_type: ast::DataType::Bytea, .. } => match inner.as_ref() {
            like @ Expr::Like { escape_char: Some(_), .. } => Some(like.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// `s LIKE ALL (a)`, where sqlparser sees a function `all`.
pub(super) fn like_all(expr: &Expr) -> Option<Expr> {
    let (operator, text, pattern) = match expr {
        Expr::Like { negated: false, expr, pattern, .. } => ("~~", expr, pattern),
        Expr::Like { expr, pattern, .. } => ("!~~", expr, pattern),
        Expr::ILike { negated: false, expr, pattern, .. } => ("~~*", expr, pattern),
        Expr::ILike { expr, pattern, .. } => ("!~~*", expr, pattern),
        _ => return None,
    };
    let Expr::Function(f) = pattern.as_ref() else { return None };
    let ast::FunctionArguments::List(list) = &f.args else { return None };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(array))] = list.args.as_slice() else { return None };
    if !f.name.to_string().eq_ignore_ascii_case("all") {
        return None;
    }
    let name = sightline_functions::array::any_all::over_array(operator, false)?;
    Some(call(&name, vec![(**text).clone(), array.clone()]))
}

/// `s LIKE ANY (ARRAY[a, b])` is `s LIKE a OR s LIKE b`.
pub(super) fn like_any(expr: &Expr) -> Option<Expr> {
    let one = |pattern: &Expr| match expr {
        Expr::Like { negated, expr, any: true, .. } => Some(Expr::Like {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern: Box::new(pattern.clone()),
            escape_char: None,
        }),
        Expr::ILike { negated, expr, any: true, .. } => Some(Expr::ILike {
            negated: *negated,
            any: false,
            expr: expr.clone(),
            pattern: Box::new(pattern.clone()),
            escape_char: None,
        }),
        _ => None,
    };
    let (Expr::Like { pattern, .. } | Expr::ILike { pattern, .. }) = expr else { return None };
    let mut list = pattern.as_ref();
    while let Expr::Nested(inner) = list {
        list = inner;
    }
    let Expr::Array(array) = list else {
        let operator = match expr {
            Expr::Like { negated: false, .. } => "~~",
            Expr::Like { .. } => "!~~",
            Expr::ILike { negated: false, .. } => "~~*",
            _ => "!~~*",
        };
        let (Expr::Like { any: true, expr: text, .. } | Expr::ILike { any: true, expr: text, .. }) = expr else {
            return None;
        };
        let name = sightline_functions::array::any_all::over_array(operator, true)?;
        return Some(call(&name, vec![(**text).clone(), list.clone()]));
    };
    let ones = array.elem.iter().filter_map(one).collect::<Vec<_>>();
    let some = !ones.is_empty();
    some.then(|| Expr::Nested(Box::new(crate::parser::bush(ones, &BinaryOperator::Or))))
}

/// `OPERATOR(pg_catalog.~)` is `~`.
pub(super) fn operator(name: &[String]) -> Option<BinaryOperator> {
    Some(match name.last()?.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

/// A sign binds tighter than a power: `-2 ^ 2` is `(-2) ^ 2`, where sqlparser reads `-(2 ^ 2)`.
pub(super) fn power_of_negative(expr: &mut Expr) {
    let Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr: inner } = expr else { return };
    let is_power = |e: &Expr| matches!(e, Expr::BinaryOp { op: BinaryOperator::PGExp, .. });
    if !is_power(inner) {
        return;
    }
    let mut power = std::mem::replace(inner.as_mut(), Expr::value(Value::Null));
    let mut base = &mut power;
    while let Expr::BinaryOp { left, op: BinaryOperator::PGExp, .. } = base {
        base = left;
    }
    let signed = Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr: Box::new(base.clone()) };
    *base = Expr::Nested(Box::new(signed));
    *expr = power;
}
