//! DataFusion's errors to ours, with PostgreSQL's SQLSTATE and wording, and ours through DataFusion and back.

use std::sync::LazyLock;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use regex::Regex;
use sightline_functions::error::FunctionError;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::objects::fault::Fault;

use crate::plan::column_shown;

/// Our error as DataFusion carries it: [`from_datafusion`] gives it back unchanged.
pub fn to_datafusion(e: Error) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

/// What DataFusion says, as PostgreSQL would.
pub fn from_datafusion(e: DataFusionError) -> Error {
    translate(&e)
}

/// What a function refuses, as ours.
pub(crate) fn from_function(e: &FunctionError) -> Error {
    let mut error = Error::new(SqlState::new(e.code), e.message.clone());
    if let Some(detail) = &e.detail {
        error = error.detail(detail);
    }
    if let Some(hint) = e.hint {
        error = error.hint(hint);
    }
    if let Some(context) = &e.context {
        error = error.context(context);
    }
    error
}

fn ours(e: &(dyn std::error::Error + 'static)) -> Option<Error> {
    if let Some(e) = e.downcast_ref::<Error>() {
        return Some(e.again());
    }
    if let Some(e) = e.downcast_ref::<FunctionError>() {
        return Some(from_function(e));
    }
    if let Some(e) = e.downcast_ref::<DataFusionError>() {
        return Some(translate(e));
    }
    if let Some(e) = e.downcast_ref::<object_store::Error>() {
        return Some(objects(e));
    }
    if let Some(e) = e.downcast_ref::<parquet::errors::ParquetError>() {
        return Some(parquet(e));
    }
    e.downcast_ref::<ArrowError>().map(arrow)
}

fn translate(e: &DataFusionError) -> Error {
    match e {
        DataFusionError::External(e) => match ours(e.as_ref()) {
            Some(e) => e,
            None => Error::internal(e.to_string()),
        },
        DataFusionError::Context(_, e) => translate(e),
        DataFusionError::Diagnostic(_, e) => translate(e),
        DataFusionError::Shared(e) => translate(e),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(e) => translate(e),
            None => Error::internal("no error in a collection of errors"),
        },
        DataFusionError::ArrowError(e, _) => arrow(e),
        DataFusionError::SchemaError(e, _) => schema(e),
        DataFusionError::ResourcesExhausted(text) => crate::memory::explained(text),
        DataFusionError::NotImplemented(text) => Error::unsupported(first_line(text)),
        DataFusionError::SQL(e, _) => Error::new(SqlState::SYNTAX_ERROR, e.to_string()),
        DataFusionError::Plan(text) => plan(text),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::IoError(e) => io(e),
        DataFusionError::ObjectStore(e) => objects(e),
        DataFusionError::ParquetError(e) => parquet(e),
        DataFusionError::Internal(text) => Error::internal(first_line(text)),
        DataFusionError::ExecutionJoin(e) => Error::internal(format!("a task of the query ended early: {e}")),
        DataFusionError::Configuration(text) | DataFusionError::Substrait(text) | DataFusionError::Ffi(text) => {
            Error::internal(first_line(text))
        }
    }
}

fn parquet(e: &parquet::errors::ParquetError) -> Error {
    if let parquet::errors::ParquetError::External(inner) = e
        && let Some(found) = ours(inner.as_ref())
    {
        return found;
    }
    // The reader of footers makes text of whatever goes wrong.
    let text = e.to_string();
    match Fault::of_text(&text) {
        Some(fault) => fault.error(),
        None => Error::new(SqlState::DATA_CORRUPTED, format!("a part can't be read: {text}")),
    }
}

/// The store of parts.
fn objects(e: &object_store::Error) -> Error {
    match Fault::of(e) {
        Some(fault) => fault.error(),
        None => Error::new(SqlState::IO_ERROR, format!("object storage: {e}")),
    }
}

