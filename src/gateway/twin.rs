use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::workshop::StockedTwin;
use crate::acquisition::Name;
use crate::config::TwinKeys;
use crate::detection::PhaseTracker;
use crate::generation::fitted::{FittedGenerator, FittedSeries};
use crate::generation::{Counterpart, CounterpartError, GenerationError, Generator};
use crate::publication::{TwinGenerator, TwinRow};

/// Synthetic telemetry beside one machine.
pub(super) struct Twin {
    pub generator: TwinGenerator,
    source: Source,
    /// The machine as it was calibrated.
    machine: FittedGenerator,
    tracker: Option<PhaseTracker>,
    phase: usize,
    /// Of a row of the twin.
    channels: Vec<Name>,
    label: BTreeMap<String, f64>,
    every: Option<SignedDuration>,
    published: Option<Timestamp>,
    /// The machine's newest row: its time, and the how manieth it was.
    newest: Option<(Timestamp, u64)>,
}

/// A row of a machine that has a twin.
pub(super) struct Seen {
    pub machine: Name,
    /// The how manieth it is.
    pub number: u64,
    pub time: Timestamp,
    pub names: Vec<Name>,
    pub values: Vec<f64>,
}

enum Source {
    Fitted(Box<FittedSeries>),
    Trained(Box<Counterpart>),
}

impl Twin {
    /// Made by what is fitted to the machine; the hash is that of its file.
    pub fn fitted(machine: &FittedGenerator, sha256: String, keys: &TwinKeys) -> Self {
        let generator = TwinGenerator {
            name: "fitted".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sha256,
            seed: keys.seed,
        };
        let channels = machine.channel_names().cloned().collect();
        Self::new(Source::Fitted(Box::new(machine.series(keys.seed))), (generator, channels), machine, keys)
    }

    /// Made by a trained generator, which comes back where the machine does not suit it.
    pub fn trained(
        stocked: StockedTwin,
        machine: &FittedGenerator,
        keys: &TwinKeys,
    ) -> Result<Self, Box<(StockedTwin, CounterpartError)>> {
        let StockedTwin { generator, condition } = stocked;
        let counterpart = Counterpart::new(generator, condition.clone(), machine).map_err(|failed| {
            let (generator, error) = *failed;
            Box::new((StockedTwin { generator, condition }, error))
        })?;
        let model = counterpart.generator().model();
        let generator = TwinGenerator {
            name: model.manifest().name.to_string(),
            version: model.manifest().version.clone(),
            sha256: model.sha256().to_owned(),
            seed: keys.seed,
        };
        let layout = counterpart.generator().layout();
        let channels = layout.channels.iter().map(|channel| channel.name.clone()).collect();
        let levels = layout.labels.iter().zip(&counterpart.condition().levels);
        let label = levels.map(|(label, level)| (label.name.to_string(), *level)).collect();
        let twin = Self::new(Source::Trained(Box::new(counterpart)), (generator, channels), machine, keys);
        Ok(Self { label, ..twin })
    }

