//! `nextval`, `currval`, `lastval` and `setval` (<https://www.postgresql.org/docs/15/functions-sequence.html>), and a sequence
//! read as a relation.
//!
//! They are volatile, so nothing computes them while it plans, and each row gets a number of its own: a batch of rows
//! draws its numbers at once ([`sequence`](crate::sequence)).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef, UInt32Type};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result as PlanResult};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TableType, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use sightline_storage::catalog::SequenceDef;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::SequenceId;
use sightline_storage::types::SqlType;

use super::{QueryContext, Relation, names};
use crate::authorize::{Action, authorize};
use crate::error::to_datafusion;
use crate::sequence;
use crate::session::temporary::is_temporary;

/// The names of the functions.
pub(crate) const NAMES: [&str; 4] = ["nextval", "currval", "lastval", "setval"];

/// The columns of a sequence read as a relation.
pub(crate) const COLUMNS: [(&str, SqlType); 3] =
    [("last_value", SqlType::BigInt), ("log_cnt", SqlType::BigInt), ("is_called", SqlType::Boolean)];

/// The function of this name, if it is one of these.
pub(super) fn function(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    let name = NAMES.into_iter().find(|n| *n == name)?;
    let signature = match name {
        "lastval" => Signature::nullary(Volatility::Volatile),
        _ => Signature::user_defined(Volatility::Volatile),
    };
    let given = Vec::new();
    Some(Arc::new(ScalarUDF::new_from_impl(SequenceFunction { name, ctx: ctx.clone(), signature, given })))
}

/// The sequence that a call names, by text or OID.
///
/// # Errors
/// 42P01, 42809, 42501.
fn named(ctx: &QueryContext, array: &ArrayRef, row: usize) -> Result<Option<SequenceId>> {
    if array.is_null(row) {
        return Ok(None);
    }
    if let Some(oids) = array.as_primitive_opt::<UInt32Type>() {
        return of_oid(ctx, oids.value(row)).map(Some);
    }
    let text = array.as_string_view().value(row);
    if let Ok(oid) = text.parse() {
        return of_oid(ctx, oid).map(Some);
    }
    match names::find_relation(ctx, &ctx.relation_path(), &crate::catalog::split_name(text)?)? {
        Relation::Sequence(def) => Ok(Some(def.id)),
        Relation::Table(def) => Err(no_sequence(&def.name)),
        Relation::View(def) => Err(no_sequence(&def.name)),
        Relation::System(_, name) => Err(no_sequence(&name)),
    }
}

fn of_oid(ctx: &QueryContext, oid: u32) -> Result<SequenceId> {
    if ctx.snapshot.catalog.sequence(SequenceId(oid)).is_some() {
        return Ok(SequenceId(oid));
    }
    match crate::catalog::relation_name(ctx, oid) {
        Some(name) => Err(no_sequence(&name)),
        None => Err(Error::internal(format!("could not open relation with OID {oid}"))),
    }
}

fn no_sequence(name: &str) -> Error {
    Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence"))
}

/// Whether the session may use the sequence, and change it where its transaction only reads.
pub(crate) fn may_draw(ctx: &QueryContext, def: &SequenceDef, what: &str) -> Result<()> {
    authorize(&ctx.identity, Action::UseSequence(def))?;
    let schema = ctx.snapshot.catalog.schema(def.schema);
    if ctx.settings.is_on("transaction_read_only") && !schema.is_some_and(|s| is_temporary(&s.name)) {
        let text = format!("cannot execute {what}() in a read-only transaction");
        return Err(Error::new(SqlState::new("25006"), text));
    }
    Ok(())
}

fn definition(ctx: &QueryContext, id: SequenceId) -> Result<&Arc<SequenceDef>> {
    let gone = || Error::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {id}"));
    ctx.snapshot.catalog.sequence(id).ok_or_else(gone)
}

struct SequenceFunction {
    name: &'static str,
    ctx: Arc<QueryContext>,
    signature: Signature,
    /// Arguments that are constant, and no arguments of the call any more.
    given: Vec<ScalarValue>,
}

