//! Frames of windows, where sqlparser reads less than PostgreSQL writes: `EXCLUDE …`, which it does not know, and bounds
//! that begin with a string (<https://www.postgresql.org/docs/15/sql-expressions.html#SYNTAX-WINDOW-FUNCTIONS>).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// What marks an exclusion, with the word for it behind: the last column of the window's ORDER BY. plan/rewrite/windows.rs
/// takes it off.
pub(crate) const EXCLUDE: &str = "__exclude_";

fn word(token: &TokenWithSpan) -> Option<&str> {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => Some(&w.value),
        _ => None,
    }
}

fn is(token: &TokenWithSpan, wanted: &str) -> bool {
    word(token).is_some_and(|w| w.eq_ignore_ascii_case(wanted))
}

/// Respells frames.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if tokens.iter().any(|t| is(t, "PRECEDING") || is(t, "FOLLOWING")) {
        tokens = nested_bounds(tokens);
    }
    let mut from = 0;
    while let Some(at) = tokens.iter().skip(from).position(|t| is(t, "EXCLUDE")).map(|n| n + from) {
        if let Some((frame, end, what)) = excluded(&tokens, at) {
            tokens = marked(tokens, frame, at, end, what);
        }
        // Another may be the name of a column.
        from = at + 1;
    }
    tokens
}

fn significant(tokens: &[TokenWithSpan]) -> Vec<usize> {
    (0..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_))).collect()
}

/// `'1 year'::interval PRECEDING` gets parentheses: sqlparser would take the string for an interval by itself.
fn nested_bounds(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = significant(&tokens);
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for window in places.windows(4) {
        let [a, b, c, d] = [&tokens[window[0]], &tokens[window[1]], &tokens[window[2]], &tokens[window[3]]];
        let cast = matches!(a.token, Token::SingleQuotedString(_)) && b.token == Token::DoubleColon;
        if cast && word(c).is_some() && (is(d, "PRECEDING") || is(d, "FOLLOWING")) {
            opens.push(window[0]);
            closes.push(window[2]);
        }
    }
    let mut out = Vec::with_capacity(tokens.len() + 2 * opens.len());
    for (n, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        if opens.contains(&n) {
            out.push(TokenWithSpan { token: Token::LParen, span });
        }
        out.push(token);
        if closes.contains(&n) {
            out.push(TokenWithSpan { token: Token::RParen, span });
        }
    }
    out
}

/// Of the EXCLUDE at `at`: where its frame begins, its last token, and what it excludes, if it is one of a frame.
fn excluded(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize, &'static str)> {
    let places = significant(tokens);
    let here = places.iter().position(|n| *n == at)?;
    let next = |n: usize| places.get(here + n).map(|p| (*p, &tokens[*p]));
    let (first, one) = next(1)?;
    let second = next(2);
    let follows = |what: &str| second.filter(|(_, t)| is(t, what)).map(|(n, _)| n);
    let (end, what) = if is(one, "TIES") {
        (first, "ties")
    } else if is(one, "GROUP") {
        (first, "group")
    } else if is(one, "CURRENT") {
        (follows("ROW")?, "current")
    } else if is(one, "NO") {
        (follows("OTHERS")?, "no")
    } else {
        return None;
    };
    let mut depth = 0;
    for n in places[..here].iter().rev() {
        match &tokens[*n].token {
            Token::RParen => depth += 1,
            Token::LParen => depth -= 1,
            Token::Word(w) if w.quote_style.is_none() && depth == 0 => {
                if matches!(w.keyword, Keyword::ROWS | Keyword::RANGE | Keyword::GROUPS) {
                    return Some((*n, end, what));
                }
            }
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

/// The tokens without the exclusion, and its mark in the ORDER BY before the frame.
fn marked(tokens: Vec<TokenWithSpan>, frame: usize, at: usize, end: usize, what: &str) -> Vec<TokenWithSpan> {
    let ordered = has_order(&tokens, frame);
    let mut out = Vec::with_capacity(tokens.len() + 4);
    for (n, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        if n == frame && what != "no" {
            let lead = match ordered {
                true => vec![Token::Comma],
                false => vec![Token::make_keyword("ORDER"), Token::make_keyword("BY")],
            };
            let mark = Token::make_word(&format!("{EXCLUDE}{what}"), Some('"'));
            let blank = Token::Whitespace(Whitespace::Space);
            out.extend(lead.into_iter().chain([mark, blank]).map(|token| TokenWithSpan { token, span }));
        }
        if n < at || n > end {
            out.push(token);
        }
    }
    out
}

/// Whether the window that the frame stands in has an ORDER BY of its own.
fn has_order(tokens: &[TokenWithSpan], frame: usize) -> bool {
    let mut depth = 0;
    for token in tokens[..frame].iter().rev() {
        match &token.token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return false,
            Token::LParen => depth -= 1,
            Token::Word(w) if depth == 0 && w.quote_style.is_none() && w.keyword == Keyword::ORDER => return true,
            _ => {}
        }
    }
    false
}
