//! What anybody could have instead: detectors of a few lines, each fitted to the same rows.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::series::Series;

/// A baseline's scores of the rows after the calibration, and of those of the calibration itself.
pub struct Baseline {
    pub name: &'static str,
    pub scores: Vec<f64>,
    pub calibration: Vec<f64>,
}

impl Baseline {
    /// Alarms at the 99 % quantile of its calibration, as is customary.
    pub fn alarms(&self) -> Vec<bool> {
        let mut sorted = self.calibration.clone();
        sorted.sort_by(f64::total_cmp);
        let limit = sorted[(0.99 * (sorted.len() - 1) as f64) as usize];
        self.scores.iter().map(|score| *score > limit).collect()
    }
}

pub fn baselines(series: &Series, seed: u64) -> Vec<Baseline> {
    let z = standardised(series);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let smoothed: Vec<Vec<f64>> = (0..z.len()).map(|t| mean(&z[t.saturating_sub(TRAILING - 1)..=t])).collect();
    [
        ("random", z.iter().map(|_| random.random()).collect()),
        ("max |z|", z.iter().map(|row| row.iter().fold(0.0, |most: f64, z| most.max(z.abs()))).collect()),
        ("Mahalanobis, trailing 20", mahalanobis(&smoothed, series.calibrate)),
        ("PCA T2+Q", pca(&z, series.calibrate)),
    ]
    .map(|(name, mut scores): (_, Vec<f64>)| {
        let after = scores.split_off(series.calibrate);
        Baseline { name, scores: after, calibration: scores }
    })
    .into()
}

/// Missing values are held; channels that never change are left out.
fn standardised(series: &Series) -> Vec<Vec<f64>> {
    let width = series.channels.len();
    let mut held = vec![0.0; width];
    let mut rows: Vec<Vec<f64>> = series.rows.clone();
    for row in &mut rows {
        for (value, held) in row.iter_mut().zip(&mut held) {
            *held = if value.is_nan() { *held } else { *value };
            *value = *held;
        }
    }
    let start = &rows[..series.calibrate];
    let means = mean(start);
    let deviations: Vec<f64> = (0..width)
        .map(|i| (start.iter().map(|row| (row[i] - means[i]).powi(2)).sum::<f64>() / start.len() as f64).sqrt())
        .collect();
    let alive: Vec<usize> = (0..width).filter(|&i| deviations[i] > 1e-9 * means[i].abs()).collect();
    rows.iter()
        .map(|row| alive.iter().map(|&i| ((row[i] - means[i]) / deviations[i]).clamp(-30.0, 30.0)).collect())
        .collect()
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len()).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64).collect()
}

fn covariance(rows: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mean = mean(rows);
    let width = mean.len();
    let mut covariance = vec![vec![0.0; width]; width];
    for row in rows {
        for i in 0..width {
            for j in 0..width {
                covariance[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]) / rows.len() as f64;
            }
        }
    }
    (mean, covariance)
}

fn mahalanobis(rows: &[Vec<f64>], calibrate: usize) -> Vec<f64> {
    let (mean, covariance) = covariance(&rows[..calibrate]);
    let (values, vectors) = eigen(covariance);
    let most = values.iter().copied().fold(0.0, f64::max);
    rows.iter()
        .map(|row| {
            let along =
                |vector: &Vec<f64>| vector.iter().zip(row).zip(&mean).map(|((v, x), m)| v * (x - m)).sum::<f64>();
            values.iter().zip(&vectors).map(|(value, vector)| along(vector).powi(2) / (value + 1e-6 * most)).sum()
        })
        .collect()
}

/// T² on the components that hold 90 % of the variance and Q on the rest, each over its 99 % quantile, added.
fn pca(rows: &[Vec<f64>], calibrate: usize) -> Vec<f64> {
    let (mean, covariance) = covariance(&rows[..calibrate]);
    let (values, vectors) = eigen(covariance);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[other].total_cmp(&values[one]));
    let whole: f64 = values.iter().sum();
    let mut kept = 0;
    let mut held = 0.0;
    while held < 0.9 * whole {
        held += values[order[kept]];
        kept += 1;
    }
    let distances: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| {
            let along = |place: usize| -> f64 {
                vectors[place].iter().zip(row).zip(&mean).map(|((v, x), m)| v * (x - m)).sum()
            };
            let inside = order[..kept].iter().map(|&place| along(place).powi(2) / values[place]).sum();
            let outside = order[kept..].iter().map(|&place| along(place).powi(2)).sum();
            (inside, outside)
        })
        .collect();
    let quantile = |part: fn(&(f64, f64)) -> f64| {
        let mut sorted: Vec<f64> = distances[..calibrate].iter().map(part).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[(0.99 * (calibrate - 1) as f64) as usize].max(1e-12)
    };
    let (t2, q) = (quantile(|pair| pair.0), quantile(|pair| pair.1));
    distances.iter().map(|pair| pair.0 / t2 + pair.1 / q).collect()
}

/// Eigenvalues and eigenvectors of a symmetric matrix by Jacobi's rotations.
fn eigen(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let width = a.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..width).map(|i| (0..width).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        let off: f64 = (0..width).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].powi(2)).sum();
        if off < 1e-18 {
            break;
        }
        for i in 0..width {
            for j in i + 1..width {
                if a[i][j].abs() < 1e-15 {
                    continue;
                }
                let theta = (a[j][j] - a[i][i]) / (2.0 * a[i][j]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    let (x, y) = (row[i], row[j]);
                    (row[i], row[j]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..width {
                    let (x, y) = (a[i][k], a[j][k]);
                    (a[i][k], a[j][k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (vectors[i][k], vectors[j][k]);
                    (vectors[i][k], vectors[j][k]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..width).map(|i| a[i][i]).collect(), vectors)
}

const TRAILING: usize = 20;
