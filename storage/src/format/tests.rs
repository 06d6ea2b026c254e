//! Bytes that were once written must be read for ever.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::catalog::RoleMessage;
use super::decode;
use super::entry::{decode_entry, encode_entry};
use crate::catalog::{
    CheckDef, ColumnDef, Identity, PartitionExpr, RoleDef, SchemaDef, SequenceDef, SequenceOwner, TableDef, TenantDef,
    ViewDef,
};
use crate::command::{Command, Op};
use crate::entry::{Draft, EntryBuilder, LogOp};
use crate::ids::{ColumnId, GroupId, Index, RoleId, SchemaId, SequenceId, TableId, TenantId, ViewId};
use crate::rows::Layout;
use crate::secret::Secret;
use crate::table::{ColumnStats, PartMeta};
use crate::types::SqlType;

/// An entry of format 1 with one command of every operation, as hexadecimal digits.
const ENTRY_1: &str = include_str!("entry_1.hex");

fn table() -> TableDef {
    let column = |id, name: &str, ty, not_null| ColumnDef {
        id: ColumnId(id),
        name: name.to_string(),
        stored_name: format!("c{id}"),
        ty,
        not_null,
        default: (id == 2).then(|| "'x'::text".to_string()),
        missing: (id == 2).then(|| vec![1, 2, 3]),
        comment: Some("a column".to_string()),
        identity: None,
        generated: None,
    };
    TableDef {
        id: TableId(1_048_600),
        schema: SchemaId(2200),
        name: "flights".to_string(),
        owner: RoleId(10),
        version: 3,
        columns: vec![column(1, "id", SqlType::BigInt, true), column(2, "name", SqlType::Varchar(Some(20)), false)],
        next_column: 3,
        checks: vec![CheckDef { name: "flights_check".to_string(), expr: "id > 0".to_string(), comment: None }],
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        partition_by: vec![PartitionExpr::Month(ColumnId(1)), PartitionExpr::Hash(ColumnId(2), 16)],
        cluster_by: vec![ColumnId(2), ColumnId(1)],
        retention_us: Some(86_400_000_000),
        comment: Some("all flights".to_string()),
        created_at: -5,
    }
}

fn part() -> PartMeta {
    let bounds: ArrayRef = Arc::new(Int64Array::from(vec![-7, 900]));
    PartMeta {
        path: "cold/16384/1048600/all/0-1-x.parquet".to_string(),
        size: 1000,
        crc32: 0xdead_beef,
        rows: 30,
        row_groups: vec![20, 10],
        table_version: 3,
        partition: "month=2001-01".to_string(),
        first: Index(4),
        last: Index(9),
        row_base: Some(77),
        columns: vec![
            ColumnStats { column: ColumnId(1), nulls: 0, bounds: Some(bounds), exact: true },
            ColumnStats { column: ColumnId(2), nulls: 30, bounds: None, exact: false },
        ],
        created_at: 123_456,
    }
}

fn rows() -> RecordBatch {
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![Some("seattle"), None]))];
    RecordBatch::try_from_iter(["id", "name"].into_iter().zip(columns)).unwrap()
}

