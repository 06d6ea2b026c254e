//! The persisted form of definitions.

use super::index::{ForeignKeyMessage, IndexMessage};
use super::{narrow, required};
use crate::catalog::{
    CheckDef, ColumnDef, ForeignKeyDef, Identity, IndexDef, PartitionExpr, RoleDef, SchemaDef, TableDef, TenantDef,
    ViewDef,
};
use crate::error::Result;
use crate::ids::{ColumnId, GroupId, RoleId, SchemaId, SequenceId, TableId, TenantId, ViewId};
use crate::kv::damaged;
use crate::secret::Secret;
use crate::types::SqlType;

pub(super) fn sql_type(text: &str) -> Result<SqlType> {
    SqlType::parse(text).ok_or_else(|| damaged(&format!("the type \"{text}\" of a stored definition")))
}

/// What [`sql_type`] reads.
pub(super) fn stored_type(ty: &SqlType) -> String {
    ty.bare().encode()
}

fn stored_settings(settings: &[(String, String)]) -> Vec<String> {
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn read_settings(stored: &[String]) -> Vec<(String, String)> {
    stored.iter().filter_map(|s| s.split_once('=')).map(|(n, v)| (n.to_string(), v.to_string())).collect()
}

/// A tenant.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TenantMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    owner: u32,
    #[prost(uint32, tag = "4")]
    group: u32,
    #[prost(sint64, tag = "5")]
    created_at: i64,
    #[prost(string, optional, tag = "6")]
    comment: Option<String>,
    #[prost(uint32, repeated, tag = "7")]
    no_connect: Vec<u32>,
    #[prost(bool, tag = "8")]
    connect_revoked: bool,
    #[prost(uint32, repeated, tag = "9")]
    connect: Vec<u32>,
    /// None is -1, no limit.
    #[prost(sint32, optional, tag = "10")]
    connection_limit: Option<i32>,
    /// Each as `name=value`.
    #[prost(string, repeated, tag = "11")]
    settings: Vec<String>,
}

impl From<&TenantDef> for TenantMessage {
    fn from(t: &TenantDef) -> TenantMessage {
        TenantMessage {
            id: t.id.0,
            name: t.name.clone(),
            owner: t.owner.0,
            group: t.group.0,
            created_at: t.created_at,
            comment: t.comment.clone(),
            no_connect: t.no_connect.iter().map(|r| r.0).collect(),
            connect_revoked: t.connect_revoked,
            connect: t.connect.iter().map(|r| r.0).collect(),
            connection_limit: (t.connection_limit != -1).then_some(t.connection_limit),
            settings: stored_settings(&t.settings),
        }
    }
}

impl From<TenantMessage> for TenantDef {
    fn from(t: TenantMessage) -> TenantDef {
        TenantDef {
            id: TenantId(t.id),
            name: t.name,
            owner: RoleId(t.owner),
            group: GroupId(t.group),
            created_at: t.created_at,
            comment: t.comment,
            no_connect: t.no_connect.into_iter().map(RoleId).collect(),
            connect_revoked: t.connect_revoked,
            connect: t.connect.into_iter().map(RoleId).collect(),
            connection_limit: t.connection_limit.unwrap_or(-1),
            settings: read_settings(&t.settings),
        }
    }
}

/// A role.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RoleMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bool, tag = "3")]
    superuser: bool,
    #[prost(bool, tag = "4")]
    login: bool,
    #[prost(bool, tag = "5")]
    create_role: bool,
    #[prost(bool, tag = "6")]
    create_db: bool,
    #[prost(sint32, tag = "7")]
    connection_limit: i32,
    #[prost(string, optional, tag = "8")]
    comment: Option<String>,
    #[prost(string, optional, tag = "9")]
    verifier: Option<String>,
    #[prost(sint64, optional, tag = "10")]
    valid_until: Option<i64>,
    /// Each as `name=value`.
    #[prost(string, repeated, tag = "11")]
    settings: Vec<String>,
    #[prost(uint32, repeated, tag = "12")]
    member_of: Vec<u32>,
}

