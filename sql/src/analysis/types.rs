//! Types by their `pg_type.oid`: categories, arrays, and which type becomes which
//! (<https://www.postgresql.org/docs/15/typeconv.html>). `casts.tsv` is PostgreSQL 15's `pg_cast`.

use std::collections::HashMap;
use std::sync::LazyLock;

use sightline_storage::types::SqlType;

use crate::catalog::{type_array, type_category, type_element, type_shown};

/// A type's OID.
pub(super) type Ty = u32;

/// What is not known here: it goes with everything, and nothing is said of it.
pub(super) const OPEN: Ty = 0;
pub(super) const BOOL: Ty = 16;
pub(super) const BIGINT: Ty = 20;
pub(super) const INTEGER: Ty = 23;
pub(super) const TEXT: Ty = 25;
pub(super) const JSON: Ty = 114;
/// A string literal, or NULL.
pub(super) const UNKNOWN: Ty = 705;
pub(super) const DATE: Ty = 1082;
pub(super) const TIME: Ty = 1083;
pub(super) const TIMESTAMP: Ty = 1114;
pub(super) const TIMESTAMPTZ: Ty = 1184;
pub(super) const INTERVAL: Ty = 1186;
pub(super) const NUMERIC: Ty = 1700;
pub(super) const RECORD: Ty = 2249;
/// `record[]`, a pseudo-type that `pg_type` does not call an array.
const RECORDS: Ty = 2287;
pub(super) const ANY: Ty = 2276;
pub(super) const NAME: Ty = 19;
pub(super) const JSONB: Ty = 3802;

const CASTS: &str = include_str!("casts.tsv");

/// How a cast comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Context {
    Implicit,
    Assignment,
    Explicit,
}

/// By source and target: from where on, and whether it only gives the value another name.
static PATHS: LazyLock<HashMap<(Ty, Ty), Context>> = LazyLock::new(|| {
    let mut paths = HashMap::new();
    for line in CASTS.lines() {
        let mut fields = line.split('\t');
        let Some(source) = fields.next().and_then(|s| s.parse().ok()) else { continue };
        for cast in fields {
            let digits = cast.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let context = match cast[digits.len()..].chars().next() {
                Some('i') => Context::Implicit,
                Some('a') => Context::Assignment,
                _ => Context::Explicit,
            };
            if let Ok(target) = digits.parse() {
                paths.insert((source, target), context);
            }
        }
    }
    paths
});

/// The type of a column or cast; open for those that PostgreSQL does not come with.
pub(super) fn of_sql(ty: &SqlType) -> Ty {
    let oid = ty.oid();
    if type_category(oid).is_some() { oid } else { OPEN }
}

/// As messages name it.
pub(super) fn shown(ty: Ty) -> String {
    match ty {
        UNKNOWN => "unknown".to_string(),
        ty => type_shown(ty).unwrap_or_else(|| "???".to_string()),
    }
}

/// The category letter of `pg_type.typcategory`.
pub(super) fn category(ty: Ty) -> char {
    type_category(ty).map_or('X', |(category, _)| category)
}

/// Whether it is preferred in its category.
pub(super) fn preferred(ty: Ty) -> bool {
    type_category(ty).is_some_and(|(_, preferred)| preferred)
}

/// The element type of an array type.
pub(super) fn element(ty: Ty) -> Option<Ty> {
    if ty == RECORDS { Some(RECORD) } else { type_element(ty) }
}

/// The array type over a type.
pub(super) fn array_of(ty: Ty) -> Option<Ty> {
    if element(ty).is_some() { Some(ty) } else { type_array(ty) }
}

pub(super) fn is_polymorphic(ty: Ty) -> bool {
    matches!(ty, 2283 | 2277 | 2776 | 3500 | 3831 | 4537 | 5077..=5080 | 4538)
}

/// Whether a value of one type can become the other in this context: a cast, an array of casts, or through text.
pub(super) fn can_cast(from: Ty, to: Ty, context: Context) -> bool {
    if from == to || from == OPEN || to == OPEN || from == UNKNOWN {
        return true;
    }
    if let Some(needed) = PATHS.get(&(from, to)) {
        return context >= *needed;
    }
    if let (Some(from), Some(to)) = (element(from), element(to)) {
        return can_cast(from, to, context);
    }
    match context {
        Context::Implicit => false,
        Context::Assignment => category(to) == 'S',
        Context::Explicit => category(to) == 'S' || category(from) == 'S',
    }
}

