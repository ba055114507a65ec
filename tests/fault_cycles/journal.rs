//! What a reader of alarms knows: every transition by machine and `seq`, and what does not fit together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::witness::Heard;

/// Takes each event once, whatever was sent twice.
#[derive(Default)]
pub struct Journal {
    events: BTreeMap<String, BTreeMap<u64, Value>>,
    /// Newest `seq` of each retained alarm.
    alarms: BTreeMap<String, u64>,
    pub repeats: usize,
    /// The same machine and `seq` with another content.
    pub conflicts: Vec<String>,
}

impl Journal {
    pub fn take(&mut self, heard: &Heard) {
        let machine = heard.machine().to_owned();
        if heard.is("/alarm") {
            let seq = heard.json()["seq"].as_u64().unwrap_or(0);
            let newest = self.alarms.entry(machine).or_default();
            *newest = seq.max(*newest);
        } else if heard.is("/event") {
            let mut event = heard.json();
            let Some(seq) = event["seq"].as_u64() else {
                self.conflicts.push(format!("{machine}: an event without seq"));
                return;
            };
            // The one member in which two publications of a transition may differ.
            event["replayed"] = Value::Null;
            match self.events.entry(machine.clone()).or_default().entry(seq) {
                std::collections::btree_map::Entry::Vacant(place) => _ = place.insert(event),
                std::collections::btree_map::Entry::Occupied(known) => {
                    self.repeats += 1;
                    if *known.get() != event {
                        self.conflicts.push(format!("{machine} seq {seq}: {} and {event}", known.get()));
                    }
                }
            }
        }
    }

    /// Transitions that it knows.
    pub fn count(&self) -> usize {
        self.events.values().map(BTreeMap::len).sum()
    }

    /// What lacks between 1 and the newest `seq` that the gateway, an event or a retained alarm names.
    pub fn missing(&self, newest: &BTreeMap<String, u64>) -> Vec<String> {
        let known = |machine: &str, seq: u64| self.events.get(machine).is_some_and(|events| events.contains_key(&seq));
        let machines: BTreeSet<&String> = self.events.keys().chain(self.alarms.keys()).chain(newest.keys()).collect();
        let lacking = |machine: &&String| {
            let heard = self.events.get(*machine).and_then(|events| Some(*events.last_key_value()?.0));
            let told = [heard, self.alarms.get(*machine).copied(), newest.get(*machine).copied()];
            let last = told.into_iter().flatten().max().unwrap_or(0);
            let machine = (*machine).clone();
            (1..=last)
                .filter(|seq| !known(&machine, *seq))
                .map(|seq| format!("{machine} seq {seq}"))
                .collect::<Vec<_>>()
        };
        machines.iter().flat_map(lacking).collect()
    }

    /// Retained alarms that tell an older transition than the newest.
    pub fn stale(&self, newest: &BTreeMap<String, u64>) -> Vec<String> {
        let told = |machine: &str| self.alarms.get(machine).copied().unwrap_or(0);
        let stale = newest.iter().filter(|(machine, seq)| told(machine) < **seq);
        stale.map(|(machine, seq)| format!("the alarm of {machine} stands at {}, not {seq}", told(machine))).collect()
    }

    /// Episodes that began while another one of their machine was open, or that came back after they were over.
    pub fn doubled(&self) -> Vec<String> {
        let mut doubled = Vec::new();
        for (machine, events) in &self.events {
            let mut over = BTreeSet::new();
            for pair in events.values().collect::<Vec<_>>().windows(2) {
                let ended = pair[0]["state"] == "normal";
                if pair[0]["id"] != pair[1]["id"] && !ended {
                    doubled.push(format!("{machine}: {} opens while {} is open", pair[1]["id"], pair[0]["id"]));
                }
                over.extend(ended.then(|| pair[0]["id"].to_string()));
                if over.contains(&pair[1]["id"].to_string()) {
                    doubled.push(format!("{machine}: {} is open again after its end", pair[1]["id"]));
                }
            }
        }
        doubled
    }

    /// Transitions that the gateway made in a stretch of time.
    pub fn made_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let made = |event: &&Value| {
            let changed = event["changed"].as_str().and_then(|changed| changed.parse::<Timestamp>().ok());
            changed.is_some_and(|changed| changed >= from && changed <= to)
        };
        self.events.values().flat_map(BTreeMap::values).filter(made).count()
    }

    /// The newest state of a machine, if it ever had an alarm.
    pub fn state(&self, machine: &str) -> Option<&str> {
        self.events.get(machine)?.last_key_value()?.1["state"].as_str()
    }
}