    fn new(
        source: Source,
        (generator, channels): (TwinGenerator, Vec<Name>),
        machine: &FittedGenerator,
        keys: &TwinKeys,
    ) -> Self {
        let every = keys.every.map(|every| SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX));
        Self {
            generator,
            source,
            tracker: machine.phases().cloned().map(PhaseTracker::new),
            machine: machine.clone(),
            phase: 0,
            channels,
            label: BTreeMap::new(),
            every,
            published: None,
            newest: None,
        }
    }

    /// The trained generator, for another twin.
    pub fn into_trained(self) -> Option<StockedTwin> {
        match self.source {
            Source::Trained(counterpart) => {
                let condition = counterpart.condition().clone();
                Some(StockedTwin { generator: counterpart.into_generator(), condition })
            }
            Source::Fitted(_) => None,
        }
    }

    /// The twin's rows beside the machine's newest one, in the phase that the machine is in, as far as they are due; before it
    /// those of the times at which the machine was silent.
    pub fn follow(&mut self, seen: &Seen) -> Result<Vec<TwinRow<'_>>, GenerationError> {
        let mut rows = Vec::new();
        for time in self.missed(seen) {
            let nothing = vec![f64::NAN; self.machine.channel_names().count()];
            if let Some(values) = self.step(&nothing)?.filter(|_| self.is_due(time)) {
                rows.push((time, values, self.channels.clone()));
            }
        }
        self.newest = Some((seen.time, seen.number));
        let value = |name: &Name| {
            let place = seen.names.iter().position(|it| it == name);
            place.and_then(|place| seen.values.get(place)).copied().unwrap_or(f64::NAN)
        };
        let own: Vec<f64> = self.machine.channel_names().map(value).collect();
        if let Some(values) = self.step(&own)?.filter(|_| self.is_due(seen.time)) {
            let missing = self.channels.iter().filter(|name| value(name).is_nan()).cloned().collect();
            rows.push((seen.time, values, missing));
        }
        let Self { channels, label, .. } = self;
        let told = rows.into_iter().map(|(time, values, imputed)| TwinRow {
            time,
            values: channels.iter().map(Name::as_str).zip(values).collect(),
            imputed: channels.iter().filter(|name| imputed.contains(name)).map(Name::as_str).collect(),
            label: label.iter().map(|(name, level)| (name.as_str(), *level)).collect(),
        });
        Ok(told.collect())
    }

    /// Goes one row on with the machine; `None` while nothing can be said yet.
    fn step(&mut self, own: &[f64]) -> Result<Option<Vec<f64>>, GenerationError> {
        let told = self.tracker.as_mut().and_then(|tracker| tracker.observe(&self.machine.standardised(own)));
        self.phase = told.unwrap_or((self.phase + 1) % self.machine.layout().window);
        match &mut self.source {
            Source::Fitted(series) => Ok(Some(series.row(self.phase))),
            // Rows in the wrong phase would be encoded as a wrong cycle.
            Source::Trained(counterpart) => told.map_or(Ok(None), |phase| counterpart.follow(own, phase)),
        }
    }

    /// The times between the newest row and this one at which the machine should have spoken: those of one window at most.
    fn missed(&self, seen: &Seen) -> Vec<Timestamp> {
        let layout = self.machine.layout();
        let Some((newest, number)) = self.newest else { return Vec::new() };
        // A row that was forgotten on its way here is no silence of the machine.
        if seen.number != number + 1 {
            return Vec::new();
        }
        let cadence = layout.cadence.as_secs_f64();
        let steps = (seen.time.duration_since(newest).as_secs_f64() / cadence).round();
        if !(1.0..=layout.window as f64).contains(&(steps - 1.0)) {
            return Vec::new();
        }
        let at = |step: u32| newest.saturating_add(SignedDuration::from_secs_f64(cadence * f64::from(step)));
        (1..steps as u32).filter_map(|step| at(step).ok()).collect()
    }

    fn is_due(&mut self, time: Timestamp) -> bool {
        let due = match (self.every, self.published) {
            (Some(every), Some(last)) => time < last || time.duration_since(last) >= every,
            _ => true,
        };
        if due {
            self.published = Some(time);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::detection::{ChannelProfile, LoadCycle, Rhythm};
    use crate::generation::fitted::Lesson;

    fn twin(every: Option<Duration>) -> Twin {
        let names = ["a", "b"].map(|name| Name::parse(name).unwrap());
        let rows = (0..200).map(|t| vec![(f64::from(t) * 1.7).sin(), f64::from(t * 7919 % 101)]);
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Never };
        let lesson = Lesson { rows: rows.collect(), channels: names.map(ChannelProfile::of).to_vec(), rhythm };
        let machine = Name::parse("m").unwrap();
        let keys = TwinKeys { machine, model: None, label: None, every, seed: 1 };
        Twin::fitted(&lesson.fit().unwrap(), "hash".to_owned(), &keys)
    }

    fn seen(number: u64, second: i64, b: f64) -> Seen {
        let names = ["a", "b"].map(|name| Name::parse(name).unwrap()).to_vec();
        let time = Timestamp::from_second(second).unwrap();
        Seen { machine: Name::parse("m").unwrap(), number, time, names, values: vec![0.5, b] }
    }

    /// Second and imputed channels of each row.
    fn told(twin: &mut Twin, seen: &Seen) -> Vec<(i64, Vec<String>)> {
        let rows = twin.follow(seen).unwrap();
        assert!(rows.iter().all(|row| row.values.len() == 2 && row.values.values().all(|value| value.is_finite())));
        rows.iter().map(|row| (row.time.as_second(), row.imputed.iter().map(ToString::to_string).collect())).collect()
    }

    #[test]
    fn what_a_machine_left_out_is_filled_in_and_named() {
        let mut twin = twin(None);
        let (none, both) = (Vec::new(), vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(told(&mut twin, &seen(1, 100, 1.0)), [(100, none.clone())]);
        assert_eq!(told(&mut twin, &seen(2, 101, f64::NAN)), [(101, vec!["b".to_owned()])]);
        let silent = told(&mut twin, &seen(3, 104, 1.0));
        assert_eq!(silent, [(102, both.clone()), (103, both), (104, none)]);
    }

    #[test]
    fn neither_a_forgotten_row_nor_a_long_silence_is_filled_in() {
        let mut twin = twin(None);
        told(&mut twin, &seen(1, 100, 1.0));
        assert_eq!(told(&mut twin, &seen(4, 104, 1.0)).len(), 1, "the machine spoke meanwhile");
        assert_eq!(told(&mut twin, &seen(5, 104 + 3600, 1.0)).len(), 1);
        assert_eq!(told(&mut twin, &seen(6, 50, 1.0)).len(), 1, "a clock that was put back");
    }

    #[test]
    fn no_more_rows_are_told_than_are_wanted() {
        let mut twin = twin(Some(Duration::from_secs(10)));
        let count: usize = (0..30).map(|t| told(&mut twin, &seen(t, t as i64, 1.0)).len()).sum();
        assert_eq!(count, 3);
    }
}
