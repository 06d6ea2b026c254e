//! FROM: tables, views, queries and functions, and the joins of them.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, SetExpr, Spanned,
    TableAlias, TableFactor, TableWithJoins,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};

use super::expression::Value;
use super::scope::{Column, Named, Table, open_column};
use super::types::{OPEN, Ty, can_cast, common_type, of_sql, shown};
use super::{Analysis, Clause, types};
use crate::parser::joins;
use crate::plan::{Relation, SEQUENCE_COLUMNS, fold, resolve_relation};

/// The places of a join's tables among those of the query.
type Side = std::ops::Range<usize>;

impl<'a> Analysis<'a> {
    /// Puts the tables of FROM into the scope.
    ///
    /// # Errors
    /// 42P01, 42712, and all that subqueries and join conditions find.
    pub(super) fn from(&mut self, from: &'a [TableWithJoins]) -> Result<()> {
        for item in from {
            let first = self.scope().tables.len();
            // Queries that are LATERAL see what stands before them.
            for table in &mut self.scope().tables {
                table.lateral = Some(true);
            }
            self.joined(item)?;
            self.distinct_names(first)?;
        }
        for table in &mut self.scope().tables {
            table.lateral = None;
        }
        Ok(())
    }

    /// No two tables of a FROM may go by one name.
    fn distinct_names(&mut self, first: usize) -> Result<()> {
        let tables = &self.scope().tables;
        for (n, table) in tables.iter().enumerate().skip(first).filter(|(_, t)| t.qualifies) {
            let same = |t: &&Table| {
                let apart = table.relation.is_some() && t.relation.is_some() && table.relation != t.relation;
                t.qualifies && t.name == table.name && !apart
            };
            if tables[..n].iter().any(|t| same(&t)) {
                let message = format!("table name \"{}\" specified more than once", table.name);
                return Err(Error::new(SqlState::DUPLICATE_ALIAS, message));
            }
        }
        Ok(())
    }

    fn joined(&mut self, item: &'a TableWithJoins) -> Result<Side> {
        let start = self.scope().tables.len();
        self.factor(&item.relation)?;
        for join in &item.joins {
            self.join(start, join)?;
        }
        Ok(start..self.scope().tables.len())
    }

    fn join(&mut self, start: usize, join: &'a Join) -> Result<()> {
        use JoinOperator as J;
        self.has_condition(join)?;
        let (constraint, inner_or_left) = match &join.join_operator {
            J::Join(c) | J::Inner(c) | J::CrossJoin(c) => (Some(c), true),
            J::Left(c) | J::LeftOuter(c) => (Some(c), true),
            J::Right(c) | J::RightOuter(c) => (Some(c), false),
            J::FullOuter(c) => (Some(c), false),
            _ => (None, true),
        };
        let middle = self.scope().tables.len();
        let before = self.scope().tables[start..].iter().map(|t| t.lateral).collect::<Vec<_>>();
        for table in &mut self.scope().tables[start..] {
            table.lateral = Some(inner_or_left);
        }
        self.factor(&join.relation)?;
        for (table, lateral) in self.scope().tables[start..].iter_mut().zip(before) {
            table.lateral = lateral;
        }
        let end = self.scope().tables.len();
        match constraint {
            Some(JoinConstraint::On(condition)) => {
                let hidden = self.only(start..end);
                let done = self.within(Clause::Join, |a| a.condition(condition, "JOIN/ON"));
                self.show_again(hidden);
                done
            }
            Some(JoinConstraint::Using(names)) => {
                let named = names
                    .iter()
                    .filter_map(|n| n.0.last().and_then(|p| p.as_ident()))
                    .map(|i| (fold(i), i.span.start))
                    .collect::<Vec<_>>();
                // `USING (…) AS j`: the parser put the alias among the names.
                let alias = named.iter().find_map(|(name, _)| name.strip_prefix(joins::ALIAS).map(str::to_string));
                let named = named.into_iter().filter(|(name, _)| !name.starts_with(joins::ALIAS)).collect::<Vec<_>>();
                self.merged(start..middle, middle..end, &named)?;
                if let Some(alias) = alias {
                    self.push(Table { shows: false, ..Named::unknown(alias).table() });
                }
                Ok(())
            }
            Some(JoinConstraint::Natural) => {
                let right = self.side_columns(middle..end);
                let left = self.side_columns(start..middle);
                let (Some(left), Some(right)) = (left, right) else {
                    return self.unknown_join(start..end);
                };
                let named = left
                    .iter()
                    .filter(|l| right.iter().any(|r| r.name == l.name))
                    .map(|c| (c.name.clone(), Location::new(0, 0)))
                    .collect::<Vec<_>>();
                let names = named.iter().map(|(name, _)| name.clone()).collect();
                self.meanings.borrow_mut().natural.insert(join.relation.span().start, names);
                self.merged(start..middle, middle..end, &named)
            }
            _ => Ok(()),
        }
    }

