//! The stages of a sample's way, each ready to be run again and again on what it is given.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use wheeltapper::acquisition::{Name, Rejection, Sink, decode_json};
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::alarm::{Alarm, AlarmSettings};
use wheeltapper::assessment::diagnose;
use wheeltapper::clock::Now;
use wheeltapper::detection::{
    Calibration, ChannelProfile, Circumstances, Contribution, Detector, Direction, LoadCycle, Rhythm,
};
use wheeltapper::machine::{Announcement, ModelIdentity, Profile, Told};
use wheeltapper::manipulation::{Aligner, Arrival, Channels, Scaling};
use wheeltapper::models::{Denoiser, DenseNetwork, EngineKind, Model, PackageFiles, shipped};
use wheeltapper::outbox::{Durability, Outbox, Publication};
use wheeltapper::publication::{AlarmPayload, Gateway, Topics};

use crate::plant::{ALIGNMENT, CALIBRATION, TELEMETRY, Telemetry, hydraulic_model, learned, receive};

/// One stage.
pub enum Stage {
    /// It takes a message and when that arrives, which are made outside of what is measured.
    OfMessages { telemetry: Telemetry, work: Box<Work> },
    /// It brings along what it works on.
    Alone(Box<dyn FnMut()>),
}

type Work = dyn FnMut(&[u8], Now);

impl Stage {
    fn of_messages(telemetry: Telemetry, work: impl FnMut(&[u8], Now) + 'static) -> Self {
        Self::OfMessages { telemetry, work: Box::new(work) }
    }

    fn alone(work: impl FnMut() + 'static) -> Self {
        Self::Alone(Box::new(work))
    }
}

/// The bytes of a message of 8 channels → its readings.
pub fn decode() -> Stage {
    Stage::of_messages(Telemetry::made_up(8), |payload, _| {
        decode_json(payload, &mut Swallowed).expect("it is sound");
    })
}

/// The same, each reading put in its channel's place, the sample let go.
pub fn decode_and_align() -> Stage {
    let telemetry = Telemetry::made_up(8);
    let mut aligner = Aligner::new(ALIGNMENT, Channels::fixed(named(&telemetry)));
    Stage::of_messages(telemetry, move |payload, now| {
        let stamp = decode_json(payload, &mut aligner).expect("it is sound");
        aligner.commit(stamp, Arrival { now, redelivered: false }).expect("it is new");
        black_box(aligner.next_sample(now).expect("it is whole"));
    })
}

/// A sample's 8 values → what a network takes.
pub fn standardise() -> Stage {
    let scaling = Scaling { centre: vec![20.0; 8], scale: vec![1.7; 8], clip: 12.0 };
    let row = Telemetry::made_up(8).next().row;
    let mut column = [0f32; 8];
    Stage::alone(move || {
        for (channel, value) in black_box(&row).iter().enumerate() {
            column[channel] = scaling.scaled(channel, *value) as f32;
        }
        black_box(&mut column);
    })
}

/// A sample of so many channels → its score, without a network.
pub fn charts(channels: usize) -> Stage {
    let mut telemetry = Telemetry::made_up(channels);
    let profiles: Vec<ChannelProfile> = named(&telemetry).map(ChannelProfile::of).collect();
    let rows: Vec<Vec<f64>> = (0..CALIBRATION).map(|_| telemetry.next().row).collect();
    let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Unknown };
    let mut detector = Detector::new(Calibration::fit(&rows, &profiles, rhythm, None).expect("they vary"), None);
    let mut at = 0;
    Stage::alone(move || {
        at = (at + 1) % rows.len();
        black_box(detector.observe(&rows[at], Circumstances::default())).expect("there is no network");
    })
}

/// The newest column of one of so many machines → the denoised one, on this engine and no other.
pub fn column(engine: EngineKind, machines: usize) -> Stage {
    let model = match engine {
        EngineKind::Ring => hydraulic_model(),
        _ => {
            let package = shipped("hydraulic-dae").expect("it comes with the binary");
            Arc::new(Model::load_from(&package, false, engine).expect("it is sound"))
        }
    };
    assert_eq!(model.engine(), engine);
    let contract = &model.manifest().contract;
    let scaled =
        |t: usize| (0..contract.channels.len()).map(|channel| (t as f32 * 0.1 + channel as f32).sin()).collect();
    let columns: Vec<Vec<f32>> = (0..20 * contract.window).map(scaled).collect();
    let started = |_| {
        let mut denoiser = model.denoiser().expect("it was verified");
        denoiser.recall(&columns[..contract.window].concat());
        denoiser
    };
    let mut denoisers: Vec<Box<dyn Denoiser>> = (0..machines).map(started).collect();
    let (mut at, mut machine) = (0, 0);
    Stage::alone(move || {
        machine = (machine + 1) % machines;
        at = (at + usize::from(machine == 0)) % columns.len();
        black_box(denoisers[machine].push(&columns[at])).expect("it was verified");
    })
}

