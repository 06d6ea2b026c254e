//! PostgreSQL's protocol: bytes to [`Session`](sightline_sql::session::Session) calls and back, no database behaviour.
//!
//! 1. [`listen`] accepts connections and owns their tasks.
//! 2. [`startup`] refuses encryption, negotiates the version, lets in or cancels a statement.
//! 3. [`connection`] reads one message after the other ([`wire`], [`message`]) and hands it on to
//! 4. [`query`], the simple protocol, or [`extended`], with its statements and portals ([`portal`]), and
//! 5. [`rows`] and [`copy`] stream data through a buffer of 64 KiB: a slow client stops the query, not fill memory.
//! 6. [`error`] says what went wrong.
//!
//! A statement is never dropped half way: when the client leaves or the server stops, it is cancelled and awaited.

pub mod listen;

mod connection;
mod copy;
mod error;
mod extended;
mod message;
mod portal;
mod query;
mod rows;
mod sasl;
mod startup;
mod wire;
