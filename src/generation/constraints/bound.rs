use std::collections::BTreeSet;
use std::ops::Range;

use super::rules::{Direction, Rule, Side};
use crate::manipulation::Limits;

/// Constraints that have found their channels.
pub struct Bound {
    rules: Vec<(String, Rule<usize>)>,
}

/// Values of rows, one a channel; NaN where there is none.
pub trait Table {
    fn rows(&self) -> usize;
    fn at(&self, row: usize, channel: usize) -> f64;
    fn put(&mut self, row: usize, channel: usize, value: f64);
}

/// A constraint that rows break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In words.
    pub rule: String,
    pub rows: usize,
}

impl Bound {
    pub(super) fn new(rules: Vec<(String, Rule<usize>)>) -> Self {
        Self { rules }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many of these rows break each constraint. A pair of rows that does counts as the later one.
    pub fn count(&self, table: &impl Table, rows: Range<usize>) -> Vec<Broken> {
        let rows = rows.start..rows.end.min(table.rows());
        let broken = |rule: &Rule<usize>| rows.clone().filter(|&row| rule.broken(table, row)).count();
        self.rules.iter().map(|(name, rule)| Broken { rule: name.clone(), rows: broken(rule) }).collect()
    }

    /// Whether a row breaks any of them.
    pub fn broken(&self, table: &impl Table, row: usize) -> bool {
        self.broken_at(table, row) > 0
    }

    /// Moves values as little as keeps the constraints, wherever they may be moved, and gives how many values that were.
    ///
    /// Rows are taken in order. Where a value may not be moved, or two constraints contradict each other, the row stays as it is.
    pub fn clamp<T: Table>(&self, table: &mut T, may_move: impl Fn(usize, usize) -> bool) -> usize {
        let mut moved = BTreeSet::new();
        for row in 0..table.rows() {
            let broken = self.broken_at(table, row);
            if broken == 0 {
                continue;
            }
            let mut before: Vec<(usize, f64)> = Vec::new();
            // What mends one constraint may break another; a few rounds settle what can be settled.
            for _ in 0..ROUNDS {
                let count = before.len();
                for (_, rule) in &self.rules {
                    let Some((channel, value)) = rule.mended(table, row, &may_move) else { continue };
                    before.push((channel, table.at(row, channel)));
                    table.put(row, channel, value);
                }
                if before.len() == count {
                    break;
                }
            }
            match self.broken_at(table, row) < broken {
                true => moved.extend(before.iter().map(|(channel, _)| (row, *channel))),
                false => before.iter().rev().for_each(|&(channel, value)| table.put(row, channel, value)),
            }
        }
        moved.len()
    }

    fn broken_at(&self, table: &impl Table, row: usize) -> usize {
        self.rules.iter().filter(|(_, rule)| rule.broken(table, row)).count()
    }
}

impl Rule<usize> {
    fn broken(&self, table: &impl Table, row: usize) -> bool {
        let before = |channel: usize| row.checked_sub(1).map_or(f64::NAN, |before| table.at(before, channel));
        match self {
            Self::Range { channel, limits } => {
                !limits.allow(table.at(row, *channel)) && !table.at(row, *channel).is_nan()
            }
            // A missing value breaks nothing: no comparison with NaN is true.
            Self::Rate { channel, most } => (table.at(row, *channel) - before(*channel)).abs() > *most,
            Self::Monotone { channel, direction } => {
                let step = table.at(row, *channel) - before(*channel);
                match direction {
                    Direction::Rising => step < 0.0,
                    Direction::Falling => step > 0.0,
                }
            }
            Self::Forbidden { when, then } => when.holds(table, row) && then.holds(table, row),
        }
    }

    /// The channel and its nearest value with which the row breaks this rule no more.
    fn mended(&self, table: &impl Table, row: usize, may_move: impl Fn(usize, usize) -> bool) -> Option<(usize, f64)> {
        if !self.broken(table, row) {
            return None;
        }
        let before = |channel: usize| row.checked_sub(1).map_or(f64::NAN, |before| table.at(before, channel));
        let (channel, value) = match self {
            Self::Range { channel, limits: Limits { low, high } } => {
                let value = table.at(row, *channel).max(low.unwrap_or(f64::NEG_INFINITY));
                (*channel, value.min(high.unwrap_or(f64::INFINITY)))
            }
            Self::Rate { channel, most } => {
                let before = before(*channel);
                let (low, high) = (within(before, before - most, *most), within(before, before + most, *most));
                (*channel, table.at(row, *channel).max(low).min(high))
            }
            Self::Monotone { channel, .. } => (*channel, before(*channel)),
            Self::Forbidden { when, then } if may_move(row, then.channel) => (then.channel, then.value),
            Self::Forbidden { when, .. } => (when.channel, when.value),
        };
        may_move(row, channel).then_some((channel, value))
    }
}

impl Side<usize> {
    fn holds(&self, table: &impl Table, row: usize) -> bool {
        let value = table.at(row, self.channel);
        if self.above { value > self.value } else { value < self.value }
    }
}

/// A bound that rounding has put a little too far out, one step nearer.
fn within(from: f64, bound: f64, most: f64) -> f64 {
    match (bound - from).abs() > most {
        true if bound > from => bound.next_down(),
        true => bound.next_up(),
        false => bound,
    }
}

/// Values `[channel][row]`.
pub struct Columns<'t>(pub &'t mut [Vec<f64>]);

