//! `sum`, `avg`, `stddev` and their kin over exact numbers, and groups of numerics.
//!
//! The planner is given stand-ins of DataFusion's aggregates, which know PostgreSQL's types of the results
//! (<https://www.postgresql.org/docs/15/functions-aggregate.html>). They are replaced here by what is computed: an average
//! by a sum and a count, which several aggregates share, and a division after the groups are made.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, internal_err};
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{
    Accumulator, Aggregate, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, GroupingSet, LogicalPlan,
    LogicalPlanBuilder, Operator, Signature, TypeSignature, Window, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, cast, when,
};
use datafusion::scalar::ScalarValue;
use sightline_functions::numeric::{self, NUMERIC};
use sightline_functions::scalar;
use sightline_functions::time::date_part;

use super::nodes::{keyed, ordered, renamed};
use super::{
    LONG_DIGITS, SHORT_DIGITS, as_float, as_numeric, call, decimal, integer_digits, is_exact, is_numeric, key,
    operator, shape, unify,
};
use crate::plan::columns::hide;

/// How many digits a sum has more than its values.
const SUM_DIGITS: i32 = 10;

/// What a stand-in is replaced by, over exact numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Average,
    /// Of a sample or of all, squared or not.
    Spread {
        sample: bool,
        root: bool,
    },
    /// Arguments become doubles.
    Floats,
}

const KINDS: [(&str, Kind); 17] = [
    ("sum", Kind::Sum),
    ("avg", Kind::Average),
    ("stddev", Kind::Spread { sample: true, root: true }),
    ("stddev_samp", Kind::Spread { sample: true, root: true }),
    ("stddev_pop", Kind::Spread { sample: false, root: true }),
    ("variance", Kind::Spread { sample: true, root: false }),
    ("var_samp", Kind::Spread { sample: true, root: false }),
    ("var_pop", Kind::Spread { sample: false, root: false }),
    ("corr", Kind::Floats),
    ("covar_samp", Kind::Floats),
    ("covar_pop", Kind::Floats),
    ("regr_avgx", Kind::Floats),
    ("regr_avgy", Kind::Floats),
    ("regr_intercept", Kind::Floats),
    ("regr_r2", Kind::Floats),
    ("regr_slope", Kind::Floats),
    ("regr_sxx", Kind::Floats),
];

