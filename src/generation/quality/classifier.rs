use ndarray::{Array1, Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::windows::shuffle;
use crate::generation::normal::standard_normal;

/// What tells two classes apart: the probability, for each row, of class 1.
pub(super) trait Classifier {
    fn probabilities(&self, rows: &Array2<f64>) -> Array1<f64>;
}

/// Logistic regression with a quadratic penalty on its weights.
pub(super) struct Logistic {
    weights: Array1<f64>,
    bias: f64,
}

impl Logistic {
    /// Minimises mean cross-entropy + `penalty`/2 · |w|² by accelerated gradient descent (Nesterov).
    pub fn fit(rows: &Array2<f64>, classes: &Array1<f64>, penalty: f64) -> Self {
        let count = rows.nrows() as f64;
        // A bound of the curvature by power iteration; of the logistic function's own it is a quarter.
        let mut direction = Array1::from_elem(rows.ncols(), 1.0);
        let mut curvature = 1.0;
        for _ in 0..20 {
            direction = rows.t().dot(&rows.dot(&direction)) / count;
            curvature = direction.dot(&direction).sqrt().max(f64::MIN_POSITIVE);
            direction /= curvature;
        }
        let step = 1.0 / (0.3 * (curvature + 1.0) + penalty);
        let mut fitted = Self { weights: Array1::zeros(rows.ncols()), bias: 0.0 };
        let mut ahead = Self { weights: Array1::zeros(rows.ncols()), bias: 0.0 };
        let mut last = 1.0;
        for _ in 0..LOGISTIC_STEPS {
            let error = (ahead.probabilities(rows) - classes) / count;
            let weights = &ahead.weights - &((rows.t().dot(&error) + &ahead.weights * penalty) * step);
            let bias = ahead.bias - step * error.sum();
            let next = (1.0 + f64::hypot(1.0, 2.0 * last)) / 2.0;
            let momentum = (last - 1.0) / next;
            ahead.weights = &weights + &((&weights - &fitted.weights) * momentum);
            ahead.bias = bias + momentum * (bias - fitted.bias);
            (fitted, last) = (Self { weights, bias }, next);
        }
        fitted
    }
}

impl Classifier for Logistic {
    fn probabilities(&self, rows: &Array2<f64>) -> Array1<f64> {
        (rows.dot(&self.weights) + self.bias).mapv(sigmoid)
    }
}

/// A network of one hidden layer of rectified units, trained by Adam (Kingma and Ba, 2015) with weight decay.
pub(super) struct Perceptron {
    /// Hidden weights `[input, hidden]` and biases, output weights `[hidden, 1]` and bias.
    parameters: [Array2<f64>; 4],
}

impl Perceptron {
    pub fn fit(rows: &Array2<f64>, classes: &Array1<f64>, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut network = Self::new(rows.ncols(), &mut random);
        let mut moments: Vec<[Array2<f64>; 2]> =
            network.parameters.iter().map(|it| [Array2::zeros(it.dim()), Array2::zeros(it.dim())]).collect();
        let mut order: Vec<usize> = (0..rows.nrows()).collect();
        let mut step = 0;
        for _ in 0..EPOCHS {
            shuffle(&mut order, &mut random);
            for batch in order.chunks(BATCH) {
                step += 1;
                let gradients = network.gradients(&rows.select(Axis(0), batch), &classes.select(Axis(0), batch));
                let rate = RATE * (1.0 - 0.999f64.powi(step)).sqrt() / (1.0 - 0.9f64.powi(step));
                for ((parameter, gradient), [first, second]) in
                    network.parameters.iter_mut().zip(&gradients).zip(&mut moments)
                {
                    ndarray::Zip::from(parameter).and(gradient).and(first).and(second).for_each(|p, &g, m, v| {
                        *m = 0.9 * *m + 0.1 * g;
                        *v = 0.999 * *v + 0.001 * g * g;
                        *p -= rate * *m / (v.sqrt() + 1e-8) + RATE * DECAY * *p;
                    });
                }
            }
        }
        network
    }

    #[cfg(test)]
    pub fn with_parameters(parameters: [Array2<f64>; 4]) -> Self {
        Self { parameters }
    }

    fn new(inputs: usize, random: &mut ChaCha8Rng) -> Self {
        let mut layer = |inputs: usize, outputs: usize| {
            let scale = (2.0 / inputs as f64).sqrt();
            Array2::from_shape_simple_fn((inputs, outputs), || scale * standard_normal(random))
        };
        let (hidden, output) = (layer(inputs, HIDDEN), layer(HIDDEN, 1));
        Self { parameters: [hidden, Array2::zeros((1, HIDDEN)), output, Array2::zeros((1, 1))] }
    }

    /// Of the mean cross-entropy, in the order of the parameters.
    pub(super) fn gradients(&self, rows: &Array2<f64>, classes: &Array1<f64>) -> [Array2<f64>; 4] {
        let hidden = self.hidden(rows);
        let error = (self.outputs(&hidden) - classes) / rows.nrows() as f64;
        let error = error.insert_axis(Axis(1));
        let mut back = error.dot(&self.parameters[2].t());
        back.zip_mut_with(&hidden, |back, &unit| *back *= f64::from(u8::from(unit > 0.0)));
        let sum = |it: &Array2<f64>| it.sum_axis(Axis(0)).insert_axis(Axis(0));
        [rows.t().dot(&back), sum(&back), hidden.t().dot(&error), sum(&error)]
    }

    fn hidden(&self, rows: &Array2<f64>) -> Array2<f64> {
        let mut hidden = rows.dot(&self.parameters[0]) + &self.parameters[1];
        hidden.mapv_inplace(|value| value.max(0.0));
        hidden
    }

    fn outputs(&self, hidden: &Array2<f64>) -> Array1<f64> {
        (hidden.dot(&self.parameters[2]) + &self.parameters[3]).index_axis(Axis(1), 0).mapv(sigmoid)
    }
}

impl Classifier for Perceptron {
    fn probabilities(&self, rows: &Array2<f64>) -> Array1<f64> {
        self.outputs(&self.hidden(rows))
    }
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

const LOGISTIC_STEPS: usize = 300;
const HIDDEN: usize = 32;
const EPOCHS: usize = 30;
const BATCH: usize = 64;
const RATE: f64 = 2e-3;
const DECAY: f64 = 1e-2;
