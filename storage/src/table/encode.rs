//! Encodes one part as Parquet on a blocking thread while its bytes stream to the object store.
//!
//! What Parquet cannot hold is written in another physical form: an `interval` as text (`3 mons -2 days 5 nanoseconds`),
//! which Arrow's own cast reads back exactly, so that any reader with the table's types gets intervals.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::sync::mpsc;

use super::ColumnStats;
use super::sort::Run;
use super::stats::{StatsBuilder, has_order};
use super::store::PartStore;
use super::stored::{ROW_COLUMN, stored_schema};
use crate::budget::{Budget, Holder, Sizes};
use crate::catalog::TableDef;
use crate::error::{Error, Result, SqlState};
use crate::objects::upload::{IN_FLIGHT_MAX, PIECE_BYTES, Upload};

/// Rows of a row group: the unit of pruning by statistics and of work for a thread of a scan.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Bytes after which a row group of wide rows ends early, if memory allows them: a writer holds one encoded row group.
const ROW_GROUP_BYTES: u64 = 128 << 20;
/// What a writer holds may be so many times as large as its row group, with values that are not encoded yet.
const ROW_GROUP_SLACK: u64 = 2;
/// Rows of a data page: the unit of pruning inside a row group.
const PAGE_ROWS: usize = 20_000;
/// A column with more distinct values than this share of its rows has no dictionary.
const DICTIONARY_SHARE: f64 = 0.1;
/// How often a bloom filter says in vain that a value may be there: about 6 bits a value.
const BLOOM_FPP: f64 = 0.05;
/// Shorter values have no bloom filter.
const BLOOM_BYTES_MIN: u64 = 16;
/// Text has none if more than one value in so many has a blank in it.
const BLOOM_BLANKS_FRACTION: u64 = 10;
/// Rows looked at to tell whether a column repeats itself.
const SAMPLE_ROWS: usize = 8192;

/// Set to stop an encoding whose result nobody wants any more.
pub(super) type Cancel = Arc<AtomicBool>;

/// What is known of a part after it was written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) size: u64,
    pub(super) crc32: u32,
    pub(super) row_groups: Vec<u64>,
    pub(super) columns: Vec<ColumnStats>,
}

enum Message {
    Chunk(Bytes),
    /// All bytes were sent. Without it the file is cut short and must not be kept.
    End,
}

/// What an encoder works on.
pub(super) struct Encoder {
    pub(super) run: Run,
    pub(super) cancel: Cancel,
    /// Counts what it holds.
    pub(super) counted: Option<Arc<Budget>>,
}

/// Writes the rows of a run as the object `path`. It is not synced yet.
///
/// # Errors
/// 58030 or 53100 from the store; nothing is left at `path` then, except after a crash.
pub(super) async fn write_run(store: &PartStore, path: &str, def: Arc<TableDef>, encoder: Encoder) -> Result<Encoded> {
    let (sender, receiver) = mpsc::channel(1);
    let row_group = store.memory().map_or(ROW_GROUP_BYTES, |m| Sizes::new(m.limit()).row_group);
    let encode = tokio::task::spawn_blocking(move || encode(&def, &encoder, row_group, sender));
    let upload = upload(store, path, receiver);
    let (encoded, uploaded) = tokio::join!(encode, upload);
    // An upload that failed is why the encoder could not go on.
    uploaded?;
    encoded.map_err(|e| Error::internal("encoding of a part failed").source(e))?
}

