//! Whether a scan filters rows while it decodes them, or leaves that to the operator above.
//!
//! Filtered while decoding, columns that the filter does not need are decoded only for rows that pass, at the price of skipping
//! in pages, and of decoding the filter's columns first. That pays where few rows pass and much stands beside the filter: over one run
//! of queries it wins 9 to 21 times on `SELECT *` with LIMIT, and loses up to a half on a third of the others. So it is chosen
//! for each scan, by guesses of PostgreSQL's kind (`DEFAULT_EQ_SEL` and its kin) where nothing is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, LikeExpr, Literal,
};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{collect_columns, split_conjunction};

use super::statistics::RowWidth;

/// The share of rows that pass a comparison of a value for equality.
const EQUAL: f64 = 0.05;
/// A comparison with a bound.
const RANGE: f64 = 0.33;
/// A pattern.
const LIKE: f64 = 0.1;
/// What tells nothing, such as the filter of a join.
const UNKNOWN: f64 = 0.5;
/// What nearly all rows pass.
const MOST: f64 = 0.9;
/// No guess is below this.
const LEAST: f64 = 0.01;
/// Skipping rows costs as much as decoding so many bytes of each.
const SKIP_BYTES: f64 = 24.0;
/// Decoding the filter's columns apart costs so many times their bytes.
const FILTER_FACTOR: f64 = 2.0;

/// Whether rows are better filtered while they are decoded. `projection` is what the scan gives, over `schema`.
pub(super) fn filters_while_decoding(
    filters: &[Arc<dyn PhysicalExpr>],
    projection: Option<&ProjectionExprs>,
    schema: &SchemaRef,
) -> bool {
    let width = RowWidth::new(schema);
    let bytes = |columns: &BTreeSet<usize>| columns.iter().map(|c| width.column(*c)).sum::<u64>() as f64;
    let used = filters.iter().flat_map(collect_columns).map(|c| c.index()).collect::<BTreeSet<_>>();
    let given = match projection {
        Some(projection) => projection.column_indices().into_iter().collect::<BTreeSet<_>>(),
        None => (0..schema.fields().len()).collect(),
    };
    let beside = &given - &used;
    let pass = filters.iter().flat_map(split_conjunction).map(passing).product::<f64>().max(LEAST);
    bytes(&beside) * (1.0 - pass) > bytes(&used) * FILTER_FACTOR + SKIP_BYTES
}

/// The share of rows that pass, guessed by the form of the condition.
fn passing(filter: &Arc<dyn PhysicalExpr>) -> f64 {
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        let with_value = [binary.left(), binary.right()].iter().any(|e| collect_columns(e).is_empty());
        return match binary.op() {
            Operator::Eq | Operator::IsNotDistinctFrom if with_value => EQUAL,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq if with_value => RANGE,
            Operator::Or => (passing(binary.left()) + passing(binary.right())).min(1.0),
            Operator::And => passing(binary.left()) * passing(binary.right()),
            Operator::NotEq | Operator::IsDistinctFrom => MOST,
            _ => UNKNOWN,
        };
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        let some = (EQUAL * list.list().len() as f64).min(UNKNOWN);
        return if list.negated() { 1.0 - some } else { some };
    }
    if let Some(like) = filter.downcast_ref::<LikeExpr>() {
        return if like.negated() { MOST } else { LIKE };
    }
    if filter.is::<IsNullExpr>() {
        return EQUAL;
    }
    if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
        // Before it runs it is `true`; that of ORDER BY with LIMIT has one or few columns and will leave few rows, but so may that
        // of a join, which often leaves most.
        return dynamic.current().map_or(UNKNOWN, |now| if now.is::<Literal>() { UNKNOWN } else { passing(&now) });
    }
    UNKNOWN
}
