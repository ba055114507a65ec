//! What a score stands on: whether a calibration with a fault in it is doubted and a sound one is not, and whether sound
//! machines are said to have drifted.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use wheeltapper::acquisition::Name;
use wheeltapper::clock::Now;
use wheeltapper::detection::{Calibration, ChannelProfile, LoadCycle, OutlyingStretch, Rhythm};
use wheeltapper::machine::Machine;
use wheeltapper::manipulation::Sample;

use super::Floors;
use super::rates::{PUMP, TRANSFORMER, machines};
use super::series::{Series, read, universal};
use super::sets::{Rig, skab};

pub fn report(data: &Path, seeds: std::ops::Range<u64>, floors: &mut Floors) {
    doubts(data, seeds, floors);
    drifts(data, floors);
}

/// Stretches of a recording that a user might have calibrated on.
struct Calibrations {
    name: String,
    channels: Vec<Name>,
    stretches: Vec<Vec<Vec<f64>>>,
}

impl Calibrations {
    /// A recording cut into stretches of so many rows.
    fn cut(series: &Series, rows: usize) -> Self {
        Self {
            name: format!("{}, {rows} rows", series.name),
            channels: series.channels.clone(),
            stretches: series.rows.chunks_exact(rows).map(<[_]>::to_vec).collect(),
        }
    }

    /// The beginning of each of some recordings.
    fn first(name: &str, series: &[Series], rows: usize) -> Self {
        let long_enough = series.iter().filter(|series| series.rows.len() >= rows);
        Self {
            name: format!("{name}, {rows} rows"),
            channels: series[0].channels.clone(),
            stretches: long_enough.map(|series| series.rows[..rows].to_vec()).collect(),
        }
    }

    fn doubt(&self, rows: &[Vec<f64>]) -> Option<OutlyingStretch> {
        let channels: Vec<ChannelProfile> = self.channels.iter().cloned().map(ChannelProfile::of).collect();
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Unknown };
        Calibration::fit(rows, &channels, rhythm, None).ok()?.outlying().cloned()
    }

    /// Of how many of these something is doubted, and of how many something is left out, as they are.
    fn doubted(&self) -> [usize; 2] {
        let doubts: Vec<OutlyingStretch> = self.stretches.iter().filter_map(|rows| self.doubt(rows)).collect();
        let left_out = doubts.iter().filter(|doubt| doubt.left_out).count();
        [doubts.len() - left_out, left_out]
    }

    /// How many are doubted at the right place with a fault in one channel, and for how many it is named first.
    fn found(&self, random: &mut ChaCha8Rng) -> [usize; 3] {
        let mut counts = [0; 3];
        for _ in 0..INJECTIONS.div_ceil(self.stretches.len()) {
            for rows in &self.stretches {
                let mut rows = rows.clone();
                let Some((channel, from, until)) = inject(&mut rows, random) else { continue };
                let doubt = self.doubt(&rows).filter(|doubt| doubt.rows.start < until && doubt.rows.end > from);
                let named = doubt.as_ref().and_then(|doubt| doubt.channels.first());
                counts[0] += 1;
                counts[1] += usize::from(doubt.is_some());
                counts[2] += usize::from(named.is_some_and(|named| named.name == self.channels[channel]));
            }
        }
        counts
    }
}

/// Shifts one channel by 5 to 8 of its standard deviations for 10 to 25 % of the rows; none where it does not change.
fn inject(rows: &mut [Vec<f64>], random: &mut ChaCha8Rng) -> Option<(usize, usize, usize)> {
    let channel = random.random_range(0..rows[0].len());
    let values = || rows.iter().map(|row| row[channel]).filter(|value| !value.is_nan());
    let mean = values().sum::<f64>() / values().count() as f64;
    let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / values().count() as f64).sqrt();
    let length = (rows.len() as f64 * random.random_range(0.10..0.25)) as usize;
    let from = random.random_range(0..rows.len() - length);
    let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
    let shift = sign * random.random_range(5.0..8.0) * deviation;
    rows[from..from + length].iter_mut().for_each(|row| row[channel] += shift);
    (deviation > 1e-9 * mean.abs()).then_some((channel, from, from + length))
}

