//! How much the outbox keeps, what it counts, and how safe its newest entries are.

use std::time::Duration;

/// The bounds. When one is reached, what goes first is written in `FORMAT.md` under "Overflow".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on disk, all segments together.
    pub bytes: u64,
    /// Age of an entry, by the wall clock. Entries stamped before 2024 have no known age and do not expire.
    pub age: Duration,
    /// Confirmed transitions that are kept for replay.
    pub kept: usize,
    /// Transitions that are held in memory while the disk refuses.
    pub in_memory: usize,
    /// Size at which a segment file is closed and the next one begun.
    pub segment: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 64 << 20,
            age: Duration::from_secs(30 * 24 * 3600),
            kept: 1_000,
            in_memory: 1_000,
            segment: 1 << 20,
        }
    }
}

/// Whether everything appended so far would survive a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "telemetry may be acknowledged only when its transitions are on disk, or when the loss is accepted"]
pub enum Durability {
    /// On disk and fsynced.
    Synced,
    /// The disk refuses; the newest transitions are in memory only. The outbox tries again by itself.
    Degraded {
        /// What the system answered.
        cause: String,
        /// Transitions that only memory holds.
        in_memory: usize,
    },
}

/// What has happened since the outbox was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Publications appended.
    pub appended: u64,
    /// Publications confirmed by the broker.
    pub acknowledged: u64,
    /// Transitions given up although the broker had not confirmed all of them. Each is a lost event.
    pub dropped_unacknowledged: u64,
    /// Confirmed transitions let go by the ordinary bounds.
    pub retired: u64,
    /// Retained publications left unsent because a newer state of the same topic had already gone out.
    pub superseded: u64,
    /// Transitions that could not be read back from disk.
    pub damaged: u64,
    /// Writes that the disk refused.
    pub write_failures: u64,
    /// Times that sparse segments were rewritten into one.
    pub compactions: u64,
}
