//! The disk under the state folder fills up, takes no writes, or takes its time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Scene;
use crate::gateway::{Gateway, Setup};
use crate::journal::Journal;
use crate::plant::{FAULT, Fleet, RETURN, name, setup, start_broker, wait_for_scoring};
use crate::real_broker::RealBroker;
use crate::table::{Row, ms};
use crate::witness::{Heard, Publisher, Reader};

pub fn run(_: &Scene) -> Vec<Row> {
    let mut rows = vec![full(), read_only_at_the_start()];
    rows.extend([breaks_in_use(), slow()]);
    rows
}

fn full() -> Row {
    let what = "disk full: alarms lost, doubled or not durable again by itself after space is freed";
    let Some(mut site) = Site::on(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"]) else { return not_mounted(what) };
    let fill = site.state.join("fill");
    while fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&fill)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &[0; 4096]))
        .is_ok()
    {}
    let on_full = site.raise_and_return(8);
    let mut broken = on_full.broken;
    broken.extend(site.wait_for_log("the disk refuses"));
    let own = site.reader.wait("the gateway's own alarm", |heard| {
        site.journal.take(heard);
        heard.is("/g1/alarm") && heard.json()["state"] == "unacknowledged"
    });
    let reason = own.json()["reason"].as_str().unwrap_or_default().to_owned();
    if own.json()["class"] != "data_quality" || !reason.contains("the disk refuses the outbox") {
        broken.push(format!("the gateway's own alarm is {:?} of {}", reason, own.json()["class"]));
    }
    fs::remove_file(&fill).expect("what was written can be removed");
    broken.extend(site.wait_for_log("the disk takes the outbox again"));
    let measured = site.restart_and_check(&mut broken);
    let scored = format!("{} alarms and {} scores told while full; {measured}", on_full.events, on_full.scores);
    Row::promise(what, "0; durable again", scored, &broken)
}

fn read_only_at_the_start() -> Row {
    let what = "disk read-only at the start (EROFS): alarms lost, doubled or not durable again by itself";
    let Some(mut site) = Site::on(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]) else { return not_mounted(what) };
    site.kill();
    let remount = |how: &str| Command::new("mount").args(["-o", how]).arg(&site.state).status();
    if !remount("remount,ro").is_ok_and(|status| status.success()) {
        return not_mounted(what);
    }
    site.gateway = Some(site.setup.run());
    let read_only = site.raise_and_return(3);
    let mut broken = read_only.broken;
    let writable = Command::new("mount").args(["-o", "remount,rw"]).arg(&site.state).status();
    assert!(writable.is_ok_and(|status| status.success()), "what was mounted can be made writable again");
    broken.extend(site.wait_for_log("the disk takes the outbox again"));
    let measured = site.restart_and_check(&mut broken);
    let scored = format!("{} alarms and {} scores told meanwhile; {measured}", read_only.events, read_only.scores);
    Row::promise(what, "0; durable again", scored, &broken)
}

/// As an SD card at its end does it: the kernel finds an error and takes no more writes.
fn breaks_in_use() -> Row {
    let what = "disk fails in use and is read-only from then on (ext4): alarms lost or doubled, scoring stopped";
    let Some(mut site) = Site::on_image() else { return not_mounted(what) };
    let Some(trigger) = site.error_trigger() else {
        return Row::skipped(what, "0", "the kernel has no trigger_fs_error for this mount");
    };
    site.raise_and_return(1);
    if fs::write(&trigger, "a fault cycle").is_err() {
        return Row::skipped(what, "0", "trigger_fs_error may not be written");
    }
    let mut broken = Vec::new();
    if fs::write(site.state.join("proof"), "x").is_ok() {
        broken.push("the file system still takes writes: this proves nothing".to_owned());
    }
    let read_only = site.raise_and_return(3);
    broken.extend(read_only.broken);
    broken.extend(site.wait_for_log("the disk refuses"));
    let newest = site.check_newest();
    broken.extend(site.journal.missing(&newest));
    broken.extend(site.journal.doubled());
    let measured = format!("{} alarms and {} scores told meanwhile", read_only.events, read_only.scores);
    Row::promise(what, "0", measured, &broken)
}

