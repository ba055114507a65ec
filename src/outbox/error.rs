//! Why the outbox refuses.

use std::{io, path::PathBuf};

use super::segment::MAX_PUBLICATIONS;

/// A call that the outbox cannot serve. Damage on disk is never an error: it is quarantined and reported in
/// [`Recovery`](super::Recovery); a full or read-only disk is [`Durability::Degraded`](super::Durability::Degraded).
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The directory can be neither created nor read, and not because the disk is full or read-only.
    #[error("outbox {}: expected a directory that this user may read and write, found: {source}; correct `state_dir` or its owner", path.display())]
    Unusable {
        /// The directory or file that was touched.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("outbox {}: is open in another process; stop that one, or give this gateway its own `state_dir`", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A transition older than the newest one of its stream.
    #[error(
        "outbox, stream {stream:?}: expected a seq of at least {newest}, found {found}; restore seq from `Outbox::seq` at start"
    )]
    SeqWentBack {
        /// The stream.
        stream: String,
        /// Its newest seq.
        newest: u64,
        /// The one offered.
        found: u64,
    },
    /// Not between one and eight publications.
    #[error(
        "outbox, stream {stream:?}, seq {seq}: expected 1 to {MAX_PUBLICATIONS} publications in one transition, found {found}; split it"
    )]
    Count {
        /// The stream.
        stream: String,
        /// The transition.
        seq: u64,
        /// How many were offered.
        found: usize,
    },
    /// A name or a payload beyond what the format holds.
    #[error("outbox, stream {stream:?}, seq {seq}: {what} is {found} bytes, expected at most {limit}; shorten it")]
    TooLong {
        /// The stream, cut to 64 characters.
        stream: String,
        /// The transition.
        seq: u64,
        /// Which part.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The most that fits.
        limit: usize,
    },
}
