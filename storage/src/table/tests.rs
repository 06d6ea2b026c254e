//! Hot rows against a model; parts read back as any Parquet reader would.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, RecordBatch, StringArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int32Type, Int64Type, IntervalMonthDayNano, Schema, UInt64Type, i256};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;

use super::*;
use crate::catalog::{ColumnDef, PartitionExpr, TableDef};
use crate::error::SqlState;
use crate::ids::{RoleId, SchemaId, TableId, TenantId};
use crate::types::SqlType;

const TENANT: TenantId = TenantId(7);

fn metas(parts: Vec<WrittenPart>) -> Vec<PartMeta> {
    parts.into_iter().map(|p| p.meta).collect()
}

fn column(id: u16, name: &str, ty: SqlType) -> ColumnDef {
    ColumnDef {
        id: ColumnId(id),
        name: name.to_string(),
        stored_name: format!("{name}_{id}"),
        ty,
        not_null: false,
        default: None,
        missing: None,
        comment: None,
        identity: None,
        generated: None,
    }
}

fn table(columns: Vec<ColumnDef>) -> TableDef {
    TableDef {
        id: TableId(16400),
        schema: SchemaId(2200),
        name: "flights".to_string(),
        owner: RoleId(10),
        version: 3,
        next_column: columns.len() as u16 + 1,
        columns,
        checks: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        partition_by: Vec::new(),
        cluster_by: Vec::new(),
        retention_us: None,
        comment: None,
        created_at: 0,
    }
}

fn batch(def: &TableDef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(def.arrow_schema(), columns).unwrap()
}

/// Under stored names, with `_row` counting from `first`.
fn stored(def: &TableDef, columns: Vec<ArrayRef>, first: u64) -> RecordBatch {
    let rows = to_stored(def, &batch(def, columns)).unwrap();
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(UInt64Array::from_iter_values((0..rows.num_rows() as u64).map(|i| first + i))));
    RecordBatch::try_new(stored_schema(def, true), columns).unwrap()
}

/// A small generator of pseudo-random numbers (SplitMix64): tests are the same on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn pairs() -> TableDef {
    table(vec![column(1, "n", SqlType::BigInt), column(2, "s", SqlType::Text)])
}

fn pair_rows(def: &TableDef, from: u64, count: u64) -> RecordBatch {
    stored(def, pair_columns(from, count), from)
}

/// As a statement brings them, without `_row`.
fn given_pairs(def: &TableDef, from: u64, count: u64) -> RecordBatch {
    RecordBatch::try_new(def.arrow_schema(), pair_columns(from, count)).unwrap()
}

fn pair_columns(from: u64, count: u64) -> Vec<ArrayRef> {
    let n = Int64Array::from_iter_values((from..from + count).map(|v| v as i64));
    let s = StringViewArray::from_iter_values((from..from + count).map(|v| format!("a string of some length {v}")));
    vec![Arc::new(n), Arc::new(s)]
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn hot_rows_equal_a_model_under_random_appends_and_drops() {
    let def = pairs();
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut hot = HotRows::default();
        let mut model: Vec<(Index, i64)> = Vec::new();
        let (mut next, mut index) = (0, 1);
        for _ in 0..200 {
            let count = match random.below(10) {
                0 => random.below(20_000),
                1..5 => random.below(500),
                _ => 1 + random.below(3),
            };
            hot.append(pair_rows(&def, next, count), Index(index));
            model.extend((next..next + count).map(|v| (Index(index), v as i64)));
            next += count;
            index += random.below(2);
            if random.below(15) == 0 && !model.is_empty() {
                let to = Index(index - random.below(index.min(20)));
                let before = hot.clone();
                let wanted = model.iter().filter(|(i, _)| *i <= to).map(|(_, v)| *v).collect::<Vec<_>>();
                assert_eq!(numbers(&hot.through(to)), wanted);
                hot.drop_through(to);
                assert_eq!(before.rows(), model.len() as u64, "a clone is a snapshot");
                model.retain(|(i, _)| *i > to);
            }
            assert_eq!(hot.rows(), model.len() as u64);
        }
        let chunks = hot.chunks(&def).unwrap();
        assert_eq!(numbers(&chunks), model.iter().map(|(_, v)| *v).collect::<Vec<_>>());
        let text = chunks.iter().flat_map(|c| c.column(1).as_string_view().iter().flatten()).last();
        assert_eq!(text, model.last().map(|(_, v)| format!("a string of some length {v}")).as_deref());
    }
}

