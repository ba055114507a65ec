//! The whole way through a real broker: telemetry in, scores and alarms with advice out.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, free_port};
use crate::support::rig;
use crate::support::schema;
use crate::support::wobble::{lines, wobble};
use serde_json::Value;
use wheeltapper::outbox::Publication;
use wheeltapper::transport::{Link, LinkEvent, LinkOptions, Qos, Refusal};

/// Columns of the rig's recording that are no channels.
const LABELS: &str = "run,cycle,second,cooler,valve,pump,accumulator,unstable";
const EVERY_SCORE: &str = "[score]\nevery = \"0s\"\n";

#[test]
fn a_leaking_pump_raises_one_alarm_with_advice_and_a_sound_rig_none() {
    let Some(recording) = recording(&[130, 141, 135, 131]) else { return };
    let broker = Mosquitto::start();
    let setup =
        Setup::new(broker.port, "[machine_defaults]\nkind = \"hydraulic-rig\"\ncalibrate = 400\ncadence = \"1s\"\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);

    replay(&broker, recording.path(), "plant/rig-1/telemetry");
    subscriber.wait("the alarm", |heard| heard.topic.ends_with("/rig-1/event"));
    subscriber.drain(Duration::from_secs(2));
    assert_eq!(gateway.stop(), Some(0));
    subscriber.wait("the farewell", |heard| heard.payload["state"] == "offline");

    let events: Vec<&Value> = subscriber.on("/rig-1/event").filter(|event| event["replayed"] == false).collect();
    let episodes: std::collections::BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(episodes.len(), 1, "one open episode a machine");
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], index as u64 + 1, "seq has no holes");
        schema::assert_valid("alarm", event);
    }
    let raised = events[0];
    assert_eq!(raised["state"], "unacknowledged");
    let named: Vec<&str> = contributions(raised).into_iter().take(2).collect();
    assert!(named.contains(&"FS1") || named.contains(&"SE"), "flow or efficiency is named: {named:?}");
    assert_eq!(raised["recommendation"]["playbook"], "hydraulic/internal_pump_leakage");
    assert_eq!(raised["replayed"], false);
    let newest = subscriber.on("/rig-1/alarm").last().unwrap();
    assert_eq!(
        (&newest["seq"], &newest["state"]),
        (&events[events.len() - 1]["seq"], &events[events.len() - 1]["state"])
    );
    for status in subscriber.on("/status") {
        schema::assert_valid("status", status);
    }
    let engines: Vec<&Value> = subscriber.on("/status").map(|status| &status["machines"]["rig-1"]["engine"]).collect();
    assert!(engines.contains(&&Value::from("ring")), "{engines:?}");
    for score in subscriber.on("/rig-1/score") {
        schema::assert_valid("score", score);
    }
    // Run 135 begins after 600 rows of run 130 and 60 of run 141, all of them sound.
    let scored = first_rows(&score_json(recording.path(), &["--kind", "hydraulic-rig"]));
    assert_eq!(scored.len(), 1);
    assert!(scored[0] > 660, "no alarm while the rig is sound, the first one at row {}", scored[0]);
}

#[test]
fn the_same_recording_gives_the_same_scores_live_and_through_score_bit_for_bit() {
    let Some(recording) = recording(&[130, 141, 135]) else { return };
    let broker = Mosquitto::start();
    let kind = "[[machine]]\nname = \"rig-1\"\nkind = \"hydraulic-rig\"\n";
    let setup = Setup::new(broker.port, &format!("{EVERY_SCORE}{kind}"));
    let mut subscriber = broker.subscribe("wheeltapper/v1/g1/+/score");
    let _gateway = setup.run();
    std::thread::sleep(Duration::from_millis(500));
    for (machine, arguments) in [("rig-1", &["--kind", "hydraulic-rig"][..]), ("other", &["--ignore", LABELS][..])] {
        let topic = format!("plant/{machine}/telemetry");
        replay_with(&broker, recording.path(), &topic, if machine == "other" { &["--ignore", LABELS] } else { &[] });
        subscriber.drain(Duration::from_secs(2));
        let live: Vec<Option<f64>> =
            subscriber.on(&format!("/{machine}/score")).map(|score| score["score"].as_f64()).collect();
        let offline = score_column(recording.path(), arguments);
        assert_eq!(live.len(), offline.len(), "a score for every row of {machine}");
        let same =
            live.iter().zip(&offline).filter(|(live, offline)| live.map(f64::to_bits) == offline.map(f64::to_bits));
        assert_eq!(same.count(), live.len(), "bit for bit for {machine}");
        assert!(live.iter().flatten().count() > 800);
    }
}

