//! Statements, one file a family. [`run`] chooses; each takes the session, asks [`authorize`](crate::authorize), and
//! answers rows, or hands operations to the session's transaction.

pub mod change;
pub mod comment;
pub mod copy;
pub mod cursor;
pub mod explain;
pub mod index;
pub mod insert;
mod layout;
pub mod load;
pub mod names;
pub mod prepare;
pub mod query;
mod returning;
pub mod role;
pub mod schema;
mod sequence;
pub mod set;
pub mod table;
pub mod tenant;
pub mod user_type;
pub mod view;

use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, Result, SqlState};

use crate::answer::Answer;
use crate::parser::definition::Kind;
use crate::parser::{Body, utility};
use crate::session::{Prepared, Session};

/// Runs a statement that is not about the transaction itself.
///
/// # Errors
/// Whatever it finds wrong.
pub(crate) async fn run(session: &mut Session, prepared: &Prepared, parameters: Vec<ScalarValue>) -> Result<Answer> {
    match &prepared.statement.body {
        Body::Query(query) => query::run(session, prepared, query, parameters).await,
        Body::Insert(insert) => insert::run(session, prepared, insert, parameters).await,
        Body::Change(change) => Box::pin(change::run(session, prepared, change, parameters)).await,
        Body::Copy(copy) => Box::pin(copy::run(session, copy)).await,
        Body::Load(load) => load::run(session, load).await,
        Body::Truncate(truncate) => table::truncate(session, truncate),
        Body::CreateTable(table) if table.execute.is_some() => prepare::create_as(session, table).await,
        Body::CreateTable(table) if table.query.is_some() => {
            table::create_as(session, table, &prepared.parameters, parameters).await
        }
        Body::CreateTable(table) => table::create(session, table),
        Body::CreateView(view) => view::create(session, view),
        Body::AlterTable(alter) => table::alter(session, alter).await,
        Body::CreateSequence(create) => sequence::create(session, &prepared.statement.text, create),
        Body::AlterSequence(alter) => sequence::alter(session, &prepared.statement.text, alter),
        Body::Rename(rename) if rename.kind == Kind::Sequence => sequence::rename(session, rename),
        Body::Rename(rename) if rename.kind == Kind::Schema => schema::rename(session, rename),
        Body::Rename(rename) if matches!(rename.kind, Kind::Type | Kind::Domain) => user_type::rename(session, rename),
        Body::Rename(rename) => table::rename(session, rename),
        Body::Drop(drop) if drop.kind == Kind::Schema => schema::drop(session, drop),
        Body::Drop(drop) if matches!(drop.kind, Kind::Type | Kind::Domain) => user_type::drop(session, drop),
        Body::Drop(drop) => table::drop(session, drop),
        Body::CreateType(create) => user_type::create(session, create),
        Body::AlterType(alter) => user_type::alter(session, alter),
        Body::CreateDomain(create) => user_type::domain::create(session, create),
        Body::AlterDomain(alter) => user_type::domain::alter(session, alter).await,
        Body::Index(statement) => Box::pin(index::run(session, statement)).await,
        Body::Schema(schema) => schema::create(session, schema),
        Body::Comment(on) => comment::run(session, on).await,
        Body::Tenant(tenant) => tenant::run(session, tenant).await,
        Body::Role(role) => role::run(session, role).await,
        Body::Grant(grant) => tenant::grant(session, grant).await,
        Body::Set(set) => set::set(session, set),
        Body::Show(name) => set::show(session, name),
        Body::Reset(name) => set::reset(session, name.as_deref()),
        Body::Discard(discard) => self::discard(session, *discard),
        Body::Prepare { name, types, statement } => {
            prepare::prepare(session, name, types, statement, &prepared.statement.source).await
        }
        Body::Execute { name, arguments } => prepare::execute(session, name, arguments).await,
        Body::Deallocate(name) => prepare::deallocate(session, name.as_deref()),
        Body::Explain(explain) => explain::run(session, explain, &prepared.parameters, parameters).await,
        Body::Declare(declare) => cursor::declare(session, prepared, declare, parameters).await,
        Body::Fetch(fetch) => cursor::fetch(session, fetch).await,
        Body::Close(name) => cursor::close(session, name.as_deref()),
        Body::Nothing(tag) => Ok(done(*tag)),
        Body::Unsupported(message, hint) => {
            let error = Error::unsupported(message.clone());
            Err(match hint {
                Some(hint) => error.hint(*hint),
                None => error,
            })
        }
        Body::Transaction(_) => Err(Error::internal("transaction control reached a statement")),
    }
}

/// The answer without rows.
pub(crate) fn done(tag: impl Into<String>) -> Answer {
    Answer::Done { tag: tag.into() }
}

fn discard(session: &mut Session, discard: utility::Discard) -> Result<Answer> {
    match discard {
        utility::Discard::All => {
            no_block(session, "DISCARD ALL")?;
            session.close_portals(true);
            session.forget_all_prepared();
            session.discard_temporary()?;
            session.drawn.discard();
            session.change_settings(false, |s| s.reset(None))?;
            Ok(done("DISCARD ALL"))
        }
        utility::Discard::Plans => Ok(done("DISCARD PLANS")),
        utility::Discard::Sequences => {
            session.drawn.discard();
            Ok(done("DISCARD SEQUENCES"))
        }
        utility::Discard::Temporary => {
            session.discard_temporary()?;
            Ok(done("DISCARD TEMP"))
        }
    }
}

/// Refuses to change more than the tenant's own state inside of a block, or in a read-only transaction.
///
/// # Errors
/// 25001, 25006.
pub(crate) fn changes_node(session: &Session, what: &str) -> Result<()> {
    no_block(session, what)?;
    session.writable()
}

/// Refuses what can't be undone inside of a block.
///
/// # Errors
/// 25001.
pub(crate) fn no_block(session: &Session, what: &str) -> Result<()> {
    if session.shares_transaction() {
        let text = format!("{what} cannot run inside a transaction block");
        return Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, text));
    }
    Ok(())
}
