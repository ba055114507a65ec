use std::time::Duration;

use heapless::deque::Deque;
use jiff::{SignedDuration, Timestamp};

use super::{Channels, MOST_CHANNELS, Sample};
use crate::acquisition::{Name, Rejection, Sink};
use crate::clock::Now;

/// How readings become samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// The expected time between two samples.
    pub cadence: Duration,
    /// How long a sample waits for channels that were not reported yet.
    pub lateness: Duration,
}

/// How a message arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub now: Now,
    /// The broker says that it may have delivered this message before.
    pub redelivered: bool,
}

/// Puts the readings of one machine together into samples, in the order of their time.
///
/// A message is staged reading by reading (as a [`Sink`]), then committed or dropped as a whole. Readings with the same
/// stamp belong to one sample. Readings without a stamp belong to the newest sample until one of its channels is
/// reported again. A sample is let go as soon as every channel that still reports is in it; a channel that stayed
/// silent for a few samples is no longer waited for. At the very start, where the channels are not known, the first
/// sample waits for the second.
pub struct Aligner {
    alignment: Alignment,
    channels: Channels,
    /// How each channel is reported.
    habits: Vec<Habit>,
    /// Whether the set of channels was seen whole at least once.
    settled: bool,
    staged: Row,
    /// Readings of channels that were never reported before; they become channels only with their message.
    newcomers: Vec<(Name, Option<f64>)>,
    /// Readings that came after their sample had gone; they go with the next one.
    carried: Row,
    /// Why a reading of the staged message was left out.
    refused: Option<Rejection>,
    open: Deque<Box<Row>, MOST_OPEN>,
    spare: Deque<Box<Row>, MOST_OPEN>,
    released: Box<Row>,
    newest_stamp: Option<Timestamp>,
    backwards: Option<Backwards>,
}

impl Aligner {
    pub fn new(alignment: Alignment, channels: Channels) -> Self {
        let width = channels.len();
        let settled = channels.is_fixed();
        Self {
            alignment,
            channels,
            habits: vec![Habit::default(); width],
            settled,
            staged: Row::new(width),
            newcomers: Vec::new(),
            carried: Row::new(width),
            refused: None,
            open: Deque::new(),
            spare: Deque::new(),
            released: Box::new(Row::new(width)),
            newest_stamp: None,
            backwards: None,
        }
    }

    /// Waits as long as this for channels that were not reported yet, from now on.
    pub fn set_lateness(&mut self, lateness: Duration) {
        self.alignment.lateness = lateness;
    }

    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// From here on no new channel is taken.
    pub fn fix_channels(&mut self) {
        self.channels.fix();
    }

    /// Drops what was staged.
    pub fn drop_staged(&mut self) {
        self.staged.clear();
        self.newcomers.clear();
        self.refused = None;
    }

    /// Why a reading of the message before was left out, if one was.
    pub fn take_refused(&mut self) -> Option<Rejection> {
        self.refused.take()
    }

    /// Makes what was staged part of a sample.
    pub fn commit(&mut self, stamp: Option<Timestamp>, arrival: Arrival) -> Result<(), Rejection> {
        let admitted = self.admit_newcomers();
        let placed = if let Err(rejection) = admitted {
            Err(rejection)
        } else if self.staged.count == 0 {
            Err(self.refused.take().unwrap_or(Rejection::NoReading))
        } else {
            match stamp {
                Some(stamp) => self.commit_stamped(stamp, arrival),
                None => {
                    self.commit_unstamped(arrival.now);
                    Ok(())
                }
            }
        };
        self.staged.clear();
        placed
    }

    /// The next sample that need not wait any longer. To be asked after each commit and from time to time.
    pub fn next_sample(&mut self, now: Now) -> Option<(&Channels, Sample<'_>)> {
        if !self.is_due(now) {
            return None;
        }
        let row = self.open.pop_front()?;
        self.settled = true;
        // There is room: no more rows are made than may be open, and this one.
        let _ = self.spare.push_back(std::mem::replace(&mut self.released, row));
        self.released.widen(self.channels.len());
        for (habit, reported) in self.habits.iter_mut().zip(&self.released.reported) {
            habit.follow(*reported);
        }
        self.hand_over_carried();
        if let Some(stamp) = self.released.stamp {
            self.newest_stamp = self.newest_stamp.max(Some(stamp));
        }
        Some((&self.channels, Sample { time: self.released.time, values: &self.released.values }))
    }

