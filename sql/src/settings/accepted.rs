//! Settings of PostgreSQL that are taken, checked and shown, and change nothing here: clients and scripts set them.
//!
//! The file beside this one has them as PostgreSQL 15's `pg_settings` does: name, context, vartype, unit, boot_val, min_val,
//! max_val, enumvals, category, short_desc.

use std::sync::LazyLock;

use super::{Context, Kind, Setting, Unit};

/// All of them, in the order of the file.
pub(super) static SETTINGS: LazyLock<Vec<Setting>> =
    LazyLock::new(|| include_str!("accepted.tsv").lines().filter_map(setting).collect());

fn setting(line: &'static str) -> Option<Setting> {
    let fields = line.split('\t').collect::<Vec<_>>();
    let [name, context, kind, unit, default, min, max, words, category, description] = fields[..] else {
        return None;
    };
    let context = match context {
        "internal" => Context::Internal,
        "postmaster" => Context::Postmaster,
        "superuser" => Context::Superuser,
        _ => Context::User,
    };
    let unit = match unit {
        "ms" => Unit::Milliseconds,
        "s" => Unit::Seconds,
        "B" => Unit::Bytes,
        "kB" => Unit::Kilobytes,
        "8kB" => Unit::Pages,
        _ => Unit::None,
    };
    let kind = match kind {
        "bool" => Kind::Bool,
        "integer" => Kind::Integer(min.parse().ok()?, max.parse().ok()?, unit),
        "real" => Kind::Real(min.parse().ok()?, max.parse().ok()?, unit),
        "enum" => Kind::Enum(words.split(',').collect::<Vec<_>>().leak()),
        _ => Kind::Text,
    };
    Some(Setting { name, kind, default, reported: false, context, effect: false, category, description })
}
