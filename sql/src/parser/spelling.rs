//! What PostgreSQL writes otherwise than sqlparser reads, respelled in the tokens of a statement. Each token keeps its
//! place in the text, for the positions of errors.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Whitespace};

use super::{fields, frames, grouping, inherited, joins, search, subqueries};

/// The tokens that sqlparser reads as PostgreSQL means.
pub(super) fn respelled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens = current_schema(symmetric(order_using(expand_table(joined_strings(signs(tokens))))));
    let tokens = joins::plain(grouping::plain(frames::plain(subqueries::plain(dropped(tokens)))));
    search::plain(inherited::plain(fields::plain(double_equals(precise_intervals(tokens)))))
}

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn significant(token: &&TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// `==` is an operator that PostgreSQL has not.
fn double_equals(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for token in tokens.iter_mut().filter(|t| t.token == Token::DoubleEq) {
        token.token = Token::CustomBinaryOperator("==".to_string());
    }
    tokens
}

/// `current_schema` is a function that is called by its name alone.
fn current_schema(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = tokens.len();
    while at > 0 {
        at -= 1;
        let named = matches!(&tokens[at].token, Token::Word(w)
            if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("current_schema"));
        let called = |t: &TokenWithSpan| matches!(t.token, Token::LParen | Token::Period);
        let next = tokens[at + 1..].iter().find(significant).is_some_and(called);
        let before = tokens[..at].iter().rev().find(significant).is_some_and(|t| t.token == Token::Period);
        if named && !next && !before {
            let end = Span::new(tokens[at].span.end, tokens[at].span.end);
            tokens.insert(at + 1, TokenWithSpan::new(Token::RParen, end));
            tokens.insert(at + 1, TokenWithSpan::new(Token::LParen, end));
        }
    }
    tokens
}

/// A sign at the end of an operator is a sign, unless the operator has one of the characters that no operator of SQL has:
/// `3>-1` (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS>).
fn signs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let signed = |text: &str| {
        text.len() > 1
            && text.ends_with(['+', '-'])
            && !text.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'])
    };
    let any = tokens.iter().any(|t| matches!(&t.token, Token::CustomBinaryOperator(text) if signed(text)));
    if !any {
        return tokens;
    }
    let mut split = Vec::with_capacity(tokens.len() + 1);
    for token in tokens {
        let Token::CustomBinaryOperator(text) = &token.token else {
            split.push(token);
            continue;
        };
        let mut operator = text.as_str();
        while signed(operator) {
            operator = &operator[..operator.len() - 1];
        }
        let place = |from: usize, to: usize| {
            let at = |n: usize| Location::new(token.span.start.line, token.span.start.column + n as u64);
            Span::new(at(from), at(to))
        };
        let known = match operator {
            "-" => Token::Minus,
            "+" => Token::Plus,
            "*" => Token::Mul,
            "/" => Token::Div,
            "<" => Token::Lt,
            ">" => Token::Gt,
            "=" => Token::Eq,
            "<=" => Token::LtEq,
            ">=" => Token::GtEq,
            "<>" => Token::Neq,
            "->" => Token::Arrow,
            "->>" => Token::LongArrow,
            "<<" => Token::ShiftLeft,
            ">>" => Token::ShiftRight,
            other => Token::CustomBinaryOperator(other.to_string()),
        };
        split.push(TokenWithSpan::new(known, place(0, operator.len())));
        for (n, sign) in text.bytes().enumerate().skip(operator.len()) {
            let sign = if sign == b'-' { Token::Minus } else { Token::Plus };
            split.push(TokenWithSpan::new(sign, place(n, n + 1)));
        }
    }
    split
}

/// `ORDER BY x USING <` is `ORDER BY x ASC`, with `>` it is DESC.
fn order_using(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 0..tokens.len() {
        if keyword(&tokens[at]) != Keyword::USING {
            continue;
        }
        let Some(next) = (at + 1..tokens.len()).find(|n| significant(&&tokens[*n])) else { continue };
        let direction = match tokens[next].token {
            Token::Lt => "ASC",
            Token::Gt => "DESC",
            _ => continue,
        };
        tokens[at].token = Token::make_keyword(direction);
        tokens[next].token = Token::Whitespace(Whitespace::Space);
    }
    tokens
}

