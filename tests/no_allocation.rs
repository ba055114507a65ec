//! After warm-up a sample's whole way, from the bytes of its message to its score, allocates nothing.

mod support {
    pub mod allocations;
    pub mod plant;
}

use std::time::Duration;

use wheeltapper::acquisition::Name;
use wheeltapper::alarm::Class;
use wheeltapper::detection::{ChannelProfile, Role};
use wheeltapper::machine::{Announcement, Profile};
use wheeltapper::models::EngineKind;
use wheeltapper::plant::Plant;

use support::allocations::allocations;
use support::plant::{Maker, Shown, TELEMETRY, Telemetry, hydraulic_rig, learned, plant, receive, universal};

#[test]
fn a_json_message_is_scored_without_an_allocation() {
    for channels in [1, 8, 52] {
        let mut machine = Watched::universal(channels);
        for _ in 0..SAMPLES {
            let shown = machine.telemetry.next();
            assert_eq!(machine.send_json(&shown), Sent { scores: 1, allocations: 0 }, "{channels} channels");
        }
    }
}

#[test]
fn a_channel_without_a_value_costs_no_allocation() {
    for channels in [8, 52] {
        let mut machine = Watched::universal(channels);
        for sample in 0..SAMPLES {
            let mut shown = machine.telemetry.next();
            shown.row[1] = f64::NAN;
            shown.row[3] = f64::NAN;
            let sent = machine.send_json(&shown);
            // Until then an earlier value stands in for it, and the alarm that tells of its sensor is raised.
            if sample > 60 {
                assert_eq!(sent, Sent { scores: 1, allocations: 0 }, "{channels} channels");
            }
        }
    }
}

#[test]
fn a_number_of_many_digits_costs_no_allocation() {
    let mut machine = Watched::universal(8);
    for _ in 0..SAMPLES {
        let mut shown = machine.telemetry.next();
        shown.row.iter_mut().for_each(|value| *value += 1e-6 * value.sin());
        assert_eq!(machine.send_json(&shown), Sent { scores: 1, allocations: 0 });
    }
}

#[test]
fn bare_values_are_scored_without_an_allocation() {
    for channels in [1, 8, 52] {
        let mut machine = Watched::universal(channels);
        for _ in 0..SAMPLES {
            let shown = machine.telemetry.next();
            assert_eq!(machine.send_values(&shown), Sent { scores: 1, allocations: 0 }, "{channels} channels");
        }
    }
}

#[test]
fn a_machine_with_a_network_on_the_ring_is_scored_without_an_allocation() {
    let profile = hydraulic_rig();
    assert_eq!(profile.model.as_ref().map(|model| model.engine()), Some(EngineKind::Ring));
    let mut machine = Watched::new(Telemetry::of_rig(), profile);
    for _ in 0..SAMPLES {
        let shown = machine.telemetry.next();
        assert_eq!(machine.send_json(&shown), Sent { scores: 1, allocations: 0 });
    }
}

#[test]
fn slow_channels_cost_no_allocation() {
    let telemetry = Telemetry::made_up(8);
    let role = Role::Slow { time_constant: Duration::from_secs(60) };
    let slow = |name: &String| ChannelProfile { role, ..ChannelProfile::of(Name::parse(name).expect("a name")) };
    let channels = telemetry.names.iter().map(slow).collect();
    let mut machine = Watched::new(telemetry, Profile { channels, ..universal() });
    for _ in 0..SAMPLES {
        let shown = machine.telemetry.next();
        assert_eq!(machine.send_json(&shown), Sent { scores: 1, allocations: 0 });
    }
}

/// Proves that the counter counts: this one must allocate.
#[test]
fn a_machine_that_learns_keeps_its_rows() {
    let mut machine = Watched { telemetry: Telemetry::made_up(8), plant: plant(universal()) };
    let shown: Vec<Shown> = (0..200).map(|_| machine.telemetry.next()).collect();
    let allocations: Vec<usize> = shown.iter().map(|shown| machine.send_json(shown).allocations).collect();
    assert!(allocations.iter().skip(1).any(|count| *count > 0), "{allocations:?}");
}

struct Watched {
    telemetry: Telemetry,
    plant: Plant<Maker>,
}

#[derive(Debug, PartialEq, Eq)]
struct Sent {
    scores: usize,
    allocations: usize,
}

impl Watched {
    fn universal(channels: usize) -> Self {
        Self::new(Telemetry::made_up(channels), universal())
    }

    fn new(mut telemetry: Telemetry, profile: Profile) -> Self {
        let plant = learned(profile, &mut telemetry);
        Self { telemetry, plant }
    }

    /// All channels in one message.
    fn send_json(&mut self, shown: &Shown) -> Sent {
        let payload = self.telemetry.json(shown);
        self.send(TELEMETRY, &payload, shown)
    }

    /// One message a channel.
    fn send_values(&mut self, shown: &Shown) -> Sent {
        let mut whole = Sent { scores: 0, allocations: 0 };
        for place in 0..shown.row.len() {
            let topic = format!("values/m1/{}", self.telemetry.names[place]);
            let sent = self.send(&topic, shown.row[place].to_string().as_bytes(), shown);
            whole.scores += sent.scores;
            whole.allocations += sent.allocations;
        }
        whole
    }

    fn send(&mut self, topic: &str, payload: &[u8], shown: &Shown) -> Sent {
        let mut scores = 0;
        let before = allocations();
        receive(&mut self.plant, topic, payload, shown.now(), &mut |observed| {
            let of_machine = |it: &Announcement| it.transition.class == Class::Condition;
            assert!(!observed.observation.announcements.iter().any(of_machine), "a sound machine raises nothing");
            scores += usize::from(observed.observation.score.is_some());
        });
        Sent { scores, allocations: allocations() - before }
    }
}

const SAMPLES: usize = 1000;
