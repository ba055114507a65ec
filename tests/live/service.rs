//! The gateway as a service: what systemd is told, and what its unit allows.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::gateway::Setup;

#[test]
fn systemd_is_told_that_the_gateway_is_ready_without_a_broker_and_then_that_it_goes_on() {
    let setup = Setup::new(1, "");
    let path = setup.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let started = Instant::now();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
        .args(["run", "--config", setup.config.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "600000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = |expected: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..length]).contains(expected) {
                return;
            }
        }
    };
    told("READY=1");
    println!("ready after {} ms", started.elapsed().as_millis());
    for _ in 0..3 {
        told("WATCHDOG=1");
    }
    assert!(Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().unwrap().success());
    told("STOPPING=1");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

#[test]
fn the_unit_exposes_the_gateway_to_as_little_as_it_needs() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/systemd/wheeltapper.service");
    let analysed =
        Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).arg(&unit).output();
    let Ok(analysed) = analysed else {
        println!("skipped: there is no systemd-analyze");
        return;
    };
    let told = String::from_utf8_lossy(&analysed.stdout);
    println!("{}", told.lines().last().unwrap_or_default());
    assert!(analysed.status.success(), "an exposure of at most 1.5: {told}");
}
