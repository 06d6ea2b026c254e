//! PRIMARY KEY, UNIQUE and foreign keys in CREATE and ALTER TABLE: sqlparser knows them, but not all that PostgreSQL says of
//! them (INCLUDE, SET NULL of some columns, where they stand).
//! <https://www.postgresql.org/docs/15/sql-createtable.html>, <https://www.postgresql.org/docs/15/sql-altertable.html>

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token};
use sightline_storage::catalog::ForeignKeyAction;

use super::Body;
use super::definition::AlterAction;
use super::tokens::{cascade, expect, is_word, name, object, one_of, options, own_name, words};

/// One key, of a column or of the table.
#[derive(Clone, Debug)]
pub struct KeyClause {
    pub name: Option<String>,
    /// The column itself for one of a column.
    pub columns: Vec<String>,
    pub rule: KeyRule,
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
    pub not_valid: bool,
    /// Where it begins in the text; not told to users.
    place: Location,
    /// The same as a character position from 1 (see [`find_places`]).
    pub position: usize,
}

/// What the key says.
#[derive(Clone, Debug)]
pub enum KeyRule {
    /// PRIMARY KEY or UNIQUE.
    Unique {
        primary: bool,
        nulls_not_distinct: bool,
        include: Vec<String>,
        options: Vec<(String, Option<String>)>,
        /// USING INDEX.
        index: Option<String>,
    },
    /// FOREIGN KEY, REFERENCES.
    Foreign {
        table: ast::ObjectName,
        /// None: those of the primary key.
        columns: Vec<String>,
        on_update: ForeignKeyAction,
        on_delete: ForeignKeyAction,
        /// Columns of SET NULL or SET DEFAULT.
        set_columns: Vec<String>,
        match_full: bool,
    },
}

impl KeyClause {
    fn new(name: Option<String>, columns: Vec<String>, rule: KeyRule, place: Location) -> KeyClause {
        KeyClause { name, columns, rule, deferrable: false, deferred: false, not_valid: false, place, position: 0 }
    }

    /// Whether it is a PRIMARY KEY.
    pub fn is_primary(&self) -> bool {
        matches!(self.rule, KeyRule::Unique { primary: true, .. })
    }
}

/// Notes where the keys of a statement stand in its text.
pub(super) fn find_places(body: &mut Body, text: &str) {
    let set = |key: &mut KeyClause| {
        key.position = super::char_position(text, key.place.line, key.place.column);
    };
    match body {
        Body::CreateTable(table) => table.keys.iter_mut().for_each(set),
        Body::AlterTable(alter) => alter.actions.iter_mut().for_each(|action| match action {
            AlterAction::AddKey(key) | AlterAction::AddColumnKey(key, _) => set(key),
            _ => {}
        }),
        _ => {}
    }
}

fn place(p: &Parser) -> Location {
    p.peek_token_ref().span.start
}

/// How many tokens `CONSTRAINT name` takes, if it is there.
fn named(p: &Parser) -> usize {
    if is_word(p, 0, "CONSTRAINT") { 2 } else { 0 }
}

/// Whether a constraint of the table follows, rather than a column.
fn is_table_constraint(p: &Parser) -> bool {
    ["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|w| is_word(p, 0, w))
        || (is_word(p, 0, "EXCLUDE")
            && (is_word(p, 1, "USING") || matches!(p.peek_nth_token_ref(1).token, Token::LParen)))
}

/// What `(…)` of CREATE TABLE says.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements {
    pub(super) columns: Vec<ast::ColumnDef>,
    pub(super) checks: Vec<ast::TableConstraint>,
    pub(super) keys: Vec<KeyClause>,
    /// What was said that we don't have.
    pub(super) unsupported: Option<String>,
}

