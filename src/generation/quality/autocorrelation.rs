use super::windows::{WindowSet, moments};

/// Mean absolute difference of the autocorrelations of each channel at each lag, without unit.
pub(super) fn difference(one: &WindowSet, other: &WindowSet) -> f64 {
    let (one, other) = (of(one), of(other));
    let differences: Vec<f64> = one.iter().flatten().zip(other.iter().flatten()).map(|(a, b)| (a - b).abs()).collect();
    differences.iter().sum::<f64>() / differences.len() as f64
}

/// Per channel the autocorrelation at the lags 1, 2, …, up to half a window, 24 at most, pooled over windows: deviations
/// are from the channel's mean in the set, products stay within a window.
pub(super) fn of(set: &WindowSet) -> Vec<Vec<f64>> {
    let (width, lags) = (set.channels.len(), (set.rows / 2).clamp(1, MOST_LAGS));
    let autocorrelations = |channel| {
        let (mean, deviation) = moments(&set.channel(channel));
        let at = |lag: usize| {
            let products = set.windows.iter().flat_map(|window| {
                let value = move |row: usize| window.values[row * width + channel] - mean;
                (lag..set.rows).map(move |row| value(row) * value(row - lag))
            });
            let count = (set.windows.len() * (set.rows - lag)) as f64;
            products.sum::<f64>() / count / deviation.powi(2)
        };
        (1..=lags).map(|lag| if deviation > 0.0 { at(lag) } else { 0.0 }).collect()
    };
    (0..width).map(autocorrelations).collect()
}

const MOST_LAGS: usize = 24;
