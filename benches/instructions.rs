//! How many instructions each stage takes and how often it asks for memory, beside what is committed: counts that no
//! busy machine moves.

mod support {
    pub mod stages;
}
#[path = "../tests/support/allocations.rs"]
mod allocations;
#[path = "../tests/support/plant.rs"]
mod plant;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde::Deserialize;

use wheeltapper::models::EngineKind;

use allocations::allocations;
use plant::{Telemetry, hydraulic_rig, universal};
use support::stages::{self, Stage};

/// Runs itself under callgrind and compares; `--accept` writes what was counted into the baseline.
fn main() -> ExitCode {
    let given = |flag: &str| env::args().any(|argument| argument == flag);
    if given(COUNTED) {
        run_all();
        return ExitCode::SUCCESS;
    }
    let counts = match count() {
        Ok(counts) => counts,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let baseline = Baseline::read();
    print(&counts, &baseline);
    if given("--accept")
        && let Err(error) = fs::write(BASELINE, Baseline::text(&counts))
    {
        eprintln!("cannot write {BASELINE}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

type Make = fn() -> Stage;

/// Of one run of a stage.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Count {
    instructions: u64,
    allocations: f64,
}

#[derive(Default, Deserialize)]
struct Baseline {
    /// Another compiler counts otherwise.
    rustc: String,
    stage: BTreeMap<String, Count>,
}

impl Baseline {
    fn read() -> Self {
        fs::read_to_string(BASELINE).ok().and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
    }

    fn text(counts: &[(String, Count)]) -> String {
        let mut text =
            format!("# Written by `cargo bench --bench instructions -- --accept`.\nrustc = \"{}\"\n", rustc());
        for (stage, Count { instructions, allocations }) in counts {
            text += &format!("\n[stage.\"{stage}\"]\ninstructions = {instructions}\nallocations = {allocations:.1}\n");
        }
        text
    }
}

/// By name, with how often each is run.
const STAGES: [(&str, usize, Make); 15] = [
    ("decode, 8 channels", MANY, stages::decode),
    ("decode and align, 8 channels", MANY, stages::decode_and_align),
    ("standardise, 8 channels", MANY, stages::standardise),
    ("charts, 8 channels", MANY, || stages::charts(8)),
    ("alarm", MANY, stages::alarm),
    ("from message to score, 8 channels", MANY, || stages::whole_way(Telemetry::made_up(8), universal())),
    ("from message to score, rig", MANY, || stages::whole_way(Telemetry::of_rig(), hydraulic_rig())),
    ("column, ring", MANY, || stages::column(EngineKind::Ring, 1)),
    ("column, pulse", MANY, || stages::column(EngineKind::Pulse, 1)),
    ("column, dense", FEW, || stages::column(EngineKind::Dense, 1)),
    ("column, window", FEW, || stages::column(EngineKind::Window, 1)),
    ("step of a generator", FEW, stages::generator_step),
    ("diagnosis and advice", FEW, stages::advice),
    ("encode an alarm", FEW, stages::encode),
    ("outbox, with fsync", FEW, stages::outbox),
];

/// Runs every stage; what is to be counted goes through [`counted`].
fn run_all() {
    for (name, runs, stage) in STAGES {
        let asked = match stage() {
            Stage::OfMessages { mut telemetry, mut work } => {
                let mut take = |count| {
                    let messages: Vec<_> = (0..count).map(|_| telemetry.message()).collect();
                    messages
                };
                let (warm, messages) = (take(WARM), take(runs));
                warm.iter().for_each(|(payload, now)| work(payload, *now));
                counted(&mut || messages.iter().for_each(|(payload, now)| work(payload, *now)))
            }
            Stage::Alone(mut work) => {
                (0..WARM).for_each(|_| work());
                counted(&mut || (0..runs).for_each(|_| work()))
            }
        };
        println!("{name}\t{runs}\t{asked}");
    }
}

/// Tells how often memory was asked for.
fn counted(work: &mut dyn FnMut()) -> usize {
    let before = allocations();
    begin_counting();
    work();
    end_counting();
    allocations() - before
}

/// callgrind knows this and the next by their names, and writes down what it has counted since it last did.
#[inline(never)]
fn begin_counting() {
    black_box("begin");
}

#[inline(never)]
fn end_counting() {
    black_box("end");
}

fn count() -> Result<Vec<(String, Count)>, String> {
    let plain = |error: std::io::Error| error.to_string();
    let folder = stages::scratch();
    let dumps = folder.path().join("counts");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--dump-before=*::begin_counting*", "--dump-before=*::end_counting*"])
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .args([env::current_exe().map_err(plain)?.as_os_str(), COUNTED.as_ref()])
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}; install Debian's package `valgrind`"))?;
    let told = String::from_utf8_lossy(&run.stdout);
    if !run.status.success() {
        return Err(format!("valgrind: {}{told}{}", run.status, String::from_utf8_lossy(&run.stderr)));
    }
    let counts = told.lines().enumerate().map(|(n, line)| {
        let mut columns = line.split('\t');
        let name = columns.next().unwrap_or_default().to_owned();
        let mut number = || columns.next()?.parse::<u64>().ok();
        let (Some(runs), Some(asked)) = (number(), number()) else { return Err(format!("not understood: {line}")) };
        // Every other one is what a stage took to be made ready.
        let dump = dumps.with_extension((2 * (n + 1)).to_string());
        let instructions = total(&dump).ok_or_else(|| format!("{name}: there is no total in {}", dump.display()))?;
        Ok((name, Count { instructions: instructions / runs, allocations: asked as f64 / runs as f64 }))
    });
    counts.collect()
}

/// All instructions in one of callgrind's files.
fn total(dump: &Path) -> Option<u64> {
    let text = fs::read_to_string(dump).ok()?;
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

fn print(counts: &[(String, Count)], baseline: &Baseline) {
    println!(
        "{:36}{:>14}{:>14}{:>10}{:>14}{:>10}",
        "a run of", "instructions", "baseline", "change", "allocations", "baseline"
    );
    let mut worse = Vec::new();
    for (stage, count) in counts {
        let Some(before) = baseline.stage.get(stage) else {
            println!(
                "{stage:36}{:>14}{:>14}{:>10}{:>14.1}{:>10}",
                count.instructions, "-", "-", count.allocations, "-"
            );
            continue;
        };
        let change = count.instructions as f64 / before.instructions as f64 - 1.0;
        if change > WORSE || count.allocations > before.allocations + 0.05 {
            worse.push(stage.as_str());
        }
        println!(
            "{stage:36}{:>14}{:>14}{:>8.1} %{:>14.1}{:>10.1}",
            count.instructions,
            before.instructions,
            100.0 * change,
            count.allocations,
            before.allocations,
        );
    }
    let rustc = rustc();
    if rustc != baseline.rustc {
        println!("the baseline was counted with another compiler, {:?}, here it is {rustc:?}", baseline.rustc);
    }
    match worse.as_slice() {
        [] => println!("no stage costs {:.0} % more than the baseline or asks for more memory", 100.0 * WORSE),
        worse => println!(
            "WORSE than the baseline by more than {:.0} %, or asking for more memory: {}",
            100.0 * WORSE,
            worse.join("; ")
        ),
    }
}

fn rustc() -> String {
    let told = Command::new("rustc").arg("--version").output();
    told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()).unwrap_or_default()
}

const COUNTED: &str = "--counted";
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
const WORSE: f64 = 0.05;
const WARM: usize = 40;
const MANY: usize = 400;
const FEW: usize = 40;
