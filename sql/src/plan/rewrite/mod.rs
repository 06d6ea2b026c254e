//! What PostgreSQL means, said so that DataFusion's planner understands: a pass over the parsed query before planning.
//!
//! It names columns as PostgreSQL does, makes small integers `integer`, takes `pg_catalog.` off functions and operators,
//! turns casts to `reg*` types into functions, and finds the types of parameters that a cast or a LIMIT tells.

mod aggregates;
mod arrays;
mod calls;
mod composites;
mod dependent_groups;
mod fields;
mod grouping;
mod joins;
mod literals;
mod operators;
mod outer_columns;
mod placement;
mod queries;
mod records;
mod recursion;
mod relations;
mod rows;
mod search;
mod select_list;
mod strings;
mod times;
mod values;
mod whole_rows;
mod windows;
mod with;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr,
    TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use self::calls::{call, cast_by_name, function};
use self::literals::{bare, bare_positions, exact_float, integer, interval_cast, is_long, long_number, reg_cast};
use self::operators::{
    escape_cast, like_all, like_any, not, operator, operator_call, power_of_negative, regex_match, unary,
};
use self::queries::{array_subquery, fetch_as_limit, in_subquery};
use self::relations::{
    function_factor, integer_series, name_table_function, nest_merging_joins, set_returning, table_oids,
};

use crate::analysis::Meanings;

pub(in crate::plan) use self::calls::named_call;
pub(crate) use self::composites::is_row;
pub(crate) use self::literals::needs_type;
pub(super) use self::literals::reg_type;

/// Functions that return sets: in a select list they become `unnest(…)` of DataFusion's list-returning ones.
const SET_RETURNING: [&str; 6] = [
    "generate_series",
    "generate_subscripts",
    "pg_partition_ancestors",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
];

/// What the pass learned beside the rewritten query.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Types of parameters that the text itself tells, by number from 1.
    pub parameters: BTreeMap<usize, SqlType>,
    /// The greatest parameter number.
    pub count: usize,
    /// What DataFusion would plan and answer wrongly.
    refused: Option<&'static str>,
    /// What is wrong with the query itself.
    failed: Option<Error>,
}

impl Learned {
    /// Refuses what is wrong with the query, or would be answered wrongly.
    ///
    /// # Errors
    /// 0A000, and what was found.
    pub(super) fn check(&self) -> Result<()> {
        match (&self.failed, self.refused) {
            (Some(error), _) => Err(error.again()),
            (None, Some(what)) => Err(Error::unsupported(what)),
            (None, None) => Ok(()),
        }
    }
}

/// Whether what some names of a query mean must be found out before it is rewritten.
///
/// `keys`: whether there are tables with a primary key.
pub(super) fn needs_meanings(query: &Query, keys: impl Fn() -> bool) -> bool {
    whole_rows::may_have(query)
        || (dependent_groups::may_have(query) && keys())
        || outer_columns::may_have(query)
        || literals::may_have(query)
        || joins::has_natural(query)
}

/// Rewrites a query in place.
///
/// `meanings` are those of its names, if [`needs_meanings`] wants them.
pub(super) fn rewrite(query: &mut Query, meanings: &Meanings) -> Learned {
    let mut pass = Pass::default();
    pass.learned.failed = search::rewritten(query, meanings).err();
    outer_columns::named(query, meanings);
    joins::natural_as_using(query, &meanings.natural);
    dependent_groups::named(query, meanings);
    fields::spread(query, &meanings.rows);
    select_list::name_columns(query, true);
    literals::typed(query, &meanings.literals);
    whole_rows::named(query, &meanings.rows);
    let _: ControlFlow<()> = query.visit(&mut pass);
    pass.learned
}

