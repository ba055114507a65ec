//! TLS against a real mosquitto: what fails is said in words, and certificates are changed while alarms flow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wheeltapper::transport::{Link, LinkEvent, LinkOptions, Tls, TlsFiles};

use crate::support::certificates::{Authority, Pair};
use crate::support::gateway::Setup;
use crate::support::mosquitto::{Mosquitto, free_port, wait_for};
use crate::support::wobble::lines;

#[test]
fn each_way_that_a_handshake_fails_is_said_with_what_to_do() {
    let plant = Authority::new("plant");
    let stranger = Authority::new("stranger");
    let folder = tempfile::tempdir().unwrap();
    let broker = plant.sign("broker", &["localhost", "127.0.0.1"]);
    let known = start_tls(folder.path(), "known", &plant, &broker, "require_certificate true\n");
    let expired = start_tls(folder.path(), "expired", &plant, &plant.sign_until("b", &["127.0.0.1"], 2020), "");
    let misnamed = start_tls(folder.path(), "misnamed", &plant, &plant.sign("b", &["mqtt.plant.example"]), "");
    let plain = Mosquitto::start();

    let ca = written(folder.path(), "plant.pem", &plant.pem());
    let own = plant.sign("g1", &["g1"]).write(folder.path(), "g1");
    let foreign = stranger.sign("g1", &["g1"]).write(folder.path(), "foreign");
    let ended = plant.sign_until("g1", &["g1"], 2020).write(folder.path(), "ended");
    let with =
        |own: Option<&(PathBuf, PathBuf)>| TlsFiles { ca: Some(ca.clone()), own: own.cloned(), server_name: None };
    let other_ca = TlsFiles { ca: Some(written(folder.path(), "stranger.pem", &stranger.pem())), ..with(Some(&own)) };
    let named = TlsFiles { server_name: Some("mqtt.plant.example".to_owned()), ..with(None) };
    for (port, files, expected) in [
        (expired.port, with(None), "shows a certificate that expired on 2020-01-01"),
        (known.port, other_ca, "none of the authorities in mqtt.tls.ca_file"),
        (misnamed.port, with(None), "mqtt.plant.example, not for 127.0.0.1; name the broker"),
        (known.port, with(None), "client certificate"),
        (known.port, with(Some(&foreign)), "the gateway's certificate"),
        (known.port, with(Some(&ended)), "the gateway's certificate"),
        (plain.port, with(None), "this port speaks no TLS: check `mqtt.port`"),
    ] {
        let reason = first_answer(port, Some(files)).unwrap_err();
        println!("{reason}");
        assert!(reason.contains(expected), "{expected:?} is not in {reason:?}");
    }
    let reason = first_answer(known.port, None).unwrap_err();
    assert!(reason.contains("[mqtt.tls]"), "{reason}");

    first_answer(known.port, Some(with(Some(&own)))).unwrap();
    first_answer(misnamed.port, Some(named)).unwrap();
}

#[test]
fn a_broker_on_an_ipv6_address_proves_itself_under_that_address() {
    let plant = Authority::new("plant");
    let folder = tempfile::tempdir().unwrap();
    let ca = written(folder.path(), "plant.pem", &plant.pem());
    let text = listener(folder.path(), "b", &plant, &plant.sign("b", &["::1"]));
    let port = free_port();
    // One listener more on the loopback of version 4 shows that the broker is up.
    let text = format!("listener {} ::1\n{text}listener {port} 127.0.0.1\nuser root\nallow_anonymous true\n", port + 1);
    let _broker = Mosquitto::start_with(port, &text);
    let tls = Tls::load(TlsFiles { ca: Some(ca), ..TlsFiles::default() }).unwrap();
    let options = LinkOptions { tls: Some(tls), ..LinkOptions::new("::1", port + 1, "g1") };
    answer(options).unwrap();
}

