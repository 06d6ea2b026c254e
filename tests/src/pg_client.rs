//! A small PostgreSQL client that shows every byte: frames can be written by hand and are read as they come.
//!
//! Real drivers hide what these tests want to see (field OIDs of the simple protocol, the transaction status, what
//! follows garbage). It speaks protocol 3.0 without TLS and answers no password request.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One message from the server.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// The fields of an ErrorResponse or NoticeResponse, by their letter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) HashMap<char, String>);

impl Fields {
    /// A field, or the empty string.
    pub(crate) fn get(&self, letter: char) -> &str {
        self.0.get(&letter).map_or("", String::as_str)
    }

    /// The SQLSTATE.
    pub(crate) fn code(&self) -> &str {
        self.get('C')
    }

    /// The primary message.
    pub(crate) fn message(&self) -> &str {
        self.get('M')
    }
}

/// What one statement answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Rows { columns: Vec<Field>, rows: Vec<Vec<Option<String>>>, tag: String },
    Done { tag: String },
    Empty,
    Error(Fields),
}

/// One column of a RowDescription.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) oid: u32,
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    /// ParameterStatus as last reported.
    pub(crate) parameters: HashMap<String, String>,
    /// BackendKeyData: process id and secret.
    pub(crate) key: (i32, Bytes),
    /// The byte of the last ReadyForQuery.
    pub(crate) status: u8,
    /// NoticeResponses since the last [`Client::take_notices`].
    notices: Vec<Fields>,
}

impl Client {
    /// Connects and logs in as `user` without a password.
    pub(crate) async fn connect(port: u16, user: &str, database: &str) -> Result<Client> {
        Client::connect_with(port, &[("user", user), ("database", database)]).await
    }

    /// Connects with any startup parameters. A refused login is an error whose text is `[SQLSTATE] message`.
    pub(crate) async fn connect_with(port: u16, parameters: &[(&str, &str)]) -> Result<Client> {
        let mut client = Client::open(port).await?;
        client.send(&startup(parameters)).await?;
        client.finish_login().await?;
        Ok(client)
    }

