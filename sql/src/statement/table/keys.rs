//! PRIMARY KEY and UNIQUE in CREATE and ALTER TABLE: what they say becomes unique indexes of the definition
//! (<https://www.postgresql.org/docs/15/ddl-constraints.html>).

use std::sync::Arc;

use sightline_storage::catalog::index::INDEX_COLUMNS_MAX;
use sightline_storage::catalog::{ColumnDef, IndexColumn, IndexDef, KeyConstraint, TableDef};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::TableId;

use super::super::{index, names};
use super::create::{exists_beside, is_system_column};
use super::foreign_keys;
use crate::answer::Notice;
use crate::parser::key::{KeyClause, KeyRule};
use crate::plan::QueryContext;
use crate::session::Session;

/// The most bytes of a name.
const NAME_BYTES: usize = 63;

/// What new keys ask of the rows that are there.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Columns that a primary key makes NOT NULL.
    pub(super) not_null: Vec<String>,
    /// New unique indexes, by name.
    pub(super) unique: Vec<String>,
}

/// A name of `first`, `second` and a label, the longer of the two cut until it has no more than 63 bytes, as PostgreSQL makes
/// names up.
fn made_up(first: &str, second: Option<&str>, label: &str) -> String {
    let room = NAME_BYTES.saturating_sub(label.len() + 1 + usize::from(second.is_some()));
    let (mut one, mut two) = (first.len(), second.map_or(0, str::len));
    while one + two > room {
        if one > two { one -= 1 } else { two -= 1 }
    }
    let cut = |text: &str, bytes: usize| text[..text.floor_char_boundary(bytes)].to_string();
    match second {
        Some(second) => format!("{}_{}_{label}", cut(first, one), cut(second, two)),
        None => format!("{}_{label}", cut(first, one)),
    }
}

/// The first name that is free: `t_a_key`, `t_a_key1` … Names of keys are those of relations and of constraints, names of
/// plain indexes those of relations, names of foreign keys those of constraints.
pub(in crate::statement) fn free_name(
    ctx: &QueryContext,
    table: &TableDef,
    second: Option<&str>,
    label: &str,
    (relation, constraint): (bool, bool),
) -> String {
    let others = || ctx.snapshot.catalog.tables_of(table.schema).filter(|t| t.id != table.id);
    let taken = |name: &str| {
        (relation && is_relation(ctx, table, name))
            || (constraint && (table.has_constraint(name) || others().any(|t| t.has_constraint(name))))
    };
    let numbered = (1..).map(|n| format!("{label}{n}"));
    let mut labels =
        std::iter::once(label.to_string()).chain(numbered).map(|label| made_up(&table.name, second, &label));
    labels.find(|name| !taken(name)).unwrap_or_default()
}

/// Whether a relation of the table's schema has the name: one of the catalog, the table itself, or an index that it is about to
/// have.
pub(in crate::statement) fn is_relation(ctx: &QueryContext, table: &TableDef, name: &str) -> bool {
    table.name == name || table.index(name).is_some() || exists_beside(ctx, table.schema, name, table.id)
}

/// The columns of a key as a made-up name has them: `a_b`.
pub(in crate::statement) fn joined<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for column in columns {
        if !text.is_empty() {
            text.push('_');
        }
        text.push_str(column);
        if text.len() > NAME_BYTES {
            break;
        }
    }
    text
}

pub(super) fn placed(e: Error, clause: &KeyClause) -> Error {
    match clause.position {
        0 => e,
        position => e.position(position),
    }
}

fn multiple(table: &TableDef) -> Error {
    let text = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
    Error::new(SqlState::INVALID_TABLE_DEFINITION, text)
}

