//! A real mosquitto on a free port of the loopback, and a real `mosquitto_sub` that listens to it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::gateway::{Gateway, Setup};
use super::wobble::lines;

pub struct Mosquitto {
    pub port: u16,
    process: Child,
    credentials: Vec<String>,
    _folder: tempfile::TempDir,
}

/// One message as `mosquitto_sub` saw it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub topic: String,
    pub payload: Value,
}

pub struct Subscriber {
    process: Child,
    lines: Receiver<Heard>,
    pub heard: Vec<Heard>,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    pub fn start_on(port: u16) -> Self {
        // Queues are as large as a test needs; everything else is as Debian ships it.
        let rest = "allow_anonymous true\nmax_queued_messages 100000\nset_tcp_nodelay true\n";
        Self::start_with(port, &format!("listener {port} 127.0.0.1\n{rest}"))
    }

    /// With a whole configuration, which must listen to this port.
    pub fn start_with(port: u16, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("mosquitto.conf");
        std::fs::write(&config, text).unwrap();
        let binary = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let binary = binary.expect("mosquitto is installed by tests/run");
        let process = Command::new(binary)
            .args(["-c", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("mosquitto to listen", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, process, credentials: Vec::new(), _folder: folder }
    }

    /// From here on messages are published and subscribed to by this user.
    pub fn log_in(&mut self, user: &str, password: &str) {
        self.credentials = ["-u", user, "-P", password].map(str::to_owned).to_vec();
    }

    /// From here on its clients show this certificate and believe this authority.
    pub fn with_tls(mut self, ca: &Path, (certificate, key): &(PathBuf, PathBuf)) -> Self {
        let arguments = [("--cafile", ca), ("--cert", certificate), ("--key", key)];
        self.credentials =
            arguments.iter().flat_map(|(name, path)| [(*name).into(), path.display().to_string()]).collect();
        self
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1"]).args(&self.credentials);
        command
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn subscribe(&self, filter: &str) -> Subscriber {
        let mut process =
            self.client("mosquitto_sub").args(["-v", "-t", filter]).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Some((topic, payload)) = line.split_once(' ') else { continue };
                let payload = serde_json::from_str(payload).unwrap_or(Value::Null);
                if sender.send(Heard { topic: topic.to_owned(), payload }).is_err() {
                    break;
                }
            }
        });
        let subscriber = Subscriber { process, lines, heard: Vec::new() };
        // A subscription takes a moment to reach the broker; nothing is to be missed.
        std::thread::sleep(Duration::from_millis(300));
        subscriber
    }

    /// A gateway that is on line, and somebody who hears all that it says.
    pub fn with_gateway(&self, setup: &Setup) -> (Subscriber, Gateway) {
        let mut subscriber = self.subscribe("wheeltapper/v1/g1/#");
        let gateway = setup.run();
        subscriber.wait("the gateway to be online", |heard| heard.payload["state"] == "online");
        (subscriber, gateway)
    }

    /// Lets the gateway learn the machine `m`, breaks it, and gives its alarm once everything is told.
    pub fn raise(&self, subscriber: &mut Subscriber) -> Value {
        self.publish_lines("plant/m/telemetry", &(lines(0..460, 0.0) + &lines(460..500, 9.0)));
        subscriber.wait("the alarm", |heard| heard.topic.ends_with("/m/alarm"));
        subscriber.drain(Duration::from_secs(1));
        subscriber.on("/m/alarm").last().unwrap().clone()
    }

    /// Publishes one message with `mosquitto_pub`, byte for byte.
    pub fn publish(&self, topic: &str, payload: &[u8]) {
        let mut process = self.client("mosquitto_pub").args(["-t", topic, "-s"]).stdin(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(payload).unwrap();
        assert!(process.wait().unwrap().success());
    }

    /// Publishes many messages on one topic, one a line.
    pub fn publish_lines(&self, topic: &str, lines: &str) {
        let mut process = self.client("mosquitto_pub").args(["-t", topic, "-l"]).stdin(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(process.wait().unwrap().success());
    }
}

impl Subscriber {
    /// Waits until a message is as wanted and gives it; everything heard stays in `heard`.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(heard) = self.lines.recv_timeout(left) else {
                let last: Vec<_> = self.heard.iter().rev().take(3).collect();
                panic!("waited for {what} in vain; heard {} messages, the last {last:#?}", self.heard.len());
            };
            self.heard.push(heard.clone());
            if wanted(&heard) {
                return heard;
            }
        }
    }

    /// Listens until nothing has come for a while.
    pub fn drain(&mut self, quiet: Duration) {
        while let Ok(heard) = self.lines.recv_timeout(quiet) {
            self.heard.push(heard);
        }
    }

    pub fn on<'s>(&'s self, end: &'s str) -> impl Iterator<Item = &'s Value> {
        self.heard.iter().filter(move |heard| heard.topic.ends_with(end)).map(|heard| &heard.payload)
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub fn wait_for(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// These machines are slow and shared.
const PATIENCE: Duration = Duration::from_secs(60);
