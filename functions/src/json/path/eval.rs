//! What a `jsonpath` finds in a value (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-PATH>).
//!
//! Items borrow from the document where they can. Without a list to put items into, a path is only asked whether it finds
//! any, and stops at the first.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::datetime::Moment;
use super::parse::{Arithmetic, Comparison, Head, Method, Node, Path, Step};
use crate::error::FunctionError;
use crate::json::number::Decimal;
use crate::json::value::Value;
use crate::time::zone::Zone;

/// Something found.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    Value(Cow<'a, Value>),
    Moment(Moment),
}

impl Item<'_> {
    /// The item as a value of `jsonb`.
    pub(super) fn into_value(self) -> Value {
        match self {
            Item::Value(value) => value.into_owned(),
            Item::Moment(moment) => Value::Text(moment.shown()),
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Item::Value(value) => Some(value),
            Item::Moment(_) => None,
        }
    }

    fn is_list(&self) -> bool {
        matches!(self.value(), Some(Value::List(_)))
    }
}

/// Why a path has no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error in the data, which predicates take for unknown, and `silent` keeps quiet about.
    Data(Box<FunctionError>),
    /// Any other error.
    Other(Box<FunctionError>),
}

type Result<T> = std::result::Result<T, Fault>;

/// Whether a path found anything.
type Found = bool;

fn data<T>(code: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Fault::Data(Box::new(FunctionError::new(code, message))))
}

/// One evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) lax: bool,
    pub(super) root: &'a Value,
    pub(super) vars: Option<&'a Value>,
    /// The session's zone, where the function may use it.
    pub(super) zone: Option<Zone>,
    current: Option<Item<'a>>,
    /// The length of the list whose subscript is computed.
    length: Option<usize>,
    /// Whether what is missing is passed over: in lax mode, and below `**`.
    forgiving: bool,
}

type List<'l, 'a> = Option<&'l mut Vec<Item<'a>>>;

