use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use super::outcome::{Failure, Outcome, print};
use super::report_page;
use crate::generation::quality::{self, Figure, Window, WindowSet};
use crate::recording::{ReadOptions, Recording};

/// Says whether synthetic data are any good, and whether they are copies of what the training saw
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: wheeltapper report --real trained-on.csv --holdout kept-apart.csv --synthetic made.csv --group run --html report.html"
)]
pub(super) struct Report {
    /// Real windows that the training saw: delimited text, plain or gzip
    #[arg(long, value_name = "FILE")]
    real: PathBuf,
    /// Real windows that it did not see: whole runs, or else the floors are too low
    #[arg(long, value_name = "FILE")]
    holdout: PathBuf,
    /// Synthetic windows
    #[arg(long, value_name = "FILE")]
    synthetic: PathBuf,
    /// The column of windows that belong together; without it `run` where a file has one, else each window by itself
    #[arg(long, value_name = "COL")]
    group: Option<String>,
    /// Rows of a window; without it those with the same `window` or `cycle`, else 60
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Columns that are labels; without it cooler, valve, pump and accumulator, where they are
    #[arg(long, value_name = "COL,COL", value_delimiter = ',')]
    labels: Vec<String>,
    /// A page with pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Every figure and gate, with `-` to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Prints figures and gates and fails at none
    #[arg(long)]
    no_gates: bool,
}

impl Report {
    pub fn run(self) -> Outcome {
        let [real, holdout, synthetic] =
            [self.read(&self.real)?, self.read(&self.holdout)?, self.read(&self.synthetic)?];
        let counts = [&real, &holdout, &synthetic].map(|cut| Counts {
            windows: cut.whole,
            kept: cut.set.windows.len(),
            groups: cut.set.groups(),
        });
        let report = quality::assess(&real.set, &holdout.set, &synthetic.set).map_err(Failure::failed)?;
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))
        };
        if let Some(path) = &self.html {
            write(path, &report_page::page(&self.synthetic.display().to_string(), &report).map_err(Failure::failed)?)?;
        }
        let [real, holdout, synthetic] = counts;
        let written = Written { version: 1, real, holdout, synthetic, report: &report };
        match &self.json {
            Some(path) => {
                let text = serde_json::to_string_pretty(&written).map_err(Failure::failed)?;
                if path.as_os_str() == "-" { print(&text)? } else { write(path, &(text + "\n"))? }
            }
            None => print(&table(&report))?,
        }
        let missed: Vec<&str> = report.gates.iter().filter(|gate| !gate.met).map(|gate| gate.figure.as_str()).collect();
        let copies = report.gates.iter().any(|gate| !gate.met && gate.kind == "memory");
        match (self.no_gates, missed.is_empty()) {
            (true, _) | (_, true) => Ok(()),
            _ => Err(Failure::failed(format_args!(
                "gates not met: {}{}",
                missed.join(", "),
                if copies { "; the generator remembers windows of its training" } else { "" }
            ))),
        }
    }

    fn read(&self, path: &Path) -> Result<Cut, Failure> {
        let place = |error: crate::recording::RecordingError| match error {
            crate::recording::RecordingError::NoSuchColumn { .. } => {
                Failure::usage(format_args!("{}: {error}", path.display()))
            }
            error => Failure::failed(error),
        };
        let mut recording = Recording::open(path, &ReadOptions::default()).map_err(place)?;
        let names = recording.columns().channels.clone();
        let find = |name: &str| names.iter().position(|column| column == name);
        let named = |name: &String| {
            find(name).ok_or_else(|| {
                let path = path.display();
                Failure::usage(format_args!("{path}: there is no column {name:?} of numbers among {names:?}"))
            })
        };
        let labels: Vec<String> = match self.labels.is_empty() {
            true => KNOWN_LABELS.iter().filter(|name| find(name).is_some()).map(|&name| name.to_owned()).collect(),
            false => self.labels.clone(),
        };
        let label_places = labels.iter().map(named).collect::<Result<Vec<usize>, _>>()?;
        // Synthetic windows have no run.
        let group = match &self.group {
            Some(name) if path != self.synthetic || find(name).is_some() => Some(named(name)?),
            _ => find("run").or_else(|| find("window")),
        };
        let parts: Vec<usize> = ["window", "run", "cycle"].iter().filter_map(|name| find(name)).collect();
        let is_channel = |place: &usize| {
            !NEVER_CHANNELS.contains(&names[*place].as_str()) && !label_places.contains(place) && group != Some(*place)
        };
        let channels: Vec<usize> = (0..names.len()).filter(is_channel).collect();
        let mut cutter = Cutter::new(parts, channels.len(), self.rows);
        let mut groups: HashMap<u64, usize> = HashMap::new();
        while let Some(row) = recording.next_row().map_err(place)? {
            let pick = |places: &[usize]| places.iter().map(|&place| row.values[place]).collect::<Vec<f64>>();
            cutter.add(&row.values, &pick(&channels), || {
                let fresh = groups.len();
                let group = group.map(|place| *groups.entry(row.values[place].to_bits()).or_insert(fresh));
                (group, pick(&label_places))
            });
        }
        let channels: Vec<String> = channels.into_iter().map(|place| names[place].clone()).collect();
        let cut = cutter.finish(channels, labels);
        let (path, rows) = (path.display(), cut.set.rows);
        if cut.left_out > 0 {
            let left_out = cut.left_out;
            eprintln!("{path}: {left_out} windows left out, for they have not {rows} rows or lack values");
        }
        if cut.whole > MOST_KEPT {
            eprintln!("{path}: a random {MOST_KEPT} of its {} windows count, the same in each report", cut.whole);
        }
        Ok(cut)
    }
}

