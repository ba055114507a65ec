use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::outcome::{Failure, Outcome, print};
use super::recordings::ReadArgs;
use crate::config::{Kind as MachineKind, shipped_kind, shipped_kinds};
use crate::generation::constraints::{Bound, Constraints};
use crate::generation::injection::{
    Applied, Canvas, Event, EventKeys, EventLabel, Fault, FaultKeys, Kind, Plan, RandomKeys, Repair, Setting, Truth,
    arrivals, faults, inject, lot, resolve,
};
use crate::recording::{Amended, Column, Sheet, shifted_stamp};

/// Puts labelled anomalies into a recording of any machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wheeltapper inject pump.csv --out faulty.csv --events events.csv \
                        --event kind=stuck,channel=pressure,from=600,to=700 --event kind=mean,channel=flow,from=900,length=60,size=5\n\
                        Kinds: amplitude, extremum, frequency, mean, pattern, pattern-shift, platform, trend, variance, mode-correlation, \
                        stuck, drift, dropout, spike-burst, clock-skew, cross-channel-break")]
pub(super) struct Inject {
    /// The recording: delimited text, plain or gzip, one row a sample
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where the recording with the anomalies goes; packed where the name ends with .gz
    #[arg(long)]
    out: PathBuf,
    /// Where the ground truth goes: one row an event
    #[arg(long, value_name = "EVENTS.csv")]
    events: PathBuf,
    /// A TOML file of [[event]], [random] and [[transport]] with the keys of --event, --random and --transport
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// An anomaly: kind=K,channel=C,from=ROW|TIME|DURATION,to=…|length=…[,size=X][,unit=own]
    #[arg(long, value_name = "K=V,…")]
    event: Vec<String>,
    /// So many anomalies at random
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Of --random: these kinds; else all that the recording allows
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = kind, requires = "random")]
    kinds: Vec<Kind>,
    /// Of --random: in these channels; else in all that change
    #[arg(long, value_name = "COL,…", value_delimiter = ',', requires = "random")]
    channels: Vec<String>,
    /// Of --random: rows at the start that are left alone, such as those of a calibration
    #[arg(long, value_name = "ROWS", default_value_t = 0, requires = "random")]
    skip: usize,
    /// Of --random: rows between two events, at least; else as many as the longest event has
    #[arg(long, value_name = "ROWS", requires = "random")]
    distance: Option<usize>,
    /// Of --random: events may overlap
    #[arg(long, requires = "random", conflicts_with = "distance")]
    overlap: bool,
    /// Of --random: the fewest and the most rows of an event
    #[arg(long, value_name = "MIN..MAX", value_parser = lengths, requires = "random")]
    lengths: Option<[usize; 2]>,
    /// Of --random: the size of every event; else each kind's usual one
    #[arg(long, value_name = "X", requires = "random", allow_hyphen_values = true)]
    size: Option<f64>,
    /// The same seed gives the same bytes; 0, or the plan's, if left out
    #[arg(long)]
    seed: Option<u64>,
    /// A fault on the way: fault=loss|duplicate|reorder|gap,probability=P[,burst=ROWS][,from=…][,to=…]; without
    /// probability it is certain from `from` to `to`
    #[arg(long, value_name = "K=V,…")]
    transport: Vec<String>,
    /// What values can never be: a TOML file of [[range]], [[rate]], [[monotone]] and [[forbidden]]
    #[arg(long, value_name = "FILE")]
    constraints: Option<PathBuf>,
    /// The limits of this kind of machine count as constraints: its name, or its file
    #[arg(long, value_name = "KIND|FILE.toml")]
    kind: Option<String>,
    /// What becomes of injected values that break a constraint: clamp moves them, reject leaves the event out
    #[arg(long, default_value = "none", value_parser = repair)]
    repair: Repair,
    /// A further column of this name: 1 where a row belongs to an event, else 0
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// A further column of this name with the ids of a row's events, e.g. 3;7
    #[arg(long, value_name = "NAME")]
    event_column: Option<String>,
    #[command(flatten)]
    read: ReadArgs,
    /// Prints a summary as JSON
    #[arg(long)]
    json: bool,
}

