/// Where a channel's values lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub median: f64,
    /// The median distance from the median over that of a normal variable of deviation 1; the plain standard deviation where
    /// more than half of the values are equal.
    pub deviation: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Spread {
    /// Of the values that are there; all zero where none is.
    pub fn of(values: &[f64]) -> Self {
        let mut there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        let (Some(median), false) = (median(&mut there), there.is_empty()) else { return Self::default() };
        // The median has sorted them.
        let (lowest, highest) = (there[0], there[there.len() - 1]);
        let mut distances: Vec<f64> = there.iter().map(|value| (value - median).abs()).collect();
        let robust = self::median(&mut distances).unwrap_or(0.0) / MEDIAN_DISTANCE;
        let deviation = if robust > 0.0 { robust } else { standard_deviation(&there) };
        Self { median, deviation, lowest, highest }
    }
}

/// The mean of the values that are there.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    let (sum, count) = values.iter().filter(|it| !it.is_nan()).fold((0.0, 0u32), |(sum, n), it| (sum + it, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle)?;
    Some(if values.len() % 2 == 1 { *upper } else { values[middle - 1] / 2.0 + upper / 2.0 })
}

fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values).unwrap_or(0.0);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Of a standard normal variable.
const MEDIAN_DISTANCE: f64 = 0.674_489_750_196_082;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wild_values_do_not_widen_the_deviation() {
        let mut values: Vec<f64> = (0..101).map(f64::from).collect();
        let calm = Spread::of(&values);
        assert_eq!((calm.median, calm.lowest, calm.highest), (50.0, 0.0, 100.0));
        assert!((calm.deviation - 25.0 / 0.6745).abs() < 0.01);
        values[..10].fill(1e6);
        assert!(Spread::of(&values).deviation < 1.5 * calm.deviation);
    }

    #[test]
    fn a_channel_that_mostly_rests_has_a_deviation_all_the_same() {
        assert_eq!(Spread::of(&[0.0, 0.0, 0.0, 4.0]).deviation, 3f64.sqrt());
        assert_eq!(Spread::of(&[5.0, 5.0, f64::NAN]).deviation, 0.0);
        assert_eq!(Spread::of(&[f64::NAN]), Spread::default());
    }
}