#[test]
fn many_small_appends_make_few_chunks() {
    let def = pairs();
    let mut hot = HotRows::default();
    for i in 0..15_000 {
        let snapshot = hot.clone();
        hot.append(pair_rows(&def, i * 64, 64), Index(i + 1));
        drop(snapshot);
    }
    let chunks = hot.chunks(&def).unwrap();
    assert_eq!(hot.rows(), 960_000);
    assert!(chunks.len() < 960_000 / 8192 + 20, "{} chunks", chunks.len());
    let full = chunks.iter().take_while(|c| c.num_rows() >= 8192).count();
    assert_eq!(full, 960_000 / 8192);
    // 8 + 16 bytes of view + 31 of string + 8 of _row, and the entries' places.
    let bytes = hot.bytes();
    assert!((55_000_000..80_000_000).contains(&bytes), "{bytes} bytes");
    hot.drop_through(Index(7_001));
    assert_eq!(hot.rows(), (15_000 - 7_001) * 64);
    assert_eq!(numbers(&hot.through(Index(7_002))), (7_001 * 64..7_002 * 64).collect::<Vec<i64>>());
    assert!(hot.bytes() < bytes * 6 / 10);
}

#[test]
fn a_small_slice_does_not_keep_a_large_buffer() {
    let def = pairs();
    let large = pair_rows(&def, 0, 100_000);
    let mut hot = HotRows::default();
    hot.append(large.slice(50_000, 10), Index(1));
    assert!(hot.bytes() < 8_000, "{} bytes", hot.bytes());
    assert_eq!(numbers(&hot.chunks(&def).unwrap()), (50_000..50_010).collect::<Vec<i64>>());
}

#[test]
fn hot_rows_follow_changes_of_columns() {
    let old = pairs();
    let mut hot = HotRows::default();
    hot.append(pair_rows(&old, 0, 3), Index(1));
    let mut new = old.clone();
    new.columns[0].name = "number".to_string();
    new.columns[0].ty = SqlType::Numeric(Some((20, 2)));
    new.columns.remove(1);
    let ready = RecordBatch::try_from_iter([("x", Arc::new(StringArray::from(vec!["新"])) as ArrayRef)]).unwrap();
    let mut ipc = Vec::new();
    let mut writer = StreamWriter::try_new(&mut ipc, &ready.schema()).unwrap();
    writer.write(&ready).unwrap();
    writer.finish().unwrap();
    drop(writer);
    new.columns.push(ColumnDef { missing: Some(ipc), ..column(3, "label", SqlType::Text) });
    new.columns.push(column(4, "later", SqlType::Integer));
    let now: Vec<ArrayRef> = vec![
        Arc::new(Decimal128Array::from(vec![1234]).with_precision_and_scale(20, 2).unwrap()),
        Arc::new(StringViewArray::from(vec!["b"])),
        Arc::new(Int32Array::from(vec![9])),
    ];
    hot.append(stored(&new, now, 3), Index(2));
    let rows = concat_batches(&new.arrow_schema(), &hot.chunks(&new).unwrap()).unwrap();
    let wanted: Vec<ArrayRef> = vec![
        Arc::new(Decimal128Array::from(vec![0, 100, 200, 1234]).with_precision_and_scale(20, 2).unwrap()),
        Arc::new(StringViewArray::from(vec!["新", "新", "新", "b"])),
        Arc::new(Int32Array::from(vec![None, None, None, Some(9)])),
    ];
    assert_eq!(rows, batch(&new, wanted));
}

/// `numeric` without precision was a decimal(38,10) once, whose zeros were not shown.
#[test]
fn hot_rows_follow_what_a_numeric_is() {
    let old = table(vec![column(1, "n", SqlType::Numeric(Some((38, 10))))]);
    let decimals = Decimal128Array::from(vec![Some(15_000_000_000), None, Some(-100_000_000_000)]);
    let mut hot = HotRows::default();
    hot.append(stored(&old, vec![Arc::new(decimals.with_precision_and_scale(38, 10).unwrap())], 0), Index(1));
    let mut new = old;
    new.columns[0].ty = SqlType::Numeric(None);
    let rows = concat_batches(&new.arrow_schema(), &hot.chunks(&new).unwrap()).unwrap();
    let shown = |v: Option<&[u8]>| v.map(|b| sightline_numeric::bytes::decode(b).to_string());
    let values = rows.column(0).as_binary::<i64>().iter().map(shown).collect::<Vec<_>>();
    assert_eq!(values, [Some("1.5".to_string()), None, Some("-10".to_string())]);
}

