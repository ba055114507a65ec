use ndarray::Array2;

use super::windows::{WindowSet, moments};

/// The correlational score: what the channels' correlation matrices differ by, summed over the lower triangle with its
/// diagonal, over ten (Liao et al., Conditional Sig-Wasserstein GANs, 2020). Without unit.
pub(super) fn difference(one: &WindowSet, other: &WindowSet) -> f64 {
    let (one, other) = (correlations(one), correlations(other));
    let width = one.nrows();
    let places = (0..width).flat_map(|row| (0..=row).map(move |column| [row, column]));
    places.map(|place| (one[place] - other[place]).abs()).sum::<f64>() / 10.0
}

/// `[channel, channel]`; a channel that does not vary correlates with nothing.
fn correlations(set: &WindowSet) -> Array2<f64> {
    let columns: Vec<Vec<f64>> = (0..set.channels.len())
        .map(|channel| {
            let mut values = set.channel(channel);
            let (mean, deviation) = moments(&values);
            let over = if deviation > 0.0 { deviation } else { f64::INFINITY };
            values.iter_mut().for_each(|value| *value = (*value - mean) / over);
            values
        })
        .collect();
    Array2::from_shape_fn((columns.len(), columns.len()), |(i, j)| {
        columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum::<f64>() / columns[i].len() as f64
    })
}
