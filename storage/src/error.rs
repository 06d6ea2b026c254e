//! The one error type of the product: the code is for programs, the message for people.

use std::fmt;

/// A five-character SQLSTATE, <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// The state for a code of exactly five ASCII characters.
    pub const fn new(code: &str) -> SqlState {
        let b = code.as_bytes();
        assert!(b.len() == 5, "a SQLSTATE has five characters");
        SqlState([b[0], b[1], b[2], b[3], b[4]])
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made from a str")
    }

    pub const ADMIN_SHUTDOWN: SqlState = SqlState::new("57P01");
    pub const ACTIVE_SQL_TRANSACTION: SqlState = SqlState::new("25001");
    pub const AMBIGUOUS_COLUMN: SqlState = SqlState::new("42702");
    pub const AMBIGUOUS_FUNCTION: SqlState = SqlState::new("42725");
    pub const BAD_COPY_FILE_FORMAT: SqlState = SqlState::new("22P04");
    pub const CANNOT_COERCE: SqlState = SqlState::new("42846");
    pub const CARDINALITY_VIOLATION: SqlState = SqlState::new("21000");
    pub const CHARACTER_NOT_IN_REPERTOIRE: SqlState = SqlState::new("22021");
    pub const CHECK_VIOLATION: SqlState = SqlState::new("23514");
    pub const CONFIGURATION_LIMIT_EXCEEDED: SqlState = SqlState::new("53400");
    pub const CONNECTION_FAILURE: SqlState = SqlState::new("08006");
    pub const CONNECTION_DOES_NOT_EXIST: SqlState = SqlState::new("08003");
    pub const DATATYPE_MISMATCH: SqlState = SqlState::new("42804");
    pub const DATETIME_FIELD_OVERFLOW: SqlState = SqlState::new("22008");
    pub const DATA_CORRUPTED: SqlState = SqlState::new("XX001");
    pub const DEPENDENT_OBJECTS_STILL_EXIST: SqlState = SqlState::new("2BP01");
    pub const DISK_FULL: SqlState = SqlState::new("53100");
    pub const DIVISION_BY_ZERO: SqlState = SqlState::new("22012");
    pub const DUPLICATE_ALIAS: SqlState = SqlState::new("42712");
    pub const DUPLICATE_COLUMN: SqlState = SqlState::new("42701");
    pub const DUPLICATE_CURSOR: SqlState = SqlState::new("42P03");
    pub const DUPLICATE_DATABASE: SqlState = SqlState::new("42P04");
    pub const DUPLICATE_OBJECT: SqlState = SqlState::new("42710");
    pub const DUPLICATE_PREPARED_STATEMENT: SqlState = SqlState::new("42P05");
    pub const DUPLICATE_SCHEMA: SqlState = SqlState::new("42P06");
    pub const DUPLICATE_TABLE: SqlState = SqlState::new("42P07");
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState::new("0A000");
    pub const GROUPING_ERROR: SqlState = SqlState::new("42803");
    pub const IN_FAILED_SQL_TRANSACTION: SqlState = SqlState::new("25P02");
    pub const INDETERMINATE_DATATYPE: SqlState = SqlState::new("42P18");
    pub const INSUFFICIENT_RESOURCES: SqlState = SqlState::new("53000");
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState::new("42501");
    pub const INTERNAL_ERROR: SqlState = SqlState::new("XX000");
    pub const INTERVAL_FIELD_OVERFLOW: SqlState = SqlState::new("22015");
    pub const INVALID_BINARY_REPRESENTATION: SqlState = SqlState::new("22P03");
    pub const INVALID_TIME_ZONE_DISPLACEMENT: SqlState = SqlState::new("22009");
    pub const CANNOT_CONNECT_NOW: SqlState = SqlState::new("57P03");
    pub const TOO_MANY_ARGUMENTS: SqlState = SqlState::new("54023");
    pub const INVALID_AUTHORIZATION: SqlState = SqlState::new("28000");
    pub const INVALID_CATALOG_NAME: SqlState = SqlState::new("3D000");
    pub const INVALID_COLUMN_REFERENCE: SqlState = SqlState::new("42P10");
    pub const INVALID_CURSOR_NAME: SqlState = SqlState::new("34000");
    pub const INVALID_DATETIME_FORMAT: SqlState = SqlState::new("22007");
    pub const INVALID_PARAMETER_VALUE: SqlState = SqlState::new("22023");
    pub const INVALID_PASSWORD: SqlState = SqlState::new("28P01");
    pub const INVALID_SCHEMA_NAME: SqlState = SqlState::new("3F000");
    pub const INVALID_STATEMENT_NAME: SqlState = SqlState::new("26000");
    pub const INVALID_TABLE_DEFINITION: SqlState = SqlState::new("42P16");
    pub const INVALID_TEXT_REPRESENTATION: SqlState = SqlState::new("22P02");
    pub const IO_ERROR: SqlState = SqlState::new("58030");
    pub const LOCK_NOT_AVAILABLE: SqlState = SqlState::new("55P03");
    pub const NO_ACTIVE_SQL_TRANSACTION: SqlState = SqlState::new("25P01");
    pub const NOT_NULL_VIOLATION: SqlState = SqlState::new("23502");
    pub const NUMERIC_VALUE_OUT_OF_RANGE: SqlState = SqlState::new("22003");
    pub const OBJECT_IN_USE: SqlState = SqlState::new("55006");
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: SqlState = SqlState::new("55000");
    pub const OUT_OF_MEMORY: SqlState = SqlState::new("53200");
    pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState::new("54000");
    pub const PROTOCOL_VIOLATION: SqlState = SqlState::new("08P01");
    pub const QUERY_CANCELED: SqlState = SqlState::new("57014");
    pub const RESERVED_NAME: SqlState = SqlState::new("42939");
    pub const GENERATED_ALWAYS: SqlState = SqlState::new("428C9");
    pub const INVALID_OBJECT_DEFINITION: SqlState = SqlState::new("42P17");
    pub const SEQUENCE_GENERATOR_LIMIT_EXCEEDED: SqlState = SqlState::new("2200H");
    pub const SERIALIZATION_FAILURE: SqlState = SqlState::new("40001");
    pub const STATEMENT_TOO_COMPLEX: SqlState = SqlState::new("54001");
    pub const STRING_DATA_RIGHT_TRUNCATION: SqlState = SqlState::new("22001");
    pub const SYNTAX_ERROR: SqlState = SqlState::new("42601");
    pub const TOO_MANY_COLUMNS: SqlState = SqlState::new("54011");
    pub const TOO_MANY_CONNECTIONS: SqlState = SqlState::new("53300");
    pub const TRANSACTION_RESOLUTION_UNKNOWN: SqlState = SqlState::new("08007");
    pub const UNDEFINED_COLUMN: SqlState = SqlState::new("42703");
    pub const UNDEFINED_FUNCTION: SqlState = SqlState::new("42883");
    pub const UNDEFINED_OBJECT: SqlState = SqlState::new("42704");
    pub const UNDEFINED_PARAMETER: SqlState = SqlState::new("42P02");
    pub const UNDEFINED_TABLE: SqlState = SqlState::new("42P01");
    pub const UNTRANSLATABLE_CHARACTER: SqlState = SqlState::new("22P05");
    pub const WINDOWING_ERROR: SqlState = SqlState::new("42P20");
    pub const WRONG_OBJECT_TYPE: SqlState = SqlState::new("42809");
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a client sees it. The message is lower case without a full stop; detail and hint are sentences.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    context: Option<String>,
    position: Option<usize>,
    object: Option<Object>,
    refusal: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a violated constraint belongs to, told in fields of their own: applications turn them into messages for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
    pub data_type: Option<String>,
}

