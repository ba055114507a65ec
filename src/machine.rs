//! The pure heart: one machine's way from a sample to a score, an alarm's transition and the advice that goes with it.
//!
//! Samples and commands come in, [`Observation`]s and [`Announcement`]s go out. `run`, `score` and `calibrate` all call
//! just this, so that the same samples give the same scores, bit for bit. It knows no socket, no file and no clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::acquisition::Name;
use crate::advisory::{Library, MachineFacts, Recommendation};
use crate::alarm::{
    Action, Alarm, AlarmMemory, AlarmSettings, ConditionSettings, Refusal, Standing, State, Transition,
};
use crate::assessment::{Diagnosis, SymptomTable, diagnose};
use crate::clock::Now;
use crate::detection::{
    self, Calibration, CalibrationError, ChannelProfile, Circumstances, Contribution, Detector, DetectorMemory,
    LimitReport, Role, Stage,
};
use crate::manipulation::{Fault, Limits, Sample};
use crate::models::{InferenceError, Model};
use crate::notation::sha256_hex;

/// What is known of a machine before it is heard.
#[derive(Clone)]
pub struct Profile {
    /// Its channels; empty where they are learned from what it reports.
    pub channels: Vec<ChannelProfile>,
    /// The network of its kind; none for the universal profile.
    pub model: Option<Arc<Model>>,
    pub library: Arc<Library>,
    /// The faults that a machine of its kind can have.
    pub symptoms: Arc<SymptomTable>,
    pub facts: MachineFacts,
    pub calibrate: CalibrationLength,
    /// The expected time between two samples; `None`: learned while calibrating.
    pub cadence: Option<Duration>,
    /// `None`: five samples.
    pub raise_after: Option<Duration>,
    /// `None`: five samples.
    pub clear_after: Option<Duration>,
}

/// How much of a machine's telemetry it is calibrated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationLength {
    Samples(usize),
    /// In the time of the samples.
    Span(Duration),
}

/// A calibration with all that decides whether it may be used again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Of the profile that it was fitted for; see [`Profile::fingerprint`].
    pub fingerprint: String,
    /// The time between two samples.
    pub cadence: Duration,
    pub calibration: Calibration,
}

/// What a machine remembers between two samples: with it, it goes on after a restart as if there had been none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the profile; see [`Profile::fingerprint`].
    pub fingerprint: String,
    /// The channels, in the order of the samples.
    pub channels: Vec<Name>,
    alarm: AlarmMemory,
    newest: Option<Timestamp>,
    held: Vec<Held>,
    phase: Option<PhaseMemory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PhaseMemory {
    Learning(Learner),
    Scoring(Box<DetectorMemory>),
}

/// Which model scores a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelIdentity {
    pub name: String,
    pub version: String,
    pub sha256: String,
}

/// One machine.
pub struct Machine {
    name: Name,
    profile: Profile,
    phase: Phase,
    alarm: Alarm,
    held: Vec<Held>,
    /// The newest sample with short gaps filled.
    filled: Vec<f64>,
    /// The stamp of the newest sample.
    newest: Option<Timestamp>,
    /// Samples since what is said was looked at again.
    since_told: u32,
    /// What was said about the newest transition; it goes on standing when a person changes the alarm's state.
    told: Option<Told>,
}

/// What one sample led to.
#[derive(Debug)]
pub struct Observation {
    /// 1.0 is the limit; `None` while learning, or where no score is possible.
    pub score: Option<f64>,
    /// The share of the machine's channels that had a believable value.
    pub quality: f64,
    /// Whether the alarm's condition holds.
    pub holds: bool,
    /// A reading that was left out because it tells of its sensor.
    pub fault: Option<Fault>,
    /// The machine has just learned what is normal.
    pub fitted: Option<Box<Fitted>>,
    /// Why it has not, although it has seen enough, or why this sample has no score.
    pub trouble: Option<Trouble>,
    pub announcement: Option<Box<Announcement>>,
    /// No transition, but another fault is probable now than was said.
    pub refreshed: Option<Box<Announcement>>,
}

