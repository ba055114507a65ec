use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::outcome::{Failure, Outcome, print};
use super::surroundings::{self, Signals};
use crate::generation::format::Format;
use crate::generation::{Course, Generator, Layout, LearnedGenerator, Request, Series};
use crate::models::{Folder, GeneratorModel, SamplerName, ScheduleName, shipped};

/// Makes synthetic telemetry, labelled with the condition of the machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper generate --windows 60 --label pump=2,valve=any --seed 1 --out rig.csv")]
pub(super) struct Generate {
    /// The generator: a package's folder, or the name of one that the binary brings along
    #[arg(long, value_name = "NAME", default_value = "hydraulic-latent")]
    model: PathBuf,
    /// A folder of packages that comes before those of the binary
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Takes a package that the binary was not built with
    #[arg(long)]
    allow_unsigned: bool,
    /// How many windows; a window of the rig is one load cycle
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    windows: u64,
    /// The machine's condition; a label that is not named is healthy, `any` draws from the learned conditions
    #[arg(long, value_name = "K=V,…")]
    label: Option<String>,
    /// Goes from the condition of --label to this one, window by window
    #[arg(long, value_name = "K=V,…")]
    to: Option<String>,
    /// How strongly the condition is told to the denoiser; 1: not more than it was in training
    #[arg(long, value_name = "G")]
    guidance: Option<f64>,
    /// How a step is made: ddpm, ddim or dpm++
    #[arg(long)]
    sampler: Option<SamplerName>,
    /// How the noise falls: linear, cosine or offset-cosine
    #[arg(long)]
    schedule: Option<ScheduleName>,
    /// Steps from noise to data
    #[arg(long, value_name = "S")]
    steps: Option<usize>,
    /// Starts every window afresh, instead of where the one before ended
    #[arg(long)]
    loose: bool,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The time of the first row
    #[arg(long, value_name = "RFC 3339", default_value = "2026-01-01T00:00:00Z")]
    start: Timestamp,
    /// The file to write: .csv or .ndjson
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Prints a summary as JSON
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub fn run(self) -> Outcome {
        let out = &self.out;
        let format = Format::of(out).ok_or_else(|| {
            Failure::usage(format_args!("--out {}: expected a name that ends in .csv or .ndjson", out.display()))
        })?;
        let generator = self.generator()?;
        let course = self.course(generator.layout())?;
        let layout = generator.layout().clone();
        let mut lineage = self.lineage(&generator);
        let mut series = Series::new(Box::new(generator), course, self.seed, self.start);
        let unwritable = |error: io::Error| Failure::failed(format_args!("{}: {error}", out.display()));
        let file = File::create(out).map_err(unwritable)?;
        let mut writer = format.writer(BufWriter::new(file), &layout).map_err(unwritable)?;
        let stop = stop_flag()?;
        let progress = Progress::new(self.windows);
        let mut made = 0;
        while made < self.windows && !stop.load(Ordering::Relaxed) {
            let count = (self.windows - made).min(BATCH as u64);
            for row in series.next_windows(count as usize).map_err(Failure::failed)? {
                writer.write(&row).map_err(unwritable)?;
            }
            made += count;
            progress.tell(made);
        }
        drop(progress);
        writer.finish().map_err(unwritable)?;
        lineage["windows"] = json!(made);
        let beside = lineage_path(out);
        let text = serde_json::to_string_pretty(&lineage).map_err(Failure::failed)? + "\n";
        std::fs::write(&beside, text)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", beside.display())))?;
        let rows = made * layout.window as u64;
        match self.json {
            true => print(&json!({ "out": out, "windows": made, "rows": rows, "lineage": lineage }).to_string()),
            false => {
                eprintln!(
                    "{made} windows, {rows} rows in {}; where they come from in {}",
                    out.display(),
                    beside.display()
                );
                Ok(())
            }
        }
    }

