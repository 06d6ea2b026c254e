//! A type that a user has made, and how definitions that name types learn what is in them.
//!
//! A label of an enum has a number for ever, and numbers stand in the declared order, so that rows are compared, sorted and
//! left out by them without a look at the labels. New numbers are taken between those of the neighbours; numbers of new
//! types stand far apart to leave room ([`number_between`]).

use std::sync::Arc;

use super::{CheckDef, TableDef, TenantCatalog, ViewDef};
use crate::ids::{RoleId, SchemaId, TypeId};
use crate::types::{CompositeType, DomainType, EnumType, SqlType, TypeName};

/// How far apart the labels of a new enum are, if there are not too many.
const SPACING: i64 = 1 << 20;
/// How far from its neighbour a label is put that is added between two: a little, so that many fit at the same place.
const STEP: i64 = 1 << 8;

/// One type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDef {
    pub id: TypeId,
    /// The OID of its array type.
    pub array: TypeId,
    pub schema: SchemaId,
    pub name: String,
    pub owner: RoleId,
    pub comment: Option<String>,
    pub body: TypeBody,
}

/// Which kind of type, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeBody {
    /// Numbers and labels, by number.
    Enum(Vec<(i32, String)>),
    Domain(DomainDef),
    /// Names and types of the fields.
    Composite(Vec<(String, SqlType)>),
}

/// A domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainDef {
    pub base: SqlType,
    pub not_null: bool,
    /// The DEFAULT expression as SQL text.
    pub default: Option<String>,
    /// Expressions over VALUE.
    pub checks: Vec<CheckDef>,
}

impl TypeDef {
    /// The OIDs of the types it is made of.
    pub fn uses(&self) -> Vec<u32> {
        match &self.body {
            TypeBody::Enum(_) => Vec::new(),
            TypeBody::Domain(d) => d.base.users(),
            TypeBody::Composite(fields) => fields.iter().flat_map(|(_, t)| t.users()).collect(),
        }
    }
}

/// The numbers of a new enum's labels, in order.
pub fn first_numbers(labels: usize) -> impl Iterator<Item = i32> {
    let count = i64::try_from(labels).unwrap_or(i64::MAX).max(1);
    let spacing = SPACING.min((i64::from(i32::MAX) / count).max(1));
    (0..count).map_while(move |n| i32::try_from(n * spacing).ok()).take(labels)
}

/// A number for a label between two others, or before or behind all; none if there is no room. `after` tells which of
/// both it was said to be next to: the other side keeps room, since the next one is often said in the same words.
pub fn number_between(left: Option<i32>, right: Option<i32>, after: bool) -> Option<i32> {
    let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
    let number = match (left.map(i64::from), right.map(i64::from)) {
        (None, None) => 0,
        (Some(left), None) => left + SPACING.min((most - left + 1) / 2).max(1),
        (None, Some(right)) => right - SPACING.min((right - least + 1) / 2).max(1),
        (Some(left), Some(right)) => {
            let step = STEP.min((right - left) / 2);
            if step == 0 {
                return None;
            }
            if after { right - step } else { left + step }
        }
    };
    i32::try_from(number).ok()
}

/// The most simple types that a user's type may be made of, and how deep they may lie. A definition holds those that it
/// is made of whole, so without a bound a row of rows of rows would fill the memory of all nodes.
const LEAVES_MAX: usize = 1_600;
const DEPTH_MAX: usize = 32;

/// How many simple types a type is made of; more than [`LEAVES_MAX`] if it is too deep.
fn leaves(ty: &SqlType, depth: usize) -> usize {
    if depth > DEPTH_MAX {
        return LEAVES_MAX + 1;
    }
    match ty {
        SqlType::Array(item) => leaves(item, depth + 1),
        SqlType::Domain(domain) => leaves(&domain.base, depth + 1),
        SqlType::Composite(composite) => {
            let mut sum = 0_usize;
            for (_, field) in &composite.fields {
                sum = sum.saturating_add(leaves(field, depth + 1));
                if sum > LEAVES_MAX {
                    break;
                }
            }
            sum
        }
        _ => 1,
    }
}

