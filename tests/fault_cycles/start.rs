//! How soon a gateway with a hundred learned machines is ready.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::Scene;
use crate::plant::{Fleet, Plant, name};
use crate::table::{Row, ms, quantile};

pub fn run(scene: &Scene) -> Vec<Row> {
    // Known from the start is what the configuration lists.
    let machines: String =
        (0..MACHINES).map(|machine| format!("[[machine]]\nname = \"{}\"\n", name(machine))).collect();
    let plant = Plant::learned("", &machines, Fleet::new(MACHINES, 8));
    plant.gateway.stop();
    // A socket's path may not be long.
    let folder = tempfile::tempdir_in("/tmp").expect("there is a folder for sockets");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket can be made there");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket can be set so");
    let path = path.display().to_string();
    let mut times: Vec<Duration> = (0..if scene.full { 50 } else { 10 })
        .map(|_| {
            let started = Instant::now();
            let gateway = plant.setup.run_with(&[("NOTIFY_SOCKET", &path)]);
            let mut buffer = [0; 1024];
            let told = loop {
                let length = socket.recv(&mut buffer).expect("the gateway tells within 20 s that it is ready");
                let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if told.contains("READY=1") {
                    break told;
                }
            };
            let time = started.elapsed();
            assert!(told.contains("100 machines"), "it knows its machines again: {told}");
            gateway.kill();
            time
        })
        .collect();
    times.sort();
    let [median, worst] = [quantile(&times, 0.5), quantile(&times, 1.0)];
    let measured = format!("median {}, worst {} of {}", ms(median), ms(worst), times.len());
    vec![Row::figure(
        "from exec to READY with 100 learned machines",
        "<= 300 ms",
        measured,
        worst <= Duration::from_millis(300),
    )]
}

const MACHINES: usize = 100;
