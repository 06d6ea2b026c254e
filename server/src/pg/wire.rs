//! The two halves of a connection: messages in, and a bounded buffer of messages out.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::Message;
use sightline_sql::encoding::Encoding;
use sightline_storage::error::{Error, SqlState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::message::length_max;

/// Bytes of answers that are collected before the socket is awaited. With the kernel's buffers it is all that a slow
/// client makes us hold.
const OUT_BYTES: usize = 64 * 1024;
/// How far ahead a client that pipelines is read while a statement runs.
const AHEAD_BYTES: usize = 64 * 1024;
/// The most a read asks for at once.
const READ_BYTES: usize = 256 * 1024;
/// The most bytes of a packet before login.
const STARTUP_MAX: usize = 10_000;

/// Why a connection cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// The client breaks the protocol; it is told and left.
    Protocol(Error),
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Broken {
        Broken::Io(e)
    }
}

/// What the client sends.
pub(super) struct Reader {
    socket: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
}

impl Reader {
    /// Reads from a socket, encrypted or not, of which `first` was read before.
    pub(super) fn new(socket: impl AsyncRead + Send + Unpin + 'static, first: &[u8]) -> Reader {
        Reader { socket: Box::new(socket), buffer: BytesMut::from(first) }
    }

    /// Waits for more bytes; false at the end. Safe to drop at any time.
    async fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        self.buffer.reserve(wanted.clamp(4096, READ_BYTES));
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next message's kind and body, or none when the client has left. Safe to drop at any time.
    ///
    /// # Errors
    /// 08P01 for an unknown kind or an impossible length.
    pub(super) async fn message(&mut self) -> Result<Option<(u8, Bytes)>, Broken> {
        loop {
            let missing = match self.header()? {
                Some((kind, length)) if self.buffer.len() > length => {
                    self.buffer.advance(5);
                    return Ok(Some((kind, self.buffer.split_to(length - 4).freeze())));
                }
                Some((_, length)) => length + 1 - self.buffer.len(),
                None => 0,
            };
            if !self.fill(missing).await? {
                return Ok(None);
            }
        }
    }

    /// The kind and length field of the message at the front, if they have come.
    fn header(&self) -> Result<Option<(u8, usize)>, Broken> {
        let broken = |message: String| Broken::Protocol(Error::new(SqlState::PROTOCOL_VIOLATION, message));
        let Some(kind) = self.buffer.first().copied() else { return Ok(None) };
        let Some(most) = length_max(kind) else {
            return Err(broken(format!("invalid frontend message type {kind}")));
        };
        let Some(length) = self.buffer.get(1..5) else { return Ok(None) };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if !(4..=most).contains(&length) {
            return Err(broken("invalid message length".into()));
        }
        Ok(Some((kind, length)))
    }

    /// Whether a message of this kind has already come as the next.
    pub(super) fn next_is(&self, kind: u8) -> bool {
        self.buffer.first() == Some(&kind)
    }

    /// What a client answers to a demand for a password; none if it left.
    ///
    /// # Errors
    /// 08P01 for any other message, and for one that is too long.
    pub(super) async fn password_message(&mut self) -> Result<Option<Bytes>, Broken> {
        let broken = |message: String| Broken::Protocol(Error::new(SqlState::PROTOCOL_VIOLATION, message));
        loop {
            if let Some(kind) = self.buffer.first().filter(|kind| **kind != b'p') {
                return Err(broken(format!("expected password response, got message type {kind}")));
            }
            if let Some(head) = self.buffer.get(1..5) {
                let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
                if !(4..=STARTUP_MAX).contains(&length) {
                    return Err(broken("invalid message length".to_string()));
                }
                if self.buffer.len() > length {
                    self.buffer.advance(5);
                    return Ok(Some(self.buffer.split_to(length - 4).freeze()));
                }
            }
            if !self.fill(0).await? {
                return Ok(None);
            }
        }
    }

