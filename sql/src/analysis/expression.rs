//! The type of each expression, and the faults in it (<https://www.postgresql.org/docs/15/sql-expressions.html>).

use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CaseWhen, DataType, Expr, Ident, Spanned as _, Subscript, UnaryOperator,
    Value as Literal,
};
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::{RegKind, SqlType};

use super::comparison::row_items;
use super::overload::{Found, choose_operator};
use super::scope::Meant;
use super::types::{
    BIGINT, BOOL, Context, INTEGER, INTERVAL, NUMERIC, OPEN, RECORD, TEXT, Ty, UNKNOWN, array_of, can_cast,
    common_type, element, of_sql, shown,
};
use super::{Analysis, Clause};
use crate::codec::input::parse_text_styled;
use crate::parser::starred;
use crate::plan::{fold, needs_type, sql_type};

/// The hint for an operator that there is not.
const NO_OPERATOR: &str =
    "No operator matches the given name and argument types. You might need to add explicit type casts.";
const SEVERAL_OPERATORS: &str =
    "Could not choose a best candidate operator. You might need to add explicit type casts.";

const NO_PREFIX_OPERATOR: &str =
    "No operator matches the given name and argument type. You might need to add an explicit type cast.";

/// An expression and its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) ty: Ty,
    /// None for what is no expression of the text, such as a subquery's column.
    pub(super) expr: Option<&'a Expr>,
}

/// The text of a string literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => literal(inner),
        Expr::Value(value) => match &value.value {
            Literal::SingleQuotedString(s)
            | Literal::EscapedStringLiteral(s)
            | Literal::UnicodeStringLiteral(s)
            | Literal::NationalStringLiteral(s) => Some(s),
            Literal::DollarQuotedString(s) => Some(&s.value),
            _ => None,
        },
        _ => None,
    }
}

/// An expression without the parentheses around it.
pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// Whether a literal of this type is read here.
fn readable(ty: &SqlType) -> bool {
    match ty {
        SqlType::Array(item) => readable(item) || is_text(item),
        SqlType::Reg(_) | SqlType::Void | SqlType::Unknown => false,
        other => !is_text(other),
    }
}

fn is_text(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name | SqlType::InternalChar)
}

impl<'a> Analysis<'a> {
    /// Where a value stands.
    pub(super) fn at(&self, value: &Value) -> Location {
        value.expr.map_or(Location::new(0, 0), |e| self.places.start(e))
    }

