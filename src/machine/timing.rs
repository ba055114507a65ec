use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alarm::{Deficiency, Severity};
use crate::notation::show_duration;

/// How a machine's samples follow one another by their stamps: delays and charts count samples, so that another pace is
/// something to be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Timing {
    newest: Option<Timestamp>,
    /// The pace of the newest samples.
    pace: Pace,
    /// How many of them keep it, and since when.
    count: u32,
    since: Option<Timestamp>,
    /// Which of the newest samples lay before the one before them, the newest in the lowest bit.
    backwards: u64,
    deficient: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Pace {
    #[default]
    Usual,
    Slower,
    Faster,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Flaw {
    /// Samples come at another pace: the time between the newest two of them.
    Pace(Duration),
    Backwards,
}

impl Timing {
    /// Takes the stamp of the newest sample; `usual` is the time between two of them while the machine was calibrated.
    pub fn take(&mut self, time: Timestamp, usual: Duration) {
        let Some(newest) = self.newest.replace(time) else { return };
        let step = time.duration_since(newest);
        self.backwards = self.backwards << 1 | u64::from(step.is_negative());
        if step.is_positive() {
            self.follow(pace_of(step.unsigned_abs(), usual), newest);
        }
        let lasts = self.count >= LASTING;
        let long_enough = self.since.is_some_and(|since| time.duration_since(since) >= span(usual));
        self.deficient = match (self.pace, self.deficient) {
            _ if self.backwards.count_ones() >= MANY_BACKWARDS => Some(Flaw::Backwards),
            (_, Some(Flaw::Backwards)) if self.backwards != 0 => Some(Flaw::Backwards),
            // What waited in a queue comes fast, but not for long by its stamps.
            (Pace::Faster, _) if lasts && long_enough => Some(Flaw::Pace(step.unsigned_abs())),
            (Pace::Slower, _) if lasts => Some(Flaw::Pace(step.unsigned_abs())),
            (Pace::Usual, _) if lasts => None,
            (_, flaw) => flaw,
        };
    }

    pub fn is_deficient(&self) -> bool {
        self.deficient.is_some()
    }

    /// What is to be told of the stamps, if something is.
    pub fn deficiency(&self, usual: Duration) -> Option<Deficiency> {
        let reason = match self.deficient? {
            Flaw::Pace(pace) => format!(
                "samples come every {} and came every {} while the machine was calibrated; check the sender, or calibrate anew. \
                 The score goes on, and its delays count samples",
                show_duration(pace),
                show_duration(usual)
            ),
            Flaw::Backwards => {
                "the times of the samples go backwards again and again; check the sender's clock. The score goes on \
                                in the order in which they came"
                    .to_owned()
            }
        };
        Some(Deficiency { severity: Severity::Low, reason })
    }

    fn follow(&mut self, pace: Pace, since: Timestamp) {
        if pace == self.pace && self.since.is_some() {
            self.count = self.count.saturating_add(1);
        } else {
            (self.pace, self.count, self.since) = (pace, 1, Some(since));
        }
    }
}

fn pace_of(step: Duration, usual: Duration) -> Pace {
    // Of samples that are stamped when they arrive, small steps tell of the network.
    if usual < LEAST_USUAL {
        Pace::Usual
    } else if step >= (ANOTHER_PACE * usual).max(SLOW) {
        Pace::Slower
    } else if ANOTHER_PACE * step <= usual {
        Pace::Faster
    } else {
        Pace::Usual
    }
}

/// How long another pace must last.
fn span(usual: Duration) -> SignedDuration {
    SignedDuration::try_from(LASTING * usual).unwrap_or(SignedDuration::MAX)
}

/// Samples in a row.
const LASTING: u32 = 30;
const ANOTHER_PACE: u32 = 2;
const LEAST_USUAL: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);
/// Of the newest 64: a clock that is set back once is no fault.
const MANY_BACKWARDS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether something is told after each of the samples, whose stamps are so many milliseconds apart.
    fn told(steps: impl IntoIterator<Item = i64>) -> Vec<bool> {
        let mut timing = Timing::default();
        let mut time = Timestamp::from_second(1_795_538_400).unwrap();
        timing.take(time, SECOND);
        let told = steps.into_iter().map(|step| {
            time += SignedDuration::from_millis(step);
            timing.take(time, SECOND);
            timing.is_deficient()
        });
        told.collect()
    }

    #[test]
    fn samples_that_come_ten_times_as_rarely_are_told_of_until_they_come_as_before() {
        let told = told([1000; 100].into_iter().chain([10_000; 50]).chain([1000; 50]));
        assert_eq!((told.iter().position(|told| *told), told.iter().rposition(|told| *told)), (Some(129), Some(178)));
        assert!(told[129..179].iter().all(|told| *told));
    }

    #[test]
    fn samples_that_come_faster_are_told_of_and_a_queue_that_empties_is_not() {
        let faster = told([1000; 100].into_iter().chain([100; 500]));
        assert_eq!(faster.iter().position(|told| *told), Some(399), "after half a minute");
        assert!(!told([1000; 100].into_iter().chain([1; 3600]).chain([1000; 100])).contains(&true));
    }

    #[test]
    fn jitter_and_gaps_are_no_other_pace_and_one_step_back_is_no_fault() {
        assert!(!told((0..2000).map(|t| if t % 7 == 0 { 3000 } else { 400 + 311 * (t % 5) })).contains(&true));
        assert!(!told([1000; 50].into_iter().chain([-3_600_000]).chain([1000; 50])).contains(&true));
    }

    #[test]
    fn times_that_go_backwards_again_and_again_are_told_of() {
        let told = told([1000; 50].into_iter().chain([3000, -1000].repeat(10)).chain([1000; 100]));
        assert_eq!(told.iter().position(|told| *told), Some(55));
        assert!(!told[169]);
    }
}