fn all_ops() -> Vec<Op> {
    let tenant = TenantDef {
        id: TenantId(16384),
        name: "acme".to_string(),
        owner: RoleId(10),
        group: GroupId(1),
        connection_limit: -1,
        settings: Vec::new(),
        created_at: 99,
        comment: None,
        no_connect: vec![RoleId(3)],
        connect_revoked: true,
        connect: vec![RoleId(4), RoleId(5)],
    };
    let role = RoleDef {
        id: RoleId(16390),
        name: "ann".to_string(),
        superuser: false,
        login: true,
        create_role: false,
        create_db: true,
        verifier: None,
        valid_until: None,
        connection_limit: -1,
        settings: Vec::new(),
        comment: Some("Ann".to_string()),
        member_of: Vec::new(),
    };
    let schema = SchemaDef { id: SchemaId(5), name: "s".to_string(), owner: RoleId(10), comment: None };
    let view = ViewDef {
        id: ViewId(8),
        schema: SchemaId(5),
        name: "v".to_string(),
        owner: RoleId(10),
        query: "SELECT 1".to_string(),
        search_path: vec!["public".to_string()],
        columns: vec![("a".to_string(), SqlType::Array(Box::new(SqlType::Numeric(Some((12, 2))))))],
        depends_on: vec![1_048_600],
        comment: None,
        column_comments: vec![(1, "one".to_string())],
    };
    vec![
        Op::Boot,
        Op::CreateTenant(tenant.clone()),
        Op::PutTenant(tenant),
        Op::DropTenant(TenantId(16384)),
        Op::InitTenant { owner: RoleId(10) },
        Op::PurgeTenant,
        Op::CreateRole(role.clone()),
        Op::PutRole(role),
        Op::DropRole(RoleId(16390)),
        Op::CreateSchema(schema.clone()),
        Op::PutSchema(schema),
        Op::DropSchema(SchemaId(5)),
        Op::CreateTable(table()),
        Op::PutTable(table()),
        Op::DropTable(TableId(1_048_600)),
        Op::CreateView(view.clone()),
        Op::PutView(view),
        Op::DropView(ViewId(8)),
        Op::Append { table: TableId(1_048_600), version: 3, rows: rows() },
        Op::AddParts { table: TableId(1_048_600), version: 3, parts: vec![part()] },
        Op::Truncate(TableId(1_048_600)),
        Op::Publish { table: TableId(1_048_600), from: Index(3), to: Index(9), add: vec![part()], deleted: Vec::new() },
    ]
}

