use ndarray::{Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::linear::{cholesky, covariance, eigenvalues, mean_of};
use super::windows::WindowSet;
use crate::generation::normal::standard_normal;

/// Fixed random convolutions after ROCKET (Dempster et al., DMKD 34, 2020): what they answer to a window is its features.
/// The Fréchet distance on them is called RC-FID here; it is no Context-FID, whose network is trained.
pub(super) struct RandomConvolutions {
    kernels: Vec<Kernel>,
}

pub(super) struct Kernel {
    /// `[tap][channel]`
    pub weights: Vec<Vec<f64>>,
    pub dilation: usize,
    pub bias: f64,
}

impl RandomConvolutions {
    /// The same ones for each set of that many channels.
    pub fn fixed(channels: usize, rows: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(KERNEL_SEED);
        let scale = ((channels * TAPS) as f64).sqrt().recip();
        let kernels = (0..KERNELS).map(|index| {
            let draw = |random: &mut ChaCha8Rng| (0..channels).map(|_| scale * standard_normal(random)).collect();
            let weights: Vec<Vec<f64>> = (0..TAPS.min(rows)).map(|_| draw(&mut random)).collect();
            let widest = ((rows - 1) / (weights.len() - 1).max(1)).max(1);
            Kernel {
                weights,
                dilation: DILATIONS[index % DILATIONS.len()].min(widest),
                bias: standard_normal(&mut random),
            }
        });
        Self { kernels: kernels.collect() }
    }

    #[cfg(test)]
    pub fn from_kernels(kernels: Vec<Kernel>) -> Self {
        Self { kernels }
    }

    /// `[window, 2 * kernels]`: per kernel the share of rows at which it answers more than 0, and the largest answer.
    pub fn features(&self, set: &WindowSet) -> Array2<f64> {
        let width = set.channels.len();
        Array2::from_shape_vec(
            (set.windows.len(), 2 * self.kernels.len()),
            set.windows
                .iter()
                .flat_map(|window| self.kernels.iter().flat_map(|kernel| kernel.answer(&window.values, width)))
                .collect(),
        )
        .expect("each window gives two features a kernel")
    }
}

impl Kernel {
    fn answer(&self, values: &[f64], channels: usize) -> [f64; 2] {
        let rows = values.len() / channels;
        let places = rows - (self.weights.len() - 1) * self.dilation;
        let (mut positive, mut largest) = (0, f64::NEG_INFINITY);
        for start in 0..places {
            let taps = self.weights.iter().enumerate().map(|(tap, weights)| {
                let row = &values[(start + tap * self.dilation) * channels..][..channels];
                row.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>()
            });
            let answer = self.bias + taps.sum::<f64>();
            positive += usize::from(answer > 0.0);
            largest = largest.max(answer);
        }
        [positive as f64 / places as f64, largest]
    }
}

/// The Fréchet distance of two sets of features taken as Gaussian, in squared units of the features (Dowson and Landau, J.
/// Multivariate Analysis 12, 1982): `|m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½)`.
pub(super) fn distance(one: &Array2<f64>, other: &Array2<f64>) -> f64 {
    let apart = mean_of(one) - mean_of(other);
    let (one, other) = (covariance(one), covariance(other));
    // C₁ C₂ has the eigenvalues of Lᵀ C₂ L, which is symmetric.
    let factor = cholesky(&one);
    let roots: f64 = eigenvalues(factor.t().dot(&other).dot(&factor)).map(|value| value.max(0.0).sqrt()).sum();
    let spread = one.diag().sum() + other.diag().sum() - 2.0 * roots;
    apart.map(|it| it * it).sum_axis(Axis(0)).into_scalar() + spread.max(0.0)
}

const KERNELS: usize = 32;
const TAPS: usize = 7;
const DILATIONS: [usize; 3] = [1, 2, 4];
const KERNEL_SEED: u64 = 20_111;
