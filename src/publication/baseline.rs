use jiff::Timestamp;
use serde::Serialize;

use super::stamp;
use crate::acquisition::Name;
use crate::detection::{DriftedChannel, PartReport};
use crate::machine::{Baseline, BaselineReport, BaselineState, Doubt};

/// The payload of a machine's `baseline`, retained: what it is judged against, by which parts of the score, and whether that
/// still holds. It is no alarm, and raises and clears none.
#[derive(Clone, Debug, Serialize)]
pub struct BaselinePayload<'p> {
    v: u32,
    gateway: &'p Name,
    machine: &'p Name,
    /// `learning`, `sound`, `old`, `doubtful`, `drifted` or `unknown_regime`.
    state: &'static str,
    #[serde(serialize_with = "stamp::serialize_some")]
    since: Option<Timestamp>,
    text: String,
    calibration: Option<CalibrationPayload>,
    doubt: Option<DoubtPayload>,
    /// Those that have moved furthest, while it has drifted.
    channels: Vec<DriftedChannel>,
    parts: Vec<PartReport>,
}

/// What a machine was calibrated on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CalibrationPayload {
    rows: usize,
    #[serde(serialize_with = "stamp::serialize_some")]
    from: Option<Timestamp>,
    #[serde(serialize_with = "stamp::serialize_some")]
    to: Option<Timestamp>,
    /// None where nobody knows when its rows were taken.
    age_days: Option<i64>,
}

/// Rows of a calibration that look unlike all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoubtPayload {
    /// From 1.
    from_row: usize,
    to_row: usize,
    #[serde(serialize_with = "stamp::serialize_some")]
    from: Option<Timestamp>,
    #[serde(serialize_with = "stamp::serialize_some")]
    to: Option<Timestamp>,
    channels: Vec<DoubtfulChannel>,
    /// The calibration was fitted without these rows.
    left_out: bool,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DoubtfulChannel {
    channel: Name,
    /// How far its mean lies from that of all other rows, in their standard deviations.
    deviations: f64,
}

impl<'p> BaselinePayload<'p> {
    /// Of a machine that has learned what is normal.
    pub fn new(gateway: &'p Name, machine: &'p Name, report: BaselineReport, now: Timestamp) -> Self {
        Self {
            state: report.state.as_str(),
            since: report.since,
            text: text(&report),
            calibration: Some(CalibrationPayload::new(&report.baseline, now)),
            doubt: report.baseline.doubt.as_ref().map(DoubtPayload::new),
            channels: report.drift.channels,
            ..Self::learning(gateway, machine)
        }
    }