/// The columns and constraints of CREATE TABLE, with their brackets.
pub(super) fn elements(p: &mut Parser) -> Result<Elements, ParserError> {
    let mut all = Elements::default();
    p.expect_token(&Token::LParen)?;
    if p.consume_token(&Token::RParen) {
        return Ok(all);
    }
    loop {
        if is_word(p, 0, "LIKE") {
            super::skip(p);
            all.unsupported = Some("LIKE".to_string());
            return Ok(all);
        }
        if is_table_constraint(p) {
            match table_constraint(p)? {
                Constraint::Key(key) => all.keys.push(key),
                Constraint::Check(check) => all.checks.push(*check),
                Constraint::Exclude => {
                    super::skip(p);
                    all.unsupported = Some("EXCLUDE".to_string());
                    return Ok(all);
                }
            }
        } else {
            let (column, keys) = column(p)?;
            all.columns.push(column);
            all.keys.extend(keys);
        }
        if !p.consume_token(&Token::Comma) {
            p.expect_token(&Token::RParen)?;
            return Ok(all);
        }
    }
}

/// One constraint of a table.
enum Constraint {
    Key(KeyClause),
    Check(Box<ast::TableConstraint>),
    Exclude,
}

fn table_constraint(p: &mut Parser) -> Result<Constraint, ParserError> {
    let at = named(p);
    if is_word(p, at, "EXCLUDE") {
        return Ok(Constraint::Exclude);
    }
    if is_word(p, at, "CHECK") {
        let Some(check) = p.parse_optional_table_constraint()? else { return p.expected("CHECK", p.peek_token()) };
        words(p, &["NO", "INHERIT"]);
        return Ok(Constraint::Check(Box::new(check)));
    }
    let place = place(p);
    let name = if at > 0 {
        p.advance_token();
        Some(own_name(p)?)
    } else {
        None
    };
    let mut key = match one_of(p, &["PRIMARY", "UNIQUE", "FOREIGN"]) {
        Some("FOREIGN") => {
            expect(p, "KEY")?;
            let columns = names(p)?;
            expect(p, "REFERENCES")?;
            KeyClause::new(name, columns, references(p)?, place)
        }
        Some(word) => {
            if word == "PRIMARY" {
                expect(p, "KEY")?;
            }
            let (columns, rule) = unique(p, word == "PRIMARY")?;
            KeyClause::new(name, columns, rule, place)
        }
        None => return p.expected("a constraint", p.peek_token()),
    };
    attributes(p, &mut key)?;
    Ok(Constraint::Key(key))
}

/// What follows PRIMARY KEY or UNIQUE of a table.
fn unique(p: &mut Parser, primary: bool) -> Result<(Vec<String>, KeyRule), ParserError> {
    let rule = |nulls_not_distinct, include, options, index| KeyRule::Unique {
        primary,
        nulls_not_distinct,
        include,
        options,
        index,
    };
    if words(p, &["USING", "INDEX"]) {
        return Ok((Vec::new(), rule(false, Vec::new(), Vec::new(), Some(name(p)?))));
    }
    let nulls_not_distinct = !primary && nulls_not_distinct(p);
    let columns = names(p)?;
    let include = if words(p, &["INCLUDE"]) { names(p)? } else { Vec::new() };
    let options = index_options(p)?;
    Ok((columns, rule(nulls_not_distinct, include, options, None)))
}

/// NULLS [NOT] DISTINCT: true for NOT.
pub(super) fn nulls_not_distinct(p: &mut Parser) -> bool {
    let not = words(p, &["NULLS", "NOT", "DISTINCT"]);
    if !not {
        words(p, &["NULLS", "DISTINCT"]);
    }
    not
}

/// `WITH (…)` and `USING INDEX TABLESPACE …` of a constraint.
fn index_options(p: &mut Parser) -> Result<Vec<(String, Option<String>)>, ParserError> {
    let given = if words(p, &["WITH"]) { options(p)? } else { Vec::new() };
    if words(p, &["USING", "INDEX", "TABLESPACE"]) {
        name(p)?;
    }
    Ok(given)
}

