//! Reads parts in the table's present columns: finds a column under its stored name, fills in what rows older than a
//! column hold, and casts what was stored in another type or physical form.
//!
//! Expressions are rewritten, not batches, and before DataFusion prunes row groups and pages: so pruning works for
//! renamed columns, too, and a column that is not there folds away.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::table::stored::missing_value;

/// A table's columns as parts know them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct StoredColumns {
    by_name: Arc<HashMap<String, StoredColumn>>,
}

#[derive(Debug)]
struct StoredColumn {
    stored_name: String,
    field: FieldRef,
    /// What rows without the column hold.
    missing: ScalarValue,
}

impl StoredColumns {
    /// # Errors
    /// XX001 if the definition is damaged.
    pub(super) fn new(def: &TableDef) -> Result<StoredColumns> {
        let columns = def.columns.iter().map(|c| Ok((c.name.clone(), StoredColumn::new(c)?)));
        Ok(StoredColumns { by_name: Arc::new(columns.collect::<Result<_>>()?) })
    }

    /// What rows written before the column existed hold.
    pub(super) fn missing(&self, column: &ColumnDef) -> Option<&ScalarValue> {
        self.by_name.get(&column.name).map(|c| &c.missing)
    }
}

impl StoredColumn {
    fn new(column: &ColumnDef) -> Result<StoredColumn> {
        let missing = missing_value(column).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(StoredColumn {
            stored_name: column.stored_name.clone(),
            field: Arc::new(column.ty.field(&column.name, !column.not_null)),
            missing: ScalarValue::try_from_array(&missing, 0)?,
        })
    }
}

impl PhysicalExprAdapterFactory for StoredColumns {
    fn create(
        &self,
        _logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        Ok(Arc::new(PartAdapter { columns: self.clone(), part: physical_file_schema }))
    }
}

/// Rewrites expressions over the table into expressions over one part.
#[derive(Debug)]
struct PartAdapter {
    columns: StoredColumns,
    part: SchemaRef,
}

impl PhysicalExprAdapter for PartAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewrite = |e: Arc<dyn PhysicalExpr>| match e.downcast_ref::<Column>() {
            Some(column) => self.column(column).map(Transformed::yes),
            None => Ok(Transformed::no(e)),
        };
        expr.transform_up(rewrite).data()
    }
}

impl PartAdapter {
    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(known) = self.columns.by_name.get(column.name()) else {
            return exec_err!("column \"{}\" is not of the table that is scanned", column.name());
        };
        let Some((position, stored)) = self.part.column_with_name(&known.stored_name) else {
            let metadata = FieldMetadata::from(known.field.as_ref());
            return Ok(Arc::new(Literal::new_with_metadata(known.missing.clone(), Some(metadata))));
        };
        let read = Arc::new(Column::new(&known.stored_name, position));
        if stored.data_type() == known.field.data_type() {
            return Ok(read);
        }
        Ok(Arc::new(CastExpr::new_with_target_field(read, known.field.clone(), None)))
    }
}
