//! What an UPDATE or DELETE changes, and the query that finds it.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, AssignmentTarget, Expr, Ident, ObjectName, ObjectNamePart, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::exec::scan::{Place, Places};
use crate::parser::{self, change::Change};
use crate::plan::{QueryContext, Relation, cast_to, column_default, fold, is_row, resolve_relation, target_name};
use crate::statement::insert::{is_default, is_null, is_text_literal, placeholder};

/// The table that a statement changes.
pub(super) struct Target<'a> {
    pub(super) table: Arc<TableDef>,
    pub(super) change: &'a Change,
}

impl<'a> Target<'a> {
    /// # Errors
    /// 42P01; 42809 or 42501 for what is no table.
    pub(super) fn find(ctx: &QueryContext, change: &'a Change) -> Result<Target<'a>> {
        let verb = if change.assignments.is_some() { "update" } else { "delete from" };
        let table = match resolve_relation(ctx, &change.target)? {
            Relation::Table(table) => table,
            Relation::View(view) => {
                let text = format!("cannot {verb} view \"{}\"", view.name);
                return Err(Error::unsupported(text).hint("Change the table that it reads."));
            }
            Relation::Sequence(sequence) => {
                let text = format!("cannot change sequence \"{}\"", sequence.name);
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            Relation::System(_, name) => {
                let text = format!("permission denied for table {name}");
                return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
            }
        };
        Ok(Target { table, change })
    }

    /// What the table goes by in the statement.
    pub(super) fn name(&self) -> &str {
        match &self.change.alias {
            Some(alias) => &alias.name.value,
            None => &self.table.name,
        }
    }

    /// Where the rows found will be gathered.
    pub(super) fn places(&self, ctx: &QueryContext) -> Result<Places> {
        let snapshot = ctx.snapshot.tables.get(&self.table.id);
        let snapshot = snapshot.ok_or_else(|| Error::internal("a table without a snapshot"))?;
        Ok(Places::new(snapshot.clone()))
    }

    /// The query: places first, then for UPDATE all columns of the new rows and, if RETURNING may want them, those of the
    /// other relations; for DELETE what it returns.
    ///
    /// # Errors
    /// 42703, 42601; 0A000 for parts of columns.
    pub(super) fn query(&self, ctx: &QueryContext) -> Result<ast::Query> {
        let mut query = parser::query("SELECT 1 FROM x AS y")?;
        let mut items = vec![item(self.column(Place::PART)), item(self.column(Place::POSITION))];
        match &self.change.assignments {
            Some(assignments) => {
                items.extend(self.new_values(ctx, assignments)?.into_iter().map(item));
                if self.change.returning.is_some() {
                    items.extend(self.others().into_iter().map(all_of));
                }
            }
            None => items.extend(self.returned()),
        }
        let SetExpr::Select(select) = query.body.as_mut() else { return Err(Error::internal("no SELECT")) };
        select.projection = items;
        if let Some(TableFactor::Table { name, alias, .. }) = select.from.first_mut().map(|f| &mut f.relation) {
            *name = self.hidden_name();
            *alias = Some(TableAlias { explicit: true, name: self.ident(), columns: Vec::new(), at: None });
        }
        select.from.extend(self.change.from.iter().cloned());
        select.selection.clone_from(&self.change.selection);
        query.with.clone_from(&self.change.with);
        Ok(query)
    }

    /// The name under which the planner finds the table with the places of its rows.
    fn hidden_name(&self) -> ObjectName {
        let span = self.change.target.0.last().and_then(|p| p.as_ident()).map(|i| i.span);
        let mut ident = Ident::with_quote('"', target_name(self.table.id));
        if let Some(span) = span {
            ident.span = span;
        }
        ObjectName(vec![ObjectNamePart::Identifier(ident)])
    }

    fn ident(&self) -> Ident {
        match &self.change.alias {
            Some(alias) => alias.name.clone(),
            None => Ident::with_quote('"', self.table.name.clone()),
        }
    }

    fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.ident(), Ident::with_quote('"', name)])
    }

    /// For each column its value in the new row.
    fn new_values(&self, ctx: &QueryContext, assignments: &[ast::Assignment]) -> Result<Vec<Expr>> {
        let mut values: Vec<Option<Expr>> = vec![None; self.table.columns.len()];
        for assignment in assignments {
            for (name, value) in pairs(assignment)? {
                let position = self.position(&name)?;
                let column = &self.table.columns[position];
                if values[position].is_some() {
                    let text = format!("multiple assignments to same column \"{}\"", column.name);
                    return Err(Error::new(SqlState::SYNTAX_ERROR, text));
                }
                values[position] = Some(assigned(ctx, value, column)?);
            }
        }
        let columns = self.table.columns.iter().zip(values);
        Ok(columns.map(|(column, value)| value.unwrap_or_else(|| self.column(&column.name))).collect())
    }

    fn position(&self, name: &ObjectName) -> Result<usize> {
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
            let qualified = name.0.first().and_then(|p| p.as_ident()).map(fold);
            let known = |name: &String| self.table.column(name).is_some();
            if let Some(first) = qualified.filter(|n| !known(n)) {
                return Err(self.no_column(&first));
            }
            return Err(Error::unsupported("assignment to a part of a column is not supported"));
        };
        let wanted = fold(ident);
        let found = self.table.columns.iter().position(|c| c.name == wanted);
        found.ok_or_else(|| self.no_column(&wanted))
    }

    fn no_column(&self, name: &str) -> Error {
        let text = format!("column \"{name}\" of relation \"{}\" does not exist", self.table.name);
        Error::new(SqlState::UNDEFINED_COLUMN, text)
    }

    /// The relations of FROM or USING, by the names they go by.
    fn others(&self) -> Vec<Ident> {
        let mut names = Vec::new();
        for table in &self.change.from {
            names.extend(known_as(&table.relation));
            names.extend(table.joins.iter().flat_map(|join| known_as(&join.relation)));
        }
        names
    }

    /// RETURNING of a DELETE, `*` written out: the places are not part of it.
    fn returned(&self) -> Vec<SelectItem> {
        let own = || self.table.columns.iter().map(|c| item(self.column(&c.name)));
        let mut items = Vec::new();
        for returned in self.change.returning.iter().flatten() {
            match returned {
                SelectItem::Wildcard(_) => {
                    items.extend(own());
                    items.extend(self.others().into_iter().map(all_of));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)
                    if name.0.last().and_then(|p| p.as_ident()).map(fold) == Some(fold(&self.ident())) =>
                {
                    items.extend(own());
                }
                other => items.push(other.clone()),
            }
        }
        items
    }
}

