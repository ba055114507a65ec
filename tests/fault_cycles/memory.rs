//! How much memory machines take, and a flood.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Scene;
use crate::plant::{FAULT, Fleet, Plant};
use crate::table::{Row, ms, quantile};
use crate::witness::Publisher;

pub fn run(scene: &Scene) -> Vec<Row> {
    let mut plant = Plant::learned("max_inflight_messages 100", "[score]\nevery = \"200ms\"\n", Fleet::new(FEW, 8));
    plant.send(256, 0.0, 1);
    plant.reader.drain(Duration::from_millis(500), drop);
    let process = plant.gateway.id();
    let few = resident(process);
    let mut rows = vec![Row::figure(
        "memory with 100 machines of 8 channels, 256 samples each after learning",
        "<= 48 MiB",
        mib(few),
        few <= 48 << 20,
    )];
    if !scene.soak.is_zero() {
        rows.push(slope(scene, &mut plant));
    }
    rows.extend(flood(scene, &plant));

    // Behind the flood, so that what it left behind is not taken for theirs.
    let before = resident(process);
    let mut all = Fleet::new(MANY, 8);
    for _ in 0..400 {
        for machine in FEW..MANY {
            plant.publisher.publish(all.next(machine, 0.0, 1));
        }
    }
    plant.publisher.settle();
    plant.reader.drain(Duration::from_secs(1), drop);
    let further = resident(process).saturating_sub(before) / (MANY - FEW) as u64;
    let measured = format!("{:.1} KiB each; {} with 1,000 machines", further as f64 / 1024.0, mib(resident(process)));
    rows.push(Row::figure("memory for each further machine, 100 to 1,000", "<= 24 KiB", measured, further <= 24 << 10));
    rows
}

/// Ten times the ordinary load, at QoS 0, beside a machine that goes its ordinary way.
fn flood(scene: &Scene, plant: &Plant) -> Vec<Row> {
    let time = Duration::from_secs(if scene.full { 600 } else { 20 });
    let (port, process) = (plant.broker.port, plant.gateway.id());
    let mut publisher = Publisher::connect(port, "flood");
    let mut healthy = Publisher::connect(port, "healthy");
    let mut fleet = plant.fleet.clone();
    let mut one = plant.fleet.clone();
    let stop = AtomicBool::new(false);
    let (sent, stamps, scores, statuses, highest) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let start = Instant::now();
            let mut sent = 0u64;
            while !stop.load(Ordering::Relaxed) {
                while start.elapsed().as_secs_f64() * FLOOD > sent as f64 {
                    publisher.publish(fleet.next(1 + sent as usize % (FEW - 1), 0.0, 0));
                    sent += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        let ordinary = scope.spawn(|| {
            let mut stamps = HashMap::new();
            while !stop.load(Ordering::Relaxed) {
                stamps.insert(one.time(0), Instant::now());
                healthy.publish(one.next(0, 0.0, 1));
                thread::sleep(Duration::from_millis(250));
            }
            healthy.settle();
            stamps
        });
        let memory = scope.spawn(|| {
            let mut highest = 0;
            while !stop.load(Ordering::Relaxed) {
                highest = resident(process).max(highest);
                thread::sleep(Duration::from_millis(100));
            }
            highest
        });
        let (mut scores, mut statuses) = (Vec::new(), Vec::new());
        let mut take = |heard: crate::witness::Heard| {
            if heard.is("/m-0000/score") {
                scores.push((heard.at, heard.json()["time"].clone()));
            } else if heard.is("/status") {
                statuses.push(heard.json());
            }
        };
        plant.reader.listen(time, &mut take);
        stop.store(true, Ordering::Relaxed);
        plant.reader.drain(Duration::from_secs(2), &mut take);
        let sent = flood.join().expect("the flood goes on to its end");
        let stamps = ordinary.join().expect("the machine goes on to the end");
        (sent, stamps, scores, statuses, memory.join().expect("the process lives"))
    });
    let latency = |(at, time): &(Instant, Value)| Some(at.saturating_duration_since(*stamps.get(time.as_str()?)?));
    let mut latencies: Vec<Duration> = scores.iter().filter_map(latency).collect();
    latencies.sort();
    let rejected = statuses.last().map_or(Value::Null, |status| status["rejected"].clone());
    let rejected: Vec<String> = rejected.as_object().map_or_else(Vec::new, |causes| {
        let counted = causes.iter().filter(|(_, count)| **count != 0);
        counted.map(|(cause, count)| format!("{cause} {count}")).collect()
    });
    let rejected = if rejected.is_empty() { "nothing refused or shed".to_owned() } else { rejected.join(", ") };
    let rate = sent as f64 / time.as_secs_f64();
    let measured = format!("{}; {rate:.0} samples/s for {} s; {rejected}", mib(highest), time.as_secs());
    let unscored = stamps.len().saturating_sub(latencies.len());
    let healthy = format!(
        "p50 {}, worst {} over {} scores, {unscored} samples without one",
        ms(quantile(&latencies, 0.5)),
        ms(quantile(&latencies, 1.0)),
        latencies.len()
    );
    vec![
        Row::figure("memory under a flood of ten times the load", "<= 96 MiB", measured, highest <= 96 << 20),
        Row::figure(
            "a sound machine's score under that flood",
            "<= 5 s",
            healthy,
            !latencies.is_empty() && quantile(&latencies, 1.0) <= Duration::from_secs(5),
        ),
    ]
}

/// Memory over hours of ordinary load with alarms, as a straight line through what was seen after the first tenth.
fn slope(scene: &Scene, plant: &mut Plant) -> Row {
    let start = Instant::now();
    let mut seen: Vec<(f64, f64)> = Vec::new();
    let mut sent = 0usize;
    while start.elapsed() < scene.soak {
        while start.elapsed().as_millis() > sent as u128 {
            let (machine, row) = (sent % FEW, sent / FEW);
            let moved = if (row + machine * 7) % 600 < 20 { FAULT } else { 0.0 };
            plant.publisher.publish(plant.fleet.next(machine, moved, 1));
            sent += 1;
        }
        plant.reader.drain(Duration::from_millis(2), drop);
        if start.elapsed().as_secs() as usize > seen.len() {
            seen.push((start.elapsed().as_secs_f64(), resident(plant.gateway.id()) as f64));
        }
    }
    let seen = &seen[seen.len() / 10..];
    let count = seen.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| seen.iter().map(of).sum::<f64>() / count;
    let (time, memory) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = seen.iter().map(|point| (point.0 - time) * (point.1 - memory)).sum();
    let variance: f64 = seen.iter().map(|point| (point.0 - time).powi(2)).sum();
    let a_day = covariance / variance * 86_400.0 / f64::from(1 << 20);
    let minutes = scene.soak.as_secs() / 60;
    let (first, last) = (seen.first().map_or(0.0, |point| point.1), seen.last().map_or(0.0, |point| point.1));
    let measured = format!(
        "{a_day:.1} MiB a day by {minutes} min at 1,000 samples/s ({} to {})",
        mib(first as u64),
        mib(last as u64)
    );
    Row::figure("growth of memory, extrapolated", "< 1 MiB a day", measured, a_day < 1.0 || minutes < 60)
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("the gateway runs, and this is Linux") * 1024
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

const FEW: usize = 100;
const MANY: usize = 1000;
/// Samples a second.
const FLOOD: f64 = 10_000.0;
