use serde::{Deserialize, Serialize};

use super::calibration::{CalibratedChannel, Calibration, Part, Residuals, places_of};
use super::charts::{Charts, ChartsMemory};
use super::limit::{LearningLimit, LimitMemory, LimitReport};
use super::mewma::Mewma;
use super::{Contribution, Direction};
use crate::manipulation::{Fault, Plausibility, Scaling};
use crate::models::{Denoiser, InferenceError};

/// Scores one machine, sample by sample, each from the samples up to it.
pub struct Detector {
    channels: Vec<CalibratedChannel>,
    /// Places of the scored channels in a sample.
    scored: Vec<usize>,
    /// The sample with readings left out that say more about their sensor than about the machine.
    values: Vec<f64>,
    /// Of the scored channels.
    standardised: Vec<f64>,
    charts: Charts,
    limit: LearningLimit,
    network: Option<Network>,
    /// Whether the newest reading of a channel lay so far away that it wanted a second one to bear it out.
    doubted: Vec<bool>,
    /// What the network's chart made of the newest sample.
    by_network: f64,
    /// Of the newest score, in the order of `scored`.
    shares: Vec<f64>,
    scratch: Vec<f64>,
}

struct Network {
    scaling: Scaling,
    residuals: Residuals,
    denoiser: Box<dyn Denoiser>,
    /// The channels that it changes at all, as places in the list of the scored ones.
    charted: Vec<usize>,
    chart: Mewma,
    bridges_gaps: bool,
    /// How far beyond its cross-fitted 99 % quantile the limit of the chart lies.
    fleet: f64,
    /// The weight of the channels' own chart beside this one's, which has 1.
    unexplained: f64,
}

/// What a detector remembers of the past: with it, it goes on after a restart as if there had been none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorMemory {
    charts: ChartsMemory,
    limit: LimitMemory,
    network: Option<NetworkMemory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NetworkMemory {
    chart: Vec<f64>,
    column: Vec<f32>,
    denoiser: Vec<f32>,
}

/// What is to be known of a sample besides its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// So much time went by since the sample before that a load cycle may be anywhere; a network starts anew then.
    pub gap: bool,
    pub stage: Stage,
}

/// What the limit may learn from a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: it belongs to the calibration.
    Calibration,
    /// What a sound machine shows.
    #[default]
    Sound,
    /// An alarm stands.
    Episode,
}

/// What one sample said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// 1.0 is the limit; `None` where no score is possible.
    pub score: Option<f64>,
    /// The share of the machine's channels that had a believable value.
    pub quality: f64,
    /// A reading that was left out, if there was one.
    pub fault: Option<Fault>,
}

impl Detector {
    /// A detector that has seen nothing yet. The denoiser must be the one that the calibration was fitted with.
    pub fn new(calibration: Calibration, denoiser: Option<Box<dyn Denoiser>>) -> Self {
        let scored = places_of(&calibration.channels, Part::Scored);
        let network = calibration.network.zip(denoiser).map(|(calibrated, mut denoiser)| {
            denoiser.reset();
            Network {
                scaling: calibrated.scaling,
                residuals: Residuals::new(calibrated.places, &scored),
                denoiser,
                charted: calibrated.charted,
                chart: Mewma::new(calibrated.chart),
                bridges_gaps: calibrated.bridges_gaps,
                fleet: if calibrated.knows_drift { 1.0 } else { FLEET },
                unexplained: calibrated.unexplained,
            }
        });
        Self {
            values: vec![f64::NAN; calibration.channels.len()],
            doubted: vec![false; calibration.channels.len()],
            channels: calibration.channels,
            limit: LearningLimit::new(NOMINAL, if network.is_some() { USUAL } else { calibration.charts.usual() }),
            charts: Charts::new(calibration.charts),
            network,
            by_network: 0.0,
            standardised: vec![0.0; scored.len()],
            scratch: vec![0.0; scored.len()],
            shares: vec![0.0; scored.len()],
            scored,
        }
    }

    /// Lets its limit learn for another share of sound rows above it than one in a hundred.
    pub fn with_nominal_rate(mut self, rate: f64) -> Self {
        self.limit.aim_at(rate);
        self
    }

