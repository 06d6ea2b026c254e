//! Rows in plans (<https://www.postgresql.org/docs/15/rowtypes.html>): `ROW(…)`, the rows of relations that
//! `rewrite/whole_rows.rs` asks for, their comparison and `IS NULL`.
//!
//! A row is a struct. One of no named type is a `record`; that of a table or view is of the type that goes by its name.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DynComparator, ListArray, MutableArrayData, StructArray, make_comparator,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::binary::comparison_coercion;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, SortExpr, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use sightline_functions::comparable::comparable;
use sightline_functions::numeric::{NUMERIC, cast_array};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::ids::SchemaId;
use sightline_storage::types::{CompositeType, SqlType, TypeName};

use super::columns::{hide, unhide};
use super::kernel::Kernel;
use super::{QueryContext, Relation, TARGETS_MAX, names};
use crate::codec::input::only_scalar;
use crate::error::to_datafusion;

/// The function that is `ROW(…)`.
pub(super) const ROW: &str = "row";
/// The same with rows among its arguments whose fields become its own; their numbers follow.
pub(super) const SPREAD_ROW: &str = "row with the fields of ";
/// The function that gives a row the type of a relation, whose name follows.
pub(super) const ROW_OF_RELATION: &str = "row of relation ";
/// The key of the dictionary that stands for a row of all columns.
pub(super) const ALL_COLUMNS: &str = "\u{1}all columns";

/// What the key of the dictionary begins with that stands for the column whose name follows, or for NULL.
pub(super) const COLUMN_IF_ANY: &str = "\u{1}column ";

/// Under which key the field of such a NULL has the name that no column has.
const MISSING: &str = "sightline.missing";

/// What a relation is called whose rows become their fields, and what their names begin with.
pub(super) const FIELDS: &str = "\u{1}fields";

/// The function that puts a row behind those of an array.
pub(super) const APPEND: &str = "row appended";
/// The function that tells whether a row is among those of an array.
pub(super) const AMONG: &str = "row among";

/// The function of this name, if it is one of these. Names of relations are looked up in `path`.
pub(super) fn function(ctx: &QueryContext, path: &[String], name: &str) -> Option<Arc<ScalarUDF>> {
    if name == ROW {
        return Some(Arc::new(Row::function(name, None, Vec::new())));
    }
    if let Some(numbers) = name.strip_prefix(SPREAD_ROW) {
        let spread = numbers.split(',').map(|n| n.parse().ok()).collect::<Option<Vec<_>>>()?;
        return Some(Arc::new(Row::function(name, None, spread)));
    }
    if name == APPEND || name == AMONG {
        let signature = Signature::any(2, Volatility::Immutable);
        return Some(Arc::new(ScalarUDF::new_from_impl(OfList { appends: name == APPEND, signature })));
    }
    let mut rest = name.strip_prefix(ROW_OF_RELATION)?;
    let mut parts = Vec::new();
    while let Some((length, tail)) = rest.split_once(':') {
        let (part, tail) = tail.split_at_checked(length.parse().ok()?)?;
        parts.push(part.to_string());
        rest = tail;
    }
    let ty = names::find_relation(ctx, path, &parts).ok().and_then(|found| row_type(ctx, &found));
    let signature = Signature::any(1, Volatility::Immutable);
    Some(Arc::new(ScalarUDF::new_from_impl(Typed { name: name.to_string(), ty, signature })))
}

/// The type of a relation's rows; none for those of the system, whose rows are records.
pub(super) fn row_type(ctx: &QueryContext, relation: &Relation) -> Option<SqlType> {
    let schema = |id: SchemaId| {
        let schemas = &ctx.snapshot.catalog.schemas;
        schemas.iter().find(|(_, s)| s.id == id).map(|(name, _)| name.clone()).unwrap_or_default()
    };
    let (id, fields) = match relation {
        Relation::Table(def) => {
            let fields = def.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
            (TypeName::of_rows(def.id.0, &schema(def.schema), &def.name), fields)
        }
        Relation::View(def) => (TypeName::of_rows(def.id.0, &schema(def.schema), &def.name), def.columns.clone()),
        Relation::Sequence(def) => {
            let fields = super::SEQUENCE_COLUMNS.iter().map(|(name, ty)| ((*name).to_string(), ty.clone())).collect();
            (TypeName::of_rows(def.id.0, &schema(def.schema), &def.name), fields)
        }
        Relation::System(..) => return None,
    };
    Some(SqlType::Composite(Arc::new(CompositeType { id, fields })))
}

