//! The little linear algebra that a control chart needs.

use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// The inverse of a covariance, `[p, p]`, with what a chart asks of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub(super) struct Precision(Array2<f64>);

impl Precision {
    /// Inverts a covariance with a ridge of `ridge` times its own diagonal.
    ///
    /// A direction without any variance gets the ridge alone; a covariance that is not positive definite even so is `None`.
    pub fn of(covariance: &Array2<f64>, ridge: f64) -> Option<Self> {
        let mut regular = covariance.clone();
        for variance in regular.diag_mut() {
            *variance = (*variance * (1.0 + ridge)).max(f64::MIN_POSITIVE);
        }
        cholesky(regular).map(|factor| Self(inverse(&factor)))
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

/// The lower Cholesky factor of a symmetric positive definite matrix (Golub and Van Loan, algorithm 4.2.1).
fn cholesky(mut a: Array2<f64>) -> Option<Array2<f64>> {
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
            return None;
        }
        let root = pivot.sqrt();
        for i in j..width {
            a[[i, j]] /= root;
        }
        for i in 0..j {
            a[[i, j]] = 0.0;
        }
    }
    Some(a)
}

/// `(L Lᵀ)⁻¹`, column by column.
fn inverse(factor: &Array2<f64>) -> Array2<f64> {
    let width = factor.nrows();
    let mut inverse = Array2::zeros((width, width));
    for column in 0..width {
        let mut x = Array1::<f64>::zeros(width);
        x[column] = 1.0;
        for i in 0..width {
            let known: f64 = (0..i).map(|k| factor[[i, k]] * x[k]).sum();
            x[i] = (x[i] - known) / factor[[i, i]];
        }
        for i in (0..width).rev() {
            let known: f64 = (i + 1..width).map(|k| factor[[k, i]] * x[k]).sum();
            x[i] = (x[i] - known) / factor[[i, i]];
        }
        inverse.column_mut(column).assign(&x);
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
        // A row of another length than the others is refused where the calibration is read.
        Self(Array2::from_shape_fn((width, width), |(i, j)| rows.0[i].get(j).copied().unwrap_or(f64::NAN)))
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
            let precision = Precision::of(&covariance, 0.0).unwrap();
            let one = precision.0.dot(&covariance);
            for ((i, j), value) in one.indexed_iter() {
                prop_assert!((value - f64::from(u8::from(i == j))).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn channels_that_follow_each_other_exactly_are_kept_apart_by_the_ridge() {
        let covariance = Array2::from_elem((2, 2), 1.0);
        assert!(Precision::of(&covariance, 0.0).is_none());
        assert!(Precision::of(&covariance, 1e-3).is_some());
    }
}