#[test]
fn a_restart_in_the_middle_of_learning_and_of_scoring_changes_no_score() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, EVERY_SCORE);
    let mut subscriber = broker.subscribe("wheeltapper/v1/g1/+/score");
    let parts = [0..150, 150..500, 500..900];
    for part in parts.clone() {
        let gateway = setup.run();
        let messages = part.map(|t| ("plant/m/telemetry".to_owned(), lines(t..t + 1, 0.0)));
        // The broker holds back what comes before the gateway is there.
        std::thread::sleep(Duration::from_millis(700));
        publish_in_turn(broker.port, messages);
        subscriber.drain(Duration::from_secs(1));
        assert_eq!(gateway.stop(), Some(0));
    }
    let live: Vec<Option<f64>> = subscriber.on("/m/score").map(|score| score["score"].as_f64()).collect();
    let mut recording = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    writeln!(recording, "a,b,c").unwrap();
    for t in 0..900 {
        writeln!(recording, "{},{},{}", wobble(t, 1), wobble(t, 2), wobble(t, 3)).unwrap();
    }
    let offline = score_column(recording.path(), &[]);
    assert_eq!(live.len(), 900);
    assert_eq!(live.iter().flatten().count(), 500, "it learned from the first 400, across a restart");
    assert!(live.iter().zip(&offline).all(|(live, offline)| live.map(f64::to_bits) == offline.map(f64::to_bits)));
}

#[test]
fn one_value_a_topic_is_scored_like_one_object_a_message() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, EVERY_SCORE);
    let mut subscriber = broker.subscribe("wheeltapper/v1/g1/+/score");
    let _gateway = setup.run();
    std::thread::sleep(Duration::from_millis(500));
    let rows: Vec<[f64; 2]> = (0..460).map(|t| [wobble(t, 1), wobble(t, 2)]).collect();
    let whole = rows.iter().map(|[a, b]| ("plant/whole/telemetry".to_owned(), format!("{{\"a\":{a},\"b\":{b}}}")));
    let single = rows.iter().flat_map(|row| {
        ["a", "b"].into_iter().zip(row).map(|(channel, value)| (format!("values/single/{channel}"), value.to_string()))
    });
    publish_in_turn(broker.port, whole.chain(single));
    subscriber.drain(Duration::from_secs(2));
    let scores = |machine: &str| -> Vec<Option<f64>> {
        subscriber.on(&format!("/{machine}/score")).map(|score| score["score"].as_f64()).collect()
    };
    assert_eq!(scores("whole").len(), 460);
    assert_eq!(scores("whole"), scores("single"));
    assert!(scores("whole")[459].is_some());
}

