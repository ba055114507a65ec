use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::super::normal::uniform;
use super::course::below;

/// What happens to rows on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Rows never arrive. Bursts end by chance (Gilbert's channel): `burst` is their mean length, `probability` the share of
    /// all rows that is lost in the long run.
    Loss,
    /// A row arrives again, right after it, `burst` times; `probability` is a row's.
    Duplicate,
    /// A row arrives later than up to `burst` that follow it; `probability` is a row's.
    Reorder,
    /// Nothing arrives for exactly `burst` rows; `probability` is a row's to be the first of them.
    Gap,
}

/// A fault of transport, over a part of the recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    pub probability: f64,
    pub burst: usize,
    /// From 0.
    pub rows: Range<usize>,
}

/// A fault that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultEvent {
    pub kind: FaultKind,
    /// Rows of the recording, from 0, that were hit.
    pub rows: Range<usize>,
    /// Places among the arrivals where it shows: what was doubled or is late, or the first row after what is missing.
    pub arrivals: Range<usize>,
}

/// What arrives and what happened to it on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// Rows of the recording, from 0, in the order in which they arrive, some of them several times or never.
    pub order: Vec<usize>,
    pub events: Vec<FaultEvent>,
}

/// More rows would arrive than anybody takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transport: with so many duplicates more than {MOST_ARRIVALS} rows arrive; lower probability or burst")]
pub struct Flood;

/// Takes rows through faults, one after the other, each working on what the ones before it let through.
pub fn arrivals(rows: usize, faults: &[Fault], seed: u64) -> Result<Arrivals, Flood> {
    let mut order: Vec<Arrival> = (0..rows).map(|row| Arrival { row, hit: Vec::new() }).collect();
    let mut events: Vec<(FaultKind, Range<usize>)> = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(STREAMS + index as u64);
        order = match fault.kind {
            FaultKind::Loss => lost(order, fault, &mut random, &mut events),
            FaultKind::Gap => gapped(order, fault, &mut random, &mut events),
            FaultKind::Duplicate => doubled(order, fault, &mut random, &mut events)?,
            FaultKind::Reorder => reordered(order, fault, &mut random, &mut events),
        };
    }
    let mut seen: Vec<Option<Range<usize>>> = vec![None; events.len()];
    for (place, arrival) in order.iter().enumerate() {
        for &event in &arrival.hit {
            let first = seen[event].as_ref().map_or(place, |seen| seen.start);
            seen[event] = Some(first..place + 1);
        }
    }
    let told = events.into_iter().zip(seen).map(|((kind, rows), arrivals)| FaultEvent {
        kind,
        rows,
        // What shows nowhere, as a loss at the very end does, shows at the end.
        arrivals: arrivals.unwrap_or(order.len()..order.len()),
    });
    let events = told.collect();
    Ok(Arrivals { order: order.into_iter().map(|arrival| arrival.row).collect(), events })
}

impl FaultKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Gap => "gap",
        }
    }
}

/// A row on its way, with the faults that show at it.
#[derive(Clone)]
struct Arrival {
    row: usize,
    hit: Vec<usize>,
}

type Events = Vec<(FaultKind, Range<usize>)>;

fn lost(order: Vec<Arrival>, fault: &Fault, random: &mut ChaCha8Rng, events: &mut Events) -> Vec<Arrival> {
    let end = 1.0 / fault.burst as f64;
    // So that the share of rows within bursts is the probability.
    let begin = if fault.probability < 1.0 { end * fault.probability / (1.0 - fault.probability) } else { 1.0 };
    let mut bad = uniform(random) < fault.probability;
    taken(order, fault, events, |_| {
        let now = bad;
        bad = if bad { uniform(random) >= end || fault.probability >= 1.0 } else { uniform(random) < begin };
        now
    })
}

fn gapped(order: Vec<Arrival>, fault: &Fault, random: &mut ChaCha8Rng, events: &mut Events) -> Vec<Arrival> {
    let mut left = 0;
    taken(order, fault, events, |_| {
        if left == 0 && uniform(random) < fault.probability {
            left = fault.burst;
        }
        let gone = left > 0;
        left = left.saturating_sub(1);
        gone
    })
}

/// Takes rows out; each stretch of them is an event that shows at the row after it.
fn taken(order: Vec<Arrival>, fault: &Fault, events: &mut Events, mut goes: impl FnMut(usize) -> bool) -> Vec<Arrival> {
    let mut stays = Vec::with_capacity(order.len());
    let mut hole: Option<(Range<usize>, Vec<usize>)> = None;
    for mut arrival in order {
        if fault.rows.contains(&arrival.row) && goes(arrival.row) {
            let (rows, hit) = hole.get_or_insert((arrival.row..arrival.row, Vec::new()));
            *rows = rows.start.min(arrival.row)..rows.end.max(arrival.row + 1);
            hit.append(&mut arrival.hit);
            continue;
        }
        if let Some((rows, mut hit)) = hole.take() {
            hit.push(events.len());
            events.push((fault.kind, rows));
            // What showed at a lost row shows where it is missed.
            arrival.hit.append(&mut hit);
        }
        stays.push(arrival);
    }
    if let Some((rows, _)) = hole {
        events.push((fault.kind, rows));
    }
    stays
}

