//! The connection as a state machine: what happened comes in with the time, what to do comes out. No sockets, no
//! clock, no task; `link.rs` carries it out.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use super::{
    AckToken, LinkEvent, LinkMetrics, LinkOptions, Qos,
    outstanding::{Outstanding, Sent},
    poison::{Cure, Poison, Unreadable},
    schedule::Schedule,
    subscriptions::Subscriptions,
};
use crate::outbox::{EntryId, Publication};

/// The state of one link over all its connections.
#[derive(Debug)]
pub(super) struct Connection {
    client_id: String,
    keep_session: bool,
    max_payload: usize,
    tracked_limit: usize,
    no_progress: Duration,
    phase: Phase,
    /// Rises with every accepted connection; an acknowledgement is worth something only on its own.
    generation: u64,
    schedule: Schedule,
    poison: Poison,
    /// Connections in a row that the broker closed right after accepting them.
    short_lived: u32,
    drop_session: bool,
    farewell: Option<Farewell>,
    acks: VecDeque<(u16, bool)>,
    requests: VecDeque<Request>,
    outstanding: Outstanding,
    subscriptions: Subscriptions,
    /// QoS 1 messages read from a connection that ended: the broker brings them again if it kept the session.
    limbo: Vec<Inbound>,
    events: VecDeque<LinkEvent>,
    released: Released,
    metrics: LinkMetrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting {
        until: Duration,
    },
    Connecting {
        drop_session: bool,
    },
    Online {
        since: Duration,
    },
    /// Connected only to have the broker drop the session.
    Dropping {
        since: Duration,
    },
    Closed,
}

/// A connection that is to end once everything on its way is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Farewell {
    /// The end of patience; `None` once the farewell is asked for.
    grace: Option<Duration>,
    /// Another connection follows.
    to_come_back: bool,
}

/// How to make the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub clean_session: bool,
    pub packet_limit: usize,
}

/// Something for the client library to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Ack { packet: u16, exactly_once: bool },
    Subscribe(Vec<(String, Qos)>),
    Unsubscribe(String),
    Publish { entry: Option<EntryId>, publication: Publication, qos: Qos },
    Disconnect,
}

/// A message as the client library hands it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inbound {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub dup: bool,
    pub qos: Qos,
    pub packet: u16,
}

/// Why a connection, or the attempt at one, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The broker hung up.
    HungUp,
    Unreadable(Unreadable),
    /// Given up by [`Connection::overdue`].
    NoProgress,
    /// Ended by us, with a farewell, to come back with new certificates.
    Renewal,
    /// Anything else, in words.
    Other(String),
}

/// Publications that are no longer on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Released {
    pub tracked: usize,
    pub untracked: usize,
    /// At QoS 0: they take none of the broker's window.
    pub unconfirmed: usize,
}

impl Connection {
    pub fn new(options: &LinkOptions) -> Self {
        Connection {
            client_id: options.client_id.clone(),
            keep_session: options.keep_session,
            max_payload: options.max_payload,
            tracked_limit: tracked_limit(options.inflight),
            no_progress: options.no_progress,
            phase: Phase::Waiting { until: Duration::ZERO },
            generation: 0,
            schedule: Schedule::started(),
            poison: Poison::new(options.packet_limit()),
            short_lived: 0,
            drop_session: false,
            farewell: None,
            acks: VecDeque::new(),
            requests: VecDeque::new(),
            outstanding: Outstanding::default(),
            subscriptions: Subscriptions::new(options.subscriptions.clone(), options.unwanted.clone()),
            limbo: Vec::new(),
            events: VecDeque::new(),
            released: Released::default(),
            metrics: LinkMetrics::default(),
        }
    }

    /// The wait is over: how to connect.
    pub fn attempt(&mut self) -> Attempt {
        let drop_session = self.drop_session;
        self.phase = Phase::Connecting { drop_session };
        self.metrics.attempts += 1;
        Attempt { clean_session: drop_session || !self.keep_session, packet_limit: self.poison.packet_limit() }
    }