    /// Looks at an expression.
    ///
    /// # Errors
    /// All that PostgreSQL finds wrong with it.
    pub(super) fn expression(&mut self, expr: &'a Expr) -> Result<Value<'a>> {
        Ok(Value { ty: self.type_of(expr)?, expr: Some(expr) })
    }

    fn type_of(&mut self, expr: &'a Expr) -> Result<Ty> {
        if let Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } = expr {
            self.subquery_may_stand(expr)?;
        }
        Ok(match expr {
            Expr::Nested(inner) => self.type_of(inner)?,
            Expr::Value(value) => self.constant(&value.value),
            Expr::Identifier(ident) => self.name(expr, ident)?,
            Expr::CompoundIdentifier(parts) => {
                if self.clause() == Clause::Default {
                    return Err(self.no_column(parts[0].span.start));
                }
                let meant = self.qualified(parts)?;
                self.found(expr, meant)
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.access(expr, root, access_chain)?,
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right)?,
            Expr::UnaryOp { op, expr: inner } => self.unary(*op, inner)?,
            Expr::Cast { kind, expr: inner, data_type, .. } => {
                let place = |a: &Analysis<'a>| a.places.cast(kind, inner);
                self.cast(inner, data_type, &place)?
            }
            Expr::TypedString(typed) => self.typed(&typed.data_type, &typed.value)?,
            Expr::Interval(interval) => {
                if let Expr::Value(value) = interval.value.as_ref()
                    && let (None, None) = (&interval.leading_field, &interval.last_field)
                    && let Some(text) = literal(&interval.value)
                {
                    self.read(&SqlType::Interval, text, value.span.start)?;
                }
                INTERVAL
            }
            Expr::Function(f) if let Some(ty) = called_by_name(f) => ty,
            Expr::Function(f) => self.function_call(expr, f)?,
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())?
            }
            Expr::IsTrue(e) => self.test(e, "IS TRUE")?,
            Expr::IsNotTrue(e) => self.test(e, "IS NOT TRUE")?,
            Expr::IsFalse(e) => self.test(e, "IS FALSE")?,
            Expr::IsNotFalse(e) => self.test(e, "IS NOT FALSE")?,
            Expr::IsUnknown(e) => self.test(e, "IS UNKNOWN")?,
            Expr::IsNotUnknown(e) => self.test(e, "IS NOT UNKNOWN")?,
            Expr::IsNull(e) | Expr::IsNotNull(e) => {
                self.type_of(e)?;
                BOOL
            }
            Expr::IsDistinctFrom(l, r) | Expr::IsNotDistinctFrom(l, r) => {
                self.compared("=", l, r, |a| a.places.operator(a.places.start(r)))?;
                BOOL
            }
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated)?,
            Expr::InSubquery { expr, subquery, .. } => {
                let place = |a: &Analysis<'a>| a.places.operator(a.places.subquery(subquery));
                self.in_subquery(expr, "=", subquery, &place)?
            }
            Expr::Between { expr, negated, low, high } => {
                if row_items(expr).is_some() {
                    let (from, to) = if *negated { ("<", ">") } else { (">=", "<=") };
                    self.compared(from, expr, low, |a| a.places.operator(a.places.start(low)))?;
                    self.compared(to, expr, high, |a| a.places.operator(a.places.start(low)))?;
                    return Ok(BOOL);
                }
                let value = self.expression(expr)?;
                let (low, high) = (self.bound(low)?, self.bound(high)?);
                let (from, to) = if *negated { ("<", ">") } else { (">=", "<=") };
                self.operated(from, Some(value), low, |a| a.places.operator(a.at(&low)))?;
                self.operated(to, Some(value), high, |a| a.places.operator(a.at(&low)))?;
                BOOL
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                let name = if *negated { "!~~" } else { "~~" };
                self.like(name, expr, pattern)?
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                let name = if *negated { "!~~*" } else { "~~*" };
                self.like(name, expr, pattern)?
            }
            Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
                self.type_of(expr)?;
                self.type_of(pattern)?;
                BOOL
            }
            Expr::SimilarTo { negated, expr, pattern, .. } => {
                let (text, pattern) = (self.expression(expr)?, self.expression(pattern)?);
                let name = if *negated { "!~" } else { "~" };
                let as_text = Value { ty: TEXT, expr: None };
                self.operated(name, Some(text), as_text, |a| a.places.operator(a.at(&pattern)))?;
                BOOL
            }
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                self.over_array(left, compare_op, right)?
            }
            Expr::Exists { subquery, .. } => {
                self.query(subquery)?;
                BOOL
            }
            Expr::Subquery(query) => {
                let columns = self.query(query)?;
                match columns.as_deref() {
                    Some([one]) => one.ty,
                    Some(_) => {
                        let at = self.places.subquery(query);
                        return Err(self.error(SqlState::SYNTAX_ERROR, "subquery must return only one column", at));
                    }
                    None => OPEN,
                }
            }
            Expr::Array(array) => self.array(expr, &array.elem)?,
            Expr::Tuple(items) => {
                for item in items {
                    self.type_of(item)?;
                }
                RECORD
            }
            Expr::Collate { expr, collation } => self.collated(expr, collation)?,
            Expr::AtTimeZone { timestamp, time_zone } => {
                let (time, zone) = (self.expression(timestamp)?, self.expression(time_zone)?);
                let at = |a: &Analysis<'a>| a.places.word_before(a.at(&zone), "AT");
                self.call_named("pg_catalog.timezone", "timezone", &[zone, time], &at)?
            }
            Expr::Extract { expr: inner, .. } => {
                let value = self.expression(inner)?;
                let field = Value { ty: UNKNOWN, expr: None };
                let at = |a: &Analysis<'a>| a.places.start(expr);
                self.call_named("pg_catalog.extract", "extract", &[field, value], &at)?
            }
            Expr::Position { expr: inner, r#in } => {
                let (part, whole) = (self.expression(inner)?, self.expression(r#in)?);
                let at = |a: &Analysis<'a>| a.places.start(expr);
                self.call_named("pg_catalog.position", "position", &[whole, part], &at)?
            }
            Expr::Substring { expr: inner, substring_from, substring_for, shorthand, special } => {
                let mut values = vec![self.expression(inner)?];
                let from_only_for = substring_from.is_none() && substring_for.is_some();
                for part in [substring_from, substring_for].into_iter().flatten() {
                    values.push(self.expression(part)?);
                }
                let at = |a: &Analysis<'a>| a.places.start(expr);
                let name = if *shorthand { "substr" } else { "substring" };
                let shown = if *special { name.to_string() } else { format!("pg_catalog.{name}") };
                if from_only_for { OPEN } else { self.call_named(&shown, name, &values, &at)? }
            }
            Expr::Trim { trim_where, trim_what, expr: inner, trim_characters } => {
                let mut values = vec![self.expression(inner)?];
                if let Some(what) = trim_what {
                    values.push(self.expression(what)?);
                }
                for what in trim_characters.iter().flatten() {
                    values.push(self.expression(what)?);
                }
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    Some(ast::TrimWhereField::Both) | None => "btrim",
                };
                let at = |a: &Analysis<'a>| a.places.start(expr);
                self.call_named(&format!("pg_catalog.{name}"), name, &values, &at)?
            }
            Expr::Overlay { expr: inner, overlay_what, overlay_from, overlay_for } => {
                let mut values = vec![self.expression(inner)?, self.expression(overlay_what)?];
                values.push(self.expression(overlay_from)?);
                if let Some(length) = overlay_for {
                    values.push(self.expression(length)?);
                }
                let at = |a: &Analysis<'a>| a.places.start(expr);
                self.call_named("pg_catalog.overlay", "overlay", &values, &at)?
            }
            Expr::Ceil { expr: inner, .. } | Expr::Floor { expr: inner, .. } => {
                let value = self.expression(inner)?;
                let name = if matches!(expr, Expr::Ceil { .. }) { "ceil" } else { "floor" };
                let at = |a: &Analysis<'a>| a.places.start(expr);
                self.call_named(name, name, &[value], &at)?
            }
            Expr::IsNormalized { expr, .. } => {
                self.type_of(expr)?;
                BOOL
            }
            _ => OPEN,
        })
    }

    fn subquery_may_stand(&self, expr: &'a Expr) -> Result<()> {
        let what = match self.clause() {
            Clause::Check => "check constraint",
            Clause::Default => "DEFAULT expression",
            Clause::Generated => "column generation expression",
            Clause::Key => "index expression",
            Clause::Predicate => "index predicate",
            _ => return Ok(()),
        };
        let at = match expr {
            Expr::InSubquery { subquery, .. } => self.places.operator(self.places.subquery(subquery)),
            other => self.places.start(other),
        };
        Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot use subquery in {what}"), at))
    }

    /// A bound of BETWEEN, without the mark of SYMMETRIC.
    fn bound(&mut self, expr: &'a Expr) -> Result<Value<'a>> {
        match expr {
            Expr::UnaryOp { op: UnaryOperator::PGPrefixFactorial, expr: inner } => self.expression(inner),
            other => self.expression(other),
        }
    }

    fn constant(&self, value: &Literal) -> Ty {
        match value {
            Literal::Number(digits, _) => {
                if digits.parse::<i32>().is_ok() {
                    INTEGER
                } else if digits.parse::<i64>().is_ok() {
                    BIGINT
                } else {
                    NUMERIC
                }
            }
            Literal::Boolean(_) => BOOL,
            Literal::Null => UNKNOWN,
            Literal::SingleQuotedString(_)
            | Literal::EscapedStringLiteral(_)
            | Literal::UnicodeStringLiteral(_)
            | Literal::NationalStringLiteral(_)
            | Literal::DollarQuotedString(_) => UNKNOWN,
            Literal::Placeholder(name) => {
                let number = name.trim_start_matches('$').parse::<usize>().ok();
                let declared = number.and_then(|n| self.declared.get(n.checked_sub(1)?)).and_then(Option::as_ref);
                declared.map_or(OPEN, of_sql)
            }
            _ => OPEN,
        }
    }

    fn name(&mut self, expr: &'a Expr, ident: &'a Ident) -> Result<Ty> {
        let name = fold(ident);
        if ident.quote_style.is_none()
            && let Some(ty) = call_without_parentheses(&name)
        {
            return Ok(ty);
        }
        if self.clause() == Clause::Default {
            return Err(self.no_column(ident.span.start));
        }
        let meant = self.column(&name, ident.span.start)?;
        Ok(self.found(expr, meant))
    }

    fn no_column(&self, at: Location) -> Error {
        let message = "cannot use column reference in DEFAULT expression";
        self.error(SqlState::FEATURE_NOT_SUPPORTED, message, at)
    }

    fn found(&mut self, expr: &'a Expr, meant: Meant) -> Ty {
        match meant {
            Meant::Column(place, ty) => {
                self.meant.insert(std::ptr::from_ref(expr) as usize, place);
                for around in &mut self.around {
                    around.level = Some(around.level.map_or(place.level, |l| l.max(place.level)));
                }
                ty
            }
            Meant::Row | Meant::Open => {
                for around in &mut self.around {
                    around.open = true;
                }
                // Of what type a row is, and arrays of it, is not known here.
                OPEN
            }
        }
    }

    fn access(&mut self, expr: &'a Expr, root: &'a Expr, chain: &'a [AccessExpr]) -> Result<Ty> {
        let (mut ty, chain) = match (bare(root), chain) {
            // A column of a table, also as a field of its row.
            (Expr::Identifier(table), [AccessExpr::Dot(column @ Expr::Identifier(field)), rest @ ..])
                if starred(expr).is_none() && self.is_row(&fold(table), table.span.start) =>
            {
                if let Expr::Nested(_) = root {
                    self.meanings.borrow_mut().rows.insert(table.span.start);
                }
                let meant = self.qualified(&[table.clone(), field.clone()])?;
                (self.found(column, meant), rest)
            }
            _ => (self.type_of(root)?, chain),
        };
        for access in chain {
            match access {
                AccessExpr::Dot(Expr::Identifier(field)) if !matches!(ty, OPEN | RECORD | UNKNOWN) => {
                    let message = format!(
                        "column notation .{} applied to type {}, which is not a composite type",
                        fold(field),
                        shown(ty)
                    );
                    return Err(self.error_at(SqlState::WRONG_OBJECT_TYPE, message, root));
                }
                AccessExpr::Dot(_) => return Ok(OPEN),
                AccessExpr::Subscript(subscript) => {
                    let bounds = match subscript {
                        Subscript::Index { index } => vec![index],
                        Subscript::Slice { lower_bound, upper_bound, .. } => {
                            lower_bound.iter().chain(upper_bound).collect()
                        }
                    };
                    let slice = matches!(subscript, Subscript::Slice { .. });
                    for bound in bounds {
                        let bound = self.expression(bound)?;
                        if element(ty).is_some() {
                            self.give(&bound, INTEGER)?;
                            if bound.ty != UNKNOWN && !can_cast(bound.ty, INTEGER, Context::Assignment) {
                                let message = "array subscript must have type integer";
                                return Err(self.error(SqlState::DATATYPE_MISMATCH, message, self.at(&bound)));
                            }
                        }
                    }
                    ty = match ty {
                        OPEN | RECORD => return Ok(OPEN),
                        super::types::JSONB => super::types::JSONB,
                        ty => match element(ty) {
                            Some(_) if slice => ty,
                            Some(item) if chain.len() == 1 => item,
                            // One of several dimensions is of the array's type.
                            Some(_) => return Ok(element(ty).unwrap_or(OPEN)),
                            None if matches!(super::types::category(ty), 'A' | 'U' | 'G') => return Ok(OPEN),
                            None => {
                                let message = format!(
                                    "cannot subscript type {} because it does not support subscripting",
                                    shown(ty)
                                );
                                return Err(self.error_at(SqlState::DATATYPE_MISMATCH, message, root));
                            }
                        },
                    };
                }
            }
        }
        Ok(ty)
    }

    fn binary(&mut self, left: &'a Expr, op: &'a BinaryOperator, right: &'a Expr) -> Result<Ty> {
        let name = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let what = if *op == BinaryOperator::And { "AND" } else { "OR" };
                self.condition(left, what)?;
                self.condition(right, what)?;
                return Ok(BOOL);
            }
            BinaryOperator::PGCustomBinaryOperator(parts) => match parts.last() {
                Some(name) => name.clone(),
                None => return Ok(OPEN),
            },
            BinaryOperator::Custom(name) => name.clone(),
            BinaryOperator::Overlaps => {
                self.type_of(left)?;
                self.type_of(right)?;
                return Ok(BOOL);
            }
            other => other.to_string(),
        };
        if row_items(left).is_some()
            && let Expr::Subquery(query) = bare(right)
        {
            let place = |a: &Analysis<'a>| a.places.operator(a.places.subquery(query));
            return self.in_subquery(left, &name, query, &place);
        }
        self.compared(&name, left, right, |a| a.places.operator(a.places.start(right)))
    }

    fn unary(&mut self, op: UnaryOperator, inner: &'a Expr) -> Result<Ty> {
        let name = match op {
            UnaryOperator::Not => {
                self.condition(inner, "NOT")?;
                return Ok(BOOL);
            }
            UnaryOperator::Minus => {
                // The smallest numbers are written with a sign.
                if let Expr::Value(v) = inner
                    && let Literal::Number(digits, _) = &v.value
                {
                    let signed = format!("-{digits}");
                    return Ok(match (signed.parse::<i32>(), signed.parse::<i64>()) {
                        (Ok(_), _) => INTEGER,
                        (_, Ok(_)) => BIGINT,
                        _ => NUMERIC,
                    });
                }
                "-"
            }
            UnaryOperator::Plus => "+",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::PGAbs => "@",
            _ => {
                self.type_of(inner)?;
                return Ok(OPEN);
            }
        };
        let value = self.expression(inner)?;
        self.operated(name, None, value, |a| a.places.operator(a.at(&value)))
    }

    /// The type that an operator makes of its operands.
    ///
    /// # Errors
    /// 42883, 42725, and those of literals.
    pub(super) fn operated(
        &self,
        name: &str,
        left: Option<Value<'a>>,
        right: Value<'a>,
        place: impl Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        let is_row = |v: &Value| v.ty == RECORD;
        let one_row = left.is_some_and(|l| {
            is_row(&l) != is_row(&right) && ![OPEN, UNKNOWN].contains(&l.ty) && ![OPEN, UNKNOWN].contains(&right.ty)
        });
        if !one_row && (left.is_some_and(|l| is_row(&l)) || is_row(&right)) {
            return Ok(if matches!(name, "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") { BOOL } else { OPEN });
        }
        let failed = |code: &str, text: &str, hint: &str| {
            let name = if name == "!=" { "<>" } else { name };
            let shown = match left {
                Some(left) => format!("{} {name} {}", shown(left.ty), shown(right.ty)),
                None => format!("{name} {}", shown(right.ty)),
            };
            Err(self.error(SqlState::new(code), format!("{text}: {shown}"), place(self)).hint(hint))
        };
        match choose_operator(name, left.map(|l| l.ty), right.ty) {
            Found::One((types, result)) => {
                for (value, ty) in left.iter().chain([&right]).zip(types) {
                    self.give(value, ty)?;
                }
                Ok(result)
            }
            Found::None if left.is_some_and(|l| l.ty == OPEN) || right.ty == OPEN => Ok(OPEN),
            Found::None if left.is_none() => failed("42883", "operator does not exist", NO_PREFIX_OPERATOR),
            Found::None => failed("42883", "operator does not exist", NO_OPERATOR),
            Found::Several => failed("42725", "operator is not unique", SEVERAL_OPERATORS),
        }
    }

    /// Gives a literal its type: it is read.
    ///
    /// # Errors
    /// 22P02, 22007, 22008, 22003 at the literal.
    pub(super) fn give(&self, value: &Value<'a>, ty: Ty) -> Result<()> {
        let (UNKNOWN, Some(expr)) = (value.ty, value.expr) else { return Ok(()) };
        let (Some(text), Some(ty)) = (literal(expr), SqlType::from_oid(ty)) else { return Ok(()) };
        if needs_type(text) && matches!(ty, SqlType::Uuid | SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz) {
            self.tell(expr, &ty);
        }
        self.read(&ty, text, self.places.start(expr))
    }

    /// Tells the planner the type of a literal.
    pub(super) fn tell(&self, literal: &Expr, ty: &SqlType) {
        self.meanings.borrow_mut().literals.insert(bare(literal).span().start, ty.clone());
    }

    fn read(&self, ty: &SqlType, text: &str, at: Location) -> Result<()> {
        let plain = match ty {
            SqlType::Precise(precise) => precise.plain(),
            SqlType::Numeric(_) => SqlType::Numeric(None),
            // An OID tells no length.
            SqlType::Array(item) if is_text(item) => SqlType::Array(Box::new(SqlType::Text)),
            other => other.clone(),
        };
        if plain == SqlType::Reg(RegKind::Class) {
            return crate::catalog::relation_named(self.ctx, text).map(|_| ()).map_err(|e| self.placed(e, at));
        }
        if !readable(&plain) {
            return Ok(());
        }
        match parse_text_styled(&plain, text, &self.style) {
            Ok(_) => Ok(()),
            // A limit of ours is told by who meets it.
            Err(e) if e.code() == SqlState::FEATURE_NOT_SUPPORTED => Ok(()),
            Err(e) => Err(self.placed(e, at)),
        }
    }

    fn cast(
        &mut self,
        inner: &'a Expr,
        data_type: &'a DataType,
        place: &dyn Fn(&Analysis<'a>) -> Location,
    ) -> Result<Ty> {
        // The parser takes the cast of an ESCAPE for that of the whole LIKE.
        if let Expr::Like { escape_char: Some(_), .. } | Expr::ILike { escape_char: Some(_), .. } = inner {
            return self.type_of(inner);
        }
        // A cast gives the elements of an ARRAY their type.
        if let Expr::Array(array) = inner
            && let DataType::Array(_) = data_type
        {
            let wanted = sql_type(data_type).map_or(OPEN, |ty| of_sql(&ty));
            for item in &array.elem {
                let item = self.expression(item)?;
                if let Some(of) = element(wanted) {
                    self.give(&item, of)?;
                }
            }
            return Ok(wanted);
        }
        let value = self.expression(inner)?;
        let ty = match sql_type(data_type) {
            Ok(ty) => ty,
            // A modifier out of range. Whether there is such a type at all, others look at.
            Err(e) if e.code() == SqlState::INVALID_PARAMETER_VALUE => {
                let at = self.places.cast_type(place(self));
                return Err(self.placed(e, at));
            }
            Err(_) => return Ok(OPEN),
        };
        let wanted = of_sql(&ty);
        if value.ty == UNKNOWN {
            if let Some(text) = literal(inner) {
                self.read(&ty, text, self.places.start(inner))?;
            }
            return Ok(wanted);
        }
        if matches!(value.ty, OPEN | RECORD)
            || matches!(ty, SqlType::Reg(_))
            || can_cast(value.ty, wanted, Context::Explicit)
        {
            return Ok(wanted);
        }
        let message = format!("cannot cast type {} to {}", shown(value.ty), shown(wanted));
        Err(self.error(SqlState::CANNOT_COERCE, message, place(self)))
    }

    fn typed(&mut self, data_type: &DataType, value: &ast::ValueWithSpan) -> Result<Ty> {
        let Ok(ty) = sql_type(data_type) else { return Ok(OPEN) };
        let (Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text)) = &value.value else {
            return Ok(of_sql(&ty));
        };
        self.read(&ty, text, value.span.start)?;
        Ok(of_sql(&ty))
    }

    fn case(
        &mut self,
        operand: Option<&'a Expr>,
        conditions: &'a [CaseWhen],
        otherwise: Option<&'a Expr>,
    ) -> Result<Ty> {
        let before = self.last_set.take();
        let operand = operand.map(|e| self.expression(e)).transpose()?;
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            match operand {
                Some(mut operand) => {
                    if operand.ty == UNKNOWN {
                        operand.ty = TEXT;
                    }
                    let value = self.expression(&when.condition)?;
                    self.operated("=", Some(operand), value, |a| a.places.word_before(a.at(&value), "WHEN"))?;
                }
                None => self.condition(&when.condition, "CASE/WHEN")?,
            }
            results.push(self.expression(&when.result)?);
        }
        // The last is looked at first.
        if let Some(otherwise) = otherwise {
            let value = self.expression(otherwise)?;
            results.insert(0, value);
        }
        self.no_set_inside("CASE")?;
        self.last_set = before;
        self.matched(&results, "CASE")
    }

    /// Refuses a set-returning function in what was just looked at.
    pub(super) fn no_set_inside(&self, what: &str) -> Result<()> {
        let Some(at) = self.last_set else { return Ok(()) };
        let message = format!("set-returning functions are not allowed in {what}");
        let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
        Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, at).hint(hint))
    }

    /// The type that several values have in common, which literals among them are given.
    ///
    /// # Errors
    /// 42804 at the first that does not fit.
    pub(super) fn matched(&self, values: &[Value<'a>], what: &str) -> Result<Ty> {
        let types = values.iter().map(|v| v.ty).collect::<Vec<_>>();
        match common_type(&types) {
            Ok(ty) => {
                for value in values {
                    self.give(value, ty)?;
                    if !can_cast(value.ty, ty, Context::Implicit) {
                        let message = format!("{what} could not convert type {} to {}", shown(value.ty), shown(ty));
                        return Err(self.error(SqlState::CANNOT_COERCE, message, self.at(value)));
                    }
                }
                Ok(ty)
            }
            Err((n, so_far)) => {
                let message = format!("{what} types {} and {} cannot be matched", shown(so_far), shown(values[n].ty));
                Err(self.error(SqlState::DATATYPE_MISMATCH, message, self.at(&values[n])))
            }
        }
    }

    /// Looks at what must be a boolean.
    ///
    /// # Errors
    /// 42804.
    pub(super) fn condition(&mut self, expr: &'a Expr, what: &str) -> Result<()> {
        let value = self.expression(expr)?;
        self.boolean(&value, what)
    }

    pub(super) fn boolean(&self, value: &Value<'a>, what: &str) -> Result<()> {
        match value.ty {
            BOOL | OPEN => Ok(()),
            UNKNOWN => self.give(value, BOOL),
            other => {
                let message = format!("argument of {what} must be type boolean, not type {}", shown(other));
                Err(self.error(SqlState::DATATYPE_MISMATCH, message, self.at(value)))
            }
        }
    }

    fn test(&mut self, expr: &'a Expr, what: &str) -> Result<Ty> {
        self.condition(expr, what)?;
        Ok(BOOL)
    }

    fn like(&mut self, name: &str, expr: &'a Expr, pattern: &'a Expr) -> Result<Ty> {
        // LIKE ALL (…) looks like a call.
        if let Expr::Function(f) = pattern
            && f.name.to_string().eq_ignore_ascii_case("all")
        {
            self.type_of(expr)?;
            return Ok(BOOL);
        }
        let (text, pattern) = (self.expression(expr)?, self.expression(pattern)?);
        self.operated(name, Some(text), pattern, |a| a.places.operator(a.at(&pattern)))?;
        Ok(BOOL)
    }

    fn collated(&mut self, expr: &'a Expr, collation: &'a ast::ObjectName) -> Result<Ty> {
        let ty = self.type_of(expr)?;
        let at = |a: &Analysis<'a>| a.places.word_before(ast::Spanned::span(collation).start, "COLLATE");
        if !matches!(ty, OPEN | UNKNOWN) && super::types::category(element(ty).unwrap_or(ty)) != 'S' {
            let message = format!("collations are not supported by type {}", shown(ty));
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, at(self)));
        }
        let name = collation.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        if !crate::catalog::is_collation(&name) {
            let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
            return Err(self.error(SqlState::UNDEFINED_OBJECT, message, at(self)));
        }
        Ok(if ty == UNKNOWN { TEXT } else { ty })
    }

    fn array(&mut self, whole: &'a Expr, items: &'a [Expr]) -> Result<Ty> {
        if items.is_empty() {
            let message = "cannot determine type of empty array";
            let hint = "Explicitly cast to the desired type, for example ARRAY[]::integer[].";
            return Err(self.error_at(SqlState::INDETERMINATE_DATATYPE, message, whole).hint(hint));
        }
        let values = items.iter().map(|e| self.expression(e)).collect::<Result<Vec<_>>>()?;
        let ty = self.matched(&values, "ARRAY")?;
        Ok(if ty == OPEN { OPEN } else { array_of(ty).unwrap_or(OPEN) })
    }

    /// An expression that may not see the columns of its query.
    pub(super) fn count_of_rows(&mut self, expr: &'a Expr, clause: Clause) -> Result<()> {
        let what = clause.shown();
        let value = self.within(clause, |a| a.expression(expr))?;
        if value.ty == UNKNOWN {
            self.give(&value, BIGINT)?;
        } else if !can_cast(value.ty, BIGINT, Context::Assignment) {
            let message = format!("argument of {what} must be type bigint, not type {}", shown(value.ty));
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, self.at(&value)));
        }
        let level = self.scopes.len() - 1;
        if let Some(column) = self.first_column(expr, level) {
            let message = format!("argument of {what} must not contain variables");
            return Err(self.error(SqlState::new("42P10"), message, column));
        }
        Ok(())
    }
}

/// The type of `CURRENT_DATE` and its kin, without parentheses.
fn called_by_name(f: &ast::Function) -> Option<Ty> {
    match (f.name.0.as_slice(), &f.args) {
        ([part], ast::FunctionArguments::None) => call_without_parentheses(&fold(part.as_ident()?)),
        _ => None,
    }
}

/// Functions of SQL that are called by their name alone.
fn call_without_parentheses(name: &str) -> Option<Ty> {
    use super::types::{DATE, NAME, TIME, TIMESTAMP, TIMESTAMPTZ};
    Some(match name {
        "current_date" => DATE,
        "current_timestamp" => TIMESTAMPTZ,
        "localtimestamp" => TIMESTAMP,
        "localtime" => TIME,
        "current_time" => OPEN,
        "current_user" | "session_user" | "user" | "current_role" | "current_catalog" | "current_schema" => NAME,
        _ => return None,
    })
}
