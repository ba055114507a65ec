//! What machines remember: the input as `machines.state`, and as the body of such a file whose hash is right.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wheeltapper::checkpoint::Memories;
use wheeltapper::machine::{Fitted, Machine, Memory};

use crate::bench::{self, name, wobble};
use crate::scratch;

pub fn run(data: &[u8]) {
    let folder = scratch::folder();
    let path = folder.path().join("machines.state");
    let mut file = b"WTSTATE3".to_vec();
    file.extend_from_slice(&Sha256::digest(data));
    file.extend_from_slice(data);
    for content in [data, &file] {
        fs::write(&path, content).expect("the scratch folder can be written");
        let memories = Memories::in_state_dir(folder.path());
        match memories.load() {
            Ok(found) => found.into_values().for_each(try_on),
            Err(_) => assert!(!path.exists(), "it is still in the way"),
        }
    }
}

/// Whatever a machine is told that it remembers, it goes on.
fn try_on(mut memory: Memory) {
    let names = memory.channels.clone();
    if names.len() > 8 {
        return;
    }
    static FITTED: OnceLock<Fitted> = OnceLock::new();
    let fitted = FITTED.get_or_init(|| bench::seasoned(bench::ROWS).1.expect("so many rows are enough"));
    let profile = bench::universal();
    memory.fingerprint = profile.fingerprint();
    let learning = Machine::learning(name("m"), profile.clone());
    let scoring = Machine::fitted(name("m"), profile, fitted.clone()).expect("without a network nothing can fail");
    for mut machine in [learning, scoring] {
        machine.recall(&names, memory.clone());
        for row in 0..bench::ROWS + 4 {
            let values: Vec<f64> = (0..names.len()).map(|channel| wobble(row, channel)).collect();
            bench::observe(&mut machine, &names, &values, Duration::from_secs(row as u64));
            machine.pass_time(bench::at(Duration::from_secs(row as u64)));
        }
        machine.memory(&names);
    }
}
