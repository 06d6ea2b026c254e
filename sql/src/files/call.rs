//! `read_csv(…)` and its kin as a user writes them in FROM.
//!
//! Before a query is planned such a call becomes the name of a relation, which says all of the call: so whatever may stand
//! around a relation may stand around it, and the planner asks for it where it asks for all relations.

use datafusion::sql::sqlparser::ast::{
    Array, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, UnaryOperator,
    Value,
};
use sightline_storage::error::{Error, Result, SqlState};

use crate::codec::array::{self, Element};
use crate::plan::fold;

/// What the names of such relations begin with, and what divides their parts.
const MARK: char = '\u{1}';

/// A function that reads files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Csv,
    Json,
    Parquet,
    Xlsx,
    /// `sys.detect`.
    Detect,
}

const FUNCTIONS: [(&str, Function, &[&str]); 5] = [
    (
        "read_csv",
        Function::Csv,
        &["header", "delim", "quote", "escape", "nullstr", "encoding", "columns", "union_by_name", "sample_bytes"],
    ),
    ("read_json", Function::Json, &["encoding", "columns", "union_by_name", "sample_bytes"]),
    ("read_parquet", Function::Parquet, &["union_by_name"]),
    ("read_xlsx", Function::Xlsx, &["sheet", "header", "columns", "union_by_name", "sample_bytes"]),
    (
        "detect",
        Function::Detect,
        &["header", "delim", "quote", "escape", "nullstr", "encoding", "sheet", "sample_bytes"],
    ),
];

impl Function {
    /// The function of this name, if it is one.
    fn named(name: &ObjectName) -> Option<Function> {
        let parts = name.0.iter().map(|p| p.as_ident().map(fold)).collect::<Option<Vec<_>>>()?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => return None,
        };
        let (_, function, _) = FUNCTIONS.iter().find(|(known, ..)| known == name)?;
        match (function, schema) {
            (Function::Detect, Some("sys")) => Some(*function),
            (Function::Detect, _) => None,
            (_, None | Some("sys")) => Some(*function),
            _ => None,
        }
    }

    /// Its name, for messages.
    pub(crate) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function, _)| *function == self).map_or("", |(name, ..)| name)
    }

    fn options(self) -> &'static [&'static str] {
        FUNCTIONS.iter().find(|(_, function, _)| *function == self).map_or(&[], |(.., options)| options)
    }
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: Function,
    /// Files, or patterns of their names.
    pub(crate) paths: Vec<String>,
    options: Vec<(String, String)>,
}

/// Whether a function in FROM is one of these.
pub(crate) fn reads_files(name: &ObjectName) -> bool {
    Function::named(name).is_some()
}

/// The relation that a call in FROM stands for; none for what is no such call.
///
/// # Errors
/// 22023 for arguments it does not have; 0A000 for what is no constant.
pub(crate) fn relation(factor: &TableFactor) -> Result<Option<TableFactor>> {
    let (name, args, alias, ordinality) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (name, args.args.as_slice(), alias, *with_ordinality)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            (name, args.as_slice(), alias, *with_ordinality)
        }
        _ => return Ok(None),
    };
    let Some(function) = Function::named(name) else { return Ok(None) };
    if ordinality {
        return Err(Error::unsupported(format!("WITH ORDINALITY of {} is not supported", function.name())));
    }
    let call = Call::of(function, args)?;
    let named = || TableAlias { explicit: true, name: Ident::new(function.name()), columns: vec![], at: None };
    Ok(Some(TableFactor::Table {
        name: ObjectName::from(vec![Ident::with_quote('"', call.relation_name())]),
        alias: Some(alias.clone().unwrap_or_else(named)),
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }))
}

impl Call {
    /// The call that reads an uploaded file of this format.
    ///
    /// # Errors
    /// 22023.
    pub(super) fn of_format(format: &str, path: &str, options: Vec<(String, String)>) -> Result<Call> {
        let function = match format {
            "csv" => Function::Csv,
            "json" => Function::Json,
            "parquet" => Function::Parquet,
            "xlsx" => Function::Xlsx,
            other => {
                let text = format!("unrecognized format: \"{other}\"");
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
            }
        };
        let mut call = Call { function, paths: vec![path.to_string()], options: Vec::new() };
        for (key, value) in options {
            call.add(key, vec![value])?;
        }
        Ok(call)
    }

