use super::{Sampler, Step};
use crate::generation::NoiseLevel;

/// DPM-Solver++(2M): Lu et al., 2022, algorithm 2. Two data predictions, this step's and the one before, say how the data
/// move; the first step and the last, which goes to where there is no noise, are of first order.
#[derive(Default)]
pub struct DpmSolver {
    /// The level of the step before and the data as they were seen there.
    before: Option<(NoiseLevel, Vec<f32>)>,
}

impl Sampler for DpmSolver {
    fn step(&mut self, Step { from, to }: Step, x: &mut [f32], data: &[f32]) {
        let h = to.lambda() - from.lambda();
        let of_x = (to.noise() / from.noise()) as f32;
        // α_t · (1 − e^(−h)); all of the data where h is infinite.
        let of_data = -(to.signal() * (-h).exp_m1()) as f32;
        let second = self.before.take().filter(|_| h.is_finite()).map(|(level, before)| {
            let r = (from.lambda() - level.lambda()) / h;
            ((0.5 / r) as f32, before)
        });
        match &second {
            Some((c, before)) => {
                for ((x, data), before) in x.iter_mut().zip(data).zip(before) {
                    *x = of_x * *x + of_data * ((1.0 + c) * data - c * before);
                }
            }
            None => x.iter_mut().zip(data).for_each(|(x, data)| *x = of_x * *x + of_data * data),
        }
        self.before = Some((from, data.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ddim;
    use super::*;

    #[test]
    fn its_first_step_is_that_of_ddim_and_its_last_one_ends_at_the_data() {
        let [from, to] = [0.2, 0.6].map(NoiseLevel::from_signal);
        let [mut one, mut other] = [[0.4f32, -1.2]; 2];
        let data = [1.0, 0.5];
        let mut solver = DpmSolver::default();
        solver.step(Step { from, to }, &mut one, &data);
        Ddim { eta: 0.0 }.step(Step { from, to }, &mut other, &data);
        assert!(one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-6), "{one:?} {other:?}");
        solver.step(Step { from: to, to: NoiseLevel::DATA }, &mut one, &[2.0, 3.0]);
        assert_eq!(one, [2.0, 3.0]);
    }
}
