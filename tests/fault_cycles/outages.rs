//! The broker is away for a while: how soon everything flows again, and how often the gateway knocks.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::Scene;
use crate::plant::{Fleet, Plant, setup};
use crate::table::Row;

pub fn run(scene: &Scene) -> Vec<Row> {
    let mut random = scene.random("outages");
    let short: Vec<u64> = (0..if scene.full { 8 } else { 2 }).map(|_| random.random_range(1_000..9_500)).collect();
    let long: Vec<u64> = if scene.full { vec![11_000, 20_000, 45_000, 90_000] } else { Vec::new() };
    thread::scope(|scope| {
        let knocks = scope.spawn(|| knocks(scene));
        let backs = back_after(&[short.clone(), long].concat());
        let (short, long) = backs.split_at(short.len());
        let listed = |backs: &[(f64, f64)]| {
            backs.iter().map(|(away, back)| format!("{away:.1} → {back:.2}")).collect::<Vec<_>>()
        };
        let row = |what, target, backs: &[(f64, f64)], most: f64| {
            Row::figure(
                what,
                target,
                format!("{} s", listed(backs).join(", ")),
                backs.iter().all(|back| back.1 <= most),
            )
        };
        let mut rows = vec![row("broker away less than 10 s: flowing again after its return", "<= 1 s", short, 1.0)];
        if scene.full {
            rows.push(row("broker away longer: flowing again after its return", "<= 31 s", long, 31.0));
        }
        rows.push(knocks.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        rows
    })
}

/// Seconds that the broker was away, and from its return to a score.
fn back_after(outages: &[u64]) -> Vec<(f64, f64)> {
    let Plant { mut broker, mut publisher, mut fleet, reader, gateway: _gateway, .. } =
        Plant::learned("", "[score]\nevery = \"0s\"\n", Fleet::new(1, 3));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                publisher.publish(fleet.next(0, 0.0, 0));
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut backs = Vec::new();
        for away in outages {
            // A connection that lasted long enough ends the outage before.
            reader.listen(Duration::from_secs(11), drop);
            broker.kill();
            let gone = Instant::now();
            thread::sleep(Duration::from_millis(*away));
            reader.drain(Duration::from_millis(1), drop);
            broker.restart();
            let back = Instant::now();
            let score = reader.wait("a score", |heard| heard.is("/score"));
            backs.push(((back - gone).as_secs_f64(), (score.at - back).as_secs_f64()));
        }
        stop.store(true, Ordering::Relaxed);
        backs
    })
}

/// Connections in the first minute of an outage; the short form looks at the busy part of it.
fn knocks(scene: &Scene) -> Row {
    let watched = Duration::from_secs(if scene.full { 60 } else { 20 });
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    listener.set_nonblocking(true).expect("a socket can be set so");
    let knocks = AtomicUsize::new(0);
    let gateway = setup(port, "").run();
    let until = Instant::now() + watched;
    while Instant::now() < until {
        while listener.accept().is_ok() {
            knocks.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(5));
    }
    drop(gateway);
    let knocks = knocks.into_inner();
    let measured = format!("{knocks} in {} s", watched.as_secs());
    Row::figure("attempts in the first minute of an outage", "<= 12", measured, (1..=12).contains(&knocks))
}
