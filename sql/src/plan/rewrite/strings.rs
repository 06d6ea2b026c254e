//! String functions that the SQL standard writes with words, as the functions they are
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, NormalizationForm, TrimWhereField, Value,
};

use super::calls::call;
use super::literals::integer;
use super::operators::not;
use crate::plan::names::fold;

/// The call that such an expression is.
pub(super) fn plain(expr: &Expr) -> Option<Expr> {
    Some(match expr {
        Expr::Substring { expr: text, substring_from, substring_for, shorthand, .. } => {
            let mut arguments = vec![(**text).clone()];
            match (substring_from, substring_for) {
                (None, None) => {}
                (Some(from), None) => arguments.push((**from).clone()),
                (from, Some(length)) => {
                    let first = || integer(Expr::value(Value::Number("1".to_string(), false)));
                    arguments.push(from.as_ref().map_or_else(first, |f| (**f).clone()));
                    arguments.push((**length).clone());
                }
            }
            call(if *shorthand { "substr" } else { "substring" }, arguments)
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut arguments = vec![(**expr).clone(), (**overlay_what).clone(), (**overlay_from).clone()];
            arguments.extend(overlay_for.as_ref().map(|f| (**f).clone()));
            call("overlay", arguments)
        }
        Expr::Position { expr, r#in } => call("position", vec![(**r#in).clone(), (**expr).clone()]),
        Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                Some(TrimWhereField::Both) | None => "btrim",
            };
            let mut arguments = vec![(**expr).clone()];
            arguments.extend(trim_what.as_ref().map(|w| (**w).clone()));
            arguments.extend(trim_characters.iter().flatten().cloned());
            call(name, arguments)
        }
        Expr::IsNormalized { expr, form, negated } => {
            let form = form.unwrap_or(NormalizationForm::NFC).to_string();
            let arguments = vec![(**expr).clone(), Expr::value(Value::SingleQuotedString(form))];
            let normalized = call("is_normalized", arguments);
            if *negated { not(normalized) } else { normalized }
        }
        _ => return None,
    })
}

/// The form of `normalize(x, NFC)` is a word, not a column.
pub(super) fn normalization_form(f: &mut Function) {
    if !f.name.to_string().eq_ignore_ascii_case("normalize") {
        return;
    }
    let FunctionArguments::List(list) = &mut f.args else { return };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(form))] = list.args.as_mut_slice() else { return };
    if let Expr::Identifier(word) = form
        && word.quote_style.is_none()
    {
        *form = Expr::value(Value::SingleQuotedString(fold(word).to_uppercase()));
    }
}
