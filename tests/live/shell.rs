//! An operator at a terminal: each command of the alarm's life cycle as the built binary, over a real broker.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::mosquitto_dropin::{Guarded, PASSWORD};
use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, Subscriber};
use crate::support::schema;
use crate::support::wobble::lines;

/// A terminal of one operator.
struct Shell {
    /// What names the gateway.
    gateway: Vec<String>,
}

/// How a command ended and what it said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Shell {
    fn with_config(config: &Path) -> Self {
        Self { gateway: vec!["--config".to_owned(), config.to_str().unwrap().to_owned()] }
    }

    fn as_user(port: u16, user: &str, password_file: &Path) -> Self {
        let broker = format!("mqtt://{user}@127.0.0.1:{port}");
        let words = ["--broker", &broker, "--gateway", "g1", "--password-file", password_file.to_str().unwrap()];
        Self { gateway: words.map(str::to_owned).to_vec() }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        command.args(words).args(&self.gateway).env("USER", "m.ito").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn say(&self, words: &[&str]) -> Said {
        Said::from(self.command(words).output().unwrap())
    }

    /// Runs a command that does what it is told to.
    fn ok(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.code, Some(0), "{words:?}: {}{}", said.stdout, said.stderr);
        said.stdout
    }

    /// Runs a command that fails with this code and says this.
    fn fails(&self, code: i32, expected: &str, words: &[&str]) {
        let said = self.say(words);
        assert_eq!(said.code, Some(code), "{words:?}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(expected), "{words:?}: {expected:?} is not in {}", said.stderr);
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Self { code: output.status.code(), stdout, stderr }
    }
}

fn state(subscriber: &mut Subscriber, state: &str) -> Value {
    let wanted = Value::from(state);
    subscriber.wait(state, |heard| heard.topic.ends_with("/m/event") && heard.payload["state"] == wanted).payload
}

/// A gateway whose machine `m` stands in alarm, and that alarm.
fn alarmed() -> (Mosquitto, Setup, Subscriber, crate::support::gateway::Gateway, Value) {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.publish_lines("plant/m/telemetry", &lines(0..460, 0.0));
    broker.publish_lines("plant/m/telemetry", &lines(460..500, 9.0));
    state(&mut subscriber, "unacknowledged");
    // Its severity may rise once more.
    subscriber.drain(Duration::from_secs(1));
    let raised = subscriber.on("/m/alarm").last().unwrap().clone();
    (broker, setup, subscriber, gateway, raised)
}

