//! COMMENT ON.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};

use super::{done, names, role, sequence, tenant, user_type};
use crate::answer::Answer;
use crate::authorize::{Action, authorize};
use crate::parser::definition::{CommentOn, Kind};
use crate::plan::{QueryContext, Relation, resolve_relation};
use crate::session::Session;

pub(super) async fn run(session: &mut Session, on: &CommentOn) -> Result<Answer> {
    let ctx = session.write_context()?;
    let text = on.text.clone();
    match on.kind {
        Kind::Table => {
            let old = names::table(&ctx, &on.name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeTable(&old))?;
            let mut table = (*old).clone();
            table.comment = text;
            session.apply(allowed, vec![Op::PutTable(table)])?;
        }
        Kind::View => {
            let old = names::view(&ctx, &on.name)?;
            let allowed = authorize(&ctx.identity, Action::ChangeView(&old))?;
            let mut view = (*old).clone();
            view.comment = text;
            session.apply(allowed, vec![Op::PutView(view)])?;
        }
        Kind::Sequence => sequence::comment(session, &ctx, on)?,
        Kind::Schema => {
            let old = names::schema(&ctx, &names::single(&on.name, &ctx.identity)?)?;
            let allowed = authorize(&ctx.identity, Action::ChangeSchema(&old))?;
            let mut schema = (*old).clone();
            schema.comment = text;
            session.apply(allowed, vec![Op::PutSchema(schema)])?;
        }
        Kind::Type | Kind::Domain => user_type::comment(session, &ctx, on, text)?,
        Kind::Column => column(session, &ctx, &on.name, text)?,
        Kind::Database => tenant::comment(session, &ctx, &names::last(&on.name), text).await?,
        Kind::Role => role::comment(session, &ctx, &names::last(&on.name), text).await?,
    }
    Ok(done("COMMENT"))
}

fn column(session: &mut Session, ctx: &Arc<QueryContext>, name: &ast::ObjectName, text: Option<String>) -> Result<()> {
    let column = names::last(name);
    let mut relation = name.clone();
    relation.0.pop();
    if relation.0.is_empty() {
        return Err(Error::new(SqlState::SYNTAX_ERROR, "column name must be qualified"));
    }
    let missing = |relation: &str| {
        let text = format!("column \"{column}\" of relation \"{relation}\" does not exist");
        Error::new(SqlState::UNDEFINED_COLUMN, text)
    };
    match resolve_relation(ctx, &relation)? {
        Relation::Table(old) => {
            let allowed = authorize(&ctx.identity, Action::ChangeTable(&old))?;
            let mut table = (*old).clone();
            let found = table.columns.iter_mut().find(|c| c.name == column).ok_or_else(|| missing(&old.name))?;
            found.comment = text;
            session.apply(allowed, vec![Op::PutTable(table)])
        }
        Relation::View(old) => {
            let allowed = authorize(&ctx.identity, Action::ChangeView(&old))?;
            let mut view = (*old).clone();
            let at = view.columns.iter().position(|(n, _)| *n == column).ok_or_else(|| missing(&old.name))?;
            let number = u16::try_from(at + 1).unwrap_or(u16::MAX);
            view.column_comments.retain(|(n, _)| *n != number);
            view.column_comments.extend(text.map(|t| (number, t)));
            session.apply(allowed, vec![Op::PutView(view)])
        }
        Relation::Sequence(old) => {
            let text = format!("cannot set comment on relation \"{}\"", old.name);
            Err(Error::new(SqlState::WRONG_OBJECT_TYPE, text).detail("This operation is not supported for sequences."))
        }
        Relation::System(_, name) => Err(Error::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{name}\" is a system catalog"),
        )),
    }
}
