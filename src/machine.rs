//! The pure heart: one machine's way from a sample to a score, an alarm's transition and the advice that goes with it.
//!
//! Samples and commands come in, [`Observation`]s and [`Announcement`]s go out. `run`, `score` and `calibrate` all call
//! just this, so that the same samples give the same scores, bit for bit. It knows no socket, no file and no clock.

mod baseline;
mod held;
mod learner;
mod observation;
mod profile;
mod sensors;
mod timing;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::held::Held;
use self::learner::{Learner, MOST_ROWS_CARRIED, learned, usual_cadence};
use self::sensors::{Flaw, Sensors};
use self::timing::Timing;
use crate::acquisition::Name;
use crate::alarm::{
    Action, Alarm, AlarmMemory, Class, Excuse, Operation, Refusal, Standing, State, Suppression, Transition,
};
use crate::assessment::diagnose;
use crate::clock::Now;
use crate::detection::{
    Calibration, Circumstances, Contribution, Detector, DetectorMemory, LimitReport, PartReport, Rhythm, Stage,
};
use crate::generation::fitted::Lesson;
use crate::manipulation::{Fault, Sample};
use crate::models::InferenceError;

pub use self::baseline::{Baseline, BaselineReport, BaselineState, Doubt, Learned};
pub use self::learner::MOST_CALIBRATION_ROWS;
pub use self::observation::{Announcement, Observation, Told, Trouble};
pub use self::profile::{CalibrationLength, Delays, ModelIdentity, OperatingPoint, Profile};

/// A calibration with all that decides whether it may be used again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Of the profile that it was fitted for; see [`Profile::fingerprint`].
    pub fingerprint: String,
    /// The time between two samples.
    pub cadence: Duration,
    /// When its rows were taken; none where nobody knows.
    pub learned: Option<Learned>,
    /// Between two samples of the calibration, by their stamps.
    #[serde(default)]
    pub interval: Duration,
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
    operation: Operation,
    interrupted: bool,
    sensors: Sensors,
    timing: Timing,
    newest: Option<Timestamp>,
    held: Vec<Held>,
    phase: Option<PhaseMemory>,
    drift_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PhaseMemory {
    Learning(Learner),
    Scoring(Box<DetectorMemory>),
}

/// One machine.
pub struct Machine {
    name: Name,
    profile: Profile,
    phase: Phase,
    /// What it is judged against; none while learning.
    baseline: Option<Box<Baseline>>,
    /// When the drift of its baseline became what it is.
    drift_since: Option<Timestamp>,
    /// The time between two samples.
    cadence: Duration,
    /// The same while it was calibrated, by their stamps.
    interval: Duration,
    alarm: Alarm,
    operation: Operation,
    /// It stood since the newest sample that was scored.
    interrupted: bool,
    sensors: Sensors,
    timing: Timing,
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

enum Phase {
    Learning(Learner),
    Scoring(Box<Detector>),
}

impl Machine {
    /// A machine that has yet to learn what is normal.
    pub fn learning(name: Name, profile: Profile) -> Self {
        let cadence = profile.cadence.unwrap_or(DEFAULT_CADENCE);
        Self::new(name, profile, Phase::Learning(Learner::default()), cadence)
    }

    /// A machine that was calibrated before, for the same profile.
    pub fn fitted(name: Name, profile: Profile, fitted: Fitted) -> Result<Self, InferenceError> {
        let cadence = profile.cadence.unwrap_or(fitted.cadence);
        let baseline = Baseline::of(&fitted);
        let detector = profile.detector(fitted.calibration, cadence)?;
        let machine = Self::new(name, profile, Phase::Scoring(Box::new(detector)), cadence);
        Ok(Self { baseline: Some(Box::new(baseline)), interval: fitted.interval, ..machine })
    }

    fn new(name: Name, profile: Profile, phase: Phase, cadence: Duration) -> Self {
        Self {
            alarm: Alarm::new(name.clone(), profile.alarm_settings(cadence)),
            name,
            profile,
            phase,
            baseline: None,
            drift_since: None,
            cadence,
            interval: Duration::ZERO,
            operation: Operation::default(),
            interrupted: false,
            sensors: Sensors::default(),
            timing: Timing::default(),
            held: Vec::new(),
            filled: Vec::new(),
            newest: None,
            since_told: 0,
            told: None,
        }
    }

