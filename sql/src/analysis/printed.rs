//! Expressions over a table's columns as PostgreSQL prints them: every cast that goes by itself is written out, and brackets
//! stand around each operator, or with `pretty` only where they are needed
//! (<https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-INFO-CATALOG>).
//!
//! What is not known here (types of users, calls with a syntax of their own) makes the whole unknown: it is shown as written.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, UnaryOperator,
    Value as Literal,
};
use sightline_functions::text::quote::quote_ident;
use sightline_storage::types::SqlType;

use super::overload::{Found, choose, choose_operator};
use super::types::{
    BIGINT, BOOL, Context, INTEGER, NUMERIC, OPEN, TEXT, Ty, UNKNOWN, array_of, can_cast, of_sql, shown,
};
use crate::plan::{fold, sql_type};

/// `varchar`: its values go for text without a function.
const VARCHAR: Ty = 1043;

/// An expression whose types are known.
#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    ty: Ty,
}

#[derive(Clone, Debug)]
enum Kind {
    /// A column, or a call: never in brackets.
    Plain(String),
    Null,
    /// A constant's text without its type, and whether that goes without saying.
    Const(String, bool),
    Call(String, Vec<Node>),
    /// A cast, and whether it goes by itself.
    Cast(Box<Node>, String, bool),
    Operator(Option<Box<Node>>, String, Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// `IS NULL`, `IS TRUE` and their kin.
    Test(Box<Node>, &'static str),
    /// `= ANY (…)`.
    Any(Box<Node>, String, Box<Node>),
    Array(Vec<Node>),
    Case(Vec<(Node, Node)>, Option<Box<Node>>),
}

/// The expression as PostgreSQL prints it; none if something in it is not known here.
pub(crate) fn printed(expr: &Expr, columns: &[(String, SqlType)], pretty: bool) -> Option<String> {
    let node = Reader { columns }.read(expr)?;
    let node = if node.ty == UNKNOWN { given(node, TEXT)? } else { node };
    Some(Printer { pretty }.node(&node, true))
}

/// Whether it is printed as a call, which needs no brackets in an index's definition.
pub(crate) fn is_call(expr: &Expr, columns: &[(String, SqlType)]) -> Option<bool> {
    let node = Reader { columns }.read(expr)?;
    Some(matches!(node.kind, Kind::Call(..)))
}

struct Reader<'a> {
    columns: &'a [(String, SqlType)],
}

fn node(kind: Kind, ty: Ty) -> Option<Node> {
    Some(Node { kind, ty })
}

/// The node as a value of this type: a literal takes it, anything else is cast by itself.
fn given(from: Node, to: Ty) -> Option<Node> {
    if from.ty == to {
        return Some(from);
    }
    if from.ty == UNKNOWN {
        return match from.kind {
            Kind::Const(text, _) => node(Kind::Const(text, false), to),
            Kind::Null => node(Kind::Plain(format!("NULL::{}", shown(to))), to),
            _ => None,
        };
    }
    if !can_cast(from.ty, to, Context::Implicit) {
        return None;
    }
    node(Kind::Cast(Box::new(from), shown(to), true), to)
}

impl Reader<'_> {
    fn read(&self, expr: &Expr) -> Option<Node> {
        match expr {
            Expr::Nested(inner) => self.read(inner),
            Expr::Identifier(ident) => self.column(ident),
            Expr::CompoundIdentifier(parts) => self.column(parts.last()?),
            Expr::Value(value) => literal(&value.value),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => node(Kind::Not(Box::new(self.boolean(expr)?)), BOOL),
            Expr::UnaryOp { op, expr } => {
                let right = self.read(expr)?;
                let symbol = op.to_string();
                // A sign before a number is part of it.
                if let (UnaryOperator::Minus, Kind::Const(text, _)) = (op, &right.kind)
                    && matches!(right.ty, INTEGER | BIGINT | NUMERIC)
                {
                    return node(Kind::Const(format!("-{text}"), false), right.ty);
                }
                let Found::One((types, ty)) = choose_operator(&symbol, None, right.ty) else { return None };
                let right = given(right, *types.first()?)?;
                node(Kind::Operator(None, symbol, Box::new(right)), ty)
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                let mut all = Vec::new();
                self.flat(left, &BinaryOperator::And, &mut all)?;
                all.push(self.boolean(right)?);
                node(Kind::And(all), BOOL)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                let mut all = Vec::new();
                self.flat(left, &BinaryOperator::Or, &mut all)?;
                all.push(self.boolean(right)?);
                node(Kind::Or(all), BOOL)
            }
            Expr::BinaryOp { left, op, right } => self.operator(left, &op.to_string(), right),
            Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
                self.operator(expr, if *negated { "!~~" } else { "~~" }, pattern)
            }
            Expr::ILike { negated, expr, pattern, escape_char: None, any: false } => {
                self.operator(expr, if *negated { "!~~*" } else { "~~*" }, pattern)
            }
            Expr::IsNull(expr) => self.test(expr, "IS NULL"),
            Expr::IsNotNull(expr) => self.test(expr, "IS NOT NULL"),
            Expr::IsTrue(expr) => self.test(expr, "IS TRUE"),
            Expr::IsNotTrue(expr) => self.test(expr, "IS NOT TRUE"),
            Expr::IsFalse(expr) => self.test(expr, "IS FALSE"),
            Expr::IsNotFalse(expr) => self.test(expr, "IS NOT FALSE"),
            Expr::Between { expr, negated, low, high } => {
                let (low_op, high_op) = if *negated { ("<", ">") } else { (">=", "<=") };
                let both = vec![self.operator(expr, low_op, low)?, self.operator(expr, high_op, high)?];
                node(if *negated { Kind::Or(both) } else { Kind::And(both) }, BOOL)
            }
            Expr::InList { expr, list, negated } => self.list(expr, list, *negated),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
                let ty = sql_type(data_type).ok()?;
                self.cast(self.read(expr)?, &ty)
            }
            Expr::Function(call) => self.call(call),
            Expr::Substring { expr, substring_from, substring_for, shorthand: true, .. } => {
                let rest = [substring_from, substring_for].into_iter().flatten().map(|e| self.read(e));
                let args = std::iter::once(self.read(expr)).chain(rest).collect::<Option<Vec<_>>>()?;
                called("substr", args)
            }
            Expr::Case { operand: None, conditions, else_result, .. } => {
                let whens =
                    conditions.iter().map(|when| Some((self.boolean(&when.condition)?, self.read(&when.result)?)));
                let whens = whens.collect::<Option<Vec<_>>>()?;
                let other = else_result.as_ref().map(|e| self.read(e));
                let other = match other {
                    Some(other) => Some(Box::new(other?)),
                    None => None,
                };
                let ty = whens.first()?.1.ty;
                let same = whens.iter().all(|(_, then)| then.ty == ty) && other.as_ref().is_none_or(|o| o.ty == ty);
                if same && ty != UNKNOWN { node(Kind::Case(whens, other), ty) } else { None }
            }
            _ => None,
        }
    }

    fn column(&self, ident: &Ident) -> Option<Node> {
        let name = fold(ident);
        let (_, ty) = self.columns.iter().find(|(column, _)| *column == name)?;
        let ty = of_sql(ty);
        if ty == OPEN { None } else { node(Kind::Plain(quote_ident(&name).into_owned()), ty) }
    }

    fn boolean(&self, expr: &Expr) -> Option<Node> {
        let read = self.read(expr)?;
        given(read, BOOL)
    }

    /// The items of `a AND b AND c`: brackets in front do not count.
    fn flat(&self, expr: &Expr, wanted: &BinaryOperator, into: &mut Vec<Node>) -> Option<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if op == wanted => {
                self.flat(left, wanted, into)?;
                into.push(self.boolean(right)?);
            }
            Expr::Nested(inner) if matches!(inner.as_ref(), Expr::BinaryOp { op, .. } if op == wanted) => {
                self.flat(inner, wanted, into)?;
            }
            other => into.push(self.boolean(other)?),
        }
        Some(())
    }

    fn operator(&self, left: &Expr, symbol: &str, right: &Expr) -> Option<Node> {
        let symbol = if symbol == "!=" { "<>" } else { symbol };
        let (left, right) = (self.read(left)?, self.read(right)?);
        let Found::One((types, ty)) = choose_operator(symbol, Some(left.ty), right.ty) else { return None };
        let [l, r] = types[..] else { return None };
        if [l, r, ty].contains(&OPEN) {
            return None;
        }
        let (left, right) = (given(left, l)?, given(right, r)?);
        node(Kind::Operator(Some(Box::new(left)), symbol.to_string(), Box::new(right)), ty)
    }

    fn test(&self, expr: &Expr, words: &'static str) -> Option<Node> {
        node(Kind::Test(Box::new(self.read(expr)?), words), BOOL)
    }

    /// `a IN (1, 2)` is `a = ANY (ARRAY[1, 2])`.
    fn list(&self, expr: &Expr, list: &[Expr], negated: bool) -> Option<Node> {
        let symbol = if negated { "<>" } else { "=" };
        if let [one] = list {
            return self.operator(expr, symbol, one);
        }
        let left = self.read(expr)?;
        let items = list.iter().map(|e| self.read(e)).collect::<Option<Vec<_>>>()?;
        let common = std::iter::once(left.ty).chain(items.iter().map(|i| i.ty)).find(|ty| *ty != UNKNOWN)?;
        if items.iter().any(|i| i.ty != UNKNOWN && i.ty != common) {
            return None;
        }
        let items = items.into_iter().map(|i| given(i, common)).collect::<Option<Vec<_>>>()?;
        let Found::One((types, _)) = choose_operator(symbol, Some(left.ty), common) else { return None };
        let [l, r] = types[..] else { return None };
        let array = node(Kind::Array(items), array_of(common)?)?;
        let array = if r == common {
            array
        } else {
            let to = array_of(r)?;
            Node { kind: Kind::Cast(Box::new(array), shown(to), true), ty: to }
        };
        let kind = if negated { "<> ALL" } else { "= ANY" };
        node(Kind::Any(Box::new(given(left, l)?), kind.to_string(), Box::new(array)), BOOL)
    }

    fn cast(&self, from: Node, to: &SqlType) -> Option<Node> {
        let ty = of_sql(to);
        if ty == OPEN {
            return None;
        }
        if from.ty == UNKNOWN && to.typmod() == -1 {
            return given(from, ty);
        }
        let from = if from.ty == UNKNOWN { given(from, ty)? } else { from };
        if from.ty == ty && to.typmod() == -1 {
            return Some(from);
        }
        node(Kind::Cast(Box::new(from), to.to_string(), false), ty)
    }

    fn call(&self, call: &Function) -> Option<Node> {
        let [name] = call.name.0.as_slice() else { return None };
        let name = fold(name.as_ident()?);
        let FunctionArguments::List(list) = &call.args else { return None };
        if call.over.is_some()
            || call.filter.is_some()
            || list.duplicate_treatment.is_some()
            || !list.clauses.is_empty()
        {
            return None;
        }
        let args = list.args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => self.read(e),
            _ => None,
        });
        let args = args.collect::<Option<Vec<_>>>()?;
        if matches!(name.as_str(), "coalesce" | "greatest" | "least") {
            let ty = args.iter().map(|a| a.ty).find(|t| *t != UNKNOWN)?;
            let args = args.into_iter().map(|a| given(a, ty)).collect::<Option<Vec<_>>>()?;
            return node(Kind::Call(name.to_uppercase(), args), ty);
        }
        called(&name, args)
    }
}

