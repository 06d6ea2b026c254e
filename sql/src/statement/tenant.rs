//! Tenants: CREATE, ALTER and DROP TENANT (or DATABASE), and GRANT CONNECT. They change the meta group at once, so none
//! of them runs inside a block.

use std::sync::Arc;

use sightline_storage::catalog::tenant::DEFAULT_TENANT;
use sightline_storage::catalog::{RoleDef, TenantDef};
use sightline_storage::command::{Applied, Command, Op, Outcome};
use sightline_storage::engine::Engine;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{GroupId, RoleId, TenantId};

use super::{changes_node, done, names, set};
use crate::answer::{Answer, Notice};
use crate::authorize::{Action, Allowed, authorize};
use crate::database::{ALIAS, find_tenant};
use crate::parser::tenant::{GrantStatement, TenantStatement};
use crate::plan::QueryContext;
use crate::session::Session;
use crate::session::transaction::serialization_failure;

pub(super) async fn run(session: &mut Session, statement: &TenantStatement) -> Result<Answer> {
    let ctx = session.write_context()?;
    match statement {
        TenantStatement::Create { noun, if_not_exists, name, owner, connection_limit } => {
            changes_node(session, &format!("CREATE {noun}"))?;
            create(session, &ctx, *if_not_exists, name, owner.as_deref(), *connection_limit).await?;
            Ok(done(format!("CREATE {noun}")))
        }
        TenantStatement::Drop { noun, if_exists, name, force } => {
            changes_node(session, &format!("DROP {noun}"))?;
            drop(session, &ctx, *if_exists, name, *force).await?;
            Ok(done(format!("DROP {noun}")))
        }
        TenantStatement::Rename { noun, name, to } => {
            changes_node(session, &format!("ALTER {noun}"))?;
            rename(&ctx, name, to).await?;
            Ok(done(format!("ALTER {noun}")))
        }
        TenantStatement::ConnectionLimit { noun, name, limit } => {
            changes_node(session, &format!("ALTER {noun}"))?;
            let old = find(&ctx, name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeTenant(&old))?;
            let connection_limit = checked_limit(*limit)?;
            put(&ctx.database.engine, allowed, TenantDef { connection_limit, ..(*old).clone() }).await?;
            Ok(done(format!("ALTER {noun}")))
        }
        TenantStatement::Set { noun, name, change } => {
            changes_node(session, &format!("ALTER {noun}"))?;
            let old = find(&ctx, name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeTenant(&old))?;
            let settings = set::changed_defaults(&ctx.settings, &old.settings, change)?;
            put(&ctx.database.engine, allowed, TenantDef { settings, ..(*old).clone() }).await?;
            Ok(done(format!("ALTER {noun}")))
        }
        TenantStatement::Owner { noun, name, to } => {
            changes_node(session, &format!("ALTER {noun}"))?;
            let old = find(&ctx, name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeTenant(&old))?;
            let owner = role_of(&ctx, &old, to)?;
            authorize(&ctx.identity, Action::GiveTo(owner))?;
            put(&ctx.database.engine, allowed, TenantDef { owner, ..(*old).clone() }).await?;
            Ok(done(format!("ALTER {noun}")))
        }
    }
}

fn checked_limit(limit: i32) -> Result<i32> {
    if limit < -1 {
        let text = format!("invalid connection limit: {limit}");
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
    }
    Ok(limit)
}

