//! PostgreSQL's meaning of casts and arithmetic, as an analyzer rule that runs after DataFusion's type coercion.
//!
//! Arrow's casts print and read values in their own way, cut instead of rounding, and wrap where PostgreSQL reports an
//! overflow. This rule puts functions of ours ([`Kernel`]) in their place, built on `codec`, which knows PostgreSQL's
//! forms. Literals are read at once, so that `'2024-13-01'::date` is an error of the statement and not of a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::compute::kernels::numeric::{add, div, mul, sub};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;
use sightline_functions::check_batch;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use super::elements::{elementwise, item_field};
use super::kernel::{Body, Kernel};
use super::operators::compares;
use super::{arithmetic, intervals, numeric, temporal};
use crate::codec::{self, Format, Style};
use crate::error::to_datafusion;

/// The rule, for a session's output settings.
#[derive(Debug)]
pub(super) struct Meaning {
    format: Format,
}

impl Meaning {
    pub(super) fn new(format: Format) -> Meaning {
        Meaning { format }
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(Cast { expr, field }) => cast_expr(*expr, field, schema, &self.format),
            Expr::BinaryExpr(binary) => match of_times(binary, schema, &self.format)? {
                Ok(shifted) => Ok(Transformed::yes(shifted)),
                Err(binary) if binary.op == Operator::StringConcat => concatenated(binary, schema),
                Err(binary) => arithmetic(binary, schema),
            },
            Expr::ScalarFunction(call) if arithmetic::chooses(call.func.name()) => arithmetic::choice(call, schema),
            Expr::Case(case) => guarded(case, schema),
            Expr::Negative(inner) if matches!(inner.get_type(schema)?, DataType::Interval(_)) => {
                Ok(Transformed::yes(arithmetic::negated(*inner)))
            }
            Expr::Negative(inner)
                if matches!(inner.get_type(schema)?, DataType::Int16 | DataType::Int32 | DataType::Int64)
                    && !matches!(inner.as_ref(), Expr::Literal(..)) =>
            {
                checked_negation(*inner, schema)
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl AnalyzerRule for Meaning {
    fn name(&self) -> &str {
        "postgres_meaning"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(&scan.projected_schema);
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let saved = names.save(&expr);
                let done = expr.transform_up(|e| self.rewrite(e, &schema))?;
                Ok(done.update_data(|e| saved.restore(e)))
            })?
            .map_data(LogicalPlan::recompute_schema)?
            .map_data(intervals::sorted_and_grouped)
        })
        .map(|t| t.data)
    }
}

/// One expression with PostgreSQL's meaning of casts and arithmetic, outside a plan.
pub(super) fn with_meaning(expr: Expr, schema: &DFSchema, format: &Format) -> Result<Expr> {
    let rule = Meaning::new(format.clone());
    expr.transform_up(|e| rule.rewrite(e, schema)).map(|t| t.data)
}

/// Keeps a CASE of conditions one. DataFusion makes `a AND b OR NOT a AND c` of it, whose parts it may compute for all
/// rows: `CASE WHEN x <> 0 THEN 1 / x > 2 END` would divide by zero. It leaves the form `CASE true WHEN a THEN b` alone.
fn guarded(case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let mut can_fail = false;
    for expr in results.chain(case.when_then_expr.iter().skip(1).map(|(when, _)| when)) {
        can_fail |= expr.exists(|e| {
            Ok(match e {
                Expr::BinaryExpr(b) => matches!(b.op, Operator::Divide | Operator::Modulo),
                Expr::Cast(_) | Expr::ScalarFunction(_) => true,
                _ => false,
            })
        })?;
    }
    let conditions = case.expr.is_none()
        && matches!(case.when_then_expr.first(), Some((_, then)) if then.get_type(schema)? == DataType::Boolean);
    if !(can_fail && conditions) {
        return Ok(Transformed::no(Expr::Case(case)));
    }
    Ok(Transformed::yes(Expr::Case(Case { expr: Some(Box::new(lit(true))), ..case })))
}