    /// Takes the newest values, in the order of the calibration's channels, NaN where a channel has none.
    pub fn observe(&mut self, values: &[f64], circumstances: Circumstances) -> Result<Judgement, InferenceError> {
        let Circumstances { gap, stage } = circumstances;
        if let Some(network) = self.network.as_mut().filter(|network| gap && !network.bridges_gaps) {
            network.denoiser.reset();
        }
        let mut fault = None;
        let mut believed = 0;
        for (place, channel) in self.channels.iter().enumerate() {
            let value = values.get(place).copied().unwrap_or(f64::NAN);
            let doubt = if value.is_nan() { None } else { channel.plausibility.fault(value) };
            fault = fault.or(doubt);
            // One wild reading alone would fill the charts for half a minute and pass for a fault of the machine.
            let wild = ((value - channel.mean) / channel.scale()).abs() > WILD;
            let borne_out = self.doubted[place];
            self.doubted[place] = wild;
            self.values[place] = if doubt.is_some() || (wild && !borne_out) { f64::NAN } else { value };
            believed += usize::from(!self.values[place].is_nan());
        }
        let quality = believed as f64 / self.channels.len().max(1) as f64;
        let score = self.distance(gap)?.map(|distance| match stage {
            Stage::Calibration => self.limit.score(distance),
            Stage::Sound => self.limit.observe(distance, false),
            Stage::Episode => self.limit.observe(distance, true),
        });
        Ok(Judgement { score, quality, fault })
    }

    /// Places of the scored channels in a sample.
    pub fn scored(&self) -> &[usize] {
        &self.scored
    }

    /// What a channel's readings looked like while the machine was calibrated.
    pub fn plausibility(&self, place: usize) -> &Plausibility {
        &self.channels[place].plausibility
    }

    pub fn memory(&self) -> DetectorMemory {
        DetectorMemory {
            charts: self.charts.memory(),
            limit: self.limit.memory(),
            network: self.network.as_ref().map(|network| NetworkMemory {
                chart: network.chart.memory(),
                column: network.residuals.column().to_vec(),
                denoiser: network.denoiser.memory(),
            }),
        }
    }

    /// Takes back what a detector with the same calibration remembered.
    pub fn recall(&mut self, memory: &DetectorMemory) {
        self.charts.recall(&memory.charts);
        self.limit.recall(&memory.limit);
        if let (Some(network), Some(memory)) = (&mut self.network, &memory.network) {
            network.chart.recall(&memory.chart);
            network.residuals.recall(&memory.column);
            network.denoiser.recall(&memory.denoiser);
        }
    }

