//! Reads parts in the table's present columns: finds a column under its stored name, fills in what rows older than a
//! column hold, and casts what was stored in another type or physical form.
//!
//! Expressions are rewritten, not batches, and before DataFusion prunes row groups and pages: so pruning works for
//! renamed columns, too, and a column that is not there folds away.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use sightline_storage::catalog::{ColumnDef, TableDef};
use sightline_storage::numeric;
use sightline_storage::table::stored::missing_value;

use super::Place;

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
            // Made by the reader.
            if column.name() == Place::POSITION
                && let Some((position, _)) = self.part.column_with_name(Place::POSITION)
            {
                return Ok(Arc::new(Column::new(Place::POSITION, position)));
            }
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
        if numeric::of_stored(&new_empty_array(stored.data_type()), known.field.data_type()).is_some() {
            return Ok(Arc::new(OnceDecimal { read, field: known.field.clone() }));
        }
        Ok(Arc::new(CastExpr::new_with_target_field(read, known.field.clone(), None)))
    }
}

/// A column stored when `numeric` was a decimal, read as the numerics it stands for.
#[derive(Debug, Clone)]
struct OnceDecimal {
    read: Arc<dyn PhysicalExpr>,
    field: FieldRef,
}

impl PartialEq for OnceDecimal {
    fn eq(&self, other: &Self) -> bool {
        self.read.eq(&other.read) && self.field == other.field
    }
}

impl Eq for OnceDecimal {}

impl Hash for OnceDecimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.read.hash(state);
        self.field.hash(state);
    }
}

impl std::fmt::Display for OnceDecimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "numeric({})", self.read)
    }
}

impl PhysicalExpr for OnceDecimal {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.read.nullable(input)
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let stored = self.read.evaluate(batch)?.into_array(batch.num_rows())?;
        match numeric::of_stored(&stored, self.field.data_type()) {
            Some(numerics) => numerics.map(ColumnarValue::Array).map_err(|e| DataFusionError::External(Box::new(e))),
            None => exec_err!("{} is no stored numeric", stored.data_type()),
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.read]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[Arc<dyn PhysicalExpr>; 1]>::try_from(children) {
            Ok([read]) => Ok(Arc::new(OnceDecimal { read, field: self.field.clone() })),
            Err(_) => exec_err!("a stored numeric is read from one column"),
        }
    }

    fn fmt_sql(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