/// What was cut out of a file.
struct Cut {
    set: WindowSet,
    /// How many whole windows there were; `set` has [`MOST_KEPT`] of them at most.
    whole: usize,
    left_out: usize,
}

/// Cuts rows into windows, and keeps of many a random part (Vitter, ACM TOMS 11, 1985, algorithm R), so that a file of any
/// length fits.
struct Cutter {
    /// Columns that change from one window to the next.
    parts: Vec<usize>,
    width: usize,
    /// Rows of a window that no column ends.
    longest: Option<usize>,
    /// Rows that a window must have; those of the first where nobody said.
    rows: Option<usize>,
    part: Vec<u64>,
    open: Option<Window>,
    /// With the place of each in the file.
    kept: Vec<(usize, Window)>,
    whole: usize,
    left_out: usize,
    random: ChaCha8Rng,
}

impl Cutter {
    fn new(parts: Vec<usize>, width: usize, rows: Option<usize>) -> Self {
        Self {
            longest: rows.or_else(|| parts.is_empty().then_some(USUAL_ROWS)),
            parts,
            width,
            rows,
            part: Vec::new(),
            open: None,
            kept: Vec::new(),
            whole: 0,
            left_out: 0,
            random: ChaCha8Rng::seed_from_u64(KEPT_SEED),
        }
    }

    /// `begin` gives group and labels of a window that begins with this row; without a group it is one by itself.
    fn add(&mut self, row: &[f64], channels: &[f64], begin: impl FnOnce() -> (Option<usize>, Vec<f64>)) {
        let part: Vec<u64> = self.parts.iter().map(|&place| row[place].to_bits()).collect();
        let full = |window: &Window| self.longest.is_some_and(|rows| window.values.len() >= rows * self.width);
        if self.open.as_ref().is_none_or(full) || part != self.part {
            self.close();
            let (group, labels) = begin();
            let group = group.unwrap_or(self.whole + self.left_out);
            self.open = Some(Window { group, labels, values: Vec::new() });
            self.part = part;
        }
        if let Some(window) = &mut self.open {
            window.values.extend_from_slice(channels);
        }
    }

    fn close(&mut self) {
        let Some(window) = self.open.take() else { return };
        let rows = *self.rows.get_or_insert(window.values.len() / self.width.max(1));
        let finite = window.values.iter().chain(&window.labels).all(|value| value.is_finite());
        if !finite || window.values.len() != rows * self.width {
            self.left_out += 1;
            return;
        }
        let place = self.whole;
        self.whole += 1;
        if place < MOST_KEPT {
            self.kept.push((place, window));
            return;
        }
        let drawn = (self.random.next_u64() % self.whole as u64) as usize;
        if let Some(kept) = self.kept.get_mut(drawn) {
            *kept = (place, window);
        }
    }

    fn finish(mut self, channels: Vec<String>, labels: Vec<String>) -> Cut {
        self.close();
        self.kept.sort_unstable_by_key(|(place, _)| *place);
        let windows = self.kept.into_iter().map(|(_, window)| window).collect();
        let set = WindowSet { channels, labels, rows: self.rows.unwrap_or(0), windows };
        Cut { set, whole: self.whole, left_out: self.left_out }
    }
}

#[derive(Serialize)]
struct Written<'r> {
    version: u32,
    real: Counts,
    holdout: Counts,
    synthetic: Counts,
    #[serde(flatten)]
    report: &'r quality::Report,
}

#[derive(Serialize)]
struct Counts {
    windows: usize,
    /// Of them a random part where there are very many.
    kept: usize,
    groups: usize,
}

fn table(report: &quality::Report) -> String {
    let mut text = format!("{:<28} {:>10} {:>10} {:>10} {:>10}\n", "", "synthetic", "real", "gaussian", "additive");
    let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    for Figure { name, synthetic, real, gaussian, additive, .. } in &report.figures {
        let cells = [synthetic, real, gaussian, additive].map(|value| format!(" {:>10}", cell(*value)));
        text += &format!("{name:<28}{}\n", cells.concat());
    }
    for gate in &report.gates {
        let bound = report_page::bound(gate);
        let met = if gate.met { "met   " } else { "MISSED" };
        text +=
            &format!("\n{met} {} {}: {:.3}, {bound}. When met: {}.", gate.kind, gate.figure, gate.found, gate.meaning);
    }
    text
}

const KNOWN_LABELS: [&str; 4] = ["cooler", "valve", "pump", "accumulator"];
const NEVER_CHANNELS: [&str; 6] = ["window", "time", "run", "cycle", "second", "unstable"];
const USUAL_ROWS: usize = 60;
/// Windows of a file.
const MOST_KEPT: usize = 5000;
const KEPT_SEED: u64 = 7;
