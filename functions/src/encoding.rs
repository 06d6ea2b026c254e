//! Texts as bytes in the encodings that clients may have (<https://www.postgresql.org/docs/15/multibyte.html>), by the
//! tables of encoding_rs. The server itself knows UTF-8 only.
//!
//! Not there, for want of a table: EUC_TW, EUC_JIS_2004, SHIFT_JIS_2004, JOHAB, MULE_INTERNAL.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, EncoderResult};

use crate::error::FunctionError;

type Result<T, E = FunctionError> = std::result::Result<T, E>;

/// How characters are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// PostgreSQL's name of it.
    pub name: &'static str,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Utf8,
    /// SQL_ASCII: no conversion at all.
    Bytes,
    /// ISO 8859-1: a byte is a character. (encoding_rs means windows-1252 by it.)
    Latin1,
    Table(&'static encoding_rs::Encoding),
    /// As the table, for characters whose bytes are both above 0xa0: EUC_CN is a part of GBK, EUC_KR of UHC.
    High(&'static encoding_rs::Encoding),
    /// ISO 8859-9: LATIN1 but for six letters. (encoding_rs means windows-1254 by it.)
    Latin5,
}

const fn table(name: &'static str, table: &'static encoding_rs::Encoding) -> Encoding {
    Encoding { name, how: How::Table(table) }
}

/// What there is, each under its name without anything but small letters and digits, and then its other names.
const ENCODINGS: [(&[&str], Encoding); 37] = [
    (&["utf8", "unicode"], Encoding::UTF8),
    (&["sqlascii"], Encoding { name: "SQL_ASCII", how: How::Bytes }),
    (&["latin1", "iso88591"], Encoding { name: "LATIN1", how: How::Latin1 }),
    (&["latin2", "iso88592"], table("LATIN2", encoding_rs::ISO_8859_2)),
    (&["latin3", "iso88593"], table("LATIN3", encoding_rs::ISO_8859_3)),
    (&["latin4", "iso88594"], table("LATIN4", encoding_rs::ISO_8859_4)),
    (&["latin5", "iso88599"], Encoding { name: "LATIN5", how: How::Latin5 }),
    (&["latin6", "iso885910"], table("LATIN6", encoding_rs::ISO_8859_10)),
    (&["latin7", "iso885913"], table("LATIN7", encoding_rs::ISO_8859_13)),
    (&["latin8", "iso885914"], table("LATIN8", encoding_rs::ISO_8859_14)),
    (&["latin9", "iso885915"], table("LATIN9", encoding_rs::ISO_8859_15)),
    (&["latin10", "iso885916"], table("LATIN10", encoding_rs::ISO_8859_16)),
    (&["iso88595"], table("ISO_8859_5", encoding_rs::ISO_8859_5)),
    (&["iso88596"], table("ISO_8859_6", encoding_rs::ISO_8859_6)),
    (&["iso88597"], table("ISO_8859_7", encoding_rs::ISO_8859_7)),
    (&["iso88598"], table("ISO_8859_8", encoding_rs::ISO_8859_8)),
    (&["win1250"], table("WIN1250", encoding_rs::WINDOWS_1250)),
    (&["win1251", "win"], table("WIN1251", encoding_rs::WINDOWS_1251)),
    (&["win1252"], table("WIN1252", encoding_rs::WINDOWS_1252)),
    (&["win1253"], table("WIN1253", encoding_rs::WINDOWS_1253)),
    (&["win1254"], table("WIN1254", encoding_rs::WINDOWS_1254)),
    (&["win1255"], table("WIN1255", encoding_rs::WINDOWS_1255)),
    (&["win1256"], table("WIN1256", encoding_rs::WINDOWS_1256)),
    (&["win1257"], table("WIN1257", encoding_rs::WINDOWS_1257)),
    (&["win1258", "abc", "tcvn", "tcvn5712", "vscii"], table("WIN1258", encoding_rs::WINDOWS_1258)),
    (&["win866", "alt"], table("WIN866", encoding_rs::IBM866)),
    (&["win874"], table("WIN874", encoding_rs::WINDOWS_874)),
    (&["koi8r", "koi8"], table("KOI8R", encoding_rs::KOI8_R)),
    (&["koi8u"], table("KOI8U", encoding_rs::KOI8_U)),
    (&["gbk", "win936"], table("GBK", encoding_rs::GBK)),
    (&["gb18030"], table("GB18030", encoding_rs::GB18030)),
    (&["euccn"], Encoding { name: "EUC_CN", how: How::High(encoding_rs::GBK) }),
    (&["big5", "win950"], table("BIG5", encoding_rs::BIG5)),
    (&["sjis", "mskanji", "shiftjis", "win932"], table("SJIS", encoding_rs::SHIFT_JIS)),
    (&["eucjp"], table("EUC_JP", encoding_rs::EUC_JP)),
    (&["uhc", "win949"], table("UHC", encoding_rs::EUC_KR)),
    (&["euckr"], Encoding { name: "EUC_KR", how: How::High(encoding_rs::EUC_KR) }),
];

/// Those that PostgreSQL has and we have not.
const MISSING: [&str; 5] = ["euctw", "eucjis2004", "johab", "muleinternal", "shiftjis2004"];

/// The letters in which LATIN5 differs from LATIN1.
const LATIN5: [(char, u8); 6] = [('Ğ', 0xd0), ('İ', 0xdd), ('Ş', 0xde), ('ğ', 0xf0), ('ı', 0xfd), ('ş', 0xfe)];

/// What a name of an encoding names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    There(Encoding),
    /// PostgreSQL has it.
    Missing,
    Unknown,
}

