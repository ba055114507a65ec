use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::normal::uniform;
use super::canvas::Canvas;
use super::course::below;
use super::event::{Event, Unit};
use super::kind::{Kind, Measure};
use super::resolve::usual_details;

/// Anomalies that are drawn by lot.
#[derive(Clone, Debug, PartialEq)]
pub struct Lot {
    pub count: usize,
    pub kinds: Vec<Kind>,
    pub channels: Vec<usize>,
    /// Rows at the start that are left alone.
    pub skip: usize,
    /// Rows between two events, at least; `None`: they may overlap.
    pub distance: Option<usize>,
    /// The fewest and the most rows of an event.
    pub lengths: (usize, usize),
    pub size: Option<f64>,
}

impl Lot {
    /// Draws the events, anywhere that there is room, by time. They are numbered after those that are there.
    ///
    /// # Errors
    /// How many found room, where not all did.
    pub fn draw(&self, canvas: &Canvas, there: &[Event], seed: u64) -> Result<Vec<Event>, usize> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rows = canvas.shifts().len();
        let mut events: Vec<Event> = (0..self.count).map(|_| self.event(&mut random)).collect();
        let lengths: Vec<usize> = events.iter().map(|event| event.rows.len()).collect();
        let starts = match self.distance {
            Some(distance) if there.is_empty() => self.spread_out(&lengths, distance, rows, &mut random)?,
            _ => self.one_by_one(&lengths, there, rows, &mut random)?,
        };
        for (event, start) in events.iter_mut().zip(starts) {
            event.rows = start..start + event.rows.len();
        }
        events.sort_by_key(|event| event.rows.start);
        for (id, event) in (there.len() + 1..).zip(&mut events) {
            event.id = u32::try_from(id).unwrap_or(u32::MAX);
        }
        Ok(events)
    }

    /// An event that has no place yet.
    fn event(&self, random: &mut ChaCha8Rng) -> Event {
        let kind = self.kinds[below(self.kinds.len(), random)];
        let channel = self.channels[below(self.channels.len(), random)];
        let (fewest, most) = self.lengths;
        let length = if kind == Kind::Extremum { 1 } else { fewest + below(most - fewest + 1, random) };
        let upwards = uniform(random) < 0.5;
        let size = self.size.unwrap_or(kind.usual_size());
        let signed = matches!(kind.measure(), Measure::Deviations | Measure::Rows | Measure::Seconds);
        Event {
            id: 0,
            kind,
            channels: if kind == Kind::ClockSkew { Vec::new() } else { vec![channel] },
            rows: 0..length,
            size: if signed && !upwards && size != 0.0 { -size } else { size },
            unit: Unit::of(kind.measure(), false),
            details: usual_details(length),
        }
    }

    /// One after the other with what is left of the rows parted among the spaces between them: every way to place them is as
    /// likely as any other, and they find room wherever there is enough.
    fn spread_out(
        &self,
        lengths: &[usize],
        distance: usize,
        rows: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<usize>, usize> {
        let room = rows.saturating_sub(self.skip);
        let mut needed = 0usize;
        for (index, length) in lengths.iter().enumerate() {
            let apart = if index > 0 { distance } else { 0 };
            needed = needed.saturating_add(*length).saturating_add(apart);
            if needed > room {
                return Err(index);
            }
        }
        let mut spare: Vec<usize> = lengths.iter().map(|_| below(room - needed + 1, random)).collect();
        spare.sort_unstable();
        let before = lengths.iter().scan(self.skip, |at, length| {
            let start = *at;
            *at = at.saturating_add(length.saturating_add(distance));
            Some(start)
        });
        Ok(before.zip(spare).map(|(before, spare)| before + spare).collect())
    }

    /// Each anywhere that those before it leave room.
    fn one_by_one(
        &self,
        lengths: &[usize],
        there: &[Event],
        rows: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<Vec<usize>, usize> {
        let mut taken: Vec<Range<usize>> = there.iter().map(|event| event.rows.clone()).collect();
        let mut starts = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let start = self.start(length, rows, &mut taken, random).ok_or(starts.len())?;
            taken.push(start..start + length);
            starts.push(start);
        }
        Ok(starts)
    }

    /// One of all places where the event fits, each as likely as any other.
    fn start(&self, length: usize, rows: usize, taken: &mut [Range<usize>], random: &mut ChaCha8Rng) -> Option<usize> {
        let mut free = Vec::new();
        let mut at = self.skip;
        if let Some(distance) = self.distance {
            taken.sort_by_key(|range| range.start);
            for range in &*taken {
                free.push(at..range.start.saturating_sub(distance));
                at = at.max(range.end.saturating_add(distance));
            }
        }
        free.push(at..rows);
        let places = |room: &Range<usize>| (room.len() + 1).saturating_sub(length);
        let all: usize = free.iter().map(places).sum();
        if all == 0 {
            return None;
        }
        let mut place = below(all, random);
        for room in &free {
            if place < places(room) {
                return Some(room.start + place);
            }
            place -= places(room);
        }
        None
    }
}
