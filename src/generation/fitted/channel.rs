use serde::{Deserialize, Serialize};

use crate::acquisition::Name;
use crate::detection::ChannelProfile;
use crate::generation::LayoutChannel;

/// How a channel is written down, apart from what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FittedChannel {
    pub name: Name,
    pub unit: String,
    /// Values are multiples of it.
    pub resolution: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub nature: Nature,
    /// The only values that it takes; empty where there are many.
    pub levels: Vec<f64>,
    /// Its value changes every so many rows, if at all.
    pub hold: usize,
    /// Of the values, or of a counter's steps.
    pub centre: f64,
    pub scale: f64,
}

/// What a channel's values are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Nature {
    /// Always the same value, its `centre`.
    Constant,
    Measured,
    /// It only ever rises: what is modelled are its steps; it goes on from this value.
    Counter {
        from: f64,
    },
}

impl FittedChannel {
    /// Of its values over time, NaN where there is none; `profile` is what is known beforehand.
    pub fn of(values: &[f64], profile: &ChannelProfile) -> Self {
        let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let mut sorted = known.clone();
        sorted.sort_by(f64::total_cmp);
        let (least, largest) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
        let mut levels = sorted.clone();
        levels.dedup();
        let nature = match known.as_slice() {
            [] => Nature::Constant,
            _ if least == largest => Nature::Constant,
            [first, .., last] if counts(&known, last - first) => Nature::Counter { from: *last },
            _ => Nature::Measured,
        };
        let counter = matches!(nature, Nature::Counter { .. });
        let modelled = if counter { known.windows(2).map(|pair| pair[1] - pair[0]).collect() } else { known };
        let (centre, scale) = moments(&modelled);
        let few = levels.len() <= MOST_LEVELS && !counter;
        let (low, high) = if counter { (None, None) } else { bounds(&sorted) };
        let within = |bound: Option<f64>, limit: Option<f64>, tighter: fn(f64, f64) -> f64| match (bound, limit) {
            (Some(bound), Some(limit)) => Some(tighter(bound, limit)),
            (bound, limit) => bound.or(limit),
        };
        Self {
            name: profile.name.clone(),
            unit: profile.unit.clone().unwrap_or_default(),
            resolution: resolution(&sorted, scale),
            low: within(low, profile.limits.low, f64::max),
            high: within(high, profile.limits.high, f64::min),
            nature,
            levels: if few { levels } else { Vec::new() },
            hold: hold(values),
            centre: if nature == Nature::Constant { least } else { centre },
            scale,
        }
    }

    pub fn moves(&self) -> bool {
        self.nature != Nature::Constant
    }

    pub fn layout(&self) -> LayoutChannel {
        LayoutChannel {
            name: self.name.clone(),
            unit: self.unit.clone(),
            resolution: self.resolution,
            low: self.low,
            high: self.high,
        }
    }

    /// The value as the recording would show it.
    pub fn shown(&self, value: f64, layout: &LayoutChannel) -> f64 {
        let nearest = self.levels.iter().min_by(|one, other| (*one - value).abs().total_cmp(&(*other - value).abs()));
        nearest.copied().unwrap_or_else(|| layout.shown(value))
    }

    pub fn is_whole(&self) -> bool {
        let numbers = [self.centre, self.scale, self.resolution];
        let ordered = self.low.zip(self.high).is_none_or(|(low, high)| low <= high);
        numbers.iter().all(|number| number.is_finite()) && self.resolution > 0.0 && self.scale > 0.0 && ordered
    }
}

/// Mean and standard deviation, which is never 0.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

/// Whether the values only ever rise, in more than a few places.
fn counts(values: &[f64], rise: f64) -> bool {
    let rises = values.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let largest = values.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    rises >= FEWEST_RISES && values.windows(2).all(|pair| pair[1] >= pair[0]) && largest < rise / 4.0
}

/// Where values pile up at an end, that is a bound; elsewhere there is room for a tenth of the range.
fn bounds(sorted: &[f64]) -> (Option<f64>, Option<f64>) {
    let (Some(&least), Some(&largest)) = (sorted.first(), sorted.last()) else { return (None, None) };
    let room = (largest - least) * ROOM;
    let piled = |end: f64| sorted.iter().filter(|value| **value == end).count() as f64 > PILED * sorted.len() as f64;
    let low = if piled(least) { least } else { least - room };
    let high = if piled(largest) { largest } else { largest + room };
    // What was never negative, or never positive, has its bound at 0 if not before.
    (Some(if least >= 0.0 { low.max(0.0) } else { low }), Some(if largest <= 0.0 { high.min(0.0) } else { high }))
}