fn is_string(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn literal_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(s)) | ScalarValue::Utf8View(Some(s)) | ScalarValue::LargeUtf8(Some(s)),
            _,
        ) => Some(s),
        _ => None,
    }
}

/// A string literal that no cast has given a type yet.
fn untyped_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(_, Some(_)) => None,
        other => literal_text(other),
    }
}

fn cast_expr(expr: Expr, field: FieldRef, schema: &DFSchema, format: &Format) -> Result<Transformed<Expr>> {
    let from = expr.get_type(schema)?;
    let to = field.data_type();
    let ty = SqlType::of_field(&field);
    if matches!(ty, SqlType::Json | SqlType::Jsonb)
        && let Some(text) = untyped_text(&expr)
    {
        let value = codec::input::parse_text(&ty, text, format).map_err(to_datafusion)?;
        return Ok(Transformed::yes(Expr::Literal(value, None).alias_if_typed(&field)));
    }
    let (_, source) = expr.to_field(schema)?;
    let expr = match super::json::json_cast(expr, &SqlType::of_field(&source), &field)? {
        Ok(Expr::Cast(number)) => {
            return Ok(Transformed::yes(cast_expr(*number.expr, number.field, schema, format)?.data));
        }
        Ok(cast) => return Ok(Transformed::yes(cast)),
        Err(expr) => expr,
    };
    if is_string(&from) && !is_string(to) && !matches!(to, DataType::Dictionary(_, _) | DataType::Null) {
        if let Some(text) = literal_text(&expr) {
            let value = codec::input::parse_text(&ty, text, format).map_err(to_datafusion)?;
            let value = if value.data_type() == *to { value } else { value.cast_to(to)? };
            return Ok(Transformed::yes(Expr::Literal(value, None).alias_if_typed(&field)));
        }
        return Ok(Transformed::yes(Kernel::call(&format!("{ty}_in"), field, vec![expr], text_in(ty, format))));
    }
    if let SqlType::Precise(precise) = ty
        && !is_string(&from)
    {
        let plain = precise.plain().field_ref("");
        let inner = if from == *to { expr } else { cast_expr(expr, plain, schema, format)?.data };
        return Ok(Transformed::yes(Kernel::call(&ty.to_string(), field, vec![inner], temporal::cut(ty))));
    }
    if let (DataType::List(_), DataType::List(_)) = (&from, to) {
        return list_cast(expr, &from, field, schema, format);
    }
    if is_string(to) {
        return string_cast(expr, &from, field, ty, schema, format);
    }
    if let Some(body) = numeric::cast_body(&from, &field) {
        return Ok(Transformed::yes(Kernel::call(&format!("{from}_to_{ty}"), field, vec![expr], body)));
    }
    if let Some(body) = temporal::cast_body(&from, &field, format) {
        return Ok(Transformed::yes(Kernel::call(&format!("{from}_to_{ty}"), field, vec![expr], body)));
    }
    if let Some(error) = temporal::refused(&from, to) {
        return Err(error);
    }
    if to.is_integer() && (from.is_floating() || narrower(&from, to)) {
        return Ok(Transformed::yes(Kernel::call(&format!("to_{ty}"), field, vec![expr], rounded(ty))));
    }
    if *to == DataType::Float32 && (from == DataType::Float64 || from.is_decimal()) {
        return Ok(Transformed::yes(Kernel::call(
            "to_real",
            field,
            vec![expr],
            Arc::new(|arrays| to_real(&arrays[0])),
        )));
    }
    Ok(Transformed::no(Expr::Cast(Cast { expr: Box::new(expr), field })))
}

