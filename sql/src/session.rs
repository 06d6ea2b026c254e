//! One connection's user, tenant, settings and transaction. Skeleton: the contract with `server/pg`.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use sightline_storage::error::Result;
use sightline_storage::ids::{RoleId, TenantId};
use sightline_storage::types::SqlType;

use crate::answer::{Answer, Column, Notice};
use crate::parser::Statement;

/// What a client says when it connects.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    pub user: String,
    /// The tenant; `postgres` stands for the default one.
    pub database: String,
    /// The other startup parameters and `options=-c k=v`, applied as SET would.
    pub parameters: Vec<(String, String)>,
    /// The client's address, for the log and pg_stat_activity.
    pub peer: Option<std::net::SocketAddr>,
}

/// Who speaks, as a type that every check takes. Only [`Database::connect`](crate::database::Database::connect) makes one.
#[derive(Clone, Debug)]
pub struct Identity {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub role: RoleId,
    pub role_name: String,
    pub superuser: bool,
    /// Owner of the tenant.
    pub owner: bool,
}

/// A statement with its parameters' and columns' types known.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Arc<Statement>,
    /// One a parameter, `$1` first.
    pub parameters: Vec<SqlType>,
    /// None if the statement answers no rows (NoData).
    pub columns: Option<Arc<[Column]>>,
}

/// One connection.
pub struct Session {}

impl Session {
    /// What CancelRequest must present: process id and secret.
    pub fn cancel_key(&self) -> (i32, [u8; 32]) {
        unimplemented!()
    }

    pub fn identity(&self) -> &Identity {
        unimplemented!()
    }

    /// All parameters to report by ParameterStatus after login.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        unimplemented!()
    }

    /// Reported parameters that changed since the last call.
    pub fn take_changed_parameters(&mut self) -> Vec<(&'static str, String)> {
        unimplemented!()
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        unimplemented!()
    }

    /// `I` idle, `T` in a transaction block, `E` in a failed one.
    pub fn transaction_status(&self) -> u8 {
        unimplemented!()
    }

    /// Splits and parses a query string. An empty list is an empty query. A syntax error of any statement fails it all,
    /// as in PostgreSQL.
    pub fn parse(&self, _sql: &str) -> Result<Vec<Arc<Statement>>> {
        unimplemented!()
    }

    /// Finds out the types of parameters and columns. `declared` are the types the client gave (None: find out).
    pub async fn prepare(&mut self, _statement: Arc<Statement>, _declared: &[Option<SqlType>]) -> Result<Prepared> {
        unimplemented!()
    }

    /// Runs it. With an error the transaction block, if any, has failed (status `E`).
    pub async fn execute(&mut self, _prepared: &Prepared, _parameters: Vec<ScalarValue>) -> Result<Answer> {
        unimplemented!()
    }

    /// The wire layer calls it before the first of several statements of one message or pipeline: they are one implicit
    /// transaction unless they control it themselves.
    pub fn begin_implicit(&mut self) {}

    /// Ends the implicit transaction: commits it, or with `failed` rolls it back.
    pub async fn end_implicit(&mut self, _failed: bool) -> Result<()> {
        unimplemented!()
    }

    /// A fault found by the wire layer or in a row stream: fails the transaction block.
    pub fn fail_transaction(&mut self) {}

    /// The output settings (DateStyle, TimeZone, extra_float_digits, bytea_output, IntervalStyle) as of now.
    pub fn format(&self) -> crate::codec::Format {
        unimplemented!()
    }
}
