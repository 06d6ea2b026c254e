//! Keys that order as what they stand for. Group and tenant come first in every one, so that all of a tenant is one range;
//! what belongs to a group as a whole has tenant 0, which no tenant has.

use crate::ids::{GroupId, Index, SequenceId, TableId, TenantId};

/// What a key of the catalog family stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The numbers of a catalog: version, next OID.
    Header,
    Role,
    Schema,
    /// A table; the key goes on with the version.
    Table,
    Tenant,
    View,
    Type,
    Sequence,
}

impl Kind {
    const ALL: [(Kind, u8); 8] = [
        (Kind::Header, b'h'),
        (Kind::Role, b'r'),
        (Kind::Schema, b's'),
        (Kind::Table, b't'),
        (Kind::Tenant, b'n'),
        (Kind::View, b'v'),
        (Kind::Type, b'y'),
        (Kind::Sequence, b'q'),
    ];

    fn byte(self) -> u8 {
        Kind::ALL.iter().find(|(k, _)| *k == self).expect("all kinds are listed").1
    }

    pub(crate) fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.iter().find(|(_, b)| *b == byte).map(|(k, _)| *k)
    }
}

/// Where everything of a tenant begins in each family.
pub(crate) fn tenant(group: GroupId, tenant: TenantId) -> Vec<u8> {
    [group.0.to_be_bytes(), tenant.0.to_be_bytes()].concat()
}

/// The tenant of a key and what follows it.
pub(crate) fn split(key: &[u8]) -> Option<(GroupId, TenantId, &[u8])> {
    let (group, rest) = key.split_first_chunk::<4>()?;
    let (tenant, rest) = rest.split_first_chunk::<4>()?;
    Some((GroupId(u32::from_be_bytes(*group)), TenantId(u32::from_be_bytes(*tenant)), rest))
}

/// A number at the start of `bytes`, and what follows it.
pub(crate) fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// As [`split_u32`] for a number of eight bytes.
pub(crate) fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// A definition of the catalog family.
pub(crate) fn definition(g: GroupId, t: TenantId, kind: Kind, id: u32) -> Vec<u8> {
    let mut key = tenant(g, t);
    key.push(kind.byte());
    key.extend(id.to_be_bytes());
    key
}

/// One version of a table's definition; the last one is the present one, earlier ones tell the columns of older hot rows.
pub(crate) fn table_version(g: GroupId, t: TenantId, table: TableId, version: u32) -> Vec<u8> {
    let mut key = definition(g, t, Kind::Table, table.0);
    key.extend(version.to_be_bytes());
    key
}

/// Where everything of a table begins in the families `hot` and `man`.
pub(crate) fn table(g: GroupId, t: TenantId, table: TableId) -> Vec<u8> {
    let mut key = tenant(g, t);
    key.extend(table.0.to_be_bytes());
    key
}

/// The rows that entry `index` brought to the table, of one of the batches in the entry.
pub(crate) fn hot(g: GroupId, t: TenantId, id: TableId, index: Index, batch: u32) -> Vec<u8> {
    let mut key = table(g, t, id);
    key.extend(index.0.to_be_bytes());
    key.extend(batch.to_be_bytes());
    key
}

/// A part in the manifest.
pub(crate) fn part(g: GroupId, t: TenantId, id: TableId, path: &str) -> Vec<u8> {
    let mut key = table(g, t, id);
    key.extend(path.as_bytes());
    key
}

/// So many bits of `_row` are the position in a block of hot rows: those of one array of a Roaring set.
pub(crate) const BLOCK_BITS: u32 = 16;

/// What a key of deleted rows stands for, after the table.
pub(crate) const DELETED_HOT: u8 = b'h';
pub(crate) const DELETED_PART: u8 = b'p';

/// Deleted hot rows of one block, without the entry.
pub(crate) fn deleted_hot(g: GroupId, t: TenantId, id: TableId, block: u64) -> Vec<u8> {
    let mut key = table(g, t, id);
    key.push(DELETED_HOT);
    key.extend(block.to_be_bytes());
    key
}

/// Deleted rows of a part, without the entry.
pub(crate) fn deleted_part(g: GroupId, t: TenantId, id: TableId, path: &str) -> Vec<u8> {
    let mut key = table(g, t, id);
    key.push(DELETED_PART);
    key.extend(path.as_bytes());
    // Paths hold no such byte: so that none is the beginning of another.
    key.push(0);
    key
}

/// What a key of the state family stands for, after group and tenant.
pub(crate) const STATE_GROUP: u8 = b'a';
/// The ids of the commands of one entry, for telling a command that comes twice.
pub(crate) const STATE_SEEN: u8 = b'd';
/// `_row` of the next row of a table after an entry.
pub(crate) const STATE_MARK: u8 = b'm';
/// Where a table stands.
pub(crate) const STATE_TABLE: u8 = b't';

/// Where a sequence stands.
pub(crate) const STATE_SEQUENCE: u8 = b'q';

/// Where a group stands.
pub(crate) fn group_state(g: GroupId) -> Vec<u8> {
    state(g, TenantId(0), STATE_GROUP)
}

/// The commands of one entry.
pub(crate) fn seen(g: GroupId, index: Index) -> Vec<u8> {
    let mut key = state(g, TenantId(0), STATE_SEEN);
    key.extend(index.0.to_be_bytes());
    key
}

/// Where a table stands.
pub(crate) fn table_state(g: GroupId, t: TenantId, table: TableId) -> Vec<u8> {
    let mut key = state(g, t, STATE_TABLE);
    key.extend(table.0.to_be_bytes());
    key
}

/// Where a sequence stands.
pub(crate) fn sequence_state(g: GroupId, t: TenantId, sequence: SequenceId) -> Vec<u8> {
    let mut key = state(g, t, STATE_SEQUENCE);
    key.extend(sequence.0.to_be_bytes());
    key
}

/// Which `_row` came next after an entry.
pub(crate) fn mark(g: GroupId, t: TenantId, table: TableId, index: Index) -> Vec<u8> {
    let mut key = state(g, t, STATE_MARK);
    key.extend(table.0.to_be_bytes());
    key.extend(index.0.to_be_bytes());
    key
}

fn state(g: GroupId, t: TenantId, kind: u8) -> Vec<u8> {
    let mut key = tenant(g, t);
    key.push(kind);
    key
}

/// An entry of the log.
pub(crate) fn log(group: GroupId, index: Index) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&group.0.to_be_bytes());
    key[4..].copy_from_slice(&index.0.to_be_bytes());
    key
}

/// The first key after all that begin with `prefix`.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Nothing comes after a prefix of only 0xff; no group has that number.
    vec![u8::MAX; prefix.len() + 1]
}
