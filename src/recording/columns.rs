use std::collections::HashSet;

use super::cell::{self, DateOrder};
use super::reader::RecordingError;
use crate::notation::nearest;

/// How a recording is to be read; what is not said is found out.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The column that holds the time.
    pub time: Option<String>,
    /// Columns that are no channels, such as labels.
    pub ignore: Vec<String>,
    pub separator: Option<u8>,
}

/// What the columns of a recording are.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The channels' names, in the order of the file.
    pub channels: Vec<String>,
    /// The time column's name.
    pub time: Option<String>,
    /// Columns that are left out although nobody asked for it, because they hold text.
    pub left_out: Vec<String>,
    pub(super) channel_places: Vec<usize>,
    pub(super) time_place: Option<usize>,
    pub(super) decimal_comma: bool,
    pub(super) date_order: DateOrder,
}

impl Columns {
    /// Finds out from the header and the first rows.
    pub(super) fn find(
        header: &[String],
        rows: &[Vec<String>],
        separator: Option<u8>,
        options: &ReadOptions,
    ) -> Result<Self, RecordingError> {
        let decimal_comma = separator != Some(b',');
        let ignored =
            options.ignore.iter().map(|name| place_of(header, name)).collect::<Result<HashSet<usize>, _>>()?;
        let time_place = match &options.time {
            Some(name) => Some(place_of(header, name)?),
            None => guess_time(header, rows, &ignored),
        };
        let mut columns = Self {
            channels: Vec::new(),
            time: time_place.map(|place| header[place].clone()),
            left_out: Vec::new(),
            channel_places: Vec::new(),
            time_place,
            decimal_comma,
            date_order: time_place.map(|place| order_of(rows, place)).unwrap_or_default(),
        };
        for (place, name) in header.iter().enumerate() {
            if ignored.contains(&place) || Some(place) == time_place {
                continue;
            }
            // A word here and there is a missing value; a column of words is no channel.
            let cells = || rows.iter().filter_map(|row| row.get(place));
            let words = cells().filter(|text| cell::number(text, decimal_comma).is_none()).count();
            if !name.is_empty() && 2 * words <= cells().count() {
                columns.channels.push(name.clone());
                columns.channel_places.push(place);
            } else {
                columns.left_out.push(name.clone());
            }
        }
        match columns.channels.is_empty() {
            true => Err(RecordingError::NoChannel { columns: header.to_vec(), separator: separator.map(char::from) }),
            false => Ok(columns),
        }
    }

    /// Keeps only the channels of a kind, in the kind's order.
    pub fn select(&mut self, wanted: &[&str]) -> Result<(), RecordingError> {
        let mut places = Vec::with_capacity(wanted.len());
        for &name in wanted {
            let found = self.channels.iter().position(|channel| channel == name);
            let found = found.ok_or_else(|| RecordingError::ChannelMissing {
                wanted: name.to_owned(),
                found: self.channels.clone(),
            })?;
            places.push(self.channel_places[found]);
        }
        self.channels = wanted.iter().map(|&name| name.to_owned()).collect();
        self.channel_places = places;
        Ok(())
    }
}

/// The names of the columns; where the first row is numbers too, there is no header and they are numbered.
pub(super) fn header_of(first: &[String], decimal_comma: bool) -> (Vec<String>, bool) {
    let numeric = |text: &String| cell::number(text, decimal_comma).is_some_and(|number| !number.is_nan());
    if first.iter().all(numeric) {
        return ((1..=first.len()).map(|index| format!("column {index}")).collect(), false);
    }
    let mut names: Vec<String> = Vec::with_capacity(first.len());
    for text in first {
        let name = text.trim().to_owned();
        let twins = names.iter().filter(|earlier| **earlier == name).count();
        names.push(if twins == 0 || name.is_empty() { name } else { format!("{name} ({})", twins + 1) });
    }
    (names, true)
}

fn place_of(header: &[String], name: &str) -> Result<usize, RecordingError> {
    header.iter().position(|column| column == name).ok_or_else(|| RecordingError::NoSuchColumn {
        wanted: name.to_owned(),
        meant: nearest(name, header.iter().map(String::as_str)).map(str::to_owned),
        columns: header.to_vec(),
    })
}

fn order_of(rows: &[Vec<String>], place: usize) -> DateOrder {
    cell::date_order(rows.iter().filter_map(|row| row.get(place)).map(String::as_str))
}

/// A column with a telling name, or else the first one that spells out dates.
fn guess_time(header: &[String], rows: &[Vec<String>], ignored: &HashSet<usize>) -> Option<usize> {
    let is_time = |place: usize, must_be_text: bool| {
        let order = order_of(rows, place);
        let mut cells = rows.iter().filter_map(|row| row.get(place)).peekable();
        !ignored.contains(&place)
            && cells.peek().is_some()
            && cells
                .all(|text| cell::time(text, order).is_some() && (!must_be_text || text.trim().parse::<f64>().is_err()))
    };
    let telling = |name: &String| TELLING.iter().any(|word| name.eq_ignore_ascii_case(word));
    let named = (0..header.len()).find(|&place| telling(&header[place]) && is_time(place, false));
    named.or_else(|| (0..header.len()).find(|&place| is_time(place, true)))
}

const TELLING: [&str; 8] = ["time", "timestamp", "datetime", "date", "date_time", "date time", "ts", "_time"];
