//! `pg_proc`: the functions that can be called. PostgreSQL's own have its rows and OIDs (`functions.tsv`), shown only if
//! we have a function of that name; ours beyond it have OIDs made of their names.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::error::Result;
use sightline_storage::ids::{PG_CATALOG, SUPERUSER};

use super::pg_language;
use super::pg_type;
use crate::catalog::functions;
use crate::catalog::objects::derived_oid;
use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;

const FUNCTIONS: &str = include_str!("functions.tsv");
/// `pg_type.oid` of `"any"` and `anyelement`: all that is known of the types of functions PostgreSQL has not.
const ANY: u32 = 2276;
const ANYELEMENT: u32 = 2283;

/// One function; fields as in `pg_proc`.
#[derive(Debug)]
pub(in crate::catalog) struct Function {
    pub(in crate::catalog) oid: u32,
    pub(in crate::catalog) name: Cow<'static, str>,
    kind: &'static str,
    volatile: &'static str,
    parallel: &'static str,
    strict: bool,
    set: bool,
    result: u32,
    defaults: i16,
    variadic: u32,
    arguments: Vec<u32>,
    names: Vec<&'static str>,
    source: Cow<'static, str>,
}

impl Function {
    fn parse(line: &'static str) -> Option<Function> {
        let f = line.split('\t').collect::<Vec<_>>();
        let text = |i: usize| f.get(i).copied();
        let list = |i: usize| text(i).map(|t| if t == "-" { vec![] } else { t.split(' ').collect::<Vec<_>>() });
        Some(Function {
            oid: text(0)?.parse().ok()?,
            name: Cow::Borrowed(text(1)?),
            kind: text(2)?,
            volatile: text(3)?,
            parallel: text(4)?,
            strict: text(5)? == "t",
            set: text(6)? == "t",
            result: text(7)?.parse().ok()?,
            defaults: text(9)?.parse().ok()?,
            variadic: text(10)?.parse().ok()?,
            arguments: list(11)?.iter().map(|t| t.parse().ok()).collect::<Option<Vec<_>>>()?,
            names: list(12)?,
            source: Cow::Borrowed(text(13)?),
        })
    }

    fn own(name: String, kind: &'static str) -> Function {
        Function {
            oid: derived_oid("function", 0, &name),
            source: Cow::Owned(name.clone()),
            name: Cow::Owned(name),
            kind,
            volatile: "s",
            parallel: "s",
            strict: false,
            set: false,
            result: ANYELEMENT,
            defaults: 0,
            variadic: ANY,
            arguments: vec![ANY],
            names: vec![],
        }
    }

    /// `pg_get_function_arguments`.
    pub(in crate::catalog) fn arguments(&self) -> String {
        let last = self.arguments.len().saturating_sub(1);
        let one = |(i, oid): (usize, &u32)| {
            let ty = pg_type::format(*oid, None).unwrap_or_else(|| oid.to_string());
            let name = self.names.get(i).filter(|n| !n.is_empty());
            let variadic = if self.variadic != 0 && i == last { "VARIADIC " } else { "" };
            match name {
                Some(name) => format!("{variadic}{} {ty}", quote_ident(name)),
                None => format!("{variadic}{ty}"),
            }
        };
        self.arguments.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    /// `pg_get_function_result`.
    pub(in crate::catalog) fn result(&self) -> String {
        let ty = pg_type::format(self.result, None).unwrap_or_else(|| self.result.to_string());
        if self.set { format!("SETOF {ty}") } else { ty }
    }
}

/// The names of all functions that can be called, with their kind (`f`, `a`, `w`).
fn callable() -> BTreeMap<String, &'static str> {
    use datafusion::{functions as scalar, functions_aggregate, functions_nested, functions_window};
    let mut names = BTreeMap::new();
    for f in functions_window::all_default_window_functions() {
        names.insert(f.name().to_string(), "w");
    }
    for f in functions_aggregate::all_default_aggregate_functions()
        .into_iter()
        .chain(sightline_functions::register_all_aggregates())
    {
        names.extend(f.aliases().iter().map(|a| (a.clone(), "a")));
        names.insert(f.name().to_string(), "a");
    }
    let scalars = scalar::all_default_functions()
        .into_iter()
        .chain(functions_nested::all_default_nested_functions())
        .chain(sightline_functions::register_all());
    for f in scalars {
        names.extend(f.aliases().iter().map(|a| (a.clone(), "f")));
        names.insert(f.name().to_string(), "f");
    }
    let session = ["clock_timestamp", "transaction_timestamp", "statement_timestamp", "generate_series"];
    names.extend(
        functions::names()
            .chain(session)
            .chain(crate::plan::SLEEPS)
            .chain(crate::plan::SEQUENCE_FUNCTIONS)
            .map(|n| (n.to_string(), "f")),
    );
    names
}

/// Whether there are functions of this name, and none of them is immutable.
pub(in crate::catalog) fn is_never_immutable(name: &str) -> bool {
    let mut named = ALL.iter().filter(|f| f.name == name && f.kind == "f").peekable();
    named.peek().is_some() && named.all(|f| f.volatile != "i")
}

static ALL: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let mut callable = callable();
    let parsed = FUNCTIONS.lines().map(Function::parse).collect::<Option<Vec<_>>>();
    let mut all = parsed.expect("functions.tsv is checked by a test");
    let of_types = pg_type::function_oids().collect::<HashSet<_>>();
    all.retain(|f| callable.contains_key(f.name.as_ref()) || of_types.contains(&f.oid));
    for f in &all {
        callable.remove(f.name.as_ref());
    }
    // The planner's own names for casts are no functions for people.
    callable.retain(|name, _| !name.starts_with("reg") || !(name.ends_with("_in") || name.ends_with("_out")));
    all.extend(callable.into_iter().map(|(name, kind)| Function::own(name, kind)));
    all
});

static BY_OID: LazyLock<HashMap<u32, &'static Function>> = LazyLock::new(|| ALL.iter().map(|f| (f.oid, f)).collect());

/// All functions.
pub(in crate::catalog) fn all() -> &'static [Function] {
    &ALL
}

/// The function with this OID.
pub(in crate::catalog) fn by_oid(oid: u32) -> Option<&'static Function> {
    BY_OID.get(&oid).copied()
}

pub(super) fn build(_ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "oid",
            "proname",
            "pronamespace",
            "proowner",
            "prolang",
            "procost",
            "provariadic",
            "prokind",
            "proisstrict",
            "proretset",
            "provolatile",
            "proparallel",
            "pronargs",
            "pronargdefaults",
            "prorettype",
            "proargtypes",
            "proargnames",
            "prosrc",
        ],
    );
    for f in all() {
        let names = f.names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        rows.push([
            f.oid.into(),
            f.name.to_string().into(),
            PG_CATALOG.0.into(),
            SUPERUSER.0.into(),
            pg_language::INTERNAL.into(),
            Value::Float(1.0),
            f.variadic.into(),
            f.kind.into(),
            f.strict.into(),
            f.set.into(),
            f.volatile.into(),
            f.parallel.into(),
            i64::try_from(f.arguments.len()).unwrap_or_default().into(),
            f.defaults.into(),
            f.result.into(),
            f.arguments.clone().into(),
            (!names.is_empty()).then_some(names).into(),
            f.source.to_string().into(),
        ]);
    }
    rows.finish()
}
