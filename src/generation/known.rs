use jiff::Timestamp;

use super::{Condition, Layout};

/// What is known of a series: rows in the places that their times say, with holes.
#[derive(Clone, Debug)]
pub struct Known {
    width: usize,
    rows_a_window: usize,
    /// The time of the first row, where rows have times.
    pub start: Option<Timestamp>,
    /// Rows by time, NaN where nothing is known.
    values: Vec<f64>,
    /// For each window the levels that stood beside its first row, where any did.
    conditions: Vec<Option<Condition>>,
}

/// A row that has no place in a series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    #[error("its time is not later than that of the row before")]
    Back,
    #[error("it comes {rows} rows after the one before, more than {most}; cut the file in two")]
    Gap { rows: u64, most: u64 },
    #[error("it has no time, although the first row has one")]
    NoTime,
}

impl Known {
    pub fn new(layout: &Layout) -> Self {
        Self {
            width: layout.channels.len(),
            rows_a_window: layout.window,
            start: None,
            values: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Puts a row behind those before it, as many rows behind as its time says.
    pub fn push(
        &mut self,
        (time, values): (Option<Timestamp>, &[f64]),
        condition: Option<Condition>,
        layout: &Layout,
    ) -> Result<(), KnownError> {
        let next = (self.values.len() / self.width) as u64;
        if next == 0 {
            self.start = time;
        }
        let place = match (self.start, time) {
            (Some(start), Some(time)) => {
                let passed = time.duration_since(start).as_secs_f64() / layout.cadence.as_secs_f64();
                let place = passed.round();
                if place < next as f64 {
                    return Err(KnownError::Back);
                }
                place as u64
            }
            (Some(_), None) => return Err(KnownError::NoTime),
            (None, _) => next,
        };
        let rows = place - next;
        if rows > MOST_MISSING {
            return Err(KnownError::Gap { rows, most: MOST_MISSING });
        }
        self.values.extend(std::iter::repeat_n(f64::NAN, rows as usize * self.width));
        self.values.extend_from_slice(values);
        let windows = (self.values.len() / self.width).div_ceil(self.rows_a_window);
        if self.conditions.len() < windows {
            self.conditions.resize(windows, None);
            self.conditions[windows - 1] = condition;
        }
        Ok(())
    }

    /// Whole windows; what the last one lacks is unknown.
    pub fn windows(&self) -> Vec<Vec<f64>> {
        let size = self.rows_a_window * self.width;
        let whole = |part: &[f64]| {
            let mut window = part.to_vec();
            window.resize(size, f64::NAN);
            window
        };
        self.values.chunks(size).map(whole).collect()
    }

    /// The condition of each window, as it stood beside it; where none did that of the window before. None where nothing
    /// did.
    pub fn conditions(&self) -> Option<Vec<Condition>> {
        let mut newest = self.conditions.iter().flatten().next()?.clone();
        let each = self.conditions.iter().map(|condition| {
            newest = condition.clone().unwrap_or_else(|| newest.clone());
            newest.clone()
        });
        Some(each.collect())
    }

    /// How many cells are known.
    pub fn cells(&self) -> u64 {
        self.values.iter().filter(|value| value.is_finite()).count() as u64
    }
}

/// A hole is filled in; a second recording behind the first one is none.
const MOST_MISSING: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acquisition::Name;
    use crate::generation::LayoutChannel;

    fn layout() -> Layout {
        let channel = |name: &str| LayoutChannel {
            name: Name::parse(name).expect("a name"),
            unit: String::new(),
            resolution: 0.1,
            low: None,
            high: None,
        };
        let channels = vec![channel("a"), channel("b")];
        Layout { channels, labels: Vec::new(), cadence: Duration::from_secs(1), window: 3, seen: Vec::new() }
    }

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    #[test]
    fn rows_that_times_leave_out_and_what_a_window_lacks_are_unknown() {
        let mut known = Known::new(&layout());
        for second in [10, 11, 13] {
            known.push((at(second), &[second as f64, 0.5]), None, &layout()).unwrap();
        }
        let windows = known.windows();
        assert_eq!((windows.len(), known.cells(), known.start), (2, 6, at(10)));
        assert_eq!(windows[0][..4], [10.0, 0.5, 11.0, 0.5]);
        assert!(windows[0][4..].iter().all(|value| value.is_nan()));
        assert_eq!(windows[1][..2], [13.0, 0.5]);
        assert!(windows[1][2..].iter().all(|value| value.is_nan()) && windows[1].len() == 6);
    }

    #[test]
    fn a_row_without_a_place_of_its_own_is_refused() {
        let mut known = Known::new(&layout());
        known.push((at(10), &[1.0, 2.0]), None, &layout()).unwrap();
        let mut refused = |time| known.push((time, &[1.0, 2.0]), None, &layout()).unwrap_err();
        assert_eq!(refused(at(10)), KnownError::Back);
        assert_eq!(refused(None), KnownError::NoTime);
        assert!(matches!(refused(at(5_000_000)), KnownError::Gap { rows: 4_999_989, .. }));
    }

    #[test]
    fn a_window_without_a_condition_has_that_of_the_one_before() {
        let mut known = Known::new(&layout());
        for (second, level) in [(0, None), (3, Some(2.0)), (9, None)] {
            let condition = level.map(|level| Condition { levels: vec![level] });
            known.push((at(second), &[1.0, 2.0]), condition, &layout()).unwrap();
        }
        let levels: Vec<f64> = known.conditions().unwrap().iter().map(|condition| condition.levels[0]).collect();
        assert_eq!(levels, [2.0, 2.0, 2.0, 2.0]);
    }
}
