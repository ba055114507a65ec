//! Profiles of kinds, each with a machine of it that learns and is scored.

use std::time::Duration;

use wheeltapper::config::Kind;
use wheeltapper::machine::{Machine, Profile};

use crate::bench::{self, wobble};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let kind = match Kind::parse(text, "k.toml") {
        Ok(kind) => kind,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("k.toml") && told.len() < 4000, "{told}");
            return;
        }
    };
    let channels = kind.channels();
    if channels.len() > 8 {
        return;
    }
    let names: Vec<_> = channels.iter().map(|channel| channel.name.clone()).collect();
    let cycle = kind.cycle().unwrap_or_default();
    let profile = Profile { channels: channels.into(), cadence: Some(kind.cadence), cycle, ..bench::universal() };
    let mut machine = Machine::learning(kind.name.clone(), profile);
    for row in 0..2 * bench::ROWS {
        let values: Vec<f64> = (0..names.len()).map(|channel| wobble(row, channel)).collect();
        let observation = bench::observe(&mut machine, &names, &values, Duration::from_secs(row as u64));
        assert!(observation.score.is_none_or(|score| score >= 0.0), "{:?}", observation.score);
    }
}
