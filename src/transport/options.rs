//! What a link needs to know, checked before the client library can stumble over it (trap M8).

use std::time::Duration;

use super::{Qos, Tls};
use crate::outbox::Publication;

/// How to reach the broker and what to ask of it.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Must be the same after every start and used by no other client: the broker keeps the session under it.
    pub client_id: String,
    /// The broker keeps what comes while this client is away. Not for a client that comes once: its session would stay.
    pub keep_session: bool,
    /// User name and password.
    pub credentials: Option<Credentials>,
    /// Certificates, if the connection is to be encrypted; new ones in their files are used without a restart.
    pub tls: Option<Tls>,
    /// A silent broker is given up after at most twice this time.
    pub keep_alive: Duration,
    /// Larger messages are counted and their payload dropped. The connection takes packets of up to this or 1 MiB,
    /// whichever is more, and 128 KiB for the topic; what lies beyond is poison to it.
    pub max_payload: usize,
    /// Confirmed publications on their way at once; tracked ones take up to half of them.
    pub inflight: u16,
    /// The connection is given up when a publication or subscription stays unconfirmed for this time.
    pub no_progress: Duration,
    /// Events that wait for the consumer; when it is full, the link stops reading.
    pub queue: usize,
    /// Published by the broker, QoS 1, when the connection ends without a farewell.
    pub will: Option<Publication>,
    /// Topic filters.
    pub subscriptions: Vec<(String, Qos)>,
    /// Topic filters that an earlier run may have left in the session, and that are no longer wanted.
    pub unwanted: Vec<String>,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password; may be empty.
    pub password: String,
}

/// An option that no connection can be made with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No host.
    #[error("mqtt.host: found an empty or unprintable name, expected a host name or an address")]
    Host,
    /// Port 0.
    #[error("mqtt.port: found 0, expected 1 to 65535; brokers listen on 1883, or 8883 with TLS")]
    Port,
    /// No usable client id.
    #[error("mqtt.client_id: found {0:?}, expected 1 to 256 printable characters; the session is kept under it")]
    ClientId(String),
    /// Credentials that cannot be sent.
    #[error("mqtt.username and mqtt.password: expected at most 65535 bytes each and a user name that is not empty")]
    Credentials,
    /// Keep-alive out of range.
    #[error("mqtt.keep_alive: found {0:?}, expected 1s to 65535s; 7s finds a dead broker within 15s")]
    KeepAlive(Duration),
    /// Payload bound out of range.
    #[error("mqtt.max_payload: found {0} bytes, expected 1 byte to 16 MiB")]
    MaxPayload(usize),
    /// In-flight window out of range.
    #[error("mqtt.inflight: found {0}, expected 4 to 10000")]
    Inflight(u16),
    /// Patience out of range.
    #[error("mqtt.no_progress: found {0:?}, expected at least 1s")]
    NoProgress(Duration),
    /// No queue.
    #[error("mqtt.queue: found 0, expected at least 1 event")]
    Queue,
    /// Will that no broker takes.
    #[error("will on topic {topic:?}: {why}")]
    Will {
        /// Its topic.
        topic: String,
        /// Found and expected.
        why: String,
    },
    /// Filter that no broker takes.
    #[error(
        "subscription {0:?}: expected a topic filter such as `plant/+/telemetry` or `plant/#`, at most 65535 bytes, QoS 0 or 1"
    )]
    Filter(String),
}

impl LinkOptions {
    /// The defaults for everything that has one.
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        LinkOptions {
            host: host.into(),
            port,
            client_id: client_id.into(),
            keep_session: true,
            credentials: None,
            tls: None,
            keep_alive: Duration::from_secs(7),
            max_payload: 256 << 10,
            inflight: 400,
            no_progress: Duration::from_secs(20),
            queue: 256,
            will: None,
            subscriptions: Vec::new(),
            unwanted: Vec::new(),
        }
    }

    /// Finds the first option that cannot work.
    ///
    /// # Errors
    /// One [`OptionsError`] per kind of option.
    pub fn check(&self) -> Result<(), OptionsError> {
        let printable = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if !printable(&self.host) {
            return Err(OptionsError::Host);
        }
        if self.port == 0 {
            return Err(OptionsError::Port);
        }
        if self.client_id.is_empty() || self.client_id.len() > 256 || self.client_id.chars().any(char::is_control) {
            return Err(OptionsError::ClientId(self.client_id.clone()));
        }
        let sendable = |text: &str| text.len() <= LONGEST;
        if self.credentials.as_ref().is_some_and(|Credentials { username, password }| {
            username.is_empty() || !sendable(username) || !sendable(password)
        }) {
            return Err(OptionsError::Credentials);
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(LONGEST as u64)).contains(&self.keep_alive) {
            return Err(OptionsError::KeepAlive(self.keep_alive));
        }
        if !(1..=LARGEST_PAYLOAD).contains(&self.max_payload) {
            return Err(OptionsError::MaxPayload(self.max_payload));
        }
        if !(4..=10_000).contains(&self.inflight) {
            return Err(OptionsError::Inflight(self.inflight));
        }
        if self.no_progress < Duration::from_secs(1) {
            return Err(OptionsError::NoProgress(self.no_progress));
        }
        if self.queue == 0 {
            return Err(OptionsError::Queue);
        }
        if let Some(will) = &self.will {
            check_publication(will, LONGEST).map_err(|why| OptionsError::Will { topic: will.topic.clone(), why })?;
        }
        if let Some(filter) = self.unwanted.iter().find(|filter| !is_filter(filter)) {
            return Err(OptionsError::Filter(filter.clone()));
        }
        check_filters(&self.subscriptions)
    }

    /// The largest packet that the connection takes at first.
    pub(super) fn packet_limit(&self) -> usize {
        self.max_payload.max(1 << 20) + HEADROOM
    }
}