/// Rewrites the query of a view in place: a WITH query of the view's own name gets another, since the planner would take
/// one for the other.
pub(super) fn rewrite_view(query: &mut Query, view: &str, meanings: &Meanings) -> Learned {
    let mut pass = Pass { scopes: with::Scopes::inside(view), ..Pass::default() };
    pass.learned.failed = search::rewritten(query, meanings).err();
    outer_columns::named(query, meanings);
    joins::natural_as_using(query, &meanings.natural);
    dependent_groups::named(query, meanings);
    fields::spread(query, &meanings.rows);
    select_list::name_columns(query, true);
    literals::typed(query, &meanings.literals);
    whole_rows::named(query, &meanings.rows);
    let _: ControlFlow<()> = query.visit(&mut pass);
    pass.learned
}

/// Rewrites one expression in place.
pub(super) fn rewrite_expr(expr: &mut Expr) -> Learned {
    let mut pass = Pass::default();
    let _: ControlFlow<()> = expr.visit(&mut pass);
    pass.learned
}

/// PostgreSQL's limit on the dimensions of an array; types nested deeper would keep the planner busy for ever.
const DIMENSIONS_MAX: usize = 6;

#[derive(Default)]
struct Pass {
    learned: Learned,
    /// How many ARRAY[…] stand around the expression.
    arrays: usize,
    /// How many joins have been numbered.
    joins: usize,
    scopes: with::Scopes,
}

