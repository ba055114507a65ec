use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::console::MachineState;
use crate::acquisition::Name;
use crate::alarm::{Standing, State};
use crate::detection::{Contribution, Direction};
use crate::machine::Told;
use crate::notation::parse_duration;
use crate::publication::AlarmPayload;

/// The alarms of a gateway as somebody at a terminal wants to see them: what is open first, the most urgent above.
#[derive(Default)]
pub(super) struct AlarmList(BTreeMap<Name, Listed>);

/// A machine's newest alarm.
pub(super) struct Listed {
    standing: Standing,
    told: Told,
    /// As it came.
    pub payload: Value,
}

impl AlarmList {
    /// Takes a message of a gateway's; gives the alarm that it tells of if that is news.
    pub fn take(&mut self, payload: &[u8]) -> Option<(&Name, &Listed)> {
        let alarm = AlarmPayload::from_json(payload)?;
        let name = alarm.machine().clone();
        let before = self.0.get(&name).map_or(0, |listed| listed.standing.seq);
        let (standing, told) = alarm.standing();
        let seq = standing.seq;
        if seq >= before {
            let payload = serde_json::from_slice(payload).ok()?;
            self.0.insert(name.clone(), Listed { standing, told, payload });
        }
        self.0.get_key_value(&name).filter(|_| seq > before)
    }

    pub fn knows(&self, machine: &Name) -> bool {
        self.0.contains_key(machine)
    }

    pub fn has_any(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn has_open(&self) -> bool {
        self.0.values().any(Listed::is_open)
    }

    /// The open alarms, or all of them, the most urgent first.
    pub fn sorted(&self, all: bool) -> Vec<(&Name, &Listed)> {
        let mut listed: Vec<_> = self.0.iter().filter(|(_, listed)| all || listed.is_open()).collect();
        listed.sort_by_key(|(_, listed)| listed.rank());
        listed
    }

    /// A table with a line for each alarm; with `all`, one for each machine without an alarm too.
    pub fn to_table(&self, machines: &BTreeMap<String, MachineState>, all: bool, now: Timestamp) -> String {
        let mut rows: Vec<[String; COLUMNS]> = vec![TITLES.map(str::to_owned)];
        rows.extend(self.sorted(all).into_iter().map(|(name, listed)| listed.cells(name, now)));
        if all {
            let silent = machines.iter().filter(|(name, _)| !self.0.contains_key(name.as_str()));
            rows.extend(silent.map(|(name, machine)| {
                let mut cells = [NOTHING; COLUMNS].map(str::to_owned);
                (cells[0], cells[1]) = (name.clone(), machine.state.clone());
                cells
            }));
        }
        let widths: [usize; COLUMNS] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
        let mut table = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                // Writing to a String cannot fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            table.push_str(line.trim_end());
            table.push('\n');
        }
        table.truncate(table.trim_end().len());
        table
    }
}

impl Listed {
    /// One line, for a reader who sees one after the other.
    pub fn to_line(&self, name: &Name, now: Timestamp) -> String {
        self.cells(name, now).join("  ")
    }

    fn is_open(&self) -> bool {
        self.standing.state != State::Normal
    }

    /// The smallest first: a condition that holds before one that does not; then what is worse, what nobody has seen yet, what
    /// is to be answered sooner, and what has lasted longer.
    fn rank(&self) -> impl Ord + use<> {
        let Standing { state, severity, raised, .. } = &self.standing;
        let group = match state {
            State::Unacknowledged | State::Acknowledged => 0,
            State::ReturnedUnacknowledged => 1,
            State::Shelved => 2,
            State::Suppressed => 3,
            State::Normal => 4,
        };
        let urgency = self.told.recommendation.as_ref().and_then(|advice| parse_duration(&advice.urgency).ok());
        (group, Reverse(*severity), *state == State::Acknowledged, urgency.unwrap_or(Duration::MAX), *raised)
    }

