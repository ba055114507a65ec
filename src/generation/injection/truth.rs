use serde::Serialize;

use super::event::Event;
use super::run::Applied;
use super::transport::Arrivals;

/// What is true of a recording after injection: one label an event, and which events each row that is written belongs to.
pub struct Truth {
    pub labels: Vec<EventLabel>,
    /// For each row that is written the ids of its events, in order.
    pub of_rows: Vec<Vec<u32>>,
}

/// One event. Rows are counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLabel {
    pub id: u32,
    pub kind: &'static str,
    /// Several are parted by `;`.
    pub channel: String,
    /// Of what is written; none where nothing of the event arrives.
    pub first_row: Option<usize>,
    pub last_row: Option<usize>,
    /// The true times of the recording's rows, as it writes them.
    pub start: String,
    pub end: String,
    pub size: Option<f64>,
    pub unit: &'static str,
    pub parameters: String,
    /// Cells, stamps or rows that are not as they were.
    pub changed: usize,
    /// Of the recording.
    pub input_first_row: usize,
    pub input_last_row: usize,
}

impl Truth {
    /// Of the events that were injected and of what happened on the way; `times` as the recording writes them, or empty.
    pub fn new(events: &[Event], applied: &Applied, arrivals: &Arrivals, names: &[String], times: &[&str]) -> Self {
        let Arrivals { order, events: faults } = arrivals;
        let rows = order.iter().max().map_or(0, |last| last + 1);
        let mut places = vec![(usize::MAX, 0); rows];
        for (place, &row) in order.iter().enumerate() {
            places[row] = (places[row].0.min(place), places[row].1.max(place));
        }
        let time = |row: usize| times.get(row).map(|&time| time.to_owned()).unwrap_or_default();
        let mut labels = Vec::new();
        let mut of_inputs: Vec<Vec<u32>> = vec![Vec::new(); rows];
        for (index, event) in events.iter().enumerate().filter(|(index, _)| !applied.rejected[*index]) {
            let there =
                || event.rows.clone().filter_map(|row| places.get(row)).filter(|(first, _)| *first != usize::MAX);
            for row in event.rows.clone() {
                if let Some(ids) = of_inputs.get_mut(row) {
                    ids.push(event.id);
                }
            }
            let names: Vec<&str> = event.channels.iter().map(|&channel| names[channel].as_str()).collect();
            labels.push(EventLabel {
                id: event.id,
                kind: event.kind.name(),
                channel: names.join(";"),
                first_row: there().map(|(first, _)| first + 1).min(),
                last_row: there().map(|(_, last)| last + 1).max(),
                start: time(event.rows.start),
                end: time(event.rows.end - 1),
                size: (!event.unit.name().is_empty()).then_some(event.size),
                unit: event.unit.name(),
                parameters: event.parameters(),
                changed: applied.changed[index],
                input_first_row: event.rows.start + 1,
                input_last_row: event.rows.end,
            });
        }
        let mut of_rows: Vec<Vec<u32>> = order.iter().map(|&row| of_inputs[row].clone()).collect();
        let first = events.iter().map(|event| event.id).max().unwrap_or(0) + 1;
        for (id, fault) in (first..).zip(faults) {
            let shows = fault.arrivals.start.min(of_rows.len())..fault.arrivals.end.min(of_rows.len());
            of_rows[shows.clone()].iter_mut().for_each(|ids| ids.push(id));
            labels.push(EventLabel {
                id,
                kind: fault.kind.name(),
                channel: String::new(),
                first_row: (!shows.is_empty()).then_some(shows.start + 1),
                last_row: (!shows.is_empty()).then_some(shows.end),
                start: time(fault.rows.start),
                end: time(fault.rows.end - 1),
                size: None,
                unit: "",
                parameters: String::new(),
                changed: fault.rows.len().max(shows.len()),
                input_first_row: fault.rows.start + 1,
                input_last_row: fault.rows.end,
            });
        }
        Self { labels, of_rows }
    }
}
