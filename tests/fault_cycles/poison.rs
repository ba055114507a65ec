//! All poison of the catalogue, at QoS 0 and 1, among a sound machine's telemetry.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde_json::Value;

use crate::Scene;
use crate::mqtt::Outgoing;
use crate::plant::{Fleet, Plant, start_broker};
use crate::poison_catalogue::{Fate, Poison, live, prelude, retained};
use crate::table::{Row, ms, quantile};
use crate::witness::{Heard, Publisher};

pub fn run(scene: &Scene) -> Vec<Row> {
    let mut random = scene.random("poison");
    let broker = start_broker("");
    // Retained messages wait for a gateway that subscribes.
    let retained = retained();
    send(&retained, &mut Publisher::connect(broker.port, "poisoner"), &mut random, 1);
    let plant = Plant::learned_on(broker, "[score]\nevery = \"0s\"\n", Fleet::new(1, 3));
    let Plant { broker, setup, gateway, mut publisher, reader, mut fleet } = plant;
    prelude().into_iter().for_each(|message| publisher.publish(message));
    publisher.settle();

    let live = live();
    let rounds = if scene.full { 30 } else { 2 };
    let stop = AtomicBool::new(false);
    let mut seen = Seen::default();
    let sent = thread::scope(|scope| {
        let sound = scope.spawn(|| {
            let mut publisher = Publisher::connect(broker.port, "sound");
            let mut sent = HashMap::new();
            while !stop.load(Ordering::Relaxed) {
                sent.insert(fleet.time(0), Instant::now());
                publisher.publish(fleet.next(0, 0.0, u8::from(sent.len() % 2 == 0)));
                thread::sleep(Duration::from_millis(20));
            }
            publisher.settle();
            sent
        });
        scope.spawn(|| {
            let mut publisher = Publisher::connect(broker.port, "poisoner");
            send(&live, &mut publisher, &mut random, rounds);
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            reader.listen(Duration::from_millis(100), |heard| seen.take(&heard));
        }
        sound.join().expect("the machine goes on to the end")
    });
    reader.drain(Duration::from_secs(3), |heard| seen.take(&heard));

    let mut broken = Vec::new();
    let expected =
        expected(retained.iter().map(|poison| (poison, 1)).chain(live.iter().map(|poison| (poison, rounds))));
    for (cause, count) in &seen.rejected {
        let expected = expected.get(cause.as_str()).copied().unwrap_or(0);
        if *count != expected {
            let of = |poison: &&Poison| matches!(poison.fate, Fate::Refused(of) if of == cause);
            let kinds: Vec<&str> = retained.iter().chain(&live).filter(of).map(|poison| poison.named).collect();
            broken.push(format!("{cause} is counted {count} times, expected {expected}, by {}", kinds.join(", ")));
        }
    }
    let answered = live.iter().filter(|poison| poison.fate == Fate::Answered).count() * rounds;
    if seen.answers != answered {
        broken.push(format!("{} commands are answered, expected {answered}", seen.answers));
    }
    let log = std::fs::read_to_string(setup.log()).unwrap_or_default();
    let connects = log.matches("connected to the broker").count();
    if connects != 1 {
        broken.push(format!("{connects} connections, expected one"));
    }
    if log.contains("panicked") || gateway.stop() != Some(0) {
        broken.push("the gateway ended with an error".to_owned());
    }
    let latency = |(time, at): (&String, &Instant)| Some(at.saturating_duration_since(*sent.get(time)?));
    let mut latencies: Vec<Duration> = seen.scores.iter().filter_map(latency).collect();
    latencies.sort();
    if latencies.len() != sent.len() {
        broken.push(format!("{} of {} samples of the sound machine are scored", latencies.len(), sent.len()));
    }
    let kinds = retained.len() + live.len();
    let counted: u64 = seen.rejected.values().sum();
    let measured = format!(
        "{kinds} kinds, {} messages: {counted} counted by cause, {answered} answered, 1 connection",
        retained.len() + live.len() * rounds
    );
    let worst = quantile(&latencies, 1.0);
    vec![
        Row::promise(
            "poison at QoS 0 and 1: not counted, an exit, a connection lost, a sound sample not scored",
            "none",
            measured,
            &broken,
        ),
        Row::figure(
            "the sound machine's scores meanwhile",
            "delayed <= 5 s",
            format!("p50 {}, worst {}", ms(quantile(&latencies, 0.5)), ms(worst)),
            worst <= Duration::from_secs(5),
        ),
    ]
}

/// What a reader of the gateway's topics saw.
#[derive(Default)]
struct Seen {
    scores: HashMap<String, Instant>,
    rejected: BTreeMap<String, u64>,
    answers: usize,
}

impl Seen {
    fn take(&mut self, heard: &Heard) {
        if heard.is("/m-0000/score") {
            if let Some(time) = heard.json()["time"].as_str() {
                self.scores.entry(time.to_owned()).or_insert(heard.at);
            }
        } else if heard.is("/result") && heard.json()["ok"] == false {
            self.answers += 1;
        } else if heard.is("/status")
            && let Some(rejected) = heard.json()["rejected"].as_object()
        {
            let count = |value: &Value| value.as_u64().unwrap_or(0);
            self.rejected = rejected.iter().map(|(cause, value)| (cause.clone(), count(value))).collect();
        }
    }
}

/// Sends all of it in another order each time; what is retained waits at the broker in any case.
fn send(poisons: &[Poison], publisher: &mut Publisher, random: &mut impl Rng, rounds: usize) {
    for _ in 0..rounds {
        let mut order: Vec<&Poison> = poisons.iter().collect();
        order.shuffle(random);
        for poison in order {
            publisher.publish(Outgoing { qos: u8::from(random.random_bool(0.5)), ..poison.message.clone() });
            thread::sleep(Duration::from_millis(random.random_range(0..20)));
        }
    }
    publisher.settle();
}

fn expected<'p>(poisons: impl Iterator<Item = (&'p Poison, usize)>) -> BTreeMap<&'static str, u64> {
    let mut expected = BTreeMap::new();
    for (poison, times) in poisons {
        if let Fate::Refused(cause) = poison.fate {
            *expected.entry(cause).or_default() += times as u64;
        }
    }
    expected
}
