//! Kinds that change the shape and leave the level: `amplitude`, `variance`, `pattern`, `mode-correlation`.

use super::canvas::Stretch;
use super::spread::{Spread, mean};

pub(super) fn amplitude(stretch: &mut Stretch<'_>) {
    let Some(centre) = mean(stretch.span()) else { return };
    for n in 0..stretch.rows.len() {
        let factor = 1.0 + (stretch.size - 1.0) * stretch.presence(n);
        let value = &mut stretch.span()[n];
        *value = centre + factor * (*value - centre);
    }
}

/// The rough part, what is left of a moving mean, is made larger, by so much that noise without memory gets exactly the
/// variance asked for: of such noise 1/n stays in a mean of n rows.
pub(super) fn variance(stretch: &mut Stretch<'_>) {
    let smooth: Vec<Option<f64>> = stretch.rows.clone().map(|row| around(stretch.values, row)).collect();
    let kept = 1.0 / (2 * REACH + 1) as f64;
    for (n, smooth) in smooth.into_iter().enumerate() {
        let wanted = 1.0 + (stretch.size - 1.0) * stretch.presence(n);
        let factor = ((wanted - kept) / (1.0 - kept)).max(0.0).sqrt();
        let Some(smooth) = smooth else { continue };
        let value = &mut stretch.span()[n];
        *value = smooth + factor * (*value - smooth);
    }
}

/// What lies between the middle and the extremes is rammed towards the extremes, which stay.
pub(super) fn pattern(stretch: &mut Stretch<'_>) {
    let Spread { lowest, highest, .. } = Spread::of(stretch.span());
    let (middle, reach) = (lowest / 2.0 + highest / 2.0, highest / 2.0 - lowest / 2.0);
    if reach > 0.0 {
        let (k, whole) = (stretch.size, stretch.size.atan());
        for value in stretch.span() {
            *value = middle + reach * (k * (*value - middle) / reach).atan() / whole;
        }
    }
}

pub(super) fn mode_correlation(stretch: &mut Stretch<'_>) {
    let Some(centre) = mean(stretch.span()) else { return };
    for value in stretch.span() {
        *value = 2.0 * centre - *value;
    }
}

fn around(values: &[f64], row: usize) -> Option<f64> {
    mean(&values[row.saturating_sub(REACH)..(row + REACH + 1).min(values.len())])
}

/// Rows to either side of a moving mean.
const REACH: usize = 4;
