//! The kind that leaves values alone and moves their stamps: `clock-skew`.

/// A clock that runs at another rate, until it is set right again after the span; gives how many stamps it moves.
pub(super) fn skew(shifts: &mut [f64], size: f64) -> usize {
    let length = shifts.len() as f64;
    for (n, shift) in shifts.iter_mut().enumerate() {
        *shift += size * (n + 1) as f64 / length;
    }
    if size == 0.0 { 0 } else { shifts.len() }
}
