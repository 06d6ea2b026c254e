//! `SEARCH … SET` and `CYCLE … SET … USING` behind a WITH query
//! (<https://www.postgresql.org/docs/15/queries-with.html#QUERIES-WITH-SEARCH>), which sqlparser does not know: they travel
//! as the last name in the query's list of columns.

use datafusion::sql::sqlparser::ast::{Cte, Ident};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// What the name begins with, and what stands between its words.
const MARK: char = '\u{1}';

/// `SEARCH { DEPTH | BREADTH } FIRST BY columns SET sequence`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Search {
    pub breadth: bool,
    pub columns: Vec<String>,
    pub sequence: String,
}

/// `CYCLE columns SET mark [ TO value DEFAULT default ] USING path`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cycle {
    pub columns: Vec<String>,
    pub mark: String,
    /// The text of the two values.
    pub values: Option<(String, String)>,
    pub path: String,
}

/// The clauses behind a WITH query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clauses {
    pub search: Option<Search>,
    pub cycle: Option<Cycle>,
}

impl Clauses {
    /// The columns that they add.
    pub(crate) fn added(&self) -> Vec<String> {
        let cycle = self.cycle.iter().flat_map(|c| [c.mark.clone(), c.path.clone()]);
        self.search.iter().map(|s| s.sequence.clone()).chain(cycle).collect()
    }

    fn encode(&self) -> String {
        let mut words = Vec::new();
        if let Some(search) = &self.search {
            words.extend(["search".to_string(), search.breadth.to_string(), search.columns.len().to_string()]);
            words.extend(search.columns.iter().cloned());
            words.push(search.sequence.clone());
        }
        if let Some(cycle) = &self.cycle {
            words.extend(["cycle".to_string(), cycle.columns.len().to_string()]);
            words.extend(cycle.columns.iter().cloned());
            words.extend([cycle.mark.clone(), cycle.path.clone()]);
            words.extend(cycle.values.iter().flat_map(|(a, b)| [a.clone(), b.clone()]));
        }
        words.iter().map(|w| format!("{MARK}{w}")).collect()
    }

    fn decode(text: &str) -> Option<Clauses> {
        let mut words = text.strip_prefix(MARK)?.split(MARK).map(str::to_string);
        let mut clauses = Clauses::default();
        let mut word = words.next();
        if word.as_deref() == Some("search") {
            let breadth = words.next()? == "true";
            let count = words.next()?.parse().ok()?;
            let columns = words.by_ref().take(count).collect();
            clauses.search = Some(Search { breadth, columns, sequence: words.next()? });
            word = words.next();
        }
        if word.as_deref() == Some("cycle") {
            let count = words.next()?.parse().ok()?;
            let columns = words.by_ref().take(count).collect();
            let (mark, path) = (words.next()?, words.next()?);
            let values = words.next().and_then(|value| Some((value, words.next()?)));
            clauses.cycle = Some(Cycle { columns, mark, values, path });
        }
        Some(clauses)
    }
}

/// The clauses of a WITH query, if it has some.
pub(crate) fn clauses(cte: &Cte) -> Option<Clauses> {
    Clauses::decode(&cte.alias.columns.last()?.name.value)
}

/// Puts names in the place of the clauses.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let asked = |t: &TokenWithSpan| is(t, "SEARCH") || is(t, "CYCLE");
    if !tokens.iter().any(|t| is(t, "WITH")) || !tokens.iter().any(asked) {
        return tokens;
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // Where parentheses open, and where the last one that closed did.
    let mut opens = Vec::new();
    let mut closed = None;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if let Some(open) = closed
            && asked(token)
            && let Some((clauses, end)) = (Reader { tokens: &tokens, at }).clauses()
            && add_column(&mut out, open, &clauses.encode(), token)
        {
            at = end;
            closed = None;
            continue;
        }
        match token.token {
            Token::Whitespace(_) => {}
            Token::LParen => {
                opens.push(out.len());
                closed = None;
            }
            Token::RParen => closed = opens.pop(),
            _ => closed = None,
        }
        out.push(token.clone());
        at += 1;
    }
    out
}

