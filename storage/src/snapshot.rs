//! What readers see: immutable values behind an `Arc`, one for each tenant and table. They are the state itself: apply makes
//! new ones beside them, so a reader costs a writer nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;

use crate::apply::{Reject, Stage};
use crate::catalog::{SequenceState, TableDef, TenantCatalog};
use crate::command::{Applied, Op, Outcome};
use crate::entry::log_ops;
use crate::error::{Error, Result, SqlState};
use crate::ids::{GroupId, Index, SequenceId, TableId, TenantId};
use crate::parts::Part;
use crate::rows::{Layout, to_wire};
use crate::table::HotRows;

/// All rows of one table as of one index. Immutable; parts and batches are pinned while it lives.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    pub def: Arc<TableDef>,
    pub parts: Arc<Vec<Arc<Part>>>,
    pub(crate) rows: HotRows,
    pub(crate) layout: Arc<Layout>,
    /// `_row` of the next row.
    pub(crate) next_row: u64,
    /// In a transaction's own view: `_row` of the first row that it brought itself.
    own_from: Option<u64>,
    /// Rows of entries up to this one are in parts.
    pub(crate) flushed: Index,
    /// The last entry that made, truncated or altered the table: a flush of older rows comes too late.
    pub(crate) changed: Index,
    /// When [`next_row`](TableSnapshot::next_row) was last marked, in microseconds since 1970.
    pub(crate) marked_at: i64,
    /// [`hot`](TableSnapshot::hot), once somebody asked.
    chunks: OnceLock<Arc<Vec<RecordBatch>>>,
}

impl TableSnapshot {
    /// A table without rows, made by entry `index`.
    pub(crate) fn new(def: Arc<TableDef>, index: Index) -> TableSnapshot {
        TableSnapshot {
            layout: Arc::new(Layout::new(&def)),
            def,
            parts: Arc::default(),
            rows: HotRows::default(),
            next_row: 0,
            own_from: None,
            flushed: Index(0),
            changed: index,
            marked_at: 0,
            chunks: OnceLock::new(),
        }
    }

    /// A table of these rows, outside any log: for tests of readers.
    pub fn assemble(def: Arc<TableDef>, parts: Vec<Arc<Part>>, rows: HotRows) -> TableSnapshot {
        TableSnapshot { parts: Arc::new(parts), rows, ..TableSnapshot::new(def, Index(0)) }
    }

    /// Only the rows that these operations bring to a table, whatever they delete.
    ///
    /// # Errors
    /// Those of converting rows.
    pub fn of_written(def: Arc<TableDef>, ops: &[Op]) -> Result<TableSnapshot> {
        let mut table = TableSnapshot::new(def, Index(0));
        let mut parts = Vec::new();
        for op in ops {
            match op {
                Op::Append { rows, .. } => {
                    let rows = table.layout.stored_rows(&to_wire(rows)?, table.next_row)?;
                    table.next_row += rows.num_rows() as u64;
                    table.rows.append(rows, Index(1));
                }
                Op::AddParts { parts: added, .. } => {
                    parts.extend(added.iter().map(|meta| Arc::new(Part::new(meta.clone()))));
                }
                _ => {}
            }
        }
        table.parts = Arc::new(parts);
        Ok(table)
    }

    /// A copy to change.
    pub(crate) fn edit(&self) -> TableSnapshot {
        TableSnapshot {
            def: self.def.clone(),
            parts: self.parts.clone(),
            rows: self.rows.clone(),
            layout: self.layout.clone(),
            next_row: self.next_row,
            own_from: self.own_from,
            flushed: self.flushed,
            changed: self.changed,
            marked_at: self.marked_at,
            chunks: OnceLock::new(),
        }
    }

    /// Hot rows, oldest first, in chunks of about 8192 rows and smaller ones at the end, all in the columns of
    /// `def.arrow_schema()` as of this snapshot. Built when first asked for.
    ///
    /// # Errors
    /// As for [`HotRows::chunks`].
    pub fn hot(&self) -> Result<Arc<Vec<RecordBatch>>> {
        if let Some(chunks) = self.chunks.get() {
            return Ok(chunks.clone());
        }
        let chunks = Arc::new(self.rows.chunks(&self.def)?);
        Ok(self.chunks.get_or_init(|| chunks).clone())
    }

