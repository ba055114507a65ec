use serde::{Deserialize, Serialize};

/// When a score is an alarm's condition. Delays are counted in samples, so that a recording played at any speed, and a
/// clock that steps, lead to the same alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConditionSettings {
    /// On-delay: samples above the limit …
    pub raise_after: u32,
    /// … among so many in a row, 64 at most; no more than `raise_after`: all of them.
    pub raise_within: u32,
    /// Off-delay: samples in a row below `clear_below`.
    pub clear_after: u32,
    /// Deadband: the part of the limit below which an alarm may clear.
    pub clear_below: f64,
    /// An alarm clears too when the score stays below this part of the episode's own peak …
    pub collapse_below: f64,
    /// … and not far from the limit …
    pub collapse_limit: f64,
    /// … for so many samples: the machine came back to a normal that has drifted a little.
    pub collapse_after: u32,
    /// After such a return the limit starts at this multiple of the score at clearing and sinks back with the score.
    pub rearm: f64,
}

impl Default for ConditionSettings {
    fn default() -> Self {
        Self {
            raise_after: 5,
            raise_within: 5,
            clear_after: 5,
            clear_below: 0.7,
            collapse_below: 0.3,
            collapse_limit: 1.5,
            collapse_after: 15,
            rearm: 1.75,
        }
    }
}

/// Where a condition stands between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionMemory {
    holds: bool,
    run: u32,
    above: u64,
    collapsed: u32,
    peak: f64,
    limit: f64,
}

/// Follows a score and tells whether the alarm's condition holds: on-delay, deadband, off-delay and re-arming.
#[derive(Clone, Debug)]
pub struct Condition {
    settings: ConditionSettings,
    holds: bool,
    /// Samples in a row that speak for a change.
    run: u32,
    /// Which of the newest samples were above the limit, the newest in the lowest bit.
    above: u64,
    /// Samples in a row far below the episode's peak.
    collapsed: u32,
    peak: f64,
    /// What the score must exceed to raise; at least 1.
    limit: f64,
}

impl Condition {
    pub fn new(settings: ConditionSettings) -> Self {
        Self { settings, holds: false, run: 0, above: 0, collapsed: 0, peak: 0.0, limit: 1.0 }
    }

    /// A condition that was already met before a restart.
    pub fn resumed(settings: ConditionSettings, peak: f64) -> Self {
        Self { holds: true, peak, ..Self::new(settings) }
    }

    pub fn memory(&self) -> ConditionMemory {
        let Self { holds, run, above, collapsed, peak, limit, .. } = *self;
        ConditionMemory { holds, run, above, collapsed, peak, limit }
    }

    /// Takes back where it stood, unless the alarm has told since that it stands elsewhere; a `silent` alarm has told nothing.
    pub fn recall(&mut self, memory: ConditionMemory, silent: bool) {
        let ConditionMemory { holds, run, above, collapsed, peak, limit } = memory;
        if holds == self.holds || silent {
            *self = Self { settings: self.settings, holds, run, above, collapsed, peak, limit };
        }
    }

    /// Goes on under other settings where it stands.
    pub fn set(&mut self, settings: ConditionSettings) {
        self.settings = settings;
    }

    /// Takes the newest score and tells whether the condition holds now.
    pub fn observe(&mut self, score: f64) -> bool {
        if self.holds {
            self.observe_while_it_holds(score);
        } else {
            self.limit = self.limit.min((self.settings.rearm * score).max(1.0));
            let above = score > self.limit;
            self.run = if above { self.run.saturating_add(1) } else { 0 };
            self.above = self.above << 1 | u64::from(above);
            if self.run >= self.settings.raise_after || (above && self.enough_of_the_newest()) {
                *self = Self { holds: true, peak: score, ..Self::new(self.settings) };
            }
        }
        self.holds
    }

    pub fn holds(&self) -> bool {
        self.holds
    }

    fn enough_of_the_newest(&self) -> bool {
        let ConditionSettings { raise_after, raise_within, .. } = self.settings;
        let newest = self.above & (u64::MAX >> (64 - raise_within.clamp(1, 64)));
        raise_within > raise_after && newest.count_ones() >= raise_after
    }