#[test]
fn each_bad_payload_is_counted_by_cause_and_hinders_no_neighbour() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, EVERY_SCORE);
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let future = "{\"time\":\"2999-01-01T00:00:00Z\",\"a\":1}";
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000));
    let oversize = format!("{{\"a\":1,\"x\":\"{}\"}}", "y".repeat(300 * 1024));
    for payload in [
        "not json",
        "[1,2,3]",
        "{\"a\":",
        &deep,
        "{\"a\":NaN}",
        "{\"a\":-Infinity}",
        "{\"a\":1e400}",
        "{}",
        "{\"a\":null}",
        "{\"a\":1,\"a\":2}",
        "{\"time\":\"noon\",\"a\":1}",
        future,
        &oversize,
    ] {
        broker.publish("plant/bad/telemetry", payload.as_bytes());
    }
    broker.publish("plant/bad/telemetry", b"{\"a\":\"\xff\xfe\"}");
    broker.publish("plant/bad/telemetry", b"{\"time\":1600000010,\"a\":1}");
    broker.publish("plant/bad/telemetry", b"{\"time\":1600000020,\"a\":1}");
    broker.publish("plant/bad/telemetry", b"{\"time\":1600000020,\"a\":1}");
    broker.publish("plant/bad/telemetry", b"{\"time\":1600000005,\"a\":1}");
    broker.publish("values/bad/on", b"on");
    broker.publish("values/bad/nan", b"nan");
    broker.publish("plant/good/telemetry", b"{\"a\":1}");
    broker.publish("plant/good/telemetry", b"{\"a\":2}");
    let status = subscriber.wait("every cause to be counted", |heard| {
        let rejected = &heard.payload["rejected"];
        [
            ("malformed", 4),
            ("non_finite", 4),
            ("no_reading", 3),
            ("duplicate_key", 1),
            ("bad_time", 1),
            ("future", 1),
            ("oversize", 1),
            ("not_utf8", 1),
            ("duplicate", 1),
            ("late", 1),
        ]
        .iter()
        .all(|(cause, count)| rejected[cause] == *count)
    });
    schema::assert_valid("status", &status.payload);
    assert_eq!(status.payload["machines"]["good"]["state"], "learning 2/400");
    assert_eq!(gateway.stop(), Some(0));
    let log = std::fs::read_to_string(setup.log()).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn after_kill_9_the_same_episode_goes_on_with_the_calibration_that_was_learned() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, EVERY_SCORE);
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..460, 0.0));
    broker.publish_lines("plant/m/telemetry", &lines(460..500, 9.0));
    let raised = subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!(contributions(&raised)[0], "b", "the channel that was moved is named first");
    gateway.kill();
    subscriber.wait("the last will", |heard| heard.payload["state"] == "offline");

    let gateway = setup.run();
    let back = subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
    assert_eq!(back.payload["machines"]["m"]["state"], "scoring", "it need not learn again");
    broker.publish_lines("plant/m/telemetry", &lines(500..560, 9.0));
    broker.publish_lines("plant/m/telemetry", &lines(560..700, 0.0));
    let returned = subscriber.wait("the return", |heard| {
        heard.topic.ends_with("/m/event") && heard.payload["state"] == "returned_unacknowledged"
    });
    assert_eq!(returned.payload["id"], raised["id"], "no second episode");
    // What was not confirmed when the power went is sent again, and says so.
    let again = |event: &&Value| event["replayed"] == true;
    let first = subscriber.on("/m/event").filter(|event| !again(event));
    let seqs: Vec<u64> = first.map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "seq goes on without a hole");
    for event in subscriber.on("/m/event").filter(again) {
        let same = |first: &&Value| {
            first["seq"] == event["seq"] && first["id"] == event["id"] && first["state"] == event["state"]
        };
        assert!(subscriber.on("/m/event").filter(|event| !again(event)).any(|first| same(&first)));
    }
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn an_alarm_that_has_ended_is_not_raised_again_by_charts_from_before_a_power_cut() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, EVERY_SCORE);
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &(lines(0..460, 0.0) + &lines(460..500, 9.0)));
    subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/event"));
    // What no transition tells of is written down soon, with the charts as they are: far above the limit.
    for id in ["c-1", "c-2"] {
        let command = format!("{{\"id\":\"{id}\",\"operator\":\"m.ito\"}}");
        broker.publish("wheeltapper/v1/g1/m/cmd/ack", command.as_bytes());
    }
    subscriber.wait("the second answer", |heard| heard.payload["id"] == "c-2");
    subscriber.drain(Duration::from_secs(2));
    broker.publish_lines("plant/m/telemetry", &lines(500..640, 0.0));
    let ended = subscriber.wait("the end", |heard| heard.payload["state"] == "normal").payload;
    subscriber.drain(Duration::from_millis(500));
    gateway.kill();

    let gateway = setup.run();
    subscriber.wait("the gateway to be back", |heard| heard.payload["machines"]["m"]["state"] == "scoring");
    subscriber.heard.clear();
    broker.publish_lines("plant/m/telemetry", &lines(640..700, 0.0));
    subscriber.wait("the last score", |heard| heard.topic.ends_with("/m/score"));
    subscriber.drain(Duration::from_secs(2));
    assert!(subscriber.on("/m/score").count() >= 50, "it goes on scoring");
    assert!(subscriber.on("/m/alarm").all(|alarm| alarm["id"] == ended["id"] && alarm["seq"] == ended["seq"]));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_gateway_starts_without_a_broker_and_finds_it_when_it_comes() {
    let port = free_port();
    let setup = Setup::new(port, EVERY_SCORE);
    let _gateway = setup.run();
    std::thread::sleep(Duration::from_millis(700));
    let broker = Mosquitto::start_on(port);
    let mut subscriber = broker.subscribe("wheeltapper/v1/g1/#");
    subscriber.wait("the gateway to be online", |heard| heard.payload["state"] == "online");
    broker.publish_lines("plant/m/telemetry", &lines(0..3, 0.0));
    subscriber.wait("a score message", |heard| heard.topic.ends_with("/m/score"));
}