impl From<&RoleDef> for RoleMessage {
    fn from(r: &RoleDef) -> RoleMessage {
        RoleMessage {
            id: r.id.0,
            name: r.name.clone(),
            superuser: r.superuser,
            login: r.login,
            create_role: r.create_role,
            create_db: r.create_db,
            connection_limit: r.connection_limit,
            comment: r.comment.clone(),
            verifier: r.verifier.as_ref().map(|v| v.reveal().to_string()),
            valid_until: r.valid_until,
            settings: stored_settings(&r.settings),
            member_of: r.member_of.iter().map(|m| m.0).collect(),
        }
    }
}

impl From<RoleMessage> for RoleDef {
    fn from(r: RoleMessage) -> RoleDef {
        RoleDef {
            id: RoleId(r.id),
            name: r.name,
            superuser: r.superuser,
            login: r.login,
            create_role: r.create_role,
            create_db: r.create_db,
            connection_limit: r.connection_limit,
            settings: read_settings(&r.settings),
            comment: r.comment,
            verifier: r.verifier.map(Secret::new),
            valid_until: r.valid_until,
            member_of: r.member_of.into_iter().map(RoleId).collect(),
        }
    }
}

/// A schema.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SchemaMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    owner: u32,
    #[prost(string, optional, tag = "4")]
    comment: Option<String>,
}

impl From<&SchemaDef> for SchemaMessage {
    fn from(s: &SchemaDef) -> SchemaMessage {
        SchemaMessage { id: s.id.0, name: s.name.clone(), owner: s.owner.0, comment: s.comment.clone() }
    }
}

impl From<SchemaMessage> for SchemaDef {
    fn from(s: SchemaMessage) -> SchemaDef {
        SchemaDef { id: SchemaId(s.id), name: s.name, owner: RoleId(s.owner), comment: s.comment }
    }
}

/// A view.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ViewMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint32, tag = "2")]
    schema: u32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint32, tag = "4")]
    owner: u32,
    #[prost(string, tag = "5")]
    query: String,
    #[prost(string, repeated, tag = "6")]
    search_path: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    columns: Vec<ViewColumnMessage>,
    #[prost(uint32, repeated, tag = "8")]
    depends_on: Vec<u32>,
    #[prost(string, optional, tag = "9")]
    comment: Option<String>,
    #[prost(message, repeated, tag = "10")]
    column_comments: Vec<ColumnCommentMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ViewColumnMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    ty: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ColumnCommentMessage {
    #[prost(uint32, tag = "1")]
    position: u32,
    #[prost(string, tag = "2")]
    comment: String,
}

impl From<&ViewDef> for ViewMessage {
    fn from(v: &ViewDef) -> ViewMessage {
        let column = |(name, ty): &(String, SqlType)| ViewColumnMessage { name: name.clone(), ty: stored_type(ty) };
        let comment = |(position, comment): &(u16, String)| ColumnCommentMessage {
            position: u32::from(*position),
            comment: comment.clone(),
        };
        ViewMessage {
            id: v.id.0,
            schema: v.schema.0,
            name: v.name.clone(),
            owner: v.owner.0,
            query: v.query.clone(),
            search_path: v.search_path.clone(),
            columns: v.columns.iter().map(column).collect(),
            depends_on: v.depends_on.clone(),
            comment: v.comment.clone(),
            column_comments: v.column_comments.iter().map(comment).collect(),
        }
    }
}

impl TryFrom<ViewMessage> for ViewDef {
    type Error = crate::error::Error;

