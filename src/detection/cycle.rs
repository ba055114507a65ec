use std::ops::Range;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::attribution::{Layout, Reconstruction};
use super::distance::{CrossFit, Distance, FittedDistance};
use super::mewma::{FittedMewma, Mewma};
use super::period::{FEWEST_CYCLES, Period, Rhythm};
use super::phase::{FittedPhases, PhaseMemory, PhaseTracker};

/// A chart of a machine that goes through the same cycle again and again: what is usual depends on the phase.
pub(super) struct Cycle {
    tracker: PhaseTracker,
    template: Template,
    chart: Chart,
    /// The newest row less what is usual in its phase.
    residual: Vec<f64>,
    /// T² over its scale, as long as there is one.
    newest: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedCycle {
    phases: FittedPhases,
    template: Template,
    chart: FittedChart,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CycleMemory {
    phases: PhaseMemory,
    chart: ChartMemory,
    newest: Option<f64>,
}

/// What is usual in each phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Template {
    channels: usize,
    /// Phase by phase.
    means: Vec<f64>,
}

/// A few cycles tell what is usual in each phase; many tell how whole cycles vary.
enum Chart {
    Residual(Mewma),
    Segments(Segments),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum FittedChart {
    Residual(FittedMewma),
    Segments(FittedSegments),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum ChartMemory {
    Residual(Vec<f64>),
    Segments(SegmentsMemory),
}

/// The newest mean and spread of each segment of the cycle, of the channels that the cycle moves most.
struct Segments {
    period: usize,
    channels: Vec<usize>,
    state: SegmentsMemory,
    distance: Distance,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FittedSegments {
    period: usize,
    channels: Vec<usize>,
    distance: FittedDistance,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SegmentsMemory {
    /// Segment by segment, channel by channel, mean and spread; NaN before the first.
    features: Vec<f64>,
    /// The segment that the newest row lies in.
    segment: usize,
    rows: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
    counts: Vec<f64>,
}

/// The phases of the load cycle that a machine goes through; `None` where its rows, standardised, `[time, channel]`, tell of
/// none.
pub fn phases_of(rows: &Array2<f64>, rhythm: Rhythm) -> Option<FittedPhases> {
    phases_among(rows, rhythm.period(false))
}

impl Cycle {
    pub fn new(fitted: FittedCycle) -> Self {
        let chart = match fitted.chart {
            FittedChart::Residual(fitted) => Chart::Residual(Mewma::new(fitted)),
            FittedChart::Segments(fitted) => Chart::Segments(Segments::new(fitted)),
        };
        Self {
            tracker: PhaseTracker::new(fitted.phases),
            residual: vec![0.0; fitted.template.channels],
            template: fitted.template,
            chart,
            newest: None,
        }
    }

    /// Takes the newest row, NaN where a channel has no value, and gives T² over its scale; `None` until the phase is known
    /// and, with segments, a whole cycle was seen in it.
    pub fn observe(&mut self, row: &[f64]) -> Option<f64> {
        let phase = self.tracker.observe(row)?;
        self.template.residual(row, phase, &mut self.residual);
        match &mut self.chart {
            Chart::Residual(chart) => self.newest = Some(chart.observe(self.residual.iter().copied())),
            Chart::Segments(segments) => {
                if segments.take(&self.residual, phase) {
                    self.newest = segments.judge();
                }
            }
        }
        self.newest
    }

    /// So much time has gone by that the cycle may be anywhere.
    pub fn reset(&mut self) {
        self.tracker.reset();
        self.newest = None;
        if let Chart::Segments(segments) = &mut self.chart {
            segments.reset();
        }
    }

    pub fn memory(&self) -> CycleMemory {
        let chart = match &self.chart {
            Chart::Residual(chart) => ChartMemory::Residual(chart.memory()),
            Chart::Segments(segments) => ChartMemory::Segments(segments.state.clone()),
        };
        CycleMemory { phases: self.tracker.memory(), chart, newest: self.newest }
    }

    /// Takes back what it remembered; what belongs to another chart is left alone.
    pub fn recall(&mut self, memory: &CycleMemory) {
        match (&mut self.chart, &memory.chart) {
            (Chart::Residual(chart), ChartMemory::Residual(memory)) => chart.recall(memory),
            (Chart::Segments(segments), ChartMemory::Segments(memory)) => segments.recall(memory),
            _ => return,
        }
        self.tracker.recall(&memory.phases);
        self.newest = memory.newest;
    }

    /// Tells whose doing the newest T² is; `weight` is what it counts for.
    pub fn reconstruction(&self, weight: f64) -> Reconstruction<'_> {
        match &self.chart {
            Chart::Residual(chart) => chart.reconstruction(weight),
            Chart::Segments(Segments { channels, distance, .. }) => {
                let layout = Layout { figures: FIGURES, channels: Some(channels) };
                distance.reconstruction(layout, weight)
            }
        }
    }
}

impl FittedCycle {
    /// Fits to `rows`, standardised, `[time, channel]`, and tells what it makes of each of them; `None` for a machine without
    /// a cycle that its rows tell of.
    pub fn fit(rows: &Array2<f64>, period: Period) -> Option<(Self, Vec<Option<f64>>)> {
        let phases = phases_among(rows, period)?;
        let period = phases.period();
        let mut tracker = PhaseTracker::new(phases.clone());
        let told: Vec<Option<usize>> = rows.rows().into_iter().map(|row| tracker.observe(row.as_slice()?)).collect();
        let begun = told.iter().position(Option::is_some)?;
        let template = Template::of(rows, &told, period, 0..0);
        let explained = explained(rows, &told, period);
        let residuals = |template: &Template| {
            let mut residual = vec![0.0; rows.ncols()];
            Array2::from_shape_vec(
                (rows.nrows() - begun, rows.ncols()),
                (begun..rows.nrows())
                    .flat_map(|t| {
                        let row: Vec<f64> = rows.row(t).to_vec();
                        template.residual(&row, told[t].unwrap_or(0), &mut residual);
                        residual.clone()
                    })
                    .collect(),
            )
        };
        let mut made = vec![None; rows.nrows()];
        let chart = if rows.nrows() / period < CYCLES_OF_SEGMENTS {
            let by_fold = |held_out: Range<usize>| {
                let held_out = match held_out.is_empty() {
                    true => 0..0,
                    false => held_out.start + begun..held_out.end + begun,
                };
                residuals(&Template::of(rows, &told, period, held_out)).unwrap_or_default()
            };
            let (chart, distances) = FittedMewma::fit_folds(by_fold, &vec![0.0; rows.ncols()])?;
            made[begun..].iter_mut().zip(distances).for_each(|(made, distance)| *made = Some(distance));
            FittedChart::Residual(chart)
        } else {
            let residuals = residuals(&template).ok()?;
            let (chart, distances) = FittedSegments::fit(&residuals, &told[begun..], (period, &explained))?;
            made[begun..].clone_from_slice(&distances);
            FittedChart::Segments(chart)
        };
        Some((Self { phases, template, chart }, made))
    }

    /// In rows.
    pub fn period(&self) -> usize {
        self.phases.period()
    }

    /// Whether whole cycles are judged, and not just each row in its phase.
    pub fn judges_whole_cycles(&self) -> bool {
        matches!(self.chart, FittedChart::Segments(_))
    }

    /// Whether all of its pieces fit together, as they must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        let chart = match &self.chart {
            FittedChart::Residual(chart) => chart.is_whole(width),
            FittedChart::Segments(FittedSegments { period, channels, distance }) => {
                *period == self.phases.period()
                    && channels.iter().all(|channel| *channel < width)
                    && distance.is_whole(segments(*period) * channels.len() * FIGURES)
            }
        };
        chart
            && self.phases.is_whole(width)
            && self.template.channels == width
            && self.template.means.len() == width * self.phases.period()
    }
}

fn phases_among(rows: &Array2<f64>, period: Period) -> Option<FittedPhases> {
    // Who knows the machine need not be convinced.
    let least_explained = if matches!(period, Period::Rows(_)) { 0.0 } else { LEAST_EXPLAINED };
    let period = period.among(rows)?;
    if rows.nrows() < FEWEST_CYCLES * period {
        return None;
    }
    FittedPhases::fit(rows, period).filter(|phases| phases.explained() >= least_explained)
}

impl Template {
    /// The mean of each phase over all rows whose phase is told, but those held out.
    fn of(rows: &Array2<f64>, told: &[Option<usize>], period: usize, held_out: Range<usize>) -> Self {
        let channels = rows.ncols();
        let (mut sums, mut counts) = (vec![0.0; period * channels], vec![0.0f64; period * channels]);
        for (t, row) in rows.rows().into_iter().enumerate().filter(|(t, _)| !held_out.contains(t)) {
            let Some(phase) = told[t] else { continue };
            for (channel, value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                sums[phase * channels + channel] += value;
                counts[phase * channels + channel] += 1.0;
            }
        }
        Self { channels, means: sums.iter().zip(&counts).map(|(sum, count)| sum / count.max(1.0)).collect() }
    }

