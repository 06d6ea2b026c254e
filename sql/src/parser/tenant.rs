//! Tenants (`CREATE TENANT` and PostgreSQL's `CREATE DATABASE`), roles, and GRANT CONNECT.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use sightline_storage::secret::Secret;

use super::tokens::{expect, is_word, name, one_of, options, peek_word, plain_value, words};
use super::utility::{Change, change};
use super::{Body, unsupported};

/// A statement about tenants. `noun` is TENANT or DATABASE as the user said it, for the command tag.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantStatement {
    Create {
        noun: &'static str,
        if_not_exists: bool,
        name: String,
        owner: Option<String>,
        connection_limit: Option<i32>,
    },
    Drop {
        noun: &'static str,
        if_exists: bool,
        name: String,
        force: bool,
    },
    Rename {
        noun: &'static str,
        name: String,
        to: String,
    },
    Owner {
        noun: &'static str,
        name: String,
        to: String,
    },
    ConnectionLimit {
        noun: &'static str,
        name: String,
        limit: i32,
    },
    Set {
        noun: &'static str,
        name: String,
        change: Change,
    },
}

impl TenantStatement {
    /// What kind of statement it is, as PostgreSQL names it in messages.
    pub fn command(&self) -> &'static str {
        match self {
            TenantStatement::Create { .. } => "CREATE DATABASE",
            TenantStatement::Drop { .. } => "DROP DATABASE",
            TenantStatement::Rename { .. }
            | TenantStatement::Owner { .. }
            | TenantStatement::ConnectionLimit { .. }
            | TenantStatement::Set { .. } => "ALTER DATABASE",
        }
    }
}

/// A statement about roles.
#[derive(Clone, Debug, PartialEq)]
pub enum RoleStatement {
    Create {
        name: String,
        user: bool,
        options: RoleOptions,
    },
    Alter {
        name: String,
        options: RoleOptions,
    },
    Set {
        name: String,
        change: Change,
    },
    Rename {
        name: String,
        to: String,
    },
    Drop {
        if_exists: bool,
        names: Vec<String>,
    },
    /// GRANT or REVOKE of roles.
    Grant {
        grant: bool,
        roles: Vec<String>,
        members: Vec<String>,
    },
}

impl RoleStatement {
    /// What kind of statement it is, as PostgreSQL names it in messages.
    pub fn command(&self) -> &'static str {
        match self {
            RoleStatement::Create { .. } => "CREATE ROLE",
            RoleStatement::Alter { .. } | RoleStatement::Set { .. } | RoleStatement::Rename { .. } => "ALTER ROLE",
            RoleStatement::Drop { .. } => "DROP ROLE",
            RoleStatement::Grant { grant: true, .. } => "GRANT ROLE",
            RoleStatement::Grant { .. } => "REVOKE ROLE",
        }
    }

    /// The statement without its password, if it has one: what activity views and logs may show.
    pub(super) fn redacted(&self) -> Option<String> {
        let (RoleStatement::Create { name, options, .. } | RoleStatement::Alter { name, options }) = self else {
            return None;
        };
        let name = ast::Ident::with_quote('"', name);
        matches!(options.password, Some(Some(_))).then(|| format!("{} {name} PASSWORD '********'", self.command()))
    }
}

/// What CREATE and ALTER ROLE set, where given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleOptions {
    pub superuser: Option<bool>,
    pub login: Option<bool>,
    pub create_role: Option<bool>,
    pub create_db: Option<bool>,
    pub connection_limit: Option<i32>,
    /// PASSWORD; the inner none is PASSWORD NULL.
    pub password: Option<Option<Secret>>,
    /// VALID UNTIL, as written.
    pub valid_until: Option<String>,
    /// Something that we don't have, in upper case.
    pub unsupported: Option<String>,
}

/// GRANT or REVOKE of CONNECT ON DATABASE.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantStatement {
    pub grant: bool,
    pub databases: Vec<String>,
    /// Roles; `public` for everybody.
    pub roles: Vec<String>,
}

fn noun(p: &mut Parser) -> Result<&'static str, ParserError> {
    match one_of(p, &["TENANT", "DATABASE"]) {
        Some(noun) => Ok(noun),
        None => p.expected("TENANT or DATABASE", p.peek_token()),
    }
}

