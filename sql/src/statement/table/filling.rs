//! ALTER TABLE … ALTER COLUMN on how a column fills itself: ADD GENERATED, SET GENERATED, RESTART, DROP IDENTITY, DROP
//! EXPRESSION (<https://www.postgresql.org/docs/15/sql-altertable.html>).

use sightline_storage::catalog::TableDef;
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};

use super::super::sequence;
use super::alter::no_column;
use super::filled::{NewSequences, integer};
use crate::answer::Notice;
use crate::authorize::Allowed;
use crate::parser::sequence::ColumnAction;
use crate::plan::QueryContext;
use crate::session::Session;

fn state(table: &TableDef, column: &str, what: &str) -> Error {
    let text = format!("column \"{column}\" of relation \"{}\" {what}", table.name);
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
}

/// Does it to the definition; answers what else is to be done with the sequence.
///
/// # Errors
/// 42703, 55000, and those of the options.
pub(super) fn apply(
    session: &mut Session,
    ctx: &QueryContext,
    allowed: Allowed,
    table: &mut TableDef,
    (name, action): (&str, &ColumnAction),
    made: &mut NewSequences,
) -> Result<Vec<Op>> {
    let Some(at) = table.columns.iter().position(|c| c.name == name) else { return Err(no_column(table, name)) };
    let column = table.columns[at].clone();
    match action {
        ColumnAction::AddIdentity { always, options } => {
            integer(&column.ty)?;
            if !column.not_null {
                return Err(state(table, name, "must be declared NOT NULL before identity can be added"));
            }
            if column.identity.is_some() {
                return Err(state(table, name, "is already an identity column"));
            }
            if column.default.is_some() || column.generated.is_some() {
                return Err(state(table, name, "already has a default value"));
            }
            let mut column = column;
            made.identity(ctx, table, &mut column, *always, options)?;
            table.columns[at] = column;
            Ok(Vec::new())
        }
        ColumnAction::SetIdentity { always, options } => {
            let Some(mut identity) = column.identity else {
                return Err(state(table, name, "is not an identity column"));
            };
            identity.always = always.unwrap_or(identity.always);
            table.columns[at].identity = Some(identity);
            if let Some(def) = ctx.snapshot.catalog.sequence(identity.sequence).cloned() {
                sequence::change(session, ctx, allowed, &def, &sequence::Options::of(options, None)?)?;
            }
            Ok(Vec::new())
        }
        ColumnAction::DropIdentity { if_exists } => match column.identity {
            Some(identity) => {
                table.columns[at].identity = None;
                Ok(vec![Op::DropSequence(identity.sequence)])
            }
            None => refuse_or_skip(session, state(table, name, "is not an identity column"), *if_exists),
        },
        ColumnAction::DropExpression { if_exists } => {
            if column.generated.is_none() {
                let error = state(table, name, "is not a stored generated column");
                return refuse_or_skip(session, error, *if_exists);
            }
            table.columns[at].generated = None;
            Ok(Vec::new())
        }
    }
}

fn refuse_or_skip(session: &mut Session, error: Error, if_exists: bool) -> Result<Vec<Op>> {
    if !if_exists {
        return Err(error);
    }
    session.notice(Notice::new(SqlState::new("00000"), format!("{}, skipping", error.message())));
    Ok(Vec::new())
}

/// Refuses to change the DEFAULT of a column that has none by its nature.
///
/// # Errors
/// 42601.
pub(super) fn refuse_default(table: &TableDef, at: usize, drops: bool) -> Result<()> {
    let column = &table.columns[at];
    let (kind, word) = match (&column.identity, &column.generated) {
        (Some(_), _) => ("an identity", "IDENTITY"),
        (_, Some(_)) => ("a generated", "EXPRESSION"),
        _ => return Ok(()),
    };
    let text = format!("column \"{}\" of relation \"{}\" is {kind} column", column.name, table.name);
    let error = Error::new(SqlState::SYNTAX_ERROR, text);
    Err(match drops {
        true => error.hint(format!("Use ALTER TABLE ... ALTER COLUMN ... DROP {word} instead.")),
        false => error,
    })
}
