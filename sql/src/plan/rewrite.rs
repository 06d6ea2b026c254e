//! What PostgreSQL means, said so that DataFusion's planner understands: a pass over the parsed query before planning.
//!
//! It names columns as PostgreSQL does, makes small integers `integer`, takes `pg_catalog.` off functions and operators,
//! turns casts to `reg*` types into functions, and finds the types of parameters that a cast or a LIMIT tells.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableFactor, Value, VisitMut, VisitorMut, WindowFrameBound, WindowType,
};
use sightline_storage::types::{RegKind, SqlType};

use super::columns::{column_name, hide};
use super::names::fold;

/// Functions that return sets: in a select list they become `unnest(…)` of DataFusion's list-returning ones.
const SET_RETURNING: [&str; 5] =
    ["generate_series", "generate_subscripts", "regexp_matches", "regexp_split_to_table", "string_to_table"];

/// What the pass learned beside the rewritten query.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Types of parameters that the text itself tells, by number from 1.
    pub parameters: BTreeMap<usize, SqlType>,
    /// The greatest parameter number.
    pub count: usize,
    /// What DataFusion would plan and answer wrongly.
    pub refused: Option<&'static str>,
}

/// Rewrites a query in place.
pub(super) fn rewrite(query: &mut Query) -> Learned {
    name_columns(query, true);
    let mut pass = Pass::default();
    let _: ControlFlow<()> = query.visit(&mut pass);
    pass.learned
}

/// Rewrites one expression in place.
pub(super) fn rewrite_expr(expr: &mut Expr) -> Learned {
    let mut pass = Pass::default();
    let _: ControlFlow<()> = expr.visit(&mut pass);
    pass.learned
}

#[derive(Default)]
struct Pass {
    learned: Learned,
}

impl Pass {
    /// DataFusion drops all equal rows where the standard counts them.
    fn refuse_multisets(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { op, set_quantifier, left, right } = body {
            let counted = !matches!(op, ast::SetOperator::Union) && *set_quantifier == ast::SetQuantifier::All;
            if counted {
                self.learned.refused = Some("EXCEPT ALL and INTERSECT ALL are not supported");
            }
            self.refuse_multisets(left);
            self.refuse_multisets(right);
        }
    }

    fn parameter(&mut self, expr: &Expr, ty: Option<SqlType>) {
        if let Expr::Value(v) = expr
            && let Value::Placeholder(name) = &v.value
            && let Ok(n) = name.trim_start_matches('$').parse::<usize>()
        {
            self.learned.count = self.learned.count.max(n);
            if let Some(ty) = ty {
                self.learned.parameters.entry(n).or_insert(ty);
            }
        }
    }
}

