//! The persisted form of the log: an entry is a list of commands, and beside them the rows that they append, joined to one
//! Arrow batch for each table (and table version) however many commands there are.

use bytes::Bytes;
use prost::Message;
use roaring::{RoaringBitmap, RoaringTreemap};

use super::catalog::{RoleMessage, SchemaMessage, TableMessage, TenantMessage, ViewMessage};
use super::part::PartMessage;
use super::sequence::{MoveMessage, SequenceMessage};
use super::user_type::TypeMessage;
use super::{decode, required};
use crate::command::Op;
use crate::entry::{AppendRef, Entry, LogCommand, LogOp, RowsBatch};
use crate::error::Result;
use crate::ids::{GroupId, Index, RoleId, SchemaId, SequenceId, TableId, TenantId, TypeId, ViewId};
use crate::kv::damaged;
use crate::kv::raft::TERM;
use crate::table::delete::{decode_positions, decode_rows, encode_positions, encode_rows};
use crate::table::{Deletes, PartDeletes, PartMeta};

/// Raft's `EntryNormal`.
const NORMAL: u32 = 0;

/// A value of the log.
#[derive(Clone, PartialEq, prost::Message)]
struct EntryMessage {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// What a normal entry holds.
#[derive(Clone, PartialEq, prost::Message)]
struct DataMessage {
    #[prost(message, repeated, tag = "1")]
    commands: Vec<CommandMessage>,
    #[prost(message, repeated, tag = "2")]
    batches: Vec<BatchMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BatchMessage {
    /// One Arrow IPC message; the schema follows from the table's version.
    #[prost(bytes = "bytes", tag = "1")]
    ipc: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CommandMessage {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(uint32, optional, tag = "2")]
    tenant: Option<u32>,
    #[prost(sint64, tag = "3")]
    at: i64,
    #[prost(uint64, tag = "4")]
    base: u64,
    #[prost(uint64, optional, tag = "5")]
    catalog_version: Option<u64>,
    #[prost(message, repeated, tag = "6")]
    ops: Vec<OpMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OpMessage {
    #[prost(
        oneof = "OpKind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 47, 48, 49, 50, 51"
    )]
    kind: Option<OpKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OpKind {
    #[prost(message, tag = "1")]
    Boot(Empty),
    #[prost(message, tag = "2")]
    CreateTenant(TenantMessage),
    #[prost(message, tag = "3")]
    PutTenant(TenantMessage),
    #[prost(uint32, tag = "4")]
    DropTenant(u32),
    /// The owner.
    #[prost(uint32, tag = "5")]
    InitTenant(u32),
    #[prost(message, tag = "6")]
    PurgeTenant(Empty),
    #[prost(message, tag = "7")]
    CreateRole(RoleMessage),
    #[prost(message, tag = "8")]
    PutRole(RoleMessage),
    #[prost(uint32, tag = "9")]
    DropRole(u32),
    #[prost(message, tag = "10")]
    CreateSchema(SchemaMessage),
    #[prost(message, tag = "11")]
    PutSchema(SchemaMessage),
    #[prost(uint32, tag = "12")]
    DropSchema(u32),
    #[prost(message, tag = "13")]
    CreateTable(TableMessage),
    #[prost(message, tag = "14")]
    PutTable(TableMessage),
    #[prost(uint32, tag = "15")]
    DropTable(u32),
    #[prost(message, tag = "16")]
    CreateView(ViewMessage),
    #[prost(message, tag = "17")]
    PutView(ViewMessage),
    #[prost(uint32, tag = "18")]
    DropView(u32),
    #[prost(message, tag = "19")]
    Append(AppendMessage),
    #[prost(message, tag = "20")]
    AddParts(AddPartsMessage),
    #[prost(uint32, tag = "21")]
    Truncate(u32),
    #[prost(message, tag = "22")]
    Publish(PublishMessage),
    #[prost(message, tag = "23")]
    CreateType(TypeMessage),
    #[prost(message, tag = "24")]
    PutType(TypeMessage),
    #[prost(uint32, tag = "25")]
    DropType(u32),
    #[prost(message, tag = "26")]
    NoNewRows(NoNewRowsMessage),
    #[prost(message, tag = "27")]
    Delete(DeleteMessage),
    #[prost(message, tag = "47")]
    CreateSequence(SequenceMessage),
    #[prost(message, tag = "48")]
    PutSequence(SequenceMessage),
    #[prost(uint32, tag = "49")]
    DropSequence(u32),
    #[prost(message, tag = "50")]
    AdvanceSequence(MoveMessage),
    #[prost(message, tag = "51")]
    SetSequence(MoveMessage),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct AppendMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(uint32, tag = "3")]
    batch: u32,
    #[prost(uint64, tag = "4")]
    offset: u64,
    #[prost(uint64, tag = "5")]
    rows: u64,
    #[prost(uint32, tag = "6")]
    fingerprint: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AddPartsMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(message, repeated, tag = "3")]
    parts: Vec<PartMessage>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct NoNewRowsMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint64, tag = "2")]
    next_row: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PublishMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint64, tag = "2")]
    from: u64,
    #[prost(uint64, tag = "3")]
    to: u64,
    #[prost(message, repeated, tag = "4")]
    add: Vec<PartMessage>,
    #[prost(message, repeated, tag = "5")]
    deleted: Vec<PartDeletesMessage>,
}

