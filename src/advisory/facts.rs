use std::collections::BTreeMap;

use serde::Deserialize;

use crate::acquisition::Name;

/// What the gateway's configuration knows about a machine and no playbook can.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineFacts {
    pub name: Name,
    /// `None`: steps that need the machine locked out are left out, and the recommendation says so.
    pub lockout: Option<LockoutFacts>,
    /// Part numbers by the playbook's part id, e.g. `pump_cartridge`.
    pub parts: BTreeMap<String, String>,
}

/// How this machine is locked out, in the site's own words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockoutFacts {
    /// What the site calls its procedure, e.g. `LOTO-17`.
    pub procedure: String,
    /// E.g. `main switch Q1, valve V3`.
    pub isolation_points: String,
    /// E.g. `accumulator pressure, raised platen`.
    pub stored_energy: String,
}

impl MachineFacts {
    /// A machine of which nothing but its name was recorded.
    pub fn new(name: Name) -> Self {
        Self { name, lockout: None, parts: BTreeMap::new() }
    }
}