#[test]
fn a_new_certificate_is_in_use_within_ten_seconds_and_no_wrong_one_ends_the_connection() {
    let plant = Authority::new("plant");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    // The name in the certificate is the user.
    let acl = written(
        path,
        "acl",
        "topic read #\nuser before\ntopic readwrite #\nuser after\ntopic readwrite #\nuser machines\ntopic readwrite #\n",
    );
    let more = format!("require_certificate true\nuse_identity_as_username true\nacl_file {}\n", acl.display());
    let log = path.join("broker.log");
    let more = format!("{more}log_dest file {}\nlog_type all\n", log.display());
    let broker = start_tls(path, "broker", &plant, &plant.sign("broker", &["127.0.0.1"]), &more);
    let ca = written(path, "ca.pem", &plant.pem());
    plant.sign("before", &["before"]).write(path, "g1");
    let setup = Setup::with_mqtt(
        broker.port,
        &format!(
            "[mqtt.tls]\nca_file = {ca:?}\ncert_file = {:?}\nkey_file = {:?}\n",
            path.join("g1.pem"),
            path.join("g1.key")
        ),
        "[score]\nevery = \"0s\"\n",
    );
    let machines = plant.sign("machines", &["machines"]).write(path, "machines");
    let broker = broker.with_tls(&ca, &machines);
    let (mut subscriber, gateway) = broker.with_gateway(&setup);
    let connected_as = |user: &str| {
        let log = std::fs::read_to_string(&log).unwrap();
        log.lines().filter(|line| line.contains("as wheeltapper-g1") && line.contains(&format!("u'{user}'"))).count()
    };
    assert_eq!((connected_as("before"), connected_as("after")), (1, 0));
    broker.publish_lines("plant/m/telemetry", &lines(0..440, 0.0));

    plant.sign("after", &["after"]).write(path, "g1");
    let changed = Instant::now();
    broker.publish_lines("plant/m/telemetry", &lines(440..480, 9.0));
    wait_for("the new certificate to be in use", Duration::from_secs(60), || connected_as("after") == 1);
    let taken = changed.elapsed();
    println!("in use after {taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    broker.publish_lines("plant/m/telemetry", &lines(480..500, 9.0));
    let raised = subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/event")).payload;
    assert_eq!((&raised["seq"], &raised["state"]), (&1.into(), &"unacknowledged".into()));

    let told = |what: &str| std::fs::read_to_string(setup.log()).unwrap().matches(what).count();
    let kept = "the old ones stay in use";
    let good = (std::fs::read(path.join("g1.pem")).unwrap(), std::fs::read(path.join("g1.key")).unwrap());
    std::fs::write(path.join("g1.pem"), "garbage").unwrap();
    wait_for("the garbage to be told of", Duration::from_secs(60), || told(kept) == 1);
    std::fs::write(path.join("g1.pem"), &good.0).unwrap();
    std::fs::write(path.join("g1.key"), plant.sign("after", &["after"]).key).unwrap();
    wait_for("the wrong key to be told of", Duration::from_secs(60), || told(kept) == 2);
    assert_eq!(told("give the pair that was made together"), 1);
    broker.publish("wheeltapper/v1/g1/m/cmd/ack", b"{\"id\":\"1\",\"operator\":\"x\"}");
    subscriber.wait("the command's answer", |heard| heard.topic.ends_with("/cmd/ack/result"));
    assert_eq!((connected_as("before"), connected_as("after")), (1, 1), "the connection lives on");
    assert!(subscriber.on("/status").all(|status| status["state"] == "online"), "nobody was told that it were away");

    // A pair that is sound in itself, but not for this broker.
    Authority::new("stranger").sign("after", &["after"]).write(path, "g1");
    wait_for("the broker to refuse", Duration::from_secs(60), || told("the old ones are in use again") == 1);
    wait_for("the old pair to be in use again", Duration::from_secs(60), || connected_as("after") == 2);
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn a_gateway_that_is_turned_away_comes_in_within_ten_seconds_of_its_new_certificate() {
    let plant = Authority::new("plant");
    let folder = tempfile::tempdir().unwrap();
    let broker = plant.sign("broker", &["127.0.0.1"]);
    let broker = start_tls(folder.path(), "broker", &plant, &broker, "require_certificate true\n");
    let own = plant.sign_until("g1", &["g1"], 2020).write(folder.path(), "g1");
    let ca = written(folder.path(), "ca.pem", &plant.pem());
    let tls = Tls::load(TlsFiles { ca: Some(ca), own: Some(own), server_name: None }).unwrap();
    let options = LinkOptions { tls: Some(tls), ..LinkOptions::new("127.0.0.1", broker.port, "g1") };
    let taken = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (link, mut events) = Link::start(options).unwrap();
        // Until it tries only twice a minute.
        while let Some(LinkEvent::Unreachable { attempts, .. }) = events.recv().await {
            if attempts >= 12 {
                break;
            }
        }
        plant.sign("g1", &["g1"]).write(folder.path(), "g1");
        let changed = Instant::now();
        let come_in = async { while !matches!(events.recv().await, Some(LinkEvent::Connected { .. })) {} };
        timeout(Duration::from_secs(60), come_in).await.expect("it comes in");
        assert_eq!(link.metrics().certificates_renewed, 1);
        changed.elapsed()
    });
    println!("in after {taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[test]
fn a_configuration_with_wrong_certificates_is_answered_with_its_line_and_exit_code_78() {
    let plant = Authority::new("plant");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = written(path, "ca.pem", &plant.pem());
    let (certificate, key) = plant.sign("g1", &["g1"]).write(path, "g1");
    let other = plant.sign("g2", &["g2"]).write(path, "g2").1;
    let check = |tls: String, verb: &str| {
        let setup = Setup::with_mqtt(1, &format!("username = \"g1\"\n[mqtt.tls]\n{tls}"), "");
        let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        let command = command.args([verb, "--config", setup.config.to_str().unwrap()]);
        let output = command.env("CREDENTIALS_DIRECTORY", path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let wrong = format!("ca_file = {ca:?}\ncert_file = {certificate:?}\nkey_file = {other:?}\n");
    for verb in ["check", "run", "doctor"] {
        let (code, _, told) = check(wrong.clone(), verb);
        assert_eq!(code, Some(78), "{told}");
        assert!(told.contains("line 11, column 1: key_file: ") && told.contains("is not the key of"), "{told}");
    }
    let (code, _, told) = check("ca_file = \"/no/such/file\"\n".to_owned(), "check");
    assert_eq!(code, Some(78));
    assert!(told.contains("line 9, column 1: ca_file: /no/such/file: No such file"), "{told}");

    let credentials =
        "ca_file = \"credential:ca.pem\"\ncert_file = \"credential:g1.pem\"\nkey_file = \"credential:g1.key\"\n";
    let (code, shown, told) = check(credentials.to_owned(), "check");
    assert_eq!(code, Some(0), "{told}");
    assert!(!shown.contains("warning"), "{shown}");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, shown, _) = check(credentials.to_owned(), "check");
    assert_eq!(code, Some(0));
    assert!(shown.contains("warning: mqtt.tls.key_file: everybody on this machine can read"), "{shown}");
}

/// What the first attempt of a link comes to.
fn first_answer(port: u16, files: Option<TlsFiles>) -> Result<(), String> {
    let tls = files.map(|files| Tls::load(files).unwrap());
    answer(LinkOptions { tls, ..LinkOptions::new("127.0.0.1", port, "g1") })
}

fn answer(options: LinkOptions) -> Result<(), String> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (link, mut events) = Link::start(options).unwrap();
        let event = timeout(Duration::from_secs(30), events.recv()).await.expect("an answer").expect("the link lives");
        link.disconnect().await;
        match event {
            LinkEvent::Connected { .. } => Ok(()),
            LinkEvent::Unreachable { reason, .. } => Err(reason),
            other => panic!("{other:?}"),
        }
    })
}

fn start_tls(folder: &Path, name: &str, authority: &Authority, pair: &Pair, more: &str) -> Mosquitto {
    let port = free_port();
    let tls = listener(folder, name, authority, pair);
    let text = format!("listener {port} 127.0.0.1\n{tls}allow_anonymous true\nuser root\nset_tcp_nodelay true\n{more}");
    Mosquitto::start_with(port, &text)
}

/// The lines that make a listener speak TLS.
fn listener(folder: &Path, name: &str, authority: &Authority, pair: &Pair) -> String {
    let ca = written(folder, &format!("{name}-ca.pem"), &authority.pem());
    let (certificate, key) = pair.write(folder, &format!("{name}-broker"));
    format!("cafile {}\ncertfile {}\nkeyfile {}\n", ca.display(), certificate.display(), key.display())
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
