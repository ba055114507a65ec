//! Generators: a package whose task is `generate` comes in, verified networks that run many windows a call go out.
//!
//! It is held to the rules of a package that scores: trusted manifest, hashed files, graphs as the manifest says, vectors
//! reproduced. What the networks are called with and in which order is not known here.

mod batch;
mod check;
mod manifest;
mod package;
mod vectors;

pub use batch::Stage;
pub use manifest::{Family, GeneratorKeys, GeneratorManifest, Prediction, SamplerName, ScheduleName};
pub use package::{GeneratorModel, Networks};
