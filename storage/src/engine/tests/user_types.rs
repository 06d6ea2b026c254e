//! Types that users make: what survives, and what definitions know of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::datatypes::Int32Type;

use super::*;
use crate::catalog::{DomainDef, TypeBody, TypeDef};
use crate::ids::TypeId;
use crate::types::{DomainType, EnumType};

fn type_def(name: &str, body: TypeBody) -> TypeDef {
    TypeDef {
        id: TypeId(0),
        array: TypeId(0),
        schema: PUBLIC_SCHEMA,
        name: name.to_string(),
        owner: SUPERUSER,
        comment: None,
        body,
    }
}

fn labels(names: &[(i32, &str)]) -> TypeBody {
    TypeBody::Enum(names.iter().map(|(n, l)| (*n, l.to_string())).collect())
}

impl Node {
    async fn create_type(&self, name: &str, body: TypeBody) -> SqlType {
        let made = self.applied(vec![Op::CreateType(type_def(name, body))]).await;
        assert_eq!(made.oids.len(), 2);
        self.snapshot().catalog.type_by_oid(made.oids[0]).unwrap()
    }

    async fn table_of(&self, name: &str, ty: SqlType) -> TableId {
        let def = TableDef { columns: vec![column(1, "m", ty)], next_column: 2, ..table_def(name) };
        TableId(self.applied(vec![Op::CreateTable(def)]).await.oids[0])
    }

    fn column_type(&self, table: TableId) -> SqlType {
        self.snapshot().tables[&table].def.columns[0].ty.clone()
    }
}

fn numbers(table: TableId, def: &TableDef, numbers: Vec<i32>) -> Op {
    let column: ArrayRef = Arc::new(Int32Array::from(numbers));
    let rows = RecordBatch::try_new(def.arrow_schema(), vec![column]).unwrap();
    Op::Append { table, version: def.version, rows }
}

fn known_labels(ty: &SqlType) -> Vec<String> {
    match ty {
        SqlType::Enum(e) => e.labels.iter().map(|(_, l)| l.clone()).collect(),
        SqlType::Array(item) => known_labels(item),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_whole_in_its_columns_also_after_changes_and_a_restart() {
    let (node, _mirror) = Node::mirrored(3).await;
    let mood = node.create_type("mood", labels(&[(0, "sad"), (10, "happy")])).await;
    let table = node.table_of("t", mood.bare()).await;
    let list = node.table_of("l", SqlType::Array(Box::new(mood.clone()))).await;
    assert_eq!(known_labels(&node.column_type(table)), ["sad", "happy"]);
    let before = node.snapshot().tables[&table].def.clone();
    node.applied(vec![numbers(table, &before, vec![0, 10])]).await;

    let def = (**node.snapshot().catalog.types.values().next().unwrap()).clone();
    let wider = TypeDef { body: labels(&[(0, "sad"), (5, "ok"), (10, "glad")]), ..def.clone() };
    node.applied(vec![Op::PutType(wider)]).await;
    assert_eq!(known_labels(&node.column_type(table)), ["sad", "ok", "glad"]);
    assert_eq!(known_labels(&node.column_type(list)), ["sad", "ok", "glad"]);
    // Rows made for the labels of before are still rows of the table.
    node.applied(vec![numbers(table, &before, vec![5])]).await;
    let renamed = TypeDef { name: "feeling".to_string(), ..def };
    node.applied(vec![Op::PutType(TypeDef { body: labels(&[(0, "sad"), (5, "ok"), (10, "glad")]), ..renamed })]).await;
    assert_eq!(node.column_type(table).to_string(), "feeling");
    node.engine().check_mirror().unwrap();

    let killed = node.killed().await;
    assert_eq!(killed.column_type(list).to_string(), "feeling[]");
    assert_eq!(known_labels(&killed.column_type(table)), ["sad", "ok", "glad"]);
    let hot = killed.snapshot().tables[&table].hot().unwrap();
    let stored = hot.iter().flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec()).collect::<Vec<_>>();
    assert_eq!(stored, [0, 10, 5]);
    assert_eq!(hot[0].schema(), killed.snapshot().tables[&table].def.arrow_schema());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_is_used_stays() {
    let node = Node::new().await;
    let mood = node.create_type("mood", labels(&[(0, "sad")])).await;
    let id = TypeId(mood.user().unwrap().oid);
    let table = node.table_of("t", mood.clone()).await;
    let code = |e: Result<Outcome>| e.unwrap_err().code();
    assert_eq!(code(node.ops(vec![Op::DropType(id)]).await), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    let again = type_def("mood", labels(&[]));
    assert_eq!(code(node.ops(vec![Op::CreateType(again)]).await), SqlState::DUPLICATE_OBJECT);
    node.applied(vec![Op::DropTable(table)]).await;
    let domain = DomainDef { base: mood.clone(), not_null: true, default: None, checks: Vec::new() };
    let domain = node.create_type("d", TypeBody::Domain(domain)).await;
    assert_eq!(code(node.ops(vec![Op::DropType(id)]).await), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    node.applied(vec![Op::DropType(TypeId(domain.user().unwrap().oid)), Op::DropType(id)]).await;
    let gone = TableDef { columns: vec![column(1, "m", mood)], ..table_def("u") };
    assert_eq!(node.ops(vec![Op::CreateTable(gone)]).await.unwrap(), Outcome::Stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_and_composite_types_survive() {
    let (node, _mirror) = Node::mirrored(5).await;
    let mood = node.create_type("mood", labels(&[(0, "sad")])).await;
    let domain = DomainDef {
        base: SqlType::Numeric(Some((10, 2))),
        not_null: true,
        default: Some("1".to_string()),
        checks: vec![crate::catalog::CheckDef { name: "c".to_string(), expr: "VALUE > 0".to_string(), comment: None }],
    };
    let price = node.create_type("price", TypeBody::Domain(domain)).await;
    let fields = vec![("m".to_string(), mood.bare()), ("p".to_string(), price.bare())];
    let pair = node.create_type("pair", TypeBody::Composite(fields)).await;
    let table = node.table_of("t", SqlType::Array(Box::new(pair))).await;
    node.engine().check_mirror().unwrap();
    let killed = node.killed().await;
    assert_eq!(killed.snapshot().catalog.types, node.snapshot().catalog.types);
    let SqlType::Array(item) = killed.column_type(table) else { panic!("an array") };
    let SqlType::Composite(pair) = *item else { panic!("a composite type") };
    assert!(matches!(&pair.fields[0].1, SqlType::Enum(e) if **e == EnumType { id: e.id.clone(), labels: vec![] }));
    assert_eq!(known_labels(&pair.fields[0].1), ["sad"]);
    assert!(matches!(&pair.fields[1].1, SqlType::Domain(d) if d.id.name == "price"));
    let same = DomainType { id: price.user().unwrap().clone(), base: SqlType::Text };
    assert_eq!(pair.fields[1].1, SqlType::Domain(Arc::new(same)));
}
