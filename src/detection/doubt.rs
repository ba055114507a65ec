use std::ops::Range;

use ndarray::{Array2, ArrayView1, s};
use serde::{Deserialize, Serialize};

use crate::acquisition::Name;

/// Rows of a calibration that look unlike all others: a fault that nobody saw, or a regime that came once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutlyingStretch {
    /// Of the calibration, from 0.
    pub rows: Range<usize>,
    /// Those that say so, the worst first.
    pub channels: Vec<OutlyingChannel>,
    /// The calibration was fitted without these rows: there are too few of them for a regime that the machine goes through.
    pub left_out: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutlyingChannel {
    pub name: Name,
    /// How far its mean lies from that of all other rows, in their standard deviations.
    pub deviations: f64,
}

impl OutlyingStretch {
    /// Looks through `rows`, `[time, channel]`, NaN where a channel has no value, for one stretch that lies apart.
    ///
    /// Apart means a gap: in some channel the means over short segments of the stretch lie beyond those of all others, with
    /// room in between. A drift or a walk leaves no room, however far it goes, and a load or a regime that comes back makes
    /// more than one stretch. `None` too where there are so few rows that a segment says nothing.
    pub fn find(rows: &Array2<f64>, names: &[&Name]) -> Option<Self> {
        if rows.nrows() < SEGMENTS * FEWEST_ROWS {
            return None;
        }
        let channels: Vec<Segments> = rows.columns().into_iter().map(Segments::of).collect();
        let apart = channels.iter().filter_map(Segments::apart);
        let Apart { segments, .. } = apart.max_by(|one, other| one.gap.total_cmp(&other.gap))?;
        let deviations = channels.iter().map(|channel| channel.deviations(&segments));
        let rows = segments.start * rows.nrows() / SEGMENTS..segments.end * rows.nrows() / SEGMENTS;
        Some(Self { rows, channels: worth_naming(deviations, names), left_out: false })
    }

    /// A stretch that the calibration is fitted without.
    pub fn left_out(stretch: Range<usize>, rows: &Array2<f64>, names: &[&Name]) -> Self {
        let deviations = rows.columns().into_iter().map(|column| {
            let part = |range: Range<usize>| Segment::of(column.slice(s![range]));
            let rest = part(0..stretch.start).and(&part(stretch.end..column.len()));
            part(stretch.clone()).deviations_from(rest)
        });
        Self { channels: worth_naming(deviations, names), rows: stretch.clone(), left_out: true }
    }
}

/// The channels that lie furthest off, the worst first.
fn worth_naming(deviations: impl Iterator<Item = f64>, names: &[&Name]) -> Vec<OutlyingChannel> {
    let mut channels: Vec<OutlyingChannel> =
        deviations.zip(names).map(|(deviations, name)| OutlyingChannel { name: (*name).clone(), deviations }).collect();
    channels.sort_by(|one, other| other.deviations.abs().total_cmp(&one.deviations.abs()));
    let worth = channels.iter().take_while(|channel| channel.deviations.abs() >= WORTH_NAMING).count();
    channels.truncate(worth.clamp(1, MOST_NAMED));
    channels
}

/// One channel in short segments of equal length.
struct Segments(Vec<Segment>);

#[derive(Clone, Copy, Default)]
struct Segment {
    count: f64,
    sum: f64,
    squares: f64,
}

/// Segments in a row that lie beyond all others.
struct Apart {
    segments: Range<usize>,
    /// Between them and the nearest other one, in standard deviations of all others' rows.
    gap: f64,
}

impl Segments {
    fn of(column: ArrayView1<'_, f64>) -> Self {
        let bound = |segment: usize| segment * column.len() / SEGMENTS;
        Self((0..SEGMENTS).map(|index| Segment::of(column.slice(s![bound(index)..bound(index + 1)]))).collect())
    }

    /// The stretch with the widest gap, above or below all others.
    fn apart(&self) -> Option<Apart> {
        let above = self.beyond(1.0);
        let below = self.beyond(-1.0);
        above.into_iter().chain(below).max_by(|one, other| one.gap.total_cmp(&other.gap))
    }

    fn beyond(&self, sign: f64) -> Option<Apart> {
        let mut order: Vec<usize> = (0..SEGMENTS).filter(|&index| self.0[index].count > 0.0).collect();
        order.sort_by(|&one, &other| (sign * self.0[other].mean()).total_cmp(&(sign * self.0[one].mean())));
        let mut widest: Option<Apart> = None;
        let (mut start, mut end) = (SEGMENTS, 0);
        for (index, &segment) in order.iter().enumerate().take(MOST_SEGMENTS) {
            (start, end) = (start.min(segment), end.max(segment + 1));
            let in_a_row = end - start == index + 1;
            if index + 1 < FEWEST_SEGMENTS || !in_a_row || self.deviations(&(start..end)) * sign < LEAST_DEVIATIONS {
                continue;
            }
            let highest = self.others(&(start..end)).map(|other| sign * other.mean()).fold(f64::NEG_INFINITY, f64::max);
            let gap = (sign * self.0[segment].mean() - highest) / self.rest(&(start..end)).deviation();
            if gap >= LEAST_GAP && widest.as_ref().is_none_or(|widest| gap > widest.gap) {
                widest = Some(Apart { segments: start..end, gap });
            }
        }
        widest.map(|widest| Apart { segments: self.grown(widest.segments), ..widest })
    }

