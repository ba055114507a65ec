//! Every command of the README does what it is there for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::mosquitto::Mosquitto;

#[test]
fn every_command_of_the_readme_works_in_an_empty_folder() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let commands = commands(&readme);
    let verbs: BTreeSet<&str> = commands.iter().filter_map(|command| verb(command)).collect();
    assert!(
        ["alarms", "calibrate", "check", "doctor", "replay", "run", "score"].iter().all(|verb| verbs.contains(verb)),
        "{verbs:?}"
    );

    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pump.csv"), recording()).unwrap();
    let config = block(&readme, "toml")
        .replace("host = \"127.0.0.1\"", &format!("host = \"127.0.0.1\"\nport = {}", broker.port));
    std::fs::write(folder.path().join("wheeltapper.toml"), config).unwrap();

    let mut subscriber = broker.subscribe("wheeltapper/v1/#");
    let mut daemon = None;
    for command in commands.iter().filter(|command| command.starts_with("wheeltapper ")) {
        let command = command.replace("mqtt://127.0.0.1", &broker.url()).replace("--rate 100", "--rate 1000");
        let mut process = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
        process.args(command.split_whitespace().skip(1)).current_dir(folder.path()).stdout(Stdio::null());
        if verb(&command) == Some("run") {
            daemon = Some(process.stderr(Stdio::null()).spawn().unwrap());
            subscriber.wait("the gateway to be online", |heard| heard.payload["state"] == "online");
        } else {
            assert!(process.status().unwrap().success(), "{command}");
        }
    }
    subscriber.wait("a score of the machine that was replayed", |heard| heard.topic.ends_with("/pump-1/score"));
    let mut daemon = daemon.unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let scores = std::fs::read_to_string(folder.path().join("scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 801);
    assert!(std::fs::read_to_string(folder.path().join("scores.html")).unwrap().contains("<svg"));
}

#[test]
fn the_demo_raises_an_alarm_with_advice_within_thirty_seconds_and_ends_by_itself() {
    if cfg!(not(feature = "demo")) {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
        .args(["demo", "--seconds", "30", "--port", &crate::support::mosquitto::free_port().to_string()])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for expected in
        ["mosquitto_sub -h 127.0.0.1", "unacknowledged", "FS1", "internal leakage of the main pump", "[s", "returned"]
    {
        assert!(shown.contains(expected), "{expected:?} is not in\n{shown}");
    }
}

#[test]
fn the_readme_shows_the_two_commands_that_its_first_readers_need() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let commands = commands(&readme);
    assert!(commands.iter().any(|command| command == "cargo run --release -- demo"));
    assert!(commands.iter().any(|command| command == "tests/run"));
}

/// The lines of the README's shell blocks, and the commands that its text quotes.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut shell = false;
    for line in readme.lines() {
        if let Some(language) = line.strip_prefix("```") {
            shell = language == "sh";
        } else if shell {
            commands.push(line.trim().to_owned());
        } else {
            let quoted = line.split('`').skip(1).step_by(2);
            commands.extend(quoted.filter(|text| text.starts_with("wheeltapper ")).map(str::to_owned));
        }
    }
    commands
}

fn verb(command: &str) -> Option<&str> {
    command.strip_prefix("wheeltapper ")?.split_whitespace().next()
}

/// The README's first block of a language.
fn block(readme: &str, language: &str) -> String {
    let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// A pump of three channels with a label column.
fn recording() -> String {
    let mut text = "time,flow,pressure,current,label\n".to_owned();
    for t in 0..800u32 {
        let noise = |salt: u32| f64::from((t * 7919 + salt * 104_729) % 1009) / 504.5 - 1.0;
        let time = jiff::Timestamp::from_second(1_790_000_000 + i64::from(t)).unwrap();
        writeln!(text, "{time},{:.3},{:.3},{:.3},0", 30.0 + noise(1), 4.0 + 0.1 * noise(2), 12.0 + 0.5 * noise(3))
            .unwrap();
    }
    text
}
