//! Calls of functions, aggregates and window functions: which one is meant, and whether it may stand where it does
//! (<https://www.postgresql.org/docs/15/sql-expressions.html#SQL-SYNTAX-AGGREGATES>).

use std::collections::HashSet;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    self, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    ObjectName, Spanned, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};

use super::expression::Value;
use super::overload::{Chosen, Found, Kind, choose, functions};
use super::types::{Context, INTEGER, OPEN, RECORD, TEXT, Ty, UNKNOWN, can_cast, category, shown};
use super::{Analysis, Clause};
use crate::plan::fold;

/// The hints for a function that there is not.
const NO_FUNCTION: &str =
    "No function matches the given name and argument types. You might need to add explicit type casts.";
const NO_AGGREGATE: &str = "No aggregate function matches the given name and argument types. Perhaps you misplaced \
                            ORDER BY; ORDER BY must appear after all regular arguments of the aggregate.";
const SEVERAL_FUNCTIONS: &str =
    "Could not choose a best candidate function. You might need to add explicit type casts.";

/// What is in the arguments of an aggregate or window function.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The level of the query it stands in.
    pub(super) scope: usize,
    /// That of the innermost column in it, deeper queries aside.
    pub(super) level: Option<usize>,
    /// There is something in it that is not known here.
    pub(super) open: bool,
    aggregates: Vec<(usize, Location)>,
    window: Option<Location>,
}

/// Functions of ours that PostgreSQL has not.
static OWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let scalars = sightline_functions::register_all();
    let aggregates = sightline_functions::register_all_aggregates();
    let scalars = scalars.iter().flat_map(|f| f.aliases().iter().cloned().chain([f.name().to_string()]));
    let aggregates = aggregates.iter().flat_map(|f| f.aliases().iter().cloned().chain([f.name().to_string()]));
    let system = crate::catalog::system_function_names().map(str::to_string);
    scalars.chain(aggregates).chain(system).collect()
});

/// How a call was written.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    star: bool,
    distinct: bool,
    ordered: bool,
    within_group: bool,
    filtered: bool,
    over: bool,
}

