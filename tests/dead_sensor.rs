//! A sensor that dies is told of as a sensor: its machine goes on being scored, and is not blamed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::alarm::{Class, State, Transition};
use wheeltapper::clock::Now;
use wheeltapper::machine::{CalibrationLength, Machine, Profile};
use wheeltapper::manipulation::{Fault, Sample};

const CHANNELS: usize = 6;
const CALIBRATION: u64 = 600;

struct Watched {
    machine: Machine,
    names: Vec<Name>,
    rows: u64,
    /// The stamp of the newest row, in seconds, and how far apart two of them are.
    second: i64,
    step: i64,
    transitions: Vec<Transition>,
    faults: usize,
    alarm_rows: usize,
}

impl Watched {
    fn sound() -> Self {
        let name = |text: &str| Name::parse(text).unwrap();
        let facts = MachineFacts::new(name("m"));
        let profile =
            Profile::universal(Arc::new(Library::shipped()), facts, CalibrationLength::Samples(CALIBRATION as usize));
        let mut watched = Self {
            machine: Machine::learning(name("m"), profile),
            names: (0..CHANNELS).map(|channel| name(&format!("c{channel}"))).collect(),
            rows: 0,
            second: 1_795_538_400,
            step: 1,
            transitions: Vec::new(),
            faults: 0,
            alarm_rows: 0,
        };
        watched.show(CALIBRATION + 200, |_| ());
        assert_eq!((watched.transitions.len(), watched.alarm_rows), (0, 0));
        watched
    }

    /// Shows so many rows of a sound machine, spoiled a little.
    fn show(&mut self, rows: u64, spoil: impl Fn(&mut [f64])) {
        for _ in 0..rows {
            let t = self.rows;
            let mut values: Vec<f64> =
                (0..CHANNELS).map(|channel| 50.0 + 10.0 * channel as f64 + wobble(t, channel as u64)).collect();
            spoil(&mut values);
            let time = Timestamp::from_second(self.second).unwrap();
            self.second += self.step;
            let now = Now { utc: time, steady: Duration::from_secs(t) };
            let observation = self.machine.observe(&self.names, Sample { time, values: &values }, now);
            self.faults += usize::from(observation.fault == Some(Fault::Frozen));
            self.alarm_rows += usize::from(observation.holds);
            self.transitions.extend(observation.announcements.into_iter().map(|announcement| announcement.transition));
            self.rows += 1;
        }
    }

    fn told(&self) -> Vec<(Class, State)> {
        self.transitions.iter().map(|transition| (transition.class, transition.state)).collect()
    }
}

#[test]
fn a_frozen_sensor_is_an_alarm_of_data_quality_that_ends_with_it() {
    for frozen_at in [60.3, 0.0] {
        let mut watched = Watched::sound();
        watched.show(200, |values| values[1] = frozen_at);
        assert_eq!(watched.told(), [(Class::DataQuality, State::Unacknowledged)], "frozen at {frozen_at}");
        let reason = watched.transitions[0].reason.clone().unwrap();
        assert!(reason.starts_with("c1 shows one value again and again"), "{reason}");
        assert_eq!(watched.alarm_rows, 0, "the machine is not blamed");
        assert!(watched.faults > 150);
        watched.show(100, |_| ());
        assert_eq!(watched.told()[1..], [(Class::DataQuality, State::ReturnedUnacknowledged)]);
    }
}

#[test]
fn a_channel_that_is_missing_is_told_of_and_the_machine_still_alarms_for_itself() {
    let mut watched = Watched::sound();
    watched.show(100, |values| values[2] = f64::NAN);
    assert_eq!(watched.told(), [(Class::DataQuality, State::Unacknowledged)]);
    watched.show(60, |values| {
        values[2] = f64::NAN;
        values[4] += 20.0;
    });
    assert_eq!(watched.told()[1], (Class::Condition, State::Unacknowledged), "within the same episode");
    assert_eq!(watched.transitions[1].episode, watched.transitions[0].episode);
    assert!(watched.alarm_rows > 40);
}

#[test]
fn a_machine_that_stands_still_with_most_of_its_channels_is_no_dead_sensor() {
    let mut watched = Watched::sound();
    watched.show(100, |values| values.fill(0.0));
    assert!(watched.told().contains(&(Class::Condition, State::Unacknowledged)), "{:?}", watched.told());
    assert_eq!(watched.faults, 0);
}

#[test]
fn samples_at_another_pace_are_told_of_and_the_machine_is_not_blamed() {
    let mut watched = Watched::sound();
    watched.step = 10;
    watched.show(100, |_| ());
    assert_eq!(watched.told(), [(Class::DataQuality, State::Unacknowledged)]);
    let reason = watched.transitions[0].reason.clone().unwrap();
    assert!(reason.starts_with("samples come every 10s and came every 1s"), "{reason}");
    watched.step = 1;
    watched.show(100, |_| ());
    assert_eq!(watched.told()[1..], [(Class::DataQuality, State::ReturnedUnacknowledged)]);
    assert_eq!(watched.alarm_rows, 0);
}

#[test]
fn times_that_go_backwards_again_and_again_are_told_of_and_once_is_nothing() {
    let mut watched = Watched::sound();
    watched.second -= 3600;
    watched.show(100, |_| ());
    assert_eq!(watched.told(), []);
    for _ in 0..5 {
        watched.second -= 5;
        watched.show(4, |_| ());
    }
    assert_eq!(watched.told(), [(Class::DataQuality, State::Unacknowledged)]);
    let reason = watched.transitions[0].reason.clone().unwrap();
    assert!(reason.contains("go backwards"), "{reason}");
    watched.show(200, |_| ());
    assert_eq!(watched.told()[1..], [(Class::DataQuality, State::ReturnedUnacknowledged)]);
    assert_eq!(watched.alarm_rows, 0);
}

#[test]
fn a_channel_in_another_unit_is_told_of_as_a_sensor() {
    let mut watched = Watched::sound();
    watched.show(100, |values| values[1] = values[1] * 1.8 + 32.0);
    assert_eq!(watched.told(), [(Class::DataQuality, State::Unacknowledged)]);
    let reason = watched.transitions[0].reason.clone().unwrap();
    assert!(reason.starts_with("c1 makes sense only in another unit"), "{reason}");
    assert_eq!(watched.alarm_rows, 0);
}

/// Something between −1 and 1 that does not repeat soon.
fn wobble(t: u64, salt: u64) -> f64 {
    let mixed =
        (t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((salt + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}
