//! What is held, in order: the index in memory, without files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Counters, Limits, Publication, segment::TransitionRecord};

/// Every held transition, what of it waits, and which ones are pinned because they are their stream's newest.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    held: BTreeMap<u64, Held>,
    /// Entries to hand out, in order.
    waiting: BTreeSet<u64>,
    /// Transitions of which every publication is confirmed.
    settled: BTreeSet<u64>,
    /// Transitions that only memory holds.
    unwritten: BTreeSet<u64>,
    streams: Vec<Stream>,
    by_name: HashMap<String, u32>,
    /// Bytes of held transitions, by segment.
    live: BTreeMap<u64, u64>,
    /// First entry and count of confirmed transitions that are no longer held, by the segment in which they still
    /// stand: a later start finds them there and must find their confirmations too.
    buried: BTreeMap<u64, Vec<(u64, u8)>>,
    bytes: u64,
}

/// One transition.
#[derive(Debug)]
pub(super) struct Held {
    pub stream: u32,
    pub seq: u64,
    pub stamp: i64,
    pub place: Place,
    /// Size of its record.
    pub bytes: u32,
    count: u8,
    /// Bit `n`: publication `n` is confirmed.
    acked: u8,
    /// Bit `n`: publication `n` was handed out before, or may have been before a restart.
    tried: u8,
    /// Bit `n`: publication `n` is retained.
    retain: u8,
}

#[derive(Debug)]
pub(super) enum Place {
    Memory(Vec<Publication>),
    Disk { segment: u64, offset: u64 },
}

#[derive(Debug)]
pub(super) struct Stream {
    pub name: String,
    /// The newest seq and its transition.
    pub newest: (u64, u64),
    /// The newest retained publication.
    pub state: Option<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub entry: u64,
    pub transition: u64,
    pub seq: u64,
    pub publication: Publication,
}

impl Ledger {
    /// Takes in a transition that memory holds (`place` none) or that was found on disk. A transition that is already
    /// held (a second copy of it, left by a crash) only adds its confirmations.
    pub fn insert(&mut self, record: TransitionRecord, bytes: u32, place: Option<(u64, u64)>) {
        let TransitionRecord { first, stamp, seq, acked, stream, publications } = record;
        if let Some(twin) = self.held.get(&first) {
            let known = u64::from(twin.count);
            let confirmed: Vec<_> = (0..known).filter(|bit| acked & (1 << bit) != 0).map(|bit| first + bit).collect();
            confirmed.into_iter().for_each(|entry| _ = self.acknowledge(entry));
            if let Some(place) = place {
                self.moved(first, place, bytes);
            }
            return;
        }
        let ix = self.stream(stream, seq, first);
        let stream = &mut self.streams[ix as usize];
        if (seq, first) >= stream.newest {
            stream.newest = (seq, first);
        }
        let mut retain = 0;
        for (bit, publication) in publications.iter().enumerate().filter(|(_, publication)| publication.retain) {
            retain |= 1 << bit;
            let entry = first + bit as u64;
            if stream.state.as_ref().is_none_or(|state| (state.seq, state.entry) < (seq, entry)) {
                let publication = publication.clone();
                stream.state = Some(State { entry, transition: first, seq, publication });
            }
        }
        let count = publications.len() as u8;
        let all = mask(count);
        let acked = acked & all;
        for bit in 0..u64::from(count) {
            if acked & (1 << bit) == 0 {
                self.waiting.insert(first + bit);
            }
        }
        if acked == all {
            self.settled.insert(first);
        }
        let tried = if place.is_some() { all } else { 0 };
        let place = match place {
            Some((segment, offset)) => {
                *self.live.entry(segment).or_default() += u64::from(bytes);
                Place::Disk { segment, offset }
            }
            None => {
                self.unwritten.insert(first);
                Place::Memory(publications)
            }
        };
        self.bytes += u64::from(bytes);
        self.held.insert(first, Held { stream: ix, seq, stamp, place, bytes, count, acked, tried, retain });
    }

    /// The broker has this publication. False if it is not held or was confirmed before.
    pub fn acknowledge(&mut self, entry: u64) -> bool {
        let Some((first, held, bit)) = self.locate_mut(entry) else { return false };
        if held.acked & bit != 0 {
            // Announced once more: that is over now.
            self.waiting.remove(&entry);
            return false;
        }
        held.acked |= bit;
        let settled = held.acked == mask(held.count);
        self.waiting.remove(&entry);
        if settled {
            self.settled.insert(first);
        }
        true
    }

    /// The next entry to hand out; with `written_only`, only up to the first one that is not on disk.
    pub fn first_waiting(&self, written_only: bool) -> Option<u64> {
        let entry = *self.waiting.first()?;
        let barred = written_only && self.unwritten.first().is_some_and(|unwritten| *unwritten <= entry);
        (!barred).then_some(entry)
    }

