use super::Fitted;
use crate::advisory::Recommendation;
use crate::alarm::Transition;
use crate::assessment::Diagnosis;
use crate::detection::{CalibrationError, Contribution, DriftReport};
use crate::generation::fitted::Lesson;
use crate::manipulation::Fault;
use crate::models::InferenceError;

/// What one sample led to.
#[derive(Debug)]
pub struct Observation {
    /// 1.0 is the limit; `None` while learning, or where no score is possible.
    pub score: Option<f64>,
    /// The share of the machine's channels that had a believable value.
    pub quality: f64,
    /// Whether the alarm's condition holds, and nothing excuses the machine.
    pub holds: bool,
    /// A reading that was left out because it tells of its sensor.
    pub fault: Option<Fault>,
    /// The machine has just learned what is normal.
    pub fitted: Option<Box<Fitted>>,
    /// With it, what a generator of the machine is fitted to; not on this thread.
    pub lesson: Option<Box<Lesson>>,
    /// Why it has not, although it has seen enough, or why this sample has no score.
    pub trouble: Option<Trouble>,
    /// Its baseline has begun to drift, or does not any more.
    pub drift: Option<Box<DriftReport>>,
    /// The alarm's transitions, in order; hardly ever more than one.
    pub announcements: Vec<Announcement>,
    /// No transition, but another fault is probable now than was said.
    pub refreshed: Option<Box<Announcement>>,
}

/// What stood between a sample and its score.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// What is said about an alarm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub contributions: Vec<Contribution>,
    pub diagnosis: Diagnosis,
    pub recommendation: Option<Recommendation>,
}

/// A transition with everything that is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub transition: Transition,
    pub told: Told,
}
