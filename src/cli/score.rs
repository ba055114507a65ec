use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use super::outcome::{Failure, Outcome, print};
use super::recordings::{Feed, ReadArgs, calibration_length};
use super::score_plot::ScorePlot;
use super::surroundings::Shelves;
use crate::acquisition::Name;
use crate::advisory::{MachineFacts, Recommendation};
use crate::detection::{Contribution, CycleReport, Drift, DriftedChannel, Part, PartReport};
use crate::gateway::StockedKind;
use crate::machine::{Announcement, CalibrationLength, Doubt, Fitted, Observation, OperatingPoint, Profile};
use crate::models::{Model, TurnedDown};
use crate::publication::{DoubtPayload, show_stamp};
use crate::recording::{Recording, Row};

/// Scores a recording of any machine with the daemon's own pipeline
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper score pump.csv --calibrate 400 --ignore label --out scores.csv")]
pub(super) struct Score {
    /// The recording: delimited text, plain or gzip, one row a sample
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The kind of machine; without it the universal profile scores any channels
    #[arg(long)]
    kind: Option<String>,
    /// How much of the start is known to be sound: rows, or a duration in the time of the recording
    #[arg(long, value_name = "ROWS|DURATION", default_value = "400", allow_hyphen_values = true, value_parser = calibration_length)]
    calibrate: CalibrationLength,
    /// Where the limit lies: balanced, or quiet, which alarms later and far more rarely for nothing
    #[arg(long, default_value = "balanced", value_parser = operating_point)]
    profile: OperatingPoint,
    #[command(flatten)]
    read: ReadArgs,
    /// Where the scores go; without it and without --json to standard output
    #[arg(long, value_name = "OUT.csv")]
    out: Option<PathBuf>,
    /// A page with the scores as a picture
    #[arg(long, value_name = "OUT.html")]
    plot: Option<PathBuf>,
    /// Prints a summary as JSON
    #[arg(long)]
    json: bool,
    /// A folder of kinds to look in before those that the binary brings along
    #[arg(long, value_name = "DIR")]
    kinds: Option<PathBuf>,
    /// A folder of model packages to look in before those that the binary brings along
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Admits model packages that are not signed
    #[arg(long)]
    allow_unsigned: bool,
}

impl Score {
    pub fn run(self) -> Outcome {
        let profile = self.profile()?;
        let mut recording = self.read.open(&self.input, &profile.channels)?;
        let mut feed = Feed::new("recording", profile, &recording)?;
        let mut rows = self.rows_writer(&recording)?;
        let mut summary = Summary::default();
        let mut plot = self.plot.as_ref().map(|_| ScorePlot::default());
        let mut shares = vec![0.0; feed.names().len()];
        let mut progress = Progress::new();
        while let Some(row) = recording.next_row().map_err(Failure::failed)? {
            summary.rows += 1;
            let mut observation = feed.observe(row, summary.rows);
            if let Some(trouble) = observation.trouble.take() {
                return Err(Failure::failed(format_args!("row {}: {trouble}", summary.rows)));
            }
            if let Some(rows) = &mut rows {
                feed.machine().write_shares(&mut shares);
                write_row(rows, row, &observation, &shares).map_err(Failure::failed)?;
            }
            if let Some(plot) = &mut plot {
                plot.add(row, &observation);
            }
            progress.tell(summary.rows);
            summary.add(row, observation);
        }
        if let Some(mut rows) = rows {
            rows.flush().map_err(Failure::failed)?;
        }
        summary.finish(&feed, &recording);
        if let (Some(plot), Some(path)) = (plot, &self.plot) {
            let page = plot.page(&self.input.display().to_string()).map_err(Failure::failed)?;
            std::fs::write(path, page).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
        }
        summary.warn();
        self.report(&summary)
    }

    fn profile(&self) -> Result<Profile, Failure> {
        let shelves = Shelves::shipped(self.kinds.clone(), self.models.clone(), self.allow_unsigned);
        let library = shelves.library()?;
        let facts = MachineFacts::new(Name::from_recording("recording"));
        let universal =
            Profile { operating_point: self.profile, ..Profile::universal(library.clone(), facts, self.calibrate) };
        let Some(name) = &self.kind else { return Ok(universal) };
        let name = Name::parse(name).map_err(|error| Failure::usage(format_args!("--kind {name:?}: {error}")))?;
        let StockedKind { kind, channels, model, symptoms } = shelves.kind(&name, &library)?;
        let (running, cycle) = (kind.running(), kind.cycle().unwrap_or_default());
        Ok(Profile { channels, model, symptoms, cadence: Some(kind.cadence), running, cycle, ..universal })
    }

