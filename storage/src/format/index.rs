//! The persisted form of indexes and foreign keys, parts of a table's definition.

use super::catalog::{sql_type, stored_type};
use super::{narrow, required};
use crate::catalog::{ForeignKeyAction, ForeignKeyDef, IndexColumn, IndexDef, IndexKey, KeyConstraint};
use crate::error::{Error, Result};
use crate::ids::{ColumnId, IndexId, TableId};

/// An index.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct IndexMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    columns: Vec<IndexColumnMessage>,
    #[prost(uint32, repeated, tag = "4")]
    include: Vec<u32>,
    #[prost(string, optional, tag = "5")]
    predicate: Option<String>,
    #[prost(bool, tag = "6")]
    unique: bool,
    #[prost(bool, tag = "7")]
    nulls_not_distinct: bool,
    /// 0 none, 1 PRIMARY KEY, 2 UNIQUE.
    #[prost(uint32, tag = "8")]
    constraint: u32,
    #[prost(string, tag = "9")]
    method: String,
    #[prost(message, repeated, tag = "10")]
    options: Vec<OptionMessage>,
    #[prost(bool, tag = "11")]
    clustered: bool,
    #[prost(string, optional, tag = "12")]
    comment: Option<String>,
    #[prost(string, optional, tag = "13")]
    constraint_comment: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OptionMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `column` or `sql` is there.
#[derive(Clone, PartialEq, prost::Message)]
struct IndexColumnMessage {
    #[prost(uint32, optional, tag = "1")]
    column: Option<u32>,
    #[prost(string, optional, tag = "2")]
    sql: Option<String>,
    /// Of an expression.
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    descending: bool,
    #[prost(bool, tag = "5")]
    nulls_first: bool,
    #[prost(string, optional, tag = "6")]
    opclass: Option<String>,
    #[prost(string, optional, tag = "7")]
    collation: Option<String>,
    /// Of an expression.
    #[prost(string, tag = "8")]
    ty: String,
}

/// A foreign key. Actions: 0 NO ACTION, 1 RESTRICT, 2 CASCADE, 3 SET NULL, 4 SET DEFAULT.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ForeignKeyMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, repeated, tag = "2")]
    columns: Vec<u32>,
    #[prost(uint32, tag = "3")]
    references: u32,
    #[prost(uint32, repeated, tag = "4")]
    referenced: Vec<u32>,
    #[prost(uint32, tag = "5")]
    on_update: u32,
    #[prost(uint32, tag = "6")]
    on_delete: u32,
    #[prost(uint32, repeated, tag = "7")]
    set_columns: Vec<u32>,
    #[prost(bool, tag = "8")]
    match_full: bool,
    #[prost(bool, tag = "9")]
    deferrable: bool,
    #[prost(bool, tag = "10")]
    deferred: bool,
    #[prost(bool, tag = "11")]
    validated: bool,
    #[prost(string, optional, tag = "12")]
    comment: Option<String>,
}

fn numbers(columns: &[ColumnId]) -> Vec<u32> {
    columns.iter().map(|c| u32::from(c.0)).collect()
}

fn columns(numbers: Vec<u32>, what: &str) -> Result<Vec<ColumnId>> {
    numbers.into_iter().map(|c| Ok(ColumnId(narrow(c, what)?))).collect()
}

impl From<&IndexColumn> for IndexColumnMessage {
    fn from(c: &IndexColumn) -> IndexColumnMessage {
        let (column, sql, name, ty) = match &c.key {
            IndexKey::Column(id) => (Some(u32::from(id.0)), None, String::new(), String::new()),
            IndexKey::Expression { sql, name, ty } => (None, Some(sql.clone()), name.clone(), stored_type(ty)),
        };
        IndexColumnMessage {
            column,
            sql,
            name,
            descending: c.descending,
            nulls_first: c.nulls_first,
            opclass: c.opclass.clone(),
            collation: c.collation.clone(),
            ty,
        }
    }
}

impl TryFrom<IndexColumnMessage> for IndexColumn {
    type Error = Error;

