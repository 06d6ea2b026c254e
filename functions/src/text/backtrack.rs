//! Regular expressions with back references and look-around, which the `regex` crate refuses: a small machine that goes
//! back where it went wrong, with a limit on its steps.
//!
//! An expression becomes a program of [`Op`]s: [`Parser`] writes it, [`Program::find`] runs it. Bracket expressions and
//! class escapes are left to the `regex` crate, one character at a time. Of alternatives the first that leads to a match
//! is taken (<https://www.postgresql.org/docs/15/functions-matching.html#POSIX-SYNTAX-DETAILS>).

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::pattern::{Options, translate};

/// Where the match and its groups are, in bytes.
pub(super) type Groups = Vec<Option<Range<usize>>>;

/// The steps of one search.
const STEPS_MAX: usize = 1_000_000;
/// The longest program: counted repetitions are written out.
const OPS_MAX: usize = 100_000;
/// PostgreSQL's limit on the numbers of `{m,n}`.
const REPEAT_MAX: usize = 255;

/// Why there is no program or no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// PostgreSQL's words for it.
    Syntax(&'static str),
    TooManySteps,
}

#[derive(Clone, Debug)]
enum Op {
    Char(char),
    /// Any character; not a line end if `false`.
    Any(bool),
    /// A character that the expression matches.
    Class(Regex),
    /// Goes on at the first; if that leads nowhere, at the second.
    Split(usize, usize),
    Jump(usize),
    Save(usize),
    /// Remembers the place in a register.
    Mark(usize),
    /// Fails if nothing was taken since the mark.
    Progress(usize),
    At(Place),
    Back(usize),
    /// Looks ahead or behind with the ops up to `end`, and goes on there.
    Look {
        behind: bool,
        negative: bool,
        end: usize,
    },
    Done,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Start,
    End,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    ops: Vec<Op>,
    groups: usize,
    marks: usize,
    insensitive: bool,
}

impl Program {
    /// Compiles the expression, which must not have embedded options in front any more.
    pub(super) fn new(pattern: &str, options: &Options) -> Result<Program, Fault> {
        let chars = pattern.chars().collect::<Vec<_>>();
        let program = Program { ops: vec![], groups: 1, marks: 0, insensitive: options.insensitive };
        let mut parser = Parser { chars: &chars, at: 0, options, program };
        parser.emit(Op::Save(0))?;
        parser.alternatives()?;
        if parser.at < chars.len() {
            return Err(Fault::Syntax("parentheses () not balanced"));
        }
        parser.emit(Op::Save(1))?;
        parser.emit(Op::Done)?;
        Ok(parser.program)
    }

    /// The first match from a byte on.
    pub(super) fn find(&self, text: &str, from: usize) -> Result<Option<Groups>, Fault> {
        let mut steps = 0;
        let starts = text[from..].char_indices().map(|(at, _)| from + at).chain([text.len()]);
        for start in starts {
            let mut run = Run { program: self, text, steps: &mut steps, until: None };
            let state = State { saves: vec![None; self.groups * 2], marks: vec![usize::MAX; self.marks] };
            if let Some(state) = run.from(0, start, state)? {
                let group = |pair: &[Option<usize>]| Some(pair[0]?..pair[1]?);
                return Ok(Some(state.saves.chunks(2).map(group).collect()));
            }
        }
        Ok(None)
    }
}

#[derive(Clone)]
struct State {
    saves: Vec<Option<usize>>,
    marks: Vec<usize>,
}

struct Run<'a> {
    program: &'a Program,
    text: &'a str,
    steps: &'a mut usize,
    /// A look behind must end here.
    until: Option<usize>,
}

