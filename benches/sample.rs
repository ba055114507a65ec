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

use wheeltapper::acquisition::{Format, Name, Rejection, Sink, TopicPattern, decode_json};
use wheeltapper::clock::Now;
use wheeltapper::detection::{Calibration, ChannelProfile, Circumstances, Detector, LoadCycle, Rhythm, Role};
use wheeltapper::machine::{Fitted, Machine, Profile};
use wheeltapper::manipulation::{Aligner, Alignment, Arrival, Channels, Limits};
use wheeltapper::models::{Denoiser, EngineKind, Model, shipped};
use wheeltapper::plant::{Bounds, Input, MachineMaker, Message, Plant};

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
    targets = bounds, decoding, detection, denoising, the_whole_way, many_machines
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

/// One sample of each machine in turn: by the time that a machine's next one comes, its state lies in no near cache. Prints
/// what each machine keeps, too.
fn many_machines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("from message to score, in turn");
    group.throughput(Throughput::Elements(1));
    for machines in [1, 100, 1000, 10_000] {
        in_turn(
            &mut group,
            &format!("universal, 8 channels, {machines}"),
            Telemetry::made_up(8),
            (universal(), machines),
        );
        in_turn(&mut group, &format!("hydraulic-rig, {machines}"), Telemetry::of_rig(), (hydraulic_rig(), machines));
    }
}

fn in_turn(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    mut telemetry: Telemetry,
    (profile, machines): (Profile, usize),
) {
    let fitted = fitted(profile.clone(), &mut telemetry);
    let before = resident();
    let input =
        Input { pattern: TopicPattern::parse("plant/{machine}/telemetry").expect("it is one"), format: Format::Json };
    let bounds = Bounds { machines, payload: 1 << 16 };
    let mut plant = Plant::new(vec![input], bounds, Copies { profile, fitted });
    let topics: Vec<String> = (0..machines).map(|machine| format!("plant/m{machine:05}/telemetry")).collect();
    let (mut machine, mut shown) = (0, message(&mut telemetry));
    let mut next = || {
        if machine == machines {
            (machine, shown) = (0, message(&mut telemetry));
        }
        machine += 1;
        (machine - 1, shown.clone())
    };
    let mut score = |(machine, (payload, now)): &(usize, (Vec<u8>, Now))| {
        let message = Message { topic: &topics[*machine], payload, retained: false, redelivered: false };
        plant.receive(message, *now, &mut |observed| {
            black_box(observed.observation.score);
        });
    };
    // Until a network has seen a whole window, parts of its memory are untouched.
    (0..100 * machines).for_each(|_| score(&next()));
    let kept = resident().saturating_sub(before) as f64 / machines as f64;
    group.bench_function(id, |bencher| bencher.iter_batched_ref(&mut next, |sent| score(sent), BatchSize::SmallInput));
    assert_eq!(plant.rejections().total(), 0, "each sample was scored");
    if machines >= 1000 {
        println!("  {id}: {:.1} KiB a machine", kept / 1024.0);
    }
}

/// What a machine's telemetry says about it.
fn fitted(profile: Profile, telemetry: &mut Telemetry) -> Fitted {
    let mut plant = plant::plant(profile);
    let mut fitted = None;
    while fitted.is_none() {
        let (payload, now) = message(telemetry);
        receive(&mut plant, TELEMETRY, &payload, now, &mut |observed| fitted = observed.observation.fitted);
    }
    *fitted.expect("the loop ends with it")
}

/// Makes machines that all know the same to be normal.
struct Copies {
    profile: Profile,
    fitted: Fitted,
}

impl MachineMaker for Copies {
    fn make(&mut self, name: &Name) -> (Machine, Alignment, Channels) {
        let names: Vec<Name> = self.fitted.calibration.parts().map(|(name, _)| name.clone()).collect();
        let made = Machine::fitted(name.clone(), self.profile.clone(), self.fitted.clone());
        (made.expect("the network was verified"), ALIGNMENT, Channels::fixed(names))
    }

    fn renew(&mut self, _: &mut Machine, _: &[Name]) -> (Alignment, Option<Channels>) {
        (ALIGNMENT, None)
    }
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    1024 * kib.expect("this is Linux")
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