fn missing(name: &str) -> Error {
    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

fn find(ctx: &QueryContext, name: &str) -> Result<Arc<TenantDef>> {
    find_tenant(&ctx.meta, name).cloned().ok_or_else(|| missing(name))
}

/// A role as the tenant knows it: its own, or an operator's.
fn role_of(ctx: &QueryContext, tenant: &TenantDef, name: &str) -> Result<RoleId> {
    if matches!(name, "current_user" | "session_user" | "current_role") {
        return Ok(ctx.identity.role);
    }
    let own = ctx.database.engine.snapshot(tenant.id)?.catalog.roles.get(name).map(|r| r.id);
    own.or_else(|| ctx.meta.roles.get(name).map(|r| r.id))
        .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

/// Proposes to the meta group.
pub(super) async fn change_meta(engine: &Engine, _allowed: Allowed, ops: Vec<Op>) -> Result<Applied> {
    match engine.propose_meta(ops).await? {
        Outcome::Applied(applied) => Ok(applied),
        Outcome::Conflict | Outcome::Moved | Outcome::Stale => Err(serialization_failure()),
    }
}

async fn put(engine: &Engine, allowed: Allowed, tenant: TenantDef) -> Result<()> {
    change_meta(engine, allowed, vec![Op::PutTenant(tenant)]).await.map(|_| ())
}

async fn create(
    session: &mut Session,
    ctx: &QueryContext,
    if_not_exists: bool,
    name: &str,
    owner: Option<&str>,
    connection_limit: Option<i32>,
) -> Result<()> {
    let connection_limit = connection_limit.map(checked_limit).transpose()?;
    let allowed = authorize(&ctx.identity, Action::CreateTenant)?;
    let owner = match owner {
        None | Some("current_user" | "session_user" | "current_role") => ctx.identity.role,
        Some(name) => match ctx.meta.roles.get(name) {
            Some(role) => role.id,
            None => {
                let text = format!("role \"{name}\" does not exist");
                return Err(Error::new(SqlState::UNDEFINED_OBJECT, text).hint(
                    "Roles belong to their tenant: create the tenant, then a role in it, then ALTER TENANT … OWNER TO.",
                ));
            }
        },
    };
    if owner != ctx.identity.role && !ctx.identity.superuser {
        authorize(&ctx.identity, Action::GiveTo(owner))?;
    }
    let name = names::new_name(name)?;
    if ctx.meta.tenants.contains_key(&name) || name == ALIAS {
        let text = format!("database \"{name}\" already exists");
        if if_not_exists {
            session.notice(Notice::new(SqlState::DUPLICATE_DATABASE, format!("{text}, skipping")));
            return Ok(());
        }
        return Err(Error::new(SqlState::DUPLICATE_DATABASE, text));
    }
    let tenant = TenantDef {
        id: TenantId(0),
        name,
        owner,
        group: GroupId(0),
        connection_limit: connection_limit.unwrap_or(-1),
        settings: Vec::new(),
        created_at: ctx.now_us,
        comment: None,
        no_connect: Vec::new(),
        connect_revoked: false,
        connect: Vec::new(),
    };
    let engine = ctx.database.engine.clone();
    whole(async move {
        let applied = change_meta(&engine, allowed, vec![Op::CreateTenant(tenant)]).await?;
        let id = applied.oids.first().map(|oid| TenantId(*oid));
        let id = id.ok_or_else(|| Error::internal("a new tenant got no id"))?;
        let group = engine.log().group(id)?;
        change_group(&engine, allowed, group, id, Op::InitTenant { owner }).await
    })
    .await
}

/// Runs two commands to the end, even if the statement is cancelled between them.
async fn whole(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    tokio::spawn(work).await.map_err(|e| Error::internal("a change of tenants failed").source(e))?
}

/// Proposes to the group of a tenant that may be gone from the meta catalog already.
async fn change_group(engine: &Engine, _allowed: Allowed, group: GroupId, tenant: TenantId, op: Op) -> Result<()> {
    let log = engine.log();
    let base = log.read_barrier(group).await?;
    let command = Command::new(Some(tenant), engine.clock().now_us(), base, vec![op]);
    match log.propose(group, command).await? {
        Outcome::Applied(_) => Ok(()),
        Outcome::Conflict | Outcome::Moved | Outcome::Stale => Err(serialization_failure()),
    }
}

async fn drop(session: &mut Session, ctx: &QueryContext, if_exists: bool, name: &str, force: bool) -> Result<()> {
    let Some(tenant) = ctx.meta.tenants.get(name) else {
        let e = missing(name);
        if !if_exists {
            return Err(e);
        }
        session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", e.message())));
        return Ok(());
    };
    let allowed = authorize(&ctx.identity, Action::ChangeTenant(tenant))?;
    if tenant.id == ctx.identity.tenant {
        return Err(Error::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
    }
    if tenant.name == DEFAULT_TENANT {
        return Err(Error::new(SqlState::OBJECT_IN_USE, "cannot drop the default tenant"));
    }
    if !force {
        not_in_use(ctx, tenant)?;
    }
    let (engine, id, group) = (ctx.database.engine.clone(), tenant.id, tenant.group);
    whole(async move {
        change_meta(&engine, allowed, vec![Op::DropTenant(id)]).await?;
        change_group(&engine, allowed, group, id, Op::PurgeTenant).await
    })
    .await
}

fn not_in_use(ctx: &QueryContext, tenant: &TenantDef) -> Result<()> {
    let detail = match ctx.database.sessions_in(tenant.id) {
        0 => return Ok(()),
        1 => "There is 1 other session using the database.".to_string(),
        n => format!("There are {n} other sessions using the database."),
    };
    let text = format!("database \"{}\" is being accessed by other users", tenant.name);
    Err(Error::new(SqlState::OBJECT_IN_USE, text).detail(detail))
}

async fn rename(ctx: &QueryContext, name: &str, to: &str) -> Result<()> {
    let tenant = ctx.meta.tenants.get(name).ok_or_else(|| missing(name))?;
    let allowed = authorize(&ctx.identity, Action::ChangeTenant(tenant))?;
    let to = names::new_name(to)?;
    if ctx.meta.tenants.contains_key(&to) || to == ALIAS {
        return Err(Error::new(SqlState::DUPLICATE_DATABASE, format!("database \"{to}\" already exists")));
    }
    if tenant.id == ctx.identity.tenant {
        return Err(Error::unsupported("current database cannot be renamed"));
    }
    if tenant.name == DEFAULT_TENANT {
        return Err(Error::unsupported("the default tenant cannot be renamed"));
    }
    not_in_use(ctx, tenant)?;
    put(&ctx.database.engine, allowed, TenantDef { name: to, ..(**tenant).clone() }).await
}

/// COMMENT ON DATABASE.
pub(super) async fn comment(session: &Session, ctx: &QueryContext, name: &str, text: Option<String>) -> Result<()> {
    changes_node(session, "COMMENT ON DATABASE")?;
    let tenant = find(ctx, name)?;
    let allowed = authorize(&ctx.identity, Action::ChangeTenant(&tenant))?;
    put(&ctx.database.engine, allowed, TenantDef { comment: text, ..(*tenant).clone() }).await
}

/// GRANT and REVOKE CONNECT ON DATABASE.
pub(super) async fn grant(session: &mut Session, statement: &GrantStatement) -> Result<Answer> {
    let verb = if statement.grant { "GRANT" } else { "REVOKE" };
    changes_node(session, verb)?;
    let ctx = session.write_context()?;
    let mut changes = Vec::with_capacity(statement.databases.len());
    let mut may = None;
    for name in &statement.databases {
        let old = find(&ctx, name)?;
        let allowed = authorize(&ctx.identity, Action::ChangeTenant(&old))?;
        let mut tenant = (*old).clone();
        for role in &statement.roles {
            if role == "public" {
                tenant.connect_revoked = !statement.grant;
                continue;
            }
            let id = role_of(&ctx, &old, role)?;
            tenant.connect.retain(|r| *r != id);
            tenant.no_connect.retain(|r| *r != id);
            if statement.grant { &mut tenant.connect } else { &mut tenant.no_connect }.push(id);
        }
        changes.push(Op::PutTenant(tenant));
        may = Some(allowed);
    }
    if let Some(allowed) = may {
        change_meta(&ctx.database.engine, allowed, changes).await?;
    }
    Ok(done(verb))
}

/// True if the role is an operator's.
pub(super) fn is_operator(ctx: &QueryContext, role: &RoleDef) -> bool {
    ctx.meta.roles.values().any(|r| r.id == role.id)
}
