//! The client library, and nothing else knows it: options in, its events and errors in our words out.
//!
//! The library makes the connection, reads and writes packets and keeps the books of packet ids. When to do so is decided
//! here: its own loop sends every acknowledgement by itself, which costs more than all the rest of a message's way.
//! Every connection gets a client of its own, so nothing of an old one (queued requests, buffered events, a packet id
//! that collided: traps M1 to M3) outlives it, and each is opened with the certificates of its time (trap M14).

use std::{
    future::{Future, poll_fn},
    io::ErrorKind,
    net::Ipv6Addr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use rumqttc::{
    ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, LastWill, MqttOptions, Outgoing, Packet, PubAck,
    PubRec, Publish, QoS, StateError, Subscribe, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
    Unsubscribe, mqttbytes,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{
    LinkOptions, Qos,
    connection::{Attempt, Connection, Fault, Inbound, Request},
    poison::Unreadable,
    tls_words,
};

/// A client for one connection.
pub(super) struct Wire {
    stage: Stage,
    inflight: u16,
    keep_alive: Interval,
    /// Bytes that the socket may not have taken yet.
    unflushed: usize,
    /// Something found no room, or ends the connection: whoever asked wants to know when all is on the wire.
    awaited: bool,
    /// The farewell is written.
    farewell: bool,
    /// The socket had taken nothing for long when the last ping was due.
    stuck: bool,
    /// Why something could not be written.
    failure: Option<ConnectionError>,
}

enum Stage {
    Opening(Opening),
    Open(Box<EventLoop>),
}

/// Owns what it works on, so that it may be left alone and taken up again.
type Opening = Pin<Box<dyn Future<Output = (EventLoop, Result<Event, ConnectionError>)> + Send>>;

impl Wire {
    /// `options` have passed [`LinkOptions::check`], so none of the setters' assertions (trap M8) can fail.
    pub fn open(options: &LinkOptions, attempt: Attempt) -> Wire {
        let host = match options.host.parse::<Ipv6Addr>() {
            // The library finds the address either way, but takes no brackets for a name in a certificate.
            Ok(address) if options.tls.is_none() => format!("[{address}]"),
            _ => options.host.clone(),
        };
        let mut mqtt = MqttOptions::new(&options.client_id, host, options.port);
        mqtt.set_keep_alive(options.keep_alive)
            .set_clean_session(attempt.clean_session)
            .set_manual_acks(true)
            .set_inflight(options.inflight)
            .set_max_packet_size(attempt.packet_limit, attempt.packet_limit);
        if let Some(credentials) = &options.credentials {
            mqtt.set_credentials(&credentials.username, &credentials.password);
        }
        if let Some(tls) = &options.tls {
            mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.config())));
        }
        if let Some(will) = &options.will {
            mqtt.set_last_will(LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, will.retain));
        }
        let mut library = EventLoop::new(mqtt, NO_REQUESTS);
        let mut network = library.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        library.set_network_options(network);
        let opening = async move {
            let accepted = library.poll().await;
            (library, accepted)
        };
        let mut keep_alive = interval_at(Instant::now() + options.keep_alive, options.keep_alive);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Wire {
            stage: Stage::Opening(Box::pin(opening)),
            inflight: options.inflight,
            keep_alive,
            unflushed: 0,
            awaited: false,
            farewell: false,
            stuck: false,
            failure: None,
        }
    }

    /// Goes on until there is something new: an event, or room for a request that was refused. Safe to cancel.
    pub async fn turn(&mut self) -> Result<(), ConnectionError> {
        poll_fn(|context| self.poll_turn(context)).await
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<Event> {
        match &mut self.stage {
            Stage::Opening(_) => None,
            Stage::Open(library) => library.state.events.pop_front(),
        }
    }

    /// Takes a request, to be sent with the next turn; full is an answer.
    pub fn take(&mut self, request: &Request) -> bool {
        let Stage::Open(library) = &mut self.stage else { return false };
        let state = &mut library.state;
        // More on their way than the broker's window has places would overwrite one another (trap M6).
        let windowed = !matches!(request, Request::Ack { .. } | Request::Disconnect);
        let window_full = state.inflight() >= self.inflight || state.collision.is_some();
        if self.unflushed >= ROOM || self.farewell || self.failure.is_some() || windowed && window_full {
            self.awaited = true;
            return false;
        }
        let outgoing = match request {
            Request::Ack { packet, exactly_once: false } => Ok(Some(Packet::PubAck(PubAck::new(*packet)))),
            Request::Ack { packet, exactly_once: true } => {
                state.handle_outgoing_packet(rumqttc::Request::PubRec(PubRec::new(*packet)))
            }
            Request::Subscribe(filters) => {
                let filters = filters.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), wire(*qos)));
                state.handle_outgoing_packet(rumqttc::Request::Subscribe(Subscribe::new_many(filters)))
            }
            Request::Unsubscribe(filter) => {
                state.handle_outgoing_packet(rumqttc::Request::Unsubscribe(Unsubscribe::new(filter)))
            }
            Request::Publish { publication, qos, .. } => {
                let mut publish = Publish::new(&publication.topic, wire(*qos), publication.payload.clone());
                publish.retain = publication.retain;
                state.handle_outgoing_packet(rumqttc::Request::Publish(publish))
            }
            Request::Disconnect => {
                (self.farewell, self.awaited) = (true, true);
                Ok(Some(Packet::Disconnect))
            }
        };
        let written = outgoing.map_err(ConnectionError::MqttState).and_then(|packet| self.write(packet));
        self.failure = written.err();
        true
    }

    /// What the connection had read or sent, but not told, when it ended. Confirmations among it count; messages have
    /// lost their packet id.
    pub fn tell_rest(mut self, now: Duration, connection: &mut Connection) {
        while let Some(event) = self.next_event() {
            match event {
                Event::Incoming(Incoming::Publish(publish)) => connection.message_left(inbound(publish)),
                event => tell(event, now, connection),
            }
        }
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if let Stage::Opening(opening) = &mut self.stage {
            let (mut library, accepted) = ready!(opening.as_mut().poll(context));
            library.state.events.extend(accepted.as_ref().ok().cloned());
            self.stage = Stage::Open(Box::new(library));
            self.keep_alive.reset();
            return Poll::Ready(accepted.map(|_| ()));
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        if self.keep_alive.poll_tick(context).is_ready() {
            self.ping()?;
        }
        let sent = self.poll_send(context)?;
        let received = self.poll_receive(context)?;
        if sent || received { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// True if all is on the wire that somebody waited for.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let Stage::Open(library) = &mut self.stage else { return Ok(false) };
        let Some(network) = &mut library.network else { return Ok(false) };
        if self.unflushed > 0 {
            // Dropped half-way it goes on where it was.
            match pin!(network.flush()).poll(context) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return Ok(false),
            }
            (self.unflushed, self.stuck) = (0, false);
            if self.farewell {
                library.state.events.push_back(Event::Outgoing(Outgoing::Disconnect));
            }
        }
        Ok(std::mem::take(&mut self.awaited))
    }

    /// Takes whatever has arrived; true if there was something. While the socket takes nothing, nothing is read either.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Result<bool, ConnectionError> {
        for received in 0..MOST_A_TURN {
            let Stage::Open(library) = &mut self.stage else { return Ok(false) };
            let Some(network) = &mut library.network else { return Ok(false) };
            if self.unflushed >= ROOM {
                return Ok(received > 0);
            }
            // Dropped half-way it has taken nothing.
            let packet = match pin!(network.read()).poll(context) {
                Poll::Ready(packet) => packet?,
                Poll::Pending => return Ok(received > 0),
            };
            match packet {
                // The library would copy it, and do no more.
                Packet::Publish(publish) if publish.qos != QoS::ExactlyOnce => {
                    library.state.events.push_back(Event::Incoming(Packet::Publish(publish)));
                }
                packet => {
                    let reply = library.state.handle_incoming_packet(packet)?;
                    self.write(reply)?;
                }
            }
        }
        Ok(true)
    }

    /// A broker that has answered none since the last one is gone.
    fn ping(&mut self) -> Result<(), ConnectionError> {
        if self.unflushed >= ROOM {
            let stuck = std::mem::replace(&mut self.stuck, true);
            return if stuck { Err(ConnectionError::FlushTimeout) } else { Ok(()) };
        }
        let Stage::Open(library) = &mut self.stage else { return Ok(()) };
        let packet = library.state.handle_outgoing_packet(rumqttc::Request::PingReq(rumqttc::PingReq))?;
        self.write(packet)
    }

    /// Puts a packet behind those that wait for the socket.
    fn write(&mut self, packet: Option<Packet>) -> Result<(), ConnectionError> {
        let (Some(packet), Stage::Open(library)) = (packet, &mut self.stage) else { return Ok(()) };
        let Some(network) = &mut library.network else { return Ok(()) };
        self.unflushed += packet.size();
        match pin!(network.write(packet)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => Ok(written?),
            // The library takes packets while fewer than 8 KiB wait, and we give none beyond `ROOM`; this one is lost.
            Poll::Pending => Err(ConnectionError::FlushTimeout),
        }
    }
}