pub(super) fn tenant(p: &mut Parser) -> Result<Body, ParserError> {
    let verb = one_of(p, &["CREATE", "ALTER", "DROP"]).unwrap_or("CREATE");
    let noun = noun(p)?;
    match verb {
        "CREATE" => create(p, noun),
        "DROP" => {
            let if_exists = words(p, &["IF", "EXISTS"]);
            let name = name(p)?;
            words(p, &["WITH"]);
            let force = if matches!(p.peek_token_ref().token, Token::LParen) {
                options(p)?.iter().any(|(k, _)| k == "force")
            } else {
                false
            };
            Ok(Body::Tenant(TenantStatement::Drop { noun, if_exists, name, force }))
        }
        _ => {
            let name = name(p)?;
            if words(p, &["RENAME", "TO"]) {
                let to = super::tokens::name(p)?;
                return Ok(Body::Tenant(TenantStatement::Rename { noun, name, to }));
            }
            if words(p, &["OWNER", "TO"]) {
                return Ok(Body::Tenant(TenantStatement::Owner { noun, name, to: super::tokens::name(p)? }));
            }
            if let Some(change) = change(p)? {
                return Ok(Body::Tenant(TenantStatement::Set { noun, name, change }));
            }
            words(p, &["WITH"]);
            if words(p, &["CONNECTION"]) {
                return Ok(Body::Tenant(TenantStatement::ConnectionLimit { noun, name, limit: limit(p)? }));
            }
            let known = "only RENAME TO, OWNER TO, SET, RESET and CONNECTION LIMIT are supported";
            Ok(unsupported(p, format!("{known} in ALTER {noun}"), None))
        }
    }
}

/// `LIMIT n` or `LIMIT = n`, behind CONNECTION.
fn limit(p: &mut Parser) -> Result<i32, ParserError> {
    expect(p, "LIMIT")?;
    super::tokens::optional(p, &Token::Eq);
    let Ok(limit) = plain_value(p)?.parse() else {
        p.prev_token();
        return p.expected("a number", p.peek_token());
    };
    Ok(limit)
}

fn create(p: &mut Parser, noun: &'static str) -> Result<Body, ParserError> {
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let name = name(p)?;
    words(p, &["WITH"]);
    let (mut owner, mut connection_limit) = (None, None);
    while let Some(word) = peek_word(p, 0) {
        p.advance_token();
        super::tokens::optional(p, &Token::Eq);
        match word.as_str() {
            "OWNER" => owner = Some(super::tokens::name(p)?),
            // How PostgreSQL lays a database out; ours are all alike and UTF-8.
            "ENCODING" => {
                let encoding = plain_value(p)?;
                let plain = encoding.to_lowercase().replace(['-', '_'], "");
                if plain != "utf8" && plain != "default" && plain != "unicode" {
                    return Ok(unsupported(p, format!("encoding \"{encoding}\" is not supported"), Some("Use UTF8.")));
                }
            }
            "TEMPLATE" | "LOCALE" | "LC_COLLATE" | "LC_CTYPE" | "TABLESPACE" | "STRATEGY" | "LOCALE_PROVIDER"
            | "ALLOW_CONNECTIONS" | "IS_TEMPLATE" | "ICU_LOCALE" | "COLLATION_VERSION" => {
                plain_value(p)?;
            }
            "CONNECTION" => {
                connection_limit = Some(limit(p)?);
            }
            _ => {
                p.prev_token();
                return p.expected("OWNER", p.peek_token());
            }
        }
    }
    Ok(Body::Tenant(TenantStatement::Create { noun, if_not_exists, name, owner, connection_limit }))
}