impl VisitorMut for Pass {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.parameter(expr, None);
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && let Ok(ty) = super::types::sql_type(data_type)
        {
            self.parameter(inner, Some(ty));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Value(v) => {
                if let Value::Number(digits, _) = &v.value
                    && digits.parse::<i32>().is_ok()
                {
                    *expr = integer(expr.clone());
                }
            }
            Expr::Collate { expr: inner, .. } => *expr = (**inner).clone(),
            Expr::Function(f) => {
                function(f);
                if let Some(rewritten) = array_subquery(f) {
                    *expr = rewritten;
                }
            }
            Expr::UnaryOp { op, expr: inner } => {
                if let Some(rewritten) = unary(*op, inner) {
                    *expr = rewritten;
                }
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                let mut arguments = vec![(**text).clone()];
                match (substring_from, substring_for) {
                    (None, None) => {}
                    (Some(from), None) => arguments.push((**from).clone()),
                    (from, Some(length)) => {
                        let first = || integer(Expr::value(Value::Number("1".to_string(), false)));
                        arguments.push(from.as_ref().map_or_else(first, |f| (**f).clone()));
                        arguments.push((**length).clone());
                    }
                }
                *expr = call("substring", arguments);
            }
            Expr::Extract { field, expr: time, .. } => {
                let field = field.to_string().trim_matches(['\'', '"']).to_lowercase();
                let field = Expr::value(Value::SingleQuotedString(field));
                *expr = call("date_part", vec![field, (**time).clone()]);
            }
            Expr::SimilarTo { negated, expr: text, pattern, escape_char } => {
                let mut arguments = vec![(**pattern).clone()];
                arguments.extend(escape_char.clone().map(Expr::Value));
                let pattern = call("similar_to_escape", arguments);
                let found = call("regexp_like", vec![(**text).clone(), pattern]);
                *expr = if *negated { not(found) } else { found };
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escape_char.take() {
                    **pattern = call("like_escape", vec![(**pattern).clone(), Expr::Value(escape)]);
                }
                if let Some(rewritten) = like_any(expr) {
                    *expr = rewritten;
                }
            }
            Expr::Cast { .. } => {
                exact_float(expr);
                reg_cast(expr);
            }
            Expr::Interval(interval) => {
                if let Some(cast) = interval_cast(interval) {
                    *expr = cast;
                }
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                *expr = call("timezone", vec![(**time_zone).clone(), (**timestamp).clone()]);
            }
            Expr::AnyOp { left, compare_op, right, .. } if *compare_op == BinaryOperator::Eq => {
                if let Expr::Subquery(subquery) = right.as_ref() {
                    *expr = in_subquery(left, subquery, false);
                }
            }
            Expr::AllOp { left, compare_op, right } if *compare_op == BinaryOperator::NotEq => {
                if let Expr::Subquery(subquery) = right.as_ref() {
                    *expr = in_subquery(left, subquery, true);
                }
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } if matches!(right.as_ref(), Expr::Subquery(_)) => {
                self.learned.refused =
                    Some("comparing with ANY or ALL of a subquery by this operator is not supported");
            }
            Expr::BinaryOp { op, .. } | Expr::AnyOp { compare_op: op, .. } | Expr::AllOp { compare_op: op, .. } => {
                if let BinaryOperator::PGCustomBinaryOperator(name) = op
                    && let Some(known) = operator(name)
                {
                    *op = known;
                }
                if let Some(rewritten) = regex_match(expr).or_else(|| operator_call(expr)) {
                    *expr = rewritten;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        fetch_as_limit(query);
        self.refuse_multisets(&query.body);
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            for bound in limit.iter().chain(offset.iter().map(|o| &o.value)) {
                self.parameter(bound, Some(SqlType::BigInt));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        bare_positions(query);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let merged = |j: &ast::Join| {
            matches!(
                j.join_operator,
                ast::JoinOperator::FullOuter(ast::JoinConstraint::Using(_) | ast::JoinConstraint::Natural)
            )
        };
        if select.from.iter().any(|t| t.joins.iter().any(merged)) {
            self.learned.refused = Some("FULL JOIN with USING is not supported: write ON and coalesce");
        }
        table_oids(select);
        if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
            exprs.iter_mut().for_each(bare);
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                set_returning(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        unnest_factor(factor);
        if let TableFactor::Table { name, alias, args: Some(args), .. } = factor {
            for arg in &mut args.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = arg {
                    bare(e);
                }
            }
            name_table_function(name, alias);
        }
        integer_series(factor);
        ControlFlow::Continue(())
    }
}

fn table_alias(name: &str) -> ast::TableAlias {
    ast::TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: vec![], at: None }
}

/// Whether the expression is a whole number as written.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, data_type: DataType::Integer(None), .. } | Expr::UnaryOp { expr, .. } => is_number(expr),
        Expr::Value(v) => matches!(v.value, Value::Number(_, _)),
        _ => false,
    }
}

/// `pg_catalog.unnest(a) x` is `UNNEST(a) AS x(x)`.
fn unnest_factor(factor: &mut TableFactor) {
    if let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor {
        strip_schema(name);
        let exprs = args.args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
            _ => None,
        });
        let function = name.to_string().to_lowercase();
        let exprs = exprs.collect::<Option<Vec<_>>>();
        // Only a series of plain numbers is a relation of its own; any other is the list that the function answers.
        let series = SET_RETURNING.contains(&function.as_str())
            && exprs.as_ref().is_some_and(|e| function != "generate_series" || !e.iter().all(is_number));
        let exprs = match exprs {
            Some(exprs) if series => {
                alias.get_or_insert_with(|| table_alias(&function));
                Some(vec![call(&function, exprs)])
            }
            Some(exprs) if function == "unnest" => Some(exprs),
            _ => None,
        };
        if let Some(array_exprs) = exprs {
            *factor = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
    }
    if let TableFactor::UNNEST { alias: Some(alias), array_exprs, with_ordinality: false, .. } = factor
        && array_exprs.len() == 1
        && alias.columns.is_empty()
    {
        alias.columns.push(ast::TableAliasColumnDef::from_name(fold(&alias.name)));
    }
}

