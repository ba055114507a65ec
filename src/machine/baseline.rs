use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Fitted;
use crate::detection::{Drift, DriftReport, OutlyingChannel};

/// What a machine is judged against: the rows that it was calibrated on.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub rows: usize,
    /// None where it was learned from a recording without times.
    pub learned: Option<Learned>,
    pub doubt: Option<Doubt>,
}

/// When the rows of a calibration were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Of the rows that look unlike all others, the first and the last.
    pub doubtful: Option<[Timestamp; 2]>,
}

/// Rows of a calibration that look unlike all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// From 1.
    pub from_row: usize,
    pub to_row: usize,
    pub times: Option<[Timestamp; 2]>,
    /// Those that say so, the worst first.
    pub channels: Vec<OutlyingChannel>,
    /// The calibration was fitted without them.
    pub left_out: bool,
}

/// Whether a baseline still holds; the last one that is true counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineState {
    Sound,
    Old,
    /// Some of its rows look unlike all others.
    Doubtful,
    Drifted,
    UnknownRegime,
}

/// A machine's baseline as it stands.
#[derive(Clone, Debug)]
pub struct BaselineReport {
    pub state: BaselineState,
    pub since: Option<Timestamp>,
    pub baseline: Baseline,
    pub drift: DriftReport,
}

impl Baseline {
    pub fn of(fitted: &Fitted) -> Self {
        let learned = fitted.learned.clone();
        let times = learned.as_ref().and_then(|learned| learned.doubtful);
        let doubt = fitted.calibration.outlying().map(|outlying| Doubt {
            from_row: outlying.rows.start + 1,
            to_row: outlying.rows.end,
            times,
            channels: outlying.channels.clone(),
            left_out: outlying.left_out,
        });
        Self { rows: fitted.calibration.rows(), learned, doubt }
    }

    /// `since`: when its drift became what it is.
    pub(super) fn report(&self, drift: DriftReport, since: Option<Timestamp>, now: Timestamp) -> BaselineReport {
        let (state, since) = self.state(drift.drift, since, now);
        BaselineReport { state, since, baseline: self.clone(), drift }
    }

    /// Whether it still holds, and since when that is so.
    pub(super) fn state(
        &self,
        drift: Drift,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> (BaselineState, Option<Timestamp>) {
        let learned = self.learned.as_ref().map(|learned| learned.to);
        let old = learned.map(|learned| learned + OLD).filter(|old| *old <= now);
        match drift {
            Drift::UnknownRegime => (BaselineState::UnknownRegime, since),
            Drift::Drifted => (BaselineState::Drifted, since),
            Drift::None if self.is_doubtful() => (BaselineState::Doubtful, learned),
            Drift::None if old.is_some() => (BaselineState::Old, old),
            Drift::None => (BaselineState::Sound, since.max(learned)),
        }
    }

    /// Rows that look unlike all others count as normal.
    fn is_doubtful(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| !doubt.left_out)
    }
}

impl BaselineState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Old => "old",
            Self::Doubtful => "doubtful",
            Self::Drifted => "drifted",
            Self::UnknownRegime => "unknown_regime",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_row, to_row, times, channels, left_out } = self;
        write!(f, "rows {from_row} to {to_row} of the calibration")?;
        if let Some([from, to]) = times {
            write!(f, " ({from:.0} to {to:.0})")?;
        }
        write!(f, " look unlike all others: ")?;
        for (index, OutlyingChannel { name, deviations }) in channels.iter().enumerate() {
            let direction = if *deviations > 0.0 { "high" } else { "low" };
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {:.1} standard deviations {direction}", deviations.abs())?;
        }
        f.write_str(match left_out {
            true => {
                " and were left out. If they show a regime that the machine goes through, calibrate on more of it, so that it \
                 does not count as a fault"
            }
            false => {
                ". If something was wrong with the machine then, its faults count as sound now: calibrate again on rows \
                 without them. If it was a regime that the machine goes through, calibrate on more of it"
            }
        })
    }
}

/// Half a year: what was learned in winter has not seen a summer.
const OLD: SignedDuration = SignedDuration::from_hours(183 * 24);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquisition::Name;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_795_538_400 + 86_400 * day).unwrap()
    }

    fn report(baseline: &Baseline, drift: Drift, day: i64) -> BaselineReport {
        let drift = DriftReport { drift, window_rows: 3600, realised_rate: None, channels: Vec::new() };
        baseline.report(drift, Some(at(40)), at(day))
    }

    #[test]
    fn the_worst_that_is_true_of_a_baseline_counts_and_says_since_when() {
        let doubt = Doubt { from_row: 1, to_row: 50, times: None, channels: Vec::new(), left_out: false };
        let learned = Learned { from: at(-1), to: at(0), doubtful: None };
        let sound = Baseline { rows: 400, learned: Some(learned), doubt: None };
        let trimmed = Baseline { doubt: Some(Doubt { left_out: true, ..doubt.clone() }), ..sound.clone() };
        let doubtful = Baseline { doubt: Some(doubt), ..sound.clone() };
        for (baseline, drift, day, state, since) in [
            (&sound, Drift::None, 50, BaselineState::Sound, at(40)),
            (&sound, Drift::None, 200, BaselineState::Old, at(183)),
            (&doubtful, Drift::None, 200, BaselineState::Doubtful, at(0)),
            (&trimmed, Drift::None, 50, BaselineState::Sound, at(40)),
            (&doubtful, Drift::Drifted, 200, BaselineState::Drifted, at(40)),
            (&sound, Drift::UnknownRegime, 200, BaselineState::UnknownRegime, at(40)),
        ] {
            let report = report(baseline, drift, day);
            assert_eq!((report.state, report.since), (state, Some(since)));
        }
        let timeless = Baseline { learned: None, ..sound };
        assert_eq!(report(&timeless, Drift::None, 9000).state, BaselineState::Sound, "nobody knows how old it is");
    }

    #[test]
    fn a_doubt_names_rows_times_channels_and_what_to_do() {
        let channel = OutlyingChannel { name: Name::parse("flow").unwrap(), deviations: -6.25 };
        let times = Some([at(0), at(1)]);
        let doubt = Doubt { from_row: 101, to_row: 160, times, channels: vec![channel], left_out: false };
        let left_out = Doubt { left_out: true, ..doubt.clone() }.to_string();
        assert!(left_out.contains("were left out") && left_out.contains("more of it"), "{left_out}");
        let text = doubt.to_string();
        for part in ["rows 101 to 160", "2026-11-24T", "flow 6.2 standard deviations low", "calibrate again"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
