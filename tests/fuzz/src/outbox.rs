//! What the transport's files, which `transport.rs` compiles in, know of the outbox.

use std::fmt;

pub use wheeltapper::outbox::Publication;

/// Names one publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
