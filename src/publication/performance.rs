use jiff::Timestamp;
use serde::Serialize;

use super::stamp;
use crate::acquisition::Name;
use crate::alarm::{Flood, Report};

/// The payload of `performance`, retained: how the gateway's alarms do as a system, in the measures of ISA-18.2 clause 16
/// and EEMUA 191, since its start.
#[derive(Clone, Debug, Serialize)]
pub struct PerformancePayload<'p> {
    v: u32,
    gateway: &'p Name,
    #[serde(serialize_with = "stamp::serialize")]
    since: Timestamp,
    annunciations: Annunciations,
    /// More than ten within ten minutes: the bound that EEMUA 191 sets a person.
    peak_ten_minutes: usize,
    floods: u64,
    time_in_flood: f64,
    chattering_transitions: u64,
    chattering: Vec<Counted>,
    stale: Vec<Name>,
    top_ten: Vec<Counted>,
}

/// The payload of `flood`, retained: one message that stands for many alarms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FloodPayload<'p> {
    v: u32,
    gateway: &'p Name,
    /// `flood`, or `normal`.
    state: &'static str,
    #[serde(serialize_with = "stamp::serialize_some")]
    since: Option<Timestamp>,
    /// Those that have raised an alarm since it began; 100 at most are named.
    machines: Vec<Name>,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct Annunciations {
    total: u64,
    last_hour: usize,
    last_ten_minutes: usize,
    not_announced: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Counted {
    machine: Name,
    count: u64,
}

impl<'p> PerformancePayload<'p> {
    pub fn new(gateway: &'p Name, since: Timestamp, report: Report) -> Self {
        Self {
            v: 1,
            gateway,
            since,
            annunciations: Annunciations {
                total: report.annunciations,
                last_hour: report.last_hour,
                last_ten_minutes: report.last_ten_minutes,
                not_announced: report.unannounced,
            },
            peak_ten_minutes: report.peak_ten_minutes,
            floods: report.floods,
            time_in_flood: (report.time_in_flood * 1e4).round() / 1e4,
            chattering_transitions: report.chatters,
            chattering: counted(report.chattering),
            stale: report.stale,
            top_ten: counted(report.top),
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts, finite numbers and lists of such: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a performance payload is always JSON")
    }
}

impl<'p> FloodPayload<'p> {
    pub fn new(gateway: &'p Name, flood: Option<&Flood>) -> Self {
        let Some(flood) = flood else {
            let text = "Alarms come one by one; each is announced.".to_owned();
            return Self { v: 1, gateway, state: "normal", since: None, machines: Vec::new(), text };
        };
        let machines = flood.machines.clone();
        let text = format!(
            "Many machines have raised alarms within minutes: look for one common cause first (power, air, cooling, network). \
             {} are named here; no more alarms are announced one by one until this is over.",
            machines.len()
        );
        Self { v: 1, gateway, state: "flood", since: Some(flood.since), machines, text }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts and lists of such: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a flood payload is always JSON")
    }
}

fn counted(counts: Vec<(Name, u64)>) -> Vec<Counted> {
    counts.into_iter().map(|(machine, count)| Counted { machine, count }).collect()
}
