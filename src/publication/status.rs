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
    #[serde(skip_serializing_if = "Option::is_none")]
    machines: Option<BTreeMap<Name, MachineStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejections>,
}

/// How far one machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// `learning n/N`, then `scoring`.
    pub state: String,
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
        Self {
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
            machines: None,
            rejected: None,
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts and numbers and maps with texts as keys: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a status payload is always JSON")
    }

    fn with_state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }
}
