use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;

use super::cell;
use super::columns::{Columns, ReadOptions, header_of};
use super::reader::{LOOK_AHEAD, RecordingError, guess_separator, unpacked};
use super::tokens::{Cell, Tokens};

/// A whole recording in memory, as its file writes it: what nobody amends is written again byte for byte.
///
/// It finds the same rows, columns and values in a file as [`Recording`](super::Recording) does.
pub struct Sheet {
    bytes: Vec<u8>,
    tokens: Tokens,
    header: Option<Range<usize>>,
    /// The text of each row, with empty lines before it and with its end of line.
    rows: Vec<Range<usize>>,
    columns: Columns,
    width: usize,
}

impl Sheet {
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, RecordingError> {
        let io_error = |error| RecordingError::Io { path: path.to_owned(), error };
        let mut bytes = Vec::new();
        let file = File::open(path).and_then(unpacked).map_err(io_error)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io_error(io::Error::other("it holds more than 1 GiB of text; cut it into pieces")));
        }
        let marks = bytes.chunks(3).take(2).take_while(|start| *start == [0xef, 0xbb, 0xbf]).count();
        let mut at = 3 * marks;
        let separator = options.separator.or_else(|| guess_separator(&bytes[at..]));
        let tokens = Tokens { separator };
        let mut rows = Vec::new();
        let mut cells = Vec::new();
        while let Some(end) = tokens.next(&bytes, at, &mut cells) {
            rows.push(at..end);
            at = end;
        }
        let look = rows.iter().take(LOOK_AHEAD).map(|row| texts(tokens, &bytes, row));
        let mut look: Vec<Vec<String>> = look.collect();
        let first = look.first().ok_or_else(|| RecordingError::Empty { path: path.to_owned() })?;
        let (names, has_header) = header_of(first, separator != Some(b','));
        let header = has_header.then(|| {
            look.remove(0);
            rows.remove(0)
        });
        if rows.is_empty() {
            return Err(RecordingError::Empty { path: path.to_owned() });
        }
        let columns = Columns::find(&names, &look, separator, options)?;
        Ok(Self { bytes, tokens, header, rows, columns, width: names.len() })
    }

    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The values of all channels, `[channel][row]`, NaN where there is none.
    pub fn values(&self) -> Vec<Vec<f64>> {
        let Columns { channel_places, decimal_comma, .. } = &self.columns;
        let mut values = vec![Vec::with_capacity(self.rows.len()); channel_places.len()];
        let mut cells = Vec::new();
        for row in &self.rows {
            self.tokens.next(&self.bytes, row.start, &mut cells);
            for (channel, &place) in channel_places.iter().enumerate() {
                let text = cells.get(place).map(|cell| self.tokens.text(&self.bytes, cell));
                let number = text.and_then(|text| cell::number(&text, *decimal_comma));
                values[channel].push(number.unwrap_or(f64::NAN));
            }
        }
        values
    }

    /// How many digits each channel's cells have after the point, at most; `None` where they are written with exponents.
    pub fn decimals(&self) -> Vec<Option<usize>> {
        let mut decimals = vec![Some(0); self.columns.channel_places.len()];
        let mut cells = Vec::new();
        for row in &self.rows {
            self.tokens.next(&self.bytes, row.start, &mut cells);
            for (digits, &place) in decimals.iter_mut().zip(&self.columns.channel_places) {
                let Some(cell) = cells.get(place) else { continue };
                let text = &self.bytes[cell.inner.clone()];
                let exponent = text.iter().any(|byte| matches!(byte, b'e' | b'E')) && !text.is_empty();
                let fraction = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
                let pointed = text.len() > fraction && matches!(text[text.len() - fraction - 1], b'.' | b',');
                *digits = match *digits {
                    Some(_) if exponent && self.number(cell).is_some_and(f64::is_finite) => None,
                    Some(most) if pointed => Some(fraction.max(most)),
                    other => other,
                };
            }
        }
        decimals
    }

    /// Each row's time as the file writes it, and what it means; empty where the recording has no time column.
    pub fn times(&self) -> Vec<(String, Option<Timestamp>)> {
        let Some(place) = self.columns.time_place else { return Vec::new() };
        let time = |row: &Range<usize>| {
            let text = texts(self.tokens, &self.bytes, row).into_iter().nth(place).unwrap_or_default();
            let time = cell::time(&text, self.columns.date_order);
            (text, time)
        };
        self.rows.iter().map(time).collect()
    }

    /// Cells of channels that should have been numbers and are not.
    pub fn unreadable(&self) -> usize {
        let mut cells = Vec::new();
        let mut count = 0;
        for row in &self.rows {
            self.tokens.next(&self.bytes, row.start, &mut cells);
            let places = self.columns.channel_places.iter().filter_map(|&place| cells.get(place));
            count += places.filter(|cell| self.number(cell).is_none()).count();
        }
        count
    }

    /// Whether the file names its columns.
    pub fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Whether the recording has a column of that name, channel or not.
    pub fn has_column(&self, name: &str) -> bool {
        let header = self.header.as_ref().map(|header| texts(self.tokens, &self.bytes, header));
        header.is_some_and(|names| names.iter().any(|column| column.trim() == name))
    }

    /// A text as a cell of this file, in quotes where it needs them.
    pub fn cell(&self, text: &str) -> String {
        let separator = char::from(self.tokens.separator.unwrap_or(b','));
        match text.contains([separator, '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        }
    }

    /// Writes what stands before the rows: the byte order mark and the header, with further columns.
    pub fn write_header(&self, more: &[&str], out: &mut Vec<u8>) {
        let start = self.header.as_ref().or(self.rows.first()).map_or(0, |first| first.start);
        out.extend_from_slice(&self.bytes[..start]);
        if let Some(header) = &self.header {
            let more: Vec<String> = more.iter().map(|name| self.cell(name)).collect();
            self.write_text(header, &[], &more, out);
        }
    }

    /// Writes a row with the amended cells and further columns.
    pub fn write_row(&self, row: usize, amended: &[Amended], more: &[String], out: &mut Vec<u8>) {
        self.write_text(&self.rows[row], amended, more, out);
    }

    /// Writes what stands after the last row.
    pub fn write_tail(&self, out: &mut Vec<u8>) {
        let end = self.rows.last().map_or(0, |last| last.end);
        out.extend_from_slice(&self.bytes[end..]);
    }

    /// The row from 0, if there is one, that has more cells than there are columns: further columns find no place behind it.
    pub fn too_wide(&self) -> Option<usize> {
        let mut cells = Vec::new();
        self.rows.iter().position(|row| {
            self.tokens.next(&self.bytes, row.start, &mut cells);
            cells.len() > self.width
        })
    }

    fn number(&self, cell: &Cell) -> Option<f64> {
        cell::number(&self.tokens.text(&self.bytes, cell), self.columns.decimal_comma)
    }

    fn write_text(&self, row: &Range<usize>, amended: &[Amended], more: &[String], out: &mut Vec<u8>) {
        let mut cells = Vec::new();
        self.tokens.next(&self.bytes, row.start, &mut cells);
        let mut at = row.start;
        let end = cells.last().map_or(row.end, |cell| cell.outer.end);
        let mut changes: Vec<(&Cell, &Amended)> =
            amended.iter().filter_map(|it| Some((cells.get(self.place(it.column)?)?, it))).collect();
        changes.sort_by_key(|(cell, _)| cell.inner.start);
        for (cell, Amended { text, .. }) in changes {
            out.extend_from_slice(&self.bytes[at..cell.inner.start]);
            let comma = self.bytes[cell.inner.clone()].contains(&b',') && self.columns.decimal_comma;
            match (comma, text.is_empty() && cells.len() == 1 && self.tokens.separator.is_some()) {
                // An empty line would be no row.
                (_, true) if cell.inner == cell.outer => out.extend_from_slice(b"\"\""),
                (true, _) => out.extend_from_slice(text.replacen('.', ",", 1).as_bytes()),
                _ => out.extend_from_slice(text.as_bytes()),
            }
            at = cell.inner.end;
        }
        out.extend_from_slice(&self.bytes[at..end]);
        if !more.is_empty() {
            let separator = self.tokens.separator.unwrap_or(b',');
            out.extend(std::iter::repeat_n(separator, self.width.saturating_sub(cells.len())));
            for text in more {
                out.push(separator);
                out.extend_from_slice(text.as_bytes());
            }
        }
        out.extend_from_slice(&self.bytes[end..row.end]);
    }

    fn place(&self, column: Column) -> Option<usize> {
        match column {
            Column::Channel(channel) => self.columns.channel_places.get(channel).copied(),
            Column::Time => self.columns.time_place,
        }
    }
}

/// A cell that is written otherwise than it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Amended {
    pub column: Column,
    /// With a decimal point; it becomes a comma where the file has one there.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Channel(usize),
    Time,
}

