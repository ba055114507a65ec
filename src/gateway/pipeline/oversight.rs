use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::Pipeline;
use crate::acquisition::Name;
use crate::alarm::{Performance, Transition, Verdict};
use crate::clock::Now;
use crate::detection::LimitReport;
use crate::gateway::own_alarm::OwnAlarm;
use crate::machine::{Announcement, BaselineState, Machine, ModelIdentity, Told};
use crate::models::Model;
use crate::outbox::{Durability, Publication};
use crate::publication::{
    BaselinePayload, CalibrationPayload, FloodPayload, MachineDetails, MachineStatus, PerformancePayload, StatusPayload,
};
use crate::transport::Qos;

/// What the gateway knows of itself and of its alarms as a system.
pub(super) struct Oversight {
    own: OwnAlarm,
    performance: Performance,
    /// Subscriptions that the broker refuses.
    refused: BTreeSet<String>,
    /// The disk refuses the outbox, and the log says so.
    degraded: bool,
    published: Published,
}

/// Payloads as they were published last on this connection.
#[derive(Default)]
struct Published {
    connected: bool,
    /// Without the details of machines.
    status: Vec<u8>,
    details: Vec<u8>,
    /// Details alone are no reason to publish it before this time.
    details_not_before: Duration,
    /// Of each machine: the state of its baseline, and since when; none while it learns.
    baselines: HashMap<Name, Option<(BaselineState, Option<Timestamp>)>>,
    flood: Vec<u8>,
    /// It told of one.
    in_flood: bool,
    performance: Vec<u8>,
    /// Not before this time again, whatever changes.
    flood_not_before: Duration,
    performance_not_before: Duration,
}

impl Published {
    /// Where there is a flood now, or none: when it begins or ends at once, while it lasts after a pause.
    fn flood_is_due(&self, in_flood: bool, now: Duration) -> bool {
        self.flood.is_empty() || in_flood != self.in_flood || now >= self.flood_not_before
    }
}

impl Oversight {
    pub fn new(own: OwnAlarm, performance: Performance) -> Self {
        Self { own, performance, refused: BTreeSet::new(), degraded: false, published: Published::default() }
    }

    /// A connection begins: the broker may know nothing of what was published before.
    pub fn connected(&mut self) {
        self.refused.clear();
        self.published = Published { connected: true, ..Published::default() };
    }

    pub fn disconnected(&mut self) {
        self.published.connected = false;
    }

    /// The broker is asked for its subscriptions again; what it still refuses it will say once more.
    pub fn asks_again(&mut self) {
        self.refused.clear();
    }

    pub fn subscription_refused(&mut self, filter: String) {
        self.refused.insert(filter);
    }

    pub fn own(&self) -> &OwnAlarm {
        &self.own
    }

    pub fn own_mut(&mut self) -> &mut OwnAlarm {
        &mut self.own
    }

    pub fn performance(&mut self) -> &mut Performance {
        &mut self.performance
    }
}

impl Pipeline {
    /// Once a second: whether anything keeps the gateway from its work, and what the broker is to be told.
    pub(super) fn oversee(&mut self, now: Now) {
        let disk = self.outbox.degraded().map(|cause| {
            format!("the disk refuses the outbox ({cause}): alarms are delivered, but kept in memory only; make room in the state folder")
        });
        let broker = self.oversight.refused.first().map(|filter| {
            format!("the broker refuses the subscription {filter}: nothing arrives under it; check its access rules")
        });
        // Where this alarm stood, the broker may know better: what follows must not bear a number that was used.
        if self.recall.is_over()
            && let Some(transition) = self.oversight.own.look(disk.or(broker), now.utc)
        {
            self.announce_own(transition);
        }
        self.oversight.performance.pass_time(now);
        if self.oversight.published.connected {
            self.tell_status(now);
            self.tell_baselines(now);
            self.tell_flood(now);
            self.tell_performance(now);
        }
    }

    pub(super) fn announce_own(&mut self, transition: Transition) {
        let gateway = &self.voice.gateway;
        let model = ModelIdentity {
            name: "gateway".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sha256: gateway.config_sha256.clone(),
        };
        let name = gateway.name.clone();
        self.publish_transition(&name, Announcement { transition, told: Told::default() }, model);
    }

    /// Counts a transition and tells whether people are to hear of it one by one.
    pub(super) fn annunciate(&mut self, name: &Name, transition: &Transition, now: Now) -> bool {
        let Verdict { announced, flood_changed } = self.oversight.performance.observe(name, transition, now);
        if flood_changed {
            info!(machine = %name, flood = self.oversight.performance.flood().is_some(), "alarm flood");
        }
        announced
    }

    pub(super) fn tell_durability(&mut self, durability: &Durability) {
        match (durability, self.oversight.degraded) {
            (Durability::Degraded { cause, in_memory }, false) => {
                error!(%cause, in_memory, "the disk refuses the outbox; alarms are kept in memory until it takes them");
            }
            (Durability::Synced, true) => info!("the disk takes the outbox again"),
            _ => {}
        }
        self.oversight.degraded = matches!(durability, Durability::Degraded { .. });
    }

    /// Publishes the status if it has changed; what changes with every sample only now and then.
    fn tell_status(&mut self, now: Now) {
        let payload = self.status(now, false);
        let changed = payload != self.oversight.published.status;
        if !changed && now.steady < self.oversight.published.details_not_before {
            return;
        }
        let detailed = self.status(now, true);
        self.oversight.published.details_not_before = now.steady + DETAILS_PAUSE;
        let unchanged = !changed && detailed == self.oversight.published.details;
        if !unchanged && self.retain(self.voice.topics.status(), &detailed) {
            self.oversight.published.status = payload;
            self.oversight.published.details = detailed;
        }
    }

