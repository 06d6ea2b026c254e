//! Deleted rows: named by their place, kept through flushes, reopenings and kills, refused if somebody was faster. At last a
//! model: random operations on two tables against what they should leave. A failure tells its seed; `SIGHTLINE_SEED` repeats it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use futures::TryStreamExt;
use parking_lot::Mutex;
use roaring::RoaringTreemap;

use super::*;
use crate::table::Deletes;
use crate::table::read::{batches, row_numbers};

/// How many random histories the model test runs, and from which seed on.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let first = number("SIGHTLINE_SEED");
    let count = match std::env::var("SIGHTLINE_TEST_SIZE").as_deref() {
        Ok("soak") => 5000,
        _ => 50,
    };
    first.map_or(0..count, |seed| seed..seed + 1)
}

/// A row as the tests see it: where it is, and its id.
#[derive(Clone, Debug)]
struct Found {
    id: i64,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// `_row`.
    Hot(u64),
    /// The n-th row that its own transaction brings.
    Own(u64),
    Cold(String, u32),
}

fn deletes<'a>(rows: impl IntoIterator<Item = &'a Found>) -> Deletes {
    let mut deletes = Deletes::default();
    for row in rows {
        match &row.place {
            Place::Hot(number) => _ = deletes.hot.insert(*number),
            Place::Own(number) => _ = deletes.own.insert(*number),
            Place::Cold(path, position) => _ = deletes.parts.entry(path.clone()).or_default().insert(*position),
        }
    }
    deletes
}

/// The ids of a part, read once.
async fn part_ids(node: &Node, part: &PartMeta) -> Arc<Vec<i64>> {
    static READ: LazyLock<Mutex<HashMap<String, Arc<Vec<i64>>>>> = LazyLock::new(Mutex::default);
    if let Some(known) = READ.lock().get(&part.path) {
        return known.clone();
    }
    let store = &node.engine().parts;
    let numbers = row_numbers(store, part).await.unwrap();
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
    let read = batches(store, part, Some("c1")).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    let ids = read.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec());
    let ids = Arc::new(ids.collect::<Vec<_>>());
    READ.lock().insert(part.path.clone(), ids.clone());
    ids
}

/// All rows of a table, and a check that what is counted is what is there.
async fn scan(node: &Node, snapshot: &TenantSnapshot, table: TableId) -> Vec<Found> {
    let t = &snapshot.tables[&table];
    let mut found = Vec::new();
    for (number, id) in t.hot_numbers().into_iter().zip(ids(snapshot, table)) {
        let own = number.checked_sub(t.first_own_row());
        found.push(Found { id, place: own.map_or(Place::Hot(number), Place::Own) });
    }
    for part in t.parts.iter() {
        let values = part_ids(node, &part.meta).await;
        let masks = part.deletion.as_ref().map(|d| d.live(&part.meta.row_groups));
        let live = masks
            .iter()
            .flat_map(|m| m.iter())
            .zip(&part.meta.row_groups)
            .flat_map(|(mask, rows)| (0..*rows as usize).map(move |n| mask.as_ref().is_none_or(|m| m.value(n))));
        let live = live.collect::<Vec<_>>();
        for (position, id) in values.iter().copied().enumerate() {
            let gone = part.deletion.as_ref().is_some_and(|d| d.contains(position as u32));
            assert!(live.is_empty() || live[position] != gone);
            if !gone {
                found.push(Found { id, place: Place::Cold(part.meta.path.clone(), position as u32) });
            }
        }
    }
    assert_eq!(found.len() as u64, t.rows());
    found
}

