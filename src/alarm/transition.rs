use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A change of an alarm's state, severity or class; nothing else raises `seq`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The episode's id, the same for all of its transitions.
    pub episode: String,
    /// Rises by one with each transition of the machine, from 1.
    pub seq: u64,
    pub class: Class,
    pub state: State,
    pub severity: Severity,
    pub score: f64,
    /// When the episode was raised.
    pub raised: Timestamp,
    /// When this transition happened.
    pub changed: Timestamp,
    /// The stamp of the sample that caused it, or of the newest one before a command did.
    pub sample_time: Timestamp,
    /// Somebody has acknowledged the episode, whatever its state is now.
    pub acknowledged: bool,
    /// When a shelved alarm comes back by itself.
    pub shelved_until: Option<Timestamp>,
    /// Who caused it, if a person did.
    pub operator: Option<String>,
    /// Why, in the words of who did.
    pub reason: Option<String>,
}

/// What kind of thing an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The machine.
    Condition,
    /// What is said of the machine: a sensor, a line, a clock.
    DataQuality,
}

/// The alarm states of ISA-18.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Normal,
    Unacknowledged,
    Acknowledged,
    ReturnedUnacknowledged,
    Shelved,
    Suppressed,
}

impl State {
    /// As the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Unacknowledged => "unacknowledged",
            Self::Acknowledged => "acknowledged",
            Self::ReturnedUnacknowledged => "returned_unacknowledged",
            Self::Shelved => "shelved",
            Self::Suppressed => "suppressed",
        }
    }
}

/// How far beyond its limit a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// As the contract writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
