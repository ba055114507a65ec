use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::RowWriter;
use crate::generation::{Layout, Lineage, SeriesRow};
use crate::publication::show_stamp;

/// One object a line, with the members that a CSV file has as columns.
pub(super) struct NdjsonWriter<W: Write> {
    output: W,
    /// Channels, then labels.
    names: Vec<String>,
}

impl<W: Write> NdjsonWriter<W> {
    pub fn new(output: W, layout: &Layout) -> Self {
        let channels = layout.channels.iter().map(|channel| channel.name.to_string());
        Self { output, names: channels.chain(layout.labels.iter().map(|label| label.name.to_string())).collect() }
    }
}

impl<W: Write> RowWriter for NdjsonWriter<W> {
    fn write(&mut self, row: &SeriesRow) -> io::Result<()> {
        let mut members = Map::new();
        members.insert("window".to_owned(), json!(row.window));
        members.insert("time".to_owned(), Value::String(show_stamp(row.time)));
        for (name, value) in self.names.iter().zip(row.values.iter().chain(&row.condition.levels)) {
            members.insert(name.clone(), json!(value));
        }
        writeln!(self.output, "{}", Value::Object(members))
    }

    fn finish(mut self: Box<Self>, _lineage: &Lineage) -> io::Result<()> {
        self.output.flush()
    }
}
