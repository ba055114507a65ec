//! The connection's state machine against a model of broker and client library, by a script.
//!
//! The state machine is not public, and nothing but this would want it to be: its files are compiled in once more. Of the
//! crate around them they want only what stands in `outbox.rs` beside this file.

#![allow(dead_code, clippy::enum_variant_names)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use self::connection::{Connection, Fault, Inbound, Request};
use self::event::{AckToken, LinkEvent, LinkMetrics, Qos};
use self::options::LinkOptions;
use self::poison::Unreadable;
use crate::outbox::{EntryId, Publication};
use crate::script::{Line, lines};

#[path = "../../../src/transport/connection.rs"]
mod connection;
#[path = "../../../src/transport/event.rs"]
mod event;
#[path = "../../../src/transport/options.rs"]
mod options;
#[path = "../../../src/transport/outstanding.rs"]
mod outstanding;
#[path = "../../../src/transport/poison.rs"]
mod poison;
#[path = "../../../src/transport/schedule.rs"]
mod schedule;
#[path = "../../../src/transport/subscriptions.rs"]
mod subscriptions;

/// Certificates are not what this is about.
#[derive(Clone, Debug)]
pub struct Tls;

pub fn run(data: &[u8]) {
    let mut options = LinkOptions::new("broker", 1883, "g1");
    options.inflight = 8;
    options.subscriptions = vec![("a/#".to_owned(), Qos::AtLeastOnce), ("b".to_owned(), Qos::AtMostOnce)];
    let mut connection = Connection::new(&options);
    let mut world = World::default();
    for line in lines(data, 300) {
        world.step(&mut connection, line);
        world.hear(&mut connection);
        if connection.is_closed() {
            break;
        }
    }
    if !connection.is_waiting() && !connection.is_closed() {
        world.lose(&mut connection, Fault::HungUp);
    }
    world.hear(&mut connection);
    assert!(world.given.is_empty(), "never answered: {:?}", world.given);
}

/// What is known of the world around the machine.
#[derive(Default)]
struct World {
    now: Duration,
    entry: u64,
    /// Between the broker's acceptance and the end of that connection.
    online: bool,
    /// Asked for by [`Connection::attempt`], not yet answered.
    connecting: Option<bool>,
    /// Publications that the library took and has not reported.
    taken: VecDeque<Option<EntryId>>,
    /// Subscriptions that it took and has not reported, and those on the wire, by their number of filters.
    asked: VecDeque<usize>,
    asked_on_wire: BTreeMap<u16, usize>,
    /// Unsubscriptions that the broker has not answered.
    leaving: usize,
    /// Publications on the wire, by packet id.
    wire: BTreeMap<u16, Option<EntryId>>,
    next_packet: u16,
    /// Given to the machine, nothing heard since.
    given: BTreeSet<EntryId>,
    /// Messages of the present connection that are not acknowledged.
    open: BTreeSet<u16>,
    tokens: Vec<AckToken>,
    confirmed: BTreeSet<EntryId>,
}

impl World {
    fn step(&mut self, connection: &mut Connection, line: Line<'_>) {
        match line.word {
            "publish" => {
                self.entry += 1;
                self.given.insert(EntryId(self.entry));
                connection.publish_tracked(EntryId(self.entry), publication());
            }
            "score" => connection.publish_now(publication(), Qos::AtMostOnce),
            "status" => connection.publish_now(publication(), Qos::AtLeastOnce),
            "offer" => self.offer(connection, line.number()),
            "sent" => self.sent(connection),
            "confirm" => {
                if let Some(packet) = nth(&self.wire, line.number()) {
                    self.confirmed.extend(self.wire.remove(&packet).flatten());
                    connection.publication_confirmed(packet);
                    // And once more, as some brokers do.
                    connection.publication_confirmed(packet);
                }
            }
            "granted" => {
                if let Some((packet, filters)) = self.asked_on_wire.pop_first() {
                    let granted = [Some(Qos::AtLeastOnce), None, Some(Qos::AtMostOnce)];
                    let granted: Vec<_> =
                        granted.into_iter().cycle().skip(line.number::<u8>().into()).take(filters).collect();
                    connection.subscription_answered(packet, &granted);
                }
            }
            "listen" => {
                let filter = ["a/#", "b", "c/+", "d"][line.number::<usize>() % 4].to_owned();
                connection.listen(vec![(filter, Qos::AtLeastOnce)]);
            }
            "ended" if self.leaving > 0 => {
                self.leaving -= 1;
                connection.unsubscription_answered();
            }
            "renew" => connection.renew(self.now),
            "message" | "oversize" if self.online => {
                // The lowest free packet id, so that ids are used again as soon as may be.
                let packet = (1..).find(|packet| !self.open.contains(packet)).unwrap_or(1);
                self.open.insert(packet);
                connection.message(inbound(packet, line));
            }
            "left" if self.online => connection.message_left(inbound(9, line)),
            "ack" if !self.tokens.is_empty() => {
                connection.ack(self.tokens.swap_remove(line.number::<usize>() % self.tokens.len()));
            }
            "break" if !connection.is_waiting() => self.lose(connection, fault(line)),
            "attempt" if connection.is_waiting() => {
                self.now = self.now.max(connection.deadline().unwrap_or(self.now));
                self.connecting = Some(connection.attempt().clean_session);
            }
            "accept" => {
                if let Some(clean) = self.connecting.take() {
                    connection.connected(self.now, line.text() == "session" && !clean);
                    self.online = true;
                }
            }
            "wait" => {
                self.now += Duration::from_secs(line.number::<u32>().into());
                if let Some(fault) = connection.overdue(self.now) {
                    self.lose(connection, fault);
                }
            }
            "close" => {
                connection.close(self.now);
                if connection.is_closed() {
                    self.forget_connection();
                }
            }
            _ => {}
        }
    }

