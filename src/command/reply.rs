use serde::{Deserialize, Serialize};

use super::Verb;
use crate::acquisition::Name;
use crate::alarm::{Standing, State};

/// The payload of `…/cmd/{verb}/result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    v: u32,
    /// The command's; `None` where it could not be read.
    id: Option<String>,
    verb: Verb,
    machine: Name,
    gateway: Name,
    ok: bool,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    episode: Option<String>,
    state: Option<State>,
    seq: Option<u64>,
}

impl Reply {
    pub fn new(verb: Verb, machine: &Name, gateway: &Name, time: String) -> Self {
        Self {
            v: 1,
            id: None,
            verb,
            machine: machine.clone(),
            gateway: gateway.clone(),
            ok: true,
            time,
            error: None,
            episode: None,
            state: None,
            seq: None,
        }
    }

    pub fn to(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    pub fn refusing(self, why: impl ToString) -> Self {
        Self { ok: false, error: Some(why.to_string()), ..self }
    }

    /// With where the machine's alarm stands afterwards.
    pub fn with(self, standing: Option<&Standing>) -> Self {
        match standing {
            Some(standing) => Self {
                episode: Some(standing.episode.clone()),
                state: Some(standing.state),
                seq: Some(standing.seq),
                ..self
            },
            None => Self { state: Some(State::Normal), seq: Some(0), ..self },
        }
    }

    /// The command's that it answers.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Why the command was refused, if it was.
    pub fn refusal(&self) -> Option<&str> {
        (!self.ok).then(|| self.error.as_deref().unwrap_or("no reason was given"))
    }

    pub fn episode(&self) -> Option<&str> {
        self.episode.as_deref()
    }

    pub fn state(&self) -> Option<State> {
        self.state
    }

    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    pub fn from_json(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts, numbers and booleans: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a reply is always JSON")
    }
}