impl Pass {
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
        match rows::without_rows(expr) {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => {
                self.learned.failed.get_or_insert(error);
            }
        }
        match composites::plain(expr) {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => {
                self.learned.failed.get_or_insert(error);
                return ControlFlow::Break(());
            }
        }
        if let Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } = expr
            && let Some(rewritten) = times::overlaps(left, right)
        {
            *expr = rewritten;
        }
        if let Expr::Function(f) = expr
            && let Err(error) = windows::window_arguments(f)
        {
            self.learned.failed.get_or_insert(error);
            return ControlFlow::Break(());
        }
        self.parameter(expr, None);
        if let Expr::Array(_) = expr {
            self.arrays += 1;
            if self.arrays > DIMENSIONS_MAX {
                let message = format!("number of array dimensions exceeds the maximum allowed ({DIMENSIONS_MAX})");
                self.learned.failed.get_or_insert(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
                return ControlFlow::Break(());
            }
        }
        match expr {
            Expr::UnaryOp { op: UnaryOperator::Not, expr: condition } => {
                self.parameter(condition, Some(SqlType::Boolean));
            }
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                self.parameter(left, Some(SqlType::Boolean));
                self.parameter(right, Some(SqlType::Boolean));
            }
            Expr::Case { operand: None, conditions, .. } => {
                conditions.iter().for_each(|c| self.parameter(&c.condition, Some(SqlType::Boolean)));
            }
            _ => {}
        }
        power_of_negative(expr);
        if let Some(like) = escape_cast(expr) {
            *expr = like;
        }
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && let Ok(ty) = super::types::sql_type(data_type)
        {
            self.parameter(inner, Some(ty));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Array(_) = expr {
            self.arrays -= 1;
        }
        match expr {
            Expr::CompoundFieldAccess { .. } | Expr::Cast { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => {
                if let Some(rewritten) = arrays::plain(expr) {
                    *expr = rewritten;
                    super::domains::check_cast(expr);
                    return ControlFlow::Continue(());
                }
                if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr
                    && !matches!(right.as_ref(), Expr::Subquery(_))
                {
                    let message = "op ANY/ALL (array) requires operator to yield boolean";
                    self.learned.failed.get_or_insert(Error::new(SqlState::new("42809"), message));
                }
            }
            _ => {}
        }
        match expr {
            Expr::Value(v) => {
                if let Value::Number(digits, _) = &v.value {
                    if digits.parse::<i32>().is_ok() {
                        *expr = integer(expr.clone());
                    } else if is_long(digits) {
                        *expr = long_number(digits);
                    }
                }
            }
            Expr::Collate { expr: inner, .. } => *expr = (**inner).clone(),
            Expr::Function(f) => {
                function(f);
                calls::awaited(f);
                if let Err(error) = calls::variadic(f) {
                    self.learned.failed.get_or_insert(error);
                }
                if let Err(error) = aggregates::ordered(f) {
                    self.learned.failed.get_or_insert(error);
                }
                aggregates::name_cast(f);
                strings::normalization_form(f);
                arrays::named_by_arguments(f);
                arrays::flattened(f);
                let other = array_subquery(f)
                    .or_else(|| times::function(f))
                    .or_else(|| cast_by_name(f))
                    .or_else(|| calls::json_aggregate(f));
                if let Some(rewritten) = other {
                    *expr = rewritten;
                    reg_cast(expr);
                }
            }
            Expr::UnaryOp { op, expr: inner } => {
                if let Some(rewritten) = unary(*op, inner) {
                    *expr = rewritten;
                }
            }
            Expr::Substring { .. }
            | Expr::Overlay { .. }
            | Expr::Position { .. }
            | Expr::Trim { .. }
            | Expr::IsNormalized { .. } => {
                if let Some(rewritten) = strings::plain(expr) {
                    *expr = rewritten;
                }
            }
            Expr::Extract { field, expr: time, .. } => {
                let field = field.to_string().trim_matches(['\'', '"']).to_lowercase();
                let field = Expr::value(Value::SingleQuotedString(field));
                *expr = call("extract", vec![field, (**time).clone()]);
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
                if let Some(rewritten) = like_all(expr).or_else(|| like_any(expr)) {
                    *expr = rewritten;
                }
            }
            Expr::Cast { .. } => {
                exact_float(expr);
                reg_cast(expr);
                super::domains::check_cast(expr);
            }
            Expr::Interval(interval) => {
                if let Some(cast) = interval_cast(interval) {
                    *expr = cast;
                }
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                *expr = call("timezone", vec![(**time_zone).clone(), (**timestamp).clone()]);
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => values::distinct(left, right),
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
            Expr::Tuple(items) => *expr = call(super::records::ROW, std::mem::take(items)),
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
        if let Some(Err(error)) = query.with.as_ref().map(recursion::check) {
            self.learned.failed.get_or_insert(error);
        }
        if let Some(with) = &mut query.with {
            recursion::widen(with);
        }
        with::name_columns(query);
        self.scopes.enter(query);
        relations::name_single_sets(query);
        for done in [joins::named(query, &mut self.joins), windows::inline_windows(query)] {
            if let Err(error) = done {
                self.learned.failed.get_or_insert(error);
            }
        }
        if let Err(error) = fetch_as_limit(query) {
            self.learned.failed.get_or_insert(error);
        }
        if !query.locks.is_empty() {
            self.learned.refused = Some("SELECT … FOR UPDATE and FOR SHARE are not supported: rows cannot be locked");
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
            for bound in limit.iter_mut().chain(offset.iter_mut().map(|o| &mut o.value)) {
                literals::whole_number(bound);
            }
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            for bound in limit.iter().chain(offset.iter().map(|o| &o.value)) {
                self.parameter(bound, Some(SqlType::BigInt));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.leave();
        with::share(query);
        bare_positions(query);
        if let SetExpr::Values(rows) = query.body.as_mut() {
            values::typed(rows);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.selection.iter().chain(&select.having).for_each(|e| self.parameter(e, Some(SqlType::Boolean)));
        for done in [placement::check(select), grouping::expand(select)] {
            if let Err(error) = done {
                self.learned.failed.get_or_insert(error);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(nest_merging_joins);
        select.selection.iter_mut().chain(&mut select.having).for_each(literals::condition);
        select.selection.iter_mut().for_each(rows::certain);
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
        match crate::files::relation(factor) {
            Ok(Some(files)) => {
                *factor = files;
                return ControlFlow::Continue(());
            }
            Ok(None) => {}
            Err(error) => {
                self.learned.failed.get_or_insert(error);
            }
        }
        match records::record_factor(factor) {
            Ok(Some(rewritten)) => *factor = rewritten,
            Ok(None) => {}
            Err(error) => {
                self.learned.failed.get_or_insert(error);
            }
        }
        function_factor(factor);
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