pub(super) fn role(p: &mut Parser) -> Result<Body, ParserError> {
    let verb = one_of(p, &["CREATE", "ALTER", "DROP"]).unwrap_or("CREATE");
    let noun = one_of(p, &["ROLE", "USER", "GROUP"]).unwrap_or("ROLE");
    if noun == "USER" && is_word(p, 0, "MAPPING") {
        return Ok(unsupported(p, "user mappings are not supported", None));
    }
    let statement = match verb {
        "CREATE" => {
            let name = name(p)?;
            let options = role_options(p)?;
            RoleStatement::Create { name, user: noun == "USER", options }
        }
        "DROP" => {
            let if_exists = words(p, &["IF", "EXISTS"]);
            RoleStatement::Drop { if_exists, names: p.parse_comma_separated(name)? }
        }
        _ => {
            let name = name(p)?;
            if words(p, &["RENAME", "TO"]) {
                let to = super::tokens::name(p)?;
                RoleStatement::Rename { name, to }
            } else if let Some(change) = change(p)? {
                RoleStatement::Set { name, change }
            } else if is_word(p, 0, "IN") {
                return Ok(unsupported(p, "settings of roles in one database are not supported", None));
            } else {
                RoleStatement::Alter { name, options: role_options(p)? }
            }
        }
    };
    Ok(Body::Role(Box::new(statement)))
}

fn role_options(p: &mut Parser) -> Result<RoleOptions, ParserError> {
    let mut options = RoleOptions::default();
    words(p, &["WITH"]);
    while let Some(word) = peek_word(p, 0) {
        p.advance_token();
        match word.as_str() {
            "SUPERUSER" | "NOSUPERUSER" => options.superuser = Some(word == "SUPERUSER"),
            "LOGIN" | "NOLOGIN" => options.login = Some(word == "LOGIN"),
            "CREATEROLE" | "NOCREATEROLE" => options.create_role = Some(word == "CREATEROLE"),
            "CREATEDB" | "NOCREATEDB" => options.create_db = Some(word == "CREATEDB"),
            "INHERIT" => {}
            "CONNECTION" => {
                options.connection_limit = Some(limit(p)?);
            }
            "ENCRYPTED" => {}
            "PASSWORD" if words(p, &["NULL"]) => options.password = Some(None),
            "PASSWORD" => options.password = Some(Some(Secret::new(super::tokens::string(p)?))),
            "NOINHERIT" | "REPLICATION" | "BYPASSRLS" => options.unsupported = Some(word),
            "NOREPLICATION" | "NOBYPASSRLS" => {}
            "VALID" => {
                expect(p, "UNTIL")?;
                options.valid_until = Some(super::tokens::string(p)?);
            }
            "IN" | "ROLE" | "ADMIN" | "USER" | "SYSID" => {
                super::skip(p);
                options.unsupported = Some(if word == "IN" { "IN ROLE".to_string() } else { word });
            }
            _ => {
                p.prev_token();
                return p.expected("a role option", p.peek_token());
            }
        }
    }
    Ok(options)
}

pub(super) fn grant(p: &mut Parser) -> Result<Body, ParserError> {
    let grant = one_of(p, &["GRANT", "REVOKE"]) == Some("GRANT");
    let connect = words(p, &["CONNECT", "ON", "DATABASE"])
        || words(p, &["CONNECT", "ON", "TENANT"])
        || words(p, &["ALL", "ON", "DATABASE"])
        || words(p, &["ALL", "PRIVILEGES", "ON", "DATABASE"]);
    let towards = if grant { "TO" } else { "FROM" };
    let roles = |p: &mut Parser| {
        let roles = p.parse_comma_separated(name)?;
        expect(p, towards).map(|()| roles)
    };
    if !connect && let Some(roles) = p.maybe_parse(roles)? {
        let members = p.parse_comma_separated(role_name)?;
        if is_word(p, 0, "WITH") || is_word(p, 0, "GRANTED") {
            return Ok(unsupported(p, "ADMIN OPTION and GRANTED BY are not supported", None));
        }
        super::tokens::cascade(p);
        return Ok(Body::Role(Box::new(RoleStatement::Grant { grant, roles, members })));
    }
    if !connect {
        let verb = if grant { "GRANT" } else { "REVOKE" };
        return Ok(unsupported(
            p,
            format!("{verb} is supported for CONNECT ON DATABASE and predefined roles only"),
            Some("Until privileges arrive, a table is used by its owner, the owner of the tenant and superusers."),
        ));
    }
    let databases = p.parse_comma_separated(name)?;
    expect(p, towards)?;
    let roles = p.parse_comma_separated(role_name)?;
    words(p, &["WITH", "GRANT", "OPTION"]);
    super::tokens::cascade(p);
    Ok(Body::Grant(GrantStatement { grant, databases, roles }))
}

fn role_name(p: &mut Parser) -> Result<String, ParserError> {
    words(p, &["GROUP"]);
    name(p)
}
