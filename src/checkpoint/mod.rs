//! Checkpoints: what a gateway has learned of a machine, on disk, written whole or not at all.
//!
//! The format stands in `FORMAT.md` beside this file. What a calibration means is none of this room's business.

mod atomic;
mod calibrations;
mod memories;

pub use atomic::write_atomically;
pub use calibrations::{Calibrations, CheckpointError, Found};
pub use memories::Memories;