impl TypeDef {
    /// Whether the type is made of more types, or deeper ones, than a catalog holds.
    pub(crate) fn is_too_large(&self) -> bool {
        match &self.body {
            TypeBody::Enum(_) => false,
            TypeBody::Domain(domain) => leaves(&domain.base, 1) > LEAVES_MAX,
            TypeBody::Composite(fields) => {
                fields.iter().map(|(_, ty)| leaves(ty, 1)).fold(0, usize::saturating_add) > LEAVES_MAX
            }
        }
    }
}

impl TenantCatalog {
    /// The type as queries know it.
    pub fn sql_type(&self, def: &TypeDef) -> SqlType {
        let id = TypeName {
            oid: def.id.0,
            array: def.array.0,
            schema: self.schema(def.schema).map(|s| s.name.clone()).unwrap_or_default(),
            name: def.name.clone(),
        };
        let whole = |ty: &SqlType| self.whole(ty).unwrap_or_else(|| ty.clone());
        match &def.body {
            TypeBody::Enum(labels) => SqlType::Enum(Arc::new(EnumType { id, labels: labels.clone() })),
            TypeBody::Domain(d) => SqlType::Domain(Arc::new(DomainType { id, base: whole(&d.base) })),
            TypeBody::Composite(fields) => SqlType::Composite(Arc::new(CompositeType {
                id,
                fields: fields.iter().map(|(name, ty)| (name.clone(), whole(ty))).collect(),
            })),
        }
    }

    /// The type with this OID, or the array with it.
    pub fn type_by_oid(&self, oid: u32) -> Option<SqlType> {
        let def = self.types.values().find(|t| t.id.0 == oid || t.array.0 == oid)?;
        let ty = self.sql_type(def);
        Some(if def.id.0 == oid { ty } else { SqlType::Array(Box::new(ty)) })
    }

    /// The type with all that the catalog knows of it now. None if a user's type in it is gone.
    pub fn whole(&self, ty: &SqlType) -> Option<SqlType> {
        match ty {
            SqlType::Array(item) => Some(SqlType::Array(Box::new(self.whole(item)?))),
            other => match other.user() {
                Some(id) => self.user_type(TypeId(id.oid)).map(|def| self.sql_type(def)),
                None => Some(other.clone()),
            },
        }
    }

    /// The table with its types whole, if any is a user's and none is gone.
    pub(crate) fn whole_table(&self, table: &TableDef) -> Option<TableDef> {
        if table.columns.iter().all(|c| c.ty.users().is_empty()) {
            return None;
        }
        let mut whole = table.clone();
        for column in &mut whole.columns {
            column.ty = self.whole(&column.ty)?;
        }
        Some(whole)
    }

    /// As [`whole_table`](TenantCatalog::whole_table), of a view.
    pub(crate) fn whole_view(&self, view: &ViewDef) -> Option<ViewDef> {
        if view.columns.iter().all(|(_, ty)| ty.users().is_empty()) {
            return None;
        }
        let mut whole = view.clone();
        for (_, ty) in &mut whole.columns {
            *ty = self.whole(ty)?;
        }
        Some(whole)
    }

    /// As [`whole_table`](TenantCatalog::whole_table), of a type made of others.
    pub(crate) fn whole_type(&self, def: &TypeDef) -> Option<TypeDef> {
        let mut made = def.clone();
        match &mut made.body {
            TypeBody::Enum(_) => return None,
            TypeBody::Domain(d) => d.base = self.whole(&d.base)?,
            TypeBody::Composite(fields) => {
                for (_, ty) in fields {
                    *ty = self.whole(ty)?;
                }
            }
        }
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_order_and_there_is_room_for_many() {
        assert_eq!(first_numbers(3).collect::<Vec<_>>(), [0, 1 << 20, 2 << 20]);
        assert_eq!(first_numbers(100_000).count(), 100_000);
        assert_eq!(first_numbers(0).count(), 0);
        for after in [false, true] {
            let (mut left, mut right) = (0, 1 << 20);
            for _ in 0..4000 {
                let made = number_between(Some(left), Some(right), after).unwrap();
                assert!(left < made && made < right);
                if after { right = made } else { left = made }
            }
        }
        assert_eq!(number_between(Some(4), Some(5), true), None);
        assert_eq!(number_between(Some(i32::MAX), None, true), None);
        assert!(number_between(Some(i32::MAX - 1), None, true).is_some());
    }
}