fn encode(def: &TableDef, encoder: &Encoder, row_group: u64, sender: mpsc::Sender<Message>) -> Result<Encoded> {
    let Encoder { run, cancel, counted } = encoder;
    let mut hold = counted.as_ref().map(|memory| memory.hold(Holder::Flush, 0));
    let sample = run.sample(SAMPLE_ROWS)?;
    let with_row = sample.schema_ref().column_with_name(ROW_COLUMN).is_some();
    let schema = part_schema(def, with_row);
    let properties = properties(def, &sample, run.rows(), row_group)?;
    let mut writer = ArrowWriter::try_new(Sink::new(sender), schema.clone(), Some(properties))?;
    let mut stats = StatsBuilder::new(def);
    for batch in run.batches() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::new(SqlState::QUERY_CANCELED, "writing of a part was canceled"));
        }
        let batch = batch?;
        stats.update(&batch)?;
        writer.write(&physical_rows(&batch, &schema)?)?;
        let held = writer.memory_size() as u64;
        if let Some(hold) = &mut hold {
            hold.resize(held + PIECE_BYTES as u64 * (IN_FLIGHT_MAX as u64 + 2));
        }
        if held > row_group * ROW_GROUP_SLACK {
            writer.flush()?;
        }
    }
    let metadata = writer.finish()?;
    let (size, crc32) = writer.inner_mut().end()?;
    let row_groups = metadata.row_groups().iter().map(|g| g.num_rows().unsigned_abs()).collect();
    Ok(Encoded { size, crc32, row_groups, columns: stats.finish() })
}

/// Passes what the encoder sends on to the store.
async fn upload(store: &PartStore, path: &str, mut messages: mpsc::Receiver<Message>) -> Result<()> {
    let mut upload = store.upload(path);
    match forward(&mut upload, &mut messages).await {
        Ok(true) => upload.finish().await,
        // The encoder knows why.
        Ok(false) => {
            store.abort(upload).await;
            Ok(())
        }
        Err(e) => {
            store.abort(upload).await;
            Err(e)
        }
    }
}

/// Passes chunks on; false if they stopped before the end.
async fn forward(upload: &mut Upload, messages: &mut mpsc::Receiver<Message>) -> Result<bool> {
    while let Some(message) = messages.recv().await {
        match message {
            Message::Chunk(bytes) => upload.write(bytes).await?,
            Message::End => return Ok(true),
        }
    }
    Ok(false)
}

/// Where the encoder writes: counts and sums bytes, and sends them on in large pieces.
struct Sink {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Message>,
    size: u64,
    crc: crc32fast::Hasher,
}

impl Sink {
    fn new(sender: mpsc::Sender<Message>) -> Sink {
        Sink { buffer: Vec::new(), sender, size: 0, crc: crc32fast::Hasher::new() }
    }

