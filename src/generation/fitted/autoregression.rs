use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::detection::matrix::{factor, solve};

/// A vector autoregression: what the rows before let expect of the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Autoregression {
    width: usize,
    /// The lags that are looked at, in rows, shortest first: 1 to the order, and the cycle's if it tells anything.
    lags: Vec<usize>,
    /// `[lag * width + from][to]`.
    coefficients: Vec<f32>,
}

/// Sums of products of rows with rows before them.
struct Products {
    /// `[lag * width + channel]` squared.
    regressors: Array2<f64>,
    /// `[lag * width + channel, channel]`.
    cross: Array2<f64>,
    own: Array2<f64>,
    count: f64,
}

impl Autoregression {
    /// Fits to rows, `[time, channel]`, that scatter about 0; only those count whose `usable` is set. The order is the one
    /// that Hannan and Quinn's criterion (J. R. Stat. Soc. B 41, 1979) likes best. `cycle` is the load cycle in rows.
    pub fn fit(rows: ArrayView2<'_, f64>, usable: &[bool], cycle: Option<usize>) -> Self {
        let (count, width) = rows.dim();
        let longest =
            (MOST_REGRESSORS / width.max(1)).min(count / (ROWS_A_REGRESSOR * width.max(1))).clamp(1, MOST_ORDER);
        let seasonal = cycle.filter(|cycle| *cycle > longest && count > FEWEST_CYCLES * cycle);
        let lags: Vec<usize> = (1..=longest).chain(seasonal).collect();
        let products = Products::of(rows, usable, &lags);
        let candidates = (1..=longest).flat_map(|order| {
            let plain: Vec<usize> = (0..order).collect();
            let with = seasonal.map(|_| plain.iter().copied().chain([longest]).collect::<Vec<usize>>());
            [Some(plain), with].into_iter().flatten()
        });
        let fitted = candidates.filter_map(|chosen| {
            let (coefficients, criterion) = products.regress(&chosen, width)?;
            Some((criterion, chosen, coefficients))
        });
        let best = fitted.min_by(|(one, ..), (other, ..)| one.total_cmp(other));
        let (lags, coefficients) = match best {
            Some((_, chosen, coefficients)) => (chosen.iter().map(|&place| lags[place]).collect(), coefficients),
            None => (vec![1], Array2::zeros((width, width))),
        };
        let mut fitted = Self { width, lags, coefficients: coefficients.iter().map(|&it| it as f32).collect() };
        fitted.settle(count, cycle);
        fitted
    }

    /// How many rows before the next one it looks back.
    pub fn reach(&self) -> usize {
        self.lags.last().copied().unwrap_or(0)
    }

    /// What is expected of the next row after `past`, rows one behind another, newest last, at least as many as its reach.
    pub fn expect(&self, past: &[f64], expected: &mut [f64]) {
        expected.fill(0.0);
        let rows = past.len() / self.width.max(1);
        for (place, lag) in self.lags.iter().enumerate() {
            let row = &past[(rows - lag) * self.width..(rows - lag + 1) * self.width];
            let from = &self.coefficients[place * self.width * self.width..];
            for (value, from) in row.iter().zip(from.chunks_exact(self.width)) {
                for (expected, coefficient) in expected.iter_mut().zip(from) {
                    *expected += value * f64::from(*coefficient);
                }
            }
        }
    }

    pub fn is_whole(&self, width: usize) -> bool {
        self.width == width
            && self.lags.windows(2).all(|pair| pair[0] < pair[1])
            && self.lags.iter().all(|lag| (1..=LONGEST_LAG).contains(lag))
            && self.coefficients.len() == self.lags.len() * width * width
            && self.coefficients.iter().all(|coefficient| coefficient.is_finite())
    }