    fn try_from(c: IndexColumnMessage) -> Result<IndexColumn> {
        let key = match (c.column, c.sql) {
            (Some(id), _) => Some(IndexKey::Column(ColumnId(narrow(id, "an index")?))),
            (None, Some(sql)) => Some(IndexKey::Expression { sql, name: c.name, ty: sql_type(&c.ty)? }),
            (None, None) => None,
        };
        Ok(IndexColumn {
            key: required(key, "an index")?,
            descending: c.descending,
            nulls_first: c.nulls_first,
            opclass: c.opclass,
            collation: c.collation,
        })
    }
}

impl From<&IndexDef> for IndexMessage {
    fn from(i: &IndexDef) -> IndexMessage {
        let option = |(name, value): &(String, String)| OptionMessage { name: name.clone(), value: value.clone() };
        IndexMessage {
            id: i.id.0,
            name: i.name.clone(),
            columns: i.columns.iter().map(IndexColumnMessage::from).collect(),
            include: numbers(&i.include),
            predicate: i.predicate.clone(),
            unique: i.unique,
            nulls_not_distinct: i.nulls_not_distinct,
            constraint: match i.constraint {
                None => 0,
                Some(KeyConstraint::Primary) => 1,
                Some(KeyConstraint::Unique) => 2,
            },
            method: i.method.clone(),
            options: i.options.iter().map(option).collect(),
            clustered: i.clustered,
            comment: i.comment.clone(),
            constraint_comment: i.constraint_comment.clone(),
        }
    }
}

impl TryFrom<IndexMessage> for IndexDef {
    type Error = Error;

    fn try_from(i: IndexMessage) -> Result<IndexDef> {
        let constraint = match i.constraint {
            0 => Some(None),
            1 => Some(Some(KeyConstraint::Primary)),
            2 => Some(Some(KeyConstraint::Unique)),
            _ => None,
        };
        Ok(IndexDef {
            id: IndexId(i.id),
            name: i.name,
            columns: i.columns.into_iter().map(IndexColumn::try_from).collect::<Result<_>>()?,
            include: columns(i.include, "an index")?,
            predicate: i.predicate,
            unique: i.unique,
            nulls_not_distinct: i.nulls_not_distinct,
            constraint: required(constraint, "an index")?,
            method: i.method,
            options: i.options.into_iter().map(|o| (o.name, o.value)).collect(),
            clustered: i.clustered,
            comment: i.comment,
            constraint_comment: i.constraint_comment,
        })
    }
}

fn action_number(action: ForeignKeyAction) -> u32 {
    match action {
        ForeignKeyAction::NoAction => 0,
        ForeignKeyAction::Restrict => 1,
        ForeignKeyAction::Cascade => 2,
        ForeignKeyAction::SetNull => 3,
        ForeignKeyAction::SetDefault => 4,
    }
}

fn action(number: u32) -> Result<ForeignKeyAction> {
    let known = match number {
        0 => Some(ForeignKeyAction::NoAction),
        1 => Some(ForeignKeyAction::Restrict),
        2 => Some(ForeignKeyAction::Cascade),
        3 => Some(ForeignKeyAction::SetNull),
        4 => Some(ForeignKeyAction::SetDefault),
        _ => None,
    };
    required(known, "a foreign key")
}

impl From<&ForeignKeyDef> for ForeignKeyMessage {
    fn from(f: &ForeignKeyDef) -> ForeignKeyMessage {
        ForeignKeyMessage {
            name: f.name.clone(),
            columns: numbers(&f.columns),
            references: f.references.0,
            referenced: numbers(&f.referenced),
            on_update: action_number(f.on_update),
            on_delete: action_number(f.on_delete),
            set_columns: numbers(&f.set_columns),
            match_full: f.match_full,
            deferrable: f.deferrable,
            deferred: f.deferred,
            validated: f.validated,
            comment: f.comment.clone(),
        }
    }
}

impl TryFrom<ForeignKeyMessage> for ForeignKeyDef {
    type Error = Error;

    fn try_from(f: ForeignKeyMessage) -> Result<ForeignKeyDef> {
        Ok(ForeignKeyDef {
            name: f.name,
            columns: columns(f.columns, "a foreign key")?,
            references: TableId(f.references),
            referenced: columns(f.referenced, "a foreign key")?,
            on_update: action(f.on_update)?,
            on_delete: action(f.on_delete)?,
            set_columns: columns(f.set_columns, "a foreign key")?,
            match_full: f.match_full,
            deferrable: f.deferrable,
            deferred: f.deferred,
            validated: f.validated,
            comment: f.comment,
        })
    }
}
