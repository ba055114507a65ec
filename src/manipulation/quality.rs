use serde::{Deserialize, Serialize};

/// The values that a channel can physically take, in its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub low: Option<f64>,
    pub high: Option<f64>,
}

impl Limits {
    pub fn allow(&self, value: f64) -> bool {
        self.low.is_none_or(|low| value >= low) && self.high.is_none_or(|high| value <= high)
    }
}

/// What is wrong with a reading, as against the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    OutOfRange,
    UnitChanged,
    /// The same value again and again, where the channel never kept one for so long.
    Frozen,
}

/// What a channel's readings looked like while the machine was calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plausibility {
    pub limits: Limits,
    /// The lowest value seen while calibrating.
    pub lowest: f64,
    /// The highest value seen while calibrating.
    pub highest: f64,
    /// So many equal values in a row are no measurement.
    #[serde(default)]
    pub frozen_after: u32,
}

impl Plausibility {
    /// From what a channel showed while calibrating, NaN where it had no value.
    pub fn of(limits: Limits, values: impl Iterator<Item = f64>) -> Self {
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut newest, mut run, mut longest) = (f64::NAN, 0, 0u32);
        for value in values.filter(|value| !value.is_nan()) {
            (lowest, highest) = (lowest.min(value), highest.max(value));
            run = if value == newest { run + 1 } else { 1 };
            (newest, longest) = (value, longest.max(run));
        }
        if longest == 0 {
            (lowest, highest) = (0.0, 0.0);
        }
        let frozen_after = longest.saturating_mul(LONGER_THAN_EVER).max(FEWEST_EQUAL);
        Self { limits, lowest, highest, frozen_after }
    }

    /// What is wrong with a value, if it tells of its sensor rather than of the machine.
    ///
    /// A change of unit is assumed where a value lies far from everything seen while calibrating and one of the usual
    /// conversions puts it back in the middle of it. Only conversions by a large factor or an offset are tried, and only
    /// for channels that stay well away from zero: a flow that falls to a third is a fault, not a change of unit.
    pub fn fault(&self, value: f64) -> Option<Fault> {
        if !self.limits.allow(value) {
            return Some(Fault::OutOfRange);
        }
        let span = self.highest - self.lowest;
        let nearest_to_zero = self.lowest.abs().min(self.highest.abs());
        let steady = self.lowest * self.highest > 0.0 && span < nearest_to_zero / 2.0;
        let far = value < self.lowest - 4.0 * span || value > self.highest + 4.0 * span;
        let back = |conversion: &fn(f64) -> f64| {
            let converted = conversion(value);
            converted >= self.lowest && converted <= self.highest
        };
        (steady && far && CONVERSIONS.iter().any(back)).then_some(Fault::UnitChanged)
    }
}

/// A sensor that shows one value for so many times longer than it ever did is dead.
const LONGER_THAN_EVER: u32 = 5;
const FEWEST_EQUAL: u32 = 5;
/// From a unit that the value may have been sent in to the one that was calibrated.
const CONVERSIONS: [fn(f64) -> f64; 12] = [
    |kilo| kilo * 1000.0,
    |milli| milli / 1000.0,
    |fraction| fraction * 100.0,
    |percent| percent / 100.0,
    |bar| bar * 14.503_774,
    |psi| psi / 14.503_774,
    |psi| psi * 6.894_757,
    |kilopascal| kilopascal / 6.894_757,
    |fahrenheit| (fahrenheit - 32.0) / 1.8,
    |celsius| celsius * 1.8 + 32.0,
    |kelvin| kelvin - 273.15,
    |celsius| celsius + 273.15,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn temperature() -> Plausibility {
        Plausibility {
            limits: Limits { low: Some(-40.0), high: Some(250.0) },
            lowest: 52.0,
            highest: 58.0,
            frozen_after: 5,
        }
    }

    #[test]
    fn a_value_that_no_sensor_can_have_measured_is_out_of_range() {
        assert_eq!(temperature().fault(300.0), Some(Fault::OutOfRange));
        assert_eq!(temperature().fault(55.0), None);
    }

    #[test]
    fn a_temperature_sent_in_fahrenheit_is_a_change_of_unit() {
        assert_eq!(temperature().fault(55.0 * 1.8 + 32.0), Some(Fault::UnitChanged));
    }

    #[test]
    fn a_channel_that_often_repeats_itself_is_given_longer_before_it_counts_as_dead() {
        let of = |values: &[f64]| Plausibility::of(Limits::default(), values.iter().copied()).frozen_after;
        assert_eq!(of(&[1.0, 2.0, 1.5, f64::NAN, 1.7]), 5);
        assert_eq!(of(&[1.0, 1.0, 1.0, f64::NAN, 1.0, 1.5]), 20);
    }

    #[test]
    fn a_machine_that_runs_hot_or_loses_flow_is_not_taken_for_a_change_of_unit() {
        for hot in [62.0, 70.0, 80.0, 95.0] {
            assert_eq!(temperature().fault(hot), None, "{hot}");
        }
        let flow = Plausibility { limits: Limits::default(), lowest: 9.0, highest: 10.5, frozen_after: 5 };
        for lost in [8.0, 5.0, 3.0, 1.0, 0.0] {
            assert_eq!(flow.fault(lost), None, "{lost}");
        }
    }
}
