//! `pg_settings`: the session's settings, from the one table of settings.

use arrow::array::RecordBatch;
use sightline_storage::error::Result;

use crate::catalog::relation::Relation;
use crate::catalog::rows::{Rows, Value};
use crate::plan::QueryContext;
use crate::settings::{Kind, Setting, Unit};

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
    for (setting, value) in ctx.settings.all() {
        let kind = Shape::of(setting);
        rows.push([
            setting.name.into(),
            value.to_string().into(),
            kind.unit.into(),
            setting.category.into(),
            setting.description.into(),
            (if setting.changeable { "user" } else { "internal" }).into(),
            kind.name.into(),
            (if value == setting.default { "default" } else { "session" }).into(),
            kind.min.into(),
            kind.max.into(),
            kind.words,
            setting.default.into(),
            ctx.settings.reset_value(setting.name).map(str::to_string).into(),
            false.into(),
        ]);
    }
    rows.finish()
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
            Kind::Real(min, max) => Shape { min: Some(min.to_string()), max: Some(max.to_string()), ..plain("real") },
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
        Unit::Kilobytes => Some("kB"),
        Unit::Pages => Some("8kB"),
    }
}
