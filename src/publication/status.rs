use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::baseline::CalibrationPayload;
use super::stamp;
use crate::acquisition::{Name, Rejections};
use crate::detection::{LimitReport, PartReport};
use crate::machine::BaselineState;

/// The payload of `status`, retained, and of the last will.
#[derive(Clone, Debug, Serialize)]
pub struct StatusPayload {
    v: u32,
    state: &'static str,
    version: &'static str,
    #[serde(serialize_with = "stamp::serialize")]
    since: Timestamp,
    gateway: Name,
    /// What keeps the gateway from its work, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machines: Option<BTreeMap<Name, MachineStatus>>,
    /// How many more there are than one message has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    machines_left_out: Option<usize>,
    /// How many of those that are listed have no details, for there is no room for more; each machine's `baseline` has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    details_left_out: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejections>,
    /// Machines whose network a faster engine took and gave other columns, so that a slower one runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_fallbacks: Option<usize>,
}

/// How far one machine is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineStatus {
    /// `learning n/N`, then `scoring`.
    pub state: String,
    /// How its network runs, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// On whose word it is suppressed, if it is: `operator`, `stopped`, `starting` or `maintenance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<&'static str>,
    /// Why it is not scored although it could be, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What is to be said of its baseline, if something is: `old`, `doubtful`, `drifted` or `unknown_regime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineState>,
    #[serde(flatten)]
    pub details: Option<MachineDetails>,
}

/// What goes on changing while nothing happens: it is not worth a message by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineDetails {
    pub parts: Vec<PartReport>,
    pub limit: Option<LimitReport>,
    pub calibration: CalibrationPayload,
}

impl StatusPayload {
    pub fn online(
        gateway: &Name,
        since: Timestamp,
        machines: BTreeMap<Name, MachineStatus>,
        rejected: Rejections,
    ) -> Self {
        let listed = machines.len();
        let (mut machines, mut room) = (machines, MOST_BYTES);
        machines.retain(|name, machine| {
            let trouble = machine.trouble.as_ref().map_or(0, |trouble| 2 * trouble.len());
            let baseline = machine.baseline.map_or(0, |baseline| baseline.as_str().len() + 16);
            room = room.saturating_sub(2 * name.as_str().len() + machine.state.len() + trouble + baseline + 72);
            room > 0
        });
        let machines_left_out = Some(listed - machines.len()).filter(|count| *count > 0);
        let detailed = |machine: &&mut MachineStatus| machine.details.is_some();
        let mut without = 0;
        for machine in machines.values_mut().filter(detailed) {
            let taken = serde_json::to_vec(&machine.details).map_or(room, |details| details.len());
            if taken < room {
                room -= taken;
            } else {
                machine.details = None;
                without += 1;
            }
        }
        Self {
            machines_left_out,
            details_left_out: Some(without).filter(|count| *count > 0),
            machines: Some(machines),
            rejected: Some(rejected),
            ..Self::offline(gateway, since).with_state("online")
        }
    }

    pub fn offline(gateway: &Name, since: Timestamp) -> Self {
        Self {
            v: 1,
            state: "offline",
            version: env!("CARGO_PKG_VERSION"),
            since,
            gateway: gateway.clone(),
            trouble: None,
            machines: None,
            machines_left_out: None,
            details_left_out: None,
            rejected: None,
            engine_fallbacks: None,
        }
    }

    pub fn with_engine_fallbacks(self, machines: usize) -> Self {
        Self { engine_fallbacks: Some(machines), ..self }
    }

    pub fn with(self, trouble: Option<&str>) -> Self {
        Self { trouble: trouble.map(str::to_owned), ..self }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts and numbers and maps with texts as keys: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a status payload is always JSON")
    }

    fn with_state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }
}

/// For the list of machines: no payload of ours has more than 64 KiB.
const MOST_BYTES: usize = 60 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Baseline;

    fn plain(state: &str) -> MachineStatus {
        let state = state.to_owned();
        MachineStatus {
            state,
            engine: Some("window"),
            suppressed_by: None,
            trouble: None,
            baseline: None,
            details: None,
        }
    }

    #[test]
    fn however_many_machines_there_are_the_status_stays_below_64_kib_and_says_what_it_leaves_out() {
        let machine = plain("learning 0/400");
        let name = |number: usize| Name::parse(&format!("{number}{}", "é".repeat(100))).unwrap();
        let machines = (0..1000).map(|number| (name(number), machine.clone())).collect();
        let status = StatusPayload::online(&name(0), Timestamp::UNIX_EPOCH, machines, Rejections::default());
        assert!(status.to_json().len() < 64 * 1024, "{}", status.to_json().len());
        assert!(status.machines_left_out.is_some_and(|count| count > 0 && count < 1000));
    }

    #[test]
    fn details_give_way_to_machines_and_the_status_says_how_many_there_was_no_room_for() {
        let part = PartReport { name: "scatter", on: true, why: "w".repeat(60) };
        let baseline = Baseline { rows: 400, learned: None, doubt: None };
        let calibration = CalibrationPayload::new(&baseline, Timestamp::UNIX_EPOCH);
        let limit = LimitReport { factor: 1.0, nominal_rate: 0.01, realised_rate: None, learning: true };
        let details = MachineDetails { parts: vec![part; 4], limit: Some(limit), calibration };
        let machine =
            MachineStatus { details: Some(details), baseline: Some(BaselineState::Drifted), ..plain("scoring") };
        let name = |number: usize| Name::parse(&format!("press-{number:03}")).unwrap();
        let status = |count: usize| {
            let machines = (0..count).map(|number| (name(number), machine.clone())).collect();
            StatusPayload::online(&name(0), Timestamp::UNIX_EPOCH, machines, Rejections::default())
        };
        let few: serde_json::Value = serde_json::from_slice(&status(3).to_json()).unwrap();
        assert_eq!(few["machines"]["press-002"]["limit"]["nominal_rate"], 0.01);
        assert_eq!(few["machines"]["press-002"]["baseline"], "drifted");
        assert!(few.get("details_left_out").is_none());
        let many = status(500);
        assert!(many.to_json().len() < 64 * 1024, "{}", many.to_json().len());
        assert_eq!(many.machines_left_out, None, "all are listed");
        assert!(many.details_left_out.is_some_and(|count| count > 300 && count < 500));
    }
}