/// A call of the function that these arguments mean.
fn called(name: &str, args: Vec<Node>) -> Option<Node> {
    let types = args.iter().map(|a| a.ty).collect::<Vec<_>>();
    let Found::One(chosen) = choose(name, &types) else { return None };
    if chosen.result == OPEN || chosen.arguments.contains(&OPEN) {
        return None;
    }
    let args = args.into_iter().zip(&chosen.arguments).map(|(a, ty)| given(a, *ty)).collect::<Option<Vec<_>>>()?;
    node(Kind::Call(quote_ident(name).into_owned(), args), chosen.result)
}

/// A constant: numbers of the smallest type that holds them, strings of none yet.
fn literal(value: &Literal) -> Option<Node> {
    match value {
        Literal::Number(digits, _) => {
            if digits.parse::<i32>().is_ok() {
                node(Kind::Const(digits.clone(), true), INTEGER)
            } else if digits.parse::<i64>().is_ok() {
                node(Kind::Const(digits.clone(), false), BIGINT)
            } else {
                let plain = digits.contains('.') && !digits.contains(['e', 'E']);
                if plain { node(Kind::Const(digits.clone(), true), NUMERIC) } else { None }
            }
        }
        Literal::SingleQuotedString(text) => node(Kind::Const(text.clone(), false), UNKNOWN),
        Literal::Null => node(Kind::Null, UNKNOWN),
        Literal::Boolean(yes) => node(Kind::Const(yes.to_string(), true), BOOL),
        _ => None,
    }
}