fn doubts(data: &Path, seeds: std::ops::Range<u64>, floors: &mut Floors) {
    println!(
        "\ncalibrations, and how many of them are doubted: as they are, and with a fault of 5 to 8 sigma in 10 to 25 % of the rows"
    );
    println!("  {:<34} {:>12} {:>12} {:>14} {:>14}", "", "as they are", "trimmed", "with a fault", "channel first");
    let (mut doubted, mut all, mut faults) = (0, 0, [0; 3]);
    for calibrations in calibrations(data) {
        let [as_they_are, trimmed] = calibrations.doubted();
        let mut found = [0; 3];
        for seed in seeds.clone() {
            let of_seed = calibrations.found(&mut ChaCha8Rng::seed_from_u64(seed));
            found.iter_mut().zip(of_seed).for_each(|(sum, count)| *sum += count);
        }
        println!(
            "  {:<34} {:>12} {:>12} {:>14} {:>14}",
            calibrations.name,
            format!("{as_they_are}/{}", calibrations.stretches.len()),
            format!("{trimmed}/{}", calibrations.stretches.len()),
            format!("{}/{}", found[1], found[0]),
            format!("{}/{}", found[2], found[0])
        );
        doubted += as_they_are;
        all += calibrations.stretches.len();
        faults.iter_mut().zip(found).for_each(|(sum, count)| *sum += count);
    }
    floors.at_most("sound calibrations doubted: share", doubted as f64 / all as f64, [0.05, 0.06]);
    floors.at_least("faulty calibrations doubted: share", faults[1] as f64 / faults[0] as f64, [0.95, 0.93]);
    let poisoned = skab(data).into_iter().find(|series| series.name.contains("other/2"));
    if let Some(series) = poisoned {
        let calibrations = Calibrations::first("", std::slice::from_ref(&series), 400);
        let begun = series.labels.iter().position(|label| *label).unwrap_or(0);
        let doubt = calibrations.doubt(&series.rows[..400]);
        println!("  the pump's file other/2 has a fault from row {begun} of its calibration on: {doubt:?}");
        floors.at_least("the poisoned file is doubted", f64::from(u8::from(doubt.is_some())), [1.0; 2]);
    }
}

fn calibrations(data: &Path) -> Vec<Calibrations> {
    let sound_pump: Vec<Series> = skab(data).into_iter().filter(|series| !series.name.contains("other/2")).collect();
    let tep = ["d00", "d00_te"].map(|file| read(&data.join(format!("tep/{file}.csv.gz")), None, &[]));
    let plant =
        Series { name: "chemical plant".to_owned(), rows: [&tep[0].rows[..], &tep[1].rows].concat(), ..tep[0].clone() };
    let mut all = vec![
        Calibrations::first("pump, labelled files", &sound_pump, 400),
        Calibrations::first("rig, each run that long", &Rig::open(data).each(), 400),
        Calibrations::cut(&plant, 480),
    ];
    for series in machines(data) {
        all.extend([400, 1000].map(|rows| Calibrations::cut(&series, rows)));
    }
    all
}

fn drifts(data: &Path, floors: &mut Floors) {
    println!("\nsound recordings, and what the drift monitor says of them; calibrated on 1,000 rows and on 400");
    println!("  {:<28} {:>6} {:>7} {:>9}  said", "", "rows", "window", "rate, %");
    let tep = ["d00", "d00_te"].map(|file| read(&data.join(format!("tep/{file}.csv.gz")), None, &[]));
    let plant =
        Series { name: "chemical plant".to_owned(), rows: [&tep[0].rows[..], &tep[1].rows].concat(), ..tep[0].clone() };
    for series in machines(data).into_iter().chain([plant]) {
        let short = series.rows.len() < 2000;
        for calibrate in if short { [480, 400] } else { [1000, 400] } {
            let watched = Watched::of(&series, calibrate);
            println!(
                "  {:<28} {:>6} {:>7} {:>9.2}  {}",
                series.name,
                series.rows.len() - calibrate,
                watched.window,
                100.0 * watched.rate.unwrap_or(f64::NAN),
                if watched.said.is_empty() { "nothing".to_owned() } else { watched.said.join("; ") }
            );
            let drifts = [PUMP, TRANSFORMER].contains(&series.name.as_str());
            if calibrate != 400 && !drifts {
                let said = watched.said.len() as f64;
                floors.at_most(&format!("said of a sound machine, {}", series.name), said, [0.0; 2]);
            }
            if series.name == PUMP {
                floors.at_least("said of the pump that warms up for hours", watched.said.len() as f64, [1.0; 2]);
            }
        }
    }
}

/// What was said of a machine over a recording.
struct Watched {
    window: u64,
    rate: Option<f64>,
    said: Vec<String>,
}

impl Watched {
    fn of(series: &Series, calibrate: usize) -> Self {
        let mut machine = Machine::learning(Name::parse("machine").expect("a name"), universal(calibrate));
        let mut said = Vec::new();
        let cadence = if series.name == TRANSFORMER {
            3600
        } else if series.name == "chemical plant" {
            180
        } else {
            1
        };
        let start = Timestamp::from_second(1_700_000_000).expect("a time in this century");
        for (row, values) in series.rows.iter().enumerate() {
            let time = start + SignedDuration::from_secs(cadence * row as i64);
            let now = Now { utc: time, steady: Duration::ZERO };
            let observation = machine.observe(&series.channels, Sample { time, values }, now);
            if let Some(drift) = observation.drift {
                let channels: Vec<String> =
                    drift.channels.iter().map(|it| format!("{} {:+.1}", it.channel, it.level)).collect();
                said.push(format!("{:?} after {} rows ({})", drift.drift, row + 1 - calibrate, channels.join(", ")));
            }
        }
        let report = machine.baseline(start).expect("it was calibrated").drift;
        Self { window: report.window_rows, rate: report.realised_rate, said }
    }
}

/// Of each kind of calibration, about.
const INJECTIONS: usize = 40;
