//! From rows of a source to rows of a table.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::{Error, Object, Result, SqlState};
use sightline_storage::ids::SequenceId;
use sightline_storage::types::SqlType;

use super::generated::Generated;
use crate::codec::{Cells, Style};
use crate::error::from_datafusion;
use crate::parser;
use crate::plan::{DomainChecks, QueryContext, assignment_cast, column_default, compile, evaluate, plan_expr};
use crate::sequence;

/// Bytes of one value that an error shows.
const SHOWN_MAX: usize = 64;

/// Makes rows of a table of the rows of a source.
pub(crate) struct Shape {
    ctx: Arc<QueryContext>,
    table: Arc<TableDef>,
    schema: SchemaRef,
    /// What fills each column of the table.
    fills: Vec<Fill>,
    checks: Vec<Check>,
    /// By position of the column.
    domains: Vec<(usize, DomainChecks)>,
    /// Rows it does not hold for are left out.
    filter: Option<Arc<dyn PhysicalExpr>>,
    generated: Generated,
    /// The columns of the last batch, and how each is cast to its target; none needs no cast.
    known: Option<(SchemaRef, Casts)>,
}

/// For each column its cast; none needs no cast.
type Casts = Vec<Option<Arc<dyn PhysicalExpr>>>;

enum Fill {
    /// The source's column at this position.
    Source(usize),
    /// A default that is the same for the whole statement.
    Constant(ScalarValue),
    /// A default worked out for each row, like `random()`.
    Each(Arc<dyn PhysicalExpr>),
    /// Numbers of a sequence.
    Sequence(SequenceId, SqlType),
}

struct Check {
    name: String,
    holds: Arc<dyn PhysicalExpr>,
}

