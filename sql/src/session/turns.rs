//! Turns: statements that change rows of one table and were beaten to it run one after the other.
//!
//! Nothing is locked as long as nobody loses. A statement that lost a race, and whoever comes to the table while such a one
//! waits, takes its turn: so each of many that change the same row is done in the end, without an error that the client
//! would have to know about. Blocks take none, since they could wait for each other: their COMMIT fails with 40001.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sightline_storage::ids::{TableId, TenantId};
use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// The tables whose changes are made in turn now.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    tables: Mutex<HashMap<Table, Arc<Lock<()>>>>,
}

type Table = (TenantId, TableId);

/// A statement's turn at a table, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    table: Table,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn at a table: if `lost`, or if others wait for theirs. None if nobody has to.
    pub(crate) async fn take(self: &Arc<Turns>, tenant: TenantId, table: TableId, lost: bool) -> Option<Turn> {
        let table = (tenant, table);
        let lock = {
            let mut tables = self.tables.lock();
            match tables.get(&table) {
                Some(lock) => lock.clone(),
                None if lost => tables.entry(table).or_default().clone(),
                None => return None,
            }
        };
        let guard = Some(lock.lock_owned().await);
        Some(Turn { turns: self.clone(), table, guard })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut tables = self.turns.tables.lock();
        self.guard = None;
        // Whoever waits has the lock in hand; the last one takes it off the list.
        if tables.get(&self.table).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            tables.remove(&self.table);
        }
    }
}