/// A file system that is frozen holds back every write and every fsync until it is thawed.
fn slow() -> Row {
    let what = "an fsync that takes 5 s (fsfreeze): alarms lost or doubled";
    let Some(mut site) = Site::on_image() else { return not_mounted(what) };
    let freeze = |how: &str, state: &Path| Command::new("fsfreeze").arg(how).arg(state).status();
    if !freeze("--freeze", &site.state).is_ok_and(|status| status.success()) {
        return Row::skipped(what, "0", "fsfreeze is not permitted here");
    }
    let state = site.state.clone();
    let thaw = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(5));
        freeze("--unfreeze", &state).is_ok_and(|status| status.success())
    });
    let started = Instant::now();
    site.send(4, FAULT);
    let first = site.reader.wait("the first alarm", |heard| {
        site.journal.take(heard);
        heard.is("/event")
    });
    let mut broken = Vec::new();
    if !thaw.join().unwrap_or(false) {
        broken.push("the file system was not thawed".to_owned());
    }
    let waited = first.at.saturating_duration_since(started);
    let measured = site.restart_and_check(&mut broken);
    let log = fs::read_to_string(site.setup.log()).unwrap_or_default();
    // Once at the start, and once after the kill.
    if log.matches("connected to the broker").count() != 2 {
        broken.push("the connection to the broker did not outlive it".to_owned());
    }
    let measured = format!("first alarm after {}, none before it was on disk; {measured}", ms(waited));
    Row::promise(what, "0; told once on disk", measured, &broken)
}

/// A gateway whose state lies on a file system of its own.
struct Site {
    // In the order in which they are to end: nobody may hold the mount.
    gateway: Option<Gateway>,
    publisher: Publisher,
    reader: Reader,
    fleet: Fleet,
    setup: Setup,
    journal: Journal,
    state: PathBuf,
    _mounted: Mounted,
    _broker: RealBroker,
}

struct Mounted(PathBuf);

/// What was told in a while.
struct Told {
    events: usize,
    scores: usize,
    broken: Vec<String>,
}

