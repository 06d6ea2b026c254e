//! `x IN (SELECT …)` with PostgreSQL's NULLs: not found is unknown where a NULL is among the values.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, SortField};
use async_trait::async_trait;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDFImpl, Signature, Subquery, Volatility,
};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use tokio::sync::Mutex;

use super::outer::{Outer, bound};
use super::{QueryContext, run};
use crate::error::to_datafusion;

/// `x IN (SELECT …)` as a function of x and of what the subquery takes from outside. It runs once for each combination of
/// that.
pub(super) struct Membership {
    ctx: Arc<QueryContext>,
    plan: Arc<LogicalPlan>,
    outer: Vec<Outer>,
    signature: Signature,
    /// The sets made so far, by the values from outside.
    sets: Mutex<HashMap<Vec<ScalarValue>, Arc<Values>>>,
}

/// The values of a subquery.
struct Values {
    rows: HashSet<Box<[u8]>>,
    converter: RowConverter,
    has_null: bool,
    is_empty: bool,
    /// The memory of `rows`.
    _reservation: MemoryReservation,
}

/// What a value costs in a set, beside its bytes.
const ENTRY_BYTES: usize = 32;

impl Membership {
    /// The call in place of the expression.
    pub(super) fn call(ctx: &Arc<QueryContext>, expr: Expr, subquery: Subquery, around: &DFSchema) -> Result<Expr> {
        let outer = Outer::of(&subquery.subquery)?;
        let mut args = vec![expr];
        args.extend(outer.iter().map(|o| o.expr(around)));
        let function = Membership {
            ctx: ctx.clone(),
            plan: subquery.subquery,
            outer,
            signature: Signature::any(args.len(), Volatility::Stable),
            sets: Mutex::default(),
        };
        Ok(AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf().call(args))
    }

    /// The set for these values from outside, read when first asked for.
    async fn values(&self, outer: Vec<ScalarValue>, ty: &DataType) -> Result<Arc<Values>> {
        let mut sets = self.sets.lock().await;
        if let Some(values) = sets.get(&outer) {
            return Ok(values.clone());
        }
        let values = Arc::new(self.read(&outer, ty).await?);
        sets.insert(outer, values.clone());
        Ok(values)
    }

    async fn read(&self, outer: &[ScalarValue], ty: &DataType) -> Result<Values> {
        let plan = bound(&self.plan, &self.outer, outer)?;
        // As of a dependent subquery: what hung on two queries around it may hang on the nearer one alone now.
        let plan = super::lateral::rewrite(&self.ctx, plan)
            .and_then(|p| super::dependent::rewrite(&self.ctx, p))
            .map_err(to_datafusion)?;
        let reservation = MemoryConsumer::new("IN (SELECT …)").register(&self.ctx.memory.pool());
        let converter = RowConverter::new(vec![SortField::new(ty.clone())])?;
        let (mut rows, mut has_null, mut is_empty) = (HashSet::new(), false, true);
        let mut stream = run::raw(&self.ctx, plan).await.map_err(to_datafusion)?;
        while let Some(batch) = stream.try_next().await? {
            let values = comparable(batch.column(0), ty)?;
            is_empty &= values.is_empty();
            has_null |= values.null_count() > 0;
            let mut bytes = 0;
            for row in &converter.convert_columns(&[values])? {
                if rows.insert(row.data().into()) {
                    bytes += row.data().len() + ENTRY_BYTES;
                }
            }
            reservation.try_grow(bytes)?;
        }
        Ok(Values { rows, converter, has_null, is_empty, _reservation: reservation })
    }
}

/// The values in this type, and with one zero only: what is equal has equal bytes then.
fn comparable(values: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    let values = if values.data_type() == ty { values.clone() } else { cast(values, ty)? };
    Ok(match ty {
        DataType::Float64 => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| v + 0.0)),
        DataType::Float32 => Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(|v| v + 0.0)),
        _ => values,
    })
}

impl Values {
    /// Whether each of `wanted`, which must be [`comparable`], is among them; none where that is unknown.
    fn contain(&self, wanted: &ArrayRef) -> Result<Vec<Option<bool>>> {
        let rows = self.converter.convert_columns(std::slice::from_ref(wanted))?;
        let one = |(n, row): (usize, arrow::row::Row<'_>)| {
            if self.is_empty {
                return Some(false);
            }
            if wanted.is_null(n) {
                return None;
            }
            let found = self.rows.contains(row.data());
            (found || !self.has_null).then_some(found)
        };
        Ok(rows.iter().enumerate().map(one).collect())
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl PartialEq for Membership {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Membership {}

impl Hash for Membership {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.plan).hash(state);
    }
}

impl ScalarUDFImpl for Membership {
    fn name(&self) -> &'static str {
        "in_subquery"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("a subquery runs asynchronously")
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Membership {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let count = args.number_rows;
        let mut arrays = args.args.into_iter().map(|a| a.into_array(count)).collect::<Result<Vec<_>>>()?;
        let wanted = arrays.remove(0);
        let (left, right) = (wanted.data_type(), self.plan.schema().field(0).data_type());
        let common = comparison_coercion(left, right).unwrap_or_else(|| left.clone());
        let wanted = comparable(&wanted, &common)?;
        if arrays.is_empty() {
            let found = self.values(Vec::new(), &common).await?.contain(&wanted)?;
            return Ok(ColumnarValue::Array(Arc::new(found.into_iter().collect::<BooleanArray>())));
        }
        let mut found = Vec::with_capacity(count);
        for row in 0..count {
            let key = arrays.iter().map(|a| ScalarValue::try_from_array(a, row)).collect::<Result<Vec<_>>>()?;
            found.extend(self.values(key, &common).await?.contain(&wanted.slice(row, 1))?);
        }
        Ok(ColumnarValue::Array(Arc::new(found.into_iter().collect::<BooleanArray>())))
    }
}
