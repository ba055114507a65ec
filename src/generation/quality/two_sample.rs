use std::collections::{BTreeMap, HashMap};

use ndarray::{Array1, Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::classifier::{Classifier, Logistic, Perceptron};
use super::windows::{WindowSet, shuffle};

/// How far classifiers get beyond guessing which of two sets a window is of (Lopez-Paz and Oquab, ICLR 2017): |accuracy −
/// 0.5|, 0 (nothing tells them apart) to 0.5, accuracies meant over both sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoSample {
    pub logistic: f64,
    pub perceptron: f64,
}

impl TwoSample {
    pub fn of(real: &WindowSet, other: &WindowSet) -> Self {
        Self::between(&real.matrix(), &other.matrix(), &folds(real, other))
    }

    /// On first differences, each over its real deviation: sees noise that the values hide.
    pub fn fine(real: &WindowSet, other: &WindowSet) -> Self {
        Self::between(&differences(real), &differences(other), &folds(real, other))
    }

    /// Folds are of the rows of `real` and then of `other`.
    fn between(real: &Array2<f64>, other: &Array2<f64>, folds: &[usize]) -> Self {
        let rows = ndarray::concatenate![Axis(0), real.view(), other.view()];
        let classes = Array1::from_shape_fn(rows.nrows(), |row| f64::from(u8::from(row >= real.nrows())));
        // Per classifier and class: those told rightly.
        let mut right = [[0.0; 2]; 2];
        for fold in 0..FOLDS {
            let (seen, unseen): (Vec<usize>, Vec<usize>) = (0..rows.nrows()).partition(|&row| folds[row] != fold);
            let learnt_real: Vec<usize> = seen.iter().copied().filter(|&row| row < real.nrows()).collect();
            if learnt_real.is_empty() || learnt_real.len() == seen.len() || unseen.is_empty() {
                continue;
            }
            let columns = Columns::of(&rows.select(Axis(0), &learnt_real));
            let learn = columns.apply(&rows.select(Axis(0), &seen));
            let test = columns.apply(&rows.select(Axis(0), &unseen));
            let learn_classes = classes.select(Axis(0), &seen);
            let told = [
                Logistic::fit(&learn, &learn_classes, PENALTY).probabilities(&test),
                Perceptron::fit(&learn, &learn_classes, SEED + fold as u64).probabilities(&test),
            ];
            for (right, told) in right.iter_mut().zip(&told) {
                for (&row, probability) in unseen.iter().zip(told) {
                    let class = usize::from(row >= real.nrows());
                    right[class] += f64::from(u8::from((*probability > 0.5) == (class == 1)));
                }
            }
        }
        let beyond =
            |right: [f64; 2]| ((right[0] / real.nrows() as f64 + right[1] / other.nrows() as f64) / 2.0 - 0.5).abs();
        Self { logistic: beyond(right[0]), perceptron: beyond(right[1]) }
    }
}

/// The fold of each window of `real` and then of `other`. Windows of one group are in one fold, and so are all windows of
/// one condition, on either side: a classifier is asked about machines and conditions that it has not seen.
fn folds(real: &WindowSet, other: &WindowSet) -> Vec<usize> {
    let by_label = |with_labels: bool| {
        let mut families = Families::default();
        let mut numbers: HashMap<Vec<u64>, usize> = HashMap::new();
        let mut own = Vec::new();
        for (side, set) in [real, other].into_iter().enumerate() {
            for window in &set.windows {
                let group = families.number(&mut numbers, vec![side as u64, window.group as u64]);
                if with_labels && !window.labels.is_empty() {
                    let condition = [2].into_iter().chain(window.labels.iter().map(|label| label.to_bits()));
                    let condition = families.number(&mut numbers, condition.collect());
                    families.join(group, condition);
                }
                own.push(group);
            }
        }
        own.into_iter().map(|group| families.eldest(group)).collect::<Vec<usize>>()
    };
    let distinct = |families: &[usize]| families.iter().collect::<std::collections::HashSet<_>>().len();
    let with_labels = by_label(true);
    let families = if distinct(&with_labels) >= FEWEST_FAMILIES { with_labels } else { by_label(false) };
    spread(&families)
}

/// Families over folds, the largest first, each to the fold that has least.
fn spread(families: &[usize]) -> Vec<usize> {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for family in families {
        *sizes.entry(*family).or_default() += 1;
    }
    let mut order: Vec<(usize, usize)> = sizes.into_iter().collect();
    shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(SEED));
    order.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut loads = [0; FOLDS];
    let mut folds: HashMap<usize, usize> = HashMap::new();
    for (family, size) in order {
        let fold = (0..FOLDS).min_by_key(|&fold| loads[fold]).unwrap_or(0);
        loads[fold] += size;
        folds.insert(family, fold);
    }
    families.iter().map(|family| folds[family]).collect()
}

/// Who belongs together, as a forest.
#[derive(Default)]
struct Families(Vec<usize>);

impl Families {
    fn number(&mut self, numbers: &mut HashMap<Vec<u64>, usize>, key: Vec<u64>) -> usize {
        *numbers.entry(key).or_insert_with(|| {
            self.0.push(self.0.len());
            self.0.len() - 1
        })
    }

    fn eldest(&self, mut member: usize) -> usize {
        while self.0[member] != member {
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.eldest(one), self.eldest(other));
        self.0[one.max(other)] = one.min(other);
    }
}

fn differences(set: &WindowSet) -> Array2<f64> {
    let (values, channels) = (set.matrix(), set.channels.len());
    &values.slice(ndarray::s![.., channels..]) - &values.slice(ndarray::s![.., ..set.width() - channels])
}

/// Mean and deviation of each column in the real windows that a classifier learns from.
struct Columns {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl Columns {
    fn of(real: &Array2<f64>) -> Self {
        let mean = super::linear::mean_of(real);
        let centred = real - &mean;
        let deviation = (&centred * &centred).sum_axis(Axis(0)).mapv(|square| (square / real.nrows() as f64).sqrt());
        // What never varies in real windows and does in others is told apart, and drowns nothing else.
        let least = 1e-3 * deviation.sum() / deviation.len() as f64;
        Self { mean, deviation: deviation.mapv(|deviation| deviation.max(least).max(f64::MIN_POSITIVE)) }
    }

    fn apply(&self, rows: &Array2<f64>) -> Array2<f64> {
        ((rows - &self.mean) / &self.deviation).mapv(|value| value.clamp(-FARTHEST, FARTHEST))
    }
}

const FOLDS: usize = 5;
/// With fewer, no fold would hold several.
const FEWEST_FAMILIES: usize = 10;
const PENALTY: f64 = 0.01;
const SEED: u64 = 11;
/// Deviations.
const FARTHEST: f64 = 10.0;