/// Adds keys to the definition: all of CREATE TABLE, or those of one ALTER TABLE. Foreign keys come last, for they may refer
/// to the others.
///
/// # Errors
/// 42P16, 42703, 42701, 42704, 42P07, 42710, 0A000; those of foreign keys.
pub(super) fn add(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    table: &mut TableDef,
    clauses: &[&KeyClause],
) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut unique = clauses.iter().filter(|c| matches!(c.rule, KeyRule::Unique { .. })).copied().collect::<Vec<_>>();
    if let Some(second) = unique.iter().filter(|c| c.is_primary()).nth(1) {
        return Err(placed(multiple(table), second));
    }
    // The primary key is the first index, wherever it stands.
    unique.sort_by_key(|c| !c.is_primary());
    let mut drafts: Vec<(IndexDef, &KeyClause)> = Vec::new();
    for clause in unique {
        if let KeyRule::Unique { index: Some(index), .. } = &clause.rule {
            use_index(session, ctx, table, clause, index, &mut asked)?;
            continue;
        }
        let draft = draft(table, clause)?;
        // Two that say the same are one index, under the first name that was given.
        let same = drafts.iter_mut().find(|(d, _)| {
            d.columns == draft.columns && d.include == draft.include && d.nulls_not_distinct == draft.nulls_not_distinct
        });
        match same {
            Some((earlier, _)) if earlier.name.is_empty() => earlier.name = draft.name,
            Some(_) => {}
            None => drafts.push((draft, clause)),
        }
    }
    for (mut draft, clause) in drafts {
        if draft.is_primary() && table.primary_key().is_some() {
            return Err(if table.id == TableId(0) { placed(multiple(table), clause) } else { multiple(table) });
        }
        draft.name = named(ctx, table, &draft)?;
        if draft.is_primary() {
            not_null(table, &draft, &mut asked);
        }
        asked.unique.push(draft.name.clone());
        table.indexes.push(draft);
    }
    let foreign = clauses.iter().filter(|c| matches!(c.rule, KeyRule::Foreign { .. }));
    foreign.copied().try_for_each(|clause| foreign_keys::add(session, ctx, table, clause))?;
    Ok(asked)
}

/// The columns of a primary key are NOT NULL.
fn not_null(table: &mut TableDef, index: &IndexDef, asked: &mut Asked) {
    let columns = index.key_columns().unwrap_or_default();
    for column in table.columns.iter_mut().filter(|c| columns.contains(&c.id) && !c.not_null) {
        column.not_null = true;
        asked.not_null.push(column.name.clone());
    }
}

/// The given name, or one that is made up.
fn named(ctx: &QueryContext, table: &TableDef, draft: &IndexDef) -> Result<String> {
    if draft.name.is_empty() {
        let column = |id| table.column_by_id(id).map(|c| c.name.as_str());
        let columns = draft.columns.iter().filter_map(IndexColumn::column).chain(draft.include.iter().copied());
        let columns = joined(columns.filter_map(column));
        return Ok(match draft.is_primary() {
            true => free_name(ctx, table, None, "pkey", (true, true)),
            false => free_name(ctx, table, Some(&columns), "key", (true, true)),
        });
    }
    if is_relation(ctx, table, &draft.name) {
        let text = format!("relation \"{}\" already exists", draft.name);
        return Err(Error::new(SqlState::DUPLICATE_TABLE, text));
    }
    not_taken(table, &draft.name)?;
    Ok(draft.name.clone())
}

/// Refuses a name that a constraint of the table has.
///
/// # Errors
/// 42710.
pub(super) fn not_taken(table: &TableDef, name: &str) -> Result<()> {
    if table.has_constraint(name) {
        let text = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, text));
    }
    Ok(())
}

/// What a PRIMARY KEY or UNIQUE says, as an index whose name is empty if none was given.
fn draft(table: &TableDef, clause: &KeyClause) -> Result<IndexDef> {
    let KeyRule::Unique { primary, nulls_not_distinct, include, options, .. } = &clause.rule else {
        return Err(Error::internal("a foreign key is no index"));
    };
    attributes(clause)?;
    let (constraint, kind, words) = match primary {
        true => (KeyConstraint::Primary, "primary key", "PRIMARY KEY"),
        false => (KeyConstraint::Unique, "unique", "UNIQUE"),
    };
    if clause.not_valid {
        let text = format!("{words} constraints cannot be marked NOT VALID");
        return Err(placed(Error::unsupported(text), clause));
    }
    // PostgreSQL tells the place only where the table is made.
    let told = |e: Error| if table.id == TableId(0) { placed(e, clause) } else { e };
    let column = |name: &String| key_column(table, name).map_err(told);
    let mut index = IndexDef {
        unique: true,
        nulls_not_distinct: *nulls_not_distinct,
        constraint: Some(constraint),
        options: index::options(options, "btree")?,
        ..IndexDef::new(clause.name.as_deref().map(names::new_name).transpose()?.unwrap_or_default())
    };
    for (n, name) in clause.columns.iter().enumerate() {
        if clause.columns[..n].contains(name) {
            let text = format!("column \"{name}\" appears twice in {kind} constraint");
            return Err(placed(Error::new(SqlState::DUPLICATE_COLUMN, text), clause));
        }
        let column = column(name)?;
        index::method::check_type("btree", &column.ty, None)?;
        index.columns.push(IndexColumn::new(column.id));
    }
    for name in include {
        index.include.push(column(name)?.id);
    }
    if index.columns.len() + index.include.len() > INDEX_COLUMNS_MAX {
        return Err(index::too_many());
    }
    Ok(index)
}

