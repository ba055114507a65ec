use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::twin::{Seen, Twin};
use super::workshop::StockedTwin;
use crate::acquisition::Name;
use crate::checkpoint::{FoundGenerator, Generators};
use crate::config::TwinKeys;
use crate::generation::fitted::{FittedGenerator, Lesson};
use crate::outbox::Publication;
use crate::publication::{Topics, TwinPayload};

/// The thread that fits generators and makes twins. The scoring thread hands it work and never waits for it: where there is too
/// much, or it stands still, the oldest rows are forgotten.
pub(super) struct Twins {
    queue: Arc<Queue>,
    /// The machines that are to have one, and how many rows each has shown.
    machines: Vec<(Name, u64)>,
}

/// Which twins are to be made.
pub(super) struct Wanted {
    pub keys: Vec<TwinKeys>,
    /// The generators of those that are not made by what is fitted to their machines.
    pub trained: HashMap<Name, StockedTwin>,
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
    rows: VecDeque<Seen>,
    renewed: Option<Wanted>,
    ended: bool,
}

/// The thread's own side.
struct Maker {
    studio: Studio,
    wanted: Wanted,
    twins: HashMap<Name, Twin>,
    publications: mpsc::Sender<Publication>,
}

impl Twins {
    /// Starts the thread; what its twins say comes out of the receiver.
    pub fn start(studio: Studio, wanted: Wanted) -> std::io::Result<(Self, mpsc::Receiver<Publication>)> {
        let (publications, said) = mpsc::channel(MOST_UNSAID);
        let queue = Arc::new(Queue { work: Mutex::default(), there_is_some: Condvar::new() });
        let twins = Self { queue: queue.clone(), machines: wanted.machines() };
        let maker = Maker { studio, wanted, twins: HashMap::new(), publications };
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
    pub fn show(&mut self, machine: &Name, time: Timestamp, (names, values): (&[Name], &[f64])) {
        let Some((_, number)) = self.machines.iter_mut().find(|(wanted, _)| wanted == machine) else { return };
        *number += 1;
        let (names, values) = (names.to_vec(), values.to_vec());
        let row = Seen { machine: machine.clone(), number: *number, time, names, values };
        self.queue.offer(|work| {
            if work.rows.len() == MOST_ROWS {
                work.rows.pop_front();
            }
            work.rows.push_back(row);
        });
    }

    /// Goes over to other twins.
    pub fn renew(&mut self, wanted: Wanted) {
        self.machines = wanted.machines();
        let mut work = self.queue.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.renewed = Some(wanted);
        self.queue.there_is_some.notify_one();
    }
}

impl Wanted {
    fn machines(&self) -> Vec<(Name, u64)> {
        self.keys.iter().map(|keys| (keys.machine.clone(), 0)).collect()
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
        self.prepare();
        loop {
            let Work { lessons, rows, renewed, ended } = queue.take();
            if ended {
                return;
            }
            if let Some(wanted) = renewed {
                self.wanted = wanted;
                self.twins.clear();
                self.prepare();
            }
            for row in rows {
                self.follow(&row);
            }
            for (machine, lesson) in lessons {
                self.learn(&machine, &lesson);
            }
        }
    }

    /// Makes the twins of machines whose generators are kept.
    fn prepare(&mut self) {
        for keys in self.wanted.keys.clone() {
            let machine = &keys.machine;
            match self.studio.generators.load(machine) {
                FoundGenerator::Fitted { generator, sha256 } => self.make(&keys, &generator, sha256),
                FoundGenerator::Nothing => info!(%machine, "has a twin once it has learned what is normal"),
                FoundGenerator::Quarantined { why } => {
                    warn!(%machine, why, "its generator's file was put aside; it has a twin once it was calibrated again");
                }
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
                if let Some(keys) = self.wanted.keys.iter().find(|keys| keys.machine == *machine).cloned() {
                    self.make(&keys, &generator, sha256);
                }
            }
            Err(error) => error!(%machine, %error, "its generator is not kept"),
        }
    }

    /// Makes the twin of a machine that was calibrated, in place of an earlier one.
    fn make(&mut self, keys: &TwinKeys, generator: &FittedGenerator, sha256: String) {
        let machine = &keys.machine;
        let before = self.twins.remove(machine).and_then(Twin::into_trained);
        let twin = match before.or_else(|| self.wanted.trained.remove(machine)) {
            None => Twin::fitted(generator, sha256, keys),
            Some(stocked) => match Twin::trained(stocked, generator, keys) {
                Ok(twin) => twin,
                Err(failed) => {
                    let (stocked, error) = *failed;
                    warn!(%machine, %error, "has no twin");
                    self.wanted.trained.insert(machine.clone(), stocked);
                    return;
                }
            },
        };
        info!(%machine, generator = twin.generator.name, "has a twin");
        self.twins.insert(machine.clone(), twin);
    }

    /// Goes one row on with the machine.
    fn follow(&mut self, seen: &Seen) {
        let Self { studio, twins, publications, .. } = self;
        let Some(twin) = twins.get_mut(&seen.machine) else { return };
        let generator = twin.generator.clone();
        match twin.follow(seen) {
            Ok(rows) => {
                for row in rows {
                    let payload = TwinPayload::new(&studio.gateway, &seen.machine, row, &generator).to_json();
                    let publication = Publication { topic: studio.topics.twin(&seen.machine), payload, retain: false };
                    // One that finds no room is not missed: the next one is newer.
                    let _ = publications.try_send(publication);
                }
            }
            Err(error) => {
                error!(machine = %seen.machine, %error, "has no twin any more");
                twins.remove(&seen.machine);
            }
        }
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
        let mut twins = Twins { queue: queue.clone(), machines: vec![(machine.clone(), 0)] };
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
