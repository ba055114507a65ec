//! What the gateway says of its alarms as a system, of itself, and of machines that are not to alarm.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Heard, Mosquitto};
use crate::support::schema;
use crate::support::wobble::{lines, wobble};

#[test]
fn machines_that_fail_together_are_one_flood_with_every_event_on_record() {
    const MACHINES: usize = 16;
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "[machine_defaults]\ncalibrate = 60\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    for machine in 0..MACHINES {
        let rows = lines(0..120, 0.0) + &lines(120..160, 30.0);
        broker.publish_lines(&format!("plant/m{machine}/telemetry"), &rows);
    }
    let flood = subscriber.wait("the flood", |heard| heard.payload["state"] == "flood").payload;
    assert!(flood["text"].as_str().unwrap().contains("one common cause"), "{flood}");
    while subscriber.on("/event").count() < MACHINES {
        subscriber.wait("an event of every machine", |heard| heard.topic.ends_with("/event"));
    }
    let announced = subscriber.on("/event").filter(|event| event["announced"] == true).count();
    assert_eq!(announced, 10, "of {MACHINES}; the flood stands for the others");
    let floods = subscriber.on("/flood").filter(|flood| flood["state"] == "flood").count();
    assert_eq!(floods, 1, "one summary");
    subscriber.on("/event").for_each(|event| schema::assert_valid("alarm", event));
    assert_eq!(gateway.stop(), Some(0));

    let mut late = broker.subscribe("wheeltapper/v1/g1/#");
    late.drain(Duration::from_secs(1));
    let standing = late.on("/alarm").filter(|alarm| alarm["state"] == "unacknowledged").count();
    assert_eq!(standing, MACHINES, "the retained alarms are complete");
    assert!(late.on("/performance").next().unwrap()["annunciations"]["total"].is_u64());
}

