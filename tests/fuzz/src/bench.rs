//! Machines to try things on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::clock::Now;
use wheeltapper::machine::{CalibrationLength, Fitted, Machine, Memory, Observation, Profile};
use wheeltapper::manipulation::Sample;

/// Any machine: charts alone, channels learned from what it reports.
pub fn universal() -> Profile {
    static LIBRARY: OnceLock<Arc<Library>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| Arc::new(Library::shipped())).clone();
    Profile::universal(library, MachineFacts::new(name("m")), CalibrationLength::Samples(ROWS))
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A moment so long after the start.
pub fn at(time: Duration) -> Now {
    let start = Timestamp::from_second(1_795_538_400).expect("a time of our age");
    let utc = SignedDuration::try_from(time).ok().and_then(|time| start.checked_add(time).ok());
    Now { utc: utc.unwrap_or(Timestamp::MAX), steady: time }
}

/// A sound machine's value.
pub fn wobble(row: usize, channel: usize) -> f64 {
    50.0 + (row * (7 + 4 * channel) % 11) as f64 / 10.0 + (row * (3 + channel) % 7) as f64
}

/// Hands one row to a machine.
pub fn observe(machine: &mut Machine, names: &[Name], values: &[f64], time: Duration) -> Observation {
    let now = at(time);
    machine.observe(names, Sample { time: now.utc, values }, now)
}

/// A machine that has seen so many rows of two channels, with what it learned.
pub fn seasoned(rows: usize) -> (Machine, Option<Fitted>) {
    let names = [name("a"), name("b")];
    let mut machine = Machine::learning(name("m"), universal());
    let mut fitted = None;
    for row in 0..rows {
        let values = [wobble(row, 0), wobble(row, 1)];
        let observation = observe(&mut machine, &names, &values, Duration::from_secs(row as u64));
        fitted = fitted.or(observation.fitted.map(|fitted| *fitted));
    }
    (machine, fitted)
}

/// The seed of the target `calibration`: the body of a calibration file.
pub fn calibration_seed() -> Vec<u8> {
    let fitted = seasoned(ROWS).1.expect("so many rows are enough");
    serde_json::to_vec_pretty(&fitted).expect("a calibration is always JSON")
}

/// The seeds of the target `memories`: the bodies of `machines.state` while learning and while scoring.
pub fn memories_seeds() -> [Vec<u8>; 2] {
    [6, ROWS + 6].map(|rows| {
        let memory: Memory = seasoned(rows).0.memory(&[name("a"), name("b")]);
        postcard::to_stdvec(&[(name("m"), memory)][..]).expect("a memory can always be written")
    })
}

/// Rows before a machine knows what is normal.
pub const ROWS: usize = 60;