    fn generator(&self) -> Result<LearnedGenerator, Failure> {
        let in_folder = self.models.as_ref().map(|models| models.join(&self.model)).filter(|path| path.is_dir());
        let folder = in_folder.or_else(|| self.model.is_dir().then(|| self.model.clone()));
        let brought = self.model.to_str().and_then(shipped);
        let model = match (folder, brought) {
            (Some(folder), _) => GeneratorModel::load(&Folder(folder), self.allow_unsigned, BATCH),
            (None, Some(package)) => GeneratorModel::load(&package, self.allow_unsigned, BATCH),
            (None, None) => {
                return Err(Failure::usage(format_args!(
                    "--model {}: there is no such folder, and the binary brings no such package along; `wheeltapper model \
                     list` shows them",
                    self.model.display()
                )));
            }
        };
        let mut generator = LearnedGenerator::new(model.map_err(Failure::config)?, self.seed, self.loose);
        let asked =
            self.guidance.is_some() || self.sampler.is_some() || self.schedule.is_some() || self.steps.is_some();
        let Some(descent) = generator.descent_mut() else {
            if asked {
                return Err(Failure::usage(format_args!(
                    "--guidance, --sampler, --schedule and --steps are for diffusion; the model {} needs no steps",
                    self.model.display()
                )));
            }
            return Ok(generator);
        };
        descent.sampler = self.sampler.unwrap_or(descent.sampler);
        descent.schedule = self.schedule.unwrap_or(descent.schedule);
        descent.steps = self.steps.unwrap_or(descent.steps);
        descent.guidance = self.guidance.unwrap_or(descent.guidance);
        if !(1..=10_000).contains(&descent.steps) {
            return Err(Failure::usage(format_args!("--steps {}: expected 1 to 10000, e.g. 20", descent.steps)));
        }
        if !(0.0..=20.0).contains(&descent.guidance) {
            return Err(Failure::usage(format_args!("--guidance {}: expected 0 to 20, e.g. 1.5", descent.guidance)));
        }
        Ok(generator)
    }

    fn course(&self, layout: &Layout) -> Result<Course, Failure> {
        let wrong = |option: &str, error| Failure::usage(format_args!("{option}: {error}"));
        let request = match &self.label {
            Some(text) => Request::parse(text, layout).map_err(|error| wrong("--label", error))?,
            None => Request::healthy(layout),
        };
        let Some(to) = &self.to else { return Ok(Course::Constant(request)) };
        let end = request.clone().with(to, layout).map_err(|error| wrong("--to", error))?;
        if request.is_open() || end.is_open() {
            return Err(Failure::usage("a path leads from one condition to another; `any` has no place in it"));
        }
        let mut nothing_is_drawn = crate::generation::noise::stream(0, 0);
        let [from, to] = [request, end].map(|request| request.draw(layout, &mut nothing_is_drawn));
        Ok(Course::Path { from, to, windows: self.windows })
    }

    fn lineage(&self, generator: &LearnedGenerator) -> Value {
        let manifest = generator.model().manifest();
        let descent = generator.descent();
        json!({
            "synthetic": true,
            "generator": {
                "name": manifest.name,
                "version": manifest.version,
                "sha256": generator.model().sha256(),
                "family": manifest.generator.family,
                "licence": manifest.licence,
            },
            "training": {
                "data": manifest.training.data,
                "data_licence": manifest.training.data_licence,
                "attribution": manifest.training.attribution,
            },
            "seed": self.seed,
            "sampler": descent.map(|it| it.sampler),
            "schedule": descent.map(|it| it.schedule),
            "steps": descent.map(|it| it.steps),
            "guidance": descent.map(|it| it.guidance),
            "loose": self.loose,
            "labels": { "from": self.label, "to": self.to },
            "start": self.start,
            "command": std::env::args().collect::<Vec<_>>(),
            "wheeltapper": env!("CARGO_PKG_VERSION"),
        })
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

/// Long work shows how far it is, on a terminal only.
struct Progress {
    started: Option<Instant>,
    windows: u64,
}

impl Progress {
    fn new(windows: u64) -> Self {
        Self { started: io::stderr().is_terminal().then(Instant::now), windows }
    }

    fn tell(&self, made: u64) {
        let Some(started) = self.started else { return };
        let rate = made as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let left = (self.windows - made) as f64 / rate;
        eprint!("\r\x1b[K{made} of {} windows, {rate:.0} a second, {left:.0} s left", self.windows);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.started.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// Windows a call of the networks.
const BATCH: usize = 64;
