//! Our statements before sqlparser sees the text, and sqlparser for the rest. Skeleton.

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its text as sent, without the semicolon.
    pub text: String,
}
