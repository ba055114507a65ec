//! The data sets, each split as its protocol says.

use std::path::{Path, PathBuf};

use wheeltapper::acquisition::Name;

use super::series::{Series, column, read, second};

/// The labelled experiments of the pump testbed: the first 400 rows of each calibrate.
pub fn skab(data: &Path) -> Vec<Series> {
    let file = |path: &PathBuf| Series { calibrate: 400, ..read(path, Some("anomaly"), &["changepoint"]) };
    skab_paths(data).iter().map(file).collect()
}

pub fn skab_paths(data: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in ["other", "valve1", "valve2"] {
        let Ok(files) = std::fs::read_dir(data.join("skab").join(folder)) else { continue };
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        all.extend(paths);
    }
    all
}

/// The pump over hours without a fault.
pub fn skab_sound(data: &Path) -> Series {
    read(&data.join("skab/anomaly-free/anomaly-free.csv"), None, &[])
}

/// The chemical plant: calibrated on 980 sound rows, then 480 more of them, then one fault from its row 160 on.
pub fn tep(data: &Path) -> Vec<Series> {
    let folder = data.join("tep");
    let sound = read(&folder.join("d00.csv.gz"), None, &[]);
    let later = read(&folder.join("d00_te.csv.gz"), None, &[]);
    let mut series = Vec::new();
    for fault in (1..=21).filter(|fault| ![3, 9, 15].contains(fault)) {
        let path = folder.join(format!("d{fault:02}_te.csv.gz"));
        if !path.is_file() {
            continue;
        }
        let faulty = read(&path, None, &[]);
        let rows = [&sound.rows[..], &later.rows, &faulty.rows[160..]].concat();
        let labels = (0..rows.len()).map(|row| row >= sound.rows.len() + later.rows.len()).collect();
        let times = (0..rows.len()).map(|row| second(180 * row as i64)).collect();
        let calibrate = sound.rows.len() + 480;
        series.push(Series {
            name: format!("IDV {fault}"),
            channels: sound.channels.clone(),
            rows,
            times,
            labels,
            calibrate,
            kind: None,
        });
    }
    series
}

/// The chemical plant without a fault, calibrated as for its faults.
pub fn tep_sound(data: &Path) -> Series {
    let sound = read(&data.join("tep/d00.csv.gz"), None, &[]);
    let later = read(&data.join("tep/d00_te.csv.gz"), None, &[]);
    let rows = [&sound.rows[..], &later.rows].concat();
    let times = (0..rows.len()).map(|row| second(180 * row as i64)).collect();
    let labels = vec![false; rows.len()];
    let calibrate = sound.rows.len() + 480;
    Series { name: "chemical plant".to_owned(), channels: sound.channels, rows, times, labels, calibrate, kind: None }
}

/// The hydraulic rig's recording with what each row says of its components.
pub struct Rig {
    channels: Vec<Name>,
    runs: Vec<Run>,
}

struct Run {
    /// Cooler, valve, pump, accumulator; from 0, sound.
    grades: [usize; 4],
    rows: Vec<Vec<f64>>,
}

pub const COMPONENTS: [&str; 4] = ["cooler", "valve", "pump", "accumulator"];

impl Rig {
    pub fn open(data: &Path) -> Self {
        let path = data.join("hydraulic/dev.csv.gz");
        let labels = ["run", "cycle", "second", "cooler", "valve", "pump", "accumulator", "unstable"];
        let all = read(&path, None, &labels);
        let numbers = column(&path, "run");
        let sound = [100.0, 100.0, 0.0, 130.0];
        let order: [&[f64]; 4] =
            [&[100.0, 20.0, 3.0], &[100.0, 90.0, 80.0, 73.0], &[0.0, 1.0, 2.0], &[130.0, 115.0, 100.0, 90.0]];
        let values: Vec<Vec<f64>> = COMPONENTS.iter().map(|name| column(&path, name)).collect();
        assert!((0..4).all(|component| order[component][0] == sound[component]));
        let mut runs: Vec<(f64, Run)> = Vec::new();
        for (row, cells) in all.rows.iter().enumerate() {
            if runs.last().is_none_or(|(number, _)| *number != numbers[row]) {
                let grade = |component: usize| {
                    let value = values[component][row];
                    order[component].iter().position(|known| *known == value).expect("a known grade")
                };
                runs.push((numbers[row], Run { grades: std::array::from_fn(grade), rows: Vec::new() }));
            }
            runs.last_mut().expect("there is one").1.rows.push(cells.clone());
        }
        let mut runs: Vec<Run> = runs.into_iter().map(|(_, run)| run).collect();
        for run in &mut runs {
            // Two runs are far longer than the others; they would decide alone.
            run.rows.truncate(MOST_CYCLES * CYCLE);
        }
        Self { channels: all.channels, runs }
    }

