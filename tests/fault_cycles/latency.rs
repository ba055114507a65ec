//! From the sample that completes an alarm's delay to the alarm at a reader.

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Scene;
use crate::plant::{FAULT, Fleet, Plant, name};
use crate::table::{Row, ms, quantile};

pub fn run(scene: &Scene) -> Vec<Row> {
    let dropin = dropin();
    // The broker of these cycles sets it; the later line counts.
    let without = format!("{dropin}set_tcp_nodelay false\n");
    let mut rows = vec![measured(scene, "our drop-in for mosquitto", &dropin)];
    let compared = measured(scene, "the same without `set_tcp_nodelay`", &without);
    rows.push(match compared.is_broken() {
        true => compared,
        false => Row::figure(compared.what, "for comparison", compared.measured, true),
    });
    rows
}

fn measured(scene: &Scene, named: &str, settings: &str) -> Row {
    let plant = Plant::learned(settings, "", Fleet::new(MACHINES, 8));
    let Plant { mut publisher, mut fleet, reader, gateway, .. } = plant;
    let seconds = if scene.full { 60 } else { 20 };
    let load = thread::spawn(move || {
        let mut sent = HashMap::new();
        let start = Instant::now();
        for sample in 0..seconds * 1000 {
            let machine = sample % MACHINES;
            let row = sample / MACHINES + machine * 7;
            thread::sleep((start + Duration::from_millis(sample as u64)).saturating_duration_since(Instant::now()));
            // The later a fault, the more machines are in it at once, and never all.
            let moved = if row % 120 < 20 { FAULT } else { 0.0 };
            sent.insert((name(machine), fleet.time(machine)), Instant::now());
            publisher.publish(fleet.next(machine, moved, 1));
        }
        let took = start.elapsed();
        publisher.settle();
        (sent, took)
    });
    let mut events = Vec::new();
    reader.listen(Duration::from_secs(seconds as u64 + 2), |heard| {
        if heard.is("/event") {
            events.push((heard.at, heard.machine().to_owned(), heard.json()["sample_time"].clone()));
        }
    });
    let (sent, took) = load.join().expect("the load goes on to its end");
    drop(gateway);
    let latency = |(at, machine, stamp): (Instant, String, serde_json::Value)| {
        Some(at.saturating_duration_since(*sent.get(&(machine, stamp.as_str()?.to_owned()))?))
    };
    let mut latencies: Vec<Duration> = events.into_iter().filter_map(latency).collect();
    latencies.sort();
    let [median, p99, worst] = [0.5, 0.99, 1.0].map(|part| quantile(&latencies, part));
    let rate = (seconds * 1000) as f64 / took.as_secs_f64();
    let measured = format!(
        "p50 {}, p99 {}, worst {} over {} alarms at {rate:.0} samples/s",
        ms(median),
        ms(p99),
        ms(worst),
        latencies.len()
    );
    let what = format!("from a sample's publication to its alarm at a reader (two hops of QoS 1, fsync), {named}");
    if latencies.len() < 300 {
        let few = [format!("{} alarms: this proves nothing", latencies.len())];
        return Row::promise(what, TARGET, measured, &few);
    }
    Row::figure(what, TARGET, measured, median <= Duration::from_millis(10) && p99 <= Duration::from_millis(50))
}

/// The shipped drop-in without its listener and its access rules.
fn dropin() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/mosquitto/wheeltapper.conf");
    let text = std::fs::read_to_string(path).expect("it is part of the checkout");
    let access = ["listener", "allow_anonymous", "password_file", "acl_file", "max_queued_messages", "#"];
    let lines = text.lines().filter(|line| !access.iter().any(|key| line.starts_with(key)));
    lines.map(|line| format!("{line}\n")).collect()
}

const MACHINES: usize = 100;
const TARGET: &str = "p50 <= 10 ms, p99 <= 50 ms";
