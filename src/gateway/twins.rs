use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::acquisition::Name;
use crate::checkpoint::{FoundGenerator, Generators};
use crate::config::TwinKeys;
use crate::detection::PhaseTracker;
use crate::generation::fitted::{FittedGenerator, FittedSeries, Lesson};
use crate::outbox::Publication;
use crate::publication::{Topics, TwinGenerator, TwinPayload, TwinRow};

/// The thread that fits generators and makes twins. The scoring thread hands it work and never waits for it: where there is too
/// much, or it stands still, the oldest rows are forgotten.
pub(super) struct Twins {
    queue: Arc<Queue>,
    wanted: Vec<Name>,
}

/// What somebody who speaks for a gateway needs.
pub(super) struct Studio {
    pub gateway: Name,
    pub topics: Topics,
    pub generators: Generators,
}

struct Queue {
    work: Mutex<Work>,
    there_is_some: Condvar,
}

#[derive(Default)]
struct Work {
    lessons: VecDeque<(Name, Box<Lesson>)>,
    rows: VecDeque<Row>,
    renewed: Option<Vec<TwinKeys>>,
    ended: bool,
}

struct Row {
    machine: Name,
    time: Timestamp,
    names: Vec<Name>,
    values: Vec<f64>,
}

/// Synthetic telemetry beside one machine.
struct Twin {
    series: FittedSeries,
    tracker: Option<PhaseTracker>,
    phase: usize,
    generator: TwinGenerator,
    published: Option<Timestamp>,
}

/// The thread's own side.
struct Maker {
    studio: Studio,
    keys: Vec<TwinKeys>,
    twins: HashMap<Name, Twin>,
    publications: mpsc::Sender<Publication>,
}

impl Twins {
    /// Starts the thread; what its twins say comes out of the receiver.
    pub fn start(studio: Studio, keys: Vec<TwinKeys>) -> std::io::Result<(Self, mpsc::Receiver<Publication>)> {
        let (publications, said) = mpsc::channel(MOST_UNSAID);
        let queue = Arc::new(Queue { work: Mutex::default(), there_is_some: Condvar::new() });
        let twins = Self { queue: queue.clone(), wanted: keys.iter().map(|keys| keys.machine.clone()).collect() };
        let maker = Maker { studio, keys, twins: HashMap::new(), publications };
        thread::Builder::new().name("twins".to_owned()).spawn(move || maker.work(&queue))?;
        Ok((twins, said))
    }

    /// A machine has learned; a generator is to be fitted to what it has learned from.
    pub fn learn(&self, machine: &Name, lesson: Box<Lesson>) {
        // Held by the other thread for no longer than it takes to empty the list.
        let mut work = self.queue.work.lock().unwrap_or_else(PoisonError::into_inner);
        if work.lessons.len() == MOST_LESSONS {
            warn!(%machine, "no generator is fitted to it: too many machines have learned at the same time");
            return;
        }
        work.lessons.push_back((machine.clone(), lesson));
        self.queue.there_is_some.notify_one();
    }

    /// A machine's newest row, if a twin of it is wanted.
    pub fn show(&self, machine: &Name, time: Timestamp, (names, values): (&[Name], &[f64])) {
        if !self.wanted.contains(machine) {
            return;
        }
        let row = Row { machine: machine.clone(), time, names: names.to_vec(), values: values.to_vec() };
        self.queue.offer(|work| {
            if work.rows.len() == MOST_ROWS {
                work.rows.pop_front();
            }
            work.rows.push_back(row);
        });
    }

    /// Goes over to other twins.
    pub fn renew(&mut self, keys: Vec<TwinKeys>) {
        self.wanted = keys.iter().map(|keys| keys.machine.clone()).collect();
        let mut work = self.queue.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.renewed = Some(keys);
        self.queue.there_is_some.notify_one();
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        self.queue.work.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.queue.there_is_some.notify_one();
    }
}

