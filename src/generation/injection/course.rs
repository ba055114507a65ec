//! Kinds that change when things happen: `frequency`, `pattern-shift`, `cross-channel-break`. Values come from other rows of
//! the same channel.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::super::normal::uniform;
use super::canvas::Stretch;
use super::spread::mean;

/// From the span's first row on, time passes at another speed.
pub(super) fn frequency(stretch: &mut Stretch<'_>) {
    let (start, speed) = (stretch.rows.start as f64, stretch.size);
    moved(stretch, |n| start + n as f64 * speed);
}

/// Each row shows what was so many rows before; at both ends the shift comes and goes evenly.
pub(super) fn pattern_shift(stretch: &mut Stretch<'_>) {
    let (start, length) = (stretch.rows.start as f64, stretch.rows.len());
    let (shift, transition) = (stretch.size, stretch.details.transition);
    moved(stretch, |n| {
        let from_end = (n + 1).min(length - n);
        let share = if transition == 0 { 1.0 } else { (from_end as f64 / transition as f64).min(1.0) };
        start + n as f64 - shift * share
    });
}

/// The span shows another stretch of the recording.
pub(super) fn borrow(stretch: &mut Stretch<'_>, source: usize) {
    let length = stretch.rows.len();
    let other: Vec<f64> = match source {
        // A stretch that overlaps the span is the span itself, turned round by so much.
        turned if stretch.rows.contains(&turned) => {
            let span = &stretch.recorded[stretch.rows.clone()];
            (0..length).map(|n| span[(n + turned - stretch.rows.start) % length]).collect()
        }
        source => stretch.recorded[source..source + length].to_vec(),
    };
    for (value, other) in stretch.span().iter_mut().zip(other) {
        if !other.is_nan() {
            *value = other;
        }
    }
}

/// Where a stretch begins that has little to do with what this channel shows in the rows: of some drawn at random the one
/// that correlates least. Where the recording has no room beside the rows, it lies within them.
pub(super) fn unlike(recorded: &[f64], rows: &Range<usize>, random: &mut ChaCha8Rng) -> usize {
    let length = rows.len();
    let before = (rows.start + 1).saturating_sub(length);
    let after = (recorded.len() + 1).saturating_sub(rows.end + length);
    if before + after == 0 {
        return rows.start + length / 4 + below(length / 2 + 1, random).min(length - 1 - length / 4);
    }
    let drawn = (0..DRAWS).map(|_| match below(before + after, random) {
        start if start < before => start,
        start => rows.end + start - before,
    });
    let likeness = |start: usize| correlation(&recorded[rows.clone()], &recorded[start..start + length]).abs();
    let closest = drawn.min_by(|&one, &other| likeness(one).total_cmp(&likeness(other)));
    closest.unwrap_or(rows.start)
}

/// A whole number below this one.
pub(super) fn below(bound: usize, random: &mut ChaCha8Rng) -> usize {
    ((uniform(random) * bound as f64) as usize).min(bound.saturating_sub(1))
}

/// Pearson's, of the rows where both have a value; 1 where one does not change.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let pairs = || one.iter().zip(other).filter(|(one, other)| !one.is_nan() && !other.is_nan());
    let [first, second]: [Vec<f64>; 2] = [pairs().map(|it| *it.0).collect(), pairs().map(|it| *it.1).collect()];
    let (Some(a), Some(b)) = (mean(&first), mean(&second)) else { return 1.0 };
    let sum = |product: fn(f64, f64) -> f64| first.iter().zip(&second).map(|(x, y)| product(x - a, y - b)).sum::<f64>();
    let scale = (sum(|x, _| x * x) * sum(|_, y| y * y)).sqrt();
    if scale > 0.0 { sum(|x, y| x * y) / scale } else { 1.0 }
}

/// Fills the span with what stood at these places, between two rows with what lies between them. Beyond either end the
/// recording goes on backwards.
fn moved(stretch: &mut Stretch<'_>, place: impl Fn(usize) -> f64) {
    let last = stretch.values.len() - 1;
    let found: Vec<f64> = (0..stretch.rows.len())
        .map(|n| {
            let place = folded(place(n), last as f64);
            let (low, share) = ((place.floor() as usize).min(last), place.fract());
            let (low, high) = (stretch.values[low], stretch.values[(low + 1).min(last)]);
            if share == 0.0 { low } else { low + share * (high - low) }
        })
        .collect();
    for (value, found) in stretch.span().iter_mut().zip(found) {
        if !found.is_nan() {
            *value = found;
        }
    }
}

fn folded(place: f64, last: f64) -> f64 {
    if last == 0.0 {
        return 0.0;
    }
    let turn = place.rem_euclid(2.0 * last);
    if turn > last { 2.0 * last - turn } else { turn }
}

const DRAWS: usize = 32;
