//! State detection (ISO 13374 SD): samples come in, one score goes out, where 1.0 is the limit, with each channel's share, and
//! whether what it was fitted to still holds.
//!
//! Everything is fitted in closed form to a machine's own rows and scored from the rows up to the newest. This room
//! knows neither alarms nor the time of day.

mod attribution;
mod calibration;
mod charts;
mod contribution;
mod cycle;
mod detector;
mod distance;
mod doubt;
mod drift;
mod limit;
#[cfg(test)]
mod made_up;
pub(crate) mod matrix;
mod mewma;
mod outlying;
mod parts;
mod period;
mod phase;
mod scatter;
mod slow_mean;

pub use calibration::{Calibration, CalibrationError, ChannelProfile, CycleReport, Part, Role};
pub use contribution::{Contribution, Direction};
pub use cycle::phases_of;
pub use detector::{Circumstances, Detector, DetectorMemory, Judgement, Stage};
pub use doubt::{OutlyingChannel, OutlyingStretch};
pub use drift::{Drift, DriftReport, DriftedChannel};
pub use limit::LimitReport;
pub use parts::PartReport;
pub use period::{LoadCycle, Rhythm};
pub use phase::{FittedPhases, PhaseTracker};

/// How a score is made: a calibration is of no use to another recipe, so whoever changes one changes its name.
pub const RECIPE: &str = "standardise; charts of level, scatter and cycle on one cross-fitted scale; residual of the kind's network; \
                          a limit that goes on learning; recipe 7";
