//! Roles: CREATE, ALTER and DROP ROLE (or USER), GRANT and REVOKE of predefined ones. A role belongs to the tenant it is made in; one that may more than a
//! tenant has, SUPERUSER or CREATEDB, is an operator's and known in every tenant.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use sightline_storage::catalog::RoleDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::RoleId;
use sightline_storage::types::SqlType;

use super::tenant::{change_meta, is_operator};
use super::{changes_node, done, names, set};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::catalog::predefined_roles;
use crate::codec::input::parse_text_styled;
use crate::parser::tenant::{RoleOptions, RoleStatement};
use crate::password;
use crate::plan::QueryContext;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, statement: &RoleStatement) -> Result<Answer> {
    let ctx = session.write_context()?;
    match statement {
        RoleStatement::Create { name, user, options } => {
            create(session, &ctx, name, *user, options).await?;
            Ok(done("CREATE ROLE"))
        }
        RoleStatement::Alter { name, options } => {
            let old = names::role(&ctx, own_name(&ctx, name))?;
            let new = with_options(&ctx, (*old).clone(), options)?;
            let password_only = RoleDef { verifier: old.verifier.clone(), ..new.clone() } == *old;
            let action = if password_only { Action::ChangePassword(&old) } else { Action::ChangeRole(&old, &new) };
            let allowed = authorize(&ctx.identity, action)?;
            if !is_operator(&ctx, &old) && (new.superuser || new.create_db) {
                return Err(Error::unsupported(format!("role \"{name}\" belongs to this tenant"))
                    .hint("SUPERUSER and CREATEDB are for operators' roles: CREATE ROLE … SUPERUSER makes one."));
            }
            put(session, &ctx, allowed, new).await?;
            Ok(done("ALTER ROLE"))
        }
        RoleStatement::Set { name, change } => {
            let old = names::role(&ctx, own_name(&ctx, name))?;
            // Whoever may change the password may change what the sessions begin with: the role itself, too.
            let allowed = authorize(&ctx.identity, Action::ChangePassword(&old))?;
            let settings = set::changed_defaults(&ctx.settings, &old.settings, change)?;
            put(session, &ctx, allowed, RoleDef { settings, ..(*old).clone() }).await?;
            Ok(done("ALTER ROLE"))
        }
        RoleStatement::Rename { name, to } => {
            let old = names::role(&ctx, name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeRole(&old, &old))?;
            if old.id == ctx.identity.role {
                return Err(Error::unsupported("session user cannot be renamed"));
            }
            let to = new_name(&ctx, to)?;
            put(session, &ctx, allowed, RoleDef { name: to, ..(*old).clone() }).await?;
            Ok(done("ALTER ROLE"))
        }
        RoleStatement::Drop { if_exists, names } => {
            drop(session, &ctx, names, *if_exists).await?;
            Ok(done("DROP ROLE"))
        }
        RoleStatement::Grant { grant, roles, members } => {
            membership(session, &ctx, *grant, roles, members).await?;
            Ok(done(if *grant { "GRANT ROLE" } else { "REVOKE ROLE" }))
        }
    }
}

fn own_name<'a>(ctx: &'a QueryContext, name: &'a str) -> &'a str {
    match name {
        "current_user" | "session_user" | "current_role" => &ctx.identity.role_name,
        _ => name,
    }
}

