//! Those who send telemetry and commands, and those who read alarms. Both find back to a broker that was killed.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mqtt::{self, Outgoing, Packet};

/// Publishes, and sends again what the broker had not confirmed when it went.
pub struct Publisher {
    port: u16,
    client: String,
    stream: Option<TcpStream>,
    shared: Arc<Shared>,
    next: u16,
    sent: u64,
}

/// Reads topics with a session of its own and subscribes anew with every connection.
pub struct Reader {
    heard: Receiver<Heard>,
    stop: Arc<AtomicBool>,
    stream: Arc<Mutex<Option<TcpStream>>>,
}

/// A message as it was read.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Instant,
    pub topic: String,
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// In the order of sending, with the packet's number.
    messages: BTreeMap<u64, (u16, Outgoing)>,
    connection: u64,
    gone: bool,
}

impl Publisher {
    pub fn connect(port: u16, client: &str) -> Self {
        let shared = Arc::default();
        let mut publisher = Self { port, client: client.to_owned(), stream: None, shared, next: 0, sent: 0 };
        publisher.reconnect();
        publisher
    }

    /// Publishes, as soon as fewer than [`WINDOW`] others wait for the broker.
    pub fn publish(&mut self, message: Outgoing) {
        self.wait_until(|waiting| waiting.messages.len() < WINDOW);
        self.next = if self.next >= 60_000 { 1 } else { self.next + 1 };
        self.sent += 1;
        let bytes = message.encode(self.next, false);
        if message.qos > 0 {
            lock(&self.shared.waiting).messages.insert(self.sent, (self.next, message));
        }
        if !self.write(&bytes) {
            self.reconnect();
        }
    }

    /// Waits until the broker has confirmed everything.
    pub fn settle(&mut self) {
        self.wait_until(|waiting| waiting.messages.is_empty());
    }

    fn wait_until(&mut self, done: impl Fn(&Waiting) -> bool) {
        loop {
            {
                let waiting = lock(&self.shared.waiting);
                let goes_on = |waiting: &mut Waiting| !waiting.gone && !done(waiting);
                let (waiting, _) = self
                    .shared
                    .changed
                    .wait_timeout_while(waiting, PATIENCE, goes_on)
                    .expect("nobody panics while holding it");
                assert!(waiting.gone || done(&waiting), "{}: the broker confirms nothing", self.client);
                if !waiting.gone {
                    return;
                }
            }
            self.reconnect();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.as_mut().is_some_and(|stream| stream.write_all(bytes).is_ok())
    }

    fn reconnect(&mut self) {
        loop {
            let never = AtomicBool::new(false);
            let mut stream = dial(self.port, &self.client, true, &never).expect("nobody stops it");
            let mut waiting = lock(&self.shared.waiting);
            waiting.connection += 1;
            waiting.gone = false;
            let connection = waiting.connection;
            let again: Vec<u8> =
                waiting.messages.values().flat_map(|(packet, message)| message.encode(*packet, true)).collect();
            drop(waiting);
            let read_half = stream.try_clone().expect("a socket can be cloned");
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || shared.take_confirmations(read_half, connection));
            let written = stream.write_all(&again).is_ok();
            self.stream = Some(stream);
            if written {
                break;
            }
        }
    }
}

impl Shared {
    fn take_confirmations(&self, stream: TcpStream, connection: u64) {
        let mut stream = BufReader::new(stream);
        loop {
            let packet = mqtt::read(&mut stream);
            let mut waiting = lock(&self.waiting);
            if waiting.connection != connection {
                return;
            }
            match packet {
                Ok(Packet::PubAck(confirmed)) => waiting.messages.retain(|_, (packet, _)| *packet != confirmed),
                Ok(_) => {}
                Err(_) => waiting.gone = true,
            }
            let gone = waiting.gone;
            drop(waiting);
            self.changed.notify_all();
            if gone {
                return;
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            _ = stream.write_all(&[0xe0, 0]);
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Reader {
    /// Subscribed when this returns.
    pub fn subscribe(port: u16, client: &str, filters: &[&str]) -> Self {
        let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
        let client = client.to_owned();
        let (sender, heard) = channel();
        let (stop, stream) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let reader = Self { heard, stop: Arc::clone(&stop), stream: Arc::clone(&stream) };
        let (ready, is_ready) = channel();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Some(mut connection) = dial(port, &client, false, &stop) else { return };
                _ = connection.write_all(&mqtt::subscribe(&filters));
                *lock(&stream) = connection.try_clone().ok();
                let Ok(read_half) = connection.try_clone() else { continue };
                let mut read_half = BufReader::new(read_half);
                while let Ok(packet) = mqtt::read(&mut read_half) {
                    match packet {
                        Packet::SubAck => _ = ready.send(()),
                        Packet::Publish(incoming) => {
                            let (topic, payload) = (incoming.topic, incoming.payload);
                            if sender.send(Heard { at: Instant::now(), topic, payload }).is_err() {
                                return;
                            }
                            if let Some(packet) = incoming.packet {
                                _ = connection.write_all(&mqtt::confirm(packet));
                            }
                        }
                        _ => {}
                    }
                }
            }
        });
        is_ready.recv_timeout(PATIENCE).expect("the broker grants a subscription");
        reader
    }

    /// The next message, if one comes within this time.
    pub fn next(&self, patience: Duration) -> Option<Heard> {
        self.heard.recv_timeout(patience).ok()
    }

    /// Hands on everything that comes until nothing has come for a while.
    pub fn drain(&self, quiet: Duration, mut take: impl FnMut(Heard)) {
        while let Some(heard) = self.next(quiet) {
            take(heard);
        }
    }

    /// Hands on everything that comes within this time.
    pub fn listen(&self, time: Duration, mut take: impl FnMut(Heard)) {
        let until = Instant::now() + time;
        while let Some(heard) = self.next(until.saturating_duration_since(Instant::now())) {
            take(heard);
        }
    }

    /// Hands on everything that comes until one is as wanted.
    pub fn wait(&self, what: &str, mut wanted: impl FnMut(&Heard) -> bool) -> Heard {
        let until = Instant::now() + PATIENCE;
        loop {
            let Some(heard) = self.next(until.saturating_duration_since(Instant::now())) else {
                panic!("waited {PATIENCE:?} for {what} in vain");
            };
            if wanted(&heard) {
                return heard;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(stream) = lock(&self.stream).as_ref() {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }

    /// The machine of a topic `wheeltapper/v1/{gateway}/{machine}/…`.
    pub fn machine(&self) -> &str {
        self.topic.split('/').nth(3).unwrap_or_default()
    }

    pub fn is(&self, end: &str) -> bool {
        self.topic.ends_with(end)
    }
}

/// A connection to the broker, as soon as there is one; `None` when nobody wants it any more.
fn dial(port: u16, client: &str, clean: bool, stop: &AtomicBool) -> Option<TcpStream> {
    let until = Instant::now() + PATIENCE;
    while !stop.load(Ordering::Relaxed) {
        assert!(Instant::now() < until, "{client}: no broker on port {port} for {PATIENCE:?}");
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port))
            && stream.set_nodelay(true).is_ok()
            && stream.write_all(&mqtt::connect(client, clean)).is_ok()
            && matches!(mqtt::read(&mut stream), Ok(Packet::ConnAck))
        {
            return Some(stream);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

/// Publications on their way at once.
const WINDOW: usize = 500;
/// Longer than any outage that a cycle makes; these machines are slow and shared.
const PATIENCE: Duration = Duration::from_secs(120);
