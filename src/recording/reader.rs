use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;

use super::cell;
use super::columns::{Columns, ReadOptions, header_of};

/// A recording that is being read.
pub struct Recording {
    origin: PathBuf,
    source: Source,
    columns: Columns,
    /// Rows that were read to find out what the columns are.
    ahead: VecDeque<Vec<String>>,
    cells: Vec<String>,
    row: Row,
    unreadable: u64,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// As the file writes it; the row's number, from 1, where there is no time column.
    pub label: String,
    pub time: Option<Timestamp>,
    /// In the order of [`Columns::channels`]; NaN where there is no value.
    pub values: Vec<f64>,
    number: u64,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: row {row}: {error}", path.display())]
    Broken { path: PathBuf, row: u64, error: csv::Error },
    #[error("{}: there is no row in it", path.display())]
    Empty { path: PathBuf },
    #[error(
        "no column of numbers among {columns:?}, read {}; name another separator with --separator, e.g. ';'",
        separator.map_or("as one column".to_owned(), |separator| format!("with the separator {separator:?}"))
    )]
    NoChannel { columns: Vec<String>, separator: Option<char> },
    #[error("there is no column {wanted:?} among {columns:?}{}", meant.as_ref().map(|m| format!("; did you mean {m:?}?")).unwrap_or_default())]
    NoSuchColumn { wanted: String, meant: Option<String>, columns: Vec<String> },
    #[error("the kind has a channel {wanted:?}, which is not among the recording's {found:?}")]
    ChannelMissing { wanted: String, found: Vec<String> },
}

impl Recording {
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, RecordingError> {
        let io_error = |error| RecordingError::Io { path: path.to_owned(), error };
        let mut input = plain(path).map_err(io_error)?;
        let separator = match options.separator {
            Some(separator) => Some(separator),
            None => guess_separator(input.fill_buf().map_err(io_error)?),
        };
        let mut source = Source::new(input, separator);
        let mut rows = Vec::new();
        let mut cells = Vec::new();
        while rows.len() < LOOK_AHEAD && source.read(&mut cells, path, rows.len() as u64 + 1)? {
            rows.push(cells.clone());
        }
        let first = rows.first().ok_or_else(|| RecordingError::Empty { path: path.to_owned() })?;
        let (header, has_header) = header_of(first, separator != Some(b','));
        if has_header {
            rows.remove(0);
        }
        if rows.is_empty() {
            return Err(RecordingError::Empty { path: path.to_owned() });
        }
        let columns = Columns::find(&header, &rows, separator, options)?;
        Ok(Self {
            origin: path.to_owned(),
            source,
            columns,
            ahead: rows.into(),
            cells,
            row: Row::default(),
            unreadable: 0,
        })
    }

    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Keeps only the channels of a kind, in the kind's order.
    pub fn select(&mut self, channels: &[&str]) -> Result<(), RecordingError> {
        self.columns.select(channels)
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<&Row>, RecordingError> {
        self.row.number += 1;
        if let Some(ahead) = self.ahead.pop_front() {
            self.fill(|place| ahead.get(place).map(String::as_str));
            return Ok(Some(&self.row));
        }
        let mut cells = std::mem::take(&mut self.cells);
        let more = self.source.read(&mut cells, &self.origin, self.row.number)?;
        if more {
            self.fill(|place| cells.get(place).map(String::as_str));
        }
        self.cells = cells;
        Ok(more.then_some(&self.row))
    }

    /// Cells that should have been numbers and were not.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn fill<'c>(&mut self, text: impl Fn(usize) -> Option<&'c str>) {
        let Columns { channel_places, time_place, decimal_comma, date_order, .. } = &self.columns;
        self.row.values.clear();
        for &place in channel_places {
            let value = match text(place) {
                Some(text) => cell::number(text, *decimal_comma).unwrap_or_else(|| {
                    self.unreadable += 1;
                    f64::NAN
                }),
                None => f64::NAN,
            };
            self.row.values.push(value);
        }
        self.row.label.clear();
        match time_place.and_then(text) {
            Some(text) => {
                self.row.time = cell::time(text, *date_order);
                self.row.label.push_str(text);
            }
            None => {
                self.row.time = None;
                self.row.label.push_str(&self.row.number.to_string());
            }
        }
    }
}

/// The file's bytes without compression and byte order mark.
fn plain(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut input = unpacked(File::open(path)?)?;
    if input.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]) {
        input.read_exact(&mut [0; 3])?;
    }
    Ok(input)
}

/// A file's bytes without compression.
pub(super) fn unpacked(file: File) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(BUFFER, file);
    let zipped = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match zipped {
        true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file))),
        false => Box::new(file),
    })
}

/// Where rows come from.
enum Source {
    Table(csv::Reader<Box<dyn BufRead>>, ByteRecord),
    /// One column without any separator: a line is a row, an empty one too.
    Lines(Box<dyn BufRead>, Vec<u8>),
}

impl Source {
    fn new(input: Box<dyn BufRead>, separator: Option<u8>) -> Self {
        match separator {
            Some(separator) => {
                let mut builder = ReaderBuilder::new();
                builder.delimiter(separator).has_headers(false).flexible(true);
                Self::Table(builder.from_reader(input), ByteRecord::new())
            }
            None => Self::Lines(input, Vec::new()),
        }
    }

