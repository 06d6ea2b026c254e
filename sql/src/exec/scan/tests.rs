//! The leaf against a `MemTable` with the same rows: whatever is hot or cold, pruned or split, answers are equal.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::IntervalMonthDayNano;
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::memory::InMemory;
use sightline_storage::catalog::{ColumnDef, PartitionExpr, TableDef};
use sightline_storage::ids::{ColumnId, Index, RoleId, SchemaId, TableId, TenantId};
use sightline_storage::parts::Part;
use sightline_storage::snapshot::TableSnapshot;
use sightline_storage::table::{HotRows, PartStore, stored_schema, to_stored, write_parts};
use sightline_storage::types::SqlType;

use super::register_objects;
use crate::catalog::table::{Table, TableOptions};

const TENANT: TenantId = TenantId(7);

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
        name: "t".to_string(),
        owner: RoleId(10),
        version: 1,
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

/// A table in the making.
struct Fixture {
    def: TableDef,
    store: PartStore,
    parts: Vec<Arc<Part>>,
    hot: HotRows,
    options: TableOptions,
}

impl Fixture {
    fn new(def: TableDef) -> Fixture {
        let store = PartStore::new(Arc::new(InMemory::new()));
        Fixture { def, store, parts: Vec::new(), hot: HotRows::default(), options: TableOptions::default() }
    }

    fn batch(&self, columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_new(self.def.arrow_schema(), columns).unwrap()
    }

    /// As it is stored, `_row` last.
    fn stored(&self, rows: &RecordBatch) -> RecordBatch {
        let stored = to_stored(&self.def, rows).unwrap();
        let mut columns = stored.columns().to_vec();
        columns.push(Arc::new(UInt64Array::from_iter_values(0..rows.num_rows() as u64)));
        RecordBatch::try_new(stored_schema(&self.def, true), columns).unwrap()
    }

    async fn add_part(&mut self, rows: &RecordBatch) {
        let stored = vec![self.stored(rows)];
        let written = write_parts(&self.store, TENANT, &self.def, stored, Index(1), Index(2), 0).await.unwrap();
        self.parts.extend(written.into_iter().map(|p| Arc::new(Part::new(p.meta))));
    }

    fn add_hot(&mut self, rows: &RecordBatch) {
        self.hot.append(self.stored(rows), Index(self.hot.rows() + 1));
    }

    fn table(&self) -> Arc<Table> {
        let snapshot = TableSnapshot::assemble(Arc::new(self.def.clone()), self.parts.clone(), self.hot.clone());
        Table::new(Arc::new(snapshot), TENANT, self.store.objects.clone(), self.options.clone())
    }

    fn context(&self, partitions: usize, pushdown: bool) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(false);
        config.options_mut().execution.parquet.pushdown_filters = pushdown;
        let context = SessionContext::new_with_config(config);
        register_objects(&context.runtime_env(), self.store.objects.clone());
        context.register_table("t", self.table()).unwrap();
        context
    }
}

async fn rows_of(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines = text.lines().filter(|l| !l.starts_with("+-")).collect::<Vec<_>>();
    lines.sort_unstable();
    lines.join("\n")
}