/// What a file says, or what we said where only such an error could pass.
fn io(e: &std::io::Error) -> Error {
    let said = e.get_ref().and_then(|inner| ours(inner));
    said.unwrap_or_else(|| Error::from(std::io::Error::new(e.kind(), e.to_string())))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

fn arrow(e: &ArrowError) -> Error {
    match e {
        ArrowError::IoError(_, e) => io(e),
        ArrowError::DivideByZero => Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(text) => overflow(text),
        ArrowError::ExternalError(e) => ours(e.as_ref()).unwrap_or_else(|| Error::internal(e.to_string())),
        ArrowError::CastError(text) | ArrowError::ParseError(text) | ArrowError::InvalidArgumentError(text) => {
            value(text)
        }
        ArrowError::ComputeError(text) if text.contains("verflow") => overflow(text),
        other => Error::internal(first_line(&other.to_string())),
    }
}

/// The smallest integers have no positive counterpart: nothing else overflows in a division, and they tell the type.
const SMALLEST: [(&str, &str); 3] =
    [(": -32768 / -1", "smallint"), (": -2147483648 / -1", "integer"), (": -9223372036854775808 / -1", "bigint")];

fn overflow(text: &str) -> Error {
    let divided = SMALLEST.iter().find(|(operands, _)| text.contains(operands));
    let message =
        divided.map_or_else(|| "value out of range: overflow".to_string(), |(_, ty)| format!("{ty} out of range"));
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static CAST_STRING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:Cannot cast string|Cannot parse) '(.*)' (?:to value of|as) (\S+)"));

/// What arrow says of a value that does not fit.
fn value(text: &str) -> Error {
    if let Some(found) = CAST_STRING.captures(text) {
        return Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {}: \"{}\"", found[2].to_lowercase(), &found[1]),
        );
    }
    if text.contains("too large to store") || text.contains("too small to store") || text.contains("out of range") {
        return Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(first_line(text));
    }
    if text.contains("verflow") {
        return overflow(text);
    }
    Error::new(SqlState::CANNOT_COERCE, first_line(text))
}

fn schema(e: &SchemaError) -> Error {
    match e {
        SchemaError::AmbiguousReference { field } => Error::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{}\" is ambiguous", column_shown(&field.name)),
        ),
        SchemaError::FieldNotFound { field, valid_fields } => missing_column(field, valid_fields),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => Error::new(
            SqlState::DUPLICATE_ALIAS,
            format!("table name \"{}\" specified more than once", qualifier.table()),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => Error::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{}\" specified more than once", column_shown(name)),
        ),
    }
}

fn missing_column(field: &Column, valid: &[Column]) -> Error {
    let name = column_shown(&field.name);
    let error = match &field.relation {
        Some(relation) => {
            let table = relation.table();
            if !valid.is_empty() && !valid.iter().any(|c| c.relation.as_ref().is_some_and(|r| r.table() == table)) {
                return Error::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("missing FROM-clause entry for table \"{table}\""),
                );
            }
            Error::new(SqlState::UNDEFINED_COLUMN, format!("column {table}.{name} does not exist"))
        }
        None => Error::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")),
    };
    match meant(field, name, valid) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The column that was meant, by PostgreSQL's rule: the one or two nearest by Levenshtein's distance, if at most half of
/// the letters differ; the distance of a table's name counts as well.
fn meant(field: &Column, name: &str, valid: &[Column]) -> Option<String> {
    let farthest = name.chars().count() / 2;
    let mut nearest: Vec<&Column> = Vec::new();
    let mut best = usize::MAX;
    for column in valid {
        let of_column = levenshtein(name, column_shown(&column.name));
        if of_column > farthest {
            continue;
        }
        let of_table = match (&field.relation, &column.relation) {
            (Some(typed), Some(table)) => levenshtein(typed.table(), table.table()),
            _ => 0,
        };
        let distance = of_column + of_table;
        if distance < best {
            (best, nearest) = (distance, vec![column]);
        } else if distance == best {
            nearest.push(column);
        }
    }
    let shown = |c: &Column| match &c.relation {
        Some(table) => format!("\"{}.{}\"", table.table(), column_shown(&c.name)),
        None => format!("\"{}\"", column_shown(&c.name)),
    };
    match nearest.as_slice() {
        [one] => Some(format!("Perhaps you meant to reference the column {}.", shown(one))),
        [one, two] => {
            Some(format!("Perhaps you meant to reference the column {} or the column {}.", shown(one), shown(two)))
        }
        _ => None,
    }
}

/// The bytes of a name in PostgreSQL.
const NAME_BYTES: usize = 63;

/// How many letters must be put in, taken out or changed to make one text of the other.
pub(crate) fn levenshtein(a: &str, b: &str) -> usize {
    // Names are not longer than this; a text that is resembles none.
    if a.len().max(b.len()) > 4 * NAME_BYTES {
        return a.len().max(b.len());
    }
    let b = b.chars().collect::<Vec<_>>();
    let mut row = (0..=b.len()).collect::<Vec<_>>();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// An error of ours that DataFusion put into a text of its own.
static STATED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"coercion failed with: (?:External error: )?(.+?) \(SQLSTATE ([0-9A-Z]{5})\)"));
/// The steps of a recursive query lose the modifier of a type that its first term has.
static RECURSIVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"Cannot project plan column (\d+) .*field metadata differs .*expected field: .*\{"pg.type": "([^"]*)"\}"#)
});
static INVALID_FUNCTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"Invalid function '([^']*)'"));
static TABLE_FUNCTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"table function '([^']*)' not found"));
static GROUPING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:Column|column) "?((?:[^".\s]+\.)?[^".\s]+)"? (?:in SELECT )?must (?:appear|be)"#));
static FUNCTION_ARGUMENTS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:call to '|function '|arguments of )(\w+)|(?:Failed to coerce arguments.*'(\w+)')"));
static COMPARISON: LazyLock<Regex> = LazyLock::new(|| pattern(r"operation (.+?) (\S+) (.+?)(?:$|[;.\n])"));

