//! Samplers: how a window goes from one noise level to the next lower one, one file each.
//!
//! What a sampler is handed is the denoiser's idea of the data at the level where the window is; where that comes from,
//! which schedule gave the levels and whether anybody guided it, it does not know.

mod ddim;
mod ddpm;
mod dpm_solver;

pub use ddim::Ddim;
pub use ddpm::Ddpm;
pub use dpm_solver::DpmSolver;

use super::NoiseLevel;
use crate::models::SamplerName;

/// From one noise level to a lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub from: NoiseLevel,
    pub to: NoiseLevel,
}

/// How one step is made.
pub trait Sampler {
    /// Moves `x` to the mean of what it may be at the lower level, where `data` is what the denoiser takes for x_0.
    fn step(&mut self, step: Step, x: &mut [f32], data: &[f32]);

    /// The standard deviation of the fresh noise that is to be added after the step.
    fn deviation(&self, _step: Step) -> f64 {
        0.0
    }
}

/// A sampler at its first step. `eta` is how much noise DDIM adds, 0 to 1.
pub fn sampler(name: SamplerName, eta: f64) -> Box<dyn Sampler> {
    match name {
        SamplerName::Ddpm => Box::new(Ddpm),
        SamplerName::Ddim => Box::new(Ddim { eta }),
        SamplerName::DpmSolver => Box::<DpmSolver>::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::GenerationError;
    use crate::generation::descent::descend;
    use crate::generation::noise::{stream, white};
    use crate::generation::schedule::{levels, schedule};
    use crate::models::ScheduleName;

    /// Windows of two values whose denoiser is known: normal with this mean and covariance.
    const MEAN: [f64; 2] = [1.0, -0.5];
    const COVARIANCE: [[f64; 2]; 2] = [[0.9, 0.5], [0.5, 0.4]];

    /// E[x_0 | x_t] = m + α·S·(α²·S + σ²·I)⁻¹·(x − α·m).
    fn denoise(x: &[f32], level: NoiseLevel) -> Vec<f32> {
        let (a, s) = (level.signal(), level.noise());
        let k = |i: usize, j: usize| a * a * COVARIANCE[i][j] + if i == j { s * s } else { 0.0 };
        let determinant = k(0, 0) * k(1, 1) - k(0, 1) * k(1, 0);
        let inverse = [[k(1, 1), -k(0, 1)], [-k(1, 0), k(0, 0)]].map(|row| row.map(|cell| cell / determinant));
        let one = |x: &[f32]| -> [f32; 2] {
            let d = [0, 1].map(|i| f64::from(x[i]) - a * MEAN[i]);
            let w = [0, 1].map(|i| inverse[i][0] * d[0] + inverse[i][1] * d[1]);
            [0, 1].map(|i| (MEAN[i] + a * (COVARIANCE[i][0] * w[0] + COVARIANCE[i][1] * w[1])) as f32)
        };
        x.chunks_exact(2).flat_map(one).collect()
    }

    fn moments(sampler: &mut dyn Sampler, schedule_name: ScheduleName, steps: usize) -> ([f64; 2], [[f64; 2]; 2]) {
        let mut random = stream(11, 0);
        let start = white(&mut random, 2 * COUNT);
        let levels = levels(schedule(schedule_name), steps);
        let mut data = |x: &[f32], level: NoiseLevel| -> Result<Vec<f32>, GenerationError> { Ok(denoise(x, level)) };
        let mut noise = |_: usize| Ok(white(&mut random, 2 * COUNT));
        let x = descend(&levels, sampler, start, &mut data, &mut noise).unwrap();
        let count = COUNT as f64;
        let of = |i: usize| x.iter().skip(i).step_by(2).map(|x| f64::from(*x));
        let mean = [0, 1].map(|i| of(i).sum::<f64>() / count);
        let covariance = [0, 1]
            .map(|i| [0, 1].map(|j| of(i).zip(of(j)).map(|(a, b)| (a - mean[i]) * (b - mean[j])).sum::<f64>() / count));
        (mean, covariance)
    }

    fn assert_reproduced(name: SamplerName, eta: f64, steps: usize, within: f64) {
        for schedule in [ScheduleName::Linear, ScheduleName::Cosine] {
            let (mean, covariance) = moments(&mut *sampler(name, eta), schedule, steps);
            let cells = [0, 1].map(|i| [0, 1].map(|j| covariance[i][j] - COVARIANCE[i][j])).concat();
            let off = [0, 1].map(|i| mean[i] - MEAN[i]).into_iter().chain(cells).map(f64::abs).fold(0.0, f64::max);
            assert!(off < within, "{name:?} with {schedule:?}: {mean:?} {covariance:?}");
        }
    }

    #[test]
    fn ddpm_gives_the_mean_and_the_covariance_of_a_normal_target() {
        assert_reproduced(SamplerName::Ddpm, 1.0, 500, 0.03);
    }

    #[test]
    fn ddim_gives_the_mean_and_the_covariance_of_a_normal_target_whatever_noise_it_adds() {
        assert_reproduced(SamplerName::Ddim, 0.0, 600, 0.03);
        assert_reproduced(SamplerName::Ddim, 0.5, 600, 0.03);
    }

    #[test]
    fn dpm_solver_gives_the_same_in_a_tenth_of_the_steps() {
        assert_reproduced(SamplerName::DpmSolver, 0.0, 30, 0.03);
    }

    #[test]
    fn each_step_of_second_order_is_worth_several_of_first_order() {
        let off = |name, steps| {
            let (_, covariance) = moments(&mut *sampler(name, 0.0), ScheduleName::Cosine, steps);
            (covariance[0][0] - COVARIANCE[0][0]).abs()
        };
        let (first, second) = (off(SamplerName::Ddim, 10), off(SamplerName::DpmSolver, 10));
        assert!(second < 0.6 * first, "{second} {first}");
    }

    #[test]
    fn an_offset_schedule_shrinks_what_lies_below_its_clearest_level_and_no_more() {
        let (mean, covariance) = moments(&mut *sampler(SamplerName::DpmSolver, 0.0), ScheduleName::OffsetCosine, 50);
        assert!((mean[0] - MEAN[0]).abs() < 0.05 && (covariance[0][0] - COVARIANCE[0][0]).abs() < 0.15);
    }

    const COUNT: usize = 20_000;
}