/// A `real` of what may be too large or too small for one.
fn to_real(array: &ArrayRef) -> Result<ArrayRef> {
    let wide = cast(array, &DataType::Float64)?;
    let narrow = |v: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused")]
        let real = v as f32;
        let fault = match real {
            r if r.is_infinite() && v.is_finite() => "overflow",
            r if r == 0.0 && v != 0.0 => "underflow",
            r => return Ok(r),
        };
        Err(float_out_of_range(fault))
    };
    let reals = wide.as_primitive::<Float64Type>();
    Ok(Arc::new(reals.try_unary::<_, Float32Type, DataFusionError>(narrow)?))
}

/// Arrays are cast element by element, and keep their dimensions.
fn list_cast(
    expr: Expr,
    from: &DataType,
    field: FieldRef,
    schema: &DFSchema,
    format: &Format,
) -> Result<Transformed<Expr>> {
    let plain = |expr, field| Ok(Transformed::no(Expr::Cast(Cast { expr: Box::new(expr), field })));
    let (Some(of), Some(to)) = (item_field(from), item_field(field.data_type())) else { return plain(expr, field) };
    if of.data_type() == to.data_type() && SqlType::of_field(&of) == SqlType::of_field(&to) {
        // A cast to int[] of an array of more dimensions leaves it as it is.
        return if from == field.data_type() { plain(expr, field) } else { Ok(Transformed::yes(expr)) };
    }
    let (_, given) = expr.to_field(schema)?;
    let name = format!("{} element by element to {}", of.data_type(), to.data_type());
    let cast = |element, columns: &DFSchema| Ok(cast_expr(element, to.clone(), columns, format)?.data);
    elementwise(&name, expr, &given, &to, Some(&field), cast).map(Transformed::yes)
}

/// Keeps the type's metadata on a literal that a cast made.
trait Typed {
    fn alias_if_typed(self, field: &FieldRef) -> Expr;
}

impl Typed for Expr {
    fn alias_if_typed(self, field: &FieldRef) -> Expr {
        match self {
            Expr::Literal(value, _) if !field.metadata().is_empty() => {
                Expr::Literal(value, Some(datafusion::common::metadata::FieldMetadata::from(field.metadata().clone())))
            }
            other => other,
        }
    }
}

fn narrower(from: &DataType, to: &DataType) -> bool {
    from.is_integer() && from.primitive_width() > to.primitive_width()
}

fn string_cast(
    expr: Expr,
    from: &DataType,
    field: FieldRef,
    ty: SqlType,
    schema: &DFSchema,
    format: &Format,
) -> Result<Transformed<Expr>> {
    if is_string(from) {
        let (_, source) = expr.to_field(schema)?;
        if matches!(SqlType::of_field(&source), SqlType::Char(_)) && !matches!(ty, SqlType::Char(_)) {
            // Blanks at the end of a character(n) mean nothing, and go with the type.
            let bare = super::blanks::trimmed(expr);
            return string_cast(bare, from, field, ty, schema, format).map(|t| Transformed::yes(t.data));
        }
        // A jsonb has its own form, and a json is checked; of one another they are read as texts are.
        let source = SqlType::of_field(&source);
        let reads = match ty {
            SqlType::Jsonb => source != SqlType::Jsonb,
            SqlType::Json => !matches!(source, SqlType::Json | SqlType::Jsonb),
            _ => false,
        };
        if reads {
            return Ok(Transformed::yes(Kernel::call(&format!("{ty}_in"), field, vec![expr], text_in(ty, format))));
        }
        let limit = match ty {
            SqlType::Varchar(Some(n)) => Some((n, false)),
            SqlType::Char(n) => Some((n, true)),
            _ => None,
        };
        if ty == SqlType::Name && !matches!(expr, Expr::Column(_)) {
            return Ok(Transformed::yes(Kernel::call("name", field, vec![expr], Arc::new(|a| name_of(&a[0])))));
        }
        return Ok(match limit {
            Some((n, pad)) => Transformed::yes(Kernel::call(&ty.to_string(), field, vec![expr], cut(n, pad))),
            None => Transformed::no(Expr::Cast(Cast { expr: Box::new(expr), field })),
        });
    }
    if matches!(from, DataType::Null | DataType::Dictionary(_, _)) {
        return Ok(Transformed::no(Expr::Cast(Cast { expr: Box::new(expr), field })));
    }
    let (_, source) = expr.to_field(schema)?;
    let source = SqlType::of_field(&source);
    let out = Kernel::call(&format!("{source}_out"), field.clone(), vec![expr], text_out(source, format));
    let limit = match ty {
        SqlType::Varchar(Some(n)) => Some((n, false)),
        SqlType::Char(n) => Some((n, true)),
        _ => None,
    };
    Ok(Transformed::yes(match limit {
        Some((n, pad)) => Kernel::call(&ty.to_string(), field, vec![out], cut(n, pad)),
        None => out,
    }))
}

