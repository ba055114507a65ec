//! What one sample costs on one core, step by step and as a whole, with what the core could do at most beside it.

mod support {
    pub mod peak;
    pub mod stages;
}
#[path = "../tests/support/plant.rs"]
mod plant;

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

use wheeltapper::models::EngineKind;

use plant::{Telemetry, hydraulic_model, hydraulic_rig, universal};
use support::peak::{Peak, processor};
use support::stages::{self, Stage};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50);
    targets = bounds, decoding, detection, denoising, telling, the_whole_way
}
criterion_main!(benches);

/// Prints what no code on this core can be faster than.
fn bounds(_: &mut Criterion) {
    let Peak { multiply_adds, copied } = Peak::measure();
    println!("{}, one core: {:.0} GFLOP/s f32, {:.1} GB/s copied", processor(), 2e-9 * multiply_adds, 1e-9 * copied);
    let at_least = |what: &str, seconds: f64| println!("  at least {:7.3} µs  {what}", 1e6 * seconds);
    let bytes = Telemetry::made_up(8).message().0.len();
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
    let [event, state] = stages::publications();
    let bytes = event.payload.len();
    at_least(&format!("to copy an alarm's payload, {bytes} bytes"), bytes as f64 / copied);
    let record = bytes + state.payload.len();
    at_least(&format!("to write {record} bytes and sync them"), synced(record).as_secs_f64());
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("8 channels of JSON");
    group.throughput(Throughput::Bytes(Telemetry::made_up(8).message().0.len() as u64));
    measure(&mut group, "decode", stages::decode());
    measure(&mut group, "decode and align", stages::decode_and_align());
}

fn detection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("charts");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "8 channels", stages::charts(8));
    measure(&mut group, "52 channels", stages::charts(52));
    group.finish();
    let mut group = criterion.benchmark_group("a score");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "alarm", stages::alarm());
}

/// One new column by each engine, for one machine and for many in turn, whose states then lie in no near cache.
fn denoising(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hydraulic-dae");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "standardise 8 channels", stages::standardise());
    for engine in [EngineKind::Ring, EngineKind::Pulse, EngineKind::Dense, EngineKind::Window] {
        for machines in [1, 1000, 10_000] {
            let id = format!("{}, {machines} in turn", engine.name());
            measure(&mut group, &id, stages::column(engine, machines));
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("hydraulic-diffusion");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "a step of a window", stages::generator_step());
}

/// What a transition costs, which comes a few times a day.
fn telling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a transition");
    group.throughput(Throughput::Elements(1));
    measure(&mut group, "diagnosis and advice", stages::advice());
    measure(&mut group, "encode", stages::encode());
    measure(&mut group, "outbox, with fsync", stages::outbox());
}

fn the_whole_way(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("from message to score");
    group.throughput(Throughput::Elements(1));
    for channels in [8, 52] {
        let stage = stages::whole_way(Telemetry::made_up(channels), universal());
        measure(&mut group, &format!("universal, {channels} channels"), stage);
    }
    measure(&mut group, "hydraulic-rig, 10 channels", stages::whole_way(Telemetry::of_rig(), hydraulic_rig()));
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, mut stage: Stage) {
    group.bench_function(id, |bencher| match stage {
        Stage::OfMessages { ref mut telemetry, ref mut work } => bencher.iter_batched_ref(
            || telemetry.message(),
            |(payload, now)| work(payload, *now),
            BatchSize::SmallInput,
        ),
        Stage::Alone(ref mut work) => bencher.iter(work),
    });
}

/// The median time to write so many bytes at the end of a file and to sync them, without anything of ours.
fn synced(bytes: usize) -> Duration {
    let folder = stages::scratch();
    let file = std::fs::File::create(folder.path().join("bare")).expect("a fresh folder");
    let record = vec![7; bytes];
    let timed = |n: usize| {
        let start = Instant::now();
        file.write_all_at(&record, (n * bytes) as u64).and_then(|()| file.sync_data()).expect("there is room");
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..SYNCS).map(timed).collect();
    times.sort();
    times[SYNCS / 2]
}

const SYNCS: usize = 201;