/// Keys that are held against rows at the end of a transaction only are not ours.
fn attributes(clause: &KeyClause) -> Result<()> {
    if !clause.deferrable {
        return Ok(());
    }
    let e = Error::unsupported("deferrable unique and primary key constraints are not supported")
        .hint("Leave out DEFERRABLE: keys hold after each statement.");
    Err(placed(e, clause))
}

fn key_column<'a>(table: &'a TableDef, name: &str) -> Result<&'a ColumnDef> {
    if let Some(column) = table.column(name) {
        return Ok(column);
    }
    if is_system_column(name) {
        return Err(Error::unsupported("index creation on system columns is not supported"));
    }
    Err(Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")))
}

/// ADD CONSTRAINT … USING INDEX: an index that is there becomes that of a constraint.
fn use_index(
    session: &mut Session,
    ctx: &QueryContext,
    table: &mut TableDef,
    clause: &KeyClause,
    name: &str,
    asked: &mut Asked,
) -> Result<()> {
    let refuse = |code, text: String| placed(Error::new(code, text), clause);
    let state = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
    let why = "Cannot create a primary key or unique constraint using such an index.";
    attributes(clause)?;
    let Some(at) = table.indexes.iter().position(|i| i.name == name) else {
        return Err(match ctx.snapshot.catalog.index_named(table.schema, name) {
            Some(_) => refuse(state, format!("index \"{name}\" does not belong to table \"{}\"", table.name)),
            None => refuse(SqlState::UNDEFINED_OBJECT, format!("index \"{name}\" does not exist")),
        });
    };
    let index = &table.indexes[at];
    if index.constraint.is_some() {
        return Err(refuse(state, format!("index \"{name}\" is already associated with a constraint")));
    }
    let wrong = |text: String| Err(refuse(SqlState::WRONG_OBJECT_TYPE, text).detail(why));
    if !index.unique {
        return wrong(format!("\"{name}\" is not a unique index"));
    }
    if index.key_columns().is_none() {
        return wrong(format!("index \"{name}\" contains expressions"));
    }
    if index.predicate.is_some() {
        return wrong(format!("\"{name}\" is a partial index"));
    }
    let plain = |c: &IndexColumn| !c.descending && !c.nulls_first && c.opclass.is_none() && c.collation.is_none();
    if let Some(n) = index.columns.iter().position(|c| !plain(c)) {
        return wrong(format!("index \"{name}\" column number {} does not have default sorting behavior", n + 1));
    }
    let new = clause.name.as_deref().map(names::new_name).transpose()?.unwrap_or_else(|| name.to_string());
    if clause.is_primary() && table.primary_key().is_some() {
        return Err(multiple(table));
    }
    not_taken(table, &new)?;
    if new != name {
        if is_relation(ctx, table, &new) {
            return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{new}\" already exists")));
        }
        let text = format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{name}\" to \"{new}\"");
        session.notice(Notice::new(SqlState::new("00000"), text));
    }
    let index = &mut table.indexes[at];
    index.name = new;
    index.constraint = Some(if clause.is_primary() { KeyConstraint::Primary } else { KeyConstraint::Unique });
    let index = index.clone();
    if index.is_primary() {
        not_null(table, &index, asked);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::made_up;

    #[test]
    fn long_names_are_cut_evenly() {
        assert_eq!(made_up("t", None, "pkey"), "t_pkey");
        assert_eq!(made_up("t", Some("a_b"), "key12"), "t_a_b_key12");
        let (long, other) = ("a".repeat(63), "b".repeat(40));
        assert_eq!(made_up(&long, None, "pkey"), format!("{}_pkey", "a".repeat(58)));
        assert_eq!(made_up(&long, Some(&other), "key"), format!("{}_{}_key", "a".repeat(29), "b".repeat(29)));
        assert_eq!(made_up(&"ä".repeat(31), Some("b"), "key"), format!("{}_b_key", "ä".repeat(28)));
    }
}
