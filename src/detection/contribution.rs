use serde::{Deserialize, Serialize};

use crate::acquisition::Name;

/// One channel's part in a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    pub channel: Name,
    /// Its part of the whole; the shares of one score sum to 1.
    pub share: f64,
    pub direction: Direction,
    /// Where the channel has been of late: its exponentially weighted mean, in `unit`.
    pub value: Option<f64>,
    /// Where a sound machine would have been, weighted in the same way, in `unit`.
    pub expected: Option<f64>,
    pub unit: Option<String>,
}

/// On which side of what was expected a channel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    High,
    Low,
    /// Not a matter of level: frozen, or scattered.
    Neither,
}