fn undefined_function(name: &str) -> Error {
    Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

static POSITION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:position|specified:) (\d+)"));
static NOT_NEGATED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"operator 'NOT' requires a boolean expression, got (\S+)"));
static NOT_A_CONDITION: LazyLock<Regex> = LazyLock::new(|| pattern(r"non-boolean predicate .* returning (\S+)"));
static WINDOW: LazyLock<Regex> = LazyLock::new(|| pattern(r"The window (\S+) is not defined"));
static ARITHMETIC: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Cannot coerce arithmetic expression (.+?) ([-+*/%]) (.+) to valid types"));

/// A call with types that the function does not take, in two ways of saying it.
static WRONG_TYPES: LazyLock<Regex> = LazyLock::new(|| pattern(r"argument types '(\w+)\((.*?)\)'"));
static NO_SIGNATURE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Function '(\w+)' failed to match any signature.*?\(DataType: (.+?)\)[.,]"));
static LIKE_TYPES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"There isn't a common type to coerce (.+?) and (.+?) in (LIKE|ILIKE) expression"));

/// 42883 with the types of the call, where the text tells them.
fn wrong_types(text: &str) -> Option<Error> {
    let shown = |t: &str| crate::plan::arrow_name_shown(t.trim());
    if let Some(found) = LIKE_TYPES.captures(text) {
        let operator = if &found[3] == "LIKE" { "~~" } else { "~~*" };
        let message = format!("operator does not exist: {} {operator} {}", shown(&found[1]), shown(&found[2]));
        let hint = "No operator matches the given name and argument types. You might need to add explicit type casts.";
        return Some(Error::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint));
    }
    let found = WRONG_TYPES.captures(text).or_else(|| NO_SIGNATURE.captures(text))?;
    let mut depth = 0;
    let mut outside = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    let types = found[2].split(&mut outside).map(shown).collect::<Vec<_>>().join(", ");
    Some(undefined_function(&format!("{}({types})", &found[1])))
}

