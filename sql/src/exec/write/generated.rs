//! Generated columns (<https://www.postgresql.org/docs/15/ddl-generated-columns.html>): what INSERT, COPY and UPDATE compute
//! of a batch of a table's rows before they are checked and stored.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::logical_expr::ExprSchemable;
use datafusion::physical_plan::PhysicalExpr;
use sightline_storage::catalog::TableDef;
use sightline_storage::error::Result;
use sightline_storage::types::SqlType;

use super::shape::{evaluated, in_type};
use crate::error::from_datafusion;
use crate::parser;
use crate::plan::{QueryContext, assignment_cast, compile, plan_expr};

/// The expressions of a table's generated columns.
pub(crate) struct Generated {
    schema: SchemaRef,
    /// By position of the column.
    columns: Vec<(usize, Arc<dyn PhysicalExpr>)>,
}

impl Generated {
    /// Those of this table.
    ///
    /// # Errors
    /// Those of an expression that no longer plans.
    pub(crate) fn of(ctx: &Arc<QueryContext>, table: &TableDef) -> Result<Generated> {
        let schema = table.arrow_schema();
        let mut columns = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            let Some(text) = &column.generated else { continue };
            // A column that must not be NULL may well be while it is computed.
            let nullable = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
            let df_schema = arrow::datatypes::Schema::new(nullable);
            let df_schema = DFSchema::try_from(df_schema).map_err(from_datafusion)?;
            let planned = plan_expr(ctx, &parser::parse_expr(text)?, &df_schema)?;
            let from = SqlType::of_field(&planned.to_field(&df_schema).map_err(from_datafusion)?.1);
            let cast = assignment_cast(planned, &from, &column.ty, &column.name)?;
            columns.push((position, compile(ctx, cast, &df_schema)?));
        }
        Ok(Generated { schema, columns })
    }

    /// Puts the values of the generated columns into rows in the columns of the table. What stood there is not looked at.
    ///
    /// # Errors
    /// Those of the expressions, such as 22012.
    pub(crate) fn compute(&self, columns: &mut [ArrayRef], rows: usize) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let nullable = self.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
        let schema = Arc::new(arrow::datatypes::Schema::new(nullable));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(schema, columns.to_vec(), &options)?;
        for (position, expr) in &self.columns {
            let computed = evaluated(expr.as_ref(), &batch)?;
            columns[*position] = in_type(computed, self.schema.field(*position).data_type())?;
        }
        Ok(())
    }
}
