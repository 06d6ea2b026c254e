//! Functions of arrays of any type (`anyarray`, `anycompatible` in PostgreSQL): how the types of a call are brought
//! together, and what they make.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::type_coercion::binary::comparison_coercion;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::Documentation;
use crate::numeric::{NUMERIC, left_open};
use crate::udf::{Call, no_such_function};

/// A function over arrays of any type.
pub(crate) struct ArrayFunction {
    pub(super) name: &'static str,
    /// e.g. `array_append(anyarray, anyelement)`.
    pub(super) syntax: &'static str,
    /// One sentence.
    pub(super) description: &'static str,
    /// The types that a call's arguments are cast to; none if the function takes no such.
    pub(super) coerce: fn(&[DataType]) -> Result<Option<Vec<DataType>>>,
    /// The type of the result, by the types that [`ArrayFunction::coerce`] gave.
    pub(super) returns: fn(&[DataType]) -> DataType,
    pub(super) call: fn(&Call) -> Result<ArrayRef>,
}

impl ArrayFunction {
    pub(crate) fn udf(&'static self) -> ScalarUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::new_from_impl(Udf { function: self, signature })
    }

    pub(crate) fn documentation(&self) -> Documentation {
        Documentation { name: self.name, syntax: vec![self.syntax.to_string()], description: self.description }
    }
}

/// The types that the arguments of a call are to have, if the function is one of these.
pub(crate) fn wanted(function: &ScalarUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    let udf = function.inner().downcast_ref::<Udf>()?;
    (udf.function.coerce)(&given.iter().map(plain_list).collect::<Vec<_>>()).ok()?
}

struct Udf {
    function: &'static ArrayFunction,
    signature: Signature,
}

impl std::fmt::Debug for Udf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

impl PartialEq for Udf {
    fn eq(&self, other: &Udf) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Udf {}

impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let given = given.iter().map(plain_list).collect::<Vec<_>>();
        Ok((self.function.returns)(&(self.function.coerce)(&given)?.unwrap_or(given)))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let given = given.iter().map(plain_list).collect::<Vec<_>>();
        match (self.function.coerce)(&given)? {
            Some(wanted) => Ok(left_open(wanted, &given)),
            None => Err(no_such_function(self.function.name, &given)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.function.call)(&Call::new(arrays, rows, args.config_options))?;
        let result = promised(result, args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(only_value(&result)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The one value of an array. A list keeps all that is known of its items.
fn only_value(array: &ArrayRef) -> Result<ScalarValue> {
    match array.as_list_opt::<i32>() {
        Some(list) if list.len() == 1 => Ok(ScalarValue::List(Arc::new(list.clone()))),
        _ => ScalarValue::try_from_array(array, 0),
    }
}

/// The array with the names and types of users that the planner knows of its items.
fn promised(array: ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (to, array.as_list_opt::<i32>()) {
        (DataType::List(field), Some(list)) if array.data_type() != to => {
            let (_, offsets, values, nulls) = list.clone().into_parts();
            let values = promised(values, field.data_type())?;
            Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
        }
        _ => Ok(array),
    }
}

/// The type with lists of other kinds made plain ones.
fn plain_list(ty: &DataType) -> DataType {
    match ty {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => DataType::List(item.clone()),
        other => other.clone(),
    }
}

/// The type of the items, if it is a list.
pub(crate) fn item(ty: &DataType) -> Option<&DataType> {
    match ty {
        DataType::List(field) => Some(field.data_type()),
        _ => None,
    }
}

/// The type of the elements in all dimensions, and how many these are; 0 for what is no list.
pub(crate) fn base(ty: &DataType) -> (&DataType, usize) {
    let (mut ty, mut dimensions) = (ty, 0);
    while let Some(inner) = item(ty) {
        ty = inner;
        dimensions += 1;
    }
    (ty, dimensions)
}

/// A list of items of this type.
pub(crate) fn list_of(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item.clone(), true)))
}

/// The type of a literal that nothing is known of yet.
pub(crate) fn unknown(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Null)
}

fn text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The type that values of both are cast to, as PostgreSQL's `anycompatible` finds it.
pub(crate) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    if text(a) && text(b) {
        return Some(DataType::Utf8View);
    }
    let exact = |t: &DataType| *t == NUMERIC || t.is_decimal() || t.is_integer();
    if *a == NUMERIC || *b == NUMERIC {
        let float = a.is_floating() || b.is_floating();
        return if float { Some(DataType::Float64) } else { (exact(a) && exact(b)).then_some(NUMERIC) };
    }
    let kin = (a.is_numeric() && b.is_numeric()) || (a.is_temporal() && b.is_temporal());
    if !kin {
        return None;
    }
    if (a.is_decimal() && b.is_floating()) || (a.is_floating() && b.is_decimal()) {
        return Some(DataType::Float64);
    }
    comparison_coercion(a, b)
}

/// As [`common`], but what has digits behind the point keeps their number: `ARRAY[1.5] || 2` is `{1.5,2}`.
fn kept(a: &DataType, b: &DataType) -> Option<DataType> {
    let scale = |t: &DataType| match t {
        DataType::Decimal128(_, s) | DataType::Decimal256(_, s) => Some(*s),
        t if t.is_integer() => Some(0),
        _ => None,
    };
    match (scale(a), scale(b)) {
        (Some(a), Some(b)) if a != b => Some(NUMERIC),
        _ => common(a, b),
    }
}

/// A list and an element brought together.
pub(crate) fn list_and_element(list: &DataType, element: &DataType) -> Option<(DataType, DataType)> {
    match item(list) {
        Some(_) if item(element).is_some() => None,
        Some(of) => {
            let (of, dimensions) = (base(list).0, if item(of).is_some() { 2 } else { 1 });
            if unknown(element) || of == element || dimensions > 1 {
                return Some((list.clone(), of.clone()));
            }
            let both = kept(of, element)?;
            let list = if both == *of { list.clone() } else { list_of(&both) };
            Some((list, both))
        }
        None if unknown(list) => {
            let element = if unknown(element) { DataType::Utf8View } else { element.clone() };
            Some((list_of(&element), element))
        }
        None => None,
    }
}

/// Two lists brought together; the dimensions may differ.
pub(crate) fn lists(a: &DataType, b: &DataType) -> Option<(DataType, DataType)> {
    match (item(a), item(b)) {
        (Some(_), Some(_)) => {
            let ((of_a, _), (of_b, _)) = (base(a), base(b));
            if of_a == of_b {
                return Some((a.clone(), b.clone()));
            }
            let both = match (of_a, of_b) {
                (DataType::Null, other) | (other, DataType::Null) => other.clone(),
                _ => kept(of_a, of_b)?,
            };
            Some((with_base(a, &both), with_base(b, &both)))
        }
        (Some(_), None) if unknown(b) => Some((a.clone(), a.clone())),
        (None, Some(_)) if unknown(a) => Some((b.clone(), b.clone())),
        (None, None) if unknown(a) && unknown(b) => Some((list_of(&DataType::Utf8View), list_of(&DataType::Utf8View))),
        _ => None,
    }
}

/// The list with other elements.
pub(crate) fn with_base(list: &DataType, of: &DataType) -> DataType {
    match item(list) {
        Some(inner) => list_of(&with_base(inner, of)),
        None => of.clone(),
    }
}
