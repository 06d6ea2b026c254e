//! Functions that make JSON of values of any type (<https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-CREATION>).
//! They are here and not among the functions, because they need each type's text form, which `codec` knows.
//!
//! The aggregates are two halves around DataFusion's `array_agg`, which brings ORDER BY, FILTER, DISTINCT and windows: one
//! makes a piece of text of each row, the other the whole of the pieces ([`aggregate_halves`]).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use sightline_functions::check_batch;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::types::SqlType;

use crate::codec::{Cells, Format, Style, json};
use crate::error::to_datafusion;

/// All of them, for a session's output settings.
pub(in crate::plan) fn functions(format: &Format) -> Vec<ScalarUDF> {
    let style = Style::new(format);
    ALL.iter().map(|make| ScalarUDF::new_from_impl(Maker { make, style: style.clone() })).collect()
}

/// The functions that an aggregate is: one for each row, whose answers `array_agg` collects, and one for the list.
pub(in crate::plan) fn aggregate_halves(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "json_agg" => (ITEM, LIST),
        "jsonb_agg" => (ITEM, LIST_B),
        "json_object_agg" => (MEMBER, OBJECT),
        "jsonb_object_agg" => (MEMBER_B, OBJECT_B),
        _ => return None,
    })
}

/// Halves of aggregates; names that a user's text does not say.
const ITEM: &str = "json_agg transition";
const MEMBER: &str = "json_object_agg transition";
const MEMBER_B: &str = "jsonb_object_agg transition";
const LIST: &str = "json_agg final";
const LIST_B: &str = "jsonb_agg final";
const OBJECT: &str = "json_object_agg final";
const OBJECT_B: &str = "jsonb_object_agg final";

/// What is made of a row of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The only argument.
    Value,
    /// The only argument, an array or a row; the second may ask for lines.
    Lines,
    /// An array of all arguments.
    Array,
    /// An object of names and values in turn.
    Object,
    /// The same of one argument that is an array of them.
    ArrayOf,
    ObjectOf,
    /// A piece of an aggregate.
    Item,
    Member,
    /// The whole of an aggregate's pieces.
    Pieces(&'static str, &'static str),
}

/// One function.
#[derive(Debug)]
struct Make {
    name: &'static str,
    how: How,
    jsonb: bool,
}

const fn make(name: &'static str, how: How, jsonb: bool) -> Make {
    Make { name, how, jsonb }
}

const ALL: &[Make] = &[
    make("to_json", How::Value, false),
    make("to_jsonb", How::Value, true),
    make("array_to_json", How::Lines, false),
    make("row_to_json", How::Lines, false),
    make("json_build_array", How::Array, false),
    make("jsonb_build_array", How::Array, true),
    make("json_build_object", How::Object, false),
    make("jsonb_build_object", How::Object, true),
    make("json_build_array_variadic", How::ArrayOf, false),
    make("jsonb_build_array_variadic", How::ArrayOf, true),
    make("json_build_object_variadic", How::ObjectOf, false),
    make("jsonb_build_object_variadic", How::ObjectOf, true),
    make(ITEM, How::Item, false),
    make(MEMBER, How::Member, false),
    make(MEMBER_B, How::Member, true),
    make(LIST, How::Pieces("[", "]"), false),
    make(LIST_B, How::Pieces("[", "]"), true),
    make(OBJECT, How::Pieces("{ ", " }"), false),
    make(OBJECT_B, How::Pieces("{ ", " }"), true),
];

/// One of the functions, with the session's settings.
struct Maker {
    make: &'static Make,
    style: Style,
}

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.make.name)
    }
}

impl PartialEq for Maker {
    fn eq(&self, other: &Maker) -> bool {
        self.make.name == other.make.name
    }
}

impl Eq for Maker {}

impl Hash for Maker {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.make.name.hash(state);
    }
}

fn refused(code: SqlState, message: impl Into<String>) -> datafusion::error::DataFusionError {
    to_datafusion(Error::new(code, message))
}

