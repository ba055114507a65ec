use jiff::Timestamp;

use super::{Class, Condition, ConditionSettings, Severity, State, Transition};
use crate::acquisition::Name;

/// How a machine's alarm behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlarmSettings {
    pub condition: ConditionSettings,
}

/// One machine's alarm: at most one open episode, from raise to return to normal, through the states of ISA-18.2.
///
/// An episode returns to normal only once it was acknowledged; a raise before that belongs to the same episode.
#[derive(Clone, Debug)]
pub struct Alarm {
    machine: Name,
    settings: AlarmSettings,
    condition: Condition,
    /// Samples in a row at a higher severity than the episode's.
    rising: u32,
    standing: Option<Standing>,
}

/// The newest transition of a machine: all that an alarm needs to go on after a restart.
pub type Standing = Transition;

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the machine has no open episode")]
    NoEpisode,
    #[error("the episode that the command names is not the open one")]
    OtherEpisode,
}

impl Alarm {
    pub fn new(machine: Name, settings: AlarmSettings) -> Self {
        Self { machine, settings, condition: Condition::new(settings.condition), rising: 0, standing: None }
    }

    /// Goes on where a machine's newest transition, read back after a restart, left it.
    pub fn resume(&mut self, standing: Standing) {
        self.condition = match standing.state {
            State::Unacknowledged | State::Acknowledged => Condition::resumed(self.settings.condition, standing.score),
            State::Normal | State::ReturnedUnacknowledged | State::Shelved | State::Suppressed => {
                Condition::new(self.settings.condition)
            }
        };
        self.standing = Some(standing);
    }

    /// Takes the newest score and tells what changed.
    pub fn observe(&mut self, score: f64, sample_time: Timestamp, now: Timestamp) -> Option<Transition> {
        let holds = self.condition.observe(score);
        let severity = severity_of(score);
        let seen = |state, severity| Seen { state, severity, score, sample_time, now };
        match (self.state(), holds) {
            (State::Normal | State::ReturnedUnacknowledged, true) => {
                self.rising = 0;
                Some(self.change(seen(State::Unacknowledged, severity)))
            }
            (State::Unacknowledged, false) => Some(self.change(seen(State::ReturnedUnacknowledged, self.severity()))),
            (State::Acknowledged, false) => Some(self.change(seen(State::Normal, self.severity()))),
            (state @ (State::Unacknowledged | State::Acknowledged), true) => {
                self.rising = if severity > self.severity() { self.rising + 1 } else { 0 };
                let risen = self.rising >= self.settings.condition.raise_after.saturating_mul(SETTLED);
                risen.then(|| {
                    self.rising = 0;
                    self.change(seen(state, severity))
                })
            }
            _ => None,
        }
    }

    /// Somebody has seen the alarm. `Ok(None)` if somebody had before.
    pub fn acknowledge(&mut self, episode: Option<&str>, now: Timestamp) -> Result<Option<Transition>, Refusal> {
        let standing = self.standing.as_ref().filter(|standing| standing.state != State::Normal);
        let standing = standing.ok_or(Refusal::NoEpisode)?;
        if episode.is_some_and(|episode| episode != standing.episode) {
            return Err(Refusal::OtherEpisode);
        }
        let state = match standing.state {
            State::Unacknowledged => State::Acknowledged,
            State::ReturnedUnacknowledged => State::Normal,
            State::Acknowledged | State::Normal | State::Shelved | State::Suppressed => return Ok(None),
        };
        let Transition { severity, score, sample_time, .. } = *standing;
        Ok(Some(self.change(Seen { state, severity, score, sample_time, now })))
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

    fn severity(&self) -> Severity {
        self.standing.as_ref().map_or(Severity::Low, |standing| standing.severity)
    }

    fn change(&mut self, seen: Seen) -> Transition {
        let before = self.standing.take();
        let seq = before.as_ref().map_or(1, |before| before.seq + 1);
        let (episode, raised) = match before {
            Some(before) if before.state != State::Normal => (before.episode, before.raised),
            _ => (episode_id(&self.machine, seq, seen.now), seen.now),
        };
        let transition = Transition {
            episode,
            seq,
            class: Class::Condition,
            state: seen.state,
            severity: seen.severity,
            score: seen.score,
            raised,
            // A clock that was set back must not let an episode change before it was raised.
            changed: seen.now.max(raised),
            sample_time: seen.sample_time,
        };
        self.standing = Some(transition.clone());
        transition
    }
}

struct Seen {
    state: State,
    severity: Severity,
    score: f64,
    sample_time: Timestamp,
    now: Timestamp,
}

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
        let ended = alarm.acknowledge(None, time(40)).unwrap().unwrap();
        assert_eq!((ended.state, ended.seq, &ended.episode), (State::Normal, 5, &raised[0].episode));
        let next = feed(&mut alarm, 2.0, 50..60);
        assert_ne!(next[0].episode, raised[0].episode);
    }

    #[test]
    fn an_acknowledged_alarm_returns_to_normal_by_itself() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        assert_eq!(alarm.acknowledge(None, time(10)).unwrap().map(|t| t.state), Some(State::Acknowledged));
        assert_eq!(alarm.acknowledge(None, time(11)), Ok(None), "a second time changes nothing");
        assert_eq!(feed(&mut alarm, 0.1, 12..20)[0].state, State::Normal);
        assert_eq!(alarm.acknowledge(None, time(21)), Err(Refusal::NoEpisode));
    }

    #[test]
    fn an_acknowledgement_of_another_episode_is_refused() {
        let mut alarm = alarm();
        feed(&mut alarm, 2.0, 0..10);
        assert_eq!(alarm.acknowledge(Some("another"), time(10)), Err(Refusal::OtherEpisode));
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
        let acknowledged = alarm.acknowledge(None, time(-3600)).unwrap().unwrap();
        assert!(acknowledged.raised <= acknowledged.changed);
    }

    proptest! {
        #[test]
        fn whatever_happens_seq_has_no_holes_and_one_episode_is_open(
            steps in proptest::collection::vec((0.0f64..8.0, any::<bool>(), any::<bool>()), 0..400),
        ) {
            let mut alarm = alarm();
            let mut seen: Vec<Transition> = Vec::new();
            for (second, (score, acknowledge, restart)) in steps.into_iter().enumerate() {
                let second = second as i64;
                if restart && let Some(standing) = alarm.standing().cloned() {
                    alarm = Alarm::new(Name::parse("press-01").unwrap(), AlarmSettings::default());
                    alarm.resume(standing);
                }
                for _ in 0..6 {
                    seen.extend(alarm.observe(score, time(second), time(second)));
                }
                if acknowledge && let Ok(transition) = alarm.acknowledge(None, time(second)) {
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
