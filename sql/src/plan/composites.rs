//! Composite types in plans (<https://www.postgresql.org/docs/15/rowtypes.html>): the calls that `rewrite/composites.rs`
//! writes for `ROW(…)::t` and `(v).a`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sightline_storage::error::{Error, SqlState};
use sightline_storage::ids::{SequenceId, TableId, TypeId, ViewId};
use sightline_storage::types::{SqlType, TypeName};

use super::{QueryContext, Relation};
use crate::codec::input::only_scalar;
use crate::error::to_datafusion;

/// The function that makes a row; behind it the OID of its type.
pub(super) const ROW_OF: &str = "row of type ";
/// The function that takes a field out of a row.
pub(super) const FIELD_OF: &str = "field of row";

/// The function of this name, if it is one of these.
pub(super) fn function(ctx: &QueryContext, name: &str) -> Option<Arc<ScalarUDF>> {
    if name == FIELD_OF {
        let signature = Signature::any(2, Volatility::Immutable);
        return Some(Arc::new(ScalarUDF::new_from_impl(FieldOf { signature })));
    }
    let oid = name.strip_prefix(ROW_OF)?.parse().ok()?;
    let ty = match TypeName::relation_of_rows(oid) {
        Some((relation, _)) => {
            let catalog = &ctx.snapshot.catalog;
            let table = catalog.table(TableId(relation)).map(|t| Relation::Table(t.clone()));
            let view = || catalog.view(ViewId(relation)).map(|v| Relation::View(v.clone()));
            let sequence = || catalog.sequence(SequenceId(relation)).map(|s| Relation::Sequence(s.clone()));
            let found = table.or_else(view).or_else(sequence)?;
            super::records::row_type(ctx, &found)?
        }
        None => ctx.snapshot.catalog.sql_type(ctx.snapshot.catalog.user_type(TypeId(oid))?),
    };
    let SqlType::Composite(of) = &ty else { return None };
    let signature = match of.fields.len() {
        0 => Signature::nullary(Volatility::Immutable),
        n => Signature::any(n, Volatility::Immutable),
    };
    Some(Arc::new(ScalarUDF::new_from_impl(RowOf { name: name.to_string(), ty, signature })))
}

/// Makes a row of its fields.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowOf {
    name: String,
    ty: SqlType,
    signature: Signature,
}

impl ScalarUDFImpl for RowOf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.ty.arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(self.ty.field_ref(&self.name))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = self.ty.arrow() else {
            return Err(to_datafusion(Error::internal("a composite type is no struct")));
        };
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().zip(&fields).map(|(arg, field)| {
            let array = arg.to_array(rows)?;
            if array.data_type() == field.data_type() {
                return Ok(array);
            }
            sightline_functions::numeric::cast_array(&array, field.data_type())
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let made: ArrayRef = if columns.is_empty() {
            Arc::new(StructArray::new_empty_fields(rows, None))
        } else {
            Arc::new(StructArray::try_new(fields, columns, None)?)
        };
        Ok(if constant { ColumnarValue::Scalar(only_scalar(&made)?) } else { ColumnarValue::Array(made) })
    }
}

/// Takes a field out of a row, by its name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldOf {
    signature: Signature,
}

fn name_of(value: Option<&ScalarValue>) -> &str {
    match value {
        Some(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name))) => name,
        _ => "",
    }
}

/// A field of rows: that of NULL is NULL.
pub(super) fn within(row: &StructArray, field: &ArrayRef) -> Result<ArrayRef> {
    let nulls = arrow::buffer::NullBuffer::union(row.nulls(), field.nulls());
    Ok(arrow::array::make_array(field.to_data().into_builder().nulls(nulls).build()?))
}

impl ScalarUDFImpl for FieldOf {
    fn name(&self) -> &str {
        FIELD_OF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(to_datafusion(Error::internal("the type of a field is known by its name only")))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let name = name_of(args.scalar_arguments.get(1).copied().flatten());
        let given = &args.arg_fields[0];
        let ty = SqlType::of_field(given);
        let DataType::Struct(fields) = given.data_type() else {
            let text = format!("column notation .{name} applied to type {ty}, which is not a composite type");
            return Err(to_datafusion(Error::new(SqlState::WRONG_OBJECT_TYPE, text)));
        };
        let found = fields.iter().find(|f| f.name() == name);
        let missing = || {
            let text = match &ty {
                SqlType::Composite(of) if !ty.is_record() => {
                    format!("column \"{name}\" not found in data type {}", of.id)
                }
                _ => format!("could not identify column \"{name}\" in record data type"),
            };
            to_datafusion(Error::new(SqlState::UNDEFINED_COLUMN, text))
        };
        let found = found.ok_or_else(missing)?;
        Ok(Arc::new(found.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = match args.args.get(1) {
            Some(ColumnarValue::Scalar(name)) => name_of(Some(name)).to_string(),
            _ => String::new(),
        };
        let constant = matches!(args.args.first(), Some(ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let given = args.args[0].to_array(rows)?;
        let missing = || to_datafusion(Error::internal("a row without the field that it has"));
        let row = given.as_struct_opt().ok_or_else(missing)?;
        let field = row.column_by_name(&name).ok_or_else(missing)?;
        let field = within(row, field)?;
        Ok(if constant { ColumnarValue::Scalar(only_scalar(&field)?) } else { ColumnarValue::Array(field) })
    }
}
