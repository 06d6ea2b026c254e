//! The errors of functions: a SQLSTATE and PostgreSQL's words, carried through DataFusion as an external error.

use datafusion_common::DataFusionError;
use sightline_numeric::NumericError;

/// What a function refuses. `sql` finds it in the [`DataFusionError`] and tells the client as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// Five characters.
    pub code: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<&'static str>,
    /// Where in the value it went wrong.
    pub context: Option<String>,
}

impl FunctionError {
    /// An error with a code and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> FunctionError {
        FunctionError { code, message: message.into(), detail: None, hint: None, context: None }
    }

    /// Adds the DETAIL line.
    pub fn detail(mut self, detail: impl Into<String>) -> FunctionError {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the CONTEXT line.
    pub fn context(mut self, context: impl Into<String>) -> FunctionError {
        self.context = Some(context.into());
        self
    }

    /// Adds the HINT line.
    pub fn hint(mut self, hint: &'static str) -> FunctionError {
        self.hint = Some(hint);
        self
    }
}

impl std::fmt::Display for FunctionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for FunctionError {}

impl From<FunctionError> for DataFusionError {
    fn from(e: FunctionError) -> DataFusionError {
        DataFusionError::External(Box::new(e))
    }
}

impl From<NumericError> for FunctionError {
    fn from(e: NumericError) -> FunctionError {
        FunctionError { code: e.code, message: e.message, detail: e.detail, hint: None, context: None }
    }
}

/// An error of arithmetic, as a function returns it.
pub(crate) fn refused(e: NumericError) -> DataFusionError {
    FunctionError::from(e).into()
}

/// 22P02, 22007, 22023 …: shorthand for the functions.
pub(crate) fn refuse<T>(code: &'static str, message: impl Into<String>) -> datafusion_common::Result<T> {
    Err(FunctionError::new(code, message).into())
}
