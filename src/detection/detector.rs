use serde::{Deserialize, Serialize};

use super::calibration::{CalibratedChannel, Calibration, Residuals, scored_places};
use super::charts::{Charts, ChartsMemory};
use super::drift::{Drift, DriftMemory, DriftMonitor, DriftReport, Whereabouts};
use super::limit::{LearningLimit, LimitMemory, LimitReport};
use super::mewma::Mewma;
use super::parts::{Grounds, PartReport};
use super::slow_mean::{SlowMean, SlowMeanMemory};
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
    /// Of each slow channel, by its place in a sample.
    slow_means: Vec<Option<SlowMean>>,
    /// Of the scored channels.
    standardised: Vec<f64>,
    charts: Charts,
    limit: LearningLimit,
    network: Option<Network>,
    drift: DriftMonitor,
    grounds: Grounds,
    /// Whether the newest reading of a channel lay so far away that it wanted a second one to bear it out.
    doubted: Vec<bool>,
    /// What the charts of the channels made of the newest sample.
    by_channels: f64,
    /// What the network's chart made of the newest sample.
    by_network: f64,
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
    slow_means: Vec<Option<SlowMeanMemory>>,
    charts: ChartsMemory,
    limit: LimitMemory,
    network: Option<NetworkMemory>,
    drift: DriftMemory,
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
    /// The machine stood since the sample before: slow channels have gone elsewhere.
    pub stood: bool,
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
    /// Nothing, as with an alarm, but without one: somebody works on the machine.
    Excused,
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
    /// What the drift monitor says is not what it said before.
    pub drift_changed: bool,
}