    /// A packet of before login, without its length; none if the client left or sent what is no such packet.
    pub(super) async fn startup_packet(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(head) = self.buffer.get(..4) {
                let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
                if !(8..=STARTUP_MAX).contains(&length) {
                    return Ok(None);
                }
                if self.buffer.len() >= length {
                    self.buffer.advance(4);
                    return Ok(Some(self.buffer.split_to(length - 4).freeze()));
                }
            }
            if !self.fill(0).await? {
                return Ok(None);
            }
        }
    }

    /// Reads ahead while a statement runs, and returns only when the client has left. Safe to drop at any time.
    pub(super) async fn left(&mut self) {
        loop {
            if self.buffer.len() >= AHEAD_BYTES {
                std::future::pending::<()>().await;
            }
            if !matches!(self.fill(0).await, Ok(true)) {
                return;
            }
        }
    }
}

/// What the client is sent.
pub(super) struct Writer {
    socket: Box<dyn AsyncWrite + Send + Unpin>,
    /// What is not sent yet; encoders append to it.
    pub buffer: Vec<u8>,
    /// The client's, into which the texts of messages are put.
    pub encoding: Encoding,
    scratch: BytesMut,
}

impl Writer {
    /// Writes to a socket.
    pub(super) fn new(socket: impl AsyncWrite + Send + Unpin + 'static) -> Writer {
        Writer { socket: Box::new(socket), buffer: Vec::new(), encoding: Encoding::UTF8, scratch: BytesMut::new() }
    }

    /// Appends a message of pgwire's.
    ///
    /// # Errors
    /// If the message is longer than clients accept.
    pub(super) fn message(&mut self, message: &impl Message) -> io::Result<()> {
        self.scratch.clear();
        message.encode(&mut self.scratch).map_err(io::Error::other)?;
        if self.encoding.is_utf8() || self.scratch.is_ascii() {
            self.buffer.extend_from_slice(&self.scratch);
        } else {
            transcode(&self.scratch, self.encoding, &mut self.buffer);
        }
        Ok(())
    }

    /// Appends a message without a body.
    pub(super) fn bare(&mut self, kind: u8) {
        self.buffer.extend_from_slice(&[kind, 0, 0, 0, 4]);
    }

    /// Sends what there is, if it is a good deal: call it after each row.
    pub(super) async fn relieve(&mut self) -> io::Result<()> {
        if self.buffer.len() >= OUT_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Whether something waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Sends all.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let mut sent = self.socket.write_all(&self.buffer).await;
        if sent.is_ok() {
            // An encrypted socket has a buffer of its own.
            sent = self.socket.flush().await;
        }
        self.buffer.clear();
        self.buffer.shrink_to(OUT_BYTES);
        sent
    }
}

/// Appends a message of pgwire's with its texts in the client's encoding. A character that this has not is a question mark:
/// names of columns and messages must not fail.
fn transcode(message: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    let (kind, body) = (message[0], &message[5..]);
    let put = |text: &[u8], out: &mut Vec<u8>| match std::str::from_utf8(text) {
        Ok(text) => out.extend_from_slice(&encoding.encode_lossy(text)),
        Err(_) => out.extend_from_slice(text),
    };
    framed(out, kind, |out| match kind {
        // Behind each name stand 18 bytes of numbers.
        b'T' => {
            let (count, mut rest) = body.split_at(body.len().min(2));
            out.extend_from_slice(count);
            while let Some(end) = rest.iter().position(|b| *b == 0) {
                put(&rest[..end], out);
                let next = rest.len().min(end + 19);
                out.extend_from_slice(&rest[end..next]);
                rest = &rest[next..];
            }
        }
        // Letters, texts and the NULs behind them.
        b'E' | b'N' | b'S' | b'C' => put(body, out),
        _ => out.extend_from_slice(body),
    });
}

/// Writes a message whose length is known only at its end.
pub(super) fn framed<T>(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = body(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    written
}
