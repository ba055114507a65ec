use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Excuse;
use crate::acquisition::Name;

/// How a machine's own telemetry tells whether it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningRule {
    pub channel: Name,
    /// It runs while the channel is above this, in the channel's unit.
    pub above: f64,
    /// How long it is starting before it is itself, in the time of the samples.
    pub starting: Duration,
}

/// Follows whether a machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Since when it runs, by the stamps of its samples; `None`: it is stopped, or was never heard.
    running_since: Option<Timestamp>,
    /// It was heard stopped and has not run for long enough since.
    was_stopped: bool,
}

/// A time in which a machine is not to alarm because somebody works on it.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenanceWindow {
    /// `None`: every machine of the gateway.
    pub machine: Option<Name>,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Comes again after this time.
    pub every: Option<Duration>,
}

impl Operation {
    /// As an alarm tells it that was excused since this time.
    pub fn resumed(excuse: Option<Excuse>, since: Timestamp) -> Self {
        match excuse {
            Some(Excuse::Stopped) => Self { running_since: None, was_stopped: true },
            Some(Excuse::Starting) => Self { running_since: Some(since), was_stopped: true },
            Some(Excuse::Maintenance) | None => Self::default(),
        }
    }

    /// Takes the newest value of the rule's channel; one that is missing changes nothing.
    pub fn observe(&mut self, rule: &RunningRule, value: f64, time: Timestamp) -> Option<Excuse> {
        if !value.is_nan() {
            match value > rule.above {
                true => self.running_since = self.running_since.or(Some(time)),
                false => *self = Self { running_since: None, was_stopped: true },
            }
        }
        if let Some(since) = self.running_since {
            self.was_stopped &= time.duration_since(since).unsigned_abs() < rule.starting;
        }
        self.excuse()
    }

    /// What its newest sample said.
    pub fn excuse(&self) -> Option<Excuse> {
        match (self.was_stopped, self.running_since) {
            (false, _) => None,
            (true, None) => Some(Excuse::Stopped),
            (true, Some(_)) => Some(Excuse::Starting),
        }
    }
}

impl MaintenanceWindow {
    /// Whether it lasts for this machine now.
    pub fn covers(&self, machine: &Name, now: Timestamp) -> bool {
        if self.machine.as_ref().is_some_and(|only| only != machine) || now < self.from {
            return false;
        }
        let since = now.duration_since(self.from).unsigned_abs();
        let length = self.until.duration_since(self.from).unsigned_abs();
        match self.every.filter(|every| !every.is_zero()) {
            // Whole milliseconds: a window of years does not fit nanoseconds in 64 bits.
            Some(every) => since.as_millis() % every.as_millis().max(1) < length.as_millis(),
            None => since < length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_538_400 + second).unwrap()
    }

    #[test]
    fn a_machine_that_stands_is_excused_and_so_is_one_that_has_just_started() {
        let rule =
            RunningRule { channel: Name::parse("rpm").unwrap(), above: 100.0, starting: Duration::from_secs(30) };
        let mut operation = Operation::default();
        assert_eq!(operation.observe(&rule, f64::NAN, time(0)), None, "nothing is known yet");
        assert_eq!(operation.observe(&rule, 1450.0, time(1)), None, "it ran when it was first heard");
        assert_eq!(operation.observe(&rule, 0.0, time(2)), Some(Excuse::Stopped));
        assert_eq!(operation.observe(&rule, f64::NAN, time(3)), Some(Excuse::Stopped));
        assert_eq!(operation.observe(&rule, 1450.0, time(10)), Some(Excuse::Starting));
        assert_eq!(operation.observe(&rule, 1450.0, time(39)), Some(Excuse::Starting));
        assert_eq!(operation.observe(&rule, 1450.0, time(40)), None);
        assert_eq!(operation.observe(&rule, 1450.0, time(-4000)), None, "a clock that steps starts nothing");
    }

    #[test]
    fn a_maintenance_window_covers_its_time_its_machine_and_its_returns() {
        let press = Name::parse("press-01").unwrap();
        let other = Name::parse("press-02").unwrap();
        let once = MaintenanceWindow { machine: Some(press.clone()), from: time(0), until: time(3600), every: None };
        assert!(once.covers(&press, time(0)) && once.covers(&press, time(3599)));
        assert!(!once.covers(&press, time(-1)) && !once.covers(&press, time(3600)) && !once.covers(&other, time(10)));
        let week = 7 * 86_400;
        let weekly = MaintenanceWindow { machine: None, every: Some(Duration::from_secs(week)), ..once };
        let later = 200 * week as i64;
        assert!(weekly.covers(&other, time(later + 10)) && !weekly.covers(&other, time(later + 3600)));
    }
}