impl Detector {
    /// A detector that has seen nothing yet. The denoiser must be the one that the calibration was fitted with.
    pub fn new(calibration: Calibration, denoiser: Option<Box<dyn Denoiser>>) -> Self {
        let scored = scored_places(&calibration.channels);
        let grounds = Grounds { rows: calibration.rows, cycle: calibration.cycle() };
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
            slow_means: calibration.channels.iter().map(|channel| channel.baseline.map(SlowMean::new)).collect(),
            channels: calibration.channels,
            limit: LearningLimit::new(NOMINAL, if network.is_some() { USUAL } else { calibration.charts.usual() }),
            charts: Charts::new(calibration.charts),
            network,
            drift: DriftMonitor::new(calibration.drift, calibration.rows),
            grounds,
            by_channels: 0.0,
            by_network: 0.0,
            standardised: vec![0.0; scored.len()],
            scored,
        }
    }

    /// Lets its limit learn for another share of sound rows above it than one in a hundred.
    pub fn with_nominal_rate(mut self, rate: f64) -> Self {
        self.limit.aim_at(rate);
        self
    }

    /// Lets its drift monitor look at no fewer rows at a time than an hour has.
    pub fn with_rows_an_hour(mut self, rows: u64) -> Self {
        self.drift.look_at_least_at(rows);
        self
    }

    /// Lets its limit lie so many times as far from what is usual.
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.limit.stand_off(margin);
        self
    }

    /// Takes the newest values, in the order of the calibration's channels, NaN where a channel has none.
    pub fn observe(&mut self, values: &[f64], circumstances: Circumstances) -> Result<Judgement, InferenceError> {
        let Circumstances { gap, stood, stage } = circumstances;
        if stood {
            self.slow_means.iter_mut().flatten().for_each(SlowMean::reset);
        }
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
            let judged = self.slow_means[place].as_ref().map_or(value, |mean| mean.left_of(value));
            let wild = ((judged - channel.mean) / channel.scale()).abs() > WILD;
            let borne_out = self.doubted[place];
            self.doubted[place] = wild;
            self.values[place] = if doubt.is_some() || (wild && !borne_out) { f64::NAN } else { value };
            believed += usize::from(!self.values[place].is_nan());
        }
        let quality = believed as f64 / self.channels.len().max(1) as f64;
        let score = self.distance(gap)?.map(|distance| match stage {
            Stage::Calibration => self.limit.score(distance),
            Stage::Sound => self.limit.observe(distance, false),
            Stage::Episode | Stage::Excused => self.limit.observe(distance, true),
        });
        let drift = self.drift.drift();
        // The charts still remember an episode that has just ended.
        let tells = match stage {
            Stage::Sound => self.limit.learns(),
            Stage::Episode => true,
            Stage::Calibration | Stage::Excused => false,
        };
        if let Some(score) = score.filter(|_| tells) {
            let whereabouts = Whereabouts { above_limit: score > 1.0, in_episode: stage == Stage::Episode };
            self.drift.observe(&self.standardised, whereabouts, self.limit.nominal());
        }
        Ok(Judgement { score, quality, fault, drift_changed: self.drift.drift() != drift })
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
            slow_means: self.slow_means.iter().map(|mean| mean.as_ref().map(SlowMean::memory)).collect(),
            charts: self.charts.memory(),
            limit: self.limit.memory(),
            network: self.network.as_ref().map(|network| NetworkMemory {
                chart: network.chart.memory(),
                column: network.residuals.column().to_vec(),
                denoiser: network.denoiser.memory(),
            }),
            drift: self.drift.memory(),
        }
    }

    /// Takes back what a detector with the same calibration remembered.
    pub fn recall(&mut self, memory: &DetectorMemory) {
        for (mean, memory) in self.slow_means.iter_mut().zip(&memory.slow_means) {
            if let (Some(mean), Some(memory)) = (mean, memory) {
                mean.recall(*memory);
            }
        }
        self.charts.recall(&memory.charts);
        self.limit.recall(&memory.limit);
        self.drift.recall(&memory.drift);
        if let (Some(network), Some(memory)) = (&mut self.network, &memory.network) {
            network.chart.recall(&memory.chart);
            network.residuals.recall(&memory.column);
            network.denoiser.recall(&memory.denoiser);
        }
    }

    /// Every part that a score can have, whether it is on here, and why.
    pub fn part_reports(&self) -> Vec<PartReport> {
        self.grounds.parts(self.charts.has_scatter(), self.network.is_some())
    }

    /// Whether the machine still is what it was calibrated on.
    pub fn drift(&self) -> Drift {
        self.drift.drift()
    }

    /// What its drift monitor has seen in the newest whole window.
    pub fn drift_report(&self) -> DriftReport {
        self.drift.report(self.scored.iter().map(|&place| &self.channels[place].name))
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
        for (&place, share) in self.scored.iter().zip(self.shares()) {
            shares[place] = share;
        }
    }

    /// The newest score's contributions, largest first, as many as a message can carry.
    pub fn contributions(&self) -> Vec<Contribution> {
        let shares = self.shares();
        let mut order: Vec<usize> = (0..self.scored.len()).filter(|&index| shares[index] > 0.0).collect();
        order.sort_by(|&one, &other| shares[other].total_cmp(&shares[one]));
        order.truncate(MOST_CONTRIBUTIONS);
        let total: f64 = order.iter().map(|&index| shares[index]).sum();
        order.into_iter().map(|index| self.contribution(index, shares[index] / total)).collect()
    }

    /// Of the newest score, in the order of `scored`.
    fn shares(&self) -> Vec<f64> {
        // Whoever has more to say has more to say about whose doing it is.
        let mut attribution = self.charts.attribution(self.scored.len(), self.by_channels);
        if let Some(network) = self.network.as_ref().filter(|_| self.by_network > 0.0) {
            attribution.add(network.chart.reconstruction_of(&network.charted, 1.0 / network.fleet));
        }
        let mut shares = vec![0.0; self.scored.len()];
        attribution.write_shares(&mut shares);
        shares
    }

    fn distance(&mut self, gap: bool) -> Result<Option<f64>, InferenceError> {
        for (target, &place) in self.standardised.iter_mut().zip(&self.scored) {
            let value = self.values[place];
            let judged = self.slow_means[place].as_mut().map_or(value, |mean| mean.observe(value));
            *target = self.channels[place].standardised(judged);
        }
        let mut by_channels = self.charts.observe(&self.standardised, gap);
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
                // own charts do not know what wear does.
                let part = network.unexplained / (1.0 + network.unexplained);
                let both = part * by_channels.max(LEAST).ln() + (1.0 - part) * by_network.max(LEAST).ln();
                distance = both.exp().max(by_channels);
            }
        }
        self.by_channels = by_channels;
        let seen = self.scored.iter().any(|&place| !self.values[place].is_nan());
        Ok(seen.then_some(distance))
    }

    fn contribution(&self, index: usize, share: f64) -> Contribution {
        let place = self.scored[index];
        let channel = &self.channels[place];
        let by_chart = self.charts.deviation(index) * channel.scale();
        let slow_mean = self.slow_means[place].as_ref().map_or(0.0, SlowMean::mean);
        let value = slow_mean + channel.mean + by_chart;
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
            share,
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
