use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::{Deserialize, Serialize};

use super::matrix::{MissingBlock, Precision};
use crate::manipulation::quantile;

/// A multivariate exponentially weighted moving average chart (Lowry and others, Technometrics 34, 1992): the vector
/// `e ← (1 − λ) e + λ z`, and its squared Mahalanobis distance T² from where a sound machine keeps it.
pub(super) struct Mewma {
    fitted: FittedMewma,
    smoothed: Array1<f64>,
    /// `smoothed − centre`, with channels that have no value now where they would disturb least.
    deviation: Array1<f64>,
    /// The precision times `deviation`.
    product: Array1<f64>,
    missing: MissingBlock,
}

/// What a calibration tells a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedMewma {
    /// Mean of the smoothed vector.
    centre: Vec<f64>,
    /// Inverse covariance of the smoothed vector.
    precision: Precision,
    /// T² at which the score is 1.
    limit: f64,
}

impl Mewma {
    pub fn new(fitted: FittedMewma) -> Self {
        let width = fitted.centre.len();
        Self {
            smoothed: Array1::zeros(width),
            deviation: Array1::zeros(width),
            product: Array1::zeros(width),
            missing: MissingBlock::new(width),
            fitted,
        }
    }

    /// Takes the newest vector, NaN where a channel has no value, and gives the distance over its limit.
    pub fn observe(&mut self, values: impl IntoIterator<Item = f64>) -> f64 {
        self.missing.clear();
        for (place, value) in values.into_iter().enumerate() {
            if value.is_nan() {
                self.missing.push(place);
            }
            smooth(&mut self.smoothed[place], value);
            self.deviation[place] = self.smoothed[place] - self.fitted.centre[place];
        }
        // Channels without a value neither accuse nor excuse the others.
        if !self.missing.is_empty() {
            self.missing.factor_for(&self.fitted.precision);
            self.fitted.precision.settle(&mut self.missing, &mut self.deviation);
        }
        let t2 = self.fitted.precision.quadratic(self.deviation.view(), &mut self.product);
        (t2 / self.fitted.limit).sqrt()
    }

    /// What it remembers of the past.
    pub fn memory(&self) -> Vec<f64> {
        self.smoothed.to_vec()
    }

    /// Takes back what it remembered; what belongs to another chart is left alone.
    pub fn recall(&mut self, memory: &[f64]) {
        if memory.len() == self.smoothed.len() && memory.iter().all(|value| value.is_finite()) {
            self.smoothed.assign(&ArrayView1::from(memory));
        }
    }

    /// Each channel's smoothed deviation from the centre.
    pub fn deviation(&self, place: usize) -> f64 {
        self.deviation[place]
    }

    /// Each channel's part of T²: what would be gained by putting that channel alone right (reconstruction-based
    /// contribution, Alcala and Qin, Automatica 45, 2009). They sum to 1, or are all 0.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        let part = |place: usize| self.product[place].powi(2) / self.fitted.precision.diagonal(place);
        let total: f64 = (0..self.product.len()).map(part).sum();
        (0..self.product.len()).map(move |place| if total > 0.0 { part(place) / total } else { 0.0 })
    }
}

