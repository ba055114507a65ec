use super::NoiseLevel;

/// q(x_t | x_0): a window `data` with `noise`, standard normal, at a level. Ho et al., NeurIPS 2020, equation 4:
/// x_t = √ᾱ · x_0 + √(1 − ᾱ) · ε.
pub fn noised(data: &[f32], noise: &[f32], level: NoiseLevel) -> Vec<f32> {
    let (signal, amount) = (level.signal() as f32, level.noise() as f32);
    data.iter().zip(noise).map(|(data, noise)| signal * data + amount * noise).collect()
}

/// q(x_t | x_s) for a level t noisier than s: more noise on what has some, so that the whole is as if it had come from
/// the data at once. The same paper, equation 2 taken over several steps.
pub fn renoised(x: &[f32], noise: &[f32], from: NoiseLevel, to: NoiseLevel) -> Vec<f32> {
    let kept = to.signal() / from.signal();
    let added = (to.noise().powi(2) - (kept * from.noise()).powi(2)).max(0.0).sqrt();
    x.iter().zip(noise).map(|(x, noise)| kept as f32 * x + added as f32 * noise).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::generation::noise::white;

    fn moments(values: &[f32]) -> (f64, f64) {
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    #[test]
    fn noised_data_have_the_mean_and_the_variance_of_the_closed_form() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let level = NoiseLevel::from_signal(0.8);
        let (mean, variance) = moments(&noised(&[2.0; 50_000], &white(&mut random, 50_000), level));
        assert!((mean - 1.6).abs() < 0.02 && (variance - 0.36).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn noise_in_two_steps_is_noise_in_one() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let [some, more] = [0.9, 0.3].map(NoiseLevel::from_signal);
        let once = noised(&[2.0; 50_000], &white(&mut random, 50_000), some);
        let (mean, variance) = moments(&renoised(&once, &white(&mut random, 50_000), some, more));
        assert!((mean - 0.6).abs() < 0.02 && (variance - 0.91).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn without_noise_the_data_stay_as_they_are() {
        assert_eq!(noised(&[1.0, -3.0], &[9.0, 9.0], NoiseLevel::DATA), [1.0, -3.0]);
    }
}
