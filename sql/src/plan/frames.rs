//! Windows whose frames DataFusion has not got or computes otherwise: `EXCLUDE`, offsets that are no literals, RANGE over
//! floats, dates and times, frames that move where an aggregate can't take a row back, and `lag`, `lead`, `nth_value` and
//! `ntile` with arguments that differ by row (<https://www.postgresql.org/docs/15/functions-window.html>).
//!
//! `rewrite/windows.rs` leaves such a frame as the last column of the window's ORDER BY, a call of [`MARK`]. Here the call
//! becomes a window function of ours that takes all it needs as arguments: those of the function, its filter, the columns
//! of the order, the offsets. DataFusion sorts and divides the rows; [`evaluate`] does the rest, partition by partition.

mod evaluate;
mod keys;

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, Operator, PartitionEvaluator, Projection, ScalarUDF, Signature,
    SortExpr, Volatility, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, WindowUDF,
    WindowUDFImpl, binary_expr, cast,
};
use datafusion::scalar::ScalarValue;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use self::evaluate::Evaluator;
use super::arithmetic::comparable;
use super::kernel::{Body, Kernel};
use super::{QueryContext, numbers, numeric};
use crate::error::to_datafusion;
use crate::session::Limits;

/// The function that stands for a frame.
pub(super) const MARK: &str = "__frame";

/// Rewrites the windows of a plan fresh from the planner, once the types of its numbers are chosen.
pub(super) fn framed(plan: LogicalPlan, ctx: &QueryContext) -> Result<LogicalPlan> {
    let means = Means { limits: ctx.limits.clone(), pool: ctx.memory.pool() };
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Window(window) => rewritten(window, &means),
        other => Ok(Transformed::no(other)),
    })
    .map(|t| t.data)
}

fn rewritten(window: Window, means: &Means) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&[&window.input]);
    let names = NamePreserver::new_for_projection();
    let mut below = Vec::new();
    let mut changed = false;
    let mut exprs = Vec::with_capacity(window.window_expr.len());
    for expr in window.window_expr {
        let saved = names.save(&expr);
        let done = expr.transform_up(|e| match e {
            Expr::WindowFunction(call) => function(*call, &schema, &mut below, means),
            other => Ok(Transformed::no(other)),
        })?;
        changed |= done.transformed;
        exprs.push(done.update_data(|e| saved.restore(e)).data);
    }
    let input = if below.is_empty() {
        window.input
    } else {
        let columns = window.input.schema().columns().into_iter().map(Expr::Column);
        Arc::new(LogicalPlan::Projection(Projection::try_new(columns.chain(below).collect(), window.input)?))
    };
    Ok(Transformed::new_transformed(LogicalPlan::Window(Window::try_new(exprs, input)?), changed))
}

/// One call with all it needs as arguments, if it is one of ours. Arguments with subqueries go `below`, to a projection.
fn function(
    mut call: WindowFunction,
    schema: &DFSchema,
    below: &mut Vec<Expr>,
    means: &Means,
) -> Result<Transformed<Expr>> {
    let mark = call.params.order_by.pop_if(|o| is_mark(&o.expr)).map(|o| o.expr);
    let Some(what) = What::of(&call, mark.is_some(), schema)? else {
        return Ok(Transformed::new_transformed(Expr::from(call), mark.is_some()));
    };
    let WindowFunctionParams { mut args, partition_by, order_by, window_frame, filter, null_treatment: _, distinct: _ } =
        call.params;
    if matches!(what, What::Lag | What::Lead) {
        same_type(&mut args, schema)?;
    }
    let (frame, offsets) = match mark {
        Some(Expr::ScalarFunction(mark)) => marked(mark.args, order_by.first(), schema)?,
        _ => (Frame::of(&window_frame), Offsets::default()),
    };
    let function = Framed {
        what,
        frame,
        args: args.len(),
        filter: filter.is_some(),
        order: order_by.iter().map(options).collect(),
        keyed: offsets.keyed,
        means: means.clone(),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    args.extend(filter.map(|f| *f));
    args.extend(order_by.iter().map(|o| o.expr.clone()));
    args.extend(offsets.exprs);
    for arg in &mut args {
        let subquery = |e: &Expr| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)));
        if arg.exists(subquery)? {
            let name = format!("__argument_{}", below.len());
            below.push(std::mem::take(arg).alias(&name));
            *arg = Expr::Column(Column::from_name(name));
        }
    }
    let params = WindowFunctionParams {
        args,
        partition_by,
        order_by,
        window_frame: WindowFrame::new(None),
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    let fun = WindowFunctionDefinition::WindowUDF(Arc::new(WindowUDF::new_from_impl(function)));
    Ok(Transformed::yes(Expr::from(WindowFunction { fun, params })))
}