impl Queue {
    /// Puts something in; `None`, and nothing done, where that would mean waiting.
    fn offer<T>(&self, put: impl FnOnce(&mut Work) -> T) -> Option<T> {
        let mut work = match self.work.try_lock() {
            Ok(work) => work,
            Err(TryLockError::Poisoned(work)) => work.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let put = put(&mut work);
        self.there_is_some.notify_one();
        Some(put)
    }

    /// Waits for work and takes all of it.
    fn take(&self) -> Work {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        while work.lessons.is_empty() && work.rows.is_empty() && work.renewed.is_none() && !work.ended {
            work = self.there_is_some.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        let ended = work.ended;
        let taken = std::mem::take(&mut *work);
        work.ended = ended;
        taken
    }
}

impl Maker {
    fn work(mut self, queue: &Queue) {
        // On Linux it holds for the thread that asks for it.
        if let Err(error) = rustix::process::nice(LOWEST_PRIORITY) {
            warn!(%error, "twins are made at the priority of everything else");
        }
        for keys in self.keys.clone() {
            self.prepare(&keys);
        }
        loop {
            let Work { lessons, rows, renewed, ended } = queue.take();
            if ended {
                return;
            }
            if let Some(keys) = renewed {
                self.keys = keys;
                self.twins.clear();
                for keys in self.keys.clone() {
                    self.prepare(&keys);
                }
            }
            for row in rows {
                self.follow(&row);
            }
            for (machine, lesson) in lessons {
                self.learn(&machine, &lesson);
            }
        }
    }

    /// Makes the twin of a machine whose generator is kept.
    fn prepare(&mut self, keys: &TwinKeys) {
        let machine = &keys.machine;
        match self.studio.generators.load(machine) {
            FoundGenerator::Fitted { generator, sha256 } => {
                self.twins.insert(machine.clone(), Twin::new(&generator, sha256, keys));
            }
            FoundGenerator::Nothing => info!(%machine, "has a twin once it has learned what is normal"),
            FoundGenerator::Quarantined { why } => {
                warn!(%machine, why, "its generator's file was put aside; it has a twin once it was calibrated again");
            }
        }
    }

    fn learn(&mut self, machine: &Name, lesson: &Lesson) {
        let Some(generator) = lesson.fit() else {
            warn!(%machine, "no generator can be fitted to its rows");
            return;
        };
        match self.studio.generators.save(machine, &generator) {
            Ok(sha256) => {
                if let Some(keys) = self.keys.iter().find(|keys| keys.machine == *machine) {
                    self.twins.insert(machine.clone(), Twin::new(&generator, sha256, keys));
                }
            }
            Err(error) => error!(%machine, %error, "its generator is not kept"),
        }
    }

    /// Goes one row on with the machine.
    fn follow(&mut self, row: &Row) {
        let Self { studio, keys, twins, publications } = self;
        let every = keys.iter().find(|keys| keys.machine == row.machine).and_then(|keys| keys.every);
        let Some(twin) = twins.get_mut(&row.machine) else { return };
        let values = twin.follow(row);
        if !twin.is_due(row.time, every) {
            return;
        }
        let own: Vec<&Name> = twin.series.fitted().channel_names().collect();
        let measured = |name: &Name| {
            let place = row.names.iter().position(|it| it == name);
            place.is_some_and(|place| row.values.get(place).is_some_and(|value| !value.is_nan()))
        };
        let told = TwinRow {
            time: row.time,
            values: own.iter().map(|name| name.as_str()).zip(values).collect(),
            imputed: own.iter().filter(|name| !measured(name)).map(|name| name.as_str()).collect(),
            label: BTreeMap::new(),
        };
        let payload = TwinPayload::new(&studio.gateway, &row.machine, told, &twin.generator).to_json();
        let publication = Publication { topic: studio.topics.twin(&row.machine), payload, retain: false };
        // One that finds no room is not missed: the next one is newer.
        let _ = publications.try_send(publication);
    }
}

impl Twin {
    fn new(generator: &FittedGenerator, sha256: String, keys: &TwinKeys) -> Self {
        Self {
            series: generator.series(keys.seed),
            tracker: generator.phases().cloned().map(PhaseTracker::new),
            phase: 0,
            generator: TwinGenerator {
                name: "fitted".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256,
                seed: keys.seed,
            },
            published: None,
        }
    }

    /// The twin's row beside the machine's, in the phase that the machine is in.
    fn follow(&mut self, row: &Row) -> Vec<f64> {
        let fitted = self.series.fitted();
        if let Some(tracker) = &mut self.tracker {
            let own: Vec<f64> = fitted
                .channel_names()
                .map(|name| {
                    let place = row.names.iter().position(|it| it == name);
                    place.and_then(|place| row.values.get(place)).copied().unwrap_or(f64::NAN)
                })
                .collect();
            let period = fitted.layout().window;
            let next = (self.phase + 1) % period;
            self.phase = tracker.observe(&fitted.standardised(&own)).unwrap_or(next);
        }
        self.series.row(self.phase)
    }

    fn is_due(&mut self, time: Timestamp, every: Option<Duration>) -> bool {
        let every = every.map(|every| SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX));
        let due = match (every, self.published) {
            (Some(every), Some(last)) => time < last || time.duration_since(last) >= every,
            _ => true,
        };
        if due {
            self.published = Some(time);
        }
        due
    }
}

const LOWEST_PRIORITY: i32 = 19;
const MOST_LESSONS: usize = 64;
const MOST_ROWS: usize = 256;
/// Rows of twins that nobody has published yet.
const MOST_UNSAID: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stands_still_costs_the_oldest_rows_and_no_waiting() {
        let queue = Arc::new(Queue { work: Mutex::default(), there_is_some: Condvar::new() });
        let machine = Name::parse("m").unwrap();
        let twins = Twins { queue: queue.clone(), wanted: vec![machine.clone()] };
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let rows = MOST_ROWS as i64 + 10;
        for second in 0..rows {
            twins.show(&machine, at(second), (std::slice::from_ref(&machine), &[1.0]));
        }
        {
            // Somebody who never lets go of the list.
            let work = queue.work.lock().unwrap();
            twins.show(&machine, at(rows), (std::slice::from_ref(&machine), &[1.0]));
            let times: Vec<Timestamp> = work.rows.iter().map(|row| row.time).collect();
            assert_eq!(times, (10..rows).map(at).collect::<Vec<_>>());
        }
        twins.show(&Name::parse("other").unwrap(), at(0), (&[], &[]));
        assert_eq!(queue.work.lock().unwrap().rows.len(), MOST_ROWS, "nobody wants a twin of the other");
    }
}