    fn residual(&self, row: &[f64], phase: usize, residual: &mut [f64]) {
        let usual = &self.means[phase * self.channels..(phase + 1) * self.channels];
        for ((residual, value), usual) in residual.iter_mut().zip(row).zip(usual) {
            *residual = value - usual;
        }
    }
}

impl Segments {
    fn new(FittedSegments { period, channels, distance }: FittedSegments) -> Self {
        let state = SegmentsMemory::new(segments(period), channels.len());
        Self { period, channels, state, distance: Distance::new(distance) }
    }

    /// Takes a row's residual; whether a segment has come to its end.
    fn take(&mut self, residual: &[f64], phase: usize) -> bool {
        let Self { period, channels, state, .. } = self;
        let segments = segments(*period);
        state.take(channels.iter().map(|&channel| residual[channel]), phase * segments / *period, *period / segments)
    }

    /// `None` until half of the cycle was seen; what was not seen yet counts like what was.
    fn judge(&mut self) -> Option<f64> {
        let features = &self.state.features;
        let seen = features.iter().filter(|feature| !feature.is_nan()).count();
        let whole = features.len() as f64 / seen as f64;
        (2 * seen >= features.len()).then(|| self.distance.observe(features.iter().copied()) * whole)
    }

    fn reset(&mut self) {
        self.state.clear();
    }