    fn cells(&self, name: &Name, now: Timestamp) -> [String; COLUMNS] {
        let Self { standing, told, .. } = self;
        let state = match standing.shelved_until.filter(|_| standing.state == State::Shelved) {
            Some(until) => format!("shelved, {} left", show_age(until.duration_since(now))),
            None => standing.state.as_str().to_owned(),
        };
        let fault = told.diagnosis.faults.first();
        let check = told.recommendation.as_ref().and_then(|advice| advice.first_check());
        [
            name.to_string(),
            state,
            standing.severity.as_str().to_owned(),
            format!("{} ago", show_age(now.duration_since(standing.raised))),
            format!("{:.2}", standing.score),
            show_leading(&told.contributions),
            fault.map_or(NOTHING.to_owned(), |fault| format!("{} {:.0} %", fault.fault, 100.0 * fault.probability)),
            standing.seq.to_string(),
            check.map_or(NOTHING.to_owned(), |check| check.replace(char::is_control, " ")),
        ]
    }
}

/// The channels that lead a score, the first of them always.
fn show_leading(contributions: &[Contribution]) -> String {
    let leading = contributions.iter().enumerate().take(MOST_LEADING);
    let leading = leading.filter(|(place, part)| *place == 0 || part.share >= WORTH_NAMING).map(|(_, part)| {
        let direction = match part.direction {
            Direction::High => "high",
            Direction::Low => "low",
            Direction::Neither => "unsteady",
        };
        format!("{} {direction}", part.channel)
    });
    let leading = leading.collect::<Vec<_>>().join(", ");
    if leading.is_empty() { NOTHING.to_owned() } else { leading }
}

