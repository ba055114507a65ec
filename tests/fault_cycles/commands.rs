//! Two operators with thousands of commands at once.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Scene;
use crate::mqtt::Outgoing;
use crate::plant::{FAULT, Fleet, Plant, name};
use crate::table::{Row, ms, quantile};
use crate::witness::{Publisher, Reader};

pub fn run(_: &Scene) -> Vec<Row> {
    let mut plant = Plant::learned("max_inflight_messages 100", "", Fleet::new(MACHINES, 3));
    plant.send(4, FAULT, 1);
    plant.reader.drain(Duration::from_millis(500), drop);
    let port = plant.broker.port;
    let started = Instant::now();
    let clients = [0, 1].map(|client| thread::spawn(move || send(port, client, COUNT, Duration::ZERO)));
    let sent = clients.into_iter().flat_map(|client| client.join().expect("the broker takes the commands")).collect();
    let (mut unanswered, mut times, last) = answers(&plant.reader, &sent);
    let all = format!("{} of {} answered; the last after {}", times.len(), sent.len(), ms(last - started));
    let burst = Row::promise("3,000 commands of two clients at once", "each answered", all, &unanswered);
    let [median, worst] = [quantile(&times, 0.5), quantile(&times, 1.0)];
    let measured = format!("median {}, worst {}", ms(median), ms(worst));
    let waits = Row::figure("how long each of the 3,000 waits", "for comparison", measured, true);

    let paced = send(port, 2, 100, Duration::from_millis(20));
    (unanswered, times, _) = answers(&plant.reader, &paced);
    let worst = quantile(&times, 1.0);
    let measured =
        format!("{} of 100 answered, median {}, worst {}", times.len(), ms(quantile(&times, 0.5)), ms(worst));
    let mut ordinary = Row::promise("a command every 20 ms: its answer", "<= 1 s each", measured.clone(), &unanswered);
    if !ordinary.is_broken() {
        ordinary = Row::figure(ordinary.what, ordinary.target, measured, worst <= Duration::from_secs(1));
    }
    vec![burst, waits, ordinary]
}

/// Suppresses machines and lets them speak again; tells when each command went.
fn send(port: u16, client: usize, count: usize, pause: Duration) -> BTreeMap<String, Instant> {
    let mut publisher = Publisher::connect(port, &format!("operator-{client}"));
    let mut sent = BTreeMap::new();
    for number in 0..count {
        let id = format!("{client}-{number}");
        let order = json!({ "id": id, "operator": "m.ito", "on": (number / MACHINES).is_multiple_of(2) });
        let topic = format!("wheeltapper/v1/g1/{}/cmd/suppress", name(number % MACHINES));
        sent.insert(id, Instant::now());
        publisher.publish(Outgoing::new(topic, order.to_string(), 1));
        thread::sleep(pause);
    }
    publisher.settle();
    sent
}

/// Commands without an answer, how long the others took, and when the last answer came.
fn answers(reader: &Reader, sent: &BTreeMap<String, Instant>) -> (Vec<String>, Vec<Duration>, Instant) {
    let mut answered = BTreeMap::new();
    let mut last = Instant::now();
    let until = Instant::now() + Duration::from_secs(60);
    while answered.len() < sent.len()
        && let Some(heard) = reader.next(until.saturating_duration_since(Instant::now()))
    {
        if heard.is("/cmd/suppress/result")
            && let Some(id) = heard.json()["id"].as_str()
            && let Some(at) = sent.get(id)
        {
            last = heard.at;
            answered.entry(id.to_owned()).or_insert_with(|| heard.at.saturating_duration_since(*at));
        }
    }
    let unanswered = sent.keys().filter(|id| !answered.contains_key(*id));
    let unanswered = unanswered.map(|id| format!("{id} is not answered")).collect();
    let mut times: Vec<Duration> = answered.into_values().collect();
    times.sort();
    (unanswered, times, last)
}

const MACHINES: usize = 20;
const COUNT: usize = 1500;
