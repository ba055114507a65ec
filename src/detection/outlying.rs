use std::ops::Range;

use super::distance::upper_quantile;

/// The stretch of a calibration that looks unlike all the rest: a fault that nobody saw, or a start that had not settled yet.
///
/// `distances` are those of its rows in a chart of levels, each quarter judged by a fit of the other three; a stretch in which
/// they are many times what they reach in an ordinary quarter is no part of what is normal. `None` where nothing
/// stands out, and where too much would: a stretch that is long enough to be learned is a regime, and counts.
pub(super) fn outlying_stretch(distances: &[f64]) -> Option<Range<usize>> {
    let limit = FAR * ordinary(distances);
    let worst = (0..distances.len()).max_by(|&one, &other| distances[one].total_cmp(&distances[other]))?;
    if distances[worst] <= limit {
        return None;
    }
    let far = |row: &usize| distances[*row] > limit;
    let near = |last: usize, row: usize| if last.abs_diff(row) <= BRIDGED { row } else { last };
    let first = (0..worst).rev().filter(far).fold(worst, near);
    let last = (worst + 1..distances.len()).filter(far).fold(worst, near);
    if last - first < FEWEST_ROWS {
        return None;
    }
    let stretch = first.saturating_sub(BEFORE)..(last + AFTER + 1).min(distances.len());
    (stretch.len() <= MOST_ROWS.min(distances.len() / MOST_PARTS)).then_some(stretch)
}

/// What 99 % of the rows of an ordinary quarter stay below.
fn ordinary(distances: &[f64]) -> f64 {
    let bound = |quarter: usize| quarter * distances.len() / QUARTERS;
    let mut quantiles: Vec<f64> =
        (0..QUARTERS).map(|quarter| upper_quantile(distances[bound(quarter)..bound(quarter + 1)].to_vec())).collect();
    quantiles.sort_by(f64::total_cmp);
    (quantiles[QUARTERS / 2 - 1] + quantiles[QUARTERS / 2]) / 2.0
}

const QUARTERS: usize = 4;
/// Times what an ordinary quarter reaches. Load and temperature that wander come to three times of it.
const FAR: f64 = 4.0;
/// Rows in between that look ordinary do not end the stretch.
const BRIDGED: usize = 25;
/// Fewer say more about a reading than about the machine.
const FEWEST_ROWS: usize = 5;
/// Rows that the chart takes to notice …
const BEFORE: usize = 5;
/// … and to forget.
const AFTER: usize = 12;
/// A longer stretch is a regime of its own.
const MOST_ROWS: usize = 100;
/// No more than one in so many rows is left out.
const MOST_PARTS: usize = 4;

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::made_up;
    use super::super::mewma::FittedMewma;
    use super::*;

    fn machine(count: usize, seed: u64) -> Array2<f64> {
        made_up::machine(count, seed, 0.9)
    }

    fn find(rows: &Array2<f64>) -> Option<Range<usize>> {
        outlying_stretch(&FittedMewma::fit(rows, &vec![0.0; rows.ncols()])?.1)
    }

    #[test]
    fn a_fault_within_the_calibration_is_found_wherever_it_lies() {
        for (seed, count) in [(1, 400), (2, 1000), (3, 4000)] {
            for (begin, length) in [(0.0, 40), (0.3, 45), (0.52, 30), (0.9, 40)] {
                for channel in 0..3 {
                    let mut rows = machine(count, seed);
                    let from = (begin * count as f64) as usize;
                    let until = from + length;
                    rows.slice_mut(ndarray::s![from..until, channel]).mapv_inplace(|value| value - 8.0);
                    let found = find(&rows).unwrap_or_else(|| panic!("{count} rows, {from}, channel {channel}"));
                    assert!(
                        found.start.abs_diff(from) <= 15 && found.end.abs_diff(until) <= 50,
                        "{found:?} {from} {until}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_stands_out_in_sound_rows_nor_where_regimes_come_one_after_the_other() {
        for seed in 0..20 {
            assert_eq!(find(&machine(1000, seed)), None, "{seed}");
        }
        let long = {
            let mut rows = machine(2000, 1);
            rows.slice_mut(ndarray::s![800..1100, 0]).mapv_inplace(|value| value - 8.0);
            rows
        };
        assert_eq!(find(&long), None, "a stretch that is long enough is a regime");
        let regimes = Array2::from_shape_fn((1000, 2), |(t, channel)| {
            f64::from(u32::try_from(t / 125).unwrap_or(0) * 7919 % 8) + 0.1 * (((t * 31 + channel * 17) % 101) as f64)
        });
        assert_eq!(find(&regimes), None);
    }
}
