use std::f64::consts::FRAC_PI_2;

use super::Schedule;
use crate::generation::NoiseLevel;

/// The cosine schedule of Nichol and Dhariwal, ICML 2021, equation 17: the angle grows evenly, but for a small offset
/// that keeps the first steps from being too small.
pub struct Cosine;

impl Schedule for Cosine {
    fn at(&self, time: f64) -> NoiseLevel {
        let amplitude = |time: f64| ((time + OFFSET) / (1.0 + OFFSET) * FRAC_PI_2).cos();
        NoiseLevel::from_signal(amplitude(time) / amplitude(0.0))
    }
}

const OFFSET: f64 = 0.008;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halfway_signal_and_noise_are_nearly_equal() {
        let half = Cosine.at(0.5);
        assert!((half.signal() - half.noise()).abs() < 0.02);
        assert_eq!(Cosine.at(0.0), NoiseLevel::DATA);
        assert!(Cosine.at(1.0).signal() < 1e-9);
    }
}
