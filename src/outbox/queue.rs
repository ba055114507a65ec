//! The outbox itself: the index in memory over the segments on disk.

use std::{fmt, io, path::Path, time::Duration};

use jiff::Timestamp;

use super::{
    Counters, Durability, Limits, OutboxError, Recovery,
    ledger::{Ledger, Place, Stream},
    segment::{self, MAX_NAME, MAX_PAYLOAD, MAX_PUBLICATIONS, Record, TransitionRecord},
    store::{Loaded, Store},
};

/// Publications that wait for the broker's confirmation, and the last ones that have it.
///
/// ```
/// use jiff::Timestamp;
/// use wheeltapper::outbox::{Durability, Limits, Outbox, Publication};
///
/// let dir = std::env::temp_dir().join(format!("outbox-example-{}", std::process::id()));
/// let (mut outbox, recovery) = Outbox::open(&dir, Limits::default())?;
/// assert!(recovery.is_clean());
/// let event = Publication { topic: "g1/press-01/event".into(), payload: b"{}".to_vec(), retain: false };
/// outbox.append(Timestamp::now(), "press-01", 1, &[event])?;
/// assert_eq!(outbox.sync(), Durability::Synced); // now the telemetry that caused it may be acknowledged
/// while let Some(entry) = outbox.next_unsent() {
///     // … hand it to the link, and when the broker's PubAck for it arrives:
///     outbox.acknowledged(entry.id);
/// }
/// # drop(outbox);
/// # std::fs::remove_dir_all(dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    ledger: Ledger,
    store: Store,
    counters: Counters,
    /// The next entry number.
    next: u64,
    /// Confirmations of written entries that are not written yet.
    acks: Vec<u64>,
    /// Why the disk refused, until it takes a write again.
    degraded: Option<String>,
    expired_at: Option<Timestamp>,
}

/// One message for the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Where to.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// The broker keeps it for later subscribers. A stream's newest retained publication is its state.
    pub retain: bool,
}

/// Names one publication in one outbox. Rises with every publication and is never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(crate) u64);

/// A publication on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// To be given back with the confirmation or the loss.
    pub id: EntryId,
    /// The machine.
    pub stream: String,
    /// The transition.
    pub seq: u64,
    /// The message.
    pub publication: Publication,
    /// It was never handed out before. False for everything that an earlier run may have sent.
    pub first_attempt: bool,
}

/// The newest that is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest<'a> {
    /// The machine.
    pub stream: &'a str,
    /// The seq of its newest transition.
    pub seq: u64,
    /// Its newest retained publication, if it ever had one.
    pub state: Option<&'a Publication>,
}

impl Outbox {
    /// Opens the outbox in `dir`, which is created if it is missing.
    ///
    /// Damage does not stop the start: unfinished writes are cut off, damaged and foreign files are renamed into
    /// `quarantine/` after what can be read of them was rescued, and [`Recovery`] says so. On a full or read-only disk
    /// the outbox works from memory.
    ///
    /// # Errors
    /// [`OutboxError::InUse`] if another process has it open, [`OutboxError::Unusable`] if `dir` is no directory that
    /// may be used.
    pub fn open(dir: &Path, limits: Limits) -> Result<(Outbox, Recovery), OutboxError> {
        let (store, loaded, mut recovery) = Store::open(dir)?;
        let degraded = recovery.degraded.clone();
        let (ledger, counters) = (Ledger::default(), Counters::default());
        let mut outbox =
            Outbox { limits, ledger, store, counters, next: 1, acks: Vec::new(), degraded, expired_at: None };
        let damaged = outbox.restore(loaded);
        for (segment, reason) in damaged {
            let rescued = outbox.ledger.in_segment(segment).len();
            if let Err(error) = outbox.rewrite(&[segment]) {
                // It stays where it is, still readable; the next start tries again.
                outbox.failed(&error);
                let name = format!("segment {segment}");
                recovery.quarantined.push(super::Quarantined { name, moved_to: None, reason, rescued });
                continue;
            }
            recovery.quarantined.push(outbox.store.set_aside(segment, reason, rescued));
            outbox.ledger.forget_segment(segment);
        }
        outbox.ledger.trim(&outbox.limits, &mut outbox.counters);
        (recovery.transitions, recovery.unacknowledged) = outbox.ledger.counts();
        recovery.degraded.clone_from(&outbox.degraded);
        Ok((outbox, recovery))
    }