    /// The next row's cells; `false` at the end.
    fn read(&mut self, cells: &mut Vec<String>, path: &Path, row: u64) -> Result<bool, RecordingError> {
        cells.clear();
        match self {
            Self::Table(reader, record) => {
                let broken = |error| RecordingError::Broken { path: path.to_owned(), row, error };
                let more = reader.read_byte_record(record).map_err(broken)?;
                if more {
                    cells.extend(record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()));
                }
                Ok(more)
            }
            Self::Lines(input, line) => {
                line.clear();
                let io_error = |error| RecordingError::Io { path: path.to_owned(), error };
                let read = input.read_until(b'\n', line).map_err(io_error)?;
                let text = String::from_utf8_lossy(line);
                cells.push(text.trim().trim_matches('"').to_owned());
                Ok(read > 0)
            }
        }
    }
}

/// The separator that the first line has most of, outside of quotes.
pub(super) fn guess_separator(start: &[u8]) -> Option<u8> {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut quoted = false;
    let mut counts = [0usize; SEPARATORS.len()];
    for byte in line {
        quoted ^= *byte == b'"';
        if let (false, Some(index)) = (quoted, SEPARATORS.iter().position(|separator| separator == byte)) {
            counts[index] += 1;
        }
    }
    let most = (0..SEPARATORS.len()).rev().max_by_key(|&index| counts[index])?;
    (counts[most] > 0).then_some(SEPARATORS[most])
}

const BUFFER: usize = 64 * 1024;
/// Rows that are looked at to find out what the columns are.
pub(super) const LOOK_AHEAD: usize = 200;
/// In the order of preference.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn rows(content: &str, options: &ReadOptions) -> Result<(Columns, Vec<Row>), RecordingError> {
        let file = file(content.as_bytes());
        let mut recording = Recording::open(file.path(), options)?;
        let mut rows = Vec::new();
        while let Some(row) = recording.next_row()? {
            rows.push(row.clone());
        }
        Ok((recording.columns().clone(), rows))
    }

    #[test]
    fn separator_time_and_channels_are_found() {
        for content in [
            "time,a,b\n2026-01-01T00:00:00Z,1,2.5\n2026-01-01T00:00:01Z,3,\n",
            "\u{feff}time;a;b\n2026-01-01 00:00:00;1;2,5\n2026-01-01 00:00:01;3;NaN\n",
            "time\ta\tb\n1767225600\t1\t2.5\n1767225601\t3\t\n",
        ] {
            let (columns, rows) = rows(content, &ReadOptions::default()).unwrap();
            assert_eq!(
                (columns.channels.as_slice(), columns.time.as_deref()),
                (&["a".into(), "b".into()][..], Some("time"))
            );
            assert_eq!(rows[0].values, [1.0, 2.5]);
            assert!(rows[1].values[1].is_nan());
            assert_eq!(rows[1].time.unwrap().as_second() - rows[0].time.unwrap().as_second(), 1);
        }
    }

    #[test]
    fn one_column_without_header_or_time_is_a_recording() {
        let (columns, rows) = rows("1.5\n2.5\n3.5\n", &ReadOptions::default()).unwrap();
        assert_eq!((columns.channels.len(), rows.len()), (1, 3));
        assert_eq!((rows[2].label.as_str(), rows[2].values[0], rows[2].time), ("3", 3.5, None));
    }

    #[test]
    fn text_columns_and_ignored_columns_are_no_channels() {
        let options = ReadOptions { ignore: vec!["label".into()], ..Default::default() };
        let (columns, _) = rows("a,state,label,\n1,on,0,7\n2,off,1,8\n", &options).unwrap();
        assert_eq!(columns.channels, ["a"]);
        assert_eq!(columns.left_out, ["state", ""]);
    }

    #[test]
    fn short_long_and_unreadable_rows_are_rows_all_the_same() {
        let mut content = "a,b\n".to_owned() + &"1,2\n".repeat(300);
        content += "3\n4,5,6\noops,7\n8,9";
        let (_, rows) = rows(&content, &ReadOptions::default()).unwrap();
        assert_eq!(rows.len(), 304);
        assert!(rows[300].values[1].is_nan() && rows[302].values[0].is_nan());
        assert_eq!((rows[301].values[1], rows[303].values[1]), (5.0, 9.0));
    }

    #[test]
    fn each_recording_that_cannot_be_read_has_its_own_error() {
        let missing = Recording::open(Path::new("/nonexistent.csv"), &ReadOptions::default()).err().unwrap();
        assert!(matches!(missing, RecordingError::Io { .. }));
        for (content, time, expected) in [
            ("", None, "there is no row"),
            ("a,b\n", None, "there is no row"),
            ("a,b\nx,y\n", None, "no column of numbers"),
            ("pressure,b\n1,2\n", Some("presure"), "did you mean \"pressure\"?"),
        ] {
            let options = ReadOptions { time: time.map(str::to_owned), ..Default::default() };
            let error = rows(content, &options).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mut recording = Recording::open(file(b"a,b\n1,2\n").path(), &ReadOptions::default()).unwrap();
        assert!(recording.select(&["a", "c"]).unwrap_err().to_string().contains("\"c\""));
    }

    #[test]
    fn a_gzip_file_is_read_like_a_plain_one() {
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(b"a\n1\n2\n").unwrap();
        let file = file(&zipped.finish().unwrap());
        let mut recording = Recording::open(file.path(), &ReadOptions::default()).unwrap();
        assert_eq!(recording.next_row().unwrap().unwrap().values, [1.0]);
    }
}
