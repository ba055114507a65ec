use std::path::PathBuf;

use jiff::Timestamp;

use super::generate_file::Destination;
use super::generate_source::SourceArgs;
use super::generate_stream::StreamArgs;
use super::outcome::{Failure, Outcome, print};
use crate::generation::noise::stream;
use crate::generation::{Asked, Course, Layout, Request, Series};

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
    /// The time of the first row [default: 2026-01-01T00:00:00Z into a file; to a broker now at real time, and no times at
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
        let (generator, mut lineage) = self.source.open()?;
        let course = self.course(generator.layout())?;
        lineage.labels = Asked { from: self.label.clone(), to: self.to.clone() };
        lineage.command = std::env::args().collect();
        let start = self.start.unwrap_or(START);
        lineage.start = if destination.is_some() { Some(start) } else { self.start };
        let series = Series::new(generator, course, lineage.seed, start);
        let told = match destination {
            Some(destination) => destination.write(series, self.whole(), &mut lineage)?,
            None => self.stream.publish(series, self.windows, &mut lineage)?,
        };
        if self.json { print(&told.to_string()) } else { Ok(()) }
    }

    /// How many windows a file has, and how many a path takes.
    fn whole(&self) -> u64 {
        self.windows.unwrap_or(60)
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
        let mut nothing_is_drawn = stream(0, 0);
        let [from, to] = [request, end].map(|request| request.draw(layout, &mut nothing_is_drawn));
        Ok(Course::Path { from, to, windows: self.whole() })
    }
}

/// 2026-01-01T00:00:00Z: the same for every file, so that the same seed gives the same bytes.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);
