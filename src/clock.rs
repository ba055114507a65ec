//! Both clocks of the gateway, read once by the outermost layer and handed inwards.

use std::time::Duration;

use jiff::Timestamp;

/// One reading of both clocks.
///
/// Delays and rates are measured on `steady`, which no clock step can move; stamps come from `utc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, UTC.
    pub utc: Timestamp,
    /// Time since an arbitrary start; never goes back.
    pub steady: Duration,
}
