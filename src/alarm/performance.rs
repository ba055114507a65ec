use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use heapless::deque::Deque;
use jiff::{SignedDuration, Timestamp};

use super::{Standing, State, Transition};
use crate::acquisition::Name;
use crate::clock::Now;

/// How the alarms of a gateway do as a system: rates, floods, chattering and stale ones, in the measures of ISA-18.2
/// clause 16 and EEMUA 191.
///
/// It counts annunciations: transitions to `unacknowledged` that ask for a person's attention. It decides which of them are to be
/// announced to people; all of them stay on record and on the retained topics.
#[derive(Clone, Debug, Default)]
pub struct Performance {
    machines: BTreeMap<Name, Counted>,
    /// Annunciations of the last hour; of more than the bound only the newest.
    recent: VecDeque<Duration>,
    annunciations: u64,
    chatters: u64,
    unannounced: u64,
    flood: Option<Flood>,
    floods: u64,
    in_flood: Duration,
    /// Most annunciations within ten minutes.
    peak: usize,
}

/// What is to be counted of one machine.
#[derive(Clone, Debug, Default)]
struct Counted {
    state: Option<State>,
    annunciations: u64,
    /// When its newest transitions happened.
    newest: Deque<Duration, CHATTER>,
    chatters: u64,
}

/// Many machines that fail together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    pub since: Timestamp,
    /// Machines that have raised an alarm since it began, or just before.
    pub machines: Vec<Name>,
    began: Duration,
}

/// What became of one transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It asks for attention and is to be announced to people. In a flood the summary stands for it, and chatter is only
    /// counted.
    pub announced: bool,
    /// The flood has just begun, grown or ended.
    pub flood_changed: bool,
}

/// The measures at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub annunciations: u64,
    pub last_hour: usize,
    pub last_ten_minutes: usize,
    pub peak_ten_minutes: usize,
    pub chatters: u64,
    pub unannounced: u64,
    pub floods: u64,
    /// Share of the time since the start.
    pub time_in_flood: f64,
    /// Open for longer than a day, and not on the shelf.
    pub stale: Vec<Name>,
    /// Machines that have chattered, the worst first.
    pub chattering: Vec<(Name, u64)>,
    /// Machines with the most annunciations, the worst first.
    pub top: Vec<(Name, u64)>,
}

impl Performance {
    /// Takes one transition of a machine.
    pub fn observe(&mut self, machine: &Name, transition: &Transition, now: Now) -> Verdict {
        let counted = self.machines.entry(machine.clone()).or_default();
        let before = counted.state.replace(transition.state);
        let chatters = counted.chatters(transition, now.steady);
        self.chatters += u64::from(chatters);
        // What comes back from the shelf or from a suppression was announced when it was raised.
        let raised = transition.state == State::Unacknowledged
            && matches!(before, None | Some(State::Normal | State::ReturnedUnacknowledged));
        if !raised {
            return Verdict { announced: false, flood_changed: self.pass_time(now) };
        }
        counted.annunciations += 1;
        self.annunciations += 1;
        if self.recent.len() >= MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(now.steady);
        let in_flood = self.flood.is_some();
        let changed = self.pass_time(now) | self.join_flood(machine);
        let announced = !in_flood && !chatters;
        self.unannounced += u64::from(!announced);
        Verdict { announced, flood_changed: changed }
    }

    /// Takes where a machine's alarm stood before a restart.
    pub fn resume(&mut self, machine: &Name, standing: &Standing) {
        self.machines.entry(machine.clone()).or_default().state = Some(standing.state);
    }

    /// Lets time pass; tells whether a flood has begun or ended.
    pub fn pass_time(&mut self, now: Now) -> bool {
        let hour_ago = now.steady.saturating_sub(HOUR);
        while self.recent.front().is_some_and(|at| *at < hour_ago) {
            self.recent.pop_front();
        }
        let rate = self.within(TEN_MINUTES, now.steady);
        self.peak = self.peak.max(rate);
        match &self.flood {
            None if rate >= FLOOD_BEGINS => {
                self.floods += 1;
                self.flood = Some(Flood { since: now.utc, machines: Vec::new(), began: now.steady });
                true
            }
            Some(flood) if rate < FLOOD_ENDS => {
                self.in_flood += now.steady.saturating_sub(flood.began);
                self.flood = None;
                true
            }
            _ => false,
        }
    }

    /// The flood that lasts, if one does.
    pub fn flood(&self) -> Option<&Flood> {
        self.flood.as_ref()
    }

    /// The measures; `standings` are where the machines' alarms stand.
    pub fn report<'s>(&self, standings: impl Iterator<Item = (&'s Name, &'s Standing)>, now: Now) -> Report {
        let lasting = self.flood.as_ref().map_or(Duration::ZERO, |flood| now.steady.saturating_sub(flood.began));
        let open = |standing: &Standing| matches!(standing.state, State::Unacknowledged | State::Acknowledged);
        let old = |standing: &Standing| now.utc.duration_since(standing.raised) > STALE;
        let stale = standings.filter(|(_, standing)| open(standing) && old(standing));
        Report {
            annunciations: self.annunciations,
            last_hour: self.recent.len(),
            last_ten_minutes: self.within(TEN_MINUTES, now.steady),
            peak_ten_minutes: self.peak,
            chatters: self.chatters,
            unannounced: self.unannounced,
            floods: self.floods,
            time_in_flood: (self.in_flood + lasting).as_secs_f64() / now.steady.as_secs_f64().max(1.0),
            stale: stale.map(|(name, _)| name.clone()).take(MOST_NAMED).collect(),
            chattering: self.worst(|counted| counted.chatters),
            top: self.worst(|counted| counted.annunciations),
        }
    }

    fn within(&self, span: Duration, now: Duration) -> usize {
        let from = now.saturating_sub(span);
        self.recent.iter().rev().take_while(|at| **at >= from).count()
    }

    fn join_flood(&mut self, machine: &Name) -> bool {
        let Some(flood) = self.flood.as_mut() else { return false };
        let joins = flood.machines.len() < MOST_NAMED && !flood.machines.contains(machine);
        if joins {
            flood.machines.push(machine.clone());
        }
        joins
    }

    fn worst(&self, count: impl Fn(&Counted) -> u64) -> Vec<(Name, u64)> {
        let counts = self.machines.iter().map(|(name, counted)| (name.clone(), count(counted)));
        let mut worst: Vec<(Name, u64)> = counts.filter(|(_, count)| *count > 0).collect();
        worst.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        worst.truncate(TOP);
        worst
    }
}