impl FittedMewma {
    /// Fits a chart to `rows`, `[time, channel]`, in closed form. `drift` is how far each channel's level strays from one
    /// sound day to the next, as a standard deviation: what no single calibration can show.
    ///
    /// The limit is not taken from the rows that were fitted: each of four blocks is judged by a fit of the other three.
    /// `None` if the rows do not vary enough to be inverted.
    pub fn fit(rows: &Array2<f64>, drift: &[f64]) -> Option<Self> {
        let smoothed = smoothed_rows(rows);
        let (centre, covariance) = moments(&smoothed, drift, 0..0);
        // The same ridge for all parts: a channel that rests in three of four blocks must not seem infinitely precise there.
        let ridge = covariance.diag().mapv(|variance| RIDGE * variance);
        let precision = Precision::of(covariance, &ridge)?;
        let mut product = Array1::zeros(smoothed.ncols());
        let mut distances = |rows: Range<usize>, centre: &Array1<f64>, precision: &Precision| -> Vec<f64> {
            let rows = smoothed.slice(s![rows, ..]);
            rows.rows().into_iter().map(|row| precision.quadratic((&row - centre).view(), &mut product)).collect()
        };
        let within = upper_quantile(distances(0..rows.nrows(), &centre, &precision));
        let mut held_out_distances = Vec::with_capacity(rows.nrows());
        for block in 0..BLOCKS {
            let held_out = block * rows.nrows() / BLOCKS..(block + 1) * rows.nrows() / BLOCKS;
            let (centre, covariance) = moments(&smoothed, drift, held_out.clone());
            held_out_distances.extend(distances(held_out, &centre, &Precision::of(covariance, &ridge)?));
        }
        let limit = FLEET * upper_quantile(held_out_distances).min(MOST_OVER_WITHIN * within);
        (limit > 0.0 && limit.is_finite()).then(|| Self { centre: centre.to_vec(), precision, limit })
    }

    /// Whether everything has the same width, as it must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        self.centre.len() == width
            && self.precision.width() == width
            && self.limit > 0.0
            && (0..width).all(|place| self.precision.row(place).iter().all(|value| value.is_finite()))
    }
}

fn smooth(state: &mut f64, value: f64) {
    if !value.is_nan() {
        *state += LAMBDA * (value - *state);
    }
}

fn smoothed_rows(rows: &Array2<f64>) -> Array2<f64> {
    let mut smoothed = Array2::zeros(rows.raw_dim());
    let mut state = Array1::<f64>::zeros(rows.ncols());
    for (row, mut target) in rows.rows().into_iter().zip(smoothed.rows_mut()) {
        for (state, value) in state.iter_mut().zip(row) {
            smooth(state, *value);
        }
        target.assign(&state);
    }
    smoothed
}

fn upper_quantile(mut distances: Vec<f64>) -> f64 {
    distances.sort_by(f64::total_cmp);
    quantile(&distances, 0.99)
}

/// Mean and covariance of all rows but those held out, with the variance of the drift added.
fn moments(rows: &Array2<f64>, drift: &[f64], held_out: Range<usize>) -> (Array1<f64>, Array2<f64>) {
    let kept: Vec<ArrayView1<'_, f64>> = rows
        .axis_iter(Axis(0))
        .enumerate()
        .filter(|(index, _)| !held_out.contains(index))
        .map(|(_, row)| row)
        .collect();
    let count = kept.len() as f64;
    let mut centre = Array1::zeros(rows.ncols());
    for row in &kept {
        centre += row;
    }
    centre /= count.max(1.0);
    let mut centred = Array2::zeros((kept.len(), rows.ncols()));
    for (row, mut target) in kept.iter().zip(centred.rows_mut()) {
        target.assign(&(row - &centre));
    }
    let mut covariance = centred.t().dot(&centred) / count.max(1.0);
    for (variance, drift) in covariance.diag_mut().iter_mut().zip(drift) {
        *variance += drift * drift;
    }
    (centre, covariance)
}

