//! A broker that misbehaves on request: enough MQTT 3.1.1 for one client, and the faults that no real broker can be
//! asked for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// A running broker on loopback.
pub struct ScriptedBroker {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

/// How it behaves from now on.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What CONNACK says, unless the client asks for a clean session.
    pub session_present: bool,
    /// Publications that it takes without a confirmation.
    pub withhold_pubacks: usize,
    /// Publications that it confirms twice.
    pub duplicate_pubacks: usize,
    /// Answers to the filters of every SUBSCRIBE, instead of what was asked for.
    pub suback: Option<Vec<u8>>,
    /// Hangs up after CONNACK.
    pub hang_up_at_once: bool,
    /// Reads and answers nothing any more.
    pub frozen: bool,
    /// Sent after every CONNACK of a kept session, as what the session holds.
    pub queued: Vec<u8>,
    /// Sent after every SUBACK, as what is retained.
    pub retained: Vec<u8>,
}

/// What it has seen, each with the number of the connection, from 1.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connects: Vec<Connect>,
    pub publishes: Vec<(usize, Published)>,
    pub pubacks: Vec<(usize, u16)>,
    pub subscribes: Vec<(usize, Vec<(String, u8)>)>,
    pub farewells: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
pub struct Connect {
    pub at: Instant,
    pub clean_session: bool,
    pub keep_alive: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub dup: bool,
    pub retain: bool,
}

#[derive(Default)]
struct Shared {
    script: Script,
    seen: Seen,
    /// Into the present connection; `None` hangs up.
    out: Option<mpsc::UnboundedSender<Option<Vec<u8>>>>,
}

impl ScriptedBroker {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Mutex::new(Shared { script, ..Shared::default() }));
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One client at a time, as long as it lives.
                _ = serve(stream, &served).await;
                lock(&served).out = None;
            }
        });
        ScriptedBroker { address, shared }
    }

    /// Changes the script.
    pub fn now(&self, change: impl FnOnce(&mut Script)) {
        change(&mut lock(&self.shared).script);
    }

    pub fn seen(&self) -> Seen {
        lock(&self.shared).seen.clone()
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: Vec<u8>) {
        if let Some(out) = &lock(&self.shared).out {
            _ = out.send(Some(bytes));
        }
    }

    pub fn hang_up(&self) {
        if let Some(out) = &lock(&self.shared).out {
            _ = out.send(None);
        }
    }

    /// Waits until it has seen something.
    pub async fn until(&self, what: &str, seen: impl Fn(&Seen) -> bool) {
        let since = Instant::now();
        while !seen(&self.seen()) {
            assert!(since.elapsed() < Duration::from_secs(20), "the broker never saw {what}: {:?}", self.seen());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The bytes of a PUBLISH packet.
pub fn publish(topic: &str, payload: &[u8], qos: u8, packet: u16) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    if qos > 0 {
        body.extend(packet.to_be_bytes());
    }
    body.extend(payload);
    framed(0x30 | qos << 1, &body)
}

async fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let (out, mut outgoing) = mpsc::unbounded_channel::<Option<Vec<u8>>>();
    lock(shared).out = Some(out);
    let (mut buffer, mut connection) = (Vec::new(), 0);
    loop {
        while lock(shared).script.frozen {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::select! {
            sent = outgoing.recv() => match sent {
                Some(Some(bytes)) => write.write_all(&bytes).await?,
                Some(None) | None => return Ok(()),
            },
            length = read.read_buf(&mut buffer) => {
                if length? == 0 {
                    return Ok(());
                }
                if lock(shared).script.frozen {
                    continue;
                }
                while let Some((first, body, rest)) = unframed(&buffer) {
                    let (answer, go_on) = answer(&mut lock(shared), &mut connection, first, &body);
                    buffer = rest;
                    write.write_all(&answer).await?;
                    if !go_on {
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn answer(shared: &mut Shared, connection: &mut usize, first: u8, body: &[u8]) -> (Vec<u8>, bool) {
    let Shared { script, seen, .. } = shared;
    let mut answer = Vec::new();
    match first >> 4 {
        1 => {
            let clean_session = body[7] & 2 != 0;
            let keep_alive = u16::from_be_bytes([body[8], body[9]]);
            seen.connects.push(Connect { at: Instant::now(), clean_session, keep_alive });
            *connection = seen.connects.len();
            let present = script.session_present && !clean_session;
            answer.extend([0x20, 2, u8::from(present), 0]);
            if clean_session {
                // The session, and what it held, is gone.
                script.queued.clear();
            }
            answer.extend(&script.queued);
            return (answer, !script.hang_up_at_once);
        }
        3 => {
            let (topic, mut rest) = text(body);
            let qos = first >> 1 & 3;
            if qos > 0 {
                let packet = [rest[0], rest[1]];
                rest = &rest[2..];
                if script.withhold_pubacks > 0 {
                    script.withhold_pubacks -= 1;
                } else {
                    answer.extend([0x40, 2, packet[0], packet[1]]);
                }
                if script.duplicate_pubacks > 0 {
                    script.duplicate_pubacks -= 1;
                    answer.extend([0x40, 2, packet[0], packet[1]]);
                }
            }
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            seen.publishes.push((*connection, Published { topic, payload: rest.to_vec(), qos, dup, retain }));
        }
        4 => seen.pubacks.push((*connection, u16::from_be_bytes([body[0], body[1]]))),
        8 => {
            let (mut filters, mut rest) = (Vec::new(), &body[2..]);
            while !rest.is_empty() {
                let (filter, behind) = text(rest);
                filters.push((filter, behind[0]));
                rest = &behind[1..];
            }
            let granted = script.suback.clone().unwrap_or_else(|| filters.iter().map(|(_, qos)| *qos).collect());
            answer.extend(framed(0x90, &[&body[..2], &granted].concat()));
            answer.extend(&script.retained);
            seen.subscribes.push((*connection, filters));
        }
        12 => answer.extend([0xd0, 0]),
        14 => {
            seen.farewells.push(*connection);
            return (answer, false);
        }
        _ => {}
    }
    (answer, true)
}

fn framed(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = length >= 128;
        bytes.push((length % 128) as u8 | u8::from(more) << 7);
        length /= 128;
        if !more {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// First byte, body and what follows, once a packet is complete.
fn unframed(bytes: &[u8]) -> Option<(u8, Vec<u8>, Vec<u8>)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 127) << (7 * (at - 1));
        at += 1;
        if byte & 128 == 0 {
            break;
        }
    }
    let body = bytes.get(at..at + length)?;
    Some((bytes[0], body.to_vec(), bytes[at + length..].to_vec()))
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    (String::from_utf8_lossy(&bytes[2..2 + length]).into_owned(), &bytes[2 + length..])
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no holder of this lock panics")
}
