//! The gateway's clock steps by an hour, forth and back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Scene;
use crate::plant::{FAULT, Fleet, name, setup, start_broker};
use crate::table::Row;
use crate::witness::{Heard, Publisher, Reader};

pub fn run(_: &Scene) -> Vec<Row> {
    let Some(library) = library() else {
        return vec![Row::skipped(WHAT, "nothing", "there is no libfaketime (Debian: faketime)")];
    };
    let broker = start_broker("");
    // A clock that was set back is believed after `lateness`.
    let machine = |machine| format!("[[machine]]\nname = \"{}\"\nlateness = \"1s\"\ncalibrate = 400\n", name(machine));
    let machines: String = (0..6).map(machine).collect();
    let setup = setup(broker.port, &format!("[score]\nevery = \"0s\"\n{machines}"));
    let clock = Clock(setup.folder.path().join("clock"));
    clock.step(0);
    let reader = Reader::subscribe(broker.port, "witness", &["wheeltapper/v1/g1/#"]);
    let gateway = setup.run_with(&[
        ("LD_PRELOAD", &library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", &clock.0.display().to_string()),
        ("FAKETIME_NO_CACHE", "1"),
        // A clock that is set moves no monotonic one.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    reader.wait("the gateway to be online", |heard| heard.is("/status") && heard.json()["state"] == "online");
    let mut load = Load { publisher: Publisher::connect(broker.port, "machines"), fleet: Fleet::new(6, 3) };
    load.send(450, 0, false);
    load.send(60, 0, true);
    let mut raised = BTreeSet::new();
    reader.drain(Duration::from_millis(500), |heard| {
        if heard.is("/event") {
            raised.insert(heard.machine().to_owned());
        }
    });
    let mut broken = Vec::new();
    let faulty: BTreeSet<String> = (0..6).filter(|machine| is_faulty(*machine)).map(name).collect();
    if raised != faulty {
        broken.push(format!("before any step {raised:?} had an alarm, expected {faulty:?}: this proves nothing"));
    }
    let mut told = Vec::new();
    let mut scored = BTreeMap::new();
    for (step, hours) in [1, 0, -1, 0, 1, -1, 0].into_iter().enumerate() {
        clock.step(hours);
        load.send(100, hours, true);
        scored.clear();
        reader.drain(Duration::from_millis(300), |heard| follow(&heard, hours, &mut broken, &mut scored));
        let silent = (0..6).filter(|machine| !scored.contains_key(&name(*machine)));
        let silent: Vec<&str> = silent.map(|machine| KINDS[machine / 2]).collect::<BTreeSet<_>>().into_iter().collect();
        if !silent.is_empty() {
            told.push(format!("not scored at {hours:+} h (step {}): {}", step + 1, silent.join(", ")));
        }
    }
    // The last step was back to the true time: now everything is to be taken again.
    for machine in (0..6).map(name).filter(|machine| !scored.contains_key(machine)) {
        broken.push(format!("{machine} is refused although the clock is right again"));
    }
    let log = std::fs::read_to_string(setup.log()).unwrap_or_default();
    if !log.contains("started") || gateway.stop() != Some(0) {
        broken.push("the gateway ended with an error".to_owned());
    }
    let told = if told.is_empty() { "every machine scored all the while".to_owned() } else { told.join("; ") };
    let measured = format!("{} findings in 7 steps with 3 alarms open and 3 machines sound; {told}", broken.len());
    vec![Row::promise(WHAT, "nothing; all taken again afterwards", measured, &broken)]
}

/// The clock that the gateway sees.
struct Clock(PathBuf);

impl Clock {
    fn step(&self, hours: i64) {
        let beside = self.0.with_extension("new");
        let written = std::fs::write(&beside, format!("{:+}\n", hours * 3600));
        written.and_then(|()| std::fs::rename(&beside, &self.0)).expect("the cycle's folder can be written");
        // The stamps of the new time must not come before it.
        thread::sleep(Duration::from_millis(200));
    }
}

struct Load {
    publisher: Publisher,
    fleet: Fleet,
}

impl Load {
    /// Machines stamp by the true time, by a clock that steps with the gateway's, and not at all.
    fn send(&mut self, rows: usize, hours: i64, faults: bool) {
        for _ in 0..rows {
            for machine in 0..6 {
                let now = Timestamp::now();
                let time = match machine / 2 {
                    0 => Some(now),
                    1 => Some(now + SignedDuration::from_hours(hours)),
                    _ => None,
                };
                let time = time.map(|time| format!("{time:.3}"));
                let moved = if faults && is_faulty(machine) { FAULT } else { 0.0 };
                self.publisher.publish(self.fleet.next_at(machine, moved, time.as_deref()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.publisher.settle();
    }
}

fn follow(heard: &Heard, hours: i64, broken: &mut Vec<String>, scored: &mut BTreeMap<String, u64>) {
    if heard.is("/event") {
        let event = heard.json();
        broken.push(format!("at {hours:+} h {} became {}", heard.machine(), event["state"]));
    } else if heard.is("/score") && heard.json()["score"].is_number() {
        *scored.entry(heard.machine().to_owned()).or_default() += 1;
    }
}

fn is_faulty(machine: usize) -> bool {
    machine % 2 == 1
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    paths.chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").to_owned()]).find(|path| path.exists())
}

const WHAT: &str = "the gateway's clock steps by 1 h, forth and back: what is raised, cleared or refused for ever";
const KINDS: [&str; 3] = ["stamps of the true time", "stamps that step along", "no stamps"];
