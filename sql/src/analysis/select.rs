//! Queries, clause by clause in PostgreSQL's order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    Spanned, UnaryOperator, Value as Literal, Values, With, visit_relations,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Result, SqlState};
use sightline_storage::types::SqlType;

use super::expression::{Value, literal};
use super::scope::{Column, Named, Scope, open_column};
use super::types::{JSON, OPEN, RECORD, TEXT, Ty, UNKNOWN, can_cast, common_type, of_sql, shown};
use super::{Analysis, Clause, types};
use crate::parser::{clauses, frames, grouping, starred};
use crate::plan::{column_name, fold};

/// The columns of a query; none if they are not known here.
pub(super) type Columns = Option<Vec<Column>>;

/// One item of a select list: its name, its expression if it is not of a `*`, its type.
struct Output<'a> {
    name: String,
    expr: Option<&'a Expr>,
    ty: Ty,
}

impl<'a> Analysis<'a> {
    /// Looks at a query; its columns that are literals are text.
    ///
    /// # Errors
    /// All that PostgreSQL's analysis finds.
    pub(super) fn query(&mut self, query: &'a Query) -> Result<Columns> {
        let columns = self.query_as_it_is(query)?;
        let text = |c: Column| if c.ty == UNKNOWN { Column { ty: TEXT, ..c } } else { c };
        Ok(columns.map(|all| all.into_iter().map(text).collect()))
    }

    /// As [`query`](Analysis::query), literals still without a type.
    ///
    /// # Errors
    /// As [`query`](Analysis::query).
    pub(super) fn query_as_it_is(&mut self, query: &'a Query) -> Result<Columns> {
        self.scopes.push(Scope::new());
        let windows = std::mem::take(&mut self.windows);
        let around = std::mem::take(&mut self.around);
        let done = self.query_in_scope(query);
        self.windows = windows;
        let inner = std::mem::replace(&mut self.around, around);
        drop(inner);
        self.scopes.pop();
        done
    }