    /// Takes an entry out of the queue. True if this is its first time out.
    pub fn hand_out(&mut self, entry: u64) -> bool {
        self.waiting.remove(&entry);
        let Some((_, held, bit)) = self.locate_mut(entry) else { return false };
        let first_time = held.tried & bit == 0;
        held.tried |= bit;
        first_time
    }

    /// Puts an entry back into the queue unless it is confirmed or gone.
    pub fn hand_back(&mut self, entry: u64) -> bool {
        match self.locate_mut(entry) {
            Some((_, held, bit)) if held.acked & bit == 0 => self.waiting.insert(entry),
            _ => false,
        }
    }

    /// Queues what a subscriber may have missed: every stream's newest state, and what is not retained of the last
    /// `tail` transitions.
    pub fn reannounce(&mut self, tail: usize, since: i64) {
        for (first, held) in self.held.iter().rev().take(tail).filter(|(_, held)| held.stamp >= since) {
            let events = (0..held.count).filter(|bit| held.retain & (1 << bit) == 0);
            self.waiting.extend(events.map(|bit| first + u64::from(bit)));
        }
        self.waiting.extend(self.streams.iter().filter_map(|stream| Some(stream.state.as_ref()?.entry)));
    }

    /// True if a newer state of the same topic is already on its way, so that sending this one would undo it.
    pub fn is_superseded(&self, entry: u64, publication: &Publication) -> bool {
        if !publication.retain {
            return false;
        }
        let Some((_, held, _)) = self.locate(entry) else { return true };
        let Some(state) = &self.streams[held.stream as usize].state else { return false };
        state.entry > entry && state.publication.topic == publication.topic && !self.waiting.contains(&state.entry)
    }

    /// Lets go of the transitions beyond the bounds, oldest first; see "Overflow" in `FORMAT.md`.
    pub fn trim(&mut self, limits: &Limits, counters: &mut Counters) {
        let mut beyond = self.settled.len().saturating_sub(limits.kept);
        let mut from = 0;
        while beyond > 0 {
            let Some(first) = self.settled.range(from..).copied().find(|first| !self.is_pinned(*first)) else { break };
            self.remove(first, counters);
            from = first + 1;
            beyond -= 1;
        }
        if self.bytes > limits.live() {
            while self.bytes > limits.live().saturating_sub(limits.segment) && self.remove_oldest(counters, |_| true) {}
        }
        while self.unwritten.len() > limits.in_memory
            && self.remove_oldest(counters, |held| matches!(held.place, Place::Memory(_)))
        {}
    }

    /// Lets go of the transitions that are older than `stamp`.
    pub fn expire(&mut self, stamp: i64, counters: &mut Counters) {
        let old: Vec<u64> = self
            .held
            .iter()
            .filter(|(_, held)| (CLOCK_WAS_SET..stamp).contains(&held.stamp))
            .map(|(first, _)| *first)
            .filter(|first| !self.is_pinned(*first))
            .collect();
        old.into_iter().for_each(|first| self.remove(first, counters));
    }

    /// Lets go of a transition that cannot be read any more.
    pub fn discard(&mut self, first: u64, counters: &mut Counters) {
        counters.damaged += 1;
        self.remove(first, counters);
    }

    /// A transition now stands (also) at this place on disk.
    pub fn moved(&mut self, first: u64, (segment, offset): (u64, u64), bytes: u32) {
        let Some(held) = self.held.get_mut(&first) else { return };
        let size = u64::from(held.bytes);
        if let Place::Disk { segment: old, .. } = held.place
            && let Some(live) = self.live.get_mut(&old)
        {
            *live -= size;
        }
        self.bytes = self.bytes - size + u64::from(bytes);
        held.bytes = bytes;
        held.place = Place::Disk { segment, offset };
        *self.live.entry(segment).or_default() += u64::from(bytes);
        self.unwritten.remove(&first);
    }

    /// The transition as it is to be written; `publications` are its content.
    pub fn record(&self, first: u64, publications: Vec<Publication>) -> Option<TransitionRecord> {
        let held = self.held.get(&first)?;
        let stream = self.streams[held.stream as usize].name.clone();
        Some(TransitionRecord { first, stamp: held.stamp, seq: held.seq, acked: held.acked, stream, publications })
    }

    /// A held transition and the entry's index in it.
    pub fn find(&self, entry: u64) -> Option<(u64, &Held, usize)> {
        let (first, held, _) = self.locate(entry)?;
        Some((first, held, (entry - first) as usize))
    }

