//! The broker is frozen with alarms on their way into it, killed, and comes back.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::RngExt;
use serde_json::{Value, json};

use crate::Scene;
use crate::journal::Journal;
use crate::mqtt::Outgoing;
use crate::plant::{FAULT, Fleet, Plant, RETURN, name, signal};
use crate::table::Row;

pub fn run(scene: &Scene) -> Vec<Row> {
    thread::scope(|scope| {
        let running = PERSISTENCE.map(|(named, settings)| scope.spawn(move || cycles(scene, named, settings)));
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn cycles(scene: &Scene, named: &str, settings: &str) -> Row {
    let mut random = scene.random(named);
    let settings = format!("max_inflight_messages 100\npersistent_client_expiration 14d\n{settings}");
    let mut plant = Plant::learned(&settings, "[score]\nevery = \"1s\"\n", Fleet::new(MACHINES, 3));
    let mut journal = Journal::default();
    let mut stalls = Vec::new();
    let mut slowest = Duration::ZERO;
    for cycle in 0..scene.cycles {
        // Machines break, or somebody suppresses alarms and lets them speak again, while the broker stands still.
        let breaks = random.random_bool(0.7);
        bring_to(&mut plant, &mut journal, if breaks { 0.0 } else { FAULT });
        plant.reader.drain(Duration::from_millis(200), |heard| journal.take(&heard));

        signal(plant.gateway.id(), "-STOP");
        for turn in 0..if breaks { 3 } else { 2 } {
            for machine in 0..MACHINES {
                let message = match breaks {
                    true => plant.fleet.next(machine, FAULT, u8::from(random.random_bool(0.5))),
                    false => {
                        command(machine, "suppress", json!({ "id": format!("s-{cycle}-{turn}"), "on": turn == 0 }))
                    }
                };
                plant.publisher.publish(message);
            }
        }
        plant.publisher.settle();
        thread::sleep(Duration::from_millis(100));
        plant.broker.freeze();
        let frozen = Timestamp::now();
        signal(plant.gateway.id(), "-CONT");
        thread::sleep(STALL);
        let killed = Timestamp::now();
        plant.broker.kill();
        thread::sleep(AWAY);
        plant.broker.restart();
        let back = Instant::now();
        stalls.push((frozen, killed));

        let first = plant.reader.wait("alarms to flow again", |heard| {
            journal.take(heard);
            heard.is("/event")
        });
        slowest = slowest.max(first.at - back);
        for machine in (0..MACHINES).filter(|machine| (machine + cycle) % 3 == 0) {
            plant.publisher.publish(command(machine, "ack", json!({ "id": format!("c-{cycle}") })));
        }
        // A connection that lasts ends the outage; shorter ones would soon be tried anew only now and then.
        let rest = if scene.cycles > 3 { LASTING } else { Duration::from_millis(1500) };
        plant.reader.listen(rest.saturating_sub(back.elapsed()), |heard| journal.take(&heard));
    }
    let newest = plant.newest(|heard| journal.take(heard));
    let until = Instant::now() + ANNOUNCED_LAST;
    while !journal.missing(&newest).is_empty() && Instant::now() < until {
        plant.reader.listen(Duration::from_millis(500), |heard| journal.take(&heard));
    }

    let on_their_way: Vec<usize> = stalls.iter().map(|(from, to)| journal.made_between(*from, *to)).collect();
    let missing = journal.missing(&newest);
    let mut broken: Vec<String> = missing.iter().map(|missing| format!("missing: {missing}")).collect();
    broken.extend(journal.doubled());
    broken.extend(journal.conflicts.iter().cloned());
    if on_their_way.iter().filter(|count| **count > 0).count() * 10 < scene.cycles * 9 {
        broken.push(format!("transitions on their way at each kill: {on_their_way:?}: this proves nothing"));
    }
    let [all, cycles, repeats] = [journal.count() + missing.len(), scene.cycles, journal.repeats];
    let (least, sum) = (on_their_way.iter().min().unwrap_or(&0), on_their_way.iter().sum::<usize>());
    let measured = format!(
        "{} of {all} missing in {cycles} cycles; unconfirmed at the kills {sum}, in each at least {least}; {repeats} sent again, {} of them different; flowing again after at most {:.2} s",
        missing.len(),
        journal.conflicts.len(),
        slowest.as_secs_f64()
    );
    let what = format!("broker frozen 0.7 s, `kill -9`, back after 1.5 s, {named}: transitions missing at the reader");
    Row::promise(what, "0 of all; what comes twice is the same", measured, &broken)
}

/// Sends rows until every machine is where it is to be.
fn bring_to(plant: &mut Plant, journal: &mut Journal, moved: f64) {
    plant.send(RETURN, moved, 1);
    plant.reader.listen(Duration::from_millis(300), |heard| journal.take(&heard));
}

fn command(machine: usize, verb: &str, mut order: Value) -> Outgoing {
    order["operator"] = "m.ito".into();
    Outgoing::new(format!("wheeltapper/v1/g1/{}/cmd/{verb}", name(machine)), order.to_string(), 1)
}

const MACHINES: usize = 40;
/// From the broker's return on; the gateway believes a connection after 10 s.
const LASTING: Duration = Duration::from_secs(11);
const STALL: Duration = Duration::from_millis(700);
const AWAY: Duration = Duration::from_millis(1500);
/// The gateway announces for the last time so long after a session was lost.
const ANNOUNCED_LAST: Duration = Duration::from_secs(45);
pub const PERSISTENCE: [(&str, &str); 3] = [
    ("persistence none", "persistence false"),
    ("persistence as Debian has it", "persistence true"),
    ("persistence as in our drop-in", "persistence true\nautosave_on_changes true\nautosave_interval 100"),
];
