//! What the gateway says of what machines are judged against: no alarm, and no part of one.

use std::time::Duration;

use serde_json::json;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Heard, Mosquitto};
use crate::support::schema;
use crate::support::wobble::lines;

#[test]
fn parts_limit_and_calibration_of_a_machine_are_in_the_status_and_in_its_baseline() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "[machine_defaults]\ncalibrate = 100\n");
    let (mut subscriber, _gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..40, 0.0));
    let before = subscriber.wait("the baseline", |heard| heard.topic.ends_with("/m/baseline")).payload;
    assert_eq!((&before["state"], &before["calibration"]), (&json!("learning"), &json!(null)));
    broker.publish_lines("plant/m/telemetry", &lines(40..140, 0.0));
    let scoring = |heard: &Heard| heard.payload["machines"]["m"]["state"] == "scoring";
    let status = subscriber.wait("the status", scoring).payload;
    schema::assert_valid("status", &status);
    let machine = &status["machines"]["m"];
    let parts = machine["parts"].as_array().unwrap();
    let named: Vec<_> = parts.iter().map(|part| (part["name"].as_str().unwrap(), part["on"] == true)).collect();
    assert_eq!(named, [("channel_mewma", true), ("scatter", true), ("cycle", false), ("residual_mewma", false)]);
    assert!(parts.iter().all(|part| !part["why"].as_str().unwrap().is_empty()));
    assert_eq!((&machine["limit"]["nominal_rate"], &machine["limit"]["learning"]), (&json!(0.01), &json!(true)));
    assert!(machine["limit"]["factor"].is_number() && machine["limit"].get("realised_rate").is_some());
    assert_eq!((&machine["calibration"]["rows"], &machine["calibration"]["age_days"]), (&json!(100), &json!(0)));
    assert_eq!(machine.get("baseline"), None, "there is nothing to be said");
    let sound = subscriber.wait("the baseline", |heard| heard.payload["state"] == "sound");
    assert_eq!(sound.topic, "wheeltapper/v1/g1/m/baseline");
    assert_eq!(sound.payload["parts"], machine["parts"]);
}

#[test]
fn a_fault_within_the_calibration_is_said_with_times_and_channel() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, _gateway) = broker.with_gateway(&setup);
    let rows = lines(0..200, 0.0) + &lines(200..320, 6.0) + &lines(320..420, 0.0);
    broker.publish_lines("plant/m/telemetry", &rows);
    let status = subscriber.wait("the status", |heard| heard.payload["machines"]["m"]["baseline"] == "doubtful");
    schema::assert_valid("status", &status.payload);
    let doubtful = subscriber.wait("the baseline", |heard| heard.payload["state"] == "doubtful").payload;
    let doubt = &doubtful["doubt"];
    assert_eq!((&doubt["from_row"], &doubt["to_row"]), (&json!(201), &json!(320)));
    assert_eq!(doubt["channels"][0]["channel"], "b");
    assert!(doubt["from"].as_str().unwrap() <= doubt["to"].as_str().unwrap());
    assert!(doubtful["text"].as_str().unwrap().contains("calibrate again"));
    let log = std::fs::read_to_string(setup.log()).unwrap();
    assert!(log.contains("rows 201 to 320 of the calibration"), "{log}");
}

#[test]
fn a_regime_that_the_calibration_does_not_know_is_told_apart_from_the_alarm_and_over_a_restart() {
    let broker = Mosquitto::start();
    // An hour has sixty rows; a window is as long as the calibration.
    let setup = Setup::new(broker.port, "[machine_defaults]\ncadence = \"1m\"\ncalibrate = 200\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &(lines(0..650, 0.0) + &lines(650..990, 9.0)));
    subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/alarm"));
    subscriber.drain(Duration::from_secs(3));
    assert_eq!(subscriber.on("/m/baseline").last().unwrap()["state"], "sound", "one window is not enough");
    broker.publish_lines("plant/m/telemetry", &lines(990..1020, 9.0));
    let unknown = subscriber.wait("the regime", |heard| heard.payload["state"] == "unknown_regime");
    assert_eq!(unknown.topic, "wheeltapper/v1/g1/m/baseline");
    assert_eq!(unknown.payload["channels"][0]["channel"], "b");
    assert!(unknown.payload["text"].as_str().unwrap().contains("Not trained for this regime"));
    subscriber.drain(Duration::from_secs(1));
    assert_eq!(subscriber.on("/m/event").filter(|event| event["state"] != "unacknowledged").count(), 0);
    assert_eq!(gateway.stop(), Some(0));

    subscriber.heard.clear();
    let gateway = setup.run();
    let again = subscriber.wait("the baseline", |heard| heard.topic.ends_with("/m/baseline")).payload;
    assert_eq!((&again["state"], &again["since"]), (&unknown.payload["state"], &unknown.payload["since"]));
    // More than two sound windows, and the rows that the alarm takes to clear.
    broker.publish_lines("plant/m/telemetry", &lines(1020..1700, 0.0));
    subscriber.wait("the end of it", |heard| heard.payload["state"] == "sound");
    assert_eq!(gateway.stop(), Some(0));
}
