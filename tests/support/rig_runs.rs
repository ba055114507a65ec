//! Runs of the real hydraulic rig, cut out of the recording in `$WHEELTAPPER_DATA` (`../shared/data` beside the checkout).

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use flate2::read::GzDecoder;

/// Columns of the recording that are no channels.
#[allow(dead_code, reason = "not every test that shares this module ignores them")]
pub const LABELS: &str = "run,cycle,second,cooler,valve,pump,accumulator,unstable";

/// A recording of these runs, one after another; says so and gives nothing where the data are not at hand.
pub fn write_runs(runs: &[&str]) -> Option<tempfile::NamedTempFile> {
    let folder = std::env::var_os("WHEELTAPPER_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = folder.join("hydraulic/dev.csv.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: the recording {} is not at hand", path.display());
        return None;
    };
    let lines: Vec<String> = BufReader::new(GzDecoder::new(file)).lines().map(Result::unwrap).collect();
    let mut target = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    writeln!(target, "{}", lines[0]).unwrap();
    for run in runs {
        for line in lines[1..].iter().filter(|line| line.split(',').next() == Some(run)) {
            writeln!(target, "{line}").unwrap();
        }
    }
    target.flush().unwrap();
    Some(target)
}

/// The first row of each episode in a `score --json` summary.
#[allow(dead_code, reason = "not every test that shares this module reads summaries")]
pub fn first_rows(summary: &serde_json::Value) -> Vec<u64> {
    summary["episodes"].as_array().unwrap().iter().map(|episode| episode["from_row"].as_u64().unwrap()).collect()
}