/// Rows to delete, as sets in the form of the Roaring format specification.
#[derive(Clone, PartialEq, prost::Message)]
struct DeleteMessage {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    hot: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    own: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    parts: Vec<PartDeletesMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartDeletesMessage {
    #[prost(string, tag = "1")]
    path: String,
    /// The entry that deleted them, if it is another one than this.
    #[prost(uint64, tag = "2")]
    at: u64,
    #[prost(bytes = "vec", tag = "3")]
    positions: Vec<u8>,
}

impl DeleteMessage {
    fn new(table: TableId, rows: &Deletes) -> DeleteMessage {
        let set = |rows: &RoaringTreemap| (!rows.is_empty()).then(|| encode_rows(rows));
        let part = |(path, positions): (&String, &RoaringBitmap)| PartDeletesMessage {
            path: path.clone(),
            at: 0,
            positions: encode_positions(positions),
        };
        DeleteMessage {
            table: table.0,
            hot: set(&rows.hot),
            own: set(&rows.own),
            parts: rows.parts.iter().map(part).collect(),
        }
    }

    fn into_op(self) -> Result<Op> {
        let set = |bytes: Option<Vec<u8>>| bytes.map_or(Ok(RoaringTreemap::new()), |b| decode_rows(&b));
        let part = |p: PartDeletesMessage| Ok((p.path, decode_positions(&p.positions)?));
        let parts = self.parts.into_iter().map(part).collect::<Result<_>>()?;
        Ok(Op::Delete { table: TableId(self.table), rows: Deletes { hot: set(self.hot)?, own: set(self.own)?, parts } })
    }
}

impl From<&PartDeletes> for PartDeletesMessage {
    fn from(d: &PartDeletes) -> PartDeletesMessage {
        PartDeletesMessage { path: d.path.clone(), at: d.at.0, positions: encode_positions(&d.positions) }
    }
}

impl TryFrom<PartDeletesMessage> for PartDeletes {
    type Error = crate::error::Error;