/// A window, its level of noise and its condition → what a generator's U-Net makes of it, once a step.
pub fn generator_step() -> Stage {
    let package = shipped("hydraulic-diffusion").expect("it comes with the binary");
    let onnx = package.read("denoiser.onnx", u64::MAX).expect("it is in the package");
    let inputs = [("x", vec![10, 60]), ("noise_level", vec![1]), ("condition", vec![14])];
    let mut network = DenseNetwork::read(&onnx, &inputs, &["prediction"]).expect("own code knows it");
    let window: Vec<f32> = (0..600).map(|value| (value as f32 * 0.1).sin()).collect();
    let mut predicted = vec![0.0; 600];
    Stage::alone(move || network.run(&[black_box(&window), &[0.5], &[0.0; 14]], black_box(&mut predicted)))
}

/// A sound machine's score → no transition.
pub fn alarm() -> Stage {
    let mut alarm = Alarm::new(name("rig-1"), AlarmSettings::default());
    let scores = [0.31, 0.4, 0.52, 0.38, 1.1, 0.44];
    let (mut at, time) = (0, raised());
    Stage::alone(move || {
        at = (at + 1) % scores.len();
        assert_eq!(black_box(alarm.observe(scores[at], time, time)), None);
    })
}

/// The contributions of an alarm → a diagnosis and what to do.
pub fn advice() -> Stage {
    let library = Arc::new(Library::shipped());
    let symptoms = library.symptoms(Some("hydraulic"));
    let (facts, contributions) = (MachineFacts::new(name("rig-1")), contributions());
    Stage::alone(move || {
        let diagnosis = diagnose(&symptoms, &contributions);
        black_box(library.recommend(&diagnosis, &facts, &contributions, 3.2)).expect("a channel is blamed");
    })
}

/// An alarm with its advice → the bytes of its payload.
pub fn encode() -> Stage {
    let payload = payload();
    Stage::alone(move || {
        black_box(payload.to_json());
    })
}

/// A transition's two publications → on disk, handed out, confirmed.
pub fn outbox() -> Stage {
    let folder = scratch();
    let (mut outbox, _) = Outbox::open(folder.path(), Default::default()).expect("a fresh folder");
    let publications = publications();
    let mut seq = 0;
    Stage::alone(move || {
        // It lasts as long as the outbox in it.
        let _ = &folder;
        seq += 1;
        outbox.append(raised(), "rig-1", seq, &publications).expect("`seq` rises");
        assert_eq!(outbox.sync(), Durability::Synced);
        while let Some(entry) = outbox.next_unsent() {
            outbox.acknowledged(entry.id);
        }
    })
}

/// A message's topic and bytes → score and alarm, with everything in between.
pub fn whole_way(mut telemetry: Telemetry, profile: Profile) -> Stage {
    let mut plant = learned(profile, &mut telemetry);
    Stage::of_messages(telemetry, move |payload, now| {
        receive(&mut plant, TELEMETRY, payload, now, &mut |observed| {
            black_box(observed.observation.score.expect("it has learned"));
        });
    })
}

/// What an alarm leaves in the outbox.
pub fn publications() -> [Publication; 2] {
    let topics = Topics::new("wheeltapper/v1", &name("g1"));
    let payload = payload().to_json();
    let event = Publication { topic: topics.event(&name("rig-1")), payload: payload.clone(), retain: false };
    [event, Publication { topic: topics.alarm(&name("rig-1")), payload, retain: true }]
}

/// A folder on the disk that holds what was built.
pub fn scratch() -> TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the build folder can be written")
}

fn payload() -> AlarmPayload {
    let mut alarm = Alarm::new(name("rig-1"), AlarmSettings::default());
    let transition = (0..60).find_map(|_| alarm.observe(3.2, raised(), raised())).expect("the on-delay is shorter");
    let library = Library::shipped();
    let contributions = contributions();
    let diagnosis = diagnose(&library.symptoms(Some("hydraulic")), &contributions);
    let recommendation = library.recommend(&diagnosis, &MachineFacts::new(name("rig-1")), &contributions, 3.2);
    let told = Told { contributions, diagnosis, recommendation };
    let sha256 = "0123456789abcdef".repeat(4);
    let model = ModelIdentity { name: "hydraulic-dae".to_owned(), version: "1.0.0".to_owned(), sha256: sha256.clone() };
    let gateway = Gateway { name: name("g1"), config_sha256: sha256 };
    AlarmPayload::new(Announcement { transition, told }, &name("rig-1"), model, &gateway)
}

/// Pump leakage as the rig shows it.
fn contributions() -> Vec<Contribution> {
    let signs = [
        ("FS1", 0.55, Direction::Low, 6.42, 6.71, "l/min"),
        ("SE", 0.4, Direction::Low, 55.1, 58.9, "%"),
        ("VS1", 0.05, Direction::High, 0.61, 0.58, "mm/s"),
    ];
    let contribution = |(channel, share, direction, value, expected, unit): (&str, _, _, _, _, &str)| Contribution {
        channel: name(channel),
        share,
        direction,
        value: Some(value),
        expected: Some(expected),
        unit: Some(unit.to_owned()),
    };
    signs.map(contribution).into()
}

fn named(telemetry: &Telemetry) -> impl Iterator<Item = Name> + use<> {
    let names: Vec<Name> = telemetry.names.iter().map(|text| name(text)).collect();
    names.into_iter()
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn raised() -> Timestamp {
    Timestamp::from_second(1_772_323_200).expect("2026-03-01")
}

/// Takes readings and does nothing with them.
struct Swallowed;

impl Sink for Swallowed {
    fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection> {
        black_box((channel, value));
        Ok(())
    }
}