    /// A stretch with the segments beside it, if they are nearer to it than to all others.
    fn grown(&self, stretch: Range<usize>) -> Range<usize> {
        let (within, rest) = (self.within(&stretch).mean(), self.rest(&stretch).mean());
        let nearer = |segment: &Segment| (segment.mean() - within).abs() < (segment.mean() - rest).abs();
        let Range { start, end } = stretch;
        let before = start > 0 && nearer(&self.0[start - 1]);
        let after = self.0.get(end).is_some_and(nearer);
        start - usize::from(before)..end + usize::from(after)
    }

    /// How far the mean of a stretch lies from that of all others, in their standard deviations; 0 where they have none.
    fn deviations(&self, stretch: &Range<usize>) -> f64 {
        self.within(stretch).deviations_from(self.rest(stretch))
    }

    fn within(&self, stretch: &Range<usize>) -> Segment {
        self.0[stretch.clone()].iter().fold(Segment::default(), Segment::and)
    }

    fn rest(&self, stretch: &Range<usize>) -> Segment {
        self.others(stretch).fold(Segment::default(), |sum, other| sum.and(&other))
    }

    /// All segments but those of a stretch and the two beside it, in which it may begin and end.
    fn others(&self, stretch: &Range<usize>) -> impl Iterator<Item = Segment> {
        let Range { start, end } = *stretch;
        let apart = move |index: usize| index + 1 < start || index > end;
        self.0
            .iter()
            .enumerate()
            .filter(move |(index, other)| apart(*index) && other.count > 0.0)
            .map(|(_, other)| *other)
    }
}

impl Segment {
    fn of(values: ArrayView1<'_, f64>) -> Self {
        values
            .iter()
            .filter(|value| !value.is_nan())
            .fold(Self::default(), |sum, value| sum.and(&Self { count: 1.0, sum: *value, squares: value * value }))
    }

    fn and(self, other: &Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    /// How far its mean lies from another's, in the other's standard deviations; 0 where it has none.
    fn deviations_from(self, rest: Self) -> f64 {
        let deviations = (self.mean() - rest.mean()) / rest.deviation();
        if deviations.is_finite() { deviations } else { 0.0 }
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// So that a fault that takes a tenth of the rows fills three of them wherever it begins.
const SEGMENTS: usize = 40;
const FEWEST_SEGMENTS: usize = 3;
/// More than a third of the rows is what the machine usually does.
const MOST_SEGMENTS: usize = SEGMENTS / 3;
/// Of a segment.
const FEWEST_ROWS: usize = 5;
/// In standard deviations of all other rows. With less, sound machines are doubted whose load or temperature wanders; see
/// `tests/accuracy/foundation.rs`.
const LEAST_GAP: f64 = 2.0;
const LEAST_DEVIATIONS: f64 = 4.0;
const WORTH_NAMING: f64 = 2.0;
const MOST_NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::made_up::{self, normal};
    use super::*;

    fn names(count: usize) -> Vec<Name> {
        (0..count).map(|channel| Name::parse(&format!("c{channel}")).unwrap()).collect()
    }

    fn find(rows: &Array2<f64>) -> Option<OutlyingStretch> {
        let names = names(rows.ncols());
        OutlyingStretch::find(rows, &names.iter().collect::<Vec<&Name>>())
    }

    fn machine(count: usize, seed: u64) -> Array2<f64> {
        made_up::machine(count, seed, 0.95)
    }

    #[test]
    fn a_fault_within_the_calibration_is_found_wherever_it_lies_and_its_channel_is_named_first() {
        for (seed, count) in [(1, 400), (2, 1000), (3, 4000)] {
            for (begin, share) in [(0.0, 0.1), (0.2, 0.25), (0.45, 0.1), (0.71, 0.15), (0.9, 0.1)] {
                for channel in 0..3 {
                    let mut rows = machine(count, seed);
                    let (from, until) = ((begin * count as f64) as usize, ((begin + share) * count as f64) as usize);
                    let deviation = rows.column(channel).std(0.0);
                    rows.slice_mut(s![from..until, channel]).mapv_inplace(|value| value - 6.5 * deviation);
                    let found = find(&rows).unwrap_or_else(|| panic!("{count} rows, {from}, channel {channel}"));
                    let slack = count / SEGMENTS;
                    assert!(found.rows.start.abs_diff(from) <= slack && found.rows.end.abs_diff(until) <= slack);
                    assert_eq!(found.channels[0].name.as_str(), format!("c{channel}"));
                    assert!(found.channels[0].deviations < -LEAST_DEVIATIONS);
                }
            }
        }
    }

    #[test]
    fn sound_rows_are_not_doubted_nor_is_a_drift_or_a_regime_that_comes_back() {
        for seed in 0..20 {
            assert_eq!(find(&machine(1000, seed)), None, "{seed}");
        }
        let drift = Array2::from_shape_fn((1000, 1), |(t, _)| t as f64 / 100.0);
        assert_eq!(find(&drift), None);
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let regimes = Array2::from_shape_fn((1000, 1), |(t, _)| {
            normal(&mut random) + if (200..300).contains(&t) || (600..700).contains(&t) { 8.0 } else { 0.0 }
        });
        assert_eq!(find(&regimes), None);
    }

    #[test]
    fn channels_without_values_and_few_rows_tell_nothing() {
        let mut rows = machine(1000, 1);
        rows.slice_mut(s![..300, 0]).fill(f64::NAN);
        rows.column_mut(1).fill(f64::NAN);
        rows.column_mut(2).fill(1.0);
        assert_eq!(find(&rows), None);
        rows.slice_mut(s![500..600, 0]).mapv_inplace(|value| value + 9.0);
        assert_eq!(find(&rows).map(|found| found.rows), Some(500..600));
        assert_eq!(find(&machine(SEGMENTS * FEWEST_ROWS - 1, 1)), None);
    }
}
