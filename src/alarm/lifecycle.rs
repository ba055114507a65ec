use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Class, Condition, ConditionMemory, ConditionSettings, Excuse, Severity, State, Suppression, Transition};
use crate::acquisition::Name;

/// How a machine's alarm behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlarmSettings {
    pub condition: ConditionSettings,
    /// An alarm that nobody has acknowledged does not return by itself.
    pub latch: bool,
}

/// One machine's alarm: at most one open episode, from raise to return to normal, through the states of ISA-18.2.
///
/// An episode returns to normal only once it was acknowledged; a raise before that belongs to the same episode. A shelved
/// alarm keeps silent until its time is up or somebody takes it from the shelf, a suppressed one until the suppression
/// ends; then it is where its condition says.
#[derive(Clone, Debug)]
pub struct Alarm {
    machine: Name,
    settings: AlarmSettings,
    condition: Condition,
    /// Samples in a row at a higher severity than the episode's, and the least of their severities.
    rising: (u32, Severity),
    /// The newest score and the stamp of its sample.
    newest: Option<(f64, Timestamp)>,
    suppression: Suppression,
    /// What is wrong with what is said of the machine.
    deficiency: Option<Deficiency>,
    standing: Option<Standing>,
}

/// A fault of a sensor, a line, a clock or a disk: an alarm of the class `data_quality`.
#[derive(Clone, Debug, PartialEq)]
pub struct Deficiency {
    pub severity: Severity,
    /// What it is, for people.
    pub reason: String,
}

/// The newest transition of a machine: all that an alarm needs to go on after a restart.
pub type Standing = Transition;

/// What an alarm remembers besides its newest transition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmMemory {
    condition: ConditionMemory,
    suppression: Suppression,
    /// Of the newest transition; what follows belongs to it.
    seq: u64,
    acknowledged: bool,
    shelved_until: Option<Timestamp>,
}

/// What a person does to an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    pub operator: String,
    /// The episode that is meant; `None`: the open one.
    pub episode: Option<String>,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Acknowledge,
    Shelve { until: ShelfLife, reason: String },
    Unshelve,
    Suppress { on: bool, reason: Option<String> },
}

/// How long an alarm stays on the shelf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShelfLife {
    For(Duration),
    Until(Timestamp),
}

/// Why an action was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the machine has no open episode")]
    NoEpisode,
    #[error("the episode {named} is not the open one; the open one is {open}")]
    OtherEpisode { named: String, open: String },
    #[error("the alarm is suppressed; end the suppression first")]
    Suppressed,
    #[error("the alarm is not shelved")]
    NotShelved,
    #[error("an alarm may be shelved for 30 days at most, and not into the past")]
    ShelfLife,
}

impl Alarm {
    pub fn new(machine: Name, settings: AlarmSettings) -> Self {
        let condition = Condition::new(settings.condition);
        let rising = (0, Severity::Critical);
        let suppression = Suppression::default();
        Self { machine, settings, condition, rising, newest: None, suppression, deficiency: None, standing: None }
    }

    /// Goes on under other settings where it stands.
    pub fn set(&mut self, settings: AlarmSettings) {
        self.settings = settings;
        self.condition.set(settings.condition);
    }

    /// Goes on where a machine's newest transition, read back after a restart, left it.
    pub fn resume(&mut self, standing: Standing) {
        let open = !matches!(standing.state, State::Normal | State::ReturnedUnacknowledged);
        self.deficiency = (open && standing.class == Class::DataQuality)
            .then(|| Deficiency { severity: standing.severity, reason: standing.reason.clone().unwrap_or_default() });
        self.condition = match standing.state {
            _ if standing.class == Class::DataQuality => Condition::new(self.settings.condition),
            // What was shelved or suppressed is taken to last until samples say otherwise.
            State::Unacknowledged | State::Acknowledged | State::Shelved | State::Suppressed => {
                Condition::resumed(self.settings.condition, standing.score)
            }
            State::Normal | State::ReturnedUnacknowledged => Condition::new(self.settings.condition),
        };
        self.suppression = match standing.state {
            State::Suppressed => Suppression::of(standing.operator.as_deref(), standing.reason.as_deref()),
            _ => Suppression::default(),
        };
        self.standing = Some(standing);
    }

    /// What it would need besides its newest transition to go on after a restart.
    pub fn memory(&self) -> AlarmMemory {
        let standing = self.standing.as_ref();
        AlarmMemory {
            condition: self.condition.memory(),
            suppression: self.suppression,
            seq: standing.map_or(0, |standing| standing.seq),
            acknowledged: standing.is_some_and(|standing| standing.acknowledged),
            shelved_until: standing.and_then(|standing| standing.shelved_until),
        }
    }