impl Inject {
    pub fn run(self) -> Outcome {
        self.refuse_to_overwrite()?;
        let plan = self.plan()?;
        let sheet = self.read.open_sheet(&self.input)?;
        self.refuse_columns(&sheet)?;
        let seed = self.seed.or(plan.seed).unwrap_or(0);
        let mut canvas = Canvas::new(sheet.values(), sheet.decimals(), seed);
        let times = sheet.times();
        let constraints = self.constraints(&sheet.columns().channels)?;
        let (events, faults) = Self::resolved(&plan, &canvas, &sheet.columns().channels, &times)?;
        let applied = inject(&mut canvas, &events, &constraints, self.repair);
        let arrivals = arrivals(sheet.rows(), &faults, seed).map_err(Failure::usage)?;
        let texts: Vec<&str> = times.iter().map(|(text, _)| text.as_str()).collect();
        let truth = Truth::new(&events, &applied, &arrivals, &sheet.columns().channels, &texts);
        let written = self.written(&sheet, &canvas, &arrivals.order, &truth)?;
        write(&self.out, &written)?;
        self.write_events(&truth.labels)?;
        self.tell(&Summary::new(&sheet, seed, &events, &applied, &truth))
    }

    fn refuse_to_overwrite(&self) -> Result<(), Failure> {
        let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let [input, out, events] = [&self.input, &self.out, &self.events].map(|path| place(path));
        for (key, path, other, what) in
            [("--out", &out, &input, "IN"), ("--events", &events, &input, "IN"), ("--events", &events, &out, "--out")]
        {
            if path == other {
                return Err(Failure::usage(format_args!(
                    "{key} {} is the same file as {what}; expected one of its own, e.g. {key} {}",
                    path.display(),
                    if key == "--out" { "faulty.csv" } else { "events.csv" }
                )));
            }
        }
        Ok(())
    }

    /// What is asked for by file and on the command line together.
    fn plan(&self) -> Result<Plan, Failure> {
        let mut plan = match &self.plan {
            Some(path) => Plan::parse(&read(path)?, &path.display().to_string())?,
            None => Plan::default(),
        };
        for (number, text) in (1..).zip(&self.event) {
            let origin = format!("--event {number}");
            plan.events.push(EventKeys::parse(text, &origin).map_err(Failure::usage)?);
        }
        for (number, text) in (1..).zip(&self.transport) {
            let origin = format!("--transport {number}");
            plan.faults.push(FaultKeys::parse(text, &origin).map_err(Failure::usage)?);
        }
        if let Some(count) = self.random {
            plan.random = Some(RandomKeys {
                count,
                kinds: self.kinds.clone(),
                channels: self.channels.clone(),
                skip: self.skip,
                distance: self.distance,
                overlap: self.overlap,
                lengths: self.lengths,
                size: self.size,
            });
        }
        if plan.events.is_empty() && plan.random.is_none() && plan.faults.is_empty() {
            return Err(Failure::usage(
                "there is nothing to inject; expected --event, --random, --transport or --plan, e.g. --random 10 --skip 400",
            ));
        }
        Ok(plan)
    }

    fn refuse_columns(&self, sheet: &Sheet) -> Result<(), Failure> {
        let further = [("--label-column", &self.label_column), ("--event-column", &self.event_column)];
        for (key, name) in further.iter().filter_map(|(key, name)| Some((key, name.as_ref()?))) {
            if sheet.has_column(name) {
                return Err(Failure::usage(format_args!(
                    "{key} {name:?}: the recording has a column of that name; expected another, e.g. {key} injected"
                )));
            }
            if let Some(row) = sheet.too_wide() {
                return Err(Failure::failed(format_args!(
                    "row {} has more cells than there are columns, so that {key} finds no place behind it; leave {key} out",
                    row + 1
                )));
            }
        }
        if self.label_column.is_some() && self.label_column == self.event_column {
            return Err(Failure::usage("--label-column and --event-column bear one name; expected two"));
        }
        Ok(())
    }

    fn constraints(&self, channels: &[String]) -> Result<Bound, Failure> {
        let own = match &self.constraints {
            Some(path) => Constraints::parse(&read(path)?, &path.display().to_string())?,
            None => Constraints::default(),
        };
        let kind = match &self.kind {
            Some(name) => {
                let limits = machine_kind(name)?.channels();
                let limits = limits.into_iter().map(|channel| (channel.name.to_string(), channel.limits));
                Constraints::from_limits(limits).of_channels(channels)
            }
            None => Constraints::default(),
        };
        let all = own.and(kind).bind(channels).map_err(Failure::usage)?;
        if self.repair != Repair::None && all.is_empty() {
            return Err(Failure::usage(
                "--repair has nothing to go by; expected --constraints FILE or --kind with it, e.g. --kind hydraulic-rig",
            ));
        }
        Ok(all)
    }

