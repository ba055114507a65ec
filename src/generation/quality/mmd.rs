use ndarray::Array2;

use super::linear::squared_distances;

/// The squared maximum mean discrepancy, unbiased (Gretton et al., JMLR 13, 2012, equation 3), with a Gaussian kernel whose
/// width is the median distance of all pairs. Without unit; about 0, and below, where both are alike.
pub(super) fn squared(one: &Array2<f64>, other: &Array2<f64>) -> f64 {
    let (within_one, within_other) = (squared_distances(one, one), squared_distances(other, other));
    let across = squared_distances(one, other);
    let pairs = |matrix: &Array2<f64>| -> Vec<f64> {
        matrix.indexed_iter().filter(|((i, j), _)| i < j).map(|(_, value)| *value).collect()
    };
    let (ones, others) = (pairs(&within_one), pairs(&within_other));
    let mut all: Vec<f64> = ones.iter().chain(&others).chain(across.iter()).copied().collect();
    let middle = all.len() / 2;
    let width = all.select_nth_unstable_by(middle, f64::total_cmp).1.max(f64::MIN_POSITIVE);
    let kernel = |squares: &mut dyn Iterator<Item = &f64>, count: usize| {
        squares.map(|square| (-square / (2.0 * width)).exp()).sum::<f64>() / count as f64
    };
    kernel(&mut ones.iter(), ones.len()) + kernel(&mut others.iter(), others.len())
        - 2.0 * kernel(&mut across.iter(), across.len())
}