/// A table with a column of each type, and three rows: values, NULLs, other values.
fn every_type() -> (TableDef, Vec<ArrayRef>) {
    let wide = i256::from_string(&"7".repeat(76)).unwrap();
    let interval = |m, d, n| Some(IntervalMonthDayNano::new(m, d, n));
    let texts = Arc::new(StringViewArray::from(vec![Some("héllo, a long string 机场"), None, Some("")])) as ArrayRef;
    let list = |item: &SqlType, values: ArrayRef| -> ArrayRef {
        let field = Arc::new(item.field("item", true));
        let nulls = vec![true, false, true].into();
        Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([2, 0, 1]), values, Some(nulls)))
    };
    let intervals = vec![interval(14, -3, 5_000_001_000), None, interval(i32::MIN, i32::MAX, i64::MIN)];
    let intervals = Arc::new(IntervalMonthDayNanoArray::from(intervals)) as ArrayRef;
    let day = 86_400_000_000;
    let columns: Vec<(SqlType, ArrayRef)> = vec![
        (SqlType::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        (SqlType::SmallInt, Arc::new(Int16Array::from(vec![Some(-5), None, Some(i16::MAX)]))),
        (SqlType::Integer, Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(7)]))),
        (SqlType::BigInt, Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        (SqlType::Real, Arc::new(Float32Array::from(vec![Some(1.5), None, Some(-0.25)]))),
        (SqlType::Double, Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(f64::NEG_INFINITY)]))),
        (
            SqlType::Numeric(Some((9, 2))),
            Arc::new(Decimal128Array::from(vec![Some(-12345), None, Some(1)]).with_precision_and_scale(9, 2).unwrap()),
        ),
        (
            SqlType::Numeric(None),
            crate::numeric::of_decimal(&(Arc::new(Decimal128Array::from(vec![Some(5), None, Some(-6)])) as ArrayRef)),
        ),
        (
            SqlType::Numeric(Some((76, 10))),
            Arc::new(
                Decimal256Array::from(vec![Some(wide), None, Some(wide.wrapping_neg())])
                    .with_precision_and_scale(76, 10)
                    .unwrap(),
            ),
        ),
        (
            SqlType::Numeric(Some((39, 0))),
            Arc::new(
                Decimal256Array::from(vec![Some(i256::ONE), None, Some(i256::MINUS_ONE)])
                    .with_precision_and_scale(39, 0)
                    .unwrap(),
            ),
        ),
        (SqlType::Text, texts.clone()),
        (SqlType::Varchar(Some(40)), texts.clone()),
        (SqlType::Bytea, Arc::new(BinaryArray::from(vec![Some([0, 255].as_slice()), None, Some(&[])]))),
        (SqlType::Date, Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        (SqlType::Time, Arc::new(Time64MicrosecondArray::from(vec![Some(day - 1), None, Some(0)]))),
        (SqlType::Timestamp, Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(i64::MAX)]))),
        (
            SqlType::TimestampTz,
            Arc::new(TimestampMicrosecondArray::from(vec![Some(day), None, Some(1)]).with_timezone("UTC")),
        ),
        (SqlType::Interval, intervals.clone()),
        (
            SqlType::Uuid,
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([9; 16]), None, Some([1; 16])].into_iter(),
                    16,
                )
                .unwrap(),
            ),
        ),
        (SqlType::Json, texts.clone()),
        (SqlType::Jsonb, texts.clone()),
        (
            SqlType::Array(Box::new(SqlType::Integer)),
            list(&SqlType::Integer, Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ),
        (SqlType::Array(Box::new(SqlType::Text)), list(&SqlType::Text, texts)),
        (SqlType::Array(Box::new(SqlType::Interval)), list(&SqlType::Interval, intervals)),
    ];
    let defs = columns.iter().enumerate().map(|(i, (ty, _))| column(i as u16 + 1, &format!("c{i}"), ty.clone()));
    (table(defs.collect()), columns.into_iter().map(|(_, a)| a).collect())
}

struct ReadBack {
    schema: Arc<Schema>,
    rows: RecordBatch,
    metadata: ArrowReaderMetadata,
}