async fn explained(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(&format!("EXPLAIN {sql}")).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// Answers equal those over `expected`, in all configurations.
async fn check(fixture: &Fixture, expected: &RecordBatch, queries: &[&str]) {
    let model = MemTable::try_new(expected.schema(), vec![vec![expected.clone()]]).unwrap();
    let model_context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    model_context.register_table("t", Arc::new(model)).unwrap();
    let configurations = [(1, false), (2, true), (7, false)];
    let contexts = configurations.map(|(partitions, pushdown)| fixture.context(partitions, pushdown));
    for sql in queries {
        let wanted = rows_of(&model_context, sql).await;
        for (context, configuration) in contexts.iter().zip(configurations) {
            let (partitions, pushdown) = configuration;
            assert_eq!(rows_of(context, sql).await, wanted, "{sql} with {partitions} partitions, push-down {pushdown}");
        }
    }
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

fn flights() -> TableDef {
    let mut columns = vec![
        column(1, "id", SqlType::BigInt),
        column(2, "k", SqlType::Integer),
        column(3, "航班", SqlType::Text),
        column(4, "delay", SqlType::Double),
        column(5, "price", SqlType::Numeric(Some((10, 2)))),
        column(6, "at", SqlType::Timestamp),
        column(7, "late", SqlType::Boolean),
        column(8, "nil", SqlType::Text),
    ];
    columns[0].not_null = true;
    table(columns)
}

/// Rows with ids from `first`; `at` grows with the id, so that zones of chunks and parts differ.
fn flight_rows(def: &TableDef, random: &mut Random, first: i64, count: usize) -> RecordBatch {
    let ids = (first..first + count as i64).collect::<Vec<_>>();
    let mut maybe = |n| (random.below(9) > 0).then(|| random.below(n));
    let k = ids.iter().map(|_| maybe(40).map(|v| v as i32 - 20)).collect::<Int32Array>();
    let names = ["北京", "上海", "O'Hare", "", "a very long name that does not fit into a view, surely", "Zürich"];
    let name = ids.iter().map(|_| maybe(6).map(|v| names[v as usize])).collect::<StringViewArray>();
    let delay = ids.iter().map(|_| maybe(1000).map(|v| v as f64 / 8.0 - 20.0)).collect::<Float64Array>();
    let price = ids.iter().map(|_| maybe(100_000).map(i128::from)).collect::<Decimal128Array>();
    let at = ids.iter().map(|i| Some(i * 1_000_000)).collect::<TimestampMicrosecondArray>();
    let late = ids.iter().map(|_| maybe(2).map(|v| v == 1)).collect::<BooleanArray>();
    let nil = StringViewArray::from(vec![None::<&str>; count]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids)),
        Arc::new(k),
        Arc::new(name),
        Arc::new(delay),
        Arc::new(price.with_precision_and_scale(10, 2).unwrap()),
        Arc::new(at),
        Arc::new(late),
        Arc::new(nil),
    ];
    RecordBatch::try_new(def.arrow_schema(), columns).unwrap()
}

/// Rows in pieces of random size, each hot with the given chance in percent.
async fn mixed(hot_percent: u64, rows: usize, seed: u64) -> (Fixture, RecordBatch) {
    let mut fixture = Fixture::new(flights());
    let mut random = Random(seed);
    let mut all = Vec::new();
    let mut next = 0;
    while next < rows {
        let hot = random.below(100) < hot_percent;
        let size = if hot { 1 + random.below(1500) } else { 500 + random.below(8000) } as usize;
        let piece = flight_rows(&fixture.def, &mut random, next as i64, size);
        next += size;
        if hot {
            fixture.add_hot(&piece)
        } else {
            fixture.add_part(&piece).await
        }
        all.push(piece);
    }
    let all = concat_batches(&fixture.def.arrow_schema(), &all).unwrap();
    (fixture, all)
}

const QUERIES: &[&str] = &[
    "SELECT count(*), min(id), max(id), min(at), max(at) FROM t",
    "SELECT count(k), count(nil), min(nil), max(nil), min(\"航班\"), max(\"航班\"), min(delay), max(price) FROM t",
    "SELECT min(late), max(late), count(DISTINCT k), sum(k), avg(delay), sum(price) FROM t",
    "SELECT * FROM t WHERE id < 50",
    "SELECT * FROM t WHERE at BETWEEN '1970-01-01 00:20:00' AND '1970-01-01 00:21:00'",
    "SELECT id FROM t WHERE id IN (3, 4000, 9999, 1000000)",
    "SELECT id + 1, k * 2, upper(\"航班\") FROM t WHERE k = 7 AND late",
    "SELECT count(*) FROM t WHERE nil IS NULL AND k IS NOT NULL",
    "SELECT count(*) FROM t WHERE nil IS NOT NULL",
    "SELECT count(*) FROM t WHERE \"航班\" LIKE '%海' OR delay > 100",
    "SELECT count(*) FROM t WHERE price BETWEEN 10.00 AND 20.00 AND k < 0",
    "SELECT k, count(*), sum(delay) FROM t GROUP BY k",
    "SELECT \"航班\", count(*) FROM t GROUP BY \"航班\" ORDER BY 2 DESC, 1 LIMIT 3",
    "SELECT id FROM t ORDER BY id LIMIT 7",
    "SELECT id FROM t ORDER BY id DESC LIMIT 7 OFFSET 5",
    "SELECT id, at FROM t WHERE k = 3 ORDER BY at DESC LIMIT 5",
    "SELECT count(*) FROM (SELECT * FROM t LIMIT 777)",
    "SELECT count(*) FROM (SELECT id FROM t LIMIT 100 OFFSET 13)",
    "SELECT count(*), sum(a.id) FROM t a JOIN t b ON a.id = b.id WHERE b.k = 5 AND b.id < 3000",
    "SELECT count(*) FROM t a LEFT JOIN t b ON a.id = b.id AND b.k = 5",
    "SELECT count(*) FROM t WHERE id IN (SELECT id FROM t WHERE delay > 104)",
    "SELECT count(*) FROM t a WHERE NOT EXISTS (SELECT 1 FROM t b WHERE b.id = a.id AND b.late)",
    "SELECT max(id) FROM t WHERE id < (SELECT avg(id) FROM t)",
    "SELECT 1 FROM t WHERE id = 17",
    "SELECT count(*) FROM t WHERE id < -5",
];

