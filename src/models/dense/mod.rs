//! Dense: a graph of whole windows, typed by tract, becomes a list of steps over sheets of values, one row a time step.
//! What it cannot read it names, and another engine takes the graph.
//!
//! Rows of zeros stand before and after each sheet, so that all that a convolution reads for one output lies in one piece
//! and nothing is copied out for it. Sheets are let to others once they were read; nothing is allocated after the start.

mod denoiser;
mod draft;
mod graph;
mod kernel;
mod network;
mod program;

pub(super) use self::denoiser::DenseDenoiser;
pub(super) use self::graph::compile;
pub use self::network::DenseNetwork;
pub(super) use self::program::{Program, Sheets};
