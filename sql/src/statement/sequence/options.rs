//! The options of a sequence put on its definition, in PostgreSQL's order and with its refusals
//! (<https://www.postgresql.org/docs/15/sql-createsequence.html>).

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Location;
use sightline_storage::catalog::{SequenceDef, SequenceState};
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::SqlType;

use crate::parser::char_position;
use crate::parser::sequence::{SequenceOption, Setting};
use crate::plan::{QueryContext, sql_type_in};

/// Options by what they set, each at most once.
#[derive(Default)]
pub(in crate::statement) struct Options<'a> {
    ty: Option<&'a ast::DataType>,
    increment: Option<&'a str>,
    min: Option<Option<&'a str>>,
    max: Option<Option<&'a str>>,
    start: Option<&'a str>,
    restart: Option<Option<&'a str>>,
    cache: Option<&'a str>,
    cycle: Option<bool>,
    pub(in crate::statement) owned_by: Option<&'a ast::ObjectName>,
    pub(in crate::statement) name: Option<&'a ast::ObjectName>,
}

/// The numbers of a type.
pub(in crate::statement) fn bounds(ty: &SqlType) -> (i64, i64) {
    match ty {
        SqlType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        SqlType::Integer => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn wrong(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A number as bigint reads it.
fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        let whole = text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
        if whole {
            let message = format!("value \"{text}\" is out of range for type bigint");
            Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
        } else {
            let message = format!("invalid input syntax for type bigint: \"{text}\"");
            Error::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        }
    })
}

impl<'a> Options<'a> {
    /// The options of a statement with this text; of an identity column no text is known.
    ///
    /// # Errors
    /// 42601 for one that is said twice.
    pub(in crate::statement) fn of(options: &'a [SequenceOption], text: Option<&str>) -> Result<Options<'a>> {
        let mut found = Options::default();
        for option in options {
            let twice = match &option.what {
                Setting::As(ty) => found.ty.replace(ty).is_some(),
                Setting::Increment(n) => found.increment.replace(n).is_some(),
                Setting::Min(n) => found.min.replace(n.as_deref()).is_some(),
                Setting::Max(n) => found.max.replace(n.as_deref()).is_some(),
                Setting::Start(n) => found.start.replace(n).is_some(),
                Setting::Restart(n) => found.restart.replace(n.as_deref()).is_some(),
                Setting::Cache(n) => found.cache.replace(n).is_some(),
                Setting::Cycle(cycles) => found.cycle.replace(*cycles).is_some(),
                Setting::OwnedBy(name) => found.owned_by.replace(name).is_some(),
                Setting::Name(name) => found.name.replace(name).is_some(),
            };
            if twice {
                return Err(redundant(option.at, text));
            }
        }
        Ok(found)
    }

    /// Whether anything but the owner is set.
    pub(in crate::statement) fn changes_numbers(&self) -> bool {
        let Options { ty, increment, min, max, start, restart, cache, cycle, owned_by: _, name: _ } = self;
        ty.is_some()
            || increment.is_some()
            || min.is_some()
            || max.is_some()
            || start.is_some()
            || restart.is_some()
            || cache.is_some()
            || cycle.is_some()
    }

    /// The type of a new sequence, if it is said.
    pub(in crate::statement) fn has_type(&self) -> bool {
        self.ty.is_some()
    }

    /// Puts the options on a definition and the place where it stands. True if it was set by RESTART.
    ///
    /// # Errors
    /// 22023, 22003, 42704.
    pub(in crate::statement) fn apply(
        &self,
        ctx: &QueryContext,
        def: &mut SequenceDef,
        state: &mut SequenceState,
        new: bool,
        identity: bool,
    ) -> Result<bool> {
        let before = bounds(&def.ty);
        let (mut reset_min, mut reset_max) = (false, false);
        if let Some(ty) = self.ty {
            let ty = sql_type_in(ctx, ty)?;
            if !matches!(ty, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt) {
                let what = if identity { "identity column type" } else { "sequence type" };
                return Err(wrong(format!("{what} must be smallint, integer, or bigint")));
            }
            if !new {
                // What was the limit of the old type becomes that of the new one.
                reset_max = def.max == before.1;
                reset_min = def.min == before.0;
            }
            def.ty = ty;
        }
        let (least, most) = bounds(&def.ty);
        if let Some(increment) = self.increment {
            def.increment = number(increment)?;
            if def.increment == 0 {
                return Err(wrong("INCREMENT must not be zero".to_string()));
            }
        }
        if let Some(cycle) = self.cycle {
            def.cycle = cycle;
        }
        let up = def.increment > 0;
        match self.max {
            Some(Some(max)) => def.max = number(max)?,
            given if new || given.is_some() || reset_max => def.max = if up || reset_max { most } else { -1 },
            _ => {}
        }
        if def.max < least || def.max > most {
            return Err(wrong(format!("MAXVALUE ({}) is out of range for sequence data type {}", def.max, def.ty)));
        }
        match self.min {
            Some(Some(min)) => def.min = number(min)?,
            given if new || given.is_some() || reset_min => def.min = if !up || reset_min { least } else { 1 },
            _ => {}
        }
        if def.min < least || def.min > most {
            return Err(wrong(format!("MINVALUE ({}) is out of range for sequence data type {}", def.min, def.ty)));
        }
        if def.min >= def.max {
            return Err(wrong(format!("MINVALUE ({}) must be less than MAXVALUE ({})", def.min, def.max)));
        }
        match self.start {
            Some(start) => def.start = number(start)?,
            None if new => def.start = if up { def.min } else { def.max },
            None => {}
        }
        within(def, "START", def.start)?;
        if new {
            *state = def.fresh();
        }
        if let Some(restart) = self.restart {
            state.last = restart.map_or(Ok(def.start), number)?;
            state.is_called = false;
        }
        within(def, "RESTART", state.last)?;
        if let Some(cache) = self.cache {
            def.cache = number(cache)?;
            if def.cache <= 0 {
                return Err(wrong(format!("CACHE ({}) must be greater than zero", def.cache)));
            }
        }
        Ok(self.restart.is_some())
    }
}

fn within(def: &SequenceDef, what: &str, value: i64) -> Result<()> {
    if value < def.min {
        return Err(wrong(format!("{what} value ({value}) cannot be less than MINVALUE ({})", def.min)));
    }
    if value > def.max {
        return Err(wrong(format!("{what} value ({value}) cannot be greater than MAXVALUE ({})", def.max)));
    }
    Ok(())
}

fn redundant(at: Location, text: Option<&str>) -> Error {
    let error = Error::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options");
    match text {
        Some(text) => error.position(char_position(text, at.line, at.column)),
        None => error,
    }
}