    fn status(&self, now: Now, detailed: bool) -> Vec<u8> {
        let machines = self.plant.machines().map(|machine| {
            let trouble = self.troubles.get(machine.name()).cloned();
            let heard = self.heard.get(machine.name()).map_or(Duration::ZERO, |heard| heard.last);
            let state = match machine.state() {
                state if state == "scoring" && now.steady.saturating_sub(heard) > NO_DATA => "no_data".to_owned(),
                state => state,
            };
            let suppressed_by = machine.suppression().as_str();
            let engine = model_of(machine).map(|model| model.engine().name());
            let baseline = machine.baseline_state(now.utc).map(|(state, _)| state);
            let baseline = baseline.filter(|state| *state != BaselineState::Sound);
            let report = if detailed { machine.baseline(now.utc) } else { None };
            let details = report.map(|report| MachineDetails {
                parts: machine.part_reports(),
                limit: machine.limit().map(LimitReport::rounded),
                calibration: CalibrationPayload::new(&report.baseline, now.utc),
            });
            (machine.name().clone(), MachineStatus { state, engine, suppressed_by, trouble, baseline, details })
        });
        let fallbacks = self.plant.machines().filter_map(model_of).filter(|model| model.fell_back()).count();
        let gateway = &self.voice.gateway.name;
        let rejected = self.plant.rejections().clone();
        let trouble = self.oversight.own.trouble();
        let payload = StatusPayload::online(gateway, self.voice.since, machines.collect(), rejected).with(trouble);
        payload.with_engine_fallbacks(fallbacks).to_json()
    }

    /// Says so in the log where some of the rows that a machine has learned from look unlike all others.
    pub(super) fn tell_doubt(&self, name: &Name) {
        let report = self.plant.machine(name.as_str()).and_then(|machine| machine.baseline(self.now().utc));
        if let Some(doubt) = report.and_then(|report| report.baseline.doubt) {
            warn!(machine = %name, "{doubt}");
        }
    }

    /// Publishes what machines are judged against where that, or whether it holds, has changed.
    fn tell_baselines(&mut self, now: Now) {
        let gateway = &self.voice.gateway.name;
        let mut told = Vec::new();
        for machine in self.plant.machines() {
            let name = machine.name();
            let state = machine.baseline_state(now.utc);
            if self.oversight.published.baselines.get(name) == Some(&state) {
                continue;
            }
            let payload = match machine.baseline(now.utc) {
                Some(report) => BaselinePayload::new(gateway, name, report, now.utc).with_parts(machine.part_reports()),
                None => BaselinePayload::learning(gateway, name),
            };
            // What finds no room now is told a second later.
            if !self.retain(self.voice.topics.baseline(name), &payload.to_json()) {
                break;
            }
            told.push((name.clone(), state));
        }
        self.oversight.published.baselines.extend(told);
    }

    /// A flood is told of when it begins and ends, and while it grows now and then.
    fn tell_flood(&mut self, now: Now) {
        let flood = self.oversight.performance.flood();
        let in_flood = flood.is_some();
        if !self.oversight.published.flood_is_due(in_flood, now.steady) {
            return;
        }
        let payload = FloodPayload::new(&self.voice.gateway.name, flood).to_json();
        if payload != self.oversight.published.flood && self.retain(self.voice.topics.flood(), &payload) {
            self.oversight.published.flood = payload;
            self.oversight.published.in_flood = in_flood;
            self.oversight.published.flood_not_before = now.steady + FLOOD_PAUSE;
        }
    }

    fn tell_performance(&mut self, now: Now) {
        if now.steady < self.oversight.published.performance_not_before {
            return;
        }
        let standings = self.plant.machines().filter_map(|machine| Some((machine.name(), machine.standing()?)));
        let report = self.oversight.performance.report(standings, now);
        let payload = PerformancePayload::new(&self.voice.gateway.name, self.voice.since, report).to_json();
        self.oversight.published.performance_not_before = now.steady + PERFORMANCE_PAUSE;
        if payload != self.oversight.published.performance && self.retain(self.voice.topics.performance(), &payload) {
            self.oversight.published.performance = payload;
        }
    }

    /// Whether the link takes a retained publication now.
    fn retain(&self, topic: String, payload: &[u8]) -> bool {
        let publication = Publication { topic, payload: payload.to_vec(), retain: true };
        self.link.publish_now(publication, Qos::AtLeastOnce).is_ok()
    }
}

fn model_of(machine: &Machine) -> Option<&Model> {
    machine.profile().model.as_deref()
}

/// A machine that was not heard for so long has no data.
const NO_DATA: Duration = Duration::from_secs(300);
const DETAILS_PAUSE: Duration = Duration::from_secs(60);
const FLOOD_PAUSE: Duration = Duration::from_secs(30);
const PERFORMANCE_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_at_once_when_it_begins_and_when_it_ends_and_now_and_then_while_it_grows() {
        let second = Duration::from_secs;
        let calm = Published { flood: b"{}".to_vec(), flood_not_before: second(30), ..Published::default() };
        assert!(Published::default().flood_is_due(false, second(0)), "a new connection knows of nothing");
        assert!(calm.flood_is_due(true, second(1)), "it begins");
        let flood = Published { in_flood: true, ..calm };
        assert!(flood.flood_is_due(false, second(1)), "it ends");
        assert!(!flood.flood_is_due(true, second(29)));
        assert!(flood.flood_is_due(true, second(30)));
    }
}