    fn try_from(d: PartDeletesMessage) -> Result<PartDeletes> {
        Ok(PartDeletes { path: d.path, at: Index(d.at), positions: decode_positions(&d.positions)? })
    }
}

/// The bytes of an entry as the log stores them.
pub(crate) fn encode_entry(entry: &Entry) -> Result<Vec<u8>> {
    let data = DataMessage {
        commands: entry.commands.iter().map(command_message).collect::<Result<_>>()?,
        batches: entry.batches.iter().map(|b| BatchMessage { ipc: b.ipc.clone() }).collect(),
    };
    let data = Bytes::from(data.encode_to_vec());
    Ok(EntryMessage { term: TERM, kind: NORMAL, data }.encode_to_vec())
}

/// What [`encode_entry`] made of an entry.
pub(crate) fn decode_entry(group: GroupId, index: Index, bytes: &[u8]) -> Result<Entry> {
    let entry: EntryMessage = decode(bytes, "an entry of the log")?;
    if entry.kind != NORMAL {
        return Err(damaged(&format!("an entry of the log has the unknown kind {}: it", entry.kind)));
    }
    let data = DataMessage::decode(entry.data).map_err(|e| damaged("an entry of the log").source(e))?;
    Ok(Entry {
        group,
        index,
        commands: data.commands.into_iter().map(command).collect::<Result<_>>()?,
        batches: data.batches.into_iter().map(|b| RowsBatch { ipc: b.ipc, rows: None }).collect(),
    })
}

fn command_message(c: &LogCommand) -> Result<CommandMessage> {
    Ok(CommandMessage {
        id: c.id.to_be_bytes().to_vec(),
        tenant: c.tenant.map(|t| t.0),
        at: c.at,
        base: c.base.0,
        catalog_version: c.catalog_version,
        ops: c.ops.iter().map(|op| Ok(OpMessage { kind: Some(op_kind(op)?) })).collect::<Result<_>>()?,
    })
}

fn command(c: CommandMessage) -> Result<LogCommand> {
    let id = c.id.as_slice().try_into().ok().map(u128::from_be_bytes);
    let op = |op: OpMessage| log_op(required(op.kind, "an operation of the log")?);
    Ok(LogCommand {
        id: required(id, "a command of the log")?,
        tenant: c.tenant.map(TenantId),
        at: c.at,
        base: Index(c.base),
        catalog_version: c.catalog_version,
        ops: c.ops.into_iter().map(op).collect::<Result<_>>()?,
    })
}

fn parts_message(parts: &[PartMeta]) -> Result<Vec<PartMessage>> {
    parts.iter().map(PartMessage::new).collect()
}

fn part_metas(parts: Vec<PartMessage>) -> Result<Vec<PartMeta>> {
    parts.into_iter().map(PartMessage::into_meta).collect()
}

fn op_kind(op: &LogOp) -> Result<OpKind> {
    let op = match op {
        LogOp::Append(a) => {
            return Ok(OpKind::Append(AppendMessage {
                table: a.table.0,
                version: a.version,
                batch: a.batch,
                offset: a.offset,
                rows: a.rows,
                fingerprint: a.fingerprint,
            }));
        }
        LogOp::Other(op) => op,
    };
    Ok(match op {
        Op::Boot => OpKind::Boot(Empty {}),
        Op::CreateTenant(t) => OpKind::CreateTenant(t.into()),
        Op::PutTenant(t) => OpKind::PutTenant(t.into()),
        Op::DropTenant(id) => OpKind::DropTenant(id.0),
        Op::InitTenant { owner } => OpKind::InitTenant(owner.0),
        Op::PurgeTenant => OpKind::PurgeTenant(Empty {}),
        Op::CreateRole(r) => OpKind::CreateRole(r.into()),
        Op::PutRole(r) => OpKind::PutRole(r.into()),
        Op::DropRole(id) => OpKind::DropRole(id.0),
        Op::CreateSchema(s) => OpKind::CreateSchema(s.into()),
        Op::PutSchema(s) => OpKind::PutSchema(s.into()),
        Op::DropSchema(id) => OpKind::DropSchema(id.0),
        Op::CreateTable(t) => OpKind::CreateTable(t.into()),
        Op::PutTable(t) => OpKind::PutTable(t.into()),
        Op::DropTable(id) => OpKind::DropTable(id.0),
        Op::CreateView(v) => OpKind::CreateView(v.into()),
        Op::PutView(v) => OpKind::PutView(v.into()),
        Op::DropView(id) => OpKind::DropView(id.0),
        Op::CreateType(t) => OpKind::CreateType(t.into()),
        Op::PutType(t) => OpKind::PutType(t.into()),
        Op::DropType(id) => OpKind::DropType(id.0),
        Op::CreateSequence(s) => OpKind::CreateSequence(s.into()),
        Op::PutSequence(s) => OpKind::PutSequence(s.into()),
        Op::DropSequence(id) => OpKind::DropSequence(id.0),
        Op::AdvanceSequence { sequence, seen, last, is_called } => OpKind::AdvanceSequence(MoveMessage {
            sequence: sequence.0,
            seen: *seen,
            last: *last,
            is_called: *is_called,
        }),
        Op::SetSequence { sequence, last, is_called } => {
            OpKind::SetSequence(MoveMessage { sequence: sequence.0, seen: 0, last: *last, is_called: *is_called })
        }
        Op::Append { .. } => unreachable!("rows were taken out of the command when it was proposed"),
        Op::AddParts { table, version, parts } => {
            OpKind::AddParts(AddPartsMessage { table: table.0, version: *version, parts: parts_message(parts)? })
        }
        Op::Truncate(id) => OpKind::Truncate(id.0),
        Op::NoNewRows { table, next_row } => {
            OpKind::NoNewRows(NoNewRowsMessage { table: table.0, next_row: *next_row })
        }
        Op::Delete { table, rows } => OpKind::Delete(DeleteMessage::new(*table, rows)),
        Op::Publish { table, from, to, add, deleted } => OpKind::Publish(PublishMessage {
            table: table.0,
            from: from.0,
            to: to.0,
            add: parts_message(add)?,
            deleted: deleted.iter().map(PartDeletesMessage::from).collect(),
        }),
    })
}

fn log_op(kind: OpKind) -> Result<LogOp> {
    Ok(LogOp::Other(match kind {
        OpKind::Append(a) => {
            return Ok(LogOp::Append(AppendRef {
                table: TableId(a.table),
                version: a.version,
                batch: a.batch,
                offset: a.offset,
                rows: a.rows,
                fingerprint: a.fingerprint,
            }));
        }
        OpKind::Boot(Empty {}) => Op::Boot,
        OpKind::CreateTenant(t) => Op::CreateTenant(t.into()),
        OpKind::PutTenant(t) => Op::PutTenant(t.into()),
        OpKind::DropTenant(id) => Op::DropTenant(TenantId(id)),
        OpKind::InitTenant(owner) => Op::InitTenant { owner: RoleId(owner) },
        OpKind::PurgeTenant(Empty {}) => Op::PurgeTenant,
        OpKind::CreateRole(r) => Op::CreateRole(r.into()),
        OpKind::PutRole(r) => Op::PutRole(r.into()),
        OpKind::DropRole(id) => Op::DropRole(RoleId(id)),
        OpKind::CreateSchema(s) => Op::CreateSchema(s.into()),
        OpKind::PutSchema(s) => Op::PutSchema(s.into()),
        OpKind::DropSchema(id) => Op::DropSchema(SchemaId(id)),
        OpKind::CreateTable(t) => Op::CreateTable(t.try_into()?),
        OpKind::PutTable(t) => Op::PutTable(t.try_into()?),
        OpKind::DropTable(id) => Op::DropTable(TableId(id)),
        OpKind::CreateView(v) => Op::CreateView(v.try_into()?),
        OpKind::PutView(v) => Op::PutView(v.try_into()?),
        OpKind::DropView(id) => Op::DropView(ViewId(id)),
        OpKind::CreateType(t) => Op::CreateType(t.try_into()?),
        OpKind::PutType(t) => Op::PutType(t.try_into()?),
        OpKind::DropType(id) => Op::DropType(TypeId(id)),
        OpKind::CreateSequence(s) => Op::CreateSequence(s.try_into()?),
        OpKind::PutSequence(s) => Op::PutSequence(s.try_into()?),
        OpKind::DropSequence(id) => Op::DropSequence(SequenceId(id)),
        OpKind::AdvanceSequence(m) => {
            Op::AdvanceSequence { sequence: SequenceId(m.sequence), seen: m.seen, last: m.last, is_called: m.is_called }
        }
        OpKind::SetSequence(m) => {
            Op::SetSequence { sequence: SequenceId(m.sequence), last: m.last, is_called: m.is_called }
        }
        OpKind::AddParts(a) => {
            Op::AddParts { table: TableId(a.table), version: a.version, parts: part_metas(a.parts)? }
        }
        OpKind::Truncate(id) => Op::Truncate(TableId(id)),
        OpKind::NoNewRows(n) => Op::NoNewRows { table: TableId(n.table), next_row: n.next_row },
        OpKind::Delete(d) => d.into_op()?,
        OpKind::Publish(p) => Op::Publish {
            table: TableId(p.table),
            from: Index(p.from),
            to: Index(p.to),
            add: part_metas(p.add)?,
            deleted: p.deleted.into_iter().map(PartDeletes::try_from).collect::<Result<_>>()?,
        },
    }))
}
