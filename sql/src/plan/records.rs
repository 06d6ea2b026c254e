//! Rows in plans (<https://www.postgresql.org/docs/15/rowtypes.html>): `ROW(…)`, the rows of relations that
//! `rewrite/whole_rows.rs` asks for, their comparison and `IS NULL`.
//!
//! A row is a struct. One of no named type is a `record`; that of a table or view is of the type that goes by its name.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DynComparator, ListArray, MutableArrayData, StructArray, make_comparator,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use sightline_storage::error::{Error, SqlState};
use sightline_storage::ids::SchemaId;
use sightline_storage::types::{CompositeType, SqlType, TypeName};

use super::columns::{hide, unhide};
use super::kernel::Kernel;
use super::{QueryContext, Relation, TARGETS_MAX, arithmetic, names};
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
        sightline_functions::numeric::cast_array(&array, field.data_type())
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
    let fields = left.columns().iter().zip(right.columns()).take(count).map(|(l, r)| {
        let (l, r) = (key(l)?, key(r)?);
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
        let all = |key: &Expr| {
            matches!(key, Expr::Literal(ScalarValue::Utf8(Some(key)) | ScalarValue::Utf8View(Some(key)), _)
                if key == ALL_COLUMNS)
        };
        if !matches!(expr.keys.as_slice(), [key] if all(key)) {
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

/// What a field is compared by.
fn key(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Interval(_) => arithmetic::comparable_array(array),
        t if *t == sightline_functions::numeric::NUMERIC => sightline_functions::numeric::keys(array),
        _ => Ok(array.clone()),
    }
}

/// The relation with the fields of the rows that are marked in the place of these.
///
/// # Errors
/// 42809 for what is no row.
pub(super) fn spread(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut seen = HashSet::new();
    let mut exprs = Vec::new();
    for (column, field) in plan.schema().columns().into_iter().zip(plan.schema().fields()) {
        if !column.name.starts_with(FIELDS) {
            seen.insert(column.name.clone());
            exprs.push(Expr::Column(column));
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
    LogicalPlanBuilder::from(plan).project(exprs)?.alias(FIELDS)?.build()
}

/// Rows, and arrays of rows, are ordered by keys: nothing below us orders structs within lists.
pub(super) fn ordered(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Sort(mut sort) = node else { return Ok(Transformed::no(node)) };
        let schema = sort.input.schema().clone();
        let mut changed = false;
        for key in &mut sort.expr {
            let field = key.expr.to_field(&schema).map(|(_, field)| field);
            if field.is_ok_and(|f| holds_rows(f.data_type())) {
                let field = Arc::new(Field::new("", DataType::Binary, true));
                let given = std::mem::take(&mut key.expr);
                key.expr = Kernel::call("order of rows", field, vec![given], Arc::new(|a| order_keys(&a[0])));
                changed = true;
            }
        }
        Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
    })
    .map(|t| t.data)
}

fn holds_rows(t: &DataType) -> bool {
    match t {
        DataType::Struct(_) => true,
        DataType::List(item) => holds_rows(item.data_type()),
        _ => false,
    }
}

/// Bytes in the order of the values.
fn order_keys(array: &ArrayRef) -> Result<ArrayRef> {
    let options = SortOptions { descending: false, nulls_first: false };
    let values = match array.as_struct_opt() {
        Some(rows) => {
            let columns = rows.columns().iter().map(key).collect::<Result<Vec<_>>>()?;
            let fields = columns
                .iter()
                .zip(rows.fields())
                .map(|(c, f)| f.as_ref().clone().with_data_type(c.data_type().clone()));
            let made = StructArray::try_new_with_length(fields.collect(), columns, rows.nulls().cloned(), rows.len())?;
            Arc::new(made) as ArrayRef
        }
        None => array.clone(),
    };
    let converter = RowConverter::new(vec![SortField::new_with_options(values.data_type().clone(), options)])?;
    let keys = converter.convert_columns(&[values])?;
    let keys = keys.iter().enumerate().map(|(n, k)| array.is_valid(n).then(|| k.data().to_vec()));
    Ok(Arc::new(keys.collect::<arrow::array::BinaryArray>()))
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
