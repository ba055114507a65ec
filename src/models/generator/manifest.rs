use std::str::FromStr;
use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::acquisition::Name;
use crate::models::Training;
use crate::models::manifest::{FileEntry, Vectors};
use crate::notation::duration;

/// `manifest.toml` of a generator's package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorManifest {
    /// Of this file's layout; 1.
    pub format: u32,
    pub name: Name,
    pub version: String,
    /// The kind of machine whose telemetry it makes.
    pub kind: Name,
    /// `generate`.
    pub task: String,
    pub licence: String,
    pub training: Training,
    pub generator: GeneratorKeys,
    #[serde(rename = "network")]
    pub networks: Vec<NetworkEntry>,
    pub vectors: Vectors,
    #[serde(rename = "file")]
    pub files: Vec<FileEntry>,
}

/// What it makes, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorKeys {
    pub family: Family,
    /// The time between two rows.
    #[serde(deserialize_with = "duration")]
    pub cadence: Duration,
    /// Rows of a window.
    pub window: usize,
    /// Shape of what the noise becomes before the decoder, `[C, L]`.
    pub latent: [usize; 2],
    /// Where there is a denoiser, so that the next four are there too: what it predicts.
    pub prediction: Option<Prediction>,
    pub schedule: Option<ScheduleName>,
    pub sampler: Option<SamplerName>,
    pub steps: Option<usize>,
    /// 1: none.
    pub guidance: Option<f64>,
    #[serde(rename = "label", default)]
    pub labels: Vec<LabelEntry>,
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelEntry>,
    /// The conditions of the training data.
    #[serde(rename = "condition", default)]
    pub conditions: Vec<ConditionEntry>,
}

/// One component's condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelEntry {
    pub name: Name,
    pub unit: String,
    /// Healthy first, then worse and worse.
    pub levels: Vec<f64>,
}

/// One channel of the series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelEntry {
    pub name: Name,
    pub unit: String,
    pub resolution: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A condition of the training data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionEntry {
    pub levels: Vec<f64>,
    pub share: f64,
}

/// One graph.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    pub role: Role,
    pub path: String,
    /// In the graph's order.
    pub inputs: Vec<String>,
    pub output: Vec<String>,
}

/// How it makes a window of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    Diffusion,
    LatentDiffusion,
    Vae,
    Gan,
}

/// What a denoiser predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    V,
    Epsilon,
    X0,
}

/// How the noise falls from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    Linear,
    Cosine,
    OffsetCosine,
}

/// How one step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum SamplerName {
    #[serde(rename = "ddpm")]
    Ddpm,
    #[serde(rename = "ddim")]
    Ddim,
    #[serde(rename = "dpm++")]
    DpmSolver,
}

/// What a graph is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Denoiser,
    Decoder,
    Encoder,
    Continuation,
}

impl GeneratorKeys {
    /// The width of a condition: one value for each level of each label.
    pub fn condition(&self) -> usize {
        self.labels.iter().map(|label| label.levels.len()).sum()
    }

    /// The values of `x`.
    pub fn latent_size(&self) -> usize {
        self.latent.iter().product()
    }

    /// The values of a window in the channels' units.
    pub fn series_size(&self) -> usize {
        self.channels.len() * self.window
    }
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Denoiser => "denoiser",
            Self::Decoder => "decoder",
            Self::Encoder => "encoder",
            Self::Continuation => "continuation",
        }
    }
}

impl Family {
    /// As written in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Diffusion => "diffusion",
            Self::LatentDiffusion => "latent-diffusion",
            Self::Vae => "vae",
            Self::Gan => "gan",
        }
    }
}

impl FromStr for ScheduleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
    }
}

impl FromStr for SamplerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
    }
}
