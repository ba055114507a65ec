use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::event::{Details, Event, Unit};
use super::kind::Kind;
use super::spread::Spread;
use super::{clock, course, level, outage, shape};

/// A recording's values while anomalies are put into them.
pub struct Canvas {
    recorded: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
    spreads: Vec<Spread>,
    /// Digits after the point that each channel's values are rounded to; `None`: as they come.
    decimals: Vec<Option<usize>>,
    /// Seconds by which each row's stamp is off.
    shifts: Vec<f64>,
    seed: u64,
}

impl Canvas {
    /// Of values `[channel][row]`.
    pub fn new(recorded: Vec<Vec<f64>>, decimals: Vec<Option<usize>>, seed: u64) -> Self {
        let spreads = recorded.iter().map(|values| Spread::of(values)).collect();
        let shifts = vec![0.0; recorded.first().map_or(0, Vec::len)];
        Self { values: recorded.clone(), recorded, spreads, decimals, shifts, seed }
    }

    pub fn recorded(&self) -> &[Vec<f64>] {
        &self.recorded
    }

    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    pub fn spreads(&self) -> &[Spread] {
        &self.spreads
    }

    pub fn shifts(&self) -> &[f64] {
        &self.shifts
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn values_mut(&mut self) -> &mut [Vec<f64>] {
        &mut self.values
    }

    /// Whether a value is another one than was recorded.
    pub fn altered(&self, row: usize, channel: usize) -> bool {
        let [one, other] = [&self.values, &self.recorded].map(|values| values[channel][row]);
        one != other && !(one.is_nan() && other.is_nan())
    }

    /// Injects an event and gives how many cells it changed.
    pub(super) fn apply(&mut self, event: &Event) -> usize {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(u64::from(event.id));
        match event.kind {
            Kind::ClockSkew => return clock::skew(&mut self.shifts[event.rows.clone()], event.size),
            Kind::CrossChannelBreak => {
                let first = event.channels.first().map_or(&[][..], |&channel| &self.recorded[channel]);
                let source = course::unlike(first, &event.rows, &mut random);
                return self.each(event, |stretch| course::borrow(stretch, source));
            }
            _ => {}
        }
        // Channels of one event share their draws: what happens to one happens to all in the same rows.
        let effect = |stretch: &mut Stretch<'_>| match event.kind {
            Kind::Amplitude => shape::amplitude(stretch),
            Kind::Extremum => level::extremum(stretch),
            Kind::Frequency => course::frequency(stretch),
            Kind::Mean => level::mean(stretch),
            Kind::Pattern => shape::pattern(stretch),
            Kind::PatternShift => course::pattern_shift(stretch),
            Kind::Platform => level::platform(stretch),
            Kind::Trend => level::trend(stretch),
            Kind::Variance => shape::variance(stretch),
            Kind::ModeCorrelation => shape::mode_correlation(stretch),
            Kind::Stuck => level::stuck(stretch),
            Kind::Drift => level::drift(stretch, &mut random.clone()),
            Kind::Dropout => outage::dropout(stretch, &mut random.clone()),
            Kind::SpikeBurst => outage::spike_burst(stretch, &mut random.clone()),
            Kind::ClockSkew | Kind::CrossChannelBreak => {}
        };
        self.each(event, effect)
    }

    fn each(&mut self, event: &Event, effect: impl Fn(&mut Stretch<'_>)) -> usize {
        let mut changed = 0;
        for &channel in &event.channels {
            let spread = self.spreads[channel];
            let values = &mut self.values[channel];
            let before = values[event.rows.clone()].to_vec();
            let size = match (event.unit, event.kind) {
                (Unit::Deviation, Kind::Platform) => spread.median + event.size * spread.deviation,
                (Unit::Deviation, _) => event.size * spread.deviation,
                _ => event.size,
            };
            let rows = event.rows.clone();
            effect(&mut Stretch {
                values,
                recorded: &self.recorded[channel],
                rows,
                spread,
                size,
                details: &event.details,
            });
            for (value, before) in values[event.rows.clone()].iter_mut().zip(before) {
                let rounded = rounded(*value, self.decimals[channel]);
                // What has no value gets none, and what did not change is not rounded either.
                *value = if before.is_nan() || *value == before { before } else { rounded };
                changed += usize::from(*value != before && !before.is_nan());
            }
        }
        changed
    }

    /// What undoes an event that comes next.
    pub(super) fn kept(&self, event: &Event) -> Kept {
        let rows = event.rows.clone();
        let values = event.channels.iter().map(|&channel| self.values[channel][rows.clone()].to_vec()).collect();
        Kept { values, shifts: self.shifts[rows].to_vec() }
    }

    pub(super) fn restore(&mut self, event: &Event, kept: &Kept) {
        let rows = event.rows.clone();
        for (&channel, values) in event.channels.iter().zip(&kept.values) {
            self.values[channel][rows.clone()].copy_from_slice(values);
        }
        self.shifts[rows].copy_from_slice(&kept.shifts);
    }
}

/// What an event's rows held before it.
pub(super) struct Kept {
    values: Vec<Vec<f64>>,
    shifts: Vec<f64>,
}

/// One channel of an event.
pub(super) struct Stretch<'c> {
    /// Of all rows, as earlier events left them.
    pub values: &'c mut [f64],
    pub recorded: &'c [f64],
    pub rows: Range<usize>,
    pub spread: Spread,
    /// In the channel's unit where the kind's size is how far something moves; the level itself of a platform.
    pub size: f64,
    pub details: &'c Details,
}

impl Stretch<'_> {
    /// The span's values.
    pub fn span(&mut self) -> &mut [f64] {
        &mut self.values[self.rows.clone()]
    }

    /// How much of the event is there in the nth row of the span, from 0.
    pub fn presence(&self, n: usize) -> f64 {
        match self.details.creep {
            0 => 1.0,
            creep => ((n + 1) as f64 / creep as f64).min(1.0),
        }
    }
}

fn rounded(value: f64, decimals: Option<usize>) -> f64 {
    let Some(scale) = decimals.filter(|digits| *digits <= MOST_DIGITS).map(|digits| 10f64.powi(digits as i32)) else {
        return value;
    };
    let scaled = (value * scale).round() / scale;
    if scaled.is_finite() { scaled } else { value }
}

/// Values with more digits are a computer's own, not a sensor's.
const MOST_DIGITS: usize = 9;
