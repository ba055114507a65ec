//! State detection (ISO 13374 SD): samples come in, one score goes out, where 1.0 is the limit, with each channel's share.
//!
//! Everything is fitted in closed form to a machine's own rows and scored from the rows up to the newest. This room
//! knows neither alarms nor the time of day.

mod calibration;
mod contribution;
mod detector;
mod matrix;
mod mewma;

pub use calibration::{Calibration, CalibrationError, ChannelProfile, Part, Role};
pub use contribution::{Contribution, Direction};
pub use detector::{Detector, DetectorMemory, Judgement};

/// How a score is made: a calibration is of no use to another recipe, so whoever changes one changes its name.
pub const RECIPE: &str =
    "standardise, MEWMA, four-fold limit, residual of the kind's network, weighted geometric mean; recipe 2";
