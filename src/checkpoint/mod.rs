//! Checkpoints: what a gateway has learned of its machines comes in and comes back after a restart; on disk it stands whole or
//! not at all.
//!
//! The formats stand in `FORMAT.md` beside this file. It never judges what a calibration says, only whether it is whole.

mod atomic;
mod calibrations;
mod filters;
mod generators;
mod memories;

pub use atomic::write_atomically;
pub use calibrations::{Calibrations, CheckpointError, Found};
pub use filters::Filters;
pub use generators::{FoundGenerator, Generators};
pub use memories::Memories;
