//! The page `docs/settings.md`, made of the table of settings; a test fails when it is stale.

use std::fmt::Write;

use super::{Context, Kind, Setting, all, significant, value};

const HEAD: &str = "\
# Settings of a session

Made of the table in `sql/src/settings`; do not edit: `UPDATE_DOCS=1 ./dev test` writes it anew. `SET`, `SET LOCAL`, `RESET`, `SHOW`, \
`set_config`, `current_setting` and `pg_settings` know these names, with PostgreSQL 15's values, units and ranges. Names with a \
dot, as `myapp.user`, can be made up freely. A node's own settings are in `server/config.toml`.
";

/// The page.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    let mut settings = all().to_vec();
    settings.sort_by_key(|s| s.name.to_lowercase());
    section(&mut page, "## What changes something", settings.iter().filter(|s| s.effect && may_set(s)));
    section(&mut page, "## What can only be read", settings.iter().filter(|s| !may_set(s)));
    section(
        &mut page,
        "## What is taken and changes nothing\n\nScripts and clients set these for PostgreSQL's planner, storage or log.",
        settings.iter().filter(|s| !s.effect && may_set(s)),
    );
    page
}

fn may_set(setting: &Setting) -> bool {
    matches!(setting.context, Context::User | Context::Superuser)
}

fn section<'a>(page: &mut String, head: &str, settings: impl Iterator<Item = &'a &'static Setting>) {
    let _ = write!(page, "\n{head}\n\n| name | default | values | |\n|---|---|---|---|\n");
    for s in settings {
        let default = value::initial(s);
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _ = writeln!(page, "| `{}` | {default} | {} | {} |", s.name, values(s), s.description.replace('|', "\\|"));
    }
}

fn values(setting: &Setting) -> String {
    match setting.kind {
        Kind::Bool => "on, off".to_string(),
        Kind::Integer(min, max, unit) => format!("{min} to {max}{}", unit.suffix()),
        Kind::Real(min, max, unit) => format!("{} to {}{}", significant(min), significant(max), unit.suffix()),
        Kind::Enum(words) => words.join(", "),
        _ => "text".to_string(),
    }
}
