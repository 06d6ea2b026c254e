//! `sys`: what only Sightline has. One file a relation; the line beside each gives its shape as `relations.tsv` does.

mod memory;
mod object_storage;
mod part_columns;
mod parts;
mod tenants;

use sightline_storage::catalog::{PartitionExpr, TableDef};
use sightline_storage::ids::ColumnId;
use sightline_storage::table::TableSnapshot;

use super::Build;

/// All relations of `sys`.
pub(super) const RELATIONS: [(&str, Build); 5] = [
    (parts::SHAPE, parts::build),
    (tenants::SHAPE, tenants::build),
    (memory::SHAPE, memory::build),
    (part_columns::SHAPE, part_columns::build),
    (object_storage::SHAPE, object_storage::build),
];

/// Bytes of a table: its parts on disk and its hot rows in memory.
pub(super) fn table_bytes(table: &TableSnapshot) -> u64 {
    table.cold_bytes() + table.hot_bytes()
}

/// The options of a table's `WITH (…)`, as they would be written.
pub(super) fn table_options(table: &TableDef) -> Vec<(&'static str, String)> {
    let mut options = Vec::new();
    if !table.partition_by.is_empty() {
        let keys = table.partition_by.iter().map(|p| partition_key(table, p)).collect::<Vec<_>>();
        options.push(("partition_by", keys.join(", ")));
    }
    if !table.cluster_by.is_empty() {
        let columns = table.cluster_by.iter().map(|c| column(table, *c)).collect::<Vec<_>>();
        options.push(("cluster_by", columns.join(", ")));
    }
    if let Some(us) = table.retention_us {
        options.push(("retention", retention(us)));
    }
    options
}

fn column(table: &TableDef, id: ColumnId) -> String {
    table.column_by_id(id).map_or_else(|| id.to_string(), |c| c.name.clone())
}

fn partition_key(table: &TableDef, key: &PartitionExpr) -> String {
    match key {
        PartitionExpr::Value(c) => column(table, *c),
        PartitionExpr::Hour(c) => format!("hour({})", column(table, *c)),
        PartitionExpr::Day(c) => format!("day({})", column(table, *c)),
        PartitionExpr::Month(c) => format!("month({})", column(table, *c)),
        PartitionExpr::Year(c) => format!("year({})", column(table, *c)),
        PartitionExpr::Hash(c, n) => format!("hash({}, {n})", column(table, *c)),
    }
}

/// A retention in the largest unit that holds it exactly.
fn retention(us: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second")];
    for (size, name) in UNITS {
        if us % size == 0 {
            let n = us / size;
            return format!("{n} {name}{}", if n == 1 { "" } else { "s" });
        }
    }
    format!("{us} microseconds")
}