/// `c.tableoid` of a relation of the system is its OID.
fn table_oids(select: &mut Select) {
    let mut known = HashMap::new();
    let factors =
        select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    for factor in factors {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { continue };
        let parts = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect::<Vec<_>>();
        let (schema, relation) = match parts.as_slice() {
            [relation] => ("pg_catalog", relation),
            [schema, relation] => (schema.as_str(), relation),
            _ => continue,
        };
        if let Some(oid) = crate::catalog::relation_oid(schema, relation) {
            known.insert(alias.as_ref().map_or_else(|| relation.clone(), |a| fold(&a.name)), oid);
        }
    }
    if known.is_empty() {
        return;
    }
    let _: ControlFlow<()> = ast::visit_expressions_mut(select, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, column] = parts.as_slice()
            && fold(column) == "tableoid"
            && let Some(oid) = known.get(&fold(table))
        {
            *expr = Expr::Cast {
                kind: ast::CastKind::Cast,
                expr: Box::new(Expr::value(Value::Number(oid.to_string(), false))),
                data_type: DataType::Custom(ObjectName(vec![ObjectNamePart::Identifier(Ident::new("oid"))]), vec![]),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    });
}

/// `generate_series(1, 3) AS g` has one column `g`, as has `generate_series(1, 3)` one `generate_series`.
fn name_table_function(name: &mut ObjectName, alias: &mut Option<ast::TableAlias>) {
    strip_schema(name);
    let Some(function) = name.0.last().and_then(|p| p.as_ident()).map(fold) else { return };
    if !SET_RETURNING.contains(&function.as_str()) {
        return;
    }
    let alias = alias.get_or_insert_with(|| table_alias(&function));
    if alias.columns.is_empty() {
        alias.columns.push(ast::TableAliasColumnDef::from_name(fold(&alias.name)));
    }
}

/// A series between whole numbers as written is one of `integer`, where DataFusion's is of `bigint`.
fn integer_series(factor: &mut TableFactor) {
    let TableFactor::Table { name, alias: Some(alias), args: Some(args), .. } = factor else { return };
    let small = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => is_number(e) && e.to_string().parse::<i32>().is_ok(),
        _ => false,
    };
    if name.to_string() != "generate_series" || !args.args.iter().all(small) {
        return;
    }
    let Some(column) = alias.columns.first().map(|c| c.name.clone()) else { return };
    let outer = alias.clone();
    let cast = Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::Identifier(column.clone())),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    };
    let Some(mut query) = series_query(factor.clone()) else { return };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = vec![SelectItem::ExprWithAlias { expr: cast, alias: column }];
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(outer), sample: None };
}

/// `SELECT * FROM` the factor.
fn series_query(factor: TableFactor) -> Option<Query> {
    let mut query = crate::parser::query("SELECT * FROM x").ok()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from.first_mut()?.relation = factor;
    }
    Some(query)
}

fn integer(literal: Expr) -> Expr {
    Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(literal),
        data_type: DataType::Integer(None),
        array: false,
        format: None,
    }
}

/// Takes back what [`integer`] did where the planner wants a bare literal.
fn bare(expr: &mut Expr) {
    if let Expr::Cast { expr: inner, data_type: DataType::Integer(None), .. } = expr
        && let Expr::Value(v) = inner.as_ref()
        && matches!(v.value, Value::Number(_, _))
    {
        *expr = (**inner).clone();
    }
    if let Expr::UnaryOp { expr: inner, .. } = expr {
        bare(inner);
    }
}

fn bare_positions(query: &mut Query) {
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(exprs) = &mut order_by.kind
    {
        exprs.iter_mut().for_each(|e| bare(&mut e.expr));
    }
    if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
        limit.iter_mut().for_each(bare);
        offset.iter_mut().for_each(|o| bare(&mut o.value));
    }
    if let Some(fetch) = &mut query.fetch {
        fetch.quantity.iter_mut().for_each(bare);
    }
}

/// `@ x`, `|/ x`, `||/ x` and `~ x` are functions to DataFusion.
fn unary(op: ast::UnaryOperator, inner: &Expr) -> Option<Expr> {
    use ast::UnaryOperator as U;
    Some(match op {
        U::PGAbs => call("abs", vec![inner.clone()]),
        U::PGSquareRoot => call("sqrt", vec![inner.clone()]),
        U::PGCubeRoot => call("cbrt", vec![inner.clone()]),
        U::BitwiseNot => Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(inner.clone()),
            op: BinaryOperator::PGBitwiseXor,
            right: Box::new(integer(Expr::value(Value::Number("-1".to_string(), false)))),
        })),
        _ => return None,
    })
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: ast::UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// Operators that are functions to DataFusion.
fn operator_call(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp { left, op, right } = expr else { return None };
    let name = match op {
        BinaryOperator::PGOverlap => "array_has_any",
        BinaryOperator::PGStartsWith => "starts_with",
        _ => return None,
    };
    Some(call(name, vec![(**left).clone(), (**right).clone()]))
}

