//! Indexes, keys and foreign keys of a table. All of them are kept in the table's definition: an index is nothing without
//! its table, and a write must know in one place what it may break.
//!
//! A PRIMARY KEY or UNIQUE constraint is a unique index that says so (`constraint`), as in PostgreSQL
//! (<https://www.postgresql.org/docs/15/catalog-pg-index.html>); both have one name. Names of indexes are names of relations of
//! the schema; names of constraints are unique in their table.

use super::TableDef;
use crate::ids::{ColumnId, IndexId, TableId};
use crate::types::SqlType;

/// The most key columns of an index, those of INCLUDE counted in: PostgreSQL's `INDEX_MAX_KEYS`.
pub const INDEX_COLUMNS_MAX: usize = 32;

/// One index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDef {
    /// 0 is new: apply gives out the OID.
    pub id: IndexId,
    pub name: String,
    /// The key, in order; never empty.
    pub columns: Vec<IndexColumn>,
    /// Columns of INCLUDE: kept beside the key, no part of it.
    pub include: Vec<ColumnId>,
    /// WHERE of a partial index, as SQL text over the table's columns.
    pub predicate: Option<String>,
    /// No two rows (of those that `predicate` takes) have one key.
    pub unique: bool,
    /// NULLS NOT DISTINCT: NULLs in a key are equal. Otherwise a key with a NULL in it equals none.
    pub nulls_not_distinct: bool,
    /// Set for the index of a constraint; it is unique then, over columns only, and without predicate.
    pub constraint: Option<KeyConstraint>,
    /// The access method as said: `btree`, `hash`, `gin` …; shown, and nothing else.
    pub method: String,
    /// WITH (…): shown, and nothing else.
    pub options: Vec<(String, String)>,
    /// The index that CLUSTER was last told.
    pub clustered: bool,
    pub comment: Option<String>,
    /// COMMENT ON CONSTRAINT of its constraint.
    pub constraint_comment: Option<String>,
}

/// What kind of constraint an index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyConstraint {
    Primary,
    Unique,
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexColumn {
    pub key: IndexKey,
    pub descending: bool,
    pub nulls_first: bool,
    /// The operator class as said, if one was: shown, and nothing else.
    pub opclass: Option<String>,
    /// COLLATE as said, if it was: shown, and nothing else.
    pub collation: Option<String>,
}

/// What is indexed.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexKey {
    Column(ColumnId),
    Expression {
        /// SQL text over the table's columns.
        sql: String,
        /// What the index's own column is called, e.g. `lower` of `lower(name)`.
        name: String,
        ty: SqlType,
    },
}

/// One foreign key: shown, NOT enforced.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKeyDef {
    pub name: String,
    pub columns: Vec<ColumnId>,
    /// 0 in a new table is that table itself.
    pub references: TableId,
    /// Columns of `references`, as many as `columns`.
    pub referenced: Vec<ColumnId>,
    pub on_update: ForeignKeyAction,
    pub on_delete: ForeignKeyAction,
    /// Columns of `ON DELETE SET NULL (…)`; none are all.
    pub set_columns: Vec<ColumnId>,
    /// MATCH FULL.
    pub match_full: bool,
    pub deferrable: bool,
    pub deferred: bool,
    /// False for NOT VALID until VALIDATE CONSTRAINT.
    pub validated: bool,
    pub comment: Option<String>,
}

/// What becomes of a referencing row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignKeyAction {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl IndexDef {
    /// A plain index of this name, without columns yet.
    pub fn new(name: impl Into<String>) -> IndexDef {
        IndexDef {
            id: IndexId(0),
            name: name.into(),
            columns: Vec::new(),
            include: Vec::new(),
            predicate: None,
            unique: false,
            nulls_not_distinct: false,
            constraint: None,
            method: "btree".to_string(),
            options: Vec::new(),
            clustered: false,
            comment: None,
            constraint_comment: None,
        }
    }

    /// Whether it is the index of the primary key.
    pub fn is_primary(&self) -> bool {
        self.constraint == Some(KeyConstraint::Primary)
    }

    /// The key's columns, if it is made of columns only.
    pub fn key_columns(&self) -> Option<Vec<ColumnId>> {
        self.columns.iter().map(IndexColumn::column).collect()
    }

    /// Whether the column is in the key or in INCLUDE. Expressions are text and are not looked into.
    pub fn has_column(&self, id: ColumnId) -> bool {
        self.include.contains(&id) || self.columns.iter().any(|c| c.column() == Some(id))
    }

    /// True if both let through the same rows: all but names and what is only shown.
    fn same_rule(&self, other: &IndexDef) -> bool {
        let keys = |i: &IndexDef| i.columns.iter().map(|c| c.key.clone()).collect::<Vec<_>>();
        self.id == other.id
            && self.unique == other.unique
            && self.nulls_not_distinct == other.nulls_not_distinct
            && self.predicate == other.predicate
            && keys(self) == keys(other)
    }
}

impl IndexColumn {
    /// An ascending column.
    pub fn new(column: ColumnId) -> IndexColumn {
        IndexColumn {
            key: IndexKey::Column(column),
            descending: false,
            nulls_first: false,
            opclass: None,
            collation: None,
        }
    }

    /// The column, if it is one.
    pub fn column(&self) -> Option<ColumnId> {
        match &self.key {
            IndexKey::Column(id) => Some(*id),
            IndexKey::Expression { .. } => None,
        }
    }
}

impl TableDef {
    /// The index of the primary key.
    pub fn primary_key(&self) -> Option<&IndexDef> {
        self.indexes.iter().find(|i| i.is_primary())
    }

    /// The index with this name.
    pub fn index(&self, name: &str) -> Option<&IndexDef> {
        self.indexes.iter().find(|i| i.name == name)
    }

    /// The indexes that writes must keep unique.
    pub fn unique_indexes(&self) -> impl Iterator<Item = &IndexDef> {
        self.indexes.iter().filter(|i| i.unique)
    }

    /// Whether a constraint of the table has this name.
    pub fn has_constraint(&self, name: &str) -> bool {
        self.checks.iter().any(|c| c.name == name)
            || self.indexes.iter().any(|i| i.constraint.is_some() && i.name == name)
            || self.foreign_keys.iter().any(|f| f.name == name)
    }

    /// The unique index over exactly these columns, in any order, that a foreign key may refer to: the first made.
    pub fn referable(&self, columns: &[ColumnId]) -> Option<&IndexDef> {
        let same = |keys: &[ColumnId]| keys.len() == columns.len() && columns.iter().all(|c| keys.contains(c));
        let fits = |i: &&IndexDef| i.unique && i.predicate.is_none() && i.key_columns().is_some_and(|keys| same(&keys));
        self.indexes.iter().filter(fits).min_by_key(|i| i.id)
    }

    /// True if the same rows keep to the keys of both definitions.
    pub(crate) fn same_keys(&self, other: &TableDef) -> bool {
        let (mine, theirs) = (self.unique_indexes().collect::<Vec<_>>(), other.unique_indexes().collect::<Vec<_>>());
        mine.len() == theirs.len() && mine.iter().zip(&theirs).all(|(a, b)| a.same_rule(b))
    }
}