    /// Goes on with the alarm as its newest transition left it before a restart, and with what was said about it.
    pub fn resume(&mut self, standing: Standing, told: Told) {
        let since = standing.sample_time;
        self.alarm.resume(standing);
        self.operation = Operation::resumed(self.alarm.suppression().excuse, since);
        self.told = Some(told);
    }

    /// What it remembers; `names` are its channels. A calibration of very many rows is not carried along while it is
    /// learned.
    pub fn memory(&self, names: &[Name]) -> Memory {
        let phase = match &self.phase {
            Phase::Learning(learner) if learner.len() > MOST_ROWS_CARRIED => None,
            Phase::Learning(learner) => Some(PhaseMemory::Learning(learner.clone())),
            Phase::Scoring(detector) => Some(PhaseMemory::Scoring(Box::new(detector.memory()))),
        };
        Memory {
            fingerprint: self.profile.fingerprint(),
            channels: names.to_vec(),
            alarm: self.alarm.memory(),
            operation: self.operation,
            interrupted: self.interrupted,
            sensors: self.sensors.clone(),
            timing: self.timing.clone(),
            newest: self.newest,
            held: self.held.clone(),
            phase,
            drift_since: self.drift_since,
        }
    }

    /// Takes back what it remembered. Values and charts come back only if `names`, the channels that it has now, and its
    /// profile and phase are still the same.
    pub fn recall(&mut self, names: &[Name], memory: Memory) {
        let over = self.alarm.recall(memory.alarm);
        if memory.fingerprint != self.profile.fingerprint() || memory.channels != names {
            return;
        }
        match (&mut self.phase, memory.phase) {
            (Phase::Learning(learner), Some(PhaseMemory::Learning(rows))) => *learner = rows,
            // Charts from before the end of an alarm would raise it once more; they start empty.
            (Phase::Scoring(_), Some(PhaseMemory::Scoring(_))) if over => {}
            (Phase::Scoring(detector), Some(PhaseMemory::Scoring(memory))) => detector.recall(&memory),
            _ => return,
        }
        // The alarm may have told since that the machine has stopped or started.
        if self.operation.excuse().is_none() || memory.operation.excuse() == self.operation.excuse() {
            self.operation = memory.operation;
        }
        self.interrupted = memory.interrupted;
        self.sensors = memory.sensors;
        self.timing = memory.timing;
        self.held = memory.held;
        self.newest = memory.newest;
        self.drift_since = memory.drift_since;
    }

    /// Goes on under another profile with all that it knows. Not possible, and `false`, where its calibration would not
    /// hold for the other profile.
    pub fn adopt(&mut self, profile: Profile) -> bool {
        let same = profile.fingerprint() == self.profile.fingerprint()
            && profile.cadence == self.profile.cadence
            && profile.false_alarms_per_day == self.profile.false_alarms_per_day
            && profile.operating_point == self.profile.operating_point
            && (profile.calibrate == self.profile.calibrate || matches!(self.phase, Phase::Scoring(_)));
        if same {
            self.alarm.set(profile.alarm_settings(self.cadence));
            self.profile = profile;
        }
        same
    }

