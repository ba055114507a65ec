//! What must reach the broker, kept on disk until it has.
//!
//! In come publications, each transition's in one [`append`](Outbox::append); out go the same publications in the same
//! order, as often as the link needs them, until the broker has confirmed that very packet. The last transitions stay
//! for replay, and each stream's newest state stays for ever. The room never looks into a payload, knows no broker and
//! reads no clock. The bytes on disk are described in `FORMAT.md` beside this file.

mod error;
mod ledger;
mod limits;
#[cfg(test)]
mod model_tests;
mod queue;
mod recovery;
mod segment;
mod store;

pub use error::OutboxError;
pub use limits::{Counters, Durability, Limits};
pub use queue::{Entry, EntryId, Newest, Outbox, Publication};
pub use recovery::{Quarantined, Recovery};
