//! What the statement's snapshot holds, by OID: relations of users and of the system, schemas, roles, constraints.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{
    CheckDef, ColumnDef, ForeignKeyDef, IndexDef, RoleDef, SequenceDef, TableDef, TenantDef, TypeBody, TypeDef, ViewDef,
};
use sightline_storage::error::Result;
use sightline_storage::ids::{
    IndexId, PG_CATALOG, READ_SERVER_FILES, RoleId, SUPERUSER, SchemaId, SequenceId, TableId, ViewId,
    WRITE_SERVER_FILES,
};

use super::deparse;
use super::relation::{self, INFORMATION_SCHEMA_OID, Relation, SYS_OID};
use crate::plan::{self, QueryContext};

/// A schema, of the system or of the tenant.
pub(super) struct Schema<'a> {
    pub(super) oid: u32,
    pub(super) name: &'a str,
    pub(super) owner: RoleId,
    pub(super) comment: Option<&'a str>,
}

/// A relation of any kind.
pub(super) enum Object<'a> {
    Table(&'a TableDef),
    View(&'a ViewDef),
    Index(&'a TableDef, &'a IndexDef),
    Sequence(&'a SequenceDef),
    System(&'static Relation),
}

impl Object<'_> {
    pub(super) fn oid(&self) -> u32 {
        match self {
            Object::Table(t) => t.id.0,
            Object::View(v) => v.id.0,
            Object::Index(_, i) => i.id.0,
            Object::Sequence(s) => s.id.0,
            Object::System(r) => r.oid,
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Object::Table(t) => &t.name,
            Object::View(v) => &v.name,
            Object::Index(_, i) => &i.name,
            Object::Sequence(s) => &s.name,
            Object::System(r) => r.name,
        }
    }

    pub(super) fn schema(&self) -> SchemaId {
        match self {
            Object::Table(t) => t.schema,
            Object::View(v) => v.schema,
            Object::Index(t, _) => t.schema,
            Object::Sequence(s) => s.schema,
            Object::System(r) => SchemaId(r.schema_oid()),
        }
    }

    pub(super) fn owner(&self) -> RoleId {
        match self {
            Object::Table(t) => t.owner,
            Object::View(v) => v.owner,
            Object::Index(t, _) => t.owner,
            Object::Sequence(s) => s.owner,
            Object::System(_) => SUPERUSER,
        }
    }

    pub(super) fn comment(&self) -> Option<&str> {
        match self {
            Object::Table(t) => t.comment.as_deref(),
            Object::View(v) => v.comment.as_deref(),
            Object::Index(_, i) => i.comment.as_deref(),
            Object::Sequence(s) => s.comment.as_deref(),
            Object::System(_) => None,
        }
    }

    /// The comment of the column with this `attnum`.
    pub(super) fn column_comment(&self, number: i64) -> Option<&str> {
        match self {
            Object::Table(t) => {
                t.columns.iter().find(|c| i64::from(c.id.0) == number).and_then(|c| c.comment.as_deref())
            }
            Object::View(v) => v.column_comments.iter().find(|(n, _)| i64::from(*n) == number).map(|(_, c)| c.as_str()),
            Object::Index(..) | Object::Sequence(_) | Object::System(_) => None,
        }
    }
}

/// The tables of the tenant.
pub(super) fn tables(ctx: &QueryContext) -> impl Iterator<Item = &Arc<TableDef>> {
    ctx.snapshot.catalog.tables.values()
}

/// The views of the tenant.
pub(super) fn views(ctx: &QueryContext) -> impl Iterator<Item = &Arc<ViewDef>> {
    ctx.snapshot.catalog.views.values()
}

/// The indexes of the tenant, with their tables.
pub(super) fn indexes(ctx: &QueryContext) -> impl Iterator<Item = (&TableDef, &IndexDef)> {
    tables(ctx).flat_map(|t| t.indexes.iter().map(move |i| (t.as_ref(), i)))
}

/// The sequences of the tenant.
pub(super) fn sequences(ctx: &QueryContext) -> impl Iterator<Item = &Arc<SequenceDef>> {
    ctx.snapshot.catalog.sequences.values()
}

/// All relations with rows: tables, views, sequences, then the system's.
pub(super) fn relations(ctx: &QueryContext) -> impl Iterator<Item = Object<'_>> {
    let own = tables(ctx).map(|t| Object::Table(t)).chain(views(ctx).map(|v| Object::View(v)));
    let own = own.chain(sequences(ctx).map(|s| Object::Sequence(s)));
    own.chain(relation::all().iter().map(Object::System))
}

/// The relation with this OID.
pub(super) fn relation(ctx: &QueryContext, oid: u32) -> Option<Object<'_>> {
    let catalog = &ctx.snapshot.catalog;
    if let Some(table) = catalog.table(TableId(oid)) {
        return Some(Object::Table(table));
    }
    if let Some(view) = catalog.view(ViewId(oid)) {
        return Some(Object::View(view));
    }
    if let Some((table, index)) = catalog.index(IndexId(oid)) {
        return Some(Object::Index(table, index));
    }
    if let Some(sequence) = catalog.sequence(SequenceId(oid)) {
        return Some(Object::Sequence(sequence));
    }
    relation::by_oid(oid).map(Object::System)
}