    /// Makes it stable. A coefficient of lag i times g^i moves every root of its polynomial by the factor g.
    fn settle(&mut self, count: usize, cycle: Option<usize>) {
        let by_rows = 1.0 - TIMES_FORGOTTEN / count as f64;
        let by_cycle = cycle.map_or(0.0, |cycle| 1.0 - 1.0 / (CYCLES_REMEMBERED * cycle as f64));
        let most = by_rows.max(by_cycle).clamp(LEAST_BOUND, MOST_BOUND);
        let radius = self.radius();
        if radius >= most {
            let factor = most / radius;
            for (place, lag) in self.lags.iter().enumerate() {
                let shrunk = factor.powi(i32::try_from(*lag).unwrap_or(i32::MAX)) as f32;
                let block = place * self.width * self.width..(place + 1) * self.width * self.width;
                self.coefficients[block].iter_mut().for_each(|coefficient| *coefficient *= shrunk);
            }
        }
    }

    /// The largest root, by how fast what is left to itself grows or fades.
    fn radius(&self) -> f64 {
        let reach = self.reach();
        let size = reach * self.width;
        let mut past: Vec<f64> = (0..size).map(|place| 1.0 + (place as f64 * 0.7).sin()).collect();
        let mut next = vec![0.0; self.width];
        let turn = |past: &mut Vec<f64>, rows: usize, next: &mut Vec<f64>| -> f64 {
            let mut growth = 0.0;
            for row in 0..rows {
                self.expect(past, next);
                past.extend_from_slice(next);
                past.drain(..self.width);
                if row % RESCALED == RESCALED - 1 || row + 1 == rows {
                    let norm = past.iter().map(|value| value * value).sum::<f64>().sqrt();
                    if norm < f64::MIN_POSITIVE {
                        return f64::NEG_INFINITY;
                    }
                    growth += norm.ln();
                    past.iter_mut().for_each(|value| *value /= norm);
                }
            }
            growth
        };
        turn(&mut past, reach * 8 + SETTLING, &mut next);
        let rows = reach * 8 + MEASURED;
        (turn(&mut past, rows, &mut next) / rows as f64).exp()
    }
}

impl Products {
    fn of(rows: ArrayView2<'_, f64>, usable: &[bool], lags: &[usize]) -> Self {
        let (count, width) = rows.dim();
        let reach = lags.last().copied().unwrap_or(1);
        let columns = lags.len() * width;
        let mut all = Array2::<f64>::zeros((columns + width, columns + width));
        let mut taken = 0.0;
        let chosen: Vec<usize> = (reach..count).filter(|&t| usable[t]).collect();
        for some in chosen.chunks(CHUNK) {
            let mut design = Array2::<f64>::zeros((some.len(), columns + width));
            for (line, &t) in some.iter().enumerate() {
                for (place, lag) in lags.iter().enumerate() {
                    design.slice_mut(s![line, place * width..(place + 1) * width]).assign(&rows.row(t - lag));
                }
                design.slice_mut(s![line, columns..]).assign(&rows.row(t));
            }
            ndarray::linalg::general_mat_mul(1.0, &design.t(), &design, 1.0, &mut all);
            taken += some.len() as f64;
        }
        Self {
            regressors: all.slice(s![..columns, ..columns]).to_owned(),
            cross: all.slice(s![..columns, columns..]).to_owned(),
            own: all.slice(s![columns.., columns..]).to_owned(),
            count: taken,
        }
    }

    /// The coefficients on the chosen lags, and what the criterion says of them.
    fn regress(&self, chosen: &[usize], width: usize) -> Option<(Array2<f64>, f64)> {
        let places: Vec<usize> = chosen.iter().flat_map(|lag| lag * width..(lag + 1) * width).collect();
        let size = places.len();
        if self.count < size as f64 {
            return None;
        }
        let ridge = RIDGE * size as f64;
        let mut normal = Array2::from_shape_fn((size, size), |(i, j)| {
            self.regressors[[places[i], places[j]]] + if i == j { ridge } else { 0.0 }
        });
        if !factor(&mut normal) {
            return None;
        }
        let mut coefficients = Array2::zeros((size, width));
        let mut left = self.own.clone();
        let mut column = vec![0.0; size];
        for to in 0..width {
            column.iter_mut().zip(&places).for_each(|(value, &place)| *value = self.cross[[place, to]]);
            solve(&normal, size, &mut column);
            coefficients.column_mut(to).iter_mut().zip(&column).for_each(|(one, other)| *one = *other);
        }
        for i in 0..width {
            for j in 0..width {
                left[[i, j]] -= (0..size).map(|k| self.cross[[places[k], i]] * coefficients[[k, j]]).sum::<f64>();
            }
        }
        let mut covariance = (&left + &left.t()) / (2.0 * self.count);
        covariance.diag_mut().iter_mut().for_each(|variance| *variance = variance.max(0.0) + FLOOR);
        if !factor(&mut covariance) {
            return None;
        }
        let determinant: f64 = covariance.diag().iter().map(|root| 2.0 * root.ln()).sum();
        let penalty = 2.0 * (size * width) as f64 * self.count.max(3.0).ln().ln() / self.count;
        Some((coefficients, determinant + penalty))
    }
}

