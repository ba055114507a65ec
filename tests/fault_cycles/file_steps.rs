//! Every state of the files that a kill between two steps of a write can leave behind.
//!
//! What the gateway writes it writes in steps: an outbox record grows byte by byte at the end of its file; anything else goes
//! beside its place, whole, and then into it. So each of these states is made by hand, and a gateway starts on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Scene;
use crate::plant::{FAULT, Fleet, Plant, RETURN, name};
use crate::table::Row;

pub fn run(scene: &Scene) -> Vec<Row> {
    let mut plant = Plant::learned("", "[score]\nevery = \"0s\"\n", Fleet::new(MACHINES, 3));
    // Stopped once, so that what machines remember is written; killed then, with alarms behind it.
    plant.gateway.stop();
    plant.gateway = plant.setup.run();
    plant.send(4, FAULT, 1);
    plant.send(RETURN, 0.0, 1);
    let whole = plant.newest(|_| ());
    plant.reader.drain(Duration::from_millis(300), drop);
    let Plant { broker: _broker, setup, gateway, mut publisher, reader, mut fleet } = plant;
    gateway.kill();
    let state = setup.folder.path().join("state");
    let origin = setup.folder.path().join("origin");
    copy(&state, &origin);

    let steps = steps(&origin, scene.full);
    let mut broken = Vec::new();
    let mut before: BTreeMap<String, u64> = BTreeMap::new();
    for step in &steps {
        fs::remove_dir_all(&state).expect("nobody uses it");
        copy(&origin, &state);
        step.make(&state);
        let gateway = setup.run();
        let newest = crate::plant::newest(&mut publisher, &reader, MACHINES, |_| ());
        let scored = (0..MACHINES).filter(|machine| {
            publisher.publish(fleet.next(*machine, 0.0, 1));
            let score = format!("/{}/score", name(*machine));
            reader.wait("a score", |heard| heard.is(&score)).json()["score"].is_number()
        });
        if scored.count() != MACHINES {
            broken.push(format!("{step:?}: a machine has forgotten what it learned"));
        }
        // Its answer says that what came before is confirmed, so that nothing of it comes again.
        crate::plant::newest(&mut publisher, &reader, MACHINES, |_| ());
        gateway.kill();
        let wrong = match step {
            // The longer the file, the more is known, up to everything.
            Step::Cut(..) => {
                newest.iter().any(|(machine, seq)| before.get(machine) > Some(seq) || whole[machine] < *seq)
            }
            Step::Beside(..) => newest != whole,
        };
        if wrong {
            broken.push(format!("{step:?}: {newest:?}, before {before:?}, in the whole file {whole:?}"));
        }
        if matches!(step, Step::Cut(..)) {
            before = newest;
        }
    }
    if before != whole {
        broken.push(format!("in the whole file {before:?}, expected {whole:?}: this proves nothing"));
    }
    let log = fs::read_to_string(setup.log()).unwrap_or_default();
    if log.contains("put aside") || log.contains("set aside") || log.contains("panicked") {
        broken.push("a file that a kill left behind is taken for damage".to_owned());
    }
    vec![Row::promise(
        "gateway killed between any two steps of a write: transitions or calibrations lost, files taken for damage",
        "none",
        format!("{} in {} states of the files", broken.len(), steps.len()),
        &broken,
    )]
}

/// A state that a kill leaves behind.
#[derive(Debug)]
enum Step {
    /// The newest outbox file as long as this.
    Cut(PathBuf, usize),
    /// So many bytes beside a file's place.
    Beside(PathBuf, usize),
}

impl Step {
    fn make(&self, state: &Path) {
        let made = match self {
            Self::Cut(file, length) => {
                let opened = fs::OpenOptions::new().write(true).open(state.join(file));
                opened.and_then(|opened| opened.set_len(*length as u64))
            }
            Self::Beside(file, length) => {
                let path = state.join(file);
                let beside = format!("{}.tmp", path.display());
                fs::read(path).and_then(|content| fs::write(beside, &content[..*length]))
            }
        };
        made.expect("the cycle's own copy can be changed");
    }
}

fn steps(origin: &Path, full: bool) -> Vec<Step> {
    let files = files(origin);
    let relative = |path: &PathBuf| path.strip_prefix(origin).expect("it lies in there").to_owned();
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |about| about.len() as usize);
    let outbox = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg"));
    let newest = outbox.clone().max().expect("there were alarms");
    let length = size(newest);
    let pieces = if full { 400 } else { 24 };
    let mut steps: Vec<Step> = (1..=pieces).map(|piece| Step::Cut(relative(newest), length * piece / pieces)).collect();
    let others = files.iter().filter(|path| !path.ends_with("lock") && !outbox.clone().any(|segment| segment == *path));
    for path in others {
        steps.extend([0, size(path) / 2, size(path)].map(|length| Step::Beside(relative(path), length)));
    }
    steps
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|copied| copied.success()), "the cycle's folder can be copied");
}

const MACHINES: usize = 3;