    /// Takes that back after a restart, behind [`Alarm::resume`], which knows the newest transition. Tells whether it is older
    /// than the end of an alarm: then whatever raised that one is over.
    pub fn recall(&mut self, memory: AlarmMemory) -> bool {
        let silent = matches!(self.state(), State::Shelved | State::Suppressed);
        self.condition.recall(memory.condition, silent);
        let same = self.standing.as_ref().map_or(0, |standing| standing.seq) == memory.seq;
        // With an episode that has gone on since, its own state tells whether it is suppressed.
        if same || self.state() == State::Normal {
            self.suppression = memory.suppression;
        }
        // What was done since the newest transition without being one itself.
        if let Some(standing) = self.standing.as_mut().filter(|_| same) {
            standing.acknowledged = memory.acknowledged;
            standing.shelved_until = memory.shelved_until;
        }
        !same && !self.holds()
    }

    /// Takes over from an alarm whose machine was fitted anew.
    pub fn succeed(&mut self, before: &Alarm) {
        if let Some(standing) = before.standing.clone() {
            self.resume(standing);
        }
        self.suppression = before.suppression;
        self.deficiency = before.deficiency.clone();
    }

    /// Takes the newest score and tells what changed.
    pub fn observe(&mut self, score: f64, sample_time: Timestamp, now: Timestamp) -> Option<Transition> {
        self.condition.observe(score);
        self.newest = Some((score, sample_time));
        self.weigh(severity_of(score), now)
    }

    /// Takes what is wrong with what is said of the machine, or that nothing is, and tells what changed.
    pub fn report(&mut self, deficiency: Option<Deficiency>, now: Timestamp) -> Option<Transition> {
        self.deficiency = deficiency;
        self.weigh(self.severity(), now)
    }

    /// Takes what excuses the machine from alarming, or that nothing does, and tells what changed.
    pub fn excuse(&mut self, excuse: Option<Excuse>, now: Timestamp) -> Option<Transition> {
        let before = self.suppression;
        self.suppression.excuse = excuse;
        match (before.is_on(), self.suppression.is_on(), self.state()) {
            (false, true, State::Unacknowledged | State::Acknowledged | State::ReturnedUnacknowledged) => {
                let reason = excuse.map(|excuse| excuse.as_str().to_owned());
                Some(self.change(Change { reason, ..self.as_it_stands(State::Suppressed, None, now) }))
            }
            (true, false, State::Suppressed) => Some(self.come_back(None, now)),
            _ => None,
        }
    }

    /// Takes an alarm from the shelf when its time is up.
    pub fn pass_time(&mut self, now: Timestamp) -> Option<Transition> {
        let standing = self.standing.as_ref().filter(|standing| standing.state == State::Shelved)?;
        let due = standing.shelved_until.is_none_or(|until| now >= until);
        due.then(|| self.come_back(None, now))
    }

    /// Carries out what a person does. `Ok(None)`: it was so before.
    pub fn act(&mut self, action: &Action, now: Timestamp) -> Result<Option<Transition>, Refusal> {
        let open = self.standing.as_ref().filter(|standing| standing.state != State::Normal);
        match (&action.episode, open) {
            (Some(named), Some(open)) if *named != open.episode => {
                return Err(Refusal::OtherEpisode { named: named.clone(), open: open.episode.clone() });
            }
            (Some(_), None) => return Err(Refusal::NoEpisode),
            _ => {}
        }
        match &action.deed {
            Deed::Suppress { on, reason } => Ok(self.suppress(*on, reason.clone(), action, now)),
            _ if open.is_none() => Err(Refusal::NoEpisode),
            Deed::Acknowledge => Ok(self.acknowledge(action, now)),
            Deed::Shelve { until, reason } => self.shelve(*until, reason, action, now),
            Deed::Unshelve if self.state() == State::Shelved => Ok(Some(self.come_back(Some(action), now))),
            Deed::Unshelve => Err(Refusal::NotShelved),
        }
    }

    pub fn state(&self) -> State {
        self.standing.as_ref().map_or(State::Normal, |standing| standing.state)
    }

    /// The newest transition, if there was one.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Whether the machine's condition holds.
    pub fn condition_holds(&self) -> bool {
        self.condition.holds()
    }

    /// Whether the machine's condition, or a deficiency, holds.
    pub fn holds(&self) -> bool {
        self.condition.holds() || self.deficiency.is_some()
    }

