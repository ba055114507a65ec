use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::advisory::{Library, MachineFacts};
use crate::alarm::{AlarmSettings, ConditionSettings, MaintenanceWindow, RunningRule};
use crate::assessment::SymptomTable;
use crate::detection::{self, Calibration, ChannelProfile, Detector, LoadCycle, Role};
use crate::models::{InferenceError, Model};
use crate::notation::sha256_hex;

/// What is known of a machine before it is heard.
#[derive(Clone)]
pub struct Profile {
    /// Its channels, shared by all machines of a kind; empty where they are learned from what it reports.
    pub channels: Arc<[ChannelProfile]>,
    /// The network of its kind; none for the universal profile.
    pub model: Option<Arc<Model>>,
    pub library: Arc<Library>,
    /// The faults that a machine of its kind can have.
    pub symptoms: Arc<SymptomTable>,
    pub facts: MachineFacts,
    pub calibrate: CalibrationLength,
    /// The expected time between two samples; `None`: learned while calibrating.
    pub cadence: Option<Duration>,
    pub delays: Delays,
    pub operating_point: OperatingPoint,
    /// False alarms that its people put up with; `None`: what the operating point says.
    pub false_alarms_per_day: Option<f64>,
    /// Whether it goes through a load cycle.
    pub cycle: LoadCycle,
    /// How its own telemetry tells whether it runs; `None`: it is taken to run always.
    pub running: Option<RunningRule>,
    /// When it is not to alarm because somebody works on it.
    pub maintenance: Arc<[MaintenanceWindow]>,
}

/// What is worse: a fault that is found late, or an alarm for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatingPoint {
    #[default]
    Balanced,
    /// The limit lies further out: alarms come later, and far fewer of them for nothing.
    Quiet,
}

/// When an alarm is raised and when it clears.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delays {
    /// `None`: five samples.
    pub raise_after: Option<Duration>,
    /// The time within which the samples of `raise_after` must lie; `None`: all in a row.
    pub raise_within: Option<Duration>,
    /// `None`: five samples.
    pub clear_after: Option<Duration>,
    /// An alarm that nobody has acknowledged does not return by itself.
    pub latch: bool,
}

/// How much of a machine's telemetry it is calibrated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationLength {
    Samples(usize),
    /// In the time of the samples.
    Span(Duration),
}

/// Which model scores a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    pub name: String,
    pub version: String,
    pub sha256: String,
}

impl Profile {
    /// Of a machine that nothing is known of: charts alone, over whatever it reports.
    pub fn universal(library: Arc<Library>, facts: MachineFacts, calibrate: CalibrationLength) -> Self {
        Self {
            channels: Arc::default(),
            model: None,
            symptoms: Arc::new(library.symptoms(None)),
            library,
            facts,
            calibrate,
            cadence: None,
            delays: Delays::default(),
            operating_point: OperatingPoint::default(),
            false_alarms_per_day: None,
            cycle: LoadCycle::default(),
            running: None,
            maintenance: Arc::default(),
        }
    }

    /// Changes with everything that a calibration depends on besides the machine's own rows.
    pub fn fingerprint(&self) -> String {
        let mut parts = vec![self.identity().sha256, detection::RECIPE.to_owned()];
        parts.extend(self.channels.iter().map(|channel| format!("{channel:?}")));
        // What is told as a time means another number of rows at another cadence.
        let slow = self.channels.iter().any(|channel| matches!(channel.role, Role::Slow { .. }));
        if slow || self.cycle != LoadCycle::Unknown {
            parts.push(format!("{:?} {:?}", self.cycle, self.cadence));
        }
        sha256_hex(parts.join("\n").as_bytes())
    }

    pub fn identity(&self) -> ModelIdentity {
        match &self.model {
            Some(model) => ModelIdentity {
                name: model.manifest().name.to_string(),
                version: model.manifest().version.clone(),
                sha256: model.sha256().to_owned(),
            },
            None => ModelIdentity {
                name: "universal".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256: sha256_hex(detection::RECIPE.as_bytes()),
            },
        }
    }

    pub(super) fn detector(&self, calibration: Calibration, cadence: Duration) -> Result<Detector, InferenceError> {
        let denoiser = self.model.as_ref().map(|model| model.denoiser()).transpose()?;
        let rows_an_hour = (HOUR / cadence.as_secs_f64().max(1e-3)).ceil() as u64;
        let detector = Detector::new(calibration, denoiser).with_rows_an_hour(rows_an_hour);
        let detector = match self.operating_point {
            OperatingPoint::Balanced => detector,
            OperatingPoint::Quiet => detector.with_margin(QUIET_MARGIN).with_nominal_rate(QUIET_RATE),
        };
        Ok(match self.false_alarms_per_day {
            Some(alarms) => detector.with_nominal_rate(OperatingPoint::rate_of(alarms, cadence)),
            None => detector,
        })
    }

    pub(super) fn alarm_settings(&self, cadence: Duration) -> AlarmSettings {
        let defaults = ConditionSettings::default();
        let samples = |delay: Option<Duration>, default| match delay {
            Some(delay) => (delay.as_secs_f64() / cadence.as_secs_f64().max(1e-3)).ceil().clamp(1.0, 1e6) as u32,
            None => default,
        };
        let Delays { raise_after, raise_within, clear_after, latch } = self.delays;
        let raise_after = samples(raise_after, defaults.raise_after);
        AlarmSettings {
            condition: ConditionSettings {
                raise_after,
                raise_within: samples(raise_within, raise_after),
                clear_after: samples(clear_after, defaults.clear_after),
                ..defaults
            },
            latch,
        }
    }
}

impl OperatingPoint {
    /// The share of sound rows above the limit that so many false alarms a day come to.
    pub fn rate_of(false_alarms_per_day: f64, cadence: Duration) -> f64 {
        false_alarms_per_day * ROWS_OF_A_FALSE_ALARM * cadence.as_secs_f64() / DAY
    }

    /// Why so many false alarms a day cannot be wanted of it.
    pub fn contradicted_by(self, false_alarms_per_day: f64, cadence: Duration) -> Option<String> {
        let most = BALANCED_RATE / Self::rate_of(1.0, cadence);
        (self == Self::Quiet && false_alarms_per_day > most).then(|| {
            format!(
                "quiet contradicts false_alarms_per_day = {false_alarms_per_day}: balanced alone aims at {most:.1} a day at \
                 this cadence; ask for fewer, or leave one of the two out"
            )
        })
    }
}

/// How many times as far from what is usual the limit of the quiet operating point lies.
const QUIET_MARGIN: f64 = 1.5;
/// The share of sound rows that is meant to lie above it.
const QUIET_RATE: f64 = 0.001;
/// And above the balanced one's.
const BALANCED_RATE: f64 = 0.01;
/// An alarm that no fault has raised lasts about so long: on-delay, off-delay, and what the charts remember.
const ROWS_OF_A_FALSE_ALARM: f64 = 60.0;
/// In seconds.
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
