//! Files of the server, which COPY and the `read_…` functions read, and COPY writes.
//!
//! They lie below one folder, `file_root` of the node's settings: [`root`] finds them there and nowhere else; or, named by
//! `s3://…`, below the buckets of `s3_files` ([`bucket`]). Bytes
//! are read and written on threads of their own, a few chunks ahead of who takes them ([`chunks`]), since a disk may be
//! slow and the threads of queries must not wait for it. Who may read or write is asked before, by
//! [`authorize`](crate::authorize).
//!
//! A call in FROM ([`call`]) is a relation ([`table`]): the beginning of each file tells its columns ([`detect`]), and every
//! format but Parquet becomes rows of csv in UTF-8 ([`bytes`], [`json`], [`xlsx`]) that COPY's decoder reads, so that values,
//! types and errors are those of COPY. [`parquet`] has types of its own. An [`upload`] takes the same way into a table.

mod bucket;
mod bytes;
mod call;
mod chunks;
mod detect;
mod glob;
mod json;
mod opened;
mod parquet;
mod preview;
mod root;
mod table;
mod upload;
mod xlsx;

pub use bucket::S3Files;
pub(crate) use call::{Call, reads_files, relation};
pub(crate) use chunks::{Chunks, Sink};
pub(crate) use opened::Opened;
pub(crate) use root::{Root, Target};
pub(crate) use table::open;
pub(crate) use upload::Upload;

/// Appends a value of csv in quotes.
fn quoted(value: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for b in value.bytes() {
        if b == b'"' {
            out.push(b'"');
        }
        out.push(b);
    }
    out.push(b'"');
}