/// All schemas: the system's, then the tenant's.
pub(super) fn schemas(ctx: &QueryContext) -> impl Iterator<Item = Schema<'_>> {
    let system = [
        (PG_CATALOG.0, "pg_catalog", "system catalog schema"),
        (INFORMATION_SCHEMA_OID, "information_schema", "the catalog as the SQL standard has it"),
        (SYS_OID, "sys", "Sightline's own relations"),
    ];
    let system =
        system.into_iter().map(|(oid, name, comment)| Schema { oid, name, owner: SUPERUSER, comment: Some(comment) });
    system.chain(ctx.snapshot.catalog.schemas.values().map(|s| Schema {
        oid: s.id.0,
        name: &s.name,
        owner: s.owner,
        comment: s.comment.as_deref(),
    }))
}

/// The name of the schema with this OID.
pub(super) fn schema_name(ctx: &QueryContext, oid: u32) -> Option<&str> {
    schemas(ctx).find(|s| s.oid == oid).map(|s| s.name)
}

/// Roles that can be named in this tenant: operators', its own, and predefined ones.
pub(super) fn roles(ctx: &QueryContext) -> impl Iterator<Item = &Arc<RoleDef>> {
    ctx.meta.roles.values().chain(ctx.snapshot.catalog.roles.values()).chain(predefined_roles())
}

/// PostgreSQL's predefined roles that can be granted here
/// (<https://www.postgresql.org/docs/15/predefined-roles.html>).
pub(crate) fn predefined_roles() -> &'static [Arc<RoleDef>] {
    static ROLES: LazyLock<Vec<Arc<RoleDef>>> = LazyLock::new(|| {
        let role = |id, name: &str| RoleDef {
            id,
            name: name.to_string(),
            superuser: false,
            login: false,
            create_role: false,
            create_db: false,
            connection_limit: -1,
            settings: Vec::new(),
            verifier: None,
            valid_until: None,
            comment: None,
            member_of: Vec::new(),
        };
        let files = [(READ_SERVER_FILES, "pg_read_server_files"), (WRITE_SERVER_FILES, "pg_write_server_files")];
        files.into_iter().map(|(id, name)| Arc::new(role(id, name))).collect()
    });
    &ROLES
}

/// The role with this OID.
pub(super) fn role(ctx: &QueryContext, oid: u32) -> Option<&Arc<RoleDef>> {
    roles(ctx).find(|r| r.id.0 == oid)
}

/// The role's name, or what PostgreSQL prints for one that is gone.
pub(super) fn role_name(ctx: &QueryContext, oid: u32) -> Cow<'_, str> {
    role(ctx, oid).map_or_else(|| Cow::Owned(format!("unknown (OID={oid})")), |r| Cow::Borrowed(r.name.as_str()))
}