async fn read(store: &PartStore, part: &PartMeta) -> ReadBack {
    let bytes: Bytes = store.objects.get(&store::object_path(&part.path)).await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, part.size);
    assert_eq!(crc32fast::hash(&bytes), part.crc32);
    let options =
        parquet::arrow::arrow_reader::ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let metadata = ArrowReaderMetadata::load(&bytes, options).unwrap();
    let groups = metadata.metadata().row_groups().iter().map(|g| g.num_rows() as u64).collect::<Vec<_>>();
    assert_eq!(groups, part.row_groups);
    let schema = metadata.schema().clone();
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata.clone()).build().unwrap();
    let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
    let rows = concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(rows.num_rows() as u64, part.rows);
    ReadBack { schema, rows, metadata }
}

#[tokio::test]
async fn every_type_survives_a_part() {
    let (def, columns) = every_type();
    let directory = tempfile::tempdir().unwrap();
    let store = PartStore::local(directory.path().join("objects")).unwrap();
    let rows = stored(&def, columns, 5 << 20);
    let parts = metas(write_parts(&store, TENANT, &def, vec![rows.clone()], Index(5), Index(9), 42).await.unwrap());
    let [part] = parts.as_slice() else { panic!("{parts:?}") };
    assert!(part.path.starts_with("cold/7/16400/all/0000000000000005-0000000000000009-"), "{}", part.path);
    assert!(directory.path().join("objects").join(&part.path).exists());
    assert_eq!((part.rows, part.table_version, part.created_at, part.row_base), (3, 3, 42, None));
    let back = read(&store, part).await;
    for (index, field) in stored_schema(&def, true).fields().iter().enumerate() {
        let (want, got) = (rows.column(index), back.rows.column(index));
        if got.data_type() == want.data_type() {
            assert_eq!(back.schema.field(index), field.as_ref(), "a reader needs no cast");
            assert_eq!(got, want, "{field}");
        } else {
            assert!(matches!(SqlType::of_field(field).to_string().as_str(), "interval" | "interval[]"), "{field}");
            assert_eq!(&cast(got, want.data_type()).unwrap(), want, "{field}");
        }
    }
    let page_index = back.metadata.metadata();
    assert!(page_index.column_index().is_some() && page_index.offset_index().is_some());
    check_stats(&def, part);
}

fn check_stats(def: &TableDef, part: &PartMeta) {
    for (column, stats) in def.columns.iter().zip(&part.columns) {
        assert_eq!((stats.column, stats.nulls, stats.exact), (column.id, 1, true));
        let Some(bounds) = &stats.bounds else {
            assert!(!stats::has_order(&column.ty) || column.ty == SqlType::Double, "{column:?}");
            continue;
        };
        assert_eq!((bounds.len(), bounds.data_type()), (2, &column.ty.arrow()));
    }
    let of = |ty: SqlType| {
        let position = def.columns.iter().position(|c| c.ty == ty).unwrap();
        part.columns[position].bounds.clone().unwrap()
    };
    assert_eq!(of(SqlType::Integer).as_primitive::<Int32Type>().values(), &[i32::MIN, 7]);
    assert_eq!(of(SqlType::Boolean).as_boolean(), &BooleanArray::from(vec![false, true]));
    assert_eq!(of(SqlType::Uuid).as_fixed_size_binary().value(0), [1; 16]);
    assert_eq!(of(SqlType::Text).as_string_view().value(1), "héllo, a long string 机场");
}

#[tokio::test]
async fn rows_are_split_by_partition_and_sorted() {
    let mut def = table(vec![
        column(1, "day", SqlType::Date),
        column(2, "机场", SqlType::Text),
        column(3, "delay", SqlType::Integer),
    ]);
    def.partition_by = vec![PartitionExpr::Month(ColumnId(1)), PartitionExpr::Value(ColumnId(2))];
    def.cluster_by = vec![ColumnId(3), ColumnId(1)];
    let directory = tempfile::tempdir().unwrap();
    let store = PartStore::local(directory.path()).unwrap();
    let days = [Some(11_323), Some(11_354), None, Some(11_324), Some(11_325)];
    let airports = [Some("上海"), Some("SEA"), None, Some("上海"), Some("上海")];
    let delays = [Some(9), Some(1), Some(0), None, Some(-3)];
    let rows = |range: std::ops::Range<usize>| -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from(days[range.clone()].to_vec())),
            Arc::new(StringViewArray::from(airports[range.clone()].to_vec())),
            Arc::new(Int32Array::from(delays[range.clone()].to_vec())),
        ];
        stored(&def, columns, range.start as u64)
    };
    let batches = vec![rows(0..2), rows(2..4), rows(4..5)];
    let parts = metas(write_parts(&store, TENANT, &def, batches, Index(1), Index(1), 0).await.unwrap());
    let names = parts.iter().map(|p| p.partition.as_str()).collect::<Vec<_>>();
    let airport = "%E6%9C%BA%E5%9C%BA_2";
    let shanghai = format!("month=2001-01/{airport}=%E4%B8%8A%E6%B5%B7");
    let seattle = format!("month=2001-01/{airport}=SEA");
    let null = format!("month=__null__/{airport}=__null__");
    assert_eq!(names, [shanghai.as_str(), &seattle.replace("01/", "02/"), &null]);
    assert!(parts[0].path.contains("/month=2001-01/!E6!9C!BA!E5!9C!BA_2=!E4!B8!8A!E6!B5!B7/"), "{}", parts[0].path);
    let back = read(&store, &parts[0]).await;
    assert_eq!(back.rows.column(2).as_ref(), &Int32Array::from(vec![Some(-3), Some(9), None]) as &dyn Array);
    assert_eq!(back.rows.column(3).as_primitive::<UInt64Type>().values(), &[4, 0, 3]);
    let sorting = back.metadata.metadata().row_group(0).sorting_columns().unwrap();
    assert_eq!(sorting.iter().map(|s| s.column_idx).collect::<Vec<_>>(), [2, 0]);
}

