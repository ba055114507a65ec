use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stamp;
use crate::acquisition::Name;
use crate::advisory::Recommendation;
use crate::alarm::{Class, Severity, Standing, State, Transition};
use crate::assessment::Diagnosis;
use crate::detection::Contribution;
use crate::machine::{Announcement, ModelIdentity, Told};

/// Who publishes.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub name: Name,
    /// Of the configuration.
    pub config_sha256: String,
}

/// The payload of `alarm` and `event`. It is read back after a restart: the newest one of a machine is where its alarm
/// goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmPayload {
    v: u32,
    id: String,
    seq: u64,
    machine: Name,
    gateway: Name,
    class: Class,
    state: State,
    severity: Severity,
    score: f64,
    limit: f64,
    #[serde(serialize_with = "stamp::serialize")]
    raised: Timestamp,
    #[serde(serialize_with = "stamp::serialize")]
    changed: Timestamp,
    #[serde(serialize_with = "stamp::serialize")]
    sample_time: Timestamp,
    contributions: Vec<Contribution>,
    diagnosis: Diagnosis,
    recommendation: Option<Recommendation>,
    abstained: bool,
    model: ModelIdentity,
    config_sha256: String,
    replayed: bool,
    /// It asks for attention now and is no part of a flood or of chatter: what a pager should ring for.
    #[serde(default)]
    announced: bool,
    /// Somebody has acknowledged the episode, whatever its state is now.
    #[serde(default)]
    acknowledged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "stamp::serialize_some")]
    shelved_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl AlarmPayload {
    pub fn new(announcement: Announcement, machine: &Name, model: ModelIdentity, gateway: &Gateway) -> Self {
        let Announcement { transition, told: Told { contributions, diagnosis, recommendation } } = announcement;
        Self {
            v: 1,
            id: transition.episode,
            seq: transition.seq,
            machine: machine.clone(),
            gateway: gateway.name.clone(),
            class: transition.class,
            state: transition.state,
            severity: transition.severity,
            score: transition.score,
            limit: 1.0,
            raised: transition.raised,
            changed: transition.changed,
            sample_time: transition.sample_time,
            contributions,
            diagnosis,
            abstained: recommendation.is_none(),
            recommendation,
            model,
            config_sha256: gateway.config_sha256.clone(),
            replayed: false,
            announced: false,
            acknowledged: transition.acknowledged,
            shelved_until: transition.shelved_until,
            operator: transition.operator,
            reason: transition.reason,
        }
    }

    /// The same payload for a transition that people are to hear of.
    pub fn announced(self, announced: bool) -> Self {
        Self { announced, ..self }
    }

    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn machine(&self) -> &Name {
        &self.machine
    }

    /// The episode's id.
    pub fn episode(&self) -> &str {
        &self.id
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Which model scored the machine.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Every member is a text, a finite number, a list or a map with texts as keys: nothing JSON cannot write.
        serde_json::to_vec(self).expect("an alarm payload is always JSON")
    }

    pub fn from_json(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// The same payload, marked as a later publication of its transition.
    pub fn replayed(payload: &[u8]) -> Vec<u8> {
        let Some(mut payload) = Self::from_json(payload) else { return payload.to_vec() };
        payload.replayed = true;
        payload.to_json()
    }

    /// Whether this gateway has published it for this machine.
    pub fn is_of(&self, machine: &Name, gateway: &Name) -> bool {
        self.machine == *machine && self.gateway == *gateway
    }

    /// Where the machine's alarm stands, and what was said about it.
    pub fn standing(self) -> (Standing, Told) {
        let told =
            Told { contributions: self.contributions, diagnosis: self.diagnosis, recommendation: self.recommendation };
        let standing = Transition {
            episode: self.id,
            seq: self.seq,
            class: self.class,
            state: self.state,
            severity: self.severity,
            score: self.score,
            raised: self.raised,
            changed: self.changed,
            sample_time: self.sample_time,
            acknowledged: self.acknowledged,
            shelved_until: self.shelved_until,
            operator: self.operator,
            reason: self.reason,
        };
        (standing, told)
    }
}
