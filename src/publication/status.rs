use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::stamp;
use crate::acquisition::{Name, Rejections};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejections>,
    /// Machines whose network a faster engine took and gave other columns, so that a slower one runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_fallbacks: Option<usize>,
}

/// How far one machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
            room = room.saturating_sub(2 * name.as_str().len() + machine.state.len() + trouble + 72);
            room > 0
        });
        let machines_left_out = Some(listed - machines.len()).filter(|count| *count > 0);
        Self {
            machines_left_out,
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

    #[test]
    fn however_many_machines_there_are_the_status_stays_below_64_kib_and_says_what_it_leaves_out() {
        let machine = MachineStatus {
            state: "learning 0/400".to_owned(),
            engine: Some("window"),
            suppressed_by: None,
            trouble: None,
        };
        let name = |number: usize| Name::parse(&format!("{number}{}", "é".repeat(100))).unwrap();
        let machines = (0..1000).map(|number| (name(number), machine.clone())).collect();
        let status = StatusPayload::online(&name(0), Timestamp::UNIX_EPOCH, machines, Rejections::default());
        assert!(status.to_json().len() < 64 * 1024, "{}", status.to_json().len());
        assert!(status.machines_left_out.is_some_and(|count| count > 0 && count < 1000));
    }
}
