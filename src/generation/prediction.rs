use super::NoiseLevel;
use crate::models::Prediction;

impl Prediction {
    /// The data x_0 that the prediction for `x` at a level amounts to, in place of the prediction.
    ///
    /// v = α·ε − σ·x_0, so that x_0 = α·x − σ·v (Salimans and Ho, ICLR 2022, equations 9 and 10); from the noise,
    /// x_0 = (x − σ·ε) / α (Ho et al., NeurIPS 2020, equation 15).
    pub fn to_data(self, predicted: &mut [f32], x: &[f32], level: NoiseLevel) {
        let (signal, noise) = (level.signal() as f32, level.noise() as f32);
        let pairs = predicted.iter_mut().zip(x);
        match self {
            Self::X0 => {}
            Self::V => pairs.for_each(|(predicted, x)| *predicted = signal * x - noise * *predicted),
            Self::Epsilon => pairs.for_each(|(predicted, x)| *predicted = (x - noise * *predicted) / signal),
        }
    }
}

/// Classifier-free guidance (Ho and Salimans, 2022, equation 6, with w as weight of the condition): u + w·(c − u), in
/// place of the conditional prediction. 1 leaves it as it is, more goes further away from what machines in any condition
/// have in common.
pub fn guide(conditional: &mut [f32], unconditional: &[f32], weight: f64) {
    let weight = weight as f32;
    for (conditional, unconditional) in conditional.iter_mut().zip(unconditional) {
        *conditional = unconditional + weight * (*conditional - unconditional);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::forward::noised;

    #[test]
    fn each_kind_of_prediction_gives_the_data_back() {
        let (data, noise, level) = ([2.0f32, -1.0], [0.5f32, 1.5], NoiseLevel::from_signal(0.6));
        let x = noised(&data, &noise, level);
        let v: Vec<f32> = noise.iter().zip(&data).map(|(e, d)| 0.6 * e - 0.8 * d).collect();
        for (prediction, mut predicted) in
            [(Prediction::X0, data.to_vec()), (Prediction::V, v), (Prediction::Epsilon, noise.to_vec())]
        {
            prediction.to_data(&mut predicted, &x, level);
            assert!(predicted.iter().zip(data).all(|(a, b)| (a - b).abs() < 1e-5), "{prediction:?} {predicted:?}");
        }
    }

    #[test]
    fn guidance_of_one_changes_nothing_and_more_exaggerates() {
        let mut one = [3.0f32];
        guide(&mut one, &[1.0], 1.0);
        assert_eq!(one, [3.0]);
        guide(&mut one, &[1.0], 1.5);
        assert_eq!(one, [4.0]);
    }
}
