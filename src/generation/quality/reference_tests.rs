//! Each measure against what numpy, scipy, scikit-learn and torch say of the same windows: `tests/quality/reference.py`
//! makes the file.

use ndarray::{Array1, Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::classifier::{Classifier, Logistic, Perceptron};
use super::frechet::{Kernel, RandomConvolutions};
use super::labels::LabelReader;
use super::linear::{covariance, mean_of};
use super::privacy::Privacy;
use super::windows::{Window, WindowSet, shuffle};
use super::{autocorrelation, baseline, correlation, frechet, marginal, mmd, spectrum};

#[derive(Deserialize)]
struct Reference {
    one: Vec<Vec<f64>>,
    other: Vec<Vec<f64>>,
    labels: Vec<Vec<f64>>,
    ks: Vec<f64>,
    wasserstein: Vec<f64>,
    correlation: f64,
    acf: f64,
    psd: f64,
    high_frequency: f64,
    mmd: f64,
    frechet: f64,
    convolutions: Convolutions,
    logistic: Vec<f64>,
    perceptron: Gradients,
    told: Vec<[f64; 3]>,
    privacy: Remembered,
    additive: Additive,
}

#[derive(Deserialize)]
struct Convolutions {
    /// `[kernel][tap][channel]`
    weights: Vec<Vec<Vec<f64>>>,
    biases: Vec<f64>,
    dilations: Vec<usize>,
    features: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Gradients {
    parameters: [Vec<Vec<f64>>; 4],
    gradients: [Vec<Vec<f64>>; 4],
    probabilities: Vec<f64>,
}

#[derive(Deserialize)]
struct Remembered {
    synthetic: Vec<Vec<f64>>,
    closer: f64,
    flags: f64,
    nearest_ratio: f64,
    near_duplicates: f64,
}

#[derive(Deserialize)]
struct Additive {
    mean: Vec<Vec<f64>>,
    variance: Vec<f64>,
}

impl Reference {
    fn read() -> Self {
        serde_json::from_str(include_str!("../../../tests/quality/reference.json")).expect("the script wrote it")
    }

    fn one(&self) -> WindowSet {
        self.set(&self.one)
    }

    fn other(&self) -> WindowSet {
        self.set(&self.other)
    }

    /// In groups of four.
    fn set(&self, rows: &[Vec<f64>]) -> WindowSet {
        let window = |(place, values): (usize, &Vec<f64>)| Window {
            group: place / 4,
            labels: self.labels[place].clone(),
            values: values.clone(),
        };
        WindowSet {
            channels: ["a", "b", "c"].map(str::to_owned).to_vec(),
            labels: ["level", "parity"].map(str::to_owned).to_vec(),
            rows: 12,
            windows: rows.iter().enumerate().map(window).collect(),
        }
    }
}

#[test]
fn spreads_are_as_scipy_says() {
    let reference = Reference::read();
    let (one, other) = (reference.one(), reference.other());
    for channel in 0..3 {
        let (a, b) = (one.channel(channel), other.channel(channel));
        near(marginal::kolmogorov_smirnov(&a, &b), reference.ks[channel], 1e-12);
        near(marginal::wasserstein(&a, &b), reference.wasserstein[channel], 1e-9);
    }
}

#[test]
fn shapes_are_as_numpy_says() {
    let reference = Reference::read();
    let (one, other) = (reference.one(), reference.other());
    near(correlation::difference(&one, &other), reference.correlation, 1e-10);
    near(autocorrelation::difference(&one, &other), reference.acf, 1e-10);
    let spectra = [&one, &other].map(spectrum::of);
    near(spectrum::log_ratio(&spectra[0], &spectra[1]), reference.psd, 1e-6);
    near(spectrum::high_frequency_ratio(&spectra[0], &spectra[1]), reference.high_frequency, 1e-6);
    near(mmd::squared(&one.matrix(), &other.matrix()), reference.mmd, 1e-10);
}

#[test]
fn the_frechet_distance_is_as_by_the_root_of_the_product() {
    let reference = Reference::read();
    let six = |set: WindowSet| set.matrix().slice(ndarray::s![.., ..6]).to_owned();
    near(frechet::distance(&six(reference.one()), &six(reference.other())), reference.frechet, 1e-6);
}

#[test]
fn random_convolutions_answer_as_torch_does() {
    let reference = Reference::read();
    let Convolutions { weights, biases, dilations, features } = &reference.convolutions;
    let kernels = weights.iter().zip(biases).zip(dilations);
    let kernels = kernels.map(|((weights, &bias), &dilation)| Kernel { weights: weights.clone(), dilation, bias });
    let found = RandomConvolutions::from_kernels(kernels.collect()).features(&reference.one());
    all_near(&found, &matrix(features), 1e-12);
}

#[test]
fn logistic_regression_tells_what_scikit_learn_tells() {
    let reference = Reference::read();
    let (rows, classes) = both(&reference);
    let told = Logistic::fit(&rows, &classes, 0.01).probabilities(&rows);
    for (told, expected) in told.iter().zip(&reference.logistic) {
        // It stops at a number of steps, not at the optimum.
        near(*told, *expected, 1e-2);
    }
}

#[test]
fn a_perceptron_descends_as_torch_says() {
    let reference = Reference::read();
    let (rows, classes) = both(&reference);
    let network = Perceptron::with_parameters(reference.perceptron.parameters.each_ref().map(|it| matrix(it)));
    for (told, expected) in network.probabilities(&rows).iter().zip(&reference.perceptron.probabilities) {
        near(*told, *expected, 1e-12);
    }
    for (gradient, expected) in network.gradients(&rows, &classes).iter().zip(&reference.perceptron.gradients) {
        all_near(gradient, &matrix(expected), 1e-12);
    }
}

#[test]
fn labels_are_told_as_scikit_learn_tells_them() {
    let reference = Reference::read();
    let (one, other) = (reference.one(), reference.other());
    for (label, expected) in reference.told.iter().enumerate() {
        let reader = LabelReader::learn(&one, &one, label).expect("each label has several levels");
        let told = reader.judge(&other).expect("the same levels are in both");
        assert_eq!([told.discriminant, told.ridge], expected[..2], "label {label}");
        // Of three levels two can have as many of five votes, and then ours and theirs have rules of their own.
        if label == TWO_LEVELS {
            assert_eq!(told.neighbours, expected[2]);
        }
    }
}

#[test]
fn what_is_told_of_the_training_is_as_by_all_pairs() {
    let reference = Reference::read();
    let expected = &reference.privacy;
    let found = Privacy::of(&reference.one(), &reference.other(), &reference.set(&expected.synthetic));
    near(found.closer, expected.closer, 1e-12);
    near(found.flags, expected.flags, 1e-12);
    near(found.nearest_ratio, expected.nearest_ratio, 1e-6);
    near(found.near_duplicates, expected.near_duplicates, 1e-12);
}

#[test]
fn baselines_have_the_moments_of_the_training() {
    let reference = Reference::read();
    let train = reference.one();
    let many = WindowSet { windows: (0..200).flat_map(|_| train.windows.clone()).collect(), ..train.empty() };
    let drawn = baseline::gaussian(&train, &many).matrix();
    let train_values = train.matrix();
    for (found, expected) in mean_of(&drawn).iter().zip(&mean_of(&train_values)) {
        near(*found, *expected, 0.1);
    }
    for (found, expected) in covariance(&drawn).iter().zip(&covariance(&train_values)) {
        near(*found, *expected, 0.15);
    }
    let additive = baseline::additive(&train, &many).expect("there are labels").matrix();
    for (place, expected) in reference.additive.mean.iter().enumerate() {
        let alike: Vec<usize> = (0..many.windows.len()).filter(|row| row % train.windows.len() == place).collect();
        for (found, expected) in mean_of(&additive.select(Axis(0), &alike)).iter().zip(expected) {
            near(*found, *expected, 0.5);
        }
    }
    let means = matrix(&reference.additive.mean);
    let residuals = Array2::from_shape_fn(additive.dim(), |(row, column)| {
        additive[[row, column]] - means[[row % train.windows.len(), column]]
    });
    for (found, expected) in covariance(&residuals).diag().iter().zip(&reference.additive.variance) {
        near(found / expected, 1.0, 0.1);
    }
}

#[test]
fn shuffling_loses_nothing_and_moves_all() {
    let mut items: Vec<usize> = (0..100).collect();
    shuffle(&mut items, &mut ChaCha8Rng::seed_from_u64(1));
    assert!(items.iter().enumerate().filter(|(place, item)| place == *item).count() < 10);
    items.sort_unstable();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
}

fn both(reference: &Reference) -> (Array2<f64>, Array1<f64>) {
    let rows = ndarray::concatenate![Axis(0), reference.one().matrix(), reference.other().matrix()];
    let classes = Array1::from_shape_fn(rows.nrows(), |row| if row < reference.one.len() { 0.0 } else { 1.0 });
    (rows, classes)
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    let values = rows.iter().flatten().copied().collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), values).expect("rows of one length")
}

fn all_near(found: &Array2<f64>, expected: &Array2<f64>, tolerance: f64) {
    assert_eq!(found.dim(), expected.dim());
    for (found, expected) in found.iter().zip(expected) {
        near(*found, *expected, tolerance);
    }
}

#[track_caller]
fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
}

/// The place of the label that has two.
const TWO_LEVELS: usize = 1;
