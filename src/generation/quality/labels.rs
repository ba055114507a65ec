use ndarray::{Array2, Axis};

use super::baseline::levels;
use super::linear::{cholesky, mean_of, solve, squared_distances};
use super::windows::WindowSet;

/// Shares of windows whose level of a label is told rightly, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub discriminant: f64,
    pub ridge: f64,
    pub neighbours: f64,
}

/// Classifiers of one label, trained on the windows of one set, by linear discriminants, ridge regression on indicators and
/// the five nearest neighbours.
pub(super) struct LabelReader {
    label: usize,
    levels: Vec<f64>,
    learnt: Array2<f64>,
    classes: Vec<usize>,
    discriminant: Linear,
    ridge: Linear,
}

/// A linear function for each class; the largest wins.
struct Linear {
    /// `[values, classes]`
    weights: Array2<f64>,
    /// `[1, classes]`
    biases: Array2<f64>,
}

impl LabelReader {
    /// Learns to tell the levels that a label has in `known`; `None` where the windows have fewer than two of them.
    pub fn learn(set: &WindowSet, known: &WindowSet, label: usize) -> Option<Self> {
        let levels = levels(known, label);
        let (places, classes) = labelled(set, label, &levels);
        let mut distinct = classes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 2 {
            return None;
        }
        let learnt = set.matrix().select(Axis(0), &places);
        Some(Self {
            label,
            discriminant: discriminant(&learnt, &classes, levels.len()),
            ridge: ridge(&learnt, &classes, levels.len()),
            levels,
            learnt,
            classes,
        })
    }

    /// How often it is right about these windows, and of how many; levels that it cannot know are left out.
    pub fn judge(&self, set: &WindowSet) -> Option<Told> {
        let (places, classes) = labelled(set, self.label, &self.levels);
        if places.is_empty() {
            return None;
        }
        let rows = set.matrix().select(Axis(0), &places);
        let share = |told: Vec<usize>| {
            told.iter().zip(&classes).filter(|(told, class)| told == class).count() as f64 / classes.len() as f64
        };
        Some(Told {
            discriminant: share(self.discriminant.tell(&rows)),
            ridge: share(self.ridge.tell(&rows)),
            neighbours: share(self.vote(&rows)),
        })
    }

    fn vote(&self, rows: &Array2<f64>) -> Vec<usize> {
        let distances = squared_distances(rows, &self.learnt);
        let nearest = |row: ndarray::ArrayView1<'_, f64>| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
            let mut votes = vec![0; self.levels.len()];
            order.iter().take(NEIGHBOURS).for_each(|&place| votes[self.classes[place]] += 1);
            // Where two have as many votes, the nearest window's class wins, or else the lower level.
            let most = votes.iter().max().copied().unwrap_or_default();
            let first = order.iter().map(|&place| self.classes[place]).find(|&class| votes[class] == most);
            first.unwrap_or_default()
        };
        distances.rows().into_iter().map(nearest).collect()
    }
}

impl Linear {
    fn tell(&self, rows: &Array2<f64>) -> Vec<usize> {
        let answers = rows.dot(&self.weights) + &self.biases;
        let largest = |row: ndarray::ArrayView1<'_, f64>| {
            (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap_or_default()
        };
        answers.rows().into_iter().map(largest).collect()
    }
}

/// Places of the windows whose level is one of these, and which.
fn labelled(set: &WindowSet, label: usize, levels: &[f64]) -> (Vec<usize>, Vec<usize>) {
    let class = |(place, window): (usize, &super::windows::Window)| {
        Some((place, levels.iter().position(|level| *level == window.labels[label])?))
    };
    set.windows.iter().enumerate().filter_map(class).unzip()
}

/// Linear discriminants with equal priors; the covariance within classes is drawn a thousandth of the way to a sphere.
fn discriminant(rows: &Array2<f64>, classes: &[usize], count: usize) -> Linear {
    let width = rows.ncols();
    let mut means = Array2::zeros((count, width));
    let mut centred = rows.clone();
    let mut absent = vec![false; count];
    for (class, absent) in absent.iter_mut().enumerate() {
        let own: Vec<usize> = (0..classes.len()).filter(|&row| classes[row] == class).collect();
        *absent = own.is_empty();
        if !*absent {
            means.row_mut(class).assign(&mean_of(&rows.select(Axis(0), &own)));
        }
    }
    for (mut row, class) in centred.rows_mut().into_iter().zip(classes) {
        row -= &means.row(*class);
    }
    let mut within = centred.t().dot(&centred) / rows.nrows() as f64;
    let sphere = within.diag().sum() / width as f64;
    within *= 1.0 - SHRINKAGE;
    within.diag_mut().mapv_inplace(|value| value + SHRINKAGE * sphere + f64::MIN_POSITIVE);
    let weights = solve(&cholesky(&within), &means.t().to_owned());
    let biases = Array2::from_shape_fn((1, count), |(_, class)| match absent[class] {
        true => f64::NEG_INFINITY,
        false => -0.5 * means.row(class).dot(&weights.column(class)),
    });
    Linear { weights, biases }
}

/// Ridge regression on indicators of the classes.
fn ridge(rows: &Array2<f64>, classes: &[usize], count: usize) -> Linear {
    let mean = mean_of(rows);
    let centred = rows - &mean;
    let targets =
        Array2::from_shape_fn((rows.nrows(), count), |(row, class)| f64::from(u8::from(classes[row] == class)));
    let target_means = mean_of(&targets);
    let mut normal = centred.t().dot(&centred) / rows.nrows() as f64;
    let penalty = PENALTY * normal.diag().sum() / rows.ncols() as f64;
    normal.diag_mut().mapv_inplace(|value| value + penalty + f64::MIN_POSITIVE);
    let weights = solve(&cholesky(&normal), &(centred.t().dot(&(&targets - &target_means)) / rows.nrows() as f64));
    let biases = (&target_means - &mean.dot(&weights)).insert_axis(Axis(0));
    Linear { weights, biases }
}

const SHRINKAGE: f64 = 1e-3;
const PENALTY: f64 = 1e-3;
const NEIGHBOURS: usize = 5;
