//! What a sample costs, and what a machine keeps, with 1 to 10,000 machines in turn: `cargo bench --bench many_machines`.

#[path = "../tests/support/plant.rs"]
#[expect(dead_code, reason = "its plants learn on their own")]
mod plant;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use wheeltapper::acquisition::{Format, Name, TopicPattern};
use wheeltapper::clock::Now;
use wheeltapper::machine::{Fitted, Machine, Profile};
use wheeltapper::manipulation::{Alignment, Channels};
use wheeltapper::plant::{Bounds, Input, MachineMaker, Message, Plant};

use plant::{ALIGNMENT, TELEMETRY, Telemetry, hydraulic_rig, receive, universal};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50);
    targets = memory, many_machines
}
criterion_main!(benches);

/// Prints what a machine keeps. It comes first: what others have given back would be used again and not be seen.
fn memory(_: &mut Criterion) {
    let mut alive = Vec::new();
    for (id, mut telemetry, profile) in both() {
        let copies = Copies::new(profile, &mut telemetry);
        let before = resident();
        let mut fleet = Fleet::new(copies, telemetry, MANY);
        // Until a network has seen a whole window, parts of its memory are untouched.
        for _ in 0..100 * MANY {
            let sent = fleet.sender.next();
            fleet.watched.score(&sent);
        }
        let kept = resident().saturating_sub(before) / MANY;
        println!("{id}: {:.1} KiB a machine that has learned", kept as f64 / 1024.0);
        alive.push(fleet);
    }
}

/// One sample of each machine in turn: by the time that a machine's next one comes, its state lies in no near cache.
fn many_machines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("from message to score, in turn");
    group.throughput(Throughput::Elements(1));
    for (id, mut telemetry, profile) in both() {
        let copies = Copies::new(profile, &mut telemetry);
        for machines in [1, 100, 1000, 10_000] {
            let Fleet { mut sender, mut watched } = Fleet::new(copies.clone(), telemetry.clone(), machines);
            group.bench_function(format!("{id}, {machines}"), |bencher| {
                bencher.iter_batched_ref(|| sender.next(), |sent| watched.score(sent), BatchSize::SmallInput);
            });
            assert_eq!(watched.plant.rejections().total(), 0, "each sample was scored");
        }
    }
}

fn both() -> [(&'static str, Telemetry, Profile); 2] {
    [
        ("universal, 8 channels", Telemetry::made_up(8), universal()),
        ("hydraulic-rig, 10 channels", Telemetry::of_rig(), hydraulic_rig()),
    ]
}

/// Machines that show the same and all know the same to be normal.
struct Fleet {
    sender: Sender,
    watched: Watched,
}

/// Sends each second's message once for each machine.
struct Sender {
    telemetry: Telemetry,
    machines: usize,
    machine: usize,
    shown: (Vec<u8>, Now),
}

struct Sent {
    machine: usize,
    payload: Vec<u8>,
    now: Now,
}

struct Watched {
    plant: Plant<Copies>,
    topics: Vec<String>,
}

impl Fleet {
    fn new(copies: Copies, mut telemetry: Telemetry, machines: usize) -> Self {
        let shown = telemetry.message();
        let pattern = TopicPattern::parse("plant/{machine}/telemetry").expect("it is one");
        let input = Input { pattern, format: Format::Json };
        let plant = Plant::new(vec![input], Bounds { machines, payload: 1 << 16 }, copies);
        let topics = (0..machines).map(|machine| format!("plant/m{machine:05}/telemetry")).collect();
        Self { sender: Sender { telemetry, machines, machine: 0, shown }, watched: Watched { plant, topics } }
    }
}

impl Sender {
    fn next(&mut self) -> Sent {
        if self.machine == self.machines {
            (self.machine, self.shown) = (0, self.telemetry.message());
        }
        self.machine += 1;
        let (payload, now) = self.shown.clone();
        Sent { machine: self.machine - 1, payload, now }
    }
}

impl Watched {
    fn score(&mut self, Sent { machine, payload, now }: &Sent) {
        let message = Message { topic: &self.topics[*machine], payload, retained: false, redelivered: false };
        self.plant.receive(message, *now, &mut |observed| {
            black_box(observed.observation.score);
        });
    }
}

/// Makes machines that all know the same to be normal.
#[derive(Clone)]
struct Copies {
    profile: Profile,
    fitted: Fitted,
}

impl Copies {
    fn new(profile: Profile, telemetry: &mut Telemetry) -> Self {
        let mut plant = plant::plant(profile.clone());
        let mut fitted = None;
        while fitted.is_none() {
            let (payload, now) = telemetry.message();
            receive(&mut plant, TELEMETRY, &payload, now, &mut |observed| fitted = observed.observation.fitted);
        }
        Self { profile, fitted: *fitted.expect("the loop ends with it") }
    }
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

/// So many that what all share counts for nothing.
const MANY: usize = 1000;