impl<'a> Evaluation<'a> {
    pub(super) fn new(path: &Path, root: &'a Value, vars: Option<&'a Value>, zone: Option<Zone>) -> Evaluation<'a> {
        Evaluation { lax: path.lax, root, vars, zone, current: None, length: None, forgiving: path.lax }
    }

    /// Adds all that the path finds, up to an error.
    pub(super) fn collect(&mut self, path: &Path, found: &mut Vec<Item<'a>>) -> Result<()> {
        let root = Item::Value(Cow::Borrowed(self.root));
        self.node(&path.root, &root, Some(found)).map(|_| ())
    }

    /// Whether the path finds anything. In strict mode errors behind the first item count, too.
    pub(super) fn exists(&mut self, path: &Path) -> Result<bool> {
        if !self.lax {
            let mut found = Vec::new();
            return self.collect(path, &mut found).map(|()| !found.is_empty());
        }
        let root = Item::Value(Cow::Borrowed(self.root));
        self.node(&path.root, &root, None)
    }

    fn node(&mut self, node: &Node, item: &Item<'a>, mut out: List<'_, 'a>) -> Result<Found> {
        let steps = &node.steps[..];
        let made = match &node.head {
            Head::Null => Value::Null,
            Head::Bool(b) => Value::Bool(*b),
            Head::Number(n) => Value::Number(n.clone()),
            Head::Text(text) => Value::Text(text.clone()),
            Head::Variable(name) => {
                let value = self.variable(name)?;
                return self.next(steps, Item::Value(Cow::Borrowed(value)), out);
            }
            Head::Root => return self.next(steps, Item::Value(Cow::Borrowed(self.root)), out),
            Head::Current => {
                let current = self.current.clone().unwrap_or_else(|| item.clone());
                return self.next(steps, current, out);
            }
            Head::Last => {
                let last = Decimal::of(i64::try_from(self.length.unwrap_or(0)).unwrap_or(i64::MAX) - 1);
                Value::Number(last.shown())
            }
            Head::Arithmetic(op, left, right) => {
                let number = self.arithmetic(*op, left, right, item)?;
                if steps.is_empty() && out.is_none() {
                    return Ok(true);
                }
                number
            }
            Head::Signed(negative, inner) => return self.signed(*negative, inner, steps, item, out),
            Head::Nested(inner) => {
                let mut found = Vec::new();
                self.node(inner, item, Some(&mut found))?;
                let mut any = false;
                for item in found {
                    any |= self.next(steps, item, out.as_deref_mut())?;
                    if any && out.is_none() {
                        break;
                    }
                }
                return Ok(any);
            }
            _ => match self.truth(node, item)? {
                Some(truth) => Value::Bool(truth),
                None => Value::Null,
            },
        };
        self.next(steps, Item::Value(Cow::Owned(made)), out)
    }

    fn variable(&self, name: &str) -> Result<&'a Value> {
        let missing = || {
            Fault::Other(Box::new(FunctionError::new("42704", format!("could not find jsonpath variable \"{name}\""))))
        };
        self.vars.and_then(|v| v.member(name)).ok_or_else(missing)
    }

    /// Goes on with the steps from an item.
    fn next(&mut self, steps: &[Step], item: Item<'a>, out: List<'_, 'a>) -> Result<Found> {
        let Some((step, rest)) = steps.split_first() else {
            if let Some(out) = out {
                out.push(item);
            }
            return Ok(true);
        };
        self.step(step, rest, &item, out, self.lax)
    }

    /// Does the step; `unwraps` tells whether a list stands for its items where the step asks for something else.
    fn step(&mut self, step: &Step, rest: &[Step], item: &Item<'a>, out: List<'_, 'a>, unwraps: bool) -> Result<Found> {
        let unwrapped = unwraps && item.is_list();
        match step {
            Step::Member(key) => match part(item, |v| v.member(key)) {
                Some(found) => self.next(rest, found, out),
                None if matches!(item.value(), Some(Value::Object(_))) => {
                    if self.forgiving {
                        return Ok(false);
                    }
                    data("2203A", format!("JSON object does not contain key \"{key}\""))
                }
                None if unwrapped => self.unwrap(step, rest, item, out),
                None if self.forgiving => Ok(false),
                None => data("2203A", "jsonpath member accessor can only be applied to an object"),
            },
            Step::AnyMember => match item.value() {
                Some(Value::Object(_)) => self.descend(rest, item, 1, (Some(1), Some(1)), false, out),
                _ if unwrapped => self.unwrap(step, rest, item, out),
                _ if self.forgiving => Ok(false),
                _ => data("2203C", "jsonpath wildcard member accessor can only be applied to an object"),
            },
            Step::AnyItem => match item.value() {
                Some(Value::List(_)) => self.descend(rest, item, 1, (Some(1), Some(1)), false, out),
                _ if self.lax => self.next(rest, item.clone(), out),
                _ if self.forgiving => Ok(false),
                _ => data("22039", "jsonpath wildcard array accessor can only be applied to an array"),
            },
            Step::Items(ranges) => self.items(ranges, rest, item, out),
            Step::Any(from, to) => self.any(*from, *to, rest, item, out),
            Step::Filter(_) if unwrapped => self.unwrap(step, rest, item, out),
            Step::Filter(condition) => {
                let before = self.current.replace(item.clone());
                let truth = self.truth(condition, item);
                self.current = before;
                if truth? == Some(true) { self.next(rest, item.clone(), out) } else { Ok(false) }
            }
            Step::Method(method) => self.method(*method, step, rest, item, out, unwrapped),
        }
    }

    /// Does the step for each item of a list.
    fn unwrap(&mut self, step: &Step, rest: &[Step], list: &Item<'a>, mut out: List<'_, 'a>) -> Result<Found> {
        let mut any = false;
        for item in parts(list) {
            any |= self.step(step, rest, &item, out.as_deref_mut(), false)?;
            if any && out.is_none() {
                break;
            }
        }
        Ok(any)
    }

    /// Goes on from what is inside an item, from one level to another; no level is that of what has nothing inside.
    fn descend(
        &mut self,
        rest: &[Step],
        item: &Item<'a>,
        level: u32,
        (first, last): (Option<u32>, Option<u32>),
        forgiving: bool,
        mut out: List<'_, 'a>,
    ) -> Result<Found> {
        let most = last.unwrap_or(u32::MAX);
        if level > most {
            return Ok(false);
        }
        let mut any = false;
        for inner in parts(item) {
            let leaf = inner.value().is_none_or(Value::is_scalar);
            let wanted = match first {
                Some(first) => level >= first,
                None => last.is_none() && leaf,
            };
            if wanted {
                let before = self.forgiving;
                self.forgiving |= forgiving;
                let found = self.next(rest, inner.clone(), out.as_deref_mut());
                self.forgiving = before;
                any |= found?;
            }
            if !(any && out.is_none()) && level < most && !leaf {
                any |= self.descend(rest, &inner, level + 1, (first, last), forgiving, out.as_deref_mut())?;
            }
            if any && out.is_none() {
                break;
            }
        }
        Ok(any)
    }

    fn any(
        &mut self,
        from: Option<u32>,
        to: Option<u32>,
        rest: &[Step],
        item: &Item<'a>,
        mut out: List<'_, 'a>,
    ) -> Result<Found> {
        let mut any = false;
        if from == Some(0) {
            let before = std::mem::replace(&mut self.forgiving, true);
            let found = self.next(rest, item.clone(), out.as_deref_mut());
            self.forgiving = before;
            any = found?;
        }
        if any && out.is_none() {
            return Ok(true);
        }
        Ok(self.descend(rest, item, 1, (from, to), true, out)? || any)
    }

    fn items(
        &mut self,
        ranges: &[(Node, Option<Node>)],
        rest: &[Step],
        item: &Item<'a>,
        mut out: List<'_, 'a>,
    ) -> Result<Found> {
        let all = match item.value() {
            Some(Value::List(_)) => parts(item),
            _ if self.lax => vec![item.clone()],
            _ if self.forgiving => return Ok(false),
            _ => return data("22039", "jsonpath array accessor can only be applied to an array"),
        };
        let before = self.length.replace(all.len());
        let mut any = false;
        for (from, to) in ranges {
            let from = self.place(from, item)?;
            let to = match to {
                Some(to) => self.place(to, item)?,
                None => from,
            };
            let length = i64::try_from(all.len()).unwrap_or(i64::MAX);
            if !self.forgiving && (from < 0 || from > to || to >= length) {
                return data("22033", "jsonpath array subscript is out of bounds");
            }
            for n in from.max(0)..=to.min(length - 1) {
                let Some(found) = usize::try_from(n).ok().and_then(|n| all.get(n)) else { continue };
                any |= self.next(rest, found.clone(), out.as_deref_mut())?;
                if any && out.is_none() {
                    self.length = before;
                    return Ok(true);
                }
            }
        }
        self.length = before;
        Ok(any)
    }

    fn place(&mut self, node: &Node, item: &Item<'a>) -> Result<i64> {
        let mut found = Vec::new();
        self.node(node, item, Some(&mut found))?;
        let [Item::Value(value)] = found.as_slice() else {
            return data("22033", "jsonpath array subscript is not a single numeric value");
        };
        let Value::Number(n) = value.as_ref() else {
            return data("22033", "jsonpath array subscript is not a single numeric value");
        };
        match decimal(n)?.to_i32() {
            Some(place) => Ok(place.into()),
            None => data("22033", "jsonpath array subscript is out of integer range"),
        }
    }

    /// The items of an operand, those of its lists one by one.
    fn operand(&mut self, node: &Node, item: &Item<'a>, unwraps: bool) -> Result<Vec<Item<'a>>> {
        let mut found = Vec::new();
        self.node(node, item, Some(&mut found))?;
        if !(unwraps && self.lax) {
            return Ok(found);
        }
        Ok(found.into_iter().flat_map(|i| if i.is_list() { parts(&i) } else { vec![i] }).collect())
    }

    fn arithmetic(&mut self, op: Arithmetic, left: &Node, right: &Node, item: &Item<'a>) -> Result<Value> {
        let sign = match op {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        };
        let (left, right) = (self.operand(left, item, true)?, self.operand(right, item, true)?);
        let single = |found: &[Item<'a>], side: &str| match found {
            [Item::Value(value)] if matches!(value.as_ref(), Value::Number(_)) => {
                let Value::Number(n) = value.as_ref() else { return decimal("0") };
                decimal(n)
            }
            _ => data("22038", format!("{side} operand of jsonpath operator {sign} is not a single numeric value")),
        };
        let (left, right) = (single(&left, "left")?, single(&right, "right")?);
        let made = match op {
            Arithmetic::Add => Ok(left.add(&right)),
            Arithmetic::Subtract => Ok(left.subtract(&right)),
            Arithmetic::Multiply => left.multiply(&right),
            Arithmetic::Divide => left.divide(&right),
            Arithmetic::Modulo => left.modulo(&right),
        };
        made.map(|n| Value::Number(n.shown())).map_err(Fault::Data)
    }

    fn signed(
        &mut self,
        negative: bool,
        inner: &Node,
        steps: &[Step],
        item: &Item<'a>,
        mut out: List<'_, 'a>,
    ) -> Result<Found> {
        let mut any = false;
        for found in self.operand(inner, item, true)? {
            let Some(Value::Number(n)) = found.value() else {
                if out.is_none() && steps.is_empty() {
                    continue;
                }
                let sign = if negative { "-" } else { "+" };
                return data("2203B", format!("operand of unary jsonpath operator {sign} is not a numeric value"));
            };
            let number = decimal(n)?;
            let number = if negative { number.negated() } else { number };
            let made = Item::Value(Cow::Owned(Value::Number(number.shown())));
            any |= self.next(steps, made, out.as_deref_mut())?;
            if any && out.is_none() {
                break;
            }
        }
        Ok(any)
    }

    /// The truth of a predicate; none for unknown.
    fn truth(&mut self, node: &Node, item: &Item<'a>) -> Result<Option<bool>> {
        match &node.head {
            Head::And(left, right) => {
                let left = self.truth(left, item)?;
                if left == Some(false) {
                    return Ok(left);
                }
                let right = self.truth(right, item)?;
                Ok(if right == Some(true) { left } else { right })
            }
            Head::Or(left, right) => {
                let left = self.truth(left, item)?;
                if left == Some(true) {
                    return Ok(left);
                }
                let right = self.truth(right, item)?;
                Ok(if right == Some(false) { left } else { right })
            }
            Head::Not(inner) => Ok(self.truth(inner, item)?.map(|t| !t)),
            Head::IsUnknown(inner) => Ok(Some(self.truth(inner, item)?.is_none())),
            Head::Exists(inner) => {
                let found = if self.lax {
                    self.node(inner, item, None)
                } else {
                    self.operand(inner, item, false).map(|found| !found.is_empty())
                };
                known(found)
            }
            Head::Compare(op, left, right) => {
                let (Some(left), Some(right)) =
                    (known(self.operand(left, item, true))?, known(self.operand(right, item, true))?)
                else {
                    return Ok(None);
                };
                let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
                self.over(pairs, |me, (l, r)| me.compare(*op, l, r))
            }
            Head::StartsWith(left, right) => {
                let (Some(left), Some(right)) =
                    (known(self.operand(left, item, true))?, known(self.operand(right, item, false))?)
                else {
                    return Ok(None);
                };
                let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
                self.over(pairs, |_, (l, r)| match (l.value(), r.value()) {
                    (Some(Value::Text(whole)), Some(Value::Text(initial))) => Ok(Some(whole.starts_with(initial))),
                    _ => Ok(None),
                })
            }
            Head::LikeRegex(left, regex) => {
                let Some(left) = known(self.operand(left, item, true))? else { return Ok(None) };
                self.over(left.iter(), |_, l| match l.value() {
                    Some(Value::Text(text)) => regex.is_match(text).map(Some).map_err(|e| Fault::Other(Box::new(e))),
                    _ => Ok(None),
                })
            }
            // Whatever else is no predicate: the parser lets none through.
            _ => Ok(None),
        }
    }

    /// Whether any of the items satisfies: in lax mode the first decides, in strict mode one that is unknown does.
    fn over<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        test: impl Fn(&Self, T) -> Result<Option<bool>>,
    ) -> Result<Option<bool>> {
        let (mut found, mut unknown) = (false, false);
        for item in items {
            match test(self, item)? {
                None if !self.lax => return Ok(None),
                None => unknown = true,
                Some(true) if self.lax => return Ok(Some(true)),
                Some(true) => found = true,
                Some(false) => {}
            }
        }
        Ok(if found {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }

    fn compare(&self, op: Comparison, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>> {
        let order = match (left, right) {
            (Item::Moment(l), Item::Moment(r)) => match l.compare(r, self.zone) {
                Ok(Some(order)) => order,
                Ok(None) => return Ok(None),
                Err(e) => return Err(Fault::Other(e)),
            },
            (Item::Value(l), Item::Value(r)) => match (l.as_ref(), r.as_ref()) {
                (Value::Null, Value::Null) => Ordering::Equal,
                (Value::Null, _) | (_, Value::Null) => return Ok(Some(op == Comparison::NotEqual)),
                (Value::Bool(l), Value::Bool(r)) => l.cmp(r),
                (Value::Number(l), Value::Number(r)) => crate::json::number::compare(l, r),
                (Value::Text(l), Value::Text(r)) => l.as_bytes().cmp(r.as_bytes()),
                _ => return Ok(None),
            },
            (Item::Value(v), _) | (_, Item::Value(v)) if **v == Value::Null => {
                return Ok(Some(op == Comparison::NotEqual));
            }
            _ => return Ok(None),
        };
        Ok(Some(match op {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }))
    }

    fn method(
        &mut self,
        method: Method,
        step: &Step,
        rest: &[Step],
        item: &Item<'a>,
        out: List<'_, 'a>,
        unwrapped: bool,
    ) -> Result<Found> {
        let made = match method {
            Method::Type => Value::Text(match item {
                Item::Value(value) => value.type_name().to_string(),
                Item::Moment(moment) => moment.type_name().to_string(),
            }),
            Method::Size => match item.value() {
                Some(Value::List(items)) => {
                    Value::Number(Decimal::of(i64::try_from(items.len()).unwrap_or(i64::MAX)).shown())
                }
                _ if self.lax => Value::Number("1".to_string()),
                _ if self.forgiving => return Ok(false),
                _ => return data("22039", "jsonpath item method .size() can only be applied to an array"),
            },
            _ if unwrapped => return self.unwrap(step, rest, item, out),
            Method::Abs => numeric(item, "abs", Decimal::abs)?,
            Method::Floor => numeric(item, "floor", |n| n.floor())?,
            Method::Ceiling => numeric(item, "ceiling", |n| n.ceiling())?,
            Method::Double => double(item)?,
            Method::KeyValue => return self.key_values(rest, item, out),
            Method::Datetime => {
                let Some(Value::Text(text)) = item.value() else {
                    return data("22031", "jsonpath item method .datetime() can only be applied to a string");
                };
                return match Moment::parse(text) {
                    Some(moment) => self.next(rest, Item::Moment(moment), out),
                    None => Err(Fault::Data(Box::new(
                        FunctionError::new("22031", format!("datetime format is not recognized: \"{text}\""))
                            .hint("Use a datetime template argument to specify the input data format."),
                    ))),
                };
            }
        };
        self.next(rest, Item::Value(Cow::Owned(made)), out)
    }

    fn key_values(&mut self, rest: &[Step], item: &Item<'a>, mut out: List<'_, 'a>) -> Result<Found> {
        let Some(Value::Object(members)) = item.value() else {
            return data("2203C", "jsonpath item method .keyvalue() can only be applied to an object");
        };
        let mut any = false;
        for (key, value) in members {
            let pair = vec![
                ("id".to_string(), Value::Number("0".to_string())),
                ("key".to_string(), Value::Text(key.clone())),
                ("value".to_string(), value.clone()),
            ];
            any |= self.next(rest, Item::Value(Cow::Owned(Value::Object(pair))), out.as_deref_mut())?;
            if any && out.is_none() {
                break;
            }
        }
        Ok(any)
    }
}

/// What went wrong with data is unknown.
fn known<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Fault::Data(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn decimal(text: &str) -> Result<Decimal> {
    Decimal::parse(text).map_err(Fault::Data)
}

fn numeric(item: &Item<'_>, name: &str, f: impl Fn(Decimal) -> Decimal) -> Result<Value> {
    match item.value() {
        Some(Value::Number(n)) => Ok(Value::Number(f(decimal(n)?).shown())),
        _ => data("22036", format!("jsonpath item method .{name}() can only be applied to a numeric value")),
    }
}

fn double(item: &Item<'_>) -> Result<Value> {
    match item.value() {
        Some(Value::Number(n)) => match n.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Value::Number(n.clone())),
            _ => data(
                "22036",
                "numeric argument of jsonpath item method .double() is out of range for type double precision",
            ),
        },
        Some(Value::Text(text)) => match text.trim().parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Value::Number(fifteen_digits(v)?)),
            _ => data(
                "22036",
                "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
            ),
        },
        _ => data("22036", "jsonpath item method .double() can only be applied to a string or numeric value"),
    }
}