impl Maker {
    /// Whether the function takes so many arguments of such types.
    fn check(&self, given: &[DataType]) -> Result<()> {
        let list =
            |t: &DataType| matches!(t, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _));
        let fits = match self.make.how {
            How::ArrayOf | How::ObjectOf => match given {
                [t] if list(t) || t.is_null() => true,
                [_] => return Err(refused(SqlState::DATATYPE_MISMATCH, "VARIADIC argument must be an array")),
                _ => false,
            },
            How::Value | How::Item | How::Pieces(_, _) => given.len() == 1,
            How::Member => given.len() == 2,
            How::Lines => {
                let first = |t: &DataType| match self.make.name {
                    "row_to_json" => matches!(t, DataType::Struct(_)),
                    _ => list(t) || *t == DataType::Null,
                };
                matches!(given, [t] | [t, DataType::Boolean] if first(t))
            }
            How::Array | How::Object => true,
        };
        if fits {
            return Ok(());
        }
        let given = given.iter().map(|t| SqlType::from_arrow(t).to_string()).collect::<Vec<_>>().join(", ");
        let message = format!("function {}({given}) does not exist", self.make.name.trim_end_matches("_variadic"));
        Err(to_datafusion(
            Error::new(SqlState::UNDEFINED_FUNCTION, message).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
        ))
    }

    fn ty(&self) -> SqlType {
        match (self.make.how, self.make.jsonb) {
            (How::Item | How::Member, _) => SqlType::Text,
            (_, true) => SqlType::Jsonb,
            (_, false) => SqlType::Json,
        }
    }

    /// Whether a NULL among the arguments makes the answer NULL.
    fn is_strict(&self) -> bool {
        matches!(self.make.how, How::Value | How::Lines | How::ArrayOf | How::ObjectOf | How::Pieces(_, _))
    }

    fn rows(&self, args: &[Cells], arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut out = StringViewBuilder::with_capacity(rows);
        let mut text = Vec::new();
        let mut bytes = 0;
        for row in 0..rows {
            if self.is_strict() && args.iter().any(|a| a.is_null(row)) {
                out.append_null();
                continue;
            }
            text.clear();
            self.row(args, arrays, row, &mut text)?;
            bytes += text.len();
            check_batch(bytes)?;
            let made = String::from_utf8_lossy(&text);
            let piece = matches!(self.make.how, How::Item | How::Member);
            if self.make.jsonb && !piece {
                out.append_value(json::normalize(&made).map_err(to_datafusion)?);
            } else {
                out.append_value(made);
            }
        }
        Ok(Arc::new(out.finish()))
    }

    fn row(&self, args: &[Cells], arrays: &[ArrayRef], row: usize, out: &mut Vec<u8>) -> Result<()> {
        match self.make.how {
            How::Value => args[0].write_json(row, &self.style, out),
            How::Lines => {
                if arrays.get(1).is_some_and(|a| a.as_boolean().value(row)) {
                    args[0].write_json_lines(row, &self.style, out);
                } else {
                    args[0].write_json(row, &self.style, out);
                }
            }
            How::Item => {
                // A row or an array begins on a line of its own.
                if args[0].is_composite() && !args[0].is_null(row) {
                    out.extend_from_slice(b"\n ");
                }
                args[0].write_json(row, &self.style, out);
            }
            How::Array => {
                out.push(b'[');
                for (n, arg) in args.iter().enumerate() {
                    out.extend_from_slice(if n > 0 { b", " } else { b"" });
                    arg.write_json(row, &self.style, out);
                }
                out.push(b']');
            }
            How::Object => self.object(args.len(), |n| (&args[n], row), out)?,
            How::ArrayOf => self.items(&args[0], row, out),
            How::ObjectOf => {
                let (items, range) = args[0].flat_items(row);
                self.object(range.len(), |n| (items, range.start + n), out)?;
            }
            How::Member => self.aggregated_member(&args[0], &args[1], row, out)?,
            How::Pieces(open, close) => {
                out.extend_from_slice(open.as_bytes());
                let list = arrays[0].as_list::<i32>().value(row);
                let pieces = cast(&list, &DataType::Utf8View)?;
                for (n, piece) in pieces.as_string_view().iter().enumerate() {
                    let piece = piece.unwrap_or("null");
                    out.extend_from_slice(if n > 0 { b", " } else { b"" });
                    out.extend_from_slice(if n > 0 { piece } else { piece.trim_start() }.as_bytes());
                }
                out.extend_from_slice(close.as_bytes());
            }
        }
        Ok(())
    }

    fn items(&self, list: &Cells, row: usize, out: &mut Vec<u8>) {
        let (items, range) = list.flat_items(row);
        out.push(b'[');
        for (n, i) in range.enumerate() {
            out.extend_from_slice(if n > 0 { b", " } else { b"" });
            items.write_json(i, &self.style, out);
        }
        out.push(b']');
    }

    fn object<'a>(&self, count: usize, cell: impl Fn(usize) -> (&'a Cells, usize), out: &mut Vec<u8>) -> Result<()> {
        if !count.is_multiple_of(2) {
            let hint = format!(
                "The arguments of {}() must consist of alternating keys and values.",
                self.make.name.trim_end_matches("_variadic")
            );
            let error =
                Error::new(SqlState::INVALID_PARAMETER_VALUE, "argument list must have even number of elements");
            return Err(to_datafusion(error.hint(hint)));
        }
        out.push(b'{');
        for n in (0..count).step_by(2) {
            out.extend_from_slice(if n > 0 { b", " } else { b"" });
            let (key, row) = cell(n);
            if key.is_null(row) {
                let message = if self.make.jsonb {
                    format!("argument {}: key must not be null", n + 1)
                } else {
                    format!("argument {} cannot be null", n + 1)
                };
                let error = Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
                return Err(to_datafusion(if self.make.jsonb {
                    error
                } else {
                    error.hint("Object keys should be text.")
                }));
            }
            self.key(key, row, out)?;
            out.extend_from_slice(b" : ");
            let (value, row) = cell(n + 1);
            value.write_json(row, &self.style, out);
        }
        out.push(b'}');
        Ok(())
    }

    fn aggregated_member(&self, key: &Cells, value: &Cells, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if key.is_null(row) {
            return Err(refused(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null"));
        }
        self.key(key, row, out)?;
        out.extend_from_slice(b" : ");
        value.write_json(row, &self.style, out);
        Ok(())
    }

    /// A name: a scalar's text in quotes.
    fn key(&self, key: &Cells, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if key.is_composite() || key.is_json() {
            let message = "key value must be scalar, not array, composite, or json";
            return Err(refused(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let mut text = Vec::new();
        if key.is_boolean() {
            key.write_json(row, &self.style, &mut text);
        } else {
            key.write_json_text(row, &self.style, &mut text);
        }
        let mut quoted = String::with_capacity(text.len() + 2);
        sightline_functions::json::write_text(&mut quoted, &String::from_utf8_lossy(&text));
        out.extend_from_slice(quoted.as_bytes());
        Ok(())
    }
}

impl ScalarUDFImpl for Maker {
    fn name(&self) -> &str {
        self.make.name
    }

    fn signature(&self) -> &Signature {
        static ANY: std::sync::LazyLock<Signature> =
            std::sync::LazyLock::new(|| Signature::user_defined(Volatility::Stable));
        static NONE: std::sync::LazyLock<Signature> = std::sync::LazyLock::new(|| {
            let forms = vec![
                datafusion::logical_expr::TypeSignature::Nullary,
                datafusion::logical_expr::TypeSignature::UserDefined,
            ];
            Signature::one_of(forms, Volatility::Stable)
        });
        if matches!(self.make.how, How::Array | How::Object) { &NONE } else { &ANY }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.check(given)?;
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given = args.arg_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        self.check(&given)?;
        Ok(Arc::new(self.ty().field(self.make.name, true)))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.check(given)?;
        Ok(given.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let cells = arrays
            .iter()
            .zip(&args.arg_fields)
            .map(|(array, field)| Cells::new(array, &SqlType::of_field(field)).map_err(to_datafusion))
            .collect::<Result<Vec<_>>>()?;
        let made = self.rows(&cells, &arrays, rows)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}
