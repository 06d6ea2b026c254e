//! `pg_type`: PostgreSQL's built-in types with their OIDs (`types.tsv`). Clients decode by OID, so that types we do not
//! have are listed as well; no column can have one.

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::catalog::{TypeBody, TypeDef};
use sightline_storage::error::{Error, Result};
use sightline_storage::ids::{PG_CATALOG, SUPERUSER};
use sightline_storage::types::{Precise, SqlType, TypeName};

use crate::catalog::names;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::{QueryContext, user_type};

const TYPES: &str = include_str!("types.tsv");

/// One built-in type; fields as in `pg_type`.
#[derive(Debug)]
pub(in crate::catalog) struct Type {
    pub(in crate::catalog) oid: u32,
    pub(in crate::catalog) name: &'static str,
    len: i16,
    pub(super) by_value: bool,
    kind: &'static str,
    pub(in crate::catalog) category: &'static str,
    pub(in crate::catalog) preferred: bool,
    delimiter: &'static str,
    subscript: u32,
    pub(in crate::catalog) item: u32,
    pub(in crate::catalog) array: u32,
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

impl Type {
    /// int2vector and oidvector have elements too, but names of their own: their storage tells them apart.
    pub(in crate::catalog) fn is_array(&self) -> bool {
        self.item != 0 && self.category == "A" && self.storage != "p"
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
    if ty.is_array() {
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

/// As [`format`], also of types that users have made: with the schema if the search does not find the type without.
pub(in crate::catalog) fn format_in(ctx: &QueryContext, oid: u32, typmod: Option<i32>) -> Option<String> {
    let Some(def) = ctx.snapshot.catalog.types.values().find(|t| t.id.0 == oid || t.array.0 == oid) else {
        return match TypeName::relation_of_rows(oid) {
            Some((relation, false)) => Some(names::regclass_out(ctx, relation)),
            Some((relation, true)) => Some(format!("{}[]", names::regclass_out(ctx, relation))),
            None => format(oid, typmod),
        };
    };
    let mut name = quote_ident(&def.name).into_owned();
    if !is_visible(ctx, def)
        && let Some(schema) = ctx.snapshot.catalog.schema(def.schema)
    {
        name = format!("{}.{name}", quote_ident(&schema.name));
    }
    Some(if def.id.0 == oid { name } else { format!("{name}[]") })
}

/// Whether the type is found by its bare name.
pub(in crate::catalog) fn is_visible(ctx: &QueryContext, def: &TypeDef) -> bool {
    let name = ast::ObjectName::from(vec![ast::Ident::with_quote('"', &def.name)]);
    user_type(ctx, &name).is_ok_and(|found| found.id == def.id)
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

/// `pg_proc.oid` of the function that subscripts arrays.
const ARRAY_SUBSCRIPT_HANDLER: u32 = 6179;

/// A type that a user has made, or its array, as a row.
struct UserType<'a> {
    def: &'a TypeDef,
    array: bool,
}

impl UserType<'_> {
    fn row(&self, ty: &SqlType) -> [Value; 26] {
        let base = match ty {
            SqlType::Domain(d) if !self.array => by_oid(d.base.base().oid()),
            _ => None,
        };
        // `typinput`, `typoutput`, `typreceive`, `typsend`, `typmodin`, `typmodout`, `typanalyze` by OID.
        let mut functions = match (&self.def.body, self.array) {
            (_, true) => [750, 751, 2400, 2401, 0, 0, 3816],
            (TypeBody::Enum(_), _) => [3506, 3507, 3532, 3533, 0, 0, 0],
            (TypeBody::Domain(_), _) => [2597, 0, 2598, 0, 0, 0, 0],
            (TypeBody::Composite(_), _) => [2290, 2291, 2402, 2403, 0, 0, 0],
        };
        if let Some(base) = base {
            (functions[1], functions[3]) = (base.functions[1], base.functions[3]);
        }
        let [input, output, receive, send, modin, modout, analyze] = functions;
        let (kind, category) = match (&self.def.body, self.array) {
            (_, true) => ("b", "A"),
            (TypeBody::Enum(_), _) => ("e", "E"),
            (TypeBody::Domain(_), _) => ("d", base.map_or("U", |b| b.category)),
            (TypeBody::Composite(_), _) => ("c", "C"),
        };
        let by_value = !self.array && (matches!(ty, SqlType::Enum(_)) || base.is_some_and(|b| b.by_value));
        let align = if matches!(self.def.body, TypeBody::Composite(_)) { "d" } else { base.map_or("i", |b| b.align) };
        let storage = if matches!(ty, SqlType::Enum(_)) && !self.array { "p" } else { base.map_or("x", |b| b.storage) };
        let domain = match (&self.def.body, self.array) {
            (TypeBody::Domain(d), false) => Some(d),
            _ => None,
        };
        let typmod = domain.map_or(-1, |d| d.base.typmod());
        let (oid, name, length, item, array) = match self.array {
            true => (self.def.array.0, format!("_{}", self.def.name), -1, self.def.id.0, 0),
            false => (self.def.id.0, self.def.name.clone(), ty.typlen(), 0, self.def.array.0),
        };
        [
            oid.into(),
            name.into(),
            self.def.schema.0.into(),
            self.def.owner.0.into(),
            length.into(),
            by_value.into(),
            kind.into(),
            category.into(),
            false.into(),
            true.into(),
            ",".into(),
            (if self.array { ARRAY_SUBSCRIPT_HANDLER } else { 0 }).into(),
            item.into(),
            array.into(),
            input.into(),
            output.into(),
            receive.into(),
            send.into(),
            modin.into(),
            modout.into(),
            analyze.into(),
            align.into(),
            storage.into(),
            typmod.into(),
            base.map_or(0, |b| b.collation).into(),
            domain.map_or(0, |d| d.base.oid()).into(),
        ]
    }
}

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
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
            "typbasetype",
            "typnotnull",
            "typdefault",
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
            0.into(),
            false.into(),
            Value::Null,
        ]);
    }
    let catalog = &ctx.snapshot.catalog;
    for def in catalog.types.values() {
        let ty = catalog.sql_type(def);
        let (not_null, default) = match &def.body {
            TypeBody::Domain(d) => (d.not_null, d.default.clone().into()),
            _ => (false, Value::Null),
        };
        for (array, not_null, default) in [(false, not_null, default), (true, false, Value::Null)] {
            let mut row = UserType { def, array }.row(&ty).to_vec();
            row.extend([not_null.into(), default]);
            let row = <[Value; 28]>::try_from(row).map_err(|_| Error::internal("a row of pg_type is too short"))?;
            rows.push(row);
        }
    }
    rows.finish()
}

/// The functions that read and print the types.
pub(super) fn function_oids() -> impl Iterator<Item = u32> {
    all().iter().flat_map(|t| t.functions)
}
