//! COPY's sub-protocol, in the simple and in the extended protocol.

use std::pin::pin;
use std::sync::Arc;

use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use sightline_sql::answer::{Column, RowStream};
use sightline_sql::codec::Style;
use sightline_sql::codec::copy::{CopyEncoder, CopyFormat, CopyOptions};
use sightline_sql::encoding::Encoding;
use sightline_sql::statement::copy::CopyIn;
use sightline_storage::error::{Error, SqlState};

use super::connection::{Connection, Link, Step, Stop, attend};
use super::error::shutdown;
use super::message::{Frontend, decode};
use super::rows::next_batch;
use super::wire::{Reader, Writer, framed};

impl Connection {
    /// COPY … FROM STDIN: takes data until CopyDone. Dropping the copy undoes it.
    pub(super) async fn copy_in(&mut self, mut copy: Box<CopyIn>) -> Step<()> {
        let (columns, format) = (copy.columns().len(), format_code(copy.options()));
        self.writer.message(&CopyInResponse::new(format as i8, columns as i16, vec![format; columns]))?;
        self.writer.flush().await?;
        let encoding = self.writer.encoding;
        receive(&mut self.reader, &self.link, &mut copy, encoding).await?;
        let done = attend(&mut self.reader, &self.link, Box::pin(copy.finish())).await?;
        done.notice.into_iter().for_each(|notice| self.session.notice(notice));
        self.complete(format!("COPY {}", done.rows))
    }

    /// COPY … TO STDOUT: a message a row, then CopyDone.
    pub(super) async fn copy_out(
        &mut self,
        columns: Arc<[Column]>,
        options: &CopyOptions,
        rows: RowStream,
    ) -> Step<()> {
        let (count, format) = (columns.len(), format_code(options));
        self.writer.message(&CopyOutResponse::new(format as i8, count as i16, vec![format; count]))?;
        let encoder = CopyEncoder::new(columns, options, Style::new(&self.session.format()))?;
        let sending = send(encoder, options.format, rows, &mut self.writer);
        let sent = attend(&mut self.reader, &self.link, sending).await?;
        self.writer.bare(b'c');
        self.complete(format!("COPY {sent}"))
    }
}

/// Takes the client's data until CopyDone.
async fn receive(reader: &mut Reader, link: &Link, copy: &mut CopyIn, encoding: Encoding) -> Step<()> {
    let mut grace = pin!(link.grace_over());
    loop {
        let next = tokio::select! {
            biased;
            next = reader.message() => next?,
            () = &mut grace => return Err(Stop::Fatal(shutdown())),
        };
        let Some((kind, body)) = next else { return Err(Stop::Left) };
        match decode(kind, body, encoding)? {
            Frontend::CopyData(data) => attend(reader, link, copy.write(data)).await?,
            Frontend::CopyDone => return Ok(()),
            Frontend::CopyFail(reason) => {
                let message = format!("COPY from stdin failed: {reason}");
                return Err(Error::new(SqlState::QUERY_CANCELED, message).into());
            }
            Frontend::Flush | Frontend::Sync => {}
            Frontend::Terminate => return Err(Stop::Left),
            _ => {
                let message = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                return Err(Stop::OutOfStep(Error::new(SqlState::PROTOCOL_VIOLATION, message)));
            }
        }
    }
}

fn format_code(options: &CopyOptions) -> i16 {
    i16::from(options.format == CopyFormat::Binary)
}

/// Sends all rows; their number. The header of the binary format shares the first row's message, as clients expect.
async fn send(mut encoder: CopyEncoder, format: CopyFormat, mut rows: RowStream, writer: &mut Writer) -> Step<u64> {
    let mut head = Vec::new();
    encoder.write_header(&mut head)?;
    if format != CopyFormat::Binary && !head.is_empty() {
        framed(&mut writer.buffer, b'd', |out| out.append(&mut head));
    }
    let mut sent = 0;
    while let Some(batch) = next_batch(&mut rows, writer).await? {
        let cells = encoder.prepare(&batch)?;
        for row in 0..batch.num_rows() {
            let at = writer.buffer.len();
            let written = framed(&mut writer.buffer, b'd', |out| {
                out.append(&mut head);
                encoder.write_row(&cells, row, out)
            });
            if let Err(e) = written {
                // Nothing of a row that its encoding has not.
                writer.buffer.truncate(at);
                return Err(e.into());
            }
            writer.relieve().await?;
        }
        sent += batch.num_rows() as u64;
    }
    encoder.write_trailer(&mut head);
    if !head.is_empty() {
        framed(&mut writer.buffer, b'd', |out| out.append(&mut head));
    }
    Ok(sent)
}