impl Shape {
    /// For rows whose columns go to these positions of the table's columns.
    ///
    /// # Errors
    /// Those of a DEFAULT or CHECK that no longer plans.
    pub(crate) fn new(ctx: &Arc<QueryContext>, table: &Arc<TableDef>, targets: Vec<usize>) -> Result<Shape> {
        let mut fills = Vec::with_capacity(table.columns.len());
        for (position, column) in table.columns.iter().enumerate() {
            if column.generated.is_some() {
                // It is computed of the others.
                fills.push(Fill::Constant(crate::codec::input::null(&column.ty)?));
                continue;
            }
            let source = targets.contains(&position);
            if let Some(id) = if source { None } else { sequence::filling(ctx, column)? } {
                fills.push(Fill::Sequence(id, column.ty.clone()));
                continue;
            }
            fills.push(match (targets.iter().position(|t| *t == position), &column_default(ctx, column)) {
                (Some(source), _) => Fill::Source(source),
                (None, Some(text)) => default_fill(ctx, text, &column.ty, &column.name)?,
                (None, None) => Fill::Constant(crate::codec::input::null(&column.ty)?),
            });
        }
        let checks = checks(ctx, table)?;
        let mut domains = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            domains.extend(DomainChecks::of(ctx, &column.ty)?.map(|checks| (position, checks)));
        }
        Ok(Shape {
            ctx: ctx.clone(),
            table: table.clone(),
            schema: table.arrow_schema(),
            fills,
            checks,
            domains,
            filter: None,
            generated: Generated::of(ctx, table)?,
            known: None,
        })
    }

    /// Leaves out rows that a condition over the table's columns does not hold for (COPY … WHERE).
    ///
    /// # Errors
    /// Those of planning it; 42804 if it is no condition.
    pub(crate) fn filter(&mut self, condition: &ast::Expr) -> Result<()> {
        let schema = DFSchema::try_from(self.schema.as_ref().clone()).map_err(from_datafusion)?;
        let planned = plan_expr(&self.ctx, condition, &schema)?;
        let ty = SqlType::of_field(&planned.to_field(&schema).map_err(from_datafusion)?.1);
        if !matches!(ty, SqlType::Boolean | SqlType::Unknown) {
            let text = format!("argument of WHERE must be type boolean, not type {ty}");
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
        }
        self.filter = Some(compile(&self.ctx, planned, &schema)?);
        Ok(())
    }

    /// The rows in the table's columns, checked.
    ///
    /// # Errors
    /// 22003, 22001, 23502, 23514, 42804.
    pub(crate) fn apply(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let casts = self.casts(&batch.schema())?;
        let sources = batch.columns().iter().zip(casts).map(|(column, cast)| match cast {
            None => Ok(column.clone()),
            Some(cast) => evaluated(cast.as_ref(), &batch),
        });
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let empty = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            vec![],
            &RecordBatchOptions::new().with_row_count(Some(rows)),
        )?;
        let fill = |(fill, field): (&Fill, &Arc<Field>)| {
            let array = match fill {
                Fill::Source(position) => sources[*position].clone(),
                Fill::Constant(value) => value.to_array_of_size(rows).map_err(from_datafusion)?,
                Fill::Each(expr) => evaluated(expr.as_ref(), &empty)?,
                Fill::Sequence(id, ty) => sequence::column(&self.ctx, *id, rows, ty)?,
            };
            in_type(array, field.data_type())
        };
        let columns = self.fills.iter().zip(self.schema.fields()).map(fill).collect::<Result<Vec<_>>>()?;
        let Some(filter) = &self.filter else { return self.checked(columns, rows) };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let whole = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let wanted = evaluated(filter.as_ref(), &whole)?;
        let Some(wanted) = wanted.as_boolean_opt() else {
            return Err(Error::internal("a condition is not boolean"));
        };
        let left = filter_record_batch(&whole, wanted)?;
        self.checked(left.columns().to_vec(), left.num_rows())
    }

    /// Checks columns that are already in the table's types, generated ones computed.
    ///
    /// # Errors
    /// 23502, 23514, those of generated columns.
    pub(crate) fn checked(&self, mut columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        self.generated.compute(&mut columns, rows)?;
        for (position, domain) in &self.domains {
            domain.check(&columns[*position])?;
        }
        if let Some((column, row)) = first_null(&self.table, &columns) {
            let text = format!(
                "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
                self.table.name
            );
            let object = Object { column: Some(column.to_string()), ..self.object() };
            let detail = failing_row(&self.table, &columns, row)?;
            return Err(Error::new(SqlState::NOT_NULL_VIOLATION, text).detail(detail).object(object));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        for check in &self.checks {
            if let Some(row) = first_failing(check.holds.as_ref(), &batch)? {
                let text = format!(
                    "new row for relation \"{}\" violates check constraint \"{}\"",
                    self.table.name, check.name
                );
                let detail = failing_row(&self.table, batch.columns(), row)?;
                let object = Object { constraint: Some(check.name.clone()), ..self.object() };
                return Err(Error::new(SqlState::CHECK_VIOLATION, text).detail(detail).object(object));
            }
        }
        Ok(batch)
    }

    /// The table, for an error about it.
    fn object(&self) -> Object {
        let schemas = &self.ctx.snapshot.catalog.schemas;
        let schema = schemas.values().find(|s| s.id == self.table.schema).map(|s| s.name.clone());
        Object { schema, table: Some(self.table.name.clone()), ..Object::default() }
    }

    /// How the source's columns are cast to those of the table.
    fn casts(&mut self, source: &SchemaRef) -> Result<&[Option<Arc<dyn PhysicalExpr>>]> {
        let same = |known: &SchemaRef| Arc::ptr_eq(known, source) || known.fields() == source.fields();
        if !self.known.as_ref().is_some_and(|(known, _)| same(known)) {
            let casts = self.make_casts(source)?;
            self.known = Some((source.clone(), casts));
        }
        Ok(self.known.as_ref().map(|(_, casts)| casts.as_slice()).unwrap_or_default())
    }

    fn make_casts(&self, source: &SchemaRef) -> Result<Vec<Option<Arc<dyn PhysicalExpr>>>> {
        // Names of a query's columns may repeat: positions do not.
        let fields = source.fields().iter().enumerate();
        let fields = fields.map(|(n, f)| Arc::new(f.as_ref().clone().with_name(format!("c{n}")))).collect::<Vec<_>>();
        let schema = Schema::new(fields);
        let df_schema = DFSchema::try_from(schema.clone()).map_err(from_datafusion)?;
        let mut casts = Vec::with_capacity(source.fields().len());
        for (n, field) in source.fields().iter().enumerate() {
            let target = self.fills.iter().position(|f| matches!(f, Fill::Source(s) if *s == n));
            let Some(column) = target.map(|t| &self.table.columns[t]) else {
                casts.push(None);
                continue;
            };
            let from = SqlType::of_field(field);
            if from == column.ty && *field.data_type() == column.ty.arrow() {
                casts.push(None);
                continue;
            }
            let expr = Expr::Column(Column::new_unqualified(format!("c{n}")));
            let expr = assignment_cast(expr, &from, &column.ty, &column.name)?;
            casts.push(Some(compile(&self.ctx, expr, &df_schema)?));
        }
        Ok(casts)
    }
}

