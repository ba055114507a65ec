//! A broker, a gateway and made-up machines that the gateway has learned.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::gateway::{Gateway, Setup};
use crate::mqtt::Outgoing;
use crate::real_broker::RealBroker;
use crate::witness::{Heard, Publisher, Reader};
use crate::wobble::wobble;

/// Everything that one cycle needs.
pub struct Plant {
    pub broker: RealBroker,
    pub setup: Setup,
    pub gateway: Gateway,
    pub publisher: Publisher,
    pub reader: Reader,
    pub fleet: Fleet,
}

/// Machines whose channels wobble about zero, each in its own way.
#[derive(Clone)]
pub struct Fleet {
    pub machines: usize,
    pub channels: usize,
    /// Rows that each machine has sent.
    rows: Vec<u64>,
    /// Of every machine's first row; each further row is a second later.
    start: Timestamp,
}

impl Plant {
    /// A gateway that has learned every machine of a fleet.
    pub fn learned(settings: &str, more: &str, fleet: Fleet) -> Self {
        Self::learned_on(start_broker(settings), more, fleet)
    }

    /// The same with a broker that runs already.
    pub fn learned_on(broker: RealBroker, more: &str, mut fleet: Fleet) -> Self {
        let setup = setup(broker.port, more);
        let reader = Reader::subscribe(broker.port, "witness", &["wheeltapper/v1/g1/#"]);
        let gateway = setup.run();
        reader.wait("the gateway to be online", |heard| heard.is("/status") && heard.json()["state"] == "online");
        let mut publisher = Publisher::connect(broker.port, "machines");
        for _ in 0..CALIBRATION + 20 {
            for machine in 0..fleet.machines {
                publisher.publish(fleet.next(machine, 0.0, 1));
            }
        }
        publisher.settle();
        wait_for_scoring(&reader, fleet.machines);
        Self { broker, setup, gateway, publisher, reader, fleet }
    }

    /// Sends so many rows of every machine.
    pub fn send(&mut self, rows: usize, moved: f64, qos: u8) {
        for _ in 0..rows {
            for machine in 0..self.fleet.machines {
                self.publisher.publish(self.fleet.next(machine, moved, qos));
            }
        }
        self.publisher.settle();
    }

    pub fn newest(&mut self, take: impl FnMut(&Heard)) -> BTreeMap<String, u64> {
        newest(&mut self.publisher, &self.reader, self.fleet.machines, take)
    }
}

impl Fleet {
    pub fn new(machines: usize, channels: usize) -> Self {
        // A month of rows, none of them from the future.
        let start = Timestamp::now() - Duration::from_secs(30 * 86_400);
        Self { machines, channels, rows: vec![0; machines], start }
    }

    /// A machine's next row, its first channel moved by so much.
    pub fn next(&mut self, machine: usize, moved: f64, qos: u8) -> Outgoing {
        let time = self.time(machine);
        self.next_at(machine, moved, Some(&time)).at_qos(qos)
    }

    /// The stamp of a machine's next row.
    pub fn time(&self, machine: usize) -> String {
        format!("{:.3}", self.start + Duration::from_secs(self.rows[machine]))
    }

    /// The same with another stamp, or none.
    pub fn next_at(&mut self, machine: usize, moved: f64, time: Option<&str>) -> Outgoing {
        let row = self.rows[machine];
        self.rows[machine] += 1;
        let mut payload = String::from("{");
        if let Some(time) = time {
            // Writing to a String cannot fail.
            _ = write!(payload, "\"time\":\"{time}\",");
        }
        for channel in 0..self.channels {
            let moved = if channel == 0 { moved } else { 0.0 };
            let value = wobble(row, (machine * 100 + channel) as u64) + moved;
            _ = write!(payload, "{}\"c{channel}\":{value:.6}", if channel == 0 { "" } else { "," });
        }
        payload.push('}');
        Outgoing::new(format!("plant/{}/telemetry", name(machine)), payload, 1)
    }
}

impl Outgoing {
    pub fn at_qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }
}

/// The newest `seq` of each machine, as the gateway itself answers to a command that changes nothing.
pub fn newest(
    publisher: &mut Publisher,
    reader: &Reader,
    machines: usize,
    mut take: impl FnMut(&Heard),
) -> BTreeMap<String, u64> {
    let asked = Timestamp::now().as_microsecond();
    for machine in 0..machines {
        let order = json!({ "id": format!("newest-{asked}-{machine}"), "operator": "witness", "episode": "none such" });
        let topic = format!("wheeltapper/v1/g1/{}/cmd/unshelve", name(machine));
        publisher.publish(Outgoing::new(topic, order.to_string(), 1));
    }
    let mut newest = BTreeMap::new();
    reader.wait("each machine's newest seq", |heard| {
        take(heard);
        if heard.is("/cmd/unshelve/result") {
            newest.insert(heard.machine().to_owned(), heard.json()["seq"].as_u64().unwrap_or(0));
        }
        newest.len() == machines
    });
    newest
}

pub fn name(machine: usize) -> String {
    format!("m-{machine:04}")
}

/// With queues as large as a cycle needs.
pub fn start_broker(settings: &str) -> RealBroker {
    let settings = format!("max_queued_messages 200000\n{settings}");
    RealBroker::start(&settings).expect("mosquitto is installed by tests/faults")
}

/// A gateway's folder, which stays when something breaks.
pub fn setup(port: u16, more: &str) -> Setup {
    let mut setup = Setup::new(port, &format!("{SETTINGS}{more}"));
    setup.folder.disable_cleanup(true);
    setup
}

pub fn wait_for_scoring(reader: &Reader, machines: usize) {
    reader.wait("every machine to be scored", |heard| {
        let scoring = |status: &serde_json::Map<String, serde_json::Value>| {
            status.values().filter(|machine| machine["state"] == "scoring").count()
        };
        heard.is("/status") && heard.json()["machines"].as_object().is_some_and(|all| scoring(all) == machines)
    });
}

pub fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {process}");
}

/// An alarm comes with the first sample that is believed and goes with the first that is low.
const SETTINGS: &str = "[machine_defaults]\ncalibrate = 100\ncadence = \"1s\"\n\
                        [alarm]\nraise_after = \"2s\"\nclear_after = \"1s\"\n";
/// Rows until a machine of [`SETTINGS`] has learned what is normal.
const CALIBRATION: usize = 100;
/// So far a channel moves in a fault, in ranges of its wobbling.
pub const FAULT: f64 = 5.0;
/// Rows after which the charts have forgotten a fault, and its alarm has returned.
pub const RETURN: usize = 90;
