//! Synthetic telemetry beside a running machine: never mistaken for the machine's own, and without any effect on its scores.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, Subscriber, wait_for};
use crate::support::wobble::lines;

fn scores(subscriber: &Subscriber) -> Vec<(String, String)> {
    subscriber.on("/m/score").map(|score| (score["score"].to_string(), score["contributions"].to_string())).collect()
}

#[test]
fn a_twin_of_a_machine_of_no_kind_speaks_beside_it_and_its_scores_stay_as_they_are() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "[score]\nevery = \"0s\"\n[[twin]]\nmachine = \"m\"\nseed = 7\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..400, 0.0));
    let file = setup.folder.path().join("state/generator/m.json");
    wait_for("the generator", Duration::from_secs(20), || file.exists());
    broker.publish_lines("plant/m/telemetry", &lines(400..440, 0.0));
    let twin = subscriber.wait("the twin", |heard| heard.topic == "wheeltapper/v1/g1/m/twin").payload;
    subscriber.drain(Duration::from_secs(2));
    assert_eq!((&twin["synthetic"], &twin["label"], &twin["imputed"]), (&json!(true), &json!({}), &json!([])));
    assert_eq!((&twin["generator"]["name"], &twin["generator"]["seed"]), (&json!("fitted"), &json!(7)));
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(twin["generator"]["sha256"], written["sha256"]);
    assert!(twin["values"].as_object().unwrap().values().all(serde_json::Value::is_number));
    let beside = scores(&subscriber);

    // What it says comes back on no input, even if somebody sends it there.
    let before = subscriber.on("/status").last().unwrap()["rejected"]["unknown_topic"].as_u64();
    broker.publish("wheeltapper/v1/g1/m/twin", b"{\"b\":1000}");
    subscriber.drain(Duration::from_secs(2));
    assert_eq!(scores(&subscriber), beside);
    assert_eq!(subscriber.on("/status").last().unwrap()["rejected"]["unknown_topic"].as_u64(), before);
    assert_eq!(gateway.stop(), Some(0));

    let alone = Setup::new(broker.port, "[score]\nevery = \"0s\"\n");
    let (mut subscriber, gateway) = broker.with_gateway(&alone);
    broker.publish_lines("plant/m/telemetry", &lines(0..440, 0.0));
    subscriber.drain(Duration::from_secs(2));
    assert_eq!(subscriber.on("/m/twin").count(), 0, "off unless asked for");
    assert_eq!(scores(&subscriber), beside);
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_twin_fills_in_what_its_machine_left_out_and_says_so() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "[[twin]]\nmachine = \"m\"\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..400, 0.0));
    let file = setup.folder.path().join("state/generator/m.json");
    wait_for("the generator", Duration::from_secs(20), || file.exists());
    let gap: String = lines(400..420, 0.0)
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            row.as_object_mut().unwrap().remove("b");
            format!("{row}\n")
        })
        .collect();
    broker.publish_lines("plant/m/telemetry", &gap);
    let twin = subscriber.wait("the twin", |heard| heard.topic.ends_with("/m/twin")).payload;
    assert_eq!(twin["imputed"], json!(["b"]));
    assert!(twin["values"]["b"].is_number());
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn data_of_a_machine_of_no_kind_come_out_of_its_own_calibration_the_same_for_the_same_seed() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let config = setup.config.to_str().unwrap();
    let out = |name: &str| setup.folder.path().join(name);
    let generate = |name: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        command.args(["generate", "--machine", "m", "--config", config, "--windows", "5"]).args(more);
        command.arg("--out").arg(out(name)).output().unwrap()
    };
    let early = generate("early.csv", &[]);
    assert_eq!(early.status.code(), Some(1));
    let told = String::from_utf8(early.stderr).unwrap();
    assert!(told.contains("no generator was fitted to it yet") && told.contains("wheeltapper calibrate"), "{told}");

    let (_subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..410, 0.0));
    let file = out("state/generator/m.json");
    wait_for("the generator", Duration::from_secs(20), || file.exists());
    assert_eq!(gateway.stop(), Some(0));
    for (name, seed) in [("one.csv", "1"), ("again.csv", "1"), ("other.csv", "2")] {
        let made = generate(name, &["--seed", seed]);
        assert!(made.status.success(), "{made:?}");
    }
    let text = |name: &str| std::fs::read_to_string(out(name)).unwrap();
    assert!(text("one.csv").starts_with("window,time,a,b,c\n"));
    assert_eq!(text("one.csv").lines().count(), 1 + 5 * 60);
    assert_eq!(text("one.csv"), text("again.csv"));
    assert_ne!(text("one.csv"), text("other.csv"));
    let lineage: serde_json::Value = serde_json::from_str(&text("one.csv.lineage.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&lineage["synthetic"], &lineage["generator"]["family"]), (&json!(true), &json!("fitted")));
    assert_eq!(lineage["generator"]["sha256"], kept["sha256"]);

    let labelled = generate("worn.csv", &["--label", "pump=2"]);
    assert_eq!(labelled.status.code(), Some(2), "it knows no faults: {labelled:?}");
}
