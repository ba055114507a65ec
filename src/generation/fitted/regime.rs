use ndarray::{Array2, ArrayView1, ArrayView2};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::generation::normal::uniform;

/// The few levels between which a machine jumps, each with how long it stays and where it goes from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Regimes {
    /// None of a machine that keeps to one level.
    regimes: Vec<Regime>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Regime {
    /// Of each moving channel.
    level: Vec<f64>,
    /// The rows that it lasted, each time that it was seen.
    stays: Vec<usize>,
    /// How often each regime followed.
    followed_by: Vec<usize>,
}

/// Where a series is among the regimes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stay {
    pub regime: usize,
    left: usize,
}

impl Regimes {
    /// Looks for levels in rows, `[time, channel]`; also tells the regime of each row.
    ///
    /// A machine jumps if its rows lie in a few heaps with hardly any between them, and if it stays in each for a while: what
    /// wanders from here to there has no heaps.
    pub fn fit(rows: ArrayView2<'_, f64>) -> (Self, Vec<usize>) {
        let found = (2..=MOST_REGIMES).filter_map(|count| Heaps::of(rows, count)).max_by(|one, other| {
            // More heaps always explain more; each must be worth it.
            let worth = |heaps: &Heaps| heaps.explained - PRICE * heaps.centres.nrows() as f64;
            worth(one).total_cmp(&worth(other))
        });
        let Some(Heaps { centres, told, .. }) = found else { return (Self::default(), vec![0; rows.nrows()]) };
        let count = centres.nrows();
        let mut regimes: Vec<Regime> = centres
            .rows()
            .into_iter()
            .map(|level| Regime { level: level.to_vec(), stays: Vec::new(), followed_by: vec![0; count] })
            .collect();
        let stays = stays(&told);
        for (place, &(regime, rows)) in stays.iter().enumerate() {
            regimes[regime].stays.push(rows);
            if let Some((next, _)) = stays.get(place + 1) {
                regimes[regime].followed_by[*next] += 1;
            }
        }
        regimes.iter_mut().for_each(|regime| regime.stays.truncate(MOST_STAYS));
        (Self { regimes }, told)
    }

    /// What the moving channels' levels are in a regime; nothing where there is one only.
    pub fn level(&self, regime: usize) -> Option<&[f64]> {
        self.regimes.get(regime).map(|regime| regime.level.as_slice())
    }

    /// Somewhere in a stay, each regime as often as it was seen.
    pub fn begin(&self, random: &mut impl Rng) -> Stay {
        let rows = |regime: &Regime| regime.stays.iter().sum::<usize>();
        let regime = drawn(self.regimes.iter().map(rows), random);
        let Stay { left, .. } = self.stay(regime, random);
        Stay { regime, left: (left as f64 * uniform(random)).ceil() as usize }
    }

    /// One row later.
    pub fn go_on(&self, stay: &mut Stay, random: &mut impl Rng) {
        let Some(regime) = self.regimes.get(stay.regime) else { return };
        stay.left = stay.left.saturating_sub(1);
        if stay.left == 0 {
            let seen = regime.followed_by.iter().sum::<usize>() > 0;
            // The last regime of the calibration was never left.
            let next = match seen {
                true => drawn(regime.followed_by.iter().copied(), random),
                false => (stay.regime + 1) % self.regimes.len(),
            };
            *stay = self.stay(next, random);
        }
    }

    pub fn is_whole(&self, width: usize) -> bool {
        let count = self.regimes.len();
        self.regimes.iter().all(|regime| {
            regime.level.len() == width
                && regime.level.iter().all(|level| level.is_finite())
                && !regime.stays.is_empty()
                && regime.followed_by.len() == count
        })
    }

    /// As long as one that was seen, and a little longer or shorter.
    fn stay(&self, regime: usize, random: &mut impl Rng) -> Stay {
        let Some(Regime { stays, .. }) = self.regimes.get(regime) else { return Stay { regime: 0, left: usize::MAX } };
        let rows = stays[(uniform(random) * stays.len() as f64) as usize] as f64;
        let stretched = rows * (1.0 + STRETCH * (2.0 * uniform(random) - 1.0));
        Stay { regime, left: (stretched.round() as usize).max(1) }
    }
}

/// Rows in heaps about their means.
struct Heaps {
    centres: Array2<f64>,
    told: Vec<usize>,
    /// The share of the variance, of the channels that jump most.
    explained: f64,
}