    /// A join that is no CROSS JOIN needs ON or USING.
    fn has_condition(&self, join: &'a Join) -> Result<()> {
        use JoinOperator as J;
        let bare = matches!(
            &join.join_operator,
            J::Join(JoinConstraint::None)
                | J::Inner(JoinConstraint::None)
                | J::Left(JoinConstraint::None)
                | J::LeftOuter(JoinConstraint::None)
                | J::Right(JoinConstraint::None)
                | J::RightOuter(JoinConstraint::None)
                | J::FullOuter(JoinConstraint::None)
        );
        let named = match &join.relation {
            TableFactor::Table { args: None, .. } => true,
            TableFactor::Derived { alias, .. } => alias.is_some(),
            _ => false,
        };
        if !bare || !named {
            return Ok(());
        }
        match self.places.following(join.relation.span().end) {
            // The condition of nested joins stands behind them.
            Some((_, word)) if word.eq_ignore_ascii_case("ON") || word.eq_ignore_ascii_case("USING") => Ok(()),
            Some((_, word)) if word.eq_ignore_ascii_case("JOIN") => Ok(()),
            Some((at, word)) => {
                Err(self.error(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{word}\""), at))
            }
            // Only what names mean is asked for.
            None if self.places.is_empty() => Ok(()),
            None => {
                let end = self.places.end().saturating_sub(self.skipped).max(1);
                Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").position(end))
            }
        }
    }

    /// Hides all tables but these; ON sees only the tables it joins.
    fn only(&mut self, side: Side) -> Vec<Option<bool>> {
        let tables = &mut self.scope().tables;
        let before = tables.iter().map(|t| t.lateral).collect();
        for (n, table) in tables.iter_mut().enumerate() {
            if side.contains(&n) {
                table.lateral = None;
            }
        }
        before
    }

    fn show_again(&mut self, before: Vec<Option<bool>>) {
        for (table, lateral) in self.scope().tables.iter_mut().zip(before) {
            table.lateral = lateral;
        }
    }

    /// The columns of one side as `*` shows them.
    fn side_columns(&mut self, side: Side) -> Option<Vec<Column>> {
        let tables = &self.scope().tables[side];
        if tables.iter().any(|t| t.shows && t.open) {
            return None;
        }
        Some(tables.iter().filter(|t| t.shows).flat_map(|t| t.columns.iter().cloned()).collect())
    }

    /// A join of which the columns are not known.
    fn unknown_join(&mut self, sides: Side) -> Result<()> {
        for table in &mut self.scope().tables[sides] {
            table.shows = false;
        }
        self.push(Table { open: true, join: true, qualifies: false, ..Named::unknown(String::new()).table() });
        Ok(())
    }

    /// USING: the columns of both sides become one, in front of the others.
    fn merged(&mut self, left: Side, right: Side, names: &[(String, Location)]) -> Result<()> {
        let (Some(l), Some(r)) = (self.side_columns(left.clone()), self.side_columns(right.clone())) else {
            return self.unknown_join(left.start..right.end);
        };
        let mut columns = Vec::new();
        for (n, (name, _)) in names.iter().enumerate() {
            if names[..n].iter().any(|(other, _)| other == name) {
                let message = format!("column name \"{name}\" appears more than once in USING clause");
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, message));
            }
            let of = |side: &[Column], which: &str| {
                let mut found = side.iter().filter(|c| c.name == *name);
                match (found.next(), found.next()) {
                    (Some(c), None) => Ok(c.ty),
                    (Some(_), Some(_)) => {
                        let message = format!("common column name \"{name}\" appears more than once in {which} table");
                        Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message))
                    }
                    _ => {
                        let message =
                            format!("column \"{name}\" specified in USING clause does not exist in {which} table");
                        Err(Error::new(SqlState::UNDEFINED_COLUMN, message))
                    }
                }
            };
            let (a, b) = (of(&l, "left")?, of(&r, "right")?);
            let ty = self.merged_type(a, b)?;
            columns.push(Column { name: name.clone(), ty });
        }
        let is_named = |c: &&Column| !names.iter().any(|(name, _)| *name == c.name);
        let rest = l.iter().filter(is_named).chain(r.iter().filter(is_named)).cloned().collect::<Vec<_>>();
        columns.extend(rest);
        for table in &mut self.scope().tables[left.start..right.end] {
            table.shows = false;
        }
        self.push(Table {
            columns,
            open: false,
            join: true,
            qualifies: false,
            ..Named::unknown(String::new()).table()
        });
        Ok(())
    }

    fn merged_type(&self, a: Ty, b: Ty) -> Result<Ty> {
        match common_type(&[a, b]) {
            Ok(ty) if [a, b].iter().all(|t| can_cast(*t, ty, types::Context::Implicit)) => Ok(ty),
            _ => {
                let message = format!("JOIN/USING types {} and {} cannot be matched", shown(a), shown(b));
                Err(Error::new(SqlState::DATATYPE_MISMATCH, message))
            }
        }
    }

    fn push(&mut self, table: Table) {
        self.scope().tables.push(table);
    }

    fn factor(&mut self, factor: &'a TableFactor) -> Result<()> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.relation(name, alias.as_ref()),
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(name, &args.args, alias.as_ref(), *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.function(name, args, alias.as_ref(), *with_ordinality)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let types = self.lateral(true, |a| {
                    a.within(Clause::FromFunction, |a| {
                        array_exprs.iter().map(|e| a.expression(e)).collect::<Result<Vec<Value>>>()
                    })
                })?;
                let shown = if types.len() == 1 { "unnest" } else { "pg_catalog.unnest" };
                for value in &types {
                    let at = |a: &Analysis<'a>| a.places.word_before(a.at(&types[0]), "UNNEST");
                    self.call_named(shown, "unnest", &[*value], &at)?;
                }
                let columns = types.iter().map(|v| Column {
                    name: alias.as_ref().map_or_else(|| "unnest".to_string(), |a| fold(&a.name)),
                    ty: types::element(v.ty).unwrap_or(OPEN),
                });
                let mut columns = columns.collect::<Vec<_>>();
                if *with_ordinality {
                    columns.push(Column { name: "ordinality".to_string(), ty: types::BIGINT });
                }
                let name = alias.as_ref().map_or_else(|| "unnest".to_string(), |a| fold(&a.name));
                self.aliased(Table { columns, open: false, ..Named::unknown(name).table() }, alias.as_ref())
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                if alias.is_none() {
                    let values = matches!(subquery.body.as_ref(), SetExpr::Values(_));
                    let (what, form) = if values { ("VALUES", "VALUES") } else { ("subquery", "SELECT") };
                    let message = format!("{what} in FROM must have an alias");
                    return Err(self
                        .error(SqlState::SYNTAX_ERROR, message, self.places.subquery(subquery))
                        .hint(format!("For example, FROM ({form} ...) [AS] foo.")));
                }
                let columns = self.lateral(*lateral, |a| a.query(subquery))?;
                let name = alias.as_ref().map_or_else(String::new, |a| fold(&a.name));
                let open = columns.is_none();
                let table = Table {
                    columns: columns.unwrap_or_default(),
                    open,
                    qualifies: alias.is_some(),
                    ..Named::unknown(name).table()
                };
                self.aliased(table, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joined(table_with_joins).map(|_| ()),
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } => {
                let side = self.joined(table_with_joins)?;
                let columns = self.side_columns(side.clone());
                for table in &mut self.scope().tables[side] {
                    (table.shows, table.qualifies) = (false, false);
                }
                let open = columns.is_none();
                let columns = columns.unwrap_or_default();
                let table = Table { columns, open, join: true, ..Named::unknown(fold(&alias.name)).table() };
                self.aliased(table, Some(alias))
            }
            other => {
                let name = match other {
                    TableFactor::TableFunction { alias: Some(alias), .. } => fold(&alias.name),
                    _ => String::new(),
                };
                self.push(Named::unknown(name).table());
                Ok(())
            }
        }
    }

    /// Looks at something that sees the tables before it, or does not.
    fn lateral<T>(&mut self, lateral: bool, work: impl FnOnce(&mut Analysis<'a>) -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.scope().lateral, lateral);
        let done = work(self);
        self.scope().lateral = before;
        done
    }

    pub(super) fn relation(&mut self, name: &'a ObjectName, alias: Option<&'a TableAlias>) -> Result<()> {
        let Some(last) = name.0.last().and_then(|p| p.as_ident()) else {
            self.push(Named::unknown(String::new()).table());
            return Ok(());
        };
        let bare = fold(last);
        if name.0.len() == 1 {
            let named = self.scopes.iter().rev().flat_map(|s| s.named.iter().rev()).find(|n| n.name == bare);
            if let Some(named) = named {
                let table = named.table();
                return self.aliased(table, alias);
            }
        }
        let found = match resolve_relation(self.ctx, name) {
            Ok(found) => found,
            Err(e) => {
                let later = name.0.len() == 1 && self.scopes.iter().any(|s| s.later.contains(&bare));
                let e = self.placed(e, name.span().start);
                return Err(if later {
                    e.detail(format!(
                        "There is a WITH item named \"{bare}\", but it cannot be referenced from this part of the query."
                    ))
                    .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.")
                } else {
                    e
                });
            }
        };
        let schema_of = |id| {
            let schemas = &self.ctx.snapshot.catalog.schemas;
            schemas.iter().find(|(_, s)| s.id == id).map(|(name, _)| name.clone()).unwrap_or_default()
        };
        let (schema, columns, open) = match &found {
            Relation::Table(def) => {
                let of = |c: &sightline_storage::catalog::ColumnDef| Column { name: c.name.clone(), ty: of_sql(&c.ty) };
                (schema_of(def.schema), def.columns.iter().map(of).collect(), false)
            }
            Relation::View(view) => {
                let of = |(name, ty): &(String, _)| Column { name: name.clone(), ty: of_sql(ty) };
                (schema_of(view.schema), view.columns.iter().map(of).collect(), false)
            }
            Relation::Sequence(def) => {
                let of = |(name, ty): &(&str, _)| Column { name: (*name).to_string(), ty: of_sql(ty) };
                (schema_of(def.schema), SEQUENCE_COLUMNS.iter().map(of).collect(), false)
            }
            Relation::System(schema, name) => {
                // Their types are simpler than PostgreSQL's here and there.
                let columns = crate::catalog::system_columns(schema, name);
                (schema.to_string(), columns.map(open_column).collect::<Vec<_>>(), false)
            }
        };
        let key = match &found {
            Relation::Table(def) => def.primary_key().and_then(|k| k.key_columns()).and_then(|ids| {
                ids.iter().map(|id| def.columns.iter().position(|c| c.id == *id)).collect::<Option<Vec<_>>>()
            }),
            Relation::View(_) | Relation::Sequence(_) | Relation::System(..) => None,
        };
        let relation = Some((schema, bare.clone()));
        self.aliased(
            Table { relation, columns, open, key: key.unwrap_or_default(), ..Named::unknown(bare).table() },
            alias,
        )
    }

    /// A function in FROM; the columns of one that returns several are not known here.
    fn function(
        &mut self,
        name: &'a ObjectName,
        args: &'a [FunctionArg],
        alias: Option<&'a TableAlias>,
        ordinality: bool,
    ) -> Result<()> {
        let arguments = args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
                _ => None,
            })
            .collect::<Option<Vec<&'a Expr>>>();
        let bare = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        let ty = match arguments {
            _ if crate::files::reads_files(name) => OPEN,
            Some(arguments) => self.lateral(true, |a| {
                a.within(Clause::FromFunction, |a| {
                    let values = arguments.iter().map(|e| a.expression(e)).collect::<Result<Vec<_>>>()?;
                    a.called(name, &values, false).map(|chosen| chosen.map_or(OPEN, |c| c.result))
                })
            })?,
            None => OPEN,
        };
        let called = alias.map_or_else(|| bare.clone(), |a| fold(&a.name));
        let composite = ty == OPEN || ty == types::RECORD;
        let mut columns = vec![];
        // What a column list says, and functions that always return the same columns.
        let defined = alias.is_some_and(|a| !a.columns.is_empty() && a.columns.iter().all(|c| c.data_type.is_some()));
        let set =
            sightline_functions::set_function(&bare).map(|set| set.columns()).filter(|c| composite && c.len() > 1);
        if defined && !ordinality {
            columns = alias.iter().flat_map(|a| &a.columns).map(|c| open_column(&fold(&c.name))).collect();
            return self.aliased(Table { columns, open: false, ..Named::unknown(called).table() }, alias);
        }
        if let Some(set) = set.filter(|_| !ordinality) {
            columns = set.iter().map(|c| open_column(c.name())).collect();
            return self.aliased(Table { columns, open: false, ..Named::unknown(called).table() }, alias);
        }
        if !composite {
            columns.push(Column { name: called.clone(), ty });
            if ordinality {
                columns.push(Column { name: "ordinality".to_string(), ty: types::BIGINT });
            }
        }
        self.aliased(Table { columns, open: composite, ..Named::unknown(called).table() }, alias)
    }

    /// Gives a table its alias.
    fn aliased(&mut self, mut table: Table, alias: Option<&'a TableAlias>) -> Result<()> {
        if let Some(alias) = alias {
            table.name = fold(&alias.name);
            let given = alias.columns.len();
            if given > table.columns.len() && !table.open {
                let message = format!(
                    "table \"{}\" has {} columns available but {given} columns specified",
                    table.name,
                    table.columns.len()
                );
                return Err(Error::new(SqlState::new("42P10"), message));
            }
            for (n, column) in alias.columns.iter().enumerate() {
                match table.columns.get_mut(n) {
                    Some(known) => known.name = fold(&column.name),
                    None => table.columns.push(open_column(&fold(&column.name))),
                }
            }
        }
        self.push(table);
        Ok(())
    }

    /// Whether a name without schema finds this relation.
    pub(super) fn finds(&self, schema: &str, name: &str) -> bool {
        let ident = Ident::with_quote('"', name);
        let name = ObjectName::from(vec![ident]);
        let Ok(found) = resolve_relation(self.ctx, &name) else { return false };
        let schemas = &self.ctx.snapshot.catalog.schemas;
        let is = |id| schemas.get(schema).is_some_and(|s| s.id == id);
        match found {
            Relation::Table(def) => is(def.schema),
            Relation::View(view) => is(view.schema),
            Relation::Sequence(def) => is(def.schema),
            Relation::System(of, _) => of == schema,
        }
    }
}