/// Whether arguments of these types can be given implicitly where those are declared.
pub(super) fn can_take(given: &[Ty], declared: &[Ty]) -> bool {
    let each = given.iter().zip(declared).all(|(from, to)| match *to {
        ANY => true,
        to if is_polymorphic(to) => true,
        to => can_cast(*from, to, Context::Implicit),
    });
    each && (!declared.iter().any(|t| is_polymorphic(*t)) || Bound::new(given, declared).is_some())
}

/// What the polymorphic types of a call stand for
/// (<https://www.postgresql.org/docs/15/extend-type-system.html#EXTEND-TYPES-POLYMORPHIC>).
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// anyelement.
    element: Option<Ty>,
    /// anycompatible.
    common: Option<Ty>,
    /// Something is open.
    open: bool,
}

impl Bound {
    /// None if the arguments do not fit one another.
    pub(super) fn new(given: &[Ty], declared: &[Ty]) -> Option<Bound> {
        let mut bound = Bound::default();
        let mut array = None;
        let mut compatible = Vec::new();
        let (mut no_array, mut of_enum) = (false, false);
        for (from, to) in given.iter().zip(declared) {
            if *from == OPEN && is_polymorphic(*to) {
                bound.open = true;
            }
            if matches!(*from, UNKNOWN | OPEN) {
                continue;
            }
            match *to {
                2283 | 2776 | 3500 => {
                    no_array |= *to == 2776;
                    of_enum |= *to == 3500;
                    if bound.element.is_some_and(|e| e != *from) {
                        return None;
                    }
                    bound.element = Some(*from);
                }
                2277 => {
                    if array.is_some_and(|a| a != *from) {
                        return None;
                    }
                    array = Some(*from);
                }
                5077 | 5079 => compatible.push(*from),
                5078 => compatible.push(element(*from)?),
                3831 | 4537 | 5080 | 4538 => return None,
                _ => {}
            }
        }
        if let Some(array) = array {
            let item = element(array)?;
            if bound.element.is_some_and(|e| e != item) {
                return None;
            }
            bound.element = Some(item);
        }
        if no_array && bound.element.is_some_and(|e| element(e).is_some()) {
            return None;
        }
        if of_enum && bound.element.is_some_and(|e| category(e) != 'E') {
            return None;
        }
        if !compatible.is_empty() {
            let common = common_type(&compatible).ok()?;
            if !compatible.iter().all(|t| can_cast(*t, common, Context::Implicit)) {
                return None;
            }
            bound.common = Some(common);
        }
        Some(bound)
    }

    /// A declared type, with what polymorphic types stand for; open where that is not known.
    pub(super) fn resolve(&self, declared: Ty) -> Ty {
        let array = |item: Option<Ty>| item.and_then(array_of).unwrap_or(OPEN);
        match declared {
            _ if self.open && is_polymorphic(declared) => OPEN,
            2283 | 2776 | 3500 => self.element.unwrap_or(OPEN),
            2277 => array(self.element),
            5077 | 5079 => self.common.unwrap_or(TEXT),
            5078 => array(Some(self.common.unwrap_or(TEXT))),
            other if is_polymorphic(other) => OPEN,
            other => other,
        }
    }
}

/// The type that values of several types become, or the first that does not go with those before it: its place, and
/// the type so far.
///
/// # Errors
/// The place of the misfit, and the type that it does not go with.
pub(super) fn common_type(types: &[Ty]) -> Result<Ty, (usize, Ty)> {
    if types.contains(&OPEN) {
        return Ok(OPEN);
    }
    let mut chosen = UNKNOWN;
    for (n, ty) in types.iter().enumerate() {
        if *ty == UNKNOWN || *ty == chosen {
            continue;
        }
        if chosen == UNKNOWN {
            chosen = *ty;
        } else if category(*ty) != category(chosen) {
            return Err((n, chosen));
        } else if !preferred(chosen)
            && can_cast(chosen, *ty, Context::Implicit)
            && !can_cast(*ty, chosen, Context::Implicit)
        {
            chosen = *ty;
        }
    }
    Ok(if chosen == UNKNOWN { TEXT } else { chosen })
}
