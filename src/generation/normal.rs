use rand::Rng;

/// One draw of a standard normal variable by the polar method (Marsaglia and Bray, SIAM Review 6, 1964). Written out so
/// that a seed gives the same bytes whatever version of whatever crate draws the uniform ones.
pub fn standard_normal(random: &mut impl Rng) -> f64 {
    loop {
        let [u, v] = [uniform(random), uniform(random)].map(|u| 2.0 * u - 1.0);
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            return u * (-2.0 * s.ln() / s).sqrt();
        }
    }
}

/// 53 random bits in `[0, 1)`.
pub fn uniform(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 * (-53f64).exp2()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn draws_have_mean_zero_and_variance_one() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<f64> = (0..100_000).map(|_| standard_normal(&mut random)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}
