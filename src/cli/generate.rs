use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::generate_file::Destination;
use super::generate_known::known;
use super::generate_source::{BATCH, Source, SourceArgs};
use super::generate_stream::StreamArgs;
use super::outcome::{Failure, Outcome, print};
use crate::generation::noise::stream;
use crate::generation::{
    Asked, Between, Course, Filling, Generator, Known, KnownFile, Layout, LearnedGenerator, Request, Series,
};
use crate::notation::sha256_hex;

/// Makes synthetic telemetry, labelled with the condition of the machine
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("destination").required(true).args(["out", "publish"]),
    after_help = "Example: wheeltapper generate --windows 60 --label pump=2,valve=any --seed 1 --out rig.csv\n         \
                  wheeltapper generate --publish mqtt://127.0.0.1:1883 --topic plant/rig-1/telemetry --rate 60\n         \
                  wheeltapper generate --machine press-01 --config wheeltapper.toml --out press.csv"
)]
pub(super) struct Generate {
    #[command(flatten)]
    source: SourceArgs,
    /// How many windows; a window of the rig is one load cycle [default: 60 into a file, no end to a broker]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    windows: Option<u64>,
    /// The machine's condition; a label that is not named is healthy, `any` draws from the learned conditions
    #[arg(long, value_name = "K=V,…")]
    label: Option<String>,
    /// Goes from the condition of --label to this one, window by window
    #[arg(long, value_name = "K=V,…")]
    to: Option<String>,
    /// Keeps the rows of this recording, fills their empty cells and missing rows, and goes on where it ends: a forecast. Its
    /// first row is the first one of a window
    #[arg(long, value_name = "FILE", conflicts_with_all = ["loose", "like", "to_seed", "machine"])]
    known: Option<PathBuf>,
    /// Makes a window for each one of this recording, with its labels
    #[arg(long, value_name = "FILE", conflicts_with = "to_seed")]
    like: Option<PathBuf>,
    /// Goes from the noise of --seed to that of this seed, window by window
    #[arg(long, value_name = "N", conflicts_with = "machine")]
    to_seed: Option<u64>,
    /// The time of the first row [default: that of --known, 2026-01-01T00:00:00Z into a file; to a broker now at real time, and no times at
    /// another pace]
    #[arg(long, value_name = "RFC 3339")]
    start: Option<Timestamp>,
    /// The file to write: .csv, .ndjson or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    stream: StreamArgs,
    /// Prints a summary as JSON
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub fn run(self) -> Outcome {
        let destination = self.out.as_deref().map(Destination::new).transpose()?;
        self.stream.check()?;
        let (source, mut lineage) = self.source.open(if self.known.is_some() { FEW } else { BATCH })?;
        let layout = source.layout().clone();
        let recorded = self.known.as_deref().or(self.like.as_deref());
        let recorded = recorded.map(|path| known(path, &layout)).transpose()?;
        let count = recorded.as_ref().map(|recorded| recorded.windows().len() as u64);
        // How many windows a file has, and how many a path takes.
        let whole = self.windows.or(count).unwrap_or(60);
        let course = self.course(&layout, recorded.as_ref(), whole)?;
        lineage.labels = Asked { from: self.label.clone(), to: self.to.clone() };
        lineage.to_seed = self.to_seed;
        lineage.command = std::env::args().collect();
        let kept = recorded.as_ref().filter(|_| self.known.is_some());
        let start = self.start.or_else(|| kept.and_then(|known| known.start));
        lineage.start = if destination.is_some() { Some(start.unwrap_or(START)) } else { start };
        lineage.known = kept.zip(self.known.as_deref()).map(|(kept, path)| origin(path, kept)).transpose()?;
        let generator: Box<dyn Generator + Send> = match (source, kept, self.to_seed) {
            (Source::Learned(generator), Some(kept), _) => Box::new(filling(*generator, kept)?),
            (Source::Learned(generator), None, Some(seed)) => Box::new(Between::new(*generator, seed, whole)),
            (Source::Learned(generator), None, None) => generator,
            (Source::Fitted(generator), ..) => generator,
        };
        let series = Series::new(generator, course, lineage.seed, start.unwrap_or(START));
        let told = match destination {
            Some(destination) => destination.write(series, whole, &mut lineage)?,
            None => self.stream.publish(series, self.windows.or(count), &mut lineage)?,
        };
        if self.json { print(&told.to_string()) } else { Ok(()) }
    }

    /// What is asked for goes before what stands in a recording.
    fn course(&self, layout: &Layout, recorded: Option<&Known>, windows: u64) -> Result<Course, Failure> {
        let wrong = |option: &str, error| Failure::usage(format_args!("{option}: {error}"));
        if let (None, None, Some(conditions)) = (&self.label, &self.to, recorded.and_then(Known::conditions)) {
            return Ok(Course::Listed(conditions));
        }
        let request = match &self.label {
            Some(text) => Request::parse(text, layout).map_err(|error| wrong("--label", error))?,
            None => Request::healthy(layout),
        };
        let Some(to) = &self.to else { return Ok(Course::Constant(request)) };
        let end = request.clone().with(to, layout).map_err(|error| wrong("--to", error))?;
        if request.is_open() || end.is_open() {
            return Err(Failure::usage("a path leads from one condition to another; `any` has no place in it"));
        }
        let mut nothing_is_drawn = stream(0, 0);
        let [from, to] = [request, end].map(|request| request.draw(layout, &mut nothing_is_drawn));
        Ok(Course::Path { from, to, windows })
    }
}

fn filling(mut generator: LearnedGenerator, known: &Known) -> Result<Filling, Failure> {
    if !generator.has_encoder() {
        return Err(Failure::usage(format_args!(
            "--known: the model {} has no encoder, so it cannot go on from what is known; expected e.g. --model \
             hydraulic-latent",
            generator.model().manifest().name
        )));
    }
    Ok(Filling::new(generator, known.windows()))
}

fn origin(path: &Path, known: &Known) -> Result<KnownFile, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
    Ok(KnownFile { file: path.display().to_string(), sha256: sha256_hex(&bytes), values: known.cells() })
}

/// Windows a call where each needs the one before: one with its condition, one without.
const FEW: usize = 2;
/// 2026-01-01T00:00:00Z: the same for every file, so that the same seed gives the same bytes.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);