fn texts(tokens: Tokens, bytes: &[u8], row: &Range<usize>) -> Vec<String> {
    let mut cells = Vec::new();
    tokens.next(bytes, row.start, &mut cells);
    cells.iter().map(|cell| tokens.text(bytes, cell)).collect()
}

/// In bytes.
const LARGEST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::Recording;
    use super::*;

    fn sheet(content: &[u8], options: &ReadOptions) -> Result<(Sheet, tempfile::NamedTempFile), RecordingError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        Ok((Sheet::open(file.path(), options)?, file))
    }

    fn written(sheet: &Sheet, amended: &[Amended], more: &[&str]) -> String {
        let mut out = Vec::new();
        sheet.write_header(more, &mut out);
        let more: Vec<String> = more.iter().map(|_| "1".to_owned()).collect();
        (0..sheet.rows()).for_each(|row| sheet.write_row(row, amended, &more, &mut out));
        sheet.write_tail(&mut out);
        String::from_utf8(out).unwrap()
    }

    const ODD: [&str; 8] = [
        "time,a,b\r\n2026-01-01T00:00:00Z,1,2.5\r\n2026-01-01T00:00:01Z,3,\r\n",
        "\u{feff}time;a;b\n\n2026-01-01 00:00:00;1;2,5\n\r\n2026-01-01 00:00:01;3;NaN\n\n\n",
        "a,b\n\"1\",\"2\"\n3\n4,5,6\noops,7\n8,9",
        "\"x, y\",\"say \"\"a\"\"\"\n1,2\n\"3\"x,4\n5,\"6\n7\"\n",
        "1.5\n\n2.5\n\"3.5\"\n  4 \n",
        "a\rb\r",
        "a,b\r1,2\r3,4\r",
        "a|b\n1|2\n|\n3|",
    ];

    #[test]
    fn what_nobody_amends_is_written_byte_for_byte() {
        for content in ODD.iter().filter(|content| **content != "a\rb\r") {
            let (sheet, _file) = sheet(content.as_bytes(), &ReadOptions::default()).unwrap();
            assert_eq!(written(&sheet, &[], &[]), *content);
        }
    }

    #[test]
    fn a_sheet_has_the_rows_and_values_that_a_recording_has() {
        for content in ODD {
            let read = sheet(content.as_bytes(), &ReadOptions::default());
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let recording = Recording::open(file.path(), &ReadOptions::default());
            let (Ok((sheet, _file)), Ok(mut recording)) = (read, recording) else {
                assert_eq!(content, "a\rb\r");
                continue;
            };
            let (values, times, mut row) = (sheet.values(), sheet.times(), 0);
            while let Some(expected) = recording.next_row().unwrap() {
                let found: Vec<String> = values.iter().map(|channel| channel[row].to_string()).collect();
                let wanted: Vec<String> = expected.values.iter().map(ToString::to_string).collect();
                assert_eq!(found, wanted, "{content:?} row {row}");
                assert_eq!(times.get(row).and_then(|(_, time)| *time), expected.time);
                row += 1;
            }
            assert_eq!(row, sheet.rows(), "{content:?}");
        }
    }

    #[test]
    fn an_amended_cell_keeps_quotes_and_decimal_comma_and_leaves_its_neighbours_alone() {
        let (sheet, _file) = sheet(b"n;a;b\nx;\"1,5\"; 2\ny;7;8\n", &ReadOptions::default()).unwrap();
        let amended = [
            Amended { column: Column::Channel(1), text: "3.25".into() },
            Amended { column: Column::Channel(0), text: "9.5".into() },
        ];
        assert_eq!(written(&sheet, &amended, &[]), "n;a;b\nx;\"9,5\";3.25\ny;9.5;3.25\n");
    }

    #[test]
    fn further_columns_stand_at_the_end_of_rows_that_are_too_short_as_well() {
        let (sheet, _file) = sheet(b"a,b\r\n1,2\r\n3\r\n", &ReadOptions::default()).unwrap();
        assert_eq!(written(&sheet, &[], &["label"]), "a,b,label\r\n1,2,1\r\n3,,1\r\n");
    }

    #[test]
    fn a_value_that_is_taken_from_a_row_of_one_column_leaves_the_row() {
        let options = ReadOptions { separator: Some(b','), ..ReadOptions::default() };
        let (sheet, _file) = sheet(b"a\n1\n2\n", &options).unwrap();
        let gone = [Amended { column: Column::Channel(0), text: String::new() }];
        assert_eq!(written(&sheet, &gone, &[]), "a\n\"\"\n\"\"\n");
    }

    #[test]
    fn digits_after_the_point_are_those_of_the_longest_cell() {
        let (sheet, _file) = sheet(b"a,b,c,d\n1,2.50,3e-4,x\n10,2.5,1,7.125\n", &ReadOptions::default()).unwrap();
        assert_eq!(sheet.decimals(), [Some(0), Some(2), None, Some(3)]);
        assert_eq!(sheet.unreadable(), 1);
    }
}