fn entry() -> crate::entry::Entry {
    let command = |id, ops| Command {
        id,
        tenant: Some(TenantId(16384)),
        at: 1_000_000,
        base: Index(41),
        catalog_version: Some(6),
        ops,
    };
    let mut builder = EntryBuilder::default();
    builder.push(Draft::new(command(7, all_ops())).unwrap());
    let again = vec![Op::Append { table: TableId(1_048_600), version: 3, rows: rows() }];
    builder.push(Draft::new(Command { tenant: None, catalog_version: None, ..command(u128::MAX, again) }).unwrap());
    builder.finish(GroupId(1), Index(42)).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(60).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n").collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.split_whitespace().collect::<String>();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

/// Set `SIGHTLINE_RECORD` to a path to write a new fixture there, under a new name: an old one is never replaced.
#[test]
fn an_entry_of_format_1_is_read() {
    if let Some(path) = std::env::var_os("SIGHTLINE_RECORD") {
        std::fs::write(path, hex(&encode_entry(&entry()).unwrap())).unwrap();
    }
    let (stored, made) = (decode_entry(GroupId(1), Index(42), &unhex(ENTRY_1)).unwrap(), entry());
    assert_eq!(format!("{:?}", stored.commands), format!("{:?}", made.commands));
    assert_eq!((stored.batches.len(), made.batches.len()), (2, 2));
    for (stored, made) in stored.batches.iter().zip(&made.batches) {
        let layout = Layout::new(&table());
        assert_eq!(Some(layout.decode(&stored.ipc).unwrap()), made.rows);
    }
}

#[test]
fn rows_of_one_table_in_one_entry_are_one_batch() {
    let command = |rows| {
        let append = |rows| Op::Append { table: TableId(5), version: 1, rows };
        Command::new(Some(TenantId(2)), 0, Index(0), vec![append(rows)])
    };
    let mut builder = EntryBuilder::default();
    for _ in 0..3 {
        builder.push(Draft::new(command(rows())).unwrap());
    }
    let other = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    builder.push(Draft::new(command(other)).unwrap());
    let entry = builder.finish(GroupId(1), Index(1)).unwrap();
    assert_eq!(entry.batches.len(), 2);
    let offsets = entry.commands.iter().flat_map(|c| &c.ops).map(|op| match op {
        LogOp::Append(a) => (a.batch, a.offset, a.rows),
        LogOp::Other(_) => panic!("an append"),
    });
    assert_eq!(offsets.collect::<Vec<_>>(), [(0, 0, 2), (0, 2, 2), (0, 4, 2), (1, 0, 1)]);
}

#[test]
fn one_row_takes_little_room_in_the_log() {
    let mut builder = EntryBuilder::default();
    let row = rows().slice(0, 1);
    let op = Op::Append { table: TableId(5), version: 1, rows: row };
    builder.push(Draft::new(Command::new(Some(TenantId(2)), 0, Index(0), vec![op])).unwrap());
    let bytes = encode_entry(&builder.finish(GroupId(1), Index(1)).unwrap()).unwrap().len();
    assert!(bytes < 600, "{bytes}");
}

/// Passwords came after format 1 was fixed: an older server passes over them, this one keeps them.
#[test]
fn a_roles_password_is_kept() {
    let role = RoleDef {
        id: RoleId(16390),
        name: "ann".to_string(),
        superuser: false,
        login: true,
        create_role: false,
        create_db: false,
        connection_limit: -1,
        settings: Vec::new(),
        verifier: Some(Secret::new("SCRAM-SHA-256$4096:c2FsdA==$a:b")),
        valid_until: Some(-1),
        comment: None,
        member_of: vec![crate::ids::READ_SERVER_FILES],
    };
    let bytes = prost::Message::encode_to_vec(&RoleMessage::from(&role));
    assert_eq!(RoleDef::from(decode::<RoleMessage>(&bytes, "a role").unwrap()), role);
}

/// Operations came after format 1 was fixed: an older server refuses them, this one keeps them.
#[test]
fn a_later_operation_is_read() {
    let op = Op::NoNewRows { table: TableId(1_048_600), next_row: 1 << 33 };
    let mut builder = EntryBuilder::default();
    builder.push(Draft::new(Command::new(Some(TenantId(2)), 0, Index(0), vec![op])).unwrap());
    let entry = builder.finish(GroupId(1), Index(7)).unwrap();
    let bytes = encode_entry(&entry).unwrap();
    // Tag 26 of an operation: table = 1, next_row = 2.
    assert!(
        hex(&bytes).replace('\n', "").contains("d2010a089880401080808080 20".replace(' ', "").as_str()),
        "{}",
        hex(&bytes)
    );
    let stored = decode_entry(GroupId(1), Index(7), &bytes).unwrap();
    assert_eq!(format!("{:?}", stored.commands), format!("{:?}", entry.commands));
}

#[test]
fn sequences_and_the_columns_they_fill_are_read() {
    let sequence = SequenceDef {
        id: SequenceId(1_048_601),
        schema: SchemaId(2200),
        name: "flights_id_seq".to_string(),
        owner: RoleId(10),
        ty: SqlType::SmallInt,
        start: -5,
        increment: -1,
        min: i64::MIN,
        max: -1,
        cache: 3,
        cycle: true,
        owned_by: Some(SequenceOwner { table: TableId(1_048_600), column: ColumnId(1), identity: true }),
        comment: Some("numbers".to_string()),
    };
    let mut filled = table();
    filled.columns[0].identity = Some(Identity { sequence: sequence.id, always: true });
    filled.columns[1].generated = Some("upper('x')".to_string());
    let id = sequence.id;
    let ops = vec![
        Op::CreateSequence(sequence.clone()),
        Op::PutSequence(SequenceDef { owned_by: None, comment: None, ..sequence }),
        Op::AdvanceSequence { sequence: id, seen: 7, last: i64::MIN, is_called: true },
        Op::SetSequence { sequence: id, last: -5, is_called: false },
        Op::CreateTable(filled),
        Op::DropSequence(id),
    ];
    let mut builder = EntryBuilder::default();
    builder.push(Draft::new(Command::new(Some(TenantId(2)), 0, Index(0), ops)).unwrap());
    let entry = builder.finish(GroupId(1), Index(7)).unwrap();
    let stored = decode_entry(GroupId(1), Index(7), &encode_entry(&entry).unwrap()).unwrap();
    assert_eq!(format!("{:?}", stored.commands), format!("{:?}", entry.commands));
}
