//! SIGHUP: a running gateway takes over what has changed in its configuration, and nothing else changes.

use std::fs;
use std::time::Duration;

use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, wait_for};
use crate::support::wobble::lines;

/// With the old text of the configuration replaced by the new.
fn rewrite(setup: &Setup, old: &str, new: &str) {
    let text = fs::read_to_string(&setup.config).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(&setup.config, text.replace(old, new)).unwrap();
}

fn told(setup: &Setup, times: usize, what: &str) {
    wait_for(what, Duration::from_secs(30), || {
        fs::read_to_string(setup.log()).unwrap_or_default().matches(what).count() >= times
    });
}

#[test]
fn a_reload_brings_new_inputs_and_delays_and_leaves_the_other_machines_in_the_middle_of_what_they_do() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "[machine_defaults]\ncadence = \"1s\"\n[score]\nevery = \"0s\"\n");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..200, 0.0));
    subscriber.wait("half a calibration", |heard| heard.payload["machines"]["m"]["state"] == "learning 200/400");

    rewrite(&setup, "plant/{machine}/telemetry", "hall/{machine}/telemetry");
    rewrite(&setup, "[score]", "[alarm]\nraise_after = \"20s\"\nclear_after = \"5s\"\n[score]");
    gateway.reload();
    told(&setup, 1, "took over the new configuration");
    broker.publish_lines("hall/m/telemetry", &lines(200..460, 0.0));
    broker.publish_lines("plant/other/telemetry", &lines(0..10, 0.0));
    subscriber.wait("the other half, from the new topic", |heard| heard.payload["machines"]["m"]["state"] == "scoring");
    broker.publish_lines("hall/m/telemetry", &lines(460..500, 9.0));
    let raised = subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/event")).payload;
    subscriber.drain(Duration::from_secs(2));
    let scores: Vec<f64> = subscriber.on("/m/score").filter_map(|score| score["score"].as_f64()).collect();
    let above = scores.iter().position(|score| *score > 1.0).unwrap();
    assert_eq!(
        raised["score"].as_f64(),
        Some(scores[above + 19]),
        "twenty samples after the first one above the limit"
    );
    let heard_of_other = subscriber.heard.iter().any(|heard| heard.topic.contains("/other/"));
    assert!(!heard_of_other, "the old topic is no longer subscribed to");
    let log = fs::read_to_string(setup.log()).unwrap();
    assert_eq!(log.matches("connected to the broker").count(), 1, "the connection stayed");

    rewrite(&setup, "raise_after", "raise-after");
    gateway.reload();
    told(&setup, 1, "raise-after");
    rewrite(&setup, "raise-after", "raise_after");
    rewrite(&setup, "gateway = \"g1\"", "gateway = \"g2\"");
    gateway.reload();
    told(&setup, 1, "gateway has changed, which needs a restart");
    broker.publish_lines("hall/m/telemetry", &lines(500..640, 0.0));
    subscriber.wait("the old configuration to go on", |heard| heard.payload["state"] == "returned_unacknowledged");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn another_broker_is_turned_to_with_everything_that_the_first_has_not_confirmed() {
    let (first, second) = (Mosquitto::start(), Mosquitto::start());
    let setup = Setup::new(first.port, "");
    let mut at_second = second.subscribe("wheeltapper/v1/g1/#");
    let (mut at_first, gateway) = first.with_gateway(&setup);
    let raised = first.raise(&mut at_first);
    rewrite(&setup, &format!("port = {}", first.port), &format!("port = {}", second.port));
    gateway.reload();
    at_second.wait("the gateway at the second broker", |heard| heard.payload["state"] == "online");
    let again = at_second.wait("the alarm, announced again", |heard| heard.topic.ends_with("/m/alarm")).payload;
    assert_eq!((&again["id"], &again["seq"]), (&raised["id"], &raised["seq"]));
    at_first.wait("a proper farewell", |heard| heard.payload["state"] == "offline");
    second.publish_lines("plant/m/telemetry", &lines(500..640, 0.0));
    at_second.wait("the return", |heard| heard.payload["state"] == "returned_unacknowledged");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_filter_of_an_earlier_configuration_is_ended_after_a_restart_too() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    assert_eq!(gateway.stop(), Some(0));
    rewrite(&setup, "plant/{machine}/telemetry", "hall/{machine}/telemetry");
    let gateway = setup.run();
    subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
    broker.publish_lines("plant/m/telemetry", &lines(0..10, 0.0));
    broker.publish_lines("hall/n/telemetry", &lines(0..10, 0.0));
    let status = subscriber.wait("the new machine", |heard| heard.payload["machines"]["n"].is_object()).payload;
    assert_eq!(status["rejected"]["unknown_topic"], 0, "what nobody wants is not delivered any more");
    assert_eq!(gateway.stop(), Some(0));
}
