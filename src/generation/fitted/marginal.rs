use serde::{Deserialize, Serialize};

use crate::manipulation::quantile;

/// How values of one distribution become values of another: each quantile of the one is that of the other, straight in between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marginal {
    from: Vec<f32>,
    to: Vec<f32>,
}

impl Marginal {
    /// From what a model makes to what was measured, each sorted.
    pub fn between(made: &[f64], measured: &[f64]) -> Self {
        let mut marginal = Self::default();
        for knot in 0..=KNOTS {
            let q = knot as f64 / KNOTS as f64;
            let (from, to) = (quantile(made, q) as f32, quantile(measured, q) as f32);
            // A line needs two points that lie apart.
            if marginal.from.last().is_none_or(|last| from > *last) {
                marginal.from.push(from);
                marginal.to.push(to);
            }
        }
        marginal
    }

    pub fn map(&self, value: f64) -> f64 {
        let (Some(first), Some(last)) = (self.from.first(), self.from.last()) else { return value };
        let (first, last) = (f64::from(*first), f64::from(*last));
        // Beyond all that was seen it goes on as it came.
        if value <= first {
            return f64::from(self.to[0]) + value - first;
        }
        if value >= last {
            return f64::from(self.to[self.to.len() - 1]) + value - last;
        }
        let above = self.from.partition_point(|from| f64::from(*from) <= value);
        let (low, high) = (f64::from(self.from[above - 1]), f64::from(self.from[above]));
        let (to_low, to_high) = (f64::from(self.to[above - 1]), f64::from(self.to[above]));
        to_low + (to_high - to_low) * (value - low) / (high - low)
    }

    pub fn is_whole(&self) -> bool {
        self.from.len() == self.to.len()
            && self.from.windows(2).all(|pair| pair[0] < pair[1])
            && self.from.iter().chain(&self.to).all(|value| value.is_finite())
    }
}

const KNOTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_distributed_as_what_was_measured() {
        let made: Vec<f64> = (0..=1000).map(|i| f64::from(i) / 1000.0).collect();
        let measured: Vec<f64> = made.iter().map(|value| value * value * 4.0 - 1.0).collect();
        let marginal = Marginal::between(&made, &measured);
        for value in &made {
            assert!((marginal.map(*value) - (value * value * 4.0 - 1.0)).abs() < 0.01);
        }
        assert!((marginal.map(1.5) - 3.5).abs() < 1e-6);
        assert!((marginal.map(-0.5) + 1.5).abs() < 1e-6);
    }

    #[test]
    fn a_distribution_of_few_values_is_mapped_onto_them() {
        let made: Vec<f64> = (0..=1000).map(|i| f64::from(i) / 1000.0).collect();
        let measured: Vec<f64> = (0..=1000).map(|i| f64::from(u8::from(i > 700))).collect();
        let marginal = Marginal::between(&made, &measured);
        let ones = made.iter().filter(|value| marginal.map(**value) > 0.5).count();
        assert!((280..320).contains(&ones), "{ones}");
    }
}
