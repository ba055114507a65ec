//! What one sample costs on one core, step by step and as a whole, with what the core could do at most beside it.

mod support {
    pub mod peak;
}
#[path = "../tests/support/plant.rs"]
mod plant;

use std::hint::black_box;
use std::time::Duration;

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};

use wheeltapper::acquisition::{Name, Rejection, Sink, decode_json};
use wheeltapper::clock::Now;
use wheeltapper::detection::{Calibration, ChannelProfile, Circumstances, Detector, LoadCycle, Rhythm, Role};
use wheeltapper::machine::Profile;
use wheeltapper::manipulation::{Aligner, Arrival, Channels, Limits};
use wheeltapper::models::{Denoiser, EngineKind, Model, shipped};

use plant::{
    ALIGNMENT, CALIBRATION, TELEMETRY, Telemetry, hydraulic_model, hydraulic_rig, learned, receive, universal,
};
use support::peak::{Peak, processor};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50);
    targets = bounds, decoding, detection, denoising, the_whole_way
}
criterion_main!(benches);

/// Prints what no code on this core can be faster than.
fn bounds(_: &mut Criterion) {
    let Peak { multiply_adds, copied } = Peak::measure();
    println!("{}, one core: {:.0} GFLOP/s f32, {:.1} GB/s copied", processor(), 2e-9 * multiply_adds, 1e-9 * copied);
    let at_least = |what: &str, seconds: f64| println!("  at least {:7.3} µs  {what}", 1e6 * seconds);
    let bytes = message(&mut Telemetry::made_up(8)).0.len();
    at_least(&format!("to copy a message of 8 channels, {bytes} bytes"), bytes as f64 / copied);
    for channels in [8, 52] {
        // The product of a matrix and a vector, in double precision, of which a register holds half as many.
        let products = channels * channels;
        at_least(
            &format!("for a chart of {channels} channels, {products} multiply-adds"),
            2.0 * products as f64 / multiply_adds,
        );
    }
    let model = hydraulic_model();
    let (network, columns) = (&model.manifest().name, model.manifest().contract.window as u64);
    // Every weight of a convolution is used once a column; biases are less than a hundredth of the parameters.
    let column = model.manifest().training.parameters;
    for (part, products) in [("whole window", column * columns), ("newest column alone", column)] {
        at_least(&format!("for {network}, {part}, {products} multiply-adds"), products as f64 / multiply_adds);
    }
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("8 channels of JSON");
    let mut telemetry = Telemetry::made_up(8);
    group.throughput(Throughput::Bytes(message(&mut telemetry).0.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter_batched_ref(
            || message(&mut telemetry),
            |(payload, _)| decode_json(payload, &mut Swallowed).expect("it is sound"),
            BatchSize::SmallInput,
        );
    });
    let mut aligner = Aligner::new(ALIGNMENT, Channels::fixed(named(&telemetry)));
    group.bench_function("decode and align", |bencher| {
        bencher.iter_batched_ref(
            || message(&mut telemetry),
            |(payload, now)| {
                let stamp = decode_json(payload, &mut aligner).expect("it is sound");
                aligner.commit(stamp, Arrival { now: *now, redelivered: false }).expect("it is new");
                black_box(aligner.next_sample(*now).expect("it is whole"));
            },
            BatchSize::SmallInput,
        );
    });
}

fn detection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("charts");
    group.throughput(Throughput::Elements(1));
    for channels in [8, 52] {
        let mut telemetry = Telemetry::made_up(channels);
        let profile =
            |name| ChannelProfile { name, unit: None, limits: Limits::default(), role: Role::Scored, drift: 0.0 };
        let profiles: Vec<ChannelProfile> = named(&telemetry).map(profile).collect();
        let rows: Vec<Vec<f64>> = (0..CALIBRATION).map(|_| telemetry.next().row).collect();
        let rhythm = Rhythm { cadence: Duration::from_secs(1), cycle: LoadCycle::Unknown };
        let mut detector = Detector::new(Calibration::fit(&rows, &profiles, rhythm, None).expect("they vary"), None);
        let mut rows = rows.iter().cycle();
        group.bench_function(format!("{channels} channels"), |bencher| {
            bencher.iter(|| detector.observe(rows.next().expect("it has no end"), Circumstances::default()));
        });
    }
}

/// One new column by each engine, for one machine and for many in turn, whose states then lie in no near cache.
fn denoising(criterion: &mut Criterion) {
    let package = shipped("hydraulic-dae").expect("it comes with the binary");
    let mut group = criterion.benchmark_group("hydraulic-dae");
    group.throughput(Throughput::Elements(1));
    for engine in [EngineKind::Ring, EngineKind::Pulse, EngineKind::Window] {
        let model = Model::load_from(&package, false, engine).expect("it is sound");
        assert_eq!(model.engine(), engine);
        let contract = &model.manifest().contract;
        let scaled =
            |t: usize| (0..contract.channels.len()).map(|channel| (t as f32 * 0.1 + channel as f32).sin()).collect();
        let columns: Vec<Vec<f32>> = (0..20 * contract.window).map(scaled).collect();
        for machines in [1, 1000, 10_000] {
            let mut denoisers: Vec<Box<dyn Denoiser>> = (0..machines)
                .map(|_| {
                    let mut denoiser = model.denoiser().expect("it was verified");
                    denoiser.recall(&columns[..contract.window].concat());
                    denoiser
                })
                .collect();
            let (mut column, mut machine) = (0, 0);
            group.bench_function(format!("{}, {machines} in turn", engine.name()), |bencher| {
                bencher.iter(|| {
                    machine = (machine + 1) % machines;
                    column = (column + usize::from(machine == 0)) % columns.len();
                    black_box(denoisers[machine].push(&columns[column])).is_ok()
                });
            });
        }
    }
}

fn the_whole_way(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("from message to score");
    group.throughput(Throughput::Elements(1));
    from_message_to_score(&mut group, "universal, 8 channels", Telemetry::made_up(8), universal());
    from_message_to_score(&mut group, "universal, 52 channels", Telemetry::made_up(52), universal());
    from_message_to_score(&mut group, "hydraulic-rig, 10 channels", Telemetry::of_rig(), hydraulic_rig());
}

fn from_message_to_score(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    mut telemetry: Telemetry,
    profile: Profile,
) {
    let mut plant = learned(profile, &mut telemetry);
    group.bench_function(id, |bencher| {
        bencher.iter_batched_ref(
            || message(&mut telemetry),
            |(payload, now)| {
                receive(&mut plant, TELEMETRY, payload, *now, &mut |observed| {
                    black_box(observed.observation.score.expect("it has learned"));
                });
            },
            BatchSize::SmallInput,
        );
    });
    assert_eq!(plant.rejections().total(), 0, "each sample was scored");
}

/// The next second's message and when it arrives.
fn message(telemetry: &mut Telemetry) -> (Vec<u8>, Now) {
    let shown = telemetry.next();
    (telemetry.json(&shown), shown.now())
}

fn named(telemetry: &Telemetry) -> impl Iterator<Item = Name> {
    telemetry.names.iter().map(|name| Name::parse(name).expect("a name"))
}

/// Takes readings and does nothing with them.
struct Swallowed;

impl Sink for Swallowed {
    fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection> {
        black_box((channel, value));
        Ok(())
    }
}
