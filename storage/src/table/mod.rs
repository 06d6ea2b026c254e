//! A table's rows: recent ones as Arrow batches (hot), the others in immutable Parquet parts (cold).
//!
//! [`hot`] keeps recent rows in few chunks however small the writes were. A flush or a bulk load ([`bulk`]) hands rows to
//! [`part`], which splits them by [`partition`], sorts them and writes them through a [`PartStore`]. Columns of both tiers
//! go by their stored names ([`stored`]), so that renaming a column touches no row.

pub mod bulk;
pub mod delete;
mod encode;
pub mod hot;
mod memory;
pub mod part;
pub mod partition;
pub mod read;
mod sort;
mod stats;
pub mod store;
pub mod stored;
#[cfg(test)]
mod tests;

use arrow::array::ArrayRef;

pub use bulk::{BULK_BUFFERS, BulkWriter};
pub use delete::{Deletes, Deletion, LiveMasks, PartDeletes};
pub use hot::HotRows;
pub use part::{WrittenPart, check_partitions, write_parts};
pub use store::PartStore;
pub use stored::{ROW_COLUMN, stored_schema, to_stored};

pub use crate::parts::Part;
pub use crate::snapshot::TableSnapshot;

use crate::ids::{ColumnId, Index};

/// One immutable Parquet file, as the manifest knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PartMeta {
    /// Below the root of the object store: `cold/{tenant}/{table}/{partition}/{first:016x}-{last:016x}-{uuid}.parquet`.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// CRC-32 of the file's bytes.
    pub crc32: u32,
    /// Rows in the file, deleted ones included.
    pub rows: u64,
    /// Rows of each row group, in order.
    pub row_groups: Vec<u64>,
    /// The table version whose columns it holds.
    pub table_version: u32,
    /// The value of `partition_by`, printed; empty if the table has none.
    pub partition: String,
    /// The commands its rows come from lie in `[first, last]`; both 0 until a bulk load is applied.
    pub first: Index,
    pub last: Index,
    /// For a part without a stored `_row` column (a bulk load): the `_row` of its first row, given out by apply.
    pub row_base: Option<u64>,
    pub columns: Vec<ColumnStats>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// The zone map of one column of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStats {
    pub column: ColumnId,
    pub nulls: u64,
    /// Two values, least and greatest, in the column's Arrow type; none if all are NULL or the type has no order.
    /// Floats with a NaN in them have none.
    pub bounds: Option<ArrayRef>,
    /// False where long strings were cut: still bounds, but not values of the column.
    pub exact: bool,
}