fn journal(setup: &Setup) -> Vec<Value> {
    let text = std::fs::read_to_string(setup.folder.path().join("state/feedback.ndjson")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_alarm_is_taken_through_its_life_from_a_terminal() {
    let (broker, setup, mut subscriber, gateway, raised) = alarmed();
    let shell = Shell::with_config(&setup.config);
    let episode = raised["id"].as_str().unwrap();

    let listed = shell.ok(&["alarms"]);
    let line = listed.lines().nth(1).unwrap();
    for expected in ["m ", "unacknowledged", " ago", "b high", "generic/sensor_fault", "Read b at a local gauge"] {
        assert!(line.contains(expected), "{expected:?} is not in {listed}");
    }
    let shown: Value = serde_json::from_str(&shell.ok(&["alarms", "--machine", "m", "--json"])).unwrap();
    schema::assert_valid("status", &shown["status"]);
    schema::assert_valid("alarm", &shown["alarms"][0]);
    assert_eq!(shown["alarms"][0]["id"], raised["id"]);
    shell.fails(1, "the gateway g1 knows no machine \"n\"", &["alarms", "--machine", "n"]);

    // Two at once: both are told that it is acknowledged, and it was acknowledged once.
    let both = [(); 2].map(|()| shell.command(&["ack", "m", "--episode", episode]).spawn().unwrap());
    for said in both.map(Child::wait_with_output).map(|output| Said::from(output.unwrap())) {
        assert_eq!(
            (said.code, said.stdout.starts_with("m is acknowledged (episode ")),
            (Some(0), true),
            "{}",
            said.stderr
        );
    }
    shell.fails(1, "is not the open one", &["ack", "m", "--episode", "another"]);
    shell.fails(1, "knows no such machine", &["ack", "nobody"]);

    let shelve = |end: &[&'static str]| [&["shelve", "m", "--reason", "spare pump"], end].concat();
    shell.fails(2, "not a duration", &shelve(&["--for", "4x"]));
    shell.fails(2, "--for <DURATION>", &shelve(&[]));
    shell.fails(2, "cannot be used with", &shelve(&["--for", "4h", "--until", "2026-11-24T20:00:00Z"]));
    shell.fails(1, "30 days", &shelve(&["--for", "31d"]));
    shell.fails(1, "not into the past", &shelve(&["--until", "2026-01-01T00:00:00Z"]));
    assert!(shell.ok(&shelve(&["--for", "1.5h"])).starts_with("m is shelved"));
    assert!(shell.ok(&["alarms"]).contains("shelved, 1h"));
    assert!(shell.ok(&["unshelve", "m"]).starts_with("m is acknowledged"));
    shell.fails(1, "not shelved", &["unshelve", "m"]);
    assert!(shell.ok(&["suppress", "m", "--on", "--reason", "new tools"]).starts_with("m is suppressed"));
    assert!(shell.ok(&["suppress", "m", "--off"]).starts_with("m is acknowledged"));
    let answer: Value = serde_json::from_str(&shell.ok(&["ack", "m", "--json", "--operator", "k.abe"])).unwrap();
    schema::assert_valid_part("command", "result", &answer);

    subscriber.drain(Duration::from_secs(1));
    for verb in ["ack", "shelve", "unshelve", "suppress"] {
        let topic = format!("/m/cmd/{verb}");
        let orders: Vec<&Value> = subscriber.on(&topic).collect();
        assert!(!orders.is_empty(), "{verb}");
        for order in orders {
            schema::assert_valid_part("command", verb, order);
        }
    }
    let next = raised["seq"].as_u64().unwrap() + 1;
    let acknowledged: Vec<&Value> = subscriber.on("/m/event").filter(|event| event["seq"] == next).collect();
    assert_eq!(acknowledged.len(), 1);
    assert_eq!((&acknowledged[0]["state"], &acknowledged[0]["operator"]), (&json!("acknowledged"), &json!("m.ito")));
    let then = subscriber.on("/m/event").find(|event| event["seq"] == next + 1).unwrap();
    assert_eq!(then["state"], "shelved", "the second one changed nothing");

    broker.publish_lines("plant/m/telemetry", &lines(500..640, 0.0));
    state(&mut subscriber, "normal");
    subscriber.drain(Duration::from_secs(1));
    assert_eq!(shell.ok(&["alarms"]), "No alarm is open at g1; machines: 1 scoring.\n");
    assert!(shell.ok(&["alarms", "--all"]).contains("m        normal"));
    shell.fails(1, "no open episode", &["ack", "m"]);

    assert_eq!(gateway.stop(), Some(0));
    assert!(shell.ok(&["alarms"]).starts_with("Mind: the gateway g1 is offline (since "));
    shell.fails(
        1,
        "no answer within 5 s; is the gateway running? It seems not: the gateway g1 is offline",
        &["ack", "m"],
    );
}

#[test]
fn what_was_found_is_kept_beside_what_was_said_also_for_an_episode_that_closed_before_a_restart() {
    let (broker, setup, mut subscriber, gateway, raised) = alarmed();
    let shell = Shell::with_config(&setup.config);
    let episode = raised["id"].as_str().unwrap();
    let said = shell.ok(&["feedback", "m", "--verdict", "confirmed", "--comment", "bearing b"]);
    assert!(said.starts_with(&format!("confirmed is kept for the episode {episode}; m is unacknowledged")), "{said}");
    let order = json!({ "id": "c-1", "operator": "k.abe", "episode": episode, "verdict": "sensor" });
    let by_hand = |subscriber: &mut Subscriber| {
        broker.publish("wheeltapper/v1/g1/m/cmd/feedback", order.to_string().as_bytes());
        subscriber
            .wait("the answer", |heard| heard.payload["verb"] == "feedback" && heard.payload["id"] == "c-1")
            .payload
    };
    let before = by_hand(&mut subscriber);
    assert_eq!(before["ok"], true);
    shell.ok(&["ack", "m"]);
    let stood = state(&mut subscriber, "acknowledged");
    broker.publish_lines("plant/m/telemetry", &lines(500..640, 0.0));
    let returned = state(&mut subscriber, "normal");
    assert_ne!(returned["diagnosis"], stood["diagnosis"], "a sound machine says something else");
    // As a power cut would: what was answered is on disk.
    gateway.kill();

    let gateway = setup.run();
    subscriber.wait("the gateway to be back", |heard| heard.payload["state"] == "online");
    let after = by_hand(&mut subscriber);
    assert_eq!((&after["ok"], journal(&setup).len()), (&json!(true), 2), "the same command has one effect");
    shell.fails(1, "no open episode; name the closed one", &["feedback", "m", "--verdict", "no_fault_found"]);
    let closed = |verdict| ["feedback", "m", "--verdict", verdict, "--episode", episode];
    let said = shell.ok(&closed("other_fault:suction_restriction"));
    assert!(said.starts_with("other_fault:suction_restriction is kept"), "{said}");
    shell.fails(1, "is not known here", &["feedback", "m", "--verdict", "sensor", "--episode", "another"]);
    shell.fails(2, "expected confirmed", &closed("fine"));

    let kept = journal(&setup);
    let verdicts: Vec<&Value> = kept.iter().map(|line| &line["verdict"]).collect();
    assert_eq!(verdicts, ["confirmed", "sensor", "other_fault:suction_restriction"]);
    for line in &kept {
        assert_eq!((&line["episode"], &line["machine"], &line["gateway"]), (&raised["id"], &json!("m"), &json!("g1")));
        assert_eq!((&line["diagnosis"], &line["model"]), (&stood["diagnosis"], &stood["model"]));
        let advised = json!([stood["recommendation"]["playbook"], stood["recommendation"]["version"]]);
        assert_eq!(json!([line["playbook"]["name"], line["playbook"]["version"]]), advised);
    }
    assert_eq!((&kept[0]["comment"], &kept[0]["operator"]), (&json!("bearing b"), &json!("m.ito")));
    subscriber.drain(Duration::from_secs(1));
    for order in subscriber.on("/m/cmd/feedback") {
        schema::assert_valid_part("command", "feedback", order);
    }
    for answer in subscriber.on("/m/cmd/feedback/result") {
        schema::assert_valid_part("command", "result", answer);
    }
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn who_may_only_look_sees_the_alarm_and_is_told_that_his_order_was_not_answered() {
    let Guarded { mut broker, setup, password_file, folder: _folder } = Guarded::start();
    let port = broker.port;
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    broker.log_in("machines", PASSWORD);
    broker.publish_lines("plant/m/telemetry", &lines(0..460, 0.0));
    broker.publish_lines("plant/m/telemetry", &lines(460..500, 9.0));
    subscriber.wait("the retained alarm", |heard| heard.topic.ends_with("/m/alarm"));

    let viewer = Shell::as_user(port, "viewers", &password_file);
    viewer.fails(1, "no answer within 5 s; is the gateway running? Its status says online", &["ack", "m"]);
    assert!(viewer.ok(&["alarms"]).contains("unacknowledged"));
    let machine = Shell::as_user(port, "machines", &password_file);
    machine.fails(1, "there is no status of a gateway g1", &["alarms"]);
    let operator = Shell::as_user(port, "operators", &password_file);
    assert!(operator.ok(&["ack", "m"]).starts_with("m is acknowledged"));
    let daemons_own = Shell::with_config(&setup.config);
    assert!(daemons_own.ok(&["alarms"]).contains("acknowledged"));
    subscriber.drain(Duration::from_secs(1));
    assert_eq!(subscriber.on("/m/cmd/ack/result").count(), 1, "the viewer's order reached nobody");
    assert!(subscriber.on("/status").all(|status| status["state"] == "online"), "nobody took the daemon's client id");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_watcher_sees_each_change_and_ends_well_when_he_is_interrupted() {
    let (_broker, setup, _subscriber, gateway, _raised) = alarmed();
    let shell = Shell::with_config(&setup.config);
    let mut watching = shell.command(&["alarms", "--watch"]).spawn().unwrap();
    let mut output = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |expected: &str| output.find(|line| line.contains(expected)).unwrap();
    until("unacknowledged");
    shell.ok(&["ack", "m"]);
    assert!(until(" acknowledged").starts_with("m  acknowledged"));
    shell.ok(&["shelve", "m", "--for", "1h", "--reason", "r"]);
    until("shelved");
    assert!(Command::new("kill").args(["-INT", &watching.id().to_string()]).status().unwrap().success());
    assert_eq!(watching.wait().unwrap().code(), Some(0));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn an_order_that_cannot_be_meant_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("missing.toml");
    Shell::with_config(&config).fails(78, "missing.toml", &["alarms"]);
    let nowhere = Shell { gateway: Vec::new() };
    nowhere.fails(2, "--gateway", &["alarms", "--broker", "mqtt://127.0.0.1"]);
    let named = |broker| ["ack", "m", "--gateway", "g1", "--broker", broker];
    nowhere.fails(2, "password does not belong", &named("mqtt://m.ito:secret@127.0.0.1"));
    nowhere.fails(2, "is no broker", &named("127.0.0.1"));
    nowhere.fails(2, "who gives the order?", &[&named("mqtt://127.0.0.1")[..], &["--operator", " "]].concat());
    nowhere.fails(2, "must not contain", &["ack", "m/n", "--gateway", "g1", "--broker", "mqtt://127.0.0.1"]);
    nowhere.fails(2, "--on", &["suppress", "m", "--gateway", "g1", "--broker", "mqtt://127.0.0.1"]);
    nowhere.fails(2, "--reason", &["shelve", "m", "--for", "1h", "--gateway", "g1", "--broker", "mqtt://127.0.0.1"]);
}