/// Makes a record of its arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Row {
    name: String,
    /// The names of its fields; `f1`, `f2` … where there are none.
    fields: Option<Vec<String>>,
    /// The arguments that are rows whose fields become its own.
    spread: Vec<usize>,
    signature: Signature,
}

impl Row {
    fn function(name: &str, fields: Option<Vec<String>>, spread: Vec<usize>) -> ScalarUDF {
        let forms = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(forms, Volatility::Immutable);
        ScalarUDF::new_from_impl(Row { name: name.to_string(), fields, spread, signature })
    }

    /// The row's fields, for arguments with these.
    fn fields<'a>(&self, given: impl Iterator<Item = &'a FieldRef>) -> Fields {
        let mut all = Vec::new();
        for (n, field) in given.enumerate() {
            match field.data_type() {
                DataType::Struct(inner) if self.spread.contains(&n) => all.extend(inner.iter().cloned()),
                _ => all.push(field.clone()),
            }
        }
        let name = |n: usize| match &self.fields {
            Some(names) => names.get(n).cloned().unwrap_or_default(),
            None => format!("f{}", n + 1),
        };
        let named = |(n, field): (usize, FieldRef)| {
            let field = field.as_ref().clone().with_name(name(n)).with_nullable(true);
            // A NULL or a literal is a text there.
            if *field.data_type() == DataType::Null { field.with_data_type(DataType::Utf8View) } else { field }
        };
        all.into_iter().enumerate().map(named).collect()
    }
}

impl ScalarUDFImpl for Row {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let given = given.iter().map(|t| Arc::new(Field::new("", t.clone(), true))).collect::<Vec<_>>();
        Ok(DataType::Struct(self.fields(given.iter())))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(&self.name, DataType::Struct(self.fields(args.arg_fields.iter())), false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return Err(to_datafusion(Error::internal("a row is no struct")));
        };
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut columns = Vec::with_capacity(fields.len());
        for (n, value) in args.args.iter().enumerate() {
            let array = value.to_array(rows)?;
            match array.as_struct_opt() {
                Some(inner) if self.spread.contains(&n) => {
                    for column in inner.columns() {
                        columns.push(super::composites::within(inner, column)?);
                    }
                }
                _ => columns.push(array),
            }
        }
        finished(fields.clone(), columns, rows, None, constant)
    }
}

/// The struct of these columns, which may have to be cast to its fields.
fn finished(
    fields: Fields,
    columns: Vec<ArrayRef>,
    rows: usize,
    nulls: Option<arrow::buffer::NullBuffer>,
    constant: bool,
) -> Result<ColumnarValue> {
    let cast = |(array, field): (ArrayRef, &FieldRef)| {
        if array.data_type() == field.data_type() {
            return Ok(array);
        }
        cast_array(&array, field.data_type())
    };
    let columns = columns.into_iter().zip(&fields).map(cast).collect::<Result<Vec<_>>>()?;
    let made: ArrayRef = if columns.is_empty() {
        Arc::new(StructArray::new_empty_fields(rows, nulls))
    } else {
        Arc::new(StructArray::try_new(fields, columns, nulls)?)
    };
    Ok(if constant { ColumnarValue::Scalar(only_scalar(&made)?) } else { ColumnarValue::Array(made) })
}

/// Looks for a row in an array of rows, or puts it behind them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfList {
    appends: bool,
    signature: Signature,
}

impl ScalarUDFImpl for OfList {
    fn name(&self) -> &str {
        if self.appends { APPEND } else { AMONG }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(if self.appends { given[0].clone() } else { DataType::Boolean })
    }

