//! A `jsonpath` as a tree.

use crate::text::pattern::Pattern;

use super::lexer::{Word, fault, words};
use crate::error::FunctionError;
use crate::json::lexer::{Result, check_depth};

/// How deep a path may nest: a guard of the stack.
const DEPTH_MAX: usize = 128;

/// A parsed path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(super) lax: bool,
    pub(super) root: Node,
}

/// An expression: its head, and what is done with each of its items in turn.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) head: Head,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Head {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Variable(String),
    Root,
    Current,
    Last,
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    /// Whether negated.
    Signed(bool, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsUnknown(Box<Node>),
    Exists(Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    StartsWith(Box<Node>, Box<Node>),
    LikeRegex(Box<Node>, Pattern),
    /// In parentheses, with steps behind.
    Nested(Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    KeyValue,
    Datetime,
}

#[derive(Debug)]
pub(super) enum Step {
    Member(String),
    AnyMember,
    AnyItem,
    /// From and, if a range, to.
    Items(Vec<(Node, Option<Node>)>),
    /// The levels; none for the last one.
    Any(Option<u32>, Option<u32>),
    Filter(Box<Node>),
    Method(Method),
}

impl Head {
    /// Whether it is true, false or unknown, rather than a set of items.
    pub(super) fn is_predicate(&self) -> bool {
        matches!(
            self,
            Head::And(..)
                | Head::Or(..)
                | Head::Not(_)
                | Head::IsUnknown(_)
                | Head::Exists(_)
                | Head::Compare(..)
                | Head::StartsWith(..)
                | Head::LikeRegex(..)
        )
    }
}

impl Node {
    fn of(head: Head) -> Node {
        Node { head, steps: vec![] }
    }

    pub(super) fn is_predicate(&self) -> bool {
        self.steps.is_empty() && self.head.is_predicate()
    }
}

/// Reads a path.
///
/// # Errors
/// 42601, 22P02 for an empty one.
pub(crate) fn parse(text: &str) -> Result<Path> {
    let words = words(text)?;
    if words.is_empty() {
        let message = format!("invalid input syntax for type jsonpath: \"{text}\"");
        return Err(Box::new(FunctionError::new("22P02", message)));
    }
    let mut parser = Parser { words, at: 0, depth: 0, filters: 0, subscripts: 0 };
    let lax = if parser.take_name("strict") {
        false
    } else {
        parser.take_name("lax");
        true
    };
    let root = parser.or()?;
    match parser.at == parser.words.len() {
        true => Ok(Path { lax, root }),
        false => Err(parser.unexpected()),
    }
}

struct Parser {
    words: Vec<(Word, String)>,
    at: usize,
    depth: usize,
    /// How many filters stand around: `@` has a meaning only inside one.
    filters: usize,
    /// How many subscripts stand around: `last` has a meaning only inside one.
    subscripts: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|(w, _)| w)
    }

    fn unexpected(&self) -> Box<FunctionError> {
        fault("syntax error", self.words.get(self.at).map_or("", |(_, written)| written))
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn is_name(&self, ahead: usize, name: &str) -> bool {
        // Words of the language are known in any case, except those that are values.
        let known = |n: &String| match name {
            "true" | "false" | "null" => n == name,
            _ => n.eq_ignore_ascii_case(name),
        };
        matches!(self.words.get(self.at + ahead), Some((Word::Name(n), _)) if known(n))
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(0, name);
        self.at += usize::from(found);
        found
    }

    fn predicate(&self, node: Node) -> Result<Box<Node>> {
        if node.is_predicate() { Ok(Box::new(node)) } else { Err(self.unexpected()) }
    }

    fn value(&self, node: Node) -> Result<Box<Node>> {
        if node.is_predicate() { Err(self.unexpected()) } else { Ok(Box::new(node)) }
    }

    fn or(&mut self) -> Result<Node> {
        self.depth += 1;
        check_depth(self.depth, DEPTH_MAX)?;
        let mut left = self.and()?;
        while self.take("||") {
            let a = self.predicate(left)?;
            let right = self.and()?;
            left = Node::of(Head::Or(a, self.predicate(right)?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Node> {
        let mut left = self.comparison()?;
        while self.take("&&") {
            let a = self.predicate(left)?;
            let right = self.comparison()?;
            left = Node::of(Head::And(a, self.predicate(right)?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Node> {
        if self.take("!") {
            let inner = if self.is_name(0, "exists") {
                self.exists()?
            } else {
                self.expect("(")?;
                let inner = self.or()?;
                self.expect(")")?;
                inner
            };
            return Ok(Node::of(Head::Not(self.predicate(inner)?)));
        }
        let left = self.sum()?;
        if left.is_predicate() {
            return Ok(left);
        }
        let comparison = match self.peek() {
            Some(Word::Sign("==")) => Comparison::Equal,
            Some(Word::Sign("!=" | "<>")) => Comparison::NotEqual,
            Some(Word::Sign("<")) => Comparison::Less,
            Some(Word::Sign("<=")) => Comparison::LessOrEqual,
            Some(Word::Sign(">")) => Comparison::Greater,
            Some(Word::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(Word::Name(n)) if n.eq_ignore_ascii_case("starts") => return self.starts_with(left),
            Some(Word::Name(n)) if n.eq_ignore_ascii_case("like_regex") => return self.like_regex(left),
            _ => return Ok(left),
        };
        self.at += 1;
        let right = self.sum()?;
        Ok(Node::of(Head::Compare(comparison, Box::new(left), self.value(right)?)))
    }

    fn starts_with(&mut self, left: Node) -> Result<Node> {
        self.at += 1;
        if !self.take_name("with") {
            return Err(self.unexpected());
        }
        let initial = match self.peek().cloned() {
            Some(Word::Text(text)) => Head::Text(text),
            Some(Word::Variable(name)) => Head::Variable(name),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(Node::of(Head::StartsWith(Box::new(left), Box::new(Node::of(initial)))))
    }

    fn like_regex(&mut self, left: Node) -> Result<Node> {
        self.at += 1;
        let Some(Word::Text(pattern)) = self.peek().cloned() else { return Err(self.unexpected()) };
        self.at += 1;
        let mut flags = String::new();
        if self.take_name("flag") {
            let Some(Word::Text(given)) = self.peek().cloned() else { return Err(self.unexpected()) };
            self.at += 1;
            flags = given;
        }
        Ok(Node::of(Head::LikeRegex(Box::new(left), regex(&pattern, &flags)?)))
    }

    fn sum(&mut self) -> Result<Node> {
        let mut left = self.product()?;
        loop {
            let op = match self.peek() {
                Some(Word::Sign("+")) => Arithmetic::Add,
                Some(Word::Sign("-")) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            let a = self.value(left)?;
            self.at += 1;
            let right = self.product()?;
            left = Node::of(Head::Arithmetic(op, a, self.value(right)?));
        }
    }

    fn product(&mut self) -> Result<Node> {
        let mut left = self.signed()?;
        loop {
            let op = match self.peek() {
                Some(Word::Sign("*")) => Arithmetic::Multiply,
                Some(Word::Sign("/")) => Arithmetic::Divide,
                Some(Word::Sign("%")) => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            let a = self.value(left)?;
            self.at += 1;
            let right = self.signed()?;
            left = Node::of(Head::Arithmetic(op, a, self.value(right)?));
        }
    }

    fn signed(&mut self) -> Result<Node> {
        let negative = match self.peek() {
            Some(Word::Sign("-")) => true,
            Some(Word::Sign("+")) => false,
            _ => return self.accessor(),
        };
        self.at += 1;
        self.depth += 1;
        check_depth(self.depth, DEPTH_MAX)?;
        let inner = self.signed()?;
        self.depth -= 1;
        Ok(Node::of(Head::Signed(negative, self.value(inner)?)))
    }

    fn exists(&mut self) -> Result<Node> {
        self.at += 1;
        self.expect("(")?;
        let inner = self.or()?;
        let inner = self.value(inner)?;
        self.expect(")")?;
        Ok(Node::of(Head::Exists(inner)))
    }

    fn accessor(&mut self) -> Result<Node> {
        if self.is_name(0, "exists") {
            return self.exists();
        }
        let head = self.primary()?;
        let mut steps = Vec::new();
        while let Some(step) = self.step()? {
            steps.push(step);
        }
        match head {
            Head::Nested(inner) if steps.is_empty() => Ok(*inner),
            head => Ok(Node { head, steps }),
        }
    }

    fn primary(&mut self) -> Result<Head> {
        let Some(word) = self.peek().cloned() else { return Err(self.unexpected()) };
        let head = match word {
            Word::Sign("(") => {
                self.at += 1;
                let inner = self.or()?;
                self.expect(")")?;
                if inner.is_predicate() && self.is_name(0, "is") && self.is_name(1, "unknown") {
                    self.at += 2;
                    return Ok(Head::Nested(Box::new(Node::of(Head::IsUnknown(Box::new(inner))))));
                }
                return Ok(Head::Nested(Box::new(inner)));
            }
            Word::Sign("$") => Head::Root,
            Word::Sign("@") if self.filters == 0 => {
                return Err(Box::new(FunctionError::new("42601", "@ is not allowed in root expressions")));
            }
            Word::Sign("@") => Head::Current,
            Word::Text(text) => Head::Text(text),
            Word::Number(n, _) => Head::Number(n),
            Word::Variable(name) => Head::Variable(name),
            Word::Name(_) if self.is_name(0, "null") => Head::Null,
            Word::Name(_) if self.is_name(0, "true") => Head::Bool(true),
            Word::Name(_) if self.is_name(0, "false") => Head::Bool(false),
            Word::Name(_) if self.is_name(0, "last") => {
                if self.subscripts == 0 {
                    return Err(Box::new(FunctionError::new("42601", "LAST is allowed only in array subscripts")));
                }
                Head::Last
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(head)
    }

    fn step(&mut self) -> Result<Option<Step>> {
        if self.take("?") {
            self.expect("(")?;
            self.filters += 1;
            let inner = self.or()?;
            self.filters -= 1;
            let inner = self.predicate(inner)?;
            self.expect(")")?;
            return Ok(Some(Step::Filter(inner)));
        }
        if self.take("[") {
            if self.take("*") {
                self.expect("]")?;
                return Ok(Some(Step::AnyItem));
            }
            let mut items = Vec::new();
            self.subscripts += 1;
            loop {
                let from = self.sum()?;
                let from = *self.value(from)?;
                let to = if self.take_name("to") {
                    let to = self.sum()?;
                    Some(*self.value(to)?)
                } else {
                    None
                };
                items.push((from, to));
                if !self.take(",") {
                    break;
                }
            }
            self.subscripts -= 1;
            self.expect("]")?;
            return Ok(Some(Step::Items(items)));
        }
        if !self.take(".") {
            return Ok(None);
        }
        if self.take("*") {
            return Ok(Some(Step::AnyMember));
        }
        if self.take("**") {
            return self.levels().map(Some);
        }
        let Some(Word::Name(name) | Word::Text(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
        let is_name = matches!(self.peek(), Some(Word::Name(_)));
        let call = is_name && matches!(self.words.get(self.at + 1), Some((Word::Sign("("), _)));
        self.at += 1;
        if !call {
            return Ok(Some(Step::Member(name)));
        }
        let method = match name.to_ascii_lowercase().as_str() {
            "type" => Method::Type,
            "size" => Method::Size,
            "abs" => Method::Abs,
            "floor" => Method::Floor,
            "ceiling" => Method::Ceiling,
            "double" => Method::Double,
            "keyvalue" => Method::KeyValue,
            "datetime" => Method::Datetime,
            _ => return Err(self.unexpected()),
        };
        self.expect("(")?;
        if method == Method::Datetime && matches!(self.peek(), Some(Word::Text(_))) {
            let message = "a template in .datetime() is not supported";
            return Err(Box::new(FunctionError::new("0A000", message)));
        }
        self.expect(")")?;
        Ok(Some(Step::Method(method)))
    }

    /// The levels of `**`: `{1}`, `{1 to last}`.
    fn levels(&mut self) -> Result<Step> {
        if !self.take("{") {
            return Ok(Step::Any(Some(0), None));
        }
        let from = self.level()?;
        let to = if self.take_name("to") { self.level()? } else { from };
        self.expect("}")?;
        Ok(Step::Any(from, to))
    }

    fn level(&mut self) -> Result<Option<u32>> {
        if self.take_name("last") {
            return Ok(None);
        }
        let Some(Word::Number(n, true)) = self.peek() else { return Err(self.unexpected()) };
        let level = n.parse().map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(Some(level))
    }
}

/// An expression of `like_regex`, by the flags of XQuery.
fn regex(pattern: &str, flags: &str) -> Result<Pattern> {
    let mut ours = String::new();
    let literal = flags.contains('q');
    for flag in flags.chars() {
        match flag {
            'i' => ours.push('i'),
            'm' if !literal => ours.push('n'),
            'q' => ours.push('q'),
            's' | 'm' => {}
            'x' if literal => {}
            'x' => {
                let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
                return Err(Box::new(FunctionError::new("0A000", message)));
            }
            other => {
                return Err(Box::new(
                    FunctionError::new("42601", "invalid input syntax for type jsonpath")
                        .detail(format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.")),
                ));
            }
        }
    }
    crate::text::pattern::compile(pattern, &ours).map_err(Box::new)
}