impl Counted {
    /// Whether this transition, which nobody has asked for, makes too many within a minute.
    fn chatters(&mut self, transition: &Transition, now: Duration) -> bool {
        if transition.operator.is_some() {
            return false;
        }
        if self.newest.is_full() {
            self.newest.pop_front();
        }
        // There is room: a full deque has just made some.
        let _ = self.newest.push_back(now);
        let chatters =
            self.newest.is_full() && self.newest.front().is_some_and(|first| now.saturating_sub(*first) < MINUTE);
        self.chatters += u64::from(chatters);
        chatters
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// Annunciations within ten minutes at which a flood begins, and below which it ends.
const FLOOD_BEGINS: usize = 10;
const FLOOD_ENDS: usize = 5;
/// Transitions within a minute that are chatter.
const CHATTER: usize = 3;
const TOP: usize = 10;
/// A thousand machines may fail together; nobody reads more names.
const MOST_NAMED: usize = 100;
const MOST_RECENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Action, Alarm, AlarmSettings, Deed};

    fn now(second: u64) -> Now {
        let utc = Timestamp::from_second(1_795_538_400 + second as i64).unwrap();
        Now { utc, steady: Duration::from_secs(second) }
    }

    fn name(number: usize) -> Name {
        Name::parse(&format!("m{number:03}")).unwrap()
    }

    fn fail(alarm: &mut Alarm, at: Now) -> Transition {
        (0..5).find_map(|_| alarm.observe(2.0, at.utc, at.utc)).unwrap()
    }

    fn recover(alarm: &mut Alarm, at: Now) -> Transition {
        (0..5).find_map(|_| alarm.observe(0.1, at.utc, at.utc)).unwrap()
    }

    #[test]
    fn a_hundred_machines_that_fail_together_are_announced_ten_times_and_then_as_one_flood() {
        let mut performance = Performance::default();
        let mut announced = 0;
        for number in 0..100 {
            let mut alarm = Alarm::new(name(number), AlarmSettings::default());
            let at = now(number as u64);
            let verdict = performance.observe(&name(number), &fail(&mut alarm, at), at);
            announced += u64::from(verdict.announced);
            assert_eq!(verdict.flood_changed, number >= 9, "{number}");
        }
        assert_eq!(announced, 10);
        let flood = performance.flood().unwrap();
        assert_eq!((flood.since, flood.machines.len()), (now(9).utc, 91));
        let report = performance.report(std::iter::empty(), now(100));
        assert_eq!((report.annunciations, report.unannounced, report.last_ten_minutes), (100, 90, 100));
        assert!(!performance.pass_time(now(600)) && performance.pass_time(now(697)));
        assert_eq!(performance.flood(), None);
        let report = performance.report(std::iter::empty(), now(1376));
        assert_eq!((report.floods, report.time_in_flood), (1, 0.5));
    }

    #[test]
    fn an_alarm_that_comes_and_goes_within_a_minute_is_counted_as_chatter_and_not_announced() {
        let mut performance = Performance::default();
        let mut alarm = Alarm::new(name(0), AlarmSettings::default());
        let mut announced = Vec::new();
        for second in [0, 10, 20, 30] {
            announced.push(performance.observe(&name(0), &fail(&mut alarm, now(second)), now(second)).announced);
            let returned = recover(&mut alarm, now(second + 5));
            performance.observe(&name(0), &returned, now(second + 5));
        }
        assert_eq!(announced, [true, false, false, false]);
        let report = performance.report(std::iter::empty(), now(60));
        assert_eq!((report.chatters, report.chattering), (6, vec![(name(0), 6)]));
        assert_eq!(report.top, [(name(0), 4)]);
    }

    #[test]
    fn what_a_person_does_is_no_chatter_and_no_annunciation() {
        let mut performance = Performance::default();
        let mut alarm = Alarm::new(name(0), AlarmSettings::default());
        performance.observe(&name(0), &fail(&mut alarm, now(0)), now(0));
        for second in 1..10 {
            for on in [true, false] {
                let deed = Deed::Suppress { on, reason: None };
                let action = Action { operator: "m.ito".into(), episode: None, deed };
                let transition = alarm.act(&action, now(second).utc).unwrap().unwrap();
                assert!(!performance.observe(&name(0), &transition, now(second)).announced);
            }
        }
        let report = performance.report(std::iter::empty(), now(60));
        assert_eq!((report.annunciations, report.chatters), (1, 0));
    }

    #[test]
    fn an_alarm_that_stands_for_a_day_is_stale() {
        let mut alarm = Alarm::new(name(0), AlarmSettings::default());
        let standing = fail(&mut alarm, now(0));
        let performance = Performance::default();
        let stale = |second| performance.report([(&name(0), &standing)].into_iter(), now(second)).stale;
        assert!(stale(86_000).is_empty());
        assert_eq!(stale(86_401), [name(0)]);
    }
}
