use std::time::Duration;

use serde::Deserialize;

use super::alarm::RunningKeys;
use crate::acquisition::Name;
use crate::alarm::RunningRule;
use crate::detection::{ChannelProfile, Role};
use crate::manipulation::Limits;
use crate::notation::{TomlError, duration, read_toml};

/// A type of machine: its channels with units and limits, and the network that was trained for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    pub name: Name,
    pub description: String,
    #[serde(deserialize_with = "duration")]
    pub cadence: Duration,
    /// The package that scores it; none: charts alone.
    pub model: Option<Name>,
    /// The family of playbooks that tell what to do about its faults; none: the generic ones alone.
    pub playbooks: Option<String>,
    running: Option<RunningKeys>,
    #[serde(rename = "channel")]
    channels: Vec<Channel>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    name: Name,
    unit: Option<String>,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    limits: Limits,
    /// How far its level strays from one sound day to the next: a standard deviation, in the channel's unit.
    #[serde(default)]
    drift: f64,
}

impl Kind {
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        read_toml(text, origin)
    }

    /// How a machine of this kind tells whether it runs.
    pub fn running(&self) -> Option<RunningRule> {
        self.running.clone().map(RunningKeys::rule)
    }

    pub fn channels(&self) -> Vec<ChannelProfile> {
        self.channels
            .iter()
            .map(|Channel { name, unit, role, limits, drift }| ChannelProfile {
                name: name.clone(),
                unit: unit.clone(),
                limits: *limits,
                role: *role,
                drift: drift.abs(),
            })
            .collect()
    }
}

/// A kind that the binary brings along.
pub fn shipped_kind(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
}

/// The names of the kinds that the binary brings along.
pub fn shipped_kinds() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

const SHIPPED: [(&str, &str); 3] = [
    ("hydraulic-rig", include_str!("../../firmware-config/kinds/hydraulic-rig.toml")),
    ("tennessee-eastman", include_str!("../../firmware-config/kinds/tennessee-eastman.toml")),
    ("water-pump", include_str!("../../firmware-config/kinds/water-pump.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_kind_can_be_read_and_bears_its_own_name() {
        for (name, text) in SHIPPED {
            let kind = Kind::parse(text, name).unwrap();
            assert_eq!(kind.name.as_str(), name);
            assert!(!kind.channels().is_empty());
        }
    }
}