/// Weight of the newest sample. 0.08 remembers about twelve samples.
const LAMBDA: f64 = 0.08;
/// Added to the covariance, as a part of its own diagonal; ten times more costs detection, ten times less is unstable.
const RIDGE: f64 = 1e-3;
/// Parts of a calibration that judge each other.
const BLOCKS: usize = 4;
/// How far beyond the cross-fitted 99 % quantile of T² the limit lies. One calibration carries no information about the
/// drift to come; this constant does, for all machines alike.
const FLEET: f64 = 4.0;
/// The cross-fitted quantile counts for no more than this times the one within the fit: beyond it, the parts of the
/// calibration have too little in common to judge each other.
const MOST_OVER_WITHIN: f64 = 25.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of two channels that follow a common walk, and one on its own.
    fn rows(count: usize) -> Array2<f64> {
        let mut walk = 0.0f64;
        Array2::from_shape_fn((count, 3), |(t, channel)| {
            let noise = |salt: u64| ((t as u64 * 7919 + salt * 104_729) % 1009) as f64 / 504.5 - 1.0;
            if channel == 0 {
                walk = 0.9 * walk + noise(1);
            }
            match channel {
                0 => walk + 0.1 * noise(2),
                1 => walk + 0.1 * noise(3),
                _ => noise(4),
            }
        })
    }

    fn steady(chart: &mut Mewma, row: [f64; 3], times: usize) -> f64 {
        (0..times).map(|_| chart.observe(row)).last().unwrap_or(0.0)
    }

    #[test]
    fn rows_like_those_of_the_calibration_stay_below_the_limit() {
        let rows = rows(800);
        let mut chart = Mewma::new(FittedMewma::fit(&rows, &[0.0; 3]).unwrap());
        let above = rows.rows().into_iter().filter(|row| chart.observe(row.iter().copied()) > 1.0).count();
        assert!(above < 8, "{above} of 800");
    }

    #[test]
    fn a_broken_relation_is_found_although_each_channel_is_within_its_range() {
        let mut chart = Mewma::new(FittedMewma::fit(&rows(800), &[0.0; 3]).unwrap());
        assert!(steady(&mut chart, [0.5, 0.5, 0.0], 100) < 1.0);
        assert!(steady(&mut chart, [0.5, -0.5, 0.0], 100) > 1.0);
    }

    #[test]
    fn the_channel_that_went_wrong_has_the_largest_share() {
        let mut chart = Mewma::new(FittedMewma::fit(&rows(800), &[0.0; 3]).unwrap());
        for (place, row) in [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]].into_iter().enumerate() {
            steady(&mut chart, row, 200);
            let shares: Vec<f64> = chart.shares().collect();
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(shares.iter().all(|share| *share <= shares[place]), "{place}: {shares:?}");
        }
    }

    #[test]
    fn a_channel_without_a_value_accuses_nobody() {
        let fitted = FittedMewma::fit(&rows(800), &[0.0; 3]).unwrap();
        let mut whole = Mewma::new(fitted.clone());
        let mut holed = Mewma::new(fitted);
        let sound = steady(&mut whole, [1.0, 1.0, 0.0], 100);
        assert!(steady(&mut holed, [1.0, f64::NAN, 0.0], 100) <= sound + 1e-9);
        assert_eq!(holed.shares().nth(1).map(|share| share < 1e-9), Some(true));
    }

    #[test]
    fn channels_that_follow_each_other_and_have_no_value_share_no_blame() {
        // Two pairs of twins: what one of a pair shows the other shows too.
        let rows = rows(800);
        let twins = Array2::from_shape_fn((800, 5), |(t, channel)| {
            let jitter = ((t * 31 + channel * 17) % 101) as f64 / 5000.0;
            rows[[t, channel / 2]] + jitter
        });
        let fitted = FittedMewma::fit(&twins, &[0.0; 5]).unwrap();
        let (mut whole, mut holed) = (Mewma::new(fitted.clone()), Mewma::new(fitted));
        for _ in 0..200 {
            let sound = whole.observe([1.0, 1.0, 1.0, 1.0, 0.0]);
            let seen = holed.observe([1.0, f64::NAN, f64::NAN, f64::NAN, 0.0]);
            assert!(seen <= sound + 1e-6, "{seen} {sound}");
        }
        let shares: Vec<f64> = holed.shares().collect();
        assert!(shares[1..4].iter().all(|share| *share < 1e-9), "{shares:?}");
    }

    #[test]
    fn rows_that_do_not_vary_cannot_be_charted() {
        assert!(FittedMewma::fit(&Array2::zeros((400, 2)), &[0.0; 2]).is_none());
    }

    proptest! {
        #[test]
        fn a_score_is_a_number_whatever_comes(values in proptest::collection::vec(-30.0f64..30.0, 30)) {
            let mut chart = Mewma::new(FittedMewma::fit(&rows(400), &[0.0; 3]).unwrap());
            for row in values.chunks(3) {
                let distance = chart.observe(row.iter().map(|v| if *v > 29.0 { f64::NAN } else { *v }));
                prop_assert!(distance.is_finite());
            }
        }
    }
}
