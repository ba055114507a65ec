use std::ops::Range;
use std::time::Duration;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::charts::FittedCharts;
use super::doubt::OutlyingStretch;
use super::drift::FittedDrift;
use super::mewma::FittedMewma;
use super::outlying::outlying_stretch;
use super::period::Rhythm;
use super::slow_mean::SlowMean;
use crate::acquisition::Name;
use crate::manipulation::{Limits, Plausibility, Scaling, quantile};
use crate::models::{Contract, Denoiser, InferenceError};

/// What is known of a channel beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelProfile {
    pub name: Name,
    pub unit: Option<String>,
    pub limits: Limits,
    pub role: Role,
    /// How far its level strays from one sound day to the next: a standard deviation, in the channel's unit.
    pub drift: f64,
}

impl ChannelProfile {
    /// Of a channel of which nothing else is known.
    pub fn of(name: Name) -> Self {
        Self { name, unit: None, limits: Limits::default(), role: Role::default(), drift: 0.0 }
    }
}

/// What a channel is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Judged.
    #[default]
    Scored,
    /// Seen by the network, not judged.
    Context,
    /// Judged by how it moves within a time, not by where it has come to: a temperature that creeps for hours after a start.
    Slow { time_constant: Duration },
}

/// What a machine's own rows say about it, in closed form: everything that its detector needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// In the order of the samples.
    pub(super) channels: Vec<CalibratedChannel>,
    /// From how many rows.
    pub(super) rows: usize,
    /// Of the scored channels, in the order of their names.
    pub(super) charts: FittedCharts,
    pub(super) network: Option<CalibratedNetwork>,
    /// Of the scored channels, in the order of their names.
    pub(super) drift: FittedDrift,
    outlying: Option<OutlyingStretch>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CalibratedChannel {
    pub name: Name,
    pub unit: Option<String>,
    /// In the channel's unit.
    pub mean: f64,
    /// Standard deviation, in the channel's unit.
    pub deviation: f64,
    /// From one sound day to the next: a standard deviation, in the channel's unit.
    pub drift: f64,
    pub plausibility: Plausibility,
    pub part: Part,
    /// Of a slow channel: the weight of the newest reading in the mean that is taken from it first.
    pub baseline: Option<f64>,
}

/// What a channel does in the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Scored,
    /// Scored by how it moves, not by where it has come to.
    Slow,
    Context,
    /// Left out: it never changed while calibrating.
    Constant,
    /// Left out: it had a value in less than half of the rows.
    Scarce,
    /// Left out: it changed in one stretch only, as a set point or a flag does.
    Sporadic,
}

/// A load cycle that a machine is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CycleReport {
    /// After so many rows the machine begins again.
    pub period_rows: usize,
    /// The calibration held enough cycles to judge whole ones, and not just each row in its phase.
    pub judges_whole_cycles: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CalibratedNetwork {
    /// In the order of the network's channels.
    pub scaling: Scaling,
    /// For each channel of the network its place in a sample.
    pub places: Vec<usize>,
    /// The channels that it changes at all, as places in the list of the scored ones.
    pub charted: Vec<usize>,
    /// Of the residuals of these.
    pub chart: FittedMewma,
    /// Whether the network goes on after an interruption.
    pub bridges_gaps: bool,
    /// Whether its package tells how far residuals stray from day to day, so that the limit need not allow for it.
    pub knows_drift: bool,
    /// The share of the scored channels' variance that the network leaves unexplained, 0 to 1: how much weight the chart
    /// of the channels themselves keeps. Where a load cycle makes up nearly all variance it has nothing to say.
    pub unexplained: f64,
}