/// A result of this product.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a code and a message.
    pub fn new(code: SqlState, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
            object: None,
            refusal: false,
            source: None,
        }))
    }

    /// A fault of ours that no user input explains (XX000).
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(SqlState::INTERNAL_ERROR, message)
    }

    /// A statement that we understand and do not support (0A000).
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// Adds the DETAIL line.
    pub fn detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the HINT line.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the CONTEXT line, e.g. `COPY flights, line 7, column delay`.
    pub fn context(mut self, context: impl Into<String>) -> Error {
        self.0.context = Some(context.into());
        self
    }

    /// Adds where in the statement's text, as a character position from 1.
    pub fn position(mut self, position: usize) -> Error {
        self.0.position = Some(position);
        self
    }

    /// Adds what the violated constraint belongs to.
    pub fn object(mut self, object: Object) -> Error {
        self.0.object = Some(object);
        self
    }

    /// Moves the position, if there is one, by so many characters: that of a statement within a longer text.
    pub fn moved(mut self, characters: usize) -> Error {
        self.0.position = self.0.position.map(|p| p + characters);
        self
    }

    /// Says that the command this answers did nothing and never will: what was prepared for it can go. Without it the
    /// outcome of a command that failed is open until the next start.
    pub fn refusal(mut self) -> Error {
        self.0.refusal = true;
        self
    }

    /// True if the command did nothing and never will.
    pub fn is_refusal(&self) -> bool {
        self.0.refusal
    }

    /// Adds the cause, for the log only: clients never see it.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// The same error for another one who waited for the same thing, without its cause.
    pub fn again(&self) -> Error {
        let Inner { code, message, detail, hint, context, position, object, refusal, source: _ } = &*self.0;
        Error(Box::new(Inner {
            code: *code,
            message: message.clone(),
            detail: detail.clone(),
            hint: hint.clone(),
            context: context.clone(),
            position: *position,
            object: object.clone(),
            refusal: *refusal,
            source: None,
        }))
    }

    /// The SQLSTATE.
    pub fn code(&self) -> SqlState {
        self.0.code
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The DETAIL line.
    pub fn get_detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The HINT line.
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The CONTEXT line.
    pub fn get_context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// What a violated constraint belongs to.
    pub fn get_object(&self) -> Option<&Object> {
        self.0.object.as_ref()
    }

    /// The character position from 1 in the statement's text.
    pub fn get_position(&self) -> Option<usize> {
        self.0.position
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.0.message, self.0.code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

impl From<sightline_numeric::NumericError> for Error {
    fn from(e: sightline_numeric::NumericError) -> Error {
        let error = Error::new(SqlState::new(e.code), e.message);
        match e.detail {
            Some(detail) => error.detail(detail),
            None => error,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Error {
        let code = match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
            _ => SqlState::IO_ERROR,
        };
        Error::new(code, format!("input/output error: {e}")).source(e)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Error {
        Error::internal(format!("arrow: {e}")).source(e)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(e: parquet::errors::ParquetError) -> Error {
        Error::new(SqlState::DATA_CORRUPTED, format!("parquet: {e}")).source(e)
    }
}

impl From<rocksdb::Error> for Error {
    fn from(e: rocksdb::Error) -> Error {
        let text = e.to_string();
        let code = if text.contains("No space left") { SqlState::DISK_FULL } else { SqlState::IO_ERROR };
        Error::new(code, format!("storage: {text}")).source(e)
    }
}

impl From<object_store::Error> for Error {
    fn from(e: object_store::Error) -> Error {
        if let Some(fault) = crate::objects::fault::Fault::of(&e) {
            return fault.error().source(e);
        }
        let text = e.to_string();
        let code = if text.contains("No space left") { SqlState::DISK_FULL } else { SqlState::IO_ERROR };
        Error::new(code, format!("object storage: {text}")).source(e)
    }
}
