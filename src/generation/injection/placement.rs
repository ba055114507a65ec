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
    /// Draws the events, each anywhere that those before it leave room, by time. They are numbered after those that are there.
    ///
    /// # Errors
    /// How many found room, where not all did.
    pub fn draw(&self, canvas: &Canvas, there: &[Event], seed: u64) -> Result<Vec<Event>, usize> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rows = canvas.shifts().len();
        let mut taken: Vec<Range<usize>> = there.iter().map(|event| event.rows.clone()).collect();
        let mut events: Vec<Event> = Vec::with_capacity(self.count);
        for drawn in 0..self.count {
            let kind = self.kinds[below(self.kinds.len(), &mut random)];
            let channel = self.channels[below(self.channels.len(), &mut random)];
            let (fewest, most) = self.lengths;
            let length = if kind == Kind::Extremum { 1 } else { fewest + below(most - fewest + 1, &mut random) };
            let upwards = uniform(&mut random) < 0.5;
            let start = self.start(length, rows, &mut taken, &mut random).ok_or(drawn)?;
            let size = self.size.unwrap_or(kind.usual_size());
            let signed = matches!(kind.measure(), Measure::Deviations | Measure::Rows | Measure::Seconds);
            events.push(Event {
                id: 0,
                kind,
                channels: if kind == Kind::ClockSkew { Vec::new() } else { vec![channel] },
                rows: start..start + length,
                size: if signed && !upwards && size != 0.0 { -size } else { size },
                unit: Unit::of(kind.measure(), false),
                details: usual_details(length),
            });
            taken.push(start..start + length);
        }
        events.sort_by_key(|event| event.rows.start);
        for (id, event) in (there.len() + 1..).zip(&mut events) {
            event.id = u32::try_from(id).unwrap_or(u32::MAX);
        }
        Ok(events)
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
