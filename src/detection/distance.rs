use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::{Deserialize, Serialize};

use super::attribution::{Layout, Reconstruction};
use super::matrix::{MissingBlock, Precision};
use crate::manipulation::quantile;

/// How far a vector lies from where a sound machine keeps it: its squared Mahalanobis distance T², in units of what sound
/// rows reach.
pub(super) struct Distance {
    fitted: FittedDistance,
    /// The newest vector less the centre, with places that have no value where they would disturb least.
    deviation: Array1<f64>,
    /// The precision times `deviation`.
    product: Array1<f64>,
    missing: MissingBlock,
}

/// What a calibration tells of such vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedDistance {
    centre: Vec<f64>,
    /// Inverse covariance.
    precision: Precision,
    /// The cross-fitted 99 % quantile of T².
    scale: f64,
}

/// A fit, and what it makes of the rows that it was fitted to, each judged by a fit that has not seen it.
pub(super) struct CrossFit {
    pub fitted: FittedDistance,
    /// T² over its scale, for each row.
    pub held_out: Vec<f64>,
}

impl Distance {
    pub fn new(fitted: FittedDistance) -> Self {
        let width = fitted.centre.len();
        Self {
            deviation: Array1::zeros(width),
            product: Array1::zeros(width),
            missing: MissingBlock::new(width),
            fitted,
        }
    }

    /// Takes the newest vector, NaN where a place has no value.
    pub fn observe(&mut self, values: impl IntoIterator<Item = f64>) -> f64 {
        self.missing.clear();
        for (place, value) in values.into_iter().enumerate() {
            if value.is_nan() {
                self.missing.push(place);
            }
            self.deviation[place] = value - self.fitted.centre[place];
        }
        // Places without a value neither accuse nor excuse the others.
        if !self.missing.is_empty() {
            self.missing.factor_for(&self.fitted.precision);
            self.fitted.precision.settle(&mut self.missing, &mut self.deviation);
        }
        self.fitted.precision.quadratic(self.deviation.view(), &mut self.product) / self.fitted.scale
    }

    /// Each place's deviation from the centre.
    pub fn deviation(&self, place: usize) -> f64 {
        self.deviation[place]
    }

    /// Tells whose doing the newest distance is; `weight` is what it counts for.
    pub fn reconstruction<'d>(&'d self, layout: Layout<'d>, weight: f64) -> Reconstruction<'d> {
        let Self { fitted, product, missing, .. } = self;
        Reconstruction::new(&fitted.precision, product.view(), missing.places(), layout, weight / fitted.scale)
    }
}

impl FittedDistance {
    /// Fits to `rows`, `[time, place]`, in closed form; see [`Self::fit_folds`].
    pub fn fit(rows: &Array2<f64>, ridge: f64, drift: &[f64]) -> Option<CrossFit> {
        Self::fit_folds(|_| rows.clone(), ridge, drift)
    }

    /// Fits to the rows that `features` gives when nothing is held out. The scale is not taken from rows that were fitted:
    /// each of four blocks is judged by a fit of the other three, with features that were made without it.
    ///
    /// `ridge` is added to the covariance as a part of its own diagonal. `drift` is how far each place strays from one sound
    /// day to the next, as a standard deviation: what no single calibration can show. `None` if the rows do not vary enough
    /// to be inverted.
    pub fn fit_folds(features: impl Fn(Range<usize>) -> Array2<f64>, ridge: f64, drift: &[f64]) -> Option<CrossFit> {
        let rows = features(0..0);
        let (centre, covariance) = moments(&rows, drift, 0..0);
        // The same ridge for all parts: a channel that rests in three of four blocks must not seem infinitely precise there.
        let ridge = covariance.diag().mapv(|variance| ridge * variance);
        let precision = Precision::of(covariance, &ridge)?;
        let within = upper_quantile(distances(&rows, 0..rows.nrows(), &centre, &precision));
        let mut held_out = Vec::with_capacity(rows.nrows());
        for block in 0..BLOCKS {
            let range = block * rows.nrows() / BLOCKS..(block + 1) * rows.nrows() / BLOCKS;
            let rows = features(range.clone());
            let (centre, covariance) = moments(&rows, drift, range.clone());
            held_out.extend(distances(&rows, range, &centre, &Precision::of(covariance, &ridge)?));
        }
        let scale = upper_quantile(held_out.clone()).min(MOST_OVER_WITHIN * within);
        if !(scale > 0.0 && scale.is_finite()) {
            return None;
        }
        held_out.iter_mut().for_each(|distance| *distance /= scale);
        Some(CrossFit { fitted: Self { centre: centre.to_vec(), precision, scale }, held_out })
    }

    /// Whether everything has the same width, as it must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        self.centre.len() == width
            && self.precision.width() == width
            && self.scale > 0.0
            && (0..width).all(|place| self.precision.row(place).iter().all(|value| value.is_finite()))
    }

    pub fn width(&self) -> usize {
        self.centre.len()
    }
}

/// What 99 % of the values stay below.
pub(super) fn upper_quantile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.99)
}

fn distances(rows: &Array2<f64>, range: Range<usize>, centre: &Array1<f64>, precision: &Precision) -> Vec<f64> {
    let mut product = Array1::zeros(rows.ncols());
    let rows = rows.slice(s![range, ..]);
    rows.rows().into_iter().map(|row| precision.quadratic((&row - centre).view(), &mut product)).collect()
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

/// Parts of a calibration that judge each other.
const BLOCKS: usize = 4;
/// The cross-fitted quantile counts for no more than this times the one within the fit: beyond it, the parts of the
/// calibration have too little in common to judge each other.
const MOST_OVER_WITHIN: f64 = 25.0;
