use jiff::Timestamp;
use serde::Serialize;

use super::stamp;
use crate::acquisition::Name;
use crate::detection::Contribution;

/// The payload of `score`.
#[derive(Clone, Debug, Serialize)]
pub struct ScorePayload<'p> {
    v: u32,
    machine: &'p Name,
    gateway: &'p Name,
    #[serde(serialize_with = "stamp::serialize")]
    time: Timestamp,
    score: Option<f64>,
    limit: f64,
    stage: &'static str,
    quality: f64,
    contributions: Vec<Contribution>,
}

impl<'p> ScorePayload<'p> {
    pub fn new(gateway: &'p Name, machine: &'p Name, time: Timestamp, judged: Judged) -> Self {
        let Judged { score, stage, quality, contributions } = judged;
        Self { v: 1, machine, gateway, time, score, limit: 1.0, stage, quality, contributions }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts, finite numbers and lists of such: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a score payload is always JSON")
    }
}

/// What a sample was found to be.
#[derive(Clone, Debug)]
pub struct Judged {
    pub score: Option<f64>,
    /// What is made of the machine's samples now: `learning`, `scoring`, or why there is no score.
    pub stage: &'static str,
    pub quality: f64,
    pub contributions: Vec<Contribution>,
}
