//! Domains (<https://www.postgresql.org/docs/15/domains.html>): a value of one is a value of its base, and only what makes
//! one, a cast or an assignment, looks at the conditions.
//!
//! A cast is written as a call around the cast to the base ([`check_cast`]), which the planner finds by the domain's OID
//! ([`function`]); what INSERT and COPY store is checked column by column ([`DomainChecks::check`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use sightline_storage::catalog::{ColumnDef, TypeBody};
use sightline_storage::error::{Error, Object, Result, SqlState};
use sightline_storage::ids::TypeId;
use sightline_storage::types::{DomainType, SqlType, TypeName};

use super::rewrite::named_call;
use super::types::sql_type;
use super::user_types::said;
use super::{QueryContext, compile, plan_expr};
use crate::codec::input::only_scalar;
use crate::error::{from_datafusion, to_datafusion};
use crate::parser;
use crate::sequence::reference;

/// What the value is called in a condition.
pub(crate) const VALUE: &str = "value";

/// What values must fulfil because of the domains in their type.
#[derive(Debug)]
pub(crate) enum DomainChecks {
    /// Each by itself.
    Values(Conditions),
    /// The elements of arrays.
    Elements(Box<DomainChecks>),
    /// The fields of composites, by their place.
    Fields(Vec<(usize, DomainChecks)>),
    /// Those of a domain, and of what it is made of.
    Both(Box<(DomainChecks, DomainChecks)>),
}

/// The conditions of a domain, and those of the domains it is made of.
#[derive(Debug)]
pub(crate) struct Conditions {
    id: TypeName,
    not_null: bool,
    /// Names and conditions, those of the innermost domain first.
    checks: Vec<(String, Arc<dyn PhysicalExpr>)>,
    schema: SchemaRef,
}

impl DomainChecks {
    /// The conditions on a column or cast of this type. None for a type without any.
    ///
    /// # Errors
    /// Those of a condition that no longer plans.
    pub(crate) fn of(ctx: &Arc<QueryContext>, ty: &SqlType) -> Result<Option<DomainChecks>> {
        Ok(match ty {
            SqlType::Array(item) => DomainChecks::of(ctx, item)?.map(|c| DomainChecks::Elements(Box::new(c))),
            SqlType::Composite(composite) => {
                let mut fields = Vec::new();
                for (n, (_, ty)) in composite.fields.iter().enumerate() {
                    fields.extend(DomainChecks::of(ctx, ty)?.map(|checks| (n, checks)));
                }
                (!fields.is_empty()).then_some(DomainChecks::Fields(fields))
            }
            SqlType::Domain(domain) => {
                let own = DomainChecks::Values(Conditions::of(ctx, domain)?);
                Some(match DomainChecks::of(ctx, domain.base.base())? {
                    Some(inner) => DomainChecks::Both(Box::new((inner, own))),
                    None => own,
                })
            }
            _ => None,
        })
    }

    /// Checks values.
    ///
    /// # Errors
    /// 23502, 23514.
    pub(crate) fn check(&self, array: &ArrayRef) -> Result<()> {
        match self {
            DomainChecks::Values(conditions) => conditions.check(array.clone()),
            DomainChecks::Elements(checks) => {
                let Some(list) = array.as_list_opt::<i32>() else { return Ok(()) };
                let (start, end) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
                checks.check(&list.values().slice(start as usize, (end - start) as usize))
            }
            DomainChecks::Fields(fields) => {
                // The fields of a NULL are nobody's.
                let there = match array.nulls().filter(|n| n.null_count() > 0) {
                    Some(nulls) => &filter(array, &BooleanArray::new(nulls.inner().clone(), None))?,
                    None => array,
                };
                let Some(rows) = there.as_struct_opt() else { return Ok(()) };
                fields.iter().try_for_each(|(n, checks)| checks.check(rows.column(*n)))
            }
            DomainChecks::Both(both) => {
                both.0.check(array)?;
                both.1.check(array)
            }
        }
    }
}

