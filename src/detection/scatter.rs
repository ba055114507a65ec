use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::attribution::{Layout, Reconstruction};
use super::distance::{CrossFit, Distance, FittedDistance};
use super::mewma::smooth;

/// A chart of how much the channels scatter: what changes a waveform and no mean.
///
/// Two powers a channel, each over what it was while calibrating: of the step from one row to the next, and of the deviation
/// from the channel's own moving average. Their slow averages, as logarithms, are judged together.
pub(super) struct Scatter {
    /// Mean squares while calibrating, as in [`FittedScatter`].
    steps: Vec<f64>,
    deviations: Vec<f64>,
    state: ScatterMemory,
    /// Logarithms of the averages; NaN where a channel has no value.
    features: Vec<f64>,
    distance: Distance,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedScatter {
    /// Mean square of a channel's steps.
    steps: Vec<f64>,
    /// Mean square of a channel's deviations from its moving average.
    deviations: Vec<f64>,
    distance: FittedDistance,
}

/// What it remembers of the past, each a value a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScatterMemory {
    /// The newest value.
    newest: Vec<f64>,
    smoothed: Vec<f64>,
    /// Moving averages of the steps and of the deviations: what a channel that drifts shows all the time.
    slopes: Vec<f64>,
    lags: Vec<f64>,
    /// Averages of both powers, one channel after the other.
    powers: Vec<f64>,
}

impl Scatter {
    pub fn new(FittedScatter { steps, deviations, distance }: FittedScatter) -> Self {
        let width = steps.len();
        Self {
            state: ScatterMemory::new(width),
            features: vec![0.0; 2 * width],
            distance: Distance::new(distance),
            steps,
            deviations,
        }
    }

    /// Takes the newest vector, NaN where a channel has no value, and gives T² over its scale.
    pub fn observe(&mut self, values: impl IntoIterator<Item = f64>) -> f64 {
        for (channel, value) in values.into_iter().enumerate() {
            let powers = self.state.powers_of(channel, value);
            let over = [powers.step / self.steps[channel], powers.deviation / self.deviations[channel]];
            for (place, power) in (2 * channel..).zip(over) {
                average_in(&mut self.state.powers[place], power);
                self.features[place] = if value.is_nan() { f64::NAN } else { (self.state.powers[place] + FLOOR).ln() };
            }
        }
        self.distance.observe(self.features.iter().copied())
    }

    pub fn memory(&self) -> ScatterMemory {
        self.state.clone()
    }

    /// Takes back what it remembered; what belongs to another chart is left alone.
    pub fn recall(&mut self, memory: &ScatterMemory) {
        let alike = memory.newest.len() == self.state.newest.len()
            && memory.smoothed.len() == self.state.smoothed.len()
            && memory.slopes.len() == self.state.slopes.len()
            && memory.lags.len() == self.state.lags.len()
            && memory.powers.len() == self.state.powers.len();
        if alike
            && memory
                .powers
                .iter()
                .chain(&memory.smoothed)
                .chain(&memory.slopes)
                .chain(&memory.lags)
                .all(|value| value.is_finite())
        {
            self.state.clone_from(memory);
        }
    }

    /// Tells whose doing the newest T² is; `weight` is what it counts for.
    pub fn reconstruction(&self, weight: f64) -> Reconstruction<'_> {
        self.distance.reconstruction(Layout { figures: 2, channels: None }, weight)
    }
}

impl FittedScatter {
    /// Fits a chart to `rows`, `[time, channel]`, in closed form, and tells what it makes of each of them.
    pub fn fit(rows: &Array2<f64>) -> Option<(Self, Vec<f64>)> {
        let width = rows.ncols();
        let mut state = ScatterMemory::new(width);
        let powers: Vec<Vec<Powers>> = rows
            .rows()
            .into_iter()
            .map(|row| row.iter().enumerate().map(|(channel, value)| state.powers_of(channel, *value)).collect())
            .collect();
        let mean = |channel: usize, power: fn(&Powers) -> f64| {
            let values = || powers.iter().map(move |row| power(&row[channel])).filter(|value| !value.is_nan());
            (values().sum::<f64>() / (values().count() as f64).max(1.0)).max(LEAST_POWER)
        };
        let steps: Vec<f64> = (0..width).map(|channel| mean(channel, |powers| powers.step)).collect();
        let deviations: Vec<f64> = (0..width).map(|channel| mean(channel, |powers| powers.deviation)).collect();
        let mut averages = vec![1.0; 2 * width];
        let features: Vec<f64> = powers
            .iter()
            .flat_map(|row| {
                for (channel, powers) in row.iter().enumerate() {
                    average_in(&mut averages[2 * channel], powers.step / steps[channel]);
                    average_in(&mut averages[2 * channel + 1], powers.deviation / deviations[channel]);
                }
                averages.iter().map(|average| (average + FLOOR).ln()).collect::<Vec<f64>>()
            })
            .collect();
        let features = Array2::from_shape_vec((rows.nrows(), 2 * width), features).ok()?;
        let CrossFit { fitted, held_out } = FittedDistance::fit(&features, RIDGE, &vec![0.0; 2 * width])?;
        Some((Self { steps, deviations, distance: fitted }, held_out))
    }

    /// Whether everything has the same width, as it must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        let sound = |powers: &[f64]| powers.len() == width && powers.iter().all(|power| *power > 0.0);
        sound(&self.steps) && sound(&self.deviations) && self.distance.is_whole(2 * width)
    }
}

struct Powers {
    step: f64,
    deviation: f64,
}

impl ScatterMemory {
    fn new(width: usize) -> Self {
        Self {
            newest: vec![f64::NAN; width],
            smoothed: vec![0.0; width],
            slopes: vec![0.0; width],
            lags: vec![0.0; width],
            powers: vec![1.0; 2 * width],
        }
    }

    /// The squares that a channel's newest value makes; NaN where there is none, or none before it.
    fn powers_of(&mut self, channel: usize, value: f64) -> Powers {
        let step = value - self.newest[channel];
        self.newest[channel] = value;
        smooth(&mut self.smoothed[channel], value);
        let deviation = value - self.smoothed[channel];
        smooth(&mut self.slopes[channel], step);
        smooth(&mut self.lags[channel], deviation);
        Powers { step: (step - self.slopes[channel]).powi(2), deviation: (deviation - self.lags[channel]).powi(2) }
    }
}

fn average_in(average: &mut f64, power: f64) {
    if !power.is_nan() {
        *average += SLOW * (power.min(MOST_POWER) - *average);
    }
}

/// Weight of the newest power: remembers about seventy samples.
const SLOW: f64 = 0.015;
/// One blow says no more than this many times the usual power.
const MOST_POWER: f64 = 9.0;
/// Added before the logarithm, so that a channel that falls silent is far away and not infinitely far.
const FLOOR: f64 = 0.05;
/// Of standardised channels.
const LEAST_POWER: f64 = 1e-9;
/// Added to the covariance, as a part of its own diagonal.
const RIDGE: f64 = 3.0;
