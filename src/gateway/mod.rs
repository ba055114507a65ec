//! The daemon: a configuration and what it names come in, and until it is told to stop, telemetry becomes alarms.
//!
//! Wiring only: one task polls the broker ([`transport`](crate::transport)), one thread scores and keeps the outbox. No
//! arithmetic happens here.

mod daemon;
mod pipeline;
mod refusals;
mod service;
mod workshop;

pub use daemon::{Access, Daemon, DaemonError};
pub use workshop::{Stock, StockedKind, Workshop};