impl SequenceFunction {
    /// A number for each row. Rows that name the same sequence one after another draw at once.
    fn nextval(&self, given: &ArrayRef, rows: usize) -> Result<ArrayRef> {
        let ctx = &self.ctx;
        let draw = |id: SequenceId, count: usize| {
            may_draw(ctx, definition(ctx, id)?, "nextval")?;
            sequence::draw(ctx, id, count)
        };
        if given.len() == 1 {
            return Ok(match named(ctx, given, 0)? {
                Some(id) if rows > 0 => Arc::new(Int64Array::from(draw(id, rows)?)),
                _ => new_null_array(&DataType::Int64, rows),
            });
        }
        let mut numbers: Vec<Option<i64>> = Vec::with_capacity(rows);
        let ids = (0..rows).map(|row| named(ctx, given, row)).collect::<Result<Vec<_>>>()?;
        for same in ids.chunk_by(|a, b| a == b) {
            match same[0] {
                Some(id) => numbers.extend(draw(id, same.len())?.into_iter().map(Some)),
                None => numbers.extend(same.iter().map(|_| None)),
            }
        }
        Ok(Arc::new(Int64Array::from(numbers)))
    }

    fn currval(&self, given: &ArrayRef, row: usize) -> Result<Option<i64>> {
        let Some(id) = named(&self.ctx, given, row)? else { return Ok(None) };
        let def = definition(&self.ctx, id)?;
        authorize(&self.ctx.identity, Action::UseSequence(def))?;
        let undefined = || {
            let text = format!("currval of sequence \"{}\" is not yet defined in this session", def.name);
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
        };
        self.ctx.drawn.current(id).map(Some).ok_or_else(undefined)
    }

    fn lastval(&self) -> Result<i64> {
        let undefined = || {
            let text = "lastval is not yet defined in this session";
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
        };
        let (id, last) = self.ctx.drawn.latest().ok_or_else(undefined)?;
        let def = self.ctx.snapshot.catalog.sequence(id).ok_or_else(undefined)?;
        authorize(&self.ctx.identity, Action::UseSequence(def))?;
        Ok(last)
    }

    fn setval(&self, args: &[ArrayRef], row: usize) -> Result<Option<i64>> {
        let Some(id) = named(&self.ctx, &args[0], row)? else { return Ok(None) };
        let Some(last) = args.get(1).filter(|a| a.is_valid(row)) else { return Ok(None) };
        let last = last.as_primitive::<Int64Type>().value(row);
        let is_called = match args.get(2) {
            Some(called) if called.is_null(row) => return Ok(None),
            Some(called) => called.as_boolean().value(row),
            None => true,
        };
        may_draw(&self.ctx, definition(&self.ctx, id)?, "setval")?;
        sequence::set(&self.ctx, id, last, is_called)?;
        Ok(Some(last))
    }

    fn answer(&self, args: &ScalarFunctionArgs) -> PlanResult<ArrayRef> {
        let rows = args.number_rows;
        let constant = self.given.iter().cloned().map(ColumnarValue::Scalar).collect::<Vec<_>>();
        let args = if constant.is_empty() { &args.args } else { &constant };
        if self.name == "nextval" {
            let given = match args.first() {
                Some(ColumnarValue::Array(array)) => array.clone(),
                Some(ColumnarValue::Scalar(value)) => value.to_array()?,
                None => return Ok(new_null_array(&DataType::Int64, rows)),
            };
            return self.nextval(&given, rows).map_err(to_datafusion);
        }
        let arrays = args.iter().map(|a| a.to_array(rows)).collect::<PlanResult<Vec<_>>>()?;
        let number = |row| match self.name {
            "currval" => self.currval(&arrays[0], row),
            "lastval" => self.lastval().map(Some),
            _ => self.setval(&arrays, row),
        };
        let numbers = (0..rows).map(number).collect::<Result<Vec<_>>>().map_err(to_datafusion)?;
        Ok(Arc::new(Int64Array::from(numbers)))
    }
}

impl std::fmt::Debug for SequenceFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for SequenceFunction {
    fn eq(&self, other: &SequenceFunction) -> bool {
        self.name == other.name && self.given == other.given
    }
}

impl Eq for SequenceFunction {}

impl Hash for SequenceFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.given.hash(state);
    }
}

