use std::time::Duration;

use serde::Deserialize;

use crate::acquisition::Name;
use crate::notation::duration;

/// `manifest.toml` of a model package: what the files are, what they were trained on, and what they promise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this file's layout; 1.
    pub format: u32,
    pub name: Name,
    pub version: String,
    /// The kind of machine it was trained for.
    pub kind: Name,
    /// What the network does; `denoise`.
    pub task: String,
    pub licence: String,
    pub training: Training,
    pub contract: Contract,
    pub vectors: Vectors,
    #[serde(rename = "file")]
    pub files: Vec<FileEntry>,
}

/// Where a model comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub data: String,
    pub data_licence: String,
    pub attribution: String,
    /// What reproduces it.
    pub command: String,
    pub seed: u64,
    pub parameters: u64,
}

/// What goes in and what comes out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Name of the graph's input, `[batch, channels, time]`.
    pub input: String,
    /// Name of the graph's output, of the same shape.
    pub output: String,
    pub axes: Vec<String>,
    pub dtype: String,
    /// How many columns the newest output column depends on, itself included.
    pub window: usize,
    /// Whether an output column depends on no later input column.
    pub causal: bool,
    /// Whether it goes on after an interruption, having learned to do so; else it starts anew.
    #[serde(default)]
    pub bridges_gaps: bool,
    /// The time between two columns in training.
    #[serde(deserialize_with = "duration")]
    pub cadence: Duration,
    /// Scaled inputs lie within ±`clip`.
    pub clip: f64,
    /// In the order of the channel axis.
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelContract>,
}

/// One channel of a network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelContract {
    pub name: Name,
    pub unit: String,
    /// The least scale, in the channel's unit.
    pub floor: f64,
    /// How far the residual strays from one sound day to the next: a standard deviation, in the channel's unit. None: as far
    /// as the channel itself.
    pub drift: Option<f64>,
}

/// Inputs and outputs that the files must reproduce.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vectors {
    pub path: String,
    /// The largest absolute difference that is allowed.
    pub tolerance: f32,
}

/// One file of the package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}
