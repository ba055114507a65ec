use std::time::Duration;

use serde::Deserialize;

use super::alarm::RunningKeys;
use super::cycle::{some_cycle, wrong_cycle};
use crate::acquisition::Name;
use crate::alarm::RunningRule;
use crate::detection::{ChannelProfile, LoadCycle, Role};
use crate::manipulation::Limits;
use crate::notation::{Key, TomlError, duration, read_toml, show_duration, some_duration};

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
    /// Whether it goes through a load cycle, and how long one lasts; left out: the calibration's rows tell.
    #[serde(default, deserialize_with = "some_cycle")]
    cycle: Option<LoadCycle>,
    #[serde(rename = "channel")]
    channels: Vec<Channel>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    name: Name,
    unit: Option<String>,
    #[serde(default)]
    role: RoleKey,
    /// Of a slow channel: what it does within so much time counts.
    #[serde(default, deserialize_with = "some_duration")]
    time_constant: Option<Duration>,
    #[serde(default)]
    limits: Limits,
    /// How far its level strays from one sound day to the next: a standard deviation, in the channel's unit.
    #[serde(default)]
    drift: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleKey {
    #[default]
    Scored,
    Context,
    Slow,
}

impl Kind {
    pub fn parse(text: &str, origin: &str) -> Result<Self, TomlError> {
        let kind: Self = read_toml(text, origin)?;
        let wrong = |table, name, what: &str| TomlError::value(text, origin, Key { table, name }, what);
        if kind.cadence.is_zero() {
            return Err(wrong(("", 0), "cadence", "is 0; expected the time between two samples, e.g. \"1s\""));
        }
        if let Some(what) = kind.cycle.and_then(|cycle| wrong_cycle(cycle, kind.cadence)) {
            return Err(wrong(("", 0), "cycle", &what));
        }
        for (index, channel) in kind.channels.iter().enumerate() {
            if let Some((name, what)) = channel.wrong(kind.cadence) {
                return Err(wrong(("channel", index), name, &what));
            }
        }
        Ok(kind)
    }

    /// How a machine of this kind tells whether it runs.
    pub fn running(&self) -> Option<RunningRule> {
        self.running.clone().map(RunningKeys::rule)
    }

    /// Whether a machine of this kind goes through a load cycle, if the kind says so.
    pub fn cycle(&self) -> Option<LoadCycle> {
        self.cycle
    }

    pub fn channels(&self) -> Vec<ChannelProfile> {
        self.channels
            .iter()
            .map(|channel| ChannelProfile {
                name: channel.name.clone(),
                unit: channel.unit.clone(),
                limits: channel.limits,
                role: channel.role(),
                drift: channel.drift,
            })
            .collect()
    }
}

impl Channel {
    fn role(&self) -> Role {
        match (self.role, self.time_constant) {
            (RoleKey::Slow, Some(time_constant)) => Role::Slow { time_constant },
            (RoleKey::Context, _) => Role::Context,
            (RoleKey::Scored | RoleKey::Slow, _) => Role::Scored,
        }
    }

    /// The key that cannot be as it is, and why.
    fn wrong(&self, cadence: Duration) -> Option<(&'static str, String)> {
        let name = &self.name;
        if !(self.drift >= 0.0 && self.drift.is_finite()) {
            let what = format!("{name} drifts by {}; expected a standard deviation, 0 or more", self.drift);
            return Some(("drift", what));
        }
        if let Limits { low: Some(low), high: Some(high) } = self.limits
            && low >= high
        {
            return Some(("limits", format!("no reading of {name} lies between {low} and {high}")));
        }
        let least = LEAST_TIME_CONSTANT * cadence;
        match (self.role, self.time_constant) {
            (RoleKey::Slow, None) => {
                Some(("role", format!("{name} is slow and needs time_constant beside it, e.g. \"10m\"")))
            }
            (RoleKey::Slow, Some(_)) if self.drift > 0.0 => {
                Some(("drift", format!("{name} is slow: where it has come to counts for nothing, so leave drift out")))
            }
            (RoleKey::Slow, Some(time_constant)) if !(least..=LONGEST_TIME_CONSTANT).contains(&time_constant) => {
                let [found, least, most] = [time_constant, least, LONGEST_TIME_CONSTANT].map(show_duration);
                Some(("time_constant", format!("of {name} is {found}; expected {least} (20 samples) to {most}")))
            }
            (RoleKey::Scored | RoleKey::Context, Some(_)) => Some((
                "time_constant",
                format!("{name} has one but is not slow; write role = \"slow\" or leave it out"),
            )),
            _ => None,
        }
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

/// In samples; faster than this are faults.
const LEAST_TIME_CONSTANT: u32 = 20;
const LONGEST_TIME_CONSTANT: Duration = Duration::from_secs(7 * 86_400);

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

    const SMALLEST: &str = "name = \"k\"\ndescription = \"\"\ncadence = \"1s\"\n[[channel]]\nname = \"t\"\n";

    #[test]
    fn a_slow_channel_and_a_cycle_come_out_as_they_were_written() {
        let text = SMALLEST.replace("[[channel]]", "cycle = \"60s\"\n[[channel]]")
            + "role = \"slow\"\ntime_constant = \"10m\"\n";
        let kind = Kind::parse(&text, "k.toml").unwrap();
        assert_eq!(kind.cycle(), Some(LoadCycle::Lasts(Duration::from_secs(60))));
        assert_eq!(kind.channels()[0].role, Role::Slow { time_constant: Duration::from_secs(600) });
        let never = Kind::parse(&SMALLEST.replace("[[channel]]", "cycle = false\n[[channel]]"), "k.toml").unwrap();
        assert_eq!(never.cycle(), Some(LoadCycle::Never));
    }

    #[test]
    fn each_wrong_value_of_a_kind_is_answered_with_its_key_and_what_was_expected() {
        for (more, expected) in [
            ("role = \"fast\"", "unknown variant `fast`"),
            ("role = \"slow\"", "line 6, column 1: role: t is slow and needs time_constant"),
            ("role = \"slow\"\ntime_constant = \"-5m\"", "is not a duration"),
            ("role = \"slow\"\ntime_constant = \"5s\"", "line 7, column 1: time_constant: of t is 5s; expected 20s"),
            ("role = \"slow\"\ntime_constant = \"5m\"\ndrift = 1.0", "line 8, column 1: drift: t is slow"),
            ("role = \"context\"\ntime_constant = \"5m\"", "is not slow"),
            ("time_constant = \"5m\"", "is not slow"),
            ("drift = -1.0", "0 or more"),
            ("limits = { low = 5.0, high = 1.0 }", "no reading of t lies between 5 and 1"),
        ] {
            let error = Kind::parse(&format!("{SMALLEST}{more}\n"), "k.toml").unwrap_err().to_string();
            assert!(error.starts_with("k.toml") && error.contains(expected), "{more:?}: {error}");
        }
        for (cycle, expected) in [
            ("true", "say how long it lasts"),
            ("\"3s\"", "cycle: lasts 3s; at a cadence of 1s expected 8s to 25m"),
            ("60", "expected how long the load cycle lasts"),
        ] {
            let text = SMALLEST.replace("[[channel]]", &format!("cycle = {cycle}\n[[channel]]"));
            let error = Kind::parse(&text, "k.toml").unwrap_err().to_string();
            assert!(error.contains(expected), "{cycle}: {error}");
        }
    }
}
