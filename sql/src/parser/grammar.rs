//! What sqlparser reads and PostgreSQL does not: reserved words for names, commas with nothing behind them, habits of
//! other systems. sqlparser tries several readings, and complains where the last one failed; PostgreSQL reads one way,
//! and names the first word that cannot follow. This walks through the tokens once, and knows which words cannot.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// What is wrong, and where; at no place for the end of the text.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) at: Option<Location>,
    /// None for `syntax error at or near` the token.
    pub(super) message: Option<String>,
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    fn near(token: Option<&&TokenWithSpan>) -> Fault {
        Fault { at: token.map(|t| t.span.start), message: None, hint: None }
    }
}

/// Words that begin neither an expression nor an item of a list, wherever one must follow.
const NO_OPERAND: [&str; 37] = [
    "ANALYSE",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "COLLATE",
    "COLUMN",
    "CREATE",
    "DEFERRABLE",
    "DESC",
    "DO",
    "ELSE",
    "END",
    "EXCEPT",
    "FETCH",
    "FOR",
    "FROM",
    "GRANT",
    "GROUP",
    "HAVING",
    "IN",
    "INITIALLY",
    "INTERSECT",
    "INTO",
    "LIMIT",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PLACING",
    "RETURNING",
    "THEN",
    "TO",
    "UNION",
    "WHEN",
    "WHERE",
    "WINDOW",
];

/// Words behind an empty or a whole select list.
const AFTER_LIST: [&str; 13] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "INTO",
    "UNION",
    "INTERSECT",
];

/// Words that an operand must follow.
const BEFORE_OPERAND: [&str; 13] =
    ["AND", "OR", "WHERE", "HAVING", "WHEN", "THEN", "ELSE", "BY", "LIKE", "ILIKE", "BETWEEN", "LIMIT", "OFFSET"];

/// Words that name a table only in quotes.
const NO_ALIAS: [&str; 12] =
    ["ALL", "AND", "AS", "CASE", "DEFAULT", "END", "GROUP", "HAVING", "ORDER", "SELECT", "TABLE", "WHERE"];

/// What one pair of parentheses holds.
#[derive(Default)]
struct Level {
    /// The clause of a query, by its first word.
    clause: String,
    /// Where LIMIT stands.
    limit: Option<Location>,
    /// For each CASE that is open: WHEN waits for its THEN.
    cases: Vec<bool>,
    /// The word before the parenthesis.
    opener: String,
    /// The brackets of ARRAY[…].
    array: bool,
}

/// Looks through the tokens of one statement.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Option<Fault> {
    junk(tokens).or_else(|| {
        let significant = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF));
        Walk { tokens: significant.collect(), levels: vec![Level::default()] }.fault()
    })
}

/// `1a` is no number and no name.
fn junk(tokens: &[TokenWithSpan]) -> Option<Fault> {
    tokens.windows(2).find_map(|pair| {
        let (Token::Number(digits, _), Token::Word(word)) = (&pair[0].token, &pair[1].token) else { return None };
        let adjacent = pair[0].span.end == pair[1].span.start && word.quote_style.is_none();
        let first = word.value.chars().next().filter(|_| adjacent)?;
        let message = format!("trailing junk after numeric literal at or near \"{digits}{first}\"");
        Some(Fault { at: Some(pair[0].span.start), message: Some(message), hint: None })
    })
}

fn word(token: Option<&&TokenWithSpan>) -> String {
    match token.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() => w.value.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn is_string(token: Option<&&TokenWithSpan>) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)))
}

fn is(token: Option<&&TokenWithSpan>, wanted: &Token) -> bool {
    token.is_some_and(|t| t.token == *wanted)
}

/// A binary operator that needs a right side.
fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Div
            | Token::Mod
            | Token::StringConcat
    )
}

struct Walk<'a> {
    tokens: Vec<&'a TokenWithSpan>,
    levels: Vec<Level>,
}