/// `(a, b)`.
fn names(p: &mut Parser) -> Result<Vec<String>, ParserError> {
    p.expect_token(&Token::LParen)?;
    let names = p.parse_comma_separated(own_name)?;
    p.expect_token(&Token::RParen)?;
    Ok(names)
}

/// What follows REFERENCES.
fn references(p: &mut Parser) -> Result<KeyRule, ParserError> {
    let table = object(p)?;
    let columns = if matches!(p.peek_token_ref().token, Token::LParen) { names(p)? } else { Vec::new() };
    let mut match_full = false;
    if words(p, &["MATCH"]) {
        match one_of(p, &["FULL", "SIMPLE", "PARTIAL"]) {
            Some("FULL") => match_full = true,
            Some("SIMPLE") => {}
            _ => return p.expected("FULL or SIMPLE", p.peek_token()),
        }
    }
    let (mut on_update, mut on_delete, mut set_columns) = (None, None, Vec::new());
    while is_word(p, 0, "ON") {
        p.advance_token();
        match one_of(p, &["UPDATE", "DELETE"]) {
            Some("UPDATE") if on_update.is_none() => on_update = Some(action(p)?),
            Some("DELETE") if on_delete.is_none() => {
                on_delete = Some(action(p)?);
                if matches!(p.peek_token_ref().token, Token::LParen) {
                    set_columns = names(p)?;
                }
            }
            _ => return p.expected("UPDATE or DELETE", p.peek_token()),
        }
    }
    Ok(KeyRule::Foreign {
        table,
        columns,
        on_update: on_update.unwrap_or_default(),
        on_delete: on_delete.unwrap_or_default(),
        set_columns,
        match_full,
    })
}

fn action(p: &mut Parser) -> Result<ForeignKeyAction, ParserError> {
    for (spelled, action) in [
        (&["NO", "ACTION"] as &[&str], ForeignKeyAction::NoAction),
        (&["RESTRICT"], ForeignKeyAction::Restrict),
        (&["CASCADE"], ForeignKeyAction::Cascade),
        (&["SET", "NULL"], ForeignKeyAction::SetNull),
        (&["SET", "DEFAULT"], ForeignKeyAction::SetDefault),
    ] {
        if words(p, spelled) {
            return Ok(action);
        }
    }
    p.expected("an action", p.peek_token())
}

/// DEFERRABLE and its kin behind a constraint, in any order.
fn attributes(p: &mut Parser, key: &mut KeyClause) -> Result<(), ParserError> {
    let mut deferrable = None;
    loop {
        if words(p, &["NOT", "DEFERRABLE"]) {
            deferrable = Some(false);
        } else if words(p, &["DEFERRABLE"]) {
            deferrable = Some(true);
        } else if words(p, &["INITIALLY", "DEFERRED"]) {
            key.deferred = true;
            deferrable = deferrable.or(Some(true));
        } else if words(p, &["NOT", "VALID"]) {
            key.not_valid = true;
        } else if !words(p, &["INITIALLY", "IMMEDIATE"]) && !words(p, &["NO", "INHERIT"]) {
            break;
        }
    }
    key.deferrable = deferrable.unwrap_or(false);
    if key.deferred && !key.deferrable {
        return p.expected("DEFERRABLE with INITIALLY DEFERRED", p.peek_token());
    }
    Ok(())
}