fn is_mark(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == MARK)
}

fn options(order: &SortExpr) -> SortOptions {
    SortOptions { descending: !order.asc, nulls_first: order.nulls_first }
}

/// `lag(integer, 1, numeric)` is numeric: value and default take the type that both can have.
fn same_type(args: &mut [Expr], schema: &DFSchema) -> Result<()> {
    if let [value, _, default] = args {
        let (from, to) = (value.get_type(schema)?, default.get_type(schema)?);
        let open = matches!(default, Expr::Literal(ScalarValue::Utf8(_), None));
        let exact = |a: &DataType, b: &DataType| numeric::is_exact(a) && (numeric::is_exact(b) || b.is_integer());
        if exact(&from, &to) || exact(&to, &from) {
            for (arg, ty) in [(value, from), (default, to)] {
                *arg = numeric::as_numeric(std::mem::take(arg), &ty);
            }
            numbered(args);
            return Ok(());
        }
        let common = if open { from.clone() } else { type_union_coercion(&from, &to).unwrap_or_else(|| from.clone()) };
        for (arg, ty) in [(value, from), (default, to)] {
            if ty != common {
                *arg = cast(std::mem::take(arg), common.clone());
            }
        }
    }
    numbered(args);
    Ok(())
}

/// The offset as a whole number of rows.
fn numbered(args: &mut [Expr]) {
    if let [_, offset, ..] = args {
        *offset = cast(std::mem::take(offset), DataType::Int64);
    }
}

/// What is computed over a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Aggregate(Arc<AggregateUDF>),
    First,
    Last,
    Nth,
    Lag,
    Lead,
    Ntile,
}

impl What {
    /// What a call is, if we compute it: all with a frame of ours that heed it, and some always.
    fn of(call: &WindowFunction, marked: bool, schema: &DFSchema) -> Result<Option<What>> {
        let udwf = match &call.fun {
            WindowFunctionDefinition::AggregateUDF(f) => return Ok(marked.then(|| What::Aggregate(f.clone()))),
            WindowFunctionDefinition::WindowUDF(f) => f,
        };
        let args = &call.params.args;
        let literal = |n: usize| args.get(n).is_none_or(|e| matches!(e, Expr::Literal(..)));
        Ok(match udwf.name() {
            "first_value" if marked => Some(What::First),
            "last_value" if marked => Some(What::Last),
            "nth_value" => Some(What::Nth),
            name @ ("lag" | "lead") => {
                let same = args.len() < 3 || args[0].get_type(schema)? == args[2].get_type(schema)?;
                // DataFusion takes an offset of NULL for none; PostgreSQL answers NULL.
                let far = !matches!(args.get(1), Some(Expr::Literal(by, _)) if by.is_null());
                let simple = literal(1) && literal(2) && same && far;
                (!simple).then_some(if name == "lag" { What::Lag } else { What::Lead })
            }
            "ntile" => Some(What::Ntile),
            _ => None,
        })
    }
}

/// How a frame counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Units {
    Rows,
    Range,
    Groups,
}

/// One end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bound {
    Unbounded,
    Preceding,
    Current,
    Following,
}

