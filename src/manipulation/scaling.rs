use serde::{Deserialize, Serialize};

/// How a machine's values become the scaled columns that a network was trained on: `(value − centre) / scale`, clipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// In the channel's unit.
    pub centre: Vec<f64>,
    /// In the channel's unit; positive.
    pub scale: Vec<f64>,
    /// Scaled values lie within ±`clip`.
    pub clip: f64,
}

impl Scaling {
    /// Robust scaling from a machine's own rows: the median, and (q90 − q10) / 2.563, which is the standard deviation of
    /// a normal distribution, but no less than the channel's `floor`.
    ///
    /// `values` holds one channel's values after another's, each sorted and without NaN.
    pub fn robust<'v>(channels: impl IntoIterator<Item = (&'v [f64], f64)>, clip: f64) -> Self {
        let (centre, scale) = channels
            .into_iter()
            .map(|(sorted, floor)| {
                let spread = (quantile(sorted, 0.9) - quantile(sorted, 0.1)) / NORMAL_SPREAD;
                (quantile(sorted, 0.5), spread.max(floor).max(f64::MIN_POSITIVE))
            })
            .unzip();
        Self { centre, scale, clip }
    }

    pub fn scaled(&self, channel: usize, value: f64) -> f64 {
        ((value - self.centre[channel]) / self.scale[channel]).clamp(-self.clip, self.clip)
    }
}

/// The `q`-quantile of sorted values with linear interpolation between neighbours; 0 of none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q * last as f64;
    let below = at.floor() as usize;
    let above = sorted[(below + 1).min(last)];
    sorted[below] + (above - sorted[below]) * (at - at.floor())
}

/// Between the 10 % and the 90 % quantile of a normal distribution lie this many standard deviations.
const NORMAL_SPREAD: f64 = 2.563;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robust_scaling_takes_median_and_spread_but_never_less_than_the_floor() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        let flat = [5.0; 10];
        let scaling = Scaling::robust([(sorted.as_slice(), 1.0), (&flat, 0.25), (&[], 0.0)], 12.0);
        assert_eq!(scaling.centre, [50.0, 5.0, 0.0]);
        assert!((scaling.scale[0] - 80.0 / NORMAL_SPREAD).abs() < 1e-12);
        assert_eq!(scaling.scale[1], 0.25);
        assert!(scaling.scale[2] > 0.0);
    }

    #[test]
    fn a_scaled_value_is_clipped() {
        let scaling = Scaling { centre: vec![1.0], scale: vec![2.0], clip: 12.0 };
        assert_eq!(scaling.scaled(0, 5.0), 2.0);
        assert_eq!(scaling.scaled(0, 1e9), 12.0);
        assert_eq!(scaling.scaled(0, f64::NEG_INFINITY), -12.0);
    }
}