    fn recall(&mut self, memory: &SegmentsMemory) {
        let SegmentsMemory { features, sums, squares, counts, segment, .. } = memory;
        let width = self.channels.len();
        let alike = features.len() == self.state.features.len()
            && [sums.len(), squares.len(), counts.len()] == [width; 3]
            && *segment < segments(self.period);
        if alike {
            self.state.clone_from(memory);
            // What the newest score was due to goes with it.
            self.judge();
        }
    }
}

impl FittedSegments {
    fn fit(
        residuals: &Array2<f64>,
        told: &[Option<usize>],
        (period, explained): (usize, &[f64]),
    ) -> Option<(Self, Vec<Option<f64>>)> {
        let count = segments(period);
        let mut channels: Vec<usize> = (0..residuals.ncols()).collect();
        channels.sort_by(|&one, &other| explained[other].total_cmp(&explained[one]));
        channels.truncate(MOST_FEATURES / (count * FIGURES));
        channels.sort_unstable();
        let mut state = SegmentsMemory::new(count, channels.len());
        let (mut vectors, mut ends) = (Vec::new(), Vec::new());
        for (t, row) in residuals.rows().into_iter().enumerate() {
            let phase = told[t].unwrap_or(0);
            let ended =
                state.take(channels.iter().map(|&channel| row[channel]), phase * count / period, period / count);
            if ended && state.features.iter().all(|feature| !feature.is_nan()) {
                vectors.extend_from_slice(&state.features);
                ends.push(t);
            }
        }
        let width = state.features.len();
        let vectors = Array2::from_shape_vec((ends.len(), width), vectors).ok()?;
        if ends.len() < count * CYCLES_OF_SEGMENTS / 2 {
            return None;
        }
        let CrossFit { fitted, held_out } = FittedDistance::fit(&vectors, SEGMENT_RIDGE, &vec![0.0; width])?;
        let mut made = vec![None; residuals.nrows()];
        let until = ends.iter().skip(1).copied().chain([residuals.nrows()]);
        for ((&from, until), distance) in ends.iter().zip(until).zip(held_out) {
            made[from..until].fill(Some(distance));
        }
        Some((Self { period, channels, distance: fitted }, made))
    }
}

impl SegmentsMemory {
    fn new(segments: usize, channels: usize) -> Self {
        Self {
            features: vec![f64::NAN; segments * channels * FIGURES],
            segment: 0,
            rows: 0,
            sums: vec![0.0; channels],
            squares: vec![0.0; channels],
            counts: vec![0.0; channels],
        }
    }

