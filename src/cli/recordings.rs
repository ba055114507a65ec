use std::path::Path;

use jiff::Timestamp;

use super::outcome::Failure;
use crate::acquisition::Name;
use crate::clock::Now;
use crate::detection::ChannelProfile;
use crate::machine::{CalibrationLength, MOST_CALIBRATION_ROWS, Machine, Observation, Profile};
use crate::manipulation::Sample;
use crate::notation::parse_duration;
use crate::recording::{ReadOptions, Recording, RecordingError, Row, Sheet};

/// How to read a recording, as every command that reads one asks for it.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// The column that holds the time; found by itself where its name or its values tell
    #[arg(long, value_name = "COL")]
    time: Option<String>,
    /// Columns that are no channels, such as labels
    #[arg(long, value_name = "COL,COL", value_delimiter = ',')]
    ignore: Vec<String>,
    /// The character between two columns; found by itself where it is , ; | or a tab
    #[arg(long, value_name = "C", value_parser = separator)]
    separator: Option<u8>,
}

impl ReadArgs {
    /// Opens a recording, with the channels of a kind where there is one.
    pub fn open(&self, path: &Path, kind: &[ChannelProfile]) -> Result<Recording, Failure> {
        let mut recording = Recording::open(path, &self.options()).map_err(|error| unreadable(path, error))?;
        if !kind.is_empty() {
            let names: Vec<&str> = kind.iter().map(|channel| channel.name.as_str()).collect();
            recording.select(&names).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
        }
        Ok(recording)
    }

    /// Opens a recording to write it again with some cells amended.
    pub fn open_sheet(&self, path: &Path) -> Result<Sheet, Failure> {
        Sheet::open(path, &self.options()).map_err(|error| unreadable(path, error))
    }

    fn options(&self) -> ReadOptions {
        ReadOptions { time: self.time.clone(), ignore: self.ignore.clone(), separator: self.separator }
    }
}

/// `--calibrate 400` or `--calibrate 2h`.
pub(super) fn calibration_length(text: &str) -> Result<CalibrationLength, String> {
    match text.parse::<usize>() {
        Ok(rows) if (FEWEST_ROWS..=MOST_CALIBRATION_ROWS).contains(&rows) => Ok(CalibrationLength::Samples(rows)),
        Ok(rows) => Err(format!(
            "{rows} rows: give {FEWEST_ROWS} to {MOST_CALIBRATION_ROWS}, better 400 and more, e.g. --calibrate 400"
        )),
        Err(_) => parse_duration(text)
            .map(CalibrationLength::Span)
            .map_err(|_| format!("{text:?} is neither a number of rows, e.g. 400, nor a duration, e.g. 2h")),
    }
}

/// Feeds the rows of a recording to one machine, in order, as the daemon would its samples.
pub(super) struct Feed {
    machine: Machine,
    names: Vec<Name>,
}

impl Feed {
    /// A recording's channels may have any names, also those that no topic could carry.
    pub fn new(machine_name: &str, profile: Profile, recording: &Recording) -> Result<Self, Failure> {
        let name = Name::parse(machine_name).map_err(Failure::usage)?;
        let names = recording.columns().channels.iter().map(|channel| Name::from_recording(channel)).collect();
        Ok(Self { machine: Machine::learning(name, profile), names })
    }

    pub fn observe(&mut self, row: &Row, number: u64) -> Observation {
        // Without a time column a row stands for a second; nothing but the calibration's span depends on it.
        let time = row.time.or_else(|| Timestamp::from_second(i64::try_from(number).ok()?).ok());
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        let now = Now { utc: time, steady: std::time::Duration::ZERO };
        self.machine.observe(&self.names, Sample { time, values: &row.values }, now)
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn names(&self) -> &[Name] {
        &self.names
    }
}

fn unreadable(path: &Path, error: RecordingError) -> Failure {
    match error {
        RecordingError::NoSuchColumn { .. } => Failure::usage(format_args!("{}: {error}", path.display())),
        RecordingError::NoChannel { .. } => Failure::failed(format_args!("{}: {error}", path.display())),
        error => Failure::failed(error),
    }
}

fn separator(text: &str) -> Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err(format!("{text:?} is not one character; write e.g. ';' or \\t")),
        },
    }
}

const FEWEST_ROWS: usize = 50;
