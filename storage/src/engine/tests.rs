//! The engine as its users see it: what survives, what is refused, what two stores agree on.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Int64Type;
use tempfile::TempDir;

use super::{Engine, Options, TenantSnapshot};
use crate::catalog::{ColumnDef, SchemaDef, TableDef, ViewDef};
use crate::clock::ManualClock;
use crate::command::{Applied, Command, Op, Outcome};
use crate::error::{Result, SqlState};
use crate::ids::{ColumnId, GroupId, Index, PUBLIC_SCHEMA, RoleId, SUPERUSER, SchemaId, TableId, TenantId, ViewId};
use crate::table::PartMeta;
use crate::types::SqlType;

mod deletes;
mod keys;
mod user_types;

/// A directory of its own and helpers on its engine.
struct Node {
    dir: TempDir,
    engine: Option<Arc<Engine>>,
}

impl Node {
    async fn new() -> Node {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path()).await.unwrap();
        Node { dir, engine: Some(engine) }
    }

    async fn mirrored(seed: u64) -> (Node, TempDir) {
        let (dir, mirror) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (options, clock) = (Options { unsafe_no_sync: true, ..Options::new(dir.path()) }, clock());
        let engine = Engine::open_mirrored(options, mirror.path().to_path_buf(), clock, seed).await.unwrap();
        (Node { dir, engine: Some(engine) }, mirror)
    }

    fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    fn tenant(&self) -> TenantId {
        self.engine().meta().tenants["sightline"].id
    }

    fn snapshot(&self) -> Arc<TenantSnapshot> {
        self.engine().snapshot(self.tenant()).unwrap()
    }

    async fn ops(&self, ops: Vec<Op>) -> Result<Outcome> {
        self.engine().propose(Command::new(Some(self.tenant()), 1, Index(0), ops)).await
    }

    async fn applied(&self, ops: Vec<Op>) -> Applied {
        match self.ops(ops).await.unwrap() {
            Outcome::Applied(applied) => applied,
            other => panic!("{other:?}"),
        }
    }

    async fn table(&self, name: &str) -> TableId {
        TableId(self.applied(vec![Op::CreateTable(table_def(name))]).await.oids[0])
    }

    async fn insert(&self, table: TableId, ids: std::ops::Range<i64>) {
        self.applied(vec![append(table, ids)]).await;
    }

    /// The ids of the table's hot rows.
    fn hot_ids(&self, table: TableId) -> Vec<i64> {
        ids(&self.snapshot(), table)
    }

    /// Ends without closing and opens again.
    async fn reopen(&mut self) {
        self.engine = None;
        self.engine = Some(open(self.dir.path()).await.unwrap());
    }

    /// A copy of the directory as a kill would leave it now, opened.
    async fn killed(&self) -> Node {
        let dir = copied(self.dir.path());
        let engine = open(dir.path()).await.unwrap();
        Node { dir, engine: Some(engine) }
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_000_000))
}

/// Without syncs: what a kill leaves is read from the system's cache.
async fn open(dir: &Path) -> Result<Arc<Engine>> {
    Engine::open(Options { unsafe_no_sync: true, ..Options::new(dir) }, clock()).await
}

/// A copy of a directory that is in use: tried again if RocksDB deleted a file of its own meanwhile.
fn copied(from: &Path) -> TempDir {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        if copy(from, dir.path()).is_ok() {
            return dir;
        }
    }
    panic!("the directory could not be copied");
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for item in std::fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&item.path(), &target)?;
        } else {
            std::fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}

fn column(id: u16, name: &str, ty: SqlType) -> ColumnDef {
    ColumnDef {
        id: ColumnId(id),
        name: name.to_string(),
        stored_name: format!("c{id}"),
        ty,
        not_null: false,
        default: None,
        missing: None,
        comment: None,
        identity: None,
        generated: None,
    }
}

