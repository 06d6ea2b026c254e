//! Indexes and keys: what survives, whose names clash, what goes with what it refers to.

use super::*;
use crate::catalog::{ForeignKeyAction, ForeignKeyDef, IndexColumn, IndexDef, IndexKey, KeyConstraint};
use crate::ids::IndexId;

fn primary(name: &str) -> IndexDef {
    let constraint = Some(KeyConstraint::Primary);
    IndexDef { columns: vec![IndexColumn::new(ColumnId(1))], unique: true, constraint, ..IndexDef::new(name) }
}

/// An index that says all that an index can say.
fn partial(name: &str) -> IndexDef {
    let expression =
        IndexKey::Expression { sql: "lower(name)".to_string(), name: "lower".to_string(), ty: SqlType::Text };
    let first = IndexColumn {
        key: expression,
        descending: true,
        nulls_first: true,
        opclass: Some("text_pattern_ops".to_string()),
        collation: Some("\"C\"".to_string()),
    };
    IndexDef {
        columns: vec![first, IndexColumn::new(ColumnId(1))],
        include: vec![ColumnId(2)],
        predicate: Some("id > 0".to_string()),
        nulls_not_distinct: true,
        unique: true,
        options: vec![("fillfactor".to_string(), "70".to_string())],
        clustered: true,
        comment: Some("a comment".to_string()),
        constraint_comment: Some("another".to_string()),
        ..IndexDef::new(name)
    }
}

fn foreign(references: TableId) -> ForeignKeyDef {
    ForeignKeyDef {
        name: "fkey".to_string(),
        columns: vec![ColumnId(1)],
        references,
        referenced: vec![ColumnId(1)],
        on_update: ForeignKeyAction::Cascade,
        on_delete: ForeignKeyAction::SetNull,
        set_columns: vec![ColumnId(1)],
        match_full: true,
        deferrable: true,
        deferred: true,
        validated: true,
        comment: Some("a comment".to_string()),
    }
}

fn keyed(name: &str, indexes: Vec<IndexDef>) -> TableDef {
    TableDef { indexes, ..table_def(name) }
}

fn code(refused: Result<Outcome>) -> SqlState {
    refused.expect_err("refused").code()
}

#[tokio::test]
async fn indexes_and_foreign_keys_survive_and_have_names_of_their_own() {
    let (mut node, _mirror) = Node::mirrored(11).await;
    let made = node.applied(vec![Op::CreateTable(keyed("t", vec![primary("t_pkey"), partial("t_idx")]))]).await;
    let [table, pkey, index] = made.oids[..] else { panic!("{made:?}") };
    let def = node.snapshot().tables[&TableId(table)].def.clone();
    assert_eq!(def.indexes[0], IndexDef { id: IndexId(pkey), ..primary("t_pkey") });
    assert_eq!(def.indexes[1], IndexDef { id: IndexId(index), ..partial("t_idx") });
    let child = TableDef {
        foreign_keys: vec![foreign(TableId(table)), ForeignKeyDef { name: "own".to_string(), ..foreign(TableId(0)) }],
        ..keyed("c", vec![primary("c_pkey")])
    };
    let child = TableId(node.applied(vec![Op::CreateTable(child)]).await.oids[0]);
    let snapshot = node.snapshot();
    let keys = &snapshot.tables[&child].def.foreign_keys;
    assert_eq!((keys[0].references, keys[1].references), (TableId(table), child));

    let taken = [
        Op::CreateTable(table_def("t_pkey")),
        Op::CreateTable(keyed("u", vec![primary("c")])),
        Op::CreateTable(keyed("u", vec![primary("t_idx")])),
        Op::CreateTable(keyed("u", vec![primary("u")])),
        Op::PutTable(TableDef { indexes: vec![primary("t_pkey"), primary("t_pkey")], version: 2, ..(*def).clone() }),
    ];
    for op in taken {
        assert_eq!(code(node.ops(vec![op]).await), SqlState::DUPLICATE_TABLE);
    }
    let twice =
        TableDef { foreign_keys: vec![foreign(TableId(0)), foreign(TableId(0))], ..keyed("u", vec![primary("p")]) };
    assert_eq!(code(node.ops(vec![Op::CreateTable(twice)]).await), SqlState::DUPLICATE_OBJECT);

    let before = node.snapshot().catalog.tables.clone();
    node.reopen().await;
    assert_eq!(node.snapshot().catalog.tables, before);
}

#[tokio::test]
async fn foreign_keys_go_with_what_they_refer_to() {
    let (node, _mirror) = Node::mirrored(12).await;
    let made = node.applied(vec![Op::CreateTable(keyed("t", vec![primary("t_pkey")]))]).await;
    let table = TableId(made.oids[0]);
    let child = TableDef { foreign_keys: vec![foreign(table)], ..table_def("c") };
    let child = TableId(node.applied(vec![Op::CreateTable(child)]).await.oids[0]);
    let def = (*node.snapshot().tables[&table].def).clone();
    // A new rule for rows needs a new version; a comment does not.
    let without = TableDef { indexes: Vec::new(), ..def.clone() };
    assert_eq!(code(node.ops(vec![Op::PutTable(without.clone())]).await), SqlState::INTERNAL_ERROR);
    let mut told = def.clone();
    told.indexes[0].comment = Some("told".to_string());
    node.applied(vec![Op::PutTable(told)]).await;
    assert_eq!(node.snapshot().tables[&child].def.foreign_keys.len(), 1);
    node.applied(vec![Op::PutTable(TableDef { version: 2, ..without })]).await;
    assert_eq!(node.snapshot().tables[&child].def.foreign_keys, Vec::new());
}