    fn observe_while_it_holds(&mut self, score: f64) {
        self.peak = self.peak.max(score);
        self.run = if score < self.settings.clear_below { self.run + 1 } else { 0 };
        let collapsed = score < self.settings.collapse_limit.min(self.settings.collapse_below * self.peak);
        self.collapsed = if collapsed { self.collapsed + 1 } else { 0 };
        if self.run >= self.settings.clear_after {
            *self = Self::new(self.settings);
        } else if self.collapsed >= self.settings.collapse_after {
            *self = Self { limit: (self.settings.rearm * score).max(1.0), ..Self::new(self.settings) };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(scores: impl IntoIterator<Item = f64>) -> Vec<bool> {
        let mut condition = Condition::new(ConditionSettings::default());
        scores.into_iter().map(|score| condition.observe(score)).collect()
    }

    #[test]
    fn a_condition_holds_only_after_the_on_delay() {
        let held = follow([2.0, 2.0, 2.0, 2.0, 0.9, 2.0, 2.0, 2.0, 2.0, 2.0]);
        assert_eq!(held.iter().position(|held| *held), Some(9));
    }

    #[test]
    fn samples_above_the_limit_may_be_asked_for_among_more_than_that_many() {
        let settings = ConditionSettings { raise_after: 3, raise_within: 5, ..ConditionSettings::default() };
        let raises_at = |scores: &[f64]| {
            let mut condition = Condition::new(settings);
            scores.iter().position(|score| condition.observe(*score))
        };
        assert_eq!(raises_at(&[2.0, 0.9, 2.0, 0.9, 2.0]), Some(4));
        assert_eq!(raises_at(&[2.0, 0.9, 0.9, 2.0, 0.9, 2.0, 0.9, 0.9]), None, "three, but not within five");
        assert_eq!(raises_at(&[2.0, 2.0, 0.9, 0.9, 0.9, 2.0, 2.0, 2.0]), Some(7));
    }

    #[test]
    fn a_score_that_dithers_about_the_limit_raises_once() {
        let held = follow([2.0; 5].into_iter().chain((0..3600).map(|t| if t % 2 == 0 { 0.95 } else { 1.05 })));
        assert!(held[5..].iter().all(|held| *held), "it neither clears nor raises again");
    }

    #[test]
    fn a_condition_clears_below_the_deadband_after_the_off_delay() {
        let held = follow([2.0; 5].into_iter().chain([0.8; 20]).chain([0.6; 5]));
        assert_eq!(held.iter().rposition(|held| *held), Some(28));
    }

    #[test]
    fn a_return_to_a_drifted_normal_clears_and_raises_again_only_on_a_new_rise() {
        let held = follow([10.0; 20].into_iter().chain([1.2; 40]).chain([3.0; 5]));
        assert!(!held[20 + 15], "far below its own peak");
        assert!(!held[59], "1.2 is the new normal");
        assert!(held[64], "3.0 is not");
    }

    #[test]
    fn a_fault_that_begins_with_a_blow_is_not_taken_for_a_return_while_it_lasts() {
        let held = follow([50.0; 20].into_iter().chain([3.0; 60]));
        assert!(held[79], "three times the limit is no drifted normal");
    }

    #[test]
    fn after_a_return_the_limit_sinks_back_with_the_score() {
        let held = follow([10.0; 20].into_iter().chain([1.2; 20]).chain([0.4; 5]).chain([1.1; 5]));
        assert!(held[49]);
    }

    proptest! {
        #[test]
        fn whatever_the_score_a_condition_needs_its_delay_to_change(scores in proptest::collection::vec(prop_oneof![0.0f64..2.0, 0.0f64..8.0], 0..400)) {
            let settings = ConditionSettings::default();
            let held = follow(scores.iter().copied());
            for (t, pair) in held.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]) {
                let last = |samples: u32| &scores[(t + 2).saturating_sub(samples as usize)..t + 2];
                if pair[1] {
                    prop_assert!(last(settings.raise_after).len() == 5);
                    prop_assert!(last(settings.raise_after).iter().all(|score| *score > 1.0));
                } else {
                    let cleared = last(settings.clear_after).iter().all(|score| *score < settings.clear_below);
                    let collapsed = last(settings.collapse_after).iter().all(|score| *score < settings.collapse_limit);
                    prop_assert!(cleared || collapsed);
                }
            }
        }
    }
}