/// Tells the state machine what happened.
pub(super) fn tell(event: Event, now: Duration, connection: &mut Connection) {
    match event {
        Event::Incoming(Incoming::ConnAck(ack)) => connection.connected(now, ack.session_present),
        Event::Incoming(Incoming::Publish(publish)) => connection.message(inbound(publish)),
        Event::Incoming(Incoming::PubAck(ack)) => connection.publication_confirmed(ack.pkid),
        Event::Incoming(Incoming::SubAck(ack)) => {
            let granted = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => Some(ours(*qos)),
                SubscribeReasonCode::Failure => None,
            };
            connection.subscription_answered(ack.pkid, &ack.return_codes.iter().map(granted).collect::<Vec<_>>());
        }
        Event::Incoming(Incoming::UnsubAck(_)) => connection.unsubscription_answered(),
        Event::Outgoing(Outgoing::Publish(packet)) => connection.publication_sent(packet),
        Event::Outgoing(Outgoing::AwaitAck(packet)) => connection.publication_collided(packet),
        Event::Outgoing(Outgoing::Subscribe(packet)) => connection.subscription_sent(packet),
        Event::Outgoing(Outgoing::Disconnect) => connection.farewell_sent(now),
        // Pings, acknowledgements on their way, QoS 2 hand-shakes that the library finishes by itself.
        Event::Incoming(_) | Event::Outgoing(_) => {}
    }
}

