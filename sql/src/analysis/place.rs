//! Where in the text of a statement a part of it stands. sqlparser keeps the places of words and literals; those of
//! operators and keywords are found among the tokens, which are made only once an error needs them.

use std::cell::OnceCell;

use datafusion::sql::sqlparser::ast::{self, CastKind, Expr, Spanned};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The text of a statement, and its tokens.
#[derive(Debug)]
pub(super) struct Places<'a> {
    text: &'a str,
    tokens: OnceCell<Vec<TokenWithSpan>>,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Places<'a> {
        Places { text, tokens: OnceCell::new() }
    }

    /// Whether the text is not known.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Characters from 1.
    pub(super) fn position(&self, at: Location) -> Option<usize> {
        (at.line > 0).then(|| crate::parser::char_position(self.text, at.line, at.column))
    }

    fn tokens(&self) -> &[TokenWithSpan] {
        self.tokens.get_or_init(|| {
            let tokens = Tokenizer::new(&PostgreSqlDialect {}, self.text).tokenize_with_location().unwrap_or_default();
            tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect()
        })
    }

    fn index(&self, at: Location) -> usize {
        self.tokens().partition_point(|t| (t.span.start.line, t.span.start.column) < (at.line, at.column))
    }

    fn word(&self, index: usize) -> Option<String> {
        match &self.tokens().get(index)?.token {
            Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_uppercase()),
            _ => None,
        }
    }

    fn start_of(&self, index: usize) -> Location {
        self.tokens().get(index).map_or(Location::new(0, 0), |t| t.span.start)
    }

    /// The last token before a place that is no opening parenthesis or bracket.
    fn before(&self, at: Location) -> usize {
        let mut index = self.index(at);
        while index > 0 {
            index -= 1;
            if !matches!(self.tokens()[index].token, Token::LParen) {
                break;
            }
        }
        index
    }

    /// The operator in front of an operand; of several words the first, with the NOT before them.
    pub(super) fn operator(&self, right: Location) -> Location {
        let mut index = self.before(right);
        while let Some(word) = self.word(index) {
            let goes_on = matches!(
                word.as_str(),
                "SYMMETRIC" | "ASYMMETRIC" | "FROM" | "DISTINCT" | "NOT" | "TO" | "ANY" | "ALL" | "SOME"
            ) && index > 0;
            if goes_on {
                index -= 1;
                continue;
            }
            if matches!(word.as_str(), "IN" | "LIKE" | "ILIKE" | "BETWEEN" | "SIMILAR")
                && index > 0
                && self.word(index - 1).as_deref() == Some("NOT")
            {
                index -= 1;
            }
            break;
        }
        // `OPERATOR(pg_catalog.=)` stands at its first word.
        if matches!(self.tokens().get(index).map(|t| &t.token), Some(Token::RParen)) {
            let open = (0..index).rev().find(|i| self.tokens()[*i].token == Token::LParen);
            if let Some(open) = open.filter(|o| *o > 0 && self.word(o - 1).as_deref() == Some("OPERATOR")) {
                index = open - 1;
            }
        }
        self.start_of(index)
    }

    /// The `::` or CAST of a cast.
    pub(super) fn cast(&self, kind: &CastKind, inner: &Expr) -> Location {
        match kind {
            CastKind::DoubleColon => {
                let tokens = self.tokens();
                let mut index = self.index(inner.span().end);
                while index < tokens.len() && tokens[index].token != Token::DoubleColon {
                    index += 1;
                }
                self.start_of(index)
            }
            _ => self.word_before(self.start(inner), "CAST"),
        }
    }

    /// The type that a cast at this place names.
    pub(super) fn cast_type(&self, cast: Location) -> Location {
        let index = self.index(cast);
        match self.tokens().get(index).map(|t| &t.token) {
            Some(Token::DoubleColon) => self.start_of(index + 1),
            _ => (index..self.tokens().len())
                .find(|i| self.word(*i).as_deref() == Some("AS"))
                .map_or(cast, |i| self.start_of(i + 1)),
        }
    }

    /// The type behind a column's name; with `digits` the number in its parentheses.
    pub(super) fn type_after(&self, name: Location, digits: bool) -> Location {
        self.start_of(self.index(name) + if digits { 2 } else { 0 })
    }

    /// The comma before an argument.
    pub(super) fn comma_before(&self, argument: &Expr) -> Location {
        self.start_of(self.before(self.start(argument)))
    }

    /// The parenthesis that closes the first one behind a place.
    pub(super) fn closing(&self, from: Location) -> Location {
        let mut depth = 0;
        for index in self.index(from)..self.tokens().len() {
            match self.tokens()[index].token {
                Token::LParen => depth += 1,
                Token::RParen => {
                    depth -= 1;
                    if depth == 0 {
                        return self.start_of(index);
                    }
                }
                _ => {}
            }
        }
        from
    }

    /// The first `ARRAY[]`.
    fn empty_array(&self) -> Location {
        let found = (0..self.tokens().len()).find(|i| {
            let is = |n: usize, t: &Token| self.tokens().get(i + n).is_some_and(|x| x.token == *t);
            self.word(*i).as_deref() == Some("ARRAY") && is(1, &Token::LBracket) && is(2, &Token::RBracket)
        });
        found.map_or(Location::new(0, 0), |i| self.start_of(i))
    }

    /// What follows a place, and its text; none at the end.
    pub(super) fn following(&self, after: Location) -> Option<(Location, String)> {
        let token = self.tokens().get(self.index(after)).filter(|t| t.token != Token::EOF)?;
        Some((token.span.start, token.token.to_string()))
    }

    /// The end of the text, as a position.
    pub(super) fn end(&self) -> usize {
        self.text.chars().count() + 1
    }

    /// The nearest such word before a place.
    pub(super) fn word_before(&self, at: Location, word: &str) -> Location {
        let found = (0..self.index(at)).rev().find(|i| self.word(*i).as_deref() == Some(word));
        found.map_or(at, |i| self.start_of(i))
    }

    /// The token right before a place.
    fn previous(&self, at: Location) -> Location {
        self.start_of(self.index(at).saturating_sub(1))
    }

    /// The parenthesis that opens a subquery.
    pub(super) fn subquery(&self, query: &ast::Query) -> Location {
        self.previous(query.span().start)
    }

    /// The first word of a type's name before its literal.
    fn type_name(&self, at: Location) -> Location {
        let mut index = self.index(at);
        while index > 0 {
            let before = &self.tokens()[index - 1].token;
            let part = match before {
                Token::Word(w) => {
                    w.quote_style.is_some()
                        || !matches!(
                            w.value.to_uppercase().as_str(),
                            "SELECT"
                                | "AND"
                                | "OR"
                                | "NOT"
                                | "WHERE"
                                | "BETWEEN"
                                | "THEN"
                                | "ELSE"
                                | "WHEN"
                                | "ON"
                                | "BY"
                                | "IN"
                                | "HAVING"
                                | "VALUES"
                                | "FROM"
                                | "LIKE"
                                | "AS"
                                | "CASE"
                                | "DISTINCT"
                                | "SET"
                        )
                }
                Token::Period => true,
                _ => false,
            };
            if !part {
                break;
            }
            index -= 1;
        }
        self.start_of(index)
    }

    /// Where an expression begins, as PostgreSQL counts it: parentheses around it are not part of it.
    pub(super) fn start(&self, expr: &Expr) -> Location {
        match expr {
            Expr::Nested(inner) => self.start(inner),
            Expr::UnaryOp { expr: inner, .. } => self.start_of(self.before(self.start(inner))),
            Expr::Cast { kind: CastKind::DoubleColon, expr: inner, .. } => self.start(inner),
            Expr::Cast { expr: inner, .. } => self.word_before(self.start(inner), "CAST"),
            Expr::Case { case_token, .. } => case_token.0.span.start,
            Expr::Exists { subquery, negated } => {
                let exists = self.word_before(subquery.span().start, "EXISTS");
                if *negated { self.previous(exists) } else { exists }
            }
            Expr::Subquery(query) => self.subquery(query),
            Expr::Array(array) => match array.elem.first() {
                Some(first) if array.named => self.word_before(self.start(first), "ARRAY"),
                None => self.empty_array(),
                _ => expr.span().start,
            },
            Expr::Tuple(items) => match items.first() {
                Some(first) => {
                    let open = self.previous(self.start(first));
                    let before = self.index(open).checked_sub(1);
                    match before.filter(|i| self.word(*i).as_deref() == Some("ROW")) {
                        Some(row) => self.start_of(row),
                        None => open,
                    }
                }
                None => expr.span().start,
            },
            Expr::TypedString(typed) => self.type_name(typed.value.span.start),
            Expr::Interval(interval) => self.word_before(self.start(&interval.value), "INTERVAL"),
            Expr::Extract { expr: inner, .. } => self.word_before(self.start(inner), "EXTRACT"),
            Expr::Ceil { expr: inner, .. } => self.start_of(self.before(self.start(inner))),
            Expr::Floor { expr: inner, .. } => self.start_of(self.before(self.start(inner))),
            Expr::Position { expr: inner, .. } => self.word_before(self.start(inner), "POSITION"),
            Expr::Overlay { expr: inner, .. } => self.word_before(self.start(inner), "OVERLAY"),
            Expr::Trim { expr: inner, .. } => self.word_before(self.start(inner), "TRIM"),
            Expr::Substring { expr: inner, .. } => self.start_of(self.before(self.start(inner))),
            Expr::Function(f) => f.name.span().start,
            Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => self.start(left),
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::IsDistinctFrom(e, _)
            | Expr::IsNotDistinctFrom(e, _)
            | Expr::InList { expr: e, .. }
            | Expr::InSubquery { expr: e, .. }
            | Expr::Between { expr: e, .. }
            | Expr::Like { expr: e, .. }
            | Expr::ILike { expr: e, .. }
            | Expr::SimilarTo { expr: e, .. }
            | Expr::Collate { expr: e, .. }
            | Expr::AtTimeZone { timestamp: e, .. }
            | Expr::CompoundFieldAccess { root: e, .. } => self.start(e),
            other => other.span().start,
        }
    }
}