    fn clear(&mut self) {
        self.features.fill(f64::NAN);
        self.segment = 0;
        self.rows = 0;
        self.sums.fill(0.0);
        self.squares.fill(0.0);
        self.counts.fill(0.0);
    }

    /// Takes a row; where it is the first of another segment, the one before is renewed, unless the rows began in its midst.
    fn take(&mut self, residual: impl Iterator<Item = f64>, segment: usize, shortest: usize) -> bool {
        let next = segment != self.segment && self.rows > 0;
        let ended = next && self.rows >= shortest;
        if ended {
            let width = self.sums.len();
            for channel in 0..width {
                let count = self.counts[channel];
                let place = (self.segment * width + channel) * FIGURES;
                if count > 0.0 {
                    let mean = self.sums[channel] / count;
                    let variance = (self.squares[channel] / count - mean * mean).max(0.0);
                    self.features[place] = mean;
                    self.features[place + 1] = variance.sqrt();
                }
            }
        }
        if next {
            self.sums.fill(0.0);
            self.squares.fill(0.0);
            self.counts.fill(0.0);
        }
        self.segment = segment;
        self.rows = self.rows.saturating_add(1);
        for (channel, value) in residual.enumerate().filter(|(_, value)| !value.is_nan()) {
            self.sums[channel] += value;
            self.squares[channel] += value * value;
            self.counts[channel] += 1.0;
        }
        ended
    }
}

/// How many segments a cycle of so many rows is divided into.
fn segments(period: usize) -> usize {
    (period / FEWEST_ROWS_OF_SEGMENT).clamp(1, MOST_SEGMENTS)
}

/// The share of each channel's variance that the phase explains in blocks that the template has not seen.
fn explained(rows: &Array2<f64>, told: &[Option<usize>], period: usize) -> Vec<f64> {
    let (mut left, mut whole) = (vec![0.0; rows.ncols()], vec![0.0; rows.ncols()]);
    let mut residual = vec![0.0; rows.ncols()];
    for block in 0..BLOCKS {
        let range = block * rows.nrows() / BLOCKS..(block + 1) * rows.nrows() / BLOCKS;
        let template = Template::of(rows, told, period, range.clone());
        for t in range {
            let Some(phase) = told[t] else { continue };
            template.residual(&rows.row(t).to_vec(), phase, &mut residual);
            for channel in (0..rows.ncols()).filter(|&channel| !residual[channel].is_nan()) {
                left[channel] += residual[channel].powi(2);
                whole[channel] += rows[[t, channel]].powi(2);
            }
        }
    }
    left.iter().zip(&whole).map(|(left, whole): (&f64, &f64)| 1.0 - left / whole.max(f64::MIN_POSITIVE)).collect()
}

const BLOCKS: usize = 4;
/// Of the variance of the channels that the cycle moves most, the phase must explain so much.
const LEAST_EXPLAINED: f64 = 0.5;
/// From so many cycles of calibration on, whole cycles are judged.
const CYCLES_OF_SEGMENTS: usize = 20;
const MOST_SEGMENTS: usize = 12;
const FEWEST_ROWS_OF_SEGMENT: usize = 4;
/// Mean and spread.
const FIGURES: usize = 2;
/// The largest matrix that one machine is given: half a mebibyte.
const MOST_FEATURES: usize = 256;
/// Added to the covariance of the segments, as a part of its own diagonal.
const SEGMENT_RIDGE: f64 = 0.05;