#[tokio::test]
async fn answers_equal_a_table_in_memory() {
    for (hot, seed) in [(0, 1), (30, 2), (85, 3), (100, 4)] {
        let (fixture, all) = mixed(hot, 20_000, seed).await;
        check(&fixture, &all, QUERIES).await;
    }
}

#[tokio::test]
async fn an_empty_table_has_no_rows() {
    let fixture = Fixture::new(flights());
    check(&fixture, &RecordBatch::new_empty(fixture.def.arrow_schema()), QUERIES).await;
}

#[tokio::test]
async fn metadata_answer_count_min_and_max() {
    let (fixture, all) = mixed(40, 12_000, 5).await;
    let context = fixture.context(2, false);
    let from_metadata = [
        "SELECT count(*) FROM t",
        "SELECT count(*), min(id), max(id), min(at), max(price), min(k), count(delay), max(late) FROM t",
        "SELECT min(\"航班\"), max(\"航班\") FROM t",
        "SELECT count(nil) FROM t",
    ];
    for sql in from_metadata {
        let plan = explained(&context, sql).await;
        assert!(plan.contains("PlaceholderRowExec") && !plan.contains("DataSourceExec"), "{sql}\n{plan}");
    }
    check(&fixture, &all, &from_metadata).await;
    let plan = explained(&context, "SELECT count(*), max(id) FROM t WHERE k = 1").await;
    assert!(plan.contains("DataSourceExec") && plan.contains("file_type=hybrid"), "{plan}");
}

#[tokio::test]
async fn long_strings_and_zeros_are_read_for_min_and_max() {
    let mut fixture = Fixture::new(table(vec![column(1, "s", SqlType::Text), column(2, "f", SqlType::Double)]));
    let long = |c: char| c.to_string().repeat(100);
    let rows = |texts: [String; 2], floats: [f64; 2]| -> Vec<ArrayRef> {
        vec![Arc::new(StringViewArray::from_iter_values(texts)), Arc::new(Float64Array::from(floats.to_vec()))]
    };
    let cold = fixture.batch(rows([long('飞'), long('m')], [0.0, 3.0]));
    let hot = fixture.batch(rows(["n".to_string(), "o".to_string()], [1.0, f64::NAN]));
    fixture.add_part(&cold).await;
    fixture.add_hot(&hot);
    let all = concat_batches(&fixture.def.arrow_schema(), [&cold, &hot]).unwrap();
    let queries =
        ["SELECT min(s), max(s) FROM t", "SELECT min(f) FROM t", "SELECT max(f) FROM t", "SELECT count(*) FROM t"];
    check(&fixture, &all, &queries).await;
    let filters = ["SELECT s FROM t WHERE s > 'x'", "SELECT s FROM t WHERE f > 100", "SELECT s FROM t WHERE f = 0"];
    check(&fixture, &all, &filters).await;
    let plan = explained(&fixture.context(2, false), "SELECT min(s) FROM t").await;
    assert!(plan.contains("DataSourceExec"), "a cut bound is no value: {plan}");
}