#[tokio::test]
async fn sorting_is_stable_and_complete() {
    let mut def = pairs();
    def.cluster_by = vec![ColumnId(2)];
    let mut random = Random(1);
    let batches = (0..40).map(|i| {
        let n = (0..1000).map(|j| i * 1000 + j).collect::<Vec<i64>>();
        let s = n.iter().map(|_| Some(format!("key number {:03}", random.below(300)))).collect::<Vec<_>>();
        stored(&def, vec![Arc::new(Int64Array::from(n)), Arc::new(StringViewArray::from_iter(s))], i as u64 * 1000)
    });
    let batches = batches.collect::<Vec<_>>();
    let mut wanted = batches
        .iter()
        .flat_map(|b| b.column(1).as_string_view().iter().zip(b.column(0).as_primitive::<Int64Type>().values()))
        .map(|(s, n)| (s.unwrap().to_string(), *n))
        .collect::<Vec<_>>();
    wanted.sort();
    let store = PartStore::new(Arc::new(object_store::memory::InMemory::new()));
    let parts = metas(write_parts(&store, TENANT, &def, batches, Index(1), Index(1), 0).await.unwrap());
    let back = read(&store, &parts[0]).await;
    let texts = back.rows.column(1).as_string_view().iter().flatten().map(str::to_string);
    let got = texts.zip(back.rows.column(0).as_primitive::<Int64Type>().values().iter().copied());
    assert!(got.eq(wanted));
}

#[tokio::test]
async fn too_many_partitions_are_refused() {
    let mut def = pairs();
    def.partition_by = vec![PartitionExpr::Value(ColumnId(1))];
    let store = PartStore::new(Arc::new(object_store::memory::InMemory::new()));
    let job = Arc::new(def.clone());
    let mut load = BulkWriter::new(store.clone(), TENANT, job, 0);
    load.write(given_pairs(&def, 0, 600)).await.unwrap();
    load.write(given_pairs(&def, 600, 600)).await.unwrap();
    let error = load.finish().await.unwrap_err();
    let checked = check_partitions(&def, &given_pairs(&def, 0, 1200)).unwrap_err();
    assert_eq!(error.message(), checked.message());
    assert_eq!(error.code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    assert_eq!(error.message(), "a write to table \"flights\" may touch at most 1000 partitions");
    assert!(error.get_hint().is_some());
    assert!(check_partitions(&def, &given_pairs(&def, 0, 1000)).is_ok());
    // Rows of many statements together may: a flush must not fail for what was acknowledged.
    let rows = vec![pair_rows(&def, 0, 600), pair_rows(&def, 600, 600)];
    let parts = metas(write_parts(&store, TENANT, &def, rows, Index(1), Index(1), 0).await.unwrap());
    assert_eq!(parts.len(), 1200);
    def.partition_by = vec![PartitionExpr::Hash(ColumnId(1), 8)];
    let parts =
        metas(write_parts(&store, TENANT, &def, vec![pair_rows(&def, 0, 8000)], Index(1), Index(1), 0).await.unwrap());
    assert_eq!(parts.len(), 8);
    assert!(parts.iter().all(|p| (850..1150).contains(&p.rows)), "{parts:?}");
    assert!(parts.iter().any(|p| p.partition == "hash=7"));
}

#[tokio::test]
async fn columns_of_older_versions_are_filled_in() {
    let old = pairs();
    let mut new = old.clone();
    new.columns.push(column(3, "x", SqlType::Integer));
    let now: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(StringViewArray::from(vec!["b"])),
        Arc::new(Int32Array::from(vec![5])),
    ];
    let rows = vec![pair_rows(&old, 0, 1), stored(&new, now, 1)];
    let store = PartStore::new(Arc::new(object_store::memory::InMemory::new()));
    let parts = metas(write_parts(&store, TENANT, &new, rows, Index(1), Index(2), 0).await.unwrap());
    let back = read(&store, &parts[0]).await;
    assert_eq!(back.rows.column(2).as_ref(), &Int32Array::from(vec![None, Some(5)]) as &dyn Array);
    assert_eq!(back.schema.fields(), stored_schema(&new, true).fields());
}