/// The step of which all values are multiples; a hundred-thousandth of the deviation where there is none.
fn resolution(sorted: &[f64], deviation: f64) -> f64 {
    let some: Vec<f64> = sorted.iter().step_by(sorted.len().div_ceil(MOST_LOOKED_AT).max(1)).copied().collect();
    for decimals in 0..=MOST_DECIMALS {
        let tens = 10f64.powi(decimals);
        let whole = |value: &f64| {
            let steps = value * tens;
            (steps - steps.round()).abs() <= 1e-9 * steps.abs() + 1e-6 && steps.abs() < 1e15
        };
        if some.iter().all(whole) {
            let divisor = some.iter().map(|value| (value * tens).round().abs() as u64).fold(0, common_divisor);
            return divisor.max(1) as f64 / tens;
        }
    }
    10f64.powf((deviation * FINE).log10().floor()).max(f64::MIN_POSITIVE)
}

fn common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// After how many rows a sensor that is slower than its machine brings another value; 1 where it is not.
fn hold(values: &[f64]) -> usize {
    let changes: Vec<usize> = (1..values.len()).filter(|&t| values[t] != values[t - 1]).collect();
    if changes.len() < FEWEST_RISES {
        return 1;
    }
    let in_step = |rows: &usize| {
        let mut residues = vec![0usize; *rows];
        changes.iter().for_each(|t| residues[t % rows] += 1);
        let most = residues.iter().copied().max().unwrap_or(0);
        let places = values.len() / rows;
        most as f64 >= IN_STEP * changes.len() as f64 && most as f64 >= MOSTLY * places as f64
    };
    (2..=LONGEST_HOLD).rev().find(in_step).unwrap_or(1)
}

/// A channel of no more values shows these only.
const MOST_LEVELS: usize = 8;
const FEWEST_RISES: usize = 10;
/// Of the observed range.
const ROOM: f64 = 0.1;
/// A larger share of all values at one end is no chance.
const PILED: f64 = 0.02;
const MOST_LOOKED_AT: usize = 5000;
const MOST_DECIMALS: i32 = 9;
const FINE: f64 = 1e-5;
const LONGEST_HOLD: usize = 20;
/// The share of all changes that come in step.
const IN_STEP: f64 = 0.97;
/// The share of steps that bring another value.
const MOSTLY: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> FittedChannel {
        FittedChannel::of(values, &ChannelProfile::of(Name::from_recording("x")))
    }

    #[test]
    fn the_resolution_of_a_recording_is_found() {
        let steps = |step: f64| -> Vec<f64> { (0..500).map(|t| f64::from(t * 7919 % 101 + 3) * step).collect() };
        for step in [1.0, 5.0, 0.25, 0.1, 0.001] {
            assert!((of(&steps(step)).resolution - step).abs() < 1e-12, "{step}");
        }
        let fine: Vec<f64> = (0..500).map(|t| f64::from(t).sin()).collect();
        assert!(of(&fine).resolution < 1e-5);
    }

    #[test]
    fn what_only_rises_is_a_counter_and_what_never_changes_a_constant() {
        let counter: Vec<f64> = (0..100).map(|t| f64::from(t / 3)).collect();
        assert_eq!(of(&counter).nature, Nature::Counter { from: 33.0 });
        assert_eq!(of(&[f64::NAN, 4.0, 4.0, 4.0]).nature, Nature::Constant);
        assert_eq!(of(&[f64::NAN, 4.0, 4.0, 4.0]).centre, 4.0);
        assert_eq!(of(&[f64::NAN; 3]).nature, Nature::Constant);
        let step: Vec<f64> = (0..100).map(|t| f64::from(u8::from(t > 50))).collect();
        assert_eq!(of(&step).nature, Nature::Measured, "one step up is no counter");
    }

    #[test]
    fn a_bound_stands_where_values_pile_up() {
        let saturated: Vec<f64> = (0..300).map(|t| (f64::from(t * 37 % 89) / 40.0).min(2.0)).collect();
        let channel = of(&saturated);
        assert_eq!((channel.low, channel.high), (Some(0.0), Some(2.0)));
    }

    #[test]
    fn a_sensor_that_is_slower_than_its_machine_is_recognised() {
        let slow: Vec<f64> = (0..400).map(|t| f64::from((t / 5) * 7919 % 101)).collect();
        assert_eq!(of(&slow).hold, 5);
        let quick: Vec<f64> = (0..400).map(|t| f64::from(t * 7919 % 101)).collect();
        assert_eq!(of(&quick).hold, 1);
    }
}
