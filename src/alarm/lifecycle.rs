use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Class, Condition, ConditionMemory, ConditionSettings, Severity, State, Transition};
use crate::acquisition::Name;

/// How a machine's alarm behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlarmSettings {
    pub condition: ConditionSettings,
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
    /// The machine is not to alarm at all, e.g. because it is being changed over.
    suppressed: bool,
    standing: Option<Standing>,
}

/// The newest transition of a machine: all that an alarm needs to go on after a restart.
pub type Standing = Transition;

/// What an alarm remembers besides its newest transition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmMemory {
    condition: ConditionMemory,
    suppressed: bool,
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
        Self { machine, settings, condition, rising, newest: None, suppressed: false, standing: None }
    }

    /// Goes on where a machine's newest transition, read back after a restart, left it.
    pub fn resume(&mut self, standing: Standing) {
        self.condition = match standing.state {
            // What was shelved or suppressed is taken to last until samples say otherwise.
            State::Unacknowledged | State::Acknowledged | State::Shelved | State::Suppressed => {
                Condition::resumed(self.settings.condition, standing.score)
            }
            State::Normal | State::ReturnedUnacknowledged => Condition::new(self.settings.condition),
        };
        self.suppressed = standing.state == State::Suppressed;
        self.standing = Some(standing);
    }

    /// What it would need besides its newest transition to go on after a restart.
    pub fn memory(&self) -> AlarmMemory {
        let standing = self.standing.as_ref();
        AlarmMemory {
            condition: self.condition.memory(),
            suppressed: self.suppressed,
            seq: standing.map_or(0, |standing| standing.seq),
            acknowledged: standing.is_some_and(|standing| standing.acknowledged),
            shelved_until: standing.and_then(|standing| standing.shelved_until),
        }
    }

    /// Takes that back after a restart, behind [`Alarm::resume`], which knows the newest transition.
    pub fn recall(&mut self, memory: AlarmMemory) {
        let silent = matches!(self.state(), State::Shelved | State::Suppressed);
        self.condition.recall(memory.condition, silent);
        // With an open episode its own state tells whether it is suppressed.
        if self.state() == State::Normal {
            self.suppressed = memory.suppressed;
        }
        // What was done since the newest transition without being one itself.
        if let Some(standing) = self.standing.as_mut().filter(|standing| standing.seq == memory.seq) {
            standing.acknowledged = memory.acknowledged;
            standing.shelved_until = memory.shelved_until;
        }
    }

    /// Takes over from an alarm whose machine was fitted anew.
    pub fn succeed(&mut self, before: &Alarm) {
        if let Some(standing) = before.standing.clone() {
            self.resume(standing);
        }
        self.suppressed = before.suppressed;
    }

    /// Takes the newest score and tells what changed.
    pub fn observe(&mut self, score: f64, sample_time: Timestamp, now: Timestamp) -> Option<Transition> {
        let holds = self.condition.observe(score);
        self.newest = Some((score, sample_time));
        let severity = severity_of(score);
        let seen = |state, severity| Change { score, sample_time, ..Change::to(state, severity, now) };
        match (self.state(), holds) {
            (State::Normal | State::ReturnedUnacknowledged, true) if !self.suppressed => {
                self.rising = (0, Severity::Critical);
                Some(self.change(seen(State::Unacknowledged, severity)))
            }
            (State::Unacknowledged, false) => Some(self.change(seen(State::ReturnedUnacknowledged, self.severity()))),
            (State::Acknowledged, false) => Some(self.change(seen(State::Normal, self.severity()))),
            (state @ (State::Unacknowledged | State::Acknowledged), true) => {
                let (run, least) = self.rising;
                self.rising = match severity > self.severity() {
                    true => (run + 1, least.min(severity)),
                    false => (0, Severity::Critical),
                };
                let (run, least) = self.rising;
                (run >= self.settings.condition.raise_after.saturating_mul(SETTLED)).then(|| {
                    self.rising = (0, Severity::Critical);
                    self.change(seen(state, least))
                })
            }
            (State::Shelved, _) => self.pass_time(now),
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

    /// Whether the condition holds at the newest sample.
    pub fn holds(&self) -> bool {
        self.condition.holds()
    }

    /// Whether the machine is not to alarm at all.
    pub fn is_suppressed(&self) -> bool {
        self.suppressed
    }

    fn severity(&self) -> Severity {
        self.standing.as_ref().map_or(Severity::Low, |standing| standing.severity)
    }

    fn acknowledge(&mut self, action: &Action, now: Timestamp) -> Option<Transition> {
        let state = match self.state() {
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
        let standing = self.standing.as_ref();
        if standing.is_some_and(|standing| standing.state == State::Shelved && standing.shelved_until == Some(until)) {
            return Ok(None);
        }
        if self.state() == State::Shelved {
            // Another end is no change of state, so it is no transition: it shows with the next one.
            if let Some(standing) = &mut self.standing {
                standing.shelved_until = Some(until);
            }
            return Ok(None);
        }
        let change = self.as_it_stands(State::Shelved, Some(action), now);
        Ok(Some(self.change(Change { shelved_until: Some(until), reason: Some(reason.to_owned()), ..change })))
    }

    fn suppress(&mut self, on: bool, reason: Option<String>, action: &Action, now: Timestamp) -> Option<Transition> {
        if self.suppressed == on {
            return None;
        }
        self.suppressed = on;
        match (on, self.state()) {
            (true, State::Normal) | (false, State::Normal) => None,
            (true, _) => {
                let change = self.as_it_stands(State::Suppressed, Some(action), now);
                Some(self.change(Change { reason, ..change }))
            }
            (false, State::Suppressed) => Some(self.come_back(Some(action), now)),
            (false, _) => None,
        }
    }

    /// From shelf or suppression to where the condition says.
    fn come_back(&mut self, action: Option<&Action>, now: Timestamp) -> Transition {
        let acknowledged = self.standing.as_ref().is_some_and(|standing| standing.acknowledged);
        let state = match (self.condition.holds(), acknowledged) {
            (true, true) => State::Acknowledged,
            (true, false) => State::Unacknowledged,
            (false, _) => State::Normal,
        };
        self.change(self.as_it_stands(state, action, now))
    }

    /// A change that no sample caused.
    fn as_it_stands(&self, state: State, action: Option<&Action>, now: Timestamp) -> Change {
        let change = Change::to(state, self.severity(), now);
        let operator = action.map(|action| action.operator.clone());
        match &self.standing {
            Some(standing) => {
                let (score, sample_time) = self.newest.unwrap_or((standing.score, standing.sample_time));
                Change { score, sample_time, acknowledged: standing.acknowledged, operator, ..change }
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
            class: Class::Condition,
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alarm() -> Alarm {
        Alarm::new(Name::parse("press-01").unwrap(), AlarmSettings::default())
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_538_400 + second).unwrap()
    }

    fn deed(deed: Deed) -> Action {
        Action { operator: "m.ito".into(), episode: None, deed }
    }

    fn ack(episode: Option<&str>) -> Action {
        Action { episode: episode.map(str::to_owned), ..deed(Deed::Acknowledge) }
    }

    fn shelve(seconds: u64) -> Action {
        deed(Deed::Shelve { until: ShelfLife::For(Duration::from_secs(seconds)), reason: "spare part".into() })
    }

    fn suppress(on: bool) -> Action {
        deed(Deed::Suppress { on, reason: None })
    }

    fn feed(alarm: &mut Alarm, score: f64, seconds: std::ops::Range<i64>) -> Vec<Transition> {
        seconds.filter_map(|second| alarm.observe(score, time(second), time(second))).collect()
    }

    #[test]
    fn an_alarm_that_nobody_acknowledged_waits_for_it_after_the_return() {
        let mut alarm = alarm();
        let raised = feed(&mut alarm, 2.0, 0..10);
        assert_eq!(raised.len(), 1);
        assert_eq!((raised[0].state, raised[0].seq), (State::Unacknowledged, 1));
        let returned = feed(&mut alarm, 0.1, 10..20);
        assert_eq!((returned[0].state, returned[0].seq), (State::ReturnedUnacknowledged, 2));
        let again = feed(&mut alarm, 2.0, 20..30);
        assert_eq!((again[0].state, &again[0].episode), (State::Unacknowledged, &raised[0].episode));
        feed(&mut alarm, 0.1, 30..40);
        let ended = alarm.act(&ack(None), time(40)).unwrap().unwrap();
        assert_eq!((ended.state, ended.seq, &ended.episode), (State::Normal, 5, &raised[0].episode));
        let next = feed(&mut alarm, 2.0, 50..60);
        assert_ne!(next[0].episode, raised[0].episode);
    }

    #[test]
    fn an_acknowledged_alarm_returns_to_normal_by_itself() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        assert_eq!(alarm.act(&ack(None), time(10)).unwrap().map(|t| t.state), Some(State::Acknowledged));
        assert_eq!(alarm.act(&ack(None), time(11)), Ok(None), "a second time changes nothing");
        assert_eq!(feed(&mut alarm, 0.1, 12..20)[0].state, State::Normal);
        assert_eq!(alarm.act(&ack(None), time(21)), Err(Refusal::NoEpisode));
    }

    #[test]
    fn an_acknowledgement_of_another_episode_is_refused() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        let refused = alarm.act(&ack(Some("another")), time(10));
        assert!(matches!(refused, Err(Refusal::OtherEpisode { .. })));
    }

    #[test]
    fn severity_rises_within_an_episode_but_never_sinks() {
        let mut alarm = alarm();
        feed(&mut alarm, 1.2, 0..10);
        let risen = feed(&mut alarm, 7.0, 10..30);
        assert_eq!((risen.len(), risen[0].severity, risen[0].state), (1, Severity::Critical, State::Unacknowledged));
        assert!(feed(&mut alarm, 2.5, 30..60).is_empty());
    }

    #[test]
    fn a_restart_goes_on_with_the_same_episode_and_the_next_seq() {
        let mut before = alarm();
        let raised = feed(&mut before, 2.0, 0..10);
        let mut after = alarm();
        after.resume(before.standing().unwrap().clone());
        assert!(feed(&mut after, 2.0, 10..20).is_empty(), "no second episode");
        let returned = feed(&mut after, 0.1, 20..30);
        assert_eq!((returned[0].seq, &returned[0].episode), (2, &raised[0].episode));
    }

    #[test]
    fn a_clock_that_is_set_back_lets_nothing_change_before_it_was_raised() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        let acknowledged = alarm.act(&ack(None), time(-3600)).unwrap().unwrap();
        assert!(acknowledged.raised <= acknowledged.changed);
    }

    #[test]
    fn a_shelved_alarm_keeps_silent_and_comes_back_by_itself() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        let shelved = alarm.act(&shelve(100), time(10)).unwrap().unwrap();
        assert_eq!((shelved.state, shelved.shelved_until), (State::Shelved, Some(time(110))));
        assert!(feed(&mut alarm, 0.1, 11..50).is_empty() && feed(&mut alarm, 9.0, 50..110).is_empty());
        assert_eq!(alarm.pass_time(time(110)).map(|back| back.state), Some(State::Unacknowledged));
        alarm.act(&ack(None), time(111)).unwrap();
        alarm.act(&shelve(10), time(112)).unwrap();
        assert_eq!(feed(&mut alarm, 9.0, 113..123)[0].state, State::Acknowledged, "as it was before the shelf");
        alarm.act(&shelve(10), time(124)).unwrap();
        feed(&mut alarm, 0.1, 125..131);
        let ended = alarm.act(&deed(Deed::Unshelve), time(131)).unwrap().unwrap();
        assert_eq!((ended.state, ended.operator.as_deref()), (State::Normal, Some("m.ito")));
    }

    #[test]
    fn a_shelf_life_has_an_end_within_thirty_days() {
        let mut alarm = alarm();
        assert_eq!(alarm.act(&shelve(10), time(0)), Err(Refusal::NoEpisode));
        feed(&mut alarm, 2.0, 0..10);
        for until in [
            ShelfLife::For(Duration::from_secs(30 * 86_400 + 1)),
            ShelfLife::For(Duration::MAX),
            ShelfLife::For(Duration::ZERO),
            ShelfLife::Until(time(9)),
        ] {
            let action = deed(Deed::Shelve { until, reason: "r".into() });
            assert_eq!(alarm.act(&action, time(10)), Err(Refusal::ShelfLife), "{until:?}");
        }
        assert_eq!(alarm.act(&deed(Deed::Unshelve), time(10)), Err(Refusal::NotShelved));
        assert!(alarm.act(&shelve(30 * 86_400), time(10)).unwrap().is_some());
    }

    #[test]
    fn a_suppressed_machine_raises_nothing_and_afterwards_what_is_still_there() {
        let mut alarm = alarm();
        assert_eq!(alarm.act(&suppress(true), time(0)), Ok(None), "without an episode only the status tells");
        assert!(feed(&mut alarm, 2.0, 1..20).is_empty() && alarm.is_suppressed());
        assert_eq!(alarm.act(&suppress(false), time(20)), Ok(None));
        assert_eq!(feed(&mut alarm, 2.0, 21..22)[0].state, State::Unacknowledged);
        let suppressed = alarm.act(&suppress(true), time(23)).unwrap().unwrap();
        assert_eq!(suppressed.state, State::Suppressed);
        assert_eq!(alarm.act(&shelve(10), time(24)), Err(Refusal::Suppressed));
        let back = alarm.act(&suppress(false), time(25)).unwrap().unwrap();
        assert_eq!((back.state, back.episode), (State::Unacknowledged, suppressed.episode));
    }

    proptest! {
        #[test]
        fn whatever_happens_seq_has_no_holes_and_one_episode_is_open(
            steps in proptest::collection::vec((0.0f64..8.0, 0u8..12, any::<bool>()), 0..400),
        ) {
            let mut alarm = alarm();
            let mut seen: Vec<Transition> = Vec::new();
            for (second, (score, command, restart)) in steps.into_iter().enumerate() {
                let second = second as i64;
                if restart && let Some(standing) = alarm.standing().cloned() {
                    alarm = Alarm::new(Name::parse("press-01").unwrap(), AlarmSettings::default());
                    alarm.resume(standing);
                }
                for _ in 0..6 {
                    seen.extend(alarm.observe(score, time(second), time(second)));
                }
                let action = match command {
                    0..2 => ack(None),
                    2 => shelve(7),
                    3 => deed(Deed::Unshelve),
                    4 => suppress(true),
                    5..7 => suppress(false),
                    _ => continue,
                };
                if let Ok(transition) = alarm.act(&action, time(second)) {
                    seen.extend(transition);
                }
            }
            for (index, transition) in seen.iter().enumerate() {
                prop_assert_eq!(transition.seq, index as u64 + 1);
                prop_assert!(transition.raised <= transition.changed);
            }
            for pair in seen.windows(2) {
                prop_assert_eq!(pair[0].episode == pair[1].episode, pair[0].state != State::Normal);
                prop_assert!(pair[0].state != pair[1].state || pair[0].severity != pair[1].severity);
            }
        }
    }
}
