//! Queries in parentheses within expressions, where sqlparser expects a SELECT: `(VALUES (1))` and
//! `((SELECT 1) UNION SELECT 2)` become a `SELECT * FROM (…)`
//! (<https://www.postgresql.org/docs/15/sql-expressions.html#SQL-SYNTAX-SCALAR-SUBQUERIES>).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// What the query is called within the one that is made around it.
const ALIAS: &str = "__query";

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Respells such queries.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect::<Vec<_>>();
    let closing = closing(&tokens, &places);
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for (at, place) in places.iter().enumerate() {
        if tokens[*place].token != Token::LParen || at == 0 {
            continue;
        }
        let Some(close) = closing[at] else { continue };
        let before = &tokens[places[at - 1]];
        if is_expression(before) && is_query(&tokens, &places, &closing, at) {
            opens.push(*place);
            closes.push(places[close]);
        }
    }
    if opens.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 5 * opens.len());
    for (n, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        out.push(token);
        if opens.contains(&n) {
            let words = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM"), Token::LParen];
            out.extend(words.map(|token| TokenWithSpan { token, span }));
        }
        if closes.contains(&n) {
            let words = [Token::make_word(ALIAS, Some('"')), Token::RParen];
            out.extend(words.map(|token| TokenWithSpan { token, span }));
        }
    }
    out
}

/// For each open parenthesis the place of the one that closes it.
fn closing(tokens: &[TokenWithSpan], places: &[usize]) -> Vec<Option<usize>> {
    let mut closing = vec![None; places.len()];
    let mut open = Vec::new();
    for (at, place) in places.iter().enumerate() {
        match tokens[*place].token {
            Token::LParen => open.push(at),
            Token::RParen => {
                if let Some(start) = open.pop() {
                    closing[start] = Some(at);
                }
            }
            _ => {}
        }
    }
    closing
}

/// Whether an expression stands behind such a token, and not a relation or a query.
fn is_expression(before: &TokenWithSpan) -> bool {
    use Keyword as K;
    match &before.token {
        Token::Word(w) if w.quote_style.is_none() => matches!(
            w.keyword,
            K::SELECT
                | K::IN
                | K::ANY
                | K::SOME
                | K::ALL
                | K::EXISTS
                | K::ARRAY
                | K::NOT
                | K::AND
                | K::OR
                | K::WHEN
                | K::THEN
                | K::ELSE
                | K::CASE
                | K::WHERE
                | K::HAVING
                | K::BY
                | K::LIMIT
                | K::OFFSET
                | K::BETWEEN
                | K::ON
                | K::IS
                | K::LIKE
        ),
        Token::LParen | Token::Comma => true,
        Token::RParen | Token::SemiColon | Token::Number(..) | Token::SingleQuotedString(_) => false,
        Token::Word(_) => false,
        _ => true,
    }
}

/// Whether the parentheses hold VALUES, or a query in parentheses that something follows.
fn is_query(tokens: &[TokenWithSpan], places: &[usize], closing: &[Option<usize>], at: usize) -> bool {
    let Some(next) = places.get(at + 1) else { return false };
    if keyword(&tokens[*next]) == Keyword::VALUES {
        return true;
    }
    let mut inner = at + 1;
    if tokens[places[inner]].token != Token::LParen {
        return false;
    }
    let Some(end) = closing[inner] else { return false };
    while places.get(inner).is_some_and(|p| tokens[*p].token == Token::LParen) {
        inner += 1;
    }
    let starts = places.get(inner).map_or(Keyword::NoKeyword, |p| keyword(&tokens[*p]));
    let follows = places.get(end + 1).map_or(Keyword::NoKeyword, |p| keyword(&tokens[*p]));
    matches!(starts, Keyword::SELECT | Keyword::VALUES | Keyword::WITH)
        && matches!(
            follows,
            Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
        )
}
