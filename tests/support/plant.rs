//! A plant of one machine that has learned what is normal, and the telemetry that this machine sends.

use std::f64::consts::TAU;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use wheeltapper::acquisition::{Format, Name, TopicPattern};
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::clock::Now;
use wheeltapper::config::{Kind, shipped_kind};
use wheeltapper::generation::Rig;
use wheeltapper::machine::{CalibrationLength, Machine, Profile};
use wheeltapper::manipulation::{Alignment, Channels};
use wheeltapper::models::{Model, shipped};
use wheeltapper::plant::{Bounds, Input, MachineMaker, Message, Observed, Plant};

/// The topic of the machine's JSON messages.
pub const TELEMETRY: &str = "plant/m1/telemetry";

/// What a sound machine shows, second after second, without end.
pub struct Telemetry {
    pub names: Vec<String>,
    rows: Vec<Vec<f64>>,
    second: usize,
}

/// What it shows at one second; NaN where a channel has no value.
#[derive(Clone)]
pub struct Shown {
    pub time: Timestamp,
    pub row: Vec<f64>,
}

/// Makes machines of one profile.
pub struct Maker(pub Profile);

impl Telemetry {
    /// A machine with a load cycle that all of its channels follow, and some noise.
    pub fn made_up(channels: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(channels as u64);
        let mut value = |second: usize, channel: usize| {
            20.0 * (channel + 1) as f64 + (second as f64 * TAU / 40.0).sin() + random.random_range(-0.5..0.5)
        };
        let rows = (0..PERIOD).map(|second| (0..channels).map(|channel| value(second, channel)).collect()).collect();
        Self::new((1..=channels).map(|channel| format!("ch{channel:02}")).collect(), rows)
    }

    /// The hydraulic rig that was never built.
    pub fn of_rig() -> Self {
        let mut rig = Rig::new(7).expect("the shipped template is sound");
        let mut next_row = || {
            let mut row = Vec::new();
            rig.next_row(None, &mut row);
            row
        };
        let rows = (0..PERIOD).map(|_| next_row()).collect();
        Self::new(rig.channels().map(str::to_owned).collect(), rows)
    }

    fn new(names: Vec<String>, mut rows: Vec<Vec<f64>>) -> Self {
        for value in rows.iter_mut().flatten() {
            *value = (*value * 1e3).round() / 1e3;
        }
        Self { names, rows, second: 0 }
    }

    pub fn next(&mut self) -> Shown {
        let time = Timestamp::from_second(START + self.second as i64).expect("a few years at most");
        let row = self.rows[self.second % self.rows.len()].clone();
        self.second += 1;
        Shown { time, row }
    }

    /// As one flat JSON object.
    pub fn json(&self, shown: &Shown) -> Vec<u8> {
        // Writing to a vector cannot fail.
        let mut text = Vec::new();
        let _ = write!(text, "{{\"time\":\"{:.3}\"", shown.time);
        for (name, value) in self.names.iter().zip(&shown.row) {
            let _ = match value.is_nan() {
                true => write!(text, ",\"{name}\":null"),
                false => write!(text, ",\"{name}\":{value}"),
            };
        }
        text.push(b'}');
        text
    }
}

impl Shown {
    /// Both clocks when its message arrives.
    pub fn now(&self) -> Now {
        Now { utc: self.time, steady: Duration::from_secs((self.time.as_second() - START) as u64) }
    }
}

/// Any machine: charts alone, channels learned from what it reports.
pub fn universal() -> Profile {
    let facts = MachineFacts::new(Name::parse("m1").expect("a name"));
    Profile::universal(Arc::new(Library::shipped()), facts, CalibrationLength::Samples(CALIBRATION))
}

/// A hydraulic rig with its channels and its network.
pub fn hydraulic_rig() -> Profile {
    let kind = shipped_kind("hydraulic-rig").expect("it comes with the binary");
    let kind = Kind::parse(kind, "hydraulic-rig").expect("it is sound");
    Profile {
        channels: kind.channels().into(),
        model: Some(Arc::new(hydraulic_model())),
        cadence: Some(kind.cadence),
        ..universal()
    }
}

pub fn hydraulic_model() -> Model {
    Model::load(&shipped("hydraulic-dae").expect("it comes with the binary"), false).expect("it is sound")
}

/// A plant without a machine.
pub fn plant(profile: Profile) -> Plant<Maker> {
    let input = |(pattern, format)| Input { pattern: TopicPattern::parse(pattern).expect("a pattern"), format };
    let inputs = [("plant/{machine}/telemetry", Format::Json), ("values/{machine}/{channel}", Format::Value)];
    Plant::new(inputs.map(input).into(), Bounds { machines: 1, payload: 1 << 16 }, Maker(profile))
}

/// A plant whose one machine has learned what is normal and has been scored for a while.
pub fn learned(profile: Profile, telemetry: &mut Telemetry) -> Plant<Maker> {
    let mut plant = plant(profile);
    for _ in 0..2 * CALIBRATION {
        let shown = telemetry.next();
        receive(&mut plant, TELEMETRY, &telemetry.json(&shown), shown.now(), &mut |_| {});
    }
    assert!(plant.machines().all(|machine| machine.state() == "scoring"));
    assert_eq!(plant.rejections().total(), 0);
    plant
}

/// Hands a fresh message to the plant.
pub fn receive(
    plant: &mut Plant<Maker>,
    topic: &str,
    payload: &[u8],
    now: Now,
    observed: &mut dyn FnMut(Observed<'_>),
) {
    plant.receive(Message { topic, payload, retained: false, redelivered: false }, now, observed);
}

impl MachineMaker for Maker {
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels) {
        let channels = match &*self.0.channels {
            [] => Channels::default(),
            known => Channels::fixed(known.iter().map(|channel| channel.name.clone())),
        };
        (Machine::learning(name.clone(), self.0.clone()), ALIGNMENT, channels)
    }

    fn renew(&mut self, machine: &mut Machine, _: &[Name]) -> (Alignment, Option<Channels>) {
        machine.adopt(self.0.clone());
        (ALIGNMENT, None)
    }
}

pub const ALIGNMENT: Alignment = Alignment { cadence: Duration::from_secs(1), lateness: Duration::from_secs(10) };
/// Rows before a machine knows what is normal.
pub const CALIBRATION: usize = 400;
/// Whole load cycles of either machine, after which its rows come again.
const PERIOD: usize = 2400;
/// 2026-03-01.
const START: i64 = 1_772_323_200;
