use serde::{Deserialize, Serialize};

use crate::acquisition::Name;
use crate::assessment::{Diagnosis, Verdict};
use crate::machine::ModelIdentity;

/// One verdict, with what it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub v: u32,
    /// When it was taken: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// The command's.
    pub id: String,
    pub machine: Name,
    pub gateway: Name,
    pub episode: String,
    pub verdict: Verdict,
    pub operator: String,
    pub comment: Option<String>,
    /// As it was given while the alarm stood.
    pub diagnosis: Diagnosis,
    /// Of the advice that was given.
    pub playbook: Option<PlaybookIdentity>,
    pub model: ModelIdentity,
}

/// Which playbook advised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookIdentity {
    pub name: String,
    pub version: String,
}