/// One column with its own keys.
fn column(p: &mut Parser) -> Result<(ast::ColumnDef, Vec<KeyClause>), ParserError> {
    if !matches!(p.peek_token_ref().token, Token::Word(_)) {
        return p.expected("a column", p.peek_token());
    }
    let name = p.parse_identifier()?;
    let data_type = p.parse_data_type()?;
    let mut column = ast::ColumnDef { name, data_type, options: Vec::new() };
    let mut keys = Vec::new();
    let own = crate::plan::fold(&column.name);
    loop {
        let (at, place) = (named(p), place(p));
        let unique = is_word(p, at, "UNIQUE");
        let rule = unique || is_word(p, at, "PRIMARY") || is_word(p, at, "REFERENCES");
        let name = if at > 0 {
            p.advance_token();
            Some(p.parse_identifier()?)
        } else {
            None
        };
        if !rule {
            match p.parse_optional_column_option()? {
                Some(option) => column.options.push(ast::ColumnOptionDef { name, option }),
                None if name.is_some() => return p.expected("a constraint", p.peek_token()),
                None => return Ok((column, keys)),
            }
            words(p, &["NO", "INHERIT"]);
            continue;
        }
        let rule = if words(p, &["REFERENCES"]) {
            references(p)?
        } else {
            p.advance_token();
            if !unique {
                expect(p, "KEY")?;
            }
            let nulls_not_distinct = unique && nulls_not_distinct(p);
            let options = index_options(p)?;
            KeyRule::Unique { primary: !unique, nulls_not_distinct, include: Vec::new(), options, index: None }
        };
        let mut key = KeyClause::new(name.as_ref().map(crate::plan::fold), vec![own.clone()], rule, place);
        // NOT of NOT NULL belongs to the next option.
        attributes(p, &mut key)?;
        keys.push(key);
    }
}

/// What ALTER TABLE says about constraints and columns with keys; none for any other action.
pub(super) fn alter_action(p: &mut Parser) -> Result<Option<Vec<AlterAction>>, ParserError> {
    if is_word(p, 0, "ADD") {
        p.advance_token();
        return add(p).map(Some);
    }
    if words(p, &["DROP", "CONSTRAINT"]) {
        let if_exists = words(p, &["IF", "EXISTS"]);
        let name = name(p)?;
        return Ok(Some(vec![AlterAction::DropConstraint { name, if_exists, cascade: cascade(p) }]));
    }
    if words(p, &["VALIDATE", "CONSTRAINT"]) {
        return Ok(Some(vec![AlterAction::ValidateConstraint(name(p)?)]));
    }
    if words(p, &["ALTER", "CONSTRAINT"]) {
        let place = place(p);
        let rule = KeyRule::Unique {
            primary: false,
            nulls_not_distinct: false,
            include: Vec::new(),
            options: Vec::new(),
            index: None,
        };
        let mut key = KeyClause::new(Some(name(p)?), Vec::new(), rule, place);
        attributes(p, &mut key)?;
        return Ok(Some(vec![AlterAction::AlterConstraint(key)]));
    }
    if words(p, &["CLUSTER", "ON"]) {
        return Ok(Some(vec![AlterAction::ClusterOn(Some(name(p)?))]));
    }
    if words(p, &["SET", "WITHOUT", "CLUSTER"]) {
        return Ok(Some(vec![AlterAction::ClusterOn(None)]));
    }
    Ok(None)
}

fn add(p: &mut Parser) -> Result<Vec<AlterAction>, ParserError> {
    let standard = |operation| AlterAction::Standard(Box::new(operation));
    if is_table_constraint(p) {
        return Ok(vec![match table_constraint(p)? {
            Constraint::Key(key) => AlterAction::AddKey(key),
            Constraint::Check(constraint) => {
                let not_valid = words(p, &["NOT", "VALID"]);
                standard(ast::AlterTableOperation::AddConstraint { constraint: *constraint, not_valid })
            }
            Constraint::Exclude => {
                super::skip(p);
                AlterAction::Unsupported("EXCLUDE constraints are not supported")
            }
        }]);
    }
    let column_keyword = words(p, &["COLUMN"]);
    let if_not_exists = words(p, &["IF", "NOT", "EXISTS"]);
    let (column_def, keys) = column(p)?;
    let mut actions = vec![standard(ast::AlterTableOperation::AddColumn {
        column_keyword,
        if_not_exists,
        column_def,
        column_position: None,
    })];
    actions.extend(keys.into_iter().map(|key| AlterAction::AddColumnKey(key, if_not_exists)));
    Ok(actions)
}