    /// Steps of a recursive query make neither rows nor arrays that are NULL.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = args.arg_fields[0].as_ref().clone().with_name(self.name());
        Ok(Arc::new(if self.appends { given } else { Field::new(AMONG, DataType::Boolean, false) }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let made = if self.appends { appended(&arrays[0], &arrays[1]) } else { among(&arrays[0], &arrays[1]) };
        made.map(ColumnarValue::Array)
    }
}

/// The lists with one more row each.
fn appended(lists: &ArrayRef, rows: &ArrayRef) -> Result<ArrayRef> {
    let DataType::List(item) = lists.data_type() else {
        return Err(to_datafusion(Error::internal("rows are no list")));
    };
    let lists = lists.as_list::<i32>();
    let rows = arrow::compute::cast(rows, item.data_type())?;
    let values = [lists.values().to_data(), rows.to_data()];
    let mut made = MutableArrayData::new(values.iter().collect(), false, lists.values().len() + rows.len());
    let mut lengths = Vec::with_capacity(lists.len());
    for (n, window) in lists.value_offsets().windows(2).enumerate() {
        let (from, to) = (window[0] as usize, window[1] as usize);
        made.try_extend(0, from, to)?;
        made.try_extend(1, n, n + 1)?;
        lengths.push(to - from + 1);
    }
    let values = arrow::array::make_array(made.freeze());
    Ok(Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), values, None)?))
}

/// Whether each row is among those of its list.
fn among(rows: &ArrayRef, lists: &ArrayRef) -> Result<ArrayRef> {
    let lists = lists.as_list::<i32>();
    let (rows, values) = (rows.as_struct(), lists.values().as_struct());
    let fields = comparators(rows, values, rows.num_columns())?;
    let found =
        lists.value_offsets().windows(2).enumerate().map(|(n, window)| {
            (window[0] as usize..window[1] as usize).any(|m| fields.iter().all(|f| f(n, m).is_eq()))
        });
    Ok(Arc::new(BooleanArray::new(found.collect(), None)))
}

/// Compares the fields of rows, by the numbers of both; NULLs are equal to one another and greater than all else.
fn comparators(left: &StructArray, right: &StructArray, count: usize) -> Result<Vec<DynComparator>> {
    let options = SortOptions { descending: false, nulls_first: false };
    let pairs = left.columns().iter().zip(left.fields()).zip(right.columns().iter().zip(right.fields()));
    let fields = pairs.take(count).map(|((l, lf), (r, rf))| {
        let (l, r) = (comparable(l, lf)?, comparable(r, rf)?);
        let r = if l.data_type() == r.data_type() { r } else { arrow::compute::cast(&r, l.data_type())? };
        Ok(make_comparator(&l, &r, options)?)
    });
    fields.collect()
}

/// Gives a row the type of a relation.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    name: String,
    ty: Option<SqlType>,
    signature: Signature,
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match (&self.ty, given) {
            (Some(ty), _) => ty.arrow(),
            (None, [given]) => given.clone(),
            _ => DataType::Null,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = &args.arg_fields[0];
        Ok(match &self.ty {
            // A view may have been made with fewer columns than its text now has.
            Some(ty) if fits(ty, given) => Arc::new(ty.field(&self.name, given.is_nullable())),
            _ => Arc::new(given.as_ref().clone().with_name(&self.name)),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return Err(to_datafusion(Error::internal("a row is no struct")));
        };
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if constant { 1 } else { args.number_rows };
        let given = args.args[0].to_array(rows)?;
        let given = given.as_struct();
        finished(fields.clone(), given.columns().to_vec(), rows, given.nulls().cloned(), constant)
    }
}

fn fits(ty: &SqlType, given: &FieldRef) -> bool {
    match (ty.arrow(), given.data_type()) {
        (DataType::Struct(own), DataType::Struct(given)) => own.len() == given.len(),
        _ => false,
    }
}

/// Plans rows of all columns, and comparisons of rows.
#[derive(Debug)]
pub(super) struct Records;