impl Encoding {
    /// The server's own.
    pub const UTF8: Encoding = Encoding { name: "UTF8", how: How::Utf8 };

    /// The encoding of a name, of which only letters and digits count, and no case: `'Windows-936'`.
    pub fn named(name: &str) -> Named {
        let plain = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let plain = plain.replace("windows", "win");
        match ENCODINGS.iter().find(|(names, _)| names.contains(&plain.as_str())) {
            Some((_, encoding)) => Named::There(*encoding),
            None if MISSING.contains(&plain.as_str()) => Named::Missing,
            None => Named::Unknown,
        }
    }

    /// Whether texts pass as they are.
    pub fn is_utf8(self) -> bool {
        matches!(self.how, How::Utf8 | How::Bytes)
    }

    /// Bytes as text.
    ///
    /// # Errors
    /// 22021 for bytes that are no characters, 22P05 for characters that Unicode has not.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        let text = match self.how {
            How::Utf8 | How::Bytes => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|e| {
                let rest = &bytes[e.valid_up_to()..];
                // PostgreSQL shows as many bytes as the first one announces.
                let announced = match rest[0] {
                    0xe0..=0xef => 3,
                    0xf0..=0xf7 => 4,
                    0xc0..=0xdf => 2,
                    _ => 1,
                };
                Encoding::UTF8.invalid(&rest[..announced.min(rest.len())])
            })?),
            _ => {
                let mut out = Vec::new();
                self.decoding().push(bytes, true, &mut out)?;
                Cow::Owned(String::from_utf8(out).map_err(|_| self.invalid(&[]))?)
            }
        };
        if text.contains('\0') { Err(self.invalid(&[0])) } else { Ok(text) }
    }

    /// Reads text that comes piece by piece.
    pub fn decoding(self) -> Decoding {
        let decoder = match self.how {
            How::Utf8 | How::Bytes | How::Latin1 | How::Latin5 => None,
            How::Table(table) | How::High(table) => Some(table.new_decoder_without_bom_handling()),
        };
        Decoding { encoding: self, decoder, last: None }
    }

    /// Text as bytes.
    ///
    /// # Errors
    /// 22P05 for a character that the encoding has not.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>> {
        let table = match self.how {
            How::Utf8 | How::Bytes => return Ok(text.as_bytes().into()),
            _ if text.is_ascii() => return Ok(text.as_bytes().into()),
            How::Latin1 | How::Latin5 => {
                let byte = |c| self.byte(c).ok_or_else(|| self.unmappable(c));
                return text.chars().map(byte).collect::<Result<Vec<_>>>().map(Cow::Owned);
            }
            How::Table(table) | How::High(table) => table,
        };
        if let How::High(table) = self.how
            && let Some(c) = text.chars().find(|c| is_low(table, *c))
        {
            return Err(self.unmappable(c));
        }
        let mut encoder = table.new_encoder();
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut rest = text;
        loop {
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
            rest = &rest[read..];
            match result {
                EncoderResult::InputEmpty => return Ok(out.into()),
                EncoderResult::OutputFull => out.reserve(rest.len() + 16),
                EncoderResult::Unmappable(c) => return Err(self.unmappable(c)),
            }
        }
    }

    /// Text as bytes, with a question mark for what the encoding has not: for messages.
    pub fn encode_lossy(self, text: &str) -> Cow<'_, [u8]> {
        match self.encode(text) {
            Ok(bytes) => bytes.into_owned().into(),
            Err(_) => {
                let mut buffer = [0; 4];
                let byte = |c: char| match self.encode(c.encode_utf8(&mut buffer)) {
                    Ok(bytes) => bytes.into_owned(),
                    Err(_) => b"?".to_vec(),
                };
                text.chars().flat_map(byte).collect::<Vec<_>>().into()
            }
        }
    }

    /// A character as the byte that it is in LATIN1 or LATIN5.
    fn byte(self, c: char) -> Option<u8> {
        let own = LATIN5.iter().find(|(of_latin5, _)| *of_latin5 == c).map(|(_, byte)| *byte);
        match (self.how, own) {
            (How::Latin5, Some(byte)) => Some(byte),
            (How::Latin5, None) => {
                u8::try_from(u32::from(c)).ok().filter(|b| !LATIN5.iter().any(|(_, byte)| byte == b))
            }
            _ => u8::try_from(u32::from(c)).ok(),
        }
    }

    fn character(self, byte: u8) -> char {
        let own = LATIN5.iter().find(|(_, of_latin5)| self.how == How::Latin5 && *of_latin5 == byte);
        own.map_or(char::from(byte), |(c, _)| *c)
    }

    /// The error of bytes of which a table knows nothing: PostgreSQL looks at their shape first.
    fn broken(self, bytes: &[u8]) -> FunctionError {
        let shaped = match (self.how, bytes) {
            (How::High(_), [a, b]) => *a >= 0xa1 && *b >= 0xa1,
            (_, [_, second]) => *second != 0,
            _ => matches!(self.how, How::Table(table) if table.is_single_byte()),
        };
        if shaped { self.unknown(bytes) } else { self.invalid(bytes) }
    }

    fn invalid(self, bytes: &[u8]) -> FunctionError {
        FunctionError::new("22021", format!("invalid byte sequence for encoding \"{}\": {}", self.name, shown(bytes)))
    }

    fn unknown(self, bytes: &[u8]) -> FunctionError {
        let (name, bytes) = (self.name, shown(bytes));
        let text = format!(
            "character with byte sequence {bytes} in encoding \"{name}\" has no equivalent in encoding \"UTF8\""
        );
        FunctionError::new("22P05", text)
    }

    fn unmappable(self, c: char) -> FunctionError {
        let (name, bytes) = (self.name, shown(c.encode_utf8(&mut [0; 4]).as_bytes()));
        let text = format!(
            "character with byte sequence {bytes} in encoding \"UTF8\" has no equivalent in encoding \"{name}\""
        );
        FunctionError::new("22P05", text)
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("0x{b:02x}")).collect::<Vec<_>>().join(" ")
}