/// A float as `numeric` takes it: with the 15 digits that are sure.
fn fifteen_digits(v: f64) -> Result<String> {
    let written = format!("{v:.14e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    Ok(decimal(&format!("{mantissa}e{exponent}"))?.shown())
}

/// A part of an item, borrowed where the item is.
fn part<'a>(item: &Item<'a>, f: impl Fn(&Value) -> Option<&Value>) -> Option<Item<'a>> {
    match item {
        Item::Value(Cow::Borrowed(value)) => f(value).map(|v| Item::Value(Cow::Borrowed(v))),
        Item::Value(Cow::Owned(value)) => f(value).map(|v| Item::Value(Cow::Owned(v.clone()))),
        Item::Moment(_) => None,
    }
}

/// The items of a list, or the values of an object.
fn parts<'a>(item: &Item<'a>) -> Vec<Item<'a>> {
    match item {
        Item::Value(Cow::Borrowed(Value::List(items))) => items.iter().map(|v| Item::Value(Cow::Borrowed(v))).collect(),
        Item::Value(Cow::Borrowed(Value::Object(members))) => {
            members.iter().map(|(_, v)| Item::Value(Cow::Borrowed(v))).collect()
        }
        Item::Value(Cow::Owned(Value::List(items))) => {
            items.iter().map(|v| Item::Value(Cow::Owned(v.clone()))).collect()
        }
        Item::Value(Cow::Owned(Value::Object(members))) => {
            members.iter().map(|(_, v)| Item::Value(Cow::Owned(v.clone()))).collect()
        }
        _ => vec![],
    }
}