impl ExprPlanner for Records {
    fn plan_dictionary_literal(
        &self,
        expr: RawDictionaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let key = match expr.keys.as_slice() {
            [Expr::Literal(ScalarValue::Utf8(Some(key)) | ScalarValue::Utf8View(Some(key)), _)] => key.as_str(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if let Some(name) = key.strip_prefix(COLUMN_IF_ANY) {
            let found = schema.columns_with_unqualified_name(name);
            let mark = || FieldMetadata::from(BTreeMap::from([(MISSING.to_string(), name.to_string())]));
            let none = || Expr::Literal(ScalarValue::Boolean(None), Some(mark()));
            let column = found.into_iter().next().map(Expr::Column);
            return Ok(PlannerResult::Planned(column.unwrap_or_else(none)));
        }
        if key != ALL_COLUMNS {
            return Ok(PlannerResult::Original(expr));
        }
        let columns = schema.columns();
        let names = columns.iter().map(|c| unhide(&c.name).to_string()).collect();
        let values = columns.into_iter().map(Expr::Column).collect();
        Ok(PlannerResult::Planned(Row::function("row of all columns", Some(names), Vec::new()).call(values)))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator as B;
        if !matches!(expr.op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq) {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok((_, left)), Ok((_, right))) = (expr.left.to_field(schema), expr.right.to_field(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        if !matches!((left.data_type(), right.data_type()), (DataType::Struct(_), DataType::Struct(_))) {
            return Ok(PlannerResult::Original(expr));
        }
        let op = expr.op.clone();
        let field = Arc::new(Field::new("", DataType::Boolean, true));
        if is_written(&expr.left) && is_written(&expr.right) {
            if let (DataType::Struct(l), DataType::Struct(r)) = (left.data_type(), right.data_type()) {
                check_pairs(l, r, &op)?;
            }
            let body = Arc::new(move |arrays: &[ArrayRef]| by_fields(&arrays[0], &arrays[1], &op));
            let name = format!("row {} row", expr.op);
            return Ok(PlannerResult::Planned(Kernel::call(&name, field, vec![expr.left, expr.right], body)));
        }
        let body = Arc::new(move |arrays: &[ArrayRef]| compared(&arrays[0], &arrays[1], &op));
        let name = format!("record {} record", expr.op);
        Ok(PlannerResult::Planned(Kernel::call(&name, field, vec![expr.left, expr.right], body)))
    }
}

/// Why rows with these fields cannot be compared; then the number of fields that come before.
fn incomparable(left: &Fields, right: &Fields) -> Option<(usize, Error)> {
    let refused = |text: String| Error::new(SqlState::DATATYPE_MISMATCH, text);
    for (n, (l, r)) in left.iter().zip(right).enumerate() {
        let (l, r) = (SqlType::of_field(l), SqlType::of_field(r));
        if l.oid() != r.oid() {
            let text = format!("cannot compare dissimilar column types {l} and {r} at record column {}", n + 1);
            return Some((n, refused(text)));
        }
    }
    let text = || "cannot compare record types with different numbers of columns".to_string();
    (left.len() != right.len()).then(|| (left.len().min(right.len()), refused(text())))
}

/// Whether it is a `ROW(…)`: two of those are compared field by field, and a NULL in one leaves it open
/// (<https://www.postgresql.org/docs/15/functions-comparisons.html#ROW-WISE-COMPARISON>).
fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.name() == ROW || call.func.name().starts_with(SPREAD_ROW),
        _ => false,
    }
}

/// Refuses rows whose fields cannot be compared pair by pair.
fn check_pairs(left: &Fields, right: &Fields, op: &BinaryOperator) -> Result<()> {
    if left.len() != right.len() {
        let text = "unequal number of entries in row expressions";
        return Err(to_datafusion(Error::new(SqlState::SYNTAX_ERROR, text)));
    }
    let kind = |ty: &SqlType| match ty {
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => 'n',
        SqlType::Real | SqlType::Double | SqlType::Numeric(_) => 'n',
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name | SqlType::Unknown => 's',
        SqlType::Date | SqlType::Timestamp | SqlType::TimestampTz => 'd',
        SqlType::Precise(precise) if precise.plain() != SqlType::Time => 'd',
        _ => 'x',
    };
    for (l, r) in left.iter().zip(right) {
        let (l, r) = (SqlType::of_field(l), SqlType::of_field(r));
        let same = l.oid() == r.oid() || (kind(&l) == kind(&r) && kind(&l) != 'x');
        if !same || l == SqlType::Json {
            let text = format!("operator does not exist: {l} {op} {r}");
            let hint =
                "No operator matches the given name and argument types. You might need to add explicit type casts.";
            return Err(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint)));
        }
    }
    Ok(())
}