fn one_row(column: &ColumnDef, value: ArrayRef) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([(column.name.as_str(), value)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    bytes
}

#[tokio::test]
async fn old_parts_are_read_in_new_columns() {
    let old = table(vec![
        column(1, "a", SqlType::Integer),
        column(2, "gone", SqlType::Text),
        column(3, "b", SqlType::Text),
        column(4, "every", SqlType::Interval),
    ]);
    let mut fixture = Fixture::new(old);
    let interval = IntervalMonthDayNano::new(3, -2, 5000);
    let cold = fixture.batch(vec![
        Arc::new((0..3000).map(Some).collect::<Int32Array>()),
        Arc::new(StringViewArray::from(vec!["x"; 3000])),
        Arc::new((0..3000).map(|i| (i % 7 > 0).then(|| format!("名{}", i % 5))).collect::<StringViewArray>()),
        Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval); 3000])),
    ]);
    fixture.add_part(&cold).await;
    let def = &mut fixture.def;
    def.version = 2;
    // `a` becomes bigint and swaps names with `b`; `gone` goes and a new column takes its name.
    def.columns.remove(1);
    def.columns[0].ty = SqlType::BigInt;
    def.columns[0].name = "b".to_string();
    def.columns[1].name = "a".to_string();
    def.columns.push(column(5, "gone", SqlType::Integer));
    let mut filled = column(6, "新列", SqlType::Text);
    filled.missing = Some(one_row(&filled, Arc::new(StringViewArray::from(vec!["默认"]))));
    def.columns.push(filled);
    let upgraded = fixture.batch(vec![
        Arc::new((0..3000).map(Some).collect::<Int64Array>()),
        cold.column(2).clone(),
        cold.column(3).clone(),
        Arc::new(Int32Array::from(vec![None; 3000])),
        Arc::new(StringViewArray::from(vec!["默认"; 3000])),
    ]);
    let hot = fixture.batch(vec![
        Arc::new(Int64Array::from(vec![Some(1 << 40), None])),
        Arc::new(StringViewArray::from(vec!["名1", "z"])),
        Arc::new(IntervalMonthDayNanoArray::from(vec![None, Some(interval)])),
        Arc::new(Int32Array::from(vec![1, 2])),
        Arc::new(StringViewArray::from(vec![None, Some("新")])),
    ]);
    fixture.add_hot(&hot);
    let all = concat_batches(&fixture.def.arrow_schema(), [&upgraded, &hot]).unwrap();
    let queries = [
        "SELECT * FROM t",
        "SELECT count(*), min(b), max(b), min(gone), max(gone), min(\"新列\"), max(\"新列\"), count(a) FROM t",
        "SELECT a, every FROM t WHERE b = 17",
        "SELECT count(*) FROM t WHERE a = '名1' AND b > 100",
        "SELECT count(*) FROM t WHERE gone IS NULL AND \"新列\" = '默认'",
        "SELECT count(*) FROM t WHERE gone = 1 OR \"新列\" <> '默认'",
        "SELECT b FROM t ORDER BY b DESC NULLS LAST LIMIT 4",
        "SELECT every, count(*) FROM t GROUP BY every",
        "SELECT count(*) FROM t x JOIN t y ON x.b = y.b WHERE y.a = '名2'",
    ];
    check(&fixture, &all, &queries).await;
    let analyzed = explained(&fixture.context(1, false), "ANALYZE SELECT a FROM t WHERE b = 5000").await;
    assert!(analyzed.contains("parts=0/1") && analyzed.contains("parts_pruned=1"), "{analyzed}");
}

#[tokio::test]
async fn parts_and_chunks_are_pruned() {
    let mut fixture = Fixture::new(flights());
    fixture.def.partition_by = vec![PartitionExpr::Hour(ColumnId(6))];
    let rows = flight_rows(&fixture.def, &mut Random(6), 0, 4 * 3600);
    fixture.add_part(&rows).await;
    assert_eq!(fixture.parts.len(), 4);
    let hot = flight_rows(&fixture.def, &mut Random(7), 4 * 3600, 4 * 8192);
    (0..4).for_each(|chunk| fixture.add_hot(&hot.slice(chunk * 8192, 8192)));
    let context = fixture.context(1, false);
    let sql = "SELECT count(delay) FROM t WHERE at >= '1970-01-01 03:30:00' AND at < '1970-01-01 04:30:00'";
    let analyzed = explained(&context, &format!("ANALYZE {sql}")).await;
    for wanted in ["parts=1/4", "hot_chunks=4", "parts_pruned=3", "hot_chunks_pruned=3", "row_groups_pruned_statistics"]
    {
        assert!(analyzed.contains(wanted), "{wanted} in {analyzed}");
    }
    let by_join = "SELECT count(*) FROM t a JOIN (VALUES (30000), (30001)) b(id) ON a.id = b.id";
    let analyzed = explained(&context, &format!("ANALYZE {by_join}")).await;
    assert!(analyzed.contains("hot_chunks_pruned=3"), "a join's filter prunes chunks: {analyzed}");
    let all = concat_batches(&fixture.def.arrow_schema(), [&rows, &hot]).unwrap();
    check(&fixture, &all, &[sql, by_join]).await;
}

#[tokio::test]
async fn metadata_of_columns_stay_in_the_schema() {
    let (fixture, _) = mixed(50, 2000, 7).await;
    let batches = fixture.context(2, false).sql("SELECT \"航班\" FROM t").await.unwrap().collect().await.unwrap();
    assert!(!batches.is_empty());
    for batch in batches {
        assert_eq!(SqlType::of_field(batch.schema().field(0)), SqlType::Text);
    }
}