impl Conditions {
    fn of(ctx: &Arc<QueryContext>, domain: &Arc<DomainType>) -> Result<Conditions> {
        let schema = Arc::new(Schema::new(vec![domain.base.field(VALUE, true)]));
        let columns = DFSchema::try_from(schema.as_ref().clone()).map_err(from_datafusion)?;
        let (mut not_null, mut levels) = (false, Vec::new());
        let mut next = Some(domain);
        while let Some(level) = next {
            next = match &level.base {
                SqlType::Domain(inner) => Some(inner),
                _ => None,
            };
            let Some(def) = ctx.snapshot.catalog.user_type(TypeId(level.id.oid)) else { continue };
            let TypeBody::Domain(body) = &def.body else { continue };
            not_null |= body.not_null;
            let mut checks = body.checks.iter().collect::<Vec<_>>();
            checks.sort_by(|a, b| a.name.cmp(&b.name));
            let compiled = checks.into_iter().map(|c| {
                let planned = plan_expr(ctx, &parser::parse_expr(&c.expr)?, &columns)?;
                Ok((c.name.clone(), compile(ctx, planned, &columns)?))
            });
            levels.push(compiled.collect::<Result<Vec<_>>>()?);
        }
        let checks = levels.into_iter().rev().flatten().collect();
        Ok(Conditions { id: domain.id.clone(), not_null, checks, schema })
    }

    fn check(&self, values: ArrayRef) -> Result<()> {
        let object = |constraint: Option<&str>| Object {
            schema: Some(self.id.schema.clone()),
            data_type: Some(self.id.name.clone()),
            constraint: constraint.map(str::to_string),
            ..Object::default()
        };
        if self.not_null && values.logical_null_count() > 0 {
            let text = format!("domain {} does not allow null values", self.id);
            return Err(Error::new(SqlState::NOT_NULL_VIOLATION, text).object(object(None)));
        }
        if self.checks.is_empty() || values.is_empty() {
            return Ok(());
        }
        let rows = values.len();
        let field = self.schema.field(0);
        let values = match values.data_type() == field.data_type() {
            true => values,
            false => sightline_functions::numeric::cast_array(&values, field.data_type()).map_err(from_datafusion)?,
        };
        let batch = RecordBatch::try_new(self.schema.clone(), vec![values])?;
        for (name, holds) in &self.checks {
            let result = holds.evaluate(&batch).and_then(|v| v.into_array(rows)).map_err(from_datafusion)?;
            // NULL is no failure.
            let fails = match result.as_boolean_opt() {
                Some(result) => result.iter().any(|row| row == Some(false)),
                None => !matches!(result.data_type(), DataType::Null),
            };
            if fails {
                let text = format!("value for domain {} violates check constraint \"{name}\"", self.id);
                return Err(Error::new(SqlState::CHECK_VIOLATION, text).object(object(Some(name))));
            }
        }
        Ok(())
    }
}

/// The DEFAULT of a column: its own, or that of its domain.
pub(crate) fn column_default(ctx: &QueryContext, column: &ColumnDef) -> Option<String> {
    let of_domain = || match &column.ty {
        SqlType::Domain(domain) => match &ctx.snapshot.catalog.user_type(TypeId(domain.id.oid))?.body {
            TypeBody::Domain(body) => body.default.clone(),
            _ => None,
        },
        _ => None,
    };
    let of_identity = column.identity.map(|identity| reference::written(identity.sequence));
    of_identity.or_else(|| column.default.clone()).or_else(of_domain)
}

/// The prefix of the names of the functions that check; no user can write it with the blank behind it and call it.
const CHECKS: &str = "check domain ";
const CHECKS_ELEMENTS: &str = "check elements of domain ";

