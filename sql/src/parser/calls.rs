//! Calls that the SQL standard writes with words: what sqlparser does not know of them is said in commas here.
//!
//! `substring(x SIMILAR p ESCAPE e)`, `trim(BOTH FROM x)` and `f(a, VARIADIC b)`
//! (<https://www.postgresql.org/docs/15/functions-string.html>).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// What `VARIADIC x` becomes: a call that the planner takes off.
pub(crate) const VARIADIC: &str = "variadic_arguments";

/// One open parenthesis.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Substring,
    Trim,
    /// Of `VARIADIC`: one more closes with it.
    Variadic,
    Other,
}

fn word(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_ascii_uppercase()),
        _ => None,
    }
}

/// Rewrites such calls.
pub(super) fn plain_calls(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let special = |t: &TokenWithSpan| {
        word(t).is_some_and(|w| matches!(w.as_str(), "VARIADIC" | "SIMILAR" | "BOTH" | "LEADING" | "TRAILING" | "TRIM"))
    };
    if !tokens.iter().any(special) {
        return tokens;
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 4);
    let mut open: Vec<Open> = Vec::new();
    // The last two tokens that are no blanks, the nearer one first.
    let mut before: [Option<TokenWithSpan>; 2] = [None, None];
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if let Token::Whitespace(_) = token.token {
            out.push(token);
            continue;
        }
        let make = |made: Token| TokenWithSpan { token: made, span: token.span };
        let last = before[0].as_ref().and_then(word);
        let opened = before[0].as_ref().is_some_and(|t| t.token == Token::LParen);
        let inside = open.last().copied();
        match &token.token {
            Token::LParen => {
                open.push(match last.as_deref() {
                    Some("SUBSTRING") => Open::Substring,
                    Some("TRIM") => Open::Trim,
                    _ => Open::Other,
                });
                out.push(token.clone());
            }
            Token::RParen => {
                while open.last() == Some(&Open::Variadic) {
                    open.pop();
                    out.push(token.clone());
                }
                open.pop();
                out.push(token.clone());
            }
            _ => match (word(&token).as_deref(), inside) {
                (Some("VARIADIC"), Some(_))
                    if opened || before[0].as_ref().is_some_and(|t| t.token == Token::Comma) =>
                {
                    out.push(make(Token::make_word(VARIADIC, None)));
                    out.push(make(Token::LParen));
                    open.push(Open::Variadic);
                }
                (Some("SIMILAR"), Some(Open::Substring)) if !next_is_to(&mut rest, &mut out) => {
                    out.push(make(Token::Comma));
                }
                (Some("ESCAPE"), Some(Open::Substring)) => out.push(make(Token::Comma)),
                (Some("FROM"), Some(Open::Trim)) if opened => {}
                (Some("FROM"), Some(Open::Trim))
                    if matches!(last.as_deref(), Some("BOTH" | "LEADING" | "TRAILING"))
                        && before[1].as_ref().is_some_and(|t| t.token == Token::LParen) =>
                {
                    out.push(make(Token::SingleQuotedString(" ".to_string())));
                    out.push(make(Token::Whitespace(Whitespace::Space)));
                    out.push(make(Token::make_keyword("FROM")));
                }
                _ => out.push(token.clone()),
            },
        }
        before = [Some(token), before[0].take()];
    }
    out
}

/// Whether TO follows, which makes SIMILAR an operator; blanks on the way are moved to `out`.
fn next_is_to(rest: &mut std::iter::Peekable<std::vec::IntoIter<TokenWithSpan>>, out: &mut Vec<TokenWithSpan>) -> bool {
    while let Some(blank) = rest.next_if(|t| matches!(t.token, Token::Whitespace(_))) {
        out.push(blank);
    }
    matches!(rest.peek().map(|t| &t.token), Some(Token::Word(w)) if w.keyword == Keyword::TO)
}
