//! The one connection to the broker, behind one door.
//!
//! Publications come in, each with the outbox's [`EntryId`](crate::outbox::EntryId) if it must not be lost; out come
//! [`LinkEvent`]s: messages with the token that acknowledges them, the broker's confirmation of that very publication,
//! and whatever was lost with a connection. Nothing outside sees the client library or a packet id, and nothing here
//! looks into a payload or knows a machine. Every decision is taken by a state machine without sockets and clocks
//! (`connection.rs`); the task that drives it (`link.rs`) only polls and moves bytes. Certificates are read in `tls.rs` and
//! changed while the link runs (`rotation.rs`). A [`Probe`] tries a broker step by step instead, for `doctor`.

#[cfg(test)]
#[path = "../../tests/support/certificates.rs"]
mod certificates;
mod connection;
mod event;
mod link;
mod options;
mod outstanding;
mod poison;
mod probe;
mod rotation;
mod schedule;
mod subscriptions;
mod tls;
mod tls_words;
mod wire;

pub use event::{AckToken, LinkEvent, LinkMetrics, Qos, Refusal};
pub use link::{Link, LinkEvents, LinkHandle};
pub use options::{Credentials, LinkOptions, OptionsError};
pub use probe::{Probe, ProbeFault};
pub use tls::{Ends, Tls, TlsError, TlsFiles};
