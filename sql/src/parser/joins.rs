//! Joins as PostgreSQL nests them: `a JOIN b JOIN c ON … ON …`, where sqlparser wants parentheses, and `USING (x) AS j`,
//! whose alias it does not know (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-FROM>).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// What marks the alias of a USING, the alias behind it: the last column of its list. plan/rewrite/joins.rs takes it off.
pub(crate) const ALIAS: &str = "__join_alias_";

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// One join that waits for its condition.
struct Pending {
    /// Where its right side begins, among the tokens.
    right: usize,
    /// Whether the right side is joined itself.
    joined: bool,
}

/// Respells joins.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|t| keyword(t) == Keyword::JOIN) {
        return tokens;
    }
    aliased(nested(tokens))
}

fn significant(tokens: &[TokenWithSpan]) -> Vec<usize> {
    (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect()
}

/// Puts parentheses around a right side that is joined before its own condition comes.
fn nested(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = significant(&tokens);
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    let mut levels: Vec<Vec<Pending>> = vec![Vec::new()];
    for (at, place) in places.iter().enumerate() {
        let token = &tokens[*place];
        let Some(level) = levels.last_mut() else { return tokens };
        match (&token.token, keyword(token)) {
            (Token::LParen, _) => levels.push(Vec::new()),
            (Token::RParen, _) => {
                levels.pop();
                if levels.is_empty() {
                    return tokens;
                }
            }
            (Token::Comma, _) | (_, Keyword::FROM | Keyword::WHERE | Keyword::SELECT) => level.clear(),
            (_, Keyword::JOIN) => {
                if let Some(last) = level.last_mut() {
                    last.joined = true;
                }
                let before = places[..at].iter().rev().map(|p| keyword(&tokens[*p]));
                let kind = before.take_while(|k| {
                    matches!(
                        k,
                        Keyword::LEFT
                            | Keyword::RIGHT
                            | Keyword::FULL
                            | Keyword::OUTER
                            | Keyword::INNER
                            | Keyword::CROSS
                            | Keyword::NATURAL
                    )
                });
                let bare = kind.into_iter().any(|k| matches!(k, Keyword::CROSS | Keyword::NATURAL));
                if let Some(right) = places.get(at + 1).filter(|_| !bare) {
                    level.push(Pending { right: *right, joined: false });
                }
            }
            (_, Keyword::ON | Keyword::USING) => {
                if let Some(join) = level.pop()
                    && join.joined
                {
                    opens.push(join.right);
                    closes.push(*place);
                }
            }
            _ => {}
        }
    }
    if opens.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 2 * opens.len());
    for (n, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let count = |of: &[usize]| of.iter().filter(|p| **p == n).count();
        out.extend((0..count(&closes)).map(|_| TokenWithSpan { token: Token::RParen, span }));
        out.extend((0..count(&opens)).map(|_| TokenWithSpan { token: Token::LParen, span }));
        out.push(token);
    }
    out
}

/// `USING (a, b) AS j` as `USING (a, b, "__join_alias_j")`.
fn aliased(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut from = 0;
    while let Some(using) = (from..tokens.len()).find(|n| keyword(&tokens[*n]) == Keyword::USING) {
        from = using + 1;
        let places = significant(&tokens[using..]).into_iter().map(|p| p + using).collect::<Vec<_>>();
        if places.get(1).is_none_or(|p| tokens[*p].token != Token::LParen) {
            continue;
        }
        let Some(close) = places.iter().position(|p| tokens[*p].token == Token::RParen) else { continue };
        let (Some(word), Some(name)) = (places.get(close + 1), places.get(close + 2)) else { continue };
        let Token::Word(alias) = &tokens[*name].token else { continue };
        if keyword(&tokens[*word]) != Keyword::AS {
            continue;
        }
        let folded = if alias.quote_style.is_some() { alias.value.clone() } else { alias.value.to_ascii_lowercase() };
        let (close, end, span) = (places[close], *name, tokens[*name].span);
        let mark = Token::make_word(&format!("{ALIAS}{folded}"), Some('"'));
        let made = [Token::Comma, mark, Token::RParen].map(|token| TokenWithSpan { token, span });
        tokens.splice(close..=end, made);
    }
    tokens
}
