//! What a client may say after login, decoded strictly.
//!
//! Not pgwire's decoder: that one replaces broken UTF-8 silently, reads a short message on into the next one, and panics
//! on some that are too short. Here a message is first cut out whole, and reading beyond its end is an error. What we say
//! is encoded by pgwire.

use bytes::{Buf, Bytes};
use sightline_sql::codec::from_encoding;
use sightline_sql::encoding::Encoding;
use sightline_storage::error::{Error, Result, SqlState};

/// The most bytes of a message that carries a client's text or data.
const LARGE_MAX: usize = 0x3fff_ffff;
/// The most bytes of any other.
const SMALL_MAX: usize = 10_000;

/// What Describe and Close are about.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Target {
    Statement,
    Portal,
}

/// A message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frontend {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target, String),
    Close(Target, String),
    /// 0 rows: all.
    Execute {
        portal: String,
        max_rows: u32,
    },
    Flush,
    Sync,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    FunctionCall,
    Password,
    Terminate,
}

/// Makes a portal of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub portal: String,
    pub statement: String,
    pub parameter_formats: Vec<i16>,
    pub parameters: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

/// The most bytes a message of this kind may have, its length field included; none if there is no such kind.
pub(super) fn length_max(kind: u8) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' => Some(LARGE_MAX),
        b'D' | b'C' | b'E' | b'H' | b'S' | b'c' | b'f' | b'p' | b'X' => Some(SMALL_MAX),
        _ => None,
    }
}

fn malformed(what: impl Into<String>) -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, what)
}

fn too_short() -> Error {
    malformed("insufficient data left in message")
}

/// Decodes a message of a known kind, of a client whose texts are in this encoding.
///
/// # Errors
/// 08P01 for a message that is too short or too long; 22021 and 22P05 for text that is none.
pub(super) fn decode(kind: u8, body: Bytes, encoding: Encoding) -> Result<Frontend> {
    let mut b = Body(body, encoding);
    let message = match kind {
        b'Q' => Frontend::Query(b.string()?),
        b'P' => {
            let (name, sql) = (b.string()?, b.string()?);
            let types = (0..b.count()?).map(|_| b.u32()).collect::<Result<_>>()?;
            Frontend::Parse { name, sql, types }
        }
        b'B' => Frontend::Bind(Bind {
            portal: b.string()?,
            statement: b.string()?,
            parameter_formats: b.formats()?,
            parameters: (0..b.count()?).map(|_| b.value()).collect::<Result<_>>()?,
            result_formats: b.formats()?,
        }),
        b'D' => Frontend::Describe(b.target("DESCRIBE")?, b.string()?),
        b'C' => Frontend::Close(b.target("CLOSE")?, b.string()?),
        b'E' => Frontend::Execute { portal: b.string()?, max_rows: u32::try_from(b.u32()? as i32).unwrap_or(0) },
        b'd' => return Ok(Frontend::CopyData(b.0)),
        b'f' => Frontend::CopyFail(b.string()?),
        b'F' => return Ok(Frontend::FunctionCall),
        b'p' => return Ok(Frontend::Password),
        b'c' => Frontend::CopyDone,
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        _ => Frontend::Terminate,
    };
    if b.0.is_empty() { Ok(message) } else { Err(malformed("invalid message format")) }
}

/// What is left of a message.
struct Body(Bytes, Encoding);

impl Body {
    fn take(&mut self, n: usize) -> Result<Bytes> {
        if self.0.len() < n { Err(too_short()) } else { Ok(self.0.split_to(n)) }
    }

    fn string(&mut self) -> Result<String> {
        let end = self.0.iter().position(|b| *b == 0).ok_or_else(|| malformed("invalid string in message"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        Ok(from_encoding(self.1, &text)?.into_owned())
    }

    fn u32(&mut self) -> Result<u32> {
        self.take(4).map(|mut b| b.get_u32())
    }

    fn count(&mut self) -> Result<u16> {
        self.take(2).map(|mut b| b.get_u16())
    }

    fn formats(&mut self) -> Result<Vec<i16>> {
        (0..self.count()?).map(|_| self.count().map(|c| c as i16)).collect()
    }

    fn value(&mut self) -> Result<Option<Bytes>> {
        match self.u32()? as i32 {
            -1 => Ok(None),
            n => self.take(usize::try_from(n).map_err(|_| too_short())?).map(Some),
        }
    }

    fn target(&mut self, message: &str) -> Result<Target> {
        match self.take(1)?[0] {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(malformed(format!("invalid {message} message subtype {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, body: &'static [u8]) -> Result<Frontend> {
        decode(kind, Bytes::from_static(body), Encoding::UTF8)
    }

    #[test]
    fn decoded() {
        assert_eq!(read(b'Q', b"SELECT 1\0").unwrap(), Frontend::Query("SELECT 1".into()));
        assert_eq!(
            read(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17").unwrap(),
            Frontend::Parse { name: "s".into(), sql: "SELECT $1".into(), types: vec![23] }
        );
        let Frontend::Bind(bind) = read(b'B', b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0").unwrap()
        else {
            panic!("a Bind");
        };
        assert_eq!(bind.parameters, [Some(Bytes::from_static(b"ab")), None]);
        assert_eq!(bind.parameter_formats, [1]);
        let all = Frontend::Execute { portal: "p".into(), max_rows: 0 };
        assert_eq!(read(b'E', b"p\0\xff\xff\xff\xff").unwrap(), all);
    }

    #[test]
    fn broken() {
        assert_eq!(read(b'Q', b"SELECT \xff\0").unwrap_err().code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        let cases: [(u8, &'static [u8]); 8] = [
            (b'Q', b"no end"),
            (b'Q', b"a\0more"),
            (b'P', b"s\0q\0\0\x05\0\0"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09x"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe"),
            (b'D', b"Xname\0"),
            (b'E', b"p\0\0"),
            (b'S', b"x"),
        ];
        for (kind, body) in cases {
            assert_eq!(read(kind, body).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION, "{body:?}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 3u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let body: Vec<u8> = (0..(seed >> 60)).map(|i| (seed >> (i * 4)) as u8).collect();
            let kind = b"QPBDCEHScfpXdF"[(seed >> 20) as usize % 14];
            drop(decode(kind, body.into(), Encoding::UTF8));
        }
    }
}