struct Printer {
    pretty: bool,
}

/// What an expression stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around<'a> {
    Operator(&'a str, bool),
    And,
    Or,
    Not,
    Test,
    Cast,
}

impl Printer {
    /// `top`: casts that go by themselves are not shown.
    fn node(&self, node: &Node, top: bool) -> String {
        let brackets = |text: String| if self.pretty { text } else { format!("({text})") };
        match &node.kind {
            Kind::Plain(text) => text.clone(),
            Kind::Null => "NULL".to_string(),
            Kind::Const(text, true) => text.clone(),
            Kind::Const(text, false) => format!("'{}'::{}", text.replace('\'', "''"), shown(node.ty)),
            Kind::Call(name, args) => {
                format!("{name}({})", args.iter().map(|a| self.node(a, false)).collect::<Vec<_>>().join(", "))
            }
            Kind::Cast(inner, _, true) if top => self.node(inner, top),
            Kind::Cast(inner, to, _) => match (&inner.kind, self.pretty) {
                (_, true) => format!("{}::{to}", self.inside(inner, Around::Cast)),
                (_, false) => format!("({})::{to}", self.node(inner, false)),
            },
            Kind::Operator(None, symbol, right) => {
                brackets(format!("{symbol} {}", self.inside(right, Around::Operator(symbol, false))))
            }
            Kind::Operator(Some(left), symbol, right) => {
                let left = self.inside(left, Around::Operator(symbol, true));
                brackets(format!("{left} {symbol} {}", self.inside(right, Around::Operator(symbol, false))))
            }
            Kind::And(all) => brackets(self.joined(all, " AND ", Around::And)),
            Kind::Or(all) => brackets(self.joined(all, " OR ", Around::Or)),
            Kind::Not(inner) => brackets(format!("NOT {}", self.inside(inner, Around::Not))),
            Kind::Test(inner, words) => brackets(format!("{} {words}", self.inside(inner, Around::Test))),
            Kind::Any(left, words, right) => {
                let left = self.inside(left, Around::Operator("=", true));
                brackets(format!("{left} {words} ({})", self.node(right, false)))
            }
            Kind::Array(items) => {
                format!("ARRAY[{}]", items.iter().map(|i| self.node(i, false)).collect::<Vec<_>>().join(", "))
            }
            Kind::Case(whens, other) => self.case(whens, other.as_deref()),
        }
    }

