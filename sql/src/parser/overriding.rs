//! `OVERRIDING { SYSTEM | USER } VALUE` of INSERT (<https://www.postgresql.org/docs/15/sql-insert.html>), which sqlparser does
//! not know: [`plain`] makes it a column of the list, which [`taken`] takes out of the tree again.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What an INSERT says of values for identity columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// They are taken, also where they are GENERATED ALWAYS.
    System,
    /// They are left out.
    User,
}

const MARKS: [(&str, Overriding); 2] =
    [("overriding system value", Overriding::System), ("overriding user value", Overriding::User)];

fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// The words as a column.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words = |at: usize| {
        let next = |from: usize| {
            let space = tokens[from..].iter().take_while(|t| matches!(t.token, Token::Whitespace(_))).count();
            from + space
        };
        let (second, kind) = (next(at + 1), |n| if is_word(tokens.get(n), "SYSTEM") { MARKS[0].0 } else { MARKS[1].0 });
        let third = next((second + 1).min(tokens.len()));
        let known = is_word(tokens.get(second), "SYSTEM") || is_word(tokens.get(second), "USER");
        (known && is_word(tokens.get(third), "VALUE")).then(|| (third, kind(second)))
    };
    let begins = tokens.iter().find(|t| !matches!(t.token, Token::Whitespace(_)));
    if !is_word(begins, "INSERT") && !is_word(begins, "WITH") {
        return tokens;
    }
    let Some(at) = tokens.iter().position(|t| is_word(Some(t), "OVERRIDING")) else { return tokens };
    let Some((end, mark)) = words(at) else { return tokens };
    let span = tokens[at].span;
    let made = |token| TokenWithSpan::new(token, span);
    let column = Token::Word(Word { value: mark.to_string(), quote_style: Some('"'), keyword: Keyword::NoKeyword });
    let before = tokens[..at].iter().rposition(|t| !matches!(t.token, Token::Whitespace(_)));
    let mut plain = tokens;
    match before {
        Some(list) if plain[list].token == Token::RParen => {
            plain.drain(at..=end);
            plain.splice(list..list, [made(Token::Comma), made(column)]);
        }
        _ => {
            plain.splice(at..=end, [made(Token::LParen), made(column), made(Token::RParen)]);
        }
    }
    plain
}

/// Takes the column out again, and notes what it stood for where only other systems' INSERTs have something.
pub(super) fn taken(insert: &mut ast::Insert) {
    let last = insert.columns.last().and_then(|c| c.0.first()).and_then(|p| p.as_ident());
    let found = MARKS.iter().find(|(mark, _)| last.is_some_and(|i| i.quote_style.is_some() && i.value == *mark));
    if let Some((_, overriding)) = found {
        insert.columns.pop();
        insert.or = Some(match overriding {
            Overriding::System => ast::SqliteOnConflict::Fail,
            Overriding::User => ast::SqliteOnConflict::Ignore,
        });
    }
}

/// What an INSERT says, as [`taken`] has noted it: no text makes the parser set it.
pub fn overriding(insert: &ast::Insert) -> Option<Overriding> {
    match insert.or {
        Some(ast::SqliteOnConflict::Fail) => Some(Overriding::System),
        Some(ast::SqliteOnConflict::Ignore) => Some(Overriding::User),
        _ => None,
    }
}
