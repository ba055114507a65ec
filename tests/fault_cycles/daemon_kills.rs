//! The gateway is killed at random moments under random load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::json;

use crate::Scene;
use crate::journal::Journal;
use crate::mqtt::Outgoing;
use crate::plant::{FAULT, Fleet, Plant, RETURN, name};
use crate::table::{Row, quantile};
use crate::witness::{Heard, Publisher};

pub fn run(scene: &Scene) -> Vec<Row> {
    let mut random = scene.random("daemon kills");
    let plant = Plant::learned("max_inflight_messages 100", "[score]\nevery = \"0s\"\n", Fleet::new(MACHINES, 3));
    let Plant { broker, setup, gateway, publisher, reader, fleet } = plant;
    let mut journal = Journal::default();
    let mut again = Vec::new();
    let mut gateway = Some(gateway);
    let stop = AtomicBool::new(false);
    let mut plant = thread::scope(|scope| {
        let load = scope.spawn(|| work(scene, publisher, fleet, &stop));
        for _ in 0..scene.kills {
            let lives = match random.random_bool(0.3) {
                true => random.random_range(1..150),
                false => random.random_range(150..2000),
            };
            reader.listen(Duration::from_millis(lives), |heard| journal.take(&heard));
            if let Some(gateway) = gateway.take() {
                gateway.kill();
            }
            reader.drain(Duration::from_millis(30), |heard| journal.take(&heard));
            let started = Instant::now();
            gateway = Some(setup.run());
            let first = reader.wait("a score after the restart", |heard| {
                journal.take(heard);
                is_scored(heard)
            });
            again.push(first.at - started);
        }
        stop.store(true, Ordering::Relaxed);
        let (publisher, fleet) = load.join().expect("the load goes on to its end");
        let gateway = gateway.take().expect("it was started again");
        Plant { broker, setup, gateway, publisher, reader, fleet }
    });

    // In the end every other machine is broken, and everything is told.
    for _ in 0..2 * RETURN {
        for machine in 0..MACHINES {
            plant.publisher.publish(plant.fleet.next(machine, if machine % 2 == 0 { FAULT } else { 0.0 }, 1));
        }
    }
    plant.publisher.settle();
    plant.reader.drain(Duration::from_secs(2), |heard| journal.take(&heard));
    let newest = plant.newest(|heard| journal.take(heard));
    plant.reader.drain(Duration::from_secs(1), |heard| journal.take(&heard));

    let missing = journal.missing(&newest);
    let mut broken: Vec<String> = missing.iter().map(|missing| format!("missing: {missing}")).collect();
    broken.extend(journal.conflicts.iter().cloned());
    let doubled = journal.doubled();
    for machine in 0..MACHINES {
        let state = journal.state(&name(machine)).unwrap_or("normal");
        let open = matches!(state, "unacknowledged" | "acknowledged");
        // What a sound machine's score does after so many kills is the accuracy's business.
        if !open && machine % 2 == 0 {
            broken.push(format!("{} is {state} in the end", name(machine)));
        }
    }
    let kills = scene.kills;
    let measured = format!(
        "{} of {} missing after {kills} kills; {} sent again, {} of them different",
        missing.len(),
        journal.count() + missing.len(),
        journal.repeats,
        journal.conflicts.len()
    );
    again.sort();
    let [median, worst] = [quantile(&again, 0.5), quantile(&again, 1.0)];
    let figures = format!("median {:.2} s, worst {:.2} s", median.as_secs_f64(), worst.as_secs_f64());
    vec![
        Row::promise("gateway killed at random: transitions lost", "0; states as the machines are", measured, &broken),
        Row::promise(
            "gateway killed at random: two open episodes of a machine",
            "never",
            format!("{}", doubled.len()),
            &doubled,
        ),
        Row::figure(
            "from exec to the first score after such a kill",
            "<= 2 s",
            figures,
            worst <= Duration::from_secs(2),
        ),
    ]
}

/// Machines break and recover at random, and somebody acknowledges, until it is told to stop.
fn work(scene: &Scene, mut publisher: Publisher, mut fleet: Fleet, stop: &AtomicBool) -> (Publisher, Fleet) {
    let mut random = scene.random("load of the daemon kills");
    let mut left = [0; MACHINES];
    let mut broken = [false; MACHINES];
    let mut commands = 0;
    while !stop.load(Ordering::Relaxed) {
        let pause = Duration::from_micros([800, 2_000, 10_000][random.random_range(0..3)]);
        let until = Instant::now() + Duration::from_millis(random.random_range(200..1500));
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let machine = random.random_range(0..MACHINES);
            if left[machine] == 0 {
                broken[machine] = !broken[machine];
                left[machine] = if broken[machine] { random.random_range(3..12) } else { random.random_range(30..90) };
            }
            left[machine] -= 1;
            publisher.publish(fleet.next(machine, if broken[machine] { FAULT } else { 0.0 }, 1));
            if random.random_bool(0.02) {
                commands += 1;
                let order = json!({ "id": format!("c-{commands}"), "operator": "m.ito" });
                let topic = format!("wheeltapper/v1/g1/{}/cmd/ack", name(machine));
                publisher.publish(Outgoing::new(topic, order.to_string(), 1));
            }
            thread::sleep(pause);
        }
    }
    publisher.settle();
    (publisher, fleet)
}

fn is_scored(heard: &Heard) -> bool {
    heard.is("/score") && heard.json()["score"].is_number()
}

const MACHINES: usize = 10;