/// `a ~ b` is a function of ours, which knows PostgreSQL's expressions.
fn regex_match(expr: &Expr) -> Option<Expr> {
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

/// `s LIKE ANY (ARRAY[a, b])` is `s LIKE a OR s LIKE b`.
fn like_any(expr: &Expr) -> Option<Expr> {
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
    let Expr::Array(array) = list else { return None };
    let either = array.elem.iter().filter_map(one).reduce(|a, b| Expr::BinaryOp {
        left: Box::new(a),
        op: BinaryOperator::Or,
        right: Box::new(b),
    });
    either.map(|e| Expr::Nested(Box::new(e)))
}

/// `OPERATOR(pg_catalog.~)` is `~`.
fn operator(name: &[String]) -> Option<BinaryOperator> {
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

fn strip_schema(name: &mut ObjectName) {
    let system = name.0.first().and_then(|p| p.as_ident()).is_some_and(|i| fold(i) == "pg_catalog");
    if name.0.len() == 2 && system {
        name.0.remove(0);
    }
}

fn function(f: &mut Function) {
    strip_schema(&mut f.name);
    // DataFusion's functions of these names change the first match only.
    let every = match f.name.to_string().to_lowercase().as_str() {
        "array_remove" => Some("array_remove_all"),
        "array_replace" => Some("array_replace_all"),
        _ => None,
    };
    if let Some(name) = every {
        f.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]);
    }
    if let Some(WindowType::WindowSpec(spec)) = &mut f.over
        && let Some(frame) = &mut spec.window_frame
    {
        bare_bound(&mut frame.start_bound);
        frame.end_bound.iter_mut().for_each(bare_bound);
    }
}

fn bare_bound(bound: &mut WindowFrameBound) {
    if let WindowFrameBound::Preceding(Some(e)) | WindowFrameBound::Following(Some(e)) = bound {
        bare(e);
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
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

/// The name of a `reg*` type's input function; its output function ends in `_out`.
pub(super) fn reg_type(kind: RegKind) -> &'static str {
    match kind {
        RegKind::Class => "regclass",
        RegKind::Type => "regtype",
        RegKind::Proc => "regproc",
        RegKind::Namespace => "regnamespace",
        RegKind::Role => "regrole",
    }
}

/// `x::regclass` is `regclass_in(x)`; a cast of that to text is `regclass_out(…)`.
fn reg_cast(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    let Ok(ty) = super::types::sql_type(data_type) else { return };
    match ty {
        SqlType::Reg(kind) => *expr = call(&format!("{}_in", reg_type(kind)), vec![(**inner).clone()]),
        SqlType::Text | SqlType::Varchar(_) | SqlType::Name => {
            let Expr::Function(f) = inner.as_ref() else { return };
            let Some(name) = f.name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone()) else { return };
            if let Some(reg) = name.strip_suffix("_in").filter(|n| n.starts_with("reg")) {
                *expr = call(&format!("{reg}_out"), vec![(**inner).clone()]);
            }
        }
        _ => {}
    }
}

/// `INTERVAL '1 day 02:03'` and `INTERVAL '3' DAY` read their text as PostgreSQL does, not as DataFusion.
fn interval_cast(interval: &ast::Interval) -> Option<Expr> {
    let Expr::Value(value) = interval.value.as_ref() else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let text = match (&interval.leading_field, &interval.last_field) {
        (None, None) => text.clone(),
        (Some(field), None) => format!("{text} {field}"),
        _ => return None,
    };
    let literal = ast::ValueWithSpan { value: Value::SingleQuotedString(text), span: value.span };
    Some(Expr::Cast {
        kind: ast::CastKind::Cast,
        expr: Box::new(Expr::Value(literal)),
        data_type: DataType::Interval { fields: None, precision: None },
        array: false,
        format: None,
    })
}

/// `FETCH FIRST n ROWS ONLY` is LIMIT n.
fn fetch_as_limit(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|f| !f.with_ties && !f.percent) else { return };
    let one = || Expr::Value(Value::Number("1".to_string(), false).with_empty_span());
    let rows = Some(fetch.quantity.unwrap_or_else(one));
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = rows,
        _ => query.limit_clause = Some(LimitClause::LimitOffset { limit: rows, offset: None, limit_by: vec![] }),
    }
}

/// `x = ANY (SELECT …)` is `x IN (SELECT …)`.
fn in_subquery(left: &Expr, subquery: &Query, negated: bool) -> Expr {
    Expr::InSubquery { expr: Box::new(left.clone()), subquery: Box::new(subquery.clone()), negated }
}