impl Bound {
    fn has_offset(self) -> bool {
        matches!(self, Bound::Preceding | Bound::Following)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Exclude {
    Nothing,
    Current,
    Group,
    Ties,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Frame {
    units: Units,
    start: Bound,
    end: Bound,
    exclude: Exclude,
}

impl Frame {
    /// One of DataFusion's, without offsets.
    fn of(frame: &WindowFrame) -> Frame {
        let units = match frame.units {
            WindowFrameUnits::Rows => Units::Rows,
            WindowFrameUnits::Range => Units::Range,
            WindowFrameUnits::Groups => Units::Groups,
        };
        let bound = |bound: &WindowFrameBound| match bound {
            WindowFrameBound::CurrentRow => Bound::Current,
            WindowFrameBound::Preceding(_) | WindowFrameBound::Following(_) => Bound::Unbounded,
        };
        Frame { units, start: bound(&frame.start_bound), end: bound(&frame.end_bound), exclude: Exclude::Nothing }
    }
}

/// How the order's column of a RANGE compares with its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Keyed {
    /// No RANGE with offsets.
    No,
    /// Numbers in 64 bits and offsets of the same type.
    Integers,
    Floats,
    /// Times of day, and intervals.
    Times,
    /// Whatever sorts; the bounds are computed for each row.
    Bounds,
}

/// The arguments that a frame adds.
struct Offsets {
    keyed: Keyed,
    /// The offset of the start, if it has one, and that of the end. For a RANGE then the column, and where the bounds are
    /// computed for each row, these.
    exprs: Vec<Expr>,
}

impl Default for Offsets {
    fn default() -> Offsets {
        Offsets { keyed: Keyed::No, exprs: vec![] }
    }
}

/// Reads a mark.
fn marked(args: Vec<Expr>, order: Option<&SortExpr>, schema: &DFSchema) -> Result<(Frame, Offsets)> {
    let text = |n: usize| match args.get(n) {
        Some(Expr::Literal(ScalarValue::Utf8(Some(s)) | ScalarValue::Utf8View(Some(s)), _)) => s.as_str(),
        _ => "",
    };
    let bound = |word: &str| match word {
        "preceding" => Bound::Preceding,
        "following" => Bound::Following,
        "current" => Bound::Current,
        _ => Bound::Unbounded,
    };
    let units = match text(0) {
        "RANGE" => Units::Range,
        "GROUPS" => Units::Groups,
        _ => Units::Rows,
    };
    let exclude = match text(5) {
        "current" => Exclude::Current,
        "group" => Exclude::Group,
        "ties" => Exclude::Ties,
        _ => Exclude::Nothing,
    };
    let frame = Frame { units, start: bound(text(1)), end: bound(text(3)), exclude };
    let given = [(frame.start, 2), (frame.end, 4)].into_iter().filter(|(bound, _)| bound.has_offset());
    let given = given.filter_map(|(bound, n)| Some((bound, args.get(n)?.clone()))).collect::<Vec<_>>();
    match (units, args.get(6), order) {
        (Units::Range, Some(key), Some(order)) if !given.is_empty() => {
            let ends = [frame.start, frame.end].into_iter().filter(|b| b.has_offset()).collect::<Vec<_>>();
            let offsets = given.into_iter().map(|(_, e)| e).collect();
            Ok((frame, ranged(key.clone(), &ends, offsets, !order.asc, schema)?))
        }
        _ => {
            let exprs = given.into_iter().map(|(_, e)| counted(e, units, schema)).collect::<Result<Vec<_>>>()?;
            Ok((frame, Offsets { keyed: Keyed::No, exprs }))
        }
    }
}

/// The offset of ROWS or GROUPS, a `bigint`.
fn counted(offset: Expr, units: Units, schema: &DFSchema) -> Result<Expr> {
    let (_, field) = offset.to_field(schema)?;
    let ty = field.data_type();
    let open = matches!(offset, Expr::Literal(ScalarValue::Utf8(_), None)) || ty.is_null();
    if !open && !ty.is_numeric() && !matches!(SqlType::of_field(&field), SqlType::Numeric(_)) {
        let units = if units == Units::Rows { "ROWS" } else { "GROUPS" };
        let shown = super::agreement::shown(&field);
        let message = format!("argument of {units} must be type bigint, not type {shown}");
        return Err(to_datafusion(Error::new(SqlState::DATATYPE_MISMATCH, message)));
    }
    Ok(cast(offset, DataType::Int64))
}

/// The arguments of a RANGE with offsets.
///
/// # Errors
/// 0A000 for a column or an offset of a type that has no such frames.
fn ranged(key: Expr, ends: &[Bound], offsets: Vec<Expr>, descending: bool, schema: &DFSchema) -> Result<Offsets> {
    let (_, field) = key.to_field(schema)?;
    let ty = field.data_type().clone();
    let interval = |ty: &DataType| matches!(ty, DataType::Interval(_));
    let number = |ty: &DataType| ty.is_numeric() || matches!(SqlType::from_arrow(ty), SqlType::Numeric(_));
    let integers = |ty: &DataType| ty.is_signed_integer() || ty.is_unsigned_integer();
    let exact = matches!(SqlType::of_field(&field), SqlType::Numeric(_));
    let temporal = matches!(ty, DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)) || interval(&ty);
    let mut exprs = Vec::new();
    for offset in offsets {
        let (_, given) = offset.to_field(schema)?;
        let open = matches!(offset, Expr::Literal(ScalarValue::Utf8(_), None)) || given.data_type().is_null();
        let from = given.data_type();
        let (fits, wanted) = if exact {
            (integers(from) || matches!(SqlType::of_field(&given), SqlType::Numeric(_)), SqlType::Numeric(None).arrow())
        } else if integers(&ty) {
            (integers(from), DataType::Int64)
        } else if ty.is_floating() {
            (number(from), DataType::Float64)
        } else if temporal {
            (interval(from), SqlType::Interval.arrow())
        } else {
            let shown = super::agreement::shown(&field);
            let message = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {shown}");
            return Err(to_datafusion(Error::unsupported(message)));
        };
        if !fits && !open {
            let (shown, offset) = (super::agreement::shown(&field), super::agreement::shown(&given));
            let message = format!(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {shown} and offset type {offset}"
            );
            let error = Error::unsupported(message).hint("Cast the offset value to an appropriate type.");
            return Err(to_datafusion(error));
        }
        // A literal is read as the column's type wants it.
        let offset = if open && integers(&ty) { cast(offset, ty.clone()) } else { offset };
        let same = *from == wanted && !open;
        exprs.push(if same { offset } else { cast(offset, wanted) });
    }
    let keyed = match &ty {
        _ if exact => Keyed::Bounds,
        ty if integers(ty) => Keyed::Integers,
        ty if ty.is_floating() => Keyed::Floats,
        DataType::Time64(_) => Keyed::Times,
        _ => Keyed::Bounds,
    };
    let column = match (&keyed, &ty) {
        (Keyed::Integers, _) => cast(key, DataType::Int64),
        (Keyed::Times, _) => {
            let microseconds = Arc::new(Field::new("", DataType::Int64, true));
            let body: Body = Arc::new(|a| Ok(arrow::compute::cast(&a[0], &DataType::Int64)?));
            Kernel::call("time_microseconds", microseconds, vec![key], body)
        }
        (Keyed::Floats, _) => cast(key, DataType::Float64),
        (_, DataType::Date32) => cast(key, DataType::Timestamp(TimeUnit::Microsecond, None)),
        _ => key,
    };
    let mut bounds = Vec::new();
    if keyed == Keyed::Bounds {
        for (end, offset) in ends.iter().zip(&exprs) {
            let minus = (*end == Bound::Preceding) != descending;
            let op = if minus { Operator::Minus } else { Operator::Plus };
            let bound = binary_expr(column.clone(), op, offset.clone());
            bounds.push(match () {
                () if interval(&ty) => comparable(bound),
                () if exact => {
                    let bound = numbers::chosen_in(bound, schema)?;
                    let made = bound.get_type(schema)?;
                    numeric::key(bound, &made)
                }
                () => bound,
            });
        }
        if exact {
            exprs.iter_mut().for_each(|e| *e = cast(std::mem::take(e), DataType::Float64));
        }
        // Whether an offset is negative shows where it compares.
        if temporal {
            exprs.iter_mut().for_each(|e| *e = comparable(std::mem::take(e)));
        }
    }
    exprs.push(match () {
        () if interval(&ty) => comparable(column),
        () if exact => numeric::key(column, &ty),
        () => column,
    });
    exprs.extend(bounds);
    Ok(Offsets { keyed, exprs })
}

/// The statement's time and memory. They are no part of what a function is.
#[derive(Clone, Debug)]
struct Means {
    limits: Limits,
    pool: Arc<dyn MemoryPool>,
}

impl PartialEq for Means {
    fn eq(&self, _: &Means) -> bool {
        true
    }
}

impl Eq for Means {}

impl std::hash::Hash for Means {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Means {
    /// Gives up if the statement was stopped: a frame may take longer than anybody waits.
    ///
    /// # Errors
    /// 57014.
    fn check(&self) -> Result<()> {
        self.limits.check().map_err(to_datafusion)
    }

