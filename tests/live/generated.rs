//! Synthetic telemetry through a real broker: in order whatever breaks, with the truth beside it, and alarms where the truth
//! says so.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::broken_line::BrokenLine;
use crate::support::gateway::Setup;
use crate::support::mosquitto::{Heard, Mosquitto, Subscriber};

#[test]
fn a_published_series_is_the_one_of_its_seed_in_order_although_its_connection_breaks() {
    let broker = Mosquitto::start();
    let line = BrokenLine::to(broker.port, 300_000);
    let mut subscriber = broker.subscribe("plant/rig-1/#");
    let asked = ["--windows", "20", "--label", "pump=2", "--seed", "5", "--start", "2026-03-01T00:00:00Z"];

    let published = publish(&line.url(), "rig-1", &[&asked[..], &["--rate", "0"]].concat());
    assert!(published.status.success(), "{published:?}");
    subscriber.drain(Duration::from_secs(2));
    assert!(line.cuts() >= 2, "the line broke {} times", line.cuts());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rig.csv");
    let written = generate(&asked).args(["--out", file.to_str().unwrap()]).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let mut table = csv::Reader::from_path(&file).unwrap();
    let names: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let telemetry = firsts(&subscriber, "/telemetry", |message| message["time"].clone());
    let truth = firsts(&subscriber, "/truth", |message| message["row"].clone());
    assert_eq!((telemetry.len(), truth.len()), (rows.len(), rows.len()));
    for ((row, message), truth) in rows.iter().zip(&telemetry).zip(&truth) {
        for (name, cell) in names.iter().zip(row) {
            match name.as_str() {
                "window" => assert_eq!(truth["window"].to_string(), cell),
                "time" => assert_eq!((&message["time"], &truth["time"]), (&cell.into(), &cell.into())),
                "cooler" | "valve" | "pump" | "accumulator" => {
                    assert_eq!(truth["label"][name].as_f64(), cell.parse().ok());
                    assert_eq!(message.get(name), None, "the telemetry does not give away what is wrong");
                }
                _ => assert_eq!(message[name].as_f64(), cell.parse().ok(), "{name}"),
            }
        }
        assert_eq!((&truth["synthetic"], &truth["generator"]["seed"]), (&true.into(), &5.into()));
    }
}

#[test]
fn an_endless_series_ends_with_ctrl_c_and_the_broker_has_all_that_was_published() {
    let broker = Mosquitto::start();
    let mut subscriber = broker.subscribe("plant/rig-1/telemetry");
    let arguments = ["--publish", &broker.url(), "--topic", "plant/rig-1/telemetry", "--rate", "200", "--json"];
    let endless = generate(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let first = subscriber.wait("telemetry", |_| true);
    assert_eq!(first.payload.get("time"), None, "at another pace than the clock's rows bear no time");
    for _ in 0..300 {
        subscriber.wait("more of it", |_| true);
    }
    let ended = interrupt(endless);
    assert!(ended.status.success(), "{ended:?}");
    subscriber.drain(Duration::from_secs(1));
    let summary: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(summary["rows"], subscriber.heard.len());
}

#[test]
fn at_real_time_rows_bear_the_time_at_which_they_are_published() {
    let broker = Mosquitto::start();
    let mut subscriber = broker.subscribe("plant/rig-1/telemetry");
    let real = generate(&["--publish", &broker.url(), "--topic", "plant/rig-1/telemetry"]).spawn().unwrap();
    let stamp = |heard: &Heard| heard.payload["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let first = stamp(&subscriber.wait("telemetry", |_| true));
    let passed = jiff::Timestamp::now().duration_since(first);
    assert!((0..30_000).contains(&passed.as_millis()), "stamped {passed:?} ago");
    let second = stamp(&subscriber.wait("a second row", |_| true));
    assert_eq!(second.duration_since(first), jiff::SignedDuration::from_secs(1));
    assert!(jiff::Timestamp::now() >= second, "nothing is stamped ahead of the clock");
    assert!(interrupt(real).status.success());
}

#[test]
fn a_gateway_raises_an_alarm_where_the_truth_says_so_and_none_where_it_says_healthy() {
    let broker = Mosquitto::start();
    let keys = "kind = \"hydraulic-rig\"\ncalibrate = 600\ncadence = \"1s\"\n[score]\nevery = \"0s\"\n";
    let setup = Setup::new(broker.port, &format!("[machine_defaults]\n{keys}"));
    let (mut subscriber, gateway) = broker.with_gateway(&setup);

    // One long series: ten minutes to learn from and half an hour more of a sound rig.
    let healthy = publish(&broker.url(), "rig-1", &["--windows", "40", "--seed", "11", "--rate", "400"]);
    assert!(healthy.status.success(), "{healthy:?}");
    subscriber.drain(Duration::from_secs(2));
    let scored = subscriber.on("/rig-1/score").filter(|score| score["score"].is_number()).count();
    assert_eq!(scored, 1800, "everything after the calibration is scored");
    assert_eq!(subscriber.on("/rig-1/event").count(), 0, "a sound rig raises nothing");

    let failing = ["--windows", "5", "--seed", "12", "--label", "cooler=3", "--rate", "400"];
    assert!(publish(&broker.url(), "rig-1", &failing).status.success());
    let raised = subscriber.wait("the alarm", |heard| heard.topic.ends_with("/rig-1/event")).payload;
    assert_eq!((&raised["state"], &raised["class"]), (&"unacknowledged".into(), &"condition".into()));
    assert!(
        raised["recommendation"]["playbook"].as_str().is_some_and(|playbook| playbook.contains("cool")),
        "advice on the cooler: {raised}"
    );
    assert_eq!(gateway.stop(), Some(0));
}

fn generate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    command.arg("generate").args(arguments);
    command
}

fn publish(url: &str, machine: &str, arguments: &[&str]) -> Output {
    let topic = format!("plant/{machine}/telemetry");
    generate(arguments).args(["--publish", url, "--topic", &topic]).output().unwrap()
}

/// As ctrl-C does.
fn interrupt(process: Child) -> Output {
    assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
    process.wait_with_output().unwrap()
}

/// What was heard, without what came again because nobody had confirmed it in time.
fn firsts(subscriber: &Subscriber, end: &str, key: impl Fn(&Value) -> Value) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    subscriber.on(end).filter(|message| seen.insert(key(message).to_string())).cloned().collect()
}
