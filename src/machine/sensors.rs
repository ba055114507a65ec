use serde::{Deserialize, Serialize};

use crate::acquisition::Name;
use crate::alarm::{Deficiency, Severity};

/// What a machine's channels say of their sensors: equal values in a row, and flaws that last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sensors(Vec<Sensor>);

/// What is wrong with a channel, as against its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Flaw {
    Missing,
    OutOfRange,
    UnitChanged,
    Frozen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sensor {
    newest: f64,
    /// Readings in a row with the newest value.
    equal: u32,
    /// The newest flaw, and samples in a row with one or without.
    flaw: Option<Flaw>,
    bad: u32,
    good: u32,
    /// It has had flaws for so long that it counts as deficient, and has not recovered for as long.
    deficient: bool,
}

impl Sensors {
    /// Takes the readings of the newest sample, NaN where a channel has none.
    pub fn take(&mut self, values: &[f64]) {
        self.0.resize(values.len(), Sensor::default());
        for (sensor, &value) in self.0.iter_mut().zip(values).filter(|(_, value)| !value.is_nan()) {
            sensor.equal = if value == sensor.newest { sensor.equal.saturating_add(1) } else { 1 };
            sensor.newest = value;
        }
    }

    /// How often in a row a channel has shown its newest value.
    pub fn equal(&self, place: usize) -> u32 {
        self.0.get(place).map_or(0, |sensor| sensor.equal)
    }

    /// Takes what is wrong with a channel's newest reading, or that nothing is.
    pub fn judge(&mut self, place: usize, flaw: Option<Flaw>) {
        let Some(sensor) = self.0.get_mut(place) else { return };
        (sensor.bad, sensor.good) = match flaw {
            Some(_) => (sensor.bad.saturating_add(1), 0),
            None => (0, sensor.good.saturating_add(1)),
        };
        sensor.flaw = flaw.or(sensor.flaw);
        sensor.deficient = if sensor.deficient { sensor.good < LASTING } else { sensor.bad >= LASTING };
    }

    /// Whether every one of these channels has been without a flaw for long.
    pub fn are_sound(&self, places: &[usize]) -> bool {
        places.iter().all(|&place| self.0.get(place).is_some_and(|sensor| sensor.good >= LASTING))
    }

    /// Whether any of them counts as deficient.
    pub fn are_deficient(&self) -> bool {
        self.0.iter().any(|sensor| sensor.deficient)
    }

    /// What is to be told of the sensors, if something is; `names` are the channels.
    pub fn deficiency(&self, names: &[Name]) -> Option<Deficiency> {
        let deficient = self.0.iter().zip(names).filter(|(sensor, _)| sensor.deficient);
        let count = deficient.clone().count();
        if count == 0 {
            return None;
        }
        let named = deficient.take(MOST_NAMED).map(|(sensor, name)| {
            let what = match sensor.flaw {
                Some(Flaw::OutOfRange) => "lies outside its physical limits",
                Some(Flaw::UnitChanged) => "makes sense only in another unit",
                Some(Flaw::Frozen) => "shows one value again and again",
                Some(Flaw::Missing) | None => "has no value",
            };
            format!("{name} {what}")
        });
        let mut reason = named.collect::<Vec<_>>().join(", ");
        if count > MOST_NAMED {
            reason.push_str(&format!(" and {} more", count - MOST_NAMED));
        }
        reason.push_str("; check sensor, line and sender. The score goes on without");
        Some(Deficiency { severity: Severity::Low, reason })
    }
}

/// Samples in a row after which a flaw counts, and without one after which it is forgotten.
const LASTING: u32 = 30;
const MOST_NAMED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flaw_is_told_once_it_lasts_and_forgotten_once_it_has_stayed_away() {
        let names = ["t", "p"].map(|name| Name::parse(name).unwrap());
        let mut sensors = Sensors::default();
        let told: Vec<bool> = (0..200)
            .map(|t| {
                sensors.take(&[f64::from(t), 1.0]);
                let flawed = (50..120).contains(&t) && t % 40 != 0;
                sensors.judge(0, flawed.then_some(Flaw::OutOfRange));
                sensors.judge(1, None);
                sensors.deficiency(&names).is_some()
            })
            .collect();
        let from = told.iter().position(|told| *told);
        assert_eq!((from, told.iter().rposition(|told| *told)), (Some(79), Some(148)));
        assert!(told[79..149].iter().all(|told| *told), "one sound reading does not end it");
        assert_eq!((sensors.equal(0), sensors.equal(1)), (1, 200));
    }
}
