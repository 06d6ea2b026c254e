//! Functions that answer a set of rows for each row of their arguments, as kernels: arguments in; out come columns, and
//! for each of their rows the row of the arguments that it belongs to. The planner calls them in FROM, LATERAL and the
//! select list (<https://www.postgresql.org/docs/15/functions-srf.html>).

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;

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
        SetFunction { name, args, columns, call }
    }

    /// The types that arguments of these types are cast to, one field each with the SQL type in its metadata.
    ///
    /// # Errors
    /// 42883 if the function does not take such arguments.
    pub fn arguments(&self, given: &[DataType]) -> Result<Vec<FieldRef>> {
        let fits = given.len() == self.args.len() && given.iter().zip(self.args).all(|(g, t)| t.distance(g).is_some());
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

    /// The rows for arguments of the types that [`SetFunction::arguments`] asks for, `rows` of them.
    ///
    /// # Errors
    /// Those of the function, 54000 for a set beyond a gigabyte.
    pub fn call(&self, args: Vec<ArrayRef>, rows: usize, config: Arc<ConfigOptions>) -> Result<SetRows> {
        (self.call)(&Call::new(args, rows, config))
    }
}

impl std::fmt::Debug for SetFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