    fn rows_writer(&self, recording: &Recording) -> Result<Option<csv::Writer<Box<dyn Write>>>, Failure> {
        let target: Box<dyn Write> = match &self.out {
            Some(path) => {
                let file = File::create(path);
                Box::new(file.map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?)
            }
            None if self.json || self.plot.is_some() => return Ok(None),
            None => Box::new(io::stdout().lock()),
        };
        let mut writer = csv::Writer::from_writer(Box::new(BufWriter::new(target)) as Box<dyn Write>);
        let columns = recording.columns();
        let first = columns.time.clone().unwrap_or_else(|| "row".to_owned());
        let fixed = [first, "score".to_owned(), "alarm".to_owned()];
        let contributions = columns.channels.iter().map(|channel| format!("contribution:{channel}"));
        writer.write_record(fixed.into_iter().chain(contributions)).map_err(Failure::failed)?;
        Ok(Some(writer))
    }

    fn report(&self, summary: &Summary) -> Outcome {
        if self.json {
            let text = serde_json::to_string_pretty(summary).map_err(Failure::failed)?;
            print(&text)?;
        } else if self.out.is_some() || self.plot.is_some() {
            summary.print();
        }
        if summary.scored == 0 {
            return Err(Failure::failed(format_args!(
                "none of the {} rows was scored: the calibration takes them all; give a smaller --calibrate",
                summary.rows
            )));
        }
        Ok(())
    }
}

/// What a recording was found to be.
#[derive(Default, Serialize)]
struct Summary {
    rows: u64,
    /// Rows that the machine was calibrated on.
    calibrated_on: usize,
    scored: u64,
    /// Rows at which the alarm's condition holds.
    alarm_rows: u64,
    /// Cells that should have been numbers and count as missing.
    unreadable_cells: u64,
    /// Columns that are no channels because they hold text.
    left_out: Vec<String>,
    episodes: Vec<Episode>,
    model: Option<crate::machine::ModelIdentity>,
    parts: Vec<PartOn>,
    parts_off: Vec<PartReport>,
    channels: Vec<ChannelPart>,
    /// The share of sound rows above the limit that the limit was set for, before on-delay and drift.
    nominal_false_alarm_rate: f64,
    /// The share of the scored rows that lay above it, faults included.
    realised_rate: Option<f64>,
    /// Times the limit that the calibration gave: where it has come to by learning.
    limit_factor: Option<f64>,
    /// At the last row; not so while an alarm stands and for a while after.
    limit_learning: Option<bool>,
    /// Rows of the calibration that look unlike all others.
    doubt: Option<DoubtPayload>,
    /// Whether the machine is what it was calibrated on, from each row on at which that changed.
    drift: Vec<DriftFrom>,
    /// The load cycle that the calibration's rows told of.
    cycle: Option<CycleReport>,
    #[serde(skip)]
    open: bool,
}

#[derive(Serialize)]
struct Episode {
    /// From 1.
    from_row: u64,
    to_row: u64,
    from: String,
    to: String,
    peak: f64,
    contributions: Vec<Contribution>,
    recommendation: Option<Recommendation>,
}

#[derive(Serialize)]
struct DriftFrom {
    /// From 1.
    row: u64,
    from: String,
    drift: Drift,
    channels: Vec<DriftedChannel>,
}

#[derive(Serialize)]
struct PartOn {
    name: &'static str,
    why: String,
    /// How the network runs, of the part that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'static str>,
    /// The faster engines that it does not run on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    turned_down: Vec<TurnedDown>,
}

