use super::{Sampler, Step};

/// Song et al., ICLR 2021, equations 12 and 16. With `eta` 0 each noise becomes one window and always the same one; with
/// 1 it is DDPM.
pub struct Ddim {
    pub eta: f64,
}

impl Sampler for Ddim {
    fn step(&mut self, step: Step, x: &mut [f32], data: &[f32]) {
        let Step { from, to } = step;
        let direction = (to.noise().powi(2) - self.deviation(step).powi(2)).max(0.0).sqrt();
        let of_x = direction / from.noise();
        let of_data = to.signal() - of_x * from.signal();
        for (x, data) in x.iter_mut().zip(data) {
            *x = of_data as f32 * data + of_x as f32 * *x;
        }
    }

    fn deviation(&self, Step { from, to }: Step) -> f64 {
        let kept = (from.signal() / to.signal()).powi(2);
        self.eta * (to.noise() / from.noise()) * (1.0 - kept).max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ddpm;
    use super::*;
    use crate::generation::NoiseLevel;

    #[test]
    fn with_all_its_noise_it_is_ddpm() {
        let [from, to] = [0.3, 0.7].map(NoiseLevel::from_signal);
        let (step, mut ddim) = (Step { from, to }, Ddim { eta: 1.0 });
        let [mut one, mut other] = [[0.4f32, -1.2]; 2];
        ddim.step(step, &mut one, &[1.0, 0.5]);
        Ddpm.step(step, &mut other, &[1.0, 0.5]);
        assert!(one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-6), "{one:?} {other:?}");
        assert!((ddim.deviation(step) - Ddpm.deviation(step)).abs() < 1e-12);
    }
}
