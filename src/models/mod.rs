//! Models: a package folder's bytes come in, a verified [`Model`] that hands out one [`Denoiser`] a machine goes out.
//!
//! Nothing of a package is used before its manifest was read, its files hashed, its graph held against the contract and
//! its test vectors reproduced. It then runs on the fastest of four engines that gives what whole windows give: the
//! ring, tract one column a call, own code for whole windows, or tract with the whole window. A package whose task is to
//! make telemetry becomes a [`GeneratorModel`] by the same rules. This room knows neither telemetry nor alarms.

mod denoiser;
mod dense;
mod engine;
mod folder;
mod generator;
mod intake;
mod manifest;
mod network;
mod package;
mod pulse;
mod reference;
mod ring;
mod shipped;
#[cfg(test)]
mod sketch;
mod vectors;
mod window;

pub use denoiser::{Denoiser, InferenceError};
pub use dense::DenseNetwork;
pub use engine::{EngineKind, TurnedDown};
pub use folder::Folder;
pub use generator::{
    Family, GeneratorKeys, GeneratorManifest, GeneratorModel, Networks, Prediction, SamplerName, ScheduleName, Stage,
};
pub use intake::{PackageError, PackageFiles, Task, task};
pub use manifest::{ChannelContract, Contract, Manifest, Training};
pub use package::{Model, Reproduced};
pub use shipped::{Shipped, shipped, shipped_names};