impl Calibration {
    /// Fits everything to a machine's rows, each in the order of `channels`, NaN where a channel had no value.
    pub fn fit(
        rows: &[Vec<f64>],
        channels: &[ChannelProfile],
        rhythm: Rhythm,
        network: Option<(&mut dyn Denoiser, &Contract)>,
    ) -> Result<Self, CalibrationError> {
        let mut believed = believed(rows, channels);
        let mut prepared = Prepared::of(&believed, channels, rhythm.cadence);
        let outlying = prepared.outlying(rhythm);
        if let Some(outlying) = outlying.as_ref().filter(|outlying| outlying.left_out) {
            believed.drain(outlying.rows.clone());
            prepared = Prepared::of(&believed, channels, rhythm.cadence);
        }
        let rows = believed.as_slice();
        let Prepared { channels, scored, standardised, drift, level } = prepared;
        if scored.is_empty() {
            let silent = channels.iter().all(|channel| channel.part == Part::Scarce);
            let (rows, channels) = (rows.len(), channels.len());
            return Err(match silent {
                true => CalibrationError::NoValues { rows, channels },
                false => CalibrationError::NothingVaries { rows, channels },
            });
        }
        // A few cycles of one day know nothing of the next day's levels, which the kind's drift tells of; many do.
        let few_cycles = drift.iter().any(|drift| *drift > 0.0)
            && network.as_ref().is_some_and(|(_, contract)| rows.len() < MANY_WINDOWS * contract.window);
        let charts = level
            .and_then(|level| FittedCharts::fit(level, &standardised, rhythm.period(few_cycles)))
            .ok_or(CalibrationError::TooFewRows { rows: rows.len() })?;
        let network = match network {
            Some((denoiser, contract)) => Some(calibrated_network(rows, &channels, denoiser, contract)?),
            None => None,
        };
        let drift = FittedDrift::fit(&standardised);
        Ok(Self { channels, rows: rows.len(), charts, network, drift, outlying })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Each channel with its part in the score.
    pub fn parts(&self) -> impl Iterator<Item = (&Name, Part)> {
        self.channels.iter().map(|channel| (&channel.name, channel.part))
    }

    /// The load cycle that the rows told of, if the machine is judged by one.
    pub fn cycle(&self) -> Option<CycleReport> {
        self.charts
            .cycle()
            .map(|cycle| CycleReport { period_rows: cycle.period(), judges_whole_cycles: cycle.judges_whole_cycles() })
    }

    /// Rows of it that look unlike all others, if there are such.
    pub fn outlying(&self) -> Option<&OutlyingStretch> {
        self.outlying.as_ref()
    }

    /// Whether all of its pieces fit together, as they must when it was read from a file.
    pub fn is_whole(&self) -> bool {
        let scored = scored_places(&self.channels).len();
        let finite = |channel: &CalibratedChannel| {
            let weighs = channel.baseline.is_none_or(|weight| weight > 0.0 && weight <= 1.0);
            channel.mean.is_finite() && channel.deviation.is_finite() && weighs
        };
        self.charts.is_whole(scored)
            && self.drift.is_whole(scored)
            && self.outlying.as_ref().is_none_or(|it| {
                let rows = self.rows + if it.left_out { it.rows.len() } else { 0 };
                it.rows.start < it.rows.end && it.rows.end <= rows
            })
            && self.channels.iter().all(finite)
            && self.network.as_ref().is_none_or(|network| {
                let width = network.places.len();
                network.chart.is_whole(network.charted.len())
                    && network.charted.iter().all(|place| *place < scored)
                    && (0.0..=1.0).contains(&network.unexplained)
                    && network.scaling.centre.len() == width
                    && network.scaling.scale.len() == width
                    && network.scaling.scale.iter().all(|scale| *scale > 0.0)
                    && network.places.iter().all(|place| *place < self.channels.len())
            })
    }
}

impl CalibratedChannel {
    /// `(value − mean) / scale`, clipped so that one wild value cannot fill the charts' memory.
    pub fn standardised(&self, value: f64) -> f64 {
        ((value - self.mean) / self.scale()).clamp(-CLIP, CLIP)
    }