    /// Gives the message's new channels their places.
    fn admit_newcomers(&mut self) -> Result<(), Rejection> {
        for (name, value) in self.newcomers.drain(..) {
            let place = self.channels.admit(name);
            self.habits.resize(self.channels.len(), Habit::default());
            self.staged.put(place, value)?;
        }
        Ok(())
    }

    /// Readings that came too late for their own sample stand in for a channel that is silent in this one.
    fn hand_over_carried(&mut self) {
        if self.carried.count == 0 {
            return;
        }
        for (place, _) in self.carried.reported.iter().enumerate().filter(|(_, reported)| **reported) {
            if self.released.values[place].is_nan() {
                self.released.values[place] = self.carried.values[place];
            }
        }
        self.carried.clear();
    }

    fn is_due(&self, now: Now) -> bool {
        let Some(row) = self.open.front() else { return false };
        if row.closed || self.open.is_full() || (self.settled && row.is_complete(&self.habits)) {
            return true;
        }
        let waited = now.steady.saturating_sub(row.opened);
        let newest = self.open.back().map_or(row.time, |newest| newest.time);
        match row.stamp {
            Some(_) => {
                waited >= self.alignment.lateness || newest.duration_since(row.time) >= signed(self.alignment.lateness)
            }
            None => waited >= self.alignment.lateness.min(self.alignment.cadence),
        }
    }

    fn commit_stamped(&mut self, stamp: Timestamp, arrival: Arrival) -> Result<(), Rejection> {
        if stamp.duration_since(arrival.now.utc) > FUTURE {
            return Err(Rejection::Future);
        }
        if let Some(newest) = self.newest_stamp
            && stamp <= newest
            && !self.goes_on_after_a_step_back(stamp, newest, arrival.redelivered)
        {
            return if stamp < newest {
                Err(Rejection::Late)
            } else if self.released.stamp != Some(stamp) || self.released.overlaps(&self.staged) {
                Err(Rejection::Duplicate)
            } else {
                // A part of a sample that has gone already, as a slower sender's is.
                self.carried.merge(&self.staged);
                Ok(())
            };
        }
        self.backwards = None;
        if let Some(row) = self.open.iter_mut().find(|row| row.stamp == Some(stamp)) {
            return if row.overlaps(&self.staged) {
                Err(Rejection::Duplicate)
            } else {
                row.merge(&self.staged);
                Ok(())
            };
        }
        // The set of channels is known as soon as a second sample begins.
        self.settled |= !self.open.is_empty();
        self.open_row(stamp, Some(stamp), arrival.now);
        Ok(())
    }

    fn commit_unstamped(&mut self, now: Now) {
        if let Some(row) = self.open.back_mut().filter(|row| row.stamp.is_none() && !row.closed) {
            if !row.overlaps(&self.staged) {
                row.merge(&self.staged);
                row.time = now.utc;
                return;
            }
            row.closed = true;
            self.settled = true;
        }
        self.open_row(now.utc, None, now);
    }

    fn open_row(&mut self, time: Timestamp, stamp: Option<Timestamp>, now: Now) {
        let mut row = self.spare.pop_back().unwrap_or_else(|| Box::new(Row::new(self.channels.len())));
        row.clear();
        row.merge(&self.staged);
        (row.time, row.stamp, row.opened, row.closed) = (time, stamp, now.steady, false);
        // A full ring lets its oldest sample go at once, and samples are taken out after each commit.
        if self.open.push_back(row).is_err() {
            debug_assert!(false, "samples must be taken out after each commit");
            return;
        }
        // Stamped samples may begin out of order; let the newest sink to its place.
        let (front, back) = self.open.as_mut_slices();
        let mut rows: heapless::Vec<&mut Box<Row>, MOST_OPEN> = front.iter_mut().chain(back).collect();
        for index in (1..rows.len()).rev() {
            if stamp.is_none() || rows[index - 1].time <= rows[index].time {
                break;
            }
            let (earlier, later) = rows.split_at_mut(index);
            std::mem::swap(earlier[index - 1], later[0]);
        }
    }

    /// Whether a stamp that lies behind is the continuation of a clock that was set back, not a straggler.
    ///
    /// A stretch of stamps that rise among themselves, all behind, none of them a redelivery, is a new time line as soon
    /// as it is long enough that no reordering explains it.
    fn goes_on_after_a_step_back(&mut self, stamp: Timestamp, newest: Timestamp, redelivered: bool) -> bool {
        let rises = |line: &Backwards| stamp > line.newest;
        let line = match self.backwards.take().filter(rises) {
            Some(line) if !redelivered => Backwards { newest: stamp, count: line.count + 1, ..line },
            _ => Backwards { first: stamp, newest: stamp, count: u32::from(!redelivered) },
        };
        let goes_on = line.count >= NEW_TIME_LINE
            && newest > line.first
            && line.newest.duration_since(line.first) >= signed(self.alignment.lateness);
        if goes_on {
            self.newest_stamp = None;
        } else {
            self.backwards = Some(line);
        }
        goes_on
    }
}

