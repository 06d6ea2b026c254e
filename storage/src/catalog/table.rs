//! A table's definition.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::{ForeignKeyDef, IndexDef};
use crate::ids::{ColumnId, RoleId, SchemaId, SequenceId, TableId};
use crate::types::SqlType;

/// The most columns of a table. PostgreSQL's limit is 1600, what a page of a heap holds; tables for analysis are wider.
pub const COLUMNS_MAX: usize = 4096;

/// One table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDef {
    pub id: TableId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    /// Raised by each change of columns or constraints; a write names the version it was made for.
    pub version: u32,
    /// Live columns in order of creation.
    pub columns: Vec<ColumnDef>,
    /// The next [`ColumnId`] to give out: numbers of dropped columns are never used again.
    pub next_column: u16,
    pub checks: Vec<CheckDef>,
    /// All indexes, those of PRIMARY KEY and UNIQUE included, in order of creation.
    pub indexes: Vec<IndexDef>,
    pub foreign_keys: Vec<ForeignKeyDef>,
    pub partition_by: Vec<PartitionExpr>,
    /// The sort order of parts.
    pub cluster_by: Vec<ColumnId>,
    /// Rows older than so many microseconds by the first time column of `partition_by` may be dropped.
    pub retention_us: Option<i64>,
    pub comment: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    pub id: ColumnId,
    pub name: String,
    /// The column's name inside parts and hot batches: never changes, unique in the table for ever.
    pub stored_name: String,
    pub ty: SqlType,
    pub not_null: bool,
    /// The DEFAULT expression as SQL text.
    pub default: Option<String>,
    /// It fills itself from a sequence: GENERATED … AS IDENTITY.
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (…) STORED: the expression over the table's other columns, as SQL text.
    pub generated: Option<String>,
    /// What rows written before the column existed hold: an Arrow IPC stream of one row, one column; none is NULL.
    pub missing: Option<Vec<u8>>,
    pub comment: Option<String>,
}

/// How a column fills itself from a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The sequence, which is owned by the column.
    pub sequence: SequenceId,
    /// GENERATED ALWAYS: only OVERRIDING SYSTEM VALUE writes another value.
    pub always: bool,
}

/// One CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckDef {
    pub name: String,
    /// The expression as SQL text.
    pub expr: String,
    pub comment: Option<String>,
}

/// What rows of one part have in common.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionExpr {
    /// The column's value itself.
    Value(ColumnId),
    Hour(ColumnId),
    Day(ColumnId),
    Month(ColumnId),
    Year(ColumnId),
    /// The column's hash modulo the number.
    Hash(ColumnId, u32),
}

impl TableDef {
    /// The column with this name.
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The column with this id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.id == id)
    }

    /// The schema queries see: live columns under their current names, each field carrying its SQL type.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|c| c.ty.field(&c.name, !c.not_null)).collect::<Vec<_>>();
        Arc::new(Schema::new(fields))
    }
}