    /// Takes the newest sample; `names` are its channels, in its order.
    pub fn observe(&mut self, names: &[Name], sample: Sample<'_>, now: Now) -> Observation {
        let fault = self.fill(sample.values);
        self.sensors.take(sample.values);
        let mut observation = Observation {
            score: None,
            quality: share_with_value(sample.values),
            holds: false,
            fault,
            fitted: None,
            lesson: None,
            trouble: None,
            drift: None,
            announcements: Vec::new(),
            refreshed: None,
        };
        let excuse = self.operate(names, sample.time).or(self.maintained(now));
        let excused = self.alarm.excuse(excuse, now.utc);
        observation.announcements.extend(excused.map(|transition| self.announce(transition)));
        observation.holds = self.alarms();
        // A machine that stands tells nothing of how it runs.
        if matches!(excuse, Some(Excuse::Stopped | Excuse::Starting)) {
            self.interrupted = true;
            return observation;
        }
        let longest_gap = self.longest_gap();
        let late = self.newest.is_some_and(|newest| sample.time.duration_since(newest).unsigned_abs() > longest_gap);
        let stood = std::mem::take(&mut self.interrupted);
        let gap = stood || late;
        self.newest = Some(sample.time);
        self.timing.take(sample.time, self.interval);
        let frozen = self.leave_out_frozen();
        let stage = match excuse {
            Some(_) => Stage::Excused,
            None if self.alarm.condition_holds() => Stage::Episode,
            None => Stage::Sound,
        };
        match &mut self.phase {
            // Nor does one that somebody works on.
            Phase::Learning(_) if excuse.is_some() => {}
            Phase::Learning(learner) => {
                learner.take(&self.filled, sample.time);
                if learner.has_enough(self.profile.calibrate) {
                    // Whatever comes of it, a calibration that failed starts again from nothing.
                    let learner = std::mem::take(learner);
                    match self.fit(names, learner) {
                        Ok((fitted, lesson)) => {
                            observation.fitted = Some(Box::new(fitted));
                            observation.lesson = Some(Box::new(lesson));
                        }
                        Err(trouble) => observation.trouble = Some(trouble),
                    }
                }
            }
            Phase::Scoring(detector) => match detector.observe(&self.filled, Circumstances { gap, stood, stage }) {
                Ok(judgement) => {
                    if judgement.drift_changed {
                        self.drift_since = Some(sample.time);
                        observation.drift = Some(Box::new(detector.drift_report()));
                    }
                    observation.score = judgement.score;
                    observation.quality = observation.quality.min(judgement.quality);
                    observation.fault = fault.or(judgement.fault).or(frozen.then_some(Fault::Frozen));
                    if let Some(score) = judgement.score {
                        let transition = self.alarm.observe(score, sample.time, now.utc);
                        let announcement = transition.map(|transition| match transition.state {
                            State::Unacknowledged | State::Acknowledged => self.announce_anew(transition),
                            // Of a machine that is sound again there is nothing new to be said.
                            _ => self.announce(transition),
                        });
                        observation.announcements.extend(announcement);
                        observation.holds = self.alarms();
                        if observation.announcements.is_empty() {
                            observation.refreshed = self.refresh().map(Box::new);
                        }
                    }
                    let transition = self.judge_sensors(names, sample.values, now);
                    observation.announcements.extend(transition.map(|transition| self.announce(transition)));
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

    /// Lets time pass without a sample: a shelved alarm comes back when its time is up, maintenance begins and ends.
    pub fn pass_time(&mut self, now: Now) -> Option<Announcement> {
        let process = self.profile.running.as_ref().and_then(|_| self.operation.excuse());
        let transition = match process.or(self.maintained(now)) {
            excuse if excuse != self.alarm.suppression().excuse => self.alarm.excuse(excuse, now.utc),
            _ => self.alarm.pass_time(now.utc),
        };
        transition.map(|transition| self.announce(transition))
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it is not to alarm at all, and on whose word.
    pub fn suppression(&self) -> Suppression {
        self.alarm.suppression()
    }

    /// `learning n/N`, then `scoring`, or `suppressed`.
    pub fn state(&self) -> String {
        match &self.phase {
            Phase::Scoring(_) if self.alarm.suppression().is_on() => "suppressed".to_owned(),
            Phase::Learning(learner) => {
                let cadence = self.profile.cadence.unwrap_or(DEFAULT_CADENCE).as_secs_f64();
                let needed = match self.profile.calibrate {
                    CalibrationLength::Samples(samples) => samples,
                    CalibrationLength::Span(span) => (span.as_secs_f64() / cadence).ceil() as usize,
                };
                format!("learning {}/{}", learner.len().min(needed), needed)
            }
            Phase::Scoring(_) => "scoring".to_owned(),
        }
    }

    /// What is made of its samples now, in a word.
    pub fn stage(&self) -> &'static str {
        match (self.alarm.suppression().excuse, &self.phase) {
            (Some(Excuse::Stopped), _) => "stopped",
            (Some(Excuse::Starting), _) => "starting",
            (Some(Excuse::Maintenance), _) => "maintenance",
            (None, Phase::Learning(_)) => "learning",
            (None, Phase::Scoring(_)) => "scoring",
        }
    }

    pub fn standing(&self) -> Option<&Standing> {
        self.alarm.standing()
    }

    /// What was said about the newest transition.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// Every part that a score can have, whether it is on, and why; none while learning.
    pub fn part_reports(&self) -> Vec<PartReport> {
        match &self.phase {
            Phase::Learning(_) => Vec::new(),
            Phase::Scoring(detector) => detector.part_reports(),
        }
    }

    /// What it is judged against, and whether that still holds; none while learning.
    pub fn baseline(&self, now: Timestamp) -> Option<BaselineReport> {
        let Phase::Scoring(detector) = &self.phase else { return None };
        Some(self.baseline.as_ref()?.report(detector.drift_report(), self.drift_since, now))
    }

    /// The same in short: whether it still holds, and since when that is so.
    pub fn baseline_state(&self, now: Timestamp) -> Option<(BaselineState, Option<Timestamp>)> {
        let Phase::Scoring(detector) = &self.phase else { return None };
        Some(self.baseline.as_ref()?.state(detector.drift(), self.drift_since, now))
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
        self.held.resize(values.len(), Held::NOTHING);
        self.filled.resize(values.len(), f64::NAN);
        let mut fault = None;
        for (place, &value) in values.iter().enumerate() {
            let limits = self.profile.channels.get(place).map(|channel| channel.limits).unwrap_or_default();
            let possible = !value.is_nan() && limits.allow(value);
            if !possible && !value.is_nan() {
                fault = Some(Fault::OutOfRange);
            }
            self.filled[place] = self.held[place].take(possible.then_some(value));
        }
        fault
    }

    /// After a longer time without a sample a load cycle may be anywhere.
    fn longest_gap(&self) -> Duration {
        (GAP * self.profile.cadence.unwrap_or(DEFAULT_CADENCE)).max(SHORTEST_GAP)
    }

    fn alarms(&self) -> bool {
        self.alarm.condition_holds() && !self.alarm.suppression().is_on()
    }

    /// Leaves out channels that show one value again and again; whether there was one. Where many do, or the only one, it is
    /// the machine that stands.
    fn leave_out_frozen(&mut self) -> bool {
        let Phase::Scoring(detector) = &self.phase else { return false };
        let is_frozen = |place: usize| self.sensors.equal(place) >= detector.plausibility(place).frozen_after;
        let frozen = detector.scored().iter().filter(|&&place| is_frozen(place)).count();
        if frozen == 0 || 3 * frozen > detector.scored().len().max(3) || detector.scored().len() < 2 {
            return false;
        }
        for &place in detector.scored().iter().filter(|&&place| is_frozen(place)) {
            if let Some(value) = self.filled.get_mut(place) {
                *value = f64::NAN;
            }
        }
        true
    }

    /// Looks whether something lasting is wrong with the sensors: an alarm of the class `data_quality`.
    fn judge_sensors(&mut self, names: &[Name], values: &[f64], now: Now) -> Option<Transition> {
        let Phase::Scoring(detector) = &self.phase else { return None };
        for &place in detector.scored() {
            let value = values.get(place).copied().unwrap_or(f64::NAN);
            let has_value = self.filled.get(place).is_some_and(|value| !value.is_nan());
            self.sensors.judge(
                place,
                match (value.is_nan(), detector.plausibility(place).fault(value)) {
                    (true, _) => (!has_value).then_some(Flaw::Missing),
                    (false, Some(Fault::OutOfRange)) => Some(Flaw::OutOfRange),
                    (false, Some(_)) => Some(Flaw::UnitChanged),
                    (false, None) => (!has_value).then_some(Flaw::Frozen),
                },
            );
        }
        let deficient = self.sensors.are_deficient() || self.timing.is_deficient();
        match (deficient, self.alarm.deficiency().is_some()) {
            (true, false) => {
                let deficiency = self.sensors.deficiency(names).or_else(|| self.timing.deficiency(self.interval));
                self.alarm.report(deficiency, now.utc)
            }
            // After a restart it is not known at once.
            (false, true) if self.sensors.are_sound(detector.scored()) => self.alarm.report(None, now.utc),
            _ => None,
        }
    }

    /// Whether it runs, if its profile says how to tell.
    fn operate(&mut self, names: &[Name], time: Timestamp) -> Option<Excuse> {
        let rule = self.profile.running.as_ref()?;
        let place = names.iter().position(|name| *name == rule.channel);
        let value = place.and_then(|place| self.filled.get(place)).copied().unwrap_or(f64::NAN);
        self.operation.observe(rule, value, time)
    }

    fn maintained(&self, now: Now) -> Option<Excuse> {
        let covered = self.profile.maintenance.iter().any(|window| window.covers(&self.name, now.utc));
        covered.then_some(Excuse::Maintenance)
    }

    fn fit(&mut self, names: &[Name], learner: Learner) -> Result<(Fitted, Lesson), Trouble> {
        let channels =
            if self.profile.channels.is_empty() { learned(names).into() } else { self.profile.channels.clone() };
        let (mut rows, times) = learner.into_rows(channels.len());
        let cadence = self.profile.cadence.unwrap_or_else(|| usual_cadence(&times));
        let rhythm = Rhythm { cadence, cycle: self.profile.cycle };
        let calibration = match &self.profile.model {
            Some(model) => {
                let contract = &model.manifest().contract;
                Calibration::fit(&rows, &channels, rhythm, Some((&mut *model.denoiser()?, contract)))?
            }
            None => Calibration::fit(&rows, &channels, rhythm, None)?,
        };
        let interval = usual_cadence(&times);
        let stamp = |row: usize| times.get(row).copied().unwrap_or_default();
        let learned = Learned {
            from: stamp(0),
            to: times.last().copied().unwrap_or_default(),
            doubtful: calibration.outlying().map(|it| [stamp(it.rows.start), stamp(it.rows.end - 1)]),
        };
        let fitted = Fitted {
            fingerprint: self.profile.fingerprint(),
            cadence,
            interval,
            learned: Some(learned),
            calibration: calibration.clone(),
        };
        // The rows go through the detector too, so that it goes on without a seam.
        let mut detector = self.profile.detector(calibration, cadence)?;
        for row in &rows {
            detector.observe(row, Circumstances { stage: Stage::Calibration, ..Circumstances::default() })?;
        }
        self.phase = Phase::Scoring(Box::new(detector));
        self.baseline = Some(Box::new(Baseline::of(&fitted)));
        self.drift_since = None;
        self.cadence = cadence;
        self.interval = interval;
        let mut alarm = Alarm::new(self.name.clone(), self.profile.alarm_settings(cadence));
        alarm.succeed(&self.alarm);
        self.alarm = alarm;
        // What the calibration was fitted without, a generator is not to learn either.
        if let Some(outlying) = fitted.calibration.outlying().filter(|outlying| outlying.left_out) {
            rows.drain(outlying.rows.clone());
        }
        Ok((fitted, Lesson { rows, channels: channels.to_vec(), rhythm }))
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
        if !open || !self.alarm.condition_holds() || self.since_told < LOOK_AGAIN {
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
        if transition.class == Class::DataQuality {
            return Announcement { transition, told: Told::default() };
        }
        Announcement { transition, told: self.told.clone().unwrap_or_default() }
    }
}

fn share_with_value(values: &[f64]) -> f64 {
    values.iter().filter(|value| !value.is_nan()).count() as f64 / values.len().max(1) as f64
}

/// Where neither the configuration nor the kind nor the samples tell.
const DEFAULT_CADENCE: Duration = Duration::from_secs(1);
/// Samples between two looks at what is said about an open episode.
const LOOK_AGAIN: u32 = 60;
/// In cadences.
const GAP: u32 = 10;
const SHORTEST_GAP: Duration = Duration::from_secs(5);