impl Run<'_> {
    /// Runs from an op and a place to [`Op::Done`]; the state then, or none if there is no way.
    fn from(&mut self, op: usize, at: usize, state: State) -> Result<Option<State>, Fault> {
        let mut waiting = vec![(op, at, state)];
        while let Some((mut op, mut at, mut state)) = waiting.pop() {
            loop {
                *self.steps += 1;
                if *self.steps > STEPS_MAX {
                    return Err(Fault::TooManySteps);
                }
                let next = self.text[at..].chars().next();
                let taken = |yes: bool| next.filter(|_| yes).map(char::len_utf8);
                let length = match &self.program.ops[op] {
                    Op::Done => match self.until {
                        Some(until) if until != at => None,
                        _ => return Ok(Some(state)),
                    },
                    Op::Char(c) => taken(next.is_some_and(|n| self.same(n, *c))),
                    Op::Any(lines) => taken(next.is_some_and(|n| *lines || n != '\n')),
                    Op::Class(class) => {
                        let mut buffer = [0; 4];
                        taken(next.is_some_and(|n| class.is_match(n.encode_utf8(&mut buffer))))
                    }
                    Op::Split(first, second) => {
                        waiting.push((*second, at, state.clone()));
                        op = *first;
                        continue;
                    }
                    Op::Jump(to) => {
                        op = *to;
                        continue;
                    }
                    Op::Save(n) => {
                        state.saves[*n] = Some(at);
                        Some(0)
                    }
                    Op::Mark(n) => {
                        state.marks[*n] = at;
                        Some(0)
                    }
                    Op::Progress(n) => (state.marks[*n] != at).then_some(0),
                    Op::At(place) => self.is_at(*place, at).then_some(0),
                    Op::Back(n) => self.back(*n, at, &state),
                    Op::Look { behind, negative, end } => {
                        let seen = self.look(op + 1, at, *behind, &state)?;
                        if seen.is_some() == *negative {
                            None
                        } else {
                            state = seen.unwrap_or(state);
                            op = *end;
                            continue;
                        }
                    }
                };
                match length {
                    Some(length) => (op, at) = (op + 1, at + length),
                    None => break,
                }
            }
        }
        Ok(None)
    }

    fn look(&mut self, op: usize, at: usize, behind: bool, state: &State) -> Result<Option<State>, Fault> {
        let until = behind.then_some(at);
        let mut inner = Run { program: self.program, text: self.text, steps: self.steps, until };
        if !behind {
            return inner.from(op, at, state.clone());
        }
        for (start, _) in self.text[..at].char_indices().chain([(at, ' ')]) {
            if let Some(found) = inner.from(op, start, state.clone())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn same(&self, a: char, b: char) -> bool {
        a == b || (self.program.insensitive && a.to_lowercase().eq(b.to_lowercase()))
    }

    /// The length of the text that a group matched, if it stands here again.
    fn back(&self, group: usize, at: usize, state: &State) -> Option<usize> {
        let (start, end) = ((*state.saves.get(group * 2)?)?, (*state.saves.get(group * 2 + 1)?)?);
        let wanted = &self.text[start..end];
        if !self.program.insensitive {
            return self.text[at..].starts_with(wanted).then_some(wanted.len());
        }
        let mut rest = self.text[at..].chars();
        let all = wanted.chars().all(|w| rest.next().is_some_and(|r| self.same(r, w)));
        all.then(|| self.text.len() - at - rest.as_str().len())
    }

    fn is_at(&self, place: Place, at: usize) -> bool {
        let (before, after) = (self.text[..at].chars().next_back(), self.text[at..].chars().next());
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (left, right) = (word(before), word(after));
        match place {
            Place::Start => before.is_none(),
            Place::End => after.is_none(),
            Place::LineStart => before.is_none_or(|c| c == '\n'),
            Place::LineEnd => after.is_none_or(|c| c == '\n'),
            Place::WordStart => !left && right,
            Place::WordEnd => left && !right,
            Place::WordEdge => left != right,
            Place::NoWordEdge => left == right,
        }
    }
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    options: &'a Options,
    program: Program,
}

impl Parser<'_> {
    fn emit(&mut self, op: Op) -> Result<usize, Fault> {
        if self.program.ops.len() >= OPS_MAX {
            return Err(Fault::Syntax("regular expression is too complex"));
        }
        self.program.ops.push(op);
        Ok(self.program.ops.len() - 1)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(n, c)| self.chars.get(self.at + n) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn alternatives(&mut self) -> Result<(), Fault> {
        let mut ends = Vec::new();
        loop {
            let split = self.emit(Op::Done)?;
            self.sequence()?;
            if !self.take("|") {
                self.program.ops[split] = Op::Jump(split + 1);
                break;
            }
            ends.push(self.emit(Op::Done)?);
            let next = self.program.ops.len();
            self.program.ops[split] = Op::Split(split + 1, next);
        }
        let end = self.program.ops.len();
        ends.into_iter().for_each(|jump| self.program.ops[jump] = Op::Jump(end));
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), Fault> {
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            if self.options.verbose && c.is_whitespace() {
                self.at += 1;
                continue;
            }
            if self.options.verbose && c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
                continue;
            }
            let (start, groups) = (self.program.ops.len(), self.program.groups);
            let (from, repeats) = (self.at, self.atom()?);
            let Some((least, most, lazy)) = self.quantifier()? else { continue };
            if !repeats {
                return Err(Fault::Syntax("quantifier operand invalid"));
            }
            let behind = self.at;
            self.program.ops.truncate(start);
            self.repeat((from, groups), least, most, lazy)?;
            self.at = behind;
        }
        Ok(())
    }

    /// Writes the atom at a place again; its groups keep their numbers.
    fn again(&mut self, (from, groups): (usize, usize)) -> Result<(), Fault> {
        let seen = self.program.groups;
        (self.at, self.program.groups) = (from, groups);
        self.atom()?;
        self.program.groups = self.program.groups.max(seen);
        Ok(())
    }

    fn repeat(&mut self, atom: (usize, usize), least: usize, most: Option<usize>, lazy: bool) -> Result<(), Fault> {
        let choice = |stay: usize, leave: usize| if lazy { Op::Split(leave, stay) } else { Op::Split(stay, leave) };
        for _ in 0..least {
            self.again(atom)?;
        }
        match most {
            None => {
                let split = self.emit(Op::Done)?;
                let mark = self.program.marks;
                self.program.marks += 1;
                self.emit(Op::Mark(mark))?;
                self.again(atom)?;
                self.emit(Op::Progress(mark))?;
                self.emit(Op::Jump(split))?;
                let end = self.program.ops.len();
                self.program.ops[split] = choice(split + 1, end);
            }
            Some(most) => {
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push(self.emit(Op::Done)?);
                    self.again(atom)?;
                }
                let end = self.program.ops.len();
                splits.into_iter().for_each(|split| self.program.ops[split] = choice(split + 1, end));
            }
        }
        Ok(())
    }

    fn quantifier(&mut self) -> Result<Option<(usize, Option<usize>, bool)>, Fault> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit) => {
                self.at += 1;
                let least = self.number();
                let most = if self.take(",") { self.number() } else { least };
                let bad = least > Some(REPEAT_MAX) || most.is_some_and(|m| m > REPEAT_MAX || Some(m) < least);
                if bad || self.peek() != Some('}') {
                    return Err(Fault::Syntax("invalid repetition count(s)"));
                }
                (least.unwrap_or(0), most)
            }
            _ => return Ok(None),
        };
        self.at += 1;
        let lazy = self.take("?");
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(Fault::Syntax("quantifier operand invalid"));
        }
        Ok(Some((least, most, lazy)))
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect::<String>();
        self.at += digits.len();
        digits.parse().ok().or((!digits.is_empty()).then_some(usize::MAX))
    }

    /// Writes one atom or constraint; whether it may be repeated.
    fn atom(&mut self) -> Result<bool, Fault> {
        let Some(c) = self.peek() else { return Ok(false) };
        let start = self.at;
        self.at += 1;
        match c {
            '(' => self.group(),
            '^' => self.place(if self.options.anchors { Place::LineStart } else { Place::Start }),
            '$' => self.place(if self.options.anchors { Place::LineEnd } else { Place::End }),
            '.' => self.emit(Op::Any(!self.options.dots)).map(|_| true),
            '*' | '+' | '?' => Err(Fault::Syntax("quantifier operand invalid")),
            '[' => {
                let rest = &self.chars[start..];
                let Some(length) = bracket_length(rest) else { return Err(Fault::Syntax("brackets [] not balanced")) };
                self.at = start + length;
                self.class(&rest[..length].iter().collect::<String>())
            }
            '\\' => self.escape(start),
            c => self.emit(Op::Char(c)).map(|_| true),
        }
    }

    fn place(&mut self, place: Place) -> Result<bool, Fault> {
        self.emit(Op::At(place)).map(|_| false)
    }

    fn class(&mut self, written: &str) -> Result<bool, Fault> {
        let mut builder = RegexBuilder::new(&format!("^(?:{})$", translate(written)));
        builder.case_insensitive(self.options.insensitive).dot_matches_new_line(true);
        let class = builder.build().map_err(|_| Fault::Syntax("invalid character range"))?;
        self.emit(Op::Class(class)).map(|_| true)
    }

    fn escape(&mut self, start: usize) -> Result<bool, Fault> {
        let Some(c) = self.peek() else { return Err(Fault::Syntax("invalid escape \\ sequence")) };
        self.at += 1;
        match c {
            'A' => self.place(Place::Start),
            'Z' => self.place(Place::End),
            'm' => self.place(Place::WordStart),
            'M' => self.place(Place::WordEnd),
            'y' => self.place(Place::WordEdge),
            'Y' => self.place(Place::NoWordEdge),
            '1'..='9' => {
                let mut n = c.to_digit(10).unwrap_or(0) as usize;
                // More digits belong to it as far as there are such groups.
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(10))
                    && n * 10 + (digit as usize) < self.program.groups
                {
                    n = n * 10 + digit as usize;
                    self.at += 1;
                }
                if n >= self.program.groups {
                    return Err(Fault::Syntax("invalid backreference number"));
                }
                self.emit(Op::Back(n)).map(|_| true)
            }
            'u' | 'U' | 'x' => {
                let most = match c {
                    'u' => 4,
                    _ => 8,
                };
                let digits = self.chars[self.at..].iter().take_while(|c| c.is_ascii_hexdigit()).take(most);
                let digits = digits.collect::<String>();
                self.at += digits.len();
                let found = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                let found = found.ok_or(Fault::Syntax("invalid escape \\ sequence"))?;
                self.emit(Op::Char(found)).map(|_| true)
            }
            _ => {
                let written = self.chars[start..self.at].iter().collect::<String>();
                self.class(&written).map_err(|_| Fault::Syntax("invalid escape \\ sequence"))
            }
        }
    }

    fn group(&mut self) -> Result<bool, Fault> {
        let looks = [("?=", false, false), ("?!", false, true), ("?<=", true, false), ("?<!", true, true)];
        for (written, behind, negative) in looks {
            if self.take(written) {
                let look = self.emit(Op::Done)?;
                self.alternatives()?;
                self.emit(Op::Done)?;
                let end = self.program.ops.len();
                self.program.ops[look] = Op::Look { behind, negative, end };
                return self.close().map(|()| false);
            }
        }
        if self.take("?:") {
            self.alternatives()?;
            return self.close().map(|()| true);
        }
        let n = self.program.groups;
        self.program.groups += 1;
        self.emit(Op::Save(2 * n))?;
        self.alternatives()?;
        self.emit(Op::Save(2 * n + 1))?;
        self.close().map(|()| true)
    }

    fn close(&mut self) -> Result<(), Fault> {
        if self.take(")") { Ok(()) } else { Err(Fault::Syntax("parentheses () not balanced")) }
    }
}