/// Puts the stand-ins in place of the aggregates that a context has.
pub(in crate::plan) fn aggregates(context: &SessionContext) {
    let state = context.state();
    let known = |name: &str| state.aggregate_functions().get(name).cloned();
    for (name, kind) in KINDS {
        // DataFusion calls the variance of a sample `var_samp` only.
        let Some(inner) = known(name).or_else(|| known("var_samp")) else { continue };
        let signature = Signature::user_defined(inner.signature().volatility);
        context.register_udaf(AggregateUDF::new_from_impl(StandIn { name, kind, inner, signature }));
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct StandIn {
    name: &'static str,
    kind: Kind,
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

fn is_number(t: &DataType) -> bool {
    is_exact(t) || integer_digits(t).is_some()
}

impl StandIn {
    fn of(udaf: &AggregateUDF) -> Option<&StandIn> {
        udaf.inner().downcast_ref::<StandIn>()
    }
}

impl AggregateUDFImpl for StandIn {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let given = types;
        if self.kind == Kind::Floats {
            let double = |t: &DataType| if is_numeric(t) { DataType::Float64 } else { t.clone() };
            let types = types.iter().map(double).collect::<Vec<_>>();
            let wanted = inner_types(&self.inner, &types)?;
            // The planner casts numerics itself.
            let open = given.iter().zip(wanted).map(|(g, w)| if is_numeric(g) { g.clone() } else { w });
            return Ok(open.collect());
        }
        if let [t] = types
            && is_number(t)
        {
            return Ok(types.to_vec());
        }
        inner_types(&self.inner, types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types) {
            (Kind::Sum, [t]) if is_number(t) => Ok(sum_type(t)),
            (Kind::Average | Kind::Spread { .. }, [t]) if is_number(t) => Ok(NUMERIC),
            _ => {
                let double = |t: &DataType| if is_numeric(t) { DataType::Float64 } else { t.clone() };
                let types = types.iter().map(double).collect::<Vec<_>>();
                self.inner.return_type(&inner_types(&self.inner, &types)?)
            }
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        internal_err!("{} was not replaced", self.name)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.inner().supports_null_handling_clause()
    }
}

fn inner_types(inner: &AggregateUDF, types: &[DataType]) -> Result<Vec<DataType>> {
    // Its error is told as it is.
    if inner.signature().type_signature == TypeSignature::UserDefined {
        return inner.coerce_types(types);
    }
    let fields = types.iter().map(|t| Arc::new(Field::new("", t.clone(), true))).collect::<Vec<_>>();
    Ok(fields_with_udf(&fields, inner)?.iter().map(|f| f.data_type().clone()).collect())
}

fn sum_type(t: &DataType) -> DataType {
    match t {
        DataType::Decimal128(p, s) => DataType::Decimal128((p + SUM_DIGITS as u8).min(SHORT_DIGITS as u8), *s),
        DataType::Decimal256(p, s) => DataType::Decimal256((*p + SUM_DIGITS as u8).min(LONG_DIGITS as u8), *s),
        DataType::Int64 | DataType::UInt64 => DataType::Decimal128(19 + SUM_DIGITS as u8, 0),
        t if integer_digits(t).is_some() => DataType::Int64,
        _ => NUMERIC,
    }
}

/// Whether a sum of such values may have more digits than their type has room for. Products, whose precision is made of
/// what columns declare, are believed to be smaller ([`operator`]).
fn is_long_sum(arg: &Expr, precision: u8) -> bool {
    let declared = matches!(arg, Expr::Column(_) | Expr::Cast(_));
    declared && i32::from(precision) + SUM_DIGITS > SHORT_DIGITS
}

/// Before the expressions below are understood: a CASE that is only added up keeps one decimal for all its branches,
/// since nobody sees the zeros.
pub(in crate::plan) fn lenient(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let sums = |f: &AggregateUDF| StandIn::of(f).is_some_and(|s| matches!(s.kind, Kind::Sum | Kind::Average));
    let eased = |args: &mut Vec<Expr>| -> Result<()> {
        for arg in args {
            *arg = match std::mem::take(arg) {
                Expr::Case(case) => unify::summed(case, schema)?,
                Expr::ScalarFunction(call) if call.func.name() == "coalesce" => unify::summed_call(call, schema)?,
                other => other,
            };
        }
        Ok(())
    };
    Ok(match expr {
        Expr::AggregateFunction(mut f) if sums(&f.func) => {
            eased(&mut f.params.args)?;
            Expr::AggregateFunction(f)
        }
        Expr::WindowFunction(mut f) => {
            if let WindowFunctionDefinition::AggregateUDF(udaf) = &f.fun
                && sums(udaf)
            {
                eased(&mut f.params.args)?;
            }
            Expr::WindowFunction(f)
        }
        other => other,
    })
}

/// Aggregates to be computed, each once, under names of their own.
#[derive(Default)]
struct Parts {
    exprs: Vec<Expr>,
}

impl Parts {
    /// The column that will hold the value.
    fn add(&mut self, expr: Expr) -> Expr {
        let at = self.exprs.iter().position(|known| *known == expr).unwrap_or_else(|| {
            self.exprs.push(expr);
            self.exprs.len() - 1
        });
        Expr::Column(Column::new_unqualified(hide("agg", at)))
    }

    fn named(self) -> Vec<Expr> {
        self.exprs.into_iter().enumerate().map(|(n, e)| e.alias(hide("agg", n))).collect()
    }
}

/// A function over a row's arguments with DISTINCT, FILTER, ORDER BY or a window: either kind of call.
#[derive(Clone)]
enum Call {
    Aggregate(AggregateFunction),
    Window(Box<WindowFunction>),
}

impl Call {
    fn of(expr: Expr) -> std::result::Result<Call, Expr> {
        match expr {
            Expr::AggregateFunction(f) => Ok(Call::Aggregate(f)),
            Expr::WindowFunction(f) if matches!(f.fun, WindowFunctionDefinition::AggregateUDF(_)) => {
                Ok(Call::Window(f))
            }
            Expr::Alias(alias) => Call::of(*alias.expr),
            other => Err(other),
        }
    }

    fn function(&self) -> Option<Arc<AggregateUDF>> {
        match self {
            Call::Aggregate(f) => Some(f.func.clone()),
            Call::Window(f) => match &f.fun {
                WindowFunctionDefinition::AggregateUDF(f) => Some(f.clone()),
                WindowFunctionDefinition::WindowUDF(_) => None,
            },
        }
    }

    fn args(&self) -> &[Expr] {
        match self {
            Call::Aggregate(f) => &f.params.args,
            Call::Window(f) => &f.params.args,
        }
    }

    fn distinct(&self) -> bool {
        match self {
            Call::Aggregate(f) => f.params.distinct,
            Call::Window(f) => f.params.distinct,
        }
    }

    /// The same call of another function.
    fn with(&self, function: Arc<AggregateUDF>, args: Vec<Expr>) -> Expr {
        match self.clone() {
            Call::Aggregate(mut f) => {
                (f.func, f.params.args) = (function, args);
                Expr::AggregateFunction(f)
            }
            Call::Window(mut f) => {
                (f.fun, f.params.args) = (WindowFunctionDefinition::AggregateUDF(function), args);
                Expr::WindowFunction(f)
            }
        }
    }

    /// With what orders and parts its rows compared by keys.
    fn keyed(self, schema: &DFSchema) -> Call {
        match self {
            Call::Aggregate(mut f) => {
                f.params.order_by = f.params.order_by.into_iter().map(|e| ordered(e, schema)).collect();
                Call::Aggregate(f)
            }
            Call::Window(f) => Call::Window(keyed_window(f, schema)),
        }
    }
}

/// A bound without a distance, as one of groups has it.
fn peers(bound: WindowFrameBound) -> WindowFrameBound {
    match bound {
        WindowFrameBound::Preceding(_) => WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::Following(_) => WindowFrameBound::Following(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow => WindowFrameBound::CurrentRow,
    }
}

fn keyed_window(mut f: Box<WindowFunction>, schema: &DFSchema) -> Box<WindowFunction> {
    // The default of `lag` and `lead` is a value like the others.
    if let [value, _, default] = f.params.args.as_mut_slice()
        && let (Ok(of), Ok(ty)) = (value.get_type(schema), default.get_type(schema))
        && is_numeric(&of)
        && is_number(&ty)
    {
        *default = as_numeric(std::mem::take(default), &ty);
    }
    let frame = &f.params.window_frame;
    let offset = |b: &WindowFrameBound| match b {
        WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) => !by.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    // `RANGE 1.5 PRECEDING` computes with what it is ordered by.
    let ranges = frame.units == WindowFrameUnits::Range && (offset(&frame.start_bound) || offset(&frame.end_bound));
    f.params.partition_by = f.params.partition_by.into_iter().map(|e| keyed(e, schema)).collect();
    if ranges {
        return f;
    }
    // DataFusion finds a range of equal values for some types only, a group for all.
    let other = |e: &datafusion::logical_expr::expr::Sort| {
        matches!(e.expr.get_type(schema), Ok(DataType::Time64(_) | DataType::FixedSizeBinary(_) | DataType::Binary))
    };
    if f.params.window_frame.units == WindowFrameUnits::Range && f.params.order_by.iter().any(other) {
        let WindowFrame { start_bound, end_bound, .. } = &f.params.window_frame;
        let (start, end) = (start_bound.clone(), end_bound.clone());
        f.params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, peers(start), peers(end));
    }
    let order_by = f.params.order_by.clone().into_iter().map(|e| ordered(e, schema)).collect::<Vec<_>>();
    if order_by != f.params.order_by {
        // Without a distance a range is one of peers, which DataFusion finds for any type.
        if f.params.window_frame.units == WindowFrameUnits::Range {
            let WindowFrame { start_bound, end_bound, .. } = &f.params.window_frame;
            let (start, end) = (start_bound.clone(), end_bound.clone());
            f.params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, peers(start), peers(end));
        }
        f.params.order_by = order_by;
    }
    f
}

/// The expression that makes the result of the parts.
fn resolved(expr: Expr, schema: &DFSchema, parts: &mut Parts) -> Result<Expr> {
    let call = match Call::of(expr) {
        Ok(call) => call.keyed(schema),
        Err(Expr::WindowFunction(f)) => return Ok(parts.add(Expr::WindowFunction(keyed_window(f, schema)))),
        Err(other) => return Ok(parts.add(other)),
    };
    let Some(function) = call.function() else { return internal_err!("a call without a function") };
    let types = call.args().iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let Some(stand_in) = StandIn::of(&function) else {
        let args = call.args().iter().zip(&types);
        let by_key = function.name() == "count" && call.distinct() || function.name() == "grouping";
        let args = args.map(|(a, t)| if by_key && is_numeric(t) { key(a.clone(), t) } else { a.clone() }).collect();
        return Ok(parts.add(call.with(function, args)));
    };
    match (stand_in.kind, types.as_slice()) {
        (Kind::Sum, [t]) if is_number(t) => Ok(parts.add(sum(&call, call.args()[0].clone(), t))),
        (Kind::Average, [t]) if is_number(t) => {
            let total = parts.add(sum(&call, call.args()[0].clone(), t));
            let count = parts.add(count(&call, t));
            Ok(kernel("avg", vec![total, count], |a| numeric::operate(numeric::Operator::Divide, a)))
        }
        (Kind::Spread { sample, root }, [t]) if is_number(t) => {
            let (value, ty) = squarable(call.args()[0].clone(), t);
            let square = operator::planned(value.clone(), Operator::Multiply, value.clone(), schema)?;
            let square = square.unwrap_or_else(|(value, _)| value);
            let square_type = square.get_type(schema)?;
            let squares = parts.add(sum(&call, square, &square_type));
            let total = parts.add(sum(&call, value, &ty));
            let count = parts.add(count(&call, t));
            let name = format!("spread {sample} {root}");
            Ok(kernel(&name, vec![count, total, squares], move |a| numeric::spread(a, sample, root)))
        }
        (Kind::Floats, _) => {
            let args = call.args().iter().zip(&types);
            let args = args.map(|(a, t)| if is_numeric(t) { as_float(a.clone(), t) } else { a.clone() }).collect();
            Ok(parts.add(call.with(stand_in.inner.clone(), args)))
        }
        _ => Ok(parts.add(call.with(stand_in.inner.clone(), call.args().to_vec()))),
    }
}

fn kernel(name: &str, args: Vec<Expr>, body: impl Fn(&[ArrayRef]) -> Result<ArrayRef> + Send + Sync + 'static) -> Expr {
    call(name, NUMERIC, args, Arc::new(body))
}

fn sum(call: &Call, arg: Expr, ty: &DataType) -> Expr {
    if is_numeric(ty) {
        return call.with(numeric::numeric_sum(), vec![arg]);
    }
    let arg = match ty {
        DataType::Int64 | DataType::UInt64 => cast(arg, DataType::Decimal128(19, 0)),
        DataType::Decimal128(p, s) if is_long_sum(&arg, *p) => cast(arg, DataType::Decimal256(*p, *s)),
        DataType::Decimal128(p, _) if i32::from(*p) + SUM_DIGITS > SHORT_DIGITS && !call.distinct() => {
            return call.with(numeric::decimal_sum(), vec![arg]);
        }
        _ => arg,
    };
    call.with(sum_udaf(), vec![arg])
}

fn count(call: &Call, ty: &DataType) -> Expr {
    let arg = call.args()[0].clone();
    let arg = if call.distinct() && is_numeric(ty) { key(arg, ty) } else { arg };
    call.with(count_udaf(), vec![arg])
}

/// The number in a type whose squares can be added up.
fn squarable(arg: Expr, ty: &DataType) -> (Expr, DataType) {
    let squares = |(p, s): (i32, i32)| {
        let whole = 2 * p + SUM_DIGITS;
        let digits = if whole <= SHORT_DIGITS { p } else { p.max(SHORT_DIGITS + 1) };
        decimal(digits, s).filter(|_| 2 * digits <= LONG_DIGITS + 2 && whole <= LONG_DIGITS)
    };
    match shape(ty).and_then(squares) {
        Some(to) if to == *ty => (arg, to),
        Some(to) => (cast(arg, to.clone()), to),
        None => (as_numeric(arg, ty), NUMERIC),
    }
}

/// Whether the node has anything that is not DataFusion's as it stands.
fn concerns(exprs: &[Expr], schema: &DFSchema) -> bool {
    exprs.iter().any(|e| match Call::of(e.clone()) {
        Ok(call) => {
            call.function().is_some_and(|f| StandIn::of(&f).is_some())
                || call.args().iter().any(|a| a.get_type(schema).is_ok_and(|t| is_numeric(&t)))
                || call.clone().keyed(schema).with_same() != call.with_same()
        }
        Err(Expr::WindowFunction(f)) => keyed_window(f.clone(), schema) != f,
        Err(_) => false,
    })
}

impl Call {
    fn with_same(&self) -> Option<Expr> {
        self.function().map(|f| self.with(f, self.args().to_vec()))
    }
}

/// Groups by keys, and aggregates made of their parts.
pub(super) fn expanded(node: Aggregate) -> Result<LogicalPlan> {
    let input = node.input.schema().clone();
    let sets = node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_)));
    let is_keyed = |e: &Expr| e.get_type(&input).is_ok_and(|t| is_numeric(&t));
    let grouped = grouping_set_to_exprlist(&node.group_expr)?.into_iter().cloned().collect::<Vec<_>>();
    if !grouped.iter().any(is_keyed) && !concerns(&node.aggr_expr, &input) {
        return Ok(LogicalPlan::Aggregate(node));
    }
    // The id of a grouping set is DataFusion's own, which no node above names.
    let hidden = usize::from(sets);
    let groups = node.schema.fields().len() - node.aggr_expr.len() - hidden;
    let (mut parts, mut finals, mut group_expr) = (Parts::default(), Vec::new(), Vec::new());
    for n in 0..groups {
        let (qualifier, field) = node.schema.qualified_field(n);
        finals.push(Expr::Column(Column::new(qualifier.cloned(), field.name())));
    }
    if sets {
        // What a set leaves out is NULL, as its key is.
        for (n, expr) in grouped.iter().enumerate().filter(|(_, e)| is_keyed(e)) {
            let shown = parts.add(first_value_udaf().call(vec![expr.clone()]));
            let left_out = Expr::Column(Column::new_unqualified(key(expr.clone(), &NUMERIC).schema_name().to_string()));
            finals[n] = when(left_out.is_not_null(), shown).end()?;
        }
    }
    let by_key = |e: Expr| if is_keyed(&e) { key(e, &NUMERIC) } else { e };
    for (n, expr) in node.group_expr.into_iter().enumerate() {
        if let Expr::GroupingSet(set) = expr {
            group_expr.push(Expr::GroupingSet(match set {
                GroupingSet::Rollup(exprs) => GroupingSet::Rollup(exprs.into_iter().map(by_key).collect()),
                GroupingSet::Cube(exprs) => GroupingSet::Cube(exprs.into_iter().map(by_key).collect()),
                GroupingSet::GroupingSets(sets) => {
                    let keyed = |set: Vec<Expr>| set.into_iter().map(by_key).collect();
                    GroupingSet::GroupingSets(sets.into_iter().map(keyed).collect())
                }
            }));
        } else if let Some(whole) = whole_field(&expr, &input) {
            let name = hide("key", n);
            finals[n] = as_numeric(Expr::Column(Column::new_unqualified(name.clone())), &DataType::Int64);
            group_expr.push(whole.alias(name));
        } else if is_keyed(&expr) {
            let bare = expr.clone().unalias();
            let shown = first_value_udaf().call(vec![bare.clone()]);
            finals[n] = parts.add(shown);
            group_expr.push(key(bare, &NUMERIC).alias(hide("key", n)));
        } else {
            group_expr.push(expr);
        }
    }
    for expr in node.aggr_expr {
        finals.push(resolved(expr, &input, &mut parts)?);
    }
    let made = LogicalPlan::Aggregate(Aggregate::try_new(node.input, group_expr, parts.named())?);
    let place = |n: usize| if n < groups { n } else { n + hidden };
    let finals = finals.into_iter().enumerate().map(|(n, e)| renamed(e, node.schema.qualified_field(place(n))));
    LogicalPlanBuilder::from(made).project(finals)?.build()
}

