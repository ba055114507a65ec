//! Kinds that hit single rows of a span at random: `dropout`, `spike-burst`.

use rand_chacha::ChaCha8Rng;

use super::super::normal::uniform;
use super::canvas::Stretch;
use super::course::below;

/// Values that never came. The first row of the span is always one of them.
pub(super) fn dropout(stretch: &mut Stretch<'_>, random: &mut ChaCha8Rng) {
    let share = stretch.size;
    for (n, value) in stretch.span().iter_mut().enumerate() {
        if uniform(random) < share || n == 0 {
            *value = f64::NAN;
        }
    }
}

/// Values that are off, up or down, in single rows; in one at least.
pub(super) fn spike_burst(stretch: &mut Stretch<'_>, random: &mut ChaCha8Rng) {
    let (size, rate) = (stretch.size, stretch.details.rate);
    let certain = below(stretch.rows.len(), random);
    for (n, value) in stretch.span().iter_mut().enumerate() {
        let [hit, side] = [(); 2].map(|()| uniform(random));
        if hit < rate || n == certain {
            *value += if side < 0.5 { size } else { -size };
        }
    }
}