/// Compares rows as [`is_written`] says.
///
/// # Errors
/// 42601 for rows of different lengths, 42883 for fields that have no operator.
fn by_fields(left: &ArrayRef, right: &ArrayRef, op: &BinaryOperator) -> Result<ArrayRef> {
    let (left, right) = (left.as_struct(), right.as_struct());
    if left.num_columns() != right.num_columns() {
        let text = "unequal number of entries in row expressions";
        return Err(to_datafusion(Error::new(SqlState::SYNTAX_ERROR, text)));
    }
    let options = SortOptions { descending: false, nulls_first: false };
    let mut fields = Vec::with_capacity(left.num_columns());
    for n in 0..left.num_columns() {
        let (l, r) = alike(left.column(n), right.column(n), op)?;
        let (l, r) = (comparable(&l, &left.fields()[n])?, comparable(&r, &right.fields()[n])?);
        let nulls = arrow::buffer::NullBuffer::union(l.logical_nulls().as_ref(), r.logical_nulls().as_ref());
        fields.push((make_comparator(&l, &r, options)?, nulls));
    }
    let pair = |field: &(DynComparator, Option<arrow::buffer::NullBuffer>), n: usize| match &field.1 {
        Some(nulls) if nulls.is_null(n) => None,
        _ => Some(field.0(n, n)),
    };
    let one = |n: usize| {
        let mut pairs = fields.iter().map(|f| pair(f, n));
        if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
            let mut open = false;
            let differ = pairs.any(|p| {
                open |= p.is_none();
                p.is_some_and(Ordering::is_ne)
            });
            return if differ || !open { Some(differ == (*op == BinaryOperator::NotEq)) } else { None };
        }
        let order = pairs.find(|p| *p != Some(Ordering::Equal)).unwrap_or(Some(Ordering::Equal))?;
        Some(match op {
            BinaryOperator::Lt => order.is_lt(),
            BinaryOperator::LtEq => order.is_le(),
            BinaryOperator::Gt => order.is_gt(),
            _ => order.is_ge(),
        })
    };
    Ok(Arc::new((0..left.len()).map(one).collect::<BooleanArray>()))
}

/// Two fields in the type that both are compared in.
fn alike(left: &ArrayRef, right: &ArrayRef, op: &BinaryOperator) -> Result<(ArrayRef, ArrayRef)> {
    let (l, r) = (left.data_type(), right.data_type());
    if l == r {
        return Ok((left.clone(), right.clone()));
    }
    let numeric = [l, r].contains(&&NUMERIC) && [l, r].iter().all(|t| **t == NUMERIC || t.is_numeric());
    let common = if numeric { Some(NUMERIC) } else { comparison_coercion(l, r) };
    let Some(common) = common else {
        let (l, r) = (SqlType::from_arrow(l), SqlType::from_arrow(r));
        let text = format!("operator does not exist: {l} {op} {r}");
        return Err(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text)));
    };
    Ok((cast_array(left, &common)?, cast_array(right, &common)?))
}

