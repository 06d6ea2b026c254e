//! `convert`, `convert_from`, `convert_to`: texts in other encodings. There are UTF8, LATIN1 and SQL_ASCII
//! (<https://www.postgresql.org/docs/15/functions-binarystring.html>).

use std::borrow::Cow;

use datafusion_common::Result;

use super::encode::hex;
use crate::error::refuse;
use crate::udf::{Form, Function, Type};

pub(super) const CONVERT: Function = Function::new(
    "convert",
    "Bytes of one encoding as those of another.",
    &[Form::new(&[Type::Bytea, Type::Text, Type::Text], Type::Bytea, |call| {
        let (values, from, to) = (call.bytes(0), call.text(1), call.text(2));
        call.map_bytes(|row| {
            let from = Encoding::parse(from.value(row), "source")?;
            let to = Encoding::parse(to.value(row), "destination")?;
            to.encode(&from.decode(values.value(row))?)
        })
    })],
);
pub(super) const CONVERT_FROM: Function = Function::new(
    "convert_from",
    "Bytes of an encoding as text.",
    &[Form::new(&[Type::Bytea, Type::Text], Type::Text, |call| {
        let (values, from) = (call.bytes(0), call.text(1));
        call.map_text(|row| {
            let text = Encoding::parse(from.value(row), "source")?.decode(values.value(row))?.into_owned();
            Ok(Some(text))
        })
    })],
);
pub(super) const CONVERT_TO: Function = Function::new(
    "convert_to",
    "Text as bytes of an encoding.",
    &[Form::new(&[Type::Text, Type::Text], Type::Bytea, |call| {
        let (texts, to) = (call.text(0), call.text(1));
        call.map_bytes(|row| Encoding::parse(to.value(row), "destination")?.encode(texts.value(row)))
    })],
);

/// How characters are bytes.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    /// Bytes below 128 are characters, others are what they are.
    Ascii,
}

impl Encoding {
    /// An encoding by its name; `role` is source or destination.
    pub(super) fn parse(name: &str, role: &str) -> Result<Encoding> {
        let plain = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        match plain.as_str() {
            "utf8" | "unicode" => Ok(Encoding::Utf8),
            "latin1" | "iso88591" => Ok(Encoding::Latin1),
            "sqlascii" => Ok(Encoding::Ascii),
            _ => refuse("22023", format!("invalid {role} encoding name \"{name}\"")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF8",
            Encoding::Latin1 => "LATIN1",
            Encoding::Ascii => "SQL_ASCII",
        }
    }

    pub(super) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        if let Encoding::Latin1 = self {
            return Ok(bytes.iter().map(|b| char::from(*b)).collect::<String>().into());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => match text.contains('\0') {
                true => refuse("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"),
                false => Ok(text.into()),
            },
            Err(e) => {
                let rest = &bytes[e.valid_up_to()..];
                // PostgreSQL shows as many bytes as the first one announces.
                let announced = match rest[0] {
                    0xe0..=0xef => 3,
                    0xf0..=0xf7 => 4,
                    0xc0..=0xdf => 2,
                    _ => 1,
                };
                let shown = rest.iter().take(announced).map(|b| format!("0x{b:02x}")).collect::<Vec<_>>().join(" ");
                refuse("22021", format!("invalid byte sequence for encoding \"UTF8\": {shown}"))
            }
        }
    }

    fn encode(self, text: &str) -> Result<Vec<u8>> {
        match self {
            Encoding::Utf8 | Encoding::Ascii => Ok(text.as_bytes().to_vec()),
            Encoding::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).or_else(|_| self.missing(c))).collect(),
        }
    }

    fn missing<T>(self, c: char) -> Result<T> {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        let shown = hex(bytes)
            .as_bytes()
            .chunks(2)
            .map(|pair| format!("0x{}", String::from_utf8_lossy(pair)))
            .collect::<Vec<_>>()
            .join(" ");
        let name = self.name();
        refuse(
            "22P05",
            format!(
                "character with byte sequence {shown} in encoding \"UTF8\" has no equivalent in encoding \"{name}\""
            ),
        )
    }
}