    fn of(function: Function, args: &[FunctionArg]) -> Result<Call> {
        let mut call = Call { function, paths: Vec::new(), options: Vec::new() };
        for (n, arg) in args.iter().enumerate() {
            let (key, value) = match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if n == 0 => (None, value),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (Some(fold(name)), value),
                FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                    (Some(fold(name)), value)
                }
                _ => {
                    let text = format!("{} takes one argument by position", function.name());
                    return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text)
                        .hint(format!("Name the others, as in {} => ….", function.options().first().unwrap_or(&""))));
                }
            };
            let values = constants(function, value)?;
            match key {
                None => call.paths = values,
                Some(key) => call.add(key, values)?,
            }
        }
        if call.paths.is_empty() {
            let text = format!("{} takes the name of a file", function.name());
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
        }
        if call.paths.iter().chain(call.options.iter().map(|(_, v)| v)).any(|text| text.contains(MARK)) {
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, "control characters cannot stand here"));
        }
        Ok(call)
    }

    fn add(&mut self, key: String, mut values: Vec<String>) -> Result<()> {
        let key = match key.as_str() {
            "delimiter" | "sep" => "delim".to_string(),
            "null" => "nullstr".to_string(),
            _ => key,
        };
        let known = self.function.options();
        if !known.contains(&key.as_str()) {
            let text = format!("{} has no argument \"{key}\"", self.function.name());
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text)
                .hint(format!("Its arguments are {}.", known.join(", "))));
        }
        if self.options.iter().any(|(k, _)| *k == key) {
            let text = format!("argument name \"{key}\" used more than once");
            return Err(Error::new(SqlState::SYNTAX_ERROR, text));
        }
        let (Some(value), true) = (values.pop(), values.is_empty()) else {
            let text = format!("argument \"{key}\" of {} takes one value", self.function.name());
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text));
        };
        self.options.push((key, value));
        Ok(())
    }

    /// The name that says it all.
    fn relation_name(&self) -> String {
        let mut name = format!("{MARK}{}", self.function.name());
        for path in &self.paths {
            name.push_str(&format!("{MARK}{path}"));
        }
        for (key, value) in &self.options {
            name.push_str(&format!("{MARK}{MARK}{key}={value}"));
        }
        name
    }

    /// The call that a relation of this name stands for.
    pub(crate) fn of_relation(name: &str) -> Option<Call> {
        let mut parts = name.strip_prefix(MARK)?.split(MARK);
        let function = parts.next()?;
        let function = FUNCTIONS.iter().find(|(known, ..)| *known == function)?.1;
        let mut call = Call { function, paths: Vec::new(), options: Vec::new() };
        while let Some(part) = parts.next() {
            if part.is_empty() && !call.paths.is_empty() {
                let (key, value) = parts.next()?.split_once('=')?;
                call.options.push((key.to_string(), value.to_string()));
            } else {
                call.paths.push(part.to_string());
            }
        }
        Some(call)
    }

    /// What was said of an argument.
    pub(crate) fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// An argument that is true or false.
    ///
    /// # Errors
    /// 22023.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.option(key)
            .map(|text| match text.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" | "t" => Ok(true),
                "false" | "off" | "no" | "0" | "f" => Ok(false),
                _ => Err(self.invalid(key, "takes true or false")),
            })
            .transpose()
    }

    /// An argument of one byte.
    ///
    /// # Errors
    /// 22023.
    pub(crate) fn byte(&self, key: &str) -> Result<Option<u8>> {
        self.option(key)
            .map(|text| match text.as_bytes() {
                [byte] if !matches!(byte, b'\r' | b'\n') => Ok(*byte),
                b"\\t" => Ok(b'\t'),
                _ => Err(self.invalid(key, "must be a single one-byte character")),
            })
            .transpose()
    }

    /// The error for an argument.
    pub(crate) fn invalid(&self, key: &str, what: &str) -> Error {
        let text = format!("argument \"{key}\" of {} {what}", self.function.name());
        Error::new(SqlState::INVALID_PARAMETER_VALUE, text)
    }
}

/// The constants of an argument: one, or those of an array.
fn constants(function: Function, value: &Expr) -> Result<Vec<String>> {
    let refused = || {
        Error::unsupported(format!("arguments of {} must be constants", function.name()))
            .hint("The columns of a file have to be known before the statement runs.")
    };
    Ok(match value {
        Expr::Value(value) => vec![match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
                text.clone()
            }
            Value::DollarQuotedString(text) => text.value.clone(),
            Value::Number(number, _) => number.clone(),
            Value::Boolean(value) => value.to_string(),
            Value::Null => return Err(null(function)),
            _ => return Err(refused()),
        }],
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            constants(function, expr)?.into_iter().map(|n| format!("-{n}")).collect()
        }
        Expr::Array(Array { elem, .. }) => {
            let mut all = Vec::new();
            for item in elem {
                all.extend(constants(function, item)?);
            }
            all
        }
        Expr::Nested(inner) => constants(function, inner)?,
        Expr::Cast { expr, data_type: DataType::Array(_), .. } => {
            let mut all = constants(function, expr)?;
            if let ([text], false) = (all.as_slice(), is_list(expr)) {
                let element = |element| match element {
                    Element::Value(text) => Ok(text),
                    Element::Null | Element::Nested(_) => Err(null(function)),
                };
                all = array::parse(text)?.into_iter().map(element).collect::<Result<_>>()?;
            }
            all
        }
        Expr::Cast { expr, .. } => constants(function, expr)?,
        _ => return Err(refused()),
    })
}

/// Whether an expression is an array by itself, not a text that is one.
fn is_list(value: &Expr) -> bool {
    match value {
        Expr::Array(_) => true,
        Expr::Nested(inner) => is_list(inner),
        Expr::Cast { expr, .. } => is_list(expr),
        _ => false,
    }
}

fn null(function: Function) -> Error {
    Error::new(SqlState::new("22004"), format!("arguments of {} must not be null", function.name()))
}
