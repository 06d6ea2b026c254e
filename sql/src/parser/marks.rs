//! The text of a stored query as its user reads it: what the parser has respelled for sqlparser is said in PostgreSQL's
//! words again, for `pg_get_viewdef` and its kin.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::{calls, fields, frames, grouping, joins};

/// The text without the marks.
pub(crate) fn shown(text: &str) -> String {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).with_unescape(false).tokenize();
    let Ok(tokens) = tokens else { return text.to_string() };
    let mut out = String::with_capacity(text.len());
    // What stands before and behind the end of each open parenthesis, and whether it is one of the user's.
    let mut open: Vec<Open> = vec![Open::default()];
    let mut next = Open::default();
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            Token::LParen => {
                let opened = std::mem::take(&mut next);
                if !opened.made {
                    out.push('(');
                }
                open.push(opened);
            }
            Token::RParen => {
                let closed = open.pop().unwrap_or_default();
                out.push_str(&closed.before);
                if !closed.made {
                    out.push(')');
                }
                out.push_str(&closed.behind);
            }
            Token::Word(word) if word.value == calls::VARIADIC => {
                out.push_str("VARIADIC ");
                next.made = true;
            }
            Token::Word(word) if word.quote_style.is_some() => match word.value.as_str() {
                grouping::SETS => out.push_str("GROUPING SETS "),
                grouping::ROLLUP => out.push_str("ROLLUP "),
                grouping::CUBE => out.push_str("CUBE "),
                grouping::EMPTY => {}
                fields::ALL => out.push('*'),
                grouping::DISTINCT => {
                    out.push_str("DISTINCT");
                    // An empty call, and the comma behind it.
                    while rest.next_if(|t| matches!(t, Token::LParen | Token::RParen | Token::Whitespace(_))).is_some()
                    {
                    }
                    rest.next_if(|t| **t == Token::Comma);
                }
                name => {
                    let Some(around) = open.last_mut() else { continue };
                    if let Some(alias) = name.strip_prefix(joins::ALIAS) {
                        unlist(&mut out);
                        around.behind = format!(" AS {alias}");
                    } else if let Some(what) = name.strip_prefix(frames::EXCLUDE) {
                        unlist(&mut out);
                        let bare = out.strip_suffix("ORDER BY").map(|b| b.trim_end().len());
                        out.truncate(bare.unwrap_or(out.len()));
                        around.before = match what {
                            "current" => " EXCLUDE CURRENT ROW".to_string(),
                            "no" => " EXCLUDE NO OTHERS".to_string(),
                            what => format!(" EXCLUDE {}", what.to_uppercase()),
                        };
                    } else {
                        out.push_str(&token.to_string());
                    }
                }
            },
            other => out.push_str(&other.to_string()),
        }
    }
    out
}

#[derive(Default)]
struct Open {
    before: String,
    behind: String,
    made: bool,
}

/// Takes the comma off that stands before a mark at the end of a list.
fn unlist(out: &mut String) {
    let kept = out.trim_end().trim_end_matches(',').trim_end().len();
    out.truncate(kept);
}
