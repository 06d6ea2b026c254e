//! Grouping sets, which PostgreSQL nests and sqlparser does not: each becomes a call that plan/rewrite/grouping.rs expands
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html#QUERIES-GROUPING-SETS>).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// `GROUPING SETS (…)`.
pub(crate) const SETS: &str = "__grouping_sets";
pub(crate) const ROLLUP: &str = "__rollup";
pub(crate) const CUBE: &str = "__cube";
/// `()`.
pub(crate) const EMPTY: &str = "__no_columns";
/// `GROUP BY DISTINCT`.
pub(crate) const DISTINCT: &str = "__distinct_sets";

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Respells the sets of each GROUP BY.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect::<Vec<_>>();
    let word = |name: &str| Token::make_word(name, Some('"'));
    let mut inserts: Vec<(usize, Vec<Token>)> = Vec::new();
    // Of each open parenthesis: whether sets may stand in it; the last is where the tokens are now.
    let mut open = vec![false];
    let mut at = 0;
    while at < places.len() {
        let here = places[at];
        let next = |n: usize| places.get(at + n).map_or(Keyword::NoKeyword, |p| keyword(&tokens[*p]));
        let follows = |n: usize, token: &Token| places.get(at + n).is_some_and(|p| tokens[*p].token == *token);
        let inside = open.last().copied().unwrap_or(false);
        match &tokens[here].token {
            Token::LParen => {
                let empty = follows(1, &Token::RParen);
                let begins = at > 0
                    && (matches!(tokens[places[at - 1]].token, Token::Comma | Token::LParen)
                        || keyword(&tokens[places[at - 1]]) == Keyword::BY);
                if inside && empty && begins {
                    inserts.push((here, vec![word(EMPTY)]));
                }
                open.push(inside);
            }
            Token::RParen => {
                open.pop();
                if open.is_empty() {
                    open.push(false);
                }
            }
            _ => match keyword(&tokens[here]) {
                Keyword::GROUP if next(1) == Keyword::BY => {
                    if let Some(top) = open.last_mut() {
                        *top = true;
                    }
                    if next(2) == Keyword::DISTINCT {
                        let place = places[at + 2];
                        tokens[place].token = word(DISTINCT);
                        inserts.push((place + 1, vec![Token::LParen, Token::RParen, Token::Comma]));
                    }
                    at += 1;
                }
                Keyword::HAVING
                | Keyword::WINDOW
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::SELECT
                | Keyword::FETCH
                | Keyword::OFFSET => {
                    if let Some(top) = open.last_mut() {
                        *top = false;
                    }
                }
                Keyword::GROUPING if inside && next(1) == Keyword::SETS && follows(2, &Token::LParen) => {
                    tokens[here].token = word(SETS);
                    let sets = places[at + 1];
                    tokens[sets].token = Token::Whitespace(Whitespace::Space);
                    at += 1;
                }
                Keyword::ROLLUP if inside && follows(1, &Token::LParen) => tokens[here].token = word(ROLLUP),
                Keyword::CUBE if inside && follows(1, &Token::LParen) => tokens[here].token = word(CUBE),
                _ => {}
            },
        }
        at += 1;
    }
    for (place, made) in inserts.into_iter().rev() {
        let span = tokens[place.min(tokens.len() - 1)].span;
        tokens.splice(place..place, made.into_iter().map(|token| TokenWithSpan { token, span }));
    }
    tokens
}