/// A name that no role of the tenant and no operator has.
fn new_name(ctx: &QueryContext, name: &str) -> Result<String> {
    let name = names::new_name(name)?;
    if name.starts_with("pg_") || matches!(name.as_str(), "public" | "none") {
        return Err(Error::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved")));
    }
    if names::role(ctx, &name).is_ok() {
        return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")));
    }
    Ok(name)
}

fn with_options(ctx: &Arc<QueryContext>, mut role: RoleDef, options: &RoleOptions) -> Result<RoleDef> {
    if let Some(what) = &options.unsupported {
        return Err(Error::unsupported(format!("the role option {what} is not supported")));
    }
    if let Some(limit) = options.connection_limit.filter(|l| *l < -1) {
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {limit}")));
    }
    if let Some(password) = &options.password {
        role.verifier = password.as_ref().map(password::stored).transpose()?;
    }
    if let Some(until) = &options.valid_until {
        role.valid_until = point_in_time(ctx, until)?;
    }
    role.superuser = options.superuser.unwrap_or(role.superuser);
    role.login = options.login.unwrap_or(role.login);
    role.create_role = options.create_role.unwrap_or(role.create_role);
    role.create_db = options.create_db.unwrap_or(role.create_db);
    role.connection_limit = options.connection_limit.unwrap_or(role.connection_limit);
    Ok(role)
}

/// The moment that VALID UNTIL names; none for `infinity`.
fn point_in_time(ctx: &QueryContext, text: &str) -> Result<Option<i64>> {
    match parse_text_styled(&SqlType::TimestampTz, text, ctx.settings.style())? {
        ScalarValue::TimestampMicrosecond(Some(us), _) => Ok(Some(us).filter(|us| *us != i64::MAX)),
        other => Err(Error::internal(format!("a timestamp was read as {other}"))),
    }
}

async fn create(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    name: &str,
    user: bool,
    options: &RoleOptions,
) -> Result<()> {
    let role = RoleDef {
        id: RoleId(0),
        name: name.to_string(),
        superuser: false,
        login: user,
        create_role: false,
        create_db: false,
        connection_limit: -1,
        settings: Vec::new(),
        verifier: None,
        valid_until: None,
        comment: None,
        member_of: Vec::new(),
    };
    let role = with_options(ctx, role, options)?;
    let allowed = authorize(&ctx.identity, Action::CreateRole(&role))?;
    let role = RoleDef { name: new_name(ctx, name)?, ..role };
    if role.superuser || role.create_db {
        changes_node(session, "CREATE ROLE of an operator")?;
        change_meta(&ctx.database.engine, allowed, vec![Op::CreateRole(role)]).await?;
        return Ok(());
    }
    session.apply(allowed, vec![Op::CreateRole(role)])
}

async fn put(session: &mut Session, ctx: &Arc<QueryContext>, allowed: Allowed, role: RoleDef) -> Result<()> {
    if is_operator(ctx, &role) {
        changes_node(session, "ALTER ROLE of an operator")?;
        change_meta(&ctx.database.engine, allowed, vec![Op::PutRole(role)]).await?;
        return Ok(());
    }
    session.apply(allowed, vec![Op::PutRole(role)])
}

/// Drops all of the roles or none.
async fn drop(session: &mut Session, ctx: &Arc<QueryContext>, names: &[String], if_exists: bool) -> Result<()> {
    let (mut own, mut operators, mut may) = (Vec::new(), Vec::new(), None);
    for name in names {
        let Some((role, allowed)) = to_drop(session, ctx, name, if_exists)? else { continue };
        may = Some(allowed);
        if is_operator(ctx, &role) { &mut operators } else { &mut own }.push(Op::DropRole(role.id));
    }
    let Some(allowed) = may else { return Ok(()) };
    if !operators.is_empty() {
        changes_node(session, "DROP ROLE of an operator")?;
        if !own.is_empty() {
            return Err(Error::unsupported("roles of operators and of this tenant cannot be dropped by one statement"));
        }
        change_meta(&ctx.database.engine, allowed, operators).await?;
        return Ok(());
    }
    session.apply(allowed, own)
}

/// A role that may be dropped; none if it need not exist and does not.
fn to_drop(
    session: &mut Session,
    ctx: &QueryContext,
    name: &str,
    if_exists: bool,
) -> Result<Option<(Arc<RoleDef>, Allowed)>> {
    if matches!(name, "current_user" | "session_user" | "current_role") {
        let text = "cannot use special role specifier in DROP ROLE";
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
    }
    let role = match names::role(ctx, name) {
        Ok(role) => role,
        Err(e) if if_exists => {
            session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let allowed = authorize(&ctx.identity, Action::ChangeRole(&role, &role))?;
    if role.id == ctx.identity.role {
        return Err(Error::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
    }
    owns_nothing(ctx, &role)?;
    Ok(Some((role, allowed)))
}

/// 2BP01 with the objects that the role owns.
fn owns_nothing(ctx: &QueryContext, role: &RoleDef) -> Result<()> {
    let catalog = &ctx.snapshot.catalog;
    let tenants = ctx
        .meta
        .tenants
        .values()
        .filter(|t| t.owner == role.id && (role.id.is_operator() || t.id == ctx.identity.tenant))
        .map(|t| format!("owner of database {}", t.name));
    let schemas =
        catalog.schemas.values().filter(|s| s.owner == role.id).map(|s| format!("owner of schema {}", s.name));
    let tables = catalog.tables.values().filter(|t| t.owner == role.id).map(|t| format!("owner of table {}", t.name));
    let views = catalog.views.values().filter(|v| v.owner == role.id).map(|v| format!("owner of view {}", v.name));
    let sequences = catalog.sequences.values().filter(|s| s.owner == role.id);
    let sequences = sequences.map(|s| format!("owner of sequence {}", s.name));
    let owned = tenants.chain(schemas).chain(tables).chain(views).chain(sequences).collect::<Vec<_>>();
    if owned.is_empty() {
        return Ok(());
    }
    let text = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
    Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, text).detail(owned.join("\n")))
}

/// GRANT and REVOKE of predefined roles. The server's files are no tenant's own: superusers alone give that right, where
/// PostgreSQL 15 also lets roles with CREATEROLE do so.
async fn membership(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    grant: bool,
    roles: &[String],
    members: &[String],
) -> Result<()> {
    let mut given = Vec::with_capacity(roles.len());
    for name in roles {
        let Some(role) = predefined(name) else {
            names::role(ctx, name)?;
            return Err(Error::unsupported(format!("membership in role \"{name}\" is not supported"))
                .hint("Roles that can be granted are pg_read_server_files and pg_write_server_files."));
        };
        given.push((name, role, authorize(&ctx.identity, Action::GrantRole(name))?));
    }
    let mut changed: Vec<RoleDef> = Vec::new();
    for member in members {
        let old = names::role(ctx, own_name(ctx, member))?;
        let at = changed.iter().position(|r| r.id == old.id).unwrap_or_else(|| {
            changed.push((*old).clone());
            changed.len() - 1
        });
        for (name, role, _) in &given {
            let known = &mut changed[at].member_of;
            let text = format!("role \"{}\" is {{}} member of role \"{name}\"", old.name);
            match (grant, known.contains(role)) {
                (true, true) => {
                    session.notice(Notice::new(SqlState::new("00000"), text.replace("{}", "already a")));
                }
                (false, false) => {
                    session.notice(Notice::warning(SqlState::new("01000"), text.replace("{}", "not a")));
                }
                (true, false) => {
                    known.push(*role);
                    known.sort();
                }
                (false, true) => known.retain(|r| r != role),
            }
        }
    }
    let Some((.., allowed)) = given.first() else { return Ok(()) };
    for role in changed {
        put(session, ctx, *allowed, role).await?;
    }
    Ok(())
}

/// The predefined role of this name that can be granted.
fn predefined(name: &str) -> Option<RoleId> {
    predefined_roles().iter().find(|r| r.name == name).map(|r| r.id)
}

/// COMMENT ON ROLE.
pub(super) async fn comment(
    session: &mut Session,
    ctx: &Arc<QueryContext>,
    name: &str,
    text: Option<String>,
) -> Result<()> {
    let old = names::role(ctx, name)?;
    let allowed = authorize(&ctx.identity, Action::ChangeRole(&old, &old))?;
    put(session, ctx, allowed, RoleDef { comment: text, ..(*old).clone() }).await
}
