//! Relations in FROM that PostgreSQL reads otherwise than DataFusion: a list of column names that names the first
//! columns only, and `FULL JOIN … USING`, whose merged columns come from either side
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html>).

use std::collections::HashMap;

use datafusion::common::{Column, JoinType, Result, TableReference};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};
use sightline_storage::error::{Error, SqlState};

use super::names::fold;
use crate::error::to_datafusion;

#[derive(Debug)]
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = &relation
            && let [join] = table_with_joins.joins.as_slice()
            && let JoinOperator::FullOuter(constraint @ (JoinConstraint::Using(_) | JoinConstraint::Natural)) =
                &join.join_operator
        {
            let left = context.plan(table_with_joins.relation.clone())?;
            let right = context.plan(join.relation.clone())?;
            let plan = full_join(left, right, constraint)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))));
        }
        let (TableFactor::Table { alias, args: None, .. }
        | TableFactor::Derived { alias, lateral: false, .. }
        | TableFactor::NestedJoin { alias, .. }) = &mut relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(names) = alias.as_mut().filter(|a| !a.columns.is_empty()) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let columns = std::mem::take(&mut names.columns);
        let names = ast::TableAlias { columns, ..names.clone() };
        let plan = context.plan(relation)?;
        let planned = renamed(plan, &names)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))))
    }
}

/// The relation with its first columns under these names.
///
/// # Errors
/// 42P10 for more names than columns.
fn renamed(plan: LogicalPlan, alias: &ast::TableAlias) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let table = fold(&alias.name);
    if alias.columns.len() > columns.len() {
        let text = format!(
            "table \"{table}\" has {} columns available but {} columns specified",
            columns.len(),
            alias.columns.len()
        );
        return Err(to_datafusion(Error::new(SqlState::new("42P10"), text)));
    }
    let table = TableReference::bare(table);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let exprs = columns
        .into_iter()
        .enumerate()
        .map(|(n, column)| {
            let name = alias.columns.get(n).map_or_else(|| column.name.clone(), |c| fold(&c.name));
            let repeats = seen.insert(name.clone(), n).is_some();
            let name = if repeats { super::columns::hide(&name, n) } else { name };
            Expr::Column(column).alias(name)
        })
        .collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(exprs)?.alias(table)?.build()
}

/// The merged columns, then what else the two sides have. The merged columns have no other name: `a.x` of either side
/// alone can't be asked for.
fn full_join(left: LogicalPlan, right: LogicalPlan, constraint: &JoinConstraint) -> Result<LogicalPlan> {
    let named = |plan: &LogicalPlan, name: &str| {
        let found = plan.schema().columns().into_iter().filter(|c| c.name == name).collect::<Vec<_>>();
        match <[Column; 1]>::try_from(found) {
            Ok([column]) => Ok(Some(column)),
            Err(found) if found.is_empty() => Ok(None),
            Err(_) => {
                let text = format!("common column name \"{name}\" appears more than once in left table");
                Err(to_datafusion(Error::new(SqlState::AMBIGUOUS_COLUMN, text)))
            }
        }
    };
    let names = match constraint {
        JoinConstraint::Using(names) => {
            names.iter().filter_map(|n| n.0.last().and_then(|p| p.as_ident()).map(fold)).collect::<Vec<_>>()
        }
        _ => {
            let mut common = Vec::new();
            for column in left.schema().columns() {
                if named(&right, &column.name)?.is_some() && !common.contains(&column.name) {
                    common.push(column.name);
                }
            }
            common
        }
    };
    let mut keys = (Vec::new(), Vec::new());
    for name in &names {
        let missing = |side: &str| {
            let text = format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            to_datafusion(Error::new(SqlState::UNDEFINED_COLUMN, text))
        };
        keys.0.push(named(&left, name)?.ok_or_else(|| missing("left"))?);
        keys.1.push(named(&right, name)?.ok_or_else(|| missing("right"))?);
    }
    let merged = keys
        .0
        .iter()
        .zip(&keys.1)
        .map(|(l, r)| coalesce(vec![Expr::Column(l.clone()), Expr::Column(r.clone())]).alias(l.name.clone()));
    let rest = |plan: &LogicalPlan, keys: &[Column]| {
        plan.schema().columns().into_iter().filter(|c| !keys.contains(c)).map(Expr::Column).collect::<Vec<_>>()
    };
    let exprs = merged.chain(rest(&left, &keys.0)).chain(rest(&right, &keys.1)).collect::<Vec<_>>();
    LogicalPlanBuilder::from(left).join(right, JoinType::Full, keys, None)?.project(exprs)?.build()
}
