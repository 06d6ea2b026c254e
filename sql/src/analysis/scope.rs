//! What names mean in one query: its tables in the order they were named, which of them can be seen at the moment, and
//! the hints for a name that means nothing (<https://www.postgresql.org/docs/15/queries-table-expressions.html>).

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};

use super::types::{OPEN, Ty};
use super::{Analysis, Clause};
use crate::error::levenshtein;
use crate::plan::fold;

/// One column of a table or query.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) ty: Ty,
}

/// One entry of FROM.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// As it is called here.
    pub(super) name: String,
    /// Schema and name of the relation that an alias hides.
    pub(super) relation: Option<(String, String)>,
    pub(super) columns: Vec<Column>,
    /// There may be more columns.
    pub(super) open: bool,
    /// A join: its columns are those of its sides.
    pub(super) join: bool,
    /// The columns of its primary key.
    pub(super) key: Vec<usize>,
    /// `t.c` means something.
    pub(super) qualifies: bool,
    /// `c` means something.
    pub(super) shows: bool,
    /// Only what is LATERAL sees it at the moment; and whether it may.
    pub(super) lateral: Option<bool>,
}

/// A query of WITH.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) open: bool,
}

/// One query level.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) tables: Vec<Table>,
    /// Queries of WITH.
    pub(super) named: Vec<Named>,
    /// Queries of WITH that come later.
    pub(super) later: Vec<String>,
    pub(super) clause: Clause,
    /// What is being looked at is LATERAL.
    pub(super) lateral: bool,
    pub(super) aggregates: bool,
    /// The windows of its WINDOW clause.
    pub(super) windows: Vec<String>,
}

impl Scope {
    pub(super) fn new() -> Scope {
        Scope {
            tables: vec![],
            named: vec![],
            later: vec![],
            clause: Clause::Select,
            lateral: false,
            aggregates: false,
            windows: vec![],
        }
    }

    fn seen(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.tables.iter().enumerate().filter(|(_, t)| t.lateral.is_none() || self.lateral)
    }
}

/// What a column's name means: level from the outermost, table, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) level: usize,
    pub(super) table: usize,
    pub(super) column: usize,
}

/// A name that was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meant {
    Column(Place, Ty),
    /// A whole row.
    Row,
    /// A column of what is not known here.
    Open,
}

impl<'a> Analysis<'a> {
    /// What a name alone means: the innermost query that has such a column.
    ///
    /// # Errors
    /// 42702 for several, 42703 for none.
    pub(super) fn column(&self, name: &str, at: Location) -> Result<Meant> {
        let found = self.column_if_any(name, at, 0)?;
        if let Some(Meant::Column(..)) = found {
            return Ok(found.unwrap_or(Meant::Open));
        }
        if self.has_row(name) {
            self.meanings.borrow_mut().rows.insert(at);
            return Ok(Meant::Row);
        }
        if found.is_some() || SYSTEM_COLUMNS.contains(&name) {
            return Ok(Meant::Open);
        }
        Err(self.missing_column(None, name, at))
    }

    /// Whether there is a table of this name whose columns are known.
    fn has_row(&self, name: &str) -> bool {
        let mut named = self.scopes.iter().rev().flat_map(|s| s.seen()).filter(|(_, t)| t.qualifies && t.name == name);
        named.next().is_some_and(|(_, t)| !t.open)
    }

    /// Whether a name alone stands for a whole row, if it has a meaning.
    pub(super) fn is_row(&self, name: &str, at: Location) -> bool {
        !matches!(self.column_if_any(name, at, 0), Ok(Some(Meant::Column(..))) | Err(_)) && self.has_row(name)
    }