fn doubled(
    order: Vec<Arrival>,
    fault: &Fault,
    random: &mut ChaCha8Rng,
    events: &mut Events,
) -> Result<Vec<Arrival>, Flood> {
    let mut all = Vec::with_capacity(order.len());
    for arrival in order {
        let row = arrival.row;
        let again = fault.rows.contains(&row) && uniform(random) < fault.probability;
        all.push(arrival);
        if again {
            if all.len() + fault.burst > MOST_ARRIVALS {
                return Err(Flood);
            }
            all.extend(std::iter::repeat_n(Arrival { row, hit: vec![events.len()] }, fault.burst));
            events.push((fault.kind, row..row + 1));
        }
    }
    Ok(all)
}

fn reordered(order: Vec<Arrival>, fault: &Fault, random: &mut ChaCha8Rng, events: &mut Events) -> Vec<Arrival> {
    let last = order.len().saturating_sub(1);
    let mut due: Vec<(usize, bool, usize, Arrival)> = Vec::with_capacity(order.len());
    for (place, arrival) in order.into_iter().enumerate() {
        let mut late = 0;
        if fault.rows.contains(&arrival.row) && uniform(random) < fault.probability {
            late = (1 + below(fault.burst, random)).min(last - place);
        }
        due.push((place + late, late > 0, place, arrival));
    }
    due.sort_by_key(|(due, late, ..)| (*due, *late));
    let mut farthest = 0;
    let named = |(_, late, place, mut arrival): (usize, bool, usize, Arrival)| {
        // A late row whose followers are later still is overtaken by none.
        if late && farthest > place {
            arrival.hit.push(events.len());
            events.push((fault.kind, arrival.row..arrival.row + 1));
        }
        farthest = farthest.max(place);
        arrival
    };
    due.into_iter().map(named).collect()
}

/// Random numbers of transport come from streams of their own, far from those of events.
const STREAMS: u64 = 1 << 40;
const MOST_ARRIVALS: usize = 10_000_000;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn run(kind: FaultKind, probability: f64, burst: usize) -> (Vec<usize>, Vec<FaultEvent>) {
        let arrivals = arrivals(ROWS, &[Fault { kind, probability, burst, rows: 0..ROWS }], 7).unwrap();
        (arrivals.order, arrivals.events)
    }

    #[test]
    fn what_is_lost_is_labelled_and_everything_else_arrives_in_order() {
        for (kind, probability) in [(FaultKind::Loss, 0.1), (FaultKind::Gap, 0.01)] {
            let (order, events) = run(kind, probability, 5);
            let missing: HashSet<usize> = events.iter().flat_map(|event| event.rows.clone()).collect();
            let stays: Vec<usize> = (0..ROWS).filter(|row| !missing.contains(row)).collect();
            assert_eq!(order, stays);
            for event in &events[..events.len() - 1] {
                assert_eq!(order[event.arrivals.start], event.rows.end, "it shows at the first row after it");
            }
        }
    }

    #[test]
    fn the_share_of_lost_rows_and_the_length_of_bursts_are_those_asked_for() {
        let (order, events) = run(FaultKind::Loss, 0.2, 4);
        let lost = (ROWS - order.len()) as f64;
        assert!((lost / ROWS as f64 - 0.2).abs() < 0.02, "{lost}");
        assert!((lost / events.len() as f64 - 4.0).abs() < 0.6, "{}", events.len());
        let (_, gaps) = run(FaultKind::Gap, 0.002, 30);
        assert!(gaps.len() > 3 && gaps.iter().all(|gap| gap.rows.len() % 30 == 0 || gap.rows.end == ROWS), "{gaps:?}");
    }

    #[test]
    fn a_duplicate_is_the_row_again_right_after_it_and_nothing_is_missing() {
        let (order, events) = run(FaultKind::Duplicate, 0.1, 2);
        assert_eq!(order.len(), ROWS + 2 * events.len());
        let mut once = order.clone();
        once.dedup();
        assert_eq!(once, (0..ROWS).collect::<Vec<_>>());
        for event in &events {
            assert!(order[event.arrivals.clone()].iter().all(|&row| row == event.rows.start), "{event:?}");
        }
    }

    #[test]
    fn reordering_keeps_every_row_and_no_row_is_later_than_asked_for() {
        let (order, events) = run(FaultKind::Reorder, 0.1, 6);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..ROWS).collect::<Vec<_>>());
        assert!(events.len() > ROWS / 20);
        for event in &events {
            let place = event.arrivals.start;
            assert_eq!(order[place], event.rows.start);
            let behind = order[..place].iter().filter(|&&row| row > event.rows.start).count();
            assert!((1..=6).contains(&behind), "{event:?}");
        }
    }

    #[test]
    fn a_fault_that_is_certain_and_one_that_never_happens_do_no_more_than_that() {
        for kind in [FaultKind::Loss, FaultKind::Gap] {
            assert_eq!(run(kind, 1.0, 3).0, [0usize; 0]);
        }
        for kind in [FaultKind::Loss, FaultKind::Duplicate, FaultKind::Reorder, FaultKind::Gap] {
            assert_eq!(run(kind, 0.0, 3), ((0..ROWS).collect(), Vec::new()));
        }
    }

    #[test]
    fn more_duplicates_than_anybody_takes_are_refused() {
        let fault = Fault { kind: FaultKind::Duplicate, probability: 1.0, burst: 1000, rows: 0..ROWS };
        assert_eq!(arrivals(ROWS, &[fault], 7), Err(Flood));
    }

    const ROWS: usize = 20_000;
}