/// `1e100::float8` reads the digits as a float at once: by way of a decimal it would not be exact.
fn exact_float(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    if let Expr::Value(v) = inner.as_mut()
        && let Value::Number(digits, _) = &v.value
        && matches!(super::types::sql_type(data_type), Ok(SqlType::Real | SqlType::Double))
    {
        v.value = Value::SingleQuotedString(digits.clone());
    }
}

/// `SELECT generate_series(1, 3)` is three rows.
fn set_returning(expr: &mut Expr) {
    if let Expr::Function(f) = expr
        && f.over.is_none()
        && let Some(name) = f.name.0.last().and_then(|p| p.as_ident()).map(fold)
        && SET_RETURNING.contains(&name.as_str())
    {
        *expr = call("unnest", vec![expr.clone()]);
    }
}

/// `ARRAY(SELECT x …)` is `coalesce((SELECT array_agg(x) FROM (SELECT x …)), [])`.
fn array_subquery(f: &mut Function) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &f.args else { return None };
    if !f.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let mut inner = query.clone();
    let SetExpr::Select(select) = inner.body.as_mut() else { return None };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    let order_by = match inner.order_by.take().map(|o| o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs
            .into_iter()
            .map(|mut e| {
                if matches!(&e.expr, Expr::Value(_)) {
                    e.expr = item.clone();
                }
                e
            })
            .collect::<Vec<_>>(),
        _ => vec![],
    };
    let mut aggregate = call("array_agg", vec![item.clone()]);
    if let Expr::Function(g) = &mut aggregate
        && let FunctionArguments::List(list) = &mut g.args
        && !order_by.is_empty()
    {
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(order_by));
    }
    select.projection = vec![SelectItem::UnnamedExpr(aggregate)];
    let mut coalesce = call("coalesce", vec![Expr::Subquery(inner)]);
    if let Expr::Function(g) = &mut coalesce
        && let FunctionArguments::List(list) = &mut g.args
    {
        let empty = ast::Array { elem: vec![], named: true };
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Array(empty))));
    }
    Some(coalesce)
}

/// Gives every select list PostgreSQL's names, unique ones.
fn name_columns(query: &mut Query, top: bool) {
    if let Some(with) = &mut query.with {
        with.cte_tables.iter_mut().for_each(|cte| name_columns(&mut cte.query, false));
    }
    name_set(query.body.as_mut(), top);
}

fn name_set(body: &mut SetExpr, top: bool) {
    match body {
        SetExpr::Select(select) => name_select(select, top),
        SetExpr::Query(query) => name_columns(query, top),
        SetExpr::SetOperation { left, right, .. } => {
            name_set(left, top);
            name_set(right, top);
        }
        _ => {}
    }
}

fn name_select(select: &mut Select, top: bool) {
    let wildcard =
        select.projection.iter().any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(_, _)));
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (n, item) in select.projection.iter_mut().enumerate() {
        let (expr, name, plain, aliased) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let name = column_name(unwrap_unnest(expr));
                (expr.clone(), name, plain, false)
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), fold(alias), false, true),
            _ => continue,
        };
        let repeated = seen.insert(name.clone(), n).is_some();
        let cast_of_column = top && !aliased && cast_of_column(&expr);
        let unique = if repeated || (wildcard && !aliased) || cast_of_column { hide(&name, n) } else { name };
        if plain && !repeated && !wildcard {
            continue;
        }
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', unique) };
    }
    for table in &mut select.from {
        name_factor(&mut table.relation);
        table.joins.iter_mut().for_each(|j| name_factor(&mut j.relation));
    }
}

fn unwrap_unnest(expr: &Expr) -> &Expr {
    if let Expr::Function(f) = expr
        && let FunctionArguments::List(list) = &f.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner @ Expr::Function(g)))] = list.args.as_slice()
        && f.name.to_string() == "unnest"
        && SET_RETURNING.contains(&g.name.to_string().as_str())
    {
        return inner;
    }
    expr
}

/// `a::text` is called `a`, but `ORDER BY a` beside it shall not be caught by that alias in a grouped query.
fn cast_of_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { expr, .. } if matches!(expr.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

fn name_factor(factor: &mut TableFactor) {
    match factor {
        TableFactor::Derived { subquery, .. } => name_columns(subquery, false),
        TableFactor::NestedJoin { table_with_joins, .. } => {
            name_factor(&mut table_with_joins.relation);
            table_with_joins.joins.iter_mut().for_each(|j| name_factor(&mut j.relation));
        }
        _ => {}
    }
}