    /// How many rows it shows, exactly.
    pub fn rows(&self) -> u64 {
        self.cold_rows() + self.rows.rows()
    }

    /// `_row` of the next row. It only grows, whatever becomes of the rows.
    pub fn next_row(&self) -> u64 {
        self.next_row
    }

    /// `_row` from which on rows are those of the transaction whose view this is: that of the next row if it is nobody's.
    pub fn first_own_row(&self) -> u64 {
        self.own_from.unwrap_or(self.next_row)
    }

    /// How many of its rows are hot.
    pub fn hot_rows(&self) -> u64 {
        self.rows.rows()
    }

    /// How many rows the hot tier holds, with those that are deleted.
    pub(crate) fn hot_rows_stored(&self) -> u64 {
        self.rows.stored_rows()
    }

    /// Numbers of all hot rows, in the order of [`hot`](TableSnapshot::hot).
    pub fn hot_numbers(&self) -> Vec<u64> {
        self.rows.live_numbers()
    }

    /// Memory that its hot rows hold, in bytes.
    pub fn hot_bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// Bytes of its parts.
    pub fn cold_bytes(&self) -> u64 {
        self.parts.iter().map(|p| p.meta.size).sum()
    }

    fn cold_rows(&self) -> u64 {
        self.parts.iter().map(|p| p.rows()).sum()
    }
}

/// One tenant's state as of one index.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    pub tenant: TenantId,
    /// The last entry of the tenant's group that changed the tenant.
    pub index: Index,
    pub catalog: Arc<TenantCatalog>,
    pub tables: HashMap<TableId, Arc<TableSnapshot>>,
    /// Where the sequences stand.
    pub sequences: Arc<BTreeMap<SequenceId, SequenceState>>,
    /// Sequences that stand where a transaction has put them, for its own eyes.
    pub own_sequences: Arc<BTreeSet<SequenceId>>,
    pub(crate) group: GroupId,
}

impl TenantSnapshot {
    /// A tenant without anything.
    pub(crate) fn empty(group: GroupId, tenant: TenantId) -> TenantSnapshot {
        TenantSnapshot {
            tenant,
            index: Index(0),
            catalog: Arc::default(),
            tables: HashMap::new(),
            sequences: Arc::default(),
            own_sequences: Arc::default(),
            group,
        }
    }

    /// This state with `ops` applied, for a transaction's own eyes: nothing durable changes. Ids given out are those
    /// a commit would give out if nobody else changed the catalog meanwhile.
    ///
    /// # Errors
    /// Those of apply; 40001 if an operation was made for another state than this one.
    pub fn with_ops(&self, ops: &[Op], at: i64) -> Result<(TenantSnapshot, Applied)> {
        let (ops, batches) = log_ops(ops)?;
        let index = Index(self.index.0 + 1);
        let mut stage = Stage::new(self, index);
        match stage.apply(&ops) {
            Ok(()) => {}
            Err(Reject::Error(e)) => return Err(e),
            Err(Reject::Outcome(Outcome::Applied(_) | Outcome::Conflict | Outcome::Moved | Outcome::Stale)) => {
                let message = "could not serialize access due to concurrent update";
                return Err(Error::new(SqlState::SERIALIZATION_FAILURE, message));
            }
        }
        let mut changes = stage.finish()?;
        let oids = changes.oids.clone();
        let own_deleted = std::mem::take(&mut changes.own_deleted);
        for (id, table) in &mut changes.tables {
            if let Some(table) = table {
                table.own_from = Some(self.tables.get(id).map_or(0, |t| t.first_own_row()));
            }
        }
        let mut snapshot = self.clone();
        snapshot.index = index;
        if !changes.sequences.is_empty() {
            Arc::make_mut(&mut snapshot.own_sequences).extend(changes.sequences.keys().copied());
        }
        let pieces = changes.apply_to(&mut snapshot);
        for (table, pieces) in pieces {
            snapshot.append(table, &pieces, &batches)?;
        }
        for (table, rows) in own_deleted {
            snapshot.delete_own(table, &rows)?;
        }
        Ok((snapshot, Applied { index, at, oids }))
    }
}
