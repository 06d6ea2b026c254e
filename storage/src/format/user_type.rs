//! The persisted form of users' types.

use super::catalog::{CheckMessage, sql_type, stored_type};
use super::required;
use crate::catalog::{CheckDef, DomainDef, TypeBody, TypeDef};
use crate::error::{Error, Result};
use crate::ids::{RoleId, SchemaId, TypeId};

/// A type.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TypeMessage {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(uint32, tag = "2")]
    array: u32,
    #[prost(uint32, tag = "3")]
    schema: u32,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(uint32, tag = "5")]
    owner: u32,
    #[prost(string, optional, tag = "6")]
    comment: Option<String>,
    #[prost(oneof = "BodyMessage", tags = "7, 8, 9")]
    body: Option<BodyMessage>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum BodyMessage {
    #[prost(message, tag = "7")]
    Enum(EnumMessage),
    #[prost(message, tag = "8")]
    Domain(DomainMessage),
    #[prost(message, tag = "9")]
    Composite(CompositeMessage),
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnumMessage {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LabelMessage {
    #[prost(sint32, tag = "1")]
    number: i32,
    #[prost(string, tag = "2")]
    label: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DomainMessage {
    #[prost(string, tag = "1")]
    base: String,
    #[prost(bool, tag = "2")]
    not_null: bool,
    #[prost(string, optional, tag = "3")]
    default: Option<String>,
    #[prost(message, repeated, tag = "4")]
    checks: Vec<CheckMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CompositeMessage {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<FieldMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FieldMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    ty: String,
}

impl From<&TypeDef> for TypeMessage {
    fn from(t: &TypeDef) -> TypeMessage {
        let body = match &t.body {
            TypeBody::Enum(labels) => {
                let label = |(number, label): &(i32, String)| LabelMessage { number: *number, label: label.clone() };
                BodyMessage::Enum(EnumMessage { labels: labels.iter().map(label).collect() })
            }
            TypeBody::Domain(d) => BodyMessage::Domain(DomainMessage {
                base: stored_type(&d.base),
                not_null: d.not_null,
                default: d.default.clone(),
                checks: d.checks.iter().map(CheckMessage::from).collect(),
            }),
            TypeBody::Composite(fields) => BodyMessage::Composite(CompositeMessage {
                fields: fields.iter().map(|(n, t)| FieldMessage { name: n.clone(), ty: stored_type(t) }).collect(),
            }),
        };
        TypeMessage {
            id: t.id.0,
            array: t.array.0,
            schema: t.schema.0,
            name: t.name.clone(),
            owner: t.owner.0,
            comment: t.comment.clone(),
            body: Some(body),
        }
    }
}

impl TryFrom<TypeMessage> for TypeDef {
    type Error = Error;

    fn try_from(t: TypeMessage) -> Result<TypeDef> {
        let body = match required(t.body, "a type")? {
            BodyMessage::Enum(e) => TypeBody::Enum(e.labels.into_iter().map(|l| (l.number, l.label)).collect()),
            BodyMessage::Domain(d) => TypeBody::Domain(DomainDef {
                base: sql_type(&d.base)?,
                not_null: d.not_null,
                default: d.default,
                checks: d.checks.into_iter().map(CheckDef::from).collect(),
            }),
            BodyMessage::Composite(c) => {
                let field = |f: FieldMessage| Ok((f.name, sql_type(&f.ty)?));
                TypeBody::Composite(c.fields.into_iter().map(field).collect::<Result<_>>()?)
            }
        };
        Ok(TypeDef {
            id: TypeId(t.id),
            array: TypeId(t.array),
            schema: SchemaId(t.schema),
            name: t.name,
            owner: RoleId(t.owner),
            comment: t.comment,
            body,
        })
    }
}
