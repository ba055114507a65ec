//! Formats: rows of a series come in, a file's bytes go out, one file a format.

mod csv;
mod ndjson;
#[cfg(feature = "parquet")]
mod parquet;

use std::io::{self, Write};
use std::path::Path;

use super::{Layout, Lineage, SeriesRow};

/// Writes rows of a series.
pub trait RowWriter {
    fn write(&mut self, row: &SeriesRow) -> io::Result<()>;

    /// Ends the file, so that it is whole.
    fn finish(self: Box<Self>, lineage: &Lineage) -> io::Result<()>;
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    pub const ALL: &[Self] = &[
        Self::Csv,
        Self::Ndjson,
        #[cfg(feature = "parquet")]
        Self::Parquet,
    ];

    /// The format that a file's name ends in.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        Self::ALL.iter().copied().find(|format| format.ending() == ending)
    }

    /// What the names of its files end in, behind a dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
        }
    }

    pub fn writer(self, output: impl Write + Send + 'static, layout: &Layout) -> io::Result<Box<dyn RowWriter>> {
        Ok(match self {
            Self::Csv => Box::new(csv::CsvWriter::new(output, layout)?),
            Self::Ndjson => Box::new(ndjson::NdjsonWriter::new(output, layout)),
            #[cfg(feature = "parquet")]
            Self::Parquet => Box::new(parquet::ParquetWriter::new(output, layout)?),
        })
    }
}