    /// How far a sound machine strays, within a day and from one to the next: a standard deviation, in the channel's unit.
    pub fn scale(&self) -> f64 {
        self.deviation.hypot(self.drift)
    }
}

impl Role {
    /// Of the newest reading in the mean of a slow channel.
    fn weight(self, cadence: Duration) -> Option<f64> {
        match self {
            Self::Slow { time_constant } => {
                let rows = time_constant.as_secs_f64() / cadence.as_secs_f64().max(1e-6);
                Some((1.0 - (-1.0 / rows.max(1e-6)).exp()).clamp(1e-9, 1.0))
            }
            Self::Scored | Self::Context => None,
        }
    }
}

/// The places of the channels that are judged, in the order of their names: sums do not depend on the order in which a
/// sender happens to write its channels, not even in the last bit.
pub(super) fn scored_places(channels: &[CalibratedChannel]) -> Vec<usize> {
    let judged = |place: &usize| matches!(channels[*place].part, Part::Scored | Part::Slow);
    let mut places: Vec<usize> = (0..channels.len()).filter(judged).collect();
    places.sort_by(|&one, &other| channels[one].name.cmp(&channels[other].name));
    places
}

/// Rows that no detector can be fitted to.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error(
        "none of the {channels} channels changes in the {rows} rows of the calibration; let the machine run while it is \
         calibrated"
    )]
    NothingVaries { rows: usize, channels: usize },
    #[error("none of the {channels} channels has a value in at least half of the {rows} rows of the calibration")]
    NoValues { rows: usize, channels: usize },
    #[error("{rows} rows are too few for this many channels; calibrate with more, at least 400")]
    TooFewRows { rows: usize },
    #[error("the network reads the channel {0}, which this machine does not have")]
    ChannelMissing(Name),
    #[error("the network needs more than {needed} rows before its first output, the calibration has {rows}")]
    ShorterThanWindow { rows: usize, needed: usize },
    #[error("the network leaves all channels of this machine as they are; leave `model` out of its kind")]
    NothingDenoised,
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// The rows with readings left out that no calibration is to learn from: outside physical limits, or so far from nearly all
/// others of the channel that one of them would pass for the machine's scatter.
fn believed(rows: &[Vec<f64>], channels: &[ChannelProfile]) -> Vec<Vec<f64>> {
    let mut believed = rows.to_vec();
    for (place, channel) in channels.iter().enumerate() {
        for row in &mut believed {
            if !(row[place].is_finite() && channel.limits.allow(row[place])) {
                row[place] = f64::NAN;
            }
        }
        let mut sorted: Vec<f64> = believed.iter().map(|row| row[place]).filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (quantile(&sorted, 0.01), quantile(&sorted, 0.99));
        let reach = FAR * (high - low);
        if reach > 0.0 && reach.is_finite() {
            for row in &mut believed {
                if row[place] < low - reach || row[place] > high + reach {
                    row[place] = f64::NAN;
                }
            }
        }
    }
    believed
}

/// What the charts are fitted to.
struct Prepared {
    channels: Vec<CalibratedChannel>,
    /// Places of the channels that are judged.
    scored: Vec<usize>,
    /// `[time, channel]` of these.
    standardised: Array2<f64>,
    /// How far each of these strays from one sound day to the next, alike standardised.
    drift: Vec<f64>,
    /// The chart of their levels, and what it makes of each row; none where the rows do not vary enough.
    level: Option<(FittedMewma, Vec<f64>)>,
}

impl Prepared {
    fn of(rows: &[Vec<f64>], channels: &[ChannelProfile], cadence: Duration) -> Self {
        let judged = above_slow_means(rows, channels, cadence);
        let calibrated =
            |(place, profile): (usize, &ChannelProfile)| calibrated((rows, &judged), place, profile, cadence);
        let channels: Vec<CalibratedChannel> = channels.iter().enumerate().map(calibrated).collect();
        let scored = scored_places(&channels);
        let standardised = Array2::from_shape_fn((rows.len(), scored.len()), |(t, place)| {
            channels[scored[place]].standardised(judged[t][scored[place]])
        });
        let drift: Vec<f64> = scored.iter().map(|&place| channels[place].drift / channels[place].scale()).collect();
        let level = FittedMewma::fit(&standardised, &drift);
        Self { channels, scored, standardised, drift, level }
    }

    /// Rows that look unlike all others, where there are such. Those of a machine with a load cycle that are left out make up
    /// whole cycles, so that those before and after still follow one another.
    fn outlying(&self, rhythm: Rhythm) -> Option<OutlyingStretch> {
        let rows = &self.standardised;
        let names: Vec<&Name> = self.scored.iter().map(|&place| &self.channels[place].name).collect();
        let stretch = self.level.as_ref().and_then(|(_, distances)| outlying_stretch(distances));
        let whole = |stretch| whole_cycles(stretch, rows.nrows(), rhythm.period(false).among(rows));
        match stretch.and_then(whole) {
            Some(stretch) => Some(OutlyingStretch::left_out(stretch, rows, &names)),
            None => OutlyingStretch::find(rows, &names),
        }
    }
}

/// The stretch with as many rows more as make it whole cycles, in a machine that has one.
fn whole_cycles(found: Range<usize>, rows: usize, period: Option<usize>) -> Option<Range<usize>> {
    let Some(period) = period else { return Some(found) };
    let length = found.len().next_multiple_of(period);
    let start = found.start.min(rows.checked_sub(length)?);
    Some(start..start + length)
}

