//! `pg_type`: PostgreSQL's built-in types with their OIDs (`types.tsv`). Clients decode by OID, so that types we do not
//! have are listed as well; no column can have one.

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use sightline_storage::error::Result;
use sightline_storage::ids::{PG_CATALOG, SUPERUSER};
use sightline_storage::types::{Precise, SqlType};

use crate::catalog::relation::Relation;
use crate::catalog::rows::Rows;
use crate::plan::QueryContext;

const TYPES: &str = include_str!("types.tsv");

/// One built-in type; fields as in `pg_type`.
#[derive(Debug)]
pub(in crate::catalog) struct Type {
    pub(in crate::catalog) oid: u32,
    pub(in crate::catalog) name: &'static str,
    len: i16,
    pub(super) by_value: bool,
    kind: &'static str,
    category: &'static str,
    preferred: bool,
    delimiter: &'static str,
    subscript: u32,
    pub(in crate::catalog) item: u32,
    array: u32,
    /// `typinput`, `typoutput`, `typreceive`, `typsend`, `typmodin`, `typmodout`, `typanalyze`.
    functions: [u32; 7],
    pub(super) align: &'static str,
    pub(super) storage: &'static str,
    pub(super) collation: u32,
}

impl Type {
    fn parse(line: &'static str) -> Option<Type> {
        let f = line.split('\t').collect::<Vec<_>>();
        let text = |i: usize| f.get(i).copied();
        let oid = |i: usize| text(i)?.parse::<u32>().ok();
        Some(Type {
            oid: oid(0)?,
            name: text(1)?,
            len: text(2)?.parse().ok()?,
            by_value: text(3)? == "t",
            kind: text(4)?,
            category: text(5)?,
            preferred: text(6)? == "t",
            delimiter: text(7)?,
            subscript: oid(8)?,
            item: oid(9)?,
            array: oid(10)?,
            functions: [oid(11)?, oid(12)?, oid(13)?, oid(14)?, oid(15)?, oid(16)?, oid(17)?],
            align: text(18)?,
            storage: text(19)?,
            collation: oid(20)?,
        })
    }
}

static ALL: LazyLock<Vec<Type>> = LazyLock::new(|| {
    TYPES.lines().map(Type::parse).collect::<Option<Vec<_>>>().expect("types.tsv is checked by a test")
});

/// All built-in types, by OID.
pub(in crate::catalog) fn all() -> &'static [Type] {
    &ALL
}

/// The type with this OID.
pub(in crate::catalog) fn by_oid(oid: u32) -> Option<&'static Type> {
    ALL.binary_search_by_key(&oid, |t| t.oid).ok().map(|i| &ALL[i])
}

/// The OID of the type with this internal name, e.g. `int4` or `_text`.
pub(in crate::catalog) fn oid_by_name(name: &str) -> Option<u32> {
    // "char" is a type of its own; without quotes SQL means character(1).
    if name == "char" {
        return None;
    }
    ALL.iter().find(|t| t.name == name).map(|t| t.oid)
}

/// `format_type`: the type as SQL writes it. The modifier is none for SQL NULL. None if there is no such type.
pub(in crate::catalog) fn format(oid: u32, typmod: Option<i32>) -> Option<String> {
    let ty = by_oid(oid)?;
    // int2vector and oidvector are arrays too, but have names of their own: their storage tells them apart.
    if ty.item != 0 && ty.category == "A" && ty.storage != "p" {
        return format(ty.item, typmod).map(|item| format!("{item}[]"));
    }
    let modifier = typmod.filter(|m| *m >= 4).map(|m| m - 4);
    Some(match (SqlType::from_oid(oid), modifier) {
        (Some(SqlType::Char(_)), Some(n)) => format!("character({n})"),
        (Some(SqlType::Char(_)), None) => if typmod.is_some() { "bpchar" } else { "character" }.to_string(),
        (Some(SqlType::Varchar(_)), Some(n)) => format!("character varying({n})"),
        (Some(SqlType::Numeric(_)), Some(m)) => format!("numeric({},{})", (m >> 16) & 0xffff, scale(m)),
        (Some(known), _) => match typmod.and_then(|m| Precise::of_typmod(&known, m)) {
            Some(precise) => precise.to_string(),
            None => known.to_string(),
        },
        (None, _) => spelled(ty.name).to_string(),
    })
}

/// The scale in a modifier of numeric: 11 bits with a sign.
fn scale(modifier: i32) -> i32 {
    ((modifier & 0x7ff) ^ 1024) - 1024
}

/// The names of SQL for types that we only list.
fn spelled(name: &'static str) -> &'static str {
    match name {
        "timetz" => "time with time zone",
        "varbit" => "bit varying",
        "any" => "\"any\"",
        other => other,
    }
}

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "oid",
            "typname",
            "typnamespace",
            "typowner",
            "typlen",
            "typbyval",
            "typtype",
            "typcategory",
            "typispreferred",
            "typisdefined",
            "typdelim",
            "typsubscript",
            "typelem",
            "typarray",
            "typinput",
            "typoutput",
            "typreceive",
            "typsend",
            "typmodin",
            "typmodout",
            "typanalyze",
            "typalign",
            "typstorage",
            "typtypmod",
            "typcollation",
        ],
    );
    for t in all() {
        let [input, output, receive, send, modin, modout, analyze] = t.functions;
        rows.push([
            t.oid.into(),
            t.name.into(),
            PG_CATALOG.0.into(),
            SUPERUSER.0.into(),
            t.len.into(),
            t.by_value.into(),
            t.kind.into(),
            t.category.into(),
            t.preferred.into(),
            true.into(),
            t.delimiter.into(),
            t.subscript.into(),
            t.item.into(),
            t.array.into(),
            input.into(),
            output.into(),
            receive.into(),
            send.into(),
            modin.into(),
            modout.into(),
            analyze.into(),
            t.align.into(),
            t.storage.into(),
            (-1).into(),
            t.collation.into(),
        ]);
    }
    rows.finish()
}

/// The functions that read and print the types.
pub(super) fn function_oids() -> impl Iterator<Item = u32> {
    all().iter().flat_map(|t| t.functions)
}
