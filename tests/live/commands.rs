//! An operator with nothing but `mosquitto_pub` and `mosquitto_sub` takes an alarm through its whole life.

use std::time::Duration;

use crate::support::gateway::{Gateway, Setup};
use crate::support::mosquitto::{Mosquitto, Subscriber};
use crate::support::schema;
use crate::support::wobble::lines;
use serde_json::{Value, json};

struct Operator {
    broker: Mosquitto,
    subscriber: Subscriber,
}

impl Operator {
    /// With a gateway that is on line.
    fn with_gateway() -> (Self, Setup, Gateway) {
        let broker = Mosquitto::start();
        let setup = Setup::new(broker.port, "");
        let (subscriber, gateway) = broker.with_gateway(&setup);
        (Self { broker, subscriber }, setup, gateway)
    }

    /// Sends a command and waits for its answer.
    fn command(&mut self, verb: &str, payload: Value) -> Value {
        self.broker.publish(&format!("wheeltapper/v1/g1/m/cmd/{verb}"), payload.to_string().as_bytes());
        let result = format!("/m/cmd/{verb}/result");
        let answer = self.subscriber.wait("the answer", |heard| heard.topic.ends_with(&result)).payload;
        schema::assert_valid_part("command", "result", &answer);
        assert_eq!(answer["id"], payload["id"]);
        answer
    }

    fn state(&mut self, state: &str) -> Value {
        let state = Value::from(state);
        self.subscriber
            .wait("the state", |heard| heard.topic.ends_with("/m/event") && heard.payload["state"] == state)
            .payload
    }

    fn telemetry(&self, rows: std::ops::Range<u64>, moved: f64) {
        self.broker.publish_lines("plant/m/telemetry", &lines(rows, moved));
    }
}

#[test]
fn a_restart_forgets_neither_what_was_said_nor_that_an_alarm_is_shelved() {
    let (mut operator, setup, gateway) = Operator::with_gateway();
    operator.telemetry(0..460, 0.0);
    operator.telemetry(460..500, 9.0);
    operator.state("unacknowledged");
    operator.subscriber.drain(Duration::from_secs(1));
    let raised = operator.subscriber.on("/m/alarm").last().unwrap().clone();
    gateway.kill();

    let gateway = setup.run();
    operator.subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
    operator.command("ack", json!({ "id": "c-1", "operator": "m.ito" }));
    let acknowledged = operator.subscriber.on("/m/alarm").last().unwrap().clone();
    schema::assert_valid("alarm", &acknowledged);
    for member in ["contributions", "diagnosis", "recommendation"] {
        assert_eq!(acknowledged[member], raised[member], "before any new sample the old {member} stand");
    }
    operator.command("shelve", json!({ "id": "c-2", "operator": "m.ito", "duration": "3s", "reason": "r" }));
    gateway.kill();

    let gateway = setup.run();
    let back = operator.state("acknowledged");
    assert_eq!(back["id"], raised["id"], "the machine is still broken for all that anybody knows");
    operator.telemetry(500..640, 0.0);
    assert_eq!(operator.state("normal")["id"], raised["id"]);
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn an_alarm_is_acknowledged_shelved_suppressed_and_replayed_by_hand() {
    let (mut operator, _setup, gateway) = Operator::with_gateway();

    let refused = operator.command("ack", json!({ "id": "c-0", "operator": "m.ito" }));
    assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!("this gateway knows no such machine")));
    operator.telemetry(0..460, 0.0);
    operator.telemetry(460..500, 9.0);
    let raised = operator.state("unacknowledged");

    let wrong = operator.command("ack", json!({ "id": "c-1", "operator": "m.ito", "episode": "another" }));
    assert_eq!(wrong["ok"], false);
    let acknowledged = operator.command("ack", json!({ "id": "c-2", "operator": "m.ito", "episode": raised["id"] }));
    assert_eq!((&acknowledged["ok"], &acknowledged["state"]), (&json!(true), &json!("acknowledged")));
    let again = operator.command("ack", json!({ "id": "c-2", "operator": "m.ito", "episode": raised["id"] }));
    assert_eq!(again, acknowledged, "the same command gives the same answer");

    let shelved = operator
        .command("shelve", json!({ "id": "c-3", "operator": "m.ito", "duration": "1h", "reason": "spare pump" }));
    assert_eq!(shelved["state"], "shelved");
    let event = operator.subscriber.on("/m/event").last().unwrap().clone();
    schema::assert_valid("alarm", &event);
    assert_eq!(
        (&event["state"], &event["reason"], &event["operator"]),
        (&json!("shelved"), &json!("spare pump"), &json!("m.ito"))
    );
    let endless =
        operator.command("shelve", json!({ "id": "c-4", "operator": "m.ito", "duration": "31d", "reason": "r" }));
    assert_eq!(endless["ok"], false);
    let back = operator.command("unshelve", json!({ "id": "c-5", "operator": "m.ito" }));
    assert_eq!(back["state"], "acknowledged", "as it was before");

    let suppressed = operator.command("suppress", json!({ "id": "c-6", "operator": "m.ito", "on": true }));
    assert_eq!(suppressed["state"], "suppressed");
    operator.subscriber.wait("the status to say so", |heard| heard.payload["machines"]["m"]["state"] == "suppressed");
    operator.command("suppress", json!({ "id": "c-7", "operator": "m.ito", "on": false }));
    operator.telemetry(500..640, 0.0);
    let ended = operator.state("normal");
    assert_eq!(ended["id"], raised["id"], "one episode from raise to return");

    operator.subscriber.heard.clear();
    operator.command("replay", json!({ "id": "c-8", "operator": "historian", "from_seq": 3 }));
    operator.subscriber.drain(Duration::from_secs(1));
    let again: Vec<u64> = operator.subscriber.on("/m/event").map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(again, (3..=ended["seq"].as_u64().unwrap()).collect::<Vec<_>>());
    assert!(operator.subscriber.on("/m/event").all(|event| event["replayed"] == true));

    let unreadable = "not json";
    operator.broker.publish("wheeltapper/v1/g1/m/cmd/ack", unreadable.as_bytes());
    let answer =
        operator.subscriber.wait("an answer to nonsense", |heard| heard.topic.ends_with("/cmd/ack/result")).payload;
    schema::assert_valid_part("command", "result", &answer);
    assert_eq!((&answer["id"], &answer["ok"]), (&Value::Null, &json!(false)));
    assert_eq!(gateway.stop(), Some(0));
}
