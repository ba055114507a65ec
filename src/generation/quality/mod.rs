//! Quality: real windows, held-out real windows and synthetic ones come in, figures and gates go out. One measure a file.
//!
//! No figure stands alone: beside it stand what real windows get that the training never saw, and two Gaussians fitted
//! here, one plain and one whose mean is a linear model of the labels. This room reads no file and draws nothing.

mod autocorrelation;
mod baseline;
mod classifier;
mod correlation;
mod frechet;
mod gate;
mod labels;
mod linear;
mod marginal;
mod mmd;
mod pictures;
mod privacy;
#[cfg(test)]
mod reference_tests;
mod report;
mod spectrum;
mod two_sample;
mod windows;

pub use gate::Gate;
pub use pictures::{Curves, Pictures};
pub use report::{Figure, Report, assess};
pub use windows::{Window, WindowSet, WindowsError};
