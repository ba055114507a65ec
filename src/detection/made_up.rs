//! Made-up rows for this room's tests.

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Near enough to a standard normal number.
pub fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Noise, a load cycle and a slow walk that keeps so much of where it was.
pub fn machine(count: usize, seed: u64, keeps: f64) -> Array2<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut walk = 0.0;
    Array2::from_shape_fn((count, 3), |(t, channel)| {
        let noise = normal(&mut random);
        match channel {
            0 => noise,
            1 => 2.0 * (t as f64 * std::f64::consts::TAU / 45.0).sin() + 0.3 * noise,
            _ => {
                walk = keeps * walk + 0.3 * noise;
                walk
            }
        }
    })
}
