//! Identifiers as types: a wrong one does not compile.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// A replication group: 0 is the meta group, 1 to 16 hold tenants.
    GroupId(u32)
);
id!(
    /// A tenant, which PostgreSQL clients see as a database; also its `pg_database.oid`.
    TenantId(u32)
);
id!(
    /// A schema; also its `pg_namespace.oid`.
    SchemaId(u32)
);
id!(
    /// A table; also its `pg_class.oid`. Unique within its tenant, never used again.
    TableId(u32)
);
id!(
    /// A view; also its `pg_class.oid`.
    ViewId(u32)
);
id!(
    /// An index; also its `pg_class.oid`.
    IndexId(u32)
);
id!(
    /// A type that a user has made; also its `pg_type.oid`.
    TypeId(u32)
);
id!(
    /// A sequence; also its `pg_class.oid`.
    SequenceId(u32)
);
id!(
    /// A role; also its `pg_roles.oid`. Operator roles and tenants' roles share one number space.
    RoleId(u32)
);
id!(
    /// A column of its table for ever, from 1; also its `pg_attribute.attnum`.
    ColumnId(u16)
);
id!(
    /// The position of an entry in its group's log, from 1.
    Index(u64)
);

/// The group of tenants, operator roles and id ranges.
pub const META_GROUP: GroupId = GroupId(0);
/// The first OID of what a tenant makes. Tenants and operator roles have the numbers from 16384 to here, so that a role of
/// a tenant and an operator role never share one.
pub const FIRST_TENANT_OID: u32 = 1 << 20;

impl RoleId {
    /// True for a role that all tenants know. The others are roles of one tenant: two tenants use the same numbers.
    pub fn is_operator(self) -> bool {
        self.0 < FIRST_TENANT_OID
    }
}

/// How many groups hold tenants.
pub const DATA_GROUPS: u32 = 16;
/// The superuser made when a data directory is made; PostgreSQL's bootstrap superuser has the same OID.
pub const SUPERUSER: RoleId = RoleId(10);
/// PostgreSQL's predefined role whose members may read files of the server.
pub const READ_SERVER_FILES: RoleId = RoleId(4569);
/// PostgreSQL's predefined role whose members may write files of the server.
pub const WRITE_SERVER_FILES: RoleId = RoleId(4570);
/// PostgreSQL's OID of `pg_catalog`.
pub const PG_CATALOG: SchemaId = SchemaId(11);
/// PostgreSQL's OID of `public`.
pub const PUBLIC_SCHEMA: SchemaId = SchemaId(2200);
/// The first OID given to something users make, as in PostgreSQL.
pub const FIRST_USER_OID: u32 = 16384;
