use std::ops::RangeInclusive;
use std::time::Duration;

use ndarray::{Array2, s};

/// What a machine's rows mean in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The time between two samples.
    pub cadence: Duration,
    pub cycle: LoadCycle,
}

/// Whether a machine goes through the same cycle again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadCycle {
    /// The rows of the calibration tell.
    #[default]
    Unknown,
    Never,
    Lasts(Duration),
}

/// After how many rows a machine begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// The rows tell, or tell of no cycle.
    Unknown,
    /// It goes through no cycle.
    Never,
    /// Somebody has said so.
    Rows(usize),
}

impl Rhythm {
    /// The shortest and the longest cycle that a machine can be judged by.
    pub fn bounds(cadence: Duration) -> (Duration, Duration) {
        (cadence * SHORTEST as u32, cadence * LONGEST as u32)
    }

    /// How long a calibration must last for a cycle.
    pub fn shortest_calibration(cycle: Duration) -> Duration {
        cycle * FEWEST_CYCLES as u32
    }

    /// `few_cycles`: the rows hold too few of them for one to be looked for.
    pub(super) fn period(&self, few_cycles: bool) -> Period {
        match self.cycle {
            LoadCycle::Unknown if !few_cycles => Period::Unknown,
            LoadCycle::Unknown | LoadCycle::Never => Period::Never,
            LoadCycle::Lasts(length) => {
                let rows = (length.as_secs_f64() / self.cadence.as_secs_f64().max(1e-6)).round();
                Period::Rows(rows.clamp(SHORTEST as f64, LONGEST as f64) as usize)
            }
        }
    }
}

impl Period {
    /// The number of rows, if there is a cycle in `rows`.
    pub fn among(self, rows: &Array2<f64>) -> Option<usize> {
        match self {
            Self::Unknown => period_of(rows),
            Self::Never => None,
            Self::Rows(period) => Some(period),
        }
    }
}

/// The number of rows after which a cyclic machine begins again; `None` where the rows tell of no cycle.
///
/// `rows` are standardised, `[time, channel]`. The autocorrelation is that of the steps from row to row, so that no drift
/// passes for a cycle, averaged over the best quarter of the channels; of the high peaks the earliest counts.
fn period_of(rows: &Array2<f64>) -> Option<usize> {
    let steps = steps(rows);
    let longest = *lengths_looked_for(rows.nrows())?.end();
    let best = rows.ncols().div_ceil(4);
    let lags: Vec<f64> = (0..=longest + 1)
        .map(|lag| {
            let mut by_channel: Vec<f64> =
                steps.iter().map(|steps| correlation(&steps[..steps.len() - lag], &steps[lag..])).collect();
            by_channel.sort_by(|one, other| other.total_cmp(one));
            by_channel.iter().take(best).sum::<f64>() / best as f64
        })
        .collect();
    let peaks = || (SHORTEST..=longest).filter(|&lag| lags[lag] > lags[lag - 1] && lags[lag] >= lags[lag + 1]);
    let highest = peaks().map(|lag| lags[lag]).fold(f64::NEG_INFINITY, f64::max);
    if highest < LEAST_CORRELATION {
        return None;
    }
    peaks().find(|&lag| lags[lag] >= NEARLY * highest)
}

/// The lengths of a cycle that so many rows can tell of.
pub(super) fn lengths_looked_for(rows: usize) -> Option<RangeInclusive<usize>> {
    let longest = (rows / FEWEST_CYCLES).min(LONGEST);
    (longest > SHORTEST).then_some(SHORTEST..=longest)
}

/// Each channel's steps from row to row; 0 where there is no value.
fn steps(rows: &Array2<f64>) -> Vec<Vec<f64>> {
    let count = rows.nrows().min(MOST_ROWS);
    let rows = rows.slice(s![..count, ..]);
    let known = |step: f64| if step.is_nan() { 0.0 } else { step };
    rows.columns().into_iter().map(|column| (1..count).map(|t| known(column[t] - column[t - 1])).collect()).collect()
}

fn correlation(early: &[f64], late: &[f64]) -> f64 {
    let product: f64 = early.iter().zip(late).map(|(one, other)| one * other).sum();
    let power = |steps: &[f64]| steps.iter().map(|step| step * step).sum::<f64>();
    product / (power(early) * power(late)).sqrt().max(f64::MIN_POSITIVE)
}

/// Rows that repeat this fast are a waveform, not a load cycle.
pub const SHORTEST: usize = 8;
/// In rows; a longer cycle is not looked for.
pub const LONGEST: usize = 1500;
/// The rows must hold so many cycles.
pub const FEWEST_CYCLES: usize = 5;
/// More rows tell no more about the length.
const MOST_ROWS: usize = 20_000;
const LEAST_CORRELATION: f64 = 0.6;
/// A peak at twice the period may be higher by chance.
const NEARLY: f64 = 0.85;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn noise(t: usize, salt: usize) -> f64 {
        ChaCha8Rng::seed_from_u64((1000 * t + salt) as u64).random_range(-1.0..1.0)
    }

    #[test]
    fn a_load_cycle_is_found_in_noise_and_drift() {
        for period in [12, 45, 60, 97] {
            let rows = Array2::from_shape_fn((period * 9, 5), |(t, channel)| {
                let load = f64::from(u8::from(t % period < period / 3)) + f64::from(u8::from(t % period > period - 3));
                f64::from(u8::from(channel < 2)) * 3.0 * load + 0.2 * noise(t, channel) + 0.01 * t as f64
            });
            assert_eq!(period_of(&rows), Some(period));
        }
    }

    #[test]
    fn noise_walks_and_too_few_cycles_are_no_cycle() {
        let mut walk = 0.0;
        let walking = Array2::from_shape_fn((800, 1), |(t, _)| {
            walk += noise(t, 1);
            walk
        });
        assert_eq!(period_of(&walking), None);
        assert_eq!(period_of(&Array2::from_shape_fn((800, 3), |(t, channel)| noise(t, channel))), None);
        let slow = Array2::from_shape_fn((240, 1), |(t, _)| f64::from(u8::from(t % 60 < 20)));
        assert_eq!(period_of(&slow), None);
    }
}
