//! The drop-in for mosquitto: the gateway works with it, and only operators command it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::wobble::lines;

pub const PASSWORD: &str = "made-for-this-test";

#[test]
fn with_the_drop_in_the_gateway_alarms_and_only_an_operator_acknowledges() {
    let Guarded { mut broker, setup, folder: _folder, .. } = Guarded::start();
    let (mut subscriber, gateway) = broker.with_gateway(&setup);

    broker.log_in("machines", PASSWORD);
    broker.publish_lines("plant/m/telemetry", &lines(0..460, 0.0));
    broker.publish_lines("plant/m/telemetry", &lines(460..500, 9.0));
    let raised = subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!(raised["state"], "unacknowledged");

    for user in ["viewers", "machines"] {
        broker.log_in(user, PASSWORD);
        broker.publish("wheeltapper/v1/g1/m/cmd/ack", b"{\"id\":\"1\",\"operator\":\"x\"}");
        broker.publish("wheeltapper/v1/g1/m/alarm", b"{}");
    }
    subscriber.drain(Duration::from_secs(1));
    assert!(subscriber.on("/cmd/ack/result").next().is_none(), "nobody but an operator commands the gateway");
    assert!(subscriber.on("/m/alarm").all(|alarm| alarm["v"] == 1), "and nobody but the gateway tells of alarms");

    broker.log_in("operators", PASSWORD);
    broker.publish("wheeltapper/v1/g1/m/cmd/ack", b"{\"id\":\"2\",\"operator\":\"m.ito\"}");
    let answer = subscriber.wait("the answer", |heard| heard.topic.ends_with("/cmd/ack/result")).payload;
    assert_eq!((&answer["ok"], &answer["state"]), (&true.into(), &"acknowledged".into()));
    assert_eq!(gateway.stop(), Some(0));
}

/// A broker under the drop-in, to which an operator is logged in, and a gateway that may log in to it.
pub struct Guarded {
    pub broker: Mosquitto,
    pub setup: Setup,
    /// With the password of every user.
    pub password_file: PathBuf,
    pub folder: tempfile::TempDir,
}

impl Guarded {
    pub fn start() -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Mosquitto::start_with(port, &configured(folder.path(), port));
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
        let mqtt = format!("username = \"wheeltapper\"\npassword_file = {password_file:?}\n");
        broker.log_in("operators", PASSWORD);
        Self { broker, setup: Setup::with_mqtt(port, &mqtt, ""), password_file, folder }
    }
}

/// The drop-in and its access rules as they are, with the test's own port, folder and passwords.
fn configured(folder: &Path, port: u16) -> String {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/mosquitto");
    std::fs::copy(shipped.join("wheeltapper.acl"), folder.join("wheeltapper.acl")).unwrap();
    let passwords = folder.join("wheeltapper.passwd");
    std::fs::write(&passwords, "").unwrap();
    for user in ["wheeltapper", "machines", "operators", "viewers"] {
        let made = Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, PASSWORD]).status().unwrap();
        assert!(made.success());
    }
    let config = std::fs::read_to_string(shipped.join("wheeltapper.conf")).unwrap();
    let config = config.replace("listener 1883", &format!("listener {port} 127.0.0.1"));
    let config = config.replace("/etc/mosquitto", folder.to_str().unwrap());
    // mosquitto gives up being root; in a test it may keep what started it.
    format!("{config}\nuser root\npersistence_location {}/\n", folder.display())
}