const MOST_ORDER: usize = 8;
/// Lags times channels.
const MOST_REGRESSORS: usize = 120;
const ROWS_A_REGRESSOR: usize = 8;
const FEWEST_CYCLES: usize = 8;
/// A cycle is no longer.
const LONGEST_LAG: usize = 1_000_000;
/// A part of each regressor's own variance, as if so many rows had been zero.
const RIDGE: f64 = 0.02;
/// Of variances that are 1 before: below lies what nobody can tell from rounding.
const FLOOR: f64 = 1e-6;
/// What was is forgotten so many times within the calibration's rows.
const TIMES_FORGOTTEN: f64 = 20.0;
const CYCLES_REMEMBERED: f64 = 20.0;
/// The largest root is at most this where there is nothing to say otherwise, and never more than the other.
const LEAST_BOUND: f64 = 0.995;
const MOST_BOUND: f64 = 0.9995;
const SETTLING: usize = 500;
const MEASURED: usize = 1000;
const RESCALED: usize = 16;
const CHUNK: usize = 1024;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::generation::normal::standard_normal;

    fn simulated(count: usize, next: impl Fn(&[f64; 2], &[f64; 2]) -> [f64; 2]) -> Array2<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut before, mut newest) = ([0.0; 2], [0.0; 2]);
        let rows = (0..count).flat_map(|_| {
            let expected = next(&newest, &before);
            before = newest;
            newest = expected.map(|value| value + standard_normal(&mut random));
            newest
        });
        Array2::from_shape_vec((count, 2), rows.collect()).expect("two values a row")
    }

    #[test]
    fn a_known_autoregression_is_found_with_its_order() {
        let rows = simulated(6000, |newest, before| {
            [0.5 * newest[0] + 0.2 * newest[1] - 0.3 * before[0], 0.6 * newest[1] + 0.2 * before[0]]
        });
        let fitted = Autoregression::fit(rows.view(), &[true; 6000], None);
        assert_eq!(fitted.lags, [1, 2]);
        let mut expected = [0.0; 2];
        fitted.expect(&[1.0, 0.0, 0.0, 1.0], &mut expected);
        for (found, wanted) in expected.iter().zip([0.2 - 0.3, 0.6 + 0.2]) {
            assert!((found - wanted).abs() < 0.05, "{expected:?}");
        }
    }

    #[test]
    fn what_the_cycle_before_tells_is_used() {
        let mut rows = simulated(3000, |_, _| [0.0; 2]);
        for t in 40..3000 {
            rows[[t, 0]] += 0.8 * rows[[t - 40, 0]];
        }
        let fitted = Autoregression::fit(rows.view(), &[true; 3000], Some(40));
        assert_eq!(fitted.lags.last(), Some(&40));
    }

    #[test]
    fn a_walk_and_an_explosion_are_made_stable() {
        for factor in [1.0, 1.01] {
            let rows = simulated(600, |newest, _| newest.map(|value| factor * value));
            let fitted = Autoregression::fit(rows.view(), &[true; 600], None);
            let radius = fitted.radius();
            assert!(radius < 0.9951, "{factor}: {radius}");
        }
    }
}
