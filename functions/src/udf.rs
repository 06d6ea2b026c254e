//! A function as a table of its forms, made into a DataFusion UDF: which form a call means, what its arguments are cast
//! to, and the call itself.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, PrimitiveArray, StringViewArray, StringViewBuilder,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::Documentation;
use crate::error::FunctionError;
use crate::numeric::{NUMERIC, left_open};
use crate::time::zone::Zone;

/// A type of an argument or of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// An exact number, as it comes: a numeric, a decimal or an integer. A result is a numeric.
    Numeric,
    Text,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    TextArray,
    Int4Array,
    /// A list of lists of text.
    TextArrays,
    /// A list of anything, as it comes.
    Array,
    /// Anything, as it comes.
    Any,
    /// Bytes.
    Bytea,
    Json,
    Jsonb,
    /// Anything, as the text that a client sees; booleans as they come, for their cast to text is another.
    Shown,
    /// A list of [`Type::Shown`].
    ShownArray,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Bool => "boolean",
            Type::Int2 => "smallint",
            Type::Int4 => "integer",
            Type::Int8 => "bigint",
            Type::Float4 => "real",
            Type::Float8 => "double precision",
            Type::Numeric => "numeric",
            Type::Text => "text",
            Type::Date => "date",
            Type::Time => "time without time zone",
            Type::Timestamp => "timestamp without time zone",
            Type::TimestampTz => "timestamp with time zone",
            Type::Interval => "interval",
            Type::TextArray => "text[]",
            Type::Int4Array => "integer[]",
            Type::TextArrays => "text[][]",
            Type::Array => "anyarray",
            Type::Any | Type::Shown => "any",
            Type::ShownArray => "any[]",
            Type::Bytea => "bytea",
            Type::Json => "json",
            Type::Jsonb => "jsonb",
        }
    }

    /// A field of this type, which says so in its metadata where Arrow's type does not.
    pub(crate) fn field(self, name: &str, given: &DataType) -> Field {
        let field = Field::new(name, self.arrow(given), true);
        match self {
            Type::Json | Type::Jsonb => {
                field.with_metadata([(crate::PG_TYPE.to_string(), self.name().to_string())].into())
            }
            _ => field,
        }
    }

    /// The Arrow type that a given one is cast to.
    pub(crate) fn arrow(self, given: &DataType) -> DataType {
        match self {
            Type::Bool => DataType::Boolean,
            Type::Int2 => DataType::Int16,
            Type::Int4 => DataType::Int32,
            Type::Int8 => DataType::Int64,
            Type::Float4 => DataType::Float32,
            Type::Float8 => DataType::Float64,
            Type::Numeric => match given {
                DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => given.clone(),
                DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt32 => given.clone(),
                _ => NUMERIC,
            },
            Type::Text | Type::Json | Type::Jsonb => DataType::Utf8View,
            Type::Date => DataType::Date32,
            Type::Time => DataType::Time64(TimeUnit::Microsecond),
            Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Type::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Type::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Type::TextArray => DataType::new_list(DataType::Utf8View, true),
            Type::Int4Array => DataType::new_list(DataType::Int32, true),
            Type::TextArrays => DataType::new_list(DataType::new_list(DataType::Utf8View, true), true),
            Type::Shown if *given == DataType::Boolean => DataType::Boolean,
            Type::ShownArray => match given {
                DataType::List(item) => DataType::new_list(
                    match item.data_type() {
                        DataType::List(_) => self.arrow(item.data_type()),
                        other => Type::Shown.arrow(other),
                    },
                    true,
                ),
                _ => DataType::new_list(DataType::Utf8View, true),
            },
            Type::Shown => DataType::Utf8View,
            Type::Bytea => DataType::Binary,
            Type::Array | Type::Any => given.clone(),
        }
    }

    /// How far a given type is from this one: 0 for the same, more for a cast, none for no way. Strings go last: a
    /// literal of unknown type is a string to the planner.
    pub(crate) fn distance(self, given: &DataType) -> Option<u32> {
        let text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let list = matches!(given, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _));
        let decimal = given.is_decimal() || *given == NUMERIC;
        if *given == DataType::Null {
            return Some(1);
        }
        match self {
            Type::Any | Type::Shown => Some(3),
            Type::Bytea => match given {
                DataType::Binary | DataType::BinaryView => Some(0),
                _ => (*given == DataType::Utf8).then_some(6),
            },
            Type::ShownArray => list.then_some(0).or((*given == DataType::Utf8).then_some(6)),
            Type::TextArrays => match given {
                DataType::List(item) if matches!(item.data_type(), DataType::List(_)) => Some(0),
                _ => list.then_some(1),
            },
            Type::Array | Type::Int4Array => list.then_some(0),
            Type::TextArray => list.then_some(0).or((*given == DataType::Utf8).then_some(6)),
            Type::Text | Type::Json | Type::Jsonb => text.then_some(0),
            _ if list => None,
            // A literal of unknown type is Utf8 to the planner, a text Utf8View. Of numbers a double is preferred.
            Type::Float8 if *given == DataType::Utf8 => Some(5),
            _ if *given == DataType::Utf8 => Some(6),
            _ if text => None,
            Type::Int2 => matches!(given, DataType::Int16 | DataType::Int8 | DataType::UInt8).then_some(0),
            Type::Int4 => match given {
                DataType::Int32 => Some(0),
                t if t.is_integer() => Some(if t.primitive_width() < Some(4) { 1 } else { 4 }),
                _ => None,
            },
            Type::Int8 => match given {
                DataType::Int64 => Some(0),
                t if t.is_integer() => Some(1),
                _ => None,
            },
            Type::Numeric => match given {
                _ if decimal => Some(0),
                // Further than a double, which PostgreSQL prefers.
                t if t.is_integer() => Some(4),
                _ => None,
            },
            Type::Float4 => matches!(given, DataType::Float32 | DataType::Float16).then_some(0),
            Type::Float8 => match given {
                DataType::Float64 => Some(0),
                t if t.is_floating() => Some(1),
                t if t.is_integer() || decimal => Some(3),
                _ => None,
            },
            Type::Bool => matches!(given, DataType::Boolean).then_some(0),
            Type::Date => matches!(given, DataType::Date32).then_some(0),
            Type::Time => matches!(given, DataType::Time64(_) | DataType::Time32(_)).then_some(0),
            Type::Timestamp => match given {
                DataType::Timestamp(_, None) => Some(0),
                DataType::Date32 => Some(2),
                _ => None,
            },
            Type::TimestampTz => match given {
                DataType::Timestamp(_, Some(_)) => Some(0),
                DataType::Timestamp(_, None) => Some(2),
                // Of two casts PostgreSQL prefers the one to the preferred type.
                DataType::Date32 => Some(1),
                _ => None,
            },
            Type::Interval => match given {
                DataType::Interval(_) => Some(0),
                DataType::Duration(_) | DataType::Time64(_) => Some(1),
                _ => None,
            },
        }
    }
}

