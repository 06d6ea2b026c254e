//! Which function or operator of a name a call means (<https://www.postgresql.org/docs/15/typeconv-func.html>,
//! <https://www.postgresql.org/docs/15/typeconv-oper.html>). `functions.tsv` and `operators.tsv` are PostgreSQL 15's
//! `pg_proc` and `pg_operator`, without what takes values of its innards.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::{ANY, Bound, OPEN, Ty, UNKNOWN, can_take, category, preferred};

const FUNCTIONS: &str = include_str!("functions.tsv");
const OPERATORS: &str = include_str!("operators.tsv");

/// `pg_proc.prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Aggregate,
    Window,
}

/// One function, one form of arguments.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) kind: Kind,
    pub(super) returns_set: bool,
    /// Open for those that return several columns.
    pub(super) result: Ty,
    defaults: usize,
    /// The type of each further argument.
    variadic: Ty,
    arguments: Vec<Ty>,
}

/// One operator; the left type is 0 in front of its operand.
#[derive(Clone, Copy, Debug)]
struct Operator {
    left: Ty,
    right: Ty,
    result: Ty,
}

fn function(text: &str) -> Option<Function> {
    let mut fields = text.split(',');
    let head = fields.next()?;
    let kind = match head.chars().next()? {
        'a' => Kind::Aggregate,
        'w' => Kind::Window,
        _ => Kind::Plain,
    };
    let defaults = fields.next()?.parse().ok()?;
    let variadic = fields.next()?.parse().ok()?;
    let arguments = match fields.next()? {
        "-" => vec![],
        list => list.split(' ').map(|t| t.parse().ok()).collect::<Option<Vec<_>>>()?,
    };
    Some(Function {
        kind,
        returns_set: head[1..].starts_with('s'),
        result: head[2..].parse().ok()?,
        defaults,
        variadic,
        arguments,
    })
}

fn operator(text: &str) -> Option<Operator> {
    let mut types = text.split(',').map(|t| t.parse().ok());
    Some(Operator { left: types.next()??, right: types.next()??, result: types.next()?? })
}

fn by_name<T>(text: &'static str, parse: fn(&str) -> Option<T>) -> HashMap<&'static str, Vec<T>> {
    let line = |line: &'static str| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.map(parse).collect::<Option<Vec<_>>>()?))
    };
    text.lines().map(line).collect::<Option<_>>().expect("the tables of the analysis are checked by a test")
}

static BY_NAME: LazyLock<HashMap<&'static str, Vec<Function>>> = LazyLock::new(|| by_name(FUNCTIONS, function));
static OPERATORS_BY_NAME: LazyLock<HashMap<&'static str, Vec<Operator>>> =
    LazyLock::new(|| by_name(OPERATORS, operator));

/// The functions of a name.
pub(super) fn functions(name: &str) -> &'static [Function] {
    BY_NAME.get(name).map_or(&[], Vec::as_slice)
}

/// What came of looking for one.
#[derive(Debug)]
pub(super) enum Found<T> {
    One(T),
    None,
    Several,
}

/// What is called: with which types, each argument's own, and of what type the result is.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) function: &'static Function,
    /// The arguments' types after polymorphic ones are resolved.
    pub(super) arguments: Vec<Ty>,
    pub(super) result: Ty,
}

/// A form of arguments that a call of `count` arguments could mean, variadic ones written out.
fn expanded(function: &Function, count: usize) -> Option<Vec<Ty>> {
    let declared = &function.arguments;
    if function.variadic != 0 && count >= declared.len() {
        let mut types = declared[..declared.len() - 1].to_vec();
        types.resize(count, function.variadic);
        return Some(types);
    }
    let fits = declared.len() == count || (declared.len() > count && declared.len() - count <= function.defaults);
    (fits && function.variadic == 0).then(|| declared[..count].to_vec())
}

/// Whether a function takes just these types.
pub(super) fn is_exact(name: &str, given: &[Ty]) -> bool {
    functions(name).iter().any(|f| f.arguments == given)
}

/// The function that a call with arguments of these types means.
pub(super) fn choose(name: &str, given: &[Ty]) -> Found<Chosen> {
    let mut candidates = Vec::new();
    for function in functions(name) {
        let Some(types) = expanded(function, given.len()) else { continue };
        // Of two with the same types the one without VARIADIC is meant.
        match candidates.iter_mut().find(|(_, t): &&mut (&Function, Vec<Ty>)| *t == types) {
            Some(same) if same.0.variadic != 0 && function.variadic == 0 => same.0 = function,
            Some(_) => {}
            None => candidates.push((function, types)),
        }
    }
    let lists = candidates.iter().map(|(_, types)| types.clone()).collect::<Vec<_>>();
    if given.contains(&OPEN) {
        let mut fitting = lists.iter().enumerate().filter(|(_, types)| can_take(given, types)).map(|(n, _)| n);
        return match (fitting.next(), fitting.next()) {
            (None, _) => Found::None,
            (Some(n), None) => Found::One(chosen(candidates[n].0, given, &lists[n])),
            (Some(n), Some(m)) => {
                let mut one = chosen(candidates[n].0, given, &lists[n]);
                let same = candidates[n].0.result == candidates[m].0.result
                    && fitting.all(|o| candidates[o].0.result == candidates[n].0.result);
                if !same {
                    one.result = OPEN;
                }
                one.arguments = vec![OPEN; given.len()];
                Found::One(one)
            }
        };
    }
    match select(given, &lists) {
        Found::One(n) => Found::One(chosen(candidates[n].0, given, &lists[n])),
        Found::None => Found::None,
        Found::Several => Found::Several,
    }
}

