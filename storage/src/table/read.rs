//! Reads parts without a query: the numbers of their rows, and whole parts for maintenance.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use roaring::RoaringTreemap;

use super::store::{PartStore, object_path};
use super::{Deletes, PartMeta, ROW_COLUMN, TableSnapshot};
use crate::error::{Error, Result};
use crate::kv::damaged;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// `_row` of each row in the order of the file, deleted ones included.
///
/// # Errors
/// 58030 from the store; XX001 if the file is damaged.
pub async fn row_numbers(store: &PartStore, part: &PartMeta) -> Result<Vec<u64>> {
    if let Some(base) = part.row_base {
        return Ok((base..base + part.rows).collect());
    }
    let mut numbers = Vec::with_capacity(usize::try_from(part.rows).unwrap_or_default());
    let mut batches = Box::pin(batches(store, part, Some(ROW_COLUMN)).await?);
    while let Some(batch) = batches.try_next().await? {
        let column = batch.columns().first().and_then(|c| c.as_primitive_opt::<UInt64Type>());
        let column = column.ok_or_else(|| damaged(&format!("part {}", part.path)))?;
        numbers.extend_from_slice(column.values());
    }
    if numbers.len() as u64 != part.rows {
        return Err(damaged(&format!("part {}", part.path)));
    }
    Ok(numbers)
}

/// Rows that were found in `before` by where they are in `now`; none if all of them are where they were. A row that is
/// nowhere any more was deleted and compacted away: it stays what it was called, and apply will not find it.
///
/// # Errors
/// As for [`row_numbers`].
pub(crate) async fn find_again(
    store: &PartStore,
    before: &TableSnapshot,
    now: &TableSnapshot,
    rows: &Deletes,
) -> Result<Option<Deletes>> {
    let listed = |snapshot: &TableSnapshot, path: &str| {
        let at = snapshot.parts.binary_search_by(|p| p.meta.path.as_str().cmp(path)).ok()?;
        Some(snapshot.parts[at].clone())
    };
    let mut found = Deletes { own: rows.own.clone(), ..Deletes::default() };
    let mut lost = RoaringTreemap::new();
    for row in &rows.hot {
        if now.rows.holds(row) {
            found.hot.insert(row)
        } else {
            lost.insert(row)
        };
    }
    for (path, positions) in &rows.parts {
        match (listed(now, path), listed(before, path)) {
            // Parts that the transaction itself brings are in neither.
            (Some(_), _) | (None, None) => drop(found.parts.insert(path.clone(), positions.clone())),
            (None, Some(part)) => {
                let numbers = row_numbers(store, &part.meta).await?;
                lost.extend(positions.iter().filter_map(|p| numbers.get(p as usize)));
            }
        }
    }
    if lost.is_empty() {
        return Ok(None);
    }
    for part in now.parts.iter().filter(|p| listed(before, &p.meta.path).is_none()) {
        let numbers = row_numbers(store, &part.meta).await?;
        for (number, position) in numbers.into_iter().zip(0_u32..) {
            if lost.remove(number) {
                found.parts.entry(part.meta.path.clone()).or_default().insert(position);
            }
        }
    }
    found.hot |= lost;
    Ok(Some(found))
}

/// The rows of a part in the order of the file, deleted ones included, as they are stored: all columns or one.
///
/// # Errors
/// As for [`row_numbers`].
pub async fn batches(
    store: &PartStore,
    part: &PartMeta,
    column: Option<&str>,
) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
    let path = Arc::new(part.path.clone());
    let reader = Reader { objects: store.objects.clone(), path: object_path(&part.path), size: part.size };
    let wrong = |path: &str, e: ParquetError| Error::from(e).detail(format!("It came while part {path} was read."));
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(|e| wrong(&path, e))?;
    let builder = match column {
        Some(name) => {
            let schema = builder.parquet_schema();
            let arrow = parquet_to_arrow_schema(schema, None).map_err(|e| wrong(&path, e))?;
            let root = arrow.index_of(name).map_err(|_| damaged(&format!("part {path}")))?;
            let mask = ProjectionMask::roots(schema, [root]);
            builder.with_projection(mask)
        }
        None => builder,
    };
    let stream = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| wrong(&path, e))?;
    Ok(stream.map_err(move |e| wrong(&path, e)))
}

/// One part in the store.
struct Reader {
    objects: Arc<dyn ObjectStore>,
    path: ObjectPath,
    size: u64,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { Ok(self.objects.get_range(&self.path, range).await?) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { Ok(self.objects.get_ranges(&self.path, &ranges).await?) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            Ok(Arc::new(ParquetMetaDataReader::new().load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
