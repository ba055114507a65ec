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

/// How a score is made, constants and all: a calibration is of no use to another recipe.
pub const RECIPE: &str = "standardise clip 30; MEWMA lambda 0.08 ridge 1e-3, limit 4 x the 0.99 quantile of T2 cross-fitted \
                          in 4 blocks; residual of the kind's network, MEWMA likewise; \
                          geometric mean, channels weighted by the variance that the network leaves unexplained";
