//! Why a computation has no answer, in PostgreSQL's words.

/// A SQLSTATE with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumericError {
    /// Five characters.
    pub code: &'static str,
    pub message: String,
    pub detail: Option<String>,
}

impl NumericError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> NumericError {
        NumericError { code, message: message.into(), detail: None }
    }

    /// 22003: more digits than a numeric has.
    pub fn overflow() -> NumericError {
        NumericError::new("22003", "value overflows numeric format")
    }

    /// 22012.
    pub fn division_by_zero() -> NumericError {
        NumericError::new("22012", "division by zero")
    }

    /// 22P02.
    pub fn syntax(text: &str) -> NumericError {
        NumericError::new("22P02", format!("invalid input syntax for type numeric: \"{text}\""))
    }

    /// 22003 for a value beyond `numeric(precision, scale)`.
    pub fn field_overflow(precision: i32, scale: i32) -> NumericError {
        let whole = precision - scale;
        let limit = if whole == 0 { "1".to_string() } else { format!("10^{whole}") };
        NumericError {
            detail: Some(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            )),
            ..NumericError::new("22003", "numeric field overflow")
        }
    }

    /// 22003 for an infinity in a `numeric(precision, scale)`.
    pub fn field_infinite(precision: i32, scale: i32) -> NumericError {
        NumericError {
            detail: Some(format!("A field with precision {precision}, scale {scale} cannot hold an infinite value.")),
            ..NumericError::new("22003", "numeric field overflow")
        }
    }
}

impl std::fmt::Display for NumericError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for NumericError {}
