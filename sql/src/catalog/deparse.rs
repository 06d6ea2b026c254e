//! DEFAULT expressions as PostgreSQL prints them: constants with their type, key words in capitals. Any other expression
//! is printed as it was written.

use datafusion::sql::sqlparser::ast::Expr;
use sightline_storage::catalog::ColumnDef;
use sightline_storage::types::SqlType;

use crate::plan::QueryContext;
use crate::sequence::reference;

/// SQL's functions without brackets, which are printed in capitals.
const KEYWORDS: [&str; 7] = [
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SESSION_USER",
];

/// The column's DEFAULT as text; none if it has none, which is what DEFAULT NULL means.
pub(super) fn default(ctx: &QueryContext, column: &ColumnDef) -> Option<String> {
    let written = column.default.as_deref()?.trim();
    if written.eq_ignore_ascii_case("null") {
        return None;
    }
    Some(reference::shown(ctx, &expression(written, &column.ty)))
}

/// The column's expression, if it is a generated one, in the brackets that PostgreSQL puts around an operator.
pub(super) fn generated(column: &ColumnDef) -> Option<String> {
    let text = column.generated.as_deref()?;
    let operator = crate::parser::parse_expr(text).is_ok_and(|e| {
        matches!(
            e,
            Expr::BinaryOp { .. }
                | Expr::UnaryOp { .. }
                | Expr::Like { .. }
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::Between { .. }
        )
    });
    Some(if operator { format!("({text})") } else { text.to_string() })
}

fn expression(written: &str, ty: &SqlType) -> String {
    if is_string(written) {
        return format!("{written}::{}", name(ty));
    }
    if written.strip_prefix('-').is_some_and(|digits| digits.trim_start().parse::<f64>().is_ok()) {
        let digits = written.replace(' ', "");
        return format!("'{digits}'::{}", name(ty));
    }
    if let Some(word) = KEYWORDS.iter().find(|k| k.eq_ignore_ascii_case(written)) {
        return (*word).to_string();
    }
    if *ty == SqlType::Boolean && (written.eq_ignore_ascii_case("true") || written.eq_ignore_ascii_case("false")) {
        return written.to_lowercase();
    }
    written.to_string()
}

/// One string literal and nothing else.
fn is_string(text: &str) -> bool {
    let inner = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    inner.is_some_and(|inner| !inner.replace("''", "").contains('\''))
}

/// The type of a constant: without modifier, for it was applied.
fn name(ty: &SqlType) -> String {
    match ty {
        SqlType::Char(_) => "bpchar".to_string(),
        SqlType::Varchar(_) => "character varying".to_string(),
        SqlType::Numeric(_) => "numeric".to_string(),
        SqlType::Array(item) => format!("{}[]", name(item)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{SqlType, expression};

    #[test]
    fn defaults_are_printed_as_postgresql_does() {
        let cases = [
            ("5", SqlType::Integer, "5"),
            ("-1", SqlType::Integer, "'-1'::integer"),
            ("'x'", SqlType::Varchar(Some(5)), "'x'::character varying"),
            ("'it''s'", SqlType::Text, "'it''s'::text"),
            ("'2024-01-01'", SqlType::Date, "'2024-01-01'::date"),
            ("'{}'", SqlType::Array(Box::new(SqlType::Text)), "'{}'::text[]"),
            ("TRUE", SqlType::Boolean, "true"),
            ("now()", SqlType::TimestampTz, "now()"),
            ("current_date", SqlType::Date, "CURRENT_DATE"),
            ("'a' || 'b'", SqlType::Text, "'a' || 'b'"),
            ("'ab'", SqlType::Char(3), "'ab'::bpchar"),
        ];
        for (written, ty, expected) in cases {
            assert_eq!(expression(written, &ty), expected);
        }
    }
}
