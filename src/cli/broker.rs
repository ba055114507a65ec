use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;
use std::time::Duration;

use tokio::time::timeout;

use super::outcome::Failure;
use crate::transport::{Credentials, Link, LinkEvent, LinkEvents, LinkHandle, LinkOptions};

/// `mqtt://[user@]host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    pub user: Option<String>,
    pub host: String,
    pub port: u16,
}

impl BrokerUrl {
    /// How a client that comes once reaches it.
    pub fn options(&self, purpose: &str, password: Option<String>) -> LinkOptions {
        let credentials =
            self.user.clone().map(|username| Credentials { username, password: password.unwrap_or_default() });
        LinkOptions {
            credentials,
            keep_session: false,
            ..LinkOptions::new(self.host.clone(), self.port, passing_client_id(purpose))
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain = || {
            format!(
                "{text:?} is no broker; write mqtt://HOST, with USER@ before and :PORT behind it where needed, e.g. mqtt://127.0.0.1:1883"
            )
        };
        let rest = text.strip_prefix("mqtt://").ok_or_else(explain)?.trim_end_matches('/');
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return Err("a password does not belong into a URL, where everybody can read it; use --password-file"
                    .to_owned());
            }
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') || host.starts_with('[') => {
                (host, port.parse().map_err(|_| explain())?)
            }
            _ => (rest, 1883),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', ' ']) || user.is_some_and(str::is_empty) {
            return Err(explain());
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}

/// A client id that no other client has.
pub(super) fn passing_client_id(purpose: &str) -> String {
    format!("wheeltapper-{purpose}-{:016x}", random())
}

/// Needs no better source than the seed that the standard library draws for its hash maps.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Connects, and returns once the broker has accepted.
pub(super) async fn connect(options: LinkOptions) -> Result<(LinkHandle, LinkEvents), Failure> {
    let place = format!("{}:{}", options.host, options.port);
    let (link, mut events) = Link::start(options).map_err(Failure::usage)?;
    let mut why = String::new();
    let accepted = async {
        loop {
            match events.recv().await {
                None => return Err(ended()),
                Some(LinkEvent::Connected { .. }) => return Ok(()),
                Some(LinkEvent::Unreachable { reason, .. }) => why = format!(" ({reason})"),
                Some(_) => {}
            }
        }
    };
    match timeout(PATIENCE, accepted).await {
        Ok(accepted) => accepted?,
        Err(_) => {
            return Err(Failure::failed(format_args!(
                "no connection to a broker at {place} within {} s{why}; is it running, and may this host and user reach it?",
                PATIENCE.as_secs()
            )));
        }
    }
    Ok((link, events))
}

/// The link has ended although nobody wanted it to.
pub(super) fn ended() -> Failure {
    Failure::Failed("the connection to the broker has ended".to_owned())
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_an_optional_user_and_port() {
        for (text, user, host, port) in [
            ("mqtt://127.0.0.1", None, "127.0.0.1", 1883),
            ("mqtt://broker.plant:8883/", None, "broker.plant", 8883),
            ("mqtt://m.ito@broker.plant", Some("m.ito"), "broker.plant", 1883),
            ("mqtt://[::1]:1884", None, "::1", 1884),
        ] {
            let user = user.map(str::to_owned);
            assert_eq!(text.parse(), Ok(BrokerUrl { user, host: host.to_owned(), port }));
        }
        for text in ["", "127.0.0.1", "mqtt://", "mqtt://a:b", "mqtt://a/b", "http://a", "mqtt://@a", "mqtt://u:p@a"] {
            assert!(text.parse::<BrokerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_clients_on_one_host_never_have_the_same_id() {
        assert_ne!(passing_client_id("shell"), passing_client_id("shell"));
    }
}