/// The first 63 bytes, as far as they are whole characters.
fn name_of(array: &ArrayRef) -> Result<ArrayRef> {
    let strings = cast(array, &DataType::Utf8View)?;
    let names = strings.as_string_view().iter().map(|text| text.map(|t| &t[..t.floor_char_boundary(63)]));
    Ok(Arc::new(names.collect::<arrow::array::StringViewArray>()))
}

/// Reads each string as PostgreSQL's input function of the type does.
fn text_in(ty: SqlType, format: &Format) -> Body {
    let style = Style::new(format);
    Arc::new(move |arrays| {
        let strings = cast(&arrays[0], &DataType::Utf8View)?;
        let strings = strings.as_string_view();
        let mut column = codec::build::ColumnBuilder::new(&ty);
        for value in strings {
            match value {
                Some(text) => column.append_text(text, &style).map_err(to_datafusion)?,
                None => column.append_null(),
            }
        }
        column.finish().map_err(to_datafusion)
    })
}

/// Writes each value as PostgreSQL's output function of the type does.
fn text_out(ty: SqlType, format: &Format) -> Body {
    if ty == SqlType::Boolean {
        return Arc::new(|arrays| {
            let text = |v: bool| if v { "true" } else { "false" };
            let out = arrays[0].as_boolean().iter().map(|v| v.map(text)).collect::<arrow::array::StringViewArray>();
            Ok(Arc::new(out) as ArrayRef)
        });
    }
    let style = Style::new(format);
    Arc::new(move |arrays| {
        let array = &arrays[0];
        let cells = codec::Cells::new(array, &ty).map_err(to_datafusion)?;
        let mut builder = arrow::array::StringViewBuilder::with_capacity(array.len());
        let mut buffer = Vec::new();
        for row in 0..array.len() {
            if array.is_null(row) {
                builder.append_null();
                continue;
            }
            buffer.clear();
            cells.write_text(row, &style, &mut buffer);
            builder.append_value(String::from_utf8_lossy(&buffer));
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

/// The first `n` characters; with `pad`, blanks up to `n`.
fn cut(n: u32, pad: bool) -> Body {
    let n = n as usize;
    Arc::new(move |arrays| {
        let strings = cast(&arrays[0], &DataType::Utf8View)?;
        let shorten = |text: &str| {
            let mut cut = text.chars().take(n).collect::<String>();
            if pad {
                let missing = n - cut.chars().count();
                cut.extend(std::iter::repeat_n(' ', missing));
            }
            cut
        };
        let out = strings.as_string_view().iter().map(|v| v.map(shorten)).collect::<arrow::array::StringViewArray>();
        Ok(Arc::new(out) as ArrayRef)
    })
}

fn out_of_range(ty: &SqlType) -> DataFusionError {
    let name = if *ty == SqlType::Oid { "OID".to_string() } else { ty.to_string() };
    to_datafusion(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range")))
}

/// Rounds half to even from floats, and checks the range.
fn rounded(ty: SqlType) -> Body {
    Arc::new(move |arrays| {
        let array = &arrays[0];
        let whole = match array.data_type() {
            DataType::Float64 => {
                Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)) as ArrayRef
            }
            DataType::Float32 => {
                let wide = cast(array, &DataType::Float64)?;
                Arc::new(wide.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)) as ArrayRef
            }
            _ => array.clone(),
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&whole, &ty.arrow(), &strict).map_err(|_| out_of_range(&ty))
    })
}

fn arithmetic(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let checked = matches!(binary.op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide);
    if !checked {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let left = binary.left.get_type(schema)?;
    let right = binary.right.get_type(schema)?;
    let integers = matches!(left, DataType::Int16 | DataType::Int32 | DataType::Int64);
    let divides = binary.op == Operator::Divide;
    let wanted = left == right && ((integers && !divides) || left.is_floating());
    if !wanted {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let ty = SqlType::from_arrow(&left);
    let op = binary.op;
    let field = Arc::new(arrow::datatypes::Field::new("", left, true));
    let name = format!("{ty} {op}");
    Ok(Transformed::yes(Kernel::call(&name, field, vec![*binary.left, *binary.right], checked_op(op, ty))))
}

/// Texts put together: their length is looked at before.
fn concatenated(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let text = |e: &Expr| Ok::<_, DataFusionError>(e.get_type(schema)? == DataType::Utf8View);
    if !text(&binary.left)? || !text(&binary.right)? {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let body: Body = Arc::new(|arrays| {
        let length = |array: &ArrayRef| array.as_string_view().lengths().map(|n| n as usize).sum::<usize>();
        check_batch(length(&arrays[0]) + length(&arrays[1]))?;
        Ok(concat_elements_dyn(&arrays[0], &arrays[1])?)
    });
    Ok(Transformed::yes(Kernel::call("||", SqlType::Text.field_ref(""), vec![*binary.left, *binary.right], body)))
}

/// A timestamp plus or minus an interval, and intervals compared. Any other operation comes back as it is.
fn of_times(binary: BinaryExpr, schema: &DFSchema, format: &Format) -> Result<Result<Expr, BinaryExpr>> {
    let computes = matches!(binary.op, Operator::Plus | Operator::Minus);
    if !computes && !compares(binary.op) {
        return Ok(Err(binary));
    }
    let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
    let interval = |t: &DataType| matches!(t, DataType::Interval(_));
    if !computes {
        if !interval(&left) || !interval(&right) {
            return Ok(Err(binary));
        }
        let [left, right] = [binary.left, binary.right].map(|side| Box::new(arithmetic::comparable(*side)));
        return Ok(Ok(Expr::BinaryExpr(BinaryExpr { left, op: binary.op, right })));
    }
    let (moment, sign, args) = match (&left, &right, binary.op) {
        (DataType::Timestamp(_, zone), r, op) if interval(r) => {
            (zone, if op == Operator::Plus { 1 } else { -1 }, [binary.left, binary.right])
        }
        (l, DataType::Timestamp(_, zone), Operator::Plus) if interval(l) => (zone, 1, [binary.right, binary.left]),
        _ => return Ok(Err(binary)),
    };
    let (ty, zoned) = if moment.is_some() { (SqlType::TimestampTz, true) } else { (SqlType::Timestamp, false) };
    let name =
        format!("{}_{}_interval", if zoned { "timestamptz" } else { "timestamp" }, if sign > 0 { "pl" } else { "mi" });
    let body = arithmetic::shift_moment(sign, format, zoned);
    Ok(Ok(Kernel::call(&name, ty.field_ref(""), args.map(|a| *a).to_vec(), body)))
}

fn checked_op(op: Operator, ty: SqlType) -> Body {
    Arc::new(move |arrays| {
        let (left, right) = (&arrays[0], &arrays[1]);
        if op == Operator::Divide {
            return checked_division(left, right);
        }
        let done = match op {
            Operator::Plus => add(left, right),
            Operator::Minus => sub(left, right),
            _ => mul(left, right),
        };
        let done = done.map_err(|_| out_of_range(&ty))?;
        if has_infinity(&done) && !has_infinity(left) && !has_infinity(right) {
            return Err(float_out_of_range("overflow"));
        }
        if op == Operator::Multiply && underflows(&done, left, right) {
            return Err(float_out_of_range("underflow"));
        }
        Ok(done)
    })
}

fn float_out_of_range(fault: &str) -> DataFusionError {
    let message = format!("value out of range: {fault}");
    to_datafusion(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message))
}

/// Whether a product or quotient became zero although nothing in its row is zero or infinite.
fn underflows(done: &ArrayRef, left: &ArrayRef, right: &ArrayRef) -> bool {
    fn any<T: arrow::datatypes::ArrowPrimitiveType>(
        arrays: [&ArrayRef; 3],
        zero: T::Native,
        finite: fn(T::Native) -> bool,
    ) -> bool {
        let [done, left, right] = arrays.map(|a| a.as_primitive::<T>());
        done.values().contains(&zero)
            && done.iter().zip(left).zip(right).any(|row| {
                matches!(row, ((Some(d), Some(l)), Some(r))
                    if d == zero && l != zero && r != zero && finite(l) && finite(r))
            })
    }
    match done.data_type() {
        DataType::Float64 => any::<Float64Type>([done, left, right], 0.0, f64::is_finite),
        DataType::Float32 => any::<Float32Type>([done, left, right], 0.0, f32::is_finite),
        _ => false,
    }
}

/// The smallest integer has no positive counterpart.
fn checked_negation(inner: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let ty = SqlType::from_arrow(&inner.get_type(schema)?);
    let field = Arc::new(arrow::datatypes::Field::new("", ty.arrow(), true));
    let name = format!("- {ty}");
    let body: Body =
        Arc::new(move |arrays| arrow::compute::kernels::numeric::neg(&arrays[0]).map_err(|_| out_of_range(&ty)));
    Ok(Transformed::yes(Kernel::call(&name, field, vec![inner], body)))
}

fn has_infinity(array: &ArrayRef) -> bool {
    // Places of NULLs may hold anything: they are looked at only if the quick look finds something.
    match array.data_type() {
        DataType::Float64 => {
            let floats = array.as_primitive::<Float64Type>();
            floats.values().iter().any(|v| v.is_infinite()) && floats.iter().flatten().any(f64::is_infinite)
        }
        DataType::Float32 => {
            let floats = array.as_primitive::<Float32Type>();
            floats.values().iter().any(|v| v.is_infinite()) && floats.iter().flatten().any(f32::is_infinite)
        }
        _ => false,
    }
}

/// A float divided by zero is an error in PostgreSQL, unless one of both is NULL or NaN.
fn checked_division(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let zero = match right.data_type() {
        DataType::Float64 => by_zero::<Float64Type>(left, right, 0.0, f64::is_nan),
        _ => by_zero::<Float32Type>(left, right, 0.0, f32::is_nan),
    };
    if zero {
        return Err(to_datafusion(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")));
    }
    let done = div(left, right)?;
    if has_infinity(&done) && !has_infinity(left) && !has_infinity(right) {
        return Err(float_out_of_range("overflow"));
    }
    if underflows(&done, left, right) {
        return Err(float_out_of_range("underflow"));
    }
    Ok(done)
}

fn by_zero<T: arrow::datatypes::ArrowPrimitiveType>(
    left: &ArrayRef,
    right: &ArrayRef,
    zero: T::Native,
    nan: fn(T::Native) -> bool,
) -> bool {
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    left.iter().zip(right).any(|(l, r)| matches!((l, r), (Some(l), Some(r)) if r == zero && !nan(l)))
}
