use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CalibrationLength, DEFAULT_CADENCE};
use crate::acquisition::Name;
use crate::detection::ChannelProfile;

/// The rows of a machine that has yet to learn what is normal.
///
/// They lie behind one another in one piece: thousands of machines may learn at the same time, and a piece of memory for each
/// row takes half as much again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub(super) struct Learner {
    values: Vec<f64>,
    /// Of every row; a channel that came later has no value in those before.
    width: usize,
    times: Vec<Timestamp>,
}

/// How they are written down.
#[derive(Serialize, Deserialize)]
struct Rows {
    rows: Vec<Vec<f64>>,
    times: Vec<Timestamp>,
}

impl Learner {
    pub fn take(&mut self, row: &[f64], time: Timestamp) {
        if row.len() > self.width {
            self.widen(row.len());
        }
        if self.times.len() == self.times.capacity() {
            self.values.reserve_exact(ROWS_AT_ONCE * self.width);
            self.times.reserve_exact(ROWS_AT_ONCE);
        }
        self.values.extend_from_slice(row);
        self.times.push(time);
        self.values.resize(self.times.len() * self.width, f64::NAN);
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn has_enough(&self, length: CalibrationLength) -> bool {
        match length {
            _ if self.len() >= MOST_CALIBRATION_ROWS => true,
            _ if self.values.len() >= MOST_CALIBRATION_VALUES => true,
            CalibrationLength::Samples(samples) => self.len() >= samples,
            CalibrationLength::Span(span) => {
                let spanned =
                    self.times.first().zip(self.times.last()).map(|(first, last)| last.duration_since(*first));
                spanned.is_some_and(|spanned| spanned.unsigned_abs() >= span) && self.len() >= FEWEST_ROWS
            }
        }
    }

    /// The rows, each `width` wide, and their times.
    pub fn into_rows(self, width: usize) -> (Vec<Vec<f64>>, Vec<Timestamp>) {
        let row = |index: usize| {
            let mut row = self.values[index * self.width..(index + 1) * self.width].to_vec();
            row.resize(width, f64::NAN);
            row
        };
        ((0..self.times.len()).map(row).collect(), self.times)
    }

    fn widen(&mut self, width: usize) {
        let before = std::mem::take(&mut self.values);
        for row in before.chunks(self.width.max(1)) {
            self.values.extend_from_slice(row);
            self.values.resize(self.values.len() + width - self.width, f64::NAN);
        }
        self.width = width;
        self.values.resize(self.times.len() * width, f64::NAN);
    }
}

impl From<Rows> for Learner {
    fn from(Rows { rows, times }: Rows) -> Self {
        let mut learner = Self::default();
        for (row, time) in rows.iter().zip(times) {
            learner.take(row, time);
        }
        learner
    }
}

impl From<Learner> for Rows {
    fn from(learner: Learner) -> Self {
        let width = learner.width;
        let (rows, times) = learner.into_rows(width);
        Self { rows, times }
    }
}

/// The channels of a machine of no kind: what it reports.
pub(super) fn learned(names: &[Name]) -> Vec<ChannelProfile> {
    names.iter().cloned().map(ChannelProfile::of).collect()
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
/// Memory is taken for so many at a time.
const ROWS_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_from_before_a_channel_came_have_no_value_there() {
        let mut learner = Learner::default();
        let time = |second| Timestamp::from_second(second).unwrap();
        for (second, row) in [&[][..], &[1.0], &[2.0, 3.0], &[4.0], &[5.0, 6.0, 7.0]].into_iter().enumerate() {
            learner.take(row, time(second as i64));
        }
        let written = postcard::to_allocvec(&learner).unwrap();
        let again: Learner = postcard::from_bytes(&written).unwrap();
        for learner in [learner, again] {
            assert_eq!(learner.len(), 5);
            let (rows, times) = learner.into_rows(4);
            assert_eq!(times, [0, 1, 2, 3, 4].map(time));
            let shown: Vec<String> = rows.iter().map(|row| format!("{row:?}").replace("NaN", "-")).collect();
            assert_eq!(
                shown,
                ["[-, -, -, -]", "[1.0, -, -, -]", "[2.0, 3.0, -, -]", "[4.0, -, -, -]", "[5.0, 6.0, 7.0, -]"]
            );
        }
    }
}