/// Finds the first subscription that no broker takes.
pub(super) fn check_filters(filters: &[(String, Qos)]) -> Result<(), OptionsError> {
    let works = |(filter, qos): &&(String, Qos)| is_filter(filter) && *qos != Qos::ExactlyOnce;
    match filters.iter().find(|subscription| !works(subscription)) {
        Some((filter, _)) => Err(OptionsError::Filter(filter.clone())),
        None => Ok(()),
    }
}

/// Says what no broker would accept about a publication.
pub(super) fn check_publication(publication: &Publication, most: usize) -> Result<(), String> {
    let Publication { topic, payload, .. } = publication;
    if topic.is_empty() || topic.len() > LONGEST || topic.contains(['+', '#', '\0']) {
        return Err("expected a topic of 1 to 65535 bytes without `+`, `#` and NUL".to_owned());
    }
    if payload.len() > most {
        return Err(format!("found a payload of {} bytes, expected at most {most}", payload.len()));
    }
    Ok(())
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Options end up in logs.
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

fn is_filter(filter: &str) -> bool {
    let levels = || filter.split('/');
    let last = levels().count() - 1;
    !filter.is_empty()
        && filter.len() <= LONGEST
        && !filter.contains('\0')
        && levels().enumerate().all(|(ix, level)| match level {
            "#" => ix == last,
            "+" => true,
            level => !level.contains(['+', '#']),
        })
}

/// The largest payload that may be asked for, and that the link lets pass to get rid of a retained giant.
pub(super) const LARGEST_PAYLOAD: usize = 16 << 20;
/// Room for the longest topic and the packet's own fields.
pub(super) const HEADROOM: usize = 128 << 10;
/// The longest string or will that MQTT can carry.
const LONGEST: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut LinkOptions);

    #[test]
    fn every_bad_option_is_named_and_none_panics() {
        let will = |topic: &str, size| Publication { topic: topic.into(), payload: vec![0; size], retain: true };
        let cases: [(Spoil, &str); 11] = [
            (|o| o.host = String::new(), "mqtt.host"),
            (|o| o.port = 0, "mqtt.port"),
            (|o| o.client_id = String::new(), "mqtt.client_id"),
            (|o| o.credentials = Some(Credentials { username: String::new(), password: "p".into() }), "mqtt.username"),
            (|o| o.keep_alive = Duration::from_millis(500), "mqtt.keep_alive"),
            (|o| o.max_payload = 0, "mqtt.max_payload"),
            (|o| o.inflight = 0, "mqtt.inflight"),
            (|o| o.no_progress = Duration::ZERO, "mqtt.no_progress"),
            (|o| o.queue = 0, "mqtt.queue"),
            (|o| o.subscriptions = vec![("a/#/b".into(), Qos::AtLeastOnce)], "subscription"),
            (|o| o.subscriptions = vec![("a".into(), Qos::ExactlyOnce)], "subscription"),
        ];
        for (spoil, named) in cases {
            let mut options = LinkOptions::new("localhost", 1883, "g1");
            assert_eq!(options.check(), Ok(()));
            spoil(&mut options);
            let error = options.check().expect_err(named).to_string();
            assert!(error.starts_with(named), "{error}");
        }
        for bad in [will("a/+", 1), will("", 1), will("a", 70_000)] {
            let mut options = LinkOptions::new("localhost", 1883, "g1");
            options.will = Some(bad);
            assert!(matches!(options.check(), Err(OptionsError::Will { .. })));
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut options = LinkOptions::new("localhost", 1883, "g1");
        options.credentials = Some(Credentials { username: "u".into(), password: "hunter2".into() });
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
