//! `doctor` before real brokers, well and unwell.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::certificates::Authority;
use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, free_port};

/// What `doctor --json` tells, and its exit code.
struct Told {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Told {
    fn by(setup: &Setup) -> Self {
        let output = doctor(setup, &["--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        let findings = told["findings"].as_array().unwrap().clone();
        println!("{}", serde_json::to_string_pretty(&findings).unwrap());
        assert_eq!(told["ok"], json!(output.status.code() == Some(0)));
        Self { code: output.status.code(), findings }
    }

    fn of(&self, check: &str) -> &Value {
        self.findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("nothing of {check}"))
    }

    fn outcome(&self, check: &str) -> &str {
        self.of(check)["outcome"].as_str().unwrap()
    }

    /// The checks that fail.
    fn failed(&self) -> Vec<&str> {
        let failed = self.findings.iter().filter(|finding| finding["outcome"] == "fail");
        failed.map(|finding| finding["check"].as_str().unwrap()).collect()
    }
}

#[test]
fn where_all_is_well_nothing_fails_and_a_running_daemon_is_not_disturbed() {
    let broker = Mosquitto::start();
    let setup = Setup::new(broker.port, "");
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let done = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                broker.publish("plant/m/telemetry", b"{\"a\":1}");
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let told = Told::by(&setup);
        done.store(true, Relaxed);
        told
    });
    assert_eq!((told.code, told.failed()), (Some(0), vec![]));
    for check in ["broker", "session", "daemon", "own topics", "commands", "input", "payloads", "state folder"] {
        assert_eq!(told.outcome(check), "ok", "{check}");
    }
    assert!(told.of("daemon")["found"].as_str().unwrap().contains("is online"));
    // The second input: nobody sends there.
    let quiet = told.findings.iter().find(|finding| finding["outcome"] == "skipped" && finding["check"] == "input");
    assert!(quiet.unwrap()["found"].as_str().unwrap().contains("values/+/+"));
    subscriber.drain(Duration::from_millis(500));
    assert!(subscriber.on("/status").all(|status| status["state"] == "online"), "its session was left alone");
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn the_printed_findings_have_a_line_each_and_another_one_for_what_to_do() {
    let setup = Setup::new(1, "");
    let output = doctor(&setup, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert!(text.contains("fail     broker          127.0.0.1:1 takes no connection"), "{text}");
    assert!(text.contains("→ start the broker, or check mqtt.host, mqtt.port and the firewall"), "{text}");
}

#[test]
fn where_nobody_listens_or_answers_it_says_so_and_soon_ends() {
    let told = Told::by(&Setup::new(free_port(), ""));
    assert_eq!((told.code, told.failed()), (Some(1), vec!["broker"]));
    assert_eq!(told.outcome("payloads"), "skipped");

    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let started = Instant::now();
    let told = Told::by(&Setup::new(silent.local_addr().unwrap().port(), ""));
    assert_eq!(told.failed(), ["broker"]);
    assert!(told.of("broker")["found"].as_str().unwrap().contains("did not answer within"), "{:?}", told.of("broker"));
    println!("{:?} before a broker that takes connections and says nothing", started.elapsed());
}

#[test]
fn a_password_that_is_wrong_is_told_from_one_that_is_right() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("passwd");
    let made =
        Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&passwords).args(["g1", "right"]).status().unwrap();
    assert!(made.success());
    let text =
        format!("listener {port} 127.0.0.1\nuser root\nset_tcp_nodelay true\npassword_file {}\n", passwords.display());
    let _broker = Mosquitto::start_with(port, &text);
    for (password, expected) in [("wrong", vec!["broker"]), ("right", vec![])] {
        let file = folder.path().join(password);
        std::fs::write(&file, password).unwrap();
        let setup = Setup::with_mqtt(port, &format!("username = \"g1\"\npassword_file = {file:?}\n"), "");
        let told = Told::by(&setup);
        assert_eq!(told.failed(), expected);
        assert_eq!(told.outcome("secrets"), "warn", "the file is there for everybody to read");
        let found = told.of("broker").to_string();
        assert!(password == "right" || (found.contains("NotAuthorized") && found.contains("the password")), "{found}");
    }
}

#[test]
fn access_rules_that_forbid_to_publish_are_found_although_the_broker_confirms_everything() {
    let (_folder, broker) = with_acl("topic read #\n");
    let told = Told::by(&Setup::new(broker.port, ""));
    assert_eq!((told.code, told.failed()), (Some(1), vec!["own topics"]));
    assert!(told.of("own topics")["advice"].as_str().unwrap().contains("topic readwrite wheeltapper/v1/g1/#"));
    assert_eq!(told.outcome("payloads"), "skipped");
}