/// What a form answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    Type(Type),
    /// The type that this argument has after its cast.
    Argument(usize),
}

/// One call over a batch.
pub(crate) struct Call {
    /// One array an argument, all of `rows` values, in the types of the form.
    pub(crate) args: Vec<ArrayRef>,
    pub(crate) rows: usize,
    config: Arc<ConfigOptions>,
}

impl Call {
    /// A call outside DataFusion's functions.
    pub(crate) fn new(args: Vec<ArrayRef>, rows: usize, config: Arc<ConfigOptions>) -> Call {
        Call { args, rows, config }
    }

    pub(crate) fn text(&self, n: usize) -> &StringViewArray {
        self.args[n].as_string_view()
    }

    pub(crate) fn bytes(&self, n: usize) -> &BinaryArray {
        self.args[n].as_binary()
    }

    pub(crate) fn primitive<T: ArrowPrimitiveType>(&self, n: usize) -> &PrimitiveArray<T> {
        self.args[n].as_primitive()
    }

    /// Whether any argument of the row is NULL.
    pub(crate) fn has_null(&self, row: usize) -> bool {
        self.args.iter().any(|a| a.is_null(row))
    }

    /// The session's time zone.
    pub(crate) fn zone(&self) -> Zone {
        // A setting was checked when it was set.
        self.config.execution.time_zone.as_deref().and_then(Zone::of_setting).unwrap_or(Zone::UTC)
    }