/// Compares rows field by field; NULLs are equal to one another and greater than all else. That they cannot be compared
/// is found out only if all is equal before.
fn compared(left: &ArrayRef, right: &ArrayRef, op: &BinaryOperator) -> Result<ArrayRef> {
    let (left, right) = (left.as_struct(), right.as_struct());
    let fault = incomparable(left.fields(), right.fields());
    let sound = fault.as_ref().map_or(left.num_columns(), |(n, _)| *n);
    let fields = comparators(left, right, sound)?;
    let nulls = arrow::buffer::NullBuffer::union(left.nulls(), right.nulls());
    let holds = |order: Ordering| match op {
        BinaryOperator::Eq => order.is_eq(),
        BinaryOperator::NotEq => order.is_ne(),
        BinaryOperator::Lt => order.is_lt(),
        BinaryOperator::LtEq => order.is_le(),
        BinaryOperator::Gt => order.is_gt(),
        _ => order.is_ge(),
    };
    let differs = |n: usize| fields.iter().map(|f| f(n, n)).find(|o| o.is_ne());
    let is_null = |n: usize| nulls.as_ref().is_some_and(|b| b.is_null(n));
    if let Some((_, fault)) = fault
        && (0..left.len()).any(|n| !is_null(n) && differs(n).is_none())
    {
        return Err(to_datafusion(fault));
    }
    let values = (0..left.len()).map(|n| holds(differs(n).unwrap_or(Ordering::Equal))).collect();
    Ok(Arc::new(BooleanArray::new(values, nulls)))
}

/// The relation with the fields of the rows that are marked in the place of these, in the order that marked columns ask for.
///
/// # Errors
/// 42809 for what is no row.
pub(super) fn spread(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut seen = HashSet::new();
    let (mut exprs, mut keys) = (Vec::new(), Vec::new());
    for (column, field) in plan.schema().columns().into_iter().zip(plan.schema().fields()) {
        if let Some(key) = column.name.strip_prefix(KEY).and_then(Key::read) {
            keys.push((key, column, field.metadata().contains_key(MISSING)));
            continue;
        }
        if !column.name.starts_with(FIELDS) {
            let name = column.name.clone();
            let unique = if seen.insert(name.clone()) { None } else { Some(hide(&name, TARGETS_MAX + exprs.len())) };
            let column = Expr::Column(column);
            exprs.push(unique.map_or(column.clone(), |name| column.alias(name)));
            continue;
        }
        let DataType::Struct(fields) = field.data_type() else {
            let text = format!("type {} is not composite", SqlType::of_field(field));
            return Err(to_datafusion(Error::new(SqlState::WRONG_OBJECT_TYPE, text)));
        };
        for (n, inner) in fields.iter().enumerate() {
            let own = unhide(inner.name()).to_string();
            let unique = if seen.insert(own.clone()) { own } else { hide(&own, TARGETS_MAX + exprs.len()) };
            let field = Arc::new(inner.as_ref().clone().with_nullable(true));
            let body = Arc::new(move |arrays: &[ArrayRef]| {
                let row = arrays[0].as_struct();
                super::composites::within(row, row.column(n))
            });
            let value = Kernel::call(&format!("field_{n}"), field, vec![Expr::Column(column.clone())], body);
            exprs.push(value.alias(unique));
        }
    }
    if keys.is_empty() {
        return LogicalPlanBuilder::from(plan).project(exprs)?.alias(FIELDS)?.build();
    }
    let outputs = exprs.iter().map(|e| e.qualified_name()).map(|(r, name)| Column::new(r, name)).collect::<Vec<_>>();
    let order = keys.iter().map(|(key, column, missing)| key.sort(column, *missing, &outputs));
    let order = order.collect::<Result<Vec<_>>>()?;
    exprs.extend(keys.into_iter().map(|(_, column, _)| Expr::Column(column)));
    LogicalPlanBuilder::from(plan)
        .project(exprs)?
        .sort(order)?
        .project(outputs.into_iter().map(Expr::Column))?
        .alias(FIELDS)?
        .build()
}

/// What a column is called that is not shown, but sorted by: this, and the [`Key`] that it stands for.
pub(super) const KEY: &str = "\u{1}key ";