fn default_fill(ctx: &Arc<QueryContext>, text: &str, ty: &SqlType, column: &str) -> Result<Fill> {
    let ast = parser::parse_expr(text)?;
    let schema = DFSchema::empty();
    let planned = plan_expr(ctx, &ast, &schema)?;
    if !planned.is_volatile() {
        return Ok(Fill::Constant(evaluate(ctx, &ast, ty)?));
    }
    let from = SqlType::of_field(&planned.to_field(&schema).map_err(from_datafusion)?.1);
    let cast = assignment_cast(planned, &from, ty, column)?;
    Ok(Fill::Each(compile(ctx, cast, &schema)?))
}

fn checks(ctx: &Arc<QueryContext>, table: &TableDef) -> Result<Vec<Check>> {
    if table.checks.is_empty() {
        return Ok(Vec::new());
    }
    let schema = DFSchema::try_from(table.arrow_schema().as_ref().clone()).map_err(from_datafusion)?;
    let compiled = |text: &str| {
        let planned = plan_expr(ctx, &parser::parse_expr(text)?, &schema)?;
        compile(ctx, planned, &schema)
    };
    table.checks.iter().map(|c| Ok(Check { name: c.name.clone(), holds: compiled(&c.expr)? })).collect()
}

pub(super) fn evaluated(expr: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<ArrayRef> {
    let value = expr.evaluate(batch).map_err(from_datafusion)?;
    value.into_array(batch.num_rows()).map_err(from_datafusion)
}

/// The array in exactly this Arrow type.
pub(super) fn in_type(array: ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if array.data_type() == ty { Ok(array) } else { Ok(cast(&array, ty)?) }
}

/// The first row where a CHECK is false; NULL is no failure.
fn first_failing(holds: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<Option<usize>> {
    let result = evaluated(holds, batch)?;
    let Some(holds) = result.as_boolean_opt() else {
        return Err(Error::internal("a check constraint is not boolean"));
    };
    Ok(holds.iter().position(|row| row == Some(false)))
}

/// The first NULL that must not be: its column's name, and its row.
fn first_null<'a>(table: &'a TableDef, columns: &[ArrayRef]) -> Option<(&'a str, usize)> {
    let forbidden =
        table.columns.iter().zip(columns).filter(|(column, array)| column.not_null && array.null_count() > 0);
    let (column, array) = forbidden.into_iter().next()?;
    let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or_default();
    Some((&column.name, row))
}

/// The DETAIL of a violated constraint.
fn failing_row(table: &TableDef, columns: &[ArrayRef], row: usize) -> Result<String> {
    let style = Style::default();
    let mut shown = Vec::with_capacity(columns.len());
    for (column, array) in table.columns.iter().zip(columns) {
        let cells = Cells::new(&array.slice(row, 1), &column.ty)?;
        if cells.is_null(0) {
            shown.push("null".to_string());
            continue;
        }
        let mut text = Vec::new();
        cells.write_text(0, &style, &mut text);
        let text = String::from_utf8_lossy(&text);
        let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN_MAX);
        shown.push(match cut {
            Some(at) => format!("{}...", &text[..at]),
            None => text.into_owned(),
        });
    }
    Ok(format!("Failing row contains ({}).", shown.join(", ")))
}