/// Text in an encoding, read piece by piece; a piece may end within a character.
pub struct Decoding {
    encoding: Encoding,
    decoder: Option<encoding_rs::Decoder>,
    /// The last byte of the piece before.
    last: Option<u8>,
}

impl std::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.encoding.fmt(f)
    }
}

impl Decoding {
    /// Appends the text of more bytes as UTF-8; bytes said to be UTF-8 pass unread. With `end` they are the last ones.
    /// After an error it is of no use; what came before the fault is appended.
    ///
    /// # Errors
    /// As [`Encoding::decode`].
    pub fn push(&mut self, bytes: &[u8], end: bool, out: &mut Vec<u8>) -> Result<()> {
        let Some(decoder) = &mut self.decoder else {
            match self.encoding.how {
                How::Latin1 | How::Latin5 => {
                    let text = bytes.iter().map(|b| self.encoding.character(*b)).collect::<String>();
                    out.extend(text.into_bytes());
                }
                _ => out.extend_from_slice(bytes),
            }
            return Ok(());
        };
        let start = out.len();
        let mut done = 0;
        loop {
            let rest = &bytes[done..];
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(rest.len());
            let at = out.len();
            out.resize(at + room, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut out[at..], end);
            out.truncate(at + written);
            done += read;
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, behind) => {
                    let begin = done.checked_sub(usize::from(length) + usize::from(behind));
                    let width = if decoder.encoding().is_single_byte() { 1 } else { 2 };
                    // The first byte may have come with the piece before.
                    let before = self.last.filter(|_| begin.is_none()).into_iter();
                    let fault = before.chain(bytes[begin.unwrap_or(0)..].iter().copied()).take(width);
                    return Err(self.encoding.broken(&fault.collect::<Vec<_>>()));
                }
            }
        }
        self.last = bytes.last().copied().or(self.last);
        match self.encoding.how {
            How::High(table) if !out[start..].is_ascii() => {
                let text = String::from_utf8_lossy(&out[start..]);
                match text.chars().find(|c| is_low(table, *c)) {
                    Some(c) => Err(self.encoding.invalid(&table.encode(c.encode_utf8(&mut [0; 4])).0)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Whether a character's bytes are in the part of a table that EUC_CN or EUC_KR has not.
fn is_low(table: &'static encoding_rs::Encoding, c: char) -> bool {
    !c.is_ascii() && table.encode(c.encode_utf8(&mut [0; 4])).0.iter().any(|byte| *byte < 0xa1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Encoding {
        match Encoding::named(name) {
            Named::There(encoding) => encoding,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn names() {
        assert_eq!(of("Windows-936").name, "GBK");
        assert_eq!(of("iso_8859-15").name, "LATIN9");
        assert_eq!(Encoding::named("EUC_TW"), Named::Missing);
        assert_eq!(Encoding::named("utf16"), Named::Unknown);
    }

    #[test]
    fn pieces_are_one_text() {
        let text = "名字,城市\n张伟,北京\n€ĞÀ한글カナ";
        for (name, text) in [
            ("gbk", &text[..text.find('Ğ').unwrap()]),
            ("gb18030", text),
            ("euc_cn", &text[..text.find('€').unwrap()]),
            ("big5", "名字,城市"),
            ("sjis", "カナ漢字ｱ"),
            ("euc_kr", "한글"),
            ("uhc", "똠"),
            ("latin5", "Ğışéÿ"),
            ("latin1", "é\u{80}ÿ"),
            ("win1251", "Привет"),
        ] {
            let encoding = of(name);
            let bytes = encoding.encode(text).unwrap();
            assert_eq!(encoding.decode(&bytes).unwrap(), text, "{name}");
            for cut in 0..=bytes.len() {
                let (mut decoding, mut out) = (encoding.decoding(), Vec::new());
                decoding.push(&bytes[..cut], false, &mut out).unwrap();
                decoding.push(&bytes[cut..], true, &mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), text, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_fault_shows_its_bytes_wherever_they_are_cut() {
        let gbk = of("gbk");
        let whole = gbk.decode(b"a\xd6\xd0\xfe b").unwrap_err();
        assert_eq!(whole.code, "22P05");
        assert!(whole.message.contains("0xfe 0x20 in"), "{}", whole.message);
        for cut in 0..6 {
            let (mut decoding, mut out) = (gbk.decoding(), Vec::new());
            let bytes = b"a\xd6\xd0\xfe b";
            let first = decoding.push(&bytes[..cut], false, &mut out);
            let e = first.and_then(|()| decoding.push(&bytes[cut..], true, &mut out)).unwrap_err();
            assert_eq!(e, whole, "cut at {cut}");
        }
        assert_eq!(*gbk.encode_lossy("中😀文"), b"\xd6\xd0?\xce\xc4"[..]);
    }
}