    /// The broker accepted.
    pub fn connected(&mut self, now: Duration, session_present: bool) {
        self.metrics.connections += 1;
        self.generation += 1;
        self.schedule.connected(now);
        if self.phase == (Phase::Connecting { drop_session: true }) {
            self.phase = Phase::Dropping { since: now };
            self.drop_session = false;
            self.requests.push_back(Request::Disconnect);
            return;
        }
        self.phase = Phase::Online { since: now };
        self.metrics.online = true;
        self.events.push_back(LinkEvent::Connected { session_present });
        for inbound in std::mem::take(&mut self.limbo) {
            if session_present {
                self.metrics.left_to_redelivery += 1;
            } else {
                self.hand_on(inbound, None);
            }
        }
        let missing = self.subscriptions.missing(session_present);
        self.ask(missing);
    }

    /// Listens to these topic filters and no others from now on.
    pub fn listen(&mut self, filters: Vec<(String, Qos)>) {
        self.subscriptions.want(filters);
        if matches!(self.phase, Phase::Online { .. }) {
            self.requests.retain(|request| !matches!(request, Request::Subscribe(_) | Request::Unsubscribe(_)));
            let missing = self.subscriptions.unasked();
            self.ask(missing);
        }
    }

    /// A message arrived on the present connection.
    pub fn message(&mut self, inbound: Inbound) {
        let ack = (inbound.qos != Qos::AtMostOnce).then_some(AckToken {
            generation: self.generation,
            packet: inbound.packet,
            exactly_once: inbound.qos == Qos::ExactlyOnce,
        });
        self.hand_on(inbound, ack);
    }

    /// A message was left in the client library's buffer by a connection that has just ended (trap M2): its packet id
    /// means nothing any more.
    pub fn message_left(&mut self, inbound: Inbound) {
        if inbound.qos == Qos::AtMostOnce {
            self.hand_on(inbound, None);
        } else {
            self.limbo.push(inbound);
        }
    }

    /// The client library put a publication on the wire.
    pub fn publication_sent(&mut self, packet: u16) {
        // QoS 0 has no packet id and no future.
        if packet != 0 {
            self.outstanding.sent(packet);
        }
    }

    /// The client library holds a publication back until its packet id is free.
    pub fn publication_collided(&mut self, packet: u16) {
        self.outstanding.collided(packet);
    }

    /// The broker confirmed a publication.
    pub fn publication_confirmed(&mut self, packet: u16) {
        match self.outstanding.confirmed(packet) {
            Some(Sent { entry: Some(entry), .. }) => {
                self.released.tracked += 1;
                self.metrics.acknowledged += 1;
                self.events.push_back(LinkEvent::Acknowledged(entry));
            }
            Some(Sent { entry: None, .. }) => self.released.untracked += 1,
            None => {}
        }
    }

    pub fn subscription_sent(&mut self, packet: u16) {
        self.subscriptions.sent(packet);
    }

    pub fn unsubscription_answered(&mut self) {
        self.subscriptions.left();
    }

    pub fn subscription_answered(&mut self, packet: u16, granted: &[Option<Qos>]) {
        self.events.extend(self.subscriptions.answered(packet, granted));
    }

    /// The farewell is on the wire: nothing comes after it.
    pub fn farewell_sent(&mut self, now: Duration) {
        if let Phase::Dropping { .. } = self.phase {
            self.phase = Phase::Waiting { until: now };
        } else if self.farewell.is_some_and(|farewell| farewell.to_come_back) {
            self.lost(now, Fault::Renewal, 0.0);
        } else {
            self.phase = Phase::Closed;
            self.metrics.online = false;
            self.drop_publications();
        }
    }

