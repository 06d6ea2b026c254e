//! Sequences that a stored expression names. As in PostgreSQL they are resolved when it is stored and follow a renaming:
//! the text holds `'<oid>'::regclass`, and whoever shows it puts the name there.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::TenantCatalog;
use sightline_storage::error::Result;
use sightline_storage::ids::SequenceId;

use crate::catalog::{relation_shown, split_name};
use crate::plan::{QueryContext, Relation, fold, resolve_relation};

/// The text of a DEFAULT that draws from the sequence.
pub(crate) fn written(id: SequenceId) -> String {
    format!("nextval('{id}'::regclass)")
}

/// The sequence of a DEFAULT that does nothing else than draw from it.
pub(crate) fn only(text: &str) -> Option<SequenceId> {
    let id = text.strip_prefix("nextval('")?.strip_suffix("'::regclass)")?;
    id.parse().ok().map(SequenceId)
}

/// The sequences that a stored expression names.
pub(crate) fn named(catalog: &TenantCatalog, text: &str) -> Vec<SequenceId> {
    let ids = pieces(text).filter_map(|(_, oid)| oid.map(SequenceId));
    ids.filter(|id| catalog.sequence(*id).is_some()).collect()
}

/// The expression with the names of the sequences in it.
pub(crate) fn shown(ctx: &QueryContext, text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (before, oid) in pieces(text) {
        shown.push_str(before);
        if let Some(oid) = oid {
            let name = match ctx.snapshot.catalog.sequence(SequenceId(oid)) {
                Some(_) => relation_shown(ctx, oid),
                None => oid.to_string(),
            };
            shown.push_str(&format!("'{}'::regclass", name.replace('\'', "''")));
        }
    }
    shown
}

/// The text cut at each `'<oid>'::regclass`, with the number.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<u32>)> {
    const CAST: &str = "'::regclass";
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let lower = all.to_ascii_lowercase();
        let mut from = 0;
        while let Some(at) = lower[from..].find(CAST).map(|at| from + at) {
            let digits = all[..at].bytes().rev().take_while(u8::is_ascii_digit).count();
            let start = at - digits;
            if digits > 0 && all[..start].ends_with('\'') {
                let oid = all[start..at].parse().ok();
                if oid.is_some() {
                    rest = Some(&all[at + CAST.len()..]);
                    return Some((&all[..start - 1], oid));
                }
            }
            from = at + CAST.len();
        }
        rest = None;
        Some((all, None))
    })
}

/// Puts the OID for each sequence that a call names by a constant.
///
/// # Errors
/// 42P01.
pub(crate) fn resolve(ctx: &QueryContext, expr: &mut ast::Expr) -> Result<()> {
    let found = ast::visit_expressions_mut(expr, |e| match resolve_call(ctx, e) {
        Ok(()) => ControlFlow::Continue(()),
        Err(e) => ControlFlow::Break(e),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(e) => Err(e),
    }
}

fn resolve_call(ctx: &QueryContext, expr: &mut ast::Expr) -> Result<()> {
    let ast::Expr::Function(call) = expr else { return Ok(()) };
    let name = call.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    if !matches!(name.as_str(), "nextval" | "currval" | "setval") {
        return Ok(());
    }
    let ast::FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(argument))) = list.args.first_mut() else {
        return Ok(());
    };
    let literal = match &*argument {
        ast::Expr::Cast { expr, data_type, .. } if data_type.to_string().eq_ignore_ascii_case("regclass") => expr,
        other => other,
    };
    let ast::Expr::Value(value) = literal else { return Ok(()) };
    let Some(text) = value.value.clone().into_string() else { return Ok(()) };
    let id = match text.parse() {
        Ok(oid) => Some(SequenceId(oid)),
        Err(_) => find(ctx, &text)?,
    };
    // Another kind of relation is refused by who draws from it.
    let Some(id) = id else { return Ok(()) };
    *argument = crate::parser::parse_expr(&format!("'{id}'::regclass"))?;
    Ok(())
}

/// The sequence of a name as `regclass` reads it; none if it is another relation.
fn find(ctx: &QueryContext, text: &str) -> Result<Option<SequenceId>> {
    let parts = split_name(text)?.into_iter().map(|p| ast::Ident::with_quote('"', p)).collect::<Vec<_>>();
    Ok(match resolve_relation(ctx, &ast::ObjectName::from(parts))? {
        Relation::Sequence(def) => Some(def.id),
        Relation::Table(_) | Relation::View(_) | Relation::System(..) => None,
    })
}
