//! From a file to UTF-8 text: gzip and zstd are unpacked, known by their first bytes, and other encodings are converted.
//!
//! All of it streams. What is unpacked may be a thousand times the file and no more, so that a file made to fill the disk
//! is refused; ordinary text shrinks to a tenth.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::{Decoder, DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr;
use sightline_storage::error::{Error, Result, SqlState};

use super::Opened;

/// How many bytes the encoding is found out from.
const LOOK_BYTES: usize = 1 << 20;
/// Bytes converted at a time.
const BLOCK_BYTES: usize = 64 << 10;
/// A file may be unpacked to so many times its size …
const RATIO_MAX: u64 = 1000;
/// … and to this much whatever its size.
const UNPACKED_MIN: u64 = 256 << 20;

/// A file as text.
pub(crate) struct Text {
    /// UTF-8 without a byte order mark; not yet checked where the file is UTF-8 itself.
    pub(crate) reader: Box<dyn Read + Send>,
    pub(crate) encoding: &'static Encoding,
    /// `gzip`, `zstd` or none.
    pub(crate) compression: Option<&'static str>,
}

/// The encoding that a user names.
///
/// # Errors
/// 22023.
pub(crate) fn encoding(label: &str) -> Result<&'static Encoding> {
    // PostgreSQL's names: UTF8, GB18030, GBK, EUC_CN, BIG5, SJIS, LATIN1, WIN1252.
    let plain = label.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let known = match plain.as_str() {
        "utf16" => "utf-16le",
        "utf-16-le" | "utf16le" => "utf-16le",
        "utf-16-be" | "utf16be" => "utf-16be",
        "euc-cn" => "gb2312",
        "win1250" | "win1251" | "win1252" | "win1253" | "win1254" | "win1255" | "win1256" | "win1257" | "win1258" => {
            &format!("windows-{}", &plain[3..])
        }
        other => other,
    };
    Encoding::for_label(known.as_bytes()).ok_or_else(|| {
        Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{label}\""))
            .hint("Encodings are UTF8, GB18030, UTF-16LE, UTF-16BE, BIG5, SJIS, EUC-JP, EUC-KR, LATIN1 and others of the Encoding Standard.")
    })
}

/// Makes text of a file; `named` is the encoding it is said to have.
///
/// # Errors
/// 22P04 for a packed file that is damaged, 22021 if the encoding cannot be told; 58030.
pub(crate) fn text(file: Opened, name: &str, named: Option<&'static Encoding>) -> Result<Text> {
    let (mut reader, compression) = unpacked(file, name)?;
    let mut start = Vec::new();
    reader.by_ref().take(LOOK_BYTES as u64).read_to_end(&mut start).map_err(super::chunks::cannot_read)?;
    let whole = start.len() < LOOK_BYTES;
    let (encoding, mark) = match (Encoding::for_bom(&start), named) {
        (Some((found, mark)), None) => (found, mark),
        (Some((found, mark)), Some(named)) if found == named => (named, mark),
        (_, Some(named)) => (named, 0),
        (None, None) => (guessed(&start, whole, name)?, 0),
    };
    let mut from = Cursor::new(start);
    from.set_position(mark as u64);
    let reader = from.chain(reader);
    let reader: Box<dyn Read + Send> = if encoding == UTF_8 {
        Box::new(reader)
    } else {
        let decoder = encoding.new_decoder_without_bom_handling();
        let encoding = if encoding == GB18030 { "GB18030" } else { encoding.name() };
        Box::new(Converted {
            inner: reader,
            decoder,
            encoding,
            name: name.to_string(),
            raw: vec![0; BLOCK_BYTES],
            out: Vec::new(),
            at: 0,
            ended: false,
        })
    };
    Ok(Text { reader, encoding, compression })
}

/// The bytes of a file, unpacked.
fn unpacked(file: Opened, name: &str) -> Result<(Box<dyn Read + Send>, Option<&'static str>)> {
    let taken = Arc::new(AtomicU64::new(0));
    let mut reader = BufReader::with_capacity(BLOCK_BYTES, Counted { inner: file, taken: taken.clone() });
    let start = io::BufRead::fill_buf(&mut reader).map_err(super::chunks::cannot_read)?;
    let bounded = |inner: Box<dyn Read + Send>| {
        Box::new(Unpacked { inner, name: name.to_string(), taken, given: 0 }) as Box<dyn Read + Send>
    };
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok((bounded(Box::new(flate2::bufread::MultiGzDecoder::new(reader))), Some("gzip")));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(super::chunks::cannot_read)?;
        return Ok((bounded(Box::new(decoder)), Some("zstd")));
    }
    Ok((Box::new(reader), None))
}

