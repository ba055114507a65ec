use std::collections::HashSet;

use super::super::constraints::{Bound, Broken, Columns};
use super::canvas::Canvas;
use super::event::Event;

/// What becomes of values that break a constraint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// They stay, and are counted.
    #[default]
    None,
    /// Injected values are moved as little as the constraints ask for.
    Clamp,
    /// An event that breaks a constraint anywhere is left out.
    Reject,
}

/// What became of the events.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Cells, or stamps, that each event changed.
    pub changed: Vec<usize>,
    /// Events that were left out because they break a constraint.
    pub rejected: Vec<bool>,
    /// Rows that broke each constraint as they were recorded, with all events, and after the repair.
    pub before: Vec<Broken>,
    pub after: Vec<Broken>,
    pub repaired: Vec<Broken>,
    /// Values that clamping moved.
    pub clamped: usize,
}

/// Injects events, in order, and repairs what breaks constraints.
pub fn inject(canvas: &mut Canvas, events: &[Event], constraints: &Bound, repair: Repair) -> Applied {
    let before = count(canvas, constraints);
    let untouched: Vec<_> = if repair == Repair::Reject && !constraints.is_empty() {
        events.iter().map(|event| canvas.kept(event)).collect()
    } else {
        Vec::new()
    };
    let mut changed: Vec<usize> = events.iter().map(|event| canvas.apply(event)).collect();
    let after = count(canvas, constraints);
    let mut rejected = vec![false; events.len()];
    let mut clamped = 0;
    match repair {
        Repair::None => {}
        Repair::Clamp => {
            let cells = |event: &Event| {
                let rows = event.rows.clone();
                let channels = event.channels.clone();
                rows.flat_map(move |row| channels.clone().into_iter().map(move |channel| (row, channel)))
            };
            let cells: HashSet<(usize, usize)> = events.iter().flat_map(cells).collect();
            let moves = |row, channel| cells.contains(&(row, channel));
            clamped = constraints.clamp(&mut Columns(canvas.values_mut()), moves);
        }
        Repair::Reject if !constraints.is_empty() => {
            // Once more from the start, one by one, each judged by what it adds to those before it.
            events.iter().zip(&untouched).rev().for_each(|(event, kept)| canvas.restore(event, kept));
            for (index, event) in events.iter().enumerate() {
                let kept = canvas.kept(event);
                let sound = near(canvas, constraints, event);
                changed[index] = canvas.apply(event);
                let worse = near(canvas, constraints, event).iter().zip(&sound).any(|(now, then)| now.rows > then.rows);
                if worse {
                    canvas.restore(event, &kept);
                    (rejected[index], changed[index]) = (true, 0);
                }
            }
        }
        Repair::Reject => {}
    }
    let repaired = count(canvas, constraints);
    Applied { changed, rejected, before, after, repaired, clamped }
}

fn count(canvas: &mut Canvas, constraints: &Bound) -> Vec<Broken> {
    constraints.count(&Columns(canvas.values_mut()), 0..usize::MAX)
}

/// Violations in an event's rows and in the one after them.
fn near(canvas: &mut Canvas, constraints: &Bound, event: &Event) -> Vec<Broken> {
    constraints.count(&Columns(canvas.values_mut()), event.rows.start..event.rows.end + 1)
}
