/// Kolmogorov's and Smirnov's distance of two samples: the largest gap between their distribution functions, 0 to 1.
pub(super) fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> f64 {
    let mut largest: f64 = 0.0;
    walk(one, other, |gap, _| largest = largest.max(gap));
    largest
}

/// Wasserstein's first distance, the area between the distribution functions, in the unit of the values (Ramdas et al.,
/// Entropy 19, 2017, equation 7 with p = 1).
pub(super) fn wasserstein(one: &[f64], other: &[f64]) -> f64 {
    let mut area = 0.0;
    walk(one, other, |gap, step| area += gap * step);
    area
}

/// Goes over the values of both samples in order and tells the gap of the distribution functions after each, and how far
/// the next value is.
fn walk(one: &[f64], other: &[f64], mut tell: impl FnMut(f64, f64)) {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (one, other) = (sorted(one), sorted(other));
    let (mut i, mut j) = (0, 0);
    while i < one.len() || j < other.len() {
        let next = |i: usize, j: usize| match (one.get(i), other.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => f64::NAN,
        };
        let value = next(i, j);
        i += one[i..].iter().take_while(|it| **it <= value).count();
        j += other[j..].iter().take_while(|it| **it <= value).count();
        let gap = (i as f64 / one.len() as f64 - j as f64 / other.len() as f64).abs();
        let after = next(i, j);
        tell(gap, if after.is_nan() { 0.0 } else { after - value });
    }
}
