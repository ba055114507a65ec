//! What a machine's profile says of its channels and regimes is kept: slow channels, stops and starts, load cycles.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{Library, MachineFacts};
use wheeltapper::alarm::RunningRule;
use wheeltapper::clock::Now;
use wheeltapper::detection::{ChannelProfile, CycleReport, Direction, LoadCycle, Role};
use wheeltapper::machine::{CalibrationLength, Fitted, Machine, Observation, OperatingPoint, Profile};
use wheeltapper::manipulation::Sample;

#[test]
fn a_temperature_that_creeps_is_no_fault_of_a_slow_channel_and_its_jump_is() {
    let creeping = |t: u64| if t > CALIBRATION { 0.001 * (t - CALIBRATION) as f64 } else { 0.0 };
    let mut scored = Watched::new(with_role(Role::Scored));
    let mut slow = Watched::new(with_role(SLOW));
    for watched in [&mut scored, &mut slow] {
        watched.show(CALIBRATION + 3000, |t, values| values[0] += creeping(t));
    }
    assert!(scored.alarm_rows > 1000, "{} rows: a level that creeps by five deviations is one", scored.alarm_rows);
    let for_nothing = slow.alarm_rows;
    assert!(20 * for_nothing < scored.alarm_rows, "{for_nothing} rows of {}", scored.alarm_rows);
    slow.show(60, |t, values| values[0] += creeping(t) + 8.0);
    assert!(slow.alarm_rows - for_nothing > 40, "{} of 60 rows", slow.alarm_rows - for_nothing);
    let contributions = slow.machine.contributions();
    let first = &contributions[0];
    assert_eq!((first.channel.as_str(), first.direction), ("c0", Direction::High));
    // In the unit of the channel, where it really is.
    let (value, expected) = (first.value.unwrap(), first.expected.unwrap());
    assert!((69.0..72.0).contains(&value) && (63.5..68.0).contains(&expected), "{value} instead of {expected}");
}

#[test]
fn a_machine_with_slow_channels_goes_on_after_a_restart_bit_by_bit() {
    let creeping = |t: u64, values: &mut [f64]| values[0] += 0.01 * t as f64;
    let mut whole = Watched::new(with_role(SLOW));
    whole.show(CALIBRATION + 300, creeping);
    let mut again = whole.restarted();
    for _ in 0..300 {
        let [one, other] = [whole.show(1, creeping), again.show(1, creeping)].map(|observation| observation.score);
        assert!(one.is_some());
        assert_eq!(one.map(f64::to_bits), other.map(f64::to_bits));
    }
}

#[test]
fn a_stop_and_a_start_teach_nothing_and_raise_nothing() {
    let rule = RunningRule { channel: name("c2"), above: 50.0, starting: Duration::from_secs(30) };
    let mut watched = Watched::new(Profile { running: Some(rule), ..with_role(SLOW) });
    watched.show(CALIBRATION + 200, |_, _| ());
    for stop in 0..3 {
        let before = watched.machine.limit().unwrap();
        watched.scores = 0;
        // It coasts down, cools, and starts with a surge.
        watched.show(300, |_, values| values.copy_from_slice(&[20.0, 0.1, 0.0, 0.2]));
        assert_eq!(watched.machine.stage(), "stopped");
        watched.show(30, |t, values| {
            values[0] = 25.0;
            values[1] *= 3.0;
            values[2] += (t % 5) as f64;
        });
        assert_eq!(watched.machine.stage(), "starting");
        assert_eq!((watched.scores, watched.machine.limit().unwrap()), (0, before), "stop {stop}: it is not scored");
        // Warmer than ever before, and warming up.
        watched.show(400, |t, values| values[0] += 5.0 * f64::from(stop + 1) + 0.0005 * (t % 400) as f64);
        assert_eq!((watched.machine.stage(), watched.alarm_rows), ("scoring", 0), "stop {stop}");
    }
    watched.show(60, |_, values| values[1] += 6.0);
    assert!(watched.alarm_rows > 30, "a fault after all the stops is still found");
}

#[test]
fn a_cycle_that_somebody_knows_is_not_looked_for() {
    let with = |cycle| Profile { cycle, ..with_role(Role::Scored) };
    let cycle_of = |cycle| {
        let mut watched = Watched::new(with(cycle));
        watched.show(CALIBRATION, |t, values| values[3] += f64::from(u8::from(t % 50 < 20)) * 12.0);
        watched.fitted.unwrap().calibration.cycle().map(|CycleReport { period_rows, .. }| period_rows)
    };
    assert_eq!(cycle_of(LoadCycle::Unknown), Some(50));
    assert_eq!(cycle_of(LoadCycle::Never), None);
    assert_eq!(cycle_of(LoadCycle::Lasts(Duration::from_secs(100))), Some(100));
    let too_long = LoadCycle::Lasts(Duration::from_secs(400));
    assert_eq!(cycle_of(too_long), None, "a calibration of two cycles knows none");
    let fingerprints = [LoadCycle::Unknown, LoadCycle::Never, too_long].map(|cycle| with(cycle).fingerprint());
    assert!(fingerprints[0] != fingerprints[1] && fingerprints[1] != fingerprints[2]);
}