    fn try_from(v: ViewMessage) -> Result<ViewDef> {
        let column = |c: ViewColumnMessage| Ok((c.name, sql_type(&c.ty)?));
        let comment = |c: ColumnCommentMessage| Ok((narrow(c.position, "a view")?, c.comment));
        Ok(ViewDef {
            id: ViewId(v.id),
            schema: SchemaId(v.schema),
            name: v.name,
            owner: RoleId(v.owner),
            query: v.query,
            search_path: v.search_path,
            columns: v.columns.into_iter().map(column).collect::<Result<_>>()?,
            depends_on: v.depends_on,
            comment: v.comment,
            column_comments: v.column_comments.into_iter().map(comment).collect::<Result<_>>()?,
        })
    }
}

/// A table.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TableMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint32, tag = "2")]
    schema: u32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint32, tag = "4")]
    owner: u32,
    #[prost(uint32, tag = "5")]
    version: u32,
    #[prost(message, repeated, tag = "6")]
    columns: Vec<ColumnMessage>,
    #[prost(uint32, tag = "7")]
    next_column: u32,
    #[prost(message, repeated, tag = "8")]
    checks: Vec<CheckMessage>,
    #[prost(message, repeated, tag = "9")]
    partition_by: Vec<PartitionMessage>,
    #[prost(uint32, repeated, tag = "10")]
    cluster_by: Vec<u32>,
    #[prost(sint64, optional, tag = "11")]
    retention_us: Option<i64>,
    #[prost(string, optional, tag = "12")]
    comment: Option<String>,
    #[prost(sint64, tag = "13")]
    created_at: i64,
    #[prost(message, repeated, tag = "54")]
    indexes: Vec<IndexMessage>,
    #[prost(message, repeated, tag = "55")]
    foreign_keys: Vec<ForeignKeyMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ColumnMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    stored_name: String,
    #[prost(string, tag = "4")]
    ty: String,
    #[prost(bool, tag = "5")]
    not_null: bool,
    #[prost(string, optional, tag = "6")]
    default: Option<String>,
    #[prost(bytes = "vec", optional, tag = "7")]
    missing: Option<Vec<u8>>,
    #[prost(string, optional, tag = "8")]
    comment: Option<String>,
    #[prost(message, optional, tag = "29")]
    identity: Option<IdentityMessage>,
    #[prost(string, optional, tag = "30")]
    generated: Option<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct IdentityMessage {
    #[prost(uint32, tag = "1")]
    sequence: u32,
    #[prost(bool, tag = "2")]
    always: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CheckMessage {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) expr: String,
    #[prost(string, optional, tag = "43")]
    pub(super) comment: Option<String>,
}

impl From<&CheckDef> for CheckMessage {
    fn from(c: &CheckDef) -> CheckMessage {
        CheckMessage { name: c.name.clone(), expr: c.expr.clone(), comment: c.comment.clone() }
    }
}

impl From<CheckMessage> for CheckDef {
    fn from(c: CheckMessage) -> CheckDef {
        CheckDef { name: c.name, expr: c.expr, comment: c.comment }
    }
}

/// `kind`: 0 the value, 1 hour, 2 day, 3 month, 4 year, 5 hash.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PartitionMessage {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    column: u32,
    #[prost(uint32, tag = "3")]
    buckets: u32,
}

impl From<&ColumnDef> for ColumnMessage {
    fn from(c: &ColumnDef) -> ColumnMessage {
        ColumnMessage {
            id: u32::from(c.id.0),
            name: c.name.clone(),
            stored_name: c.stored_name.clone(),
            ty: stored_type(&c.ty),
            not_null: c.not_null,
            default: c.default.clone(),
            missing: c.missing.clone(),
            comment: c.comment.clone(),
            identity: c.identity.map(|i| IdentityMessage { sequence: i.sequence.0, always: i.always }),
            generated: c.generated.clone(),
        }
    }
}

impl TryFrom<ColumnMessage> for ColumnDef {
    type Error = crate::error::Error;

