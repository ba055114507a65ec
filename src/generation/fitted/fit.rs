use ndarray::{Array2, ArrayView2};

use super::autoregression::Autoregression;
use super::channel::{FittedChannel, Nature};
use super::innovation::Innovations;
use super::marginal::Marginal;
use super::regime::Regimes;
use super::series::unmapped;
use super::{CycleTemplate, FittedGenerator};
use crate::detection::{ChannelProfile, FittedPhases, PhaseTracker, Rhythm, phases_of};

/// All that a generator is fitted to.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Each in the order of the channels, NaN where one had no value.
    pub rows: Vec<Vec<f64>>,
    pub channels: Vec<ChannelProfile>,
    pub rhythm: Rhythm,
}

impl Lesson {
    /// The generator of its rows; `None` of fewer than tell anything.
    pub fn fit(&self) -> Option<FittedGenerator> {
        if self.rows.len() < FEWEST_ROWS || self.channels.is_empty() || self.rhythm.cadence.is_zero() {
            return None;
        }
        let columns: Vec<Vec<f64>> = (0..self.channels.len())
            .map(|place| self.rows.iter().map(|row| row.get(place).copied().unwrap_or(f64::NAN)).collect())
            .collect();
        let channels: Vec<FittedChannel> = self
            .channels
            .iter()
            .zip(&columns)
            .map(|(profile, column)| FittedChannel::of(&believed(column, profile), profile))
            .collect();
        let standardised = standardised(&columns, &channels);
        let phases = phases_of(&standardised, self.rhythm);
        let told = phases.as_ref().map(|phases| told(&standardised, phases));
        let cycle = phases.zip(told.as_ref()).map(|(phases, told)| CycleTemplate::of(&standardised, phases, told));
        let mut left = standardised;
        if let (Some(cycle), Some(told)) = (&cycle, &told) {
            cycle.take_from(&mut left, told);
        }
        let gaps = fill(&mut left);
        let (regimes, regime) = Regimes::fit(left.view());
        for (t, mut row) in left.rows_mut().into_iter().enumerate() {
            let Some(level) = regimes.level(regime[t]) else { break };
            row.iter_mut().zip(level).for_each(|(value, level)| *value -= level);
        }
        if let (Some(cycle), Some(told)) = (&cycle, &told) {
            cycle.scale(&mut left, told);
        }
        let unbroken: Vec<bool> =
            (0..left.nrows()).map(|t| !gaps[t] && (t == 0 || regime[t] == regime[t - 1])).collect();
        let usable = if 2 * unbroken.iter().filter(|it| **it).count() > left.nrows() {
            unbroken
        } else {
            vec![true; left.nrows()]
        };
        let period = cycle.as_ref().map(|cycle| cycle.phases.period());
        let autoregression = Autoregression::fit(left.view(), &usable, period);
        let (over, begun) = left_over(left.view(), &autoregression);
        let usable: Vec<bool> = usable.iter().enumerate().map(|(t, usable)| *usable && t >= begun).collect();
        let places = told.unwrap_or(regime);
        let innovations = Innovations::fit(over.view(), &usable, &places);
        let mut fitted = FittedGenerator {
            cadence: self.rhythm.cadence,
            rows: self.rows.len(),
            marginals: vec![Marginal::default(); left.ncols()],
            channels,
            cycle,
            regimes,
            autoregression,
            innovations,
        };
        fitted.marginals = marginals(&fitted, left.view());
        fitted.is_whole().then_some(fitted)
    }
}

impl CycleTemplate {
    fn of(rows: &Array2<f64>, phases: FittedPhases, told: &[usize]) -> Self {
        let (period, width) = (phases.period(), rows.ncols());
        let mut sums = vec![[0.0f64; 3]; period * width];
        for (t, row) in rows.rows().into_iter().enumerate() {
            for (channel, value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                let [count, sum, squares] = &mut sums[told[t] * width + channel];
                *count += 1.0;
                *sum += value;
                *squares += value * value;
            }
        }
        let mean = |[count, sum, _]: &[f64; 3]| sum / count.max(1.0);
        let variance = |it: &[f64; 3]| (it[2] / it[0].max(1.0) - mean(it).powi(2)).max(0.0);
        let usual: Vec<f64> = (0..width)
            .map(|channel| sums.iter().skip(channel).step_by(width).map(variance).sum::<f64>() / period as f64)
            .collect();
        let scales = sums.iter().enumerate().map(|(place, it)| {
            let own = variance(it);
            // A few cycles tell little of one phase alone; what never strays does so in all of them.
            let blended = (own * it[0] + usual[place % width] * LIKE_OTHERS) / (it[0] + LIKE_OTHERS);
            if own < NEVER_STRAYS { 0.0 } else { blended.sqrt() as f32 }
        });
        Self { scales: scales.collect(), means: sums.iter().map(|it| mean(it) as f32).collect(), phases }
    }

    fn take_from(&self, rows: &mut Array2<f64>, told: &[usize]) {
        let width = rows.ncols();
        for (t, mut row) in rows.rows_mut().into_iter().enumerate() {
            let means = &self.means[told[t] * width..(told[t] + 1) * width];
            row.iter_mut().zip(means).for_each(|(value, mean)| *value -= f64::from(*mean));
        }
    }