    /// Takes in the publications of one transition, all or none. They are in memory until [`sync`](Outbox::sync), and
    /// are not handed out before, so that a crash cannot give their seq to another transition.
    ///
    /// # Errors
    /// [`OutboxError::SeqWentBack`], [`OutboxError::Count`] and [`OutboxError::TooLong`]; nothing was taken in then.
    pub fn append(
        &mut self,
        now: Timestamp,
        stream: &str,
        seq: u64,
        publications: &[Publication],
    ) -> Result<Vec<EntryId>, OutboxError> {
        self.check(stream, seq, publications)?;
        let first = self.next;
        self.next += publications.len() as u64;
        let record = TransitionRecord {
            first,
            stamp: now.as_millisecond(),
            seq,
            acked: 0,
            stream: stream.to_owned(),
            publications: publications.to_vec(),
        };
        self.ledger.insert(record, record_size(stream, publications), None);
        self.counters.appended += publications.len() as u64;
        self.ledger.trim(&self.limits, &mut self.counters);
        Ok((first..self.next).map(EntryId).collect())
    }

    /// Writes and fsyncs everything appended so far. After [`Durability::Degraded`] the entries stay in memory and are
    /// handed out from there; [`maintain`](Outbox::maintain) tries again, so that a disk that fails slowly is not
    /// waited for with every message.
    pub fn sync(&mut self) -> Durability {
        if self.degraded.is_some() {
            return self.durability();
        }
        self.write_unwritten()
    }

    /// The next publication to send, in the order of appending. It is not handed out again until it is
    /// [handed back](Outbox::hand_back).
    pub fn next_unsent(&mut self) -> Option<Entry> {
        loop {
            let id = self.ledger.first_waiting(self.degraded.is_none())?;
            let (first, held, index) = self.ledger.find(id)?;
            let (stream, seq) = (held.stream, held.seq);
            let publication = match self.read(first) {
                Ok(mut publications) if index < publications.len() => publications.swap_remove(index),
                _ => {
                    tracing::error!(entry = id, "outbox: an entry cannot be read back from disk and is given up");
                    self.ledger.discard(first, &mut self.counters);
                    continue;
                }
            };
            if self.ledger.is_superseded(id, &publication) {
                self.counters.superseded += 1;
                self.ledger.hand_out(id);
                self.confirm(id);
                continue;
            }
            let first_attempt = self.ledger.hand_out(id);
            let stream = self.ledger.streams()[stream as usize].name.clone();
            return Some(Entry { id: EntryId(id), stream, seq, publication, first_attempt });
        }
    }

    /// The broker has confirmed this very publication. Written lazily: if the confirmation is lost in a crash, the
    /// entry is sent once more.
    pub fn acknowledged(&mut self, id: EntryId) {
        if self.confirm(id.0) {
            self.counters.acknowledged += 1;
        }
        self.ledger.trim(&self.limits, &mut self.counters);
        if self.acks.len() >= LAZY_ACKS && self.degraded.is_none() {
            self.write_acks();
        }
    }

    /// These did not get through: they take their old places in the queue.
    pub fn hand_back(&mut self, ids: &[EntryId]) {
        for id in ids {
            self.ledger.hand_back(id.0);
        }
    }

    /// Queues again what subscribers of a broker that lost its session may have missed: every stream's newest state,
    /// and what is not retained of the last `tail` transitions, as far as they were appended at or after `since`. Returns how
    /// many publications wait now.
    pub fn reannounce(&mut self, tail: usize, since: Timestamp) -> usize {
        self.ledger.reannounce(tail, since.as_millisecond());
        self.ledger.waiting()
    }

    /// The kept transitions of a stream from a seq on, oldest first, confirmed or not. What is no longer kept is
    /// missing at the front.
    pub fn replay(&self, stream: &str, from_seq: u64) -> impl Iterator<Item = Entry> {
        let found = self.ledger.stream_named(stream).map(|(ix, _)| ix);
        let matching = self.ledger.held().filter(move |(_, held)| Some(held.stream) == found && held.seq >= from_seq);
        let stream = stream.to_owned();
        matching.flat_map(move |(first, held)| {
            let (stream, seq) = (stream.clone(), held.seq);
            let publications = self.read(first).unwrap_or_default();
            publications.into_iter().zip(first..).map(move |(publication, id)| Entry {
                id: EntryId(id),
                stream: stream.clone(),
                seq,
                publication,
                first_attempt: false,
            })
        })
    }