fn chosen(function: &'static Function, given: &[Ty], declared: &[Ty]) -> Chosen {
    let bound = Bound::new(given, declared).unwrap_or_default();
    let resolve = |t: Ty| if t == ANY { OPEN } else { bound.resolve(t) };
    Chosen { function, arguments: declared.iter().map(|t| resolve(*t)).collect(), result: resolve(function.result) }
}

/// The operator between operands of these types: their types as it takes them, and its result's.
pub(super) fn choose_operator(name: &str, left: Option<Ty>, right: Ty) -> Found<(Vec<Ty>, Ty)> {
    let name = if name == "!=" { "<>" } else { name };
    let Some(operators) = OPERATORS_BY_NAME.get(name) else { return Found::None };
    let given = left.into_iter().chain([right]).collect::<Vec<_>>();
    let candidates = operators.iter().filter(|o| (o.left == 0) == left.is_none()).copied().collect::<Vec<_>>();
    let types = |o: &Operator| if o.left == 0 { vec![o.right] } else { vec![o.left, o.right] };
    let lists = candidates.iter().map(types).collect::<Vec<_>>();
    let resolved = |n: usize| {
        let bound = Bound::new(&given, &lists[n]).unwrap_or_default();
        (lists[n].iter().map(|t| bound.resolve(*t)).collect::<Vec<_>>(), bound.resolve(candidates[n].result))
    };
    if given.contains(&OPEN) {
        let mut results = lists
            .iter()
            .enumerate()
            .filter(|(_, types)| can_take(&given, types))
            .map(|(n, _)| candidates[n].result)
            .collect::<Vec<_>>();
        results.dedup();
        return match results.as_slice() {
            [] => Found::None,
            [one] if !super::types::is_polymorphic(*one) => Found::One((vec![OPEN; given.len()], *one)),
            _ => Found::One((vec![OPEN; given.len()], OPEN)),
        };
    }
    // A literal is first taken for what stands on the other side.
    if let [l, r] = given[..] {
        let (l, r) = (if l == UNKNOWN { r } else { l }, if r == UNKNOWN { l } else { r });
        if let Some(n) = lists.iter().position(|t| t[..] == [l, r]) {
            return Found::One(resolved(n));
        }
    }
    match select(&given, &lists) {
        Found::One(n) => Found::One(resolved(n)),
        Found::None => Found::None,
        Found::Several => Found::Several,
    }
}

/// The one of several lists of types that arguments of given types mean.
fn select(given: &[Ty], lists: &[Vec<Ty>]) -> Found<usize> {
    if let Some(exact) = lists.iter().position(|types| types == given) {
        return Found::One(exact);
    }
    let mut left = (0..lists.len()).filter(|n| can_take(given, &lists[*n])).collect::<Vec<_>>();
    match left.as_slice() {
        [] => return Found::None,
        [one] => return Found::One(*one),
        _ => {}
    }
    let known = |i: &usize| given[*i] != UNKNOWN;
    let slots = (0..given.len()).collect::<Vec<_>>();
    most(&mut left, |n| slots.iter().filter(|i| known(i) && given[**i] == lists[n][**i]).count());
    if let [one] = left[..] {
        return Found::One(one);
    }
    most(&mut left, |n| {
        let fits = |i: &&usize| {
            let ty = lists[n][**i];
            known(i) && (ty == given[**i] || (category(ty) == category(given[**i]) && preferred(ty)))
        };
        slots.iter().filter(fits).count()
    });
    if let [one] = left[..] {
        return Found::One(one);
    }
    let unknowns = slots.iter().copied().filter(|i| !known(i)).collect::<Vec<_>>();
    if unknowns.is_empty() {
        return Found::Several;
    }
    if let Some(wanted) = unknowns.iter().map(|i| slot_category(*i, &left, lists)).collect::<Option<Vec<_>>>() {
        let fits = |n: &usize| {
            unknowns.iter().zip(&wanted).all(|(i, (letter, has_preferred))| {
                let ty = lists[*n][*i];
                category(ty) == *letter && (!has_preferred || preferred(ty))
            })
        };
        let kept = left.iter().copied().filter(fits).collect::<Vec<_>>();
        if !kept.is_empty() {
            left = kept;
        }
        if let [one] = left[..] {
            return Found::One(one);
        }
    }
    // Literals may all be of the one type that the others have.
    let mut others = slots.iter().filter(|i| known(i)).map(|i| given[*i]);
    if let Some(one) = others.next()
        && others.all(|t| t == one)
    {
        let same = vec![one; given.len()];
        let fits = left.iter().copied().filter(|n| can_take(&same, &lists[*n])).collect::<Vec<_>>();
        if let [one] = fits[..] {
            return Found::One(one);
        }
    }
    Found::Several
}

/// Keeps those of which there is most.
fn most(left: &mut Vec<usize>, count: impl Fn(usize) -> usize) {
    let best = left.iter().map(|n| count(*n)).max().unwrap_or(0);
    left.retain(|n| count(*n) == best);
}

/// The category that a literal would be of, and whether only its preferred type will do. None if candidates differ, and
/// none of them takes a string.
fn slot_category(slot: usize, left: &[usize], lists: &[Vec<Ty>]) -> Option<(char, bool)> {
    let mut chosen: Option<(char, bool)> = None;
    let mut conflict = false;
    for n in left {
        let ty = lists[*n][slot];
        let (letter, is_preferred) = (category(ty), preferred(ty));
        chosen = Some(match chosen {
            None => (letter, is_preferred),
            Some((c, p)) if c == letter => (c, p || is_preferred),
            Some(_) if letter == 'S' => ('S', is_preferred),
            Some(other) => {
                conflict = true;
                other
            }
        });
    }
    chosen.filter(|(c, _)| !conflict || *c == 'S')
}
