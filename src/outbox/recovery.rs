//! What opening found.

use std::path::PathBuf;

/// What was found in the directory and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Transitions that are held again.
    pub transitions: usize,
    /// Publications among them that the broker has not confirmed.
    pub unacknowledged: usize,
    /// Bytes of unfinished writes that were cut off, all segments together.
    pub torn_bytes: u64,
    /// Files that were set aside.
    pub quarantined: Vec<Quarantined>,
    /// The disk refuses writes; the outbox runs from memory.
    pub degraded: Option<String>,
}

impl Recovery {
    /// Nothing was cut, set aside or refused.
    pub fn is_clean(&self) -> bool {
        self.torn_bytes == 0 && self.quarantined.is_empty() && self.degraded.is_none()
    }
}

/// A file that was renamed aside, whole; what could be read of it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The name it had.
    pub name: String,
    /// Where it is now; `None` if the disk refused the rename and it was only passed over.
    pub moved_to: Option<PathBuf>,
    /// What was found, and where.
    pub reason: String,
    /// Transitions that were rescued out of it.
    pub rescued: usize,
}
