//! The recording of the real hydraulic rig. It is no part of the project: it lies in `$WHEELTAPPER_DATA`, by default
//! `../shared/data` beside the checkout, and a test that does not find it says so and is skipped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// The recording, line by line.
pub struct Rig {
    header: String,
    lines: Vec<String>,
}

impl Rig {
    /// `None`, and a line that says so, where the recording is not at hand.
    pub fn open() -> Option<Self> {
        let path = folder().join("hydraulic").join("dev.csv.gz");
        let Ok(file) = File::open(&path) else {
            println!("skipped: no recording {}; set WHEELTAPPER_DATA to the folder that holds it", path.display());
            return None;
        };
        let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(file))).lines();
        let mut lines = lines.map(|line| line.expect("the recording is gzip with lines of text"));
        let header = lines.next().expect("the recording has a header");
        Some(Self { header, lines: lines.collect() })
    }

    /// Writes some runs of the rig, one after the other, and gives the number of rows of each.
    pub fn write(&self, runs: &[u32], path: &Path) -> Vec<usize> {
        let mut lines: Vec<&str> = vec![&self.header];
        let mut counts = Vec::new();
        for run in runs {
            let before = lines.len();
            let own = format!("{run},");
            lines.extend(self.lines.iter().filter(|line| line.starts_with(&own)).map(String::as_str));
            assert!(lines.len() > before, "the recording has no run {run}");
            counts.push(lines.len() - before);
        }
        lines.push("");
        fs::write(path, lines.join("\n")).expect("the test's folder can be written");
        counts
    }
}

fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("WHEELTAPPER_DATA").map_or_else(beside, PathBuf::from)
}