impl Heaps {
    /// By k-means (Lloyd, IEEE Trans. Inf. Theory 28, 1982) from rows that lie far apart; `None` if they are no heaps.
    fn of(rows: ArrayView2<'_, f64>, count: usize) -> Option<Self> {
        let (length, width) = rows.dim();
        if length < count * FEWEST_ROWS || width == 0 {
            return None;
        }
        let every = length.div_ceil(MOST_LOOKED_AT);
        let looked_at: Vec<usize> = (0..length).step_by(every).collect();
        let mut centres = far_apart(rows, &looked_at, count);
        for _ in 0..ROUNDS {
            let mut sums = Array2::<f64>::zeros((count, width));
            let mut sizes = vec![0.0; count];
            for &t in &looked_at {
                let nearest = nearest(&centres, rows.row(t)).0;
                let mut sum = sums.row_mut(nearest);
                sum += &rows.row(t);
                sizes[nearest] += 1.0;
            }
            if sizes.contains(&0.0) {
                return None;
            }
            for (mut sum, size) in sums.rows_mut().into_iter().zip(&sizes) {
                sum /= *size;
            }
            centres = sums;
        }
        let nearest: Vec<(usize, f64)> = rows.rows().into_iter().map(|row| nearest(&centres, row)).collect();
        let between = nearest.iter().filter(|(_, ratio)| *ratio > HALFWAY).count();
        let told = smoothed(&nearest.iter().map(|(regime, _)| *regime).collect::<Vec<_>>());
        let stays = stays(&told);
        let changes = stays.len() - 1;
        let seen = (0..count).all(|regime| told.iter().filter(|it| **it == regime).count() >= FEWEST_ROWS);
        let explained = explained(rows, &centres, &told);
        let heaps = explained >= LEAST_EXPLAINED
            && between as f64 <= MOST_BETWEEN * length as f64 + changes as f64
            && changes >= FEWEST_CHANGES * (count - 1)
            && length / stays.len() >= SHORTEST_STAY
            && seen;
        heaps.then_some(Self { centres, told, explained })
    }
}

/// Begins with the row nearest to the mean's opposite, then always takes the row that lies furthest from those taken, a few of
/// the furthest left out for they may be errors.
fn far_apart(rows: ArrayView2<'_, f64>, looked_at: &[usize], count: usize) -> Array2<f64> {
    let mut centres: Vec<usize> = Vec::new();
    let mut distances: Vec<f64> =
        looked_at.iter().map(|&t| rows.row(t).iter().map(|value| value * value).sum()).collect();
    for _ in 0..count {
        let mut order: Vec<usize> = (0..looked_at.len()).collect();
        order.sort_by(|&one, &other| distances[one].total_cmp(&distances[other]));
        let furthest = order[(order.len() - 1) * (1000 - LEFT_OUT) / 1000];
        centres.push(looked_at[furthest]);
        let newest = looked_at[furthest];
        for (distance, &t) in distances.iter_mut().zip(looked_at) {
            let to_newest = squared(rows.row(t), rows.row(newest));
            *distance = if centres.len() == 1 { to_newest } else { distance.min(to_newest) };
        }
    }
    Array2::from_shape_fn((count, rows.ncols()), |(place, channel)| rows[[centres[place], channel]])
}

/// The nearest centre, and how near it lies in comparison with the second: 1 is halfway between the two.
fn nearest(centres: &Array2<f64>, row: ArrayView1<'_, f64>) -> (usize, f64) {
    let (mut best, mut second, mut place) = (f64::INFINITY, f64::INFINITY, 0);
    for (centre, values) in centres.rows().into_iter().enumerate() {
        let distance = squared(values, row);
        if distance < best {
            (second, best, place) = (best, distance, centre);
        } else {
            second = second.min(distance);
        }
    }
    (place, (best / second.max(f64::MIN_POSITIVE)).sqrt())
}

fn squared(one: ArrayView1<'_, f64>, other: ArrayView1<'_, f64>) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum()
}

/// A stay of a row or two is part of the one before.
fn smoothed(told: &[usize]) -> Vec<usize> {
    let mut smoothed = told.to_vec();
    let mut at = 0;
    for (regime, rows) in stays(told) {
        if rows < SHORTEST_SEEN && at > 0 {
            let before = smoothed[at - 1];
            smoothed[at..at + rows].fill(before);
        } else {
            smoothed[at..at + rows].fill(regime);
        }
        at += rows;
    }
    smoothed
}

