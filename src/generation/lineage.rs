use jiff::Timestamp;
use serde::Serialize;

use super::{Descent, LearnedGenerator};
use crate::acquisition::Name;
use crate::models::{SamplerName, ScheduleName};

/// Where synthetic telemetry comes from: enough to make the same again, and to say whose data taught its maker.
#[derive(Clone, Debug, Serialize)]
pub struct Lineage {
    /// Always true, so that nobody takes the rows for measured ones.
    synthetic: bool,
    pub generator: Maker,
    pub training: Option<TaughtBy>,
    pub seed: u64,
    #[serde(flatten)]
    pub way: Way,
    /// Whether each window starts afresh.
    pub loose: bool,
    pub labels: Asked,
    /// The first row's; none where rows bear no time.
    pub start: Option<Timestamp>,
    /// As it was called.
    pub command: Vec<String>,
    /// The version of this program.
    pub wheeltapper: &'static str,
    pub windows: u64,
}

/// Which generator it was.
#[derive(Clone, Debug, Serialize)]
pub struct Maker {
    pub name: String,
    pub version: String,
    /// Of what holds all that it knows: a package's manifest, or the body of a fitted generator's file.
    pub sha256: String,
    pub family: String,
    pub licence: Option<String>,
}

/// The data that a generator was trained on.
#[derive(Clone, Debug, Serialize)]
pub struct TaughtBy {
    pub data: String,
    pub data_licence: String,
    pub attribution: String,
}

/// How noise became data, where that takes steps.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Way {
    pub sampler: Option<SamplerName>,
    pub schedule: Option<ScheduleName>,
    pub steps: Option<usize>,
    pub guidance: Option<f64>,
}

/// The conditions that were asked for, in the words of whoever asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Asked {
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Lineage {
    /// Of a trained generator as it is set up now; what was asked of it is to be filled in.
    pub fn of(generator: &LearnedGenerator) -> Self {
        let manifest = generator.model().manifest();
        Self {
            synthetic: true,
            generator: Maker {
                name: manifest.name.to_string(),
                version: manifest.version.clone(),
                sha256: generator.model().sha256().to_owned(),
                family: manifest.generator.family.name().to_owned(),
                licence: Some(manifest.licence.clone()),
            },
            training: Some(TaughtBy {
                data: manifest.training.data.clone(),
                data_licence: manifest.training.data_licence.clone(),
                attribution: manifest.training.attribution.clone(),
            }),
            seed: generator.seed(),
            way: generator.descent().map(Way::from).unwrap_or_default(),
            loose: generator.is_loose(),
            labels: Asked::default(),
            start: None,
            command: Vec::new(),
            wheeltapper: env!("CARGO_PKG_VERSION"),
            windows: 0,
        }
    }

    /// Of a generator that was fitted to this machine's own calibration; `sha256` names the file it is kept in.
    pub fn of_fitted(machine: &Name, sha256: String, seed: u64) -> Self {
        Self {
            synthetic: true,
            generator: Maker {
                name: machine.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256,
                family: "fitted".to_owned(),
                licence: None,
            },
            training: None,
            seed,
            way: Way::default(),
            loose: false,
            labels: Asked::default(),
            start: None,
            command: Vec::new(),
            wheeltapper: env!("CARGO_PKG_VERSION"),
            windows: 0,
        }
    }

    /// As it stands in a file.
    pub fn to_json(&self) -> String {
        // Texts and finite numbers: nothing JSON cannot write.
        serde_json::to_string_pretty(self).expect("a lineage is always JSON") + "\n"
    }
}

impl From<&Descent> for Way {
    fn from(descent: &Descent) -> Self {
        Self {
            sampler: Some(descent.sampler),
            schedule: Some(descent.schedule),
            steps: Some(descent.steps),
            guidance: Some(descent.guidance),
        }
    }
}