    /// What is wrong with what is said of the machine, if something is.
    pub fn deficiency(&self) -> Option<&Deficiency> {
        self.deficiency.as_ref()
    }

    /// Whether the machine is not to alarm at all.
    pub fn suppression(&self) -> Suppression {
        self.suppression
    }

    /// Compares what holds with where the alarm stands; the severity is that of the condition.
    fn weigh(&mut self, of_condition: Severity, now: Timestamp) -> Option<Transition> {
        let (class, severity) = match &self.deficiency {
            Some(deficiency) if !self.condition.holds() => (Class::DataQuality, deficiency.severity),
            _ => (Class::Condition, of_condition),
        };
        match (self.state(), self.holds()) {
            (State::Normal | State::ReturnedUnacknowledged, true) if !self.suppression.is_on() => {
                self.rising = (0, Severity::Critical);
                Some(self.change(Change { severity, class, ..self.seen(State::Unacknowledged, now) }))
            }
            (State::Unacknowledged, false) if self.settings.latch => None,
            (State::Unacknowledged, false) => Some(self.change(self.seen(State::ReturnedUnacknowledged, now))),
            (State::Acknowledged, false) => Some(self.change(self.seen(State::Normal, now))),
            (state @ (State::Unacknowledged | State::Acknowledged), true) => {
                if self.standing.as_ref().is_some_and(|standing| standing.class != class) {
                    let severity = severity.max(self.severity());
                    return Some(self.change(Change { severity, class, ..self.seen(state, now) }));
                }
                let (run, least) = self.rising;
                self.rising = match severity > self.severity() {
                    true => (run + 1, least.min(severity)),
                    false => (0, Severity::Critical),
                };
                let (run, least) = self.rising;
                (run >= self.settings.condition.raise_after.saturating_mul(SETTLED)).then(|| {
                    self.rising = (0, Severity::Critical);
                    self.change(Change { severity: least, ..self.seen(state, now) })
                })
            }
            (State::Shelved, _) => self.pass_time(now),
            _ => None,
        }
    }

    /// A change that the machine has caused.
    fn seen(&self, state: State, now: Timestamp) -> Change {
        let (score, sample_time) = self.newest.unwrap_or((0.0, now));
        let class = self.standing.as_ref().map_or(Class::Condition, |standing| standing.class);
        let reason = self.deficiency.as_ref().map(|deficiency| deficiency.reason.clone());
        Change { score, sample_time, class, reason, ..Change::to(state, self.severity(), now) }
    }

    fn severity(&self) -> Severity {
        self.standing.as_ref().map_or(Severity::Low, |standing| standing.severity)
    }

    fn acknowledge(&mut self, action: &Action, now: Timestamp) -> Option<Transition> {
        let state = match self.state() {
            // A latched alarm whose condition is over has only waited for this.
            State::Unacknowledged if !self.holds() => State::Normal,
            State::Unacknowledged => State::Acknowledged,
            State::ReturnedUnacknowledged => State::Normal,
            State::Shelved | State::Suppressed | State::Acknowledged | State::Normal => {
                // It stays where it is, and comes back acknowledged.
                if let Some(standing) = &mut self.standing {
                    standing.acknowledged = true;
                }
                return None;
            }
        };
        Some(self.change(Change { acknowledged: true, ..self.as_it_stands(state, Some(action), now) }))
    }

    fn shelve(
        &mut self,
        life: ShelfLife,
        reason: &str,
        action: &Action,
        now: Timestamp,
    ) -> Result<Option<Transition>, Refusal> {
        if self.state() == State::Suppressed {
            return Err(Refusal::Suppressed);
        }
        let until = match life {
            ShelfLife::Until(until) => until,
            ShelfLife::For(life) => {
                let life = SignedDuration::try_from(life).map_err(|_| Refusal::ShelfLife)?;
                now.checked_add(life).map_err(|_| Refusal::ShelfLife)?
            }
        };
        if until <= now || until.duration_since(now) > LONGEST_SHELF_LIFE {
            return Err(Refusal::ShelfLife);
        }
        if let Some(standing) = self.standing.as_mut().filter(|standing| standing.state == State::Shelved) {
            // Another end is no change of state, so it is no transition: it shows with the next one.
            standing.shelved_until = Some(until);
            return Ok(None);
        }
        let change = self.as_it_stands(State::Shelved, Some(action), now);
        Ok(Some(self.change(Change { shelved_until: Some(until), reason: Some(reason.to_owned()), ..change })))
    }