    fn resolved(
        plan: &Plan,
        canvas: &Canvas,
        channels: &[String],
        times: &[(String, Option<Timestamp>)],
    ) -> Result<(Vec<Event>, Vec<Fault>), Failure> {
        let stamps: Vec<Option<Timestamp>> = times.iter().map(|(_, time)| *time).collect();
        let rows = canvas.shifts().len();
        let setting = Setting { channels, spreads: canvas.spreads(), rows, times: &stamps };
        let numbered = (1..).zip(&plan.events);
        let events = numbered.map(|(id, keys)| resolve(keys, id, &format!("event {id}"), &setting));
        let mut events = events.collect::<Result<Vec<Event>, _>>().map_err(Failure::usage)?;
        if let Some(keys) = &plan.random {
            let lot = lot(keys, &setting).map_err(Failure::usage)?;
            let drawn = lot.draw(canvas, &events, canvas.seed()).map_err(|placed| {
                Failure::usage(format_args!(
                    "random: only {placed} of {} events find room in {rows} rows; give fewer, shorter --lengths, a smaller \
                     --distance, or --overlap",
                    keys.count
                ))
            })?;
            events.extend(drawn);
        }
        let numbered = (1..).zip(&plan.faults);
        let faults = numbered.map(|(number, keys)| faults(keys, &format!("transport {number}"), &setting));
        Ok((events, faults.collect::<Result<_, _>>().map_err(Failure::usage)?))
    }

    fn written(&self, sheet: &Sheet, canvas: &Canvas, order: &[usize], truth: &Truth) -> Result<Vec<u8>, Failure> {
        let names: Vec<&str> =
            [&self.label_column, &self.event_column].into_iter().flatten().map(String::as_str).collect();
        let decimals = sheet.decimals();
        let times = sheet.times();
        let mut out = Vec::new();
        sheet.write_header(&names, &mut out);
        for (&row, ids) in order.iter().zip(&truth.of_rows) {
            let altered = (0..canvas.values().len()).filter(|&channel| canvas.altered(row, channel));
            let mut amended: Vec<Amended> = altered
                .map(|channel| Amended {
                    column: Column::Channel(channel),
                    text: number(canvas.values()[channel][row], decimals[channel]),
                })
                .collect();
            let shift = SignedDuration::try_from_secs_f64(canvas.shifts()[row]).unwrap_or_default();
            if let (false, Some((text, Some(_)))) = (shift.is_zero(), times.get(row)) {
                let text = shifted_stamp(text, shift, sheet.columns()).ok_or_else(|| {
                    Failure::failed(format_args!(
                        "row {}: the time {text:?} cannot be written with a clock that is off; leave clock-skew out, or write \
                         times as 2026-03-01T06:00:00Z",
                        row + 1
                    ))
                })?;
                amended.push(Amended { column: Column::Time, text });
            }
            let label = self.label_column.as_ref().map(|_| u8::from(!ids.is_empty()).to_string());
            let ids = self.event_column.as_ref().map(|_| sheet.cell(&joined(ids)));
            let more: Vec<String> = label.into_iter().chain(ids).collect();
            sheet.write_row(row, &amended, &more, &mut out);
        }
        sheet.write_tail(&mut out);
        Ok(out)
    }

    fn write_events(&self, labels: &[EventLabel]) -> Outcome {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.write_record(EVENT_COLUMNS).map_err(Failure::failed)?;
        labels.iter().try_for_each(|label| writer.serialize(label)).map_err(Failure::failed)?;
        let text = writer.into_inner().map_err(Failure::failed)?;
        write(&self.events, &text)
    }

    fn tell(&self, summary: &Summary<'_>) -> Outcome {
        for label in summary.events.iter().filter(|label| label.changed == 0) {
            eprintln!("warning: event {} ({}) changes nothing; give it a size or other rows", label.id, label.kind);
        }
        print(&match self.json {
            true => serde_json::to_string_pretty(summary).map_err(Failure::failed)?,
            false => summary.text(),
        })
    }
}

/// What was done.
#[derive(Serialize)]
struct Summary<'s> {
    rows: usize,
    rows_written: usize,
    seed: u64,
    /// Cells that should have been numbers; they are passed on as they are.
    unreadable_cells: usize,
    /// Columns that are no channels because they hold text; they are passed on as they are.
    left_out: &'s [String],
    events: &'s [EventLabel],
    /// Ids of events that were left out because they break a constraint.
    rejected: Vec<u32>,
    constraints: Vec<ConstraintCounts<'s>>,
    /// Values that --repair clamp moved.
    clamped: usize,
}

/// Rows that break a constraint.
#[derive(Serialize)]
struct ConstraintCounts<'s> {
    constraint: &'s str,
    recorded: usize,
    injected: usize,
    repaired: usize,
}