    fn send(&mut self) -> std::io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender.blocking_send(Message::Chunk(chunk)).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    /// Sends what is left; returns the size and the CRC-32 of everything.
    fn end(&mut self) -> Result<(u64, u32)> {
        self.send()?;
        self.sender.blocking_send(Message::End).map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok((self.size, self.crc.clone().finalize()))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// [`stored_schema`] with the physical types of a part's columns.
pub(super) fn part_schema(def: &TableDef, with_row: bool) -> SchemaRef {
    let stored = stored_schema(def, with_row);
    Arc::new(Schema::new(stored.fields().iter().map(|f| physical_field(f)).collect::<Vec<_>>()))
}

fn physical_field(field: &Field) -> Field {
    field.clone().with_data_type(physical_type(field.data_type()))
}

fn physical_type(logical: &DataType) -> DataType {
    match logical {
        DataType::Interval(_) => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(physical_field(item))),
        other => other.clone(),
    }
}

fn physical_rows(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = rows.columns().iter().zip(schema.fields()).map(|(c, f)| physical(c, f.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_>>()?, &options)?)
}

fn physical(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(array.clone()),
        (DataType::Interval(_), DataType::Utf8) => {
            let print = |v: arrow::datatypes::IntervalMonthDayNano| {
                format!("{} mons {} days {} nanoseconds", v.months, v.days, v.nanoseconds)
            };
            let values = array.as_primitive::<IntervalMonthDayNanoType>().iter().map(|v| v.map(print));
            Ok(Arc::new(values.collect::<StringArray>()))
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = physical(list.values(), item.data_type())?;
            Ok(Arc::new(ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (from, to) => Err(Error::internal(format!("a part cannot hold Arrow type {from} as {to}"))),
    }
}

fn properties(def: &TableDef, sample: &RecordBatch, rows: usize, row_group: u64) -> Result<WriterProperties> {
    let key = |k: &str, v: String| KeyValue::new(k.to_string(), v);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(row_group as usize))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(format!("sightline {}", env!("CARGO_PKG_VERSION")))
        .set_sorting_columns(sorting_columns(def))
        .set_key_value_metadata(Some(vec![
            key("sightline.table", def.id.to_string()),
            key("sightline.table_version", def.version.to_string()),
            key("sightline.version", env!("CARGO_PKG_VERSION").to_string()),
        ]));
    for (column, values) in def.columns.iter().zip(sample.columns()) {
        let path = ColumnPath::new(vec![column.stored_name.clone()]);
        if values.data_type().is_nested() {
            continue;
        }
        let distinct = distinct_estimate(values, rows)?;
        if distinct > rows as f64 * DICTIONARY_SHARE {
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            if def.cluster_by.first() != Some(&column.id) && wants_bloom_filter(values) {
                let distinct = (distinct as u64).clamp(1, rows.min(ROW_GROUP_ROWS) as u64);
                properties = properties
                    .set_column_bloom_filter_enabled(path.clone(), true)
                    .set_column_bloom_filter_fpp(path.clone(), BLOOM_FPP)
                    .set_column_bloom_filter_max_ndv(path.clone(), distinct);
            }
        }
        if matches!(values.data_type(), DataType::Interval(_)) {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    let row = ColumnPath::new(vec![ROW_COLUMN.to_string()]);
    Ok(properties
        .set_column_dictionary_enabled(row.clone(), false)
        .set_column_encoding(row, Encoding::DELTA_BINARY_PACKED)
        .build())
}

/// Whether values of the column are long enough, and of a kind that is asked for by equality, so that a filter of a few bits
/// a value is worth its room: a uuid's is a twelfth of the column, that of longer text less. Integers have none: theirs would be
/// an eighth, and those that come in order are found by their bounds. Nor has text with blanks in it: nobody asks for a
/// title or a remark to the letter, as one does for a URL or a token.
fn wants_bloom_filter(sample: &ArrayRef) -> bool {
    match sample.data_type() {
        DataType::FixedSizeBinary(n) => i64::from(*n) >= BLOOM_BYTES_MIN as i64,
        DataType::Utf8View => {
            let (mut values, mut blanks, mut bytes) = (0, 0, 0);
            for value in sample.as_string_view().iter().flatten() {
                values += 1;
                blanks += u64::from(value.contains(' '));
                bytes += value.len() as u64;
            }
            bytes >= values * BLOOM_BYTES_MIN && blanks * BLOOM_BLANKS_FRACTION <= values
        }
        _ => false,
    }
}

/// `CLUSTER BY` as Parquet says it, up to the first column whose order Parquet does not share.
fn sorting_columns(def: &TableDef) -> Option<Vec<SortingColumn>> {
    let position = |id| def.columns.iter().position(|c| c.id == id && has_order(&c.ty));
    let columns = def.cluster_by.iter().map_while(|id| position(*id));
    let sorting = |i| SortingColumn { column_idx: i as i32, descending: false, nulls_first: false };
    let columns = columns.map(sorting).collect::<Vec<_>>();
    if columns.is_empty() { None } else { Some(columns) }
}

/// How many distinct values `rows` rows have, judged by a sample of them: the estimator of Haas and Stokes that
/// PostgreSQL's ANALYZE uses.
fn distinct_estimate(sample: &ArrayRef, rows: usize) -> Result<f64> {
    if matches!(sample.data_type(), DataType::Boolean) {
        return Ok(2.0);
    }
    let converter = RowConverter::new(vec![SortField::new(sample.data_type().clone())])?;
    let keys = converter.convert_columns(std::slice::from_ref(sample))?;
    let mut counts: HashMap<&[u8], u32> = HashMap::new();
    for (row, key) in keys.iter().enumerate() {
        if sample.is_valid(row) {
            *counts.entry(key.data()).or_default() += 1;
        }
    }
    let seen = (sample.len() - sample.null_count()) as f64;
    if seen == 0.0 {
        return Ok(0.0);
    }
    let all = rows as f64 * seen / sample.len() as f64;
    let once = counts.values().filter(|n| **n == 1).count() as f64;
    Ok(seen * counts.len() as f64 / (seen - once + once * seen / all))
}
