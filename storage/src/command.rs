//! Every change of durable state, as one enum. A command is deterministic: no clock, no randomness, positions resolved
//! against a snapshot at `base` before it is proposed.

use arrow::array::RecordBatch;

use crate::catalog::{RoleDef, SchemaDef, SequenceDef, TableDef, TenantDef, TypeDef, ViewDef};
use crate::ids::{Index, RoleId, SchemaId, SequenceId, TableId, TenantId, TypeId, ViewId};
use crate::table::{Deletes, PartDeletes, PartMeta};

/// What is proposed: all of its operations happen, or none.
#[derive(Clone, Debug)]
pub struct Command {
    /// Made by the proposer; a command proposed twice under one id is applied once.
    pub id: u128,
    /// Whose state it changes; none for the meta group.
    pub tenant: Option<TenantId>,
    /// The proposer's clock, microseconds since 1970. Apply makes it monotone.
    pub at: i64,
    /// The snapshot that the operations were resolved against.
    pub base: Index,
    /// If set, the catalog must still have this version, else the outcome is `Stale`: for commands that carry ids or
    /// definitions worked out from a snapshot, like a transaction with DDL in it.
    pub catalog_version: Option<u64>,
    pub ops: Vec<Op>,
}

/// One operation. Definitions with id 0 are new: apply gives out the id.
#[derive(Clone, Debug)]
pub enum Op {
    /// Meta group: the data directory was opened.
    Boot,
    /// Meta group: a new tenant (42P04 if the name is taken). Its `group` is given out by apply as well.
    CreateTenant(TenantDef),
    /// Meta group: replaces the definition with the same id (42P04 if its new name is taken).
    PutTenant(TenantDef),
    /// Meta group. The proposer sends `PurgeTenant` to the tenant's group afterwards.
    DropTenant(TenantId),
    /// The tenant's group: makes the empty catalog with schema `public`, owned by `owner`.
    InitTenant {
        owner: RoleId,
    },
    /// The tenant's group: forgets the tenant's catalog and rows.
    PurgeTenant,
    /// In the meta group an operator role, in a tenant's group a role of it (42710 if the name is taken).
    CreateRole(RoleDef),
    /// Replaces the role with the same id.
    PutRole(RoleDef),
    DropRole(RoleId),
    CreateSchema(SchemaDef),
    PutSchema(SchemaDef),
    /// The schema must be empty (2BP01).
    DropSchema(SchemaId),
    /// 42P07 if a relation of the schema has the name.
    CreateTable(TableDef),
    /// Replaces the definition with the same id; its `version` must be the stored one plus 1 if columns, constraints
    /// or layout changed, or equal to it if only name, schema, owner or comments did; else `Stale`.
    PutTable(TableDef),
    /// The foreign keys of other tables that refer to it go with it; so they do with the column or index that they refer to.
    DropTable(TableId),
    CreateView(ViewDef),
    /// Replaces the view with the same id.
    PutView(ViewDef),
    DropView(ViewId),
    /// 42P07 if a relation of the schema has the name. It stands at its start.
    CreateSequence(SequenceDef),
    /// Replaces the sequence with the same id; where it stands stays.
    PutSequence(SequenceDef),
    DropSequence(SequenceId),
    /// Numbers were drawn, or are reserved to be. Accepted iff the sequence's state has still the version `seen`,
    /// else `Stale`.
    AdvanceSequence {
        sequence: SequenceId,
        seen: u64,
        last: i64,
        is_called: bool,
    },
    /// Sets where the sequence stands, wherever it stood: setval, RESTART.
    SetSequence {
        sequence: SequenceId,
        last: i64,
        is_called: bool,
    },
    /// 42710 if a type of the schema has the name. Two OIDs are given out, its own and that of its array.
    CreateType(TypeDef),
    /// Replaces the type with the same id. What is held in columns stays as it is: labels keep their numbers.
    PutType(TypeDef),
    /// No column, view or type uses it (2BP01).
    DropType(TypeId),
    /// Rows for the hot tier, in `TableDef::arrow_schema` of `version`. `TableId(0)` is the table that an earlier
    /// operation of the same command made.
    Append {
        table: TableId,
        version: u32,
        rows: RecordBatch,
    },
    /// Parts of a bulk load, already written and synced: the rows become visible.
    AddParts {
        table: TableId,
        version: u32,
        parts: Vec<PartMeta>,
    },
    /// Deletes rows. `Conflict` if one of them is deleted already, `Moved` if one of them is elsewhere by now.
    Delete {
        table: TableId,
        rows: Deletes,
    },
    /// Forgets all rows.
    Truncate(TableId),
    /// Changes nothing: the table has got no row since the snapshot whose [`next_row`](crate::snapshot::TableSnapshot::next_row)
    /// this is, operations of the same command before this one included; else `Stale`. For definitions that were held
    /// against the rows of a snapshot, which rows on their way could break.
    NoNewRows {
        table: TableId,
        next_row: u64,
    },
    /// A flush: the hot rows of `(from, to]` are now in these parts. Accepted iff `from` is still where the table is
    /// flushed to, no truncate came between, and so many of the rows are deleted as the flush knows of.
    Publish {
        table: TableId,
        from: Index,
        to: Index,
        add: Vec<PartMeta>,
        /// Where the deleted rows are now.
        deleted: Vec<PartDeletes>,
    },
}

/// What apply answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Applied(Applied),
    /// A row to delete is already deleted, or a key to insert was written after `base`.
    Conflict,
    /// A batch or part that it names was replaced.
    Moved,
    /// A newer definition of a table, or of the catalog, than it was made for.
    Stale,
}

/// The effect of a command.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Applied {
    pub index: Index,
    /// The command's time after apply made it monotone.
    pub at: i64,
    /// OIDs given out, in the order of the operations that asked for one.
    pub oids: Vec<u32>,
}

impl Command {
    /// A command for `tenant` with a fresh random id.
    pub fn new(tenant: Option<TenantId>, at: i64, base: Index, ops: Vec<Op>) -> Command {
        Command { id: uuid::Uuid::new_v4().as_u128(), tenant, at, base, catalog_version: None, ops }
    }
}