/// One key of an ORDER BY beside rows that become their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) of: KeyOf,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyOf {
    /// The n-th column that is shown, from 1.
    Position(usize),
    /// The column that is shown under this name, or else the hidden one.
    Name(String),
    /// The hidden column.
    Expression,
}

impl Key {
    /// The name of its column, the n-th of such.
    pub(super) fn column(&self, n: usize) -> String {
        let of = match &self.of {
            KeyOf::Position(at) => format!("p{at}"),
            KeyOf::Name(name) => format!("n{name}"),
            KeyOf::Expression => "e".to_string(),
        };
        let flag = |b: bool| if b { '1' } else { '0' };
        format!("{KEY}{n} {}{}{of}", flag(self.descending), flag(self.nulls_first))
    }

    fn read(text: &str) -> Option<Key> {
        let (_, rest) = text.split_once(' ')?;
        let (flags, of) = rest.split_at_checked(2)?;
        let of = match of.split_at_checked(1)? {
            ("p", at) => KeyOf::Position(at.parse().ok()?),
            ("n", name) => KeyOf::Name(name.to_string()),
            _ => KeyOf::Expression,
        };
        Some(Key { of, descending: flags.starts_with('1'), nulls_first: flags.ends_with('1') })
    }

    fn sort(&self, hidden: &Column, missing: bool, outputs: &[Column]) -> Result<SortExpr> {
        let column = match &self.of {
            KeyOf::Position(at) => at.checked_sub(1).and_then(|n| outputs.get(n)).ok_or_else(|| {
                let text = format!("ORDER BY position {at} is not in select list");
                to_datafusion(Error::new(SqlState::new("42P10"), text))
            })?,
            KeyOf::Name(name) => {
                let mut named = outputs.iter().filter(|c| unhide(&c.name) == name);
                match (named.next(), named.next()) {
                    (Some(column), None) => column,
                    (Some(_), Some(_)) => {
                        let text = format!("ORDER BY \"{name}\" is ambiguous");
                        return Err(to_datafusion(Error::new(SqlState::AMBIGUOUS_COLUMN, text)));
                    }
                    (None, _) if missing => {
                        let text = format!("column \"{name}\" does not exist");
                        return Err(to_datafusion(Error::new(SqlState::UNDEFINED_COLUMN, text)));
                    }
                    (None, _) => hidden,
                }
            }
            KeyOf::Expression => hidden,
        };
        Ok(SortExpr { expr: Expr::Column(column.clone()), asc: !self.descending, nulls_first: self.nulls_first })
    }
}

/// `x IS NULL` of a row: whether all of its fields are NULL; `x IS NOT NULL`: whether none is.
pub(super) fn tested(plan: LogicalPlan) -> Result<LogicalPlan> {
    super::pass::over_plan(plan, |expr, schema| {
        let (inner, null) = match &expr {
            Expr::IsNull(inner) => (inner, true),
            Expr::IsNotNull(inner) => (inner, false),
            _ => return Ok(Transformed::no(expr)),
        };
        if !matches!(inner.get_type(schema), Ok(DataType::Struct(_))) {
            return Ok(Transformed::no(expr));
        }
        let field = Arc::new(Field::new("", DataType::Boolean, false));
        let name = if null { "row IS NULL" } else { "row IS NOT NULL" };
        let body = Arc::new(move |arrays: &[ArrayRef]| Ok(all_fields(arrays[0].as_struct(), null)));
        Ok(Transformed::yes(Kernel::call(name, field, vec![inner.as_ref().clone()], body)))
    })
}

fn all_fields(rows: &StructArray, null: bool) -> ArrayRef {
    let fields = rows.columns().iter().map(|c| c.logical_nulls()).collect::<Vec<_>>();
    let is_null = |n: usize, nulls: &Option<arrow::buffer::NullBuffer>| nulls.as_ref().is_some_and(|b| b.is_null(n));
    let row = |n: usize| match rows.is_null(n) {
        true => null,
        false => fields.iter().all(|f| is_null(n, f) == null),
    };
    Arc::new(BooleanArray::new((0..rows.len()).map(row).collect(), None))
}
