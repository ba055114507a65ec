//! What `report` says of data whose worth is known beforehand: more of the same process, copies, a Gaussian, rough ones.

mod support {
    pub mod binary;
}

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use support::binary::{Told, wheeltapper};

#[test]
fn more_of_the_same_process_meets_every_gate() {
    let bench = Bench::new();
    let (told, report) = bench.report(&process(FAKE));
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(report["gates"].as_array().unwrap().iter().all(|gate| gate["met"] == true));
    for name in ["c2st", "fine", "ks_ratio", "psd", "high_frequency", "flags", "closer", "near_duplicates"] {
        assert!(gate(&report, name)["met"] == true, "{name} is a gate");
    }
}

#[test]
fn copies_fail_for_memory_though_they_look_real() {
    let bench = Bench::new();
    let (told, report) = bench.report(&noisy(process(REAL), 0.02));
    assert_eq!(told.code, 1);
    assert!(told.err.contains("remembers windows of its training"), "{}", told.err);
    for name in ["flags", "closer", "near_duplicates"] {
        let gate = gate(&report, name);
        assert!(gate["met"] == false && gate["kind"] == "memory", "{gate}");
    }
    assert!(figure(&report, "c2st", "synthetic") < 0.1);
    assert!(figure(&report, "flags", "synthetic") > 8.0 && figure(&report, "flags", "real") < 2.0);
}

#[test]
fn a_gaussian_fails_for_quality_and_remembers_nothing() {
    let bench = Bench::new();
    let (told, report) = bench.report(&gaussian_like(&process(REAL)));
    assert_eq!(told.code, 1);
    assert!(!told.err.contains("remembers"), "{}", told.err);
    for name in ["flags", "closer", "near_duplicates"] {
        assert_eq!(gate(&report, name)["met"], true, "{name}");
    }
    assert_eq!(gate(&report, "ks_ratio")["met"], false);
    // It is what the baseline beside it is.
    let beside = figure(&report, "ks_ratio", "gaussian");
    assert!((figure(&report, "ks_ratio", "synthetic") / beside - 1.0).abs() < 0.3, "{beside}");
}

#[test]
fn white_noise_is_seen_by_first_differences() {
    let bench = Bench::new();
    let (told, report) = bench.report(&noisy(process(FAKE), 0.1));
    assert_eq!(told.code, 1);
    assert_eq!(gate(&report, "fine")["met"], false);
    assert_eq!(gate(&report, "high_frequency")["met"], false);
    assert!(figure(&report, "fine", "synthetic") > figure(&report, "c2st", "synthetic") + 0.1);
}

#[test]
fn windows_that_disobey_their_label_are_found_out() {
    let bench = Bench::new();
    let mut made = process(FAKE);
    made.iter_mut().for_each(|window| window.level = 1.0 - window.level);
    let (told, report) = bench.report(&made);
    assert_eq!(told.code, 1);
    assert_eq!(gate(&report, "obeyed:level")["met"], false);
    assert_eq!(gate(&report, "trained_ratio:level")["met"], false);
}

#[test]
fn the_same_files_give_the_same_report_and_a_page_that_needs_nothing_else() {
    let bench = Bench::new();
    let made = bench.file("made.csv", &process(FAKE));
    let page = bench.folder.path().join("page.html");
    let both = ["--json", "--html"].map(str::to_owned);
    let run = || wheeltapper(bench.arguments(&made).chain([both[1].clone(), text(&page), both[0].clone()]));
    let (first, second) = (run(), run());
    assert_eq!(first.out, second.out);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("width=device-width"));
    let svg = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!svg.contains("http") && !svg.contains("src=") && !svg.contains("<script"));
    assert_eq!(page.matches("<svg").count(), 1 + 4 * 2, "one of all windows, four a channel");
}

#[test]
fn what_cannot_be_compared_is_answered_with_what_to_do() {
    let bench = Bench::new();
    let few: Vec<Window> = process(FAKE).into_iter().take(19).collect();
    let still: Vec<Window> =
        process(FAKE).into_iter().map(|window| Window { values: vec![[1.0; 2]; ROWS], ..window }).collect();
    let short: Vec<Window> = process(FAKE)
        .into_iter()
        .map(|mut window| {
            window.values.truncate(7);
            window
        })
        .collect();
    let told = |made: &[Window]| {
        let path = bench.file("made.csv", made);
        wheeltapper(bench.arguments(&path))
    };
    assert_failed(&told(&few), "--synthetic has 19 windows");
    assert_failed(&told(&short), "--synthetic has 7 rows a window where the real windows have 20; say --rows");
    assert_failed(&told(&[]), "there is no row in it");
    let path = bench.folder.path().join("made.csv");
    std::fs::write(&path, bench_text(&process(FAKE)).replace(",a,", ",z,")).unwrap();
    assert_failed(&wheeltapper(bench.arguments(&path)), "where the real windows have [\"a\", \"b\"]");
    let real = text(&bench.real);
    let again = wheeltapper([
        "report",
        "--real",
        &real,
        "--holdout",
        &real,
        "--synthetic",
        &real,
        "--group",
        "run",
        "--labels",
        "level",
    ]);
    assert_failed(&again, "keep whole runs apart");
    let constant = text(&bench.file("still.csv", &still));
    let of_nothing = wheeltapper([
        "report",
        "--real",
        &constant,
        "--holdout",
        &constant,
        "--synthetic",
        &constant,
        "--labels",
        "level",
    ]);
    assert!(of_nothing.code == 1 && !of_nothing.err.contains("panicked"), "{}", of_nothing.err);
    let usage = wheeltapper(bench.arguments(&bench.real).chain(["--labels", "colour"].map(str::to_owned)));
    assert_eq!(usage.code, 2, "{}", usage.err);
}