/// What stood between a sample and its score.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// What is said about an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub contributions: Vec<Contribution>,
    pub diagnosis: Diagnosis,
    pub recommendation: Option<Recommendation>,
}

/// A transition with everything that is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    pub transition: Transition,
    pub told: Told,
}

enum Phase {
    Learning(Learner),
    Scoring(Box<Detector>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Learner {
    rows: Vec<Vec<f64>>,
    times: Vec<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    value: f64,
    age: u32,
}

impl Profile {
    /// Changes with everything that a calibration depends on besides the machine's own rows.
    pub fn fingerprint(&self) -> String {
        let channels: Vec<String> = self.channels.iter().map(|channel| format!("{channel:?}")).collect();
        sha256_hex(format!("{}\n{}\n{}", self.identity().sha256, detection::RECIPE, channels.join("\n")).as_bytes())
    }

    pub fn identity(&self) -> ModelIdentity {
        match &self.model {
            Some(model) => ModelIdentity {
                name: model.manifest().name.to_string(),
                version: model.manifest().version.clone(),
                sha256: model.sha256().to_owned(),
            },
            None => ModelIdentity {
                name: "universal".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256: sha256_hex(detection::RECIPE.as_bytes()),
            },
        }
    }

    fn detector(&self, calibration: Calibration) -> Result<Detector, InferenceError> {
        let denoiser = self.model.as_ref().map(|model| model.denoiser()).transpose()?;
        Ok(Detector::new(calibration, denoiser))
    }

    fn alarm_settings(&self, cadence: Duration) -> AlarmSettings {
        let defaults = ConditionSettings::default();
        let samples = |delay: Option<Duration>, default| match delay {
            Some(delay) => (delay.as_secs_f64() / cadence.as_secs_f64().max(1e-3)).ceil().clamp(1.0, 1e6) as u32,
            None => default,
        };
        AlarmSettings {
            condition: ConditionSettings {
                raise_after: samples(self.raise_after, defaults.raise_after),
                clear_after: samples(self.clear_after, defaults.clear_after),
                ..defaults
            },
        }
    }
}

impl Machine {
    /// A machine that has yet to learn what is normal.
    pub fn learning(name: Name, profile: Profile) -> Self {
        let alarm = Alarm::new(name.clone(), profile.alarm_settings(profile.cadence.unwrap_or(DEFAULT_CADENCE)));
        Self::new(name, profile, Phase::Learning(Learner::default()), alarm)
    }

    /// A machine that was calibrated before, for the same profile.
    pub fn fitted(name: Name, profile: Profile, fitted: Fitted) -> Result<Self, InferenceError> {
        let detector = profile.detector(fitted.calibration)?;
        let settings = profile.alarm_settings(profile.cadence.unwrap_or(fitted.cadence));
        let alarm = Alarm::new(name.clone(), settings);
        Ok(Self::new(name, profile, Phase::Scoring(Box::new(detector)), alarm))
    }

    fn new(name: Name, profile: Profile, phase: Phase, alarm: Alarm) -> Self {
        Self {
            name,
            profile,
            phase,
            alarm,
            held: Vec::new(),
            filled: Vec::new(),
            newest: None,
            since_told: 0,
            told: None,
        }
    }

    /// Goes on with the alarm as its newest transition left it before a restart, and with what was said about it.
    pub fn resume(&mut self, standing: Standing, told: Told) {
        self.alarm.resume(standing);
        self.told = Some(told);
    }

    /// What it remembers; `names` are its channels. A calibration of very many rows is not carried along while it is
    /// learned.
    pub fn memory(&self, names: &[Name]) -> Memory {
        let phase = match &self.phase {
            Phase::Learning(learner) if learner.rows.len() > MOST_ROWS_CARRIED => None,
            Phase::Learning(learner) => Some(PhaseMemory::Learning(learner.clone())),
            Phase::Scoring(detector) => Some(PhaseMemory::Scoring(Box::new(detector.memory()))),
        };
        Memory {
            fingerprint: self.profile.fingerprint(),
            channels: names.to_vec(),
            alarm: self.alarm.memory(),
            newest: self.newest,
            held: self.held.clone(),
            phase,
        }
    }

    /// Takes back what it remembered. Values and charts come back only if `names`, the channels that it has now, and its
    /// profile and phase are still the same.
    pub fn recall(&mut self, names: &[Name], memory: Memory) {
        self.alarm.recall(memory.alarm);
        if memory.fingerprint != self.profile.fingerprint() || memory.channels != names {
            return;
        }
        match (&mut self.phase, memory.phase) {
            (Phase::Learning(learner), Some(PhaseMemory::Learning(rows))) => *learner = rows,
            (Phase::Scoring(detector), Some(PhaseMemory::Scoring(memory))) => detector.recall(&memory),
            _ => return,
        }
        self.held = memory.held;
        self.newest = memory.newest;
    }

    /// Takes the newest sample; `names` are its channels, in its order.
    pub fn observe(&mut self, names: &[Name], sample: Sample<'_>, now: Now) -> Observation {
        let fault = self.fill(sample.values);
        let longest_gap = self.longest_gap();
        let gap = self.newest.is_some_and(|newest| sample.time.duration_since(newest).unsigned_abs() > longest_gap);
        self.newest = Some(sample.time);
        let mut observation = Observation {
            score: None,
            quality: share_with_value(sample.values),
            holds: self.alarm.holds(),
            fault,
            fitted: None,
            trouble: None,
            announcement: None,
            refreshed: None,
        };
        match &mut self.phase {
            Phase::Learning(learner) => {
                learner.take(&self.filled, sample.time);
                if learner.has_enough(self.profile.calibrate) {
                    match self.fit(names) {
                        Ok(fitted) => observation.fitted = Some(Box::new(fitted)),
                        Err(trouble) => observation.trouble = Some(trouble),
                    }
                }
            }
            Phase::Scoring(detector) => match detector.observe(
                &self.filled,
                Circumstances { gap, stage: if self.alarm.holds() { Stage::Episode } else { Stage::Sound } },
            ) {
                Ok(judgement) => {
                    observation.score = judgement.score;
                    observation.quality = observation.quality.min(judgement.quality);
                    observation.fault = fault.or(judgement.fault);
                    if let Some(score) = judgement.score {
                        let transition = self.alarm.observe(score, sample.time, now.utc);
                        observation.announcement =
                            transition.map(|transition| Box::new(self.announce_anew(transition)));
                        observation.holds = self.alarm.holds();
                        observation.refreshed = match observation.announcement {
                            Some(_) => None,
                            None => self.refresh().map(Box::new),
                        };
                    }
                }
                Err(error) => observation.trouble = Some(error.into()),
            },
        }
        observation
    }

    /// Carries out what a person does to the alarm.
    pub fn act(&mut self, action: &Action, now: Now) -> Result<Option<Announcement>, Refusal> {
        let transition = self.alarm.act(action, now.utc)?;
        Ok(transition.map(|transition| self.announce(transition)))
    }

    /// Lets time pass without a sample: a shelved alarm comes back when its time is up.
    pub fn pass_time(&mut self, now: Now) -> Option<Announcement> {
        let transition = self.alarm.pass_time(now.utc)?;
        Some(self.announce(transition))
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// `learning n/N`, then `scoring`, or `suppressed`.
    pub fn state(&self) -> String {
        match &self.phase {
            Phase::Scoring(_) if self.alarm.is_suppressed() => "suppressed".to_owned(),
            Phase::Learning(learner) => {
                let cadence = self.profile.cadence.unwrap_or(DEFAULT_CADENCE).as_secs_f64();
                let needed = match self.profile.calibrate {
                    CalibrationLength::Samples(samples) => samples,
                    CalibrationLength::Span(span) => (span.as_secs_f64() / cadence).ceil() as usize,
                };
                format!("learning {}/{}", learner.rows.len().min(needed), needed)
            }
            Phase::Scoring(_) => "scoring".to_owned(),
        }
    }

    pub fn standing(&self) -> Option<&Standing> {
        self.alarm.standing()
    }

    /// The parts of the score that are on; none while learning.
    pub fn parts(&self) -> Vec<&'static str> {
        match &self.phase {
            Phase::Learning(_) => Vec::new(),
            Phase::Scoring(detector) => detector.parts(),
        }
    }

    /// What each part of the score made of the newest sample, on the scale of the score; nothing while learning.
    pub fn part_scores(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let detector = match &self.phase {
            Phase::Learning(_) => None,
            Phase::Scoring(detector) => Some(detector),
        };
        detector.into_iter().flat_map(|detector| detector.part_scores())
    }

    /// Where the limit stands; none while learning.
    pub fn limit(&self) -> Option<LimitReport> {
        match &self.phase {
            Phase::Learning(_) => None,
            Phase::Scoring(detector) => Some(detector.limit()),
        }
    }

    /// The newest score's contributions, largest first.
    pub fn contributions(&self) -> Vec<Contribution> {
        match &self.phase {
            Phase::Learning(_) => Vec::new(),
            Phase::Scoring(detector) => detector.contributions(),
        }
    }

    /// The newest score's share of each channel, in the order of the samples; all 0 while learning.
    pub fn write_shares(&self, shares: &mut [f64]) {
        match &self.phase {
            Phase::Learning(_) => shares.fill(0.0),
            Phase::Scoring(detector) => detector.write_shares(shares),
        }
    }

    /// Fills short gaps with the newest value that could be believed: a channel may be slower than its machine, a reading may
    /// get lost. Tells of one that lies outside its physical limits.
    fn fill(&mut self, values: &[f64]) -> Option<Fault> {
        self.held.resize(values.len(), Held { value: f64::NAN, age: 0 });
        self.filled.resize(values.len(), f64::NAN);
        let mut fault = None;
        for (place, &value) in values.iter().enumerate() {
            let limits = self.profile.channels.get(place).map(|channel| channel.limits).unwrap_or_default();
            let possible = !value.is_nan() && limits.allow(value);
            if !possible && !value.is_nan() {
                fault = Some(Fault::OutOfRange);
            }
            let held = &mut self.held[place];
            *held = match possible {
                true => Held { value, age: 0 },
                false => Held { age: held.age.saturating_add(1), ..*held },
            };
            self.filled[place] = if held.age > HOLD { f64::NAN } else { held.value };
        }
        fault
    }

    /// After a longer time without a sample a load cycle may be anywhere.
    fn longest_gap(&self) -> Duration {
        (GAP * self.profile.cadence.unwrap_or(DEFAULT_CADENCE)).max(SHORTEST_GAP)
    }

    fn fit(&mut self, names: &[Name]) -> Result<Fitted, Trouble> {
        // Whatever comes of it, a calibration that failed starts again from nothing.
        let Phase::Learning(learner) = &mut self.phase else { return Err(too_early()) };
        let Learner { mut rows, times } = std::mem::take(learner);
        let channels = if self.profile.channels.is_empty() { learned(names) } else { self.profile.channels.clone() };
        for row in &mut rows {
            row.resize(channels.len(), f64::NAN);
        }
        let calibration = match &self.profile.model {
            Some(model) => {
                Calibration::fit(&rows, &channels, Some((&mut *model.denoiser()?, &model.manifest().contract)))?
            }
            None => Calibration::fit(&rows, &channels, None)?,
        };
        let cadence = self.profile.cadence.unwrap_or_else(|| usual_cadence(&times));
        let fitted = Fitted { fingerprint: self.profile.fingerprint(), cadence, calibration: calibration.clone() };
        // The rows go through the detector too, so that it goes on without a seam.
        let mut detector = self.profile.detector(calibration)?;
        for row in &rows {
            detector.observe(row, Circumstances { gap: false, stage: Stage::Calibration })?;
        }
        self.phase = Phase::Scoring(Box::new(detector));
        let mut alarm = Alarm::new(self.name.clone(), self.profile.alarm_settings(cadence));
        alarm.succeed(&self.alarm);
        self.alarm = alarm;
        Ok(fitted)
    }

    /// What samples have led to is told from the newest of them.
    fn announce_anew(&mut self, transition: Transition) -> Announcement {
        let contributions = self.contributions();
        if !contributions.is_empty() {
            let diagnosis = diagnose(&self.profile.symptoms, &contributions);
            let recommendation =
                self.profile.library.recommend(&diagnosis, &self.profile.facts, &contributions, transition.score);
            self.told = Some(Told { contributions, diagnosis, recommendation });
        }
        self.announce(transition)
    }

    /// A fault that begins with a blow, or slowly, may look like another one at first: while an episode lasts, what is said
    /// is looked at again and again.
    fn refresh(&mut self) -> Option<Announcement> {
        self.since_told += 1;
        let open = matches!(self.alarm.state(), State::Unacknowledged | State::Acknowledged);
        if !open || self.since_told < LOOK_AGAIN {
            return None;
        }
        self.since_told = 0;
        let standing = self.alarm.standing()?.clone();
        let leading = |told: &Option<Told>| {
            told.as_ref().and_then(|told| told.diagnosis.faults.first()).map(|fault| fault.fault.clone())
        };
        let before = leading(&self.told);
        let announcement = self.announce_anew(standing);
        (leading(&self.told) != before).then_some(announcement)
    }

    /// What a person or the clock has led to changes nothing about what was said.
    fn announce(&self, transition: Transition) -> Announcement {
        let nothing = || Told { contributions: Vec::new(), diagnosis: Diagnosis::default(), recommendation: None };
        Announcement { transition, told: self.told.clone().unwrap_or_else(nothing) }
    }
}

impl Learner {
    fn take(&mut self, row: &[f64], time: Timestamp) {
        self.rows.push(row.to_vec());
        self.times.push(time);
    }

    fn has_enough(&self, length: CalibrationLength) -> bool {
        match length {
            _ if self.rows.len() >= MOST_CALIBRATION_ROWS => true,
            _ if self.rows.len() * self.rows.last().map_or(0, Vec::len) >= MOST_CALIBRATION_VALUES => true,
            CalibrationLength::Samples(samples) => self.rows.len() >= samples,
            CalibrationLength::Span(span) => {
                let spanned =
                    self.times.first().zip(self.times.last()).map(|(first, last)| last.duration_since(*first));
                spanned.is_some_and(|spanned| spanned.unsigned_abs() >= span) && self.rows.len() >= FEWEST_ROWS
            }
        }
    }
}

fn learned(names: &[Name]) -> Vec<ChannelProfile> {
    names
        .iter()
        .map(|name| ChannelProfile {
            name: name.clone(),
            unit: None,
            limits: Limits::default(),
            role: Role::default(),
            drift: 0.0,
        })
        .collect()
}

/// The median time between two samples.
fn usual_cadence(times: &[Timestamp]) -> Duration {
    let mut steps: Vec<Duration> = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]))
        .filter(|step| step.is_positive())
        .map(|step| step.unsigned_abs())
        .collect();
    steps.sort();
    steps.get(steps.len() / 2).copied().unwrap_or(DEFAULT_CADENCE)
}

fn share_with_value(values: &[f64]) -> f64 {
    values.iter().filter(|value| !value.is_nan()).count() as f64 / values.len().max(1) as f64
}

fn too_early() -> Trouble {
    CalibrationError::TooFewRows { rows: 0 }.into()
}

/// Where neither the configuration nor the kind nor the samples tell.
const DEFAULT_CADENCE: Duration = Duration::from_secs(1);
/// Samples between two looks at what is said about an open episode.
const LOOK_AGAIN: u32 = 60;
/// In cadences.
const GAP: u32 = 10;
const SHORTEST_GAP: Duration = Duration::from_secs(5);
/// For so many samples a channel's newest value stands in for one that is missing.
const HOLD: u32 = 10;
/// Fewer rows than this tell nothing, however long they span.
const FEWEST_ROWS: usize = 50;
/// More rows than these are not written down every few minutes.
const MOST_ROWS_CARRIED: usize = 4096;
/// More than this is kept of no machine, however long its calibration is to span.
pub const MOST_CALIBRATION_ROWS: usize = 100_000;
/// Nor more values than this: 8 MiB, and a fit that keeps its neighbours waiting for a moment only.
const MOST_CALIBRATION_VALUES: usize = 1024 * 1024;
