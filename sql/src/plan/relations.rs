//! Relations in FROM that PostgreSQL reads otherwise than DataFusion: a list of column names that names the first
//! columns only, and `JOIN … USING`, whose merged columns come first, and under FULL from either side
//! (<https://www.postgresql.org/docs/15/queries-table-expressions.html>).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, NullEquality, Result, TableReference};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::utils::expand_wildcard;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};
use sightline_storage::error::{Error, SqlState};

use super::elements;
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
            && let Some((ty, constraint)) = merging(join)
        {
            let left = context.plan(table_with_joins.relation.clone())?;
            let right = context.plan(join.relation.clone())?;
            let plan = joined(left, right, ty, constraint)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))));
        }
        if let TableFactor::Derived { alias, lateral: true, .. } = &mut relation
            && let Some(alias) = alias.take()
        {
            let plan = elements::told(context.plan(relation)?)?;
            let planned = if alias.columns.is_empty() {
                LogicalPlanBuilder::from(plan).alias(TableReference::bare(fold(&alias.name)))?.build()?
            } else {
                let columns = plan.schema().columns();
                renamed(plan, columns, &alias)?
            };
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))));
        }
        if let TableFactor::NestedJoin { alias, .. } | TableFactor::Derived { alias, lateral: false, .. } =
            &mut relation
            && let Some(alias) = alias.take()
        {
            let plan = context.plan(relation)?;
            if alias.name.value == super::ctes::MARK {
                let planned = super::ctes::opaque(merged(plan)?)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))));
            }
            if alias.name.value == super::records::FIELDS {
                let planned = super::records::spread(plan)?;
                return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))));
            }
            let columns = visible(&plan)?;
            let planned = renamed(elements::told(merged(plan)?)?, columns, &alias)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))));
        }
        let TableFactor::Table { alias, args: None, .. } = &mut relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(names) = alias.as_mut().filter(|a| !a.columns.is_empty()) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let columns = std::mem::take(&mut names.columns);
        let names = ast::TableAlias { columns, ..names.clone() };
        let plan = context.plan(relation)?;
        let columns = plan.schema().columns();
        let planned = renamed(plan, columns, &names)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(planned, None))))
    }
}

/// What a join that merges columns is.
fn merging(join: &ast::Join) -> Option<(JoinType, &JoinConstraint)> {
    use JoinOperator as J;
    let (ty, constraint) = match &join.join_operator {
        J::Join(c) | J::Inner(c) => (JoinType::Inner, c),
        J::Left(c) | J::LeftOuter(c) => (JoinType::Left, c),
        J::Right(c) | J::RightOuter(c) => (JoinType::Right, c),
        J::FullOuter(c) => (JoinType::Full, c),
        _ => return None,
    };
    matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural).then_some((ty, constraint))
}

/// The relation as these columns, the first of them under the names of the alias.
///
/// # Errors
/// 42P10 for more names than columns.
fn renamed(plan: LogicalPlan, columns: Vec<Column>, alias: &ast::TableAlias) -> Result<LogicalPlan> {
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

/// The merged columns, and behind them all that the two sides have. A merged column has a qualifier of its own, which sorts
/// before all others: so `*` takes it and leaves out those that it is made of, which can still be asked for by their names,
/// since the planner knows them for columns of a USING (see [`merged`]).
fn joined(left: LogicalPlan, right: LogicalPlan, ty: JoinType, constraint: &JoinConstraint) -> Result<LogicalPlan> {
    let (ours, theirs) = (visible(&left)?, visible(&right)?);
    let qualifier = qualifier(constraint);
    let named = |columns: &[Column], name: &str, side: &str| {
        let found = columns.iter().filter(|c| c.name == name).cloned().collect::<Vec<_>>();
        match <[Column; 1]>::try_from(found) {
            Ok([column]) => Ok(Some(column)),
            Err(found) if found.is_empty() => Ok(None),
            Err(_) => {
                let text = format!("common column name \"{name}\" appears more than once in {side} table");
                Err(to_datafusion(Error::new(SqlState::AMBIGUOUS_COLUMN, text)))
            }
        }
    };
    let names = match constraint {
        JoinConstraint::Using(names) => {
            let names = names.iter().filter_map(|n| n.0.last().and_then(|p| p.as_ident()).map(fold));
            names.filter(|n| !n.starts_with(MERGED)).collect::<Vec<_>>()
        }
        _ => {
            let mut common: Vec<String> = Vec::new();
            for column in &ours {
                if named(&theirs, &column.name, "right")?.is_some() && !common.contains(&column.name) {
                    common.push(column.name.clone());
                }
            }
            common
        }
    };
    let mut keys = Vec::new();
    for name in &names {
        if names.iter().filter(|n| *n == name).count() > 1 {
            let text = format!("column name \"{name}\" appears more than once in USING clause");
            return Err(to_datafusion(Error::new(SqlState::DUPLICATE_COLUMN, text)));
        }
        let missing = |side: &str| {
            let text = format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            to_datafusion(Error::new(SqlState::UNDEFINED_COLUMN, text))
        };
        let ours = named(&ours, name, "left")?.ok_or_else(|| missing("left"))?;
        let theirs = named(&theirs, name, "right")?.ok_or_else(|| missing("right"))?;
        keys.push((ours, theirs));
    }
    if keys.is_empty() {
        return match ty {
            JoinType::Inner => LogicalPlanBuilder::from(left).cross_join(right)?.build(),
            ty => LogicalPlanBuilder::from(left).join_on(right, ty, [lit(true)])?.build(),
        };
    }
    // The key of either side under a name of its own, which none asks for.
    let (left, right) = (keyed(left, keys.iter().map(|k| &k.0), "l")?, keyed(right, keys.iter().map(|k| &k.1), "r")?);
    let key = |side: &str, n: usize| Column::from_name(format!("{KEY}{side}{n}"));
    let mut on = Vec::new();
    for (n, name) in names.iter().enumerate() {
        on.push((key("l", n), key("r", n)));
        let same =
            |plan: &LogicalPlan| plan.schema().columns().into_iter().filter(|c| c.name == *name).collect::<Vec<_>>();
        on.extend(same(&left).into_iter().map(|c| (c, key("r", n))));
        on.extend(same(&right).into_iter().map(|c| (key("l", n), c)));
        on.push((Column::new(Some(qualifier.clone()), name), key("r", n)));
    }
    let all = |plan: &LogicalPlan| {
        let hidden = |c: &Column| c.name.starts_with(KEY) || (is_merged(c) && names.contains(&c.name));
        plan.schema().columns().into_iter().filter(|c| !hidden(c)).map(Expr::Column).collect::<Vec<_>>()
    };
    let rest = all(&left).into_iter().chain(all(&right)).collect::<Vec<_>>();
    let (left_schema, right_schema) = (left.schema().clone(), right.schema().clone());
    let join = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on.into_iter().map(|(l, r)| (Expr::Column(l), Expr::Column(r))).collect(),
        None,
        ty,
        datafusion::common::JoinConstraint::Using,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    let mut exprs = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let (l, r) = (Expr::Column(key("l", n)), Expr::Column(key("r", n)));
        let (from, to) = (l.get_type(left_schema.as_ref())?, r.get_type(right_schema.as_ref())?);
        let common = if from == to { None } else { type_union_coercion(&from, &to) };
        let as_common = |e: Expr, ty: &DataType| match &common {
            Some(common) if common != ty => cast(e, common.clone()),
            _ => e,
        };
        let (l, r) = (as_common(l, &from), as_common(r, &to));
        let value = match ty {
            JoinType::Right => r,
            JoinType::Full => coalesce(vec![l, r]),
            _ => l,
        };
        exprs.push(value.alias_qualified(Some(qualifier.clone()), name));
    }
    exprs.extend(rest);
    LogicalPlanBuilder::from(LogicalPlan::Join(join)).project(exprs)?.build()
}