    /// The connection, or the attempt at one, ended; `random` lies in 0..1.
    pub fn lost(&mut self, now: Duration, fault: Fault, random: f64) {
        let lived = match self.phase {
            Phase::Online { since } | Phase::Dropping { since } => Some(now.saturating_sub(since)),
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Closed => None,
        };
        if let Some(lived) = lived {
            self.schedule.lost(now, lived);
        }
        let online = std::mem::replace(&mut self.metrics.online, false);
        self.metrics.acks_stale += self.acks.len() as u64;
        self.acks.clear();
        self.subscriptions.lost();
        self.drop_publications();
        self.metrics.no_progress += u64::from(fault == Fault::NoProgress);

        let mut reason = self.describe(&fault);
        if fault == Fault::HungUp && lived.is_some_and(|lived| lived < SHORT) {
            reason.push_str(&format!(
                " right after it had accepted it; does another client use client_id {:?}?",
                self.client_id
            ));
        }
        let contested = self.is_contested(&fault, lived);
        if let Fault::Unreadable(packet) = fault {
            self.cure(now, packet);
        }
        let mut delay = self.schedule.next(now, random);
        if contested {
            delay = delay.max(CONTESTED.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0)));
        }
        if online {
            self.events.push_back(LinkEvent::Disconnected { reason });
        } else {
            self.events.push_back(LinkEvent::Unreachable { reason, attempts: self.schedule.attempts() });
        }
        let ended = self.farewell.take_if(|farewell| farewell.to_come_back).is_none() && self.farewell.is_some();
        self.phase = if ended { Phase::Closed } else { Phase::Waiting { until: now + delay } };
    }

    /// Takes a publication that is to be confirmed, or hands it back at once.
    pub fn publish_tracked(&mut self, entry: EntryId, publication: Publication) {
        if !self.takes_publications() || self.tracked() >= self.tracked_limit {
            self.released.tracked += 1;
            self.metrics.handed_back += 1;
            self.events.push_back(LinkEvent::Lost(vec![entry]));
            return;
        }
        self.requests.push_back(Request::Publish { entry: Some(entry), publication, qos: Qos::AtLeastOnce });
    }

    /// Takes a publication that nobody asks after.
    pub fn publish_now(&mut self, publication: Publication, qos: Qos) {
        if self.takes_publications() {
            self.requests.push_back(Request::Publish { entry: None, publication, qos });
        } else {
            match qos {
                Qos::AtMostOnce => self.released.unconfirmed += 1,
                Qos::AtLeastOnce | Qos::ExactlyOnce => self.released.untracked += 1,
            }
            self.metrics.untracked_lost += 1;
        }
    }

    /// The message is done with. Without effect if its connection is gone.
    pub fn ack(&mut self, token: AckToken) {
        if token.generation == self.generation && matches!(self.phase, Phase::Online { .. }) {
            // Bounded by the packet ids that the broker has: each token is used once.
            self.acks.push_back((token.packet, token.exactly_once));
        } else {
            self.metrics.acks_stale += 1;
        }
    }

    /// Say farewell once everything on its way is confirmed, or after a grace time.
    pub fn close(&mut self, now: Duration) {
        if self.farewell.is_none_or(|farewell| farewell.to_come_back) {
            self.farewell = Some(Farewell { grace: Some(now + GRACE), to_come_back: false });
        }
        if !matches!(self.phase, Phase::Online { .. }) {
            self.drop_publications();
            self.phase = Phase::Closed;
        }
    }

    /// New certificates: say farewell likewise, and come back with them.
    pub fn renew(&mut self, now: Duration) {
        self.metrics.certificates_renewed += 1;
        if self.farewell.is_none() && !matches!(self.phase, Phase::Waiting { .. } | Phase::Closed) {
            self.farewell = Some(Farewell { grace: Some(now + GRACE), to_come_back: true });
        }
    }

    /// New certificates that cannot be used.
    pub fn certificates_refused(&mut self) {
        self.metrics.certificates_refused += 1;
    }

    /// Offers what is to be sent until it is refused. What is refused is offered again (trap M12).
    pub fn offer(&mut self, now: Duration, mut take: impl FnMut(&Request) -> bool) {
        if !matches!(self.phase, Phase::Online { .. } | Phase::Dropping { .. }) {
            return;
        }
        while let Some((packet, exactly_once)) = self.acks.front().copied() {
            if !take(&Request::Ack { packet, exactly_once }) {
                return;
            }
            self.acks.pop_front();
            self.metrics.acks_sent += 1;
        }
        let done = self.outstanding.is_empty() && self.requests.is_empty();
        if let Some(Farewell { grace, .. }) = &mut self.farewell
            && grace.is_some_and(|grace| done || now >= grace)
        {
            *grace = None;
            // What was still to be sent is handed back when the farewell is on the wire.
            self.requests.push_front(Request::Disconnect);
        } else if self.farewell.is_some_and(|farewell| farewell.grace.is_none())
            && self.requests.front() != Some(&Request::Disconnect)
        {
            return;
        }
        while let Some(request) = self.requests.front() {
            if !take(request) {
                return;
            }
            match self.requests.pop_front() {
                Some(Request::Publish { qos: Qos::AtMostOnce, .. }) => self.released.unconfirmed += 1,
                Some(Request::Publish { entry, .. }) => self.outstanding.requested(Sent { entry, since: now }),
                Some(Request::Subscribe(filters)) => self.subscriptions.requested(now, &filters),
                Some(Request::Unsubscribe(filter)) => self.subscriptions.leaving(now, filter),
                Some(Request::Disconnect) => return,
                Some(Request::Ack { .. }) | None => {}
            }
        }
    }

    /// When to look at [`overdue`](Connection::overdue), [`attempt`](Connection::attempt) or
    /// [`offer`](Connection::offer) again.
    pub fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Online { .. } => {
                let grace = self.farewell.and_then(|farewell| farewell.grace);
                self.oldest().map(|oldest| oldest + self.no_progress).into_iter().chain(grace).min()
            }
            Phase::Connecting { .. } | Phase::Dropping { .. } | Phase::Closed => None,
        }
    }

    /// Something has stayed unconfirmed for too long: the connection is to be given up with this fault.
    pub fn overdue(&self, now: Duration) -> Option<Fault> {
        let oldest = self.oldest().filter(|_| matches!(self.phase, Phase::Online { .. }))?;
        (now >= oldest + self.no_progress).then_some(Fault::NoProgress)
    }

    pub fn next_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    pub fn take_released(&mut self) -> Released {
        std::mem::take(&mut self.released)
    }

    /// A QoS 0 message found no place in the queue.
    pub fn shed(&mut self) {
        self.metrics.shed += 1;
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    pub fn metrics(&self) -> LinkMetrics {
        LinkMetrics { outstanding: self.tracked(), subscribed: self.subscriptions.granted(), ..self.metrics }
    }

    fn hand_on(&mut self, inbound: Inbound, ack: Option<AckToken>) {
        let Inbound { topic, payload, retain, dup, qos, .. } = inbound;
        self.metrics.received += 1;
        self.events.push_back(if payload.len() > self.max_payload {
            self.metrics.oversize += 1;
            LinkEvent::Oversize { topic, size: payload.len(), ack }
        } else {
            LinkEvent::Message { topic, payload, retain, dup, qos, ack }
        });
    }

    /// Asks for what is missing, and to be spared what is no longer wanted.
    fn ask(&mut self, missing: Vec<Vec<(String, Qos)>>) {
        self.requests.extend(self.subscriptions.unwanted().into_iter().map(Request::Unsubscribe));
        self.requests.extend(missing.into_iter().map(Request::Subscribe));
    }

    /// Online, and no farewell is on its way.
    pub fn takes_publications(&self) -> bool {
        matches!(self.phase, Phase::Online { .. }) && self.farewell.is_none()
    }

    /// Tracked publications on their way.
    fn tracked(&self) -> usize {
        let queued = |request: &&Request| matches!(request, Request::Publish { entry: Some(_), .. });
        self.outstanding.tracked() + self.requests.iter().filter(queued).count()
    }

    fn oldest(&self) -> Option<Duration> {
        self.outstanding.oldest().into_iter().chain(self.subscriptions.oldest()).min()
    }

    fn drop_publications(&mut self) {
        let queued = std::mem::take(&mut self.requests).into_iter().filter_map(|request| match request {
            Request::Publish { entry, qos, .. } => Some((entry, qos)),
            Request::Ack { .. } | Request::Subscribe(_) | Request::Unsubscribe(_) | Request::Disconnect => None,
        });
        let sent = self.outstanding.take().into_iter().map(|sent| (sent.entry, Qos::AtLeastOnce));
        let (mut lost, mut untracked, mut unconfirmed) = (Vec::new(), 0, 0);
        for (entry, qos) in sent.chain(queued) {
            match (entry, qos) {
                (Some(entry), _) => lost.push(entry),
                (None, Qos::AtMostOnce) => unconfirmed += 1,
                (None, Qos::AtLeastOnce | Qos::ExactlyOnce) => untracked += 1,
            }
        }
        self.released.tracked += lost.len();
        self.released.untracked += untracked;
        self.released.unconfirmed += unconfirmed;
        self.metrics.handed_back += lost.len() as u64;
        self.metrics.untracked_lost += (untracked + unconfirmed) as u64;
        if !lost.is_empty() {
            lost.sort_unstable();
            self.events.push_back(LinkEvent::Lost(lost));
        }
    }

    fn is_contested(&mut self, fault: &Fault, lived: Option<Duration>) -> bool {
        let Some(lived) = lived else { return false };
        self.short_lived = if *fault == Fault::HungUp && lived < SHORT { self.short_lived + 1 } else { 0 };
        if self.short_lived < CONTESTED_AFTER {
            return false;
        }
        self.short_lived = 0;
        self.metrics.contested += 1;
        let reason = format!(
            "the broker accepted and closed {CONTESTED_AFTER} connections in a row within {SHORT:?}: most likely another \
             client uses client_id {:?}; give each gateway its own `mqtt.client_id`",
            self.client_id
        );
        self.events.push_back(LinkEvent::ClientIdContested { reason });
        true
    }

    fn cure(&mut self, now: Duration, packet: Unreadable) {
        let what = self.describe(&Fault::Unreadable(packet.clone()));
        match self.poison.met(now, packet) {
            Cure::Retry => {}
            Cure::DropSession => {
                self.drop_session = true;
                self.metrics.sessions_dropped += 1;
                let reason = format!(
                    "{what}, three times in a row; set a limit in the broker (mosquitto: `message_size_limit`)"
                );
                self.events.push_back(LinkEvent::SessionDropped { reason });
            }
            Cure::RaiseLimit => self.metrics.limit_raised += 1,
        }
    }

    fn describe(&self, fault: &Fault) -> String {
        match fault {
            Fault::HungUp => "the broker closed the connection".to_owned(),
            Fault::Unreadable(Unreadable::OverLimit(size)) => {
                let limit = self.poison.packet_limit();
                format!("the broker sent a packet of {size} bytes, more than the {limit} that are taken")
            }
            Fault::Unreadable(Unreadable::Malformed(why)) => format!("the broker sent a packet that is no MQTT: {why}"),
            Fault::NoProgress => format!("a publication or subscription stayed unconfirmed for {:?}", self.no_progress),
            Fault::Renewal => "connecting anew with new certificates".to_owned(),
            Fault::Other(words) => words.clone(),
        }
    }
}

/// Tracked publications on their way at once.
pub(super) fn tracked_limit(inflight: u16) -> usize {
    usize::from(inflight / 2).max(1)
}

/// A connection that the broker closes sooner was hardly wanted.
const SHORT: Duration = Duration::from_secs(3);
/// So many of them in a row are no accident.
const CONTESTED_AFTER: u32 = 4;
/// The longest wait while the client id is contested.
const CONTESTED: Duration = Duration::from_secs(60);
/// How long a farewell waits for confirmations.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
