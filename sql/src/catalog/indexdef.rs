//! Definitions of indexes, keys and foreign keys as SQL text, in PostgreSQL's spelling
//! (<https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-INFO-CATALOG>).

use datafusion::sql::sqlparser::ast;
use sightline_functions::text::quote::quote_ident;
use sightline_storage::catalog::{ForeignKeyAction, ForeignKeyDef, IndexColumn, IndexDef, IndexKey, TableDef};
use sightline_storage::ids::ColumnId;
use sightline_storage::types::SqlType;

use super::{names, objects};
use crate::analysis;
use crate::parser;
use crate::plan::QueryContext;
use crate::statement::index::method;

/// `CREATE INDEX …`; `pretty` leaves out the schema where it goes without saying, and brackets.
pub(super) fn definition(ctx: &QueryContext, table: &TableDef, index: &IndexDef, pretty: bool) -> String {
    let of = if pretty {
        names::regclass_out(ctx, table.id.0)
    } else {
        let schema = objects::schema_name(ctx, table.schema.0).unwrap_or_default();
        format!("{}.{}", quote_ident(schema), quote_ident(&table.name))
    };
    let unique = if index.unique { "UNIQUE " } else { "" };
    let keys = index.columns.iter().map(|c| format!("{}{}", key(table, c, pretty), order(table, index, c)));
    let mut text = format!(
        "CREATE {unique}INDEX {} ON {of} USING {} ({})",
        quote_ident(&index.name),
        index.method,
        keys.collect::<Vec<_>>().join(", ")
    );
    if !index.include.is_empty() {
        text.push_str(&format!(" INCLUDE ({})", columns(table, &index.include)));
    }
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if !index.options.is_empty() {
        let options = index.options.iter().map(|(name, value)| {
            let plain = value.starts_with(|c: char| c.is_ascii_lowercase()) && quote_ident(value) == value.as_str();
            if plain { format!("{name}={value}") } else { format!("{name}='{}'", value.replace('\'', "''")) }
        });
        text.push_str(&format!(" WITH ({})", options.collect::<Vec<_>>().join(", ")));
    }
    if let Some(predicate) = &index.predicate {
        text.push_str(&format!(" WHERE {}", expression(table, predicate, pretty)));
    }
    text
}

/// One column of the index, from 0, without what is said of it.
pub(super) fn part(table: &TableDef, index: &IndexDef, at: usize, pretty: bool) -> Option<String> {
    match index.columns.get(at) {
        Some(column) => Some(key(table, column, pretty)),
        None => index.include.get(at - index.columns.len()).map(|id| column(table, *id)),
    }
}

/// The key as messages about its values name it: `a, lower(b)`.
pub(crate) fn keys(_ctx: &QueryContext, table: &TableDef, index: &IndexDef) -> String {
    index.columns.iter().map(|c| key(table, c, true)).collect::<Vec<_>>().join(", ")
}

fn key(table: &TableDef, column: &IndexColumn, pretty: bool) -> String {
    match &column.key {
        IndexKey::Column(id) => self::column(table, *id),
        IndexKey::Expression { sql, .. } if is_call(table, sql) => expression(table, sql, pretty),
        IndexKey::Expression { sql, .. } => format!("({})", expression(table, sql, pretty)),
    }
}

/// Whether the expression looks like a function's call, which stands without brackets.
fn is_call(table: &TableDef, sql: &str) -> bool {
    let Ok(expr) = parser::parse_expr(sql) else { return false };
    analysis::is_call(&expr, &names_and_types(table)).unwrap_or(matches!(expr, ast::Expr::Function(_)))
}

/// An expression over a table as PostgreSQL prints it; if it cannot be told, as it was written, in brackets if it is more than
/// a name or a call.
pub(super) fn expression(table: &TableDef, sql: &str, pretty: bool) -> String {
    let parsed = parser::parse_expr(sql);
    if let Some(text) = parsed.as_ref().ok().and_then(|e| analysis::printed(e, &names_and_types(table), pretty)) {
        return text;
    }
    let simple = matches!(
        parsed,
        Ok(ast::Expr::Function(_) | ast::Expr::Identifier(_) | ast::Expr::Value(_) | ast::Expr::Nested(_))
    );
    if pretty || simple { sql.to_string() } else { format!("({sql})") }
}