/// Runs of the rig, one after another.
fn recording(runs: &[u32]) -> Option<tempfile::NamedTempFile> {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    rig::Rig::open()?.write(runs, file.path());
    Some(file)
}

/// The first row of each episode in a `score --json` summary.
fn first_rows(summary: &Value) -> Vec<u64> {
    summary["episodes"].as_array().unwrap().iter().map(|episode| episode["from_row"].as_u64().unwrap()).collect()
}

fn replay(broker: &Mosquitto, recording: &Path, topic: &str) {
    replay_with(broker, recording, topic, &[]);
}

fn replay_with(broker: &Mosquitto, recording: &Path, topic: &str, more: &[&str]) {
    let played = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
        .args(["replay", recording.to_str().unwrap(), "--publish", &broker.url(), "--topic", topic, "--rate", "400"])
        .args(more)
        .status()
        .unwrap();
    assert!(played.success());
}

fn score_column(recording: &Path, arguments: &[&str]) -> Vec<Option<f64>> {
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
        .args(["score", recording.to_str().unwrap(), "--calibrate", "400"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success());
    let mut table = csv::Reader::from_reader(output.stdout.as_slice());
    table.records().map(|record| record.unwrap()[1].parse().ok()).collect()
}

fn score_json(recording: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
        .args(["score", recording.to_str().unwrap(), "--calibrate", "400", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn contributions(alarm: &Value) -> Vec<&str> {
    alarm["contributions"].as_array().unwrap().iter().map(|part| part["channel"].as_str().unwrap()).collect()
}

/// Publishes messages on changing topics in their order, no faster than scores can be published.
fn publish_in_turn(port: u16, messages: impl Iterator<Item = (String, String)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (link, mut events) = Link::start(LinkOptions::new("127.0.0.1", port, "in-turn")).unwrap();
        while !matches!(events.recv().await, Some(LinkEvent::Connected { .. })) {}
        for (topic, payload) in messages {
            let mut publication = Publication { topic, payload: payload.into_bytes(), retain: false };
            while let Err(Refusal::Full(back) | Refusal::Offline(back)) =
                link.publish_now(publication, Qos::AtLeastOnce)
            {
                publication = back;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        link.disconnect().await;
    });
}