    pub fn held(&self) -> impl DoubleEndedIterator<Item = (u64, &Held)> {
        self.held.iter().map(|(first, held)| (*first, held))
    }

    pub fn unwritten(&self) -> impl Iterator<Item = u64> {
        self.unwritten.iter().copied()
    }

    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    pub fn stream_named(&self, name: &str) -> Option<(u32, &Stream)> {
        let ix = *self.by_name.get(name)?;
        Some((ix, &self.streams[ix as usize]))
    }

    /// Bytes of held transitions in a segment.
    pub fn live_in(&self, segment: u64) -> u64 {
        self.live.get(&segment).copied().unwrap_or(0)
    }

    pub fn in_segment(&self, segment: u64) -> Vec<u64> {
        let here = |held: &Held| matches!(held.place, Place::Disk { segment: at, .. } if at == segment);
        self.held.iter().filter(|(_, held)| here(held)).map(|(first, _)| *first).collect()
    }

    pub fn forget_segment(&mut self, segment: u64) {
        self.live.remove(&segment);
        self.buried.remove(&segment);
    }

    /// Every confirmed entry that stands on disk, but for the ones that go with these segments.
    pub fn confirmed(&self, going: &[u64]) -> Vec<u64> {
        let entries = |(first, held): (&u64, &Held)| {
            let (first, acked) = (*first, held.acked);
            (0..held.count).filter(move |bit| acked & (1 << bit) != 0).map(move |bit| first + u64::from(bit))
        };
        let staying = self.buried.iter().filter(|(segment, _)| !going.contains(segment));
        let buried = staying
            .flat_map(|(_, transitions)| transitions)
            .flat_map(|(first, count)| *first..first + u64::from(*count));
        self.held.iter().flat_map(entries).chain(buried).collect()
    }

    /// Transitions held, and publications among them that are not confirmed.
    pub fn counts(&self) -> (usize, usize) {
        let open = self.held.values().map(|held| (mask(held.count) & !held.acked).count_ones() as usize).sum();
        (self.held.len(), open)
    }

    /// Entries that wait to be handed out.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn remove_oldest(&mut self, counters: &mut Counters, eligible: impl Fn(&Held) -> bool) -> bool {
        let wanted = |first: &u64| self.held.get(first).is_some_and(&eligible) && !self.is_pinned(*first);
        let settled = self.settled.iter().copied().find(wanted);
        let victim = settled.or_else(|| self.held.keys().copied().find(wanted));
        if let Some(first) = victim {
            self.remove(first, counters);
        }
        victim.is_some()
    }

    fn remove(&mut self, first: u64, counters: &mut Counters) {
        let Some(held) = self.held.remove(&first) else { return };
        if self.settled.remove(&first) {
            counters.retired += 1;
            if let Place::Disk { segment, .. } = held.place {
                self.buried.entry(segment).or_default().push((first, held.count));
            }
        } else {
            counters.dropped_unacknowledged += 1;
        }
        for bit in 0..u64::from(held.count) {
            self.waiting.remove(&(first + bit));
        }
        self.unwritten.remove(&first);
        self.bytes -= u64::from(held.bytes);
        if let Place::Disk { segment, .. } = held.place
            && let Some(live) = self.live.get_mut(&segment)
        {
            *live -= u64::from(held.bytes);
        }
    }

    fn is_pinned(&self, first: u64) -> bool {
        let Some(held) = self.held.get(&first) else { return false };
        let stream = &self.streams[held.stream as usize];
        stream.newest.1 == first || stream.state.as_ref().is_some_and(|state| state.transition == first)
    }

    fn stream(&mut self, name: String, seq: u64, first: u64) -> u32 {
        if let Some(ix) = self.by_name.get(&name) {
            return *ix;
        }
        let ix = self.streams.len() as u32;
        self.by_name.insert(name.clone(), ix);
        self.streams.push(Stream { name, newest: (seq, first), state: None });
        ix
    }

    fn locate(&self, entry: u64) -> Option<(u64, &Held, u8)> {
        let (first, held) = self.held.range(..=entry).next_back()?;
        let bit = entry - first;
        (bit < u64::from(held.count)).then(|| (*first, held, 1 << bit))
    }

    fn locate_mut(&mut self, entry: u64) -> Option<(u64, &mut Held, u8)> {
        let (first, held) = self.held.range_mut(..=entry).next_back()?;
        let bit = entry - first;
        (bit < u64::from(held.count)).then(|| (*first, held, 1 << bit))
    }
}

fn mask(count: u8) -> u8 {
    (u16::MAX >> (16 - u16::from(count.clamp(1, 8)))) as u8
}

/// 2024-01-01: a stamp before it comes from a gateway whose clock was not set yet.
const CLOCK_WAS_SET: i64 = 1_704_067_200_000;