#[tokio::test]
async fn a_large_part_streams_in_pieces() {
    let def = pairs();
    let store = PartStore::new(Arc::new(object_store::memory::InMemory::new()));
    let mut random = Random(3);
    let noise =
        (0..300_000).map(|_| format!("{:016x}{:016x}{:016x}", random.below(u64::MAX), random.below(u64::MAX), 0));
    let s = StringViewArray::from_iter_values(noise);
    let n = Int64Array::from_iter_values(0..300_000);
    let rows = vec![stored(&def, vec![Arc::new(n), Arc::new(s)], 0)];
    let parts = metas(write_parts(&store, TENANT, &def, rows.clone(), Index(1), Index(2), 0).await.unwrap());
    assert!(parts[0].size > 9 << 20, "{} bytes", parts[0].size);
    assert_eq!(parts[0].row_groups, [262_144, 37_856]);
    let back = read(&store, &parts[0]).await;
    assert_eq!(back.rows.columns(), rows[0].columns());
}

fn files(root: &std::path::Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        count += if path.is_dir() { files(&path) } else { 1 };
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_load_writes_all_rows_and_no_row_column() {
    let def = Arc::new(pairs());
    let directory = tempfile::tempdir().unwrap();
    let store = PartStore::local(directory.path()).unwrap();
    let mut writer = BulkWriter::new(store.clone(), TENANT, def.clone(), 1).with_buffer_bytes(1 << 20);
    for i in 0..50 {
        let rows = pair_rows(&def, i * 1000, 1000).project(&[0, 1]).unwrap();
        writer.write(RecordBatch::try_new(def.arrow_schema(), rows.columns().to_vec()).unwrap()).await.unwrap();
    }
    assert_eq!(writer.rows(), 50_000);
    let parts = writer.finish().await.unwrap();
    assert!(parts.len() > 1);
    assert_eq!(files(directory.path()), parts.len());
    let mut all = Vec::new();
    for part in &parts {
        assert_eq!((part.first, part.last, part.row_base), (Index(0), Index(0), None));
        let back = read(&store, part).await;
        assert_eq!(back.schema.fields(), stored_schema(&def, false).fields());
        all.extend(numbers(&[back.rows]));
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..50_000));
    store.remove(&parts).await.unwrap();
    store.remove(&parts).await.unwrap();
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_bulk_load_leaves_no_file() {
    let def = Arc::new(pairs());
    let directory = tempfile::tempdir().unwrap();
    let store = PartStore::local(directory.path()).unwrap();
    let mut writer = BulkWriter::new(store, TENANT, def.clone(), 1).with_buffer_bytes(1 << 20);
    for i in 0..60 {
        let rows = pair_rows(&def, i * 1000, 1000).project(&[0, 1]).unwrap();
        writer.write(RecordBatch::try_new(def.arrow_schema(), rows.columns().to_vec()).unwrap()).await.unwrap();
    }
    assert!(files(directory.path()) > 0);
    drop(writer);
    for _ in 0..200 {
        if files(directory.path()) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} files are left", files(directory.path()));
}

#[test]
fn types_of_hot_batches_are_those_of_the_table() {
    let (def, columns) = every_type();
    let mut hot = HotRows::default();
    hot.append(stored(&def, columns.clone(), 0), Index(1));
    hot.append(stored(&def, columns.clone(), 3), Index(2));
    let rows = hot.chunks(&def).unwrap();
    assert_eq!(rows[0].slice(0, 3), batch(&def, columns));
    assert!(rows.iter().all(|r| r.schema().fields().iter().all(|f| *f.data_type() != DataType::Null)));
}