    /// One string a row; NULL where an argument is.
    ///
    /// # Errors
    /// 53200 if the batch grows beyond what there is memory for.
    pub(crate) fn map_text(&self, mut f: impl FnMut(usize) -> Result<Option<String>>) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let mut bytes = 0;
        for row in 0..self.rows {
            match if self.has_null(row) { None } else { f(row)? } {
                Some(text) => {
                    bytes += text.len();
                    check_batch(bytes)?;
                    builder.append_value(text);
                }
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    /// One binary string a row; NULL where an argument is.
    ///
    /// # Errors
    /// 53200 if the batch grows beyond what there is memory for.
    pub(crate) fn map_bytes(&self, f: impl Fn(usize) -> Result<Vec<u8>>) -> Result<ArrayRef> {
        let mut builder = BinaryBuilder::with_capacity(self.rows, 0);
        let mut bytes = 0;
        for row in 0..self.rows {
            if self.has_null(row) {
                builder.append_null();
                continue;
            }
            let value = f(row)?;
            bytes += value.len();
            check_batch(bytes)?;
            builder.append_value(value);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// One number a row; NULL where an argument is.
    pub(crate) fn map<T: ArrowPrimitiveType>(
        &self,
        f: impl Fn(usize) -> Result<Option<T::Native>>,
    ) -> Result<PrimitiveArray<T>> {
        let one = |row| if self.has_null(row) { Ok(None) } else { f(row) };
        (0..self.rows).map(one).collect::<Result<Vec<Option<T::Native>>>>().map(PrimitiveArray::from_iter)
    }
}

/// The most bytes of text that a function makes, for a value as for a batch: what PostgreSQL allows a value.
pub(crate) const TEXT_BYTES_MAX: usize = (1 << 30) - 1;

/// What of them the process has memory for.
static BATCH_BYTES_MAX: AtomicUsize = AtomicUsize::new(TEXT_BYTES_MAX);

/// Says how much memory the process has for all: what a function makes of a batch is counted only by the operator that
/// keeps it, so it may be an eighth at most. For the process as a whole, as its memory is.
pub fn share_memory(bytes: u64) {
    let share = usize::try_from(bytes / 8).unwrap_or(usize::MAX);
    BATCH_BYTES_MAX.store(share.min(TEXT_BYTES_MAX), Ordering::Relaxed);
}

/// Checks the length of a value before it is made.
///
/// # Errors
/// 54000 beyond what PostgreSQL allows, 53200 beyond what there is memory for: see [`share_memory`].
pub(crate) fn check_text(bytes: usize) -> Result<()> {
    if bytes > TEXT_BYTES_MAX {
        return crate::error::refuse("54000", "requested length too large");
    }
    check_batch(bytes)
}

/// Checks the bytes of a batch before they are made, or so far.
///
/// # Errors
/// 53200 beyond what there is memory for: see [`share_memory`].
pub fn check_batch(bytes: usize) -> Result<()> {
    let most = BATCH_BYTES_MAX.load(Ordering::Relaxed);
    if bytes > most {
        let detail = format!(
            "A function was to make {} MB for a batch of rows; it may make {} MB, an eighth of memory_limit.",
            bytes >> 20,
            most >> 20
        );
        let hint = "Make smaller values, or raise memory_limit.";
        return Err(FunctionError::new("53200", "out of memory").detail(detail).hint(hint).into());
    }
    Ok(())
}

/// One form of a function.
pub(crate) struct Form {
    pub(crate) args: &'static [Type],
    /// The last of `args` may come any number of times, also none.
    pub(crate) variadic: bool,
    pub(crate) returns: Returns,
    pub(crate) call: Kernel,
}

/// Arrays in, an array out.
pub(crate) type Kernel = fn(&Call) -> Result<ArrayRef>;

impl Form {
    /// A form of fixed arguments.
    pub(crate) const fn new(args: &'static [Type], returns: Type, call: Kernel) -> Form {
        Form { args, variadic: false, returns: Returns::Type(returns), call }
    }

    /// How far a call's types are from this form; none if it can't be meant.
    fn distance(&self, given: &[DataType]) -> Option<u32> {
        let fits = if self.variadic { given.len() + 1 >= self.args.len() } else { given.len() == self.args.len() };
        if !fits {
            return None;
        }
        given.iter().enumerate().map(|(i, t)| self.argument(i).distance(t)).sum()
    }

    fn argument(&self, i: usize) -> Type {
        self.args[i.min(self.args.len() - 1)]
    }

    fn coerced(&self, given: &[DataType]) -> Vec<DataType> {
        given.iter().enumerate().map(|(i, t)| self.argument(i).arrow(t)).collect()
    }
}

/// A function with all its forms.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) forms: &'static [Form],
    pub(crate) volatility: Volatility,
    /// One sentence.
    pub(crate) description: &'static str,
}

impl Function {
    /// A function whose answer hangs on its arguments only.
    pub(crate) const fn new(name: &'static str, description: &'static str, forms: &'static [Form]) -> Function {
        Function { name, forms, volatility: Volatility::Immutable, description }
    }

    /// A function whose answer hangs on the session's time zone as well.
    pub(crate) const fn stable(mut self) -> Function {
        self.volatility = Volatility::Stable;
        self
    }

    pub(crate) fn udf(&'static self) -> ScalarUDF {
        let nullary = self.forms.iter().all(|f| f.args.is_empty());
        let signature =
            if nullary { Signature::nullary(self.volatility) } else { Signature::user_defined(self.volatility) };
        ScalarUDF::new_from_impl(Udf { function: self, signature })
    }

    pub(crate) fn documentation(&self) -> Documentation {
        let syntax = |form: &Form| {
            let args = form.args.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            format!("{}({args}{})", self.name, if form.variadic { ", …" } else { "" })
        };
        let syntax = self.forms.iter().map(syntax).collect();
        Documentation { name: self.name, syntax, description: self.description }
    }

    /// What a call's arguments are cast to, with the SQL type in their metadata; nothing for a call that means no form.
    pub(crate) fn arguments(&'static self, given: &[DataType]) -> Vec<FieldRef> {
        let Ok(form) = self.form(given) else { return vec![] };
        given.iter().enumerate().map(|(i, t)| Arc::new(form.argument(i).field("", t))).collect()
    }

    /// The form that a call with these types means: the nearest, the first among equals.
    fn form(&self, given: &[DataType]) -> Result<&'static Form>
    where
        Self: 'static,
    {
        let forms: &'static [Form] = self.forms;
        let found = forms.iter().filter_map(|f| f.distance(given).map(|d| (d, f))).min_by_key(|(d, _)| *d);
        found.map(|(_, f)| f).ok_or_else(|| no_such_function(self.name, given))
    }
}

/// The types that the arguments of a call are to have, if the function is one of these tables.
pub(crate) fn wanted(function: &ScalarUDF, given: &[DataType]) -> Option<Vec<DataType>> {
    let udf = function.inner().downcast_ref::<Udf>()?;
    udf.function.form(given).ok().map(|form| form.coerced(given))
}

/// 42883 for a call with these types.
pub(crate) fn no_such_function(name: &str, given: &[DataType]) -> DataFusionError {
    let given = given.iter().map(shown).collect::<Vec<_>>().join(", ");
    FunctionError::new("42883", format!("function {name}({given}) does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
        .into()
}

/// A type as PostgreSQL names it.
pub(crate) fn shown(t: &DataType) -> String {
    let name = match t {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Binary | DataType::BinaryView => "bytea",
        DataType::FixedSizeBinary(_) => "uuid",
        DataType::Null | DataType::Utf8 => "unknown",
        t if t.is_decimal() || *t == NUMERIC => "numeric",
        // However many dimensions it has, it is one type.
        DataType::List(f) | DataType::LargeList(f) => {
            return match shown(f.data_type()) {
                inner if inner.ends_with("[]") => inner,
                inner => format!("{inner}[]"),
            };
        }
        _ => "text",
    };
    name.to_string()
}

struct Udf {
    function: &'static Function,
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
        let form = self.function.form(given)?;
        Ok(match form.returns {
            Returns::Type(t) => t.arrow(&DataType::Null),
            Returns::Argument(n) => form.coerced(given)[n].clone(),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given = args.arg_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        match self.function.form(&given)?.returns {
            Returns::Type(t) => Ok(Arc::new(t.field(self.name(), &DataType::Null))),
            Returns::Argument(_) => Ok(Arc::new(Field::new(self.name(), self.return_type(&given)?, true))),
        }
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(left_open(self.function.form(given)?.coerced(given), given))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types = args.arg_fields.iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        let form = self.function.form(&types)?;
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (form.call)(&Call { args: arrays, rows, config: args.config_options })?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