    /// As [`column`](Analysis::column), down to a level, without a fault if there is none.
    ///
    /// # Errors
    /// 42702.
    pub(super) fn column_if_any(&self, name: &str, at: Location, outermost: usize) -> Result<Option<Meant>> {
        for (level, scope) in self.scopes.iter().enumerate().skip(outermost).rev() {
            let mut found = None;
            for (table, entry) in scope.seen().filter(|(_, t)| t.shows) {
                for (column, c) in entry.columns.iter().enumerate().filter(|(_, c)| c.name == name) {
                    if found.is_some() {
                        let message = format!("column reference \"{name}\" is ambiguous");
                        return Err(self.error(SqlState::AMBIGUOUS_COLUMN, message, at));
                    }
                    found = Some(Meant::Column(Place { level, table, column }, c.ty));
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            // What is hidden here could be the one.
            if scope.seen().any(|(_, t)| t.open) {
                return Ok(Some(Meant::Open));
            }
        }
        Ok(None)
    }

    /// What `t.c` or `s.t.c` means.
    ///
    /// # Errors
    /// 42P01, 42702, 42703.
    pub(super) fn qualified(&self, parts: &[Ident]) -> Result<Meant> {
        let names = parts.iter().map(fold).collect::<Vec<_>>();
        let at = parts[0].span.start;
        let (schema, table, column) = match names.as_slice() {
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema), table, column),
            // A database in front, which others look at.
            _ => return Ok(Meant::Open),
        };
        let Some((level, number)) = self.table(schema.map(String::as_str), table, at)? else {
            return Err(self.missing_table(schema.map(String::as_str), table, at));
        };
        let entry = &self.scopes[level].tables[number];
        let mut found = entry.columns.iter().enumerate().filter(|(_, c)| c.name == *column);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let message = format!("column reference \"{column}\" is ambiguous");
                Err(self.error(SqlState::AMBIGUOUS_COLUMN, message, at))
            }
            (Some((n, c)), None) => Ok(Meant::Column(Place { level, table: number, column: n }, c.ty)),
            _ if entry.open || SYSTEM_COLUMNS.contains(&column.as_str()) => Ok(Meant::Open),
            _ => Err(self.missing_column(Some(table), column, at)),
        }
    }

    /// The table that a name in front of a column means.
    ///
    /// # Errors
    /// 42P09 for several.
    pub(super) fn table(&self, schema: Option<&str>, name: &str, at: Location) -> Result<Option<(usize, usize)>> {
        for (level, scope) in self.scopes.iter().enumerate().rev() {
            let fits = |t: &Table| match (schema, &t.relation) {
                (None, _) => t.name == name,
                (Some(schema), Some((s, n))) => s == schema && n == name && t.name == name,
                (Some(_), None) => t.open && t.name == name,
            };
            let mut found = scope.seen().filter(|(_, t)| t.qualifies && fits(t));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(self.error(SqlState::new("42P09"), message, at));
                }
                (Some((number, entry)), None) => {
                    if entry.lateral == Some(false) {
                        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
                        let detail = "The combining JOIN type must be INNER or LEFT for a LATERAL reference.";
                        return Err(self.error(SqlState::new("42P10"), message, at).detail(detail));
                    }
                    return Ok(Some((level, number)));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// 42P01 for a table that no FROM has, or that cannot be seen from here.
    pub(super) fn missing_table(&self, schema: Option<&str>, name: &str, at: Location) -> Error {
        let path = schema.map(str::to_string);
        let same = |t: &Table| {
            let hidden = t.relation.as_ref().is_some_and(|(s, n)| {
                n == name && path.as_ref().map_or_else(|| self.finds(s, name), |wanted| wanted == s)
            });
            !t.join && (hidden || t.name == name)
        };
        let entry = self.scopes.iter().rev().flat_map(|s| s.tables.iter()).find(|t| same(t));
        let Some(entry) = entry else {
            let message = format!("missing FROM-clause entry for table \"{name}\"");
            return self.error(SqlState::UNDEFINED_TABLE, message, at);
        };
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let error = self.error(SqlState::UNDEFINED_TABLE, message, at);
        let reachable = matches!(self.table(None, &entry.name, at), Ok(Some(_)));
        if entry.name != name && reachable {
            return error.hint(format!("Perhaps you meant to reference the table alias \"{}\".", entry.name));
        }
        let hint =
            format!("There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.");
        error.hint(hint)
    }

    /// 42703, with the column that was meant by PostgreSQL's rule: the one or two nearest by Levenshtein's distance, if
    /// at most half of the letters differ; the distance of a table's name counts as well.
    pub(super) fn missing_column(&self, table: Option<&str>, name: &str, at: Location) -> Error {
        let shown = table.map_or_else(|| format!("\"{name}\""), |t| format!("{t}.{name}"));
        let error = self.error(SqlState::UNDEFINED_COLUMN, format!("column {shown} does not exist"), at);
        let mut best = FARTHEST + 1;
        let mut nearest: Vec<(&str, &str)> = Vec::new();
        for entry in self.scopes.iter().rev().flat_map(|s| s.tables.iter()).filter(|t| !t.join) {
            let apart = table.map_or(0, |t| levenshtein(t, &entry.name));
            for column in &entry.columns {
                if apart == 0 && column.name == name {
                    return error.hint(format!(
                        "There is a column named \"{name}\" in table \"{}\", but it cannot be referenced from this \
                         part of the query.",
                        entry.name
                    ));
                }
                let distance = levenshtein(name, &column.name);
                if apart > best || distance > name.len() / 2 {
                    continue;
                }
                let distance = distance + apart;
                if distance < best {
                    (best, nearest) = (distance, vec![(entry.name.as_str(), column.name.as_str())]);
                } else if distance == best && nearest.len() < 2 {
                    nearest.push((&entry.name, &column.name));
                } else if distance == best {
                    // Too many are as near.
                    (best, nearest) = (distance.saturating_sub(1), vec![]);
                }
            }
        }
        match nearest.as_slice() {
            [(t, c)] => error.hint(format!("Perhaps you meant to reference the column \"{t}.{c}\".")),
            [(t, c), (u, d)] => {
                error.hint(format!("Perhaps you meant to reference the column \"{t}.{c}\" or the column \"{u}.{d}\"."))
            }
            _ => error,
        }
    }

    /// The columns that `*` or `t.*` stands for; none if that is not known.
    pub(super) fn starred(&self, level: usize, only: Option<usize>) -> Option<Vec<Column>> {
        let scope = &self.scopes[level];
        let mut columns = Vec::new();
        for (n, table) in scope.tables.iter().enumerate() {
            if only.map_or(!table.shows, |o| o != n) {
                continue;
            }
            if table.open {
                return None;
            }
            columns.extend(table.columns.iter().cloned());
        }
        Some(columns)
    }
}

/// The farthest that a name may be from what is hinted at.
const FARTHEST: usize = 3;

/// Columns that every table has in PostgreSQL; which of them we have is not looked at here.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];

impl Named {
    pub(super) fn table(&self) -> Table {
        Table {
            name: self.name.clone(),
            relation: None,
            columns: self.columns.clone(),
            open: self.open,
            join: false,
            key: vec![],
            qualifies: true,
            shows: true,
            lateral: None,
        }
    }

    /// A query of which nothing is known but its name.
    pub(super) fn unknown(name: String) -> Named {
        Named { name, columns: vec![], open: true }
    }
}

/// A column of a type not known here.
pub(super) fn open_column(name: &str) -> Column {
    Column { name: name.to_string(), ty: OPEN }
}
