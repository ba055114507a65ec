//! A generator for a machine of no known kind: its calibration's rows come in, a generator that was fitted to them in closed
//! form goes out.
//!
//! What the rows repeat is a template of the cycle, what they jump between are regimes, what is left is a vector
//! autoregression that is driven by drawn innovations; a last map gives each channel the distribution that was measured. It
//! knows one condition only, that of the calibration, and no label. `FORMAT.md` describes how it is kept.

mod autoregression;
mod channel;
mod fit;
mod innovation;
mod marginal;
mod regime;
mod series;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::autoregression::Autoregression;
use self::channel::FittedChannel;
use self::innovation::Innovations;
use self::marginal::Marginal;
use self::regime::Regimes;
use super::Layout;
use crate::acquisition::Name;
use crate::detection::FittedPhases;

pub use self::fit::Lesson;
pub use self::series::FittedSeries;

/// What a machine's own rows say of how it runs, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedGenerator {
    /// The time between two rows.
    cadence: Duration,
    /// From how many rows.
    rows: usize,
    channels: Vec<FittedChannel>,
    /// None of a machine whose rows do not repeat.
    cycle: Option<CycleTemplate>,
    regimes: Regimes,
    autoregression: Autoregression,
    innovations: Innovations,
    /// Of each moving channel.
    marginals: Vec<Marginal>,
}

/// What the moving channels show in each phase, in standard deviations from their means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CycleTemplate {
    phases: FittedPhases,
    /// Phase by phase.
    means: Vec<f32>,
    /// How far rows stray from them; 0 where they never do.
    scales: Vec<f32>,
}

impl FittedGenerator {
    /// An endless series; the same seed gives the same rows.
    pub fn series(&self, seed: u64) -> FittedSeries {
        FittedSeries::new(self.clone(), seed)
    }

    pub fn layout(&self) -> Layout {
        Layout {
            channels: self.channels.iter().map(FittedChannel::layout).collect(),
            labels: Vec::new(),
            cadence: self.cadence,
            window: self.window(),
            seen: Vec::new(),
        }
    }

    /// From how many rows it was fitted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn channel_names(&self) -> impl Iterator<Item = &Name> {
        self.channels.iter().map(|channel| &channel.name)
    }

    /// How the machine's cycle is told from its rows, of the moving channels and standardised by [`Self::standardised`].
    pub fn phases(&self) -> Option<&FittedPhases> {
        self.cycle.as_ref().map(|cycle| &cycle.phases)
    }

    /// A row as the cycle's phases are told from it.
    pub fn standardised(&self, row: &[f64]) -> Vec<f64> {
        let moving = self.channels.iter().zip(row).filter(|(channel, _)| channel.moves());
        moving.map(|(channel, value)| (value - channel.centre) / channel.scale).collect()
    }

    /// What each phase of the cycle is like on average, phase by phase, all channels; none without a cycle.
    pub fn template(&self) -> Option<Vec<f64>> {
        let cycle = self.cycle.as_ref()?;
        let width = self.channels.iter().filter(|channel| channel.moves()).count();
        let rows = cycle.means.chunks_exact(width).flat_map(|means| {
            let mut means = means.iter();
            self.channels.iter().map(move |channel| match channel.moves() {
                true => channel.centre + channel.scale * f64::from(means.next().copied().unwrap_or(0.0)),
                false => channel.centre,
            })
        });
        Some(rows.collect())
    }

    /// Mean and standard deviation of a channel.
    pub fn moments(&self, channel: &Name) -> Option<(f64, f64)> {
        self.channels.iter().find(|it| it.name == *channel).map(|it| (it.centre, it.scale))
    }

    /// Whether all of its pieces fit together, as they must when it was read from a file.
    pub fn is_whole(&self) -> bool {
        let width = self.channels.iter().filter(|channel| channel.moves()).count();
        let places = self.cycle.as_ref().map_or(MOST_PLACES, |cycle| cycle.phases.period());
        let cycle = self.cycle.as_ref().is_none_or(|cycle| {
            let size = cycle.phases.period() * width;
            let finite = cycle.means.iter().chain(&cycle.scales).all(|value| value.is_finite());
            cycle.phases.is_whole(width) && finite && cycle.means.len() == size && cycle.scales.len() == size
        });
        cycle
            && !self.cadence.is_zero()
            && !self.channels.is_empty()
            && self.channels.iter().all(FittedChannel::is_whole)
            && self.regimes.is_whole(width)
            && self.autoregression.is_whole(width)
            && self.innovations.is_whole(width, places)
            && self.marginals.len() == width
            && self.marginals.iter().all(Marginal::is_whole)
    }

    fn window(&self) -> usize {
        self.cycle.as_ref().map_or(WINDOW, |cycle| cycle.phases.period())
    }
}

/// Rows of a window of a machine without a cycle.
const WINDOW: usize = 60;
/// Regimes of a machine.
const MOST_PLACES: usize = 64;
