//! The little linear algebra that a control chart needs.

use ndarray::{Array1, Array2, ArrayView1, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// The inverse of a covariance, `[p, p]`, with what a chart asks of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub(super) struct Precision(Array2<f64>);

impl Precision {
    /// Inverts a covariance with `ridge` added to its diagonal; one that is not positive definite even so is `None`.
    pub fn of(mut covariance: Array2<f64>, ridge: &Array1<f64>) -> Option<Self> {
        for (variance, ridge) in covariance.diag_mut().iter_mut().zip(ridge) {
            *variance = (*variance + ridge).max(f64::MIN_POSITIVE);
        }
        factor(&mut covariance).then(|| Self(inverse(&covariance)))
    }

    /// The deviations at the places of `missing` that make `dᵀ P d` least, the others being as they are: the solution of
    /// `P_mm d_m = −P_mo d_o`.
    pub fn settle(&self, missing: &mut MissingBlock, deviation: &mut Array1<f64>) {
        for (index, &place) in missing.places.iter().enumerate() {
            deviation[place] = 0.0;
            missing.solution[index] = 0.0;
        }
        for (index, &place) in missing.places.iter().enumerate() {
            missing.solution[index] = -self.0.row(place).dot(deviation);
        }
        let width = missing.places.len();
        solve(&missing.factor, width, &mut missing.solution);
        for (index, &place) in missing.places.iter().enumerate() {
            deviation[place] = missing.solution[index];
        }
    }

    pub fn width(&self) -> usize {
        self.0.nrows()
    }

    /// `P d` into `product`, and `dᵀ P d`.
    pub fn quadratic(&self, deviation: ArrayView1<'_, f64>, product: &mut Array1<f64>) -> f64 {
        ndarray::linalg::general_mat_vec_mul(1.0, &self.0, &deviation, 0.0, product);
        deviation.dot(product).max(0.0)
    }

    pub fn diagonal(&self, place: usize) -> f64 {
        self.0[[place, place]]
    }

    pub fn row(&self, place: usize) -> ArrayView1<'_, f64> {
        self.0.row(place)
    }
}

/// Channels without a value, with the factor of their block of a precision, which is computed anew only when other channels
/// are missing than before. Its memory is taken at the start.
pub(super) struct MissingBlock {
    places: Vec<usize>,
    factored: Vec<usize>,
    factor: Array2<f64>,
    solution: Vec<f64>,
}

impl MissingBlock {
    pub fn new(width: usize) -> Self {
        Self {
            places: Vec::with_capacity(width),
            factored: Vec::with_capacity(width),
            factor: Array2::zeros((width, width)),
            solution: vec![0.0; width],
        }
    }

    pub fn clear(&mut self) {
        self.places.clear();
    }

    pub fn push(&mut self, place: usize) {
        self.places.push(place);
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// Makes the factor fit the places.
    pub fn factor_for(&mut self, precision: &Precision) {
        if self.places == self.factored {
            return;
        }
        for (i, &row) in self.places.iter().enumerate() {
            for (j, &column) in self.places.iter().enumerate() {
                self.factor[[i, j]] = precision.0[[row, column]];
            }
        }
        let count = self.places.len();
        let mut block = self.factor.slice_mut(ndarray::s![..count, ..count]);
        // A block of a positive definite matrix is one too.
        factor_view(&mut block);
        self.factored.clone_from(&self.places);
    }
}

/// Puts the lower Cholesky factor of a symmetric matrix in its place (Golub and Van Loan, algorithm 4.2.1); `false` if it is
/// not positive definite.
pub(crate) fn factor(a: &mut Array2<f64>) -> bool {
    factor_view(&mut a.view_mut())
}

fn factor_view(a: &mut ArrayViewMut2<'_, f64>) -> bool {
    let width = a.nrows();
    for j in 0..width {
        for k in 0..j {
            for i in j..width {
                let product = a[[i, k]] * a[[j, k]];
                a[[i, j]] -= product;
            }
        }
        let pivot = a[[j, j]];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let root = pivot.sqrt();
        for i in j..width {
            a[[i, j]] /= root;
        }
        for i in 0..j {
            a[[i, j]] = 0.0;
        }
    }
    true
}

/// Solves `L Lᵀ x = b` in place, with the leading block of `factor`.
pub(crate) fn solve(factor: &Array2<f64>, width: usize, x: &mut [f64]) {
    for i in 0..width {
        let known: f64 = (0..i).map(|k| factor[[i, k]] * x[k]).sum();
        x[i] = (x[i] - known) / factor[[i, i]];
    }
    for i in (0..width).rev() {
        let known: f64 = (i + 1..width).map(|k| factor[[k, i]] * x[k]).sum();
        x[i] = (x[i] - known) / factor[[i, i]];
    }
}

/// `(L Lᵀ)⁻¹`, column by column.
fn inverse(factor: &Array2<f64>) -> Array2<f64> {
    let width = factor.nrows();
    let mut inverse = Array2::zeros((width, width));
    for column in 0..width {
        let mut x = vec![0.0; width];
        x[column] = 1.0;
        solve(factor, width, &mut x);
        inverse.column_mut(column).assign(&ArrayView1::from(&x));
    }
    inverse
}

/// How a matrix is written into a file.
#[derive(Clone, Serialize, Deserialize)]
struct Rows(Vec<Vec<f64>>);

impl From<Precision> for Rows {
    fn from(precision: Precision) -> Self {
        Self(precision.0.rows().into_iter().map(|row| row.to_vec()).collect())
    }
}

impl From<Rows> for Precision {
    fn from(rows: Rows) -> Self {
        let width = rows.0.len();
        // A row of another length than the others is not a number, and so refused where the calibration is read.
        let whole = |i: usize| rows.0[i].len() == width;
        Self(Array2::from_shape_fn((width, width), |(i, j)| if whole(i) { rows.0[i][j] } else { f64::NAN }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_precision_times_its_covariance_is_one(values in proptest::collection::vec(-3.0f64..3.0, 36)) {
            let factor = Array2::from_shape_vec((6, 6), values).unwrap();
            let covariance = factor.dot(&factor.t()) + Array2::<f64>::eye(6) * 0.1;
            let precision = Precision::of(covariance.clone(), &Array1::zeros(6)).unwrap();
            let one = precision.0.dot(&covariance);
            for ((i, j), value) in one.indexed_iter() {
                prop_assert!((value - f64::from(u8::from(i == j))).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn channels_that_follow_each_other_exactly_are_kept_apart_by_the_ridge() {
        let covariance = Array2::from_elem((2, 2), 1.0);
        assert!(Precision::of(covariance.clone(), &Array1::zeros(2)).is_none());
        assert!(Precision::of(covariance, &Array1::from_elem(2, 1e-3)).is_some());
    }
}