/// `extract(minute from t)` as an integer: groups of integers are found faster than groups of numerics.
fn whole_field(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr.clone().unalias() else { return None };
    let ("extract", [Expr::Literal(field, _), time]) = (call.func.name(), call.args.as_slice()) else { return None };
    let known = field.try_as_str().flatten().is_some_and(date_part::is_whole);
    let moment = matches!(time.get_type(schema), Ok(DataType::Timestamp(..) | DataType::Date32));
    let whole = scalar(date_part::WHOLE).filter(|_| known && moment)?;
    Some(whole.call(call.args))
}

/// Window functions made of their parts.
pub(super) fn expanded_windows(node: Window) -> Result<LogicalPlan> {
    let input = node.input.schema().clone();
    if !concerns(&node.window_expr, &input) {
        return Ok(LogicalPlan::Window(node));
    }
    let mut parts = Parts::default();
    let mut finals = input.columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
    // The input may have got or lost columns since the node was made, such as the number of a grouping set.
    let before = node.schema.fields().len() - node.window_expr.len();
    for (n, expr) in node.window_expr.into_iter().enumerate() {
        finals.push(renamed(resolved(expr, &input, &mut parts)?, node.schema.qualified_field(before + n)));
    }
    let made = LogicalPlan::Window(Window::try_new(parts.named(), node.input)?);
    LogicalPlanBuilder::from(made).project(finals)?.build()
}