impl Site {
    /// `None` where mounting is not permitted.
    fn on(mount: &[&str]) -> Option<Self> {
        let broker = start_broker("");
        let setup = setup(broker.port, "[score]\nevery = \"0s\"\n");
        let state = setup.folder.path().join("state");
        fs::create_dir(&state).expect("the cycle's folder can be written");
        let mounted = Command::new("mount").args(mount).arg(&state).output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            return None;
        }
        let mounted = Mounted(state.clone());
        let reader = Reader::subscribe(broker.port, "witness", &["wheeltapper/v1/g1/#"]);
        let gateway = Some(setup.run());
        reader.wait("the gateway to be online", |heard| heard.is("/status") && heard.json()["state"] == "online");
        let publisher = Publisher::connect(broker.port, "machines");
        let (fleet, journal) = (Fleet::new(MACHINES, 3), Journal::default());
        let mut site =
            Self { gateway, publisher, reader, fleet, setup, journal, state, _mounted: mounted, _broker: broker };
        site.send(120, 0.0);
        wait_for_scoring(&site.reader, MACHINES);
        Some(site)
    }

    /// On an ext4 of its own.
    fn on_image() -> Option<Self> {
        let image = tempfile::NamedTempFile::new().ok()?;
        image.as_file().set_len(32 << 20).ok()?;
        let made = Command::new("mkfs.ext4").arg("-q").arg(image.path()).status();
        if !made.is_ok_and(|made| made.success()) {
            return None;
        }
        // The loop device keeps the image after its name is gone.
        Self::on(&["-o", "loop,errors=remount-ro", image.path().to_str()?])
    }

    fn error_trigger(&self) -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let state = self.state.to_str()?;
        let device =
            mounts.lines().filter_map(|line| line.split_once(' ')).find(|(_, rest)| rest.starts_with(state))?.0;
        let trigger = Path::new("/sys/fs/ext4").join(Path::new(device).file_name()?).join("trigger_fs_error");
        trigger.exists().then_some(trigger)
    }

    fn send(&mut self, rows: usize, moved: f64) {
        for _ in 0..rows {
            for machine in 0..MACHINES {
                self.publisher.publish(self.fleet.next(machine, moved, 1));
            }
        }
        self.publisher.settle();
    }

    /// Breaks and mends every machine so many times and tells what came of it.
    fn raise_and_return(&mut self, times: usize) -> Told {
        let mut told = Told { events: 0, scores: 0, broken: Vec::new() };
        let before = self.journal.count();
        for _ in 0..times {
            for (rows, moved) in [(BREAKS, FAULT), (2 * RETURN, 0.0)] {
                self.send(rows, moved);
                let journal = &mut self.journal;
                self.reader.drain(Duration::from_millis(300), |heard| {
                    told.scores += usize::from(heard.is("/score") && heard.json()["score"].is_number());
                    journal.take(&heard);
                });
            }
        }
        told.events = self.journal.count() - before;
        // A rise in severity is a transition too.
        let least = times * 2 * MACHINES;
        if told.events < least {
            told.broken.push(format!("{} alarms told, expected at least {least}", told.events));
        }
        if told.scores != times * (BREAKS + 2 * RETURN) * MACHINES {
            told.broken.push(format!("{} scores, expected {}", told.scores, times * (BREAKS + 2 * RETURN) * MACHINES));
        }
        told
    }

    fn wait_for_log(&self, wanted: &str) -> Option<String> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if fs::read_to_string(self.setup.log()).is_ok_and(|log| log.contains(wanted)) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(format!("the log never says {wanted:?}"))
    }

    fn kill(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.kill();
        }
    }

    /// Cuts the power and looks whether every `seq` is where it was, and goes on from there.
    fn restart_and_check(&mut self, broken: &mut Vec<String>) -> String {
        let before = self.check_newest();
        self.kill();
        self.gateway = Some(self.setup.run());
        let after = self.check_newest();
        for machine in (0..MACHINES).map(name) {
            let [before, after] = [&before, &after].map(|newest| newest.get(&machine).copied().unwrap_or(0));
            if before != after {
                broken.push(format!("{machine} stood at seq {before}, and after the power cut at {after}"));
            }
        }
        self.send(60, FAULT);
        let journal = &mut self.journal;
        self.reader.drain(Duration::from_secs(1), |heard| journal.take(&heard));
        let newest = self.check_newest();
        broken.extend(self.journal.missing(&newest).into_iter().map(|missing| format!("missing: {missing}")));
        broken.extend(self.journal.doubled());
        broken.extend(self.journal.conflicts.iter().cloned());
        let sum = |newest: &std::collections::BTreeMap<String, u64>| newest.values().sum::<u64>();
        if sum(&newest) < sum(&after) {
            broken.push("seq goes back after the power cut".to_owned());
        }
        format!("after `kill -9` all {} transitions stood, then {}", sum(&after), sum(&newest))
    }

    fn check_newest(&mut self) -> std::collections::BTreeMap<String, u64> {
        let Self { publisher, reader, journal, .. } = self;
        crate::plant::newest(publisher, reader, MACHINES, |heard: &Heard| journal.take(heard))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.0).output();
        _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn not_mounted(what: &str) -> Row {
    Row::skipped(what, "0", "mounting is not permitted here")
}

const MACHINES: usize = 10;
/// Rows of a fault, far more than the on-delay.
const BREAKS: usize = 10;