    /// A connection on which nothing was sent yet.
    pub(crate) async fn open(port: u16) -> Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            buffer: BytesMut::with_capacity(64 * 1024),
            parameters: HashMap::new(),
            key: (0, Bytes::new()),
            status: 0,
            notices: Vec::new(),
        })
    }

    async fn finish_login(&mut self) -> Result<()> {
        loop {
            let mut frame = self.read().await?;
            match frame.tag {
                b'R' if frame.body.get_i32() == 0 => {}
                b'K' => self.key = (frame.body.get_i32(), frame.body),
                b'Z' => return Ok(()),
                b'E' => {
                    let fields = fields(&frame.body);
                    return Err(Error::other(format!("[{}] {}", fields.code(), fields.message())));
                }
                other => return Err(invalid(format!("unexpected message '{}' at login", char::from(other)))),
            }
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message. ParameterStatus and NoticeResponse are taken note of and passed over.
    pub(crate) async fn read(&mut self) -> Result<Frame> {
        loop {
            let mut frame = self.read_any().await?;
            match frame.tag {
                b'S' => {
                    let name = cstring(&mut frame.body);
                    let value = cstring(&mut frame.body);
                    self.parameters.insert(name, value);
                }
                b'N' => self.notices.push(fields(&frame.body)),
                b'Z' => {
                    self.status = frame.body[0];
                    return Ok(frame);
                }
                _ => return Ok(frame),
            }
        }
    }

    /// The next message of any kind.
    pub(crate) async fn read_any(&mut self) -> Result<Frame> {
        loop {
            if self.buffer.len() >= 5 {
                let length = (&self.buffer[1..5]).get_u32() as usize;
                if self.buffer.len() > length {
                    let tag = self.buffer[0];
                    let mut whole = self.buffer.split_to(length + 1).freeze();
                    whole.advance(5);
                    return Ok(Frame { tag, body: whole });
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }

    /// All messages up to and with ReadyForQuery.
    pub(crate) async fn read_to_ready(&mut self) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.read().await?;
            let done = frame.tag == b'Z';
            frames.push(frame);
            if done {
                return Ok(frames);
            }
        }
    }

    /// Runs a query string by the simple protocol: one answer a statement.
    pub(crate) async fn simple(&mut self, sql: &str) -> Result<Vec<Answer>> {
        self.send(&query(sql)).await?;
        Ok(answers(self.read_to_ready().await?))
    }

    /// Runs one statement by the extended protocol, all values as text.
    pub(crate) async fn extended(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Answer> {
        let mut out = parse("", sql, &[]);
        out.extend(bind("", "", parameters, 0));
        out.extend(describe(b'P', ""));
        out.extend(execute("", 0));
        out.extend(sync());
        self.send(&out).await?;
        Ok(answers(self.read_to_ready().await?).pop().unwrap_or(Answer::Empty))
    }

    /// Notices that came since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Fields> {
        std::mem::take(&mut self.notices)
    }
}

/// Groups messages into one answer a statement.
pub(crate) fn answers(frames: Vec<Frame>) -> Vec<Answer> {
    let mut all = Vec::new();
    let mut columns: Option<Vec<Field>> = None;
    let mut rows = Vec::new();
    for frame in frames {
        match frame.tag {
            b'T' => columns = Some(row_description(frame.body)),
            b'D' => rows.push(data_row(frame.body)),
            b'C' | b's' => {
                let mut body = frame.body;
                let tag = if frame.tag == b'C' { cstring(&mut body) } else { "suspended".to_string() };
                all.push(match columns.take() {
                    Some(columns) => Answer::Rows { columns, rows: std::mem::take(&mut rows), tag },
                    None => Answer::Done { tag },
                });
            }
            b'I' => all.push(Answer::Empty),
            b'E' => all.push(Answer::Error(fields(&frame.body))),
            _ => {}
        }
    }
    all
}

/// The columns of a RowDescription.
pub(crate) fn row_description(mut body: Bytes) -> Vec<Field> {
    let count = body.get_u16();
    (0..count)
        .map(|_| {
            let name = cstring(&mut body);
            body.advance(6);
            let oid = body.get_u32();
            body.advance(8);
            Field { name, oid }
        })
        .collect()
}

/// The values of a DataRow in text format.
pub(crate) fn data_row(mut body: Bytes) -> Vec<Option<String>> {
    let count = body.get_u16();
    (0..count)
        .map(|_| {
            let length = usize::try_from(body.get_i32()).ok()?;
            Some(String::from_utf8_lossy(&body.split_to(length)).into_owned())
        })
        .collect()
}

/// The fields of an ErrorResponse or NoticeResponse.
pub(crate) fn fields(body: &Bytes) -> Fields {
    let mut body = body.clone();
    let mut map = HashMap::new();
    while body.has_remaining() {
        let letter = body.get_u8();
        if letter == 0 {
            break;
        }
        map.insert(char::from(letter), cstring(&mut body));
    }
    Fields(map)
}

/// Takes a string that ends with a zero byte.
pub(crate) fn cstring(body: &mut Bytes) -> String {
    let end = body.iter().position(|b| *b == 0).unwrap_or(body.len());
    let text = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    if body.has_remaining() {
        body.advance(1);
    }
    text
}

/// StartupMessage of protocol 3.0.
pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_i32(196_608);
    for (name, value) in parameters {
        put_cstring(&mut body, name);
        put_cstring(&mut body, value);
    }
    body.put_u8(0);
    let mut out = Vec::with_capacity(body.len() + 4);
    out.put_i32(i32::try_from(body.len() + 4).expect("a short message"));
    out.extend(body);
    out
}

/// CancelRequest.
pub(crate) fn cancel(key: &(i32, Bytes)) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_i32(i32::try_from(12 + key.1.len()).expect("a short message"));
    out.put_i32(80_877_102);
    out.put_i32(key.0);
    out.extend_from_slice(&key.1);
    out
}

/// A message with a tag.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    out.put_u8(tag);
    out.put_u32(u32::try_from(body.len() + 4).expect("below 4 GiB"));
    out.extend_from_slice(body);
    out
}

/// Query.
pub(crate) fn query(sql: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_cstring(&mut body, sql);
    message(b'Q', &body)
}

/// Parse.
pub(crate) fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    put_cstring(&mut body, name);
    put_cstring(&mut body, sql);
    body.put_u16(u16::try_from(types.len()).expect("few types"));
    for oid in types {
        body.put_u32(*oid);
    }
    message(b'P', &body)
}

/// Bind with text parameters and all results in `format` (0 text, 1 binary).
pub(crate) fn bind(portal: &str, statement: &str, parameters: &[Option<&str>], format: i16) -> Vec<u8> {
    let mut body = Vec::new();
    put_cstring(&mut body, portal);
    put_cstring(&mut body, statement);
    body.put_u16(0);
    body.put_u16(u16::try_from(parameters.len()).expect("few parameters"));
    for value in parameters {
        match value {
            None => body.put_i32(-1),
            Some(text) => {
                body.put_i32(i32::try_from(text.len()).expect("below 2 GiB"));
                body.extend_from_slice(text.as_bytes());
            }
        }
    }
    body.put_u16(1);
    body.put_i16(format);
    message(b'B', &body)
}

/// Describe of a statement (`S`) or portal (`P`).
pub(crate) fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &named(kind, name))
}

/// Close of a statement (`S`) or portal (`P`).
pub(crate) fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &named(kind, name))
}

/// Execute; 0 rows means all.
pub(crate) fn execute(portal: &str, rows: i32) -> Vec<u8> {
    let mut body = Vec::new();
    put_cstring(&mut body, portal);
    body.put_i32(rows);
    message(b'E', &body)
}

/// Sync.
pub(crate) fn sync() -> Vec<u8> {
    message(b'S', &[])
}

fn named(kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    put_cstring(&mut body, name);
    body
}

fn put_cstring(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.put_u8(0);
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidData, text)
}