/// Tenants this session may know of: all for an operator, else its own.
pub(super) fn tenants(ctx: &QueryContext) -> impl Iterator<Item = &Arc<TenantDef>> {
    let operator = ctx.meta.roles.values().any(|r| r.id == ctx.identity.role);
    ctx.meta.tenants.values().filter(move |t| operator || t.id == ctx.identity.tenant)
}

/// All CHECK constraints with their OIDs.
pub(super) fn checks(ctx: &QueryContext) -> impl Iterator<Item = (u32, &TableDef, &CheckDef)> {
    tables(ctx).flat_map(|t| t.checks.iter().map(|c| (derived_oid("check", t.id.0, &c.name), t.as_ref(), c)))
}

/// The OID of the constraint that an index is for.
pub(super) fn key_oid(table: &TableDef, index: &IndexDef) -> u32 {
    derived_oid("key", table.id.0, &index.name)
}

/// All keys with their OIDs.
pub(super) fn keys(ctx: &QueryContext) -> impl Iterator<Item = (u32, &TableDef, &IndexDef)> {
    indexes(ctx).filter(|(_, i)| i.constraint.is_some()).map(|(t, i)| (key_oid(t, i), t, i))
}

/// All foreign keys with their OIDs.
pub(super) fn foreign_keys(ctx: &QueryContext) -> impl Iterator<Item = (u32, &TableDef, &ForeignKeyDef)> {
    tables(ctx).flat_map(|t| t.foreign_keys.iter().map(|f| (derived_oid("foreign", t.id.0, &f.name), t.as_ref(), f)))
}

/// All conditions of domains with their OIDs.
pub(super) fn domain_checks(ctx: &QueryContext) -> impl Iterator<Item = (u32, &TypeDef, &CheckDef)> {
    ctx.snapshot.catalog.types.values().flat_map(|t| {
        let checks = match &t.body {
            TypeBody::Domain(d) => d.checks.as_slice(),
            _ => &[],
        };
        checks.iter().map(|c| (derived_oid("check", t.id.0, &c.name), t.as_ref(), c))
    })
}

/// All defaults with their OIDs.
pub(super) fn defaults(ctx: &QueryContext) -> impl Iterator<Item = (u32, &TableDef, &ColumnDef, String)> {
    tables(ctx).flat_map(move |t| {
        t.columns.iter().filter_map(move |c| {
            let expr = deparse::generated(c).or_else(|| deparse::default(ctx, c))?;
            Some((derived_oid("default", t.id.0, &c.stored_name), t.as_ref(), c, expr))
        })
    })
}

/// An OID for what has a name in its owner but none of its own: the same for ever, in the upper half of the number
/// space, which nothing else uses (FNV-1a).
pub(super) fn derived_oid(kind: &str, of: u32, name: &str) -> u32 {
    let bytes = kind.bytes().chain([0]).chain(of.to_le_bytes()).chain(name.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    hash | 0x8000_0000
}

/// Whether an unqualified `name` finds the relation of this schema: no schema before it in the search has one.
pub(super) fn is_visible(ctx: &QueryContext, schema: u32, name: &str) -> bool {
    find(ctx, &[name.to_string()]).is_ok_and(|(found, _)| found == schema)
}

/// Schema and OID of the relation with these folded parts, as a query would find it.
///
/// # Errors
/// 42P01 if there is none.
pub(super) fn find(ctx: &QueryContext, parts: &[String]) -> Result<(u32, u32)> {
    if let Some((table, index)) = plan::find_index_by_parts(ctx, parts)? {
        return Ok((table.schema.0, index.0));
    }
    let quoted = parts.iter().map(|p| ast::Ident::with_quote('"', p)).collect::<Vec<_>>();
    Ok(match plan::resolve_relation(ctx, &ast::ObjectName::from(quoted))? {
        plan::Relation::Table(t) => (t.schema.0, t.id.0),
        plan::Relation::View(v) => (v.schema.0, v.id.0),
        plan::Relation::Sequence(s) => (s.schema.0, s.id.0),
        plan::Relation::System(schema, name) => {
            relation::find(schema, &name).map_or((PG_CATALOG.0, 0), |r| (r.schema_oid(), r.oid))
        }
    })
}
