//! Files of the server, which COPY and the `read_…` functions read, and COPY writes.
//!
//! All of them lie below one folder, `file_root` of the node's settings: [`root`] finds them there and nowhere else. Bytes
//! are read and written on threads of their own, a few chunks ahead of who takes them ([`chunks`]), since a disk may be
//! slow and the threads of queries must not wait for it. Who may read or write is asked before, by
//! [`authorize`](crate::authorize).

mod chunks;
mod root;

pub(crate) use chunks::{Chunks, Sink};
pub(crate) use root::{Root, Target};
