//! Columns that fill themselves: serial, identity and generated ones
//! (<https://www.postgresql.org/docs/15/datatype-numeric.html#DATATYPE-SERIAL>,
//! <https://www.postgresql.org/docs/15/ddl-generated-columns.html>).

use datafusion::sql::sqlparser::ast;
use sightline_storage::catalog::{ColumnDef, Identity, SequenceDef, SequenceOwner, SequenceState, TableDef};
use sightline_storage::command::Op;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::ids::{SequenceId, TableId};
use sightline_storage::types::SqlType;

use super::super::{names, sequence};
use crate::parser::sequence::{SequenceOption, identity_options};
use crate::plan::{QueryContext, fold, resolve_creation};
use crate::sequence::reference;

/// Sequences that a statement makes for columns of a table.
#[derive(Debug, Default)]
pub(in crate::statement) struct NewSequences {
    made: Vec<(SequenceDef, SequenceState)>,
}

/// The integer type behind `serial` and its kin; none for another type.
///
/// # Errors
/// 0A000 for an array of them.
pub(crate) fn serial(ty: &ast::DataType) -> Result<Option<SqlType>> {
    let ty = match ty {
        ast::DataType::Array(
            ast::ArrayElemTypeDef::SquareBracket(inner, _) | ast::ArrayElemTypeDef::AngleBracket(inner),
        ) => {
            return match serial(inner)? {
                Some(_) => Err(Error::unsupported("array of serial is not implemented")),
                None => Ok(None),
            };
        }
        ast::DataType::Custom(name, modifiers) if modifiers.is_empty() => name,
        _ => return Ok(None),
    };
    let [only] = ty.0.as_slice() else { return Ok(None) };
    let name = only.as_ident().map(fold).unwrap_or_default();
    Ok(match name.as_str() {
        "smallserial" | "serial2" => Some(SqlType::SmallInt),
        "serial" | "serial4" => Some(SqlType::Integer),
        "bigserial" | "serial8" => Some(SqlType::BigInt),
        _ => None,
    })
}

/// Refuses a type that an identity column cannot have.
///
/// # Errors
/// 22023.
pub(super) fn integer(ty: &SqlType) -> Result<()> {
    match ty {
        SqlType::SmallInt | SqlType::Integer | SqlType::BigInt => Ok(()),
        _ => {
            let text = "identity column type must be smallint, integer, or bigint";
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, text))
        }
    }
}

impl NewSequences {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Makes the column draw from a new sequence by its DEFAULT.
    pub(super) fn serial(&mut self, ctx: &QueryContext, table: &TableDef, column: &mut ColumnDef) -> Result<()> {
        let id = self.add(ctx, table, column, &[], false)?;
        column.default = Some(reference::written(id));
        Ok(())
    }

    /// Makes it an identity column.
    ///
    /// # Errors
    /// 22023 for another type than an integer, and those of the options.
    pub(super) fn identity(
        &mut self,
        ctx: &QueryContext,
        table: &TableDef,
        column: &mut ColumnDef,
        always: bool,
        options: &[SequenceOption],
    ) -> Result<()> {
        integer(&column.ty)?;
        let sequence = self.add(ctx, table, column, options, true)?;
        column.identity = Some(Identity { sequence, always });
        Ok(())
    }

    fn add(
        &mut self,
        ctx: &QueryContext,
        table: &TableDef,
        column: &ColumnDef,
        options: &[SequenceOption],
        identity: bool,
    ) -> Result<SequenceId> {
        let options = sequence::Options::of(options, None)?;
        if options.has_type() {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        let (schema, name) = match options.name {
            Some(name) => {
                let (schema, name) = resolve_creation(ctx, name)?;
                (schema, names::new_name(&name)?)
            }
            None => {
                let taken = self.made.iter().map(|(s, _)| s.name.clone()).collect::<Vec<_>>();
                (table.schema, sequence::free_name(ctx, table.schema, &table.name, &column.name, &taken))
            }
        };
        let (_, most) = sequence::bounds(&column.ty);
        let mut def = sequence::blank(schema, name, table.owner, column.ty.clone());
        def.max = most;
        def.owned_by = Some(SequenceOwner { table: table.id, column: column.id, identity });
        let mut state = def.fresh();
        options.apply(ctx, &mut def, &mut state, true, identity)?;
        def.id = sequence::next_id(ctx, u32::try_from(self.made.len()).unwrap_or(u32::MAX))?;
        let id = def.id;
        self.made.push((def, state));
        Ok(id)
    }

    /// What makes a new table with them.
    pub(super) fn with_table(self, ctx: &QueryContext, mut table: TableDef) -> Result<Vec<Op>> {
        if self.is_empty() {
            return Ok(vec![Op::CreateTable(table)]);
        }
        // Both name each other, so both have their OIDs before.
        table.id = TableId(sequence::next_id(ctx, u32::try_from(self.made.len()).unwrap_or(u32::MAX))?.0);
        let mut ops = self.ops(table.id);
        ops.push(Op::CreateTable(table));
        Ok(ops)
    }

    /// What makes them for a table.
    pub(super) fn ops(self, table: TableId) -> Vec<Op> {
        let owned = |mut def: SequenceDef| {
            def.owned_by = def.owned_by.map(|owner| SequenceOwner { table, ..owner });
            def
        };
        self.made.into_iter().flat_map(|(def, state)| sequence::made(owned(def), state)).collect()
    }
}

/// What the options of a column say of how it fills itself.
#[derive(Debug, Default)]
pub(super) struct Clauses<'a> {
    pub(super) identity: Option<(bool, Vec<SequenceOption>)>,
    pub(super) expression: Option<&'a ast::Expr>,
}

impl<'a> Clauses<'a> {
    /// The clauses of a column.
    ///
    /// # Errors
    /// 42601.
    pub(super) fn of(table: &TableDef, column: &'a ast::ColumnDef) -> Result<Clauses<'a>> {
        let mut found = Clauses::default();
        let twice = |what: &str| {
            let text = format!("multiple {what} for column \"{}\" of table \"{}\"", fold(&column.name), table.name);
            Error::new(SqlState::SYNTAX_ERROR, text)
        };
        for option in &column.options {
            match &option.option {
                ast::ColumnOption::Generated { generation_expr: Some(expr), .. }
                    if found.expression.replace(expr).is_some() =>
                {
                    return Err(twice("generation clauses specified"));
                }
                ast::ColumnOption::Generated { generation_expr: Some(_), .. } => {}
                ast::ColumnOption::Generated { generated_as, .. } => {
                    let always = matches!(generated_as, ast::GeneratedAs::Always);
                    if found.identity.replace((always, Vec::new())).is_some() {
                        return Err(twice("identity specifications"));
                    }
                }
                ast::ColumnOption::Comment(text) => {
                    if let (Some((_, options)), Some(given)) = (&mut found.identity, identity_options(text)) {
                        *options = given?;
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Refuses clauses that exclude each other.
    ///
    /// # Errors
    /// 42601.
    pub(super) fn check(&self, table: &TableDef, column: &ColumnDef, default: bool) -> Result<()> {
        let (identity, expression) = (self.identity.is_some(), self.expression.is_some());
        let both = match (default, identity, expression) {
            (true, true, _) => "default and identity",
            (true, _, true) => "default and generation expression",
            (_, true, true) => "identity and generation expression",
            _ => return Ok(()),
        };
        let text = format!("both {both} specified for column \"{}\" of table \"{}\"", column.name, table.name);
        Err(Error::new(SqlState::SYNTAX_ERROR, text))
    }
}