/// The length of the bracket expression that begins here.
fn bracket_length(chars: &[char]) -> Option<usize> {
    let mut at = 1;
    if chars.get(at) == Some(&'^') {
        at += 1;
    }
    if chars.get(at) == Some(&']') {
        at += 1;
    }
    loop {
        match (chars.get(at)?, chars.get(at + 1)) {
            (']', _) => return Some(at + 1),
            ('\\', _) => at += 2,
            ('[', Some(kind @ (':' | '.' | '='))) => {
                let rest = &chars[at + 2..];
                at += 4 + rest.windows(2).position(|w| w == [*kind, ']'])?;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> Option<String> {
        let program = Program::new(pattern, &Options::default()).expect(pattern);
        let groups = program.find(text, 0).expect("few steps")?;
        groups[0].clone().map(|range| text[range].to_string())
    }

    #[test]
    fn backwards_and_around() {
        for (pattern, text, wanted) in [
            (r"(.)\1", "abccd", Some("cc")),
            (r"(a*)b\1", "aabaa", Some("aabaa")),
            (r"foo(?=bar)", "foofoobar", Some("foo")),
            (r"a(?!b)\w", "abac", Some("ac")),
            (r"(?<=\$)\d+", "a1$23", Some("23")),
            (r"(?<!\$)\m\d+", "$1 22", Some("22")),
            (r"([ab])(?:x|y){2,3}\1", "axyxa", Some("axyxa")),
            (r"(a|ab)(c|bcd)\2?", "abcd", Some("abcd")),
            (r"(x*)*\1y", "xxy", Some("xxy")),
            (r"[[:digit:]]{2}(?=z)", "12a34z", Some("34")),
            (r"(.)\1", "abc", None),
        ] {
            assert_eq!(found(pattern, text).as_deref(), wanted, "{pattern}");
        }
        assert!(matches!(Program::new(r"(a)\2", &Options::default()), Err(Fault::Syntax(_))));
        let slow = Program::new(r"(a*)*(a*)*\1b", &Options::default()).expect("a pattern");
        assert_eq!(slow.find(&"a".repeat(200), 0), Err(Fault::TooManySteps));
    }
}
