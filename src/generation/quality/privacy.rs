use ndarray::{Array2, ArrayView1};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::linear::squared_distances;
use super::windows::WindowSet;

/// What the synthetic windows tell of the very windows that the training saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Privacy {
    /// Share of synthetic windows nearer to a training window than to any held-out one; 0.5 is ideal.
    pub closer: f64,
    /// An attacker calls a real window a member if a synthetic one is nearer than to 95 % of the held-out ones: how many
    /// times 5 % of the training windows that is true of. 1 is ideal.
    pub flags: f64,
    /// Distance to the nearest training window over that to the second nearest, the median; a copy has about 0.
    pub nearest_ratio: f64,
    /// Share of synthetic windows much nearer to a training window than real windows of the same machine are to each other.
    pub near_duplicates: f64,
}

impl Privacy {
    /// The first two are means over draws of ten windows a group, as many of one set as of the other.
    pub fn of(train: &WindowSet, holdout: &WindowSet, synthetic: &WindowSet) -> Self {
        let roots =
            |one: &WindowSet, other: &WindowSet| squared_distances(&one.matrix(), &other.matrix()).mapv(f64::sqrt);
        let (to_train, to_holdout) = (roots(synthetic, train), roots(synthetic, holdout));
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let (mut closer, mut flags) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let (mut seen, mut unseen) = (train.drawn(10, &mut random), holdout.drawn(10, &mut random));
            let count = seen.len().min(unseen.len());
            seen.truncate(count);
            unseen.truncate(count);
            closer += closer_share(&to_train, &to_holdout, [&seen, &unseen]) / DRAWS as f64;
            flags += flag_ratio(&to_train, &to_holdout, [&seen, &unseen]) / DRAWS as f64;
        }
        let (nearest_ratio, nearest) = nearest(&to_train);
        let yardstick = yardstick(&roots(train, train));
        let near = nearest.iter().filter(|distance| **distance < yardstick).count();
        Self { closer, flags, nearest_ratio, near_duplicates: near as f64 / nearest.len() as f64 }
    }
}

/// Distances are `[synthetic, real]`; the places are those of a draw. A tie counts half.
fn closer_share(to_train: &Array2<f64>, to_holdout: &Array2<f64>, [seen, unseen]: [&[usize]; 2]) -> f64 {
    let nearest = |row: ArrayView1<'_, f64>, places: &[usize]| {
        places.iter().map(|&place| row[place]).fold(f64::INFINITY, f64::min)
    };
    let closer = to_train.rows().into_iter().zip(to_holdout.rows()).map(|(train, holdout)| {
        match nearest(train, seen).total_cmp(&nearest(holdout, unseen)) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        }
    });
    closer.sum::<f64>() / to_train.nrows() as f64
}

fn flag_ratio(to_train: &Array2<f64>, to_holdout: &Array2<f64>, [seen, unseen]: [&[usize]; 2]) -> f64 {
    let nearest =
        |distances: &Array2<f64>, place: usize| distances.column(place).iter().copied().fold(f64::MAX, f64::min);
    let mut outside: Vec<f64> = unseen.iter().map(|&place| nearest(to_holdout, place)).collect();
    outside.sort_unstable_by(f64::total_cmp);
    let threshold = quantile(&outside, FLAGGED);
    let flagged = seen.iter().filter(|&&place| nearest(to_train, place) < threshold).count();
    flagged as f64 / seen.len() as f64 / FLAGGED
}

/// The median ratio, and the distance to the nearest for each.
fn nearest(distances: &Array2<f64>) -> (f64, Vec<f64>) {
    let two = |row: ArrayView1<'_, f64>| {
        row.iter().fold([f64::MAX; 2], |[first, second], &distance| match distance < first {
            true => [distance, first],
            false => [first, second.min(distance)],
        })
    };
    let pairs: Vec<[f64; 2]> = distances.rows().into_iter().map(two).collect();
    let mut ratios: Vec<f64> =
        pairs.iter().map(|[first, second]| if *second > 0.0 { first / second } else { 1.0 }).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    (quantile(&ratios, 0.5), pairs.into_iter().map(|[first, _]| first).collect())
}

/// Half of how near the nearest hundredth of real windows are to their nearest neighbours.
fn yardstick(within: &Array2<f64>) -> f64 {
    let mut nearest: Vec<f64> = within.indexed_iter().filter(|((i, j), _)| i != j).fold(
        vec![f64::MAX; within.nrows()],
        |mut least, ((i, _), distance)| {
            least[i] = least[i].min(*distance);
            least
        },
    );
    nearest.sort_unstable_by(f64::total_cmp);
    0.5 * quantile(&nearest, 0.01)
}

/// Of sorted values, straight between two of them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + part * (above - sorted[below])
}

const DRAWS: usize = 20;
const FLAGGED: f64 = 0.05;
const SEED: u64 = 5;