    /// The runs that a network which learned from the others has not seen: every second one.
    pub fn unseen(mut self) -> Self {
        let mut place = 0;
        self.runs.retain(|_| {
            place += 1;
            place % 2 == 0
        });
        self
    }

    /// One component differs, all others are sound: calibrated on ten cycles of the longest sound run, scored on the rest of it, on
    /// the other one, a single cycle, and on all runs in which only this component differs.
    pub fn one_differs(&self, component: usize) -> Series {
        let others_sound = |run: &&Run| (0..4).all(|other| other == component || run.grades[other] == 0);
        let (sound, worn): (Vec<&Run>, Vec<&Run>) =
            self.runs.iter().filter(others_sound).partition(|run| run.grades[component] == 0);
        let longest = (0..sound.len()).max_by_key(|&run| sound[run].rows.len()).expect("a sound run");
        let rest = sound.iter().enumerate().filter(|(place, _)| *place != longest).map(|(_, run)| *run);
        let series = self.series(component, &[sound[longest]], rest.chain(worn));
        Series { calibrate: CALIBRATING_CYCLES * CYCLE, ..series }
    }

    /// The other three components vary: calibrated on every second run in which this component is sound, scored on all other
    /// sound ones and on those of one grade of wear; for each grade and both halves of the sound runs.
    pub fn nuisance(&self, component: usize) -> Vec<Series> {
        let worst = self.runs.iter().map(|run| run.grades[component]).max().expect("runs");
        (1..=worst).flat_map(|grade| [0, 1].map(|half| self.nuisance_of(component, grade, half))).collect()
    }

    fn nuisance_of(&self, component: usize, grade: usize, half: usize) -> Series {
        let alike = self.runs.iter().filter(|run| [0, grade].contains(&run.grades[component]));
        self.split(component, &alike.collect::<Vec<&Run>>(), half)
    }

    /// Calibrated on every second sound one of some runs, scored on all others.
    fn split(&self, component: usize, runs: &[&Run], half: usize) -> Series {
        let (sound, worn): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.grades[component] == 0);
        let every_second = |from: usize| sound.iter().skip(from).step_by(2).copied();
        let calibrating: Vec<&Run> = every_second(half).collect();
        self.series(component, &calibrating, every_second(1 - half).chain(worn.iter().copied()))
    }

    /// Every run alone.
    pub fn each(&self) -> Vec<Series> {
        let alone = |run: &Run| Series {
            name: "hydraulic rig".to_owned(),
            channels: self.channels.clone(),
            rows: run.rows.clone(),
            times: (0..run.rows.len()).map(|row| second(row as i64)).collect(),
            labels: vec![false; run.rows.len()],
            calibrate: 0,
            kind: None,
        };
        self.runs.iter().map(alone).collect()
    }

    /// Sound in one run after another for as long as the recording has it: the longest runs.
    pub fn longest(&self, data: &Path) -> Vec<Series> {
        let path = data.join("hydraulic/dev.csv.gz");
        let labels = ["run", "cycle", "second", "cooler", "valve", "pump", "accumulator", "unstable"];
        let all = read(&path, None, &labels);
        let numbers = column(&path, "run");
        let of = |number: f64| {
            let rows: Vec<Vec<f64>> =
                (0..all.rows.len()).filter(|&row| numbers[row] == number).map(|row| all.rows[row].clone()).collect();
            let times = (0..rows.len()).map(|row| second(row as i64)).collect();
            let labels = vec![false; rows.len()];
            let name = format!("hydraulic rig, run {number}");
            Series { name, channels: all.channels.clone(), times, labels, rows, calibrate: 0, kind: None }
        };
        LONGEST.map(of).into()
    }

    fn series<'r>(
        &'r self,
        component: usize,
        calibrating: &[&'r Run],
        scored: impl Iterator<Item = &'r Run>,
    ) -> Series {
        let mut series = Series {
            name: COMPONENTS[component].to_owned(),
            channels: self.channels.clone(),
            rows: Vec::new(),
            times: Vec::new(),
            labels: Vec::new(),
            calibrate: calibrating.iter().map(|run| run.rows.len()).sum(),
            kind: None,
        };
        let mut clock = 0;
        for run in calibrating.iter().copied().chain(scored) {
            for row in &run.rows {
                series.rows.push(row.clone());
                series.times.push(second(clock));
                series.labels.push(run.grades[component] > 0);
                clock += 1;
            }
            clock += BETWEEN_RUNS;
        }
        series
    }
}

const CYCLE: usize = 60;
const MOST_CYCLES: usize = 20;
const CALIBRATING_CYCLES: usize = 10;
/// In seconds: the rig ran through the whole recording without a pause.
const BETWEEN_RUNS: i64 = 0;
/// Their numbers: 200 load cycles each.
const LONGEST: [f64; 2] = [64.0, 129.0];