    fn try_from(c: ColumnMessage) -> Result<ColumnDef> {
        Ok(ColumnDef {
            id: ColumnId(narrow(c.id, "a column")?),
            name: c.name,
            stored_name: c.stored_name,
            ty: sql_type(&c.ty)?,
            not_null: c.not_null,
            default: c.default,
            missing: c.missing,
            comment: c.comment,
            identity: c.identity.map(|i| Identity { sequence: SequenceId(i.sequence), always: i.always }),
            generated: c.generated,
        })
    }
}

impl From<&PartitionExpr> for PartitionMessage {
    fn from(p: &PartitionExpr) -> PartitionMessage {
        let (kind, column, buckets) = match *p {
            PartitionExpr::Value(c) => (0, c, 0),
            PartitionExpr::Hour(c) => (1, c, 0),
            PartitionExpr::Day(c) => (2, c, 0),
            PartitionExpr::Month(c) => (3, c, 0),
            PartitionExpr::Year(c) => (4, c, 0),
            PartitionExpr::Hash(c, n) => (5, c, n),
        };
        PartitionMessage { kind, column: u32::from(column.0), buckets }
    }
}

impl TryFrom<PartitionMessage> for PartitionExpr {
    type Error = crate::error::Error;

    fn try_from(p: PartitionMessage) -> Result<PartitionExpr> {
        let column = ColumnId(narrow(p.column, "a partition expression")?);
        let known = match p.kind {
            0 => Some(PartitionExpr::Value(column)),
            1 => Some(PartitionExpr::Hour(column)),
            2 => Some(PartitionExpr::Day(column)),
            3 => Some(PartitionExpr::Month(column)),
            4 => Some(PartitionExpr::Year(column)),
            5 => Some(PartitionExpr::Hash(column, p.buckets)),
            _ => None,
        };
        required(known, "a partition expression")
    }
}

impl From<&TableDef> for TableMessage {
    fn from(t: &TableDef) -> TableMessage {
        TableMessage {
            id: t.id.0,
            schema: t.schema.0,
            name: t.name.clone(),
            owner: t.owner.0,
            version: t.version,
            columns: t.columns.iter().map(ColumnMessage::from).collect(),
            next_column: u32::from(t.next_column),
            checks: t.checks.iter().map(CheckMessage::from).collect(),
            partition_by: t.partition_by.iter().map(PartitionMessage::from).collect(),
            cluster_by: t.cluster_by.iter().map(|c| u32::from(c.0)).collect(),
            retention_us: t.retention_us,
            comment: t.comment.clone(),
            created_at: t.created_at,
            indexes: t.indexes.iter().map(IndexMessage::from).collect(),
            foreign_keys: t.foreign_keys.iter().map(ForeignKeyMessage::from).collect(),
        }
    }
}

impl TryFrom<TableMessage> for TableDef {
    type Error = crate::error::Error;

    fn try_from(t: TableMessage) -> Result<TableDef> {
        let cluster = |c: u32| Ok(ColumnId(narrow(c, "a table")?));
        Ok(TableDef {
            id: TableId(t.id),
            schema: SchemaId(t.schema),
            name: t.name,
            owner: RoleId(t.owner),
            version: t.version,
            columns: t.columns.into_iter().map(ColumnDef::try_from).collect::<Result<_>>()?,
            next_column: narrow(t.next_column, "a table")?,
            checks: t.checks.into_iter().map(CheckDef::from).collect(),
            indexes: t.indexes.into_iter().map(IndexDef::try_from).collect::<Result<_>>()?,
            foreign_keys: t.foreign_keys.into_iter().map(ForeignKeyDef::try_from).collect::<Result<_>>()?,
            partition_by: t.partition_by.into_iter().map(PartitionExpr::try_from).collect::<Result<_>>()?,
            cluster_by: t.cluster_by.into_iter().map(cluster).collect::<Result<_>>()?,
            retention_us: t.retention_us,
            comment: t.comment,
            created_at: t.created_at,
        })
    }
}
