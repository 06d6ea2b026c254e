//! `enum_first`, `enum_last` and `enum_range`: what they answer is in their arguments' type, not in the values
//! (<https://www.postgresql.org/docs/15/functions-enum.html>).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Int32Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::{EnumType, SqlType};

use crate::error::to_datafusion;

/// The function of this name, if it is one of these.
pub(super) fn find(name: &str) -> Option<Arc<ScalarUDF>> {
    let which = match name {
        "enum_first" => Which::First,
        "enum_last" => Which::Last,
        "enum_range" => Which::Range,
        _ => return None,
    };
    let signature = match which {
        Which::Range => Signature::one_of(vec![TypeSignature::Any(1), TypeSignature::Any(2)], Volatility::Immutable),
        Which::First | Which::Last => Signature::any(1, Volatility::Immutable),
    };
    Some(Arc::new(ScalarUDF::new_from_impl(EnumFunction { which, signature })))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Which {
    First,
    Last,
    Range,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EnumFunction {
    which: Which,
    signature: Signature,
}

/// The enum among the arguments.
fn enum_among(fields: &[FieldRef]) -> Option<Arc<EnumType>> {
    fields.iter().find_map(|f| match SqlType::of_field(f) {
        SqlType::Enum(e) => Some(e),
        _ => None,
    })
}

impl EnumFunction {
    fn undefined(&self, fields: &[FieldRef]) -> datafusion::error::DataFusionError {
        let shown = |f: &FieldRef| match f.data_type() {
            DataType::Null => SqlType::Unknown.to_string(),
            _ => SqlType::of_field(f).plain().to_string(),
        };
        let given = fields.iter().map(shown).collect::<Vec<_>>().join(", ");
        let text = format!("function {}({given}) does not exist", self.name());
        let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
        to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint))
    }
}

impl ScalarUDFImpl for EnumFunction {
    fn name(&self) -> &str {
        match self.which {
            Which::First => "enum_first",
            Which::Last => "enum_last",
            Which::Range => "enum_range",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.which {
            Which::First | Which::Last => DataType::Int32,
            Which::Range => DataType::new_list(DataType::Int32, true),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(of) = enum_among(args.arg_fields) else { return Err(self.undefined(args.arg_fields)) };
        let value = SqlType::Enum(of);
        Ok(match self.which {
            Which::First | Which::Last => value.field_ref(self.name()),
            Which::Range => SqlType::Array(Box::new(value)).field_ref(self.name()),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(of) = enum_among(&args.arg_fields) else { return Err(self.undefined(&args.arg_fields)) };
        let end = match self.which {
            Which::First => of.labels.first(),
            Which::Last => of.labels.last(),
            Which::Range => return range(&of, &args),
        };
        let empty = || {
            let text = format!("enum {} contains no values", of.id);
            to_datafusion(Error::new(SqlState::new("55000"), text))
        };
        end.map(|(number, _)| ColumnarValue::Scalar(ScalarValue::Int32(Some(*number)))).ok_or_else(empty)
    }
}

/// The values between two bounds, both included; a NULL is no bound. One argument alone only tells the type.
fn range(of: &Arc<EnumType>, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
    let bounded = args.args.len() == 2;
    let rows = if constant || !bounded { 1 } else { args.number_rows };
    let bounds = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
    let bound = |n: usize, row: usize| {
        let numbers = bounds.get(n).filter(|_| bounded)?.as_primitive_opt::<Int32Type>()?;
        numbers.is_valid(row).then(|| numbers.value(row))
    };
    let mut values = Vec::new();
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        let (low, high) = (bound(0, row), bound(1, row));
        let inside = |n: i32| low.is_none_or(|low| low <= n) && high.is_none_or(|high| n <= high);
        let before = values.len();
        values.extend(of.labels.iter().map(|(n, _)| *n).filter(|n| inside(*n)));
        lengths.push(values.len() - before);
    }
    let DataType::List(item) = SqlType::Array(Box::new(SqlType::Enum(of.clone()))).arrow() else {
        return Err(to_datafusion(Error::internal("an array is a list")));
    };
    let values: ArrayRef = Arc::new(Int32Array::from(values));
    let list = Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, None)?);
    Ok(match rows {
        1 if constant || !bounded => ColumnarValue::Scalar(ScalarValue::List(list)),
        _ => ColumnarValue::Array(list),
    })
}
