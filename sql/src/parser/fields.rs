//! `(x).*`, all fields of a row (<https://www.postgresql.org/docs/15/rowtypes.html#ROWTYPES-ACCESSING>): a field by a name
//! that nobody can write, which [`starred`] finds.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The name that stands for all fields.
pub(super) const ALL: &str = "\u{1}*";

/// Puts the name in the place of the star.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect::<Vec<_>>();
    for window in places.windows(3) {
        let [before, dot, star] = [window[0], window[1], window[2]];
        let closes = matches!(tokens[before].token, Token::RParen | Token::RBracket);
        if closes && tokens[dot].token == Token::Period && tokens[star].token == Token::Mul {
            tokens[star].token = Token::make_word(ALL, Some('"'));
        }
    }
    tokens
}

/// Whether a field's name stands for all fields.
fn is_all(access: &AccessExpr) -> bool {
    matches!(access, AccessExpr::Dot(Expr::Identifier(name)) if name.value == ALL)
}

/// The row of which all fields are asked for: what stands before the star, and further steps from there.
pub(crate) fn starred(expr: &Expr) -> Option<(&Expr, &[AccessExpr])> {
    match expr {
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.as_slice() {
            [steps @ .., last] if is_all(last) => Some((root, steps)),
            _ => None,
        },
        _ => None,
    }
}
