use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::attribution::Attribution;
use super::cycle::{Cycle, CycleMemory, FittedCycle};
use super::distance::upper_quantile;
use super::mewma::{FittedMewma, Mewma};
use super::period::Period;
use super::scatter::{FittedScatter, Scatter, ScatterMemory};
use crate::manipulation::quantile;

/// The charts of a machine's own channels on one scale, where 1.0 is the limit.
pub(super) struct Charts {
    level: Mewma,
    scatter: Option<Scatter>,
    cycle: Option<Cycle>,
    scatter_weight: f64,
    rows_scale: f64,
    scale: f64,
    newest: Parts,
}

/// What a calibration tells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedCharts {
    level: FittedMewma,
    scatter: Option<FittedScatter>,
    cycle: Option<FittedCycle>,
    /// Of the scatter beside the level.
    scatter_weight: f64,
    /// The cross-fitted 99 % quantile of what level and scatter say together.
    rows_scale: f64,
    /// The same of all charts together.
    scale: f64,
    /// What half of the calibration's rows stay below, over the limit.
    usual: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChartsMemory {
    level: Vec<f64>,
    scatter: Option<ScatterMemory>,
    cycle: Option<CycleMemory>,
}

/// What each chart made of the newest row: T² over its scale.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    level: f64,
    scatter: f64,
    cycle: Option<f64>,
}

impl Charts {
    pub fn new(fitted: FittedCharts) -> Self {
        Self {
            level: Mewma::new(fitted.level),
            scatter: fitted.scatter.map(Scatter::new),
            cycle: fitted.cycle.map(Cycle::new),
            scatter_weight: fitted.scatter_weight,
            rows_scale: fitted.rows_scale,
            scale: fitted.scale,
            newest: Parts::default(),
        }
    }

    /// Takes the newest standardised row, NaN where a channel has no value, and gives the distance over its limit.
    ///
    /// `gap`: so much time went by since the row before that a load cycle may be anywhere.
    pub fn observe(&mut self, row: &[f64], gap: bool) -> f64 {
        if let Some(cycle) = self.cycle.as_mut().filter(|_| gap) {
            cycle.reset();
        }
        self.newest = Parts {
            level: self.level.observe(row.iter().copied()),
            scatter: self.scatter_weight
                * self.scatter.as_mut().map_or(0.0, |scatter| scatter.observe(row.iter().copied())),
            cycle: self.cycle.as_mut().and_then(|cycle| cycle.observe(row)),
        };
        self.newest.together(self.rows_scale) / self.scale_now() / FLEET
    }

    /// Whether the machine goes through a cycle.
    pub fn has_cycle(&self) -> bool {
        self.cycle.is_some()
    }

    pub fn has_scatter(&self) -> bool {
        self.scatter.is_some()
    }

    /// What each part makes of the newest row, each on the scale of the score.
    pub fn part_scores(&self) -> [f64; 3] {
        let Parts { level, scatter, cycle } = self.newest;
        [score(level), score(scatter), cycle.map_or(0.0, score)]
    }

    /// Whose doing the newest distance is; `factor` is what it counts for.
    pub fn attribution(&self, channels: usize, factor: f64) -> Attribution<'_> {
        let Parts { level, scatter, cycle } = self.newest;
        let mut attribution = Attribution::new(channels);
        attribution.add(self.level.reconstruction(1.0));
        if let Some(chart) = &self.scatter {
            attribution.add(chart.reconstruction(self.scatter_weight));
        }
        if let (Some(chart), Some(_)) = (&self.cycle, cycle) {
            attribution.add(chart.reconstruction(1.0));
        }
        attribution.weigh(factor / (level + scatter + cycle.unwrap_or(0.0)).max(f64::MIN_POSITIVE));
        attribution
    }

    /// Each channel's smoothed deviation from where a sound machine keeps it, standardised.
    pub fn deviation(&self, place: usize) -> f64 {
        self.level.deviation(place)
    }

    pub fn memory(&self) -> ChartsMemory {
        ChartsMemory {
            level: self.level.memory(),
            scatter: self.scatter.as_ref().map(Scatter::memory),
            cycle: self.cycle.as_ref().map(Cycle::memory),
        }
    }

    /// Takes back what they remembered; what belongs to other charts is left alone.
    pub fn recall(&mut self, memory: &ChartsMemory) {
        self.level.recall(&memory.level);
        if let (Some(scatter), Some(memory)) = (&mut self.scatter, &memory.scatter) {
            scatter.recall(memory);
        }
        if let (Some(cycle), Some(memory)) = (&mut self.cycle, &memory.cycle) {
            cycle.recall(memory);
        }
    }

    fn scale_now(&self) -> f64 {
        if self.newest.cycle.is_some() { self.scale } else { 1.0 }
    }
}