/// What the qualifiers of merged columns begin with; the number of the join follows. `rewrite/joins.rs` adds it to the list
/// of a USING, so that the columns can be named.
pub(super) const MERGED: &str = "\u{1}join";

fn is_merged(column: &Column) -> bool {
    column.relation.as_ref().is_some_and(|r| r.table().starts_with(MERGED))
}

/// The qualifier of the columns that a join merges.
fn qualifier(constraint: &JoinConstraint) -> TableReference {
    static NATURAL: AtomicU64 = AtomicU64::new(0);
    let marked = match constraint {
        JoinConstraint::Using(names) => names.last().and_then(|n| n.0.last()).and_then(|p| p.as_ident()),
        _ => None,
    };
    TableReference::bare(match marked.filter(|i| i.value.starts_with(MERGED)) {
        Some(mark) => mark.value.clone(),
        None => format!("{MERGED}_natural_{}", NATURAL.fetch_add(1, Ordering::Relaxed)),
    })
}

/// What the columns that a USING compares are called below its join.
const KEY: &str = "__using_";

/// The columns that `*` stands for.
fn visible(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let exprs = expand_wildcard(plan.schema(), plan, None)?;
    let column = |e: Expr| match e {
        Expr::Column(column) => Some(column),
        _ => None,
    };
    Ok(exprs.into_iter().filter_map(column).collect())
}

/// The plan with copies of its keys.
fn keyed<'a>(plan: LogicalPlan, keys: impl Iterator<Item = &'a Column>, side: &str) -> Result<LogicalPlan> {
    let copies = keys.enumerate().map(|(n, k)| Expr::Column(k.clone()).alias(format!("{KEY}{side}{n}")));
    let exprs = plan.schema().columns().into_iter().map(Expr::Column).chain(copies).collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The merged columns that a query names.
pub(super) fn asked(query: &ast::Query) -> Vec<Column> {
    let mut all = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(query, |e| {
        if let ast::Expr::CompoundIdentifier(parts) = e
            && let [table, column] = parts.as_slice()
            && table.value.starts_with(MERGED)
        {
            all.push(Column::new(Some(TableReference::bare(table.value.clone())), fold(column)));
        }
        ControlFlow::Continue(())
    });
    all
}

/// Refuses the bare name of a merged column where another relation has a column of that name.
///
/// # Errors
/// 42702.
pub(super) fn unambiguous(plan: &LogicalPlan, asked: &[Column]) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let sets = plan.using_columns()?;
    plan.apply_with_subqueries(|node| {
        let schema = node.schema();
        for column in asked.iter().filter(|c| schema.has_column(c)) {
            let Some(set) = sets.iter().find(|set| set.contains(column)) else { continue };
            if schema.columns_with_unqualified_name(&column.name).iter().any(|c| !set.contains(c)) {
                let text = format!("column reference \"{}\" is ambiguous", column.name);
                return Err(to_datafusion(Error::new(SqlState::AMBIGUOUS_COLUMN, text)));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The plan with joins that compare each key once: the other pairs only told the planner which columns are merged.
pub(super) fn merged(plan: LogicalPlan) -> Result<LogicalPlan> {
    let key = |e: &Expr| matches!(e, Expr::Column(c) if c.relation.is_none() && c.name.starts_with(KEY));
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(mut join) if join.on.iter().any(|(l, _)| key(l)) => {
            join.on.retain(|(l, r)| key(l) && key(r));
            join.join_constraint = datafusion::common::JoinConstraint::On;
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|t| t.data)
}
