//! `FROM ONLY t` and `FROM t*`: without and with the tables that inherit from t
//! (<https://www.postgresql.org/docs/15/sql-select.html#SQL-FROM>). There are none, so both are `FROM t`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// What is known of the tokens within one pair of parentheses.
#[derive(Clone, Copy, Default)]
struct Level {
    /// A SELECT waits for its FROM.
    selects: bool,
    /// What is read is a FROM.
    from: bool,
}

/// Leaves ONLY and the stars out.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect::<Vec<_>>();
    let mut levels = vec![Level::default()];
    let mut blanks = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let before = at.checked_sub(1).map(|n| &tokens[places[n]]);
        let after = |n: usize| places.get(at + n).map(|p| &tokens[*p]);
        let Some(level) = levels.last_mut() else { return tokens };
        match (&tokens[*place].token, keyword(&tokens[*place])) {
            (Token::LParen, _) => {
                // A join in parentheses stands in the same FROM.
                let level = Level { selects: false, from: level.from && begins(before) };
                levels.push(level);
            }
            (Token::RParen, _) => {
                levels.pop();
            }
            (Token::SemiColon, _) => *level = Level::default(),
            (_, Keyword::SELECT) => *level = Level { selects: true, from: false },
            (_, Keyword::FROM) if level.selects && before.map(keyword) != Some(Keyword::DISTINCT) => {
                *level = Level { selects: false, from: true };
            }
            (
                _,
                Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::WINDOW
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
                | Keyword::FOR
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT,
            ) => level.from = false,
            (_, Keyword::DELETE) if matches!(after(1).map(keyword), Some(Keyword::FROM)) => {
                *level = Level { selects: true, from: false };
            }
            (_, Keyword::UPDATE) if !level.from => *level = Level { selects: false, from: true },
            (_, Keyword::SET) => level.from = false,
            (_, Keyword::ONLY) if level.from && begins(before) => match after(1).map(|t| &t.token) {
                Some(Token::Word(_)) => blanks.push(*place),
                Some(Token::LParen) if matches!(after(3).map(|t| &t.token), Some(Token::RParen)) => {
                    blanks.extend([*place, places[at + 1], places[at + 3]]);
                }
                _ => {}
            },
            (Token::Mul, _) if level.from && names_relation(&tokens, &places[..at]) => blanks.push(*place),
            _ => {}
        }
    }
    for place in blanks {
        tokens[place].token = Token::Whitespace(Whitespace::Space);
    }
    tokens
}

/// Whether a relation may stand behind such a token of a FROM.
fn begins(before: Option<&TokenWithSpan>) -> bool {
    before.is_some_and(|t| {
        matches!(t.token, Token::Comma | Token::LParen)
            || matches!(keyword(t), Keyword::FROM | Keyword::JOIN | Keyword::UPDATE)
    })
}

/// Whether the tokens end in a relation's name, behind a word that it follows.
fn names_relation(tokens: &[TokenWithSpan], places: &[usize]) -> bool {
    let mut rest = places.iter().rev().map(|p| &tokens[*p]);
    loop {
        if !matches!(rest.next().map(|t| &t.token), Some(Token::Word(_))) {
            return false;
        }
        match rest.next() {
            Some(dot) if dot.token == Token::Period => {}
            before => return begins(before),
        }
    }
}