/// A time in its two largest units, cut: `59s`, `1m30s`, `3h59m`, `2d`.
fn show_age(age: SignedDuration) -> String {
    // A clock that is behind the gateway's makes no alarm younger than now.
    let seconds = age.as_secs().max(0);
    let units = [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let largest = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let shown = units[largest..].iter().take(2).enumerate().filter(|(place, (_, count))| *place == 0 || *count > 0);
    shown.map(|(_, (unit, count))| format!("{count}{unit}")).collect()
}

const COLUMNS: usize = 9;
const TITLES: [&str; COLUMNS] =
    ["MACHINE", "STATE", "SEVERITY", "RAISED", "SCORE", "SENSORS", "PROBABLE FAULT", "SEQ", "FIRST CHECK"];
const NOTHING: &str = "-";
const MOST_LEADING: usize = 2;
/// The share of a score from which on a second channel is named.
const WORTH_NAMING: f64 = 0.15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Recommendation;
    use crate::alarm::{Class, Severity};
    use crate::assessment::{Diagnosis, FaultProbability};
    use crate::machine::{Announcement, ModelIdentity};
    use crate::publication::Gateway;

    struct Given {
        machine: &'static str,
        seq: u64,
        state: State,
        severity: Severity,
        /// Seconds.
        raised: i64,
    }

    fn payload(given: &Given) -> Vec<u8> {
        let name = |text| Name::parse(text).unwrap();
        let raised = Timestamp::from_second(given.raised).unwrap();
        let transition = Standing {
            episode: "e".to_owned(),
            seq: given.seq,
            class: Class::Condition,
            state: given.state,
            severity: given.severity,
            score: 1.594,
            raised,
            changed: raised,
            sample_time: raised,
            acknowledged: false,
            shelved_until: (given.state == State::Shelved).then(|| Timestamp::from_second(100_000 + 7300).unwrap()),
            operator: None,
            reason: None,
        };
        let part = |channel, share, direction| Contribution {
            channel: name(channel),
            share,
            direction,
            value: None,
            expected: None,
            unit: None,
        };
        let told = Told {
            contributions: vec![
                part("FS1", 0.6, Direction::Low),
                part("SE", 0.3, Direction::Neither),
                part("TS1", 0.1, Direction::High),
            ],
            diagnosis: Diagnosis {
                faults: vec![FaultProbability { fault: "hydraulic/leak".to_owned(), probability: 0.82 }],
            },
            recommendation: Some(Recommendation {
                playbook: "hydraulic/leak".to_owned(),
                version: "1".to_owned(),
                text: "Flow is low [d1]. First check: Look at the\tcase drain [s3]. More [s1].".to_owned(),
                steps: Vec::new(),
                parts: Vec::new(),
                urgency: "8h".to_owned(),
                sources: Vec::new(),
            }),
        };
        let model = ModelIdentity { name: "m".to_owned(), version: "1".to_owned(), sha256: String::new() };
        let gateway = Gateway { name: name("g1"), config_sha256: String::new() };
        AlarmPayload::new(Announcement { transition, told }, &name(given.machine), model, &gateway).to_json()
    }

    fn list(given: &[Given]) -> AlarmList {
        let mut list = AlarmList::default();
        for given in given {
            list.take(&payload(given));
        }
        list
    }

    const NOW: Timestamp = Timestamp::constant(100_000, 0);

    #[test]
    fn an_alarm_is_one_line_with_all_that_says_what_to_do() {
        let given =
            Given { machine: "rig-1", seq: 3, state: State::Unacknowledged, severity: Severity::High, raised: 99_910 };
        let table = list(&[given]).to_table(&BTreeMap::new(), false, NOW);
        let cells =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
        let rows: Vec<Vec<String>> = table.lines().map(cells).collect();
        assert_eq!(rows[0], TITLES);
        assert_eq!(
            rows[1],
            [
                "rig-1",
                "unacknowledged",
                "high",
                "1m30s ago",
                "1.59",
                "FS1 low, SE unsteady",
                "hydraulic/leak 82 %",
                "3",
                "Look at the case drain"
            ]
        );
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn what_holds_comes_before_what_is_over_and_the_worst_unseen_and_oldest_first() {
        use Severity::{Critical, High, Low};
        use State::{Acknowledged, Normal, ReturnedUnacknowledged, Shelved, Suppressed, Unacknowledged};
        let given = [
            ("sound", Normal, Critical, 1),
            ("muted", Suppressed, Critical, 1),
            ("shelf", Shelved, Critical, 1),
            ("over", ReturnedUnacknowledged, Critical, 1),
            ("seen", Acknowledged, High, 1),
            ("younger", Unacknowledged, High, 3),
            ("older", Unacknowledged, High, 2),
            ("mild", Unacknowledged, Low, 1),
        ];
        let given = given.map(|(machine, state, severity, raised)| Given { machine, seq: 1, state, severity, raised });
        let list = list(&given);
        let names = |all| list.sorted(all).iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        let open = ["older", "younger", "seen", "mild", "over", "shelf", "muted"];
        assert_eq!(names(false), open);
        assert_eq!(names(true), [&open[..], &["sound"]].concat());
        assert!(list.to_table(&BTreeMap::new(), false, NOW).contains("shelved, 2h1m left"));
    }

    #[test]
    fn only_a_newer_transition_is_news_and_an_older_one_changes_nothing() {
        let at = |seq, state| Given { machine: "m", seq, state, severity: Severity::Low, raised: 1 };
        let mut list = list(&[at(2, State::Unacknowledged)]);
        assert!(list.take(&payload(&at(2, State::Unacknowledged))).is_none());
        assert!(list.take(&payload(&at(1, State::Normal))).is_none());
        assert!(list.has_open());
        assert!(list.take(b"{}").is_none());
        let line = list.take(&payload(&at(3, State::Normal))).map(|(name, listed)| listed.to_line(name, NOW));
        assert!(line.is_some_and(|line| line.starts_with("m  normal  low  1d3h ago")));
        assert!(!list.has_open());
    }

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        for (seconds, shown) in
            [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (90, "1m30s"), (14_399, "3h59m"), (172_805, "2d")]
        {
            assert_eq!(show_age(SignedDuration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn machines_that_never_alarmed_are_listed_with_the_rest_when_all_are_asked_for() {
        let machines = [("new".to_owned(), MachineState { state: "learning 3/400".to_owned() })].into();
        let given = [Given { machine: "m", seq: 1, state: State::Normal, severity: Severity::Low, raised: 1 }];
        let table = list(&given).to_table(&machines, true, NOW);
        assert_eq!(table.lines().count(), 3);
        assert!(table.lines().last().is_some_and(|line| line.starts_with("new") && line.contains("learning 3/400")));
    }
}
