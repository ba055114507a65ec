//! Data manipulation (ISO 13374 DM): readings come in, aligned [`Sample`]s and fixed-capacity [`Window`]s go out.
//!
//! This room knows neither models nor alarms. Its memory is fixed once a machine's channels are known.

mod align;
mod channels;
mod quality;
mod scaling;
mod window;

pub use align::{Aligner, Alignment, Arrival};
pub use channels::{Channels, MOST_CHANNELS};
pub use quality::{Fault, Limits, Plausibility};
pub use scaling::{Scaling, quantile};
pub use window::{LARGEST_WINDOW, Window, WindowTooLarge};

use jiff::Timestamp;

/// A machine's channel values at one time, in the order of its [`Channels`]; NaN where a channel has no value.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    pub time: Timestamp,
    pub values: &'a [f64],
}