/// Why a connection that was not accepted yet ended.
pub(super) fn explain(error: &ConnectionError, options: &LinkOptions) -> String {
    match fault(error, options, false) {
        Fault::Other(words) => words,
        fault => format!("broker {}:{}: {fault:?}", options.host, options.port),
    }
}

/// What an error means; `accepted` says whether it came after the CONNACK.
pub(super) fn fault(error: &ConnectionError, options: &LinkOptions, accepted: bool) -> Fault {
    let broker = format!("broker {}:{}", options.host, options.port);
    if let Some(words) = options.tls.as_ref().and_then(|tls| tls_words::explain(error, tls)) {
        return Fault::Other(format!("{broker} {words}"));
    }
    let hung_up = || match accepted {
        true => Fault::HungUp,
        false => Fault::Other(format!("{broker} closed the connection before it accepted it; {}", suspicion(options))),
    };
    let io = |kind: ErrorKind| match kind {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => hung_up(),
        _ => Fault::Other(format!("{broker}: {error}")),
    };
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => hung_up(),
        ConnectionError::MqttState(StateError::Io(error)) | ConnectionError::Io(error) => io(error.kind()),
        ConnectionError::MqttState(StateError::Deserialization(error)) => match error {
            mqttbytes::Error::Io(error) => io(error.kind()),
            mqttbytes::Error::PayloadSizeLimitExceeded(size) => Fault::Unreadable(Unreadable::OverLimit(*size)),
            mqttbytes::Error::OutgoingPacketTooLarge { .. } => Fault::Other(format!("{broker}: {error}")),
            error => Fault::Unreadable(Unreadable::Malformed(error.to_string())),
        },
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Fault::Other(format!("{broker} has not answered a ping for {:?}", options.keep_alive))
        }
        ConnectionError::ConnectionRefused(code) => {
            Fault::Other(format!("{broker} refused the connection: {code:?}; {}", advice(*code)))
        }
        ConnectionError::NetworkTimeout => {
            Fault::Other(format!("{broker} did not answer within {CONNECT_TIMEOUT:?}; check host, port and firewall"))
        }
        error => Fault::Other(format!("{broker}: {error}")),
    }
}

/// What is most likely wrong where a broker closes a connection without a word.
fn suspicion(options: &LinkOptions) -> &'static str {
    match &options.tls {
        None => "if that is its TLS port, add [mqtt.tls]; else its log says why",
        Some(tls) if tls.shows_a_certificate() => "most likely it does not take the gateway's certificate",
        Some(_) => "if it wants a client certificate, give mqtt.tls.cert_file and key_file; else its log says why",
    }
}

/// What to do about a refusal.
fn advice(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1; update it, or allow that version",
        ConnectReturnCode::BadClientId => "it takes no client of this name; change `mqtt.client_id`, or allow it there",
        ConnectReturnCode::ServiceUnavailable => "it is overloaded or starting; if it stays so, look into its log",
        _ => "check `mqtt.username`, the password and the broker's ACL",
    }
}

fn inbound(publish: Publish) -> Inbound {
    let Publish { dup, qos, retain, topic, pkid, payload } = publish;
    Inbound { topic, payload, retain, dup, qos: ours(qos), packet: pkid }
}

pub(super) fn ours(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// Publications and subscriptions go out at QoS 1 at most (trap M5).
fn wire(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce | Qos::ExactlyOnce => QoS::AtLeastOnce,
    }
}

/// The library's own queue of requests is not used.
const NO_REQUESTS: usize = 0;
/// Bytes that may wait for the socket; the library writes up to 8 KiB at once.
const ROOM: usize = 4 << 10;
/// Packets that are read before anything else gets its turn.
const MOST_A_TURN: usize = 128;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