/// Each stay with its rows, one after another.
fn stays(told: &[usize]) -> Vec<(usize, usize)> {
    let mut stays: Vec<(usize, usize)> = Vec::new();
    for &regime in told {
        match stays.last_mut() {
            Some((same, rows)) if *same == regime => *rows += 1,
            _ => stays.push((regime, 1)),
        }
    }
    stays
}

/// The share of the variance that the regimes explain, of the quarter of the channels that jump most.
fn explained(rows: ArrayView2<'_, f64>, centres: &Array2<f64>, told: &[usize]) -> f64 {
    let mut shares: Vec<f64> = rows
        .columns()
        .into_iter()
        .enumerate()
        .map(|(channel, column)| {
            let mean = column.mean().unwrap_or(0.0);
            let whole: f64 = column.iter().map(|value| (value - mean).powi(2)).sum();
            let left: f64 =
                column.iter().zip(told).map(|(value, regime)| (value - centres[[*regime, channel]]).powi(2)).sum();
            1.0 - left / whole.max(f64::MIN_POSITIVE)
        })
        .collect();
    shares.sort_by(|one, other| other.total_cmp(one));
    let most = shares.len().div_ceil(4);
    shares.iter().take(most).sum::<f64>() / most.max(1) as f64
}

fn drawn(weights: impl Iterator<Item = usize> + Clone, random: &mut impl Rng) -> usize {
    let mut left = uniform(random) * weights.clone().sum::<usize>() as f64;
    let mut last = 0;
    for (place, weight) in weights.enumerate() {
        last = place;
        left -= weight as f64;
        if left < 0.0 {
            break;
        }
    }
    last
}

const MOST_REGIMES: usize = 5;
/// What one more regime must explain.
const PRICE: f64 = 0.02;
const FEWEST_ROWS: usize = 20;
const MOST_LOOKED_AT: usize = 10_000;
const ROUNDS: usize = 12;
/// Of 1000 rows.
const LEFT_OUT: usize = 10;
/// Rows that lie so far from their centre, in comparison with the next one, are between two.
const HALFWAY: f64 = 0.6;
const MOST_BETWEEN: f64 = 0.03;
const LEAST_EXPLAINED: f64 = 0.6;
const FEWEST_CHANGES: usize = 2;
const SHORTEST_STAY: usize = 8;
const SHORTEST_SEEN: usize = 3;
const MOST_STAYS: usize = 200;
/// Up to such a part longer or shorter.
const STRETCH: f64 = 0.15;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::generation::normal::standard_normal;

    fn rows(count: usize, mut level: impl FnMut(usize) -> f64) -> Array2<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let values: Vec<f64> = (0..count)
            .flat_map(|t| {
                let level = level(t);
                [level + 0.2 * standard_normal(&mut random), 0.5 * level + 0.2 * standard_normal(&mut random)]
            })
            .collect();
        Array2::from_shape_vec((count, 2), values).expect("two values a row")
    }

    #[test]
    fn a_machine_that_jumps_between_levels_is_seen_to_jump_and_how_long_it_stays() {
        let rows = rows(3000, |t| [0.0, 3.0, -2.5][t / 70 % 3]);
        let (regimes, told) = Regimes::fit(rows.view());
        assert_eq!(regimes.regimes.len(), 3);
        assert!((0..3000).all(|t| told[t] == told[t / 70 % 3 * 70]), "each row in its regime");
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut stay = regimes.begin(&mut random);
        let seen: Vec<usize> = (0..7000)
            .map(|_| {
                regimes.go_on(&mut stay, &mut random);
                stay.regime
            })
            .collect();
        let long = stays(&seen);
        let inner = &long[1..long.len() - 1];
        assert!(inner.iter().all(|(_, rows)| (59..=81).contains(rows)), "{inner:?}");
        let next =
            |regime: usize| told[(0..3000).find(|&t| told[t] != regime && t > 0 && told[t - 1] == regime).unwrap()];
        assert!(
            inner.windows(2).all(|pair| pair[1].0 == next(pair[0].0)),
            "each is followed by the one that follows it"
        );
    }

    #[test]
    fn what_wanders_or_only_scatters_has_no_regimes() {
        let mut level = 0.0;
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let wandering = rows(3000, |_| {
            level = 0.99 * level + 0.2 * standard_normal(&mut random);
            level
        });
        assert_eq!(Regimes::fit(wandering.view()).0, Regimes::default());
        assert_eq!(Regimes::fit(rows(1000, |_| 0.0).view()).0, Regimes::default());
    }
}
