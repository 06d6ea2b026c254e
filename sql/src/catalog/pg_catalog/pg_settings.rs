//! `pg_settings`: the session's settings, from the one table of settings.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;
use crate::settings::{self, Context, Kind, Setting, Unit};

pub(super) fn build(ctx: &QueryContext, relation: &'static Relation) -> Result<RecordBatch> {
    let mut rows = Rows::new(
        relation,
        [
            "name",
            "setting",
            "unit",
            "category",
            "short_desc",
            "context",
            "vartype",
            "source",
            "min_val",
            "max_val",
            "enumvals",
            "boot_val",
            "reset_val",
            "pending_restart",
        ],
    );
    // PostgreSQL keeps these two to SHOW.
    let hidden = ["is_superuser", "session_authorization"];
    for (setting, value) in ctx.settings.all().filter(|(s, _)| !hidden.contains(&s.name)) {
        let reset = ctx.settings.reset_value(setting.name).unwrap_or_default();
        let kind = Shape::of(setting);
        rows.push([
            setting.name.into(),
            settings::in_unit(setting, value).into(),
            kind.unit.into(),
            setting.category.into(),
            setting.description.into(),
            context(setting.context).into(),
            kind.name.into(),
            source(setting, value, reset).into(),
            kind.min.into(),
            kind.max.into(),
            kind.words,
            settings::in_unit(setting, setting.default).into(),
            settings::in_unit(setting, reset).into(),
            false.into(),
        ]);
    }
    rows.finish()
}

fn context(context: Context) -> &'static str {
    match context {
        Context::Internal => "internal",
        Context::Postmaster => "postmaster",
        Context::Superuser => "superuser",
        Context::User => "user",
    }
}

/// Where the present value comes from.
fn source(setting: &Setting, value: &str, reset: &str) -> &'static str {
    let same = |a: &str, b: &str| settings::in_unit(setting, a) == settings::in_unit(setting, b);
    match setting.context {
        _ if !same(value, reset) => "session",
        _ if same(reset, setting.default) => "default",
        Context::Internal => "override",
        Context::Postmaster => "configuration file",
        Context::Superuser | Context::User => "client",
    }
}

/// A kind in the words of `pg_settings`.
struct Shape {
    name: &'static str,
    unit: Option<&'static str>,
    min: Option<String>,
    max: Option<String>,
    words: Value,
}

impl Shape {
    fn of(setting: &Setting) -> Shape {
        let plain = |name| Shape { name, unit: None, min: None, max: None, words: Value::Null };
        match setting.kind {
            Kind::Bool => plain("bool"),
            Kind::Integer(min, max, unit) => Shape {
                unit: unit_name(unit),
                min: Some(min.to_string()),
                max: Some(max.to_string()),
                ..plain("integer")
            },
            Kind::Real(min, max, unit) => Shape {
                unit: unit_name(unit),
                min: Some(settings::significant(min)),
                max: Some(settings::significant(max)),
                ..plain("real")
            },
            Kind::Enum(words) => Shape { words: words.to_vec().into(), ..plain("enum") },
            Kind::Text | Kind::Names | Kind::TimeZone | Kind::DateStyle | Kind::Encoding | Kind::ApplicationName => {
                plain("string")
            }
        }
    }
}

fn unit_name(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::None => None,
        Unit::Milliseconds => Some("ms"),
        Unit::Seconds => Some("s"),
        Unit::Bytes => Some("B"),
        Unit::Kilobytes => Some("kB"),
        Unit::Pages => Some("8kB"),
    }
}