    fn case(&self, whens: &[(Node, Node)], other: Option<&Node>) -> String {
        let mut text = "\nCASE".to_string();
        for (when, then) in whens {
            text.push_str(&format!("\n    WHEN {} THEN {}", self.node(when, false), self.node(then, false)));
        }
        let other = other.map_or_else(|| format!("NULL::{}", shown(whens[0].1.ty)), |o| self.node(o, false));
        text.push_str(&format!("\n    ELSE {other}\nEND"));
        text
    }

    fn joined(&self, all: &[Node], word: &str, around: Around<'_>) -> String {
        all.iter().map(|n| self.inside(n, around)).collect::<Vec<_>>().join(word)
    }

    /// Without `pretty` each operator has brackets of its own.
    fn inside(&self, node: &Node, around: Around<'_>) -> String {
        let text = self.node(node, false);
        if self.pretty && !is_simple(node, around) { format!("({text})") } else { text }
    }
}

/// Whether it can stand there without brackets.
fn is_simple(node: &Node, around: Around<'_>) -> bool {
    match &node.kind {
        Kind::Plain(_) | Kind::Null | Kind::Const(..) | Kind::Call(..) | Kind::Array(_) | Kind::Case(..) => true,
        // A cast by a function counts as its call, any other as what is cast.
        Kind::Cast(inner, ..) => !relabels(inner.ty, node.ty) || is_simple(inner, Around::Cast),
        Kind::Operator(_, symbol, _) => match around {
            Around::And | Around::Or | Around::Not => true,
            Around::Operator(outer, left) => binds(symbol, outer, left),
            Around::Test | Around::Cast => false,
        },
        Kind::And(_) => matches!(around, Around::And | Around::Or),
        Kind::Or(_) => around == Around::Or,
        Kind::Not(_) => matches!(around, Around::And | Around::Or),
        Kind::Test(..) => matches!(around, Around::And | Around::Or | Around::Not),
        Kind::Any(..) => false,
    }
}