    /// The library takes so many requests and refuses the next.
    fn offer(&mut self, connection: &mut Connection, room: u8) {
        let (mut room, mut left) = (room.max(1), false);
        connection.offer(self.now, |request| {
            if room == 0 {
                return false;
            }
            room -= 1;
            match request {
                Request::Publish { qos: Qos::AtMostOnce, .. } => {}
                Request::Publish { entry, .. } => self.taken.push_back(*entry),
                Request::Subscribe(filters) => self.asked.push_back(filters.len()),
                Request::Unsubscribe(_) => self.leaving += 1,
                Request::Disconnect => left = true,
                Request::Ack { packet, .. } => {
                    assert!(
                        self.open.remove(packet),
                        "acknowledged packet {packet}, which is not open on this connection"
                    );
                }
            }
            true
        });
        if left {
            connection.farewell_sent(self.now);
            self.forget_connection();
        }
    }

    /// The library puts what it took first on the wire.
    fn sent(&mut self, connection: &mut Connection) {
        self.next_packet = self.next_packet % 60_000 + 1;
        if let Some(filters) = self.asked.pop_front() {
            self.asked_on_wire.insert(self.next_packet, filters);
            connection.subscription_sent(self.next_packet);
        } else if let Some(entry) = self.taken.pop_front() {
            self.wire.insert(self.next_packet, entry);
            connection.publication_sent(self.next_packet);
        }
    }

    fn lose(&mut self, connection: &mut Connection, fault: Fault) {
        connection.lost(self.now, fault, 0.5);
        self.forget_connection();
        assert!(connection.is_waiting() || connection.is_closed());
        assert!(connection.deadline().is_none_or(|until| until >= self.now && until <= self.now + LONGEST_WAIT));
    }

    fn hear(&mut self, connection: &mut Connection) {
        while let Some(event) = connection.next_event() {
            match event {
                LinkEvent::Acknowledged(entry) => {
                    assert!(self.confirmed.contains(&entry), "{entry} was not confirmed");
                    assert!(self.given.remove(&entry), "{entry} answered twice");
                }
                LinkEvent::Lost(entries) => {
                    for entry in entries {
                        assert!(self.given.remove(&entry), "{entry} answered twice");
                    }
                }
                LinkEvent::Message { ack: Some(token), .. } | LinkEvent::Oversize { ack: Some(token), .. } => {
                    self.tokens.push(token);
                }
                _ => {}
            }
        }
        let metrics = connection.metrics();
        assert!(metrics.outstanding <= 4, "{} on their way", metrics.outstanding);
        assert_eq!(metrics.outstanding, self.given.len(), "an entry is neither on its way nor answered");
        connection.take_released();
    }

    fn forget_connection(&mut self) {
        (self.taken, self.asked, self.asked_on_wire) = Default::default();
        (self.wire, self.open) = Default::default();
        (self.online, self.connecting, self.leaving) = (false, None, 0);
    }
}

fn publication() -> Publication {
    Publication { topic: "t".to_owned(), payload: vec![1], retain: false }
}

fn inbound(packet: u16, line: Line<'_>) -> Inbound {
    let payload = if line.word == "oversize" { Bytes::from(vec![0; 1 << 19]) } else { Bytes::from_static(b"1") };
    let qos = match line.text() {
        "exactly-once" => Qos::ExactlyOnce,
        "at-most-once" if line.word == "left" => Qos::AtMostOnce,
        _ => Qos::AtLeastOnce,
    };
    Inbound { topic: "a/b".to_owned(), payload, retain: false, dup: false, qos, packet }
}

fn fault(line: Line<'_>) -> Fault {
    let (kind, line) = line.next();
    match kind {
        "giant" => Fault::Unreadable(Unreadable::OverLimit(9_000_000 + line.number::<u16>() as usize)),
        "garbage" => Fault::Unreadable(Unreadable::Malformed("no MQTT".to_owned())),
        "refused" => Fault::Other("connection refused".to_owned()),
        _ => Fault::HungUp,
    }
}

fn nth(wire: &BTreeMap<u16, Option<EntryId>>, nth: usize) -> Option<u16> {
    wire.keys().nth(nth % wire.len().max(1)).copied()
}

/// Contested or not.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