#[test]
fn a_long_file_is_sampled_and_says_so() {
    let bench = Bench::new();
    let one = process(FAKE);
    let many: Vec<Window> = (0..6000).map(|place| one[place % one.len()].clone()).collect();
    let (told, report) = bench.report(&many);
    assert!(told.err.contains("a random 5000 of its 6000 windows count"), "{}", told.err);
    assert_eq!(report["synthetic"]["windows"], 6000);
    assert_eq!(report["synthetic"]["kept"], 5000);
}

/// Real windows and held-out ones, written as `generate` writes.
struct Bench {
    folder: tempfile::TempDir,
    real: PathBuf,
    holdout: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = |name: &str, seed: u64| {
            let path = folder.path().join(name);
            std::fs::write(&path, bench_text(&process(seed))).unwrap();
            path
        };
        let (real, holdout) = (written("real.csv", REAL), written("holdout.csv", HOLDOUT));
        Self { folder, real, holdout }
    }

    fn file(&self, name: &str, windows: &[Window]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bench_text(windows)).unwrap();
        path
    }

    fn arguments(&self, made: &Path) -> impl Iterator<Item = String> {
        let files = [("--real", &self.real as &Path), ("--holdout", &self.holdout), ("--synthetic", made)];
        let files = files.map(|(name, path)| [name.to_owned(), text(path)]);
        let rest = ["--group", "run", "--labels", "level"].map(str::to_owned);
        ["report".to_owned()].into_iter().chain(files.into_iter().flatten()).chain(rest)
    }

    fn report(&self, made: &[Window]) -> (Told, Value) {
        let made = self.file("made.csv", made);
        let told = wheeltapper(self.arguments(&made).chain(["--json".to_owned()]));
        let report = serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error}: {}", told.err));
        (told, report)
    }
}

#[derive(Clone)]
struct Window {
    run: usize,
    level: f64,
    values: Vec<[f64; 2]>,
}

/// Windows of a slow wave of any phase, and of what follows it with a step up or down in the middle; the label moves both.
fn process(seed: u64) -> Vec<Window> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let window = |place: usize| {
        let level = (place / 2 % 2) as f64;
        let phase = random.random::<f64>() * std::f64::consts::TAU;
        let side = if random.random::<bool>() { 1.0 } else { -1.0 };
        let value = |row: usize| {
            let wave = (phase + row as f64 * 0.3).sin() + 0.02 * normal(&mut random);
            let step = side * (1.0 + 0.05 * normal(&mut random)) + 0.3 * wave;
            [wave + 1.5 * level, step + 0.8 * level]
        };
        Window { run: place / 2, level, values: (0..ROWS).map(value).collect() }
    };
    (0..WINDOWS).map(window).collect()
}

/// With white noise of so many deviations; those of both channels are near 1.
fn noisy(mut windows: Vec<Window>, share: f64) -> Vec<Window> {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    windows
        .iter_mut()
        .flat_map(|window| &mut window.values)
        .flatten()
        .for_each(|value| *value += share * normal(&mut random));
    windows
}

/// Mean and covariance of these windows, and nothing else of them.
fn gaussian_like(windows: &[Window]) -> Vec<Window> {
    let mut random = ChaCha8Rng::seed_from_u64(10);
    let count = windows.len() as f64;
    let mean = |row: usize, channel: usize| windows.iter().map(|it| it.values[row][channel]).sum::<f64>() / count;
    let means: Vec<[f64; 2]> = (0..ROWS).map(|row| [mean(row, 0), mean(row, 1)]).collect();
    let mut made = windows.to_vec();
    for window in &mut made {
        window.values = means.clone();
        for other in windows {
            let weight = normal(&mut random) / count.sqrt();
            for (row, value) in window.values.iter_mut().enumerate() {
                (0..2)
                    .for_each(|channel| value[channel] += weight * (other.values[row][channel] - means[row][channel]));
            }
        }
    }
    made
}

/// Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - random.random::<f64>(), random.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn bench_text(windows: &[Window]) -> String {
    let mut text = "window,run,a,b,level\n".to_owned();
    for (place, window) in windows.iter().enumerate() {
        for [a, b] in &window.values {
            text += &format!("{place},{},{a:.6},{b:.6},{}\n", window.run, window.level);
        }
    }
    text
}

fn gate<'r>(report: &'r Value, name: &str) -> &'r Value {
    let gates = report["gates"].as_array().expect("there are gates");
    gates.iter().find(|gate| gate["figure"] == name).unwrap_or_else(|| panic!("no gate {name}"))
}

fn figure(report: &Value, name: &str, of: &str) -> f64 {
    let figures = report["figures"].as_array().expect("there are figures");
    let figure = figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("no figure {name}"));
    figure[of].as_f64().unwrap_or_else(|| panic!("{name} of {of}: {figure}"))
}

#[track_caller]
fn assert_failed(told: &Told, expected: &str) {
    assert!(told.code == 1 && told.err.contains(expected), "{}: {}", told.code, told.err);
}

fn text(path: &Path) -> String {
    path.to_str().expect("a folder of tests has a plain name").to_owned()
}

const ROWS: usize = 20;
const WINDOWS: usize = 400;
const REAL: u64 = 1;
const HOLDOUT: u64 = 2;
const FAKE: u64 = 3;