fn relabels(from: Ty, to: Ty) -> bool {
    matches!((from, to), (VARCHAR, TEXT) | (TEXT, VARCHAR))
}

/// PostgreSQL leaves out brackets between arithmetic only.
fn binds(inner: &str, outer: &str, left: bool) -> bool {
    let level = |symbol: &str| match symbol {
        "+" | "-" => Some(1),
        "*" | "/" | "%" => Some(2),
        _ => None,
    };
    match (level(inner), level(outer)) {
        (Some(inner), Some(outer)) => inner > outer || (inner == outer && left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{SqlType, printed};

    #[test]
    fn expressions_are_printed_as_postgresql_does() {
        let columns = [
            ("a", SqlType::Integer),
            ("b", SqlType::BigInt),
            ("n", SqlType::Numeric(Some((12, 2)))),
            ("t", SqlType::Text),
            ("v", SqlType::Varchar(Some(10))),
            ("d", SqlType::Date),
            ("f", SqlType::Double),
            ("ok", SqlType::Boolean),
        ];
        let columns = columns.map(|(name, ty)| (name.to_string(), ty));
        let cases = [
            ("a > 0", "(a > 0)", "a > 0"),
            ("n >= 0", "(n >= (0)::numeric)", "n >= 0::numeric"),
            ("n > 0.5", "(n > 0.5)", "n > 0.5"),
            ("v = 'x'", "((v)::text = 'x'::text)", "v::text = 'x'::text"),
            ("lower(v)", "lower((v)::text)", "lower(v::text)"),
            ("t <> ''", "(t <> ''::text)", "t <> ''::text"),
            ("a > 0 and b < 5 and ok", "((a > 0) AND (b < 5) AND ok)", "a > 0 AND b < 5 AND ok"),
            ("a > 0 or (b < 5 and ok)", "((a > 0) OR ((b < 5) AND ok))", "a > 0 OR b < 5 AND ok"),
            ("(a > 0 or ok) and b < 5", "(((a > 0) OR ok) AND (b < 5))", "(a > 0 OR ok) AND b < 5"),
            ("a in (1, 2)", "(a = ANY (ARRAY[1, 2]))", "a = ANY (ARRAY[1, 2])"),
            ("t in ('x', 'y')", "(t = ANY (ARRAY['x'::text, 'y'::text]))", "t = ANY (ARRAY['x'::text, 'y'::text])"),
            ("t like 'x%'", "(t ~~ 'x%'::text)", "t ~~ 'x%'::text"),
            ("a between 1 and 2", "((a >= 1) AND (a <= 2))", "a >= 1 AND a <= 2"),
            ("a is null", "(a IS NULL)", "a IS NULL"),
            ("not ok", "(NOT ok)", "NOT ok"),
            ("(a + 1) * 2", "((a + 1) * 2)", "(a + 1) * 2"),
            ("a + 1 * 2", "(a + (1 * 2))", "a + 1 * 2"),
            ("a::text", "(a)::text", "a::text"),
            ("d > '2024-01-01'", "(d > '2024-01-01'::date)", "d > '2024-01-01'::date"),
            ("a > -1", "(a > '-1'::integer)", "a > '-1'::integer"),
            ("coalesce(a, 0)", "COALESCE(a, 0)", "COALESCE(a, 0)"),
            ("f > 1", "(f > (1)::double precision)", "f > 1::double precision"),
            ("t || 'x'", "(t || 'x'::text)", "t || 'x'::text"),
        ];
        for (written, plain, pretty) in cases {
            let expr = crate::parser::parse_expr(written).unwrap();
            assert_eq!(printed(&expr, &columns, false).as_deref(), Some(plain), "{written}");
            assert_eq!(printed(&expr, &columns, true).as_deref(), Some(pretty), "{written}");
        }
    }
}