    /// Of one that has yet to learn.
    pub fn learning(gateway: &'p Name, machine: &'p Name) -> Self {
        Self {
            v: 1,
            gateway,
            machine,
            state: "learning",
            since: None,
            text: "The machine learns what is normal.".to_owned(),
            calibration: None,
            doubt: None,
            channels: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub fn with_parts(self, parts: Vec<PartReport>) -> Self {
        Self { parts, ..self }
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Texts, finite numbers and lists of such: nothing JSON cannot write.
        serde_json::to_vec(self).expect("a baseline payload is always JSON")
    }
}

impl CalibrationPayload {
    pub fn new(baseline: &Baseline, now: Timestamp) -> Self {
        let learned = baseline.learned.as_ref();
        Self {
            rows: baseline.rows,
            from: learned.map(|learned| learned.from),
            to: learned.map(|learned| learned.to),
            age_days: learned.map(|learned| now.duration_since(learned.to).as_hours().max(0) / 24),
        }
    }
}

impl DoubtPayload {
    pub fn new(doubt: &Doubt) -> Self {
        let channels = doubt.channels.iter();
        Self {
            from_row: doubt.from_row,
            to_row: doubt.to_row,
            from: doubt.times.map(|[from, _]| from),
            to: doubt.times.map(|[_, to]| to),
            channels: channels
                .map(|it| DoubtfulChannel { channel: it.name.clone(), deviations: it.deviations })
                .collect(),
            left_out: doubt.left_out,
            text: doubt.to_string(),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

fn text(report: &BaselineReport) -> String {
    let window = report.drift.window_rows;
    match report.state {
        BaselineState::Sound => "What the machine does looks like what it was calibrated on.".to_owned(),
        BaselineState::Old => {
            "Baseline old: the calibration was made half a year ago or earlier. Calibrate again once the \
                               machine is known to be sound."
                .to_owned()
        }
        BaselineState::Doubtful => report.baseline.doubt.as_ref().map(Doubt::to_string).unwrap_or_default(),
        BaselineState::Drifted => format!(
            "Baseline drifted: for twice {window} rows the machine has not looked as it was calibrated: {}. This is no alarm. If \
             the machine is sound, calibrate again; if nobody knows, look at these channels first.",
            moved(report)
        ),
        BaselineState::UnknownRegime => format!(
            "Not trained for this regime, or a fault that lasts: most of the newest rows, twice {window} of them, lie above the \
             limit: {}. Look at the machine; if it is sound, calibrate again on rows that hold what it does now.",
            moved(report)
        ),
    }
}

fn moved(report: &BaselineReport) -> String {
    let one = |it: &DriftedChannel| match it.scatter {
        Some(scatter) => format!("{} {:+.1} standard deviations, scatter × {scatter:.1}", it.channel, it.level),
        None => format!("{} {:+.1} standard deviations", it.channel, it.level),
    };
    let rate = 100.0 * report.drift.realised_rate.unwrap_or_default();
    match report.drift.channels.as_slice() {
        [] => format!("no channel by itself, but {rate:.0} % of the rows outside alarms lie above the limit"),
        channels => channels.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Drift, DriftReport};
    use crate::machine::Learned;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_538_400 + second).unwrap()
    }

    fn report(state: BaselineState, drift: Drift, channels: Vec<DriftedChannel>) -> BaselineReport {
        let learned = Learned { from: at(0), to: at(400), doubtful: None };
        let baseline = Baseline { rows: 400, learned: Some(learned), doubt: None };
        let drift = DriftReport { drift, window_rows: 3600, realised_rate: Some(0.2), channels };
        BaselineReport { state, since: Some(at(9000)), baseline, drift }
    }

    #[test]
    fn a_drift_says_which_channels_since_when_and_what_to_do() {
        let names = ["g1", "m1", "t"].map(|name| Name::parse(name).unwrap());
        let moved = DriftedChannel { channel: names[2].clone(), level: 3.125, scatter: Some(1.2) };
        let report = report(BaselineState::Drifted, Drift::Drifted, vec![moved]);
        let payload = BaselinePayload::new(&names[0], &names[1], report, at(3 * 86_400));
        let json: serde_json::Value = serde_json::from_slice(&payload.to_json()).unwrap();
        assert_eq!((&json["state"], &json["since"]), (&"drifted".into(), &"2026-11-24T19:10:00.000Z".into()));
        assert_eq!(json["calibration"]["age_days"], 2);
        assert_eq!(json["channels"][0]["channel"], "t");
        let text = json["text"].as_str().unwrap();
        assert!(text.contains("t +3.1 standard deviations") && text.contains("calibrate again"), "{text}");
    }

    #[test]
    fn every_state_has_words_of_its_own() {
        let of = |state, drift| text(&report(state, drift, Vec::new()));
        assert!(of(BaselineState::Old, Drift::None).contains("half a year"));
        assert!(of(BaselineState::Drifted, Drift::Drifted).contains("20 % of the rows"));
        assert!(of(BaselineState::UnknownRegime, Drift::UnknownRegime).contains("Not trained for this regime"));
        assert!(of(BaselineState::Sound, Drift::None).contains("looks like"));
    }
}
