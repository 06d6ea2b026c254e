//! Functions that answer a set of rows for each row of their arguments, as kernels: arguments in; out come columns, and
//! for each of their rows the row of the arguments that it belongs to. The planner calls them in FROM, LATERAL and the
//! select list (<https://www.postgresql.org/docs/15/functions-srf.html>).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::error::FunctionError;
use crate::udf::{Call, Type};

/// What a set function answers for a batch of arguments.
#[derive(Debug)]
pub struct SetRows {
    /// For each row the number of the row of the arguments that made it, ascending.
    pub origins: Vec<u32>,
    /// One array an output column, each as long as `origins`.
    pub columns: Vec<ArrayRef>,
}

/// A function that returns sets.
pub struct SetFunction {
    pub name: &'static str,
    args: &'static [Type],
    /// How many of the arguments must be given.
    least: usize,
    columns: &'static [(&'static str, Type)],
    call: fn(&Call) -> Result<SetRows>,
}

impl SetFunction {
    pub(crate) const fn new(
        name: &'static str,
        args: &'static [Type],
        columns: &'static [(&'static str, Type)],
        call: fn(&Call) -> Result<SetRows>,
    ) -> SetFunction {
        SetFunction { name, args, least: args.len(), columns, call }
    }

    /// The same, but arguments after the first `least` may be left out.
    pub(crate) const fn least(mut self, least: usize) -> SetFunction {
        self.least = least;
        self
    }

    /// The types that arguments of these types are cast to, one field each with the SQL type in its metadata.
    ///
    /// # Errors
    /// 42883 if the function does not take such arguments.
    pub fn arguments(&self, given: &[DataType]) -> Result<Vec<FieldRef>> {
        let fits = (self.least..=self.args.len()).contains(&given.len())
            && given.iter().zip(self.args).all(|(g, t)| t.distance(g).is_some());
        if !fits {
            let given = given.iter().map(crate::udf::shown).collect::<Vec<_>>().join(", ");
            return Err(FunctionError::new("42883", format!("function {}({given}) does not exist", self.name))
                .hint(
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                )
                .into());
        }
        Ok(given.iter().zip(self.args).map(|(g, t)| Arc::new(t.field("", g))).collect())
    }

    /// The output columns, with the SQL type in their metadata. A function of one column names it after itself, unless
    /// PostgreSQL gives it another name, as `value` to the elements of an array.
    pub fn columns(&self) -> Vec<Field> {
        self.columns.iter().map(|(name, t)| t.field(name, &DataType::Null)).collect()
    }

    /// The name of the function that answers this column as a list: the function's own if it has no other column.
    pub fn list_name(&self, column: usize) -> String {
        match self.columns.get(column) {
            Some((name, _)) if self.columns.len() > 1 => format!("{} {name}", self.name),
            _ => self.name.to_string(),
        }
    }

    /// The rows for arguments of the types that [`SetFunction::arguments`] asks for, `rows` of them.
    ///
    /// # Errors
    /// Those of the function, 54000 for a set beyond a gigabyte.
    pub fn call(&self, args: Vec<ArrayRef>, rows: usize, config: Arc<ConfigOptions>) -> Result<SetRows> {
        (self.call)(&Call::new(args, rows, config))
    }
}

/// Each output column of each set function as a function of its own that answers a list, to be unnested side by side with
/// those of the others: see [`SetFunction::list_name`].
pub fn list_functions() -> Vec<ScalarUDF> {
    let each = crate::set_functions().flat_map(|set| (0..set.columns.len()).map(move |column| (set, column)));
    each.map(|(set, column)| {
        let signature = Signature::user_defined(Volatility::Stable);
        ScalarUDF::new_from_impl(List { set, column, name: set.list_name(column), signature })
    })
    .collect()
}

/// One output column of a set function as a list.
struct List {
    set: &'static SetFunction,
    column: usize,
    name: String,
    signature: Signature,
}

impl List {
    fn item(&self) -> FieldRef {
        let (_, ty) = self.set.columns[self.column];
        Arc::new(ty.field("item", &DataType::Null))
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.name == other.name
    }
}

impl Eq for List {}

impl Hash for List {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for List {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.set.arguments(given)?;
        Ok(DataType::List(self.item()))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.set.arguments(given)?.iter().map(|f| f.data_type().clone()).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let mut made = self.set.call(arrays, rows, args.config_options)?;
        let mut lengths = vec![0_usize; rows];
        for origin in &made.origins {
            lengths[*origin as usize] += 1;
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list = ListArray::try_new(self.item(), offsets, made.columns.swap_remove(self.column), None)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::List(Arc::new(list))));
        }
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

impl std::fmt::Debug for SetFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