/// A cast to a domain becomes a check of the cast to its base; one to a composite with domains in it is checked as well.
pub(super) fn check_cast(expr: &mut Expr) {
    let Expr::Cast { data_type, .. } = expr else { return };
    let Ok(ty) = sql_type(data_type) else { return };
    let mut item = &ty;
    while let SqlType::Array(inner) = item {
        item = inner;
    }
    if !has_domain(item) {
        return;
    }
    let Some(oid) = item.user().map(|id| id.oid) else { return };
    let prefix = if matches!(ty, SqlType::Array(_)) { CHECKS_ELEMENTS } else { CHECKS };
    let name = format!("{prefix}{oid}");
    if let SqlType::Domain(domain) = &ty {
        *data_type = said(domain.base.base());
    }
    *expr = named_call(&name, expr.clone());
}

/// The cast under a check of it.
pub(super) fn unchecked(expr: &Expr) -> &Expr {
    if let Expr::Function(f) = expr
        && let [part] = f.name.0.as_slice()
        && part.as_ident().is_some_and(|i| i.value.starts_with(CHECKS) || i.value.starts_with(CHECKS_ELEMENTS))
        && let FunctionArguments::List(list) = &f.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(cast))] = list.args.as_slice()
    {
        return cast;
    }
    expr
}

fn has_domain(ty: &SqlType) -> bool {
    match ty {
        SqlType::Domain(_) => true,
        SqlType::Array(item) => has_domain(item),
        SqlType::Composite(composite) => composite.fields.iter().any(|(_, ty)| has_domain(ty)),
        _ => false,
    }
}

/// The function of this name, if it checks a domain.
pub(super) fn function(ctx: &Arc<QueryContext>, name: &str) -> Option<Arc<ScalarUDF>> {
    let (oid, elements) = match name.strip_prefix(CHECKS) {
        Some(oid) => (oid, false),
        None => (name.strip_prefix(CHECKS_ELEMENTS)?, true),
    };
    let def = ctx.snapshot.catalog.user_type(TypeId(oid.parse().ok()?))?;
    let domain = ctx.snapshot.catalog.sql_type(def);
    let ty = if elements { SqlType::Array(Box::new(domain)) } else { domain };
    let checks = DomainChecks::of(ctx, &ty);
    let signature = Signature::any(1, Volatility::Stable);
    Some(Arc::new(ScalarUDF::new_from_impl(Checked { name: name.to_string(), ty, checks, signature })))
}

/// Hands its argument on if it is a value of the domain.
struct Checked {
    name: String,
    ty: SqlType,
    checks: Result<Option<DomainChecks>>,
    signature: Signature,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Checked {
    fn eq(&self, other: &Checked) -> bool {
        self.name == other.name
    }
}

impl Eq for Checked {}

impl std::hash::Hash for Checked {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(self.ty.arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> datafusion::common::Result<FieldRef> {
        if let Err(e) = &self.checks {
            return Err(to_datafusion(e.again()));
        }
        // A numeric keeps the scale it has.
        let given = args.arg_fields.first().map(|f| f.data_type().clone()).filter(|_| !self.is_list());
        let field: Field = self.ty.field(&self.name, true);
        Ok(Arc::new(match given {
            Some(given) => field.with_data_type(given),
            None => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let checks = match &self.checks {
            Ok(checks) => checks.as_ref(),
            Err(e) => return Err(to_datafusion(e.again())),
        };
        let constant = matches!(args.args.as_slice(), [ColumnarValue::Scalar(_)]);
        let [array] = ColumnarValue::values_to_arrays(&args.args)?
            .try_into()
            .map_err(|_| to_datafusion(Error::internal("a check of a domain takes one argument")))?;
        if let Some(checks) = checks {
            checks.check(&array).map_err(to_datafusion)?;
        }
        let wanted = args.return_field.data_type();
        let array =
            if array.data_type() == wanted { array } else { sightline_functions::numeric::cast_array(&array, wanted)? };
        if constant && array.len() == 1 {
            return Ok(ColumnarValue::Scalar(only_scalar(&array)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl Checked {
    fn is_list(&self) -> bool {
        matches!(self.ty, SqlType::Array(_))
    }
}
