use std::collections::HashMap;

use ndarray::{Array1, Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::linear::{cholesky, solve};
use super::windows::{Window, WindowSet};
use crate::generation::normal::standard_normal;

/// A Gaussian with the mean and the covariance of the flattened training windows; one window for each of `like`.
pub(super) fn gaussian(train: &WindowSet, like: &WindowSet) -> WindowSet {
    let design = Array2::ones((train.windows.len(), 1));
    draw(train, like, &design, &Array2::ones((like.windows.len(), 1)))
}

/// The same about a mean that is a linear model of the labels, piecewise linear between the levels of each; `None` where
/// there are no labels.
pub(super) fn additive(train: &WindowSet, like: &WindowSet) -> Option<WindowSet> {
    if train.labels.is_empty() || train.labels != like.labels {
        return None;
    }
    let levels: Vec<Vec<f64>> = (0..train.labels.len()).map(|label| levels(train, label)).collect();
    Some(draw(train, like, &hats(train, &levels), &hats(like, &levels)))
}

/// The levels of a label in these windows, rising.
pub(super) fn levels(set: &WindowSet, label: usize) -> Vec<f64> {
    let mut levels: Vec<f64> = set.windows.iter().map(|window| window.labels[label]).collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels.dedup();
    levels
}

/// Fits a mean on the design and draws about the mean at `wanted`. A weighted sum of the residuals with independent normal
/// weights has exactly their covariance, also where there are fewer windows than values in one.
fn draw(train: &WindowSet, like: &WindowSet, design: &Array2<f64>, wanted: &Array2<f64>) -> WindowSet {
    let weights = weights(train);
    let values = train.matrix();
    let weighted = design * &weights.view().insert_axis(Axis(1));
    let mut normal = weighted.t().dot(design);
    normal.diag_mut().mapv_inplace(|value| value + RIDGE);
    let coefficients = solve(&cholesky(&normal), &weighted.t().dot(&values));
    let residuals = (&values - &design.dot(&coefficients)) * &weights.mapv(f64::sqrt).insert_axis(Axis(1));
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let shape = (like.windows.len(), train.windows.len());
    let noise = Array2::from_shape_simple_fn(shape, || standard_normal(&mut random));
    let drawn = wanted.dot(&coefficients) + noise.dot(&residuals) / weights.sum().sqrt();
    let windows = like.windows.iter().zip(drawn.rows()).map(|(window, values)| Window {
        group: window.group,
        labels: window.labels.clone(),
        values: values.to_vec(),
    });
    WindowSet { windows: windows.collect(), ..like.empty() }
}

/// A group of n windows counts as ten at most.
fn weights(set: &WindowSet) -> Array1<f64> {
    let mut sizes: HashMap<usize, f64> = HashMap::new();
    for window in &set.windows {
        *sizes.entry(window.group).or_default() += 1.0;
    }
    set.windows.iter().map(|window| sizes[&window.group].min(10.0) / sizes[&window.group]).collect()
}

/// 1, and per label one value for each level but its first: 1 on the level, 0 on its neighbours, straight between.
fn hats(set: &WindowSet, levels: &[Vec<f64>]) -> Array2<f64> {
    let row = |window: &Window| {
        let hats = levels
            .iter()
            .zip(&window.labels)
            .flat_map(|(levels, &value)| (1..levels.len()).map(move |place| hat(levels, place, value)));
        [1.0].into_iter().chain(hats).collect::<Vec<f64>>()
    };
    let rows: Vec<f64> = set.windows.iter().flat_map(row).collect();
    Array2::from_shape_vec((set.windows.len(), rows.len() / set.windows.len()), rows).expect("one row a window")
}

fn hat(levels: &[f64], place: usize, value: f64) -> f64 {
    let value = value.clamp(levels[0], levels[levels.len() - 1]);
    let rising = (value - levels[place - 1]) / (levels[place] - levels[place - 1]);
    let falling = levels.get(place + 1).map_or(1.0, |next| (next - value) / (next - levels[place]));
    rising.min(falling).clamp(0.0, 1.0)
}

/// Against levels that never vary on their own.
const RIDGE: f64 = 1e-6;
const SEED: u64 = 2;