    /// The newest that is known of a stream; after a restart, what its machine is to be restored from.
    pub fn newest(&self, stream: &str) -> Option<Newest<'_>> {
        self.ledger.stream_named(stream).map(|(_, stream)| newest(stream))
    }

    /// The newest of every stream.
    pub fn newest_states(&self) -> impl Iterator<Item = Newest<'_>> {
        self.ledger.streams().iter().map(newest)
    }

    /// The newest seq of a stream; 0 if it never had a transition.
    pub fn seq(&self, stream: &str) -> u64 {
        self.newest(stream).map_or(0, |newest| newest.seq)
    }

    /// Publications that wait to be handed out.
    pub fn waiting(&self) -> usize {
        self.ledger.waiting()
    }

    /// Why the disk refuses, while it does.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The housekeeping: retries what the disk refused, writes confirmations, expires, and rewrites sparse segments.
    /// To be called about once a second.
    pub fn maintain(&mut self, now: Timestamp) -> Durability {
        if self.expired_at.is_none_or(|last| now.duration_since(last).unsigned_abs() >= EXPIRY_INTERVAL) {
            let age = i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX);
            self.ledger.expire(now.as_millisecond().saturating_sub(age), &mut self.counters);
            self.expired_at = Some(now);
        }
        self.ledger.trim(&self.limits, &mut self.counters);
        if let Some(cause) = self.store.starved() {
            self.degraded = Some(cause);
            return self.durability();
        }
        let durability = self.write_unwritten();
        if !self.acks.is_empty() || (self.degraded.is_some() && durability == Durability::Synced) {
            self.write_acks();
        }
        if self.degraded.is_none() {
            self.tidy();
        }
        durability
    }

    fn check(&self, stream: &str, seq: u64, publications: &[Publication]) -> Result<(), OutboxError> {
        let newest = self.seq(stream);
        if seq < newest {
            return Err(OutboxError::SeqWentBack { stream: stream.to_owned(), newest, found: seq });
        }
        if !(1..=MAX_PUBLICATIONS).contains(&publications.len()) {
            return Err(OutboxError::Count { stream: stream.to_owned(), seq, found: publications.len() });
        }
        let topics = publications.iter().map(|publication| ("a topic", publication.topic.len(), MAX_NAME));
        let payloads = publications.iter().map(|publication| ("a payload", publication.payload.len(), MAX_PAYLOAD));
        let mut parts = topics.chain(payloads).chain([("the stream's name", stream.len(), MAX_NAME)]);
        match parts.find(|(_, found, limit)| found > limit) {
            Some((what, found, limit)) => {
                Err(OutboxError::TooLong { stream: stream.chars().take(64).collect(), seq, what, found, limit })
            }
            None => Ok(()),
        }
    }

    /// Fills the index; returns the damaged segments.
    fn restore(&mut self, loaded: Vec<Loaded>) -> Vec<(u64, String)> {
        let (mut acks, mut damaged) = (Vec::new(), Vec::new());
        for Loaded { segment, base, scan, damaged: reason } in loaded {
            self.next = self.next.max(base);
            for (range, record) in scan.records {
                match record {
                    Record::Transition(record) => {
                        self.next = self.next.max(record.first + record.publications.len() as u64);
                        self.ledger.insert(record, range.len() as u32, Some((segment, range.start as u64)));
                    }
                    Record::Acks(entries) => acks.extend(entries),
                }
            }
            damaged.extend(reason.map(|reason| (segment, reason)));
        }
        for entry in acks {
            // A confirmed number must not be given to another entry, even if its own is gone.
            self.next = self.next.max(entry.saturating_add(1));
            self.ledger.acknowledge(entry);
        }
        damaged
    }

    fn read(&self, first: u64) -> io::Result<Vec<Publication>> {
        let (_, held, _) = self.ledger.find(first).ok_or(io::ErrorKind::NotFound)?;
        match &held.place {
            Place::Memory(publications) => Ok(publications.clone()),
            Place::Disk { segment, offset } => {
                let bytes = self.store.read(*segment, *offset, held.bytes)?;
                match segment::decode_record(&bytes) {
                    Ok((Record::Transition(record), _)) if record.first == first => Ok(record.publications),
                    _ => Err(io::ErrorKind::InvalidData.into()),
                }
            }
        }
    }

    fn confirm(&mut self, entry: u64) -> bool {
        let fresh = self.ledger.acknowledge(entry);
        let on_disk = |(_, held, _): (u64, &super::ledger::Held, usize)| matches!(held.place, Place::Disk { .. });
        if fresh && self.ledger.find(entry).is_some_and(on_disk) {
            self.acks.push(entry);
        }
        fresh
    }

    fn write_unwritten(&mut self) -> Durability {
        let unwritten: Vec<u64> = self.ledger.unwritten().collect();
        if unwritten.is_empty() {
            return Durability::Synced;
        }
        let (mut batch, mut places) = (Vec::new(), Vec::with_capacity(unwritten.len()));
        for first in unwritten {
            let Ok(publications) = self.read(first) else { continue };
            let Some(record) = self.ledger.record(first, publications) else { continue };
            let start = batch.len();
            segment::encode_transition(&record, &mut batch);
            places.push((first, start as u64, (batch.len() - start) as u32));
        }
        segment::encode_acks(&self.acks, &mut batch);
        match self.store.append(&batch, self.next, true) {
            Ok((segment, offset)) => {
                for (first, start, bytes) in places {
                    self.ledger.moved(first, (segment, offset + start), bytes);
                }
                self.acks.clear();
                self.recovered();
                self.tidy_after_write();
                Durability::Synced
            }
            Err(error) => {
                self.failed(&error);
                self.durability()
            }
        }
    }

    /// Also the probe that finds out that the disk takes writes again.
    fn write_acks(&mut self) {
        let mut batch = Vec::new();
        segment::encode_acks(&self.acks, &mut batch);
        match self.store.append(&batch, self.next, self.degraded.is_some()) {
            Ok(_) => {
                self.acks.clear();
                self.recovered();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn tidy_after_write(&mut self) {
        self.store.seal_at(self.limits.segment);
        if self.store.bytes() > self.limits.bytes {
            self.tidy();
        }
    }

    /// Removes segments in which nothing is held any more, and rewrites sparse ones into one. Nothing is removed
    /// before its content, and the confirmations that it carries, are on disk elsewhere.
    fn tidy(&mut self) {
        self.store.seal_at(self.limits.segment);
        let sealed: Vec<_> =
            self.store.sealed().map(|(segment, bytes)| (segment, bytes, self.ledger.live_in(segment))).collect();
        let dead: Vec<u64> = sealed.iter().filter(|(.., live)| *live == 0).map(|(segment, ..)| *segment).collect();
        let mut sparse: Vec<_> = sealed
            .into_iter()
            .filter(|(_, bytes, live)| *live > 0 && live * 2 < (*bytes).max(self.limits.segment))
            .collect();
        sparse.sort_by_key(|(_, bytes, live)| live * 1_000 / (*bytes).max(1));
        let full = self.store.bytes() > self.limits.bytes;
        sparse.truncate(SPARSE_AT_ONCE);
        if sparse.len() < SPARSE_AT_ONCE && !full {
            sparse.clear();
        }
        let mut victims = dead;
        victims.extend(sparse.iter().map(|(segment, ..)| *segment));
        if victims.is_empty() {
            return;
        }
        match self.rewrite(&victims) {
            Ok(()) => {
                self.counters.compactions += u64::from(!sparse.is_empty());
                self.store.remove(&victims);
                victims.into_iter().for_each(|segment| self.ledger.forget_segment(segment));
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Writes what is held of these segments, and every confirmation, where it stays when they go.
    fn rewrite(&mut self, segments: &[u64]) -> io::Result<()> {
        let mut firsts: Vec<u64> = segments.iter().flat_map(|segment| self.ledger.in_segment(*segment)).collect();
        firsts.sort_unstable();
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(firsts.len()));
        for first in firsts {
            let Ok(publications) = self.read(first) else {
                self.ledger.discard(first, &mut self.counters);
                continue;
            };
            let Some(record) = self.ledger.record(first, publications) else { continue };
            let start = bytes.len();
            segment::encode_transition(&record, &mut bytes);
            places.push((first, (segment::HEADER + start) as u64, (bytes.len() - start) as u32));
        }
        segment::encode_acks(&self.ledger.confirmed(segments), &mut bytes);
        if places.is_empty() {
            // An empty batch still makes sure of a segment whose header carries the next entry number on.
            self.store.append(&bytes, self.next, true)?;
            return Ok(());
        }
        let segment = self.store.write_whole(&bytes, self.next)?;
        for (first, offset, size) in places {
            self.ledger.moved(first, (segment, offset), size);
        }
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        self.counters.write_failures += 1;
        if self.degraded.is_none() {
            tracing::error!(%error, "outbox: the disk refuses; transitions are kept in memory only");
        }
        self.degraded = Some(error.to_string());
    }

    fn recovered(&mut self) {
        if self.degraded.take().is_some() {
            tracing::info!("outbox: the disk takes writes again");
        }
    }

    fn durability(&self) -> Durability {
        match (&self.degraded, self.ledger.unwritten().count()) {
            (Some(cause), in_memory) if in_memory > 0 => Durability::Degraded { cause: cause.clone(), in_memory },
            _ => Durability::Synced,
        }
    }
}

impl Limits {
    /// The most bytes of held transitions: the rest is room for what is dead but not yet rewritten.
    pub(super) fn live(&self) -> u64 {
        self.bytes.saturating_sub(2 * self.segment).max(self.bytes / 4)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn newest(stream: &Stream) -> Newest<'_> {
    let state = stream.state.as_ref().map(|state| &state.publication);
    Newest { stream: &stream.name, seq: stream.newest.0, state }
}

fn record_size(stream: &str, publications: &[Publication]) -> u32 {
    let publication = |publication: &Publication| 7 + publication.topic.len() + publication.payload.len();
    (37 + stream.len() + publications.iter().map(publication).sum::<usize>()) as u32
}

/// Confirmations that are collected before they are written without a transition to carry them.
const LAZY_ACKS: usize = 64;
/// Sparse segments that make a rewrite worth while.
const SPARSE_AT_ONCE: usize = 8;
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
