//! Reads parts, and counts in what is read: a scan holds the column chunks of a whole row group, which nobody else would
//! count, and with many scans at once they are what fills the memory.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// A request for fewer bytes is granted in any case: a query that reads little should not fail for it.
const FREE_BYTES: u64 = 256 << 10;

/// Makes readers that count.
#[derive(Debug)]
pub(super) struct CountedReaders {
    pub(super) inner: CachedParquetFileReaderFactory,
    pub(super) memory: Arc<dyn MemoryPool>,
}

impl ParquetFileReaderFactory for CountedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let inner = self.inner.create_reader(partition, file, hint, metrics)?;
        let held = Arc::new(MemoryConsumer::new("scan").register(&self.memory));
        Ok(Box::new(CountedReader { inner, held }))
    }
}

struct CountedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    held: Arc<MemoryReservation>,
}

/// Bytes that were read, given back when the last slice of them is dropped.
struct Counted {
    bytes: Bytes,
    held: Arc<MemoryReservation>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.shrink(self.bytes.len());
    }
}

impl CountedReader {
    /// Takes memory for what will be read.
    fn take(&self, bytes: u64) -> parquet::errors::Result<Taken> {
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes <= FREE_BYTES {
            self.held.grow(size);
        } else {
            self.held.try_grow(size).map_err(|e| ParquetError::External(Box::new(e)))?;
        }
        Ok(Taken { held: self.held.clone(), left: size })
    }
}

/// Memory taken for bytes that have not come yet.
struct Taken {
    held: Arc<MemoryReservation>,
    left: usize,
}

impl Taken {
    /// The bytes with their share of the memory.
    fn counted(&mut self, bytes: Bytes) -> Bytes {
        if bytes.len() > self.left {
            self.held.grow(bytes.len() - self.left);
            self.left = bytes.len();
        }
        self.left -= bytes.len();
        Bytes::from_owner(Counted { bytes, held: self.held.clone() })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.held.shrink(self.left);
    }
}

impl AsyncFileReader for CountedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut taken = self.take(range.end - range.start)?;
            Ok(taken.counted(self.inner.get_bytes(range).await?))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let mut taken = self.take(ranges.iter().map(|r| r.end - r.start).sum())?;
            let read = self.inner.get_byte_ranges(ranges).await?;
            Ok(read.into_iter().map(|bytes| taken.counted(bytes)).collect())
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.inner.get_metadata(options)
    }
}
