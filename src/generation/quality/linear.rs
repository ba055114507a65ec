use ndarray::{Array1, Array2, Axis};

/// The squared Euclidean distance of each row of one matrix to each of another.
pub(super) fn squared_distances(one: &Array2<f64>, other: &Array2<f64>) -> Array2<f64> {
    let squares = |matrix: &Array2<f64>| -> Array1<f64> { matrix.map_axis(Axis(1), |row| row.dot(&row)) };
    let (ones, others) = (squares(one), squares(other));
    let mut distances = one.dot(&other.t()) * -2.0;
    for ((i, j), distance) in distances.indexed_iter_mut() {
        *distance = (*distance + ones[i] + others[j]).max(0.0);
    }
    distances
}

pub(super) fn mean_of(rows: &Array2<f64>) -> Array1<f64> {
    rows.sum_axis(Axis(0)) / rows.nrows() as f64
}

/// Of the population.
pub(super) fn covariance(rows: &Array2<f64>) -> Array2<f64> {
    let centred = rows - &mean_of(rows);
    centred.t().dot(&centred) / rows.nrows() as f64
}

/// The lower Cholesky factor of a symmetric matrix, row by row (Golub and Van Loan, section 4.2.5). A pivot that rounding
/// has left at or below 0 is taken as tiny.
pub(super) fn cholesky(matrix: &Array2<f64>) -> Array2<f64> {
    let width = matrix.nrows();
    let least = matrix.diag().iter().fold(f64::MIN_POSITIVE, |most, value| value.max(most)) * 1e-12;
    let mut factor = Array2::<f64>::zeros((width, width));
    for i in 0..width {
        for j in 0..=i {
            let known = factor.slice(ndarray::s![i, ..j]).dot(&factor.slice(ndarray::s![j, ..j]));
            let rest = matrix[[i, j]] - known;
            factor[[i, j]] = if i == j { rest.max(least).sqrt() } else { rest / factor[[j, j]] };
        }
    }
    factor
}

/// Solves `L Lᵀ X = B`.
pub(super) fn solve(factor: &Array2<f64>, right: &Array2<f64>) -> Array2<f64> {
    let mut solution = right.clone();
    let width = factor.nrows();
    for i in 0..width {
        let known = factor.slice(ndarray::s![i, ..i]).dot(&solution.slice(ndarray::s![..i, ..]));
        let row = (&solution.row(i) - &known) / factor[[i, i]];
        solution.row_mut(i).assign(&row);
    }
    for i in (0..width).rev() {
        let known = factor.slice(ndarray::s![i + 1.., i]).dot(&solution.slice(ndarray::s![i + 1.., ..]));
        let row = (&solution.row(i) - &known) / factor[[i, i]];
        solution.row_mut(i).assign(&row);
    }
    solution
}

/// The eigenvalues of a small symmetric matrix by Jacobi's cyclic rotations (Golub and Van Loan, algorithm 8.5.3).
pub(super) fn eigenvalues(mut matrix: Array2<f64>) -> Array1<f64> {
    let width = matrix.nrows();
    for _ in 0..MOST_SWEEPS {
        let off: f64 = matrix.indexed_iter().filter(|((i, j), _)| i != j).map(|(_, value)| value * value).sum();
        if off <= 1e-24 * matrix.diag().dot(&matrix.diag()) {
            break;
        }
        for p in 0..width {
            for q in p + 1..width {
                rotate(&mut matrix, p, q);
            }
        }
    }
    matrix.diag().to_owned()
}

/// Turns the plane of two axes so that their entry becomes 0.
fn rotate(matrix: &mut Array2<f64>, p: usize, q: usize) {
    if matrix[[p, q]] == 0.0 {
        return;
    }
    let theta = (matrix[[q, q]] - matrix[[p, p]]) / (2.0 * matrix[[p, q]]);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = tangent.hypot(1.0).recip();
    let sine = tangent * cosine;
    for k in 0..matrix.nrows() {
        let (a, b) = (matrix[[k, p]], matrix[[k, q]]);
        matrix[[k, p]] = cosine * a - sine * b;
        matrix[[k, q]] = sine * a + cosine * b;
    }
    for k in 0..matrix.nrows() {
        let (a, b) = (matrix[[p, k]], matrix[[q, k]]);
        matrix[[p, k]] = cosine * a - sine * b;
        matrix[[q, k]] = sine * a + cosine * b;
    }
}

const MOST_SWEEPS: usize = 50;