/// Sayings of the planner that name one fault each.
fn plain_fault(text: &str, line: &str) -> Option<Error> {
    let number = || POSITION.captures(text).map_or_else(|| "?".to_string(), |f| f[1].to_string());
    let column_reference = SqlState::new("42P10");
    Some(if text.contains("Order by column out of bounds") {
        Error::new(column_reference, format!("ORDER BY position {} is not in select list", number()))
    } else if text.contains("Cannot find column with position") {
        Error::new(column_reference, format!("GROUP BY position {} is not in select list", number()))
    } else if text.contains("LIMIT must be >= 0") {
        Error::new(SqlState::new("2201W"), "LIMIT must not be negative")
    } else if text.contains("OFFSET must be >=0") {
        Error::new(SqlState::new("2201X"), "OFFSET must not be negative")
    } else if text.contains("must match initial ORDER BY") || text.contains("must appear in select list") {
        let lower = line.replacen("For SELECT DISTINCT", "for SELECT DISTINCT", 1);
        let message = if lower.starts_with("for") {
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list".to_string()
        } else {
            lower
        };
        Error::new(column_reference, message)
    } else if text.contains("Inconsistent data length across values list") {
        Error::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length")
    } else if text.contains("The subquery should only return one column") {
        Error::new(SqlState::SYNTAX_ERROR, "subquery must return only one column")
    } else if text.contains("specified more than once") && line.starts_with("WITH query name") {
        Error::new(SqlState::DUPLICATE_ALIAS, line)
    } else if text.to_lowercase().contains("aggregate functions are not allowed in the where clause") {
        Error::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in WHERE")
    } else if text.contains("Aggregate function calls cannot be nested") {
        Error::new(SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested")
    } else if let Some(found) = NOT_A_CONDITION.captures(text) {
        let ty = crate::plan::arrow_name_shown(&found[1]);
        let message = format!("argument of WHERE must be type boolean, not type {ty}");
        Error::new(SqlState::DATATYPE_MISMATCH, message)
    } else if let Some(found) = NOT_NEGATED.captures(text) {
        let ty = crate::plan::arrow_name_shown(&found[1]);
        Error::new(SqlState::DATATYPE_MISMATCH, format!("argument of NOT must be type boolean, not type {ty}"))
    } else if let Some(found) = WINDOW.captures(text) {
        Error::new(SqlState::UNDEFINED_OBJECT, format!("window \"{}\" does not exist", &found[1]))
    } else if let Some(found) = ARITHMETIC.captures(text) {
        let ty = |t: &str| crate::plan::arrow_name_shown(t.trim());
        let message = format!("operator does not exist: {} {} {}", ty(&found[1]), &found[2], ty(&found[3]));
        Error::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    } else {
        return None;
    })
}

/// What DataFusion's planner says in words.
fn plan(text: &str) -> Error {
    let line = first_line(text);
    if let Some(found) = RECURSIVE.captures(text) {
        let own = &found[2];
        let overall = own.split('(').next().unwrap_or(own);
        let number = found[1].parse::<usize>().map_or(1, |n| n + 1);
        let message = format!(
            "column {number} of a recursive query has type {own} in non-recursive term but type {overall} overall"
        );
        return Error::new(SqlState::DATATYPE_MISMATCH, message)
            .hint("Cast the output of the non-recursive term to the correct type.");
    }
    if let Some(found) = plain_fault(text, &line) {
        return found;
    }
    if let Some(found) = STATED.captures(text) {
        let error = Error::new(SqlState::new(&found[2]), &found[1]);
        return match &found[2] {
            "42883" => error.hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
            _ => error,
        };
    }
    if let Some(found) = INVALID_FUNCTION.captures(text).or_else(|| TABLE_FUNCTION.captures(text)) {
        return undefined_function(&found[1]);
    }
    if text.contains("GROUP BY") && (text.contains("must appear") || text.contains("must be part")) {
        let name = GROUPING.captures(text).map_or_else(|| "?".to_string(), |f| column_shown(&f[1]).to_string());
        return Error::new(
            SqlState::GROUPING_ERROR,
            format!("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"),
        );
    }
    if text.contains("ggregate functions are not allowed in") || text.contains("window functions are not allowed") {
        return Error::new(SqlState::GROUPING_ERROR, line.to_lowercase());
    }
    if text.contains("UNION") && text.contains("number of columns")
        || text.contains("query has different number of columns")
    {
        return Error::new(SqlState::SYNTAX_ERROR, "each UNION query must have the same number of columns");
    }
    if text.contains("Cannot infer common")
        || text.contains("Cannot coerce arithmetic")
        || text.contains("not coercible")
    {
        let shown = COMPARISON.captures(text).map(|f| {
            let ty = |t: &str| crate::plan::arrow_name_shown(t.trim());
            format!("operator does not exist: {} {} {}", ty(&f[1]), &f[2], ty(&f[3]))
        });
        return Error::new(SqlState::UNDEFINED_FUNCTION, shown.unwrap_or(line))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.");
    }
    if let Some(error) = wrong_types(text) {
        return error;
    }
    if text.contains("No function matches") || text.contains("coerce") || text.contains("expects") {
        let name = FUNCTION_ARGUMENTS
            .captures(text)
            .and_then(|f| f.get(1).or(f.get(2)).map(|m| m.as_str().to_string()))
            .unwrap_or_else(|| "with these arguments".to_string());
        return undefined_function(&name).detail(line);
    }
    if text.contains("scalar subquery") && text.contains("one column") {
        return Error::new(SqlState::SYNTAX_ERROR, "subquery must return only one column");
    }
    if text.contains("out of range") || text.contains("overflow") {
        return Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, line);
    }
    if let Some(rest) = line.strip_prefix("ORDER BY position") {
        return Error::new(SqlState::new("42P10"), format!("ORDER BY position{rest}"));
    }
    Error::new(SqlState::SYNTAX_ERROR, line)
}

static NO_PARAMETER: LazyLock<Regex> = LazyLock::new(|| pattern(r"Placeholder '(\$\d+)' was not provided"));

fn execution(text: &str) -> Error {
    let line = first_line(text);
    if let Some(found) = NO_PARAMETER.captures(text) {
        return Error::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {}", &found[1]));
    }
    if text.contains("NTILE requires a positive integer") {
        return Error::new(SqlState::new("22014"), "argument of ntile must be greater than zero");
    }
    if text.contains("step can't be 0") {
        return Error::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    }
    if text.contains("more than one row") || text.contains("returned more than one") {
        return Error::new(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        );
    }
    if text.contains("ivide by zero") || text.contains("ivision by zero") {
        return Error::new(SqlState::DIVISION_BY_ZERO, "division by zero");
    }
    if text.contains("verflow") || text.contains("out of range") {
        return Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, line);
    }
    Error::new(SqlState::INVALID_PARAMETER_VALUE, line)
}