    fn query_in_scope(&mut self, query: &'a Query) -> Result<Columns> {
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, query),
            body => {
                let columns = self.set(body)?;
                if let Some(columns) = &columns {
                    self.order_by_outputs(query, columns, matches!(body, SetExpr::SetOperation { .. }))?;
                }
                self.limits(query)?;
                Ok(columns)
            }
        }
    }

    pub(super) fn with(&mut self, with: &'a With) -> Result<()> {
        let names = with.cte_tables.iter().map(|c| fold(&c.alias.name)).collect::<Vec<_>>();
        for (n, cte) in with.cte_tables.iter().enumerate() {
            if names[..n].contains(&names[n]) {
                let message = format!("WITH query name \"{}\" specified more than once", names[n]);
                return Err(self.error(SqlState::DUPLICATE_ALIAS, message, cte.alias.name.span.start));
            }
        }
        if with.recursive {
            // What refers to itself, or to a later one, is looked at by others.
            for name in &names {
                self.scope().named.push(Named::unknown(name.clone()));
            }
        }
        for (n, cte) in with.cte_tables.iter().enumerate() {
            self.scope().later = if with.recursive { vec![] } else { names[n..].to_vec() };
            let first = if with.recursive { self.first_term(cte)? } else { None };
            let mut columns = self.query(&cte.query)?;
            if let (Some((first, term)), Some(all)) = (&first, &columns) {
                self.same_types(&names[n], first, all, term)?;
            }
            if let (None, Some(_), SetExpr::SetOperation { left, .. }) =
                (&columns, clauses(cte), cte.query.body.as_ref())
            {
                // Of a recursive query, the first term tells.
                columns = self.arm(left)?;
            }
            let mut named = self.with_item(cte, columns)?;
            if let Some(clauses) = clauses(cte) {
                let names = named.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
                if !named.open {
                    self.meanings.borrow_mut().searched.insert(cte.alias.name.span.start, names);
                }
                named.columns.extend(clauses.added().iter().map(|name| open_column(name)));
            }
            self.scope().named.retain(|known| known.name != named.name);
            self.scope().named.push(named);
        }
        self.scope().later = vec![];
        Ok(())
    }

    /// What a query that names itself has for columns within itself: those of its first term, which comes as well.
    fn first_term(&mut self, cte: &'a Cte) -> Result<Option<(Vec<Column>, &'a SetExpr)>> {
        let name = fold(&cte.alias.name);
        let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref() else { return Ok(None) };
        // The columns that SEARCH and CYCLE add can be named there, but are none of `*`.
        if cte.query.with.is_some() || clauses(cte).is_some() || !names_itself(&cte.query, &name) {
            return Ok(None);
        }
        let found = self.arm(left)?;
        self.first_terms.insert(std::ptr::from_ref(left.as_ref()).addr(), found.clone());
        let Some(mut columns) = found else { return Ok(None) };
        columns.iter_mut().filter(|c| c.ty == UNKNOWN).for_each(|c| c.ty = TEXT);
        let named = self.with_item(cte, Some(columns.clone()))?;
        self.scope().named.retain(|known| known.name != name);
        self.scope().named.push(named);
        Ok(Some((columns, left)))
    }

    /// The steps of a recursive query cannot have wider types than its first term.
    fn same_types(&self, name: &str, first: &[Column], all: &[Column], term: &'a SetExpr) -> Result<()> {
        for (n, (own, overall)) in first.iter().zip(all).enumerate() {
            if own.ty == overall.ty || [own.ty, overall.ty].iter().any(|t| matches!(*t, OPEN | RECORD)) {
                continue;
            }
            let message = format!(
                "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                n + 1,
                shown(own.ty),
                shown(overall.ty)
            );
            let at = item(term, n).map_or(Location::new(0, 0), |e| self.places.start(e));
            let hint = "Cast the output of the non-recursive term to the correct type.";
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, at).hint(hint));
        }
        Ok(())
    }

    fn with_item(&self, cte: &'a Cte, columns: Columns) -> Result<Named> {
        let name = fold(&cte.alias.name);
        let Some(mut columns) = columns else { return Ok(Named::unknown(name)) };
        let given = &cte.alias.columns[..cte.alias.columns.len() - usize::from(clauses(cte).is_some())];
        if given.len() > columns.len() {
            let message = format!(
                "WITH query \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                given.len()
            );
            return Err(self.error(SqlState::new("42P10"), message, cte.alias.name.span.start));
        }
        for (column, alias) in columns.iter_mut().zip(given) {
            column.name = fold(&alias.name);
        }
        Ok(Named { name, columns, open: false })
    }

    /// A query that is no plain SELECT.
    fn set(&mut self, body: &'a SetExpr) -> Result<Columns> {
        match body {
            SetExpr::Query(query) => self.query_as_it_is(query),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation { left, op, right, .. } => {
                let l = self.arm(left)?;
                let r = self.arm(right)?;
                let (Some(l), Some(r)) = (l, r) else { return Ok(None) };
                self.united(*op, &l, &r, left, right).map(Some)
            }
            SetExpr::Select(_) => self.arm(body),
            _ => Ok(None),
        }
    }

    /// One side of a set operation, in a scope of its own.
    fn arm(&mut self, body: &'a SetExpr) -> Result<Columns> {
        // Looked at before: each time anew, nested queries would take twice as long with each level.
        if let Some(known) = self.first_terms.remove(&std::ptr::from_ref(body).addr()) {
            return Ok(known);
        }
        self.scopes.push(Scope::new());
        let windows = std::mem::take(&mut self.windows);
        let done = match body {
            SetExpr::Select(select) => self.select_list_of(select, None),
            other => self.set(other),
        };
        self.windows = windows;
        self.scopes.pop();
        done
    }

    fn united(
        &self,
        op: SetOperator,
        left: &[Column],
        right: &[Column],
        l: &'a SetExpr,
        r: &'a SetExpr,
    ) -> Result<Vec<Column>> {
        let what = match op {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            _ => "EXCEPT",
        };
        if left.len() != right.len() {
            let message = format!("each {what} query must have the same number of columns");
            let at = first_item(r).map_or(Location::new(0, 0), |e| self.places.start(e));
            return Err(self.error(SqlState::SYNTAX_ERROR, message, at));
        }
        let mut columns = Vec::with_capacity(left.len());
        for (n, (a, b)) in left.iter().zip(right).enumerate() {
            let (x, y) = (item(l, n), item(r, n));
            let ty = match common_type(&[a.ty, b.ty]) {
                Ok(ty) => ty,
                Err((_, so_far)) => {
                    let message = format!("{what} types {} and {} cannot be matched", shown(so_far), shown(b.ty));
                    let at = y.map_or(Location::new(0, 0), |e| self.places.start(e));
                    return Err(self.error(SqlState::DATATYPE_MISMATCH, message, at));
                }
            };
            self.give(&Value { ty: a.ty, expr: x }, ty)?;
            self.give(&Value { ty: b.ty, expr: y }, ty)?;
            for (own, expr) in [(a.ty, x), (b.ty, y)] {
                if let (UNKNOWN, Some(expr), Some(ty)) = (own, expr, SqlType::from_oid(ty))
                    && ![UNKNOWN, TEXT].contains(&of_sql(&ty))
                    && !matches!(ty, SqlType::Char(_) | SqlType::Varchar(_))
                    && literal(expr).is_some()
                {
                    self.tell(expr, &ty);
                }
            }
            for (column, expr) in [(a, x), (b, y)] {
                if !can_cast(column.ty, ty, types::Context::Implicit) {
                    let message = format!("{what} could not convert type {} to {}", shown(column.ty), shown(ty));
                    let at = expr.map_or(Location::new(0, 0), |e| self.places.start(e));
                    return Err(self.error(SqlState::CANNOT_COERCE, message, at));
                }
            }
            // A literal that stays one could still become what a further arm is.
            let ty = if a.ty == UNKNOWN && b.ty == UNKNOWN { TEXT } else { ty };
            columns.push(Column { name: a.name.clone(), ty });
        }
        Ok(columns)
    }

    fn values(&mut self, values: &'a Values) -> Result<Columns> {
        self.scope().clause = Clause::Values;
        let mut rows = Vec::with_capacity(values.rows.len());
        let width = values.rows.first().map_or(0, |r| r.content.len());
        for row in &values.rows {
            let items = row.content.iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
            if items.len() != width {
                let at = items.first().map_or(Location::new(0, 0), |v| self.at(v));
                return Err(self.error(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length", at));
            }
            rows.push(items);
        }
        self.scope().clause = Clause::Select;
        let mut columns = Vec::with_capacity(width);
        for n in 0..width {
            let column = rows.iter().map(|row| row[n]).collect::<Vec<_>>();
            // A literal alone keeps its want of a type only in an INSERT.
            let ty = self.matched(&column, "VALUES")?;
            columns.push(Column { name: format!("column{}", n + 1), ty });
        }
        Ok(Some(columns))
    }

    fn select(&mut self, select: &'a Select, query: &'a Query) -> Result<Columns> {
        self.select_list_of(select, Some(query))
    }

    fn select_list_of(&mut self, select: &'a Select, query: Option<&'a Query>) -> Result<Columns> {
        self.scope().windows = select.named_window.iter().map(|w| fold(&w.0)).collect();
        self.from(&select.from)?;
        let (outputs, known) = self.outputs(select)?;
        if let Some(condition) = &select.selection {
            self.within(Clause::Where, |a| a.condition(condition, "WHERE"))?;
        }
        if let Some(condition) = &select.having {
            self.within(Clause::Having, |a| a.condition(condition, "HAVING"))?;
        }
        let keys = query.map(order_keys).unwrap_or_default();
        let mut sorted = Vec::with_capacity(keys.len());
        for key in &keys {
            sorted.push(self.within(Clause::OrderBy, |a| a.clause_item(&key.expr, &outputs, known, "ORDER BY"))?);
        }
        let groups = self.groups(select, &outputs, known)?;
        self.distinct(select, &outputs, known, &sorted)?;
        if let Some(query) = query {
            self.limits(query)?;
        }
        self.window_specs(select)?;
        let grouped = self.scope().aggregates || !groups.is_empty() || select.having.is_some() || has_group_by(select);
        if grouped && known {
            let listed = outputs.iter().filter_map(|o| o.expr);
            let sorted = sorted.iter().filter_map(|s| *s);
            let on = match &select.distinct {
                Some(Distinct::On(exprs)) => exprs.as_slice(),
                _ => &[],
            };
            let exprs = listed.chain(sorted).chain(on).chain(&select.having).collect::<Vec<_>>();
            let determined = if has_sets(select) { vec![] } else { self.determined(&groups) };
            self.grouped(&exprs, &groups, &determined)?;
            self.starred_are_grouped(select, &groups, &determined)?;
        }
        Ok(known.then(|| outputs.into_iter().map(|o| Column { name: o.name, ty: o.ty }).collect()))
    }

    /// The select list; false if it is not known what a `*` stands for.
    fn outputs(&mut self, select: &'a Select) -> Result<(Vec<Output<'a>>, bool)> {
        let mut outputs = Vec::with_capacity(select.projection.len());
        let mut known = true;
        let level = self.scopes.len() - 1;
        for item in &select.projection {
            let (expr, name) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
                SelectItem::Wildcard(_) => {
                    if self.scope().tables.is_empty() {
                        let at = item.span().start;
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(self.error(SqlState::SYNTAX_ERROR, message, at));
                    }
                    known &= self.add_starred(level, None, &mut outputs);
                    continue;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let parts = name.0.iter().filter_map(|p| p.as_ident()).map(fold).collect::<Vec<_>>();
                    let at = name.span().start;
                    let found = match parts.as_slice() {
                        [table] => self.table(None, table, at)?.ok_or_else(|| self.missing_table(None, table, at)),
                        [schema, table] => self
                            .table(Some(schema), table, at)?
                            .ok_or_else(|| self.missing_table(Some(schema), table, at)),
                        _ => {
                            known = false;
                            continue;
                        }
                    };
                    let (owner, number) = found?;
                    if owner < level
                        && let Some(columns) = self.starred(owner, Some(number))
                    {
                        let names = columns.into_iter().map(|c| c.name).collect();
                        self.meanings.borrow_mut().stars.insert(at, names);
                    }
                    let level = owner;
                    known &= self.add_starred(level, Some(number), &mut outputs);
                    continue;
                }
                _ => {
                    known = false;
                    continue;
                }
            };
            let value = self.expression(expr)?;
            if starred(expr).is_some() {
                known = false;
                continue;
            }
            if let Some(place) = self.meant.get(&(std::ptr::from_ref(expr) as usize))
                && place.level < level
            {
                self.meanings.borrow_mut().outer.insert(expr.span().start);
            }
            let name = name.unwrap_or_else(|| column_name(expr));
            outputs.push(Output { name, expr: Some(expr), ty: value.ty });
        }
        Ok((outputs, known))
    }

    fn add_starred(&mut self, level: usize, only: Option<usize>, outputs: &mut Vec<Output<'a>>) -> bool {
        let Some(columns) = self.starred(level, only) else { return false };
        outputs.extend(columns.into_iter().map(|c| Output { name: c.name, expr: None, ty: c.ty }));
        true
    }

    /// An item of ORDER BY, GROUP BY or DISTINCT ON: the number or name of a column of the select list, or an
    /// expression. None where it stands for a column of a `*`.
    fn clause_item(
        &mut self,
        expr: &'a Expr,
        outputs: &[Output<'a>],
        known: bool,
        what: &str,
    ) -> Result<Option<&'a Expr>> {
        let mut plain = expr;
        while let Expr::Nested(inner) = plain {
            plain = inner;
        }
        if let Expr::Identifier(ident) = plain {
            let name = fold(ident);
            let at = ident.span.start;
            let level = self.scopes.len() - 1;
            let is_input = what == "GROUP BY" && self.column_if_any(&name, at, level)?.is_some();
            if !is_input {
                let mut found: Option<&Output<'a>> = None;
                for output in outputs.iter().filter(|o| o.name == name) {
                    let same = |a: &Output, b: &Output| match (a.expr, b.expr) {
                        (Some(a), Some(b)) => self.meaning(a) == self.meaning(b),
                        // Of a `*`: perhaps the same column.
                        _ => true,
                    };
                    if found.is_some_and(|f| !same(f, output)) {
                        let message = format!("{what} \"{name}\" is ambiguous");
                        return Err(self.error(SqlState::AMBIGUOUS_COLUMN, message, at));
                    }
                    found = found.or(Some(output));
                }
                if let Some(output) = found {
                    self.may_be_key(output.ty, output.expr.unwrap_or(expr), what)?;
                    return Ok(output.expr);
                }
                if !known {
                    // The `*` may have it.
                    let meant = self.column_if_any(&name, at, 0);
                    if !matches!(meant, Ok(Some(_))) {
                        return Ok(None);
                    }
                }
            }
        }
        if let Expr::Value(value) = plain {
            match &value.value {
                Literal::Number(digits, _) if digits.parse::<i32>().is_ok() => {
                    let number = digits.parse::<usize>().unwrap_or(0);
                    if known && (number == 0 || number > outputs.len()) {
                        let message = format!("{what} position {digits} is not in select list");
                        return Err(self.error_at(SqlState::new("42P10"), message, plain));
                    }
                    let output = number.checked_sub(1).and_then(|n| outputs.get(n)).filter(|_| known);
                    return Ok(output.and_then(|o| o.expr));
                }
                Literal::Placeholder(_) => {}
                _ => {
                    let message = format!("non-integer constant in {what}");
                    return Err(self.error_at(SqlState::SYNTAX_ERROR, message, plain));
                }
            }
        }
        if let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = plain
            && let Expr::Value(value) = inner.as_ref()
            && let Literal::Number(digits, _) = &value.value
        {
            if digits.parse::<i32>().is_ok() {
                let message = format!("{what} position -{digits} is not in select list");
                return Err(self.error_at(SqlState::new("42P10"), message, plain));
            }
            let message = format!("non-integer constant in {what}");
            return Err(self.error_at(SqlState::SYNTAX_ERROR, message, plain));
        }
        let value = self.expression(expr)?;
        self.may_be_key(value.ty, expr, what)?;
        Ok(Some(expr))
    }

    /// Refuses to sort or group by a type without an order.
    fn may_be_key(&self, ty: Ty, expr: &'a Expr, what: &str) -> Result<()> {
        if ty != JSON {
            return Ok(());
        }
        let (kind, hint) = match what {
            "ORDER BY" => ("ordering", Some("Use an explicit ordering operator or modify the query.")),
            _ => ("equality", None),
        };
        let message = format!("could not identify an {kind} operator for type {}", shown(ty));
        let error = self.error_at(SqlState::UNDEFINED_FUNCTION, message, expr);
        Err(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    fn groups(&mut self, select: &'a Select, outputs: &[Output<'a>], known: bool) -> Result<Vec<&'a Expr>> {
        let GroupByExpr::Expressions(exprs, _) = &select.group_by else { return Ok(vec![]) };
        let mut flat = Vec::new();
        exprs.iter().for_each(|e| flatten(e, &mut flat));
        let mut groups = Vec::with_capacity(flat.len());
        for expr in flat {
            let item = self.within(Clause::GroupBy, |a| a.clause_item(expr, outputs, known, "GROUP BY"))?;
            if let Some(item) = item {
                // An aggregate or window function of the select list may not be grouped by.
                self.may_group(item)?;
                groups.push(item);
            }
        }
        Ok(groups)
    }

    fn may_group(&self, item: &'a Expr) -> Result<()> {
        use datafusion::sql::sqlparser::ast::visit_expressions;
        use std::ops::ControlFlow;
        let level = self.scopes.len() - 1;
        let found = visit_expressions(item, |e| {
            let Expr::Function(f) = e else { return ControlFlow::Continue(()) };
            let aggregate = self.aggregates.get(&(std::ptr::from_ref(e) as usize)) == Some(&level);
            match (aggregate, f.over.is_some()) {
                (true, _) => ControlFlow::Break((SqlState::GROUPING_ERROR, "aggregate", f.name.span().start)),
                (_, true) => ControlFlow::Break((SqlState::WINDOWING_ERROR, "window", f.name.span().start)),
                _ => ControlFlow::Continue(()),
            }
        });
        match found.break_value() {
            Some((code, kind, at)) => {
                Err(self.error(code, format!("{kind} functions are not allowed in GROUP BY"), at))
            }
            None => Ok(()),
        }
    }

    fn distinct(
        &mut self,
        select: &'a Select,
        outputs: &[Output<'a>],
        known: bool,
        sorted: &[Option<&'a Expr>],
    ) -> Result<()> {
        match &select.distinct {
            Some(Distinct::Distinct) if known => {
                let listed = outputs.iter().filter_map(|o| o.expr).map(|e| self.meaning(e)).collect::<Vec<_>>();
                for key in sorted.iter().flatten() {
                    let of_star = outputs.iter().any(|o| o.expr.is_none());
                    if !of_star && !listed.contains(&self.meaning(key)) {
                        let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                        return Err(self.error_at(SqlState::new("42P10"), message, key));
                    }
                }
                for output in outputs {
                    if let Some(expr) = output.expr {
                        self.may_be_key(output.ty, expr, "DISTINCT")?;
                    }
                }
                Ok(())
            }
            Some(Distinct::On(exprs)) => {
                let mut items = Vec::with_capacity(exprs.len());
                for expr in exprs {
                    let item = self.within(Clause::OrderBy, |a| a.clause_item(expr, outputs, known, "DISTINCT ON"))?;
                    items.push((expr, item.map(|e| self.meaning(e))));
                }
                if !known || items.iter().any(|(_, m)| m.is_none()) || sorted.iter().any(Option::is_none) {
                    return Ok(());
                }
                self.starts_with(&items, sorted)
            }
            _ => Ok(()),
        }
    }

    /// ORDER BY must begin with the expressions of DISTINCT ON, in any order.
    fn starts_with(&self, items: &[(&'a Expr, Option<String>)], sorted: &[Option<&'a Expr>]) -> Result<()> {
        let wrong = |expr: &Expr| {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            Err(self.error_at(SqlState::new("42P10"), message, expr))
        };
        let (mut skipped, mut met) = (false, Vec::new());
        for key in sorted.iter().flatten() {
            let meaning = Some(self.meaning(key));
            match items.iter().find(|(_, m)| *m == meaning) {
                Some((expr, _)) if skipped => return wrong(expr),
                Some(_) => met.push(meaning),
                None => skipped = true,
            }
        }
        match items.iter().find(|(_, m)| !met.contains(m)) {
            Some((expr, _)) if skipped => wrong(expr),
            _ => Ok(()),
        }
    }

    fn limits(&mut self, query: &'a Query) -> Result<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            if let Some(offset) = offset {
                self.count_of_rows(&offset.value, Clause::Offset)?;
            }
            if let Some(limit) = limit {
                self.count_of_rows(limit, Clause::Limit)?;
            }
        }
        if let Some(quantity) = query.fetch.as_ref().and_then(|f| f.quantity.as_ref()) {
            self.count_of_rows(quantity, Clause::Limit)?;
        }
        Ok(())
    }

    fn window_specs(&mut self, select: &'a Select) -> Result<()> {
        use datafusion::sql::sqlparser::ast::NamedWindowExpr;
        let mut specs = std::mem::take(&mut self.windows);
        specs.extend(select.named_window.iter().filter_map(|w| match &w.1 {
            NamedWindowExpr::WindowSpec(spec) => Some(spec),
            NamedWindowExpr::NamedWindow(_) => None,
        }));
        for spec in specs {
            self.within(Clause::Window, |a| {
                // The parser puts EXCLUDE among the keys.
                let mark = |e: &Expr| matches!(e, Expr::Identifier(i) if i.value.starts_with(frames::EXCLUDE));
                for key in spec.order_by.iter().filter(|k| !mark(&k.expr)) {
                    a.expression(&key.expr)?;
                }
                for key in &spec.partition_by {
                    a.expression(key)?;
                }
                Ok(())
            })?;
        }
        self.windows = vec![];
        Ok(())
    }

    /// ORDER BY of what is no plain SELECT: only columns of the result, by number or name.
    fn order_by_outputs(&mut self, query: &'a Query, columns: &[Column], set: bool) -> Result<()> {
        for key in order_keys(query) {
            let mut plain = &key.expr;
            while let Expr::Nested(inner) = plain {
                plain = inner;
            }
            match plain {
                Expr::Identifier(ident) => {
                    let name = fold(ident);
                    if columns.iter().any(|c| c.name == name) {
                        continue;
                    }
                    if set {
                        let message = format!("column \"{name}\" does not exist");
                        return Err(self.error(SqlState::UNDEFINED_COLUMN, message, ident.span.start));
                    }
                }
                Expr::Value(value) => {
                    if let Literal::Number(digits, _) = &value.value
                        && let Ok(number) = digits.parse::<usize>()
                    {
                        if number == 0 || number > columns.len() {
                            let message = format!("ORDER BY position {digits} is not in select list");
                            return Err(self.error_at(SqlState::new("42P10"), message, plain));
                        }
                        continue;
                    }
                }
                Expr::CompoundIdentifier(parts) if set && parts.len() == 2 => {
                    let message = format!("missing FROM-clause entry for table \"{}\"", fold(&parts[0]));
                    return Err(self.error(SqlState::UNDEFINED_TABLE, message, parts[0].span.start));
                }
                _ if set => {
                    let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                    return Err(self
                        .error_at(SqlState::FEATURE_NOT_SUPPORTED, message, plain)
                        .detail("Only result column names can be used, not expressions or functions.")
                        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The columns that a `*` stands for are grouped too.
    fn starred_are_grouped(&self, select: &'a Select, groups: &[&'a Expr], determined: &[usize]) -> Result<()> {
        let star =
            select.projection.iter().find(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
        let Some(star) = star else { return Ok(()) };
        let only = match star {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                name.0.last().and_then(|p| p.as_ident()).map(fold)
            }
            _ => None,
        };
        let level = self.scopes.len() - 1;
        let places = groups
            .iter()
            .filter_map(|g| self.meant.get(&(std::ptr::from_ref(*g) as usize)))
            .filter(|p| p.level == level)
            .collect::<Vec<_>>();
        for (table, entry) in self.scopes[level].tables.iter().enumerate().filter(|(_, t)| t.shows && !t.join) {
            if only.as_ref().is_some_and(|name| *name != entry.name) {
                continue;
            }
            for (column, c) in entry.columns.iter().enumerate() {
                if !entry.qualifies || places.iter().any(|p| p.table == table && p.column == column) {
                    continue;
                }
                if determined.contains(&table) {
                    let parts = [&entry.name, &c.name].map(|name| Ident::with_quote('"', name));
                    let mut meanings = self.meanings.borrow_mut();
                    let columns = meanings.determined.entry(star.span().start).or_default();
                    columns.push(Expr::CompoundIdentifier(parts.to_vec()));
                    continue;
                }
                let message = format!(
                    "column \"{}.{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                    entry.name, c.name
                );
                return Err(self.error(SqlState::GROUPING_ERROR, message, star.span().start));
            }
        }
        Ok(())
    }
}

fn has_group_by(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
        GroupByExpr::All(_) => true,
    }
}

/// Whether GROUP BY says more than expressions.
fn has_sets(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => exprs.iter().any(|e| match e {
            Expr::Function(f) => is_set(&f.name),
            Expr::Tuple(_) => true,
            _ => false,
        }),
        GroupByExpr::All(_) => true,
    }
}

fn order_keys(query: &Query) -> Vec<&OrderByExpr> {
    match query.order_by.as_ref().map(|o| &o.kind) {
        Some(OrderByKind::Expressions(keys)) => keys.iter().collect(),
        _ => vec![],
    }
}

/// The expressions of grouping sets.
fn is_set(name: &ObjectName) -> bool {
    let marks = [grouping::SETS, grouping::ROLLUP, grouping::CUBE, grouping::EMPTY, grouping::DISTINCT];
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|i| marks.contains(&i.value.as_str())))
}

fn flatten<'a>(expr: &'a Expr, into: &mut Vec<&'a Expr>) {
    match expr {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
            sets.iter().flatten().for_each(|e| flatten(e, into));
        }
        Expr::Tuple(items) => items.iter().for_each(|e| flatten(e, into)),
        // The parser makes calls of grouping sets.
        Expr::Function(f) if is_set(&f.name) => {
            if let FunctionArguments::List(list) = &f.args {
                for arg in &list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = arg {
                        flatten(e, into);
                    }
                }
            }
        }
        Expr::Nested(inner) if matches!(inner.as_ref(), Expr::Function(f) if is_set(&f.name)) => flatten(inner, into),
        other => into.push(other),
    }
}

/// The first select of a set operation's arm.
fn first_item(body: &SetExpr) -> Option<&Expr> {
    item(body, 0)
}

/// The `n`th expression of an arm's select list, if no `*` stands before it.
fn item(body: &SetExpr, n: usize) -> Option<&Expr> {
    match body {
        SetExpr::Select(select) => {
            let items = select.projection.get(..=n)?;
            let stars =
                items.iter().any(|i| !matches!(i, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
            match items.last()? {
                SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } if !stars => Some(e),
                _ => None,
            }
        }
        SetExpr::Query(query) => item(&query.body, n),
        SetExpr::SetOperation { left, .. } => item(left, n),
        SetExpr::Values(values) => values.rows.first()?.content.get(n),
        _ => None,
    }
}

/// Whether a relation of this name stands in FROM.
fn names_itself(query: &Query, name: &str) -> bool {
    let found = visit_relations(query, |relation| match relation.0.as_slice() {
        [part] if part.as_ident().is_some_and(|i| fold(i) == name) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