    /// The parts of the score that are on.
    pub fn parts(&self) -> Vec<&'static str> {
        let cycle = self.charts.has_cycle().then_some("cycle");
        let network = self.network.as_ref().map(|_| "residual_mewma");
        ["channel_mewma", "scatter"].into_iter().chain(cycle).chain(network).collect()
    }

    /// What each part of the score made of the newest sample, on the scale of the score.
    pub fn part_scores(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let [level, scatter, cycle] = self.charts.part_scores();
        let cycle = self.charts.has_cycle().then_some(("cycle", cycle));
        let network = self.network.as_ref().map(|_| ("residual_mewma", self.by_network.sqrt()));
        [("channel_mewma", level), ("scatter", scatter)].into_iter().chain(cycle).chain(network)
    }

    /// Where the limit stands that the newest score was held against.
    pub fn limit(&self) -> LimitReport {
        self.limit.report()
    }

    /// The newest score's share of each channel of a sample; they sum to 1, or are all 0.
    pub fn write_shares(&self, shares: &mut [f64]) {
        shares.fill(0.0);
        for (&place, &share) in self.scored.iter().zip(&self.shares) {
            shares[place] = share;
        }
    }

    /// The newest score's contributions, largest first, as many as a message can carry.
    pub fn contributions(&self) -> Vec<Contribution> {
        let mut order: Vec<usize> = (0..self.scored.len()).filter(|&index| self.shares[index] > 0.0).collect();
        order.sort_by(|&one, &other| self.shares[other].total_cmp(&self.shares[one]));
        order.truncate(MOST_CONTRIBUTIONS);
        let total: f64 = order.iter().map(|&index| self.shares[index]).sum();
        order.into_iter().map(|index| self.contribution(index, total)).collect()
    }

    fn distance(&mut self, gap: bool) -> Result<Option<f64>, InferenceError> {
        for (target, &place) in self.standardised.iter_mut().zip(&self.scored) {
            *target = self.channels[place].standardised(self.values[place]);
        }
        let mut by_channels = self.charts.observe(&self.standardised, gap);
        self.charts.write_shares(&mut self.shares, &mut self.scratch);
        let mut distance = by_channels;
        if let Some(network) = &mut self.network {
            by_channels *= BESIDE_NETWORK;
            distance = by_channels;
            self.by_network = 0.0;
            // A network that started anew has nothing to say yet; the charts have.
            if let Some(residual) = network.residuals.observe(&self.values, &network.scaling, &mut *network.denoiser)? {
                let charted = network.charted.iter().map(|&index| residual[index]);
                let by_network = network.chart.observe(charted) / network.fleet;
                self.by_network = by_network;
                // Either chart may see what the other one cannot: the network follows a level that drifts away, the channels'
                // own charts do not know what wear does. The shares are those of whoever has more to say.
                let part = network.unexplained / (1.0 + network.unexplained);
                let both = part * by_channels.max(LEAST).ln() + (1.0 - part) * by_network.max(LEAST).ln();
                distance = both.exp().max(by_channels);
                let weight = by_channels / (by_channels + by_network).max(f64::MIN_POSITIVE);
                self.shares.iter_mut().for_each(|share| *share *= weight);
                for (&index, share) in network.charted.iter().zip(network.chart.shares()) {
                    self.shares[index] += (1.0 - weight) * share;
                }
            }
        }
        let seen = self.scored.iter().any(|&place| !self.values[place].is_nan());
        Ok(seen.then_some(distance))
    }

    fn contribution(&self, index: usize, total: f64) -> Contribution {
        let channel = &self.channels[self.scored[index]];
        let by_chart = self.charts.deviation(index) * channel.scale();
        let value = channel.mean + by_chart;
        // The network knows the load cycle and with it what to expect, unless a level is so far from any sound day's that
        // following it explains nothing.
        let by_network = self.network.as_ref().and_then(|network| {
            let place = network.residuals.network_place(index)?;
            let charted = network.charted.iter().position(|charted| *charted == index)?;
            Some(network.chart.deviation(charted) * network.scaling.scale[place])
        });
        let deviation = by_network.filter(|_| by_chart.abs() < BEYOND * channel.scale()).unwrap_or(by_chart);
        Contribution {
            channel: channel.name.clone(),
            share: self.shares[index] / total,
            direction: if deviation > 0.0 {
                Direction::High
            } else if deviation < 0.0 {
                Direction::Low
            } else {
                Direction::Neither
            },
            value: Some(value),
            expected: Some(value - deviation),
            unit: channel.unit.clone(),
        }
    }
}

/// The share of sound rows that is meant to lie above the limit.
const NOMINAL: f64 = 0.01;
/// How far beyond its cross-fitted 99 % quantile the limit of the network's chart lies: as for the other charts, but the
/// residual of a network knows less of the drift to come, unless its package tells of it.
const FLEET: f64 = 4.0;
/// Of the limit; with a network there are no rows held out that would tell.
const USUAL: f64 = 0.16;
/// A reading so many standard deviations away wants a second one to bear it out.
const WILD: f64 = 12.0;
/// The weight of the channels' own charts where there is a network: their limit lies as far out as the network's.
const BESIDE_NETWORK: f64 = 0.5;
/// Scores are multiplied, so none of them may be zero.
const LEAST: f64 = 1e-9;
/// In standard deviations of a smoothed level.
const BEYOND: f64 = 3.0;
/// Keeps a payload below 64 KiB for any number of channels.
const MOST_CONTRIBUTIONS: usize = 32;