fn item(expr: Expr) -> SelectItem {
    SelectItem::UnnamedExpr(expr)
}

fn all_of(relation: Ident) -> SelectItem {
    let name = ObjectName(vec![ObjectNamePart::Identifier(relation)]);
    SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::ObjectName(name),
        WildcardAdditionalOptions::default(),
    )
}

/// What a relation of FROM goes by.
fn known_as(factor: &TableFactor) -> Vec<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. } => vec![alias.name.clone()],
        TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
            name.0.last().and_then(|p| p.as_ident()).cloned().into_iter().collect()
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            let TableWithJoins { relation, joins } = table_with_joins.as_ref();
            let joined = joins.iter().flat_map(|j| known_as(&j.relation));
            known_as(relation).into_iter().chain(joined).collect()
        }
        _ => Vec::new(),
    }
}

/// The columns of an assignment with their values.
fn pairs(assignment: &ast::Assignment) -> Result<Vec<(ObjectName, Expr)>> {
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => return Ok(vec![(name.clone(), assignment.value.clone())]),
        AssignmentTarget::Tuple(names) => names,
    };
    let values = match &assignment.value {
        Expr::Tuple(values) => values.clone(),
        Expr::Nested(value) => vec![value.as_ref().clone()],
        Expr::Function(function) if is_row(&assignment.value) => row_items(function),
        Expr::Subquery(query) => of_subquery(query, names.len())?,
        value if names.len() == 1 && !is_row(value) => vec![value.clone()],
        _ => {
            let text = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
            return Err(Error::unsupported(text));
        }
    };
    if values.len() != names.len() {
        let text = "number of columns does not match number of values";
        return Err(Error::new(SqlState::SYNTAX_ERROR, text));
    }
    Ok(names.iter().cloned().zip(values).collect())
}

fn row_items(function: &ast::Function) -> Vec<Expr> {
    let ast::FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let value = |arg: &ast::FunctionArg| match arg {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    };
    list.args.iter().filter_map(value).collect()
}

/// `(a, b) = (SELECT x, y …)`: for each column a query of its own.
fn of_subquery(query: &ast::Query, columns: usize) -> Result<Vec<Expr>> {
    if let SetExpr::Select(select) = query.body.as_ref() {
        let starred = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        if select.projection.len() != columns && !select.projection.iter().any(starred) {
            let text = "number of columns does not match number of values";
            return Err(Error::new(SqlState::SYNTAX_ERROR, text));
        }
    }
    let one = |n: usize| {
        let names = (0..columns).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
        let mut outer = parser::query(&format!("SELECT c{n} FROM (SELECT 1) AS s({names})"))?;
        if let SetExpr::Select(select) = outer.body.as_mut()
            && let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|f| &mut f.relation)
        {
            **subquery = query.clone();
        }
        Ok(Expr::Subquery(Box::new(outer)))
    };
    (0..columns).map(one).collect()
}

/// Refuses another value than DEFAULT for a column that takes none.
fn fills_itself(column: &ColumnDef) -> Result<()> {
    let detail = match (&column.identity, &column.generated) {
        (Some(identity), _) if identity.always => {
            format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name)
        }
        (_, Some(_)) => format!("Column \"{}\" is a generated column.", column.name),
        _ => return Ok(()),
    };
    let text = format!("column \"{}\" can only be updated to DEFAULT", column.name);
    Err(Error::new(SqlState::GENERATED_ALWAYS, text).detail(detail))
}

/// The value of a column as the query says it.
fn assigned(ctx: &QueryContext, value: Expr, column: &ColumnDef) -> Result<Expr> {
    if is_default(&value) {
        return match column_default(ctx, column) {
            Some(text) => parser::parse_expr(&text),
            None => Ok(Expr::value(ast::Value::Null)),
        };
    }
    fills_itself(column)?;
    let timed = matches!(column.ty.plain(), SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::TimestampTz);
    let users = !column.ty.users().is_empty();
    if (timed && is_text_literal(&value)) || (users && (is_row(&value) || is_null(&value))) {
        return Ok(cast_to(value, &column.ty));
    }
    // A parameter that stands alone is of its column's type, without a length that would cut it.
    if placeholder(&value).is_some() {
        let ty = match column.ty.base() {
            SqlType::Varchar(_) | SqlType::Char(_) => SqlType::Text,
            SqlType::Numeric(_) => SqlType::Numeric(None),
            other => other.plain(),
        };
        return Ok(cast_to(value, &ty));
    }
    Ok(value)
}