fn names_and_types(table: &TableDef) -> Vec<(String, SqlType)> {
    table.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect()
}

/// COLLATE, operator class and order, as far as they are not the default.
fn order(table: &TableDef, index: &IndexDef, column: &IndexColumn) -> String {
    let mut text = String::new();
    if let Some(collation) = &column.collation {
        let bare = collation.trim_start_matches("pg_catalog.").trim_matches('"');
        if bare != "default" {
            text.push_str(&format!(" COLLATE {}", quote_ident(bare)));
        }
    }
    let ty = match &column.key {
        IndexKey::Column(id) => table.column_by_id(*id).map(|c| c.ty.clone()).unwrap_or(SqlType::Unknown),
        IndexKey::Expression { ty, .. } => ty.clone(),
    };
    if let Some(class) = column.opclass.as_deref().filter(|class| !method::is_default(class, &ty)) {
        text.push_str(&format!(" {class}"));
    }
    if index.method == "btree" {
        text.push_str(match (column.descending, column.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
    }
    text
}

fn column(table: &TableDef, id: ColumnId) -> String {
    table.column_by_id(id).map(|c| quote_ident(&c.name).into_owned()).unwrap_or_default()
}

fn columns(table: &TableDef, ids: &[ColumnId]) -> String {
    ids.iter().map(|id| column(table, *id)).collect::<Vec<_>>().join(", ")
}

/// `PRIMARY KEY (a)` or `UNIQUE (a)` of an index's constraint.
pub(super) fn constraint(table: &TableDef, index: &IndexDef) -> String {
    let kind = match (index.is_primary(), index.nulls_not_distinct) {
        (true, _) => "PRIMARY KEY",
        (false, false) => "UNIQUE",
        (false, true) => "UNIQUE NULLS NOT DISTINCT",
    };
    let keys = columns(table, &index.key_columns().unwrap_or_default());
    match index.include.as_slice() {
        [] => format!("{kind} ({keys})"),
        include => format!("{kind} ({keys}) INCLUDE ({})", columns(table, include)),
    }
}

/// `FOREIGN KEY (a) REFERENCES t(b) …`.
pub(super) fn foreign_key(ctx: &QueryContext, table: &TableDef, key: &ForeignKeyDef) -> String {
    let to = ctx.snapshot.catalog.table(key.references);
    let referenced = to.map(|t| columns(t, &key.referenced)).unwrap_or_default();
    let of = names::regclass_out(ctx, key.references.0);
    let mut text = format!("FOREIGN KEY ({}) REFERENCES {of}({referenced})", columns(table, &key.columns));
    if key.match_full {
        text.push_str(" MATCH FULL");
    }
    for (when, done) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if let Some(action) = action(done) {
            text.push_str(&format!(" ON {when} {action}"));
        }
    }
    if !key.set_columns.is_empty() {
        text.push_str(&format!(" ({})", columns(table, &key.set_columns)));
    }
    for (said, words) in
        [(key.deferrable, " DEFERRABLE"), (key.deferred, " INITIALLY DEFERRED"), (!key.validated, " NOT VALID")]
    {
        if said {
            text.push_str(words);
        }
    }
    text
}

/// An action's words; none for the default.
fn action(action: ForeignKeyAction) -> Option<&'static str> {
    match action {
        ForeignKeyAction::NoAction => None,
        ForeignKeyAction::Restrict => Some("RESTRICT"),
        ForeignKeyAction::Cascade => Some("CASCADE"),
        ForeignKeyAction::SetNull => Some("SET NULL"),
        ForeignKeyAction::SetDefault => Some("SET DEFAULT"),
    }
}
