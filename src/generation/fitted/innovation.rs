use ndarray::{Array2, ArrayView2};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::detection::matrix::factor;
use crate::generation::normal::{standard_normal, uniform};

/// What no row before lets expect: drawn from what was left over of the calibration's rows, in short stretches so that lively
/// times stay lively, and blurred so that nothing is drawn twice (Politis and Romano's stationary bootstrap, J. Am. Stat.
/// Assoc. 89, 1994, smoothed).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Innovations {
    width: usize,
    /// Row by row.
    rows: Vec<f32>,
    /// Of each row: the place in the cycle, or the regime, that it comes from.
    places: Vec<usize>,
    /// Whether the row after it in this list is the one that followed it.
    followed: Vec<bool>,
    /// The lower Cholesky factor of their covariance, row by row.
    factor: Vec<f32>,
}

/// Where a series is among the innovations.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    /// Rows by place.
    by_place: Vec<Vec<usize>>,
    newest: Option<usize>,
}

impl Innovations {
    /// From what was left over, `[time, channel]`, where it is `usable`, and the place that each row has.
    pub fn fit(left: ArrayView2<'_, f64>, usable: &[bool], places: &[usize]) -> Self {
        let (count, width) = left.dim();
        let some: Vec<usize> = (0..count).filter(|&t| usable[t]).collect();
        let mut covariance = Array2::<f64>::zeros((width, width));
        for &t in &some {
            for i in 0..width {
                for j in 0..=i {
                    covariance[[i, j]] += left[[t, i]] * left[[t, j]];
                }
            }
        }
        covariance /= some.len().max(1) as f64;
        for i in 0..width {
            covariance[[i, i]] += FLOOR;
            for j in 0..i {
                covariance[[j, i]] = covariance[[i, j]];
            }
        }
        if !factor(&mut covariance) {
            covariance = Array2::zeros((width, width));
        }
        let most = (MOST_VALUES / width.max(1)).max(1);
        // Long stretches from everywhere, the newest included.
        let stretches = some.len().div_ceil(most);
        let kept: Vec<usize> = match stretches {
            0 | 1 => some,
            _ => some
                .chunks(STRETCH)
                .enumerate()
                .filter(|(at, _)| at % stretches == 0)
                .flat_map(|(_, it)| it)
                .copied()
                .collect(),
        };
        Self {
            width,
            rows: kept.iter().flat_map(|&t| left.row(t).to_vec()).map(|value| value as f32).collect(),
            places: kept.iter().map(|&t| places[t]).collect(),
            followed: (0..kept.len()).map(|at| kept.get(at + 1) == Some(&(kept[at] + 1))).collect(),
            factor: covariance.iter().map(|value| *value as f32).collect(),
        }
    }

    pub fn begin(&self) -> Draw {
        let places = self.places.iter().max().map_or(0, |most| most + 1);
        let mut by_place = vec![Vec::new(); places];
        for (row, place) in self.places.iter().enumerate() {
            by_place[*place].push(row);
        }
        Draw { by_place, newest: None }
    }

    /// One at this place.
    pub fn draw(&self, draw: &mut Draw, place: usize, random: &mut impl Rng, innovation: &mut [f64]) {
        let goes_on = uniform(random) < GOES_ON;
        let follower = draw.newest.filter(|&row| self.followed[row] && self.places[row + 1] == place);
        let row = match follower.filter(|_| goes_on) {
            Some(row) => Some(row + 1),
            None => draw.somewhere(place, self.places.len(), random),
        };
        draw.newest = row;
        let blur: Vec<f64> = (0..self.width).map(|_| standard_normal(random)).collect();
        for (channel, innovation) in innovation.iter_mut().enumerate() {
            let seen = row.map_or(0.0, |row| f64::from(self.rows[row * self.width + channel]));
            let factors = &self.factor[channel * self.width..=channel * self.width + channel];
            let blurred: f64 = factors.iter().zip(&blur).map(|(factor, blur)| f64::from(*factor) * blur).sum();
            *innovation = (seen + BLUR * blurred) / (1.0 + BLUR * BLUR).sqrt();
        }
    }