fn table_def(name: &str) -> TableDef {
    TableDef {
        id: TableId(0),
        schema: PUBLIC_SCHEMA,
        name: name.to_string(),
        owner: SUPERUSER,
        version: 1,
        columns: vec![column(1, "id", SqlType::BigInt), column(2, "name", SqlType::Text)],
        next_column: 3,
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

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names = ids.clone().map(|i| (i % 3 != 0).then(|| format!("the name of row number {i}")));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(names.collect::<StringViewArray>())];
    RecordBatch::try_new(table_def("").arrow_schema(), columns).unwrap()
}

fn append(table: TableId, ids: std::ops::Range<i64>) -> Op {
    Op::Append { table, version: 1, rows: rows(ids) }
}

fn ids(snapshot: &TenantSnapshot, table: TableId) -> Vec<i64> {
    let hot = snapshot.tables[&table].hot().unwrap();
    hot.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn parts_on_disk(node: &Node) -> usize {
    fn count(dir: &Path) -> usize {
        let Ok(items) = std::fs::read_dir(dir) else { return 0 };
        items.map(|i| i.unwrap()).map(|i| if i.file_type().unwrap().is_dir() { count(&i.path()) } else { 1 }).sum()
    }
    count(&node.dir.path().join("cold"))
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_has_a_superuser_a_tenant_and_schema_public() {
    let node = Node::new().await;
    let meta = node.engine().meta();
    assert_eq!(meta.boots, 1);
    assert!(meta.roles["sightline"].superuser && meta.roles["sightline"].id == SUPERUSER);
    assert_eq!(meta.tenants["sightline"].id, TenantId(16384));
    assert_eq!(meta.tenants["sightline"].group, GroupId(1));
    assert_eq!(node.snapshot().catalog.schemas["public"].id, PUBLIC_SCHEMA);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_definitions_survive_a_reopening_and_a_kill() {
    let mut node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..5).await;
    node.insert(table, 5..7).await;
    let killed = node.killed().await;
    assert_eq!(killed.hot_ids(table), (0..7).collect::<Vec<_>>());
    assert_eq!(killed.engine().meta().boots, 2);
    let before = node.snapshot();
    node.reopen().await;
    assert_eq!(node.hot_ids(table), (0..7).collect::<Vec<_>>());
    assert_eq!(node.snapshot().catalog.tables, before.catalog.tables);
    assert_eq!(node.snapshot().tables[&table].hot().unwrap()[0].schema(), before.tables[&table].def.arrow_schema());
    node.insert(table, 7..8).await;
    assert_eq!(node.snapshot().tables[&table].next_row, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_log_is_not_needed_and_replay_does_nothing_twice() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    node.engine().checkpoint().await.unwrap();
    let truncated = node.engine().log.call(|w| w.store.raft.extent(GroupId(1)).truncated).unwrap();
    assert!(truncated >= node.snapshot().index, "{truncated}");
    node.insert(table, 10..12).await;
    let killed = node.killed().await;
    let again = killed.killed().await;
    assert_eq!(killed.hot_ids(table), (0..12).collect::<Vec<_>>());
    assert_eq!(again.hot_ids(table), (0..12).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_proposed_together_share_syncs_and_none_is_lost() {
    let node = Node::new().await;
    let table = node.table("t").await;
    let before = node.engine().metrics();
    let tasks = (0..64).map(|client| {
        let (engine, tenant) = (node.engine().clone(), node.tenant());
        tokio::spawn(async move {
            for n in 0..20 {
                let id = client * 20 + n;
                let command = Command::new(Some(tenant), 1, Index(0), vec![append(table, id..id + 1)]);
                let outcome = engine.propose(command).await.unwrap();
                let Outcome::Applied(applied) = outcome else { panic!("{outcome:?}") };
                // Visible as soon as it is acknowledged.
                let snapshot = engine.snapshot(tenant).unwrap();
                assert!(snapshot.index >= applied.index && ids(&snapshot, table).contains(&id));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let after = node.engine().metrics();
    assert_eq!(after.commands - before.commands, 1280);
    assert!(after.log_syncs - before.log_syncs < 1280, "{after:?}");
    let killed = node.killed().await;
    let mut all = killed.hot_ids(table);
    all.sort_unstable();
    assert_eq!(all, (0..1280).collect::<Vec<_>>());
    assert_eq!(killed.snapshot().tables[&table].next_row, 1280);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_comes_twice_is_applied_once_even_after_a_kill() {
    let node = Node::new().await;
    let table = node.table("t").await;
    let command = Command::new(Some(node.tenant()), 5, Index(0), vec![append(table, 0..3)]);
    let first = node.engine().propose(command.clone()).await.unwrap();
    assert_eq!(node.engine().propose(command.clone()).await.unwrap(), first);
    let create = Command::new(Some(node.tenant()), 5, Index(0), vec![Op::CreateTable(table_def("u"))]);
    let made = node.engine().propose(create.clone()).await.unwrap();
    node.engine().checkpoint().await.unwrap();
    let killed = node.killed().await;
    assert_eq!(killed.engine().propose(command).await.unwrap(), first);
    assert_eq!(killed.engine().propose(create.clone()).await.unwrap(), made);
    assert_eq!(killed.hot_ids(table), vec![0, 1, 2]);
    let refused = Command { id: 7, ..create };
    let e = killed.engine().propose(refused.clone()).await.unwrap_err();
    killed
        .applied(vec![Op::DropTable(TableId(match made {
            Outcome::Applied(a) => a.oids[0],
            _ => 0,
        }))])
        .await;
    let again = killed.engine().propose(refused).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (e.code(), e.message()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_opener_of_a_directory_is_told_which_it_is() {
    let node = Node::new().await;
    let e = open(node.dir.path()).await.unwrap_err();
    assert_eq!(e.code(), SqlState::OBJECT_IN_USE);
    let name = node.dir.path().canonicalize().unwrap();
    assert!(e.message().contains(name.to_str().unwrap()), "{e}");
    assert_eq!(e.get_detail().unwrap(), format!("Its process id is {}.", std::process::id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_a_newer_and_a_damaged_directory_are_refused() {
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("thesis.txt"), "x").unwrap();
    let e = open(foreign.path()).await.unwrap_err();
    assert_eq!(e.code(), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "{e}");

    let mut node = Node::new().await;
    node.engine = None;
    let format = node.dir.path().join("FORMAT");
    let ours = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, ours.replace('1', "2")).unwrap();
    let e = open(node.dir.path()).await.unwrap_err();
    assert_eq!(e.code(), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "{e}");
    std::fs::write(&format, ours).unwrap();

    std::fs::rename(node.dir.path().join("raft"), node.dir.path().join("cold-raft")).unwrap();
    let e = open(node.dir.path()).await.unwrap_err();
    assert_eq!(e.code(), SqlState::DATA_CORRUPTED, "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_moves_rows_once_and_chains() {
    let mut node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..100).await;
    node.engine().flush(node.tenant(), table).await.unwrap();
    node.insert(table, 100..110).await;
    let old = node.snapshot();
    node.engine().flush(node.tenant(), table).await.unwrap();
    let now = node.snapshot().tables[&table].clone();
    assert_eq!((now.rows(), now.hot_rows(), now.parts.len()), (110, 0, 2));
    assert_eq!((old.tables[&table].rows(), old.tables[&table].hot_rows()), (110, 10));
    assert_eq!(node.engine().metrics().hot_bytes, 0);
    // The same range again is stale, and changes nothing.
    let parts = now.parts.iter().map(|p| PartMeta::clone(&p.meta)).collect::<Vec<_>>();
    let publish =
        Op::Publish { table, from: Index(0), to: parts[0].last, add: vec![parts[0].clone()], deleted: Vec::new() };
    assert_eq!(node.ops(vec![publish]).await.unwrap(), Outcome::Stale);
    let killed = node.killed().await;
    let there = &killed.snapshot().tables[&table];
    assert_eq!(there.parts.iter().map(|p| PartMeta::clone(&p.meta)).collect::<Vec<_>>(), parts);
    assert_eq!((there.rows(), there.hot_rows()), (110, 0));
    drop((old, now));
    node.reopen().await;
    assert_eq!(parts_on_disk(&node), 2);
    assert_eq!(node.snapshot().tables[&table].rows(), 110);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_a_truncate_overtook_is_stale() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    let before = node.snapshot();
    node.applied(vec![Op::Truncate(table), append(table, 50..52)]).await;
    let publish = Op::Publish { table, from: Index(0), to: before.index, add: Vec::new(), deleted: Vec::new() };
    assert_eq!(node.ops(vec![publish]).await.unwrap(), Outcome::Stale);
    assert_eq!(node.hot_ids(table), vec![50, 51]);
    assert_eq!(node.killed().await.hot_ids(table), vec![50, 51]);
    // So is one that a new column overtook.
    let before = node.snapshot();
    let mut def = TableDef::clone(&before.tables[&table].def);
    def.version = 2;
    def.columns.push(column(3, "extra", SqlType::Integer));
    def.next_column = 4;
    node.applied(vec![Op::PutTable(def)]).await;
    let publish = Op::Publish { table, from: Index(0), to: before.index, add: Vec::new(), deleted: Vec::new() };
    assert_eq!(node.ops(vec![publish]).await.unwrap(), Outcome::Stale);
    assert_eq!(node.ops(vec![append(table, 1..2)]).await.unwrap(), Outcome::Stale);
    let killed = node.killed().await;
    let chunk = killed.snapshot().tables[&table].hot().unwrap()[0].clone();
    assert_eq!((chunk.num_columns(), chunk.column(2).null_count()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_new_rows_overtook_is_stale() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    let seen = node.snapshot().tables[&table].next_row();
    let unchanged = |next_row| Op::NoNewRows { table, next_row };
    assert!(matches!(node.ops(vec![unchanged(seen)]).await.unwrap(), Outcome::Applied(_)));
    // Its own rows before it count, those behind it do not.
    let own = vec![append(table, 10..12), unchanged(seen + 2), append(table, 12..13)];
    assert!(matches!(node.ops(own).await.unwrap(), Outcome::Applied(_)));
    assert_eq!(node.ops(vec![append(table, 20..21), unchanged(seen)]).await.unwrap(), Outcome::Stale);
    assert_eq!(node.hot_ids(table).len(), 13);
    // Truncated rows were there, and others may have come since.
    node.applied(vec![Op::Truncate(table)]).await;
    assert!(matches!(node.ops(vec![unchanged(seen + 3)]).await.unwrap(), Outcome::Applied(_)));
    node.engine().flush(node.tenant(), table).await.unwrap();
    node.applied(vec![append(table, 0..1)]).await;
    assert_eq!(node.ops(vec![unchanged(seen + 3)]).await.unwrap(), Outcome::Stale);
    assert_eq!(node.ops(vec![Op::NoNewRows { table: TableId(99), next_row: 0 }]).await.unwrap(), Outcome::Stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_stay_while_a_snapshot_shows_them_and_go_after() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    node.engine().flush(node.tenant(), table).await.unwrap();
    let reader = node.snapshot();
    node.applied(vec![Op::Truncate(table)]).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(parts_on_disk(&node), 1);
    drop(reader);
    eventually("the part is deleted", || parts_on_disk(&node) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_load_is_visible_at_once_and_its_orphans_are_swept() {
    let mut node = Node::new().await;
    let table = node.table("t").await;
    let def = node.snapshot().tables[&table].def.clone();
    node.insert(table, 0..3).await;
    let load = async |ids| {
        let mut writer = node.engine().bulk_writer(node.tenant(), def.clone());
        writer.write(rows(ids)).await.unwrap();
        writer.finish().await.unwrap()
    };
    let parts = load(0..1000).await;
    let lost = load(0..10).await;
    assert_eq!(lost.len(), 1);
    node.applied(vec![Op::AddParts { table, version: 1, parts }]).await;
    let now = node.snapshot().tables[&table].clone();
    assert_eq!((now.rows(), now.next_row, now.parts[0].meta.row_base), (1003, 1003, Some(3)));
    assert_eq!(parts_on_disk(&node), 2);
    drop(now);
    node.reopen().await;
    assert_eq!(parts_on_disk(&node), 1);
    assert_eq!(node.snapshot().tables[&table].rows(), 1003);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_mistakes_are_errors_and_change_nothing() {
    let node = Node::new().await;
    let table = node.table("t").await;
    let check = async |ops: Vec<Op>, code: SqlState, message: &str| {
        let e = node.ops(ops).await.unwrap_err();
        assert_eq!((e.code(), e.message()), (code, message));
    };
    let view = ViewDef {
        id: ViewId(0),
        schema: PUBLIC_SCHEMA,
        name: "v".to_string(),
        owner: SUPERUSER,
        query: "SELECT id FROM t".to_string(),
        search_path: vec!["public".to_string()],
        columns: vec![("id".to_string(), SqlType::BigInt)],
        depends_on: vec![table.0],
        comment: None,
        column_comments: Vec::new(),
    };
    let schema = |name: &str| SchemaDef { id: SchemaId(0), name: name.to_string(), owner: SUPERUSER, comment: None };
    let made = Op::CreateSchema(schema("s"));
    let twice = vec![made, Op::CreateTable(table_def("t"))];
    check(twice, SqlState::DUPLICATE_TABLE, "relation \"t\" already exists").await;
    assert!(!node.snapshot().catalog.schemas.contains_key("s"), "all or nothing");
    node.applied(vec![Op::CreateView(view.clone())]).await;
    check(vec![Op::CreateView(view)], SqlState::DUPLICATE_TABLE, "relation \"v\" already exists").await;
    let message = "cannot drop table t because other objects depend on it";
    check(vec![Op::DropTable(table)], SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).await;
    let message = "cannot drop schema public because other objects depend on it";
    check(vec![Op::DropSchema(PUBLIC_SCHEMA)], SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).await;
    let message = "schema \"public\" already exists";
    check(vec![Op::CreateSchema(schema("public"))], SqlState::DUPLICATE_SCHEMA, message).await;
    assert_eq!(node.ops(vec![Op::DropTable(TableId(99))]).await.unwrap(), Outcome::Stale);
    let mut stale = Command::new(Some(node.tenant()), 1, Index(0), vec![Op::Truncate(table)]);
    stale.catalog_version = Some(1);
    assert_eq!(node.engine().propose(stale).await.unwrap(), Outcome::Stale);
    let nobody = Command::new(Some(TenantId(4)), 1, Index(0), vec![Op::Truncate(table)]);
    assert_eq!(node.engine().propose(nobody).await.unwrap_err().code(), SqlState::INVALID_CATALOG_NAME);
    let tenant = node.engine().meta().tenants["sightline"].as_ref().clone();
    let e = node
        .engine()
        .propose_meta(vec![Op::CreateTenant(crate::catalog::TenantDef { id: TenantId(0), ..tenant })])
        .await;
    assert_eq!(e.unwrap_err().message(), "database \"sightline\" already exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_sees_itself_and_commits_as_it_saw() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..2).await;
    let base = node.snapshot();
    let mut ops = vec![append(table, 2..3), Op::CreateTable(table_def("u"))];
    let (view, applied) = base.with_ops(&ops, 1).unwrap();
    let made = TableId(applied.oids[0]);
    ops.push(append(made, 7..9));
    let (view, _) = view.with_ops(&ops[2..], 1).unwrap();
    assert_eq!((ids(&view, table), ids(&view, made)), (vec![0, 1, 2], vec![7, 8]));
    assert_eq!(node.hot_ids(table), vec![0, 1]);
    let mut command = Command::new(Some(node.tenant()), 1, base.index, ops);
    command.catalog_version = Some(base.catalog.version);
    let Outcome::Applied(applied) = node.engine().propose(command).await.unwrap() else { panic!() };
    assert_eq!(applied.oids, vec![made.0]);
    assert_eq!((node.hot_ids(table), node.hot_ids(made)), (vec![0, 1, 2], vec![7, 8]));
    // CREATE TABLE AS: the id is not known yet.
    let ctas = vec![Op::CreateTable(table_def("w")), append(TableId(0), 4..6)];
    let made = TableId(node.applied(ctas).await.oids[0]);
    assert_eq!(node.killed().await.hot_ids(made), vec![4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_tenant_is_purged_even_if_the_purge_was_lost() {
    let mut node = Node::new().await;
    let def = crate::catalog::TenantDef {
        id: TenantId(0),
        name: "acme".to_string(),
        ..node.engine().meta().tenants["sightline"].as_ref().clone()
    };
    let Outcome::Applied(made) = node.engine().propose_meta(vec![Op::CreateTenant(def)]).await.unwrap() else {
        panic!()
    };
    let acme = TenantId(made.oids[0]);
    // A crash before InitTenant: the next start makes up for it.
    node.reopen().await;
    assert!(node.engine().snapshot(acme).unwrap().catalog.schemas.contains_key("public"));
    let create = Command::new(Some(acme), 1, Index(0), vec![Op::CreateTable(table_def("t")), append(TableId(0), 0..3)]);
    node.engine().propose(create).await.unwrap();
    node.engine().propose_meta(vec![Op::DropTenant(acme)]).await.unwrap();
    node.reopen().await;
    assert_eq!(node.engine().snapshot(acme).unwrap_err().code(), SqlState::INVALID_CATALOG_NAME);
    assert_eq!(node.engine().metrics().hot_bytes, 0);
    let create = node.killed().await.engine().meta().roles["sightline"].id;
    assert_eq!(create, RoleId(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_wait_for_room_and_the_flush_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { flush_bytes: 1 << 30, hot_bytes_max: 200_000, ..Options::new(dir.path()) };
    let engine = Engine::open(options, clock()).await.unwrap();
    let node = Node { dir, engine: Some(engine) };
    let table = node.table("t").await;
    for n in 0..20 {
        node.insert(table, n * 1000..(n + 1) * 1000).await;
    }
    let metrics = node.engine().metrics();
    assert!(metrics.flushes > 0 && metrics.hot_bytes < 1_000_000, "{metrics:?}");
    assert_eq!(node.snapshot().tables[&table].rows(), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_kept_for_a_day() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..3).await;
    let marks = || {
        let hot = node.engine().log.call(|w| w.store.hot.clone()).unwrap();
        let mut marks = 0;
        let count = |k: &[u8], _: &[u8]| {
            marks += usize::from(k[8] == b'm');
            Ok(())
        };
        hot.scan(crate::kv::Family::State, count).unwrap();
        marks
    };
    let hot = node.engine().log.call(|w| w.store.hot.clone()).unwrap();
    hot.prune_marks(1).unwrap();
    assert_eq!(marks(), 1);
    hot.prune_marks(i64::MAX).unwrap();
    assert_eq!(marks(), 0);
}

/// The newest file of the log's own log.
fn newest_wal(dir: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(dir.join("raft")).unwrap().map(|f| f.unwrap().path());
    files.filter(|f| f.extension().is_some_and(|e| e == "log")).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_inside_the_log_is_told_and_a_torn_end_is_cut() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..50).await;
    node.insert(table, 50..100).await;
    let spare = || {
        let dir = copied(node.dir.path());
        let wal = newest_wal(dir.path());
        let bytes = std::fs::read(&wal).unwrap();
        (dir, wal, bytes)
    };
    let (dir, wal, mut bytes) = spare();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(wal, bytes).unwrap();
    let e = open(dir.path()).await.unwrap_err();
    assert_eq!(e.code(), SqlState::DATA_CORRUPTED, "{e}");
    // The second insert as a power cut in its sync would leave it: it was not acknowledged then.
    let (dir, wal, bytes) = spare();
    std::fs::write(wal, &bytes[..bytes.len() - 10]).unwrap();
    let engine = open(dir.path()).await.unwrap();
    let torn = Node { dir, engine: Some(engine) };
    assert_eq!(torn.hot_ids(table), (0..50).collect::<Vec<_>>());
    torn.insert(table, 100..101).await;
}

/// A small file system, if this user may mount one.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        mount.output().ok().filter(|o| o.status.success()).map(|_| Tmpfs(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap();
    }
}

/// Rows that do not compress.
fn noise(random: &mut Random, count: usize) -> RecordBatch {
    let text = |_| (0..64).map(|_| char::from(b' ' + random.below(90) as u8)).collect::<String>();
    let names = (0..count).map(text).collect::<Vec<_>>();
    let ids = Int64Array::from_iter_values(0..count as i64);
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(StringViewArray::from_iter_values(names))];
    RecordBatch::try_new(table_def("").arrow_schema(), columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let Some(disk) = Tmpfs::new("256m") else { return };
    // Room that is freed later: an operator frees more than the last few bytes, and the log's store needs as much as its
    // memtable to open again.
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![7; 64 << 20]).unwrap();
    let (dir, mut random) = (disk.0.path().join("data"), Random(1));
    let clock = clock();
    let options = Options { flush_bytes: u64::MAX, hot_bytes_max: u64::MAX / 2, ..Options::new(&dir) };
    let engine = Engine::open(options.clone(), clock.clone()).await.unwrap();
    let tenant = engine.meta().tenants["sightline"].id;
    let propose = async |engine: &Engine, ops| engine.propose(Command::new(Some(tenant), 1, Index(0), ops)).await;
    let create = vec![Op::CreateTable(table_def("t"))];
    let Outcome::Applied(made) = propose(&engine, create).await.unwrap() else { panic!() };
    let table = TableId(made.oids[0]);
    let insert = |random: &mut Random| vec![Op::Append { table, version: 1, rows: noise(random, 10_000) }];
    let mut acknowledged = 0;
    let e = loop {
        match propose(&engine, insert(&mut random)).await {
            Ok(_) => acknowledged += 10_000,
            Err(e) => break e,
        }
        assert!(acknowledged < 10_000_000, "the disk never fills up");
    };
    assert_eq!(e.code(), SqlState::DISK_FULL, "{e}");
    assert_eq!(engine.snapshot(tenant).unwrap().tables[&table].rows(), acknowledged);
    // Somebody else takes the last byte as well: now not even a definition fits.
    let filler = disk.0.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write(&mut file, &[7; 4096]).is_ok_and(|n| n > 0) {}
    let comment = Some("x".repeat(1 << 20));
    let schema = |n: i32| {
        let comment = comment.clone();
        SchemaDef { id: SchemaId(0), name: format!("s{n}"), owner: SUPERUSER, comment }
    };
    let mut made = 0;
    let e = loop {
        match propose(&engine, vec![Op::CreateSchema(schema(made))]).await {
            Ok(_) => made += 1,
            Err(e) => break e,
        }
        assert!(made < 1000, "the disk never fills up");
    };
    assert_eq!(e.code(), SqlState::DISK_FULL, "{e}");
    let snapshot = engine.snapshot(tenant).unwrap();
    assert_eq!(snapshot.tables[&table].rows(), acknowledged);
    assert_eq!(snapshot.tables[&table].hot().unwrap().iter().map(|b| b.num_rows() as u64).sum::<u64>(), acknowledged);
    assert_eq!(snapshot.catalog.schemas.len(), made as usize + 1);
    std::fs::remove_file(&filler).unwrap();
    std::fs::remove_file(&ballast).unwrap();
    let mut tries = 0;
    while let Err(e) = propose(&engine, vec![Op::CreateSchema(schema(made))]).await {
        assert_eq!(e.code(), SqlState::DISK_FULL, "{e}");
        tries += 1;
        assert!(tries < 100, "writes never resume: {e}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    drop(engine);
    let engine = Engine::open(options, clock).await.unwrap();
    let snapshot = engine.snapshot(tenant).unwrap();
    assert_eq!(snapshot.tables[&table].rows(), acknowledged);
    assert_eq!(snapshot.catalog.schemas.len(), made as usize + 2);
    drop(snapshot);
    propose(&engine, vec![Op::Truncate(table)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    let resumed = propose(&engine, insert(&mut random)).await;
    assert!(resumed.is_ok(), "{resumed:?}");
    engine.close().await.unwrap();
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Random operations on random tables; returns what cannot be wrong: how many rows each table has.
async fn random_step(node: &Node, random: &mut Random, tables: &mut Vec<(TableId, u64)>) {
    let pick = random.below(tables.len() as u64 + 1) as usize;
    let Some((table, count)) = tables.get_mut(pick) else {
        let name = format!("t{}", random.below(1 << 40));
        tables.push((node.table(&name).await, 0));
        return;
    };
    let (id, version) = (*table, node.snapshot().tables[table].def.version);
    let n = random.below(50);
    match random.below(12) {
        0 => {
            node.applied(vec![Op::Truncate(id)]).await;
            *count = 0;
        }
        1 => {
            node.applied(vec![Op::DropTable(id)]).await;
            tables.remove(pick);
        }
        2 | 3 => node.engine().flush(node.tenant(), id).await.unwrap(),
        4 => {
            let mut def = TableDef::clone(&node.snapshot().tables[&id].def);
            def.name = format!("r{}", random.below(1 << 40));
            node.applied(vec![Op::PutTable(def)]).await;
        }
        5 => {
            let lost = vec![append(id, 0..9), Op::DropTable(TableId(1))];
            assert_eq!(node.ops(lost).await.unwrap(), Outcome::Stale);
        }
        6 => node.engine().checkpoint().await.unwrap(),
        _ => {
            let op = |n| Op::Append { table: id, version, rows: rows(0..n) };
            let both = futures::join!(node.ops(vec![op(n as i64)]), node.ops(vec![op(3), op(2)]));
            assert!(both.0.is_ok() && both.1.is_ok());
            *count += n + 5;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_reopened_at_random_holds_the_same() {
    let seed = 42;
    let (node, _mirror) = Node::mirrored(seed).await;
    let (mut random, mut tables) = (Random(seed), Vec::new());
    for _ in 0..150 {
        random_step(&node, &mut random, &mut tables).await;
    }
    node.engine().check_mirror().unwrap();
    let killed = node.killed().await;
    for (table, count) in &tables {
        assert_eq!(node.snapshot().tables[table].rows(), *count, "table {table}");
        assert_eq!(killed.snapshot().tables[table].rows(), *count, "table {table} after a kill");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_store_has_the_same_hash() {
    let mut node = Node::new().await;
    let (mut random, mut tables) = (Random(7), Vec::new());
    for _ in 0..60 {
        random_step(&node, &mut random, &mut tables).await;
    }
    // Both start once more: the boot is the only difference to the hash before.
    let killed = node.killed().await;
    node.engine().close().await.unwrap();
    assert_eq!(node.engine().read_after_close().await, SqlState::ADMIN_SHUTDOWN);
    node.reopen().await;
    assert_eq!(node.engine().state_hash().unwrap(), killed.engine().state_hash().unwrap());
}

impl Engine {
    async fn read_after_close(&self) -> SqlState {
        self.propose_meta(vec![Op::Boot]).await.unwrap_err().code()
    }
}
