use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::acquisition::Name;
use crate::alarm::{MaintenanceWindow, RunningRule};
use crate::machine::{Delays, OperatingPoint};
use crate::notation::{duration, some_duration};

/// The table `[alarm]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlarmKeys {
    #[serde(default, deserialize_with = "some_duration")]
    raise_after: Option<Duration>,
    #[serde(default, deserialize_with = "some_duration")]
    raise_within: Option<Duration>,
    #[serde(default, deserialize_with = "some_duration")]
    clear_after: Option<Duration>,
    #[serde(default)]
    latch: bool,
    pub false_alarms_per_day: Option<f64>,
    #[serde(default)]
    pub profile: OperatingPoint,
}

/// `running = { channel = "speed", above = 100.0, starting = "30s" }`, of a machine or its kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunningKeys {
    channel: Name,
    #[serde(deserialize_with = "finite")]
    above: f64,
    #[serde(default, deserialize_with = "duration")]
    starting: Duration,
}

/// One `[[maintenance]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceTable {
    machine: Option<Name>,
    #[serde(deserialize_with = "stamp")]
    from: Timestamp,
    #[serde(deserialize_with = "stamp")]
    until: Timestamp,
    #[serde(default, deserialize_with = "some_duration")]
    every: Option<Duration>,
}

impl AlarmKeys {
    /// The delays, or which key is wrong and why.
    pub fn delays(self) -> Result<Delays, (&'static str, String)> {
        let Self { raise_after, raise_within, clear_after, latch, false_alarms_per_day, .. } = self;
        if false_alarms_per_day.is_some_and(|alarms| !(0.001..=1000.0).contains(&alarms)) {
            return Err(("false_alarms_per_day", "is no number of 0.001 to 1000; 0.2 is one in five days".to_owned()));
        }
        for (name, delay) in
            [("raise_after", raise_after), ("raise_within", raise_within), ("clear_after", clear_after)]
        {
            if delay.is_some_and(|delay| delay > LONGEST_DELAY) {
                return Err((name, "is more than 7 days; an alarm so late is none".to_owned()));
            }
        }
        match (raise_after, raise_within) {
            (None, Some(_)) => Err(("raise_within", "needs raise_after beside it".to_owned())),
            (Some(after), Some(within)) if within < after => {
                Err(("raise_within", "is less than raise_after; expected as much or more".to_owned()))
            }
            _ => Ok(Delays { raise_after, raise_within, clear_after, latch }),
        }
    }
}

impl RunningKeys {
    pub fn rule(self) -> RunningRule {
        let Self { channel, above, starting } = self;
        RunningRule { channel, above, starting }
    }
}

impl MaintenanceTable {
    /// The window, or which key is wrong and why.
    pub fn window(self) -> Result<MaintenanceWindow, (&'static str, String)> {
        let Self { machine, from, until, every } = self;
        if until <= from {
            return Err(("until", "is not later than from".to_owned()));
        }
        let length = until.duration_since(from).unsigned_abs();
        match every {
            Some(every) if every <= length => {
                Err(("every", "is not longer than the window itself, which would never end".to_owned()))
            }
            None if length > LONGEST_WINDOW => {
                Err(("until", "is more than 30 days later than from; nothing is excused for so long".to_owned()))
            }
            _ => Ok(MaintenanceWindow { machine, from, until, every }),
        }
    }
}

fn stamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    // Without an offset it would be another time than whoever wrote it had in mind.
    text.parse().map_err(|_| {
        let expected = "write it with its offset from UTC, e.g. \"2026-12-24T18:00:00+01:00\"";
        de::Error::custom(format_args!("{text:?} is no time in RFC 3339; {expected}"))
    })
}

/// Nothing is above NaN or infinity: the machine would never run, and never alarm.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    let wrong = || de::Error::custom(format_args!("{number} is no limit; expected a finite number, e.g. 100.0"));
    number.is_finite().then_some(number).ok_or_else(wrong)
}

pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(7 * 86_400);
/// As long as a shelf life may be.
const LONGEST_WINDOW: Duration = Duration::from_secs(30 * 86_400);