    /// Memory for one partition; what is held is given back with it.
    fn memory(&self) -> MemoryReservation {
        MemoryConsumer::new("window frames").register(&self.pool)
    }
}

/// A window function of ours, for one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Framed {
    what: What,
    frame: Frame,
    /// The arguments of the function itself.
    args: usize,
    /// Whether a filter follows them.
    filter: bool,
    /// How the columns of the order, which come then, are sorted.
    order: Vec<SortOptions>,
    keyed: Keyed,
    means: Means,
    signature: Signature,
}

impl WindowUDFImpl for Framed {
    fn name(&self) -> &str {
        match &self.what {
            What::Aggregate(f) => f.name(),
            What::First => "first_value",
            What::Last => "last_value",
            What::Nth => "nth_value",
            What::Lag => "lag",
            What::Lead => "lead",
            What::Ntile => "ntile",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (own, rest) = types.split_at(self.args.min(types.len()));
        let own = match &self.what {
            What::Aggregate(f) => {
                let field = |ty: &DataType| Arc::new(Field::new("", ty.clone(), true));
                let fields = own.iter().map(field).collect::<Vec<_>>();
                fields_with_udf(&fields, f.as_ref())?.iter().map(|f| f.data_type().clone()).collect()
            }
            What::Nth => {
                own.iter().enumerate().map(|(n, t)| if n == 1 { DataType::Int64 } else { t.clone() }).collect()
            }
            What::Ntile => vec![DataType::Int64],
            _ => own.to_vec(),
        };
        Ok([own, rest.to_vec()].concat())
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let (exprs, fields) = (args.input_exprs(), args.input_fields());
        if fields.len() < self.args {
            return exec_err!("{} lacks arguments", self.name());
        }
        Ok(Box::new(Evaluator::new(self.clone(), &exprs[..self.args], &fields[..self.args])?))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let fields = args.input_fields();
        let own = &fields[..self.args.min(fields.len())];
        let field = match (&self.what, own.first()) {
            (What::Aggregate(f), _) => f.return_field(own)?,
            (What::Ntile, _) => Arc::new(Field::new("", DataType::Int32, true)),
            (_, Some(first)) => first.clone(),
            (_, None) => return exec_err!("{} lacks arguments", self.name()),
        };
        Ok(Arc::new(field.as_ref().clone().with_name(args.name()).with_nullable(true)))
    }
}

/// What [`MARK`] names.
pub(super) fn mark_function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Mark { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl datafusion::logical_expr::ScalarUDFImpl for Mark {
    fn name(&self) -> &'static str {
        MARK
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(
        &self,
        _: datafusion::logical_expr::ScalarFunctionArgs,
    ) -> Result<datafusion::logical_expr::ColumnarValue> {
        exec_err!("a mark of the planner was run")
    }
}