/// Puts a name behind the columns of the WITH query whose text opens there; false if it is none.
fn add_column(out: &mut Vec<TokenWithSpan>, open: usize, name: &str, place: &TokenWithSpan) -> bool {
    let before = |end: usize| (0..end).rev().find(|n| !matches!(out[*n].token, Token::Whitespace(_)));
    let Some(mut at) = before(open) else { return false };
    for word in ["MATERIALIZED", "NOT"] {
        if is(&out[at], word)
            && let Some(earlier) = before(at)
        {
            at = earlier;
        }
    }
    if !is(&out[at], "AS") {
        return false;
    }
    let Some(last) = before(at) else { return false };
    let name = Token::make_word(name, Some('"'));
    let (place_of, words) = match &out[last].token {
        Token::RParen => (last, vec![Token::Comma, name]),
        Token::Word(_) => (last + 1, vec![Token::LParen, name, Token::RParen]),
        _ => return false,
    };
    let words = words.into_iter().map(|token| TokenWithSpan { token, span: place.span });
    out.splice(place_of..place_of, words);
    true
}

fn is(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Reads the clauses from a place on.
struct Reader<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl Reader<'_> {
    fn clauses(mut self) -> Option<(Clauses, usize)> {
        let mut clauses = Clauses::default();
        if self.takes("SEARCH") {
            let breadth = match () {
                () if self.takes("BREADTH") => true,
                () if self.takes("DEPTH") => false,
                () => return None,
            };
            self.expects("FIRST")?;
            self.expects("BY")?;
            let columns = self.names()?;
            self.expects("SET")?;
            clauses.search = Some(Search { breadth, columns, sequence: self.name()? });
        }
        let before = self.at;
        if self.takes("CYCLE") {
            match self.cycle() {
                Some(cycle) => clauses.cycle = Some(cycle),
                None => self.at = before,
            }
        }
        (clauses != Clauses::default()).then_some((clauses, self.at))
    }

    fn cycle(&mut self) -> Option<Cycle> {
        let columns = self.names()?;
        self.expects("SET")?;
        let mark = self.name()?;
        let values = match self.takes("TO") {
            true => Some((self.text_up_to("DEFAULT")?, self.text_up_to("USING")?)),
            false => {
                self.expects("USING")?;
                None
            }
        };
        Some(Cycle { columns, mark, values, path: self.name()? })
    }

    fn skip(&mut self) {
        while matches!(self.tokens.get(self.at).map(|t| &t.token), Some(Token::Whitespace(_))) {
            self.at += 1;
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        let before = self.at;
        self.skip();
        let found = self.tokens.get(self.at).is_some_and(|t| is(t, word));
        self.at = if found { self.at + 1 } else { before };
        found
    }

    fn expects(&mut self, word: &str) -> Option<()> {
        self.takes(word).then_some(())
    }

    fn name(&mut self) -> Option<String> {
        self.skip();
        let Token::Word(word) = &self.tokens.get(self.at)?.token else { return None };
        let reserved = word.quote_style.is_none() && matches!(word.keyword, Keyword::SET | Keyword::USING);
        if reserved {
            return None;
        }
        self.at += 1;
        let ident = Ident { value: word.value.clone(), quote_style: word.quote_style, span: self.tokens[0].span };
        Some(crate::plan::fold(&ident))
    }

    fn names(&mut self) -> Option<Vec<String>> {
        let mut names = vec![self.name()?];
        loop {
            let before = self.at;
            self.skip();
            if self.tokens.get(self.at).map(|t| &t.token) != Some(&Token::Comma) {
                self.at = before;
                return Some(names);
            }
            self.at += 1;
            names.push(self.name()?);
        }
    }

    /// The text of a value, and the word behind it.
    fn text_up_to(&mut self, word: &str) -> Option<String> {
        let from = self.at;
        let end = (from..self.tokens.len()).find(|n| is(&self.tokens[*n], word))?;
        self.at = end + 1;
        Some(self.tokens[from..end].iter().map(|t| t.token.to_string()).collect::<String>().trim().to_string())
    }
}
