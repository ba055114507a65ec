//! Synthetic telemetry beside a running machine: never mistaken for the machine's own, and without any effect on its scores.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use wheeltapper::generation::Rig;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, Subscriber, wait_for};
use crate::support::wobble::lines;

/// The rig's next rows as JSON objects, one a line.
fn rig_lines(rig: &mut Rig, rows: usize) -> String {
    let names: Vec<String> = rig.channels().map(|name| name.to_string()).collect();
    let mut row = Vec::new();
    let lines = (0..rows).map(|_| {
        rig.next_row(None, &mut row);
        let members = names.iter().cloned().zip(row.iter().map(|value| json!(value)));
        serde_json::Value::Object(members.collect()).to_string() + "\n"
    });
    lines.collect()
}

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
fn a_twin_of_a_rig_shows_it_with_a_leaking_pump_and_says_so() {
    let broker = Mosquitto::start();
    let keys = "kind = \"hydraulic-rig\"\ncalibrate = 600\ncadence = \"1s\"\n";
    let twin = "[[twin]]\nmachine = \"m\"\nmodel = \"hydraulic-latent\"\nlabel = \"pump=2\"\nseed = 3\n";
    let setup = Setup::new(broker.port, &format!("[machine_defaults]\n{keys}[score]\nevery = \"0s\"\n{twin}"));
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let mut rig = Rig::new(1).unwrap();
    broker.publish_lines("plant/m/telemetry", &rig_lines(&mut rig, 610));
    wait_for("the generator", Duration::from_secs(20), || setup.folder.path().join("state/generator/m.json").exists());
    // A cycle until it is encoded, and the twin speaks as long as the machine does.
    broker.publish_lines("plant/m/telemetry", &rig_lines(&mut rig, 290));
    subscriber.wait("the twin", |heard| heard.topic.ends_with("/m/twin"));
    subscriber.drain(Duration::from_secs(2));

    let manifest =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/hydraulic-latent/manifest.toml")).unwrap();
    let sha256: String = Sha256::digest(&manifest).iter().map(|byte| format!("{byte:02x}")).collect();
    let rows: Vec<_> = subscriber.on("/m/twin").collect();
    assert!(rows.len() > 60, "{} rows", rows.len());
    let healthy_but_for_it = json!({ "cooler": 100.0, "valve": 100.0, "pump": 2.0, "accumulator": 130.0 });
    for row in &rows {
        assert_eq!(
            (&row["synthetic"], &row["label"], &row["imputed"]),
            (&json!(true), &healthy_but_for_it, &json!([]))
        );
        assert_eq!((&row["generator"]["name"], &row["generator"]["seed"]), (&json!("hydraulic-latent"), &json!(3)));
        assert_eq!(row["generator"]["sha256"].as_str(), Some(&*sha256));
    }
    let flow = |row: &serde_json::Value| row["FS1"].as_f64().unwrap();
    let shown = rows.iter().map(|row| flow(&row["values"])).sum::<f64>() / rows.len() as f64;
    let own = rig_lines(&mut rig, 240);
    let own = own.lines().map(|line| flow(&serde_json::from_str(line).unwrap())).sum::<f64>() / 240.0;
    assert!(shown < 0.995 * own, "a leaking pump delivers less: {shown} beside {own}");
    assert_eq!(subscriber.on("/m/event").count(), 0, "the machine itself is sound, and only the machine is judged");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_twin_that_cannot_be_made_is_found_by_check() {
    for (keys, why) in [
        ("model = \"hydraulic-gan\"", "no encoder"),
        ("model = \"hydraulic-dae\"", "model:"),
        ("model = \"none\"", "there is no model package none"),
        ("model = \"hydraulic-vae\"\nlabel = \"pomp=2\"", "there is no label \"pomp\""),
        ("model = \"hydraulic-vae\"\nlabel = \"pump=any\"", "`any` has no place in it"),
        ("label = \"pump=2\"", "expected a `model` too"),
    ] {
        let setup = Setup::new(1883, &format!("[[twin]]\nmachine = \"m\"\n{keys}\n"));
        let mut check = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        let checked = check.args(["check", "--config", setup.config.to_str().unwrap()]).output().unwrap();
        let told = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(78), "{keys}: {told}");
        assert!(told.contains(why) && told.contains("wheeltapper.toml"), "{keys}: {told}");
    }
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
