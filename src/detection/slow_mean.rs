use serde::{Deserialize, Serialize};

/// Where a slow channel has been of late: its exponentially weighted mean, which is taken from each reading before it is judged.
/// What is left is how fast it moves, and not where it has come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SlowMean {
    /// Of the newest reading.
    weight: f64,
    state: SlowMeanMemory,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SlowMeanMemory {
    mean: f64,
    /// Readings so far.
    count: u64,
}

impl SlowMean {
    pub fn new(weight: f64) -> Self {
        Self { weight, state: SlowMeanMemory::NOTHING }
    }

    /// Takes the newest reading, NaN where there is none, and gives what is left of it.
    pub fn observe(&mut self, value: f64) -> f64 {
        if !value.is_nan() {
            let state = &mut self.state;
            state.count = state.count.saturating_add(1);
            // Until it has seen as many readings as it remembers, all of them count alike.
            state.mean += self.weight.max(1.0 / state.count as f64) * (value - state.mean);
        }
        value - self.state.mean
    }

    /// What would be left of a reading.
    pub fn left_of(&self, value: f64) -> f64 {
        if self.state.count == 0 { 0.0 } else { value - self.state.mean }
    }

    pub fn mean(&self) -> f64 {
        self.state.mean
    }

    /// Starts anew: the machine stood, and its temperatures are elsewhere.
    pub fn reset(&mut self) {
        self.state = SlowMeanMemory::NOTHING;
    }

    pub fn memory(&self) -> SlowMeanMemory {
        self.state
    }

    pub fn recall(&mut self, memory: SlowMeanMemory) {
        if memory.mean.is_finite() {
            self.state = memory;
        }
    }
}

impl SlowMeanMemory {
    const NOTHING: Self = Self { mean: 0.0, count: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_climb_leaves_little_and_a_jump_leaves_all_of_itself_at_first() {
        let mut mean = SlowMean::new(0.02);
        let left: Vec<f64> =
            (0..2000).map(|t| mean.observe(40.0 + 0.001 * f64::from(t) + if t < 1000 { 0.0 } else { 5.0 })).collect();
        assert_eq!(left[0], 0.0);
        assert!(left[..1000].iter().all(|left| left.abs() < 0.06), "a climb by one of them");
        assert!(left[1000] > 4.8 && left[1010] > 3.5 && left[1300] < 0.1);
    }

    #[test]
    fn readings_that_are_missing_change_nothing() {
        let mut mean = SlowMean::new(0.1);
        (0..50).for_each(|t| {
            mean.observe(f64::from(t % 3));
        });
        let before = mean.memory();
        assert!(mean.observe(f64::NAN).is_nan());
        assert_eq!(mean.memory(), before);
    }
}
