//! The daemon: a configuration and what it names come in, and until it is told to stop, telemetry becomes alarms.
//!
//! Wiring only: one task polls the broker ([`transport`](crate::transport)), one thread scores and keeps the outbox. No
//! arithmetic happens here.

mod broker;
mod daemon;
mod feedback;
mod own_alarm;
mod pipeline;
mod refusals;
mod service;
mod twin;
mod twins;
mod workshop;

pub use broker::{Access, broker_options};
pub use daemon::{Daemon, DaemonError, ReloadError};
pub use service::{tell_ready, tell_reloading};
pub use workshop::{Stock, StockedKind, StockedTwin, Workshop};