impl<'a> Analysis<'a> {
    pub(super) fn function_call(&mut self, expr: &'a Expr, f: &'a ast::Function) -> Result<Ty> {
        let name = folded(&f.name);
        let list = match &f.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::Subquery(query) => return self.array_of_query(f, query),
            FunctionArguments::None => return Ok(OPEN),
        };
        let mut arguments = Vec::with_capacity(list.args.len());
        let (mut star, mut strange) = (false, false);
        for argument in &list.args {
            match argument {
                // `name := value`
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { op, right, .. }))
                    if op.to_string() == ":=" =>
                {
                    strange = true;
                    arguments.push(right.as_ref());
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => arguments.push(e),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => star = true,
                FunctionArg::Named { arg: FunctionArgExpr::Expr(e), .. }
                | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(e), .. } => {
                    strange = true;
                    arguments.push(e);
                }
                _ => strange = true,
            }
        }
        strange |= arguments.last().is_some_and(|e| is_call_of(e, crate::parser::VARIADIC));
        match name.as_str() {
            "coalesce" | "greatest" | "least" if !arguments.is_empty() => {
                let what = name.to_uppercase();
                let before = self.last_set.take();
                let values = arguments.iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
                if name == "coalesce" {
                    self.no_set_inside(&what)?;
                }
                self.last_set = self.last_set.or(before);
                return self.matched(&values, &what);
            }
            "row" => {
                arguments.iter().try_for_each(|e| self.expression(e).map(|_| ()))?;
                return Ok(RECORD);
            }
            // Their argument is a precision, a form, or an array for several arguments.
            "current_timestamp" | "current_time" | "localtimestamp" | "localtime" => return Ok(OPEN),
            "normalize" if arguments.len() == 2 => {
                self.expression(arguments[0])?;
                return Ok(TEXT);
            }
            _ if name == crate::parser::VARIADIC => {
                arguments.iter().try_for_each(|e| self.expression(e).map(|_| ()))?;
                return Ok(OPEN);
            }
            "nullif" => {
                if arguments.len() != 2 {
                    return Err(self.nullif_error(f, &arguments));
                }
                if let [left, right] = arguments[..] {
                    let (l, r) = (self.expression(left)?, self.expression(right)?);
                    self.operated("=", Some(l), r, |_| f.name.span().start)?;
                    return Ok(if l.ty == UNKNOWN { TEXT } else { l.ty });
                }
            }
            "grouping" => {
                let clause = self.clause();
                if !matches!(clause, Clause::Select | Clause::Having | Clause::OrderBy | Clause::Window) {
                    let message = format!("grouping operations are not allowed in {}", clause.shown());
                    return Err(self.error(SqlState::GROUPING_ERROR, message, f.name.span().start));
                }
                arguments.iter().try_for_each(|e| self.expression(e).map(|_| ()))?;
                self.scope().aggregates = true;
                return Ok(INTEGER);
            }
            _ => {}
        }
        let kinds = functions(name.strip_prefix("pg_catalog.").unwrap_or(&name));
        let own = OWN.contains(&name) && kinds.is_empty();
        let collects = f.over.is_some() || kinds.iter().any(|k| k.kind != Kind::Plain);
        let level = self.scopes.len() - 1;
        if collects {
            self.around.push(Around { scope: level, ..Around::default() });
        }
        let set_before = self.last_set.take();
        let looked = self.arguments(f, list, &arguments);
        let set_inside = std::mem::replace(&mut self.last_set, set_before);
        let around = if collects { self.around.pop() } else { None };
        let values = looked?;
        if let Some(around) = &around {
            // What is in it is in those around it as well.
            if let Some(outer) = self.around.last_mut() {
                outer.level = outer.level.max(around.level.filter(|l| *l <= outer.scope));
                outer.open |= around.open;
                outer.aggregates.extend(&around.aggregates);
                outer.window = outer.window.or(around.window);
            }
        }
        if own || strange || elsewhere(&f.name) {
            return Ok(OPEN);
        }
        let written = Written {
            star,
            distinct: matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            ordered: list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::OrderBy(_))),
            within_group: !f.within_group.is_empty(),
            filtered: f.filter.is_some(),
            over: f.over.is_some(),
        };
        let Some(chosen) = self.called(&f.name, &values, written.ordered)? else { return Ok(OPEN) };
        let at = f.name.span().start;
        self.fits(&name, chosen.function.kind, written, values.len(), at)?;
        if let (Some(inside), Kind::Aggregate) = (set_inside, chosen.function.kind) {
            let message = "aggregate function calls cannot contain set-returning function calls";
            let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, inside).hint(hint));
        }
        self.last_set = self.last_set.or(set_inside);
        if chosen.function.returns_set {
            self.set_may_stand(at)?;
            self.last_set = Some(at);
        }
        match (chosen.function.kind, written.over) {
            (_, true) => self.window_may_stand(around.unwrap_or_default(), at)?,
            (Kind::Aggregate, false) => self.aggregate_may_stand(expr, around.unwrap_or_default(), at)?,
            _ => {}
        }
        Ok(chosen.result)
    }

    /// `ARRAY(SELECT …)`.
    fn array_of_query(&mut self, f: &'a ast::Function, query: &'a ast::Query) -> Result<Ty> {
        match self.query(query)?.as_deref() {
            Some([one]) if one.ty != OPEN => Ok(super::types::array_of(one.ty).unwrap_or(OPEN)),
            Some([_]) | None => Ok(OPEN),
            Some(_) => {
                let message = "subquery must return only one column";
                Err(self.error(SqlState::SYNTAX_ERROR, message, f.name.span().start))
            }
        }
    }

    /// NULLIF is part of the grammar, with two arguments.
    fn nullif_error(&self, f: &'a ast::Function, arguments: &[&'a Expr]) -> Error {
        let (near, at) = match arguments.get(2) {
            Some(third) => (",", self.places.comma_before(third)),
            None => (")", self.places.closing(f.name.span().end)),
        };
        self.error(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{near}\""), at)
    }

    /// The arguments, and what else stands in the parentheses and behind them.
    fn arguments(
        &mut self,
        f: &'a ast::Function,
        list: &'a ast::FunctionArgumentList,
        arguments: &[&'a Expr],
    ) -> Result<Vec<Value<'a>>> {
        let mut values = arguments.iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
        for clause in &list.clauses {
            if let FunctionArgumentClause::OrderBy(keys) = clause {
                for key in keys {
                    self.expression(&key.expr)?;
                }
            }
        }
        for key in &f.within_group {
            values.push(self.expression(&key.expr)?);
        }
        if let Some(filter) = &f.filter {
            self.within(Clause::Filter, |a| a.condition(filter, "FILTER"))?;
        }
        match &f.over {
            Some(WindowType::WindowSpec(spec)) => self.windows.push(spec),
            Some(WindowType::NamedWindow(name)) => {
                let name_shown = fold(name);
                if !self.scope().windows.contains(&name_shown) {
                    let message = format!("window \"{name_shown}\" does not exist");
                    return Err(self.error(SqlState::UNDEFINED_OBJECT, message, name.span.start));
                }
            }
            None => {}
        }
        Ok(values)
    }

    /// The function that is called with these values; none if it is one of ours.
    ///
    /// # Errors
    /// 42883, 42725, those of literals.
    pub(super) fn called(&self, name: &ObjectName, values: &[Value<'a>], ordered: bool) -> Result<Option<Chosen>> {
        let shown = folded(name);
        if elsewhere(name) {
            return Ok(None);
        }
        let hint = if ordered { NO_AGGREGATE } else { NO_FUNCTION };
        let at = |_: &Analysis<'a>| name.span().start;
        let bare = match name.0.len() {
            1 => shown.clone(),
            _ => match shown.strip_prefix("pg_catalog.") {
                Some(bare) => bare.to_string(),
                None if !self.has_schema(name) => {
                    let schema = name.0.first().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                    let message = format!("schema \"{schema}\" does not exist");
                    return Err(self.error(SqlState::INVALID_SCHEMA_NAME, message, name.span().start));
                }
                None => return Err(self.no_function(&shown, values, hint, name.span().start)),
            },
        };
        if OWN.contains(&bare) && functions(&bare).is_empty() {
            return Ok(None);
        }
        self.resolved(&shown, &bare, values, hint, &at)
    }

    fn has_schema(&self, name: &ObjectName) -> bool {
        let schema = name.0.first().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        name.0.len() > 2 || schema == "pg_temp" || self.ctx.snapshot.catalog.schemas.contains_key(&schema)
    }

    /// The type of what a function called by special words makes.
    ///
    /// # Errors
    /// As [`called`](Analysis::called).
    pub(super) fn call_named(
        &self,
        shown: &str,
        name: &str,
        values: &[Value<'a>],
        at: &dyn Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        Ok(self.resolved(shown, name, values, NO_FUNCTION, at)?.map_or(OPEN, |chosen| chosen.result))
    }

    fn resolved(
        &self,
        shown_name: &str,
        name: &str,
        values: &[Value<'a>],
        hint: &str,
        at: &dyn Fn(&Analysis<'a>) -> Location,
    ) -> Result<Option<Chosen>> {
        let types = values.iter().map(|v| v.ty).collect::<Vec<_>>();
        if let [value] = values
            && !super::overload::is_exact(name, &types)
            && self.is_cast(name, value)?
        {
            return Ok(None);
        }
        match choose(name, &types) {
            Found::One(chosen) => {
                for (value, ty) in values.iter().zip(&chosen.arguments) {
                    self.give(value, *ty)?;
                }
                Ok(Some(chosen))
            }
            Found::None if types.iter().any(|t| matches!(*t, OPEN | RECORD)) && !functions(name).is_empty() => Ok(None),
            Found::None => Err(self.no_function(shown_name, values, hint, at(self))),
            Found::Several => {
                let message = format!("function {} is not unique", signature(shown_name, values));
                Err(self.error(SqlState::AMBIGUOUS_FUNCTION, message, at(self)).hint(SEVERAL_FUNCTIONS))
            }
        }
    }

    /// Whether a call by a type's name is a cast.
    fn is_cast(&self, name: &str, value: &Value<'a>) -> Result<bool> {
        let Some(ty) = crate::catalog::type_by_name(name) else { return Ok(false) };
        if value.ty == UNKNOWN {
            self.give(value, ty)?;
            return Ok(true);
        }
        let by_text = category(value.ty) == 'S' && category(ty) == 'S';
        Ok(can_cast(value.ty, ty, Context::Explicit) && !by_text)
    }

    fn no_function(&self, name: &str, values: &[Value<'a>], hint: &str, at: Location) -> Error {
        if values.iter().any(|v| v.ty == OPEN) {
            // Its types cannot all be told.
            let message = format!("function {name} does not exist");
            return self.error(SqlState::UNDEFINED_FUNCTION, message, at).hint(hint);
        }
        let message = format!("function {} does not exist", signature(name, values));
        self.error(SqlState::UNDEFINED_FUNCTION, message, at).hint(hint)
    }

    /// Refuses what only aggregates or window functions have.
    fn fits(&self, name: &str, kind: Kind, written: Written, count: usize, at: Location) -> Result<()> {
        let wrong = |message: String| Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, at));
        let refused = |message: &str| Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, at));
        match kind {
            Kind::Plain => {
                let is_none = |what: &str| wrong(format!("{what} specified, but {name} is not an aggregate function"));
                if written.star {
                    return is_none(&format!("{name}(*)"));
                } else if written.distinct {
                    return is_none("DISTINCT");
                } else if written.within_group {
                    return is_none("WITHIN GROUP");
                } else if written.ordered {
                    return is_none("ORDER BY");
                } else if written.filtered {
                    return is_none("FILTER");
                } else if written.over {
                    return wrong(format!(
                        "OVER specified, but {name} is not a window function nor an aggregate function"
                    ));
                }
            }
            Kind::Aggregate => {
                if !written.star && count == 0 {
                    return wrong(format!("{name}(*) must be used to call a parameterless aggregate function"));
                }
                let of_set = matches!(
                    name,
                    "percentile_cont"
                        | "percentile_disc"
                        | "mode"
                        | "rank"
                        | "dense_rank"
                        | "percent_rank"
                        | "cume_dist"
                );
                if of_set && !written.within_group {
                    return wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}"));
                }
                if !of_set && written.within_group {
                    return wrong(format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"));
                }
                if written.over && of_set {
                    return refused(&format!("OVER is not supported for ordered-set aggregate {name}"));
                }
                if written.over && written.distinct {
                    return refused("DISTINCT is not implemented for window functions");
                }
                if written.over && written.ordered {
                    return refused("aggregate ORDER BY is not implemented for window functions");
                }
            }
            Kind::Window => {
                if !written.over {
                    return wrong(format!("window function {name} requires an OVER clause"));
                }
                if written.distinct {
                    return refused("DISTINCT is not implemented for window functions");
                }
                if written.filtered {
                    return refused("FILTER is not implemented for non-aggregate window functions");
                }
            }
        }
        Ok(())
    }

    fn aggregate_may_stand(&mut self, expr: &'a Expr, around: Around, at: Location) -> Result<()> {
        let own = self.scopes.len() - 1;
        let level = if around.open { own } else { around.level.unwrap_or(own) };
        if let Some((_, inner)) = around.aggregates.iter().find(|(l, _)| *l == level) {
            return Err(self.error(SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested", *inner));
        }
        if let Some(window) = around.window {
            let message = "aggregate function calls cannot contain window function calls";
            return Err(self.error(SqlState::GROUPING_ERROR, message, window));
        }
        let clause = self.scopes[level].clause;
        if !matches!(clause, Clause::Select | Clause::Having | Clause::OrderBy | Clause::Window) && !around.open {
            let message = format!("aggregate functions are not allowed in {}", clause.shown());
            return Err(self.error(SqlState::GROUPING_ERROR, message, at));
        }
        self.scopes[level].aggregates = true;
        if level < own {
            self.meanings.borrow_mut().aggregates.insert(at);
        }
        self.aggregates.insert(std::ptr::from_ref(expr) as usize, level);
        if let Some(outer) = self.around.last_mut() {
            outer.aggregates.push((level, at));
        }
        Ok(())
    }

    fn window_may_stand(&mut self, around: Around, at: Location) -> Result<()> {
        let clause = self.clause();
        if !matches!(clause, Clause::Select | Clause::OrderBy) {
            let message = format!("window functions are not allowed in {}", clause.shown());
            return Err(self.error(SqlState::WINDOWING_ERROR, message, at));
        }
        if let Some(inner) = around.window {
            let message = "window function calls cannot be nested";
            return Err(self.error(SqlState::WINDOWING_ERROR, message, inner));
        }
        if let Some(outer) = self.around.last_mut() {
            outer.window = Some(at);
        }
        Ok(())
    }

    fn set_may_stand(&mut self, at: Location) -> Result<()> {
        let clause = self.clause();
        let refused = matches!(
            clause,
            Clause::Where
                | Clause::Having
                | Clause::Join
                | Clause::Filter
                | Clause::Limit
                | Clause::Offset
                | Clause::Window
                | Clause::Check
                | Clause::Update
                | Clause::Returning
                | Clause::Default
                | Clause::Generated
                | Clause::Key
                | Clause::Predicate
        );
        if refused {
            let message = format!("set-returning functions are not allowed in {}", clause.shown());
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, at));
        }
        Ok(())
    }
}

/// The name as messages show it: folded, the schema as written.
fn folded(name: &ObjectName) -> String {
    let part = |p: &ast::ObjectNamePart| p.as_ident().map(fold).unwrap_or_default();
    name.0.iter().map(part).collect::<Vec<_>>().join(".")
}

/// Functions of schemas that are not looked at here.
fn elsewhere(name: &ObjectName) -> bool {
    let schema = name.0.first().and_then(|p| p.as_ident()).map(fold);
    name.0.len() > 1 && matches!(schema.as_deref(), Some("information_schema" | "sys"))
}

fn is_call_of(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Function(f) if f.name.to_string() == name)
}

fn signature(name: &str, values: &[Value]) -> String {
    let types = values.iter().map(|v| shown(v.ty)).collect::<Vec<_>>().join(", ");
    format!("{name}({types})")
}
