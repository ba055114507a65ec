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