    pub fn is_whole(&self, width: usize, places: usize) -> bool {
        self.width == width
            && self.rows.len() == self.places.len() * width
            && self.followed.len() == self.places.len()
            && self.followed.last().is_none_or(|last| !last)
            && self.factor.len() == width * width
            && self.places.iter().all(|place| *place < places)
            && self.rows.iter().chain(&self.factor).all(|value| value.is_finite())
    }
}

impl Draw {
    /// A row of this place or, where it has few, of its neighbours.
    fn somewhere(&self, place: usize, rows: usize, random: &mut impl Rng) -> Option<usize> {
        let own = self.by_place.get(place).map_or(&[][..], Vec::as_slice);
        let chosen = |count: usize, random: &mut _| (uniform(random) * count as f64) as usize;
        if own.len() >= ENOUGH {
            return Some(own[chosen(own.len(), random)]);
        }
        let count = self.by_place.len();
        if count > 2 * NEIGHBOURS {
            let near: Vec<usize> = (count - NEIGHBOURS..=count + NEIGHBOURS)
                .flat_map(|step| &self.by_place[(place + step) % count])
                .copied()
                .collect();
            if !near.is_empty() {
                return Some(near[chosen(near.len(), random)]);
            }
        }
        match own {
            [] => (rows > 0).then(|| chosen(rows, random)),
            own => Some(own[chosen(own.len(), random)]),
        }
    }
}

/// About a hundred kilobytes.
const MOST_VALUES: usize = 24_576;
/// Rows that are kept one behind another.
const STRETCH: usize = 64;
/// A stretch lasts four rows on average.
const GOES_ON: f64 = 0.75;
/// In standard deviations.
const BLUR: f64 = 0.3;
const FLOOR: f64 = 1e-9;
/// A place of a cycle with so many rows needs no neighbours.
const ENOUGH: usize = 12;
const NEIGHBOURS: usize = 2;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn drawn_innovations_keep_heavy_tails_dependence_and_what_each_place_does() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let count = 8000;
        let mut left = Array2::<f64>::zeros((count, 2));
        for t in 0..count {
            let scale = if t % 2 == 0 { 1.0 } else { 5.0 };
            let heavy = if uniform(&mut random) < 0.05 { 6.0 } else { 1.0 };
            left[[t, 0]] = scale * heavy * standard_normal(&mut random);
            left[[t, 1]] = 0.9 * left[[t, 0]];
        }
        let places: Vec<usize> = (0..count).map(|t| t % 2).collect();
        let innovations = Innovations::fit(left.view(), &vec![true; count], &places);
        let mut draw = innovations.begin();
        let drawn: Vec<[f64; 2]> = (0..count)
            .map(|t| {
                let mut row = [0.0; 2];
                innovations.draw(&mut draw, t % 2, &mut random, &mut row);
                row
            })
            .collect();
        let power = |values: &mut dyn Iterator<Item = f64>, power: i32| {
            let values: Vec<f64> = values.collect();
            values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64
        };
        let quiet = power(&mut drawn.iter().step_by(2).map(|row| row[0]), 2);
        let loud = power(&mut drawn.iter().skip(1).step_by(2).map(|row| row[0]), 2);
        assert!(loud > 5.0 * quiet, "{quiet} {loud}");
        let kurtosis = power(&mut drawn.iter().skip(1).step_by(2).map(|row| row[0]), 4) / loud.powi(2);
        assert!(kurtosis > 6.0, "{kurtosis}");
        let apart = power(&mut drawn.iter().map(|row| row[1] - 0.9 * row[0]), 2);
        assert!(apart < 1e-3 * loud, "{apart}");
    }
}
