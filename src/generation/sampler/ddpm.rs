use super::{Sampler, Step};

/// Ancestral sampling: Ho et al., NeurIPS 2020, equations 6 and 7, with the posterior's own variance β̃.
pub struct Ddpm;

impl Sampler for Ddpm {
    fn step(&mut self, step: Step, x: &mut [f32], data: &[f32]) {
        let Posterior { of_data, of_x, .. } = Posterior::of(step);
        for (x, data) in x.iter_mut().zip(data) {
            *x = of_data * data + of_x * *x;
        }
    }

    fn deviation(&self, step: Step) -> f64 {
        Posterior::of(step).deviation
    }
}

/// q(x_s | x_t, x_0): the mean is a sum of the data and of x, equation 7.
struct Posterior {
    of_data: f32,
    of_x: f32,
    deviation: f64,
}

impl Posterior {
    fn of(Step { from, to }: Step) -> Self {
        // The equation's α_t and β_t, of a step of any length.
        let kept = (from.signal() / to.signal()).powi(2);
        let added = 1.0 - kept;
        let (noise_from, noise_to) = (from.noise().powi(2), to.noise().powi(2));
        Self {
            of_data: (to.signal() * added / noise_from) as f32,
            of_x: (kept.sqrt() * noise_to / noise_from) as f32,
            deviation: (added * noise_to / noise_from).sqrt(),
        }
    }
}