#[test]
fn the_quiet_profile_keeps_silent_about_what_is_only_a_little_unusual() {
    let alarm_rows = |operating_point, off: f64| {
        let mut watched = Watched::new(Profile { operating_point, ..with_role(Role::Scored) });
        watched.show(CALIBRATION + 100, |_, _| ());
        watched.show(200, |_, values| values[1] += off);
        watched.alarm_rows
    };
    let least = |operating_point| {
        let mut steps = (1..80).map(|step| 0.1 * f64::from(step));
        steps.find(|&off| alarm_rows(operating_point, off) > 150).unwrap()
    };
    let (balanced, quiet) = (least(OperatingPoint::Balanced), least(OperatingPoint::Quiet));
    assert!(balanced < 1.2 && quiet > 1.1 * balanced && quiet < 2.0 * balanced, "{balanced}, {quiet}");
    assert_eq!(alarm_rows(OperatingPoint::Quiet, balanced), 0);
}

struct Watched {
    machine: Machine,
    names: Vec<Name>,
    fitted: Option<Fitted>,
    rows: u64,
    scores: usize,
    alarm_rows: usize,
}

impl Watched {
    fn new(profile: Profile) -> Self {
        let names = profile.channels.iter().map(|channel| channel.name.clone()).collect();
        let machine = Machine::learning(name("m"), profile);
        Self { machine, names, fitted: None, rows: 0, scores: 0, alarm_rows: 0 }
    }

    /// Shows so many rows of a sound machine, changed a little; what the last of them led to.
    fn show(&mut self, rows: u64, change: impl Fn(u64, &mut [f64])) -> Observation {
        let mut newest = None;
        for _ in 0..rows {
            let t = self.rows;
            let mut values: Vec<f64> =
                (0..CHANNELS).map(|channel| 60.0 + 10.0 * channel as f64 + wobble(t, channel)).collect();
            change(t, &mut values);
            let time = Timestamp::from_second(1_795_538_400).unwrap() + SignedDuration::from_secs(t as i64);
            let now = Now { utc: time, steady: Duration::from_secs(t) };
            let mut observation = self.machine.observe(&self.names, Sample { time, values: &values }, now);
            self.fitted = self.fitted.take().or(observation.fitted.take().map(|fitted| *fitted));
            self.scores += usize::from(observation.score.is_some());
            self.alarm_rows += usize::from(observation.holds);
            self.rows += 1;
            newest = Some(observation);
        }
        newest.unwrap()
    }

    /// Another process that has read what this one wrote.
    fn restarted(&self) -> Self {
        let fitted = serde_json::to_string(&self.fitted).unwrap();
        let fitted: Fitted = serde_json::from_str(&fitted).unwrap();
        let memory = postcard::to_stdvec(&self.machine.memory(&self.names)).unwrap();
        let mut machine = Machine::fitted(name("m"), self.machine.profile().clone(), fitted.clone()).unwrap();
        machine.recall(&self.names, postcard::from_bytes(&memory).unwrap());
        Self { machine, names: self.names.clone(), fitted: Some(fitted), scores: 0, alarm_rows: 0, ..*self }
    }
}

/// Four channels, the first of them with this role.
fn with_role(role: Role) -> Profile {
    let channel = |place: u64| ChannelProfile {
        role: if place == 0 { role } else { Role::Scored },
        ..ChannelProfile::of(name(&format!("c{place}")))
    };
    let facts = MachineFacts::new(name("m"));
    let calibrate = CalibrationLength::Samples(CALIBRATION as usize);
    Profile {
        channels: (0..CHANNELS).map(channel).collect(),
        cadence: Some(Duration::from_secs(1)),
        ..Profile::universal(Arc::new(Library::shipped()), facts, calibrate)
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Something between −1 and 1 that does not repeat soon.
fn wobble(t: u64, salt: u64) -> f64 {
    let mixed =
        (t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((salt + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed >> 40) as f64 / f64::from(1u32 << 23) - 1.0
}

const CHANNELS: u64 = 4;
const CALIBRATION: u64 = 800;
const SLOW: Role = Role::Slow { time_constant: Duration::from_secs(120) };