/// In how many of four stretches of the rows a channel changes at all.
fn stretches_with_change(rows: &[Vec<f64>], place: usize, deviation: f64) -> usize {
    rows.chunks(rows.len().div_ceil(STRETCHES).max(1))
        .filter(|stretch| {
            let values = || stretch.iter().map(|row| row[place]).filter(|value| !value.is_nan());
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            high - low > deviation * LEAST_CHANGE
        })
        .count()
}

/// The rows less the means of the slow channels.
fn above_slow_means(rows: &[Vec<f64>], channels: &[ChannelProfile], cadence: Duration) -> Vec<Vec<f64>> {
    let mut rows = rows.to_vec();
    for (place, channel) in channels.iter().enumerate() {
        let Some(weight) = channel.role.weight(cadence) else { continue };
        let mut mean = SlowMean::new(weight);
        rows.iter_mut().for_each(|row| row[place] = mean.observe(row[place]));
    }
    rows
}

/// Mean and standard deviation of a channel.
fn moments(rows: &[Vec<f64>], place: usize) -> (f64, f64) {
    let values = || rows.iter().map(move |row| row[place]).filter(|value| !value.is_nan());
    let count = (values().count() as f64).max(1.0);
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// From the rows as they are, and as they are judged.
fn calibrated(
    (rows, judged): (&[Vec<f64>], &[Vec<f64>]),
    place: usize,
    profile: &ChannelProfile,
    cadence: Duration,
) -> CalibratedChannel {
    let values = || rows.iter().map(move |row| row[place]).filter(|value| !value.is_nan());
    let count = values().count();
    let (mean, deviation) = moments(rows, place);
    let part = if 2 * count < rows.len() || count == 0 {
        Part::Scarce
    } else if deviation <= mean.abs() * f64::EPSILON * 16.0 {
        Part::Constant
    } else if stretches_with_change(rows, place, deviation) < 2 {
        Part::Sporadic
    } else {
        match profile.role {
            Role::Scored => Part::Scored,
            Role::Context => Part::Context,
            Role::Slow { .. } => Part::Slow,
        }
    };
    let plausibility = Plausibility::of(profile.limits, values());
    let baseline = profile.role.weight(cadence);
    let (mean, deviation) = if baseline.is_some() { moments(judged, place) } else { (mean, deviation) };
    CalibratedChannel {
        name: profile.name.clone(),
        unit: profile.unit.clone(),
        mean,
        deviation,
        drift: profile.drift,
        plausibility,
        part,
        baseline,
    }
}

fn calibrated_network(
    rows: &[Vec<f64>],
    channels: &[CalibratedChannel],
    denoiser: &mut dyn Denoiser,
    contract: &Contract,
) -> Result<CalibratedNetwork, CalibrationError> {
    let places = contract
        .channels
        .iter()
        .map(|wanted| {
            let place = channels.iter().position(|channel| channel.name == wanted.name);
            place.ok_or_else(|| CalibrationError::ChannelMissing(wanted.name.clone()))
        })
        .collect::<Result<Vec<usize>, _>>()?;
    let sorted: Vec<Vec<f64>> = places
        .iter()
        .map(|&place| {
            let mut values: Vec<f64> = rows.iter().map(|row| row[place]).filter(|value| !value.is_nan()).collect();
            values.sort_by(f64::total_cmp);
            values
        })
        .collect();
    let floors = contract.channels.iter().map(|channel| channel.floor);
    let scaling = Scaling::robust(sorted.iter().map(Vec::as_slice).zip(floors), contract.clip);

    let scored = scored_places(channels);
    let mut residuals = Residuals::new(places.clone(), &scored);
    let mut seen = Vec::new();
    for row in rows {
        if let Some(residual) = residuals.observe(row, &scaling, denoiser)? {
            seen.extend_from_slice(residual);
        }
    }
    let count = seen.len() / scored.len();
    let too_short = CalibrationError::ShorterThanWindow { rows: rows.len(), needed: 2 * contract.window };
    if count < contract.window {
        return Err(too_short);
    }
    let residuals = Array2::from_shape_vec((count, scored.len()), seen).map_err(|_| too_short)?;
    let changes = |index: &usize| residuals.column(*index).iter().any(|residual| residual.abs() > LEAST_RESIDUAL);
    let charted: Vec<usize> = (0..scored.len()).filter(changes).collect();
    if charted.is_empty() {
        return Err(CalibrationError::NothingDenoised);
    }
    let residuals = residuals.select(Axis(1), &charted);
    let scored: Vec<usize> = charted.iter().map(|&index| scored[index]).collect();
    let network_place = |place: usize| places.iter().position(|known| *known == place);
    let drift = scored.iter().map(|&place| {
        network_place(place)
            .map_or(0.0, |known| contract.channels[known].drift.unwrap_or(channels[place].drift) / scaling.scale[known])
    });
    let (chart, _) = FittedMewma::fit(&residuals, &drift.collect::<Vec<f64>>())
        .ok_or(CalibrationError::TooFewRows { rows: count })?;
    let shares = residuals.columns().into_iter().zip(&scored).filter_map(|(residual, &place)| {
        let scale = scaling.scale[network_place(place)?];
        let whole = (channels[place].deviation / scale).powi(2);
        let values = || residual.iter().filter(|value| !value.is_nan());
        let mean = values().sum::<f64>() / (values().count() as f64).max(1.0);
        let left = values().map(|value| (value - mean).powi(2)).sum::<f64>() / (values().count() as f64).max(1.0);
        Some((left / whole).min(1.0))
    });
    let shares: Vec<f64> = shares.collect();
    let unexplained = shares.iter().sum::<f64>() / (shares.len() as f64).max(1.0);
    Ok(CalibratedNetwork {
        scaling,
        places,
        charted,
        chart,
        bridges_gaps: contract.bridges_gaps,
        knows_drift: contract.channels.iter().any(|channel| channel.drift.is_some()),
        unexplained,
    })
}

/// Turns a machine's rows into residuals: what is measured less what the network makes of it, in scaled units.
pub(super) struct Residuals {
    places: Vec<usize>,
    /// For each scored channel its place in the network, if the network knows it.
    scored: Vec<Option<usize>>,
    /// The newest scaled value of each of the network's channels; stands in while a channel has none.
    column: Vec<f32>,
    valid: Vec<bool>,
    residual: Vec<f64>,
}

impl Residuals {
    pub fn new(places: Vec<usize>, scored: &[usize]) -> Self {
        let width = places.len();
        Self {
            scored: scored.iter().map(|place| places.iter().position(|known| known == place)).collect(),
            column: vec![0.0; width],
            valid: vec![false; width],
            residual: vec![f64::NAN; scored.len()],
            places,
        }
    }

    /// The residual of each scored channel, NaN where it has no value; `None` until the network has seen enough.
    pub fn observe(
        &mut self,
        row: &[f64],
        scaling: &Scaling,
        denoiser: &mut dyn Denoiser,
    ) -> Result<Option<&[f64]>, InferenceError> {
        for (channel, &place) in self.places.iter().enumerate() {
            self.valid[channel] = !row[place].is_nan();
            if self.valid[channel] {
                self.column[channel] = scaling.scaled(channel, row[place]) as f32;
            }
        }
        let Some(denoised) = denoiser.push(&self.column)? else { return Ok(None) };
        for (residual, channel) in self.residual.iter_mut().zip(&self.scored) {
            *residual = match channel {
                Some(channel) if self.valid[*channel] => f64::from(self.column[*channel] - denoised[*channel]),
                _ => f64::NAN,
            };
        }
        Ok(Some(&self.residual))
    }

    /// The newest scaled value of each of the network's channels.
    pub fn column(&self) -> &[f32] {
        &self.column
    }

    /// Takes such a column back.
    pub fn recall(&mut self, column: &[f32]) {
        if column.len() == self.column.len() {
            self.column.copy_from_slice(column);
        }
    }

    /// The place in the network of a scored channel.
    pub fn network_place(&self, scored: usize) -> Option<usize> {
        self.scored[scored]
    }
}

/// Standardised values beyond this say no more than that they are far away.
const CLIP: f64 = 30.0;
/// Ranges between the 1 % and the 99 % quantile beyond which a reading of a calibration is not believed.
const FAR: f64 = 5.0;
const STRETCHES: usize = 4;
/// Of the network: a calibration of so many holds enough cycles to judge whole ones.
const MANY_WINDOWS: usize = 20;
/// In scaled units; a network that changes a channel by less leaves it as it is.
const LEAST_RESIDUAL: f64 = 1e-6;
/// In standard deviations of the channel; less is the last digit of a converter.
const LEAST_CHANGE: f64 = 1e-3;