impl Walk<'_> {
    fn fault(&mut self) -> Option<Fault> {
        let first = word(self.tokens.first());
        let query = matches!(first.as_str(), "SELECT" | "WITH" | "VALUES" | "INSERT" | "TABLE")
            || is(self.tokens.first(), &Token::LParen);
        let insert = first == "INSERT";
        for n in 0..=self.tokens.len() {
            let found = self.commas(n).or_else(|| if query { self.query(n, insert) } else { None });
            if found.is_some() {
                return found;
            }
            self.enter(n);
        }
        None
    }

    fn word(&self, n: usize) -> String {
        word(self.tokens.get(n))
    }

    fn before(&self, n: usize, back: usize) -> Option<&&TokenWithSpan> {
        n.checked_sub(back).and_then(|n| self.tokens.get(n))
    }

    fn near(&self, n: usize) -> Option<Fault> {
        Some(Fault::near(self.tokens.get(n)))
    }

    /// Keeps count of parentheses, clauses and CASE.
    fn enter(&mut self, n: usize) {
        let Some(token) = self.tokens.get(n).copied() else { return };
        let before = word(self.before(n, 1));
        let at_level = |levels: &mut Vec<Level>, f: &dyn Fn(&mut Level)| {
            if let Some(level) = levels.last_mut() {
                f(level);
            }
        };
        match &token.token {
            Token::LParen => self.levels.push(Level { opener: before, ..Level::default() }),
            Token::LBracket => {
                let array = before == "ARRAY" || self.levels.last().is_some_and(|l| l.array);
                self.levels.push(Level { array, ..Level::default() });
            }
            Token::RParen | Token::RBracket if self.levels.len() > 1 => {
                self.levels.pop();
            }
            Token::Word(_) => {
                let word = word(Some(&token));
                if is(self.before(n, 1), &Token::Period) {
                    return;
                }
                match word.as_str() {
                    "FROM" if before == "DISTINCT" => {}
                    "SELECT" | "FROM" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "OFFSET" | "FETCH"
                    | "WINDOW" | "VALUES" | "SET" | "ON" | "USING" | "JOIN" | "UNION" | "INTERSECT" | "EXCEPT" => {
                        let start = token.span.start;
                        at_level(&mut self.levels, &|level| {
                            level.clause.clone_from(&word);
                            level.limit = (word == "LIMIT").then_some(start);
                        });
                    }
                    "CASE" => at_level(&mut self.levels, &|level| level.cases.push(false)),
                    "WHEN" | "THEN" => at_level(&mut self.levels, &|level| {
                        if let Some(case) = level.cases.last_mut() {
                            *case = word == "WHEN";
                        }
                    }),
                    "END" => at_level(&mut self.levels, &|level| {
                        level.cases.pop();
                    }),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// A comma, or NOT, with nothing behind it.
    fn commas(&self, n: usize) -> Option<Fault> {
        let token = self.tokens.get(n);
        let comma = is(self.before(n, 1), &Token::Comma);
        let closes = matches!(token.map(|t| &t.token), None | Some(Token::RParen | Token::RBracket | Token::Comma));
        let before = self.before(n, 1)?;
        let not = word(Some(before)) == "NOT" && matches!(token.map(|t| &t.token), None | Some(Token::RParen));
        let not = not && !is(self.before(n, 2), &Token::Period);
        ((comma && closes && n > 1) || not).then(|| self.near(n)).flatten()
    }

    fn query(&self, n: usize, insert: bool) -> Option<Fault> {
        let level = self.levels.last()?;
        let token = self.tokens.get(n);
        let (word, previous, second) = (self.word(n), word(self.before(n, 1)), word(self.before(n, 2)));
        if is(self.before(n, 1), &Token::Period) || is(token, &Token::Period) {
            return None;
        }
        // A name like `t.limit`.
        let previous = if is(self.before(n, 2), &Token::Period) { String::new() } else { previous };
        let illegal = NO_OPERAND.contains(&word.as_str());
        let operand_due = self.before(n, 1).is_some_and(|t| is_operator(&t.token))
            || BEFORE_OPERAND.contains(&previous.as_str())
                && (previous != "BY" || matches!(second.as_str(), "ORDER" | "GROUP" | "PARTITION"));
        let after_comma = is(self.before(n, 1), &Token::Comma);
        let after_cast = is(self.before(n, 1), &Token::DoubleColon);
        if illegal && (operand_due || after_comma || after_cast) {
            return self.near(n);
        }
        if operand_due && matches!(token.map(|t| &t.token), None | Some(Token::RParen)) && !previous.is_empty() {
            return self.near(n);
        }
        let wanted: Option<bool> = match previous.as_str() {
            "SELECT" if illegal && !AFTER_LIST.contains(&word.as_str()) && word != "EXCEPT" => Some(false),
            "SELECT" if word == "TABLE" => Some(false),
            "ORDER" if second != "INTO" => Some(word == "BY"),
            "GROUP" if second == "WITHIN" => Some(is(token, &Token::LParen)),
            "GROUP" if !matches!(second.as_str(), "EXCLUDE" | "INTO") => Some(word == "BY"),
            "PARTITION" if level.opener == "OVER" && is(self.before(n, 2), &Token::LParen) => Some(word == "BY"),
            "DISTINCT" if second == "IS" || (second == "NOT" && self.word_before(n, 3) == "IS") => Some(word == "FROM"),
            "DISTINCT" | "ALL" if matches!(word.as_str(), "DISTINCT" | "ALL") => Some(false),
            "DISTINCT" if is(token, &Token::Mul) && is(self.before(n, 2), &Token::LParen) => Some(false),
            "WITH" | "RECURSIVE" if word == "SELECT" => Some(false),
            "FROM" if illegal || word == "SELECT" && level.clause == "FROM" => Some(false),
            "FROM" if is_string(token) && level.clause == "FROM" && is_select_level(level) => Some(false),
            "TIME" if second == "AT" => Some(word == "ZONE"),
            "FILTER" if is(self.before(n, 2), &Token::RParen) && word == "WHERE" => Some(false),
            "FETCH" if level.clause == "FETCH" => Some(matches!(word.as_str(), "FIRST" | "NEXT")),
            "ROW" | "ROWS" if level.clause == "FETCH" => Some(matches!(word.as_str(), "ONLY" | "WITH")),
            "AS" if is_string(token) && !matches!(level.opener.as_str(), "CAST") => Some(false),
            "AS" if level.clause == "FROM" && NO_ALIAS.contains(&word.as_str()) => Some(false),
            "TOP" if second == "SELECT" && is_number(token) => Some(false),
            "INTERVAL" | "DATE" | "TIMESTAMP" if is_number(token) => Some(false),
            _ => None,
        };
        if wanted == Some(false) {
            return self.near(n);
        }
        if is(self.before(n, 1), &Token::LParen) {
            let wrong = match word.as_str() {
                "AS" | "AND" | "OR" | "THEN" | "ELSE" | "END" | "WHEN" | "IN" | "ON" => true,
                "FROM" => level.opener != "TRIM",
                _ => level.opener == "FILTER" && is(self.before(n, 3), &Token::RParen) && word != "WHERE",
            };
            let empty = is(token, &Token::RParen)
                && matches!(level.opener.as_str(), "COALESCE" | "GREATEST" | "LEAST" | "NULLIF" | "ON");
            if wrong || empty {
                return self.near(n);
            }
        }
        self.lists(n, level, insert)
    }

    fn word_before(&self, n: usize, back: usize) -> String {
        word(self.before(n, back))
    }

    /// Faults between items: what may stand behind `*`, in LIMIT, in brackets, in the middle of a CASE.
    fn lists(&self, n: usize, level: &Level, insert: bool) -> Option<Fault> {
        let token = self.tokens.get(n)?;
        let (word, previous) = (self.word(n), self.word_before(n, 1));
        let begins_item = |t: Option<&&TokenWithSpan>| {
            is(t, &Token::Comma) || matches!(self::word(t).as_str(), "SELECT" | "DISTINCT" | "ALL")
        };
        let starred = is(self.before(n, 1), &Token::Mul) && level.clause == "SELECT" && begins_item(self.before(n, 2));
        if starred && !word.is_empty() && !AFTER_LIST.contains(&word.as_str()) && word != "EXCEPT" {
            return self.near(n);
        }
        if token.token == Token::Comma
            && let Some(at) = level.limit
            && level.clause == "LIMIT"
        {
            let message = "LIMIT #,# syntax is not supported".to_string();
            let hint = Some("Use separate LIMIT and OFFSET clauses.");
            return Some(Fault { at: Some(at), message: Some(message), hint });
        }
        if token.token == Token::LBracket && !level.array {
            let after_value = match self.before(n, 1).map(|t| &t.token) {
                Some(Token::Word(w)) => {
                    w.quote_style.is_some() || !matches!(w.keyword, Keyword::SELECT | Keyword::WHERE)
                }
                Some(Token::Comma | Token::LParen) | None => false,
                Some(other) => !is_operator(other),
            };
            if !after_value {
                return self.near(n);
            }
        }
        if token.token == Token::Colon {
            let after_value = match self.before(n, 1).map(|t| &t.token) {
                Some(Token::Word(w)) => !BEFORE_OPERAND.contains(&previous.as_str()) && w.keyword != Keyword::SELECT,
                Some(Token::Comma | Token::LParen) | None => false,
                Some(other) => !is_operator(other),
            };
            if !after_value {
                return self.near(n);
            }
        }
        if let Some(waits) = level.cases.last() {
            let wrong = match word.as_str() {
                "ELSE" | "END" => *waits,
                "FROM" => previous != "DISTINCT" && level.opener != "EXTRACT",
                _ => false,
            };
            if wrong && !is(self.before(n, 1), &Token::Period) {
                return self.near(n);
            }
        }
        if insert && self.levels.len() == 1 && word == "VALUE" && is(self.tokens.get(n + 1), &Token::LParen) && n > 2 {
            return self.near(n);
        }
        let columns = insert && self.levels.len() == 2 && !self.tokens[..n].iter().any(|t| is_source(t));
        if columns && is_string(Some(token)) {
            return self.near(n);
        }
        None
    }
}

/// Whether FROM is that of a query, and not of a function's words.
fn is_select_level(level: &Level) -> bool {
    !matches!(level.opener.as_str(), "EXTRACT" | "TRIM" | "SUBSTRING" | "OVERLAY" | "POSITION")
}

fn is_number(token: Option<&&TokenWithSpan>) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Number(..)))
}

/// What the rows of an INSERT begin with.
fn is_source(token: &TokenWithSpan) -> bool {
    matches!(word(Some(&token)).as_str(), "VALUES" | "SELECT" | "WITH" | "TABLE" | "DEFAULT")
}
