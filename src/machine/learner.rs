use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CalibrationLength, DEFAULT_CADENCE};
use crate::acquisition::Name;
use crate::detection::{ChannelProfile, Role};
use crate::manipulation::Limits;

/// The rows of a machine that has yet to learn what is normal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Learner {
    pub rows: Vec<Vec<f64>>,
    pub times: Vec<Timestamp>,
}

impl Learner {
    pub fn take(&mut self, row: &[f64], time: Timestamp) {
        self.rows.push(row.to_vec());
        self.times.push(time);
    }

    pub fn has_enough(&self, length: CalibrationLength) -> bool {
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

/// The channels of a machine of no kind: what it reports.
pub(super) fn learned(names: &[Name]) -> Vec<ChannelProfile> {
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
pub(super) fn usual_cadence(times: &[Timestamp]) -> Duration {
    let mut steps: Vec<Duration> = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]))
        .filter(|step| step.is_positive())
        .map(|step| step.unsigned_abs())
        .collect();
    steps.sort();
    steps.get(steps.len() / 2).copied().unwrap_or(DEFAULT_CADENCE)
}

/// Fewer rows than this tell nothing, however long they span.
const FEWEST_ROWS: usize = 50;
/// More rows than these are not written down every few minutes.
pub(super) const MOST_ROWS_CARRIED: usize = 4096;
/// More than this is kept of no machine, however long its calibration is to span.
pub const MOST_CALIBRATION_ROWS: usize = 100_000;
/// Nor more values than this: 8 MiB, and a fit that keeps its neighbours waiting for a moment only.
const MOST_CALIBRATION_VALUES: usize = 1024 * 1024;
