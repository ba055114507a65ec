use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use super::attribution::{Layout, Reconstruction};
use super::distance::{CrossFit, Distance, FittedDistance};

/// A multivariate exponentially weighted moving average chart (Lowry and others, Technometrics 34, 1992): the vector
/// `e ← (1 − λ) e + λ z`, and its distance from where a sound machine keeps it.
pub(super) struct Mewma {
    smoothed: Array1<f64>,
    distance: Distance,
}

/// What a calibration tells a chart: where the smoothed vector lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedMewma(FittedDistance);

impl Mewma {
    pub fn new(FittedMewma(fitted): FittedMewma) -> Self {
        Self { smoothed: Array1::zeros(fitted.width()), distance: Distance::new(fitted) }
    }

    /// Takes the newest vector, NaN where a channel has no value, and gives T² over its scale.
    pub fn observe(&mut self, values: impl IntoIterator<Item = f64>) -> f64 {
        let Self { smoothed, distance } = self;
        distance.observe(smoothed.iter_mut().zip(values).map(|(state, value)| {
            smooth(state, value);
            if value.is_nan() { f64::NAN } else { *state }
        }))
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
        self.distance.deviation(place)
    }

    /// Tells whose doing the newest T² is; `weight` is what it counts for.
    pub fn reconstruction(&self, weight: f64) -> Reconstruction<'_> {
        self.distance.reconstruction(Layout { figures: 1, channels: None }, weight)
    }

    /// The same of a chart that looks at some of the channels only.
    pub fn reconstruction_of<'d>(&'d self, channels: &'d [usize], weight: f64) -> Reconstruction<'d> {
        self.distance.reconstruction(Layout { figures: 1, channels: Some(channels) }, weight)
    }
}

impl FittedMewma {
    /// Fits a chart to `rows`, `[time, channel]`, in closed form, and tells what it makes of each of them.
    pub fn fit(rows: &Array2<f64>, drift: &[f64]) -> Option<(Self, Vec<f64>)> {
        let CrossFit { fitted, held_out } = FittedDistance::fit(&smoothed_rows(rows), RIDGE, drift)?;
        Some((Self(fitted), held_out))
    }

    /// As [`Self::fit`], of rows that depend on which of them are held out.
    pub fn fit_folds(rows: impl Fn(Range<usize>) -> Array2<f64>, drift: &[f64]) -> Option<(Self, Vec<f64>)> {
        let CrossFit { fitted, held_out } =
            FittedDistance::fit_folds(|range| smoothed_rows(&rows(range)), RIDGE, drift)?;
        Some((Self(fitted), held_out))
    }

    /// Whether everything has the same width, as it must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        self.0.is_whole(width)
    }
}

/// `state ← (1 − λ) state + λ value`; without a value it sinks back to the centre, and what a sensor showed before it died is
/// forgotten when it comes back.
pub(super) fn smooth(state: &mut f64, value: f64) {
    let value = if value.is_nan() { 0.0 } else { value };
    *state += LAMBDA * (value - *state);
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

/// Weight of the newest sample. 0.08 remembers about twelve samples.
const LAMBDA: f64 = 0.08;
/// Added to the covariance, as a part of its own diagonal; ten times more costs detection, ten times less is unstable.
const RIDGE: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::attribution::Attribution;
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

    fn fitted(rows: &Array2<f64>) -> FittedMewma {
        FittedMewma::fit(rows, &vec![0.0; rows.ncols()]).unwrap().0
    }

    fn shares(chart: &Mewma) -> Vec<f64> {
        let mut shares = vec![0.0; chart.smoothed.len()];
        let mut attribution = Attribution::new(shares.len());
        attribution.add(chart.reconstruction(1.0));
        attribution.write_shares(&mut shares);
        shares
    }

    fn steady(chart: &mut Mewma, row: [f64; 3], times: usize) -> f64 {
        (0..times).map(|_| chart.observe(row)).last().unwrap_or(0.0)
    }

    #[test]
    fn rows_like_those_of_the_calibration_stay_below_the_limit() {
        let rows = rows(800);
        let mut chart = Mewma::new(fitted(&rows));
        let above = rows.rows().into_iter().filter(|row| chart.observe(row.iter().copied()) > 4.0).count();
        assert!(above < 8, "{above} of 800");
    }

    #[test]
    fn a_broken_relation_is_found_although_each_channel_is_within_its_range() {
        let mut chart = Mewma::new(fitted(&rows(800)));
        assert!(steady(&mut chart, [0.5, 0.5, 0.0], 100) < 4.0);
        assert!(steady(&mut chart, [0.5, -0.5, 0.0], 100) > 4.0);
    }

    #[test]
    fn the_channel_that_went_wrong_has_the_largest_share() {
        let mut chart = Mewma::new(fitted(&rows(800)));
        for (place, row) in [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]].into_iter().enumerate() {
            steady(&mut chart, row, 200);
            let shares = shares(&chart);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(shares.iter().all(|share| *share <= shares[place]), "{place}: {shares:?}");
        }
    }

    #[test]
    fn a_channel_without_a_value_accuses_nobody() {
        let fitted = fitted(&rows(800));
        let mut whole = Mewma::new(fitted.clone());
        let mut holed = Mewma::new(fitted);
        let sound = steady(&mut whole, [1.0, 1.0, 0.0], 100);
        assert!(steady(&mut holed, [1.0, f64::NAN, 0.0], 100) <= sound + 1e-9);
        assert!(shares(&holed)[1] < 1e-9);
    }

    #[test]
    fn channels_that_follow_each_other_and_have_no_value_share_no_blame() {
        // Two pairs of twins: what one of a pair shows the other shows too.
        let rows = rows(800);
        let twins = Array2::from_shape_fn((800, 5), |(t, channel)| {
            let jitter = ((t * 31 + channel * 17) % 101) as f64 / 5000.0;
            rows[[t, channel / 2]] + jitter
        });
        let fitted = fitted(&twins);
        let (mut whole, mut holed) = (Mewma::new(fitted.clone()), Mewma::new(fitted));
        for _ in 0..200 {
            let sound = whole.observe([1.0, 1.0, 1.0, 1.0, 0.0]);
            let seen = holed.observe([1.0, f64::NAN, f64::NAN, f64::NAN, 0.0]);
            assert!(seen <= sound + 1e-6, "{seen} {sound}");
        }
        let shares = shares(&holed);
        assert!(shares[1..4].iter().all(|share| *share < 1e-9), "{shares:?}");
    }

    #[test]
    fn rows_that_do_not_vary_cannot_be_charted() {
        assert!(FittedMewma::fit(&Array2::zeros((400, 2)), &[0.0; 2]).is_none());
    }

    proptest! {
        #[test]
        fn a_score_is_a_number_whatever_comes(values in proptest::collection::vec(-30.0f64..30.0, 30)) {
            let mut chart = Mewma::new(fitted(&rows(400)));
            for row in values.chunks(3) {
                let distance = chart.observe(row.iter().map(|v| if *v > 29.0 { f64::NAN } else { *v }));
                prop_assert!(distance.is_finite());
            }
        }
    }
}
