use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::stamp;
use crate::acquisition::Name;

/// The payload of `twin`: a row of synthetic telemetry beside a running machine's.
#[derive(Clone, Debug, Serialize)]
pub struct TwinPayload<'p> {
    v: u32,
    /// Always true.
    synthetic: bool,
    machine: &'p Name,
    gateway: &'p Name,
    #[serde(serialize_with = "stamp::serialize")]
    time: Timestamp,
    values: BTreeMap<&'p str, f64>,
    /// Channels that the machine itself had no value of.
    imputed: Vec<&'p str>,
    label: BTreeMap<&'p str, f64>,
    generator: &'p TwinGenerator,
}

/// What made a twin's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TwinGenerator {
    pub name: String,
    pub version: String,
    pub sha256: String,
    pub seed: u64,
}

/// A row of a twin.
#[derive(Clone, Debug)]
pub struct TwinRow<'p> {
    pub time: Timestamp,
    pub values: BTreeMap<&'p str, f64>,
    pub imputed: Vec<&'p str>,
    pub label: BTreeMap<&'p str, f64>,
}

impl<'p> TwinPayload<'p> {
    pub fn new(gateway: &'p Name, machine: &'p Name, row: TwinRow<'p>, generator: &'p TwinGenerator) -> Self {
        let TwinRow { time, values, imputed, label } = row;
        Self { v: 1, synthetic: true, machine, gateway, time, values, imputed, label, generator }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts, finite numbers and lists of such: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a twin's payload is always JSON")
    }
}
