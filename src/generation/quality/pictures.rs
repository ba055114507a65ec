use ndarray::{Array1, Array2, Axis};

use super::linear::{covariance, mean_of};
use super::windows::{Scale, WindowSet};
use super::{autocorrelation, spectrum};

/// What can be seen of held-out real windows and of synthetic ones.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Per channel.
    pub channels: Vec<Curves>,
    /// The windows on the first two principal components of the real ones: real, synthetic.
    pub scatter: [Vec<(f64, f64)>; 2],
}

/// One channel; each pair is real, synthetic.
#[derive(Clone, Debug)]
pub struct Curves {
    pub name: String,
    /// (value, share of the rows) in bins of equal width.
    pub marginal: [Vec<(f64, f64)>; 2],
    /// Per row the 5 % quantile, the mean and the 95 % quantile.
    pub bands: [Vec<[f64; 3]>; 2],
    /// (cycles a row, power)
    pub spectrum: [Vec<(f64, f64)>; 2],
    /// (lag in rows, autocorrelation)
    pub autocorrelation: [Vec<(f64, f64)>; 2],
}

impl Pictures {
    pub(super) fn of(real: &WindowSet, synthetic: &WindowSet, scale: &Scale) -> Self {
        let sets = [real, synthetic];
        let (spectra, autocorrelations) = (sets.map(spectrum::of), sets.map(autocorrelation::of));
        let curves = |channel: usize| {
            let values = sets.map(|set| set.channel(channel));
            let all = || values.iter().flatten();
            let low = all().copied().fold(f64::INFINITY, f64::min);
            let high = all().copied().fold(f64::NEG_INFINITY, f64::max);
            let frequency = |place: usize| (place + 1) as f64 / real.rows as f64;
            let numbered = |curve: &[f64], at: &dyn Fn(usize) -> f64| {
                curve.iter().enumerate().map(|(place, value)| (at(place), *value)).collect::<Vec<_>>()
            };
            Curves {
                name: real.channels[channel].clone(),
                marginal: [0, 1].map(|side| histogram(&values[side], low, high)),
                bands: sets.map(|set| bands(set, channel)),
                spectrum: [0, 1].map(|side| numbered(&spectra[side][channel], &frequency)),
                autocorrelation: [0, 1]
                    .map(|side| numbered(&autocorrelations[side][channel], &|place| (place + 1) as f64)),
            }
        };
        let scaled = sets.map(|set| scale.apply(set).matrix());
        let mean = mean_of(&scaled[0]);
        let axes = principal_axes(covariance(&scaled[0]));
        let scatter = scaled.map(|rows| {
            let centred = rows - &mean;
            centred.dot(&axes[0]).into_iter().zip(centred.dot(&axes[1])).take(MOST_POINTS).collect()
        });
        Self { channels: (0..real.channels.len()).map(curves).collect(), scatter }
    }
}

fn histogram(values: &[f64], low: f64, high: f64) -> Vec<(f64, f64)> {
    let width = ((high - low) / BINS as f64).max(f64::MIN_POSITIVE);
    let mut shares = [0.0; BINS];
    for value in values {
        shares[(((value - low) / width) as usize).min(BINS - 1)] += 1.0 / values.len() as f64;
    }
    shares.iter().enumerate().map(|(bin, share)| (low + (bin as f64 + 0.5) * width, *share)).collect()
}

fn bands(set: &WindowSet, channel: usize) -> Vec<[f64; 3]> {
    let width = set.channels.len();
    let at_row = |row: usize| {
        let mut values: Vec<f64> = set.windows.iter().map(|window| window.values[row * width + channel]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let quantile = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        [quantile(0.05), mean, quantile(0.95)]
    };
    (0..set.rows).map(at_row).collect()
}

/// The first two eigenvectors, by power iteration.
fn principal_axes(mut covariance: Array2<f64>) -> [Array1<f64>; 2] {
    [(); 2].map(|()| {
        let mut axis = covariance.index_axis(Axis(0), widest(&covariance)).to_owned();
        for _ in 0..ITERATIONS {
            let length = axis.dot(&axis).sqrt().max(f64::MIN_POSITIVE);
            axis = covariance.dot(&(axis / length));
        }
        let value = axis.dot(&axis).sqrt().max(f64::MIN_POSITIVE);
        axis /= value;
        let column = axis.view().insert_axis(Axis(1));
        covariance = &covariance - &(column.dot(&column.t()) * value);
        axis
    })
}

fn widest(covariance: &Array2<f64>) -> usize {
    let variances = covariance.diag();
    (0..variances.len()).max_by(|&a, &b| variances[a].total_cmp(&variances[b])).unwrap_or_default()
}

const BINS: usize = 40;
const MOST_POINTS: usize = 400;
const ITERATIONS: usize = 200;
