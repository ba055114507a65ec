//! The fault cycles: the built binary against real brokers, disks and clocks that fail, and one table of what came out.
//!
//! `tests/faults` runs the short form, `tests/faults --full` the whole.

mod broker_stalls;
mod clock_steps;
mod commands;
mod daemon_kills;
mod disk;
mod file_steps;
mod journal;
mod latency;
mod memory;
mod mqtt;
mod outages;
mod plant;
mod poison;
mod poison_catalogue;
mod reader_away;
mod start;
mod table;
mod witness;

#[allow(dead_code, reason = "the live tests need more of it")]
#[path = "../live/support/gateway.rs"]
mod gateway;
#[path = "../support/scripted_broker/real_broker.rs"]
mod real_broker;
#[allow(dead_code, reason = "the live tests need all of it")]
#[path = "../live/support/wobble.rs"]
mod wobble;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use table::{Row, Verdict};

/// How much is to be tried.
pub struct Scene {
    pub full: bool,
    pub seed: u64,
    /// Stalls of the broker for each of its settings.
    pub cycles: usize,
    /// Kills of the gateway.
    pub kills: usize,
    /// How long memory is watched.
    pub soak: Duration,
    only: Option<String>,
}

fn main() -> ExitCode {
    let scene = match Scene::from_arguments(std::env::args().skip(1)) {
        Ok(scene) => scene,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}", std::process::id()));
    std::fs::create_dir_all(&logs).expect("the target folder can be written");
    // Not where files might never reach a disk.
    tempfile::env::override_temp_dir(&logs).expect("nobody has asked for it before");
    println!("seed {}, {} form", scene.seed, if scene.full { "full" } else { "short" });
    let mut rows = Vec::new();
    for (named, cycle) in CYCLES.iter().filter(|(named, _)| scene.wants(named)) {
        let started = Instant::now();
        rows.extend(catch_unwind(AssertUnwindSafe(|| cycle(&scene))).unwrap_or_else(|panic| {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&why| why.to_owned())).unwrap_or_default();
            let broken = Verdict::Broken(why);
            vec![Row {
                what: named.to_string(),
                target: "comes to its end",
                measured: "it did not".into(),
                verdict: broken,
            }]
        }));
        eprintln!("{named}: {} s", started.elapsed().as_secs());
    }
    table::print(&rows);
    if rows.iter().any(Row::is_broken) {
        println!("\nseed {}; logs, configurations and states are kept in {}", scene.seed, logs.display());
        return ExitCode::FAILURE;
    }
    _ = std::fs::remove_dir_all(&logs);
    ExitCode::SUCCESS
}

impl Scene {
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        let full = arguments.next_if(|first| first == "--full").is_some();
        let seed = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let mut scene = match full {
            true => Self { full, seed, cycles: 100, kills: 200, soak: Duration::from_secs(3600), only: None },
            false => Self { full, seed, cycles: 3, kills: 10, soak: Duration::ZERO, only: None },
        };
        while let Some(key) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{key}: expected a value behind it"))?;
            let number = || value.parse::<u32>().map_err(|_| format!("{key} {value}: expected a number"));
            match key.as_str() {
                "--seed" => scene.seed = number()?.into(),
                "--cycles" => scene.cycles = number()? as usize,
                "--kills" => scene.kills = number()? as usize,
                "--soak" => scene.soak = Duration::from_secs(u64::from(number()?) * 60),
                "--only" => scene.only = Some(value),
                _ => return Err(format!("{key}: no such option")),
            }
        }
        Ok(scene)
    }

    fn wants(&self, named: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == named))
    }

    /// Chance that this run's seed fixes, another for each purpose.
    pub fn random(&self, purpose: &str) -> ChaCha8Rng {
        let mixed =
            purpose.bytes().fold(self.seed, |mixed, byte| mixed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
        ChaCha8Rng::seed_from_u64(mixed)
    }
}

type Cycle = fn(&Scene) -> Vec<Row>;

const CYCLES: &[(&str, Cycle)] = &[
    ("stalls", broker_stalls::run),
    ("away", reader_away::run),
    ("kills", daemon_kills::run),
    ("steps", file_steps::run),
    ("latency", latency::run),
    ("outages", outages::run),
    ("poison", poison::run),
    ("memory", memory::run),
    ("start", start::run),
    ("clock", clock_steps::run),
    ("disk", disk::run),
    ("commands", commands::run),
];
const USAGE: &str =
    "usage: tests/faults [--full] [--seed N] [--only stalls,kills,…] [--cycles N] [--kills N] [--soak MINUTES]";
