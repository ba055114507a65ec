//! Recordings with labels, and the product's own pipeline over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::clock::Now;
use wheeltapper::machine::{CalibrationLength, Machine, Profile};
use wheeltapper::manipulation::Sample;
use wheeltapper::recording::{ReadOptions, Recording};

use super::kinds::Trained;

/// A recording of one machine: rows to calibrate on, then rows to score.
#[derive(Clone)]
pub struct Series {
    pub name: String,
    pub channels: Vec<Name>,
    pub rows: Vec<Vec<f64>>,
    pub times: Vec<Timestamp>,
    pub labels: Vec<bool>,
    pub calibrate: usize,
    /// None: the universal profile.
    pub kind: Option<Trained>,
}

/// What the pipeline made of the rows after the calibration.
pub struct Scored {
    pub scores: Vec<f64>,
    pub alarms: Vec<bool>,
    /// Each part of the score alone.
    pub parts: Vec<(&'static str, Vec<f64>)>,
    /// The channel with the largest share.
    pub leading: Vec<usize>,
}

impl Series {
    /// Runs it through a machine of its profile, as `score` does.
    pub fn score(&self) -> Scored {
        self.score_as(self.profile())
    }

    /// Runs it through a machine of another profile.
    pub fn score_as(&self, profile: Profile) -> Scored {
        let name = Name::parse("machine").expect("a name");
        let mut machine = Machine::learning(name, profile);
        let mut scored = Scored { scores: Vec::new(), alarms: Vec::new(), parts: Vec::new(), leading: Vec::new() };
        let mut shares = vec![0.0; self.channels.len()];
        for (row, (values, &time)) in self.rows.iter().zip(&self.times).enumerate() {
            let now = Now { utc: time, steady: Duration::ZERO };
            let observation = machine.observe(&self.channels, Sample { time, values }, now);
            if let Some(trouble) = observation.trouble {
                panic!("{}, row {row}: {trouble}", self.name);
            }
            if row < self.calibrate {
                continue;
            }
            scored.scores.push(observation.score.unwrap_or(0.0));
            scored.alarms.push(observation.holds);
            machine.write_shares(&mut shares);
            let leading = (0..shares.len()).max_by(|&one, &other| shares[one].total_cmp(&shares[other]));
            scored.leading.push(leading.unwrap_or(0));
            for (place, (name, part)) in machine.part_scores().enumerate() {
                if scored.parts.len() <= place {
                    scored.parts.push((name, Vec::new()));
                }
                scored.parts[place].1.push(part);
            }
        }
        scored
    }

    /// The same rows as a machine of a kind.
    pub fn of_kind(self, kind: &Trained) -> Self {
        Self { kind: Some(kind.clone()), ..self }
    }

    fn profile(&self) -> Profile {
        let universal = universal(self.calibrate);
        match &self.kind {
            Some(kind) => kind.shape(universal),
            None => universal,
        }
    }

    /// The labels of the rows after the calibration.
    pub fn judged(&self) -> &[bool] {
        &self.labels[self.calibrate..]
    }

    /// The times of the rows after the calibration.
    pub fn seconds(&self) -> Vec<f64> {
        self.times[self.calibrate..].iter().map(|time| time.as_millisecond() as f64 / 1e3).collect()
    }
}

/// The folder of recordings; none: a line says that the tests on real machines are skipped.
pub fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("WHEELTAPPER_DATA").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: accuracy on recordings of real machines, for there is no {}", folder.display());
    None
}

/// A file as the product reads it; the labels' column, if it has one, is no channel.
pub fn read(path: &Path, label: Option<&str>, ignored: &[&str]) -> Series {
    let ignore = ignored.iter().copied().chain(label).map(str::to_owned).collect();
    let mut recording = Recording::open(path, &ReadOptions { ignore, ..ReadOptions::default() }).expect("a recording");
    let channels = recording.columns().channels.iter().map(|channel| Name::from_recording(channel)).collect();
    let (mut rows, mut times) = (Vec::new(), Vec::new());
    while let Some(row) = recording.next_row().expect("a row") {
        times.push(row.time.unwrap_or_else(|| second(rows.len() as i64)));
        rows.push(row.values.clone());
    }
    let labels = match label {
        Some(label) => column(path, label).into_iter().map(|value| value > 0.5).collect(),
        None => vec![false; rows.len()],
    };
    Series { name: path.display().to_string(), channels, rows, times, labels, calibrate: 0, kind: None }
}

/// One column of a file.
pub fn column(path: &Path, name: &str) -> Vec<f64> {
    let mut recording = Recording::open(path, &ReadOptions::default()).expect("a recording");
    recording.select(&[name]).expect("the column is there");
    let mut values = Vec::new();
    while let Some(row) = recording.next_row().expect("a row") {
        values.push(row.values[0]);
    }
    values
}

pub fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a time in this century")
}

pub fn universal(rows: usize) -> Profile {
    let facts = MachineFacts::new(Name::parse("machine").expect("a name"));
    Profile::universal(Arc::new(Library::shipped()), facts, CalibrationLength::Samples(rows))
}
