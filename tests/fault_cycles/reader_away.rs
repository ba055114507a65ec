//! The broker is killed after it has confirmed alarms and before their reader, who was away, is back.

use std::thread;
use std::time::{Duration, Instant};

use crate::Scene;
use crate::broker_stalls::PERSISTENCE;
use crate::journal::Journal;
use crate::plant::{FAULT, Fleet, Plant};
use crate::table::Row;
use crate::witness::Reader;

pub fn run(scene: &Scene) -> Vec<Row> {
    thread::scope(|scope| {
        let running = PERSISTENCE.map(|(named, settings)| scope.spawn(move || cycles(scene, named, settings)));
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn cycles(scene: &Scene, named: &str, settings: &str) -> Row {
    let settings = format!("max_inflight_messages 100\npersistent_client_expiration 14d\n{settings}");
    let mut plant = Plant::learned(&settings, "[score]\nevery = \"1s\"\n", Fleet::new(20, 3));
    let mut journal = Journal::default();
    let mut away = 0;
    for _ in 0..if scene.full { 20 } else { 2 } {
        plant.send(30, 0.0, 1);
        plant.reader.drain(Duration::from_millis(300), |heard| journal.take(&heard));
        let port = plant.broker.port;
        let before = journal.count();
        drop(plant.reader);
        plant.publisher.settle();
        for _ in 0..3 {
            for machine in 0..plant.fleet.machines {
                plant.publisher.publish(plant.fleet.next(machine, FAULT, 1));
            }
        }
        plant.publisher.settle();
        thread::sleep(Duration::from_millis(500));
        plant.broker.kill();
        thread::sleep(Duration::from_millis(1500));
        plant.broker.restart();
        let back = Instant::now();
        plant.reader = Reader::subscribe(port, "witness", &["wheeltapper/v1/g1/#"]);
        let rest = Duration::from_secs(11).saturating_sub(back.elapsed());
        plant.reader.listen(rest, |heard| journal.take(&heard));
        away += journal.count() - before;
    }
    let newest = plant.newest(|heard| journal.take(heard));
    let until = Instant::now() + Duration::from_secs(35);
    while !journal.missing(&newest).is_empty() && Instant::now() < until {
        plant.reader.listen(Duration::from_millis(500), |heard| journal.take(&heard));
    }
    let missing = journal.missing(&newest);
    let mut broken: Vec<String> = missing.iter().map(|missing| format!("missing: {missing}")).collect();
    broken.extend(journal.stale(&newest));
    broken.extend(journal.conflicts.iter().cloned());
    let all = journal.count() + missing.len();
    let measured = format!("{} of {all} missing, {away} heard after the return", missing.len());
    let what = format!("broker killed with confirmed alarms for a reader who is away, {named}: missing at his return");
    Row::promise(what, "0; retained alarms are the newest", measured, &broken)
}