/// `BETWEEN SYMMETRIC a AND b` gets a mark in front of a, an operator that nobody has; plan/rewrite/rows.rs knows it.
fn symmetric(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| significant(&&tokens[*n])).collect::<Vec<_>>();
    for window in places.windows(2) {
        let (between, how) = (window[0], window[1]);
        if keyword(&tokens[between]) != Keyword::BETWEEN {
            continue;
        }
        match keyword(&tokens[how]) {
            Keyword::SYMMETRIC => tokens[how].token = Token::DoubleExclamationMark,
            Keyword::ASYMMETRIC => tokens[how].token = Token::Whitespace(Whitespace::Space),
            _ => {}
        }
    }
    tokens
}

/// What says what holds anyway: `GROUP BY ALL` before grouping sets.
fn dropped(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let places = (0..tokens.len()).filter(|n| significant(&&tokens[*n])).collect::<Vec<_>>();
    let mut drop = Vec::new();
    for window in places.windows(3) {
        let [a, b, c] = [&tokens[window[0]], &tokens[window[1]], &tokens[window[2]]];
        if keyword(a) == Keyword::GROUP && keyword(b) == Keyword::BY && keyword(c) == Keyword::ALL {
            drop.push(window[2]);
        }
    }
    if drop.is_empty() {
        return tokens;
    }
    let kept = tokens.into_iter().enumerate().filter(|(n, _)| !drop.contains(n));
    kept.map(|(_, token)| token).collect()
}

/// String literals with a line's end between them are one
/// (<https://www.postgresql.org/docs/15/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS>).
fn joined_strings(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // Where the last string stands in `joined`, if only blanks came since; and whether a line ended among them.
    let mut open: Option<(usize, bool)> = None;
    for mut token in tokens {
        if let Token::NationalStringLiteral(text) = &mut token.token {
            token.token = Token::SingleQuotedString(std::mem::take(text));
        }
        match (&token.token, open) {
            (Token::Whitespace(Whitespace::MultiLineComment(_)), _) => open = None,
            (Token::Whitespace(blank), Some((at, ended))) => {
                let ends = matches!(blank, Whitespace::Newline | Whitespace::SingleLineComment { .. });
                open = Some((at, ended || ends));
            }
            (Token::SingleQuotedString(more), Some((at, true))) => {
                if let Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) = &mut joined[at].token {
                    text.push_str(more);
                }
                open = Some((at, false));
                continue;
            }
            (Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_), _) => open = Some((joined.len(), false)),
            _ => open = None,
        }
        joined.push(token);
    }
    joined
}

/// PostgreSQL's `TABLE t` as `SELECT * FROM t`: sqlparser reads it without its quotes, DataFusion not at all.
fn expand_table(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|t| keyword(t) == Keyword::TABLE) {
        return tokens;
    }
    let first = tokens.iter().find(significant).map_or(Keyword::NoKeyword, keyword);
    let (inserts, declares) = (first == Keyword::INSERT, first == Keyword::DECLARE);
    let mut expanded: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 2);
    for token in tokens {
        let begins = match expanded.iter().rev().find(significant) {
            None => true,
            Some(before) => {
                inserts
                    || before.token == Token::LParen
                    || (declares && keyword(before) == Keyword::FOR)
                    || matches!(
                        keyword(before),
                        Keyword::AS | Keyword::UNION | Keyword::ALL | Keyword::EXCEPT | Keyword::INTERSECT
                    )
            }
        };
        if !begins || keyword(&token) != Keyword::TABLE {
            expanded.push(token);
            continue;
        }
        for word in [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")] {
            expanded.push(TokenWithSpan { token: word, span: token.span });
        }
    }
    expanded
}

/// `INTERVAL (2) '1 day'` as `'1 day'::INTERVAL(2)`: sqlparser would drop the precision.
fn precise_intervals(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_interval =
        |t: &Token| matches!(t, Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::INTERVAL);
    if !tokens.iter().any(|t| is_interval(&t.token)) {
        return tokens;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_interval(&tokens[at].token) {
            let mut following = (at + 1..tokens.len()).filter(|n| !matches!(tokens[*n].token, Token::Whitespace(_)));
            let next: Vec<usize> = following.by_ref().take(4).collect();
            if let [open, digits, close, string] = next.as_slice()
                && tokens[*open].token == Token::LParen
                && matches!(tokens[*digits].token, Token::Number(..))
                && tokens[*close].token == Token::RParen
                && matches!(tokens[*string].token, Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_))
            {
                let string = tokens.remove(*string);
                let cast = TokenWithSpan { token: Token::DoubleColon, span: string.span };
                tokens.splice(at..at, [string, cast]);
                at += 2;
            }
        }
        at += 1;
    }
    tokens
}