#[test]
fn a_machine_that_stands_neither_learns_nor_alarms_and_one_under_maintenance_says_so() {
    let broker = Mosquitto::start();
    let more = "[machine_defaults]\ncalibrate = 60\nrunning = { channel = \"rpm\", above = 100.0, starting = \"5s\" }\n\
                [[maintenance]]\nmachine = \"w\"\nfrom = \"2026-01-01T00:00:00Z\"\nuntil = \"2026-01-01T23:59:59Z\"\n\
                every = \"24h\"\n[[machine]]\nname = \"w\"\n";
    let setup = Setup::new(broker.port, more);
    let mut subscriber = broker.subscribe("wheeltapper/v1/g1/#");
    let gateway = setup.run();
    let status = subscriber.wait("the status", |heard| heard.payload["machines"]["w"]["suppressed_by"].is_string());
    assert_eq!(status.payload["machines"]["w"]["suppressed_by"], "maintenance");
    let rows = |range: std::ops::Range<u64>, rpm: f64, moved: f64| -> String {
        let row = |t| {
            let stamp = 1_795_538_400 + t;
            format!("{{\"time\":{stamp},\"rpm\":{},\"b\":{}}}\n", rpm + wobble(t, 1), wobble(t, 2) + moved)
        };
        range.map(row).collect()
    };
    broker.publish_lines("plant/m/telemetry", &rows(0..50, 1450.0, 0.0));
    broker.publish_lines("plant/m/telemetry", &rows(50..150, 0.0, -40.0));
    let stands = subscriber.wait("the stop", |heard| heard.payload["machines"]["m"]["suppressed_by"] == "stopped");
    assert_eq!(stands.payload["machines"]["m"]["state"], "learning 50/60");
    broker.publish_lines("plant/m/telemetry", &rows(150..260, 1450.0, 0.0));
    let scores = subscriber.wait("scores", |heard| heard.payload["machines"]["m"]["state"] == "scoring").payload;
    assert_eq!(scores["machines"]["m"].get("suppressed_by"), None);
    broker.publish_lines("plant/m/telemetry", &rows(260..300, 1450.0, 30.0));
    subscriber.wait("the alarm", |heard| heard.payload["state"] == "unacknowledged");
    broker.publish_lines("plant/m/telemetry", &rows(300..310, 0.0, -40.0));
    let silent = subscriber.wait("the silence", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!((&silent["state"], &silent["reason"]), (&json!("suppressed"), &json!("stopped")));
    schema::assert_valid("alarm", &silent);
    broker.publish_lines("plant/m/telemetry", &rows(310..420, 1450.0, 0.0));
    let back = subscriber.wait("the alarm to come back", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!((&back["state"], &back["id"]), (&json!("unacknowledged"), &silent["id"]), "nobody has acknowledged it");
    subscriber.wait("the return", |heard| heard.payload["state"] == "returned_unacknowledged");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_state_folder_that_is_lost_costs_no_machine_its_episode_or_its_seq() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let raised = broker.raise(&mut subscriber);
    gateway.kill();
    std::fs::remove_dir_all(setup.folder.path().join("state")).unwrap();

    let gateway = setup.run();
    subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
    subscriber.heard.clear();
    broker.publish_lines("plant/m/telemetry", &lines(0..10, 0.0));
    subscriber.wait("a machine that learns anew", |heard| heard.payload["machines"]["m"].is_object());
    let command = json!({ "id": "c-1", "operator": "m.ito" }).to_string();
    broker.publish("wheeltapper/v1/g1/m/cmd/ack", command.as_bytes());
    let event = subscriber.wait("the acknowledgement", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!((&event["id"], event["seq"].as_u64()), (&raised["id"], raised["seq"].as_u64().map(|seq| seq + 1)));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_state_folder_that_is_older_than_the_retained_alarm_does_not_put_its_own_in_its_place() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &(lines(0..460, 0.0) + &lines(460..500, 9.0)));
    subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/alarm"));
    subscriber.drain(Duration::from_secs(1));
    // Power goes while the disk is full: what came after this never reached it.
    let [state, kept] = ["state", "kept"].map(|folder| setup.folder.path().join(folder));
    let copy = |from: &Path, to: &Path| Command::new("cp").arg("-r").args([from, to]).status().unwrap().success();
    assert!(copy(&state, &kept));
    let command = json!({ "id": "c-1", "operator": "m.ito" }).to_string();
    broker.publish("wheeltapper/v1/g1/m/cmd/ack", command.as_bytes());
    let acknowledged = |heard: &Heard| heard.topic.ends_with("/m/alarm") && heard.payload["state"] == "acknowledged";
    let newest = subscriber.wait("the acknowledgement", acknowledged).payload;
    gateway.kill();
    std::fs::remove_dir_all(&state).unwrap();
    assert!(copy(&kept, &state));

    // Twice: what the broker has told once must be known here from then on.
    for _ in 0..2 {
        let gateway = setup.run();
        subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
        // It announces its alarms again within a second.
        subscriber.drain(Duration::from_secs(3));
        let retained = broker.subscribe("wheeltapper/v1/g1/m/alarm").wait("the retained alarm", |_| true).payload;
        for member in ["id", "seq", "state"] {
            assert_eq!(retained[member], newest[member], "{retained}");
        }
        gateway.kill();
    }
}

#[test]
fn telemetry_that_waited_in_the_session_does_not_run_ahead_of_the_retained_alarms() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let before = broker.raise(&mut subscriber);
    assert_eq!(gateway.stop(), Some(0));
    std::fs::remove_dir_all(setup.folder.path().join("state/outbox")).unwrap();
    std::fs::remove_file(setup.folder.path().join("state/machines.state")).unwrap();
    broker.publish_lines("plant/m/telemetry", &(lines(500..560, 9.0) + &lines(560..700, 0.0)));

    subscriber.heard.clear();
    let gateway = setup.run();
    subscriber.wait("the return", |heard| heard.payload["state"] == "returned_unacknowledged");
    subscriber.drain(Duration::from_secs(1));
    let told: Vec<(&str, u64)> = subscriber
        .on("/m/event")
        .map(|event| (event["id"].as_str().unwrap(), event["seq"].as_u64().unwrap()))
        .collect();
    let next = before["seq"].as_u64().unwrap() + 1;
    let expected: Vec<_> = (next..).map(|seq| (before["id"].as_str().unwrap(), seq)).take(told.len()).collect();
    assert_eq!(told, expected, "the same episode, and no seq twice");
    assert_eq!(gateway.stop(), Some(0));
}
