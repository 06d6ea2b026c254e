//! Operations of the meta group: tenants and operator roles.

use std::sync::Arc;

use prost::Message;

use super::stage::{Reject, mistake, stale};
use crate::catalog::{MetaCatalog, RoleDef, TenantDef};
use crate::command::Op;
use crate::entry::LogOp;
use crate::error::{Error, Result, SqlState};
use crate::format::catalog::{RoleMessage, TenantMessage};
use crate::format::state::HeaderMessage;
use crate::ids::{DATA_GROUPS, FIRST_TENANT_OID, FIRST_USER_OID, GroupId, META_GROUP, RoleId, TenantId};
use crate::kv::key::{self, Kind};
use crate::kv::{Effect, Family};

/// One command's changes of the meta group.
pub(super) struct MetaStage {
    meta: MetaCatalog,
    oids: Vec<u32>,
    effects: Vec<Effect>,
}

impl MetaStage {
    pub(super) fn new(meta: MetaCatalog) -> MetaStage {
        let mut stage = MetaStage { meta, oids: Vec::new(), effects: Vec::new() };
        stage.meta.next_oid = stage.meta.next_oid.max(FIRST_USER_OID);
        stage
    }

    pub(super) fn apply(&mut self, ops: &[LogOp]) -> Result<(), Reject> {
        ops.iter().try_for_each(|op| match op {
            LogOp::Other(op) => self.operation(op),
            LogOp::Append(_) => wrong_group(),
        })
    }

    pub(super) fn finish(mut self) -> (MetaCatalog, Vec<u32>, Vec<Effect>) {
        self.put(Kind::Header, 0, HeaderMessage::of_meta(&self.meta).encode_to_vec());
        (self.meta, self.oids, self.effects)
    }

    fn operation(&mut self, op: &Op) -> Result<(), Reject> {
        match op {
            Op::Boot => {
                self.meta.boots += 1;
                Ok(())
            }
            Op::CreateTenant(tenant) => self.create_tenant(tenant),
            Op::PutTenant(tenant) => self.put_tenant(tenant),
            Op::DropTenant(id) => self.drop_tenant(*id),
            Op::CreateRole(role) => self.create_role(role),
            Op::PutRole(role) => self.put_role(role),
            Op::DropRole(id) => self.drop_role(*id),
            Op::InitTenant { .. }
            | Op::PurgeTenant
            | Op::CreateSchema(_)
            | Op::PutSchema(_)
            | Op::DropSchema(_)
            | Op::CreateTable(_)
            | Op::PutTable(_)
            | Op::DropTable(_)
            | Op::CreateView(_)
            | Op::PutView(_)
            | Op::DropView(_)
            | Op::CreateType(_)
            | Op::PutType(_)
            | Op::DropType(_)
            | Op::CreateSequence(_)
            | Op::PutSequence(_)
            | Op::DropSequence(_)
            | Op::AdvanceSequence { .. }
            | Op::SetSequence { .. }
            | Op::Append { .. }
            | Op::AddParts { .. }
            | Op::Truncate(_)
            | Op::NoNewRows { .. }
            | Op::Delete { .. }
            | Op::Publish { .. } => wrong_group(),
        }
    }

    fn create_tenant(&mut self, tenant: &TenantDef) -> Result<(), Reject> {
        if self.meta.tenants.contains_key(&tenant.name) {
            return duplicate_database(&tenant.name);
        }
        let id = TenantId(self.oid(tenant.id.0)?);
        // Tenants are dealt out to the groups in turn; the row remembers it, so that a tenant can be moved later.
        let group = GroupId(1 + id.0 % DATA_GROUPS);
        self.insert_tenant(TenantDef { id, group, ..tenant.clone() });
        Ok(())
    }

    fn put_tenant(&mut self, tenant: &TenantDef) -> Result<(), Reject> {
        let Some(old) = self.meta.tenant(tenant.id).cloned() else { return stale() };
        if old.name != tenant.name && self.meta.tenants.contains_key(&tenant.name) {
            return duplicate_database(&tenant.name);
        }
        self.meta.tenants.remove(&old.name);
        self.insert_tenant(TenantDef { group: old.group, ..tenant.clone() });
        Ok(())
    }

    fn insert_tenant(&mut self, tenant: TenantDef) {
        self.put(Kind::Tenant, tenant.id.0, TenantMessage::from(&tenant).encode_to_vec());
        self.meta.tenants.insert(tenant.name.clone(), Arc::new(tenant));
    }

    fn drop_tenant(&mut self, id: TenantId) -> Result<(), Reject> {
        let Some(tenant) = self.meta.tenant(id).cloned() else { return stale() };
        self.meta.tenants.remove(&tenant.name);
        self.delete(Kind::Tenant, id.0);
        Ok(())
    }

    fn create_role(&mut self, role: &RoleDef) -> Result<(), Reject> {
        if self.meta.roles.contains_key(&role.name) {
            return duplicate_role(&role.name);
        }
        let role = RoleDef { id: RoleId(self.oid(role.id.0)?), ..role.clone() };
        self.insert_role(role);
        Ok(())
    }

    fn put_role(&mut self, role: &RoleDef) -> Result<(), Reject> {
        let Some(old) = self.role(role.id) else { return stale() };
        if old.name != role.name && self.meta.roles.contains_key(&role.name) {
            return duplicate_role(&role.name);
        }
        self.meta.roles.remove(&old.name);
        self.insert_role(role.clone());
        Ok(())
    }

    fn insert_role(&mut self, role: RoleDef) {
        self.put(Kind::Role, role.id.0, RoleMessage::from(&role).encode_to_vec());
        self.meta.roles.insert(role.name.clone(), Arc::new(role));
    }

    fn drop_role(&mut self, id: RoleId) -> Result<(), Reject> {
        let Some(role) = self.role(id) else { return stale() };
        let owned = self.meta.tenants.values().filter(|t| t.owner == id);
        let owned = owned.map(|t| format!("owner of database {}", t.name)).collect::<Vec<_>>();
        if !owned.is_empty() {
            let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
            let e = Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).detail(owned.join("\n"));
            return Err(e.into());
        }
        self.meta.roles.remove(&role.name);
        self.delete(Kind::Role, id.0);
        Ok(())
    }

    fn role(&self, id: RoleId) -> Option<Arc<RoleDef>> {
        self.meta.roles.values().find(|r| r.id == id).cloned()
    }

    fn oid(&mut self, given: u32) -> Result<u32, Reject> {
        if given != 0 {
            return Ok(given);
        }
        let oid = self.meta.next_oid;
        if oid >= FIRST_TENANT_OID {
            return mistake(SqlState::PROGRAM_LIMIT_EXCEEDED, "all OIDs of databases and operator roles are given out");
        }
        self.meta.next_oid += 1;
        self.oids.push(oid);
        Ok(oid)
    }

    fn put(&mut self, kind: Kind, id: u32, value: Vec<u8>) {
        let key = key::definition(META_GROUP, TenantId(0), kind, id);
        self.effects.push(Effect::Put(Family::Catalog, key, value));
    }

    fn delete(&mut self, kind: Kind, id: u32) {
        let key = key::definition(META_GROUP, TenantId(0), kind, id);
        self.effects.push(Effect::Delete(Family::Catalog, key));
    }
}

fn wrong_group() -> Result<(), Reject> {
    Err(Error::internal("an operation of a tenant was proposed to the meta group").into())
}

fn duplicate_database(name: &str) -> Result<(), Reject> {
    mistake(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists"))
}

fn duplicate_role(name: &str) -> Result<(), Reject> {
    mistake(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists"))
}
