use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::generate_source::BATCH;
use super::outcome::Failure;
use super::progress::Progress;
use super::surroundings::{self, Signals};
use crate::generation::format::{Format, RowWriter};
use crate::generation::{Lineage, Series};

/// The file that a series is written to, with another beside it that says where it comes from.
pub(super) struct Destination<'a> {
    out: &'a Path,
    format: Format,
}

impl<'a> Destination<'a> {
    pub fn new(out: &'a Path) -> Result<Self, Failure> {
        let format = Format::of(out).ok_or_else(|| {
            let endings: Vec<String> = Format::ALL.iter().map(|format| format!(".{}", format.ending())).collect();
            Failure::usage(format_args!(
                "--out {}: expected a name that ends in one of {}",
                out.display(),
                endings.join(", ")
            ))
        })?;
        Ok(Self { out, format })
    }

    /// Writes so many windows, or those that are made until the process is told to stop, and says what it wrote.
    pub fn write(&self, mut series: Series, windows: u64, lineage: &mut Lineage) -> Result<Value, Failure> {
        let layout = series.generator().layout().clone();
        let file = File::create(self.out).map_err(|error| self.unwritable(&error))?;
        let writer = self.format.writer(BufWriter::new(file), &layout);
        let mut writer = writer.map_err(|error| self.unwritable(&error))?;
        let rows = self.fill(&mut *writer, &mut series, windows, lineage);
        // Whatever happened, what was made is a whole file.
        writer.finish(lineage).map_err(|error| self.unwritable(&error))?;
        let beside = lineage_path(self.out);
        std::fs::write(&beside, lineage.to_json())
            .map_err(|error| Failure::failed(format_args!("{}: {error}", beside.display())))?;
        let rows = rows?;
        eprintln!(
            "{} windows, {rows} rows in {}; where they come from in {}",
            lineage.windows,
            self.out.display(),
            beside.display()
        );
        Ok(json!({ "out": self.out, "windows": lineage.windows, "rows": rows, "lineage": lineage }))
    }

    fn fill(
        &self,
        writer: &mut dyn RowWriter,
        series: &mut Series,
        windows: u64,
        lineage: &mut Lineage,
    ) -> Result<u64, Failure> {
        let stop = stop_flag()?;
        let mut progress = Progress::new("windows", Some(windows));
        let mut rows = 0;
        while lineage.windows < windows && !stop.load(Ordering::Relaxed) {
            let count = (windows - lineage.windows).min(BATCH as u64);
            for row in series.next_windows(count as usize).map_err(Failure::failed)? {
                writer.write(&row).map_err(|error| self.unwritable(&error))?;
                rows += 1;
            }
            lineage.windows += count;
            progress.tell(lineage.windows);
        }
        Ok(rows)
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        Failure::failed(format_args!("{}: {error}", self.out.display()))
    }
}

/// `OUT.lineage.json`.
fn lineage_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".lineage.json");
    name.into()
}

/// Set once the process is told to stop.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, runtime) = (stop.clone(), surroundings::runtime()?);
    let mut signals = runtime.block_on(async { Signals::new() }).map_err(Failure::failed)?;
    // It ends with the process.
    std::thread::spawn(move || {
        runtime.block_on(signals.stop());
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