async fn sorted_ids(node: &Node, table: TableId) -> Vec<i64> {
    let mut ids = scan(node, &node.snapshot(), table).await.into_iter().map(|r| r.id).collect::<Vec<_>>();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_deleted_wherever_they_are_and_stay_so() {
    let mut node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..100).await;
    node.engine().flush(node.tenant(), table).await.unwrap();
    node.insert(table, 100..200).await;
    let all = scan(&node, &node.snapshot(), table).await;
    let odd = deletes(all.iter().filter(|r| r.id % 2 == 1));
    assert_eq!((odd.hot.len(), odd.parts.len(), odd.rows()), (50, 1, 100));
    node.applied(vec![Op::Delete { table, rows: odd.clone() }]).await;
    let even = (0..200).filter(|i| i % 2 == 0).collect::<Vec<_>>();
    assert_eq!(sorted_ids(&node, table).await, even);
    // Once more is a lost race.
    assert_eq!(node.ops(vec![Op::Delete { table, rows: odd }]).await.unwrap(), Outcome::Conflict);
    let killed = node.killed().await;
    assert_eq!(sorted_ids(&killed, table).await, even);
    node.engine().flush(node.tenant(), table).await.unwrap();
    assert_eq!(node.snapshot().tables[&table].hot_rows_stored(), 0);
    assert_eq!(sorted_ids(&node, table).await, even);
    node.engine().checkpoint().await.unwrap();
    node.reopen().await;
    assert_eq!(sorted_ids(&node, table).await, even);
    node.applied(vec![Op::Truncate(table)]).await;
    node.insert(table, 5..7).await;
    node.reopen().await;
    assert_eq!(sorted_ids(&node, table).await, [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moved_is_told_from_what_is_deleted() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    let hot = deletes(&scan(&node, &node.snapshot(), table).await[3..4]);
    node.engine().flush(node.tenant(), table).await.unwrap();
    assert_eq!(node.ops(vec![Op::Delete { table, rows: hot }]).await.unwrap(), Outcome::Moved);
    let gone = Deletes { parts: [("cold/nowhere".to_string(), [1].into())].into(), ..Deletes::default() };
    assert_eq!(node.ops(vec![Op::Delete { table, rows: gone }]).await.unwrap(), Outcome::Moved);
    assert_eq!(sorted_ids(&node, table).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_deletes_rows_that_it_brings() {
    let mut node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..3).await;
    let own = |n: &[u64]| Deletes { own: n.iter().copied().collect::<RoaringTreemap>(), ..Deletes::default() };
    let ops = vec![
        append(table, 10..13),
        Op::Delete { table, rows: own(&[1]) },
        append(table, 20..22),
        Op::Delete { table, rows: own(&[0, 4]) },
    ];
    let (view, _) = node.snapshot().with_ops(&ops, 1).unwrap();
    assert_eq!(ids(&view, table), [0, 1, 2, 12, 20]);
    // The same, one after the other.
    let (view, _) = node.snapshot().with_ops(&ops[..2], 1).unwrap();
    let (view, _) = view.with_ops(&ops[2..], 1).unwrap();
    assert_eq!(ids(&view, table), [0, 1, 2, 12, 20]);
    // Others bring rows meanwhile.
    node.insert(table, 3..5).await;
    node.applied(ops).await;
    assert_eq!(sorted_ids(&node, table).await, [0, 1, 2, 3, 4, 12, 20]);
    let killed = node.killed().await;
    assert_eq!(sorted_ids(&killed, table).await, [0, 1, 2, 3, 4, 12, 20]);
    node.engine().flush(node.tenant(), table).await.unwrap();
    node.reopen().await;
    assert_eq!(sorted_ids(&node, table).await, [0, 1, 2, 3, 4, 12, 20]);
}

/// A generator of random numbers that a seed repeats: xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A transaction under way: its snapshot, its operations, and what it should leave.
struct Open {
    base: Arc<TenantSnapshot>,
    ops: Vec<Op>,
    /// Changes of each table's multiset of ids; for the keyed table of its keys.
    changes: Vec<(usize, i64, i64)>,
}

impl Open {
    fn new(node: &Node) -> Open {
        Open { base: node.snapshot(), ops: Vec::new(), changes: Vec::new() }
    }
}

/// The model: how often each id is in each table.
type Model = [BTreeMap<i64, i64>; 2];

async fn run(seed: u64) {
    // With a mirror, which itself is reopened at random, or with kills.
    let mirrored = seed.is_multiple_of(2);
    let (mut node, mirror) = match mirrored {
        true => Node::mirrored(seed).await,
        false => (Node::new().await, tempfile::tempdir().unwrap()),
    };
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let tables = [node.table("plain").await, node.table("keyed").await];
    let mut model: Model = Default::default();
    let mut open: Vec<Open> = Vec::new();
    let (mut flushes, mut reopenings, mut commits, mut lost) = (0, 0, 0, 0);
    for step in 0..300 {
        match random.below(60) {
            0..=1 => {
                let table = tables[random.below(2)];
                node.engine().flush(node.tenant(), table).await.unwrap();
                flushes += 1;
            }
            2 if !mirrored => {
                node = node.killed().await;
                open.clear();
                reopenings += 1;
            }
            3..=11 if open.len() < 3 => open.push(Open::new(&node)),
            12..=23 if !open.is_empty() => {
                let at = random.below(open.len());
                let done = open.swap_remove(at);
                let command = Command::new(Some(node.tenant()), 1, done.base.index, done.ops);
                match node.engine().propose(command).await.unwrap() {
                    Outcome::Applied(_) => {
                        commits += 1;
                        for (table, id, by) in done.changes {
                            *model[table].entry(id).or_default() += by;
                            model[table].retain(|_, n| *n != 0);
                        }
                    }
                    Outcome::Conflict | Outcome::Moved => lost += 1,
                    Outcome::Stale => panic!("seed {seed}: nothing was altered"),
                }
            }
            _ => {}
        }
        if open.is_empty() {
            open.push(Open::new(&node));
        }
        let at = random.below(open.len());
        statement(&node, &mut open[at], &tables, &mut random).await;
        if step % 25 == 24 {
            for (table, model) in tables.iter().zip(&model) {
                let expected =
                    model.iter().flat_map(|(id, n)| std::iter::repeat_n(*id, *n as usize)).collect::<Vec<_>>();
                assert_eq!(sorted_ids(&node, *table).await, expected, "seed {seed}, step {step}");
            }
        }
    }
    assert!(commits > 10, "seed {seed}: {commits} commits, {lost} lost, {flushes} flushes, {reopenings} reopenings");
    assert!(flushes > 0 && (reopenings > 0 || mirrored), "seed {seed}: {flushes}, {reopenings}");
    if mirrored {
        node.engine().check_mirror().unwrap();
    }
    drop(mirror);
}

/// One INSERT, DELETE, UPDATE or upsert of a transaction.
async fn statement(node: &Node, open: &mut Open, tables: &[TableId; 2], random: &mut Random) {
    let number = random.below(2);
    let table = tables[number];
    let view = match open.ops.is_empty() {
        true => open.base.clone(),
        false => Arc::new(open.base.with_ops(&open.ops, 1).unwrap().0),
    };
    let rows = scan(node, &view, table).await;
    let some = |random: &mut Random, most: usize| {
        let n = if rows.is_empty() { 0 } else { random.below(most.min(rows.len())) + 1 };
        let mut picked = (0..n).map(|_| random.below(rows.len())).collect::<Vec<_>>();
        picked.sort_unstable();
        picked.dedup();
        picked.into_iter().map(|i| rows[i].clone()).collect::<Vec<_>>()
    };
    let (gone, new) = match random.below(4) {
        0 => (Vec::new(), (0..random.below(40) as i64).map(|_| random.below(500) as i64).collect::<Vec<_>>()),
        1 => (some(random, 20), Vec::new()),
        2 => {
            let gone = some(random, 10);
            let new = gone.iter().map(|r| r.id + 1000).collect();
            (gone, new)
        }
        _ => {
            // An upsert: one row for each key.
            let keys = (0..random.below(8)).map(|_| random.below(60) as i64).collect::<BTreeSet<_>>();
            (rows.iter().filter(|r| keys.contains(&r.id)).cloned().collect(), keys.into_iter().collect())
        }
    };
    if !gone.is_empty() {
        open.ops.push(Op::Delete { table, rows: deletes(&gone) });
        open.changes.extend(gone.iter().map(|r| (number, r.id, -1)));
    }
    if !new.is_empty() {
        let names = StringViewArray::from_iter_values(new.iter().map(|id| format!("row {id}")));
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(new.clone())), Arc::new(names)];
        let rows = RecordBatch::try_new(table_def("").arrow_schema(), columns).unwrap();
        open.ops.push(Op::Append { table, version: 1, rows });
    }
    open.changes.extend(new.into_iter().map(|id| (number, id, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_leave_what_they_should() {
    for seed in seeds() {
        run(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_flush_moved_are_found_again() {
    let node = Node::new().await;
    let table = node.table("t").await;
    node.insert(table, 0..10).await;
    node.engine().flush(node.tenant(), table).await.unwrap();
    node.insert(table, 10..20).await;
    let before = node.snapshot();
    let all = scan(&node, &before, table).await;
    let some = deletes(all.iter().filter(|r| r.id % 5 == 2));
    assert_eq!(node.engine().find_again(&before, &node.snapshot(), table, &some).await.unwrap(), None);
    node.engine().flush(node.tenant(), table).await.unwrap();
    assert_eq!(node.ops(vec![Op::Delete { table, rows: some.clone() }]).await.unwrap(), Outcome::Moved);
    let now = node.snapshot();
    let found = node.engine().find_again(&before, &now, table, &some).await.unwrap().unwrap();
    assert_eq!((found.hot.len(), found.parts.len(), found.rows()), (0, 2, 4));
    node.applied(vec![Op::Delete { table, rows: found }]).await;
    assert_eq!(sorted_ids(&node, table).await, (0..20).filter(|i| i % 5 != 2).collect::<Vec<_>>());
}
