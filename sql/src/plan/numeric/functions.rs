//! DataFusion's functions of any numbers, made to know numerics: `coalesce(x, 0)`, `greatest`, `sin(x)` …

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    AggregateUDF, Case, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, cast,
};
use datafusion::scalar::ScalarValue;
use sightline_functions::aggregate;
use sightline_functions::numeric::{is_ours, targets};

use super::{is_numeric, operator, unify};
use crate::plan::enums::bare;
use crate::plan::kernel::Kernel;

/// Functions whose arguments, or all of them but those given by number, are of one type.
const UNITED: [&str; 5] = ["coalesce", "nullif", "greatest", "least", "make_array"];
/// Functions of lists and items of one type.
const LISTS: [&str; 3] = ["array_has", "array_has_any", "array_has_all"];
/// Functions of doubles.
const FLOATS: [&str; 17] = [
    "sin", "cos", "tan", "cot", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt", "degrees",
    "radians", "asin", "acos",
];

/// Puts wrappers around the functions that a context has.
pub(in crate::plan) fn wrapped(context: &SessionContext) {
    let state = context.state();
    let wrap = |name: &&str, kind: Kind| {
        let known = state
            .scalar_functions()
            .get(*name)
            .filter(|f| f.name() == *name && sightline_functions::scalar(name).is_none());
        known.map(|inner| {
            let signature = Signature::user_defined(inner.signature().volatility);
            ScalarUDF::new_from_impl(Wrapper { inner: inner.clone(), signature, kind })
        })
    };
    let groups = [(&UNITED[..], Kind::United), (&LISTS[..], Kind::Lists), (&FLOATS[..], Kind::Floats)];
    for (names, kind) in groups {
        names.iter().filter_map(|name| wrap(name, kind)).for_each(|function| context.register_udf(function));
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Wrapper {
    inner: Arc<ScalarUDF>,
    signature: Signature,
    kind: Kind,
}

/// What the arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Of one type.
    United,
    /// Lists of one type, and its items.
    Lists,
    Floats,
}

impl Wrapper {
    /// The types that numerics among the arguments make of them all; none if there are no numerics.
    fn targets(&self, types: &[DataType]) -> Option<Vec<DataType>> {
        match self.kind {
            Kind::Floats => {
                let double = |t: &DataType| if is_numeric(t) { DataType::Float64 } else { t.clone() };
                types.iter().any(is_numeric).then(|| types.iter().map(double).collect())
            }
            Kind::United => {
                let exact = unify::common(&types.iter().map(open).collect::<Vec<_>>());
                let common = exact.or_else(|| beside_literals(types))?;
                Some(vec![common; types.len()])
            }
            Kind::Lists => {
                let common = unify::common(&types.iter().map(|t| open(item(t))).collect::<Vec<_>>())?;
                let of = |t: &DataType| match t {
                    DataType::List(item) => {
                        DataType::List(Arc::new(item.as_ref().clone().with_data_type(common.clone())))
                    }
                    _ => common.clone(),
                };
                types.iter().any(is_list).then(|| types.iter().map(of).collect())
            }
        }
    }
}

/// A call of such a function with its arguments converted.
///
/// # Errors
/// 22P02 for a literal that is no number.
pub(super) fn converted(mut call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let wrapper = call.func.inner().downcast_ref::<Wrapper>();
    let types = call.args.iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let Some(wrapper) = wrapper else {
        // An interval has a sign, too, and a range of its own.
        if call.func.name() == "pg_uminus" && matches!(types.as_slice(), [DataType::Interval(_)]) {
            return Ok(Expr::Negative(Box::new(call.args.swap_remove(0))));
        }
        if let Some(targets) = targets(&call.func, &types) {
            for (arg, (from, to)) in call.args.iter_mut().zip(types.iter().zip(&targets)) {
                *arg = moved(std::mem::take(arg), from, to);
            }
        }
        return Ok(Expr::ScalarFunction(call));
    };
    let Some(targets) = wrapper.targets(&types) else { return Ok(Expr::ScalarFunction(call)) };
    if wrapper.kind == Kind::United && unify::common(&types.iter().map(open).collect::<Vec<_>>()).is_none() {
        return Ok(Expr::ScalarFunction(call));
    }
    if call.func.name() == "nullif"
        && let [x, y] = call.args.as_slice()
        && let Ok(equal) = operator::planned(x.clone(), Operator::Eq, y.clone(), schema)?
    {
        let (x, from) = (call.args.swap_remove(0), &types[0]);
        let nothing = Expr::Literal(ScalarValue::Null, None);
        let case = Case {
            expr: None,
            when_then_expr: vec![(Box::new(equal), Box::new(nothing))],
            else_expr: Some(Box::new(unify::converted(x, from, &targets[0])?)),
        };
        return Ok(Expr::Case(case));
    }
    for (slot, (from, to)) in call.args.iter_mut().zip(types.iter().zip(&targets)) {
        let arg = std::mem::take(slot);
        *slot = match to {
            DataType::List(_) if is_ours(from, to) => moved(arg, from, to),
            DataType::List(_) if from != to => cast(arg, to.clone()),
            DataType::List(_) => arg,
            to => unify::converted(arg, from, to)?,
        };
    }
    Ok(Expr::ScalarFunction(call))
}

/// Casts the arguments of an aggregate of ours that wants doubles.
pub(super) fn aggregated(function: &AggregateUDF, args: &mut [Expr], schema: &DFSchema) -> Result<()> {
    let types = args.iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if let Some(targets) = aggregate::targets(bare(function), &types) {
        for (arg, (from, to)) in args.iter_mut().zip(types.iter().zip(&targets)) {
            *arg = moved(std::mem::take(arg), from, to);
        }
    }
    Ok(())
}

/// The expression by the kernel that casts it, if Arrow has none.
pub(super) fn moved(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    let field = super::field(to.clone());
    match super::cast_body(from, &field) {
        Some(body) if is_ours(from, to) => Kernel::call("numeric_cast", field, vec![expr], body),
        _ => expr,
    }
}

impl ScalarUDFImpl for Wrapper {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(&self.targets(types).unwrap_or_else(|| types.to_vec()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let Some(targets) = self.targets(&types) else { return self.inner.return_field_from_args(args) };
        let retyped = |(f, t): (&FieldRef, DataType)| Arc::new(f.as_ref().clone().with_data_type(t));
        let arg_fields = args.arg_fields.iter().zip(targets).map(retyped).collect::<Vec<_>>();
        self.inner.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, ..args })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let types = match (self.kind, self.targets(types)) {
            // Arrow knows no cast to what they are converted to: that is done beforehand.
            (Kind::Floats, Some(_)) => return Ok(types.to_vec()),
            (Kind::United | Kind::Lists, Some(targets)) if targets.iter().any(|t| is_numeric(item(t))) => {
                return Ok(types.to_vec());
            }
            (_, Some(targets)) => targets,
            (_, None) => types.to_vec(),
        };
        // Its error is told as it is.
        if self.inner.signature().type_signature == TypeSignature::UserDefined {
            return self.inner.coerce_types(&types);
        }
        let fields = types.into_iter().map(|t| Arc::new(Field::new("", t, true))).collect::<Vec<_>>();
        let coerced = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(coerced.iter().map(|f| f.data_type().clone()).collect())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}

/// The type of what stands beside literals, if that is one and no text: literals are of it. A literal is Utf8 to the
/// planner, a text Utf8View.
fn beside_literals(types: &[DataType]) -> Option<DataType> {
    let literal = |t: &DataType| *t == DataType::Utf8;
    let mut known = types.iter().filter(|t| !literal(t) && !t.is_null());
    let first = known.next()?;
    let one = types.iter().any(literal) && !is_text(first) && known.all(|t| t == first);
    one.then(|| first.clone())
}

/// A text literal takes the type of the numbers.
fn open(t: &DataType) -> DataType {
    if is_text(t) { DataType::Null } else { t.clone() }
}

fn is_list(t: &DataType) -> bool {
    matches!(t, DataType::List(_))
}

fn item(t: &DataType) -> &DataType {
    if let DataType::List(item) = t { item.data_type() } else { t }
}

fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::Utf8View)
}
