//! The text and binary forms of composite types (<https://www.postgresql.org/docs/15/rowtypes.html#ROWTYPES-IO-SYNTAX>).

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StructArray};
use arrow::datatypes::DataType;
use sightline_storage::error::{Error, Result, SqlState};
use sightline_storage::types::{CompositeType, SqlType};

use super::Style;
use super::build::ColumnBuilder;

/// A growing column of rows.
pub(super) struct RecordBuilder {
    of: Arc<CompositeType>,
    fields: Vec<ColumnBuilder>,
    nulls: NullBufferBuilder,
}

impl RecordBuilder {
    pub(super) fn new(of: &Arc<CompositeType>) -> RecordBuilder {
        let fields = of.fields.iter().map(|(_, ty)| ColumnBuilder::new(ty)).collect();
        RecordBuilder { of: of.clone(), fields, nulls: NullBufferBuilder::new(0) }
    }

    pub(super) fn append_null(&mut self) {
        self.fields.iter_mut().for_each(ColumnBuilder::append_null);
        self.nulls.append(false);
    }

    /// Reads `(1,"a b",)`.
    pub(super) fn append_text(&mut self, text: &str, style: &Style) -> Result<()> {
        let values = split(text, self.fields.len()).map_err(|detail| {
            Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed record literal: \"{text}\""))
                .detail(detail)
        })?;
        for (field, value) in self.fields.iter_mut().zip(values) {
            match value {
                Some(value) => field.append_text(&value, style)?,
                None => field.append_null(),
            }
        }
        self.nulls.append(true);
        Ok(())
    }

    /// Reads the number of fields, and of each its type, length and bytes.
    pub(super) fn append_binary(&mut self, data: &[u8]) -> Result<()> {
        let short = || Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message");
        let mut rest = data;
        let mut word = |rest: &mut &[u8]| -> Result<i32> {
            let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            *rest = tail;
            Ok(i32::from_be_bytes(*head))
        };
        let count = word(&mut rest)?;
        if usize::try_from(count) != Ok(self.fields.len()) {
            let text = format!("wrong number of columns: {count}, expected {}", self.fields.len());
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
        }
        for (field, (_, ty)) in self.fields.iter_mut().zip(&self.of.fields) {
            let oid = word(&mut rest)?.cast_unsigned();
            if oid != ty.oid() {
                let text = format!("binary data has type {oid} instead of expected {} in record column", ty.oid());
                return Err(Error::new(SqlState::DATATYPE_MISMATCH, text));
            }
            match word(&mut rest)? {
                -1 => field.append_null(),
                length => {
                    let value = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
                    let (value, tail) = value.ok_or_else(short)?;
                    rest = tail;
                    field.append_binary(value)?;
                }
            }
        }
        if !rest.is_empty() {
            let text = super::input::INCORRECT_BINARY;
            return Err(Error::new(SqlState::INVALID_BINARY_REPRESENTATION, text));
        }
        self.nulls.append(true);
        Ok(())
    }

    pub(super) fn finish(&mut self, ty: &SqlType) -> Result<ArrayRef> {
        let DataType::Struct(fields) = ty.arrow() else {
            return Err(Error::internal(format!("{ty} is no composite type")));
        };
        let rows = self.nulls.len();
        let nulls = self.nulls.finish();
        if fields.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(rows, nulls)));
        }
        let columns = self.fields.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new(fields, columns, nulls)?))
    }
}

/// The values of a row's text, none for NULL; or what is wrong with it.
fn split(text: &str, fields: usize) -> Result<Vec<Option<String>>, &'static str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let Some(rest) = rest.strip_prefix('(') else { return Err("Missing left parenthesis.") };
    let mut chars = rest.chars().peekable();
    let mut values = Vec::with_capacity(fields);
    for n in 0..fields {
        if n > 0 {
            match chars.next() {
                Some(',') => {}
                _ => return Err("Too few columns."),
            }
        }
        if matches!(chars.peek(), Some(',' | ')')) {
            values.push(None);
            continue;
        }
        let (mut value, mut quoted) = (String::new(), false);
        loop {
            match chars.peek().copied() {
                Some(',' | ')') if !quoted => break,
                None => return Err("Unexpected end of input."),
                Some(c) => {
                    chars.next();
                    match c {
                        '\\' => value.push(chars.next().ok_or("Unexpected end of input.")?),
                        '"' if !quoted => quoted = true,
                        '"' if chars.peek() == Some(&'"') => {
                            chars.next();
                            value.push('"');
                        }
                        '"' => quoted = false,
                        c => value.push(c),
                    }
                }
            }
        }
        values.push(Some(value));
    }
    match chars.next() {
        Some(')') => {}
        _ => return Err("Too many columns."),
    }
    if chars.any(|c| !c.is_ascii_whitespace()) {
        return Err("Junk after right parenthesis.");
    }
    Ok(values)
}
