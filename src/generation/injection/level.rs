//! Kinds that move the level: `mean`, `trend`, `drift`, `platform`, `stuck`, `extremum`.

use rand_chacha::ChaCha8Rng;

use super::super::normal::standard_normal;
use super::canvas::Stretch;

pub(super) fn mean(stretch: &mut Stretch<'_>) {
    for n in 0..stretch.rows.len() {
        let offset = stretch.size * stretch.presence(n);
        stretch.span()[n] += offset;
    }
}

pub(super) fn trend(stretch: &mut Stretch<'_>) {
    let (length, size) = (stretch.rows.len() as f64, stretch.size);
    for (n, value) in stretch.span().iter_mut().enumerate() {
        *value += size * (n + 1) as f64 / length;
    }
}

/// Steps of uneven length in one direction, which together make the size.
pub(super) fn drift(stretch: &mut Stretch<'_>, random: &mut ChaCha8Rng) {
    let steps: Vec<f64> = stretch.rows.clone().map(|_| standard_normal(random).abs()).collect();
    let all: f64 = steps.iter().sum();
    let (size, mut gone) = (stretch.size, 0.0);
    for (value, step) in stretch.span().iter_mut().zip(steps) {
        gone += step;
        *value += size * gone / all;
    }
}

/// The size is the level itself here.
pub(super) fn platform(stretch: &mut Stretch<'_>) {
    let level = stretch.size;
    stretch.span().fill(level);
}

/// A sensor that hangs repeats what it last told; one that hangs from the start, its first value.
pub(super) fn stuck(stretch: &mut Stretch<'_>) {
    let before = stretch.values[..stretch.rows.start].iter().rev().find(|value| !value.is_nan());
    let first = || stretch.values[stretch.rows.clone()].iter().find(|value| !value.is_nan());
    let Some(level) = before.or_else(first).map(|value| value + stretch.size) else { return };
    stretch.span().fill(level);
}

/// One value beyond all others, or beyond those of the rows around it.
pub(super) fn extremum(stretch: &mut Stretch<'_>) {
    let start = stretch.rows.start;
    let (mut lowest, mut highest) = (stretch.spread.lowest, stretch.spread.highest);
    if let Some(context) = stretch.details.context {
        let around =
            start.saturating_sub(context)..start.saturating_add(context).saturating_add(1).min(stretch.values.len());
        let there = || stretch.values[around.clone()].iter().copied().filter(|value| !value.is_nan());
        (lowest, highest) = (there().fold(f64::INFINITY, f64::min), there().fold(f64::NEG_INFINITY, f64::max));
    }
    let value = if stretch.size < 0.0 { lowest } else { highest } + stretch.size;
    stretch.span().fill(value);
}