impl Sink for Aligner {
    fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection> {
        match self.channels.find(channel) {
            Ok(Some(place)) => return self.staged.put(place, value),
            Ok(None) if self.newcomers.iter().any(|(name, _)| name.as_str() == channel) => {
                return Err(Rejection::DuplicateKey);
            }
            Ok(None) if self.channels.len() + self.newcomers.len() >= MOST_CHANNELS => {
                self.refused = Some(Rejection::TooManyChannels);
            }
            Ok(None) => match Name::parse(channel) {
                Ok(name) => self.newcomers.push((name, value)),
                Err(_) => self.refused = Some(Rejection::BadName),
            },
            // A machine may report more than is watched; the rest of its message is as good as any.
            Err(rejection) => self.refused = Some(rejection),
        }
        Ok(())
    }
}

/// A sample that is being put together.
struct Row {
    time: Timestamp,
    stamp: Option<Timestamp>,
    opened: Duration,
    /// Nothing may be added any more.
    closed: bool,
    values: Vec<f64>,
    reported: Vec<bool>,
    count: usize,
}

impl Row {
    fn new(width: usize) -> Self {
        Self {
            time: Timestamp::UNIX_EPOCH,
            stamp: None,
            opened: Duration::ZERO,
            closed: false,
            values: vec![f64::NAN; width],
            reported: vec![false; width],
            count: 0,
        }
    }

    fn clear(&mut self) {
        self.values.fill(f64::NAN);
        self.reported.fill(false);
        self.count = 0;
    }

    fn widen(&mut self, width: usize) {
        if self.values.len() < width {
            self.values.resize(width, f64::NAN);
            self.reported.resize(width, false);
        }
    }

    fn put(&mut self, place: usize, value: Option<f64>) -> Result<(), Rejection> {
        self.widen(place + 1);
        if self.reported[place] {
            return Err(Rejection::DuplicateKey);
        }
        self.values[place] = value.unwrap_or(f64::NAN);
        self.reported[place] = true;
        self.count += 1;
        Ok(())
    }

    fn overlaps(&self, other: &Row) -> bool {
        self.reported.iter().zip(&other.reported).any(|(mine, theirs)| *mine && *theirs)
    }

    fn merge(&mut self, other: &Row) {
        self.widen(other.values.len());
        for (place, _) in other.reported.iter().enumerate().filter(|(_, reported)| **reported) {
            self.values[place] = other.values[place];
            self.reported[place] = true;
        }
        self.count += other.count;
    }

    /// Whether every channel that still reports is in.
    fn is_complete(&self, habits: &[Habit]) -> bool {
        let reported = |place: usize| self.reported.get(place).copied().unwrap_or(false);
        self.count >= habits.len()
            || habits.iter().enumerate().all(|(place, habit)| !habit.is_waited_for() || reported(place))
    }
}

/// How a channel is reported: in every sample, or now and then.
#[derive(Clone, Copy, Debug)]
struct Habit {
    /// Samples between its last two reports; 1: every one.
    every: u32,
    /// Samples in a row without it.
    silent: u32,
}

impl Default for Habit {
    fn default() -> Self {
        Self { every: 1, silent: 0 }
    }
}

impl Habit {
    fn follow(&mut self, reported: bool) {
        if reported {
            self.every = self.silent + 1;
            self.silent = 0;
        } else {
            self.silent = self.silent.saturating_add(1);
        }
    }

    /// Waited for is what comes with every sample; what comes now and then, or has fallen silent, holds nothing up.
    fn is_waited_for(&self) -> bool {
        self.every == 1 && self.silent < SILENT
    }
}

/// A stretch of stamps that all lie behind what was already taken.
struct Backwards {
    first: Timestamp,
    newest: Timestamp,
    count: u32,
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Samples that may be waiting for channels at the same time.
const MOST_OPEN: usize = 16;
/// After this many samples without it a channel is no longer waited for.
const SILENT: u32 = 3;
/// A stamp further ahead of the gateway's clock than this is not believed.
const FUTURE: SignedDuration = SignedDuration::from_secs(5);
/// Stamps in a row that show that a clock was set back.
const NEW_TIME_LINE: u32 = 30;

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
