use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha8Rng;

use super::noise::stream;
use super::{Condition, GenerationError, Generator, Request};

/// One long series of a generator: row after row, with times, under conditions that a course says.
pub struct Series {
    generator: Box<dyn Generator + Send>,
    course: Course,
    random: ChaCha8Rng,
    start: Timestamp,
    /// Windows that were made so far.
    made: u64,
}

/// Which condition each window has.
#[derive(Clone, Debug)]
pub enum Course {
    /// As asked for, window by window for ever.
    Constant(Request),
    /// From one condition to another over so many windows; what comes after stays there.
    Path { from: Condition, to: Condition, windows: u64 },
    /// One window for each of these.
    Listed(Vec<Condition>),
}

/// One time's values.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesRow {
    /// From 0.
    pub window: u64,
    pub time: Timestamp,
    /// In the layout's order, as the channels show them.
    pub values: Vec<f64>,
    pub condition: Condition,
}

impl Series {
    pub fn new(generator: Box<dyn Generator + Send>, course: Course, seed: u64, start: Timestamp) -> Self {
        Self { generator, course, random: stream(seed, CONDITIONS), start, made: 0 }
    }

    pub fn generator(&self) -> &dyn Generator {
        &*self.generator
    }

    /// The rows of the next windows.
    pub fn next_windows(&mut self, count: usize) -> Result<Vec<SeriesRow>, GenerationError> {
        let layout = self.generator.layout().clone();
        let first = self.made;
        let conditions: Vec<Condition> = (first..).take(count).map(|window| self.condition(window)).collect();
        let windows = self.generator.windows(&conditions)?;
        self.made += count as u64;
        let mut rows = Vec::with_capacity(count * layout.window);
        for ((window, values), condition) in (first..).zip(&windows).zip(&conditions) {
            for (at, row) in values.chunks_exact(layout.channels.len()).enumerate() {
                let passed = window.saturating_mul(layout.window as u64).saturating_add(at as u64);
                let step = i128::try_from(layout.cadence.as_nanos()).unwrap_or(i128::MAX);
                let since = SignedDuration::from_nanos_i128(step.saturating_mul(i128::from(passed)));
                let values = layout.channels.iter().zip(row).map(|(channel, value)| channel.shown(*value)).collect();
                let time = self.start.saturating_add(since).unwrap_or(Timestamp::MAX);
                rows.push(SeriesRow { window, time, values, condition: condition.clone() });
            }
        }
        Ok(rows)
    }

    fn condition(&mut self, window: u64) -> Condition {
        let layout = self.generator.layout();
        match &self.course {
            Course::Constant(request) => request.draw(layout, &mut self.random),
            Course::Path { from, to, windows } => {
                let t = window as f64 / windows.saturating_sub(1).max(1) as f64;
                from.towards(to, t.min(1.0), layout)
            }
            Course::Listed(conditions) => {
                let place = usize::try_from(window).unwrap_or(usize::MAX);
                conditions.get(place).cloned().unwrap_or_else(|| layout.healthy())
            }
        }
    }
}

const CONDITIONS: u64 = 2;