impl Table for Columns<'_> {
    fn rows(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    fn at(&self, row: usize, channel: usize) -> f64 {
        self.0[channel][row]
    }

    fn put(&mut self, row: usize, channel: usize, value: f64) {
        self.0[channel][row] = value;
    }
}

/// Values `[row * channels + channel]`.
pub struct Rows<'t> {
    pub values: &'t mut [f64],
    pub channels: usize,
}

impl Table for Rows<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.channels.max(1)
    }

    fn at(&self, row: usize, channel: usize) -> f64 {
        self.values[row * self.channels + channel]
    }

    fn put(&mut self, row: usize, channel: usize, value: f64) {
        self.values[row * self.channels + channel] = value;
    }
}

const ROUNDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::Constraints;
    use super::*;

    const ALL: &str = "[[range]]\nchannel = \"a\"\nlow = 0.0\nhigh = 10.0\n[[rate]]\nchannel = \"a\"\nmost = 3.0\n\
                       [[monotone]]\nchannel = \"b\"\ndirection = \"rising\"\n\
                       [[forbidden]]\nwhen = { channel = \"a\", above = 8.0 }\nthen = { channel = \"b\", below = 2.0 }\n";

    fn bound() -> Bound {
        Constraints::parse(ALL, "c.toml").unwrap().bind(&["a".into(), "b".into()]).unwrap()
    }

    fn counts(bound: &Bound, columns: &mut [Vec<f64>]) -> Vec<usize> {
        let table = Columns(columns);
        bound.count(&table, 0..table.rows()).into_iter().map(|it| it.rows).collect()
    }

    #[test]
    fn each_constraint_counts_the_rows_that_break_it_and_missing_values_break_none() {
        let mut columns = [vec![1.0, -1.0, f64::NAN, 9.0, 12.0], vec![1.0, 0.5, f64::NAN, 1.0, 3.0]];
        assert_eq!(counts(&bound(), &mut columns), [2, 0, 1, 1]);
        columns[0][2] = 4.0;
        assert_eq!(counts(&bound(), &mut columns), [2, 2, 1, 1]);
    }

    #[test]
    fn clamping_leaves_nothing_broken_and_moves_nothing_that_was_right() {
        let mut columns = [vec![1.0, -5.0, 2.0, 9.0, 12.0], vec![1.0, 0.5, 1.0, 1.0, 3.0]];
        let moved = bound().clamp(&mut Columns(&mut columns), |_, _| true);
        assert_eq!(counts(&bound(), &mut columns), [0, 0, 0, 0]);
        assert_eq!(columns, [vec![1.0, 0.0, 2.0, 5.0, 8.0], vec![1.0, 1.0, 1.0, 1.0, 3.0]]);
        assert_eq!(moved, 4);
    }

    #[test]
    fn what_may_not_be_moved_stays_and_counts_as_broken_still() {
        let mut columns = [vec![1.0, -5.0, 2.0], vec![1.0, 0.5, 1.0]];
        let moved = bound().clamp(&mut Columns(&mut columns), |row, _| row != 1);
        assert_eq!((moved, &columns), (0, &[vec![1.0, -5.0, 2.0], vec![1.0, 0.5, 1.0]]));
        assert_eq!(counts(&bound(), &mut columns), [1, 2, 1, 0]);
    }

    #[test]
    fn a_generated_window_is_judged_like_a_recording() {
        let mut values = [1.0, 1.0, -1.0, 0.5, 2.0, 0.7];
        let table = Rows { values: &mut values, channels: 2 };
        let broken: Vec<usize> = bound().count(&table, 0..3).iter().map(|it| it.rows).collect();
        assert_eq!(broken, [1, 0, 1, 0]);
        assert!(bound().broken(&table, 1) && !bound().broken(&table, 0));
    }
}