#[test]
fn access_rules_that_forbid_an_input_are_found_by_the_brokers_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let allow = |kind: &str, topic: &str| json!({ "acltype": kind, "topic": topic, "allow": true });
    let rules = json!({
        "defaultACLAccess": { "publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true },
        "clients": [],
        "groups": [{ "groupname": "all", "roles": [{ "rolename": "gateway" }] }],
        "roles": [{ "rolename": "gateway", "acls": [
            allow("subscribePattern", "wheeltapper/#"), allow("subscribePattern", "plant/#"),
        ] }],
        "anonymousGroup": "all",
    });
    let path = folder.path().join("rules.json");
    std::fs::write(&path, rules.to_string()).unwrap();
    let Some(plugin) = PLUGINS.into_iter().find(|plugin| Path::new(plugin).exists()) else {
        println!("skipped: this mosquitto has no plugin for dynamic security");
        return;
    };
    let text = format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nset_tcp_nodelay true\nplugin {plugin}\n\
         plugin_opt_config_file {}\n",
        path.display()
    );
    let _broker = Mosquitto::start_with(port, &text);
    let told = Told::by(&Setup::new(port, ""));
    assert_eq!((told.code, told.failed()), (Some(1), vec!["input"]));
    let refused = told.findings.iter().find(|finding| finding["outcome"] == "fail").unwrap();
    assert!(refused["found"].as_str().unwrap().contains("refuses the subscription values/+/+"), "{refused}");
}

#[test]
fn a_broker_that_takes_too_small_messages_only_is_found_by_what_does_not_come_back() {
    for (limit, outcome) in
        [("message_size_limit 10000", "fail"), ("max_packet_size 10000", "fail"), ("message_size_limit 100000", "warn")]
    {
        let port = free_port();
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n{limit}\n");
        let _broker = Mosquitto::start_with(port, &text);
        let told = Told::by(&Setup::new(port, ""));
        assert_eq!(told.outcome("payloads"), outcome, "{limit}");
        assert_eq!(told.code, Some(i32::from(outcome == "fail")));
    }
}

#[test]
fn a_broker_that_holds_small_messages_back_is_found_by_how_late_they_are() {
    let port = free_port();
    let _broker = Mosquitto::start_with(port, &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let told = Told::by(&Setup::new(port, ""));
    assert_eq!(told.outcome("latency"), "warn");
    assert!(told.of("latency")["advice"].as_str().unwrap().contains("set_tcp_nodelay true"));
}

#[test]
fn a_broker_that_forgets_who_is_away_is_found() {
    let broker = Mosquitto::start();
    let told = Told::by(&Setup::new(forgetful(broker.port), ""));
    assert_eq!((told.code, told.failed()), (Some(1), vec!["session"]));
    assert!(told.of("session")["advice"].as_str().unwrap().contains("per_listener_settings"));
}

#[test]
fn certificates_that_end_soon_are_told_of_before_they_do() {
    let plant = Authority::new("plant");
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, plant.pem()).unwrap();
    let (certificate, key) = plant.sign("broker", &["127.0.0.1"]).write(folder.path(), "broker");
    let text = format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nset_tcp_nodelay true\ncafile {}\ncertfile {}\nkeyfile {}\n",
        ca.display(),
        certificate.display(),
        key.display()
    );
    let _broker = Mosquitto::start_with(port, &text);
    let setup = |pair: &crate::support::certificates::Pair| {
        let (certificate, key) = pair.write(folder.path(), "g1");
        Setup::with_mqtt(
            port,
            &format!("[mqtt.tls]\nca_file = {ca:?}\ncert_file = {certificate:?}\nkey_file = {key:?}\n"),
            "",
        )
    };
    let told = Told::by(&setup(&plant.sign("g1", &["g1"])));
    assert_eq!((told.code, told.failed()), (Some(0), vec![]));
    assert_eq!(["ca_file end", "cert_file end", "broker's end"].map(|check| told.outcome(check)), ["ok"; 3]);
    let told = Told::by(&setup(&plant.sign_until("g1", &["g1"], 2020)));
    assert_eq!(told.outcome("cert_file end"), "fail");
}

fn doctor(setup: &Setup, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    command.args(["doctor", "--config", setup.config.to_str().unwrap()]).args(more).stderr(Stdio::null());
    command
}

fn with_acl(rules: &str) -> (tempfile::TempDir, Mosquitto) {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    std::fs::write(&acl, rules).unwrap();
    let port = free_port();
    let text = format!(
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nset_tcp_nodelay true\nacl_file {}\n",
        acl.display()
    );
    (folder, Mosquitto::start_with(port, &text))
}

/// The port of a broker that takes every session for a clean one, and is a real one otherwise.
fn forgetful(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let broker = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let back = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass_on(client, broker, true));
            std::thread::spawn(move || pass_on(back.0, back.1, false));
        }
    });
    own
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, mut connect: bool) {
    let mut buffer = [0; 65_536];
    while let Ok(length) = from.read(&mut buffer) {
        let name = buffer.windows(5).position(|part| part == b"MQTT\x04");
        if let Some(name) = name.filter(|_| std::mem::take(&mut connect)) {
            buffer[name + 5] |= CLEAN_SESSION;
        }
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// In the flags of CONNECT.
const CLEAN_SESSION: u8 = 2;
/// Debian on the processors of gateways.
const PLUGINS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/arm-linux-gnueabihf/mosquitto_dynamic_security.so",
];