    fn scale(&self, rows: &mut Array2<f64>, told: &[usize]) {
        let width = rows.ncols();
        for (t, mut row) in rows.rows_mut().into_iter().enumerate() {
            let scales = &self.scales[told[t] * width..(told[t] + 1) * width];
            for (value, scale) in row.iter_mut().zip(scales) {
                *value = if *scale > 0.0 { *value / f64::from(*scale) } else { 0.0 };
            }
        }
    }
}

/// A channel's values within its physical limits and no further out than errors and codes lie.
fn believed(column: &[f64], profile: &ChannelProfile) -> Vec<f64> {
    column
        .iter()
        .map(|&value| if value.is_finite() && profile.limits.allow(value) { value } else { f64::NAN })
        .collect()
}

/// The moving channels, `[time, channel]`, in standard deviations from their means; of a counter the steps.
fn standardised(columns: &[Vec<f64>], channels: &[FittedChannel]) -> Array2<f64> {
    let moving: Vec<(&Vec<f64>, &FittedChannel)> =
        columns.iter().zip(channels).filter(|(_, channel)| channel.moves()).collect();
    let rows = columns.first().map_or(0, Vec::len);
    Array2::from_shape_fn((rows, moving.len()), |(t, place)| {
        let (column, channel) = moving[place];
        let value = match channel.nature {
            Nature::Counter { .. } if t == 0 => f64::NAN,
            Nature::Counter { .. } => column[t] - column[t - 1],
            Nature::Constant | Nature::Measured => column[t],
        };
        if value.is_finite() { (value - channel.centre) / channel.scale } else { f64::NAN }
    })
}

/// The phase of each row. Those before it is known go backwards from the first that is.
fn told(rows: &Array2<f64>, phases: &FittedPhases) -> Vec<usize> {
    let period = phases.period();
    let mut tracker = PhaseTracker::new(phases.clone());
    let told: Vec<Option<usize>> = rows.rows().into_iter().map(|row| tracker.observe(&row.to_vec())).collect();
    let begun = told.iter().position(Option::is_some).unwrap_or(0);
    let first = told.get(begun).copied().flatten().unwrap_or(0);
    let backwards = (0..begun).map(|t| (first + period - (begun - t) % period) % period);
    backwards.chain(told[begun..].iter().map(|phase| phase.unwrap_or(0))).collect()
}

/// Draws a straight line through gaps; tells which rows have one.
fn fill(rows: &mut Array2<f64>) -> Vec<bool> {
    let gaps: Vec<bool> = rows.rows().into_iter().map(|row| row.iter().any(|value| value.is_nan())).collect();
    for mut column in rows.columns_mut() {
        let mut known: Option<(usize, f64)> = None;
        for t in 0..column.len() {
            let value = column[t];
            if value.is_nan() {
                continue;
            }
            let (from, before) = known.map_or((0, value), |(at, before)| (at + 1, before));
            for gap in from..t {
                let share = (gap + 1 - from) as f64 / (t + 1 - from) as f64;
                column[gap] = before + share * (value - before);
            }
            known = Some((t, value));
        }
        let (from, last) = known.map_or((0, 0.0), |(at, last)| (at + 1, last));
        (from..column.len()).for_each(|t| column[t] = last);
    }
    gaps
}

/// What the autoregression leaves unexplained, and from which row on.
fn left_over(rows: ArrayView2<'_, f64>, autoregression: &Autoregression) -> (Array2<f64>, usize) {
    let (count, width) = rows.dim();
    let reach = autoregression.reach().min(count);
    let rows = rows.as_standard_layout();
    let Some(values) = rows.as_slice() else { return (rows.to_owned(), 0) };
    let mut over = Array2::zeros((count, width));
    let mut expected = vec![0.0; width];
    for t in reach..count {
        autoregression.expect(&values[(t - reach) * width..t * width], &mut expected);
        for channel in 0..width {
            over[[t, channel]] = values[t * width + channel] - expected[channel];
        }
    }
    // They drive a series about 0.
    if let Some(means) = over.mean_axis(ndarray::Axis(0)) {
        over -= &means;
    }
    (over, reach)
}

fn marginals(fitted: &FittedGenerator, left: ArrayView2<'_, f64>) -> Vec<Marginal> {
    let width = left.ncols();
    let made = unmapped(fitted, MADE_FOR_MARGINALS);
    (0..width)
        .map(|channel| {
            let mut made: Vec<f64> = made.iter().skip(channel).step_by(width).copied().collect();
            let mut measured = left.column(channel).to_vec();
            [&mut made, &mut measured].into_iter().for_each(|values| values.sort_by(f64::total_cmp));
            Marginal::between(&made, &measured)
        })
        .collect()
}

const FEWEST_ROWS: usize = 50;
/// The scale of one phase counts as if so many cycles had strayed as far as other phases do.
const LIKE_OTHERS: f64 = 4.0;
/// A variance, of a channel whose own is 1.
const NEVER_STRAYS: f64 = 1e-8;
const MADE_FOR_MARGINALS: usize = 8000;