impl FittedCharts {
    /// Fits all charts to `rows`, standardised, `[time, channel]`, in closed form, that of their levels was fitted to before.
    /// `None` if the rows do not vary enough.
    pub fn fit((level, by_level): (FittedMewma, Vec<f64>), rows: &Array2<f64>, period: Period) -> Option<Self> {
        let scatter = FittedScatter::fit(rows);
        let cycle = FittedCycle::fit(rows, period);
        let scatter_weight = SCATTER_WEIGHT / (1.0 + FEW_LOOKS * SCATTER_MEMORY / rows.nrows() as f64);
        let mut parts: Vec<Parts> = by_level.iter().map(|&level| Parts { level, ..Parts::default() }).collect();
        if let Some((_, by_scatter)) = &scatter {
            parts.iter_mut().zip(by_scatter).for_each(|(parts, scatter)| parts.scatter = scatter_weight * *scatter);
        }
        if let Some((_, by_cycle)) = &cycle {
            parts.iter_mut().zip(by_cycle).for_each(|(parts, cycle)| parts.cycle = *cycle);
        }
        // Parts that sound rows keep below their limits keep these together, too; where the quarters of a calibration have little in
        // common a part's own limit is put nearer than they say.
        let most = 1.0 + if scatter.is_some() { scatter_weight } else { 0.0 };
        let rows_scale = upper_quantile(parts.iter().map(Parts::of_rows).collect()).min(most);
        let with_cycle = parts.iter().filter(|parts| parts.cycle.is_some());
        let scale = match &cycle {
            Some(_) => upper_quantile(with_cycle.map(|parts| parts.together(rows_scale)).collect()).min(1.0),
            None => 1.0,
        };
        let mut together: Vec<f64> = parts.iter().map(|parts| parts.together(rows_scale) / scale / FLEET).collect();
        together.sort_by(f64::total_cmp);
        let usual = quantile(&together, 0.5);
        let positive = rows_scale > 0.0 && scale > 0.0;
        positive.then(|| Self {
            level,
            scatter: scatter.map(|(scatter, _)| scatter),
            cycle: cycle.map(|(cycle, _)| cycle),
            scatter_weight,
            rows_scale,
            scale,
            usual,
        })
    }

    pub fn usual(&self) -> f64 {
        self.usual
    }

    pub fn cycle(&self) -> Option<&FittedCycle> {
        self.cycle.as_ref()
    }

    /// Whether all of its pieces fit together, as they must when it was read from a file.
    pub fn is_whole(&self, width: usize) -> bool {
        self.level.is_whole(width)
            && self.scatter.as_ref().is_none_or(|scatter| scatter.is_whole(width))
            && self.cycle.as_ref().is_none_or(|cycle| cycle.is_whole(width))
            && self.rows_scale > 0.0
            && self.scatter_weight > 0.0
            && self.scale > 0.0
            && self.usual >= 0.0
    }
}

impl Parts {
    /// Level and scatter: each may see what the other one cannot.
    fn of_rows(&self) -> f64 {
        self.level + self.scatter
    }

    /// What is usual in the phase tells more than what is usual at all, but only once a segment has ended: both have a say.
    fn together(&self, rows_scale: f64) -> f64 {
        let rows = self.of_rows() / rows_scale;
        self.cycle.map_or(rows, |cycle| rows.powf(1.0 - CYCLE_WEIGHT) * cycle.powf(CYCLE_WEIGHT))
    }
}

/// On the scale where 1.0 is the limit.
fn score(distance: f64) -> f64 {
    (distance / FLEET).sqrt()
}

/// Scatter strays more from day to day than levels do: with its full weight it costs more alarms than it finds faults.
const SCATTER_WEIGHT: f64 = 0.8;
/// In rows: so long does the scatter's chart remember, and so far apart are rows that tell it something new.
const SCATTER_MEMORY: f64 = 67.0;
/// How much a calibration of few such looks understates what a sound machine shows.
const FEW_LOOKS: f64 = 12.0;
/// Of the cycle's chart in the geometric mean with the others. Where a cycle makes up nearly all variance these have little
/// to say, but they say it at once.
const CYCLE_WEIGHT: f64 = 0.9;
/// How far beyond the cross-fitted 99 % quantile the limit lies at first. One calibration carries no information about the
/// drift to come; this constant does, for all machines alike, until the limit has learned more.
const FLEET: f64 = 2.0;
