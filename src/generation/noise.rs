use std::f64::consts::FRAC_PI_2;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::normal::standard_normal;

/// Independent standard normal values.
pub fn white(random: &mut impl Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| standard_normal(random) as f32).collect()
}

/// A noise between two: all of `one` at 0, all of `other` at 1, and standard normal all along if both are and do not
/// depend on each other: one · cos(πt/2) + other · sin(πt/2), for the squares of both factors sum to 1.
pub fn between(one: &[f32], other: &[f32], t: f64) -> Vec<f32> {
    let (sin, cos) = (t.clamp(0.0, 1.0) * FRAC_PI_2).sin_cos();
    one.iter().zip(other).map(|(one, other)| cos as f32 * one + sin as f32 * other).collect()
}

/// Random numbers of a seed for one purpose: what is drawn for one purpose leaves those for another as they are.
pub(crate) fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose);
    random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noise_between_two_has_the_variance_of_both() {
        let mut random = stream(1, 0);
        let (one, other) = (white(&mut random, 50_000), white(&mut random, 50_000));
        for t in [0.0, 0.3, 0.5, 1.0] {
            let between = between(&one, &other, t);
            let variance = between.iter().map(|x| f64::from(x * x)).sum::<f64>() / 50_000.0;
            assert!((variance - 1.0).abs() < 0.02, "{t}: {variance}");
        }
        assert_eq!(between(&one, &other, 0.0), one);
    }

    #[test]
    fn purposes_do_not_share_their_numbers() {
        assert_eq!(white(&mut stream(3, 1), 4), white(&mut stream(3, 1), 4));
        assert_ne!(white(&mut stream(3, 1), 4), white(&mut stream(3, 2), 4));
    }
}
