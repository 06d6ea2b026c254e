//! The shape of every relation of the system: name, OID, columns, and what builds its rows.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Schema, SchemaRef};
use sightline_storage::ids::PG_CATALOG;
use sightline_storage::types::{RegKind, SqlType};

use super::{Build, information_schema, pg_catalog, system};

/// `pg_namespace.oid` of `information_schema`. PostgreSQL gives it out when a cluster is made; ours is fixed.
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13207;
/// `pg_namespace.oid` of `sys`, below what users' objects get.
pub(super) const SYS_OID: u32 = 15000;

/// PostgreSQL 15's relations: OID, schema, name, kind and `name:type` of each column with `!` where NOT NULL.
const POSTGRES: &str = include_str!("pg_catalog/relations.tsv");

/// One relation of the system.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    /// `pg_class.relkind`: `r` or `v`.
    pub(super) kind: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) arrow: SchemaRef,
    /// None: always empty.
    pub(super) build: Option<Build>,
}

/// One column of a relation of the system; its `attnum` is its position from 1.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) ty: SqlType,
    pub(super) not_null: bool,
    /// An `int2vector` or `oidvector`: an array that leaves as its items with blanks between them.
    pub(super) vector: bool,
}

impl Relation {
    fn parse(line: &'static str, build: impl Fn(&str, &str) -> Option<Build>) -> Option<Relation> {
        let mut fields = line.split('\t');
        let oid = fields.next()?.parse().ok()?;
        let (schema, name, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let columns = fields.next()?.split(' ').map(Column::parse).collect::<Option<Vec<_>>>()?;
        let arrow = Arc::new(Schema::new(columns.iter().map(|c| c.ty.field(c.name, true)).collect::<Vec<_>>()));
        Some(Relation { oid, schema, name, kind, columns, arrow, build: build(schema, name) })
    }

    /// `pg_namespace.oid` of its schema.
    pub(super) fn schema_oid(&self) -> u32 {
        match self.schema {
            "pg_catalog" => PG_CATALOG.0,
            "information_schema" => INFORMATION_SCHEMA_OID,
            _ => SYS_OID,
        }
    }
}

impl Column {
    fn parse(text: &'static str) -> Option<Column> {
        let (name, ty) = text.split_once(':')?;
        let (ty, not_null) = match ty.strip_suffix('!') {
            Some(ty) => (ty, true),
            None => (ty, false),
        };
        Some(Column { name, ty: type_by_name(ty), not_null, vector: ty.ends_with("vector") && !ty.starts_with('_') })
    }
}

/// Our type for a `pg_type.typname` of a catalog column. Types of PostgreSQL's innards (expression trees, access
/// lists, log positions) are text, as they are when printed; transaction ids are numbers.
fn type_by_name(name: &str) -> SqlType {
    if let Some(item) = name.strip_prefix('_') {
        return SqlType::Array(Box::new(type_by_name(item)));
    }
    match name {
        "bool" => SqlType::Boolean,
        "int2" => SqlType::SmallInt,
        "int4" => SqlType::Integer,
        "int8" => SqlType::BigInt,
        "float4" => SqlType::Real,
        "float8" => SqlType::Double,
        "numeric" => SqlType::Numeric(None),
        "bytea" => SqlType::Bytea,
        "timestamptz" => SqlType::TimestampTz,
        "interval" => SqlType::Interval,
        "oid" | "xid" | "cid" => SqlType::Oid,
        "regproc" => SqlType::Reg(RegKind::Proc),
        "regtype" => SqlType::Reg(RegKind::Type),
        "name" => SqlType::Name,
        "char" => SqlType::InternalChar,
        "varchar" => SqlType::Varchar(None),
        "int2vector" => SqlType::Array(Box::new(SqlType::SmallInt)),
        "oidvector" => SqlType::Array(Box::new(SqlType::Oid)),
        _ => SqlType::Text,
    }
}

static ALL: LazyLock<Vec<Relation>> = LazyLock::new(|| {
    let postgres = POSTGRES.lines().map(|line| {
        Relation::parse(line, |schema, name| match schema {
            "pg_catalog" => pg_catalog::builder(name),
            _ => information_schema::builder(name),
        })
    });
    let own = system::RELATIONS.iter().map(|(line, build)| Relation::parse(line, |_, _| Some(*build)));
    postgres.chain(own).collect::<Option<Vec<_>>>().expect("the files of the relations are checked by a test")
});

static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), &'static Relation>> =
    LazyLock::new(|| ALL.iter().map(|r| ((r.schema, r.name), r)).collect());

/// All relations of the system.
pub(super) fn all() -> &'static [Relation] {
    &ALL
}

/// The relation with this schema and name.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static Relation> {
    BY_NAME.get(&(schema, name)).copied()
}

/// The relation with this OID.
pub(super) fn by_oid(oid: u32) -> Option<&'static Relation> {
    ALL.iter().find(|r| r.oid == oid)
}