impl ScalarUDFImpl for SequenceFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Int64)
    }

    fn coerce_types(&self, given: &[DataType]) -> PlanResult<Vec<DataType>> {
        let wanted = if self.name == "setval" { 2..=3 } else { 1..=1 };
        if !wanted.contains(&given.len()) {
            let shown = given.iter().map(|t| SqlType::from_arrow(t).to_string()).collect::<Vec<_>>().join(", ");
            let text = format!("function {}({shown}) does not exist", self.name);
            let hint =
                "No function matches the given name and argument types. You might need to add explicit type casts.";
            return Err(to_datafusion(Error::new(SqlState::UNDEFINED_FUNCTION, text).hint(hint)));
        }
        let by_name = matches!(given[0], DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
        let first = if by_name { DataType::Utf8View } else { DataType::UInt32 };
        Ok([first, DataType::Int64, DataType::Boolean].into_iter().take(given.len()).collect())
    }

    /// DataFusion takes a call whose arguments are constant for a constant, also a volatile one, and drops a sort by it. So
    /// such a call has no arguments.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> PlanResult<ExprSimplifyResult> {
        let literal = |e: &Expr| match e {
            Expr::Literal(value, _) => Some(value.clone()),
            _ => None,
        };
        let given = args.iter().map(literal).collect::<Option<Vec<_>>>().filter(|given| !given.is_empty());
        let Some(given) = given else { return Ok(ExprSimplifyResult::Original(args)) };
        let (name, ctx) = (self.name, self.ctx.clone());
        let bound = SequenceFunction { name, ctx, signature: Signature::nullary(Volatility::Volatile), given };
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::new_from_impl(bound).call(Vec::new())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        self.answer(&args).map(ColumnarValue::Array)
    }
}

/// Draws numbers in the order of the result: PostgreSQL computes what is volatile behind the sort
/// (`SELECT nextval('s'), a FROM t ORDER BY a`).
pub(super) fn behind_sorts(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let transformed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Sort(sort) = &node else { return Ok(Transformed::no(node)) };
        let LogicalPlan::Projection(projection) = sort.input.as_ref() else { return Ok(Transformed::no(node)) };
        let mut late = Vec::with_capacity(projection.expr.len());
        for expr in &projection.expr {
            late.push(draws(expr)?);
        }
        if !late.contains(&true) {
            return Ok(Transformed::no(node));
        }
        let columns = projection.schema.columns();
        let drawn = |c: &Column| columns.iter().zip(&late).any(|(own, late)| *late && own == c);
        if sort.expr.iter().any(|e| e.expr.column_refs().into_iter().any(drawn)) {
            return Ok(Transformed::no(node));
        }
        let early = projection.expr.iter().zip(&late).filter(|(_, late)| !**late).map(|(e, _)| e.clone());
        let below = LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(early)?;
        let sorted = below.sort_with_limit(sort.expr.clone(), sort.fetch)?;
        let all = projection.expr.iter().zip(&late).zip(columns.iter().cloned());
        let all = all.map(|((expr, late), column)| if *late { expr.clone() } else { Expr::Column(column) });
        Ok(Transformed::yes(sorted.project(all.collect::<Vec<_>>())?.build()?))
    })?;
    Ok(transformed.data)
}

/// Whether an expression draws from a sequence and hangs on no column.
fn draws(expr: &Expr) -> PlanResult<bool> {
    let draws = expr.exists(|e| Ok(matches!(e, Expr::ScalarFunction(call) if call.func.name() == "nextval")))?;
    Ok(draws && expr.column_refs().is_empty())
}

/// A sequence in FROM: one row, which tells where it stands when it is read.
pub(super) struct SequenceRelation {
    pub(super) ctx: Arc<QueryContext>,
    pub(super) def: Arc<SequenceDef>,
}

impl SequenceRelation {
    fn row(&self) -> Result<RecordBatch> {
        let place = sequence::place(&self.ctx, self.def.id)?;
        let logged = i64::try_from(place.logged).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![place.last])),
            Arc::new(Int64Array::from(vec![logged])),
            Arc::new(BooleanArray::from(vec![place.is_called])),
        ];
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }
}

impl std::fmt::Debug for SequenceRelation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sequence({})", self.def.name)
    }
}

#[async_trait]
impl TableProvider for SequenceRelation {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(COLUMNS.iter().map(|(name, ty)| ty.field(name, false)).collect::<Vec<_>>()))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let row = self.row().map_err(to_datafusion)?;
        let plan = MemorySourceConfig::try_new_exec(&[vec![row]], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}
