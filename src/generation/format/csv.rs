use std::io::{self, Write};

use super::RowWriter;
use crate::generation::{Layout, Lineage, SeriesRow};
use crate::publication::show_stamp;

/// `window`, `time`, the channels, the labels; one line a row.
pub(super) struct CsvWriter<W: Write>(csv::Writer<W>);

impl<W: Write> CsvWriter<W> {
    pub fn new(output: W, layout: &Layout) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(output);
        let channels = layout.channels.iter().map(|channel| channel.name.as_str());
        let labels = layout.labels.iter().map(|label| label.name.as_str());
        writer.write_record(["window", "time"].into_iter().chain(channels).chain(labels))?;
        Ok(Self(writer))
    }
}

impl<W: Write> RowWriter for CsvWriter<W> {
    fn write(&mut self, row: &SeriesRow) -> io::Result<()> {
        self.0.write_field(row.window.to_string())?;
        self.0.write_field(show_stamp(row.time))?;
        for value in row.values.iter().chain(&row.condition.levels) {
            self.0.write_field(value.to_string())?;
        }
        Ok(self.0.write_record(None::<&[u8]>)?)
    }

    fn finish(mut self: Box<Self>, _lineage: &Lineage) -> io::Result<()> {
        self.0.flush()
    }
}
