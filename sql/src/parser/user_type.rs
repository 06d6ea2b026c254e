//! CREATE, ALTER of types and domains (<https://www.postgresql.org/docs/15/sql-createtype.html>,
//! <https://www.postgresql.org/docs/15/sql-createdomain.html>).

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Body;
use super::tokens::{cascade, expect, is_word, name, object, one_of, string, words};

/// CREATE TYPE.
#[derive(Clone, Debug)]
pub struct CreateType {
    pub name: ast::ObjectName,
    pub body: NewType,
}

/// What a new type is.
#[derive(Clone, Debug)]
pub enum NewType {
    Enum(Vec<String>),
    Composite(Vec<(String, ast::DataType)>),
    /// CREATE TYPE name, CREATE TYPE name (INPUT = …), RANGE: for types written in C.
    Other(&'static str),
}

/// ALTER TYPE with one or several actions.
#[derive(Clone, Debug)]
pub struct AlterType {
    pub name: ast::ObjectName,
    pub actions: Vec<TypeAction>,
}

/// One action of ALTER TYPE.
#[derive(Clone, Debug)]
pub enum TypeAction {
    /// With `next_to`: true for AFTER, and the neighbour.
    AddValue {
        label: String,
        if_not_exists: bool,
        next_to: Option<(bool, String)>,
    },
    RenameValue(String, String),
    RenameAttribute(String, String),
    AddAttribute(String, ast::DataType),
    DropAttribute {
        name: String,
        if_exists: bool,
    },
    AlterAttribute(String, ast::DataType),
}

/// CREATE DOMAIN.
#[derive(Clone, Debug)]
pub struct CreateDomain {
    pub name: ast::ObjectName,
    pub ty: ast::DataType,
    pub options: Vec<DomainOption>,
}

/// One clause of CREATE DOMAIN.
#[derive(Clone, Debug)]
pub enum DomainOption {
    Default(ast::Expr),
    Null,
    NotNull,
    Check(Option<String>, ast::Expr),
    /// One that domains do not have.
    Refused(&'static str),
}

/// ALTER DOMAIN.
#[derive(Clone, Debug)]
pub struct AlterDomain {
    pub name: ast::ObjectName,
    pub action: DomainAction,
}

/// What ALTER DOMAIN changes.
#[derive(Clone, Debug)]
pub enum DomainAction {
    /// None drops it.
    Default(Option<ast::Expr>),
    NotNull(bool),
    /// Values that there are need not agree with NOT VALID.
    AddCheck {
        name: Option<String>,
        expr: ast::Expr,
        valid: bool,
    },
    DropConstraint {
        name: String,
        if_exists: bool,
    },
    RenameConstraint(String, String),
    Validate(String),
}

pub(super) fn create_type(p: &mut Parser) -> Result<Body, ParserError> {
    let name = object(p)?;
    let body = if words(p, &["AS", "ENUM"]) {
        p.expect_token(&Token::LParen)?;
        let empty = p.peek_token_ref().token == Token::RParen;
        let labels = if empty { Vec::new() } else { p.parse_comma_separated(string)? };
        p.expect_token(&Token::RParen)?;
        NewType::Enum(labels)
    } else if words(p, &["AS", "RANGE"]) {
        super::skip(p);
        NewType::Other("range types are not supported")
    } else if words(p, &["AS"]) {
        p.expect_token(&Token::LParen)?;
        let empty = p.peek_token_ref().token == Token::RParen;
        let fields = if empty { Vec::new() } else { p.parse_comma_separated(attribute)? };
        p.expect_token(&Token::RParen)?;
        NewType::Composite(fields)
    } else {
        if !matches!(p.peek_token_ref().token, Token::EOF | Token::LParen) {
            return p.expected("AS", p.peek_token());
        }
        super::skip(p);
        NewType::Other("base types are not supported")
    };
    Ok(Body::CreateType(Box::new(CreateType { name, body })))
}

fn attribute(p: &mut Parser) -> Result<(String, ast::DataType), ParserError> {
    let name = name(p)?;
    let ty = p.parse_data_type()?;
    if words(p, &["COLLATE"]) {
        object(p)?;
    }
    Ok((name, ty))
}

/// What stands behind ALTER TYPE name, if it is not RENAME TO and the like.
pub(super) fn alter_type(p: &mut Parser, name: ast::ObjectName) -> Result<Body, ParserError> {
    let actions = if is_word(p, 0, "ADD") && is_word(p, 1, "VALUE") || is_word(p, 0, "RENAME") {
        vec![value_action(p)?]
    } else {
        p.parse_comma_separated(attribute_action)?
    };
    Ok(Body::AlterType(Box::new(AlterType { name, actions })))
}

fn value_action(p: &mut Parser) -> Result<TypeAction, ParserError> {
    if words(p, &["ADD", "VALUE"]) {
        let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
        let label = string(p)?;
        let next_to = match one_of(p, &["BEFORE", "AFTER"]) {
            Some(place) => Some((place == "AFTER", string(p)?)),
            None => None,
        };
        return Ok(TypeAction::AddValue { label, if_not_exists, next_to });
    }
    expect(p, "RENAME")?;
    if words(p, &["VALUE"]) {
        let from = string(p)?;
        expect(p, "TO")?;
        return Ok(TypeAction::RenameValue(from, string(p)?));
    }
    expect(p, "ATTRIBUTE")?;
    let from = name(p)?;
    expect(p, "TO")?;
    let to = name(p)?;
    cascade(p);
    Ok(TypeAction::RenameAttribute(from, to))
}

fn attribute_action(p: &mut Parser) -> Result<TypeAction, ParserError> {
    let action = if words(p, &["ADD", "ATTRIBUTE"]) {
        let (name, ty) = attribute(p)?;
        TypeAction::AddAttribute(name, ty)
    } else if words(p, &["DROP", "ATTRIBUTE"]) {
        let if_exists = words(p, &["IF", "EXISTS"]);
        TypeAction::DropAttribute { name: name(p)?, if_exists }
    } else {
        expect(p, "ALTER")?;
        expect(p, "ATTRIBUTE")?;
        let name = name(p)?;
        words(p, &["SET", "DATA"]);
        expect(p, "TYPE")?;
        TypeAction::AlterAttribute(name, p.parse_data_type()?)
    };
    cascade(p);
    Ok(action)
}

pub(super) fn create_domain(p: &mut Parser) -> Result<Body, ParserError> {
    let name = object(p)?;
    words(p, &["AS"]);
    let ty = p.parse_data_type()?;
    let mut options = Vec::new();
    while let Some(option) = domain_option(p)? {
        options.push(option);
    }
    Ok(Body::CreateDomain(Box::new(CreateDomain { name, ty, options })))
}

fn domain_option(p: &mut Parser) -> Result<Option<DomainOption>, ParserError> {
    let named = if words(p, &["CONSTRAINT"]) { Some(name(p)?) } else { None };
    Ok(Some(match one_of(p, &["DEFAULT", "NOT", "NULL", "CHECK", "COLLATE", "UNIQUE", "PRIMARY", "REFERENCES"]) {
        Some("DEFAULT") => DomainOption::Default(p.parse_expr()?),
        Some("NOT") => {
            expect(p, "NULL")?;
            DomainOption::NotNull
        }
        Some("NULL") => DomainOption::Null,
        Some("CHECK") => DomainOption::Check(named, check(p)?),
        Some("COLLATE") => {
            object(p)?;
            return domain_option(p);
        }
        Some("UNIQUE") => DomainOption::Refused("unique constraints not possible for domains"),
        Some("PRIMARY") => {
            expect(p, "KEY")?;
            DomainOption::Refused("primary key constraints not possible for domains")
        }
        Some(_) => {
            super::skip(p);
            DomainOption::Refused("foreign key constraints not possible for domains")
        }
        None if named.is_some() => return p.expected("a constraint", p.peek_token()),
        None => return Ok(None),
    }))
}

fn check(p: &mut Parser) -> Result<ast::Expr, ParserError> {
    p.expect_token(&Token::LParen)?;
    let mut expr = p.parse_expr()?;
    p.expect_token(&Token::RParen)?;
    words(p, &["NO", "INHERIT"]);
    super::depth::balance(&mut expr);
    Ok(expr)
}

/// What stands behind ALTER DOMAIN name, if it is not RENAME TO and the like.
pub(super) fn alter_domain(p: &mut Parser, domain: ast::ObjectName) -> Result<Body, ParserError> {
    let action = if words(p, &["SET", "DEFAULT"]) {
        DomainAction::Default(Some(p.parse_expr()?))
    } else if words(p, &["DROP", "DEFAULT"]) {
        DomainAction::Default(None)
    } else if words(p, &["SET", "NOT", "NULL"]) {
        DomainAction::NotNull(true)
    } else if words(p, &["DROP", "NOT", "NULL"]) {
        DomainAction::NotNull(false)
    } else if words(p, &["DROP", "CONSTRAINT"]) {
        let if_exists = words(p, &["IF", "EXISTS"]);
        let name = name(p)?;
        cascade(p);
        DomainAction::DropConstraint { name, if_exists }
    } else if words(p, &["RENAME", "CONSTRAINT"]) {
        let from = name(p)?;
        expect(p, "TO")?;
        DomainAction::RenameConstraint(from, name(p)?)
    } else if words(p, &["VALIDATE", "CONSTRAINT"]) {
        DomainAction::Validate(name(p)?)
    } else {
        expect(p, "ADD")?;
        let name = if words(p, &["CONSTRAINT"]) { Some(name(p)?) } else { None };
        expect(p, "CHECK")?;
        let expr = check(p)?;
        DomainAction::AddCheck { name, expr, valid: !words(p, &["NOT", "VALID"]) }
    };
    Ok(Body::AlterDomain(Box::new(AlterDomain { name: domain, action })))
}
