//! The client library, and nothing else knows it: options in, its events and errors in our words out.
//!
//! Every connection gets a client of its own, so nothing of an old one (queued requests, buffered events, a packet id
//! that collided: traps M1 to M3) outlives it, and each is opened with the certificates of its time (trap M14).

use std::{io::ErrorKind, net::Ipv6Addr, time::Duration};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, LastWill, MqttOptions, Outgoing,
    Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport, mqttbytes,
};

use super::{
    LinkOptions, Qos,
    connection::{Attempt, Connection, Fault, Inbound, Request},
    poison::Unreadable,
    tls_words,
};

/// A client for one connection.
pub(super) struct Wire {
    client: AsyncClient,
    pub events: EventLoop,
}

/// Sends what fits; full is an answer.
#[derive(Clone)]
pub(super) struct Sender(AsyncClient);

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
        let (client, mut events) = AsyncClient::new(mqtt, CHANNEL);
        let mut network = events.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        events.set_network_options(network);
        Wire { client, events }
    }

    pub fn sender(&self) -> Sender {
        Sender(self.client.clone())
    }

    /// What the connection had read or sent, but not told, when it ended. Confirmations among it count; messages have
    /// lost their packet id.
    pub fn tell_rest(self, now: Duration, connection: &mut Connection) {
        for event in self.events.state.events {
            match event {
                Event::Incoming(Incoming::Publish(publish)) => connection.message_left(inbound(publish)),
                event => tell(event, now, connection),
            }
        }
    }
}

impl Sender {
    pub fn take(&self, request: &Request) -> bool {
        let Sender(client) = self;
        let taken = match request {
            Request::Ack { packet, exactly_once } => {
                let qos = if *exactly_once { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
                let mut publish = Publish::new("", qos, Vec::new());
                publish.pkid = *packet;
                client.try_ack(&publish)
            }
            Request::Subscribe(filters) => client.try_subscribe_many(
                filters.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), wire(*qos))),
            ),
            Request::Unsubscribe(filter) => client.try_unsubscribe(filter),
            Request::Publish { publication, qos, .. } => {
                let payload = publication.payload.clone();
                client.try_publish(&publication.topic, wire(*qos), publication.retain, payload)
            }
            Request::Disconnect => client.try_disconnect(),
        };
        taken.is_ok()
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

/// Requests between us and the library's poll: enough for one turn, it is no queue (trap M6).
const CHANNEL: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