    fn suppress(&mut self, on: bool, reason: Option<String>, action: &Action, now: Timestamp) -> Option<Transition> {
        let before = self.suppression;
        self.suppression.by_operator = on;
        match (before.is_on(), self.suppression.is_on(), self.state()) {
            (_, _, State::Normal) => None,
            (false, true, _) => {
                let change = self.as_it_stands(State::Suppressed, Some(action), now);
                Some(self.change(Change { reason, ..change }))
            }
            (true, false, State::Suppressed) => Some(self.come_back(Some(action), now)),
            _ => None,
        }
    }

    /// From shelf or suppression to where the condition says.
    fn come_back(&mut self, action: Option<&Action>, now: Timestamp) -> Transition {
        let acknowledged = self.standing.as_ref().is_some_and(|standing| standing.acknowledged);
        let latched = self.settings.latch && !acknowledged;
        let state = match (self.holds() || latched, acknowledged) {
            // From the shelf, while the machine is not to alarm.
            (true, _) if self.suppression.is_on() => State::Suppressed,
            (true, true) => State::Acknowledged,
            (true, false) => State::Unacknowledged,
            (false, _) => State::Normal,
        };
        let excuse = self.suppression.excuse.filter(|_| state == State::Suppressed);
        let reason = excuse.map(|excuse| excuse.as_str().to_owned());
        self.change(Change { reason, ..self.as_it_stands(state, action, now) })
    }

    /// A change that no sample caused.
    fn as_it_stands(&self, state: State, action: Option<&Action>, now: Timestamp) -> Change {
        let change = Change::to(state, self.severity(), now);
        let operator = action.map(|action| action.operator.clone());
        match &self.standing {
            Some(standing) => {
                let (score, sample_time) = self.newest.unwrap_or((standing.score, standing.sample_time));
                let Transition { class, acknowledged, .. } = *standing;
                Change { score, sample_time, class, acknowledged, operator, ..change }
            }
            None => Change { operator, ..change },
        }
    }

    fn change(&mut self, change: Change) -> Transition {
        let before = self.standing.take();
        let seq = before.as_ref().map_or(1, |before| before.seq + 1);
        let (episode, raised, acknowledged) = match before {
            Some(before) if before.state != State::Normal => {
                // A relapse wants to be seen again.
                let relapse = before.state == State::ReturnedUnacknowledged && change.state == State::Unacknowledged;
                (before.episode, before.raised, !relapse && (before.acknowledged || change.acknowledged))
            }
            _ => (episode_id(&self.machine, seq, change.now), change.now, false),
        };
        let transition = Transition {
            episode,
            seq,
            class: change.class,
            state: change.state,
            severity: change.severity,
            score: change.score,
            raised,
            // A clock that was set back must not let an episode change before it was raised.
            changed: change.now.max(raised),
            sample_time: change.sample_time,
            acknowledged,
            shelved_until: change.shelved_until,
            operator: change.operator,
            reason: change.reason,
        };
        self.standing = Some(transition.clone());
        transition
    }
}

struct Change {
    class: Class,
    state: State,
    severity: Severity,
    score: f64,
    sample_time: Timestamp,
    now: Timestamp,
    acknowledged: bool,
    shelved_until: Option<Timestamp>,
    operator: Option<String>,
    reason: Option<String>,
}

impl Change {
    fn to(state: State, severity: Severity, now: Timestamp) -> Self {
        Self {
            class: Class::Condition,
            state,
            severity,
            score: 0.0,
            sample_time: now,
            now,
            acknowledged: false,
            shelved_until: None,
            operator: None,
            reason: None,
        }
    }
}

/// Unique for ever: a machine never uses a `seq` twice. The time in front makes ids sort as they were raised.
fn episode_id(machine: &Name, seq: u64, raised: Timestamp) -> String {
    // An id has at most 128 characters, like the name in it.
    let machine: String = machine.as_str().chars().take(90).collect();
    format!("{:011x}-{machine}-{seq}", raised.as_millisecond().max(0))
}

/// The distance from sound, in limits.
fn severity_of(score: f64) -> Severity {
    match score {
        score if score < 1.5 => Severity::Low,
        score if score < 3.0 => Severity::Medium,
        score if score < 6.0 => Severity::High,
        _ => Severity::Critical,
    }
}

/// A severity rises only when the score has been there for so many on-delays: a fault that is still growing would
/// otherwise be told of again and again.
const SETTLED: u32 = 3;
const LONGEST_SHELF_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