/// Counts what is read.
struct Counted {
    inner: Opened,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Refuses a packed file that is damaged, or unpacks to too much.
struct Unpacked {
    inner: Box<dyn Read + Send>,
    name: String,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).map_err(|e| {
            let text = format!("could not unpack file \"{}\": {e}", self.name);
            io::Error::other(Error::new(SqlState::BAD_COPY_FILE_FORMAT, text))
        })?;
        self.given += read as u64;
        if self.given > UNPACKED_MIN.max(self.taken.load(Ordering::Relaxed).saturating_mul(RATIO_MAX)) {
            let text = format!("file \"{}\" unpacks to more than {RATIO_MAX} times its size", self.name);
            return Err(io::Error::other(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text)));
        }
        Ok(read)
    }
}

/// What the bytes look like.
fn guessed(start: &[u8], whole: bool, name: &str) -> Result<&'static Encoding> {
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none() && !whole,
    };
    let has_zero = memchr(0, start).is_some();
    if is_utf8 && !has_zero {
        return Ok(UTF_8);
    }
    // Letters of ASCII in UTF-16 have a zero on one side.
    let zeros = |odd: usize| start.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if (even > 0) != (odd > 0) && (even + odd) * 8 > start.len() {
        return Ok(if odd > 0 { UTF_16LE } else { UTF_16BE });
    }
    let unknown = |why: &str| {
        let text = format!("could not tell the encoding of file \"{name}\": {why}");
        Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, text)
    };
    if is_utf8 {
        return Err(unknown("it has zero bytes, which no text has"));
    }
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let most = decoder.max_utf8_buffer_length_without_replacement(start.len()).unwrap_or(0);
    let mut out = vec![0; most];
    let (result, ..) = decoder.decode_to_utf8_without_replacement(start, &mut out, whole);
    if result != DecoderResult::InputEmpty || has_zero {
        return Err(unknown("it is neither UTF-8 nor GB18030").hint("Name it, as in encoding => 'latin1'."));
    }
    if start.split(|b| *b == b'\n').any(is_surely_utf8) {
        return Err(unknown("some lines are UTF-8, others are not").hint("Name it, as in encoding => 'gb18030'."));
    }
    Ok(GB18030)
}

/// Whether a line has characters of three bytes of UTF-8, which a line of GB18030 hardly ever looks like.
fn is_surely_utf8(line: &[u8]) -> bool {
    !line.is_ascii() && std::str::from_utf8(line).is_ok_and(|text| text.chars().any(|c| c >= '\u{800}'))
}

/// Text of another encoding as UTF-8.
struct Converted<R> {
    inner: R,
    decoder: Decoder,
    encoding: &'static str,
    /// The file's.
    name: String,
    raw: Vec<u8>,
    out: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Converted<R> {
    fn fill(&mut self) -> io::Result<()> {
        let read = self.inner.read(&mut self.raw)?;
        self.ended = read == 0;
        let most = self.decoder.max_utf8_buffer_length_without_replacement(read).unwrap_or(4 * BLOCK_BYTES);
        self.out.resize(most, 0);
        let (result, taken, written) =
            self.decoder.decode_to_utf8_without_replacement(&self.raw[..read], &mut self.out, self.ended);
        if let DecoderResult::Malformed(length, after) = result {
            let end = taken.saturating_sub(usize::from(after));
            let bytes = self.raw[end.saturating_sub(usize::from(length))..end].iter();
            let shown = bytes.map(|b| format!("0x{b:02x}")).collect::<Vec<_>>().join(" ");
            let text = match shown.as_str() {
                "" => format!("the file ends within a character of encoding \"{}\"", self.encoding),
                shown => format!("invalid byte sequence for encoding \"{}\": {shown}", self.encoding),
            };
            let error = Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, text);
            return Err(io::Error::other(error.context(format!("file \"{}\"", self.name))));
        }
        self.out.truncate(written);
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Converted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            if self.ended {
                return Ok(0);
            }
            self.fill()?;
        }
        let count = buffer.len().min(self.out.len() - self.at);
        buffer[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Lines whose fields stand apart by any number of blanks, as lines with one tab between the fields.
pub(crate) struct BlankRuns<R> {
    inner: R,
    /// At the beginning of a line, or behind blanks.
    start: bool,
    gap: bool,
    raw: Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> BlankRuns<R> {
    pub(crate) fn new(inner: R) -> BlankRuns<R> {
        BlankRuns { inner, start: true, gap: false, raw: vec![0; BLOCK_BYTES], out: Vec::new(), at: 0 }
    }
}

impl<R: Read> Read for BlankRuns<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            let read = self.inner.read(&mut self.raw)?;
            if read == 0 {
                return Ok(0);
            }
            (self.at, self.out) = (0, std::mem::take(&mut self.out));
            self.out.clear();
            for b in &self.raw[..read] {
                match b {
                    b' ' | b'\t' => self.gap = true,
                    b'\r' | b'\n' => {
                        (self.start, self.gap) = (true, false);
                        self.out.push(*b);
                    }
                    other => {
                        if std::mem::take(&mut self.gap) && !self.start {
                            self.out.push(b'\t');
                        }
                        self.start = false;
                        self.out.push(*other);
                    }
                }
            }
        }
        let count = buffer.len().min(self.out.len() - self.at);
        buffer[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
