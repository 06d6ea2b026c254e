//! `current_setting`, and sessions by their process id.

use sightline_storage::error::{Error, Result, SqlState};

use super::{Arg, Function, returns};
use crate::catalog::rows::Value;
use crate::plan::QueryContext;
use crate::settings::Settings;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("current_setting", &[Arg::Text, Arg::Bool], returns::text, current_setting).required(1),
    Function::new("set_config", &[Arg::Text, Arg::Text, Arg::Bool], returns::text, set_config).called_on_null(),
    Function::new("pg_cancel_backend", &[Arg::Int], returns::bool, pg_cancel_backend),
];

fn current_setting(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let name = args[0].text().unwrap_or_default();
    if args.get(1).and_then(Value::bool) == Some(true) {
        return Ok(ctx.settings.get(name).map(str::to_string).into());
    }
    ctx.settings.show(name).map(|v| v.to_string().into())
}

/// Answers what SHOW will print; the session makes the change before its next statement.
fn set_config(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let Some(name) = args[0].text() else {
        return Err(Error::new(SqlState::new("22004"), "SET requires parameter name"));
    };
    let list = name.eq_ignore_ascii_case("search_path");
    // NULL is the default.
    let values = args[1].text().map(|v| if list { Settings::names(v) } else { vec![v.to_string()] });
    let mut settings = (*ctx.settings).clone();
    settings.set(name, values.as_deref())?;
    let shown = settings.show(name)?.to_string();
    ctx.database.request_setting(ctx.pid, name, values, args[2].bool().unwrap_or_default());
    Ok(shown.into())
}

/// Others' statements can be stopped by a superuser, and one's own by anybody.
fn pg_cancel_backend(ctx: &QueryContext, args: &[Value]) -> Result<Value> {
    let pid = args[0].int().and_then(|p| i32::try_from(p).ok()).unwrap_or_default();
    let own = |a: &crate::database::Activity| {
        a.info.is(ctx.identity.tenant, ctx.identity.role)
            || (a.info.tenant == ctx.identity.tenant && ctx.identity.owner)
    };
    let target = ctx.database.activity().into_iter().find(|a| a.pid == pid);
    match target {
        Some(activity) if ctx.identity.superuser || own(&activity) => Ok(ctx.database.cancel_backend(pid).into()),
        Some(_) => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "must be a member of the role whose query is being canceled or member of pg_signal_backend",
        )),
        None => Ok(false.into()),
    }
}