impl<'s> Summary<'s> {
    fn new(sheet: &'s Sheet, seed: u64, events: &[Event], applied: &'s Applied, truth: &'s Truth) -> Self {
        let Applied { before, after, repaired, rejected, clamped, .. } = applied;
        let counts = before.iter().zip(after).zip(repaired).map(|((before, after), repaired)| ConstraintCounts {
            constraint: &before.rule,
            recorded: before.rows,
            injected: after.rows,
            repaired: repaired.rows,
        });
        Self {
            rows: sheet.rows(),
            rows_written: truth.of_rows.len(),
            seed,
            unreadable_cells: sheet.unreadable(),
            left_out: &sheet.columns().left_out,
            events: &truth.labels,
            rejected: events.iter().zip(rejected).filter(|(_, out)| **out).map(|(event, _)| event.id).collect(),
            constraints: counts.collect(),
            clamped: *clamped,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} rows read, {} written, {} events, seed {}",
            self.rows,
            self.rows_written,
            self.events.len(),
            self.seed
        )];
        for label in self.events.iter().take(MOST_TOLD) {
            let EventLabel { id, kind, channel, input_first_row, input_last_row, changed, .. } = label;
            let size = label.size.map(|size| format!(", size {size} {}", label.unit)).unwrap_or_default();
            lines.push(format!(
                "  {id} {kind} {channel} rows {input_first_row} to {input_last_row}{size}: {changed} changed"
            ));
        }
        if self.events.len() > MOST_TOLD {
            lines.push(format!("  and {} more", self.events.len() - MOST_TOLD));
        }
        if !self.rejected.is_empty() {
            lines.push(format!("left out because they break a constraint: events {}", joined(&self.rejected)));
        }
        let broken = |counts: &&ConstraintCounts<'_>| counts.recorded + counts.injected + counts.repaired > 0;
        for ConstraintCounts { constraint, recorded, injected, repaired } in self.constraints.iter().filter(broken) {
            lines.push(format!(
                "{constraint}: broken by {recorded} rows as recorded, {injected} with the events, {repaired} after repair"
            ));
        }
        if !self.constraints.is_empty() {
            let kept = self.constraints.len() - self.constraints.iter().filter(broken).count();
            lines.push(format!("{kept} of {} constraints were never broken", self.constraints.len()));
        }
        if self.clamped > 0 {
            lines.push(format!("{} values were moved to keep the constraints", self.clamped));
        }
        if !self.left_out.is_empty() {
            lines.push(format!("passed on because they hold text: {}", self.left_out.join(", ")));
        }
        if self.unreadable_cells > 0 {
            lines.push(format!("{} cells are no numbers and were passed on", self.unreadable_cells));
        }
        lines.join("\n")
    }
}

fn machine_kind(name: &str) -> Result<MachineKind, Failure> {
    if name.ends_with(".toml") {
        return Ok(MachineKind::parse(&read(Path::new(name))?, name)?);
    }
    let text = shipped_kind(name).ok_or_else(|| {
        let known: Vec<&str> = shipped_kinds().collect();
        Failure::usage(format_args!("--kind {name:?}: expected one of {known:?}, or a file, e.g. --kind fan.toml"))
    })?;
    Ok(MachineKind::parse(text, name)?)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let written = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        if path.extension().is_some_and(|extension| extension == "gz") {
            let mut packed = GzEncoder::new(&mut file, Compression::default());
            packed.write_all(bytes)?;
            packed.finish()?;
        } else {
            file.write_all(bytes)?;
        }
        file.flush()
    });
    written.map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))
}

/// As few digits as tell the value, and as many as the column's others have.
fn number(value: f64, decimals: Option<usize>) -> String {
    if value.is_nan() {
        return String::new();
    }
    let text = decimals.map(|digits| format!("{value:.digits$}"));
    text.filter(|text| text.parse() == Ok(value)).unwrap_or_else(|| format!("{value:?}"))
}

fn joined(ids: &[u32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::of_name(text).ok_or_else(|| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

fn lengths(text: &str) -> Result<[usize; 2], String> {
    let pair = text.split_once("..").and_then(|(fewest, most)| Some([fewest.parse().ok()?, most.parse().ok()?]));
    pair.ok_or_else(|| format!("{text:?} is no range of rows; expected e.g. 30..120"))
}

fn repair(text: &str) -> Result<Repair, String> {
    match text {
        "none" => Ok(Repair::None),
        "clamp" => Ok(Repair::Clamp),
        "reject" => Ok(Repair::Reject),
        _ => Err("expected none, clamp or reject".to_owned()),
    }
}

/// Of the ground truth, in order.
const EVENT_COLUMNS: [&str; 13] = [
    "id",
    "kind",
    "channel",
    "first_row",
    "last_row",
    "start",
    "end",
    "size",
    "unit",
    "parameters",
    "changed",
    "input_first_row",
    "input_last_row",
];
const MOST_TOLD: usize = 20;