impl PartOn {
    fn new(part: PartReport, model: Option<&Model>) -> Self {
        let PartReport { name, why, .. } = part;
        let model = model.filter(|_| name == NETWORK_PART);
        Self {
            name,
            why,
            engine: model.map(|model| model.engine().name()),
            turned_down: model.map(|model| model.turned_down().to_vec()).unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
struct ChannelPart {
    name: String,
    part: Part,
}

impl Summary {
    fn add(&mut self, row: &Row, observation: Observation) {
        self.scored += u64::from(observation.score.is_some());
        self.alarm_rows += u64::from(observation.holds);
        if let Some(fitted) = &observation.fitted {
            self.calibrated(fitted);
        }
        if let Some(drift) = &observation.drift {
            let (drift, channels) = (drift.drift, drift.channels.clone());
            self.drift.push(DriftFrom { row: self.rows, from: label(row), drift, channels });
        }
        if observation.holds && !self.open {
            self.episodes.push(self.episode(row, observation.announcements.last()));
        }
        self.open = observation.holds;
        if let (true, Some(episode)) = (self.open, self.episodes.last_mut()) {
            episode.to_row = self.rows;
            episode.to.clone_from(&label(row));
            episode.peak = episode.peak.max(observation.score.unwrap_or(0.0));
        }
    }

    fn episode(&self, row: &Row, announcement: Option<&Announcement>) -> Episode {
        Episode {
            from_row: self.rows,
            to_row: self.rows,
            from: label(row),
            to: label(row),
            peak: 0.0,
            contributions: announcement.map(|it| it.told.contributions.clone()).unwrap_or_default(),
            recommendation: announcement.and_then(|it| it.told.recommendation.clone()),
        }
    }

    fn calibrated(&mut self, fitted: &Fitted) {
        self.calibrated_on = fitted.calibration.rows();
        self.cycle = fitted.calibration.cycle();
        let parts = fitted.calibration.parts();
        self.channels = parts.map(|(name, part)| ChannelPart { name: name.to_string(), part }).collect();
    }

    fn finish(&mut self, feed: &Feed, recording: &Recording) {
        self.unreadable_cells = recording.unreadable();
        self.left_out = recording.columns().left_out.clone();
        self.model = Some(feed.machine().profile().identity());
        if let Some(limit) = feed.machine().limit() {
            self.nominal_false_alarm_rate = limit.nominal_rate;
            self.realised_rate = limit.realised_rate;
            self.limit_factor = Some(limit.factor);
            self.limit_learning = Some(limit.learning);
        }
        self.doubt = doubt(feed, recording);
        let model = feed.machine().profile().model.as_deref();
        let (on, off) = feed.machine().part_reports().into_iter().partition(|part| part.on);
        self.parts = Vec::into_iter(on).map(|part| PartOn::new(part, model)).collect();
        self.parts_off = off;
    }

    /// What is to be known before anybody believes the scores.
    fn warn(&self) {
        if let Some(doubt) = &self.doubt {
            eprintln!("warning: {}", doubt.text());
        }
    }

    fn print(&self) {
        eprintln!(
            "{} rows: {} to calibrate, {} scored, {} in alarm",
            self.rows, self.calibrated_on, self.scored, self.alarm_rows
        );
        if !self.left_out.is_empty() {
            eprintln!("  left out because they hold text: {}", self.left_out.join(", "));
        }
        if self.unreadable_cells > 0 {
            eprintln!("  {} cells are no numbers and count as missing", self.unreadable_cells);
        }
        for DriftFrom { from, drift, channels, .. } in &self.drift {
            let what = match drift {
                Drift::None => "looks again as it was calibrated",
                Drift::Drifted => "has drifted away from its calibration",
                Drift::UnknownRegime => "is in a state that the calibration does not know",
            };
            let channels: Vec<String> =
                channels.iter().map(|it| format!(", {} {:+.1} standard deviations", it.channel, it.level)).collect();
            eprintln!("  {from}: {what}{}", channels.concat());
        }
        for episode in &self.episodes {
            let channels: Vec<String> = episode
                .contributions
                .iter()
                .take(3)
                .map(|part| format!("{} {:.0} %", part.channel, 100.0 * part.share))
                .collect();
            eprintln!("  {} to {}: peak {:.2}, {}", episode.from, episode.to, episode.peak, channels.join(", "));
        }
    }
}

fn write_row(
    writer: &mut csv::Writer<Box<dyn Write>>,
    row: &Row,
    observation: &Observation,
    shares: &[f64],
) -> csv::Result<()> {
    writer.write_field(&row.label)?;
    match observation.score {
        Some(score) => writer.write_field(score.to_string())?,
        None => writer.write_field("")?,
    }
    writer.write_field(if observation.holds { "1" } else { "0" })?;
    for share in shares {
        match observation.score {
            Some(_) => writer.write_field(share.to_string())?,
            None => writer.write_field("")?,
        }
    }
    writer.write_record(None::<&[u8]>)
}

fn label(row: &Row) -> String {
    row.time.map_or_else(|| row.label.clone(), show_stamp)
}

/// What is to be said of the calibration's rows, with times where the recording has some.
fn doubt(feed: &Feed, recording: &Recording) -> Option<DoubtPayload> {
    let doubt = feed.machine().baseline(Timestamp::UNIX_EPOCH)?.baseline.doubt?;
    let times = doubt.times.filter(|_| recording.columns().time.is_some());
    Some(DoubtPayload::new(&Doubt { times, ..doubt }))
}

fn operating_point(text: &str) -> Result<OperatingPoint, String> {
    OperatingPoint::deserialize(text.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
}

/// Long work shows how far it is, on a terminal only.
struct Progress {
    told: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        Self { told: io::stderr().is_terminal().then(Instant::now) }
    }

    fn tell(&mut self, rows: u64) {
        if let Some(told) = &mut self.told
            && told.elapsed().as_millis() > 500
        {
            eprint!("\r{rows} rows");
            *told = Instant::now();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// The part of the score that a network has.
const NETWORK_PART: &str = "residual_mewma";
