//! A hash of state, to tell whether two stores that applied the same log hold the same.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use arrow::row::{RowConverter, SortField};
use prost::Message;

use crate::apply::GroupState;
use crate::error::Result;
use crate::format::catalog::{RoleMessage, SchemaMessage, TableMessage, TenantMessage, ViewMessage};
use crate::format::part::PartMessage;
use crate::format::sequence::{SequenceMessage, SequenceStateMessage};
use crate::format::state::{GroupMessage, HeaderMessage, TableMessage as TableStateMessage};
use crate::format::user_type::TypeMessage;
use crate::ids::Index;
use crate::snapshot::{TableSnapshot, TenantSnapshot};
use crate::table::ROW_COLUMN;

/// The hash of all groups: definitions, hot rows with their numbers, manifests, positions, how many commands are remembered.
pub(crate) fn state_hash(groups: &[GroupState]) -> Result<u64> {
    let mut hasher = Hasher::default();
    for group in groups {
        hasher.message(&GroupMessage { applied: group.applied.0, last_at: group.last_at });
        hasher.message(&HeaderMessage::of_meta(&group.meta));
        for (index, commands) in group.seen.entries() {
            hasher.bytes(&index.0.to_le_bytes());
            hasher.bytes(&commands.to_le_bytes());
        }
        group.meta.tenants.values().for_each(|t| hasher.message(&TenantMessage::from(t.as_ref())));
        group.meta.roles.values().for_each(|r| hasher.message(&RoleMessage::from(r.as_ref())));
        let mut tenants = group.tenants.values().collect::<Vec<_>>();
        tenants.sort_by_key(|t| t.tenant);
        tenants.into_iter().try_for_each(|t| tenant(&mut hasher, t))?;
    }
    Ok(hasher.finish())
}

fn tenant(hasher: &mut Hasher, tenant: &TenantSnapshot) -> Result<()> {
    let catalog = &tenant.catalog;
    hasher.message(&HeaderMessage { version: catalog.version, next_oid: catalog.next_oid, boots: 0 });
    catalog.schemas.values().for_each(|s| hasher.message(&SchemaMessage::from(s.as_ref())));
    catalog.roles.values().for_each(|r| hasher.message(&RoleMessage::from(r.as_ref())));
    catalog.views.values().for_each(|v| hasher.message(&ViewMessage::from(v.as_ref())));
    catalog.tables.values().for_each(|t| hasher.message(&TableMessage::from(t.as_ref())));
    catalog.types.values().for_each(|t| hasher.message(&TypeMessage::from(t.as_ref())));
    catalog.sequences.values().for_each(|s| hasher.message(&SequenceMessage::from(s.as_ref())));
    for (id, state) in tenant.sequences.iter() {
        hasher.bytes(&id.0.to_le_bytes());
        hasher.message(&SequenceStateMessage::from(state));
    }
    let mut tables = tenant.tables.values().collect::<Vec<_>>();
    tables.sort_by_key(|t| t.def.id);
    tables.into_iter().try_for_each(|t| table(hasher, t))
}

fn table(hasher: &mut Hasher, table: &TableSnapshot) -> Result<()> {
    let (next_row, marked_at) = (table.next_row, table.marked_at);
    let (flushed, changed) = (table.flushed.0, table.changed.0);
    hasher.message(&TableMessage::from(table.def.as_ref()));
    hasher.message(&TableStateMessage { next_row, flushed, changed, marked_at });
    for part in table.parts.iter() {
        hasher.message(&PartMessage::new(&part.meta)?);
        let deleted = part.deletion.iter().flat_map(|d| d.positions());
        deleted.for_each(|position| hasher.bytes(&position.to_le_bytes()));
    }
    table.hot()?.iter().try_for_each(|rows| batch(hasher, rows))?;
    table.rows.deleted_through(Index(u64::MAX)).iter().for_each(|row| hasher.bytes(&row.to_le_bytes()));
    for rows in table.rows.through(Index(u64::MAX)) {
        let row = rows.column_by_name(ROW_COLUMN).and_then(|c| c.as_primitive_opt::<UInt64Type>());
        row.into_iter().flat_map(|r| r.values()).for_each(|v| hasher.bytes(&v.to_le_bytes()));
    }
    Ok(())
}

/// Row by row, as chunks may be cut differently.
fn batch(hasher: &mut Hasher, rows: &RecordBatch) -> Result<()> {
    if rows.num_columns() == 0 {
        hasher.bytes(&(rows.num_rows() as u64).to_le_bytes());
        return Ok(());
    }
    let fields = rows.columns().iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let converted = RowConverter::new(fields)?.convert_columns(rows.columns())?;
    converted.iter().for_each(|row| hasher.bytes(row.as_ref()));
    Ok(())
}

/// 64-bit FNV-1a; each item is preceded by its length.
struct Hasher(u64);

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher {
    fn message(&mut self, message: &impl Message) {
        self.bytes(&message.encode_to_vec());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
